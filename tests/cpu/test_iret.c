/* IRET and far RET in legacy protected mode and compatibility mode. APM vol 2, 4.11.5 "Return Control Transfers", 8.7.5
 * "Returning From Interrupt Procedures". Long mode: test_far.c; real and virtual-8086 mode: test_real.c, test_v86.c. */
#include "tests/cpu/modes.h"

#include "tests/check_main.h"

#define IRETD "\xcf"
#define IRETW "\x66\xcf"
#define RETFD "\xcb"

static void iret_frame(struct kit *k, uint32_t eip, uint16_t cs, uint32_t flags, uint32_t esp,
                       uint16_t ss)
{
    modes_stack(k, 4, 5, (uint64_t[]){ eip, cs, flags, esp, ss });
}

/* rows: events 8.2.1, 8.2.10, 8.2.15 */
WITH_KIT(iret_at_the_same_level_pops_three_words)
{
    for (unsigned size = 2; size <= 4; size += 2) {
        mode_prot32(k, 3);
        modes_stack(k, size, 3, (uint64_t[]){ 0x1234, CODE32_3 | 3, FLAG_CF });
        ck_assert_int_eq(size == 4 ? EXEC(k, IRETD) : EXEC(k, IRETW), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
        ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF);
    }
}

/* rows: events 8.2.10, 8.2.15, 8.2.16, 8.2.17, pitfalls 3.9, 3.14 */
WITH_KIT(iret_to_an_outer_level_switches_stacks_and_drops_segments)
{
    mode_prot32(k, 0);
    k->cpu->regs.nmi_masked = true;
    kit_gdt(k, SPARE, kit_descriptor(0, 0xfffff, 0xc9b)); /* code, DPL 0: dropped too */
    kit_load_segment(k, SEG_ES, SPARE);
    kit_load_segment(k, SEG_FS, CONF32); /* conforming code stays */
    kit_load_segment(k, SEG_GS, DATA3);
    iret_frame(k, 0x1234, CODE32_3 | 3, FLAG_IOPL | FLAG_IF, 0x9000, DATA3 | 3);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x9000);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA3 | 3);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IOPL | FLAG_IF); /* by the old CPL */
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].selector, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_ES].selector, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].selector, CONF32);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].selector, DATA3);
    ck_assert(!k->cpu->regs.nmi_masked);
}

/* rows: events 8.2.15 */
WITH_KIT(return_to_a_small_stack_writes_sp_alone)
{
    for (unsigned far_ret = 0; far_ret < 2; far_ret++) {
        mode_prot32(k, 0);
        k->cpu->r[REG_RSP] = 0x20000;
        uint32_t esp = 0x12348000;
        if (far_ret) {
            modes_stack(k, 4, 4, (uint64_t[]){ 0x1234, CODE32_3 | 3, esp, DATA16_3 | 3 });
            ck_assert_int_eq(EXEC(k, RETFD), STEP_JUMP);
        } else {
            iret_frame(k, 0x1234, CODE32_3 | 3, 2, esp, DATA16_3 | 3);
            ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
        }
        ck_assert_uint_eq(k->cpu->r[REG_RSP] & 0xffff, 0x8000);
        ck_assert_uint_eq(k->cpu->r[REG_RSP] >> 16, 1); /* what the upper half was */
    }
}

/* rows: events 8.2.3-8.2.7, 8.2.9, 8.2.11-8.2.14, pitfalls 10.5 */
WITH_KIT(returns_check_cs_then_ss_then_the_offset)
{
    static const struct {
        uint16_t cs, ss;
        uint32_t eip;
        uint8_t cpl, vector;
        uint16_t code;
    } rows[] = {
        { 0, 0, 0, 0, EXC_GP, 0 },
        { 3, 0, 0, 0, EXC_GP, 0 },
        { GDT_BYTES, 0, 0, 0, EXC_GP, GDT_BYTES },
        { CODE32 | 4, 0, 0, 0, EXC_GP, CODE32 | 4 },
        { DATA0, 0, 0, 0, EXC_GP, DATA0 },
        { TSS, 0, 0, 0, EXC_GP, TSS },
        { CODE32, 0, 0, 3, EXC_GP, CODE32 },     /* RPL < CPL */
        { CODE32 | 3, 0, 0, 0, EXC_GP, CODE32 }, /* DPL < RPL, nonconforming */
        { CODE32_3, 0, 0, 0, EXC_GP, CODE32_3 }, /* DPL > RPL */
        { SPARE | 1, 0, 0, 0, EXC_GP, SPARE },   /* conforming, DPL 3 > RPL */
        { CODE_NP, 0, 0, 0, EXC_NP, CODE_NP },
        { CODE32_3 | 3, 0, 0, 0, EXC_GP, 0 }, /* null SS */
        { CODE32_3 | 3, GDT_BYTES | 3, 0, 0, EXC_GP, GDT_BYTES },
        { CODE32_3 | 3, DATA3, 0, 0, EXC_GP, DATA3 },     /* RPL */
        { CODE32_3 | 3, DATA0 | 3, 0, 0, EXC_GP, DATA0 }, /* DPL */
        { CODE32_3 | 3, CODE32_3 | 3, 0, 0, EXC_GP, CODE32_3 },
        { CODE32_3 | 3, FREE | 3, 0, 0, EXC_SS, FREE }, /* not present */
        { FREE2 | 3, DATA3 | 3, 0x1000, 0, EXC_GP, 0 }, /* beyond the limit */
        { FREE2 | 3, DATA3, 0x1000, 0, EXC_GP, DATA3 }, /* SS comes first */
    };
    for (unsigned far_ret = 0; far_ret < 2; far_ret++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            mode_prot32(k, rows[i].cpl);
            kit_gdt(k, SPARE, kit_descriptor(0, 0xfffff, 0xcff));
            kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xc73));
            kit_gdt(k, FREE2, kit_descriptor(0, 0xfff, 0x4fb));
            k->cpu->regs.nmi_masked = true;
            struct segment ds = k->cpu->regs.seg[SEG_DS];
            enum step step;
            if (far_ret) {
                modes_stack(k, 4, 4, (uint64_t[]){ rows[i].eip, rows[i].cs, 0x9000, rows[i].ss });
                step = EXEC(k, RETFD);
            } else {
                iret_frame(k, rows[i].eip, rows[i].cs, FLAG_CF, 0x9000, rows[i].ss);
                step = EXEC(k, IRETD);
            }
            kit_raised(k, step, rows[i].vector, rows[i].code);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - (far_ret ? 16 : 20));
            ck_assert_uint_eq(k->cpu->rflags, 2);
            ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].selector, ds.selector);
            ck_assert(k->cpu->regs.nmi_masked);
        }
}

/* rows: events 8.2.7 */
WITH_KIT(conforming_code_takes_the_level_of_the_rpl)
{
    mode_prot32(k, 0);
    iret_frame(k, 0x1234, CONF32 | 3, 2, 0x9000, DATA3 | 3);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CONF32 | 3);
}

/* rows: events 8.2.1, 8.2.10 */
WITH_KIT(frame_outside_the_stack_is_ss)
{
    mode_prot32(k, 0);
    k->cpu->regs.seg[SEG_SS].limit = STACK_TOP - 9; /* ESP and SS are outside */
    iret_frame(k, 0x1234, CODE32, 2, 0x9000, DATA3 | 3);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP); /* and not needed */
    k->cpu->r[REG_RSP] = STACK_TOP;
    iret_frame(k, 0x1234, CODE32_3 | 3, 2, 0x9000, DATA3 | 3);
    kit_raised(k, EXEC(k, IRETD), EXC_SS, 0);
    k->cpu->regs.seg[SEG_SS].limit = STACK_TOP - 13;
    kit_raised(k, EXEC(k, IRETD), EXC_SS, 0); /* EFLAGS */
}

/* rows: events 8.3.1-8.3.5 */
WITH_KIT(flags_follow_the_old_level_and_the_operand_size)
{
    static const struct {
        uint8_t cpl, iopl, size;
        uint32_t expected; /* of an image with all ones, VM and NT aside */
    } rows[] = {
        { 0, 0, 4, FLAGS_WRITABLE & ~(FLAG_VM | FLAG_NT) },
        { 0, 0, 2, FLAGS_WRITABLE & 0xffff & ~FLAG_NT },
        { 3, 3, 4, FLAGS_WRITABLE & ~(FLAG_VM | FLAG_NT | FLAG_VIF | FLAG_VIP) },
        { 3, 2, 4,
          (FLAGS_WRITABLE & ~(FLAG_VM | FLAG_NT | FLAG_VIF | FLAG_VIP | FLAG_IF)) ^ 0x1000 },
        { 3, 3, 2, FLAGS_WRITABLE & 0xffff & ~FLAG_NT },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode_prot32(k, rows[i].cpl);
        cpu_set_rflags(k->cpu, (uint64_t)rows[i].iopl << 12);
        modes_stack(k, rows[i].size, 3,
                    (uint64_t[]){ 0x1234, rows[i].cpl ? CODE32_3 | 3 : CODE32,
                                  ~(uint64_t)(FLAG_VM | FLAG_NT) & 0xffffffff });
        ck_assert_int_eq(rows[i].size == 4 ? EXEC(k, IRETD) : EXEC(k, IRETW), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->rflags, rows[i].expected | 2);
    }
}

WITH_KIT(retf_at_the_same_level_releases_parameters)
{
    mode_prot32(k, 0);
    modes_stack(k, 4, 2, (uint64_t[]){ 0x1234, CODE32 });
    ck_assert_int_eq(EXEC(k, "\xca\xf0\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP + 0xf0);
    mode_prot16(k, 0); /* SP wraps */
    modes_stack(k, 2, 2, (uint64_t[]){ 0x1234, SPARE });
    ck_assert_int_eq(EXEC(k, "\xca\x00\x80"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0);
}

WITH_KIT(retf_to_an_outer_level_releases_from_both_stacks)
{
    mode_prot32(k, 0);
    modes_stack(k, 4, 6, (uint64_t[]){ 0x1234, CODE32_3 | 3, 0, 0, 0x9000, DATA3 | 3 });
    ck_assert_int_eq(EXEC(k, "\xca\x08\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x9008);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].selector, 0);
}

/* 16-bit words from a call gate of that size. */
WITH_KIT(retf_with_2_byte_words_undoes_a_16_bit_gate)
{
    mode_prot32(k, 3);
    modes_gate(k, CALL16, SYS_CALL16, 3, CODE32, 0x5678, 2);
    k->cpu->r[REG_RSP] = 0x9000;
    k->cpu->r[REG_RIP] = 0x1000;
    kit_put(k, 0x9000, 4, 0xbbbbaaaa);
    ck_assert_int_eq(EXEC(k, "\x9a\x00\x00\x00\x00\x53\x01"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_int_eq(EXEC(k, "\x66\xca\x04\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1007);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x9004);
}

/* rows: events 8.2.10 */
WITH_KIT(compatibility_mode_reads_ss_only_for_an_outer_level)
{
    kit_mode(k, MODE_COMPAT32, 0);
    modes_stack(k, 4, 3, (uint64_t[]){ 0x1234, CODE32, 2 });
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
}

/* rows: pitfalls 3.14 */
WITH_KIT(v86_interrupt_and_iret_give_everything_back)
{
    mode_v86(k, 3, false);
    k->cpu->r[REG_RIP] = 0x10;
    k->cpu->rflags |= FLAG_CF;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        k->cpu->regs.seg[s] = segment_v86((uint16_t)(0x1000 + 0x111 * s));
    struct cpu_regs before = k->cpu->regs;
    k->cpu->pins.nmi = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(k->cpu->regs.nmi_masked);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_V86);
    ck_assert_mem_eq(k->cpu->regs.seg, before.seg, 6 * sizeof(struct segment));
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x10);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF | FLAG_VM | FLAG_IOPL);
    ck_assert(!k->cpu->regs.nmi_masked);
}

CHECK_MAIN("iret", iret_at_the_same_level_pops_three_words,
           iret_to_an_outer_level_switches_stacks_and_drops_segments,
           return_to_a_small_stack_writes_sp_alone, returns_check_cs_then_ss_then_the_offset,
           conforming_code_takes_the_level_of_the_rpl, frame_outside_the_stack_is_ss,
           flags_follow_the_old_level_and_the_operand_size,
           retf_at_the_same_level_releases_parameters,
           retf_to_an_outer_level_releases_from_both_stacks,
           retf_with_2_byte_words_undoes_a_16_bit_gate,
           compatibility_mode_reads_ss_only_for_an_outer_level,
           v86_interrupt_and_iret_give_everything_back)

/* Far JMP, CALL, RET, IRET, and the instructions that interrupt. APM vol 2, 4.11; vol 3. */
#include "tests/cpu/kit.h"

/* The target of the far instructions with a memory operand: [rbx], selector behind the offset. */
static void far_pointer(struct kit *k, unsigned offset_bytes, uint64_t offset, uint16_t selector)
{
    kit_put(k, DATA_SPA, offset_bytes, offset);
    kit_put(k, DATA_SPA + offset_bytes, 2, selector);
    k->cpu->r[REG_RBX] = DATA_SPA;
}

#define JMP_M32 "\xff\x2b" /* JMP FAR m16:32 [rbx] */
#define JMP_M16 "\x66\xff\x2b"
#define CALL_M32 "\xff\x1b"
#define CALL_M16 "\x66\xff\x1b"

/* rows: events 9.1.7 */
WITH_KIT(jmp_loads_cs_and_rip)
{
    far_pointer(k, 4, 0x345678, CODE32);
    ck_assert_int_eq(EXEC(k, JMP_M32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x345678);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE32);
    ck_assert_int_eq(k->cpu->mode, MODE_COMPAT32);
    /* And back, by an immediate pointer. */
    ck_assert_int_eq(EXEC(k, "\xea\x78\x56\x34\x00\x08\x00"), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_LONG64);
}

/* rows: events 9.1.1, 9.1.2, 9.1.3, 9.1.4, pitfalls 3.8 */
WITH_KIT(jmp_checks_the_code_segment)
{
    static const struct {
        uint16_t selector;
        uint8_t cpl, vector;
        uint16_t code;
    } rows[] = {
        { 0, 0, EXC_GP, 0 },
        { 3, 0, EXC_GP, 0 },
        { GDT_BYTES, 0, EXC_GP, GDT_BYTES },
        { CODE64 | 4, 0, EXC_GP, CODE64 | 4 },
        { DATA0, 0, EXC_GP, DATA0 },
        { CODE64 | 3, 0, EXC_GP, CODE64 },     /* RPL > CPL */
        { CODE64_3 | 3, 0, EXC_GP, CODE64_3 }, /* DPL != CPL */
        { CODE64, 3, EXC_GP, CODE64 },
        { CODE_LD, 0, EXC_GP, CODE_LD },
        { CODE_NP, 0, EXC_NP, CODE_NP },
        { TSS, 0, EXC_GP, TSS }, /* no task switches in long mode */
        { LDT, 0, EXC_GP, LDT },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, rows[i].cpl);
        far_pointer(k, 4, 0x1000, rows[i].selector);
        kit_raised(k, EXEC(k, JMP_M32), rows[i].vector, rows[i].code);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    }
}

/* rows: events 9.1.3 */
WITH_KIT(jmp_to_conforming_code_keeps_cpl)
{
    kit_mode(k, MODE_LONG64, 3);
    far_pointer(k, 4, 0x1000, CONFORMING);
    ck_assert_int_eq(EXEC(k, JMP_M32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CONFORMING | 3);
}

/* rows: events 9.1.5 */
WITH_KIT(jmp_offset_beyond_limit_is_gp_0)
{
    kit_gdt(k, FREE, kit_descriptor(0, 0x5ffff, 0x49b));
    far_pointer(k, 4, 0x60000, FREE);
    kit_raised(k, EXEC(k, JMP_M32), EXC_GP, 0);
    far_pointer(k, 4, 0x5ffff, FREE);
    ck_assert_int_eq(EXEC(k, JMP_M32), STEP_JUMP);
}

/* rows: events 13.9, pitfalls 3.6 */
WITH_KIT(jmp_sets_the_accessed_bit)
{
    kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xa9a));
    far_pointer(k, 4, 0x1000, FREE);
    ck_assert_int_eq(EXEC(k, JMP_M32), STEP_JUMP);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 0xff, 0x9b);
}

/* rows: pitfalls 1.10 */
WITH_KIT(rex_w_far_pointer_has_a_32_bit_offset)
{
    far_pointer(k, 4, 0x1000, CODE64);
    ck_assert_int_eq(EXEC(k, "\x48\xff\x2b"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1000);
}

/* rows: events 9.1.6 */
WITH_KIT(call_pushes_cs_and_return_address)
{
    far_pointer(k, 4, 0x1000, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_M32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 8);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 4, 4), CODE64);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 4), CODE_SPA + 2);
    kit_mode(k, MODE_LONG64, 0);
    far_pointer(k, 2, 0x1000, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_M16), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 4);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 4, 2), (CODE_SPA + 3) & 0xffff);
}

/* With REX.W the pointer is still m16:32, but 8 bytes are pushed: measured on Zen 4. */
WITH_KIT(rex_w_call_pushes_8_bytes)
{
    far_pointer(k, 4, 0x1000, CODE64);
    ck_assert_int_eq(EXEC(k, "\x48\xff\x1b"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1000);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 16);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 8), CODE64);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 16, 8), CODE_SPA + 3);
}

/* rows: events 9.1.6 */
WITH_KIT(call_that_cannot_push_changes_nothing)
{
    far_pointer(k, 4, 0x1000, CODE64);
    k->cpu->r[REG_RSP] = PAGED_LA + 0x1004; /* CS on page 1, EIP on page 0 */
    kit_put(k, PAGED_LA + 0x1000, 4, 0x5a5a);
    kit_page(k, 0, 0);
    kit_raised(k, EXEC(k, CALL_M32), EXC_PF, PF_RW);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0xffc);
    ck_assert_uint_eq(kit_get(k, PAGED_LA + 0x1000, 4), 0x5a5a);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE64);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], PAGED_LA + 0x1004);
}

/* --- gates in long mode --- */

static void gate(struct kit *k, unsigned cpl, uint16_t selector, uint64_t offset, unsigned dpl)
{
    kit_mode(k, MODE_LONG64, cpl);
    kit_gate64(k, GDT_SPA + GATE, selector, offset, 12, dpl, 0);
    far_pointer(k, 4, 0, (uint16_t)(GATE | cpl));
}

/* rows: events 9.2.6, 9.2.8, 9.2.9, pitfalls 3.10 */
WITH_KIT(gate_to_inner_level_switches_stacks)
{
    gate(k, 3, CODE64, 0x123456789abc, 3);
    ck_assert_int_eq(EXEC(k, CALL_M32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x123456789abc);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], RSP0_TOP - 32);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 8, 8), DATA3 | 3);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 16, 8), STACK_TOP);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 24, 8), CODE64_3 | 3);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 32, 8), CODE_SPA + 2);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, 0);
}

/* rows: events 9.2.8, pitfalls 3.10 */
WITH_KIT(gate_at_the_same_level_pushes_8_byte_words)
{
    gate(k, 0, CODE64, 0x1234, 0);
    ck_assert_int_eq(EXEC(k, CALL_M32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 16);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 16, 8), CODE_SPA + 2);
    gate(k, 0, CODE64, 0x1234, 0);
    ck_assert_int_eq(EXEC(k, JMP_M32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
}

/* rows: events 9.2.1-9.2.7, pitfalls 3.10 */
WITH_KIT(gate_rules)
{
    gate(k, 3, CODE64, 0x1000, 2); /* gate DPL < CPL */
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, GATE);
    gate(k, 0, CODE64, 0x1000, 2); /* gate DPL < RPL */
    far_pointer(k, 4, 0, GATE | 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, GATE);
    gate(k, 3, CODE64, 0x1000, 3);
    kit_put(k, GDT_SPA + GATE + 5, 1, 0x6c); /* P = 0 */
    kit_raised(k, EXEC(k, CALL_M32), EXC_NP, GATE);
    gate(k, 3, CODE64, 0x1000, 3);
    kit_put(k, GDT_SPA + GATE + 13, 1, 1); /* type of the upper half */
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, GATE);
    gate(k, 3, 0, 0x1000, 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, 0);
    gate(k, 3, DATA0, 0x1000, 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, DATA0);
    gate(k, 3, CODE32, 0x1000, 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, CODE32);
    gate(k, 3, CODE_LD, 0x1000, 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, CODE_LD);
    gate(k, 3, CODE_NP, 0x1000, 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_NP, CODE_NP);
    gate(k, 3, CODE64, 0x1000, 3); /* JMP never changes the level */
    kit_raised(k, EXEC(k, JMP_M32), EXC_GP, CODE64);
    gate(k, 3, CODE64, NONCANON, 3);
    kit_raised(k, EXEC(k, CALL_M32), EXC_GP, 0);
    gate(k, 3, CODE64, 0x1000, 3);
    k->cpu->regs.seg[SEG_TR].limit = 10;
    kit_raised(k, EXEC(k, CALL_M32), EXC_TS, TSS);
    gate(k, 3, CODE64, 0x1000, 3);
    kit_put(k, TSS_SPA + 4, 8, NONCANON);
    kit_raised(k, EXEC(k, CALL_M32), EXC_SS, 0);
}

/* --- RETF and IRET --- */

static void push8(struct kit *k, uint64_t value)
{
    k->cpu->r[REG_RSP] -= 8;
    kit_put(k, k->cpu->r[REG_RSP], 8, value);
}

static void return_frame(struct kit *k, uint16_t ss, uint64_t rsp, uint64_t flags, uint16_t cs,
                         uint64_t rip)
{
    k->cpu->r[REG_RSP] = STACK_TOP;
    push8(k, ss);
    push8(k, rsp);
    push8(k, flags);
    push8(k, cs);
    push8(k, rip);
}

#define IRETQ "\x48\xcf"
#define RETFQ "\x48\xcb"

/* rows: events 8.2.1, 8.2.10, pitfalls 3.13 */
WITH_KIT(iretq_always_pops_ss_rsp)
{
    return_frame(k, DATA0, 0x9000, FLAG_CF | FLAG_IF | FLAG_AC | FLAG_ID | FLAG_RF, CODE64, 0x1234);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x9000);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF | FLAG_IF | FLAG_AC | FLAG_ID | FLAG_RF);
    ck_assert(k->cpu->attention);
}

/* rows: events 8.2.15, 8.2.16, pitfalls 3.9 */
WITH_KIT(iret_to_outer_level_drops_inner_segments)
{
    return_frame(k, DATA3 | 3, 0x9000, 2, CODE64_3 | 3, 0x1234);
    kit_load_segment(k, SEG_FS, DATA3);
    kit_load_segment(k, SEG_GS, CONFORMING);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].selector, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_ES].selector, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].selector, DATA3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].selector, CONFORMING);
}

/* rows: events 8.2.3-8.2.9, 8.2.11, 8.2.12, 8.2.13, 8.2.17, pitfalls 3.8, 3.14 */
WITH_KIT(iret_checks)
{
    static const struct {
        uint16_t cs, ss;
        uint8_t cpl, vector;
        uint16_t code;
    } rows[] = {
        { 0, DATA0, 0, EXC_GP, 0 },
        { GDT_BYTES, DATA0, 0, EXC_GP, GDT_BYTES },
        { DATA0, DATA0, 0, EXC_GP, DATA0 },
        { CODE64, DATA3 | 3, 3, EXC_GP, CODE64 },     /* RPL < CPL */
        { CODE64 | 3, DATA3 | 3, 0, EXC_GP, CODE64 }, /* DPL != RPL */
        { CODE64_1, DATA1 | 1, 0, EXC_GP, CODE64_1 },
        { CODE_LD, DATA0, 0, EXC_GP, CODE_LD },
        { CODE_NP, DATA0, 0, EXC_NP, CODE_NP },
        { CODE64_3 | 3, 0, 0, EXC_GP, 0 }, /* null SS at level 3 */
        { CODE32, 0, 0, EXC_GP, 0 },       /* null SS for 32-bit code */
        { CODE64, GDT_BYTES, 0, EXC_GP, GDT_BYTES },
        { CODE64, DATA0 | 3, 0, EXC_GP, DATA0 }, /* RPL */
        { CODE64, DATA3, 0, EXC_GP, DATA3 },     /* DPL */
        { CODE64, READ_ONLY, 0, EXC_GP, READ_ONLY },
        { CODE64, DATA_NP, 0, EXC_SS, DATA_NP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, rows[i].cpl);
        k->cpu->regs.nmi_masked = true;
        return_frame(k, rows[i].ss, 0x9000, 2, rows[i].cs, 0x1234);
        kit_raised(k, EXEC(k, IRETQ), rows[i].vector, rows[i].code);
        ck_assert(k->cpu->regs.nmi_masked); /* a faulting IRET unblocks nothing */
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 40);
    }
}

/* rows: events 8.2.11, pitfalls 3.4 */
WITH_KIT(iret_null_ss_is_legal_in_64_bit_code_inside_level_3)
{
    return_frame(k, 0, 0x9000, 2, CODE64, 0x1234);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    kit_mode(k, MODE_LONG64, 0);
    return_frame(k, 1, 0x9000, 2, CODE64_1 | 1, 0x1234);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, 1);
    ck_assert_uint_eq(k->cpu->regs.cpl, 1);
}

/* rows: events 8.2.14 */
WITH_KIT(iret_to_a_non_canonical_rip_faults_at_the_iret)
{
    return_frame(k, DATA0, 0x9000, 2, CODE64, NONCANON);
    kit_raised(k, EXEC(k, IRETQ), EXC_GP, 0);
    return_frame(k, DATA0, 0x9000, 2, CODE32, 1ull << 32); /* beyond the limit */
    kit_raised(k, EXEC(k, IRETQ), EXC_GP, 0);
}

/* rows: events 8.1.5, pitfalls 3.13 */
WITH_KIT(iret_with_nt_in_long_mode_is_gp)
{
    return_frame(k, DATA0, 0x9000, 2, CODE64, 0x1234);
    k->cpu->rflags |= FLAG_NT;
    kit_raised(k, EXEC(k, IRETQ), EXC_GP, 0);
}

/* rows: events 8.2.2, 8.3.1-8.3.6 */
WITH_KIT(iret_flags_depend_on_the_old_cpl)
{
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->rflags |= FLAG_IF;
    return_frame(k, DATA3 | 3, 0x9000, FLAG_IOPL, CODE64_3 | 3, 0x1234);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF); /* neither IF nor IOPL */
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->rflags |= FLAG_IF | FLAG_IOPL;
    return_frame(k, DATA3 | 3, 0x9000, 0, CODE64_3 | 3, 0x1234);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IOPL); /* IF, not IOPL */
    kit_mode(k, MODE_LONG64, 0);
    return_frame(k, DATA3 | 3, 0x9000, FLAG_IOPL | FLAG_VIF | FLAG_VM, CODE64_3 | 3, 0x1234);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IOPL | FLAG_VIF); /* VM is ignored */
}

/* rows: events 8.2.1, 8.2.10 */
WITH_KIT(iretd_pops_4_byte_words_and_ss_in_64_bit_mode)
{
    k->cpu->r[REG_RSP] = STACK_TOP - 20;
    kit_put(k, STACK_TOP - 20, 4, 0x1234);
    kit_put(k, STACK_TOP - 16, 4, CODE32);
    kit_put(k, STACK_TOP - 12, 4, 2);
    kit_put(k, STACK_TOP - 8, 4, 0x9000);
    kit_put(k, STACK_TOP - 4, 4, DATA0);
    ck_assert_int_eq(EXEC(k, "\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x9000);
    ck_assert_int_eq(k->cpu->mode, MODE_COMPAT32);
}

WITH_KIT(legacy_iretd_at_the_same_level_keeps_ss)
{
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->r[REG_RSP] = STACK_TOP - 12;
    kit_put(k, STACK_TOP - 12, 4, 0x1234);
    kit_put(k, STACK_TOP - 8, 4, CODE32);
    kit_put(k, STACK_TOP - 4, 4, 2 | FLAG_CF);
    ck_assert_int_eq(EXEC(k, "\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF);
}

WITH_KIT(retf_same_level_and_parameters)
{
    k->cpu->r[REG_RSP] = STACK_TOP;
    push8(k, CODE64);
    push8(k, 0x1234);
    ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    k->cpu->r[REG_RSP] = STACK_TOP - 16;
    ck_assert_int_eq(EXEC(k, "\x48\xca\x20\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP + 0x20);
}

WITH_KIT(retf_to_outer_level_releases_both_stacks)
{
    push8(k, DATA3 | 3);
    push8(k, 0x9000);
    push8(k, 0); /* parameters */
    push8(k, 0);
    push8(k, CODE64_3 | 3);
    push8(k, 0x1234);
    ck_assert_int_eq(EXEC(k, "\x48\xca\x10\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x9010);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA3 | 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].selector, 0);
}

WITH_KIT(retf_to_inner_level_is_gp)
{
    kit_mode(k, MODE_LONG64, 3);
    push8(k, CODE64);
    push8(k, 0x1234);
    kit_raised(k, EXEC(k, RETFQ), EXC_GP, CODE64);
}

/* --- intercepts --- */

WITH_KIT(iret_intercept_comes_before_its_faults)
{
    return_frame(k, 0, 0, 0, 0, 0);
    uint64_t rsp = k->cpu->r[REG_RSP];
    k->cpu->rflags |= FLAG_NT;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_IRET);
    kit_exited(k, EXEC(k, IRETQ), VMEXIT_IRET, 0, 0, CODE_SPA + 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), rsp);
}

WITH_KIT(int_n_intercept_comes_before_the_gate)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_INTN);
    kit_exited(k, EXEC(k, "\xcd\x80"), VMEXIT_SWINT, 0x80, 0, CODE_SPA + 2);
}

/* rows: events 1.4 */
WITH_KIT(int3_is_not_int_n)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_INTN);
    kit_raised(k, EXEC(k, "\xcc"), EXC_BP, NO_CODE);
}

WITH_KIT(icebp_has_its_own_intercept)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_ICEBP);
    kit_exited(k, EXEC(k, "\xf1"), VMEXIT_ICEBP, 0, 0, CODE_SPA + 1);
}

/* rows: events 1.5 */
WITH_KIT(into_only_with_of)
{
    kit_mode(k, MODE_PROT32, 0);
    ck_assert_int_eq(EXEC(k, "\xce"), STEP_NEXT);
    k->cpu->rflags |= FLAG_OF;
    kit_raised(k, EXEC(k, "\xce"), EXC_OF, NO_CODE);
}

int main(void)
{
    Suite *suite = suite_create("far");
    TCase *jump = tcase_create("jump and call");
    tcase_add_test(jump, jmp_loads_cs_and_rip);
    tcase_add_test(jump, jmp_checks_the_code_segment);
    tcase_add_test(jump, jmp_to_conforming_code_keeps_cpl);
    tcase_add_test(jump, jmp_offset_beyond_limit_is_gp_0);
    tcase_add_test(jump, jmp_sets_the_accessed_bit);
    tcase_add_test(jump, rex_w_far_pointer_has_a_32_bit_offset);
    tcase_add_test(jump, call_pushes_cs_and_return_address);
    tcase_add_test(jump, rex_w_call_pushes_8_bytes);
    tcase_add_test(jump, call_that_cannot_push_changes_nothing);
    tcase_add_test(jump, gate_to_inner_level_switches_stacks);
    tcase_add_test(jump, gate_at_the_same_level_pushes_8_byte_words);
    tcase_add_test(jump, gate_rules);
    suite_add_tcase(suite, jump);
    TCase *ret = tcase_create("return");
    tcase_add_test(ret, iretq_always_pops_ss_rsp);
    tcase_add_test(ret, iret_to_outer_level_drops_inner_segments);
    tcase_add_test(ret, iret_checks);
    tcase_add_test(ret, iret_null_ss_is_legal_in_64_bit_code_inside_level_3);
    tcase_add_test(ret, iret_to_a_non_canonical_rip_faults_at_the_iret);
    tcase_add_test(ret, iret_with_nt_in_long_mode_is_gp);
    tcase_add_test(ret, iret_flags_depend_on_the_old_cpl);
    tcase_add_test(ret, iretd_pops_4_byte_words_and_ss_in_64_bit_mode);
    tcase_add_test(ret, legacy_iretd_at_the_same_level_keeps_ss);
    tcase_add_test(ret, retf_same_level_and_parameters);
    tcase_add_test(ret, retf_to_outer_level_releases_both_stacks);
    tcase_add_test(ret, retf_to_inner_level_is_gp);
    suite_add_tcase(suite, ret);
    TCase *intercept = tcase_create("intercepts");
    tcase_add_test(intercept, iret_intercept_comes_before_its_faults);
    tcase_add_test(intercept, int_n_intercept_comes_before_the_gate);
    tcase_add_test(intercept, int3_is_not_int_n);
    tcase_add_test(intercept, icebp_has_its_own_intercept);
    tcase_add_test(intercept, into_only_with_of);
    suite_add_tcase(suite, intercept);
    return kit_run(suite);
}

/* Real mode: segments, far transfers, delivery through the vector table. APM vol 2, 1.3.3, 4.5.1, 8.6. */
#include "tests/cpu/modes.h"

#include "tests/check_main.h"

#define VECTOR 0x21u

/* rows: pitfalls 3.27 */
WITH_KIT(segment_loads_keep_limit_and_attributes)
{
    static const char *const loads[] = { "\x8e\xc0", "\x8e\xd0", "\x8e\xd8", "\x8e\xe0",
                                         "\x8e\xe8" };
    static const uint8_t segs[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
    for (unsigned i = 0; i < sizeof(segs); i++) {
        mode_real(k);
        struct segment *seg = &k->cpu->regs.seg[segs[i]];
        seg->limit = UINT32_MAX; /* from protected mode: "unreal" */
        seg->attr = 0xc93;
        k->cpu->r[REG_RAX] = 0xfff3; /* no descriptor is looked for, RPL bits are address bits */
        enum step step = kit_exec(k, loads[i], 2);
        ck_assert(step == STEP_NEXT || step == STEP_LEAVE);
        ck_assert_uint_eq(seg->selector, 0xfff3);
        ck_assert_uint_eq(seg->base, 0xfff30);
        ck_assert_uint_eq(seg->limit, UINT32_MAX);
        ck_assert_uint_eq(seg->attr, 0xc93);
    }
}

/* rows: pitfalls 3.27, events 13.13 */
WITH_KIT(unreal_segment_reaches_beyond_64_kib)
{
    mode_real(k);
    kit_put(k, DATA_SPA + 0x12345, 2, 0xbeef);
    k->cpu->r[REG_RSI] = 0x12345;
    kit_raised(k, EXEC(k, "\x67\x8b\x06"), EXC_GP, 0); /* MOV AX, [ESI] */
    k->cpu->regs.seg[SEG_DS].limit = UINT32_MAX;
    ck_assert_int_eq(EXEC(k, "\x67\x8b\x06"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX] & 0xffff, 0xbeef);
}

WITH_KIT(null_selector_is_a_segment_like_any_other)
{
    mode_real(k);
    k->cpu->r[REG_RAX] = 0;
    ck_assert_int_eq(EXEC(k, "\x8e\xd0"), STEP_LEAVE); /* MOV SS */
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].base, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].attr & SEG_ATTR_P, SEG_ATTR_P);
}

WITH_KIT(far_jmp_loads_cs_base)
{
    mode_real(k);
    ck_assert_int_eq(EXEC(k, "\xea\x34\x12\x07\x60"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, 0x6007);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x60070);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].limit, 0xffff);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].attr, 0x09b);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
}

WITH_KIT(far_jmp_beyond_the_cs_limit_is_gp)
{
    mode_real(k);
    kit_raised(k, EXEC(k, "\x66\xea\x00\x00\x01\x00\x00\x60"), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, REAL_CS);
    ck_assert_int_eq(EXEC(k, "\x66\xea\xff\xff\x00\x00\x00\x60"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0xffff);
}

WITH_KIT(far_call_pushes_by_operand_size_and_retf_returns)
{
    for (unsigned size = 2; size <= 4; size += 2) {
        mode_real(k);
        k->cpu->r[REG_RIP] = 0x100;
        enum step step = size == 2 ? EXEC(k, "\x9a\x34\x12\x00\x60")
                                   : EXEC(k, "\x66\x9a\x34\x12\x00\x00\x00\x60");
        ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP - 2 * size);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - size, size), REAL_CS);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - 2 * size, size), size == 2 ? 0x105 : 0x108);
        step = size == 2 ? EXEC(k, "\xca\x06\x00") : EXEC(k, "\x66\xca\x06\x00");
        ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP + 6);
        ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, CODE_SPA);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], size == 2 ? 0x105 : 0x108);
    }
}

WITH_KIT(retf_beyond_the_cs_limit_changes_nothing)
{
    mode_real(k);
    modes_stack(k, 4, 2, (uint64_t[]){ 0x10000, 0x6000 });
    kit_raised(k, EXEC(k, "\x66\xcb"), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP - 8);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, REAL_CS);
}

/* rows: events 8.1.1, events 8.3.1, events 8.3.2 */
WITH_KIT(iret_loads_the_flags_of_its_operand_size)
{
    const uint64_t all = 0xffffffff;
    mode_real(k);
    k->cpu->regs.nmi_masked = true;
    modes_stack(k, 2, 3, (uint64_t[]){ 0x1234, 0x6000, all });
    ck_assert_int_eq(EXEC(k, "\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, (FLAGS_WRITABLE & 0xffff) | 2);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x60000);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP);
    ck_assert(!k->cpu->regs.nmi_masked);

    mode_real(k); /* with 32 bits VM, VIF and VIP stay */
    modes_stack(k, 4, 3, (uint64_t[]){ 0x1234, 0x6000, all });
    ck_assert_int_eq(EXEC(k, "\x66\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags,
                      (FLAGS_WRITABLE & ~(uint64_t)(FLAG_VM | FLAG_VIF | FLAG_VIP)) | 2);
    ck_assert_int_eq(k->cpu->mode, MODE_REAL);

    mode_real(k);
    cpu_set_rflags(k->cpu, FLAG_VIF | FLAG_VIP);
    modes_stack(k, 4, 3, (uint64_t[]){ 0x1234, 0x6000, 0 });
    ck_assert_int_eq(EXEC(k, "\x66\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, FLAG_VIF | FLAG_VIP | 2);
}

/* rows: events 8.1.1, pitfalls 3.14 */
WITH_KIT(iret_beyond_the_cs_limit_is_gp_and_leaves_nmis_masked)
{
    mode_real(k);
    k->cpu->regs.nmi_masked = true;
    modes_stack(k, 4, 3, (uint64_t[]){ 0x10000, 0x6000, FLAG_CF });
    kit_raised(k, EXEC(k, "\x66\xcf"), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->rflags, 2);
    ck_assert(k->cpu->regs.nmi_masked);
}

/* rows: events 7.1.2, 7.1.3, 7.1.4 */
WITH_KIT(interrupt_pushes_flags_cs_ip)
{
    mode_real(k);
    cpu_set_rflags(k->cpu, FLAG_CF | FLAG_TF | FLAG_IF | FLAG_NT | FLAG_IOPL | FLAG_AC | FLAG_ID);
    k->cpu->r[REG_RIP] = 0x1ff;
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(pushed16(k, 1), 2 | FLAG_CF | FLAG_TF | FLAG_IF | FLAG_NT | FLAG_IOPL);
    ck_assert_uint_eq(pushed16(k, 2), REAL_CS);
    ck_assert_uint_eq(pushed16(k, 3), 0x1ff);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP - 6);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF | FLAG_NT | FLAG_IOPL | FLAG_ID);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 4 * VECTOR);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, HANDLER >> 4);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, HANDLER);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].limit, 0xffff);
}

/* rows: events 7.1.2 */
WITH_KIT(real_mode_pushes_no_error_code)
{
    mode_real(k);
    modes_delivered(k, modes_fault(k, EXC_GP, 0), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP - 6);
    ck_assert_uint_eq(pushed16(k, 3), 0); /* IP of the instruction */
}

WITH_KIT(int_n_pushes_the_next_ip)
{
    mode_real(k);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), VECTOR, 0);
    ck_assert_uint_eq(pushed16(k, 3), 2);
    mode_real(k);
    kit_raised(k, EXEC(k, "\xcc"), EXC_BP, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_BP, 0);
    ck_assert_uint_eq(pushed16(k, 3), 1);
    mode_real(k);
    k->cpu->rflags |= FLAG_OF;
    kit_raised(k, EXEC(k, "\xce"), EXC_OF, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_OF, 0);
    ck_assert_uint_eq(pushed16(k, 3), 1);
}

/* rows: events 7.1.1, events 2.12 */
WITH_KIT(vector_beyond_the_table_is_gp)
{
    mode_real(k);
    k->cpu->regs.idtr.limit = 4 * VECTOR + 2;
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, 0);
    mode_real(k);
    k->cpu->regs.idtr.limit = 4 * VECTOR + 3;
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
}

/* rows: events 2.12, 7.1.1, pitfalls 10.2 */
WITH_KIT(gp_and_df_beyond_the_table_shut_down)
{
    mode_real(k);
    k->cpu->regs.idtr.limit = 4 * EXC_DF + 3; /* #DF can be reached, #GP cannot */
    modes_delivered(k, modes_intr(k, VECTOR), EXC_DF, 0);
    mode_real(k);
    k->cpu->regs.idtr.limit = 4 * EXC_DF + 2;
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_STOP);
    ck_assert_int_eq(k->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
}

/* rows: events 7.1.3 */
/* PE was cleared in 32-bit code: CS keeps its D bit until something loads other attributes. */
WITH_KIT(a_32_bit_code_segment_stays_one_in_real_mode)
{
    mode_real(k);
    k->cpu->regs.seg[SEG_CS].attr |= SEG_ATTR_DB;
    cpu_update_mode(k->cpu);
    ck_assert(!cpu_protected(k->cpu));
    ck_assert_int_eq(EXEC(k, "\xb8\x78\x56\x34\x12"), STEP_NEXT); /* MOV EAX */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x12345678);
    struct insn in;
    const uint8_t vex[15] = { 0xc4, 0xe2, 0x70, 0xf2, 0xc1 }; /* ANDN is not in real mode */
    ck_assert_int_eq(decode_insn(vex, sizeof(vex), k->cpu->mode, &in), DECODE_INVALID);
    const uint8_t les[15] = { 0xc4, 0x00 };
    ck_assert_int_eq(decode_insn(les, sizeof(les), k->cpu->mode, &in), DECODE_OK);
    kit_raised(k, EXEC(k, "\x0f\x00\xd8"), EXC_UD, NO_CODE); /* LTR */
    ck_assert_int_eq(EXEC(k, "\xea\x34\x12\x00\x00\x07\x60"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x60070);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    ck_assert_int_eq(k->cpu->mode, MODE_REAL32);
}

WITH_KIT(idtr_base_is_honoured_and_cs_limit_tested)
{
    mode_real(k);
    kit_put(k, 0x80000 + 4 * VECTOR, 4, 0x12340008);
    k->cpu->regs.idtr.base = 0x80000;
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 8);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x12340);
    mode_real(k);
    k->cpu->regs.seg[SEG_CS].limit = 0x7f;
    kit_put(k, IDT_SPA + 4 * VECTOR, 4, 0x60000080);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP - 6); /* one frame: that of #GP */
}

/* rows: events 7.1.2 */
WITH_KIT(frames_wrap_around_the_small_stack)
{
    mode_real(k);
    k->cpu->r[REG_RSP] = 0xabcd0004; /* SP alone counts */
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xabcdfffe);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 2, 2), 2 | FLAG_IF);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 2), REAL_CS);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfffe, 2), 0);
}

/* JMP +0 and JZ +0, taken. What just goes on there does not wrap: the next fetch is #GP. */
WITH_KIT(a_jump_to_the_next_instruction_wraps_around)
{
    static const uint16_t code[] = { 0x00eb, 0x0074 };
    for (unsigned i = 0; i < 2; i++) {
        mode_real(k);
        kit_put(k, k->cpu->regs.seg[SEG_CS].base + 0xfffe, 2, code[i]);
        k->cpu->r[REG_RIP] = 0xfffe;
        cpu_set_rflags(k->cpu, FLAG_ZF);
        const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 1 };
        ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], 0);
    }
}

/* A word may not wrap: #SS, #DF and the shutdown. rows: events 7.1.2, events 2.2 */
WITH_KIT(odd_stack_pointer_cannot_take_the_wrap)
{
    mode_real(k);
    k->cpu->r[REG_RSP] = 1;
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_STOP);
    ck_assert_int_eq(k->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 1);
}

WITH_KIT(far_call_wraps_around_the_small_stack_or_changes_nothing)
{
    mode_real(k);
    k->cpu->r[REG_RSP] = 2;
    ck_assert_int_eq(EXEC(k, "\x9a\x34\x12\x00\x60"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xfffe);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 2), REAL_CS);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfffe, 2), 5);
    mode_real(k);
    k->cpu->r[REG_RSP] = 3;
    kit_put(k, DATA_SPA + 1, 2, 0x5a5a);
    kit_raised(k, EXEC(k, "\x9a\x34\x12\x00\x60"), EXC_SS, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 3);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 1, 2), 0x5a5a);
}

/* SS.B from protected mode still says how much of ESP counts. rows: pitfalls 3.27 */
WITH_KIT(large_stack_survives_in_real_mode)
{
    mode_real(k);
    k->cpu->regs.seg[SEG_SS] = (struct segment){ .attr = 0xc93, .limit = UINT32_MAX };
    k->cpu->r[REG_RSP] = 0x90000;
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x90000 - 6);
    ck_assert_uint_eq(kit_get(k, 0x90000 - 4, 2), REAL_CS);
    ck_assert_int_eq(EXEC(k, "\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x90000);
}

/* rows: events 13.7, pitfalls 5.11 */
WITH_KIT(protected_mode_instructions_are_ud)
{
    static const struct {
        uint8_t len, bytes[3];
    } rows[] = {
        { 3, { 0x0f, 0x02, 0xc1 } }, /* LAR */
        { 3, { 0x0f, 0x03, 0xc1 } }, /* LSL */
        { 3, { 0x0f, 0x00, 0xe0 } }, /* VERR */
        { 3, { 0x0f, 0x00, 0xe8 } }, /* VERW */
        { 3, { 0x0f, 0x00, 0xd0 } }, /* LLDT */
        { 3, { 0x0f, 0x00, 0xd8 } }, /* LTR */
        { 3, { 0x0f, 0x00, 0xc0 } }, /* SLDT */
        { 3, { 0x0f, 0x00, 0xc8 } }, /* STR */
        { 2, { 0x63, 0xc8 } },       /* ARPL */
    };
    for (unsigned v86 = 0; v86 < 2; v86++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            if (v86)
                mode_v86(k, 3, false);
            else
                mode_real(k);
            uint8_t bytes[15] = { 0 };
            struct insn in;
            memcpy(bytes, rows[i].bytes, rows[i].len);
            if (decode_insn(bytes, sizeof(bytes), k->cpu->mode, &in) != DECODE_INVALID)
                kit_raised(k, kit_exec(k, bytes, rows[i].len), EXC_UD, NO_CODE);
        }
}

/* rows: events 13.6 */
WITH_KIT(lgdt_and_lidt_work)
{
    for (unsigned size = 2; size <= 4; size += 2) {
        mode_real(k);
        kit_put(k, DATA_SPA + 0x10, 2, 0x1234);
        kit_put(k, DATA_SPA + 0x12, 4, 0xabcdef01);
        enum step step =
            size == 2 ? EXEC(k, "\x0f\x01\x1e\x10\x00") : EXEC(k, "\x66\x0f\x01\x1e\x10\x00");
        ck_assert_int_eq(step, STEP_NEXT);
        ck_assert_uint_eq(k->cpu->regs.idtr.limit, 0x1234);
        ck_assert_uint_eq(k->cpu->regs.idtr.base, size == 2 ? 0xcdef01 : 0xabcdef01);
    }
}

/* PE = 0, PG = 1, which only VMRUN can make: the vector table and the stack go through the page tables.
 * APM vol 2, 15.19 "Paged Real Mode". */
WITH_KIT(paged_real_mode_translates)
{
    mode_real(k);
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, LEGACY_PD + 4 * i, 4, (uint64_t)i << 22 | 0x87);
    kit_put(k, LEGACY_PD, 4, 0x65007); /* the first 4 MiB by small pages, moved up by 4 MiB */
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, 0x65000 + 4 * i, 4, 0x400000 + (i << 12) + 7);
    k->cpu->regs.cr0 |= CR0_PG;
    k->cpu->regs.cr4 = CR4_PSE;
    k->cpu->regs.cr3 = LEGACY_PD;
    kit_guest(k);
    ck_assert_int_eq(k->cpu->mode, MODE_REAL);
    kit_put(k, 0x400000 + IDT_SPA + 4 * VECTOR, 4, 0x60000123);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x123);
    ck_assert_uint_eq(kit_get(k, 0x400000 + STACK_TOP - 4, 2), REAL_CS);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 4, 2), 0);
    kit_put(k, 0x65000 + 4 * (STACK_TOP >> 12) - 4, 4, 0); /* the stack's page */
    paging_flush_all(k->cpu->paging);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + EXC_PF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), PF_RW);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), STACK_TOP - 8); /* the first push */
}

/* rows: events 11.1, 11.9, 11.10, pitfalls 3.15 */
WITH_KIT(fast_calls_in_real_mode)
{
    mode_real(k);
    k->cpu->msr.star = 0x0008000000001234;
    ck_assert_int_eq(EXEC(k, "\x0f\x05"), STEP_JUMP); /* AMD: legal in real mode */
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    mode_real(k);
    kit_raised(k, EXEC(k, "\x0f\x07"), EXC_GP, 0);
    k->cpu->msr.sysenter_cs = 8;
    kit_raised(k, EXEC(k, "\x0f\x34"), EXC_GP, 0);
    kit_raised(k, EXEC(k, "\x0f\x35"), EXC_GP, 0);
}

CHECK_MAIN("real", segment_loads_keep_limit_and_attributes, unreal_segment_reaches_beyond_64_kib,
           null_selector_is_a_segment_like_any_other, far_jmp_loads_cs_base,
           far_jmp_beyond_the_cs_limit_is_gp, far_call_pushes_by_operand_size_and_retf_returns,
           retf_beyond_the_cs_limit_changes_nothing, iret_loads_the_flags_of_its_operand_size,
           iret_beyond_the_cs_limit_is_gp_and_leaves_nmis_masked, interrupt_pushes_flags_cs_ip,
           real_mode_pushes_no_error_code, int_n_pushes_the_next_ip, vector_beyond_the_table_is_gp,
           gp_and_df_beyond_the_table_shut_down, idtr_base_is_honoured_and_cs_limit_tested,
           a_32_bit_code_segment_stays_one_in_real_mode, frames_wrap_around_the_small_stack,
           a_jump_to_the_next_instruction_wraps_around, odd_stack_pointer_cannot_take_the_wrap,
           far_call_wraps_around_the_small_stack_or_changes_nothing,
           large_stack_survives_in_real_mode, protected_mode_instructions_are_ud,
           lgdt_and_lidt_work, paged_real_mode_translates, fast_calls_in_real_mode)

/* Far transfers and events of legacy protected mode and from virtual-8086 mode with shadow stacks. APM vol 2, 18.1.1, 18.2
 * "The Shadow Stack Pointer", 18.4 - 18.7. */
#include "tests/cpu/shadow_far_kit.h"

#include "tests/check_main.h"

#define VECTOR 0x21u
#define CALL_CALL32 "\x9a\x00\x00\x00\x00\x48\x01"
#define RETF "\xcb"
#define IRETD "\xcf"
#define TARGET 0x1234u

static void put_stack(struct kit *k, unsigned count, const uint32_t *words)
{
    k->cpu->r[REG_RSP] = STACK_TOP - 0x40;
    for (unsigned i = 0; i < count; i++)
        kit_put(k, STACK_TOP - 0x40 + 4 * i, 4, words[i]);
}

/* --- far transfers --- */

/* Eight bytes a word in every mode; LIP is cut to 32 bits. */
WITH_KIT(call_and_ret_use_32_bits_of_ssp_and_lip)
{
    shadow_prot32(k, 0, true, true);
    k->cpu->shadow.ssp |= 9ull << 32; /* does not count */
    k->cpu->regs.seg[SEG_CS].base = 0xffff0000;
    ck_assert_int_eq(EXEC(k, "\x9a\x34\x12\x00\x00\x18\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP - 24);
    shadow_expect_frame(k, SUPER_TOP, CODE32, 7, SUPER_TOP); /* 10000h + FFFF0000h + 7 */
    kit_put(k, SUPER_TOP - 16, 8, CODE_SPA + 7);             /* as the descriptor has base 0 */
    ck_assert_int_eq(EXEC(k, RETF), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 7);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
}

WITH_KIT(ret_compares_the_linear_address)
{
    for (unsigned right = 0; right < 2; right++) {
        shadow_prot32(k, 0, true, true);
        kit_gdt(k, SPARE, kit_descriptor(0x7000000, 0xfffff, 0xc9b));
        put_stack(k, 2, (const uint32_t[]){ TARGET, SPARE });
        k->cpu->shadow.ssp = SUPER_TOP - 24;
        shadow_put_frame(k, SUPER_TOP, SPARE, TARGET + (right ? 0x7000000 : 0), SUPER_TOP);
        if (right)
            ck_assert_int_eq(EXEC(k, RETF), STEP_JUMP);
        else
            kit_raised(k, EXEC(k, RETF), EXC_CP, CP_FAR_RET);
    }
}

/* A return address of 16 bits is one in LIP, too. */
WITH_KIT(sixteen_bit_calls_and_gates_fit_their_returns)
{
    const uint64_t ip = (CODE_SPA + 6) & 0xffff;
    shadow_prot32(k, 0, true, true);
    k->cpu->r[REG_RIP] = CODE_SPA;
    ck_assert_int_eq(EXEC(k, "\x66\x9a\x34\x12\x18\x00"), STEP_JUMP);
    shadow_expect_frame(k, SUPER_TOP, CODE32, ip, SUPER_TOP);
    ck_assert_int_eq(EXEC(k, "\x66\xcb"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], ip);

    shadow_prot32(k, 0, true, true);
    modes_gate(k, CALL16, SYS_CALL16, 3, CODE32, TARGET, 0);
    ck_assert_int_eq(EXEC(k, "\x9a\x00\x00\x00\x00\x50\x01"), STEP_JUMP);
    shadow_expect_frame(k, SUPER_TOP, CODE32, ip + 1, SUPER_TOP);

    shadow_prot32(k, 0, true, true);
    k->cpu->r[REG_RIP] = CODE_SPA + 6;
    kit_gate32(k, VECTOR, CODE32, TARGET, SYS_INT16, 0);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    shadow_expect_frame(k, SUPER_TOP, CODE32, ip, SUPER_TOP);
    ck_assert_int_eq(EXEC(k, "\x66\xcf"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], ip);
}

/* The same between levels: only 2 to 0 and 1 to 0 push. */
WITH_KIT(sixteen_bit_gate_to_an_inner_level)
{
    shadow_prot32(k, 0, true, true);
    kit_load_segment(k, SEG_CS, CODE32_1 | 1);
    kit_load_segment(k, SEG_SS, DATA1 | 1);
    k->cpu->regs.cpl = 1;
    cpu_update_mode(k->cpu);
    modes_gate(k, CALL16, SYS_CALL16, 3, CODE32, TARGET, 0);
    ck_assert_int_eq(EXEC(k, "\x9a\x00\x00\x00\x00\x50\x01"), STEP_JUMP);
    shadow_expect_frame(k, PL0_TOKEN, CODE32_1 | 1, (CODE_SPA + 7) & 0xffff, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
}

WITH_KIT(popped_ssp_lies_below_4_gib)
{
    shadow_prot32(k, 0, true, true);
    put_stack(k, 2, (const uint32_t[]){ TARGET, CODE32 });
    k->cpu->shadow.ssp = SUPER_TOP - 24;
    shadow_put_frame(k, SUPER_TOP, CODE32, TARGET, 1ull << 32 | SUPER_TOP);
    kit_raised(k, EXEC(k, RETF), EXC_CP, CP_FAR_RET);
}

WITH_KIT(gate_takes_pl0_ssp_below_4_gib)
{
    shadow_prot32(k, 3, true, true);
    modes_gate(k, CALL32, SYS_CALL, 3, CODE32, TARGET, 0);
    k->cpu->shadow.pl_ssp[0] = 1ull << 32 | PL0_TOKEN;
    kit_put(k, PL0_TOKEN, 8, 1ull << 32 | PL0_TOKEN); /* the token would be right */
    kit_raised(k, EXEC(k, CALL_CALL32), EXC_GP, 0);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), 1ull << 32 | PL0_TOKEN);
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN);
    k->cpu->shadow.pl_ssp[0] = PL0_TOKEN;
    ck_assert_int_eq(EXEC(k, CALL_CALL32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
    ck_assert_int_eq(EXEC(k, RETF), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

WITH_KIT(without_paging_there_are_no_shadow_stacks)
{
    mode_prot32(k, 0);
    shadow_contents(k);
    shadow_registers(k, true, true);
    ck_assert_int_eq(EXEC(k, "\x9a\x34\x12\x00\x00\x18\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
    ck_assert_int_eq(EXEC(k, RETF), STEP_JUMP);
    mode_prot32(k, 3);
    shadow_registers(k, true, true);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

/* --- events --- */

WITH_KIT(interrupts_nest_and_return)
{
    shadow_prot32(k, 3, true, true);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    modes_delivered(k, modes_intr(k, VECTOR + 1), VECTOR + 1, 0);
    shadow_expect_frame(k, PL0_TOKEN, CODE32, HANDLER + 16 * VECTOR, PL0_TOKEN);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1); /* still on it */
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

/* Outside long mode there is no IST, and IRET at the same level looks for no token. */
WITH_KIT(iret_at_the_same_level_frees_no_token)
{
    shadow_prot32(k, 0, true, true);
    put_stack(k, 3, (const uint32_t[]){ TARGET, CODE32, 2 });
    k->cpu->shadow.ssp = PL0_TOKEN - 24;
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
    shadow_put_frame(k, PL0_TOKEN, CODE32, TARGET, SUPER_TOP);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
}

WITH_KIT(delivery_faults_on_the_shadow_stack)
{
    shadow_prot32(k, 3, true, true);
    kit_put(k, PL0_TOKEN, 8, 0);
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_STOP); /* nor is there a stack for #GP and #DF */
    shadow_prot32(k, 0, true, true);
    shadow_page32(k, PAGE_SUPER, 0);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_STOP);
    ck_assert_uint_eq(k->cpu->regs.cr2, SUPER_TOP - 8);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
}

/* --- virtual-8086 mode, where shadow stacks are off --- */

static void shadow_v86(struct kit *k)
{
    mode_v86(k, 3, false);
    shadow_contents(k);
    shadow_paging32(k);
    shadow_registers(k, true, true);
}

WITH_KIT(interrupt_from_v86_saves_no_ssp)
{
    shadow_v86(k);
    k->cpu->shadow.ssp = 0x5678;
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN - 8), 0xeeeeeeeeeeeeeeee);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_V86);
    ck_assert_uint_eq(k->cpu->shadow.ssp, 0);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

WITH_KIT(iret_to_v86_wants_an_aligned_ssp)
{
    shadow_v86(k);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    k->cpu->shadow.ssp += 4;
    kit_raised(k, EXEC(k, IRETD), EXC_CP, CP_FAR_RET);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    k->cpu->shadow.s_cet = 0; /* and asks for nothing when shadow stacks are off */
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN + 4);
}

WITH_KIT(far_calls_and_iret_within_v86_know_no_shadow_stack)
{
    shadow_v86(k);
    ck_assert_int_eq(EXEC(k, "\x9a\x34\x12\x00\x10"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_int_eq(EXEC(k, RETF), STEP_JUMP);
    modes_stack(k, 2, 3, (const uint64_t[]){ 0x10, REAL_CS, 2 });
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
}

/* --- fast system calls --- */

WITH_KIT(sysenter_and_sysexit_act_as_syscall_and_sysret)
{
    shadow_prot32(k, 3, true, true);
    k->cpu->msr.sysenter_cs = CODE32;
    k->cpu->shadow.ssp |= 3ull << 32;
    ck_assert_int_eq(EXEC(k, "\x0f\x34"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, 0);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
    ck_assert_int_eq(EXEC(k, "\x0f\x35"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
}

WITH_KIT(sysenter_from_v86_saves_no_ssp)
{
    shadow_v86(k);
    k->cpu->msr.sysenter_cs = CODE32;
    ck_assert_int_eq(EXEC(k, "\x0f\x34"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
    ck_assert_uint_eq(k->cpu->shadow.ssp, 0);
}

WITH_KIT(fast_calls_that_fault_change_no_ssp)
{
    shadow_prot32(k, 3, true, true);
    kit_raised(k, EXEC(k, "\x0f\x34"), EXC_GP, 0); /* no SYSENTER_CS */
    k->cpu->msr.sysenter_cs = CODE32;
    kit_raised(k, EXEC(k, "\x0f\x35"), EXC_GP, 0); /* SYSEXIT at level 3 */
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

CHECK_MAIN("shadow_legacy", call_and_ret_use_32_bits_of_ssp_and_lip,
           ret_compares_the_linear_address, sixteen_bit_calls_and_gates_fit_their_returns,
           sixteen_bit_gate_to_an_inner_level, popped_ssp_lies_below_4_gib,
           gate_takes_pl0_ssp_below_4_gib, without_paging_there_are_no_shadow_stacks,
           interrupts_nest_and_return, iret_at_the_same_level_frees_no_token,
           delivery_faults_on_the_shadow_stack, interrupt_from_v86_saves_no_ssp,
           iret_to_v86_wants_an_aligned_ssp, far_calls_and_iret_within_v86_know_no_shadow_stack,
           sysenter_and_sysexit_act_as_syscall_and_sysret, sysenter_from_v86_saves_no_ssp,
           fast_calls_that_fault_change_no_ssp)

/* Stacks of 16 and 32 bits, operands of 16 and 32 bits: SS.B says how much of rSP counts, the operand size how much moves.
 * APM vol 1, 2.3 "Stack Operation"; vol 2, 4.7.3 "Stack-Segment Descriptors". */
#include "tests/cpu/modes.h"

#include "tests/check_main.h"

static uint64_t below_top(struct kit *k, unsigned bytes, unsigned size)
{
    return kit_get(k, STACK_TOP - bytes, size);
}

/* Modes with a 16-bit stack at DATA_SPA and 16-bit code. */
static void small_mode(struct kit *k, unsigned n)
{
    if (n == 0)
        mode_real(k);
    else if (n == 1)
        mode_v86(k, 3, false);
    else
        mode_prot16(k, 0);
    k->cpu->r[REG_RSP] = 0xabcd0000 | REAL_SP; /* SP alone counts */
}
#define SMALL_MODES 3u

WITH_KIT(push_and_pop_move_sp_alone)
{
    for (unsigned n = 0; n < SMALL_MODES; n++) {
        small_mode(k, n);
        struct vcpu *cpu = k->cpu;
        cpu->r[REG_RAX] = 0x11223344;
        ck_assert_int_eq(EXEC(k, "\x50"), STEP_NEXT); /* PUSH AX */
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | (REAL_SP - 2));
        ck_assert_uint_eq(below_top(k, 2, 2), 0x3344);
        ck_assert_int_eq(EXEC(k, "\x66\x50"), STEP_NEXT); /* PUSH EAX */
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | (REAL_SP - 6));
        ck_assert_uint_eq(below_top(k, 6, 4), 0x11223344);
        ck_assert_int_eq(EXEC(k, "\x66\x5b"), STEP_NEXT); /* POP EBX */
        ck_assert_uint_eq(cpu->r[REG_RBX], 0x11223344);
        ck_assert_int_eq(EXEC(k, "\x5a"), STEP_NEXT); /* POP DX */
        ck_assert_uint_eq(cpu->r[REG_RDX] & 0xffff, 0x3344);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | REAL_SP);
    }
}

WITH_KIT(stack_pointer_wraps_between_words_only)
{
    for (unsigned n = 0; n < SMALL_MODES; n++) {
        small_mode(k, n);
        struct vcpu *cpu = k->cpu;
        cpu->r[REG_RAX] = 0x3344;
        cpu->r[REG_RSP] = 0x50000;
        ck_assert_int_eq(EXEC(k, "\x50"), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0x5fffe);
        ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfffe, 2), 0x3344);
        ck_assert_int_eq(EXEC(k, "\x5b"), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0x50000);
        cpu->r[REG_RSP] = 0x50001;
        kit_raised(k, EXEC(k, "\x50"), EXC_SS, 0);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0x50001);
        cpu->r[REG_RSP] = 0x5ffff;
        kit_raised(k, EXEC(k, "\x5b"), EXC_SS, 0);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0x5ffff);
        cpu->r[REG_RSP] = 0x50002;
        kit_raised(k, EXEC(k, "\x66\x50"), EXC_SS, 0); /* 4 bytes would wrap in the middle */
        ck_assert_uint_eq(cpu->r[REG_RSP], 0x50002);
    }
}

/* rows: pitfalls 2.12 */
WITH_KIT(push_sp_and_pop_sp)
{
    for (unsigned n = 0; n < SMALL_MODES; n++) {
        small_mode(k, n);
        ck_assert_int_eq(EXEC(k, "\x54"), STEP_NEXT);
        ck_assert_uint_eq(below_top(k, 2, 2), REAL_SP);
        kit_put(k, STACK_TOP - 2, 2, 0x1234);
        ck_assert_int_eq(EXEC(k, "\x5c"), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xabcd1234);
    }
}

/* rows: pitfalls 2.18 */
WITH_KIT(push_of_a_segment_register_fills_the_operand)
{
    small_mode(k, 0);
    kit_put(k, STACK_TOP - 4, 4, 0xffffffff);
    ck_assert_int_eq(EXEC(k, "\x66\x1e"), STEP_NEXT); /* PUSH DS, 32 bits */
    ck_assert_uint_eq(below_top(k, 4, 4), REAL_DS);
    ck_assert_int_eq(EXEC(k, "\x66\x07"), STEP_NEXT); /* POP ES */
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_ES].selector, REAL_DS);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xabcd0000 | REAL_SP);
}

WITH_KIT(pusha_and_popa)
{
    for (unsigned n = 0; n < SMALL_MODES; n++)
        for (unsigned size = 2; size <= 4; size += 2) {
            small_mode(k, n);
            struct vcpu *cpu = k->cpu;
            uint64_t rsp = cpu->r[REG_RSP], mask = size == 2 ? 0xffff : 0xffffffff;
            for (unsigned i = 0; i < 8; i++)
                if (i != REG_RSP)
                    cpu->r[i] = 0x11110000u * (i + 1) + i;
            ck_assert_int_eq(size == 2 ? EXEC(k, "\x60") : EXEC(k, "\x66\x60"), STEP_NEXT);
            ck_assert_uint_eq(cpu->r[REG_RSP], rsp - 8 * size);
            for (unsigned i = 0; i < 8; i++)
                ck_assert_uint_eq(below_top(k, (i + 1) * size, size),
                                  (i == REG_RSP ? rsp : 0x11110000u * (i + 1) + i) & mask);
            kit_put(k, STACK_TOP - (REG_RSP + 1) * size, size, 0x5555); /* is skipped */
            for (unsigned i = 0; i < 8; i++)
                if (i != REG_RSP)
                    cpu->r[i] = 0;
            ck_assert_int_eq(size == 2 ? EXEC(k, "\x61") : EXEC(k, "\x66\x61"), STEP_NEXT);
            ck_assert_uint_eq(cpu->r[REG_RSP], rsp);
            for (unsigned i = 0; i < 8; i++)
                if (i != REG_RSP)
                    ck_assert_uint_eq(cpu->r[i], (0x11110000u * (i + 1) + i) & mask);
        }
}

WITH_KIT(pusha_that_faults_keeps_sp)
{
    small_mode(k, 0);
    k->cpu->r[REG_RSP] = 7; /* the fourth word would wrap in its middle */
    kit_raised(k, EXEC(k, "\x60"), EXC_SS, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 7);
    k->cpu->r[REG_RSP] = 0xfff1;
    kit_raised(k, EXEC(k, "\x61"), EXC_SS, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xfff1);
}

/* rows: pitfalls 2.14 */
WITH_KIT(enter_and_leave)
{
    for (unsigned n = 0; n < SMALL_MODES; n++)
        for (unsigned level = 0; level < 3; level++) {
            small_mode(k, n);
            struct vcpu *cpu = k->cpu;
            uint8_t enter[4] = { 0xc8, 0x10, 0x00, 0 };
            enter[3] = (uint8_t)(level + 32); /* modulo 32 */
            uint64_t rsp = cpu->r[REG_RSP];
            cpu->r[REG_RBP] = 0xbbbb4000;
            kit_put(k, DATA_SPA + 0x3ffe, 2, 0x7777); /* the outer frame pointer */
            ck_assert_int_eq(kit_exec(k, enter, 4), STEP_NEXT);
            ck_assert_uint_eq(below_top(k, 2, 2), 0x4000);
            ck_assert_uint_eq(cpu->r[REG_RBP], 0xbbbb0000 | (REAL_SP - 2));
            ck_assert_uint_eq(cpu->r[REG_RSP], rsp - 2 - 2 * level - 0x10);
            if (level == 2)
                ck_assert_uint_eq(below_top(k, 4, 2), 0x7777);
            if (level > 0)
                ck_assert_uint_eq(below_top(k, 2 + 2 * level, 2), REAL_SP - 2);
            ck_assert_int_eq(EXEC(k, "\xc9"), STEP_NEXT);
            ck_assert_uint_eq(cpu->r[REG_RSP], rsp);
            ck_assert_uint_eq(cpu->r[REG_RBP], 0xbbbb4000);
        }
}

/* rows: pitfalls 2.14 */
WITH_KIT(enter_wraps_or_changes_nothing)
{
    small_mode(k, 0);
    struct vcpu *cpu = k->cpu;
    cpu->r[REG_RSP] = 0x70002;
    cpu->r[REG_RBP] = 0x12345678;
    kit_raised(k, EXEC(k, "\x66\xc8\x00\x00\x00"), EXC_SS, 0); /* 4 bytes at FFFEh */
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x70002);
    ck_assert_uint_eq(cpu->r[REG_RBP], 0x12345678);
    cpu->r[REG_RSP] = 0x70000;
    ck_assert_int_eq(EXEC(k, "\x66\xc8\x00\x00\x00"), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x7fffc);
    ck_assert_uint_eq(cpu->r[REG_RBP], 0x7fffc); /* all of ESP, and not a borrow from above */
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfffc, 4), 0x12345678);
    cpu->r[REG_RSP] = 0x12; /* what SS:SP will be is looked at: SP = FFFFh */
    cpu->r[REG_RBP] = 0x4000;
    kit_raised(k, EXEC(k, "\xc8\x11\x00\x00"), EXC_SS, 0);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x12);
    ck_assert_uint_eq(cpu->r[REG_RBP], 0x4000);
}

WITH_KIT(near_call_and_ret)
{
    for (unsigned n = 0; n < SMALL_MODES; n++) {
        small_mode(k, n);
        struct vcpu *cpu = k->cpu;
        cpu->r[REG_RIP] = 0xfff0;
        ck_assert_int_eq(EXEC(k, "\xe8\x10\x00"), STEP_JUMP); /* IP wraps */
        ck_assert_uint_eq(cpu->r[REG_RIP], 3);
        ck_assert_uint_eq(below_top(k, 2, 2), 0xfff3);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | (REAL_SP - 2));
        ck_assert_int_eq(EXEC(k, "\xc2\x04\x00"), STEP_JUMP);
        ck_assert_uint_eq(cpu->r[REG_RIP], 0xfff3);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | (REAL_SP + 4));

        small_mode(k, n); /* 32 bits: the limit counts, before anything is pushed */
        kit_raised(k, EXEC(k, "\x66\xe8\xfa\xff\x00\x00"), EXC_GP, 0);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | REAL_SP);
        ck_assert_int_eq(EXEC(k, "\x66\xe8\xf9\xff\x00\x00"), STEP_JUMP);
        ck_assert_uint_eq(cpu->r[REG_RIP], 0xffff);
        ck_assert_uint_eq(below_top(k, 4, 4), 6);
        kit_put(k, STACK_TOP - 4, 4, 0x10000);
        kit_raised(k, EXEC(k, "\x66\xc3"), EXC_GP, 0);
        ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000 | (REAL_SP - 4));
        cpu->r[REG_RSP] = 1;
        kit_raised(k, EXEC(k, "\xe8\x00\x00"), EXC_SS, 0);
        ck_assert_uint_eq(cpu->r[REG_RSP], 1);
    }
}

/* 16-bit operands on a 32-bit stack: all of ESP counts. */
WITH_KIT(small_operands_on_a_large_stack)
{
    mode_prot32(k, 0);
    struct vcpu *cpu = k->cpu;
    cpu->r[REG_RAX] = 0x11223344;
    cpu->r[REG_RSP] = 0x30000;
    ck_assert_int_eq(EXEC(k, "\x66\x50"), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x2fffe);
    ck_assert_uint_eq(kit_get(k, 0x2fffe, 2), 0x3344);
    ck_assert_int_eq(EXEC(k, "\x66\x5b"), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x30000);
    cpu->r[REG_RBP] = 0x12345678;
    ck_assert_int_eq(EXEC(k, "\x66\xc8\x00\x00\x00"), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RBP], 0x1234fffe);
    cpu->r[REG_RBP] = 0x2fffe; /* LEAVE takes all of EBP */
    ck_assert_int_eq(EXEC(k, "\x66\xc9"), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x30000);
    ck_assert_uint_eq(cpu->r[REG_RBP], 0x25678);
    cpu->r[REG_RIP] = 0x1000; /* a 16-bit RET cuts EIP */
    ck_assert_int_eq(EXEC(k, "\x66\xe8\x00\x01"), STEP_JUMP);
    ck_assert_uint_eq(cpu->r[REG_RIP], 0x1104);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x2fffe);
    ck_assert_int_eq(EXEC(k, "\x66\xc3"), STEP_JUMP);
    ck_assert_uint_eq(cpu->r[REG_RIP], 0x1004);
}

/* The stack's width is that of SS before POP SS. */
WITH_KIT(pop_ss_uses_the_old_width)
{
    mode_prot16(k, 0);
    k->cpu->r[REG_RSP] = 0xabcd0000 | REAL_SP;
    modes_stack(k, 2, 0, NULL);
    kit_put(k, STACK_TOP, 2, DATA0);
    ck_assert_int_eq(EXEC(k, "\x17"), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xabcd0000 | (REAL_SP + 2));
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA0);
}

CHECK_MAIN("stack16", push_and_pop_move_sp_alone, stack_pointer_wraps_between_words_only,
           push_sp_and_pop_sp, push_of_a_segment_register_fills_the_operand, pusha_and_popa,
           pusha_that_faults_keeps_sp, enter_and_leave, enter_wraps_or_changes_nothing,
           near_call_and_ret, small_operands_on_a_large_stack, pop_ss_uses_the_old_width)

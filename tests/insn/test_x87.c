/* Rules of the x87 stack, its exceptions and its last-instruction pointers. What each instruction computes is compared with
 * silicon in test_x87_native.c; here stand the rules that hold on every workstation. APM vol 1, 6.8 "x87 Floating-Point
 * Exceptions". */
#include "tests/insn/rig.h"

#include "emu/fpu/fpu.h"
#include "tests/check_main.h"

#define IE 0x01u
#define DE 0x02u
#define ZE 0x04u
#define OE 0x08u
#define UE 0x10u
#define PE 0x20u
#define SF 0x40u
#define ES_B 0x8080u
#define C1 0x200u
#define TOP(n) ((unsigned)(n) << 11)

static const struct f80 one = { UINT64_C(1) << 63, 0x3fff };
static const struct f80 two = { UINT64_C(1) << 63, 0x4000 };
static const struct f80 three = { UINT64_C(3) << 62, 0x4000 };
static const struct f80 zero = { 0, 0 };
static const struct f80 largest = { UINT64_MAX, 0x7ffe };
static const struct f80 smallest = { UINT64_C(1) << 63, 1 };
static const struct f80 denormal = { 1, 0 };

/* After FNINIT with these exceptions unmasked, and `count` registers pushed: the last is ST(0). */
static struct vcpu *fpu(struct rig *rig, unsigned unmasked, unsigned count, const struct f80 *st)
{
    struct vcpu *cpu = &rig->cpu;
    cpu->x87 = (struct cpu_x87){ .fcw = (uint16_t)(0x37f & ~unmasked) };
    cpu->x87.fsw = (uint16_t)TOP((8 - count) & 7);
    for (unsigned i = 0; i < count; i++) {
        cpu->x87.reg[7 - i] = st[i];
        cpu->x87.used |= (uint8_t)(0x80u >> i);
    }
    cpu->r[REG_RDX] = RIG_SCRATCH;
    cpu_update_fp(cpu);
    return cpu;
}
#define FPU(rig, unmasked, ...)                                                        \
    fpu((rig), (unmasked), sizeof((struct f80[]){ __VA_ARGS__ }) / sizeof(struct f80), \
        (struct f80[]){ __VA_ARGS__ })

static struct f80 st(const struct vcpu *cpu, unsigned i)
{
    return cpu->x87.reg[((cpu->x87.fsw >> 11) + i) & 7];
}

static bool same(struct f80 a, struct f80 b)
{
    return a.mant == b.mant && a.se == b.se;
}

static uint64_t stored(struct rig *rig, unsigned size)
{
    return phys_read(rig->cpu.memory, RIG_SCRATCH_SPA, size);
}

#define RUN(rig, ...) ck_assert_int_eq(EXEC((rig), __VA_ARGS__), STEP_NEXT)
#define WITH_RIG(name)                                     \
    static void name##_body(struct rig *rig);              \
    START_TEST(name)                                       \
    {                                                      \
        struct rig *rig = rig_new(MODE_LONG64);            \
        rig_put(rig, RIG_SCRATCH_SPA, 0x5555555555555555); \
        name##_body(rig);                                  \
        rig_free(rig);                                     \
    }                                                      \
    END_TEST                                               \
    static void name##_body(struct rig *rig)

/* --- the stack ------------------------------------------------------------------------------- */

WITH_RIG(push_onto_a_full_stack_is_overflow)
{
    struct vcpu *cpu = FPU(rig, 0, one, one, one, one, one, one, one, one);
    RUN(rig, 0xd9, 0xe8); /* fld1 */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | IE | SF | C1);
    ck_assert(same(st(cpu, 0), F80_INDEFINITE));
    cpu = FPU(rig, IE, one, two, one, one, one, one, one, three);
    RUN(rig, 0xd9, 0xe8);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(0) | IE | SF | C1 | ES_B);
    ck_assert(same(st(cpu, 0), three));
}

WITH_RIG(empty_operand_is_underflow)
{
    struct vcpu *cpu = FPU(rig, 0, one);
    RUN(rig, 0xd8, 0xc1); /* fadd st, st1 */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | IE | SF);
    ck_assert(same(st(cpu, 0), F80_INDEFINITE));
    cpu = FPU(rig, 0, one);
    RUN(rig, 0xde, 0xc1); /* faddp: the pop happens */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(0) | IE | SF);
    ck_assert(same(st(cpu, 0), F80_INDEFINITE));
    ck_assert_uint_eq(cpu->x87.used, 1);
    cpu = FPU(rig, IE, one);
    RUN(rig, 0xde, 0xc1); /* unmasked: it does not */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | IE | SF | ES_B);
    ck_assert(same(st(cpu, 0), one));
    ck_assert_uint_eq(cpu->x87.used, 0x80);
}

/* FLD ST(i) of an empty register onto a full place: underflow is told. */
WITH_RIG(underflow_comes_before_overflow)
{
    struct vcpu *cpu = FPU(rig, 0, one, one, one, one, one, one, one, one);
    cpu->x87.used &= (uint8_t)~1u; /* ST(0) is physical 0 */
    RUN(rig, 0xd9, 0xc0);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | IE | SF);
}

WITH_RIG(store_of_an_empty_register)
{
    struct vcpu *cpu = fpu(rig, 0, 0, NULL);
    RUN(rig, 0xd9, 0x1a); /* fstp m32 */
    ck_assert_uint_eq(stored(rig, 4), F32_INDEFINITE);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(1) | IE | SF);
    fpu(rig, 0, 0, NULL);
    RUN(rig, 0xdb, 0x1a); /* fistp m32 */
    ck_assert_uint_eq(stored(rig, 4), 0x80000000);
    fpu(rig, 0, 0, NULL);
    RUN(rig, 0xdf, 0x32); /* fbstp */
    ck_assert_uint_eq(stored(rig, 8), UINT64_C(0xc000000000000000));
    ck_assert_uint_eq(phys_read(cpu->memory, RIG_SCRATCH_SPA + 8, 2), 0xffff);
    rig_put(rig, RIG_SCRATCH_SPA, 0x5555555555555555);
    cpu = fpu(rig, IE, 0, NULL);
    RUN(rig, 0xdd, 0x1a); /* fstp m64, unmasked */
    ck_assert_uint_eq(stored(rig, 8), 0x5555555555555555);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(0) | IE | SF | ES_B);
}

/* What silicon executes of the reserved encodings: D9 D8+i pops an empty register without a fault. */
WITH_RIG(aliases)
{
    struct vcpu *cpu = fpu(rig, IE, 0, NULL);
    RUN(rig, 0xd9, 0xd9);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(1));
    cpu = FPU(rig, 0, one, two);
    RUN(rig, 0xdc, 0xd1); /* fcom */
    ck_assert_uint_eq(cpu->x87.fsw & 0x4700, 0);
    RUN(rig, 0xdd, 0xc9); /* fxch */
    ck_assert(same(st(cpu, 0), one));
    RUN(rig, 0xdc, 0xd9); /* fcomp */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | 0x100);
    cpu = FPU(rig, 0, one, two);
    RUN(rig, 0xdf, 0xc1); /* ffreep */
    ck_assert_uint_eq(cpu->x87.used, 0);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7));
    cpu = FPU(rig, 0, one, two);
    RUN(rig, 0xdf, 0xd1); /* fstp */
    ck_assert(same(st(cpu, 0), two));
    RUN(rig, 0xdb, 0xe0); /* feni, fdisi, fsetpm */
    RUN(rig, 0xdb, 0xe1);
    RUN(rig, 0xdb, 0xe4);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7));
}

/* --- unmasked exceptions ------------------------------------------------------------------------ */

/* rows: pitfalls 7.18 */
WITH_RIG(invalid_denormal_and_zero_divide_keep_the_operands)
{
    struct vcpu *cpu = FPU(rig, ZE, zero, one);
    RUN(rig, 0xde, 0xf1); /* fdivrp: 1 / 0 */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(6) | ZE | ES_B);
    ck_assert(same(st(cpu, 0), one) && same(st(cpu, 1), zero));
    cpu = FPU(rig, DE, denormal, one);
    RUN(rig, 0xd8, 0xc1);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(6) | DE | ES_B); /* before PE is found */
    ck_assert(same(st(cpu, 0), one));
    cpu = FPU(rig, IE, (struct f80){ UINT64_C(1) << 62, 0x3fff }, one);
    RUN(rig, 0xd8, 0xc1);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(6) | IE | ES_B);
    ck_assert(same(st(cpu, 0), one));
}

WITH_RIG(overflow_underflow_and_precision_come_with_a_result)
{
    struct vcpu *cpu = FPU(rig, OE, largest, two);
    RUN(rig, 0xde, 0xc9); /* fmulp: the exponent is 24576 less */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | OE | ES_B);
    ck_assert(same(st(cpu, 0), (struct f80){ UINT64_MAX, 0x7fff - 24576 }));
    cpu = FPU(rig, UE, smallest, (struct f80){ UINT64_C(1) << 63, 0x3ffe });
    RUN(rig, 0xde, 0xc9);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | UE | ES_B);
    ck_assert(same(st(cpu, 0), (struct f80){ UINT64_C(1) << 63, 24576 }));
    cpu = FPU(rig, PE, three, two);
    RUN(rig, 0xde, 0xf1); /* fdivrp: 2/3, rounded up in magnitude */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | PE | C1 | ES_B);
    ck_assert(same(st(cpu, 0), (struct f80){ UINT64_C(0xaaaaaaaaaaaaaaab), 0x3ffe }));
}

/* In memory only PE comes with a result. */
WITH_RIG(stores_and_unmasked_exceptions)
{
    struct vcpu *cpu = FPU(rig, OE, largest);
    RUN(rig, 0xdd, 0x1a); /* fstp m64 */
    ck_assert_uint_eq(stored(rig, 8), 0x5555555555555555);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | OE | ES_B);
    cpu = FPU(rig, UE, smallest);
    RUN(rig, 0xdd, 0x1a);
    ck_assert_uint_eq(stored(rig, 8), 0x5555555555555555);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | UE | ES_B);
    cpu = FPU(rig, IE, largest);
    RUN(rig, 0xdf, 0x3a); /* fistp m64 */
    ck_assert_uint_eq(stored(rig, 8), 0x5555555555555555);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | IE | ES_B);
    cpu = FPU(rig, PE, (struct f80){ UINT64_C(0x8000000000000401), 0x3fff });
    RUN(rig, 0xdd, 0x1a);
    ck_assert_uint_eq(stored(rig, 8), 0x3ff0000000000001);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(0) | PE | C1 | ES_B);
}

/* A page fault comes before the exceptions of the same instruction, masked or not, and leaves no trace. */
WITH_RIG(page_faults_come_first)
{
    rig_page(rig, 0x100000, 0);
    for (unsigned unmasked = 0; unmasked <= 1; unmasked++) {
        static const uint8_t code[][2] = { { 0xdd, 0x02 }, { 0xdd, 0x1a }, { 0xdc, 0x02 },
                                           { 0xdb, 0x3a }, { 0xdf, 0x32 }, { 0xdb, 0x1a } };
        for (unsigned i = 0; i < 6; i++) {
            struct vcpu *cpu = fpu(rig, unmasked, 0, NULL);
            if (i == 0) /* a load: onto a full stack */
                cpu->x87.used = 0xff;
            cpu->r[REG_RDX] = 0x100000;
            rig_expect_fault(rig, rig_exec(rig, code[i], 2), EXC_PF, i == 0 || i == 2 ? 0 : 2);
            ck_assert_uint_eq(cpu->x87.fsw, 0);
            ck_assert_uint_eq(cpu->x87.fop, 0);
        }
    }
}

/* Where alignment is checked 10 bytes count as 8. */
WITH_RIG(ten_bytes_are_aligned_to_eight)
{
    rig_segments(&rig->cpu, true, 3);
    rig->cpu.regs.cr0 |= CR0_AM;
    struct vcpu *cpu = FPU(rig, 0, one);
    cpu_set_rflags(cpu, FLAG_AC | 2);
    cpu_update_mode(cpu);
    cpu->r[REG_RDX] = RIG_SCRATCH + 8;
    RUN(rig, 0xdb, 0x2a);
    for (unsigned at = 1; at < 8; at++) {
        cpu->r[REG_RDX] = RIG_SCRATCH + at;
        rig_expect_fault(rig, EXEC(rig, 0xdb, 0x2a), EXC_AC, 0);
        rig_expect_fault(rig, EXEC(rig, 0xdb, 0x3a), EXC_AC, 0);
        if (at != 4) {
            rig_expect_fault(rig, EXEC(rig, 0xd9, 0x32), EXC_AC, 0); /* fnstenv: 4 */
            rig_expect_fault(rig, EXEC(rig, 0xdd, 0x22), EXC_AC, 0); /* frstor */
        }
    }
}

/* --- pending exceptions -------------------------------------------------------------------------- */

/* rows: pitfalls 7.4 */
WITH_RIG(the_next_waiting_instruction_raises_mf)
{
    static const uint8_t waits[][2] = { { 0xd9, 0xe8 }, { 0xd9, 0xd0 }, { 0xdd, 0xc0 },
                                        { 0xd9, 0x2a }, { 0xd9, 0x22 }, { 0xdd, 0x22 },
                                        { 0xdf, 0xc0 }, { 0x0f, 0x77 } };
    static const uint8_t goes[][2] = { { 0xdf, 0xe0 }, { 0xdd, 0x3a }, { 0xd9, 0x3a },
                                       { 0xdb, 0xe0 }, { 0xdb, 0xe1 }, { 0xdb, 0xe4 },
                                       { 0xd9, 0x32 }, { 0xdd, 0x32 }, { 0xdb, 0xe2 },
                                       { 0xdb, 0xe3 } };
    rig->cpu.regs.cr0 |= CR0_NE;
    for (unsigned i = 0; i < sizeof(waits) / 2; i++) {
        struct vcpu *cpu = FPU(rig, ZE, zero, one);
        RUN(rig, 0xd8, 0xf1); /* no #MF here */
        struct cpu_x87 before = cpu->x87;
        rig_expect_fault(rig, rig_exec(rig, waits[i], 2), EXC_MF, 0);
        ck_assert_uint_eq(cpu->x87.fsw, before.fsw);
        ck_assert_uint_eq(cpu->x87.fop, before.fop);
    }
    for (unsigned i = 0; i < sizeof(goes) / 2; i++) {
        (void)FPU(rig, ZE, zero, one);
        RUN(rig, 0xd8, 0xf1);
        ck_assert_int_eq(rig_exec(rig, goes[i], 2), STEP_NEXT);
    }
    (void)FPU(rig, ZE, zero, one);
    RUN(rig, 0xd8, 0xf1);
    rig_expect_fault(rig, EXEC(rig, 0x9b), EXC_MF, 0); /* fwait */
}

/* rows: pitfalls 10.10, events 3.2.2 */
WITH_RIG(a_pending_exception_comes_before_the_faults_of_memory)
{
    static const uint8_t code[][2] = {
        { 0xdd, 0x02 }, { 0xdd, 0x1a }, { 0xd9, 0x2a }, { 0xdb, 0x2a }
    };
    rig->cpu.regs.cr0 |= CR0_NE;
    rig_page(rig, 0x100000, 0);
    for (unsigned i = 0; i < 4; i++) {
        struct vcpu *cpu = FPU(rig, ZE, zero, one);
        RUN(rig, 0xd8, 0xf1);
        cpu->r[REG_RDX] = 0x100000;
        rig_expect_fault(rig, rig_exec(rig, code[i], 2), EXC_MF, 0);
        cpu->regs.cr0 |= CR0_TS;
        cpu_update_fp(cpu);
        rig_expect_fault(rig, rig_exec(rig, code[i], 2), EXC_NM, 0);
        cpu->regs.cr0 &= ~(uint64_t)CR0_TS;
        RUN(rig, 0xdb, 0xe2); /* fnclex */
        rig_expect_fault(rig, rig_exec(rig, code[i], 2), EXC_PF, i == 1 ? 2 : 0);
    }
}

WITH_RIG(control_word_makes_flags_pending)
{
    struct vcpu *cpu = FPU(rig, 0, zero, one);
    RUN(rig, 0xd8, 0xf1); /* masked ZE */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(6) | ZE);
    rig_put(rig, RIG_SCRATCH_SPA, 0xf37b);
    RUN(rig, 0xd9, 0x2a);                    /* fldcw */
    ck_assert_uint_eq(cpu->x87.fcw, 0x137b); /* bits that exist */
    ck_assert_uint_eq(cpu->x87.fsw, TOP(6) | ZE | ES_B);
    ck_assert(!(cpu->ready & READY_X87));
    RUN(rig, 0xd9, 0x32); /* fnstenv masks: nothing is pending now */
    ck_assert_uint_eq(cpu->x87.fcw, 0x137f);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(6) | ZE);
    ck_assert_uint_eq(stored(rig, 2), 0x137b);
    ck_assert(cpu->ready & READY_X87);
}

WITH_RIG(fnclex_clears_flags_and_keeps_conditions)
{
    struct vcpu *cpu = FPU(rig, IE, one);
    cpu->x87.fsw = 0x7fff | ES_B;
    cpu->x87.fip = 5;
    RUN(rig, 0xdb, 0xe2);
    ck_assert_uint_eq(cpu->x87.fsw, 0x7f00);
    ck_assert_uint_eq(cpu->x87.fip, 5);
}

/* rows: pitfalls 7.3 */
WITH_RIG(reset_and_fninit)
{
    struct vcpu *cpu = &rig->cpu;
    cpu->r[REG_RDX] = RIG_SCRATCH;
    cpu_reset(cpu);
    ck_assert_uint_eq(cpu->x87.fcw, 0x40);
    ck_assert_uint_eq(cpu->x87.fsw, 0);
    ck_assert_uint_eq(cpu->x87.used, 0xff);
    for (unsigned i = 0; i < 8; i++)
        ck_assert(same(cpu->x87.reg[i], zero)); /* so that FNSTENV gives 5555h */
    cpu->x87.reg[3] = three;
    cpu->x87.fop = cpu->x87.fcs = cpu->x87.fds = 1;
    cpu->x87.fip = cpu->x87.fdp = 1;
    RUN(rig, 0xdb, 0xe3);
    ck_assert_uint_eq(cpu->x87.fcw, 0x37f);
    ck_assert_uint_eq(cpu->x87.fsw, 0);
    ck_assert_uint_eq(cpu->x87.used, 0);
    ck_assert_uint_eq(cpu->x87.fop | cpu->x87.fcs | cpu->x87.fds, 0);
    ck_assert_uint_eq(cpu->x87.fip | cpu->x87.fdp, 0);
    ck_assert(same(cpu->x87.reg[3], three));
}

/* --- pointers -------------------------------------------------------------------------------------- */

WITH_RIG(pointers_name_the_last_instruction)
{
    struct vcpu *cpu = FPU(rig, 0, one);
    cpu->regs.seg[SEG_CS].selector = 0x33;
    cpu->regs.seg[SEG_DS].selector = 0x2b;
    cpu->regs.seg[SEG_FS].selector = 0x53;
    cpu->x87.fdp = 0x1234;
    RUN(rig, 0xd9, 0xe1); /* fabs */
    ck_assert_uint_eq(cpu->x87.fop, 0x1e1);
    ck_assert_uint_eq(cpu->x87.fip, RIG_RIP);
    ck_assert_uint_eq(cpu->x87.fcs, 0x33);
    ck_assert_uint_eq(cpu->x87.fdp, 0x1234);
    RUN(rig, 0xdc, 0x42, 0x08); /* fadd qword [rdx+8] */
    ck_assert_uint_eq(cpu->x87.fop, 0x442);
    ck_assert_uint_eq(cpu->x87.fdp, RIG_SCRATCH + 8);
    ck_assert_uint_eq(cpu->x87.fds, 0x2b);
    cpu->regs.seg[SEG_FS].base = 16;
    RUN(rig, 0x64, 0xd9, 0x12); /* fst dword fs:[rdx]: the offset */
    ck_assert_uint_eq(cpu->x87.fop, 0x112);
    ck_assert_uint_eq(cpu->x87.fip, RIG_RIP); /* prefixes included */
    ck_assert_uint_eq(cpu->x87.fdp, RIG_SCRATCH);
    ck_assert_uint_eq(cpu->x87.fds, 0x53);
    RUN(rig, 0xd9, 0xd0); /* fnop counts */
    ck_assert_uint_eq(cpu->x87.fop, 0x1d0);
    RUN(rig, 0xd9, 0x7a, 0x10); /* control instructions do not */
    RUN(rig, 0xdf, 0xe0);
    RUN(rig, 0xdb, 0xe2);
    RUN(rig, 0xdb, 0xe1);
    RUN(rig, 0x9b);
    RUN(rig, 0x0f, 0x77); /* nor does EMMS */
    ck_assert_uint_eq(cpu->x87.fop, 0x1d0);
}

/* --- MMX -------------------------------------------------------------------------------------------- */

WITH_RIG(emms_empties_all_and_clears_top)
{
    struct vcpu *cpu = FPU(rig, 0, one, two);
    cpu->x87.fsw |= 0x4700 | PE;
    RUN(rig, 0x0f, 0x77);
    ck_assert_uint_eq(cpu->x87.used, 0);
    ck_assert_uint_eq(cpu->x87.fsw, 0x4700 | PE);
    ck_assert(same(cpu->x87.reg[7], one));
}

/* Every instruction with an MMX register makes all registers used and TOP 0, also one that only reads it; and those with an
 * operand in memory instead do not (measured on Zen 4). APM vol 1, 5.10. */
WITH_RIG(mmx_registers_take_the_stack)
{
    static const struct {
        uint8_t bytes[4], len;
        bool enters;
    } rows[] = {
        { { 0x0f, 0x7e, 0xc0 }, 3, true },        /* movd eax, mm0 */
        { { 0x0f, 0x7f, 0x02 }, 3, true },        /* movq [rdx], mm0 */
        { { 0x0f, 0x6f, 0xca }, 3, true },        /* movq mm1, mm2 */
        { { 0x0f, 0xd7, 0xd8 }, 3, true },        /* pmovmskb ebx, mm0 */
        { { 0x0f, 0xc5, 0xc0, 0x01 }, 4, true },  /* pextrw eax, mm0, 1 */
        { { 0x0f, 0xe7, 0x02 }, 3, true },        /* movntq [rdx], mm0 */
        { { 0x0f, 0xf7, 0xc1 }, 3, true },        /* maskmovq mm0, mm1 */
        { { 0x0f, 0xfc, 0xc1 }, 3, true },        /* paddb mm0, mm1 */
        { { 0xf3, 0x0f, 0xd6, 0xc0 }, 4, true },  /* movq2dq xmm0, mm0 */
        { { 0xf2, 0x0f, 0xd6, 0xc0 }, 4, true },  /* movdq2q mm0, xmm0 */
        { { 0x0f, 0x2a, 0xc0 }, 3, true },        /* cvtpi2ps xmm0, mm0 */
        { { 0x66, 0x0f, 0x2a, 0xc0 }, 4, true },  /* cvtpi2pd xmm0, mm0 */
        { { 0x0f, 0x2c, 0xc0 }, 3, true },        /* cvttps2pi mm0, xmm0 */
        { { 0x0f, 0x2a, 0x02 }, 3, false },       /* cvtpi2ps xmm0, [rdx] */
        { { 0x66, 0x0f, 0x2a, 0x02 }, 4, false }, /* cvtpi2pd xmm0, [rdx] */
    };
    rig->cpu.regs.cr4 |= CR4_OSFXSR;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vcpu *cpu = FPU(rig, 0, one, two);
        cpu->x87.fsw |= 0x4700;
        cpu->simd.mxcsr = 0x1f80;
        cpu->r[REG_RDI] = RIG_SCRATCH;
        ck_assert_int_eq(rig_exec(rig, rows[i].bytes, rows[i].len), STEP_NEXT);
        ck_assert_msg(cpu->x87.used == (rows[i].enters ? 0xff : 0xc0), "row %u", i);
        ck_assert_msg(cpu->x87.fsw == (rows[i].enters ? 0x4700 : 0x4700 | TOP(6)), "row %u", i);
    }
}

/* --- what a condition code keeps --------------------------------------------------------------------- */

/* FCOMI sets its flags also when an unmasked exception keeps it from the pop. */
WITH_RIG(fcomi_sets_flags_whatever_happens)
{
    struct vcpu *cpu = FPU(rig, IE, one);
    cpu_set_rflags(cpu, FLAG_OF | FLAG_SF | FLAG_AF | 2);
    RUN(rig, 0xdf, 0xf1); /* fcomip st, st1: empty */
    ck_assert_uint_eq(cpu_rflags(cpu) & FLAGS_STATUS, FLAG_ZF | FLAG_PF | FLAG_CF);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | IE | SF | ES_B);
    cpu = FPU(rig, 0, two, one);
    cpu->x87.fsw |= C1;
    RUN(rig, 0xdf, 0xf1); /* less; C1 stays */
    ck_assert_uint_eq(cpu_rflags(cpu) & FLAGS_STATUS, FLAG_CF);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | C1);
}

WITH_RIG(fxam_tells_the_class_and_the_sign)
{
    static const struct {
        struct f80 a;
        unsigned conditions;
    } rows[] = {
        { { 0, 0x8000 }, 0x4000 | C1 },
        { { 1, 0 }, 0x4400 },
        { { UINT64_C(1) << 63, 0 }, 0x4400 }, /* a pseudo-denormal */
        { { UINT64_C(1) << 63, 1 }, 0x0400 },
        { { UINT64_C(1) << 63, 0xffff }, 0x0500 | C1 },
        { { UINT64_C(3) << 62, 0x7fff }, 0x0100 },
        { { 1, 1 }, 0 },
        { { 1, 0x7fff }, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vcpu *cpu = FPU(rig, 0, rows[i].a);
        RUN(rig, 0xd9, 0xe5);
        ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | rows[i].conditions);
    }
    struct vcpu *cpu = FPU(rig, 0, (struct f80){ 0, 0x8000 });
    cpu->x87.used = 0;
    RUN(rig, 0xd9, 0xe5);
    ck_assert_uint_eq(cpu->x87.fsw, TOP(7) | 0x4100 | C1);
}

CHECK_MAIN("x87", push_onto_a_full_stack_is_overflow, empty_operand_is_underflow,
           underflow_comes_before_overflow, store_of_an_empty_register, aliases,
           invalid_denormal_and_zero_divide_keep_the_operands,
           overflow_underflow_and_precision_come_with_a_result, stores_and_unmasked_exceptions,
           page_faults_come_first, ten_bytes_are_aligned_to_eight,
           the_next_waiting_instruction_raises_mf,
           a_pending_exception_comes_before_the_faults_of_memory, control_word_makes_flags_pending,
           fnclex_clears_flags_and_keeps_conditions, reset_and_fninit,
           pointers_name_the_last_instruction, emms_empties_all_and_clears_top,
           mmx_registers_take_the_stack, fcomi_sets_flags_whatever_happens,
           fxam_tells_the_class_and_the_sign)

/* Floating point in vector registers against the workstation's processor: every form of fp_forms.h on random
 * operands with weight on the edges, under every rounding mode, with DAZ and FTZ, and with unmasked exceptions.
 * What the processor reports then is compared too. Passes trivially on workstations without AVX, F16C and FMA. */
#include "tests/insn/rig.h"

#if defined(__x86_64__)

#include "tests/insn/fp_forms.h"
#include "tests/insn/native_fp.h"
#include "tests/random.h"

#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <stdio.h>

#define DATA 0x160000u
#ifndef ROUNDS
#define ROUNDS 600 /* for each form */
#endif

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t random64(void)
{
    return test_random(&seed);
}

static uint64_t below(uint64_t n)
{
    return (random64() >> 33) % n;
}

/* --- operands -------------------------------------------------------------------------------- */

static const uint32_t singles[] = {
    0,          1,          2,          0x00400000, 0x007fffff, 0x00800000, 0x00800001, 0x00ffffff,
    0x33000000, 0x33800000, 0x34000000, 0x38800000, 0x387fc000, 0x33000001, 0x3effffff, 0x3f000000,
    0x3f000001, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fc00000, 0x40000000, 0x40200000, 0x4effffff,
    0x4f000000, 0x4b000000, 0x4affffff, 0x5f000000, 0x5effffff, 0x477fe000, 0x477ff000, 0x47800000,
    0x7effffff, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fa00000, 0x7fc00000, 0x7fc12345,
    0x7fffffff, 0x1fffffff, 0x20000000, 0x3fffffff, 0x5f7fffff, 0x1f800000
};
static const uint64_t doubles[] = {
    0,
    1,
    2,
    0x0008000000000000,
    0x000fffffffffffff,
    0x0010000000000000,
    0x0010000000000001,
    0x001fffffffffffff,
    0x3690000000000000, /* half the smallest denormal of singles */
    0x36a0000000000000,
    0x36a0000000000001,
    0x380fffffffffffff, /* the edge of normal singles */
    0x380fffffe0000000,
    0x380fffffd0000000,
    0x3810000000000000,
    0x3ca0000000000000, /* the last bit of one */
    0x3cb0000000000000,
    0x3fdfffffffffffff,
    0x3fe0000000000000,
    0x3fe0000000000001,
    0x3fefffffffffffff,
    0x3ff0000000000000,
    0x3ff0000000000001,
    0x3ff8000000000000,
    0x4000000000000000,
    0x4004000000000000,
    0x41dfffffffc00000, /* the edges of integers of 32 and 64 bits */
    0x41dfffffffe00000,
    0x41e0000000000000,
    0x41e0000000100000,
    0x41e0000000200000,
    0x4330000000000000,
    0x432fffffffffffff,
    0x43dfffffffffffff,
    0x43e0000000000000,
    0x47efffffe0000000, /* the edge of infinity for singles */
    0x47efffffefffffff,
    0x47effffff0000000,
    0x7fe0000000000000,
    0x7fefffffffffffff,
    0x7ff0000000000000,
    0x7ff0000000000001,
    0x7ff4000000000000,
    0x7ff8000000000000,
    0x7ff8123456789abc,
    0x7fffffffffffffff,
    0x5fe0000000000000,
    0x1fe0000000000000
};
static const uint32_t integers[] = { 0,          1,          0x7fffffff, 0x80000000, 0xffffffff,
                                     0x00ffffff, 0x01000000, 0x01000001, 0x01000002, 0x01000003,
                                     0x7fffffbf, 0x7fffffc0, 0x02000001, 0xfeffffff };
static const uint64_t longs[] = { 0,
                                  1,
                                  INT64_MAX,
                                  (uint64_t)INT64_MIN,
                                  UINT64_MAX,
                                  0x001fffffffffffff,
                                  0x0020000000000001,
                                  0x0020000000000003,
                                  0x7ffffffffffffdff,
                                  0x7ffffffffffffe00,
                                  0x7fffffbfffffffff,
                                  0x7fffffc000000000,
                                  0x0000000001000001 };
static const uint16_t halves[] = { 0,      1,      0x200,  0x3ff,  0x400,  0x3c00,
                                   0x7bff, 0x7c00, 0x7c01, 0x7d00, 0x7e00, 0x7fff };

#define PICK(list) (list)[below(sizeof(list) / sizeof((list)[0]))]

static uint32_t single(void)
{
    uint32_t sign = (uint32_t)(random64() >> 63 << 31);
    switch (below(8)) {
    case 0: return (uint32_t)random64();
    case 1: return sign | (uint32_t)below(0x01000000); /* denormal and near */
    case 2: return sign | (uint32_t)(120 + below(16)) << 23 | (uint32_t)below(8) << 20; /* ties */
    case 3: return sign | (uint32_t)(64 + below(128)) << 23 | (uint32_t)(random64() & 0x7fffff);
    case 4: return sign | (uint32_t)(127 + below(64)) << 23 | (uint32_t)(random64() & 0x7fffff);
    default: return sign | PICK(singles);
    }
}

static uint64_t real(void)
{
    uint64_t sign = random64() >> 63 << 63, fraction = random64() >> 12;
    switch (below(8)) {
    case 0: return random64();
    case 1: return sign | random64() >> (11 + below(40));
    case 2: return sign | (1016 + below(16)) << 52 | below(8) << 49;
    case 3: return sign | (512 + below(1024)) << 52 | fraction;
    case 4: return sign | (870 + below(300)) << 52 | (fraction & ~UINT64_C(0) << below(40));
    default: return sign | PICK(doubles);
    }
}

static uint64_t half(void)
{
    return below(3) ? (uint16_t)(PICK(halves) | random64() >> 63 << 15) : random64() & 0xffff;
}

static uint64_t integer(void)
{
    return below(2) ? PICK(integers) : (uint32_t)random64() >> below(32);
}

/* 64 bits of operands of a kind. */
static uint64_t operand(char kind)
{
    switch (kind) {
    case 'S': return single() | (uint64_t)single() << 32;
    case 'D': return real();
    case 'I': return integer() | integer() << 32;
    case 'L': return below(2) ? PICK(longs) : (uint64_t)((int64_t)random64() >> below(64));
    default: return half() | half() << 16 | half() << 32 | half() << 48;
    }
}

static uint32_t random_mxcsr(void)
{
    uint32_t mxcsr = (uint32_t)below(4) << 13 | 0x1f80;
    if (below(3) == 0)
        mxcsr |= MXCSR_DAZ;
    if (below(3) == 0)
        mxcsr |= MXCSR_FTZ;
    if (below(4) == 0)
        mxcsr |= (uint32_t)below(64);
    if (below(4) == 0)
        mxcsr &= ~(uint32_t)(below(64) << 7);
    else if (below(8) == 0)
        mxcsr &= ~(0x80u << below(6));
    return mxcsr;
}

static struct fp_state random_state(char kind)
{
    struct fp_state s = { 0 };
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 4; j++)
            s.ymm[i][j] = operand(kind);
    if (below(8) == 0) /* few elements matter: the flags of one can be told */
        for (unsigned i = 0; i < 4; i++)
            s.ymm[i][1] = s.ymm[i][2] = s.ymm[i][3] = 0;
    for (unsigned i = 0; i < 8; i++)
        s.mem[i] = operand(kind);
    s.mm[0] = operand(kind);
    s.mm[1] = operand(kind);
    s.rax = operand(kind);
    s.rcx = random64();
    s.rflags = 0x202 | (random64() & FLAGS_STATUS);
    s.mxcsr = random_mxcsr();
    return s;
}

/* --- the emulated side ----------------------------------------------------------------------- */

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
    (void)mem_regime(cpu);
    native_fp_begin();
}

static void teardown(void)
{
    rig_free(rig);
}

#define UPPER 0x5a /* what bits 511:256 hold before */

/* VEX encodings clear bits 511:256 of their destination with its result; everything else keeps them. */
static bool upper_is_right(const struct insn *in, bool fault)
{
    bool clears =
        in->vex && !fault && in->op[0].kind == OPERAND_VECTOR && !(in->flags & INSN_WRITES_ALL);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 32; j < 64; j++)
            if (cpu->simd.v[i].u8[j] != (clears && i == in->op[0].reg ? 0 : UPPER))
                return false;
    return true;
}

/* As native_fp_run(). */
static enum step emulated_run(struct fp_state *s, const struct insn *in)
{
    for (unsigned i = 0; i < 4; i++) {
        memset(&cpu->simd.v[i], UPPER, sizeof(cpu->simd.v[i]));
        memcpy(&cpu->simd.v[i], s->ymm[i], 32);
    }
    memcpy(rig_ptr(rig, DATA), s->mem, sizeof(s->mem));
    cpu->x87.fsw = 3 << FSW_TOP_SHIFT;
    cpu->x87.used = 0;
    cpu->x87.reg[0].mant = s->mm[0];
    cpu->x87.reg[1].mant = s->mm[1];
    cpu->r[REG_RAX] = s->rax;
    cpu->r[REG_RCX] = s->rcx;
    cpu->r[REG_RDI] = DATA;
    cpu->r[REG_RIP] = RIG_RIP;
    cpu->simd.mxcsr = s->mxcsr;
    cpu_set_rflags(cpu, s->rflags);

    enum step step = insn_run(cpu, in);

    for (unsigned i = 0; i < 4; i++)
        memcpy(s->ymm[i], &cpu->simd.v[i], 32);
    memcpy(s->mem, rig_ptr(rig, DATA), sizeof(s->mem));
    s->mm[0] = cpu->x87.reg[0].mant;
    s->mm[1] = cpu->x87.reg[1].mant;
    s->fsw = cpu->x87.fsw;
    s->tags = cpu->x87.used;
    s->rax = cpu->r[REG_RAX];
    s->rcx = cpu->r[REG_RCX];
    s->rflags = cpu_rflags(cpu);
    s->mxcsr = cpu->simd.mxcsr;
    s->fault = step == STEP_RAISED;
    return step;
}

/* --- comparison ------------------------------------------------------------------------------ */

static void print_state(const char *title, const struct fp_state *s)
{
    printf("%s: mxcsr %05x%s rax %016lx rflags %03lx fsw %04x tags %02x mm %016lx %016lx\n", title,
           s->mxcsr, s->fault ? " #XF" : "", (unsigned long)s->rax,
           (unsigned long)(s->rflags & FLAGS_STATUS), s->fsw, s->tags, (unsigned long)s->mm[0],
           (unsigned long)s->mm[1]);
    for (unsigned i = 0; i < 3; i++)
        printf("    ymm%u %016lx %016lx %016lx %016lx\n", i, (unsigned long)s->ymm[i][3],
               (unsigned long)s->ymm[i][2], (unsigned long)s->ymm[i][1],
               (unsigned long)s->ymm[i][0]);
    printf("    mem  %016lx %016lx %016lx %016lx\n", (unsigned long)s->mem[3],
           (unsigned long)s->mem[2], (unsigned long)s->mem[1], (unsigned long)s->mem[0]);
}

static bool same(const struct fp_state *a, const struct fp_state *b)
{
    return memcmp(a->ymm, b->ymm, sizeof(a->ymm)) == 0 &&
           memcmp(a->mem, b->mem, sizeof(a->mem)) == 0 && a->mm[0] == b->mm[0] &&
           a->mm[1] == b->mm[1] && a->rax == b->rax && a->rcx == b->rcx &&
           (a->rflags & FLAGS_STATUS) == (b->rflags & FLAGS_STATUS) && a->mxcsr == b->mxcsr &&
           a->fault == b->fault && a->fsw == b->fsw && a->tags == b->tags;
}

static bool is_able(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* Approximations and the state of MMX are as on Zen 4: other processors cannot tell. */
static bool is_zen4(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx)
        return false;
    return __get_cpuid(1, &a, &b, &c, &d) && (a >> 20 & 0xff) == 0xa && (a >> 8 & 15) == 15;
}

static bool specific(const struct fp_form *form)
{
    return strstr(form->text, "rcp") || strstr(form->text, "rsqrt") || strstr(form->text, "pi");
}

START_TEST(results_and_exceptions_are_the_processors)
{
    unsigned wrong = 0, forms = 0, faults = 0;
    if (!is_able())
        return;
    bool zen4 = is_zen4();
    for (const struct fp_form *form = __start_fp_forms; form < __stop_fp_forms; form++) {
        if (!zen4 && specific(form))
            continue;
        struct insn in = rig_decode(rig, form->code, form->len);
        unsigned wrong_here = 0;
        forms++;
        for (unsigned i = 0; i < ROUNDS && wrong_here < 1; i++) {
            const struct fp_state from = random_state(form->kind);
            struct fp_state native = from, emulated = from;
            native_fp_run(&native, form->code, form->len);
            enum step step = emulated_run(&emulated, &in);
            faults += native.fault;
            ck_assert(step == STEP_NEXT || step == STEP_RAISED);
            if (step == STEP_RAISED)
                ck_assert_uint_eq(cpu->raised.event.vector, EXC_XF);
            if (same(&native, &emulated) && upper_is_right(&in, native.fault))
                continue;
            wrong_here++;
            printf("%s\n", form->text);
            print_state("from", &from);
            print_state("native", &native);
            print_state("emulated", &emulated);
        }
        wrong += wrong_here;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(forms, 1000);
    ck_assert_uint_gt(faults, forms);
}
END_TEST

static bool has_form(uint16_t mnemonic)
{
    for (const struct fp_form *form = __start_fp_forms; form < __stop_fp_forms; form++)
        if (rig_decode(rig, form->code, form->len).mnemonic == mnemonic)
            return true;
    return false;
}

START_TEST(every_row_has_a_form)
{
    static const uint16_t rows[] = {
#define INSN(name, body, flags, feature) ZYDIS_MNEMONIC_##name,
#include "emu/insn/vector_fp.def"
#undef INSN
        ZYDIS_MNEMONIC_CMPSD
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *name = ZydisMnemonicGetString((ZydisMnemonic)rows[i]);
        ck_assert_msg(has_form(rows[i]) || strstr(name, "mxcsr"), "%s", name);
    }
}
END_TEST

#else

static void setup(void)
{
}

static void teardown(void)
{
}

START_TEST(results_and_exceptions_are_the_processors)
{
}
END_TEST

START_TEST(every_row_has_a_form)
{
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("floating point in vector registers, natively");
    TCase *tcase = tcase_create("native");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, results_and_exceptions_are_the_processors);
    tcase_add_test(tcase, every_row_has_a_form);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

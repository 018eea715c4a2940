/* PCMPxSTRx: results, lengths and flags. test_vector_int.c compares all immediates with the processor; here a slow model does,
 * which takes each element by itself. Runs everywhere. */
#include "tests/insn/rig.h"
#include "tests/random.h"

static struct rig *rig;
static struct vcpu *cpu;

static void start(enum cpu_mode mode)
{
    rig = rig_new(mode);
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
}

static void setup(void)
{
    start(MODE_LONG64);
}

static void teardown(void)
{
    rig_free(rig);
}

#define RUN(...) ck_assert_int_eq(EXEC(rig, __VA_ARGS__), STEP_NEXT)

static void put_text(unsigned reg, const char *text)
{
    memset(&cpu->simd.v[reg], 0, 16);
    memcpy(&cpu->simd.v[reg], text, strlen(text));
}

/* PCMPISTRI XMM1, XMM3: index and flags as Zen 4 has them. */
START_TEST(implicit_strings_have_the_documented_results)
{
    static const struct {
        const char *a, *b;
        uint8_t imm;
        unsigned index;
        uint32_t flags;
    } rows[] = {
        /* any: the first of "abc" in b */
        { "cba", "xyzabc", 0x00, 3, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "cba", "xyzabc", 0x40, 5, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "cba", "xyz", 0x00, 16, FLAG_ZF | FLAG_SF },
        /* ranges: a digit; no digit, masked; no digit, negated: the end counts */
        { "09", "ab7", 0x04, 2, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "09", "7a", 0x34, 1, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "09", "77", 0x34, 16, FLAG_ZF | FLAG_SF },
        { "09", "77", 0x14, 2, FLAG_CF | FLAG_ZF | FLAG_SF },
        /* each, negated: where strings differ; behind both ends they agree */
        { "abcd", "abxd", 0x18, 2, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "abcd", "abcd", 0x18, 16, FLAG_ZF | FLAG_SF },
        { "0123456789abcdef", "0123456789abcdef", 0x18, 16, 0 },
        { "0123456789abcdef", "x123456789abcdef", 0x18, 0, FLAG_CF | FLAG_OF },
        /* ordered: a in b, also when only its start is in sight */
        { "cd", "abcdcd", 0x0c, 2, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "cd", "abcdcd", 0x4c, 4, FLAG_CF | FLAG_ZF | FLAG_SF },
        { "cd", "ababababababababc", 0x0c, 16, FLAG_SF },
        { "cd", "abababababababac", 0x0c, 15, FLAG_CF | FLAG_SF },
        { "", "abc", 0x0c, 0, FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_OF },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char b[17] = "";
        strncat(b, rows[i].b, 16);
        put_text(1, rows[i].a);
        put_text(3, b);
        cpu->r[REG_RCX] = UINT64_MAX;
        cpu_set_rflags(cpu, 2 | FLAGS_STATUS);
        RUN(0x66, 0x0f, 0x3a, 0x63, 0xcb, rows[i].imm);
        ck_assert_uint_eq(cpu->r[REG_RCX], rows[i].index);
        ck_assert_uint_eq(cpu_rflags(cpu) & FLAGS_STATUS, rows[i].flags);
    }
}
END_TEST

/* PCMPESTRI of equal bytes: CF with 08h (each), and the lengths by ZF and SF. */
static void expect_lengths(bool wide, uint64_t rax, uint64_t rdx, unsigned a_len, unsigned b_len)
{
    memset(&cpu->simd.v[1], 'x', 16);
    memset(&cpu->simd.v[3], 'x', 16);
    cpu->r[REG_RAX] = rax;
    cpu->r[REG_RDX] = rdx;
    if (wide)
        RUN(0x66, 0x48, 0x0f, 0x3a, 0x60, 0xcb, 0x08); /* PCMPESTRM XMM1, XMM3, 08h */
    else
        RUN(0x66, 0x0f, 0x3a, 0x60, 0xcb, 0x08);
    unsigned in_a = (1u << a_len) - 1, in_b = (1u << b_len) - 1;
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], 0xffffu & ~(in_a ^ in_b));
    ck_assert_uint_eq(cpu->simd.v[0].u64[1], 0);
    uint64_t flags = cpu_rflags(cpu);
    ck_assert_int_eq((flags & FLAG_SF) != 0, a_len < 16);
    ck_assert_int_eq((flags & FLAG_ZF) != 0, b_len < 16);
}

START_TEST(explicit_lengths_are_magnitudes_that_saturate)
{
    const uint64_t high = UINT64_C(0x100000000);
    expect_lengths(false, 0, 16, 0, 16);
    expect_lengths(false, 15, 17, 15, 16);
    expect_lengths(false, (uint64_t)-5, 0xfffffffdu, 5, 3);
    expect_lengths(false, 0x80000000u, 0x7fffffff, 16, 16);
    expect_lengths(false, high | 3, ~high, 3, 1); /* EAX and EDX alone */
    expect_lengths(true, high | 3, 2, 16, 2);     /* REX.W: all of them */
    expect_lengths(true, (uint64_t)-5, 0xfffffffdu, 5, 16);
    expect_lengths(true, UINT64_C(1) << 63, 0, 16, 0);
}
END_TEST

/* VEX.W counts in 64-bit mode alone. */
START_TEST(explicit_lengths_of_vex)
{
    memset(&cpu->simd.v[1], 'x', 16);
    memset(&cpu->simd.v[3], 'x', 16);
    cpu->r[REG_RAX] = UINT64_C(0x100000000);
    cpu->r[REG_RDX] = 16;
    RUN(0xc4, 0xe3, 0x79, 0x61, 0xcb, 0x00); /* VPCMPESTRI: a is empty */
    ck_assert_uint_eq(cpu->r[REG_RCX], 16);
    RUN(0xc4, 0xe3, 0xf9, 0x61, 0xcb, 0x00);
    ck_assert_uint_eq(cpu->r[REG_RCX], 0);
    teardown();
    start(MODE_PROT32);
    memset(&cpu->simd.v[1], 'x', 16);
    memset(&cpu->simd.v[3], 'x', 16);
    cpu->r[REG_RAX] = UINT64_C(0x100000000);
    cpu->r[REG_RDX] = 16;
    RUN(0xc4, 0xe3, 0xf9, 0x61, 0xcb, 0x00);
    ck_assert_uint_eq(cpu->r[REG_RCX], 16);
}
END_TEST

/* --- the slow model ----------------------------------------------------------------------------------- */

static uint64_t random_bits(void)
{
    static uint64_t state = 0x853c49e6748fea9b;
    return test_random(&state) >> 16;
}

static int element(const union vector *v, unsigned i, uint8_t imm)
{
    switch (imm & 3) {
    case 0: return v->u8[i];
    case 1: return v->u16[i];
    case 2: return v->s8[i];
    default: return v->s16[i];
    }
}

static unsigned length(const union vector *v, unsigned n, uint8_t imm)
{
    unsigned len = 0;
    while (len < n && element(v, len, imm) != 0)
        len++;
    return len;
}

/* Element j of the comparison, by the manual's table of what counts behind the end. */
static bool holds(const union vector *a, unsigned a_len, const union vector *b, unsigned b_len,
                  unsigned j, unsigned n, uint8_t imm)
{
    bool any = false, all = true;
    for (unsigned i = 0; i < n; i++)
        switch (imm >> 2 & 3) {
        case 0:
            any = any || (i < a_len && j < b_len && element(a, i, imm) == element(b, j, imm));
            break;
        case 1:
            if (i % 2 == 0)
                any = any ||
                      (i + 1 < a_len && j < b_len && element(b, j, imm) >= element(a, i, imm) &&
                       element(b, j, imm) <= element(a, i + 1, imm));
            break;
        case 2:
            if (i == j)
                any = i < a_len && i < b_len ? element(a, i, imm) == element(b, i, imm)
                                             : i >= a_len && i >= b_len;
            break;
        default:
            if (i + j < n && i < a_len)
                all = all && i + j < b_len && element(a, i, imm) == element(b, i + j, imm);
        }
    return (imm >> 2 & 3) == 3 ? all : any;
}

static unsigned model(const union vector *a, unsigned a_len, const union vector *b, unsigned b_len,
                      unsigned n, uint8_t imm)
{
    unsigned found = 0;
    for (unsigned j = 0; j < n; j++) {
        bool bit = holds(a, a_len, b, b_len, j, n, imm);
        if ((imm & 0x10) && (!(imm & 0x20) || j < b_len))
            bit = !bit;
        found |= (unsigned)bit << j;
    }
    return found;
}

/* Few letters, so that they meet, and zeros; for signed and unsigned order, some above 7Fh. */
static void random_text(unsigned reg)
{
    for (unsigned i = 0; i < 16; i++)
        cpu->simd.v[reg].u8[i] = (uint8_t)("abc\x80\xff\x01"
                                           "bd"[random_bits() & 7]);
    unsigned end = random_bits() % 20;
    for (unsigned i = end & ~1u; i < 16; i++)
        cpu->simd.v[reg].u8[i] = 0;
}

static void expect_model(bool implicit, uint8_t imm)
{
    unsigned n = imm & 1 ? 8 : 16;
    random_text(1);
    random_text(3);
    const union vector a = cpu->simd.v[1], b = cpu->simd.v[3];
    unsigned a_len = implicit ? length(&a, n, imm) : (unsigned)random_bits() % (n + 1);
    unsigned b_len = implicit ? length(&b, n, imm) : (unsigned)random_bits() % (n + 1);
    cpu->r[REG_RAX] = a_len;
    cpu->r[REG_RDX] = b_len;
    unsigned found = model(&a, a_len, &b, b_len, n, imm), index = n;
    for (unsigned j = 0; j < n; j++)
        if (found >> j & 1 && ((imm & 0x40) || index == n))
            index = j;
    RUN(0x66, 0x0f, 0x3a, (uint8_t)(implicit ? 0x63 : 0x61), 0xcb, imm); /* PCMPxSTRI */
    ck_assert_uint_eq(cpu->r[REG_RCX], index);
    ck_assert_uint_eq(cpu_rflags(cpu) & FLAGS_STATUS,
                      (found ? FLAG_CF : 0) | (b_len < n ? FLAG_ZF : 0) |
                          (a_len < n ? FLAG_SF : 0) | (found & 1 ? FLAG_OF : 0));
    RUN(0x66, 0x0f, 0x3a, (uint8_t)(implicit ? 0x62 : 0x60), 0xcb, imm); /* PCMPxSTRM */
    for (unsigned i = 0; i < 16; i++) {
        unsigned want = imm & 0x40 ? -(found >> (imm & 1 ? i / 2 : i) & 1) & 0xff
                                   : (i < 2 ? found >> 8 * i & 0xff : 0);
        ck_assert_uint_eq(cpu->simd.v[0].u8[i], want);
    }
}

START_TEST(all_immediates_follow_the_model)
{
    for (unsigned i = 0; i < 128 * 8; i++) {
        expect_model(true, (uint8_t)(i & 127));
        expect_model(false, (uint8_t)(i & 127));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector_int_string");
    TCase *tcase = tcase_create("vector_int_string");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, implicit_strings_have_the_documented_results);
    tcase_add_test(tcase, explicit_lengths_are_magnitudes_that_saturate);
    tcase_add_test(tcase, explicit_lengths_of_vex);
    tcase_add_test(tcase, all_immediates_follow_the_model);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

/* x87 instructions as the workstation's own processor executes them, and as the bodies do: from the same random state, weighted
 * to the edges, to the same registers, tags, status, pointers, memory and flags. On processors other than Zen
 * pointers and undefined condition codes differ: there it only tells.
 *
 *     insn_test_x87_native [count [seed [opcode [modrm]]]] */
#include "tests/insn/rig.h"
#include "tests/random.h"

#if defined(__x86_64__) && defined(__linux__)
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <stdio.h>
#include <sys/mman.h>

#define CODE (RIG_RIP - 0x1000u)
#define SAVED 0x800u /* in the scratch page: the state after the instruction */
#define OPERAND 0x100u
#define OPERAND_BYTES 128u

/* --- random numbers ------------------------------------------------------------------------ */

static uint64_t seed = 1;

static uint64_t random64(void)
{
    return test_random(&seed);
}

static unsigned below(unsigned n)
{
    return (unsigned)(random64() >> 33) % n;
}

/* Few bits set, few clear, at the ends, or any. */
static uint64_t random_mantissa(void)
{
    uint64_t m = random64();
    switch (below(8)) {
    case 0: return 0;
    case 1: return UINT64_C(1) << below(64);
    case 2: return ~(UINT64_C(1) << below(64));
    case 3: return ~UINT64_C(0) << below(64);
    case 4: return m & (m << 7) & (m << 13) & 0xffffu;
    case 5: return m & ~UINT64_C(0) << (40 + below(20));
    case 6: return ~UINT64_C(0) >> below(64);
    default: return m;
    }
}

static struct f80 random_f80(void)
{
    struct f80 a = { .mant = random_mantissa() | UINT64_C(1) << 63 };
    unsigned exp;
    switch (below(16)) {
    case 0: exp = 0x7fff; break;
    case 1: exp = below(3); break;
    case 2: exp = 0x7ffe - below(3); break;
    case 3: exp = 0x3fff - 1023 - 60 + below(70); break;
    case 4: exp = 0x3fff - 127 - 30 + below(40); break;
    case 5: exp = 0x3fff + 1020 + below(6); break;
    case 6: exp = 0x3fff + 125 + below(6); break;
    case 7: exp = (unsigned)random64() & 0x7fff; break;
    case 8: exp = 0x3fff + below(70); break;
    case 9: exp = 0x3fff + 60 + below(8); break;
    case 10: exp = 0x3fff - below(70); break;
    default: exp = 0x3ffa + below(12); break;
    }
    a.se = (uint16_t)(exp | (random64() & 0x8000));
    switch (below(12)) {
    case 0: a.mant &= ~(UINT64_C(1) << 63); break; /* zero, denormal, unsupported */
    case 1: a = (struct f80){ .se = a.se & 0x8000 }; break;
    case 2: a.mant = UINT64_C(1) << 63; break;
    default: break;
    }
    return a;
}

static uint64_t random_f64(void)
{
    static const unsigned exps[] = { 0, 1, 2, 0x3fe, 0x3ff, 0x400, 0x7fe, 0x7ff };
    uint64_t exp = below(2) ? exps[below(8)] : random64() & 0x7ff;
    return (random64() & UINT64_C(1) << 63) | exp << 52 | random_mantissa() >> 12;
}

static uint32_t random_f32(void)
{
    static const unsigned exps[] = { 0, 1, 2, 0x7e, 0x7f, 0x80, 0xfe, 0xff };
    uint32_t exp = below(2) ? exps[below(8)] : (uint32_t)random64() & 0xff;
    return ((uint32_t)random64() & UINT32_C(1) << 31) | exp << 23 |
           (uint32_t)(random_mantissa() >> 41);
}

/* --- forms -------------------------------------------------------------------------------- */

struct form {
    uint8_t bytes[3], len;
    unsigned size; /* of the memory operand; 0: none */
    uint16_t mnemonic;
};

static struct form forms[1024];
static unsigned form_count;
static int only = -1, only_modrm = -1; /* restrict them */

static void add_form(const uint8_t *bytes, unsigned len)
{
    uint8_t padded[16] = { 0 };
    struct insn in;
    memcpy(padded, bytes, len);
    if (decode_insn(padded, 15, MODE_LONG64, &in) != DECODE_OK || !insn_lookup(in.mnemonic))
        return;
    struct form *form = &forms[form_count++];
    memcpy(form->bytes, bytes, len);
    form->len = (uint8_t)len;
    form->size = in.op[0].kind == OPERAND_MEM ? in.op[0].size : 0;
    form->mnemonic = in.mnemonic;
}

/* All opcodes, with registers and [rdx], without and with an operand-size prefix. */
static void add_forms(void)
{
    for (unsigned opcode = 0xd8; opcode < 0xe0; opcode++)
        for (unsigned modrm = 0; modrm < 0x100; modrm++) {
            const uint8_t bytes[] = { 0x66, (uint8_t)opcode, (uint8_t)modrm };
            if (modrm < 0xc0 && (modrm & 0xc7) != 2)
                continue;
            if ((only >= 0 && opcode != (unsigned)only) ||
                (only_modrm >= 0 && modrm != (unsigned)only_modrm))
                continue;
            add_form(bytes + 1, 2);
            add_form(bytes, 3);
        }
}

/* --- one case ------------------------------------------------------------------------------ */

struct state { /* FXSAVE64's layout of the x87 part */
    uint16_t fcw, fsw;
    uint8_t used, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct {
        uint64_t mant;
        uint16_t se, pad[3];
    } st[8];
    uint8_t rest[512 - 160];
};

struct outcome {
    uint8_t saved[112], operand[OPERAND_BYTES]; /* no padding: compared as bytes */
    uint64_t rflags, rax;
};

static void random_state(struct state *state)
{
    static const uint8_t masks[] = { 0x3f, 0x3f, 0x3f, 0x3f, 0x3e, 0x3d, 0x3b, 0x37, 0x2f, 0x1f };
    memset(state, 0, sizeof(*state));
    unsigned mask = below(8) ? masks[below(10)] : (unsigned)random64() & 0x3f;
    state->fcw = (uint16_t)(mask | (below(3) ? 0x300u : below(4) << 8) | 0x40 |
                            (below(2) ? below(4) << 10 : 0) | (random64() & 0x1000));
    state->fsw = (uint16_t)((random64() & 0x7f00) | (below(3) ? 0 : (random64() & mask)) |
                            (random64() & 0x40));
    state->used =
        (uint8_t)(below(4) ? 0x0fu << (state->fsw >> 11 & 7) | 0x0fu >> (8 - (state->fsw >> 11 & 7))
                           : random64());
    state->mxcsr = 0x1f80;
    state->fop = random64() & 0x7ff;
    state->fip = random64() & 0x7fffffff;
    state->fdp = random64() & 0x7fffffff;
    for (unsigned i = 0; i < 8; i++) {
        struct f80 a = random_f80();
        state->st[i].mant = a.mant;
        state->st[i].se = a.se;
    }
    if (below(8) == 0) /* two special ones */
        for (unsigned i = 0; i < 2; i++) {
            static const struct f80 special[] = { { 0, 0 },
                                                  { 1, 0 },
                                                  { UINT64_C(1) << 63, 0 },
                                                  { UINT64_C(1) << 63, 0x3fff },
                                                  { UINT64_C(1) << 63, 0x7fff },
                                                  { UINT64_C(3) << 62, 0x7fff },
                                                  { UINT64_C(1) << 63 | 1, 0x7fff },
                                                  { UINT64_C(3) << 62 | 1, 0x7fff },
                                                  { 1, 0x7fff },
                                                  { 0, 0x7fff },
                                                  { 1, 0x3fff },
                                                  { 0, 1 },
                                                  { UINT64_MAX, 0x7ffe },
                                                  { UINT64_C(1) << 63, 1 },
                                                  { UINT64_C(1) << 63, 0x3ffe },
                                                  { UINT64_MAX, 0x3ffe } };
            const struct f80 *a = &special[below(sizeof(special) / sizeof(special[0]))];
            state->st[i].mant = a->mant;
            state->st[i].se = (uint16_t)(a->se | (random64() & 0x8000));
        }
    if (below(4) == 0) { /* near each other */
        state->st[1].se = (uint16_t)(state->st[0].se + below(5) - 2);
        if (below(2))
            state->st[1].mant = state->st[0].mant + below(3) - 1;
    }
}

static void random_operand(uint8_t *to, unsigned size)
{
    uint64_t word = random64();
    memset(to, 0xcc, OPERAND_BYTES);
    if (size == 4)
        word = below(2) ? random_f32() : (uint64_t)((int64_t)word >> (32 + below(32)));
    else if (size == 8)
        word = below(2) ? random_f64() : (uint64_t)((int64_t)word >> below(64));
    memcpy(to, &word, 8);
    if (size == 10) {
        struct f80 a = random_f80();
        if (below(2)) /* digits */
            for (unsigned i = 0; i < 16; i++)
                a.mant = a.mant << 4 | below(10);
        memcpy(to, &a.mant, 8);
        memcpy(to + 8, &a.se, 2);
    }
    for (unsigned i = 0; size > 10 && i < OPERAND_BYTES; i++)
        to[i] = (uint8_t)random64();
    if (size > 10 && below(2)) { /* an environment without pending exceptions, mostly */
        to[0] |= 0x3f;
        memcpy(to + 8, &word, 2);
    }
}

/* Code that loads the state and flags, runs the instruction and saves: returns RFLAGS. */
static void run_native(const struct form *form, const struct state *state, uint32_t rflags,
                       const uint8_t *operand, struct outcome *outcome)
{
    uint8_t *scratch = (uint8_t *)(uintptr_t)RIG_SCRATCH, *at = (uint8_t *)(uintptr_t)RIG_RIP;
    uint8_t *start = at - 10;

    memcpy(start, "\x48\x0f\xae\x0f", 4); /* fxrstor64 [rdi] */
    memcpy(start + 4, "\x31\xc0", 2);     /* xor eax, eax */
    memcpy(start + 6, "\x56\x9d", 2);     /* push rsi; popf */
    memcpy(start + 8, "\x90\x90", 2);
    memcpy(at, form->bytes, form->len);
    memcpy(at + form->len, "\x9c\x5e\xdd\x31\xc3", 5); /* pushf; pop rsi; fnsave [rcx]; ret */
    memcpy(scratch + OPERAND, operand, OPERAND_BYTES);
    memset(scratch + SAVED, 0, 108);
    uint64_t rax, rdi = (uintptr_t)state, rsi = rflags;
    __asm__ volatile("sub $128, %%rsp; call *%[code]; add $128, %%rsp; fninit"
                     : "=a"(rax), "+S"(rsi), "+D"(rdi)
                     : [code] "r"(start), "d"(RIG_SCRATCH + OPERAND), "c"(RIG_SCRATCH + SAVED)
                     : "memory", "cc");
    memcpy(outcome->saved, scratch + SAVED, 108);
    memcpy(outcome->operand, scratch + OPERAND, OPERAND_BYTES);
    outcome->rflags = rsi & FLAGS_STATUS;
    outcome->rax = rax;
}

static void run_here(struct rig *rig, const struct form *form, const struct state *state,
                     uint32_t rflags, const uint8_t *operand, struct outcome *outcome)
{
    struct vcpu *cpu = &rig->cpu;
    uint8_t *scratch = rig_ptr(rig, RIG_SCRATCH_SPA);
    unsigned top = state->fsw >> 11 & 7;
    cpu->x87 = (struct cpu_x87){ .fcw = state->fcw,
                                 .fsw = state->fsw,
                                 .used = state->used,
                                 .fop = state->fop,
                                 .fip = state->fip,
                                 .fdp = state->fdp };
    for (unsigned i = 0; i < 8; i++)
        cpu->x87.reg[(top + i) & 7] = (struct f80){ state->st[i].mant, state->st[i].se };
    cpu_update_fp(cpu);
    memcpy(scratch + OPERAND, operand, OPERAND_BYTES);
    cpu->r[REG_RAX] = 0;
    cpu->r[REG_RDX] = RIG_SCRATCH + OPERAND;
    cpu->r[REG_RCX] = RIG_SCRATCH + SAVED;
    cpu_set_rflags(cpu, rflags);
    enum step step = rig_exec(rig, form->bytes, form->len);
    if (step == STEP_NEXT)
        step = EXEC(rig, 0xdd, 0x31);
    if (step != STEP_NEXT) {
        printf("%s raised %u\n", ZydisMnemonicGetString((ZydisMnemonic)form->mnemonic),
               cpu->raised.event.vector);
        exit(1);
    }
    memcpy(outcome->saved, scratch + SAVED, 108);
    memcpy(outcome->operand, scratch + OPERAND, OPERAND_BYTES);
    outcome->rflags = cpu_rflags(cpu) & FLAGS_STATUS;
    outcome->rax = cpu->r[REG_RAX];
}

/* --- telling ------------------------------------------------------------------------------ */

static void tell_saved(const char *who, const struct outcome *outcome)
{
    uint16_t w[14];
    memcpy(w, outcome->saved, 28);
    printf("  %s fcw %04x fsw %04x ftw %04x fip %04x%04x fcs %04x fop %04x fdp %04x%04x fds %04x"
           " rflags %x rax %x\n   ",
           who, w[0], w[2], w[4], w[7], w[6], w[8], w[9], w[11], w[10], w[12],
           (unsigned)outcome->rflags, (unsigned)outcome->rax);
    for (unsigned i = 0; i < 8; i++) {
        struct f80 a;
        memcpy(&a.mant, outcome->saved + 28 + 10 * i, 8);
        memcpy(&a.se, outcome->saved + 36 + 10 * i, 2);
        printf(" %04x:%016llx", a.se, (unsigned long long)a.mant);
    }
    printf("\n    ");
    for (unsigned i = 0; i < 28; i++)
        printf("%02x", outcome->operand[i]);
    printf("\n");
}

static void tell(const struct form *form, const struct state *state, const uint8_t *operand,
                 const struct outcome *native, const struct outcome *here)
{
    for (unsigned i = 0; i < form->len; i++)
        printf("%02x ", form->bytes[i]);
    printf("%s: fcw %04x fsw %04x used %02x(phys) operand ",
           ZydisMnemonicGetString((ZydisMnemonic)form->mnemonic), state->fcw, state->fsw,
           state->used);
    for (unsigned i = 0; i < 10; i++)
        printf("%02x", operand[i]);
    printf("\n   ");
    for (unsigned i = 0; i < 8; i++)
        printf(" %04x:%016llx", state->st[i].se, (unsigned long long)state->st[i].mant);
    printf("\n");
    tell_saved("native", native);
    tell_saved("here  ", here);
}

static bool is_transcendental(const struct form *form)
{
    switch (form->mnemonic) {
    case ZYDIS_MNEMONIC_F2XM1:
    case ZYDIS_MNEMONIC_FYL2X:
    case ZYDIS_MNEMONIC_FYL2XP1:
    case ZYDIS_MNEMONIC_FPATAN:
    case ZYDIS_MNEMONIC_FPTAN:
    case ZYDIS_MNEMONIC_FSIN:
    case ZYDIS_MNEMONIC_FCOS:
    case ZYDIS_MNEMONIC_FSINCOS: return true;
    default: return false;
    }
}

/* Approximations may differ in the last place, and then in PE and C1. */
static bool close_enough(const struct form *form, struct outcome *native,
                         const struct outcome *here)
{
    if (!is_transcendental(form))
        return false;
    for (unsigned i = 0; i < 8; i++) {
        struct f80 a, b;
        memcpy(&a.mant, native->saved + 28 + 10 * i, 8);
        memcpy(&b.mant, here->saved + 28 + 10 * i, 8);
        memcpy(&a.se, native->saved + 36 + 10 * i, 2);
        memcpy(&b.se, here->saved + 36 + 10 * i, 2);
        int64_t apart = (int64_t)(a.mant - b.mant); /* the next binade follows 2^64 - 1 at 2^63 */
        if (a.se != b.se)
            apart += (int64_t)((uint64_t)(a.se - b.se) << 63);
        if (apart >= -1 && apart <= 1)
            memcpy(native->saved + 28 + 10 * i, here->saved + 28 + 10 * i, 10);
    }
    native->saved[5] = (uint8_t)((native->saved[5] & ~2) | (here->saved[5] & 2));
    return memcmp(native->saved, here->saved, 108) == 0;
}

/* AMD's processors since Zen, family 17h, are what we follow. */
static bool is_zen(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx) || ebx != 0x68747541) /* "Auth" */
        return false;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (eax >> 8 & 15) + (eax >> 20 & 255) >= 0x17;
}

static unsigned long count = 300000;

static bool map_fixed(uint64_t at, size_t size, int protection)
{
    return mmap((void *)(uintptr_t)at, size, protection,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED;
}

/* rows: pitfalls 7.2, pitfalls 7.19 */
START_TEST(x87_instructions_do_what_silicon_does)
{
    static struct state state __attribute__((aligned(16)));
    static unsigned long differences[ZYDIS_MNEMONIC_MAX_VALUE + 1];
    unsigned long apart = 0, ulps = 0;
    struct rig *rig = rig_new(MODE_LONG64);
    rig->cpu.regs.seg[SEG_CS].selector = 0x33;
    rig->cpu.regs.seg[SEG_DS].selector = 0;
    add_forms();
    for (unsigned long i = 0; i < count; i++) {
        const struct form *form = &forms[below(form_count)];
        uint8_t operand[OPERAND_BYTES];
        struct outcome native = { 0 }, here = { 0 };
        random_state(&state);
        random_operand(operand, form->size);
        uint32_t rflags = (uint32_t)(random64() & FLAGS_STATUS) | 2;
        run_native(form, &state, rflags, operand, &native);
        run_here(rig, form, &state, rflags, operand, &here);
        if (memcmp(&native, &here, sizeof(here)) == 0)
            continue;
        /* The kernel saves no pointers without a pending exception: an interrupt between load and save loses them. */
        bool close = close_enough(form, &native, &here);
        for (unsigned again = 0; again < 3 && !close; again++) {
            run_native(form, &state, rflags, operand, &native);
            close = memcmp(&native, &here, sizeof(here)) == 0 || close_enough(form, &native, &here);
        }
        if (close) {
            ulps++;
            continue;
        }
        apart++;
        if (differences[form->mnemonic]++ < 6)
            tell(form, &state, operand, &native, &here);
    }
    for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++)
        if (differences[i] != 0)
            printf("%s: %lu\n", ZydisMnemonicGetString((ZydisMnemonic)i), differences[i]);
    printf("%lu cases of %u forms, %lu in the last place, %lu differ\n", count, form_count, ulps,
           apart);
    ck_assert(!is_zen() || apart == 0);
    rig_free(rig);
}
END_TEST

int main(int argc, char **argv)
{
    count = argc > 1 ? strtoul(argv[1], NULL, 0) : count;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : seed;
    only = argc > 3 ? (int)strtol(argv[3], NULL, 16) : -1;
    only_modrm = argc > 4 ? (int)strtol(argv[4], NULL, 16) : -1;
    if (!map_fixed(CODE, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC) ||
        !map_fixed(RIG_SCRATCH, 0x4000, PROT_READ | PROT_WRITE)) {
        printf("skipped: no memory at the addresses of the rig\n");
        return 0;
    }
    Suite *suite = suite_create("x87 as silicon has it");
    TCase *tcase = tcase_create("native");
    tcase_add_test(tcase, x87_instructions_do_what_silicon_does);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#else
#include <stdio.h>

int main(void)
{
    printf("skipped: needs an x86-64 workstation with Linux\n");
    return 0;
}
#endif

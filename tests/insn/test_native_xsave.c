/* The workstation as oracle: FXSAVE, FXRSTOR and the XSAVE family, memory images byte by byte. Only on AMD processors that
 * restore the x87 error pointers always; elsewhere there is nothing to compare with. */
#include "tests/insn/xsave_kit.h"
#include "tests/random.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>

#define ROUNDS 4000
#define AREA_BYTES 832u

static bool native_is_usable(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != 0x68747541)
        return false;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27))
        return false;
    if (!__get_cpuid_count(0xd, 1, &a, &b, &c, &d) || (a & 7) != 7)
        return false;
    if (!__get_cpuid(0x80000008, &a, &b, &c, &d) || !(b & 4))
        return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 7) == 7;
}

static uint64_t random_state = 88172645463325252;

static uint64_t next(void)
{
    return test_random(&random_state);
}

struct area {
    uint8_t bytes[8192];
} __attribute__((aligned(64)));

static sigjmp_buf back;

static void caught(int number)
{
    siglongjmp(back, number);
}

/* Load `first` by XRSTOR64 with the mask `with`, execute the operation on `second` with `mask`, store what is left into
 * `last`; the program's own state survives. */
#define NATIVE(op)                                                          \
    __asm__ volatile("xor %%edx, %%edx\n\tmov $-1, %%eax\n\txsave64 %0\n\t" \
                     "mov %4, %%eax\n\txrstor64 %1\n\t"                     \
                     "mov %5, %%eax\n\t" op " %2\n\t"                       \
                     "mov $7, %%eax\n\txsave64 %3\n\t"                      \
                     "mov $-1, %%eax\n\txrstor64 %0"                        \
                     : "+m"(keep), "+m"(*first), "+m"(*second), "+m"(*last) \
                     : "r"(with), "r"(mask)                                 \
                     : "eax", "edx", "memory")

enum operation {
    OP_FXSAVE,
    OP_FXSAVE64,
    OP_XSAVE,
    OP_XSAVE64,
    OP_XSAVEOPT64,
    OP_XSAVEC64,
    OP_FXRSTOR,
    OP_FXRSTOR64,
    OP_XRSTOR,
    OP_XRSTOR64,
    OP_COUNT
};

/* Returns 0, or the signal of a fault. */
static int run_native(enum operation op, struct area *first, struct area *second, struct area *last,
                      uint32_t with, uint32_t mask)
{
    static struct area keep;
    struct sigaction action = { .sa_handler = caught, .sa_flags = SA_NODEFER }, old;
    ck_assert_int_eq(sigaction(SIGSEGV, &action, &old), 0);
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        switch (op) {
        case OP_FXSAVE: NATIVE("fxsave"); break;
        case OP_FXSAVE64: NATIVE("fxsave64"); break;
        case OP_XSAVE: NATIVE("xsave"); break;
        case OP_XSAVE64: NATIVE("xsave64"); break;
        case OP_XSAVEOPT64: NATIVE("xsaveopt64"); break;
        case OP_XSAVEC64: NATIVE("xsavec64"); break;
        case OP_FXRSTOR: NATIVE("fxrstor"); break;
        case OP_FXRSTOR64: NATIVE("fxrstor64"); break;
        case OP_XRSTOR: NATIVE("xrstor"); break;
        default: NATIVE("xrstor64"); break;
        }
    } else { /* the state is what was loaded last */
        __asm__ volatile("xrstor64 %0" : : "m"(keep), "a"(-1), "d"(0) : "memory");
    }
    ck_assert_int_eq(sigaction(SIGSEGV, &old, NULL), 0);
    return number;
}

static enum step emulate(struct rig *rig, enum operation op)
{
    switch (op) {
    case OP_FXSAVE: return EXEC(rig, FXSAVE);
    case OP_FXSAVE64: return EXEC(rig, FXSAVE64);
    case OP_XSAVE: return EXEC(rig, XSAVE);
    case OP_XSAVE64: return EXEC(rig, XSAVE64);
    case OP_XSAVEOPT64: return EXEC(rig, XSAVEOPT64);
    case OP_XSAVEC64: return EXEC(rig, XSAVEC64);
    case OP_FXRSTOR: return EXEC(rig, FXRSTOR);
    case OP_FXRSTOR64: return EXEC(rig, FXRSTOR64);
    case OP_XRSTOR: return EXEC(rig, XRSTOR);
    default: return EXEC(rig, XRSTOR64);
    }
}

static bool run_emulated(struct rig *rig, enum operation op, struct area *first,
                         struct area *second, struct area *last, uint32_t with, uint32_t mask)
{
    memcpy(rig_ptr(rig, AREA + 0x1000), first, AREA_BYTES);
    rig->cpu.r[REG_RBX] = AREA + 0x1000; /* another area: no modified optimization */
    set_mask(rig, with);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    rig->cpu.r[REG_RBX] = AREA;
    memcpy(rig_ptr(rig, AREA), second, AREA_BYTES);
    set_mask(rig, mask);
    enum step step = emulate(rig, op);
    memcpy(second, rig_ptr(rig, AREA), AREA_BYTES);
    if (step == STEP_RAISED)
        return false;
    memcpy(rig_ptr(rig, AREA), last, AREA_BYTES);
    set_mask(rig, 7);
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    memcpy(last, rig_ptr(rig, AREA), AREA_BYTES);
    return true;
}

static void put(struct area *area, unsigned at, unsigned size, uint64_t value)
{
    memcpy(area->bytes + at, &value, size);
}

/* An image that can be loaded, with the components of `bv`, all of them different from their initial state. */
static void make_image(struct area *area, uint64_t bv)
{
    memset(area, 0, sizeof(*area));
    for (unsigned i = 0; i < AREA_BYTES; i += 8)
        put(area, i, 8, next());
    memset(area->bytes + XSTATE_HEADER, 0, 64);
    if (next() & 1)
        put(area, 0, 2, 0x37f);
    if (next() & 1)
        put(area, 2, 1, 0);
    put(area, 8, 8, next() >> 18); /* 46 bits: canonical everywhere */
    put(area, 16, 8, next() >> 18);
    put(area, 24, 4, next() & (next() & 1 ? 0xffff : 0x1f80));
    put(area, XSTATE_HEADER, 8, bv);
}

/* What is written to, or read as, the second image. */
static void make_second(struct area *area, enum operation op)
{
    static const uint64_t odd[] = { 1, 8, 1ull << 62, 1ull << 63 };
    make_image(area, next() & 7);
    if (op < OP_FXRSTOR && (next() & 3) == 0)
        for (unsigned i = XSTATE_HEADER; i < XSTATE_EXTENDED; i += 8)
            put(area, i, 8, next());
    if (op >= OP_XRSTOR && (next() & 1)) {
        uint64_t xcomp = next() & 7;
        put(area, XSTATE_HEADER + 8, 8, XSTATE_COMPACTED | xcomp);
        put(area, XSTATE_HEADER, 8, next() & (next() & 7 ? xcomp : 7));
    }
    if (op >= OP_XRSTOR && (next() & 15) == 0) /* a wrong bit somewhere in the header */
        area->bytes[XSTATE_HEADER + next() % 64] |= (uint8_t)(1u << next() % 8);
    if (op >= OP_XRSTOR && (next() & 15) == 0)
        put(area, XSTATE_HEADER + 8 * (next() & 7), 8, odd[next() & 3]);
    if (op >= OP_FXRSTOR && (next() & 15) == 0)
        put(area, 24, 4, 1ull << (next() & 31));
}

/* Components 5 and up may be enabled on the workstation, so that their bits are legal. */
static bool names_other_components(const struct area *area)
{
    uint64_t bv, xcomp;
    memcpy(&bv, area->bytes + XSTATE_HEADER, 8);
    memcpy(&xcomp, area->bytes + XSTATE_HEADER + 8, 8);
    return ((bv | xcomp) & ~(XSTATE_COMPACTED | 7)) != 0;
}

#define ATTEMPTS 100

static bool same(const struct area *native, const struct area *ours)
{
    return memcmp(native, ours, AREA_BYTES) == 0;
}

static void expect_same(const struct area *native, const struct area *ours, const char *what,
                        int op, uint32_t with, uint32_t mask)
{
    unsigned i = 0;
    if (same(native, ours))
        return;
    while (native->bytes[i] == ours->bytes[i])
        i++;
    ck_abort_msg("%s, operation %d, masks %u %u: byte %u is %02x, here %02x", what, op, with, mask,
                 i, native->bytes[i], ours->bytes[i]);
}

/* Where the workstation's kernel comes in between it saves and restores all state: more may be in use then, and all counts as
 * modified. Another attempt tells that from a difference.
 * rows: pitfalls 7.1, 7.2, 7.7, 7.11, 7.12, 7.13, 7.14 */
START_TEST(images_and_faults_are_those_of_the_workstation)
{
    static struct area first, second[2], last[2];
    struct rig *rig = xsave_rig();
    enum operation op = (enum operation)_i;
    unsigned faults = 0, done = 0;
    rig->cpu.simd.xcr0 = 7;
    if (!native_is_usable()) {
        rig_free(rig);
        return;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint32_t with = 7, mask = next() & 7;
        struct area given;
        make_image(&first, next() & 7);
        make_second(&given, op);
        if (op >= OP_XRSTOR && names_other_components(&given))
            continue;
        second[1] = given;
        memset(&last[1], 0, sizeof(last[1]));
        bool fine = run_emulated(rig, op, &first, &second[1], &last[1], with, mask);
        for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
            second[0] = given;
            memset(&last[0], 0, sizeof(last[0]));
            int number = run_native(op, &first, &second[0], &last[0], with, mask);
            ck_assert_msg(fine == (number == 0), "operation %d, mask %u: %s natively", op, mask,
                          number ? "a fault" : "no fault");
            if (same(&second[0], &second[1]) && (!fine || same(&last[0], &last[1])))
                break;
        }
        expect_same(&second[0], &second[1], "the operand", op, with, mask);
        if (fine)
            expect_same(&last[0], &last[1], "the state", op, with, mask);
        faults += !fine;
        done++;
    }
    ck_assert_uint_gt(done, ROUNDS / 2);
    ck_assert_int_eq(faults != 0, op >= OP_FXRSTOR);
    rig_free(rig);
}
END_TEST

/* Load `area` with 7, then `with`; fill it with `spoilt`, then XSAVEOPT to it with `mask`. */
static void optimize_native(struct area *area, const struct area *spoilt, uint32_t with,
                            uint32_t mask)
{
    static struct area keep;
    __asm__ volatile("xor %%edx, %%edx\n\tmov $-1, %%eax\n\txsave64 %0\n\t"
                     "mov $7, %%eax\n\txrstor64 %1\n\t"
                     "mov %3, %%eax\n\txrstor64 %1\n\t"
                     "lea %2, %%rsi\n\tlea %1, %%rdi\n\tmov $832, %%ecx\n\trep movsb\n\t"
                     "mov %4, %%eax\n\txsaveopt64 %1\n\t"
                     "mov $-1, %%eax\n\txrstor64 %0"
                     : "+m"(keep), "+m"(*area)
                     : "m"(*spoilt), "r"(with), "r"(mask)
                     : "eax", "edx", "rsi", "rdi", "ecx", "memory");
}

static void optimize_emulated(struct rig *rig, struct area *area, const struct area *spoilt,
                              uint32_t with, uint32_t mask)
{
    memcpy(rig_ptr(rig, AREA), area, AREA_BYTES);
    set_mask(rig, 7);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    set_mask(rig, with);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    memcpy(rig_ptr(rig, AREA), spoilt, AREA_BYTES);
    set_mask(rig, mask);
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    memcpy(area, rig_ptr(rig, AREA), AREA_BYTES);
}

/* XSAVEOPT directly behind XRSTOR of the same area: what is stored again. */
START_TEST(unmodified_state_is_not_stored_again)
{
    static struct area first, native, ours, spoilt;
    struct rig *rig = xsave_rig();
    rig->cpu.simd.xcr0 = 7;
    uint32_t with = (uint32_t)_i & 7, mask = (uint32_t)_i >> 3 & 7;
    if (!native_is_usable()) {
        rig_free(rig);
        return;
    }
    make_image(&first, 7);
    memset(&spoilt, 0xee, sizeof(spoilt));
    memset(spoilt.bytes + XSTATE_HEADER, 0, 64);
    ours = first;
    optimize_emulated(rig, &ours, &spoilt, with, mask);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        native = first;
        optimize_native(&native, &spoilt, with, mask);
        if (same(&native, &ours))
            break;
    }
    expect_same(&native, &ours, "the area", OP_XSAVEOPT64, with, mask);
    rig_free(rig);
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("native xsave");
    TCase *all = tcase_create("native xsave");
#if defined(__x86_64__)
    tcase_add_loop_test(all, images_and_faults_are_those_of_the_workstation, 0, OP_COUNT);
    tcase_add_loop_test(all, unmodified_state_is_not_stored_again, 0, 64);
#endif
    suite_add_tcase(suite, all);
    return rig_run(suite);
}

/* Small programs of the kit's vCPU in the real run loop, and what #DB left behind. */
#ifndef TESTS_CPU_PROGRAM_H
#define TESTS_CPU_PROGRAM_H

#include "emu/cpu/debug.h"
#include "tests/cpu/kit.h"

#define TABLE_ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Level 0 in 64-bit mode at CODE_SPA, where the bytes stand, with NOPs behind; the handlers are HLT. Debug registers and
 * counters are as after reset. */
static inline void program(struct kit *k, const void *bytes, unsigned len)
{
    kit_tables(k);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->regs.halted = false;
    k->cpu->svm->gif = true;
    k->cpu->regs.dr[6] = DR6_FIXED;
    ck_assert_int_eq(debug_set_dr(k->cpu, 7, 0), STEP_LEAVE);
    k->cpu->msr.debugctl = 0;
    k->deliveries = 0;
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    for (unsigned i = 0; i < 64; i++)
        kit_put(k, CODE_SPA + i, 1, i < len ? ((const uint8_t *)bytes)[i] : 0x90);
}
#define PROGRAM(k, bytes) program((k), (bytes), sizeof(bytes) - 1)

/* Until a handler has halted or `steps` have gone by. */
static inline void program_run(struct kit *k, unsigned steps)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + steps };
    int stop = run_vcpu(k->cpu, &limits);
    ck_assert_msg(stop == PACIFICA_STOP_LIMIT_INSNS || stop == PACIFICA_STOP_HALTED, "%d: %s", stop,
                  k->cpu->stop.text);
}

/* R/Wn and LENn of DR7. */
enum { ON_FETCH, ON_WRITE, ON_PORT, ON_ACCESS };
enum { LEN1, LEN2, LEN8, LEN4 };

/* Breakpoint n, enabled globally. */
static inline void watch(struct kit *k, unsigned n, uint64_t at, unsigned on, unsigned len)
{
    uint64_t dr7 = k->cpu->regs.dr[7] & ~(0xfull << (16 + 4 * n));
    k->cpu->regs.dr[n] = at;
    dr7 |= 2ull << (2 * n) | (uint64_t)(on | len << 2) << (16 + 4 * n);
    ck_assert_int_eq(debug_set_dr(k->cpu, 7, dr7), STEP_LEAVE);
}

static inline uint64_t pushed_rip(struct kit *k)
{
    return kit_get(k, k->cpu->r[REG_RSP], 8);
}

static inline uint64_t pushed_flags(struct kit *k)
{
    return kit_get(k, k->cpu->r[REG_RSP] + 16, 8);
}

/* The last of `count` deliveries was #DB, which returns to `rip`, with these bits in DR6 and RF = 0 in its image. */
static inline void expect_db(struct kit *k, unsigned count, uint64_t rip, uint64_t dr6)
{
    ck_assert_uint_eq(k->deliveries, count);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    ck_assert_uint_eq(pushed_rip(k), rip);
    ck_assert_uint_eq(k->cpu->regs.dr[6], DR6_FIXED | dr6);
    ck_assert_uint_eq(pushed_flags(k) & FLAG_RF, 0);
}

static inline void expect_none(struct kit *k)
{
    ck_assert_uint_eq(k->deliveries, 0);
    ck_assert_uint_eq(k->cpu->regs.dr[6], DR6_FIXED);
}

/* Words for IRETQ at level 0 to `rip`. */
static inline void push_iret_frame(struct kit *k, uint64_t rip, uint64_t flags)
{
    const uint64_t words[] = { DATA0, STACK_TOP, flags, CODE64, rip };
    for (unsigned i = 0; i < 5; i++) {
        k->cpu->r[REG_RSP] -= 8;
        kit_put(k, k->cpu->r[REG_RSP], 8, words[i]);
    }
}

#endif

/* indirect.c: a small bytecode machine: indirect jumps through a table, indirect calls.
 * The program it runs is random but always the same; each handler is a function of its own, called
 * through a table, and a switch with a jump table post-processes every instruction. */
#include "bench/roms/bench.h"

#define CODE_LENGTH 1024u
#define STACK_SLOTS 16u

const char bench_name[] = "indirect";

struct machine {
    uint64_t stack[STACK_SLOTS]; /* a ring: every push and pop is in range */
    uint32_t top;
    uint64_t sum;
};

static uint8_t code[CODE_LENGTH];

static uint64_t *slot(struct machine *m, uint32_t below)
{
    return &m->stack[(m->top - below) % STACK_SLOTS];
}

static void op_push(struct machine *m)
{
    m->top++;
    *slot(m, 0) = m->sum;
}

static void op_pop(struct machine *m)
{
    m->sum ^= *slot(m, 0);
    m->top--;
}

static void op_add(struct machine *m)
{
    *slot(m, 0) += *slot(m, 1);
}

static void op_sub(struct machine *m)
{
    *slot(m, 0) -= *slot(m, 1);
}

static void op_xor(struct machine *m)
{
    *slot(m, 0) ^= *slot(m, 1);
}

static void op_shift(struct machine *m)
{
    *slot(m, 0) = (*slot(m, 0) << 3) | (*slot(m, 0) >> 61);
}

static void op_swap(struct machine *m)
{
    uint64_t value = *slot(m, 0);

    *slot(m, 0) = *slot(m, 1);
    *slot(m, 1) = value;
}

static void op_count(struct machine *m)
{
    m->sum++;
}

/* Not const: a compiler that sees the table cannot turn the calls into direct ones. */
static void (*volatile handlers[8])(struct machine *) = {
    op_push, op_pop, op_add, op_sub, op_xor, op_shift, op_swap, op_count,
};

static uint64_t fold(uint64_t sum, uint8_t opcode, uint64_t top)
{
    switch (opcode) {
    case 8: return sum + top;
    case 9: return sum ^ (top << 1);
    case 10: return sum - (top >> 3);
    case 11: return sum * 5;
    case 12: return ~sum;
    case 13: return sum ^ (sum >> 7);
    case 14: return sum + (sum << 9);
    default: return sum ^ top ^ opcode;
    }
}

uint64_t bench_run(uint64_t n)
{
    struct machine m = { { 0 }, 0, 1 };
    uint64_t seed = 3;

    for (uint32_t i = 0; i < CODE_LENGTH; i++)
        code[i] = (uint8_t)(bench_random(&seed) % 16);
    for (uint64_t i = 0; i < n; i++)
        for (uint32_t pc = 0; pc < CODE_LENGTH; pc++) {
            if (code[pc] < 8)
                handlers[code[pc]](&m);
            else
                m.sum = fold(m.sum, code[pc], *slot(&m, 0));
        }
    return bench_mix(m.sum, m.top);
}

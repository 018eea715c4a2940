/* What the tests of hot handlers share: a vCPU in 64-bit mode, programs that end in HLT, and the comparison of a program run by the run
 * loop with the plain bodies run one after the other. */
#ifndef TESTS_INSN_HOT_KIT_H
#define TESTS_INSN_HOT_KIT_H

#include "decoder/decode.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/run.h"
#include "emu/insn/insn.h"
#include "tests/random.h"

#include <pacifica/pacifica.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#define TABLES 0x1000u /* PML4, PDPT, PD: identity map of the first 2 MiB pages */
#define CODE 0x10ff0u  /* programs straddle a page border */
#define DATA 0x20000u  /* RBX and RSP point into it; read-write */
#define DATA_BYTES 0x2000u

static struct memory *memory;
static struct probes probes;
static struct vclock clock_;
static struct vcpu *cpu;
static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
    return test_random(&seed);
}

static unsigned pick(unsigned n)
{
    return (unsigned)(rnd() >> 20) % n;
}

struct program {
    uint8_t bytes[256];
    unsigned len, insns;
};

static void put(struct program *p, unsigned count, const uint8_t *bytes)
{
    memcpy(p->bytes + p->len, bytes, count);
    p->len += count;
}

static void put1(struct program *p, unsigned byte)
{
    p->bytes[p->len++] = (uint8_t)byte;
}

static void setup(void)
{
    memory = memory_new(4 << 20);
    cpu = vcpu_new(&(struct vcpu_parts){
        .memory = memory, .probes = &probes, .clock = &clock_, .model = cpu_model_default() });
    ck_assert_ptr_nonnull(cpu);
    phys_write(memory, TABLES, 8, (TABLES + 0x1000) | 3);
    phys_write(memory, TABLES + 0x1000, 8, (TABLES + 0x2000) | 3);
    phys_write(memory, TABLES + 0x2000, 8, 0x83);
    cpu->regs.cr0 = CR0_PE | CR0_PG | CR0_ET;
    cpu->regs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu->regs.cr3 = TABLES;
    cpu->regs.efer = EFER_LME | EFER_LMA;
    for (int i = 0; i <= SEG_GS; i++)
        cpu->regs.seg[i] = (struct segment){ .attr = 0xc93, .limit = UINT32_MAX };
    cpu->regs.seg[SEG_CS].attr = 0xa9b;
    cpu->regs.cpl = 0;
    cpu_update_mode(cpu);
}

static void teardown(void)
{
    vcpu_free(cpu);
    memory_free(memory);
}

struct state {
    uint64_t r[REG_COUNT], rflags;
    uint64_t mxcsr;
    union vector v[16];
    uint8_t data[DATA_BYTES];
};

static void load(const struct state *state)
{
    memcpy(cpu->r, state->r, sizeof(cpu->r));
    cpu_set_rflags(cpu, state->rflags);
    ck_assert(phys_write_block(memory, DATA, state->data, DATA_BYTES));
    memcpy(cpu->simd.v, state->v, sizeof(state->v));
    cpu->simd.mxcsr = (uint32_t)state->mxcsr;
    cpu->regs.halted = false;
}

static void save(struct state *state)
{
    memcpy(state->r, cpu->r, sizeof(cpu->r));
    state->r[REG_TMP] = 0;
    state->rflags = cpu_rflags(cpu);
    memcpy(state->v, cpu->simd.v, sizeof(state->v));
    state->mxcsr = cpu->simd.mxcsr;
    ck_assert(phys_read_block(memory, DATA, state->data, DATA_BYTES));
}

/* One plain body after the other until HLT. Returns the number of instructions. */
static unsigned run_bodies(const struct program *p)
{
    unsigned count = 0;
    for (;;) {
        struct insn in;
        unsigned at = (unsigned)(cpu->r[REG_RIP] - CODE);
        ck_assert_uint_lt(at, p->len);
        ck_assert_int_eq(decode_insn(p->bytes + at, p->len - at, MODE_LONG64, &in), DECODE_OK);
        const struct insn_info *info = insn_lookup(in.mnemonic);
        ck_assert_ptr_nonnull(info);
        in.body = info->body;
        in.flags = info->flags;
        in.need = isa_need(&in);
        enum step step = insn_run(cpu, &in);
        count++;
        if (step == STEP_NEXT || step == STEP_LEAVE || step == STEP_HALT)
            cpu->r[REG_RIP] += in.len;
        else
            ck_assert_int_eq(step, STEP_JUMP);
        if (step == STEP_HALT)
            return count;
    }
}

static void print_difference(const struct program *p, const struct state *hot,
                             const struct state *plain)
{
    for (unsigned b = 0; b < p->len; b++)
        fprintf(stderr, "%02x", p->bytes[b]);
    for (unsigned r = 0; r < 18; r++)
        if (hot->r[r] != plain->r[r])
            fprintf(stderr, " r%u: %llx, plain %llx;", r, (unsigned long long)hot->r[r],
                    (unsigned long long)plain->r[r]);
    for (unsigned v = 0; v < 16; v++)
        for (unsigned i = 0; i < 8; i++)
            if (hot->v[v].u64[i] != plain->v[v].u64[i])
                fprintf(stderr, " v%u[%u]: %llx, plain %llx;", v, i,
                        (unsigned long long)hot->v[v].u64[i],
                        (unsigned long long)plain->v[v].u64[i]);
    if (hot->mxcsr != plain->mxcsr)
        fprintf(stderr, " mxcsr %llx, plain %llx;", (unsigned long long)hot->mxcsr,
                (unsigned long long)plain->mxcsr);
    fprintf(stderr, " flags %llx, plain %llx\n", (unsigned long long)hot->rflags,
            (unsigned long long)plain->rflags);
}

/* Run a program from a state in whole and in exact blocks: the same end as by bodies. */
static void check_program(const struct program *p, const struct state *start)
{
    static struct state hot, plain;
    ck_assert(phys_write_block(memory, CODE, p->bytes, p->len));
    load(start);
    unsigned bodies = run_bodies(p);
    save(&plain);
    for (unsigned k = 0; k < 2; k++) {
        load(start);
        uint64_t before = cpu_insns(cpu);
        struct run_limits limits = { .max_steps = UINT64_MAX, .exact_blocks = k == 1 };
        ck_assert_int_eq(run_vcpu(cpu, &limits), PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(cpu_insns(cpu) - before, bodies);
        save(&hot);
        if (memcmp(&hot, &plain, sizeof(hot)) != 0)
            print_difference(p, &hot, &plain);
        ck_assert(memcmp(&hot, &plain, sizeof(hot)) == 0);
    }
}

/* A state with registers and data at random; RBX and RSP point into the data. */
static void random_state(struct state *start)
{
    for (unsigned k = 0; k < 16; k++)
        start->r[k] = pick(3) ? rnd() : (uint64_t)(int64_t)(int32_t)(pick(5) - 2);
    start->r[REG_RBX] = DATA;
    start->r[REG_RSP] = DATA + 0x400;
    start->r[REG_RIP] = CODE;
    start->rflags = (rnd() & FLAGS_STATUS) | 2;
    start->mxcsr = MXCSR_RESET;
    for (unsigned k = 0; k < DATA_BYTES; k += 8)
        memcpy(start->data + k, &(uint64_t){ rnd() }, 8);
}

#endif

/* A rig with SSE and AVX ready, and registers by elements. */
#ifndef TESTS_INSN_FP_KIT_H
#define TESTS_INSN_FP_KIT_H

#include "emu/fpu/types.h"
#include "tests/insn/rig.h"

#define DATA 0x160000u /* where rdi points */
#define FILL UINT64_C(0x5a5a5a5a5a5a5a5a)
#define INFINITE_S 0x7f800000u
#define QNAN_S 0x7fc00000u
#define SNAN_S 0x7fa00000u
#define ONE_S 0x3f800000u
#define ONE_D UINT64_C(0x3ff0000000000000)

static struct rig *rig;
static struct vcpu *cpu;
static struct cpu_model model;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    model = *cpu->model;
    model.features[CPU_FEATURE_MISALIGNSSE] = true;
    cpu->model = &model;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu->simd.mxcsr = MXCSR_RESET;
    cpu->r[REG_RDI] = DATA;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 8; j++)
            cpu->simd.v[i].u64[j] = FILL;
    cpu_update_mode(cpu);
}

static void teardown(void)
{
    rig_free(rig);
}

/* The low 16 bytes of a register. */
static inline void set_s(unsigned reg, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t value[] = { a, b, c, d };
    memcpy(&cpu->simd.v[reg], value, sizeof(value));
}

static inline void set_d(unsigned reg, uint64_t a, uint64_t b)
{
    cpu->simd.v[reg].u64[0] = a;
    cpu->simd.v[reg].u64[1] = b;
}

static inline void expect_s(unsigned reg, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    const uint32_t *u = cpu->simd.v[reg].u32;
    ck_assert_msg(u[0] == a && u[1] == b && u[2] == c && u[3] == d, "%08x %08x %08x %08x", u[0],
                  u[1], u[2], u[3]);
}

static inline void expect_d(unsigned reg, uint64_t a, uint64_t b)
{
    ck_assert_uint_eq(cpu->simd.v[reg].u64[0], a);
    ck_assert_uint_eq(cpu->simd.v[reg].u64[1], b);
}

/* Bits 511:128: kept by legacy encodings, cleared by VEX of 128 bits. */
static inline void expect_rest(unsigned reg, uint64_t value)
{
    for (unsigned i = 2; i < 8; i++)
        ck_assert_uint_eq(cpu->simd.v[reg].u64[i], value);
}

static inline void expect_flags(uint32_t flags)
{
    ck_assert_uint_eq(cpu->simd.mxcsr & FP_EXCEPTIONS, flags);
}

/* MXCSR with no flags: everything masked but `unmasked`, and other bits. */
static inline void set_mxcsr(uint32_t unmasked, uint32_t others)
{
    cpu->simd.mxcsr = (MXCSR_RESET & ~(unmasked << 7)) | others;
}

#define ROUND_TO(mode) ((uint32_t)FP_ROUND_##mode << 13)

#define RUN(...) ck_assert_int_eq(EXEC(rig, __VA_ARGS__), STEP_NEXT)
#define FAULT(vector, ...) rig_expect_fault(rig, EXEC(rig, __VA_ARGS__), vector, 0)

#endif

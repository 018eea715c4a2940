/* A vCPU with XSAVE enabled and an area for it, for the tests of FXSAVE and the XSAVE family. */
#ifndef TESTS_INSN_XSAVE_KIT_H
#define TESTS_INSN_XSAVE_KIT_H

#include "emu/cpu/control.h"
#include "emu/cpu/xstate.h"
#include "tests/insn/rig.h"

#define AREA 0x120000u /* addressed as [rax] or, with a mask in EDX:EAX, as [rbx] */
#define XSTATE_ALL (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU)

/* 0F AE /n [rbx], with and without REX.W; XSAVEC and its kin are 0F C7 /n. */
#define FXSAVE64 0x48, 0x0f, 0xae, 0x03
#define FXSAVE 0x0f, 0xae, 0x03
#define FXRSTOR64 0x48, 0x0f, 0xae, 0x0b
#define FXRSTOR 0x0f, 0xae, 0x0b
#define XSAVE64 0x48, 0x0f, 0xae, 0x23
#define XSAVE 0x0f, 0xae, 0x23
#define XRSTOR64 0x48, 0x0f, 0xae, 0x2b
#define XRSTOR 0x0f, 0xae, 0x2b
#define XSAVEOPT64 0x48, 0x0f, 0xae, 0x33
#define XSAVEC64 0x48, 0x0f, 0xc7, 0x23
#define XSAVES64 0x48, 0x0f, 0xc7, 0x2b
#define XRSTORS64 0x48, 0x0f, 0xc7, 0x1b
#define XGETBV 0x0f, 0x01, 0xd0
#define XSETBV 0x0f, 0x01, 0xd1

static inline struct rig *xsave_rig(void)
{
    struct rig *rig = rig_new(MODE_LONG64);
    struct vcpu *cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XSTATE_ALL;
    cpu->x87 = (struct cpu_x87){ .fcw = 0x37f };
    cpu->r[REG_RBX] = AREA;
    cpu_update_mode(cpu);
    return rig;
}

/* Change to another model, as `-cpu` spells it. */
static inline void use_model(struct rig *rig, const char *text)
{
    static struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse(text, &model, NULL), PACIFICA_OK);
    rig->cpu.model = &model;
}

static inline void set_mask(struct rig *rig, uint64_t mask)
{
    rig->cpu.r[REG_RAX] = (uint32_t)mask;
    rig->cpu.r[REG_RDX] = mask >> 32;
}

static inline void area_fill(struct rig *rig, uint8_t value)
{
    memset(rig_ptr(rig, AREA), value, XSTATE_AREA_MAX);
    memset(rig_ptr(rig, AREA + XSTATE_HEADER), 0, 64);
}

static inline uint64_t area_get(struct rig *rig, unsigned at, unsigned size)
{
    return phys_read(rig->cpu.memory, AREA + at, size);
}

static inline void area_put(struct rig *rig, unsigned at, unsigned size, uint64_t value)
{
    phys_write(rig->cpu.memory, AREA + at, size, value);
}

/* State in which every component is in use, and every byte of it tells where it belongs. */
static inline void state_fill(struct rig *rig)
{
    struct vcpu *cpu = &rig->cpu;
    for (unsigned i = 0; i < 16; i++)
        for (unsigned b = 0; b < 32; b++)
            cpu->simd.v[i].u8[b] = (uint8_t)(2 * (16 * i + b) + 1); /* odd */
    for (unsigned i = 0; i < 8; i++)
        cpu->x87.reg[i] =
            (struct f80){ .mant = 0x8000000000000000 + i, .se = (uint16_t)(0x3fff + i) };
    cpu->x87.fcw = 0x27f;
    cpu->x87.fsw = 0x2900; /* TOP 5 */
    cpu->x87.used = 0xe1;
    cpu->simd.mxcsr = 0x3f80;
    cpu->regs.pkru = 0x11223344;
    cpu_update_mode(cpu);
}

static inline void state_clear(struct rig *rig)
{
    struct vcpu *cpu = &rig->cpu;
    memset(cpu->simd.v, 0, sizeof(cpu->simd.v));
    cpu->x87 = (struct cpu_x87){ .fcw = 0x37f };
    cpu->simd.mxcsr = MXCSR_RESET;
    cpu->regs.pkru = 0;
    cpu_update_mode(cpu);
}

#define WITH_RIG(name)                        \
    static void name##_body(struct rig *rig); \
    START_TEST(name)                          \
    {                                         \
        struct rig *rig = xsave_rig();        \
        name##_body(rig);                     \
        rig_free(rig);                        \
    }                                         \
    END_TEST                                  \
    static void name##_body(struct rig *rig)

#endif

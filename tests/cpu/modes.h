/* The modes outside long mode for the kit: real, virtual-8086, 16-bit and 32-bit protected mode, with more descriptors
 * and an IDT of 8-byte gates. */
#ifndef TESTS_CPU_MODES_H
#define TESTS_CPU_MODES_H

#include "tests/cpu/kit.h"

/* Descriptors behind those of kit.h. */
enum modes_selector {
    CODE16 = 0x100,
    DATA16 = 0x108, /* base 0, 64 KiB, B = 0 */
    CODE16_3 = 0x110,
    DATA16_3 = 0x118,
    CODE32_1 = 0x120,
    TASK32 = 0x130, /* an available 32-bit TSS at NEW_TSS */
    TASK16 = 0x138, /* a 16-bit one at NEW_TSS16 */
    TASK_GATE = 0x140,
    CALL32 = 0x148,
    CALL16 = 0x150,
    DOWN = 0x158, /* expand-down, B = 0: 1000h - FFFFh */
    CONF32 = 0x160,
    SPARE = 0x168,
    LDT16 = 0x170
};

enum modes_place {
    NEW_TSS = 0x62000,
    NEW_TSS16 = 0x63000,
    LEGACY_PD = 0x64000,
    REAL_CS = CODE_SPA >> 4,
    REAL_DS = DATA_SPA >> 4,
    REAL_SP = STACK_TOP - DATA_SPA /* SS = REAL_DS */
};

static inline void modes_tables(struct kit *k)
{
    kit_gdt(k, CODE16, kit_descriptor(0, 0xffff, 0x09b));
    kit_gdt(k, DATA16, kit_descriptor(0, 0xffff, 0x093));
    kit_gdt(k, CODE16_3, kit_descriptor(0, 0xffff, 0x0fb));
    kit_gdt(k, DATA16_3, kit_descriptor(0, 0xffff, 0x0f3));
    kit_gdt(k, CODE32_1, kit_descriptor(0, 0xfffff, 0xcbb));
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x089));
    kit_gdt(k, TASK16, kit_descriptor(NEW_TSS16, 0x2b, 0x081));
    kit_gdt(k, DOWN, kit_descriptor(0, 0xfff, 0x097));
    kit_gdt(k, CONF32, kit_descriptor(0, 0xfffff, 0xc9f));
    kit_gdt(k, LDT16, kit_descriptor(LDT_SPA, 0xff, 0x082));
    kit_gdt(k, TSS, kit_descriptor(TSS_SPA, 0x2067, 0x08b));
    for (unsigned v = 0; v < 256; v++)
        kit_gate32(k, v, CODE32, HANDLER + 16 * v, 14, 0);
    for (unsigned at = 0; at < 0x2070; at += 8)
        kit_put(k, TSS_SPA + at, 8, 0);
    kit_put(k, TSS_SPA + 4, 4, RSP0_TOP);
    kit_put(k, TSS_SPA + 8, 2, DATA0);
    kit_put(k, TSS_SPA + 12, 4, RSP0_TOP + 0x400);
    kit_put(k, TSS_SPA + 16, 2, DATA1 | 1);
    kit_put(k, TSS_SPA + 0x66, 2, 0x88); /* I/O bitmap; redirection bitmap at 68h */
}

/* A call gate, task gate: type with S, selector, offset, parameters. */
static inline void modes_gate(struct kit *k, unsigned at, unsigned type, unsigned dpl,
                              uint16_t selector, uint32_t offset, unsigned params)
{
    kit_gdt(k, at,
            (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)params << 32 |
                (uint64_t)(type | dpl << 5 | 0x80) << 40 | (uint64_t)(offset >> 16) << 48);
}

/* 32-bit protected mode without paging. */
static inline void mode_prot32(struct kit *k, unsigned cpl)
{
    kit_mode(k, MODE_PROT32, cpl);
    modes_tables(k);
    kit_load_segment(k, SEG_TR, TSS);
    memset(k->cpu->r, 0, sizeof(uint64_t) * REG_RSP);
}

/* 16-bit code at CODE_SPA (base there), 16-bit data and stack at DATA_SPA. */
static inline void mode_prot16(struct kit *k, unsigned cpl)
{
    mode_prot32(k, cpl);
    kit_gdt(k, SPARE, kit_descriptor(CODE_SPA, 0xffff, cpl ? 0x0fb : 0x09b));
    kit_load_segment(k, SEG_CS, (uint16_t)(SPARE | cpl));
    kit_load_segment(k, SEG_SS, (uint16_t)((cpl ? DATA16_3 : DATA16) | cpl));
    k->cpu->regs.seg[SEG_SS].base = DATA_SPA;
    k->cpu->regs.seg[SEG_DS] = k->cpu->regs.seg[SEG_SS];
    k->cpu->r[REG_RSP] = REAL_SP;
    k->cpu->r[REG_RIP] = 0;
    cpu_update_mode(k->cpu);
}

static inline void mode_real(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    mode_prot32(k, 0);
    cpu->regs.cr0 &= ~(uint64_t)CR0_PE;
    for (int s = SEG_ES; s <= SEG_GS; s++)
        cpu->regs.seg[s] = (struct segment){
            .selector = REAL_DS, .attr = 0x093, .limit = 0xffff, .base = DATA_SPA
        };
    cpu->regs.seg[SEG_CS] =
        (struct segment){ .selector = REAL_CS, .attr = 0x09b, .limit = 0xffff, .base = CODE_SPA };
    cpu->regs.idtr = (struct table_register){ .base = IDT_SPA, .limit = 0x3ff };
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, IDT_SPA + 4 * v, 4, (HANDLER >> 4) << 16 | 4 * v);
    cpu->r[REG_RSP] = REAL_SP;
    cpu->r[REG_RIP] = 0;
    cpu_update_mode(cpu);
}

/* The 8086 program has its table at 0 and the segments of real mode. */
static inline void mode_v86(struct kit *k, unsigned iopl, bool vme)
{
    struct vcpu *cpu = k->cpu;
    mode_prot32(k, 3);
    for (int s = SEG_ES; s <= SEG_GS; s++)
        cpu->regs.seg[s] = segment_v86(s == SEG_CS ? REAL_CS : REAL_DS);
    if (vme)
        cpu->regs.cr4 |= CR4_VME;
    for (unsigned v = 0; v < 64; v++)
        kit_put(k, 4 * v, 4, 0x7000u << 16 | 4 * v);
    cpu->r[REG_RSP] = REAL_SP;
    cpu->r[REG_RIP] = 0;
    cpu_set_rflags(cpu, FLAG_VM | iopl << 12);
    cpu_update_mode(cpu);
}

/* Word n of the stack, from the top of DATA_SPA's stack downwards: 1 is the first that was pushed. */
static inline uint64_t pushed16(struct kit *k, unsigned n)
{
    return kit_get(k, STACK_TOP - 2 * n, 2);
}

/* Put words on the stack so that the first is popped first. */
static inline void modes_stack(struct kit *k, unsigned size, unsigned count, const uint64_t *words)
{
    const struct segment *ss = &k->cpu->regs.seg[SEG_SS];
    uint64_t rsp = k->cpu->r[REG_RSP] - (uint64_t)count * size;
    for (unsigned i = 0; i < count; i++)
        kit_put(k, ss->base + rsp + (uint64_t)i * size, size, words[i]);
    k->cpu->r[REG_RSP] = rsp;
}

/* An exception without instruction, and its delivery. */
static inline enum step modes_fault(struct kit *k, enum exception vector, int code)
{
    enum step step =
        code < 0 ? cpu_raise(k->cpu, vector) : cpu_raise_code(k->cpu, vector, (uint32_t)code);
    ck_assert_int_eq(step, STEP_RAISED);
    return event_raised(k->cpu);
}

static inline enum step modes_intr(struct kit *k, unsigned vector)
{
    k->cpu->rflags |= FLAG_IF;
    k->pending = (int)vector;
    return event_boundary(k->cpu);
}

/* This event, with this error code, was delivered last. */
static inline void modes_delivered(struct kit *k, enum step step, unsigned vector, unsigned code)
{
    ck_assert_int_eq(step, STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, vector);
    ck_assert_uint_eq(k->delivered.b, code);
}

#endif

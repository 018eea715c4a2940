/* Descriptors and segment loads. APM vol 2, chapter 4 "Segmented Virtual Memory". */
#ifndef EMU_CPU_SEGMENT_H
#define EMU_CPU_SEGMENT_H

#include "emu/cpu/raise.h"

#define SELECTOR_RPL(selector) ((selector)&3u)
#define SELECTOR_CODE(selector) ((selector)&0xfffcu) /* as error codes report it */

/* System descriptor types. APM vol 2, 4.7.2 "Legacy-Mode System Descriptors". */
enum system_type {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK_GATE = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS = 9,
    SYS_TSS_BUSY = 11,
    SYS_CALL = 12,
    SYS_INT = 14,
    SYS_TRAP = 15
};

/* Bits of a code or data segment's type. */
#define TYPE_ACCESSED 1u
#define TYPE_WRITABLE 2u   /* data; code: readable */
#define TYPE_CONFORMING 4u /* code; data: expand-down */
#define TYPE_CODE 8u

struct descriptor {
    uint64_t la; /* where it stands */
    uint64_t raw;
    struct segment seg; /* unpacked, with the selector that found it */
};

static inline bool segment_is_code(const struct segment *seg)
{
    return (seg->attr & SEG_ATTR_S) && (seg->attr & TYPE_CODE);
}

static inline bool segment_is_conforming(const struct segment *seg)
{
    return segment_is_code(seg) && (seg->attr & TYPE_CONFORMING);
}

static inline bool segment_is_writable_data(const struct segment *seg)
{
    return (seg->attr & SEG_ATTR_S) && !(seg->attr & TYPE_CODE) && (seg->attr & TYPE_WRITABLE);
}

static inline unsigned segment_dpl(const struct segment *seg)
{
    return (seg->attr >> SEG_ATTR_DPL_SHIFT) & 3;
}

static inline bool cpu_long_mode(const struct vcpu *cpu)
{
    return cpu->regs.efer & EFER_LMA;
}

static inline bool selector_is_null(uint16_t selector)
{
    return SELECTOR_CODE(selector) == 0;
}

/* Unpack the eight bytes of a segment descriptor. */
struct segment segment_unpack(uint16_t selector, uint64_t raw);

/* Does a table hold `bytes` bytes at the selector's index? false also for an LDT selector without LDT. */
bool descriptor_in_table(const struct vcpu *cpu, uint16_t selector, unsigned bytes, uint64_t *la);

/* Read a descriptor that must be in its table: else `fault` with the selector. STEP_NEXT, or a #PF or that fault. */
EMU_MUST_USE enum step descriptor_read(struct vcpu *cpu, uint16_t selector, enum exception fault,
                                       struct descriptor *out);

/* Set bits in the type byte of a descriptor in memory (accessed, busy) if they are not set, and in d->seg.
 * After all checks, before the register is written: a read-only page faults. */
EMU_MUST_USE enum step descriptor_mark(struct vcpu *cpu, struct descriptor *d, uint8_t type_bits);

/* The base of a 16-byte system descriptor in long mode: its upper half must lie in the table, have type 0 and give a
 * canonical base, else #GP(selector). In legacy mode nothing to do. */
EMU_MUST_USE enum step descriptor_extend(struct vcpu *cpu, struct descriptor *d);

/* A segment of virtual-8086 mode: 64 KiB of data at selector * 16, DPL 3. */
struct segment segment_v86(uint16_t selector);

/* Any segment register, CS included, in real or virtual-8086 mode. Real mode changes selector and base only: limits and
 * attributes from protected mode survive ("unreal" segments). */
void segment_load_real(struct vcpu *cpu, enum seg seg, uint16_t selector);

/* Load ES, SS, DS, FS or GS as MOV, POP and Lxx do, in any mode. On failure nothing has changed. */
EMU_MUST_USE enum step segment_load(struct vcpu *cpu, enum seg seg, uint16_t selector);

/* Store a null selector in DS, ES, FS, GS or LDTR. */
void segment_set_null(struct vcpu *cpu, enum seg seg, uint16_t selector);

/* Store a loaded code segment and the privilege level that comes with it; selector RPL := cpl. */
void segment_set_cs(struct vcpu *cpu, const struct segment *cs, unsigned cpl);

/* The null SS that long mode makes on a change to an inner level. */
struct segment segment_null_ss(unsigned cpl);

/* The checks of a stack segment for privilege level `cpl`, and its accessed bit. Faults: null -> null_fault(0), present
 * -> #SS(selector), others -> fault(selector). */
EMU_MUST_USE enum step segment_check_stack(struct vcpu *cpu, uint16_t selector, unsigned cpl,
                                           enum exception fault, struct descriptor *out);

/* DS, ES, FS, GS that the new, outer privilege level may not use become null. APM vol 2, 4.11.2. */
void segment_drop_inner(struct vcpu *cpu);

/* Is [off, off + size) inside a segment's limit, expand-down included? */
bool segment_covers(const struct segment *seg, uint64_t off, unsigned size);

/* May execution start at `offset` of a code segment? Canonical in 64-bit code, else inside the limit. */
bool segment_may_enter(const struct vcpu *cpu, const struct segment *cs, uint64_t offset);

/* SSn:ESPn of the current TSS, 16 or 32 bits, for privilege level n outside long mode, with the checks of
 * segment_check_stack() by #TS. APM vol 2, 12.2.4 "Legacy Task-State Segment". */
EMU_MUST_USE enum step segment_inner_stack(struct vcpu *cpu, unsigned cpl, struct descriptor *ss,
                                           uint32_t *esp);

#endif

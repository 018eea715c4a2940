/* Lazy status flags: conditions from operands and result, independent of operand width because all
 * three are sign-extended. APM vol 1, 3.1.4 "Flags Register". */
#ifndef EMU_CPU_FLAGS_H
#define EMU_CPU_FLAGS_H

#include "emu/cpu/state.h"

/* Record the flags of an operation on values sign-extended from the operand size. */
static inline void flags_set(struct vcpu *cpu, enum flags_kind kind, int64_t src1, int64_t src2,
                             int64_t res)
{
    cpu->flags_kind = (uint8_t)kind;
    cpu->src1 = (uint64_t)src1;
    cpu->src2 = (uint64_t)src2;
    cpu->res = (uint64_t)res;
}

/* Record explicit status flags (others must be 0 in `status`). */
static inline void flags_set_material(struct vcpu *cpu, uint32_t status)
{
    cpu->rflags = (cpu->rflags & ~(uint64_t)FLAGS_STATUS) | status;
    cpu->flags_kind = FLAGS_MATERIAL;
}

/* Record CF, OF and AF as bits in their RFLAGS positions; ZF, SF and PF follow from the result. */
static inline void flags_set_result(struct vcpu *cpu, uint32_t cf_of_af, int64_t res)
{
    cpu->rflags = (cpu->rflags & ~(uint64_t)(FLAG_CF | FLAG_OF | FLAG_AF)) | cf_of_af;
    cpu->flags_kind = FLAGS_RESULT;
    cpu->res = (uint64_t)res;
}

static inline bool flags_cf(const struct vcpu *cpu)
{
    switch ((enum flags_kind)cpu->flags_kind) {
    case FLAGS_ADD: return cpu->res < cpu->src1;
    case FLAGS_SUB: return cpu->src1 < cpu->src2;
    case FLAGS_LOGIC: return false;
    default: return cpu->rflags & FLAG_CF;
    }
}

static inline bool flags_zf(const struct vcpu *cpu)
{
    return cpu->flags_kind == FLAGS_MATERIAL ? (cpu->rflags & FLAG_ZF) != 0 : cpu->res == 0;
}

static inline bool flags_sf(const struct vcpu *cpu)
{
    return cpu->flags_kind == FLAGS_MATERIAL ? (cpu->rflags & FLAG_SF) != 0 : (int64_t)cpu->res < 0;
}

static inline bool flags_pf(const struct vcpu *cpu)
{
    if (cpu->flags_kind == FLAGS_MATERIAL)
        return cpu->rflags & FLAG_PF;
    unsigned x = (uint8_t)cpu->res;
    x ^= x >> 4;
    return !((0x6996u >> (x & 15)) & 1);
}

static inline bool flags_af(const struct vcpu *cpu)
{
    switch ((enum flags_kind)cpu->flags_kind) {
    case FLAGS_LOGIC: return false;
    case FLAGS_MATERIAL:
    case FLAGS_RESULT: return cpu->rflags & FLAG_AF;
    default: return (cpu->src1 ^ cpu->src2 ^ cpu->res) & FLAG_AF;
    }
}

static inline bool flags_of(const struct vcpu *cpu);
uint32_t flags_status(const struct vcpu *cpu); /* all six, in their RFLAGS positions */

/* The 64-bit sign-extended result wraps at the operand width, so overflow shows as a difference
 * between the exact sum and the sign-extended result: sign rule on bit 63. */
static inline bool flags_of(const struct vcpu *cpu)
{
    switch ((enum flags_kind)cpu->flags_kind) {
    case FLAGS_ADD:
    case FLAGS_INC: return (int64_t)((cpu->res ^ cpu->src1) & (cpu->res ^ cpu->src2)) < 0;
    case FLAGS_SUB:
    case FLAGS_DEC: return (int64_t)((cpu->src1 ^ cpu->src2) & (cpu->src1 ^ cpu->res)) < 0;
    case FLAGS_LOGIC: return false;
    default: return cpu->rflags & FLAG_OF;
    }
}

/* Replace some of CF, OF and AF (`mask`) by `bits`; all other flags stay. */
static inline void flags_replace(struct vcpu *cpu, uint32_t mask, uint32_t bits)
{
    if (cpu->flags_kind != FLAGS_MATERIAL && cpu->flags_kind != FLAGS_RESULT) {
        uint32_t kept = 0;
        if (!(mask & FLAG_CF) && flags_cf(cpu))
            kept |= FLAG_CF;
        if (!(mask & FLAG_OF) && flags_of(cpu))
            kept |= FLAG_OF;
        if (!(mask & FLAG_AF) && flags_af(cpu))
            kept |= FLAG_AF;
        mask = FLAG_CF | FLAG_OF | FLAG_AF;
        bits |= kept;
        cpu->flags_kind = FLAGS_RESULT;
    }
    cpu->rflags = (cpu->rflags & ~(uint64_t)mask) | bits;
}

/* The condition of Jcc, SETcc, CMOVcc: cc is the low nibble of the opcode. */
static inline bool flags_condition(const struct vcpu *cpu, unsigned cc)
{
    bool value;
    switch (cc >> 1) {
    case 0: value = flags_of(cpu); break;
    case 1: value = flags_cf(cpu); break;
    case 2: value = flags_zf(cpu); break;
    case 3: value = flags_cf(cpu) || flags_zf(cpu); break;
    case 4: value = flags_sf(cpu); break;
    case 5: value = flags_pf(cpu); break;
    case 6: value = flags_sf(cpu) != flags_of(cpu); break;
    default: value = flags_zf(cpu) || flags_sf(cpu) != flags_of(cpu); break;
    }
    return value != (cc & 1);
}

#endif

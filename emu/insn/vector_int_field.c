/* Bit fields in the low half of a register: SSE4A. APM vol 4, "EXTRQ", "INSERTQ".
 *
 * CHOICE: what the manual leaves undefined is as on Zen 4: bits 127:64 of the result are zero, and a field that does not end
 * within bit 63 is cut there. */
#include "emu/insn/vector_int.h"

/* A length of 0 means 64. */
static uint64_t field_mask(unsigned len)
{
    return len == 0 ? UINT64_MAX : (UINT64_C(1) << len) - 1;
}

enum step insn_extrq(struct vcpu *cpu, const struct insn *in)
{
    bool immediate = in->op[1].kind == OPERAND_IMM;
    const union vector *control = &cpu->simd.v[in->op[1].reg];
    unsigned len = (immediate ? (unsigned)in->imm : control->u8[0]) & 63;
    unsigned at = (immediate ? (unsigned)in->imm2 : control->u8[1]) & 63;
    union vector *d = &cpu->simd.v[in->op[0].reg];
    d->u64[0] = d->u64[0] >> at & field_mask(len);
    d->u64[1] = 0;
    return STEP_NEXT;
}

enum step insn_insertq(struct vcpu *cpu, const struct insn *in)
{
    bool immediate = in->op[2].kind == OPERAND_IMM;
    const union vector *src = &cpu->simd.v[in->op[1].reg];
    unsigned len = (immediate ? (unsigned)in->imm : src->u8[8]) & 63;
    unsigned at = (immediate ? (unsigned)in->imm2 : src->u8[9]) & 63;
    uint64_t mask = field_mask(len) << at, field = src->u64[0] << at;
    union vector *d = &cpu->simd.v[in->op[0].reg];
    d->u64[0] = (d->u64[0] & ~mask) | (field & mask);
    d->u64[1] = 0;
    return STEP_NEXT;
}

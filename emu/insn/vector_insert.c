/* Single elements and halves in and out of vector registers; broadcasts. APM vol 4, "PINSRB", "PEXTRB", "INSERTPS",
 * "VINSERTF128", "VBROADCASTSS" and their like. */
#include "emu/insn/vector.h"

#include <string.h>

/* --- PINSR, PEXTR ---------------------------------------------------------------------------------- */

/* Element imm8 of `size` bytes from memory or the low end of a general register. */
static enum step insert(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    unsigned whole = in->op[0].kind == OPERAND_MMX ? 8 : 16;
    union vector value, element;
    enum step step = vector_read(cpu, in, in->vex ? 2 : 1, size, &element);
    if (step == STEP_NEXT)
        step = vector_read(cpu, in, in->vex ? 1 : 0, whole, &value);
    if (step != STEP_NEXT)
        return step;
    memcpy(value.u8 + (in->imm & (whole / size - 1)) * size, &element, size);
    return vector_write(cpu, in, 0, whole, &value);
}

enum step insn_pinsrb(struct vcpu *cpu, const struct insn *in)
{
    return insert(cpu, in, 1);
}

enum step insn_pinsrw(struct vcpu *cpu, const struct insn *in)
{
    return insert(cpu, in, 2);
}

enum step insn_pinsrd(struct vcpu *cpu, const struct insn *in)
{
    return insert(cpu, in, 4);
}

enum step insn_pinsrq(struct vcpu *cpu, const struct insn *in)
{
    return insert(cpu, in, 8);
}

/* Element imm8 of `size` bytes to memory, or to a general register with zeros above. */
static enum step extract(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    bool mmx = in->op[1].kind == OPERAND_MMX;
    unsigned whole = mmx ? 8 : 16;
    union vector from, element = { .u64 = { 0 } };
    enum step step = vector_read(cpu, in, 1, whole, &from);
    if (step != STEP_NEXT)
        return step;
    memcpy(&element, from.u8 + (in->imm & (whole / size - 1)) * size, size);
    step = vector_write(cpu, in, 0, size, &element);
    if (step == STEP_NEXT && mmx)
        mmx_enter(cpu);
    return step;
}

enum step insn_pextrb(struct vcpu *cpu, const struct insn *in)
{
    return extract(cpu, in, 1);
}

enum step insn_pextrw(struct vcpu *cpu, const struct insn *in)
{
    return extract(cpu, in, 2);
}

/* PEXTRD, EXTRACTPS. */
enum step insn_pextrd(struct vcpu *cpu, const struct insn *in)
{
    return extract(cpu, in, 4);
}

enum step insn_pextrq(struct vcpu *cpu, const struct insn *in)
{
    return extract(cpu, in, 8);
}

/* imm8: 7:6 the source's element (of memory there is but one), 5:4 where it goes, 3:0 what becomes zero. */
enum step insn_insertps(struct vcpu *cpu, const struct insn *in)
{
    unsigned source = in->vex ? 2 : 1;
    bool memory = in->op[source].kind == OPERAND_MEM;
    union vector value = cpu->simd.v[in->op[source - 1].reg], from;
    enum step step = vector_read(cpu, in, source, memory ? 4 : 16, &from);
    if (step != STEP_NEXT)
        return step;
    value.u32[in->imm >> 4 & 3] = from.u32[memory ? 0 : in->imm >> 6 & 3];
    for (unsigned i = 0; i < 4; i++)
        if (in->imm >> i & 1)
            value.u32[i] = 0;
    return vector_write(cpu, in, 0, 16, &value);
}

/* --- 128-bit halves --------------------------------------------------------------------------------- */

/* VINSERTF128, VINSERTI128. */
enum step insn_vinsertf128(struct vcpu *cpu, const struct insn *in)
{
    union vector value = cpu->simd.v[in->op[1].reg], half;
    enum step step = vector_read(cpu, in, 2, 16, &half);
    if (step != STEP_NEXT)
        return step;
    memcpy(&value.u64[in->imm & 1 ? 2 : 0], &half, 16);
    return vector_write(cpu, in, 0, 32, &value);
}

/* VEXTRACTF128, VEXTRACTI128. */
enum step insn_vextractf128(struct vcpu *cpu, const struct insn *in)
{
    union vector half = { .u64 = { 0 } };
    memcpy(&half, &cpu->simd.v[in->op[1].reg].u64[in->imm & 1 ? 2 : 0], 16);
    return vector_write(cpu, in, 0, 16, &half);
}

/* --- broadcasts ---------------------------------------------------------------------------------------- */

static enum step broadcast(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    union vector value;
    enum step step = vector_read(cpu, in, 1, size, &value);
    if (step != STEP_NEXT)
        return step;
    for (unsigned at = size; at < in->op[0].size; at += size)
        memcpy(value.u8 + at, value.u8, size);
    return vector_write(cpu, in, 0, in->op[0].size, &value);
}

enum step insn_vpbroadcastb(struct vcpu *cpu, const struct insn *in)
{
    return broadcast(cpu, in, 1);
}

enum step insn_vpbroadcastw(struct vcpu *cpu, const struct insn *in)
{
    return broadcast(cpu, in, 2);
}

/* VPBROADCASTD, VBROADCASTSS. */
enum step insn_vpbroadcastd(struct vcpu *cpu, const struct insn *in)
{
    return broadcast(cpu, in, 4);
}

/* VPBROADCASTQ, VBROADCASTSD. */
enum step insn_vpbroadcastq(struct vcpu *cpu, const struct insn *in)
{
    return broadcast(cpu, in, 8);
}

/* VBROADCASTF128, VBROADCASTI128. */
enum step insn_vbroadcastf128(struct vcpu *cpu, const struct insn *in)
{
    return broadcast(cpu, in, 16);
}

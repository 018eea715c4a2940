/* Single elements and halves in and out of vector registers; broadcasts. APM vol 4, "PINSRB", "PEXTRB", "INSERTPS",
 * "VINSERTF128", "VBROADCASTSS" and their like. */
#include "emu/insn/vector_int.h"

/* --- PINSR, PEXTR ---------------------------------------------------------------------------------- */

/* Which quadword of the register has element imm8, and where in it the element starts, in bits. */
struct place {
    unsigned quadword, shift;
};

EMU_INLINE struct place place_of(const struct insn *in, unsigned size, bool mmx)
{
    unsigned at = (unsigned)in->imm & ((mmx ? 8u : 16u) / size - 1);
    return (struct place){ at * size / 8, at * size % 8 * 8 };
}

/* Element imm8 of `size` bytes from memory or the low end of a general register. */
EMU_INLINE enum step insert(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    const struct operand *to = &in->op[0], *source = &in->op[in->vex ? 2 : 1];
    struct place place = place_of(in, size, to->kind == OPERAND_MMX);
    uint64_t element = 0, mask = size_mask(size) << place.shift;
    if (source->kind == OPERAND_MEM) {
        enum step step = vector_load(cpu, in, size, &element);
        if (step != STEP_NEXT)
            return step;
    } else {
        element = cpu->r[source->reg / 8];
    }
    element = (element << place.shift) & mask;
    if (to->kind == OPERAND_MMX) {
        mmx_set(cpu, to->reg, (cpu->x87.reg[to->reg].mant & ~mask) | element);
        return STEP_NEXT;
    }
    const union vector *base = &cpu->simd.v[in->op[in->vex ? 1 : 0].reg];
    uint64_t low = base->u64[0], high = base->u64[1];
    if (place.quadword == 0)
        low = (low & ~mask) | element;
    else
        high = (high & ~mask) | element;
    vector_set16(cpu, in, low, high);
    return STEP_NEXT;
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
EMU_INLINE enum step extract(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    const struct operand *to = &in->op[0], *from = &in->op[1];
    bool mmx = from->kind == OPERAND_MMX;
    struct place place = place_of(in, size, mmx);
    uint64_t value =
        mmx ? cpu->x87.reg[from->reg].mant : cpu->simd.v[from->reg].u64[place.quadword];
    value = value >> place.shift & size_mask(size);
    if (to->kind == OPERAND_MEM)
        return vector_store(cpu, in, size, &value);
    if (mmx)
        mmx_enter(cpu);
    reg_write(cpu, to->reg, 8, value);
    return STEP_NEXT;
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

EMU_INLINE enum step broadcast(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    union vector room, d;
    const union vector *from;
    enum step step = vector_source(cpu, in, 1, size, &room, &from);
    if (step != STEP_NEXT)
        return step;
    uint64_t low = from->u64[0], high = size == 16 ? from->u64[1] : 0;
    for (unsigned bits = 8 * size; bits < 64; bits *= 2)
        low = (low & ((UINT64_C(1) << bits) - 1)) << bits | (low & ((UINT64_C(1) << bits) - 1));
    if (size < 16)
        high = low;
    for (unsigned i = 0; i < 4; i += 2) {
        emu_u64x2 pair = { low, high };
        memcpy(&d.u64[i], &pair, sizeof(pair));
    }
    return vector_result(cpu, in, in->op[0].size, &d);
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

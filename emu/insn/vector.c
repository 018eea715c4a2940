/* Operands of MMX, SSE and AVX instructions. */
#include "emu/insn/vector.h"

#include <Zydis/Zydis.h>
#include <string.h>

/* The classes of exceptions tell who must be aligned: APM vol 4, appendix "Exception Summary". Lanes that load without an
 * alignment rule although their class has one: MOVUPS and its kin, LDDQU, PCMPxSTRx, SHA. */
static bool aligned_class(const struct insn *in)
{
    switch (in->exception_class) {
    case ZYDIS_EXCEPTION_CLASS_SSE1:
    case ZYDIS_EXCEPTION_CLASS_AVX1:
    case ZYDIS_EXCEPTION_CLASS_SSE2: return true;
    case ZYDIS_EXCEPTION_CLASS_SSE4: break;
    default: /* of no class in Zydis; measured on Zen 4 */
        return in->mnemonic == ZYDIS_MNEMONIC_CVTPD2PI || in->mnemonic == ZYDIS_MNEMONIC_CVTTPD2PI;
    }
    if (in->isa_set == ZYDIS_ISA_SET_SHA) /* measured on Zen 4 */
        return false;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
    case ZYDIS_MNEMONIC_MASKMOVDQU: return false;
    default: return true;
    }
}

/* MXCSR.MM lifts the rule from loads and computations, not from moves whose point is alignment and non-temporal stores. */
static bool misaligned_allowed(const struct vcpu *cpu, const struct insn *in)
{
    return (cpu->simd.mxcsr & MXCSR_MM) && in->exception_class != ZYDIS_EXCEPTION_CLASS_SSE1 &&
           in->exception_class != ZYDIS_EXCEPTION_CLASS_AVX1;
}

/* Measured on Zen 4: #AC comes behind what the segment forbids and before the walk, and wants no more than 16 bytes. */
EMU_MUST_USE static enum step check_alignment(struct vcpu *cpu, const struct insn *in,
                                              unsigned size, uint64_t off, enum access_kind kind)
{
    uint64_t la = cpu->regs.seg[in->seg].base * !(cpu_long64(cpu) && in->seg < SEG_FS) + off;
    if ((la & (size - 1)) == 0 || (size & (size - 1)) != 0)
        return STEP_NEXT;
    if (size >= 16 && aligned_class(in) && !misaligned_allowed(cpu, in))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if ((la & (size - 1) & 15) == 0 || !mem_alignment_checked(cpu))
        return STEP_NEXT;
    enum step step = mem_linear(cpu, (enum seg)in->seg, off, size, kind, &la);
    return step == STEP_NEXT ? cpu_raise_code(cpu, EXC_AC, 0) : step;
}

/* Legacy instructions that need half of a 16-byte operand and read no more: what an unaligned one has in the next page, with
 * MXCSR.MM, is not touched. Measured on Zen 4; alignment and the segment count for all of it. */
static bool reads_half(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_UNPCKLPS:
    case ZYDIS_MNEMONIC_UNPCKLPD:
    case ZYDIS_MNEMONIC_PUNPCKLBW:
    case ZYDIS_MNEMONIC_PUNPCKLWD:
    case ZYDIS_MNEMONIC_PUNPCKLDQ:
    case ZYDIS_MNEMONIC_PUNPCKLQDQ:
    case ZYDIS_MNEMONIC_PSLLW:
    case ZYDIS_MNEMONIC_PSLLD:
    case ZYDIS_MNEMONIC_PSLLQ:
    case ZYDIS_MNEMONIC_PSRLW:
    case ZYDIS_MNEMONIC_PSRLD:
    case ZYDIS_MNEMONIC_PSRLQ:
    case ZYDIS_MNEMONIC_PSRAW:
    case ZYDIS_MNEMONIC_PSRAD: return true;
    default: return false;
    }
}

enum step vector_load(struct vcpu *cpu, const struct insn *in, unsigned size, void *to)
{
    uint64_t off = mem_offset(cpu, in), la;
    enum step step = check_alignment(cpu, in, size, off, ACCESS_READ);
    if (EMU_UNLIKELY(size == 16 && reads_half(in) && step == STEP_NEXT)) {
        step = mem_linear(cpu, (enum seg)in->seg, off, size, ACCESS_READ, &la);
        size = 8;
    }
    return step == STEP_NEXT ? mem_load_bytes(cpu, (enum seg)in->seg, off, size, to) : step;
}

enum step vector_store(struct vcpu *cpu, const struct insn *in, unsigned size, const void *from)
{
    uint64_t off = mem_offset(cpu, in);
    enum step step = check_alignment(cpu, in, size, off, ACCESS_WRITE);
    return step == STEP_NEXT ? mem_store_bytes(cpu, (enum seg)in->seg, off, size, from) : step;
}

enum step vector_touch(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    uint64_t off = mem_offset(cpu, in);
    enum step step = check_alignment(cpu, in, size, off, ACCESS_WRITE);
    return step == STEP_NEXT ? mem_touch_bytes(cpu, (enum seg)in->seg, off, size, ACCESS_WRITE)
                             : step;
}

enum step vector_read(struct vcpu *cpu, const struct insn *in, unsigned n, unsigned size,
                      union vector *to)
{
    const struct operand *op = &in->op[n];
    memset(to, 0, sizeof(*to));
    switch ((enum operand_kind)op->kind) {
    case OPERAND_VECTOR: memcpy(to, &cpu->simd.v[op->reg], size); return STEP_NEXT;
    case OPERAND_MMX:
        memcpy(to, &cpu->x87.reg[op->reg].mant, size < 8 ? size : 8);
        return STEP_NEXT;
    case OPERAND_REG: to->u64[0] = reg_read(cpu, op->reg, op->size); return STEP_NEXT;
    case OPERAND_MEM: return vector_load(cpu, in, size, to);
    default: to->u64[0] = in->imm; return STEP_NEXT;
    }
}

void mmx_enter(struct vcpu *cpu)
{
    cpu->x87.fsw &= (uint16_t) ~(7u << FSW_TOP_SHIFT);
    cpu->x87.used = 0xff;
}

void mmx_set(struct vcpu *cpu, unsigned r, uint64_t value)
{
    mmx_enter(cpu);
    cpu->x87.reg[r] = (struct f80){ .mant = value, .se = 0xffff };
}

void vector_set(struct vcpu *cpu, const struct insn *in, unsigned r, unsigned size,
                const union vector *from)
{
    union vector *to = &cpu->simd.v[r];
    memcpy(to, from, size);
    if (in->vex)
        memset(to->u8 + size, 0, sizeof(*to) - size);
}

enum step vector_write(struct vcpu *cpu, const struct insn *in, unsigned n, unsigned size,
                       const union vector *from)
{
    const struct operand *op = &in->op[n];
    switch ((enum operand_kind)op->kind) {
    case OPERAND_VECTOR: vector_set(cpu, in, op->reg, size, from); return STEP_NEXT;
    case OPERAND_MMX: mmx_set(cpu, op->reg, from->u64[0]); return STEP_NEXT;
    case OPERAND_REG: reg_write(cpu, op->reg, op->size, from->u64[0]); return STEP_NEXT;
    default: return vector_store(cpu, in, size, from);
    }
}

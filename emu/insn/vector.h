/* Operands of MMX, SSE and AVX instructions.
 *
 * A body reads its operands, computes into a local, and writes the result as its last act: nothing is committed before a
 * fault is known. What lets the instruction run at all (CPUID, CR0, CR4, XCR0) was looked at before the body. */
#ifndef EMU_INSN_VECTOR_H
#define EMU_INSN_VECTOR_H

#include "emu/insn/insn.h"

#include <string.h>

/* Load operand n: `size` bytes of a register (MMX 8) or of memory; the rest of *to is zero. */
EMU_MUST_USE enum step vector_read(struct vcpu *cpu, const struct insn *in, unsigned n,
                                   unsigned size, union vector *to);

/* Load `size` bytes of the memory operand, aligned as the exception class demands: #GP(0), or #AC with MXCSR.MM. */
EMU_MUST_USE enum step vector_load(struct vcpu *cpu, const struct insn *in, unsigned size,
                                   void *to);
EMU_MUST_USE enum step vector_store(struct vcpu *cpu, const struct insn *in, unsigned size,
                                    const void *from);
/* The faults and table bits of vector_store(), without the store. */
EMU_MUST_USE enum step vector_touch(struct vcpu *cpu, const struct insn *in, unsigned size);

/* Write the low `size` bytes of operand n. A register keeps the rest with legacy encoding and clears it up to 64 bytes
 * with VEX; an MMX register gets exponent FFFFh and the x87 stack becomes MMX state. Only memory can fail. */
EMU_MUST_USE enum step vector_write(struct vcpu *cpu, const struct insn *in, unsigned n,
                                    unsigned size, const union vector *from);

/* Register r of vector registers gets the low `size` bytes, as above. */
void vector_set(struct vcpu *cpu, const struct insn *in, unsigned r, unsigned size,
                const union vector *from);

/* *to gets the low 16 or 32 bytes of *from and with VEX 0 in all others: whatever is wider than 16 bytes has VEX. */
EMU_INLINE void vector_put(union vector *to, const void *from, unsigned size, bool vex)
{
    memcpy(to, from, 16);
    if (!vex)
        return;
    if (size == 32)
        memcpy(to->u8 + 16, (const uint8_t *)from + 16, 16);
    else
        memset(to->u8 + 16, 0, 16);
    memset(to->u8 + 32, 0, sizeof(*to) - 32);
}

/* After any MMX instruction but EMMS: TOP 0, all registers in use. APM vol 1, 5.10 "Using MMX and x87 together". */
void mmx_enter(struct vcpu *cpu);
void mmx_set(struct vcpu *cpu, unsigned r, uint64_t value);

#endif

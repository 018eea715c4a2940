/* Logic on all bits of a register: ANDPS, PAND and their like. The type in the name makes no difference. */
#include "emu/insn/vector_int.h"

VEC2(insn_vector_and, u64, (x & y))
VEC2(insn_vector_andn, u64, (~x & y))
VEC2(insn_vector_or, u64, x | y)
VEC2(insn_vector_xor, u64, x ^ y)

/* How lower_vector.c and hot_vector.c understand each other. */
#ifndef EMU_INSN_HOT_VECTOR_H
#define EMU_INSN_HOT_VECTOR_H

/* In imm32 of loads and stores, in `scale` of the others. */
#define HOT_VEX 0x80   /* VEX encoding: needs AVX, clears the rest of the destination */
#define HOT_ALIGN 0x1f /* the bits of the address that must be 0 */

#endif

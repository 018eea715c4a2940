/* Packing and interleaving, within lanes.
 * APM vol 4, "PACKSSDW" to "PACKUSWB", "PALIGNR", "PUNPCKHBW" to "PUNPCKLWD"; vol 5 for MMX. */
#include "emu/insn/vector_int.h"

/* The elements of a's lane, then those of b's, each made half as wide. */
#define PACK(name, narrow, wide, saturate)                                \
    VEC_LANES(name)                                                       \
    {                                                                     \
        const unsigned n = bytes / (unsigned)sizeof(v->a->wide[0]);       \
        const unsigned from = lane / (unsigned)sizeof(v->a->wide[0]);     \
        for (unsigned i = 0; i < n; i++) {                                \
            d->narrow[2 * from + i] = saturate(v->a->wide[from + i]);     \
            d->narrow[2 * from + n + i] = saturate(v->b->wide[from + i]); \
        }                                                                 \
    }
PACK(insn_packsswb, s8, s16, saturate_s8)
PACK(insn_packuswb, u8, s16, saturate_u8)
PACK(insn_packssdw, s16, s32, saturate_s16)
PACK(insn_packusdw, u16, s32, saturate_u16)

/* The elements of one half of a's lane and of b's, alternately. */
#define UNPACK(name, elem, high)                                        \
    VEC_LANES(name)                                                     \
    {                                                                   \
        const unsigned n = bytes / (unsigned)sizeof(v->a->elem[0]) / 2; \
        const unsigned to = lane / (unsigned)sizeof(v->a->elem[0]);     \
        const unsigned from = to + (high)*n;                            \
        for (unsigned i = 0; i < n; i++) {                              \
            d->elem[to + 2 * i] = v->a->elem[from + i];                 \
            d->elem[to + 2 * i + 1] = v->b->elem[from + i];             \
        }                                                               \
    }
UNPACK(insn_punpcklbw, u8, 0)
UNPACK(insn_punpcklwd, u16, 0)
UNPACK(insn_punpckldq, u32, 0)
UNPACK(insn_punpcklqdq, u64, 0)
UNPACK(insn_punpckhbw, u8, 1)
UNPACK(insn_punpckhwd, u16, 1)
UNPACK(insn_punpckhdq, u32, 1)
UNPACK(insn_punpckhqdq, u64, 1)

/* As many bytes as a lane has from b's lane, a's lane and zeros, from byte imm on. */
VEC_LANES(insn_palignr)
{
    uint8_t row[48] = { 0 };
    memcpy(row, v->b->u8 + lane, bytes);
    memcpy(row + bytes, v->a->u8 + lane, bytes);
    memcpy(d->u8 + lane, row + (v->imm < 2 * bytes ? v->imm : 2 * bytes), bytes);
}

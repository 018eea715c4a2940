/* Packing and interleaving, within lanes.
 * APM vol 4, "PACKSSDW" to "PACKUSWB", "PALIGNR", "PUNPCKHBW" to "PUNPCKLWD"; vol 5 for MMX. */
#include "emu/insn/vector_int_block.h"

/* The elements of a's lane, then those of b's, each made half as wide. */
#define PACK(name, narrow, wide, saturate)                            \
    VEC_LANES(name)                                                   \
    {                                                                 \
        TYPE_##wide from[32 / sizeof(TYPE_##wide)];                   \
        memcpy(from, v->a->u8 + lane, bytes);                         \
        memcpy((uint8_t *)from + bytes, v->b->u8 + lane, bytes);      \
        TYPE_##narrow *to = &d->narrow[lane / sizeof(TYPE_##narrow)]; \
        for (unsigned i = 0; i < bytes / sizeof(TYPE_##narrow); i++)  \
            to[i] = saturate(from[i]);                                \
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
    const unsigned bits = 8u * v->imm;
    if (bytes == 8) {
        const emu_u128 row = (emu_u128)v->a->u64[0] << 64 | v->b->u64[0];
        d->u64[0] = bits < 128 ? (uint64_t)(row >> bits) : 0;
        return;
    }
    const emu_u128 a = block_load(v->a->u32 + lane / 4), b = block_load(v->b->u32 + lane / 4);
    const emu_u32x4 words = block_words(bits == 0    ? b
                                        : bits < 128 ? b >> bits | a << (128 - bits)
                                        : bits < 256 ? a >> (bits - 128)
                                                     : 0);
    memcpy(d->u8 + lane, &words, sizeof(words));
}

/* Integer arithmetic and comparison, element by element.
 * APM vol 4, "PADDB" to "PSUBW" and their VEX forms; vol 5, the same names for MMX. */
#include "emu/insn/vector_int.h"

/* --- addition and subtraction ------------------------------------------------------------ */

VEC2(insn_paddb, u8, x + y)
VEC2(insn_paddw, u16, x + y)
VEC2(insn_paddd, u32, x + y)
VEC2(insn_paddq, u64, x + y)
VEC2(insn_paddsb, s8, saturate_s8(x + y))
VEC2(insn_paddsw, s16, saturate_s16(x + y))
VEC2(insn_paddusb, u8, (uint8_t)(x + y) < x ? UINT8_MAX : x + y)
VEC2(insn_paddusw, u16, (uint16_t)(x + y) < x ? UINT16_MAX : x + y)
VEC2(insn_psubb, u8, x - y)
VEC2(insn_psubw, u16, x - y)
VEC2(insn_psubd, u32, x - y)
VEC2(insn_psubq, u64, x - y)
VEC2(insn_psubsb, s8, saturate_s8(x - y))
VEC2(insn_psubsw, s16, saturate_s16(x - y))
VEC2(insn_psubusb, u8, x > y ? x - y : 0)
VEC2(insn_psubusw, u16, x > y ? x - y : 0)

/* --- averages, extremes, signs ------------------------------------------------------------ */

VEC2(insn_pavgb, u8, (x + y + 1) >> 1)
VEC2(insn_pavgw, u16, (x + y + 1) >> 1)
VEC2(insn_pmaxsb, s8, x > y ? x : y)
VEC2(insn_pmaxsw, s16, x > y ? x : y)
VEC2(insn_pmaxsd, s32, x > y ? x : y)
VEC2(insn_pmaxub, u8, x > y ? x : y)
VEC2(insn_pmaxuw, u16, x > y ? x : y)
VEC2(insn_pmaxud, u32, x > y ? x : y)
VEC2(insn_pminsb, s8, x < y ? x : y)
VEC2(insn_pminsw, s16, x < y ? x : y)
VEC2(insn_pminsd, s32, x < y ? x : y)
VEC2(insn_pminub, u8, x < y ? x : y)
VEC2(insn_pminuw, u16, x < y ? x : y)
VEC2(insn_pminud, u32, x < y ? x : y)

/* The most negative number is its own negative: unsigned arithmetic says so without overflow. */
VEC1(insn_pabsb, s8, y < 0 ? -(uint32_t)y : (uint32_t)y)
VEC1(insn_pabsw, s16, y < 0 ? -(uint32_t)y : (uint32_t)y)
VEC1(insn_pabsd, s32, y < 0 ? -(uint32_t)y : (uint32_t)y)
VEC2(insn_psignb, s8, y<0 ? -(uint32_t)x : y> 0 ? (uint32_t)x : 0)
VEC2(insn_psignw, s16, y<0 ? -(uint32_t)x : y> 0 ? (uint32_t)x : 0)
VEC2(insn_psignd, s32, y<0 ? -(uint32_t)x : y> 0 ? (uint32_t)x : 0)

/* --- comparison: all ones where it holds --------------------------------------------------- */

VEC2(insn_pcmpeqb, u8, -(x == y))
VEC2(insn_pcmpeqw, u16, -(x == y))
VEC2(insn_pcmpeqd, u32, -(x == y))
VEC2(insn_pcmpeqq, u64, -(int64_t)(x == y))
VEC2(insn_pcmpgtb, s8, -(x > y))
VEC2(insn_pcmpgtw, s16, -(x > y))
VEC2(insn_pcmpgtd, s32, -(x > y))
VEC2(insn_pcmpgtq, s64, -(x > y))

/* --- multiplication ------------------------------------------------------------------------ */

VEC2(insn_pmullw, u16, (uint32_t)x *y)
VEC2(insn_pmulld, u32, x *y)
VEC2(insn_pmulhw, s16, (x * y) >> 16)
VEC2(insn_pmulhuw, u16, ((uint32_t)x * y) >> 16)
VEC2(insn_pmulhrsw, s16, (((x * y) >> 14) + 1) >> 1)

/* The low halves of the elements give products as wide as they are. */
VEC2(insn_pmuludq, u64, (uint64_t)(uint32_t)x *(uint32_t)y)
VEC2(insn_pmuldq, s64, (int64_t)(int32_t)x *(int32_t)y)

/* Sums of two products; the only sum that does not fit, of four -32768, wraps. */
VEC_BODY(insn_pmaddwd, binary)
{
    for (unsigned i = 0; i < COUNT(u32); i++)
        d->u32[i] = (uint32_t)(v->a->s16[2 * i] * v->b->s16[2 * i]) +
                    (uint32_t)(v->a->s16[2 * i + 1] * v->b->s16[2 * i + 1]);
}

VEC_BODY(insn_pmaddubsw, binary)
{
    for (unsigned i = 0; i < COUNT(s16); i++)
        d->s16[i] = saturate_s16(v->a->u8[2 * i] * v->b->s8[2 * i] +
                                 v->a->u8[2 * i + 1] * v->b->s8[2 * i + 1]);
}

/* Multiplication without carries. APM vol 4, "PCLMULQDQ", "VPCLMULQDQ". */
#include "emu/insn/vector_int.h"

/* Every fifth bit of a factor: no more than 13 products meet in a column of the ordinary product, so that its carries
 * end within the next four columns, which are dropped. */
#define FIFTH(i) (UINT64_C(0x1084210842108421) << (i))

static emu_u128 carryless(uint64_t a, uint64_t b)
{
    const emu_u128 wide =
        (emu_u128)UINT64_C(0x2108421084210842) << 64 | UINT64_C(0x1084210842108421);
    uint64_t part[5];
    emu_u128 sum[5] = { 0 }, product = 0;
    for (unsigned i = 0; i < 5; i++)
        part[i] = b & FIFTH(i);
    for (unsigned i = 0; i < 5; i++) {
        const uint64_t x = a & FIFTH(i);
        for (unsigned k = 0; k < 5; k++)
            sum[(i + k) % 5] ^= (emu_u128)x * part[k];
    }
    for (unsigned i = 0; i < 5; i++)
        product |= sum[i] & (wide << i);
    return product;
}

/* Within each lane the halves of a and b that imm[0] and imm[4] name. */
VEC_BODY(insn_pclmulqdq, binary)
{
    for (unsigned i = 0; i < v->size / 8; i += 2) {
        emu_u128 product = carryless(v->a->u64[i + (v->imm & 1)], v->b->u64[i + (v->imm >> 4 & 1)]);
        d->u64[i] = (uint64_t)product;
        d->u64[i + 1] = (uint64_t)(product >> 64);
    }
}

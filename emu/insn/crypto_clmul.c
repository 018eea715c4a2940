/* Multiplication without carries. APM vol 4, "PCLMULQDQ", "VPCLMULQDQ". */
#include "emu/insn/vector_int_block.h"

/* The bits i, i + 5, ... of a factor: no more than 13 products meet in a column of an ordinary product of two such parts,
 * so that its carries end within the next four columns, which are dropped. */
#define PART(x, i) ((x) & (UINT64_C(0x1084210842108421) << (i)))

static emu_u128 carryless(uint64_t a, uint64_t b)
{
    const emu_u128 columns =
        (emu_u128)UINT64_C(0x2108421084210842) << 64 | UINT64_C(0x1084210842108421);
    const emu_u128 a0 = PART(a, 0), a1 = PART(a, 1), a2 = PART(a, 2), a3 = PART(a, 3),
                   a4 = PART(a, 4);
    const uint64_t b0 = PART(b, 0), b1 = PART(b, 1), b2 = PART(b, 2), b3 = PART(b, 3),
                   b4 = PART(b, 4);
    return ((a0 * b0 ^ a1 * b4 ^ a2 * b3 ^ a3 * b2 ^ a4 * b1) & columns) |
           ((a0 * b1 ^ a1 * b0 ^ a2 * b4 ^ a3 * b3 ^ a4 * b2) & columns << 1) |
           ((a0 * b2 ^ a1 * b1 ^ a2 * b0 ^ a3 * b4 ^ a4 * b3) & columns << 2) |
           ((a0 * b3 ^ a1 * b2 ^ a2 * b1 ^ a3 * b0 ^ a4 * b4) & columns << 3) |
           ((a0 * b4 ^ a1 * b3 ^ a2 * b2 ^ a3 * b1 ^ a4 * b0) & columns << 4);
}

/* The halves of a and b that imm[0] and imm[4] name. */
BLOCK_BODY(insn_pclmulqdq, binary)
{
    uint64_t a, b;
    memcpy(&a, v->a + (v->imm & 0x01 ? 2 : 0), sizeof(a));
    memcpy(&b, v->b + (v->imm & 0x10 ? 2 : 0), sizeof(b));
    return block_words(carryless(a, b));
}

/* AES: a round is four look-ups for each column, in tables that hold a byte's contribution to the column.
 * FIPS-197; APM vol 4, "AESDEC" to "AESKEYGENASSIST" and their VEX forms. */
#include "emu/insn/vector_int_block.h"

static const uint8_t s_box[256] = {
#define S(from, to) [from] = (to),
#include "emu/insn/crypto_aes.def"
#undef S
};

static const uint8_t inverse_s_box[256] = {
#define S(from, to) [to] = (from),
#include "emu/insn/crypto_aes.def"
#undef S
};

/* Multiplication in GF(2^8): FIPS-197, 4.2 "Multiplication". */
#define BY2(s) (((s) << 1 ^ ((s) >> 7) * 0x11b) & 0xff)
#define BY3(s) (BY2(s) ^ (s))
#define BY4(s) BY2(BY2(s))
#define BY8(s) BY2(BY4(s))
#define BY9(s) (BY8(s) ^ (s))
#define BY11(s) (BY8(s) ^ BY2(s) ^ (s))
#define BY13(s) (BY8(s) ^ BY4(s) ^ (s))
#define BY14(s) (BY8(s) ^ BY4(s) ^ BY2(s))
#define COLUMN(r0, r1, r2, r3) \
    ((uint32_t)(r0) | (uint32_t)(r1) << 8 | (uint32_t)(r2) << 16 | (uint32_t)(r3) << 24)

/* mix[r][x]: what a byte x in row r of a column, substituted, adds to the column. 5.1.3 "MixColumns()". */
static const uint32_t mix[4][256] = {
    {
#define S(from, to) [from] = COLUMN(BY2(to), to, to, BY3(to)),
#include "emu/insn/crypto_aes.def"
#undef S
    },
    {
#define S(from, to) [from] = COLUMN(BY3(to), BY2(to), to, to),
#include "emu/insn/crypto_aes.def"
#undef S
    },
    {
#define S(from, to) [from] = COLUMN(to, BY3(to), BY2(to), to),
#include "emu/insn/crypto_aes.def"
#undef S
    },
    {
#define S(from, to) [from] = COLUMN(to, to, BY3(to), BY2(to)),
#include "emu/insn/crypto_aes.def"
#undef S
    },
};

/* The same for decryption. 5.3.3 "InvMixColumns()". */
static const uint32_t inverse_mix[4][256] = {
    {
#define S(from, to) [to] = COLUMN(BY14(from), BY9(from), BY13(from), BY11(from)),
#include "emu/insn/crypto_aes.def"
#undef S
    },
    {
#define S(from, to) [to] = COLUMN(BY11(from), BY14(from), BY9(from), BY13(from)),
#include "emu/insn/crypto_aes.def"
#undef S
    },
    {
#define S(from, to) [to] = COLUMN(BY13(from), BY11(from), BY14(from), BY9(from)),
#include "emu/insn/crypto_aes.def"
#undef S
    },
    {
#define S(from, to) [to] = COLUMN(BY9(from), BY13(from), BY11(from), BY14(from)),
#include "emu/insn/crypto_aes.def"
#undef S
    },
};

#define ROW(word, r) ((uint8_t)((word) >> 8 * (r)))

/* The byte in row r of the state's column c. ShiftRows moves row r by r columns to the left: its byte of column c comes
 * from column c + r; InvShiftRows from c - r. Columns are numbered with 4 added, so that they stay positive. */
#define STATE(c, r) ROW(v->a[(c)&3], r)
#define ENCRYPT(c, r) STATE(4 + (c) + (r), r)
#define DECRYPT(c, r) STATE(4 + (c) - (r), r)

/* A round of the block a, with the round key b. */
#define ROUND(name, column, table, byte)                                                          \
    BLOCK_BODY(name, binary)                                                                      \
    {                                                                                             \
        return (emu_u32x4){ column(table, byte, 0) ^ v->b[0], column(table, byte, 1) ^ v->b[1],   \
                            column(table, byte, 2) ^ v->b[2], column(table, byte, 3) ^ v->b[3] }; \
    }

#define MIXED(table, byte, c) \
    (table[0][byte(c, 0)] ^ table[1][byte(c, 1)] ^ table[2][byte(c, 2)] ^ table[3][byte(c, 3)])
ROUND(insn_aesenc, MIXED, mix, ENCRYPT)
ROUND(insn_aesdec, MIXED, inverse_mix, DECRYPT)

/* The last round has no MixColumns. */
#define SUBSTITUTED(box, byte, c) \
    COLUMN(box[byte(c, 0)], box[byte(c, 1)], box[byte(c, 2)], box[byte(c, 3)])
ROUND(insn_aesenclast, SUBSTITUTED, s_box, ENCRYPT)
ROUND(insn_aesdeclast, SUBSTITUTED, inverse_s_box, DECRYPT)

/* InvMixColumns alone: the substitution undoes that of the table. */
EMU_INLINE uint32_t unmixed(uint32_t x)
{
    return inverse_mix[0][s_box[ROW(x, 0)]] ^ inverse_mix[1][s_box[ROW(x, 1)]] ^
           inverse_mix[2][s_box[ROW(x, 2)]] ^ inverse_mix[3][s_box[ROW(x, 3)]];
}

BLOCK_BODY(insn_aesimc, unary)
{
    return (emu_u32x4){ unmixed(v->b[0]), unmixed(v->b[1]), unmixed(v->b[2]), unmixed(v->b[3]) };
}

/* SubWord of the words 1 and 3, and the same rotated by a byte and with the round constant. 5.2 "Key Expansion". */
EMU_INLINE uint32_t sub_word(uint32_t x)
{
    return COLUMN(s_box[ROW(x, 0)], s_box[ROW(x, 1)], s_box[ROW(x, 2)], s_box[ROW(x, 3)]);
}

BLOCK_BODY(insn_aeskeygenassist, unary)
{
    const uint32_t one = sub_word(v->b[1]), three = sub_word(v->b[3]);
    return (emu_u32x4){ one, (one >> 8 | one << 24) ^ v->imm, three,
                        (three >> 8 | three << 24) ^ v->imm };
}

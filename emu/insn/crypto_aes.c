/* AES: a round is four look-ups for each column, in tables that hold a byte's contribution to the column.
 * FIPS-197; APM vol 4, "AESDEC" to "AESKEYGENASSIST" and their VEX forms. */
#include "emu/insn/vector_int_block.h"

/* The S-box and its inverse: FIPS-197, 5.1.1 "SubBytes()", 5.3.2 "InvSubBytes()". */
#define S_BOX(X)                                                                                                                                                                                                                                                                                  \
    X(0x63)                                                                                                                                                                                                                                                                                       \
    X(0x7c)                                                                                                                                                                                                                                                                                       \
    X(0x77)                                                                                                                                                                                                                                                                                       \
    X(0x7b)                                                                                                                                                                                                                                                                                       \
    X(0xf2)                                                                                                                                                                                                                                                                                       \
    X(0x6b) X(0x6f) X(0xc5) X(0x30) X(0x01) X(0x67) X(0x2b) X(0xfe) X(0xd7) X(0xab) X(0x76)                                                                                                                                                                                                       \
        X(0xca) X(0x82) X(0xc9) X(0x7d) X(0xfa) X(0x59) X(0x47) X(0xf0) X(0xad) X(0xd4) X(0xa2)                                                                                                                                                                                                   \
            X(0xaf) X(0x9c) X(0xa4) X(0x72) X(0xc0) X(0xb7) X(0xfd) X(0x93) X(0x26) X(0x36)                                                                                                                                                                                                       \
                X(0x3f) X(0xf7) X(0xcc) X(0x34) X(0xa5) X(0xe5) X(0xf1) X(0x71) X(0xd8) X(0x31)                                                                                                                                                                                                   \
                    X(0x15) X(0x04) X(0xc7) X(0x23) X(0xc3) X(0x18) X(0x96) X(0x05) X(0x9a)                                                                                                                                                                                                       \
                        X(0x07) X(0x12) X(0x80) X(0xe2) X(0xeb) X(0x27) X(0xb2) X(0x75) X(0x09)                                                                                                                                                                                                   \
                            X(0x83) X(0x2c) X(0x1a) X(0x1b) X(0x6e) X(0x5a) X(0xa0) X(0x52)                                                                                                                                                                                                       \
                                X(0x3b) X(0xd6) X(0xb3) X(0x29) X(0xe3) X(0x2f) X(0x84) X(0x53)                                                                                                                                                                                                   \
                                    X(0xd1) X(0x00) X(0xed) X(0x20) X(0xfc) X(0xb1) X(0x5b)                                                                                                                                                                                                       \
                                        X(0x6a) X(0xcb) X(0xbe) X(0x39) X(0x4a) X(0x4c) X(0x58)                                                                                                                                                                                                   \
                                            X(0xcf) X(0xd0) X(0xef) X(0xaa) X(0xfb) X(0x43)                                                                                                                                                                                                       \
                                                X(0x4d) X(0x33) X(0x85) X(0x45) X(0xf9) X(0x02)                                                                                                                                                                                                   \
                                                    X(0x7f) X(0x50) X(0x3c) X(0x9f) X(0xa8)                                                                                                                                                                                                       \
                                                        X(0x51) X(0xa3) X(0x40) X(0x8f) X(0x92)                                                                                                                                                                                                   \
                                                            X(0x9d) X(0x38) X(0xf5) X(0xbc)                                                                                                                                                                                                       \
                                                                X(0xb6) X(0xda) X(0x21) X(0x10)                                                                                                                                                                                                   \
                                                                    X(0xff) X(0xf3) X(0xd2)                                                                                                                                                                                                       \
                                                                        X(0xcd) X(0x0c) X(0x13)                                                                                                                                                                                                   \
                                                                            X(0xec) X(0x5f)                                                                                                                                                                                                       \
                                                                                X(0x97) X(0x44) X(                                                                                                                                                                                                \
                                                                                    0x17) X(0xc4)                                                                                                                                                                                                 \
                                                                                    X(0xa7) X(0x7e) X(0x3d) X(0x64) X(                                                                                                                                                                            \
                                                                                        0x5d) X(0x19)                                                                                                                                                                                             \
                                                                                        X(                                                                                                                                                                                                        \
                                                                                            0x73) X(0x60)                                                                                                                                                                                         \
                                                                                            X(                                                                                                                                                                                                    \
                                                                                                0x81) X(0x4f)                                                                                                                                                                                     \
                                                                                                X(                                                                                                                                                                                                \
                                                                                                    0xdc) X(0x22)                                                                                                                                                                                 \
                                                                                                    X(                                                                                                                                                                                            \
                                                                                                        0x2a) X(0x90)                                                                                                                                                                             \
                                                                                                        X(                                                                                                                                                                                        \
                                                                                                            0x88) X(0x46)                                                                                                                                                                         \
                                                                                                            X(0xee)                                                                                                                                                                               \
                                                                                                                X(0xb8) X(                                                                                                                                                                        \
                                                                                                                    0x14)                                                                                                                                                                         \
                                                                                                                    X(0xde)                                                                                                                                                                       \
                                                                                                                        X(0x5e)                                                                                                                                                                   \
                                                                                                                            X(0x0b) X(0xdb) X(0xe0) X(0x32) X(0x3a) X(0x0a) X(0x49) X(0x06) X(0x24) X(0x5c) X(0xc2) X(0xd3) X(0xac) X(0x62) X(0x91) X(0x95) X(0xe4) X(0x79) X(0xe7) X(0xc8) X(    \
                                                                                                                                0x37) X(0x6d)                                                                                                                                                     \
                                                                                                                                X(0x8d)                                                                                                                                                           \
                                                                                                                                    X(0xd5) X(                                                                                                                                                    \
                                                                                                                                        0x4e)                                                                                                                                                     \
                                                                                                                                        X(0xa9)                                                                                                                                                   \
                                                                                                                                            X(0x6c)                                                                                                                                               \
                                                                                                                                                X(                                                                                                                                                \
                                                                                                                                                    0x56) X(0xf4) X(0xea) X(0x65) X(0x7a) X(0xae) X(0x08) X(0xba) X(0x78) X(0x25) X(0x2e) X(0x1c) X(0xa6) X(0xb4) X(0xc6) X(0xe8) X(0xdd)         \
                                                                                                                                                    X(0x74)                                                                                                                                       \
                                                                                                                                                        X(0x1f) X(0x4b) X(0xbd) X(0x8b) X(0x8a) X(0x70) X(0x3e) X(0xb5) X(0x66) X(0x48) X(0x03) X(0xf6)                                           \
                                                                                                                                                            X(                                                                                                                                    \
                                                                                                                                                                0x0e) X(0x61) X(0x35) X(0x57) X(0xb9) X(0x86) X(0xc1)                                                                             \
                                                                                                                                                                X(                                                                                                                                \
                                                                                                                                                                    0x1d) X(0x9e) X(0xe1) X(0xf8) X(0x98) X(0x11) X(0x69) X(0xd9) X(0x8e) X(0x94) X(0x9b) X(0x1e) X(0x87) X(0xe9) X(0xce) X(0x55) \
                                                                                                                                                                    X(0x28) X(                                                                                                                    \
                                                                                                                                                                        0xdf)                                                                                                                     \
                                                                                                                                                                        X(0x8c) X(0xa1) X(0x89) X(0x0d) X(0xbf) X(0xe6) X(0x42) X(0x68) X(0x41) X(                                                \
                                                                                                                                                                            0x99)                                                                                                                 \
                                                                                                                                                                            X(0x2d) X(                                                                                                            \
                                                                                                                                                                                0x0f)                                                                                                             \
                                                                                                                                                                                X(0xb0) X(                                                                                                        \
                                                                                                                                                                                    0x54)                                                                                                         \
                                                                                                                                                                                    X(0xbb)                                                                                                       \
                                                                                                                                                                                        X(0x16)

#define INVERSE_S_BOX(X)                                                                                                                                                                                                                                                                          \
    X(0x52)                                                                                                                                                                                                                                                                                       \
    X(0x09)                                                                                                                                                                                                                                                                                       \
    X(0x6a)                                                                                                                                                                                                                                                                                       \
    X(0xd5)                                                                                                                                                                                                                                                                                       \
    X(0x30)                                                                                                                                                                                                                                                                                       \
    X(0x36) X(0xa5) X(0x38) X(0xbf) X(0x40) X(0xa3) X(0x9e) X(0x81) X(0xf3) X(0xd7) X(0xfb)                                                                                                                                                                                                       \
        X(0x7c) X(0xe3) X(0x39) X(0x82) X(0x9b) X(0x2f) X(0xff) X(0x87) X(0x34) X(0x8e) X(0x43)                                                                                                                                                                                                   \
            X(0x44) X(0xc4) X(0xde) X(0xe9) X(0xcb) X(0x54) X(0x7b) X(0x94) X(0x32) X(0xa6)                                                                                                                                                                                                       \
                X(0xc2) X(0x23) X(0x3d) X(0xee) X(0x4c) X(0x95) X(0x0b) X(0x42) X(0xfa) X(0xc3)                                                                                                                                                                                                   \
                    X(0x4e) X(0x08) X(0x2e) X(0xa1) X(0x66) X(0x28) X(0xd9) X(0x24) X(0xb2)                                                                                                                                                                                                       \
                        X(0x76) X(0x5b) X(0xa2) X(0x49) X(0x6d) X(0x8b) X(0xd1) X(0x25) X(0x72)                                                                                                                                                                                                   \
                            X(0xf8) X(0xf6) X(0x64) X(0x86) X(0x68) X(0x98) X(0x16) X(0xd4)                                                                                                                                                                                                       \
                                X(0xa4) X(0x5c) X(0xcc) X(0x5d) X(0x65) X(0xb6) X(0x92) X(0x6c)                                                                                                                                                                                                   \
                                    X(0x70) X(0x48) X(0x50) X(0xfd) X(0xed) X(0xb9) X(0xda)                                                                                                                                                                                                       \
                                        X(0x5e) X(0x15) X(0x46) X(0x57) X(0xa7) X(0x8d) X(0x9d)                                                                                                                                                                                                   \
                                            X(0x84) X(0x90) X(0xd8) X(0xab) X(0x00) X(0x8c)                                                                                                                                                                                                       \
                                                X(0xbc) X(0xd3) X(0x0a) X(0xf7) X(0xe4) X(0x58)                                                                                                                                                                                                   \
                                                    X(0x05) X(0xb8) X(0xb3) X(0x45) X(0x06)                                                                                                                                                                                                       \
                                                        X(0xd0) X(0x2c) X(0x1e) X(0x8f) X(0xca)                                                                                                                                                                                                   \
                                                            X(0x3f) X(0x0f) X(0x02) X(0xc1)                                                                                                                                                                                                       \
                                                                X(0xaf) X(0xbd) X(0x03) X(0x01)                                                                                                                                                                                                   \
                                                                    X(0x13) X(0x8a) X(0x6b)                                                                                                                                                                                                       \
                                                                        X(0x3a) X(0x91) X(0x11)                                                                                                                                                                                                   \
                                                                            X(0x41) X(0x4f)                                                                                                                                                                                                       \
                                                                                X(0x67) X(0xdc) X(                                                                                                                                                                                                \
                                                                                    0xea) X(0x97)                                                                                                                                                                                                 \
                                                                                    X(0xf2) X(0xcf) X(0xce) X(0xf0) X(                                                                                                                                                                            \
                                                                                        0xb4) X(0xe6)                                                                                                                                                                                             \
                                                                                        X(                                                                                                                                                                                                        \
                                                                                            0x73) X(0x96)                                                                                                                                                                                         \
                                                                                            X(                                                                                                                                                                                                    \
                                                                                                0xac) X(0x74)                                                                                                                                                                                     \
                                                                                                X(                                                                                                                                                                                                \
                                                                                                    0x22) X(0xe7)                                                                                                                                                                                 \
                                                                                                    X(                                                                                                                                                                                            \
                                                                                                        0xad) X(0x35)                                                                                                                                                                             \
                                                                                                        X(                                                                                                                                                                                        \
                                                                                                            0x85) X(0xe2)                                                                                                                                                                         \
                                                                                                            X(0xf9)                                                                                                                                                                               \
                                                                                                                X(0x37) X(                                                                                                                                                                        \
                                                                                                                    0xe8)                                                                                                                                                                         \
                                                                                                                    X(0x1c)                                                                                                                                                                       \
                                                                                                                        X(0x75)                                                                                                                                                                   \
                                                                                                                            X(0xdf) X(0x6e) X(0x47) X(0xf1) X(0x1a) X(0x71) X(0x1d) X(0x29) X(0xc5) X(0x89) X(0x6f) X(0xb7) X(0x62) X(0x0e) X(0xaa) X(0x18) X(0xbe) X(0x1b) X(0xfc) X(0x56) X(    \
                                                                                                                                0x3e) X(0x4b)                                                                                                                                                     \
                                                                                                                                X(0xc6)                                                                                                                                                           \
                                                                                                                                    X(0xd2) X(                                                                                                                                                    \
                                                                                                                                        0x79)                                                                                                                                                     \
                                                                                                                                        X(0x20)                                                                                                                                                   \
                                                                                                                                            X(0x9a)                                                                                                                                               \
                                                                                                                                                X(                                                                                                                                                \
                                                                                                                                                    0xdb) X(0xc0) X(0xfe) X(0x78) X(0xcd) X(0x5a) X(0xf4) X(0x1f) X(0xdd) X(0xa8) X(0x33) X(0x88) X(0x07) X(0xc7) X(0x31) X(0xb1) X(0x12)         \
                                                                                                                                                    X(0x10)                                                                                                                                       \
                                                                                                                                                        X(0x59) X(0x27) X(0x80) X(0xec) X(0x5f) X(0x60) X(0x51) X(0x7f) X(0xa9) X(0x19) X(0xb5) X(0x4a)                                           \
                                                                                                                                                            X(                                                                                                                                    \
                                                                                                                                                                0x0d) X(0x2d) X(0xe5) X(0x7a) X(0x9f) X(0x93) X(0xc9)                                                                             \
                                                                                                                                                                X(                                                                                                                                \
                                                                                                                                                                    0x9c) X(0xef) X(0xa0) X(0xe0) X(0x3b) X(0x4d) X(0xae) X(0x2a) X(0xf5) X(0xb0) X(0xc8) X(0xeb) X(0xbb) X(0x3c) X(0x83) X(0x53) \
                                                                                                                                                                    X(0x99) X(                                                                                                                    \
                                                                                                                                                                        0x61)                                                                                                                     \
                                                                                                                                                                        X(0x17) X(0x2b) X(0x04) X(0x7e) X(0xba) X(0x77) X(0xd6) X(0x26) X(0xe1) X(                                                \
                                                                                                                                                                            0x69)                                                                                                                 \
                                                                                                                                                                            X(0x14) X(                                                                                                            \
                                                                                                                                                                                0x63)                                                                                                             \
                                                                                                                                                                                X(0x55) X(                                                                                                        \
                                                                                                                                                                                    0x21)                                                                                                         \
                                                                                                                                                                                    X(0x0c)                                                                                                       \
                                                                                                                                                                                        X(0x7d)

static const uint8_t s_box[256] = {
#define X(s) s,
    S_BOX(X)
#undef X
};
static const uint8_t inverse_s_box[256] = {
#define X(s) s,
    INVERSE_S_BOX(X)
#undef X
};

/* Multiplication in GF(2^8): FIPS-197, 4.2 "Multiplication". */
#define BY2(s) (((s) << 1 ^ ((s) >> 7) * 0x11b) & 0xff)
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
#define X(s) COLUMN(BY2(s), s, s, BY2(s) ^ (s)),
        S_BOX(X)
#undef X
    },
    {
#define X(s) COLUMN(BY2(s) ^ (s), BY2(s), s, s),
        S_BOX(X)
#undef X
    },
    {
#define X(s) COLUMN(s, BY2(s) ^ (s), BY2(s), s),
        S_BOX(X)
#undef X
    },
    {
#define X(s) COLUMN(s, s, BY2(s) ^ (s), BY2(s)),
        S_BOX(X)
#undef X
    },
};

/* The same for decryption. 5.3.3 "InvMixColumns()". */
static const uint32_t inverse_mix[4][256] = {
    {
#define X(s) COLUMN(BY14(s), BY9(s), BY13(s), BY11(s)),
        INVERSE_S_BOX(X)
#undef X
    },
    {
#define X(s) COLUMN(BY11(s), BY14(s), BY9(s), BY13(s)),
        INVERSE_S_BOX(X)
#undef X
    },
    {
#define X(s) COLUMN(BY13(s), BY11(s), BY14(s), BY9(s)),
        INVERSE_S_BOX(X)
#undef X
    },
    {
#define X(s) COLUMN(BY9(s), BY13(s), BY11(s), BY14(s)),
        INVERSE_S_BOX(X)
#undef X
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

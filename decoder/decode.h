/* Bytes to struct insn: Zydis in front, AMD's differences behind it. */
#ifndef DECODER_DECODE_H
#define DECODER_DECODE_H

#include "decoder/insn.h"

#define INSN_MAX_BYTES 15

enum decode_status {
    DECODE_OK,
    DECODE_SHORT,   /* more bytes are needed than there are */
    DECODE_INVALID, /* no instruction: #UD; only len and bytes are meaningful */
    DECODE_TOO_LONG /* more than 15 bytes: #GP(0) */
};

/* Decode one instruction.
 * bytes  at least min(len, 15) readable bytes   len  how many there are, 0 allowed
 * mode   any
 * out    filled completely, but body, flags and need: the table of instructions is above this floor
 * APM vol 3, chapter 1 "Instruction Encoding". */
enum decode_status decode_insn(const uint8_t *bytes, unsigned len, enum cpu_mode mode,
                               struct insn *out);

#endif

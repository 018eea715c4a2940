/* Floating-point numbers as bit patterns, and what an operation needs to know and reports. */
#ifndef EMU_FPU_TYPES_H
#define EMU_FPU_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* x87 double-extended: sign in bit 15 of `se`, biased exponent below; the integer bit is bit 63 of `mant`. */
struct f80 {
    uint64_t mant;
    uint16_t se;
};

/* Rounding, as RC of the x87 control word and MXCSR, and as imm8[1:0] of ROUNDPS, encode it. */
enum fp_rounding { FP_ROUND_NEAREST, FP_ROUND_DOWN, FP_ROUND_UP, FP_ROUND_ZERO };

/* Exceptions, as FSW[5:0], FCW[5:0] and MXCSR[5:0] order them. */
#define FP_IE 0x01u
#define FP_DE 0x02u
#define FP_ZE 0x04u
#define FP_OE 0x08u
#define FP_UE 0x10u
#define FP_PE 0x20u
#define FP_EXCEPTIONS 0x3fu

/* The environment of an operation. */
struct fp_env {
    uint8_t rounding;  /* enum fp_rounding */
    uint8_t masks;     /* exceptions that are masked: FP_* */
    uint8_t flags;     /* out: exceptions are ORed in */
    uint8_t precision; /* x87 only, bits of the significand by FCW.PC: 24, 53 or 64 */
    bool daz, ftz;     /* MXCSR only */
    bool
        x87; /* NaN rules of x87: of two NaNs the larger significand; else SSE's: the first operand */
    bool rounded_up; /* out, x87 only: the result's magnitude was rounded up (C1) */
};

enum fp_relation { FP_LESS, FP_EQUAL, FP_GREATER, FP_UNORDERED };

#endif

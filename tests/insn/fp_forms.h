/* Every instruction of vector_fp.def in its forms, as machine code for the workstation: legacy, VEX of 128 and 256
 * bits, registers and memory, all predicates and roundings. x86-64 only; for one program alone.
 *
 * Operands are xmm0-xmm3, mm0, mm1, eax, rax and memory at rdi. `kind` is what they hold: S singles, D doubles, I
 * integers of 32 bits, L of 64, H halves. */
#ifndef TESTS_INSN_FP_FORMS_H
#define TESTS_INSN_FP_FORMS_H

#include <stdint.h>

struct fp_form {
    const uint8_t *code;
    const char *text;
    uint32_t len;
    char kind;
};

/* The linker names both ends of a section. */
extern const struct fp_form __start_fp_forms[], __stop_fp_forms[];

/* One row, and the instruction with a RET behind it. */
#define FORM(kind, text)                                                                        \
    __asm__(".pushsection .text\n771: " text "\n772: ret\n.popsection\n"                        \
            ".pushsection .rodata\n773: .asciz \"" text "\"\n.popsection\n"                     \
            ".pushsection fp_forms, \"aw\"\n.quad 771b, 773b\n.long 772b - 771b\n.byte '" #kind \
            "', 0, 0, 0\n.popsection");

/* Two sources: op b, a. `imm` is "" or "$1, ". */
#define SCALAR_FORMS(kind, op, imm)                  \
    FORM(kind, "v" op " " imm "%xmm0, %xmm1, %xmm0") \
    FORM(kind, op " " imm "%xmm1, %xmm0")            \
    FORM(kind, op " " imm "(%rdi), %xmm0")           \
    FORM(kind, "v" op " " imm "%xmm2, %xmm1, %xmm0") \
    FORM(kind, "v" op " " imm "(%rdi), %xmm1, %xmm0")
#define PACKED_FORMS(kind, op, imm)                  \
    FORM(kind, "v" op " " imm "%ymm0, %ymm1, %ymm0") \
    SCALAR_FORMS(kind, op, imm)                      \
    FORM(kind, "v" op " " imm "%ymm2, %ymm1, %ymm0") \
    FORM(kind, "v" op " " imm "(%rdi), %ymm0, %ymm0")
/* One source. */
#define UNARY_FORMS_128(kind, op, imm)        \
    FORM(kind, op " " imm "%xmm0, %xmm0")     \
    FORM(kind, op " " imm "%xmm1, %xmm0")     \
    FORM(kind, op " " imm "(%rdi), %xmm0")    \
    FORM(kind, "v" op " " imm "%xmm1, %xmm0") \
    FORM(kind, "v" op " " imm "(%rdi), %xmm0")
#define UNARY_FORMS(kind, op, imm)            \
    UNARY_FORMS_128(kind, op, imm)            \
    FORM(kind, "v" op " " imm "%ymm1, %ymm0") \
    FORM(kind, "v" op " " imm "(%rdi), %ymm0")
#define WIDENING_FORMS(kind, op)       \
    FORM(kind, "v" op " %xmm0, %ymm0") \
    UNARY_FORMS_128(kind, op, "")      \
    FORM(kind, "v" op " %xmm1, %ymm0") \
    FORM(kind, "v" op " (%rdi), %ymm0")
#define NARROWING_FORMS(kind, op)        \
    FORM(kind, "v" op " %ymm0, %xmm0")   \
    FORM(kind, op " %xmm1, %xmm0")       \
    FORM(kind, op " (%rdi), %xmm0")      \
    FORM(kind, "v" op " %xmm1, %xmm0")   \
    FORM(kind, "v" op " %ymm1, %xmm0")   \
    FORM(kind, "v" op "x (%rdi), %xmm0") \
    FORM(kind, "v" op "y (%rdi), %xmm0")

#define ARITHMETIC_FORMS(op)     \
    PACKED_FORMS(S, op "ps", "") \
    PACKED_FORMS(D, op "pd", "") \
    SCALAR_FORMS(S, op "ss", "") \
    SCALAR_FORMS(D, op "sd", "")
ARITHMETIC_FORMS("add")
ARITHMETIC_FORMS("sub")
ARITHMETIC_FORMS("mul")
ARITHMETIC_FORMS("div")
ARITHMETIC_FORMS("min")
ARITHMETIC_FORMS("max")
UNARY_FORMS(S, "sqrtps", "")
UNARY_FORMS(D, "sqrtpd", "")
SCALAR_FORMS(S, "sqrtss", "")
SCALAR_FORMS(D, "sqrtsd", "")
PACKED_FORMS(S, "haddps", "")
PACKED_FORMS(D, "haddpd", "")
PACKED_FORMS(S, "hsubps", "")
PACKED_FORMS(D, "hsubpd", "")
PACKED_FORMS(S, "addsubps", "")
PACKED_FORMS(D, "addsubpd", "")

#define DOT_FORMS(imm)                    \
    PACKED_FORMS(S, "dpps", "$" imm ", ") \
    SCALAR_FORMS(D, "dppd", "$" imm ", ")
DOT_FORMS("0xff")
DOT_FORMS("0xf1")
DOT_FORMS("0x73")
DOT_FORMS("0xbc")
DOT_FORMS("0x3f")
DOT_FORMS("0xca")
DOT_FORMS("0x5a")
DOT_FORMS("0x8f")
DOT_FORMS("0x1f")
DOT_FORMS("0x0f")
DOT_FORMS("0xf0")

/* --- comparisons: legacy forms look at three bits of the predicate, VEX forms at five -------------- */

#define LEGACY_COMPARE_FORMS(imm)            \
    FORM(S, "cmpps $" imm ", %xmm1, %xmm0")  \
    FORM(D, "cmppd $" imm ", (%rdi), %xmm0") \
    FORM(S, "cmpss $" imm ", (%rdi), %xmm0") \
    FORM(D, "cmpsd $" imm ", %xmm1, %xmm0")
#define VEX_COMPARE_FORMS(imm)                       \
    FORM(S, "vcmpps $" imm ", %ymm2, %ymm1, %ymm0")  \
    FORM(D, "vcmppd $" imm ", (%rdi), %xmm1, %xmm0") \
    FORM(S, "vcmpss $" imm ", (%rdi), %xmm1, %xmm0") \
    FORM(D, "vcmpsd $" imm ", %xmm2, %xmm1, %xmm0")
#define COMPARE_FORMS(low)         \
    LEGACY_COMPARE_FORMS("0x" low) \
    VEX_COMPARE_FORMS("0x0" low)   \
    VEX_COMPARE_FORMS("0x1" low)
COMPARE_FORMS("0")
COMPARE_FORMS("1")
COMPARE_FORMS("2")
COMPARE_FORMS("3")
COMPARE_FORMS("4")
COMPARE_FORMS("5")
COMPARE_FORMS("6")
COMPARE_FORMS("7")
COMPARE_FORMS("8")
COMPARE_FORMS("9")
COMPARE_FORMS("a")
COMPARE_FORMS("b")
COMPARE_FORMS("c")
COMPARE_FORMS("d")
COMPARE_FORMS("e")
COMPARE_FORMS("f")
LEGACY_COMPARE_FORMS("0x13")
LEGACY_COMPARE_FORMS("0xfe")
VEX_COMPARE_FORMS("0x21")
VEX_COMPARE_FORMS("0xf0")
FORM(S, "vcmpps $1, %xmm2, %xmm1, %xmm0")
FORM(D, "vcmppd $1, (%rdi), %ymm1, %ymm0")
UNARY_FORMS_128(S, "comiss", "")
UNARY_FORMS_128(D, "comisd", "")
UNARY_FORMS_128(S, "ucomiss", "")
UNARY_FORMS_128(D, "ucomisd", "")

/* --- conversions ------------------------------------------------------------------------------------ */

UNARY_FORMS(I, "cvtdq2ps", "")
UNARY_FORMS(S, "cvtps2dq", "")
UNARY_FORMS(S, "cvttps2dq", "")
WIDENING_FORMS(I, "cvtdq2pd")
WIDENING_FORMS(S, "cvtps2pd")
NARROWING_FORMS(D, "cvtpd2dq")
NARROWING_FORMS(D, "cvttpd2dq")
NARROWING_FORMS(D, "cvtpd2ps")
SCALAR_FORMS(S, "cvtss2sd", "")
SCALAR_FORMS(D, "cvtsd2ss", "")
#define FROM_INTEGER_FORMS(kind, op, reg)       \
    FORM(kind, op " " reg ", %xmm0")            \
    FORM(kind, op " (%rdi), %xmm0")             \
    FORM(kind, "v" op " " reg ", %xmm1, %xmm0") \
    FORM(kind, "v" op " (%rdi), %xmm1, %xmm0")
FROM_INTEGER_FORMS(I, "cvtsi2ssl", "%eax")
FROM_INTEGER_FORMS(L, "cvtsi2ssq", "%rax")
FROM_INTEGER_FORMS(I, "cvtsi2sdl", "%eax")
FROM_INTEGER_FORMS(L, "cvtsi2sdq", "%rax")
#define TO_INTEGER_FORMS(kind, op)    \
    FORM(kind, op " %xmm1, %eax")     \
    FORM(kind, op " (%rdi), %eax")    \
    FORM(kind, op " %xmm1, %rax")     \
    FORM(kind, op " (%rdi), %rax")    \
    FORM(kind, "v" op " %xmm1, %eax") \
    FORM(kind, "v" op " (%rdi), %rax")
TO_INTEGER_FORMS(S, "cvtss2si")
TO_INTEGER_FORMS(S, "cvttss2si")
TO_INTEGER_FORMS(D, "cvtsd2si")
TO_INTEGER_FORMS(D, "cvttsd2si")
#define MMX_FORMS(kind, op, from, to)      \
    FORM(kind, op " %" from "1, %" to "0") \
    FORM(kind, op " (%rdi), %" to "0")
MMX_FORMS(I, "cvtpi2ps", "mm", "xmm")
MMX_FORMS(I, "cvtpi2pd", "mm", "xmm")
MMX_FORMS(S, "cvtps2pi", "xmm", "mm")
MMX_FORMS(S, "cvttps2pi", "xmm", "mm")
MMX_FORMS(D, "cvtpd2pi", "xmm", "mm")
MMX_FORMS(D, "cvttpd2pi", "xmm", "mm")

FORM(H, "vcvtph2ps %xmm1, %xmm0")
FORM(H, "vcvtph2ps (%rdi), %xmm0")
FORM(H, "vcvtph2ps %xmm1, %ymm0")
FORM(H, "vcvtph2ps (%rdi), %ymm0")
#define HALF_FORMS(imm)                          \
    FORM(S, "vcvtps2ph $" imm ", %xmm1, %xmm0")  \
    FORM(S, "vcvtps2ph $" imm ", %xmm1, (%rdi)") \
    FORM(S, "vcvtps2ph $" imm ", %ymm1, %xmm0")  \
    FORM(S, "vcvtps2ph $" imm ", %ymm1, (%rdi)")
HALF_FORMS("0")
HALF_FORMS("1")
HALF_FORMS("2")
HALF_FORMS("3")
HALF_FORMS("4")
HALF_FORMS("7")
HALF_FORMS("0xf8")
HALF_FORMS("0xff")

/* --- rounding, approximations, FMA ------------------------------------------------------------------- */

#define ROUND_FORMS(imm)                     \
    UNARY_FORMS(S, "roundps", "$" imm ", ")  \
    UNARY_FORMS(D, "roundpd", "$" imm ", ")  \
    SCALAR_FORMS(S, "roundss", "$" imm ", ") \
    SCALAR_FORMS(D, "roundsd", "$" imm ", ")
ROUND_FORMS("0")
ROUND_FORMS("1")
ROUND_FORMS("2")
ROUND_FORMS("3")
ROUND_FORMS("4")
ROUND_FORMS("7")
ROUND_FORMS("8")
ROUND_FORMS("9")
ROUND_FORMS("10")
ROUND_FORMS("11")
ROUND_FORMS("12")
ROUND_FORMS("0xf0")
ROUND_FORMS("0xff")

UNARY_FORMS(S, "rcpps", "")
UNARY_FORMS(S, "rsqrtps", "")
SCALAR_FORMS(S, "rcpss", "")
SCALAR_FORMS(S, "rsqrtss", "")

#define FMA_FORMS(kind, op, reg)                      \
    FORM(kind, op " %" reg "0, %" reg "1, %" reg "0") \
    FORM(kind, op " %" reg "2, %" reg "1, %" reg "0") \
    FORM(kind, op " (%rdi), %" reg "1, %" reg "0")
#define FMA_PACKED_FORMS(op)     \
    FMA_FORMS(S, op "ps", "xmm") \
    FMA_FORMS(S, op "ps", "ymm") \
    FMA_FORMS(D, op "pd", "xmm") \
    FMA_FORMS(D, op "pd", "ymm")
#define FMA_ALL_FORMS(op)        \
    FMA_PACKED_FORMS(op)         \
    FMA_FORMS(S, op "ss", "xmm") \
    FMA_FORMS(D, op "sd", "xmm")
#define FMA_ORDERS(forms, op) forms(op "132") forms(op "213") forms(op "231")
FMA_ORDERS(FMA_ALL_FORMS, "vfmadd")
FMA_ORDERS(FMA_ALL_FORMS, "vfmsub")
FMA_ORDERS(FMA_ALL_FORMS, "vfnmadd")
FMA_ORDERS(FMA_ALL_FORMS, "vfnmsub")
FMA_ORDERS(FMA_PACKED_FORMS, "vfmaddsub")
FMA_ORDERS(FMA_PACKED_FORMS, "vfmsubadd")

#endif

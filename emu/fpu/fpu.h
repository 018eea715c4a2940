/* Soft floating point: binary16, binary32, binary64 and x87 double-extended, exact in result and flags.
 *
 * Numbers are bit patterns. Every function reads the environment's rounding mode, masks, daz and ftz, and ORs the
 * exceptions that it meets into env->flags; the result is the one for masked exceptions, except where the x87 rules for
 * unmasked overflow and underflow give a result with a biased exponent (f80_* only). A caller with unmasked exceptions
 * looks at env->flags & ~env->masks before it commits anything. A caller that has PE in env->flags before the call, which
 * only makes sense while PE is masked, saves the search for inexact results.
 *
 * Tininess is found after rounding. With UE masked an underflow is reported only if the result is inexact too; with UE
 * unmasked, tininess alone reports it. With daz a denormal operand counts as zero and DE is not reported. With ftz and UE
 * masked a tiny result becomes zero with UE and PE. DE is not reported when an operand is a NaN or the operation invalid.
 * APM vol 1, 4.7 "Floating-Point ... Exceptions", 6.8; APM vol 4 and 5 for each instruction. */
#ifndef EMU_FPU_FPU_H
#define EMU_FPU_FPU_H

#include "emu/fpu/types.h"

/* --- binary32 and binary64: SSE, AVX ---------------------------------------------------- */

uint32_t f32_add(uint32_t a, uint32_t b, struct fp_env *env);
uint32_t f32_sub(uint32_t a, uint32_t b, struct fp_env *env);
uint32_t f32_mul(uint32_t a, uint32_t b, struct fp_env *env);
uint32_t f32_div(uint32_t a, uint32_t b, struct fp_env *env);
uint32_t f32_sqrt(uint32_t a, struct fp_env *env);
/* MINPS and MAXPS: the second operand when either is a NaN (IE) or both are zero. */
uint32_t f32_min(uint32_t a, uint32_t b, struct fp_env *env);
uint32_t f32_max(uint32_t a, uint32_t b, struct fp_env *env);
/* a * b + c, rounded once. Of several NaNs: a, then b, then c. */
uint32_t f32_fma(uint32_t a, uint32_t b, uint32_t c, struct fp_env *env);
/* To an integral value; `exact`: PE is not reported. */
uint32_t f32_round(uint32_t a, bool exact, struct fp_env *env);
/* quiet: only signalling NaNs are invalid (UCOMISS); else every NaN (COMISS). */
enum fp_relation f32_compare(uint32_t a, uint32_t b, bool quiet, struct fp_env *env);

uint64_t f64_add(uint64_t a, uint64_t b, struct fp_env *env);
uint64_t f64_sub(uint64_t a, uint64_t b, struct fp_env *env);
uint64_t f64_mul(uint64_t a, uint64_t b, struct fp_env *env);
uint64_t f64_div(uint64_t a, uint64_t b, struct fp_env *env);
uint64_t f64_sqrt(uint64_t a, struct fp_env *env);
uint64_t f64_min(uint64_t a, uint64_t b, struct fp_env *env);
uint64_t f64_max(uint64_t a, uint64_t b, struct fp_env *env);
uint64_t f64_fma(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env);
uint64_t f64_round(uint64_t a, bool exact, struct fp_env *env);
enum fp_relation f64_compare(uint64_t a, uint64_t b, bool quiet, struct fp_env *env);

/* --- x87 double-extended ------------------------------------------------------------------
 * Rounded to env->precision bits, with the exponent range of the extended format. Unsupported encodings (unnormals,
 * pseudo-NaNs, pseudo-infinities) are invalid; pseudo-denormals are denormal operands. */

struct f80 f80_add(struct f80 a, struct f80 b, struct fp_env *env);
struct f80 f80_sub(struct f80 a, struct f80 b, struct fp_env *env);
struct f80 f80_mul(struct f80 a, struct f80 b, struct fp_env *env);
struct f80 f80_div(struct f80 a, struct f80 b, struct fp_env *env);
struct f80 f80_sqrt(struct f80 a, struct fp_env *env);
struct f80 f80_round(struct f80 a, struct fp_env *env); /* FRNDINT */
enum fp_relation f80_compare(struct f80 a, struct f80 b, bool quiet, struct fp_env *env);
/* FSCALE: a times 2 to the power of b, chopped. */
struct f80 f80_scale(struct f80 a, struct f80 b, struct fp_env *env);
/* FXTRACT: *exponent and the significand as numbers. Of zero: ZE, -infinity and the zero. */
struct f80 f80_extract(struct f80 a, struct f80 *exponent, struct fp_env *env);
/* FPREM (nearest false) and FPREM1 (true): one step. *quotient gets the low three bits of the quotient; *partial
 * tells that the reduction is incomplete (C2). */
struct f80 f80_remainder(struct f80 a, struct f80 b, bool nearest, unsigned *quotient,
                         bool *partial, struct fp_env *env);

/* --- conversions -------------------------------------------------------------------------- */

uint32_t f16_to_f32(uint16_t a,
                    struct fp_env *env); /* VCVTPH2PS: denormals are exact, DE is not reported */
uint16_t f32_to_f16(uint32_t a, struct fp_env *env); /* VCVTPS2PH: ftz is ignored */
uint64_t f32_to_f64(uint32_t a, struct fp_env *env);
uint32_t f64_to_f32(uint64_t a, struct fp_env *env);
struct f80 f32_to_f80(uint32_t a, struct fp_env *env); /* FLD m32: IE for signalling NaNs, DE */
struct f80 f64_to_f80(uint64_t a, struct fp_env *env);
uint32_t f80_to_f32(struct f80 a, struct fp_env *env);
uint64_t f80_to_f64(struct f80 a, struct fp_env *env);

/* Integers. Out of range and NaN: IE and the integer indefinite (the most negative number). `size` is 2, 4 or 8 bytes;
 * `truncate` rounds towards zero whatever the environment says. */
int64_t f32_to_int(uint32_t a, unsigned size, bool truncate, struct fp_env *env);
int64_t f64_to_int(uint64_t a, unsigned size, bool truncate, struct fp_env *env);
int64_t f80_to_int(struct f80 a, unsigned size, bool truncate, struct fp_env *env);
uint32_t int_to_f32(int64_t a, struct fp_env *env);
uint64_t int_to_f64(int64_t a, struct fp_env *env);
struct f80 int_to_f80(int64_t a); /* exact */

/* --- classes -------------------------------------------------------------------------------- */

enum fp_class {
    FP_CLASS_ZERO,
    FP_CLASS_DENORMAL,
    FP_CLASS_NORMAL,
    FP_CLASS_INFINITY,
    FP_CLASS_NAN,
    FP_CLASS_UNSUPPORTED
};
enum fp_class f80_class(struct f80 a);

static inline bool f80_sign(struct f80 a)
{
    return a.se >> 15;
}

/* The real indefinite of each format: a quiet NaN with its sign set. */
#define F32_INDEFINITE UINT32_C(0xffc00000)
#define F64_INDEFINITE UINT64_C(0xfff8000000000000)
#define F80_INDEFINITE ((struct f80){ .mant = UINT64_C(0xc000000000000000), .se = 0xffff })

/* --- transcendental functions: emu/fpu/transcendental.c -------------------------------------
 * Rounded as RC says from many more than 64 bits: within the 1 ulp of APM vol 1, 6.4.6 "Transcendental Instructions", and
 * the same on every workstation. PC does not count. */

struct f80 f80_2xm1(struct f80 a, struct fp_env *env);
struct f80 f80_yl2x(struct f80 x, struct f80 y, struct fp_env *env);
struct f80 f80_yl2xp1(struct f80 x, struct f80 y, struct fp_env *env);
struct f80 f80_atan2(struct f80 y, struct f80 x, struct fp_env *env); /* FPATAN */
/* |a| >= 2^63: *out_of_range, a is returned. */
struct f80 f80_sin(struct f80 a, bool *out_of_range, struct fp_env *env);
struct f80 f80_cos(struct f80 a, bool *out_of_range, struct fp_env *env);
struct f80 f80_tan(struct f80 a, bool *out_of_range, struct fp_env *env);

#endif

/* RCPPS and RSQRTPS: approximate reciprocals. APM vol 4, "RCPPS, VRCPPS", "RSQRTPS, VRSQRTPS".
 *
 * CHOICE: the manual asks for a relative error of at most 1.5 * 2^-12; results here are those of Zen 4, bit for
 * bit, on every workstation and for every CPU model. Neither MXCSR's rounding, DAZ and FTZ nor exceptions matter: a
 * denormal is a zero, a result that would be one is zero. */
#include "emu/insn/vector_fp.h"

struct approx {
    uint16_t starts[256];
    uint8_t steps[16][16];
};

#define APPROX(name, starts_, steps_) static const struct approx name = { starts_, steps_ };
#include "emu/insn/vector_fp_approx.def"

#define F32_INFINITY UINT32_C(0x7f800000)
#define F32_QUIET UINT32_C(0x00400000)

/* The function's value at a's significand, between 1/2 and 1, as the fraction of a number whose exponent is
 * `exponent`. */
static uint32_t look_up(const struct approx *table, uint32_t a, unsigned exponent)
{
    unsigned at = a >> 11 & 0xfff;
    uint32_t value = (uint32_t)table->starts[at >> 4] - table->steps[at >> 8][at & 15];
    return exponent << 23 | (value & 0xfff) << 11;
}

static uint32_t reciprocal(uint32_t a)
{
    uint32_t sign = a & F32_SIGN, exponent = a >> 23 & 0xff;
    if (f32_is_nan(a))
        return a | F32_QUIET;
    if (exponent == 0)
        return sign | F32_INFINITY;
    return sign | (exponent >= 253 ? 0 : look_up(&RECIPROCAL, a, 253 - exponent));
}

static uint32_t reciprocal_root(uint32_t a)
{
    uint32_t exponent = a >> 23 & 0xff;
    if (f32_is_nan(a))
        return a | F32_QUIET;
    if (exponent == 0)
        return (a & F32_SIGN) | F32_INFINITY;
    if (a & F32_SIGN)
        return F32_INDEFINITE;
    if (exponent == 0xff)
        return 0;
    /* 127 is even: exponent 0 */
    return look_up(exponent & 1 ? &RSQRT_EVEN : &RSQRT_ODD, a, 126 + 63 - (exponent - 1) / 2);
}

/* The environment stays without exceptions. */
static uint32_t rcp32(uint32_t a, uint32_t b, struct fp_env *env)
{
    (void)a, (void)env;
    return reciprocal(b);
}

static uint32_t rsqrt32(uint32_t a, uint32_t b, struct fp_env *env)
{
    (void)a, (void)env;
    return reciprocal_root(b);
}

enum step insn_rcpps(struct vcpu *cpu, const struct insn *in)
{
    return fp_unary32(cpu, in, rcp32, NULL);
}

enum step insn_rcpss(struct vcpu *cpu, const struct insn *in)
{
    return fp_scalar32(cpu, in, rcp32, NULL);
}

enum step insn_rsqrtps(struct vcpu *cpu, const struct insn *in)
{
    return fp_unary32(cpu, in, rsqrt32, NULL);
}

enum step insn_rsqrtss(struct vcpu *cpu, const struct insn *in)
{
    return fp_scalar32(cpu, in, rsqrt32, NULL);
}

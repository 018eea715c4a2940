/* Shuffles and permutes: elements of the sources in another order. APM vol 4 (MMX: vol 5), by the instructions' names. */
#include "emu/insn/vector.h"

/* Makes the result of both sources and the immediate. Most work on 16-byte lanes, each by itself: `at` is the first element
 * of a lane below. */
typedef void shuffle(const struct vector_args *x, uint64_t imm, union vector *to);

static inline enum step apply(struct vcpu *cpu, const struct insn *in, shuffle *make)
{
    struct vector_args x;
    union vector to;
    enum step step = vector_args(cpu, in, &x);
    if (step != STEP_NEXT)
        return step;
    make(&x, in->imm, &to);
    return vector_write(cpu, in, 0, x.size, &to);
}

#define SHUFFLE(name)                                              \
    enum step insn_##name(struct vcpu *cpu, const struct insn *in) \
    {                                                              \
        return apply(cpu, in, name);                               \
    }

/* --- by an immediate ----------------------------------------------------------------------------- */

static unsigned field2(uint64_t imm, unsigned n)
{
    return (unsigned)(imm >> (2 * n)) & 3;
}

static void pshufd(const struct vector_args *x, uint64_t imm, union vector *to)
{
    for (unsigned i = 0; i < x->size / 4; i++)
        to->u32[i] = x->b.u32[(i & ~3u) + field2(imm, i & 3)];
}

/* Words `from` to `from` + 3 of each lane; the others stay. */
static void shuffle_words(const struct vector_args *x, uint64_t imm, unsigned from,
                          union vector *to)
{
    *to = x->b;
    for (unsigned at = from; at < x->size / 2; at += 8)
        for (unsigned i = 0; i < 4; i++)
            to->u16[at + i] = x->b.u16[at + field2(imm, i)];
}

/* PSHUFLW, and PSHUFW of an MMX register. */
static void pshuflw(const struct vector_args *x, uint64_t imm, union vector *to)
{
    shuffle_words(x, imm, 0, to);
}

static void pshufhw(const struct vector_args *x, uint64_t imm, union vector *to)
{
    shuffle_words(x, imm, 4, to);
}

static void shufps(const struct vector_args *x, uint64_t imm, union vector *to)
{
    for (unsigned at = 0; at < x->size / 4; at += 4) {
        to->u32[at] = x->a.u32[at + field2(imm, 0)];
        to->u32[at + 1] = x->a.u32[at + field2(imm, 1)];
        to->u32[at + 2] = x->b.u32[at + field2(imm, 2)];
        to->u32[at + 3] = x->b.u32[at + field2(imm, 3)];
    }
}

static void shufpd(const struct vector_args *x, uint64_t imm, union vector *to)
{
    for (unsigned at = 0; at < x->size / 8; at += 2) {
        to->u64[at] = x->a.u64[at + (imm >> at & 1)];
        to->u64[at + 1] = x->b.u64[at + (imm >> (at + 1) & 1)];
    }
}

/* VPERMQ, VPERMPD: across lanes. */
static void vpermq(const struct vector_args *x, uint64_t imm, union vector *to)
{
    for (unsigned i = 0; i < 4; i++)
        to->u64[i] = x->b.u64[field2(imm, i)];
}

/* VPERM2F128, VPERM2I128: each half is one of the four halves of both sources, or zero. */
static void vperm2f128(const struct vector_args *x, uint64_t imm, union vector *to)
{
    for (unsigned half = 0; half < 2; half++) {
        unsigned control = (unsigned)(imm >> (4 * half)) & 15;
        const union vector *from = control & 2 ? &x->b : &x->a;
        for (unsigned i = 0; i < 2; i++)
            to->u64[2 * half + i] = control & 8 ? 0 : from->u64[2 * (control & 1) + i];
    }
}

SHUFFLE(pshufd)
SHUFFLE(pshuflw)
SHUFFLE(pshufhw)
SHUFFLE(shufps)
SHUFFLE(shufpd)
SHUFFLE(vpermq)
SHUFFLE(vperm2f128)

/* --- by a register ------------------------------------------------------------------------------- */

/* An MMX register is one lane of 8 bytes. */
static void pshufb(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    unsigned in_lane = x->size < 16 ? 7 : 15;
    for (unsigned i = 0; i < x->size; i++) {
        uint8_t control = x->b.u8[i];
        to->u8[i] = control & 0x80 ? 0 : x->a.u8[(i & ~in_lane) + (control & in_lane)];
    }
}

static void vpermilps(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    for (unsigned i = 0; i < x->size / 4; i++)
        to->u32[i] = x->a.u32[(i & ~3u) + (x->b.u32[i] & 3)];
}

static void vpermilpd(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    for (unsigned i = 0; i < x->size / 8; i++)
        to->u64[i] = x->a.u64[(i & ~1u) + (x->b.u64[i] >> 1 & 1)];
}

static void vpermilpd_imm(const struct vector_args *x, uint64_t imm, union vector *to)
{
    for (unsigned i = 0; i < x->size / 8; i++)
        to->u64[i] = x->b.u64[(i & ~1u) + (imm >> i & 1)];
}

/* VPERMD, VPERMPS: across lanes; the indices are the first source. */
static void vpermd(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    for (unsigned i = 0; i < 8; i++)
        to->u32[i] = x->b.u32[x->a.u32[i] & 7];
}

SHUFFLE(pshufb)
SHUFFLE(vpermd)

/* These two have forms with an immediate. */
enum step insn_vpermilps(struct vcpu *cpu, const struct insn *in)
{
    return apply(cpu, in, in->op[2].kind == OPERAND_IMM ? pshufd : vpermilps);
}

enum step insn_vpermilpd(struct vcpu *cpu, const struct insn *in)
{
    return apply(cpu, in, in->op[2].kind == OPERAND_IMM ? vpermilpd_imm : vpermilpd);
}

/* --- UNPCK, MOVSLDUP, MOVSHDUP, MOVDDUP ------------------------------------------------------------- */

static void unpack32(const struct vector_args *x, unsigned first, union vector *to)
{
    for (unsigned at = 0; at < x->size / 4; at += 4) {
        to->u32[at] = x->a.u32[at + first];
        to->u32[at + 1] = x->b.u32[at + first];
        to->u32[at + 2] = x->a.u32[at + first + 1];
        to->u32[at + 3] = x->b.u32[at + first + 1];
    }
}

static void unpack64(const struct vector_args *x, unsigned which, union vector *to)
{
    for (unsigned at = 0; at < x->size / 8; at += 2) {
        to->u64[at] = x->a.u64[at + which];
        to->u64[at + 1] = x->b.u64[at + which];
    }
}

static void unpcklps(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    unpack32(x, 0, to);
}

static void unpckhps(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    unpack32(x, 2, to);
}

static void unpcklpd(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    unpack64(x, 0, to);
}

static void unpckhpd(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    unpack64(x, 1, to);
}

static void movsldup(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    for (unsigned i = 0; i < x->size / 4; i++)
        to->u32[i] = x->b.u32[i & ~1u];
}

static void movshdup(const struct vector_args *x, uint64_t imm, union vector *to)
{
    (void)imm;
    for (unsigned i = 0; i < x->size / 4; i++)
        to->u32[i] = x->b.u32[i | 1];
}

SHUFFLE(unpcklps)
SHUFFLE(unpckhps)
SHUFFLE(unpcklpd)
SHUFFLE(unpckhpd)
SHUFFLE(movsldup)
SHUFFLE(movshdup)

/* Of memory the 128-bit form reads 8 bytes. */
enum step insn_movddup(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    union vector value;
    enum step step = vector_read(cpu, in, 1, size == 16 ? 8 : size, &value);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 1; i < size / 8; i += 2)
        value.u64[i] = value.u64[i - 1];
    return vector_write(cpu, in, 0, size, &value);
}

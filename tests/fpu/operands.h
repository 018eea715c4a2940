/* Operands at the edges: the same ones in every run. */
#ifndef TESTS_FPU_OPERANDS_H
#define TESTS_FPU_OPERANDS_H

#include "emu/fpu/fpu.h"

struct source {
    uint64_t state;
};

static inline uint64_t draw(struct source *s)
{
    s->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = s->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline unsigned draw_below(struct source *s, unsigned limit)
{
    return (unsigned)((draw(s) >> 32) * limit >> 32);
}

/* `bits` bits: runs of ones and zeros, few bits, ends, or anything. */
static inline uint64_t draw_fraction(struct source *s, int bits)
{
    uint64_t mask = bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1, value = draw(s);
    switch (draw_below(s, 8)) {
    case 0: value = 0; break;
    case 1: value = ~UINT64_C(0); break;
    case 2: value = UINT64_C(1) << (value & 63); break;
    case 3: value = ~(UINT64_C(1) << (value & 63)); break;
    case 4: value = ~UINT64_C(0) << (value & 63); break;
    case 5: value = (~UINT64_C(0) >> (value & 63)) + (value >> 62) - 1; break;
    default: break;
    }
    return value & mask;
}

/* An exponent field of `bits` bits: ends, middle, the neighbourhood of the last one, or anything. */
static inline unsigned draw_exponent(struct source *s, int bits, unsigned last)
{
    unsigned top = (1u << bits) - 1, middle = top >> 1, wobble = draw_below(s, 5) - 2;
    unsigned value;
    switch (draw_below(s, 10)) {
    case 0: value = 0; break;
    case 1: value = top; break;
    case 2: value = draw_below(s, 4); break;
    case 3: value = top - draw_below(s, 4); break;
    case 4:
    case 5: value = middle + wobble; break;
    case 6: value = last + wobble; break;
    case 7: value = last + draw_below(s, 140) - 70; break;
    case 8: value = middle + draw_below(s, 140) - 70; break;
    default: value = (unsigned)draw(s); break;
    }
    return value & top;
}

static inline uint64_t draw_binary(struct source *s, int ebits, int fbits, uint64_t last)
{
    unsigned near = (unsigned)(last >> fbits) & ((1u << ebits) - 1);
    uint64_t value = (draw(s) & 1) << ebits | draw_exponent(s, ebits, near);
    return value << fbits | draw_fraction(s, fbits);
}

static inline uint32_t draw_f32(struct source *s, uint32_t last)
{
    return (uint32_t)draw_binary(s, 8, 23, last);
}

static inline uint64_t draw_f64(struct source *s, uint64_t last)
{
    return draw_binary(s, 11, 52, last);
}

/* One in sixteen has the wrong integer bit: pseudo-denormals and unsupported encodings. */
static inline struct f80 draw_f80(struct source *s, struct f80 last)
{
    struct f80 value = { .se = (uint16_t)(draw_exponent(s, 15, last.se & 0x7fffu) | (draw(s) & 1)
                                                                                        << 15) };
    bool integer = (value.se & 0x7fff) != 0;
    if (draw_below(s, 16) == 0)
        integer = !integer;
    value.mant = draw_fraction(s, 63) | (uint64_t)integer << 63;
    return value;
}

#endif

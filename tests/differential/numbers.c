/* Numbers near the edges of every format. */
#include "tests/differential/numbers.h"

#include <string.h>

/* A significand of `bits` bits: few ones, few zeros, ties of shorter formats, or anything. */
static uint64_t draw_significand(struct diff_random *random, unsigned bits)
{
    uint64_t all = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, any = random_bits(random);
    static const uint8_t shorter[] = { 52, 53, 24, 23, 11, 10, 32, 31, 16, 15, 8, 7 };
    unsigned keep = shorter[random_below(random, sizeof(shorter))];
    keep = keep < bits ? keep : bits / 2;
    uint64_t half = UINT64_C(1) << (bits - keep - 1), upper = any & all & ~(2 * half - 1);
    switch (random_below(random, 12)) {
    case 0: return 0;
    case 1: return 1 + random_below(random, 3);
    case 2: return all - random_below(random, 3);
    case 3: return UINT64_C(1) << random_below(random, bits);
    case 4: return upper;
    case 5: return upper | half;
    case 6: return upper | (half - 1);
    case 7: return upper | (half + 1);
    case 8: return (upper | half) + (half - 1);
    case 9: return all & (any << random_below(random, bits));
    default: return any & all;
    }
}

/* An unbiased exponent to draw around: what matters in every format and conversion. */
static int draw_centre(struct diff_random *random, int max)
{
    static const int16_t centres[] = { 0,   0,    0,    0,     0,     1,    -1,   7,   8,    15,
                                       16,  23,   24,   31,    32,    52,   53,   62,  63,   64,
                                       -14, -24,  -25,  -126,  -149,  -150, 127,  128, 1023, 1024,
                                       512, -512, -538, -1022, -1074, 8191, -8191 };
    unsigned which = random_below(random, sizeof(centres) / sizeof(centres[0]) + 4);
    if (which < sizeof(centres) / sizeof(centres[0])) {
        int centre = centres[which];
        return centre > max ? max : centre < -max ? -max : centre;
    }
    return which & 1 ? max - (int)random_below(random, 4) : 1 - max + (int)random_below(random, 4);
}

static int draw_exponent(struct drawing *drawing, int max)
{
    struct diff_random *random = drawing->random;
    if (random_chance(random, 10))
        return (int)random_below(random, 2 * (unsigned)max) - max;
    int centre = drawing->centre[random_below(random, 2)];
    centre += (int)random_below(random, 5) - 2;
    if (random_chance(random, 20))
        centre += (int)random_below(random, 130) - 65;
    return centre;
}

/* A number of IEEE form with `ebits` bits of exponent and `mbits` of fraction. */
static uint64_t draw_ieee(struct drawing *drawing, unsigned ebits, unsigned mbits)
{
    struct diff_random *random = drawing->random;
    uint64_t sign = (random_bits(random) & 1) << (ebits + mbits);
    uint64_t top = (UINT64_C(1) << ebits) - 1, quiet = UINT64_C(1) << (mbits - 1);
    uint64_t fraction = draw_significand(random, mbits);
    int max = (int)(top >> 1);
    switch (random_below(random, 24)) {
    case 0: return sign;
    case 1: return sign | top << mbits;
    case 2: return sign | top << mbits | quiet | fraction;
    case 3: return sign | top << mbits | (fraction & ~quiet) | (fraction & ~quiet ? 0 : 1);
    case 4: return sign | fraction; /* denormal */
    case 5: return sign | UINT64_C(1) << mbits | (random_chance(random, 50) ? fraction : 0);
    case 6: return sign | (top - 1) << mbits | fraction;
    case 7: return sign | (uint64_t)max << mbits;
    default: break;
    }
    int exponent = draw_exponent(drawing, max) + max;
    exponent = exponent < 0 ? 0 : exponent > (int)top - 1 ? (int)top - 1 : exponent;
    return sign | (uint64_t)exponent << mbits | fraction;
}

static struct f80 draw_f80(struct drawing *drawing)
{
    struct diff_random *random = drawing->random;
    const uint64_t one = UINT64_C(1) << 63, quiet = UINT64_C(1) << 62;
    uint16_t sign = random_chance(random, 50) ? 0x8000 : 0;
    uint64_t fraction = draw_significand(random, 63);
    switch (random_below(random, 32)) {
    case 0: return (struct f80){ .se = sign };
    case 1: return (struct f80){ .se = sign | 0x7fff, .mant = one };
    case 2: return (struct f80){ .se = sign | 0x7fff, .mant = one | quiet | fraction };
    case 3: return (struct f80){ .se = sign | 0x7fff, .mant = one | (fraction & ~quiet) | 1 };
    case 4: return (struct f80){ .se = sign, .mant = fraction };
    case 5: return (struct f80){ .se = sign, .mant = one | fraction }; /* pseudo-denormal */
    case 6: return (struct f80){ .se = sign | 1, .mant = one | fraction };
    case 7: return (struct f80){ .se = sign | 0x7ffe, .mant = one | fraction };
    case 8: return (struct f80){ .se = sign | 0x3fff, .mant = one };
    case 9: /* pseudo-NaN, pseudo-infinity, unnormal */
        return (struct f80){ .se = (uint16_t)(sign | random_bits(random)), .mant = fraction };
    case 10:
    case 11: {
        uint64_t n = random_edge(random) >> random_below(random, 40) | 1; /* an integer */
        unsigned shift = 0;
        while (!(n << shift & one))
            shift++;
        return (struct f80){ .se = (uint16_t)(sign | (0x3fff + 63 - shift)), .mant = n << shift };
    }
    default: break;
    }
    int exponent = draw_exponent(drawing, 16383) + 16383;
    exponent = exponent < 1 ? 1 : exponent > 0x7ffe ? 0x7ffe : exponent;
    return (struct f80){ .se = (uint16_t)(sign | exponent), .mant = one | fraction };
}

static void fill_integers(struct diff_random *random, uint8_t *at, unsigned bytes, unsigned size)
{
    static const uint64_t edges[] = { 0,      1,      0x7f,       0x80,       0xff,       0x7fff,
                                      0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 2 };
    bool random_ones = random_chance(random, 40);
    for (unsigned i = 0; i < bytes; i += size) {
        uint64_t any = random_bits(random), value = any;
        if (!random_ones || (any >> 60) < 6)
            value = (any >> 40 & 1 ? UINT64_MAX : 0) ^
                    edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];
        memcpy(at + i, &value, size);
    }
}

void numbers_fill(struct drawing *drawing, enum flavour flavour, uint8_t *at, unsigned bytes)
{
    struct diff_random *random = drawing->random;
    uint64_t value;
    switch (flavour) {
    case INT8: fill_integers(random, at, bytes, 1); break;
    case INT16: fill_integers(random, at, bytes, 2); break;
    case INT32: fill_integers(random, at, bytes, 4); break;
    case BINARY16:
        for (unsigned i = 0; i < bytes; i += 2) {
            value = draw_ieee(drawing, 5, 10);
            memcpy(at + i, &value, 2);
        }
        break;
    case BINARY32:
        for (unsigned i = 0; i < bytes; i += 4) {
            value = draw_ieee(drawing, 8, 23);
            memcpy(at + i, &value, 4);
        }
        break;
    case BINARY64:
        for (unsigned i = 0; i < bytes; i += 8) {
            value = draw_ieee(drawing, 11, 52);
            memcpy(at + i, &value, 8);
        }
        break;
    case BINARY80:
        for (unsigned i = 0; i < bytes; i += 16) {
            struct f80 number = draw_f80(drawing);
            memcpy(at + i, &number.mant, 8);
            memcpy(at + i + 8, &number.se, 2);
        }
        break;
    case CONTROL:
        for (unsigned i = 0; i < bytes; i += 4) {
            value = random_bits(random) & (random_chance(random, 90) ? MXCSR_MASK : UINT32_MAX);
            memcpy(at + i, &value, 4);
        }
        break;
    case BCD:
        for (unsigned i = 0; i < bytes; i++)
            at[i] = (uint8_t)(random_below(random, 10) << 4 | random_below(random, 10));
        break;
    default:
        for (unsigned i = 0; i < bytes; i += 8) {
            value = random_chance(random, 50) ? random_edge(random) : random_bits(random);
            memcpy(at + i, &value, 8);
        }
        break;
    }
}

struct drawing numbers_start(struct diff_random *random, enum flavour flavour)
{
    int max = flavour == BINARY16   ? 15
              : flavour == BINARY32 ? 127
              : flavour == BINARY64 ? 1023
                                    : 16383;
    struct drawing drawing = { .random = random };
    drawing.centre[0] = draw_centre(random, max);
    drawing.centre[1] = random_chance(random, 60) ? drawing.centre[0] : draw_centre(random, max);
    return drawing;
}

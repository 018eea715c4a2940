/* What x87 and vector registers, their control words and the memory of such instructions hold: numbers near the edges of every
 * format. */
#include "emu/insn/insn.h"
#include "tests/differential/forms_priv.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

/* --- numbers ------------------------------------------------------------------------------------- */

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

/* Around what a case's numbers lie, so that they meet each other. */
struct drawing {
    struct diff_random *random;
    int centre[2];
};

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

/* --- flavours: how the bytes of an operand are drawn ------------------------------------------------- */

enum flavour {
    ANYTHING,
    INT8,
    INT16,
    INT32,
    BINARY16,
    BINARY32,
    BINARY64,
    BINARY80,
    CONTROL,
    BCD,
    FLAVOURS
};

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && strcmp(name + len - tail, end) == 0;
}

static enum flavour flavour_by_name(const char *name)
{
    if (strncmp(name, "vcvtph", 6) == 0)
        return BINARY16;
    if (strncmp(name, "cvtdq", 5) == 0 || strncmp(name, "vcvtdq", 6) == 0 ||
        strncmp(name, "cvtpi", 5) == 0 || strncmp(name, "cvtsi", 5) == 0)
        return INT32;
    if (strstr(name, "cvtps") || strstr(name, "cvttps") || strstr(name, "cvtss") ||
        strstr(name, "cvttss"))
        return BINARY32;
    if (strstr(name, "cvtpd") || strstr(name, "cvttpd") || strstr(name, "cvtsd") ||
        strstr(name, "cvttsd"))
        return BINARY64;
    if (strstr(name, "mxcsr") || strcmp(name, "fldcw") == 0)
        return CONTROL;
    if (strcmp(name, "fbld") == 0)
        return BCD;
    if (ends_in(name, "ps") || ends_in(name, "ss"))
        return BINARY32;
    if (ends_in(name, "pd") || ends_in(name, "sd") || ends_in(name, "sdq"))
        return BINARY64;
    if (ends_in(name, "b") || ends_in(name, "bw"))
        return INT8;
    if (ends_in(name, "w") || ends_in(name, "wd"))
        return INT16;
    if (ends_in(name, "d") || ends_in(name, "dq"))
        return INT32;
    return ANYTHING;
}

static enum flavour flavour_of(const struct insn *in)
{
    static uint8_t known[ZYDIS_MNEMONIC_MAX_VALUE + 1]; /* plus 1 */
    if (in->isa_set == ZYDIS_ISA_SET_X87 || in->isa_set == ZYDIS_ISA_SET_SSE3X87) {
        const char *name = ZydisMnemonicGetString((ZydisMnemonic)in->mnemonic);
        for (unsigned i = 0; i < in->count; i++)
            if (in->op[i].kind == OPERAND_MEM && name[1] != 'i' && strcmp(name, "fbld") != 0 &&
                in->mnemonic != ZYDIS_MNEMONIC_FLDCW)
                return in->op[i].size == 4 ? BINARY32 : in->op[i].size == 8 ? BINARY64 : BINARY80;
    }
    if (!known[in->mnemonic])
        known[in->mnemonic] =
            (uint8_t)(1 + flavour_by_name(ZydisMnemonicGetString((ZydisMnemonic)in->mnemonic)));
    return (enum flavour)(known[in->mnemonic] - 1);
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

static void fill(struct drawing *drawing, enum flavour flavour, uint8_t *at, unsigned bytes)
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

static struct drawing start_drawing(struct diff_random *random, enum flavour flavour)
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

/* --- registers ------------------------------------------------------------------------------------------ */

bool is_state(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64: return true;
    default: return false;
    }
}

bool is_gather(const struct insn *in)
{
    return in->isa_set == ZYDIS_ISA_SET_AVX2GATHER;
}

bool is_x87(const struct insn *in)
{
    return in->isa_set == ZYDIS_ISA_SET_X87 || in->isa_set == ZYDIS_ISA_SET_FCMOV ||
           in->isa_set == ZYDIS_ISA_SET_SSE3X87;
}

bool is_floating(const struct insn *in)
{
    switch (in->isa_set) {
#define ISA(name, feature, and, ready) case ZYDIS_ISA_SET_##name:
#include "emu/insn/isa.def"
#undef ISA
        return true;
    default: return is_state(in);
    }
}

void draw_fp_default(struct diff_random *random, struct diff_fp *fp)
{
    memset(fp, 0, sizeof(*fp));
    fp->fcw = 0x37f;
    fp->mxcsr = MXCSR_RESET;
    fp->used = (uint16_t)(random_bits(random) & 0xff);
    fp->fsw = (uint16_t)(random_below(random, 8) << FSW_TOP_SHIFT);
    for (unsigned i = 0; i < 16; i++) {
        struct drawing drawing = start_drawing(random, BINARY80);
        fill(&drawing, (enum flavour)random_below(random, BINARY80), fp->xmm[i], 16);
        fill(&drawing, (enum flavour)random_below(random, BINARY80), fp->high[i], 16);
        if (i < 8)
            fill(&drawing, BINARY80, fp->st[i], 16);
    }
}

static void draw_mxcsr(struct diff_random *random, struct diff_fp *fp)
{
    uint32_t masks = MXCSR_RESET, any = (uint32_t)random_bits(random);
    if (random_chance(random, 30))
        masks = random_chance(random, 20) ? 0 : any & MXCSR_RESET;
    fp->mxcsr = masks | (random_chance(random, 60) ? any >> 16 & 0x6000 : 0) |
                (random_chance(random, 20) ? MXCSR_DAZ : 0) |
                (random_chance(random, 20) ? MXCSR_FTZ : 0) |
                (random_chance(random, 15) ? MXCSR_MM : 0) |
                (random_chance(random, 25) ? any & FP_EXCEPTIONS : 0);
}

static void draw_control(struct diff_random *random, struct diff_fp *fp)
{
    uint32_t any = (uint32_t)random_bits(random);
    fp->fcw = 0x37f;
    if (random_chance(random, 65)) {
        fp->fcw = (uint16_t)(0x40 | (any & 0x0f00));
        fp->fcw |= random_chance(random, 60) ? FP_EXCEPTIONS : any >> 16 & FP_EXCEPTIONS;
        fp->fcw |= random_chance(random, 5) ? 0x1000 : 0;
    }
    uint16_t flags = random_chance(random, 30) ? any >> 24 & 0x7f : 0;
    uint16_t pending = flags & ~fp->fcw & FP_EXCEPTIONS;
    if (pending && random_chance(random, 75))
        flags &= (uint16_t)~pending, pending = 0;
    fp->fsw = (uint16_t)((random_bits(random) & 0x7f00) | flags | (pending ? 0x8080 : 0));
    if (pending) {
        fp->fop = random_bits(random) & 0x7ff;
        fp->fip = random_bits(random) >> 16;
        fp->fdp = random_bits(random) >> 16;
    }
}

static unsigned top_of(const struct diff_fp *fp)
{
    return fp->fsw >> FSW_TOP_SHIFT & 7;
}

/* ST(i) or, when it stands for MMX, the register of that number. */
static void draw_st(struct drawing *drawing, enum flavour flavour, struct diff_fp *fp, unsigned i)
{
    memset(fp->st[i], 0, 16);
    fill(drawing, flavour, fp->st[i], flavour == BINARY80 ? 16 : 8);
    if (flavour != BINARY80 && random_chance(drawing->random, 70))
        memset(fp->st[i] + 8, 0xff, 2);
}

static void draw_x87(const struct insn *in, struct diff_random *random, struct diff_fp *fp)
{
    struct drawing drawing = start_drawing(random, BINARY80);
    draw_control(random, fp);
    draw_st(&drawing, BINARY80, fp, 0);
    draw_st(&drawing, BINARY80, fp, 1);
    fp->used = random_chance(random, 45) ? 0xff : random_bits(random) & 0xff;
    unsigned needed =
        random_chance(random, 70) ? 1u << top_of(fp) | 1u << ((top_of(fp) + 1) & 7) : 0;
    for (unsigned i = 0; i < in->count; i++)
        if (in->op[i].kind == OPERAND_ST) {
            draw_st(&drawing, BINARY80, fp, in->op[i].reg);
            needed |= needed ? 1u << ((top_of(fp) + in->op[i].reg) & 7) : 0;
        }
    fp->used |= (uint16_t)needed;
    if (random_chance(random, 10))
        memcpy(fp->st[1], fp->st[0], 10);
    /* Room for what is pushed. */
    if (random_chance(random, 50) && fp->used != 0xff)
        fp->used &= (uint16_t) ~(1u << ((top_of(fp) + 7) & 7));
}

static void draw_vector(struct drawing *drawing, enum flavour flavour, struct diff_fp *fp,
                        unsigned r)
{
    struct diff_random *random = drawing->random;
    if (random_chance(random, 10)) { /* the same as a neighbour, or nearly */
        memcpy(fp->xmm[r], fp->xmm[(r + 1) & 15], 16);
        memcpy(fp->high[r], fp->high[(r + 15) & 15], 16);
        fp->xmm[r][0] ^= random_below(random, 2);
        return;
    }
    if (random_chance(random, 15))
        flavour = (enum flavour)random_below(random, BINARY80);
    fill(drawing, flavour, fp->xmm[r], 16);
    fill(drawing, flavour, fp->high[r], 16);
}

/* Indices of a gather: near, so that all elements lie in the data. */
static void draw_indices(const struct insn *in, struct diff_random *random, struct diff_fp *fp)
{
    unsigned size = in->opcode & 1 ? 8 : 4, r = in->vindex; /* of an index */
    for (unsigned i = 0; i < 32; i += size) {
        int64_t index = (int64_t)random_below(random, 0x800) - 0x400;
        if (random_chance(random, 20))
            index *= 16;
        memcpy(i < 16 ? fp->xmm[r] + i : fp->high[r] + i - 16, &index, size);
    }
}

static void draw_simd(const struct insn *in, struct diff_random *random, struct diff_fp *fp)
{
    enum flavour flavour = flavour_of(in);
    struct drawing drawing = start_drawing(random, flavour);
    draw_mxcsr(random, fp);
    for (unsigned i = 0; i < in->count; i++)
        if (in->op[i].kind == OPERAND_VECTOR)
            draw_vector(&drawing, flavour, fp, in->op[i].reg);
        else if (in->op[i].kind == OPERAND_MMX)
            draw_st(&drawing, flavour, fp, (in->op[i].reg - top_of(fp)) & 7);
    draw_vector(&drawing, flavour, fp, 0); /* implied by some */
    if (is_gather(in))
        draw_indices(in, random, fp);
}

void draw_fp(const struct insn *in, struct diff_random *random, struct diff_state *state)
{
    struct diff_fp *fp = &state->fp;
    bool simd = false;
    for (unsigned i = 0; i < in->count; i++)
        simd = simd || in->op[i].kind == OPERAND_VECTOR || in->op[i].kind == OPERAND_MMX;
    if (!is_floating(in))
        return;
    if (is_state(in)) {
        draw_x87(in, random, fp);
        draw_mxcsr(random, fp);
        state->r[REG_RAX] &= ~NATIVE_ONLY;
        if (random_chance(random, 60))
            state->r[REG_RAX] |= 7;
        return;
    }
    if (!simd || random_chance(random, 20))
        draw_x87(in, random, fp);
    if (simd || in->isa_set == ZYDIS_ISA_SET_SSEMXCSR)
        draw_simd(in, random, fp);
}

/* --- memory ------------------------------------------------------------------------------------------------ */

/* Behind DIFF_DATA: numbers of each flavour in turn, and images of FXSAVE and XSAVE. The selectors of selectors.c begin at
 * 0x2800. */
enum {
    CHUNK = 128,
    IMAGES = 0x1000,
    IMAGE_BYTES = 0x380,
    IMAGE_COUNT = 4,
    AFTER_IMAGES = 0x1e00,
    END = 0x2800
};

static void fill_image(struct diff_random *random, uint8_t *at)
{
    struct diff_fp fp;
    uint64_t header[8] = { random_bits(random) & (random_chance(random, 50) ? 7 : 0xffff1f) };
    draw_fp_default(random, &fp);
    draw_mxcsr(random, &fp);
    draw_control(random, &fp);
    if (random_chance(random, 10))
        fp.mxcsr |= 1u << random_below(random, 32);
    if (random_chance(random, 15))
        fp.fsw ^= 0x8080;
    if (random_chance(random, 50))
        header[0] &= 7;
    if (random_chance(random, 40)) /* of XSAVEC */
        header[1] = UINT64_C(1) << 63 | 7;
    if (random_chance(random, 15))
        header[random_below(random, 8)] ^=
            UINT64_C(1) << (random_chance(random, 50) ? random_below(random, 5)
                                                      : 8 + random_below(random, 56));
    memcpy(at, &fp.fcw, 2);
    memcpy(at + 2, &fp.fsw, 2);
    at[4] = (uint8_t)fp.used;
    at[5] = 0;
    memcpy(at + 6, &fp.fop, 2);
    memcpy(at + 8, &fp.fip, 8);
    memcpy(at + 16, &fp.fdp, 8);
    memcpy(at + 24, &fp.mxcsr, 4);
    memcpy(at + 32, fp.st, sizeof(fp.st));
    memcpy(at + 160, fp.xmm, sizeof(fp.xmm));
    memcpy(at + 512, header, sizeof(header));
    memcpy(at + 576, fp.high, sizeof(fp.high));
}

void fill_fp(struct diff_random *random, uint8_t *data)
{
    for (unsigned at = 0; at < END; at += CHUNK) {
        enum flavour flavour = (enum flavour)(at / CHUNK % FLAVOURS);
        struct drawing drawing = start_drawing(random, flavour);
        if (at < IMAGES || at >= AFTER_IMAGES)
            fill(&drawing, flavour, data + at, CHUNK);
    }
    for (unsigned i = 0; i < IMAGE_COUNT; i++)
        fill_image(random, data + IMAGES + i * IMAGE_BYTES);
}

uint64_t aim_fp(const struct insn *in, struct diff_random *random)
{
    enum flavour flavour = flavour_of(in);
    if (is_state(in)) {
        uint64_t image = DIFF_DATA + IMAGES + IMAGE_BYTES * (uint64_t)random_below(random, 4);
        return image + (random_chance(random, 10) ? random_below(random, 64) : 0);
    }
    unsigned where = random_below(random, 4), first = where ? 0 : AFTER_IMAGES / CHUNK;
    unsigned count = ((where ? IMAGES : END) / CHUNK - first) / FLAVOURS, at = first;
    while (at % FLAVOURS != (unsigned)flavour)
        at++;
    at = CHUNK * (at + FLAVOURS * random_below(random, count ? count : 1));
    unsigned within = random_below(random, CHUNK);
    switch (random_below(random, 8)) {
    case 0: break;
    case 1:
    case 2: within &= ~7u; break;
    case 3:
    case 4: within &= ~15u; break;
    default: within &= ~31u; break;
    }
    return DIFF_DATA + at + (flavour == BINARY80 ? within & ~15u : within);
}

/* What x87 and vector registers, their control words and the memory of such instructions hold: numbers near the edges of every
 * format. */
#include "emu/insn/insn.h"
#include "tests/differential/forms_priv.h"
#include "tests/differential/numbers.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

/* --- flavours: how the bytes of an operand are drawn ------------------------------------------------- */

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
        struct drawing drawing = numbers_start(random, BINARY80);
        numbers_fill(&drawing, (enum flavour)random_below(random, BINARY80), fp->xmm[i], 16);
        numbers_fill(&drawing, (enum flavour)random_below(random, BINARY80), fp->high[i], 16);
        if (i < 8)
            numbers_fill(&drawing, BINARY80, fp->st[i], 16);
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
    numbers_fill(drawing, flavour, fp->st[i], flavour == BINARY80 ? 16 : 8);
    if (flavour != BINARY80 && random_chance(drawing->random, 70))
        memset(fp->st[i] + 8, 0xff, 2);
}

static void draw_x87(const struct insn *in, struct diff_random *random, struct diff_fp *fp)
{
    struct drawing drawing = numbers_start(random, BINARY80);
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
    numbers_fill(drawing, flavour, fp->xmm[r], 16);
    numbers_fill(drawing, flavour, fp->high[r], 16);
}

/* Indices of a gather: near, so that all elements lie in the data. */
static void draw_indices(const struct insn *in, struct diff_random *random, struct diff_fp *fp)
{
    unsigned size = in->opcode & 1 ? 8 : 4, r = in->vindex; /* of an index */
    for (unsigned i = 0; i < 32; i += size) {
        int64_t index = (int64_t)random_below(random, 0x800) - 0x400;
        if (random_chance(random, 20))
            index *= 16;
        memcpy(i < 16 ? &fp->xmm[r][i] : &fp->high[r][i - 16], &index, size);
    }
}

static void draw_simd(const struct insn *in, struct diff_random *random, struct diff_fp *fp)
{
    enum flavour flavour = flavour_of(in);
    struct drawing drawing = numbers_start(random, flavour);
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
        struct drawing drawing = numbers_start(random, flavour);
        if (at < IMAGES || at >= AFTER_IMAGES)
            numbers_fill(&drawing, flavour, data + at, CHUNK);
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

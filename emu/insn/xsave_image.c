/* What FXSAVE and the XSAVE family move to and from memory. APM vol 2, 11.4.4 "Saving Media and x87 Execution Unit State",
 * 11.5.10 "Mode-Specific XSAVE/XRSTOR State Management". */
#include "emu/insn/xsave_image.h"

#include "emu/cpu/cpuid.h"

#include <string.h>

#define AT_FCW 0
#define AT_POINTERS 6 /* FOP, FIP, FDP */
#define AT_ST 32
#define AT_XMM 160

#define FSW_STORED 0x7f7fu /* all but ES and its copy B, which follow from flags and masks */
#define FOP_BITS 0x07ffu

/* --- pieces --- */

enum step image_open(struct vcpu *cpu, const struct insn *in, unsigned alignment,
                     struct image *image)
{
    memset(image, 0, offsetof(struct image, piece));
    image->seg = (enum seg)in->seg;
    image->off = mem_offset(cpu, in);
    image->addr_size = in->addr_size;
    image->wide = cpu_long64(cpu) && (in->prefixes & PREFIX_REXW);
    image->long64 = cpu_long64(cpu);
    uint64_t base = cpu->regs.seg[image->seg].base;
    if (cpu_long64(cpu) && image->seg < SEG_FS)
        base = 0;
    image->la = base + image->off;
    if (image->la & (alignment - 1))
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

void image_add(struct image *image, unsigned offset, unsigned size)
{
    unsigned i = image->count++;
    for (; i > 0 && image->piece[i - 1].offset > offset; i--)
        image->piece[i] = image->piece[i - 1];
    image->piece[i].offset = (uint16_t)offset;
    image->piece[i].size = (uint16_t)size;
}

/* Adjacent pieces from piece *i on: where they begin, how long they are. false behind the last. */
static bool next_access(const struct image *image, unsigned *i, unsigned *offset, unsigned *size)
{
    if (*i == image->count)
        return false;
    *offset = image->piece[*i].offset;
    *size = 0;
    for (; *i < image->count && image->piece[*i].offset == *offset + *size; (*i)++)
        *size += image->piece[*i].size;
    return true;
}

static uint64_t address(const struct image *image, unsigned offset)
{
    return (image->off + offset) & size_mask(image->addr_size);
}

enum step image_probe(struct vcpu *cpu, const struct image *image)
{
    unsigned offset, size;
    for (unsigned i = 0; next_access(image, &i, &offset, &size);) {
        enum step step =
            mem_touch_bytes(cpu, image->seg, address(image, offset), size, ACCESS_WRITE);
        if (step != STEP_NEXT)
            return step;
    }
    return STEP_NEXT;
}

enum step image_store(struct vcpu *cpu, const struct image *image)
{
    unsigned offset, size;
    for (unsigned i = 0; next_access(image, &i, &offset, &size);) {
        enum step step =
            mem_store_bytes(cpu, image->seg, address(image, offset), size, image->bytes + offset);
        if (step != STEP_NEXT)
            return step;
    }
    return STEP_NEXT;
}

enum step image_load(struct vcpu *cpu, struct image *image)
{
    unsigned offset, size;
    for (unsigned i = 0; next_access(image, &i, &offset, &size);) {
        enum step step =
            mem_load_bytes(cpu, image->seg, address(image, offset), size, image->bytes + offset);
        if (step != STEP_NEXT)
            return step;
    }
    image->count = 0;
    return STEP_NEXT;
}

static void put(struct image *image, unsigned at, unsigned size, uint64_t value)
{
    memcpy(image->bytes + at, &value, size); /* little-endian, as the workstation is */
}

static uint64_t get(const struct image *image, unsigned at, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, image->bytes + at, size);
    return value;
}

/* --- x87 --- */

/* FOP, FIP and FDP count while an unmasked exception is pending. Otherwise newer parts store zeros, as Zen 4 does, and older
 * ones leave the memory as it is (11.5.10). Returns whether the bytes are to be stored. */
static bool put_pointers(const struct vcpu *cpu, struct image *image)
{
    const struct cpu_x87 *x87 = &cpu->x87;
    if (!(x87->fsw & FSW_ES))
        return cpu_has(cpu, CPU_FEATURE_RSTR_FP_ERR_PTRS);
    put(image, 6, 2, x87->fop & FOP_BITS);
    put(image, 8, 8, image->wide ? x87->fip : (uint32_t)x87->fip | (uint64_t)x87->fcs << 32);
    put(image, 16, 8, image->wide ? x87->fdp : (uint32_t)x87->fdp | (uint64_t)x87->fds << 32);
    return true;
}

void image_put_x87(const struct vcpu *cpu, struct image *image)
{
    const struct cpu_x87 *x87 = &cpu->x87;
    unsigned top = x87->fsw >> FSW_TOP_SHIFT & 7;
    memset(image->bytes, 0, XSTATE_MXCSR);
    memset(image->bytes + AT_ST, 0, AT_XMM - AT_ST);
    put(image, AT_FCW, 2, x87->fcw);
    put(image, 2, 2, x87->fsw);
    put(image, 4, 1, x87->used);
    bool pointers = put_pointers(cpu, image);
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *st = &x87->reg[(top + i) & 7];
        put(image, AT_ST + 16 * i, 8, st->mant);
        put(image, AT_ST + 16 * i + 8, 2, st->se);
    }
    image_add(image, 0, pointers ? XSTATE_MXCSR : AT_POINTERS);
    image_add(image, AT_ST, AT_XMM - AT_ST);
}

void image_add_x87(struct image *image)
{
    image_add(image, 0, XSTATE_MXCSR);
    image_add(image, AT_ST, AT_XMM - AT_ST);
}

/* Offsets have as many bits as linear addresses; the upper ones follow, as measured on Zen 4. */
static uint64_t pointer(const struct vcpu *cpu, uint64_t value)
{
    unsigned unused = cpu_has(cpu, CPU_FEATURE_LA57) ? 64 - 57 : 64 - 48;
    uint64_t sign = UINT64_C(1) << (63 - unused);
    value &= UINT64_MAX >> unused;
    return (value ^ sign) - sign;
}

static void get_pointers(const struct vcpu *cpu, const struct image *image, struct cpu_x87 *to)
{
    to->fop = (uint16_t)(get(image, 6, 2) & FOP_BITS);
    if (image->wide) {
        to->fip = pointer(cpu, get(image, 8, 8));
        to->fdp = pointer(cpu, get(image, 16, 8));
        to->fcs = to->fds = 0;
        return;
    }
    to->fip = get(image, 8, 4);
    to->fcs = (uint16_t)get(image, 12, 2);
    to->fdp = get(image, 16, 4);
    to->fds = (uint16_t)get(image, 20, 2);
}

void image_get_x87(const struct vcpu *cpu, const struct image *image, struct cpu_x87 *to)
{
    *to = cpu->x87; /* the pointers may stay */
    to->fcw = (uint16_t)((get(image, AT_FCW, 2) & FCW_WRITABLE) | FCW_FIXED);
    to->fsw = (uint16_t)(get(image, 2, 2) & FSW_STORED);
    if (to->fsw & ~to->fcw & FP_EXCEPTIONS)
        to->fsw |= FSW_ES | FSW_B;
    to->used = (uint8_t)get(image, 4, 1);
    unsigned top = to->fsw >> FSW_TOP_SHIFT & 7;
    for (unsigned i = 0; i < 8; i++)
        to->reg[(top + i) & 7] = (struct f80){ .mant = get(image, AT_ST + 16 * i, 8),
                                               .se = (uint16_t)get(image, AT_ST + 16 * i + 8, 2) };
    if ((to->fsw & FSW_ES) || cpu_has(cpu, CPU_FEATURE_RSTR_FP_ERR_PTRS))
        get_pointers(cpu, image, to);
}

/* --- vectors --- */

void image_put_mxcsr(const struct vcpu *cpu, struct image *image)
{
    put(image, XSTATE_MXCSR, 4, cpu->simd.mxcsr);
    put(image, XSTATE_MXCSR + 4, 4, xstate_mxcsr_mask(cpu));
    image_add(image, XSTATE_MXCSR, 8);
}

uint32_t image_get_mxcsr(const struct image *image)
{
    return (uint32_t)get(image, XSTATE_MXCSR, 4);
}

static unsigned vector_count(const struct image *image)
{
    return image->long64 ? 16 : 8;
}

/* Bytes [16 * half, 16 * half + 16) of each vector register. */
static void put_halves(const struct vcpu *cpu, struct image *image, unsigned half, unsigned at)
{
    for (unsigned i = 0; i < vector_count(image); i++)
        memcpy(image->bytes + at + 16 * i, &cpu->simd.v[i].u64[2 * half], 16);
}

static void get_halves(struct vcpu *cpu, const struct image *image, unsigned half, unsigned at)
{
    for (unsigned i = 0; i < vector_count(image); i++)
        memcpy(&cpu->simd.v[i].u64[2 * half], image->bytes + at + 16 * i, 16);
}

static void clear_halves(struct vcpu *cpu, const struct image *image, unsigned half)
{
    for (unsigned i = 0; i < vector_count(image); i++)
        memset(&cpu->simd.v[i].u64[2 * half], 0, 16);
}

void image_add_xmm(struct image *image)
{
    image_add(image, AT_XMM, 16 * vector_count(image));
}

void image_put_xmm(const struct vcpu *cpu, struct image *image)
{
    put_halves(cpu, image, 0, AT_XMM);
    image_add_xmm(image);
}

void image_get_xmm(struct vcpu *cpu, const struct image *image)
{
    get_halves(cpu, image, 0, AT_XMM);
}

/* --- components --- */

void image_add_component(struct image *image, enum xstate n, unsigned at)
{
    switch (n) {
    case XSTATE_X87: image_add_x87(image); break;
    case XSTATE_SSE: image_add_xmm(image); break;
    case XSTATE_AVX: image_add(image, at, 16 * vector_count(image)); break;
    default: image_add(image, at, xstates[n].size); break;
    }
}

void image_put_component(const struct vcpu *cpu, struct image *image, enum xstate n, unsigned at)
{
    switch (n) {
    case XSTATE_X87: image_put_x87(cpu, image); return;
    case XSTATE_SSE: image_put_xmm(cpu, image); return;
    case XSTATE_AVX: put_halves(cpu, image, 1, at); break;
    case XSTATE_PKRU: put(image, at, 8, cpu->regs.pkru); break;
    case XSTATE_CET_U:
        put(image, at, 8, cpu->shadow.u_cet);
        put(image, at + 8, 8, cpu->shadow.pl_ssp[3]);
        break;
    case XSTATE_CET_S: memcpy(image->bytes + at, cpu->shadow.pl_ssp, 24); break;
    case XSTATE_COUNT: return;
    }
    image_add_component(image, n, at);
}

static bool is_ssp(const struct vcpu *cpu, uint64_t value)
{
    return (value & 3) == 0 && cpu_base_canonical(cpu, value);
}

bool image_component_ok(const struct vcpu *cpu, const struct image *image, enum xstate n,
                        unsigned at)
{
    if (n == XSTATE_CET_U)
        return !(get(image, at, 8) & ~(uint64_t)SHADOW_CET_VALID) &&
               is_ssp(cpu, get(image, at + 8, 8));
    return n != XSTATE_CET_S ||
           (is_ssp(cpu, get(image, at, 8)) && is_ssp(cpu, get(image, at + 8, 8)) &&
            is_ssp(cpu, get(image, at + 16, 8)));
}

void image_get_component(struct vcpu *cpu, const struct image *image, enum xstate n, unsigned at)
{
    switch (n) {
    case XSTATE_X87: {
        struct cpu_x87 x87;
        image_get_x87(cpu, image, &x87);
        cpu->x87 = x87;
        break;
    }
    case XSTATE_SSE: image_get_xmm(cpu, image); break;
    case XSTATE_AVX: get_halves(cpu, image, 1, at); break;
    case XSTATE_PKRU: cpu->regs.pkru = (uint32_t)get(image, at, 4); break;
    case XSTATE_CET_U:
        cpu->shadow.u_cet = get(image, at, 8);
        cpu->shadow.pl_ssp[3] = get(image, at + 8, 8);
        break;
    case XSTATE_CET_S: memcpy(cpu->shadow.pl_ssp, image->bytes + at, 24); break;
    case XSTATE_COUNT: break;
    }
}

void image_init_component(struct vcpu *cpu, const struct image *image, enum xstate n)
{
    switch (n) {
    case XSTATE_X87: cpu->x87 = (struct cpu_x87){ .fcw = FCW_INIT }; break;
    case XSTATE_SSE: clear_halves(cpu, image, 0); break;
    case XSTATE_AVX: clear_halves(cpu, image, 1); break;
    case XSTATE_PKRU: cpu->regs.pkru = 0; break;
    case XSTATE_CET_U: cpu->shadow.u_cet = cpu->shadow.pl_ssp[3] = 0; break;
    case XSTATE_CET_S: memset(cpu->shadow.pl_ssp, 0, 24); break;
    case XSTATE_COUNT: break;
    }
}

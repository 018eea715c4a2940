/* x87, SSE and AVX state: what must agree, and what is told when it does not. */
#include "decoder/decode.h"
#include "tests/differential/forms_priv.h"

#include <Zydis/Zydis.h>
#include <stdio.h>

#define FSW_C1 0x0200u

/* --- rules ------------------------------------------------------------------------------------------ */

enum rule { NO_RULE, POINTERS, PARTS, XCR0_BITS, TRANSCENDENTAL, RULE_COUNT };
static struct {
    const char *rule, *why;
    uint64_t count;
} rules[RULE_COUNT] = {
    [POINTERS] = { "fop_fip_fdp", "CPUID Fn8000_0008_EBX[2]: 0 in an XSAVE image unless FSW.ES = 1",
                   0 },
    [PARTS] = { "parts_of_large_operands",
                "the manual does not tell in which parts x87 environments, BCD and save areas are "
                "accessed",
                0 },
    [TRANSCENDENTAL] = { "last_place_and_c1",
                         "transcendental functions of x87: within one unit in the last place", 0 },
    [XCR0_BITS] = { "xcr0", "XGETBV: the workstation has AVX-512", 0 },
};

/* --- operands that are accessed in parts ------------------------------------------------------------- */

static unsigned large_operand(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FNSTENV: return 28;
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNSAVE: return 108;
    case ZYDIS_MNEMONIC_FBLD:
    case ZYDIS_MNEMONIC_FBSTP: return 10;
    case ZYDIS_MNEMONIC_FLD:
    case ZYDIS_MNEMONIC_FSTP: return in->op[0].size == 10 ? 10 : 0;
    default: return is_state(in) ? 832 : 0;
    }
}

/* 0: not mapped; else bits: readable, writable. */
static unsigned page_rights(uint64_t la)
{
    for (unsigned n = 0; n < DIFF_DATA_PAGES; n++)
        if (la >> 12 == (DIFF_DATA >> 12) + diff_page_of(n))
            return n == DIFF_READ_ONLY ? 1 : 3;
    return 0;
}

static bool may_fault_within(uint64_t la, uint64_t off, unsigned bytes)
{
    static const uint64_t limits[] = {
#define SEGMENT(name, limit, contents, big, bit1, present) limit,
#include "tests/differential/segments.def"
#undef SEGMENT
        UINT32_MAX, UINT64_C(0x7fffffffffff), UINT64_MAX
    };
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if ((off <= limits[i] && off + bytes - 1 > limits[i]) ||
            (la <= limits[i] && la + bytes - 1 > limits[i]))
            return true;
    return page_rights(la) != page_rights(la + bytes - 1) ||
           page_rights(la) != page_rights(la + 14);
}

void find_parts(const struct insn *in, uint64_t la, uint64_t off, struct diff_case *made)
{
    made->operand = la;
    made->large = (uint16_t)large_operand(in);
    made->parts = made->large && may_fault_within(la, off, made->large);
    made->wraps = made->large && in->addr_size == 2 && off <= 0xffff && off + made->large > 0x10000;
    made->gathers = is_gather(in);
}

/* --- what is not compared ------------------------------------------------------------------------------- */

bool same_operand(const struct diff_case *ran, uint64_t a, uint64_t b)
{
    if (ran->large == 0 || a - ran->operand >= ran->large || b - ran->operand >= ran->large)
        return false;
    rules[PARTS].count += a != b;
    return true;
}

/* XGETBV of the workstation tells components that are not offered here. */
uint64_t native_only_bits(const struct diff_case *ran, unsigned reg)
{
    if (ran->mnemonic != ZYDIS_MNEMONIC_XGETBV || reg != REG_RAX)
        return 0;
    rules[XCR0_BITS].count++;
    return NATIVE_ONLY;
}

static bool is_access_fault(const struct diff_outcome *out)
{
    return out->vector == EXC_SS || out->vector == EXC_GP || out->vector == EXC_PF ||
           out->vector == EXC_AC;
}

/* Outside 64-bit mode YMM8-YMM15 are not in the image, but processors want its last byte to be there. */
static bool wants_whole_image(const struct diff_case *ran, const struct diff_outcome *native)
{
    uint64_t at = native->cr2 - ran->operand;
    return ran->mode != DIFF_64 && ran->large == 832 && native->vector == EXC_PF && at >= 704 &&
           at < 832;
}

/* Both sides faulted in an operand of several parts, perhaps in different ones. With addresses of 16 bits parts behind
 * offset FFFFh are at the segment's begin for a processor, and behind its limit here. */
bool skip_fp(const struct diff_case *ran, const struct diff_outcome *native,
             const struct diff_outcome *emulated)
{
    if (!ran->parts || !native->done || !emulated->done)
        return false;
    bool wrapped = ran->wraps && diff_completed(ran, native) && is_access_fault(emulated);
    bool probed = wants_whole_image(ran, native) && diff_completed(ran, emulated);
    if (!wrapped && !probed && (!is_access_fault(native) || !is_access_fault(emulated)))
        return false;
    rules[PARTS].count++;
    return true;
}

void fp_print_masks(void)
{
    for (unsigned i = NO_RULE + 1; i < RULE_COUNT; i++)
        printf("masked: %-28s %8llu  %s\n", rules[i].rule, (unsigned long long)rules[i].count,
               rules[i].why);
}

/* An image holds the pointers while an exception is pending; else they read 0. */
static void drop_pointers(struct diff_fp *fp)
{
    if (fp->fsw & FSW_ES)
        return;
    fp->fop = 0;
    fp->fip = fp->fdp = 0;
}

bool is_transcendental(uint16_t mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_F2XM1:
    case ZYDIS_MNEMONIC_FYL2X:
    case ZYDIS_MNEMONIC_FYL2XP1:
    case ZYDIS_MNEMONIC_FPTAN:
    case ZYDIS_MNEMONIC_FPATAN:
    case ZYDIS_MNEMONIC_FSIN:
    case ZYDIS_MNEMONIC_FCOS:
    case ZYDIS_MNEMONIC_FSINCOS: return true;
    default: return false;
    }
}

/* Neighbours, or the same: then *b becomes *a. */
static void join_neighbours(const uint8_t *a, uint8_t *b)
{
    uint64_t ma, mb;
    uint16_t sa, sb;
    memcpy(&ma, a, 8);
    memcpy(&mb, b, 8);
    memcpy(&sa, a + 8, 2);
    memcpy(&sb, b + 8, 2);
    bool carried = (sa == sb + 1 && ma == UINT64_C(1) << 63 && mb == UINT64_MAX) ||
                   (sb == sa + 1 && mb == UINT64_C(1) << 63 && ma == UINT64_MAX);
    if ((sa == sb && (ma - mb + 1) <= 2) || carried)
        memcpy(b, a, 10);
}

static bool is_used(const struct diff_fp *fp, unsigned st)
{
    return fp->used >> (((fp->fsw >> 11) + st) & 7) & 1;
}

/* An empty operand, or a full place to push to: C1 tells which. FSW.SF does not tell whether it is from now. */
static bool stack_faults(const struct diff_case *ran)
{
    switch (ran->mnemonic) {
    case ZYDIS_MNEMONIC_FYL2X:
    case ZYDIS_MNEMONIC_FYL2XP1:
    case ZYDIS_MNEMONIC_FPATAN: return !is_used(&ran->before.fp, 0) || !is_used(&ran->before.fp, 1);
    case ZYDIS_MNEMONIC_FPTAN:
    case ZYDIS_MNEMONIC_FSINCOS: return !is_used(&ran->before.fp, 0) || is_used(&ran->before.fp, 7);
    default: return !is_used(&ran->before.fp, 0);
    }
}

bool same_fp(const struct diff_case *ran, const struct diff_outcome *native,
             const struct diff_outcome *emulated)
{
    struct diff_fp a, b;
    if (memcmp(&native->after.fp, &emulated->after.fp, sizeof(struct diff_fp)) == 0)
        return true;
    a = native->after.fp;
    b = emulated->after.fp;
    drop_pointers(&a);
    drop_pointers(&b);
    if (memcmp(&a, &b, sizeof(a)) == 0) {
        rules[POINTERS].count++;
        return true;
    }
    if (!is_transcendental(ran->mnemonic))
        return false;
    rules[TRANSCENDENTAL].count++;
    join_neighbours(a.st[0], b.st[0]);
    if (ran->mnemonic == ZYDIS_MNEMONIC_FSINCOS || ran->mnemonic == ZYDIS_MNEMONIC_FPTAN)
        join_neighbours(a.st[1], b.st[1]);
    if (!stack_faults(ran)) {
        a.fsw &= (uint16_t)~FSW_C1;
        b.fsw &= (uint16_t)~FSW_C1;
    }
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* --- telling ------------------------------------------------------------------------------------------ */

static void print_number(const char *name, unsigned long long before, unsigned long long native,
                         unsigned long long emulated)
{
    if (before != native || before != emulated)
        fprintf(stderr, "  %-7s %016llx  native %016llx  here %016llx%s\n", name, before, native,
                emulated, native != emulated ? "  <--" : "");
}

static void print_bytes(const uint8_t *at, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;)
        fprintf(stderr, "%02x%s", at[i], i % 8 == 0 && i ? "_" : "");
}

static void print_register(const char *name, unsigned n, const uint8_t *before,
                           const uint8_t *native, const uint8_t *emulated, unsigned bytes, bool all)
{
    bool differ = memcmp(native, emulated, bytes) != 0;
    if (!all && !differ && memcmp(before, native, bytes) == 0)
        return;
    fprintf(stderr, "  %s%u  before ", name, n);
    print_bytes(before, bytes);
    fprintf(stderr, "\n  %s%u  native ", name, n);
    print_bytes(native, bytes);
    fprintf(stderr, "\n  %s%u  here   ", name, n);
    print_bytes(emulated, bytes);
    fprintf(stderr, "%s\n", differ ? "  <--" : "");
}

void describe_fp(const struct diff_case *ran, const struct diff_outcome *native,
                 const struct diff_outcome *emulated)
{
    const struct diff_fp *b = &ran->before.fp, *n = &native->after.fp, *e = &emulated->after.fp;
    struct insn in = { .mnemonic = 0 };
    uint32_t used = 0;
    bool x87 = memcmp(n->st, e->st, sizeof(n->st)) != 0;
    if (decode_insn(ran->bytes, DIFF_CODE_BYTES, diff_cpu_mode(ran->mode), &in) == DECODE_OK)
        for (unsigned i = 0; i < in.count; i++) {
            used |= in.op[i].kind == OPERAND_VECTOR ? 1u << in.op[i].reg : 0;
            x87 = x87 || in.op[i].kind == OPERAND_ST || in.op[i].kind == OPERAND_MMX;
        }
    if (ran->mnemonic == 0 || !is_floating(&in))
        return;
    used |= is_gather(&in) ? 1u << in.vindex : 0;
    fprintf(stderr, "  before: fcw %04x fsw %04x used %02x mxcsr %05x\n", b->fcw, b->fsw, b->used,
            b->mxcsr);
    print_number("fcw", b->fcw, n->fcw, e->fcw);
    print_number("fsw", b->fsw, n->fsw, e->fsw);
    print_number("used", b->used, n->used, e->used);
    print_number("fop", b->fop, n->fop, e->fop);
    print_number("fip", b->fip, n->fip, e->fip);
    print_number("fdp", b->fdp, n->fdp, e->fdp);
    print_number("mxcsr", b->mxcsr, n->mxcsr, e->mxcsr);
    for (unsigned i = 0; i < 8; i++)
        print_register("st", i, b->st[i], n->st[i], e->st[i], 10, x87);
    for (unsigned i = 0; i < 16; i++) {
        bool all = used >> i & 1;
        if (memcmp(n->high[i], b->high[i], 16) || memcmp(n->high[i], e->high[i], 16) || in.vex)
            print_register("high", i, b->high[i], n->high[i], e->high[i], 16, all);
        print_register("xmm", i, b->xmm[i], n->xmm[i], e->xmm[i], 16, all);
    }
}

/* Our side: a vCPU at level 3 whose exception handlers are HLTs. The machine's own tables lie in the upper half. */
#include "emu/cpu/control.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/run.h"
#include "paging/memory.h"
#include "paging/paging.h"
#include "tests/differential/differential.h"

#include <pacifica/pacifica.h>

#include <stdlib.h>
#include <string.h>

/* System physical addresses. The first 2 MiB are mapped at SYSTEM_LA for the supervisor. */
enum place {
    PML4_SPA = 0x1000,
    LOW_PDP_SPA = 0x2000,
    LOW_PD_SPA = 0x3000,
    CODE_PT_SPA = 0x4000,
    DATA_PT_SPA = 0x5000,
    HIGH_PDP_SPA = 0x6000,
    HIGH_PD_SPA = 0x7000,
    GDT_SPA = 0x8000,
    IDT_SPA = 0x9000,
    TSS_SPA = 0xb000,
    LDT_SPA = 0xc000,
    STACK_SPA = 0xe000, /* its top */
    HANDLER_SPA = 0x10000,
    CODE_SPA = 0x20000,
    DATA_SPA = 0x30000
};
#define SYSTEM_LA UINT64_C(0xffff800000000000)
#define KERNEL_CS 0x10u
#define TSS_SELECTOR 0x40u
#define LDT_SELECTOR 0x50u

struct diff_emulated {
    struct memory *memory;
    struct probes probes;
    struct vclock clock;
    struct vcpu *cpu;
    const uint8_t *data; /* what the data pages hold before a case */
};

static uint32_t no_port_read(void *self, uint16_t port, unsigned size)
{
    (void)self;
    (void)port;
    (void)size;
    return UINT32_MAX;
}

static void no_port_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    (void)self;
    (void)port;
    (void)size;
    (void)value;
}

static void put(struct diff_emulated *e, uint64_t spa, uint64_t value)
{
    phys_write(e->memory, spa, 8, value);
}

/* Handlers of INT3 and INTO may be called from level 3, as Linux has them. */
static void make_gates(struct diff_emulated *e)
{
    for (unsigned v = 0; v < 256; v++) {
        uint64_t handler = SYSTEM_LA + HANDLER_SPA + 16 * v;
        unsigned dpl = v == EXC_BP || v == EXC_OF ? 3 : 0;
        put(e, IDT_SPA + 16 * v,
            (handler & 0xffff) | KERNEL_CS << 16 | (uint64_t)(0x8e | dpl << 5) << 40 |
                (handler >> 16 & 0xffff) << 48);
        put(e, IDT_SPA + 16 * v + 8, handler >> 32);
        phys_write(e->memory, HANDLER_SPA + 16 * v, 1, 0xf4); /* HLT */
    }
}

static void make_pages(struct diff_emulated *e)
{
    const uint64_t user = 7, user_read = 5, system = 3;
    put(e, PML4_SPA, LOW_PDP_SPA | user);
    put(e, PML4_SPA + 8 * 256, HIGH_PDP_SPA | system);
    put(e, HIGH_PDP_SPA, HIGH_PD_SPA | system);
    put(e, HIGH_PD_SPA, 0x80 | system);
    put(e, LOW_PDP_SPA, LOW_PD_SPA | user);
    put(e, LOW_PD_SPA + 8 * (DIFF_CODE >> 21), CODE_PT_SPA | user);
    put(e, LOW_PD_SPA + 8 * (DIFF_DATA >> 21), DATA_PT_SPA | user);
    put(e, CODE_PT_SPA, CODE_SPA | user);
    for (unsigned i = 0; i < DIFF_DATA_PAGES; i++)
        put(e, DATA_PT_SPA + 8 * diff_page_of(i),
            (DATA_SPA + 4096 * i) | (i == DIFF_READ_ONLY ? user_read : user) | 1ull << 63);
}

static struct segment segment(uint16_t selector, uint64_t base, uint32_t limit, uint16_t attr)
{
    return (struct segment){ .selector = selector, .base = base, .limit = limit, .attr = attr };
}

/* The descriptors of the LDT, as modify_ldt() makes them. */
static struct segment ldt_segment(unsigned entry)
{
    static const struct segment segments[DIFF_SEGMENTS] = {
#define SEGMENT(name, limit_, contents, big, bit1, present) \
    [DIFF_SEGMENT_##                                        \
        name] = { .base = DIFF_DATA,                        \
                  .limit = limit_,                          \
                  .attr = 0x071 | (contents) << 2 | (bit1) << 1 | (present) << 7 | (big) << 10 },
#include "tests/differential/segments.def"
#undef SEGMENT
    };
    struct segment found =
        entry == 0 ? segment(0, diff_code_base(DIFF_16), 0xffff, 0x0fb) : segments[entry - 1];
    found.selector = (uint16_t)(entry << 3 | 7);
    return found;
}

static struct segment data_segment(uint16_t selector)
{
    return selector == DIFF_DS ? segment(DIFF_DS, 0, UINT32_MAX, 0xcf3)
                               : ldt_segment(selector >> 3);
}

static uint64_t descriptor(const struct segment *s)
{
    uint64_t limit = s->attr & SEG_ATTR_G ? s->limit >> 12 : s->limit;
    return (limit & 0xffff) | (s->base & 0xffffff) << 16 | (uint64_t)(s->attr & 0xff) << 40 |
           (limit & 0xf0000) << 32 | (uint64_t)(s->attr & 0xf00) << 44 |
           (s->base >> 24 & 0xff) << 56;
}

/* What level 3 can see of Linux's GDT stands here too; the rest is as good as a segment of level 0. */
static void make_descriptors(struct diff_emulated *e)
{
    for (uint16_t selector = 8; selector < 0x80; selector += 8) {
        struct segment seg = segment(selector, 0, UINT32_MAX, 0xc93);
        if (!native_descriptor(selector | 3, &seg.attr, &seg.limit))
            seg.attr = selector >= 0x60 && selector < 0x78 ? 0 : 0xc93; /* TLS: empty */
        put(e, GDT_SPA + selector, descriptor(&seg));
    }
    put(e, GDT_SPA + KERNEL_CS, UINT64_C(0x00af9b000000ffff));
    for (unsigned i = 0; i <= DIFF_SEGMENTS; i++) {
        struct segment seg = ldt_segment(i);
        put(e, LDT_SPA + 8 * i, descriptor(&seg));
    }
}

static void make_registers(struct vcpu *cpu)
{
    struct cpu_regs *regs = &cpu->regs;
    regs->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    regs->cr3 = PML4_SPA;
    regs->cr4 = CR4_PAE | CR4_PGE | CR4_PSE | CR4_UMIP | CR4_FSGSBASE | CR4_SMEP | CR4_SMAP |
                CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    regs->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    regs->gdtr = (struct table_register){ .base = SYSTEM_LA + GDT_SPA, .limit = 0x7f };
    regs->idtr = (struct table_register){ .base = SYSTEM_LA + IDT_SPA, .limit = 0xfff };
    /* The I/O map begins behind the limit: there are no ports. */
    regs->seg[SEG_TR] = segment(TSS_SELECTOR, SYSTEM_LA + TSS_SPA, 0x67, 0x8b);
    regs->seg[SEG_LDTR] =
        segment(LDT_SELECTOR, SYSTEM_LA + LDT_SPA, 8 * (DIFF_SEGMENTS + 1) - 1, 0x82);
}

struct diff_emulated *emulated_new(void)
{
    static const struct port_ops ports = { no_port_read, no_port_write };
    struct diff_emulated *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->memory = memory_new(0x400000);
    const struct vcpu_parts parts = { .memory = e->memory,
                                      .probes = &e->probes,
                                      .clock = &e->clock,
                                      .ports = &ports,
                                      .model = cpu_model_default() };
    e->cpu = e->memory ? vcpu_new(&parts) : NULL;
    if (!e->cpu) {
        emulated_free(e);
        return NULL;
    }
    make_gates(e);
    make_pages(e);
    make_descriptors(e);
    put(e, TSS_SPA + 4, SYSTEM_LA + STACK_SPA);
    put(e, TSS_SPA + 0x60, UINT64_C(0x0068) << 48);
    for (unsigned i = 0; i < 4096; i += 8)
        put(e, CODE_SPA + i, UINT64_C(0x9090909090909090));
    make_registers(e->cpu);
    return e;
}

void emulated_free(struct diff_emulated *e)
{
    if (!e)
        return;
    vcpu_free(e->cpu);
    memory_free(e->memory);
    free(e);
}

void emulated_data(struct diff_emulated *e, const uint8_t *data)
{
    e->data = data;
    memcpy(memory_ptr(e->memory, DATA_SPA, 1), data, DIFF_DATA_BYTES);
}

/* --- one case --- */

static void load_segments(struct vcpu *cpu, const struct diff_case *wanted)
{
    struct segment *seg = cpu->regs.seg;
    const struct segment none = { 0 };
    const uint16_t *selector = wanted->before.seg;
    unsigned mode = wanted->mode;
    seg[SEG_CS] = mode == DIFF_64   ? segment(DIFF_CS64, 0, UINT32_MAX, 0xafb)
                  : mode == DIFF_32 ? segment(DIFF_CS32, 0, UINT32_MAX, 0xcfb)
                                    : segment(DIFF_CS16, diff_code_base(mode), 0xffff, 0x0fb);
    seg[SEG_SS] = data_segment(selector[SEG_SS]);
    seg[SEG_DS] = data_segment(selector[SEG_DS]);
    seg[SEG_ES] = data_segment(selector[SEG_ES]);
    seg[SEG_FS] = seg[SEG_GS] = none;
    seg[SEG_FS].base = DIFF_FS_BASE;
    seg[SEG_GS].base = DIFF_GS_BASE;
    cpu->regs.cpl = 3;
}

static void load_fp(struct vcpu *cpu, const struct diff_fp *fp)
{
    unsigned top = fp->fsw >> FSW_TOP_SHIFT & 7;
    cpu->x87.fcw = fp->fcw;
    cpu->x87.fsw = fp->fsw;
    cpu->x87.used = (uint8_t)fp->used;
    cpu->x87.fop = fp->fop;
    cpu->x87.fip = fp->fip;
    cpu->x87.fdp = fp->fdp;
    cpu->x87.fcs = cpu->x87.fds = 0;
    cpu->simd.mxcsr = fp->mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&cpu->x87.reg[(top + i) & 7].mant, fp->st[i], 8);
        memcpy(&cpu->x87.reg[(top + i) & 7].se, fp->st[i] + 8, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(cpu->simd.v[i].u8, fp->xmm[i], 16);
        memcpy(cpu->simd.v[i].u8 + 16, fp->high[i], 16);
        memset(cpu->simd.v[i].u8 + 32, 0, 32);
    }
}

static void read_fp(const struct vcpu *cpu, struct diff_fp *fp)
{
    unsigned top = cpu->x87.fsw >> FSW_TOP_SHIFT & 7;
    fp->fcw = cpu->x87.fcw;
    fp->fsw = cpu->x87.fsw;
    fp->used = cpu->x87.used;
    fp->fop = cpu->x87.fop;
    fp->fip = cpu->x87.fip;
    fp->fdp = cpu->x87.fdp;
    fp->mxcsr = cpu->simd.mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(fp->st[i], &cpu->x87.reg[(top + i) & 7].mant, 8);
        memcpy(fp->st[i] + 8, &cpu->x87.reg[(top + i) & 7].se, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(fp->xmm[i], cpu->simd.v[i].u8, 16);
        memcpy(fp->high[i], cpu->simd.v[i].u8 + 16, 16);
    }
}

static void load_state(struct diff_emulated *e, const struct diff_state *state,
                       const struct diff_case *wanted)
{
    struct vcpu *cpu = e->cpu;
    load_segments(cpu, wanted);
    load_fp(cpu, &state->fp);
    memcpy(cpu->r, state->r, sizeof(state->r));
    cpu->r[REG_RIP] = state->rip;
    cpu_set_rflags(cpu, state->rflags);
    cpu->regs.halted = false;
    cpu->regs.shadow = cpu->regs.shadow_next = cpu->trap_held = false;
    cpu->regs.dr[6] = 0xffff0ff0;
    cpu_update_mode(cpu);
}

/* Until a handler halts; then the frame says what was interrupted. false: something else happened. */
static bool run_to_handler(struct diff_emulated *e, struct diff_outcome *out)
{
    struct vcpu *cpu = e->cpu;
    const struct run_limits limits = { .max_steps = vcpu_steps(cpu) + 16 };
    if (run_vcpu(cpu, &limits) != PACIFICA_STOP_HALTED || cpu->regs.cpl != 0)
        return false;
    out->vector = (uint32_t)(cpu->r[REG_RIP] - SYSTEM_LA - HANDLER_SPA) >> 4;
    uint64_t frame = cpu->r[REG_RSP] - SYSTEM_LA;
    bool has_code = STACK_SPA - frame == 48;
    out->code = has_code ? (uint32_t)phys_read(e->memory, frame, 8) : 0;
    frame += has_code ? 8 : 0;
    memcpy(out->after.r, cpu->r, sizeof(out->after.r));
    out->after.rip = phys_read(e->memory, frame, 8);
    out->after.rflags = phys_read(e->memory, frame + 16, 8);
    out->after.r[REG_RSP] = phys_read(e->memory, frame + 24, 8);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        out->after.seg[i] = cpu->regs.seg[i].selector;
    out->after.seg[SEG_CS] = (uint16_t)phys_read(e->memory, frame + 8, 8);
    out->after.seg[SEG_SS] = (uint16_t)phys_read(e->memory, frame + 32, 8);
    out->after.fs_base = cpu->regs.seg[SEG_FS].base;
    out->after.gs_base = cpu->regs.seg[SEG_GS].base;
    read_fp(cpu, &out->after.fp);
    out->cr2 = cpu->regs.cr2;
    return true;
}

static void put_code(struct diff_emulated *e, uint64_t rip, unsigned mode, const uint8_t *bytes)
{
    uint64_t offset = diff_code_base(mode) + rip - DIFF_CODE;
    for (unsigned i = 0; i < DIFF_CODE_BYTES && offset + i < 4096; i += 8) {
        uint64_t word = UINT64_C(0x9090909090909090);
        unsigned room = (unsigned)(4096 - offset - i);
        if (bytes)
            memcpy(&word, bytes + i, 8);
        phys_write(e->memory, CODE_SPA + offset + i, room < 8 ? room : 8, word);
    }
}

/* What became of the data, and the data as it was. */
static void find_changes(struct diff_emulated *e, struct diff_outcome *out)
{
    uint8_t *now = memory_ptr(e->memory, DATA_SPA, 1);
    if (memcmp(now, e->data, DIFF_DATA_BYTES) == 0)
        return;
    diff_describe(out, e->data, now);
    memcpy(now + out->first, e->data + out->first, out->changed);
}

void emulated_run(struct diff_emulated *e, const struct diff_case *wanted, struct diff_outcome *out)
{
    struct diff_state state = wanted->before;
    *out = (struct diff_outcome){ 0 };
    e->cpu->regs.cr2 = 0;
    put_code(e, wanted->before.rip, wanted->mode, wanted->bytes);
    do {
        load_state(e, &state, wanted);
        out->done = run_to_handler(e, out);
        out->steps++;
        state = out->after;
    } while (out->done && wanted->repeats && out->vector == EXC_DB &&
             state.rip == wanted->before.rip && out->steps < DIFF_STEPS_MAX);
    put_code(e, wanted->before.rip, wanted->mode, NULL);
    find_changes(e, out);
}

/* modes.c: see modes.h. */
#include "test-roms/lib/modes.h"

#include <stddef.h>

#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

struct __attribute__((packed)) raw_event {
    uint32_t vector, kind;
    uint64_t dr6, cr2;
    uint8_t raw[64];
    uint16_t ss, tr;
    uint32_t pad;
};

struct modes_end {
    uint32_t count, kind;
    uint64_t regs[16];
    uint64_t cr0, cr2, cr3, cr4, efer, dr6, dr7;
    uint16_t es, cs, ss, ds, fs, gs, tr, ldtr;
    struct raw_event log[MODES_EVENTS];
};

_Static_assert(offsetof(struct modes_state, gdtr) == IN_GDTR, "layout.h");
_Static_assert(offsetof(struct modes_state, idtr) == IN_IDTR, "layout.h");
_Static_assert(offsetof(struct modes_state, ldtr) == IN_LDTR, "layout.h");
_Static_assert(offsetof(struct modes_state, es) == IN_SEGMENTS, "layout.h");
_Static_assert(offsetof(struct modes_state, rip) == IN_RIP, "layout.h");
_Static_assert(offsetof(struct modes_state, regs) == IN_REGS, "layout.h");
_Static_assert(offsetof(struct modes_end, es) == OUT_SEGMENTS, "layout.h");
_Static_assert(offsetof(struct modes_end, log) == OUT_LOG, "layout.h");
_Static_assert(sizeof(struct raw_event) == EVENT_BYTES, "layout.h");
_Static_assert(offsetof(struct raw_event, ss) == EVENT_SS, "layout.h");

#define RFLAGS_VM UINT64_C(0x20000)
#define CR4_PSE UINT64_C(0x10)
#define IVT_ENTRIES 256
#define ERROR_CODE_VECTORS 0x60227d00u

extern struct modes_state modes_in;
extern struct modes_end modes_out;
extern const char modes_stubs16[], modes_stubs32[], modes_stubs64[];
extern uint64_t boot_pd[];
void modes_enter(void);

uint64_t modes_gdt[MODES_GDT_ENTRIES] __attribute__((aligned(16)));
uint64_t modes_ldt[16] __attribute__((aligned(16)));
uint8_t modes_idt[4096] __attribute__((aligned(16)));
uint8_t modes_tss[256 + 8192 + 8] __attribute__((aligned(16)));
static uint8_t ring_stack[4096] __attribute__((aligned(16)));
static bool frames16, no_error;

/* ---- tables ------------------------------------------------------------------------------------- */

uint64_t modes_descriptor(uint32_t base, uint32_t limit, unsigned type, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 |
           (uint64_t)(base >> 24) << 56;
}

void modes_set(uint16_t selector, uint64_t descriptor)
{
    uint64_t *table = (selector & 4) != 0 ? modes_ldt : modes_gdt;

    table[selector / 8] = descriptor;
}

uint64_t modes_gate(uint16_t selector, uint32_t offset, unsigned type, unsigned count)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)count << 32 |
           (uint64_t)type << 40 | (uint64_t)(offset >> 16) << 48;
}

uint64_t *modes_idt_gate(unsigned vector)
{
    return (uint64_t *)modes_idt + vector;
}

uint64_t *modes_idt_gate64(unsigned vector)
{
    return (uint64_t *)modes_idt + 2 * vector;
}

uint64_t modes_stub64(unsigned vector)
{
    return (uintptr_t)modes_stubs64 + 5 * vector;
}

uint32_t modes_stub(unsigned vector)
{
    return (uint32_t)(uintptr_t)modes_stubs32 + 5 * vector;
}

void modes_store(void *tss, unsigned offset, uint32_t value, unsigned bytes)
{
    memcpy((uint8_t *)tss + offset, &value, bytes);
}

uint32_t modes_load(const void *tss, unsigned offset, unsigned bytes)
{
    uint32_t value = 0;

    memcpy(&value, (const uint8_t *)tss + offset, bytes);
    return value;
}

static void fill_gdt(bool is_long)
{
    const uint32_t all = 0xfffff;
    uint32_t tss = (uint32_t)(uintptr_t)modes_tss, ldt = (uint32_t)(uintptr_t)modes_ldt;

    memset(modes_gdt, 0, sizeof modes_gdt);
    memset(modes_ldt, 0, sizeof modes_ldt);
    modes_set(SEL_CODE64, modes_descriptor(0, 0, SEG_CODE, SEG_L));
    modes_set(SEL_DATA, modes_descriptor(0, all, SEG_DATA, SEG_G | SEG_BIG));
    modes_set(SEL_USER_CODE32, modes_descriptor(0, all, SEG_CODE | SEG_DPL(3), SEG_G | SEG_BIG));
    modes_set(SEL_USER_DATA, modes_descriptor(0, all, SEG_DATA | SEG_DPL(3), SEG_G | SEG_BIG));
    modes_set(SEL_USER_CODE64, modes_descriptor(0, 0, SEG_CODE | SEG_DPL(3), SEG_L));
    modes_set(SEL_CODE32, modes_descriptor(0, all, SEG_CODE, SEG_G | SEG_BIG));
    modes_set(MSEL_CODE16, modes_descriptor(0, 0xffff, SEG_CODE, 0));
    modes_set(MSEL_DATA16, modes_descriptor(0, 0xffff, SEG_DATA, 0));
    modes_set(MSEL_USER_CODE16, modes_descriptor(0, 0xffff, SEG_CODE | SEG_DPL(3), 0));
    modes_set(MSEL_USER_DATA16, modes_descriptor(0, 0xffff, SEG_DATA | SEG_DPL(3), 0));
    modes_set(MSEL_TSS, modes_descriptor(tss, TSS_BYTES - 1, 0x89, 0));
    modes_set(MSEL_LDT, modes_descriptor(ldt, sizeof modes_ldt - 1, 0x82, 0));
    (void)is_long; /* the upper halves of system descriptors are 0 */
}

static void fill_idt(bool is_long)
{
    uint64_t *gates = (uint64_t *)modes_idt;

    memset(modes_idt, 0, sizeof modes_idt);
    for (unsigned v = 0; v < 256; v++) {
        if (is_long)
            gates[2 * v] = modes_gate(SEL_CODE64, (uint32_t)(uintptr_t)modes_stubs64 + 5 * v,
                                      0x8e | SEG_DPL(3), 0);
        else
            gates[v] = modes_gate(SEL_CODE32, modes_stub(v), 0x8e | SEG_DPL(3), 0);
    }
}

void modes_ivt(unsigned vector, uint16_t segment, uint16_t offset)
{
    volatile uint32_t *ivt = (volatile uint32_t *)(uintptr_t)0;

    __asm__("" : "+r"(ivt)); /* address 0 is what we mean */
    ivt[vector] = (uint32_t)segment << 16 | offset;
}

static void fill_ivt(void)
{
    for (unsigned v = 0; v < IVT_ENTRIES; v++)
        modes_ivt(v, 0, (uint16_t)((uintptr_t)modes_stubs16 + 3 * v));
}

static void fill_tss(bool is_long)
{
    uint64_t top = (uintptr_t)ring_stack + sizeof ring_stack - 64;

    memset(modes_tss, 0, sizeof modes_tss);
    modes_store(modes_tss, TSS_ESP0, (uint32_t)top, 4);
    if (!is_long)
        modes_store(modes_tss, TSS_SS0, SEL_DATA, 2);
    modes_store(modes_tss, TSS_IOMAP, TSS_BYTES, 2); /* beyond the limit */
}

void modes_open_ports(void)
{
    const unsigned map = 0x88; /* the redirection map fills 68-87 */

    memset(modes_tss + TSS_BYTES, 0, 32 + 8192);
    modes_tss[map + 8192] = 0xff;
    modes_store(modes_tss, TSS_IOMAP, map, 2);
    modes_set(MSEL_TSS, modes_descriptor((uint32_t)(uintptr_t)modes_tss, map + 8192, 0x89, 0));
}

/* ---- starting ----------------------------------------------------------------------------------- */

static const struct {
    uint16_t kind, code, data;
    bool low_stack, user;
} kinds[MODES] = {
    [MODE_REAL] = { KIND_REAL, 0, 0, true, false },
    [MODE_UNREAL] = { KIND_REAL, 0, 0, true, false },
    [MODE_PROT16] = { KIND_LEGACY, MSEL_CODE16, MSEL_DATA16, true, false },
    [MODE_PROT32] = { KIND_LEGACY, SEL_CODE32, SEL_DATA, true, false },
    [MODE_PROT16_USER] = { KIND_LEGACY, MSEL_USER_CODE16, MSEL_USER_DATA16, true, true },
    [MODE_PROT32_USER] = { KIND_LEGACY, SEL_USER_CODE32, SEL_USER_DATA, true, true },
    [MODE_V86] = { KIND_LEGACY, 0, 0, true, true },
    [MODE_COMPAT16] = { KIND_LONG, MSEL_CODE16, MSEL_DATA16, true, false },
    [MODE_COMPAT32] = { KIND_LONG, SEL_CODE32, SEL_DATA, true, false },
    [MODE_COMPAT16_USER] = { KIND_LONG, MSEL_USER_CODE16, MSEL_USER_DATA16, true, true },
    [MODE_COMPAT32_USER] = { KIND_LONG, SEL_USER_CODE32, SEL_USER_DATA, true, true },
    [MODE_LONG] = { KIND_LONG, SEL_CODE64, SEL_DATA, true, false },
    [MODE_LONG_USER] = { KIND_LONG, SEL_USER_CODE64, SEL_USER_DATA, true, true },
};

struct modes_state *modes_begin(enum mode mode, const char *code)
{
    struct modes_state *m = &modes_in;
    bool is_long = kinds[mode].kind == KIND_LONG, real = kinds[mode].kind == KIND_REAL;
    uint16_t data = kinds[mode].data;

    fill_gdt(is_long);
    fill_idt(is_long);
    fill_tss(is_long);
    fill_ivt();
    memset(modes_resume, 0, 256);
    frames16 = no_error = false;
    *m = (struct modes_state){
        .kind = kinds[mode].kind,
        .cr0 = is_long ? read_cr0() : CR0_ET | CR0_NE | CR0_MP | (real ? 0 : CR0_PE),
        .cr3 = is_long ? read_cr3() : 0,
        .cr4 = is_long ? read_cr4() : 0,
        .efer = is_long ? rdmsr(MSR_EFER) : rdmsr(MSR_EFER) & EFER_SVME, /* a guest must keep it */
        .gdtr = { sizeof modes_gdt - 1, (uintptr_t)modes_gdt },
        .idtr = { real      ? 0x3ff
                  : is_long ? 4095
                            : 2047,
                  real ? 0 : (uintptr_t)modes_idt },
        .tr = MSEL_TSS,
        .preload = mode == MODE_UNREAL ? SEL_DATA : MSEL_DATA16,
        .preload_ss = MSEL_DATA16,
        .es = data,
        .cs = kinds[mode].code,
        .ss = data,
        .ds = data,
        .fs = data,
        .gs = data,
        .rip = (uintptr_t)code,
        .rflags = RFLAGS_ONE | (mode == MODE_V86 ? RFLAGS_VM | RFLAGS_IOPL : 0),
    };
    m->regs[M_SP] = (uintptr_t)(kinds[mode].user ? modes_user_stack : modes_stack);
    if (is_long && kinds[mode].user)
        paging_allow_user(true);
    return m;
}

struct mode_event modes_run(void)
{
    memset(&modes_out, 0, OUT_LOG);
    modes_enter();
    return modes_event(modes_out.count - 1);
}

/* ---- what happened ------------------------------------------------------------------------------ */

static bool has_error_code(unsigned vector)
{
    return !no_error && vector < 32 && (ERROR_CODE_VECTORS >> vector & 1) != 0;
}

static void read_legacy(struct mode_event *e, const struct raw_event *r)
{
    unsigned width = frames16 ? 2 : 4, at = 0;
    uint64_t value[10] = { 0 };

    for (unsigned i = 0; i < 10; i++)
        value[i] = modes_load(r->raw, i * width, width);
    if (has_error_code(e->vector))
        e->error = value[at++];
    e->ip = value[at];
    e->cs = value[at + 1];
    e->flags = value[at + 2];
    e->sp = value[at + 3];
    e->ss = value[at + 4] & 0xffff;
    if ((e->flags & RFLAGS_VM) != 0) {
        e->es = (uint16_t)value[at + 5];
        e->ds = (uint16_t)value[at + 6];
        e->fs = (uint16_t)value[at + 7];
        e->gs = (uint16_t)value[at + 8];
    } else if ((e->cs & 3) == 0) { /* nothing more was pushed */
        e->sp = 0;
        e->ss = r->ss;
    }
    e->cs &= 0xffff;
}

static void read_long(struct mode_event *e, const struct raw_event *r)
{
    uint64_t value[6];
    unsigned at = has_error_code(e->vector) ? 1 : 0;

    memcpy(value, r->raw, sizeof value);
    e->error = at != 0 ? value[0] : 0;
    e->ip = value[at];
    e->cs = value[at + 1] & 0xffff;
    e->flags = value[at + 2];
    e->sp = value[at + 3];
    e->ss = value[at + 4] & 0xffff;
}

struct mode_event modes_event(unsigned index)
{
    struct mode_event e = { .vector = EXC_NONE };
    const struct raw_event *r;

    if (index >= modes_out.count)
        return e;
    r = &modes_out.log[index];
    e.vector = r->vector;
    e.real = r->kind == KIND_REAL;
    e.handler_ss = r->ss;
    e.handler_tr = r->tr;
    e.dr6 = r->dr6;
    e.cr2 = r->cr2;
    if (r->kind == KIND_REAL) {
        e.ip = modes_load(r->raw, 0, 2);
        e.cs = modes_load(r->raw, 2, 2);
        e.flags = modes_load(r->raw, 4, 2);
        e.ss = r->ss;
    } else if (r->kind == KIND_LEGACY) {
        read_legacy(&e, r);
    } else {
        read_long(&e, r);
    }
    /* Nothing but the frame on the same stack: the old stack pointer lies above it. */
    if (e.sp == 0 && index == modes_out.count - 1)
        e.sp = modes_out.regs[M_SP] + (e.real     ? 6
                                       : frames16 ? 6 + 2 * has_error_code(e.vector)
                                                  : 12 + 4 * has_error_code(e.vector));
    return e;
}

unsigned modes_events(void)
{
    return modes_out.count;
}

unsigned modes_count(unsigned vector)
{
    unsigned n = 0;

    for (unsigned i = 0; i < modes_out.count; i++)
        n += modes_out.log[i].vector == vector;
    return n;
}

bool modes_done(const struct mode_event *e, const char *end)
{
    return e->vector == EXC_UD && e->ip == (uintptr_t)end;
}

uint64_t modes_reg(unsigned number)
{
    return modes_out.regs[number];
}

#define GETTER(type, name, member) \
    type name(void)                \
    {                              \
        return modes_out.member;   \
    }
GETTER(uint16_t, modes_seg_es, es)
GETTER(uint16_t, modes_seg_ds, ds)
GETTER(uint16_t, modes_seg_fs, fs)
GETTER(uint16_t, modes_seg_gs, gs)
GETTER(uint64_t, modes_cr0, cr0)
GETTER(uint64_t, modes_cr2, cr2)
GETTER(uint64_t, modes_cr3, cr3)
GETTER(uint64_t, modes_cr4, cr4)
GETTER(uint64_t, modes_efer, efer)
GETTER(uint64_t, modes_dr6, dr6)
GETTER(uint64_t, modes_dr7, dr7)
GETTER(uint16_t, modes_tr, tr)
GETTER(uint16_t, modes_ldtr, ldtr)

void modes_frames16(bool yes)
{
    frames16 = yes;
}

void modes_no_error(bool yes)
{
    no_error = yes;
}

/* ---- paging ------------------------------------------------------------------------------------- */

#define PWU (PAGE_P | PAGE_W | PAGE_U)

uint32_t *modes_paging_pse(void)
{
    uint32_t *directory = rom_pages(1);

    for (uint32_t i = 0; i < 1024; i++)
        directory[i] = i << 22 | (uint32_t)(PAGE_PS | PWU);
    modes_in.cr0 |= CR0_PG | CR0_WP;
    modes_in.cr3 = (uintptr_t)directory;
    modes_in.cr4 |= CR4_PSE;
    return directory;
}

uint64_t *modes_paging_pae(void)
{
    uint64_t *pdpt = rom_pages(1);

    for (unsigned i = 0; i < 4; i++) {
        uint64_t *directory = rom_pages(1);

        for (unsigned j = 0; j < 512; j++)
            directory[j] = (uint64_t)i << 30 | (uint64_t)j << 21 | PAGE_PS | PWU;
        pdpt[i] = (uintptr_t)directory | PAGE_P;
    }
    modes_in.cr0 |= CR0_PG | CR0_WP;
    modes_in.cr3 = (uintptr_t)pdpt;
    modes_in.cr4 |= CR4_PAE;
    return pdpt;
}

volatile uint32_t *modes_map32(uint32_t *directory, uint32_t la, uint64_t pa, uint32_t flags)
{
    uint32_t *entry = &directory[la >> 22], *table;

    if ((*entry & PAGE_PS) != 0 || *entry == 0) {
        table = rom_pages(1);
        for (uint32_t i = 0; *entry != 0 && i < 1024; i++)
            table[i] = ((*entry & 0xffc00000u) + (i << 12)) | (uint32_t)PWU;
        *entry = (uint32_t)(uintptr_t)table | (uint32_t)PWU;
    }
    table = (uint32_t *)(uintptr_t)(*entry & 0xfffff000u);
    table[la >> 12 & 1023] = (uint32_t)pa | flags;
    return &table[la >> 12 & 1023];
}

volatile uint64_t *modes_map_pae(uint64_t *pdpt, uint32_t la, uint64_t pa, uint64_t flags)
{
    uint64_t *directory = (uint64_t *)(pdpt[la >> 30] & PAGE_ADDRESS);
    uint64_t *entry = &directory[la >> 21 & 511], *table;

    if ((*entry & PAGE_PS) != 0 || *entry == 0) {
        table = rom_pages(1);
        for (uint64_t i = 0; *entry != 0 && i < 512; i++)
            table[i] = ((*entry & PAGE_ADDRESS & ~(PAGE_2M - 1)) + (i << 12)) | PWU;
        *entry = (uintptr_t)table | PWU;
    }
    table = (uint64_t *)(*entry & PAGE_ADDRESS);
    table[la >> 12 & 511] = pa | flags;
    return &table[la >> 12 & 511];
}

/* ---- points ------------------------------------------------------------------------------------- */

static void describe(const struct mode_event *e)
{
    rom_printf("#   vector %u, error code %lx, at %lx:%lx, flags %lx, cr2 %lx\n", e->vector,
               e->error, e->cs, e->ip, e->flags, e->cr2);
}

bool modes_expect(const struct mode_event *e, unsigned vector, uint64_t error, const char *ip,
                  const char *what)
{
    bool passed = e->vector == vector && (e->real || e->error == error) &&
                  (ip == NULL || e->ip == (uintptr_t)ip);

    tap_ok(passed, "%s", what);
    if (!passed)
        describe(e);
    return passed;
}

struct mode_event modes_try(unsigned vector, uint64_t error, const char *ip, const char *what)
{
    struct mode_event e = modes_run();

    modes_expect(&e, vector, error, ip, what);
    return e;
}

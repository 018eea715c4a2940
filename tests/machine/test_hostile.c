/* Guests that try to break the machine: every structure in a bad place. Whatever they do, the run ends within its limit, and
 * in the same state with blocks of one instruction and with derived tables dropped. */
#include "emu/machine/machine.h"

#include "emu/cpu/control.h"
#include "emu/cpu/segment.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES 0x110000u
#define STEPS 500u

enum place {
    PML4_SPA = 0x1000,
    PDPT_SPA = 0x2000,
    PD_SPA = 0x3000,
    PT_SPA = 0x4000,
    GDT_SPA = 0x5000,
    IDT_SPA = 0x6000,
    TSS_SPA = 0x7000,
    HANDLER_SPA = 0x9000,
    CODE_SPA = 0x10000,
    STACK = 0x20000,
    INNER_SPA = 0x30000, /* code of an SVM guest */
    VMCB_SPA = 0x40000,
    HSAVE_SPA = 0x41000,
    IOPM_SPA = 0x42000,
    MSRPM_SPA = 0x45000,
    NPML4_SPA = 0x48000,
    NPDPT_SPA = 0x49000
};

struct scene {
    struct pacifica_machine *machine;
    struct vcpu *cpu;
    uint8_t *vmcb;
};

static void store(struct scene *s, uint64_t spa, uint64_t value)
{
    phys_write(s->machine->memory, spa, 8, value);
}

static uint64_t descriptor(uint32_t base, uint32_t limit20, uint32_t attr)
{
    return (limit20 & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(limit20 & 0xf0000) << 32 | (uint64_t)(attr & 0xf00) << 44 |
           (uint64_t)(base >> 24) << 56;
}

/* 0-4 GiB are mapped to themselves, the first 2 MiB by 4 KiB pages; in the nested tables by pages of 1 GiB. Handlers skip to the next 16 bytes. */
static void make_tables(struct scene *s)
{
    store(s, PML4_SPA, PDPT_SPA | 7);
    store(s, NPML4_SPA, NPDPT_SPA | 7);
    for (uint64_t i = 0; i < 4; i++) {
        store(s, PDPT_SPA + 8 * i, i << 30 | 0x87);
        store(s, NPDPT_SPA + 8 * i, i << 30 | 0x87);
    }
    store(s, PDPT_SPA, PD_SPA | 7);
    for (uint64_t i = 0; i < 512; i++) {
        store(s, PD_SPA + 8 * i, i << 21 | 0x87);
        store(s, PT_SPA + 8 * i, i << 12 | 7);
    }
    store(s, PD_SPA, PT_SPA | 7);
    store(s, GDT_SPA + 0x08, descriptor(0, 0xfffff, 0xa9b));
    store(s, GDT_SPA + 0x10, descriptor(0, 0xfffff, 0xc93));
    store(s, GDT_SPA + 0x18, descriptor(0, 0xfffff, 0xafb));
    store(s, GDT_SPA + 0x20, descriptor(0, 0xfffff, 0xcf3));
    store(s, GDT_SPA + 0x38, descriptor(TSS_SPA, 0x2067, 0x08b));
    for (unsigned v = 0; v < 256; v++) {
        bool code = v == EXC_DF || (v >= EXC_TS && v <= EXC_PF) || v == EXC_AC;
        uint64_t at = HANDLER_SPA + 16 * (code ? 0 : 1);
        store(s, IDT_SPA + 16 * v, (at & 0xffff) | 0x08 << 16 | UINT64_C(0x8e00) << 32);
        store(s, IDT_SPA + 16 * v + 8, 0);
    }
    /* add rsp, 8; or [rsp], 15; inc [rsp]; iretq */
    static const uint8_t handler[] = { 0x48, 0x83, 0xc4, 0x08, 0xeb, 0x0a, 0,    0,    0,
                                       0,    0,    0,    0,    0,    0,    0,    0x48, 0x83,
                                       0x0c, 0x24, 0x0f, 0x48, 0xff, 0x04, 0x24, 0x48, 0xcf };
    ck_assert(phys_write_block(s->machine->memory, HANDLER_SPA, handler, sizeof(handler)));
    store(s, TSS_SPA + 4, STACK - 0x1000);
}

static void set_segment(struct scene *s, enum seg seg, uint16_t selector)
{
    s->cpu->regs.seg[seg] =
        segment_unpack(selector, phys_read(s->machine->memory, GDT_SPA + (selector & 0xf8), 8));
}

static void set_cpu(struct scene *s)
{
    struct cpu_regs *regs = &s->cpu->regs;
    regs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    regs->cr3 = PML4_SPA;
    regs->cr4 = CR4_PAE;
    regs->efer = EFER_SCE | EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
    for (int seg = SEG_ES; seg <= SEG_GS; seg++)
        set_segment(s, (enum seg)seg, seg == SEG_CS ? 0x08 : 0x10);
    set_segment(s, SEG_TR, 0x38);
    regs->seg[SEG_LDTR] = (struct segment){ 0 };
    regs->gdtr = (struct table_register){ .base = GDT_SPA, .limit = 0x47 };
    regs->idtr = (struct table_register){ .base = IDT_SPA, .limit = 0xfff };
    regs->cpl = 0;
    s->cpu->rflags = 2;
    s->cpu->flags_kind = FLAGS_MATERIAL;
    s->cpu->r[REG_RIP] = CODE_SPA;
    s->cpu->r[REG_RSP] = STACK;
    s->cpu->msr.vm_hsave_pa = HSAVE_SPA;
    cpu_update_mode(s->cpu);
}

static void make_vmcb(struct scene *s)
{
    const struct cpu_regs *regs = &s->cpu->regs;
    VMCB_SET(s->vmcb, INTERCEPT_4, 3);
    VMCB_SET(s->vmcb, IOPM_BASE_PA, IOPM_SPA);
    VMCB_SET(s->vmcb, MSRPM_BASE_PA, MSRPM_SPA);
    VMCB_SET(s->vmcb, GUEST_ASID, 1);
    VMCB_SET(s->vmcb, NESTED_CONTROL, 1);
    VMCB_SET(s->vmcb, N_CR3, NPML4_SPA);
    vmcb_store_segment(s->vmcb, VMCB_AT_ES_SEL, &regs->seg[SEG_ES]);
    vmcb_store_segment(s->vmcb, VMCB_AT_CS_SEL, &regs->seg[SEG_CS]);
    vmcb_store_segment(s->vmcb, VMCB_AT_SS_SEL, &regs->seg[SEG_SS]);
    vmcb_store_segment(s->vmcb, VMCB_AT_DS_SEL, &regs->seg[SEG_DS]);
    VMCB_SET(s->vmcb, GDTR_BASE, regs->gdtr.base);
    VMCB_SET(s->vmcb, GDTR_LIMIT, regs->gdtr.limit);
    VMCB_SET(s->vmcb, IDTR_BASE, regs->idtr.base);
    VMCB_SET(s->vmcb, IDTR_LIMIT, regs->idtr.limit);
    VMCB_SET(s->vmcb, EFER, regs->efer);
    VMCB_SET(s->vmcb, CR0, regs->cr0);
    VMCB_SET(s->vmcb, CR3, regs->cr3);
    VMCB_SET(s->vmcb, CR4, regs->cr4);
    VMCB_SET(s->vmcb, DR6, 0xffff0ff0);
    VMCB_SET(s->vmcb, DR7, 0x400);
    VMCB_SET(s->vmcb, G_PAT, 0x0007040600070406);
    VMCB_SET(s->vmcb, RFLAGS, 2);
    VMCB_SET(s->vmcb, RIP, INNER_SPA);
    VMCB_SET(s->vmcb, RSP, STACK - 0x2000);
}

static struct scene scene_new(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct scene s = { 0 };
    options.ram_bytes = RAM_BYTES;
    ck_assert_int_eq(pacifica_machine_new(&options, &s.machine, NULL), PACIFICA_OK);
    s.cpu = s.machine->cpu[0];
    s.vmcb = memory_ptr(s.machine->memory, VMCB_SPA, 4096);
    make_tables(&s);
    set_cpu(&s);
    make_vmcb(&s);
    memset(memory_ptr(s.machine->memory, CODE_SPA, 4096), 0x90, 4096);
    memset(memory_ptr(s.machine->memory, INNER_SPA, 4096), 0x90, 4096);
    return s;
}

/* Does something to a fresh machine, code included. */
typedef void prepare_fn(struct scene *s, unsigned variant);

static void hear(void *self, const struct probe_event *event)
{
    (void)self;
    (void)event;
}

/* Run in several ways; all must agree. Returns enum pacifica_stop. */
static enum pacifica_stop run_all_ways(prepare_fn *prepare, unsigned variant)
{
    uint64_t hash = 0;
    enum pacifica_stop stop = PACIFICA_STOP_NONE;
    for (unsigned way = 0; way < 4; way++) {
        const struct pacifica_limits limits = { .max_steps = STEPS,
                                                .exact_blocks = way == 1,
                                                .drop_fast_every = way == 2 ? 17 : 0 };
        struct probe_client client = { .mask = 1u << PROBE_MEM | 1u << PROBE_INSN, .fire = hear };
        struct pacifica_result result;
        struct scene s = scene_new();
        prepare(&s, variant);
        if (way == 3)
            probes_attach(&s.machine->probes, &client);
        pacifica_machine_run(s.machine, &limits, &result);
        ck_assert_uint_le(result.steps,
                          STEPS + 2); /* an instruction with its trap or exit is not torn apart */
        uint64_t got = pacifica_machine_state_hash(s.machine);
        if (way == 0) {
            hash = got;
            stop = result.stop;
        }
        ck_assert_msg(got == hash && result.stop == stop, "variant %u, way %u: stop %d and %d",
                      variant, way, stop, result.stop);
        if (way == 3)
            probes_detach(&s.machine->probes, &client);
        pacifica_machine_free(s.machine);
    }
    return stop;
}

static void put_code(struct scene *s, uint64_t spa, const void *bytes, size_t len)
{
    ck_assert(phys_write_block(s->machine->memory, spa, bytes, len));
}
#define CODE(s, bytes) put_code((s), CODE_SPA, (bytes), sizeof(bytes) - 1)
#define INNER(s, bytes) put_code((s), INNER_SPA, (bytes), sizeof(bytes) - 1)

/* Where structures should not be. */
static const uint64_t bad[] = {
    0,
    PML4_SPA,
    PD_SPA,
    GDT_SPA,
    IDT_SPA,
    CODE_SPA,
    VMCB_SPA,
    0x9f000,
    0x9fff8,
    0xa0000,
    0xffff8,
    RAM_BYTES - 0x1000,
    RAM_BYTES - 16,
    RAM_BYTES - 8,
    RAM_BYTES - 1,
    RAM_BYTES,
    0x7ffff000,
    0xc0000000,
    0xfee00000,
    0xfee00ff8,
    0xfffff000,
    0xfffffff8,
    0x100000000,
    0xfffffffff000,
    0x7ffffffff000,
    0x7ffffffffff8,
    0x7fffffffffff,
    0x800000000000,
    0xffff7ffffffffff8,
    0xffff800000000000,
    0x8000000000000000,
    0xfffffffffffff000,
    0xfffffffffffffff8,
    UINT64_MAX,
};
#define BAD_COUNT (sizeof(bad) / sizeof(bad[0]))
#define FEW_COUNT 8u

/* A few of them, where there are many variants already. */
static uint64_t few(unsigned n)
{
    static const uint8_t index[FEW_COUNT] = { 1, 9, 13, 15, 18, 25, 27, BAD_COUNT - 1 };
    return bad[index[n]];
}

/* --- tables of the host ------------------------------------------------------------------------ */

static void idt_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\xcd\x20\x0f\x0b\xcc\xf1\xcd\xff\x0f\x01\xd9\xf4");
    s->cpu->regs.idtr.base = bad[variant];
}

/* mov ds, eax; call far; iretq; mov fs, eax; int 20h */
static void gdt_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\xb8\x10\x00\x00\x00\x8e\xd8\x8e\xe0\x8e\xd0\x6a\x08\x68\x40\x00\x01\x00\x48\xcb\xcd"
            "\x20\xf4");
    s->cpu->regs.gdtr = (struct table_register){ .base = bad[variant], .limit = 0xffff };
}

/* A gate with IST 1; in al, dx at level 3 by way of iretq */
static void tss_anywhere(struct scene *s, unsigned variant)
{
    CODE(
        s,
        "\xcd\x20\x6a\x23\x54\x9c\x6a\x1b\x48\x8d\x05\x03\x00\x00\x00\x50\x48\xcf\xec\xcd\x21\xf4");
    store(s, IDT_SPA + 16 * 0x20,
          phys_read(s->machine->memory, IDT_SPA + 16 * 0x20, 8) | UINT64_C(1) << 32);
    s->cpu->regs.seg[SEG_TR].base = bad[variant];
    s->cpu->regs.seg[SEG_TR].limit = 0xfffff;
}

static void stack_anywhere(struct scene *s, unsigned variant)
{
    static const char *const code[] = {
        "\x50\x58\xf4", "\xe8\x10\x00\x00\x00\xf4", "\xc3",
        "\x48\xcf",     "\xc8\xff\xff\x1f\xf4",     "\xcd\x20\xf4",
        "\x9d\x9c\xf4",
    };
    const char *bytes = code[variant / BAD_COUNT];
    put_code(s, CODE_SPA, bytes, strlen(bytes));
    if (bytes[0] == '\xc8')
        CODE(s, "\xc8\xff\xff\x1f\xf4");
    s->cpu->r[REG_RSP] = bad[variant % BAD_COUNT];
    s->cpu->r[REG_RBP] = bad[variant % BAD_COUNT];
}

/* mov cr3, rax; mov rbx, [rbx]; mov [rbx], rax */
static void cr3_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\x0f\x22\xd8\x48\x8b\x1b\x48\x89\x03\xeb\xf6");
    s->cpu->r[REG_RAX] = bad[variant];
}

static void tables_that_hold_themselves(struct scene *s, unsigned variant)
{
    static const uint64_t at[] = {
        PML4_SPA, PDPT_SPA, PD_SPA, PT_SPA + 0x80, NPML4_SPA, NPDPT_SPA
    };
    static const uint64_t to[] = { PML4_SPA | 7, PDPT_SPA | 7,  PD_SPA | 7,
                                   0xfee00007,   RAM_BYTES | 7, UINT64_MAX };
    CODE(
        s,
        "\x0f\x20\xd8\x0f\x22\xd8\x48\x89\x03\x48\xff\x03\xb8\x00\x00\x04\x00\x0f\x01\xd8\xeb\xea");
    store(s, at[variant / 6], to[variant % 6]);
    s->cpu->r[REG_RBX] = bad[variant % BAD_COUNT];
}

/* --- AMD-V -------------------------------------------------------------------------------------- */

/* vmrun; vmload; vmsave; stgi; again */
static void vmcb_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\x0f\x01\xda\x0f\x01\xdb\x0f\x01\xd8\x0f\x01\xdc\xeb\xf2");
    s->cpu->r[REG_RAX] = bad[variant] & ~UINT64_C(0xfff);
}

static void hsave_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\x0f\x01\xd8\x0f\x01\xdc\xeb\xf8");
    INNER(s, "\x90\x0f\x01\xd9");
    s->cpu->r[REG_RAX] = VMCB_SPA;
    s->cpu->msr.vm_hsave_pa = bad[variant] & 0xfffffffff000;
}

/* The host's state is saved over the instruction that saves it. */
static void hsave_over_the_vmrun(struct scene *s, unsigned variant)
{
    uint64_t at = CODE_SPA + 0x3f0 + 2 * variant;
    put_code(s, at, "\x0f\x01\xd8\x0f\x01\xdc\xeb\xf8", 8);
    INNER(s, "\x0f\x01\xd9");
    s->cpu->r[REG_RIP] = at;
    s->cpu->r[REG_RAX] = VMCB_SPA;
    s->cpu->msr.vm_hsave_pa = variant & 1 ? CODE_SPA : HSAVE_SPA;
}

/* #VMEXIT writes the VMCB over the guest's code and the host's. */
static void vmcb_over_code(struct scene *s, unsigned variant)
{
    uint64_t at = VMCB_SPA + 0x60 + 8 * variant;
    put_code(s, at, "\x0f\x01\xd8\x0f\x01\xdc\xeb\xf8", 8);
    INNER(s, "\x0f\x01\xd9");
    VMCB_SET(s->vmcb, RIP, variant & 1 ? at : INNER_SPA);
    s->cpu->r[REG_RIP] = at;
    s->cpu->r[REG_RAX] = VMCB_SPA;
}

/* in al, 80h; out dx, al; rdmsr; wrmsr; rep outsb */
static void permission_maps_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\x0f\x01\xd8\x0f\x01\xdc\xff\x04\x25\x78\x05\x04\x00\xeb\xf1");
    INNER(s, "\xe4\x80\xee\x66\xba\xff\xff\xef\xb9\x80\x00\x00\xc0\x0f\x32\x0f\x30\xb9\xff\x1f\x01"
             "\xc0\x0f\x32\xf3\x6e");
    VMCB_SET(s->vmcb, INTERCEPT_3, 3u << 27);
    VMCB_SET(s->vmcb, IOPM_BASE_PA, bad[variant]);
    VMCB_SET(s->vmcb, MSRPM_BASE_PA, bad[BAD_COUNT - 1 - variant]);
    s->cpu->r[REG_RAX] = VMCB_SPA;
}

static void n_cr3_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\x0f\x01\xd8\x0f\x01\xdc\xeb\xf8");
    INNER(s, "\x48\x89\x03\x48\xff\x03\x0f\x01\xd9");
    VMCB_SET(s->vmcb, N_CR3, bad[variant]);
    s->cpu->r[REG_RAX] = VMCB_SPA;
    s->cpu->r[REG_RBX] = bad[variant];
}

static void vmcb_field_with_bad_values(struct scene *s, unsigned variant)
{
    const struct vmcb_field_info *field = &vmcb_fields[variant / FEW_COUNT];
    uint64_t value = few(variant % FEW_COUNT);
    CODE(s, "\x0f\x01\xd8\x0f\x01\xdc\xff\x04\x25\x78\x05\x04\x00\xeb\xf1");
    INNER(s, "\x48\x8b\x03\x50\x58\xcd\x20\x0f\x0b\x0f\x20\xd8\x0f\x22\xd8\x0f\x01\xd9");
    memcpy(s->vmcb + field->offset, &value, field->bytes < 8 ? field->bytes : 8);
    s->cpu->r[REG_RAX] = VMCB_SPA;
    s->cpu->r[REG_RBX] = INNER_SPA;
}

/* --- time and interrupts -------------------------------------------------------------------------------- */

static void apic_moved_anywhere(struct scene *s, unsigned variant)
{
    CODE(s, "\xb9\x1b\x00\x00\x00\x0f\x30\xc7\x86\x20\x03\x00\x00\x30\x00\x02\x00\x89\x86\x80\x03"
            "\x00\x00\xfb\xf4\xeb\xf3");
    s->cpu->r[REG_RAX] = (bad[variant] & 0xfffff000) | 0x800;
    s->cpu->r[REG_RDX] = bad[variant] >> 32 & 0xffff;
    s->cpu->r[REG_RSI] = bad[variant] & ~UINT64_C(0xfff);
}

/* The APIC's timer every `variant` + 1 ticks; nobody acknowledges it. */
static void fast_timer(struct scene *s, unsigned variant)
{
    CODE(s, "\xc7\x05\x16\x00\x00\x00\x00\x00\x00\x00\xc6\x86\xe0\x03\x00\x00\x0b\xc7\x86\x20\x03"
            "\x00\x00\x30\x00\x02\x00"
            "\x89\x86\x80\x03\x00\x00\xfb\x90\x90\xeb\xfb");
    s->cpu->r[REG_RAX] = variant + 1;
    s->cpu->r[REG_RSI] = 0xfee00000;
}

/* HLT with each combination of masks, with and without a timer of one tick. */
static void halt_in_every_mask(struct scene *s, unsigned variant)
{
    CODE(s, "\xc6\x86\xe0\x03\x00\x00\x0b\xc7\x86\x20\x03\x00\x00\x30\x00\x02\x00\x89\x86\x80\x03"
            "\x00\x00\xf4\xeb\xfd");
    s->cpu->r[REG_RAX] = variant & 1;
    s->cpu->r[REG_RSI] = 0xfee00000;
    s->cpu->rflags |= variant & 2 ? FLAG_IF : 0;
    s->cpu->svm->gif = variant & 4;
    s->cpu->pins.nmi = variant & 8;
    s->cpu->regs.nmi_masked = variant & 16;
    s->cpu->rflags |= variant & 32 ? FLAG_TF : 0;
    s->cpu->regs.shadow = variant & 64;
    if (variant & 128)
        lapic_intc_ops.write_tpr(apics_cpu(s->machine->apics, 0), 0xf0);
}

/* --- instructions ------------------------------------------------------------------------------------------ */

static void repeat_counts(struct scene *s, unsigned variant)
{
    static const char *const code[] = { "\xf3\xa4",     "\xf3\x48\xa5",     "\xf3\xaa",
                                        "\xf3\x66\xab", "\xf3\xac",         "\xf3\xa6",
                                        "\xf2\xae",     "\xf3\x6e",         "\xf3\x6c",
                                        "\x67\xf3\xaa", "\xfd\xf3\x48\xab", "\xfd\xf3\x48\xa5" };
    static const uint64_t count[] = { UINT64_C(1) << 63, UINT64_MAX, UINT64_C(1) << 60, 0x200000000,
                                      0x100000001 };
    const char *bytes = code[variant % 12];
    put_code(s, CODE_SPA, bytes, strlen(bytes));
    s->cpu->r[REG_RCX] = count[variant / 12 % 5];
    s->cpu->r[REG_RDI] = few(variant / 60);
    s->cpu->r[REG_RSI] = variant & 1 ? few(variant / 60) : 0x50000;
    s->cpu->r[REG_RDX] = 0x80;
}

/* Instructions whose bytes end, or do not end, where mapped memory or RAM ends. */
static void code_at_an_end(struct scene *s, unsigned variant)
{
    static const char *const code[] = {
        "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90",
        "\x48\xb8\x11\x22\x33\x44\x55\x66\x77\x88\xf4",
        "\x0f\x0b\xf4",
        "\xe8\x10\x10\x10\x10",
        "\x2e\x8b\x84\x25\x10\x10\x10\x10",
        "\xf0\x0f\xba\x2b\x01",
        "\xc5\xf8\x77\x90"
    };
    static const uint64_t end[] = { RAM_BYTES, 0xa0000, 0x60000, 0x1000 };
    const char *bytes = code[variant % 7];
    uint64_t at = end[variant / 7 % 4] - 1 - variant / 28;
    for (unsigned i = 0; bytes[i]; i++)
        phys_write(s->machine->memory, at + i, 1, (uint8_t)bytes[i]);
    store(s, PT_SPA + 8 * 0x60, 0);
    s->cpu->r[REG_RIP] = at;
}

#define HOSTILE(name)                     \
    START_TEST(survives_##name)           \
    {                                     \
        run_all_ways(name, (unsigned)_i); \
    }                                     \
    END_TEST
HOSTILE(idt_anywhere)
HOSTILE(gdt_anywhere)
HOSTILE(tss_anywhere)
HOSTILE(stack_anywhere)
HOSTILE(cr3_anywhere)
HOSTILE(tables_that_hold_themselves)
HOSTILE(vmcb_anywhere)
HOSTILE(hsave_anywhere)
HOSTILE(hsave_over_the_vmrun)
HOSTILE(vmcb_over_code)
HOSTILE(permission_maps_anywhere)
HOSTILE(n_cr3_anywhere)
HOSTILE(vmcb_field_with_bad_values)
HOSTILE(apic_moved_anywhere)
HOSTILE(fast_timer)
HOSTILE(halt_in_every_mask)
HOSTILE(repeat_counts)
HOSTILE(code_at_an_end)

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tc = tcase_create("hostile");
    const int all = (int)BAD_COUNT;
    tcase_set_timeout(tc, 200);
    tcase_add_loop_test(tc, survives_idt_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_gdt_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_tss_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_stack_anywhere, 0, 7 * all);
    tcase_add_loop_test(tc, survives_cr3_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_tables_that_hold_themselves, 0, 36);
    tcase_add_loop_test(tc, survives_vmcb_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_hsave_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_hsave_over_the_vmrun, 0, 0x110);
    tcase_add_loop_test(tc, survives_vmcb_over_code, 0, 0xd0);
    tcase_add_loop_test(tc, survives_permission_maps_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_n_cr3_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_vmcb_field_with_bad_values, 0, VMCB_FIELD_COUNT * FEW_COUNT);
    tcase_add_loop_test(tc, survives_apic_moved_anywhere, 0, all);
    tcase_add_loop_test(tc, survives_fast_timer, 0, 64);
    tcase_add_loop_test(tc, survives_halt_in_every_mask, 0, 256);
    tcase_add_loop_test(tc, survives_repeat_counts, 0, 60 * FEW_COUNT);
    tcase_add_loop_test(tc, survives_code_at_an_end, 0, 28 * 15);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The memory and the first state of a guest. */
#include "tests/fuzz/guest.h"

#include <string.h>

#include "emu/cpu/control.h"
#include "emu/cpu/segment.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#define CODE64 0x08
#define DATA0 0x10
#define TSS 0x38
#define GDT_BYTES 0x100

/* Bits of the first byte. */
enum { PADDED = 1, INTERRUPTS = 2, VMRUN_FIRST = 4, HIGH_HALF = 8 };

static void store(struct pacifica_machine *machine, uint64_t spa, unsigned bytes, uint64_t value)
{
    phys_write(machine->memory, spa, bytes, value);
}

static uint8_t *page(struct pacifica_machine *machine, uint64_t spa)
{
    return memory_ptr(machine->memory, spa, 4096);
}

/* --- tables ---------------------------------------------------------------------------------- */

static void make_page_tables(struct pacifica_machine *machine)
{
    static const unsigned top[] = { 0, 256, 511 }, high[] = { 0, 510, 511 };
    for (unsigned i = 0; i < 3; i++) {
        store(machine, PML4_SPA + 8 * top[i], 8, PDPT_SPA | 7);
        store(machine, PDPT_SPA + 8 * high[i], 8, PD_SPA | 7);
    }
    store(machine, PDPT_SPA + 8, 8, 0x87); /* 1 GiB */
    store(machine, PD_SPA, 8, PT_SPA | 7);
    store(machine, PD_SPA + 8, 8, 0x87); /* 2 MiB */
    store(machine, PD_SPA + 16, 8, PT_SPA | 7);
    store(machine, PD_SPA + 24, 8, RIGHTS_SPA | 7);
    for (uint64_t i = 0; i < 512; i++) {
        store(machine, PT_SPA + 8 * i, 8, i << 12 | 7);
        store(machine, RIGHTS_SPA + 8 * i, 8,
              (i >> 3) << 12 | 1 | (i & 3) << 1 | (i & 4) << 6 | (i & 4) << 61);
    }
    store(machine, PT_SPA + 8 * (LAPIC_LA >> 12), 8, 0xfee00007);
    /* The nested tables: 0-2 MiB by 4 KiB, up to 1 GiB by 2 MiB, and the 1 GiB with the local APIC. */
    store(machine, NPML4_SPA, 8, NPDPT_SPA | 7);
    store(machine, NPDPT_SPA, 8, NPD_SPA | 7);
    store(machine, NPDPT_SPA + 24, 8, 0xc0000087);
    store(machine, NPD_SPA, 8, NPT_SPA | 7);
    for (uint64_t i = 0; i < 512; i++) {
        store(machine, NPT_SPA + 8 * i, 8, i << 12 | 7);
        if (i > 0)
            store(machine, NPD_SPA + 8 * i, 8, i << 21 | 0x87);
    }
}

static uint64_t descriptor(uint32_t base, uint32_t limit20, uint32_t attr)
{
    return (limit20 & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(limit20 & 0xf0000) << 32 | (uint64_t)(attr & 0xf00) << 44 |
           (uint64_t)(base >> 24) << 56;
}

/* type 12 call, 14 interrupt, 15 trap */
static void make_gate(struct pacifica_machine *machine, uint64_t spa, uint64_t offset,
                      unsigned type, unsigned dpl, unsigned ist)
{
    store(machine, spa, 8,
          (offset & 0xffff) | (uint64_t)CODE64 << 16 | (uint64_t)ist << 32 |
              (uint64_t)(type | dpl << 5 | 0x80) << 40 | (offset >> 16 & 0xffff) << 48);
    store(machine, spa + 8, 8, offset >> 32);
}

static void make_gdt(struct pacifica_machine *machine)
{
    static const uint16_t attr[] = { 0, 0xa9b, 0xc93, 0xc9b, 0xcf3, 0xafb, 0xcfb, 0x089,
                                     0, 0x082, 0,     0xa9f, 0xa1b, 0xe9b, 0xc91, 0xc13,
                                     0, 0,     0xa99, 0x493, 0,     0,     0xabb, 0xcb3 };
    for (unsigned i = 1; i < sizeof(attr) / sizeof(attr[0]); i++)
        if (attr[i])
            store(machine, GDT_SPA + 8 * i, 8, descriptor(0, 0xfffff, attr[i]));
    store(machine, GDT_SPA + TSS, 8, descriptor(TSS_SPA, 0x2068, 0x089));
    store(machine, GDT_SPA + 0x48, 8, descriptor(GDT_SPA, GDT_BYTES - 1, 0x082)); /* LDT */
    make_gate(machine, GDT_SPA + 0x80, CODE_SPA + 0x40, 12, 0, 0);
    make_gate(machine, GDT_SPA + 0xa0, CODE_SPA + 0x80, 12, 3, 0);
    store(machine, TSS_SPA + 4, 8, RSP0);
    store(machine, TSS_SPA + 12, 8, RSP0);
    store(machine, TSS_SPA + 20, 8, RSP0);
    for (unsigned i = 0; i < 7; i++)
        store(machine, TSS_SPA + 0x24 + 8 * i, 8, IST1 + 0x400 * i);
    store(machine, TSS_SPA + 0x66, 2, 0x68);
    static const uint16_t far_to[FAR_COUNT] = { 0x80, 0xa3, 0x18, 0x08, 0x33, 0x2b, 0x58, 0x38 };
    for (unsigned i = 0; i < FAR_COUNT; i++) {
        store(machine, FAR_SPA + 16 * i, 8, i < 6 ? CODE_SPA + 0x20 * i : i);
        store(machine, FAR_SPA + 16 * i + 8, 2, far_to[i]);
    }
}

static bool has_error_code(unsigned vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC ||
           vector == EXC_VC || vector == EXC_SX;
}

/* What a handler does, in less than 28 bytes. */
static const struct {
    uint8_t len;
    const char *code;
} handlers[] = {
#define HANDLER(bytes)           \
    {                            \
        sizeof(bytes) - 1, bytes \
    }
    HANDLER("\x48\x83\x0c\x24\x0f\x48\xff\x04\x24\x48\xcf"), /* go on at the next 16 bytes */
    HANDLER("\x48\xff\x04\x24\x48\xcf"),                     /* one byte on */
    HANDLER("\x48\x83\x04\x24\x03\x81\x64\x24\x10\xff\xfe\xff\xff\x48\xcf"), /* three, without TF */
    HANDLER("\xc7\x04\x25\xb0\x00\x1f\x00\x00\x00\x00\x00\x48\xcf"), /* end of interrupt: APIC */
    HANDLER("\xb0\x20\xe6\x20\x48\xcf"),                             /* PIC */
    HANDLER("\x48\xcf"),                                             /* the same again */
    HANDLER("\xff\x05\x10\x00\x00\x00\x48\xcf"),                     /* count, in its own page */
    HANDLER("\x0f\x01\xd9\x48\xcf"),                                 /* VMMCALL */
#undef HANDLER
};

static void make_handler(struct pacifica_machine *machine, unsigned vector, unsigned what)
{
    uint64_t at = HANDLER_SPA + 32 * vector;
    unsigned n = what % (sizeof(handlers) / sizeof(handlers[0]));
    if (has_error_code(vector)) {
        store(machine, at, 4, 0x08c48348); /* add rsp, 8 */
        at += 4;
    }
    for (unsigned i = 0; i < handlers[n].len; i++)
        store(machine, at + i, 1, (uint8_t)handlers[n].code[i]);
}

static void make_idt(struct reader *in, struct pacifica_machine *machine)
{
    unsigned faults = read8(in), interrupts = read8(in), special = read8(in);
    for (unsigned v = 0; v < 256; v++) {
        unsigned what = v < 32 ? faults & 7 : interrupts & 7;
        if (v == EXC_DB || v == EXC_NMI || v == EXC_BP)
            what = interrupts >> 4;
        make_handler(machine, v, what);
        unsigned ist = v < 32 && (special & 0x30) ? 3 : 0;
        if (v == EXC_DF || v == EXC_NMI)
            ist = special & (v == EXC_DF ? 1 : 2);
        unsigned dpl = v == EXC_BP || v == 0x80 || (special & 4) ? 3 : 0;
        make_gate(machine, IDT_SPA + 16 * v, HANDLER_SPA + 32 * v, special & 8 && v & 1 ? 15 : 14,
                  dpl, ist);
    }
}

/* --- the CPU ------------------------------------------------------------------------------------------ */

static void set_segment(struct pacifica_machine *machine, enum seg seg, uint16_t selector)
{
    machine->cpu[0]->regs.seg[seg] =
        segment_unpack(selector, phys_read(machine->memory, GDT_SPA + (selector & 0xf8), 8));
}

static void set_cpu(struct reader *in, struct pacifica_machine *machine, unsigned flags)
{
    struct vcpu *cpu = machine->cpu[0];
    unsigned control = (unsigned)read_bytes(in, 2), cpl = (control & 0xc00) == 0xc00 ? 3 : 0;
    for (unsigned i = 0; i < 16; i++)
        cpu->r[i] = guest_number64(in);
    cpu->r[REG_RCX] &= 0xff;
    cpu->r[REG_RSP] = STACK;
    cpu->regs.cr0 =
        CR0_PE | CR0_ET | CR0_NE | CR0_PG | (control & 1 ? CR0_WP : 0) | (control & 2 ? CR0_AM : 0);
    cpu->regs.cr3 = PML4_SPA;
    cpu->regs.cr4 = CR4_PAE | (control & 4 ? CR4_PGE : 0) | (control & 8 ? CR4_PCIDE : 0) |
                    (control & 16 ? CR4_FSGSBASE : 0) | ((control & 0xe0) == 0xe0 ? CR4_SMAP : 0) |
                    (control & 64 ? CR4_UMIP : 0) | (control & 128 ? CR4_TSD : 0);
    cpu->regs.efer = EFER_SCE | EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
    set_segment(machine, SEG_CS, cpl ? 0x2b : CODE64);
    for (int s = SEG_ES; s <= SEG_GS; s++)
        if (s != SEG_CS)
            set_segment(machine, (enum seg)s, cpl ? 0x23 : DATA0);
    set_segment(machine, SEG_TR, TSS);
    cpu->regs.seg[SEG_TR].attr |= 2; /* busy */
    cpu->regs.seg[SEG_LDTR] = (struct segment){ 0 };
    cpu->regs.seg[SEG_FS].base = cpu->regs.seg[SEG_GS].base = DATA_SPA;
    cpu->regs.gdtr = (struct table_register){ .base = GDT_SPA, .limit = GDT_BYTES - 1 };
    cpu->regs.idtr = (struct table_register){ .base = IDT_SPA, .limit = 0xfff };
    cpu->regs.cpl = (uint8_t)cpl;
    cpu->rflags = 2u | (flags & INTERRUPTS ? FLAG_IF : 0) |
                  ((control & 0x7000) == 0x7000 ? FLAG_TF : 0) | (control & 256 ? 3u << 12 : 0) |
                  (control & 512 ? FLAG_AC : 0);
    cpu->flags_kind = FLAGS_MATERIAL;
    cpu->msr.star = (uint64_t)0x18 << 48 | (uint64_t)CODE64 << 32;
    cpu->msr.lstar = CODE_SPA + 0x100;
    cpu->msr.cstar = CODE_SPA + 0x110;
    cpu->msr.sfmask = FLAG_TF;
    cpu->msr.kernel_gs_base = DATA_SPA + 0x800;
    cpu->msr.sysenter_cs = CODE64;
    cpu->msr.sysenter_eip = CODE_SPA + 0x200;
    cpu->msr.sysenter_esp = RSP0;
    cpu->msr.vm_hsave_pa = HSAVE_SPA;
    cpu_update_mode(cpu);
}

/* --- AMD-V ------------------------------------------------------------------------------------------- */

static void make_vmcb(struct reader *in, struct pacifica_machine *machine, uint64_t spa, bool user)
{
    const struct cpu_regs *regs = &machine->cpu[0]->regs;
    uint8_t *vmcb = page(machine, spa);
    unsigned flags = read8(in);
    VMCB_SET(vmcb, INTERCEPT_3, read_bytes(in, 4) & read_bytes(in, 4));
    VMCB_SET(vmcb, INTERCEPT_4, 3 | (read8(in) & read8(in)));
    VMCB_SET(vmcb, INTERCEPT_EXCP, flags & 1 ? read_bytes(in, 4) & read_bytes(in, 4) : 0);
    VMCB_SET(vmcb, INTERCEPT_CR, flags & 2 ? read_bytes(in, 4) & read_bytes(in, 4) : 0);
    VMCB_SET(vmcb, IOPM_BASE_PA, IOPM_SPA);
    VMCB_SET(vmcb, MSRPM_BASE_PA, MSRPM_SPA);
    VMCB_SET(vmcb, GUEST_ASID, 1 + (flags >> 6));
    VMCB_SET(vmcb, NESTED_CONTROL, flags >> 2 & 1);
    VMCB_SET(vmcb, N_CR3, NPML4_SPA);
    VMCB_SET(vmcb, VINTR_CONTROL, flags & 8 ? read_bytes(in, 5) & 0xff1f010f : 0);
    VMCB_SET(vmcb, EVENTINJ, flags & 16 ? read_bytes(in, 4) & 0x80000fff : 0);
    VMCB_SET(vmcb, TLB_CONTROL, flags & 32 ? read8(in) : 0);
    vmcb_store_segment(vmcb, VMCB_AT_ES_SEL, &regs->seg[SEG_ES]);
    vmcb_store_segment(vmcb, VMCB_AT_DS_SEL, &regs->seg[SEG_DS]);
    vmcb_store_segment(vmcb, VMCB_AT_FS_SEL, &regs->seg[SEG_FS]);
    vmcb_store_segment(vmcb, VMCB_AT_GS_SEL, &regs->seg[SEG_GS]);
    vmcb_store_segment(vmcb, VMCB_AT_TR_SEL, &regs->seg[SEG_TR]);
    struct segment cs =
        segment_unpack(user ? 0x2b : CODE64, descriptor(0, 0xfffff, user ? 0xafb : 0xa9b));
    struct segment ss =
        segment_unpack(user ? 0x23 : DATA0, descriptor(0, 0xfffff, user ? 0xcf3 : 0xc93));
    vmcb_store_segment(vmcb, VMCB_AT_CS_SEL, &cs);
    vmcb_store_segment(vmcb, VMCB_AT_SS_SEL, &ss);
    VMCB_SET(vmcb, CPL, user ? 3 : 0);
    VMCB_SET(vmcb, GDTR_BASE, regs->gdtr.base);
    VMCB_SET(vmcb, GDTR_LIMIT, regs->gdtr.limit);
    VMCB_SET(vmcb, IDTR_BASE, regs->idtr.base);
    VMCB_SET(vmcb, IDTR_LIMIT, regs->idtr.limit);
    VMCB_SET(vmcb, EFER, regs->efer);
    VMCB_SET(vmcb, CR0, regs->cr0);
    VMCB_SET(vmcb, CR3, regs->cr3);
    VMCB_SET(vmcb, CR4, regs->cr4);
    VMCB_SET(vmcb, DR6, 0xffff0ff0);
    VMCB_SET(vmcb, DR7, 0x400);
    VMCB_SET(vmcb, G_PAT, 0x0007040600070406);
    VMCB_SET(vmcb, RFLAGS, machine->cpu[0]->rflags & ~(uint64_t)FLAG_TF);
    VMCB_SET(vmcb, RIP, INNER_CODE_SPA);
    VMCB_SET(vmcb, RSP, INNER_STACK);
    VMCB_SET(vmcb, RAX, machine->cpu[0]->r[REG_RBX]);
}

/* --- the input's changes ------------------------------------------------------------------------------ */

/* One change of what was made: a VMCB field, a table entry, any byte of RAM, a register. */
static void change_one(struct reader *in, struct pacifica_machine *machine)
{
    static const uint16_t place[] = {
        PML4_SPA >> 4,  PDPT_SPA >> 4,   PD_SPA >> 4,    PT_SPA >> 4,  GDT_SPA >> 4, IDT_SPA >> 4,
        TSS_SPA >> 4,   NPML4_SPA >> 4,  NPDPT_SPA >> 4, NPD_SPA >> 4, NPT_SPA >> 4, IOPM_SPA >> 4,
        MSRPM_SPA >> 4, RIGHTS_SPA >> 4, HSAVE_SPA >> 4, DATA_SPA >> 4
    };
    struct cpu_regs *regs = &machine->cpu[0]->regs;
    unsigned what = read8(in), which = read8(in);
    uint64_t spa = (uint64_t)place[which & 15] << 4 | (which & 0xf0) << 2 | (what & 0xc0) >> 3;
    const struct vmcb_field_info *field = &vmcb_fields[which % VMCB_FIELD_COUNT];
    uint64_t vmcb = what & 0x80 ? VMCB2_SPA : VMCB_SPA;
    unsigned bytes = field->bytes < 8 ? field->bytes : 8;
    switch (what & 7) {
    case 0: store(machine, vmcb + field->offset, bytes, guest_number64(in)); break;
    case 1: /* one bit */
    case 2:
        store(machine, vmcb + field->offset, bytes,
              phys_read(machine->memory, vmcb + field->offset, bytes) ^ UINT64_C(1)
                                                                            << (read8(in) & 63));
        break;
    case 3:
        store(machine, spa, 8,
              phys_read(machine->memory, spa, 8) ^ UINT64_C(1) << (read8(in) & 63));
        break;
    case 4: store(machine, spa, 8, guest_number64(in) | (what & 8 ? 7 : 0)); break;
    case 5: store(machine, spa, 1, read8(in)); break;
    case 6: store(machine, guest_number32(in), 1u << (which & 3), guest_number64(in)); break;
    default:
        if (what & 0x30) /* rarely what breaks everything */
            machine->cpu[0]->r[which & 15] = guest_number64(in);
        else if (which % 6 == 0)
            regs->gdtr.base = guest_number64(in);
        else if (which % 6 == 1)
            regs->idtr.base = guest_number64(in);
        else if (which % 6 == 2)
            regs->seg[SEG_TR].base = guest_number64(in);
        else if (which % 6 == 3)
            regs->seg[SEG_CS + (which >> 4 & 1)].attr ^= (uint16_t)(1u << (which >> 5));
        else if (which % 6 == 4)
            machine->cpu[0]->msr.vm_hsave_pa = guest_number64(in) & 0xfffffffff000;
        else
            regs->idtr.limit = (uint16_t)read_bytes(in, 2);
        break;
    }
}

/* mov eax, VMCB_SPA; vmrun; mov rax, [nRIP]; test rax, rax; jz 1f; mov [RIP], rax; 1: stgi */
static const uint8_t vmrun_loop[32] = { 0xb8, 0x00, 0x00, 0x02, 0x00, 0x0f, 0x01, 0xd8,
                                        0x48, 0x8b, 0x04, 0x25, 0xc8, 0x00, 0x02, 0x00,
                                        0x48, 0x85, 0xc0, 0x74, 0x08, 0x48, 0x89, 0x04,
                                        0x25, 0x78, 0x05, 0x02, 0x00, 0x0f, 0x01, 0xdc };

void guest_make(struct reader *in, struct pacifica_machine *machine)
{
    static const uint64_t base[] = { 0x200000, 0x40000000, 0xffffffff80000000, 0xffff800000000000 };
    static const uint8_t rom[4096] = { 0x48, 0xff, 0xc0, 0xc6, 0x05, 0xf7,
                                       0xff, 0xff, 0xff, 0x90, 0xc3 };
    unsigned flags = read8(in), begin = read8(in), inner = read8(in), changes = read8(in);
    changes = changes < 0x80 ? 0 : changes < 0xc0 ? changes % 4 : changes % 12;
    (void)memory_add_rom(machine->memory, ROM_SPA, rom, sizeof(rom));
    make_page_tables(machine);
    make_gdt(machine);
    make_idt(in, machine);
    set_cpu(in, machine, flags);
    make_vmcb(in, machine, VMCB_SPA, false);
    make_vmcb(in, machine, VMCB2_SPA, inner & 0x40);
    while (changes-- > 0)
        change_one(in, machine);

    unsigned begin_at = (begin & 0x3f) << 6, offset = begin_at;
    memset(page(machine, CODE_SPA), 0xf4, 4096);
    memset(page(machine, CODE_SPA + 0x1000), 0xf4, 4096);
    memset(page(machine, INNER_CODE_SPA), 0xf4, 4096);
    memset(page(machine, INNER_CODE_SPA + 0x1000), 0xf4, 4096);
    guest_write_code(in, inner & 0x3f, flags & PADDED, page(machine, INNER_CODE_SPA), 0x2000,
                     INNER_CODE_SPA, INNER_CODE_SPA);
    uint8_t *code = page(machine, CODE_SPA);
    if (flags & VMRUN_FIRST) {
        memcpy(code + offset, vmrun_loop, sizeof(vmrun_loop));
        offset += sizeof(vmrun_loop);
    }
    guest_write_code(in, 1024, flags & PADDED, code + offset, 0x2000 - offset, CODE_SPA + offset,
                     CODE_SPA + begin_at);
    machine->cpu[0]->r[REG_RIP] = (flags & HIGH_HALF ? base[begin >> 6] : 0) + CODE_SPA + begin_at;
}

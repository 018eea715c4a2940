/* The memory and the first state of guests that begin in any mode. */
#include <string.h>

#include "emu/cpu/control.h"
#include "emu/cpu/segment.h"
#include "tests/fuzz/guest.h"

/* Besides the places of guest.h. */
enum modes_place {
    PD32_SPA = 0x9000,
    PT32_SPA = 0xa000,
    PAE_PDPT_SPA = 0xb000,
    LDT_SPA = 0xb800,
    HANDLER16_SPA = 0xc000, /* 16 bytes each */
    HANDLER32_SPA = 0xd000,
    HANDLER64_SPA = 0xe000,
    HANDLER_REAL_SPA = 0xf000, /* 8 bytes each */
    CODE16_SPA = 0x10000,
    CODE32_SPA = 0x11000,
    CODE64_SPA = 0x12000,
    TSS_BYTES = 0x100,
    TSS_COUNT = 8
};

/* Entries of the GDT; the LDT holds the same. */
enum entry {
    E_CODE64 = 1,
    E_DATA,
    E_CODE32,
    E_DATA3,
    E_CODE64_3,
    E_CODE32_3,
    E_TSS, /* and the next: its upper half in long mode */
    E_LDT = 9,
    E_CODE16 = 11,
    E_DATA16,
    E_CODE16_3,
    E_DATA16_3,
    E_OTHERS,
    E_GATES = 32,
    E_COUNT = 64
};

enum begin {
    BEGIN_REAL,
    BEGIN_UNREAL,
    BEGIN_PROT16,
    BEGIN_PROT32,
    BEGIN_V86,
    BEGIN_PSE,
    BEGIN_PAE,
    BEGIN_COMPAT16,
    BEGIN_COMPAT32,
    BEGIN_LONG64,
    BEGIN_COUNT
};

static void store(struct pacifica_machine *machine, uint64_t spa, unsigned bytes, uint64_t value)
{
    phys_write(machine->memory, spa, bytes, value);
}

/* --- page tables -------------------------------------------------------------------------------- */

/* The first 2 MiB to themselves by 4 KiB pages, the next by a large page, and the first again at 4 or 6 MiB. */
static void make_page_tables(struct pacifica_machine *machine)
{
    store(machine, PML4_SPA, 8, PDPT_SPA | 7);
    store(machine, PDPT_SPA, 8, PD_SPA | 7);
    for (unsigned i = 0; i < 4; i++)
        store(machine, PAE_PDPT_SPA + 8 * i, 8, PD_SPA | 1);
    store(machine, PD_SPA, 8, PT_SPA | 7);
    store(machine, PD_SPA + 8, 8, 0x87);
    store(machine, PD_SPA + 24, 8, PT_SPA | 7);
    store(machine, PD32_SPA, 4, PT32_SPA | 7);
    store(machine, PD32_SPA + 4, 4, 0x87);
    store(machine, PD32_SPA + 8, 4, PT32_SPA | 7);
    for (uint64_t i = 0; i < 512; i++) {
        store(machine, PT_SPA + 8 * i, 8, i << 12 | 7);
        store(machine, PT32_SPA + 4 * i, 4, i << 12 | 7);
    }
}

/* --- descriptors ---------------------------------------------------------------------------------- */

static uint64_t descriptor(uint32_t base, uint32_t limit20, uint32_t attr)
{
    return (limit20 & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(limit20 & 0xf0000) << 32 | (uint64_t)(attr & 0xf00) << 44 |
           (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(unsigned selector, uint32_t offset, unsigned type, unsigned dpl,
                     unsigned count)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)count << 32 |
           (uint64_t)(type | dpl << 5 | 0x80) << 40 | (uint64_t)(offset >> 16) << 48;
}

/* What stands in the tables: type, base, limit. */
static const struct {
    uint8_t at;
    uint16_t attr;
    uint32_t base, limit20;
} segments[] = {
    { E_CODE64, 0xa9b, 0, 0xfffff },
    { E_DATA, 0xc93, 0, 0xfffff },
    { E_CODE32, 0xc9b, 0, 0xfffff },
    { E_DATA3, 0xcf3, 0, 0xfffff },
    { E_CODE64_3, 0xafb, 0, 0xfffff },
    { E_CODE32_3, 0xcfb, 0, 0xfffff },
    { E_TSS, 0x089, TSS_SPA, 0x2068 },
    { E_LDT, 0x082, LDT_SPA, 8 * E_COUNT - 1 },
    { E_CODE16, 0x09b, CODE16_SPA, 0xffff },
    { E_DATA16, 0x093, 0, 0xffff },
    { E_CODE16_3, 0x0fb, CODE16_SPA, 0xffff },
    { E_DATA16_3, 0x0f3, 0x30000, 0xffff },
    { E_OTHERS, 0xc9f, 0, 0xfffff }, /* conforming */
    { E_OTHERS + 1, 0x09f, CODE16_SPA, 0xffff },
    { E_OTHERS + 2, 0xc1b, 0, 0xfffff }, /* not present */
    { E_OTHERS + 3, 0xc91, 0, 0xfffff }, /* read-only */
    { E_OTHERS + 4, 0xc99, 0, 0xfffff }, /* execute-only */
    { E_OTHERS + 5, 0xc97, 0, 0x2f },    /* expand-down */
    { E_OTHERS + 6, 0x097, 0x30000, 0xfff },
    { E_OTHERS + 7, 0x493, DATA_SPA, 0xfff }, /* small */
    { E_OTHERS + 8, 0xcbb, 0, 0xfffff },      /* level 1 */
    { E_OTHERS + 9, 0xcb3, 0, 0xfffff },
    { E_OTHERS + 10, 0x0db, CODE16_SPA, 0xffff }, /* level 2 */
    { E_OTHERS + 11, 0x0d3, 0x30000, 0xffff },
    { E_OTHERS + 12, 0xc90, 0, 0xfffff }, /* not accessed */
    { E_OTHERS + 13, 0xe9b, 0, 0xfffff }, /* L and D */
};

/* The tasks behind E_GATES: TSS 1 to 7, of 32 bits where odd. */
static void make_tasks(struct pacifica_machine *machine, uint64_t table)
{
    for (unsigned i = 1; i < TSS_COUNT; i++) {
        uint32_t at = TSS_SPA + i * TSS_BYTES;
        bool wide = i & 1;
        store(machine, table + 8 * (E_GATES + i), 8,
              descriptor(at, TSS_BYTES - 1, wide ? 0x0e9 : 0x0e1));
        store(machine, table + 8 * (E_GATES + 8 + i), 8, gate(8 * (E_GATES + i), 0, 5, 3, 0));
    }
    unsigned to32 = 8 * E_CODE32, to16 = 8 * E_CODE16;
    for (unsigned i = 0; i < 8; i++) {
        bool wide = i & 1;
        store(machine, table + 8 * (E_GATES + 16 + i), 8,
              gate(wide ? to32 : to16, wide ? CODE32_SPA + 16 * i : 16 * i, wide ? 12 : 4,
                   i & 2 ? 3 : 0, i));
    }
}

static void make_gdt(struct pacifica_machine *machine)
{
    for (unsigned t = 0; t < 2; t++) {
        uint64_t table = t ? LDT_SPA : GDT_SPA;
        for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
            store(machine, table + 8 * segments[i].at, 8,
                  descriptor(segments[i].base, segments[i].limit20, segments[i].attr));
        make_tasks(machine, table);
    }
}

static void make_tss32(struct pacifica_machine *machine, uint64_t at, unsigned n, uint64_t cr3)
{
    static const uint8_t selector[6] = { E_DATA, E_CODE32, E_DATA, E_DATA, 0, 0 };
    for (unsigned cpl = 0; cpl < 3; cpl++) {
        store(machine, at + 4 + 8 * cpl, 4, RSP0 - 0x200 * cpl);
        store(machine, at + 8 + 8 * cpl, 2,
              cpl == 0   ? 8 * E_DATA
              : cpl == 1 ? 8 * (E_OTHERS + 9) + 1
                         : 8 * (E_OTHERS + 11) + 2);
    }
    store(machine, at + 0x1c, 4, cr3);
    store(machine, at + 0x20, 4, CODE32_SPA + 0x10 * n);
    store(machine, at + 0x24, 4, n == 5 ? 0x20202 : 2);
    store(machine, at + 0x38, 4, STACK - 0x100 * n);
    for (unsigned i = 0; i < 6; i++)
        store(machine, at + 0x48 + 4 * i, 2, n == 5 ? 0x1000u : 8u * selector[i]);
    store(machine, at + 0x60, 2, n & 2 ? 8 * E_LDT : 0);
    store(machine, at + 0x64, 2, n == 3);
    store(machine, at + 0x66, 2, 0x88);
}

static void make_tss16(struct pacifica_machine *machine, uint64_t at, unsigned n)
{
    for (unsigned cpl = 0; cpl < 3; cpl++) {
        store(machine, at + 2 + 4 * cpl, 2, 0x1000 - 0x100 * cpl);
        store(machine, at + 4 + 4 * cpl, 2, cpl == 0 ? 8 * E_DATA16 : 8 * (E_OTHERS + 11) + cpl);
    }
    store(machine, at + 0x0e, 2, 0x10 * n);
    store(machine, at + 0x10, 2, 2);
    store(machine, at + 0x1a, 2, 0xff0 - 0x100 * n);
    store(machine, at + 0x22, 2, 8 * E_DATA16);
    store(machine, at + 0x24, 2, 8 * E_CODE16);
    store(machine, at + 0x26, 2, 8 * E_DATA16);
    store(machine, at + 0x28, 2, 8 * E_DATA16);
}

static void make_tss(struct pacifica_machine *machine, bool long_mode, uint64_t cr3)
{
    for (unsigned n = 0; n < TSS_COUNT; n++) {
        uint64_t at = TSS_SPA + n * TSS_BYTES;
        if (n > 0 && !(n & 1))
            make_tss16(machine, at, n);
        else
            make_tss32(machine, at, n, cr3);
    }
    if (!long_mode)
        return;
    for (unsigned i = 0; i < 3; i++)
        store(machine, TSS_SPA + 4 + 8 * i, 8, RSP0);
    for (unsigned i = 0; i < 7; i++)
        store(machine, TSS_SPA + 0x24 + 8 * i, 8, IST1);
}

/* --- handlers: they go on at the next byte ------------------------------------------------------------ */

static bool has_error_code(unsigned vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

static void put(struct pacifica_machine *machine, uint64_t at, const char *bytes, unsigned len)
{
    (void)phys_write_block(machine->memory, at, bytes, len);
}
#define PUT(machine, at, bytes) put((machine), (at), bytes, sizeof(bytes) - 1)

static void make_handler(struct pacifica_machine *machine, unsigned vector)
{
    uint64_t at16 = HANDLER16_SPA + 16 * vector, at32 = HANDLER32_SPA + 16 * vector;
    uint64_t at64 = HANDLER64_SPA + 16 * vector, real = HANDLER_REAL_SPA + 8 * vector;
    if (has_error_code(vector)) {
        PUT(machine, at16, "\x83\xc4\x02"); /* add sp, 2 */
        PUT(machine, at32, "\x83\xc4\x04");
        PUT(machine, at64, "\x48\x83\xc4\x08");
        at16 += 3, at32 += 3, at64 += 4;
    }
    PUT(machine, at16,
        "\x55\x89\xe5\xff\x46\x02\x5d\xcf"); /* inc word [bp + 2] of the frame; iret */
    PUT(machine, real, "\x55\x89\xe5\xff\x46\x02\x5d\xcf");
    PUT(machine, at32, "\xff\x04\x24\xcf");
    PUT(machine, at64, "\x48\xff\x04\x24\x48\xcf");
}

/* One of six kinds of gate for each class of vectors. */
static void make_idt(struct reader *in, struct pacifica_machine *machine, bool long_mode)
{
    uint8_t kind[8];
    for (unsigned i = 0; i < 8; i++)
        kind[i] = read8(in);
    for (unsigned v = 0; v < 256; v++) {
        unsigned what = kind[v < 32 ? v & 3 : 4 + (v & 3)], dpl = what & 0x40 ? 3 : 0;
        make_handler(machine, v);
        store(machine, 4 * v, 4, HANDLER_REAL_SPA + 8 * v); /* the interrupt table of real mode */
        if (long_mode) {
            store(machine, IDT_SPA + 16 * v, 8,
                  gate(8 * E_CODE64, HANDLER64_SPA + 16 * v, 14 | (what & 1), dpl,
                       what & 0x30 ? 0 : 1));
            continue;
        }
        unsigned type = what % 8 == 7 ? 5 : what % 8 >= 5 ? 6 : 14;
        uint64_t to =
            type == 5   ? gate(8 * (E_GATES + 1 + v % 7), 0, 5, dpl, 0)
            : type == 6 ? gate(8 * E_CODE16, HANDLER16_SPA - CODE16_SPA + 16 * v,
                               6 | (what >> 3 & 1), dpl, 0)
                        : gate(8 * E_CODE32, HANDLER32_SPA + 16 * v, 14 | (what >> 3 & 1), dpl, 0);
        store(machine, IDT_SPA + 8 * v, 8, to);
    }
}

/* --- the CPU ---------------------------------------------------------------------------------------------- */

static void set_segment(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    cpu->regs.seg[seg] =
        segment_unpack(selector, phys_read(cpu->memory, GDT_SPA + (selector & 0x1f8), 8));
}

/* Real and virtual-8086 mode: bases from selectors. */
static void set_real_segments(struct vcpu *cpu, uint32_t limit, uint16_t attr)
{
    for (int s = SEG_ES; s <= SEG_GS; s++) {
        uint16_t selector = s == SEG_CS ? CODE16_SPA >> 4 : s == SEG_SS ? 0x3000 : DATA_SPA >> 4;
        cpu->regs.seg[s] = (struct segment){
            .selector = selector, .base = selector * 16u, .limit = limit, .attr = attr
        };
    }
    cpu->regs.seg[SEG_CS].limit = 0xffff;
}

static void set_protected_segments(struct vcpu *cpu, unsigned bits, unsigned cpl)
{
    unsigned code = bits == 64   ? (cpl ? E_CODE64_3 : E_CODE64)
                    : bits == 32 ? (cpl ? E_CODE32_3 : E_CODE32)
                                 : (cpl ? E_CODE16_3 : E_CODE16);
    unsigned data = bits == 16 ? (cpl ? E_DATA16_3 : E_DATA16) : (cpl ? E_DATA3 : E_DATA);
    for (int s = SEG_ES; s <= SEG_GS; s++)
        set_segment(cpu, (enum seg)s, (uint16_t)(8 * (s == SEG_CS ? code : data) | cpl));
    set_segment(cpu, SEG_TR, 8 * E_TSS);
    cpu->regs.seg[SEG_TR].attr |= 2; /* busy */
    set_segment(cpu, SEG_LDTR, 8 * E_LDT);
    cpu->regs.cpl = (uint8_t)cpl;
}

static unsigned bits_of(enum begin begin)
{
    switch (begin) {
    case BEGIN_PROT32:
    case BEGIN_PSE:
    case BEGIN_PAE:
    case BEGIN_COMPAT32: return 32;
    case BEGIN_LONG64: return 64;
    default: return 16;
    }
}

static bool is_long(enum begin begin)
{
    return begin >= BEGIN_COMPAT16;
}

static void set_paging(struct vcpu *cpu, enum begin begin, unsigned control)
{
    bool paged = begin >= BEGIN_PSE || (begin == BEGIN_V86 && control & 1);
    bool pae = begin >= BEGIN_PAE;
    cpu->regs.cr0 = CR0_ET | CR0_NE | (begin > BEGIN_UNREAL ? CR0_PE : 0) | (paged ? CR0_PG : 0) |
                    (control & 2 ? CR0_WP : 0) | (control & 4 ? CR0_AM : 0);
    cpu->regs.cr3 = is_long(begin) ? PML4_SPA : pae ? PAE_PDPT_SPA : PD32_SPA;
    cpu->regs.cr4 = CR4_PSE | (pae ? CR4_PAE : 0) | (control & 8 ? CR4_VME | CR4_PVI : 0) |
                    (control & 16 ? CR4_DE : 0) | (control & 32 ? CR4_PGE : 0) |
                    (control & 64 ? CR4_UMIP : 0);
    cpu->regs.efer = EFER_SCE | EFER_SVME | (control & 128 ? EFER_NXE : 0) |
                     (is_long(begin) ? EFER_LME | EFER_LMA : 0);
}

static void set_cpu(struct reader *in, struct vcpu *cpu, enum begin begin)
{
    unsigned control = (unsigned)read_bytes(in, 2), bits = bits_of(begin);
    unsigned cpl = begin > BEGIN_UNREAL && (control & 0x300) == 0x300 ? 3 : 0;
    for (unsigned i = 0; i < 8; i++)
        cpu->r[i] = guest_number32(in);
    cpu->r[REG_RSP] = bits == 16 ? 0xf00u - 0x80 * cpu->index : STACK - 0x80 * cpu->index;
    cpu->r[REG_RIP] = bits == 16 ? 0 : bits == 32 ? CODE32_SPA : CODE64_SPA;
    set_paging(cpu, begin, control);
    cpu->rflags = 2u | (control & 0x400 ? FLAG_IF : 0) |
                  ((control & 0x3800) == 0x3800 ? FLAG_TF : 0) | (control & 0x4000 ? 3u << 12 : 0) |
                  (control & 0x8000 ? FLAG_AC : 0) | (begin == BEGIN_V86 ? FLAG_VM : 0);
    cpu->flags_kind = FLAGS_MATERIAL;
    cpu->regs.gdtr = (struct table_register){ .base = GDT_SPA, .limit = 8 * E_COUNT - 1 };
    cpu->regs.idtr = (struct table_register){ .base = IDT_SPA, .limit = 0xfff };
    if (begin <= BEGIN_UNREAL)
        cpu->regs.idtr = (struct table_register){ .limit = 0x3ff };
    set_protected_segments(cpu, bits, begin == BEGIN_V86 ? 3 : cpl);
    if (begin <= BEGIN_UNREAL || begin == BEGIN_V86)
        set_real_segments(cpu, begin == BEGIN_UNREAL ? UINT32_MAX : 0xffff,
                          begin == BEGIN_V86 ? 0xf3 : 0x93);
    if (begin <= BEGIN_UNREAL)
        cpu->regs.cpl = 0;
    cpu->msr.star = (uint64_t)(8 * E_CODE32) << 48 | (uint64_t)(8 * E_CODE64) << 32 | CODE32_SPA;
    cpu->msr.lstar = CODE64_SPA + 0x100;
    cpu->msr.cstar = CODE64_SPA + 0x110;
    cpu->msr.sysenter_cs = 8 * E_CODE32;
    cpu->msr.sysenter_eip = CODE32_SPA + 0x200;
    cpu->msr.sysenter_esp = RSP0;
    cpu->msr.vm_hsave_pa = HSAVE_SPA;
    cpu->msr.smbase = 0x30000;
    cpu->regs.wait_sipi = false;
    cpu_update_mode(cpu);
}

/* --- the input's changes ------------------------------------------------------------------------------------ */

static void change_one(struct reader *in, struct pacifica_machine *machine)
{
    static const uint16_t place[] = { GDT_SPA >> 4,      GDT_SPA >> 4,
                                      LDT_SPA >> 4,      IDT_SPA >> 4,
                                      TSS_SPA >> 4,      TSS_SPA >> 4,
                                      PML4_SPA >> 4,     PDPT_SPA >> 4,
                                      PD_SPA >> 4,       PT_SPA >> 4,
                                      PD32_SPA >> 4,     PT32_SPA >> 4,
                                      DATA_SPA >> 4,     0,
                                      PAE_PDPT_SPA >> 4, IDT_SPA >> 4 };
    unsigned what = read8(in), which = read8(in);
    uint64_t spa = ((uint64_t)place[which & 15] << 4) + ((which & 0xf0u) << 1) + (what & 0x1f);
    struct cpu_regs *regs = &machine->cpu[0]->regs;
    switch (what >> 5) {
    case 0:
    case 1:
    case 2:
        store(machine, spa, 1, phys_read(machine->memory, spa, 1) ^ 1u << (read8(in) & 7));
        break;
    case 3: store(machine, spa, 1, read8(in)); break;
    case 4: store(machine, spa & ~UINT64_C(7), 8, read_bytes(in, 8)); break;
    case 5:
        regs->dr[which & 3] = guest_number32(in);
        regs->dr[7] = 0x400 | read_bytes(in, 4);
        break;
    case 6: regs->seg[which % SEG_COUNT].limit = guest_number32(in); break;
    default: regs->seg[which % SEG_COUNT].attr ^= (uint16_t)(1u << (what & 15) & 0x4ff); break;
    }
}

void modes_make(struct reader *in, struct pacifica_machine *machine)
{
    enum begin begin = read8(in) % BEGIN_COUNT;
    unsigned changes = read8(in), smm = read8(in);
    uint64_t cr3 = begin >= BEGIN_PAE ? PAE_PDPT_SPA : PD32_SPA;
    changes = changes < 0x60 ? 0 : changes < 0xc0 ? changes % 4 : changes % 16;
    make_page_tables(machine);
    make_gdt(machine);
    make_tss(machine, is_long(begin), cr3);
    make_idt(in, machine, is_long(begin));
    for (unsigned i = 0; i < machine->cpu_count; i++)
        set_cpu(in, machine->cpu[i], begin);
    store(machine, 0x38000, 4, 0xaa0f0000u >> (smm & 1 ? 16 : 0)); /* RSM, or DATA_SPA as it is */
    while (changes-- > 0)
        change_one(in, machine);
    static const unsigned bits[] = { 16, 32, 64 };
    for (unsigned i = 0; i < 3; i++) {
        bool first = bits[i] == bits_of(begin);
        modes_write_code(in, first ? 60 : 12, bits[i],
                         memory_ptr(machine->memory, CODE16_SPA + 0x1000 * i, 4096), 0x1000);
    }
}

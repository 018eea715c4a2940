/* Page tables, descriptor tables, tasks and handlers of guests that begin in any mode. */
#include "tests/fuzz/modes.h"

/* --- page tables -------------------------------------------------------------------------------- */

/* The first 2 MiB to themselves by 4 KiB pages, the next by a large page, and the first again at 4 or 6 MiB. */
static void make_page_tables(struct pacifica_machine *machine)
{
    modes_store(machine, PML4_SPA, 8, PDPT_SPA | 7);
    modes_store(machine, PDPT_SPA, 8, PD_SPA | 7);
    for (unsigned i = 0; i < 4; i++)
        modes_store(machine, PAE_PDPT_SPA + 8 * i, 8, PD_SPA | 1);
    modes_store(machine, PD_SPA, 8, PT_SPA | 7);
    modes_store(machine, PD_SPA + 8, 8, 0x87);
    modes_store(machine, PD_SPA + 24, 8, PT_SPA | 7);
    modes_store(machine, PD32_SPA, 4, PT32_SPA | 7);
    modes_store(machine, PD32_SPA + 4, 4, 0x87);
    modes_store(machine, PD32_SPA + 8, 4, PT32_SPA | 7);
    for (uint64_t i = 0; i < 512; i++) {
        modes_store(machine, PT_SPA + 8 * i, 8, i << 12 | 7);
        modes_store(machine, PT32_SPA + 4 * i, 4, i << 12 | 7);
    }
    modes_store(machine, PT_SPA + 8 * (LAPIC_LA >> 12), 8, 0xfee00007);
    modes_store(machine, PT_SPA + 8 * (IOAPIC_LA >> 12), 8, 0xfec00007);
    modes_store(machine, PT32_SPA + 4 * (LAPIC_LA >> 12), 4, 0xfee00007);
    modes_store(machine, PT32_SPA + 4 * (IOAPIC_LA >> 12), 4, 0xfec00007);
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
static void make_tasks(struct pacifica_machine *machine, uint64_t table, bool long_mode)
{
    for (unsigned i = 1; i < TSS_COUNT; i++) {
        uint32_t at = TSS_SPA + i * TSS_BYTES;
        bool wide = i & 1;
        modes_store(machine, table + 8 * (E_GATES + i), 8,
                    descriptor(at, TSS_BYTES - 1, wide ? 0x0e9 : 0x0e1));
        modes_store(machine, table + 8 * (E_GATES + 8 + i), 8, gate(8 * (E_GATES + i), 0, 5, 3, 0));
    }
    for (unsigned i = 0; i < 8; i++) {
        bool wide = i & 1;
        uint64_t to = long_mode ? gate(8 * E_CODE64, CODE64_SPA + 16 * i, 12, i & 2 ? 3 : 0, 0)
                      : wide    ? gate(8 * E_CODE32, CODE32_SPA + 16 * i, 12, i & 2 ? 3 : 0, i)
                                : gate(8 * E_CODE16, 16 * i, 4, i & 2 ? 3 : 0, i);
        modes_store(machine, table + 8 * (E_GATES + 16 + i), 8, to);
        if (long_mode) /* 16 bytes each */
            modes_store(machine, table + 8 * (E_GATES + 16 + ++i), 8, 0);
    }
}

/* Far pointers, 16 bytes each, and what LGDT and LIDT may load. */
static void make_pointers(struct pacifica_machine *machine)
{
    static const struct {
        uint32_t offset;
        uint16_t selector;
    } far[FAR_COUNT] = {
        { 0, 8 * E_CODE16 },       { CODE32_SPA, 8 * E_CODE32 },  { CODE64_SPA, 8 * E_CODE64 },
        { 0, 8 * (E_GATES + 17) }, { 0, 8 * (E_GATES + 18) + 4 }, { 0, 8 * (E_GATES + 1) },
        { 0, 8 * (E_GATES + 10) }, { CODE32_SPA, 8 * E_OTHERS },
    };
    for (unsigned i = 0; i < FAR_COUNT; i++)
        modes_store(machine, FAR_SPA + 16 * i, 8, far[i].offset | (uint64_t)far[i].selector << 32);
    modes_store(machine, TABLES_SPA, 8, (uint64_t)IDT_SPA << 16 | 0xfff);
    modes_store(machine, TABLES_SPA + 8, 8, 0x3ff);
    modes_store(machine, TABLES_SPA + 16, 8, (uint64_t)GDT_SPA << 16 | (8 * E_COUNT - 1));
}

static void make_gdt(struct pacifica_machine *machine, bool long_mode)
{
    for (unsigned t = 0; t < 2; t++) {
        uint64_t table = t ? LDT_SPA : GDT_SPA;
        for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
            modes_store(machine, table + 8 * segments[i].at, 8,
                        descriptor(segments[i].base, segments[i].limit20, segments[i].attr));
        make_tasks(machine, table, long_mode);
    }
}

static void make_tss32(struct pacifica_machine *machine, uint64_t at, unsigned n, uint64_t cr3)
{
    static const uint8_t selector[6] = { E_DATA, E_CODE32, E_DATA, E_DATA, 0, 0 };
    for (unsigned cpl = 0; cpl < 3; cpl++) {
        modes_store(machine, at + 4 + 8 * cpl, 4, RSP0 - 0x200 * cpl);
        modes_store(machine, at + 8 + 8 * cpl, 2,
                    cpl == 0   ? 8 * E_DATA
                    : cpl == 1 ? 8 * (E_OTHERS + 9) + 1
                               : 8 * (E_OTHERS + 11) + 2);
    }
    modes_store(machine, at + 0x1c, 4, cr3);
    modes_store(machine, at + 0x20, 4, CODE32_SPA + 0x10 * n);
    modes_store(machine, at + 0x24, 4, n == 5 ? 0x20202 : 2);
    modes_store(machine, at + 0x38, 4, STACK - 0x100 * n);
    for (unsigned i = 0; i < 6; i++)
        modes_store(machine, at + 0x48 + 4 * i, 2, n == 5 ? 0x1000u : 8u * selector[i]);
    modes_store(machine, at + 0x60, 2, n & 2 ? 8 * E_LDT : 0);
    modes_store(machine, at + 0x64, 2, n == 3);
    modes_store(machine, at + 0x66, 2, 0x88);
}

static void make_tss16(struct pacifica_machine *machine, uint64_t at, unsigned n)
{
    for (unsigned cpl = 0; cpl < 3; cpl++) {
        modes_store(machine, at + 2 + 4 * cpl, 2, 0x1000 - 0x100 * cpl);
        modes_store(machine, at + 4 + 4 * cpl, 2,
                    cpl == 0 ? 8 * E_DATA16 : 8 * (E_OTHERS + 11) + cpl);
    }
    modes_store(machine, at + 0x0e, 2, 0x10 * n);
    modes_store(machine, at + 0x10, 2, 2);
    modes_store(machine, at + 0x1a, 2, 0xff0 - 0x100 * n);
    modes_store(machine, at + 0x22, 2, 8 * E_DATA16);
    modes_store(machine, at + 0x24, 2, 8 * E_CODE16);
    modes_store(machine, at + 0x26, 2, 8 * E_DATA16);
    modes_store(machine, at + 0x28, 2, 8 * E_DATA16);
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
        modes_store(machine, TSS_SPA + 4 + 8 * i, 8, RSP0);
    for (unsigned i = 0; i < 7; i++)
        modes_store(machine, TSS_SPA + 0x24 + 8 * i, 8, IST1);
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
        modes_store(machine, 4 * v, 4,
                    HANDLER_REAL_SPA + 8 * v); /* the interrupt table of real mode */
        if (long_mode) {
            modes_store(machine, IDT_SPA + 16 * v, 8,
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
        modes_store(machine, IDT_SPA + 8 * v, 8, to);
    }
}

void modes_make_tables(struct reader *in, struct pacifica_machine *machine, enum begin begin)
{
    bool long_mode = begin_is_long(begin);
    make_page_tables(machine);
    make_gdt(machine, long_mode);
    make_pointers(machine);
    make_tss(machine, long_mode, begin_is_pae(begin) ? PAE_PDPT_SPA : PD32_SPA);
    make_idt(in, machine, long_mode);
}

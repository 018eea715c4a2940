/* Building the MP table. */
#include "emu/boot/mptable.h"

#include "devices/ioapic.h"
#include "emu/boot/boot_priv.h"

#include <assert.h>
#include <string.h>

#define HEADER_BYTES 44u
#define LOCAL_APIC 0xfee00000u
#define LOCAL_APIC_VERSION 0x10u
#define IO_APIC_VERSION 0x20u
#define PCI_BUS 0u
#define ISA_BUS 1u
#define PCI_SLOTS 32u

enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IO_APIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum { KIND_INT = 0, KIND_NMI = 1, KIND_EXTINT = 3 };
#define HIGH_LEVEL 0xdu
#define CPU_FAMILY 0xf00u   /* a signature is there for old software only: CPUID tells */
#define CPU_FEATURES 0x201u /* FPU, APIC */

static uint8_t *entry_add(struct mptable *table, uint8_t type, size_t len)
{
    assert(table->len + len <= sizeof(table->bytes));
    uint8_t *entry = table->bytes + table->len;
    table->len += len;
    entry[0] = type;
    boot_put(table->bytes + 34, boot_get16(table->bytes + 34) + 1, 2);
    return entry;
}

static void add_cpu(struct mptable *table, unsigned id)
{
    uint8_t *entry = entry_add(table, ENTRY_CPU, 20);
    entry[1] = (uint8_t)id;
    entry[2] = LOCAL_APIC_VERSION;
    entry[3] = id == 0 ? 3 : 1; /* usable; the bootstrap processor */
    boot_put(entry + 4, CPU_FAMILY, 4);
    boot_put(entry + 8, CPU_FEATURES, 4);
}

static void add_bus(struct mptable *table, uint8_t id, const char name[6])
{
    uint8_t *entry = entry_add(table, ENTRY_BUS, 8);
    entry[1] = id;
    memcpy(entry + 2, name, 6);
}

/* To the I/O APIC, which has ID 0, or to a LINT input of local APICs. */
static void add_interrupt(struct mptable *table, uint8_t type, uint8_t kind, unsigned flags,
                          uint8_t bus, unsigned source, uint8_t apic, unsigned input)
{
    uint8_t *entry = entry_add(table, type, 8);
    entry[1] = kind;
    boot_put(entry + 2, flags, 2);
    entry[4] = bus;
    entry[5] = (uint8_t)source;
    entry[6] = apic;
    entry[7] = (uint8_t)input;
}

/* Inputs have the numbers of the interrupts, except the timer's. What PCI can be routed to, and SCI, is level-triggered. */
static void add_isa(struct mptable *table)
{
    const unsigned level = 1u << 5 | 1u << 9 | 1u << 10 | 1u << 11;
    for (unsigned irq = 0; irq < 16; irq++)
        if (irq != 2)
            add_interrupt(table, ENTRY_INTERRUPT, KIND_INT, level >> irq & 1 ? HIGH_LEVEL : 0,
                          ISA_BUS, irq, 0, irq == 0 ? 2 : irq);
}

/* INTx of slot n goes to line x + n - 1. */
static void add_pci(struct mptable *table, const uint8_t pirq[4])
{
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < 4; pin++)
            add_interrupt(table, ENTRY_INTERRUPT, KIND_INT, HIGH_LEVEL, PCI_BUS, slot << 2 | pin, 0,
                          pirq[(pin + slot - 1) & 3]);
}

static uint8_t negative_sum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

void mptable_build(unsigned cpus, const uint8_t pirq[4], struct mptable *table)
{
    memset(table, 0, sizeof(*table));
    table->len = HEADER_BYTES;
    memcpy(table->bytes, "PCMP", 4);
    table->bytes[6] = 4; /* of version 1.4 */
    memcpy(table->bytes + 8, "PACIFICA", 8);
    memcpy(table->bytes + 16, "PC          ", 12);
    boot_put(table->bytes + 36, LOCAL_APIC, 4);
    for (unsigned i = 0; i < cpus; i++)
        add_cpu(table, i);
    add_bus(table, PCI_BUS, "PCI   ");
    add_bus(table, ISA_BUS, "ISA   ");
    uint8_t *io = entry_add(table, ENTRY_IO_APIC, 8);
    io[2] = IO_APIC_VERSION;
    io[3] = 1;
    boot_put(io + 4, IOAPIC_SPA, 4);
    add_isa(table);
    add_pci(table, pirq);
    add_interrupt(table, ENTRY_LOCAL, KIND_EXTINT, 0, ISA_BUS, 0, 0, 0);
    add_interrupt(table, ENTRY_LOCAL, KIND_NMI, 0, ISA_BUS, 0, 0xff, 1);
    boot_put(table->bytes + 4, table->len, 2);
    table->bytes[7] = negative_sum(table->bytes, table->len);
}

void mptable_pointer(uint32_t table_spa, uint8_t pointer[MPTABLE_POINTER_BYTES])
{
    memset(pointer, 0, MPTABLE_POINTER_BYTES);
    memcpy(pointer, "_MP_", 4);
    boot_put(pointer + 4, table_spa, 4);
    pointer[8] = 1; /* in units of 16 bytes */
    pointer[9] = 4;
    pointer[10] = negative_sum(pointer, MPTABLE_POINTER_BYTES);
}

/* 82093AA I/O APIC. Intel 82093AA data sheet (order number 290566): "Registers", "Interrupt delivery".
 *
 * CHOICE: version 20h, with an EOI register at offset 40h, as on QEMU; the 82093AA itself is version 11h and has none.
 * CHOICE: the polarity bit is kept and has no effect: devices say whether they ask, not whether their line is high. That is
 * so on the machines we are compatible with, and software sets the bit there without regard to the wires.
 * CHOICE: an edge that nobody accepts is lost; a level is tried again when an APIC becomes enabled, the entry is written
 * or the line rises.
 * CHOICE: message types other than fixed and lowest priority are edge-triggered, whatever the entry says. */
#include "devices/ioapic.h"

#define WINDOW_BYTES 4096
#define OFFSET_INDEX 0x00
#define OFFSET_DATA 0x10
#define OFFSET_EOI 0x40

#define REG_ID 0x00
#define REG_VERSION 0x01
#define REG_ARBITRATION 0x02
#define REG_ENTRIES 0x10 /* two for each pin */
#define VERSION (0x20u | (IOAPIC_PINS - 1) << 16)

/* A redirection table entry. */
#define RTE_LOGICAL 0x00800u
#define RTE_REMOTE_IRR 0x04000u
#define RTE_LEVEL 0x08000u
#define RTE_MASKED 0x10000u
#define RTE_LOW_WRITABLE 0x1afffu /* without delivery status and remote IRR */
#define RTE_HIGH_WRITABLE 0xff000000u

struct entry {
    uint32_t low, high;
};

struct ioapic {
    struct apics *apics;
    uint8_t index, id;
    uint32_t lines; /* which inputs are asserted */
    struct entry entry[IOAPIC_PINS];
};

static enum apic_message_type message_type(const struct entry *entry)
{
    return (enum apic_message_type)(entry->low >> 8 & 7);
}

static bool is_level(const struct entry *entry)
{
    enum apic_message_type type = message_type(entry);
    return (entry->low & RTE_LEVEL) && (type == MT_FIXED || type == MT_LOWEST);
}

static bool send(const struct ioapic *ioapic, const struct entry *entry)
{
    const struct apic_message message = { .type = message_type(entry),
                                          .vector = (uint8_t)entry->low,
                                          .dest = (uint8_t)(entry->high >> 24),
                                          .logical = entry->low & RTE_LOGICAL,
                                          .level = is_level(entry) };
    return apics_message(ioapic->apics, &message);
}

/* Level-triggered: asks while its line is asserted, once until the EOI. */
static void service_level(struct ioapic *ioapic, unsigned pin)
{
    struct entry *entry = &ioapic->entry[pin];
    if (!is_level(entry) || !(ioapic->lines >> pin & 1) ||
        (entry->low & (RTE_MASKED | RTE_REMOTE_IRR)))
        return;
    if (send(ioapic, entry))
        entry->low |= RTE_REMOTE_IRR;
}

void ioapic_set_irq(void *self, unsigned pin, bool level)
{
    struct ioapic *ioapic = self;
    if (pin >= IOAPIC_PINS)
        return;
    uint32_t bit = 1u << pin;
    bool rises = level && !(ioapic->lines & bit);
    ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
    const struct entry *entry = &ioapic->entry[pin];
    if (is_level(entry))
        service_level(ioapic, pin);
    else if (rises && !(entry->low & RTE_MASKED)) /* an edge at a masked input is not remembered */
        (void)send(ioapic, entry);
}

static void ioapic_eoi(void *self, uint8_t vector)
{
    struct ioapic *ioapic = self;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        struct entry *entry = &ioapic->entry[pin];
        if (!(entry->low & RTE_REMOTE_IRR) || (uint8_t)entry->low != vector)
            continue;
        entry->low &= ~RTE_REMOTE_IRR;
        service_level(ioapic, pin);
    }
}

static void ioapic_ready(void *self)
{
    struct ioapic *ioapic = self;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        service_level(ioapic, pin);
}

static uint32_t read_register(const struct ioapic *ioapic)
{
    unsigned reg = ioapic->index;
    if (reg >= REG_ENTRIES && reg < REG_ENTRIES + 2 * IOAPIC_PINS) {
        const struct entry *entry = &ioapic->entry[(reg - REG_ENTRIES) / 2];
        return reg & 1 ? entry->high : entry->low;
    }
    switch (reg) {
    case REG_ID:
    case REG_ARBITRATION: return (uint32_t)ioapic->id << 24; /* the ID's write loads both */
    case REG_VERSION: return VERSION;
    default: return 0;
    }
}

/* The way to edge-triggered mode clears remote IRR: nothing else would, were its EOI lost. */
static void write_entry(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
    struct entry *entry = &ioapic->entry[pin];
    if (high) {
        entry->high = value & RTE_HIGH_WRITABLE;
    } else {
        entry->low = (value & RTE_LOW_WRITABLE) | (entry->low & RTE_REMOTE_IRR);
        if (!is_level(entry))
            entry->low &= ~RTE_REMOTE_IRR;
    }
    service_level(ioapic, pin);
}

static void write_register(struct ioapic *ioapic, uint32_t value)
{
    unsigned reg = ioapic->index;
    if (reg == REG_ID)
        ioapic->id = value >> 24 & 0x0f;
    else if (reg >= REG_ENTRIES && reg < REG_ENTRIES + 2 * IOAPIC_PINS)
        write_entry(ioapic, (reg - REG_ENTRIES) / 2, reg & 1, value);
}

static uint64_t ioapic_mmio_read(void *self, uint64_t offset, unsigned size)
{
    const struct ioapic *ioapic = self;
    if (offset == OFFSET_INDEX)
        return ioapic->index;
    return offset == OFFSET_DATA && size >= 4 ? read_register(ioapic) : 0;
}

static void ioapic_mmio_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct ioapic *ioapic = self;
    if (offset == OFFSET_INDEX)
        ioapic->index = (uint8_t)value;
    else if (offset == OFFSET_DATA && size >= 4)
        write_register(ioapic, (uint32_t)value);
    else if (offset == OFFSET_EOI && size >= 4)
        ioapic_eoi(ioapic, (uint8_t)value);
}

/* The lines keep their levels. */
static void ioapic_reset(void *self)
{
    struct ioapic *ioapic = self;
    ioapic->index = ioapic->id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic->entry[pin] = (struct entry){ .low = RTE_MASKED };
}

static void ioapic_state(void *self, struct snap *snap)
{
    struct ioapic *ioapic = self;
    SNAP(snap, ioapic, index);
    SNAP(snap, ioapic, id);
    SNAP(snap, ioapic, lines);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        struct entry *entry = &ioapic->entry[pin];
        SNAP(snap, entry, low);
        SNAP(snap, entry, high);
        if (entry->low & ~(RTE_LOW_WRITABLE | RTE_REMOTE_IRR))
            snap_refuse(snap, "low");
    }
    if (ioapic->lines >> IOAPIC_PINS)
        snap_refuse(snap, "lines");
}

static const struct dev_class dev_ioapic = {
    .name = "ioapic",
    .mmio_base = IOAPIC_SPA,
    .mmio_size = WINDOW_BYTES,
    .state_size = sizeof(struct ioapic),
    .reset = ioapic_reset,
    .mmio_read = ioapic_mmio_read,
    .mmio_write = ioapic_mmio_write,
    .state = ioapic_state,
    .state_version = 1,
};

struct ioapic *ioapic_add(struct bus *bus, struct apics *apics)
{
    struct ioapic *ioapic = bus_add(bus, &dev_ioapic);
    if (!ioapic)
        return NULL;
    ioapic->apics = apics;
    ioapic_reset(ioapic);
    const struct apics_listener listener = { .eoi = ioapic_eoi,
                                             .ready = ioapic_ready,
                                             .self = ioapic };
    apics_listen(apics, &listener);
    return ioapic;
}

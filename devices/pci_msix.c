/* MSI-X: the table, pending bits, and when a message goes.
 *
 * CHOICE: accesses to table and pending bits of other than four or eight aligned bytes, which the specification leaves open,
 * read what is there and write nothing. */
#include "devices/pci_msix.h"

#include "devices/pci_priv.h"

#include <assert.h>

#define CAPABILITY_ID 0x11
#define CONTROL 2 /* from the capability */
#define TABLE 4
#define PENDING 8
#define CONTROL_ENABLE 0x8000u
#define CONTROL_MASK 0x4000u

#define BAR_BYTES 4096
#define PENDING_AT 0x800u
#define ENTRY_BYTES 16u

static uint16_t control(const struct pci_msix *msix)
{
    return pci_get16(msix->dev, msix->capability + CONTROL);
}

bool pci_msix_enabled(const struct pci_msix *msix)
{
    return control(msix) & CONTROL_ENABLE;
}

/* Send what is pending and need not be. A message is a write by the function: without bus mastering it is lost. */
static void send_pending(struct pci_msix *msix)
{
    if ((control(msix) & (CONTROL_ENABLE | CONTROL_MASK)) != CONTROL_ENABLE)
        return;
    for (unsigned i = 0; i < msix->count; i++) {
        const struct pci_msix_vector *vector = &msix->vector[i];
        if (!(msix->pending >> i & 1) || vector->masked)
            continue;
        msix->pending &= ~(UINT32_C(1) << i);
        pci_bus_message(msix->dev, vector->address, vector->data);
    }
}

void pci_msix_notify(struct pci_msix *msix, unsigned vector)
{
    if (vector >= msix->count || !pci_msix_enabled(msix))
        return;
    msix->pending |= UINT32_C(1) << vector;
    send_pending(msix);
}

/* --- the table ------------------------------------------------------------------------------------ */

static uint32_t read_word(const struct pci_msix *msix, unsigned at)
{
    if (at >= PENDING_AT)
        return at == PENDING_AT ? msix->pending : 0;
    if (at / ENTRY_BYTES >= msix->count)
        return 0;
    const struct pci_msix_vector *vector = &msix->vector[at / ENTRY_BYTES];
    switch (at % ENTRY_BYTES) {
    case 0: return (uint32_t)vector->address;
    case 4: return (uint32_t)(vector->address >> 32);
    case 8: return vector->data;
    default: return vector->masked;
    }
}

static void write_word(struct pci_msix *msix, unsigned at, uint32_t value)
{
    if (at / ENTRY_BYTES >= msix->count)
        return;
    struct pci_msix_vector *vector = &msix->vector[at / ENTRY_BYTES];
    switch (at % ENTRY_BYTES) {
    case 0: vector->address = (vector->address & ~UINT64_C(0xffffffff)) | (value & ~3u); break;
    case 4: vector->address = (vector->address & 0xffffffff) | (uint64_t)value << 32; break;
    case 8: vector->data = value; break;
    default: vector->masked = value & 1; break;
    }
}

static uint64_t table_read(void *self, uint64_t offset, unsigned size)
{
    const struct pci_msix *msix = self;
    unsigned at = (unsigned)offset & ~3u, shift = 8 * (offset & 3);
    uint64_t both = read_word(msix, at) | (uint64_t)read_word(msix, at + 4) << 32;
    (void)size; /* what is too much is cut off by the reader */
    return both >> shift;
}

static void table_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_msix *msix = self;
    if (size < 4 || offset % size)
        return;
    write_word(msix, (unsigned)offset, (uint32_t)value);
    if (size == 8)
        write_word(msix, (unsigned)offset + 4, (uint32_t)(value >> 32));
    send_pending(msix);
}

/* --- the function --------------------------------------------------------------------------------- */

void pci_msix_written(struct pci_msix *msix)
{
    send_pending(msix);
}

void pci_msix_reset(struct pci_msix *msix)
{
    msix->pending = 0;
    for (unsigned i = 0; i < msix->count; i++)
        msix->vector[i] = (struct pci_msix_vector){ .masked = true };
}

void pci_msix_state(struct pci_msix *msix, struct snap *snap)
{
    SNAP(snap, msix, pending);
    if (snap_loading(snap) && (uint64_t)msix->pending >> msix->count) {
        snap_refuse(snap, "pending");
        msix->pending = 0;
    }
    for (unsigned i = 0; i < msix->count; i++) {
        struct pci_msix_vector *vector = &msix->vector[i];
        SNAP(snap, vector, address);
        SNAP(snap, vector, data);
        SNAP(snap, vector, masked);
    }
}

void pci_msix_add(struct pci_msix *msix, struct pci_device *dev, unsigned bar, unsigned capability,
                  unsigned count)
{
    assert(count >= 1 && count <= PCI_MSIX_MOST);
    msix->dev = dev;
    msix->capability = (uint8_t)capability;
    msix->count = count;
    dev->msix = msix;
    pci_add_bar(dev, bar,
                &(struct pci_bar_config){ .kind = PCI_BAR_MEM,
                                          .bytes = BAR_BYTES,
                                          .read = table_read,
                                          .write = table_write,
                                          .self = msix });
    pci_add_capability(dev, CAPABILITY_ID, capability);
    pci_put16(dev, capability + CONTROL, (uint16_t)(count - 1));
    dev->writable[capability + CONTROL + 1] = (CONTROL_ENABLE | CONTROL_MASK) >> 8;
    pci_put32(dev, capability + TABLE, bar);
    pci_put32(dev, capability + PENDING, PENDING_AT | bar);
    pci_msix_reset(msix);
}

/* The interface of drivers from before VIRTIO 1.0: registers at I/O ports. VIRTIO 4.1.4.8 "Legacy Interfaces: A Note on PCI
 * Device Layout" and 2.6.2. Queues have the size that the device says, and lie in one piece. While MSI-X is enabled, two
 * vectors stand before the device's configuration. */
#include "devices/virtio_priv.h"

#define FEATURES 0
#define DRIVER_FEATURES 4
#define QUEUE_PFN 8
#define QUEUE_SIZE 12
#define QUEUE_SELECT 14
#define QUEUE_NOTIFY 16
#define STATUS 18
#define ISR 19
#define CONFIG 20 /* without MSI-X */
#define CONFIG_VECTOR 20
#define QUEUE_VECTOR 22
#define CONFIG_BEHIND_VECTORS 24

#define PAGE 4096u

/* What stands at each register; ISR apart, for reading it does something. */
static void image(struct virtio *virtio, uint8_t to[LEGACY_PORTS])
{
    const struct virtio_queue *queue = virtio_selected(virtio);
    uint8_t config[VIRTIO_CONFIG_BYTES];
    uint32_t pfn = queue && queue->enabled ? (uint32_t)(queue->table / PAGE) : 0;
    uint16_t size = queue ? VIRTIO_QUEUE_SIZE : 0;
    for (unsigned i = 0; i < 4; i++) {
        to[FEATURES + i] = (uint8_t)(virtio->features >> 8 * i);
        to[DRIVER_FEATURES + i] = (uint8_t)(virtio->driver_features >> 8 * i);
        to[QUEUE_PFN + i] = (uint8_t)(pfn >> 8 * i);
    }
    for (unsigned i = 0; i < 2; i++) {
        to[QUEUE_SIZE + i] = (uint8_t)(size >> 8 * i);
        to[QUEUE_SELECT + i] = (uint8_t)(virtio->queue_select >> 8 * i);
        to[QUEUE_NOTIFY + i] = 0;
    }
    to[STATUS] = virtio->status;
    to[ISR] = 0;
    virtio_config(virtio, config);
    unsigned first = CONFIG;
    if (pci_msix_enabled(&virtio->msix)) {
        uint16_t vector = queue ? queue->vector : PCI_MSIX_NONE;
        first = CONFIG_BEHIND_VECTORS;
        for (unsigned i = 0; i < 2; i++) {
            to[CONFIG_VECTOR + i] = (uint8_t)(virtio->config_vector >> 8 * i);
            to[QUEUE_VECTOR + i] = (uint8_t)(vector >> 8 * i);
        }
    }
    for (unsigned i = first; i < LEGACY_PORTS; i++)
        to[i] = i - first < VIRTIO_CONFIG_BYTES ? config[i - first] : 0;
}

uint64_t virtio_legacy_read(void *self, uint64_t offset, unsigned size)
{
    uint8_t registers[LEGACY_PORTS];
    uint64_t value = 0;
    image(self, registers);
    if (offset <= ISR && ISR < offset + size)
        registers[ISR] = virtio_read_isr(self);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)registers[offset + i] << 8 * i;
    return value;
}

/* The page that a queue begins at; 0 takes it away. */
static void set_pfn(struct virtio *virtio, uint32_t pfn)
{
    struct virtio_queue *queue = virtio_selected(virtio);
    if (!queue)
        return;
    uint16_t vector = queue->vector;
    virtio_queue_reset(queue);
    queue->vector = vector;
    queue->enabled = pfn != 0;
    queue->table = (uint64_t)pfn * PAGE;
    queue->avail = queue->table + 16u * VIRTIO_QUEUE_SIZE;
    queue->used = (queue->avail + 6 + 2u * VIRTIO_QUEUE_SIZE + PAGE - 1) / PAGE * PAGE;
}

static void set_vector(struct virtio *virtio, uint64_t offset, uint64_t value)
{
    struct virtio_queue *queue = virtio_selected(virtio);
    if (offset == CONFIG_VECTOR)
        virtio->config_vector = virtio_vector(virtio, value);
    else if (queue)
        queue->vector = virtio_vector(virtio, value);
}

/* Registers are written whole, as drivers do. */
void virtio_legacy_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *virtio = self;
    if (offset == DRIVER_FEATURES && size == 4)
        virtio_set_features(virtio, 0, (uint32_t)value);
    else if (offset == QUEUE_PFN && size == 4)
        set_pfn(virtio, (uint32_t)value);
    else if (offset == QUEUE_SELECT && size == 2)
        virtio->queue_select = (uint16_t)value;
    else if (offset == QUEUE_NOTIFY && size == 2)
        virtio_notify(virtio, (uint16_t)value);
    else if (offset == STATUS && size == 1)
        virtio_set_status(virtio, (uint8_t)value, true);
    else if ((offset == CONFIG_VECTOR || offset == QUEUE_VECTOR) && size == 2 &&
             pci_msix_enabled(&virtio->msix))
        set_vector(virtio, offset, value);
}

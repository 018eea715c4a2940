/* virtio over PCI: the function with its capabilities, and the registers in memory that they point to. VIRTIO 4.1. The
 * function is transitional: drivers of before 1.0 find their ports at BAR 0.
 *
 * CHOICE: a queue's size that is no power of two, or larger than ours, is not taken. */
#include "devices/virtio_priv.h"

#include <string.h>

#define VENDOR 0x1af4u
#define MODERN_BAR 4
#define MODERN_BYTES 0x4000u

/* The parts of BAR 4, a page each. */
enum part { PART_COMMON, PART_ISR, PART_DEVICE, PART_NOTIFY };
#define PART_BYTES 0x1000u
#define NOTIFY_STEP 4u /* bytes between the doorbells of two queues */

/* The capability that reaches the BARs through configuration space. VIRTIO 4.1.4.7. */
#define ACCESS_CAP 0x84u
#define ACCESS_BAR (ACCESS_CAP + 4)
#define ACCESS_OFFSET (ACCESS_CAP + 8)
#define ACCESS_LENGTH (ACCESS_CAP + 12)
#define ACCESS_DATA (ACCESS_CAP + 16)
#define MSIX_CAP 0x98u

/* --- the common configuration. VIRTIO 4.1.4.3 ---------------------------------------------------------- */

enum field {
    FEATURE_SELECT,
    FEATURE,
    DRIVER_FEATURE_SELECT,
    DRIVER_FEATURE,
    MSIX_CONFIG,
    QUEUES,
    STATUS,
    GENERATION,
    QUEUE_SELECT,
    QUEUE_SIZE,
    QUEUE_VECTOR,
    QUEUE_ENABLE,
    QUEUE_NOTIFY_OFFSET,
    QUEUE_TABLE,
    QUEUE_AVAIL,
    QUEUE_USED,
    FIELDS
};

static const struct {
    uint8_t offset, bytes;
} fields[FIELDS] = {
    [FEATURE_SELECT] = { 0, 4 },
    [FEATURE] = { 4, 4 },
    [DRIVER_FEATURE_SELECT] = { 8, 4 },
    [DRIVER_FEATURE] = { 12, 4 },
    [MSIX_CONFIG] = { 16, 2 },
    [QUEUES] = { 18, 2 },
    [STATUS] = { 20, 1 },
    [GENERATION] = { 21, 1 },
    [QUEUE_SELECT] = { 22, 2 },
    [QUEUE_SIZE] = { 24, 2 },
    [QUEUE_VECTOR] = { 26, 2 },
    [QUEUE_ENABLE] = { 28, 2 },
    [QUEUE_NOTIFY_OFFSET] = { 30, 2 },
    [QUEUE_TABLE] = { 32, 8 },
    [QUEUE_AVAIL] = { 40, 8 },
    [QUEUE_USED] = { 48, 8 },
};

static uint64_t get_queue_field(const struct virtio *virtio, const struct virtio_queue *queue,
                                enum field field)
{
    switch (field) {
    case QUEUE_SIZE: return queue->size;
    case QUEUE_VECTOR: return queue->vector;
    case QUEUE_ENABLE: return queue->enabled;
    case QUEUE_NOTIFY_OFFSET: return virtio->queue_select;
    case QUEUE_TABLE: return queue->table;
    case QUEUE_AVAIL: return queue->avail;
    case QUEUE_USED: return queue->used;
    default: return 0;
    }
}

static uint32_t half_of(uint64_t features, uint32_t select)
{
    return select > 1 ? 0 : (uint32_t)(features >> 32 * select);
}

static uint64_t get_field(struct virtio *virtio, enum field field)
{
    const struct virtio_queue *queue = virtio_selected(virtio);
    switch (field) {
    case FEATURE_SELECT: return virtio->feature_select;
    case FEATURE: return half_of(virtio->features, virtio->feature_select);
    case DRIVER_FEATURE_SELECT: return virtio->driver_feature_select;
    case DRIVER_FEATURE: return half_of(virtio->driver_features, virtio->driver_feature_select);
    case MSIX_CONFIG: return virtio->config_vector;
    case QUEUES: return virtio->class->queues;
    case STATUS: return virtio->status;
    case GENERATION: return 0; /* no device changes its configuration */
    case QUEUE_SELECT: return virtio->queue_select;
    default: return queue ? get_queue_field(virtio, queue, field) : 0;
    }
}

/* A queue that works stays as it is. */
static void set_queue_field(struct virtio_queue *queue, enum field field, uint64_t value)
{
    if (queue->enabled)
        return;
    switch (field) {
    case QUEUE_SIZE:
        if (value && value <= VIRTIO_QUEUE_SIZE && (value & (value - 1)) == 0)
            queue->size = (uint16_t)value;
        break;
    case QUEUE_ENABLE: queue->enabled = value == 1; break;
    case QUEUE_TABLE: queue->table = value; break;
    case QUEUE_AVAIL: queue->avail = value; break;
    case QUEUE_USED: queue->used = value; break;
    default: break;
    }
}

static void set_field(struct virtio *virtio, enum field field, uint64_t value)
{
    struct virtio_queue *queue = virtio_selected(virtio);
    switch (field) {
    case FEATURE_SELECT: virtio->feature_select = (uint32_t)value; break;
    case DRIVER_FEATURE_SELECT: virtio->driver_feature_select = (uint32_t)value; break;
    case DRIVER_FEATURE:
        virtio_set_features(virtio, virtio->driver_feature_select, (uint32_t)value);
        break;
    case STATUS: virtio_set_status(virtio, (uint8_t)value, false); break;
    case QUEUE_SELECT: virtio->queue_select = (uint16_t)value; break;
    case MSIX_CONFIG: virtio->config_vector = virtio_vector(virtio, value); break;
    case QUEUE_VECTOR: /* that of a working queue, too */
        if (queue)
            queue->vector = virtio_vector(virtio, value);
        break;
    default:
        if (queue)
            set_queue_field(queue, field, value);
    }
}

static uint8_t read_common(struct virtio *virtio, uint64_t offset)
{
    for (unsigned i = 0; i < FIELDS; i++)
        if (offset >= fields[i].offset && offset < (uint64_t)fields[i].offset + fields[i].bytes)
            return (uint8_t)(get_field(virtio, (enum field)i) >> 8 * (offset - fields[i].offset));
    return 0;
}

/* Each field that a write reaches gets its new bytes at once. */
static void write_common(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        uint64_t now = get_field(virtio, (enum field)i);
        bool reached = false;
        for (unsigned k = 0; k < fields[i].bytes; k++) {
            uint64_t at = (uint64_t)fields[i].offset + k;
            if (at < offset || at >= offset + size)
                continue;
            now &= ~(UINT64_C(0xff) << 8 * k);
            now |= (value >> 8 * (at - offset) & 0xff) << 8 * k;
            reached = true;
        }
        if (reached)
            set_field(virtio, (enum field)i, now);
    }
}

/* --- BAR 4 ------------------------------------------------------------------------------------------------ */

static uint64_t read_config(struct virtio *virtio, uint64_t offset, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_BYTES];
    uint64_t value = 0;
    virtio_config(virtio, config);
    for (unsigned i = 0; i < size && offset + i < VIRTIO_CONFIG_BYTES; i++)
        value |= (uint64_t)config[offset + i] << 8 * i;
    return value;
}

static uint64_t modern_read(void *self, uint64_t offset, unsigned size)
{
    struct virtio *virtio = self;
    uint64_t value = 0, at = offset % PART_BYTES;
    switch ((enum part)(offset / PART_BYTES)) {
    case PART_COMMON:
        for (unsigned i = 0; i < size; i++)
            value |= (uint64_t)read_common(virtio, at + i) << 8 * i;
        return value;
    case PART_ISR: return at == 0 ? virtio_read_isr(virtio) : 0;
    case PART_DEVICE: return read_config(virtio, at, size);
    default: return 0;
    }
}

/* No device has configuration that a driver can write. */
static void modern_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *virtio = self;
    uint64_t at = offset % PART_BYTES;
    enum part part = (enum part)(offset / PART_BYTES);
    if (part == PART_COMMON)
        write_common(virtio, at, size, value);
    else if (part == PART_NOTIFY)
        virtio_notify(virtio, (unsigned)(at / NOTIFY_STEP));
}

/* --- configuration space ------------------------------------------------------------------------------------ */

/* What the access capability asks for, or false if that is nothing. */
static bool access_wanted(const struct virtio *virtio, unsigned offset, unsigned size,
                          uint64_t *where, unsigned *length)
{
    const struct pci_device *pci = &virtio->pci;
    uint64_t limit = pci->config[ACCESS_BAR] == LEGACY_BAR   ? LEGACY_PORTS
                     : pci->config[ACCESS_BAR] == MODERN_BAR ? MODERN_BYTES
                                                             : 0;
    *where = pci_get32(pci, ACCESS_OFFSET);
    *length = pci_get32(pci, ACCESS_LENGTH);
    return offset < ACCESS_DATA + 4 && offset + size > ACCESS_DATA &&
           (*length == 1 || *length == 2 || *length == 4) && *where % *length == 0 &&
           *where < limit && *length <= limit - *where;
}

static void config_reading(void *self, unsigned offset, unsigned size)
{
    struct virtio *virtio = self;
    uint64_t where;
    unsigned length;
    if (!access_wanted(virtio, offset, size, &where, &length))
        return;
    bool modern = virtio->pci.config[ACCESS_BAR] == MODERN_BAR;
    uint64_t value =
        modern ? modern_read(virtio, where, length) : virtio_legacy_read(virtio, where, length);
    pci_put32(&virtio->pci, ACCESS_DATA, (uint32_t)value);
}

static void config_written(void *self, unsigned offset, unsigned size)
{
    struct virtio *virtio = self;
    uint64_t where;
    unsigned length;
    if (!access_wanted(virtio, offset, size, &where, &length))
        return;
    uint32_t value = pci_get32(&virtio->pci, ACCESS_DATA);
    if (virtio->pci.config[ACCESS_BAR] == MODERN_BAR)
        modern_write(virtio, where, length, value);
    else
        virtio_legacy_write(virtio, where, length, value);
}

/* VIRTIO 4.1.4: the five structures and where they are. */
static void add_capability(struct virtio *virtio, unsigned at, uint8_t bytes, uint8_t type,
                           uint8_t bar, uint32_t offset, uint32_t length)
{
    struct pci_device *pci = &virtio->pci;
    pci_add_capability(pci, 0x09, at);
    pci->config[at + 2] = bytes;
    pci->config[at + 3] = type;
    pci->config[at + 4] = bar;
    pci_put32(pci, at + 8, offset);
    pci_put32(pci, at + 12, length);
}

static void add_capabilities(struct virtio *virtio)
{
    struct pci_device *pci = &virtio->pci;
    add_capability(virtio, 0x40, 16, 1, MODERN_BAR, PART_COMMON * PART_BYTES, PART_BYTES);
    add_capability(virtio, 0x50, 16, 3, MODERN_BAR, PART_ISR * PART_BYTES, PART_BYTES);
    add_capability(virtio, 0x60, 16, 4, MODERN_BAR, PART_DEVICE * PART_BYTES, PART_BYTES);
    add_capability(virtio, 0x70, 20, 2, MODERN_BAR, PART_NOTIFY * PART_BYTES, PART_BYTES);
    pci_put32(pci, 0x80, NOTIFY_STEP);
    add_capability(virtio, ACCESS_CAP, 20, 5, 0, 0, 0);
    pci_msix_add(&virtio->msix, pci, MSIX_BAR, MSIX_CAP, virtio->class->queues + 1);
    pci->writable[ACCESS_BAR] = 0xff;
    memset(&pci->writable[ACCESS_OFFSET], 0xff, 12);
}

bool virtio_add(struct virtio *virtio, struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                const struct virtio_class *class, uint64_t features)
{
    const struct pci_identity identity = { .vendor = VENDOR,
                                           .device = class->pci_device,
                                           .subsystem_vendor = VENDOR,
                                           .subsystem = class->type,
                                           .class_code = class->pci_class,
                                           .pin = 1 };
    const struct pci_hooks hooks = { .written = config_written, .reading = config_reading };
    const struct pci_bar_config legacy = { .kind = PCI_BAR_IO,
                                           .bytes = LEGACY_PORTS,
                                           .port_size = 4,
                                           .read = virtio_legacy_read,
                                           .write = virtio_legacy_write,
                                           .self = virtio };
    const struct pci_bar_config modern = { .kind = PCI_BAR_MEM64,
                                           .prefetchable = true,
                                           .bytes = MODERN_BYTES,
                                           .read = modern_read,
                                           .write = modern_write,
                                           .self = virtio };
    virtio_init(virtio, bus, class, features);
    pci_init(&virtio->pci, &identity, &hooks, virtio);
    pci_add_bar(&virtio->pci, LEGACY_BAR, &legacy);
    pci_add_bar(&virtio->pci, MODERN_BAR, &modern);
    add_capabilities(virtio);
    return pci_add(pci, &virtio->pci, devfn);
}

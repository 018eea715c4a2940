/* The life of a virtio device: status, features, reset, and when it works. VIRTIO 2.1 to 2.4, 3.1.
 *
 * CHOICE: a device looks at its queues a microsecond after it was notified; so a driver that notifies and then waits in a
 * loop finds the answer soon, and no access to a register takes long.
 * CHOICE: notifications that come before DRIVER_OK count when it does: drivers of old send them so. */
#include "devices/virtio_priv.h"

#include <string.h>

#define NOTIFY_NS 1000u
#define FEATURES_OF_ALL (VIRTIO_ANY_LAYOUT | VIRTIO_INDIRECT | VIRTIO_EVENT_IDX | VIRTIO_VERSION_1)

void virtio_again(struct virtio *virtio, uint64_t delay_ns)
{
    struct vclock *clock = bus_clock(virtio->bus);
    if (!virtio->work.queued)
        clock_arm(clock, &virtio->work, clock_now_ns(clock) + delay_ns);
}

static void work(void *self, uint64_t now_ns)
{
    struct virtio *virtio = self;
    (void)now_ns;
    if ((virtio->status & STATUS_DRIVER_OK) && !virtio->broken)
        virtio->class->work(virtio);
}

void virtio_notify(struct virtio *virtio, unsigned queue)
{
    if (queue < virtio->class->queues && (virtio->status & STATUS_DRIVER_OK) && !virtio->broken)
        virtio_again(virtio, NOTIFY_NS);
}

void virtio_break(struct virtio *virtio, const char *text)
{
    if (virtio->broken)
        return;
    bus_tell(virtio->bus, PROBE_GUEST_ERROR, text);
    virtio->broken = true;
    if (!virtio_has(virtio, VIRTIO_VERSION_1)) /* drivers of old know no such thing */
        return;
    virtio->status |= STATUS_NEEDS_RESET;
    if (virtio->status & STATUS_DRIVER_OK)
        virtio_interrupt(virtio, ISR_CONFIG, virtio->config_vector);
}

void virtio_init(struct virtio *virtio, struct bus *bus, const struct virtio_class *class,
                 uint64_t features)
{
    virtio->bus = bus;
    virtio->class = class;
    virtio->features = features | FEATURES_OF_ALL;
    virtio->config_vector = PCI_MSIX_NONE;
    virtio->work = (struct deadline){ .fire = work, .self = virtio };
    for (unsigned i = 0; i < VIRTIO_QUEUES_MOST; i++)
        virtio_queue_reset(&virtio->queue[i]);
}

/* --- reset ----------------------------------------------------------------------------------------- */

void virtio_reset(struct virtio *virtio)
{
    clock_cancel(bus_clock(virtio->bus), &virtio->work);
    virtio->status = virtio->isr = 0;
    virtio->broken = false;
    virtio->queue_select = 0;
    virtio->feature_select = virtio->driver_feature_select = 0;
    virtio->driver_features = 0;
    virtio->config_vector = PCI_MSIX_NONE;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MOST; i++)
        virtio_queue_reset(&virtio->queue[i]);
    if (virtio->class->reset)
        virtio->class->reset(virtio);
    pci_set_intx(&virtio->pci, false);
}

void virtio_fini(struct virtio *virtio)
{
    clock_cancel(bus_clock(virtio->bus), &virtio->work);
}

/* --- what the driver writes -------------------------------------------------------------------------- */

/* VIRTIO 2.1, 2.2, 3.1.1: FEATURES_OK stays away if the driver takes what it was not offered, or uses the new interface
 * for a device of old. */
void virtio_set_status(struct virtio *virtio, uint8_t status, bool legacy)
{
    uint8_t before = virtio->status;
    if (status == 0) {
        virtio_reset(virtio);
        return;
    }
    if ((status & STATUS_FEATURES_OK) && !(before & STATUS_FEATURES_OK) &&
        ((virtio->driver_features & ~virtio->features) ||
         (!legacy && !virtio_has(virtio, VIRTIO_VERSION_1))))
        status &= (uint8_t)~STATUS_FEATURES_OK;
    virtio->status = (uint8_t)((status & ~STATUS_NEEDS_RESET) | (before & STATUS_NEEDS_RESET));
    if ((status & STATUS_DRIVER_OK) && !(before & STATUS_DRIVER_OK))
        virtio_notify(virtio, 0);
}

/* Features are settled with FEATURES_OK, and by drivers of old with DRIVER_OK. */
void virtio_set_features(struct virtio *virtio, unsigned half, uint32_t value)
{
    if (half > 1 || (virtio->status & (STATUS_FEATURES_OK | STATUS_DRIVER_OK)))
        return;
    uint64_t mask = UINT64_C(0xffffffff) << 32 * half;
    virtio->driver_features = (virtio->driver_features & ~mask) | (uint64_t)value << 32 * half;
}

void virtio_config(struct virtio *virtio, uint8_t to[VIRTIO_CONFIG_BYTES])
{
    memset(to, 0, VIRTIO_CONFIG_BYTES);
    if (virtio->class->config)
        virtio->class->config(virtio, to);
}

/* VIRTIO 4.1.4.5: reading takes the interrupt back. */
uint8_t virtio_read_isr(struct virtio *virtio)
{
    uint8_t isr = virtio->isr;
    virtio->isr = 0;
    pci_set_intx(&virtio->pci, false);
    return isr;
}

/* VIRTIO 4.1.4.5, 4.1.5.3: with MSI-X the ISR register tells of the configuration alone. */
void virtio_interrupt(struct virtio *virtio, uint8_t isr, uint16_t vector)
{
    bool messages = pci_msix_enabled(&virtio->msix);
    if (!messages || isr == ISR_CONFIG)
        virtio->isr |= isr;
    if (messages)
        pci_msix_notify(&virtio->msix, vector);
    else
        pci_set_intx(&virtio->pci, true);
}

/* VIRTIO 4.1.5.1.2: a vector that is not there reads back as none. */
uint16_t virtio_vector(const struct virtio *virtio, uint64_t value)
{
    return value < virtio->msix.count ? (uint16_t)value : PCI_MSIX_NONE;
}

struct virtio_queue *virtio_selected(struct virtio *virtio)
{
    return virtio->queue_select < virtio->class->queues ? &virtio->queue[virtio->queue_select]
                                                        : NULL;
}

/* --- state --------------------------------------------------------------------------------------------- */

/* Add up what was loaded. false: a segment is empty. */
static bool add_segments(struct virtio_request *request)
{
    request->out_bytes = request->in_bytes = 0;
    for (unsigned i = 0; i < request->out + request->in; i++) {
        uint32_t bytes = request->segment[i].bytes;
        *(i < request->out ? &request->out_bytes : &request->in_bytes) += bytes;
        if (!bytes)
            return false;
    }
    return true;
}

void virtio_request_state(struct virtio *virtio, struct virtio_request *request, struct snap *snap)
{
    SNAP(snap, request, head);
    request->queue = (uint16_t)snap_below(snap, "queue", request->queue, virtio->class->queues);
    SNAP_BELOW(snap, request, out, VIRTIO_SEGMENTS_MOST + 1);
    SNAP_BELOW(snap, request, in, VIRTIO_SEGMENTS_MOST + 1 - request->out);
    for (unsigned i = 0; i < request->out + request->in; i++) {
        struct virtio_segment *segment = &request->segment[i];
        SNAP(snap, segment, gpa);
        SNAP(snap, segment, bytes);
    }
    if (snap_loading(snap) && !add_segments(request)) {
        snap_refuse(snap, "segment");
        request->out = request->in = 0;
        request->out_bytes = request->in_bytes = 0;
    }
}

static void vector_state(struct virtio *virtio, struct snap *snap, uint16_t *vector)
{
    snap_u16(snap, "vector", vector);
    if (!snap_loading(snap) || *vector == virtio_vector(virtio, *vector))
        return;
    snap_refuse(snap, "vector");
    *vector = PCI_MSIX_NONE;
}

static void queue_state(struct virtio *virtio, struct virtio_queue *queue, struct snap *snap)
{
    SNAP(snap, queue, size);
    SNAP(snap, queue, enabled);
    SNAP(snap, queue, table);
    SNAP(snap, queue, avail);
    SNAP(snap, queue, used);
    SNAP(snap, queue, next_avail);
    SNAP(snap, queue, next_used);
    vector_state(virtio, snap, &queue->vector);
    if (!snap_loading(snap))
        return;
    if (queue->size && queue->size <= VIRTIO_QUEUE_SIZE && !(queue->size & (queue->size - 1)))
        return;
    snap_refuse(snap, "size");
    queue->size = VIRTIO_QUEUE_SIZE;
}

void virtio_state(struct virtio *virtio, struct snap *snap)
{
    pci_device_state(&virtio->pci, snap);
    SNAP(snap, virtio, status);
    SNAP(snap, virtio, isr);
    SNAP(snap, virtio, broken);
    SNAP(snap, virtio, queue_select);
    SNAP(snap, virtio, feature_select);
    SNAP(snap, virtio, driver_feature_select);
    SNAP(snap, virtio, driver_features);
    vector_state(virtio, snap, &virtio->config_vector);
    snap_deadline(snap, "work", bus_clock(virtio->bus), &virtio->work);
    for (unsigned i = 0; i < virtio->class->queues; i++)
        queue_state(virtio, &virtio->queue[i], snap);
}

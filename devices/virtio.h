/* virtio devices on PCI: what every one of them does the same. "Virtual I/O Device (VIRTIO) Version 1.1", OASIS ("VIRTIO").
 *
 * A device's state struct holds a struct virtio, as its first member, and its class says what is its own. It takes
 * requests off its queues in `work`, which is called a little after the driver has notified one, and again after the time
 * it asks for with virtio_again(). Whatever the driver puts into its rings: the worst is that the device wants a reset. */
#ifndef DEVICES_VIRTIO_H
#define DEVICES_VIRTIO_H

#include "devices/pci_msix.h"

#define VIRTIO_QUEUES_MOST 4
#define VIRTIO_QUEUE_SIZE 256
#define VIRTIO_SEGMENTS_MOST 1024u
#define VIRTIO_CONFIG_BYTES 40u /* the longest device configuration */

/* Feature bits of all devices. VIRTIO 6. */
#define VIRTIO_ANY_LAYOUT (UINT64_C(1) << 27)
#define VIRTIO_INDIRECT (UINT64_C(1) << 28)
#define VIRTIO_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_VERSION_1 (UINT64_C(1) << 32)

struct virtio;

struct virtio_class {
    uint16_t type; /* VIRTIO 5 "Device Types" */
    uint16_t pci_device;
    uint32_t pci_class;
    uint64_t features; /* of the device itself */
    unsigned queues;
    void (*reset)(void *self);
    void (*config)(void *self, uint8_t *to); /* its configuration, zeroed before */
    void (*work)(void *self);
};

/* A piece of guest memory. */
struct virtio_segment {
    uint64_t gpa;
    uint32_t bytes;
};

/* A descriptor chain: what the device reads, and then what it writes. Invariant: no segment is empty. */
struct virtio_request {
    uint16_t head, queue;
    unsigned out, in; /* segments of each */
    uint64_t out_bytes, in_bytes;
    struct virtio_segment segment[VIRTIO_SEGMENTS_MOST];
};

/* A split virtqueue. VIRTIO 2.6. */
struct virtio_queue {
    uint16_t size; /* a power of two */
    bool enabled;
    uint64_t table, avail, used; /* addresses of its parts */
    uint16_t next_avail, next_used;
    uint16_t vector; /* of MSI-X, or PCI_MSIX_NONE */
};

struct virtio {
    struct pci_device pci;
    struct pci_msix msix;
    uint16_t config_vector;
    struct bus *bus;
    const struct virtio_class *class;
    struct deadline work;
    uint8_t status, isr;
    bool broken; /* does nothing more before a reset */
    uint16_t queue_select;
    uint32_t feature_select, driver_feature_select;
    uint64_t features;        /* what is offered */
    uint64_t driver_features; /* what the driver takes of them */
    struct virtio_queue queue[VIRTIO_QUEUES_MOST];
};

/* Make the function of a device that bus_add() made, and put it on the bus; `features`: of the class, or fewer. */
bool virtio_add(struct virtio *virtio, struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                const struct virtio_class *class, uint64_t features);
void virtio_fini(struct virtio *virtio);
void virtio_reset(struct virtio *virtio);                    /* by the driver, and at power-on */
void virtio_state(struct virtio *virtio, struct snap *snap); /* its function, too */

static inline bool virtio_has(const struct virtio *virtio, uint64_t feature)
{
    return virtio->driver_features & feature;
}

/* --- for devices, in `work` ------------------------------------------------------------------------ */

/* Take the next request. false: there is none, or the device is broken. */
bool virtio_pop(struct virtio *virtio, unsigned queue, struct virtio_request *request);

/* Give it back, with `written` bytes in its writable part. */
void virtio_push(struct virtio *virtio, const struct virtio_request *request, uint32_t written);

/* Copy [offset, offset + len) of the readable part, or into the writable one. false: it has not so much, or it is no
 * RAM; then the device is broken. */
bool virtio_read(struct virtio *virtio, const struct virtio_request *request, uint64_t offset,
                 void *to, size_t len);
bool virtio_write(struct virtio *virtio, const struct virtio_request *request, uint64_t offset,
                  const void *from, size_t len);

/* The driver has done what no driver may: the device wants a reset. VIRTIO 2.1.2. `text` is for the log, and static. */
void virtio_break(struct virtio *virtio, const char *text);

/* Call `work` again in so many nanoseconds. */
void virtio_again(struct virtio *virtio, uint64_t delay_ns);

/* A request that was taken and is not given back. */
void virtio_request_state(struct virtio *virtio, struct virtio_request *request, struct snap *snap);

#endif

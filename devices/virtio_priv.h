/* Between the files of virtio. */
#ifndef DEVICES_VIRTIO_PRIV_H
#define DEVICES_VIRTIO_PRIV_H

#include "devices/virtio.h"

/* Device status. VIRTIO 2.1. */
#define STATUS_DRIVER_OK 0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u

/* The ISR status register. VIRTIO 4.1.4.5. */
#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

/* virtio.c: everything but the function. */
void virtio_init(struct virtio *virtio, struct bus *bus, const struct virtio_class *class,
                 uint64_t features);

/* virtio.c: a queue or the configuration (ISR_...) wants the driver to look; by this vector, if it uses MSI-X. */
void virtio_interrupt(struct virtio *virtio, uint8_t isr, uint16_t vector);

/* virtio.c: what a driver writes as a vector, or PCI_MSIX_NONE if that is none of ours. */
uint16_t virtio_vector(const struct virtio *virtio, uint64_t value);

/* virtio_queue.c */
void virtio_queue_reset(struct virtio_queue *queue);

/* virtio.c: the registers behind both interfaces. */
void virtio_set_status(struct virtio *virtio, uint8_t status, bool legacy);
void virtio_set_features(struct virtio *virtio, unsigned half, uint32_t value);
void virtio_notify(struct virtio *virtio, unsigned queue);
void virtio_config(struct virtio *virtio, uint8_t to[VIRTIO_CONFIG_BYTES]);
uint8_t virtio_read_isr(struct virtio *virtio);
struct virtio_queue *virtio_selected(struct virtio *virtio); /* NULL: there is no such queue */

/* Where MSI-X has its table. */
#define MSIX_BAR 1

/* virtio_legacy.c: the registers at BAR 0. */
#define LEGACY_BAR 0
#define LEGACY_PORTS 64
uint64_t virtio_legacy_read(void *self, uint64_t offset, unsigned size);
void virtio_legacy_write(void *self, uint64_t offset, unsigned size, uint64_t value);

#endif

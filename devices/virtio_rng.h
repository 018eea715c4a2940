/* virtio-rng: random numbers. */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "devices/virtio.h"

struct virtio_rng;

/* Add one at a place of the bus. Its numbers are a function of `seed`. NULL: the place is taken, or there is no room. */
struct virtio_rng *virtio_rng_add(struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                                  uint64_t seed);

#endif

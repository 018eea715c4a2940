/* virtio-blk: a disk. */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include "devices/block.h"
#include "devices/virtio.h"

struct virtio_blk;

/* Add one at a place of the bus. NULL: the place is taken, or there is no room. The block is borrowed. */
struct virtio_blk *virtio_blk_add(struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                                  struct block *block);

#endif

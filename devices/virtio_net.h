/* virtio-net: a network card. */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "devices/virtio.h"

#define VIRTIO_NET_FRAME_LEAST 14u  /* an Ethernet header */
#define VIRTIO_NET_FRAME_MOST 1518u /* with 1500 bytes and a VLAN tag, without checksum */

struct virtio_net;

struct virtio_net_config {
    uint8_t mac[6];
    /* Where frames go that the driver sends: of LEAST to MOST bytes. It may call virtio_net_input(). NULL: nowhere. */
    void (*send)(void *self, const void *frame, size_t size);
    void *self;
};

/* Add one at a place of the bus. NULL: the place is taken, or there is no room. */
struct virtio_net *virtio_net_add(struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                                  const struct virtio_net_config *config);

/* A frame arrives. false: it is lost: of no size that frames have, no driver is there, or the queue is full. */
bool virtio_net_input(struct virtio_net *net, const void *frame, size_t size);

/* Is there a driver that would take a frame? */
bool virtio_net_ready(const struct virtio_net *net);

#endif

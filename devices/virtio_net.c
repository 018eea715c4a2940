/* virtio-net. VIRTIO 5.1 "Network Device". One pair of queues; no checksums, no segmentation, no control queue.
 *
 * CHOICE: the card takes every frame that reaches it: without a control queue no driver can say which it wants.
 * CHOICE: its address in the configuration is fixed, for drivers of before 1.0, too.
 * CHOICE: frames wait for the driver's buffers, 128 at most, and those behind are lost.
 * CHOICE: a frame lies in 8 buffers at most; where it would need more, or a single one is too short, it is lost. */
#include "devices/virtio_net.h"

#include "devices/virtio_priv.h"

#include <string.h>

#define FEATURE_MAC (UINT64_C(1) << 5)
#define FEATURE_MERGE (UINT64_C(1) << 15)
#define FEATURE_STATUS (UINT64_C(1) << 16)

enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUES };

#define CONFIG_STATUS 6 /* behind the address */
#define STATUS_LINK_UP 1u

#define HEADER_MOST 12u
#define HEADER_BUFFERS 10 /* num_buffers, which headers of old lack */
#define FRAMES_MOST 128u
#define BUFFERS_MOST 8u
#define BUDGET_FRAMES 64u
#define ARRIVAL_NS 1000u
#define BYTES_PER_NS 4u

struct frame {
    uint32_t bytes;
    uint8_t data[VIRTIO_NET_FRAME_MOST];
};

struct virtio_net {
    struct virtio virtio; /* the first member */
    struct virtio_net_config config;
    unsigned first, frames; /* those that wait: frame[first], ... */
    struct frame frame[FRAMES_MOST];
    unsigned buffers; /* taken off the receive queue and not used yet */
    struct virtio_request buffer[BUFFERS_MOST];
    struct virtio_request request; /* of the transmit queue */
};

/* VIRTIO 5.1.4: mac, status. */
static void net_config(void *self, uint8_t *to)
{
    const struct virtio_net *net = self;
    memcpy(to, net->config.mac, sizeof(net->config.mac));
    to[CONFIG_STATUS] = STATUS_LINK_UP;
}

static void net_reset(void *self)
{
    struct virtio_net *net = self;
    net->first = net->frames = net->buffers = 0;
}

/* VIRTIO 5.1.6.1: num_buffers is there with VERSION_1, and with the feature that uses it. */
static uint32_t header_bytes(const struct virtio_net *net)
{
    return virtio_has(&net->virtio, VIRTIO_VERSION_1 | FEATURE_MERGE) ? HEADER_MOST
                                                                      : HEADER_BUFFERS;
}

/* --- receiving ------------------------------------------------------------------------------------- */

/* VIRTIO 5.1.6.3.1: each buffer has room for the header. */
static bool take_buffer(struct virtio_net *net)
{
    struct virtio_request *buffer = &net->buffer[net->buffers];
    if (!virtio_pop(&net->virtio, QUEUE_RECEIVE, buffer))
        return false;
    if (buffer->in_bytes < header_bytes(net)) {
        virtio_break(&net->virtio, "virtio-net: a receive buffer shorter than the header");
        return false;
    }
    net->buffers++;
    return true;
}

/* VIRTIO 5.1.6.4: a frame that is in several buffers says in the first how many they are. */
static void fill(struct virtio_net *net, const struct frame *frame, unsigned used)
{
    uint8_t bytes[HEADER_MOST + VIRTIO_NET_FRAME_MOST] = { [HEADER_BUFFERS] = (uint8_t)used };
    uint32_t header = header_bytes(net), all = header + frame->bytes, done = 0;
    memcpy(bytes + header, frame->data, frame->bytes);
    for (unsigned i = 0; i < used; i++) {
        const struct virtio_request *buffer = &net->buffer[i];
        uint32_t rest = all - done;
        uint32_t part = buffer->in_bytes < rest ? (uint32_t)buffer->in_bytes : rest;
        if (!virtio_write(&net->virtio, buffer, 0, bytes + done, part))
            return;
        virtio_push(&net->virtio, buffer, part);
        done += part;
    }
    net->buffers -= used;
    memmove(net->buffer, net->buffer + used, net->buffers * sizeof(net->buffer[0]));
}

/* Give the driver a frame. false: it has no buffers, or is no good. */
static bool deliver(struct virtio_net *net, const struct frame *frame)
{
    unsigned used = 0, most = virtio_has(&net->virtio, FEATURE_MERGE) ? BUFFERS_MOST : 1;
    uint64_t room = 0, all = header_bytes(net) + frame->bytes;
    while (room < all) {
        if (used == most)
            return true; /* lost */
        if (used == net->buffers && !take_buffer(net))
            return false;
        room += net->buffer[used++].in_bytes;
    }
    fill(net, frame, used);
    return !net->virtio.broken;
}

static uint32_t receive(struct virtio_net *net)
{
    uint32_t moved = 0;
    while (net->frames) {
        const struct frame *frame = &net->frame[net->first];
        if (!deliver(net, frame))
            break;
        moved += frame->bytes;
        net->first = (net->first + 1) % FRAMES_MOST;
        net->frames--;
    }
    return moved;
}

bool virtio_net_ready(const struct virtio_net *net)
{
    return (net->virtio.status & STATUS_DRIVER_OK) && !net->virtio.broken;
}

bool virtio_net_input(struct virtio_net *net, const void *bytes, size_t size)
{
    if (size < VIRTIO_NET_FRAME_LEAST || size > VIRTIO_NET_FRAME_MOST || !virtio_net_ready(net) ||
        net->frames == FRAMES_MOST)
        return false;
    struct frame *frame = &net->frame[(net->first + net->frames++) % FRAMES_MOST];
    frame->bytes = (uint32_t)size;
    memcpy(frame->data, bytes, size);
    virtio_again(&net->virtio, ARRIVAL_NS);
    return true;
}

/* --- sending ----------------------------------------------------------------------------------------- */

/* Frames of no size that frames have go nowhere, as on a wire. The header asks for nothing that was offered. */
static uint32_t send(struct virtio_net *net)
{
    uint8_t bytes[VIRTIO_NET_FRAME_MOST];
    uint64_t header = header_bytes(net), size = net->request.out_bytes - header;
    if (net->request.out_bytes < header) {
        virtio_break(&net->virtio, "virtio-net: a frame shorter than the header");
        return 0;
    }
    bool good = size >= VIRTIO_NET_FRAME_LEAST && size <= VIRTIO_NET_FRAME_MOST;
    if (good && !virtio_read(&net->virtio, &net->request, header, bytes, (size_t)size))
        return 0;
    virtio_push(&net->virtio, &net->request, 0);
    if (good && net->config.send)
        net->config.send(net->config.self, bytes, (size_t)size);
    return good ? (uint32_t)size : 0;
}

static void net_work(void *self)
{
    struct virtio_net *net = self;
    uint32_t moved = receive(net);
    for (unsigned i = 0; i < BUDGET_FRAMES; i++) {
        if (!virtio_pop(&net->virtio, QUEUE_TRANSMIT, &net->request))
            return;
        moved += send(net);
    }
    if (!net->virtio.broken)
        virtio_again(&net->virtio, 1 + moved / BYTES_PER_NS);
}

/* --- the device ---------------------------------------------------------------------------------------- */

static void dev_reset(void *self)
{
    virtio_reset(self);
}

static void dev_fini(void *self)
{
    virtio_fini(self);
}

/* Those that wait, from the first one on. */
static void frames_state(struct virtio_net *net, struct snap *snap)
{
    SNAP_BELOW(snap, net, frames, FRAMES_MOST + 1);
    if (snap_loading(snap))
        net->first = 0;
    for (unsigned i = 0; i < net->frames; i++) {
        struct frame *frame = &net->frame[(net->first + i) % FRAMES_MOST];
        SNAP_BELOW(snap, frame, bytes, VIRTIO_NET_FRAME_MOST + 1);
        snap_bytes(snap, "data", frame->data, frame->bytes);
    }
}

static void dev_state(void *self, struct snap *snap)
{
    struct virtio_net *net = self;
    virtio_state(&net->virtio, snap);
    frames_state(net, snap);
    SNAP_BELOW(snap, net, buffers, BUFFERS_MOST + 1);
    for (unsigned i = 0; i < net->buffers; i++)
        virtio_request_state(&net->virtio, &net->buffer[i], snap);
}

static const struct dev_class dev_virtio_net = {
    .name = "virtio-net",
    .state_size = sizeof(struct virtio_net),
    .reset = dev_reset,
    .fini = dev_fini,
    .state = dev_state,
    .state_version = 1,
};

static const struct virtio_class virtio_net_class = {
    .type = 1,
    .pci_device = 0x1000,
    .pci_class = 0x020000,
    .queues = QUEUES,
    .reset = net_reset,
    .config = net_config,
    .work = net_work,
};

struct virtio_net *virtio_net_add(struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                                  const struct virtio_net_config *config)
{
    struct virtio_net *net = bus_add(bus, &dev_virtio_net);
    if (!net)
        return NULL;
    net->config = *config;
    return virtio_add(&net->virtio, bus, pci, devfn, &virtio_net_class,
                      FEATURE_MAC | FEATURE_MERGE | FEATURE_STATUS)
               ? net
               : NULL;
}

/* virtio-rng. VIRTIO 5.4 "Entropy Device".
 *
 * CHOICE: a request gets at most 4 KiB; a driver that wants more asks again. */
#include "devices/virtio_rng.h"

#include "emu/base/random.h"

#include <string.h>

#define BYTES_MOST 4096u
#define BUDGET_REQUESTS 64u

struct virtio_rng {
    struct virtio virtio; /* the first member */
    struct random_source random;
    struct virtio_request request;
};

static void rng_work(void *self)
{
    struct virtio_rng *rng = self;
    uint8_t bytes[BYTES_MOST];
    for (unsigned i = 0; i < BUDGET_REQUESTS; i++) {
        if (!virtio_pop(&rng->virtio, 0, &rng->request))
            return;
        uint64_t room = rng->request.in_bytes;
        uint32_t count = room < BYTES_MOST ? (uint32_t)room : BYTES_MOST;
        for (uint32_t at = 0; at < count; at += 8) {
            uint64_t word = random_next(&rng->random);
            memcpy(bytes + at, &word, 8);
        }
        if (!virtio_write(&rng->virtio, &rng->request, 0, bytes, count))
            return;
        virtio_push(&rng->virtio, &rng->request, count);
    }
    virtio_again(&rng->virtio, 1000);
}

static void dev_reset(void *self)
{
    virtio_reset(self);
}

static void dev_fini(void *self)
{
    virtio_fini(self);
}

static void dev_state(void *self, struct snap *snap)
{
    struct virtio_rng *rng = self;
    virtio_state(&rng->virtio, snap);
    snap_u64(snap, "random", &rng->random.state);
}

static const struct dev_class dev_virtio_rng = {
    .name = "virtio-rng",
    .state_size = sizeof(struct virtio_rng),
    .reset = dev_reset,
    .fini = dev_fini,
    .state = dev_state,
    .state_version = 1,
};

static const struct virtio_class virtio_rng_class = {
    .type = 4,
    .pci_device = 0x1005,
    .pci_class = 0x00ff00,
    .queues = 1,
    .work = rng_work,
};

struct virtio_rng *virtio_rng_add(struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                                  uint64_t seed)
{
    struct virtio_rng *rng = bus_add(bus, &dev_virtio_rng);
    if (!rng)
        return NULL;
    rng->random.state = seed;
    return virtio_add(&rng->virtio, bus, pci, devfn, &virtio_rng_class, 0) ? rng : NULL;
}

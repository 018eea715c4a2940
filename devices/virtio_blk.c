/* virtio-blk. VIRTIO 5.2 "Block Device".
 *
 * CHOICE: requests are worked off in order, at most 256 KiB of data at a time, and then as long is waited as these would take
 * at four bytes a nanosecond. */
#include "devices/virtio_blk.h"

#include <string.h>

#define FEATURE_SEG_MAX (UINT64_C(1) << 2)
#define FEATURE_RO (UINT64_C(1) << 5)
#define FEATURE_BLK_SIZE (UINT64_C(1) << 6)
#define FEATURE_FLUSH (UINT64_C(1) << 9)

enum { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4, REQUEST_GET_ID = 8 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPPORTED = 2 };

#define HEADER_BYTES 16u
#define ID_BYTES 20u
#define SEGMENTS_MOST \
    (VIRTIO_QUEUE_SIZE - 2) /* of data, so that a chain fits without an indirect table */
#define BUFFER_BYTES 65536u
#define BUDGET_BYTES 262144u
#define BUDGET_REQUESTS 64u
#define BYTES_PER_NS 4u

struct virtio_blk {
    struct virtio virtio; /* the first member */
    struct block *block;
    bool active; /* a request is at work */
    uint32_t type;
    uint64_t sector, bytes, done; /* of its data */
    struct virtio_request request;
    uint8_t buffer[BUFFER_BYTES];
};

/* VIRTIO 5.2.4: capacity, seg_max, blk_size. */
static void blk_config(void *self, uint8_t *to)
{
    const struct virtio_blk *blk = self;
    uint64_t sectors = block_sectors(blk->block);
    uint32_t segments = SEGMENTS_MOST, size = BLOCK_SECTOR;
    memcpy(to, &sectors, 8);
    memcpy(to + 12, &segments, 4);
    memcpy(to + 20, &size, 4);
}

static void blk_reset(void *self)
{
    struct virtio_blk *blk = self;
    blk->active = false;
    blk->type = 0;
    blk->sector = blk->bytes = blk->done = 0;
}

/* Status is the last byte of what the device writes. */
static void finish(struct virtio_blk *blk, uint8_t status)
{
    struct virtio_request *request = &blk->request;
    blk->active = false;
    if (virtio_write(&blk->virtio, request, request->in_bytes - 1, &status, 1))
        virtio_push(&blk->virtio, request, (uint32_t)request->in_bytes);
}

/* --- a request -------------------------------------------------------------------------------------- */

/* VIRTIO 5.2.6.2: whole sectors that are there; not written, if the disk is read-only. */
static bool data_good(const struct virtio_blk *blk)
{
    uint64_t sectors = block_sectors(blk->block);
    return blk->bytes % BLOCK_SECTOR == 0 && blk->sector <= sectors &&
           blk->bytes / BLOCK_SECTOR <= sectors - blk->sector &&
           !(blk->type == REQUEST_OUT && block_read_only(blk->block));
}

static void get_id(struct virtio_blk *blk)
{
    char id[ID_BYTES] = { 0 };
    uint64_t room = blk->request.in_bytes - 1;
    const char *serial = block_serial(blk->block);
    memcpy(id, serial, strnlen(serial, ID_BYTES));
    if (virtio_write(&blk->virtio, &blk->request, 0, id, room < ID_BYTES ? (size_t)room : ID_BYTES))
        finish(blk, STATUS_OK);
}

/* Look at the header of the next request; those without data end at once. false: there is none. */
static bool begin(struct virtio_blk *blk)
{
    struct virtio_request *request = &blk->request;
    uint8_t header[HEADER_BYTES];
    if (!virtio_pop(&blk->virtio, 0, request))
        return false;
    if (request->out_bytes < HEADER_BYTES || request->in_bytes == 0) {
        virtio_break(&blk->virtio, "virtio-blk: a request without header or status");
        return false;
    }
    if (!virtio_read(&blk->virtio, request, 0, header, sizeof(header)))
        return false;
    memcpy(&blk->type, header, 4);
    memcpy(&blk->sector, header + 8, 8);
    blk->done = 0;
    blk->bytes =
        blk->type == REQUEST_IN ? request->in_bytes - 1 : request->out_bytes - HEADER_BYTES;
    switch (blk->type) {
    case REQUEST_IN:
    case REQUEST_OUT:
        if (data_good(blk))
            blk->active = true;
        else
            finish(blk, STATUS_IOERR);
        break;
    case REQUEST_FLUSH:
        finish(blk, block_flush(blk->block) == BLOCK_OK ? STATUS_OK : STATUS_IOERR);
        break;
    case REQUEST_GET_ID: get_id(blk); break;
    default: finish(blk, STATUS_UNSUPPORTED);
    }
    return true;
}

/* Move the next piece of data. Returns its bytes. */
static uint32_t step(struct virtio_blk *blk)
{
    uint64_t rest = blk->bytes - blk->done;
    uint32_t part = rest < BUFFER_BYTES ? (uint32_t)rest : BUFFER_BYTES;
    uint64_t sector = blk->sector + blk->done / BLOCK_SECTOR;
    enum block_result result = BLOCK_OK;
    if (blk->type == REQUEST_IN) {
        result = block_read(blk->block, sector, part / BLOCK_SECTOR, blk->buffer);
        if (result == BLOCK_OK &&
            !virtio_write(&blk->virtio, &blk->request, blk->done, blk->buffer, part))
            return 0;
    } else {
        if (!virtio_read(&blk->virtio, &blk->request, HEADER_BYTES + blk->done, blk->buffer, part))
            return 0;
        result = block_write(blk->block, sector, part / BLOCK_SECTOR, blk->buffer);
    }
    blk->done += part;
    if (result != BLOCK_OK)
        finish(blk, STATUS_IOERR);
    else if (blk->done == blk->bytes)
        finish(blk, STATUS_OK);
    return part;
}

static void blk_work(void *self)
{
    struct virtio_blk *blk = self;
    uint32_t moved = 0;
    for (unsigned requests = 0; requests < BUDGET_REQUESTS && moved < BUDGET_BYTES;) {
        if (!blk->active) {
            if (!begin(blk))
                return;
            requests++;
        }
        if (blk->active)
            moved += step(blk);
        if (blk->virtio.broken)
            return;
    }
    virtio_again(&blk->virtio, 1 + moved / BYTES_PER_NS);
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

/* What begin() has made sure of, and how far step() comes. */
static bool request_good(const struct virtio_blk *blk)
{
    const struct virtio_request *request = &blk->request;
    return (blk->type == REQUEST_IN || blk->type == REQUEST_OUT) &&
           request->out_bytes >= HEADER_BYTES && request->in_bytes && data_good(blk) &&
           blk->done < blk->bytes && blk->done % BLOCK_SECTOR == 0;
}

static void dev_state(void *self, struct snap *snap)
{
    struct virtio_blk *blk = self;
    struct virtio_request *request = &blk->request;
    virtio_state(&blk->virtio, snap);
    block_state(blk->block, snap);
    SNAP(snap, blk, active);
    if (!blk->active) {
        blk_reset(blk); /* what is left of the last one */
        return;
    }
    virtio_request_state(&blk->virtio, request, snap);
    SNAP(snap, blk, type);
    SNAP(snap, blk, sector);
    SNAP(snap, blk, done);
    if (!snap_loading(snap))
        return;
    blk->bytes =
        blk->type == REQUEST_IN ? request->in_bytes - 1 : request->out_bytes - HEADER_BYTES;
    if (!request_good(blk)) {
        snap_refuse(snap, "request");
        blk_reset(blk);
    }
}

static const struct dev_class dev_virtio_blk = {
    .name = "virtio-blk",
    .state_size = sizeof(struct virtio_blk),
    .reset = dev_reset,
    .fini = dev_fini,
    .state = dev_state,
    .state_version = 1,
};

static const struct virtio_class virtio_blk_class = {
    .type = 2,
    .pci_device = 0x1001,
    .pci_class = 0x010000,
    .queues = 1,
    .reset = blk_reset,
    .config = blk_config,
    .work = blk_work,
};

struct virtio_blk *virtio_blk_add(struct bus *bus, struct pci_bus *pci, uint8_t devfn,
                                  struct block *block)
{
    uint64_t features = FEATURE_SEG_MAX | FEATURE_BLK_SIZE | FEATURE_FLUSH |
                        (block_read_only(block) ? FEATURE_RO : 0);
    struct virtio_blk *blk = bus_add(bus, &dev_virtio_blk);
    if (!blk)
        return NULL;
    blk->block = block;
    return virtio_add(&blk->virtio, bus, pci, devfn, &virtio_blk_class, features) ? blk : NULL;
}

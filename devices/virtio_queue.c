/* Split virtqueues. VIRTIO 2.6.
 *
 * A chain is read once, before anything of it is used, so that a driver cannot change it meanwhile. What a driver must not do
 * breaks the device: an index that runs away, a descriptor that is not there, a chain that is longer than its table (a
 * loop), an empty segment, a writable segment before a readable one, an indirect table in another, parts of a queue that are
 * no RAM. */
#include "devices/virtio_priv.h"

#include <string.h>

#define DESCRIPTOR_BYTES 16u
#define FLAG_NEXT 1u
#define FLAG_WRITE 2u
#define FLAG_INDIRECT 4u
#define AVAIL_NO_INTERRUPT 1u

struct descriptor {
    uint64_t gpa;
    uint32_t bytes;
    uint16_t flags, next;
};

/* A table of descriptors: the queue's, or an indirect one. */
struct table {
    uint64_t gpa;
    uint32_t count;
};

void virtio_queue_reset(struct virtio_queue *queue)
{
    *queue = (struct virtio_queue){ .size = VIRTIO_QUEUE_SIZE, .vector = PCI_MSIX_NONE };
}

static bool get16(struct virtio *virtio, uint64_t gpa, uint16_t *value)
{
    uint8_t bytes[2];
    if (!pci_dma_read(&virtio->pci, gpa, bytes, sizeof(bytes))) {
        virtio_break(virtio, "virtio: a queue is no RAM, or bus mastering is off");
        return false;
    }
    *value = (uint16_t)(bytes[0] | bytes[1] << 8);
    return true;
}

static bool put(struct virtio *virtio, uint64_t gpa, const void *from, size_t len)
{
    if (pci_dma_write(&virtio->pci, gpa, from, len))
        return true;
    virtio_break(virtio, "virtio: a queue is no RAM, or bus mastering is off");
    return false;
}

static bool put16(struct virtio *virtio, uint64_t gpa, uint16_t value)
{
    const uint8_t bytes[2] = { (uint8_t)value, (uint8_t)(value >> 8) };
    return put(virtio, gpa, bytes, sizeof(bytes));
}

/* The places behind both rings where event indices are. VIRTIO 2.6.7, 2.6.8. */
static uint64_t used_event(const struct virtio_queue *queue)
{
    return queue->avail + 4 + 2 * (uint64_t)queue->size;
}

static uint64_t avail_event(const struct virtio_queue *queue)
{
    return queue->used + 4 + 8 * (uint64_t)queue->size;
}

/* --- taking ------------------------------------------------------------------------------------------ */

static bool get_descriptor(struct virtio *virtio, const struct table *table, uint32_t index,
                           struct descriptor *descriptor)
{
    uint8_t bytes[DESCRIPTOR_BYTES];
    if (index >= table->count) {
        virtio_break(virtio, "virtio: a descriptor that its table does not have");
        return false;
    }
    if (!pci_dma_read(&virtio->pci, table->gpa + (uint64_t)DESCRIPTOR_BYTES * index, bytes,
                      sizeof(bytes))) {
        virtio_break(virtio, "virtio: descriptors are no RAM, or bus mastering is off");
        return false;
    }
    memcpy(&descriptor->gpa, bytes, 8);
    memcpy(&descriptor->bytes, bytes + 8, 4);
    memcpy(&descriptor->flags, bytes + 12, 2);
    memcpy(&descriptor->next, bytes + 14, 2);
    return true;
}

/* VIRTIO 2.6.5.3: one level, of whole descriptors, and at the end of a chain. */
static bool enter_indirect(struct virtio *virtio, const struct descriptor *descriptor, bool inside,
                           struct table *table)
{
    if (!virtio_has(virtio, VIRTIO_INDIRECT) || inside || (descriptor->flags & FLAG_NEXT) ||
        descriptor->bytes == 0 || descriptor->bytes % DESCRIPTOR_BYTES) {
        virtio_break(virtio, "virtio: an indirect table that must not be");
        return false;
    }
    *table =
        (struct table){ .gpa = descriptor->gpa, .count = descriptor->bytes / DESCRIPTOR_BYTES };
    return true;
}

static bool add_segment(struct virtio *virtio, struct virtio_request *request,
                        const struct descriptor *descriptor)
{
    bool write = descriptor->flags & FLAG_WRITE;
    unsigned count = request->out + request->in;
    if (descriptor->bytes == 0 || (!write && request->in) || count == VIRTIO_SEGMENTS_MOST) {
        virtio_break(virtio, "virtio: a chain with an empty, misplaced or one segment too many");
        return false;
    }
    request->segment[count] =
        (struct virtio_segment){ .gpa = descriptor->gpa, .bytes = descriptor->bytes };
    if (write) {
        request->in++;
        request->in_bytes += descriptor->bytes;
    } else {
        request->out++;
        request->out_bytes += descriptor->bytes;
    }
    return true;
}

static bool read_chain(struct virtio *virtio, const struct virtio_queue *queue,
                       struct virtio_request *request)
{
    struct table table = { .gpa = queue->table, .count = queue->size };
    struct descriptor descriptor;
    uint32_t index = request->head, seen = 0;
    bool inside = false;
    for (;;) {
        if (!get_descriptor(virtio, &table, index, &descriptor))
            return false;
        if (descriptor.flags & FLAG_INDIRECT) {
            if (!enter_indirect(virtio, &descriptor, inside, &table))
                return false;
            inside = true;
            index = seen = 0;
            continue;
        }
        if (!add_segment(virtio, request, &descriptor))
            return false;
        if (!(descriptor.flags & FLAG_NEXT))
            return true;
        index = descriptor.next;
        if (++seen >= table.count) {
            virtio_break(virtio, "virtio: a chain that is a loop");
            return false;
        }
    }
}

bool virtio_pop(struct virtio *virtio, unsigned number, struct virtio_request *request)
{
    struct virtio_queue *queue = &virtio->queue[number];
    uint16_t index, head;
    if (virtio->broken || !queue->enabled || !get16(virtio, queue->avail + 2, &index))
        return false;
    uint16_t waiting = (uint16_t)(index - queue->next_avail);
    if (waiting > queue->size) {
        virtio_break(virtio, "virtio: an available index that runs away");
        return false;
    }
    if (waiting == 0) {
        /* The next one is to be told of. VIRTIO 2.6.10.1. */
        if (virtio_has(virtio, VIRTIO_EVENT_IDX))
            (void)put16(virtio, avail_event(queue), queue->next_avail);
        return false;
    }
    if (!get16(virtio, queue->avail + 4 + 2 * (uint64_t)(queue->next_avail % queue->size), &head))
        return false;
    queue->next_avail++;
    request->head = head;
    request->queue = (uint16_t)number;
    request->out = request->in = 0;
    request->out_bytes = request->in_bytes = 0;
    return read_chain(virtio, queue, request);
}

/* --- giving back --------------------------------------------------------------------------------------- */

/* Does the driver want to be told, now that the used index went on by one? VIRTIO 2.6.7.2. */
static bool wants_interrupt(struct virtio *virtio, const struct virtio_queue *queue)
{
    uint16_t value;
    if (!virtio_has(virtio, VIRTIO_EVENT_IDX))
        return get16(virtio, queue->avail, &value) && !(value & AVAIL_NO_INTERRUPT);
    return get16(virtio, used_event(queue), &value) && value == (uint16_t)(queue->next_used - 1);
}

void virtio_push(struct virtio *virtio, const struct virtio_request *request, uint32_t written)
{
    struct virtio_queue *queue = &virtio->queue[request->queue];
    const uint32_t element[2] = { request->head, written };
    uint64_t at = queue->used + 4 + 8 * (uint64_t)(queue->next_used % queue->size);
    if (virtio->broken || !put(virtio, at, element, sizeof(element)))
        return;
    queue->next_used++;
    if (put16(virtio, queue->used + 2, queue->next_used) && wants_interrupt(virtio, queue))
        virtio_interrupt(virtio, ISR_QUEUE, queue->vector);
}

/* --- data ------------------------------------------------------------------------------------------------ */

enum direction { READ_IT, WRITE_IT };

/* Copy a part of `count` segments. */
static bool copy(struct virtio *virtio, const struct virtio_segment *segment, unsigned count,
                 uint64_t offset, uint8_t *bytes, size_t len, enum direction direction)
{
    for (unsigned i = 0; len && i < count; i++) {
        if (offset >= segment[i].bytes) {
            offset -= segment[i].bytes;
            continue;
        }
        size_t part = segment[i].bytes - offset < len ? (size_t)(segment[i].bytes - offset) : len;
        uint64_t gpa = segment[i].gpa + offset;
        bool good = direction == READ_IT ? pci_dma_read(&virtio->pci, gpa, bytes, part)
                                         : pci_dma_write(&virtio->pci, gpa, bytes, part);
        if (!good)
            break;
        bytes += part;
        len -= part;
        offset = 0;
    }
    if (len)
        virtio_break(virtio, "virtio: a segment is no RAM, or too short");
    return len == 0;
}

bool virtio_read(struct virtio *virtio, const struct virtio_request *request, uint64_t offset,
                 void *to, size_t len)
{
    return copy(virtio, request->segment, request->out, offset, to, len, READ_IT);
}

bool virtio_write(struct virtio *virtio, const struct virtio_request *request, uint64_t offset,
                  const void *from, size_t len)
{
    return copy(virtio, request->segment + request->out, request->in, offset,
                (uint8_t *)(uintptr_t)from, len, WRITE_IT);
}

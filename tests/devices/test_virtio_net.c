/* virtio-net: VIRTIO 1.1, 5.1 "Network Device". */
#include "tests/devices/virtio_kit.h"

#include "devices/virtio_net.h"

#define MERGE (1u << 15)
#define HEADER 12u
#define LEAST 14u
#define MOST 1518u
#define WAITING 128u
#define MERGED_MOST 8u

/* The transmit queue; the kit's own is the one that receives. */
#define T_TABLE 0x20000u
#define T_AVAIL 0x21000u
#define T_USED 0x22000u
#define T_DATA 0x200000u

static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0xef };

/* What is behind the card: the last frame, and a network that may answer each with another. */
struct wire {
    struct virtio_kit k;
    struct virtio_net *net;
    unsigned sent, answers;
    size_t size;
    uint8_t frame[MOST];
    uint16_t avail; /* of the transmit queue */
};

static uint8_t bytes[MOST + 2];

static const uint8_t *frame_of(unsigned seed)
{
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(seed * 101 + i * 7 + (i >> 8));
    return bytes;
}

static void take(void *self, const void *frame, size_t size)
{
    struct wire *w = self;
    w->sent++;
    w->size = size;
    ck_assert_uint_le(size, MOST);
    memcpy(w->frame, frame, size);
    if (w->answers)
        ck_assert(virtio_net_input(w->net, frame_of(99), 60));
}

static void open_wire(struct wire *w)
{
    memset(w, 0, sizeof(*w));
    v_open_bus(&w->k);
    struct virtio_net_config config = { .send = take, .self = w };
    memcpy(config.mac, mac, sizeof(mac));
    w->net = virtio_net_add(w->k.bus, w->k.pci, V_DEVFN, &config);
    ck_assert_ptr_nonnull(w->net);
    v_map(&w->k);
}

static void start(struct wire *w, uint64_t features)
{
    v_start(&w->k, features);
    for (unsigned i = 0; i < 0x3000; i += 8)
        phys_write(w->k.memory, T_TABLE + i, 8, 0);
    v_write(&w->k, 22, 2, 1);
    v_write(&w->k, 24, 2, w->k.queue_size);
    v_write(&w->k, 32, 8, T_TABLE);
    v_write(&w->k, 40, 8, T_AVAIL);
    v_write(&w->k, 48, 8, T_USED);
    v_write(&w->k, 28, 2, 1);
    w->avail = 0;
}

static void begin(struct wire *w, uint64_t features)
{
    open_wire(w);
    start(w, features);
}

/* Give the card a buffer to receive into. */
static void buffer(struct wire *w, unsigned index, uint32_t room)
{
    v_descriptor(&w->k, index, V_DATA + 0x1000 * index, room, V_WRITE, 0);
    v_offer(&w->k, index);
}

static void send(struct wire *w, uint32_t size)
{
    v_descriptor_at(&w->k, T_TABLE, 0, T_DATA, size, 0, 0);
    phys_write(w->k.memory, T_AVAIL + 4 + 2 * (w->avail % w->k.queue_size), 2, 0);
    phys_write(w->k.memory, T_AVAIL + 2, 2, ++w->avail);
    v_write(&w->k, V_NOTIFY + 4, 2, 1);
    v_settle(&w->k);
}

static unsigned sent_used(struct wire *w)
{
    return (unsigned)phys_read(w->k.memory, T_USED + 2, 2);
}

static void put_frame(struct wire *w, uint64_t gpa, unsigned seed, size_t size)
{
    for (size_t i = 0; i < size; i++)
        phys_write(w->k.memory, gpa + i, 1, frame_of(seed)[i]);
}

static bool memory_has(struct wire *w, uint64_t gpa, const uint8_t *wanted, size_t size)
{
    uint8_t got[MOST];
    ck_assert(phys_read_block(w->k.memory, gpa, got, size));
    return memcmp(got, wanted, size) == 0;
}

static bool arrives(struct wire *w, unsigned seed, size_t size)
{
    bool taken = virtio_net_input(w->net, frame_of(seed), size);
    v_settle(&w->k);
    return taken;
}

/* --- the function --- */

START_TEST(net_identity_and_configuration)
{
    struct wire w;
    open_wire(&w);
    ck_assert_uint_eq(pci_config_read(w.k.pci, V_DEVFN, 0, 4), 0x10001af4);
    ck_assert_uint_eq(pci_config_read(w.k.pci, V_DEVFN, PCI_SUBSYSTEM_VENDOR, 4), 0x00011af4);
    ck_assert_uint_eq(pci_config_read(w.k.pci, V_DEVFN, PCI_REVISION, 4) >> 8, 0x020000);
    ck_assert_uint_eq(v_read(&w.k, 4, 4), 7u << 27 | 1u << 16 | MERGE | 1u << 5);
    ck_assert_uint_eq(v_read(&w.k, 16, 4) >> 16, 2); /* queues */
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(v_read(&w.k, V_CONFIG + i, 1), mac[i]);
        ck_assert_uint_eq(bus_port_ops.read(w.k.bus, (uint16_t)(V_PORTS + 20 + i), 1), mac[i]);
    }
    ck_assert_uint_eq(v_read(&w.k, V_CONFIG + 6, 2), 1); /* the link is up */
    v_write(&w.k, V_CONFIG, 4, 0);
    ck_assert_uint_eq(v_read(&w.k, V_CONFIG, 1), mac[0]);
    v_close(&w.k);
}
END_TEST

/* --- sending --- */

START_TEST(net_sends_without_the_header)
{
    struct wire w;
    begin(&w, 0);
    put_frame(&w, T_DATA + HEADER, 1, 100);
    send(&w, HEADER + 100);
    ck_assert_uint_eq(w.sent, 1);
    ck_assert_uint_eq(w.size, 100);
    ck_assert_mem_eq(w.frame, frame_of(1), 100);
    ck_assert_uint_eq(sent_used(&w), 1);
    ck_assert_uint_eq(phys_read(w.k.memory, T_USED + 8, 4), 0); /* nothing was written */
    ck_assert(v_interrupt(&w.k));
    v_close(&w.k);
}
END_TEST

/* Each size comes back to the driver; those that no frame has go nowhere. */
START_TEST(net_sends_frames_of_sizes_that_frames_have)
{
    static const struct {
        uint32_t size;
        bool good;
    } row[] = { { 0, false },   { LEAST - 1, false }, { LEAST, true },
                { MOST, true }, { MOST + 1, false },  { 65535, false } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct wire w;
        begin(&w, 0);
        send(&w, HEADER + row[i].size);
        ck_assert_uint_eq(w.sent, row[i].good);
        ck_assert_uint_eq(sent_used(&w), 1);
        ck_assert_uint_eq(w.k.kit.told[PROBE_GUEST_ERROR], 0);
        v_close(&w.k);
    }
}
END_TEST

START_TEST(net_frame_in_pieces_of_any_layout)
{
    struct wire w;
    begin(&w, 0);
    put_frame(&w, T_DATA, 2, 100);
    v_descriptor_at(&w.k, T_TABLE, 0, 0x300000, 5, V_NEXT, 1); /* the header in two */
    v_descriptor_at(&w.k, T_TABLE, 1, 0x300100, 7, V_NEXT, 2);
    v_descriptor_at(&w.k, T_TABLE, 2, T_DATA, 1, V_NEXT, 3);
    v_descriptor_at(&w.k, T_TABLE, 3, T_DATA + 1, 99, 0, 0);
    phys_write(w.k.memory, T_AVAIL + 2, 2, 1);
    v_write(&w.k, V_NOTIFY + 4, 2, 1);
    v_settle(&w.k);
    ck_assert_uint_eq(w.size, 100);
    ck_assert_mem_eq(w.frame, frame_of(2), 100);
    v_close(&w.k);
}
END_TEST

START_TEST(net_frame_shorter_than_the_header)
{
    struct wire w;
    begin(&w, 0);
    send(&w, HEADER - 1);
    ck_assert_uint_eq(w.sent, 0);
    v_broken(&w.k);
    start(&w, 0);
    send(&w, HEADER + 60);
    ck_assert_uint_eq(w.sent, 1);
    v_close(&w.k);
}
END_TEST

START_TEST(net_frame_from_what_is_no_ram)
{
    struct wire w;
    begin(&w, 0);
    v_descriptor_at(&w.k, T_TABLE, 0, V_RAM, 100, 0, 0);
    phys_write(w.k.memory, T_AVAIL + 2, 2, 1);
    v_write(&w.k, V_NOTIFY + 4, 2, 1);
    v_settle(&w.k);
    ck_assert_uint_eq(w.sent, 0);
    v_broken(&w.k);
    v_close(&w.k);
}
END_TEST

/* --- receiving --- */

START_TEST(net_receives_behind_a_header)
{
    static const uint8_t header[HEADER] = { [10] = 1 };
    for (unsigned merge = 0; merge < 2; merge++) {
        struct wire w;
        begin(&w, merge ? MERGE : 0);
        buffer(&w, 0, 1600);
        ck_assert(virtio_net_input(w.net, frame_of(3), 100));
        kit_pass(&w.k.kit, 999);
        ck_assert_uint_eq(v_used(&w.k), 0);
        kit_pass(&w.k.kit, 1);
        ck_assert_uint_eq(v_used(&w.k), 1);
        ck_assert_uint_eq(v_used_bytes(&w.k, 0), HEADER + 100);
        ck_assert(memory_has(&w, V_DATA, header, HEADER));
        ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(3), 100));
        ck_assert_uint_eq(phys_read(w.k.memory, V_DATA + HEADER + 100, 8), 0);
        ck_assert(v_interrupt(&w.k));
        v_close(&w.k);
    }
}
END_TEST

START_TEST(net_receives_sizes_that_frames_have)
{
    static const struct {
        uint32_t size;
        bool good;
    } row[] = {
        { 0, false }, { LEAST - 1, false }, { LEAST, true }, { MOST, true }, { MOST + 1, false }
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct wire w;
        begin(&w, 0);
        buffer(&w, 0, HEADER + MOST);
        ck_assert_uint_eq(arrives(&w, 1, row[i].size), row[i].good);
        ck_assert_uint_eq(v_used(&w.k), row[i].good);
        v_close(&w.k);
    }
}
END_TEST

START_TEST(net_merges_buffers)
{
    struct wire w;
    begin(&w, MERGE);
    buffer(&w, 0, 100);
    buffer(&w, 1, HEADER);
    buffer(&w, 2, 200);
    buffer(&w, 3, 200);
    ck_assert(arrives(&w, 4, 100 - HEADER + HEADER + 50)); /* in three */
    ck_assert_uint_eq(v_used(&w.k), 3);
    ck_assert_uint_eq(phys_read(w.k.memory, V_DATA + 10, 2), 3);
    ck_assert_uint_eq(v_used_bytes(&w.k, 0), 100);
    ck_assert_uint_eq(v_used_bytes(&w.k, 1), HEADER);
    ck_assert_uint_eq(v_used_bytes(&w.k, 2), 50);
    ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(4), 88));
    ck_assert(memory_has(&w, V_DATA + 0x1000, frame_of(4) + 88, HEADER));
    ck_assert(memory_has(&w, V_DATA + 0x2000, frame_of(4) + 100, 50));
    ck_assert(arrives(&w, 5, 60));
    ck_assert_uint_eq(v_used_id(&w.k, 3), 3);
    ck_assert_uint_eq(phys_read(w.k.memory, V_DATA + 0x3000 + 10, 2), 1);
    v_close(&w.k);
}
END_TEST

/* A frame waits until there are enough, and keeps its place. */
START_TEST(net_waits_for_buffers)
{
    struct wire w;
    begin(&w, MERGE);
    ck_assert(arrives(&w, 6, 150));
    ck_assert(arrives(&w, 7, 60));
    buffer(&w, 0, 100);
    v_kick(&w.k);
    ck_assert_uint_eq(v_used(&w.k), 0);
    buffer(&w, 1, 100);
    v_kick(&w.k);
    ck_assert_uint_eq(v_used(&w.k), 2);
    ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(6), 88));
    buffer(&w, 2, 100);
    v_kick(&w.k);
    ck_assert(memory_has(&w, V_DATA + 0x2000 + HEADER, frame_of(7), 60));
    v_close(&w.k);
}
END_TEST

/* The driver is told when it has to say that there are buffers again. */
START_TEST(net_waits_with_event_indices)
{
    struct wire w;
    begin(&w, MERGE | V_EVENT_IDX);
    buffer(&w, 0, 100);
    ck_assert(arrives(&w, 6, 150));
    ck_assert_uint_eq(phys_read(w.k.memory, V_USED + 4 + 8 * w.k.queue_size, 2), 1);
    buffer(&w, 1, 100);
    v_kick(&w.k);
    ck_assert_uint_eq(v_used(&w.k), 2);
    v_close(&w.k);
}
END_TEST

START_TEST(net_queue_has_an_end)
{
    struct wire w;
    begin(&w, 0);
    for (unsigned i = 0; i < WAITING; i++)
        ck_assert(virtio_net_input(w.net, frame_of(i), 60));
    ck_assert(!virtio_net_input(w.net, frame_of(200), 60));
    buffer(&w, 0, 1600);
    v_kick(&w.k);
    ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(0), 60));
    ck_assert(virtio_net_input(w.net, frame_of(201), 60)); /* the ring goes round */
    for (unsigned i = 1; i <= WAITING; i++) {
        buffer(&w, 0, 1600);
        v_kick(&w.k);
        ck_assert_uint_eq(v_used(&w.k), i + 1);
        ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(i < WAITING ? i : 201), 60));
    }
    v_close(&w.k);
}
END_TEST

START_TEST(net_buffer_too_short_loses_the_frame_and_stays)
{
    struct wire w;
    begin(&w, 0);
    buffer(&w, 0, HEADER + 60);
    ck_assert(arrives(&w, 8, 61));
    ck_assert_uint_eq(v_used(&w.k), 0);
    ck_assert(arrives(&w, 9, 60));
    ck_assert_uint_eq(v_used(&w.k), 1);
    ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(9), 60));
    v_close(&w.k);
}
END_TEST

START_TEST(net_merged_buffers_are_eight_at_most)
{
    for (unsigned more = 0; more < 2; more++) {
        struct wire w;
        begin(&w, MERGE);
        for (unsigned i = 0; i < MERGED_MOST; i++)
            buffer(&w, i, 20);
        ck_assert(arrives(&w, 8, MERGED_MOST * 20 - HEADER + more));
        ck_assert_uint_eq(v_used(&w.k), more ? 0 : MERGED_MOST);
        if (more) { /* lost; and the buffers are good for the next one */
            ck_assert(arrives(&w, 9, 14));
            ck_assert_uint_eq(v_used(&w.k), 2);
        }
        v_close(&w.k);
    }
}
END_TEST

START_TEST(net_buffer_shorter_than_the_header)
{
    for (unsigned merge = 0; merge < 2; merge++) {
        struct wire w;
        begin(&w, merge ? MERGE : 0);
        buffer(&w, 0, HEADER - 1);
        ck_assert(arrives(&w, 1, 60));
        v_broken(&w.k);
        start(&w, 0);
        buffer(&w, 0, 1600);
        v_kick(&w.k);
        ck_assert_uint_eq(v_used(&w.k), 0); /* the frame is gone */
        ck_assert(arrives(&w, 1, 60));
        ck_assert_uint_eq(v_used(&w.k), 1);
        v_close(&w.k);
    }
}
END_TEST

START_TEST(net_buffer_that_is_no_ram)
{
    struct wire w;
    begin(&w, 0);
    v_descriptor(&w.k, 0, V_RAM - 16, 1600, V_WRITE, 0);
    v_offer(&w.k, 0);
    ck_assert(arrives(&w, 1, 60));
    v_broken(&w.k);
    ck_assert(!virtio_net_input(w.net, frame_of(1), 60));
    v_close(&w.k);
}
END_TEST

START_TEST(net_without_a_driver_frames_are_lost)
{
    struct wire w;
    open_wire(&w);
    ck_assert(!virtio_net_ready(w.net));
    ck_assert(!virtio_net_input(w.net, frame_of(1), 60));
    start(&w, 0);
    ck_assert(virtio_net_ready(w.net));
    ck_assert(virtio_net_input(w.net, frame_of(1), 60));
    v_write(&w.k, 20, 1, 0);
    ck_assert(!virtio_net_ready(w.net));
    start(&w, 0);
    buffer(&w, 0, 1600);
    v_kick(&w.k);
    ck_assert_uint_eq(v_used(&w.k), 0); /* a reset forgets */
    v_close(&w.k);
}
END_TEST

/* The network may answer at once; the driver sees it a little later. */
START_TEST(net_answers_while_it_sends)
{
    struct wire w;
    begin(&w, 0);
    w.answers = 1;
    buffer(&w, 0, 1600);
    send(&w, HEADER + 60);
    ck_assert_uint_eq(w.sent, 1);
    ck_assert_uint_eq(v_used(&w.k), 1);
    ck_assert(memory_has(&w, V_DATA + HEADER, frame_of(99), 60));
    v_close(&w.k);
}
END_TEST

/* A driver of old: no VERSION_1, so the header has 10 bytes. VIRTIO 5.1.6.1. */
START_TEST(net_header_of_old)
{
    struct wire w;
    open_wire(&w);
    for (unsigned queue = 0; queue < 2; queue++) {
        bus_port_ops.write(w.k.bus, V_PORTS + 14, 2, queue);
        bus_port_ops.write(w.k.bus, V_PORTS + 8, 4, 0x40 + 0x10 * queue);
    }
    bus_port_ops.write(w.k.bus, V_PORTS + 18, 1, 7);
    uint64_t receive = 0x40000, transmit = 0x50000, rings = 16 * 256;
    v_descriptor_at(&w.k, receive, 0, V_DATA, 1600, V_WRITE, 0);
    v_descriptor_at(&w.k, transmit, 0, T_DATA, 70, 0, 0);
    phys_write(w.k.memory, receive + rings + 2, 2, 1);
    phys_write(w.k.memory, transmit + rings + 2, 2, 1);
    put_frame(&w, T_DATA + 10, 3, 60);
    bus_port_ops.write(w.k.bus, V_PORTS + 16, 2, 1);
    ck_assert(arrives(&w, 4, 64));
    ck_assert_uint_eq(w.size, 60);
    ck_assert_mem_eq(w.frame, frame_of(3), 60);
    ck_assert(memory_has(&w, V_DATA + 10, frame_of(4), 64));
    ck_assert_uint_eq(phys_read(w.k.memory, receive + 0x2000 + 8, 4), 74);
    v_close(&w.k);
}
END_TEST

/* --- the state hash --- */

START_TEST(net_state_hash_knows_what_waits)
{
    uint64_t hash[4];
    for (unsigned i = 0; i < 4; i++) {
        struct wire w;
        begin(&w, MERGE);
        if (i >= 2)
            buffer(&w, 0, HEADER + 14);
        ck_assert(arrives(&w, i == 3 ? 2 : i, 61));
        hash[i] = v_hash(&w.k);
        v_close(&w.k);
    }
    ck_assert_uint_ne(hash[0], hash[1]);
    ck_assert_uint_ne(hash[0], hash[2]);
    ck_assert_uint_eq(hash[2], hash[3]);
}
END_TEST

CHECK_MAIN("virtio_net", net_identity_and_configuration, net_sends_without_the_header,
           net_sends_frames_of_sizes_that_frames_have, net_frame_in_pieces_of_any_layout,
           net_frame_shorter_than_the_header, net_frame_from_what_is_no_ram,
           net_receives_behind_a_header, net_receives_sizes_that_frames_have, net_merges_buffers,
           net_waits_for_buffers, net_waits_with_event_indices, net_queue_has_an_end,
           net_buffer_too_short_loses_the_frame_and_stays, net_merged_buffers_are_eight_at_most,
           net_buffer_shorter_than_the_header, net_buffer_that_is_no_ram,
           net_without_a_driver_frames_are_lost, net_answers_while_it_sends, net_header_of_old,
           net_state_hash_knows_what_waits)

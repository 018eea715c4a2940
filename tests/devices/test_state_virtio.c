/* virtio devices saved and loaded with requests at work. */
#include "tests/devices/trip_kit.h"
#include "tests/devices/virtio_kit.h"

#include "devices/virtio_net.h"

#define S 512u
#define HEADER 0x8000u
#define STATUS 0x9000u
#define MSIX_TABLE 0xfe100000u
#define MERGE (1u << 15)

struct world {
    struct trip_world w;
    struct virtio_kit k; /* the driver: its kit is not used */
    struct virtio_net *net;
};

static void close_world(struct trip_world *w)
{
    struct world *world = (struct world *)w;
    block_free(world->k.block);
    if (world->k.disk.bytes)
        disk_close(&world->k.disk);
}

static void message(void *self, uint32_t address, uint32_t data)
{
    struct trip_world *w = self;
    trip_log(w, w->kit.now_ns);
    trip_log(w, (uint64_t)address << 32 | data);
}

static struct virtio_kit *open_bus(struct trip_world *w)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    w->close = close_world;
    k->memory = w->memory;
    k->bus = w->kit.bus;
    k->pci = pci_bus_add(k->bus);
    k->queue_size = 8;
    struct irq_line line[PCI_PIRQS];
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        line[i] = trip_wire(w, i);
    pci_bus_set_pirqs(k->pci, line);
    pci_bus_set_messages(k->pci, &(struct pci_messages){ .send = message, .self = w });
    return k;
}

static void open_blk(struct trip_world *w)
{
    struct virtio_kit *k = open_bus(w);
    disk_open(&k->disk, 2048 * S);
    struct block_config config = disk_config(&k->disk);
    k->block = block_new(&config);
    ck_assert_ptr_nonnull(virtio_blk_add(k->bus, k->pci, V_DEVFN, k->block));
}

static void open_rng(struct trip_world *w)
{
    struct virtio_kit *k = open_bus(w);
    ck_assert_ptr_nonnull(virtio_rng_add(k->bus, k->pci, V_DEVFN, 42));
}

static void sent(void *self, const void *frame, size_t size)
{
    const uint8_t *bytes = frame;
    trip_log(self, size);
    for (size_t i = 0; i < size; i += 100)
        trip_log(self, bytes[i]);
}

static void open_net(struct trip_world *w)
{
    struct virtio_kit *k = open_bus(w);
    const struct virtio_net_config config = { .mac = { 2 }, .send = sent, .self = w };
    ((struct world *)w)->net = virtio_net_add(k->bus, k->pci, V_DEVFN, &config);
    ck_assert_ptr_nonnull(((struct world *)w)->net);
}

static void offer(struct virtio_kit *k, unsigned head, uint32_t type, uint64_t sector,
                  uint32_t bytes)
{
    phys_write(k->memory, HEADER + 32 * head, 4, type);
    phys_write(k->memory, HEADER + 32 * head + 8, 8, sector);
    phys_write(k->memory, STATUS + head, 1, 0xff);
    v_descriptor(k, head, HEADER + 32 * head, 16, V_NEXT, head + 1);
    v_descriptor(k, head + 1, V_DATA, bytes, V_NEXT | (type == 1 ? 0 : V_WRITE), head + 2);
    v_descriptor(k, head + 2, STATUS + head, 1, V_WRITE, 0);
    v_offer(k, head);
}

/* MSI-X: vector 0 masked, vector 1 not. The queue has one of them, the configuration the other. */
static void use_messages(struct virtio_kit *k, unsigned vector)
{
    pci_config_write(k->pci, V_DEVFN, PCI_BAR0 + 4, 4, MSIX_TABLE);
    for (unsigned i = 0; i < 2; i++) {
        phys_write(k->memory, MSIX_TABLE + 16 * i, 4, 0xfee01000);
        phys_write(k->memory, MSIX_TABLE + 16 * i + 8, 4, 0x41 + i);
        phys_write(k->memory, MSIX_TABLE + 16 * i + 12, 4, i == 0);
    }
    pci_config_write(k->pci, V_DEVFN, 0x9a, 2, 0x8000);
    v_write(k, 22, 2, 0);
    v_write(k, 26, 2, vector);
    v_write(k, 16, 2, !vector);
}

static void notify(struct virtio_kit *k, struct trip_world *w, unsigned queue, uint64_t ns)
{
    v_write(k, V_NOTIFY + 4 * queue, 2, queue);
    kit_pass(&w->kit, ns);
}

static void drive_blk(struct trip_world *w, unsigned variant)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    v_map(k);
    v_start(k, variant == 1 ? V_EVENT_IDX : 0);
    for (unsigned i = 0; i < 8 * S; i += 8)
        phys_write(k->memory, V_DATA + i, 8, i * 0x9e3779b97f4a7c15);
    if (variant == 5 || variant == 6)
        use_messages(k, variant == 6);
    offer(k, 0, 1, 700, 8 * S);
    notify(k, w, 0, 1000000);
    switch (variant) {
    case 0: /* a long read, half done */
        offer(k, 3, 0, 300, 1700 * S);
        notify(k, w, 0, 100000);
        break;
    case 1: /* a long write, half done, and another request behind */
        offer(k, 3, 1, 100, 1600 * S);
        offer(k, 0, 0, 699, 8 * S);
        notify(k, w, 0, 100000);
        break;
    case 2: /* notified, not yet looked at */
        offer(k, 3, 0, 699, 8 * S);
        notify(k, w, 0, 10);
        break;
    case 3: /* broken */
        v_descriptor(k, 0, HEADER, 0, 0, 0);
        v_offer(k, 0);
        notify(k, w, 0, 1000000);
        break;
    case 4: /* by the ports of old, in the middle of being set up */
        bus_port_ops.write(k->bus, V_PORTS + 18, 1, 0);
        bus_port_ops.write(k->bus, V_PORTS + 18, 1, 3);
        bus_port_ops.write(k->bus, V_PORTS + 14, 2, 1);
        v_write(k, 0, 4, 1);
        v_write(k, 8, 4, 1);
        v_write(k, 12, 4, 1);
        break;
    case 5: /* a message is pending behind its mask, or was sent */
    case 6:
        offer(k, 3, 0, 699, 8 * S);
        notify(k, w, 0, 1000000);
        break;
    default: /* the pin is active, and reset is not over */
        offer(k, 3, 8, 0, 20);
        notify(k, w, 0, 1000000);
        pci_config_write(k->pci, V_DEVFN, 0x88, 1, 4);
        pci_config_write(k->pci, V_DEVFN, 0x8c, 4, 20);
        pci_config_write(k->pci, V_DEVFN, 0x90, 4, 1);
    }
}

static void look_at_data(struct trip_world *w, uint64_t gpa, unsigned bytes)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < bytes; i += 8)
        trip_sum(&sum, phys_read(w->memory, gpa + i, 8));
    trip_log(w, sum);
}

static void look_at_device(struct trip_world *w)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    uint64_t pending = phys_read(k->memory, MSIX_TABLE + 0x800, 4);
    trip_log(w, pending);
    trip_log(w, pci_config_read(k->pci, V_DEVFN, 0x94, 4)); /* the access capability */
    trip_log(w, pci_config_read(k->pci, V_DEVFN, 4, 4));
    for (unsigned i = 0; i < 56; i += 2)
        trip_log(w, v_read(k, i, 2));
    for (unsigned i = 0; i < 4; i++)
        trip_log(w, phys_read(k->memory, STATUS + i, 1));
    trip_log(w, v_used(k));
    look_at_data(w, V_DATA, 2048 * S);
    trip_log(w, v_read(k, V_ISR, 1));
}

/* The driver goes on where memory says that it was. */
static void go_on(struct virtio_kit *k)
{
    k->avail = (uint16_t)phys_read(k->memory, V_AVAIL + 2, 2);
}

/* v_start() for a device that may be anywhere, or nowhere. */
static void start_again(struct virtio_kit *k)
{
    static const uint8_t status[] = { 0, 3, 11 };
    for (unsigned i = 0; i < 3; i++) {
        v_write(k, 20, 1, status[i]);
        if (i == 1)
            v_features(k, V_VERSION_1);
    }
    for (unsigned i = 0; i < 0x3000; i += 8)
        phys_write(k->memory, V_TABLE + i, 8, 0);
    k->avail = 0;
    v_queue(k);
    v_write(k, 20, 1, 15);
}

static void look_blk(struct trip_world *w)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    go_on(k);
    kit_pass(&w->kit, 70000);
    look_at_device(w);
    kit_pass(&w->kit, 10000000);
    look_at_device(w);
    phys_write(k->memory, MSIX_TABLE + 12, 4, 0); /* what is pending goes */
    offer(k, 0, 0, 695, 40 * S);
    notify(k, w, 0, 10000000);
    look_at_device(w);
    start_again(k);
    offer(k, 0, 0, 0, 1600 * S);
    notify(k, w, 0, 10000000);
    look_at_device(w);
}

START_TEST(blk_goes_on_where_it_was)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_blk,
                                      .drive = drive_blk,
                                      .look = look_blk,
                                      .variants = 8,
                                      .with_memory = true,
                                      .alterations = 40 };
    trip_check(&trip);
}
END_TEST

/* --- random numbers ----------------------------------------------------------------------------------- */

static void ask(struct virtio_kit *k, struct trip_world *w, unsigned bytes)
{
    v_descriptor(k, 0, V_DATA, bytes, V_WRITE, 0);
    v_offer(k, 0);
    notify(k, w, 0, 10000);
}

static void drive_rng(struct trip_world *w, unsigned variant)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    v_map(k);
    v_start(k, 0);
    ask(k, w, 1000 + variant);
}

static void look_rng(struct trip_world *w)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    go_on(k);
    ask(k, w, 4096);
    trip_log(w, v_used(k));
    look_at_data(w, V_DATA, 8192);
}

START_TEST(rng_goes_on_where_it_was)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_rng,
                                      .drive = drive_rng,
                                      .look = look_rng,
                                      .variants = 2,
                                      .with_memory = true,
                                      .alterations = 40 };
    trip_check(&trip);
}
END_TEST

/* --- the network --------------------------------------------------------------------------------------- */

#define T_TABLE 0x20000u
#define T_AVAIL 0x21000u
#define T_USED 0x22000u
#define T_DATA 0x200000u

static void frame(struct trip_world *w, unsigned seed, size_t size)
{
    uint8_t bytes[VIRTIO_NET_FRAME_MOST];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(seed * 31 + i);
    trip_log(w, virtio_net_input(((struct world *)w)->net, bytes, size));
}

static void buffer(struct virtio_kit *k, unsigned index, uint32_t room)
{
    v_descriptor(k, index, V_DATA + 0x1000 * index, room, V_WRITE, 0);
    v_offer(k, index);
}

static void transmit(struct virtio_kit *k, struct trip_world *w, unsigned size, uint64_t ns)
{
    unsigned index = (unsigned)phys_read(k->memory, T_AVAIL + 2, 2);
    v_descriptor_at(k, T_TABLE, 0, T_DATA, size, 0, 0);
    phys_write(k->memory, T_AVAIL + 4 + 2 * (index % 8), 2, 0);
    phys_write(k->memory, T_AVAIL + 2, 2, index + 1);
    notify(k, w, 1, ns);
}

static void drive_net(struct trip_world *w, unsigned variant)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    v_map(k);
    v_start(k, variant ? MERGE : 0);
    v_write(k, 22, 2, 1);
    v_write(k, 24, 2, 8);
    v_write(k, 32, 8, T_TABLE);
    v_write(k, 40, 8, T_AVAIL);
    v_write(k, 48, 8, T_USED);
    v_write(k, 28, 2, 1);
    for (unsigned i = 0; i < 2000; i += 8)
        phys_write(k->memory, T_DATA + i, 8, i * 0x123456789);
    buffer(k, 0, 2000);
    frame(w, 1, 60);
    kit_pass(&w->kit, 100000);
    if (variant == 1) { /* two buffers are taken, which are too small together */
        buffer(k, 1, 300);
        buffer(k, 2, 400);
    }
    for (unsigned i = 0; i < 5 + 130 * (variant == 2); i++)
        frame(w, i + 2, 1000 + i);
    kit_pass(&w->kit, variant == 3 ? 10 : 100000);
    if (variant == 3)
        transmit(k, w, 100, 10);
}

static void look_net(struct trip_world *w)
{
    struct virtio_kit *k = &((struct world *)w)->k;
    go_on(k);
    frame(w, 77, 1518);
    kit_pass(&w->kit, 1000000);
    for (unsigned i = 0; i < 8; i++) {
        buffer(k, i % 8, i % 3 ? 2000 : 700);
        notify(k, w, 0, 100000);
        trip_log(w, v_used(k));
        for (unsigned at = 0; at < 64; at += 4)
            trip_log(w, phys_read(k->memory, V_USED + 4 + at, 4));
        look_at_data(w, V_DATA, 0x8000);
    }
    transmit(k, w, 900, 100000);
    trip_log(w, phys_read(k->memory, T_USED + 2, 2));
    trip_log(w, v_read(k, V_ISR, 1));
    trip_log(w, v_status(k));
}

START_TEST(net_goes_on_where_it_was)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_net,
                                      .drive = drive_net,
                                      .look = look_net,
                                      .variants = 4,
                                      .with_memory = true,
                                      .alterations = 60 };
    trip_check(&trip);
}
END_TEST

CHECK_MAIN("state_virtio", blk_goes_on_where_it_was, rng_goes_on_where_it_was,
           net_goes_on_where_it_was)

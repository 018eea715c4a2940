/* Drivers that put what they like into the queues of virtio-blk, virtio-rng and virtio-net, by both interfaces: nothing breaks, the image
 * is not written, the devices come to rest, and after a reset they answer a request that is well made. */
#include "devices/virtio_blk.h"
#include "devices/virtio_net.h"
#include "devices/virtio_rng.h"
#include "tests/fuzz/disks.h"

#define BAR 0xfe000000u
#define PORTS 0xc000u
#define MESSAGES 0xfd000000u
#define BAR_STEP 0x10000u
#define DEVICES 3
#define NET 2 /* the one with two queues, and with frames that arrive */
#define OPERATIONS 100
#define QUEUE 16u /* small, so that rings wrap and loops close */

/* A descriptor in a table, a ring or an indirect table: all are in the first 64 KiB, over each other if the input says so. */
#define AREA 0x10000u

/* The most pieces of work that rings can ask for: each piece moves a quarter of a MiB or answers 64 requests, and a chain has at
 * most 1024 segments; but 4 GiB in each of them are refused, for the disk is smaller. */
#define WORK_MOST 4096

/* Where a queue's rings are from its table on, and the second queue of the network card from the first. */
#define AVAIL 0x400u
#define USED 0x800u
#define SECOND 0xc00u
#define SECOND_AVAIL 0x100u
#define SECOND_USED 0x200u

struct world {
    struct bench bench;
    struct virtio_net *net;
    struct script script;
};

static uint8_t devfn_of(unsigned device)
{
    return pci_devfn(3 + device, 0);
}

static void put(struct world *w, uint64_t spa, unsigned size, uint64_t value)
{
    phys_write(w->bench.memory, spa & (RAM_BYTES - 1), size, value);
}

static void reg(struct world *w, unsigned device, unsigned offset, unsigned size, uint64_t value)
{
    phys_write(w->bench.memory, BAR + BAR_STEP * device + offset, size, value);
}

/* An address: mostly near the beginning of RAM, sometimes anywhere. */
static uint64_t address(struct world *w)
{
    uint32_t value = take_many(&w->script, 2);
    uint8_t how = take(&w->script);
    if (how < 200)
        return value & 0xffff;
    if (how < 230)
        return (uint64_t)value << 5; /* up to twice the RAM */
    return (uint64_t)take_many(&w->script, 4) << 32 | value;
}

/* The network sends some frames back at once. */
static void frame_sent(void *self, const void *frame, size_t size)
{
    struct world *w = self;
    const uint8_t *bytes = frame;
    require(size >= VIRTIO_NET_FRAME_LEAST && size <= VIRTIO_NET_FRAME_MOST);
    if ((bytes[0] ^ bytes[size - 1]) & 1)
        (void)virtio_net_input(w->net, frame, size);
}

static void frame_arrives(struct world *w)
{
    static const uint8_t frame[VIRTIO_NET_FRAME_MOST + 1] = { 0 };
    (void)virtio_net_input(w->net, frame, take_many(&w->script, 2) % (sizeof(frame) + 1));
}

static void start_second_queue(struct world *w, unsigned device, uint64_t rings)
{
    reg(w, device, 22, 2, 1);
    reg(w, device, 24, 2, QUEUE);
    reg(w, device, 32, 8, rings + SECOND);
    reg(w, device, 40, 8, rings + SECOND + SECOND_AVAIL);
    reg(w, device, 48, 8, rings + SECOND + SECOND_USED);
    reg(w, device, 28, 2, 1);
}

static void start(struct world *w, unsigned device)
{
    uint8_t features = take(&w->script);
    uint64_t rings = features & 8 ? address(w) : 0x1000u * (1 + 3 * device);
    reg(w, device, 20, 1, 0);
    reg(w, device, 20, 1, 3);
    reg(w, device, 8, 4, 0);
    reg(w, device, 12, 4,
        (uint64_t)(features & 7) << 27 | (device == NET && features & 64 ? 1u << 15 : 0));
    reg(w, device, 8, 4, 1);
    reg(w, device, 12, 4, 1);
    reg(w, device, 20, 1, 11);
    reg(w, device, 24, 2, QUEUE);
    reg(w, device, 32, 8, rings);
    reg(w, device, 40, 8, features & 16 ? address(w) : rings + AVAIL);
    reg(w, device, 48, 8, features & 32 ? address(w) : rings + USED);
    reg(w, device, 28, 2, 1);
    if (device == NET)
        start_second_queue(w, device, rings);
    reg(w, device, 20, 1, 15);
}

static void start_legacy(struct world *w, unsigned device)
{
    uint16_t ports = (uint16_t)(PORTS + 0x40 * device);
    bus_port_ops.write(w->bench.bus, ports + 18, 1, 0);
    bus_port_ops.write(w->bench.bus, ports + 4, 4, (uint32_t)(take(&w->script) & 7) << 27);
    bus_port_ops.write(w->bench.bus, ports + 14, 2, take(&w->script) & 1);
    bus_port_ops.write(w->bench.bus, ports + 8, 4, take(&w->script));
    bus_port_ops.write(w->bench.bus, ports + 18, 1, 7);
    bus_port_ops.write(w->bench.bus, ports + 16, 2, 0);
}

/* A descriptor of the queue's table or of another. */
static void descriptor(struct world *w, unsigned device)
{
    uint8_t how = take(&w->script);
    uint64_t own = 0x1000u * (1 + 3 * device) + (device == NET && how & 8 ? SECOND : 0);
    uint64_t table = how & 1 ? take_many(&w->script, 2) & 0xfff0 : own;
    uint64_t at = table + 16u * (how >> 4);
    uint32_t bytes = take_many(&w->script, 2);
    if (how & 2)
        bytes <<= 16;
    put(w, at, 8, address(w));
    put(w, at + 8, 4, how & 4 ? bytes & 0x1ff0 : bytes);
    put(w, at + 12, 2, take(&w->script));
    put(w, at + 14, 2, take(&w->script) & 0x1f);
}

/* A request of a disk with header, data and status, in the first three descriptors. */
static void request(struct world *w, unsigned device)
{
    uint64_t table = 0x1000u * (1 + 3 * device), data = 0x40000;
    uint8_t type = take(&w->script);
    put(w, 0x20000, 4, type & 15);
    put(w, 0x20008, 8, take_many(&w->script, 2) & 0x1ff);
    put(w, table, 8, 0x20000);
    put(w, table + 8, 8, 16 | UINT64_C(1) << 32 | UINT64_C(1) << 48);
    put(w, table + 16, 8, data);
    put(w, table + 24, 8,
        512u * (1 + (take_many(&w->script, 2) & 0x1ff)) |
            (uint64_t)((type & 15) == 1 ? 1 : 3) << 32 | UINT64_C(2) << 48);
    put(w, table + 32, 8, 0x20010);
    put(w, table + 40, 8, 1 | UINT64_C(2) << 32);
    if (type & 16) {
        uint16_t index = (uint16_t)phys_read(w->bench.memory, table + 0x402, 2);
        put(w, table + 0x404 + 2 * (index % QUEUE), 2, 0);
        put(w, table + 0x402, 2, index + 1);
        reg(w, device, 0x3000, 2, 0);
    }
}

static void available(struct world *w, unsigned device)
{
    uint64_t ring = 0x1000u * (1 + 3 * device) + AVAIL;
    uint8_t head = take(&w->script);
    if (device == NET && head & 0x80)
        ring += SECOND + SECOND_AVAIL - AVAIL;
    uint16_t index = (uint16_t)phys_read(w->bench.memory, ring + 2, 2);
    put(w, ring + 4 + 2 * (index % QUEUE), 2, head & 0x1f);
    put(w, ring + 2, 2, index + (take(&w->script) & 0x11));
}

static void operation(struct world *w)
{
    uint8_t what = take(&w->script);
    unsigned device = (what & 0x7f) / 14 % 3 == 2 ? NET : what >> 7;
    switch (what % 14) {
    case 0: start(w, device); break;
    case 1: start_legacy(w, device); break;
    case 2:
    case 3:
    case 4: descriptor(w, device); break;
    case 5:
        if (device == NET)
            frame_arrives(w);
        else
            request(w, device);
        break;
    case 6:
    case 7: available(w, device); break;
    case 8:
    case 9: reg(w, device, device == NET ? 0x3004 : 0x3000, 2, 0); break;
    case 10:
        reg(w, device, take_many(&w->script, 2) & 0x3fff, 1u << (take(&w->script) & 3), address(w));
        break;
    case 11:
        (void)phys_read(w->bench.memory, BAR + (take_many(&w->script, 2) & 0x3fff),
                        1u << (take(&w->script) & 3));
        (void)bus_port_ops.read(w->bench.bus, PORTS + (take(&w->script) & 0x7f),
                                1u << (take(&w->script) & 1));
        (void)pci_config_read(w->bench.pci, devfn_of(device), take(&w->script) & 0xfc, 4);
        break;
    case 12:
        pci_config_write(w->bench.pci, devfn_of(device), take(&w->script) & 0xfc, 4,
                         take_many(&w->script, 4));
        break;
    default: bench_settle(&w->bench, WORK_MOST); break;
    }
}

static void place(struct world *w, unsigned device)
{
    pci_config_write(w->bench.pci, devfn_of(device), PCI_BAR0, 4, PORTS + 0x40 * device);
    pci_config_write(w->bench.pci, devfn_of(device), PCI_BAR0 + 4, 4,
                     MESSAGES + BAR_STEP * device); /* over nothing else */
    pci_config_write(w->bench.pci, devfn_of(device), PCI_BAR0 + 16, 4, BAR + BAR_STEP * device);
    pci_config_write(w->bench.pci, devfn_of(device), PCI_BAR0 + 20, 4, 0);
    pci_config_write(w->bench.pci, devfn_of(device), PCI_COMMAND, 2, 7);
}

/* The card sends a frame, and hands one over that arrives. */
static void check_net(struct world *w)
{
    static const uint8_t frame[60] = { 0 };
    uint64_t table = 0x1000u * (1 + 3 * NET);
    put(w, table, 8, 0x40000);
    put(w, table + 8, 8, 2048 | UINT64_C(2) << 32);
    put(w, table + SECOND, 8, 0x50000);
    put(w, table + SECOND + 8, 8, 72);
    put(w, table + SECOND + SECOND_AVAIL + 2, 2, 1);
    require(virtio_net_input(w->net, frame, sizeof(frame)));
    reg(w, NET, 0x3004, 2, 1);
    bench_settle(&w->bench, WORK_MOST);
    require(phys_read(w->bench.memory, table + SECOND + SECOND_USED + 2, 2) == 1);
    require(phys_read(w->bench.memory, table + USED + 2, 2) == 1);
    require(phys_read(w->bench.memory, table + USED + 8, 4) == 72);
}

/* All answer: one byte of random numbers, one sector of the disk. */
static void check_alive(struct world *w, unsigned device)
{
    uint64_t table = 0x1000u * (1 + 3 * device);
    static const uint8_t plain[8] = { 0 };
    for (uint64_t at = table; at < table + 0x1000; at += 8)
        put(w, at, 8, 0);
    w->script = (struct script){ .bytes = plain, .left = sizeof(plain) };
    start(w, device);
    put(w, table + AVAIL + 2, 2, 1);
    if (device == NET) {
        check_net(w);
        return;
    }
    if (device == 0) {
        request(w, device);
    } else {
        put(w, table, 8, 0x40000);
        put(w, table + 8, 8, 1 | UINT64_C(2) << 32);
    }
    reg(w, device, 0x3000, 2, 0);
    bench_settle(&w->bench, WORK_MOST);
    require(phys_read(w->bench.memory, table + 0x800 + 2, 2) == 1);
    require(phys_read(w->bench.memory, table + 0x800 + 8, 4) == (device ? 1 : 513));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = { .script = { .bytes = data, .left = size } };
    if (bench_open(&w.bench)) {
        const struct virtio_net_config net = { .mac = { 2 }, .send = frame_sent, .self = &w };
        w.net = virtio_net_add(w.bench.bus, w.bench.pci, devfn_of(NET), &net);
        require(w.net && virtio_blk_add(w.bench.bus, w.bench.pci, devfn_of(0), w.bench.block) &&
                virtio_rng_add(w.bench.bus, w.bench.pci, devfn_of(1), 1));
        bus_reset(w.bench.bus);
        for (unsigned device = 0; device < DEVICES; device++)
            place(&w, device);
        for (unsigned i = 0; i < OPERATIONS && w.script.left; i++)
            operation(&w);
        bench_settle(&w.bench, WORK_MOST);
        bench_check(&w.bench);
        for (unsigned device = 0; device < DEVICES; device++)
            place(&w, device); /* none over another */
        for (unsigned device = 0; device < DEVICES; device++)
            check_alive(&w, device);
    }
    bench_close(&w.bench);
    return 0;
}

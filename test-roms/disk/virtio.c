/* virtio.c: virtio-blk by both interfaces. VIRTIO 1.1, 2.6, 4.1, 5.2. Needs a disk of 4096 sectors with if=virtio. */
#include "test-roms/chipset/pc.h"
#include "test-roms/disk/kit.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define ID 0x10011af4u
#define S 512u
#define SECTORS 4096u
#define PAGE 4096u

/* The parts of the modern interface, by the type of their capability. */
enum { COMMON = 1, NOTIFY = 2, ISR = 3, DEVICE = 4, PARTS };

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

#define FEATURE_INDIRECT (UINT64_C(1) << 28)
#define FEATURE_EVENT_IDX (UINT64_C(1) << 29)
#define FEATURE_VERSION_1 (UINT64_C(1) << 32)

struct descriptor {
    uint64_t at;
    uint32_t bytes;
    uint16_t flags, next;
};

static unsigned dev, queue_size;
static volatile uint8_t *part[PARTS];
static volatile uint8_t *doorbell; /* NULL: the ports of old */
static uint16_t ports;
static uint8_t *memory, *buffer; /* of the queue; of data */
static volatile struct descriptor *table;
static volatile uint16_t *avail, *used;
static uint16_t seen;

static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static volatile uint8_t status;

static volatile uint16_t *common16(unsigned offset)
{
    return (volatile uint16_t *)(part[COMMON] + offset);
}

static volatile uint32_t *common32(unsigned offset)
{
    return (volatile uint32_t *)(part[COMMON] + offset);
}

static bool find(void)
{
    for (dev = DEVFN(2, 0); dev <= DEVFN(31, 0); dev += 8)
        if (config_read(dev, 0, 4) == ID)
            return true;
    return false;
}

/* VIRTIO 4.1.4: walk the capabilities. */
static bool find_parts(uint32_t *multiplier)
{
    for (unsigned at = config_read(dev, 0x34, 1); at; at = config_read(dev, at + 1, 1)) {
        unsigned type = config_read(dev, at + 3, 1), bar = config_read(dev, at + 4, 1);

        if (config_read(dev, at, 1) != 9 || type >= PARTS || bar > 5)
            continue;
        part[type] = (volatile uint8_t *)(uintptr_t)((config_read(dev, 0x10 + 4 * bar, 4) & ~15u) +
                                                     config_read(dev, at + 8, 4));
        if (type == NOTIFY)
            *multiplier = config_read(dev, at + 16, 4);
    }
    return part[COMMON] && part[NOTIFY] && part[ISR] && part[DEVICE];
}

static void place_queue(void)
{
    uint64_t behind = 16 * queue_size + 6 + 2 * queue_size;

    memset(memory, 0, 8 * PAGE);
    table = (volatile struct descriptor *)memory;
    avail = (volatile uint16_t *)(memory + 16 * queue_size);
    used = (volatile uint16_t *)(memory + (behind + PAGE - 1) / PAGE * PAGE);
    seen = 0;
}

static void set_features(uint64_t features)
{
    for (unsigned half = 0; half < 2; half++) {
        *common32(8) = half;
        *common32(12) = (uint32_t)(features >> 32 * half);
    }
}

/* VIRTIO 3.1.1. Gives the status behind FEATURES_OK. */
static unsigned start(uint64_t features)
{
    unsigned accepted;

    part[COMMON][20] = 0;
    part[COMMON][20] = 3;
    set_features(features);
    part[COMMON][20] = 11;
    accepted = part[COMMON][20];
    *common16(22) = 0;
    *common16(24) = (uint16_t)(queue_size = 16);
    place_queue();
    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = i == 0 ? (uintptr_t)table : i == 1 ? (uintptr_t)avail : (uintptr_t)used;

        *common32(32 + 8 * i) = (uint32_t)at;
        *common32(36 + 8 * i) = (uint32_t)(at >> 32);
    }
    *common16(28) = 1;
    part[COMMON][20] = 15;
    return accepted;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static void describe(volatile struct descriptor *d, const volatile void *at, uint32_t bytes,
                     unsigned flags, unsigned next)
{
    d->at = (uintptr_t)at;
    d->bytes = bytes;
    d->flags = (uint16_t)flags;
    d->next = (uint16_t)next;
}

/* Header, data and status in the first descriptors of a table. */
static void fill_table(volatile struct descriptor *d, unsigned type, uint64_t sector,
                       uint32_t bytes)
{
    header.type = type;
    header.sector = sector;
    status = 0xff;
    describe(&d[0], &header, 16, NEXT, bytes ? 1 : 2);
    describe(&d[1], buffer, bytes, NEXT | (type == OUT ? 0 : WRITE), 2);
    describe(&d[2], &status, 1, WRITE, 0);
}

static void offer(unsigned head)
{
    avail[2 + avail[1] % queue_size] = (uint16_t)head;
    __asm__ volatile("" ::: "memory");
    avail[1]++;
    if (doorbell)
        *(volatile uint16_t *)doorbell = 0;
    else
        outw(ports + 16, 0);
}

/* Wait for a request to come back. Gives its status; FFh: it does not. */
static unsigned answer(void)
{
    unsigned turns = 0;

    while (used[1] == seen && disk_patience(&turns))
        ;
    if (used[1] == seen)
        return 0xff;
    seen++;
    return status;
}

static unsigned request(unsigned type, uint64_t sector, uint32_t bytes)
{
    fill_table(table, type, sector, bytes);
    offer(0);
    return answer();
}

static uint32_t used_bytes(void)
{
    return *(volatile uint32_t *)((volatile uint8_t *)used + 4 + 8 * ((seen - 1u) % queue_size) +
                                  4);
}

static void test_data(const char *how)
{
    tap_eq(request(IN, 700, 8 * S), 0, "%s: a read", how);
    tap_eq(used_bytes(), 8 * S + 1, "%s: tells how much was written", how);
    tap_ok(disk_holds(buffer, 700 * S, 8 * S), "%s: the sectors are right", how);
    disk_fill(buffer, 4 * S, 5);
    tap_eq(request(OUT, 900, 4 * S), 0, "%s: a write", how);
    tap_eq(request(FLUSH, 0, 0), 0, "%s: a flush", how);
    memset(buffer, 0, 6 * S);
    tap_eq(request(IN, 899, 6 * S), 0, "%s: and read again", how);
    tap_ok(disk_filled(buffer + S, 4 * S, 5), "%s: what was written is there", how);
    tap_ok(disk_holds(buffer, 899 * S, S) && disk_holds(buffer + 5 * S, 904 * S, S),
           "%s: between what was not", how);
    /* Back, for the next. */
    for (unsigned i = 0; i < 4 * S / 4; i++)
        ((uint32_t *)buffer)[i] = 900 * S / 4 + i;
    (void)request(OUT, 900, 4 * S);
}

static void test_modern(void)
{
    uint64_t plain = FEATURE_VERSION_1;

    tap_eq(*(volatile uint32_t *)part[DEVICE], SECTORS, "the configuration tells the size");
    tap_eq(start(plain | UINT64_C(1) << 40) & 8, 0,
           "FEATURES_OK stays away if something else is taken");
    tap_eq(start(plain), 11, "FEATURES_OK with what was offered");
    tap_eq(part[COMMON][20], 15, "DRIVER_OK");
    (void)part[ISR][0];
    test_data("modern");
    tap_eq(part[ISR][0] & 1, 1, "ISR tells of it");
    tap_eq(part[ISR][0], 0, "once");
    tap_eq(request(IN, SECTORS - 1, S), 0, "the last sector is there");
    tap_eq(request(IN, SECTORS, S), 1, "and none behind it: IOERR");
    tap_eq(request(0x1234, 0, 0), 2, "an unknown request: UNSUPP");
    tap_eq(request(GET_ID, 0, 20), 0, "GET_ID");
    for (unsigned i = 0; i < 40; i++)
        if (request(IN, i, S) != 0 || !disk_holds(buffer, i * S, S))
            status = 0xee;
    tap_eq(status, 0, "rings wrap");
}

/* VIRTIO 2.6.5.3. */
static void test_indirect(void)
{
    volatile struct descriptor *other = (volatile struct descriptor *)(memory + 7 * PAGE);

    (void)start(FEATURE_VERSION_1 | FEATURE_INDIRECT | FEATURE_EVENT_IDX);
    fill_table(other, IN, 50, 4 * S);
    describe(&table[9], other, 3 * 16, INDIRECT, 0);
    offer(9);
    tap_eq(answer(), 0, "a request in an indirect table");
    tap_eq(*(volatile uint32_t *)((volatile uint8_t *)used + 4), 9,
           "comes back under its descriptor");
    tap_ok(disk_holds(buffer, 50 * S, 4 * S), "the sectors are right");
    tap_eq(((volatile uint16_t *)((volatile uint8_t *)used + 4 + 8 * queue_size))[0], 1,
           "EVENT_IDX: the next is to be told of");
}

/* A loop: the device wants a reset and does nothing more. VIRTIO 2.1.2. */
static void test_broken(void)
{
    (void)start(FEATURE_VERSION_1);
    fill_table(table, IN, 0, S);
    table[2].flags = WRITE | NEXT;
    table[2].next = 1;
    offer(0);
    for (unsigned turns = 0; !(part[COMMON][20] & 0x40) && disk_patience(&turns);)
        ;
    tap_eq(part[COMMON][20] & 0x40, 0x40, "a chain that is a loop: DEVICE_NEEDS_RESET");
    tap_eq(used[1], 0, "and no answer");
    (void)start(FEATURE_VERSION_1);
    tap_eq(request(IN, 1, S), 0, "after a reset it works");
}

static void test_legacy(void)
{
    ports = (uint16_t)(config_read(dev, 0x10, 4) & 0xfffc);
    doorbell = NULL;
    outb(ports + 18, 0);
    outb(ports + 18, 3);
    outl(ports + 4, 0);
    outw(ports + 14, 0);
    queue_size = inw(ports + 12);
    tap_ok(queue_size >= 16 && queue_size <= 256, "legacy: the device says how large a queue is");
    place_queue();
    outl(ports + 8, (uint32_t)((uintptr_t)memory / PAGE));
    outb(ports + 18, 7);
    tap_eq(inl(ports + 20), SECTORS, "legacy: the configuration is behind the registers");
    test_data("legacy");
    tap_eq(inb(ports + 19) & 1, 1, "legacy: ISR tells of it");
    tap_eq(inb(ports + 19), 0, "legacy: once");
}

int rom_main(void)
{
    uint32_t multiplier = 0;

    if (!find()) {
        rom_printf("# no virtio-blk: everything is skipped\n1..0\n");
        return 0;
    }
    config_write(dev, 4, 2, (config_read(dev, 4, 2) & ~0x400u) | 7);
    memory = rom_pages(8);
    buffer = rom_pages(4);
    if (!tap_ok(find_parts(&multiplier), "capabilities lead to four structures"))
        tap_done();
    *common16(22) = 0;
    doorbell = part[NOTIFY] + multiplier * *common16(30);
    test_modern();
    test_indirect();
    test_broken();
    test_legacy();
    tap_done();
}

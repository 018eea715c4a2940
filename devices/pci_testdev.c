/* pci-testdev. QEMU, docs/specs/pci-testdev. Each BAR has a header: the number of a test is written to its first byte, and
 * then it says how wide, where and with which value a program shall write, and counts such writes.
 *
 * The tests are those that QEMU has: 0 counts writes of any value, 1 too, 2 only those of `data`. On QEMU 1 and 2 may be
 * counted by another party; here all are counted in the header. There is no BAR 2. */
#include "devices/pci_testdev.h"

#include <string.h>

#define MEMORY_BYTES 4096
#define IO_BYTES 256
#define TESTS 3

/* The header. */
#define TEST 0
#define WIDTH 1
#define OFFSET 4
#define DATA 8
#define COUNT 12
#define NAME 16
#define HEADER_BYTES 48

#define WIDTH_BYTE 1
#define FIRST_OFFSET 128 /* where the tests write: a byte each */
#define DATA_VALUE 0xce

struct test_bar {
    bool selected;
    uint8_t test;
    uint32_t count;
    const char *kind;
};

struct pci_testdev {
    struct pci_device pci;
    struct test_bar bar[2];
};

static const char *const test_names[TESTS] = { "no-eventfd", "wildcard-eventfd",
                                               "datamatch-eventfd" };

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void append(char *to, size_t room, const char *text)
{
    size_t used = strlen(to);
    for (; *text && used + 1 < room; text++)
        to[used++] = *text;
    to[used] = '\0';
}

static void fill_header(const struct test_bar *bar, uint8_t header[HEADER_BYTES])
{
    char name[HEADER_BYTES - NAME] = "";
    memset(header, 0, HEADER_BYTES);
    if (!bar->selected)
        return;
    append(name, sizeof(name), bar->kind);
    append(name, sizeof(name), test_names[bar->test]);
    header[TEST] = bar->test;
    header[WIDTH] = WIDTH_BYTE;
    put32(header + OFFSET, FIRST_OFFSET + bar->test);
    put32(header + DATA, DATA_VALUE);
    put32(header + COUNT, bar->count);
    memcpy(header + NAME, name, sizeof(name));
}

static uint64_t testdev_read(void *self, uint64_t offset, unsigned size)
{
    uint8_t header[HEADER_BYTES];
    uint64_t value = 0;
    fill_header(self, header);
    for (unsigned i = 0; i < size && offset + i < HEADER_BYTES; i++)
        value |= (uint64_t)header[offset + i] << (8 * i);
    return value;
}

static void testdev_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct test_bar *bar = self;
    if (offset == TEST) {
        bar->selected = (uint8_t)value < TESTS;
        bar->test = bar->selected ? (uint8_t)value : 0;
        bar->count = 0;
    } else if (bar->selected && offset == FIRST_OFFSET + (uint64_t)bar->test &&
               size == WIDTH_BYTE) {
        bar->count += bar->test < 2 || (uint8_t)value == DATA_VALUE;
    }
}

static void testdev_reset(void *self)
{
    struct pci_testdev *dev = self;
    for (unsigned i = 0; i < 2; i++) {
        dev->bar[i].selected = false;
        dev->bar[i].test = 0;
        dev->bar[i].count = 0;
    }
}

static void testdev_state(void *self, struct snap *snap)
{
    struct pci_testdev *dev = self;
    pci_device_state(&dev->pci, snap);
    for (unsigned i = 0; i < 2; i++) {
        struct test_bar *bar = &dev->bar[i];
        SNAP(snap, bar, selected);
        bar->test = (uint8_t)snap_below(snap, "test", bar->test, TESTS);
        SNAP(snap, bar, count);
    }
}

static const struct dev_class dev_pci_testdev = {
    .name = "pci-testdev",
    .state_size = sizeof(struct pci_testdev),
    .reset = testdev_reset,
    .state = testdev_state,
    .state_version = 1,
};

struct pci_testdev *pci_testdev_add(struct bus *bus, struct pci_bus *pci)
{
    static const struct pci_identity identity = { .vendor = 0x1b36,
                                                  .device = 0x0005,
                                                  .class_code = 0xff0000 };
    unsigned slot = pci_free_slot(pci, PCI_FIRST_SLOT);
    struct pci_testdev *dev = slot < PCI_SLOTS ? bus_add(bus, &dev_pci_testdev) : NULL;
    if (!dev)
        return NULL;
    dev->bar[0].kind = "mmio-";
    dev->bar[1].kind = "portio-";
    pci_init(&dev->pci, &identity, NULL, dev);
    for (unsigned i = 0; i < 2; i++)
        pci_add_bar(&dev->pci, i,
                    &(struct pci_bar_config){ .kind = i == 0 ? PCI_BAR_MEM : PCI_BAR_IO,
                                              .bytes = i == 0 ? MEMORY_BYTES : IO_BYTES,
                                              .port_size = 4,
                                              .read = testdev_read,
                                              .write = testdev_write,
                                              .self = &dev->bar[i] });
    return pci_add(pci, &dev->pci, pci_devfn(slot, 0)) ? dev : NULL;
}

/* pci.c: configuration mechanism 1, headers, base address registers. PCI Local Bus Specification 2.2, 3.2.2.3.2, chapter 6.
 * Needs pci-testdev: QEMU, docs/specs/pci-testdev. */
#include "test-roms/chipset/pc.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define COMMAND 0x04
#define COMMAND_IO 1u
#define COMMAND_MEMORY 2u
#define BAR0 0x10
#define BAR1 0x14
#define LINE 0x3c

#define MEMORY_AT 0xfea00000u /* free on machines with up to 3 GiB */
#define MEMORY_NEXT 0xfea10000u
#define PORTS_AT 0xc800u
#define PORTS_NEXT 0xca00u

static unsigned testdev;

static volatile uint8_t *memory(uint32_t at)
{
    return (volatile uint8_t *)(uintptr_t)at;
}

static void test_mechanism(void)
{
    outl(CONFIG_ADDRESS, 0x80000000);
    tap_eq(inl(CONFIG_ADDRESS), 0x80000000, "CONFIG_ADDRESS can be read back");
    outb(CONFIG_ADDRESS + 3, 0x01);
    outw(CONFIG_ADDRESS, 0x1234);
    tap_eq(inl(CONFIG_ADDRESS), 0x80000000, "bytes and words do not reach it");
    outl(CONFIG_ADDRESS, 0x80000000);
    tap_eq(inl(CONFIG_DATA), 0x12378086, "a doubleword of the host bridge");
    tap_eq(inw(CONFIG_DATA + 2), 0x1237, "a word");
    tap_eq(inb(CONFIG_DATA + 1), 0x80, "a byte");
    tap_eq(inw(CONFIG_DATA + 1), 0x3780, "a word that is not aligned");
    outl(CONFIG_ADDRESS, 0);
    tap_eq(inl(CONFIG_DATA), 0xffffffff, "nothing without bit 31");
    tap_eq(config_read(DEVFN(31, 7), 0, 4), 0xffffffff, "nobody reads all ones");
    outl(CONFIG_ADDRESS, 0x80200000);
    tap_eq(inl(CONFIG_DATA), 0xffffffff, "nor is there a bus 32");
}

static void test_functions(void)
{
    tap_eq(config_read(HOST_BRIDGE, 0x08, 4) >> 8, 0x060000, "0.0 is a host bridge");
    tap_eq(config_read(ISA_BRIDGE, 0x08, 4) >> 8, 0x060100, "1.0 is an ISA bridge");
    tap_eq(config_read(ISA_BRIDGE, 0x0e, 1), 0x80, "and has more functions");
    tap_eq(config_read(POWER, 0x08, 4) >> 8, 0x068000, "1.3 is another bridge");
    config_write(HOST_BRIDGE, 0, 4, 0);
    tap_eq(config_read(HOST_BRIDGE, 0, 4), 0x12378086, "IDs cannot be written");
}

static void test_routes(void)
{
    uint32_t before = config_read(ISA_BRIDGE, 0x60, 4);

    config_write(ISA_BRIDGE, 0x60, 4, 0x8b0a0b85);
    tap_eq(config_read(ISA_BRIDGE, 0x60, 4), 0x8b0a0b85, "four registers route PIRQA to D");
    config_write(ISA_BRIDGE, 0x62, 1, 0x80);
    tap_eq(config_read(ISA_BRIDGE, 0x60, 4), 0x8b800b85, "a byte each");
    config_write(ISA_BRIDGE, 0x60, 4, before);
}

static bool find_testdev(void)
{
    for (testdev = DEVFN(2, 0); testdev <= DEVFN(31, 0); testdev += 8)
        if (config_read(testdev, 0, 4) == 0x00051b36)
            return true;
    return false;
}

static void test_header(void)
{
    config_write(testdev, LINE, 1, 0xa5);
    tap_eq(config_read(testdev, LINE, 1), 0xa5, "the interrupt line is for software");
    config_write(testdev, LINE, 1, 0x5a);
    tap_eq(config_read(testdev, LINE, 1), 0x5a, "all of it");
    tap_eq(config_read(testdev, 0x3d, 1), 0, "no interrupt pin");
    config_write(testdev, COMMAND, 2, 0);
}

static void test_sizes(void)
{
    config_write(testdev, BAR0, 4, 0xffffffff);
    tap_eq(config_read(testdev, BAR0, 4), 0xfffff000, "BAR 0: 4 KiB of memory");
    config_write(testdev, BAR1, 4, 0xffffffff);
    tap_eq(config_read(testdev, BAR1, 4) & 0xffff, 0xff01, "BAR 1: 256 ports");
    config_write(testdev, BAR0, 4, MEMORY_AT);
    tap_eq(config_read(testdev, BAR0, 4), MEMORY_AT, "BAR 0 keeps an address");
    config_write(testdev, BAR1, 4, PORTS_AT | 0xfe);
    tap_eq(config_read(testdev, BAR1, 4), PORTS_AT | 1, "BAR 1, too, in multiples of its size");
    tap_eq(config_read(testdev, 0x24, 4), 0, "BAR 5 does not exist");
    config_write(testdev, 0x24, 4, 0xffffffff);
    tap_eq(config_read(testdev, 0x24, 4), 0, "and cannot be written");
}

/* Start test 0 of a header, write twice where it says, and get its count. */
static uint32_t count_memory(uint32_t at)
{
    volatile uint8_t *header = memory(at);
    uint32_t offset;

    header[0] = 0;
    offset = *(volatile uint32_t *)(header + 4);
    if (header[1] != 1 || offset >= 4096)
        return UINT32_MAX;
    header[offset] = header[8];
    header[offset] = header[8];
    return *(volatile uint32_t *)(header + 12);
}

static uint32_t count_ports(uint16_t at)
{
    uint32_t offset;

    outb(at, 0);
    offset = inl(at + 4);
    if (inb(at + 1) != 1 || offset >= 256)
        return UINT32_MAX;
    outb((uint16_t)(at + offset), inb(at + 8));
    outb((uint16_t)(at + offset), inb(at + 8));
    return inl(at + 12);
}

static void test_windows(void)
{
    tap_eq(*memory(MEMORY_AT + 1), 0xff, "COMMAND closed: no memory");
    tap_eq(inb(PORTS_AT + 1), 0xff, "no ports");
    config_write(testdev, COMMAND, 2, COMMAND_MEMORY);
    tap_eq(count_memory(MEMORY_AT), 2, "MEMORY opens BAR 0");
    tap_eq(inb(PORTS_AT + 1), 0xff, "and not BAR 1");
    config_write(testdev, COMMAND, 2, COMMAND_IO);
    tap_eq(*memory(MEMORY_AT + 1), 0xff, "without it BAR 0 is closed");
    tap_eq(count_ports(PORTS_AT), 2, "IO opens BAR 1");
    config_write(testdev, COMMAND, 2, COMMAND_IO | COMMAND_MEMORY);
    config_write(testdev, BAR0, 4, MEMORY_NEXT);
    tap_eq(*memory(MEMORY_AT + 1), 0xff, "BAR 0 leaves its place");
    tap_eq(count_memory(MEMORY_NEXT), 2, "for the next");
    config_write(testdev, BAR1, 4, PORTS_NEXT);
    tap_eq(inb(PORTS_AT + 1), 0xff, "BAR 1 leaves its place");
    tap_eq(count_ports(PORTS_NEXT), 2, "for the next");
    config_write(testdev, BAR1, 4, PORTS_AT);
    tap_eq(count_ports(PORTS_AT), 2, "and comes back");
    config_write(testdev, COMMAND, 2, 0);
    tap_eq(*memory(MEMORY_NEXT + 1), 0xff, "COMMAND closes memory");
    tap_eq(inb(PORTS_AT + 1), 0xff, "and ports");
}

int rom_main(void)
{
    require_440fx();
    test_mechanism();
    test_functions();
    test_routes();
    if (find_testdev()) {
        test_header();
        test_sizes();
        test_windows();
    } else {
        tap_skip("no pci-testdev", "base address registers");
    }
    tap_done();
}

/* memory.c: shadow RAM. Intel 440FX PCIset data sheet, "PAM[6:0] - Programmable Attribute Map Registers". */
#include "test-roms/chipset/pc.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define READ 1u
#define WRITE 2u

/* Segments that firmware does not live in. */
static const struct segment {
    uint32_t at;
    uint8_t pam, shift;
} segments[] = {
    { 0xd0000, 0x5c, 0 },
    { 0xd4000, 0x5c, 4 },
    { 0xd8000, 0x5d, 0 },
    { 0xdc000, 0x5d, 4 },
};

static void attribute(const struct segment *s, unsigned bits)
{
    uint8_t before = (uint8_t)config_read(HOST_BRIDGE, s->pam, 1);

    config_write(HOST_BRIDGE, s->pam, 1, (before & ~(3u << s->shift)) | bits << s->shift);
}

static volatile uint32_t *word(const struct segment *s, unsigned offset)
{
    return (volatile uint32_t *)(uintptr_t)(s->at + offset);
}

static void test_segment(const struct segment *s)
{
    uint32_t pci, mark = 0x5eed0000 | s->at >> 12;

    attribute(s, 0);
    pci = *word(s, 0x3ffc);
    *word(s, 0x3ffc) = ~pci;
    tap_eq(*word(s, 0x3ffc), pci, "%x: without attributes a write is lost", s->at);
    attribute(s, READ | WRITE);
    *word(s, 0x3ffc) = mark;
    *word(s, 0) = ~mark;
    tap_eq(*word(s, 0x3ffc), mark, "%x: with both it is memory", s->at);
    tap_eq(*word(s, 0), ~mark, "%x: from the first byte on", s->at);
    attribute(s, READ);
    *word(s, 0x3ffc) = 1;
    tap_eq(*word(s, 0x3ffc), mark, "%x: with READ it is write-protected", s->at);
    attribute(s, WRITE);
    *word(s, 0x3ffc) = mark + 1;
    tap_eq(*word(s, 0x3ffc), pci, "%x: with WRITE what is on PCI is read", s->at);
    attribute(s, READ);
    tap_eq(*word(s, 0x3ffc), mark + 1, "%x: and memory was written", s->at);
}

static void test_apart(void)
{
    uint32_t pci;

    attribute(&segments[0], 0);
    attribute(&segments[1], READ | WRITE);
    *word(&segments[1], 0) = 0x11;
    *word(&segments[1], 0x3ffc) = 0x22;
    pci = *word(&segments[0], 0x3ffc);
    *word(&segments[0], 0x3ffc) = ~pci;
    tap_eq(*word(&segments[0], 0x3ffc), pci, "the segment below has attributes of its own");
    attribute(&segments[0], READ | WRITE);
    attribute(&segments[1], 0);
    *word(&segments[1], 0) = 0x33;
    attribute(&segments[1], READ);
    tap_eq(*word(&segments[1], 0), 0x11, "and so has the one above");
    tap_eq(*word(&segments[1], 0x3ffc), 0x22, "to its end");
}

/* mov $value, %eax; ret */
static void put_code(const struct segment *s, uint8_t value)
{
    *word(s, 0) = 0x000000b8 | (uint32_t)value << 8;
    *word(s, 4) = 0x0000c300;
}

static uint32_t run_code(const struct segment *s)
{
    uint32_t (*code)(void) = (uint32_t(*)(void))(uintptr_t)s->at;

    return code();
}

/* Code that has run does not stay when what lies behind its address changes. */
static void test_code(void)
{
    const struct segment *s = &segments[2];

    attribute(s, READ | WRITE);
    put_code(s, 1);
    tap_eq(run_code(s), 1, "code runs in shadow RAM");
    put_code(s, 2);
    tap_eq(run_code(s), 2, "and can be overwritten");
    attribute(s, WRITE); /* behind a window that cannot be read */
    put_code(s, 3);
    attribute(s, READ);
    tap_eq(run_code(s), 3, "also while it was not to be seen");
    put_code(s, 4);
    tap_eq(run_code(s), 3, "and not while it is protected");
}

int rom_main(void)
{
    uint8_t before[2];

    require_440fx();
    before[0] = (uint8_t)config_read(HOST_BRIDGE, 0x5c, 1);
    before[1] = (uint8_t)config_read(HOST_BRIDGE, 0x5d, 1);
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++)
        test_segment(&segments[i]);
    test_apart();
    test_code();
    config_write(HOST_BRIDGE, 0x5c, 1, before[0]);
    config_write(HOST_BRIDGE, 0x5d, 1, before[1]);
    tap_done();
}

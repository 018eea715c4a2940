/* The bus master of IDE: "Programming Interface for Bus Master IDE Controller", revision 1.0. */
#include "tests/devices/ide_kit.h"

#define S 512u
#define TABLE 0x8000u
#define TARGET 0x100000u
#define LAST 0x80000000u

enum { TO_MEMORY = 8, START = 1 };
enum { ACTIVE = 1, FAILED = 2, INTERRUPT = 4 };

static uint8_t data[256 * S];

static void prd(struct ide_kit *k, unsigned index, uint32_t base, uint32_t count)
{
    phys_write(k->memory, TABLE + 8 * index, 4, base);
    phys_write(k->memory, TABLE + 8 * index + 4, 4, count);
}

static void table(struct ide_kit *k, uint32_t spa)
{
    bus_port_ops.write(k->bus, IDE_MASTER + 4, 4, spa);
}

static void start(struct ide_kit *k, unsigned direction)
{
    out8(k, IDE_MASTER, (uint8_t)direction);
    out8(k, IDE_MASTER, (uint8_t)(direction | START));
    ide_settle(k);
}

static void stop(struct ide_kit *k)
{
    out8(k, IDE_MASTER, 0);
}

static unsigned status(struct ide_kit *k)
{
    return in8(k, IDE_MASTER + 2) & 7;
}

static bool memory_same(struct ide_kit *k, uint64_t spa, uint64_t offset, size_t bytes)
{
    ck_assert(phys_read_block(k->memory, spa, data, bytes));
    return disk_same(data, offset, bytes);
}

START_TEST(dma_reads_into_regions)
{
    struct ide_kit k;
    ide_open(&k);
    prd(&k, 0, TARGET, 1000);
    prd(&k, 1, TARGET + 0x10002, 24);
    prd(&k, 2, TARGET + 0x20000, LAST | 1024);
    table(&k, TABLE);
    ide_do(&k, 0xc8, 33, 4);
    ck_assert_uint_eq(in8(&k, CONTROL), READY | DRQ);
    ck_assert(!k.irq[0].level);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    ck_assert(k.irq[0].level);
    ck_assert_uint_eq(in8(&k, COMMAND), READY);
    ck_assert(memory_same(&k, TARGET, 33 * S, 1000));
    ck_assert(memory_same(&k, TARGET + 0x10002, 33 * S + 1000, 24));
    ck_assert(memory_same(&k, TARGET + 0x20000, 33 * S + 1024, 1024));
    ck_assert_uint_eq(phys_read(k.memory, TARGET + 1000, 8), 0);
    stop(&k);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    out8(&k, IDE_MASTER + 2, INTERRUPT);
    ck_assert_uint_eq(status(&k), 0);
    ide_close(&k);
}
END_TEST

START_TEST(dma_writes_from_regions)
{
    struct ide_kit k;
    ide_open(&k);
    for (unsigned i = 0; i < 1024; i++)
        phys_write(k.memory, TARGET + i, 1, i * 3 & 0xff);
    prd(&k, 0, TARGET, 600);
    prd(&k, 1, TARGET + 600, LAST | 424);
    table(&k, TABLE);
    ide_do48(&k, 0x35, 7, 2);
    start(&k, 0);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    ck_assert_uint_eq(in8(&k, COMMAND), READY);
    ck_assert_int_eq(block_read(k.block[0], 7, 2, data), BLOCK_OK);
    for (unsigned i = 0; i < 1024; i++)
        ck_assert_uint_eq(data[i], i * 3 & 0xff);
    ide_close(&k);
}
END_TEST

START_TEST(dma_takes_time_and_may_be_started_first)
{
    struct ide_kit k;
    ide_open(&k);
    prd(&k, 0, TARGET, LAST | 512);
    table(&k, TABLE);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), ACTIVE);
    ide_do(&k, 0xc8, 1, 1);
    ck_assert_uint_eq(status(&k), ACTIVE);
    ck_assert(!k.irq[0].level);
    kit_pass(&k.kit, 999);
    ck_assert_uint_eq(status(&k), ACTIVE);
    kit_pass(&k.kit, 1);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    ide_close(&k);
}
END_TEST

/* A count of 0 is 64 KiB; a command of 256 sectors takes two of these, and two buffers. */
START_TEST(dma_moves_large_commands)
{
    struct ide_kit k;
    ide_open(&k);
    prd(&k, 0, TARGET, 0);
    prd(&k, 1, TARGET + 0x10000, LAST);
    table(&k, TABLE);
    ide_do(&k, 0xc8, 1000, 0);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    ck_assert(memory_same(&k, TARGET, 1000 * S, 256 * S));
    for (unsigned i = 0; i < 2; i++)
        prd(&k, i, TARGET + 0x8000 * i, (i ? LAST : 0) | 0x8000);
    ide_do48(&k, 0x25, 3000, 0x80);
    stop(&k);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    ck_assert(memory_same(&k, TARGET, 3000 * S, 128 * S));
    ide_close(&k);
}
END_TEST

/* BM 3.1: with more room than data the master stays active, with less the drive waits. */
START_TEST(dma_tables_of_another_size)
{
    struct ide_kit k;
    ide_open(&k);
    prd(&k, 0, TARGET, LAST | 1024);
    table(&k, TABLE);
    ide_do(&k, 0xc8, 5, 1);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), ACTIVE | INTERRUPT);
    ck_assert_uint_eq(in8(&k, COMMAND), READY);
    stop(&k);
    ck_assert_uint_eq(status(&k), INTERRUPT);
    out8(&k, IDE_MASTER + 2, INTERRUPT);

    ide_do(&k, 0xc8, 5, 4);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), 0);
    ck_assert_uint_eq(in8(&k, COMMAND), READY | DRQ);
    ck_assert(!k.irq[0].level);
    start(&k, TO_MEMORY); /* another table goes on where the drive is */
    ck_assert_uint_eq(status(&k), INTERRUPT);
    ck_assert(memory_same(&k, TARGET, 7 * S, 2 * S));
    ide_close(&k);
}
END_TEST

START_TEST(dma_stop_ends_it)
{
    struct ide_kit k;
    ide_open(&k);
    prd(&k, 0, TARGET, LAST | 512);
    table(&k, TABLE);
    ide_do(&k, 0xc8, 5, 1);
    out8(&k, IDE_MASTER, TO_MEMORY | START);
    stop(&k);
    ide_settle(&k);
    ck_assert_uint_eq(status(&k), 0);
    ck_assert_uint_eq(phys_read(k.memory, TARGET, 8), 0);
    ck_assert_uint_eq(in8(&k, CONTROL), READY | DRQ);
    out8(&k, CONTROL, 4); /* and reset ends the drive's part */
    out8(&k, CONTROL, 0);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(phys_read(k.memory, TARGET, 8), 0);
    ide_close(&k);
}
END_TEST

START_TEST(dma_hostile_tables)
{
    static const struct {
        uint32_t table, base, count;
        uint8_t direction;
    } row[] = {
        { IDE_RAM_BYTES, TARGET, LAST | 512, TO_MEMORY }, /* the table is no RAM */
        { 0xfffffff8, TARGET, LAST | 512, TO_MEMORY },
        { TABLE + 0x7ffc, TARGET, LAST | 512, TO_MEMORY },     /* it leaves its 64 KiB */
        { TABLE, IDE_RAM_BYTES - 256, LAST | 512, TO_MEMORY }, /* half of the region is */
        { TABLE, 0xfffffffe, LAST, TO_MEMORY },                /* over the end of addresses */
        { TABLE, 0xa0000, LAST | 512, TO_MEMORY },
        { TABLE, TARGET, LAST | 512, 0 }, /* the wrong way */
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct ide_kit k;
        ide_open(&k);
        prd(&k, 0, row[i].base, row[i].count);
        table(&k, row[i].table);
        ide_do(&k, 0xc8, 5, 1);
        start(&k, row[i].direction);
        ck_assert_uint_eq(status(&k), FAILED | INTERRUPT);
        ck_assert_uint_eq(in8(&k, FEATURE), 0x04);
        ck_assert_uint_eq(in8(&k, COMMAND), READY | ERR);
        ck_assert_uint_eq(k.kit.told[PROBE_GUEST_ERROR], 1);
        out8(&k, IDE_MASTER + 2, FAILED | INTERRUPT);
        ck_assert_uint_eq(status(&k), 0);
        ide_close(&k);
    }
}
END_TEST

/* Descriptors that never end, of the least size, over each other. */
START_TEST(dma_endless_tables)
{
    struct ide_kit k;
    ide_open(&k);
    for (unsigned i = 0; i < 0x2000; i++)
        phys_write(k.memory, 0x10000 + 8 * i, 8, UINT64_C(2) << 32 | 0x10000);
    table(&k, 0x10000);
    ide_do(&k, 0xc8, 0, 0);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k) & ACTIVE, 0);
    for (unsigned i = 0; i < 0x2000; i++)
        phys_write(k.memory, 0x10000 + 8 * i, 8, UINT64_C(2) << 32 | 0x30000);
    ide_do(&k, 0xc8, 0, 0);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), FAILED | INTERRUPT); /* 8192 of them are 16 KiB */
    ck_assert_uint_eq(in8(&k, COMMAND), READY | ERR);
    ide_close(&k);
}
END_TEST

START_TEST(dma_needs_the_right_to_master)
{
    struct ide_kit k;
    ide_open(&k);
    prd(&k, 0, TARGET, LAST | 512);
    table(&k, TABLE);
    pci_config_write(k.pci, IDE_DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO);
    ide_do(&k, 0xc8, 5, 1);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), FAILED | INTERRUPT);
    ck_assert_uint_eq(phys_read(k.memory, TARGET, 8), 0);
    ide_close(&k);
}
END_TEST

/* APM vol 2, 15.24.8 "Secure Initialization Support". */
START_TEST(dma_does_not_reach_what_skinit_protects)
{
    struct ide_kit k;
    ide_open(&k);
    memory_set_slb(k.memory, TARGET);
    prd(&k, 0, TARGET, LAST | 512);
    table(&k, TABLE);
    ide_do(&k, 0xc8, 5, 1);
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), FAILED | INTERRUPT);
    ck_assert_uint_eq(phys_read(k.memory, TARGET, 8), 0);
    ide_close(&k);
}
END_TEST

START_TEST(dma_bad_sectors)
{
    struct ide_kit k;
    ide_open(&k);
    k.disk[0].bad_from = 200 * S;
    k.disk[0].bad_to = 201 * S;
    prd(&k, 0, TARGET, 0);
    prd(&k, 1, TARGET + 0x10000, LAST);
    table(&k, TABLE);
    ide_do(&k, 0xc8, 10, 0); /* the second buffer has it */
    start(&k, TO_MEMORY);
    ck_assert_uint_eq(status(&k), ACTIVE | INTERRUPT);
    ck_assert_uint_eq(in8(&k, FEATURE), 0x40);
    ck_assert_uint_eq(in8(&k, COMMAND), READY | ERR);
    ck_assert(memory_same(&k, TARGET, 10 * S, 128 * S));
    ide_close(&k);
}
END_TEST

START_TEST(dma_registers)
{
    struct ide_kit k;
    ide_open(&k);
    bus_port_ops.write(k.bus, IDE_MASTER + 4, 4, 0x12345677);
    bus_port_ops.write(k.bus, IDE_MASTER + 12, 2, 0xabcd); /* the second channel's */
    ck_assert_uint_eq(bus_port_ops.read(k.bus, IDE_MASTER + 4, 4), 0x12345674);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, IDE_MASTER + 12, 4), 0xabcc);
    out8(&k, IDE_MASTER + 2, 0xff);
    ck_assert_uint_eq(in8(&k, IDE_MASTER + 2), 0x60);
    out8(&k, IDE_MASTER, 0xfe);
    ck_assert_uint_eq(in8(&k, IDE_MASTER), TO_MEMORY);
    ck_assert_uint_eq(in8(&k, IDE_MASTER + 1) | in8(&k, IDE_MASTER + 3), 0);
    ck_assert_uint_eq(pci_config_read(k.pci, IDE_DEVFN, PCI_VENDOR, 4), 0x70108086);
    ck_assert_uint_eq(pci_config_read(k.pci, IDE_DEVFN, PCI_REVISION, 4) >> 8, 0x010180);
    ck_assert_uint_eq(pci_config_read(k.pci, IDE_DEVFN, 0x40, 4), 0);
    ide_firmware_init(k.ide);
    ck_assert_uint_eq(pci_config_read(k.pci, IDE_DEVFN, 0x40, 4), 0x80008000);
    ide_close(&k);
}
END_TEST

CHECK_MAIN("ide_dma", dma_reads_into_regions, dma_writes_from_regions,
           dma_takes_time_and_may_be_started_first, dma_moves_large_commands,
           dma_tables_of_another_size, dma_stop_ends_it, dma_hostile_tables, dma_endless_tables,
           dma_needs_the_right_to_master, dma_does_not_reach_what_skinit_protects, dma_bad_sectors,
           dma_registers)

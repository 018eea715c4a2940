/* The DMA interface of fw_cfg: QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device". */
#include "tests/devices/kit.h"

#include "devices/fw_cfg.h"

#define RAM_BYTES (32u << 20)
#define REQUEST 0x1000u
#define TARGET 0x2000u
#define ERROR 1u
#define READ 2u
#define SKIP 4u
#define SELECT 8u
#define WRITE 16u

struct dma {
    struct kit kit; /* clock and probes */
    struct memory *memory;
    struct bus *bus;
    struct fw_cfg *fw;
};

static void dma_open(struct dma *dma)
{
    kit_open(&dma->kit);
    dma->memory = memory_new(RAM_BYTES);
    dma->bus = bus_new(dma->memory, &dma->kit.clock, &dma->kit.probes);
    dma->fw = fw_cfg_add(dma->bus, RAM_BYTES, 2);
    ck_assert_int_eq(fw_cfg_add_file(dma->fw, "opt/a", "hello world", 11, NULL), PACIFICA_OK);
}

static void dma_close(struct dma *dma)
{
    bus_free(dma->bus);
    memory_free(dma->memory);
    kit_close(&dma->kit);
}

static uint32_t swap(uint32_t value)
{
    return value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

static void start(struct dma *dma, uint64_t request)
{
    bus_port_ops.write(dma->bus, 0x514, 4, swap((uint32_t)(request >> 32)));
    bus_port_ops.write(dma->bus, 0x518, 4, swap((uint32_t)request));
}

/* Returns the control field afterwards. */
static uint32_t run(struct dma *dma, uint32_t control, uint32_t length, uint64_t address)
{
    phys_write(dma->memory, REQUEST, 4, swap(control));
    phys_write(dma->memory, REQUEST + 4, 4, swap(length));
    phys_write(dma->memory, REQUEST + 8, 4, swap((uint32_t)(address >> 32)));
    phys_write(dma->memory, REQUEST + 12, 4, swap((uint32_t)address));
    start(dma, REQUEST);
    return swap((uint32_t)phys_read(dma->memory, REQUEST, 4));
}

static void holds(struct dma *dma, uint64_t spa, const char *text, size_t len)
{
    uint8_t bytes[32];
    ck_assert(phys_read_block(dma->memory, spa, bytes, len));
    ck_assert_mem_eq(bytes, text, len);
}

START_TEST(fw_cfg_dma_is_announced)
{
    struct dma dma;
    dma_open(&dma);
    ck_assert_uint_eq(bus_port_ops.read(dma.bus, 0x514, 4), 0x554d4551); /* "QEMU" */
    ck_assert_uint_eq(bus_port_ops.read(dma.bus, 0x518, 4), 0x47464320); /* " CFG" */
    ck_assert_uint_eq(bus_port_ops.read(dma.bus, 0x519, 1), 'C');
    bus_port_ops.write(dma.bus, 0x510, 2, 0x01);
    ck_assert_uint_eq(bus_port_ops.read(dma.bus, 0x511, 1), 3);
    dma_close(&dma);
}
END_TEST

START_TEST(fw_cfg_dma_reads_and_goes_on)
{
    struct dma dma;
    dma_open(&dma);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT | READ, 5, TARGET), 0);
    holds(&dma, TARGET, "hello", 5);
    ck_assert_uint_eq(run(&dma, READ, 3, TARGET + 5), 0);
    holds(&dma, TARGET, "hello wo", 8);
    ck_assert_uint_eq(bus_port_ops.read(dma.bus, 0x511, 1),
                      'r');                           /* both interfaces share the place */
    ck_assert_uint_eq(run(&dma, READ, 4, TARGET), 0); /* zeros behind the end */
    holds(&dma, TARGET, "ld\0\0o wo", 8);
    dma_close(&dma);
}
END_TEST

START_TEST(fw_cfg_dma_selects_and_skips)
{
    struct dma dma;
    dma_open(&dma);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT, 0, 0), 0);
    ck_assert_uint_eq(bus_port_ops.read(dma.bus, 0x511, 1), 'h');
    ck_assert_uint_eq(run(&dma, SKIP, 5, 0), 0);
    ck_assert_uint_eq(run(&dma, READ, 5, TARGET), 0);
    holds(&dma, TARGET, "world", 5);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(run(&dma, SKIP, 0xffffffff, 0), 0);
    ck_assert_uint_eq(run(&dma, READ, 4, TARGET), 0);
    holds(&dma, TARGET, "\0\0\0\0", 4);
    dma_close(&dma);
}
END_TEST

START_TEST(fw_cfg_dma_reads_all_kinds_of_items)
{
    struct dma dma;
    dma_open(&dma);
    ck_assert_uint_eq(run(&dma, 0x00u << 16 | SELECT | READ, 4, TARGET), 0);
    holds(&dma, TARGET, "QEMU", 4);
    ck_assert_uint_eq(run(&dma, 0x05u << 16 | SELECT | READ, 2, TARGET), 0);
    holds(&dma, TARGET, "\2\0", 2);
    ck_assert_uint_eq(run(&dma, 0x0fu << 16 | SELECT | READ, 2, TARGET), 0);
    holds(&dma, TARGET, "\2\0", 2);
    ck_assert_uint_eq(run(&dma, 0x11u << 16 | SELECT | READ, 4, TARGET), 0);
    holds(&dma, TARGET, "\0\0\0\0", 4);
    ck_assert_uint_eq(run(&dma, 0x19u << 16 | SELECT | READ, 18, TARGET), 0);
    holds(&dma, TARGET, "\0\0\0\1\0\0\0\13\0\40\0\0opt/a\0", 18);
    dma_close(&dma);
}
END_TEST

START_TEST(fw_cfg_dma_refuses)
{
    static const struct {
        uint32_t control, length;
        uint64_t address;
    } row[] = {
        { WRITE, 1, TARGET },               /* nothing can be written */
        { READ, 1, RAM_BYTES },             /* not RAM */
        { READ, 0x20000, 0x90000 },         /* runs into the hole */
        { READ, 1, UINT64_MAX },            /* the last address there is */
        { READ, 2, UINT64_MAX },            /* and beyond */
        { READ, (16u << 20) + 12, TARGET }, /* more zeros than it gives */
        { READ, 0xffffffff, TARGET },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct dma dma;
        dma_open(&dma);
        ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT, 0, 0), 0);
        ck_assert_uint_eq(run(&dma, row[i].control, row[i].length, row[i].address), ERROR);
        dma_close(&dma);
    }
    struct dma dma;
    dma_open(&dma);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT | READ, (16u << 20) + 11, 0x100000), 0);
    holds(&dma, 0x100000, "hello world\0", 12);
    dma_close(&dma);
}
END_TEST

START_TEST(fw_cfg_dma_requests_outside_ram_are_ignored)
{
    struct dma dma;
    dma_open(&dma);
    start(&dma, RAM_BYTES - 8);
    start(&dma, UINT64_MAX);
    start(&dma, 0xa0000);
    bus_port_ops.write(dma.bus, 0x518, 1, 0x10); /* doublewords only */
    bus_port_ops.write(dma.bus, 0x51a, 2, 0x10);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT | READ, 5, TARGET), 0);
    holds(&dma, TARGET, "hello", 5);
    dma_close(&dma);
}
END_TEST

/* APM vol 2, 15.24.8 "Secure Initialization Support". rows: svmop 19.11 */
START_TEST(fw_cfg_dma_does_not_reach_what_skinit_protects)
{
    struct dma dma;
    dma_open(&dma);
    memory_set_slb(dma.memory, 0x10000);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT | READ, 5, 0x10000), ERROR);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT | READ, 5, 0xfffc), ERROR);
    ck_assert_uint_eq(phys_read(dma.memory, 0x10000, 4) | phys_read(dma.memory, 0xfffc, 4), 0);
    ck_assert_uint_eq(run(&dma, 0x20u << 16 | SELECT | READ, 5, 0xfffb), 0);
    holds(&dma, 0xfffb, "hello", 5);
    phys_write(dma.memory, 0x10000, 8, 0x0500000002000000); /* a request: READ, 5 bytes to TARGET */
    phys_write(dma.memory, 0x10008, 8, 0x0020000000000000);
    start(&dma, 0x10000);
    ck_assert_uint_eq(phys_read(dma.memory, 0x10000, 4), 0x02000000); /* nobody saw it */
    memory_set_slb(dma.memory, MEMORY_NO_SLB);
    start(&dma, 0x10000);
    ck_assert_uint_eq(phys_read(dma.memory, 0x10000, 4), 0);
    dma_close(&dma);
}
END_TEST

START_TEST(fw_cfg_dma_without_memory)
{
    struct kit kit;
    kit_open(&kit);
    ck_assert_ptr_nonnull(fw_cfg_add(kit.bus, 4096, 1));
    bus_port_ops.write(kit.bus, 0x518, 4, 0);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("fw_cfg_dma", fw_cfg_dma_is_announced, fw_cfg_dma_reads_and_goes_on,
           fw_cfg_dma_selects_and_skips, fw_cfg_dma_reads_all_kinds_of_items, fw_cfg_dma_refuses,
           fw_cfg_dma_requests_outside_ram_are_ignored,
           fw_cfg_dma_does_not_reach_what_skinit_protects, fw_cfg_dma_without_memory)

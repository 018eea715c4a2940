/* The PCI bus and functions on it: PCI Local Bus Specification 2.2. */
#include "tests/devices/pci_kit.h"

#define SLOT4 0x20 /* 4.0 */

/* A function that notes what reaches it. */
struct thing {
    struct pci_device pci;
    unsigned reads, writes, config_writes, resets;
    uint64_t offset, value;
    unsigned size, bar;
    struct tap {
        struct thing *thing;
        unsigned bar;
    } tap[PCI_BARS];
};

static uint64_t bar_read(void *self, uint64_t offset, unsigned size)
{
    const struct tap *tap = self;
    struct thing *t = tap->thing;
    t->reads++;
    t->bar = tap->bar;
    t->offset = offset;
    t->size = size;
    return 0x1122334455667788ull;
}

static void bar_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    const struct tap *tap = self;
    struct thing *t = tap->thing;
    t->writes++;
    t->bar = tap->bar;
    t->offset = offset;
    t->size = size;
    t->value = value;
}

static void config_written(void *self, unsigned offset, unsigned size)
{
    struct thing *t = self;
    t->config_writes++;
    t->offset = offset;
    t->size = size;
}

static void config_reset(void *self)
{
    struct thing *t = self;
    t->resets++;
}

static void thing_state(void *self, struct snap *snap)
{
    struct thing *t = self;
    pci_device_state(&t->pci, snap);
}

static const struct dev_class class_thing = {
    .name = "thing", .state_size = sizeof(struct thing), .state = thing_state, .state_version = 1
};

static void add_bar(struct thing *t, unsigned index, enum pci_bar_kind kind, uint64_t bytes)
{
    t->tap[index].thing = t;
    t->tap[index].bar = index;
    pci_add_bar(&t->pci, index,
                &(struct pci_bar_config){ .kind = kind,
                                          .bytes = bytes,
                                          .port_size = 4,
                                          .prefetchable = kind == PCI_BAR_MEM64,
                                          .read = bar_read,
                                          .write = bar_write,
                                          .self = &t->tap[index] });
}

/* BAR 0 I/O of 32, BAR 1 memory of 4 KiB, BAR 2 and 3 64-bit memory of 16 KiB, ROM of 64 KiB. */
static struct thing *add_thing_at(struct pci_kit *p, uint8_t devfn)
{
    static const struct pci_identity identity = { .vendor = 0x1234,
                                                  .device = 0x5678,
                                                  .subsystem_vendor = 0xabcd,
                                                  .subsystem = 0xef01,
                                                  .class_code = 0x010203,
                                                  .revision = 0x42,
                                                  .pin = 1 };
    static const struct pci_hooks hooks = { .written = config_written, .reset = config_reset };
    struct thing *t = bus_add(p->kit.bus, &class_thing);
    ck_assert_ptr_nonnull(t);
    pci_init(&t->pci, &identity, &hooks, t);
    add_bar(t, 0, PCI_BAR_IO, 32);
    add_bar(t, 1, PCI_BAR_MEM, 4096);
    add_bar(t, 2, PCI_BAR_MEM64, 16384);
    add_bar(t, PCI_BAR_OF_ROM, PCI_BAR_ROM, 65536);
    pci_add_capability(&t->pci, 0x11, 0x40);
    pci_add_capability(&t->pci, 0x09, 0x50);
    ck_assert(pci_add(p->pci, &t->pci, devfn));
    return t;
}

static struct thing *open_thing(struct pci_kit *p)
{
    pci_kit_open(p);
    return add_thing_at(p, SLOT4);
}

/* --- configuration mechanism 1 ---------------------------------------------------------------- */

START_TEST(address_takes_doublewords_only)
{
    struct pci_kit p;
    pci_kit_open(&p);
    port_write(&p, 0xcf8, 4, 0xffffffff);
    ck_assert_uint_eq(port_read(&p, 0xcf8, 4), 0x80fffffc); /* reserved bits read 0 */
    port_write(&p, 0xcf8, 1, 0);
    port_write(&p, 0xcfa, 2, 0);
    ck_assert_uint_eq(port_read(&p, 0xcf8, 4), 0x80fffffc);
    ck_assert_uint_eq(port_read(&p, 0xcf8, 2), 0xffff);
    bus_reset(p.kit.bus);
    ck_assert_uint_eq(port_read(&p, 0xcf8, 4), 0);
    pci_kit_close(&p);
}
END_TEST

START_TEST(header_reads_in_all_widths)
{
    struct pci_kit p;
    open_thing(&p);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x00, 4), 0x56781234);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x02, 2), 0x5678);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x03, 1), 0x56);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x01, 2), 0x7812);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x08, 4), 0x01020342);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x2c, 4), 0xef01abcd);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x3d, 1), 1);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x0e, 1), 0);
    pci_kit_close(&p);
}
END_TEST

START_TEST(nobody_reads_all_ones)
{
    struct pci_kit p;
    open_thing(&p);
    ck_assert_uint_eq(config_in(&p, 0x28, 0, 4), 0xffffffff); /* another slot */
    ck_assert_uint_eq(config_in(&p, SLOT4 + 1, 0, 4), 0xffffffff);
    port_write(&p, 0xcf8, 4, 0x80012000); /* another bus */
    ck_assert_uint_eq(port_read(&p, 0xcfc, 4), 0xffffffff);
    port_write(&p, 0xcf8, 4, 0x00002000); /* not enabled */
    ck_assert_uint_eq(port_read(&p, 0xcfc, 4), 0xffffffff);
    port_write(&p, 0xcfc, 4, 7);
    config_out(&p, 0x28, 0x04, 2, 7);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x04, 2), 0);
    pci_kit_close(&p);
}
END_TEST

START_TEST(identity_is_read_only)
{
    struct pci_kit p;
    open_thing(&p);
    for (unsigned offset = 0; offset < 256; offset += 4)
        config_out(&p, SLOT4, offset, 4, 0xffffffff);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x00, 4), 0x56781234);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x04, 4),
                      0x00100507); /* IO, memory, master, SERR, INTx off */
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x08, 4), 0x01020342);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x0c, 4), 0x0000ffff);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x2c, 4), 0xef01abcd);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x34, 1), 0x40);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x3c, 4), 0x000001ff); /* only the line */
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x40, 4), 0x00005011);
    pci_kit_close(&p);
}
END_TEST

START_TEST(capabilities_are_a_list)
{
    struct pci_kit p;
    open_thing(&p);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x06, 2) & 0x10, 0x10);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x34, 1), 0x40);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x40, 2), 0x5011);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x50, 2), 0x0009);
    pci_kit_close(&p);
}
END_TEST

START_TEST(write_hook_hears_what_was_written)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    config_out(&p, SLOT4, 0x42, 2, 1);
    ck_assert_uint_eq(t->config_writes, 1);
    ck_assert_uint_eq(t->offset, 0x42);
    ck_assert_uint_eq(t->size, 2);
    pci_kit_close(&p);
}
END_TEST

START_TEST(bits_that_writing_1_clears)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    t->pci.write_clears[0x07] = 0xf9;
    t->pci.config[0x07] = 0xff;
    config_out(&p, SLOT4, 0x06, 2, 0x4100);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x07, 1), 0xbe);
    pci_kit_close(&p);
}
END_TEST

START_TEST(a_place_is_given_once)
{
    struct pci_kit p;
    open_thing(&p);
    struct thing *other = bus_add(p.kit.bus, &class_thing);
    static const struct pci_identity identity = { .vendor = 1 };
    pci_init(&other->pci, &identity, NULL, other);
    ck_assert(!pci_add(p.pci, &other->pci, SLOT4));
    ck_assert_uint_eq(pci_free_slot(p.pci, 4), 5);
    ck_assert_uint_eq(pci_free_slot(p.pci, 3), 3);
    ck_assert(pci_add(p.pci, &other->pci, 0xf8));
    ck_assert_uint_eq(pci_free_slot(p.pci, 31), PCI_SLOTS);
    ck_assert_ptr_eq(pci_bus_device(p.pci, 0xf8), &other->pci);
    ck_assert_uint_eq(config_in(&p, 0xf8, 0x2c, 4), 0x11001af4); /* what QEMU's devices have */
    pci_kit_close(&p);
}
END_TEST

/* --- base address registers --------------------------------------------------------------------- */

START_TEST(bars_tell_their_size)
{
    static const struct {
        uint8_t offset;
        uint32_t ones, zeros;
    } row[] = {
        { 0x10, 0xffffffe1, 0x00000001 }, /* I/O of 32 */
        { 0x14, 0xfffff000, 0x00000000 }, /* memory of 4 KiB */
        { 0x18, 0xffffc00c, 0x0000000c }, /* 64-bit, prefetchable */
        { 0x1c, 0xffffffff, 0x00000000 }, /* its high half */
        { 0x20, 0x00000000, 0x00000000 }, /* none */
        { 0x24, 0x00000000, 0x00000000 }, { 0x30, 0xffff0001, 0x00000000 }, /* ROM of 64 KiB */
    };
    struct pci_kit p;
    open_thing(&p);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        config_out(&p, SLOT4, row[i].offset, 4, 0xffffffff);
        ck_assert_uint_eq(config_in(&p, SLOT4, row[i].offset, 4), row[i].ones);
        config_out(&p, SLOT4, row[i].offset, 4, 0);
        ck_assert_uint_eq(config_in(&p, SLOT4, row[i].offset, 4), row[i].zeros);
    }
    pci_kit_close(&p);
}
END_TEST

START_TEST(io_bar_answers_where_command_lets_it)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    config_out(&p, SLOT4, 0x10, 4, 0xc000);
    ck_assert_uint_eq(port_read(&p, 0xc004, 4), 0xffffffff);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(port_read(&p, 0xc004, 4), 0xffffffff);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_IO);
    ck_assert_uint_eq(port_read(&p, 0xc004, 4), 0x55667788);
    ck_assert_uint_eq(t->bar, 0);
    ck_assert_uint_eq(t->offset, 4);
    port_write(&p, 0xc01f, 1, 0x5a);
    ck_assert_uint_eq(t->offset, 31);
    ck_assert_uint_eq(t->value, 0x5a);
    unsigned reads = t->reads;
    (void)port_read(&p, 0xbfff, 1);
    (void)port_read(&p, 0xc020, 1);
    ck_assert_uint_eq(t->reads, reads);
    config_out(&p, SLOT4, 0x10, 4, 0xd000); /* it moves */
    ck_assert_uint_eq(port_read(&p, 0xc004, 4), 0xffffffff);
    ck_assert_uint_eq(port_read(&p, 0xd004, 2), 0x7788);
    config_out(&p, SLOT4, 0x04, 1, 0);
    ck_assert_uint_eq(port_read(&p, 0xd004, 2), 0xffff);
    pci_kit_close(&p);
}
END_TEST

START_TEST(memory_bars_answer_where_command_lets_them)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    uint64_t base;
    config_out(&p, SLOT4, 0x14, 4, 0xe0001000);
    config_out(&p, SLOT4, 0x18, 4, 0x80004000);
    config_out(&p, SLOT4, 0x1c, 4, 0x00000012);
    ck_assert_uint_eq(phys_read(p.memory, 0xe0001000, 4), 0xffffffff);
    ck_assert(!pci_bar_base(&t->pci, 1, &base));
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(phys_read(p.memory, 0xe0001ff8, 8), 0x1122334455667788);
    ck_assert_uint_eq(t->bar, 1);
    ck_assert_uint_eq(t->offset, 0xff8);
    phys_write(p.memory, 0x1280004010, 2, 0xbeef);
    ck_assert_uint_eq(t->bar, 2);
    ck_assert_uint_eq(t->offset, 0x10);
    ck_assert_uint_eq(t->value, 0xbeef);
    ck_assert(pci_bar_base(&t->pci, 2, &base));
    ck_assert_uint_eq(base, 0x1280004000);
    config_out(&p, SLOT4, 0x1c, 4, 0x00000013);
    ck_assert_uint_eq(phys_read(p.memory, 0x1280004010, 4), 0xffffffff);
    ck_assert_uint_eq(phys_read(p.memory, 0x1380004010, 4), 0x55667788);
    pci_kit_close(&p);
}
END_TEST

START_TEST(rom_has_a_switch_of_its_own)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MEMORY);
    config_out(&p, SLOT4, 0x30, 4, 0xfebe0000);
    ck_assert_uint_eq(phys_read(p.memory, 0xfebe0004, 4), 0xffffffff);
    config_out(&p, SLOT4, 0x30, 4, 0xfebe0001);
    ck_assert_uint_eq(phys_read(p.memory, 0xfebe0004, 4), 0x55667788);
    ck_assert_uint_eq(t->bar, PCI_BAR_OF_ROM);
    pci_kit_close(&p);
}
END_TEST

/* As while software writes all ones to learn a size, and before it has given places. */
START_TEST(bar_at_either_end_answers_nowhere)
{
    static const struct {
        uint8_t offset;
        uint32_t value;
        uint64_t spa;
    } row[] = {
        { 0x14, 0, 0x800 },
        { 0x14, 0xffffffff, 0xfffff800 },
        { 0x30, 0x00000001, 0x800 },
        { 0x30, 0xffffffff, 0xffff0800 },
    };
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        config_out(&p, SLOT4, row[i].offset, 4, row[i].value);
        (void)phys_read(p.memory, row[i].spa, 4);
        ck_assert_uint_eq(t->reads, 0);
        config_out(&p, SLOT4, row[i].offset, 4, 0);
    }
    config_out(&p, SLOT4, 0x10, 4, 0xffffffff);
    (void)port_read(&p, 0xffe0, 4);
    config_out(&p, SLOT4, 0x10, 4, 0x1c000); /* beyond the last port */
    (void)port_read(&p, 0xc000, 4);
    config_out(&p, SLOT4, 0x10, 4, 0);
    (void)port_read(&p, 0, 4);
    config_out(&p, SLOT4, 0x18, 4, 0xffffffff);
    config_out(&p, SLOT4, 0x1c, 4, 0xffffffff);
    (void)phys_read(p.memory, 0xffffffffffffc000, 4);
    ck_assert_uint_eq(t->reads, 0);
    pci_kit_close(&p);
}
END_TEST

START_TEST(ram_wins_over_bars)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    config_out(&p, SLOT4, 0x14, 4, 0x1000);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MEMORY);
    phys_write(p.memory, 0x1000, 4, 0x12345678);
    ck_assert_uint_eq(phys_read(p.memory, 0x1000, 4), 0x12345678);
    ck_assert_uint_eq(t->reads + t->writes, 0);
    pci_kit_close(&p);
}
END_TEST

/* The one added first answers, whichever moved there first; fixed ports win over both. */
START_TEST(bars_that_meet)
{
    static const struct dev_class fixed = { .name = "f",
                                            .ports = { { 0xc008, 8 } },
                                            .state_size = 1 };
    struct pci_kit p;
    struct thing *first = open_thing(&p), *second = add_thing_at(&p, 0x28);
    ck_assert_ptr_nonnull(bus_add(p.kit.bus, &fixed));
    config_out(&p, 0x28, 0x10, 4, 0xc000);
    config_out(&p, 0x28, 0x04, 2, PCI_COMMAND_IO);
    (void)port_read(&p, 0xc000, 4);
    ck_assert_uint_eq(second->reads, 1);
    config_out(&p, SLOT4, 0x10, 4, 0xc000);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_IO);
    (void)port_read(&p, 0xc000, 4);
    ck_assert_uint_eq(first->reads, 1);
    ck_assert_uint_eq(second->reads, 1);
    ck_assert_uint_eq(port_read(&p, 0xc008, 4), 0xffffffff);
    config_out(&p, SLOT4, 0x04, 2, 0);
    (void)port_read(&p, 0xc004, 4);
    ck_assert_uint_eq(second->reads, 2); /* it has its ports back */
    ck_assert_uint_eq(first->reads, 1);
    pci_kit_close(&p);
}
END_TEST

/* --- interrupts, bus mastering, reset ------------------------------------------------------------- */

START_TEST(pins_turn_with_the_slot)
{
    static const struct {
        uint8_t slot, pirq;
    } row[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 3 }, { 5, 0 }, { 31, 2 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct pci_kit p;
        pci_kit_open(&p);
        struct thing *t = add_thing_at(&p, pci_devfn(row[i].slot, 0));
        pci_set_intx(&t->pci, true);
        for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++)
            ck_assert_uint_eq(p.pirq[pirq].level, pirq == row[i].pirq);
        pci_kit_close(&p);
    }
}
END_TEST

START_TEST(pin_shows_in_status_and_obeys_command)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    pci_set_intx(&t->pci, true);
    pci_set_intx(&t->pci, true);
    ck_assert_uint_eq(p.pirq[3].rises, 1);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x06, 2) & 8, 8);
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_NO_INTX);
    ck_assert(!p.pirq[3].level);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x06, 2) & 8, 8); /* pending all the same */
    config_out(&p, SLOT4, 0x04, 2, 0);
    ck_assert(p.pirq[3].level);
    pci_set_intx(&t->pci, false);
    ck_assert(!p.pirq[3].level);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x06, 2) & 8, 0);
    pci_kit_close(&p);
}
END_TEST

START_TEST(functions_share_a_wire)
{
    struct pci_kit p;
    struct thing *a = open_thing(&p), *b = add_thing_at(&p, 0x40); /* slots 4 and 8 */
    pci_set_intx(&a->pci, true);
    pci_set_intx(&b->pci, true);
    pci_set_intx(&a->pci, false);
    ck_assert(p.pirq[3].level);
    pci_set_intx(&b->pci, false);
    ck_assert(!p.pirq[3].level);
    ck_assert_uint_eq(p.pirq[3].rises, 1);
    pci_kit_close(&p);
}
END_TEST

START_TEST(dma_needs_bus_master)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    uint32_t value = 0xdeadbeef;
    ck_assert(!pci_dma_write(&t->pci, 0x2000, &value, 4));
    ck_assert_uint_eq(phys_read(p.memory, 0x2000, 4), 0);
    ck_assert(!pci_dma_read(&t->pci, 0x2000, &value, 4));
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MASTER);
    ck_assert(pci_dma_write(&t->pci, 0x2000, &value, 4));
    ck_assert_uint_eq(phys_read(p.memory, 0x2000, 4), 0xdeadbeef);
    value = 0;
    ck_assert(pci_dma_read(&t->pci, 0x2000, &value, 4));
    ck_assert_uint_eq(value, 0xdeadbeef);
    pci_kit_close(&p);
}
END_TEST

START_TEST(dma_reaches_ram_alone)
{
    static const uint64_t spa[] = { PCI_KIT_RAM - 3, PCI_KIT_RAM,    0xa0000,
                                    0xe0000000,      UINT64_MAX - 3, UINT64_MAX };
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    uint32_t value = 5;
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    config_out(&p, SLOT4, 0x14, 4, 0xe0000000);
    for (size_t i = 0; i < sizeof(spa) / sizeof(spa[0]); i++) {
        ck_assert(!pci_dma_write(&t->pci, spa[i], &value, 4));
        ck_assert(!pci_dma_read(&t->pci, spa[i], &value, 4));
    }
    ck_assert_uint_eq(value, 5);
    ck_assert_uint_eq(t->writes, 0);
    memory_set_slb(p.memory, 0x10000); /* SKINIT keeps devices away */
    ck_assert(!pci_dma_write(&t->pci, 0x1fffc, &value, 4));
    ck_assert(pci_dma_write(&t->pci, 0x20000, &value, 4));
    pci_kit_close(&p);
}
END_TEST

START_TEST(dma_sees_no_smram)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    const struct memory_view smm = { .smm = true };
    uint32_t value = 5;
    config_out(&p, SLOT4, 0x04, 2, PCI_COMMAND_MASTER);
    ck_assert(memory_map_hole(p.memory, 0xa0000, 0x20000, HOLE_SMM_READ_RAM | HOLE_SMM_WRITE_RAM));
    memory_set_view(p.memory, &smm); /* the processor is in SMM */
    phys_write(p.memory, 0xa0000, 4, 0x12345678);
    ck_assert(!pci_dma_read(&t->pci, 0xa0000, &value, 4));
    ck_assert(!pci_dma_write(&t->pci, 0xa0000, &value, 4));
    ck_assert_uint_eq(phys_read(p.memory, 0xa0000, 4), 0x12345678); /* and is still there */
    ck_assert(pci_dma_write(&t->pci, 0x9fffc, &value, 4));
    pci_kit_close(&p);
}
END_TEST

START_TEST(reset_gives_configuration_space_back)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    config_out(&p, SLOT4, 0x10, 4, 0xc000);
    config_out(&p, SLOT4, 0x04, 2, 0x407);
    config_out(&p, SLOT4, 0x3c, 1, 11);
    pci_set_intx(&t->pci, true);
    bus_reset(p.kit.bus);
    ck_assert_uint_eq(t->resets, 1);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x04, 2), 0);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x10, 4), 1);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x3c, 1), 0);
    ck_assert_uint_eq(port_read(&p, 0xc004, 4), 0xffffffff);
    ck_assert(p.pirq[3].level); /* the device decides about its own interrupt */
    pci_kit_close(&p);
}
END_TEST

START_TEST(hash_sees_address_configuration_and_pins)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    uint64_t hash[5];
    hash[0] = kit_hash(&p);
    config_address(&p, SLOT4, 0x3c);
    hash[1] = kit_hash(&p);
    port_write(&p, 0xcfc, 1, 9);
    hash[2] = kit_hash(&p);
    pci_set_intx(&t->pci, true);
    hash[3] = kit_hash(&p);
    bus_reset(p.kit.bus);
    pci_set_intx(&t->pci, false);
    hash[4] = kit_hash(&p);
    for (unsigned i = 0; i < 4; i++)
        ck_assert(hash[i] != hash[i + 1]);
    ck_assert(hash[4] == hash[0]);
    pci_kit_close(&p);
}
END_TEST

/* Whatever is written anywhere, the bus answers afterwards. */
START_TEST(random_configuration_is_harmless)
{
    struct pci_kit p;
    struct thing *t = open_thing(&p);
    uint64_t seed = 1;
    add_thing_at(&p, 0x28);
    for (unsigned i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t random = (uint32_t)(seed >> 32);
        uint8_t devfn = random & 1 ? SLOT4 : 0x28;
        config_address(&p, devfn, random >> 8);
        port_write(&p, (uint16_t)(0xcfc + (random >> 1 & 3)), 1u << (random >> 3) % 3,
                   (uint32_t)(seed >> 13));
        (void)port_read(&p, (uint16_t)(seed >> 20), 4);
        (void)phys_read(p.memory, seed >> 22, 8);
    }
    config_out(&p, SLOT4, 0x10, 4, 0xc000);
    config_out(&p, SLOT4, 0x04, 2, 1);
    ck_assert_uint_eq(port_read(&p, 0xc000, 4), 0x55667788);
    ck_assert_uint_gt(t->reads, 0);
    pci_kit_close(&p);
}
END_TEST

/* --- what firmware does -------------------------------------------------------------------------------- */

START_TEST(firmware_places_everything_once)
{
    static const int irq[PCI_PIRQS] = { 10, -1, 11, 9 };
    struct pci_kit p;
    struct {
        uint64_t base, bytes;
    } seen[64];
    unsigned count = 0;
    open_thing(&p);
    for (unsigned slot = 5; slot < 12; slot++)
        add_thing_at(&p, pci_devfn(slot, 0));
    pci_firmware_init(p.pci, irq);
    for (unsigned slot = 4; slot < 12; slot++)
        for (unsigned i = 0; i < 3; i++) {
            const struct pci_device *dev = pci_bus_device(p.pci, pci_devfn(slot, 0));
            uint64_t base, bytes = dev->bar[i].window.bytes;
            ck_assert(pci_bar_base(dev, i, &base));
            ck_assert_uint_eq(base % bytes, 0);
            ck_assert_uint_ge(base, i ? 0xe0000000 : 0xc000);
            ck_assert_uint_le(base + bytes, i ? 0xfec00000 : 0x10000);
            for (unsigned n = 0; n < count; n++)
                ck_assert(base + bytes <= seen[n].base || seen[n].base + seen[n].bytes <= base);
            seen[count].base = base;
            seen[count++].bytes = bytes;
        }
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x3c, 1), 9); /* PIRQD */
    ck_assert_uint_eq(config_in(&p, 0x28, 0x3c, 1), 10);
    ck_assert_uint_eq(config_in(&p, 0x30, 0x3c, 1), 0); /* goes nowhere */
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x04, 2), 3);
    ck_assert_uint_eq(config_in(&p, SLOT4, 0x30, 4) & 1, 0); /* ROMs stay shut */
    pci_kit_close(&p);
}
END_TEST

START_TEST(firmware_opens_the_old_ports_of_a_vga)
{
    static const int irq[PCI_PIRQS] = { 10, 10, 11, 11 };
    static const struct {
        uint32_t class_code, command;
    } cases[] = {
        { 0x030000, 3 }, { 0x030001, 2 }, { 0x030100, 2 }, { 0x040000, 2 }, { 0x000003, 2 }
    };
    struct pci_kit p;
    struct pci_device dev[5];
    pci_kit_open(&p);
    memset(dev, 0, sizeof(dev));
    for (unsigned i = 0; i < 5; i++) {
        struct pci_identity identity = { .vendor = 1, .class_code = cases[i].class_code };
        pci_init(&dev[i], &identity, NULL, NULL);
        pci_add_bar(&dev[i], 0, &(struct pci_bar_config){ .kind = PCI_BAR_MEM, .bytes = 4096 });
        ck_assert(pci_add(p.pci, &dev[i], pci_devfn(i + 4, 0)));
    }
    pci_firmware_init(p.pci, irq);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(config_in(&p, (i + 4) << 3, 0x04, 2), cases[i].command);
    pci_kit_close(&p);
}
END_TEST

START_TEST(firmware_leaves_out_what_has_no_room)
{
    static const int irq[PCI_PIRQS] = { 10, 10, 11, 11 };
    static const struct pci_identity identity = { .vendor = 1 };
    struct pci_kit p;
    struct pci_device dev[3];
    uint64_t base;
    pci_kit_open(&p);
    memset(dev, 0, sizeof(dev));
    for (unsigned i = 0; i < 3; i++) {
        pci_init(&dev[i], &identity, NULL, NULL);
        pci_add_bar(&dev[i], 0,
                    &(struct pci_bar_config){ .kind = PCI_BAR_MEM64,
                                              .bytes = i < 2 ? UINT64_C(1) << 28 : 4096 });
        pci_add_bar(&dev[i], 5,
                    &(struct pci_bar_config){ .kind = PCI_BAR_MEM, .bytes = UINT64_C(1) << 31 });
        ck_assert(pci_add(p.pci, &dev[i], pci_devfn(8 + i, 0)));
    }
    pci_firmware_init(p.pci, irq);
    ck_assert(pci_bar_base(&dev[0], 0, &base));
    ck_assert_uint_eq(base, 0xe0000000);
    ck_assert(!pci_bar_base(&dev[1], 0, &base));
    ck_assert(pci_bar_base(&dev[2], 0, &base));
    ck_assert_uint_eq(base, 0xf0000000);
    ck_assert(!pci_bar_base(&dev[0], 5, &base));
    pci_kit_close(&p);
}
END_TEST

CHECK_MAIN("pci", firmware_places_everything_once, firmware_opens_the_old_ports_of_a_vga,
           firmware_leaves_out_what_has_no_room, dma_sees_no_smram, address_takes_doublewords_only,
           header_reads_in_all_widths, nobody_reads_all_ones, identity_is_read_only,
           capabilities_are_a_list, write_hook_hears_what_was_written, bits_that_writing_1_clears,
           a_place_is_given_once, bars_tell_their_size, io_bar_answers_where_command_lets_it,
           memory_bars_answer_where_command_lets_them, rom_has_a_switch_of_its_own,
           bar_at_either_end_answers_nowhere, ram_wins_over_bars, bars_that_meet,
           pins_turn_with_the_slot, pin_shows_in_status_and_obeys_command, functions_share_a_wire,
           dma_needs_bus_master, dma_reaches_ram_alone, reset_gives_configuration_space_back,
           hash_sees_address_configuration_and_pins, random_configuration_is_harmless)

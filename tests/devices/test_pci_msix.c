/* MSI-X: PCI Local Bus Specification 3.0, 6.8.2. */
#include "tests/devices/pci_kit.h"

#include "devices/pci_msix.h"

#define DEV 0x20
#define CAP 0x60
#define TABLE 0xe0000000u
#define PENDING (TABLE + 0x800)
#define VECTORS 3
#define ENABLE 0x8000
#define MASK_ALL 0x4000

struct mx {
    struct pci_kit p;
    struct pci_device pci;
    struct pci_msix msix;
    unsigned sent;
    uint32_t address, data; /* of the last message */
};

static void sent(void *self, uint32_t address, uint32_t data)
{
    struct mx *m = self;
    m->sent++;
    m->address = address;
    m->data = data;
}

static void control(struct mx *m, uint16_t value)
{
    config_out(&m->p, DEV, CAP + 2, 2, value);
}

static void word(struct mx *m, unsigned vector, unsigned at, uint32_t value)
{
    phys_write(m->p.memory, TABLE + 16 * vector + at, 4, value);
}

/* Vectors send data 41h, 42h, 43h to FEE01000h; 0 and 1 are unmasked, MSI-X is on. */
static void open_msix(struct mx *m)
{
    static const struct pci_identity identity = { .vendor = 1, .pin = 1 };
    memset(m, 0, sizeof(*m));
    pci_kit_open(&m->p);
    pci_bus_set_messages(m->p.pci, &(struct pci_messages){ .send = sent, .self = m });
    pci_init(&m->pci, &identity, NULL, NULL);
    pci_msix_add(&m->msix, &m->pci, 1, CAP, VECTORS);
    ck_assert(pci_add(m->p.pci, &m->pci, DEV));
    config_out(&m->p, DEV, 0x14, 4, TABLE);
    config_out(&m->p, DEV, 0x04, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < VECTORS; i++) {
        word(m, i, 0, 0xfee01000);
        word(m, i, 8, 0x41 + i);
        word(m, i, 12, i == 2);
    }
    control(m, ENABLE);
}

static uint32_t pending(struct mx *m)
{
    return (uint32_t)phys_read(m->p.memory, PENDING, 4);
}

START_TEST(capability_says_where_the_table_is)
{
    struct mx m;
    open_msix(&m);
    ck_assert_uint_eq(config_in(&m.p, DEV, 0x34, 1), CAP);
    ck_assert_uint_eq(config_in(&m.p, DEV, CAP, 4), 0x80020011);
    ck_assert_uint_eq(config_in(&m.p, DEV, CAP + 4, 4), 1);
    ck_assert_uint_eq(config_in(&m.p, DEV, CAP + 8, 4), 0x801);
    config_out(&m.p, DEV, CAP, 4, 0xffffffff);
    ck_assert_uint_eq(config_in(&m.p, DEV, CAP, 4), 0xc0020011);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(table_keeps_what_is_written)
{
    struct mx m;
    open_msix(&m);
    phys_write(m.p.memory, TABLE + 32, 8, UINT64_C(0x1122334455667788));
    ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 32, 8), UINT64_C(0x1122334455667788));
    word(&m, 2, 0, 0xffffffff); /* bits 1:0 are 0 */
    ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 32, 4), 0xfffffffc);
    word(&m, 2, 12, 0xffffffff);
    ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 44, 4), 1);
    ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 40, 1), 0x43);
    phys_write(m.p.memory, TABLE + 40, 1, 0xff); /* neither four nor eight bytes */
    phys_write(m.p.memory, TABLE + 42, 4, 0xff);
    ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 40, 4), 0x43);
    word(&m, VECTORS, 0, 0x55); /* behind the last */
    ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 16 * VECTORS, 4), 0);
    phys_write(m.p.memory, PENDING, 4, 0xff);
    ck_assert_uint_eq(pending(&m), 0);
    (void)phys_read(m.p.memory, TABLE + 4088, 8);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(vector_sends_its_message)
{
    struct mx m;
    open_msix(&m);
    pci_msix_notify(&m.msix, 1);
    ck_assert_uint_eq(m.sent, 1);
    ck_assert_uint_eq(m.address, 0xfee01000);
    ck_assert_uint_eq(m.data, 0x42);
    pci_msix_notify(&m.msix, VECTORS);
    pci_msix_notify(&m.msix, PCI_MSIX_NONE);
    ck_assert_uint_eq(m.sent, 1);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(masked_vector_waits)
{
    struct mx m;
    open_msix(&m);
    pci_msix_notify(&m.msix, 2);
    pci_msix_notify(&m.msix, 2);
    ck_assert_uint_eq(m.sent, 0);
    ck_assert_uint_eq(pending(&m), 4);
    word(&m, 2, 12, 0);
    ck_assert_uint_eq(m.sent, 1); /* once */
    ck_assert_uint_eq(m.data, 0x43);
    ck_assert_uint_eq(pending(&m), 0);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(function_mask_holds_all)
{
    struct mx m;
    open_msix(&m);
    control(&m, ENABLE | MASK_ALL);
    pci_msix_notify(&m.msix, 0);
    pci_msix_notify(&m.msix, 2);
    ck_assert_uint_eq(m.sent, 0);
    ck_assert_uint_eq(pending(&m), 5);
    control(&m, ENABLE);
    ck_assert_uint_eq(m.sent, 1);
    ck_assert_uint_eq(m.data, 0x41);
    ck_assert_uint_eq(pending(&m), 4);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(disabled_it_sends_nothing)
{
    struct mx m;
    open_msix(&m);
    control(&m, 0);
    ck_assert(!pci_msix_enabled(&m.msix));
    pci_msix_notify(&m.msix, 0);
    control(&m, ENABLE);
    ck_assert(pci_msix_enabled(&m.msix));
    ck_assert_uint_eq(m.sent, 0);
    config_out(&m.p, DEV, 0x04, 2, PCI_COMMAND_MEMORY); /* no bus mastering: lost */
    pci_msix_notify(&m.msix, 0);
    config_out(&m.p, DEV, 0x04, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    ck_assert_uint_eq(m.sent, 0);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(pin_is_silent_while_enabled)
{
    struct mx m;
    open_msix(&m);
    pci_set_intx(&m.pci, true);
    ck_assert(!m.p.pirq[3].level);
    control(&m, 0);
    ck_assert(m.p.pirq[3].level);
    control(&m, ENABLE);
    ck_assert(!m.p.pirq[3].level);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(other_addresses_are_memory)
{
    struct mx m;
    open_msix(&m);
    word(&m, 0, 0, 0x2000);
    pci_msix_notify(&m.msix, 0);
    ck_assert_uint_eq(m.sent, 0);
    ck_assert_uint_eq(phys_read(m.p.memory, 0x2000, 4), 0x41);
    word(&m, 0, 0, 0xfef00000);
    pci_msix_notify(&m.msix, 0); /* nobody */
    word(&m, 0, 0, 0xfee00000);
    word(&m, 0, 4, 1); /* beyond 4 GiB it is no message */
    pci_msix_notify(&m.msix, 0);
    ck_assert_uint_eq(m.sent, 0);
    word(&m, 0, 4, 0);
    word(&m, 0, 0, 0xfeeffffc);
    pci_msix_notify(&m.msix, 0);
    ck_assert_uint_eq(m.sent, 1);
    pci_kit_close(&m.p);
}
END_TEST

START_TEST(reset_masks_and_forgets)
{
    struct mx m;
    open_msix(&m);
    uint64_t hash = kit_function_hash(&m.pci);
    pci_msix_notify(&m.msix, 2);
    ck_assert(kit_function_hash(&m.pci) != hash);
    bus_reset(m.p.kit.bus);
    ck_assert(!pci_msix_enabled(&m.msix));
    config_out(&m.p, DEV, 0x14, 4, TABLE);
    config_out(&m.p, DEV, 0x04, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    ck_assert_uint_eq(pending(&m), 0);
    for (unsigned i = 0; i < VECTORS; i++) {
        ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 16 * i, 8), 0);
        ck_assert_uint_eq(phys_read(m.p.memory, TABLE + 16 * i + 12, 4), 1);
    }
    pci_kit_close(&m.p);
}
END_TEST

CHECK_MAIN("pci_msix", capability_says_where_the_table_is, table_keeps_what_is_written,
           vector_sends_its_message, masked_vector_waits, function_mask_holds_all,
           disabled_it_sends_nothing, pin_is_silent_while_enabled, other_addresses_are_memory,
           reset_masks_and_forgets)

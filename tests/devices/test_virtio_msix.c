/* virtio with MSI-X: VIRTIO 4.1.4.3, 4.1.4.5, 4.1.5.1.2, 4.1.5.3. */
#include "tests/devices/virtio_kit.h"

#define CAP 0x98
#define TABLE 0xfe010000u
#define NONE 0xffff
#define CONFIG_VECTOR 16
#define QUEUE_VECTOR 26

struct heard {
    struct virtio_kit k;
    unsigned count;
    uint32_t data;
};

static void sent(void *self, uint32_t address, uint32_t data)
{
    struct heard *h = self;
    ck_assert_uint_eq(address, 0xfee00000);
    h->count++;
    h->data = data;
}

/* A source of random numbers, whose vectors 0 and 1 send 60h and 61h. */
static void open_messages(struct heard *h)
{
    memset(h, 0, sizeof(*h));
    v_open_rng(&h->k, 1);
    pci_bus_set_messages(h->k.pci, &(struct pci_messages){ .send = sent, .self = h });
    pci_config_write(h->k.pci, V_DEVFN, PCI_BAR0 + 4, 4, TABLE);
    for (unsigned i = 0; i < 2; i++) {
        phys_write(h->k.memory, TABLE + 16 * i, 8, 0xfee00000);
        phys_write(h->k.memory, TABLE + 16 * i + 8, 8, 0x60 + i);
    }
    pci_config_write(h->k.pci, V_DEVFN, CAP + 2, 2, 0x8000);
}

static void set_vectors(struct heard *h, unsigned config, unsigned queue)
{
    v_write(&h->k, CONFIG_VECTOR, 2, config);
    v_write(&h->k, 22, 2, 0);
    v_write(&h->k, QUEUE_VECTOR, 2, queue);
}

static void request(struct heard *h)
{
    v_descriptor(&h->k, 0, V_DATA, 16, V_WRITE, 0);
    v_offer(&h->k, 0);
    v_kick(&h->k);
}

START_TEST(vectors_are_kept_if_they_exist)
{
    struct heard h;
    open_messages(&h);
    ck_assert_uint_eq(pci_config_read(h.k.pci, V_DEVFN, CAP + 2, 2), 0x8001); /* two */
    ck_assert_uint_eq(v_read(&h.k, CONFIG_VECTOR, 2), NONE);
    ck_assert_uint_eq(v_read(&h.k, QUEUE_VECTOR, 2), NONE);
    set_vectors(&h, 0, 1);
    ck_assert_uint_eq(v_read(&h.k, CONFIG_VECTOR, 2), 0);
    ck_assert_uint_eq(v_read(&h.k, QUEUE_VECTOR, 2), 1);
    set_vectors(&h, 2, 2);
    ck_assert_uint_eq(v_read(&h.k, CONFIG_VECTOR, 2), NONE);
    ck_assert_uint_eq(v_read(&h.k, QUEUE_VECTOR, 2), NONE);
    v_write(&h.k, 22, 2, 1); /* no such queue */
    v_write(&h.k, QUEUE_VECTOR, 2, 1);
    ck_assert_uint_eq(v_read(&h.k, QUEUE_VECTOR, 2), 0);
    set_vectors(&h, 0, 1);
    v_write(&h.k, 20, 1, 0);
    ck_assert_uint_eq(v_read(&h.k, CONFIG_VECTOR, 2), NONE);
    v_close(&h.k);
}
END_TEST

START_TEST(a_queue_sends_its_vector)
{
    struct heard h;
    open_messages(&h);
    v_start(&h.k, 0);
    set_vectors(&h, 0, 1); /* of a queue that works already */
    request(&h);
    ck_assert_uint_eq(v_used(&h.k), 1);
    ck_assert_uint_eq(h.count, 1);
    ck_assert_uint_eq(h.data, 0x61);
    ck_assert(!v_interrupt(&h.k));
    ck_assert_uint_eq(v_read(&h.k, V_ISR, 1), 0); /* ISR is not for messages */
    set_vectors(&h, 0, NONE);
    request(&h);
    ck_assert_uint_eq(v_used(&h.k), 2);
    ck_assert_uint_eq(h.count, 1);
    ck_assert(!v_interrupt(&h.k));
    v_close(&h.k);
}
END_TEST

START_TEST(the_configuration_sends_its_vector)
{
    struct heard h;
    open_messages(&h);
    v_start(&h.k, 0);
    set_vectors(&h, 0, 1);
    v_descriptor(&h.k, 0, UINT64_MAX - 7, 16, V_WRITE, 0); /* breaks the device */
    v_offer(&h.k, 0);
    v_kick(&h.k);
    ck_assert_uint_eq(v_status(&h.k) & V_NEEDS_RESET, V_NEEDS_RESET);
    ck_assert_uint_eq(h.count, 1);
    ck_assert_uint_eq(h.data, 0x60);
    ck_assert_uint_eq(v_read(&h.k, V_ISR, 1), 2);
    v_close(&h.k);
}
END_TEST

START_TEST(disabled_the_pin_is_back)
{
    struct heard h;
    open_messages(&h);
    v_start(&h.k, 0);
    set_vectors(&h, 0, 1);
    pci_config_write(h.k.pci, V_DEVFN, CAP + 2, 2, 0);
    request(&h);
    ck_assert_uint_eq(h.count, 0);
    ck_assert(v_interrupt(&h.k));
    ck_assert_uint_eq(v_read(&h.k, V_ISR, 1), 1);
    v_close(&h.k);
}
END_TEST

/* The ports of before 1.0: two vectors stand before the configuration while MSI-X is on. */
START_TEST(legacy_registers_move)
{
    struct virtio_kit k;
    v_open_blk(&k);
    uint32_t sectors = bus_port_ops.read(k.bus, V_PORTS + 20, 4);
    ck_assert_uint_eq(sectors, 4096);
    bus_port_ops.write(k.bus, V_PORTS + 20, 2, 1); /* not a vector now */
    pci_config_write(k.pci, V_DEVFN, CAP + 2, 2, 0x8000);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 24, 4), sectors);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 20, 2), NONE);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 22, 2), NONE);
    bus_port_ops.write(k.bus, V_PORTS + 20, 2, 0);
    bus_port_ops.write(k.bus, V_PORTS + 14, 2, 0);
    bus_port_ops.write(k.bus, V_PORTS + 22, 2, 1);
    bus_port_ops.write(k.bus, V_PORTS + 8, 4, V_TABLE >> 12); /* where the queue is */
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 20, 2), 0);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 22, 2), 1);
    bus_port_ops.write(k.bus, V_PORTS + 22, 2, 9);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 22, 2), NONE);
    pci_config_write(k.pci, V_DEVFN, CAP + 2, 2, 0);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, V_PORTS + 20, 4), sectors);
    v_close(&k);
}
END_TEST

START_TEST(hash_sees_vectors)
{
    struct heard h;
    open_messages(&h);
    uint64_t hash = v_hash(&h.k);
    v_write(&h.k, CONFIG_VECTOR, 2, 1);
    ck_assert(v_hash(&h.k) != hash);
    v_write(&h.k, CONFIG_VECTOR, 2, NONE);
    ck_assert(v_hash(&h.k) == hash);
    v_write(&h.k, QUEUE_VECTOR, 2, 1);
    ck_assert(v_hash(&h.k) != hash);
    v_close(&h.k);
}
END_TEST

CHECK_MAIN("virtio_msix", vectors_are_kept_if_they_exist, a_queue_sends_its_vector,
           the_configuration_sends_its_vector, disabled_the_pin_is_back, legacy_registers_move,
           hash_sees_vectors)

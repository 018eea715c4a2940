/* The host bridge and the ISA bridge: Intel 82441FX and 82371SB data sheets. */
#include "tests/devices/pci_kit.h"

#include "devices/i440fx.h"
#include "devices/piix3.h"
#include "devices/reset_ports.h"

#define HOST PCI_HOST_BRIDGE
#define ISA PCI_ISA_BRIDGE

static uint8_t rom[0x20000];

/* A host bridge, with a ROM of 5A at E0000h-FFFFFh. */
static void open_host(struct pci_kit *p)
{
    pci_kit_open(p);
    memset(rom, 0x5a, sizeof(rom));
    ck_assert(memory_add_rom(p->memory, 0xe0000, rom, sizeof(rom)));
    ck_assert_ptr_nonnull(i440fx_add(p->kit.bus, p->pci));
}

static void set_view(struct pci_kit *p, bool smm)
{
    const struct memory_view view = { .smm = smm };
    memory_set_view(p->memory, &view);
}

/* Does RAM answer? Told apart by two writes and what they leave. */
static bool writes_ram(struct pci_kit *p, uint32_t spa)
{
    return memory_ptr(p->memory, spa, 1) != NULL;
}

static uint8_t peek(struct pci_kit *p, uint32_t spa)
{
    return (uint8_t)phys_read(p->memory, spa, 1);
}

static void poke(struct pci_kit *p, uint32_t spa, uint8_t value)
{
    phys_write(p->memory, spa, 1, value);
}

START_TEST(host_bridge_is_a_440fx)
{
    struct pci_kit p;
    open_host(&p);
    ck_assert_uint_eq(config_in(&p, HOST, 0x00, 4), 0x12378086);
    ck_assert_uint_eq(config_in(&p, HOST, 0x08, 4), 0x06000002);
    config_out(&p, HOST, 0x04, 2, 0);
    ck_assert_uint_eq(config_in(&p, HOST, 0x04, 2), 6); /* memory and mastering are fixed */
    pci_kit_close(&p);
}
END_TEST

/* Each of the 13 segments has its own nibble; both ends of each. */
START_TEST(pam_routes_each_segment_alone)
{
    static const struct {
        uint32_t spa, bytes;
        uint8_t offset, shift;
    } row[] = {
        { 0xf0000, 0x10000, 0x59, 4 }, { 0xc0000, 0x4000, 0x5a, 0 }, { 0xc4000, 0x4000, 0x5a, 4 },
        { 0xc8000, 0x4000, 0x5b, 0 },  { 0xcc000, 0x4000, 0x5b, 4 }, { 0xd0000, 0x4000, 0x5c, 0 },
        { 0xd4000, 0x4000, 0x5c, 4 },  { 0xd8000, 0x4000, 0x5d, 0 }, { 0xdc000, 0x4000, 0x5d, 4 },
        { 0xe0000, 0x4000, 0x5e, 0 },  { 0xe4000, 0x4000, 0x5e, 4 }, { 0xe8000, 0x4000, 0x5f, 0 },
        { 0xec000, 0x4000, 0x5f, 4 },
    };
    struct pci_kit p;
    open_host(&p);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        config_out(&p, HOST, row[i].offset, 1, 3u << row[i].shift);
        for (size_t other = 0; other < sizeof(row) / sizeof(row[0]); other++) {
            ck_assert_uint_eq(writes_ram(&p, row[other].spa), other == i);
            ck_assert_uint_eq(writes_ram(&p, row[other].spa + row[other].bytes - 1), other == i);
        }
        config_out(&p, HOST, row[i].offset, 1, 0);
    }
    config_out(&p, HOST, 0x59, 1, 0xff); /* bits 3:0 of PAM0 and 7:6, 3:2 of all are reserved */
    config_out(&p, HOST, 0x5a, 1, 0xff);
    ck_assert_uint_eq(config_in(&p, HOST, 0x58, 4), 0x00333000);
    pci_kit_close(&p);
}
END_TEST

/* As firmware does it: the ROM is copied over itself, and then locked. */
START_TEST(shadow_ram_has_four_attributes)
{
    struct pci_kit p;
    open_host(&p);
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x5a);
    poke(&p, 0xf0000, 1); /* to the ROM: lost */
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x5a);
    config_out(&p, HOST, 0x59, 1, 0x20); /* write only */
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x5a);
    poke(&p, 0xf0000, 0x11);
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x5a);
    config_out(&p, HOST, 0x59, 1, 0x10); /* read only */
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x11);
    poke(&p, 0xf0000, 0x22);
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x11);
    config_out(&p, HOST, 0x59, 1, 0x30);
    poke(&p, 0xf0000, 0x22);
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x22);
    ck_assert_uint_eq(peek(&p, 0xe0000), 0x5a);
    ck_assert_uint_eq(peek(&p, 0xc0000), 0xff); /* nothing is on PCI there */
    bus_reset(p.kit.bus);
    ck_assert_uint_eq(peek(&p, 0xf0000), 0x5a);
    pci_kit_close(&p);
}
END_TEST

START_TEST(smram_shows_in_smm_or_when_open)
{
    static const struct {
        uint8_t smram;
        bool outside, inside;
    } row[] = {
        { 0x02, false, false }, { 0x0a, false, true }, /* G_SMRAME */
        { 0x4a, true, true },                          /* and D_OPEN */
        { 0x42, false, false },                        /* D_OPEN alone */
        { 0x2a, false, true },                         /* D_CLS is kept only */
    };
    struct pci_kit p;
    open_host(&p);
    ck_assert_uint_eq(config_in(&p, HOST, 0x72, 1), 0x02);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        config_out(&p, HOST, 0x72, 1, row[i].smram);
        ck_assert_uint_eq(config_in(&p, HOST, 0x72, 1), row[i].smram);
        for (uint32_t spa = 0xa0000; spa < 0xc0000; spa += 0x1ffff) {
            set_view(&p, false);
            ck_assert_uint_eq(writes_ram(&p, spa), row[i].outside);
            set_view(&p, true);
            ck_assert_uint_eq(writes_ram(&p, spa), row[i].inside);
        }
        ck_assert(!writes_ram(&p, 0xc0000));
        set_view(&p, false);
    }
    pci_kit_close(&p);
}
END_TEST

START_TEST(smram_lock_closes_until_reset)
{
    struct pci_kit p;
    open_host(&p);
    config_out(&p, HOST, 0x72, 1, 0x4a);
    poke(&p, 0xa0000, 0x77);
    config_out(&p, HOST, 0x72, 1, 0x5a); /* D_LCK: D_OPEN falls */
    ck_assert_uint_eq(config_in(&p, HOST, 0x72, 1), 0x1a);
    ck_assert_uint_eq(peek(&p, 0xa0000), 0xff);
    config_out(&p, HOST, 0x72, 1, 0x4a);
    ck_assert_uint_eq(config_in(&p, HOST, 0x72, 1), 0x1a);
    ck_assert_uint_eq(peek(&p, 0xa0000), 0xff);
    set_view(&p, true);
    ck_assert_uint_eq(peek(&p, 0xa0000), 0x77);
    set_view(&p, false);
    bus_reset(p.kit.bus);
    ck_assert_uint_eq(config_in(&p, HOST, 0x72, 1), 0x02);
    config_out(&p, HOST, 0x72, 1, 0x4a);
    ck_assert_uint_eq(peek(&p, 0xa0000), 0x77);
    pci_kit_close(&p);
}
END_TEST

/* --- the ISA bridge ------------------------------------------------------------------------------ */

struct isa {
    struct pci_kit p;
    struct piix3 *piix3;
    struct kit_line irq[PIIX3_IRQS];
    struct pci_device device[4]; /* one for each PIRQ: slots 5 to 8 */
};

static void open_isa(struct isa *isa)
{
    static const struct pci_identity identity = { .vendor = 1, .pin = 1 };
    struct irq_line line[PIIX3_IRQS];
    memset(isa, 0, sizeof(*isa));
    pci_kit_open(&isa->p);
    for (unsigned i = 0; i < PIIX3_IRQS; i++)
        line[i] = kit_line_to(&isa->irq[i]);
    isa->piix3 = piix3_add(isa->p.kit.bus, isa->p.pci, line);
    ck_assert_ptr_nonnull(isa->piix3);
    for (unsigned i = 0; i < 4; i++) {
        pci_init(&isa->device[i], &identity, NULL, NULL);
        ck_assert(pci_add(isa->p.pci, &isa->device[i], pci_devfn(5 + i, 0)));
    }
}

/* Which IRQs are asserted. */
static unsigned irqs(const struct isa *isa)
{
    unsigned set = 0;
    for (unsigned i = 0; i < PIIX3_IRQS; i++)
        set |= (unsigned)isa->irq[i].level << i;
    return set;
}

START_TEST(isa_bridge_is_a_piix3)
{
    struct isa isa;
    open_isa(&isa);
    ck_assert_uint_eq(config_in(&isa.p, ISA, 0x00, 4), 0x70008086);
    ck_assert_uint_eq(config_in(&isa.p, ISA, 0x08, 4), 0x06010000);
    ck_assert_uint_eq(config_in(&isa.p, ISA, 0x0e, 1), 0x80);
    ck_assert_uint_eq(config_in(&isa.p, ISA, 0x60, 4), 0x80808080);
    config_out(&isa.p, ISA, 0x60, 4, 0xffffffff);
    ck_assert_uint_eq(config_in(&isa.p, ISA, 0x60, 4), 0x8f8f8f8f);
    pci_kit_close(&isa.p);
}
END_TEST

START_TEST(pirqs_go_where_they_are_routed)
{
    struct isa isa;
    open_isa(&isa);
    for (unsigned pirq = 0; pirq < 4; pirq++) {
        pci_set_intx(&isa.device[pirq], true);
        ck_assert_uint_eq(irqs(&isa), 0); /* off after reset */
        for (unsigned irq = 0; irq < 16; irq++) {
            bool reserved = irq < 3 || irq == 8 || irq == 13;
            config_out(&isa.p, ISA, 0x60 + pirq, 1, irq);
            ck_assert_uint_eq(irqs(&isa), reserved ? 0 : 1u << irq);
            ck_assert_int_eq(piix3_routed(isa.piix3, pirq), reserved ? -1 : (int)irq);
        }
        config_out(&isa.p, ISA, 0x60 + pirq, 1, 0x8b);
        ck_assert_uint_eq(irqs(&isa), 0);
        pci_set_intx(&isa.device[pirq], false);
    }
    pci_kit_close(&isa.p);
}
END_TEST

START_TEST(pirqs_share_an_irq)
{
    struct isa isa;
    open_isa(&isa);
    config_out(&isa.p, ISA, 0x60, 4, 0x0b0b0a0a);
    pci_set_intx(&isa.device[0], true);
    pci_set_intx(&isa.device[1], true);
    pci_set_intx(&isa.device[2], true);
    ck_assert_uint_eq(irqs(&isa), 1u << 10 | 1u << 11);
    pci_set_intx(&isa.device[0], false);
    ck_assert_uint_eq(irqs(&isa), 1u << 10 | 1u << 11);
    pci_set_intx(&isa.device[1], false);
    ck_assert_uint_eq(irqs(&isa), 1u << 11);
    ck_assert_uint_eq(isa.irq[10].rises, 1);
    bus_reset(isa.p.kit.bus);
    ck_assert_uint_eq(irqs(&isa), 0);
    piix3_firmware_init(isa.piix3);
    ck_assert_uint_eq(irqs(&isa), 1u << 11);
    ck_assert_uint_eq(config_in(&isa.p, ISA, 0x60, 4), 0x0b0b0a0a);
    pci_kit_close(&isa.p);
}
END_TEST

static void reset_asked(void *self)
{
    ++*(unsigned *)self;
}

START_TEST(cf9_stays_beside_the_configuration_address)
{
    struct pci_kit p;
    unsigned resets = 0;
    pci_kit_open(&p);
    const struct reset_wires wires = { .reset = reset_asked, .self = &resets };
    ck_assert_ptr_nonnull(reset_ports_add(p.kit.bus, p.pci, wires));
    port_write(&p, 0xcf8, 4, 0x80000600);
    port_write(&p, 0xcf8, 2, 0x0600);
    ck_assert_uint_eq(resets, 0);
    port_write(&p, 0xcf9, 1, 0x06);
    ck_assert_uint_eq(resets, 1);
    ck_assert_uint_eq(port_read(&p, 0xcf8, 4), 0x80000600);
    ck_assert_uint_eq(port_read(&p, 0xcf9, 1), 0x06);
    pci_kit_close(&p);
}
END_TEST

CHECK_MAIN("chipset", host_bridge_is_a_440fx, pam_routes_each_segment_alone,
           shadow_ram_has_four_attributes, smram_shows_in_smm_or_when_open,
           smram_lock_closes_until_reset, isa_bridge_is_a_piix3, pirqs_go_where_they_are_routed,
           pirqs_share_an_irq, cf9_stays_beside_the_configuration_address)

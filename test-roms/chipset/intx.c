/* intx.c: interrupts of PCI functions, by the pin and by messages. Intel 82371SB (PIIX3) data sheet, "PIRQx Route Control
 * Registers"; PCI 2.2, 6.2.2, 6.2.4; PCI 3.0, 6.8.2 "MSI-X". The function is a virtio source of random numbers, driven by
 * its ports: VIRTIO 1.1, 2.6, 4.1.4.8. */
#include "test-roms/chipset/pc.h"
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define ID 0x10051af4u
#define COMMAND 0x04
#define COMMAND_NO_INTX 0x400u
#define STATUS_INTX 0x08u
#define LINE 0x3c
#define PIN 0x3d
#define ROUTES 0x60

/* Ports, from BAR 0. */
#define QUEUE_PFN 8
#define QUEUE_SIZE 12
#define QUEUE_SELECT 14
#define QUEUE_NOTIFY 16
#define STATUS 18
#define ISR 19
#define CONFIG_VECTOR 20 /* with MSI-X */
#define QUEUE_VECTOR 22

#define DESCRIPTOR_WRITE 2
#define QUEUE_PAGES 4
#define VECTOR 0x5a
#define OTHER_VECTOR 0x5b
#define MESSAGE 0x5c
#define OTHER_IRQ 5
#define EXTINT 0x700u

static unsigned dev, irq, pirq, queue_size;
static uint16_t ports;
static uint8_t *queue;
static volatile uint16_t *used_index;

static bool find(void)
{
    for (dev = DEVFN(2, 0); dev <= DEVFN(31, 0); dev += 8)
        if (config_read(dev, 0, 4) == ID)
            return true;
    return false;
}

static void start_device(void)
{
    uint64_t avail, used;

    outb(ports + STATUS, 0);
    outb(ports + STATUS, 3); /* acknowledge, driver */
    outl(ports + 4, 0);
    outw(ports + QUEUE_SELECT, 0);
    queue_size = inw(ports + QUEUE_SIZE);
    queue = rom_pages(QUEUE_PAGES);
    avail = 16 * queue_size;
    used = (avail + 6 + 2 * queue_size + 4095) & ~UINT64_C(4095);
    used_index = (volatile uint16_t *)(queue + used + 2);
    outl(ports + QUEUE_PFN, (uint32_t)((uintptr_t)queue >> 12));
    outb(ports + STATUS, 7);
}

/* Ask for a byte and wait until it is there. */
static void request(void)
{
    static uint8_t byte;
    volatile uint16_t *avail = (volatile uint16_t *)(queue + 16 * queue_size);
    uint16_t before = *used_index;

    *(volatile uint64_t *)queue = (uintptr_t)&byte;
    *(volatile uint32_t *)(queue + 8) = 1;
    *(volatile uint32_t *)(queue + 12) = DESCRIPTOR_WRITE;
    avail[2 + avail[1] % queue_size] = 0;
    avail[1]++;
    outw(ports + QUEUE_NOTIFY, 0);
    while (*used_index == before)
        cpu_pause();
    for (unsigned i = 0; i < 1000; i++) /* the interrupt is on its way */
        cpu_pause();
}

static void route(unsigned to)
{
    config_write(ISA_BRIDGE, ROUTES + pirq, 1, to);
}

static bool pin_pending(void)
{
    return config_read(dev, 6, 2) & STATUS_INTX;
}

static void test_firmware(void)
{
    unsigned pin = config_read(dev, PIN, 1);

    tap_eq(pin, 1, "INTA#");
    pirq = ((dev >> 3) - 1 + pin - 1) & 3;
    irq = config_read(ISA_BRIDGE, ROUTES + pirq, 1);
    tap_ok(irq == 10 || irq == 11, "firmware has routed its PIRQ");
    tap_eq(config_read(dev, LINE, 1), irq, "and says so in the interrupt line");
    tap_ok(inb(ELCR + 1) >> (irq - 8) & 1, "which is level-triggered");
}

static void test_ioapic(void)
{
    ioapic_entry(irq, VECTOR | RTE_LEVEL, 0);
    irq_hook = NULL;
    request();
    tap_ok(pin_pending(), "the status register shows the interrupt");
    irq_window();
    tap_ok(CAME(VECTOR), "it comes at the input of the IOAPIC that has its number");
    apic_eoi();
    irq_window();
    tap_ok(CAME(VECTOR), "and again: it is a level");
    tap_eq(inb(ports + ISR) & 1, 1, "ISR says why");
    tap_ok(!pin_pending(), "and reading it takes the interrupt back");
    apic_eoi();
    irq_window();
    tap_ok(NOTHING(), "no more");
}

static void test_command(void)
{
    uint32_t before = config_read(dev, COMMAND, 2);

    config_write(dev, COMMAND, 2, before | COMMAND_NO_INTX);
    request();
    irq_window();
    tap_ok(NOTHING(), "COMMAND can silence the pin");
    tap_ok(pin_pending(), "status shows it all the same");
    config_write(dev, COMMAND, 2, before);
    irq_window();
    tap_ok(CAME(VECTOR), "and lets it go");
    (void)inb(ports + ISR);
    apic_eoi();
}

static void test_route(void)
{
    ioapic_entry(OTHER_IRQ, OTHER_VECTOR | RTE_LEVEL, 0);
    route(OTHER_IRQ);
    request();
    irq_window();
    tap_ok(CAME(OTHER_VECTOR), "routed to another IRQ it comes there");
    route(0x80);
    apic_eoi();
    irq_window();
    tap_ok(NOTHING(), "bit 7 switches the route off");
    route(irq);
    irq_window();
    tap_ok(CAME(VECTOR), "back again: the level is still there");
    (void)inb(ports + ISR);
    apic_eoi();
    ioapic_entry(OTHER_IRQ, RTE_MASKED, 0);
    ioapic_entry(irq, RTE_MASKED, 0);
}

static void pic_eoi_hook(unsigned vector)
{
    (void)inb(ports + ISR);
    pic_eoi(vector - PIC_BASE);
}

static void test_pic(void)
{
    apic_write(APIC_LVT_LINT0, EXTINT);
    pic_start(ICW4_8086, ICW4_8086);
    pic_mask((uint16_t) ~(1u << irq | 1u << 2));
    irq_hook = pic_eoi_hook;
    irq_forget();
    request();
    irq_window();
    tap_ok(CAME(PIC_BASE + (int)irq), "it comes through the PIC, too");
    irq_window();
    tap_ok(NOTHING(), "and no more");
    pic_mask(0xffff);
    irq_hook = NULL;
}

static unsigned find_capability(unsigned id)
{
    unsigned at = config_read(dev, 0x34, 1);

    for (unsigned i = 0; i < 48 && at; i++) {
        if (config_read(dev, at, 1) == id)
            return at;
        at = config_read(dev, at + 1, 1);
    }
    return 0;
}

static void test_msix(void)
{
    unsigned cap = find_capability(0x11);
    volatile uint32_t *table;
    uint32_t where;

    if (!cap) {
        tap_skip("no MSI-X", "interrupt messages");
        return;
    }
    where = config_read(dev, cap + 4, 4);
    table = (volatile uint32_t *)(uintptr_t)((config_read(dev, 0x10 + 4 * (where & 7), 4) & ~15u) +
                                             (where & ~7u));
    ioapic_entry(irq, VECTOR | RTE_LEVEL, 0);
    table[4] = 0xfee00000 | (apic_get(APIC_ID) >> 24) << 12;
    table[5] = 0;
    table[6] = MESSAGE;
    table[7] = 1;
    config_write(dev, cap + 2, 2, 0x8000);
    outw(ports + QUEUE_SELECT, 0);
    outw(ports + QUEUE_VECTOR, 1);
    tap_eq(inw(ports + QUEUE_VECTOR), 1, "MSI-X: the queue has vector 1");
    request();
    irq_window();
    tap_ok(NOTHING(), "masked, it waits; and the pin is silent");
    table[7] = 0;
    irq_window();
    tap_ok(CAME(MESSAGE), "unmasked, it comes");
    apic_eoi();
    irq_window();
    tap_ok(NOTHING(), "once");
    config_write(dev, cap + 2, 2, 0xc000);
    request();
    irq_window();
    tap_ok(NOTHING(), "the mask of the function holds all");
    config_write(dev, cap + 2, 2, 0x8000);
    irq_window();
    tap_ok(CAME(MESSAGE), "and lets them go");
    apic_eoi();
    config_write(dev, cap + 2, 2, 0);
    request();
    irq_window();
    tap_ok(CAME(VECTOR), "without MSI-X the pin is back");
    (void)inb(ports + ISR);
    apic_eoi();
    ioapic_entry(irq, RTE_MASKED, 0);
}

int rom_main(void)
{
    require_440fx();
    if (!find()) {
        rom_printf("# no virtio-rng-pci: everything is skipped\n1..0\n");
        rom_exit(0);
    }
    ports = config_read(dev, 0x10, 4) & 0xfffc;
    config_write(dev, COMMAND, 2, 7);
    apic_init();
    irq_note(PIC_BASE, MESSAGE);
    start_device();
    test_firmware();
    test_ioapic();
    test_command();
    test_route();
    test_pic();
    test_msix();
    tap_done();
}

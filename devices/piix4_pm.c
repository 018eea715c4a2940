/* PIIX4, function 3. Intel 82371AB (PIIX4) data sheet (order number 290562): "Power Management PCI Configuration
 * Registers", "Power Management I/O Space Registers"; ACPI 6.4, 4.8 "ACPI Register Model".
 *
 * The device monitors and the registers that belong to them are not there: they read 0.
 * CHOICE: values F1h and F0h at port B2h set and clear SCI_EN here and raise no SMI, as on QEMU: the firmware that
 * software of this machine knows leaves that to the chip.
 * CHOICE: general purpose events (GPE0) have their registers at AFE0h as on QEMU, and not at 0Ch of the PIIX4's. Nothing
 * sets their status.
 * CHOICE: SUS_TYP 0 (soft off) and 2 power off, as on QEMU; other sleep states are told and do nothing. */
#include "devices/piix4_pm.h"

#include "devices/piix4_smbus.h"
#include "emu/compiler.h"

/* Configuration registers. */
#define PMBA 0x40
#define DEVACTB 0x58
#define DEVACTB_APMC 0x02 /* of byte 5Bh: APMC_EN */
#define PMREGMISC 0x80
#define SMBBA 0x90
#define SMBHSTCFG 0xd2
#define ENABLE 0x01
#define SMBUS_BY_IRQ9 0x08

/* I/O registers, by doublewords. */
#define PM_EVENTS 0x00
#define PM_CONTROL 0x04
#define PM_TIMER 0x08
#define PM_GLBCTL 0x28
#define PM_PORTS 64

#define EVENT_TIMER 0x0001u
#define EVENT_GLOBAL 0x0020u
#define EVENT_BUTTON 0x0100u
#define EVENT_RTC 0x0400u
#define EVENT_WAKE 0x8000u
#define EVENTS_CLEARABLE \
    (EVENT_TIMER | 0x10u | EVENT_GLOBAL | EVENT_BUTTON | EVENT_RTC | EVENT_WAKE)
#define EVENTS_ENABLED (EVENT_TIMER | EVENT_GLOBAL | EVENT_BUTTON | EVENT_RTC)

#define CONTROL_SCI 0x0001u
#define CONTROL_KEPT 0x1c03u /* SCI_EN, BRLD_EN_BM, SUS_TYP */
#define CONTROL_SLEEP 0x2000u
#define GLBCTL_SMI 0x01u
#define GLBCTL_KEPT 0x0000ff01u

#define TIMER_HZ 3579545u
#define TIMER_BITS 0x00ffffffu
#define TIMER_HALF 23 /* TMROF_STS is set each time this bit changes */

struct piix4_pm {
    struct pci_device pci;
    struct bus *bus;
    struct vclock *clock;
    struct piix4_pm_wires wires;
    struct bus_window window;
    struct piix4_smbus smbus;
    struct deadline overflow;
    uint64_t halves; /* how often the timer's bit 23 had changed when TMROF_STS was cleared */
    uint16_t status, enable; /* PM1; without TMROF_STS, which follows from the time */
    uint16_t control;
    uint16_t gpe_enable;
    uint32_t glbctl;
};

/* --- the timer --------------------------------------------------------------------------------- */

#define SECOND_NS 1000000000u

/* Firmware reads the timer millions of times: whole seconds apart, the rest needs no more than 64 bits. */
static uint64_t ns_tick(uint64_t ns)
{
    return ns / SECOND_NS * TIMER_HZ + ns % SECOND_NS * TIMER_HZ / SECOND_NS;
}

/* The first nanosecond that belongs to `tick`. */
static uint64_t tick_ns(uint64_t tick)
{
    return (uint64_t)(((emu_u128)tick * SECOND_NS + TIMER_HZ - 1) / TIMER_HZ);
}

static uint16_t status_at(const struct piix4_pm *pm, uint64_t ns)
{
    return pm->status | (ns_tick(ns) >> TIMER_HALF != pm->halves ? EVENT_TIMER : 0);
}

/* SCI, and the next time it may change by itself. */
static void update(struct piix4_pm *pm)
{
    uint64_t now = clock_now_ns(pm->clock);
    bool sci = pm->control & CONTROL_SCI, timer = pm->enable & EVENT_TIMER;
    irq_set(&pm->wires.sci, sci && (status_at(pm, now) & pm->enable & EVENTS_ENABLED));
    if (sci && timer && !(status_at(pm, now) & EVENT_TIMER))
        clock_arm(pm->clock, &pm->overflow,
                  tick_ns(((ns_tick(now) >> TIMER_HALF) + 1) << TIMER_HALF));
    else
        clock_cancel(pm->clock, &pm->overflow);
}

static void overflow_fire(void *self, uint64_t now_ns)
{
    (void)now_ns;
    update(self);
}

/* --- the registers --------------------------------------------------------------------------------- */

static uint32_t pm_register(const struct piix4_pm *pm, unsigned at, uint64_t now)
{
    switch (at) {
    case PM_EVENTS: return status_at(pm, now) | (uint32_t)pm->enable << 16;
    case PM_CONTROL: return pm->control;
    case PM_TIMER: return ns_tick(now) & TIMER_BITS;
    case PM_GLBCTL: return pm->glbctl;
    default: return 0;
    }
}

/* The bus hands over at most four bytes, of which some may lie in the next doubleword. */
static uint64_t pm_read(void *self, uint64_t offset, unsigned size)
{
    const struct piix4_pm *pm = self;
    uint64_t now = clock_now_ns(pm->clock);
    unsigned at = (unsigned)offset & ~3u;
    uint64_t both = pm_register(pm, at, now) | (uint64_t)pm_register(pm, at + 4, now) << 32;
    (void)size;
    return both >> (8 * (offset & 3));
}

static void clear_status(struct piix4_pm *pm, uint32_t bits)
{
    if (bits & EVENT_TIMER)
        pm->halves = ns_tick(clock_now_ns(pm->clock)) >> TIMER_HALF;
    pm->status &= (uint16_t) ~(bits & EVENTS_CLEARABLE);
}

static void sleep(const struct piix4_pm *pm, unsigned type)
{
    if (type != 0 && type != 2)
        bus_tell(pm->bus, PROBE_UNIMP, "PM1_CNT: only sleep states S4 and S5 are there");
    else if (pm->wires.power_off)
        pm->wires.power_off(pm->wires.self);
}

static void write_register(struct piix4_pm *pm, unsigned at, uint32_t value, uint32_t mask)
{
    uint32_t merged = (pm_register(pm, at, clock_now_ns(pm->clock)) & ~mask) | (value & mask);
    switch (at) {
    case PM_EVENTS:
        clear_status(pm, value & mask);
        pm->enable = (uint16_t)(merged >> 16) & EVENTS_ENABLED;
        break;
    case PM_CONTROL:
        pm->control = merged & CONTROL_KEPT;
        if (value & mask & CONTROL_SLEEP)
            sleep(pm, merged >> 10 & 7);
        break;
    case PM_GLBCTL: pm->glbctl = merged & GLBCTL_KEPT; break;
    default: break;
    }
}

static void pm_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *pm = self;
    unsigned at = (unsigned)offset & ~3u, shift = 8 * (offset & 3);
    uint64_t mask = ((UINT64_C(1) << (8 * size)) - 1) << shift;
    value <<= shift;
    write_register(pm, at, (uint32_t)value, (uint32_t)mask);
    if (mask >> 32)
        write_register(pm, at + 4, (uint32_t)(value >> 32), (uint32_t)(mask >> 32));
    update(pm);
}

/* GPE0: two bytes of status, two of enable. */
static uint32_t gpe_read(void *self, uint16_t port, unsigned size)
{
    const struct piix4_pm *pm = self;
    unsigned at = port - PIIX4_GPE_PORT;
    (void)size; /* one byte ports */
    return at < 2 ? 0 : pm->gpe_enable >> (8 * (at - 2)) & 0xff;
}

static void gpe_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct piix4_pm *pm = self;
    unsigned at = port - PIIX4_GPE_PORT;
    (void)size;
    if (at == 2)
        pm->gpe_enable = (uint16_t)((pm->gpe_enable & 0xff00) | (value & 0xff));
    else if (at == 3)
        pm->gpe_enable = (uint16_t)((pm->gpe_enable & 0x00ff) | (value & 0xff) << 8);
}

void piix4_pm_apm(void *self, uint8_t value)
{
    struct piix4_pm *pm = self;
    if (value == PIIX4_ACPI_ENABLE || value == PIIX4_ACPI_DISABLE) {
        pm->control &= (uint16_t)~CONTROL_SCI;
        pm->control |= value == PIIX4_ACPI_ENABLE ? CONTROL_SCI : 0;
        update(pm);
    } else if ((pm->pci.config[DEVACTB + 3] & DEVACTB_APMC) && (pm->glbctl & GLBCTL_SMI) &&
               pm->wires.smi) {
        pm->wires.smi(pm->wires.self);
    }
}

void piix4_pm_power_button(struct piix4_pm *pm)
{
    pm->status |= EVENT_BUTTON;
    update(pm);
}

/* --- configuration space ----------------------------------------------------------------------------- */

static void place_windows(struct piix4_pm *pm)
{
    const struct pci_device *dev = &pm->pci;
    uint16_t pmba = pci_get16(dev, PMBA) & 0xffc0, smbba = pci_get16(dev, SMBBA) & 0xfff0;
    bus_move_window(pm->bus, &pm->window, (dev->config[PMREGMISC] & ENABLE) && pmba, pmba);
    bus_move_window(pm->bus, &pm->smbus.window, (dev->config[SMBHSTCFG] & ENABLE) && smbba, smbba);
}

static void pm_config_written(void *self, unsigned offset, unsigned size)
{
    (void)offset, (void)size;
    place_windows(self);
}

static void pm_config_reset(void *self)
{
    place_windows(self);
}

void piix4_pm_firmware_init(struct piix4_pm *pm)
{
    struct pci_device *dev = &pm->pci;
    pci_put16(dev, PMBA, PIIX4_PM_PORT | 1);
    dev->config[PMREGMISC] = ENABLE;
    pci_put16(dev, SMBBA, PIIX4_SMBUS_PORT | 1);
    dev->config[SMBHSTCFG] = SMBUS_BY_IRQ9 | ENABLE;
    dev->config[PCI_COMMAND] = PCI_COMMAND_IO;
    dev->config[PCI_INTERRUPT_LINE] = PIIX4_SCI_IRQ;
    dev->config[DEVACTB + 3] |= DEVACTB_APMC;
    pm->glbctl |= GLBCTL_SMI;
    place_windows(pm);
}

static void pm_reset(void *self)
{
    struct piix4_pm *pm = self;
    pm->status = pm->enable = pm->control = pm->gpe_enable = 0;
    pm->glbctl = 0;
    pm->halves = ns_tick(clock_now_ns(pm->clock)) >> TIMER_HALF;
    piix4_smbus_reset(&pm->smbus);
    update(pm);
}

static void pm_fini(void *self)
{
    struct piix4_pm *pm = self;
    clock_cancel(pm->clock, &pm->overflow);
}

static void pm_state(void *self, struct snap *snap)
{
    struct piix4_pm *pm = self;
    pci_device_state(&pm->pci, snap);
    SNAP(snap, pm, halves);
    SNAP(snap, pm, status);
    SNAP(snap, pm, enable);
    SNAP(snap, pm, control);
    SNAP(snap, pm, gpe_enable);
    SNAP(snap, pm, glbctl);
    piix4_smbus_state(&pm->smbus, snap);
    snap_deadline(snap, "overflow", pm->clock, &pm->overflow);
    if (snap_loading(snap))
        place_windows(pm);
}

static const struct dev_class dev_piix4_pm = {
    .name = "piix4-pm",
    .ports = { { PIIX4_GPE_PORT, PIIX4_GPE_PORTS } },
    .port_size = 1,
    .state_size = sizeof(struct piix4_pm),
    .reset = pm_reset,
    .fini = pm_fini,
    .port_read = gpe_read,
    .port_write = gpe_write,
    .state = pm_state,
    .state_version = 1,
};

/* Registers after reset, and which of their bits can be written. */
static const struct {
    uint8_t offset, value, writable;
} registers[] = {
    { PMBA, 0x01, 0xc0 },        { PMBA + 1, 0x00, 0xff },    { DEVACTB, 0x00, 0xff },
    { DEVACTB + 1, 0x00, 0xff }, { DEVACTB + 2, 0x00, 0xff }, { DEVACTB + 3, 0x00, 0x03 },
    { 0x5f, 0x10, 0x00 }, /* which devices the PIIX4 decodes: the first serial line alone */
    { 0x63, 0x60, 0x00 },        { 0x67, 0x08, 0x00 },        { PMREGMISC, 0x00, ENABLE },
    { SMBBA, 0x01, 0xf0 },       { SMBBA + 1, 0x00, 0xff },   { SMBHSTCFG, 0x00, 0x0f },
};

static bool add_windows(struct piix4_pm *pm)
{
    pm->window = (struct bus_window){ .access_ns = BUS_ACCESS_NS,
                                      .read = pm_read,
                                      .write = pm_write,
                                      .self = pm,
                                      .bytes = PM_PORTS,
                                      .ports = true,
                                      .port_size = 4 };
    piix4_smbus_init(&pm->smbus);
    return bus_add_window(pm->bus, &pm->window) && bus_add_window(pm->bus, &pm->smbus.window);
}

struct piix4_pm *piix4_pm_add(struct bus *bus, struct pci_bus *pci,
                              const struct piix4_pm_wires *wires)
{
    static const struct pci_identity identity = {
        .vendor = 0x8086, .device = 0x7113, .revision = 0x03, .class_code = 0x068000, .pin = 1
    };
    static const struct pci_hooks hooks = { .written = pm_config_written,
                                            .reset = pm_config_reset };
    struct piix4_pm *pm = bus_add(bus, &dev_piix4_pm);
    if (!pm)
        return NULL;
    pm->bus = bus;
    pm->clock = bus_clock(bus);
    pm->wires = *wires;
    pm->overflow = (struct deadline){ .fire = overflow_fire, .self = pm };
    struct pci_device *dev = &pm->pci;
    pci_init(dev, &identity, &hooks, pm);
    dev->writable[PCI_COMMAND] = PCI_COMMAND_IO;
    dev->writable[PCI_COMMAND + 1] = 0;
    dev->config[PCI_STATUS] = 0x80; /* fast back-to-back; medium DEVSEL# timing */
    dev->config[PCI_STATUS + 1] = 0x02;
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        dev->config[registers[i].offset] = registers[i].value;
        dev->writable[registers[i].offset] = registers[i].writable;
    }
    return add_windows(pm) && pci_add(pci, dev, PCI_POWER) ? pm : NULL;
}

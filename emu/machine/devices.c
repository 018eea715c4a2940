/* The devices of a machine and the wires between them. */
#include "emu/machine/machine.h"

#include "devices/apm.h"
#include "devices/ferr.h"
#include "devices/fw_cfg.h"
#include "devices/i8042.h"
#include "devices/hpet.h"
#include "devices/i440fx.h"
#include "devices/ioapic.h"
#include "devices/pc_testdev.h"
#include "devices/pci_testdev.h"
#include "devices/piix3.h"
#include "devices/piix4_pm.h"
#include "devices/reset_ports.h"
#include "devices/rtc.h"
#include "devices/testports.h"
#include "devices/vga.h"
#include "emu/base/diag.h"
#include "svm/avic.h"

#define COM1_PORT 0x3f8
#define COM1_IRQ 4
#define COM2_PORT 0x2f8
#define COM2_IRQ 3
#define PIT_IRQ 0
#define KEYBOARD_IRQ 1
#define MOUSE_IRQ 12
#define PIT_PIN 2 /* of the IOAPIC */
#define GSI_WIRES 64
#define RTC_IRQ 8
#define IDE_IRQ 14 /* and 15 */
#define FERR_IRQ 13
#define RTC_EPOCH \
    946684800 /* CHOICE: every run begins at the start of 2000, so that two runs are equal */

/* --- what devices say to the machine: self is the machine ---------------------------------- */

/* A signal of the APICs. There is no vCPU yet while devices are added. */
static void apic_signal(void *self, unsigned cpu, enum apic_signal what, uint8_t vector)
{
    struct pacifica_machine *machine = self;
    struct vcpu *target = cpu < machine->cpu_count ? machine->cpu[cpu] : NULL;
    if (!target)
        return;
    switch (what) {
    case APIC_CHANGED: break;
    case APIC_NMI: target->pins.nmi = true; break;
    case APIC_SMI: target->pins.smi = true; break;
    case APIC_DOORBELL: svm_avic_doorbell(target); break;
    case APIC_INIT:
        target->pins.init = true;
        target->pins.sipi = false; /* one that came before it has found nobody waiting */
        break;
    case APIC_SIPI:
        target->pins.sipi = true;
        target->pins.sipi_vector = vector;
        break;
    }
    cpu_attention(target);
}

static void exit_written(void *self, uint32_t value)
{
    struct pacifica_machine *machine = self;
    machine->exit_value = value;
    vcpu_stop(machine_current(machine), PACIFICA_STOP_EXIT);
}

static void reset_wanted(void *self)
{
    struct pacifica_machine *machine = self;
    vcpu_stop(machine_current(machine), PACIFICA_STOP_RESET);
}

static void power_off(void *self)
{
    struct pacifica_machine *machine = self;
    vcpu_stop(machine_current(machine), PACIFICA_STOP_POWER_OFF);
}

/* SMI goes to the processor that accesses the port. */
static void smi_wanted(void *self)
{
    struct vcpu *cpu = machine_current(self);
    if (!cpu)
        return;
    cpu->pins.smi = true;
    cpu_attention(cpu);
}

/* IGNNE# goes to those that wait for it. */
static void ignne_wanted(void *self)
{
    struct pacifica_machine *machine = self;
    for (unsigned i = 0; i < machine->cpu_count; i++)
        if (machine->cpu[i] && machine->cpu[i]->ferr.asserted)
            machine->cpu[i]->pins.ignne = true;
}

/* A processor's FERR#. */
void machine_ferr(void *self, unsigned cpu)
{
    struct pacifica_machine *machine = self;
    (void)cpu; /* they are wired together */
    ferr_rise(machine->ferr);
}

/* The next instruction may come from another page. */
static void a20_moved(void *self, bool open)
{
    struct pacifica_machine *machine = self;
    struct vcpu *cpu = machine_current(machine);
    memory_set_a20(machine->memory, open);
    if (cpu)
        cpu_attention(cpu);
}

/* The IOAPIC's input that the PIT shares with the HPET. The PIT's line is high nearly always.
 * CHOICE: so each rise is an edge there, whatever the other does, as on QEMU. */
static void set_timer_pin(struct pacifica_machine *machine, bool rises)
{
    if (rises)
        ioapic_set_irq(machine->ioapic, PIT_PIN, false);
    ioapic_set_irq(machine->ioapic, PIT_PIN,
                   (machine->gsi_level[PIT_IRQ] | machine->gsi_level[PIT_PIN]) != 0);
}

/* The line of a global system interrupt. Those of the ISA bus go to both interrupt controllers, at the input of the same
 * number, but for the timer's: it is input 2 of the IOAPIC, as an ACPI interrupt source override says. Several wires may
 * lead to one, which is asserted while any of them is: bits 31:8 of `line` tell them apart. */
static void gsi_set(void *self, unsigned line, bool level)
{
    struct pacifica_machine *machine = self;
    unsigned gsi = line & 0xff;
    uint64_t wire = UINT64_C(1) << (line >> 8);
    uint64_t *asserted = &machine->gsi_level[gsi];
    bool rises = level && !(*asserted & wire);
    *asserted = level ? *asserted | wire : *asserted & ~wire;
    if (gsi < 16)
        pic_set_irq(machine->pic, gsi, *asserted != 0);
    if (gsi == PIT_IRQ || gsi == PIT_PIN)
        set_timer_pin(machine, rises);
    else
        ioapic_set_irq(machine->ioapic, gsi, *asserted != 0);
}

/* A new wire to it. Wire 0 of each is kept for pc-testdev, which names the interrupt when it drives it. */
static struct irq_line gsi(struct pacifica_machine *machine, unsigned number)
{
    unsigned wire = ++machine->gsi_wires;
    assert(wire < GSI_WIRES);
    return (struct irq_line){ .set = gsi_set, .self = machine, .line = number | wire << 8 };
}

/* A byte for the outside; self is a struct pacifica_output. */
static void output_byte(void *self, uint8_t byte)
{
    const struct pacifica_output *output = self;
    output->write(output->self, &byte, 1);
}

static struct byte_sink sink_to(struct pacifica_output *output)
{
    return (struct byte_sink){ .put = output->write ? output_byte : NULL, .self = output };
}

/* --- adding ---------------------------------------------------------------------------------- */

static bool add_interrupt_controllers(struct pacifica_machine *machine)
{
    const struct cpu_model *model = &machine->model;
    machine->pic = pic_add(machine->bus, NULL, NULL);
    if (!machine->pic)
        return false;
    const struct apics_config config = {
        .count = machine->cpu_count,
        .pic = machine->pic,
        .maxphyaddr = model->address_bits,
        .x2apic = cpu_model_has(model, CPU_FEATURE_X2APIC),
        .tsc_deadline = cpu_model_has(model, CPU_FEATURE_TSC_DEADLINE),
        .extended = cpu_model_has(model, CPU_FEATURE_EXTAPIC),
        .signal = apic_signal,
        .self = machine,
    };
    machine->apics = apics_add(machine->bus, &config);
    if (!machine->apics)
        return false;
    machine->ioapic = ioapic_add(machine->bus, machine->apics);
    return machine->ioapic != NULL;
}

/* An interrupt message; its address and data are as in Intel's manual, volume 3, "Message Signalled Interrupts".
 * CHOICE: the redirection hint has no effect; the destination mode counts without it, too. */
static void interrupt_message(void *self, uint32_t address, uint32_t data)
{
    struct pacifica_machine *machine = self;
    const struct apic_message message = { .type = (enum apic_message_type)(data >> 8 & 7),
                                          .vector = (uint8_t)data,
                                          .dest = (uint8_t)(address >> 12),
                                          .logical = address & 4,
                                          .level = data & 0x8000 };
    (void)apics_message(machine->apics, &message);
}

/* The functions of PCI bus 0 that are there always. The interrupt controllers exist. */
static bool add_chipset(struct pacifica_machine *machine)
{
    struct irq_line irq[PIIX3_IRQS];
    for (unsigned i = 0; i < PIIX3_IRQS; i++)
        irq[i] = gsi(machine, i);
    const struct piix4_pm_wires wires = { .sci = gsi(machine, PIIX4_SCI_IRQ),
                                          .smi = smi_wanted,
                                          .power_off = power_off,
                                          .self = machine };
    pci_bus_set_messages(machine->pci,
                         &(struct pci_messages){ .send = interrupt_message, .self = machine });
    machine->i440fx = i440fx_add(machine->bus, machine->pci);
    machine->piix3 = piix3_add(machine->bus, machine->pci, irq);
    machine->pm = piix4_pm_add(machine->bus, machine->pci, &wires);
    return machine->i440fx && machine->piix3 && machine->pm;
}

/* What programs reset the machine and move A20 by. */
static bool add_keyboard_controller(struct pacifica_machine *machine)
{
    const struct reset_wires wires = { .reset = reset_wanted, .a20 = a20_moved, .self = machine };
    const struct i8042_config config = { .keyboard = gsi(machine, KEYBOARD_IRQ),
                                         .mouse = gsi(machine, MOUSE_IRQ),
                                         .reset =
                                             reset_ports_add(machine->bus, machine->pci, wires) };
    machine->kbc = config.reset ? i8042_add(machine->bus, &config) : NULL;
    return machine->kbc != NULL;
}

static bool add_standard(struct pacifica_machine *machine, const struct pacifica_options *options)
{
    struct bus *bus = machine->bus;
    const struct hpet_wires hpet_wires = { .irq0 = gsi(machine, PIT_IRQ),
                                           .irq8 = gsi(machine, RTC_IRQ),
                                           .route = gsi(machine, HPET_ROUTE) };
    struct hpet *hpet = hpet_add(bus, &hpet_wires);
    if (!hpet)
        return false;
    const struct rtc_config rtc = { .epoch = RTC_EPOCH,
                                    .ram_bytes = memory_ram_bytes(machine->memory),
                                    .high_bytes = memory_high_bytes(machine->memory),
                                    .cpus = machine->cpu_count,
                                    .irq = hpet_clock_line(hpet),
                                    .boot_order = options->boot_order };
    machine->pci = pci_bus_add(bus);
    if (!machine->pci || !add_interrupt_controllers(machine) || !add_chipset(machine))
        return false;
    machine->uart = uart_add(bus, COM1_PORT, gsi(machine, COM1_IRQ), sink_to(&machine->serial));
    if (options->com2) {
        machine->serial2 = *options->com2;
        machine->com2 =
            uart_add(bus, COM2_PORT, gsi(machine, COM2_IRQ), sink_to(&machine->serial2));
        if (!machine->com2)
            return false;
    }
    machine->ferr = ferr_add(bus, gsi(machine, FERR_IRQ), ignne_wanted, machine);
    return machine->uart && machine->ferr && pit_add(bus, hpet_pit_line(hpet)) &&
           post_port_add(bus) && rtc_add(bus, &rtc) && add_keyboard_controller(machine) &&
           apm_add(bus, piix4_pm_apm, machine->pm);
}

static enum pacifica_status add_fw_cfg(struct pacifica_machine *machine,
                                       const struct pacifica_options *options,
                                       struct pacifica_diag *diag)
{
    struct fw_cfg *fw = fw_cfg_add(machine->bus, options->ram_bytes, (uint16_t)options->cpus);
    if (!fw)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for fw_cfg");
    machine->fw_cfg = fw;
    fw_cfg_set_boot_menu(fw, options->boot_menu);
    for (size_t i = 0; i < options->fw_cfg_count; i++) {
        const struct pacifica_fw_cfg *file = &options->fw_cfg[i];
        enum pacifica_status status = fw_cfg_add_file(fw, file->name ? file->name : "",
                                                      file->content.data, file->content.size, diag);
        if (status != PACIFICA_OK)
            return status;
    }
    return PACIFICA_OK;
}

static enum pacifica_status add_device(struct pacifica_machine *machine,
                                       const struct pacifica_options *options, size_t index,
                                       struct pacifica_diag *diag)
{
    const struct pacifica_device *device = &options->devices[index];
    const char *name = "isa-debug-exit";
    unsigned port = device->port;
    bool added;
    if (device->kind == PACIFICA_DEVICE_DEBUG_EXIT) {
        added =
            debug_exit_add(machine->bus, device->port, device->port_count, exit_written, machine);
    } else if (device->kind == PACIFICA_DEVICE_PCI_TESTDEV) {
        if (!pci_testdev_add(machine->bus, machine->pci))
            return diag_set(diag, PACIFICA_EUSAGE, "pci-testdev", NULL, "no free PCI slot");
        return PACIFICA_OK;
    } else if (device->kind == PACIFICA_DEVICE_VIRTIO_RNG) {
        return machine_add_rng(machine, options->seed, diag);
    } else if (device->kind == PACIFICA_DEVICE_PC_TESTDEV) {
        name = "pc-testdev";
        port = PC_TESTDEV_LATCH_PORT;
        added = pc_testdev_add(machine->bus, (struct irq_line){ .set = gsi_set, .self = machine });
    } else {
        name = "isa-debugcon";
        machine->debugcon[index] = device->output;
        added = debugcon_add(machine->bus, device->port, sink_to(&machine->debugcon[index]));
    }
    if (!added)
        return diag_set(diag, PACIFICA_EUSAGE, name, "another device may be there",
                        "cannot be at port 0x%x", port);
    return PACIFICA_OK;
}

/* It comes before all devices that get the next free slot, as on QEMU. */
static enum pacifica_status add_vga(struct pacifica_machine *machine,
                                    const struct pacifica_options *options,
                                    struct pacifica_diag *diag)
{
    if (options->vga == PACIFICA_VGA_NONE)
        return PACIFICA_OK;
    if (options->vga_bios.size > VGA_ROM_MOST)
        return diag_set(diag, PACIFICA_ERANGE, "vga_bios", NULL, "has more than 64 KiB");
    machine->vga =
        vga_add(machine->bus, machine->pci, options->vga_bios.data, options->vga_bios.size);
    return machine->vga ? PACIFICA_OK
                        : diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the VGA");
}

enum pacifica_status machine_add_devices(struct pacifica_machine *machine,
                                         const struct pacifica_options *options,
                                         struct pacifica_diag *diag)
{
    machine->bus = bus_new(machine->memory, &machine->clock, &machine->probes);
    if (!machine->bus || !add_standard(machine, options))
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the devices");
    if (options->device_count > MACHINE_DEVICES)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "more than %d devices", MACHINE_DEVICES);
    enum pacifica_status status = add_vga(machine, options, diag);
    if (status != PACIFICA_OK)
        return status;
    status = machine_add_nics(machine, options, diag);
    if (status != PACIFICA_OK)
        return status;
    /* pc-testdev comes last: it takes what ports the others leave. */
    for (size_t i = 0; i < 2 * options->device_count; i++) {
        size_t index = i % options->device_count;
        const struct pacifica_device *device = &options->devices[index];
        if ((device->kind == PACIFICA_DEVICE_PC_TESTDEV) != (i >= options->device_count))
            continue;
        status = add_device(machine, options, index, diag);
        if (status != PACIFICA_OK)
            return status;
    }
    const struct irq_line ide[IDE_CHANNELS] = { gsi(machine, IDE_IRQ), gsi(machine, IDE_IRQ + 1) };
    status = machine_add_disks(machine, options, ide, diag);
    return status == PACIFICA_OK ? add_fw_cfg(machine, options, diag) : status;
}

void machine_reset_devices(struct pacifica_machine *machine)
{
    int irq[PCI_PIRQS];
    bus_reset(machine->bus);
    pic_firmware_init(machine->pic);
    apics_firmware_init(machine->apics);
    piix3_firmware_init(machine->piix3);
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        irq[i] = piix3_routed(machine->piix3, i);
    pci_firmware_init(machine->pci, irq);
    i8042_firmware_init(machine->kbc);
    piix4_pm_firmware_init(machine->pm);
    ide_firmware_init(machine->ide);
}

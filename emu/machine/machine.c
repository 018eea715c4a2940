/* Making, loading, resetting and freeing a machine. */
#include "emu/machine/breaks.h"
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

#include "devices/vga.h"
#include "emu/base/diag.h"
#include "svm/svm.h"

#include <inttypes.h>
#include <stdlib.h>

#define PAGE_BYTES UINT64_C(4096)
#define RAM_LEAST (UINT64_C(1) << 20)
#define RAM_MOST (UINT64_C(1) << 40)

const char *pacifica_version(void)
{
    return PACIFICA_VERSION;
}

/* Time before there is a vCPU to tell it: devices read the clock when they are added. */
static uint64_t clock_zero(void *self)
{
    (void)self;
    return 0;
}

static enum pacifica_status check_ram(uint64_t bytes, struct pacifica_diag *diag)
{
    if (bytes < RAM_LEAST || bytes > RAM_MOST)
        return diag_set(diag, PACIFICA_EUSAGE, "RAM size", "from 1 MiB to 1 TiB",
                        "%" PRIu64 " KiB of RAM cannot be had", bytes / 1024);
    if (bytes % PAGE_BYTES)
        return diag_set(diag, PACIFICA_EUSAGE, "RAM size", "a multiple of 4 KiB",
                        "%" PRIu64 " bytes of RAM are no whole pages", bytes);
    return PACIFICA_OK;
}

static enum pacifica_status check_cpus(uint32_t cpus, struct pacifica_diag *diag)
{
    if (cpus == 0 || cpus > PACIFICA_CPUS_MOST)
        return diag_set(diag, PACIFICA_EUSAGE, "processors", NULL, "%" PRIu32 " is not 1 to %d",
                        cpus, PACIFICA_CPUS_MOST);
    return PACIFICA_OK;
}

/* A vCPU is about to run: its APIC answers. */
static void turn(void *self, unsigned index)
{
    struct pacifica_machine *machine = self;
    apics_select(machine->apics, index);
}

static enum pacifica_status make_cpu(struct pacifica_machine *machine, unsigned index,
                                     struct pacifica_diag *diag)
{
    const struct vcpu_parts parts = {
        .memory = machine->memory,
        .probes = &machine->probes,
        .clock = &machine->clock,
        .intc = &lapic_intc_ops,
        .intc_self = apics_cpu(machine->apics, index),
        .ports = &bus_port_ops,
        .ports_self = machine->bus,
        .model = &machine->model,
        .random = &machine->random,
        .bsp = machine->cpu[0],
        .count = machine->cpu_count,
        .turn = turn,
        .turn_self = machine,
    };
    machine->cpu[index] = vcpu_new(&parts);
    if (!machine->cpu[index])
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a vCPU");
    machine->cpu[index]->ferr.changed = machine_ferr;
    machine->cpu[index]->ferr.self = machine;
    return PACIFICA_OK;
}

/* Fill a zeroed machine. On failure what was made stays, for pacifica_machine_free(). */
static enum pacifica_status machine_init(struct pacifica_machine *machine,
                                         const struct pacifica_options *options,
                                         struct pacifica_diag *diag)
{
    machine->clock.now = clock_zero;
    machine->serial = options->serial;
    machine->stop_on = options->stop_on;
    machine->random.state = options->seed;
    enum pacifica_status status = check_ram(options->ram_bytes, diag);
    if (status == PACIFICA_OK)
        status = check_cpus(options->cpus, diag);
    if (status == PACIFICA_OK)
        status = machine_made_of(machine, options);
    if (status == PACIFICA_OK)
        status = cpu_model_parse(options->cpu ? options->cpu : "max", &machine->model, diag);
    if (status != PACIFICA_OK)
        return status;
    machine->cpu_count = options->cpus;
    machine->memory = memory_new(options->ram_bytes);
    if (!machine->memory)
        return diag_set(diag, PACIFICA_ENOMEM, "RAM size", "a smaller machine may fit",
                        "the workstation gives no %" PRIu64 " MiB of memory",
                        options->ram_bytes >> 20);
    status = machine_add_devices(machine, options, diag);
    if (status == PACIFICA_OK)
        status = machine_add_flash(machine, options, diag);
    for (unsigned i = 0; status == PACIFICA_OK && i < machine->cpu_count; i++)
        status = make_cpu(machine, i, diag);
    if (status != PACIFICA_OK)
        return status;
    if (machine->firmware)
        bus_reset(machine->bus);
    else
        machine_reset_devices(machine);
    machine_watch(machine);
    return PACIFICA_OK;
}

enum pacifica_status pacifica_machine_new(const struct pacifica_options *options,
                                          struct pacifica_machine **out, struct pacifica_diag *diag)
{
    *out = NULL;
    struct pacifica_machine *machine = calloc(1, sizeof(*machine));
    if (!machine)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a machine");
    enum pacifica_status status = machine_init(machine, options, diag);
    if (status != PACIFICA_OK) {
        pacifica_machine_free(machine);
        return status;
    }
    *out = machine;
    return PACIFICA_OK;
}

void pacifica_machine_free(struct pacifica_machine *machine)
{
    if (!machine)
        return;
    journal_end(machine);
    travel_forget(machine);
    for (unsigned i = machine->cpu_count; i-- > 0;) {
        vcpu_free(machine->cpu[i]);
        machine->cpu[i] = NULL;
    }
    machine_forget_history(machine); /* while all clients of the probes are there */
    machine_breaks_free(machine);
    machine->clock.now = clock_zero; /* devices may look at it once more */
    bus_free(machine->bus);
    machine_free_disks(machine);
    if (machine->memory)
        memory_free(machine->memory);
    free(machine->made);
    free(machine);
}

enum pacifica_status machine_reset(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    if (!machine->kernel.image.data && !machine->firmware)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "neither kernel nor firmware is loaded");
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        vcpu_reset(machine->cpu[i]);
        machine->cpu[i]->stop.text[0] = '\0';
    }
    if (machine->firmware)
        bus_reset(machine->bus);
    else
        machine_reset_devices(machine);
    machine->ended = PACIFICA_STOP_NONE;
    enum pacifica_status status = machine_boot(machine, diag);
    machine_breaks_refresh(machine);
    return status;
}

/* Met again in the past a reset enters by itself when the machine goes on. */
enum pacifica_status pacifica_machine_reset(struct pacifica_machine *machine,
                                            struct pacifica_diag *diag)
{
    if (journal_admit(machine) == ADMIT_IGNORE || journal_is_next(machine, INPUT_RESET))
        return PACIFICA_OK;
    machine_change(machine);
    enum pacifica_status status = machine_reset(machine, diag);
    if (status == PACIFICA_OK)
        journal_note(machine, &(struct input){ .kind = INPUT_RESET });
    return status;
}

enum pacifica_status pacifica_machine_load_kernel(struct pacifica_machine *machine,
                                                  const struct pacifica_kernel *kernel,
                                                  struct pacifica_diag *diag)
{
    if (!kernel->image.data || kernel->image.size == 0)
        return diag_set(diag, PACIFICA_EFORMAT, kernel->name, NULL, "the image is empty");
    if (machine->firmware)
        return diag_set(diag, PACIFICA_EUSAGE, kernel->name, "start one of them",
                        "a kernel on a machine with firmware");
    if (machine->journal)
        return diag_set(diag, PACIFICA_EUSAGE, kernel->name, "load it before",
                        "another kernel on a machine that records, replays or goes back");
    machine->kernel = *kernel;
    enum pacifica_status status = machine_reset(machine, diag);
    if (status != PACIFICA_OK)
        machine->kernel = (struct pacifica_kernel){ 0 };
    return status;
}

enum pacifica_status pacifica_machine_screen(const struct pacifica_machine *machine,
                                             struct pacifica_screen *screen)
{
    *screen = (struct pacifica_screen){ 0 };
    if (!machine->vga)
        return PACIFICA_EUNSUPPORTED;
    struct vga_size pixels = vga_size(machine->vga), cells = vga_text_size(machine->vga);
    *screen = (struct pacifica_screen){ pixels.width, pixels.height, cells.width, cells.height };
    return PACIFICA_OK;
}

void pacifica_machine_draw(const struct pacifica_machine *machine,
                           const struct pacifica_screen *screen, uint32_t *pixels)
{
    vga_draw(machine->vga, (struct vga_size){ screen->width, screen->height }, pixels);
}

void pacifica_machine_text(const struct pacifica_machine *machine,
                           const struct pacifica_screen *screen, uint16_t *cells)
{
    for (unsigned row = 0; row < screen->rows; row++)
        for (unsigned column = 0; column < screen->columns; column++)
            *cells++ = vga_text_cell(machine->vga, column, row);
}

bool machine_interruptible(const struct pacifica_machine *machine)
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        const struct vcpu *cpu = machine->cpu[i];
        /* An SVM guest's IF may mask nothing (V_INTR_MASKING) and its interrupts may be intercepted. */
        bool masked = !(cpu->rflags & FLAG_IF) && !cpu->svm->guest;
        if (cpu->regs.halted && !masked)
            return true;
    }
    return false;
}

bool pacifica_machine_wants_input(const struct pacifica_machine *machine)
{
    bool wanted = uart_receive_interrupt(machine->uart) ||
                  (machine->com2 && uart_receive_interrupt(machine->com2));
    return wanted && machine_interruptible(machine);
}

uint64_t pacifica_machine_memory_resident_kib(const struct pacifica_machine *machine)
{
    return memory_resident_kib(machine->memory);
}

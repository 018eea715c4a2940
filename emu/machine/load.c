/* Placing a kernel in guest memory and starting the CPU there; mapping firmware. */
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

#include "emu/base/diag.h"
#include "emu/boot/bios_area.h"
#include "emu/boot/boot.h"
#include "emu/boot/firmware.h"

enum pacifica_status machine_boot(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    const struct pacifica_kernel *kernel = &machine->kernel;
    if (machine->firmware)
        return PACIFICA_OK;
    struct boot_module module[BOOT_MODULES_MAX];
    struct boot_entry entry;
    if (kernel->module_count > BOOT_MODULES_MAX)
        return diag_set(diag, PACIFICA_EUSAGE, kernel->name, NULL, "more than %d modules",
                        BOOT_MODULES_MAX);
    for (size_t i = 0; i < kernel->module_count; i++) {
        const struct pacifica_module *from = &kernel->modules[i];
        module[i] = (struct boot_module){ .bytes = from->image.data,
                                          .len = from->image.size,
                                          .name = from->text ? from->text : "module",
                                          .cmdline = from->text };
    }
    const struct boot_source source = { .kernel = kernel->image.data,
                                        .kernel_len = kernel->image.size,
                                        .kernel_name = kernel->name ? kernel->name : "kernel",
                                        .cmdline = kernel->cmdline,
                                        .modules = module,
                                        .module_count = kernel->module_count,
                                        .rsdp_spa = BIOS_AREA_RSDP,
                                        .vga = machine->vga != NULL,
                                        .com2 = machine->com2 != NULL };
    enum pacifica_status status = machine_add_bios_area(machine, diag);
    if (status == PACIFICA_OK)
        status = boot_load(machine->memory, &source, &entry, diag);
    if (status != PACIFICA_OK)
        return status;
    for (unsigned i = 0; i < machine->cpu_count; i++)
        boot_processor(machine->cpu[i], machine->model.address_bits);
    boot_enter(machine->cpu[0], &entry);
    return PACIFICA_OK;
}

enum pacifica_status pacifica_machine_load_firmware(struct pacifica_machine *machine,
                                                    const struct pacifica_firmware *firmware,
                                                    struct pacifica_diag *diag)
{
    if (machine->kernel.image.data)
        return diag_set(diag, PACIFICA_EUSAGE, firmware->name, "start one of them",
                        "firmware on a machine with a kernel");
    if (machine->journal)
        return diag_set(diag, PACIFICA_EUSAGE, firmware->name, "load it before",
                        "further firmware on a machine that records, replays or goes back");
    const struct firmware_source source = { .bytes = firmware->image.data,
                                            .len = firmware->image.size,
                                            .name = firmware->name ? firmware->name : "firmware",
                                            .at_top = firmware->load_at == PACIFICA_FIRMWARE_TOP,
                                            .spa = firmware->load_at };
    enum pacifica_status status = firmware_map(machine->memory, &source, diag);
    if (status != PACIFICA_OK)
        return status;
    if (!machine->firmware)
        status = machine_add_firmware_tables(machine, diag);
    if (status != PACIFICA_OK)
        return status;
    machine->firmware = true;
    return pacifica_machine_reset(machine, diag);
}

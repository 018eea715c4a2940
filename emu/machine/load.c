/* Placing a kernel in guest memory and starting the CPU there. */
#include "emu/machine/machine.h"

#include "emu/base/diag.h"
#include "emu/boot/boot.h"

enum pacifica_status machine_boot(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    const struct pacifica_kernel *kernel = &machine->kernel;
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
                                        .module_count = kernel->module_count };
    enum pacifica_status status = boot_load(machine->memory, &source, &entry, diag);
    if (status == PACIFICA_OK)
        boot_enter(machine->cpu, &entry);
    return status;
}

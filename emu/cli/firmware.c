/* Finding and loading firmware. */
#include "emu/cli/firmware.h"

#include "emu/base/diag.h"
#include "emu/cli/files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESET_VECTOR UINT64_C(0xfffffff0)
#define PATH_BYTES 512

/* Where Debian's packages seabios and qemu-system-data have firmware. */
static const char *const folders[] = { "/usr/share/seabios", "/usr/share/qemu" };

enum pacifica_status firmware_read(const struct cli_rom *rom, struct pacifica_bytes *image,
                                   struct pacifica_diag *diag)
{
    bool search =
        rom->search && rom->path[0] && !strchr(rom->path, '/') && access(rom->path, R_OK) != 0;
    for (size_t i = 0; search && i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[PATH_BYTES];
        int length = snprintf(path, sizeof(path), "%s/%s", folders[i], rom->path);
        if (length > 0 && length < PATH_BYTES && access(path, R_OK) == 0)
            return file_read(path, FILE_FIRMWARE_MOST, image, diag);
    }
    enum pacifica_status status = file_read(rom->path, FILE_FIRMWARE_MOST, image, diag);
    if (status == PACIFICA_EIO && search && diag)
        (void)snprintf(diag->hint, sizeof(diag->hint),
                       "not in %s or %s either; Debian's package seabios has bios.bin", folders[0],
                       folders[1]);
    return status;
}

static bool at_reset_vector(const struct cli_rom *rom, const struct pacifica_bytes *image)
{
    return rom->load_at == PACIFICA_FIRMWARE_TOP ||
           (rom->load_at <= RESET_VECTOR && RESET_VECTOR - rom->load_at < image->size);
}

enum pacifica_status firmware_load(const struct cli_options *options,
                                   const struct pacifica_bytes *images,
                                   struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    bool starts = false;
    for (unsigned i = 0; i < options->rom_count; i++) {
        const struct cli_rom *rom = &options->rom[i];
        const struct pacifica_firmware firmware = { .image = images[i],
                                                    .name = rom->path,
                                                    .load_at = rom->load_at };
        enum pacifica_status status = pacifica_machine_load_firmware(machine, &firmware, diag);
        if (status != PACIFICA_OK)
            return status;
        starts = starts || at_reset_vector(rom, &images[i]);
    }
    if (!starts)
        return diag_set(diag, PACIFICA_EUSAGE, "-rom", "-bios names the firmware that starts",
                        "no ROM is at the reset vector, 0xfffffff0");
    return PACIFICA_OK;
}

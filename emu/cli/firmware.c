/* Finding and loading firmware. */
#include "emu/cli/firmware.h"

#include "emu/base/diag.h"
#include "emu/cli/files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESET_VECTOR UINT64_C(0xfffffff0)
#define PATH_BYTES 512
#define VGA_BIOS "vgabios-stdvga.bin"

/* Where Debian's packages seabios and qemu-system-data have firmware. */
static const char *const folders[] = { "/usr/share/seabios", "/usr/share/qemu" };

/* Read `name` from the first folder that has it; *found tells whether one has. */
static enum pacifica_status read_from_folders(const char *name, struct pacifica_bytes *image,
                                              bool *found, struct pacifica_diag *diag)
{
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[PATH_BYTES];
        int length = snprintf(path, sizeof(path), "%s/%s", folders[i], name);
        *found = length > 0 && length < PATH_BYTES && access(path, R_OK) == 0;
        if (*found)
            return file_read(path, FILE_FIRMWARE_MOST, image, diag);
    }
    return PACIFICA_OK;
}

enum pacifica_status firmware_read_vga(struct pacifica_bytes *image, struct pacifica_diag *diag)
{
    bool found;
    *image = (struct pacifica_bytes){ 0 };
    return read_from_folders(VGA_BIOS, image, &found, diag);
}

enum pacifica_status firmware_read(const struct cli_rom *rom, struct pacifica_bytes *image,
                                   struct pacifica_diag *diag)
{
    bool search =
        rom->search && rom->path[0] && !strchr(rom->path, '/') && access(rom->path, R_OK) != 0;
    bool found = false;
    enum pacifica_status status = PACIFICA_OK;
    if (search)
        status = read_from_folders(rom->path, image, &found, diag);
    if (found)
        return status;
    status = file_read(rom->path, FILE_FIRMWARE_MOST, image, diag);
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

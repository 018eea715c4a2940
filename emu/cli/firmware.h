/* -bios and -rom: finding and loading firmware. */
#ifndef EMU_CLI_FIRMWARE_H
#define EMU_CLI_FIRMWARE_H

#include "emu/cli/options.h"

/* Read the image of a ROM. A name without a folder that -bios gives and that is no file here is looked for where Debian's
 * packages have firmware. Statuses and effects: file_read(). */
enum pacifica_status firmware_read(const struct cli_rom *rom, struct pacifica_bytes *image,
                                   struct pacifica_diag *diag);

/* Read the BIOS of the display adapter, if one of the folders has it; without it the adapter has no ROM. */
enum pacifica_status firmware_read_vga(struct pacifica_bytes *image, struct pacifica_diag *diag);

/* Map all ROMs. PACIFICA_EUSAGE: none of them is at the reset vector; else pacifica_machine_load_firmware(). */
enum pacifica_status firmware_load(const struct cli_options *options,
                                   const struct pacifica_bytes *images,
                                   struct pacifica_machine *machine, struct pacifica_diag *diag);

#endif

/* What firmware would have left below 1 MiB of a machine that starts a kernel without any: tables in a ROM at F0000h. */
#ifndef EMU_BOOT_BIOS_AREA_H
#define EMU_BOOT_BIOS_AREA_H

#include "emu/base/diag.h"
#include "paging/memory.h"

#define BIOS_AREA_SPA 0xf0000u
#define BIOS_AREA_BYTES 0x10000u
#define BIOS_AREA_RSDP BIOS_AREA_SPA
#define BIOS_AREA_FACS \
    0x9fe00u /* in the extended BIOS data area: it must be RAM. The loader writes it */

struct bios_area_config {
    unsigned cpus;
    bool keyboard, serial2; /* is there such a controller? */
};

/* Make the ROM. PACIFICA_ENOMEM; PACIFICA_ERANGE: a ROM is there already, or there are too many. */
enum pacifica_status bios_area_map(struct memory *memory, const struct bios_area_config *config,
                                   struct pacifica_diag *diag);

#endif

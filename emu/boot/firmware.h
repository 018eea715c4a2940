/* Firmware: from the bytes of a ROM image to ROMs in the address space. */
#ifndef EMU_BOOT_FIRMWARE_H
#define EMU_BOOT_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/base/diag.h"
#include "paging/memory.h"

#define FIRMWARE_TOP_END (UINT64_C(1) << 32) /* where an image at the top ends */
#define FIRMWARE_LOW_END (UINT64_C(1) << 20) /* where its last part ends once more */
#define FIRMWARE_LOW_MOST (UINT64_C(128) << 10)
#define FIRMWARE_MOST (UINT64_C(16) << 20)

/* Borrowed for the call only. */
struct firmware_source {
    const uint8_t *bytes;
    size_t len;
    const char *name; /* for diagnostics */
    bool at_top;      /* it ends at 4 GiB, and its last 128 KiB also at 1 MiB */
    uint64_t spa;     /* otherwise: where it begins */
};

/* Map the image as ROM. PACIFICA_EFORMAT: empty, or no whole pages of 4 KiB; PACIFICA_ERANGE: larger than 16 MiB, or it
 * would cover RAM or another ROM; PACIFICA_EUSAGE: `spa` is no page's beginning; PACIFICA_ENOMEM: more ROM than memory.h
 * has room for. On error memory is unchanged, and diag (may be NULL) is filled. */
enum pacifica_status firmware_map(struct memory *memory, const struct firmware_source *source,
                                  struct pacifica_diag *diag);

#endif

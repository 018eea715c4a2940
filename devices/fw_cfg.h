/* fw_cfg: how the machine hands values and files to programs that know QEMU. */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include "devices/bus.h"
#include "emu/base/diag.h"

#define FW_CFG_FILES 32
#define FW_CFG_NAME_BYTES 56 /* with the NUL */

struct fw_cfg;

/* Add the device at 510h-511h and 514h-51Bh with the machine's facts. */
struct fw_cfg *fw_cfg_add(struct bus *bus, uint64_t ram_bytes, uint16_t cpus);

/* Shall firmware offer a menu of what to start? */
void fw_cfg_set_boot_menu(struct fw_cfg *fw, bool on);

/* Add a file; the bytes are copied. Names are unique and at most 55 characters.
 * PACIFICA_EUSAGE: the name is empty, too long or taken, or there are 32 files; PACIFICA_ERANGE: 4 GiB or more;
 * PACIFICA_ENOMEM. Nothing is added on error and diag (may be NULL) is filled. */
enum pacifica_status fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *bytes,
                                     size_t len, struct pacifica_diag *diag);

#endif

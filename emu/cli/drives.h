/* Options about disks. */
#ifndef EMU_CLI_DRIVES_H
#define EMU_CLI_DRIVES_H

#include "emu/cli/options_priv.h"

/* -device NAME,REST, if it is a disk. false: it is none. */
bool drive_device_option(struct parse *parse, const char *name, const char *rest,
                         enum pacifica_status *status);

/* Join devices and drives, and give each its place, when all are known. */
enum pacifica_status drives_check(struct parse *parse);

#endif

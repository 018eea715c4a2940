/* What the handlers of options about character devices share. */
#ifndef EMU_CLI_CHARDEV_H
#define EMU_CLI_CHARDEV_H

#include "emu/cli/options_priv.h"

/* unix:P or tcp:H:P, with server, nowait and their like behind commas. */
enum pacifica_status socket_destination(struct parse *parse, const char *value,
                                        struct cli_chardev *to);

/* gdb_options.c: what -S and -gdb need of the other options. */
enum pacifica_status gdb_check(struct parse *parse);

/* One of these words; false: it is none. */
bool socket_property(struct cli_chardev *chardev, const char *part);

#endif

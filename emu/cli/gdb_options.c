/* Options of the GDB stub: -s, -S, -gdb. */
#include "emu/cli/chardev.h"

#include "emu/base/diag.h"

#include <string.h>

/* CHOICE: as for other lines, an empty host is the workstation itself. QEMU listens on all networks there. */
enum pacifica_status option_gdb(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    o->gdb = (struct cli_chardev){ .name = "gdb" };
    o->gdb_chardev = NULL;
    if (strncmp(value, "chardev:", 8) == 0 && value[8]) {
        o->gdb_chardev = value + 8;
    } else if (strcmp(value, "none") == 0) {
        o->gdb.kind = CHARDEV_NULL;
    } else if (strcmp(value, "stdio") == 0) {
        o->gdb.kind = CHARDEV_STDIO;
    } else if (strcmp(value, "pty") == 0) {
        o->gdb.kind = CHARDEV_PTY;
    } else if (strncmp(value, "unix:", 5) == 0 || strncmp(value, "tcp:", 4) == 0) {
        o->gdb.server = o->gdb.nowait = true;
        return socket_destination(parse, value, &o->gdb);
    } else {
        return option_bad(parse, value, "none of tcp:[HOST]:PORT, unix:PATH, stdio, pty, none");
    }
    return PACIFICA_OK;
}

enum pacifica_status option_gdb_short(struct parse *parse, const char *value)
{
    (void)value;
    return option_gdb(parse, "tcp::1234");
}

enum pacifica_status option_magic_break(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->magic_break = true;
    return PACIFICA_OK;
}

enum pacifica_status option_frozen(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->frozen = true;
    return PACIFICA_OK;
}

struct cli_chardev cli_gdb(const struct cli_options *options)
{
    return options->gdb_chardev ? *cli_find_chardev(options, options->gdb_chardev) : options->gdb;
}

/* Standard input and output have one user. */
static bool has_stdio_besides(const struct cli_options *o)
{
    return cli_monitor(o).kind == CHARDEV_STDIO || cli_serial(o, 0).kind == CHARDEV_STDIO ||
           cli_serial(o, 1).kind == CHARDEV_STDIO;
}

enum pacifica_status gdb_check(struct parse *parse)
{
    const struct cli_options *o = parse->options;
    if (o->gdb_chardev && !cli_find_chardev(o, o->gdb_chardev))
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-gdb", NULL, "no chardev '%s'",
                        o->gdb_chardev);
    struct cli_chardev gdb = cli_gdb(o);
    if (gdb.kind == CHARDEV_FILE)
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-gdb", NULL,
                        "chardev '%s' is nothing that a debugger answers from", o->gdb_chardev);
    if (gdb.kind == CHARDEV_STDIO && has_stdio_besides(o))
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-gdb", "-serial null",
                        "stdio is the serial line's or the monitor's already");
    if ((o->frozen || o->magic_break) && gdb.kind <= CHARDEV_NULL &&
        cli_monitor(o).kind <= CHARDEV_NULL)
        return diag_set(parse->diag, PACIFICA_EUSAGE, o->frozen ? "-S" : "-magic-break",
                        "-s, -gdb or -monitor", "nobody could start the machine");
    return PACIFICA_OK;
}

/* What parsing and handling of options share. */
#ifndef EMU_CLI_OPTIONS_PRIV_H
#define EMU_CLI_OPTIONS_PRIV_H

#include "emu/cli/options.h"
#include "emu/cli/words.h"

struct parse {
    struct cli_options *options;
    struct pacifica_diag *diag;
    char where[64]; /* the option being handled, with its dash */
};

/* Take an option's value ("" if it has none). `value` lives as long as the options. */
typedef enum pacifica_status option_handler(struct parse *parse, const char *value);

#define OPTION(name, argument, handler, help) option_handler option_##handler;
#include "emu/cli/options.def"
#undef OPTION

/* What can only be seen when all options are known: chardev IDs that nobody defined. */
enum pacifica_status options_check(struct parse *parse);

/* "-x: not there yet", naming the value if it is what is missing. */
enum pacifica_status option_not_yet(struct parse *parse, const char *value);

/* "-x: 'VALUE' is WHAT". */
enum pacifica_status option_bad(struct parse *parse, const char *value, const char *what);

#endif

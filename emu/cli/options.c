/* Parsing the command line with popt, from the rows of options.def. */
#include "emu/cli/commands.h"
#include "emu/cli/options_priv.h"

#include "emu/base/diag.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row {
    const char *name, *argument;
    option_handler *handler;
    const char *help;
} option_rows[] = {
#define OPTION(name, argument, handler, help) { name, argument, option_##handler, help },
#include "emu/cli/options.def"
#undef OPTION
};
#define OPTION_ROWS (sizeof(option_rows) / sizeof(option_rows[0]))

static enum pacifica_status no_memory(struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
}

/* The rows as popt wants them. POPT_ARGFLAG_ONEDASH makes -x and --x the same. */
static void make_table(struct poptOption *table)
{
    for (size_t i = 0; i < OPTION_ROWS; i++)
        table[i] = (struct poptOption){
            .longName = option_rows[i].name,
            .argInfo =
                (option_rows[i].argument ? POPT_ARG_STRING : POPT_ARG_NONE) | POPT_ARGFLAG_ONEDASH,
            .val = (int)i + 1,
        };
    table[OPTION_ROWS] = (struct poptOption)POPT_TABLEEND;
}

static enum pacifica_status take_option(struct parse *parse, poptContext context, size_t index)
{
    const struct option_row *row = &option_rows[index];
    char *given = poptGetOptArg(context);
    char *value = NULL;
    (void)snprintf(parse->where, sizeof(parse->where), "-%s", row->name);
    if (given) {
        word_restore(given);
        value = words_keep(&parse->options->words, given, strlen(given));
        free(given);
        if (!value)
            return no_memory(parse->diag);
    }
    return row->handler(parse, value ? value : "");
}

static enum pacifica_status bad_option(struct parse *parse, poptContext context, int error)
{
    const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    if (error == POPT_ERROR_BADOPT)
        return diag_set(parse->diag, PACIFICA_EUSAGE, bad, "-help lists the options",
                        "unknown option");
    if (error == POPT_ERROR_NOARG)
        return diag_set(parse->diag, PACIFICA_EUSAGE, bad, NULL, "needs a value");
    return diag_set(parse->diag, PACIFICA_EUSAGE, bad, NULL, "%s", poptStrerror(error));
}

/* Words that are no options: the subcommand. */
static enum pacifica_status take_words(struct parse *parse, const char **words)
{
    for (size_t i = 0; words && words[i]; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s", words[i]);
        word_restore(text);
        if (i == 0 && strcmp(text, "run") == 0)
            continue;
        if (i == 0 && command_find(text))
            return diag_set(parse->diag, PACIFICA_EUSAGE, text, NULL,
                            "a subcommand stands before all options");
        return diag_set(parse->diag, PACIFICA_EUSAGE, text, "-kernel or -bios names the image",
                        "not an option");
    }
    return PACIFICA_OK;
}

static enum pacifica_status parse_with(struct parse *parse, poptContext context)
{
    for (;;) {
        int index = poptGetNextOpt(context);
        if (index == -1)
            return take_words(parse, poptGetArgs(context));
        if (index < 0)
            return bad_option(parse, context, index);
        enum pacifica_status status = take_option(parse, context, (size_t)index - 1);
        if (status != PACIFICA_OK || parse->options->action != CLI_RUN)
            return status;
    }
}

static void free_arguments(char **arguments, int count)
{
    for (int i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
}

/* The arguments with everything escaped that popt would change; NULL without memory. */
static char **escape_arguments(int argc, const char *const *argv)
{
    char **escaped = calloc((size_t)argc + 1, sizeof(*escaped));
    for (int i = 0; escaped && i < argc; i++) {
        escaped[i] = word_escape(argv[i]);
        if (!escaped[i]) {
            free_arguments(escaped, i);
            return NULL;
        }
    }
    return escaped;
}

enum pacifica_status cli_options_parse(struct cli_options *options, int argc,
                                       const char *const *argv, struct pacifica_diag *diag)
{
    *options = (struct cli_options){ .cpu = "max",
                                     .append = "",
                                     .ram_bytes = UINT64_C(512) << 20,
                                     .cpus = 1,
                                     .seed = PACIFICA_SEED_DEFAULT,
                                     .max_steps = UINT64_MAX };
    struct parse parse = { .options = options, .diag = diag };
    struct poptOption table[OPTION_ROWS + 1];
    make_table(table);
    char **arguments = escape_arguments(argc, argv);
    if (!arguments)
        return no_memory(diag);
    enum pacifica_status status = PACIFICA_ENOMEM;
    poptContext context = poptGetContext(NULL, argc, (const char **)arguments, table, 0);
    if (context)
        status = parse_with(&parse, context);
    else
        status = no_memory(diag);
    poptFreeContext(context);
    free_arguments(arguments, argc);
    if (status == PACIFICA_OK && options->action == CLI_RUN)
        status = options_check(&parse);
    return status;
}

void cli_options_fini(struct cli_options *options)
{
    words_free(options->words);
    options->words = NULL;
}

const struct cli_chardev *cli_find_chardev(const struct cli_options *options, const char *id)
{
    for (unsigned i = 0; i < options->chardev_count; i++)
        if (strcmp(options->chardev[i].id, id) == 0)
            return &options->chardev[i];
    return NULL;
}

void cli_help(void)
{
    (void)printf("usage: pacifica [run] [OPTION]...\n"
                 "       pacifica COMMAND ...\n"
                 "Runs a bare-metal x86-64 hypervisor on an emulated PC with AMD-V. Without "
                 "-kernel or\n"
                 "-bios it runs the built-in demonstration hypervisor.\n\ncommands:\n");
    commands_help();
    (void)printf("\noptions:\n");
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const struct option_row *row = &option_rows[i];
        char left[64];
        if (!row->help)
            continue;
        (void)snprintf(left, sizeof(left), "-%s%s%s", row->name, row->argument ? " " : "",
                       row->argument ? row->argument : "");
        (void)printf("  %-33s %s\n", left, row->help);
    }
    (void)printf(
        "\nExit status: the guest's (value << 1) | 1 through isa-debug-exit; 0 after a reset with\n"
        "-no-reboot; 2 bad option or file; 4 limit; 6 not emulated; 8 triple fault, shutdown or\n"
        "halted for ever; 10 stopped by -stop-on.\n");
}

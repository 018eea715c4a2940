/* `pacifica test`: options, and the way through the parts. */
#include "emu/cli/test.h"

#include "emu/base/diag.h"
#include "emu/cli/session.h"
#include "emu/cli/words.h"

#include <stdlib.h>
#include <string.h>

/* --- options -------------------------------------------------------------------------------- */

typedef bool test_option_handler(struct test_options *options, const char *value);

static bool take_unsigned(const char *value, uint64_t least, uint64_t most, unsigned *to)
{
    uint64_t number;
    if (!word_number(value, &number) || number < least || number > most)
        return false;
    *to = (unsigned)number;
    return true;
}

static bool test_option_tap(struct test_options *options, const char *value)
{
    (void)options;
    (void)value;
    return true;
}

static bool test_option_junit(struct test_options *options, const char *value)
{
    options->junit = value;
    return true;
}

static bool test_option_jobs(struct test_options *options, const char *value)
{
    return take_unsigned(value, 1, 256, &options->jobs);
}

static bool test_option_filter(struct test_options *options, const char *value)
{
    options->filter = value;
    return true;
}

static bool test_option_max_insns(struct test_options *options, const char *value)
{
    return word_number(value, &options->max_insns) && options->max_insns > 0;
}

static bool test_option_last(struct test_options *options, const char *value)
{
    return take_unsigned(value, 0, TEST_LAST_MOST, &options->last);
}

static bool test_option_times(struct test_options *options, const char *value)
{
    (void)value;
    options->times = true;
    return true;
}

static bool test_option_help(struct test_options *options, const char *value)
{
    (void)value;
    options->help = true;
    return true;
}

static const struct test_option_row {
    const char *name, *argument;
    test_option_handler *handler;
    const char *help;
} rows[] = {
#define TEST_OPTION(name, argument, handler, help) { name, argument, test_option_##handler, help },
#include "emu/cli/test_options.def"
#undef TEST_OPTION
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

void test_help(void)
{
    (void)printf("usage: pacifica test [OPTION]... DIR|FILE...\n"
                 "Runs ROMs (*.elf, *.bin, *.rom) and holds them against NAME.expect beside them; "
                 "docs/test-roms.md\ndescribes the format.\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "-%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                       rows[i].argument ? rows[i].argument : "");
        (void)printf("  %-33s %s\n", left, rows[i].help);
    }
    (void)printf("\nExit status: 0 all passed; 1 some failed; 2 bad option or file.\n");
}

/* "-NAME" or "--NAME", with "=VALUE" behind it or not; a name of one letter may have a number at once: "-j4". */
static const struct test_option_row *find_option(const char *word, const char **value)
{
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t length = strcspn(name, "=");
    *value = name[length] ? name + length + 1 : NULL;
    for (size_t i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].argument && rows[i].name[1] == '\0' && word[1] == rows[i].name[0] &&
            name[1] >= '0' && name[1] <= '9') {
            *value = name + 1;
            return &rows[i];
        }
    return NULL;
}

/* One option at argv[*i]; *i moves to its last word. */
static enum pacifica_status take_option(struct test_options *options, int argc,
                                        const char *const *argv, int *i, struct pacifica_diag *diag)
{
    const char *value, *word = argv[*i];
    const struct test_option_row *row = find_option(word, &value);
    if (!row)
        return diag_set(diag, PACIFICA_EUSAGE, word, "pacifica test -help lists the options",
                        "unknown option");
    if (row->argument && !value) {
        if (++*i >= argc)
            return diag_set(diag, PACIFICA_EUSAGE, word, NULL, "needs a value");
        value = argv[*i];
    } else if (!row->argument && value) {
        return diag_set(diag, PACIFICA_EUSAGE, word, NULL, "takes no value");
    }
    if (!row->handler(options, value))
        return diag_set(diag, PACIFICA_EUSAGE, word, NULL, "'%.100s' is no number in range", value);
    return PACIFICA_OK;
}

enum pacifica_status test_options_parse(struct test_options *options, int argc,
                                        const char *const *argv, struct pacifica_diag *diag)
{
    const char **paths = calloc((size_t)argc + 1, sizeof(*paths));
    *options =
        (struct test_options){ .paths = paths, .last = TEST_LAST, .max_insns = TEST_MAX_INSNS };
    if (!paths)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
    bool only_paths = false;
    for (int i = 0; i < argc; i++) {
        enum pacifica_status status = PACIFICA_OK;
        if (only_paths || argv[i][0] != '-' || argv[i][1] == '\0')
            paths[options->path_count++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            only_paths = true;
        else
            status = take_option(options, argc, argv, &i, diag);
        if (status != PACIFICA_OK || options->help)
            return status;
    }
    if (options->path_count == 0)
        return diag_set(diag, PACIFICA_EUSAGE, "test", "pacifica test -help says more",
                        "names neither folder nor file");
    return PACIFICA_OK;
}

/* --- the way ---------------------------------------------------------------------------------- */

struct progress {
    const struct test_options *options;
    bool failed;
};

static void rom_done(void *self, const struct rom *rom, size_t index)
{
    struct progress *progress = self;
    progress->failed = progress->failed || !rom->passed;
    test_tap_rom(rom, index, progress->options->times);
}

static int run_all(const struct test_options *options, struct rom_list *list,
                   struct pacifica_diag *diag)
{
    struct progress progress = { .options = options };
    if (test_find(options, list, diag) != PACIFICA_OK)
        return CLI_STATUS_USAGE;
    test_tap_begin(list->count);
    test_pool(list, options, rom_done, &progress);
    if (options->junit && test_junit(list, options, diag) != PACIFICA_OK)
        return CLI_STATUS_USAGE;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)diag_set(diag, PACIFICA_EIO, "standard output", NULL, "writing failed");
        return CLI_STATUS_USAGE;
    }
    return progress.failed;
}

int test_main(int argc, const char *const *argv)
{
    struct test_options options;
    struct rom_list list = { 0 };
    struct pacifica_diag diag = { 0 };
    int status = CLI_STATUS_USAGE;
    if (test_options_parse(&options, argc, argv, &diag) == PACIFICA_OK) {
        if (options.help) {
            test_help();
            status = fflush(stdout) == 0 ? CLI_STATUS_OK : CLI_STATUS_USAGE;
        } else {
            status = run_all(&options, &list, &diag);
        }
    }
    if (diag.what[0])
        cli_complain(&diag);
    test_free(&list);
    free((void *)(uintptr_t)options.paths);
    return status;
}

/* Subcommands that need no machine: tables, and VMCBs from files. */
#include "emu/cli/commands.h"

#include "emu/base/diag.h"
#include "emu/cli/session.h"
#include "emu/cli/snapshots.h"
#include "emu/cli/test.h"
#include "emu/cli/trace_command.h"

#include <stdlib.h>
#include <string.h>

#define STATUS_FOUND 1 /* as diff and grep have it: there is something to tell */
#define VMCB_MOST (UINT64_C(1) << 20)

static command_handler command_test, command_models, command_exits, command_vmcb, command_trace,
    command_snap, command_later;

static const struct command_row {
    const char *name, *arguments;
    command_handler *handler;
    const char *help;
} command_rows[] = {
#define COMMAND(name, arguments, handler, help) { name, arguments, command_##handler, help },
#include "emu/cli/commands.def"
#undef COMMAND
};
#define COMMAND_ROWS (sizeof(command_rows) / sizeof(command_rows[0]))

static void write_stdout(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)fwrite(bytes, 1, size, stdout);
}
static const struct pacifica_output to_stdout = { .write = write_stdout };

command_handler *command_find(const char *word)
{
    for (size_t i = 0; i < COMMAND_ROWS; i++)
        if (strcmp(command_rows[i].name, word) == 0)
            return command_rows[i].handler;
    return NULL;
}

void commands_help(void)
{
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command_row *row = &command_rows[i];
        char left[96];
        if (!row->help)
            continue;
        (void)snprintf(left, sizeof(left), "%s %s", row->name, row->arguments);
        (void)printf("  %-33s %s\n", left, row->help);
    }
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "--help") == 0 ||
            strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* The exit status of a command that has written its answer, or failed. */
static int finish(enum pacifica_status status, const struct pacifica_diag *diag, bool found)
{
    if (status == PACIFICA_OK && fflush(stdout) != 0)
        return CLI_STATUS_USAGE;
    if (status == PACIFICA_OK)
        return found ? STATUS_FOUND : CLI_STATUS_OK;
    cli_complain(diag);
    return CLI_STATUS_USAGE;
}

static int help(void)
{
    cli_help();
    return finish(PACIFICA_OK, NULL, false);
}

static int usage(const char *name, const char *what)
{
    struct pacifica_diag diag = { 0 };
    enum pacifica_status status =
        diag_set(&diag, PACIFICA_EUSAGE, name, "-help tells what it takes", "%s", what);
    return finish(status, &diag, false);
}

static int command_test(int argc, char **argv)
{
    return test_main(argc - 1, (const char *const *)argv + 1);
}

static int command_snap(int argc, char **argv)
{
    return snapshots_main(argc, argv);
}

static int command_later(int argc, char **argv)
{
    struct pacifica_diag diag = { 0 };
    (void)argc;
    enum pacifica_status status =
        diag_set(&diag, PACIFICA_EUNSUPPORTED, argv[0], NULL, "not there yet");
    return finish(status, &diag, false);
}

/* `features` and `msrs`. */
static int command_models(int argc, char **argv)
{
    struct pacifica_diag diag = { 0 };
    const char *cpu = argc > 1 ? argv[1] : NULL;
    if (asks_for_help(argc, argv))
        return help();
    if (argc > 2)
        return usage(argv[0], "takes one CPU model");
    if (cpu && strcmp(cpu, "help") == 0) {
        pacifica_cpu_list(&to_stdout);
        return finish(PACIFICA_OK, NULL, false);
    }
    enum pacifica_status status = strcmp(argv[0], "msrs") == 0
                                      ? pacifica_cpu_msrs(cpu, &to_stdout, &diag)
                                      : pacifica_cpu_features(cpu, &to_stdout, &diag);
    return finish(status, &diag, false);
}

static int command_exits(int argc, char **argv)
{
    struct pacifica_diag diag = { 0 };
    if (asks_for_help(argc, argv))
        return help();
    if (argc > 2)
        return usage(argv[0], "takes one exit code");
    return finish(pacifica_exit_codes(argc > 1 ? argv[1] : NULL, &to_stdout, &diag), &diag, false);
}

/* --- vmcb ------------------------------------------------------------------------------------- */

struct vmcb_words {
    const char *verb, *cpu, *file[2];
    unsigned files;
};

/* Parse the words behind `vmcb`. NULL, or what is wrong with them. */
static const char *parse_vmcb(struct vmcb_words *words, int argc, char **argv)
{
    *words = (struct vmcb_words){ .verb = argc > 1 ? argv[1] : "" };
    bool diff = strcmp(words->verb, "diff") == 0, check = strcmp(words->verb, "check") == 0;
    if (!diff && !check && strcmp(words->verb, "dump") != 0)
        return "wanted: dump, diff or check";
    for (int i = 2; i < argc; i++) {
        bool cpu = strcmp(argv[i], "-cpu") == 0 || strcmp(argv[i], "--cpu") == 0;
        if (cpu && (!check || i + 1 == argc))
            return check ? "-cpu needs a value" : "-cpu is for check only";
        if (cpu)
            words->cpu = argv[++i];
        else if (argv[i][0] == '-')
            return "the only option is -cpu, behind check; a file whose name begins with - is ./-";
        else if (words->files < 2)
            words->file[words->files++] = argv[i];
        else
            return "one file too many";
    }
    if (words->files != (diff ? 2u : 1u))
        return diff ? "diff takes two files" : "takes one file";
    return NULL;
}

static enum pacifica_status tell_vmcb(const struct vmcb_words *words,
                                      const struct pacifica_bytes vmcb[2], unsigned *found,
                                      struct pacifica_diag *diag)
{
    if (strcmp(words->verb, "diff") == 0)
        return pacifica_vmcb_diff(&vmcb[0], &vmcb[1], &to_stdout, found, diag);
    if (strcmp(words->verb, "dump") == 0)
        return pacifica_vmcb_dump(&vmcb[0], &to_stdout, diag);
    enum pacifica_status status =
        pacifica_vmcb_check(words->cpu, &vmcb[0], &to_stdout, found, diag);
    if (status == PACIFICA_OK && *found == 0)
        (void)printf("no rule is broken\n");
    return status;
}

/* Read one file and see that it has the size of a VMCB, so that a message can name the file. */
static enum pacifica_status read_vmcb(const char *path, struct pacifica_bytes *bytes,
                                      struct pacifica_diag *diag)
{
    enum pacifica_status status = file_read(path, VMCB_MOST, bytes, diag);
    if (status != PACIFICA_OK || bytes->size == PACIFICA_VMCB_BYTES)
        return status;
    return diag_set(diag, PACIFICA_EFORMAT, path, "save the page that RAX points to at VMRUN",
                    "a VMCB has %u bytes, not %zu", PACIFICA_VMCB_BYTES, bytes->size);
}

static int command_vmcb(int argc, char **argv)
{
    struct vmcb_words words;
    struct pacifica_diag diag = { 0 };
    struct pacifica_bytes vmcb[2] = { 0 };
    unsigned found = 0;
    if (asks_for_help(argc, argv))
        return help();
    const char *wrong = parse_vmcb(&words, argc, argv);
    if (wrong)
        return usage("vmcb", wrong);
    enum pacifica_status status = PACIFICA_OK;
    for (unsigned i = 0; i < words.files && status == PACIFICA_OK; i++)
        status = read_vmcb(words.file[i], &vmcb[i], &diag);
    if (status == PACIFICA_OK)
        status = tell_vmcb(&words, vmcb, &found, &diag);
    for (unsigned i = 0; i < 2; i++)
        file_free(&vmcb[i]);
    return finish(status, &diag, found != 0);
}

/* --- trace ------------------------------------------------------------------------------------ */

static int command_trace(int argc, char **argv)
{
    struct trace_words words;
    struct pacifica_diag diag = { 0 };
    bool differ;
    if (asks_for_help(argc, argv))
        return help();
    const char *wrong = trace_words_parse(&words, argc, argv);
    if (wrong)
        return usage("trace", wrong);
    enum pacifica_status status = trace_run(&words, &to_stdout, &differ, &diag);
    return finish(status, &diag, differ);
}

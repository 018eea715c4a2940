/* The `pacifica` program. */
#include "emu/cli/commands.h"
#include "emu/cli/session.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void write_stdout(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)fwrite(bytes, 1, size, stdout);
}

/* Answers that need no machine. */
static int answer(enum cli_action action)
{
    const struct pacifica_output to_stdout = { .write = write_stdout };
    switch (action) {
    case CLI_HELP: cli_help(); break;
    case CLI_VERSION: (void)printf("pacifica %s\n", pacifica_version()); break;
    case CLI_CPU_LIST: pacifica_cpu_list(&to_stdout); break;
    case CLI_TRACE_LIST: pacifica_trace_list(&to_stdout); break;
    case CLI_INFO_LIST: pacifica_info_list(&to_stdout); break;
    case CLI_DEVICE_LIST:
        (void)printf("isa-debug-exit  iobase=PORT (0x501), iosize=1..4 (2): a write ends the run\n"
                     "isa-debugcon    iobase=PORT (0xe9), chardev=ID: bytes written go there\n"
                     "virtio-blk-pci  drive=ID: a disk\n"
                     "virtio-net-pci  netdev=ID, mac=ADDRESS (52:54:00:12:34:56): a network card\n"
                     "virtio-rng-pci  random numbers, which -seed determines\n"
                     "ide-hd, ide-cd  drive=ID, bus=ide.0|ide.1, unit=0|1: a disk, a CD-ROM drive\n"
                     "pc-testdev      interrupt lines, I/O and memory for tests\n"
                     "pci-testdev     registers behind PCI base address registers, for tests\n");
        break;
    case CLI_RUN: break;
    }
    return fflush(stdout) == 0 ? CLI_STATUS_OK : CLI_STATUS_USAGE;
}

static int run(const struct cli_options *options, int *signal)
{
    struct session *session = malloc(sizeof(*session));
    struct pacifica_diag diag = { .what = "no memory" };
    int status = CLI_STATUS_USAGE;
    if (!session) {
        cli_complain(&diag);
        return status;
    }
    if (session_begin(session, options, &diag) == PACIFICA_OK)
        status = session_run(session, signal);
    else
        cli_complain(&diag);
    if (session_end(session, &diag) != PACIFICA_OK) {
        if (*signal != SIGPIPE) /* that says it */
            cli_complain(&diag);
        status = CLI_STATUS_USAGE;
    }
    free(session);
    return status;
}

/* Whoever started us may have closed the standard files: no disk image shall get their numbers. */
static bool open_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    struct cli_options options;
    struct pacifica_diag diag = { 0 };
    int status = CLI_STATUS_USAGE, signal = 0;
    if (!open_standard_files())
        return status;
    command_handler *command = argc > 1 ? command_find(argv[1]) : NULL;
    if (command)
        return command(argc - 1, argv + 1);
    if (cli_options_parse(&options, argc, (const char *const *)argv, &diag) != PACIFICA_OK)
        cli_complain(&diag);
    else if (options.action != CLI_RUN)
        status = answer(options.action);
    else
        status = run(&options, &signal);
    cli_options_fini(&options);
    if (signal) {
        (void)fflush(stderr);
        (void)raise(signal); /* its default action: whoever waits for us sees why we ended */
    }
    return status;
}

/* Run an image and tell which #VMEXITs its guests took.
 *
 *   cc exits.c $(pkg-config --cflags --libs pacifica) -o exits
 *   ./exits demo.elf */
#include "example.h"

#include <pacifica/pacifica.h>

#include <inttypes.h>

int main(int argc, char **argv)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_kernel kernel = { .name = argc > 1 ? argv[1] : NULL };
    struct pacifica_diag diag = { 0 };
    struct pacifica_machine *machine = NULL;
    struct pacifica_result result = { 0 };
    if (argc != 2 || !example_read(argv[1], &kernel.image))
        return example_usage(argv[0], "IMAGE");

    const struct pacifica_device debug_exit = { .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                .port = 0xf4,
                                                .port_count = 4 };
    options.devices = &debug_exit;
    options.device_count = 1;
    options.serial = example_stdout;
    enum pacifica_status status = pacifica_machine_new(&options, &machine, &diag);
    if (status == PACIFICA_OK)
        status = pacifica_machine_load_kernel(machine, &kernel, &diag);
    struct pacifica_exit_stats *stats =
        status == PACIFICA_OK ? pacifica_exit_stats_attach(machine) : NULL;
    if (status == PACIFICA_OK) {
        limits.max_steps = 1000000000;
        pacifica_machine_run(machine, &limits, &result);
        (void)printf("stopped after %" PRIu64 " instructions\n", result.instructions);
    }
    if (stats)
        pacifica_exit_stats_write(stats, &example_stdout);
    pacifica_exit_stats_free(stats);
    pacifica_machine_free(machine);
    example_free(&kernel.image);
    return example_end(status, &diag);
}

/* Stop at the first #VMEXIT, and tell why it happened and what the guest was doing.
 *
 *   cc first_exit.c $(pkg-config --cflags --libs pacifica) -o first_exit
 *   ./first_exit demo.elf */
#include "example.h"

#include <pacifica/pacifica.h>

#include <inttypes.h>
#include <string.h>

/* Print registers of a group, as they are now. */
static void tell_registers(struct pacifica_machine *machine, enum pacifica_register_group group)
{
    size_t count;
    const struct pacifica_register *table = pacifica_registers(&count);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[PACIFICA_REGISTER_BYTES] = { 0 };
        uint64_t value = 0;
        if (table[i].group != group || table[i].bits > 64 ||
            pacifica_machine_register_get(machine, 0, i, bytes) != PACIFICA_OK)
            continue;
        for (unsigned byte = 0; byte < table[i].bits / 8u; byte++)
            value |= (uint64_t)bytes[byte] << 8 * byte;
        (void)printf("%-12s %016" PRIx64 "\n", table[i].name, value);
    }
}

int main(int argc, char **argv)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_kernel kernel = { .name = argc > 1 ? argv[1] : NULL };
    struct pacifica_diag diag = { 0 };
    struct pacifica_machine *machine = NULL;
    struct pacifica_result result = { 0 };
    struct pacifica_break wanted = PACIFICA_BREAK_INIT;
    unsigned id;
    if (argc != 2 || !example_read(argv[1], &kernel.image))
        return example_usage(argv[0], "IMAGE");

    wanted.kind = PACIFICA_BREAK_VMEXIT; /* of any code */
    enum pacifica_status status = pacifica_machine_new(&options, &machine, &diag);
    if (status == PACIFICA_OK)
        status = pacifica_machine_load_kernel(machine, &kernel, &diag);
    if (status == PACIFICA_OK)
        status = pacifica_break_add(machine, &wanted, &id, &diag);
    if (status == PACIFICA_OK)
        pacifica_machine_run(machine, NULL, &result);
    if (status == PACIFICA_OK && result.stop == PACIFICA_STOP_BREAK) {
        uint64_t rip = 0;
        uint64_t code = 0;
        (void)pacifica_machine_vmcb_field(machine, 0, "RIP", &rip, NULL, NULL, &diag);
        status = pacifica_machine_vmcb_field(machine, 0, "EXITCODE", &code, NULL, NULL, &diag);
        (void)printf("#VMEXIT after %" PRIu64 " steps, guest RIP %" PRIx64 "\n", result.steps, rip);
        char number[24];
        (void)snprintf(number, sizeof(number), "0x%" PRIx64, code);
        (void)pacifica_exit_codes(number, &example_stdout, NULL);
        tell_registers(machine, PACIFICA_REGISTER_SVM);
    }
    pacifica_machine_free(machine);
    example_free(&kernel.image);
    return example_end(status, &diag);
}

/* Accesses to slow devices take time, the same however the run is executed and cut. */
#include "emu/machine/machine.h"

#include "tests/check_main.h"

#include <string.h>

#define ROM_BYTES 4096u
#define RESULT 0x500

/* Read `port` a hundred times between two RDTSCs; the difference goes to 500h. The run is cut after `slice` steps, or if that
 * is not 0 each `slice_ns`. */
static uint32_t run_cut(uint8_t port, bool exact, uint64_t slice, uint64_t slice_ns)
{
    uint8_t rom[ROM_BYTES];
    const uint8_t code[] = { 0x0f, 0x31,             /* rdtsc */
                             0x66, 0x89, 0xc3,       /* mov ebx, eax */
                             0xb9, 0x64, 0x00,       /* mov cx, 100 */
                             0xe4, port,             /* in al, port */
                             0xe2, 0xfc,             /* loop back */
                             0x0f, 0x31,             /* rdtsc */
                             0x66, 0x29, 0xd8,       /* sub eax, ebx */
                             0x66, 0xa3, 0x00, 0x05, /* mov [500], eax */
                             0xf4 };
    memset(rom, 0xf4, sizeof(rom));
    memcpy(rom + ROM_BYTES - 0x40, code, sizeof(code));
    memcpy(rom + ROM_BYTES - 0x10, (uint8_t[]){ 0xeb, 0xce }, 2); /* jmp to it */
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result = { 0 };
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    firmware.image = (struct pacifica_bytes){ rom, sizeof(rom) };
    limits.exact_blocks = exact;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    do {
        limits.max_steps = result.steps + slice;
        limits.max_ns = slice_ns ? result.now_ns + slice_ns : 0;
        pacifica_machine_run(machine, &limits, &result);
    } while (
        (result.stop == PACIFICA_STOP_LIMIT_INSNS || result.stop == PACIFICA_STOP_LIMIT_TIME) &&
        result.steps < 1000);
    uint32_t took = (uint32_t)phys_read(machine->memory, RESULT, 4);
    pacifica_machine_free(machine);
    return took;
}

static uint32_t run_polls(uint8_t port, bool exact, uint64_t slice)
{
    return run_cut(port, exact, slice, 0);
}

/* mov, mov, a hundred of IN and LOOP, and the second RDTSC itself */
#define INSNS 203u

START_TEST(polled_ports_take_time)
{
    static const uint8_t slow[] = { 0x40, 0x61, 0x64, 0x71, 0x80 };
    for (unsigned i = 0; i < sizeof(slow); i++)
        ck_assert_uint_eq(run_polls(slow[i], false, 1000), 100 * BUS_ACCESS_NS + INSNS);
}
END_TEST

START_TEST(other_ports_take_none)
{
    static const uint8_t quick[] = { 0x21, 0x92, 0xf0, 0x99 };
    for (unsigned i = 0; i < sizeof(quick); i++)
        ck_assert_uint_eq(run_polls(quick[i], false, 1000), INSNS);
}
END_TEST

START_TEST(time_does_not_depend_on_blocks_or_cuts)
{
    uint32_t took = run_polls(0x61, false, 1000);
    ck_assert_uint_eq(run_polls(0x61, true, 1000), took);
    for (uint64_t slice = 1; slice < 20; slice++) {
        ck_assert_uint_eq(run_polls(0x61, false, slice), took);
        ck_assert_uint_eq(run_polls(0x61, true, slice), took);
        ck_assert_uint_eq(run_cut(0x61, false, 1000, 77 * slice), took);
    }
}
END_TEST

CHECK_MAIN("access_time", polled_ports_take_time, other_ports_take_none,
           time_does_not_depend_on_blocks_or_cuts)

/* main.c: what every workload starts with: the command line, the result, the exit. */
#include "bench/roms/bench.h"
#include "test-roms/lib/rom.h"

_Noreturn void bench_fail(const char *what, uint64_t value)
{
    rom_printf("%s: %s 0x%lx\n", bench_name, what, value);
    rom_exit(1);
}

int rom_main(void)
{
    uint64_t n = rom_arg("n", 0);

    rom_printf("%s: n %lu, checksum %016lx\n", bench_name, n, bench_run(n));
    return 0;
}

/* tap.c: see tap.h. */
#include "test-roms/lib/tap.h"

#include "test-roms/lib/rom.h"

static unsigned points;
static unsigned failures;

static void print_point(bool passed, const char *format, va_list args)
{
    points++;
    failures += !passed;
    rom_printf("%s %u - ", passed ? "ok" : "not ok", points);
    rom_vprintf(format, args);
}

bool tap_ok(bool passed, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_point(passed, format, args);
    va_end(args);
    rom_printf("\n");
    return passed;
}

bool tap_eq(uint64_t got, uint64_t want, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_point(got == want, format, args);
    va_end(args);
    rom_printf("\n");
    if (got != want)
        rom_printf("#   got %lx, want %lx\n", got, want);
    return got == want;
}

void tap_skip(const char *reason, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_point(true, format, args);
    va_end(args);
    rom_printf(" # SKIP %s\n", reason);
}

_Noreturn void tap_done(void)
{
    rom_printf("1..%u\n", points);
    if (failures != 0)
        rom_printf("# %u of %u failed\n", failures, points);
    rom_exit(failures != 0);
}

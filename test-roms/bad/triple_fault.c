/* triple_fault.c: an exception with an empty IDT. The machine shuts down. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

int rom_main(void)
{
    struct table_register empty = { 0, 0 };

    rom_printf("# about to shut down\n");
    __asm__ volatile("lidt %0\n\tud2" : : "m"(empty));
    rom_printf("not ok 1 - execution went on after a triple fault\n");
    return 1;
}

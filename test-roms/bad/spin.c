/* spin.c: a loop with interrupts off. Only a limit can end it. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

int rom_main(void)
{
    rom_printf("# spinning\n");
    __asm__ volatile("cli\n1:\tjmp 1b");
    return 1;
}

/* halt_forever.c: HLT with interrupts off. No event can end it. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

int rom_main(void)
{
    rom_printf("# halting for ever\n");
    __asm__ volatile("cli\n\thlt");
    rom_printf("not ok 1 - HLT ended\n");
    return 1;
}

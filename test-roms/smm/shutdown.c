/* shutdown.c: RSM finds what no processor may be in and shuts down. APM vol 2, 10.4 "Leaving SMM". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/smm/kit.h"

int rom_main(void)
{
    smm_require();
    smm_reset();
    smm_patch(SAVE_CR4, (uint32_t)read_cr4() | 0x80000000u);
    rom_printf("RSM with a reserved bit of CR4\n");
    outb(APM_PORT, 0);
    rom_printf("it came back\n");
    return 1;
}

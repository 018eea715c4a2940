/* halt.c: all processors in HLT, waiting for a Startup IPI or in MWAIT, and nothing that could wake one: the run ends. */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"

static uint32_t line[16] __attribute__((aligned(64)));

static void halt(void *arg)
{
    (void)arg;
    for (;;)
        __asm__ volatile("cli\n\thlt" : : : "memory");
}

static void mwait(void *arg)
{
    (void)arg;
    __asm__ volatile("monitor\n\tmwait" : : "a"(line), "c"(0), "d"(0) : "memory");
    halt(NULL);
}

int rom_main(void)
{
    apic_init();
    rom_printf("%u processors\n", smp_start());
    smp_run(1, halt, NULL);
    smp_run(2, mwait, NULL);
    apic_send(3, ICR_INIT);
    smp_delay(SMP_A_WHILE);
    halt(NULL);
    return 1;
}

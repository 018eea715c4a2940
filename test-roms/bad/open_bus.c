/* open_bus.c: instruction fetch from physical space where nothing answers. Reads give all ones, and
 * FF FF is no instruction: #UD at the first one. Also data accesses there, and a fetch from the local
 * APIC page must not end the program in any other way than by an exception. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define OPEN_BUS UINT64_C(0xfd800000)
#define HIGH_SPA UINT64_C(0x0000007fc0000000)

static void jump(void *arg)
{
    ((void (*)(void))arg)();
}

int rom_main(void)
{
    struct trap_result r;
    uint64_t high = HIGH_SPA & ((UINT64_C(1) << cpu_maxphyaddr()) - 1);
    volatile uint64_t *hole = (volatile uint64_t *)OPEN_BUS;
    volatile uint64_t *far = (volatile uint64_t *)PAGING_WINDOW;

    rom_printf("# jumping to physical address %lx, where nothing is\n", OPEN_BUS);
    r = trap_try(jump, (void *)OPEN_BUS);
    tap_eq(r.vector, EXC_UD, "a fetch from open bus executes FF FF: #UD");
    tap_eq(r.rip, OPEN_BUS, "its RIP is the first byte");

    tap_eq(*hole, UINT64_MAX, "a quadword read from open bus is all ones");
    *hole = 0;
    tap_eq(*hole, UINT64_MAX, "a write there has no effect");

    paging_map(paging_root(), PAGING_WINDOW, high & ~(PAGE_4K - 1), PAGE_4K, PAGE_P | PAGE_W);
    invlpg(PAGING_WINDOW);
    tap_eq(*far, UINT64_MAX, "a read far above RAM is all ones");
    r = trap_try(jump, (void *)PAGING_WINDOW);
    tap_eq(r.vector, EXC_UD, "a fetch far above RAM: #UD");
    tap_eq(r.rip, PAGING_WINDOW, "its RIP is the first byte");
    tap_done();
}

/* vmcb_outside.c: VMRUN, VMLOAD and VMSAVE with addresses that cannot be a VMCB.
 * APM vol 3, "VMRUN", "VMLOAD", "VMSAVE": #GP if rAX is not 4 KiB aligned or above the largest
 * supported physical address. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/svm.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

static void do_vmrun(void *arg)
{
    __asm__ volatile("vmrun %%rax" : : "a"(arg) : "memory");
}

static void do_vmload(void *arg)
{
    svm_vmload(arg);
}

static void do_vmsave(void *arg)
{
    svm_vmsave(arg);
}

static const struct {
    const char *name;
    void (*body)(void *);
} insns[] = { { "VMRUN", do_vmrun }, { "VMLOAD", do_vmload }, { "VMSAVE", do_vmsave } };

int rom_main(void)
{
    uint64_t limit = UINT64_C(1) << cpu_maxphyaddr();

    if (!svm_enable()) {
        tap_skip("no SVM", "VMCB addresses");
        tap_done();
    }
    for (unsigned i = 0; i < sizeof insns / sizeof insns[0]; i++) {
        static const struct {
            const char *what;
            uint64_t low;
            bool above;
        } rows[] = {
            { "address of 2^MAXPHYADDR", 0, true },
            { "highest aligned 64-bit address", 0xfffffffffffff000, false },
            { "address that is not aligned", 0x200008, false },
            { "address with bit 0 set", 0x200001, false },
            { "address with bit 63 set", 0x8000000000200000, false },
        };
        for (unsigned k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            uint64_t address = rows[k].above ? limit : rows[k].low;
            struct trap_result r = trap_try(insns[i].body, (void *)address);

            tap_ok(r.vector == EXC_GP && r.error == 0, "%s with %s raises #GP(0)", insns[i].name,
                   rows[k].what);
        }
    }
    tap_done();
}

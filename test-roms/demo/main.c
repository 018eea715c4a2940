/* main.c: a hypervisor for AMD-V in a few hundred lines.
 *
 * It hosts two guests under nested paging, shares the processor between them, and ends with a
 * summary. Everything it prints is deterministic except how often the timer fired, so that number
 * is not printed. */
#include "test-roms/demo/demo.h"

#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

static struct vm vms[VM_COUNT];

/* Say what the processor offers. */
static void introduce(void)
{
    struct cpuid_result svm = cpuid(0x8000000au, 0);

    rom_printf("Demonstration hypervisor for AMD-V\n");
    rom_printf("[host] SVM revision %u, %s%s\n", svm.eax & 0xff,
               (svm.edx & SVM_FEATURE_NP) != 0 ? "nested paging" : "no nested paging",
               (svm.edx & SVM_FEATURE_NRIPS) != 0 ? ", next RIP saved on #VMEXIT" : "");
}

static void summarize(void)
{
    bool passed = true;

    rom_printf("\nSummary\n");
    for (unsigned i = 0; i < VM_COUNT; i++) {
        const struct vm *vm = &vms[i];

        rom_printf(
            "  %-6s ASID %u  CPUID %u, I/O %u, MSR %u, NPF %u, HLT %u, VMMCALL %u, result %u\n",
            vm->name, svm_get32(&vm->cpu, VMCB_ASID), vm->cpuids, vm->ios, vm->msrs, vm->faults,
            vm->halts, vm->calls, vm->result);
        passed = passed && vm->finished && vm->exits != 0;
    }
    rom_printf("  The timer interrupted a guest: %s\n",
               vms[0].ticks + vms[1].ticks != 0 ? "yes" : "no");
    rom_printf("%s\n", passed ? "All guests have finished." : "A guest was stopped.");
    if (!passed)
        rom_exit(1);
}

int rom_main(void)
{
    if (!svm_enable()) {
        rom_printf("This processor has no SVM, or the firmware has disabled it.\n");
        return 1;
    }
    introduce();
    if (!svm_has(SVM_FEATURE_NP)) {
        rom_printf("The demonstration needs nested paging.\n");
        return 1;
    }
    apic_init();

    /* First a mistake, to see what the processor says about it. */
    if (!vm_rejected())
        return 1;

    vm_create(&vms[0], "hello", 1, guest_hello, guest_hello_end);
    vm_create(&vms[1], "worker", 2, guest_worker, guest_worker_end);
    schedule(vms);
    summarize();
    return 0;
}

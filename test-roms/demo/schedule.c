/* schedule.c: the run loop.
 *
 *        +--> choose a guest --> VMRUN ==> guest runs
 *        |                                    |
 *        +---- handle the exit <-- #VMEXIT <==+
 *
 * A guest loses the processor when the timer ends its time slice (the interrupt is intercepted:
 * #VMEXIT(INTR)), when it halts and when it asks for it. */
#include "test-roms/demo/demo.h"

#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/trap.h"

#define SLICE_TICKS 200000u /* of the APIC timer, 1 ns each: 200 microseconds */

static volatile bool slice_over;

/* #VMEXIT(INTR) leaves the interrupt pending. It is delivered here once GIF and IF are 1 again. */
static void timer_interrupt(struct trap_frame *frame)
{
    (void)frame;
    slice_over = true;
    apic_eoi();
}

static struct vm *next_guest(struct vm *vms, struct vm *current)
{
    unsigned index = (unsigned)(current - vms);

    for (unsigned i = 1; i <= VM_COUNT; i++) {
        struct vm *candidate = &vms[(index + i) % VM_COUNT];

        if (!candidate->finished)
            return candidate;
    }
    return NULL;
}

/* FS, GS, TR, LDTR and a few MSRs are not switched by VMRUN. The guests change none of them, but
 * would see the host's; VMLOAD and VMSAVE show how they are kept apart. */
static uint64_t run_slice(struct vm *vm, void *host_state)
{
    uint64_t exitcode;

    svm_vmsave(host_state);
    svm_vmload(vm->cpu.vmcb);
    exitcode = svm_run(&vm->cpu);
    svm_vmsave(vm->cpu.vmcb);
    svm_vmload(host_state);
    svm_set8(&vm->cpu, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    vm->exits++;
    return exitcode;
}

void schedule(struct vm vms[VM_COUNT])
{
    struct vm *vm = &vms[0];
    void *host_state = rom_pages(1);

    trap_set_handler(HOST_TIMER_VECTOR, timer_interrupt);
    interrupts_on();
    apic_timer_periodic(HOST_TIMER_VECTOR, SLICE_TICKS);
    while (vm != NULL) {
        bool yield = false;

        slice_over = false;
        while (!yield && !slice_over && !vm->finished)
            yield = handle_exit(vm, run_slice(vm, host_state));
        vm = next_guest(vms, vm);
    }
    apic_timer_stop();
    interrupts_off();
    rom_printf("[host] no guest is left\n");
}

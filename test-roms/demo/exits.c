/* exits.c: what the hypervisor does for each #VMEXIT. APM vol 2, 15.6 "#VMEXIT" and appendix C.
 *
 * All exits here but INTR leave RIP at the instruction that caused them. A handler that has done the
 * instruction's work moves RIP behind it with svm_skip(): by nRIP where the processor stores it, by
 * the known length of the instruction otherwise. */
#include "test-roms/demo/demo.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define CPUID_BYTES 2u
#define HLT_BYTES 1u
#define MSR_BYTES 2u
#define VMMCALL_BYTES 3u

#define CPUID_HYPERVISOR_LEAF 0x40000000u

/* The guest's RAX is in the VMCB; the low half of RDX:RAX and friends are 32-bit registers here. */
static uint32_t eax_of(const struct vm *vm)
{
    return svm_get32(&vm->cpu, VMCB_RAX);
}

/* Collect characters and print whole lines, so that lines of different guests do not mix. */
static void console_put(struct vm *vm, char c)
{
    if (c != '\n' && vm->line_length < sizeof vm->line - 1) {
        vm->line[vm->line_length++] = c;
        return;
    }
    vm->line[vm->line_length] = '\0';
    rom_printf("[%s] %s\n", vm->name, vm->line);
    vm->line_length = 0;
}

static bool exit_cpuid(struct vm *vm)
{
    struct cpuid_result r;
    uint32_t leaf = eax_of(vm);

    vm->cpuids++;
    if (leaf == CPUID_HYPERVISOR_LEAF) /* "PacificaDemo" */
        r = (struct cpuid_result){ leaf, 0x69636150, 0x61636966, 0x6f6d6544 };
    else
        r = cpuid(leaf, (uint32_t)vm->cpu.rcx);
    svm_set(&vm->cpu, VMCB_RAX, r.eax);
    vm->cpu.rbx = r.ebx;
    vm->cpu.rcx = r.ecx;
    vm->cpu.rdx = r.edx;
    rom_printf("[host] %s: CPUID %x\n", vm->name, leaf);
    svm_skip(&vm->cpu, CPUID_BYTES);
    return false;
}

/* EXITINFO1 describes the access, EXITINFO2 is the RIP behind the instruction (15.10.2). */
static bool exit_ioio(struct vm *vm)
{
    uint64_t info = svm_get(&vm->cpu, VMCB_EXITINFO1);

    vm->ios++;
    if (info >> IOIO_PORT_SHIFT == GUEST_CONSOLE_PORT && (info & IOIO_IN) == 0)
        console_put(vm, (char)eax_of(vm));
    svm_set(&vm->cpu, VMCB_RIP, svm_get(&vm->cpu, VMCB_EXITINFO2));
    return false;
}

static bool exit_msr(struct vm *vm)
{
    bool write = svm_get(&vm->cpu, VMCB_EXITINFO1) != 0;

    vm->msrs++;
    if (write)
        vm->msr = vm->cpu.rdx << 32 | eax_of(vm);
    else
        svm_set(&vm->cpu, VMCB_RAX, (uint32_t)vm->msr);
    if (!write)
        vm->cpu.rdx = vm->msr >> 32;
    rom_printf("[host] %s: %s of MSR %lx, value %lu\n", vm->name, write ? "WRMSR" : "RDMSR",
               vm->cpu.rcx, vm->msr);
    svm_skip(&vm->cpu, MSR_BYTES);
    return false;
}

/* EXITINFO2 is the guest physical address. The instruction runs again when the page is there. */
static bool exit_npf(struct vm *vm)
{
    uint64_t gpa = svm_get(&vm->cpu, VMCB_EXITINFO2);
    uint64_t error = svm_get(&vm->cpu, VMCB_EXITINFO1);

    vm->faults++;
    rom_printf("[host] %s: nested page fault, %s of guest physical address %lx\n", vm->name,
               (error & 2) != 0 ? "write" : "read", gpa);
    if (gpa >> 12 != GUEST_LAZY_GPA >> 12 || vm->faults > 1) {
        vm->finished = true;
        vm->exits = 0; /* counts as stopped */
        return true;
    }
    vm_map_lazy_page(vm, gpa);
    return false;
}

static bool exit_hlt(struct vm *vm)
{
    vm->halts++;
    rom_printf("[host] %s: HLT, the other guest may run\n", vm->name);
    svm_skip(&vm->cpu, HLT_BYTES);
    return true;
}

static bool exit_vmmcall(struct vm *vm)
{
    vm->calls++;
    svm_skip(&vm->cpu, VMMCALL_BYTES);
    if (eax_of(vm) == CALL_DONE) {
        vm->finished = true;
        vm->result = (uint32_t)vm->cpu.rbx;
        rom_printf("[host] %s: VMMCALL, finished with %u\n", vm->name, vm->result);
    } else {
        rom_printf("[host] %s: VMMCALL, gives its time away\n", vm->name);
    }
    return true;
}

/* The time slice may be over: run_slice() has let the host take its interrupt. The first time a guest has been interrupted while it accepts interrupts
 * itself, it gets one from us: EVENTINJ is delivered by the next VMRUN (15.20 "Event Injection"). */
static bool exit_intr(struct vm *vm)
{
    vm->ticks++;
    if (!vm->injected && (svm_get(&vm->cpu, VMCB_RFLAGS) & RFLAGS_IF) != 0) {
        vm->injected = true;
        svm_set(&vm->cpu, VMCB_EVENTINJ, EVENT_V | EVENT_INTR | GUEST_INTERRUPT_VECTOR);
        rom_printf("[host] %s: time slice over, injecting interrupt %x\n", vm->name,
                   GUEST_INTERRUPT_VECTOR);
    }
    return false; /* the scheduler knows from the interrupt itself */
}

bool handle_exit(struct vm *vm, uint64_t exitcode)
{
    switch (exitcode) {
    case VMEXIT_INTR: return exit_intr(vm);
    case VMEXIT_CPUID: return exit_cpuid(vm);
    case VMEXIT_IOIO: return exit_ioio(vm);
    case VMEXIT_MSR: return exit_msr(vm);
    case VMEXIT_NPF: return exit_npf(vm);
    case VMEXIT_HLT: return exit_hlt(vm);
    case VMEXIT_VMMCALL: return exit_vmmcall(vm);
    default: /* SHUTDOWN, INVALID: nothing that this guest could go on from */
        rom_printf("[host] %s: exit code %lx, stopped\n", vm->name, exitcode);
        vm->finished = true;
        vm->exits = 0;
        return true;
    }
}

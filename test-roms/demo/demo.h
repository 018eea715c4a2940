/* demo.h: what the files of the demonstration hypervisor share.
 *
 * Read in this order:
 *   main.c      the life of the hypervisor, from start to summary
 *   guests.S    the two guests: what they do and which exits that causes
 *   vm.c        making a virtual machine: VMCB, nested page tables, permission maps
 *   schedule.c  the run loop: timer, VMRUN, which guest is next
 *   exits.c     one function for each kind of #VMEXIT
 * The rest (serial port, interrupts, VMRUN wrapper) comes from test-roms/lib. */
#ifndef TEST_ROMS_DEMO_DEMO_H
#define TEST_ROMS_DEMO_DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "test-roms/lib/svm.h"

#define VM_COUNT 2u

/* Guest physical memory: 64 KiB from 0 on. Both guests are linked to run at GUEST_CODE_GPA, and
 * nested paging gives each its own memory behind the same addresses. */
#define GUEST_RAM_BYTES 0x10000u
#define GUEST_CODE_GPA 0x1000u
#define GUEST_STACK_GPA 0x8000u
/* One page above that is given to a guest when it first touches it. */
#define GUEST_LAZY_GPA 0x40000u

/* The port on which a guest prints a character, and one that is not intercepted. */
#define GUEST_CONSOLE_PORT 0xe9u

/* An MSR that exists only in the hypervisor's imagination. RDMSR gives a value, WRMSR stores it. */
#define DEMO_MSR 0xc0001234u

/* VMMCALL: function in EAX. */
#define CALL_DONE 1u  /* the guest has finished; EBX = its result */
#define CALL_YIELD 2u /* let the other guest run */

/* Vector of the interrupt that the hypervisor injects, and of the host's timer. */
#define GUEST_INTERRUPT_VECTOR 0x30u
#define HOST_TIMER_VECTOR 0x40u

struct vm {
    const char *name;
    struct svm_guest cpu;  /* VMCB and registers */
    uint8_t *ram;          /* the GUEST_RAM_BYTES, as the host sees them */
    uint64_t *nested_root; /* N_CR3 */
    uint64_t msr;          /* its DEMO_MSR */
    char line[80];         /* characters of an unfinished output line */
    uint32_t line_length;
    bool finished;
    uint32_t result;
    uint32_t exits; /* #VMEXITs in all, and some kinds of them */
    uint32_t ticks, cpuids, ios, msrs, faults, halts, calls;
    bool injected; /* the one interrupt has been injected */
};

/* vm.c */
void vm_create(struct vm *vm, const char *name, uint32_t asid, const char *code,
               const char *code_end);
void vm_map_lazy_page(struct vm *vm, uint64_t gpa);
bool vm_rejected(void);

/* schedule.c */
void schedule(struct vm vms[VM_COUNT]);

/* exits.c. Returns true if the other guest should run now. */
bool handle_exit(struct vm *vm, uint64_t exitcode);

/* guests.S */
extern const char guest_hello[], guest_hello_end[];
extern const char guest_worker[], guest_worker_end[];

#endif

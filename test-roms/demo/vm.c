/* vm.c: making a virtual machine.
 * APM vol 2: 15.5 "VMRUN Instruction", 15.10 "IOIO Intercepts", 15.11 "MSR Intercepts",
 * 15.25 "Nested Paging". */
#include "test-roms/demo/demo.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"

#define IOPM_PAGES 3u  /* one bit a port, and three more for accesses that run over the end */
#define MSRPM_PAGES 2u /* two bits an MSR: even RDMSR, odd WRMSR */

/* Intercept a port: set its bit in the I/O permission map. */
static void intercept_port(uint8_t *iopm, unsigned port)
{
    iopm[port / 8] |= (uint8_t)(1u << port % 8);
}

/* Intercept reads and writes of an MSR of the range C000_0000h-C000_1FFFh, whose bits begin at byte
 * 800h of the map. */
static void intercept_msr(uint8_t *msrpm, uint32_t msr)
{
    uint32_t bit = (msr - 0xc0000000u) * 2;

    msrpm[0x800 + bit / 8] |= (uint8_t)(3u << bit % 8);
}

/* The guest's RAM: nested entries from guest physical to system physical addresses. Nested accesses
 * count as user accesses, so U/S must be 1 at every level. */
static void map_ram(struct vm *vm)
{
    vm->nested_root = paging_new_root();
    vm->ram = rom_pages(GUEST_RAM_BYTES / PAGE_4K);
    for (uint64_t gpa = 0; gpa < GUEST_RAM_BYTES; gpa += PAGE_4K)
        paging_map(vm->nested_root, gpa, (uintptr_t)vm->ram + gpa, PAGE_4K,
                   PAGE_P | PAGE_W | PAGE_U);
}

/* Give the guest a page that it has touched. The entry was not present, and the TLB does not keep
 * such entries, so no flush is needed. */
void vm_map_lazy_page(struct vm *vm, uint64_t gpa)
{
    paging_map(vm->nested_root, gpa & ~(PAGE_4K - 1), (uintptr_t)rom_pages(1), PAGE_4K,
               PAGE_P | PAGE_W | PAGE_U);
}

/* The state in which the guest begins: 32-bit protected mode, flat segments, paging off. */
static void set_initial_state(struct svm_guest *g)
{
    svm_set_segment(g, VMCB_CS, 0x08, SEGMENT_CODE32, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_SS, 0x10, SEGMENT_DATA, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_DS, 0x10, SEGMENT_DATA, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_ES, 0x10, SEGMENT_DATA, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_IDTR, 0, 0, 0, 0);
    svm_set(g, VMCB_CR0, CR0_PE | CR0_ET | CR0_NE);
    svm_set(g, VMCB_CR3, 0);
    svm_set(g, VMCB_CR4, 0);
    svm_set(g, VMCB_EFER, EFER_SVME); /* must be 1 in a guest too */
}

/* A GDT in guest memory: its interrupt handler reloads CS from it. */
static void write_gdt(struct vm *vm)
{
    uint64_t gdt[3] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };

    memcpy(vm->ram + 0xb000, gdt, sizeof gdt);
    svm_set_segment(&vm->cpu, VMCB_GDTR, 0, 0, sizeof gdt - 1, 0xb000);
}

void vm_create(struct vm *vm, const char *name, uint32_t asid, const char *code,
               const char *code_end)
{
    uint8_t *iopm = rom_pages(IOPM_PAGES);
    uint8_t *msrpm = rom_pages(MSRPM_PAGES);
    struct svm_guest *g = &vm->cpu;

    vm->name = name;
    map_ram(vm);
    memcpy(vm->ram + GUEST_CODE_GPA, code, (size_t)(code_end - code));
    intercept_port(iopm, GUEST_CONSOLE_PORT);
    intercept_msr(msrpm, DEMO_MSR);

    svm_guest_init(g, GUEST_CODE_GPA, GUEST_STACK_GPA, asid);
    set_initial_state(g);
    write_gdt(vm);
    svm_set_nested(g, vm->nested_root);
    svm_set(g, VMCB_IOPM_BASE_PA, (uintptr_t)iopm);
    svm_set(g, VMCB_MSRPM_BASE_PA, (uintptr_t)msrpm);
    svm_intercept(g, VMCB_INTERCEPT_3,
                  INTERCEPT3_INTR | INTERCEPT3_CPUID | INTERCEPT3_HLT | INTERCEPT3_IOIO_PROT |
                      INTERCEPT3_MSR_PROT | INTERCEPT3_SHUTDOWN);
    /* Physical interrupts are the host's business: the host's RFLAGS.IF decides about them, not the
     * guest's (15.21.1 "V_INTR_MASKING"). */
    svm_set(g, VMCB_VINTR, VINTR_V_INTR_MASKING);
    g->host_if = true;
    /* An ASID that was never used needs no flush; a careful hypervisor flushes all the same. */
    svm_set8(g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    rom_printf("[host] guest \"%s\": ASID %u, %u KiB of memory, %u bytes of code\n", name, asid,
               GUEST_RAM_BYTES / 1024, (unsigned)(code_end - code));
}

/* Try to run a guest with ASID 0, which belongs to the host. VMRUN must refuse it. */
bool vm_rejected(void)
{
    struct svm_guest g = { .vmcb = NULL };
    uint64_t exitcode;

    svm_guest_init(&g, GUEST_CODE_GPA, GUEST_STACK_GPA, 0);
    exitcode = svm_run(&g);
    rom_printf("[host] VMRUN with ASID 0: %s\n", (uint32_t)exitcode == (uint32_t)VMEXIT_INVALID
                                                     ? "VMEXIT_INVALID, as it should be"
                                                     : "accepted, which is wrong");
    return (uint32_t)exitcode == (uint32_t)VMEXIT_INVALID;
}

/* avic_kit.h: what the tests of AVIC share: backing pages, tables, registers. APM vol 2, 15.29. */
#ifndef TEST_ROMS_SVM_AVIC_KIT_H
#define TEST_ROMS_SVM_AVIC_KIT_H

#include "test-roms/lib/apic.h"
#include "test-roms/svm/kit.h"

#define VMCB_AVIC_APIC_BAR 0x098
#define VMCB_AVIC_BACKING_PAGE 0x0e0
#define VMCB_AVIC_LOGICAL_TABLE 0x0f0
#define VMCB_AVIC_PHYSICAL_TABLE 0x0f8
#define VINTR_X2AVIC_ENABLE (UINT64_C(1) << 30)
#define VINTR_AVIC_ENABLE (UINT64_C(1) << 31)
#define SVM_FEATURE_AVIC (1u << 13)
#define SVM_FEATURE_X2AVIC (1u << 18)
#define SVM_FEATURE_EXT_LVT_AVIC (1u << 27)
#define VMEXIT_AVIC_INCOMPLETE_IPI UINT64_C(0x401)
#define VMEXIT_AVIC_NOACCEL UINT64_C(0x402)
#define NOACCEL_WRITE (UINT64_C(1) << 32)
#define MSR_AVIC_DOORBELL 0xc001011bu

#define ENTRY_VALID (UINT64_C(1) << 63)
#define ENTRY_RUNNING (UINT64_C(1) << 62)
#define LOGICAL_VALID 0x80000000u

/* One virtual machine. */
struct avic_vm {
    uint64_t *physical;
    uint32_t *logical;
    uint32_t *page[4]; /* backing pages of its virtual processors */
    uint64_t last;     /* MAX_INDEX */
};

static inline uint32_t avic_get(const struct avic_vm *vm, unsigned n, unsigned reg)
{
    return *(volatile uint32_t *)(vm->page[n] + reg / 4);
}

static inline void avic_put(const struct avic_vm *vm, unsigned n, unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(vm->page[n] + reg / 4) = value;
}

static inline bool avic_bit(const struct avic_vm *vm, unsigned n, unsigned reg, unsigned vector)
{
    return avic_get(vm, n, reg + vector / 32 * 16) >> vector % 32 & 1;
}

/* As an IOMMU does it. */
static inline void avic_post(const struct avic_vm *vm, unsigned n, unsigned vector)
{
    uint32_t *irr = vm->page[n] + (APIC_IRR + vector / 32 * 16) / 4;

    __asm__ volatile("lock orl %1, %0" : "+m"(*irr) : "r"(1u << vector % 32) : "memory");
}

/* Registers as after reset, but for TPR, ISR, IRR, TMR: all 0. Virtual processor n is not running. */
static inline void avic_reset(struct avic_vm *vm, unsigned count)
{
    if (vm->physical == NULL) {
        vm->physical = rom_pages(1);
        vm->logical = rom_pages(1);
        for (unsigned n = 0; n < count; n++)
            vm->page[n] = rom_pages(1);
    }
    vm->last = count - 1;
    for (unsigned n = 0; n < count; n++) {
        memset(vm->page[n], 0, 4096);
        avic_put(vm, n, APIC_ID, n << 24);
        avic_put(vm, n, APIC_VERSION, 0x50010);
        avic_put(vm, n, APIC_DFR, 0xffffffffu);
        avic_put(vm, n, APIC_SVR, 0x1ff);
        vm->physical[n] = ENTRY_VALID | (uintptr_t)vm->page[n];
        vm->logical[n] = LOGICAL_VALID | n;
    }
}

/* Virtual processor n runs on the host's processor `id`. */
static inline void avic_running(struct avic_vm *vm, unsigned n, unsigned id)
{
    vm->physical[n] = ENTRY_VALID | ENTRY_RUNNING | (uintptr_t)vm->page[n] | id;
}

/* g is its virtual processor n. */
static inline void avic_guest(const struct avic_vm *vm, unsigned n, struct svm_guest *g,
                              const void *nested, uint64_t enables)
{
    svm_set_nested(g, nested);
    svm_set(g, VMCB_VINTR, enables);
    svm_set(g, VMCB_AVIC_APIC_BAR, APIC_BASE_SPA);
    svm_set(g, VMCB_AVIC_BACKING_PAGE, (uintptr_t)vm->page[n]);
    svm_set(g, VMCB_AVIC_LOGICAL_TABLE, (uintptr_t)vm->logical);
    svm_set(g, VMCB_AVIC_PHYSICAL_TABLE, (uintptr_t)vm->physical | vm->last);
}

#endif

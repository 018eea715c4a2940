/* VMLOAD and VMSAVE: the guest state that VMRUN and #VMEXIT leave alone.
 * APM vol 2, 15.5.2 "VMSAVE and VMLOAD Instructions". */
#include "svm/world.h"

#define MOVE_MOVED SVM_LOAD_ROW
static void load(struct vcpu *cpu, const uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

#define MOVE_MOVED SVM_STORE_ROW
static void save(const struct vcpu *cpu, uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

void svm_vmload(struct vcpu *cpu, uint64_t vmcb_spa)
{
    struct svm_page page = svm_page_open(cpu, vmcb_spa);
    uint8_t storage[VMCB_PAGE_BYTES];
    if (EMU_UNLIKELY(!page.ptr)) {
        cpu_guest_error(cpu, "VMLOAD: %#llx is not RAM", (unsigned long long)vmcb_spa);
        svm_page_copy(cpu, &page, storage);
    }
    load(cpu, page.ptr);
}

void svm_vmsave(struct vcpu *cpu, uint64_t vmcb_spa)
{
    struct svm_page page = svm_page_open(cpu, vmcb_spa);
    uint8_t storage[VMCB_PAGE_BYTES];
    if (EMU_UNLIKELY(!page.ptr)) {
        cpu_guest_error(cpu, "VMSAVE: %#llx is not RAM", (unsigned long long)vmcb_spa);
        svm_page_copy(cpu, &page, storage);
    }
    save(cpu, page.ptr);
    svm_page_written(cpu, &page, VMCB_AT_FS_SEL, VMCB_AT_SYSENTER_EIP + 8);
}

/* A guest without tables of its own, walked through the nested ones: a read by VMLOAD, a write by VMSAVE. */
struct walk_result svm_vmload_walk(struct vcpu *cpu, uint64_t gpa, bool save)
{
    const struct svm_state *svm = cpu->svm;
    const struct walk_regime regime = { .mode = WALK_NONE,
                                        .asid = svm->asid,
                                        .maxphyaddr = svm->model.maxphyaddr,
                                        .page_1gb = svm->model.page_1gb,
                                        .nested = &svm->host_regime };
    return walk(cpu->memory, &regime, gpa,
                (struct access){ .kind = save ? ACCESS_WRITE : ACCESS_READ }, true);
}

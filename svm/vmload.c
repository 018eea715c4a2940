/* VMLOAD and VMSAVE: the guest state that VMRUN and #VMEXIT leave alone.
 * APM vol 2, 15.5.2 "VMSAVE and VMLOAD Instructions". */
#include "svm/world.h"

/* VMCB field, member of struct cpu_msrs */
#define MOVED_MSRS(X)                 \
    X(STAR, star)                     \
    X(LSTAR, lstar)                   \
    X(CSTAR, cstar)                   \
    X(SFMASK, sfmask)                 \
    X(KERNEL_GS_BASE, kernel_gs_base) \
    X(SYSENTER_CS, sysenter_cs)       \
    X(SYSENTER_ESP, sysenter_esp)     \
    X(SYSENTER_EIP, sysenter_eip)

static struct segment load_segment(const struct vcpu *cpu, const uint8_t *vmcb, unsigned offset)
{
    struct segment seg = vmcb_load_segment(vmcb, offset);
    seg.base = vmcb_canonical(seg.base, cpu->svm->model.linear_bits);
    return seg;
}

static void load(struct vcpu *cpu, const uint8_t *vmcb)
{
    struct cpu_regs *regs = &cpu->regs;
    regs->seg[SEG_FS] = load_segment(cpu, vmcb, VMCB_AT_FS_SEL);
    regs->seg[SEG_GS] = load_segment(cpu, vmcb, VMCB_AT_GS_SEL);
    regs->seg[SEG_LDTR] = load_segment(cpu, vmcb, VMCB_AT_LDTR_SEL);
    regs->seg[SEG_TR] = load_segment(cpu, vmcb, VMCB_AT_TR_SEL);
#define X(field, member) cpu->msr.member = VMCB_GET(vmcb, field);
    MOVED_MSRS(X)
#undef X
    /* It becomes a segment base with SWAPGS. */
    cpu->msr.kernel_gs_base = vmcb_canonical(cpu->msr.kernel_gs_base, cpu->svm->model.linear_bits);
}

static void save(const struct vcpu *cpu, uint8_t *vmcb)
{
    const struct cpu_regs *regs = &cpu->regs;
    vmcb_store_segment(vmcb, VMCB_AT_FS_SEL, &regs->seg[SEG_FS]);
    vmcb_store_segment(vmcb, VMCB_AT_GS_SEL, &regs->seg[SEG_GS]);
    vmcb_store_segment(vmcb, VMCB_AT_LDTR_SEL, &regs->seg[SEG_LDTR]);
    vmcb_store_segment(vmcb, VMCB_AT_TR_SEL, &regs->seg[SEG_TR]);
#define X(field, member) VMCB_SET(vmcb, field, cpu->msr.member);
    MOVED_MSRS(X)
#undef X
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

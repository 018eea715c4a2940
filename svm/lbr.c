/* LBR virtualization. The host's values use the fields of the host save page that lie where a VMCB has the guest's, as all of
 * the host's state does. */
#include "svm/lbr.h"

static void store(const struct vcpu *cpu, uint8_t *page)
{
    VMCB_SET(page, DBGCTL, cpu->msr.debugctl);
    VMCB_SET(page, BR_FROM, cpu->msr.last_branch[0]);
    VMCB_SET(page, BR_TO, cpu->msr.last_branch[1]);
    VMCB_SET(page, LASTEXCPFROM, cpu->msr.last_branch[2]);
    VMCB_SET(page, LASTEXCPTO, cpu->msr.last_branch[3]);
}

/* CHOICE: bits of DBGCTL that the processor does not have are dropped; the manual has no rule that refuses them. */
static void load(struct vcpu *cpu, const uint8_t *page)
{
    cpu->msr.debugctl = VMCB_GET(page, DBGCTL) & (DEBUGCTL_LBR | DEBUGCTL_BTF);
    cpu->msr.last_branch[0] = VMCB_GET(page, BR_FROM);
    cpu->msr.last_branch[1] = VMCB_GET(page, BR_TO);
    cpu->msr.last_branch[2] = VMCB_GET(page, LASTEXCPFROM);
    cpu->msr.last_branch[3] = VMCB_GET(page, LASTEXCPTO);
}

static void store_in(struct vcpu *cpu, const struct svm_page *page)
{
    store(cpu, page->ptr);
    svm_page_written(cpu, page, VMCB_AT_DBGCTL, VMCB_AT_LASTEXCPTO + VMCB_BYTES_LASTEXCPTO);
}

void svm_lbr_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave)
{
    store_in(cpu, hsave);
    load(cpu, vmcb);
}

void svm_lbr_leave(struct vcpu *cpu, const struct svm_page *vmcb, const struct svm_page *hsave)
{
    store_in(cpu, vmcb);
    load(cpu, hsave->ptr);
}

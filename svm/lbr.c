/* LBR virtualization. The host's values use the fields of the host save page that lie where a VMCB has the guest's, as all of
 * the host's state does. CHOICE: bits of DBGCTL that the processor does not have are dropped; the manual has no rule that
 * refuses them. */
#include "svm/lbr.h"

#define MOVE_LBR SVM_LOAD_ROW
static void load(struct vcpu *cpu, const uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

#define MOVE_LBR SVM_STORE_ROW
static void store(struct vcpu *cpu, const struct svm_page *to)
{
    uint8_t *page = to->ptr;
#include "svm/vmcb_rows.h"
    svm_page_written(cpu, to, VMCB_AT_DBGCTL, VMCB_AT_LASTEXCPTO + VMCB_BYTES_LASTEXCPTO);
}

void svm_lbr_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave)
{
    store(cpu, hsave);
    load(cpu, vmcb);
}

void svm_lbr_leave(struct vcpu *cpu, const struct svm_page *vmcb, const struct svm_page *hsave)
{
    store(cpu, vmcb);
    load(cpu, hsave->ptr);
}

/* The registers of shadow stacks at a world switch: the rows of svm/vmcb_fields.def with use SHADOW. */
#include "svm/shadow.h"

#define MOVE_SHADOW SVM_STORE_ROW
static void store(const struct vcpu *cpu, uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

#define MOVE_SHADOW SVM_LOAD_ROW
static void load(struct vcpu *cpu, const uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

static void store_in(struct vcpu *cpu, const struct svm_page *page)
{
    store(cpu, page->ptr);
    svm_page_written(cpu, page, VMCB_AT_S_CET, VMCB_AT_ISST_ADDR + VMCB_BYTES_ISST_ADDR);
}

static void store_host(struct vcpu *cpu, const struct svm_page *hsave)
{
    store_in(cpu, hsave);
    cpu->svm->swaps |= SVM_SWAP_SHADOW;
}

void svm_shadow_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave)
{
    if (!cpu->svm->model.shadow_stacks)
        return;
    store_host(cpu, hsave);
    load(cpu, vmcb);
}

void svm_shadow_leave(struct vcpu *cpu, const struct svm_page *vmcb, const struct svm_page *hsave)
{
    if (!cpu->svm->model.shadow_stacks)
        return;
    store_in(cpu, vmcb);
    if (!(cpu->svm->swaps & SVM_SWAP_SHADOW)) { /* VMRUN found zeros and has not saved them */
        cpu->shadow.s_cet = cpu->shadow.ssp = cpu->shadow.isst = 0;
        store_host(cpu, hsave);
    }
    load(cpu, hsave->ptr);
}

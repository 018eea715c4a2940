/* PMC virtualization.
 *
 * CHOICE: what becomes of the host's registers the manual says for encrypted guests only (tables B-3 and B-4, "Swap Type"), and all
 * guests are treated alike here: IRPERF and the global status go to the host save page and come back (type A), PERF_CTL,
 * PERF_CTR and the global control are not saved and are as after RESET behind #VMEXIT (type C). */
#include "svm/pmc.h"

#include "svm/avic.h"
#include "svm/vintr.h"

#define MOVE_PMC SVM_LOAD_ROW
#define MOVE_PMC_WORLD SVM_LOAD_ROW
static void load(struct vcpu *cpu, const uint8_t *page)
{
#include "svm/vmcb_rows.h"
}

#define MOVE_PMC_WORLD SVM_LOAD_ROW
static void load_host(struct vcpu *cpu, const uint8_t *page)
{
    memset(cpu->msr.perf_ctl, 0, sizeof(cpu->msr.perf_ctl));
    memset(cpu->msr.perf_ctr, 0, sizeof(cpu->msr.perf_ctr));
    cpu->msr.perf_global_ctl = PERF_GLOBAL_CTL_RESET;
#include "svm/vmcb_rows.h"
}

/* What was done so far counts for those whose counters are still in place. */
static void settle(struct vcpu *cpu)
{
    if (count_settle(cpu))
        svm_pmc_overflow(cpu);
}

#define STORE_PERF_CTL SVM_STORE_ROW
#define STORE_PERF_CTR SVM_STORE_ROW
#define STORE_IRPERF(name, home, how) \
    VMCB_SET(page, name, cpu->home + count_clock_base(cpu, PERF_IRPERF));
#define STORE_PERF_STATUS(name, home, how) \
    if (cpu->svm->model.perfmon_v2)        \
        VMCB_SET(page, name, cpu->home);
#define STORE_PERF_GLOBAL STORE_PERF_STATUS

#define MOVE_PMC_WORLD(name, home, how) STORE_##how(name, home, how)
static void store_host(struct vcpu *cpu, const struct svm_page *hsave)
{
    uint8_t *page = hsave->ptr;
#include "svm/vmcb_rows.h"
    svm_page_written(cpu, hsave, VMCB_AT_INSTR_RETIRED_CTR,
                     VMCB_AT_PERF_CTR_GLOBAL_STS + VMCB_BYTES_PERF_CTR_GLOBAL_STS);
}

#define MOVE_PMC(name, home, how) STORE_##how(name, home, how)
#define MOVE_PMC_WORLD(name, home, how) STORE_##how(name, home, how)
static void store(struct vcpu *cpu, const struct svm_page *vmcb)
{
    uint8_t *page = vmcb->ptr;
#include "svm/vmcb_rows.h"
    svm_page_written(cpu, vmcb, VMCB_AT_PERF_CTL0, VMCB_AT_PERF_CTR5 + VMCB_BYTES_PERF_CTR5);
    svm_page_written(cpu, vmcb, VMCB_AT_INSTR_RETIRED_CTR,
                     VMCB_AT_PERF_CTR_GLOBAL_CTL + VMCB_BYTES_PERF_CTR_GLOBAL_CTL);
}

void svm_pmc_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave)
{
    unsigned itself = cpu->msr.hwcr & HWCR_IRPERF_EN ? 1 : 0; /* VMRUN retires in the host */
    settle(cpu);
    cpu->msr.irperf += itself;
    store_host(cpu, hsave);
    load(cpu, vmcb);
    cpu->msr.irperf -= itself;
    count_anew(cpu);
}

void svm_pmc_leave(struct vcpu *cpu, const struct svm_page *vmcb, const struct svm_page *hsave)
{
    settle(cpu);
    store(cpu, vmcb);
    load_host(cpu, hsave->ptr);
    count_anew(cpu);
}

/* --- overflow --- */

static void interrupt_guest(struct vcpu *cpu)
{
    if (cpu->svm->avic.on)
        svm_avic_perf(cpu);
    else
        svm_raise_vnmi(cpu);
}

static void interrupt_host(struct vcpu *cpu)
{
    if (!cpu->intc || !cpu->intc->perf_overflow)
        return;
    cpu->intc->perf_overflow(cpu->intc_self);
    cpu_attention(cpu);
}

/* CHOICE: the counters of a guest that SMM has interrupted count on, and what overflows there interrupts nobody. */
void svm_pmc_overflow(struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    if (svm->guest && (svm->swaps & VIRT_PMC_ENABLE))
        interrupt_guest(cpu);
    else if (!svm->suspended.valid || !(svm->suspended.swaps & VIRT_PMC_ENABLE))
        interrupt_host(cpu);
}

/* Guests that SMM or INIT interrupts. APM vol 2, 15.22.3 "Containerizing Platform SMM", 15.21.8 "INIT Support".
 *
 * CHOICE: the control area is kept inside the processor from SMI to RSM and not read from the VMCB again: the manual has
 * RSM return to the guest's context, whatever anybody did to the VMCB meanwhile. */
#include "svm/avic.h"
#include "svm/pause.h"
#include "svm/world.h"

void svm_suspend(struct vcpu *cpu)
{
    struct svm_state *svm = cpu->svm;
    struct svm_suspended *to = &svm->suspended;
    *to = (struct svm_suspended){ .valid = true,
                                  .nested_paging = svm->nested_paging,
                                  .v_intr_masking = svm->v_intr_masking,
                                  .v_irq = svm->v_irq,
                                  .v_ign_tpr = svm->v_ign_tpr,
                                  .host_if = svm->host_if,
                                  .tlbi = svm->tlbi,
                                  .swaps = svm->swaps,
                                  .vmload = svm->vmload,
                                  .v_tpr = svm->v_tpr,
                                  .v_intr_prio = svm->v_intr_prio,
                                  .v_intr_vector = svm->v_intr_vector,
                                  .cpl = cpu->regs.cpl,
                                  .asid = svm->asid,
                                  .v_ctl = svm->v_ctl,
                                  .vmcb_spa = svm->vmcb_spa,
                                  .iopm_spa = svm->iopm_spa,
                                  .msrpm_spa = svm->msrpm_spa,
                                  .tsc_offset = svm->tsc_offset,
                                  .n_cr3 = svm->n_cr3,
                                  .g_pat = svm->g_pat,
                                  .host_pat = svm->host_pat,
                                  .host_cr0 = svm->host_cr0,
                                  .spec_ctrl = svm->spec_ctrl,
                                  .bus_locks = svm->bus_locks,
                                  .host_regime = svm->host_regime,
                                  .avic = svm->avic };
    memcpy(to->intercept, svm->intercept, sizeof(to->intercept));
    svm_leave_guest(svm);
    svm->gif = true;
    cpu->context_stale = true;
}

void svm_resume(struct vcpu *cpu)
{
    struct svm_state *svm = cpu->svm;
    struct svm_suspended *from = &svm->suspended;
    svm->nested_paging = from->nested_paging;
    svm->v_intr_masking = from->v_intr_masking;
    svm->v_irq = from->v_irq;
    svm->v_ign_tpr = from->v_ign_tpr;
    svm->host_if = from->host_if;
    svm->tlbi = from->tlbi;
    svm->swaps = from->swaps;
    svm->vmload = from->vmload;
    svm->v_tpr = from->v_tpr;
    svm->v_intr_prio = from->v_intr_prio;
    svm->v_intr_vector = from->v_intr_vector;
    svm->asid = from->asid;
    svm->v_ctl = from->v_ctl;
    svm->vmcb_spa = from->vmcb_spa;
    svm->iopm_spa = from->iopm_spa;
    svm->msrpm_spa = from->msrpm_spa;
    svm->tsc_offset = from->tsc_offset;
    svm->n_cr3 = from->n_cr3;
    svm->g_pat = from->g_pat;
    svm->host_pat = from->host_pat;
    svm->host_cr0 = from->host_cr0;
    svm->spec_ctrl = from->spec_ctrl;
    svm->bus_locks = from->bus_locks;
    svm->host_regime = from->host_regime;
    svm_clean_forget(&svm->clean);
    memcpy(svm->intercept, from->intercept, sizeof(svm->intercept));
    svm_reload_pause(svm); /* APM vol 3, "PAUSE": SMI is one of the events that do */
    svm->inject.valid = false;
    svm->guest = true;
    svm->gif = true;
    from->valid = false;
    cpu->context_stale = true;
    svm->avic = from->avic;
    svm_avic_doorbell(cpu); /* those that rang meanwhile were not heard */
}

void svm_abandon(struct svm_state *svm)
{
    svm_leave_guest(svm);
    svm->suspended.valid = false;
    svm->gif = true;
}

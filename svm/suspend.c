/* Guests that SMM or INIT interrupts. APM vol 2, 15.22.3 "Containerizing Platform SMM", 15.21.8 "INIT Support".
 *
 * CHOICE: the control area is kept inside the processor from SMI to RSM and not read from the VMCB again: the manual has
 * RSM return to the guest's context, whatever anybody did to the VMCB meanwhile. */
#include "svm/avic.h"
#include "svm/pause.h"
#include "svm/world.h"

void svm_copy_guest(const struct svm_state *svm, struct svm_suspended *to)
{
#define SVM_GUEST(type, member, array) memcpy(&to->member, &svm->member, sizeof(to->member));
#include "svm/guest.def"
#undef SVM_GUEST
}

void svm_suspend(struct vcpu *cpu)
{
    struct svm_state *svm = cpu->svm;
    svm_copy_guest(svm, &svm->suspended);
    svm->suspended.cpl = cpu->regs.cpl;
    svm->suspended.valid = true;
    svm_leave_guest(svm);
    svm->gif = true;
    cpu->context_stale = true;
}

void svm_resume(struct vcpu *cpu)
{
    struct svm_state *svm = cpu->svm;
    struct svm_suspended *from = &svm->suspended;
#define SVM_GUEST(type, member, array) memcpy(&svm->member, &from->member, sizeof(svm->member));
#include "svm/guest.def"
#undef SVM_GUEST
    svm_clean_forget(&svm->clean);
    svm_reload_pause(svm); /* APM vol 3, "PAUSE": SMI is one of the events that do */
    svm->inject.valid = false;
    svm->guest = true;
    svm->gif = true;
    from->valid = false;
    cpu->context_stale = true;
    svm_avic_doorbell(cpu); /* those that rang meanwhile were not heard */
}

void svm_abandon(struct svm_state *svm)
{
    svm_leave_guest(svm);
    svm->suspended.valid = false;
    svm->gif = true;
}

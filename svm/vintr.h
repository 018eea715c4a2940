/* Virtual interrupts of a guest beside V_IRQ: virtual GIF, virtual NMI, and what of them HLT asks for.
 * APM vol 2, 15.33.2 "Virtual GIF (VGIF)", 15.21.10 "NMI Virtualization". */
#ifndef SVM_VINTR_H
#define SVM_VINTR_H

#include "svm/svm.h"
#include "svm/vmcb.h"

/* Does V_GIF hold virtual interrupts and virtual NMIs back? Without V_GIF_ENABLE only GIF does. */
static inline bool svm_vgif_closed(const struct svm_state *svm)
{
    return (svm->v_ctl & (VINTR_GIF_ENABLE | VINTR_GIF)) == VINTR_GIF_ENABLE;
}

/* STGI and CLGI that nothing intercepts: in a guest with V_GIF_ENABLE they move V_GIF, else GIF. */
static inline void svm_set_gif(struct vcpu *cpu, bool value)
{
    struct svm_state *svm = cpu->svm;
    if (!(svm->v_ctl & VINTR_GIF_ENABLE))
        svm->gif = value;
    else if (value)
        svm->v_ctl |= VINTR_GIF;
    else
        svm->v_ctl &= ~(uint32_t)VINTR_GIF;
}

/* Is a virtual NMI pending that neither V_NMI_MASK nor V_GIF holds back? GIF and the shadow are the caller's to ask. */
static inline bool svm_vnmi_open(const struct svm_state *svm)
{
    return (svm->v_ctl & (VINTR_NMI_ENABLE | VINTR_NMI | VINTR_NMI_MASK)) ==
               (VINTR_NMI_ENABLE | VINTR_NMI) &&
           !svm_vgif_closed(svm);
}

/* The processor itself makes a virtual NMI pending; without V_NMI_ENABLE nothing happens. */
static inline void svm_raise_vnmi(struct vcpu *cpu)
{
    if (!(cpu->svm->v_ctl & VINTR_NMI_ENABLE))
        return;
    cpu->svm->v_ctl |= VINTR_NMI;
    cpu_attention(cpu);
}

/* A virtual NMI is recognized: before its gate is looked up. */
static inline void svm_take_vnmi(struct svm_state *svm)
{
    svm->v_ctl = (svm->v_ctl & ~(uint32_t)VINTR_NMI) | (uint32_t)VINTR_NMI_MASK;
}

/* IRET completes: NMIs are open. CHOICE: a guest with V_NMI_ENABLE opens virtual NMIs only, since the masking state that it sees
 * is virtualized; the blocking of physical NMIs stays as the host left it. Without, it opens physical ones. */
static inline void svm_unmask_nmi(struct vcpu *cpu)
{
    if (EMU_UNLIKELY(cpu->svm->v_ctl & VINTR_NMI_ENABLE))
        cpu->svm->v_ctl &= ~(uint32_t)VINTR_NMI_MASK;
    else
        cpu->regs.nmi_masked = false;
}

/* Is a virtual interrupt or virtual NMI pending, whatever masks it? What the idle HLT intercept asks: APM vol 2, 15.9
 * "Instruction Intercepts". CHOICE: V_IRQ counts also while V_TPR, IF or V_GIF hold it, and V_NMI while V_NMI_MASK does: the
 * manual says "pending". With AVIC, which ignores V_IRQ, it is what the backing page has above its PPR. */
static inline bool svm_virtual_pending(const struct svm_state *svm)
{
    bool nmi = (svm->v_ctl & (VINTR_NMI_ENABLE | VINTR_NMI)) == (VINTR_NMI_ENABLE | VINTR_NMI);
    return nmi || (svm->avic.on ? svm->avic.vector != 0 : svm->v_irq);
}

/* Of the enables in a VMCB's qword at 060h, those that the processor has not got. */
uint64_t svm_vintr_absent(const struct svm_state *svm, uint64_t vintr);

/* VMRUN of a VMCB that has enables in the qword at 060h: take over what CPUID offers. */
void svm_load_vintr(struct svm_state *svm, uint64_t vintr);

/* #VMEXIT of such a guest: the qword with V_GIF, V_NMI and V_NMI_MASK as they are. `delivering`: the event that the exit
 * interrupts. */
uint64_t svm_save_vintr(const struct svm_state *svm, uint64_t vintr,
                        const struct event *delivering);

#endif

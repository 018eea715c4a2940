/* Virtual GIF and virtual NMI: VMRUN and #VMEXIT. */
#include "svm/vintr.h"

/* What a feature of CPUID Fn8000_000A EDX adds to the qword at 060h: its enable, and the state that goes with it. */
static const struct {
    uint32_t feature;
    uint32_t enable, state;
} rows[] = {
    { SVM_FEATURE_VGIF, VINTR_GIF_ENABLE, VINTR_GIF },
    { SVM_FEATURE_VNMI, VINTR_NMI_ENABLE, VINTR_NMI | VINTR_NMI_MASK },
    { SVM_FEATURE_X2AVIC, VINTR_X2AVIC_ENABLE, 0 },
    { SVM_FEATURE_AVIC, VINTR_AVIC_ENABLE, 0 },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

uint64_t svm_vintr_absent(const struct svm_state *svm, uint64_t vintr)
{
    uint64_t absent = vintr & VINTR_ENABLES;
    for (unsigned i = 0; i < ROWS; i++)
        if (svm->model.features & rows[i].feature)
            absent &= ~(uint64_t)rows[i].enable;
    return absent;
}

void svm_load_vintr(struct svm_state *svm, uint64_t vintr)
{
    svm->v_ctl = 0;
    for (unsigned i = 0; i < ROWS; i++)
        if ((svm->model.features & rows[i].feature) && (vintr & rows[i].enable))
            svm->v_ctl |= (uint32_t)vintr & (rows[i].enable | rows[i].state);
}

/* A virtual NMI whose delivery the exit interrupts is in EXITINTINFO and masks nothing yet: who injects it again sets V_NMI_MASK
 * by that. CHOICE: an NMI that EVENTINJ had injected is treated alike. */
uint64_t svm_save_vintr(const struct svm_state *svm, uint64_t vintr, const struct event *delivering)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (svm->v_ctl & rows[i].enable)
            vintr = (vintr & ~(uint64_t)rows[i].state) | (svm->v_ctl & rows[i].state);
    if ((svm->v_ctl & VINTR_NMI_ENABLE) && delivering->valid && delivering->type == EVENT_NMI)
        vintr &= ~(uint64_t)VINTR_NMI_MASK;
    return vintr;
}

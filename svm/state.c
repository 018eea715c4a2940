/* The SVM state of a vCPU. */
#include "svm/svm.h"

#include <stdlib.h>
#include <string.h>

#define CR4_ALL                                                                                   \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |     \
     CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_LA57 | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | \
     CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_CET)

#define EFER_ALL                                                                     \
    (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR | EFER_TCE | \
     EFER_MCOMMIT | EFER_INTWB | EFER_AIBRSE)

struct svm_state *svm_new(void)
{
    struct svm_state *svm = calloc(1, sizeof(*svm));
    if (!svm)
        return NULL;
    svm->model = (struct svm_model){ .cr4_valid = CR4_ALL,
                                     .efer_valid = EFER_ALL,
                                     .spec_ctrl_valid = 0x87,
                                     .features = SVM_FEATURES_OFFERED,
                                     .maxphyaddr = 48,
                                     .linear_bits = 57,
                                     .page_1gb = true,
                                     .shadow_stacks = true,
                                     .x2avic_ext = true,
                                     .perfmon_v2 = true };
    svm_reset(svm);
    return svm;
}

void svm_free(struct svm_state *svm)
{
    free(svm);
}

void svm_reset(struct svm_state *svm)
{
    *svm = (struct svm_state){ .gif = true, .model = svm->model };
}

void svm_set_insn_bytes(struct vcpu *cpu, const uint8_t *bytes, unsigned count)
{
    struct svm_state *svm = cpu->svm;
    svm->insn_count = (uint8_t)(count < sizeof(svm->insn_bytes) ? count : sizeof(svm->insn_bytes));
    memcpy(svm->insn_bytes, bytes, svm->insn_count);
}

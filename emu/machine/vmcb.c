/* The part of the public interface that needs no machine: VMCBs from files, the reference of exit codes. */
#include <pacifica/pacifica.h>

#include "emu/base/diag.h"
#include "emu/cpu/control.h"
#include "emu/cpu/cpuid.h"
#include "emu/debug/vmcb_report.h"
#include "svm/vmcb.h"

/* PACIFICA_OK if the bytes can be a VMCB. */
static enum pacifica_status check_size(const struct pacifica_bytes *vmcb,
                                       struct pacifica_diag *diag)
{
    if (vmcb->size == VMCB_PAGE_BYTES)
        return PACIFICA_OK;
    return diag_set(diag, PACIFICA_EFORMAT, NULL, "save the whole page that RAX points to at VMRUN",
                    "a VMCB has 4096 bytes, not %zu", vmcb->size);
}

enum pacifica_status pacifica_vmcb_dump(const struct pacifica_bytes *vmcb,
                                        const struct pacifica_output *output,
                                        struct pacifica_diag *diag)
{
    enum pacifica_status status = check_size(vmcb, diag);
    if (status == PACIFICA_OK)
        vmcb_dump(vmcb->data, output);
    return status;
}

enum pacifica_status pacifica_vmcb_diff(const struct pacifica_bytes *from,
                                        const struct pacifica_bytes *to,
                                        const struct pacifica_output *output, unsigned *differences,
                                        struct pacifica_diag *diag)
{
    enum pacifica_status status = check_size(from, diag);
    if (status == PACIFICA_OK)
        status = check_size(to, diag);
    *differences = status == PACIFICA_OK ? vmcb_diff(from->data, to->data, output) : 0;
    return status;
}

enum pacifica_status pacifica_vmcb_check(const char *cpu, const struct pacifica_bytes *vmcb,
                                         const struct pacifica_output *output, unsigned *broken,
                                         struct pacifica_diag *diag)
{
    struct cpu_model model;
    *broken = 0;
    enum pacifica_status status = cpu_model_parse(cpu ? cpu : "max", &model, diag);
    if (status == PACIFICA_OK)
        status = check_size(vmcb, diag);
    if (status != PACIFICA_OK)
        return status;
    const struct vcpu processor = { .model = &model };
    const struct svm_model svm = control_svm_model(&processor);
    *broken = vmcb_check(vmcb->data, &svm, output);
    return PACIFICA_OK;
}

enum pacifica_status pacifica_exit_codes(const char *code, const struct pacifica_output *output,
                                         struct pacifica_diag *diag)
{
    if (exits_write(code, output))
        return PACIFICA_OK;
    return diag_set(diag, PACIFICA_EUSAGE, code,
                    "'pacifica exits' lists them; 72h, 0x72 and 114 are one", "no exit code");
}

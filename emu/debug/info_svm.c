/* `info svm`, `vmcb`, `intercepts`, `iopm`, `msrpm`: the processor's SVM state, and the VMCB of the guest that runs or last ran. */
#include "emu/debug/info_priv.h"
#include "emu/debug/vmcb_report.h"

#include "emu/base/diag.h"
#include "svm/describe.h"
#include "svm/words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_COLUMNS 100u

bool info_vmcb(struct vcpu *cpu, uint8_t *page, const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    if (svm->vmruns == 0) {
        output_put(output, "no VMRUN yet\n");
        return false;
    }
    if (phys_read_block(cpu->memory, svm->vmcb_spa, page, VMCB_PAGE_BYTES))
        return true;
    output_put(output, "the VMCB at %012" PRIx64 " is no longer in memory\n", svm->vmcb_spa);
    return false;
}

static void put_whose(const struct vcpu *cpu, const struct pacifica_output *output)
{
    const struct svm_state *svm = cpu->svm;
    output_put(output, "VMCB %012" PRIx64 " of the guest that %s\n", svm->vmcb_spa,
               svm->guest ? "runs: its state save area is as of its last #VMEXIT" : "last ran");
}

/* --- svm -------------------------------------------------------------------------------------- */

static void put_last_exit(const struct svm_state *svm, const struct pacifica_output *output)
{
    char text[120];
    (void)svm_describe_exit(text, sizeof(text), svm->last_exit_code, svm->last_info1,
                            svm->last_info2);
    output_put(output, "last #VMEXIT  %s at %04x:%016" PRIx64 " of ASID %u\n", text, svm->last_cs,
               svm->last_rip, svm->last_asid);
    if (!(svm->last_exitintinfo >> 31 & 1))
        return;
    (void)svm_describe_event(text, sizeof(text), svm->last_exitintinfo);
    output_put(output, "              while %s was delivered\n", text);
}

static void put_guest(const struct svm_state *svm, const struct pacifica_output *output)
{
    output_put(output, "guest         VMCB %012" PRIx64 ", ASID %u, host RFLAGS.IF %u\n",
               svm->vmcb_spa, svm->asid, svm->host_if);
    if (svm->nested_paging)
        output_put(output, "paging        nested, N_CR3 %016" PRIx64 "\n", svm->n_cr3);
    else
        output_put(output, "paging        the guest's CR3 alone\n");
    output_put(output, "interrupts    %s", svm->v_intr_masking ? "V_INTR_MASKING" : "shared flags");
    if (svm->v_intr_masking)
        output_put(output, ", V_TPR %u", svm->v_tpr);
    if (svm->v_irq)
        output_put(output, ", V_IRQ vector %#x, priority %u", svm->v_intr_vector, svm->v_intr_prio);
    output_put(output, "%s\n", svm->avic.on ? ", AVIC" : "");
}

enum pacifica_status info_svm(struct vcpu *cpu, const char *argument,
                              const struct pacifica_output *output, struct pacifica_diag *diag)
{
    const struct svm_state *svm = cpu->svm;
    (void)argument;
    (void)diag;
    output_put(output, "SVM           %s, EFER.SVME %u, GIF %u, VM_HSAVE_PA %012" PRIx64 "\n",
               svm->guest ? "in a guest" : "in the host", (cpu->regs.efer & EFER_SVME) != 0,
               svm->gif, cpu->msr.vm_hsave_pa);
    output_put(output, "world switch  %" PRIu64 " VMRUNs, %" PRIu64 " #VMEXITs\n", svm->vmruns,
               svm->exits);
    if (svm->guest)
        put_guest(svm, output);
    if (svm->inject.valid)
        output_put(output, "EVENTINJ      vector %u waits for its delivery\n", svm->inject.vector);
    if (svm->exits)
        put_last_exit(svm, output);
    return PACIFICA_OK;
}

/* --- vmcb ------------------------------------------------------------------------------------- */

enum pacifica_status info_vmcb_fields(struct vcpu *cpu, const char *argument,
                                      const struct pacifica_output *output,
                                      struct pacifica_diag *diag)
{
    uint8_t page[VMCB_PAGE_BYTES];
    if (argument[0]) {
        char *end;
        errno = 0;
        uint64_t spa = strtoull(argument, &end, 0);
        if (*end || errno || argument[0] == '-' ||
            !phys_read_block(cpu->memory, spa, page, sizeof(page)))
            return diag_set(diag, PACIFICA_EUSAGE, argument, "a system physical address in RAM",
                            "no VMCB can be there");
        vmcb_dump(page, output);
    } else if (info_vmcb(cpu, page, output)) {
        put_whose(cpu, output);
        vmcb_dump(page, output);
    }
    return PACIFICA_OK;
}

/* --- intercepts --------------------------------------------------------------------------------- */

/* Names in lines that are not too long. */
static void put_name(unsigned *column, const char *name, const struct pacifica_output *output)
{
    unsigned length = (unsigned)strlen(name) + 1;
    if (*column && *column + length > LINE_COLUMNS) {
        output_put(output, "\n");
        *column = 0;
    }
    output_put(output, "%s%s", *column ? " " : "", name);
    *column += length;
}

enum pacifica_status info_intercepts(struct vcpu *cpu, const char *argument,
                                     const struct pacifica_output *output,
                                     struct pacifica_diag *diag)
{
    static const enum vmcb_field words[] = { VMCB_INTERCEPT_CR,   VMCB_INTERCEPT_DR,
                                             VMCB_INTERCEPT_EXCP, VMCB_INTERCEPT_3,
                                             VMCB_INTERCEPT_4,    VMCB_INTERCEPT_5 };
    uint8_t page[VMCB_PAGE_BYTES];
    unsigned column = 0;
    (void)argument;
    (void)diag;
    if (!info_vmcb(cpu, page, output))
        return PACIFICA_OK;
    put_whose(cpu, output);
    for (unsigned i = 0; i < INTERCEPT_LIMIT; i++) {
        uint32_t word = cpu->svm->guest ? cpu->svm->intercept[i / 32]
                                        : (uint32_t)vmcb_field_value(page, words[i / 32]);
        char name[32];
        if (!(word >> i % 32 & 1))
            continue;
        (void)svm_describe_intercept(name, sizeof(name), i);
        put_name(&column, name, output);
    }
    output_put(output, column ? "\n" : "no intercepts\n");
    return PACIFICA_OK;
}

/* --- maps ----------------------------------------------------------------------------------------- */

/* A map of the VMCB, told as ranges of what exits. */
struct map {
    int digits; /* how many its numbers have */
    uint32_t from;
    unsigned what; /* of the open range: 0 nothing; else bits */
    uint64_t count;
};

static void put_range(const struct map *map, uint32_t last, const struct pacifica_output *output)
{
    static const char *const rights[] = { "", "read", "write", "read, write" };
    if (map->what == 0)
        return;
    output_put(output, "%0*" PRIx32, map->digits, map->from);
    if (last != map->from)
        output_put(output, "-%0*" PRIx32, map->digits, last);
    output_put(output, "  %s\n", rights[map->what]);
}

static void add_number(struct map *map, uint32_t number, unsigned what,
                       const struct pacifica_output *output)
{
    map->count += what != 0;
    if (what == map->what)
        return;
    put_range(map, number - 1, output);
    map->from = number;
    map->what = what;
}

/* Is the map used, and where? It is told if not. */
static bool find_map(struct vcpu *cpu, enum vmcb_field field, unsigned intercept,
                     struct svm_state *maps, const struct pacifica_output *output)
{
    uint8_t page[VMCB_PAGE_BYTES];
    if (!info_vmcb(cpu, page, output))
        return false;
    put_whose(cpu, output);
    if (!(vmcb_field_value(page, VMCB_INTERCEPT_3) >> (intercept & 31) & 1)) {
        output_put(output, "%s is not intercepted: the map does not count\n",
                   field == VMCB_IOPM_BASE_PA ? "IOIO_PROT" : "MSR_PROT");
        return false;
    }
    maps->iopm_spa = vmcb_field_value(page, VMCB_IOPM_BASE_PA) & ~UINT64_C(0xfff);
    maps->msrpm_spa = vmcb_field_value(page, VMCB_MSRPM_BASE_PA) & ~UINT64_C(0xfff);
    output_put(output, "map at %012" PRIx64 "; what exits:\n",
               field == VMCB_IOPM_BASE_PA ? maps->iopm_spa : maps->msrpm_spa);
    return true;
}

enum pacifica_status info_iopm(struct vcpu *cpu, const char *argument,
                               const struct pacifica_output *output, struct pacifica_diag *diag)
{
    struct svm_state maps = { 0 };
    struct map map = { .digits = 4 };
    (void)argument;
    (void)diag;
    if (!find_map(cpu, VMCB_IOPM_BASE_PA, INTERCEPT_IOIO_PROT, &maps, output))
        return PACIFICA_OK;
    for (uint32_t port = 0; port <= 0xffff; port++) {
        struct svm_map_bit at = svm_io_map_bit(&maps, port);
        uint8_t byte = 0xff;
        (void)phys_read_block(cpu->memory, at.spa, &byte, 1);
        add_number(&map, port, byte >> at.bit & 1 ? 3 : 0, output);
    }
    add_number(&map, 0x10000, 0, output);
    output_put(output, "%" PRIu64 " of 65536 ports\n", map.count);
    return PACIFICA_OK;
}

enum pacifica_status info_msrpm(struct vcpu *cpu, const char *argument,
                                const struct pacifica_output *output, struct pacifica_diag *diag)
{
    struct svm_state maps = { 0 };
    struct map map = { .digits = 8 };
    (void)argument;
    (void)diag;
    if (!find_map(cpu, VMCB_MSRPM_BASE_PA, INTERCEPT_MSR_PROT, &maps, output))
        return PACIFICA_OK;
    for (unsigned i = 0; i < SVM_MSR_RANGES; i++) {
        uint32_t end = svm_msr_ranges[i] + SVM_MSR_RANGE;
        for (uint32_t msr = svm_msr_ranges[i]; msr < end; msr++) {
            struct svm_map_bit at;
            uint8_t byte = 0xff;
            (void)svm_msr_map_bit(&maps, msr, false, &at);
            (void)phys_read_block(cpu->memory, at.spa, &byte, 1);
            add_number(&map, msr, byte >> at.bit & 3, output);
        }
        add_number(&map, end, 0, output);
    }
    output_put(output, "%" PRIu64 " of %u MSRs; all others exit\n", map.count,
               SVM_MSR_RANGES * SVM_MSR_RANGE);
    return PACIFICA_OK;
}

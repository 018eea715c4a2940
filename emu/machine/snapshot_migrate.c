/* The first half of extended migration: a machine goes on under another processor model. What CPUID said it goes on saying as far
 * as its override MSRs reach; a feature that the new model lacks must not be in use. */
#include "emu/machine/snapshot.h"

#include "emu/base/diag.h"
#include "emu/cpu/control.h"
#include "emu/cpu/msr.h"
#include "emu/cpu/perf.h"
#include "emu/cpu/xstate.h"
#include "svm/svm.h"

#include <stdio.h>
#include <string.h>

#define APIC_BASE_EXTD 0x400u
#define PERF_ENABLE (UINT64_C(1) << 22)

/* --- the model that was ------------------------------------------------------------------------------ */

static enum cpu_feature find_feature(const char *word, size_t length)
{
    for (int f = CPU_FEATURE_NONE + 1; f < CPU_FEATURE_COUNT; f++)
        if (strlen(cpu_features[f].option) == length &&
            memcmp(cpu_features[f].option, word, length) == 0)
            return (enum cpu_feature)f;
    return CPU_FEATURE_NONE;
}

enum pacifica_status snapshot_model(const struct snapshot *snapshot, struct cpu_model *model,
                                    struct pacifica_diag *diag)
{
    size_t length;
    const char *word = snapshot_line(snapshot->text, "features", &length);
    const char *end = word ? word + length : NULL;
    *model = (struct cpu_model){ .name = "" };
    if (!word)
        return diag_set(diag, PACIFICA_EFORMAT, "snapshot", NULL,
                        "it does not say what its processors can do");
    while (word < end) {
        size_t size = strcspn(word, " \n");
        enum cpu_feature feature = find_feature(word, size);
        if (feature == CPU_FEATURE_NONE || !cpu_features[feature].offered)
            return diag_set(diag, PACIFICA_EUNSUPPORTED, "snapshot", NULL,
                            "its processors have a feature that is not known here: %.*s",
                            (int)(size < 64 ? size : 64), word);
        model->features[feature] = true;
        word += size + (word + size < end);
    }
    const char *name = snapshot_line(snapshot->text, "cpu", &length);
    if (name)
        (void)snprintf(model->name, sizeof(model->name), "%.*s", (int)length, name);
    return PACIFICA_OK;
}

/* --- what is in use ------------------------------------------------------------------------------------ */

/* Features that are in use, that the old model had and the new one lacks. */
struct lack {
    const struct cpu_model *from, *to;
    bool seen[CPU_FEATURE_COUNT];
    unsigned count;
    char text[192]; /* as many of them as have room: name (where), ... */
};

static void use(struct lack *lack, enum cpu_feature feature, const char *where)
{
    size_t used = strlen(lack->text);
    char more[64];
    if (!cpu_model_has(lack->from, feature) || cpu_model_has(lack->to, feature) ||
        lack->seen[feature])
        return;
    lack->seen[feature] = true;
    lack->count++;
    int length = snprintf(more, sizeof(more), "%s%s (%s)", used ? ", " : "",
                          cpu_features[feature].option, where);
    if (length > 0 && used + (size_t)length < sizeof(lack->text))
        memcpy(lack->text + used, more, (size_t)length + 1);
}

struct bit_use {
    uint64_t bits;
    enum cpu_feature feature;
    const char *where;
};

static void use_bits(struct lack *lack, uint64_t value, const struct bit_use *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (value & rows[i].bits)
            use(lack, rows[i].feature, rows[i].where);
}
#define USE_BITS(lack, value, rows) \
    use_bits((lack), (value), (rows), sizeof(rows) / sizeof((rows)[0]))

static void use_cr4(struct lack *lack, uint64_t cr4)
{
    static const struct bit_use rows[] = {
#define CR4_BIT(name, feature) { CR4_##name, CPU_FEATURE_##feature, "CR4." #name },
#define EFER_BIT(name, feature)
#include "emu/cpu/control_bits.def"
#undef CR4_BIT
#undef EFER_BIT
    };
    USE_BITS(lack, cr4, rows);
}

static void use_efer(struct lack *lack, uint64_t efer)
{
    static const struct bit_use rows[] = {
#define CR4_BIT(name, feature)
#define EFER_BIT(name, feature) { EFER_##name, CPU_FEATURE_##feature, "EFER." #name },
#include "emu/cpu/control_bits.def"
#undef CR4_BIT
#undef EFER_BIT
    };
    USE_BITS(lack, efer, rows);
}

/* What a VMCB asks for. The hypervisor has written it, so that this holds between two runs of its guest as well. */
static void use_vmcb(struct lack *lack, const uint8_t *page)
{
    static const struct bit_use nested[] = {
        { NESTED_NP_ENABLE, CPU_FEATURE_NPT, "NP_ENABLE" },
        { NESTED_GMET_ENABLE, CPU_FEATURE_GMET, "GMET_ENABLE" },
        { NESTED_SSS_ENABLE, CPU_FEATURE_SSS_CHECK, "SSS_CHECK_ENABLE" },
        { NESTED_ROGPT_ENABLE, CPU_FEATURE_ROGPT, "RO_GUEST_PT_ENABLE" },
        { NESTED_TLBI_ENABLE, CPU_FEATURE_TLBICTL, "INVLPGB_TLBSYNC_ENABLE" },
    };
    static const struct bit_use virt[] = {
        { VIRT_LBR_ENABLE, CPU_FEATURE_LBRV, "LBR_VIRTUALIZATION_ENABLE" },
        { VIRT_VMLOAD_ENABLE, CPU_FEATURE_VIRT_VMLOAD, "VIRTUAL_VMSAVE_VMLOAD_ENABLE" },
        { VIRT_PMC_ENABLE, CPU_FEATURE_PMC_VIRT, "PMC_VIRTUALIZATION_ENABLE" },
    };
    static const struct bit_use vintr[] = {
        { VINTR_GIF_ENABLE, CPU_FEATURE_VGIF, "V_GIF_ENABLE" },
        { VINTR_NMI_ENABLE, CPU_FEATURE_VNMI, "V_NMI_ENABLE" },
        { VINTR_AVIC_ENABLE, CPU_FEATURE_AVIC, "AVIC_ENABLE" },
    };
    static const struct bit_use intercept5[] = {
        { 1u << (INTERCEPT_BUSLOCK & 31), CPU_FEATURE_BUS_LOCK_THRESHOLD,
          "intercept of bus locks" },
        { 1u << (INTERCEPT_IDLE_HLT & 31), CPU_FEATURE_IDLE_HLT, "intercept of idle HLT" },
    };
    uint64_t control = VMCB_GET(page, VINTR_CONTROL);
    bool pause = VMCB_GET(page, INTERCEPT_3) >> (INTERCEPT_PAUSE & 31) & 1;
    USE_BITS(lack, VMCB_GET(page, NESTED_CONTROL), nested);
    USE_BITS(lack, VMCB_GET(page, VIRT_ENABLE), virt);
    USE_BITS(lack, control, vintr);
    USE_BITS(lack, VMCB_GET(page, INTERCEPT_5), intercept5);
    if ((control & VINTR_AVIC_ENABLE) && (control & VINTR_X2AVIC_ENABLE))
        use(lack, CPU_FEATURE_X2AVIC, "X2AVIC_ENABLE");
    if (pause && VMCB_GET(page, PAUSE_FILTER_COUNT))
        use(lack, CPU_FEATURE_PAUSE_FILTER, "PAUSE_FILTER_COUNT");
    if (pause && VMCB_GET(page, PAUSE_FILTER_THRESHOLD))
        use(lack, CPU_FEATURE_PFTHRESHOLD, "PAUSE_FILTER_THRESHOLD");
    if (VMCB_GET(page, CLEAN_BITS))
        use(lack, CPU_FEATURE_VMCB_CLEAN, "CLEAN_BITS");
    if (VMCB_GET(page, TLB_CONTROL) >= TLB_CONTROL_FLUSH_ASID)
        use(lack, CPU_FEATURE_FLUSHBYASID, "TLB_CONTROL");
}

/* A page of RAM as the snapshot has it, by its address. */
static bool page_at(const struct pacifica_machine *machine, struct snapshot *snapshot, uint64_t spa,
                    uint8_t *page)
{
    uint64_t backing = memory_backing(machine->memory, spa);
    return backing != UINT64_MAX && snapshot_page(snapshot, backing, page);
}

/* A hypervisor relies on what #VMEXIT tells it from its first guest on. */
static void use_svm(struct lack *lack, const struct pacifica_machine *machine,
                    struct snapshot *snapshot, const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    bool guest = svm->guest || svm->suspended.valid;
    uint8_t page[SNAPSHOT_PAGE];
    if (svm->launch.done)
        use(lack, CPU_FEATURE_SKINIT, "SKINIT was executed");
    if (!guest && !((cpu->regs.efer & EFER_SVME) && svm->vmruns))
        return;
    use(lack, CPU_FEATURE_SVM, "VMRUN was executed");
    use(lack, CPU_FEATURE_NRIP_SAVE, "nRIP is saved");
    use(lack, CPU_FEATURE_DECODEASSISTS, "#VMEXIT decodes");
    uint64_t vmcb = svm->suspended.valid ? svm->suspended.vmcb_spa
                    : svm->guest         ? svm->vmcb_spa
                    : svm->clean.valid   ? svm->clean.spa
                                         : UINT64_MAX;
    if (vmcb != UINT64_MAX && page_at(machine, snapshot, vmcb, page))
        use_vmcb(lack, page);
    if (svm->guest && svm->spec_ctrl)
        use(lack, CPU_FEATURE_V_SPEC_CTRL, "the guest's SPEC_CTRL");
    if (guest &&
        page_at(machine, snapshot, cpu->msr.vm_hsave_pa, page)) { /* the host's registers */
        use_cr4(lack, VMCB_GET(page, CR4));
        use_efer(lack, VMCB_GET(page, EFER));
    }
}

/* Registers that only this feature brings and that do not have their reset value. */
static void use_stored_msrs(struct lack *lack, const struct vcpu *cpu)
{
    for (const struct msr_info *row = msr_table; row < msr_table + msr_table_count; row++)
        for (uint32_t i = 0; row->feature && msr_is_stored(row->kind) && i < row->count; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&cpu->msr + row->where + sizeof(value) * i, sizeof(value));
            if (value != row->reset)
                use(lack, (enum cpu_feature)row->feature, row->name);
        }
}

static void use_msrs(struct lack *lack, const struct vcpu *cpu)
{
    static const struct bit_use spec_ctrl[] = {
        { SPEC_CTRL_IBRS, CPU_FEATURE_IBRS, "SPEC_CTRL.IBRS" },
        { SPEC_CTRL_STIBP, CPU_FEATURE_STIBP, "SPEC_CTRL.STIBP" },
        { SPEC_CTRL_SSBD, CPU_FEATURE_SSBD, "SPEC_CTRL.SSBD" },
        { SPEC_CTRL_PSFD, CPU_FEATURE_PSFD, "SPEC_CTRL.PSFD" },
    };
    static const struct bit_use hwcr[] = {
        { HWCR_SMM_PGCFG_LOCK, CPU_FEATURE_SMM_PGCFG_LOCK, "HWCR.SMM_PGCFG_LOCK" },
        { HWCR_CPUID_USER_DIS, CPU_FEATURE_CPUID_USER_DIS, "HWCR.CpuidUserDis" },
    };
    const struct cpu_msrs *msr = &cpu->msr;
    const struct shadow_stacks *shadow = &cpu->shadow;
    use_stored_msrs(lack, cpu);
    USE_BITS(lack, msr->spec_ctrl | (cpu->svm->guest ? cpu->svm->spec_ctrl : 0), spec_ctrl);
    USE_BITS(lack, msr->hwcr, hwcr);
    if (shadow->u_cet || shadow->s_cet || shadow->isst || shadow->pl_ssp[0] || shadow->pl_ssp[1] ||
        shadow->pl_ssp[2] || shadow->pl_ssp[3])
        use(lack, CPU_FEATURE_CET_SS, "MSRs of shadow stacks");
    for (unsigned i = 0; i < 6; i++)
        if ((msr->perf_ctl[i] & PERF_ENABLE) && i >= 4)
            use(lack, CPU_FEATURE_PERFCTR_CORE, "PERF_CTL4-5");
    if (msr->perf_global_ctl != PERF_GLOBAL_CTL_RESET)
        use(lack, CPU_FEATURE_PERFMON_V2, "PERF_GLOBAL_CTL");
    if ((msr->dr_mask[0] | msr->dr_mask[1] | msr->dr_mask[2]) & ~UINT64_C(0xfff))
        use(lack, CPU_FEATURE_ADDRMASKEXT, "DR1_MASK-DR3_MASK");
    if (cpu->intc->read_apic_base(cpu->intc_self) & APIC_BASE_EXTD)
        use(lack, CPU_FEATURE_X2APIC, "APIC_BASE.EXTD");
    if (cpu->intc->read_tsc_deadline && cpu->intc->read_tsc_deadline(cpu->intc_self))
        use(lack, CPU_FEATURE_TSC_DEADLINE, "TSC_DEADLINE");
}

static void use_vector_state(struct lack *lack, const struct vcpu *cpu)
{
    for (unsigned i = 0; i < XSTATE_COUNT; i++) {
        const struct xstate_info *info = &xstates[i];
        uint64_t enabled = info->supervisor ? cpu->msr.xss : cpu->simd.xcr0;
        if (info->feature && (enabled >> info->bit & 1))
            use(lack, (enum cpu_feature)info->feature, info->supervisor ? "XSS" : "XCR0");
    }
    if (cpu->simd.mxcsr & MXCSR_MM)
        use(lack, CPU_FEATURE_MISALIGNSSE, "MXCSR.MM");
}

/* --- going on ------------------------------------------------------------------------------------------- */

static bool same_features(const struct cpu_model *a, const struct cpu_model *b)
{
    return memcmp(a->features, b->features, sizeof(a->features)) == 0;
}

/* The override MSRs hold the difference to what the model says. */
static void keep_cpuid(struct vcpu *cpu, const struct cpu_model *from)
{
    const struct vcpu before = { .model = from, .count = cpu->count };
    for (unsigned n = 0; n < 4; n++)
        cpu->msr.cpuid_flip[n] ^= cpuid_true_words(&before, n) ^ cpuid_true_words(cpu, n);
}

enum pacifica_status snapshot_migrate(struct pacifica_machine *machine, struct snapshot *snapshot,
                                      const struct cpu_model *from, struct pacifica_diag *diag)
{
    struct lack lack = { .from = from, .to = &machine->model };
    if (same_features(from, &machine->model))
        return PACIFICA_OK;
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        const struct vcpu *cpu = machine->cpu[i];
        use_cr4(&lack, cpu->regs.cr4);
        use_efer(&lack, cpu->regs.efer);
        use_vector_state(&lack, cpu);
        use_msrs(&lack, cpu);
        use_svm(&lack, machine, snapshot, cpu);
    }
    if (lack.count)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, "snapshot",
                        "switch the features on with -cpu MODEL,+FEATURE, or load it under a model "
                        "that has them",
                        "%u in use of %s that %s lacks: %s", lack.count,
                        from->name[0] ? from->name : "a model", machine->model.name, lack.text);
    for (unsigned i = 0; i < machine->cpu_count; i++)
        keep_cpuid(machine->cpu[i], from);
    return PACIFICA_OK;
}

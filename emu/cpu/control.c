/* Control and debug registers, EFER: checks, effects, TLB flushes. */
#include "emu/cpu/control.h"

#include "emu/cpu/cpuid.h"
#include "emu/cpu/msr.h"
#include "emu/cpu/raise.h"
#include "svm/avic.h"

/* Write effects on the TLB are those of APM vol 2, 5.5.3 "TLB Management"; they name the current ASID. */
static void flush_current_asid(struct vcpu *cpu)
{
    paging_flush_asid(cpu->paging, cpu->svm->asid, true);
}

struct svm_model control_svm_model(const struct vcpu *cpu)
{
    uint32_t svm[4];
    cpu_cpuid(cpu, 0x8000000a, 0, svm);
    return (struct svm_model){
        .cr4_valid = control_cr4_valid(cpu),
        .efer_valid = control_efer_valid(cpu),
        .spec_ctrl_valid = msr_spec_ctrl_valid(cpu),
        .features = svm[CPUID_EDX],
        .maxphyaddr = cpu->model->address_bits,
        .linear_bits = cpu_has(cpu, CPU_FEATURE_LA57) ? 57 : 48,
        .ext_apic = cpu_has(cpu, CPU_FEATURE_EXTAPIC),
        .x2avic_ext = cpu_has(cpu, CPU_FEATURE_X2AVIC_EXT),
        .perfmon_v2 = cpu_has(cpu, CPU_FEATURE_PERFMON_V2),
        .shadow_stacks = cpu_has(cpu, CPU_FEATURE_CET_SS),
        .page_1gb = cpu_has(cpu, CPU_FEATURE_PAGE1GB),
        .clean_bits_ignored = cpu->model->clean_bits_ignored,
    };
}

void control_reset(struct vcpu *cpu)
{
    cpu->r[REG_RDX] = cpu->model->signature;
    msr_reset(cpu);
    cpu->svm->model = control_svm_model(cpu);
}

/* --- CR0 --- */

static bool cr0_may_start_paging(const struct vcpu *cpu)
{
    const struct cpu_regs *regs = &cpu->regs;
    if (!(regs->efer & EFER_LME))
        return true;
    unsigned tss = regs->seg[SEG_TR].attr & (SEG_ATTR_TYPE | SEG_ATTR_S);
    /* CHOICE: a 16-bit TSS (types 1 and 3), which long mode does not have, is refused too; the manual's list of
     * consistency checks (14.6.2) does not have that one. */
    return (regs->cr4 & CR4_PAE) && !(regs->seg[SEG_CS].attr & SEG_ATTR_L) && tss != 1 && tss != 3;
}

/* SMM has locked CR0, CR3, CR4 and EFER until RSM. APM vol 2, 10.3.9 "SMM Page Configuration Lock". */
static bool paging_is_locked(const struct vcpu *cpu)
{
    return cpu->msr.hwcr & HWCR_SMM_PGCFG_LOCK;
}

bool control_cr0_ok(const struct vcpu *cpu, uint64_t value)
{
    uint64_t old = cpu->regs.cr0;
    if (value >> 32 || paging_is_locked(cpu))
        return false;
    if ((value & CR0_PG) && !(value & CR0_PE))
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if ((value & ~old & CR0_PG) && !cr0_may_start_paging(cpu))
        return false;
    if ((old & ~value & CR0_PG) && (cpu_long64(cpu) || (cpu->regs.cr4 & CR4_PCIDE)))
        return false;
    return !((old & ~value & CR0_WP) && (cpu->regs.cr4 & CR4_CET));
}

void control_set_cr0(struct vcpu *cpu, uint64_t value)
{
    struct cpu_regs *regs = &cpu->regs;
    uint64_t changed = regs->cr0 ^ value;
    regs->cr0 = (value & CR0_DEFINED) | CR0_ET;
    if (changed & CR0_PG) {
        bool lma = (value & CR0_PG) && (regs->efer & EFER_LME);
        regs->efer = lma ? regs->efer | EFER_LMA : regs->efer & ~(uint64_t)EFER_LMA;
    }
    /* CHOICE: WP is not among the manual's causes; flushing is the safe reading. */
    if (changed & (CR0_PG | CR0_WP))
        flush_current_asid(cpu);
    cpu_update_mode(cpu);
}

/* --- CR3 --- */

bool control_cr3_ok(const struct vcpu *cpu, uint64_t value)
{
    if (paging_is_locked(cpu))
        return false;
    if (cpu->regs.cr4 & CR4_PCIDE)
        value &= ~(1ull << 63);
    /* The PDPTEs of legacy PAE are looked at by walks, here as in the writes of CR0 and CR4: paging/descend_priv.h. */
    return !(cpu->regs.efer & EFER_LMA) || value >> cpu->model->address_bits == 0;
}

void control_set_cr3(struct vcpu *cpu, uint64_t value)
{
    uint16_t asid = cpu->svm->asid;
    if (cpu->regs.cr4 & CR4_PCIDE) {
        if (!(value >> 63))
            paging_flush_pcid(cpu->paging, asid, value & 0xfff);
        value &= ~(1ull << 63);
    } else {
        paging_flush_asid(cpu->paging, asid, false); /* global pages stay */
    }
    cpu->regs.cr3 = value;
    cpu_update_mode(cpu);
}

/* A task switch flushes as MOV CR3 does, and PDPTEs are not looked at either. APM vol 2, 5.5.3 "TLB Management". */
void control_load_cr3_task(struct vcpu *cpu, uint32_t cr3)
{
    control_set_cr3(cpu, cr3);
}

/* --- CR4 --- */

/* A register's bits with the features that bring them. */
struct feature_bit {
    uint64_t bit;
    enum cpu_feature feature;
};

static uint64_t offered_bits(const struct vcpu *cpu, const struct feature_bit *rows, size_t count)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        if (cpu_has(cpu, rows[i].feature))
            bits |= rows[i].bit;
    return bits;
}

uint64_t control_cr4_valid(const struct vcpu *cpu)
{
    static const struct feature_bit rows[] = {
#define CR4_BIT(name, feature) { CR4_##name, CPU_FEATURE_##feature },
#define EFER_BIT(name, feature)
#include "emu/cpu/control_bits.def"
#undef CR4_BIT
#undef EFER_BIT
    };
    return CR4_PCE | offered_bits(cpu, rows, sizeof(rows) / sizeof(rows[0]));
}

bool control_cr4_ok(const struct vcpu *cpu, uint64_t value)
{
    const struct cpu_regs *regs = &cpu->regs;
    bool lma = regs->efer & EFER_LMA;
    if ((value & ~control_cr4_valid(cpu)) || paging_is_locked(cpu))
        return false;
    if (lma && !(value & CR4_PAE))
        return false;
    if (lma && ((value ^ regs->cr4) & CR4_LA57))
        return false;
    if ((value & ~regs->cr4 & CR4_PCIDE) && (!lma || (regs->cr3 & 0xfff)))
        return false;
    return !((value & CR4_CET) && !(regs->cr0 & CR0_WP));
}

void control_set_cr4(struct vcpu *cpu, uint64_t value)
{
    uint64_t old = cpu->regs.cr4;
    uint64_t changed = old ^ value;
    cpu->regs.cr4 = value;
    if ((changed & value & CR4_PKE) || (changed & old & CR4_PCIDE))
        paging_flush_all(cpu->paging);
    else if (changed & (CR4_PGE | CR4_PAE | CR4_PSE | CR4_LA57 | CR4_SMEP | CR4_SMAP))
        flush_current_asid(cpu);
    cpu_update_mode(cpu);
}

/* --- EFER --- */

uint64_t control_efer_valid(const struct vcpu *cpu)
{
    static const struct feature_bit rows[] = {
#define CR4_BIT(name, feature)
#define EFER_BIT(name, feature) { EFER_##name, CPU_FEATURE_##feature },
#include "emu/cpu/control_bits.def"
#undef CR4_BIT
#undef EFER_BIT
    };
    return offered_bits(cpu, rows, sizeof(rows) / sizeof(rows[0]));
}

bool control_efer_ok(const struct vcpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->regs.efer ^ value;
    if ((value & ~control_efer_valid(cpu)) || paging_is_locked(cpu))
        return false;
    if ((changed & EFER_LME) && (cpu->regs.cr0 & CR0_PG))
        return false;
    /* CHOICE: as the manual says (3.1.7 "Extended Feature Enable Register"); some software models ignore the bit. */
    if (changed & EFER_LMA)
        return false;
    return !((value & EFER_SVME) && (cpu->msr.vm_cr & VM_CR_SVMDIS));
}

void control_set_efer(struct vcpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->regs.efer ^ value;
    cpu->regs.efer = value;
    if (changed & EFER_NXE)
        flush_current_asid(cpu);
    if ((changed & EFER_SVME) && !(value & EFER_SVME)) {
        cpu->svm->gif = true; /* CHOICE: nothing could set it again (KVM does the same) */
        cpu_attention(cpu);
    }
    cpu_update_mode(cpu);
}

/* --- CR8 --- */

uint8_t control_cr8(const struct vcpu *cpu)
{
    if (cpu->svm->guest && (cpu->svm->v_intr_masking || cpu->svm->avic.on))
        return cpu->svm->v_tpr;
    return cpu->intc ? cpu->intc->read_tpr(cpu->intc_self) >> 4 : cpu->regs.cr8;
}

/* APM vol 2, 15.21.1 "Physical (INTR) Interrupt Masking in EFLAGS", 15.21.2 "Virtualizing APIC.TPR", 15.29.4.1. */
void control_set_cr8(struct vcpu *cpu, uint8_t value)
{
    if (EMU_UNLIKELY(cpu->svm->avic.on)) {
        svm_avic_set_tpr(cpu, (uint8_t)(value << 4));
        return;
    }
    if (cpu->svm->guest)
        cpu->svm->v_tpr = value;
    if (!(cpu->svm->guest && cpu->svm->v_intr_masking)) {
        cpu->regs.cr8 = value;
        if (cpu->intc)
            cpu->intc->write_tpr(cpu->intc_self, (uint8_t)(value << 4));
    }
    cpu_attention(cpu);
}

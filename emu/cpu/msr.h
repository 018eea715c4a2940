/* Model-specific registers, from the table msrs.def. */
#ifndef EMU_CPU_MSR_H
#define EMU_CPU_MSR_H

#include "emu/cpu/raise.h"

enum msr_kind {
    MSR_VALUE,
    MSR_LENIENT,
    MSR_CANON,
    MSR_CONST,
    MSR_READONLY,
    MSR_WRITEONLY,
    MSR_TSC,
    MSR_TSC_ADJUST,
    MSR_TSC_DEADLINE,
    MSR_X2APIC,
    MSR_DOORBELL,
    MSR_APIC_BASE,
    MSR_DEBUGCTL,
    MSR_MTRR_PHYS,
    MSR_MTRR_FIX,
    MSR_MTRR_DEF,
    MSR_PAT,
    MSR_MC_BANK,
    MSR_XSS,
    MSR_RECORD,
    MSR_PERF,
    MSR_PERF_GLOBAL,
    MSR_PERF_CLOCK,
    MSR_PERF_CLOCK_RO,
    MSR_EFER,
    MSR_SEGMENT_BASE,
    MSR_HWCR,
    MSR_VM_CR,
    MSR_SMM_AREA,
    MSR_SMM_CTL,
    MSR_CPUID_OVERRIDE,
    MSR_KEY,
    MSR_PATCH_LEVEL,
    MSR_COMMAND,
    MSR_SPEC_CTRL,
    MSR_PRED_CMD,
    MSR_SHADOW_CET,
    MSR_SHADOW_SSP
};

#define MSR_NOWHERE UINT32_MAX

#define HWCR_SMM_LOCK (1u << 0)
#define HWCR_IGNNE_EM (1u << 8)
#define HWCR_MON_MWAIT_DIS (1u << 9)
#define HWCR_MON_MWAIT_USER_EN (1u << 10)
#define HWCR_MC_STATUS_WR_EN (1u << 18)
#define HWCR_SMM_PGCFG_LOCK (1ull << 33)
#define HWCR_CPUID_USER_DIS (1ull << 35)

#define SPEC_CTRL_IBRS (1u << 0)
#define SPEC_CTRL_STIBP (1u << 1)
#define SPEC_CTRL_SSBD (1u << 2)
#define SPEC_CTRL_PSFD (1u << 7)
#define PRED_CMD_IBPB (1u << 0)
#define PRED_CMD_SBPB (1u << 7)

#define TSC_RATIO_ONE (UINT64_C(1) << 32)

struct msr_info {
    uint32_t number, count;
    const char *name;
    uint64_t reset, mask;
    enum msr_kind kind;
    uint32_t where; /* offset in struct cpu_msrs, or MSR_NOWHERE */
    uint8_t feature;
};

extern const struct msr_info msr_table[];
extern const unsigned msr_table_count;

/* Do registers of this kind have a word of struct cpu_msrs, at `where`? */
bool msr_is_stored(enum msr_kind kind);

/* The row of a register that exists in this model, or NULL. */
const struct msr_info *msr_find(const struct vcpu *cpu, uint32_t number);

/* The bits of a row that can be written in this model. */
uint64_t msr_mask(const struct vcpu *cpu, const struct msr_info *row);

/* Put every register into its reset state; the TSC counts from 0. */
void msr_reset(struct vcpu *cpu);

/* RDMSR and WRMSR behind the privilege and permission-map checks. STEP_NEXT; STEP_RAISED: #GP(0); STEP_STOP: the
 * value asks for what is not emulated. On failure nothing has changed. */
EMU_MUST_USE enum step msr_read(struct vcpu *cpu, uint32_t number, uint64_t *value);
EMU_MUST_USE enum step msr_write(struct vcpu *cpu, uint32_t number, uint64_t value);

/* The time stamp counter as RDTSC reads it, in a guest with TSC_RATIO and TSC_OFFSET. */
uint64_t msr_tsc(const struct vcpu *cpu);

/* The bits of SPEC_CTRL that the model has. */
uint64_t msr_spec_ctrl_valid(const struct vcpu *cpu);

#endif

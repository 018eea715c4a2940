/* Model-specific registers. */
#include "emu/cpu/msr.h"

#include "emu/cpu/control.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/perf.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/xstate.h"
#include "svm/svm.h"

#include <string.h>

#define APIC_BASE_EXTD (1u << 10)
#define SYSCFG_MFDM (1u << 19)

#define NOWHERE star /* any member: the kinds of such rows do not look at it */
const struct msr_info msr_table[] = {
#define MSR(number, count, name, reset, mask, kind, where, feature) \
    { number,                                                       \
      count,                                                        \
      #name,                                                        \
      reset,                                                        \
      mask,                                                         \
      MSR_##kind,                                                   \
      offsetof(struct cpu_msrs, where),                             \
      CPU_FEATURE_##feature },
#include "emu/cpu/msrs.def"
#undef MSR
};
#undef NOWHERE
const unsigned msr_table_count = sizeof(msr_table) / sizeof(msr_table[0]);

/* --- bits that exist by feature --- */

static uint64_t bit_if(const struct vcpu *cpu, enum cpu_feature feature, uint64_t bit)
{
    return cpu_has(cpu, feature) ? bit : 0;
}

/* APM vol 2, 3.2.9 "Speculation Control MSRs". There is no speculation: the bits are kept, and a barrier is nothing. */
uint64_t msr_spec_ctrl_valid(const struct vcpu *cpu)
{
    return bit_if(cpu, CPU_FEATURE_IBRS, SPEC_CTRL_IBRS) |
           bit_if(cpu, CPU_FEATURE_STIBP, SPEC_CTRL_STIBP) |
           bit_if(cpu, CPU_FEATURE_SSBD, SPEC_CTRL_SSBD) |
           bit_if(cpu, CPU_FEATURE_PSFD, SPEC_CTRL_PSFD);
}

static uint64_t pred_cmd_bits(const struct vcpu *cpu)
{
    return bit_if(cpu, CPU_FEATURE_IBPB, PRED_CMD_IBPB) |
           bit_if(cpu, CPU_FEATURE_SBPB, PRED_CMD_SBPB);
}

/* A mask whose highest bit is 51 is one of physical addresses: it ends where the model's do. */
uint64_t msr_mask(const struct vcpu *cpu, const struct msr_info *row)
{
    switch (row->kind) {
    case MSR_SPEC_CTRL: return msr_spec_ctrl_valid(cpu);
    case MSR_PRED_CMD: return pred_cmd_bits(cpu);
    case MSR_EFER: return control_efer_valid(cpu);
    default: break;
    }
    bool address = row->mask >> 51 == 1;
    return address ? row->mask & ((UINT64_C(1) << cpu->model->address_bits) - 1) : row->mask;
}

static bool exists(const struct vcpu *cpu, const struct msr_info *row)
{
    if (row->kind == MSR_SPEC_CTRL)
        return msr_mask(cpu, row) != 0;
    return !row->feature || cpu_has(cpu, (enum cpu_feature)row->feature);
}

const struct msr_info *msr_find(const struct vcpu *cpu, uint32_t number)
{
    unsigned low = 0, high = msr_table_count; /* rows stand in order of their numbers */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct msr_info *row = &msr_table[middle];
        if (number < row->number)
            high = middle;
        else if (number - row->number >= row->count)
            low = middle + 1;
        else
            return exists(cpu, row) ? row : NULL;
    }
    return NULL;
}

bool msr_is_stored(enum msr_kind kind)
{
    switch (kind) {
    case MSR_CONST:
    case MSR_READONLY:
    case MSR_WRITEONLY:
    case MSR_COMMAND:
    case MSR_PRED_CMD:
    case MSR_TSC:
    case MSR_TSC_DEADLINE:
    case MSR_X2APIC:
    case MSR_APIC_BASE:
    case MSR_EFER:
    case MSR_SMM_CTL:
    case MSR_DOORBELL:
    case MSR_PERF:
    case MSR_PERF_GLOBAL:
    case MSR_PERF_CLOCK:
    case MSR_PERF_CLOCK_RO:
    case MSR_PATCH_LEVEL:
    case MSR_SHADOW_CET:
    case MSR_SHADOW_SSP:
    case MSR_SEGMENT_BASE: return false;
    default: return true;
    }
}

static uint64_t *place(struct vcpu *cpu, const struct msr_info *row, uint32_t number)
{
    return (uint64_t *)(void *)((char *)&cpu->msr + row->where) + (number - row->number);
}

void msr_reset(struct vcpu *cpu)
{
    cpu->msr = (struct cpu_msrs){ 0 };
    for (const struct msr_info *row = msr_table; row < msr_table + msr_table_count; row++) {
        for (uint32_t i = 0; i < row->count && msr_is_stored(row->kind); i++)
            *place(cpu, row, row->number + i) = row->reset;
    }
    memcpy(cpu->msr.name, cpu->model->brand, sizeof(cpu->msr.name));
    cpu->msr.tsc_offset = -clock_now_ns(cpu->clock);
    perf_reset(cpu);
}

/* --- time --- */

/* CHOICE: the TSC runs at 1 GHz of virtual time: one count an instruction. */
static uint64_t tsc_unscaled(const struct vcpu *cpu)
{
    return clock_now_ns(cpu->clock) + cpu->msr.tsc_offset;
}

/* What a guest reads of a counter that TSC_RATIO scales. APM vol 2, 15.30.5 "TSC Ratio MSR (C000_0104h)". */
static uint64_t scaled_for_guest(const struct vcpu *cpu, uint64_t count)
{
    if (!cpu->svm->guest || EMU_LIKELY(cpu->msr.tsc_ratio == TSC_RATIO_ONE))
        return count;
    return (uint64_t)((emu_u128)count * cpu->msr.tsc_ratio >> 32);
}

uint64_t msr_tsc(const struct vcpu *cpu)
{
    uint64_t tsc = scaled_for_guest(cpu, tsc_unscaled(cpu));
    return tsc + (cpu->svm->guest ? cpu->svm->tsc_offset : 0);
}

/* MSR 6E0h compares with the TSC as the host has it: TSC_OFFSET is for reads only. The controller wants virtual time. */
static bool write_tsc_deadline(struct vcpu *cpu, uint64_t tsc)
{
    if (!cpu->intc || !cpu->intc->write_tsc_deadline)
        return false;
    uint64_t now_ns = clock_now_ns(cpu->clock), now = tsc_unscaled(cpu);
    uint64_t wait = tsc > now ? tsc - now : 0;
    uint64_t when_ns = wait < CLOCK_NEVER - now_ns ? now_ns + wait : CLOCK_NEVER;
    cpu->intc->write_tsc_deadline(cpu->intc_self, tsc, when_ns);
    return true;
}

/* Both registers move together, and an armed deadline with them. */
static void move_tsc(struct vcpu *cpu, uint64_t by)
{
    cpu->msr.tsc_offset += by;
    cpu->msr.tsc_adjust += by;
    uint64_t armed = cpu->intc && cpu->intc->read_tsc_deadline
                         ? cpu->intc->read_tsc_deadline(cpu->intc_self)
                         : 0;
    if (armed != 0)
        (void)write_tsc_deadline(cpu, armed);
}

/* --- performance counters --- */

/* C001_0000h: four PERF_CTL, four PERF_CTR. C001_0200h: PERF_CTL and PERF_CTR in turn. APM vol 2, A.6 "Performance-Monitoring
 * MSRs". Returns the counter's number. */
static unsigned perf_number(uint32_t number, bool *control)
{
    unsigned i = number & 0xf;
    bool extended = number & 0x200;
    *control = extended ? !(i & 1) : i < 4;
    return extended ? i >> 1 : i & 3;
}

static uint64_t read_perf(struct vcpu *cpu, uint32_t number)
{
    bool control;
    unsigned n = perf_number(number, &control);
    return control ? cpu->msr.perf_ctl[n] : perf_counter(cpu, n);
}

static void write_perf(struct vcpu *cpu, const struct msr_info *row, uint32_t number,
                       uint64_t value)
{
    bool control;
    unsigned n = perf_number(number, &control);
    if (control)
        perf_set_control(cpu, n, value & row->mask);
    else
        perf_set_counter(cpu, n, value);
}

static enum perf_clock perf_clock_of(uint32_t number)
{
    return (enum perf_clock)((number & 0xff) - 0xe7);
}

/* --- shadow stacks --- */

static uint64_t *shadow_place(struct vcpu *cpu, uint32_t number)
{
    struct shadow_stacks *shadow = &cpu->shadow;
    switch (number) {
    case 0x6a0: return &shadow->u_cet;
    case 0x6a2: return &shadow->s_cet;
    case 0x6a8: return &shadow->isst;
    default: return &shadow->pl_ssp[number & 3];
    }
}

/* APM vol 2, 18.12 "Shadow Stack MSRs". */
static bool write_shadow(struct vcpu *cpu, const struct msr_info *row, uint32_t number,
                         uint64_t value)
{
    if ((value & ~row->mask) || (row->kind == MSR_SHADOW_SSP && !cpu_base_canonical(cpu, value)))
        return false;
    *shadow_place(cpu, number) = value;
    cpu_update_mode(cpu); /* CALL and RET may be others now */
    return true;
}

/* --- reading --- */

/* MPERF and its read-only copy are scaled as the TSC is, APERF and IRPERF are not. CHOICE: RDPRU is not, since the manual names
 * RDMSR alone. */
static uint64_t read_perf_clock(struct vcpu *cpu, enum perf_clock which)
{
    uint64_t count = perf_clock(cpu, which);
    return which == PERF_MPERF ? scaled_for_guest(cpu, count) : count;
}

/* The guest's own SPEC_CTRL. APM vol 2, 15.37.1 "SPEC_CTRL Virtualization". */
static uint64_t *spec_ctrl_place(struct vcpu *cpu)
{
    bool own = cpu->svm->guest && (cpu->svm->model.features & SVM_FEATURE_SPEC_CTRL);
    return own ? &cpu->svm->spec_ctrl : &cpu->msr.spec_ctrl;
}

/* The guest's own PAT with nested paging. APM vol 2, 15.25.8 "Combining Memory Types, MTRRs". */
static uint64_t *pat_place(struct vcpu *cpu)
{
    return cpu->svm->guest && cpu->svm->nested_paging ? &cpu->svm->g_pat : &cpu->msr.pat;
}

static void probe(struct vcpu *cpu, uint32_t number, bool write, uint64_t value)
{
    if (probes_want(cpu->probes, PROBE_MSR))
        probes_fire(cpu->probes,
                    &(struct probe_event){
                        .kind = PROBE_MSR, .cpu = cpu, .a = number, .b = write, .c = value });
}

static enum step refuse(struct vcpu *cpu, uint32_t number, bool write, const char *why)
{
    cpu_guest_error(cpu, "%s of %s MSR %08x", write ? "WRMSR" : "RDMSR", why, number);
    return cpu_raise_code(cpu, EXC_GP, 0);
}

enum step msr_read(struct vcpu *cpu, uint32_t number, uint64_t *value)
{
    const struct msr_info *row = msr_find(cpu, number);
    if (!row)
        return refuse(cpu, number, false, "unknown");
    switch (row->kind) {
    case MSR_CONST:
    case MSR_KEY: /* nobody reads a key back */
    case MSR_READONLY: *value = row->reset; break;
    case MSR_DOORBELL:
    case MSR_SMM_CTL:
    case MSR_COMMAND:
    case MSR_PRED_CMD:
    case MSR_WRITEONLY: return refuse(cpu, number, false, "write-only");
    case MSR_TSC: *value = msr_tsc(cpu); break;
    case MSR_TSC_DEADLINE:
        if (!cpu->intc || !cpu->intc->read_tsc_deadline)
            return refuse(cpu, number, false, "absent");
        *value = cpu->intc->read_tsc_deadline(cpu->intc_self);
        break;
    case MSR_X2APIC: /* the controller knows its mode and its registers */
        if (!cpu->intc || !cpu->intc->read_msr ||
            !cpu->intc->read_msr(cpu->intc_self, number, value))
            return refuse(cpu, number, false, "absent");
        break;
    case MSR_APIC_BASE:
        if (!cpu->intc)
            return refuse(cpu, number, false, "absent");
        *value = cpu->intc->read_apic_base(cpu->intc_self);
        break;
    case MSR_EFER: *value = cpu->regs.efer; break;
    case MSR_PATCH_LEVEL: *value = cpu->model->patch_level; break;
    case MSR_PERF: *value = read_perf(cpu, number); break;
    case MSR_PERF_GLOBAL: *value = perf_global(cpu, (enum perf_global)(number & 3)); break;
    case MSR_PERF_CLOCK:
    case MSR_PERF_CLOCK_RO: *value = read_perf_clock(cpu, perf_clock_of(number)); break;
    case MSR_SEGMENT_BASE: *value = cpu->regs.seg[SEG_FS + (number - 0xc0000100)].base; break;
    case MSR_SHADOW_CET:
    case MSR_SHADOW_SSP: *value = *shadow_place(cpu, number); break;
    case MSR_PAT: *value = *pat_place(cpu); break;
    case MSR_SPEC_CTRL: *value = *spec_ctrl_place(cpu); break;
    case MSR_CPUID_OVERRIDE:
        *value = cpuid_true_words(cpu, number - row->number) ^ *place(cpu, row, number);
        break;
    default: *value = *place(cpu, row, number); break;
    }
    probe(cpu, number, false, *value);
    return STEP_NEXT;
}

/* --- writing --- */

static bool is_mtrr_type(unsigned type)
{
    return type <= 6 && type != 2 && type != 3;
}

/* APM vol 2, 7.8.2 "PAT Indexing": types 0, 1, 4, 5, 6, 7, upper bits zero. */
static bool is_pat(uint64_t value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        unsigned type = value >> i & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* APM vol 2, 7.7.2 "MTRR Type Register" and 7.9.1 "Extended Fixed-Range MTRR Type-Field Encodings". */
static bool is_mtrr_fix(const struct vcpu *cpu, uint64_t value)
{
    unsigned extended = cpu->msr.syscfg & SYSCFG_MFDM ? 0x18 : 0;
    for (unsigned i = 0; i < 64; i += 8) {
        if (!is_mtrr_type((value >> i & 0xff) & ~extended))
            return false;
    }
    return true;
}

static bool is_mtrr_phys(const struct vcpu *cpu, const struct msr_info *row, uint32_t number,
                         uint64_t value)
{
    if (number & 1) /* mask: bit 11 is V */
        return !(value & ~(msr_mask(cpu, row) & ~0xffull));
    return !(value & ~(msr_mask(cpu, row) & ~0x800ull)) && is_mtrr_type(value & 0xff);
}

/* The rules of the kinds that are stored as written. */
static bool is_legal(const struct vcpu *cpu, const struct msr_info *row, uint32_t number,
                     uint64_t value)
{
    switch (row->kind) {
    case MSR_CANON: return cpu_base_canonical(cpu, value);
    case MSR_PAT: return is_pat(value);
    case MSR_MTRR_FIX: return is_mtrr_fix(cpu, value);
    case MSR_MTRR_PHYS: return is_mtrr_phys(cpu, row, number, value);
    case MSR_MTRR_DEF: return !(value & ~msr_mask(cpu, row)) && is_mtrr_type(value & 0xff);
    case MSR_MC_BANK: /* STATUS: only 0, unless HWCR.McStatusWrEn. APM vol 2, 9.3.2.2 */
        return (number & 3) != 1 || value == 0 || (cpu->msr.hwcr & HWCR_MC_STATUS_WR_EN);
    case MSR_VALUE:
    case MSR_COMMAND:
    case MSR_SPEC_CTRL:
    case MSR_PRED_CMD: return !(value & ~msr_mask(cpu, row));
    case MSR_XSS: return !(value & ~xstate_supervisor(cpu));
    case MSR_RECORD: return false;
    default: return true;
    }
}

/* APM vol 2, 15.30.1 "VM_CR MSR (C001_0114h)". CHOICE: without SVM-Lock, LOCK and SVMDIS ignore writes: 15.31 has SVMDIS
 * read-only then. DPD is kept and does nothing: there is no hardware debug port. */
static bool write_vm_cr(struct vcpu *cpu, uint64_t value)
{
    const uint64_t lockable = VM_CR_LOCK | VM_CR_SVMDIS;
    uint64_t old = cpu->msr.vm_cr;
    bool locked = (old & VM_CR_LOCK) || !cpu_has(cpu, CPU_FEATURE_SVM_LOCK);
    if (value & ~0x1full || ((value & VM_CR_SVMDIS) && (cpu->regs.efer & EFER_SVME)))
        return false;
    cpu->msr.vm_cr = locked ? (value & ~lockable) | (old & lockable) : value;
    if ((old ^ value) & VM_CR_DIS_A20M)
        smm_view_changed(cpu);
    return true;
}

/* SVM_KEY for VM_CR.LOCK, SMM_KEY for HWCR.SmmLock: while the lock is open a write sets the key; afterwards the same value
 * opens it again, if it is not 0. APM vol 2, 15.31.1 "SVM_KEY MSR (C001_0118h)", 15.32.2 "SMM_KEY MSR (C001_0119h)". */
static void write_key(struct vcpu *cpu, const struct msr_info *row, uint64_t value)
{
    bool svm = row->where == offsetof(struct cpu_msrs, svm_key);
    uint64_t *lock = svm ? &cpu->msr.vm_cr : &cpu->msr.hwcr, *key = place(cpu, row, row->number);
    const uint64_t bit = svm ? VM_CR_LOCK : HWCR_SMM_LOCK;
    if (!(*lock & bit))
        *key = value;
    else if (value == *key && value != 0)
        *lock &= ~bit;
    else
        cpu_guest_error(cpu, "WRMSR to %s is ignored: %s", row->name,
                        *key ? "it is another key" : "the lock has no key");
}

/* SMBASE, SMM_ADDR, SMM_MASK. CHOICE: while HWCR.SmmLock is set a write is ignored, not #GP: the registers are read-only
 * then (15.32.1 says no more than that they cannot be written). */
static void write_smm_area(struct vcpu *cpu, const struct msr_info *row, uint64_t value)
{
    if (cpu->msr.hwcr & HWCR_SMM_LOCK) {
        cpu_guest_error(cpu, "WRMSR to %s is ignored: HWCR.SmmLock is set", row->name);
        return;
    }
    *place(cpu, row, row->number) = value & msr_mask(cpu, row);
    smm_view_changed(cpu);
}

/* SmmLock cannot be cleared; SMM_PGCFG_LOCK is for SMM to set and for RSM to clear. APM vol 2, 15.32 "SMM-Lock", 10.3.9
 * "SMM Page Configuration Lock". CHOICE: a write that would clear the latter leaves it. */
static bool write_hwcr(struct vcpu *cpu, const struct msr_info *row, uint64_t value)
{
    uint64_t kept = cpu->msr.hwcr & (HWCR_SMM_LOCK | HWCR_SMM_PGCFG_LOCK);
    kept |= value & bit_if(cpu, CPU_FEATURE_CPUID_USER_DIS, HWCR_CPUID_USER_DIS);
    if ((value & HWCR_SMM_PGCFG_LOCK) && cpu_has(cpu, CPU_FEATURE_SMM_PGCFG_LOCK)) {
        if (!cpu->regs.smm)
            return false;
        kept |= HWCR_SMM_PGCFG_LOCK;
    }
    perf_enable_irperf(cpu, value & HWCR_IRPERF_EN);
    cpu->msr.hwcr = (value & msr_mask(cpu, row)) | kept;
    return true;
}

static bool write_segment_base(struct vcpu *cpu, uint32_t number, uint64_t value)
{
    if (!cpu_base_canonical(cpu, value))
        return false;
    cpu->regs.seg[SEG_FS + (number - 0xc0000100)].base = value;
    return true;
}

static bool write_apic_base(struct vcpu *cpu, const struct msr_info *row, uint64_t value)
{
    if (!cpu->intc || (value & ~msr_mask(cpu, row)) ||
        ((value & APIC_BASE_EXTD) && !cpu_has(cpu, CPU_FEATURE_X2APIC)) ||
        !cpu->intc->write_apic_base(cpu->intc_self, value))
        return false;
    cpu_attention(cpu);
    return true;
}

/* Any of them may change what is pending, or the priority. */
static bool write_x2apic(struct vcpu *cpu, uint32_t number, uint64_t value)
{
    if (!cpu->intc || !cpu->intc->write_msr || !cpu->intc->write_msr(cpu->intc_self, number, value))
        return false;
    cpu_attention(cpu);
    return true;
}

/* APM vol 2, 15.29.8.2 "Doorbell Mechanism". CHOICE: the APIC ID has 12 bits, as in the physical APIC ID table; figure 15-22 shows
 * eight. */
static bool ring_doorbell(struct vcpu *cpu, const struct msr_info *row, uint64_t value)
{
    if (value & ~row->mask)
        return false;
    if (cpu->intc && cpu->intc->doorbell)
        cpu->intc->doorbell(cpu->intc_self, (uint32_t)value);
    return true;
}

/* Only CPUID's answers change. CHOICE: the reserved half of leaf 6's word ignores writes. */
static void write_override(struct vcpu *cpu, const struct msr_info *row, uint32_t number,
                           uint64_t value)
{
    unsigned n = number - row->number;
    *place(cpu, row, number) = cpuid_true_words(cpu, n) ^ (n == 1 ? (uint32_t)value : value);
}

/* One function each, for the registers with effects. false: #GP(0). */
static bool write_special(struct vcpu *cpu, const struct msr_info *row, uint32_t number,
                          uint64_t value)
{
    switch (row->kind) {
    case MSR_CONST:
    case MSR_PATCH_LEVEL:
    case MSR_WRITEONLY: return true;
    case MSR_PERF_CLOCK_RO:
    case MSR_READONLY: return false;
    case MSR_PERF: write_perf(cpu, row, number, value); return true;
    case MSR_PERF_GLOBAL: perf_set_global(cpu, (enum perf_global)(number & 3), value); return true;
    case MSR_PERF_CLOCK: perf_set_clock(cpu, perf_clock_of(number), value); return true;
    case MSR_TSC: move_tsc(cpu, value - tsc_unscaled(cpu)); return true;
    case MSR_TSC_ADJUST: move_tsc(cpu, value - cpu->msr.tsc_adjust); return true;
    case MSR_TSC_DEADLINE: return write_tsc_deadline(cpu, value);
    case MSR_X2APIC: return write_x2apic(cpu, number, value);
    case MSR_DOORBELL: return ring_doorbell(cpu, row, value);
    case MSR_APIC_BASE: return write_apic_base(cpu, row, value);
    case MSR_EFER:
        if (!control_efer_ok(cpu, value))
            return false;
        control_set_efer(cpu, value);
        return true;
    case MSR_SEGMENT_BASE: return write_segment_base(cpu, number, value);
    case MSR_VM_CR: return write_vm_cr(cpu, value);
    case MSR_KEY: write_key(cpu, row, value); return true;
    case MSR_SMM_AREA: write_smm_area(cpu, row, value); return true;
    case MSR_SMM_CTL: return !cpu_has(cpu, CPU_FEATURE_NO_SMM_CTL) && smm_control(cpu, value);
    case MSR_HWCR: return write_hwcr(cpu, row, value);
    case MSR_DEBUGCTL: /* bits 6:2 must be zero; those above read 0. APM vol 2, 13.1.1.6 */
        if (value & 0x7c)
            return false;
        cpu->msr.debugctl = value & msr_mask(cpu, row);
        return true;
    case MSR_SHADOW_CET:
    case MSR_SHADOW_SSP: return write_shadow(cpu, row, number, value);
    case MSR_CPUID_OVERRIDE: write_override(cpu, row, number, value); return true;
    default: break;
    }
    if (!is_legal(cpu, row, number, value))
        return false;
    if (!msr_is_stored(row->kind))
        return true;
    uint64_t *to = row->kind == MSR_PAT         ? pat_place(cpu)
                   : row->kind == MSR_SPEC_CTRL ? spec_ctrl_place(cpu)
                                                : place(cpu, row, number);
    *to = row->kind == MSR_LENIENT
              ? (value & msr_mask(cpu, row)) | (row->reset & ~msr_mask(cpu, row))
              : value;
    return true;
}

/* What decides about memory types and the place of RAM: MTRRs, IORRs, TOP_MEM, SYSCFG. */
static bool is_memory_map(const struct msr_info *row, uint32_t number)
{
    switch (row->kind) {
    case MSR_MTRR_FIX:
    case MSR_MTRR_PHYS:
    case MSR_MTRR_DEF: return true;
    default: return number >= 0xc0010010 && number <= 0xc001001d && number != 0xc0010015;
    }
}

enum step msr_write(struct vcpu *cpu, uint32_t number, uint64_t value)
{
    const struct msr_info *row = msr_find(cpu, number);
    if (!row)
        return refuse(cpu, number, true, "unknown");
    if (!write_special(cpu, row, number, value)) {
        cpu_guest_error(cpu, "WRMSR of illegal value %llx to %s (%08x)", (unsigned long long)value,
                        row->name, number);
        return cpu_raise_code(cpu, EXC_GP, 0);
    }
    if (is_memory_map(row, number))
        paging_flush_all(cpu->paging); /* of every ASID: APM vol 2, 15.16.1 "TLB Flush" */
    probe(cpu, number, true, value);
    return STEP_NEXT;
}

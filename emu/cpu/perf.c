/* Performance counters. */
#include "emu/cpu/perf.h"

#include "emu/cpu/cpuid.h"
#include "svm/pmc.h"

/* PERF_CTLn. APM vol 2, figure 13-11 "Core Performance Event-Select Register". */
#define CTL_USR (1u << 16)
#define CTL_OS (1u << 17)
#define CTL_EDGE (1u << 18)
#define CTL_EN (1u << 22)
#define CTL_INV (1u << 23)
#define CTL_MASK_SHIFT 24
#define CTL_GUEST (UINT64_C(1) << 40)
#define CTL_HOST (UINT64_C(1) << 41)

/* Events by their numbers in the processor manuals of families 17h and 19h. */
enum perf_event {
    EVENT_CLOCKS = 0x076,
    EVENT_INSNS = 0x0c0,
    EVENT_BRANCHES = 0x0c2, /* with exceptions and interrupts */
    EVENT_TAKEN = 0x0c4
};

unsigned perf_count(const struct vcpu *cpu)
{
    return cpu_has(cpu, CPU_FEATURE_PERFCTR_CORE) ? PERF_COUNTERS : 4;
}

/* APM vol 2, figure 13-12 "Performance Counter Global Control", 13-13 "Performance Counter Global Status Register". */
static bool enabled_globally(const struct vcpu *cpu, unsigned n)
{
    return (cpu->msr.perf_global_ctl >> n & 1) &&
           !(cpu->msr.perf_global_status & PERF_STATUS_FROZEN);
}

static unsigned event_of(uint64_t control)
{
    return (unsigned)(control & 0xff) | (unsigned)(control >> 32 & 0xf) << 8;
}

/* CHOICE: one event happens in a clock. So CNT_MASK 1 is as good as 0, a larger one never met; and inverted or edge-detecting
 * counters, which would count clocks in which nothing happens, stand still. */
static bool counts_events(uint64_t control)
{
    return (control & CTL_EN) && !(control & (CTL_INV | CTL_EDGE)) &&
           (control >> CTL_MASK_SHIFT & 0xff) <= 1;
}

/* Tables 13-4 and 13-6: the level, and whether the processor is a guest. */
static bool qualifies(const struct vcpu *cpu, uint64_t control)
{
    bool svme = cpu->regs.efer & EFER_SVME;
    if (!(control & (cpu->regs.cpl ? CTL_USR : CTL_OS)))
        return false;
    if (!(control & (CTL_GUEST | CTL_HOST)))
        return true;
    return svme && (control & (svm_guest(cpu) ? CTL_GUEST : CTL_HOST));
}

static bool counts(const struct vcpu *cpu, unsigned n, enum perf_event event)
{
    uint64_t control = cpu->msr.perf_ctl[n];
    return counts_events(control) && qualifies(cpu, control) && event_of(control) == event;
}

/* Who counts what from now on. */
static void choose(struct vcpu *cpu)
{
    struct cpu_perf *perf = &cpu->perf;
    *perf = (struct cpu_perf){ .since = cpu_insns(cpu), .iterations = cpu->iterations };
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        uint64_t control = cpu->msr.perf_ctl[n];
        unsigned event = event_of(control);
        if (!counts_events(control) || !enabled_globally(cpu, n))
            continue;
        perf->active |= event == EVENT_INSNS || event == EVENT_CLOCKS;
        perf->branches |= event == EVENT_BRANCHES || event == EVENT_TAKEN;
        if (counts(cpu, n, EVENT_INSNS))
            perf->insns |= (uint8_t)(1u << n);
        if (counts(cpu, n, EVENT_CLOCKS))
            perf->clocks |= (uint8_t)(1u << n);
        if (counts(cpu, n, EVENT_BRANCHES))
            perf->all_branches |= (uint8_t)(1u << n);
        if (counts(cpu, n, EVENT_TAKEN))
            perf->taken_branches |= (uint8_t)(1u << n);
    }
    perf->active |= perf->branches; /* the level counts for them too */
}

void perf_reset(struct vcpu *cpu)
{
    cpu->perf = (struct cpu_perf){ 0 };
    for (unsigned n = 0; n < PERF_COUNTERS; n++)
        cpu->msr.perf_ctl[n] = cpu->msr.perf_ctr[n] = 0;
    cpu->msr.perf_global_ctl = PERF_GLOBAL_CTL_RESET;
    cpu->msr.perf_global_status = 0;
    for (unsigned which = PERF_MPERF; which <= PERF_IRPERF; which++)
        perf_set_clock(cpu, (enum perf_clock)which, 0);
}

void perf_settle(struct vcpu *cpu)
{
    if (EMU_UNLIKELY(count_settle(cpu)))
        svm_pmc_overflow(cpu);
    choose(cpu);
}

uint64_t perf_distance(const struct vcpu *cpu)
{
    uint64_t distance = UINT64_MAX;
    unsigned counting = cpu->perf.insns | cpu->perf.clocks;
    for (unsigned n = 0; counting >> n; n++) {
        uint64_t left = PERF_CTR_VALID + 1 - cpu->msr.perf_ctr[n];
        if ((counting >> n & 1) && (cpu->msr.perf_ctl[n] & PERF_CTL_INT) && left < distance)
            distance = left;
    }
    return distance;
}

void perf_branch(struct vcpu *cpu, bool taken)
{
    unsigned counters = cpu->perf.all_branches | (taken ? cpu->perf.taken_branches : 0u);
    if (EMU_UNLIKELY(count_add(cpu, counters, 1)))
        svm_pmc_overflow(cpu);
}

/* --- the registers --- */

uint64_t perf_counter(struct vcpu *cpu, unsigned n)
{
    perf_settle(cpu);
    return cpu->msr.perf_ctr[n];
}

/* CHOICE: the instruction that writes is counted already by what it starts, and no more by what it stops. */
void perf_set_counter(struct vcpu *cpu, unsigned n, uint64_t value)
{
    perf_settle(cpu);
    cpu->msr.perf_ctr[n] = value & PERF_CTR_VALID;
}

void perf_set_control(struct vcpu *cpu, unsigned n, uint64_t value)
{
    perf_settle(cpu);
    cpu->msr.perf_ctl[n] = value;
    choose(cpu);
}

/* CHOICE: a write to the status register is ignored, and the two that clear and set its bits read 0; the bit of the LBR stack,
 * which does not exist, cannot be set. */
uint64_t perf_global(struct vcpu *cpu, enum perf_global which)
{
    perf_settle(cpu);
    return which == PERF_GLOBAL_STATUS ? cpu->msr.perf_global_status
           : which == PERF_GLOBAL_CTL  ? cpu->msr.perf_global_ctl
                                       : 0;
}

void perf_set_global(struct vcpu *cpu, enum perf_global which, uint64_t value)
{
    perf_settle(cpu);
    switch (which) {
    case PERF_GLOBAL_STATUS: break;
    case PERF_GLOBAL_CTL: cpu->msr.perf_global_ctl = value & PERF_GLOBAL_CTL_VALID; break;
    case PERF_GLOBAL_CLEAR: cpu->msr.perf_global_status &= ~value; break;
    case PERF_GLOBAL_SET: cpu->msr.perf_global_status |= value & PERF_STATUS_VALID; break;
    }
    choose(cpu);
}

static uint64_t *clock_word(struct vcpu *cpu, enum perf_clock which)
{
    return which == PERF_MPERF   ? &cpu->msr.mperf
           : which == PERF_APERF ? &cpu->msr.aperf
                                 : &cpu->msr.irperf;
}

uint64_t perf_clock(struct vcpu *cpu, enum perf_clock which)
{
    return *clock_word(cpu, which) + count_clock_base(cpu, which);
}

void perf_set_clock(struct vcpu *cpu, enum perf_clock which, uint64_t value)
{
    *clock_word(cpu, which) = value - count_clock_base(cpu, which);
}

void perf_enable_irperf(struct vcpu *cpu, bool enable)
{
    uint64_t value = perf_clock(cpu, PERF_IRPERF);
    if (enable)
        cpu->msr.hwcr |= HWCR_IRPERF_EN;
    else
        cpu->msr.hwcr &= ~(uint64_t)HWCR_IRPERF_EN;
    perf_set_clock(cpu, PERF_IRPERF, value);
}

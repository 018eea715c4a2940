/* What the performance counters have counted. */
#include "emu/cpu/count.h"

static bool add(struct vcpu *cpu, unsigned n, uint64_t events)
{
    uint64_t sum = cpu->msr.perf_ctr[n] + events;
    cpu->msr.perf_ctr[n] = sum & PERF_CTR_VALID;
    if (EMU_LIKELY(sum <= PERF_CTR_VALID))
        return false;
    cpu->msr.perf_global_status |= UINT64_C(1) << n;
    return cpu->msr.perf_ctl[n] & PERF_CTL_INT;
}

bool count_add(struct vcpu *cpu, unsigned counters, uint64_t events)
{
    bool overflow = false;
    for (unsigned n = 0; counters >> n; n++)
        if (counters >> n & 1)
            overflow |= add(cpu, n, events);
    return overflow;
}

bool count_settle(struct vcpu *cpu)
{
    struct cpu_perf *perf = &cpu->perf;
    uint64_t clocks = cpu_insns(cpu) - perf->since;
    uint64_t insns = clocks - (cpu->iterations - perf->iterations);
    perf->since += clocks;
    perf->iterations = cpu->iterations;
    bool overflow = count_add(cpu, perf->clocks, clocks);
    return count_add(cpu, perf->insns, insns) || overflow;
}

void count_anew(struct vcpu *cpu)
{
    cpu->perf =
        (struct cpu_perf){ .active = true, .since = cpu_insns(cpu), .iterations = cpu->iterations };
}

/* CHOICE: MPERF and APERF count one for an instruction or an iteration of a string instruction, nothing while the processor
 * waits: it runs at its nominal frequency. What is stored is the distance from that number, or from the number of
 * instructions; of IRPERF while it stands still the value. A string instruction is one, however often it iterates. */
uint64_t count_clock_base(const struct vcpu *cpu, enum perf_clock which)
{
    uint64_t clocks = cpu_insns(cpu);
    if (which != PERF_IRPERF)
        return clocks;
    return cpu->msr.hwcr & HWCR_IRPERF_EN ? clocks - cpu->iterations : 0;
}

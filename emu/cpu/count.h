/* What the performance counters have counted. APM vol 2, 13.2 "Performance Monitoring Counters", 17.3 "Determining Processor
 * Effective Frequency". Of emu/cpu/perf.h, which says who counts what, the part that VMRUN and #VMEXIT need as well: they
 * exchange the counters of a guest that has its own. */
#ifndef EMU_CPU_COUNT_H
#define EMU_CPU_COUNT_H

#include "emu/cpu/state.h"

#define PERF_COUNTERS 6u /* without the extension the first four */
#define PERF_BITS 48u
#define PERF_CTR_VALID ((UINT64_C(1) << PERF_BITS) - 1)
#define PERF_CTL_VALID UINT64_C(0x0000030fffd7ffff) /* figure 13-11; reserved bits read 0 */
#define PERF_CTL_INT (1u << 20)

/* PERF_GLOBAL_CTL and STATUS. Bit n: of counter n. CHOICE: RESET enables all: software that does not know the registers counts. */
#define PERF_GLOBAL_CTL_VALID UINT64_C(0x3f)
#define PERF_GLOBAL_CTL_RESET PERF_GLOBAL_CTL_VALID
#define PERF_STATUS_FROZEN (UINT64_C(1) << 59)
#define PERF_STATUS_VALID (UINT64_C(0x3f) | PERF_STATUS_FROZEN)

#define HWCR_IRPERF_EN (1u << 30)

/* Clocks that were not spent waiting, as MPERF and APERF count them, and instructions as IRPERF does. */
enum perf_clock { PERF_MPERF, PERF_APERF, PERF_IRPERF };

/* The counters in the bit mask `counters` get `events` more. true: one has overflowed that asks for its interrupt. */
EMU_MUST_USE bool count_add(struct vcpu *cpu, unsigned counters, uint64_t events);

/* What has retired since the last time goes to those that cpu->perf says. true: as above. */
EMU_MUST_USE bool count_settle(struct vcpu *cpu);

/* The registers are exchanged: nobody counts until the run loop has seen what the new ones say. */
void count_anew(struct vcpu *cpu);

/* MPERF, APERF, IRPERF: the value is the word in struct cpu_msrs and this. */
uint64_t count_clock_base(const struct vcpu *cpu, enum perf_clock which);

#endif

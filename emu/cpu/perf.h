/* Performance counters, MPERF, APERF and IRPERF. APM vol 2, 13.2 "Performance Monitoring Counters", 17.3 "Determining
 * Processor Effective Frequency".
 *
 * Counted is what is real here: retired instructions, and clocks, of which each instruction and each iteration of a string
 * instruction takes one; branches, while a counter asks for them, in blocks of one instruction. Instructions are not counted one by one: their number is known, and
 * who gets them is settled whenever level, world or a register changes. Nothing is done while no counter is enabled. */
#ifndef EMU_CPU_PERF_H
#define EMU_CPU_PERF_H

#include "emu/cpu/count.h"
#include "emu/cpu/raise.h"

/* How many counters the model has. */
unsigned perf_count(const struct vcpu *cpu);

/* PERF_CTLn and PERF_CTRn; n below PERF_COUNTERS. A write takes effect at once. */
uint64_t perf_counter(struct vcpu *cpu, unsigned n);
void perf_set_counter(struct vcpu *cpu, unsigned n, uint64_t value);
void perf_set_control(struct vcpu *cpu, unsigned n, uint64_t value);

/* PERF_GLOBAL_STATUS, CTL, STATUS_CLR, STATUS_SET, in the order of their numbers: a write takes effect at once. */
enum perf_global { PERF_GLOBAL_STATUS, PERF_GLOBAL_CTL, PERF_GLOBAL_CLEAR, PERF_GLOBAL_SET };
uint64_t perf_global(struct vcpu *cpu, enum perf_global which);
void perf_set_global(struct vcpu *cpu, enum perf_global which, uint64_t value);

/* RESET: nothing counts. */
void perf_reset(struct vcpu *cpu);

/* Settle who gets what has retired since the last time, and see who counts from now on. Counters that overflow ask for
 * their interrupt. The run loop does this between blocks while cpu->perf.active. */
void perf_settle(struct vcpu *cpu);
/* Instructions until a counter overflows that asks for an interrupt, or UINT64_MAX. */
uint64_t perf_distance(const struct vcpu *cpu);

/* A branch instruction retired, or an exception or interrupt was delivered (taken). Only while cpu->perf.branches. */
void perf_branch(struct vcpu *cpu, bool taken);

/* MPERF, APERF, IRPERF. */
uint64_t perf_clock(struct vcpu *cpu, enum perf_clock which);
void perf_set_clock(struct vcpu *cpu, enum perf_clock which, uint64_t value);
/* IRPERF counts while HWCR.IRPerfEn is 1, which this sets or clears. */
void perf_enable_irperf(struct vcpu *cpu, bool enable);

#endif

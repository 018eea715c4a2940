/* bench.h: what a workload gives and what it gets. */
#ifndef BENCH_ROMS_BENCH_H
#define BENCH_ROMS_BENCH_H

#include <stdint.h>

/* System physical memory that workloads use as they like: far above the image and its page pool,
 * and well below the 256 MiB that bench/run gives the machine. */
#define BENCH_DATA_SPA UINT64_C(0x04000000)

/* Name of the workload, printed in front of its result. Each workload defines it. */
extern const char bench_name[];

/* Prepare and run the workload.
 * n  repetitions; preparation is done for n = 0 too, so that subtracting a run with n = 0 leaves
 *    the repetitions alone
 * Returns a checksum that depends on all work done. Each workload defines it. */
uint64_t bench_run(uint64_t n);

/* End the program as failed.
 * what   what went wrong    value  the value that was wrong */
_Noreturn void bench_fail(const char *what, uint64_t value);

/* Next value of a 64-bit linear congruential sequence with full period: its upper half. */
static inline uint64_t bench_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 32;
}

/* Fold a value into a checksum, depending on order. */
static inline uint64_t bench_mix(uint64_t sum, uint64_t value)
{
    return ((sum << 7) | (sum >> 57)) ^ value;
}

#endif

/* fp.h: opening x87, SSE and AVX to a workload. */
#ifndef BENCH_ROMS_FP_H
#define BENCH_ROMS_FP_H

#include <stdbool.h>
#include <stdint.h>

struct bench_features {
    bool avx2, sha;
};

/* Set CR0, CR4 and XCR0 for everything that the processor offers; FNINIT. Fails without SSE2.
 * Returns what it offers beyond. */
struct bench_features bench_fp_on(void);

#endif

/* quicksort.c: recursive quicksort of 65,536 random numbers: branches nobody can predict. */
#include "bench/roms/bench.h"

#define SORT_COUNT 65536

const char bench_name[] = "quicksort";

static uint32_t values[SORT_COUNT];

/* Sort first[0] to last[0], both included. The smaller part is sorted by recursion, so that the
 * stack stays below 17 frames. */
static void sort_range(uint32_t *first, uint32_t *last)
{
    while (first < last) {
        uint32_t pivot = first[(last - first) / 2];
        uint32_t *low = first;
        uint32_t *high = last;

        while (low <= high) {
            while (*low < pivot)
                low++;
            while (*high > pivot)
                high--;
            if (low <= high) {
                uint32_t swap = *low;

                *low++ = *high;
                *high-- = swap;
            }
        }
        if (high - first < last - low) {
            sort_range(first, high);
            first = low;
        } else {
            sort_range(low, last);
            last = high;
        }
    }
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;
    uint64_t seed = 2;

    for (uint64_t i = 0; i < n; i++) {
        for (int k = 0; k < SORT_COUNT; k++)
            values[k] = (uint32_t)bench_random(&seed);
        sort_range(values, values + SORT_COUNT - 1);
        for (int k = 1; k < SORT_COUNT; k++)
            if (values[k - 1] > values[k])
                bench_fail("not sorted at", (uint64_t)k);
        sum = bench_mix(sum, values[SORT_COUNT / 2]);
    }
    return sum;
}

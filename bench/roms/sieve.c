/* sieve.c: sieve of Eratosthenes over a megabyte of bytes: strided byte stores in short loops. */
#include "bench/roms/bench.h"

#define SIEVE_LIMIT 1000000u

const char bench_name[] = "sieve";

static uint8_t composite[SIEVE_LIMIT];

static uint64_t sieve_count(void)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < SIEVE_LIMIT; i++)
        composite[i] = 0;
    for (uint32_t i = 2; i < SIEVE_LIMIT; i++) {
        if (composite[i])
            continue;
        count++;
        for (uint64_t j = (uint64_t)i * i; j < SIEVE_LIMIT; j += i)
            composite[j] = 1;
    }
    return count;
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum = bench_mix(sum, sieve_count());
    return sum;
}

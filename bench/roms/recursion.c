/* recursion.c: Fibonacci numbers by recursion: CALL, RET, PUSH and POP.
 * Two functions call each other and neither may be inlined: otherwise compilers unroll the
 * recursion into loops, and each does it in its own way. */
#include "bench/roms/bench.h"

const char bench_name[] = "recursion";

static uint64_t fib_two(uint64_t k);

__attribute__((noinline)) static uint64_t fib_one(uint64_t k)
{
    return k < 2 ? k : fib_two(k - 1) + fib_two(k - 2);
}

__attribute__((noinline)) static uint64_t fib_two(uint64_t k)
{
    return k < 2 ? k : fib_one(k - 1) + fib_one(k - 2);
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum = bench_mix(sum, fib_one(20 + (i & 1)));
    return sum;
}

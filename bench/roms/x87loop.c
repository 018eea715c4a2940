/* x87loop.c: polynomials, quotients and square roots in double-extended precision. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#define TERMS 64

const char bench_name[] = "x87loop";

static double coefficient[TERMS];

/* Horner's rule at x, then sqrt(|p|) / (1 + x). */
static double evaluate(double x)
{
    double result;
    const double *at = coefficient;
    uint64_t left = TERMS;

    __asm__("fldl %3\n\t"
            "fldz\n"
            "1:\n\t"
            "fmul %%st(1), %%st\n\t"
            "faddl (%0)\n\t"
            "addq $8, %0\n\t"
            "decq %1\n\t"
            "jnz 1b\n\t"
            "fabs\n\t"
            "fsqrt\n\t"
            "fxch\n\t"
            "fld1\n\t"
            "faddp\n\t"
            "fdivrp\n\t"
            "fstpl %2"
            : "+r"(at), "+r"(left), "=m"(result)
            : "m"(x)
            : "cc", "memory");
    return result;
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0, seed = 3;

    (void)bench_fp_on();
    for (int i = 0; i < TERMS; i++)
        coefficient[i] = (double)(int64_t)bench_random(&seed) / 4e9 - 0.5;
    for (uint64_t i = 0; i < n; i++) {
        union {
            double value;
            uint64_t bits;
        } both = { evaluate((double)(int64_t)(i % 1000) / 1001) };

        sum = bench_mix(sum, both.bits);
    }
    return sum;
}

/* matmul.c: a product of matrices of doubles, one element at a time: MOVSD, MULSD, ADDSD. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#define SIDE 48

const char bench_name[] = "matmul";

static double left[SIDE][SIDE];
static double right[SIDE][SIDE];
static double product[SIDE][SIDE];

static void multiply(void)
{
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) {
            double sum = 0;

            for (int k = 0; k < SIDE; k++)
                sum += left[row][k] * right[k][column];
            product[row][column] = sum;
        }
}

static uint64_t bits(double value)
{
    union {
        double value;
        uint64_t bits;
    } both = { value };

    return both.bits;
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0, seed = 7;

    (void)bench_fp_on();
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) {
            left[row][column] = (double)(int64_t)bench_random(&seed) / 1e9 - 2;
            right[row][column] = (double)(int64_t)bench_random(&seed) / 3e9 - 0.5;
        }
    for (uint64_t i = 0; i < n; i++) {
        multiply();
        left[i % SIDE][(i / SIDE) % SIDE] = product[(i * 7) % SIDE][(i * 11) % SIDE] * 0.01;
        sum = bench_mix(sum, bits(product[(i * 3) % SIDE][(i * 5) % SIDE]));
    }
    return sum;
}

/* intmix.c: a modular matrix product and chains of MUL, DIV and IDIV of every width. */
#include "bench/roms/bench.h"

#define SIDE 24
#define MODULUS 1000003

const char bench_name[] = "intmix";

static int32_t left[SIDE][SIDE];
static int32_t right[SIDE][SIDE];
static int32_t product[SIDE][SIDE];

static void multiply(void)
{
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) {
            int64_t sum = 0;

            for (int k = 0; k < SIDE; k++)
                sum += (int64_t)left[row][k] * right[k][column];
            product[row][column] = (int32_t)(sum % MODULUS);
        }
}

/* RDX:RAX = a * b: the 128-bit form, which C17 has no type for. */
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    uint64_t high;

    __asm__("mulq %2" : "=d"(high), "+a"(a) : "r"(b) : "cc");
    return high;
}

static uint64_t divide_chain(uint64_t seed)
{
    uint64_t sum = 0;

    for (int i = 0; i < 256; i++) {
        uint64_t value = bench_random(&seed);
        uint64_t divisor = bench_random(&seed) | 1;

        sum += (seed / divisor) ^ (seed % divisor);
        sum += (uint32_t)value / ((uint32_t)divisor & 0xffff);
        sum += (uint64_t)((int64_t)(int32_t)value / (int32_t)((divisor & 0xff) | 1));
        sum ^= multiply_high(seed, value << 17);
        sum += (uint64_t)((int16_t)value * (int16_t)divisor);
    }
    return sum;
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;
    uint64_t seed = 5;

    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) {
            left[row][column] = (int32_t)(bench_random(&seed) % MODULUS);
            right[row][column] = (int32_t)(bench_random(&seed) % MODULUS);
        }
    for (uint64_t i = 0; i < n; i++) {
        multiply();
        left[i % SIDE][(i / SIDE) % SIDE] = product[(i * 7) % SIDE][(i * 11) % SIDE];
        sum = bench_mix(sum, (uint64_t)(int64_t)product[(i * 3) % SIDE][(i * 5) % SIDE]);
        sum = bench_mix(sum, divide_chain(i));
    }
    return sum;
}

/* repcopy.c: REP MOVSB, REP MOVSQ and REP STOSQ from 8 bytes to 32 KiB, aligned and not. */
#include "bench/roms/bench.h"

#define COPY_BYTES 65536u

const char bench_name[] = "repcopy";

static uint8_t source[COPY_BYTES + 64];
static uint8_t target[COPY_BYTES + 64];

static void rep_movsb(void *to, const void *from, uint64_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void rep_movsq(void *to, const void *from, uint64_t quads)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(quads) : : "memory");
}

static void rep_stosq(void *to, uint64_t value, uint64_t quads)
{
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(quads) : "a"(value) : "memory");
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;
    uint64_t seed = 4;

    for (uint32_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)bench_random(&seed);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t skew = (uint32_t)(i * 13) % 64;

        /* Many small ones, few large ones: 8 KiB in every size, and the largest once. */
        for (uint32_t bytes = 8; bytes <= COPY_BYTES; bytes *= 8)
            for (uint32_t done = 0; done < 8192; done += bytes) {
                uint32_t at = done % (COPY_BYTES - bytes + 1);

                rep_stosq(target + at, i, bytes / 8);
                rep_movsq(target + at, source + at, bytes / 8);
                rep_movsb(target + skew, source + at, bytes);
            }
        sum = bench_mix(sum, target[(i * 257) % COPY_BYTES]);
    }
    for (uint32_t i = 0; i < COPY_BYTES; i++)
        sum = bench_mix(sum, target[i]);
    return sum;
}

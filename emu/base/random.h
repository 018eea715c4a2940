/* Random numbers a guest may ask for (RDRAND, RDSEED): a function of the seed, so that a run can be repeated. */
#ifndef EMU_BASE_RANDOM_H
#define EMU_BASE_RANDOM_H

#include <stdint.h>

/* SplitMix64 (Steele, Lea, Flood 2014): one word of state, good to save and to hash. */
struct random_source {
    uint64_t state;
};

/* The next 64 random bits. */
static inline uint64_t random_next(struct random_source *source)
{
    uint64_t z = source->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif

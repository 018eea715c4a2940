/* Numbers at random, and values near the borders of every width. */
#include "tests/differential/differential.h"
#include "tests/random.h"

uint64_t random_bits(struct diff_random *random)
{
    return test_random(&random->state);
}

unsigned random_below(struct diff_random *random, unsigned n)
{
    return (unsigned)((random_bits(random) >> 32) * n >> 32);
}

bool random_chance(struct diff_random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

uint64_t random_edge(struct diff_random *random)
{
    static const uint64_t borders[] = {
        0,         1,      0x0f,       0x7f,       0x80,       0xff,      0x7fff,
        0x8000,    0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MIN,
        UINT64_MAX
    };
    uint64_t r = random_bits(random);
    uint64_t border = borders[(r >> 8) % (sizeof(borders) / sizeof(borders[0]))];
    switch (r & 7) {
    case 0: return border;
    case 1: return border + (r >> 16 & 7) - 3;
    case 2: return r >> 8 & 0xff;
    case 3: return r >> 8 & 0xffff;
    case 4: return UINT64_C(1) << (r >> 8 & 63);
    case 5: return border | border << 32;
    default: return random_bits(random) >> (r >> 8 & 31);
    }
}

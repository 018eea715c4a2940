/* The first guests of fuzz_guest: a fixed sequence of random numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/random.h"

#define SEEDS 200
#define BYTES_MAX 700

static uint64_t next_random(uint64_t *state)
{
    return test_random(state) >> 24;
}

static int write_seed(const char *folder, unsigned n)
{
    uint64_t random = 0x9e3779b97f4a7c15u * (n + 1);
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/guest-%03u", folder, n);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 1;
    unsigned len = 150 + (unsigned)(next_random(&random) % (BYTES_MAX - 150));
    for (unsigned i = 0; i < len; i++)
        (void)fputc((int)(next_random(&random) & 0xff), file);
    return fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    (void)mkdir(argv[1], 0777);
    for (unsigned n = 0; n < SEEDS; n++)
        if (write_seed(argv[1], n) != 0) {
            (void)fprintf(stderr, "%s: seeds cannot be written\n", argv[1]);
            return 1;
        }
    return 0;
}

/* Writing seeds that are texts or bytes: one file for each row. */
#ifndef TESTS_FUZZ_SEED_TEXT_H
#define TESTS_FUZZ_SEED_TEXT_H

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

struct seed {
    const char *name, *bytes;
    size_t size;
};
#define SEED(name, bytes)              \
    {                                  \
        name, bytes, sizeof(bytes) - 1 \
    }

static inline int write_seeds(int argc, char **argv, const struct seed *seed, size_t count)
{
    if (argc != 2)
        return 2;
    (void)mkdir(argv[1], 0777);
    for (size_t i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], seed[i].name);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(seed[i].bytes, 1, seed[i].size, file) != seed[i].size ||
            fclose(file) != 0) {
            (void)fprintf(stderr, "%s: cannot be written\n", path);
            return 1;
        }
    }
    return 0;
}

#endif

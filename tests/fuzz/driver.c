/* Run a fuzz target without libFuzzer: every file of a corpus folder, then mutations of them.
 * usage: <target> FOLDER MUTATIONS [SEED]
 * The same folder, number and seed give the same inputs, on every workstation. A target that finds something aborts;
 * the input is then in the file crash-input of the current folder, written before each run when FUZZ_KEEP is set. With
 * FUZZ_EVERY=N only each N-th file is run by itself; mutations are of all. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/random.h"

#define FILES_MAX 1024
#define INPUT_MAX (1u << 20)
#define SECONDS_MAX 120 /* an input that takes longer hangs: SIGALRM ends the program */

struct input {
    uint8_t *bytes;
    size_t len;
};

struct corpus {
    unsigned count;
    struct input file[FILES_MAX];
};

static bool read_file(const char *path, struct input *input)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    input->bytes = malloc(INPUT_MAX);
    input->len = input->bytes ? fread(input->bytes, 1, INPUT_MAX, file) : 0;
    (void)fclose(file);
    uint8_t *exact = input->bytes ? realloc(input->bytes, input->len ? input->len : 1) : NULL;
    input->bytes = exact ? exact : input->bytes;
    return input->bytes != NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool read_corpus(const char *folder, struct corpus *corpus)
{
    struct dirent **entry;
    int count = scandir(folder, &entry, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && corpus->count < FILES_MAX &&
            read_file(path, &corpus->file[corpus->count]))
            corpus->count++;
        free(entry[i]);
    }
    if (count >= 0)
        free(entry);
    return corpus->count != 0;
}

/* A copy of exactly the input's length, so that a sanitizer sees every byte too far. */
static void run_one(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact)
        return;
    memcpy(exact, bytes, len);
    if (getenv("FUZZ_KEEP")) {
        FILE *file = fopen("crash-input", "wb");
        if (file) {
            (void)fwrite(bytes, 1, len, file);
            (void)fclose(file);
        }
    }
    (void)alarm(SECONDS_MAX);
    (void)LLVMFuzzerTestOneInput(exact, len);
    (void)alarm(0);
    free(exact);
}

/* Most changes hit the first 2 KiB: headers live there. */
static void mutate_once(struct input *work, uint64_t *random)
{
    static const uint32_t edge[] = { 0,          1,          7,       8,          0xff,
                                     0x7f,       0xffff,     0x10000, 0x7fffffff, 0x80000000,
                                     0xffffffff, 0xfffffff0, 0x9fc00, 0xa0000,    0x100000,
                                     0x800000,   0x7ff000,   64 };
    size_t span = test_random(random) % 4 && work->len > 2048 ? 2048 : work->len;
    if (span < 8)
        return;
    size_t at = test_random(random) % (span - 7);
    uint32_t value = edge[test_random(random) % (sizeof(edge) / sizeof(edge[0]))];
    switch (test_random(random) % 6) {
    case 0: work->bytes[at] ^= (uint8_t)(1u << test_random(random) % 8); break;
    case 1: work->bytes[at] = (uint8_t)test_random(random); break;
    case 2: memcpy(work->bytes + (at & ~(size_t)3), &value, 4); break;
    case 3: memcpy(work->bytes + (at & ~(size_t)7), (uint64_t[]){ value }, 8); break;
    case 4: work->len = test_random(random) % (work->len + 1); break;
    default: memmove(work->bytes + at, work->bytes + test_random(random) % (span - 7), 4); break;
    }
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    static uint8_t bytes[INPUT_MAX];
    if (argc < 3 || !read_corpus(argv[1], &corpus)) {
        (void)fprintf(stderr, "usage: %s FOLDER MUTATIONS [SEED]; the folder must hold inputs\n",
                      argv[0]);
        return 2;
    }
    unsigned long count = strtoul(argv[2], NULL, 0);
    uint64_t random = argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 1;

    const char *every = getenv("FUZZ_EVERY");
    unsigned step = every && atoi(every) > 0 ? (unsigned)atoi(every) : 1;
    for (unsigned i = 0; i < corpus.count; i += step)
        run_one(corpus.file[i].bytes, corpus.file[i].len);
    for (unsigned long i = 0; i < count; i++) {
        const struct input *from = &corpus.file[test_random(&random) % corpus.count];
        struct input work = { bytes, from->len };
        memcpy(bytes, from->bytes, from->len);
        for (uint64_t changes = 1 + test_random(&random) % 6; changes; changes--)
            mutate_once(&work, &random);
        run_one(work.bytes, work.len);
    }
    for (unsigned i = 0; i < corpus.count; i++)
        free(corpus.file[i].bytes);
    (void)printf("%u files, %lu mutations\n", corpus.count, count);
    return 0;
}

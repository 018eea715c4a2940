/* `pacifica test`: runs ROMs and holds what they do against their expectations. docs/test-roms.md says how it looks from
 * outside. Each ROM runs in a process of its own: whatever it may do to the emulator, the others go on. */
#ifndef EMU_CLI_TEST_H
#define EMU_CLI_TEST_H

#include "emu/cli/expect.h"
#include "emu/cli/files.h"

#include <stdio.h>

#define TEST_MAX_INSNS UINT64_C(200000000)
#define TEST_LAST 16
#define TEST_LAST_MOST 1000

/* What the command line of `pacifica test` says. Texts are borrowed from it. */
struct test_options {
    const char *const *paths;
    unsigned path_count;
    const char *filter, *junit;
    unsigned jobs; /* 0: as many as there are processors */
    unsigned last; /* events in the report of a ROM that failed */
    uint64_t max_insns;
    bool times;
    bool help;
};

/* Parse the words behind `test`. PACIFICA_OK, PACIFICA_EUSAGE; `paths` is to be freed by the caller. */
enum pacifica_status test_options_parse(struct test_options *options, int argc,
                                        const char *const *argv, struct pacifica_diag *diag);
void test_help(void);

/* A ROM with its result. Invariant: `report` is NULL until it has run; then it holds two texts, each with its NUL: what
 * failed (or, if it passed, what there is to say), and the last events. */
struct rom {
    char *path, *name; /* name: the path from the folder that was given, without ending */
    struct expectation expectation;
    char *report;
    size_t report_size;
    bool passed;
    uint64_t ms;
    int pid, fd; /* while it runs */
};

struct rom_list {
    struct rom *rom;
    size_t count, room;
};

/* Find the ROMs behind the paths that the filter lets through, sorted by name, with their expectations.
 * PACIFICA_EIO (a path is not there), PACIFICA_EUSAGE (an expectation is malformed, or no ROM is there),
 * PACIFICA_ENOMEM. test_free() is needed in any case. */
enum pacifica_status test_find(const struct test_options *options, struct rom_list *list,
                               struct pacifica_diag *diag);
void test_free(struct rom_list *list);

/* Run one ROM to its end and judge it. Writes the report's two texts with their NULs to `out`. Returns whether it passed. */
bool test_run(const struct rom *rom, const struct test_options *options, FILE *out);

/* What a run came to, for judging. */
struct rom_outcome {
    struct pacifica_result result;
    const char *output;
    size_t output_size;
    uint64_t state_hash; /* if the expectation has one */
};

/* Hold an outcome against an expectation: one line to `out` for each check that failed, or one line in praise. Returns
 * whether all passed. *bad_at: where in the output the first failure stands, or SIZE_MAX. */
bool test_judge(const struct expectation *expectation, const struct rom_outcome *outcome, FILE *out,
                size_t *bad_at);

/* Write bytes of a guest in printable form, at most so many of them, without a line end. */
void test_put(FILE *out, const char *bytes, size_t size, size_t most);

/* Run all, so many at a time, and call `done` for each in the order of the list. */
void test_pool(struct rom_list *list, const struct test_options *options,
               void (*done)(void *self, const struct rom *rom, size_t index), void *self);

/* Writers of results. */
void test_tap_begin(size_t count);
void test_tap_rom(const struct rom *rom, size_t index, bool times);
enum pacifica_status test_junit(const struct rom_list *list, const struct test_options *options,
                                struct pacifica_diag *diag);

/* The subcommand. Returns the exit status: 0 all passed, 1 some failed, 2 bad usage or files. */
int test_main(int argc, const char *const *argv);

#endif

/* The native oracle's program: see README.md. */
#include "tests/differential/differential.h"

#include <Zydis/Mnemonic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPORTED_MAX 20u

struct options {
    uint64_t seed, count;
    uint64_t coverage;        /* tell which forms ran less often than this */
    unsigned reported, modes; /* modes: bits */
    const char *only;         /* mnemonics that begin so */
};

static uint64_t by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1], by_vector[256], by_mode[DIFF_MODES];
static uint64_t differing[ZYDIS_MNEMONIC_MAX_VALUE + 1];

static void usage(void)
{
    (void)fputs("usage: differential [--seed N] [--count N] [--modes 64,32,16] [--report N] "
                "[--coverage N] [--only MNEMONIC]\n"
                "Compares random instructions with the workstation's processor.\n",
                stderr);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    if (!text)
        usage();
    unsigned long long value = strtoull(text, &end, 0);
    if (*end || end == text)
        usage();
    return value;
}

static struct options parse(int argc, char **argv)
{
    struct options options = { .seed = 1, .count = 1000000, .reported = REPORTED_MAX, .modes = 7 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0)
            options.seed = number(argv[++i]);
        else if (strcmp(argv[i], "--count") == 0)
            options.count = number(argv[++i]);
        else if (strcmp(argv[i], "--report") == 0)
            options.reported = (unsigned)number(argv[++i]);
        else if (strcmp(argv[i], "--modes") == 0 && argv[i + 1]) {
            const char *text = argv[++i];
            options.modes = (strstr(text, "64") ? 1u : 0) | (strstr(text, "32") ? 2u : 0) |
                            (strstr(text, "16") ? 4u : 0);
        } else if (strcmp(argv[i], "--only") == 0 && argv[i + 1])
            options.only = argv[++i];
        else if (strcmp(argv[i], "--coverage") == 0)
            options.coverage = number(argv[++i]);
        else
            usage();
    }
    if (options.count == 0 || options.modes == 0)
        usage();
    return options;
}

static unsigned choose_mode(struct diff_random *random, unsigned modes)
{
    unsigned mode;
    do {
        mode = random_chance(random, 50) ? DIFF_64 : 1 + random_below(random, 2);
    } while (!(modes >> mode & 1));
    return mode;
}

static void tally(const struct diff_case *ran, const struct diff_outcome *native)
{
    by_mnemonic[ran->mnemonic]++;
    by_vector[native->vector & 255]++;
    by_mode[ran->mode]++;
}

static void print_totals(void)
{
    unsigned mnemonics = 0;
    for (unsigned m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++)
        mnemonics += by_mnemonic[m] != 0;
    printf("%u mnemonics; %llu byte sequences that are no instruction\n", mnemonics,
           (unsigned long long)by_mnemonic[0]);
    printf("modes: 64-bit %llu, 32-bit %llu, 16-bit %llu\n", (unsigned long long)by_mode[DIFF_64],
           (unsigned long long)by_mode[DIFF_32], (unsigned long long)by_mode[DIFF_16]);
    printf("exceptions:");
    for (unsigned v = 0; v < 256; v++)
        if (by_vector[v])
            printf(" %u: %llu", v, (unsigned long long)by_vector[v]);
    printf("\n");
}

static void print_differing(void)
{
    for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++)
        if (differing[m])
            printf("differs: %-12s %llu of %llu\n", ZydisMnemonicGetString((ZydisMnemonic)m),
                   (unsigned long long)differing[m], (unsigned long long)by_mnemonic[m]);
}

struct run {
    struct diff_forms *forms;
    struct diff_emulated *emulated;
    struct diff_case *cases, *again;
    struct diff_outcome *outcomes; /* native, shared with the child */
    struct diff_outcome *here;
    uint8_t data[DIFF_DATA_BYTES];
    struct diff_fp fp;
    struct diff_random random;
    uint64_t mismatches, unsteady; /* unsteady: differed once only */
};

/* A difference, and what lay on the stack. */
static void tell(const struct run *run, const struct diff_case *ran,
                 const struct diff_outcome *native, const struct diff_outcome *here)
{
    compare_describe(ran, native, here);
    uint64_t at = ran->before.r[REG_RSP];
    at -= ran->before.seg[SEG_SS] == DIFF_DS ? DIFF_DATA : 0;
    fprintf(stderr, "  stack:");
    for (unsigned n = 0; n < 40 && at < 0x4000 - 40; n++)
        fprintf(stderr, "%s%02x", n % 4 ? "" : " ", run->data[at + n]);
    fprintf(stderr, "\n");
}

/* Run what differed once more: Linux forgets FOP, FIP and FDP when it runs something else between two instructions. */
static void run_again(struct run *run, const struct options *options, unsigned count)
{
    if (count == 0)
        return;
    native_start(run->again, run->outcomes, count, run->data);
    native_finish(run->outcomes);
    for (unsigned i = 0; i < count; i++) {
        const struct diff_case *ran = &run->again[i];
        struct diff_outcome *here = &run->here[i];
        emulated_run(run->emulated, ran, here);
        if (compare_outcomes(ran, &run->outcomes[i], here)) {
            run->unsteady++;
            continue;
        }
        differing[ran->mnemonic]++;
        if (run->mismatches++ < options->reported)
            tell(run, ran, &run->outcomes[i], here);
    }
}

static void run_batch(struct run *run, const struct options *options, unsigned count)
{
    for (unsigned i = 0; i < DIFF_DATA_BYTES; i += 8) {
        uint64_t value = random_edge(&run->random);
        memcpy(run->data + i, &value, 8);
    }
    fill_fp(&run->random, run->data);
    fill_selectors(&run->random, run->data);
    draw_fp_default(&run->random, &run->fp);
    for (unsigned i = 0; i < count; i++)
        generate_case(run->forms, &run->random, choose_mode(&run->random, options->modes),
                      run->data, &run->fp, &run->cases[i]);
    native_start(run->cases, run->outcomes, count, run->data);
    emulated_data(run->emulated, run->data);
    for (unsigned i = 0; i < count; i++)
        emulated_run(run->emulated, &run->cases[i], &run->here[i]);
    native_finish(run->outcomes);
    unsigned differ = 0;
    for (unsigned i = 0; i < count; i++) {
        tally(&run->cases[i], &run->outcomes[i]);
        forms_tally(run->forms, &run->cases[i]);
        if (!compare_outcomes(&run->cases[i], &run->outcomes[i], &run->here[i]))
            run->again[differ++] = run->cases[i];
    }
    run_again(run, options, differ);
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    static struct run run;
    if (!native_setup()) {
        printf("skipped: not an x86-64 workstation with Linux\n");
        return 0;
    }
    for (unsigned mode = 0; mode < DIFF_MODES; mode++)
        if (!native_has_mode(mode) && (options.modes >> mode & 1)) {
            printf("skipped: %s code\n", mode == DIFF_32 ? "32-bit" : "16-bit");
            options.modes &= ~(1u << mode);
        }
    run.random.state = options.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    run.forms = forms_new(options.only);
    run.emulated = emulated_new();
    run.cases = calloc(DIFF_BATCH, sizeof(*run.cases));
    run.again = calloc(DIFF_BATCH, sizeof(*run.again));
    run.outcomes = native_shared(DIFF_BATCH * sizeof(*run.outcomes));
    run.here = calloc(DIFF_BATCH, sizeof(*run.here));
    if (!run.forms || !run.emulated || !run.cases || !run.again || !run.outcomes || !run.here ||
        !options.modes) {
        (void)fputs("differential: cannot begin\n", stderr);
        return EXIT_FAILURE;
    }
    native_unpin();
    forms_print(run.forms);
    options.modes &= forms_modes(run.forms);
    if (!options.modes) {
        (void)fputs("differential: no such instruction\n", stderr);
        return EXIT_FAILURE;
    }
    for (uint64_t done = 0; done < options.count;) {
        unsigned count =
            options.count - done < DIFF_BATCH ? (unsigned)(options.count - done) : DIFF_BATCH;
        run_batch(&run, &options, count);
        done += count;
    }
    print_totals();
    coverage_print(run.forms, options.coverage, options.modes);
    compare_print_masks();
    fp_print_masks();
    print_differing();
    printf("seed %llu: %llu comparisons, %llu differences, %llu that did not come again\n",
           (unsigned long long)options.seed, (unsigned long long)options.count,
           (unsigned long long)run.mismatches, (unsigned long long)run.unsteady);
    forms_free(run.forms);
    emulated_free(run.emulated);
    free(run.here);
    free(run.cases);
    free(run.again);
    if (run.mismatches && !native_follows_amd()) {
        printf("not an AMD processor of family 19h: what differs is told, and no failure\n");
        return EXIT_SUCCESS;
    }
    return run.mismatches ? EXIT_FAILURE : EXIT_SUCCESS;
}

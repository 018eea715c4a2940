/* Counting #VMEXITs by exit code, with the guest instructions that came before each. */
#include "emu/debug/exit_stats.h"

#include "emu/cpu/run.h"
#include "emu/base/output.h"
#include "svm/svm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_ROWS 0x410u /* codes 0 to VMEXIT_NPF and its neighbours */
#define EXIT_OTHERS 5u   /* -1 to -4, and any code without a row */

struct exit_row {
    uint64_t code, count, insns;
};

struct pacifica_exit_stats {
    struct probe_client client;
    struct probes *probes;
    uint64_t entries, exits;
    uint64_t entry_insns[VCPUS_MAX]; /* of each vCPU at its last VMRUN, or when it was loaded */
    struct exit_row row[EXIT_ROWS + EXIT_OTHERS];
};

static struct exit_row *exit_row(struct pacifica_exit_stats *stats, uint64_t code)
{
    uint64_t index = code;
    if (code >= EXIT_ROWS)
        index = EXIT_ROWS + (~code < EXIT_OTHERS - 1 ? ~code : EXIT_OTHERS - 1);
    return &stats->row[index];
}

static void exit_stats_fire(void *self, const struct probe_event *event)
{
    struct pacifica_exit_stats *stats = self;
    uint64_t insns = cpu_insns(event->cpu);
    if (event->kind != PROBE_EXIT) {
        stats->entries += event->kind == PROBE_ENTRY;
        stats->entry_insns[event->cpu->index] = insns;
        return;
    }
    struct exit_row *row = exit_row(stats, event->a);
    row->code = event->a;
    row->count++;
    if (event->a != VMEXIT_INVALID) /* that guest never ran */
        row->insns += insns - stats->entry_insns[event->cpu->index];
    stats->exits++;
}

struct pacifica_exit_stats *exit_stats_new(struct probes *probes)
{
    struct pacifica_exit_stats *stats = calloc(1, sizeof(*stats));
    if (!stats)
        return NULL;
    stats->probes = probes;
    const uint32_t mask = 1u << PROBE_ENTRY | 1u << PROBE_EXIT | 1u << PROBE_LOADED;
    stats->client = (struct probe_client){ .mask = mask, .fire = exit_stats_fire, .self = stats };
    probes_attach(probes, &stats->client);
    return stats;
}

void exit_stats_free(struct pacifica_exit_stats *stats)
{
    if (!stats)
        return;
    probes_detach(stats->probes, &stats->client);
    free(stats);
}

/* Falling count, then rising code, so that the order is the same everywhere. */
static int compare_rows(const void *left, const void *right)
{
    const struct exit_row *a = *(const struct exit_row *const *)left;
    const struct exit_row *b = *(const struct exit_row *const *)right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return a->code < b->code ? -1 : a->code > b->code;
}

static void put_row(const struct pacifica_exit_stats *stats, const struct exit_row *row,
                    const struct pacifica_output *output)
{
    char number[32];
    const char *name = svm_exit_name(row->code);
    if (!name) {
        (void)snprintf(number, sizeof(number), "exit code 0x%" PRIx64, row->code);
        name = number;
    }
    /* In thousandths, rounded half up: no floating point, so the same digits everywhere. */
    uint64_t share = (uint64_t)(((emu_u128)row->count * 2000 + stats->exits) / (2 * stats->exits));
    uint64_t mean =
        (uint64_t)(((emu_u128)row->insns * 20 + row->count) / (2 * (emu_u128)row->count));
    output_put(output, "%-26s %12" PRIu64 " %4" PRIu64 ".%" PRIu64 "%% %14" PRIu64 ".%" PRIu64 "\n",
               name, row->count, share / 10, share % 10, mean / 10, mean % 10);
}

void exit_stats_write(const struct pacifica_exit_stats *stats, const struct pacifica_output *output)
{
    const struct exit_row *order[EXIT_ROWS + EXIT_OTHERS];
    size_t used = 0;
    for (size_t i = 0; i < EXIT_ROWS + EXIT_OTHERS; i++)
        if (stats->row[i].count)
            order[used++] = &stats->row[i];
    qsort(order, used, sizeof(order[0]), compare_rows);

    if (used == 0) {
        output_put(output, "no #VMEXITs\n");
        return;
    }
    output_put(output, "%-26s %12s %6s %16s\n", "exit code", "count", "share", "insns before");
    for (size_t i = 0; i < used; i++)
        put_row(stats, order[i], output);
    output_put(output, "%-26s %12" PRIu64 "\n", "all", stats->exits);
}

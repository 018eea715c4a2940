/* The part of the public interface that shows things: traces, statistics, lists. */
#include "emu/machine/machine.h"

#include "emu/debug/exit_stats.h"
#include "emu/base/output.h"
#include "emu/debug/tlb_stats.h"
#include "emu/debug/trace.h"

enum pacifica_status pacifica_trace_attach(struct pacifica_machine *machine,
                                           const struct pacifica_trace_options *options,
                                           struct pacifica_trace **trace,
                                           struct pacifica_diag *diag)
{
    return trace_new(&machine->probes, machine->cpu[0], options, trace, diag);
}

uint64_t pacifica_trace_dump(struct pacifica_trace *trace, const char *why)
{
    return trace_dump(trace, why);
}

void pacifica_trace_free(struct pacifica_trace *trace)
{
    trace_free(trace);
}

void pacifica_trace_list(const struct pacifica_output *output)
{
    trace_list(output);
}

struct pacifica_exit_stats *pacifica_exit_stats_attach(struct pacifica_machine *machine)
{
    return exit_stats_new(&machine->probes);
}

void pacifica_exit_stats_write(const struct pacifica_exit_stats *stats,
                               const struct pacifica_output *output)
{
    exit_stats_write(stats, output);
}

void pacifica_exit_stats_free(struct pacifica_exit_stats *stats)
{
    exit_stats_free(stats);
}

void pacifica_tlb_stats_write(const struct pacifica_machine *machine,
                              const struct pacifica_output *output)
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        if (machine->cpu_count > 1)
            output_put(output, "CPU %u\n", i);
        tlb_stats_write(machine->cpu[i]->paging, output);
    }
}

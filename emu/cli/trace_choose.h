/* Choosing events of a trace that was read, by the lists that -trace takes. */
#ifndef EMU_CLI_TRACE_CHOOSE_H
#define EMU_CLI_TRACE_CHOOSE_H

#include "emu/trace/record.h"
#include "emu/trace/rules.h"

/* Invariant: exit[n] tells whether the last #VMEXIT of vCPU n was chosen, walk[n] whether that or its nested page fault was. */
struct trace_chooser {
    struct trace_rules rules; /* without events: all of them */
    bool exit[PACIFICA_CPUS_MOST], walk[PACIFICA_CPUS_MOST];
};

/* list NULL: everything is chosen. PACIFICA_OK, PACIFICA_EUSAGE. */
enum pacifica_status trace_chooser_init(struct trace_chooser *chooser, const char *list,
                                        struct pacifica_diag *diag);

/* Is the event chosen? To be asked of every event, in order: lines that explain another go with it. */
bool trace_choose(struct trace_chooser *chooser, const struct record *kept);

#endif

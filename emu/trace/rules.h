/* What is chosen for a trace: EVENT[:FILTER][:KEY=FILTER]... and KEY=FILTER for every event, joined by commas. */
#ifndef EMU_TRACE_RULES_H
#define EMU_TRACE_RULES_H

#include <pacifica/pacifica.h>

#include "emu/trace/filter.h"

enum trace_event {
    TRACE_SVM,
    TRACE_NPT,
    TRACE_TLB,
    TRACE_INT,
    TRACE_IN_ASM,
    TRACE_EXEC,
    TRACE_MEM,
    TRACE_IO,
    TRACE_MSR,
    TRACE_GUEST_ERRORS,
    TRACE_UNIMP,
    TRACE_EVENTS
};

/* What any event may be asked for. */
enum trace_key {
    TRACE_KEY_CODE, /* exit code, EXIT_WORD_VMRUN: what svm and npt show */
    TRACE_KEY_ASID, /* of the guest it is about or happens in, 0 in the host */
    TRACE_KEY_RIP,
    TRACE_KEY_STEP,
    TRACE_KEY_CPU,
    TRACE_KEYS
};

/* Conditions: without ranges a filter lets everything pass. */
struct trace_conditions {
    uint32_t keys; /* 1 << enum trace_key: those with ranges */
    struct filter key[TRACE_KEYS];
};

struct trace_rules {
    uint32_t events; /* 1 << enum trace_event */
    struct filter number[TRACE_EVENTS];
    struct trace_conditions of[TRACE_EVENTS], all;
};

/* A row for each event: its name; what its filter's numbers are, NULL: it takes none; its meaning. */
extern const struct trace_event_row {
    const char *name, *numbers, *meaning;
} trace_event_rows[TRACE_EVENTS];

/* Parse a list. PACIFICA_OK; PACIFICA_EUSAGE: an unknown event or key, a malformed filter. */
enum pacifica_status rules_parse(struct trace_rules *rules, const char *list,
                                 struct pacifica_diag *diag);

/* What an event has of the keys; one that it has not passes every condition on it. */
struct trace_subject {
    uint32_t has; /* 1 << enum trace_key */
    uint64_t key[TRACE_KEYS];
};

/* The keys that matter for an event: what a subject must have. */
static inline uint32_t rules_keys(const struct trace_rules *rules, enum trace_event event)
{
    return rules->all.keys | rules->of[event].keys;
}

/* Is the event chosen, when it has this number? */
static inline bool rules_choose(const struct trace_rules *rules, enum trace_event event,
                                uint64_t number)
{
    return ((rules->events >> event) & 1) && filter_passes(&rules->number[event], number);
}

/* Do the conditions hold? */
bool rules_hold(const struct trace_rules *rules, enum trace_event event,
                const struct trace_subject *subject);

#endif

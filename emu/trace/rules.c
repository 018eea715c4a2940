/* Choosing events of a trace. */
#include "emu/trace/rules.h"

#include "emu/base/diag.h"
#include "emu/trace/exit_words.h"

#include <string.h>

const struct trace_event_row trace_event_rows[TRACE_EVENTS] = {
    [TRACE_SVM] = { "svm", "exit codes by name or number, VMRUN",
                    "each VMRUN and #VMEXIT, with all that stands behind it; SKINIT" },
    [TRACE_NPT] = { "npt", "guest physical addresses", "each nested page fault" },
    [TRACE_TLB] = { "tlb", "ASIDs",
                    "fills, evictions and flushes of the TLB; flushes that are missing at VMRUN" },
    [TRACE_INT] = { "int", "vectors", "exceptions and interrupts delivered" },
    [TRACE_IN_ASM] = { "in_asm", "linear addresses", "instructions when they are first decoded" },
    [TRACE_EXEC] = { "exec", "linear addresses", "each instruction executed (slow)" },
    [TRACE_MEM] = { "mem", "linear addresses", "data accesses (slow)" },
    [TRACE_IO] = { "io", "ports", "port input and output" },
    [TRACE_MSR] = { "msr", "MSR numbers", "RDMSR and WRMSR" },
    [TRACE_GUEST_ERRORS] = { "guest_errors", NULL, "what a guest does wrong by the manual" },
    [TRACE_UNIMP] = { "unimp", NULL, "what is not emulated" },
};

static const char *const key_names[TRACE_KEYS] = { [TRACE_KEY_CODE] = "code",
                                                   [TRACE_KEY_ASID] = "asid",
                                                   [TRACE_KEY_RIP] = "rip",
                                                   [TRACE_KEY_STEP] = "step",
                                                   [TRACE_KEY_CPU] = "cpu" };

static bool is_word(const char *word, const char *text, size_t length)
{
    return strlen(word) == length && memcmp(word, text, length) == 0;
}

/* event: "io:" and the like, or "". */
static enum pacifica_status malformed(struct pacifica_diag *diag, const char *event,
                                      const char *text, size_t length, const char *wanted)
{
    return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "malformed filter '%s%s%.*s' (wanted: %s)",
                    event, event[0] ? ":" : "", (int)length, text, wanted);
}

/* KEY=FILTER of `length` characters; `equals` is within. */
static enum pacifica_status add_condition(struct trace_conditions *to, const char *text,
                                          size_t length, const char *equals,
                                          struct pacifica_diag *diag)
{
    size_t name = (size_t)(equals - text);
    for (unsigned key = 0; key < TRACE_KEYS; key++) {
        if (!is_word(key_names[key], text, name))
            continue;
        if (to->keys >> key & 1)
            return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "'%s=' twice (join with +)",
                            key_names[key]);
        if (!filter_parse(&to->key[key], equals + 1, length - name - 1,
                          key == TRACE_KEY_CODE ? exit_word_find : NULL))
            return malformed(diag, "", text, length,
                             key == TRACE_KEY_CODE ? trace_event_rows[TRACE_SVM].numbers
                                                   : "numbers");
        to->keys |= 1u << key;
        return PACIFICA_OK;
    }
    return diag_set(diag, PACIFICA_EUSAGE, NULL, "there are code, asid, rip, step, cpu",
                    "no condition '%.*s='", (int)name, text);
}

/* What stands behind the name of an event and a colon: numbers, or a condition. */
static enum pacifica_status add_filter(struct trace_rules *rules, enum trace_event event,
                                       const char *text, size_t length, struct pacifica_diag *diag)
{
    const struct trace_event_row *row = &trace_event_rows[event];
    const char *equals = memchr(text, '=', length);
    if (equals)
        return add_condition(&rules->of[event], text, length, equals, diag);
    if (!row->numbers)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "event '%s' takes no filter of numbers",
                        row->name);
    if (rules->number[event].count)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "two filters for '%s' (join with +)",
                        row->name);
    if (!filter_parse(&rules->number[event], text, length,
                      event == TRACE_SVM ? exit_word_find : NULL))
        return malformed(diag, row->name, text, length, row->numbers);
    return PACIFICA_OK;
}

static int find_event(const char *name, size_t length)
{
    for (int i = 0; i < TRACE_EVENTS; i++)
        if (is_word(trace_event_rows[i].name, name, length))
            return i;
    return -1;
}

static size_t part_length(const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    return colon ? (size_t)(colon - text) : length;
}

/* One item of the list, of `length` characters. */
static enum pacifica_status add_item(struct trace_rules *rules, const char *text, size_t length,
                                     struct pacifica_diag *diag)
{
    size_t name = part_length(text, length);
    const char *equals = memchr(text, '=', length);
    if (equals && name == length)
        return add_condition(&rules->all, text, length, equals, diag);
    int event = find_event(text, name);
    if (event < 0)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "no event '%.*s' to trace", (int)name,
                        text);
    rules->events |= 1u << event;
    for (size_t at = name; at < length;) {
        at++; /* the colon */
        size_t part = part_length(text + at, length - at);
        enum pacifica_status status =
            add_filter(rules, (enum trace_event)event, text + at, part, diag);
        if (status != PACIFICA_OK)
            return status;
        at += part;
    }
    return PACIFICA_OK;
}

enum pacifica_status rules_parse(struct trace_rules *rules, const char *list,
                                 struct pacifica_diag *diag)
{
    *rules = (struct trace_rules){ 0 };
    for (;;) {
        size_t length = strcspn(list, ",");
        enum pacifica_status status = add_item(rules, list, length, diag);
        if (status != PACIFICA_OK || list[length] == '\0')
            return status;
        list += length + 1;
    }
}

static bool hold(const struct trace_conditions *conditions, const struct trace_subject *subject)
{
    for (unsigned key = 0; key < TRACE_KEYS; key++)
        if ((conditions->keys & subject->has) >> key & 1 &&
            !filter_passes(&conditions->key[key], subject->key[key]))
            return false;
    return true;
}

bool rules_hold(const struct trace_rules *rules, enum trace_event event,
                const struct trace_subject *subject)
{
    return hold(&rules->all, subject) && hold(&rules->of[event], subject);
}

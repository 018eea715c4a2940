/* Choosing events of a trace that was read. */
#include "emu/cli/trace_choose.h"

#include "emu/trace/exit_words.h"

#include <string.h>

#define EXIT_SKINIT 0x86u /* APM vol 2, appendix C */
#define EXIT_NPF 0x400u

/* The events by name: what chooses them, and the member that its filter compares. */
static const struct choose_row {
    const char *name;
    enum trace_event event;
    const char *number; /* NULL: see number_of() */
} choose_rows[] = {
    { "vmrun", TRACE_SVM, NULL },      { "vmexit", TRACE_SVM, "code" },
    { "skinit", TRACE_SVM, NULL },     { "npf", TRACE_NPT, "gpa" },
    { "tlb", TRACE_TLB, "asid" },      { "int", TRACE_INT, "vector" },
    { "in_asm", TRACE_IN_ASM, "rip" }, { "exec", TRACE_EXEC, "rip" },
    { "mem", TRACE_MEM, "la" },        { "io", TRACE_IO, "port" },
    { "msr", TRACE_MSR, "msr" },       { "guest_error", TRACE_GUEST_ERRORS, NULL },
    { "unimp", TRACE_UNIMP, NULL },
};

static uint64_t number_of(const struct record *kept, const struct choose_row *row)
{
    if (row->number) /* a flush of all ASIDs has none, as in the library */
        return record_number(kept, row->number, UINT64_MAX);
    if (strcmp(row->name, "vmrun") == 0)
        return EXIT_WORD_VMRUN;
    return strcmp(row->name, "skinit") == 0 ? EXIT_SKINIT : 0;
}

static void set_key(struct trace_subject *subject, enum trace_key key, const struct record *kept,
                    const char *name)
{
    const struct member *member = record_find(kept, name);
    if (!member || (subject->has >> key & 1))
        return;
    subject->has |= 1u << key;
    subject->key[key] = member->number;
}

static void give_key(struct trace_subject *subject, enum trace_key key, uint64_t value)
{
    if (subject->has >> key & 1)
        return;
    subject->has |= 1u << key;
    subject->key[key] = value;
}

static struct trace_subject subject_of(const struct record *kept, enum trace_event event,
                                       uint64_t number)
{
    struct trace_subject subject = { 0 };
    set_key(&subject, TRACE_KEY_STEP, kept, "step");
    set_key(&subject, TRACE_KEY_CPU, kept, "cpu");
    set_key(&subject, TRACE_KEY_RIP, kept, "rip");
    set_key(&subject, TRACE_KEY_RIP, kept, "in_rip");
    set_key(&subject, TRACE_KEY_ASID, kept, "asid");
    if (event != TRACE_TLB) {
        set_key(&subject, TRACE_KEY_ASID, kept, "in_asid");
        give_key(&subject, TRACE_KEY_ASID, 0); /* the host */
    }
    if (event == TRACE_SVM)
        give_key(&subject, TRACE_KEY_CODE, number);
    else if (event == TRACE_NPT)
        give_key(&subject, TRACE_KEY_CODE, EXIT_NPF);
    return subject;
}

static bool choose_row(const struct trace_rules *rules, const struct choose_row *row,
                       const struct record *kept)
{
    uint64_t number = number_of(kept, row);
    struct trace_subject subject = subject_of(kept, row->event, number);
    return rules_choose(rules, row->event, number) && rules_hold(rules, row->event, &subject);
}

enum pacifica_status trace_chooser_init(struct trace_chooser *chooser, const char *list,
                                        struct pacifica_diag *diag)
{
    enum pacifica_status status = PACIFICA_OK;
    *chooser = (struct trace_chooser){ 0 };
    if (list)
        status = rules_parse(&chooser->rules, list, diag);
    if (!chooser->rules.events)
        chooser->rules.events = (1u << TRACE_EVENTS) - 1;
    return status;
}

bool trace_choose(struct trace_chooser *chooser, const struct record *kept)
{
    unsigned cpu = (unsigned)(record_number(kept, "cpu", 0) % PACIFICA_CPUS_MOST);
    if (strcmp(kept->event, "vmexit_rule") == 0 || strcmp(kept->event, "vmexit_changes") == 0)
        return chooser->exit[cpu];
    if (strcmp(kept->event, "npf_walk") == 0)
        return chooser->walk[cpu];
    for (size_t i = 0; i < sizeof(choose_rows) / sizeof(choose_rows[0]); i++) {
        const struct choose_row *row = &choose_rows[i];
        if (strcmp(row->name, kept->event) != 0)
            continue;
        bool chosen = choose_row(&chooser->rules, row, kept);
        if (strcmp(row->name, "vmexit") == 0)
            chooser->exit[cpu] = chooser->walk[cpu] = chosen;
        else if (strcmp(row->name, "npf") == 0)
            chooser->walk[cpu] = chooser->walk[cpu] || chosen;
        return chosen;
    }
    return true; /* of a later schema, or no event of the machine */
}

/* Entries of page tables in words. */
#include "emu/debug/walk_words.h"

#include "emu/debug/info_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENTRY_P 0x001u
#define ENTRY_W 0x002u
#define ENTRY_U 0x004u
#define ENTRY_PS 0x080u
#define ENTRY_NX (UINT64_C(1) << 63)
#define TABLE_BITS UINT64_C(0x000ffffffffff000)

const char *walk_level_name(unsigned level)
{
    static const char *const names[] = { "?", "PTE", "PDE", "PDPE", "PML4E", "PML5E" };
    return names[level < sizeof(names) / sizeof(names[0]) ? level : 0];
}

/* PCD and PWT alone choose among the first four fields for a table. APM vol 2, 7.8.4 "PAT Accesses". */
unsigned walk_table_index(uint64_t entry)
{
    return entry >> 3 & 3;
}

bool walk_is_leaf(const struct walk_regime *regime, const struct walk_step *step)
{
    if (step->level == 1)
        return true;
    if (!(step->entry & ENTRY_PS) || step->level > 3)
        return false;
    if (regime->mode == WALK_32)
        return regime->pse;
    return step->level == 2 || regime->mode != WALK_PAE;
}

unsigned walk_leaf_index(const struct walk_step *step)
{
    unsigned pat = (unsigned)(step->entry >> (step->level == 1 ? 7 : 12)) & 1;
    return pat << 2 | walk_table_index(step->entry);
}

/* "P W U A D ..." and where it leads. */
void walk_entry_words(char *text, size_t size, const struct walk_regime *regime,
                      const struct walk_step *step)
{
    static const char *const names[] = { "P", "W", "U", "PWT", "PCD", "A" };
    bool leaf = walk_is_leaf(regime, step);
    size_t used = 0;
    text[0] = '\0';
    if (!(step->entry & ENTRY_P)) {
        (void)snprintf(text, size, "not present");
        return;
    }
    for (unsigned i = 0; i < 6 && used < size; i++)
        if (step->entry >> i & 1)
            used += (size_t)snprintf(text + used, size - used, "%s ", names[i]);
    bool large = leaf && step->level > 1, key = leaf && regime->mode >= WALK_4LEVEL;
    if (used < size)
        (void)snprintf(text + used, size - used, "%s%s%s%s%s",
                       leaf && (step->entry & 0x40) ? "D " : "", large ? "PS " : "",
                       leaf && (walk_leaf_index(step) & 4) ? "PAT " : "",
                       leaf && (step->entry & 0x100) ? "G " : "", step->entry >> 63 ? "NX " : "");
    used = strlen(text);
    if (key && regime->pke)
        (void)snprintf(text + used, size - used, "key %u ", (unsigned)(step->entry >> 59) & 15);
    used = strlen(text);
    if (!leaf)
        (void)snprintf(text + used, size - used, "-> %" PRIx64, step->entry & TABLE_BITS);
    else
        (void)snprintf(text + used, size - used, "%s page",
                       info_page_name(info_entry_bytes(regime->mode, step->level)));
}

/* What keeps a page from being one for supervisor shadow stacks. APM vol 2, 15.25.14 "Supervisor Shadow Stacks". */
static const char *denied_sss(uint64_t entry, bool leaf)
{
    if (!leaf)
        return entry & ENTRY_W ? NULL : "W";
    if (entry & ENTRY_U)
        return "U";
    return entry & ENTRY_NX ? NULL : "NX";
}

/* The right that an entry denies to an access; NULL: none. */
static const char *denied(const struct walk_regime *nested, uint64_t entry, uint64_t info1)
{
    if (!(entry & ENTRY_U) && !nested->gmet && !(info1 & NPF_SSS))
        return "U";
    if ((info1 & PF_RW) && !(entry & ENTRY_W))
        return "W";
    return (info1 & PF_ID) && nested->nxe && (entry & ENTRY_NX) ? "NX" : NULL;
}

/* The nested tables' entries of the last descent stand at the end: they are what a nested page fault is about. */
static unsigned last_descent(const struct walk_log *log)
{
    unsigned first = log->count;
    while (first && !log->step[first - 1].guest &&
           (first == log->count || log->step[first - 1].level > log->step[first].level))
        first--;
    return first;
}

int walk_stop_words(char *text, size_t size, const struct walk_regime *nested,
                    const struct walk_log *log, uint64_t info1)
{
    unsigned first = last_descent(log);
    if (first == log->count)
        return -1;
    const struct walk_step *last = &log->step[log->count - 1];
    uint64_t reserved = walk_reserved(nested, last);
    if (!(last->entry & ENTRY_P)) {
        (void)snprintf(text, size, "P");
        return (int)log->count - 1;
    }
    if (reserved) {
        (void)snprintf(text, size, "reserved 0x%" PRIx64, reserved);
        return (int)log->count - 1;
    }
    bool sss = nested->sss && (info1 & (PF_SS | PF_US)) == PF_SS;
    for (unsigned i = first; i < log->count; i++) {
        uint64_t entry = log->step[i].entry;
        /* PDPTEs of legacy PAE have no rights. */
        bool rights = nested->mode != WALK_PAE || log->step[i].level != 3;
        const char *right = !rights ? NULL
                            : sss   ? denied_sss(entry, i + 1 == log->count)
                                    : denied(nested, entry, info1);
        if (right) {
            (void)snprintf(text, size, "%s", right);
            return (int)i;
        }
    }
    /* A user page, which the supervisor does not execute. APM vol 2, 15.25.13 "Guest Mode Execute Trap Extension". */
    if (!nested->gmet || !(info1 & PF_ID) || (info1 & PF_US))
        return -1;
    (void)snprintf(text, size, "U");
    return (int)log->count - 1;
}

/* `info walk ADDR`: both dimensions of a translation, every entry with its address, value, meaning, and the memory type
 * by which the processor reads it. */
#include "emu/debug/info_priv.h"
#include "emu/debug/walk_words.h"

#include "emu/base/diag.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is known while the entries are told in order. */
struct telling {
    const struct vcpu *cpu;
    const struct walk_regime *regime;
    const struct pacifica_output *output;
    unsigned index, nested_index; /* PAT indices for the next table of each dimension */
};

static void put_step(struct telling *t, const struct walk_step *step)
{
    const struct walk_regime *nested = t->regime->nested;
    bool second = nested && !step->guest; /* an entry of the nested tables */
    const struct walk_regime *regime = second ? nested : t->regime;
    unsigned top = nested ? (unsigned)nested->mode + 1 : 0; /* the level of its root */
    char meaning[96], where[48] = "";
    enum memory_type type;
    if (second) {
        if (step->level == top)
            t->nested_index = walk_table_index(nested->root);
        type = memtype_at(t->cpu, MEMTYPE_UNPAGED, t->nested_index, step->spa);
    } else {
        type = memtype_at(t->cpu, t->index, t->nested_index, step->spa);
        if (step->guest)
            (void)snprintf(where, sizeof(where), "at gpa %012" PRIx64 ", ", step->address);
    }
    walk_entry_words(meaning, sizeof(meaning), regime, step);
    output_put(t->output, "%s%-5s %s%012" PRIx64 " (%s) = %016" PRIx64 ": %s\n",
               second ? "    nested " : "", walk_level_name(step->level), where, step->spa,
               memtype_name(type), step->entry,
               memory_backing(t->cpu->memory, step->spa) == UINT64_MAX ? "not in memory" : meaning);
    unsigned next =
        walk_is_leaf(regime, step) ? walk_leaf_index(step) : walk_table_index(step->entry);
    if (second)
        t->nested_index = next;
    else
        t->index = next;
}

static void put_result(const struct telling *t, const struct walk_result *res)
{
    char text[120];
    switch (res->status) {
    case WALK_FAULT:
        output_put(t->output, "#PF for a supervisor read, error code %x: %s\n", res->code,
                   res->code & PF_RSV ? "a reserved bit is set" : "not present");
        return;
    case WALK_NPF:
        (void)svm_describe_exit(text, sizeof(text), VMEXIT_NPF, res->info1, res->gpa);
        output_put(t->output, "nested page fault for a supervisor read: %s\n", text);
        return;
    case WALK_OK: break;
    }
    if (t->regime->nested)
        output_put(t->output, "guest physical %012" PRIx64 "\n", res->gpa);
    output_put(t->output, "system physical %012" PRIx64 ", %s page, %s, %s, %s%s\n", res->spa,
               info_page_name(res->page_bytes), res->user ? "user" : "supervisor",
               res->writable ? "writable" : "read-only", res->nx ? "no execute" : "executable",
               res->global ? ", global" : "");
}

static void put_type(const struct telling *t, const struct walk_result *res)
{
    const struct svm_state *svm = t->cpu->svm;
    bool paged = t->regime->mode != WALK_NONE;
    struct mtrr_range range = mtrr_find(&t->cpu->msr, res->spa);
    unsigned index = paged ? res->pat : MEMTYPE_UNPAGED;
    output_put(t->output, "memory type %s (",
               memtype_name(memtype_at(t->cpu, index, res->nested_pat, res->spa)));
    if (t->regime->nested) {
        if (paged)
            output_put(t->output, "gPAT PA%u %s, ", res->pat,
                       memtype_name(memtype_pat(svm->g_pat, res->pat)));
        output_put(t->output, "hPAT PA%u %s, ", res->nested_pat,
                   memtype_name(memtype_pat(svm->host_pat, res->nested_pat)));
    } else if (paged) {
        output_put(t->output, "PAT PA%u %s, ", res->pat,
                   memtype_name(memtype_pat(t->cpu->msr.pat, res->pat)));
    }
    output_put(t->output, "MTRR %s%s)\n", memtype_name(range.type),
               range.undefined ? ", undefined overlap" : "");
}

enum pacifica_status info_walk(struct vcpu *cpu, const char *argument,
                               const struct pacifica_output *output, struct pacifica_diag *diag)
{
    char *end;
    errno = 0;
    uint64_t la = strtoull(argument, &end, 0);
    if (argument[0] < '0' || argument[0] > '9' || *end || errno)
        return diag_set(diag, PACIFICA_EUSAGE, argument, "as 0x1000", "no linear address");
    const struct walk_regime regime = info_regime(cpu);
    struct telling t = { .cpu = cpu, .regime = &regime, .output = output };
    t.index = regime.mode == WALK_NONE ? MEMTYPE_UNPAGED : walk_table_index(regime.root);
    if (regime.mode < WALK_4LEVEL)
        la = (uint32_t)la;
    output_put(output, "linear %016" PRIx64 ", %s paging, CR3 %" PRIx64 ", ASID %u%s\n", la,
               info_paging_name(regime.mode), regime.root, regime.asid,
               regime.nested ? ", nested paging" : "");
    if (regime.mode >= WALK_4LEVEL && !paging_is_canonical(la, regime.mode == WALK_5LEVEL)) {
        output_put(output, "not canonical\n");
        return PACIFICA_OK;
    }
    struct walk_log log;
    struct walk_result res =
        walk_explain(cpu->memory, &regime, la, (struct access){ .kind = ACCESS_READ }, &log);
    for (unsigned i = 0; i < log.count; i++)
        put_step(&t, &log.step[i]);
    put_result(&t, &res);
    if (res.status == WALK_OK)
        put_type(&t, &res);
    return PACIFICA_OK;
}

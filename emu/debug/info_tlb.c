/* `info tlb` and `info asids`. */
#include "emu/debug/info_priv.h"

#include "emu/base/diag.h"
#include "emu/debug/tlb_stats.h"

#include <inttypes.h>
#include <stdlib.h>

static void put_entry(void *self, const struct tlb_view *view)
{
    static const char *const kinds[] = {
        [TLB_DATA] = "data", [TLB_CODE] = "code", [TLB_NESTED] = "nested"
    };
    const struct pacifica_output *output = self;
    output_put(
        output, "%5u %4u %-6s %016" PRIx64 " %012" PRIx64 " %012" PRIx64 " %s %c%c%c%c%c %2u%s%s\n",
        view->asid, view->pcid, kinds[view->kind], view->page, view->gpa, view->spa,
        info_page_name(view->page_bytes), view->writable ? 'w' : '-', view->nx ? '-' : 'x',
        view->user ? 'u' : '-', view->global ? 'g' : '-', view->dirty ? 'd' : '-', view->pkey,
        view->guest_page_bytes != view->page_bytes ? " part of " : "",
        view->guest_page_bytes != view->page_bytes ? info_page_name(view->guest_page_bytes) : "");
}

enum pacifica_status info_tlb(struct vcpu *cpu, const char *argument,
                              const struct pacifica_output *output, struct pacifica_diag *diag)
{
    (void)argument;
    (void)diag;
    output_put(output, "%5s %4s %-6s %-16s %-12s %-12s %-5s %-5s %s\n", "ASID", "PCID", "kind",
               "page", "guest phys.", "system phys.", "size", "wxugd", "key");
    paging_each(cpu->paging, put_entry, (void *)(uintptr_t)output);
    tlb_stats_write(cpu->paging, output);
    return PACIFICA_OK;
}

/* --- asids ------------------------------------------------------------------------------------ */

static void count_entry(void *self, const struct tlb_view *view)
{
    uint32_t *entries = self;
    entries[view->asid]++;
}

enum pacifica_status info_asids(struct vcpu *cpu, const char *argument,
                                const struct pacifica_output *output, struct pacifica_diag *diag)
{
    uint32_t *entries = calloc(UINT16_MAX + 1u, sizeof(*entries));
    (void)argument;
    if (!entries)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a table of ASIDs");
    paging_each(cpu->paging, count_entry, entries);
    output_put(output, "%-11s %8s %12s %12s %12s %12s\n", "ASID", "entries", "misses", "fills",
               "evictions", "flushes");
    for (unsigned asid = 0; asid <= UINT16_MAX; asid++) {
        const struct tlb_counters *c = paging_counters(cpu->paging, (uint16_t)asid);
        bool now = cpu->svm->guest ? asid == cpu->svm->asid : asid == 0;
        if (!c && !entries[asid])
            continue;
        output_put(output, "%c %-9u %8" PRIu32, now ? '*' : ' ', asid, entries[asid]);
        if (c)
            output_put(output, " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64, c->misses,
                       c->fills, c->evictions, c->flushes);
        output_put(output, "\n");
    }
    free(entries);
    return PACIFICA_OK;
}

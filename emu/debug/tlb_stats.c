/* The table of TLB counters. */
#include "emu/debug/tlb_stats.h"

#include "emu/base/output.h"

#include <inttypes.h>

void tlb_stats_write(const struct paging *paging, const struct pacifica_output *output)
{
    output_put(output, "%-14s %12s %12s %12s %12s\n", "TLB", "misses", "fills", "evictions",
               "flushes");
    for (unsigned asid = 0; asid <= UINT16_MAX; asid++) {
        const struct tlb_counters *c = paging_counters(paging, (uint16_t)asid);
        if (c)
            output_put(output,
                       "ASID %-9u %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", asid,
                       c->misses, c->fills, c->evictions, c->flushes);
    }
}

/* The TLB's counters by ASID, as a table. */
#ifndef EMU_DEBUG_TLB_STATS_H
#define EMU_DEBUG_TLB_STATS_H

#include <pacifica/pacifica.h>

#include "paging/paging.h"

/* Write one row for each ASID that translated anything, in rising order. Hits are left out: those that the fast
 * tables answer are not counted. */
void tlb_stats_write(const struct paging *paging, const struct pacifica_output *output);

#endif

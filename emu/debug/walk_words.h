/* Entries of page tables in words. */
#ifndef EMU_DEBUG_WALK_WORDS_H
#define EMU_DEBUG_WALK_WORDS_H

#include <stddef.h>

#include "paging/paging.h"

/* "PTE", "PDE", ... */
const char *walk_level_name(unsigned level);

/* Does an entry map a page? `regime` is that of its own tables, as below. */
bool walk_is_leaf(const struct walk_regime *regime, const struct walk_step *step);

/* The PAT index of a leaf's page, and of the table behind another entry. */
unsigned walk_leaf_index(const struct walk_step *step);
unsigned walk_table_index(uint64_t entry);

/* "P W U A -> 12000": the bits of an entry, and where it leads. */
void walk_entry_words(char *text, size_t size, const struct walk_regime *regime,
                      const struct walk_step *step);

/* Which entry of a walk stopped a nested page fault with this EXITINFO1, and by which bit: "P", "W", "U", "NX" or
 * "reserved 0x...". For a supervisor shadow stack that may be U = 1 or NX = 0 of a leaf. Returns the index of the step, or -1: none did. */
int walk_stop_words(char *text, size_t size, const struct walk_regime *nested,
                    const struct walk_log *log, uint64_t info1);

#endif

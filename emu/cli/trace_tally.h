/* Counting by a number: how often, and what was spent. */
#ifndef EMU_CLI_TRACE_TALLY_H
#define EMU_CLI_TRACE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_ROWS 65536u /* different numbers that are told apart */

struct spent {
    uint64_t count, sum, min, max;
};

/* samples: how often; host: spent on each; guest: spent before each. */
struct tally_row {
    uint64_t key;
    uint64_t samples;
    struct spent host, guest;
};

/* Invariants: a row with samples is in use; `others` is for numbers that came when TALLY_ROWS were in use. */
struct tally {
    size_t used, room; /* room: a power of two, or 0 */
    struct tally_row *row;
    struct tally_row others;
};

/* Count one more of `key`. Returns its row, good until the next call; without memory `others`. */
struct tally_row *tally_add(struct tally *tally, uint64_t key);

/* The row of a number that was counted. */
struct tally_row *tally_find(struct tally *tally, uint64_t key);

void spent_add(struct spent *spent, uint64_t value);

/* Put the rows in order, most samples first, then by number. Nothing may be counted behind that.
 * Returns how many there are. */
size_t tally_sort(struct tally *tally);

void tally_free(struct tally *tally);

#endif

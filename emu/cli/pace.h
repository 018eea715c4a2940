/* -realtime: virtual time follows the workstation's clock. */
#ifndef EMU_CLI_PACE_H
#define EMU_CLI_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    bool on;
    uint64_t start_ns; /* where the workstation's clock was when virtual time was 0, as it were */
};

/* Begin at virtual time 0, or with `on` false do nothing in the following. */
void pace_begin(struct pace *pace, bool on);

/* How far a slice that begins at virtual time `now_ns` may go, as limits.max_ns; 0: without limit. */
uint64_t pace_end_ns(const struct pace *pace, uint64_t now_ns);

/* By how many whole milliseconds virtual time is ahead of the clock: so long is to be waited. A guest that has much to do
 * falls behind, and catches up when it waits. CHOICE: by one second at most: then it has lost that time. */
unsigned pace_ahead_ms(struct pace *pace, uint64_t now_ns);

#endif

/* -realtime: virtual time follows the workstation's clock. */
#include "emu/cli/pace.h"

#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define MILLISECOND_NS UINT64_C(1000000)
#define SLICE_NS (10 * MILLISECOND_NS)
#define BEHIND_MOST_NS SECOND_NS

static uint64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void pace_begin(struct pace *pace, bool on)
{
    *pace = (struct pace){ .on = on, .start_ns = on ? clock_ns() : 0 };
}

uint64_t pace_end_ns(const struct pace *pace, uint64_t now_ns)
{
    return pace->on ? now_ns + SLICE_NS : 0;
}

unsigned pace_ahead_ms(struct pace *pace, uint64_t now_ns)
{
    if (!pace->on)
        return 0;
    uint64_t clock = clock_ns() - pace->start_ns;
    if (clock > now_ns + BEHIND_MOST_NS) {
        pace->start_ns += clock - now_ns;
        clock = now_ns;
    }
    if (now_ns > clock + BEHIND_MOST_NS) { /* a snapshot was loaded */
        pace->start_ns -= now_ns - clock;
        clock = now_ns;
    }
    return now_ns > clock ? (unsigned)((now_ns - clock) / MILLISECOND_NS) : 0;
}

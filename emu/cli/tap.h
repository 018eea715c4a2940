/* Reading TAP (testanything.org, version 13) that a ROM printed. */
#ifndef EMU_CLI_TAP_H
#define EMU_CLI_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was wrong with the stream beside points that failed. */
enum tap_fault {
    TAP_WELL,
    TAP_NO_PLAN,
    TAP_TWO_PLANS,
    TAP_PLAN_NOT_MET,
    TAP_OUT_OF_ORDER,
    TAP_BAILED_OUT
};

struct tap_result {
    uint64_t points, skipped, failed;
    uint64_t plan; /* 0 without one */
    enum tap_fault fault;
    size_t
        bad_at; /* where the first failed point or "Bail out!" stands in the output; SIZE_MAX: nowhere */
};

/* Who hears of each failed point with its lines of comment. */
struct tap_listener {
    void (*failed)(void *self, const char *text,
                   size_t size); /* several lines, without the last line end */
    void *self;
};

/* Read an output. Lines that are no TAP are passed over; CR before LF too. A point with one of the directives skip and todo
 * does not fail. `listener` may be NULL. Any bytes will do. */
void tap_read(const char *text, size_t size, const struct tap_listener *listener,
              struct tap_result *result);

/* The words for a fault. */
const char *tap_fault_text(enum tap_fault fault);

/* The length of the first line of `text`, without its CR and LF; *next is where the next line begins, at most `size`. */
size_t tap_line(const char *text, size_t size, size_t *next);

#endif

/* tap.h: results in the Test Anything Protocol, one point a line; the plan comes last. */
#ifndef TEST_ROMS_LIB_TAP_H
#define TEST_ROMS_LIB_TAP_H

#include <stdbool.h>
#include <stdint.h>

/* Report one point. The text names the rule. Returns `passed`. */
bool tap_ok(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Report one point that passes if both numbers are equal; prints them if they are not. */
bool tap_eq(uint64_t got, uint64_t want, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Report one point as passed because this processor lacks what it needs. */
void tap_skip(const char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print the plan and end the program: 0 if everything passed, 1 otherwise. */
_Noreturn void tap_done(void);

#endif

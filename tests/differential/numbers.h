/* Numbers near the edges of every format. */
#ifndef TESTS_DIFFERENTIAL_NUMBERS_H
#define TESTS_DIFFERENTIAL_NUMBERS_H

#include "tests/differential/differential.h"

/* How the bytes of an operand are drawn. */
enum flavour {
    ANYTHING,
    INT8,
    INT16,
    INT32,
    BINARY16,
    BINARY32,
    BINARY64,
    BINARY80,
    CONTROL,
    BCD,
    FLAVOURS
};

/* Around what a case's numbers lie, so that they meet each other. */
struct drawing {
    struct diff_random *random;
    int centre[2];
};

struct drawing numbers_start(struct diff_random *random, enum flavour flavour);
void numbers_fill(struct drawing *drawing, enum flavour flavour, uint8_t *at, unsigned bytes);

#endif

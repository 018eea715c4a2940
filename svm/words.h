/* Text that grows in a caller's buffer and counts what did not fit, as snprintf does. */
#ifndef SVM_WORDS_H
#define SVM_WORDS_H

#include "emu/compiler.h"

#include <stdbool.h>

/* Invariant: text[0..size) ends with NUL if size is not 0. `used` may exceed size: the length all of it would have. */
struct words {
    char *text;
    unsigned size, used;
};

/* Start with an empty text; size may be 0. */
struct words words_begin(char *text, unsigned size);

void words_add(struct words *words, const char *fmt, ...) EMU_PRINTF(2, 3);

#endif

/* Text that grows: descriptions of machines. */
#ifndef EMU_MACHINE_TEXT_H
#define EMU_MACHINE_TEXT_H

#include "emu/compiler.h"

#include <stdbool.h>
#include <stddef.h>

/* Start from all zero. Invariant: bytes[0..size) ends with NUL if it is not NULL. */
struct text {
    char *bytes;
    size_t size, room;
    bool failed; /* there was no memory: nothing more is added */
};

/* printf behind what is there; what does not fit 512 bytes is cut. */
void text_put(struct text *text, const char *format, ...) EMU_PRINTF(2, 3);
void text_free(struct text *text);

/* The text, to be freed by the caller; NULL without memory. */
char *text_take(struct text *text);

#endif

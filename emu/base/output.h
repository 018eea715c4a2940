/* Printing a line to one of the machine's outputs. */
#ifndef EMU_DEBUG_OUTPUT_H
#define EMU_DEBUG_OUTPUT_H

#include <pacifica/pacifica.h>

#include "emu/compiler.h"

/* printf to `output`; what does not fit 400 bytes is cut. */
void output_put(const struct pacifica_output *output, const char *fmt, ...) EMU_PRINTF(2, 3);

#endif

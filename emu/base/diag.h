/* Diagnostics: what went wrong with an input or the environment, where, and what helps. */
#ifndef EMU_BASE_DIAG_H
#define EMU_BASE_DIAG_H

#include <pacifica/pacifica.h>

#include "emu/compiler.h"

/* Fill `diag` (may be NULL) and return `status`. `where` and `hint` may be NULL; `fmt` says what.
 * Text that does not fit is cut. */
enum pacifica_status diag_set(struct pacifica_diag *diag, enum pacifica_status status,
                              const char *where, const char *hint, const char *fmt, ...)
    EMU_PRINTF(5, 6);

#endif

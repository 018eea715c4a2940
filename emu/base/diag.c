/* Diagnostics: filling struct pacifica_diag. */
#include "emu/base/diag.h"

#include <stdarg.h>
#include <stdio.h>

enum pacifica_status diag_set(struct pacifica_diag *diag, enum pacifica_status status,
                              const char *where, const char *hint, const char *fmt, ...)
{
    if (!diag)
        return status;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(diag->what, sizeof(diag->what), fmt, args);
    va_end(args);
    (void)snprintf(diag->where, sizeof(diag->where), "%s", where ? where : "");
    (void)snprintf(diag->hint, sizeof(diag->hint), "%s", hint ? hint : "");
    return status;
}

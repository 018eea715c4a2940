/* Printing a line. */
#include "emu/base/output.h"

#include <stdarg.h>
#include <stdio.h>

void output_put(const struct pacifica_output *output, const char *fmt, ...)
{
    char line[400];
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (output->write && length > 0)
        output->write(output->self, line,
                      (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

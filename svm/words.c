/* Text that grows. */
#include "svm/words.h"

#include <stdarg.h>
#include <stdio.h>

struct words words_begin(char *text, unsigned size)
{
    if (size)
        text[0] = '\0';
    return (struct words){ .text = text, .size = size };
}

void words_add(struct words *words, const char *fmt, ...)
{
    bool room = words->used < words->size;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(room ? words->text + words->used : NULL,
                        room ? words->size - words->used : 0, fmt, args);
    va_end(args);
    if (len > 0)
        words->used += (unsigned)len;
}

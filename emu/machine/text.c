/* Text that grows. */
#include "emu/machine/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM 4096u
#define PUT_MOST 512u

static bool make_room(struct text *text, size_t more)
{
    if (text->failed)
        return false;
    if (text->room - text->size > more)
        return true;
    size_t room = text->room ? 2 * text->room : TEXT_ROOM; /* more is less than that */
    char *bytes = realloc(text->bytes, room);
    text->failed = bytes == NULL;
    if (bytes) {
        text->bytes = bytes;
        text->room = room;
    }
    return bytes != NULL;
}

void text_put(struct text *text, const char *format, ...)
{
    char line[PUT_MOST];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length;
    if (size >= sizeof(line))
        size = sizeof(line) - 1;
    if (!make_room(text, size))
        return;
    memcpy(text->bytes + text->size, line, size + 1);
    text->size += size;
}

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){ 0 };
}

char *text_take(struct text *text)
{
    char *bytes = text->bytes;
    if (text->failed) {
        text_free(text);
        return NULL;
    }
    *text = (struct text){ 0 };
    return bytes;
}

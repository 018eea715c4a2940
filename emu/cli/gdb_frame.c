/* Packets of the GDB remote serial protocol: reading and writing their bytes. */
#include "emu/cli/gdb_frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INTERRUPT 0x03
#define ESCAPE '}'
#define ESCAPE_FLIPS 0x20

static int digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* --- reading ------------------------------------------------------------------------------ */

static void begin(struct gdb_frame *frame)
{
    frame->at = GDB_FRAME_BODY;
    frame->too_long = frame->no_digits = false;
    frame->sum = frame->told = 0;
    frame->size = 0;
}

static void keep(struct gdb_frame *frame, uint8_t byte)
{
    if (frame->size < GDB_PACKET_MOST)
        frame->body[frame->size++] = (char)byte;
    else
        frame->too_long = true;
}

static enum gdb_frame_event between(struct gdb_frame *frame, uint8_t byte)
{
    (void)frame;
    switch (byte) {
    case '-': return GDB_FRAME_REPEAT;
    case INTERRUPT: return GDB_FRAME_INTERRUPT;
    default: return GDB_FRAME_NOTHING;
    }
}

static void inside(struct gdb_frame *frame, uint8_t byte)
{
    if (frame->at == GDB_FRAME_BODY && byte == '#') {
        frame->at = GDB_FRAME_HIGH;
        return;
    }
    frame->sum = (uint8_t)(frame->sum + byte);
    if (frame->at == GDB_FRAME_BODY && byte == ESCAPE) {
        frame->at = GDB_FRAME_ESCAPED;
        return;
    }
    keep(frame, frame->at == GDB_FRAME_ESCAPED ? byte ^ ESCAPE_FLIPS : byte);
    frame->at = GDB_FRAME_BODY;
}

static void take_digit(struct gdb_frame *frame, uint8_t byte)
{
    int value = digit(byte);
    frame->no_digits = frame->no_digits || value < 0;
    frame->told = (uint8_t)(frame->told << 4 | (value & 0xf));
}

static enum gdb_frame_event end(struct gdb_frame *frame)
{
    frame->at = GDB_FRAME_IDLE;
    frame->body[frame->size] = '\0';
    if (frame->no_digits || frame->told != frame->sum)
        return GDB_FRAME_DAMAGED;
    return frame->too_long ? GDB_FRAME_TOO_LONG : GDB_FRAME_PACKET;
}

enum gdb_frame_event gdb_frame_byte(struct gdb_frame *frame, uint8_t byte)
{
    if (byte == '$') {
        begin(frame);
        return GDB_FRAME_NOTHING;
    }
    switch (frame->at) {
    case GDB_FRAME_IDLE: return between(frame, byte);
    case GDB_FRAME_HIGH:
        take_digit(frame, byte);
        frame->at = GDB_FRAME_LOW;
        return GDB_FRAME_NOTHING;
    case GDB_FRAME_LOW: take_digit(frame, byte); return end(frame);
    default: inside(frame, byte); return GDB_FRAME_NOTHING;
    }
}

/* --- writing ------------------------------------------------------------------------------ */

void gdb_text_clear(struct gdb_text *text)
{
    text->size = 0;
    text->full = false;
}

void gdb_text_put(struct gdb_text *text, const char *format, ...)
{
    char part[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(part, sizeof(part), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(part) ||
        (size_t)length > sizeof(text->bytes) - text->size) {
        text->full = true;
        return;
    }
    memcpy(text->bytes + text->size, part, (size_t)length);
    text->size += (size_t)length;
}

void gdb_text_hex(struct gdb_text *text, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    if (size > (sizeof(text->bytes) - text->size) / 2) {
        text->full = true;
        return;
    }
    for (size_t i = 0; i < size; i++) {
        text->bytes[text->size++] = digits[from[i] >> 4];
        text->bytes[text->size++] = digits[from[i] & 0xf];
    }
}

size_t gdb_text_binary(struct gdb_text *text, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++) {
        bool special = from[i] == '$' || from[i] == '#' || from[i] == ESCAPE || from[i] == '*';
        if (sizeof(text->bytes) - text->size < (special ? 2u : 1u))
            return i;
        if (special)
            text->bytes[text->size++] = ESCAPE;
        text->bytes[text->size++] = (char)(special ? from[i] ^ ESCAPE_FLIPS : from[i]);
    }
    return size;
}

size_t gdb_frame_line(const struct gdb_text *text, char *line)
{
    uint8_t sum = 0;
    char told[3];
    for (size_t i = 0; i < text->size; i++)
        sum = (uint8_t)(sum + (uint8_t)text->bytes[i]);
    (void)snprintf(told, sizeof(told), "%02x", sum);
    line[0] = '$';
    memcpy(line + 1, text->bytes, text->size);
    line[text->size + 1] = '#';
    line[text->size + 2] = told[0];
    line[text->size + 3] = told[1];
    return text->size + 4;
}

/* --- words of a packet -------------------------------------------------------------------------- */

bool gdb_take_number(const char **text, uint64_t *number)
{
    unsigned digits = 0;
    uint64_t value = 0;
    const char *at = *text;
    for (; digit((uint8_t)*at) >= 0; at++, digits++)
        value = value << 4 | (uint64_t)digit((uint8_t)*at);
    if (digits == 0 || digits > 16)
        return false;
    *number = value;
    *text = at;
    return true;
}

bool gdb_take(const char **text, char character)
{
    if (**text != character || !character)
        return false;
    ++*text;
    return true;
}

bool gdb_take_bytes(const char **text, void *bytes, size_t count)
{
    uint8_t *to = bytes;
    const char *at = *text;
    for (size_t i = 0; i < count; i++, at += 2) {
        int high = digit((uint8_t)at[0]);
        int low = high < 0 ? -1 : digit((uint8_t)at[1]);
        if (low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    *text = at;
    return true;
}

/* Packets of the GDB remote serial protocol as they stand on the line: $BODY#CC, acknowledged by + or -. */
#ifndef EMU_CLI_GDB_FRAME_H
#define EMU_CLI_GDB_FRAME_H

#include "emu/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MOST 0x4000u /* bytes between $ and # */

/* What a byte has completed. */
enum gdb_frame_event {
    GDB_FRAME_NOTHING,
    GDB_FRAME_PACKET,    /* body[0..size) */
    GDB_FRAME_DAMAGED,   /* a packet whose checksum is wrong */
    GDB_FRAME_TOO_LONG,  /* one that has no room */
    GDB_FRAME_REPEAT,    /* the other side asks for our last packet again */
    GDB_FRAME_INTERRUPT, /* Ctrl-C */
};

/* Start from all zero. Invariant: size <= GDB_PACKET_MOST. After a packet body[size] is NUL. */
struct gdb_frame {
    enum { GDB_FRAME_IDLE, GDB_FRAME_BODY, GDB_FRAME_ESCAPED, GDB_FRAME_HIGH, GDB_FRAME_LOW } at;
    bool too_long, no_digits;
    uint8_t sum, told; /* what the bytes add up to, and what the checksum says so far */
    size_t size;
    char body[GDB_PACKET_MOST + 1];
};

/* Take a byte from the line. Bytes between packets that mean nothing are passed over; $ begins a packet at any time. */
enum gdb_frame_event gdb_frame_byte(struct gdb_frame *frame, uint8_t byte);

/* The text of a packet that is being made. Invariant: size <= GDB_PACKET_MOST; full: something had no room. */
struct gdb_text {
    size_t size;
    bool full;
    char bytes[GDB_PACKET_MOST];
};

void gdb_text_clear(struct gdb_text *text);
void gdb_text_put(struct gdb_text *text, const char *format, ...) EMU_PRINTF(2, 3);

/* Two hexadecimal digits a byte. */
void gdb_text_hex(struct gdb_text *text, const void *bytes, size_t size);

/* Bytes as they are, those with a meaning on the line escaped. Returns how many had room. */
size_t gdb_text_binary(struct gdb_text *text, const void *bytes, size_t size);

#define GDB_LINE_MOST (GDB_PACKET_MOST + 4)

/* $TEXT#CC. `line` has room for GDB_LINE_MOST bytes. Returns how many there are. */
size_t gdb_frame_line(const struct gdb_text *text, char *line);

/* A hexadecimal number of 1 to 16 digits; *text moves behind it. False: there is none. */
bool gdb_take_number(const char **text, uint64_t *number);

/* One character; false, and *text stays, if there is another. */
bool gdb_take(const char **text, char character);

/* Two digits a byte, `count` bytes; *text moves behind them. False: there are fewer. */
bool gdb_take_bytes(const char **text, void *bytes, size_t count);

#endif

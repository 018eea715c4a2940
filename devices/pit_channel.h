/* One counter of the 8254, for pit.c only: what it holds and does is a function of the ticks since it was programmed. */
#ifndef DEVICES_PIT_CHANNEL_H
#define DEVICES_PIT_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_NEVER UINT64_MAX

enum access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

struct channel {
    uint8_t control; /* bits 5:0 of the control word, which the status repeats */
    uint8_t mode, access;
    bool bcd, gate;

    bool high_write_next, high_read_next;
    uint8_t low_written;
    bool latched, status_latched;
    uint16_t latch;
    uint8_t status;

    bool loaded;    /* the counting element holds `count` since tick `start` */
    bool triggered; /* modes 1, 5: a gate edge was seen */
    bool held;      /* the gate stops counting at `held_elapsed` */
    uint32_t count; /* 1 to 65536 */
    uint64_t start;
    bool out_before; /* modes 1, 5: OUT until then */
    uint64_t held_elapsed;

    bool next_valid; /* a count was written that is not yet in the counting element */
    uint32_t next;
    uint64_t next_at; /* modes 2, 3: the tick when it goes there */
};

/* Ticks grow from one call to the next. */
void channel_sync(struct channel *ch, uint64_t tick); /* must precede every look at the channel */
bool channel_out(const struct channel *ch, uint64_t tick);
uint8_t channel_status(const struct channel *ch, uint64_t tick);

/* The tick after `tick` at which OUT may change, or PIT_NEVER. */
uint64_t channel_next_edge(const struct channel *ch, uint64_t tick);

void channel_gate(struct channel *ch, bool gate, uint64_t tick);
void channel_program(struct channel *ch, uint8_t control); /* the control word, not a latch */
void channel_write(struct channel *ch, uint8_t value, uint64_t tick);
uint8_t channel_read(struct channel *ch, uint64_t tick);
void channel_latch_count(struct channel *ch, uint64_t tick);
void channel_latch_status(struct channel *ch, uint64_t tick);

#endif

/* What every device test needs: a clock that stands until told, a bus, a line that counts, and main(). */
#ifndef TESTS_DEVICES_KIT_H
#define TESTS_DEVICES_KIT_H

#include "tests/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/bus.h"

struct kit {
    uint64_t now_ns;
    struct vclock clock;
    struct probes probes;
    struct probe_client client;
    unsigned told[PROBE_KINDS];
    struct probe_event last; /* the last event of any kind */
    struct bus *bus;
};

static inline uint64_t kit_now(void *self)
{
    const struct kit *kit = self;
    return kit->now_ns;
}

static inline void kit_hear(void *self, const struct probe_event *event)
{
    struct kit *kit = self;
    kit->told[event->kind]++;
    kit->last = *event;
}

static inline void kit_open(struct kit *kit)
{
    memset(kit, 0, sizeof(*kit));
    kit->clock = (struct vclock){ .now = kit_now, .self = kit };
    kit->client = (struct probe_client){ .mask = UINT32_MAX, .fire = kit_hear, .self = kit };
    probes_attach(&kit->probes, &kit->client);
    kit->bus = bus_new(NULL, &kit->clock, &kit->probes);
    ck_assert_ptr_nonnull(kit->bus);
}

static inline void kit_close(struct kit *kit)
{
    bus_free(kit->bus);
    kit->bus = NULL;
    ck_assert_ptr_null(kit->clock.first); /* devices take their deadlines with them */
}

/* Let virtual time pass, firing deadlines at their times, as the run loop does. */
static inline void kit_until(struct kit *kit, uint64_t when_ns)
{
    while (clock_next_ns(&kit->clock) <= when_ns) {
        kit->now_ns = clock_next_ns(&kit->clock);
        clock_run(&kit->clock, kit->now_ns);
    }
    kit->now_ns = when_ns;
}

static inline void kit_pass(struct kit *kit, uint64_t ns)
{
    kit_until(kit, kit->now_ns + ns);
}

static inline uint8_t kit_in(struct kit *kit, uint16_t port)
{
    return (uint8_t)bus_port_ops.read(kit->bus, port, 1);
}

static inline void kit_out(struct kit *kit, uint16_t port, uint8_t value)
{
    bus_port_ops.write(kit->bus, port, 1, value);
}

/* Where a pass puts what it hashes; ctx is a uint64_t. */
static inline void kit_hash_bytes(void *ctx, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t *hash = ctx;
    for (size_t i = 0; i < size; i++) {
        *hash = (*hash ^ at[i]) * 0x9e3779b97f4a7c15ull;
        *hash ^= *hash >> 29;
    }
}

/* What the devices of a bus give to the state hash. */
static inline uint64_t kit_bus_hash(struct bus *bus)
{
    uint64_t hash = 1;
    struct vclock *clock = bus_clock(bus);
    struct snap snap;
    clock_settle(clock, clock->now(clock->self)); /* there is one processor */
    snap_hash(&snap, kit_hash_bytes, &hash);
    bus_state(bus, &snap);
    return hash;
}

/* The other end of an interrupt line. */
struct kit_line {
    bool level;
    unsigned rises;
};

static inline void kit_line_set(void *self, unsigned line, bool level)
{
    struct kit_line *end = self;
    (void)line;
    end->rises += level && !end->level;
    end->level = level;
}

static inline struct irq_line kit_line_to(struct kit_line *end)
{
    return (struct irq_line){ .set = kit_line_set, .self = end };
}

/* A sink that keeps what it got. */
struct kit_text {
    size_t len;
    uint8_t bytes[64];
};

static inline void kit_text_put(void *self, uint8_t byte)
{
    struct kit_text *text = self;
    if (text->len < sizeof(text->bytes))
        text->bytes[text->len++] = byte;
}

#endif

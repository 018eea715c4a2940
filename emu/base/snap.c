/* Passes over the state of a machine. */
#include "emu/base/snap.h"

#include "emu/base/clock.h"
#include "emu/base/diag.h"
#include "emu/base/little.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void snap_save(struct snap *snap)
{
    *snap = (struct snap){ .mode = SNAP_SAVE };
}

void snap_load(struct snap *snap, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    *snap = (struct snap){ .mode = SNAP_LOAD, .from = from, .end = size ? from + size : from };
}

void snap_hash(struct snap *snap, void (*put)(void *self, const void *bytes, size_t size),
               void *self)
{
    *snap = (struct snap){ .mode = SNAP_HASH, .put = put, .self = self };
}

void snap_free(struct snap *snap)
{
    free(snap->data);
    snap->data = NULL;
    snap->size = snap->room = 0;
}

static void fail(struct snap *snap, const char *name, const char *what)
{
    if (snap->failed)
        return;
    snap->failed = true;
    char where[96];
    (void)snprintf(where, sizeof(where), "section %s.%u%s%s",
                   snap->section ? snap->section : "(none)", snap->instance, name ? ", " : "",
                   name ? name : "");
    (void)diag_set(&snap->diag, PACIFICA_EFORMAT, where, NULL, "%s", what);
}

void snap_refuse(struct snap *snap, const char *name)
{
    if (snap->mode == SNAP_LOAD)
        fail(snap, name, "a value that this machine cannot have");
}

/* --- bytes -------------------------------------------------------------------------------- */

static bool make_room(struct snap *snap, size_t more)
{
    if (snap->failed)
        return false;
    if (snap->room - snap->size >= more)
        return true;
    size_t room = snap->room ? snap->room : 65536;
    while (room - snap->size < more) {
        if (room > SIZE_MAX / 2) {
            snap->failed = true;
            return false;
        }
        room *= 2;
    }
    uint8_t *data = realloc(snap->data, room);
    if (!data) {
        snap->failed = true;
        (void)diag_set(&snap->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a snapshot");
        return false;
    }
    snap->data = data;
    snap->room = room;
    return true;
}

/* Move bytes as they stand in the stream. */
static void raw(struct snap *snap, const char *name, uint8_t *bytes, size_t size)
{
    switch (snap->mode) {
    case SNAP_SAVE:
        if (!make_room(snap, size))
            return;
        memcpy(snap->data + snap->size, bytes, size);
        snap->size += size;
        return;
    case SNAP_HASH: snap->put(snap->self, bytes, size); return;
    case SNAP_LOAD:
        if (!snap->failed &&
            (!snap->section_end || (size_t)(snap->section_end - snap->from) < size))
            fail(snap, name, "it ends too early");
        if (snap->failed) {
            memset(bytes, 0, size);
            return;
        }
        memcpy(bytes, snap->from, size);
        snap->from += size;
        return;
    }
}

static uint64_t number(struct snap *snap, const char *name, unsigned index, uint64_t value,
                       unsigned size)
{
    uint8_t bytes[8];
    little_put(bytes, size, value);
    raw(snap, name, bytes, size);
    if (snap->mode == SNAP_LOAD)
        value = little_get(bytes, size);
    if (snap->tell)
        snap->tell(snap->tell_self, snap, name, index, value);
    return value;
}

/* --- sections ------------------------------------------------------------------------------ */

bool snap_read_head(const uint8_t *from, const uint8_t *end, struct snap_head *head)
{
    if ((size_t)(end - from) < SNAP_HEAD || from[SNAP_NAME - 1] != 0)
        return false;
    memcpy(head->name, from, SNAP_NAME);
    head->instance = (uint32_t)little_get(from + SNAP_NAME, 4);
    head->version = (uint32_t)little_get(from + SNAP_NAME + 4, 4);
    head->bytes = little_get(from + SNAP_NAME + 8, 8);
    return head->bytes <= (size_t)(end - from) - SNAP_HEAD;
}

static void write_head(struct snap *snap, uint32_t version)
{
    uint8_t head[SNAP_HEAD] = { 0 };
    (void)snprintf((char *)head, SNAP_NAME, "%s", snap->section);
    little_put(head + SNAP_NAME, 4, snap->instance);
    little_put(head + SNAP_NAME + 4, 4, version);
    snap->section_at = snap->size;
    raw(snap, NULL, head, sizeof(head));
}

static void take_head(struct snap *snap, uint32_t version)
{
    struct snap_head head;
    if (snap->failed)
        return;
    if (!snap_read_head(snap->from, snap->end, &head)) {
        fail(snap, NULL, "it is missing or truncated");
    } else if (strcmp(head.name, snap->section) != 0 || head.instance != snap->instance) {
        char what[96];
        for (char *at = head.name; *at; at++) /* it may be anything */
            *at = *at > ' ' && *at < 127 ? *at : '?';
        (void)snprintf(what, sizeof(what), "section %s.%u stands in its place", head.name,
                       head.instance);
        fail(snap, NULL, what);
    } else if (head.version != version) {
        char what[96];
        (void)snprintf(what, sizeof(what), "it has version %u, this program reads version %u",
                       head.version, version);
        fail(snap, NULL, what);
    } else {
        snap->from += SNAP_HEAD;
        snap->section_end = snap->from + head.bytes;
    }
}

bool snap_begin(struct snap *snap, const char *name, unsigned instance, uint32_t version)
{
    snap->section = name;
    snap->instance = instance;
    if (snap->mode == SNAP_SAVE)
        write_head(snap, version);
    else if (snap->mode == SNAP_LOAD)
        take_head(snap, version);
    return !snap->failed;
}

void snap_end(struct snap *snap)
{
    if (snap->mode == SNAP_SAVE && !snap->failed) {
        uint64_t bytes = snap->size - snap->section_at - SNAP_HEAD;
        little_put(snap->data + snap->section_at + SNAP_NAME + 8, 8, bytes);
    } else if (snap->mode == SNAP_LOAD && !snap->failed && snap->from != snap->section_end) {
        fail(snap, NULL, "it is longer than it may be");
    }
    snap->section_end = NULL;
    snap->section = NULL;
}

/* --- members --------------------------------------------------------------------------------- */

void snap_bools(struct snap *snap, const char *name, bool *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = number(snap, name, (unsigned)i, values[i], 1);
        if (value > 1)
            snap_refuse(snap, name);
        if (snap->mode == SNAP_LOAD)
            values[i] = value == 1;
    }
}

void snap_bool(struct snap *snap, const char *name, bool *value)
{
    snap_bools(snap, name, value, 1);
}

void snap_u8(struct snap *snap, const char *name, uint8_t *value)
{
    uint64_t moved = number(snap, name, 0, *value, 1);
    if (snap->mode == SNAP_LOAD)
        *value = (uint8_t)moved;
}

void snap_u16s(struct snap *snap, const char *name, uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t moved = number(snap, name, (unsigned)i, values[i], 2);
        if (snap->mode == SNAP_LOAD)
            values[i] = (uint16_t)moved;
    }
}

void snap_u16(struct snap *snap, const char *name, uint16_t *value)
{
    snap_u16s(snap, name, value, 1);
}

void snap_u32s(struct snap *snap, const char *name, uint32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t moved = number(snap, name, (unsigned)i, values[i], 4);
        if (snap->mode == SNAP_LOAD)
            values[i] = (uint32_t)moved;
    }
}

void snap_u32(struct snap *snap, const char *name, uint32_t *value)
{
    snap_u32s(snap, name, value, 1);
}

void snap_u64s(struct snap *snap, const char *name, uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t moved = number(snap, name, (unsigned)i, values[i], 8);
        if (snap->mode == SNAP_LOAD)
            values[i] = moved;
    }
}

void snap_u64(struct snap *snap, const char *name, uint64_t *value)
{
    snap_u64s(snap, name, value, 1);
}

void snap_s32(struct snap *snap, const char *name, int32_t *value)
{
    uint64_t moved = number(snap, name, 0, (uint32_t)*value, 4);
    if (snap->mode == SNAP_LOAD)
        *value = (int32_t)(uint32_t)moved;
}

void snap_s64(struct snap *snap, const char *name, int64_t *value)
{
    uint64_t moved = number(snap, name, 0, (uint64_t)*value, 8);
    if (snap->mode == SNAP_LOAD)
        *value = (int64_t)moved;
}

/* Blobs move as a whole; who listens hears of words of eight bytes. */
void snap_bytes(struct snap *snap, const char *name, uint8_t *bytes, size_t count)
{
    if (count == 0)
        return;
    raw(snap, name, bytes, count);
    for (size_t i = 0; snap->tell && i < count; i += 8)
        snap->tell(snap->tell_self, snap, name, (unsigned)(i / 8),
                   little_get(bytes + i, (unsigned)(count - i < 8 ? count - i : 8)));
}

uint32_t snap_below(struct snap *snap, const char *name, uint32_t value, uint32_t end)
{
    uint32_t moved = (uint32_t)number(snap, name, 0, value, 4);
    if (snap->mode != SNAP_LOAD || moved < end)
        return moved;
    snap_refuse(snap, name);
    return 0;
}

void snap_ring(struct snap *snap, const char *name, uint8_t *bytes, uint32_t room, uint32_t *first,
               uint32_t *count)
{
    *count = snap_below(snap, name, *count, room + 1);
    if (snap->mode == SNAP_LOAD)
        *first = 0;
    uint32_t to_end = room - *first;
    uint32_t part = *count < to_end ? *count : to_end;
    snap_bytes(snap, name, bytes + *first, part);
    snap_bytes(snap, name, bytes, *count - part);
}

/* Firing late, a deadline may go from one event to the next: there must not be years of them. */
static bool is_overdue(const struct vclock *clock, uint64_t when)
{
    uint64_t now = clock->now ? clock->now(clock->self) : 0;
    if (now < clock->highest_ns)
        now = clock->highest_ns;
    return when < now && now - when > CLOCK_LATE_NS;
}

void snap_deadline(struct snap *snap, const char *name, struct vclock *clock, struct deadline *d)
{
    uint64_t when = d->queued ? d->when_ns : CLOCK_NEVER;
    uint32_t place = 0;
    for (const struct deadline *at = clock->first; d->queued && at != d; at = at->next)
        place += at->when_ns == when;
    when = number(snap, name, 0, when, 8);
    place = (uint32_t)number(snap, name, 1, place, 4);
    if (snap->mode != SNAP_LOAD)
        return;
    if (when != CLOCK_NEVER && (when > CLOCK_LAST || is_overdue(clock, when)))
        snap_refuse(snap, name);
    clock_restore(clock, d, snap->failed ? CLOCK_NEVER : when, place);
}

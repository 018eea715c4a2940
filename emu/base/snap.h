/* One pass over the state of a machine.
 *
 * Each module has one function that names its state, member by member, and serves three purposes: saving it, loading it
 * and making the state hash. What it names is all that decides about the machine's future, and nothing that depends on
 * how a run was executed, cut or traced: what is kept lazily is brought up to date first, which no program can see; what
 * is derived (fast tables, decoded code) is not named, and dropped after loading. Numbers are little-endian in the
 * stream whatever the workstation is. */
#ifndef EMU_BASE_SNAP_H
#define EMU_BASE_SNAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pacifica/pacifica.h>

#include "emu/compiler.h"

struct vclock;
struct deadline;

enum snap_mode { SNAP_SAVE, SNAP_LOAD, SNAP_HASH };

/* Where a pass is. Filled by snap_save(), snap_load() or snap_hash(); modules use the functions below only.
 * Invariant: after a failure loading gives zeros and changes nothing more in *diag. */
struct snap {
    enum snap_mode mode;
    /* SAVE */
    uint8_t *data; /* what was written, to be freed by snap_free() */
    size_t size, room;
    /* LOAD */
    const uint8_t *from, *end;
    /* HASH */
    void (*put)(void *self, const void *bytes, size_t size);
    void *self;

    const char *section; /* the section that is open, or NULL */
    unsigned instance;
    size_t section_at;          /* SAVE: where its head begins */
    const uint8_t *section_end; /* LOAD */
    bool failed;
    /* The user's, set behind the beginning: leave out what was written to disks, flash memory and screens, for which there
     * are marks (devices/block.h, devices/vga.h). */
    bool without_media;
    struct pacifica_diag diag; /* LOAD: why it failed; SAVE fails without memory only */
    /* Hears of each number as it passes, in every mode; for tools that show or compare. May be NULL. */
    void (*tell)(void *self, const struct snap *snap, const char *name, unsigned index,
                 uint64_t value);
    void *tell_self;
};

void snap_save(struct snap *snap);                                 /* begin to save */
void snap_load(struct snap *snap, const void *bytes, size_t size); /* begin to load; borrowed */
void snap_hash(struct snap *snap, void (*put)(void *self, const void *bytes, size_t size),
               void *self);
void snap_free(struct snap *snap); /* what SAVE has allocated */

static inline bool snap_loading(const struct snap *snap)
{
    return snap->mode == SNAP_LOAD;
}

static inline bool snap_hashing(const struct snap *snap)
{
    return snap->mode == SNAP_HASH;
}

/* A section: the state of one instance of a module. Sections do not nest. When loading, the stream must hold this
 * very section next (name, instance, version), and snap_end() all of it must have been read; else the pass fails.
 * Returns false if it has failed: the module may leave its state as it is.
 * name      at most 31 characters, static
 * version   of what the section holds; changed whenever that changes */
bool snap_begin(struct snap *snap, const char *name, unsigned instance, uint32_t version);
void snap_end(struct snap *snap);

/* The head of a section in the stream: SNAP_HEAD bytes. For tools that list sections without knowing what they hold. */
#define SNAP_NAME 32u
#define SNAP_HEAD \
    48u /* name filled up with NULs, u32 instance, u32 version, u64 bytes that follow */
struct snap_head {
    char name[SNAP_NAME];
    uint32_t instance, version;
    uint64_t bytes;
};
/* Read the head at `from`. false: no whole head and section is there. */
bool snap_read_head(const uint8_t *from, const uint8_t *end, struct snap_head *head);

/* Loading found a value that cannot be: the pass fails, and names section and member. To be called by modules for every
 * index, count or enumeration that they load and that something would trust. Ignored in other modes. */
void snap_refuse(struct snap *snap, const char *name);

/* One member, or an array of them. `name` is static. */
void snap_bool(struct snap *snap, const char *name, bool *value);
void snap_u8(struct snap *snap, const char *name, uint8_t *value);
void snap_u16(struct snap *snap, const char *name, uint16_t *value);
void snap_u32(struct snap *snap, const char *name, uint32_t *value);
void snap_u64(struct snap *snap, const char *name, uint64_t *value);
void snap_s32(struct snap *snap, const char *name, int32_t *value);
void snap_s64(struct snap *snap, const char *name, int64_t *value);
void snap_bools(struct snap *snap, const char *name, bool *values, size_t count);
void snap_bytes(struct snap *snap, const char *name, uint8_t *bytes, size_t count);
void snap_u16s(struct snap *snap, const char *name, uint16_t *values, size_t count);
void snap_u32s(struct snap *snap, const char *name, uint32_t *values, size_t count);
void snap_u64s(struct snap *snap, const char *name, uint64_t *values, size_t count);

/* An unsigned number that must be below `end` when it is loaded: an index, a count (end = most + 1) or an enumeration.
 * Saved as 32 bits. Returns the number; 0 after a refusal. */
uint32_t snap_below(struct snap *snap, const char *name, uint32_t value, uint32_t end);

/* A ring of bytes: those that are in it, the oldest first. Loading puts that one at 0, and refuses more than `room`. */
void snap_ring(struct snap *snap, const char *name, uint8_t *bytes, uint32_t room, uint32_t *first,
               uint32_t *count);

/* A deadline: whether it is queued, for when, and which comes first of those at the same time. Loading queues it; before a
 * machine is loaded its queue is emptied (clock_clear()), and its times (clock->highest_ns and those of the vCPUs) are
 * loaded before its devices: a deadline that should have fired long ago is refused. */
void snap_deadline(struct snap *snap, const char *name, struct vclock *clock, struct deadline *d);

/* SNAP(snap, uart, ier): one member by its type. SNAP_ALL: an array. */
#define SNAP(snap, object, member)  \
    _Generic((object)->member, bool \
             : snap_bool, uint8_t   \
             : snap_u8, uint16_t    \
             : snap_u16, uint32_t   \
             : snap_u32, uint64_t   \
             : snap_u64, int32_t    \
             : snap_s32, int64_t    \
             : snap_s64)((snap), #member, &(object)->member)

#define SNAP_ALL(snap, object, member)                       \
    _Generic((object)->member[0], bool                       \
             : snap_bools, uint8_t                           \
             : snap_bytes, uint16_t                          \
             : snap_u16s, uint32_t                           \
             : snap_u32s, uint64_t                           \
             : snap_u64s)((snap), #member, (object)->member, \
                          sizeof((object)->member) / sizeof((object)->member[0]))

/* An enumeration or a count that is not one of those types. */
#define SNAP_BELOW(snap, object, member, end) \
    ((object)->member = snap_below((snap), #member, (uint32_t)(object)->member, (end)))

#endif

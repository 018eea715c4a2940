/* Snapshots: the container that a machine's state goes to. docs/snapshots.md describes it from outside.
 *
 *   header   16 bytes of magic, u32 format, u32 0
 *   chunks   32 bytes each: kind, u32 number, u64 size, u64 xxh64 of what follows, u64 xxh64 of these 24 bytes; what follows
 *     MACH   one: the description, lines of text
 *     SECT   a section of the state: its head as in the stream (emu/base/snap.h), then what it holds in a zstd frame
 *     NAME   behind a SECT: what the members in it are called, lines of text in a zstd frame
 *     PAGE   1 MiB of memory that is not all zero: u64 first page, a bitmap of the pages that follow, these in a zstd frame
 *     END    u64 xxh64 of the checksums of all chunks before
 * Numbers are little-endian. The same machine gives the same bytes on every workstation with the same libzstd. */
#ifndef EMU_MACHINE_SNAPSHOT_H
#define EMU_MACHINE_SNAPSHOT_H

#include "emu/base/little.h"
#include "emu/compiler.h"
#include "emu/machine/machine.h"
#include "emu/machine/text.h"

#define SNAPSHOT_MAGIC "PACIFICA-SNAP\r\n\x1a" /* 16 bytes, without the NUL */
#define SNAPSHOT_MAGIC_BYTES 16u
#define SNAPSHOT_FORMAT 1u
#define SNAPSHOT_HEADER 24u
#define SNAPSHOT_CHUNK 32u
#define SNAPSHOT_KIND 4u

#define SNAPSHOT_PAGE 4096u
#define SNAPSHOT_GROUP 256u /* pages of one PAGE chunk */
#define SNAPSHOT_BITMAP (SNAPSHOT_GROUP / 8)
#define SNAPSHOT_GROUP_HEAD (8u + SNAPSHOT_BITMAP)
#define SNAPSHOT_GROUP_BYTES (SNAPSHOT_GROUP * SNAPSHOT_PAGE)

/* --- snapshot_describe.c ------------------------------------------------------------------------ */

/* What a machine is made of, a line each: a key, a space, values. */
void snapshot_describe(struct pacifica_machine *machine, struct text *text);

/* The value behind a key, NULL if it is not there; *length without the newline. */
const char *snapshot_line(const char *text, const char *key, size_t *length);

/* Is it a machine like this one, whatever the model? PACIFICA_OK; PACIFICA_EUSAGE: `diag` has the difference. */
enum pacifica_status snapshot_compare(const char *theirs, const char *mine,
                                      struct pacifica_diag *diag);

/* --- snapshot_read.c ----------------------------------------------------------------------------- */

/* 1 MiB of memory in a snapshot. */
struct snapshot_group {
    uint64_t first; /* page */
    const uint8_t *bitmap, *frame;
    size_t frame_bytes;
    unsigned pages;
};

struct snapshot_section {
    char name[SNAP_NAME];
    uint32_t instance, version;
    size_t at, bytes; /* in `state`: of what it holds */
    char *names;      /* text, NULL: none; see snapshot_names.c */
    size_t packed;    /* bytes of it in the file */
};

/* An open snapshot. Borrows the bytes. */
struct snapshot {
    struct pacifica_bytes file;
    char *text;     /* the description */
    uint8_t *state; /* the stream, as machine_state() made it */
    size_t state_bytes, state_room;
    struct snapshot_section *section;
    size_t sections, section_room;
    struct snapshot_group *group; /* in rising order */
    size_t groups, group_room;
    uint8_t *scratch; /* SNAPSHOT_GROUP_BYTES */
};

/* Verify all of it, every checksum and every frame. PACIFICA_OK; PACIFICA_EFORMAT; PACIFICA_ENOMEM. snapshot_close() is needed in
 * any case. */
enum pacifica_status snapshot_open(struct snapshot *snapshot, const struct pacifica_bytes *file,
                                   struct pacifica_diag *diag);
void snapshot_close(struct snapshot *snapshot);

/* Unpack a group: all its pages, those that are not in it as zeros. false: it is damaged, or there is no memory. */
bool snapshot_unpack(struct snapshot *snapshot, const struct snapshot_group *group, uint8_t *to);

/* One page. false: as above. */
bool snapshot_page(struct snapshot *snapshot, uint64_t page, uint8_t to[SNAPSHOT_PAGE]);

/* --- snapshot_names.c ---------------------------------------------------------------------------- */

/* Hears of a section while it is saved, and notes its members: lines "NAME COUNT BYTES", COUNT numbers that take BYTES together;
 * those of a blob are words of 8 bytes, of which the last may be shorter. */
struct snapshot_names {
    struct text text;
    char name[64]; /* of the run that is open; empty: none */
    uint64_t count;
    size_t from, to; /* where it lies in the section */
};

void snapshot_names_begin(struct snapshot_names *names);
void snapshot_names_tell(struct snapshot_names *names, const char *name, unsigned index,
                         size_t end);
void snapshot_names_end(struct snapshot_names *names);

/* A run read from such text. */
struct snapshot_run {
    const char *name;
    int length; /* of the name */
    uint64_t count, bytes;
};

/* How many bytes one of its numbers takes, the last perhaps fewer. */
static inline uint64_t snapshot_run_width(const struct snapshot_run *run)
{
    return run->count == (run->bytes + 7) / 8 && run->count > 1 ? 8 : run->bytes / run->count;
}

/* The next run, and *text behind it. false: there is none, or it is malformed. */
bool snapshot_next_run(const char **text, struct snapshot_run *run);

/* --- snapshot_migrate.c --------------------------------------------------------------------------- */

/* The model of the machine that was saved, as far as features go. */
enum pacifica_status snapshot_model(const struct snapshot *snapshot, struct cpu_model *model,
                                    struct pacifica_diag *diag);

/* The state is loaded, memory is not: see that nothing is in use that this machine's model lacks, and let CPUID answer as before.
 * PACIFICA_OK; PACIFICA_EUNSUPPORTED. */
enum pacifica_status snapshot_migrate(struct pacifica_machine *machine, struct snapshot *snapshot,
                                      const struct cpu_model *from, struct pacifica_diag *diag);

#endif

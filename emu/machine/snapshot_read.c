/* Opening a snapshot: whatever the bytes are, a line says what is wrong with them, and nothing is believed before its checksum. */
#include "emu/machine/snapshot.h"

#include "emu/base/diag.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define ZSTD_RATIO_MOST 32768u /* no zstd frame unpacks to more than so many times its size */
#define TEXT_MOST (UINT64_C(1) << 20)

struct chunk {
    char kind[SNAPSHOT_KIND + 1];
    const uint8_t *bytes;
    uint64_t size, checksum;
    uint64_t number;
};

struct opening {
    struct snapshot *snapshot;
    struct pacifica_diag *diag;
    const uint8_t *at, *end;
    XXH64_state_t *sums;
    uint64_t chunks;
};

static enum pacifica_status bad(const struct opening *opening, const struct chunk *chunk,
                                const char *what)
{
    char where[64];
    (void)snprintf(where, sizeof(where), "snapshot, part %" PRIu64 " (%s)", chunk->number,
                   chunk->kind);
    return diag_set(opening->diag, PACIFICA_EFORMAT, where, NULL, "%s", what);
}

static enum pacifica_status no_memory(const struct opening *opening)
{
    return diag_set(opening->diag, PACIFICA_ENOMEM, "snapshot", NULL, "no memory for it");
}

/* --- chunks --------------------------------------------------------------------------------------- */

static enum pacifica_status take_header(struct opening *opening)
{
    size_t size = (size_t)(opening->end - opening->at);
    size_t magic = size < SNAPSHOT_MAGIC_BYTES ? size : SNAPSHOT_MAGIC_BYTES;
    if (size == 0 || memcmp(opening->at, SNAPSHOT_MAGIC, magic) != 0)
        return diag_set(opening->diag, PACIFICA_EFORMAT, "snapshot", NULL,
                        "no snapshot: it does not begin as one");
    if (size < SNAPSHOT_HEADER)
        return diag_set(opening->diag, PACIFICA_EFORMAT, "snapshot", NULL, "truncated");
    uint64_t format = little_get(opening->at + SNAPSHOT_MAGIC_BYTES, 4);
    if (format != SNAPSHOT_FORMAT)
        return diag_set(opening->diag, PACIFICA_EFORMAT, "snapshot", NULL,
                        "it has format %" PRIu64 ", this program reads format %u", format,
                        SNAPSHOT_FORMAT);
    if (little_get(opening->at + SNAPSHOT_MAGIC_BYTES + 4, 4) != 0)
        return diag_set(opening->diag, PACIFICA_EFORMAT, "snapshot", NULL, "damaged at its head");
    opening->at += SNAPSHOT_HEADER;
    return PACIFICA_OK;
}

static enum pacifica_status take_chunk(struct opening *opening, struct chunk *chunk)
{
    const uint8_t *at = opening->at;
    *chunk = (struct chunk){ .kind = "head", .number = opening->chunks };
    if ((size_t)(opening->end - at) < SNAPSHOT_CHUNK)
        return bad(opening, chunk, "truncated");
    if (XXH64(at, 24, 0) != little_get(at + 24, 8) || little_get(at + 4, 4) != opening->chunks)
        return bad(opening, chunk, "damaged: its checksum is wrong");
    for (unsigned i = 0; i < SNAPSHOT_KIND; i++)
        chunk->kind[i] = (char)(at[i] >= ' ' && at[i] <= '~' ? at[i] : '?');
    chunk->size = little_get(at + 8, 8);
    chunk->checksum = little_get(at + 16, 8);
    chunk->bytes = at + SNAPSHOT_CHUNK;
    if ((size_t)(opening->end - chunk->bytes) < chunk->size)
        return bad(opening, chunk, "truncated");
    if (XXH64(chunk->bytes, chunk->size, 0) != chunk->checksum)
        return bad(opening, chunk, "damaged: its checksum is wrong");
    opening->at = chunk->bytes + chunk->size;
    opening->chunks++;
    return PACIFICA_OK;
}

/* --- what they hold -------------------------------------------------------------------------------- */

/* Make room for one more element of an array. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t more = *room ? 2 * *room : 64;
    void *bigger = realloc(array, more * size);
    if (bigger)
        *room = more;
    return bigger;
}

/* The description: lines of a key, a space and printable text. */
static enum pacifica_status take_machine(struct opening *opening, const struct chunk *chunk)
{
    struct snapshot *snapshot = opening->snapshot;
    if (snapshot->text)
        return bad(opening, chunk, "it is there twice");
    if (chunk->size == 0 || chunk->size > TEXT_MOST || chunk->bytes[chunk->size - 1] != '\n')
        return bad(opening, chunk, "not the description of a machine");
    for (uint64_t i = 0; i < chunk->size; i++)
        if (chunk->bytes[i] != '\n' && (chunk->bytes[i] < ' ' || chunk->bytes[i] > '~'))
            return bad(opening, chunk, "not the description of a machine");
    snapshot->text = malloc(chunk->size + 1);
    if (!snapshot->text)
        return no_memory(opening);
    memcpy(snapshot->text, chunk->bytes, chunk->size);
    snapshot->text[chunk->size] = '\0';
    return PACIFICA_OK;
}

static bool make_state_room(struct snapshot *snapshot, size_t more)
{
    size_t room = snapshot->state_room ? snapshot->state_room : 65536;
    while (room - snapshot->state_bytes < more)
        room *= 2;
    uint8_t *state =
        room == snapshot->state_room ? snapshot->state : realloc(snapshot->state, room);
    if (!state)
        return false;
    snapshot->state = state;
    snapshot->state_room = room;
    return true;
}

static bool is_name(const char *name)
{
    if (!*name)
        return false;
    for (; *name; name++)
        if (*name <= ' ' || *name > '~')
            return false;
    return true;
}

/* A frame that holds `bytes` bytes, no more and no less. */
static bool unpack(uint8_t *to, size_t bytes, const uint8_t *frame, size_t size)
{
    size_t got = ZSTD_decompress(to, bytes, frame, size);
    return !ZSTD_isError(got) && got == bytes;
}

static enum pacifica_status take_section(struct opening *opening, const struct chunk *chunk)
{
    struct snapshot *snapshot = opening->snapshot;
    struct snapshot_section section = { .at = 0 };
    if (chunk->size < SNAP_HEAD || chunk->bytes[SNAP_NAME - 1] != 0)
        return bad(opening, chunk, "not the head of a section");
    memcpy(section.name, chunk->bytes, SNAP_NAME);
    section.instance = (uint32_t)little_get(chunk->bytes + SNAP_NAME, 4);
    section.version = (uint32_t)little_get(chunk->bytes + SNAP_NAME + 4, 4);
    uint64_t bytes = little_get(chunk->bytes + SNAP_NAME + 8, 8);
    section.packed = chunk->size;
    if (!is_name(section.name) || bytes / ZSTD_RATIO_MOST > chunk->size)
        return bad(opening, chunk, "not the head of a section");
    struct snapshot_section *all =
        grow(snapshot->section, snapshot->sections, &snapshot->section_room, sizeof(section));
    if (!all)
        return no_memory(opening);
    snapshot->section = all;
    if (!make_state_room(snapshot, SNAP_HEAD + bytes))
        return no_memory(opening);
    memcpy(snapshot->state + snapshot->state_bytes, chunk->bytes, SNAP_HEAD);
    section.at = snapshot->state_bytes + SNAP_HEAD;
    section.bytes = bytes;
    if (!unpack(snapshot->state + section.at, bytes, chunk->bytes + SNAP_HEAD,
                chunk->size - SNAP_HEAD))
        return bad(opening, chunk, "not a compressed section");
    snapshot->state_bytes = section.at + bytes;
    all[snapshot->sections++] = section;
    return PACIFICA_OK;
}

static enum pacifica_status take_names(struct opening *opening, const struct chunk *chunk)
{
    struct snapshot *snapshot = opening->snapshot;
    struct snapshot_section *section =
        snapshot->sections ? &snapshot->section[snapshot->sections - 1] : NULL;
    uint64_t bytes = ZSTD_getFrameContentSize(chunk->bytes, chunk->size);
    if (!section || section->names || bytes == 0 || bytes / ZSTD_RATIO_MOST > chunk->size)
        return bad(opening, chunk, "no names of a section");
    section->names = malloc(bytes + 1);
    if (!section->names)
        return no_memory(opening);
    if (!unpack((uint8_t *)section->names, bytes, chunk->bytes, chunk->size))
        return bad(opening, chunk, "no names of a section");
    for (uint64_t i = 0; i < bytes; i++)
        if (section->names[i] != '\n' && (section->names[i] < ' ' || section->names[i] > '~'))
            return bad(opening, chunk, "no names of a section");
    section->names[bytes] = '\0';
    section->packed += chunk->size;
    return PACIFICA_OK;
}

static unsigned count_bits(const uint8_t *bitmap)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SNAPSHOT_GROUP; i++)
        count += bitmap[i / 8] >> i % 8 & 1;
    return count;
}

static enum pacifica_status take_pages(struct opening *opening, const struct chunk *chunk)
{
    struct snapshot *snapshot = opening->snapshot;
    if (chunk->size < SNAPSHOT_GROUP_HEAD)
        return bad(opening, chunk, "not a part of memory");
    const struct snapshot_group group = { .first = little_get(chunk->bytes, 8),
                                          .bitmap = chunk->bytes + 8,
                                          .frame = chunk->bytes + SNAPSHOT_GROUP_HEAD,
                                          .frame_bytes = chunk->size - SNAPSHOT_GROUP_HEAD,
                                          .pages = count_bits(chunk->bytes + 8) };
    bool rising =
        snapshot->groups == 0 || snapshot->group[snapshot->groups - 1].first < group.first;
    if (group.first % SNAPSHOT_GROUP || group.first > UINT64_MAX / SNAPSHOT_PAGE / 2 || !rising ||
        group.pages == 0)
        return bad(opening, chunk, "not a part of memory");
    if (!unpack(snapshot->scratch, (size_t)group.pages * SNAPSHOT_PAGE, group.frame,
                group.frame_bytes))
        return bad(opening, chunk, "not a compressed part of memory");
    struct snapshot_group *all =
        grow(snapshot->group, snapshot->groups, &snapshot->group_room, sizeof(group));
    if (!all)
        return no_memory(opening);
    snapshot->group = all;
    all[snapshot->groups++] = group;
    return PACIFICA_OK;
}

static enum pacifica_status take_end(struct opening *opening, const struct chunk *chunk)
{
    if (chunk->size != 8 || little_get(chunk->bytes, 8) != XXH64_digest(opening->sums))
        return bad(opening, chunk, "parts are missing, or of another snapshot");
    if (opening->at != opening->end)
        return bad(opening, chunk, "more follows behind its end");
    return PACIFICA_OK;
}

static enum pacifica_status take_content(struct opening *opening, const struct chunk *chunk)
{
    const struct snapshot *snapshot = opening->snapshot;
    bool first = opening->chunks == 1;
    if (first != (strcmp(chunk->kind, "MACH") == 0))
        return bad(opening, chunk, "the description of the machine stands first, once");
    if (first)
        return take_machine(opening, chunk);
    if (strcmp(chunk->kind, "SECT") == 0 && snapshot->groups == 0)
        return take_section(opening, chunk);
    if (strcmp(chunk->kind, "NAME") == 0 && snapshot->groups == 0)
        return take_names(opening, chunk);
    if (strcmp(chunk->kind, "PAGE") == 0)
        return take_pages(opening, chunk);
    if (strcmp(chunk->kind, "END ") == 0)
        return take_end(opening, chunk);
    return bad(opening, chunk, "such a part is not known here");
}

/* Go over all chunks, to the end. `content` false: see that nothing is damaged or missing before anything is unpacked. */
static enum pacifica_status pass_over(struct opening *opening, const uint8_t *from, bool content)
{
    struct chunk chunk = { .kind = "" };
    enum pacifica_status status = PACIFICA_OK;
    opening->at = from;
    opening->chunks = 0;
    (void)XXH64_reset(opening->sums, 0);
    while (status == PACIFICA_OK && strcmp(chunk.kind, "END ") != 0) {
        uint8_t sum[8];
        status = take_chunk(opening, &chunk);
        if (status == PACIFICA_OK && content)
            status = take_content(opening, &chunk);
        else if (status == PACIFICA_OK && strcmp(chunk.kind, "END ") == 0)
            status = take_end(opening, &chunk);
        little_put(sum, 8, chunk.checksum);
        (void)XXH64_update(opening->sums, sum, sizeof(sum));
    }
    return status;
}

static enum pacifica_status take_all(struct opening *opening)
{
    enum pacifica_status status = take_header(opening);
    const uint8_t *first = opening->at;
    if (status == PACIFICA_OK)
        status = pass_over(opening, first, false);
    return status == PACIFICA_OK ? pass_over(opening, first, true) : status;
}

enum pacifica_status snapshot_open(struct snapshot *snapshot, const struct pacifica_bytes *file,
                                   struct pacifica_diag *diag)
{
    const uint8_t *bytes = file->data;
    *snapshot = (struct snapshot){ .file = *file, .scratch = malloc(SNAPSHOT_GROUP_BYTES) };
    struct opening opening = { .snapshot = snapshot,
                               .diag = diag,
                               .at = bytes,
                               .end = file->size ? bytes + file->size : bytes,
                               .sums = XXH64_createState() };
    enum pacifica_status status =
        snapshot->scratch && opening.sums ? take_all(&opening) : no_memory(&opening);
    (void)XXH64_freeState(opening.sums);
    return status;
}

void snapshot_close(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->sections; i++)
        free(snapshot->section[i].names);
    free(snapshot->section);
    free(snapshot->group);
    free(snapshot->state);
    free(snapshot->text);
    free(snapshot->scratch);
    *snapshot = (struct snapshot){ 0 };
}

/* --- memory ---------------------------------------------------------------------------------------- */

bool snapshot_unpack(struct snapshot *snapshot, const struct snapshot_group *group, uint8_t *to)
{
    const uint8_t *from = snapshot->scratch;
    if (!unpack(snapshot->scratch, (size_t)group->pages * SNAPSHOT_PAGE, group->frame,
                group->frame_bytes))
        return false;
    for (unsigned i = 0; i < SNAPSHOT_GROUP; i++, to += SNAPSHOT_PAGE) {
        if (group->bitmap[i / 8] >> i % 8 & 1) {
            memcpy(to, from, SNAPSHOT_PAGE);
            from += SNAPSHOT_PAGE;
        } else {
            memset(to, 0, SNAPSHOT_PAGE);
        }
    }
    return true;
}

bool snapshot_page(struct snapshot *snapshot, uint64_t page, uint8_t to[SNAPSHOT_PAGE])
{
    memset(to, 0, SNAPSHOT_PAGE);
    for (size_t i = 0; i < snapshot->groups; i++) {
        const struct snapshot_group *group = &snapshot->group[i];
        unsigned wanted = (unsigned)(page - group->first), before = 0;
        if (page < group->first || page - group->first >= SNAPSHOT_GROUP)
            continue;
        if (!(group->bitmap[wanted / 8] >> wanted % 8 & 1))
            return true;
        for (unsigned n = 0; n < wanted; n++)
            before += group->bitmap[n / 8] >> n % 8 & 1;
        if (!unpack(snapshot->scratch, (size_t)group->pages * SNAPSHOT_PAGE, group->frame,
                    group->frame_bytes))
            return false;
        memcpy(to, snapshot->scratch + (size_t)before * SNAPSHOT_PAGE, SNAPSHOT_PAGE);
        return true;
    }
    return true;
}

/* Writing a snapshot. */
#include "emu/machine/snapshot.h"

#include "emu/base/diag.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define LEVEL 1 /* of zstd: a snapshot of Linux is written in a fraction of a second */

/* Invariant: after a failure nothing more is written. `packed` holds what the next chunk takes. */
struct saving {
    struct pacifica_machine *machine;
    const struct pacifica_writer *writer;
    struct pacifica_diag *diag;
    enum pacifica_status status;
    XXH64_state_t *sums;
    ZSTD_CCtx *zstd;
    uint32_t number; /* of the next chunk */
    uint8_t *packed, *pages;
    size_t room; /* of packed */
};

static bool fail(struct saving *saving, enum pacifica_status status, const char *what)
{
    if (saving->status == PACIFICA_OK)
        saving->status = diag_set(saving->diag, status, "snapshot", NULL, "%s", what);
    return false;
}

static bool put(struct saving *saving, const void *bytes, size_t size)
{
    if (saving->status != PACIFICA_OK || size == 0)
        return saving->status == PACIFICA_OK;
    return saving->writer->write(saving->writer->self, bytes, size) ||
           fail(saving, PACIFICA_EIO, "writing failed");
}

/* --- chunks ------------------------------------------------------------------------------------- */

static bool put_chunk(struct saving *saving, const char *kind, const void *bytes, size_t size)
{
    uint8_t head[SNAPSHOT_CHUNK], sum[8];
    uint64_t checksum = XXH64(bytes, size, 0);
    memcpy(head, kind, SNAPSHOT_KIND);
    little_put(head + 4, 4, saving->number++);
    little_put(head + 8, 8, size);
    little_put(head + 16, 8, checksum);
    little_put(head + 24, 8, XXH64(head, 24, 0));
    little_put(sum, 8, checksum);
    (void)XXH64_update(saving->sums, sum, sizeof(sum));
    return put(saving, head, sizeof(head)) && put(saving, bytes, size);
}

static bool make_room(struct saving *saving, size_t room)
{
    if (room <= saving->room)
        return true;
    free(saving->packed);
    saving->packed = malloc(room);
    saving->room = saving->packed ? room : 0;
    return saving->packed || fail(saving, PACIFICA_ENOMEM, "no memory for it");
}

/* A chunk of a head as it is, and bytes in a zstd frame. */
static bool pack_chunk(struct saving *saving, const char *kind, const void *head, size_t head_size,
                       const void *bytes, size_t size)
{
    size_t bound = ZSTD_compressBound(size);
    if (!make_room(saving, head_size + bound))
        return false;
    if (head_size)
        memcpy(saving->packed, head, head_size);
    size_t packed =
        ZSTD_compressCCtx(saving->zstd, saving->packed + head_size, bound, bytes, size, LEVEL);
    if (ZSTD_isError(packed))
        return fail(saving, PACIFICA_ENOMEM, "no memory to compress it");
    return put_chunk(saving, kind, saving->packed, head_size + packed);
}

/* --- the state ------------------------------------------------------------------------------------ */

/* Hears of the members while the state is saved. Their names stand behind a line "@PLACE" for each section. */
struct listener {
    struct snapshot_names names;
    size_t section_at;
    bool open; /* a section is */
};

static void hear(void *self, const struct snap *snap, const char *name, unsigned index,
                 uint64_t value)
{
    struct listener *listener = self;
    (void)value;
    if (!listener->open || listener->section_at != snap->section_at) {
        snapshot_names_end(&listener->names);
        text_put(&listener->names.text, "@%zu\n", snap->section_at);
        listener->section_at = snap->section_at;
        listener->open = true;
        listener->names.from = listener->names.to = snap->section_at + SNAP_HEAD;
    }
    snapshot_names_tell(&listener->names, name, index, snap->size);
}

/* The names of the section at `place`, if *names begins with them, and *names behind them. */
static size_t take_names(const char **names, size_t place, const char **from)
{
    char *end;
    *from = *names;
    if (**names != '@' || strtoull(*names + 1, &end, 10) != place)
        return 0;
    *from = end + 1;
    *names = strchr(*from, '@');
    if (!*names)
        *names = *from + strlen(*from);
    return (size_t)(*names - *from);
}

static bool put_section(struct saving *saving, const uint8_t *head, size_t bytes,
                        const char **names, size_t place)
{
    const char *from;
    size_t size = take_names(names, place, &from);
    return pack_chunk(saving, "SECT", head, SNAP_HEAD, head + SNAP_HEAD, bytes) &&
           (size == 0 || pack_chunk(saving, "NAME", NULL, 0, from, size));
}

static bool put_sections(struct saving *saving, const struct snap *snap, const char *names)
{
    const uint8_t *at = snap->data, *end = snap->data + snap->size;
    struct snap_head head;
    while (at < end) {
        if (!snap_read_head(at, end, &head) ||
            !put_section(saving, at, head.bytes, &names, (size_t)(at - snap->data)))
            return false;
        at += SNAP_HEAD + head.bytes;
    }
    return true;
}

static bool put_state(struct saving *saving)
{
    struct listener listener = { .open = false };
    struct snap snap;
    snap_save(&snap);
    snap.tell = hear;
    snap.tell_self = &listener;
    machine_state(saving->machine, &snap);
    snapshot_names_end(&listener.names);
    const struct text *text = &listener.names.text;
    bool put_all = snap.failed || text->failed
                       ? fail(saving, PACIFICA_ENOMEM, "no memory for the state")
                       : put_sections(saving, &snap, text->bytes ? text->bytes : "");
    snap_free(&snap);
    text_free(&listener.names.text);
    return put_all;
}

/* --- memory ------------------------------------------------------------------------------------------ */

/* 1 MiB of it, if it is not all zero. Pages that were never touched are looked at, too: that takes the workstation no memory. */
static bool put_group(struct saving *saving, uint64_t first)
{
    static const uint8_t zeros[SNAPSHOT_PAGE];
    const struct memory *memory = saving->machine->memory;
    uint8_t head[SNAPSHOT_GROUP_HEAD] = { 0 };
    size_t size = 0;
    little_put(head, 8, first);
    for (unsigned i = 0; i < SNAPSHOT_GROUP && first + i < memory_page_count(memory); i++) {
        const uint8_t *page = memory_page_ptr(memory, first + i);
        if (memcmp(page, zeros, SNAPSHOT_PAGE) == 0)
            continue;
        head[8 + i / 8] |= (uint8_t)(1u << i % 8);
        memcpy(saving->pages + size, page, SNAPSHOT_PAGE);
        size += SNAPSHOT_PAGE;
    }
    return size == 0 || pack_chunk(saving, "PAGE", head, sizeof(head), saving->pages, size);
}

static bool put_memory(struct saving *saving)
{
    uint64_t count = memory_page_count(saving->machine->memory);
    for (uint64_t first = 0; first < count; first += SNAPSHOT_GROUP)
        if (!put_group(saving, first))
            return false;
    return true;
}

/* --- all of it ------------------------------------------------------------------------------------------ */

static bool put_beginning(struct saving *saving)
{
    uint8_t head[SNAPSHOT_HEADER] = { 0 };
    struct text text = { 0 };
    memcpy(head, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_BYTES);
    little_put(head + SNAPSHOT_MAGIC_BYTES, 4, SNAPSHOT_FORMAT);
    snapshot_describe(saving->machine, &text);
    bool put_all = text.failed ? fail(saving, PACIFICA_ENOMEM, "no memory for it")
                               : put(saving, head, sizeof(head)) &&
                                     put_chunk(saving, "MACH", text.bytes, text.size);
    text_free(&text);
    return put_all;
}

static bool put_end(struct saving *saving)
{
    uint8_t sum[8];
    little_put(sum, 8, XXH64_digest(saving->sums));
    return put_chunk(saving, "END ", sum, sizeof(sum));
}

static enum pacifica_status check_disks(const struct pacifica_machine *machine,
                                        struct pacifica_diag *diag)
{
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i] && block_through(machine->block[i]))
            return diag_set(diag, PACIFICA_EUNSUPPORTED, "snapshot",
                            "snapshot=on keeps in memory what the guest writes",
                            "disk %u writes through to its image, which would go on changing", i);
    return PACIFICA_OK;
}

enum pacifica_status pacifica_machine_save(struct pacifica_machine *machine,
                                           const struct pacifica_writer *writer,
                                           struct pacifica_diag *diag)
{
    struct saving saving = {
        .machine = machine, .writer = writer, .diag = diag, .status = check_disks(machine, diag)
    };
    if (saving.status != PACIFICA_OK)
        return saving.status;
    saving.sums = XXH64_createState();
    saving.zstd = ZSTD_createCCtx();
    saving.pages = malloc(SNAPSHOT_GROUP_BYTES);
    if (saving.sums && saving.zstd && saving.pages) {
        (void)XXH64_reset(saving.sums, 0);
        if (put_beginning(&saving) && put_state(&saving) && put_memory(&saving))
            (void)put_end(&saving);
    } else {
        (void)fail(&saving, PACIFICA_ENOMEM, "no memory for it");
    }
    free(saving.packed);
    free(saving.pages);
    (void)ZSTD_freeCCtx(saving.zstd);
    (void)XXH64_freeState(saving.sums);
    return saving.status;
}

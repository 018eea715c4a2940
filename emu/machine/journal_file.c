/* The form of a recording: docs/snapshots.md, "Recordings". Numbers are little-endian.
 *
 *   head    16 bytes "PACIFICA RECORD\n", u32 version, u32 bytes of the description, u64 checksum of the
 *           description; the description
 *   inputs  u32 bytes that follow the checksum, u32 checksum of these with the input's ordinal;
 *           u8 kind, u8 place, u16 index, u32 bytes of data, u64 steps, u64 turn, u64 time, u64 a, u64 b; data
 *
 * Each input is written at once and whole, so that the end of a process cuts a recording short, and no more. */
#include "emu/machine/journal.h"

#include "emu/base/diag.h"
#include "emu/base/little.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MAGIC "PACIFICA RECORD\n"
#define MAGIC_BYTES 16u
#define HEAD_BYTES 32u
#define TEXT_MOST 65536u
#define FRAME_BYTES 8u /* length and checksum */
#define FIXED_BYTES 48u

/* --- writing ------------------------------------------------------------------------------------ */

static void write_out(const struct pacifica_output *output, const void *bytes, size_t size)
{
    if (output->write && size)
        output->write(output->self, bytes, size);
}

void recording_write_head(const struct pacifica_output *output, const char *text)
{
    uint8_t head[HEAD_BYTES];
    size_t size = strlen(text);
    memcpy(head, MAGIC, MAGIC_BYTES);
    little_put(head + 16, 4, RECORDING_VERSION);
    little_put(head + 20, 4, size);
    little_put(head + 24, 8, XXH3_64bits(text, size));
    write_out(output, head, sizeof(head));
    write_out(output, text, size);
}

static uint32_t check_of(const void *bytes, size_t size, uint64_t ordinal)
{
    return (uint32_t)XXH3_64bits_withSeed(bytes, size, ordinal);
}

void recording_write(const struct pacifica_output *output, uint64_t ordinal,
                     const struct input *input)
{
    uint8_t bytes[FRAME_BYTES + FIXED_BYTES + INPUT_BYTES_MOST];
    uint8_t *fixed = bytes + FRAME_BYTES;
    size_t size = FIXED_BYTES + input->size;
    little_put(fixed, 1, input->kind);
    little_put(fixed + 1, 1, input->place);
    little_put(fixed + 2, 2, input->index);
    little_put(fixed + 4, 4, input->size);
    little_put(fixed + 8, 8, input->steps);
    little_put(fixed + 16, 8, input->turn);
    little_put(fixed + 24, 8, input->now_ns);
    little_put(fixed + 32, 8, input->a);
    little_put(fixed + 40, 8, input->b);
    if (input->size)
        memcpy(fixed + FIXED_BYTES, input->data, input->size);
    little_put(bytes, 4, size);
    little_put(bytes + 4, 4, check_of(fixed, size, ordinal));
    write_out(output, bytes, FRAME_BYTES + size);
}

/* --- reading ------------------------------------------------------------------------------------ */

struct reading {
    const uint8_t *begin, *at, *end;
    uint64_t ordinal; /* of the next input */
    uint64_t steps;   /* of the last one */
    struct input *input;
    size_t count, room;
    struct pacifica_diag *diag;
};

static enum pacifica_status bad(const struct reading *r, const char *what)
{
    return diag_set(r->diag, PACIFICA_EFORMAT, "recording", NULL,
                    "input %" PRIu64 " at byte %zu: %s", r->ordinal, (size_t)(r->at - r->begin),
                    what);
}

static bool keep(struct reading *r, const struct input *input)
{
    if (r->count == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        struct input *more = realloc(r->input, room * sizeof(*more));
        if (!more)
            return false;
        r->input = more;
        r->room = room;
    }
    r->input[r->count++] = *input;
    return true;
}

/* Values that cannot be, of an input whose checksum is right. */
static const char *wrong(const struct reading *r, const struct input *in)
{
    if (in->kind >= INPUT_KINDS)
        return "of no known kind";
    if (in->place >= INPUT_PLACES ||
        (in->place == PLACE_SEND) != (in->b != 0 && in->kind == INPUT_FRAME))
        return "at no place where inputs enter";
    if (in->place == PLACE_SAME && r->count == 0)
        return "nothing is before it";
    if (in->kind == INPUT_CUT ? in->a > r->count : in->steps < r->steps)
        return "it goes back further than there was anything";
    return NULL;
}

static enum pacifica_status read_input(struct reading *r)
{
    size_t size = little_get(r->at, 4);
    uint32_t check = (uint32_t)little_get(r->at + 4, 4);
    const uint8_t *fixed = r->at + FRAME_BYTES;
    if (check_of(fixed, size, r->ordinal) != check)
        return bad(r, "altered: the checksum is not right");
    struct input input = { .kind = (enum input_kind)fixed[0],
                           .place = (enum input_place)fixed[1],
                           .index = (uint16_t)little_get(fixed + 2, 2),
                           .size = (uint32_t)little_get(fixed + 4, 4),
                           .steps = little_get(fixed + 8, 8),
                           .turn = little_get(fixed + 16, 8),
                           .now_ns = little_get(fixed + 24, 8),
                           .a = little_get(fixed + 32, 8),
                           .b = little_get(fixed + 40, 8),
                           .data = fixed + FIXED_BYTES };
    if (input.size != size - FIXED_BYTES)
        return bad(r, "it has another size than it says");
    const char *what = wrong(r, &input);
    if (what)
        return bad(r, what);
    r->steps = input.steps;
    if (input.kind == INPUT_CUT)
        r->count = (size_t)input.a;
    else if (!keep(r, &input))
        return diag_set(r->diag, PACIFICA_ENOMEM, "recording", NULL, "no memory for it");
    r->at = fixed + size;
    r->ordinal++;
    return PACIFICA_OK;
}

/* An input that was not written to its end is none. */
static enum pacifica_status read_inputs(struct reading *r)
{
    enum pacifica_status status = PACIFICA_OK;
    while (status == PACIFICA_OK && r->at < r->end) {
        size_t left = (size_t)(r->end - r->at), size = left < 4 ? 0 : little_get(r->at, 4);
        if (left >= 4 && (size < FIXED_BYTES || size > FIXED_BYTES + INPUT_BYTES_MOST))
            return bad(r, "it has a size that no input has");
        if (left < FRAME_BYTES || left - FRAME_BYTES < size)
            return diag_set(r->diag, PACIFICA_OK, "recording", NULL,
                            "its end is missing: input %" PRIu64
                            " at byte %zu is not whole, and left out",
                            r->ordinal, (size_t)(r->at - r->begin));
        status = read_input(r);
    }
    return status;
}

static enum pacifica_status read_head(struct reading *r, char **text)
{
    size_t left = (size_t)(r->end - r->at);
    if (left < HEAD_BYTES || memcmp(r->at, MAGIC, MAGIC_BYTES) != 0)
        return diag_set(r->diag, PACIFICA_EFORMAT, "recording", "--record makes them",
                        "no recording");
    uint32_t version = (uint32_t)little_get(r->at + 16, 4);
    size_t size = little_get(r->at + 20, 4);
    if (version != RECORDING_VERSION)
        return diag_set(r->diag, PACIFICA_EFORMAT, "recording", NULL,
                        "of version %" PRIu32 ", and known is %u", version, RECORDING_VERSION);
    if (size > TEXT_MOST || left - HEAD_BYTES < size)
        return diag_set(r->diag, PACIFICA_EFORMAT, "recording", NULL,
                        "truncated: the description is not whole");
    const uint8_t *from = r->at + HEAD_BYTES;
    if (XXH3_64bits(from, size) != little_get(r->at + 24, 8) || memchr(from, 0, size))
        return diag_set(r->diag, PACIFICA_EFORMAT, "recording", NULL,
                        "altered: the description's checksum is not right");
    *text = malloc(size + 1);
    if (!*text)
        return diag_set(r->diag, PACIFICA_ENOMEM, "recording", NULL, "no memory for it");
    memcpy(*text, from, size);
    (*text)[size] = '\0';
    r->at = from + size;
    return PACIFICA_OK;
}

enum pacifica_status recording_parse(const struct pacifica_bytes *recording, char **text,
                                     struct input **input, size_t *count,
                                     struct pacifica_diag *diag)
{
    static const uint8_t nothing[1];
    const uint8_t *bytes = recording->size ? recording->data : nothing;
    struct reading r = {
        .begin = bytes, .at = bytes, .end = bytes + recording->size, .diag = diag
    };
    *text = NULL;
    if (diag)
        *diag = (struct pacifica_diag){ 0 };
    enum pacifica_status status = read_head(&r, text);
    if (status == PACIFICA_OK)
        status = read_inputs(&r);
    if (status != PACIFICA_OK) {
        free(r.input);
        free(*text);
        *text = NULL;
        return status;
    }
    *input = r.input;
    *count = r.count;
    return PACIFICA_OK;
}

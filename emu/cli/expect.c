/* Reading expectations. Files are hostile input: no length, number or text is trusted. */
#include "emu/cli/expect.h"

#include "emu/base/diag.h"
#include "emu/cli/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES_DEFAULT (UINT64_C(256) << 20)

struct reader {
    struct expectation *e;
    const char *name; /* of the file */
    unsigned line;
    unsigned seen; /* bits of the keywords that may stand once */
    struct pacifica_diag *diag;
};

/* Take a keyword's value, which has neither blanks nor line ends around it and may be changed. */
typedef enum pacifica_status keyword_handler(struct reader *reader, char *value);

static enum pacifica_status wrong(const struct reader *reader, const char *what, const char *value)
{
    char where[256];
    (void)snprintf(where, sizeof(where), "%.200s:%u", reader->name, reader->line);
    return diag_set(reader->diag, PACIFICA_EUSAGE, where, NULL, "%s: '%.100s'", what, value);
}

static enum pacifica_status take_number(const struct reader *reader, const char *value,
                                        uint64_t least, uint64_t most, uint64_t *number)
{
    if (!word_number(value, number) || *number < least || *number > most)
        return wrong(reader, "no number, or out of range", value);
    return PACIFICA_OK;
}

static enum pacifica_status take_number32(const struct reader *reader, const char *value,
                                          uint64_t least, uint64_t most, uint32_t *number)
{
    uint64_t wide = 0;
    enum pacifica_status status = take_number(reader, value, least, most, &wide);
    if (status == PACIFICA_OK)
        *number = (uint32_t)wide;
    return status;
}

/* --- quoted texts ---------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* What \C stands for; *text is behind the backslash and moves behind the escape. 0: no escape, or NUL. */
static char take_escape(const char **text)
{
    char c = *(*text)++;
    switch (c) {
    case '"':
    case '\\': return c;
    case 't': return '\t';
    case 'x': break;
    default: return 0;
    }
    int high = hex_digit((*text)[0]), low = high < 0 ? -1 : hex_digit((*text)[1]);
    if (low < 0)
        return 0;
    *text += 2;
    return (char)(high << 4 | low);
}

/* A text as it stands, or in double quotes with \" \\ \t \xHH, changed in place. NULL: malformed quotes. */
static const char *take_text(char *value)
{
    if (*value != '"')
        return value;
    const char *from = value + 1;
    char *to = value;
    while (*from != '"') {
        char c = *from++;
        if (c == '\\')
            c = take_escape(&from);
        if (c == 0)
            return NULL;
        *to++ = c;
    }
    if (from[1])
        return NULL;
    *to = '\0';
    return value;
}

/* --- keywords ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum pacifica_stop stop;
} stop_names[] = {
    { "reset", PACIFICA_STOP_RESET },         { "halted", PACIFICA_STOP_HALTED },
    { "power-off", PACIFICA_STOP_POWER_OFF }, { "shutdown", PACIFICA_STOP_SHUTDOWN },
    { "limit", PACIFICA_STOP_LIMIT_INSNS },   { "unimplemented", PACIFICA_STOP_UNIMPLEMENTED },
};
#define STOP_NAMES (sizeof(stop_names) / sizeof(stop_names[0]))

const char *expect_stop_name(enum pacifica_stop stop)
{
    for (size_t i = 0; i < STOP_NAMES; i++)
        if (stop_names[i].stop == stop)
            return stop_names[i].name;
    return stop == PACIFICA_STOP_EXIT ? "exit" : "?";
}

static enum pacifica_status keyword_exit(struct reader *reader, char *value)
{
    reader->e->stop = PACIFICA_STOP_EXIT;
    return take_number32(reader, value, 0, UINT32_MAX, &reader->e->exit_value);
}

static enum pacifica_status keyword_stop(struct reader *reader, char *value)
{
    for (size_t i = 0; i < STOP_NAMES; i++) {
        if (strcmp(value, stop_names[i].name) == 0) {
            reader->e->stop = stop_names[i].stop;
            return PACIFICA_OK;
        }
    }
    return wrong(reader, "no way to stop (reset, halted, shutdown, limit, unimplemented)", value);
}

static enum pacifica_status keyword_tap(struct reader *reader, char *value)
{
    reader->e->tap = true;
    reader->e->has_plan = *value != '\0';
    return *value ? take_number32(reader, value, 0, UINT32_MAX, &reader->e->plan) : PACIFICA_OK;
}

static enum pacifica_status keyword_serial(struct reader *reader, char *value)
{
    struct expectation *e = reader->e;
    const char *text = take_text(value);
    if (!text)
        return wrong(reader, "malformed quotes", "serial");
    if (e->line_count == EXPECT_LINES)
        return wrong(reader, "one line too many (256)", value);
    e->line[e->line_count++] = text;
    return PACIFICA_OK;
}

static enum pacifica_status keyword_state_hash(struct reader *reader, char *value)
{
    char *end;
    reader->e->has_hash = true;
    reader->e->state_hash = strtoull(value, &end, 16);
    if (strlen(value) != 16 || strspn(value, "0123456789abcdef") != 16)
        return wrong(reader, "no 16 hexadecimal digits", value);
    return PACIFICA_OK;
}

static enum pacifica_status keyword_max_insns(struct reader *reader, char *value)
{
    return take_number(reader, value, 1, UINT64_MAX - 1, &reader->e->max_insns);
}

static enum pacifica_status keyword_smp(struct reader *reader, char *value)
{
    return take_number32(reader, value, 1, PACIFICA_CPUS_MOST, &reader->e->cpus);
}

static enum pacifica_status keyword_seed(struct reader *reader, char *value)
{
    return take_number(reader, value, 0, UINT64_MAX, &reader->e->seed);
}

static enum pacifica_status keyword_memory(struct reader *reader, char *value)
{
    if (!word_size(value, UINT64_C(1) << 20, &reader->e->ram_bytes))
        return wrong(reader, "no size", value);
    return PACIFICA_OK;
}

static enum pacifica_status keyword_cpu(struct reader *reader, char *value)
{
    reader->e->cpu = value;
    return *value ? PACIFICA_OK : wrong(reader, "no model", value);
}

static enum pacifica_status keyword_append(struct reader *reader, char *value)
{
    reader->e->append = take_text(value);
    return reader->e->append ? PACIFICA_OK : wrong(reader, "malformed quotes", "append");
}

static enum pacifica_status keyword_device(struct reader *reader, char *value)
{
    if (strcmp(value, "pc-testdev") == 0)
        reader->e->pc_testdev = true;
    else if (strcmp(value, "pci-testdev") == 0)
        reader->e->pci_testdev = true;
    else if (strcmp(value, "virtio-rng-pci") == 0)
        reader->e->virtio_rng = true;
    else
        return wrong(reader, "no device (pc-testdev, pci-testdev, virtio-rng-pci)", value);
    return PACIFICA_OK;
}

static enum pacifica_status keyword_disk(struct reader *reader, char *value)
{
    static const struct {
        const char *name;
        struct expect_disk disk;
    } row[] = {
        { "hda ", { .interface = PACIFICA_DISK_IDE, .index = 0 } },
        { "hdb ", { .interface = PACIFICA_DISK_IDE, .index = 1 } },
        { "cdrom ", { .interface = PACIFICA_DISK_IDE, .index = 2, .cdrom = true } },
        { "virtio ", { .interface = PACIFICA_DISK_VIRTIO } },
    };
    struct expectation *e = reader->e;
    if (e->disk_count == EXPECT_DISKS)
        return wrong(reader, "one disk too many (4)", value);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        size_t length = strlen(row[i].name);
        if (strncmp(value, row[i].name, length) != 0)
            continue;
        struct expect_disk *disk = &e->disk[e->disk_count++];
        *disk = row[i].disk;
        return take_number32(reader, value + length, 1, UINT32_MAX, &disk->sectors);
    }
    return wrong(reader, "no disk (hda, hdb, cdrom or virtio, and its sectors)", value);
}

static enum pacifica_status keyword_debugcon(struct reader *reader, char *value)
{
    struct expectation *e = reader->e;
    uint32_t port = 0;
    if (e->debugcon_count == EXPECT_DEBUGCONS)
        return wrong(reader, "one debugcon too many (4)", value);
    enum pacifica_status status = take_number32(reader, value, 0, UINT16_MAX, &port);
    e->debugcon[e->debugcon_count++] = (uint16_t)port;
    return status;
}

static enum pacifica_status keyword_start(struct reader *reader, char *value)
{
    if (strcmp(value, "kernel") == 0)
        reader->e->start = EXPECT_KERNEL;
    else if (strcmp(value, "firmware") == 0)
        reader->e->start = EXPECT_FIRMWARE;
    else
        return wrong(reader, "neither kernel nor firmware", value);
    return PACIFICA_OK;
}

static const struct keyword {
    const char *name;
    keyword_handler *handler;
    bool many; /* it may stand more than once */
    bool bare; /* it may have no value */
} keywords[] = {
    { "exit", keyword_exit, false, false },
    { "stop", keyword_stop, false, false },
    { "tap", keyword_tap, false, true },
    { "serial", keyword_serial, true, true },
    { "state-hash", keyword_state_hash, false, false },
    { "max-insns", keyword_max_insns, false, false },
    { "smp", keyword_smp, false, false },
    { "seed", keyword_seed, false, false },
    { "memory", keyword_memory, false, false },
    { "cpu", keyword_cpu, false, false },
    { "append", keyword_append, false, true },
    { "device", keyword_device, true, false },
    { "disk", keyword_disk, true, false },
    { "debugcon", keyword_debugcon, true, false },
    { "start", keyword_start, false, false },
};
#define KEYWORDS (sizeof(keywords) / sizeof(keywords[0]))

/* --- lines ---------------------------------------------------------------------------------------- */

static enum pacifica_status take_keyword(struct reader *reader, const char *name, char *value)
{
    for (unsigned i = 0; i < KEYWORDS; i++) {
        const struct keyword *keyword = &keywords[i];
        if (strcmp(name, keyword->name) != 0)
            continue;
        if (!keyword->many && reader->seen & 1u << i)
            return wrong(reader, "stands here twice", name);
        reader->seen |= 1u << i;
        if (!*value && !keyword->bare)
            return wrong(reader, "needs a value", name);
        return keyword->handler(reader, value);
    }
    return wrong(reader, "unknown word", name);
}

/* One line, changed in place. */
static enum pacifica_status take_line(struct reader *reader, char *line)
{
    size_t length = strlen(line);
    while (length && strchr(" \t\r", line[length - 1]))
        line[--length] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return PACIFICA_OK;
    char *value = line + strcspn(line, " \t");
    if (*value)
        *value++ = '\0';
    return take_keyword(reader, line, value + strspn(value, " \t"));
}

static enum pacifica_status check_whole(const struct reader *reader)
{
    bool has_exit = reader->seen & 1u, has_stop = reader->seen & 2u; /* the first two keywords */
    if (has_exit == has_stop)
        return diag_set(reader->diag, PACIFICA_EUSAGE, reader->name, NULL,
                        "one of `exit` and `stop` says how the run ends");
    return PACIFICA_OK;
}

void expectation_default(struct expectation *expectation)
{
    *expectation = (struct expectation){ .stop = PACIFICA_STOP_EXIT,
                                         .tap_if_any = true,
                                         .ram_bytes = RAM_BYTES_DEFAULT,
                                         .seed = PACIFICA_SEED_DEFAULT,
                                         .cpus = 1,
                                         .cpu = "max",
                                         .append = "" };
}

enum pacifica_status expectation_parse(struct expectation *expectation, const char *bytes,
                                       size_t size, const char *name, struct pacifica_diag *diag)
{
    struct reader reader = { .e = expectation, .name = name, .diag = diag };
    expectation_default(expectation);
    expectation->tap_if_any = false;
    if (size > EXPECT_BYTES_MOST || (size && memchr(bytes, 0, size)))
        return diag_set(diag, PACIFICA_EUSAGE, name, NULL, "no text of at most 64 KiB");
    expectation->words = malloc(size + 1);
    if (!expectation->words)
        return diag_set(diag, PACIFICA_ENOMEM, name, NULL, "no memory");
    if (size)
        memcpy(expectation->words, bytes, size);
    expectation->words[size] = '\0';
    enum pacifica_status status = PACIFICA_OK;
    for (char *line = expectation->words; line && status == PACIFICA_OK;) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        reader.line++;
        status = take_line(&reader, line);
        line = end;
    }
    if (status == PACIFICA_OK)
        status = check_whole(&reader);
    if (status != PACIFICA_OK)
        expectation_free(expectation);
    return status;
}

void expectation_free(struct expectation *expectation)
{
    free(expectation->words);
    *expectation = (struct expectation){ 0 };
}

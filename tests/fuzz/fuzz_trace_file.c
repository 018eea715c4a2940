/* What `pacifica trace` reads: any bytes are an error that says where, or events that every form takes. */
#include <stdlib.h>
#include <string.h>

#include "emu/cli/trace_priv.h"
#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

struct text {
    char *bytes;
    size_t used, room;
};

static void text_write(void *self, const void *bytes, size_t size)
{
    struct text *text = self;
    if (text->used + size > text->room) {
        text->room = 2 * (text->used + size);
        text->bytes = realloc(text->bytes, text->room);
        require(text->bytes != NULL);
    }
    memcpy(text->bytes + text->used, bytes, size);
    text->used += size;
}

static struct trace_input *open_input(const void *data, size_t size, const char *list,
                                      struct pacifica_diag *diag)
{
    struct trace_input *input = calloc(1, sizeof(*input));
    FILE *stream = fmemopen((void *)data, size, "rb");
    require(input && stream);
    require(trace_chooser_init(&input->chooser, list, NULL) == PACIFICA_OK);
    if (trace_reader_take(&input->reader, stream, "fuzz", diag) == PACIFICA_OK)
        return input;
    require(diag->what[0] && strncmp(diag->where, "fuzz:1", 6) == 0);
    free(input);
    return NULL;
}

static void close_input(struct trace_input *input)
{
    trace_reader_close(&input->reader);
    free(input);
}

static enum pacifica_status convert(const void *data, size_t size,
                                    enum pacifica_trace_format format, struct text *text)
{
    struct pacifica_diag diag = { 0 };
    struct pacifica_output output = { text_write, text };
    const struct trace_words words = { .ignore = "", .format = format };
    struct trace_input *input = open_input(data, size, NULL, &diag);
    if (!input)
        return PACIFICA_EFORMAT;
    enum pacifica_status status = trace_convert(input, &words, &output, &diag);
    require(status == PACIFICA_OK || (diag.what[0] && strncmp(diag.where, "fuzz:", 5) == 0));
    close_input(input);
    return status;
}

static void tell(const void *data, size_t size)
{
    struct pacifica_diag diag = { 0 };
    struct text text = { 0 };
    struct pacifica_output output = { text_write, &text };
    const struct trace_words words = { .ignore = "ns", .top = 3, .context = 2 };
    struct trace_input *a = open_input(data, size, "svm:npf+vmrun:asid=1-,npt,io,rip=0-", &diag);
    bool differ;
    if (!a)
        return;
    (void)trace_stat(a, &words, &output, &diag);
    close_input(a);
    a = open_input(data, size, NULL, &diag);
    struct trace_input *b = open_input(data, size, NULL, &diag);
    enum pacifica_status status = trace_diff(a, b, &words, &output, &differ, &diag);
    require(!differ && (status == PACIFICA_OK || diag.what[0]));
    close_input(a);
    close_input(b);
    free(text.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    for (unsigned format = 0; format <= PACIFICA_TRACE_FTRACE; format++) {
        struct text once = { 0 }, twice = { 0 };
        enum pacifica_status status =
            convert(data, size, (enum pacifica_trace_format)format, &once);
        if (status == PACIFICA_OK && format == PACIFICA_TRACE_JSONL) {
            require(convert(once.bytes, once.used, PACIFICA_TRACE_JSONL, &twice) == PACIFICA_OK);
            require(once.used == twice.used && memcmp(once.bytes, twice.bytes, once.used) == 0);
        }
        free(once.bytes);
        free(twice.bytes);
    }
    tell(data, size);
    return 0;
}

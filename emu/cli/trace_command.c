/* `pacifica trace`: reading traces of JSON lines back. */
#include "emu/cli/trace_command.h"

#include "emu/base/diag.h"
#include "emu/cli/trace_priv.h"
#include "emu/cli/words.h"
#include "emu/trace/sink.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXT_MOST 1000u
#define TOP_MOST 65536u

/* --- words ------------------------------------------------------------------------------------ */

/* Which verb takes what. */
static const struct verb {
    const char *name;
    unsigned words; /* that are no options: files, and for convert a format */
    const char *options;
} verbs[] = { { "stat", 1, "trace top" },
              { "show", 1, "trace" },
              { "diff", 2, "trace ignore context" },
              { "convert", 2, "trace" } };

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* An option with its value. NULL, or what is wrong. */
static const char *parse_option(struct trace_words *words, const struct verb *verb,
                                const char *name, const char *value)
{
    name += name[1] == '-' ? 2 : 1;
    if (!name[0] || strchr(name, ' ') || !strstr(verb->options, name))
        return "an option that it does not take; a file whose name begins with - is ./-";
    if (!value)
        return "an option without its value";
    if (strcmp(name, "trace") == 0)
        words->list = value;
    else if (strcmp(name, "ignore") == 0)
        words->ignore = value;
    else if (strcmp(name, "top") == 0)
        return word_number(value, &words->top) && words->top <= TOP_MOST ? NULL
                                                                         : "-top takes a number";
    else if (strcmp(name, "context") == 0)
        return word_number(value, &words->context) && words->context <= CONTEXT_MOST
                   ? NULL
                   : "-context takes a number up to 1000";
    else
        return "an option that it does not take; a file whose name begins with - is ./-";
    return NULL;
}

const char *trace_words_parse(struct trace_words *words, int argc, char **argv)
{
    const struct verb *verb = find_verb(argc > 1 ? argv[1] : "");
    const char *word[2] = { NULL, NULL };
    unsigned count = 0;
    *words = (struct trace_words){ .ignore = "", .top = 10, .context = 5 };
    if (!verb)
        return "wanted: stat, show, diff or convert";
    words->verb = verb->name;
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            const char *wrong =
                parse_option(words, verb, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            if (wrong)
                return wrong;
            i++;
        } else if (count == verb->words) {
            return "one word too many";
        } else {
            word[count++] = argv[i];
        }
    }
    if (count != verb->words)
        return verb->words == 1 ? "wanted: a file" : "wanted: two words behind the verb";
    bool convert = strcmp(verb->name, "convert") == 0;
    if (convert && !trace_format_find(word[0], &words->format))
        return "wanted: one of text, jsonl, perfetto, ftrace";
    words->file[0] = word[convert];
    words->file[1] = convert ? NULL : word[1];
    return NULL;
}

/* --- input -------------------------------------------------------------------------------------- */

enum pacifica_status trace_input_open(struct trace_input *input, const struct trace_words *words,
                                      unsigned file, struct pacifica_diag *diag)
{
    enum pacifica_status status = trace_chooser_init(&input->chooser, words->list, diag);
    if (status == PACIFICA_OK)
        status = trace_reader_open(&input->reader, words->file[file], diag);
    return status;
}

enum trace_read trace_input_next(struct trace_input *input, struct pacifica_diag *diag)
{
    enum trace_read read;
    do
        read = trace_reader_next(&input->reader, &input->kept, diag);
    while (read == TRACE_READ_EVENT && !trace_choose(&input->chooser, &input->kept));
    return read;
}

/* --- verbs -------------------------------------------------------------------------------------- */

enum pacifica_status trace_convert(struct trace_input *input, const struct trace_words *words,
                                   const struct pacifica_output *output, struct pacifica_diag *diag)
{
    struct sink *sink = malloc(sizeof(*sink));
    enum trace_read read = TRACE_READ_END;
    if (!sink || !sink_open(sink, words->format, output, 0)) {
        free(sink);
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory to convert a trace");
    }
    while ((read = trace_input_next(input, diag)) == TRACE_READ_EVENT)
        sink_put(sink, &input->kept);
    sink_close(sink);
    free(sink);
    return read == TRACE_READ_END ? PACIFICA_OK : PACIFICA_EFORMAT;
}

enum pacifica_status trace_run(const struct trace_words *words,
                               const struct pacifica_output *output, bool *differ,
                               struct pacifica_diag *diag)
{
    struct trace_input *input = calloc(2, sizeof(*input));
    bool diff = strcmp(words->verb, "diff") == 0;
    *differ = false;
    if (!input)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory to read a trace");
    enum pacifica_status status = trace_input_open(&input[0], words, 0, diag);
    if (status == PACIFICA_OK && diff)
        status = trace_input_open(&input[1], words, 1, diag);
    if (status == PACIFICA_OK && diff)
        status = trace_diff(&input[0], &input[1], words, output, differ, diag);
    else if (status == PACIFICA_OK && strcmp(words->verb, "stat") == 0)
        status = trace_stat(&input[0], words, output, diag);
    else if (status == PACIFICA_OK)
        status = trace_convert(&input[0], words, output, diag);
    for (unsigned i = 0; i < 2; i++)
        if (input[i].reader.bytes)
            trace_reader_close(&input[i].reader);
    free(input);
    return status;
}

/* Completion of monitors' lines, apart from commands: a small table stands in for them. */
#include "emu/cli/monitor_complete.h"
#include "tests/check_main.h"

#include <pacifica/pacifica.h>

#include <stdio.h>
#include <string.h>

/* --- stand-ins ------------------------------------------------------------------------------- */

static const struct {
    const char *name, *arguments;
} commands[] = { { "help", "[COMMAND]" },
                 { "info", "[ITEM]" },
                 { "stop", NULL },
                 { "step", "[N]" },
                 { "break", "WHAT[,K=V]..." },
                 { "trace", "on|off [EVENTS]" },
                 { "vmcb", "[diff last|ADDRESS]" } };

const char *monitor_command(size_t n, const char **arguments)
{
    if (n >= sizeof(commands) / sizeof(commands[0]))
        return NULL;
    *arguments = commands[n].arguments;
    return commands[n].name;
}

void monitor_items(monitor_word *take, void *self)
{
    take(self, "tlb ");
    take(self, "walk ");
}

const char *monitor_break_kind(size_t n)
{
    static const char *const kinds[] = { "vmrun", "vmexit" };
    return n < 2 ? kinds[n] : NULL;
}

static void put(const struct pacifica_output *output, const char *text)
{
    output->write(output->self, text, strlen(text));
}

enum pacifica_status pacifica_exit_codes(const char *code, const struct pacifica_output *output,
                                         struct pacifica_diag *diag)
{
    (void)code;
    (void)diag;
    put(output, "072h  VMEXIT_CPUID  CPUID\n078h  VMEXIT_HLT  HLT\n");
    return PACIFICA_OK;
}

void pacifica_trace_list(const struct pacifica_output *output)
{
    put(output, "svm  worlds\nnpt  faults\n");
}

/* --- tests ------------------------------------------------------------------------------------- */

static char words[65536];

static void collect(void *self, const char *word)
{
    const char *typed = self;
    if (strncmp(word, typed, strlen(typed)) != 0)
        return;
    ck_assert_uint_lt(strlen(words) + strlen(word) + 2, sizeof(words));
    strcat(words, word);
    strcat(words, "|");
}

static void nothing(void *self, const char *word)
{
    (void)self;
    (void)word;
}

static const char *complete(const char *text)
{
    char typed[4096];
    size_t begins = monitor_complete(text, nothing, NULL);
    ck_assert_uint_le(begins, strlen(text));
    (void)snprintf(typed, sizeof(typed), "%s", text + begins);
    words[0] = '\0';
    (void)monitor_complete(text, collect, typed);
    return words;
}

START_TEST(words_of_lines)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "", "help |info |stop |step |break |trace |vmcb |" },
        { "st", "stop |step |" },
        { "  he", "help |" },
        { "z", "" },
        { "help st", "stop |step |" },
        { "h b", "break |" }, /* an abbreviation */
        { "st x", "" },       /* which means two */
        { "stop ", "" },      /* no arguments */
        { "step 1", "" },     /* nothing is known of numbers */
        { "info ", "tlb |walk |" },
        { "info   w", "walk |" },
        { "info walk t", "" }, /* items are the first argument only */
        { "break vm", "vmrun|vmexit|" },
        { "break vmexit=H", "vmexit=HLT|" },
        { "break vmexit=HLT,c", "cpu=|" },
        { "break write=1,cpu=0,s", "size=|" },
        { "trace o", "on|off|" },
        { "trace on s", "svm|" },
        { "vmcb d", "diff last|" },
        { "vmcb diff l", "last|" },
        { "nothing x", "" },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_str_eq(complete(rows[i].text), rows[i].words);
}
END_TEST

START_TEST(long_and_odd_lines)
{
    char text[2048];
    static const char *const begins[] = { "", "info ", "break vmexit=", "trace on ", "break x," };
    for (unsigned i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        memset(text, i % 2 ? '\xff' : 'x', sizeof(text));
        memcpy(text, begins[i], strlen(begins[i]));
        text[sizeof(text) - 1] = '\0';
        ck_assert_str_eq(complete(text), "");
    }
}
END_TEST

CHECK_MAIN("complete", words_of_lines, long_and_odd_lines)

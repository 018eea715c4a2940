/* Which words could stand in a monitor's line. */
#include "emu/cli/monitor_complete.h"

#include <pacifica/pacifica.h>

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#define WORD_MOST 256
#define LIST_MOST 32768

/* --- lists of the library --------------------------------------------------------------------- */

struct list {
    char text[LIST_MOST];
    size_t size;
};

static void keep(void *self, const void *bytes, size_t size)
{
    struct list *list = self;
    size_t room = sizeof(list->text) - 1 - list->size;
    memcpy(list->text + list->size, bytes, size < room ? size : room);
    list->size += size < room ? size : room;
    list->text[list->size] = '\0';
}

/* Word number `column` of each line without its first `skip` characters, behind `before`. */
static void take_lines(const struct list *list, unsigned column, size_t skip, const char *before,
                       monitor_word *take, void *self)
{
    char word[WORD_MOST];
    for (const char *line = list->text; *line;) {
        const char *at = line;
        for (unsigned i = 0; i < column; i++) {
            at += strcspn(at, " \n");
            at += strspn(at, " ");
        }
        int length = (int)strcspn(at, " \n");
        if (length > (int)skip) {
            (void)snprintf(word, sizeof(word), "%s%.*s", before, length - (int)skip, at + skip);
            take(self, word);
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

static void take_exits(monitor_word *take, void *self)
{
    struct list list = { .size = 0 };
    (void)pacifica_exit_codes(NULL, &(struct pacifica_output){ .write = keep, .self = &list },
                              NULL);
    take_lines(&list, 1, strlen("VMEXIT_"), "vmexit=", take, self);
}

static void take_events(monitor_word *take, void *self)
{
    struct list list = { .size = 0 };
    pacifica_trace_list(&(struct pacifica_output){ .write = keep, .self = &list });
    take_lines(&list, 0, 0, "", take, self);
}

/* --- kinds of arguments ------------------------------------------------------------------------- */

static void take_commands(monitor_word *take, void *self)
{
    const char *arguments, *name;
    char word[WORD_MOST];
    for (size_t i = 0; (name = monitor_command(i, &arguments)) != NULL; i++) {
        (void)snprintf(word, sizeof(word), "%s ", name);
        take(self, word);
    }
}

static void take_files(const char *begun, monitor_word *take, void *self)
{
    char pattern[WORD_MOST];
    glob_t found;
    (void)snprintf(pattern, sizeof(pattern), "%.*s*", WORD_MOST - 2, begun);
    if (glob(pattern, GLOB_MARK, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        take(self, found.gl_pathv[i]);
    globfree(&found);
}

/* KIND[=VALUE][,KEY=VALUE]... Returns where the part that is typed begins. */
static size_t take_breaks(const char *begun, monitor_word *take, void *self)
{
    static const char *const keys[] = { "cpu=", "size=", "msr=", "port=" };
    const char *comma = strrchr(begun, ','), *kind;
    if (comma) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            take(self, keys[i]);
        return (size_t)(comma + 1 - begun);
    }
    if (strncmp(begun, "vmexit=", 7) == 0) {
        take_exits(take, self);
        return 0;
    }
    for (size_t i = 0; (kind = monitor_break_kind(i)) != NULL; i++)
        take(self, kind);
    return 0;
}

/* What a row says of an argument is itself a word if it has small letters: "on|off". */
static void take_literals(const char *kinds, size_t length, monitor_word *take, void *self)
{
    char word[WORD_MOST];
    for (const char *at = kinds; at < kinds + length;) {
        size_t part = strcspn(at, "|");
        if (part > (size_t)(kinds + length - at))
            part = (size_t)(kinds + length - at);
        (void)snprintf(word, sizeof(word), "%.*s", (int)part, at);
        if (part && part < sizeof(word) && word[part - 1] == ' ')
            word[part - 1] = '\0';
        if (islower((unsigned char)word[0]))
            take(self, word);
        at += part + 1;
    }
}

static bool is_kind(const char *kinds, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(kinds, name, length) == 0;
}

/* The words for argument number `n` of a row. Returns where in `begun` the word begins. */
static size_t take_argument(const char *arguments, unsigned n, const char *begun,
                            monitor_word *take, void *self)
{
    const char *kinds = arguments;
    for (unsigned i = 0; i < n; i++) {
        kinds += strcspn(kinds, " ");
        kinds += strspn(kinds, " ");
    }
    kinds += strspn(kinds, "[");
    size_t length = strcspn(kinds, " [],");
    if (is_kind(kinds, length, "COMMAND"))
        take_commands(take, self);
    else if (is_kind(kinds, length, "ITEM"))
        monitor_items(take, self);
    else if (is_kind(kinds, length, "WHAT"))
        return take_breaks(begun, take, self);
    else if (is_kind(kinds, length, "EVENTS"))
        take_events(take, self);
    else if (is_kind(kinds, length, "FILE"))
        take_files(begun, take, self);
    else
        take_literals(kinds, strcspn(kinds, "[],"), take, self); /* blanks and all: "diff last" */
    return 0;
}

/* --- the line -------------------------------------------------------------------------------------- */

/* The arguments of the command that `name` means; NULL: it is none, or has none. */
static const char *arguments_of(const char *name, size_t length)
{
    const char *arguments, *command, *found = NULL;
    unsigned count = 0;
    for (size_t i = 0; (command = monitor_command(i, &arguments)) != NULL; i++) {
        if (strncmp(command, name, length) != 0)
            continue;
        if (strlen(command) == length)
            return arguments;
        found = arguments;
        count++;
    }
    return count == 1 ? found : NULL;
}

size_t monitor_complete(const char *text, monitor_word *take, void *self)
{
    const char *name = text + strspn(text, " ");
    size_t length = strcspn(name, " ");
    const char *word = name + length;
    if (!*word) {
        take_commands(take, self);
        return (size_t)(name - text);
    }
    const char *arguments = arguments_of(name, length);
    unsigned n = 0;
    word += strspn(word, " ");
    for (; word[strcspn(word, " ")]; n++) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    size_t begins = (size_t)(word - text);
    return arguments ? begins + take_argument(arguments, n, word, take, self) : begins;
}

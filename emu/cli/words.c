/* Texts of options and their small grammars. */
#include "emu/cli/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cli_words {
    struct cli_words *next;
    char text[];
};

char *words_keep(struct cli_words **words, const char *text, size_t length)
{
    struct cli_words *word = malloc(sizeof(*word) + length + 1);
    if (!word)
        return NULL;
    memcpy(word->text, text, length);
    word->text[length] = '\0';
    word->next = *words;
    *words = word;
    return word->text;
}

void words_free(struct cli_words *words)
{
    while (words) {
        struct cli_words *next = words->next;
        free(words);
        words = next;
    }
}

char *words_next(struct cli_words **words, const char **text)
{
    char *part = words_keep(words, *text, strlen(*text));
    if (!part)
        return NULL;
    const char *from = *text;
    char *to = part;
    for (;; from++) {
        if (*from == ',' && from[1] == ',')
            from++;
        else if (*from == ',' || *from == '\0')
            break;
        *to++ = *from;
    }
    *to = '\0';
    *text = *from ? from + 1 : NULL;
    return part;
}

const char *word_value(const char *part, const char *key)
{
    size_t length = strlen(key);
    return strncmp(part, key, length) == 0 && part[length] == '=' ? part + length + 1 : NULL;
}

/* A number at the beginning of text; *end points behind it. */
static bool leading_number(const char *text, const char **end, uint64_t *value)
{
    if (*text < '0' || *text > '9')
        return false;
    char *behind;
    errno = 0;
    *value = strtoull(text, &behind, 0);
    *end = behind;
    return errno == 0;
}

bool word_number(const char *text, uint64_t *value)
{
    const char *end;
    return leading_number(text, &end, value) && *end == '\0';
}

bool word_size(const char *text, uint64_t unit, uint64_t *bytes)
{
    const char *end;
    uint64_t number;
    if (!leading_number(text, &end, &number))
        return false;
    switch (*end) {
    case '\0': break;
    case 'k':
    case 'K': unit = UINT64_C(1) << 10; break;
    case 'm':
    case 'M': unit = UINT64_C(1) << 20; break;
    case 'g':
    case 'G': unit = UINT64_C(1) << 30; break;
    case 't':
    case 'T': unit = UINT64_C(1) << 40; break;
    default: return false;
    }
    if (*end && end[1])
        return false;
    if (number > UINT64_MAX / unit)
        return false;
    *bytes = number * unit;
    return true;
}

bool word_switch(const char *text, bool *value)
{
    bool on = strcmp(text, "on") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    *value = on;
    return on || strcmp(text, "off") == 0 || strcmp(text, "no") == 0 || strcmp(text, "false") == 0;
}

bool word_seconds(const char *text, uint64_t *ms)
{
    const uint64_t most = UINT64_C(1000000000); /* thirty years */
    const char *end;
    uint64_t whole = 0;
    if (strspn(text, "0123456789.") != strlen(text) || !(*text >= '0' && *text <= '9'))
        return false;
    char *behind;
    errno = 0;
    whole = strtoull(text, &behind, 10);
    end = behind;
    if (errno || whole > most)
        return false;
    *ms = whole * 1000;
    if (*end == '.') {
        uint64_t scale = 100;
        for (end++; *end >= '0' && *end <= '9'; end++) {
            *ms += (uint64_t)(*end - '0') * scale;
            if (scale == 0 && *end != '0')
                return false; /* finer than a millisecond */
            scale /= 10;
        }
    }
    return *end == '\0' && *ms > 0;
}

/* The escape character is one that popt does not look at; it escapes itself. */
#define ESCAPE '\001'

char *word_escape(const char *text)
{
    char *escaped = malloc(2 * strlen(text) + 1);
    if (!escaped)
        return NULL;
    char *to = escaped;
    for (; *text; text++) {
        if (*text != '!' && *text != ESCAPE) {
            *to++ = *text;
            continue;
        }
        *to++ = ESCAPE;
        *to++ = *text == '!' ? '1' : '0';
    }
    *to = '\0';
    return escaped;
}

void word_restore(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (*text == ESCAPE && text[1]) {
            text++;
            *to++ = *text == '1' ? '!' : ESCAPE;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
}

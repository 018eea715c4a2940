/* Texts that live as long as the options they belong to, and the small grammars of option values. */
#ifndef EMU_CLI_WORDS_H
#define EMU_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli_words; /* a list of texts; NULL is the empty list */

/* Keep a copy of `length` characters. NULL without memory. */
char *words_keep(struct cli_words **words, const char *text, size_t length);
void words_free(struct cli_words *words);

/* Take the next part of a comma-separated text, in which ,, stands for a comma. *text moves behind it, and becomes NULL
 * behind the last. Returns the part, kept in `words`; NULL without memory. */
char *words_next(struct cli_words **words, const char **text);

/* The value of a part "key=value", or NULL if the part has another key. */
const char *word_value(const char *part, const char *key);

/* A number as C writes it, nothing behind it. */
bool word_number(const char *text, uint64_t *value);

/* A size in bytes: a number with a suffix K, M, G, T, else in `unit` bytes. False on overflow too. */
bool word_size(const char *text, uint64_t unit, uint64_t *bytes);

/* Seconds with an optional fraction, to the millisecond; more than 0. */
bool word_seconds(const char *text, uint64_t *ms);

/* on or off, as QEMU writes them. */
bool word_switch(const char *text, bool *value);

/* Option texts are handed through popt, which gives `!#:+` in them a meaning. A text is escaped before and restored
 * after. escape: NULL without memory, to be freed by the caller. restore works in place. */
char *word_escape(const char *text);
void word_restore(char *text);

#endif

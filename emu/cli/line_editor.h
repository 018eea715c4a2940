/* Lines that are typed at a terminal, edited by libedit: history, arrows, Emacs keys, completion by Tab. */
#ifndef EMU_CLI_LINE_EDITOR_H
#define EMU_CLI_LINE_EDITOR_H

#include <pacifica/pacifica.h>

#define LINE_EDITOR_MOST 256 /* of a line, with its NUL */

struct line_editor;

/* Called with each word that could stand where `text` ends; returns where in text that word begins. */
typedef void line_editor_word(void *self, const char *word);
typedef size_t line_editor_complete(const char *text, line_editor_word *take, void *self);

/* Make an editor that shows itself through `output`, on the terminal at standard output. NULL: there cannot be one. */
struct line_editor *line_editor_new(const char *prompt, const struct pacifica_output *output,
                                    line_editor_complete *complete);
void line_editor_free(struct line_editor *editor); /* NULL is allowed */

/* Show the prompt, with what has been typed of the line: at its beginning, and when something else was written. */
void line_editor_prompt(struct line_editor *editor);

/* Take a byte that was typed. Returns the line if it has ended (without its end; valid until the next call), else NULL. What comes
 * next must be line_editor_prompt(). */
char *line_editor_byte(struct line_editor *editor, uint8_t byte);

#endif

/* -display sdl: a window with the screen, and with the keyboard and mouse of who sits at it. window_sdl.c if there was an SDL2
 * when the program was built, else window_none.c. */
#ifndef EMU_CLI_WINDOW_H
#define EMU_CLI_WINDOW_H

#include <pacifica/pacifica.h>

struct window;

#define WINDOW_LOOK_MS 10 /* it wants to be looked at so often */

/* PACIFICA_OK; PACIFICA_EUNSUPPORTED: the machine has no screen, or the program no SDL; PACIFICA_EIO: there is no display;
 * PACIFICA_ENOMEM. `diag` says why, *window is NULL. */
enum pacifica_status window_open(struct window **window, struct pacifica_machine *machine,
                                 struct pacifica_diag *diag);
void window_close(struct window *window); /* NULL is allowed */

/* Take keys and mouse, and show the screen if it is time for the next picture. Returns false when the window was closed. Not
 * while the machine runs. */
bool window_look(struct window *window);

#endif

/* -display sdl in a program without SDL2. */
#include "emu/cli/window.h"

#include "emu/base/diag.h"

enum pacifica_status window_open(struct window **window, struct pacifica_machine *machine,
                                 struct pacifica_diag *diag)
{
    (void)machine;
    *window = NULL;
    return diag_set(diag, PACIFICA_EUNSUPPORTED, "-display", "SDL2 was not there when it was",
                    "sdl is not built into this program");
}

void window_close(struct window *window)
{
    (void)window;
}

bool window_look(struct window *window)
{
    (void)window;
    return true;
}

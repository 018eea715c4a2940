/* Saving what the screen shows. */
#ifndef EMU_CLI_SCREEN_H
#define EMU_CLI_SCREEN_H

#include <pacifica/pacifica.h>

/* Write the picture to a file: as text (UTF-8) if its name ends in .txt, else as PNG. Returns PACIFICA_OK;
 * PACIFICA_EUNSUPPORTED: there is no screen, or no text on it; PACIFICA_EIO, PACIFICA_ENOMEM; `diag` says why. */
enum pacifica_status screen_save(const struct pacifica_machine *machine, const char *path,
                                 struct pacifica_diag *diag);

#endif

/* Where a character device goes: a file, standard output, another program, or nowhere. */
#ifndef EMU_CLI_ENDPOINT_H
#define EMU_CLI_ENDPOINT_H

#include "emu/cli/files.h"
#include "emu/cli/link.h"

/* Invariant: all zero (nowhere), or one of them is there. */
struct endpoint {
    struct output_file file;
    struct link *link;
};

/* Statuses as output_open() and link_open(). */
enum pacifica_status endpoint_open(struct endpoint *endpoint, const struct cli_chardev *chardev,
                                   struct pacifica_diag *diag);
void endpoint_flush(struct endpoint *endpoint);

/* Close, and tell whether all bytes of a file arrived: PACIFICA_OK or PACIFICA_EIO. */
enum pacifica_status endpoint_close(struct endpoint *endpoint, struct pacifica_diag *diag);

/* As the library wants it; `endpoint` must stay where it is. */
struct pacifica_output endpoint_output(struct endpoint *endpoint);

#endif

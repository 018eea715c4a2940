/* Lines to other programs: UNIX and TCP sockets, and pseudo-terminals. */
#ifndef EMU_CLI_LINK_H
#define EMU_CLI_LINK_H

#include "emu/cli/options.h"

#define LINK_BYTES 65536

/* Invariant: out[0..count) waits to be sent. fd and listener are -1 if there is none. */
struct link {
    int fd, listener;
    int held; /* the other side of a pseudo-terminal, so that it stays when programs there come and go */
    const char *name; /* for messages */
    const char *made; /* the socket's path, to be removed at the end; NULL: none */
    bool fresh;       /* somebody has connected since link_fresh() */
    size_t count;
    uint8_t out[LINK_BYTES];
};

/* Connect, or listen; a server without nowait waits for the first one to connect. PACIFICA_OK: *link is to be given back with
 * link_close(). PACIFICA_EIO, PACIFICA_ENOMEM: `diag` says why, *link is NULL. */
enum pacifica_status link_open(struct link **link, const struct cli_chardev *chardev,
                               struct pacifica_diag *diag);
void link_close(struct link *link);

/* Queue bytes. CHOICE: what cannot be sent is lost: at once without a connection, after a second if the other side does not read. */
void link_write(struct link *link, const void *bytes, size_t size);
void link_flush(struct link *link);

/* Read what is there; never waits. Returns how many bytes. */
size_t link_read(struct link *link, uint8_t *bytes, size_t size);

/* May something come still? */
bool link_is_open(const struct link *link);

/* Close the connection when what waits has been sent, if that goes at once; a server takes the next one. */
void link_drop(struct link *link);

/* While one is connected: others who connect are sent these bytes, and their connections closed. */
void link_refuse(struct link *link, const void *bytes, size_t size);

/* What poll() is to look at; -1: nothing. */
int link_poll_fd(const struct link *link);

/* Has somebody connected since the last call? */
bool link_fresh(struct link *link);

#endif

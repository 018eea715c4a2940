/* The line to the debugger: a socket or pseudo-terminal, or standard input and output. */
#include "emu/cli/gdb_priv.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What somebody is told who connects while another debugger is there: a packet that GDB shows. */
static const char busy[] = "E.another debugger is connected to this machine";

/* What `target remote` takes. A port may have been chosen by the system. */
static void tell_place(const struct link *link, const struct cli_chardev *chardev)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (chardev->kind == CHARDEV_UNIX) {
        (void)fprintf(stderr, "pacifica: gdb: target remote %s\n", chardev->path);
        return;
    }
    if (link->listener < 0 ||
        getsockname(link->listener, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool brackets = address.ss_family == AF_INET6;
    (void)fprintf(stderr, "pacifica: gdb: target remote %s%s%s:%s\n", brackets ? "[" : "", host,
                  brackets ? "]" : "", port);
}

enum pacifica_status gdb_line_open(struct gdb *gdb, const struct cli_chardev *chardev,
                                   struct pacifica_diag *diag)
{
    if (chardev->kind == CHARDEV_STDIO) {
        gdb->input_open = true;
        return PACIFICA_OK;
    }
    enum pacifica_status status = link_open(&gdb->link, chardev, diag);
    if (status == PACIFICA_OK && chardev->server)
        tell_place(gdb->link, chardev);
    return status;
}

bool gdb_line_connected(const struct gdb *gdb)
{
    return gdb->link ? gdb->link->fd >= 0 : gdb->input_open;
}

int gdb_line_fd(const struct gdb *gdb)
{
    if (gdb->link)
        return gdb->link->fd;
    return gdb->input_open ? STDIN_FILENO : -1;
}

static void refuse_others(struct gdb *gdb)
{
    struct gdb_text text = { .size = 0 };
    if (!gdb->link || gdb->link->fd < 0 || gdb->link->listener < 0)
        return;
    gdb_text_put(&text, "%s", busy);
    char line[sizeof(busy) + 4];
    link_refuse(gdb->link, line, gdb_frame_line(&text, line));
}

void gdb_line_fill(struct gdb *gdb)
{
    gdb->first = 0;
    if (gdb->link) {
        gdb->count = link_read(gdb->link, gdb->input, sizeof(gdb->input));
        refuse_others(gdb);
        return;
    }
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    gdb->count = 0;
    if (!gdb->input_open || poll(&input, 1, 0) <= 0)
        return;
    ssize_t got = read(STDIN_FILENO, gdb->input, sizeof(gdb->input));
    gdb->input_open = got > 0;
    gdb->count = got > 0 ? (size_t)got : 0;
}

bool gdb_line_has_room(const struct gdb *gdb)
{
    return !gdb->link || LINK_BYTES - gdb->link->count > GDB_LINE_MOST + 2;
}

static void write_out(const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t put = write(STDOUT_FILENO, bytes, size);
        if (put <= 0)
            return;
        bytes += put;
        size -= (size_t)put;
    }
}

void gdb_line_write(struct gdb *gdb, const void *bytes, size_t size)
{
    if (gdb->link)
        link_write(gdb->link, bytes, size);
    else
        write_out(bytes, size);
}

void gdb_line_flush(struct gdb *gdb)
{
    if (gdb->link)
        link_flush(gdb->link);
}

void gdb_line_drop(struct gdb *gdb)
{
    if (gdb->link)
        link_drop(gdb->link);
}

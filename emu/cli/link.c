/* Lines to other programs: UNIX and TCP sockets, and pseudo-terminals. */
#define _XOPEN_SOURCE 700 /* posix_openpt() and its kin */

#include "emu/cli/link.h"

#include "emu/base/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define PATIENCE_MS 1000

static enum pacifica_status failed(const char *name, struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_EIO, name, NULL, "%s", strerror(errno));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void set_flags(int fd)
{
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* --- connections ------------------------------------------------------------------------- */

static void take_connection(struct link *link, int fd)
{
    const int on = 1;
    set_flags(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* other sockets refuse */
    link->fd = fd;
    link->fresh = true;
}

static void accept_one(struct link *link)
{
    if (link->fd >= 0 || link->listener < 0)
        return;
    int fd = accept(link->listener, NULL, NULL);
    if (fd >= 0)
        take_connection(link, fd);
}

/* Listen or connect, with an address. */
static bool use_address(struct link *link, int fd, const struct sockaddr *address, socklen_t size,
                        bool server)
{
    const int on = 1;
    if (!server) {
        if (connect(fd, address, size) != 0)
            return false;
        take_connection(link, fd);
        return true;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    mode_t before = umask(0177); /* a path is for its owner alone */
    bool bound = bind(fd, address, size) == 0;
    (void)umask(before);
    if (!bound || listen(fd, 1) != 0)
        return false;
    link->listener = fd;
    return true;
}

static enum pacifica_status open_unix(struct link *link, const struct cli_chardev *chardev,
                                      struct pacifica_diag *diag)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat status;
    if (strlen(chardev->path) >= sizeof(address.sun_path))
        return diag_set(diag, PACIFICA_EUSAGE, chardev->path, NULL, "too long for a socket");
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", chardev->path);
    if (chardev->server && lstat(chardev->path, &status) == 0 && S_ISSOCK(status.st_mode))
        (void)unlink(chardev->path); /* of a run that was before */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return failed(chardev->path, diag);
    if (!use_address(link, fd, (const struct sockaddr *)&address, sizeof(address),
                     chardev->server)) {
        enum pacifica_status result = failed(chardev->path, diag);
        (void)close(fd);
        return result;
    }
    if (chardev->server)
        link->made = chardev->path;
    return PACIFICA_OK;
}

/* CHOICE: an empty host is the workstation itself, not all of its networks. */
static enum pacifica_status open_tcp(struct link *link, const struct cli_chardev *chardev,
                                     struct pacifica_diag *diag)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = chardev->server ? AI_PASSIVE : 0 };
    struct addrinfo *found;
    const char *host = chardev->host[0] ? chardev->host : "127.0.0.1";
    if (strtoull(chardev->port, NULL, 10) > UINT16_MAX) /* else its low 16 bits would count */
        return diag_set(diag, PACIFICA_EUSAGE, link->name, "0 to 65535", "no port %s",
                        chardev->port);
    int error = getaddrinfo(host, chardev->port, &hints, &found);
    if (error != 0)
        return diag_set(diag, PACIFICA_EIO, link->name, NULL, "%s", gai_strerror(error));
    enum pacifica_status result = PACIFICA_EIO;
    for (const struct addrinfo *at = found; at && result != PACIFICA_OK; at = at->ai_next) {
        int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0 && use_address(link, fd, at->ai_addr, at->ai_addrlen, chardev->server)) {
            result = PACIFICA_OK;
            continue;
        }
        result = failed(link->name, diag);
        close_fd(&fd);
    }
    freeaddrinfo(found);
    return result;
}

static enum pacifica_status open_pty(struct link *link, struct pacifica_diag *diag)
{
    struct termios raw;
    const char *path = NULL;
    link->fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (link->fd >= 0 && grantpt(link->fd) == 0 && unlockpt(link->fd) == 0)
        path = ptsname(link->fd);
    link->held = path ? open(path, O_RDWR | O_NOCTTY) : -1;
    if (link->held < 0 || tcgetattr(link->held, &raw) != 0)
        return failed("pty", diag);
    cfmakeraw(&raw);
    (void)tcsetattr(link->held, TCSANOW, &raw);
    (void)fcntl(link->held, F_SETFD, FD_CLOEXEC);
    set_flags(link->fd);
    (void)fprintf(stderr, "pacifica: char device redirected to %s (label %s)\n", path, link->name);
    return PACIFICA_OK;
}

static void wait_for_connection(struct link *link)
{
    (void)fprintf(stderr, "pacifica: waiting for a connection to %s\n", link->name);
    while (link->fd < 0) {
        struct pollfd input = { .fd = link->listener, .events = POLLIN };
        (void)poll(&input, 1, -1);
        accept_one(link);
    }
}

enum pacifica_status link_open(struct link **out, const struct cli_chardev *chardev,
                               struct pacifica_diag *diag)
{
    struct link *link = calloc(1, sizeof(*link));
    enum pacifica_status status;
    *out = NULL;
    if (!link)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a line");
    link->fd = link->listener = link->held = -1;
    link->name = chardev->name;
    if (chardev->kind == CHARDEV_UNIX)
        status = open_unix(link, chardev, diag);
    else if (chardev->kind == CHARDEV_TCP)
        status = open_tcp(link, chardev, diag);
    else
        status = open_pty(link, diag);
    if (status != PACIFICA_OK) {
        link_close(link);
        return status;
    }
    if (link->listener >= 0)
        set_flags(link->listener);
    if (link->listener >= 0 && !chardev->nowait)
        wait_for_connection(link);
    *out = link;
    return PACIFICA_OK;
}

void link_close(struct link *link)
{
    if (!link)
        return;
    link_flush(link);
    while (link->count && link->held < 0) {
        struct pollfd output = { .fd = link->fd, .events = POLLOUT };
        if (poll(&output, 1, PATIENCE_MS) <= 0)
            break;
        link_flush(link);
    }
    close_fd(&link->fd);
    close_fd(&link->listener);
    close_fd(&link->held);
    if (link->made)
        (void)unlink(link->made);
    free(link);
}

void link_refuse(struct link *link, const void *bytes, size_t size)
{
    int fd;
    while (link->fd >= 0 && link->listener >= 0 && (fd = accept(link->listener, NULL, NULL)) >= 0) {
        (void)send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)close(fd);
    }
}

/* --- bytes ---------------------------------------------------------------------------------- */

/* Send what can be sent now. */
static void send_some(struct link *link)
{
    ssize_t sent = link->held >= 0 ? write(link->fd, link->out, link->count)
                                   : send(link->fd, link->out, link->count, MSG_NOSIGNAL);
    if (sent > 0) {
        link->count -= (size_t)sent;
        memmove(link->out, link->out + sent, link->count);
    } else if (errno != EAGAIN && errno != EINTR) {
        close_fd(&link->fd);
    }
}

void link_flush(struct link *link)
{
    accept_one(link);
    if (link->count && link->fd >= 0)
        send_some(link);
    if (link->fd < 0)
        link->count = 0;
}

static void make_room(struct link *link)
{
    struct pollfd output = { .fd = link->fd, .events = POLLOUT };
    link_flush(link);
    if (link->count == LINK_BYTES && link->held < 0 && poll(&output, 1, PATIENCE_MS) > 0)
        link_flush(link);
    if (link->count == LINK_BYTES)
        link->count = 0;
}

void link_write(struct link *link, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    while (size) {
        size_t room = LINK_BYTES - link->count;
        size_t part = size < room ? size : room;
        memcpy(link->out + link->count, from, part);
        link->count += part;
        from += part;
        size -= part;
        if (link->count == LINK_BYTES)
            make_room(link);
    }
}

size_t link_read(struct link *link, uint8_t *bytes, size_t size)
{
    accept_one(link);
    if (link->fd < 0)
        return 0;
    ssize_t got = read(link->fd, bytes, size);
    if (got > 0)
        return (size_t)got;
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&link->fd);
    return 0;
}

void link_drop(struct link *link)
{
    link_flush(link);
    link->count = 0;
    close_fd(&link->fd);
}

bool link_is_open(const struct link *link)
{
    return link->fd >= 0 || link->listener >= 0;
}

int link_poll_fd(const struct link *link)
{
    return link->fd >= 0 ? link->fd : link->listener;
}

bool link_fresh(struct link *link)
{
    bool fresh = link->fresh;
    link->fresh = false;
    return fresh;
}

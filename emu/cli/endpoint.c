/* Where a character device goes: a file, standard output, another program, or nowhere. */
#include "emu/cli/endpoint.h"

enum pacifica_status endpoint_open(struct endpoint *endpoint, const struct cli_chardev *chardev,
                                   struct pacifica_diag *diag)
{
    *endpoint = (struct endpoint){ .link = NULL };
    switch (chardev->kind) {
    case CHARDEV_STDIO: output_stdout(&endpoint->file); return PACIFICA_OK;
    case CHARDEV_FILE: return output_open(&endpoint->file, chardev->path, diag);
    case CHARDEV_UNIX:
    case CHARDEV_TCP:
    case CHARDEV_PTY: return link_open(&endpoint->link, chardev, diag);
    default: return PACIFICA_OK;
    }
}

void endpoint_flush(struct endpoint *endpoint)
{
    output_flush(&endpoint->file);
    if (endpoint->link)
        link_flush(endpoint->link);
}

enum pacifica_status endpoint_close(struct endpoint *endpoint, struct pacifica_diag *diag)
{
    link_close(endpoint->link);
    endpoint->link = NULL;
    return output_close(&endpoint->file, diag);
}

static void link_output(void *self, const void *bytes, size_t size)
{
    link_write(self, bytes, size);
}

struct pacifica_output endpoint_output(struct endpoint *endpoint)
{
    if (endpoint->link)
        return (struct pacifica_output){ .write = link_output, .self = endpoint->link };
    if (endpoint->file.stream)
        return output_to(&endpoint->file);
    return (struct pacifica_output){ .write = NULL };
}

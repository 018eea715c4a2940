/* What the command line says of sockets. */
#include "emu/cli/chardev.h"

#include "emu/base/diag.h"

#include <string.h>

static enum pacifica_status no_memory(struct parse *parse)
{
    return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
}

/* key=on or key=off, or key alone. Returns true if the part is that; *yes is what it says. */
static bool take_switch(const char *part, const char *key, bool *yes)
{
    const char *value = word_value(part, key);
    if (strcmp(part, key) == 0 || (value && strcmp(value, "on") == 0))
        *yes = true;
    else if (value && strcmp(value, "off") == 0)
        *yes = false;
    else
        return false;
    return true;
}

bool socket_property(struct cli_chardev *chardev, const char *part)
{
    bool wait, ignored;
    if (take_switch(part, "wait", &wait))
        chardev->nowait = !wait;
    else if (strcmp(part, "nowait") == 0)
        chardev->nowait = true;
    else if (take_switch(part, "nodelay", &ignored) || take_switch(part, "delay", &ignored))
        return true; /* nothing is delayed */
    else
        return take_switch(part, "server", &chardev->server);
    return true;
}

/* HOST:PORT, either side of the last colon; a host with colons stands in brackets. */
static bool split_address(struct parse *parse, struct cli_chardev *to, char *address)
{
    char *colon = strrchr(address, ':');
    if (!colon || !colon[1])
        return false;
    size_t length = (size_t)(colon - address);
    to->port = colon + 1;
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    to->host = words_keep(&parse->options->words, address, length);
    return to->host != NULL;
}

enum pacifica_status socket_destination(struct parse *parse, const char *value,
                                        struct cli_chardev *to)
{
    const char *rest = strchr(value, ':') + 1;
    char *address = words_next(&parse->options->words, &rest);
    if (!address)
        return no_memory(parse);
    to->name = value;
    if (value[0] == 'u') {
        to->kind = CHARDEV_UNIX;
        to->path = address;
        if (!address[0])
            return option_bad(parse, value, "no path");
    } else {
        to->kind = CHARDEV_TCP;
        if (!split_address(parse, to, address))
            return option_bad(parse, value, "no host with a port");
    }
    while (rest) {
        const char *part = words_next(&parse->options->words, &rest);
        if (!part)
            return no_memory(parse);
        if (!socket_property(to, part))
            return option_bad(parse, part, "no property of a socket");
    }
    return PACIFICA_OK;
}

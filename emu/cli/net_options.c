/* Handlers of the options about networks. */
#include "emu/cli/net_options.h"

#include "emu/base/diag.h"

#include <arpa/inet.h>
#include <string.h>

/* CHOICE: a forwarded port is open to this workstation alone unless an address is named; QEMU opens it to everybody. */
#define HOST_DEFAULT 0x7f000001u
#define GUEST_DEFAULT 0x0a00020fu

static enum pacifica_status no_memory(struct parse *parse)
{
    return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
}

/* --- hostfwd= ------------------------------------------------------------------------------------------ */

/* Take what is before `end` off a text, kept; *text moves behind it. NULL: there is no `end`, or no memory. */
static const char *take_until(struct parse *parse, const char **text, char end)
{
    const char *found = strchr(*text, end), *from = *text;
    if (!found)
        return NULL;
    *text = found + 1;
    return words_keep(&parse->options->words, from, (size_t)(found - from));
}

static bool read_address(const char *text, uint32_t none, uint32_t *number)
{
    struct in_addr address;
    *number = none;
    if (!text[0])
        return true;
    if (inet_pton(AF_INET, text, &address) != 1)
        return false;
    *number = ntohl(address.s_addr);
    return true;
}

static bool read_port(const char *text, uint16_t *port)
{
    uint64_t number;
    if (!word_number(text, &number) || number == 0 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* [tcp|udp]:[HOST]:PORT-[GUEST]:PORT */
static bool read_forward(struct parse *parse, const char *text, struct cli_forward *forward)
{
    const char *protocol = take_until(parse, &text, ':');
    const char *host = protocol ? take_until(parse, &text, ':') : NULL;
    const char *host_port = host ? take_until(parse, &text, '-') : NULL;
    const char *guest = host_port ? take_until(parse, &text, ':') : NULL;
    if (!guest)
        return false;
    forward->udp = strcmp(protocol, "udp") == 0;
    return (forward->udp || !protocol[0] || strcmp(protocol, "tcp") == 0) &&
           read_address(host, HOST_DEFAULT, &forward->host) &&
           read_port(host_port, &forward->host_port) &&
           read_address(guest, GUEST_DEFAULT, &forward->guest) &&
           read_port(text, &forward->guest_port);
}

/* --- -netdev ------------------------------------------------------------------------------------------- */

/* What QEMU's user networks can do beyond ours. */
static bool later_property(const char *part)
{
    static const char *const key[] = { "net",  "host",     "hostname",  "dhcpstart", "dns",
                                       "tftp", "bootfile", "guestfwd",  "dnssearch", "smb",
                                       "ipv6", "ipv4",     "domainname" };
    for (size_t i = 0; i < sizeof(key) / sizeof(key[0]); i++)
        if (word_value(part, key[i]))
            return true;
    return false;
}

static enum pacifica_status netdev_property(struct parse *parse, struct cli_netdev *netdev,
                                            const char *part)
{
    const char *text;
    bool restricted;
    if ((text = word_value(part, "id"))) {
        netdev->id = text;
    } else if ((text = word_value(part, "restrict"))) {
        if (!word_switch(text, &restricted))
            return option_bad(parse, part, "neither on nor off");
        netdev->outside = !restricted;
    } else if ((text = word_value(part, "hostfwd"))) {
        if (netdev->forward_count == CLI_FORWARDS)
            return option_bad(parse, part, "one forwarded port too many (16)");
        if (!read_forward(parse, text, &netdev->forward[netdev->forward_count++]))
            return option_bad(parse, part, "not hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT");
    } else {
        return later_property(part) ? option_not_yet(parse, part)
                                    : option_bad(parse, part, "no property of a network");
    }
    return PACIFICA_OK;
}

static enum pacifica_status add_netdev(struct parse *parse, const struct cli_netdev *netdev)
{
    struct cli_options *o = parse->options;
    if (o->netdev_count == CLI_NICS)
        return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL, "too many networks (%d)",
                        CLI_NICS);
    o->netdev[o->netdev_count++] = *netdev;
    return PACIFICA_OK;
}

enum pacifica_status option_netdev(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_netdev netdev = { 0 };
    const char *rest = value;
    const char *kind = words_next(&o->words, &rest);
    if (!kind)
        return no_memory(parse);
    if (strcmp(kind, "user") != 0)
        return option_not_yet(parse, kind);
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return no_memory(parse);
        enum pacifica_status status = netdev_property(parse, &netdev, part);
        if (status != PACIFICA_OK)
            return status;
    }
    if (!netdev.id || !netdev.id[0])
        return option_bad(parse, value, "a network without id=");
    for (unsigned i = 0; i < o->netdev_count; i++)
        if (o->netdev[i].id && strcmp(o->netdev[i].id, netdev.id) == 0)
            return option_bad(parse, netdev.id, "the ID of two networks");
    return add_netdev(parse, &netdev);
}

/* --- cards ----------------------------------------------------------------------------------------------- */

static bool card_name(const char *name)
{
    return strcmp(name, "virtio-net-pci") == 0 || strcmp(name, "virtio-net") == 0 ||
           strcmp(name, "virtio") == 0;
}

/* Six bytes in hexadecimal between colons; of one card. */
static bool read_mac(const char *text, uint8_t mac[6])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t any = 0;
    if (strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 17; i++) {
        const char *digit =
            strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] | 0x20 : text[i]);
        if (i % 3 == 2 ? text[i] != ':' : !digit)
            return false;
        if (i % 3 != 2)
            mac[i / 3] = (uint8_t)(mac[i / 3] << 4 | (unsigned)(digit - digits));
    }
    for (unsigned i = 0; i < 6; i++)
        any |= mac[i];
    return any && !(mac[0] & 1);
}

static enum pacifica_status card_mac(struct parse *parse, struct cli_nic *nic, const char *part)
{
    return read_mac(word_value(part, "mac"), nic->mac)
               ? PACIFICA_OK
               : option_bad(parse, part, "no address of a network card");
}

static enum pacifica_status add_card(struct parse *parse, const struct cli_nic *nic)
{
    struct cli_options *o = parse->options;
    if (o->nic_count == CLI_NICS)
        return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL,
                        "too many network cards (%d)", CLI_NICS);
    o->nic[o->nic_count++] = *nic;
    return PACIFICA_OK;
}

/* A network and its card at once; `none` for scripts. */
enum pacifica_status option_nic(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_netdev netdev = { 0 };
    struct cli_nic nic = { .network = o->netdev_count };
    const char *rest = value;
    const char *kind = words_next(&o->words, &rest);
    enum pacifica_status status = PACIFICA_OK;
    if (!kind)
        return no_memory(parse);
    if (strcmp(value, "none") == 0)
        return PACIFICA_OK;
    if (strcmp(kind, "user") != 0)
        return option_not_yet(parse, kind);
    while (rest && status == PACIFICA_OK) {
        const char *part = words_next(&o->words, &rest), *text;
        if (!part)
            return no_memory(parse);
        if ((text = word_value(part, "model")))
            status = card_name(text) ? PACIFICA_OK : option_not_yet(parse, part);
        else if (word_value(part, "mac"))
            status = card_mac(parse, &nic, part);
        else
            status = netdev_property(parse, &netdev, part);
    }
    netdev.used = true;
    if (status == PACIFICA_OK)
        status = add_netdev(parse, &netdev);
    return status == PACIFICA_OK ? add_card(parse, &nic) : status;
}

bool net_device_option(struct parse *parse, const char *name, const char *rest,
                       enum pacifica_status *status)
{
    struct cli_nic nic = { 0 };
    if (!card_name(name) || strcmp(name, "virtio") == 0)
        return false;
    for (*status = PACIFICA_OK; rest && *status == PACIFICA_OK;) {
        const char *part = words_next(&parse->options->words, &rest);
        if (!part)
            *status = no_memory(parse);
        else if (word_value(part, "netdev"))
            nic.netdev = word_value(part, "netdev");
        else if (word_value(part, "mac"))
            *status = card_mac(parse, &nic, part);
        else if (!word_value(part, "id") && strcmp(part, "romfile=") != 0)
            *status = option_bad(parse, part, "no property of this device");
    }
    if (*status == PACIFICA_OK)
        *status = nic.netdev ? add_card(parse, &nic)
                             : option_bad(parse, name, "a network card without netdev=");
    return true;
}

/* --- when all are known ------------------------------------------------------------------------------------ */

static enum pacifica_status join(struct parse *parse, struct cli_nic *nic)
{
    struct cli_options *o = parse->options;
    for (unsigned i = 0; i < o->netdev_count; i++) {
        struct cli_netdev *netdev = &o->netdev[i];
        if (!netdev->id || strcmp(netdev->id, nic->netdev) != 0)
            continue;
        if (netdev->used)
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-device", NULL,
                            "network '%s' has a card already", netdev->id);
        netdev->used = true;
        nic->network = i;
        return PACIFICA_OK;
    }
    return diag_set(parse->diag, PACIFICA_EUSAGE, "-device", NULL, "no network '%s'", nic->netdev);
}

enum pacifica_status nets_check(struct parse *parse)
{
    struct cli_options *o = parse->options;
    enum pacifica_status status = PACIFICA_OK;
    for (unsigned i = 0; status == PACIFICA_OK && i < o->nic_count; i++)
        if (o->nic[i].netdev)
            status = join(parse, &o->nic[i]);
    for (unsigned i = 0; status == PACIFICA_OK && i < o->netdev_count; i++)
        if (!o->netdev[i].used)
            status = diag_set(parse->diag, PACIFICA_EUSAGE, "-netdev", NULL, "no -device uses '%s'",
                              o->netdev[i].id);
    return status;
}

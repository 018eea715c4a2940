/* Frames on their way to libslirp. It is code with a history of overflows and answers hostile guests; so it gets what it needs, and is
 * left without work that would make it hold memory without bound. */
#include "emu/cli/net.h"

#include <string.h>

#define TYPE_AT 12
#define TYPE_IP 0x0800u
#define TYPE_ARP 0x0806u
#define IP 14 /* where its header begins, and that of ARP */
#define IP_BYTES 20
#define UDP (IP + IP_BYTES)
#define DNS (UDP + 8)
#define DNS_BYTES 12
#define DNS_PORT 53u
#define PROTOCOL_UDP 17

static const uint8_t name_server[4] = { 10, 0, 2, 3 };

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* An address that one station can have; 0.0.0.0 is that of one which has none. */
static bool station(const uint8_t *ip)
{
    static const uint8_t none[4] = { 0 };
    return memcmp(ip, none, 4) == 0 || (ip[0] != 0 && ip[0] != 127 && ip[0] < 224);
}

/* CHOICE: fragments of IP packets are not taken: they would wait for the rest, half a minute and as many as the guest likes. */
bool net_frame_good(const uint8_t *frame, size_t size)
{
    if (size < NET_ARP_BYTES - 8 || (frame[6] & 1))
        return false;
    if (get16(frame + TYPE_AT) == TYPE_ARP)
        return size >= NET_ARP_BYTES && get16(frame + IP) == 1 &&
               get16(frame + IP + 2) == TYPE_IP && frame[IP + 4] == 6 && frame[IP + 5] == 4 &&
               station(frame + IP + 14);
    return get16(frame + TYPE_AT) == TYPE_IP && frame[IP] >> 4 == 4 &&
           (frame[IP] & 15) * 4u >= IP_BYTES && (get16(frame + IP + 6) & 0x3fff) == 0 &&
           station(frame + IP + 12);
}

/* So libslirp always knows whom to answer: answers to stations that it does not know would wait for them. */
size_t net_announcement(const uint8_t *frame, uint8_t to[NET_ARP_BYTES])
{
    static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 1 }; /* a request */
    const uint8_t *ip = frame + IP + 12;
    if (get16(frame + TYPE_AT) != TYPE_IP || ip[0] == 0)
        return 0;
    memset(to, 0xff, 6);
    memcpy(to + 6, frame + 6, 6);
    put16(to + TYPE_AT, TYPE_ARP);
    memcpy(to + IP, head, 8);
    memcpy(to + IP + 8, frame + 6, 6);
    memcpy(to + IP + 14, ip, 4);
    memset(to + IP + 18, 0, 6);
    memcpy(to + IP + 24, ip, 4);
    return NET_ARP_BYTES;
}

/* --- the name server that refuses ------------------------------------------------------------------- */

/* The bytes of a message up to its only question's end; 0: it is no question of one name. RFC 1035, 4.1. */
static size_t question_end(const uint8_t *message, size_t size)
{
    size_t at = DNS_BYTES;
    if (size < DNS_BYTES || (message[2] & 0x80) || get16(message + 4) != 1)
        return 0;
    while (at < size && message[at] != 0) {
        if (message[at] > 63)
            return 0;
        at += message[at] + 1u;
    }
    at += 1 + 4; /* the root, type and class */
    return at <= size ? at : 0;
}

static unsigned ip_checksum(const uint8_t *header)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < IP_BYTES; i += 2)
        sum += get16(header + i);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16)) & 0xffff;
}

size_t net_refusal(const uint8_t *frame, size_t size, uint8_t to[NET_REFUSAL_BYTES])
{
    if (size < DNS + DNS_BYTES || get16(frame + TYPE_AT) != TYPE_IP || frame[IP] != 0x45 ||
        frame[IP + 9] != PROTOCOL_UDP || memcmp(frame + IP + 16, name_server, 4) != 0 ||
        get16(frame + UDP + 2) != DNS_PORT || get16(frame + UDP + 4) < 8)
        return 0;
    size_t length = get16(frame + UDP + 4) - 8u, there = size - DNS;
    size_t end = question_end(frame + DNS, length < there ? length : there);
    if (end == 0 || DNS + end > NET_REFUSAL_BYTES)
        return 0;
    memcpy(to, frame + 6, 6);
    memcpy(to + 6, frame, 6);
    put16(to + TYPE_AT, TYPE_IP);
    memset(to + IP, 0, IP_BYTES + 8);
    to[IP] = 0x45;
    put16(to + IP + 2, (unsigned)(IP_BYTES + 8 + end));
    to[IP + 8] = 64;
    to[IP + 9] = PROTOCOL_UDP;
    memcpy(to + IP + 12, frame + IP + 16, 4);
    memcpy(to + IP + 16, frame + IP + 12, 4);
    put16(to + IP + 10, ip_checksum(to + IP));
    put16(to + UDP, DNS_PORT);
    put16(to + UDP + 2, get16(frame + UDP));
    put16(to + UDP + 4, (unsigned)(8 + end)); /* and no checksum: it may be left out */
    memcpy(to + DNS, frame + DNS, end);
    to[DNS + 2] |= 0x80; /* an answer */
    to[DNS + 3] = 5;     /* refused */
    memset(to + DNS + 6, 0, 6);
    return DNS + end;
}

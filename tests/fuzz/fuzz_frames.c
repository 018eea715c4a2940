/* Frames of a hostile guest on a user-mode network with nothing outside: what libslirp gets of them does it no harm, and what it sends
 * back are frames. The machine behind the card is this program. */
#include "emu/cli/net.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_LEAST 14u
#define FRAME_MOST 1518u
#define ANSWERS_MOST 4u /* to one frame: what waited, and an answer */

struct pacifica_machine {
    uint64_t now_ns;
    unsigned answers;
};

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

uint64_t pacifica_machine_time_ns(const struct pacifica_machine *machine)
{
    return machine->now_ns;
}

bool pacifica_machine_net_input(struct pacifica_machine *machine, unsigned nic, const void *frame,
                                size_t size)
{
    static const uint8_t gateway[3] = { 0x52, 0x55, 10 }; /* how all addresses inside begin */
    require(nic == 0 && size >= FRAME_LEAST && size <= FRAME_MOST);
    require(memcmp((const uint8_t *)frame + 6, gateway, sizeof(gateway)) == 0 ||
            ((const uint8_t *)frame)[12] == 8);
    machine->answers++;
    return true;
}

bool pacifica_machine_wants_frames(const struct pacifica_machine *machine, unsigned nic)
{
    (void)machine;
    (void)nic;
    return false;
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned checksum(const uint8_t *from, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += i & 1 ? from[i] : (unsigned)from[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

enum { MEND = 0x80, MEND_ARP = 0x01, MEND_LENGTH = 0x02, MEND_HEADER = 0x04, MEND_SERVICE = 0x08 };

#define IP 14
#define ABOVE 34 /* what is behind the header of IP */
#define DHCP 42
#define DHCP_COOKIE (DHCP + 236)

static void mend_arp(uint8_t *frame, unsigned how)
{
    static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
    memcpy(frame + IP, head, how & MEND_HEADER ? 8 : 6);
    if (how & MEND_SERVICE)
        memcpy(frame + 38, (const uint8_t[]){ 10, 0, 2 }, 3);
}

/* Requests that something inside answers. */
static void mend_service(uint8_t *frame, size_t size, unsigned kind)
{
    static const uint8_t cookie[7] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1 };
    static const uint16_t port[4] = { 53, 67, 69, 7 };
    frame[33] = kind & 1 ? 2 : 3;
    if (frame[23] == 1) {
        frame[ABOVE] = 8;
        put16(frame + ABOVE + 2, 0);
        put16(frame + ABOVE + 2, checksum(frame + ABOVE, size - ABOVE));
    } else if (frame[23] == 17) {
        put16(frame + ABOVE + 2, port[kind]);
        put16(frame + ABOVE + 4, (unsigned)(size - ABOVE));
        put16(frame + ABOVE + 6, 0);
        if (kind == 0 && size >= DHCP + 12)
            memcpy(frame + DHCP + 2, (const uint8_t[]){ 1, 0, 0, 1 }, 4);
        if (kind == 1 && size >= DHCP_COOKIE + 8) {
            frame[DHCP] = 1;
            memcpy(frame + DHCP_COOKIE, cookie, sizeof(cookie));
        }
    }
}

/* The parts that make the network look: without them nearly all input is lost at once. */
static void mend(uint8_t *frame, size_t size, unsigned how)
{
    static const uint8_t protocol[4] = { 1, 17, 6, 17 };
    unsigned kind = how >> 4 & 3;
    if (size < DHCP)
        return;
    frame[6] &= 0xfe;
    put16(frame + 12, how & MEND_ARP ? 0x0806 : 0x0800);
    if (how & MEND_ARP) {
        mend_arp(frame, how);
        return;
    }
    frame[IP] = (uint8_t)(0x40 | (how & MEND_HEADER ? 5 : frame[IP] & 15));
    frame[20] &= 0xc0;
    frame[21] = 0;
    if (how & MEND_LENGTH)
        put16(frame + 16, (unsigned)(size - IP));
    if (how & MEND_HEADER) {
        frame[23] = protocol[kind];
        memcpy(frame + 30, (const uint8_t[]){ 10, 0, 2 }, 3);
    }
    if (how & MEND_HEADER && how & MEND_SERVICE)
        mend_service(frame, size, frame[18] & 3);
    size_t header = (frame[IP] & 15u) * 4;
    put16(frame + 24, 0);
    if (IP + header <= size)
        put16(frame + 24, checksum(frame + IP, header));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pacifica_machine machine = { 0 };
    struct pacifica_machine *made = &machine;
    struct cli_options options = { .netdev_count = 1, .nic_count = 1 };
    struct pacifica_nic nic;
    struct nets *nets = calloc(1, sizeof(*nets));
    require(nets && nets_open(nets, &options, &made, &nic, NULL) == PACIFICA_OK);
    for (size_t at = 0; at + 4 <= size;) {
        uint8_t frame[FRAME_MOST] = { 0 };
        size_t wanted = (data[at] | (size_t)data[at + 1] << 8) % (FRAME_MOST + 1);
        size_t there = size - at - 4 < wanted ? size - at - 4 : wanted;
        unsigned how = data[at + 2];
        machine.now_ns += (uint64_t)data[at + 3] << 22;
        memcpy(frame, data + at + 4, there);
        at += 4 + there;
        if (how & MEND)
            mend(frame, wanted, how);
        machine.answers = 0;
        if (wanted >= FRAME_LEAST)
            nic.send(nic.self, frame, wanted);
        require(machine.answers <= ANSWERS_MOST);
    }
    require(!nets_busy(nets) && !nets_may_wake(nets));
    nets_look(nets);
    nets_close(nets);
    free(nets);
    return 0;
}

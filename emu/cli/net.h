/* Networks behind the guest's network cards: user-mode ones by libslirp, which are inside this process.
 *
 * The guest is 10.0.2.15, the gateway 10.0.2.2 and the name server 10.0.2.3. What the guest sends is answered while it sends, and
 * libslirp's clock is virtual time; so a network without anything outside is the same in every run. Sockets of
 * one that has are looked at between slices of the run. */
#ifndef EMU_CLI_NET_H
#define EMU_CLI_NET_H

#include "emu/cli/options.h"

#include <poll.h>

#define NET_SOCKETS 512 /* that are looked at */
#define NET_WAIT_MS 10

struct Slirp;

struct net {
    struct Slirp *slirp; /* NULL: there is none */
    struct pacifica_machine *const *machine;
    unsigned nic;
    bool outside;            /* it has to do with the workstation */
    bool refuses_names;      /* the name server says no, for nobody may be asked */
    unsigned forwards;       /* sockets that only listen */
    uint64_t tick_ns;        /* virtual time when libslirp last looked at its timers */
    uint64_t virtual_ns, ns; /* virtual and real time when the sockets were last looked at */
    unsigned sockets;
    struct pollfd socket[NET_SOCKETS];
};

struct nets {
    struct net net[CLI_NICS];
    unsigned count;
};

/* Make the networks of all cards; *machine has become the machine when it runs. `nics` receives what the library needs.
 * PACIFICA_EIO: a port of the workstation cannot be had; PACIFICA_ENOMEM. nets_close() is needed in any case. */
enum pacifica_status nets_open(struct nets *nets, const struct cli_options *options,
                               struct pacifica_machine *const *machine, struct pacifica_nic *nics,
                               struct pacifica_diag *diag);
void nets_close(struct nets *nets);

/* Look at the sockets, between slices. While some are connected, virtual time is kept from running far ahead of the workstation's:
 * the other side needs its time. */
void nets_look(struct nets *nets);

/* Is something going on outside, so that slices should be short? */
bool nets_busy(const struct nets *nets);

/* After STOP_HALTED: could a frame from outside wake the guest? If so, wait for it a moment. */
bool nets_may_wake(const struct nets *nets);
void nets_wait(struct nets *nets);

/* net_frames.c: is this frame of the guest one for libslirp? */
bool net_frame_good(const uint8_t *frame, size_t size);

/* net_frames.c: an ARP announcement of the sender of an IP packet: 0 bytes if it has no address yet. */
#define NET_ARP_BYTES 42
size_t net_announcement(const uint8_t *frame, uint8_t to[NET_ARP_BYTES]);

/* net_frames.c: the answer "refused" to a question to the name server. Returns its size; 0: it is none. */
#define NET_REFUSAL_BYTES 512
size_t net_refusal(const uint8_t *frame, size_t size, uint8_t to[NET_REFUSAL_BYTES]);

#endif

/* User-mode networks by libslirp. */
#include "emu/cli/net.h"

#include "emu/base/diag.h"

#include <errno.h>
#include <libslirp.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define TICK_NS UINT64_C(50000000)
#define SLIRP_CONFIG 3 /* the version of SlirpConfig that has what is set here */

static uint64_t virtual_ns(const struct net *net)
{
    return *net->machine ? pacifica_machine_time_ns(*net->machine) : 0;
}

static uint64_t real_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* libslirp writes to sockets whose peers may be gone. SIGPIPE is not for the run then, which it would end. */
struct quiet {
    sigset_t before;
    bool pending; /* it was there already */
};

static sigset_t pipe_signal(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

static void quiet_begin(struct quiet *quiet)
{
    const sigset_t set = pipe_signal();
    sigset_t pending;
    (void)pthread_sigmask(SIG_BLOCK, &set, &quiet->before);
    quiet->pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void quiet_end(const struct quiet *quiet)
{
    const sigset_t set = pipe_signal();
    const struct timespec at_once = { 0 };
    if (!quiet->pending)
        (void)sigtimedwait(&set, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

/* --- what libslirp calls ------------------------------------------------------------------------------ */

static ssize_t to_guest(const void *frame, size_t size, void *self)
{
    const struct net *net = self;
    (void)pacifica_machine_net_input(*net->machine, net->nic, frame, size);
    return (ssize_t)size; /* what finds no room is lost, as on a wire */
}

static void guest_error(const char *text, void *self)
{
    (void)text;
    (void)self;
}

static int64_t now(void *self)
{
    return (int64_t)virtual_ns(self);
}

/* Timers are for IPv6 only, which is off. */
static void *timer_new(SlirpTimerCb callback, void *for_it, void *self)
{
    (void)callback;
    (void)for_it;
    return self;
}

static void timer_free(void *timer, void *self)
{
    (void)timer;
    (void)self;
}

static void timer_mod(void *timer, int64_t when_ms, void *self)
{
    (void)timer;
    (void)when_ms;
    (void)self;
}

/* All sockets are asked for each time. */
static void socket_changed(int fd, void *self)
{
    (void)fd;
    (void)self;
}

static void notify(void *self)
{
    (void)self;
}

static const SlirpCb callbacks = {
    .send_packet = to_guest,
    .guest_error = guest_error,
    .clock_get_ns = now,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = socket_changed,
    .unregister_poll_fd = socket_changed,
    .notify = notify,
};

/* --- sockets --------------------------------------------------------------------------------------------- */

static const struct {
    int slirp;
    short poll;
} events[] = { { SLIRP_POLL_IN, POLLIN },
               { SLIRP_POLL_OUT, POLLOUT },
               { SLIRP_POLL_PRI, POLLPRI },
               { SLIRP_POLL_ERR, POLLERR },
               { SLIRP_POLL_HUP, POLLHUP } };
#define EVENTS (sizeof(events) / sizeof(events[0]))

static int add_socket(int fd, int wanted, void *self)
{
    struct net *net = self;
    if (net->sockets == NET_SOCKETS)
        return -1;
    struct pollfd *socket = &net->socket[net->sockets];
    *socket = (struct pollfd){ .fd = fd };
    for (size_t i = 0; i < EVENTS; i++)
        if (wanted & events[i].slirp)
            socket->events = (short)(socket->events | events[i].poll);
    return (int)net->sockets++;
}

static int socket_events(int index, void *self)
{
    const struct net *net = self;
    int got = 0;
    if (index < 0 || (unsigned)index >= net->sockets)
        return 0;
    for (size_t i = 0; i < EVENTS; i++)
        if (net->socket[index].revents & events[i].poll)
            got |= events[i].slirp;
    return got;
}

/* Look at the sockets and libslirp's timers. */
static void look(struct net *net, int wait_ms)
{
    uint32_t timeout = 0;
    net->tick_ns = virtual_ns(net);
    net->sockets = 0;
    slirp_pollfds_fill(net->slirp, &timeout, add_socket, net);
    int got = poll(net->socket, net->sockets, wait_ms);
    struct quiet quiet;
    quiet_begin(&quiet);
    slirp_pollfds_poll(net->slirp, got < 0, socket_events, net);
    quiet_end(&quiet);
}

static bool busy(const struct net *net)
{
    return net->outside && net->sockets > net->forwards;
}

bool nets_busy(const struct nets *nets)
{
    for (unsigned i = 0; i < nets->count; i++)
        if (busy(&nets->net[i]))
            return true;
    return false;
}

void nets_look(struct nets *nets)
{
    for (unsigned i = 0; i < nets->count; i++) {
        struct net *net = &nets->net[i];
        if (!net->outside)
            continue;
        uint64_t went = virtual_ns(net) - net->virtual_ns, took = real_ns() - net->ns;
        uint64_t ahead_ms = went > took ? (went - took) / 1000000 : 0;
        look(net, !busy(net) ? 0 : ahead_ms < NET_WAIT_MS ? (int)ahead_ms : NET_WAIT_MS);
        net->virtual_ns = virtual_ns(net);
        net->ns = real_ns();
    }
}

bool nets_may_wake(const struct nets *nets)
{
    for (unsigned i = 0; i < nets->count; i++) {
        const struct net *net = &nets->net[i];
        if (net->outside && pacifica_machine_wants_frames(*net->machine, net->nic))
            return true;
    }
    return false;
}

void nets_wait(struct nets *nets)
{
    for (unsigned i = 0; i < nets->count; i++)
        if (nets->net[i].outside)
            look(&nets->net[i], NET_WAIT_MS);
}

/* --- what the guest sends ---------------------------------------------------------------------------- */

/* Timers go on at times that the guest alone determines. */
static void from_guest(void *self, const void *frame, size_t size)
{
    struct net *net = self;
    uint8_t answer[NET_REFUSAL_BYTES], announcement[NET_ARP_BYTES];
    size_t answered = 0;
    if (!net_frame_good(frame, size))
        return;
    if (virtual_ns(net) - net->tick_ns >= TICK_NS)
        look(net, 0);
    if (net_announcement(frame, announcement))
        slirp_input(net->slirp, announcement, NET_ARP_BYTES);
    if (net->refuses_names)
        answered = net_refusal(frame, size, answer);
    if (answered) {
        (void)to_guest(answer, answered, net);
        return;
    }
    struct quiet quiet;
    if (net->outside)
        quiet_begin(&quiet);
    slirp_input(net->slirp, frame, (int)size);
    if (net->outside)
        quiet_end(&quiet);
}

/* --- making ------------------------------------------------------------------------------------------ */

static struct in_addr address(uint32_t number)
{
    return (struct in_addr){ .s_addr = htonl(number) };
}

static enum pacifica_status forward(struct net *net, const struct cli_forward *from,
                                    struct pacifica_diag *diag)
{
    char host[INET_ADDRSTRLEN] = "";
    struct in_addr at = address(from->host);
    if (slirp_add_hostfwd(net->slirp, from->udp, at, from->host_port, address(from->guest),
                          from->guest_port) < 0) {
        int error = errno;
        (void)inet_ntop(AF_INET, &at, host, sizeof(host));
        return diag_set(diag, PACIFICA_EIO, "hostfwd", NULL, "port %u of %s cannot be had: %s",
                        from->host_port, host, strerror(error));
    }
    net->forwards++;
    return PACIFICA_OK;
}

static enum pacifica_status open_net(struct net *net, const struct cli_netdev *from,
                                     struct pacifica_diag *diag)
{
    const SlirpConfig config = { .version = SLIRP_CONFIG,
                                 .restricted = !from->outside,
                                 .in_enabled = true,
                                 .vnetwork = address(0x0a000200),
                                 .vnetmask = address(0xffffff00),
                                 .vhost = address(0x0a000202),
                                 .vdhcp_start = address(0x0a00020f),
                                 .vnameserver = address(0x0a000203) };
    net->slirp = slirp_new(&config, &callbacks, net);
    if (!net->slirp)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a network");
    net->outside = from->outside || from->forward_count;
    net->refuses_names = !from->outside;
    net->ns = real_ns();
    for (unsigned i = 0; i < from->forward_count; i++) {
        enum pacifica_status status = forward(net, &from->forward[i], diag);
        if (status != PACIFICA_OK)
            return status;
    }
    return PACIFICA_OK;
}

enum pacifica_status nets_open(struct nets *nets, const struct cli_options *options,
                               struct pacifica_machine *const *machine, struct pacifica_nic *nics,
                               struct pacifica_diag *diag)
{
    for (unsigned i = 0; i < options->nic_count; i++) {
        const struct cli_nic *nic = &options->nic[i];
        struct net *net = &nets->net[nets->count++];
        net->machine = machine;
        net->nic = i;
        nics[i] = (struct pacifica_nic){ .send = from_guest, .self = net };
        memcpy(nics[i].mac, nic->mac, sizeof(nic->mac));
        enum pacifica_status status = open_net(net, &options->netdev[nic->network], diag);
        if (status != PACIFICA_OK)
            return status;
    }
    return PACIFICA_OK;
}

void nets_close(struct nets *nets)
{
    struct quiet quiet;
    quiet_begin(&quiet);
    for (unsigned i = 0; i < nets->count; i++)
        if (nets->net[i].slirp)
            slirp_cleanup(nets->net[i].slirp);
    quiet_end(&quiet);
    nets->count = 0;
}

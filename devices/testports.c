/* isa-debug-exit, isa-debugcon and port 80h. */
#include "devices/testports.h"

struct debug_exit {
    void (*written)(void *self, uint32_t value);
    void *self;
};

static uint32_t debug_exit_read(void *self, uint16_t port, unsigned size)
{
    (void)self;
    (void)port;
    (void)size;
    return 0;
}

static void debug_exit_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    const struct debug_exit *exit_port = self;
    (void)port;
    (void)size;
    if (exit_port->written)
        exit_port->written(exit_port->self, value);
}

static const struct dev_class dev_debug_exit = {
    .name = "isa-debug-exit",
    .port_size = 4,
    .state_size = sizeof(struct debug_exit),
    .port_read = debug_exit_read,
    .port_write = debug_exit_write,
};

struct debug_exit *debug_exit_add(struct bus *bus, uint32_t base, uint32_t count,
                                  void (*written)(void *self, uint32_t value), void *self)
{
    if (count < 1 || count > 4)
        return NULL;
    struct debug_exit *exit_port = bus_add(bus, &dev_debug_exit);
    if (!exit_port)
        return NULL;
    exit_port->written = written;
    exit_port->self = self;
    return bus_map_ports(bus, exit_port, base, count) ? exit_port : NULL;
}

struct debugcon {
    struct byte_sink output;
};

static uint32_t debugcon_read(void *self, uint16_t port, unsigned size)
{
    (void)self;
    (void)port;
    (void)size;
    return 0xe9;
}

static void debugcon_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    const struct debugcon *con = self;
    (void)port;
    (void)size;
    sink_put(&con->output, (uint8_t)value);
}

static const struct dev_class dev_debugcon = {
    .name = "isa-debugcon",
    .port_size = 1,
    .state_size = sizeof(struct debugcon),
    .port_read = debugcon_read,
    .port_write = debugcon_write,
};

struct debugcon *debugcon_add(struct bus *bus, uint32_t base, struct byte_sink output)
{
    struct debugcon *con = bus_add(bus, &dev_debugcon);
    if (!con)
        return NULL;
    con->output = output;
    return bus_map_ports(bus, con, base, 1) ? con : NULL;
}

struct post_port {
    uint8_t code;
};

static uint32_t post_read(void *self, uint16_t port, unsigned size)
{
    (void)port;
    (void)size;
    return post_port_code(self);
}

static void post_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct post_port *post = self;
    (void)port;
    (void)size;
    post->code = (uint8_t)value;
}

static void post_reset(void *self)
{
    struct post_port *post = self;
    post->code = 0;
}

static void post_state(void *self, struct snap *snap)
{
    struct post_port *post = self;
    SNAP(snap, post, code);
}

static const struct dev_class dev_post_port = {
    .name = "post",
    .ports = { { 0x80, 1 } },
    .port_size = 1,
    .access_ns = BUS_ACCESS_NS, /* programs write there to wait */
    .state_size = sizeof(struct post_port),
    .reset = post_reset,
    .port_read = post_read,
    .port_write = post_write,
    .state = post_state,
    .state_version = 1,
};

struct post_port *post_port_add(struct bus *bus)
{
    return bus_add(bus, &dev_post_port);
}

uint8_t post_port_code(const struct post_port *post)
{
    return post->code;
}

/* The small ports of test programs and firmware: isa-debug-exit, isa-debugcon, POST codes. */
#ifndef DEVICES_TESTPORTS_H
#define DEVICES_TESTPORTS_H

#include "devices/bus.h"
#include "devices/sink.h"

#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_PORTS 4
#define DEBUGCON_PORT 0x402
#define DEBUGCON_BOCHS_PORT 0xe9

struct debug_exit;
struct debugcon;
struct post_port;

/* isa-debug-exit at `count` ports (1 to 4) from `base`: a write tells its value; reads give 0. NULL: no room, a
 * port is taken, or the range makes no sense. */
struct debug_exit *debug_exit_add(struct bus *bus, uint32_t base, uint32_t count,
                                  void (*written)(void *self, uint32_t value), void *self);

/* isa-debugcon: bytes written go to `output`; reads give e9h, by which programs find it. */
struct debugcon *debugcon_add(struct bus *bus, uint32_t base, struct byte_sink output);

/* Port 80h: a latch that shows how far a program came. */
struct post_port *post_port_add(struct bus *bus);
uint8_t post_port_code(const struct post_port *post);

#endif

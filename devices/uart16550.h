/* UART 16550A. */
#ifndef DEVICES_UART16550_H
#define DEVICES_UART16550_H

#include "devices/bus.h"
#include "devices/sink.h"

struct uart;

/* Add a UART at 8 ports from `base`. NULL: no room or the ports are taken. */
struct uart *uart_add(struct bus *bus, uint16_t base, struct irq_line irq, struct byte_sink output);

/* Queue bytes that arrive on the line, one a character time of the programmed rate. Returns how many of
 * the `len` bytes found room; the caller keeps the rest. */
size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t len);

/* Would a byte that arrives raise an interrupt? */
bool uart_receive_interrupt(const struct uart *uart);

#endif

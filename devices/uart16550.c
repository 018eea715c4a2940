/* UART 16550A. National Semiconductor PC16550D data sheet, 8.0 "Registers".
 *
 * CHOICE: a character leaves the moment it is written, so THR is always empty again at once. The
 * alternative, one character time at the programmed rate, costs a polling guest some 87,000
 * instructions a character. Reception keeps character times, so that handlers see separate events.
 * CHOICE: the word length (LCR bits 1:0) counts for the time a character takes; its data are always 8 bits, so that
 * output before anybody programs the LCR (0 after reset: 5 bits) can be read.
 * CHOICE: the interrupt pin is not gated by MCR.OUT2, as in the machine we are compatible with; on a
 * PC board it is. */
#include "devices/uart16550.h"

#define UART_FIFO 16
#define UART_QUEUE 4096
#define UART_CLOCK_HZ 1843200u

#define IER_RX 0x01
#define IER_THRE 0x02
#define IER_LINE 0x04
#define IER_MODEM 0x08

#define IIR_NONE 0x01
#define IIR_MODEM 0x00
#define IIR_THRE 0x02
#define IIR_RX 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS 0xc0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04

#define LCR_DLAB 0x80

#define MCR_LOOP 0x10

#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_ERRORS 0x1e
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_LINES 0xf0
#define MSR_TERI 0x04
#define MSR_RI 0x40
#define MSR_CONNECTED 0xb0 /* DCD, DSR, CTS: somebody listens */

struct uart {
    uint16_t base;
    struct irq_line irq;
    struct byte_sink output;
    struct vclock *clock;
    struct deadline arrival; /* the next queued byte reaches the receiver */
    struct deadline timeout; /* the receive FIFO lay untouched for four character times */

    uint8_t ier, fcr, lcr, mcr, lsr, msr, scratch;
    uint16_t divisor;
    bool thre_pending, timed_out;

    uint8_t fifo[UART_FIFO];
    unsigned fifo_first, fifo_count;

    uint8_t queue[UART_QUEUE];
    unsigned queue_first, queue_count;
};

static bool fifo_enabled(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE;
}

static unsigned fifo_room(const struct uart *uart)
{
    return (fifo_enabled(uart) ? UART_FIFO : 1) - uart->fifo_count;
}

static unsigned fifo_trigger(const struct uart *uart)
{
    static const uint8_t level[4] = { 1, 4, 8, 14 };
    return fifo_enabled(uart) ? level[uart->fcr >> 6] : 1;
}

/* Start bit, 5 to 8 data bits, parity, 1 or 2 stop bits at 16 clocks a bit. Divisor 0 counts as 65536. */
static uint64_t char_ns(const struct uart *uart)
{
    unsigned bits = 1 + 5 + (uart->lcr & 3) + ((uart->lcr >> 3) & 1) + 1 + ((uart->lcr >> 2) & 1);
    uint64_t divisor = uart->divisor ? uart->divisor : 65536;
    return bits * divisor * 16 * 1000000000u / UART_CLOCK_HZ;
}

/* The identification of the highest enabled source. Data sheet, 8.6 "Interrupt Identification Register". */
static uint8_t uart_source(const struct uart *uart)
{
    if ((uart->ier & IER_LINE) && (uart->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((uart->ier & IER_RX) && uart->fifo_count >= fifo_trigger(uart))
        return IIR_RX;
    if ((uart->ier & IER_RX) && uart->timed_out)
        return IIR_TIMEOUT;
    if ((uart->ier & IER_THRE) && uart->thre_pending)
        return IIR_THRE;
    if ((uart->ier & IER_MODEM) && (uart->msr & 0x0f))
        return IIR_MODEM;
    return IIR_NONE;
}

static void uart_update(struct uart *uart)
{
    irq_set(&uart->irq, uart_source(uart) != IIR_NONE);
}

/* The timeout counts from the last byte that came or was read. */
static void timeout_restart(struct uart *uart)
{
    uart->timed_out = false;
    if (fifo_enabled(uart) && uart->fifo_count && (uart->ier & IER_RX))
        clock_arm(uart->clock, &uart->timeout, clock_now_ns(uart->clock) + 4 * char_ns(uart));
    else
        clock_cancel(uart->clock, &uart->timeout);
}

static void timeout_fire(void *self, uint64_t now_ns)
{
    struct uart *uart = self;
    (void)now_ns;
    uart->timed_out = uart->fifo_count != 0;
    uart_update(uart);
}

static void uart_receive(struct uart *uart, uint8_t byte)
{
    if (!fifo_room(uart)) {
        uart->lsr |= LSR_OE;
        if (!fifo_enabled(
                uart)) /* the new character overwrites RBR; a full FIFO keeps the old ones */
            uart->fifo[uart->fifo_first] = byte;
    } else {
        uart->fifo[(uart->fifo_first + uart->fifo_count++) % UART_FIFO] = byte;
    }
    uart->lsr |= LSR_DR;
    timeout_restart(uart);
    uart_update(uart);
}

/* Bytes wait on the line while the receiver is full or looped back: whoever types sees flow control. */
static void arrival_arm(struct uart *uart)
{
    if (uart->queue_count && fifo_room(uart) && !(uart->mcr & MCR_LOOP)) {
        if (!uart->arrival.queued)
            clock_arm(uart->clock, &uart->arrival, clock_now_ns(uart->clock) + char_ns(uart));
    } else {
        clock_cancel(uart->clock, &uart->arrival);
    }
}

static void arrival_fire(void *self, uint64_t now_ns)
{
    struct uart *uart = self;
    (void)now_ns;
    uint8_t byte = uart->queue[uart->queue_first];
    uart->queue_first = (uart->queue_first + 1) % UART_QUEUE;
    uart->queue_count--;
    uart_receive(uart, byte);
    arrival_arm(uart);
}

size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t len)
{
    size_t taken = 0;
    for (; taken < len && uart->queue_count < UART_QUEUE; taken++)
        uart->queue[(uart->queue_first + uart->queue_count++) % UART_QUEUE] = bytes[taken];
    arrival_arm(uart);
    return taken;
}

static void fifo_clear(struct uart *uart)
{
    uart->fifo_count = 0;
    uart->lsr &= (uint8_t) ~(LSR_DR | LSR_ERRORS);
    timeout_restart(uart);
}

static uint8_t read_rbr(struct uart *uart)
{
    uint8_t byte = uart->fifo[uart->fifo_first];
    if (uart->fifo_count) {
        uart->fifo_count--;
        if (fifo_enabled(uart))
            uart->fifo_first = (uart->fifo_first + 1) % UART_FIFO;
    }
    if (!uart->fifo_count)
        uart->lsr &= (uint8_t)~LSR_DR;
    timeout_restart(uart);
    arrival_arm(uart);
    uart_update(uart);
    return byte;
}

/* In loopback the four outputs drive the four inputs. Data sheet, 8.8 "Modem Control Register". */
static uint8_t modem_lines(const struct uart *uart)
{
    if (!(uart->mcr & MCR_LOOP))
        return MSR_CONNECTED;
    unsigned mcr = uart->mcr;
    return (uint8_t)((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4);
}

/* Delta bits: CTS, DSR, DCD on any change, RI on its trailing edge. */
static void modem_update(struct uart *uart)
{
    uint8_t lines = modem_lines(uart);
    uint8_t changed = (uart->msr ^ lines) & MSR_LINES;
    uint8_t delta = (changed >> 4) & 0x0b;
    if ((changed & MSR_RI) && !(lines & MSR_RI))
        delta |= MSR_TERI;
    uart->msr = lines | (uart->msr & 0x0f) | delta;
}

static uint32_t uart_read(void *self, uint16_t port, unsigned size)
{
    struct uart *uart = self;
    uint8_t value;
    (void)size;
    switch (port - uart->base) {
    case 0: return uart->lcr & LCR_DLAB ? uart->divisor & 0xff : read_rbr(uart);
    case 1: return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
    case 2:
        value = uart_source(uart);
        if (value == IIR_THRE) { /* reading it is what ends it */
            uart->thre_pending = false;
            uart_update(uart);
        }
        return value | (fifo_enabled(uart) ? IIR_FIFOS : 0);
    case 3: return uart->lcr;
    case 4: return uart->mcr;
    case 5:
        value = uart->lsr;
        uart->lsr &= (uint8_t)~LSR_ERRORS;
        uart_update(uart);
        return value;
    case 6:
        value = uart->msr;
        uart->msr &= MSR_LINES;
        uart_update(uart);
        return value;
    default: return uart->scratch;
    }
}

static void write_thr(struct uart *uart, uint8_t value)
{
    uart->thre_pending = false;
    uart_update(uart);
    if (uart->mcr & MCR_LOOP)
        uart_receive(uart, value);
    else
        sink_put(&uart->output, value);
    uart->thre_pending = true;
}

static void write_ier(struct uart *uart, uint8_t value)
{
    if ((value & IER_THRE) && !(uart->ier & IER_THRE))
        uart->thre_pending = true; /* enabling with THR empty interrupts at once */
    bool rx_enabled = (value & IER_RX) && !(uart->ier & IER_RX);
    uart->ier = value & 0x0f;
    if (rx_enabled || !(value & IER_RX))
        timeout_restart(uart);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    if ((value ^ uart->fcr) & FCR_ENABLE)
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    if (!(value & FCR_ENABLE))
        value &= FCR_CLEAR_RX | FCR_CLEAR_TX; /* the other bits need the FIFOs enabled */
    uart->fcr = value & 0xc9;
    if (value & FCR_CLEAR_RX)
        fifo_clear(uart);
    arrival_arm(uart);
}

static void uart_write(void *self, uint16_t port, unsigned size, uint32_t wide)
{
    struct uart *uart = self;
    uint8_t value = (uint8_t)wide;
    (void)size;
    switch (port - uart->base) {
    case 0:
        if (uart->lcr & LCR_DLAB)
            uart->divisor = (uart->divisor & 0xff00) | value;
        else
            write_thr(uart, value);
        break;
    case 1:
        if (uart->lcr & LCR_DLAB)
            uart->divisor = (uint16_t)(value << 8 | (uart->divisor & 0xff));
        else
            write_ier(uart, value);
        break;
    case 2: write_fcr(uart, value); break;
    case 3: uart->lcr = value; break;
    case 4:
        uart->mcr = value & 0x1f;
        modem_update(uart);
        arrival_arm(uart);
        break;
    case 7: uart->scratch = value; break;
    default: /* LSR and MSR are read-only in use */ break;
    }
    uart_update(uart);
}

static void uart_reset(void *self)
{
    struct uart *uart = self;
    clock_cancel(uart->clock, &uart->arrival);
    clock_cancel(uart->clock, &uart->timeout);
    uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scratch = 0;
    uart->lsr = LSR_THRE | LSR_TEMT;
    uart->msr = MSR_CONNECTED;
    uart->divisor = 12; /* 9600 baud; the data sheet leaves it undefined */
    uart->thre_pending = uart->timed_out = false;
    uart->fifo_first = uart->fifo_count = 0;
    uart_update(uart);
    arrival_arm(uart);
}

static void uart_fini(void *self)
{
    struct uart *uart = self;
    clock_cancel(uart->clock, &uart->arrival);
    clock_cancel(uart->clock, &uart->timeout);
}

/* What FCR, LCR and the FIFO say must agree with what was queued. */
static void uart_check(struct uart *uart, struct snap *snap)
{
    if (uart->fifo_count > 1 && !fifo_enabled(uart)) {
        snap_refuse(snap, "fifo_count");
        uart->fifo_count = 0;
    }
    bool comes = uart->queue_count && fifo_room(uart) && !(uart->mcr & MCR_LOOP);
    if (uart->arrival.queued && !comes) {
        snap_refuse(snap, "arrival");
        clock_cancel(uart->clock, &uart->arrival);
    }
}

/* RBR shows what lies in the FIFO's next place, be it there or gone. */
static void uart_state(void *self, struct snap *snap)
{
    struct uart *uart = self;
    SNAP(snap, uart, ier);
    SNAP(snap, uart, fcr);
    SNAP(snap, uart, lcr);
    SNAP(snap, uart, mcr);
    SNAP(snap, uart, lsr);
    SNAP(snap, uart, msr);
    SNAP(snap, uart, scratch);
    SNAP(snap, uart, divisor);
    SNAP(snap, uart, thre_pending);
    SNAP(snap, uart, timed_out);
    SNAP_ALL(snap, uart, fifo);
    SNAP_BELOW(snap, uart, fifo_first, UART_FIFO);
    SNAP_BELOW(snap, uart, fifo_count, UART_FIFO + 1);
    snap_ring(snap, "queue", uart->queue, UART_QUEUE, &uart->queue_first, &uart->queue_count);
    snap_deadline(snap, "arrival", uart->clock, &uart->arrival);
    snap_deadline(snap, "timeout", uart->clock, &uart->timeout);
    if (snap_loading(snap))
        uart_check(uart, snap);
}

static const struct dev_class dev_uart16550 = {
    .name = "uart16550",
    .port_size = 1,
    .state_size = sizeof(struct uart),
    .reset = uart_reset,
    .fini = uart_fini,
    .port_read = uart_read,
    .port_write = uart_write,
    .state = uart_state,
    .state_version = 1,
};

struct uart *uart_add(struct bus *bus, uint16_t base, struct irq_line irq, struct byte_sink output)
{
    struct uart *uart = bus_add(bus, &dev_uart16550);
    if (!uart)
        return NULL;
    uart->base = base;
    uart->irq = irq;
    uart->output = output;
    uart->clock = bus_clock(bus);
    uart->arrival = (struct deadline){ .fire = arrival_fire, .self = uart };
    uart->timeout = (struct deadline){ .fire = timeout_fire, .self = uart };
    uart_reset(uart);
    return bus_map_ports(bus, uart, base, 8) ? uart : NULL;
}

bool uart_receive_interrupt(const struct uart *uart)
{
    return uart->ier & IER_RX;
}

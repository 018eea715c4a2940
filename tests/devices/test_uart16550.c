/* UART 16550A. */
#include "tests/devices/kit.h"

#include "devices/uart16550.h"

#define COM1 0x3f8
#define RBR COM1
#define THR COM1
#define IER (COM1 + 1)
#define IIR (COM1 + 2)
#define FCR (COM1 + 2)
#define LCR (COM1 + 3)
#define MCR (COM1 + 4)
#define LSR (COM1 + 5)
#define MSR (COM1 + 6)
#define SCR (COM1 + 7)
/* 115200 baud, 8n1: ten bits of 16 clocks of 1.8432 MHz */
#define CHAR_NS 86805u

struct serial {
    struct kit kit;
    struct kit_line irq;
    struct kit_text out;
    struct uart *uart;
};

static void serial_open(struct serial *s)
{
    memset(s, 0, sizeof(*s));
    kit_open(&s->kit);
    s->uart = uart_add(s->kit.bus, COM1, kit_line_to(&s->irq),
                       (struct byte_sink){ kit_text_put, &s->out });
    ck_assert_ptr_nonnull(s->uart);
    kit_out(&s->kit, LCR, 0x83);
    kit_out(&s->kit, COM1, 1);
    kit_out(&s->kit, IER, 0);
    kit_out(&s->kit, LCR, 0x03);
}

static void type(struct serial *s, const char *text)
{
    ck_assert_uint_eq(uart_input(s->uart, (const uint8_t *)text, strlen(text)), strlen(text));
}

START_TEST(uart_reset_values)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, IER, 0x0f);
    kit_out(&s.kit, SCR, 0x5a);
    bus_reset(s.kit.bus);
    ck_assert_uint_eq(kit_in(&s.kit, IER), 0);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x01);
    ck_assert_uint_eq(kit_in(&s.kit, LCR), 0);
    ck_assert_uint_eq(kit_in(&s.kit, MCR), 0);
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x60);
    ck_assert_uint_eq(kit_in(&s.kit, MSR), 0xb0);
    ck_assert_uint_eq(kit_in(&s.kit, SCR), 0);
    ck_assert(!s.irq.level);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_dlab_selects_the_divisor)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, LCR, 0x83);
    kit_out(&s.kit, COM1, 0x34);
    kit_out(&s.kit, IER, 0x12);
    ck_assert_uint_eq(kit_in(&s.kit, COM1), 0x34);
    ck_assert_uint_eq(kit_in(&s.kit, IER), 0x12);
    kit_out(&s.kit, LCR, 0x03);
    ck_assert_uint_eq(kit_in(&s.kit, IER), 0); /* untouched */
    ck_assert_uint_eq(s.out.len, 0);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_transmits_at_once)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, THR, 'h');
    kit_out(&s.kit, THR, 'i');
    ck_assert_uint_eq(s.out.len, 2);
    ck_assert_mem_eq(s.out.bytes, "hi", 2);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 0x60, 0x60);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_thre_interrupts_when_enabled_and_after_each_byte)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, IER, 0x02);
    ck_assert(s.irq.level);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x02);
    ck_assert(!s.irq.level); /* reading the IIR ended it */
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x01);
    kit_out(&s.kit, THR, 'x');
    ck_assert(s.irq.level);
    kit_out(&s.kit, THR, 'y'); /* written while pending: a new edge */
    ck_assert_uint_eq(s.irq.rises, 3);
    kit_out(&s.kit, IER, 0);
    ck_assert(!s.irq.level);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_receives_after_a_character_time)
{
    struct serial s;
    serial_open(&s);
    type(&s, "a");
    kit_pass(&s.kit, CHAR_NS - 1);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 1, 0);
    kit_pass(&s.kit, 1);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 1, 1);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'a');
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 1, 0);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_character_time_follows_lcr_and_divisor)
{
    static const struct {
        uint8_t lcr;
        uint16_t divisor;
        uint64_t ns;
    } row[] = {
        { 0x00, 1, 7ull * 16 * 1000000000 / 1843200 },   /* 5 bits, 1 stop */
        { 0x1f, 1, 12ull * 16 * 1000000000 / 1843200 },  /* 8 bits, parity, 2 stop */
        { 0x03, 12, 120ull * 16 * 1000000000 / 1843200 } /* 9600 baud */
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct serial s;
        serial_open(&s);
        kit_out(&s.kit, LCR, 0x80);
        kit_out(&s.kit, COM1, (uint8_t)row[i].divisor);
        kit_out(&s.kit, IER, 0);
        kit_out(&s.kit, LCR, row[i].lcr);
        type(&s, "z");
        kit_pass(&s.kit, row[i].ns - 1);
        ck_assert_uint_eq(kit_in(&s.kit, LSR) & 1, 0);
        kit_pass(&s.kit, 1);
        ck_assert_uint_eq(kit_in(&s.kit, LSR) & 1, 1);
        kit_close(&s.kit);
    }
}
END_TEST

START_TEST(uart_without_fifo_the_line_waits_for_the_reader)
{
    struct serial s;
    serial_open(&s);
    type(&s, "ab");
    kit_pass(&s.kit, 100 * CHAR_NS);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 3, 1); /* no overrun */
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'a');
    kit_pass(&s.kit, CHAR_NS);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'b');
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_fifo_trigger_levels)
{
    static const struct {
        uint8_t fcr;
        unsigned level;
    } row[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };
    for (size_t i = 0; i < 4; i++) {
        struct serial s;
        serial_open(&s);
        kit_out(&s.kit, FCR, row[i].fcr);
        kit_out(&s.kit, IER, 0x01);
        type(&s, "0123456789abcdef");
        kit_pass(&s.kit, row[i].level * CHAR_NS - 1);
        ck_assert(!s.irq.level);
        kit_pass(&s.kit, 1);
        ck_assert(s.irq.level);
        ck_assert_uint_eq(kit_in(&s.kit, IIR), 0xc4);
        (void)kit_in(&s.kit, RBR); /* below the trigger again */
        ck_assert(!s.irq.level);
        kit_close(&s.kit);
    }
}
END_TEST

START_TEST(uart_fifo_timeout_after_four_characters_of_silence)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, FCR, 0x81);
    kit_out(&s.kit, IER, 0x01);
    type(&s, "ab");
    kit_pass(&s.kit, 6 * CHAR_NS - 1);
    ck_assert(!s.irq.level);
    kit_pass(&s.kit, 1);
    ck_assert(s.irq.level);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0xcc);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'a'); /* a read ends it and starts it again */
    ck_assert(!s.irq.level);
    kit_pass(&s.kit, 4 * CHAR_NS);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0xcc);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'b');
    kit_pass(&s.kit, 100 * CHAR_NS);
    ck_assert(!s.irq.level); /* empty: nothing to time out */
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_fifo_keeps_sixteen_and_the_line_waits)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, FCR, 0x01);
    type(&s, "0123456789abcdefg");
    kit_pass(&s.kit, 100 * CHAR_NS);
    for (const char *c = "0123456789abcdef"; *c; c++)
        ck_assert_uint_eq(kit_in(&s.kit, RBR), *c);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 3, 0);
    kit_pass(&s.kit, CHAR_NS);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'g');
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_fcr_clears_and_switches)
{
    struct serial s;
    serial_open(&s);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x01);
    kit_out(&s.kit, FCR, 0x01);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0xc1);
    type(&s, "ab");
    kit_pass(&s.kit, 2 * CHAR_NS);
    kit_out(&s.kit, FCR, 0x03);
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x60);
    type(&s, "c");
    kit_pass(&s.kit, CHAR_NS);
    kit_out(&s.kit, FCR, 0x00); /* a change of the enable bit clears too */
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x60);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x01);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_loopback_turns_output_into_input)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, MCR, 0x10);
    kit_out(&s.kit, THR, 0xc3);
    ck_assert_uint_eq(s.out.len, 0);
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x61);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 0xc3);
    type(&s, "w"); /* the line is cut off */
    kit_pass(&s.kit, 10 * CHAR_NS);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 1, 0);
    kit_out(&s.kit, MCR, 0x00);
    kit_pass(&s.kit, CHAR_NS);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 'w');
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_loopback_overrun)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, IER, 0x05);
    kit_out(&s.kit, MCR, 0x10);
    kit_out(&s.kit, THR, 1);
    kit_out(&s.kit, THR, 2);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x06); /* above received data */
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x63);
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x61); /* reading clears the error */
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x04);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 2); /* RBR is overwritten */
    kit_out(&s.kit, FCR, 0x01);
    for (uint8_t i = 0; i < 17; i++)
        kit_out(&s.kit, THR, i);
    ck_assert_uint_eq(kit_in(&s.kit, LSR) & 2, 2);
    ck_assert_uint_eq(kit_in(&s.kit, RBR), 0); /* the FIFO keeps the old ones */
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_loopback_modem_lines_and_deltas)
{
    static const struct {
        uint8_t mcr, msr;
    } row[] = { { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 }, { 0x1f, 0xf0 } };
    struct serial s;
    serial_open(&s);
    for (size_t i = 0; i < 5; i++) {
        kit_out(&s.kit, MCR, row[i].mcr);
        ck_assert_uint_eq(kit_in(&s.kit, MSR) & 0xf0, row[i].msr);
    }
    kit_out(&s.kit, MCR, 0x10);
    ck_assert_uint_eq(kit_in(&s.kit, MSR), 0x0f); /* all fell, RI too */
    ck_assert_uint_eq(kit_in(&s.kit, MSR), 0x00);
    kit_out(&s.kit, MCR, 0x14);
    ck_assert_uint_eq(kit_in(&s.kit, MSR), 0x40); /* RI counts its trailing edge only */
    kit_out(&s.kit, IER, 0x08);
    kit_out(&s.kit, MCR, 0x16);
    ck_assert(s.irq.level);
    ck_assert_uint_eq(kit_in(&s.kit, IIR), 0x00);
    ck_assert_uint_eq(kit_in(&s.kit, MSR), 0x51);
    ck_assert(!s.irq.level);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_input_queue_has_an_end)
{
    static uint8_t much[5000];
    struct serial s;
    serial_open(&s);
    ck_assert_uint_eq(uart_input(s.uart, much, sizeof(much)), 4096);
    ck_assert_uint_eq(uart_input(s.uart, much, 1), 0);
    kit_pass(&s.kit, CHAR_NS);
    ck_assert_uint_eq(uart_input(s.uart, much, 2), 1);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_reserved_bits_read_zero)
{
    struct serial s;
    serial_open(&s);
    kit_out(&s.kit, IER, 0xf0);
    ck_assert_uint_eq(kit_in(&s.kit, IER), 0);
    kit_out(&s.kit, MCR, 0xe0);
    ck_assert_uint_eq(kit_in(&s.kit, MCR), 0);
    kit_out(&s.kit, SCR, 0xa7);
    ck_assert_uint_eq(kit_in(&s.kit, SCR), 0xa7);
    kit_out(&s.kit, LSR, 0); /* read-only */
    ck_assert_uint_eq(kit_in(&s.kit, LSR), 0x60);
    kit_close(&s.kit);
}
END_TEST

START_TEST(uart_taken_ports_are_refused)
{
    struct serial s;
    serial_open(&s);
    ck_assert_ptr_null(
        uart_add(s.kit.bus, COM1 + 7, (struct irq_line){ 0 }, (struct byte_sink){ 0 }));
    ck_assert_ptr_nonnull(
        uart_add(s.kit.bus, 0x2f8, (struct irq_line){ 0 }, (struct byte_sink){ 0 }));
    kit_out(&s.kit, 0x2f8, 'x'); /* no sink: thrown away */
    ck_assert_uint_eq(s.out.len, 0);
    kit_close(&s.kit);
}
END_TEST

CHECK_MAIN("uart16550", uart_reset_values, uart_dlab_selects_the_divisor, uart_transmits_at_once,
           uart_thre_interrupts_when_enabled_and_after_each_byte,
           uart_receives_after_a_character_time, uart_character_time_follows_lcr_and_divisor,
           uart_without_fifo_the_line_waits_for_the_reader, uart_fifo_trigger_levels,
           uart_fifo_timeout_after_four_characters_of_silence,
           uart_fifo_keeps_sixteen_and_the_line_waits, uart_fcr_clears_and_switches,
           uart_loopback_turns_output_into_input, uart_loopback_overrun,
           uart_loopback_modem_lines_and_deltas, uart_input_queue_has_an_end,
           uart_reserved_bits_read_zero, uart_taken_ports_are_refused)

/* serial.c: rom_printf() to the UART at COM1, by polling. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define COM1 0x3f8
#define UART_LSR 5
#define UART_LSR_THRE 0x20

static void uart_put(char c)
{
    while ((inb(COM1 + UART_LSR) & UART_LSR_THRE) == 0)
        ;
    outb(COM1, (uint8_t)c);
}

void rom_putchar(char c)
{
    uart_put(c);
}

static void put_padded(const char *s, size_t length, size_t width, bool left, char pad)
{
    size_t fill = width > length ? width - length : 0;

    for (size_t i = 0; !left && i < fill; i++)
        uart_put(pad);
    for (size_t i = 0; i < length; i++)
        uart_put(s[i]);
    for (size_t i = 0; left && i < fill; i++)
        uart_put(' ');
}

static void put_number(uint64_t value, bool negative, unsigned base, size_t width, bool left,
                       char pad)
{
    char digits[24];
    size_t i = sizeof digits;

    do {
        digits[--i] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative)
        digits[--i] = '-';
    put_padded(digits + i, sizeof digits - i, width, left, pad);
}

void rom_vprintf(const char *format, va_list args)
{
    for (const char *p = format; *p != '\0'; p++) {
        bool left = false;
        char pad = ' ';
        size_t width = 0;
        unsigned longs = 0;

        if (*p != '%') {
            uart_put(*p);
            continue;
        }
        for (p++; *p == '-' || *p == '0'; p++) {
            left = left || *p == '-';
            pad = *p == '0' ? '0' : pad;
        }
        for (; *p >= '0' && *p <= '9'; p++)
            width = width * 10 + (size_t)(*p - '0');
        for (; *p == 'l'; p++)
            longs++;
        switch (*p) {
        case 'c': uart_put((char)va_arg(args, int)); break;
        case 's': {
            const char *s = va_arg(args, const char *);
            size_t length = 0;

            while (s[length] != '\0')
                length++;
            put_padded(s, length, width, left, ' ');
            break;
        }
        case 'd': {
            int64_t v = longs != 0 ? va_arg(args, long) : va_arg(args, int);

            put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 10, width, left, pad);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t v = longs != 0 ? va_arg(args, unsigned long) : va_arg(args, unsigned);

            put_number(v, false, *p == 'u' ? 10 : 16, width, left, pad);
            break;
        }
        case 'p': put_number((uintptr_t)va_arg(args, void *), false, 16, width, left, pad); break;
        case '\0': return;
        default: uart_put(*p); break;
        }
    }
}

void rom_printf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    rom_vprintf(format, args);
    va_end(args);
}

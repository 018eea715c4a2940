/* rom.h: start and end of a ROM, its command line, its output. */
#ifndef TEST_ROMS_LIB_ROM_H
#define TEST_ROMS_LIB_ROM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every ROM defines this. Interrupts are off, the PICs masked, all vectors have a gate. If it
 * returns, the value is given to rom_exit(). */
int rom_main(void);

/* End the program through isa-debug-exit at port 0xf4.
 * value  0-127; the emulator's exit status is (value << 1) | 1 */
_Noreturn void rom_exit(int value);

/* Print to COM1. Knows %c %s %d %u %x %p, the lengths l and ll, a field width, 0 and -; and %%. */
void rom_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void rom_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
void rom_putchar(char c);

/* The value of `key=value` on the command line as a number (decimal, or 0x...), or fallback. */
uint64_t rom_arg(const char *key, uint64_t fallback);

/* Zeroed pages of 4 KiB from a pool inside the image, never given back. Ends the program with a
 * message when the pool is empty.
 * count  number of consecutive pages, aligned to 4 KiB */
void *rom_pages(size_t count);

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
void *memmove(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif

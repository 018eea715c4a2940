/* rom.c: what happens between boot.S and rom_main(), and the services of rom.h. */
#include "test-roms/lib/rom.h"

#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/trap.h"

#define DEBUG_EXIT_PORT 0xf4
#define POOL_PAGES 1024
#define PAGE_BYTES 4096
#define MULTIBOOT_HAS_CMDLINE 0x4
#define MULTIBOOT_CMDLINE 16

extern uint32_t rom_multiboot_info;
extern uint8_t rom_low_start[], rom_low_end[], rom_low_load[];
void rom_start(void);

static uint8_t pool[POOL_PAGES][PAGE_BYTES] __attribute__((aligned(4096)));
static size_t pool_used;

_Noreturn void rom_exit(int value)
{
    outl(DEBUG_EXIT_PORT, (uint32_t)value);
    rom_printf("# no isa-debug-exit device at port 0xf4: halting\n");
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

void *rom_pages(size_t count)
{
    void *first = pool[pool_used];

    if (count > POOL_PAGES - pool_used) {
        rom_printf("Bail out! the page pool is empty\n");
        rom_exit(1);
    }
    pool_used += count;
    return first;
}

static const char *command_line(void)
{
    const uint8_t *info = (const uint8_t *)(uintptr_t)rom_multiboot_info;

    if (info == NULL || (*(const uint32_t *)info & MULTIBOOT_HAS_CMDLINE) == 0)
        return "";
    return (const char *)(uintptr_t) * (const uint32_t *)(info + MULTIBOOT_CMDLINE);
}

static uint64_t parse_number(const char *s)
{
    uint64_t value = 0;
    unsigned base = 10;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    for (;; s++) {
        unsigned digit;

        if (*s >= '0' && *s <= '9')
            digit = (unsigned)(*s - '0');
        else if ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
            digit = (unsigned)((*s | 0x20) - 'a') + 10;
        else
            break;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    return value;
}

uint64_t rom_arg(const char *key, uint64_t fallback)
{
    const char *s = command_line();

    while (*s != '\0') {
        size_t i = 0;

        while (*s == ' ')
            s++;
        while (key[i] != '\0' && s[i] == key[i])
            i++;
        if (key[i] == '\0' && s[i] == '=')
            return parse_number(s + i + 1);
        while (*s != '\0' && *s != ' ')
            s++;
    }
    return fallback;
}

void rom_start(void)
{
    memcpy(rom_low_start, rom_low_load, (size_t)(rom_low_end - rom_low_start));
    pic_mask_all();
    trap_init();
    rom_exit(rom_main());
}

void *memcpy(void *dst, const void *src, size_t n)
{
    uint8_t *d = dst;
    const uint8_t *s = src;

    while (n-- != 0)
        *d++ = *s++;
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    uint8_t *d = dst;
    const uint8_t *s = src;

    if (d <= s)
        return memcpy(dst, src, n);
    while (n-- != 0)
        d[n] = s[n];
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    uint8_t *d = dst;

    while (n-- != 0)
        *d++ = (uint8_t)c;
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

/* pc.c: see pc.h. */
#include "test-roms/chipset/pc.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define PM_TIMER 8
#define PM_TIMER_BITS 0xffffffu

uint32_t inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

uint16_t inw(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static uint16_t address(unsigned devfn, unsigned offset)
{
    outl(CONFIG_ADDRESS, 0x80000000u | devfn << 8 | (offset & 0xfc));
    return (uint16_t)(CONFIG_DATA + (offset & 3));
}

uint32_t config_read(unsigned devfn, unsigned offset, unsigned size)
{
    uint16_t port = address(devfn, offset);

    return size == 4 ? inl(port) : size == 2 ? inw(port) : inb(port);
}

void config_write(unsigned devfn, unsigned offset, unsigned size, uint32_t value)
{
    uint16_t port = address(devfn, offset);

    if (size == 4)
        outl(port, value);
    else if (size == 2)
        outw(port, (uint16_t)value);
    else
        outb(port, (uint8_t)value);
}

void require_440fx(void)
{
    if (config_read(HOST_BRIDGE, 0, 4) == 0x12378086 &&
        config_read(ISA_BRIDGE, 0, 4) == 0x70008086 && config_read(POWER, 0, 4) == 0x71138086)
        return;
    rom_printf("# no 440FX with PIIX: everything is skipped\n1..0\n");
    rom_exit(0);
}

uint16_t pm_base(void)
{
    return config_read(POWER, 0x40, 2) & 0xffc0;
}

uint32_t pm_passed(void)
{
    static uint32_t before;
    uint32_t now = inl((uint16_t)(pm_base() + PM_TIMER));
    uint32_t passed = (now - before) & PM_TIMER_BITS;

    before = now;
    return passed;
}

uint32_t pm_wait(uint32_t ticks)
{
    uint16_t port = (uint16_t)(pm_base() + PM_TIMER);
    uint32_t begin = inl(port), passed;

    do
        passed = (inl(port) - begin) & PM_TIMER_BITS;
    while (passed < ticks);
    return passed;
}

bool about(uint64_t got, uint64_t want, uint64_t slack)
{
    uint64_t low = want - want / 100, high = want + want / 100 + slack;
    bool right = got + slack >= low && got <= high;

    if (!right)
        rom_printf("#   %lu, want about %lu\n", got, want);
    return right;
}

/* kit.c: see kit.h. */
#include "test-roms/disk/kit.h"

#include "test-roms/lib/cpu.h"

#define TURNS 1000000u

bool disk_holds(const void *from, uint64_t offset, size_t bytes)
{
    const volatile uint32_t *word = from;

    for (size_t i = 0; i < bytes / 4; i++)
        if (word[i] != (uint32_t)(offset / 4 + i))
            return false;
    return true;
}

static uint32_t other(size_t number, uint32_t salt)
{
    return 0x80000000u | ((uint32_t)number * 0x9e3779b1u ^ salt);
}

void disk_fill(void *to, size_t bytes, uint32_t salt)
{
    volatile uint32_t *word = to;

    for (size_t i = 0; i < bytes / 4; i++)
        word[i] = other(i, salt);
}

bool disk_filled(const void *from, size_t bytes, uint32_t salt)
{
    const volatile uint32_t *word = from;

    for (size_t i = 0; i < bytes / 4; i++)
        if (word[i] != other(i, salt))
            return false;
    return true;
}

bool disk_patience(unsigned *turns)
{
    cpu_pause();
    return ++*turns < TURNS;
}

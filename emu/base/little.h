/* Little-endian numbers of 1 to 8 bytes in memory, whatever the workstation is. */
#ifndef EMU_BASE_LITTLE_H
#define EMU_BASE_LITTLE_H

#include <stdint.h>

static inline uint64_t little_get(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static inline void little_put(uint8_t *bytes, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

#endif

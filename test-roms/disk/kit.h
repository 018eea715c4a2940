/* kit.h: what a disk of a `disk` line holds, and waiting for it. */
#ifndef TEST_ROMS_DISK_KIT_H
#define TEST_ROMS_DISK_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Do `bytes` at `from` hold what the disk has from byte `offset` on: 32-bit words that are their own numbers? */
bool disk_holds(const void *from, uint64_t offset, size_t bytes);

/* Fill with something that no such disk has. */
void disk_fill(void *to, size_t bytes, uint32_t salt);
bool disk_filled(const void *from, size_t bytes, uint32_t salt);

/* Let a device work for a moment, in a loop that must not last for ever: true while there is patience left. */
bool disk_patience(unsigned *turns);

#endif

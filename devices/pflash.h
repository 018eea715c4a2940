/* Flash memory for firmware and its variables. */
#ifndef DEVICES_PFLASH_H
#define DEVICES_PFLASH_H

#include "devices/block.h"

#define PFLASH_SECTOR 4096u /* what is erased at once */

struct pflash;

/* Add flash memory of all bytes of `block`, which is borrowed, at spa. It holds them from now on, and what is programmed
 * is written to the block. NULL: without memory, if the block cannot be read or has no whole number of PFLASH_SECTOR,
 * or if RAM or a ROM is there. */
struct pflash *pflash_add(struct bus *bus, uint64_t spa, struct block *block);

#endif

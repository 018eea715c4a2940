/* The state hash: one number for everything the architecture defines.
 *
 * It is made of what machine_state() names, and of RAM and ROM. A page of zeros counts as one that was never touched. */
#include "emu/machine/machine.h"

#include <string.h>
#include <xxhash.h>

#define PAGE_BYTES 4096

static void add(void *self, const void *bytes, size_t size)
{
    (void)XXH3_64bits_update(self, bytes, size);
}

static void add_memory(XXH3_state_t *hash, const struct memory *memory)
{
    static const uint8_t zeros[PAGE_BYTES];
    for (uint64_t page = 0; page < memory_page_count(memory); page++) {
        const uint8_t *bytes = memory_page_ptr(memory, page);
        if (memcmp(bytes, zeros, PAGE_BYTES) == 0)
            continue;
        add(hash, &page, sizeof(page));
        add(hash, bytes, PAGE_BYTES);
    }
}

uint64_t pacifica_machine_state_hash(struct pacifica_machine *machine)
{
    XXH3_state_t *hash = XXH3_createState();
    struct snap snap;
    if (!hash)
        return 0;
    (void)XXH3_64bits_reset(hash);
    snap_hash(&snap, add, hash);
    machine_state(machine, &snap);
    add_memory(hash, machine->memory);
    uint64_t number = XXH3_64bits_digest(hash);
    (void)XXH3_freeState(hash);
    return number;
}

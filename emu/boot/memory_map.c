/* The memory map of the PC without firmware. */
#include "emu/boot/boot.h"

#include <stdbool.h>

#define KIB640 0xa0000ull
#define EBDA \
    0x9fc00ull /* where firmware keeps its extended data area: reserved, as software expects */
#define BIOS 0xf0000ull
#define MIB1 0x100000ull
#define GIB4 0x100000000ull
#define PAGE 0x1000ull

static bool is_ram(const struct memory *memory, uint64_t spa)
{
    uint64_t page = memory_backing(memory, spa);
    return page != UINT64_MAX && memory_page_writable(memory, page);
}

/* The end of the RAM that starts at `start` (page aligned), at most `limit`: RAM is contiguous, so halving finds it. */
static uint64_t ram_end(const struct memory *memory, uint64_t start, uint64_t limit)
{
    uint64_t inside = start, outside = limit;
    if (!is_ram(memory, start))
        return start;
    while (outside - inside > PAGE) {
        uint64_t middle = inside + ((outside - inside) / 2 & ~(PAGE - 1));
        if (is_ram(memory, middle))
            inside = middle;
        else
            outside = middle;
    }
    return outside;
}

unsigned boot_memory_map(const struct memory *memory, struct boot_region map[BOOT_REGIONS_MAX])
{
    unsigned count = 0;
    uint64_t low = ram_end(memory, 0, KIB640);
    uint64_t usable = low < EBDA ? low : EBDA;
    uint64_t above_1m = ram_end(memory, MIB1, GIB4);
    uint64_t above_4g = ram_end(memory, GIB4, 1ull << 52);

    if (usable)
        map[count++] = (struct boot_region){ 0, usable, BOOT_REGION_RAM };
    map[count++] = (struct boot_region){ EBDA, KIB640 - EBDA, BOOT_REGION_RESERVED };
    map[count++] = (struct boot_region){ BIOS, MIB1 - BIOS, BOOT_REGION_RESERVED };
    if (above_1m > MIB1)
        map[count++] = (struct boot_region){ MIB1, above_1m - MIB1, BOOT_REGION_RAM };
    if (above_4g > GIB4)
        map[count++] = (struct boot_region){ GIB4, above_4g - GIB4, BOOT_REGION_RAM };
    return count;
}

/* The insides of struct memory, for the code of this folder that must not pay for a call. */
#ifndef PAGING_MEMORY_PRIV_H
#define PAGING_MEMORY_PRIV_H

#include "emu/compiler.h"
#include "paging/memory.h"

#define PAGE_BYTES 4096u
#define PAGE_SHIFT 12u
#define MEMORY_NONE UINT64_MAX /* not a backing page */

/* The layout of a PC. The hole holds video memory and option ROMs. */
#define MEMORY_HOLE 0xa0000ull
#define MEMORY_HOLE_END 0x100000ull
#define MEMORY_SPLIT 0xe0000000ull   /* RAM of this size or more is split */
#define MEMORY_LOW_END 0xc0000000ull /* where its low part ends */
#define MEMORY_HIGH 0x100000000ull

#define MEMORY_ROMS 8u
#define MEMORY_ROM_BYTES (32ull << 20) /* all ROMs together */
#define MEMORY_LISTENERS 64u

struct memory_rom {
    uint64_t spa, bytes, first_page;
    enum rom_route route;
};

#define MEMORY_HOLE_PAGES ((MEMORY_HOLE_END - MEMORY_HOLE) >> PAGE_SHIFT)
#define MEMORY_A20 (1ull << 20)

struct mark_listener {
    void (*changed)(void *self, uint64_t page);
    void *self;
};

/* Invariants: backing page n lies at native + n * 4096, RAM first, in the order of its addresses (the
 * 384 KiB behind the hole included), ROMs behind it. RAM below plain_low, but for the hole, and the first plain_high
 * bytes from 4 GiB are where the layout says; for all else memory_route() looks at the view, A20 and the hole's map. */
struct memory {
    uint8_t *native;
    uint8_t *marks;      /* one byte for each backing page */
    uint64_t low_end;    /* RAM below 4 GiB ends here */
    uint64_t high_bytes; /* RAM from 4 GiB */
    uint64_t plain_low, plain_high;
    struct memory_view view;
    bool a20_closed;
    uint64_t address_mask;           /* ~0, or without bit 20 */
    uint8_t hole[MEMORY_HOLE_PAGES]; /* enum hole_map */
    uint64_t ram_bytes, ram_pages, page_count;
    size_t map_bytes, marks_bytes;
    const struct mmio_ops *mmio;
    void *mmio_self;
    void (*written)(void *self, uint64_t page, unsigned offset, unsigned len);
    void *written_self;
    struct mark_listener listeners[MEMORY_LISTENERS];
    unsigned listener_count;
    struct memory_rom roms[MEMORY_ROMS];
    unsigned rom_count;
    uint64_t slb; /* MEMORY_NO_SLB: none */
};

/* memory.c: every mark listener hears of a page, of MEMORY_NO_PAGE or MEMORY_ALL_CLEAN. */
void memory_tell_listeners(const struct memory *memory, uint64_t page);

/* memory.c: the routing was loaded. */
void memory_routes_loaded(struct memory *memory);

/* phys.c: the bytes of one page have changed. */
void memory_written(struct memory *memory, uint64_t page, unsigned offset, unsigned len);

/* The backing page of an address outside the plain parts, for reads or for writes (a ROM's page too), or MEMORY_NONE. */
uint64_t memory_route(const struct memory *memory, uint64_t spa, bool write);

/* The page of RAM that reads and writes reach alike, where nothing but the address decides; else MEMORY_NONE. */
EMU_INLINE uint64_t memory_plain_page(const struct memory *memory, uint64_t spa)
{
    if (EMU_LIKELY(spa < memory->plain_low && spa - MEMORY_HOLE >= MEMORY_HOLE_END - MEMORY_HOLE))
        return spa >> PAGE_SHIFT;
    if (spa - MEMORY_HIGH < memory->plain_high)
        return (spa - MEMORY_HIGH + MEMORY_LOW_END) >> PAGE_SHIFT;
    return MEMORY_NONE;
}

EMU_INLINE uint64_t memory_page(const struct memory *memory, uint64_t spa, bool write)
{
    uint64_t page = memory_plain_page(memory, spa);

    return EMU_LIKELY(page != MEMORY_NONE) ? page : memory_route(memory, spa, write);
}

/* memory_backing(), inline. */
EMU_INLINE uint64_t memory_page_of(const struct memory *memory, uint64_t spa)
{
    return memory_page(memory, spa, false);
}

/* The page that writes reach: that of reads, but for parts of the hole. */
EMU_INLINE uint64_t memory_write_page_of(const struct memory *memory, uint64_t spa)
{
    return memory_page(memory, spa, true);
}

EMU_INLINE uint8_t *memory_native(const struct memory *memory, uint64_t page)
{
    return memory->native + (page << PAGE_SHIFT);
}

#endif

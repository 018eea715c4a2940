/* Physical memory: the mapping behind it, ROMs, marks and who hears of them. */
#include "paging/memory_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Keeps every sum below in range; the workstation refuses earlier. */
#define RAM_BYTES_MAX (1ull << 46)

/* SMM_ADDR and SMM_MASK: bits 51:17 of an address take part. APM vol 2, 10.2.5 "SMRAM Protected Areas". */
#define TSEG_BITS 0x000ffffffffe0000ull
#define TSEG_HIGH_BITS 0x0000ffff00000000ull /* no RAM lies higher */
#define ASEG_END 0xc0000ull

/* Address space without memory behind it until it is touched. NULL if the workstation refuses. */
static void *map_lazily(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

/* The parts that need no look at the tables: below a closed A20's bit, and beside TSeg. */
static void memory_plain_update(struct memory *memory)
{
    const struct memory_view *view = &memory->view;

    memory->plain_low = memory->low_end;
    memory->plain_high = memory->high_bytes;
    memory->address_mask = memory->a20_closed && !view->ignores_a20 ? ~MEMORY_A20 : UINT64_MAX;
    if (view->tseg) {
        uint64_t lowest = view->tseg_addr & view->tseg_mask & TSEG_BITS;

        if (lowest < memory->plain_low)
            memory->plain_low = lowest;
        if (lowest >= MEMORY_HIGH || (view->tseg_mask & TSEG_HIGH_BITS) != TSEG_HIGH_BITS)
            memory->plain_high = 0;
    }
    if (memory->address_mask != UINT64_MAX) {
        if (memory->plain_low > MEMORY_A20)
            memory->plain_low = MEMORY_A20;
        memory->plain_high = 0;
    }
}

struct memory *memory_new(uint64_t ram_bytes)
{
    struct memory *memory;

    if (ram_bytes == 0 || ram_bytes % PAGE_BYTES != 0 || ram_bytes > RAM_BYTES_MAX)
        return NULL;
    memory = calloc(1, sizeof(*memory));
    if (!memory)
        return NULL;
    memory->ram_bytes = ram_bytes;
    memory->ram_pages = ram_bytes >> PAGE_SHIFT;
    memory->page_count = memory->ram_pages;
    memory->low_end = ram_bytes < MEMORY_SPLIT ? ram_bytes : MEMORY_LOW_END;
    memory->high_bytes = ram_bytes - memory->low_end;
    memory_plain_update(memory);
    memory->slb = MEMORY_NO_SLB;
    memory->map_bytes = ram_bytes + MEMORY_ROM_BYTES;
    memory->marks_bytes = memory->map_bytes >> PAGE_SHIFT;
    memory->native = map_lazily(memory->map_bytes);
    if (!memory->native)
        goto fail;
    memory->marks = map_lazily(memory->marks_bytes);
    if (!memory->marks)
        goto fail_native;
    return memory;

fail_native:
    munmap(memory->native, memory->map_bytes);
fail:
    free(memory);
    return NULL;
}

void memory_free(struct memory *memory)
{
    if (!memory)
        return;
    munmap(memory->marks, memory->marks_bytes);
    munmap(memory->native, memory->map_bytes);
    free(memory);
}

uint64_t memory_high_bytes(const struct memory *memory)
{
    return memory->high_bytes;
}

uint64_t memory_ram_bytes(const struct memory *memory)
{
    return memory->ram_bytes;
}

uint64_t memory_resident_kib(const struct memory *memory)
{
    unsigned char state[4096];
    long native = sysconf(_SC_PAGESIZE); /* mincore() counts the workstation's pages */
    size_t page_bytes = native > 0 ? (size_t)native : PAGE_BYTES;
    uint64_t pages = (memory->ram_bytes + page_bytes - 1) / page_bytes;
    uint64_t resident = 0;

    for (uint64_t page = 0; page < pages; page += sizeof(state)) {
        size_t count = pages - page < sizeof(state) ? (size_t)(pages - page) : sizeof(state);

        if (mincore(memory->native + page * page_bytes, count * page_bytes, state) != 0)
            return 0;
        for (size_t i = 0; i < count; i++)
            resident += state[i] & 1;
    }
    return resident * (page_bytes / 1024);
}

void memory_set_mmio(struct memory *memory, const struct mmio_ops *ops, void *self)
{
    memory->mmio = ops;
    memory->mmio_self = self;
}

void memory_set_written(struct memory *memory,
                        void (*written)(void *self, uint64_t page, unsigned offset, unsigned len),
                        void *self)
{
    memory->written = written;
    memory->written_self = self;
}

bool memory_add_mark_listener(struct memory *memory, void (*changed)(void *self, uint64_t page),
                              void *self)
{
    if (memory->listener_count == MEMORY_LISTENERS)
        return false;
    memory->listeners[memory->listener_count].changed = changed;
    memory->listeners[memory->listener_count].self = self;
    memory->listener_count++;
    return true;
}

void memory_remove_mark_listener(struct memory *memory, void (*changed)(void *self, uint64_t page),
                                 void *self)
{
    for (unsigned i = 0; i < memory->listener_count; i++) {
        if (memory->listeners[i].changed != changed || memory->listeners[i].self != self)
            continue;
        memory->listener_count--;
        memmove(&memory->listeners[i], &memory->listeners[i + 1],
                (memory->listener_count - i) * sizeof(memory->listeners[0]));
        return;
    }
}

void memory_tell_listeners(const struct memory *memory, uint64_t page)
{
    for (unsigned i = 0; i < memory->listener_count; i++)
        memory->listeners[i].changed(memory->listeners[i].self, page);
}

/* Everything derived from the routing goes, for all processors. */
static void routing_changed(const struct memory *memory)
{
    memory_tell_listeners(memory, MEMORY_NO_PAGE);
}

void memory_routes_loaded(struct memory *memory)
{
    memory_plain_update(memory);
    routing_changed(memory);
}

/* Does [spa, spa + bytes) meet RAM? Both are multiples of 4 KiB. */
static bool covers_ram(const struct memory *memory, uint64_t spa, uint64_t bytes)
{
    uint64_t end = spa + bytes;

    if (spa < memory->low_end && (spa < MEMORY_HOLE || end > MEMORY_HOLE_END))
        return true;
    return memory->high_bytes && spa < MEMORY_HIGH + memory->high_bytes && end > MEMORY_HIGH;
}

bool memory_add_rom(struct memory *memory, uint64_t spa, const void *image, size_t bytes)
{
    uint64_t used = (memory->page_count - memory->ram_pages) << PAGE_SHIFT;
    struct memory_rom *rom;

    if (memory->rom_count == MEMORY_ROMS || bytes == 0 || (spa | bytes) % PAGE_BYTES != 0 ||
        bytes > MEMORY_ROM_BYTES - used || spa > UINT64_MAX - bytes ||
        covers_ram(memory, spa, bytes))
        return false;
    for (unsigned i = 0; i < memory->rom_count; i++)
        if (spa < memory->roms[i].spa + memory->roms[i].bytes && memory->roms[i].spa < spa + bytes)
            return false;
    rom = &memory->roms[memory->rom_count++];
    rom->spa = spa;
    rom->bytes = bytes;
    rom->first_page = memory->page_count;
    rom->route = ROM_ALONE;
    memcpy(memory_native(memory, rom->first_page), image, bytes);
    memory->page_count += bytes >> PAGE_SHIFT;
    memset(memory->marks + rom->first_page, PAGE_DIRTY, bytes >> PAGE_SHIFT);
    routing_changed(memory);
    return true;
}

bool memory_route_rom(struct memory *memory, uint64_t spa, enum rom_route route)
{
    for (unsigned i = 0; i < memory->rom_count; i++) {
        struct memory_rom *rom = &memory->roms[i];

        if (rom->spa != spa)
            continue;
        if (rom->route != route) {
            rom->route = route;
            routing_changed(memory);
        }
        return true;
    }
    return false;
}

bool memory_program_rom(struct memory *memory, uint64_t spa, const void *from, size_t len)
{
    for (unsigned i = 0; i < memory->rom_count; i++) {
        const struct memory_rom *rom = &memory->roms[i];
        uint64_t offset = spa - rom->spa;

        if (offset >= rom->bytes || len > rom->bytes - offset)
            continue;
        memcpy(memory_native(memory, rom->first_page) + offset, from, len);
        while (len > 0) {
            size_t in_page = (size_t)(offset % PAGE_BYTES), part = PAGE_BYTES - in_page;

            part = part < len ? part : len;
            memory_written(memory, rom->first_page + (offset >> PAGE_SHIFT), (unsigned)in_page,
                           (unsigned)part);
            offset += part;
            len -= part;
        }
        return true;
    }
    return false;
}

void memory_set_page(struct memory *memory, uint64_t page, const void *from)
{
    static const uint8_t zeros[PAGE_BYTES];
    const void *bytes = from ? from : zeros;

    if (page >= memory->page_count || memcmp(memory_native(memory, page), bytes, PAGE_BYTES) == 0)
        return;
    memcpy(memory_native(memory, page), bytes, PAGE_BYTES);
    memory_written(memory, page, 0, PAGE_BYTES);
}

/* --- routing --- */

/* The backing page of a ROM at spa that is not left to the bus, or MEMORY_NONE. */
static uint64_t rom_page(const struct memory *memory, uint64_t spa, bool write)
{
    for (unsigned i = 0; i < memory->rom_count; i++) {
        const struct memory_rom *rom = &memory->roms[i];

        if (spa - rom->spa < rom->bytes)
            return rom->route < (write ? ROM_BUS_WRITES : ROM_BUS_ALL)
                       ? rom->first_page + ((spa - rom->spa) >> PAGE_SHIFT)
                       : MEMORY_NONE;
    }
    return MEMORY_NONE;
}

static uint64_t ram_page(const struct memory *memory, uint64_t spa)
{
    if (spa < memory->low_end)
        return spa >> PAGE_SHIFT;
    if (spa - MEMORY_HIGH < memory->high_bytes)
        return (spa - MEMORY_HIGH + MEMORY_LOW_END) >> PAGE_SHIFT;
    return MEMORY_NONE;
}

static bool in_tseg(const struct memory_view *view, uint64_t spa)
{
    return view->tseg && ((spa ^ view->tseg_addr) & view->tseg_mask & TSEG_BITS) == 0;
}

/* Does the RAM behind the hole answer? */
static bool hole_is_ram(const struct memory *memory, uint64_t spa, bool write)
{
    const struct memory_view *view = &memory->view;
    unsigned map = memory->hole[(spa - MEMORY_HOLE) >> PAGE_SHIFT];

    if (view->smm && view->aseg && spa < ASEG_END)
        return true;
    if (view->smm)
        map >>= 2;
    return map & (write ? HOLE_WRITE_RAM : HOLE_READ_RAM);
}

uint64_t memory_route(const struct memory *memory, uint64_t spa, bool write)
{
    uint64_t page;

    spa &= memory->address_mask;
    if (in_tseg(&memory->view, spa))
        return memory->view.smm ? ram_page(memory, spa) : MEMORY_NONE;
    if (spa - MEMORY_HOLE < MEMORY_HOLE_END - MEMORY_HOLE && !hole_is_ram(memory, spa, write))
        return rom_page(memory, spa, write);
    page = ram_page(memory, spa);
    return page != MEMORY_NONE ? page : rom_page(memory, spa, write);
}

bool memory_map_hole(struct memory *memory, uint64_t spa, uint64_t bytes, unsigned map)
{
    uint64_t first = (spa - MEMORY_HOLE) >> PAGE_SHIFT, count = bytes >> PAGE_SHIFT;
    bool changed = false;

    if ((spa | bytes) % PAGE_BYTES != 0 || first >= MEMORY_HOLE_PAGES ||
        count > MEMORY_HOLE_PAGES - first)
        return false;
    for (uint64_t page = first; page < first + count; page++) {
        changed = changed || memory->hole[page] != map;
        memory->hole[page] = (uint8_t)map;
    }
    if (changed)
        routing_changed(memory);
    return true;
}

static bool views_equal(const struct memory_view *a, const struct memory_view *b)
{
    return a->smm == b->smm && a->ignores_a20 == b->ignores_a20 && a->aseg == b->aseg &&
           a->tseg == b->tseg && a->tseg_addr == b->tseg_addr && a->tseg_mask == b->tseg_mask;
}

void memory_set_view(struct memory *memory, const struct memory_view *view)
{
    if (views_equal(&memory->view, view))
        return;
    memory->view = *view;
    memory_plain_update(memory);
}

const struct memory_view *memory_get_view(const struct memory *memory)
{
    return &memory->view;
}

void memory_set_a20(struct memory *memory, bool open)
{
    if (memory->a20_closed == !open)
        return;
    memory->a20_closed = !open;
    memory_plain_update(memory);
    routing_changed(memory);
}

bool memory_a20(const struct memory *memory)
{
    return !memory->a20_closed;
}

void memory_set_slb(struct memory *memory, uint64_t base)
{
    memory->slb = base;
}

uint64_t memory_slb(const struct memory *memory)
{
    return memory->slb;
}

bool memory_device_may(const struct memory *memory, uint64_t spa, size_t len)
{
    if (memory->slb == MEMORY_NO_SLB || len == 0)
        return true;
    spa &= memory->address_mask;
    return spa - memory->slb >= MEMORY_SLB_BYTES && memory->slb - spa >= len;
}

uint64_t memory_backing(const struct memory *memory, uint64_t spa)
{
    return memory_page_of(memory, spa);
}

uint8_t *memory_page_ptr(const struct memory *memory, uint64_t page)
{
    return page < memory->page_count ? memory_native(memory, page) : NULL;
}

uint64_t memory_page_count(const struct memory *memory)
{
    return memory->page_count;
}

bool memory_page_writable(const struct memory *memory, uint64_t page)
{
    return page < memory->ram_pages;
}

uint8_t memory_marks(const struct memory *memory, uint64_t page)
{
    return page < memory->page_count ? memory->marks[page] : 0;
}

void memory_set_marks(struct memory *memory, uint64_t page, uint8_t set, uint8_t clear)
{
    uint8_t before, after;

    if (page >= memory->page_count)
        return;
    before = memory->marks[page];
    after = (uint8_t)((before | set) & ~clear);
    memory->marks[page] = after;
    if (((before ^ after) & (PAGE_HAS_CODE | PAGE_WATCHED)) || (before & ~after & PAGE_DIRTY))
        memory_tell_listeners(memory, page);
}

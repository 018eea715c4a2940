/* Physical accesses: to RAM and ROM through native pointers, to the rest through the MMIO callbacks. */
#include "paging/memory_priv.h"

#include <string.h>

static uint64_t load_le(const uint8_t *ptr, unsigned size)
{
    uint64_t value = 0;

    switch (size) { /* known sizes become one load */
    case 1: return *ptr;
    case 2: memcpy(&value, ptr, 2); return value;
    case 4: memcpy(&value, ptr, 4); return value;
    case 8: memcpy(&value, ptr, 8); return value;
    default: memcpy(&value, ptr, size); return value;
    }
}

static void store_le(uint8_t *ptr, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *ptr = (uint8_t)value; break;
    case 2: memcpy(ptr, &value, 2); break;
    case 4: memcpy(ptr, &value, 4); break;
    case 8: memcpy(ptr, &value, 8); break;
    default: memcpy(ptr, &value, size); break;
    }
}

static uint64_t ones(unsigned size)
{
    return size < 8 ? (1ull << (size * 8)) - 1 : UINT64_MAX;
}

/* The largest piece of an access that a bus takes at once: the access itself, or if its size is
 * none a bus knows, a naturally aligned part of it. */
static unsigned mmio_piece(uint64_t spa, unsigned size)
{
    unsigned piece = 4;

    if (size == 1 || size == 2 || size == 4 || size == 8)
        return size;
    while (piece > size || spa % piece != 0)
        piece /= 2;
    return piece;
}

static uint64_t mmio_read(struct memory *memory, uint64_t spa, unsigned size)
{
    uint64_t value = 0;

    if (!memory->mmio)
        return ones(size);
    for (unsigned done = 0, piece; done < size; done += piece) {
        piece = mmio_piece(spa + done, size - done);
        value |=
            (memory->mmio->read(memory->mmio_self, (spa + done) & memory->address_mask, piece) &
             ones(piece))
            << (done * 8);
    }
    return value;
}

static void mmio_write(struct memory *memory, uint64_t spa, unsigned size, uint64_t value)
{
    if (!memory->mmio)
        return;
    for (unsigned done = 0, piece; done < size; done += piece) {
        piece = mmio_piece(spa + done, size - done);
        memory->mmio->write(memory->mmio_self, (spa + done) & memory->address_mask, piece,
                            (value >> (done * 8)) & ones(piece));
    }
}

/* Bytes of an access that lie in its first page, at most size. */
static unsigned first_part(uint64_t spa, unsigned size)
{
    unsigned room = PAGE_BYTES - (unsigned)(spa % PAGE_BYTES);

    return room < size ? room : size;
}

/* Is an access that crosses pages MMIO in both, so that it goes out in one piece? */
static bool all_mmio(const struct memory *memory, uint64_t spa, unsigned first, bool write)
{
    return memory_page(memory, spa, write) == MEMORY_NONE &&
           memory_page(memory, spa + first, write) == MEMORY_NONE;
}

static EMU_NOINLINE uint64_t read_slowly(struct memory *memory, uint64_t spa, unsigned size)
{
    unsigned first = first_part(spa, size);

    if (spa > UINT64_MAX - (size - 1))
        return ones(size);
    if (first == size || all_mmio(memory, spa, first, false))
        return mmio_read(memory, spa, size);
    return phys_read(memory, spa, first) | phys_read(memory, spa + first, size - first)
                                               << (first * 8);
}

uint64_t phys_read(struct memory *memory, uint64_t spa, unsigned size)
{
    unsigned offset = (unsigned)(spa % PAGE_BYTES);
    uint64_t page = memory_page_of(memory, spa);

    if (EMU_UNLIKELY(page == MEMORY_NONE || offset + size > PAGE_BYTES))
        return read_slowly(memory, spa, size);
    return load_le(memory_native(memory, page) + offset, size);
}

static EMU_NOINLINE void write_slowly(struct memory *memory, uint64_t spa, unsigned size,
                                      uint64_t value)
{
    unsigned first = first_part(spa, size);

    if (spa > UINT64_MAX - (size - 1))
        return;
    if (first == size || all_mmio(memory, spa, first, true)) {
        mmio_write(memory, spa, size, value);
        return;
    }
    phys_write(memory, spa, first, value);
    phys_write(memory, spa + first, size - first, value >> (first * 8));
}

/* The bytes of one page have changed. */
static void page_written(struct memory *memory, uint64_t page, unsigned offset, unsigned len)
{
    uint8_t marks = memory->marks[page];

    if (EMU_LIKELY(marks == PAGE_DIRTY))
        return;
    memory->marks[page] = marks | PAGE_DIRTY;
    if ((marks & (PAGE_HAS_CODE | PAGE_WATCHED)) && memory->written)
        memory->written(memory->written_self, page, offset, len);
}

void memory_written(struct memory *memory, uint64_t page, unsigned offset, unsigned len)
{
    page_written(memory, page, offset, len);
}

void phys_write(struct memory *memory, uint64_t spa, unsigned size, uint64_t value)
{
    unsigned offset = (unsigned)(spa % PAGE_BYTES);
    uint64_t page = memory_write_page_of(memory, spa);

    if (EMU_UNLIKELY(page == MEMORY_NONE || offset + size > PAGE_BYTES)) {
        write_slowly(memory, spa, size, value);
        return;
    }
    if (EMU_UNLIKELY(page >= memory->ram_pages))
        return; /* ROM */
    store_le(memory_native(memory, page) + offset, size, value);
    page_written(memory, page, offset, size);
}

uint8_t *memory_ptr(const struct memory *memory, uint64_t spa, size_t len)
{
    size_t offset = (size_t)(spa % PAGE_BYTES);
    uint64_t page = memory_plain_page(memory, spa);

    if (len > PAGE_BYTES - offset)
        return NULL;
    if (EMU_UNLIKELY(page == MEMORY_NONE)) {
        page = memory_route(memory, spa, false);
        if (page >= memory->ram_pages || page != memory_route(memory, spa, true))
            return NULL;
    }
    return memory_native(memory, page) + offset;
}

void phys_written(struct memory *memory, uint64_t spa, size_t len)
{
    uint64_t first = memory_plain_page(memory, spa);

    /* World switches come here with a page that nobody has asked about. */
    if (EMU_LIKELY(first != MEMORY_NONE && memory->marks[first] == PAGE_DIRTY &&
                   len <= PAGE_BYTES - spa % PAGE_BYTES))
        return;
    while (len > 0) {
        size_t offset = (size_t)(spa % PAGE_BYTES);
        size_t part = PAGE_BYTES - offset < len ? PAGE_BYTES - offset : len;
        uint64_t page = memory_write_page_of(memory, spa);

        if (page < memory->ram_pages)
            page_written(memory, page, (unsigned)offset, (unsigned)part);
        spa += part;
        len -= part;
    }
}

/* Is every byte of [spa, spa + len) in backing pages below `limit`? */
static bool all_backed(const struct memory *memory, uint64_t spa, size_t len, uint64_t limit,
                       bool write)
{
    if (len > 0 && spa > UINT64_MAX - (len - 1))
        return false;
    for (size_t done = 0; done < len; done += PAGE_BYTES - (size_t)((spa + done) % PAGE_BYTES))
        if (memory_page(memory, spa + done, write) >= limit)
            return false;
    return true;
}

bool phys_read_block(struct memory *memory, uint64_t spa, void *to, size_t len)
{
    uint8_t *at = to;

    if (!all_backed(memory, spa, len, memory->page_count, false))
        return false;
    while (len > 0) {
        size_t offset = (size_t)(spa % PAGE_BYTES);
        size_t part = PAGE_BYTES - offset < len ? PAGE_BYTES - offset : len;

        memcpy(at, memory_native(memory, memory_page_of(memory, spa)) + offset, part);
        at += part;
        spa += part;
        len -= part;
    }
    return true;
}

bool phys_write_block(struct memory *memory, uint64_t spa, const void *from, size_t len)
{
    const uint8_t *at = from;

    if (!all_backed(memory, spa, len, memory->ram_pages, true))
        return false;
    while (len > 0) {
        size_t offset = (size_t)(spa % PAGE_BYTES);
        size_t part = PAGE_BYTES - offset < len ? PAGE_BYTES - offset : len;
        uint64_t page = memory_write_page_of(memory, spa);

        memcpy(memory_native(memory, page) + offset, at, part);
        page_written(memory, page, (unsigned)offset, (unsigned)part);
        at += part;
        spa += part;
        len -= part;
    }
    return true;
}

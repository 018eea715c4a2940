/* The dirty map: which pages were written since a moment, and putting their contents back. */
#include "paging/memory_priv.h"

#include <string.h>

#define GROUP 8u /* marks that are looked at together */

/* Marks are a whole number of groups: the pages behind the last one have none. */
static uint64_t marks_at(const struct memory *memory, uint64_t page)
{
    uint64_t marks;

    memcpy(&marks, memory->marks + page, sizeof(marks));
    return marks;
}

uint64_t memory_dirty_next(const struct memory *memory, uint64_t from)
{
    for (uint64_t page = from; page < memory->page_count; page++) {
        if (memory->marks[page] & PAGE_DIRTY)
            return page;
        while (page % GROUP == GROUP - 1 && page + GROUP < memory->page_count &&
               !(marks_at(memory, page + 1) & PAGE_DIRTY * UINT64_C(0x0101010101010101)))
            page += GROUP;
    }
    return MEMORY_NO_PAGE;
}

void memory_dirty_clear(struct memory *memory)
{
    for (uint64_t page = memory_dirty_next(memory, 0); page != MEMORY_NO_PAGE;
         page = memory_dirty_next(memory, page + 1))
        memory->marks[page] &= (uint8_t)~PAGE_DIRTY;
    memory_tell_listeners(memory, MEMORY_ALL_CLEAN);
}

void memory_put_page(struct memory *memory, uint64_t page, const void *bytes)
{
    uint8_t *at = memory_page_ptr(memory, page);

    if (!at)
        return;
    if (bytes)
        memcpy(at, bytes, PAGE_BYTES);
    else
        memset(at, 0, PAGE_BYTES);
    memory_written(memory, page, 0, PAGE_BYTES);
}

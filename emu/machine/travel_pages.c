/* Versions of pages. */
#include "emu/machine/travel_pages.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u

static const uint8_t zeros[PAGE_BYTES];

bool travel_pages_init(struct travel_pages *pages, struct memory *memory)
{
    uint64_t count = memory_page_count(memory);
    *pages = (struct travel_pages){ .memory = memory, .count = count };
    pages->newest = calloc(count, sizeof(struct version *));
    return pages->newest != NULL;
}

static uint64_t size_of(const struct version *version)
{
    return sizeof(*version) + (version->bytes ? PAGE_BYTES : 0);
}

static void free_version(struct travel_pages *pages, struct version *version)
{
    pages->bytes -= size_of(version);
    free(version->bytes);
    free(version);
}

void travel_pages_fini(struct travel_pages *pages)
{
    for (uint64_t page = 0; pages->newest && page < pages->count; page++) {
        if (pages->newest[page])
            memory_set_marks(pages->memory, page, PAGE_DIRTY, 0);
        while (pages->newest[page]) {
            struct version *version = pages->newest[page];
            pages->newest[page] = version->older;
            free_version(pages, version);
        }
    }
    free(pages->newest);
    pages->newest = NULL;
}

/* The version of a page that held at `steps`, by the place that leads to it. */
static struct version **find(struct travel_pages *pages, uint64_t page, uint64_t steps)
{
    struct version **at = &pages->newest[page];
    while (*at && (*at)->steps > steps)
        at = &(*at)->older;
    return at;
}

static const uint8_t *bytes_of(const struct version *version)
{
    return version && version->bytes ? version->bytes : zeros;
}

/* --- keeping ---------------------------------------------------------------------------------------- */

static struct version *make(struct travel_pages *pages, uint64_t page, const uint8_t *bytes)
{
    struct version *version = calloc(1, sizeof(*version));
    if (!version)
        return NULL;
    version->page = page;
    if (memcmp(bytes, zeros, PAGE_BYTES) != 0) {
        version->bytes = malloc(PAGE_BYTES);
        if (!version->bytes) {
            free(version);
            return NULL;
        }
        memcpy(version->bytes, bytes, PAGE_BYTES);
    }
    pages->bytes += size_of(version);
    return version;
}

static bool add(struct travel_pages *pages, uint64_t page, const uint8_t *bytes,
                struct version_place place)
{
    struct version *version = make(pages, page, bytes);
    if (!version)
        return false;
    struct version **at = find(pages, page, place.steps);
    version->steps = place.steps;
    version->older = *at;
    version->next = place.list->first;
    *at = place.list->first = version;
    return true;
}

static bool add_same(struct travel_pages *pages, uint64_t page, struct version_list *list)
{
    if (list->same_count == list->same_room) {
        size_t room = list->same_room ? 2 * list->same_room : 16;
        uint64_t *same = realloc(list->same, room * sizeof(*same));
        if (!same)
            return false;
        pages->bytes += (room - list->same_room) * sizeof(*same);
        list->same = same;
        list->same_room = room;
    }
    list->same[list->same_count++] = page;
    return true;
}

static void free_same(struct travel_pages *pages, struct version_list *list)
{
    pages->bytes -= list->same_room * sizeof(*list->same);
    free(list->same);
    list->same = NULL;
    list->same_count = list->same_room = 0;
}

/* A page that was written and holds the same as before has no new version. The checkpoint behind may have none for this reason:
 * then it gets what it had until now from a version before. */
static bool keep_page(struct travel_pages *pages, uint64_t page, struct version_place now,
                      struct version_place later)
{
    const struct version *before = *find(pages, page, now.steps);
    const uint8_t *bytes = memory_page_ptr(pages->memory, page);
    if (memcmp(bytes, bytes_of(before), PAGE_BYTES) == 0)
        return add_same(pages, page, now.list);
    if (later.list && *find(pages, page, later.steps) == before &&
        !add(pages, page, bytes_of(before), later))
        return false;
    return add(pages, page, bytes, now);
}

bool travel_pages_keep(struct travel_pages *pages, struct version_place now,
                       struct version_place later)
{
    *now.list = (struct version_list){ 0 };
    for (uint64_t page = memory_dirty_next(pages->memory, 0); page < pages->count;
         page = memory_dirty_next(pages->memory, page + 1))
        if (!keep_page(pages, page, now, later))
            return false;
    memory_dirty_clear(pages->memory);
    pages->base = now.steps;
    return true;
}

/* --- returning ---------------------------------------------------------------------------------------- */

static void put(struct travel_pages *pages, uint64_t page, uint64_t steps)
{
    const struct version *version = *find(pages, page, steps);
    if (memcmp(memory_page_ptr(pages->memory, page), bytes_of(version), PAGE_BYTES) != 0)
        memory_put_page(pages->memory, page, version ? version->bytes : NULL);
}

void travel_pages_return(struct travel_pages *pages, uint64_t steps,
                         const struct version_list *const *between, size_t count)
{
    for (uint64_t page = memory_dirty_next(pages->memory, 0); page < pages->count;
         page = memory_dirty_next(pages->memory, page + 1))
        put(pages, page, steps);
    for (size_t i = 0; i < count; i++)
        for (const struct version *v = between[i]->first; v; v = v->next)
            put(pages, v->page, steps);
    memory_dirty_clear(pages->memory);
    pages->base = steps;
}

/* --- thinning out ------------------------------------------------------------------------------------- */

void travel_pages_merge(struct travel_pages *pages, struct version_list *list,
                        struct version_place later)
{
    for (size_t i = 0; later.list && i < list->same_count; i++)
        if (!travel_pages_has(later.list, list->same[i]))
            (void)add_same(pages, list->same[i], later.list);
    free_same(pages, list);
    while (list->first) {
        struct version *version = list->first;
        list->first = version->next;
        if (later.list && *find(pages, version->page, later.steps) == version) {
            version->steps = later.steps;
            version->next = later.list->first;
            later.list->first = version;
            continue;
        }
        *find(pages, version->page, version->steps) = version->older; /* nobody will ask for it */
        free_version(pages, version);
    }
}

bool travel_pages_has(const struct version_list *list, uint64_t page)
{
    for (const struct version *v = list->first; v; v = v->next)
        if (v->page == page)
            return true;
    for (size_t i = 0; i < list->same_count; i++)
        if (list->same[i] == page)
            return true;
    return false;
}

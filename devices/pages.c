/* Sparse pages: a tree of nodes with 512 children each, as page tables are. Whoever refers to a node or page counts; what
 * is counted more than once is shared, and so is everything below. Changes copy the way from the root. */
#include "devices/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHILDREN_LOG2 9
#define CHILDREN (1u << CHILDREN_LOG2)
#define HEIGHT_MOST 4

/* What nodes and pages begin with. */
struct counted {
    uint32_t refs;
};

struct node {
    uint32_t refs;
    struct counted *child[CHILDREN];
};

struct pages {
    uint64_t count;
    unsigned height;      /* of the root; pages have 0 */
    struct counted *root; /* NULL: no page is there */
    uint64_t bytes, memory;
};

struct pages_mark {
    struct pages *pages;
    struct counted *root;
    uint64_t bytes;
};

static struct node *as_node(struct counted *at)
{
    return (struct node *)at;
}

static size_t size_of(unsigned height)
{
    return height ? sizeof(struct node) : sizeof(struct page);
}

static unsigned child_at(uint64_t index, unsigned height)
{
    return (unsigned)(index >> CHILDREN_LOG2 * (height - 1)) & (CHILDREN - 1);
}

struct pages *pages_new(uint64_t count)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    if (!pages)
        return NULL;
    pages->count = count;
    pages->height = 1;
    while (count > UINT64_C(1) << CHILDREN_LOG2 * pages->height)
        pages->height++;
    assert(pages->height <= HEIGHT_MOST);
    return pages;
}

/* One reference less. */
static void leave(struct pages *pages, struct counted *at, unsigned height)
{
    if (!at || --at->refs)
        return;
    for (unsigned i = 0; height && i < CHILDREN; i++)
        leave(pages, as_node(at)->child[i], height - 1);
    pages->memory -= size_of(height);
    free(at);
}

void pages_clear(struct pages *pages)
{
    leave(pages, pages->root, pages->height);
    pages->root = NULL;
    pages->bytes = 0;
}

void pages_free(struct pages *pages)
{
    if (!pages)
        return;
    pages_clear(pages);
    assert(pages->memory == 0); /* a mark is left */
    free(pages);
}

/* --- reading ----------------------------------------------------------------------------------------- */

static const struct page *find(const struct pages *pages, struct counted *at, uint64_t index)
{
    assert(index < pages->count);
    for (unsigned height = pages->height; at && height; height--)
        at = as_node(at)->child[child_at(index, height)];
    return (const struct page *)at;
}

const struct page *pages_get(const struct pages *pages, uint64_t index)
{
    return find(pages, pages->root, index);
}

/* The first page from `from` on below a node, both counted from where it begins. */
static bool next_below(struct counted *at, unsigned height, uint64_t from, uint64_t *index)
{
    if (!at || height == 0) {
        *index = 0;
        return at != NULL;
    }
    unsigned shift = CHILDREN_LOG2 * (height - 1), first = (unsigned)(from >> shift);
    for (unsigned i = first; i < CHILDREN; i++) {
        uint64_t rest = i == first ? from & ((UINT64_C(1) << shift) - 1) : 0;
        if (!next_below(as_node(at)->child[i], height - 1, rest, index))
            continue;
        *index += (uint64_t)i << shift;
        return true;
    }
    return false;
}

bool pages_next(const struct pages *pages, uint64_t *index)
{
    return *index < pages->count && next_below(pages->root, pages->height, *index, index);
}

/* --- changes ----------------------------------------------------------------------------------------- */

/* Have what a reference leads to for oneself: made, or copied if it is shared. false without memory. */
static bool have(struct pages *pages, struct counted **ref, unsigned height)
{
    struct counted *old = *ref;
    if (old && old->refs == 1)
        return true;
    struct counted *own = calloc(1, size_of(height));
    if (!own)
        return false;
    if (old) {
        memcpy(own, old, size_of(height));
        for (unsigned i = 0; height && i < CHILDREN; i++)
            if (as_node(own)->child[i])
                as_node(own)->child[i]->refs++;
        old->refs--;
    } else {
        pages->bytes += size_of(height);
    }
    own->refs = 1;
    pages->memory += size_of(height);
    *ref = own;
    return true;
}

/* Nodes that are there without any page below. */
static void prune(struct pages *pages, struct counted **ref, unsigned height, uint64_t index)
{
    if (!*ref || height == 0)
        return;
    prune(pages, &as_node(*ref)->child[child_at(index, height)], height - 1, index);
    for (unsigned i = 0; i < CHILDREN; i++)
        if (as_node(*ref)->child[i])
            return;
    leave(pages, *ref, height);
    *ref = NULL;
    pages->bytes -= size_of(height);
}

/* Have the way to a page for oneself. NULL without memory. */
static struct counted **have_way(struct pages *pages, uint64_t index)
{
    struct counted **ref = &pages->root;
    assert(index < pages->count);
    for (unsigned height = pages->height; height; height--) {
        if (!have(pages, ref, height))
            return NULL;
        ref = &as_node(*ref)->child[child_at(index, height)];
    }
    return ref;
}

struct page *pages_change(struct pages *pages, uint64_t index)
{
    struct counted **ref = have_way(pages, index);
    if (ref && have(pages, ref, 0))
        return (struct page *)*ref;
    prune(pages, &pages->root, pages->height, index);
    return NULL;
}

bool pages_drop(struct pages *pages, uint64_t index)
{
    if (!pages_get(pages, index))
        return true;
    struct counted **ref = have_way(pages, index);
    if (!ref)
        return false;
    leave(pages, *ref, 0);
    *ref = NULL;
    pages->bytes -= size_of(0);
    prune(pages, &pages->root, pages->height, index);
    return true;
}

uint64_t pages_bytes(const struct pages *pages)
{
    return pages->bytes;
}

uint64_t pages_more(const struct pages *pages, uint64_t index)
{
    uint64_t more = 0;
    struct counted *at = pages->root;
    for (unsigned height = pages->height;; height--) {
        if (!at)
            more += size_of(height);
        if (height == 0)
            return more;
        at = at ? as_node(at)->child[child_at(index, height)] : NULL;
    }
}

uint64_t pages_memory(const struct pages *pages)
{
    return pages->memory;
}

/* --- marks ------------------------------------------------------------------------------------------- */

struct pages_mark *pages_mark(struct pages *pages)
{
    struct pages_mark *mark = malloc(sizeof(*mark));
    if (!mark)
        return NULL;
    *mark = (struct pages_mark){ .pages = pages, .root = pages->root, .bytes = pages->bytes };
    if (mark->root)
        mark->root->refs++;
    return mark;
}

void pages_return(struct pages *pages, const struct pages_mark *mark)
{
    assert(mark->pages == pages);
    if (mark->root)
        mark->root->refs++;
    pages_clear(pages);
    pages->root = mark->root;
    pages->bytes = mark->bytes;
}

void pages_mark_free(struct pages_mark *mark)
{
    if (!mark)
        return;
    leave(mark->pages, mark->root, mark->pages->height);
    free(mark);
}

static uint64_t own_bytes(struct counted *at, unsigned height)
{
    if (!at || at->refs > 1)
        return 0;
    uint64_t bytes = size_of(height);
    for (unsigned i = 0; height && i < CHILDREN; i++)
        bytes += own_bytes(as_node(at)->child[i], height - 1);
    return bytes;
}

uint64_t pages_mark_bytes(const struct pages_mark *mark)
{
    return sizeof(*mark) + own_bytes(mark->root, mark->pages->height);
}

const struct page *pages_mark_get(const struct pages_mark *mark, uint64_t index)
{
    return find(mark->pages, mark->root, index);
}

/* --- memory that is mostly zeros ----------------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes)
{
    static const uint8_t zeros[PAGES_BYTES];
    return memcmp(bytes, zeros, PAGES_BYTES) == 0;
}

static void name_sparse(struct snap *snap, const char *name, uint8_t *bytes, uint32_t pages,
                        const uint8_t *hint)
{
    for (uint32_t page = 0; page < pages; page++) {
        uint8_t *at = bytes + (size_t)page * PAGES_BYTES;
        if ((hint && !hint[page]) || is_zero(at))
            continue;
        (void)snap_below(snap, name, page, pages);
        snap_bytes(snap, name, at, PAGES_BYTES);
    }
    (void)snap_below(snap, name, pages, pages + 1);
}

static void load_sparse(struct snap *snap, const char *name, uint8_t *bytes, uint32_t pages,
                        uint8_t *hint)
{
    uint32_t next = 0;
    for (;;) {
        uint32_t page = snap_below(snap, name, 0, pages + 1);
        if (snap->failed)
            page = pages; /* nothing more is to come: zeros */
        if (page < next) {
            snap_refuse(snap, name);
            page = pages;
        }
        for (; next < page; next++)
            if (!hint || hint[next])
                memset(bytes + (size_t)next * PAGES_BYTES, 0, PAGES_BYTES);
        if (page == pages)
            return;
        snap_bytes(snap, name, bytes + (size_t)page * PAGES_BYTES, PAGES_BYTES);
        if (hint)
            hint[page] = 1;
        next = page + 1;
    }
}

void snap_sparse(struct snap *snap, const char *name, uint8_t *bytes, size_t count, uint8_t *hint)
{
    assert(count % PAGES_BYTES == 0 && count / PAGES_BYTES < UINT32_MAX);
    if (snap_loading(snap))
        load_sparse(snap, name, bytes, (uint32_t)(count / PAGES_BYTES), hint);
    else
        name_sparse(snap, name, bytes, (uint32_t)(count / PAGES_BYTES), hint);
}

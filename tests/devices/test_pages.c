/* Sparse pages: what is there, what marks keep, and what memory that takes. */
#include "tests/devices/kit.h"
#include "tests/random.h"

#include "devices/pages.h"

/* Counts of pages with trees of all heights, and places in them that are far apart. */
static const uint64_t counts[] = {
    1, 512, 513, 1 << 18, (1 << 18) + 1, 1 << 27, UINT64_C(1) << 36
};

static void put(struct pages *pages, uint64_t index, uint8_t value)
{
    struct page *page = pages_change(pages, index);
    ck_assert_ptr_nonnull(page);
    memset(page->bytes, value, PAGES_BYTES);
    page->written = value;
}

/* 0: not there. */
static unsigned get(const struct pages *pages, uint64_t index)
{
    const struct page *page = pages_get(pages, index);
    if (!page)
        return 0;
    ck_assert_uint_eq(page->bytes[0], page->written);
    ck_assert_uint_eq(page->bytes[PAGES_BYTES - 1], page->written);
    return page->written;
}

START_TEST(pages_are_there_once_written)
{
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct pages *pages = pages_new(counts[i]);
        uint64_t last = counts[i] - 1, at = 0;
        ck_assert(!pages_next(pages, &at));
        ck_assert_uint_eq(get(pages, last), 0);
        put(pages, last, 7);
        ck_assert_uint_eq(get(pages, last), 7);
        ck_assert(pages_next(pages, &at));
        ck_assert_uint_eq(at, last);
        at++;
        ck_assert(!pages_next(pages, &at));
        put(pages, 0, 8);
        at = 0;
        ck_assert(pages_next(pages, &at));
        ck_assert_uint_eq(at, 0);
        ck_assert_uint_eq(get(pages, 0), 8);
        ck_assert_uint_eq(get(pages, last), last ? 7 : 8);
        pages_free(pages);
    }
}
END_TEST

START_TEST(pages_come_in_order)
{
    static const uint64_t there[] = { 3, 511, 512, 1023, 5000, 262143, 262144, 900000 };
    const size_t count = sizeof(there) / sizeof(there[0]);
    struct pages *pages = pages_new(1000000);
    uint64_t at = 0;
    for (size_t i = count; i-- > 0;)
        put(pages, there[i], (uint8_t)(i + 1));
    for (size_t i = 0; i < count; i++, at++) {
        ck_assert(pages_next(pages, &at));
        ck_assert_uint_eq(at, there[i]);
        ck_assert_uint_eq(get(pages, at), i + 1);
    }
    ck_assert(!pages_next(pages, &at));
    pages_free(pages);
}
END_TEST

/* What pages take follows from which are there, whatever was there before. */
START_TEST(pages_bytes_follow_from_what_is_there)
{
    struct pages *pages = pages_new(1 << 20);
    ck_assert_uint_eq(pages_bytes(pages), 0);
    uint64_t first = pages_more(pages, 600);
    put(pages, 600, 1);
    ck_assert_uint_eq(pages_bytes(pages), first);
    ck_assert_uint_eq(pages_more(pages, 600), 0);
    uint64_t beside = pages_more(pages, 601), far = pages_more(pages, 300000);
    ck_assert_uint_ge(beside, PAGES_BYTES);
    ck_assert_uint_lt(beside, far);
    ck_assert_uint_lt(far, first);
    put(pages, 300000, 2);
    ck_assert_uint_eq(pages_bytes(pages), first + far);
    ck_assert(pages_drop(pages, 300000));
    ck_assert(pages_drop(pages, 300000));
    ck_assert_uint_eq(pages_bytes(pages), first);
    ck_assert_uint_eq(pages_memory(pages), first);
    ck_assert(pages_drop(pages, 600));
    ck_assert_uint_eq(pages_bytes(pages), 0);
    ck_assert_uint_eq(pages_memory(pages), 0);
    pages_free(pages);
}
END_TEST

START_TEST(mark_keeps_what_was_there)
{
    struct pages *pages = pages_new(1 << 20);
    put(pages, 5, 1);
    put(pages, 70000, 2);
    struct pages_mark *mark = pages_mark(pages);
    uint64_t before = pages_memory(pages), bytes = pages_bytes(pages);
    ck_assert_uint_lt(pages_mark_bytes(mark), 100); /* all is shared */
    put(pages, 5, 3);
    put(pages, 6, 4);
    ck_assert(pages_drop(pages, 70000));
    ck_assert_uint_eq(pages_mark_get(mark, 5)->bytes[9], 1);
    ck_assert_ptr_null(pages_mark_get(mark, 6));
    ck_assert_uint_eq(pages_mark_get(mark, 70000)->bytes[9], 2);
    uint64_t alone = pages_mark_bytes(mark), all = pages_memory(pages);
    ck_assert_uint_ge(alone, 2 * PAGES_BYTES);
    pages_return(pages, mark);
    ck_assert_uint_eq(get(pages, 5), 1);
    ck_assert_uint_eq(get(pages, 6), 0);
    ck_assert_uint_eq(get(pages, 70000), 2);
    ck_assert_uint_eq(pages_memory(pages), before);
    ck_assert_uint_eq(pages_bytes(pages), bytes);
    ck_assert_uint_gt(all, before);
    put(pages, 5, 9); /* and once more */
    pages_return(pages, mark);
    ck_assert_uint_eq(get(pages, 5), 1);
    pages_mark_free(mark);
    ck_assert_uint_eq(pages_memory(pages), bytes);
    pages_free(pages);
}
END_TEST

START_TEST(mark_of_nothing)
{
    struct pages *pages = pages_new(1000);
    struct pages_mark *mark = pages_mark(pages);
    put(pages, 999, 1);
    pages_return(pages, mark);
    ck_assert_uint_eq(get(pages, 999), 0);
    ck_assert_uint_eq(pages_memory(pages), 0);
    pages_mark_free(mark);
    pages_mark_free(NULL);
    pages_free(pages);
    pages_free(NULL);
}
END_TEST

/* What freeing a mark gives back is what it said. */
START_TEST(mark_bytes_are_given_back)
{
    struct pages *pages = pages_new(1 << 20);
    struct pages_mark *mark[3];
    for (unsigned i = 0; i < 3; i++) {
        put(pages, 10, (uint8_t)(i + 1));
        put(pages, 1000 * i, 9);
        mark[i] = pages_mark(pages);
    }
    put(pages, 10, 100);
    static const unsigned order[] = { 1, 2, 0 };
    for (unsigned i = 0; i < 3; i++) {
        uint64_t before = pages_memory(pages), bytes = pages_mark_bytes(mark[order[i]]);
        pages_mark_free(mark[order[i]]);
        uint64_t freed = before - pages_memory(pages);
        ck_assert_uint_gt(freed, PAGES_BYTES);
        ck_assert_uint_ge(bytes, freed);
        ck_assert_uint_lt(bytes - freed, 100); /* the mark itself */
    }
    ck_assert_uint_eq(pages_memory(pages), pages_bytes(pages));
    pages_free(pages);
}
END_TEST

/* Against copies in full. */
START_TEST(marks_at_random)
{
    enum { ROOM = 2000, MARKS = 8, PLACES = 40 };
    static uint8_t now[ROOM], kept[MARKS][ROOM];
    struct pages *pages = pages_new(ROOM);
    struct pages_mark *mark[MARKS] = { NULL };
    uint64_t seed = 5;
    memset(now, 0, sizeof(now));
    for (unsigned step = 0; step < 20000; step++) {
        uint64_t word = test_random(&seed);
        unsigned place = (unsigned)(word >> 8) % PLACES * 49,
                 which = (unsigned)(word >> 24) % MARKS;
        switch (word % 8) {
        case 0:
            pages_mark_free(mark[which]);
            mark[which] = pages_mark(pages);
            memcpy(kept[which], now, ROOM);
            break;
        case 1:
            if (mark[which] && (word >> 32) % 4 == 0) {
                pages_return(pages, mark[which]);
                memcpy(now, kept[which], ROOM);
            }
            break;
        case 2:
            ck_assert(pages_drop(pages, place));
            now[place] = 0;
            break;
        case 3:
            for (unsigned i = 0; i < ROOM; i += 49)
                ck_assert_uint_eq(get(pages, i), now[i]);
            break;
        case 4:
            pages_mark_free(mark[which]);
            mark[which] = NULL;
            break;
        default: now[place] = (uint8_t)(1 + (word >> 40) % 255); put(pages, place, now[place]);
        }
    }
    for (unsigned i = 0; i < MARKS; i++)
        pages_mark_free(mark[i]);
    ck_assert_uint_eq(pages_memory(pages), pages_bytes(pages));
    pages_clear(pages);
    ck_assert_uint_eq(pages_memory(pages), 0);
    pages_free(pages);
}
END_TEST

/* --- memory that is mostly zeros -------------------------------------------------------------------- */

enum { SPARSE = 16 };
static uint8_t memory[SPARSE * PAGES_BYTES], other[SPARSE * PAGES_BYTES], hint[SPARSE];

static void save(struct snap *snap, uint8_t *hints)
{
    snap_save(snap);
    ck_assert(snap_begin(snap, "test", 0, 1));
    snap_sparse(snap, "memory", memory, sizeof(memory), hints);
    snap_end(snap);
}

static bool load(const uint8_t *bytes, size_t size, uint8_t *hints)
{
    struct snap snap;
    snap_load(&snap, bytes, size);
    (void)snap_begin(&snap, "test", 0, 1);
    snap_sparse(&snap, "memory", other, sizeof(other), hints);
    snap_end(&snap);
    return !snap.failed;
}

START_TEST(sparse_memory_skips_zeros)
{
    struct snap snap, hinted;
    memset(memory, 0, sizeof(memory));
    memset(other, 0xee, sizeof(other));
    memory[0] = 1;
    memory[5 * PAGES_BYTES + 4095] = 2;
    memory[sizeof(memory) - 1] = 3;
    save(&snap, NULL);
    ck_assert_uint_lt(snap.size, 4 * PAGES_BYTES);
    ck_assert(load(snap.data, snap.size, NULL));
    ck_assert_mem_eq(memory, other, sizeof(memory));
    memset(hint, 0, sizeof(hint));
    hint[0] = hint[5] = hint[15] = hint[7] = 1;
    save(&hinted, hint);
    ck_assert_uint_eq(snap.size, hinted.size);
    ck_assert_mem_eq(snap.data, hinted.data, snap.size);
    memset(hint, 0, sizeof(hint));
    memset(other, 0, sizeof(other));
    other[9 * PAGES_BYTES] = hint[9] = 1; /* what the hint names is cleared */
    ck_assert(load(snap.data, snap.size, hint));
    ck_assert_mem_eq(memory, other, sizeof(memory));
    ck_assert(hint[0] && hint[5] && hint[15] && !hint[8]);
    snap_free(&snap);
    snap_free(&hinted);
}
END_TEST

START_TEST(sparse_memory_refuses_disorder)
{
    struct snap snap;
    memset(memory, 0, sizeof(memory));
    memory[3 * PAGES_BYTES] = memory[8 * PAGES_BYTES] = 1;
    save(&snap, NULL);
    uint8_t *second = snap.data + SNAP_HEAD + 4 + PAGES_BYTES;
    ck_assert_uint_eq(second[0], 8);
    static const uint8_t bad[] = { 3, 0, SPARSE + 1, 0xff };
    for (size_t i = 0; i < sizeof(bad); i++) {
        second[0] = bad[i];
        ck_assert(!load(snap.data, snap.size, NULL));
    }
    second[0] = 4;
    ck_assert(load(snap.data, snap.size, NULL));
    for (size_t size = SNAP_HEAD; size < snap.size; size += 501)
        ck_assert(!load(snap.data, size, NULL));
    snap_free(&snap);
}
END_TEST

CHECK_MAIN("pages", pages_are_there_once_written, pages_come_in_order,
           pages_bytes_follow_from_what_is_there, mark_keeps_what_was_there, mark_of_nothing,
           mark_bytes_are_given_back, marks_at_random, sparse_memory_skips_zeros,
           sparse_memory_refuses_disorder)

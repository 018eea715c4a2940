/* Counting by a number: a table with open addressing. */
#include "emu/cli/trace_tally.h"

#include <stdlib.h>

#define FIRST_ROOM 64u

/* Where a number is, or the free row where it belongs. The table is never full. */
static struct tally_row *slot(const struct tally *tally, uint64_t key)
{
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
    for (;; at++) {
        struct tally_row *row = &tally->row[at & (tally->room - 1)];
        if (!row->samples || row->key == key)
            return row;
    }
}

static bool grow(struct tally *tally)
{
    struct tally larger = { .room = tally->room ? 2 * tally->room : FIRST_ROOM };
    larger.row = calloc(larger.room, sizeof(larger.row[0]));
    if (!larger.row)
        return false;
    for (size_t i = 0; i < tally->room; i++)
        if (tally->row[i].samples)
            *slot(&larger, tally->row[i].key) = tally->row[i];
    free(tally->row);
    tally->row = larger.row;
    tally->room = larger.room;
    return true;
}

struct tally_row *tally_find(struct tally *tally, uint64_t key)
{
    struct tally_row *row = tally->room ? slot(tally, key) : &tally->others;
    return row->samples && row != &tally->others ? row : &tally->others;
}

struct tally_row *tally_add(struct tally *tally, uint64_t key)
{
    struct tally_row *row = tally_find(tally, key);
    if (row == &tally->others && tally->used < TALLY_ROWS &&
        (2 * tally->used < tally->room || grow(tally))) {
        row = slot(tally, key);
        row->key = key;
        tally->used++;
    }
    row->samples++;
    return row;
}

void spent_add(struct spent *spent, uint64_t value)
{
    if (spent->count == 0 || value < spent->min)
        spent->min = value;
    if (value > spent->max)
        spent->max = value;
    spent->sum += value;
    spent->count++;
}

static int compare(const void *left, const void *right)
{
    const struct tally_row *a = left, *b = right;
    if (a->samples != b->samples)
        return a->samples < b->samples ? 1 : -1;
    return a->key < b->key ? -1 : a->key > b->key;
}

size_t tally_sort(struct tally *tally)
{
    if (tally->room)
        qsort(tally->row, tally->room, sizeof(tally->row[0]), compare);
    return tally->used;
}

void tally_free(struct tally *tally)
{
    free(tally->row);
    *tally = (struct tally){ 0 };
}

/* paging.c: see paging.h. */
#include "test-roms/lib/paging.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define ENTRIES 512u

extern uint64_t boot_pml4[];

uint64_t *paging_new_root(void)
{
    return rom_pages(1);
}

uint64_t *paging_root(void)
{
    return (uint64_t *)(read_cr3() & PAGE_ADDRESS);
}

void paging_allow_user(bool allow)
{
    if (allow)
        boot_pml4[0] |= PAGE_U;
    else
        boot_pml4[0] &= ~PAGE_U;
    write_cr3(read_cr3());
}

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

static unsigned leaf_level(uint64_t size)
{
    return size == PAGE_1G ? 3 : size == PAGE_2M ? 2 : 1;
}

/* Replace a large page by a table of 512 smaller ones with the same rights. */
static void split(uint64_t *entry, unsigned level)
{
    uint64_t *table = rom_pages(1);
    uint64_t flags = *entry & ~PAGE_ADDRESS;
    uint64_t base = *entry & PAGE_ADDRESS;

    if (level == 2)
        flags &= ~PAGE_PS;
    for (unsigned i = 0; i < ENTRIES; i++)
        table[i] = (base + ((uint64_t)i << level_shift(level - 1))) | flags;
    *entry = (uintptr_t)table | PAGE_P | PAGE_W | PAGE_U;
}

volatile uint64_t *paging_map(uint64_t *root, uint64_t la, uint64_t pa, uint64_t size,
                              uint64_t flags)
{
    unsigned leaf = leaf_level(size);
    uint64_t *table = root;
    uint64_t *entry;

    for (unsigned level = 4;; level--) {
        entry = &table[la >> level_shift(level) & (ENTRIES - 1)];
        if (level == leaf)
            break;
        if ((*entry & PAGE_P) == 0)
            *entry = (uintptr_t)rom_pages(1) | PAGE_P | PAGE_W | PAGE_U;
        else if (level < 4 && (*entry & PAGE_PS) != 0)
            split(entry, level);
        table = (uint64_t *)(*entry & PAGE_ADDRESS);
    }
    *entry = pa | flags | (leaf > 1 ? PAGE_PS : 0);
    return entry;
}

volatile uint64_t *paging_entry(uint64_t *root, uint64_t la, unsigned level)
{
    uint64_t *table = root;

    for (unsigned at = 4;; at--) {
        uint64_t *entry = &table[la >> level_shift(at) & (ENTRIES - 1)];

        if (at == level)
            return entry;
        if ((*entry & PAGE_P) == 0 || (at < 4 && (*entry & PAGE_PS) != 0))
            return NULL;
        table = (uint64_t *)(*entry & PAGE_ADDRESS);
    }
}

void paging_map_identity(uint64_t *root, uint64_t flags)
{
    for (uint64_t pa = 0; pa < 4 * PAGE_1G; pa += PAGE_2M)
        paging_map(root, pa, pa, PAGE_2M, flags);
}

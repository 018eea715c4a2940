/* paging.h: page tables of the program itself, and nested page tables: the formats are the same. */
#ifndef TEST_ROMS_LIB_PAGING_H
#define TEST_ROMS_LIB_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_4K UINT64_C(0x1000)
#define PAGE_2M UINT64_C(0x200000)
#define PAGE_1G UINT64_C(0x40000000)

#define PAGE_P UINT64_C(0x001)
#define PAGE_W UINT64_C(0x002)
#define PAGE_U UINT64_C(0x004)
#define PAGE_A UINT64_C(0x020)
#define PAGE_D UINT64_C(0x040)
#define PAGE_PS UINT64_C(0x080)
#define PAGE_G UINT64_C(0x100)
#define PAGE_NX (UINT64_C(1) << 63)
#define PAGE_ADDRESS UINT64_C(0x000ffffffffff000)

/* A linear address outside the identity map, in a PML4 entry of its own (the second). Tests map
 * what they like from here on. */
#define PAGING_WINDOW UINT64_C(0x0000008000000000)

/* An empty table of four levels. */
uint64_t *paging_new_root(void);

/* The root in force (CR3). */
uint64_t *paging_root(void);

/* Let CPL 3 use (or not use) the identity map: sets U/S in its PML4 entry and flushes the TLB. */
void paging_allow_user(bool allow);

/* Map one page. Tables that are missing are made with P, W and U; an existing larger page on the
 * way is split. Does not flush.
 * size   PAGE_4K, PAGE_2M or PAGE_1G    flags  complete low bits and NX, without PS
 * Returns the leaf entry. */
volatile uint64_t *paging_map(uint64_t *root, uint64_t la, uint64_t pa, uint64_t size,
                              uint64_t flags);

/* The entry for la at a level: 1 PTE, 2 PDE, 3 PDPE, 4 PML4E. Splits nothing; NULL if the walk
 * does not get there. */
volatile uint64_t *paging_entry(uint64_t *root, uint64_t la, unsigned level);

/* Map [0, 4 GiB) to itself in pages of 2 MiB with these flags. */
void paging_map_identity(uint64_t *root, uint64_t flags);

#endif

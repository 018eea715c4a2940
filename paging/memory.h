/* Physical memory of the machine: RAM and ROM objects, routing, and the one door of all writes.
 *
 * Routing: who answers an address is decided by, in this order: A20; the areas that the processor keeps for SMM (ASeg,
 * TSeg: memory_set_view()); what the chipset maps over the hole below 1 MiB (memory_map_hole()); RAM and ROM; the bus.
 * RAM goes on behind the hole, where only the second and third of these reach it. A change of the routing withdraws
 * what is derived from it (fast tables, the key of fetch pages and jump caches) and no decoded block: blocks belong to
 * backing pages. */
#ifndef PAGING_MEMORY_H
#define PAGING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;
struct snap;

/* MMIO: everything that is not RAM or ROM. size is 1, 2, 4 or 8 and never crosses the size's alignment
 * unless the guest did. Open bus reads all ones. */
struct mmio_ops {
    uint64_t (*read)(void *self, uint64_t spa, unsigned size);
    void (*write)(void *self, uint64_t spa, unsigned size, uint64_t value);
};

/* Marks of a physical page that make phys_written() act. */
enum page_mark {
    PAGE_HAS_CODE = 1, /* decoded blocks exist */
    PAGE_WATCHED = 2,  /* a watcher wants to hear of writes */
    PAGE_TOLD =
        8, /* and one of each access by processors, reads too (PROBE_TOUCH); always with PAGE_WATCHED */
    PAGE_DIRTY = 4 /* written since the dirty map was cleared; a page that never was holds zeros */
};
#define MEMORY_NO_PAGE UINT64_MAX
#define MEMORY_ALL_CLEAN (UINT64_MAX - 1)

/* Make the memory of a PC: RAM of `ram_bytes` (a multiple of 4 KiB): 0-0x9ffff, a hole up to 1 MiB, then
 * RAM to its end, or if it has 3.5 GiB or more to 0xc0000000 and the rest from 4 GiB. RAM is one lazily allocated zero mapping.
 * Returns NULL if the workstation refuses. */
struct memory *memory_new(uint64_t ram_bytes);
void memory_free(struct memory *memory);
uint64_t memory_ram_bytes(const struct memory *memory);
uint64_t memory_high_bytes(const struct memory *memory); /* how much of it lies from 4 GiB on */

/* How much of the RAM the workstation holds in its own memory now, in KiB. */
uint64_t memory_resident_kib(const struct memory *memory);

/* Put a ROM with a copy of `image` at spa. Both spa and bytes are multiples of 4 KiB. Returns false (nothing
 * changes) if it would cover RAM or another ROM, or does not fit. Writes to it are ignored. Firmware comes twice: its
 * last 128 KiB end at 1 MiB, in the hole, and all of it ends at 4 GiB. */
bool memory_add_rom(struct memory *memory, uint64_t spa, const void *image, size_t bytes);

/* Who answers accesses to a ROM. Flash memory is a ROM whose writes a device gets from the bus, and whose reads too while
 * it takes a command. */
enum rom_route { ROM_ALONE, ROM_BUS_WRITES, ROM_BUS_ALL };

/* Set it for the ROM that begins at spa. Returns false: there is none. */
bool memory_route_rom(struct memory *memory, uint64_t spa, enum rom_route route);

/* Change what a ROM holds at [spa, spa + len), as its device does. Blocks decoded from it go. Returns false (nothing
 * changes): not all of that is one ROM. */
bool memory_program_rom(struct memory *memory, uint64_t spa, const void *from, size_t len);

/* Where accesses to a page of the hole A0000h-FFFFFh go: without a bit to the ROM there, else to the bus; with it to
 * the RAM behind. Reads and writes apart, and apart for processors in SMM: what the PAM and SMRAM registers of a host
 * bridge say. All are 0 after memory_new(). */
enum hole_map {
    HOLE_READ_RAM = 1,
    HOLE_WRITE_RAM = 2,
    HOLE_SMM_READ_RAM = 4,
    HOLE_SMM_WRITE_RAM = 8
};

/* Set the map of [spa, spa + bytes), multiples of 4 KiB. Returns false (nothing changes) if that leaves the hole. RAM
 * too small to have pages there is answered by the bus. */
bool memory_map_hole(struct memory *memory, uint64_t spa, uint64_t bytes, unsigned map);

/* What the processor whose turn it is makes of physical addresses: its mode and its SMM_ADDR, SMM_MASK, VM_CR.
 * APM vol 2, 10.2.5 "SMRAM Protected Areas", 15.30.1 "VM_CR MSR". All zero: as after memory_new(). */
struct memory_view {
    bool smm;
    bool ignores_a20; /* VM_CR.DIS_A20M */
    bool aseg, tseg;  /* SMM_MASK.AE, TE: the area is there for SMM only */
    uint64_t tseg_addr, tseg_mask;
};

/* To be set at each change of turn and of these registers. Cheap when nothing changes. Derived tables are each
 * processor's own and stay: fast entries and fetch pages of SMM are kept apart by walk_regime.smm; after a change of
 * the other members the caller withdraws its own with paging_remapped(). */
void memory_set_view(struct memory *memory, const struct memory_view *view);
const struct memory_view *memory_get_view(const struct memory *memory);

/* The A20 line: closed, bit 20 of every physical address counts as 0, in table walks too; guest physical addresses
 * are none. Open after memory_new(). */
void memory_set_a20(struct memory *memory, bool open);
bool memory_a20(const struct memory *memory);

void memory_set_mmio(struct memory *memory, const struct mmio_ops *ops, void *self);

/* Who drops blocks when code is written: called for pages with PAGE_HAS_CODE or PAGE_WATCHED. `page` is the
 * backing page number (see memory_backing()). */
void memory_set_written(struct memory *memory,
                        void (*written)(void *self, uint64_t page, unsigned offset, unsigned len),
                        void *self);

/* Called when a page gains or loses PAGE_HAS_CODE or PAGE_WATCHED, or loses PAGE_DIRTY, so that
 * fast entries which could write it are withdrawn; with MEMORY_ALL_CLEAN when every page loses PAGE_DIRTY, with
 * MEMORY_NO_PAGE when the routing has changed. paging registers here, one for each vCPU. Returns false when the table is full. */
bool memory_add_mark_listener(struct memory *memory, void (*changed)(void *self, uint64_t page),
                              void *self);
void memory_remove_mark_listener(struct memory *memory, void (*changed)(void *self, uint64_t page),
                                 void *self);

/* The backing page number (a dense index over RAM and ROM objects) that reads of a system physical address reach, or
 * UINT64_MAX for MMIO and holes. memory_page_ptr() gives its 4096 native bytes. */
uint64_t memory_backing(const struct memory *memory, uint64_t spa);
uint8_t *memory_page_ptr(const struct memory *memory, uint64_t page);
uint64_t memory_page_count(const struct memory *memory);
bool memory_page_writable(const struct memory *memory, uint64_t page); /* false: ROM */

/* Replace what a backing page holds, RAM or ROM, as loading a saved machine does; NULL: by zeros. Marked as after a write if anything
 * changes. */
void memory_set_page(struct memory *memory, uint64_t page, const void *from);

uint8_t memory_marks(const struct memory *memory, uint64_t page);
void memory_set_marks(struct memory *memory, uint64_t page, uint8_t set, uint8_t clear);

/* The dirty map. The first page from `from` on that was written since the last memory_dirty_clear(), by whomever: processors
 * with what they do by themselves (accessed and dirty bits, pushes, VMCBs), devices, loaders, debuggers; or MEMORY_NO_PAGE.
 * Before the first clearing these are all pages that can hold anything but zeros, ROMs included. */
uint64_t memory_dirty_next(const struct memory *memory, uint64_t from);
void memory_dirty_clear(struct memory *memory);

/* Change what a page holds, RAM or ROM; NULL: zeros. Counts as written. */
void memory_put_page(struct memory *memory, uint64_t page, const void *bytes);

/* Native pointer to [spa, spa + len) if that is RAM, to be read and written, within one page, else NULL. Writers call
 * phys_written() afterwards. */
uint8_t *memory_ptr(const struct memory *memory, uint64_t spa, size_t len);

/* Little-endian physical accesses of 1-8 bytes; RAM, ROM or MMIO; may cross pages. Open bus, and what lies
 * beyond the last address, reads all ones. MMIO sees 1, 2, 4 or 8 bytes: other sizes, and the pieces of an
 * access that is MMIO in one page only, are split, low part first. */
uint64_t phys_read(struct memory *memory, uint64_t spa, unsigned size);
void phys_write(struct memory *memory, uint64_t spa, unsigned size, uint64_t value);

/* The 64 KiB from `base` (a multiple of that) that devices do not reach: the memory controller's SL_DEV, which SKINIT
 * enables. MEMORY_NO_SLB, as after memory_new(): none. APM vol 2, 15.24.8 "Secure Initialization Support". */
#define MEMORY_SLB_BYTES 0x10000u
#define MEMORY_NO_SLB UINT64_MAX
void memory_set_slb(struct memory *memory, uint64_t base);
uint64_t memory_slb(const struct memory *memory);

/* May a device reach all of [spa, spa + len)? To be asked before each access of its own to memory. */
bool memory_device_may(const struct memory *memory, uint64_t spa, size_t len);

/* Block copies for loaders, devices and debuggers. Return false (nothing copied) if any byte is not RAM
 * (ROM may be read). */
bool phys_read_block(struct memory *memory, uint64_t spa, void *to, size_t len);
bool phys_write_block(struct memory *memory, uint64_t spa, const void *from, size_t len);

/* The section "memory": who answers which address. What RAM and ROMs hold is no part of it, nor is the view, which is that of
 * the processor whose turn it is. */
void memory_routes_state(struct memory *memory, struct snap *snap);

/* To be called after every write through a native pointer to [spa, spa + len), which is RAM. */
void phys_written(struct memory *memory, uint64_t spa, size_t len);

#endif

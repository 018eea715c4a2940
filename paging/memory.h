/* Physical memory of the machine: RAM and ROM objects, routing, and the one door of all writes. */
#ifndef PAGING_MEMORY_H
#define PAGING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

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
    PAGE_DIRTY = 4     /* written since the dirty map was cleared */
};

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
 * changes) if it would cover RAM or another ROM, or does not fit. Writes to it are ignored. */
bool memory_add_rom(struct memory *memory, uint64_t spa, const void *image, size_t bytes);

void memory_set_mmio(struct memory *memory, const struct mmio_ops *ops, void *self);

/* Who drops blocks when code is written: called for pages with PAGE_HAS_CODE or PAGE_WATCHED. `page` is the
 * backing page number (see memory_backing()). */
void memory_set_written(struct memory *memory,
                        void (*written)(void *self, uint64_t page, unsigned offset, unsigned len),
                        void *self);

/* Called when a page gains or loses PAGE_HAS_CODE or PAGE_WATCHED, or loses PAGE_DIRTY, so that
 * fast entries which could write it are withdrawn. paging registers here, one for each vCPU.
 * Returns false when the table is full. */
bool memory_add_mark_listener(struct memory *memory, void (*changed)(void *self, uint64_t page),
                              void *self);
void memory_remove_mark_listener(struct memory *memory, void (*changed)(void *self, uint64_t page),
                                 void *self);

/* The backing page number (a dense index over RAM and ROM objects) of a system physical address, or
 * UINT64_MAX for MMIO and holes. memory_page_ptr() gives its 4096 native bytes. */
uint64_t memory_backing(const struct memory *memory, uint64_t spa);
uint8_t *memory_page_ptr(const struct memory *memory, uint64_t page);
uint64_t memory_page_count(const struct memory *memory);
bool memory_page_writable(const struct memory *memory, uint64_t page); /* false: ROM */

uint8_t memory_marks(const struct memory *memory, uint64_t page);
void memory_set_marks(struct memory *memory, uint64_t page, uint8_t set, uint8_t clear);

/* Native pointer to [spa, spa + len) if that is RAM within one page, else NULL. Writers call phys_written()
 * afterwards. */
uint8_t *memory_ptr(const struct memory *memory, uint64_t spa, size_t len);

/* Little-endian physical accesses of 1-8 bytes; RAM, ROM or MMIO; may cross pages. Open bus, and what lies
 * beyond the last address, reads all ones. MMIO sees 1, 2, 4 or 8 bytes: other sizes, and the pieces of an
 * access that is MMIO in one page only, are split, low part first. */
uint64_t phys_read(struct memory *memory, uint64_t spa, unsigned size);
void phys_write(struct memory *memory, uint64_t spa, unsigned size, uint64_t value);

/* Block copies for loaders, devices and debuggers. Return false (nothing copied) if any byte is not RAM
 * (ROM may be read). */
bool phys_read_block(struct memory *memory, uint64_t spa, void *to, size_t len);
bool phys_write_block(struct memory *memory, uint64_t spa, const void *from, size_t len);

/* To be called after every write through a native pointer to [spa, spa + len), which is RAM. */
void phys_written(struct memory *memory, uint64_t spa, size_t len);

#endif

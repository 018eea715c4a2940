/* A guest memory, a source and what came of loading it. */
#ifndef TESTS_BOOT_KIT_H
#define TESTS_BOOT_KIT_H

#include <stdlib.h>

#include "emu/boot/boot.h"
#include "tests/boot/images.h"
#include "tests/check_main.h"

#define MIB 0x100000ull

struct load {
    struct memory *memory;
    struct image *image;
    struct boot_source source;
    struct boot_entry entry;
    struct pacifica_diag diag;
};

static inline void load_open(struct load *l, uint64_t ram_bytes)
{
    memset(l, 0, sizeof(*l));
    l->memory = memory_new(ram_bytes);
    l->image = calloc(1, sizeof(*l->image));
    ck_assert_ptr_nonnull(l->memory);
    ck_assert_ptr_nonnull(l->image);
    l->source.kernel_name = "kernel.elf";
    l->source.cmdline = "one two=3";
}

static inline void load_close(struct load *l)
{
    memory_free(l->memory);
    free(l->image);
}

static inline enum pacifica_status load_run(struct load *l)
{
    /* A copy of exactly the file's length, so that a sanitizer sees every byte too far. */
    uint8_t *exact = malloc(l->image->len ? l->image->len : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, l->image->bytes, l->image->len);
    l->source.kernel = exact;
    l->source.kernel_len = l->image->len;
    memset(&l->diag, 0, sizeof(l->diag));
    enum pacifica_status status = boot_load(l->memory, &l->source, &l->entry, &l->diag);
    l->source.kernel = NULL;
    free(exact);
    return status;
}

/* Pages written since the marks were cleared. */
static inline uint64_t load_dirty_pages(const struct load *l, bool clear)
{
    uint64_t dirty = 0;
    for (uint64_t page = 0; page < memory_page_count(l->memory); page++) {
        dirty += (memory_marks(l->memory, page) & PAGE_DIRTY) != 0;
        if (clear)
            memory_set_marks(l->memory, page, 0, PAGE_DIRTY);
    }
    return dirty;
}

/* Loading works. */
static inline void load_ok(struct load *l, enum boot_protocol protocol)
{
    enum pacifica_status status = load_run(l);
    ck_assert_msg(status == PACIFICA_OK, "status %d: %s", status, l->diag.what);
    ck_assert_uint_gt(load_dirty_pages(l, false), 0);
    ck_assert_int_eq(l->entry.protocol, protocol);
}

/* Loading fails with this status, says `text`, names what is wrong, and leaves everything alone. */
static inline void load_bad(struct load *l, enum pacifica_status want, const char *text)
{
    (void)load_dirty_pages(l, true);
    l->entry = (struct boot_entry){ .eip = 0x12345678 };
    enum pacifica_status status = load_run(l);
    ck_assert_msg(status == want, "status %d, not %d: %s", status, want, l->diag.what);
    ck_assert_msg(strstr(l->diag.what, text) != NULL, "'%s' does not say '%s'", l->diag.what, text);
    ck_assert_str_ne(l->diag.what, "");
    ck_assert_str_ne(l->diag.where, "");
    ck_assert_uint_eq(l->entry.eip, 0x12345678);
    ck_assert_uint_eq(load_dirty_pages(l, false), 0);
}

static inline uint64_t rd(const struct load *l, uint64_t spa, unsigned size)
{
    return phys_read(l->memory, spa, size);
}

static inline void text_at(const struct load *l, uint64_t spa, const char *want)
{
    for (size_t i = 0; i <= strlen(want); i++)
        ck_assert_uint_eq(rd(l, spa + i, 1), (uint8_t)want[i]);
}

/* The segment's data arrived and zeros follow up to memsz. `from`: bytes before it belong to headers. */
static inline void segment_at(const struct load *l, uint64_t spa, unsigned index, size_t from,
                              size_t filesz, size_t memsz)
{
    for (size_t i = from; i < memsz; i++)
        if (rd(l, spa + i, 1) != (i < filesz ? image_byte(index, i) : 0))
            ck_abort_msg("segment %u differs at byte %zu", index, i);
}

#endif

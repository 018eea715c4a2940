/* Images of every kind, built in memory: for the loaders' tests and as seeds of the fuzz corpus. */
#ifndef TESTS_BOOT_IMAGES_H
#define TESTS_BOOT_IMAGES_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define IMAGE_MAX 0x20000
#define IMAGE_DATA 0x400 /* where the data of the first segment stands in an ELF file */
#define IMAGE_SEGMENTS 70

struct image {
    size_t len;
    uint8_t bytes[IMAGE_MAX];
};

struct image_segment {
    uint64_t vaddr, paddr, memsz, filesz; /* filesz bytes of data, made from the index */
};

/* An ELF file to be built. `note` bytes of the PVH note's value: 0 (none), 4 or 8. */
struct image_elf {
    bool elf64;
    uint64_t entry;
    unsigned count;
    struct image_segment segment[IMAGE_SEGMENTS];
    unsigned note;
    uint64_t pvh_entry;
};

static inline void image_put(struct image *image, size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        image->bytes[at + i] = (uint8_t)(value >> 8 * i);
    if (at + bytes > image->len)
        image->len = at + bytes;
}

static inline void image_phdr(struct image *image, bool elf64, unsigned index, Elf64_Phdr p)
{
    if (elf64) {
        memcpy(image->bytes + sizeof(Elf64_Ehdr) + index * sizeof(p), &p, sizeof(p));
        return;
    }
    Elf32_Phdr narrow = { .p_type = p.p_type,
                          .p_offset = (Elf32_Off)p.p_offset,
                          .p_vaddr = (Elf32_Addr)p.p_vaddr,
                          .p_paddr = (Elf32_Addr)p.p_paddr,
                          .p_filesz = (Elf32_Word)p.p_filesz,
                          .p_memsz = (Elf32_Word)p.p_memsz,
                          .p_flags = p.p_flags,
                          .p_align = 4 };
    memcpy(image->bytes + sizeof(Elf32_Ehdr) + index * sizeof(narrow), &narrow, sizeof(narrow));
}

static inline void image_ehdr(struct image *image, const struct image_elf *elf, unsigned phnum)
{
    Elf64_Ehdr wide = { .e_type = ET_EXEC,
                        .e_machine = EM_X86_64,
                        .e_version = EV_CURRENT,
                        .e_entry = elf->entry,
                        .e_phoff = sizeof(Elf64_Ehdr),
                        .e_ehsize = sizeof(Elf64_Ehdr),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = (Elf64_Half)phnum };
    Elf32_Ehdr narrow = { .e_type = ET_EXEC,
                          .e_machine = EM_386,
                          .e_version = EV_CURRENT,
                          .e_entry = (Elf32_Addr)elf->entry,
                          .e_phoff = sizeof(Elf32_Ehdr),
                          .e_ehsize = sizeof(Elf32_Ehdr),
                          .e_phentsize = sizeof(Elf32_Phdr),
                          .e_phnum = (Elf32_Half)phnum };
    if (elf->elf64)
        memcpy(image->bytes, &wide, sizeof(wide));
    else
        memcpy(image->bytes, &narrow, sizeof(narrow));
    memcpy(image->bytes, ELFMAG, SELFMAG);
    image->bytes[EI_CLASS] = elf->elf64 ? ELFCLASS64 : ELFCLASS32;
    image->bytes[EI_DATA] = ELFDATA2LSB;
    image->bytes[EI_VERSION] = EV_CURRENT;
}

/* What byte `at` of segment `index` is. Zero in the first 64, where tests put headers. */
static inline uint8_t image_byte(unsigned index, size_t at)
{
    return at < 64 ? 0 : (uint8_t)(at * 7 + index * 31 + 1);
}

static inline void image_build_elf(struct image *image, const struct image_elf *elf)
{
    /* With many segments the table is longer: the data starts behind it. */
    size_t at = elf->count > 12 ? 0x1400 : IMAGE_DATA;
    unsigned phnum = elf->count + (elf->note != 0);

    memset(image, 0, sizeof(*image));
    image_ehdr(image, elf, phnum);
    for (unsigned i = 0; i < elf->count; i++) {
        const struct image_segment *s = &elf->segment[i];
        image_phdr(image, elf->elf64, i,
                   (Elf64_Phdr){ .p_type = PT_LOAD,
                                 .p_flags = PF_R | PF_W | PF_X,
                                 .p_offset = at,
                                 .p_vaddr = s->vaddr,
                                 .p_paddr = s->paddr,
                                 .p_filesz = s->filesz,
                                 .p_memsz = s->memsz,
                                 .p_align = 4 });
        for (size_t b = 0; b < s->filesz; b++)
            image->bytes[at + b] = image_byte(i, b);
        at += s->filesz;
    }
    if (elf->note) {
        at = (at + 7) & ~(size_t)7;
        image_phdr(image, elf->elf64, elf->count,
                   (Elf64_Phdr){ .p_type = PT_NOTE,
                                 .p_flags = PF_R,
                                 .p_offset = at,
                                 .p_filesz = 16 + 24 + elf->note,
                                 .p_memsz = 16 + 24 + elf->note,
                                 .p_align = 4 });
        /* First a note of somebody else, then Xen's. */
        image_put(image, at, 4, 4);
        image_put(image, at + 4, 4, 4);
        image_put(image, at + 8, 18, 4);
        memcpy(image->bytes + at + 12, "GNU", 4);
        image_put(image, at + 16, 0xdead, 4);
        image_put(image, at + 20, 4, 4);
        image_put(image, at + 24, elf->note, 4);
        image_put(image, at + 28, 18, 4);
        memcpy(image->bytes + at + 32, "Xen", 4);
        image_put(image, at + 36, elf->pvh_entry, elf->note);
        at += 16 + 24 + elf->note;
    }
    if (at > image->len)
        image->len = at;
}

/* A Multiboot 1 header at a file offset, with its checksum. */
static inline void image_multiboot1(struct image *image, size_t at, uint32_t flags)
{
    image_put(image, at, 0x1badb002, 4);
    image_put(image, at + 4, flags, 4);
    image_put(image, at + 8, 0u - 0x1badb002u - flags, 4);
}

/* A Multiboot 2 header without tags; image_tag() appends them and image_multiboot2_end() finishes it. */
static inline size_t image_multiboot2(struct image *image, size_t at)
{
    image_put(image, at, 0xe85250d6, 4);
    image_put(image, at + 4, 0, 4);
    return at + 16;
}

static inline size_t image_tag(struct image *image, size_t at, uint16_t type, uint16_t flags,
                               unsigned words, const uint32_t *word)
{
    image_put(image, at, type, 2);
    image_put(image, at + 2, flags, 2);
    image_put(image, at + 4, 8 + 4 * words, 4);
    for (unsigned i = 0; i < words; i++)
        image_put(image, at + 8 + 4 * i, word[i], 4);
    return (at + 8 + 4 * words + 7) & ~(size_t)7;
}

static inline void image_multiboot2_length(struct image *image, size_t at, uint32_t length)
{
    image_put(image, at + 8, length, 4);
    image_put(image, at + 12, 0u - 0xe85250d6u - length, 4);
}

static inline void image_multiboot2_end(struct image *image, size_t at, size_t end)
{
    end = image_tag(image, end, 0, 0, 0, NULL);
    image_multiboot2_length(image, at, (uint32_t)(end - at));
}

/* The usual small image: ELF32 at 1 MiB with one segment, entry behind the header's place. */
static inline struct image_elf image_small(void)
{
    return (struct image_elf){ .entry = 0x100040,
                               .count = 1,
                               .segment = { { 0x100000, 0x100000, 0x3000, 0x800 } } };
}

static inline void image_build_multiboot1(struct image *image)
{
    struct image_elf elf = image_small();
    image_build_elf(image, &elf);
    image_multiboot1(image, IMAGE_DATA, 3);
}

static inline void image_build_multiboot1_flat(struct image *image)
{
    memset(image, 0, sizeof(*image));
    image_multiboot1(image, 0x10, 0x10003);
    static const uint32_t field[] = { 0x200010, 0x200000, 0x200800, 0x202000, 0x200040 };
    for (unsigned i = 0; i < 5; i++)
        image_put(image, 0x10 + 12 + 4 * i, field[i], 4);
    for (size_t i = 64; i < 0x800; i++)
        image_put(image, i, image_byte(0, i), 1);
}

static inline void image_build_multiboot2(struct image *image)
{
    static const uint32_t wants[] = { 1, 6 };
    struct image_elf elf = image_small();
    image_build_elf(image, &elf);
    size_t at = image_multiboot2(image, IMAGE_DATA);
    at = image_tag(image, at, 1, 0, 2, wants);
    image_multiboot2_end(image, IMAGE_DATA, at);
}

/* A Linux bzImage: one setup sector more, IMAGE_LINUX_BYTES of code. */
#define IMAGE_LINUX_CODE 0x600
#define IMAGE_LINUX_BYTES 0x1000
#define IMAGE_LINUX_INIT 0x8000

static inline void image_build_linux(struct image *image)
{
    memset(image, 0, sizeof(*image));
    image_put(image, 0x1f1, 2, 1); /* setup sectors behind the first */
    image_put(image, 0x1f4, IMAGE_LINUX_BYTES / 16, 4);
    image_put(image, 0x1fe, 0xaa55, 2);
    image_put(image, 0x200, 0x66eb, 2); /* the header ends at 268h */
    memcpy(image->bytes + 0x202, "HdrS", 4);
    image_put(image, 0x206, 0x20f, 2);
    image_put(image, 0x211, 1, 1); /* loaded high */
    image_put(image, 0x214, 0x100000, 4);
    image_put(image, 0x22c, 0x7fffffff, 4);
    image_put(image, 0x230, 0x200000, 4);
    image_put(image, 0x234, 1, 1); /* relocatable */
    image_put(image, 0x236, 1, 2); /* 64-bit entry */
    image_put(image, 0x238, 255, 4);
    image_put(image, 0x258, 0x400000, 8);
    image_put(image, 0x260, IMAGE_LINUX_INIT, 4);
    for (size_t i = 0; i < IMAGE_LINUX_BYTES; i++)
        image_put(image, IMAGE_LINUX_CODE + i, image_byte(0, i), 1);
}

static inline void image_build_pvh(struct image *image)
{
    struct image_elf elf = image_small();
    elf.elf64 = true;
    elf.note = 4;
    elf.pvh_entry = 0x100080;
    image_build_elf(image, &elf);
}

#endif

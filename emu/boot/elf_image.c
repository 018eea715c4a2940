/* ELF images, through libelf. libelf keeps its own reads within the image; what the program headers promise about the
 * file and about memory is checked here. */
#include "emu/boot/boot_priv.h"

#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18 /* xen/include/public/elfnote.h */

bool elf_image_is_elf(const struct boot_source *source)
{
    return source->kernel_len >= SELFMAG && memcmp(source->kernel, ELFMAG, SELFMAG) == 0;
}

static enum pacifica_status malformed(struct boot_plan *plan, const char *what)
{
    return diag_set(plan->diag, PACIFICA_EFORMAT, plan->source->kernel_name,
                    "readelf -hl shows the headers", "%s", what);
}

/* The header fields that decide whether this is an image for an x86 PC. */
static enum pacifica_status check_header(struct boot_plan *plan, const GElf_Ehdr *header)
{
    unsigned char class = header->e_ident[EI_CLASS];
    bool machine_ok = (class == ELFCLASS32 && header->e_machine == EM_386) ||
                      (class == ELFCLASS64 && header->e_machine == EM_X86_64);
    if (header->e_ident[EI_DATA] != ELFDATA2LSB || !machine_ok)
        return malformed(plan, "the ELF image is not for x86");
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return malformed(plan, "the ELF file is not linked to an executable image");
    return PACIFICA_OK;
}

/* Open the image and read its header. On success *elf must be closed with elf_end(). */
static enum pacifica_status open_image(struct boot_plan *plan, Elf **elf, GElf_Ehdr *header,
                                       size_t *phnum)
{
    enum pacifica_status status;
    if (elf_version(EV_CURRENT) == EV_NONE)
        return malformed(plan, "libelf does not know this version of ELF");
    /* elf_memory() wants a plain pointer, but only reads. */
    *elf = elf_memory((char *)(uintptr_t)plan->source->kernel, plan->source->kernel_len);
    if (!*elf || elf_kind(*elf) != ELF_K_ELF || !gelf_getehdr(*elf, header))
        status = malformed(plan, "the ELF header is malformed or truncated");
    else if (elf_getphdrnum(*elf, phnum) != 0)
        status = malformed(plan, "the ELF program headers lie outside of the file");
    else
        status = check_header(plan, header);
    if (status != PACIFICA_OK)
        elf_end(*elf);
    return status;
}

/* Look through a note segment. A malformed one ends the search: notes are optional. */
static void find_pvh_note(Elf *elf, const GElf_Phdr *segment, struct elf_facts *facts)
{
    Elf_Data *data =
        elf_getdata_rawchunk(elf, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_NHDR);
    GElf_Nhdr note;
    size_t name, desc, at = 0;

    while (data && at < data->d_size && (at = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
        const uint8_t *bytes = data->d_buf;
        if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || note.n_namesz != 4 ||
            memcmp(bytes + name, "Xen", 4) != 0)
            continue;
        if (note.n_descsz != 4 && note.n_descsz != 8)
            continue;
        facts->has_pvh = true;
        facts->pvh_entry = boot_get32(bytes + desc);
        if (note.n_descsz == 8)
            facts->pvh_entry |= (uint64_t)boot_get32(bytes + desc + 4) << 32;
        return;
    }
}

enum pacifica_status elf_image_inspect(struct boot_plan *plan, struct elf_facts *facts)
{
    Elf *elf;
    GElf_Ehdr header;
    GElf_Phdr segment;
    size_t phnum;
    enum pacifica_status status = open_image(plan, &elf, &header, &phnum);

    if (status != PACIFICA_OK)
        return status;
    for (size_t i = 0; i < phnum && !facts->has_pvh; i++)
        if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_NOTE &&
            segment.p_filesz != 0)
            find_pvh_note(elf, &segment, facts);
    elf_end(elf);
    return PACIFICA_OK;
}

static enum pacifica_status plan_segment(struct boot_plan *plan, const GElf_Phdr *segment,
                                         unsigned index)
{
    const struct boot_source *source = plan->source;

    if (segment->p_filesz > segment->p_memsz)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name, NULL,
                        "segment %u has more bytes in the file (%#" PRIx64
                        ") than in memory (%#" PRIx64 ")",
                        index, segment->p_filesz, segment->p_memsz);
    if (segment->p_offset > source->kernel_len ||
        segment->p_filesz > source->kernel_len - segment->p_offset)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name,
                        "the file may be truncated",
                        "segment %u needs %#" PRIx64 " bytes at offset %#" PRIx64
                        ", but the file has %#zx bytes",
                        index, segment->p_filesz, segment->p_offset, source->kernel_len);
    struct boot_part part = { .spa = segment->p_paddr,
                              .mem_bytes = segment->p_memsz,
                              .bytes = source->kernel + segment->p_offset,
                              .file_bytes = segment->p_filesz };
    return boot_plan_segment(plan, &part, "segment", index);
}

enum pacifica_status elf_image_load(struct boot_plan *plan, struct elf_facts *facts)
{
    Elf *elf;
    GElf_Ehdr header;
    GElf_Phdr segment;
    size_t phnum;
    bool translated = false;
    enum pacifica_status status = open_image(plan, &elf, &header, &phnum);

    if (status != PACIFICA_OK)
        return status;
    facts->entry = header.e_entry;
    for (size_t i = 0; i < phnum && status == PACIFICA_OK; i++) {
        if (!gelf_getphdr(elf, (int)i, &segment)) {
            status = malformed(plan, "the ELF program headers lie outside of the file");
        } else if (segment.p_type == PT_LOAD) {
            status = plan_segment(plan, &segment, (unsigned)i);
            /* The entry is a virtual address: it starts at the same place of its segment. */
            if (!translated && header.e_entry - segment.p_vaddr < segment.p_memsz) {
                facts->entry = header.e_entry - segment.p_vaddr + segment.p_paddr;
                translated = true;
            }
        }
    }
    elf_end(elf);
    if (status == PACIFICA_OK && plan->image_parts == 0)
        status = malformed(plan, "the ELF image has nothing to load");
    return status;
}

/* The image loaders on arbitrary bytes: no crash, no write on error, and what a success promises is true. */
#include <stdlib.h>
#include <string.h>

#include "emu/boot/boot.h"
#include "tests/fuzz/fuzz.h"

#define RAM_BYTES 0x800000u

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

static bool is_ram(const struct memory *memory, uint64_t spa, uint64_t len)
{
    return len == 0 || (memory_ptr(memory, spa, 1) && memory_ptr(memory, spa + len - 1, 1));
}

static bool anything_written(const struct memory *memory)
{
    for (uint64_t page = 0; page < memory_page_count(memory); page++)
        if (memory_marks(memory, page) & PAGE_DIRTY)
            return true;
    return false;
}

/* Follow the Multiboot 1 and PVH information far enough to see that everything lies in RAM. */
static void check_information(struct memory *memory, const struct boot_entry *entry)
{
    uint64_t info = entry->ebx;
    if (entry->protocol == BOOT_MULTIBOOT1) {
        uint64_t modules = phys_read(memory, info + 24, 4);
        require(entry->eax == 0x2badb002 && phys_read(memory, info + 20, 4) == 2);
        require(is_ram(memory, modules, 32));
        require(is_ram(memory, phys_read(memory, modules, 4), 5));
        require(phys_read(memory, phys_read(memory, modules, 4), 4) == 0x75646f6d);
        require(is_ram(memory, phys_read(memory, info + 48, 4), phys_read(memory, info + 44, 4)));
    } else if (entry->protocol == BOOT_PVH) {
        uint64_t modules = phys_read(memory, info + 16, 8);
        require(phys_read(memory, info, 4) == 0x336ec578);
        require(phys_read(memory, phys_read(memory, modules, 8), 4) == 0x75646f6d);
        require(is_ram(memory, phys_read(memory, info + 40, 8), 24 * 4));
    } else if (entry->protocol == BOOT_LINUX) {
        uint64_t zero_page = entry->esi;
        require(is_ram(memory, zero_page, 0x1000) &&
                phys_read(memory, zero_page + 0x1fe, 2) == 0xaa55);
        require(is_ram(memory, phys_read(memory, zero_page + 0x228, 4), 13));
        require(phys_read(memory, zero_page + 0x218, 4) == entry->initrd);
        require(phys_read(memory, entry->initrd, 4) == 0x75646f6d);
        require(is_ram(memory, entry->gdt, entry->gdt_limit + 1));
        require(!entry->long_mode || is_ram(memory, entry->cr3, 6 * 0x1000));
    } else {
        require(entry->eax == 0x36d76289 && info % 8 == 0);
        require(is_ram(memory, info, phys_read(memory, info, 4)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t module_bytes[] = "module";
    const struct boot_module module[] = {
        { module_bytes, sizeof(module_bytes), "module", "module" },
        { module_bytes, 0, "empty", NULL },
    };
    const struct boot_source source = { .kernel = data,
                                        .kernel_len = size,
                                        .kernel_name = "fuzz",
                                        .cmdline = "console=com1",
                                        .modules = module,
                                        .module_count = 2 };
    const struct boot_entry untouched = { .eip = 0x11111111 };
    struct boot_entry entry = untouched;
    struct pacifica_diag diag = { .what = "" };
    struct memory *memory = memory_new(RAM_BYTES);
    if (!memory)
        return 0;

    if (boot_load(memory, &source, &entry, &diag) == PACIFICA_OK) {
        require(is_ram(memory, entry.eip, 1));
        check_information(memory, &entry);
    } else {
        require(diag.what[0] != 0 && memchr(diag.what, 0, sizeof(diag.what)) != NULL);
        require(entry.eip == untouched.eip && !anything_written(memory));
    }
    memory_free(memory);
    return 0;
}

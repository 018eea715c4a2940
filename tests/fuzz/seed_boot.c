/* Write the seeds of fuzz_boot's corpus into a folder: one small image of each kind.
 * usage: fuzz_seed_boot FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/boot/images.h"

static int write_image(const char *folder, const char *name, const struct image *image)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 1;
    size_t written = fwrite(image->bytes, 1, image->len, file);
    return fclose(file) != 0 || written != image->len;
}

/* Multiboot 2 with every tag the loader reads, and no ELF around it. */
static void build_multiboot2_tags(struct image *image)
{
    static const uint32_t address[] = { 0x200020, 0x200000, 0x200800, 0x202000 };
    static const uint32_t wants[] = { 1, 2, 3, 4, 6, 21 };
    static const uint32_t screen[] = { 800, 600, 32 };
    static const uint32_t range[] = { 0x100000, 0x7fffff, 4096, 1 };
    static const uint32_t entry = 0x200200, console = 2;

    memset(image, 0, sizeof(*image));
    image->len = 0x800;
    size_t at = image_multiboot2(image, 0x20);
    at = image_tag(image, at, 1, 0, 6, wants);
    at = image_tag(image, at, 2, 0, 4, address);
    at = image_tag(image, at, 3, 0, 1, &entry);
    at = image_tag(image, at, 4, 0, 1, &console);
    at = image_tag(image, at, 5, 1, 3, screen);
    at = image_tag(image, at, 6, 0, 0, NULL);
    at = image_tag(image, at, 10, 0, 4, range);
    image_multiboot2_end(image, 0x20, at);
}

static void build_everything(struct image *image)
{
    struct image_elf elf = image_small();
    elf.elf64 = true;
    elf.count = 3;
    elf.segment[0].filesz = elf.segment[0].memsz = 0x1000;
    elf.segment[1] = (struct image_segment){ 0xffffffff80200000, 0x200000, 0x2000, 0x200 };
    elf.segment[2] = (struct image_segment){ 0x10000, 0x10000, 0x1000, 0 };
    elf.note = 8;
    elf.pvh_entry = 0x200010;
    image_build_elf(image, &elf);
    image_multiboot2_end(image, IMAGE_DATA + 0x40, image_multiboot2(image, IMAGE_DATA + 0x40));
}

int main(int argc, char **argv)
{
    static struct image image;
    static const struct {
        const char *name;
        void (*build)(struct image *image);
    } seed[] = { { "multiboot1", image_build_multiboot1 },
                 { "multiboot1-flat", image_build_multiboot1_flat },
                 { "multiboot2", image_build_multiboot2 },
                 { "multiboot2-tags", build_multiboot2_tags },
                 { "pvh", image_build_pvh },
                 { "linux", image_build_linux },
                 { "pvh-multiboot2", build_everything } };
    if (argc != 2)
        return 2;
    (void)mkdir(argv[1], 0777);
    for (size_t i = 0; i < sizeof(seed) / sizeof(seed[0]); i++) {
        seed[i].build(&image);
        if (write_image(argv[1], seed[i].name, &image)) {
            (void)fprintf(stderr, "%s: %s cannot be written\n", argv[1], seed[i].name);
            return 1;
        }
    }
    return 0;
}

/* Seeds of fuzz_vmcb_file: pages of each kind, pieces of pages, and exit codes. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE 4096u

static int write_seed(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size) {
        (void)fprintf(stderr, "%s: cannot be written\n", path);
        if (file)
            (void)fclose(file);
        return 1;
    }
    return fclose(file) != 0;
}

static void put(uint8_t *page, unsigned at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        page[at + i] = (uint8_t)(value >> (8 * i));
}

/* A guest in 64-bit mode with nested paging, as it stands after a nested page fault. */
static void fill(uint8_t page[PAGE])
{
    memset(page, 0, PAGE);
    put(page, 0x00c, 0x9a040001, 4);
    put(page, 0x010, 3, 4);
    put(page, 0x058, 1, 4);
    put(page, 0x070, 0x400, 8);
    put(page, 0x078, 0x100000006, 8);
    put(page, 0x080, 0x40000, 8);
    put(page, 0x090, 1, 8);
    put(page, 0x0a8, 0x280000b0e, 8);
    put(page, 0x412, 0x29b, 2);
    put(page, 0x4d0, 0x1500, 8);
    put(page, 0x548, 0x20, 8);
    put(page, 0x558, 0x80000011, 8);
    put(page, 0x570, 0x202, 8);
    put(page, 0x668, 0x0007040600070406, 8);
}

int main(int argc, char **argv)
{
    static const char *const codes[] = { "npf", "VMEXIT_CPUID", "72h", "0x7b",
                                         "-1",  "400h",         "h",   "-" };
    /* Where the piece begins, whether it is repeated, and its bytes. */
    static const uint8_t pieces[][8] = { { 0x58, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
                                         { 0x00, 0x10, 0xff, 0x00, 0x5a, 0xa5, 0x80, 0x01 },
                                         { 0x10, 0x14, 0x9b, 0x02, 0xff, 0xff, 0x0f, 0x00 },
                                         { 0xa8, 0x00, 0x0e, 0x0b, 0x00, 0x80, 0x02, 0x00 } };
    uint8_t page[PAGE];
    char name[32];
    int failed = 0;
    if (argc != 2)
        return 2;
    (void)mkdir(argv[1], 0777);
    fill(page);
    failed |= write_seed(argv[1], "guest", page, PAGE);
    failed |= write_seed(argv[1], "short", page, PAGE - 1);
    memset(page, 0xff, PAGE);
    failed |= write_seed(argv[1], "ones", page, PAGE);
    memset(page, 0, PAGE);
    failed |= write_seed(argv[1], "zeros", page, PAGE);
    failed |= write_seed(argv[1], "empty", page, 0);
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        (void)snprintf(name, sizeof(name), "code-%u", i);
        failed |= write_seed(argv[1], name, codes[i], strlen(codes[i]));
    }
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        (void)snprintf(name, sizeof(name), "piece-%u", i);
        failed |= write_seed(argv[1], name, pieces[i], sizeof(pieces[i]));
    }
    return failed;
}

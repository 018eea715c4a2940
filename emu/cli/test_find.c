/* Finding ROMs and their expectations. */
#include "emu/cli/test.h"

#include "emu/base/diag.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MOST 32
#define EXPECT_FILE_MOST (UINT64_C(1) << 20)

static enum pacifica_status no_memory(struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
}

static const char *const endings[] = { ".elf", ".bin", ".rom" };

/* How long the path is without its ending; 0 if that is not one of a ROM. */
static size_t stem_length(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; length > 4 && i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcmp(path + length - 4, endings[i]) == 0 && path[length - 5] != '/')
            return length - 4;
    return 0;
}

/* "PATH.expect" if that is a file. */
static enum pacifica_status read_expectation(struct rom *rom, size_t stem,
                                             struct pacifica_diag *diag)
{
    struct pacifica_bytes bytes;
    struct stat status;
    char *path = malloc(stem + sizeof(".expect"));
    if (!path)
        return no_memory(diag);
    memcpy(path, rom->path, stem);
    memcpy(path + stem, ".expect", sizeof(".expect"));
    enum pacifica_status result = PACIFICA_OK;
    bool exists = stat(path, &status) == 0;
    if (!exists && errno == ENOENT) {
        expectation_default(&rom->expectation);
    } else if (!exists) {
        result = diag_set(diag, PACIFICA_EIO, path, NULL, "%s", strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        result = diag_set(diag, PACIFICA_EIO, path, NULL, "no regular file");
    } else {
        result = file_read(path, EXPECT_FILE_MOST, &bytes, diag);
        if (result == PACIFICA_OK)
            result = expectation_parse(&rom->expectation, bytes.data, bytes.size, path, diag);
        file_free(&bytes);
    }
    free(path);
    return result;
}

static bool grow(struct rom_list *list)
{
    if (list->count < list->room)
        return true;
    size_t room = 2 * list->room + 64;
    struct rom *more = realloc(list->rom, room * sizeof(*more));
    if (!more)
        return false;
    list->rom = more;
    list->room = room;
    return true;
}

/* Add the file if it passes the filter. `skip`: bytes of the path that are not part of the name. */
static enum pacifica_status add_rom(const struct test_options *options, struct rom_list *list,
                                    const char *path, size_t skip, struct pacifica_diag *diag)
{
    size_t stem = stem_length(path);
    if (stem == 0) /* somebody named it: so it is one */
        stem = strlen(path);
    char *name = strndup(path + skip, stem - skip);
    if (!name)
        return no_memory(diag);
    if (options->filter && fnmatch(options->filter, name, 0) != 0) {
        free(name);
        return PACIFICA_OK;
    }
    char *copy = strdup(path);
    if (!copy || !grow(list)) {
        free(name);
        free(copy);
        return no_memory(diag);
    }
    struct rom *rom = &list->rom[list->count++];
    *rom = (struct rom){ .path = copy, .name = name };
    return read_expectation(rom, stem, diag);
}

/* One entry of a folder. CHOICE: links to folders are not followed, so that a ring of links has an end. */
static enum pacifica_status add_path(const struct test_options *options, struct rom_list *list,
                                     const char *path, size_t skip, unsigned depth,
                                     struct pacifica_diag *diag);

static enum pacifica_status add_folder(const struct test_options *options, struct rom_list *list,
                                       const char *folder, size_t skip, unsigned depth,
                                       struct pacifica_diag *diag)
{
    DIR *stream = opendir(folder);
    enum pacifica_status status = PACIFICA_OK;
    if (!stream)
        return diag_set(diag, PACIFICA_EIO, folder, NULL, "%s", strerror(errno));
    for (struct dirent *entry; status == PACIFICA_OK && (entry = readdir(stream));) {
        size_t room = strlen(folder) + strlen(entry->d_name) + 2;
        char *path = entry->d_name[0] == '.' ? NULL : malloc(room);
        if (entry->d_name[0] == '.')
            continue;
        if (!path) {
            status = no_memory(diag);
            break;
        }
        (void)snprintf(path, room, "%s/%s", folder, entry->d_name);
        status = add_path(options, list, path, skip, depth, diag);
        free(path);
    }
    (void)closedir(stream);
    return status;
}

static enum pacifica_status add_path(const struct test_options *options, struct rom_list *list,
                                     const char *path, size_t skip, unsigned depth,
                                     struct pacifica_diag *diag)
{
    struct stat link, status;
    if (lstat(path, &link) != 0 || stat(path, &status) != 0)
        return PACIFICA_OK; /* it has just gone */
    if (S_ISDIR(link.st_mode) && depth == DEPTH_MOST)
        return diag_set(diag, PACIFICA_EIO, path, NULL, "more than %d folders deep", DEPTH_MOST);
    if (S_ISDIR(link.st_mode))
        return add_folder(options, list, path, skip, depth + 1, diag);
    if (S_ISREG(status.st_mode) && stem_length(path) > skip)
        return add_rom(options, list, path, skip, diag);
    return PACIFICA_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct rom *first = a, *second = b;
    int order = strcmp(first->name, second->name);
    return order ? order : strcmp(first->path, second->path);
}

enum pacifica_status test_find(const struct test_options *options, struct rom_list *list,
                               struct pacifica_diag *diag)
{
    enum pacifica_status result = PACIFICA_OK;
    *list = (struct rom_list){ 0 };
    for (unsigned i = 0; result == PACIFICA_OK && i < options->path_count; i++) {
        const char *path = options->paths[i];
        struct stat status;
        if (stat(path, &status) != 0)
            return diag_set(diag, PACIFICA_EIO, path, NULL, "%s", strerror(errno));
        if (!S_ISDIR(status.st_mode)) {
            result = add_rom(options, list, path, 0, diag);
            continue;
        }
        char *folder = strdup(path);
        if (!folder)
            return no_memory(diag);
        for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/';)
            folder[--length] = '\0';
        result = add_folder(options, list, folder, strlen(folder) + 1, 0, diag);
        free(folder);
    }
    if (result == PACIFICA_OK && list->count == 0)
        return diag_set(diag, PACIFICA_EUSAGE, "test",
                        "files named *.elf, *.bin and *.rom are ROMs", "no ROM there%s",
                        options->filter ? " that the filter lets through" : "");
    if (list->count)
        qsort(list->rom, list->count, sizeof(list->rom[0]), by_name);
    return result;
}

void test_free(struct rom_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct rom *rom = &list->rom[i];
        expectation_free(&rom->expectation);
        free(rom->path);
        free(rom->name);
        free(rom->report);
    }
    free(list->rom);
    *list = (struct rom_list){ 0 };
}

/* `pacifica snap`: what snapshots hold, without a machine. */
#include "emu/cli/snapshots.h"

#include "emu/base/diag.h"
#include "emu/cli/files.h"
#include "emu/cli/options.h"
#include "emu/cli/session.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_FOUND 1 /* as diff has it: there is something to tell */
#define PATH_BYTES 4096
#define MAGIC "PACIFICA-SNAP"
#define KEPT_TEXT 8192

static void write_stdout(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)fwrite(bytes, 1, size, stdout);
}
static const struct pacifica_output to_stdout = { .write = write_stdout };

static int complain(const struct pacifica_diag *diag)
{
    cli_complain(diag);
    return CLI_STATUS_USAGE;
}

static int usage(const char *what)
{
    struct pacifica_diag diag = { 0 };
    (void)diag_set(&diag, PACIFICA_EUSAGE, "snap", "-help tells what it takes", "%s", what);
    return complain(&diag);
}

static enum pacifica_status read_one(const char *path, struct pacifica_bytes *bytes,
                                     struct pacifica_diag *diag)
{
    return file_read(path, FILE_SNAPSHOT_MOST, bytes, diag);
}

/* The library says "snapshot" or "snapshots": of which file. */
static void name_file(struct pacifica_diag *diag, const char *path)
{
    char rest[128] = "";
    if (strncmp(diag->where, "snapshot,", 9) == 0)
        (void)snprintf(rest, sizeof(rest), "%.120s", diag->where + 8);
    (void)snprintf(diag->where, sizeof(diag->where), "%.120s%s", path, rest);
}

/* --- list ----------------------------------------------------------------------------------- */

/* The beginning of what `info` tells: the lines that a list takes stand there. */
struct kept {
    char text[KEPT_TEXT];
    size_t size;
};

static void keep(void *self, const void *bytes, size_t size)
{
    struct kept *kept = self;
    size_t room = sizeof(kept->text) - 1 - kept->size;
    size = size < room ? size : room;
    memcpy(kept->text + kept->size, bytes, size);
    kept->size += size;
    kept->text[kept->size] = '\0';
}

/* The value of a line, "" if it is not there. Returns its length. */
static int value_of(const struct kept *kept, const char *key, const char **value)
{
    size_t size = strlen(key);
    for (const char *line = kept->text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, size) != 0 || line[size] != ' ')
            continue;
        *value = line + size + strspn(line + size, " ");
        return (int)strcspn(*value, " \n");
    }
    *value = "";
    return 0;
}

static void list_head(void)
{
    (void)printf("%-30s %14s %14s %-16s %4s %8s %10s\n", "file", "steps", "time-ns", "cpu", "cpus",
                 "RAM MiB", "KiB");
}

static int list_bytes(const char *path, const struct pacifica_bytes *bytes)
{
    struct kept kept = { .size = 0 };
    const struct pacifica_output output = { .write = keep, .self = &kept };
    struct pacifica_diag diag = { 0 };
    const char *steps, *time, *cpu, *cpus, *memory;
    if (pacifica_snapshot_info(bytes, &output, &diag) != PACIFICA_OK) {
        name_file(&diag, path);
        return complain(&diag);
    }
    int steps_size = value_of(&kept, "steps", &steps),
        time_size = value_of(&kept, "time-ns", &time);
    int cpu_size = value_of(&kept, "cpu", &cpu), cpus_size = value_of(&kept, "processors", &cpus);
    (void)value_of(&kept, "memory", &memory);
    (void)printf("%-30s %14.*s %14.*s %-16.*s %4.*s %8llu %10zu\n", path, steps_size, steps,
                 time_size, time, cpu_size, cpu, cpus_size, cpus, strtoull(memory, NULL, 10) >> 20,
                 bytes->size / 1024);
    return CLI_STATUS_OK;
}

static int list_file(const char *path)
{
    struct pacifica_bytes bytes;
    struct pacifica_diag diag = { 0 };
    if (read_one(path, &bytes, &diag) != PACIFICA_OK)
        return complain(&diag);
    int status = list_bytes(path, &bytes);
    file_free(&bytes);
    return status;
}

/* Of a folder only what begins as a snapshot. */
static bool is_snapshot(const char *path)
{
    char head[sizeof(MAGIC) - 1];
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    FILE *file = fopen(path, "rb");
    bool is = file && fread(head, 1, sizeof(head), file) == sizeof(head) &&
              memcmp(head, MAGIC, sizeof(head)) == 0;
    if (file)
        (void)fclose(file);
    return is;
}

static int list_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), worst = CLI_STATUS_OK;
    for (int i = 0; i < count; i++) {
        char name[PATH_BYTES];
        int length = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (length > 0 && (size_t)length < sizeof(name) && is_snapshot(name) &&
            list_file(name) != CLI_STATUS_OK)
            worst = CLI_STATUS_USAGE;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return worst;
}

static int list(int count, char **paths)
{
    int worst = CLI_STATUS_OK;
    if (count == 0)
        return usage("list takes folders or files");
    list_head();
    for (int i = 0; i < count; i++) {
        struct stat status;
        bool folder = stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode);
        int one = folder ? list_folder(paths[i]) : list_file(paths[i]);
        worst = one != CLI_STATUS_OK ? one : worst;
    }
    return worst;
}

/* --- info, diff ----------------------------------------------------------------------------- */

static int info(int count, char **paths)
{
    struct pacifica_bytes bytes;
    struct pacifica_diag diag = { 0 };
    if (count != 1)
        return usage("info takes one file");
    enum pacifica_status status = read_one(paths[0], &bytes, &diag);
    if (status == PACIFICA_OK) {
        status = pacifica_snapshot_info(&bytes, &to_stdout, &diag);
        if (status != PACIFICA_OK)
            name_file(&diag, paths[0]);
    }
    file_free(&bytes);
    return status == PACIFICA_OK ? CLI_STATUS_OK : complain(&diag);
}

/* Which of two is no snapshot? */
static const char *culprit(char **paths, const struct pacifica_bytes bytes[2])
{
    const struct pacifica_output nowhere = { .write = NULL };
    bool first = pacifica_snapshot_info(&bytes[0], &nowhere, NULL) != PACIFICA_OK;
    return first ? paths[0] : paths[1];
}

static int diff(int count, char **paths)
{
    struct pacifica_bytes bytes[2] = { 0 };
    struct pacifica_diag diag = { 0 };
    uint64_t found = 0;
    if (count != 2)
        return usage("diff takes two files");
    enum pacifica_status status = read_one(paths[0], &bytes[0], &diag);
    if (status == PACIFICA_OK)
        status = read_one(paths[1], &bytes[1], &diag);
    if (status == PACIFICA_OK) {
        status = pacifica_snapshot_diff(&bytes[0], &bytes[1], &to_stdout, &found, &diag);
        if (status == PACIFICA_EFORMAT)
            name_file(&diag, culprit(paths, bytes));
    }
    for (unsigned i = 0; i < 2; i++)
        file_free(&bytes[i]);
    if (status != PACIFICA_OK)
        return complain(&diag);
    return found ? STATUS_FOUND : CLI_STATUS_OK;
}

int snapshots_main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "--help") == 0 ||
            strcmp(argv[i], "-h") == 0) {
            cli_help();
            return fflush(stdout) == 0 ? CLI_STATUS_OK : CLI_STATUS_USAGE;
        }
    int status = strcmp(verb, "list") == 0   ? list(argc - 2, argv + 2)
                 : strcmp(verb, "info") == 0 ? info(argc - 2, argv + 2)
                 : strcmp(verb, "diff") == 0 ? diff(argc - 2, argv + 2)
                                             : usage("wanted: list, info or diff");
    return fflush(stdout) == 0 ? status : CLI_STATUS_USAGE;
}

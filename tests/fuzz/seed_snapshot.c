/* Seeds of fuzz_snapshot: machines that have just been made, and that have run a little; as they are, to be mended, and cut; and
 * changes to the state of one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pacifica/pacifica.h>

struct file {
    uint8_t bytes[1 << 20];
    size_t size;
};

static bool put(void *self, const void *bytes, size_t size)
{
    struct file *file = self;
    if (size > sizeof(file->bytes) - file->size)
        return false;
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
    return true;
}

static int write_seed(const char *folder, const char *name, const struct file *file, size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(file->bytes, 1, size, stream) != size) {
        (void)fprintf(stderr, "%s: cannot be written\n", path);
        if (stream)
            (void)fclose(stream);
        return 1;
    }
    return fclose(stream) != 0;
}

static int write_seeds(const char *folder, const char *name, struct pacifica_machine *machine,
                       struct file *file)
{
    char path[64];
    int failed = 0;
    for (uint8_t mend = 0; mend < 2; mend++) {
        file->bytes[0] = mend;
        file->size = 1;
        failed |= pacifica_machine_save(machine, &(struct pacifica_writer){ put, file }, NULL) !=
                  PACIFICA_OK;
        (void)snprintf(path, sizeof(path), "%s-%u", name, mend);
        failed |= write_seed(folder, path, file, file->size);
        (void)snprintf(path, sizeof(path), "%s-half-%u", name, mend);
        failed |= write_seed(folder, path, file, file->size / 2);
    }
    return failed;
}

/* Changes in many places: mutations move them. */
static int write_changes(const char *folder, struct file *file)
{
    int failed = 0;
    for (unsigned n = 0; n < 16; n++) {
        char name[32];
        file->bytes[0] = 2;
        file->size = 1;
        for (unsigned i = 0; i < 8; i++) {
            uint32_t place = (n * 8 + i) * 2654435761u;
            const uint8_t change[4] = { (uint8_t)place, (uint8_t)(place >> 8),
                                        (uint8_t)(place >> 16), n & 1 ? 0xff : 1 };
            failed |= !put(file, change, sizeof(change));
        }
        (void)snprintf(name, sizeof(name), "changes-%u", n);
        failed |= write_seed(folder, name, file, file->size);
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    struct file *file = calloc(1, sizeof(*file));
    options.ram_bytes = UINT64_C(1) << 20;
    options.cpus = 2;
    if (argc != 2 || !file || pacifica_machine_new(&options, &machine, NULL) != PACIFICA_OK)
        return 2;
    (void)mkdir(argv[1], 0777);
    int failed = write_seeds(argv[1], "new", machine, file);
    limits.max_steps = 1000;
    pacifica_machine_run(machine, &limits, &result);
    failed |= write_seeds(argv[1], "run", machine, file);
    failed |= write_changes(argv[1], file);
    pacifica_machine_free(machine);
    free(file);
    return failed;
}

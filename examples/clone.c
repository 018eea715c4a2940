/* Save a machine in the middle of its work, load it into a second one, and let both go on: they end alike.
 *
 *   cc clone.c $(pkg-config --cflags --libs pacifica) -o clone
 *   ./clone demo.elf 50000 */
#include "example.h"

#include <pacifica/pacifica.h>

#include <inttypes.h>
#include <string.h>

/* A snapshot in memory. */
struct store {
    uint8_t *data;
    size_t size, room;
};

static bool store_write(void *self, const void *bytes, size_t size)
{
    struct store *store = self;
    if (store->room - store->size < size) {
        size_t room = 2 * store->room + size;
        uint8_t *data = realloc(store->data, room);
        if (!data)
            return false;
        store->data = data;
        store->room = room;
    }
    memcpy(store->data + store->size, bytes, size);
    store->size += size;
    return true;
}

static enum pacifica_status make(struct pacifica_machine **machine,
                                 const struct pacifica_kernel *kernel, struct pacifica_diag *diag)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = UINT64_C(64) << 20;
    enum pacifica_status status = pacifica_machine_new(&options, machine, diag);
    return status == PACIFICA_OK ? pacifica_machine_load_kernel(*machine, kernel, diag) : status;
}

static void run_to(struct pacifica_machine *machine, uint64_t steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_steps = steps;
    pacifica_machine_run(machine, &limits, &result);
}

int main(int argc, char **argv)
{
    struct pacifica_kernel kernel = { .name = argc > 1 ? argv[1] : NULL };
    struct pacifica_machine *original = NULL, *clone = NULL;
    struct pacifica_diag diag = { 0 };
    struct store store = { 0 };
    const struct pacifica_writer writer = { .write = store_write, .self = &store };
    if (argc != 3 || !example_read(argv[1], &kernel.image))
        return example_usage(argv[0], "IMAGE STEPS");
    uint64_t steps = strtoull(argv[2], NULL, 0);

    enum pacifica_status status = make(&original, &kernel, &diag);
    if (status == PACIFICA_OK)
        status = make(&clone, &kernel, &diag);
    if (status == PACIFICA_OK) {
        run_to(original, steps);
        status = pacifica_machine_save(original, &writer, &diag);
    }
    if (status == PACIFICA_OK) {
        const struct pacifica_bytes snapshot = { .data = store.data, .size = store.size };
        status = pacifica_machine_load(clone, &snapshot, &diag);
    }
    if (status == PACIFICA_OK) {
        run_to(original, 2 * steps);
        run_to(clone, 2 * steps);
        bool alike = pacifica_machine_state_hash(original) == pacifica_machine_state_hash(clone);
        (void)printf("a snapshot of %zu bytes; the clone's end is %s\n", store.size,
                     alike ? "the same" : "another");
    }
    free(store.data);
    pacifica_machine_free(clone);
    pacifica_machine_free(original);
    example_free(&kernel.image);
    return example_end(status, &diag);
}

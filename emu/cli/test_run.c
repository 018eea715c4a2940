/* One ROM: running it, judging it, and looking once more at the last events of one that failed. */
#include "emu/cli/test.h"

#include "emu/base/diag.h"
#include "emu/cli/firmware.h"

#include <stdlib.h>
#include <string.h>

#define OUTPUT_MOST (UINT64_C(16) << 20) /* what a ROM prints beyond is thrown away */
#define EVENTS "svm,int,guest_errors,unimp"
#define EXIT_PORT 0xf4
#define EXIT_PORTS 4
#define EVENT_TOLD 300 /* bytes of an event that a report shows */

/* A machine with a ROM and what it printed. */
struct bench {
    struct pacifica_machine *machine;
    struct pacifica_bytes image;
    char *output;
    size_t used, room;
    size_t stop_at; /* stop when so many bytes were printed and one more */
    struct pacifica_result result;
};

static void take_output(void *self, const void *bytes, size_t size)
{
    struct bench *bench = self;
    if (size > OUTPUT_MOST - bench->used)
        size = OUTPUT_MOST - bench->used;
    if (bench->used + size > bench->room) {
        size_t room = 2 * bench->room + size + 4096;
        char *more = realloc(bench->output, room);
        if (!more)
            return;
        bench->output = more;
        bench->room = room;
    }
    if (size)
        memcpy(bench->output + bench->used, bytes, size);
    bench->used += size;
    if (bench->used > bench->stop_at)
        pacifica_machine_stop(bench->machine);
}

static bool is_firmware(const struct rom *rom)
{
    size_t length = strlen(rom->path);
    if (rom->expectation.start != EXPECT_BY_NAME)
        return rom->expectation.start == EXPECT_FIRMWARE;
    return length < 4 || strcmp(rom->path + length - 4, ".elf") != 0;
}

/* The bytes of a disk: each word is its own number. */
static bool read_disk(void *self, uint64_t offset, void *to, size_t size)
{
    uint8_t *byte = to;
    (void)self;
    for (size_t i = 0; i < size; i++)
        byte[i] = (uint8_t)((offset + i) / 4 >> 8 * ((offset + i) % 4));
    return true;
}

static void make_disks(const struct expectation *e, struct pacifica_disk disk[EXPECT_DISKS])
{
    for (unsigned i = 0; i < e->disk_count; i++)
        disk[i] = (struct pacifica_disk){ .interface = e->disk[i].interface,
                                          .cdrom = e->disk[i].cdrom,
                                          .index = e->disk[i].index,
                                          .size_bytes = (uint64_t)e->disk[i].sectors *
                                                        (e->disk[i].cdrom ? 2048 : 512),
                                          .read = read_disk };
}

static enum pacifica_status make_machine(struct bench *bench, const struct expectation *e,
                                         struct pacifica_diag *diag)
{
    const struct pacifica_output output = { .write = take_output, .self = bench };
    struct pacifica_device device[EXPECT_DEBUGCONS + 4];
    struct pacifica_disk disk[EXPECT_DISKS];
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    size_t count = 0;
    device[count++] = (struct pacifica_device){ .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                .port = EXIT_PORT,
                                                .port_count = EXIT_PORTS };
    if (e->pc_testdev)
        device[count++] = (struct pacifica_device){ .kind = PACIFICA_DEVICE_PC_TESTDEV };
    if (e->pci_testdev)
        device[count++] = (struct pacifica_device){ .kind = PACIFICA_DEVICE_PCI_TESTDEV };
    if (e->virtio_rng)
        device[count++] = (struct pacifica_device){ .kind = PACIFICA_DEVICE_VIRTIO_RNG };
    for (unsigned i = 0; i < e->debugcon_count; i++)
        device[count++] = (struct pacifica_device){ .kind = PACIFICA_DEVICE_DEBUGCON,
                                                    .port = e->debugcon[i],
                                                    .port_count = 1,
                                                    .output = output };
    options.ram_bytes = e->ram_bytes;
    options.cpu = e->cpu;
    options.cpus = e->cpus;
    options.seed = e->seed;
    options.serial = output;
    options.devices = device;
    options.device_count = count;
    make_disks(e, disk);
    options.disks = disk;
    options.disk_count = e->disk_count;
    return pacifica_machine_new(&options, &bench->machine, diag);
}

static enum pacifica_status load(struct bench *bench, const struct rom *rom,
                                 struct pacifica_diag *diag)
{
    if (is_firmware(rom)) {
        struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
        firmware.image = bench->image;
        firmware.name = rom->name;
        return pacifica_machine_load_firmware(bench->machine, &firmware, diag);
    }
    const struct pacifica_kernel kernel = { .image = bench->image,
                                            .name = rom->name,
                                            .cmdline = rom->expectation.append };
    return pacifica_machine_load_kernel(bench->machine, &kernel, diag);
}

static void bench_end(struct bench *bench)
{
    pacifica_machine_free(bench->machine);
    file_free(&bench->image);
    free(bench->output);
}

static enum pacifica_status bench_begin(struct bench *bench, const struct rom *rom,
                                        struct pacifica_diag *diag)
{
    *bench = (struct bench){ .stop_at = SIZE_MAX };
    uint64_t most = is_firmware(rom) ? FILE_FIRMWARE_MOST : FILE_IMAGE_MOST;
    enum pacifica_status status = file_read(rom->path, most, &bench->image, diag);
    if (status == PACIFICA_OK)
        status = make_machine(bench, &rom->expectation, diag);
    if (status == PACIFICA_OK)
        status = load(bench, rom, diag);
    return status;
}

static void bench_go(struct bench *bench, uint64_t max_steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    limits.max_steps = max_steps;
    pacifica_machine_run(bench->machine, &limits, &bench->result);
}

/* --- the last events --------------------------------------------------------------------------- */

/* The last `room` lines of a trace. */
struct ring {
    char **line; /* NULL: none yet */
    size_t room, next;
};

static void ring_put(void *self, const void *bytes, size_t size)
{
    struct ring *ring = self;
    char *copy = malloc(size + 1);
    if (!copy)
        return;
    memcpy(copy, bytes, size);
    copy[size && copy[size - 1] == '\n' ? size - 1 : size] = '\0';
    free(ring->line[ring->next]);
    ring->line[ring->next] = copy;
    ring->next = (ring->next + 1) % ring->room;
}

/* Write the lines, oldest first, and forget them. */
static void ring_flush(struct ring *ring, FILE *out)
{
    for (size_t i = 0; i < ring->room; i++) {
        char **line = &ring->line[(ring->next + i) % ring->room];
        if (*line) {
            test_put(out, *line, strlen(*line), EVENT_TOLD);
            (void)fputc('\n', out);
        }
        free(*line);
        *line = NULL;
    }
}

static void show(struct bench *bench, struct ring *ring, const char *events, uint64_t max_steps,
                 FILE *out)
{
    const struct pacifica_output output = { .write = ring_put, .self = ring };
    const struct pacifica_trace_options options = { .events = events, .output = output };
    struct pacifica_trace *trace;
    if (pacifica_trace_attach(bench->machine, &options, &trace, NULL) != PACIFICA_OK)
        return;
    bench_go(bench, max_steps);
    pacifica_trace_free(trace);
    ring_flush(ring, out);
}

/* The step at which the output grew beyond `stop_at`. */
static uint64_t find_step(const struct rom *rom, size_t stop_at, uint64_t max_steps)
{
    struct bench bench;
    if (bench_begin(&bench, rom, NULL) == PACIFICA_OK) {
        bench.stop_at = stop_at;
        bench_go(&bench, max_steps);
        max_steps = bench.result.steps;
    }
    bench_end(&bench);
    return max_steps;
}

/* Runs are repeatable: so run again, and trace. First the last events up to `last` steps before `end`, then, up to
 * `max_steps`, the instructions too. */
static void show_last(const struct rom *rom, uint64_t end, uint64_t max_steps, unsigned last,
                      FILE *out)
{
    struct bench bench;
    /* A string instruction or a delivery may show several lines a step. */
    struct ring ring = { .line = calloc(4 * (size_t)last, sizeof(char *)), .room = last };
    uint64_t before = end > last ? end - last : 0;
    if (!ring.line)
        return;
    if (bench_begin(&bench, rom, NULL) == PACIFICA_OK) {
        show(&bench, &ring, EVENTS, before, out);
        ring.next = 0;
        ring.room = 4 * (size_t)last;
        show(&bench, &ring, EVENTS ",exec", max_steps, out);
    }
    bench_end(&bench);
    free(ring.line);
}

/* --- all of it ---------------------------------------------------------------------------------------- */

bool test_run(const struct rom *rom, const struct test_options *options, FILE *out)
{
    struct bench bench;
    struct pacifica_diag diag = { 0 };
    const struct expectation *e = &rom->expectation;
    uint64_t max_steps = e->max_insns ? e->max_insns : options->max_insns;
    size_t bad_at;
    if (bench_begin(&bench, rom, &diag) != PACIFICA_OK) {
        (void)fprintf(out, "cannot start: %s%s%s\n%c%c", diag.what, diag.where[0] ? ": " : "",
                      diag.where, 0, 0);
        bench_end(&bench);
        return false;
    }
    bench_go(&bench, max_steps);
    const struct rom_outcome outcome = {
        .result = bench.result,
        .output = bench.output,
        .output_size = bench.used,
        .state_hash = e->has_hash ? pacifica_machine_state_hash(bench.machine) : 0,
    };
    bool passed = test_judge(e, &outcome, out, &bad_at);
    uint64_t end = bench.result.steps;
    bench_end(&bench);
    (void)fputc('\0', out);
    if (bad_at != SIZE_MAX)
        max_steps = end = find_step(rom, bad_at, end);
    if (!passed && options->last)
        show_last(rom, end, max_steps, options->last, out);
    (void)fputc('\0', out);
    return passed;
}

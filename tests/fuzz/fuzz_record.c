/* Recordings from anywhere: they are refused or run, and nothing else happens. The first byte says what the others are: a recording,
 * what stands behind the head of one that fits, or values of inputs whose checksums are right. */
#include <pacifica/pacifica.h>

#include <stdlib.h>
#include <string.h>

#include "emu/machine/journal.h"
#include "tests/fuzz/fuzz.h"

#define STEPS 20000u
#define TAPE (1u << 20)

static const uint8_t image[] = {
    0x02, 0xb0, 0xad, 0x1b, 0,    0,    1,    0,    0xfe, 0x4f, 0x51, 0xe4, 0, 0,
    0x10, 0,    0,    0,    0x10, 0,    0,    0,    0,    0,    0,    0,    0, 0,
    0x20, 0,    0x10, 0,    0x66, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xfc /* mov dx, 3f8h; 1: in al, dx; out dx, al; jmp 1 */
};

struct tape {
    size_t size;
    uint8_t bytes[TAPE];
};

static void add(void *self, const void *bytes, size_t size)
{
    struct tape *tape = self;
    if (size > TAPE - tape->size)
        return;
    memcpy(tape->bytes + tape->size, bytes, size);
    tape->size += size;
}

static struct pacifica_machine *make(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    const struct pacifica_kernel kernel = { .image = { image, sizeof(image) } };
    const struct pacifica_nic nic = { .send = NULL };
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    options.nics = &nic;
    options.nic_count = 1;
    if (pacifica_machine_new(&options, &machine, NULL) != PACIFICA_OK ||
        pacifica_machine_load_kernel(machine, &kernel, NULL) != PACIFICA_OK)
        abort();
    return machine;
}

static void add_head(const struct pacifica_output *output)
{
    struct pacifica_machine *machine = make();
    struct tape *tape = output->self;
    if (pacifica_record(machine, output, NULL) != PACIFICA_OK)
        abort();
    size_t size = tape->size;
    pacifica_machine_free(machine); /* adds where it ends */
    tape->size = size;
}

/* Eight bytes for each input, which move on from the last one. */
static void add_inputs(const struct pacifica_output *output, const uint8_t *data, size_t size)
{
    struct input input = { .kind = INPUT_MARK };
    for (uint64_t ordinal = 0; size >= 8; ordinal++, data += 8, size -= 8) {
        static const uint8_t bytes[64] = "what arrives";
        input.kind = (enum input_kind)(data[0] % (INPUT_KINDS + 1));
        input.place = (enum input_place)(data[1] % (INPUT_PLACES + 1));
        input.index = data[2] & 3;
        input.size = data[3] & 63;
        input.steps += data[4];
        input.turn = data[5] & 1;
        input.now_ns = data[5] & 2 ? INPUT_ANY_TIME : input.steps;
        input.a = data[6];
        input.b = data[7];
        input.data = bytes;
        recording_write(output, ordinal, &input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    struct pacifica_diag diag;
    struct tape *tape = calloc(1, sizeof(*tape));
    if (!tape || size == 0) {
        free(tape);
        return 0;
    }
    const struct pacifica_output output = { .write = add, .self = tape };
    if (data[0] % 4 != 0)
        add_head(&output);
    if (data[0] % 4 > 1)
        add_inputs(&output, data + 1, size - 1);
    else
        add(tape, data + 1, size - 1);
    struct pacifica_machine *machine = make();
    const struct pacifica_bytes recording = { tape->bytes, tape->size };
    limits.max_steps = STEPS;
    if (pacifica_replay(machine, &recording, &diag) == PACIFICA_OK)
        for (unsigned i = 0; i < 20; i++)
            pacifica_machine_run(machine, &limits, &result);
    pacifica_machine_free(machine);
    free(tape);
    return 0;
}

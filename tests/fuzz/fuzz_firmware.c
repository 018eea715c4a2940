/* Firmware images of arbitrary bytes: mapping them keeps its promises, and running what was mapped returns. */
#include <stdlib.h>
#include <string.h>

#include "emu/boot/firmware.h"
#include "tests/fuzz/fuzz.h"

#define RAM_BYTES (UINT64_C(2) << 20)
#define STEPS 2000
#define PAGE 4096u

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

/* The first bytes say how large the image is and where it lies; all of them are repeated to fill it. */
struct input {
    size_t len;
    uint64_t load_at;
    uint8_t *image;
};

static bool make_input(struct input *input, const uint8_t *data, size_t size)
{
    if (size < 12)
        return false;
    uint32_t pages = data[0] | (data[1] & 0x10u) << 8;
    input->len = (size_t)pages * PAGE + (data[1] & 1 ? data[2] : 0);
    memcpy(&input->load_at, data + 4, 8);
    if (data[1] & 2)
        input->load_at = PACIFICA_FIRMWARE_TOP;
    else if (data[1] & 4)
        input->load_at &= 0xfffff000;
    input->image = malloc(input->len ? input->len : 1);
    /* The end of the data lies at the end of the image: at the reset vector, if it is at the top. */
    for (size_t i = 0; input->image && i < input->len; i++)
        input->image[input->len - 1 - i] = data[size - 1 - i % size];
    return input->image != NULL;
}

static void check_mapping(const struct input *input)
{
    struct memory *memory = memory_new(RAM_BYTES);
    if (!memory)
        return;
    struct pacifica_diag diag = { .what = "" };
    bool at_top = input->load_at == PACIFICA_FIRMWARE_TOP;
    const struct firmware_source source = { .bytes = input->image,
                                            .len = input->len,
                                            .name = "fuzz",
                                            .at_top = at_top,
                                            .spa = input->load_at };
    uint64_t pages = memory_page_count(memory);
    if (firmware_map(memory, &source, &diag) == PACIFICA_OK) {
        uint64_t end = at_top ? FIRMWARE_TOP_END : input->load_at + input->len;
        require(input->len && input->len % PAGE == 0 && input->len <= FIRMWARE_MOST);
        require(phys_read(memory, end - input->len, 1) == input->image[0]);
        require(phys_read(memory, end - 1, 1) == input->image[input->len - 1]);
        require(!at_top ||
                phys_read(memory, FIRMWARE_LOW_END - 1, 1) == input->image[input->len - 1]);
    } else {
        require(diag.what[0] && memory_page_count(memory) == pages);
    }
    memory_free(memory);
}

static void check_running(const struct input *input)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_machine *machine;
    struct pacifica_result result;
    options.ram_bytes = RAM_BYTES;
    limits.max_steps = STEPS;
    firmware.image = (struct pacifica_bytes){ .data = input->image, .size = input->len };
    firmware.load_at = input->load_at;
    if (pacifica_machine_new(&options, &machine, NULL) != PACIFICA_OK)
        return;
    if (pacifica_machine_load_firmware(machine, &firmware, NULL) == PACIFICA_OK) {
        pacifica_machine_run(machine, &limits, &result);
        require(result.stop != PACIFICA_STOP_NONE && result.steps < STEPS + 16);
        require(pacifica_machine_reset(machine, NULL) == PACIFICA_OK);
    }
    pacifica_machine_free(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    if (!make_input(&input, data, size))
        return 0;
    check_mapping(&input);
    check_running(&input);
    free(input.image);
    return 0;
}

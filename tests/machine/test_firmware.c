/* Starting firmware at the reset vector, processors, random numbers and signals, through the public interface. */
#include "emu/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#include "tests/check_main.h"

#define ROM_BYTES 65536u
#define EXIT_PORT 0xf4
#define OUT8(port, value) 0xba, (port)&0xff, (port) >> 8, 0xb0, (value), 0xee /* 16-bit code */
#define HALT 0xf4

struct box {
    struct pacifica_machine *machine;
    struct pacifica_result result;
    struct pacifica_diag diag;
    uint8_t rom[ROM_BYTES];
};

static const struct pacifica_device exit_device = { .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                    .port = EXIT_PORT,
                                                    .port_count = 4 };

static struct pacifica_options box_options(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = 2 << 20;
    options.devices = &exit_device;
    options.device_count = 1;
    return options;
}

/* A machine whose ROM has `code` at the reset vector: 16 bytes of it at most. */
static struct box *box_new(const uint8_t *code, size_t size)
{
    const struct pacifica_options options = box_options();
    struct box *box = calloc(1, sizeof(*box));
    ck_assert_ptr_nonnull(box);
    ck_assert_int_eq(pacifica_machine_new(&options, &box->machine, NULL), PACIFICA_OK);
    memcpy(box->rom + ROM_BYTES - 16, code, size);
    return box;
}
#define BOX(...) box_new((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static enum pacifica_status box_load(struct box *box)
{
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    firmware.image = (struct pacifica_bytes){ .data = box->rom, .size = ROM_BYTES };
    firmware.name = "rom";
    return pacifica_machine_load_firmware(box->machine, &firmware, &box->diag);
}

static enum pacifica_stop box_run(struct box *box, uint64_t steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    limits.max_steps = steps;
    pacifica_machine_run(box->machine, &limits, &box->result);
    return box->result.stop;
}

static void box_free(struct box *box)
{
    pacifica_machine_free(box->machine);
    free(box);
}

START_TEST(firmware_starts_at_the_reset_vector)
{
    struct box *box = BOX(OUT8(EXIT_PORT, 5), HALT);
    ck_assert_int_eq(box_load(box), PACIFICA_OK);
    const struct vcpu *cpu = box->machine->cpu[0];
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, 0xf000);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, 0xffff0000);
    ck_assert_uint_eq(cpu_rip(box->machine->cpu[0]), 0xfff0);
    ck_assert_uint_eq(cpu->regs.cr0 & (CR0_PE | CR0_PG), 0);
    ck_assert_int_eq(box_run(box, 100), PACIFICA_STOP_EXIT);
    ck_assert_uint_eq(box->result.exit_value, 5);
    box_free(box);
}
END_TEST

/* The image is copied: the caller's may go. */
START_TEST(reset_starts_firmware_again)
{
    struct box *box = BOX(OUT8(EXIT_PORT, 5), HALT);
    ck_assert_int_eq(box_load(box), PACIFICA_OK);
    memset(box->rom, 0, ROM_BYTES);
    ck_assert_int_eq(box_run(box, 100), PACIFICA_STOP_EXIT);
    uint64_t steps = box->result.steps;
    ck_assert_int_eq(pacifica_machine_reset(box->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(box_run(box, 100), PACIFICA_STOP_EXIT);
    ck_assert_uint_eq(box->result.steps, 2 * steps);
    box_free(box);
}
END_TEST

/* A kernel finds interrupt controllers as firmware leaves them; firmware finds them as reset does. */
START_TEST(firmware_finds_devices_as_reset_leaves_them)
{
    const uint64_t svr = 0xfee000f0, lint0 = 0xfee00350;
    struct box *box = BOX(HALT);
    ck_assert_uint_eq(phys_read(box->machine->memory, svr, 4), 0x1ff);
    ck_assert_int_eq(box_load(box), PACIFICA_OK);
    ck_assert_uint_eq(phys_read(box->machine->memory, svr, 4), 0xff);
    ck_assert_uint_eq(phys_read(box->machine->memory, lint0, 4), 0x10000);
    box_free(box);
}
END_TEST

START_TEST(kernel_and_firmware_exclude_each_other)
{
    const struct pacifica_kernel kernel = { .image = { .data = "x", .size = 1 } };
    struct box *box = BOX(HALT);
    ck_assert_int_eq(box_load(box), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_kernel(box->machine, &kernel, &box->diag),
                     PACIFICA_EUSAGE);
    ck_assert_str_eq(box->diag.what, "a kernel on a machine with firmware");
    box_free(box);
}
END_TEST

START_TEST(refused_firmware_leaves_the_machine_as_it_was)
{
    struct box *box = BOX(OUT8(EXIT_PORT, 5), HALT);
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    firmware.image = (struct pacifica_bytes){ .data = box->rom, .size = ROM_BYTES - 1 };
    uint64_t before = pacifica_machine_state_hash(box->machine);
    ck_assert_int_eq(pacifica_machine_load_firmware(box->machine, &firmware, &box->diag),
                     PACIFICA_EFORMAT);
    ck_assert_str_eq(box->diag.where, "firmware");
    ck_assert_uint_eq(pacifica_machine_state_hash(box->machine), before);
    ck_assert_int_eq(pacifica_machine_reset(box->machine, NULL), PACIFICA_EUSAGE);
    box_free(box);
}
END_TEST

START_TEST(firmware_with_nothing_at_the_reset_vector_does_not_break_the_machine)
{
    struct box *box = BOX(HALT);
    struct pacifica_firmware firmware = { .image = { .data = box->rom, .size = ROM_BYTES },
                                          .load_at = 0xc0000 };
    ck_assert_int_eq(pacifica_machine_load_firmware(box->machine, &firmware, NULL), PACIFICA_OK);
    ck_assert_int_ne(box_run(box, 1000), PACIFICA_STOP_NONE); /* it returns at all */
    ck_assert_uint_le(box->result.steps, 1000);
    box_free(box);
}
END_TEST

START_TEST(number_of_processors_is_checked)
{
    struct pacifica_options options = box_options();
    struct pacifica_machine *machine;
    static const uint32_t wrong[] = { 0, PACIFICA_CPUS_MOST + 1, UINT32_MAX };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        options.cpus = wrong[i];
        ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_EUSAGE);
    }
}
END_TEST

START_TEST(seed_is_part_of_the_state)
{
    struct pacifica_options options = box_options();
    uint64_t hash[3];
    static const uint64_t seed[3] = { 1, 2, 1 };
    for (int i = 0; i < 3; i++) {
        struct pacifica_machine *machine;
        options.seed = seed[i];
        ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
        hash[i] = pacifica_machine_state_hash(machine);
        pacifica_machine_free(machine);
    }
    ck_assert_uint_ne(hash[0], hash[1]);
    ck_assert_uint_eq(hash[0], hash[2]);
}
END_TEST

START_TEST(signals_reach_their_pins)
{
    struct box *box = BOX(HALT);
    const struct cpu_pins *pins = &box->machine->cpu[0]->pins;
    const struct {
        enum pacifica_signal signal;
        const bool *pin;
    } row[] = { { PACIFICA_SIGNAL_NMI, &pins->nmi },
                { PACIFICA_SIGNAL_SMI, &pins->smi },
                { PACIFICA_SIGNAL_INIT, &pins->init },
                { PACIFICA_SIGNAL_MACHINE_CHECK, &pins->mc } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert(!*row[i].pin);
        ck_assert_int_eq(pacifica_machine_signal(box->machine, 0, row[i].signal), PACIFICA_OK);
        ck_assert(*row[i].pin);
    }
    ck_assert_int_eq(pacifica_machine_signal(box->machine, 1, PACIFICA_SIGNAL_NMI),
                     PACIFICA_EUSAGE);
    ck_assert_int_eq(pacifica_machine_signal(box->machine, 0, (enum pacifica_signal)99),
                     PACIFICA_EUSAGE);
    box_free(box);
}
END_TEST

CHECK_MAIN("firmware", firmware_starts_at_the_reset_vector, reset_starts_firmware_again,
           firmware_finds_devices_as_reset_leaves_them, kernel_and_firmware_exclude_each_other,
           refused_firmware_leaves_the_machine_as_it_was,
           firmware_with_nothing_at_the_reset_vector_does_not_break_the_machine,
           number_of_processors_is_checked, seed_is_part_of_the_state, signals_reach_their_pins)

/* SMI by the APM port, A20 by port 92h and INIT from outside, on a whole machine that starts firmware. */
#include "emu/machine/machine.h"

#include "emu/cpu/smm.h"

#include <string.h>

#include "tests/check_main.h"

#define ROM_BYTES 65536u

static uint8_t rom[ROM_BYTES];

static struct pacifica_machine *machine_with(const uint8_t *code, size_t size)
{
    static const struct pacifica_device exit_device = { .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                        .port = 0xf4,
                                                        .port_count = 4 };
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    options.devices = &exit_device;
    options.device_count = 1;
    memset(rom, 0, sizeof(rom));
    memcpy(rom, code, size);
    memcpy(rom + ROM_BYTES - 16, "\xe9\x0d\x00", 3); /* the reset vector: jmp 0 */
    firmware.image = (struct pacifica_bytes){ .data = rom, .size = ROM_BYTES };
    firmware.name = "rom";
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    return machine;
}
#define MACHINE(code) machine_with((code), sizeof(code))

static struct pacifica_result run(struct pacifica_machine *machine, bool exact)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_steps = 10000;
    limits.exact_blocks = exact;
    pacifica_machine_run(machine, &limits, &result);
    return result;
}

/* 16-bit code at F000:0000. */
static const uint8_t smi_and_a20[] = {
    0xea, 0x05, 0x00, 0x00, 0xf0,             /* jmp far f000:5 */
    0xb8, 0x00, 0x30, 0x8e, 0xc0,             /* es = 3000h */
    0x26, 0xc7, 0x06, 0x00, 0x80, 0xff, 0x06, /* es:[8000h]: inc word [9000h]; rsm */
    0x26, 0xc7, 0x06, 0x02, 0x80, 0x00, 0x90, /*  */
    0x26, 0xc7, 0x06, 0x04, 0x80, 0x0f, 0xaa, /*  */
    0x66, 0xb8, 0x58, 0x0b, 0x00, 0x80,       /* PIIX4, 58h: APMC_EN */
    0xba, 0xf8, 0x0c, 0x66, 0xef,             /*  */
    0xba, 0xff, 0x0c, 0xb0, 0x02, 0xee,       /*  */
    0x66, 0xb8, 0x40, 0x0b, 0x00, 0x80,       /* 40h: registers at 600h */
    0xba, 0xf8, 0x0c, 0x66, 0xef,             /*  */
    0xba, 0xfc, 0x0c, 0xb8, 0x01, 0x06, 0xef, /*  */
    0x66, 0xb8, 0x80, 0x0b, 0x00, 0x80,       /* 80h: they are there */
    0xba, 0xf8, 0x0c, 0x66, 0xef,             /*  */
    0xba, 0xfc, 0x0c, 0xb0, 0x01, 0xee,       /*  */
    0xe6, 0xb2,                               /* out b2h: without SMI_EN no SMI */
    0xba, 0x28, 0x06, 0xb0, 0x01, 0xee,       /* GLBCTL: SMI_EN */
    0xb0, 0x5a, 0xe6, 0xb2,                   /* out b2h, 5ah */
    0x8a, 0x1e, 0x00, 0x90,                   /* bl = [9000h]: 1 */
    0xc6, 0x06, 0x00, 0x05, 0x11,             /* [500h] = 11h */
    0xb8, 0xff, 0xff, 0x8e, 0xd8,             /* ds = ffffh */
    0xc6, 0x06, 0x10, 0x05, 0x77,             /* [ffff:510h] = 77h, at 100500h */
    0xb0, 0x00, 0xe6, 0x92,                   /* close A20 */
    0x8a, 0x3e, 0x10, 0x05,                   /* bh = [ffff:510h]: 11h */
    0xb0, 0x02, 0xe6, 0x92,                   /* open it */
    0x8a, 0x0e, 0x10, 0x05,                   /* cl = [ffff:510h]: 77h */
    0x88, 0xd8, 0x00, 0xf8, 0x00, 0xc8,       /* al = bl + bh + cl */
    0xe6, 0xf4, 0xf4                          /* out f4h, al; hlt */
};

/* rows: pitfalls 4.17 */
START_TEST(apm_port_enters_smm_and_port_92_moves_a20)
{
    uint64_t hash[2];
    for (int exact = 0; exact <= 1; exact++) {
        struct pacifica_machine *machine = MACHINE(smi_and_a20);
        struct pacifica_result result = run(machine, exact);
        ck_assert_int_eq(result.stop, PACIFICA_STOP_EXIT);
        ck_assert_uint_eq(result.exit_value, 0x01 + 0x11 + 0x77);
        hash[exact] = pacifica_machine_state_hash(machine);
        pacifica_machine_free(machine);
    }
    ck_assert_uint_eq(hash[0], hash[1]);
}
END_TEST

START_TEST(reset_opens_a20)
{
    static const uint8_t code[] = { 0xea, 0x05, 0x00, 0x00, 0xf0, 0xb0, 0x00, 0xe6, 0x92, 0xf4 };
    struct pacifica_machine *machine = MACHINE(code);
    ck_assert_int_eq(run(machine, false).stop, PACIFICA_STOP_HALTED);
    ck_assert(!memory_a20(machine->memory));
    ck_assert_int_eq(pacifica_machine_reset(machine, NULL), PACIFICA_OK);
    ck_assert(memory_a20(machine->memory));
    ck_assert_int_eq(run(machine, false).stop,
                     PACIFICA_STOP_HALTED); /* it finds its vector again */
    pacifica_machine_free(machine);
}
END_TEST

/* The bootstrap processor starts again at the reset vector. */
START_TEST(init_restarts_firmware)
{
    static const uint8_t code[] = {
        0xea, 0x05, 0x00, 0x00, 0xf0, /* jmp far f000:5 */
        0xff, 0x06, 0x00, 0x90,       /* inc word [9000h] */
        0xf4                          /* hlt */
    };
    struct pacifica_machine *machine = MACHINE(code);
    for (uint64_t starts = 1; starts <= 3; starts++) {
        ck_assert_int_eq(run(machine, false).stop, PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(phys_read(machine->memory, 0x9000, 2), starts);
        ck_assert_int_eq(pacifica_machine_signal(machine, 0, PACIFICA_SIGNAL_INIT), PACIFICA_OK);
    }
    pacifica_machine_free(machine);
}
END_TEST

/* A Startup IPI that came before INIT has found nobody waiting, as with an INIT from another processor. */
START_TEST(init_forgets_a_startup_that_came_before)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    options.cpus = 2;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    struct vcpu *cpu = machine->cpu[1];
    cpu->regs.wait_sipi = false;
    cpu->pins.sipi = true;
    ck_assert_int_eq(pacifica_machine_signal(machine, 1, PACIFICA_SIGNAL_INIT), PACIFICA_OK);
    machine->cpu[0]->regs.halted = true;
    ck_assert_int_eq(run(machine, false).stop, PACIFICA_STOP_HALTED);
    ck_assert(cpu->regs.wait_sipi);
    ck_assert_uint_eq(cpu_insns(cpu), 0);
    pacifica_machine_free(machine);
}
END_TEST

/* --- what a processor keeps for SMM --- */

#define TSEG 0x100000u

static void keep_tseg(struct vcpu *cpu)
{
    cpu->msr.smm_addr = TSEG;
    cpu->msr.smm_mask = 0xfffffffe0002; /* 128 KiB, TE */
    smm_view_changed(cpu);
}

/* Nothing is kept after a reset: what loads an image finds all of the RAM. */
START_TEST(reset_gives_tseg_back)
{
    static const uint8_t code[] = { 0xea, 0x05, 0x00, 0x00, 0xf0, 0xf4 };
    struct pacifica_machine *machine = MACHINE(code);
    ck_assert_int_eq(run(machine, false).stop, PACIFICA_STOP_HALTED);
    keep_tseg(machine->cpu[0]);
    ck_assert_uint_eq(memory_backing(machine->memory, TSEG), UINT64_MAX);
    ck_assert_int_eq(pacifica_machine_reset(machine, NULL), PACIFICA_OK);
    ck_assert_uint_ne(memory_backing(machine->memory, TSEG), UINT64_MAX);
    pacifica_machine_free(machine);
}
END_TEST

struct text {
    char bytes[4000];
    size_t size;
};

static void text_write(void *self, const void *bytes, size_t size)
{
    struct text *text = self;
    ck_assert_uint_lt(text->size + size, sizeof(text->bytes));
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

/* Each processor is told of as it sees memory, whoever ran last. */
START_TEST(info_sees_the_smram_of_its_processor)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    struct text text = { .size = 0 };
    const struct pacifica_output output = { .write = text_write, .self = &text };
    options.ram_bytes = 2 << 20;
    options.cpus = 2;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    struct vcpu *cpu =
        machine->cpu[1]; /* its page directory lies in TSeg, and maps the first 4 MiB */
    phys_write(machine->memory, TSEG, 4, 0x83);
    cpu->regs.cr0 |= CR0_PE | CR0_PG;
    cpu->regs.cr4 |= CR4_PSE;
    cpu->regs.cr3 = TSEG;
    cpu->regs.smm = true;
    cpu_update_mode(cpu);
    keep_tseg(cpu);
    keep_tseg(machine->cpu[0]);
    ck_assert_int_eq(pacifica_machine_info(machine, 1, "walk 0x1234", &output, NULL), PACIFICA_OK);
    ck_assert_ptr_nonnull(strstr(text.bytes, "system physical 000000001234"));
    ck_assert_uint_eq(memory_backing(machine->memory, TSEG), UINT64_MAX);
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("smm", apm_port_enters_smm_and_port_92_moves_a20, reset_opens_a20,
           init_restarts_firmware, init_forgets_a_startup_that_came_before, reset_gives_tseg_back,
           info_sees_the_smram_of_its_processor)

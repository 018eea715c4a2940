/* Legacy x87 errors on a whole machine: FERR#, IRQ 13, port F0h, IGNNE#. */
#include "emu/machine/machine.h"

#include <string.h>

#include "tests/check_main.h"

#define ROM_BYTES 65536u
#define STI_AT 0x62u

/* 16-bit code at F000:0000, CR0.NE = 0. */
static const uint8_t division[] = {
    0xea, 0x05, 0x00, 0x00, 0xf0,       /* jmp far f000:5 */
    0x31, 0xc0,                         /* xor ax, ax */
    0x8e, 0xd8,                         /* mov ds, ax */
    0x8e, 0xd0,                         /* mov ss, ax */
    0xbc, 0x00, 0x70,                   /* mov sp, 7000h */
    0xc7, 0x06, 0xd4, 0x01, 0x70, 0x00, /* [1d4h] = handler: IRQ 13 is vector 75h */
    0xc7, 0x06, 0xd6, 0x01, 0x00, 0xf0, /* [1d6h] = f000h */
    0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00, /* mov ecx, 1bh */
    0x0f, 0x32,                         /* rdmsr */
    0x80, 0xe4, 0xf7,                   /* and ah, f7h: without the local APIC */
    0x0f, 0x30,                         /* wrmsr */
    0xb0, 0x11,                         /* mov al, 11h */
    0xe6, 0x20,                         /* out 20h, al */
    0xe6, 0xa0,                         /* out a0h, al */
    0xb0, 0x08,                         /* mov al, 8 */
    0xe6, 0x21,                         /* out 21h, al */
    0xb0, 0x70,                         /* mov al, 70h */
    0xe6, 0xa1,                         /* out a1h, al */
    0xb0, 0x04,                         /* mov al, 4 */
    0xe6, 0x21,                         /* out 21h, al */
    0xb0, 0x02,                         /* mov al, 2 */
    0xe6, 0xa1,                         /* out a1h, al */
    0xb0, 0x01,                         /* mov al, 1 */
    0xe6, 0x21,                         /* out 21h, al */
    0xe6, 0xa1,                         /* out a1h, al */
    0xb0, 0xfb,                         /* mov al, fbh */
    0xe6, 0x21,                         /* out 21h, al */
    0xb0, 0xdf,                         /* mov al, dfh */
    0xe6, 0xa1,                         /* out a1h, al */
    0xc6, 0x06, 0x00, 0x05, 0x00,       /* [500h] = 0 */
    0xdb, 0xe3,                         /* fninit */
    0xc7, 0x06, 0x00, 0x06, 0x7b, 0x03, /* [600h] = 37bh: ZE unmasked */
    0xd9, 0x2e, 0x00, 0x06,             /* fldcw [600h] */
    0xd9, 0xee,                         /* fldz */
    0xd9, 0xe8,                         /* fld1 */
    0xd8, 0xf1,                         /* fdiv st, st1 */
    0xfb,                               /* sti */
    0xd9, 0xe8,                         /* fld1: waits */
    0xdf, 0xe0,                         /* fnstsw ax */
    0x88, 0xe0,                         /* mov al, ah */
    0x02, 0x06, 0x00, 0x05,             /* add al, [500h] */
    0xe6, 0xf4,                         /* out f4h, al */
    0xf4,                               /* hlt */
    0x50,                               /* handler: push ax */
    0xfe, 0x06, 0x00, 0x05,             /* inc byte [500h] */
    0xe6, 0xf0,                         /* out f0h, al */
    0xd9, 0xd0,                         /* fnop: IGNNE# lets it run */
    0xfe, 0x06, 0x00, 0x05,             /* inc byte [500h] */
    0xdb, 0xe2,                         /* fnclex */
    0xb0, 0x20,                         /* mov al, 20h */
    0xe6, 0xa0,                         /* out a0h, al */
    0xe6, 0x20,                         /* out 20h, al */
    0x58,                               /* pop ax */
    0xcf,                               /* iret */
};

static struct pacifica_machine *machine_with_division(bool interrupts)
{
    static uint8_t rom[ROM_BYTES];
    static const struct pacifica_device exit_device = { .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                                        .port = 0xf4,
                                                        .port_count = 4 };
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    options.devices = &exit_device;
    options.device_count = 1;
    memcpy(rom, division, sizeof(division));
    if (!interrupts)
        rom[STI_AT] = 0x90;
    memcpy(rom + ROM_BYTES - 16, "\xe9\x0d\x00", 3); /* the reset vector: jmp 0 */
    firmware.image = (struct pacifica_bytes){ .data = rom, .size = ROM_BYTES };
    firmware.name = "rom";
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    return machine;
}

static struct pacifica_result run(struct pacifica_machine *machine, bool exact)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_steps = 10000;
    limits.exact_blocks = exact;
    pacifica_machine_run(machine, &limits, &result);
    return result;
}

/* rows: pitfalls 7.4 */
START_TEST(a_division_by_zero_reaches_irq_13_and_goes_on)
{
    uint64_t hash[2];
    for (int exact = 0; exact <= 1; exact++) {
        struct pacifica_machine *machine = machine_with_division(true);
        struct pacifica_result result = run(machine, exact);
        ck_assert_msg(result.stop == PACIFICA_STOP_EXIT, "%s at %s", result.diag.what,
                      result.diag.where);
        /* FSW[15:8]: TOP 5, nothing pending; the handler ran once, to its end */
        ck_assert_uint_eq(result.exit_value, 0x28 + 2);
        ck_assert(!machine->cpu[0]->ferr.asserted);
        hash[exact] = pacifica_machine_state_hash(machine);
        pacifica_machine_free(machine);
    }
    ck_assert_uint_eq(hash[0], hash[1]);
}
END_TEST

/* Nobody can come: the machine says what it waits for, and a reset ends it. */
START_TEST(without_interrupts_it_freezes_for_ever)
{
    struct pacifica_machine *machine = machine_with_division(false);
    for (unsigned again = 0; again < 2; again++) {
        struct pacifica_result result = run(machine, false);
        ck_assert_int_eq(result.stop, PACIFICA_STOP_HALTED);
        ck_assert_ptr_nonnull(strstr(result.diag.what, "x87"));
        ck_assert(machine->cpu[0]->ferr.asserted);
        ck_assert_int_eq(pacifica_machine_reset(machine, NULL), PACIFICA_OK);
        ck_assert(!machine->cpu[0]->ferr.asserted);
    }
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("ferr", a_division_by_zero_reaches_irq_13_and_goes_on,
           without_interrupts_it_freezes_for_ever)

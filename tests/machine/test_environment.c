/* The floating-point environment of the thread that runs a machine: it does not show in the guest, and comes back. */
#include "emu/machine/machine.h"

#include <fenv.h>
#include <string.h>

#include "tests/check_main.h"

#define ROM_BYTES 65536u

/* 16-bit code at F000:0000. */
static const uint8_t third[] = {
    0x0f, 0x20, 0xe0,       /* mov eax, cr4 */
    0x0d, 0x00, 0x02,       /* or ax, 200h: OSFXSR */
    0x0f, 0x22, 0xe0,       /* mov cr4, eax */
    0xb8, 0x01, 0x00,       /* mov ax, 1 */
    0xf2, 0x0f, 0x2a, 0xc0, /* cvtsi2sd xmm0, eax */
    0xb8, 0x03, 0x00,       /* mov ax, 3 */
    0xf2, 0x0f, 0x2a, 0xc8, /* cvtsi2sd xmm1, eax */
    0xf2, 0x0f, 0x5e, 0xc1, /* divsd xmm0, xmm1 */
    0xf2, 0x0f, 0x58, 0xc8, /* addsd xmm1, xmm0 */
    0xf4,                   /* hlt */
};

static struct pacifica_machine *machine_new(void)
{
    static uint8_t rom[ROM_BYTES];
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    memcpy(rom, third, sizeof(third));
    memcpy(rom + ROM_BYTES - 16, "\xe9\x0d\x00", 3); /* the reset vector: jmp 0 */
    firmware.image = (struct pacifica_bytes){ .data = rom, .size = ROM_BYTES };
    firmware.name = "rom";
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    return machine;
}

START_TEST(rounding_of_the_caller_does_not_show)
{
    static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    for (unsigned i = 0; i < 4; i++) {
        struct pacifica_machine *machine = machine_new();
        struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
        struct pacifica_result result;
        limits.max_steps = 100;
        ck_assert_int_eq(fesetround(modes[i]), 0);
        (void)feclearexcept(FE_ALL_EXCEPT);
        pacifica_machine_run(machine, &limits, &result);
        int left = fegetround(), raised = fetestexcept(FE_ALL_EXCEPT);
        (void)fesetround(FE_TONEAREST);
        const struct cpu_simd *simd = &machine->cpu[0]->simd;
        ck_assert_uint_eq(simd->v[0].u64[0], 0x3fd5555555555555);
        ck_assert_uint_eq(simd->v[1].u64[0], 0x400aaaaaaaaaaaab);
        ck_assert_uint_eq(simd->mxcsr, 0x1fa0);
        ck_assert_int_eq(left, modes[i]);
        ck_assert_int_eq(raised, 0);
        pacifica_machine_free(machine);
    }
}
END_TEST

CHECK_MAIN("environment", rounding_of_the_caller_does_not_show)

/* BIOS interrupts of a machine without firmware, called from real mode. */
#include "emu/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#include "emu/boot/boot.h"
#include "tests/check_main.h"

#define CODE 0x7c00
#define BUFFER 0x8000
#define SMAP 0x534d4150

static struct pacifica_machine *machine;
static struct vcpu *cpu;

/* A Multiboot image that halts. */
static const uint32_t kernel[] = { 0x1badb002, 0x10000,  0u - 0x1badb002 - 0x10000,
                                   0x200000,   0x200000, 0,
                                   0,          0x200020, 0xf4 };

static void open_machine(uint64_t ram_bytes)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    const struct pacifica_kernel source = { .image = { .data = kernel, .size = sizeof(kernel) } };
    options.ram_bytes = ram_bytes;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_kernel(machine, &source, NULL), PACIFICA_OK);
    cpu = machine->cpu[0];
}

static void setup(void)
{
    open_machine(64 << 20);
}

static void teardown(void)
{
    pacifica_machine_free(machine);
}

/* Real mode, at INT n and a HLT; the general registers stay. Returns how the run ends. */
static enum pacifica_stop call(uint8_t number)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    uint64_t kept[8];
    memcpy(kept, cpu->r, sizeof(kept));
    vcpu_reset(cpu);
    memcpy(cpu->r, kept, sizeof(kept));
    cpu->regs.seg[SEG_CS].selector = 0;
    cpu->regs.seg[SEG_CS].base = 0;
    cpu->r[REG_RSP] = 0x7000;
    cpu->r[REG_RIP] = CODE;
    cpu_update_mode(cpu);
    phys_write(machine->memory, CODE, 4, 0xf400cd | (uint32_t)number << 8);
    limits.max_steps = group_steps(cpu) + 10000;
    pacifica_machine_run(machine, &limits, &result);
    return result.stop;
}

static void answers(uint8_t number)
{
    ck_assert_int_eq(call(number), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(cpu->r[REG_RIP], CODE + 3);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x7000);
}

static bool carry(void)
{
    return cpu_rflags(cpu) & 1;
}

static void ask(uint16_t ax, uint8_t number)
{
    cpu->r[REG_RAX] = ax;
    answers(number);
}

static uint64_t rd(uint64_t spa, unsigned bytes)
{
    return phys_read(machine->memory, spa, bytes);
}

START_TEST(equipment_and_base_memory)
{
    ask(0, 0x11);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x0222);
    ask(0, 0x12);
    ck_assert_uint_eq(cpu->r[REG_RAX], 639);
}
END_TEST

START_TEST(e820_gives_the_memory_map)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(machine->memory, map);
    cpu->r[REG_RBX] = 0;
    for (unsigned i = 0; i < regions; i++) {
        cpu->r[REG_RDX] = SMAP;
        cpu->r[REG_RCX] = 24;
        cpu->r[REG_RDI] = BUFFER;
        cpu->r[REG_RSI] = 0x1234;
        ask(0xe820, 0x15);
        ck_assert(!carry());
        ck_assert_uint_eq(cpu->r[REG_RAX], SMAP);
        ck_assert_uint_eq(cpu->r[REG_RCX], 20);
        ck_assert_uint_eq(cpu->r[REG_RDI], BUFFER);
        ck_assert_uint_eq(cpu->r[REG_RSI], 0x1234);
        ck_assert_uint_eq(cpu->r[REG_RBX], i + 1 < regions ? i + 1 : 0);
        ck_assert_uint_eq(rd(BUFFER, 8), map[i].base);
        ck_assert_uint_eq(rd(BUFFER + 8, 8), map[i].len);
        ck_assert_uint_eq(rd(BUFFER + 16, 4), (unsigned)map[i].type);
    }
}
END_TEST

START_TEST(e820_refuses_what_makes_no_sense)
{
    static const struct {
        uint32_t edx, ecx, ebx;
        bool good;
    } row[] = { { SMAP, 20, 3, true },  { SMAP, 19, 0, false },       { SMAP + 1, 20, 0, false },
                { SMAP, 20, 4, false }, { SMAP, 20, 0x10000, false }, { SMAP, 0x10000, 0, true } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        cpu->r[REG_RDX] = row[i].edx;
        cpu->r[REG_RCX] = row[i].ecx;
        cpu->r[REG_RBX] = row[i].ebx;
        cpu->r[REG_RDI] = BUFFER;
        phys_write(machine->memory, BUFFER + 16, 4, 77);
        ask(0xe820, 0x15);
        ck_assert_int_eq(carry(), !row[i].good);
        ck_assert_int_eq(rd(BUFFER + 16, 4) == 77, !row[i].good);
        if (!row[i].good)
            ck_assert_uint_eq(cpu->r[REG_RAX] >> 8 & 0xff, 0x86);
    }
}
END_TEST

START_TEST(memory_sizes)
{
    static const struct {
        uint64_t mib;
        uint16_t kib, blocks, all;
    } row[] = { { 8, 7 * 1024, 0, 7 * 1024 },
                { 16, 15 * 1024, 0, 15 * 1024 },
                { 17, 15 * 1024, 16, 16 * 1024 },
                { 512, 15 * 1024, 496 * 16, 0xfc00 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        teardown();
        open_machine(row[i].mib << 20);
        ask(0xe801, 0x15);
        ck_assert(!carry());
        ck_assert_uint_eq(cpu->r[REG_RAX], row[i].kib);
        ck_assert_uint_eq(cpu->r[REG_RCX], row[i].kib);
        ck_assert_uint_eq(cpu->r[REG_RBX], row[i].blocks);
        ck_assert_uint_eq(cpu->r[REG_RDX], row[i].blocks);
        ask(0x8800, 0x15);
        ck_assert(!carry());
        ck_assert_uint_eq(cpu->r[REG_RAX], row[i].all);
    }
}
END_TEST

START_TEST(a20)
{
    static const uint16_t order[] = { 0x2400, 0x2401, 0x2400 };
    for (unsigned i = 0; i < 3; i++) {
        ask(order[i], 0x15);
        ck_assert(!carry());
        ck_assert_uint_eq(cpu->r[REG_RAX] >> 8, 0);
        ck_assert_int_eq(memory_a20(machine->memory), order[i] & 1);
        ask(0x2402, 0x15);
        ck_assert(!carry());
        ck_assert_uint_eq(cpu->r[REG_RAX], order[i] & 1);
    }
    ask(0x2403, 0x15);
    ck_assert_uint_eq(cpu->r[REG_RBX], 3);
}
END_TEST

START_TEST(what_is_not_there_says_so)
{
    static const struct {
        uint8_t number;
        uint16_t ax;
        uint8_t error;
    } row[] = { { 0x13, 0x4100, 0x01 }, { 0x13, 0x0201, 0x01 }, { 0x15, 0xc000, 0x86 },
                { 0x15, 0xec00, 0x86 }, { 0x15, 0x2404, 0x86 }, { 0x1a, 0xb101, 0x81 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ask(row[i].ax, row[i].number);
        ck_assert(carry());
        ck_assert_uint_eq(cpu->r[REG_RAX] >> 8 & 0xff, row[i].error);
    }
}
END_TEST

START_TEST(screen_and_keyboard)
{
    cpu->r[REG_RBX] = 0xff00;
    ask(0x0f00, 0x10);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x5003);
    ck_assert_uint_eq(cpu->r[REG_RBX], 0);
    ask(0x0e41, 0x10);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x0e41);
    ask(0x0300, 0x10);
    ck_assert_uint_eq(cpu->r[REG_RDX], 0);
    for (uint16_t more = 0; more <= 0x1000; more += 0x1000) {
        ask(0x0100 + more, 0x16);
        ck_assert(cpu_rflags(cpu) & 0x40); /* no key */
        ask(0x0000 + more, 0x16);
        ck_assert_uint_eq(cpu->r[REG_RAX], 0);
        ask(0x02ff + more, 0x16);
        ck_assert_uint_eq(cpu->r[REG_RAX] & 0xff, 0);
    }
}
END_TEST

START_TEST(ticks_of_the_day)
{
    phys_write(machine->memory, 0x46c, 4, 0x1800ae);
    call(0x08);
    ask(0, 0x1a);
    ck_assert(!carry());
    ck_assert_uint_eq(cpu->r[REG_RCX], 0x18);
    ck_assert_uint_eq(cpu->r[REG_RDX], 0xaf);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0);
    call(0x08); /* midnight */
    ask(0, 0x1a);
    ck_assert_uint_eq(cpu->r[REG_RCX] | cpu->r[REG_RDX], 0);
    ck_assert_uint_eq(cpu->r[REG_RAX], 1);
    ask(0, 0x1a);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0); /* told once */
}
END_TEST

START_TEST(time_and_date)
{
    ask(0x0200, 0x1a);
    ck_assert(!carry());
    ck_assert_uint_eq(cpu->r[REG_RCX], 0); /* every run begins at midnight */
    ask(0x0400, 0x1a);
    ck_assert(!carry());
    ck_assert_uint_eq(cpu->r[REG_RCX], 0x2000);
    ck_assert_uint_eq(cpu->r[REG_RDX], 0x0101);
}
END_TEST

/* INT 18h and 19h, and the jump at F000:FFF0. */
START_TEST(nothing_to_boot_resets)
{
    ck_assert_int_eq(call(0x18), PACIFICA_STOP_RESET);
    ck_assert_int_eq(call(0x19), PACIFICA_STOP_RESET);
    ck_assert_uint_eq(rd(0xffff0, 1), 0xea);
    ck_assert_uint_eq(rd(0xffff1, 4), rd(4 * 0x19, 4));
}
END_TEST

START_TEST(every_vector_leads_into_the_rom)
{
    for (unsigned i = 0; i < 256; i++) {
        ck_assert_uint_eq(rd(4 * i + 2, 2), 0xf000);
        ck_assert_uint_ge(rd(4 * i, 2), 0xe000);
        ck_assert_uint_lt(rd(4 * i, 2), 0xe800);
    }
    for (unsigned i = 0; i < 256; i++)
        if (i != 0x18 && i != 0x19)
            answers((uint8_t)i);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { equipment_and_base_memory,
                                   e820_gives_the_memory_map,
                                   e820_refuses_what_makes_no_sense,
                                   memory_sizes,
                                   a20,
                                   what_is_not_there_says_so,
                                   screen_and_keyboard,
                                   ticks_of_the_day,
                                   time_and_date,
                                   nothing_to_boot_resets,
                                   every_vector_leads_into_the_rom };
    Suite *suite = suite_create("bios_calls");
    TCase *tcase = tcase_create("bios_calls");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

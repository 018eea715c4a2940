/* Memory of every level, translations, the map, fields of the VMCB. */
#include "tests/machine/debug_kit.h"

#include "tests/check_main.h"

static size_t read_at(struct scene *s, enum pacifica_space space, uint64_t address, void *to,
                      size_t size)
{
    memset(to, 0xee, size);
    return pacifica_machine_memory_read(s->machine, 0, space, address, to, size);
}

static uint32_t word_at(struct scene *s, enum pacifica_space space, uint64_t address)
{
    uint32_t word;
    ck_assert_uint_eq(read_at(s, space, address, &word, 4), 4);
    return word;
}

START_TEST(reads_end_at_the_first_page_that_is_not_there)
{
    struct scene s;
    uint8_t bytes[8192];
    scene_init(&s, 1);
    kit_page(&s.kit, 5, 0);
    phys_write(s.machine->memory, PAGED_LA + 0x4ffe, 2, 0xbbaa);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_LINEAR, PAGED_LA + 0x4ffe, bytes, 4), 2);
    ck_assert_uint_eq(bytes[0], 0xaa);
    ck_assert_uint_eq(bytes[2], 0xee);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_LINEAR, PAGED_LA + 0x5000, bytes, 4), 0);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_LINEAR, PAGED_LA + 0x3800, bytes, 8192), 0x1800);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_LINEAR, NONCANON, bytes, 4), 0);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_PHYSICAL, (16 << 20) - 3, bytes, 4), 3);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_PHYSICAL, 0xfee00000, bytes, 4), 0); /* the APIC */
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_PHYSICAL, UINT64_MAX, bytes, 4), 0);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACES, 0, bytes, 4), 0);
    ck_assert_uint_eq(
        pacifica_machine_memory_read(s.machine, 1, PACIFICA_SPACE_PHYSICAL, 0, bytes, 4), 0);
    scene_fini(&s);
}
END_TEST

START_TEST(reading_has_no_effects)
{
    struct scene s;
    uint32_t word;
    scene_init(&s, 1);
    uint64_t hash = pacifica_machine_state_hash(s.machine);
    ck_assert_uint_eq(read_at(&s, PACIFICA_SPACE_LINEAR, PAGED_LA, &word, 4), 4);
    ck_assert_uint_eq(phys_read(s.machine->memory, PT_SPA, 1), 7); /* not accessed */
    uint64_t physical;
    ck_assert_int_eq(pacifica_machine_translate(s.machine, 0, PACIFICA_SPACE_LINEAR, PAGED_LA + 5,
                                                &physical, NULL),
                     PACIFICA_OK);
    ck_assert_uint_eq(physical, PAGED_LA + 5);
    ck_assert_uint_eq(pacifica_machine_state_hash(s.machine), hash);
    scene_fini(&s);
}
END_TEST

/* A read-only page, and code that ran already: 10000: inc eax; jmp 10000. */
START_TEST(writes_ignore_rights_and_reach_decoded_code)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    kit_page(&s.kit, 0, CODE_SPA | 1); /* another address of the code */
    CODE_AT(&s, CODE_SPA, 0xff, 0xc0, 0xeb, 0xfc);
    cpu->r[REG_RAX] = 0;
    scene_run(&s, 1000);
    ck_assert_uint_eq(cpu->r[REG_RAX], 500);
    ck_assert_uint_eq(
        pacifica_machine_memory_write(s.machine, 0, PACIFICA_SPACE_LINEAR, PAGED_LA, "\xff\xc8", 2),
        2); /* dec eax */
    scene_run(&s, 1000);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0);
    ck_assert(memory_marks(s.machine->memory, CODE_SPA >> 12) & PAGE_DIRTY);
    scene_fini(&s);
}
END_TEST

START_TEST(rom_is_read_and_not_written)
{
    static uint8_t rom[65536];
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_machine *machine;
    struct pacifica_memory_region regions[8];
    uint8_t byte = 1;
    options.ram_bytes = 2 << 20;
    rom[0xfff0] = 0xf4;
    firmware.image = (struct pacifica_bytes){ rom, sizeof(rom) };
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    ck_assert_uint_eq(
        pacifica_machine_memory_write(machine, 0, PACIFICA_SPACE_PHYSICAL, 0xfffffff0, &byte, 1),
        0);
    ck_assert_uint_eq(
        pacifica_machine_memory_read(machine, 0, PACIFICA_SPACE_PHYSICAL, 0xfffffff0, &byte, 1), 1);
    ck_assert_uint_eq(byte, 0xf4);
    static const struct pacifica_memory_region wanted[] = {
        { PACIFICA_MEMORY_RAM, 0, 0xa0000 },
        { PACIFICA_MEMORY_ROM, 0xf0000, 0x10000 },
        { PACIFICA_MEMORY_RAM, 0x100000, 0x100000 },
        { PACIFICA_MEMORY_ROM, 0xffff0000, 0x10000 },
    };
    ck_assert_uint_eq(pacifica_machine_memory_map(machine, regions, 8), 4);
    ck_assert_uint_eq(pacifica_machine_memory_map(machine, NULL, 0), 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(regions[i].kind, wanted[i].kind);
        ck_assert_uint_eq(regions[i].base, wanted[i].base);
        ck_assert_uint_eq(regions[i].bytes, wanted[i].bytes);
    }
    pacifica_machine_free(machine);
}
END_TEST

/* The five spaces, before the first VMRUN, in the guest, and behind it. gpa 400000h is spa 800000h; the host has no page at
 * linear 401000h. */
START_TEST(each_space_is_what_it_says)
{
    struct scene s;
    uint64_t value, offset, physical;
    unsigned bytes;
    scene_init(&s, 1);
    scene_guest(&s);
    struct memory *memory = s.machine->memory;
    kit_page(&s.kit, 1, 0);
    phys_write(memory, 0x400100, 4, 0x1111);
    phys_write(memory, GUEST_AT + 0x100, 4, 0x2222);
    CODE_AT(&s, CODE_SPA, 0x0f, 0x01, 0xd8, 0xf4);
    CODE_AT(&s, GUEST_AT, 0x90, 0x0f, 0x01, 0xd9);
    s.machine->cpu[0]->r[REG_RAX] = VMCB_SPA;
    ck_assert_int_eq(pacifica_machine_translate(s.machine, 0, PACIFICA_SPACE_GUEST_LINEAR, 0,
                                                &physical, &s.diag),
                     PACIFICA_EUSAGE);
    ck_assert_int_eq(pacifica_machine_vmcb_field(s.machine, 0, "CR0", &value, NULL, NULL, &s.diag),
                     PACIFICA_ERANGE);
    ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_HOST_LINEAR, 0x400100), 0x1111);

    for (int inside = 1; inside >= 0; inside--) {
        scene_run(&s, inside ? 2 : 1);
        ck_assert_int_eq(svm_guest(s.machine->cpu[0]), inside);
        ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_LINEAR, 0x400100), inside ? 0x2222 : 0x1111);
        ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_PHYSICAL, 0x400100), 0x1111);
        ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_HOST_LINEAR, 0x400100), 0x1111);
        ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_GUEST_LINEAR, 0x400100), 0x2222);
        ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_GUEST_PHYSICAL, 0x400100), 0x2222);
        ck_assert_int_eq(pacifica_machine_translate(s.machine, 0, PACIFICA_SPACE_GUEST_PHYSICAL,
                                                    0x401004, &physical, NULL),
                         PACIFICA_OK);
        ck_assert_uint_eq(physical, GUEST_AT + 0x1004);
        ck_assert_int_eq(pacifica_machine_translate(s.machine, 0, PACIFICA_SPACE_HOST_LINEAR,
                                                    0x401004, &physical, &s.diag),
                         PACIFICA_ERANGE);
        ck_assert_ptr_nonnull(strstr(s.diag.what, "level-1 entry at 0x4008"));
        /* beyond what the nested tables map */
        ck_assert_int_eq(pacifica_machine_translate(s.machine, 0, PACIFICA_SPACE_GUEST_PHYSICAL,
                                                    0x1000000, &physical, &s.diag),
                         PACIFICA_ERANGE);
        ck_assert_ptr_nonnull(strstr(s.diag.what, "nested level-2 entry"));
    }
    ck_assert_int_eq(
        pacifica_machine_vmcb_field(s.machine, 0, "EXITCODE", &value, &offset, &bytes, &s.diag),
        PACIFICA_OK);
    ck_assert_uint_eq(value, VMEXIT_VMMCALL);
    ck_assert_uint_eq(offset, 0x70);
    ck_assert_uint_eq(bytes, 8);
    ck_assert_int_eq(
        pacifica_machine_vmcb_field(s.machine, 0, "exitcode", &value, NULL, NULL, &s.diag),
        PACIFICA_EUSAGE);
    scene_fini(&s);
}
END_TEST

/* Another processor's tables. */
START_TEST(each_processor_translates_by_itself)
{
    struct scene s;
    uint32_t word;
    scene_init(&s, 2);
    struct vcpu *other = s.machine->cpu[1];
    other->regs.cr0 = CR0_ET; /* real mode: no tables */
    other->regs.efer = 0;
    cpu_update_mode(other);
    kit_page(&s.kit, 3, 0x500000 | 7);
    phys_write(s.machine->memory, 0x500000, 4, 55);
    phys_write(s.machine->memory, 0x403000, 4, 66);
    ck_assert_uint_eq(word_at(&s, PACIFICA_SPACE_LINEAR, 0x403000), 55);
    ck_assert_uint_eq(
        pacifica_machine_memory_read(s.machine, 1, PACIFICA_SPACE_LINEAR, 0x403000, &word, 4), 4);
    ck_assert_uint_eq(word, 66);
    scene_fini(&s);
}
END_TEST

CHECK_MAIN("access", reads_end_at_the_first_page_that_is_not_there, reading_has_no_effects,
           writes_ignore_rights_and_reach_decoded_code, rom_is_read_and_not_written,
           each_space_is_what_it_says, each_processor_translates_by_itself)

/* The registers of a processor by name. */
#include "tests/machine/debug_kit.h"

#include "tests/check_main.h"

START_TEST(the_table_is_whole)
{
    size_t count;
    const struct pacifica_register *all = pacifica_registers(&count);
    ck_assert_uint_gt(count, 100);
    ck_assert_str_eq(all[0].name, "rax");
    for (size_t i = 0; i < count; i++) {
        ck_assert(all[i].bits % 8 == 0 && all[i].bits > 0 &&
                  all[i].bits <= 8 * PACIFICA_REGISTER_BYTES);
        for (size_t n = 0; n < i; n++)
            ck_assert_str_ne(all[i].name, all[n].name);
    }
}
END_TEST

/* Writing what was read changes nothing, in 64-bit mode, in a guest, and in reset state. */
START_TEST(writing_what_was_read_changes_nothing)
{
    for (int where = 0; where < 3; where++) {
        struct scene s;
        size_t count;
        const struct pacifica_register *all = pacifica_registers(&count);
        scene_init(&s, 1);
        if (where == 1) {
            scene_guest(&s);
            CODE_AT(&s, CODE_SPA, 0x0f, 0x01, 0xd8);
            CODE_AT(&s, GUEST_AT, 0xeb, 0xfe);
            s.machine->cpu[0]->r[REG_RAX] = VMCB_SPA;
            scene_run(&s, 5);
            ck_assert(svm_guest(s.machine->cpu[0]));
        } else if (where == 2) {
            vcpu_reset(s.machine->cpu[0]);
        }
        uint64_t hash = pacifica_machine_state_hash(s.machine);
        for (size_t i = 0; i < count; i++) {
            uint8_t bytes[PACIFICA_REGISTER_BYTES];
            ck_assert_int_eq(pacifica_machine_register_get(s.machine, 0, i, bytes), PACIFICA_OK);
            enum pacifica_status status =
                pacifica_machine_register_set(s.machine, 0, i, bytes, &s.diag);
            ck_assert_msg(status == (all[i].writable ? PACIFICA_OK : PACIFICA_EUSAGE), "%s: %s",
                          all[i].name, s.diag.what);
            /* MOV to CR3 flushes; that is state. */
            if (strcmp(all[i].name, "cr3") == 0)
                hash = pacifica_machine_state_hash(s.machine);
        }
        ck_assert_uint_eq(pacifica_machine_state_hash(s.machine), hash);
        scene_fini(&s);
    }
}
END_TEST

START_TEST(values_come_back)
{
    static const struct {
        const char *name;
        uint64_t value;
    } rows[] = { { "rax", 0x1122334455667788 },
                 { "r15", UINT64_MAX },
                 { "rip", 0xffff800000000000 },
                 { "eflags", 0x246 },
                 { "cr2", 0x123456789abc },
                 { "cr8", 15 },
                 { "dr0", 0x5000 },
                 { "dr6", DR6_FIXED | 1 },
                 { "dr7", DR7_FIXED | 3 },
                 { "fs_base", 0x7fffffffffff },
                 { "k_gs_base", 0xffff800000000000 },
                 { "ds_limit", UINT32_MAX },
                 { "gdtr_limit", 0xff },
                 { "idtr_base", 0x9000 },
                 { "xcr0", 7 },
                 { "st3", 0x8000000000000000 },
                 { "fctrl", 0x27f },
                 { "fstat", 0x3800 },
                 { "ftag", 0xffff },
                 { "fop", 0x7ff },
                 { "fioff", 0xffff800000001234 },
                 { "ymm9", 42 },
                 { "mxcsr", 0x1fbf },
                 { "gif", 0 } };
    struct scene s;
    scene_init(&s, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(set_register(&s, rows[i].name, rows[i].value) == PACIFICA_OK, "%s: %s",
                      rows[i].name, s.diag.what);
        ck_assert_msg(get_register(&s, 0, rows[i].name) == rows[i].value, "%s", rows[i].name);
    }
    ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RAX], 0x1122334455667788);
    ck_assert(!s.machine->cpu[0]->svm->gif);
    scene_fini(&s);
}
END_TEST

START_TEST(what_cannot_be_is_refused_and_changes_nothing)
{
    static const struct {
        const char *name;
        uint64_t value;
    } rows[] = { { "rip", NONCANON },
                 { "eflags", 0x8002 },
                 { "eflags", FLAG_VM | 2 },
                 { "cs", 0 },
                 { "cs", DATA0 },
                 { "cs", CODE64_3 | 3 },
                 { "cs", CODE_LD },
                 { "cs", CODE_NP },
                 { "ds", GDT_BYTES },
                 { "ds", EXEC_ONLY },
                 { "ds", DATA_NP },
                 { "ss", DATA3 | 3 },
                 { "ss", READ_ONLY },
                 { "ss", 3 },
                 { "ldtr", DATA0 },
                 { "tr", 0 },
                 { "tr", LDT },
                 { "cs_base", UINT64_C(1) << 32 },
                 { "fs_base", NONCANON },
                 { "cs_limit", 0x12345 },
                 { "cs_attrib", 0x1a9b },
                 { "cs_attrib", 0xe9b },
                 { "cs_attrib", 0xa93 },
                 { "cs_attrib", 0xafb },
                 { "ss_attrib", 0xcf3 },
                 { "tr_attrib", 0x089 },
                 { "cpl", 3 },
                 { "cr0", CR0_PG | CR0_ET },
                 { "cr0", CR0_PE | CR0_ET },
                 { "cr0", CR0_PE | CR0_ET | CR0_PG | CR0_NW },
                 { "cr0", UINT64_C(1) << 32 | CR0_PE | CR0_PG },
                 { "cr0", 1u << 10 | CR0_PE | CR0_PG },
                 { "cr3", UINT64_C(1) << 63 | PML4_SPA },
                 { "cr3", UINT64_C(1) << 52 },
                 { "cr4", 0 },
                 { "cr4", UINT64_C(1) << 40 | CR4_PAE },
                 { "cr8", 16 },
                 { "dr6", UINT64_C(1) << 32 },
                 { "dr7", UINT64_C(1) << 32 },
                 { "efer", EFER_LME },
                 { "efer", UINT64_C(1) << 40 },
                 { "xcr0", 0 },
                 { "xcr0", 5 },
                 { "gdtr_base", NONCANON },
                 { "idtr_base", NONCANON },
                 { "fop", 0x800 },
                 { "mxcsr", 0x40000 },
                 { "gif", 2 },
                 { "guest_mode", 1 },
                 { "asid", 1 },
                 { "exitcode", 0 } };
    struct scene s;
    scene_init(&s, 1);
    uint64_t hash = pacifica_machine_state_hash(s.machine);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s.diag = (struct pacifica_diag){ 0 };
        ck_assert_msg(set_register(&s, rows[i].name, rows[i].value) == PACIFICA_EUSAGE,
                      "%s took %#llx", rows[i].name, (unsigned long long)rows[i].value);
        ck_assert_str_eq(s.diag.where, rows[i].name);
        ck_assert_uint_ne(s.diag.what[0], 0);
        ck_assert_msg(pacifica_machine_state_hash(s.machine) == hash, "%s", rows[i].name);
    }
    uint64_t bytes[4] = { 0 };
    ck_assert_int_eq(pacifica_machine_register_get(s.machine, 1, 0, bytes), PACIFICA_EUSAGE);
    ck_assert_int_eq(pacifica_machine_register_get(s.machine, 0, 100000, bytes), PACIFICA_EUSAGE);
    ck_assert_int_eq(pacifica_machine_register_set(s.machine, 1, 0, bytes, NULL), PACIFICA_EUSAGE);
    ck_assert_int_eq(pacifica_machine_register_set(s.machine, 0, 100000, bytes, NULL),
                     PACIFICA_EUSAGE);
    scene_fini(&s);
}
END_TEST

START_TEST(selectors_load_descriptors_without_touching_memory)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    kit_gdt(&s.kit, FREE, kit_descriptor(0x123000, 0xffff, 0x092)); /* not accessed */
    uint64_t raw = kit_gdt_raw(&s.kit, FREE);
    ck_assert_int_eq(set_register(&s, "ds", FREE), PACIFICA_OK);
    ck_assert_uint_eq(cpu->regs.seg[SEG_DS].base, 0x123000);
    ck_assert_uint_eq(cpu->regs.seg[SEG_DS].attr, 0x093);
    ck_assert_uint_eq(kit_gdt_raw(&s.kit, FREE), raw);
    ck_assert_int_eq(set_register(&s, "ds", 0), PACIFICA_OK);
    ck_assert_uint_eq(cpu->regs.seg[SEG_DS].attr & SEG_ATTR_P, 0);
    ck_assert_int_eq(set_register(&s, "ss", 0), PACIFICA_OK); /* null is legal here */
    ck_assert_int_eq(set_register(&s, "ldtr", LDT), PACIFICA_OK);
    ck_assert_uint_eq(cpu->regs.seg[SEG_LDTR].base, LDT_SPA);
    kit_gdt(&s.kit, LDT, kit_descriptor(0x7000, 0x67, 0x089)); /* an available TSS, in two parts */
    kit_put(&s.kit, GDT_SPA + LDT + 8, 8, 0xffff8000);
    ck_assert_int_eq(set_register(&s, "tr", LDT), PACIFICA_OK);
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].base, 0xffff800000007000);
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].attr, 0x08b);
    ck_assert_uint_eq(kit_gdt_raw(&s.kit, LDT) >> 40 & 0xff, 0x89);
    scene_fini(&s);
}
END_TEST

START_TEST(cs_changes_the_mode)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    ck_assert_int_eq(set_register(&s, "cs", CODE32), PACIFICA_OK);
    ck_assert_int_eq(cpu->mode, MODE_COMPAT32);
    CODE_AT(&s, CODE_SPA, 0x40, 0xeb, 0xfd); /* inc eax; jmp: no REX prefix here */
    cpu->r[REG_RAX] = 0;
    scene_run(&s, 2);
    ck_assert_uint_eq(cpu->r[REG_RAX], 1);
    ck_assert_int_eq(set_register(&s, "rip", UINT64_C(1) << 32), PACIFICA_EUSAGE);
    ck_assert_int_eq(set_register(&s, "cs_attrib", 0xa9b), PACIFICA_OK); /* L instead of D */
    ck_assert_int_eq(cpu->mode, MODE_LONG64);
    scene_fini(&s);
}
END_TEST

START_TEST(real_mode_selectors_make_bases)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    vcpu_reset(cpu);
    ck_assert_int_eq(set_register(&s, "cs", 0x1234), PACIFICA_OK);
    ck_assert_uint_eq(get_register(&s, 0, "cs_base"), 0x12340);
    ck_assert_int_eq(set_register(&s, "ldtr", 8), PACIFICA_EUSAGE);
    ck_assert_int_eq(set_register(&s, "cr0", CR0_PE | CR0_ET), PACIFICA_OK);
    ck_assert_int_eq(cpu->mode, MODE_PROT16);
    ck_assert_int_eq(set_register(&s, "cr0", CR0_ET), PACIFICA_OK);
    ck_assert_int_eq(cpu->mode, MODE_REAL);
    scene_fini(&s);
}
END_TEST

/* What the TLB and the fast tables held of the old tables does not answer any more. */
START_TEST(cr3_takes_effect)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    struct memory *memory = s.machine->memory;
    CODE_AT(&s, CODE_SPA, 0x8b, 0x04, 0x25, 0x00, 0x30, 0x40, 0x00, 0xeb,
            0xf7); /* mov eax, [403000]; jmp */
    phys_write(memory, 0x403000, 4, 11);
    phys_write(memory, 0x503000, 4, 22);
    scene_run(&s, 10);
    ck_assert_uint_eq(cpu->r[REG_RAX], 11);
    phys_write(memory, PT_SPA + 8 * 3, 8, 0x503007); /* without INVLPG */
    scene_run(&s, 10);
    ck_assert_uint_eq(cpu->r[REG_RAX], 11);
    ck_assert_int_eq(set_register(&s, "cr3", PML4_SPA), PACIFICA_OK);
    scene_run(&s, 10);
    ck_assert_uint_eq(cpu->r[REG_RAX], 22);
    scene_fini(&s);
}
END_TEST

/* An unmasked exception becomes pending, and FLD finds it; TS makes SSE unavailable. */
START_TEST(floating_point_follows)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    CODE_AT(&s, CODE_SPA, 0xd9, 0xe8, 0x90, 0xf4); /* fld1; nop; hlt */
    ck_assert_int_eq(set_register(&s, "fctrl", 0x37f), PACIFICA_OK);
    ck_assert_int_eq(set_register(&s, "ftag", 0xffff), PACIFICA_OK);
    ck_assert_int_eq(set_register(&s, "fstat", 0x0001), PACIFICA_OK); /* masked */
    ck_assert_uint_eq(get_register(&s, 0, "fstat"), 0x0001);
    ck_assert_int_eq(set_register(&s, "fctrl", 0x37e), PACIFICA_OK);
    ck_assert_uint_eq(get_register(&s, 0, "fstat"), 0x8081);
    unsigned id = break_on(&s, PACIFICA_BREAK_EXCEPTION, EXC_MF);
    scene_run(&s, 10);
    ck_assert_uint_eq(s.result.break_id, id);
    ck_assert_int_eq(set_register(&s, "fstat", 0), PACIFICA_OK);
    ck_assert_int_eq(set_register(&s, "rip", CODE_SPA), PACIFICA_OK);
    scene_run(&s, 1);
    ck_assert_uint_eq(get_register(&s, 0, "ftag"), 0x3fff); /* register 7 is valid */
    ck_assert_uint_eq(get_register(&s, 0, "st0"), 0x8000000000000000);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA + 2);
    scene_fini(&s);
}
END_TEST

START_TEST(svm_registers_tell_the_guest)
{
    struct scene s;
    scene_init(&s, 1);
    scene_guest(&s);
    CODE_AT(&s, CODE_SPA, 0x0f, 0x01, 0xd8, 0xf4);
    CODE_AT(&s, GUEST_AT, 0x90, 0x0f, 0x01, 0xd9);
    s.machine->cpu[0]->r[REG_RAX] = VMCB_SPA;
    ck_assert_uint_eq(get_register(&s, 0, "guest_mode"), 0);
    scene_run(&s, 2);
    ck_assert_uint_eq(get_register(&s, 0, "guest_mode"), 1);
    ck_assert_uint_eq(get_register(&s, 0, "asid"), 1);
    ck_assert_uint_eq(get_register(&s, 0, "vmcb_pa"), VMCB_SPA);
    ck_assert_uint_eq(get_register(&s, 0, "n_cr3"), NPT_SPA);
    ck_assert_uint_eq(get_register(&s, 0, "gif"), 1);
    ck_assert_int_eq(set_register(&s, "efer", 0), PACIFICA_EUSAGE);
    scene_run(&s, 1);
    ck_assert_uint_eq(get_register(&s, 0, "guest_mode"), 0);
    ck_assert_uint_eq(get_register(&s, 0, "asid"), 0);
    ck_assert_uint_eq(get_register(&s, 0, "exitcode"), VMEXIT_VMMCALL);
    ck_assert_uint_eq(get_register(&s, 0, "gif"), 0);
    scene_fini(&s);
}
END_TEST

CHECK_MAIN("registers", the_table_is_whole, writing_what_was_read_changes_nothing, values_come_back,
           what_cannot_be_is_refused_and_changes_nothing,
           selectors_load_descriptors_without_touching_memory, cs_changes_the_mode,
           real_mode_selectors_make_bases, cr3_takes_effect, floating_point_follows,
           svm_registers_tell_the_guest)

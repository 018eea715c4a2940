/* Breaks at events: VMRUN, #VMEXIT, deliveries, MSRs, ports, modes, XCHG BX, BX; and EXECUTE in guests. */
#include "tests/machine/debug_kit.h"

#include "tests/check_main.h"

/* 10000: vmrun; 10003: mov dword [rax + RIP of the VMCB], 400000; inc ebx; jmp 10000. The guest's code begins at gpa 400000h. */
static void host(struct scene *scene, const void *guest, size_t size)
{
    scene_init(scene, 1);
    scene_guest(scene);
    CODE_AT(scene, CODE_SPA, 0x0f, 0x01, 0xd8, 0xc7, 0x80, 0x78, 0x05, 0, 0, 0, 0, 0x40, 0, 0xff,
            0xc3, 0xeb, 0xef);
    scene_code(scene, GUEST_AT, guest, size);
    scene->machine->cpu[0]->r[REG_RAX] = VMCB_SPA;
    scene->machine->cpu[0]->r[REG_RBX] = 0;
}
#define HOST(scene, ...) \
    host((scene), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

START_TEST(vmrun_stops_before_the_guest_executes_anything)
{
    struct scene s;
    HOST(&s, 0x40, 0x0f, 0x01, 0xd9);
    VMCB_SET(s.kit.vmcb, EVENTINJ, EVENTINJ_V | EVENT_NMI << 8 | 2); /* which has to wait, too */
    unsigned id = break_on(&s, PACIFICA_BREAK_VMRUN, PACIFICA_ANY);
    scene_run(&s, 1000);
    stopped_at(&s, id, GUEST_CODE);
    ck_assert(svm_guest(s.machine->cpu[0]));
    ck_assert_uint_eq(get_register(&s, 0, "guest_mode"), 1);
    scene_fini(&s);
}
END_TEST

START_TEST(a_vmrun_that_is_refused_has_run_nobody)
{
    struct scene s;
    HOST(&s, 0x40);
    VMCB_SET(s.kit.vmcb, GUEST_ASID, 0);
    (void)break_on(&s, PACIFICA_BREAK_VMRUN, PACIFICA_ANY);
    unsigned id = break_on(&s, PACIFICA_BREAK_VMEXIT, PACIFICA_EXIT_INVALID);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 3);
    scene_fini(&s);
}
END_TEST

START_TEST(vmexit_stops_before_the_host_goes_on)
{
    struct scene s;
    HOST(&s, 0x0f, 0x01, 0xd9);
    (void)break_on(&s, PACIFICA_BREAK_VMEXIT, VMEXIT_CPUID);
    (void)break_on(&s, PACIFICA_BREAK_VMEXIT, PACIFICA_EXIT_INVALID);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    unsigned id = break_on(&s, PACIFICA_BREAK_VMEXIT, VMEXIT_VMMCALL);
    for (unsigned i = 0; i < 3; i++) {
        scene_run(&s, 1000);
        stopped_at(&s, id, CODE_SPA + 3);
        ck_assert_uint_eq(get_register(&s, 0, "guest_mode"), 0);
        ck_assert_uint_eq(get_register(&s, 0, "exitcode"), VMEXIT_VMMCALL);
    }
    ck_assert_int_eq(pacifica_break_remove(s.machine, id), PACIFICA_OK);
    id = break_on(&s, PACIFICA_BREAK_VMEXIT, PACIFICA_ANY);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 3);
    scene_fini(&s);
}
END_TEST

/* mov ecx, C0000082h; rdmsr. Its number, or another one. */
START_TEST(vmexit_of_one_msr)
{
    struct scene s;
    HOST(&s, 0xb9, 0x82, 0, 0, 0xc0, 0x0f, 0x32);
    VMCB_SET(s.kit.vmcb, INTERCEPT_3, 1u << (INTERCEPT_MSR_PROT & 31));
    for (unsigned i = 0; i < 0x2000; i += 8)
        phys_write(s.machine->memory, MSRPM_SPA + i, 8, UINT64_MAX);
    struct pacifica_break wanted = break_of(PACIFICA_BREAK_VMEXIT);
    wanted.number = VMEXIT_MSR;
    wanted.detail = 0xc0000080;
    (void)add_break(&s, wanted);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    wanted.detail = 0xc0000082;
    unsigned id = add_break(&s, wanted);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 3);
    scene_fini(&s);
}
END_TEST

/* in eax, 80h: ports 80h-83h. */
START_TEST(vmexit_of_one_port)
{
    static const struct {
        uint64_t port;
        bool meets;
    } rows[] = { { 0x7f, false }, { 0x80, true }, { 0x83, true }, { 0x84, false } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;
        HOST(&s, 0xe5, 0x80);
        VMCB_SET(s.kit.vmcb, INTERCEPT_3, 1u << (INTERCEPT_IOIO_PROT & 31));
        for (unsigned at = 0; at < 0x3000; at += 8)
            phys_write(s.machine->memory, IOPM_SPA + at, 8, UINT64_MAX);
        struct pacifica_break wanted = break_of(PACIFICA_BREAK_VMEXIT);
        wanted.number = VMEXIT_IOIO;
        wanted.detail = rows[i].port;
        (void)add_break(&s, wanted);
        ck_assert_int_eq(scene_run(&s, 1000),
                         rows[i].meets ? PACIFICA_STOP_BREAK : PACIFICA_STOP_LIMIT_INSNS);
        scene_fini(&s);
    }
}
END_TEST

/* 400000: inc eax; inc eax; vmmcall: by the guest's linear address, in its 32-bit code. */
START_TEST(execute_works_in_guests)
{
    struct scene s;
    HOST(&s, 0x40, 0x40, 0x0f, 0x01, 0xd9);
    scene_run(&s, 3000);
    unsigned id = break_at(&s, GUEST_CODE + 1);
    uint64_t ebx = 0;
    for (unsigned i = 0; i < 4; i++) {
        scene_run(&s, 1000);
        stopped_at(&s, id, GUEST_CODE + 1);
        ck_assert(svm_guest(s.machine->cpu[0]));
        ck_assert(i == 0 || s.machine->cpu[0]->r[REG_RBX] == ebx + 1);
        ebx = s.machine->cpu[0]->r[REG_RBX];
    }
    scene_fini(&s);
}
END_TEST

/* 400000: mov [500000], eax; vmmcall: a write in the guest, seen by its linear address, the host's and the physical one. */
START_TEST(write_works_in_guests)
{
    static const struct {
        enum pacifica_space space;
        uint64_t address;
    } rows[] = { { PACIFICA_SPACE_LINEAR, 0x500000 },
                 { PACIFICA_SPACE_LINEAR, GUEST_AT + 0x100000 },
                 { PACIFICA_SPACE_PHYSICAL, GUEST_AT + 0x100000 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;
        HOST(&s, 0xa3, 0x00, 0x00, 0x50, 0x00, 0x0f, 0x01, 0xd9);
        scene_run(&s, 3000);
        VMCB_SET(s.kit.vmcb, RAX, 7);
        unsigned id = watch(&s, PACIFICA_BREAK_WRITE, rows[i].space, rows[i].address, 4);
        scene_run(&s, 1000);
        stopped_at(&s, id, GUEST_CODE + 5);
        ck_assert(svm_guest(s.machine->cpu[0]));
        scene_fini(&s);
    }
}
END_TEST

/* --- deliveries -------------------------------------------------------------------------------- */

/* int 40h, with a handler that is there. */
START_TEST(exception_stops_at_its_handler)
{
    struct scene s;
    scene_init(&s, 1);
    CODE_AT(&s, CODE_SPA, 0x90, 0xcd, 0x40);
    (void)break_on(&s, PACIFICA_BREAK_EXCEPTION, EXC_PF);
    unsigned id = break_on(&s, PACIFICA_BREAK_EXCEPTION, 0x40);
    scene_run(&s, 1000);
    stopped_at(&s, id, HANDLER + 16 * 0x40);
    scene_fini(&s);
}
END_TEST

/* The stack of the handler is not there: what is delivered is #DF, and not the #PF before it. */
START_TEST(only_what_was_delivered_counts)
{
    struct scene s;
    scene_init(&s, 1);
    kit_page(&s.kit, 3, 0);
    kit_idt(&s.kit, EXC_DF, 14, 0, 1); /* on IST 1 */
    CODE_AT(&s, CODE_SPA, 0x0f, 0x0b);
    s.machine->cpu[0]->r[REG_RSP] = PAGED_LA + 0x3ff0;
    (void)break_on(&s, PACIFICA_BREAK_EXCEPTION, EXC_UD);
    (void)break_on(&s, PACIFICA_BREAK_EXCEPTION, EXC_PF);
    unsigned id = break_on(&s, PACIFICA_BREAK_EXCEPTION, EXC_DF);
    scene_run(&s, 1000);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_BREAK);
    ck_assert_uint_eq(s.result.break_id, id);
    scene_fini(&s);
}
END_TEST

/* --- MSRs, ports, modes, magic -------------------------------------------------------------------- */

START_TEST(msr_and_port_stop_behind_the_access)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    CODE_AT(&s, CODE_SPA, 0x0f, 0x32, 0x0f, 0x30, 0xe6, 0x80, 0xed, 0xeb,
            0xf7); /* rdmsr; wrmsr; out 80h; in eax, dx; jmp */
    cpu->r[REG_RCX] = 0xc0000082;
    cpu->r[REG_RDX] = 0;
    (void)break_on(&s, PACIFICA_BREAK_MSR, 0xc0000081);
    (void)break_on(&s, PACIFICA_BREAK_PORT, 0x81);
    unsigned msr = break_on(&s, PACIFICA_BREAK_MSR, 0xc0000082);
    unsigned port = break_on(&s, PACIFICA_BREAK_PORT, 0x80);
    scene_run(&s, 1000);
    stopped_at(&s, msr, CODE_SPA + 2);
    scene_run(&s, 1000);
    stopped_at(&s, msr, CODE_SPA + 4);
    scene_run(&s, 1000);
    stopped_at(&s, port, CODE_SPA + 6);
    scene_fini(&s);
}
END_TEST

/* The guest ends the run by the port that is watched: its stop is told, then the break. */
START_TEST(other_stops_come_first_and_nothing_is_lost)
{
    struct scene s;
    scene_init(&s, 1);
    CODE_AT(&s, CODE_SPA, 0xb0, 0x21, 0xe6, 0xf4, 0xeb, 0xfe);
    unsigned id = break_on(&s, PACIFICA_BREAK_PORT, 0xf4);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_EXIT);
    ck_assert_uint_eq(s.result.exit_value, 0x21);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 4);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    scene_fini(&s);
}
END_TEST

/* jmp far to CODE32, in which: inc eax; vmrun and back are modes too. */
START_TEST(mode_stops_behind_the_change)
{
    struct scene s;
    scene_init(&s, 1);
    CODE_AT(&s, CODE_SPA, 0x90, 0xff, 0x2c, 0x25, 0x00, 0x80, 0x01, 0x00); /* jmp far [DATA_SPA] */
    phys_write(s.machine->memory, DATA_SPA, 6, 0x11000 | (uint64_t)CODE32 << 32);
    CODE_AT(&s, 0x11000, 0x40, 0xeb, 0xfd);
    unsigned id = add_break(&s, break_of(PACIFICA_BREAK_MODE));
    scene_run(&s, 1000);
    stopped_at(&s, id, 0x11000);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    scene_fini(&s);

    HOST(&s, 0x40, 0x0f, 0x01, 0xd9);
    id = add_break(&s, break_of(PACIFICA_BREAK_MODE));
    for (unsigned i = 0; i < 3; i++) {
        scene_run(&s, 1000);
        stopped_at(&s, id, GUEST_CODE);
        scene_run(&s, 1000);
        stopped_at(&s, id, CODE_SPA + 3);
    }
    scene_fini(&s);
}
END_TEST

START_TEST(magic_stops_behind_xchg_bx_bx_only)
{
    struct scene s;
    scene_init(&s, 1);
    CODE_AT(&s, CODE_SPA, 0x87, 0xdb, 0x66, 0x87, 0xc9, 0x66, 0x45, 0x87, 0xdb, 0x66, 0x87, 0xdb,
            0xeb, 0xf2); /* xchg ebx, ebx; cx, cx; r11w, r11w; bx, bx; jmp */
    s.machine->cpu[0]->r[REG_RBX] = 0x1234567812345678;
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS); /* nothing without a break */
    unsigned id = add_break(&s, break_of(PACIFICA_BREAK_MAGIC));
    for (unsigned i = 0; i < 3; i++) {
        scene_run(&s, 1000);
        stopped_at(&s, id, CODE_SPA + 12);
    }
    ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RBX], 0x12345678);
    scene_fini(&s);
}
END_TEST

CHECK_MAIN("breaks_events", vmrun_stops_before_the_guest_executes_anything,
           a_vmrun_that_is_refused_has_run_nobody, vmexit_stops_before_the_host_goes_on,
           vmexit_of_one_msr, vmexit_of_one_port, execute_works_in_guests, write_works_in_guests,
           exception_stops_at_its_handler, only_what_was_delivered_counts,
           msr_and_port_stop_behind_the_access, other_stops_come_first_and_nothing_is_lost,
           mode_stops_behind_the_change, magic_stops_behind_xchg_bx_bx_only)

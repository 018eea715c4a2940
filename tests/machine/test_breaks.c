/* EXECUTE breaks and single steps: where they stop, and that they change nothing. */
#include "tests/machine/debug_kit.h"

#include "tests/check_main.h"

/* 10000: inc eax; 10002: dec ecx; 10004: jnz 10000; 10006: hlt */
static void loop(struct scene *scene)
{
    scene_init(scene, 1);
    CODE_AT(scene, CODE_SPA, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa, 0xf4);
    scene->machine->cpu[0]->r[REG_RCX] = 5;
    scene->machine->cpu[0]->r[REG_RAX] = 0;
}

START_TEST(execute_stops_before_the_instruction_each_time)
{
    struct scene s;
    loop(&s);
    unsigned id = break_at(&s, CODE_SPA + 2);
    for (uint64_t i = 1; i <= 5; i++) {
        scene_run(&s, 1000);
        stopped_at(&s, id, CODE_SPA + 2);
        ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RAX], i);
        ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RCX], 6 - i);
    }
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_HALTED);
    uint64_t hits;
    ck_assert_uint_eq(pacifica_break_get(s.machine, id, &hits)->address, CODE_SPA + 2);
    ck_assert_uint_eq(hits, 5);
    scene_fini(&s);
}
END_TEST

START_TEST(adding_where_the_processor_stands_executes_first)
{
    struct scene s;
    loop(&s);
    unsigned id = break_at(&s, CODE_SPA);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA); /* for the second time */
    ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RAX], 1);
    scene_fini(&s);
}
END_TEST

/* A limit is no reason to run over a break. */
START_TEST(a_run_cut_at_the_address_stops_there)
{
    struct scene s;
    loop(&s);
    unsigned id = break_at(&s, CODE_SPA + 4);
    ck_assert_int_eq(scene_run(&s, 2), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(cpu_rip(s.machine->cpu[0]), CODE_SPA + 4);
    scene_run(&s, 100);
    stopped_at(&s, id, CODE_SPA + 4);
    ck_assert_uint_eq(scene_steps(&s), 2);
    scene_fini(&s);
}
END_TEST

START_TEST(code_that_ran_before_stops_too)
{
    struct scene s;
    loop(&s);
    s.machine->cpu[0]->r[REG_RCX] = 5000;
    ck_assert_int_eq(scene_run(&s, 3000), PACIFICA_STOP_LIMIT_INSNS); /* linked, at full speed */
    unsigned id = break_at(&s, CODE_SPA + 2);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_int_eq(pacifica_break_remove(s.machine, id), PACIFICA_OK);
    ck_assert_int_eq(pacifica_break_remove(s.machine, id), PACIFICA_EUSAGE);
    ck_assert_ptr_null(pacifica_break_get(s.machine, id, NULL));
    ck_assert_int_eq(scene_run(&s, 1000000), PACIFICA_STOP_HALTED);
    scene_fini(&s);
}
END_TEST

/* Jumps from and to pages without a break: through links and the jump cache. */
START_TEST(a_page_with_a_break_is_found_from_other_pages)
{
    struct scene s;
    scene_init(&s, 1);
    CODE_AT(&s, 0x10ff0, 0xff, 0xc0, 0xe9, 0x09, 0x00, 0x00, 0x00); /* inc eax; jmp 11000 */
    CODE_AT(&s, 0x11000, 0x90, 0xff, 0xc3, 0xeb, 0x00, 0xe9, 0xe6, 0xef, 0xff,
            0xff);                                     /* nop; inc ebx; jmp +0; jmp 0fff0 */
    CODE_AT(&s, 0xfff0, 0xe9, 0xfb, 0x0f, 0x00, 0x00); /* jmp 10ff0 */
    s.machine->cpu[0]->r[REG_RIP] = 0x10ff0;
    s.machine->cpu[0]->r[REG_RAX] = s.machine->cpu[0]->r[REG_RBX] = 0;
    scene_run(&s, 7000);
    uint64_t rounds = s.machine->cpu[0]->r[REG_RAX];
    ck_assert_uint_eq(rounds, 1000);
    unsigned id = break_at(&s, 0x11001);
    for (unsigned i = 1; i <= 3; i++) {
        scene_run(&s, 1000);
        stopped_at(&s, id, 0x11001);
        ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RAX], rounds + i);
        ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RBX], rounds + i - 1);
    }
    scene_fini(&s);
}
END_TEST

START_TEST(removed_and_changed_code_is_no_hit)
{
    struct scene s;
    loop(&s);
    unsigned id = break_at(&s, CODE_SPA + 3); /* inside an instruction: never arrived at */
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_HALTED);
    uint64_t hits;
    (void)pacifica_break_get(s.machine, id, &hits);
    ck_assert_uint_eq(hits, 0);
    scene_fini(&s);
}
END_TEST

/* 0: rep movsb; the break is at it, and behind it. */
START_TEST(a_string_instruction_is_arrived_at_once)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    CODE_AT(&s, CODE_SPA, 0x90, 0xf3, 0xa4, 0x90, 0xeb, 0xfa); /* nop; rep movsb; nop; jmp 10000 */
    cpu->r[REG_RCX] = 500;
    cpu->r[REG_RSI] = DATA_SPA;
    cpu->r[REG_RDI] = DATA_SPA + 0x800;
    unsigned at = break_at(&s, CODE_SPA + 1), behind = break_at(&s, CODE_SPA + 3);
    scene_run(&s, 10000);
    stopped_at(&s, at, CODE_SPA + 1);
    struct pacifica_result result; /* some of it by steps of a debugger */
    for (unsigned i = 1; i <= 3; i++) {
        pacifica_machine_step(s.machine, 0, UINT64_MAX, &result);
        ck_assert_int_eq(result.stop, PACIFICA_STOP_STEP);
        ck_assert_uint_eq(cpu->r[REG_RCX], 500 - i);
    }
    ck_assert_int_eq(scene_run(&s, 10), PACIFICA_STOP_LIMIT_INSNS);
    scene_run(&s, 10000);
    stopped_at(&s, behind, CODE_SPA + 3);
    ck_assert_uint_eq(cpu->r[REG_RCX], 0);
    scene_fini(&s);
}
END_TEST

/* The break comes before the page fault, and again when the handler returns to begin the instruction again. */
START_TEST(breaks_come_before_faults)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    kit_page(&s.kit, 3, 0);
    CODE_AT(&s, CODE_SPA, 0x90, 0x8b, 0x04, 0x25, 0x00, 0x30, 0x40, 0x00,
            0xf4);                                        /* nop; mov eax, [403000] */
    CODE_AT(&s, HANDLER + 16 * EXC_PF, 0xff, 0xc3, 0xf4); /* inc ebx; hlt */
    cpu->r[REG_RBX] = 0;
    unsigned id = break_at(&s, CODE_SPA + 1);
    scene_run(&s, 100);
    stopped_at(&s, id, CODE_SPA + 1);
    ck_assert_uint_eq(cpu->r[REG_RBX], 0);
    ck_assert_int_eq(scene_run(&s, 100), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(cpu->r[REG_RBX], 1);
    scene_fini(&s);
}
END_TEST

/* Not even the page of the instruction needs to be there. */
START_TEST(breaks_come_before_faults_of_the_fetch)
{
    struct scene s;
    scene_init(&s, 1);
    kit_page(&s.kit, 3, 0);
    CODE_AT(&s, CODE_SPA, 0xb8, 0x00, 0x30, 0x40, 0x00, 0xff, 0xe0); /* mov eax, 403000; jmp rax */
    unsigned id = break_at(&s, PAGED_LA + 0x3000);
    scene_run(&s, 100);
    stopped_at(&s, id, PAGED_LA + 0x3000);
    scene_fini(&s);
}
END_TEST

/* Two linear addresses of one page of memory: only that with the break stops. */
START_TEST(execute_goes_by_linear_address)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    kit_page(&s.kit, 1, PAGED_LA + 0x5000 + 7);
    kit_page(&s.kit, 2, PAGED_LA + 0x5000 + 7);
    CODE_AT(&s, PAGED_LA + 0x5000, 0x90, 0x90, 0xc3);          /* nop; nop; ret */
    CODE_AT(&s, CODE_SPA, 0xff, 0xd0, 0xff, 0xd3, 0xeb, 0xfa); /* call rax; call rbx; jmp */
    cpu->r[REG_RAX] = PAGED_LA + 0x1000;
    cpu->r[REG_RBX] = PAGED_LA + 0x2000;
    scene_run(&s, 4000);
    unsigned id = break_at(&s, PAGED_LA + 0x2001);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t before = scene_steps(&s);
        scene_run(&s, 1000);
        stopped_at(&s, id, PAGED_LA + 0x2001);
        ck_assert(i == 0 || scene_steps(&s) - before == 9);
    }
    scene_fini(&s);
}
END_TEST

START_TEST(execute_works_in_16_bit_code)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    cpu->regs.cr0 = CR0_ET;
    cpu->regs.efer = 0;
    cpu->regs.cr4 = 0;
    for (int i = 0; i < SEG_LDTR; i++)
        cpu->regs.seg[i] = (struct segment){ .attr = 0x93, .limit = 0xffff };
    cpu->regs.seg[SEG_CS] =
        (struct segment){ .selector = 0x1ff0, .attr = 0x9b, .limit = 0xffff, .base = 0x1ff00 };
    cpu->r[REG_RIP] = 0x110;
    cpu_update_mode(cpu);
    CODE_AT(&s, 0x20010, 0x40, 0x43, 0xeb, 0xfc); /* inc ax; inc bx; jmp */
    scene_run(&s, 300);
    unsigned id = break_at(&s, 0x20011);
    scene_run(&s, 100);
    stopped_at(&s, id, 0x111);
    scene_run(&s, 100);
    stopped_at(&s, id, 0x111);
    scene_fini(&s);
}
END_TEST

/* The bytes at the break change; the place is the same. */
START_TEST(self_modifying_code_keeps_its_breaks)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    /* 10000: xor byte [10009], 1; 10008: 40 90: rex nop or 40 91; 1000a: jmp 10000 */
    CODE_AT(&s, CODE_SPA, 0x80, 0x34, 0x25, 0x09, 0x00, 0x01, 0x00, 0x01, 0x40, 0x90, 0xeb, 0xf4);
    cpu->r[REG_RAX] = 1;
    cpu->r[REG_RCX] = 2;
    unsigned id = break_at(&s, CODE_SPA + 8);
    for (unsigned i = 1; i <= 6; i++) {
        scene_run(&s, 100);
        stopped_at(&s, id, CODE_SPA + 8);
        ck_assert_uint_eq(scene_steps(&s), 3 * (i - 1) + 1);
    }
    ck_assert_uint_eq(cpu->r[REG_RAX] + cpu->r[REG_RCX], 3);
    scene_fini(&s);
}
END_TEST

/* NMI from outside arrives while the machine stands at the break: it goes first, and what was told is not told again. */
START_TEST(an_event_at_the_break_goes_first)
{
    struct scene s;
    loop(&s);
    struct vcpu *cpu = s.machine->cpu[0];
    CODE_AT(&s, HANDLER + 16 * 2, 0xff, 0xc3, 0x48, 0xcf); /* inc ebx; iretq */
    cpu->r[REG_RBX] = 0;
    unsigned id = break_at(&s, CODE_SPA + 2), handler = break_at(&s, HANDLER + 16 * 2 + 2);
    scene_run(&s, 100);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_int_eq(pacifica_machine_signal(s.machine, 0, PACIFICA_SIGNAL_NMI), PACIFICA_OK);
    scene_run(&s, 100);
    stopped_at(&s, handler, HANDLER + 16 * 2 + 2);
    ck_assert_uint_eq(cpu->r[REG_RBX], 1);
    ck_assert_uint_eq(cpu->r[REG_RAX], 1);
    scene_run(&s, 100);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_uint_eq(cpu->r[REG_RAX], 1);
    scene_run(&s, 100);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_uint_eq(cpu->r[REG_RAX], 2);
    scene_fini(&s);
}
END_TEST

/* --- several processors --- */

START_TEST(breaks_of_one_processor_do_not_stop_others)
{
    struct scene s;
    scene_init(&s, 4);
    CODE_AT(&s, CODE_SPA, 0xff, 0xc0, 0x90, 0xeb, 0xfb); /* inc eax; nop; jmp */
    struct pacifica_break wanted = break_of(PACIFICA_BREAK_EXECUTE);
    wanted.cpu = 2;
    wanted.address = CODE_SPA + 2;
    unsigned id = add_break(&s, wanted);
    for (unsigned i = 0; i < 3; i++) {
        scene_run(&s, 1000000);
        stopped_at(&s, id, CODE_SPA + 2);
        ck_assert_uint_eq(s.result.cpu, 2);
    }
    wanted.cpu = PACIFICA_CPU_ANY;
    unsigned any = add_break(&s, wanted);
    unsigned seen = 0;
    for (unsigned i = 0; i < 40000 && seen != 15; i++) {
        scene_run(&s, 1000000);
        ck_assert_int_eq(s.result.stop, PACIFICA_STOP_BREAK);
        ck_assert_uint_eq(s.result.break_id, s.result.cpu == 2 ? id : any);
        seen |= 1u << s.result.cpu;
    }
    ck_assert_uint_eq(seen, 15);
    scene_fini(&s);
}
END_TEST

START_TEST(a_step_is_one_of_the_processor_asked_for)
{
    struct scene s;
    scene_init(&s, 4);
    CODE_AT(&s, CODE_SPA, 0xff, 0xc0, 0xf3, 0x90, 0xeb, 0xfa); /* inc eax; pause; jmp */
    for (unsigned cpu = 0; cpu < 4; cpu++)
        for (unsigned i = 0; i < 7; i++) {
            uint64_t before[4];
            for (unsigned n = 0; n < 4; n++)
                before[n] = vcpu_steps(s.machine->cpu[n]);
            pacifica_machine_step(s.machine, cpu, UINT64_MAX, &s.result);
            ck_assert_int_eq(s.result.stop, PACIFICA_STOP_STEP);
            ck_assert_uint_eq(s.result.cpu, cpu);
            ck_assert_uint_eq(vcpu_steps(s.machine->cpu[cpu]), before[cpu] + 1);
        }
    scene_fini(&s);
}
END_TEST

START_TEST(a_step_of_a_processor_that_waits_ends_at_the_limit)
{
    struct scene s;
    scene_init(&s, 2);
    CODE_AT(&s, CODE_SPA, 0xeb, 0xfe);
    s.machine->cpu[1]->regs.halted = true;
    pacifica_machine_step(s.machine, 1, 5000, &s.result);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(s.result.steps, 5000);
    pacifica_machine_step(s.machine, 0, UINT64_MAX, &s.result);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_STEP);
    s.machine->cpu[0]->regs.halted = true;
    pacifica_machine_step(s.machine, 0, UINT64_MAX, &s.result);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_HALTED);
    scene_fini(&s);
}
END_TEST

START_TEST(a_step_does_not_stop_at_a_break_twice)
{
    struct scene s;
    loop(&s);
    unsigned id = break_at(&s, CODE_SPA + 2);
    pacifica_machine_step(s.machine, 0, UINT64_MAX, &s.result);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_STEP);
    ck_assert_uint_eq(cpu_rip(s.machine->cpu[0]), CODE_SPA + 2);
    scene_run(&s, 100);
    stopped_at(&s, id, CODE_SPA + 2); /* in the next round */
    ck_assert_uint_eq(scene_steps(&s), 4);
    scene_fini(&s);
}
END_TEST

/* --- adding --- */

static enum pacifica_status add_status(struct scene *scene, struct pacifica_break wanted)
{
    unsigned id = 7;
    enum pacifica_status status = pacifica_break_add(scene->machine, &wanted, &id, &scene->diag);
    ck_assert(status == PACIFICA_OK ? id != 0 : id == 0);
    return status;
}

START_TEST(what_makes_no_sense_is_refused)
{
    struct scene s;
    scene_init(&s, 2);
    struct pacifica_break wanted = break_of(PACIFICA_BREAK_KINDS);
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_EUSAGE);
    wanted = break_of(PACIFICA_BREAK_EXECUTE);
    wanted.cpu = 2;
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_EUSAGE);
    wanted.cpu = 1;
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_OK);
    wanted = break_of(PACIFICA_BREAK_WRITE);
    wanted.space = PACIFICA_SPACE_PHYSICAL;
    static const struct {
        uint64_t address;
        uint32_t size;
        enum pacifica_status status;
    } rows[] = { { 0x5000, 0, PACIFICA_EUSAGE },     { 0x5000, 4097, PACIFICA_EUSAGE },
                 { 0x5000, 4096, PACIFICA_OK },      { 0x5001, 4096, PACIFICA_OK },
                 { (16 << 20) - 1, 1, PACIFICA_OK }, { (16 << 20) - 1, 2, PACIFICA_EUSAGE },
                 { 0xfee00000, 4, PACIFICA_EUSAGE }, { UINT64_MAX, 2, PACIFICA_EUSAGE } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wanted.address = rows[i].address;
        wanted.size = rows[i].size;
        ck_assert_int_eq(add_status(&s, wanted), rows[i].status);
    }
    wanted = break_of(PACIFICA_BREAK_WRITE);
    wanted.space = PACIFICA_SPACE_GUEST_PHYSICAL;
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_EUSAGE);
    wanted = break_of(PACIFICA_BREAK_VMEXIT);
    wanted.detail = 0x10;
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_EUSAGE);
    wanted.number = VMEXIT_IOIO;
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_OK);
    scene_fini(&s);
}
END_TEST

START_TEST(there_are_so_many_and_no_more)
{
    struct scene s;
    loop(&s);
    unsigned last = 0;
    for (unsigned i = 0; i < PACIFICA_BREAKS_MOST; i++)
        last = break_at(&s, CODE_SPA + 0x100 + i);
    struct pacifica_break wanted = break_of(PACIFICA_BREAK_EXECUTE);
    ck_assert_int_eq(add_status(&s, wanted), PACIFICA_ERANGE);
    ck_assert_int_eq(pacifica_break_remove(s.machine, last), PACIFICA_OK);
    unsigned id = break_at(&s, CODE_SPA + 6);
    ck_assert_uint_gt(id, last);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 6);
    scene_fini(&s);
}
END_TEST

/* Of two at one place the first is told, and both count. */
START_TEST(the_lowest_number_is_told)
{
    struct scene s;
    loop(&s);
    uint64_t hits;
    unsigned first = break_at(&s, CODE_SPA + 2), second = break_at(&s, CODE_SPA + 2);
    scene_run(&s, 1000);
    stopped_at(&s, first, CODE_SPA + 2);
    (void)pacifica_break_get(s.machine, second, &hits);
    ck_assert_uint_eq(hits, 1);
    ck_assert_int_eq(pacifica_break_remove(s.machine, first), PACIFICA_OK);
    scene_run(&s, 1000);
    stopped_at(&s, second, CODE_SPA + 2);
    ck_assert_uint_eq(scene_steps(&s), 4);
    scene_fini(&s);
}
END_TEST

CHECK_MAIN("breaks", execute_stops_before_the_instruction_each_time,
           adding_where_the_processor_stands_executes_first, a_run_cut_at_the_address_stops_there,
           code_that_ran_before_stops_too, a_page_with_a_break_is_found_from_other_pages,
           removed_and_changed_code_is_no_hit, a_string_instruction_is_arrived_at_once,
           breaks_come_before_faults, breaks_come_before_faults_of_the_fetch,
           execute_goes_by_linear_address, execute_works_in_16_bit_code,
           self_modifying_code_keeps_its_breaks, an_event_at_the_break_goes_first,
           breaks_of_one_processor_do_not_stop_others, a_step_is_one_of_the_processor_asked_for,
           a_step_of_a_processor_that_waits_ends_at_the_limit,
           a_step_does_not_stop_at_a_break_twice, what_makes_no_sense_is_refused,
           there_are_so_many_and_no_more, the_lowest_number_is_told)

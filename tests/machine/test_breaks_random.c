/* Whatever breaks there are: a run that they stop comes to the same state, at the same steps, as one that nothing stops. */
#include "tests/machine/debug_kit.h"

#include "tests/check_main.h"

#define STEPS 20000u

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Random instructions that do no great harm, in a page, with a jump to its beginning; they store into the paged area
 * and into the code, take page faults and interrupts, run strings, call other pages, and now and then run a guest. */
static const struct piece {
    uint8_t size, bytes[12];
} pieces[] = {
    { 2, { 0xff, 0xc0 } },                                     /* inc eax */
    { 3, { 0x48, 0x01, 0xc3 } },                               /* add rbx, rax */
    { 3, { 0x89, 0x47, 0x10 } },                               /* mov [rdi+10], eax */
    { 3, { 0x8b, 0x5f, 0x10 } },                               /* mov ebx, [rdi+10] */
    { 3, { 0x01, 0x5f, 0x40 } },                               /* add [rdi+40], ebx */
    { 4, { 0x88, 0x87, 0xff, 0x0f } },                         /* cut below: mov [rdi+fff], al */
    { 2, { 0x53, 0x58 } },                                     /* push rbx; pop rax */
    { 2, { 0x74, 0x00 } },                                     /* jz +0 */
    { 3, { 0xd1, 0xc8, 0x90 } },                               /* ror eax, 1; nop */
    { 8, { 0x51, 0x6a, 0x05, 0x59, 0x57, 0xf3, 0xaa, 0x5f } }, /* push; rep stosb of 5; pop */
    { 1, { 0x59 } },                                           /* pop rcx */
    { 1, { 0x51 } },                                           /* push rcx */
    { 2, { 0xcd, 0x40 } },                                     /* int 40h */
    { 3, { 0x0f, 0xa2, 0x90 } },                               /* cpuid; nop */
    { 4, { 0x66, 0x87, 0xdb, 0x90 } },                         /* xchg bx, bx; nop */
    { 2, { 0xe6, 0x80 } },                                     /* out 80h, al */
    { 3, { 0x41, 0xff, 0xd4 } },                               /* call r12 */
    { 3, { 0x45, 0x88, 0x36 } },                               /* mov [r14], r14b: into the code */
    { 3, { 0x41, 0xff, 0xd7 } },                               /* call r15: run the guest */
};
#define PIECES (sizeof(pieces) / sizeof(pieces[0]))

static void program(struct scene *s, unsigned cpus, uint64_t seed)
{
    scene_init(s, cpus);
    scene_guest(s);
    struct memory *memory = s->machine->memory;
    kit_page(&s->kit, 4, 0x600007); /* behind page 3: elsewhere */
    /* handlers: iretq */
    for (unsigned v = 0; v < 256; v++)
        phys_write(memory, HANDLER + 16 * v, 8, 0x90cf48);
    /* a subroutine in another page */
    CODE_AT(s, 0x14000, 0xff, 0x07, 0x8b, 0x47, 0x08, 0xc3);
    /* and one that runs the guest: push rax; mov rax, r13; mov dword [rax+578], 400000; vmrun; stgi; pop rax; ret */
    CODE_AT(s, 0x15000, 0x50, 0x4c, 0x89, 0xe8, 0xc7, 0x80, 0x78, 0x05, 0, 0, 0, 0, 0x40, 0, 0x0f,
            0x01, 0xd8, 0x0f, 0x01, 0xdc, 0x58, 0xc3);
    /* the guest: stores, sums, vmmcall */
    CODE_AT(s, GUEST_AT, 0xff, 0x05, 0x00, 0x00, 0x50, 0x00, 0x40, 0x40, 0x0f, 0x01, 0xd9);
    uint64_t at = CODE_SPA;
    while (at < CODE_SPA + 0x600) {
        struct piece piece = pieces[next(&seed) % PIECES];
        if (cpus > 1 && piece.bytes[2] == 0xd7)
            continue; /* one VMCB for all of them would be too many cooks */
        if (piece.bytes[0] == 0x88)
            piece = (struct piece){ 6, { 0x88, 0x87, 0xfe, 0x0f, 0, 0 } };
        scene_code(s, at, piece.bytes, piece.size);
        at += piece.size;
    }
    phys_write(memory, at, 1, 0xe9);
    phys_write(memory, at + 1, 4, (uint32_t)(CODE_SPA - at - 5));
    for (unsigned i = 0; i < cpus; i++) {
        struct vcpu *cpu = s->machine->cpu[i];
        cpu->r[REG_RDI] = PAGED_LA + 0x3000 + 8 * i;
        cpu->r[REG_R12] = 0x14000;
        cpu->r[REG_R13] = VMCB_SPA;
        cpu->r[REG_R15] = 0x15000;
        cpu->r[REG_R14] = CODE_SPA + 0xa00 + 16 * i;
        cpu->r[REG_RSP] = 0x3e0000 + 0x8000 * i;
        cpu->r[REG_RAX] = cpu->r[REG_RBX] = cpu->r[REG_RCX] = i;
        cpu->r[REG_RDX] = 0;
    }
}

static void add_random(struct scene *s, uint64_t *seed)
{
    struct pacifica_break wanted =
        break_of((enum pacifica_break_kind)(next(seed) % PACIFICA_BREAK_KINDS));
    unsigned id;
    wanted.size = 1 + (uint32_t)(next(seed) % 64);
    wanted.space = next(seed) % 2 ? PACIFICA_SPACE_PHYSICAL : PACIFICA_SPACE_LINEAR;
    switch (wanted.kind) {
    case PACIFICA_BREAK_EXECUTE:
        wanted.address = next(seed) % 4 ? CODE_SPA + next(seed) % 0x600 : 0x14000 + next(seed) % 8;
        break;
    case PACIFICA_BREAK_WRITE:
    case PACIFICA_BREAK_READ:
    case PACIFICA_BREAK_ACCESS: {
        static const uint64_t bases[] = { PAGED_LA + 0x3000, PAGED_LA + 0x3ff0,  0x600000,
                                          VMCB_SPA + 0x70,   CODE_SPA + 0xa00,   PT_SPA,
                                          0x3e0000 - 64,     GUEST_AT + 0x100000 };
        wanted.address = bases[next(seed) % 8] + next(seed) % 32;
        break;
    }
    case PACIFICA_BREAK_PORT: wanted.number = 0x80; break;
    case PACIFICA_BREAK_EXCEPTION: wanted.number = 0x40; break;
    default: break;
    }
    ck_assert_int_eq(pacifica_break_add(s->machine, &wanted, &id, &s->diag), PACIFICA_OK);
}

START_TEST(breaks_never_change_the_final_state)
{
    uint64_t stops = 0;
    for (unsigned round = 0; round < 24; round++) {
        unsigned cpus = round % 3 == 2 ? 4 : 1;
        uint64_t seed = (uint64_t)_i * 1000 + round;
        struct scene plain, broken;
        program(&plain, cpus, seed);
        program(&broken, cpus, seed);
        ck_assert_int_eq(scene_run(&plain, STEPS), PACIFICA_STOP_LIMIT_INSNS);
        uint64_t choice = seed ^ 0x5bd1e995;
        for (unsigned i = 0; i < 1 + round % 6; i++)
            add_random(&broken, &choice);
        struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
        limits.exact_blocks = round % 5 == 4;
        for (;;) {
            limits.max_steps = STEPS;
            if (next(&choice) % 8 == 0) /* other cuts, too */
                limits.max_steps = scene_steps(&broken) + next(&choice) % 500;
            if (limits.max_steps > STEPS)
                limits.max_steps = STEPS;
            if (next(&choice) % 8 == 1)
                pacifica_machine_step(broken.machine, (unsigned)(next(&choice) % cpus), STEPS,
                                      &broken.result);
            else
                pacifica_machine_run(broken.machine, &limits, &broken.result);
            if (broken.result.stop == PACIFICA_STOP_LIMIT_INSNS && limits.max_steps == STEPS &&
                scene_steps(&broken) == STEPS)
                break;
            ck_assert(broken.result.stop == PACIFICA_STOP_BREAK ||
                      broken.result.stop == PACIFICA_STOP_STEP ||
                      broken.result.stop == PACIFICA_STOP_LIMIT_INSNS);
            stops += broken.result.stop == PACIFICA_STOP_BREAK;
            if (next(&choice) % 200 == 0)
                add_random(&broken, &choice);
            if (next(&choice) % 200 == 1)
                (void)pacifica_break_remove(broken.machine, 1 + (unsigned)(next(&choice) % 8));
        }
        ck_assert_msg(pacifica_machine_state_hash(plain.machine) ==
                          pacifica_machine_state_hash(broken.machine),
                      "round %u of seed %d, %u processors", round, _i, cpus);
        scene_fini(&plain);
        scene_fini(&broken);
    }
    ck_assert_uint_gt(stops, 1000);
}
END_TEST

/* The same stops, whatever the blocks are, and how the run is cut. */
START_TEST(stops_do_not_depend_on_how_the_machine_runs)
{
    for (unsigned round = 0; round < 12; round++) {
        unsigned cpus = round % 2 ? 4 : 1;
        struct scene s[2];
        uint64_t choice[2];
        for (unsigned i = 0; i < 2; i++) {
            program(&s[i], cpus, 77 + round);
            choice[i] = round;
            for (unsigned n = 0; n < 3; n++)
                add_random(&s[i], &choice[i]);
        }
        for (unsigned stop = 0; stop < 200; stop++) {
            struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
            for (unsigned i = 0; i < 2; i++) {
                limits.max_steps = STEPS;
                limits.exact_blocks = i;
                limits.drop_fast_every = i ? 37 : 0;
                do {
                    if (i)
                        limits.max_steps = scene_steps(&s[i]) + 61;
                    if (limits.max_steps > STEPS)
                        limits.max_steps = STEPS;
                    pacifica_machine_run(s[i].machine, &limits, &s[i].result);
                } while (s[i].result.stop == PACIFICA_STOP_LIMIT_INSNS && limits.max_steps < STEPS);
            }
            ck_assert_int_eq(s[0].result.stop, s[1].result.stop);
            ck_assert_uint_eq(s[0].result.break_id, s[1].result.break_id);
            ck_assert_uint_eq(s[0].result.steps, s[1].result.steps);
            ck_assert_uint_eq(s[0].result.cpu, s[1].result.cpu);
            if (s[0].result.stop != PACIFICA_STOP_BREAK)
                break;
        }
        scene_fini(&s[0]);
        scene_fini(&s[1]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("breaks_random");
    TCase *tcase = tcase_create("breaks_random");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, breaks_never_change_the_final_state, 0, 4);
    tcase_add_test(tcase, stops_do_not_depend_on_how_the_machine_runs);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

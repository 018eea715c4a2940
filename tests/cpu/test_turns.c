/* Several vCPUs: turns of equal length, one clock that never goes back, waiting that costs little, and the same result however
 * the run is cut. */
#include "emu/cpu/snap.h"
#include "tests/cpu/kit.h"

#define MAX_STEPS 2000000u
#define AP_CODE (CODE_SPA + 0x1000)
#define SHARED 0x18000u

/* A kit with two vCPUs in 64-bit mode at CPL 0, the second at AP_CODE with a stack of its own. */
static struct vcpu *add_ap(struct kit *k)
{
    struct vcpu *bsp = k->cpu;
    const struct vcpu_parts parts = { .memory = k->memory,
                                      .probes = &k->probes,
                                      .clock = &k->clock,
                                      .ports = bsp->ports,
                                      .ports_self = k,
                                      .model = cpu_model_default(),
                                      .bsp = bsp };
    struct vcpu *ap = vcpu_new(&parts);
    ck_assert_ptr_nonnull(ap);
    ck_assert_uint_eq(ap->index, 1);
    ck_assert(ap->regs.wait_sipi);
    ap->regs.wait_sipi = false;
    k->cpu = ap;
    kit_mode(k, MODE_LONG64, 0);
    k->cpu = bsp;
    ap->r[REG_RIP] = AP_CODE;
    ap->r[REG_RSP] = RSP0_TOP;
    return ap;
}

#define WITH_TWO(name)                                       \
    static void name##_body(struct kit *k, struct vcpu *ap); \
    START_TEST(name)                                         \
    {                                                        \
        struct kit *k = kit_new_smp(2);                      \
        struct vcpu *ap = add_ap(k);                         \
        name##_body(k, ap);                                  \
        vcpu_free(ap);                                       \
        kit_free(k);                                         \
    }                                                        \
    END_TEST                                                 \
    static void name##_body(struct kit *k, struct vcpu *ap)

static void put(struct kit *k, uint64_t at, const void *bytes, unsigned len)
{
    ck_assert(phys_write_block(k->memory, at, bytes, len));
}
#define PUT(k, at, bytes) put((k), (at), (bytes), sizeof(bytes) - 1)

static int run_steps(struct kit *k, uint64_t steps)
{
    struct run_limits limits = { .max_steps = group_steps(k->cpu) + steps };
    return run_vcpu(k->cpu, &limits);
}

#define LOOP "\x48\xff\xc0\xeb\xfb" /* 1: inc rax; jmp 1b */

WITH_TWO(each_gets_the_same_slice_of_time)
{
    PUT(k, CODE_SPA, LOOP);
    PUT(k, AP_CODE, LOOP);
    ck_assert_int_eq(run_steps(k, 1000000), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(group_insns(k->cpu), 1000000);
    ck_assert_uint_eq(vcpu_now_ns(k->cpu), vcpu_now_ns(ap));
    ck_assert_uint_eq(k->cpu->r[REG_RAX], ap->r[REG_RAX]);
}

WITH_TWO(a_processor_that_waits_for_sipi_does_nothing)
{
    PUT(k, CODE_SPA, LOOP);
    PUT(k, AP_CODE, LOOP);
    ap->regs.wait_sipi = true;
    ck_assert_int_eq(run_steps(k, 100000), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(cpu_insns(ap), 0);
    ck_assert_uint_eq(cpu_insns(k->cpu), 100000);
}

WITH_TWO(halted_processors_without_a_deadline_are_halted_for_ever)
{
    (void)ap;
    PUT(k, CODE_SPA, "\xf4");
    PUT(k, AP_CODE, "\xf4");
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(group_insns(k->cpu), 2);
}

/* What ends a halt from outside a run starts a round, not an endless turn: the one that spins comes to its end by the other. */
WITH_TWO(a_halted_machine_goes_on_in_slices)
{
    PUT(k, CODE_SPA,
        "\xf4\x80\x3c\x25\x00\x80\x01\x00\x00\x74\xf6\xf4"); /* hlt; 1: cmp byte [SHARED], 0; je 1b; hlt */
    PUT(k, AP_CODE,
        "\xf4\xc6\x04\x25\x00\x80\x01\x00\x01\xf4"); /* hlt; mov byte [SHARED], 1; hlt */
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
    k->cpu->regs.halted = ap->regs.halted = false;
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
    ck_assert_uint_lt(cpu_insns(k->cpu), 2 * 10000 + 10);
}

/* Both: 1: mov rbx, [SHARED]; rdtsc; shl rdx, 32; or rax, rdx; cmp rax, rbx; jb bad; mov [SHARED], rax; dec ecx; jnz 1b; hlt;
 * bad: mov byte [SHARED + 8], 1; hlt. The turns are cut at odd places by the step limit. */
#define TSC_LOOP                                                                           \
    "\x48\x8b\x1c\x25\x00\x80\x01\x00\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\x48\x39\xd8\x72" \
    "\x0d\x48\x89\x04\x25\x00\x80\x01\x00\xff\xc9\x75\xde\xf4\xc6\x04\x25\x08\x80\x01\x00\x01\xf4"

WITH_TWO(no_clock_goes_back_from_one_processor_to_another)
{
    PUT(k, CODE_SPA, TSC_LOOP);
    PUT(k, AP_CODE, TSC_LOOP);
    k->cpu->r[REG_RCX] = ap->r[REG_RCX] = 20000;
    int stop;
    while ((stop = run_steps(k, 777)) == PACIFICA_STOP_LIMIT_INSNS)
        ;
    ck_assert_int_eq(stop, PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(kit_get(k, SHARED + 8, 1), 0);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0);
    ck_assert_uint_eq(ap->r[REG_RCX], 0);
}

/* The first counts to 100,000 and sets the flag; the second spins for it, with PAUSE or without. */
static uint64_t spin(struct kit *k, struct vcpu *ap, bool pause)
{
    /* mov ecx, 100000; 1: dec ecx; jnz 1b; mov byte [SHARED], 1; hlt */
    PUT(k, CODE_SPA, "\xb9\xa0\x86\x01\x00\xff\xc9\x75\xfc\xc6\x04\x25\x00\x80\x01\x00\x01\xf4");
    /* 1: pause or nop; cmp byte [SHARED], 0; je 1b; hlt */
    PUT(k, AP_CODE, "\xf3\x90\x80\x3c\x25\x00\x80\x01\x00\x00\x74\xf4\xf4");
    if (!pause)
        PUT(k, AP_CODE, "\x66");
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
    return cpu_insns(ap);
}

WITH_TWO(pause_gives_the_turn_away)
{
    ck_assert_uint_lt(spin(k, ap, true), 200);
}

WITH_TWO(spinning_without_pause_costs_no_more_than_the_time)
{
    uint64_t insns = spin(k, ap, false);
    ck_assert_uint_gt(insns, 200000);
    ck_assert_uint_lt(insns, 200002 + 10000 + 4);
}

WITH_TWO(pause_of_the_only_busy_processor_gives_nothing_away)
{
    (void)ap;
    PUT(k, CODE_SPA, "\xf3\x90\x48\xff\xc0\xeb\xf9"); /* 1: pause; inc rax; jmp 1b */
    PUT(k, AP_CODE, "\xf4");
    ck_assert_int_eq(run_steps(k, 90000), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_lt(k->cpu->skipped_ns, 20000); /* the first round, in which the other was busy */
}

/* The other processor's store ends MWAIT, though nothing interrupts. */
WITH_TWO(mwait_ends_when_the_other_processor_writes_the_line)
{
    /* mov ecx, 30000; 1: dec ecx; jnz 1b; mov byte [SHARED + 5], 1; hlt */
    PUT(k, CODE_SPA, "\xb9\x30\x75\x00\x00\xff\xc9\x75\xfc\xc6\x04\x25\x05\x80\x01\x00\x01\xf4");
    /* mov eax, SHARED; xor ecx, ecx; xor edx, edx; monitor; xor eax, eax; mwait; mov ebx, 77; hlt */
    PUT(k, AP_CODE,
        "\xb8\x00\x80\x01\x00\x31\xc9\x31\xd2\x0f\x01\xc8\x31\xc0\x0f\x01\xc9\xbb\x4d\x00"
        "\x00\x00\xf4");
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(ap->r[REG_RBX], 77);
    ck_assert_uint_eq(cpu_insns(ap), 8);
    ck_assert(!ap->monitor.waiting);
}

/* rows: pitfalls 8.2 */
WITH_TWO(code_changed_by_another_processor_is_seen)
{
    /* the second: 1: jmp 1b, which the first turns into hlt */
    PUT(k, CODE_SPA, "\xb9\x30\x75\x00\x00\xff\xc9\x75\xfc\xc6\x04\x25\x00\x10\x01\x00\xf4\xf4");
    PUT(k, AP_CODE, "\xeb\xfe");
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(ap->r[REG_RIP], AP_CODE + 1);
}

/* --- deadlines --- */

struct alarm {
    struct deadline deadline;
    struct kit *k;
    struct vcpu *ap;
    uint64_t fired_ns, bsp_ns, ap_ns;
};

static void ring(void *self, uint64_t now_ns)
{
    struct alarm *alarm = self;
    alarm->fired_ns = now_ns;
    alarm->bsp_ns = vcpu_now_ns(alarm->k->cpu);
    alarm->ap_ns = vcpu_now_ns(alarm->ap);
    ck_assert_uint_ge(clock_now_ns(&alarm->k->clock), now_ns);
}

WITH_TWO(deadlines_fire_when_all_have_reached_them)
{
    struct alarm alarm = { .k = k, .ap = ap };
    alarm.deadline = (struct deadline){ .fire = ring, .self = &alarm };
    PUT(k, CODE_SPA, LOOP);
    PUT(k, AP_CODE, LOOP);
    for (uint64_t when = 12345; when < 100000; when += 7777) {
        clock_arm(&k->clock, &alarm.deadline, when);
        alarm.fired_ns = 0;
        while (alarm.fired_ns == 0)
            ck_assert_int_eq(run_steps(k, 500), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(alarm.fired_ns, when);
        ck_assert_uint_eq(alarm.bsp_ns, when);
        ck_assert_uint_eq(alarm.ap_ns, when);
    }
}

static void ring_and_stop(void *self, uint64_t now_ns)
{
    struct alarm *alarm = self;
    alarm->fired_ns = now_ns;
    clock_arm(&alarm->k->clock, &alarm->deadline, now_ns + 1000000000);
    vcpu_stop(alarm->ap, PACIFICA_STOP_REQUEST);
}

/* Where nobody has work time passes for all at once. A run that is stopped in between finds nobody ahead of the others, and who is
 * woken from outside then does not wait for somebody who has slept on. */
WITH_TWO(time_that_all_wait_for_passes_for_all_at_once)
{
    struct alarm alarm = { .k = k, .ap = ap };
    alarm.deadline = (struct deadline){ .fire = ring_and_stop, .self = &alarm };
    PUT(k, CODE_SPA, "\xf4");
    PUT(k, AP_CODE, "\xf4");
    clock_arm(&k->clock, &alarm.deadline, 1000000000);
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_REQUEST);
    ck_assert_uint_eq(alarm.fired_ns, 1000000000);
    ck_assert_uint_eq(vcpu_now_ns(k->cpu), vcpu_now_ns(ap));
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_REQUEST);
    ck_assert_uint_eq(alarm.fired_ns, 2000000000);
}

static void ring_again(void *self, uint64_t now_ns)
{
    struct alarm *alarm = self;
    alarm->fired_ns = now_ns;
    clock_arm(&alarm->k->clock, &alarm->deadline, now_ns + 1000);
}

/* Time that passes in HLT costs the workstation something, too: a step limit ends it. */
WITH_TWO(deadlines_that_wake_nobody_are_steps)
{
    struct alarm alarm = { .k = k, .ap = ap };
    alarm.deadline = (struct deadline){ .fire = ring_again, .self = &alarm };
    PUT(k, CODE_SPA, "\xf4");
    PUT(k, AP_CODE, "\xf4");
    clock_arm(&k->clock, &alarm.deadline, 1000);
    ck_assert_int_eq(run_steps(k, 2 + 500), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(group_steps(k->cpu), 2 + 500);
    ck_assert_uint_eq(alarm.fired_ns, 501 * 1000);
    ck_assert_int_eq(run_steps(k, MAX_STEPS), PACIFICA_STOP_HALTED);
}

/* --- however it is cut --- */

static void mix(uint64_t *hash, uint64_t word)
{
    *hash = (*hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
}

static void mix_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        mix(self, at[i]);
}

static uint64_t run_cut(uint64_t piece, bool exact)
{
    struct kit *k = kit_new_smp(2);
    struct vcpu *ap = add_ap(k);
    PUT(k, CODE_SPA, TSC_LOOP);
    PUT(k, AP_CODE, TSC_LOOP);
    k->cpu->r[REG_RCX] = ap->r[REG_RCX] = 1000000;
    for (uint64_t done = 0; done < 123456; done += piece) {
        uint64_t rest = 123456 - done;
        struct run_limits limits = { .max_steps =
                                         group_steps(k->cpu) + (piece < rest ? piece : rest),
                                     .exact_blocks = exact };
        ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
    }
    struct snap snap;
    uint64_t hash = 0;
    group_settle(k->cpu);
    snap_hash(&snap, mix_bytes, &hash);
    group_state(k->cpu, &snap);
    mix(&hash, k->cpu->r[REG_RAX]);
    mix(&hash, ap->r[REG_RAX]);
    mix(&hash, k->cpu->r[REG_RIP]);
    mix(&hash, ap->r[REG_RIP]);
    mix(&hash, vcpu_now_ns(ap));
    mix(&hash, kit_get(k, SHARED, 8));
    vcpu_free(ap);
    kit_free(k);
    return hash;
}

START_TEST(how_a_run_is_cut_changes_nothing)
{
    uint64_t whole = run_cut(1000000, false);
    ck_assert_uint_eq(run_cut(1000000, true), whole);
    ck_assert_uint_eq(run_cut(1, false), whole);
    ck_assert_uint_eq(run_cut(997, false), whole);
    ck_assert_uint_eq(run_cut(10000, true), whole);
}
END_TEST

START_TEST(a_group_takes_no_more_than_its_count)
{
    struct kit *k = kit_new_smp(2);
    struct vcpu *ap = add_ap(k);
    const struct vcpu_parts parts = { .memory = k->memory,
                                      .probes = &k->probes,
                                      .clock = &k->clock,
                                      .model = cpu_model_default(),
                                      .bsp = k->cpu };
    ck_assert_ptr_null(vcpu_new(&parts));
    vcpu_free(ap);
    kit_free(k);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turns");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, each_gets_the_same_slice_of_time);
    tcase_add_test(tc, a_processor_that_waits_for_sipi_does_nothing);
    tcase_add_test(tc, halted_processors_without_a_deadline_are_halted_for_ever);
    tcase_add_test(tc, a_halted_machine_goes_on_in_slices);
    tcase_add_test(tc, no_clock_goes_back_from_one_processor_to_another);
    tcase_add_test(tc, pause_gives_the_turn_away);
    tcase_add_test(tc, spinning_without_pause_costs_no_more_than_the_time);
    tcase_add_test(tc, pause_of_the_only_busy_processor_gives_nothing_away);
    tcase_add_test(tc, mwait_ends_when_the_other_processor_writes_the_line);
    tcase_add_test(tc, code_changed_by_another_processor_is_seen);
    tcase_add_test(tc, deadlines_fire_when_all_have_reached_them);
    tcase_add_test(tc, deadlines_that_wake_nobody_are_steps);
    tcase_add_test(tc, time_that_all_wait_for_passes_for_all_at_once);
    tcase_add_test(tc, how_a_run_is_cut_changes_nothing);
    tcase_add_test(tc, a_group_takes_no_more_than_its_count);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

/* SMM and A20 in the run loop: what is fetched and executed behind a change of the view, however code is cut into blocks. */
#include "tests/cpu/smm_kit.h"
#include "tests/random.h"

#define MAX_STEPS 1000000u

static void put(struct kit *k, uint64_t spa, const void *bytes, unsigned len)
{
    ck_assert(phys_write_block(k->memory, spa, bytes, len));
}
#define PUT(k, spa, bytes) put((k), (spa), (bytes), sizeof(bytes) - 1)

static void run_to_halt(struct kit *k, bool exact)
{
    struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + MAX_STEPS,
                                 .exact_blocks = exact };
    int reason = run_vcpu(k->cpu, &limits);
    ck_assert_msg(reason == PACIFICA_STOP_HALTED, "%d: %s at %llx", reason, k->cpu->stop.text,
                  (unsigned long long)cpu_rip(k->cpu));
}

/* mov ecx, 1000; 1: out B2h, al; inc ebx; dec ecx; jnz 1b; hlt */
static const char caller[] = "\xb9\xe8\x03\x00\x00\xe6\xb2\xff\xc3\xff\xc9\x75\xf8\xf4";
/* inc word [9000h]; rsm */
static const char handler[] = "\xff\x06\x00\x90\x0f\xaa";

static void call_smm(struct kit *k, uint32_t smbase, bool exact)
{
    struct vcpu *cpu = k->cpu;
    cpu->ports = &trap_ops;
    cpu->msr.smbase = smbase;
    kit_put(k, 0x9000, 2, 0);
    put(k, CODE_SPA, caller, sizeof(caller) - 1);
    run_to_halt(k, exact);
    ck_assert_uint_eq(kit_get(k, 0x9000, 2), 1000);
    ck_assert_uint_eq((uint32_t)cpu->r[REG_RBX], 1000);
    ck_assert(!cpu->regs.smm);
    ck_assert_int_eq(cpu->mode, MODE_LONG64);
}

WITH_KIT(handler_runs_at_each_write)
{
    PUT(k, SMBASE + 0x8000, handler);
    call_smm(k, SMBASE, false);
}

WITH_KIT(handler_runs_at_each_write_in_exact_blocks)
{
    PUT(k, SMBASE + 0x8000, handler);
    call_smm(k, SMBASE, true);
}

/* The handler's page is RAM in SMM only: what the bus gives there outside must never be executed instead. */
WITH_KIT(handler_in_aseg_is_fetched_from_smram)
{
    struct memory_view smm = { .smm = true, .aseg = true };
    memory_set_view(k->memory, &smm);
    PUT(k, 0xa8000, handler);
    k->cpu->msr.smm_mask = 1;
    call_smm(k, 0xa0000, false);
    ck_assert_uint_eq(kit_get(k, 0xa8000, 1), 0xff); /* the bus again */
}

/* The same linear address holds other code in SMM and outside: TSeg lies over the caller. */
WITH_KIT(same_address_holds_other_code_in_smm)
{
    static const char jump[] =
        "\x66\xea\x10\x00\x00\x00\x00\x80"; /* jmp far 8000h:10h, operand size 32 */
    static const char inner[] = "\xff\x06\x00\x90\x0f\xaa";
    struct vcpu *cpu = k->cpu;
    PUT(k, SMBASE + 0x8000, jump);
    PUT(k, 0x80010, inner);
    cpu->msr.smm_addr = 0x80000;
    cpu->msr.smm_mask = 0xfffffe0000 | 2;
    call_smm(k, SMBASE, false);
    ck_assert_uint_eq(kit_get(k, 0x80010, 1), 0xff);
}

WITH_KIT(halted_processor_takes_smi_and_halts_again)
{
    struct vcpu *cpu = k->cpu;
    PUT(k, SMBASE + 0x8000, handler);
    PUT(k, CODE_SPA, "\xf4\x90");
    kit_put(k, 0x9000, 2, 0);
    run_to_halt(k, false);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA + 1);
    cpu->pins.smi = true;
    cpu_attention(cpu);
    run_to_halt(k, false);
    ck_assert_uint_eq(kit_get(k, 0x9000, 2), 1);
    ck_assert(cpu->regs.halted && !cpu->regs.smm);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA + 1);
}

/* A single-stepped OUT that pulls SMI: the handler is not stepped, and the #DB comes behind it. */
WITH_KIT(single_step_survives_smm)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned v = 0; v < 32; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    PUT(k, SMBASE + 0x8000, handler);
    PUT(k, CODE_SPA, "\xe6\xb2\xf4");
    kit_put(k, 0x9000, 2, 0);
    cpu->ports = &trap_ops;
    cpu_set_rflags(cpu, 2 | FLAG_TF);
    run_to_halt(k, false);
    ck_assert_uint_eq(kit_get(k, 0x9000, 2), 1);
    ck_assert_uint_eq(cpu_rip(cpu), HANDLER + 16 * EXC_DB + 1);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(kit_get(k, cpu->r[REG_RSP], 8), CODE_SPA + 2);
    ck_assert_uint_eq(cpu->regs.dr[6] & DR6_BS, DR6_BS);
}

/* REP OUTSB goes on behind every SMI. */
WITH_KIT(rep_outs_goes_on_behind_each_smi)
{
    struct vcpu *cpu = k->cpu;
    PUT(k, SMBASE + 0x8000, handler);
    PUT(k, CODE_SPA, "\xf3\x6e\xf4");
    kit_put(k, 0x9000, 2, 0);
    cpu->ports = &trap_ops;
    cpu->r[REG_RCX] = 20;
    cpu->r[REG_RSI] = DATA_SPA;
    run_to_halt(k, false);
    ck_assert_uint_eq(kit_get(k, 0x9000, 2), 20);
    ck_assert_uint_eq(cpu->r[REG_RSI], DATA_SPA + 20);
    ck_assert_uint_eq(cpu->r[REG_RCX], 0);
}

/* A handler that makes RSM fail stops the machine, with a reason. */
WITH_KIT(invalid_rsm_stops_the_machine)
{
    struct vcpu *cpu = k->cpu;
    PUT(k, SMBASE + 0x8000, "\x66\x67\xff\x05\xfc\xfe\x03\x00\x0f\xaa"); /* inc dword [3fefch] */
    PUT(k, CODE_SPA, "\xe6\xb2\xf4");
    cpu->ports = &trap_ops;
    struct run_limits limits = { .max_steps = MAX_STEPS };
    ck_assert_int_eq(run_vcpu(cpu, &limits), PACIFICA_STOP_SHUTDOWN);
    ck_assert_ptr_nonnull(strstr(cpu->stop.text, "revision"));
}

/* Any save area either stops RSM or gives a state that can run on: registers that RSM does not refuse may hold anything. */
WITH_KIT(random_save_areas_never_break_anything)
{
    struct vcpu *cpu = k->cpu;
    uint64_t state = 88172645463325252u;
    unsigned entered = 0;
    for (unsigned round = 0; round < 4000; round++) {
        kit_mode(k, MODE_LONG64, 0);
        cpu->svm->gif = true;
        cpu->regs.smm = cpu->regs.halted = false;
        cpu->stop.reason = PACIFICA_STOP_NONE;
        cpu->pins = (struct cpu_pins){ 0 };
        cpu->msr.smbase = SMBASE;
        if (round % 3 == 0)
            kit_guest(k);
        smi(k);
        for (unsigned at = 0xfe00; at < 0xff00; at += 8)
            if (test_random(&state) % 2)
                set_field(k, at, 8, test_random(&state));
        for (unsigned at = 0xff18; at < 0x10000; at += 8)
            if (test_random(&state) % 2)
                set_field(k, at, 8, test_random(&state));
        /* What RSM refuses, near what is legal. */
        set_field(k, 0xff58, 8, (test_random(&state) & CR0_DEFINED) | (round % 4 ? CR0_PE : 0));
        set_field(k, 0xff50, 8, test_random(&state) & 0xfff000);
        set_field(k, 0xff48, 8, test_random(&state) & control_cr4_valid(cpu));
        set_field(k, 0xfed0, 8, test_random(&state) & control_efer_valid(cpu));
        set_field(k, 0xff60, 8, (uint32_t)test_random(&state));
        set_field(k, 0xff68, 8, (uint32_t)test_random(&state));
        set_field(k, 0xfefc, 4, SMM_REVISION);
        enum step step = EXEC(k, RSM);
        if (step == STEP_STOP) {
            cpu->svm->suspended.valid = false;
            continue;
        }
        ck_assert_int_eq(step, STEP_JUMP);
        entered++;
        cpu->traps = 0;
        struct run_limits limits = { .max_steps = vcpu_steps(cpu) + 30 };
        (void)run_vcpu(cpu, &limits);
        svm_abandon(cpu->svm);
    }
    ck_assert_uint_gt(entered, 500);
}

/* --- A20 --- */

static void close_a20(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct kit *k = self;
    (void)port;
    (void)size;
    memory_set_a20(k->memory, value & 2);
    cpu_attention(k->cpu);
}

/* The instruction behind the one that closes A20 comes from below, and data too.
 * rows: pitfalls 4.17 */
WITH_KIT(code_follows_a20)
{
    static const struct port_ops ops = { .write = close_a20 };
    struct vcpu *cpu = k->cpu;
    for (unsigned exact = 0; exact <= 1; exact++) {
        kit_mode(k, MODE_LONG64, 0);
        memory_set_a20(k->memory, true);
        cpu->regs.halted = false;
        cpu->ports = &ops;
        kit_put(k, 0x118000, 1, 0x11);
        kit_put(k, 0x018000, 1, 0x22);
        /* mov cl, [rdi]; out 92h, al; mov bl, 1 or 2; mov dl, [rdi]; hlt */
        PUT(k, 0x110000, "\x8a\x0f\xe6\x92\xb3\x01\x8a\x17\xf4");
        PUT(k, 0x010000, "\xcc\xcc\xcc\xcc\xb3\x02\x8a\x17\xf4");
        cpu->r[REG_RAX] = cpu->r[REG_RBX] = 0;
        cpu->r[REG_RDI] = 0x118000;
        cpu->r[REG_RIP] = 0x110000;
        run_to_halt(k, exact);
        ck_assert_uint_eq(cpu->r[REG_RCX] & 0xff, 0x11);
        ck_assert_uint_eq(cpu->r[REG_RBX] & 0xff, 2);
        ck_assert_uint_eq(cpu->r[REG_RDX] & 0xff, 0x22);
        ck_assert_uint_eq(cpu_rip(cpu), 0x110009);
    }
}

int main(void)
{
    Suite *suite = suite_create("smm_run");
    TCase *tc = tcase_create("smm_run");
    const TTest *const tests[] = {
        handler_runs_at_each_write,
        handler_runs_at_each_write_in_exact_blocks,
        handler_in_aseg_is_fetched_from_smram,
        same_address_holds_other_code_in_smm,
        halted_processor_takes_smi_and_halts_again,
        single_step_survives_smm,
        rep_outs_goes_on_behind_each_smi,
        invalid_rsm_stops_the_machine,
        random_save_areas_never_break_anything,
        code_follows_a20,
    };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

/* SMM under a hypervisor's control: SMM_CTL, SMM in a container, where SMIs come from; IGNNE. APM vol 2, 15.22 "SMM
 * Support", 15.30.2 "IGNNE MSR (C001_0115h)", 15.30.3 "SMM_CTL MSR (C001_0116h)". */
#include "tests/cpu/smm_kit.h"

enum { IGNNE = 0xc0010115, SMM_CTL = 0xc0010116 };
enum { DISMISS = 1, ENTER = 2, SMI_CYCLE = 4, EXIT = 8, RSM_CYCLE = 16 };

static struct cpu_model without(const char *feature)
{
    struct cpu_model model;
    char words[64];
    (void)snprintf(words, sizeof(words), "max,-%s", feature);
    ck_assert_int_eq(cpu_model_parse(words, &model, NULL), PACIFICA_OK);
    return model;
}

static void control(struct kit *k, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, SMM_CTL, value), STEP_NEXT);
}

/* --- SMM_CTL --- */

/* Each combination that the manual allows, from either state of the NMI mask.
 * rows: svmop 20.3 */
WITH_KIT(smm_ctl_does_what_its_bits_say)
{
    static const struct {
        uint8_t value;
        bool smm_before, smm, smi;
    } cases[] = {
        { 0, false, false, true },
        { DISMISS, false, false, false },
        { DISMISS, true, true, false },
        { ENTER, false, true, true },
        { SMI_CYCLE, false, false, true },
        { SMI_CYCLE, true, true, true },
        { RSM_CYCLE, true, true, true },
        { EXIT, true, false, true },
        { ENTER | SMI_CYCLE, false, true, true },
        { DISMISS | ENTER, false, true, false },
        { DISMISS | ENTER | SMI_CYCLE, false, true, false },
        { EXIT | RSM_CYCLE, true, false, true },
    };
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = without("no-smm-ctl-msr");
    cpu->model = &model;
    for (unsigned i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool masked = i & 1;
        cpu->regs.nmi_masked = masked;
        if (cases[i / 2].smm_before)
            control(k, ENTER);
        cpu->pins.smi = true;
        control(k, cases[i / 2].value);
        ck_assert_int_eq(cpu->regs.smm, cases[i / 2].smm);
        ck_assert_int_eq(cpu->pins.smi, cases[i / 2].smi);
        ck_assert_int_eq(cpu->regs.nmi_masked, cpu->regs.smm || masked);
        if (cpu->regs.smm)
            control(k, EXIT);
        ck_assert_int_eq(cpu->regs.nmi_masked, masked); /* as it was recorded */
    }
    cpu->pins.smi = false;
}

/* rows: svmop 20.3 */
WITH_KIT(smm_ctl_faults_by_reserved_bits_lock_and_reads)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = without("no-smm-ctl-msr");
    uint64_t value;
    kit_raised(k, msr_write(cpu, SMM_CTL, 0), EXC_GP, 0); /* Fn8000_0021 EAX[9] */
    cpu->model = &model;
    for (unsigned bit = 5; bit < 64; bit++)
        kit_raised(k, msr_write(cpu, SMM_CTL, 1ull << bit), EXC_GP, 0);
    kit_raised(k, msr_read(cpu, SMM_CTL, &value), EXC_GP, 0);
    cpu->msr.hwcr |= HWCR_SMM_LOCK;
    for (unsigned bits = 0; bits < 32; bits++)
        kit_raised(k, msr_write(cpu, SMM_CTL, bits), EXC_GP, 0);
    ck_assert(!cpu->regs.smm);
}

/* --- a container, appendix D --- */

static void enter_container(struct kit *k, const struct cpu_model *model)
{
    k->cpu->model = model;
    control(k, DISMISS | ENTER | SMI_CYCLE);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_RSM);
    ck_assert(k->cpu->svm->guest && k->cpu->regs.smm);
}

/* The handler's RSM exits, and SMM goes on in the host until EXIT. */
WITH_KIT(the_rsm_of_a_container_exits_in_smm)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = without("no-smm-ctl-msr");
    enter_container(k, &model);
    kit_exited(k, EXEC(k, RSM), VMEXIT_RSM, 0, 0, CODE_SPA + 2);
    ck_assert(cpu->regs.smm && !cpu->svm->guest);
    cpu->pins.smi = cpu->pins.init = true;
    cpu->svm->gif = true;
    ck_assert(!event_pending(cpu)); /* both wait for the end of SMM */
    control(k, EXIT | RSM_CYCLE);
    ck_assert(event_pending(cpu));
}

/* A hypervisor in SMM runs a guest while another, which SMI interrupted, waits for RSM: what VMRUN kept for that one is still its
 * own. */
WITH_KIT(a_container_leaves_the_guest_that_waits_alone)
{
    struct svm_state *svm = k->cpu->svm;
    kit_guest(k);
    const uint64_t host_cr0 = svm->host_cr0;
    const uint64_t host_pat = svm->host_pat;
    smi(k);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->regs.cr0 |= CR0_CD;
    k->cpu->msr.pat = 0;
    kit_guest(k);
    ck_assert(svm->guest && svm->suspended.valid && k->cpu->regs.smm);
    svm->host_cr0 = svm->host_pat = 0;
    rsm(k);
    ck_assert(svm->guest && !svm->suspended.valid);
    ck_assert_uint_eq(svm->host_cr0, host_cr0);
    ck_assert_uint_eq(svm->host_pat, host_pat);
}

/* Nothing but RSM and EXIT ends SMM: SMI, whose exit the container would take, is blocked in it. */
WITH_KIT(smi_does_not_exit_from_a_container)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = without("no-smm-ctl-msr");
    enter_container(k, &model);
    kit_intercept(k, INTERCEPT_SMI);
    kit_intercept(k, INTERCEPT_INIT);
    kit_intercept(k, INTERCEPT_NMI);
    cpu->pins.smi = cpu->pins.init = cpu->pins.nmi = true;
    ck_assert(!event_pending(cpu));
}

/* --- where SMIs come from --- */

/* SMI by the processor itself, which GIF = 0 would lose, does not arise: the registers that trap ports do not exist, and no
 * machine check is redirected.
 * rows: svmop 8.5, 17.1, exit 3.8.1, 3.8.2 */
WITH_KIT(the_processor_itself_traps_no_port)
{
    uint64_t value;
    for (uint32_t number = 0xc0010050; number <= 0xc0010054; number++) {
        kit_raised(k, msr_read(k->cpu, number, &value), EXC_GP, 0);
        kit_raised(k, msr_write(k->cpu, number, 1), EXC_GP, 0);
    }
    k->cpu->pins.smi = true; /* all are external: held */
    k->cpu->svm->gif = false;
    ck_assert(!event_pending(k->cpu));
    k->cpu->svm->gif = true;
    ck_assert(event_pending(k->cpu));
    ck_assert_int_eq(msr_write(k->cpu, 0xc0010022, UINT64_MAX), STEP_NEXT);
    ck_assert_int_eq(msr_read(k->cpu, 0xc0010022, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SMI);
    kit_exited(k, event_boundary(k->cpu), VMEXIT_SMI, 1, 0, 0);
}

/* --- IGNNE --- */

/* rows: svmop 20.2 */
WITH_KIT(ignne_has_one_bit)
{
    uint64_t value;
    for (unsigned bit = 1; bit < 64; bit++)
        kit_raised(k, msr_write(k->cpu, IGNNE, 1ull << bit), EXC_GP, 0);
    ck_assert_int_eq(msr_read(k->cpu, IGNNE, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0);
    ck_assert_int_eq(msr_write(k->cpu, IGNNE, 1), STEP_NEXT);
    ck_assert_int_eq(msr_read(k->cpu, IGNNE, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 1);
    k->cpu->regs.efer &= ~(uint64_t)EFER_SVME; /* whatever EFER.SVME is */
    ck_assert_int_eq(msr_write(k->cpu, IGNNE, 0), STEP_NEXT);
    const struct cpu_model model = without("svm");
    k->cpu->model = &model;
    kit_raised(k, msr_write(k->cpu, IGNNE, 0), EXC_GP, 0);
}

/* FLD1 with a pending exception and CR0.NE = 0. */
static enum step wait_for_ignne(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    cpu->regs.cr0 &= ~(uint64_t)CR0_NE;
    cpu->x87.used = 0;
    cpu->x87.fcw = 0x37e;
    cpu->x87.fsw = 0xb881; /* #IE */
    cpu->ferr.frozen = cpu->regs.halted = false;
    cpu_update_fp(cpu);
    struct insn in = kit_decode(k, (const uint8_t *)"\xd9\xe8", 2);
    const struct insn_info *row = insn_lookup(in.mnemonic);
    ck_assert_ptr_nonnull(row);
    in.body = row->body;
    in.flags = row->flags;
    in.need = isa_need(&in);
    (void)mem_regime(cpu);
    return insn_run(cpu, &in);
}

/* It counts with HWCR.IGNNE_EM only, instead of the signal; a change of either acts whatever GIF is.
 * rows: svmop 20.2, 8.13 */
WITH_KIT(ignne_acts_where_it_is_emulated)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned i = 0; i < 16; i++) {
        bool emulated = i & 1, msr = i & 2, pin = i & 4;
        cpu->svm->gif = i & 8;
        cpu->pins.ignne = pin;
        ck_assert_int_eq(msr_write(cpu, IGNNE, msr), STEP_NEXT);
        cpu->msr.hwcr = (cpu->msr.hwcr & ~(uint64_t)HWCR_IGNNE_EM) | (emulated ? HWCR_IGNNE_EM : 0);
        ck_assert_int_eq(wait_for_ignne(k), (emulated ? msr : pin) ? STEP_NEXT : STEP_FREEZE);
    }
}

int main(void)
{
    Suite *suite = suite_create("smm_control");
    TCase *tc = tcase_create("smm_control");
    const TTest *const tests[] = {
        smm_ctl_does_what_its_bits_say,
        smm_ctl_faults_by_reserved_bits_lock_and_reads,
        the_rsm_of_a_container_exits_in_smm,
        a_container_leaves_the_guest_that_waits_alone,
        smi_does_not_exit_from_a_container,
        the_processor_itself_traps_no_port,
        ignne_has_one_bit,
        ignne_acts_where_it_is_emulated,
    };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

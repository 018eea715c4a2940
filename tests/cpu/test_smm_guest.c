/* SMRAM, SMM_CTL, and SMM under SVM. APM vol 2, 10.2.5 "SMRAM Protected Areas", 15.22 "SMM Support", 15.30.3, 15.32. */
#include "tests/cpu/smm_kit.h"

/* --- SMRAM --- */

static void wrmsr(struct kit *k, uint32_t number, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, number, value), STEP_NEXT);
}

WITH_KIT(aseg_holds_the_save_area)
{
    wrmsr(k, 0xc0010113, 1); /* AE */
    k->cpu->msr.smbase = 0xa0000;
    smi(k);
    ck_assert_uint_eq(kit_get(k, 0xafefc, 4), 0x30064);
    rsm(k);
    ck_assert_uint_eq(kit_get(k, 0xafefc, 4), 0xffffffff); /* the video memory's bus */
    ck_assert_uint_eq(cpu_rip(k->cpu), CODE_SPA);
}

WITH_KIT(tseg_follows_its_registers)
{
    kit_put(k, 0x800000, 1, 0x5a);
    wrmsr(k, 0xc0010112, 0x800000);
    wrmsr(k, 0xc0010113, 0xfffffe0000 | 2); /* TE */
    ck_assert_uint_eq(kit_get(k, 0x800000, 1), 0xff);
    smi(k);
    ck_assert_uint_eq(kit_get(k, 0x800000, 1), 0x5a);
    rsm(k);
    ck_assert_uint_eq(kit_get(k, 0x800000, 1), 0xff);
    wrmsr(k, 0xc0010113, 0xfffffe0000);
    ck_assert_uint_eq(kit_get(k, 0x800000, 1), 0x5a);
}

/* Through the fast tables too. */
WITH_KIT(accesses_follow_the_view)
{
    struct vcpu *cpu = k->cpu;
    uint64_t value;
    ck_assert_int_eq(mem_store_la(cpu, 0x800000, 4, 0x11), STEP_NEXT);
    ck_assert_int_eq(mem_load_la(cpu, 0x800000, 4, &value), STEP_NEXT);
    wrmsr(k, 0xc0010112, 0x800000);
    wrmsr(k, 0xc0010113, 0xfffffe0000 | 2);
    ck_assert_int_eq(mem_load_la(cpu, 0x800000, 4, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0xffffffff);
    smi(k);
    ck_assert_int_eq(mem_load_la(cpu, 0x800000, 4, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0x11);
    ck_assert_int_eq(mem_load_la(cpu, 0x800000, 4, &value), STEP_NEXT);
    rsm(k);
    ck_assert_int_eq(mem_load_la(cpu, 0x800000, 4, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0xffffffff);
}

WITH_KIT(smm_lock_makes_the_registers_read_only)
{
    struct vcpu *cpu = k->cpu;
    wrmsr(k, 0xc0010112, 0x123456789a0000);
    ck_assert_uint_eq(cpu->msr.smm_addr, 0x3456789a0000); /* bits beyond MAXPHYADDR */
    wrmsr(k, 0xc0010015, 1 | cpu->msr.hwcr);
    wrmsr(k, 0xc0010111, 0x50000);
    wrmsr(k, 0xc0010112, 0);
    wrmsr(k, 0xc0010113, 3);
    ck_assert_uint_eq(cpu->msr.smbase, SMBASE);
    ck_assert_uint_ne(cpu->msr.smm_addr, 0);
    ck_assert_uint_eq(cpu->msr.smm_mask, 0);
    ck_assert_uint_eq(k->errors, 3);
}

/* rows: events 12.10, svmop 17.28 */
WITH_KIT(page_configuration_lock_holds_until_rsm)
{
    struct vcpu *cpu = k->cpu;
    uint64_t lock = cpu->msr.hwcr | HWCR_SMM_PGCFG_LOCK;
    kit_raised(k, msr_write(cpu, 0xc0010015, lock), EXC_GP, 0); /* outside SMM */
    smi(k);
    ck_assert(control_cr0_ok(cpu, cpu->regs.cr0));
    wrmsr(k, 0xc0010015, lock);
    wrmsr(k, 0xc0010015, lock & ~HWCR_SMM_PGCFG_LOCK);
    ck_assert_uint_eq(cpu->msr.hwcr, lock);
    cpu->r[REG_RAX] = (uint32_t)cpu->regs.cr0;
    kit_raised(k, EXEC(k, "\x0f\x22\xc0"), EXC_GP, 0);
    cpu->r[REG_RAX] = 0;
    kit_raised(k, EXEC(k, "\x0f\x22\xd8"), EXC_GP, 0); /* CR3 */
    kit_raised(k, EXEC(k, "\x0f\x22\xe0"), EXC_GP, 0); /* CR4 */
    kit_raised(k, msr_write(cpu, 0xc0000080, 0), EXC_GP, 0);
    ck_assert_int_ne(EXEC(k, "\x0f\x22\xd0"), STEP_RAISED); /* CR2 is free */
    set_field(k, 0xff78, 8, CODE_SPA);
    rsm(k);
    ck_assert_uint_eq(cpu->msr.hwcr & HWCR_SMM_PGCFG_LOCK, 0);
    ck_assert(control_cr0_ok(cpu, cpu->regs.cr0));
    ck_assert(control_efer_ok(cpu, cpu->regs.efer));
}

WITH_KIT(page_configuration_lock_needs_its_cpuid_bit)
{
    struct vcpu *cpu = k->cpu;
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-smm-pgcfg-lock", &model, NULL), PACIFICA_OK);
    cpu->model = &model;
    smi(k);
    wrmsr(k, 0xc0010015, cpu->msr.hwcr | HWCR_SMM_PGCFG_LOCK);
    ck_assert_uint_eq(cpu->msr.hwcr & HWCR_SMM_PGCFG_LOCK, 0);
    ck_assert(control_cr0_ok(cpu, cpu->regs.cr0));
}

/* rows: svmop 8.11 */
WITH_KIT(dis_a20m_of_vm_cr_acts)
{
    memory_set_a20(k->memory, false);
    ck_assert_uint_eq(memory_backing(k->memory, 0x100000), 0);
    wrmsr(k, 0xc0010114, VM_CR_DIS_A20M);
    ck_assert_uint_eq(memory_backing(k->memory, 0x100000), 0x100);
    wrmsr(k, 0xc0010114, 0);
    ck_assert_uint_eq(memory_backing(k->memory, 0x100000), 0);
}

/* --- SMM_CTL --- */

static struct cpu_model with_smm_ctl(struct kit *k)
{
    struct cpu_model model;
    struct pacifica_diag diag;
    ck_assert_int_eq(cpu_model_parse("max,-no-smm-ctl-msr", &model, &diag), PACIFICA_OK);
    (void)k;
    return model;
}

static void refused(struct kit *k, uint64_t value)
{
    kit_raised(k, msr_write(k->cpu, 0xc0010116, value), EXC_GP, 0);
}

WITH_KIT(smm_ctl_enters_and_exits)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = with_smm_ctl(k);
    cpu->model = &model;
    cpu->pins.smi = true;
    wrmsr(k, 0xc0010116, 2 | 4); /* ENTER, SMI_CYCLE */
    ck_assert(cpu->regs.smm);
    ck_assert(cpu->regs.nmi_masked);
    ck_assert(cpu->pins.smi);
    ck_assert_int_eq(cpu->mode, MODE_LONG64); /* nothing else changes */
    ck_assert(!event_pending(cpu));
    wrmsr(k, 0xc0010116, 1); /* DISMISS */
    ck_assert(!cpu->pins.smi);
    wrmsr(k, 0xc0010116, 8 | 16); /* EXIT, RSM_CYCLE */
    ck_assert(!cpu->regs.smm);
    ck_assert(!cpu->regs.nmi_masked);
    cpu->regs.nmi_masked = true;
    wrmsr(k, 0xc0010116, 1 | 2);
    wrmsr(k, 0xc0010116, 8);
    ck_assert(cpu->regs.nmi_masked);
}

/* EXIT in the place of RSM: the guest that SMI had interrupted is forgotten. */
WITH_KIT(smm_ctl_exit_goes_back_to_no_guest)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = with_smm_ctl(k);
    kit_guest(k);
    cpu->model = &model;
    smi(k);
    wrmsr(k, 0xc0010116, 8);
    ck_assert(!cpu->regs.smm && !cpu->svm->guest);
    wrmsr(k, 0xc0010116, 2);
    rsm(k);
    ck_assert(!cpu->svm->guest);
}

WITH_KIT(smm_ctl_maps_smram)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = with_smm_ctl(k);
    cpu->model = &model;
    wrmsr(k, 0xc0010113, 1);
    ck_assert_uint_eq(memory_backing(k->memory, 0xa0000), UINT64_MAX);
    wrmsr(k, 0xc0010116, 2);
    ck_assert_uint_eq(memory_backing(k->memory, 0xa0000), 0xa0);
    wrmsr(k, 0xc0010116, 8);
    ck_assert_uint_eq(memory_backing(k->memory, 0xa0000), UINT64_MAX);
}

WITH_KIT(smm_ctl_refuses)
{
    struct vcpu *cpu = k->cpu;
    uint64_t value;
    refused(k, 1); /* CPUID says that it does not exist */
    const struct cpu_model model = with_smm_ctl(k);
    cpu->model = &model;
    wrmsr(k, 0xc0010116, 0);
    kit_raised(k, msr_read(cpu, 0xc0010116, &value), EXC_GP, 0);
    refused(k, 0x20);
    refused(k, 1ull << 63);
    cpu->msr.hwcr |= HWCR_SMM_LOCK;
    refused(k, 1);
    ck_assert(!cpu->regs.smm);
}

/* --- guests --- */

/* rows: exit 2.17, 2.34 */
WITH_KIT(rsm_intercept_comes_before_ud)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_RSM);
    kit_exited(k, EXEC(k, RSM), VMEXIT_RSM, 0, 0, CODE_SPA + 2);
}

/* rows: svmop 17.2, exit 1.2.3 */
WITH_KIT(smi_intercept_leaves_the_smi_pending)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SMI);
    cpu->pins.smi = true;
    cpu->regs.shadow = true; /* INTERRUPT_SHADOW keeps it */
    kit_exited(k, event_boundary(cpu), VMEXIT_SMI, 1, 0, 0);
    ck_assert(cpu->pins.smi);
    ck_assert(!cpu->regs.smm);
    ck_assert(!event_pending(cpu)); /* GIF is 0 */
    cpu->svm->gif = true;
    ck_assert_int_eq(event_boundary(cpu), STEP_JUMP);
    ck_assert(cpu->regs.smm);
    ck_assert_uint_eq(field(k, 0xfed8, 8), 0); /* from the host */
    rsm(k);
    ck_assert(!cpu->svm->guest);
}

/* rows: exit 3.8.1, 3.8.3-3.8.8, 3.8.11 */
WITH_KIT(smi_intercept_tells_the_port_access)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SMI);
    cpu->ports = &trap_ops;
    ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE);
    ck_assert_int_eq(event_boundary(cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_SMI);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), 1 | (0x00b20000ull | 1u << 9 | 1u << 4 | 2)
                                                            << 32);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 2);
}

/* rows: exit 3.8.9-3.8.10 */
WITH_KIT(smi_intercept_tells_the_traps_that_are_due)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SMI);
    cpu->ports = &trap_ops;
    ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE);
    cpu->traps = DR6_BS | 0xa; /* single step, breakpoints 1 and 3 */
    cpu->rflags |= FLAG_TF;
    ck_assert_int_eq(event_boundary(cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_SMI);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1) >> 43 & 0x1f, 0xa << 1 | 1);
}

/* TF is the value of the flag, not a trap: with DebugCtl.BTF there is none. APM vol 2, figure 15-3.
 * rows: exit 3.8.9 */
WITH_KIT(smi_intercept_tells_the_trap_flag)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned tf = 0; tf < 2; tf++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        kit_intercept(k, INTERCEPT_SMI);
        cpu->ports = &trap_ops;
        cpu->msr.debugctl = DEBUGCTL_BTF;
        cpu->rflags |= tf ? FLAG_TF : 0;
        ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE);
        ck_assert_int_eq(event_boundary(cpu), STEP_VMEXIT);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1) >> 43 & 0x1f, tf);
        cpu->pins.smi = false;
        cpu->svm->gif = true;
    }
}

/* rows: svmop 17.3 */
WITH_KIT(smi_intercept_is_ignored_with_smm_lock)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SMI);
    cpu->msr.hwcr |= HWCR_SMM_LOCK;
    smi(k);
    ck_assert(!cpu->svm->guest);
    rsm(k);
    ck_assert(cpu->svm->guest);
    ck_assert_uint_eq(cpu->svm->exits, 0);
}

static const enum cpu_mode guest_modes[] = { MODE_LONG64, MODE_COMPAT32, MODE_PROT32 };

/* rows: svmop 17.3 */
WITH_KIT(smi_in_a_guest_returns_to_it)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned i = 0; i < 6; i++) {
        kit_mode(k, guest_modes[i / 2], i % 2 ? 3 : 0);
        cpu->r[REG_RBP] = 0xbbbb;
        kit_guest(k);
        kit_intercept(k, INTERCEPT_CPUID);
        cpu->svm->tsc_offset = 77;
        cpu->svm->v_intr_masking = cpu->svm->v_irq = true;
        cpu->svm->v_tpr = 3;
        cpu->svm->v_intr_vector = 0x60;
        cpu->svm->v_intr_prio = 6;
        const struct svm_state old = *cpu->svm;
        const struct cpu_regs regs = cpu->regs;
        smi(k);
        ck_assert(!cpu->svm->guest);
        ck_assert(cpu->svm->gif);
        ck_assert(!svm_intercepts(cpu, INTERCEPT_CPUID));
        ck_assert_uint_eq(cpu->svm->tsc_offset, 0);
        ck_assert(!cpu->svm->v_irq && !cpu->svm->v_intr_masking);
        ck_assert_uint_eq(field(k, 0xfed8, 8), 2);
        ck_assert_uint_eq(field(k, 0xfee0, 8), VMCB_SPA);
        ck_assert_uint_eq(field(k, 0xfee8, 8), 3 | 1u << 8 | 6u << 16 | 1u << 24 | 0x60ull << 32);
        ck_assert_uint_eq(field(k, 0xff28, 8) & EFER_SVME, EFER_SVME);
        ck_assert_uint_eq(field(k, 0xff38, 8), PML4_SPA);
        ck_assert_uint_eq(field(k, 0xff40, 8) & CR0_PG, CR0_PG);
        ck_assert_uint_eq(field(k, 0xff30, 8) & CR4_PAE, CR4_PAE);
        set_field(k, 0xffe0, 8, 0x4242); /* RBX */
        rsm(k);
        const struct svm_state *svm = cpu->svm;
        ck_assert(svm->guest && svm->gif && svm->v_irq && svm->v_intr_masking);
        ck_assert_uint_eq(svm->asid, old.asid);
        ck_assert_uint_eq(svm->vmcb_spa, old.vmcb_spa);
        ck_assert_uint_eq(svm->tsc_offset, 77);
        ck_assert_uint_eq(svm->v_intr_vector, 0x60);
        ck_assert(!memcmp(svm->intercept, old.intercept, sizeof(old.intercept)));
        ck_assert(!svm->suspended.valid);
        ck_assert_int_eq(cpu->mode, guest_modes[i / 2]);
        ck_assert_uint_eq(cpu->regs.cpl, regs.cpl);
        ck_assert_uint_eq(cpu->r[REG_RBX], 0x4242); /* the handler's change is the guest's */
        ck_assert_uint_eq(cpu->r[REG_RBP], 0xbbbb);
        kit_exited(k, EXEC(k, "\x0f\xa2"), VMEXIT_CPUID, 0, 0, CODE_SPA + 2);
        cpu->svm->gif = true;
    }
}

/* rows: svmop 17.11-17.13 */
WITH_KIT(smi_in_a_guest_tells_nested_paging_and_the_hosts_if)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    cpu->svm->nested_paging = true;
    cpu->svm->host_if = true;
    cpu->svm->n_cr3 = PML4_SPA;
    cpu->svm->g_pat = 0x0606060606060606;
    cpu->svm->host_regime =
        (struct walk_regime){ .mode = WALK_4LEVEL, .root = PML4_SPA, .cpl = 3, .maxphyaddr = 48 };
    cpu_update_mode(cpu);
    smi(k);
    ck_assert_uint_eq(field(k, 0xfed8, 8), 14);
    ck_assert_uint_eq(field(k, 0xff20, 8), 0x0606060606060606);
    ck_assert_ptr_null(mem_regime(cpu)->nested);
    rsm(k);
    ck_assert(cpu->svm->nested_paging && cpu->svm->host_if);
    ck_assert_ptr_nonnull(mem_regime(cpu)->nested);
    ck_assert_uint_eq(mem_regime(cpu)->nested->root, PML4_SPA);
}

/* A guest that SMM runs, or that a hypervisor runs as its SMM: NMIs are blocked, and no intercept sees them. */
WITH_KIT(nmi_waits_for_rsm_in_a_guest_too)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_model model = with_smm_ctl(k);
    cpu->model = &model;
    wrmsr(k, 0xc0010116, 2); /* ENTER */
    kit_guest(k);
    kit_intercept(k, INTERCEPT_NMI);
    cpu->pins.nmi = true;
    ck_assert(!event_pending(cpu));
    cpu->regs.nmi_masked = false; /* IRET has opened them */
    kit_exited(k, event_boundary(cpu), VMEXIT_NMI, 0, 0, 0);
}

/* Only a guest may be in paged real mode. */
WITH_KIT(rsm_returns_to_paged_real_mode_of_a_guest)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    enter_real_mode(cpu);
    cpu->regs.cr0 |= CR0_PG;
    cpu_update_mode(cpu);
    smi(k);
    rsm(k);
    ck_assert(cpu->svm->guest);
    ck_assert_int_eq(cpu->mode, MODE_REAL);
    ck_assert_uint_eq(cpu->regs.cr0, CR0_ET | CR0_PG);
}

/* A handler may be a hypervisor; its guest is not the one that SMI has interrupted. */
WITH_KIT(smm_handler_may_run_a_guest)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    smi(k);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    ck_assert(cpu->svm->guest && cpu->regs.smm);
    kit_intercept(k, INTERCEPT_RSM);
    kit_exited(k, EXEC(k, RSM), VMEXIT_RSM, 0, 0, CODE_SPA + 2);
    ck_assert(cpu->regs.smm);
    ck_assert(cpu->svm->suspended.valid);
    rsm(k);
    ck_assert(cpu->svm->guest);
}

int main(void)
{
    Suite *suite = suite_create("smm_guest");
    TCase *tc = tcase_create("smm_guest");
    const TTest *const tests[] = {
        aseg_holds_the_save_area,
        tseg_follows_its_registers,
        accesses_follow_the_view,
        smm_lock_makes_the_registers_read_only,
        page_configuration_lock_holds_until_rsm,
        page_configuration_lock_needs_its_cpuid_bit,
        dis_a20m_of_vm_cr_acts,
        smm_ctl_enters_and_exits,
        smm_ctl_exit_goes_back_to_no_guest,
        smm_ctl_maps_smram,
        smm_ctl_refuses,
        rsm_intercept_comes_before_ud,
        smi_intercept_leaves_the_smi_pending,
        smi_intercept_tells_the_port_access,
        smi_intercept_tells_the_trap_flag,
        smi_intercept_tells_the_traps_that_are_due,
        smi_intercept_is_ignored_with_smm_lock,
        smi_in_a_guest_returns_to_it,
        smi_in_a_guest_tells_nested_paging_and_the_hosts_if,
        nmi_waits_for_rsm_in_a_guest_too,
        rsm_returns_to_paged_real_mode_of_a_guest,
        smm_handler_may_run_a_guest,
    };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

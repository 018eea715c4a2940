/* INIT and Startup IPIs. APM vol 2, 14.1.3 "Processor Initialization State", 15.21.8 "INIT Support", 15.28. */
#include "tests/cpu/kit.h"

#include "emu/cpu/init.h"

static unsigned inits;

static void count_init(void *self)
{
    (void)self;
    inits++;
}

static void init(struct kit *k)
{
    k->cpu->pins.init = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(!k->cpu->pins.init);
}

static void check_reset_vector(const struct vcpu *cpu)
{
    ck_assert_int_eq(cpu->mode, MODE_REAL);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, 0xf000);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, 0xffff0000);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].limit, 0xffff);
    ck_assert_uint_eq(cpu_rip(cpu), 0xfff0);
}

/* rows: pitfalls 5.9 */
WITH_KIT(init_loads_the_state_of_the_table)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned i = 0; i < 16; i++)
        cpu->r[i] = i + 1;
    cpu->regs.cr0 |= CR0_TS | CR0_AM;
    cpu->regs.cr2 = 1;
    cpu->regs.cr8 = 5;
    cpu->regs.cpl = 3;
    cpu->regs.shadow = true;
    cpu_set_rflags(cpu, 0x246);
    cpu->traps = DR6_BS;
    init(k);
    const struct cpu_regs *regs = &cpu->regs;
    check_reset_vector(cpu);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(cpu->r[i], i == REG_RDX ? cpu->model->signature : 0);
    ck_assert_uint_eq(regs->cr0, CR0_ET);
    ck_assert_uint_eq(regs->cr2 | regs->cr3 | regs->cr4 | regs->efer | regs->cr8, 0);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(regs->cpl, 0);
    ck_assert(!regs->shadow && !regs->halted && !regs->nmi_masked && !regs->wait_sipi);
    ck_assert_uint_eq(cpu->traps, 0);
    for (int s = SEG_ES; s <= SEG_GS; s++) {
        ck_assert_uint_eq(regs->seg[s].limit, 0xffff);
        if (s != SEG_CS)
            ck_assert_uint_eq(regs->seg[s].selector | regs->seg[s].base, 0);
    }
    ck_assert_uint_eq(regs->seg[SEG_TR].limit, 0xffff);
    ck_assert_uint_eq(regs->seg[SEG_TR].attr & 0x9f, 0x8b & 0x9f);
    ck_assert_uint_eq(regs->seg[SEG_LDTR].attr, 0x82);
    ck_assert_uint_eq(regs->gdtr.base | regs->idtr.base, 0);
    ck_assert_uint_eq(regs->gdtr.limit, 0xffff);
    ck_assert_uint_eq(regs->idtr.limit, 0xffff);
}

/* rows: pitfalls 5.9 */
WITH_KIT(init_keeps_what_the_table_says)
{
    struct vcpu *cpu = k->cpu;
    static const uint64_t cache_bits[] = { 0, CR0_CD, CR0_CD | CR0_NW };
    for (unsigned i = 0; i < 3; i++) {
        kit_mode(k, MODE_LONG64, 0);
        cpu->regs.cr0 |= cache_bits[i];
        init(k);
        ck_assert_uint_eq(cpu->regs.cr0, CR0_ET | cache_bits[i]);
    }
    kit_mode(k, MODE_LONG64, 0);
    cpu->x87 = (struct cpu_x87){ .fcw = 0x37e, .fsw = 0xb881, .used = 0 }; /* #IE is pending */
    cpu->ferr.asserted = true;
    cpu->pins.ignne = true;
    for (unsigned i = 0; i < 4; i++)
        cpu->regs.dr[i] = 0x1000 + i;
    cpu->regs.dr[6] = 0xffff4ff0;
    cpu->regs.dr[7] = 0x455;
    cpu->regs.pkru = 0x55;
    cpu->simd.v[15].u64[3] = 0x1234;
    cpu->simd.mxcsr = 0x3f80;
    cpu->simd.xcr0 = 7;
    struct cpu_msrs *msr = &cpu->msr;
    msr->lstar = 0x1234;
    msr->mtrr_def = 0xc06;
    msr->smbase = 0x50000;
    msr->mcg_status = 4;
    msr->tsc_offset = 0x777;
    msr->vm_hsave_pa = HSAVE_SPA;
    struct cpu_msrs old = *msr;
    init(k);
    ck_assert_uint_eq(cpu->x87.fcw, 0x37e);
    ck_assert_uint_eq(cpu->x87.fsw, 0xb881);
    ck_assert(cpu->ferr.asserted && cpu->pins.ignne);
    ck_assert_uint_eq(cpu->x87.used, 0);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(cpu->regs.dr[i], 0x1000 + i);
    ck_assert_uint_eq(cpu->regs.dr[6], 0xffff4ff0);
    ck_assert_uint_eq(cpu->regs.dr[7], 0x455);
    ck_assert_uint_eq(cpu->regs.pkru, 0x55);
    ck_assert_uint_eq(cpu->simd.v[15].u64[3], 0x1234);
    ck_assert_uint_eq(cpu->simd.mxcsr, 0x3f80);
    ck_assert_uint_eq(cpu->simd.xcr0, 7);
    ck_assert(!memcmp(msr, &old, sizeof(old)));
}

static void count_entry(void *self, const struct tlb_view *view)
{
    (void)view;
    ++*(unsigned *)self;
}

/* "External initialization" removes all of the TLB, the entries of guests and global ones too. APM vol 2, 5.5.3 "TLB
 * Management".
 * rows: svmop 14.21 */
WITH_KIT(init_empties_the_tlb)
{
    struct vcpu *cpu = k->cpu;
    unsigned entries = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct walk_regime regime = *mem_regime(cpu);
        regime.asid = i & 1 ? 5 : 0;
        regime.pge = i & 2;
        (void)paging_translate(cpu->paging, &regime, PAGED_LA + 0x1000 * i, (struct access){ 0 });
    }
    paging_each(cpu->paging, count_entry, &entries);
    ck_assert_uint_eq(entries, 4);
    init(k);
    entries = 0;
    paging_each(cpu->paging, count_entry, &entries);
    ck_assert_uint_eq(entries, 0);
}

WITH_KIT(init_forgets_nmis_and_keeps_smis)
{
    struct vcpu *cpu = k->cpu;
    cpu->pins.nmi = cpu->pins.mc = cpu->pins.smi = true;
    ck_assert_int_eq(init_take(cpu), STEP_JUMP);
    ck_assert(!cpu->pins.nmi && !cpu->pins.mc && !cpu->pins.init);
    ck_assert(cpu->pins.smi);
}

WITH_KIT(init_ends_hlt_and_tells_the_apic)
{
    struct vcpu *cpu = k->cpu;
    struct intc_ops ops = *cpu->intc;
    ops.init = count_init;
    cpu->intc = &ops;
    inits = 0;
    cpu->regs.halted = true;
    cpu->monitor.waiting = cpu->monitor.armed = true;
    init(k);
    ck_assert_uint_eq(inits, 1);
    ck_assert(!cpu->regs.halted && !cpu->monitor.waiting && !cpu->monitor.armed);
}

/* rows: pitfalls 5.10, events 6.4, svmop 8.2, 11.1 */
WITH_KIT(init_waits_for_gif_and_rsm)
{
    struct vcpu *cpu = k->cpu;
    cpu->pins.init = true;
    cpu->svm->gif = false;
    ck_assert(!event_pending(cpu));
    cpu->svm->gif = true;
    cpu->regs.smm = true;
    ck_assert(!event_pending(cpu));
    cpu->regs.smm = false;
    cpu->regs.shadow = true; /* no shadow holds it back */
    ck_assert(event_pending(cpu));
}

/* VM_CR.SVMDIS goes unless it is locked; LOCK and the rest stay. */
WITH_KIT(init_clears_svmdis_if_it_is_not_locked)
{
    struct vcpu *cpu = k->cpu;
    cpu->msr.vm_cr = VM_CR_SVMDIS | VM_CR_DPD;
    init(k);
    ck_assert_uint_eq(cpu->msr.vm_cr, VM_CR_DPD);
    cpu->msr.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
    init(k);
    ck_assert_uint_eq(cpu->msr.vm_cr, VM_CR_SVMDIS | VM_CR_LOCK);
}

/* --- under SVM, APM vol 2, table 15-12 --- */

/* rows: svmop 11.2, exit 1.2.4 */
WITH_KIT(init_intercept_keeps_it_pending)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_INIT);
    cpu->msr.vm_cr = VM_CR_R_INIT; /* the intercept comes first */
    cpu->pins.init = true;
    kit_exited(k, event_boundary(cpu), VMEXIT_INIT, 0, 0, 0);
    ck_assert(cpu->pins.init);
}

/* A guest that does not intercept it ends without a #VMEXIT. */
/* rows: svmop 11.3 */
WITH_KIT(init_ends_guest_mode)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CPUID);
    uint64_t exitcode = VMCB_GET(k->vmcb, EXITCODE);
    init(k);
    check_reset_vector(cpu);
    ck_assert(!cpu->svm->guest && cpu->svm->gif);
    ck_assert_uint_eq(cpu->svm->asid, 0);
    ck_assert(!svm_intercepts(cpu, INTERCEPT_CPUID));
    ck_assert_uint_eq(cpu->svm->exits, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), exitcode);
    ck_assert_ptr_null(mem_regime(cpu)->nested);
}

/* rows: svmop 11.4, exit 4.17 */
WITH_KIT(redirected_init_is_sx_in_host_and_guest)
{
    struct vcpu *cpu = k->cpu;
    cpu->msr.vm_cr = VM_CR_R_INIT;
    cpu->regs.halted = true;
    init(k);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_SX);
    ck_assert_uint_eq(k->delivered.b, 1);
    ck_assert_uint_eq(cpu_rip(cpu), HANDLER + 16 * EXC_SX);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_SX);
    cpu->pins.init = true;
    kit_exited(k, event_boundary(cpu), VMEXIT_EXCP0 + EXC_SX, 1, 0, 0);
    ck_assert(!cpu->pins.init);
}

/* --- application processors --- */

static void become_ap(struct vcpu *cpu)
{
    cpu->index = 1;
}

/* What frees the kit looks at it. */
static void become_bsp(struct vcpu *cpu)
{
    cpu->index = 0;
}

/* rows: pitfalls 5.9, 5.10 */
WITH_KIT(ap_waits_for_sipi_and_starts_at_its_page)
{
    struct vcpu *cpu = k->cpu;
    static const uint8_t vectors[] = { 0x00, 0x08, 0x9f, 0xff };
    for (unsigned i = 0; i < 4; i++) {
        become_ap(cpu);
        init(k);
        ck_assert(cpu->regs.wait_sipi);
        cpu->pins.nmi = cpu->pins.smi = true; /* nothing else wakes it */
        k->pending = 0x40;
        ck_assert(!event_pending(cpu));
        cpu->pins.sipi = true;
        cpu->pins.sipi_vector = vectors[i];
        ck_assert(event_pending(cpu));
        ck_assert_int_eq(event_boundary(cpu), STEP_JUMP);
        ck_assert(!cpu->regs.wait_sipi && !cpu->pins.sipi);
        ck_assert_int_eq(cpu->mode, MODE_REAL);
        ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, (unsigned)vectors[i] << 8);
        ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, (unsigned)vectors[i] << 12);
        ck_assert_uint_eq(cpu->regs.seg[SEG_CS].limit, 0xffff);
        ck_assert_uint_eq(cpu_rip(cpu), 0);
        cpu->pins.nmi = cpu->pins.smi = false;
        k->pending = -1;
    }
    become_bsp(cpu);
}

/* rows: pitfalls 5.10 */
WITH_KIT(sipi_without_a_wait_is_dropped)
{
    struct vcpu *cpu = k->cpu;
    become_ap(cpu);
    cpu->pins.sipi = true;
    cpu->pins.sipi_vector = 9;
    ck_assert(!event_pending(cpu));
    ck_assert_int_eq(event_boundary(cpu), STEP_NEXT);
    ck_assert(!cpu->pins.sipi);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA);
    ck_assert_int_eq(sipi_take(cpu), STEP_NEXT);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA);
    become_bsp(cpu);
}

/* INIT-SIPI may both have come before the processor's turn; a second SIPI finds it running. */
WITH_KIT(init_and_sipi_in_one_turn)
{
    struct vcpu *cpu = k->cpu;
    become_ap(cpu);
    cpu->pins.sipi = true;
    cpu->pins.sipi_vector = 0x12;
    init(k);
    ck_assert(cpu->regs.wait_sipi);
    ck_assert_int_eq(event_boundary(cpu), STEP_JUMP);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, 0x12000);
    cpu->pins.sipi = true;
    cpu->pins.sipi_vector = 0x13;
    ck_assert_int_eq(event_boundary(cpu), STEP_NEXT);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, 0x12000);
    become_bsp(cpu);
}

/* While it waits there is nothing to redirect. */
WITH_KIT(init_while_waiting_waits_on)
{
    struct vcpu *cpu = k->cpu;
    become_ap(cpu);
    init(k);
    cpu->msr.vm_cr = VM_CR_R_INIT;
    init(k);
    ck_assert(cpu->regs.wait_sipi);
    ck_assert_uint_eq(k->deliveries, 0);
    become_bsp(cpu);
}

int main(void)
{
    Suite *suite = suite_create("init");
    TCase *tc = tcase_create("init");
    const TTest *const tests[] = {
        init_loads_the_state_of_the_table,
        init_keeps_what_the_table_says,
        init_empties_the_tlb,
        init_forgets_nmis_and_keeps_smis,
        init_ends_hlt_and_tells_the_apic,
        init_waits_for_gif_and_rsm,
        init_clears_svmdis_if_it_is_not_locked,
        init_intercept_keeps_it_pending,
        init_ends_guest_mode,
        redirected_init_is_sx_in_host_and_guest,
        ap_waits_for_sipi_and_starts_at_its_page,
        sipi_without_a_wait_is_dropped,
        init_and_sipi_in_one_turn,
        init_while_waiting_waits_on,
    };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

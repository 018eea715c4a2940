/* VMCB clean bits. APM vol 2, 15.15 "VMCB State Caching". */
#include "tests/svm/world.h"

#define ALL 0xffffffffu
#define OTHER_SPA UINT64_C(0x80000)

/* A legal value of each field that a clean bit covers, other than what changed_world() starts with. */
static const struct change {
    enum vmcb_field field;
    uint64_t value;
} changes[] = {
    { VMCB_INTERCEPT_CR, 0x00010001 },
    { VMCB_INTERCEPT_DR, 0x00ff00ff },
    { VMCB_INTERCEPT_EXCP, 1u << EXC_PF },
    { VMCB_INTERCEPT_3, 1u << (INTERCEPT_CPUID & 31) },
    { VMCB_INTERCEPT_4, 7 },
    { VMCB_INTERCEPT_5, 1u << (INTERCEPT_INVPCID & 31) },
    { VMCB_TSC_OFFSET, 0x123456789a },
    { VMCB_IOPM_BASE_PA, 0x90000 },
    { VMCB_MSRPM_BASE_PA, 0xa0000 },
    { VMCB_GUEST_ASID, 7 },
    { VMCB_VINTR_CONTROL,
      UINT64_C(0x77) << 32 | VINTR_MASKING | 5 << VINTR_PRIO_SHIFT | VINTR_IRQ | 3 },
    { VMCB_NESTED_CONTROL, NESTED_NP_ENABLE | NESTED_TLBI_ENABLE },
    { VMCB_N_CR3, 0xb0000 },
    { VMCB_G_PAT, 0x0006060606060606 },
    { VMCB_CR0, CR0_HOST | CR0_TS },
    { VMCB_CR3, 0xc0000 },
    { VMCB_CR4, CR4_PAE | CR4_PSE },
    { VMCB_EFER, EFER_LONG & ~UINT64_C(1) },
    { VMCB_DR6, 0xffff0ff1 },
    { VMCB_DR7, 0x403 },
    { VMCB_GDTR_LIMIT, 0x2f },
    { VMCB_GDTR_BASE, 0xd0000 },
    { VMCB_IDTR_LIMIT, 0x3f },
    { VMCB_IDTR_BASE, 0xe0000 },
    { VMCB_ES_SEL, 0x33 },
    { VMCB_ES_ATTR, 0xc93 },
    { VMCB_ES_LIMIT, 0x1234 },
    { VMCB_ES_BASE, 0x5678 },
    { VMCB_CS_SEL, 0x38 },
    { VMCB_CS_ATTR, 0xa99 },
    { VMCB_CS_LIMIT, 0xffff },
    { VMCB_CS_BASE, 0x1000 },
    { VMCB_SS_SEL, 0x40 },
    { VMCB_SS_ATTR, 0xc97 },
    { VMCB_SS_LIMIT, 0xfffff },
    { VMCB_SS_BASE, 0x2000 },
    { VMCB_DS_SEL, 0x48 },
    { VMCB_DS_ATTR, 0x091 },
    { VMCB_DS_LIMIT, 0xabc },
    { VMCB_DS_BASE, 0x3000 },
    { VMCB_CPL, 3 },
    { VMCB_CR2, 0xffff812345678000 },
    { VMCB_S_CET, SHADOW_CET_ENABLE },
    { VMCB_SSP, 0xffff900000001008 },
    { VMCB_ISST_ADDR, 0xffff900000002000 },
};
#define CHANGES (sizeof(changes) / sizeof(changes[0]))

/* What VMRUN has loaded of the control area, by field. */
static uint64_t control_value(const struct svm_state *svm, enum vmcb_field field)
{
    switch (field) {
    case VMCB_INTERCEPT_CR: return svm->intercept[0];
    case VMCB_INTERCEPT_DR: return svm->intercept[1];
    case VMCB_INTERCEPT_EXCP: return svm->intercept[2];
    case VMCB_INTERCEPT_3: return svm->intercept[3];
    case VMCB_INTERCEPT_4: return svm->intercept[4];
    case VMCB_INTERCEPT_5: return svm->intercept[5];
    case VMCB_TSC_OFFSET: return svm->tsc_offset;
    case VMCB_IOPM_BASE_PA: return svm->iopm_spa;
    case VMCB_MSRPM_BASE_PA: return svm->msrpm_spa;
    case VMCB_GUEST_ASID: return svm->asid;
    case VMCB_VINTR_CONTROL:
        return (uint64_t)svm->v_intr_vector << 32 | (svm->v_intr_masking ? VINTR_MASKING : 0) |
               (uint64_t)svm->v_intr_prio << VINTR_PRIO_SHIFT | (svm->v_irq ? VINTR_IRQ : 0) |
               svm->v_tpr;
    case VMCB_NESTED_CONTROL:
        return (svm->nested_paging ? NESTED_NP_ENABLE : 0) | (svm->tlbi ? NESTED_TLBI_ENABLE : 0);
    case VMCB_N_CR3: return svm->n_cr3;
    default: return 0;
    }
}

/* The field as the processor has it in the guest: by the state, or by what #VMEXIT writes. Ends the guest. */
static uint64_t loaded(struct world *w, enum vmcb_field field)
{
    const struct vmcb_field_info *info = &vmcb_fields[field];
    uint64_t value = control_value(w->cpu->svm, field);
    world_exit(w, VMEXIT_HLT);
    return info->area == VMCB_AREA_CONTROL ? value : vmcb_field_value(w->vmcb, field);
}

static void set_field(uint8_t *vmcb, enum vmcb_field field, uint64_t value)
{
    vmcb_store(vmcb, vmcb_fields[field].offset, vmcb_fields[field].bytes, value);
}

/* A guest with nested paging that has run once with clean bits and so is kept. */
static struct world *kept_world(void)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(w->vmcb, N_CR3, 0x70000);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    return w;
}

START_TEST(every_covered_field_is_tested)
{
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        const struct vmcb_field_info *field = &vmcb_fields[i];
        unsigned found = 0;
        for (unsigned c = 0; c < CHANGES; c++)
            found += changes[c].field == i;
        bool own_test = field->clean == VMCB_CLEAN_LBR ||
                        field->clean == VMCB_CLEAN_AVIC || /* below */
                        i == VMCB_PAUSE_FILTER_COUNT || i == VMCB_PAUSE_FILTER_THRESHOLD;
        bool covered = field->clean != VMCB_CLEAN_NONE && field->use != VMCB_USE_OFF;
        if (!own_test)
            ck_assert_msg(found == covered, "%s", field->name);
    }
}
END_TEST

/* rows: vmcb 7.1-7.10, 7.13, 7.16, 7.17, 12.7 */
/* A change in memory alone: what the guest gets with all bits set, with its own bit only, without its bit, without any. */
START_TEST(clean_bit_decides_between_cache_and_memory)
{
    const struct change *change = &changes[_i];
    const struct vmcb_field_info *field = &vmcb_fields[change->field];
    const struct {
        uint32_t bits;
        bool cached;
    } rows[] = { { ALL, true },
                 { field->clean, true },
                 { ALL & ~(uint32_t)field->clean, false },
                 { 0, false } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = kept_world();
        uint64_t old = vmcb_field_value(w->vmcb, change->field);
        ck_assert_uint_ne(old, change->value);
        set_field(w->vmcb, change->field, change->value);
        VMCB_SET(w->vmcb, CLEAN_BITS, rows[i].bits);
        world_enter(w);
        uint64_t got = loaded(w, change->field);
        ck_assert_msg(got == (rows[i].cached ? old : change->value), "%s, clean bits %x: %llx",
                      field->name, rows[i].bits, (unsigned long long)got);
        ck_assert_uint_eq(w->errors, rows[i].cached ? 1 : 0);
        world_free(w);
    }
}
END_TEST

/* All other fields stay what they were when one comes from memory. */
START_TEST(clean_bits_mix_groups)
{
    struct world *w = kept_world();
    uint64_t old[CHANGES];
    uint32_t dirty = 1u << _i;
    for (unsigned c = 0; c < CHANGES; c++) {
        old[c] = vmcb_field_value(w->vmcb, changes[c].field);
        set_field(w->vmcb, changes[c].field, changes[c].value);
    }
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~dirty);
    world_enter(w);
    for (unsigned c = 0; c < CHANGES; c++)
        if (vmcb_fields[changes[c].field].area == VMCB_AREA_CONTROL)
            ck_assert_msg(
                control_value(w->cpu->svm, changes[c].field) ==
                    (vmcb_fields[changes[c].field].clean == dirty ? changes[c].value : old[c]),
                "%s", vmcb_fields[changes[c].field].name);
    world_exit(w, VMEXIT_HLT);
    for (unsigned c = 0; c < CHANGES; c++)
        if (vmcb_fields[changes[c].field].area == VMCB_AREA_SAVE)
            ck_assert_msg(
                vmcb_field_value(w->vmcb, changes[c].field) ==
                    (vmcb_fields[changes[c].field].clean == dirty ? changes[c].value : old[c]),
                "%s", vmcb_fields[changes[c].field].name);
    world_free(w);
}
END_TEST

/* rows: vmcb 7.14-7.15, 7.19 */
START_TEST(uncovered_fields_come_from_memory)
{
    struct world *w = kept_world();
    struct vcpu *cpu = w->cpu;
    VMCB_SET(w->vmcb, RIP, 0x401234);
    VMCB_SET(w->vmcb, RSP, 0x9876);
    VMCB_SET(w->vmcb, RAX, 0x1357);
    VMCB_SET(w->vmcb, RFLAGS, 0x202);
    VMCB_SET(w->vmcb, INTERRUPT_SHADOW, 1);
    VMCB_SET(w->vmcb, TLB_CONTROL, TLB_CONTROL_FLUSH_ASID);
    VMCB_SET(w->vmcb, EVENTINJ, EVENTINJ_V | 0x31);
    world_enter(w);
    ck_assert_uint_eq(cpu->r[REG_RIP], 0x401234);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x9876);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x1357);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x202);
    ck_assert(cpu->regs.shadow);
    ck_assert_uint_eq(cpu->svm->last_tlb_control, TLB_CONTROL_FLUSH_ASID);
    ck_assert(cpu->svm->inject.valid);
    ck_assert_uint_eq(cpu->svm->inject.vector, 0x31);
    ck_assert_uint_eq(w->errors, 0);
    world_free(w);
}
END_TEST

/* rows: vmcb 7.11 */
START_TEST(last_branches_are_kept)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, VIRT_ENABLE, VIRT_LBR_ENABLE);
    VMCB_SET(w->vmcb, BR_FROM, 0x1111);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_LBR);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.last_branch[0], 0x1111);
    w->cpu->msr.last_branch[0] = 0x2222;
    world_exit(w, VMEXIT_HLT);
    for (unsigned cached = 0; cached < 2; cached++) {
        VMCB_SET(w->vmcb, BR_FROM, 0x3333);
        VMCB_SET(w->vmcb, CLEAN_BITS, cached ? 0 : ALL);
        world_enter(w);
        ck_assert_uint_eq(w->cpu->msr.last_branch[0], cached ? 0x3333 : 0x2222);
        world_exit(w, VMEXIT_HLT);
    }
    world_free(w);
}
END_TEST

/* rows: vmcb 7.12 */
START_TEST(avic_pages_are_kept)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, VINTR_CONTROL, VINTR_AVIC_ENABLE);
    VMCB_SET(w->vmcb, AVIC_APIC_BAR, 0xfee00000);
    VMCB_SET(w->vmcb, AVIC_BACKING_PAGE, 0x90000);
    VMCB_SET(w->vmcb, AVIC_LOGICAL_TABLE, 0x91000);
    VMCB_SET(w->vmcb, AVIC_PHYSICAL_TABLE, 0x92000);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)(VMCB_CLEAN_TPR | VMCB_CLEAN_AVIC));
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, AVIC_LOGICAL_TABLE, 0xa1000);
    VMCB_SET(w->vmcb, AVIC_PHYSICAL_TABLE, 0xa2000);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->avic.logical_spa, 0x91000);
    ck_assert_uint_eq(w->cpu->svm->avic.physical_spa, 0x92000);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_AVIC);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->avic.logical_spa, 0xa1000);
    world_exit(w, VMEXIT_HLT);
    /* Without AVIC nothing of it is left, though all else is kept. */
    VMCB_SET(w->vmcb, VINTR_CONTROL, 0);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_TPR);
    world_enter(w);
    ck_assert(w->cpu->svm->clean.whole);
    ck_assert_uint_eq(w->cpu->svm->host_regime.apic_gpa, 0);
    world_free(w);
}
END_TEST

START_TEST(pause_filter_is_kept)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_PAUSE & 31));
    VMCB_SET(w->vmcb, PAUSE_FILTER_COUNT, 5);
    VMCB_SET(w->vmcb, PAUSE_FILTER_THRESHOLD, 6);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_I);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, PAUSE_FILTER_COUNT, 7);
    VMCB_SET(w->vmcb, PAUSE_FILTER_THRESHOLD, 8);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->pause.count, 5);
    ck_assert_uint_eq(w->cpu->svm->pause.threshold, 6);
    world_free(w);
}
END_TEST

/* Bits 31:13 name no field; one of them alone still says that clean bits are in use. */
/* rows: vmcb 7.14, 7.15 */
START_TEST(reserved_clean_bits_cover_nothing)
{
    struct world *w = kept_world();
    for (unsigned c = 0; c < CHANGES; c++)
        set_field(w->vmcb, changes[c].field, changes[c].value);
    VMCB_SET(w->vmcb, CLEAN_BITS, ~(uint32_t)VMCB_CLEAN_ALL);
    world_enter(w);
    for (unsigned c = 0; c < CHANGES; c++)
        if (vmcb_fields[changes[c].field].area == VMCB_AREA_CONTROL &&
            changes[c].field != VMCB_G_PAT)
            ck_assert_msg(control_value(w->cpu->svm, changes[c].field) == changes[c].value, "%s",
                          vmcb_fields[changes[c].field].name);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, CR2), 0xffff812345678000);
    ck_assert_uint_eq(w->errors, 0);
    world_free(w);
}
END_TEST

START_TEST(flags_of_a_whole_guest_are_not_lazy)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, RFLAGS, 0xffffffffffffffff & ~(uint64_t)FLAG_VM);
    w->cpu->flags_kind = FLAGS_ADD;
    world_enter(w);
    ck_assert(w->cpu->svm->clean.whole);
    ck_assert_uint_eq(cpu_rflags(w->cpu), (FLAGS_WRITABLE | 2) & ~(uint64_t)FLAG_VM);
    world_free(w);
}
END_TEST

/* rows: vmcb 7.17, 7.22 */
START_TEST(guest_changes_are_kept)
{
    struct world *w = kept_world();
    struct vcpu *cpu = w->cpu;
    world_enter(w);
    cpu->regs.cr2 = 0x1111;
    cpu->regs.cr3 = 0x2000;
    cpu->regs.cr0 |= CR0_TS;
    cpu->regs.dr[7] = 0x402;
    cpu->regs.gdtr.limit = 0x77;
    cpu->regs.seg[SEG_DS].selector = 0x58;
    cpu->svm->g_pat = 0x0404040404040404;
    cpu->svm->v_tpr = 9;
    world_exit(w, VMEXIT_HLT);
    memset(w->vmcb + VMCB_AT_ES_SEL, 0x5a, 0x40);
    VMCB_SET(w->vmcb, CR2, 0);
    VMCB_SET(w->vmcb, CR3, 0);
    world_enter(w);
    ck_assert_uint_eq(cpu->regs.cr2, 0x1111);
    ck_assert_uint_eq(cpu->regs.cr3, 0x2000);
    ck_assert_uint_eq(cpu->regs.cr0, CR0_HOST | CR0_TS);
    ck_assert_uint_eq(cpu->regs.dr[7], 0x402);
    ck_assert_uint_eq(cpu->regs.gdtr.limit, 0x77);
    ck_assert_uint_eq(cpu->regs.seg[SEG_DS].selector, 0x58);
    ck_assert_uint_eq(cpu->svm->g_pat, 0x0404040404040404);
    ck_assert_uint_eq(cpu->svm->v_tpr, 9);
    world_free(w);
}
END_TEST

/* rows: vmcb 7.18 */
/* The address of the VMCB names the guest, and the last one is kept. */
START_TEST(another_vmcb_is_loaded_from_memory)
{
    struct world *w = kept_world();
    uint8_t *other = memory_ptr(w->memory, OTHER_SPA, VMCB_PAGE_BYTES);
    memcpy(other, w->vmcb, VMCB_PAGE_BYTES);
    VMCB_SET(other, CR2, 0x1111);
    ck_assert_int_eq(svm_vmrun(w->cpu, OTHER_SPA, NEXT_RIP), STEP_JUMP);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CR2, 0x2222);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x2222);
    ck_assert_uint_eq(w->errors, 0);
    world_free(w);
}
END_TEST

START_TEST(first_clean_bits_find_nothing_kept)
{
    struct world *w = world_new();
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    ck_assert(!w->cpu->svm->clean.in_use);
    VMCB_SET(w->vmcb, CR2, 0x1111);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    world_exit(w, VMEXIT_HLT);
    /* From here on also VMRUNs without clean bits are kept. */
    VMCB_SET(w->vmcb, CLEAN_BITS, 0);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CR2, 0x2222);
    VMCB_SET(w->vmcb, CLEAN_BITS, VMCB_CLEAN_CR2);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    world_free(w);
}
END_TEST

/* rows: vmcb 7.21 */
START_TEST(without_the_feature_the_field_is_ignored)
{
    struct world *w = world_new();
    w->cpu->svm->model.features &= ~SVM_FEATURE_VMCB_CLEAN;
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    for (unsigned i = 0; i < 3; i++) {
        VMCB_SET(w->vmcb, CR2, i);
        world_enter(w);
        ck_assert_uint_eq(w->cpu->regs.cr2, i);
        world_exit(w, VMEXIT_HLT);
    }
    ck_assert(!w->cpu->svm->clean.in_use);
    world_free(w);
}
END_TEST

START_TEST(refused_guest_is_not_kept)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, EVENTINJ, EVENTINJ_V | 1 << 8);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    VMCB_SET(w->vmcb, EVENTINJ, 0);
    VMCB_SET(w->vmcb, CR2, 0x1111);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    world_free(w);
}
END_TEST

/* INIT ends guest mode without a #VMEXIT: the VMCB has the guest of VMRUN, and nothing was kept. */
START_TEST(abandoned_guest_is_not_kept)
{
    struct world *w = kept_world();
    world_enter(w);
    svm_abandon(w->cpu->svm);
    VMCB_SET(w->vmcb, CR2, 0x1111);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    world_free(w);
}
END_TEST

/* SMM interrupts the guest at VMCB_SPA, its handler runs the one at `spa`, and RSM goes back to the first. */
static void run_in_smm(struct world *w, uint64_t spa)
{
    world_enter(w);
    struct cpu_regs first = w->cpu->regs, handler = first;
    svm_suspend(w->cpu);
    handler.efer = EFER_LONG;
    w->cpu->regs = handler;
    ck_assert_int_eq(svm_vmrun(w->cpu, spa, NEXT_RIP), STEP_JUMP);
    world_exit(w, VMEXIT_HLT);
    w->cpu->regs = first;
    svm_resume(w->cpu);
    ck_assert_uint_eq(w->cpu->svm->vmcb_spa, VMCB_SPA);
}

START_TEST(guest_of_a_smm_handler_is_not_mixed_with_the_interrupted_one)
{
    struct world *w = kept_world();
    uint8_t *other = memory_ptr(w->memory, OTHER_SPA, VMCB_PAGE_BYTES);
    memcpy(other, w->vmcb, VMCB_PAGE_BYTES);
    VMCB_SET(other, CR2, 0x1111);
    run_in_smm(w, OTHER_SPA);
    w->cpu->regs.cr2 = 0x2222;
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, CR2), 0x2222);
    ck_assert_int_eq(svm_vmrun(w->cpu, OTHER_SPA, NEXT_RIP), STEP_JUMP);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    ck_assert_uint_eq(w->errors, 0);
    world_exit(w, VMEXIT_HLT);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x2222);
    world_free(w);
}
END_TEST

/* The handler's run of the same VMCB loaded and left other values than the guest that goes on. */
START_TEST(guest_that_a_smm_handler_ran_too_is_not_kept)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, TSC_OFFSET, 0x3333);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_I);
    run_in_smm(w, VMCB_SPA);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, TSC_OFFSET, 0x4444);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->tsc_offset, 0x4444);
    ck_assert_uint_eq(w->errors, 0);
    world_free(w);
}
END_TEST

START_TEST(reset_forgets)
{
    struct world *w = kept_world();
    world_host(w);
    VMCB_SET(w->vmcb, CR2, 0x1111);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    world_free(w);
}
END_TEST

/* --- the rules see the merged state: APM vol 2, 15.5.1 --- */

START_TEST(illegal_memory_under_a_clean_bit_is_not_seen)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, GUEST_ASID, 0);
    VMCB_SET(w->vmcb, CR4, UINT64_MAX);
    VMCB_SET(w->vmcb, INTERCEPT_4, 0);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_ASID);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), VMEXIT_INVALID);
    ck_assert_uint_eq(w->cpu->svm->invalid_count, 1);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "GUEST_ASID");
    world_free(w);
}
END_TEST

/* A guest may clear EFER.SVME itself; that it is 1 in memory again does not help. */
START_TEST(kept_efer_without_svme_is_refused)
{
    struct world *w = kept_world();
    world_enter(w);
    w->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, EFER, EFER_LONG);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), VMEXIT_INVALID);
    world_free(w);
}
END_TEST

START_TEST(host_paging_is_checked_for_kept_guests)
{
    struct world *w = kept_world();
    w->cpu->regs.cr0 &= ~(uint64_t)CR0_PG;
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), VMEXIT_INVALID);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "NESTED_CONTROL");
    world_free(w);
}
END_TEST

/* N_CR3 is kept, but how it is walked follows the host that executes VMRUN. */
START_TEST(nested_walk_follows_a_changed_host)
{
    struct world *w = kept_world();
    w->cpu->regs.cr4 |= CR4_SMEP;
    VMCB_SET(w->vmcb, N_CR3, 0xb0000);
    world_enter(w);
    ck_assert(w->cpu->svm->host_regime.smep);
    ck_assert_uint_eq(w->cpu->svm->host_regime.root, 0x70000);
    world_free(w);
}
END_TEST

START_TEST(injection_is_checked_for_kept_guests)
{
    static const uint64_t words[] = { EVENTINJ_V | 1 << 8, EVENTINJ_V | EVENT_EXCEPTION << 8 | 2,
                                      EVENTINJ_V | EVENT_EXCEPTION << 8 | EXC_BR };
    for (unsigned i = 0; i < 3; i++) {
        struct world *w = kept_world();
        VMCB_SET(w->vmcb, EVENTINJ, words[i]);
        ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
        ck_assert_str_eq(w->cpu->svm->invalid.field, "EVENTINJ");
        world_free(w);
    }
}
END_TEST

/* PDPTEs are in memory, which no clean bit covers. */
START_TEST(pdptes_are_checked_for_kept_guests)
{
    struct world *w = world_new();
    uint8_t *pdptes = memory_ptr(w->memory, TABLES_SPA, 4096);
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    pdptes[0] = 0x07; /* P and two reserved bits */
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "CR3");
    world_free(w);
}
END_TEST

/* What failed is looked for in what VMRUN saw; and when only rules by CPUID feature were open, among them. */
START_TEST(failed_rules_are_those_of_the_merged_vmcb)
{
    struct world *w = kept_world();
    VMCB_SET(w->vmcb, VINTR_CONTROL, VINTR_NMI_ENABLE);
    VMCB_SET(w->vmcb, CR4, UINT64_MAX);
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL & ~(uint32_t)VMCB_CLEAN_TPR);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert(w->cpu->svm->clean.whole);
    ck_assert_uint_eq(w->cpu->svm->invalid_count, 1);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "VINTR_CONTROL");
    world_free(w);
}
END_TEST

/* --- clean-bits=ignore --- */

/* rows: vmcb 7.17, 7.22 */
START_TEST(ignored_clean_bits_take_memory_and_tell)
{
    struct world *w = world_new();
    w->cpu->svm->model.clean_bits_ignored = true;
    VMCB_SET(w->vmcb, CLEAN_BITS, ALL);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CR2, 0x1111);
    VMCB_SET(w->vmcb, TSC_OFFSET, 0x2222);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0x1111);
    ck_assert_uint_eq(w->cpu->svm->tsc_offset, 0x2222);
    ck_assert_uint_eq(w->errors, 2);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/clean");
    TCase *tc = tcase_create("clean");
    tcase_add_test(tc, every_covered_field_is_tested);
    tcase_add_loop_test(tc, clean_bit_decides_between_cache_and_memory, 0, CHANGES);
    tcase_add_loop_test(tc, clean_bits_mix_groups, 0, 10);
    tcase_add_test(tc, uncovered_fields_come_from_memory);
    tcase_add_test(tc, last_branches_are_kept);
    tcase_add_test(tc, avic_pages_are_kept);
    tcase_add_test(tc, pause_filter_is_kept);
    tcase_add_test(tc, reserved_clean_bits_cover_nothing);
    tcase_add_test(tc, flags_of_a_whole_guest_are_not_lazy);
    tcase_add_test(tc, guest_changes_are_kept);
    tcase_add_test(tc, another_vmcb_is_loaded_from_memory);
    tcase_add_test(tc, first_clean_bits_find_nothing_kept);
    tcase_add_test(tc, without_the_feature_the_field_is_ignored);
    tcase_add_test(tc, refused_guest_is_not_kept);
    tcase_add_test(tc, abandoned_guest_is_not_kept);
    tcase_add_test(tc, guest_of_a_smm_handler_is_not_mixed_with_the_interrupted_one);
    tcase_add_test(tc, guest_that_a_smm_handler_ran_too_is_not_kept);
    tcase_add_test(tc, reset_forgets);
    tcase_add_test(tc, illegal_memory_under_a_clean_bit_is_not_seen);
    tcase_add_test(tc, kept_efer_without_svme_is_refused);
    tcase_add_test(tc, host_paging_is_checked_for_kept_guests);
    tcase_add_test(tc, nested_walk_follows_a_changed_host);
    tcase_add_test(tc, injection_is_checked_for_kept_guests);
    tcase_add_test(tc, pdptes_are_checked_for_kept_guests);
    tcase_add_test(tc, failed_rules_are_those_of_the_merged_vmcb);
    tcase_add_test(tc, ignored_clean_bits_take_memory_and_tell);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

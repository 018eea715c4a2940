/* VMRUN: what it saves, loads, flushes and injects. APM vol 2, 15.5.1, 15.16, 15.20. */
#include "tests/svm/world.h"

/* Distinct legal values for everything that VMRUN and #VMEXIT move, by field; the segments follow a scheme. */
struct value {
    enum vmcb_field field;
    uint64_t value;
};
static const struct value guest_values[] = {
    { VMCB_GDTR_LIMIT, 0x1234 },
    { VMCB_GDTR_BASE, 0xffff812345678000 },
    { VMCB_IDTR_LIMIT, 0x0fed },
    { VMCB_IDTR_BASE, 0x00007654321fe000 },
    { VMCB_CPL, 2 },
    { VMCB_EFER, 0x1d00 },
    { VMCB_CR4, 0x3007a8 },
    { VMCB_CR3, 0x0000123456789fff },
    { VMCB_CR0, 0xc005003f },
    { VMCB_DR7, 0xffff27ff },
    { VMCB_DR6, 0xffffeff5 },
    { VMCB_RFLAGS, 0x3c4ad7 },
    { VMCB_RIP, 0xffff8aaaaaaaaaaa },
    { VMCB_RSP, 0x123456789abcdef0 },
    { VMCB_RAX, 0xfedcba9876543210 },
    { VMCB_CR2, 0x8765432112345678 },
    { VMCB_G_PAT, 0x0001040506070006 },
    { VMCB_VIRT_ENABLE, VIRT_LBR_ENABLE | VIRT_PMC_ENABLE },
    { VMCB_PERF_CTL0, 0x30fffd70001 },
    { VMCB_PERF_CTR0, 0x111111111111 },
    { VMCB_PERF_CTL1, 0x30fffd70002 },
    { VMCB_PERF_CTR1, 0x222222222222 },
    { VMCB_PERF_CTL2, 0x30fffd70003 },
    { VMCB_PERF_CTR2, 0x333333333333 },
    { VMCB_PERF_CTL3, 0x30fffd70004 },
    { VMCB_PERF_CTR3, 0x444444444444 },
    { VMCB_PERF_CTL4, 0x30fffd70005 },
    { VMCB_PERF_CTR4, 0x555555555555 },
    { VMCB_PERF_CTL5, 0x30fffd70006 },
    { VMCB_PERF_CTR5, 0x666666666666 },
    { VMCB_INSTR_RETIRED_CTR, 0x9191919191919191 },
    { VMCB_PERF_CTR_GLOBAL_STS, 0x080000000000002a },
    { VMCB_PERF_CTR_GLOBAL_CTL, 0x15 },
    { VMCB_DBGCTL, 2 },
    { VMCB_BR_FROM, 0x1212121212121212 },
    { VMCB_BR_TO, 0x3434343434343434 },
    { VMCB_LASTEXCPFROM, 0x5656565656565656 },
    { VMCB_LASTEXCPTO, 0x7878787878787878 },
    { VMCB_SPEC_CTRL, 0x86 },
};
#define GUEST_VALUES (sizeof(guest_values) / sizeof(guest_values[0]))

static const struct {
    enum seg seg;
    unsigned at;
} segments[] = { { SEG_ES, VMCB_AT_ES_SEL },
                 { SEG_CS, VMCB_AT_CS_SEL },
                 { SEG_SS, VMCB_AT_SS_SEL },
                 { SEG_DS, VMCB_AT_DS_SEL } };

static struct segment segment_value(unsigned i)
{
    static const uint16_t attrs[] = { 0xcf3, 0xafb, 0x493, 0x011 };
    return (struct segment){ .selector = (uint16_t)(0x1111 * (i + 1)),
                             .attr = attrs[i],
                             .limit = 0x10203040u * (i + 1),
                             .base = 0xa1b2c3d0u + i };
}

static void put_guest_values(uint8_t *vmcb)
{
    for (unsigned i = 0; i < GUEST_VALUES; i++) {
        const struct vmcb_field_info *f = &vmcb_fields[guest_values[i].field];
        vmcb_store(vmcb, f->offset, f->bytes, guest_values[i].value);
    }
    for (unsigned i = 0; i < 4; i++) {
        struct segment seg = segment_value(i);
        vmcb_store_segment(vmcb, segments[i].at, &seg);
    }
    VMCB_SET(vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(vmcb, N_CR3, 0x70000);
}

/* rows: svmop 3.5, 3.13-3.16, 3.18 */
START_TEST(vmrun_loads_every_register)
{
    struct world *w = world_new();
    struct vcpu *cpu = w->cpu;
    put_guest_values(w->vmcb);
    world_enter(w);
    for (unsigned i = 0; i < 4; i++) {
        struct segment seg = segment_value(i), *got = &cpu->regs.seg[segments[i].seg];
        ck_assert_uint_eq(got->selector, seg.selector);
        ck_assert_uint_eq(got->attr, seg.attr);
        ck_assert_uint_eq(got->limit, seg.limit);
        ck_assert_uint_eq(got->base, seg.base);
    }
    ck_assert_uint_eq(cpu->regs.gdtr.limit, 0x1234);
    ck_assert_uint_eq(cpu->regs.gdtr.base, 0xffff812345678000);
    ck_assert_uint_eq(cpu->regs.idtr.limit, 0x0fed);
    ck_assert_uint_eq(cpu->regs.idtr.base, 0x00007654321fe000);
    ck_assert_uint_eq(cpu->regs.cpl, 2);
    ck_assert_uint_eq(cpu->regs.efer, 0x1d00);
    ck_assert_uint_eq(cpu->regs.cr4, 0x3007a8);
    ck_assert_uint_eq(cpu->regs.cr3, 0x0000123456789fff);
    ck_assert_uint_eq(cpu->regs.cr0, 0xc005003f);
    ck_assert_uint_eq(cpu->regs.dr[7], 0xffff27ff);
    ck_assert_uint_eq(cpu->regs.dr[6], 0xffffeff5);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x3c4ad7);
    ck_assert_uint_eq(cpu->r[REG_RIP], 0xffff8aaaaaaaaaaa);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0x123456789abcdef0);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0xfedcba9876543210);
    ck_assert_uint_eq(cpu->regs.cr2, 0x8765432112345678);
    ck_assert_uint_eq(cpu->svm->g_pat, 0x0001040506070006);
    ck_assert_uint_eq(cpu->msr.pat, PAT_RESET);
    ck_assert_uint_eq(cpu->svm->host_pat, PAT_RESET);
    ck_assert_int_eq(cpu->mode, MODE_LONG64);
    ck_assert(cpu->context_stale && cpu->attention);
    world_free(w);
}
END_TEST

/* Load, forget, save: every field of the table that both directions move comes back, and no other byte of the
 * save area is touched. */
/* rows: svmop 5.2, vmcb 9.2.12 */
START_TEST(vmexit_saves_every_field_and_nothing_else)
{
    struct world *w = world_new();
    uint8_t loaded[VMCB_PAGE_BYTES];
    put_guest_values(w->vmcb);
    memcpy(loaded, w->vmcb, sizeof(loaded));
    world_enter(w);
    memset(w->vmcb + VMCB_SAVE_AREA, 0xee, VMCB_PAGE_BYTES - VMCB_SAVE_AREA);
    world_exit(w, VMEXIT_HLT);
    for (unsigned at = VMCB_SAVE_AREA; at < VMCB_PAGE_BYTES; at++) {
        enum vmcb_field field = vmcb_field_at(at);
        bool moved = field < VMCB_FIELD_COUNT && vmcb_use_switches(vmcb_fields[field].use);
        ck_assert_msg(w->vmcb[at] == (moved ? loaded[at] : 0xee), "offset %x (%s)", at,
                      field < VMCB_FIELD_COUNT ? vmcb_fields[field].name : "reserved");
    }
    world_free(w);
}
END_TEST

START_TEST(vmrun_does_not_load_the_fields_of_vmload)
{
    struct world *w = world_new();
    struct vcpu *cpu = w->cpu;
    struct segment fs = { .selector = 0x77, .attr = 0x93, .limit = 5, .base = 0x1234 };
    cpu->regs.seg[SEG_FS] = cpu->regs.seg[SEG_GS] = fs;
    cpu->regs.seg[SEG_LDTR] = cpu->regs.seg[SEG_TR] = fs;
    cpu->msr.star = cpu->msr.lstar = cpu->msr.kernel_gs_base = cpu->msr.sysenter_eip = 0x55;
    for (unsigned r = 0; r < 16; r++)
        if (r != REG_RAX && r != REG_RSP)
            cpu->r[r] = 0x1000 + r;
    cpu->regs.dr[0] = 0xd0;
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++)
        if (vmcb_fields[i].use == VMCB_USE_MOVED)
            memset(w->vmcb + vmcb_fields[i].offset, 0xaa, vmcb_fields[i].bytes);
    world_enter(w);
    for (enum seg s = SEG_FS; s <= SEG_TR; s++)
        ck_assert_uint_eq(cpu->regs.seg[s].selector, 0x77);
    ck_assert_uint_eq(cpu->msr.star, 0x55);
    ck_assert_uint_eq(cpu->msr.kernel_gs_base, 0x55);
    for (unsigned r = 0; r < 16; r++)
        if (r != REG_RAX && r != REG_RSP)
            ck_assert_uint_eq(cpu->r[r], 0x1000 + r);
    ck_assert_uint_eq(cpu->regs.dr[0], 0xd0);
    world_free(w);
}
END_TEST

/* rows: svmop 3.22-3.27 */
START_TEST(vmrun_forces_fixed_bits)
{
    struct world *w = world_new();
    struct vcpu *cpu = w->cpu;
    VMCB_SET(w->vmcb, CR0, 0x9ffaffcf); /* reserved bits, ET 0 */
    VMCB_SET(w->vmcb, DR6, 0);
    VMCB_SET(w->vmcb, DR7, 0xffffffff);
    VMCB_SET(w->vmcb, RFLAGS, UINT64_MAX & ~(uint64_t)FLAG_VM);
    VMCB_SET(w->vmcb, CPL, 0xfe);
    VMCB_SET(w->vmcb, GDTR_LIMIT, 0xabcd1234);
    VMCB_SET(w->vmcb, GDTR_BASE, 0x0100000000000000);
    VMCB_SET(w->vmcb, IDTR_BASE, 0x00ff000000000123);
    VMCB_SET(w->vmcb, SS_BASE, UINT64_MAX);
    VMCB_SET(w->vmcb, SS_ATTR, 0xffff);
    VMCB_SET(w->vmcb, EFER, 0x1900); /* LMA 0, LME and PG 1 */
    world_enter(w);
    ck_assert_uint_eq(cpu->regs.cr0, 0x8000001f);
    ck_assert_uint_eq(cpu->regs.dr[6], 0xffff0ff0);
    ck_assert_uint_eq(cpu->regs.dr[7], 0xffff27ff);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x3d7fd7);
    ck_assert_uint_eq(cpu->regs.cpl, 2);
    ck_assert_uint_eq(cpu->regs.gdtr.limit, 0x1234);
    ck_assert_uint_eq(cpu->regs.gdtr.base, 0xff00000000000000);
    ck_assert_uint_eq(cpu->regs.idtr.base, 0x00ff000000000123);
    ck_assert_uint_eq(cpu->regs.seg[SEG_SS].base, 0xffffffff);
    ck_assert_uint_eq(cpu->regs.seg[SEG_SS].attr, 0xfff);
    ck_assert_uint_eq(cpu->regs.efer, 0x1d00);
    world_free(w);
}
END_TEST

/* rows: svmop 3.28 */
START_TEST(vmrun_computes_lma)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, EFER, EFER_SVME | EFER_LMA);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.efer, EFER_SVME);
    world_exit(w, VMEXIT_HLT);
    world_guest(w->vmcb);
    VMCB_SET(w->vmcb, CR0, 0x31);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->regs.efer, EFER_LONG & ~(uint64_t)EFER_LMA);
    world_free(w);
}
END_TEST

/* rows: svmop 3.29, vmcb 9.3.1 */
START_TEST(vmrun_forces_cpl_in_real_and_v86_mode)
{
    static const struct {
        uint64_t cr0, rflags;
        unsigned field, cpl;
    } rows[] = { { 0x30, 2, 3, 0 },
                 { 0x31, 2, 3, 3 },
                 { 0x31, 2, 1, 1 },
                 { 0x31, 0x20002, 0, 3 },
                 { 0x30, 0x20002, 2, 0 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        VMCB_SET(w->vmcb, EFER, EFER_SVME);
        VMCB_SET(w->vmcb, CR0, rows[i].cr0);
        VMCB_SET(w->vmcb, RFLAGS, rows[i].rflags);
        VMCB_SET(w->vmcb, CPL, rows[i].field);
        world_enter(w);
        ck_assert_uint_eq(w->cpu->regs.cpl, rows[i].cpl);
        world_free(w);
    }
}
END_TEST

/* Elsewhere the mode could come about later, at a level that it does not have. */
START_TEST(vmrun_drops_vm_where_virtual_8086_mode_cannot_be)
{
    static const struct {
        uint64_t cr0, efer, cr4;
        bool v86;
        enum cpu_mode mode;
    } rows[] = {
        { CR0_PE, EFER_SVME, 0, true, MODE_V86 },
        { CR0_PE | CR0_PG, EFER_SVME, 0, true, MODE_V86 },
        { CR0_PE, EFER_SVME | EFER_LME, 0, true, MODE_V86 },
        { 0, EFER_SVME, 0, false, MODE_REAL },
        { CR0_PG, EFER_SVME, 0, false, MODE_REAL },
        { CR0_PE | CR0_PG, EFER_SVME | EFER_LME, CR4_PAE, false, MODE_LONG64 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        VMCB_SET(w->vmcb, EFER, rows[i].efer);
        VMCB_SET(w->vmcb, CR0, rows[i].cr0);
        VMCB_SET(w->vmcb, CR4, rows[i].cr4);
        VMCB_SET(w->vmcb, RFLAGS, 0x20002);
        VMCB_SET(w->vmcb, CPL, 1);
        world_enter(w);
        ck_assert_int_eq(w->cpu->mode, rows[i].mode);
        ck_assert_uint_eq(w->cpu->rflags, rows[i].v86 ? 0x20002 : 2);
        ck_assert_uint_eq(w->cpu->regs.cpl, rows[i].v86 ? 3 : rows[i].mode == MODE_REAL ? 0 : 1);
        world_free(w);
    }
}
END_TEST

/* rows: svmop 3.2, 3.4, 3.10-3.11, 3.17, vmcb 2.5-2.6, 2.11, 3.1, 3.3, 3.9-3.10, 3.12, 3.18 */
START_TEST(vmrun_loads_the_control_area)
{
    struct world *w = world_new();
    struct svm_state *svm = w->cpu->svm;
    VMCB_SET(w->vmcb, TSC_OFFSET, 0x1122334455667788);
    VMCB_SET(w->vmcb, GUEST_ASID, 0x7abc);
    VMCB_SET(w->vmcb, IOPM_BASE_PA, 0x45fff);
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, 0x56fff);
    VMCB_SET(w->vmcb, VINTR_CONTROL,
             0x05 | VINTR_IRQ | 9u << 16 | VINTR_IGN_TPR | VINTR_MASKING | UINT64_C(0xe7) << 32);
    VMCB_SET(w->vmcb, INTERRUPT_SHADOW, 1);
    svm->gif = false;
    world_enter(w);
    ck_assert_uint_eq(svm->tsc_offset, 0x1122334455667788);
    ck_assert_uint_eq(svm->asid, 0x7abc);
    ck_assert_uint_eq(svm->iopm_spa, 0x45000);
    ck_assert_uint_eq(svm->msrpm_spa, 0x56000);
    ck_assert_uint_eq(svm->v_tpr, 5);
    ck_assert(svm->v_irq && svm->v_ign_tpr && svm->v_intr_masking && svm->gif);
    ck_assert_uint_eq(svm->v_intr_prio, 9);
    ck_assert_uint_eq(svm->v_intr_vector, 0xe7);
    ck_assert_uint_eq(svm->vmcb_spa, VMCB_SPA);
    ck_assert_uint_eq(svm->vmruns, 1);
    ck_assert(w->cpu->regs.shadow);
    world_exit(w, VMEXIT_HLT);
    world_guest(w->vmcb);
    world_enter(w);
    ck_assert(!svm->v_irq && !svm->v_ign_tpr && !svm->v_intr_masking && !w->cpu->regs.shadow);
    ck_assert_uint_eq(svm->tsc_offset, 0);
    world_free(w);
}
END_TEST

/* rows: svmop 3.38 */
START_TEST(vmrun_ends_the_shadow_of_the_host)
{
    struct world *w = world_new();
    w->cpu->regs.shadow = w->cpu->regs.shadow_next = true;
    world_enter(w);
    ck_assert(!w->cpu->regs.shadow && !w->cpu->regs.shadow_next);
    world_free(w);
}
END_TEST

/* rows: svmop 10.2 */
START_TEST(vmrun_remembers_the_interrupt_flag_of_the_host)
{
    struct world *w = world_new();
    cpu_set_rflags(w->cpu, FLAG_IF | 2);
    world_enter(w);
    ck_assert(w->cpu->svm->host_if);
    world_exit(w, VMEXIT_HLT);
    cpu_set_rflags(w->cpu, 2);
    VMCB_SET(w->vmcb, RFLAGS, FLAG_IF | 2);
    world_enter(w);
    ck_assert(!w->cpu->svm->host_if);
    world_free(w);
}
END_TEST

/* The nested walk has the host's mode at VMRUN and user rights. APM vol 2, 15.25.3. */
/* rows: svmop 3.6, 15.1.1-15.1.3, 15.1.6 */
START_TEST(vmrun_makes_the_nested_regime_of_the_host)
{
    static const struct {
        uint64_t cr4, efer;
        enum walk_mode mode;
    } rows[] = { { CR4_PAE, EFER_LONG, WALK_4LEVEL },
                 { CR4_PAE | CR4_LA57, EFER_LONG, WALK_5LEVEL },
                 { CR4_PAE | CR4_SMEP, EFER_SVME | EFER_NXE, WALK_PAE },
                 { CR4_PSE, EFER_SVME, WALK_32 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        const struct svm_state *svm = w->cpu->svm;
        w->cpu->regs.cr4 = rows[i].cr4;
        w->cpu->regs.efer = rows[i].efer;
        VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
        VMCB_SET(w->vmcb, N_CR3, 0x70018);
        VMCB_SET(w->vmcb, GUEST_ASID, 77);
        world_enter(w);
        ck_assert(svm->nested_paging);
        ck_assert_int_eq(svm->host_regime.mode, rows[i].mode);
        ck_assert_uint_eq(svm->host_regime.root, 0x70018);
        ck_assert_uint_eq(svm->n_cr3, 0x70018);
        ck_assert_uint_eq(svm->host_regime.cpl, 3);
        ck_assert_uint_eq(svm->host_regime.asid, 77);
        ck_assert_uint_eq(svm->host_regime.maxphyaddr, 48);
        ck_assert_int_eq(svm->host_regime.nxe, (rows[i].efer & EFER_NXE) != 0);
        ck_assert_int_eq(svm->host_regime.smep, (rows[i].cr4 & CR4_SMEP) != 0);
        ck_assert_int_eq(svm->host_regime.pse, (rows[i].cr4 & CR4_PSE) != 0);
        ck_assert_ptr_null(svm->host_regime.nested);
        world_free(w);
    }
}
END_TEST

/* rows: vmcb 5.1 */
START_TEST(nested_paging_that_is_not_offered_is_ignored)
{
    struct world *w = world_new();
    w->cpu->svm->model.features &= ~SVM_FEATURE_NP;
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(w->vmcb, N_CR3, UINT64_MAX);
    world_enter(w);
    ck_assert(!w->cpu->svm->nested_paging);
    world_free(w);
}
END_TEST

/* --- EVENTINJ --- */

/* rows: svmop 3.12, vmcb 4.1-4.3, 4.5-4.6 */
START_TEST(vmrun_records_the_injected_event)
{
    static const struct {
        uint64_t word;
        enum event_type type;
        unsigned vector;
        bool has_code, next_rip;
        uint32_t code;
    } rows[] = {
        { 0x0000000080000020, EVENT_INTR, 0x20, false, false, 0 },
        { 0x00000000800002ff, EVENT_NMI, 2, false, false, 0 },
        { 0x1234567880000b0d, EVENT_EXCEPTION, 13, true, false, 0x12345678 },
        { 0x000000008000030e, EVENT_EXCEPTION, 14, false, false, 0 },
        { 0x0000000080000303, EVENT_EXCEPTION, 3, false, true, 0 },
        { 0x0000000080000304, EVENT_EXCEPTION, 4, false, true, 0 },
        { 0x0000000080000480, EVENT_SOFT, 0x80, false, true, 0 },
        { 0x0000000080000003, EVENT_INTR, 3, false, false, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        const struct svm_state *svm = w->cpu->svm;
        VMCB_SET(w->vmcb, EVENTINJ, rows[i].word);
        VMCB_SET(w->vmcb, NRIP, 0x400002);
        world_enter(w);
        ck_assert(svm->inject.valid);
        ck_assert_int_eq(svm->inject.type, rows[i].type);
        ck_assert_uint_eq(svm->inject.vector, rows[i].vector);
        ck_assert_int_eq(svm->inject.has_code, rows[i].has_code);
        ck_assert_uint_eq(svm->inject.code, rows[i].code);
        ck_assert_uint_eq(svm->inject_next_rip, rows[i].next_rip ? 0x400002 : 0x400000);
        world_exit(w, VMEXIT_HLT);
        ck_assert(!svm->inject.valid);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, EVENTINJ), rows[i].word & ~EVENTINJ_V);
        world_enter(w);
        ck_assert(!svm->inject.valid);
        world_free(w);
    }
}
END_TEST

/* rows: svmop 6.4, 6.10 */
START_TEST(injection_without_nrips_returns_to_rip)
{
    struct world *w = world_new();
    w->cpu->svm->model.features &= ~SVM_FEATURE_NRIPS;
    VMCB_SET(w->vmcb, EVENTINJ, UINT64_C(0x80000480));
    VMCB_SET(w->vmcb, NRIP, 0x400002);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->inject_next_rip, 0x400000);
    world_free(w);
}
END_TEST

/* --- TLB_CONTROL. APM vol 2, 15.16.1 "TLB Flush" --- */

#define LA UINT64_C(0x400000)
#define LA_GLOBAL UINT64_C(0x401000)

struct flush_row {
    unsigned control;
    bool host, same, same_global, other; /* which entries survive a VMRUN with ASID 1 */
};
static const struct flush_row flush_rows[] = {
    { 0, true, true, true, true }, { 1, false, false, false, false },
    { 2, true, true, true, true }, { 3, true, false, false, true },
    { 4, true, true, true, true }, { 5, true, true, true, true },
    { 6, true, true, true, true }, { 7, true, false, true, true },
    { 8, true, true, true, true }, { 0xff, true, true, true, true },
};

static uint64_t translate(struct world *w, uint16_t asid, uint64_t la)
{
    struct walk_regime regime = { .mode = WALK_4LEVEL,
                                  .root = TABLES_SPA,
                                  .nxe = true,
                                  .pge = true,
                                  .asid = asid,
                                  .maxphyaddr = 48,
                                  .page_1gb = true };
    struct walk_result result =
        paging_translate(w->cpu->paging, &regime, la, (struct access){ .kind = ACCESS_READ });
    ck_assert_int_eq(result.status, WALK_OK);
    return result.spa;
}

static void map(struct world *w, uint64_t target)
{
    phys_write(w->memory, TABLES_SPA, 8, (TABLES_SPA + 0x1000) | 7);
    phys_write(w->memory, TABLES_SPA + 0x1000, 8, (TABLES_SPA + 0x2000) | 7);
    phys_write(w->memory, TABLES_SPA + 0x2010, 8, (TABLES_SPA + 0x3000) | 7);
    phys_write(w->memory, TABLES_SPA + 0x3000, 8, target | 7);
    phys_write(w->memory, TABLES_SPA + 0x3008, 8, target | 0x107); /* global */
}

/* rows: svmop 3.9, 4.31, 14.1-14.4, vmcb 2.7 */
START_TEST(tlb_control_flushes_what_it_says)
{
    const struct flush_row *row = &flush_rows[_i];
    struct world *w = world_new();
    map(w, 0x100000);
    for (uint16_t asid = 0; asid < 3; asid++)
        ck_assert_uint_eq(translate(w, asid, LA), 0x100000);
    ck_assert_uint_eq(translate(w, 1, LA_GLOBAL), 0x100000);
    map(w, 0x200000);
    VMCB_SET(w->vmcb, TLB_CONTROL, row->control);
    world_enter(w);
    ck_assert_uint_eq(translate(w, 0, LA), row->host ? 0x100000 : 0x200000);
    ck_assert_uint_eq(translate(w, 1, LA), row->same ? 0x100000 : 0x200000);
    ck_assert_uint_eq(translate(w, 1, LA_GLOBAL), row->same_global ? 0x100000 : 0x200000);
    ck_assert_uint_eq(translate(w, 2, LA), row->other ? 0x100000 : 0x200000);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, TLB_CONTROL), row->control);
    ck_assert_uint_eq(
        w->errors,
        row->control == 0 || row->control == 1 || row->control == 3 || row->control == 7 ? 0 : 1);
    world_exit(w, VMEXIT_HLT); /* an exit flushes nothing */
    ck_assert_uint_eq(translate(w, 2, LA), row->other ? 0x100000 : 0x200000);
    world_free(w);
}
END_TEST

START_TEST(refused_vmrun_flushes_nothing)
{
    struct world *w = world_new();
    map(w, 0x100000);
    ck_assert_uint_eq(translate(w, 1, LA), 0x100000);
    map(w, 0x200000);
    VMCB_SET(w->vmcb, TLB_CONTROL, 1);
    VMCB_SET(w->vmcb, GUEST_ASID, 0);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(translate(w, 1, LA), 0x100000);
    world_free(w);
}
END_TEST

/* --- the host --- */

/* rows: svmop 3.3, vmcb 10.1 */
START_TEST(vmrun_saves_the_host_in_the_fields_it_loads)
{
    struct world *w = world_new();
    const struct cpu_regs host = w->cpu->regs;
    memset(w->hsave, 0xee, VMCB_PAGE_BYTES);
    cpu_set_rflags(w->cpu, FLAG_RF | FLAG_IF | FLAG_CF | 2);
    world_enter(w);
    ck_assert_uint_eq(VMCB_GET(w->hsave, RIP), NEXT_RIP);
    ck_assert_uint_eq(VMCB_GET(w->hsave, RFLAGS), FLAG_IF | FLAG_CF | 2);
    ck_assert_uint_eq(VMCB_GET(w->hsave, RAX), VMCB_SPA);
    ck_assert_uint_eq(VMCB_GET(w->hsave, RSP), 0xffff800000009000);
    ck_assert_uint_eq(VMCB_GET(w->hsave, CR0), host.cr0);
    ck_assert_uint_eq(VMCB_GET(w->hsave, CR3), host.cr3);
    ck_assert_uint_eq(VMCB_GET(w->hsave, CR4), host.cr4);
    ck_assert_uint_eq(VMCB_GET(w->hsave, EFER), host.efer);
    ck_assert_uint_eq(VMCB_GET(w->hsave, CS_SEL), 0x08);
    ck_assert_uint_eq(VMCB_GET(w->hsave, ES_ATTR), 0xc91);
    ck_assert_uint_eq(VMCB_GET(w->hsave, GDTR_BASE), host.gdtr.base);
    /* VMSAVE's fields, CR2, DR6, DR7 and the rest of the page belong to software */
    for (unsigned at = 0; at < VMCB_PAGE_BYTES; at++) {
        enum vmcb_field field = vmcb_field_at(at);
        if (field < VMCB_FIELD_COUNT && vmcb_use_switches(vmcb_fields[field].use) &&
            vmcb_fields[field].area == VMCB_AREA_SAVE && field != VMCB_CR2 && field != VMCB_DR6 &&
            field != VMCB_DR7 && field != VMCB_G_PAT && field != VMCB_CPL)
            continue;
        ck_assert_msg(w->hsave[at] == 0xee, "offset %x", at);
    }
    world_free(w);
}
END_TEST

/* rows: vmcb 2.13, exit 1.4.8, 6.8 */
START_TEST(vmrun_invalid_leaves_the_save_area_and_writes_64_bits)
{
    struct world *w = world_new();
    uint8_t before[VMCB_PAGE_BYTES];
    const struct cpu_regs host = w->cpu->regs;
    VMCB_SET(w->vmcb, GUEST_ASID, 0);
    VMCB_SET(w->vmcb, EVENTINJ, UINT64_C(0x80000020));
    for (unsigned at = VMCB_AT_EXITCODE; at < VMCB_AT_NESTED_CONTROL; at++)
        w->vmcb[at] = 0x5a;
    memcpy(before, w->vmcb, sizeof(before));
    w->cpu->regs.cr2 = 0xc2;
    w->cpu->regs.dr[7] = 0x401;
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), UINT64_MAX);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINFO1), 0);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINFO2), 0);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINTINFO), 0);
    for (unsigned at = 0; at < VMCB_PAGE_BYTES; at++)
        if (at < VMCB_AT_EXITCODE || at >= VMCB_AT_NESTED_CONTROL)
            ck_assert_msg(w->vmcb[at] == before[at], "offset %x", at);
    ck_assert(!w->cpu->svm->guest && !w->cpu->svm->gif && !w->cpu->svm->inject.valid);
    ck_assert_uint_eq(w->cpu->r[REG_RIP], NEXT_RIP);
    ck_assert_uint_eq(w->cpu->r[REG_RAX], VMCB_SPA);
    ck_assert_uint_eq(w->cpu->regs.cr3, host.cr3);
    ck_assert_uint_eq(w->cpu->regs.cr2, 0xc2);
    ck_assert_uint_eq(w->cpu->regs.dr[7], 0x400);
    ck_assert_uint_eq(w->cpu->svm->exits, 1);
    ck_assert_uint_eq(w->cpu->extra_steps, 1);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(w->cpu->svm->intercept[i], 0);
    world_free(w);
}
END_TEST

START_TEST(probes_hear_of_entries_and_refusals)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, GUEST_ASID, 9);
    world_enter(w);
    ck_assert_uint_eq(w->entries, 1);
    ck_assert_uint_eq(w->exits, 0);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->exits, 1);
    VMCB_SET(w->vmcb, GUEST_ASID, 0x12345678);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(w->entries, 2);
    ck_assert_uint_eq(w->exits, 2);
    ck_assert_uint_eq(w->last_exit.a, VMEXIT_INVALID);
    ck_assert_uint_eq(w->at_exit.last_asid, 0x12345678);
    ck_assert_uint_eq(w->at_exit.last_rip, 0x400000);
    ck_assert_uint_eq(w->at_exit.last_cs, 0x28);
    ck_assert_ptr_nonnull(w->at_exit.invalid.rule);
    world_free(w);
}
END_TEST

/* What CPUID does not offer is ignored, but a hypervisor's developer hears of it. */
START_TEST(vmrun_tells_of_enables_that_do_not_exist)
{
    struct world *w = world_new();
    w->cpu->svm->model.features = SVM_FEATURE_NP;
    world_enter(w);
    ck_assert_uint_eq(w->errors, 0);
    world_exit(w, VMEXIT_VMMCALL);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool vintr = bit == 25 || bit == 26 || bit == 30 || bit == 31;
        w->errors = 0;
        world_guest(w->vmcb);
        VMCB_SET(w->vmcb, VINTR_CONTROL, UINT64_C(1) << bit);
        world_enter(w);
        ck_assert_msg(w->errors == vintr, "bit %u of the virtual interrupt control", bit);
        world_exit(w, VMEXIT_VMMCALL);
    }
    for (unsigned bit = 0; bit < 8; bit++) {
        w->errors = 0;
        world_guest(w->vmcb);
        VMCB_SET(w->vmcb, NESTED_CONTROL, UINT64_C(1) << bit);
        world_enter(w);
        ck_assert_msg(w->errors == (bit != 0), "bit %u of the nested paging enables", bit);
        world_exit(w, VMEXIT_VMMCALL);
        w->errors = 0;
        world_guest(w->vmcb);
        VMCB_SET(w->vmcb, VIRT_ENABLE, UINT64_C(1) << bit);
        world_enter(w);
        ck_assert_msg(w->errors == (bit < 4), "bit %u of the virtualization enables", bit);
        world_exit(w, VMEXIT_VMMCALL);
    }
    world_free(w);
}
END_TEST

/* rows: svmop 2.5 */
START_TEST(vmrun_tells_of_a_host_save_page_that_was_not_set)
{
    struct world *w = world_new();
    w->cpu->msr.vm_hsave_pa = 0;
    world_enter(w); /* the processor does not check */
    ck_assert_uint_eq(w->errors, 1);
    world_free(w);
}
END_TEST

/* --- pages that are no RAM: all ones come back, writes vanish --- */

START_TEST(vmcb_outside_ram_is_invalid)
{
    struct world *w = world_new();
    ck_assert_int_eq(svm_vmrun(w->cpu, MMIO_SPA, NEXT_RIP), STEP_VMEXIT);
    ck_assert_ptr_nonnull(w->cpu->svm->invalid.rule);
    ck_assert_uint_eq(w->cpu->r[REG_RIP], NEXT_RIP);
    ck_assert_uint_gt(w->errors, 0);
    world_free(w);
}
END_TEST

START_TEST(host_save_page_outside_ram_shuts_down_at_the_exit)
{
    struct world *w = world_new();
    w->cpu->msr.vm_hsave_pa = MMIO_SPA;
    ck_assert_int_eq(world_vmrun(w), STEP_JUMP);
    ck_assert_int_eq(svm_vmexit(w->cpu, VMEXIT_HLT, 0, 0), STEP_STOP);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), VMEXIT_HLT);
    ck_assert_uint_eq(w->exits, 1);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/vmrun");
    TCase *tc = tcase_create("vmrun");
    tcase_add_test(tc, vmrun_loads_every_register);
    tcase_add_test(tc, vmexit_saves_every_field_and_nothing_else);
    tcase_add_test(tc, vmrun_does_not_load_the_fields_of_vmload);
    tcase_add_test(tc, vmrun_forces_fixed_bits);
    tcase_add_test(tc, vmrun_computes_lma);
    tcase_add_test(tc, vmrun_forces_cpl_in_real_and_v86_mode);
    tcase_add_test(tc, vmrun_drops_vm_where_virtual_8086_mode_cannot_be);
    tcase_add_test(tc, vmrun_loads_the_control_area);
    tcase_add_test(tc, vmrun_ends_the_shadow_of_the_host);
    tcase_add_test(tc, vmrun_remembers_the_interrupt_flag_of_the_host);
    tcase_add_test(tc, vmrun_makes_the_nested_regime_of_the_host);
    tcase_add_test(tc, nested_paging_that_is_not_offered_is_ignored);
    tcase_add_test(tc, vmrun_records_the_injected_event);
    tcase_add_test(tc, injection_without_nrips_returns_to_rip);
    tcase_add_loop_test(tc, tlb_control_flushes_what_it_says, 0,
                        sizeof(flush_rows) / sizeof(flush_rows[0]));
    tcase_add_test(tc, refused_vmrun_flushes_nothing);
    tcase_add_test(tc, vmrun_saves_the_host_in_the_fields_it_loads);
    tcase_add_test(tc, vmrun_invalid_leaves_the_save_area_and_writes_64_bits);
    tcase_add_test(tc, probes_hear_of_entries_and_refusals);
    tcase_add_test(tc, vmrun_tells_of_enables_that_do_not_exist);
    tcase_add_test(tc, vmrun_tells_of_a_host_save_page_that_was_not_set);
    tcase_add_test(tc, vmcb_outside_ram_is_invalid);
    tcase_add_test(tc, host_save_page_outside_ram_shuts_down_at_the_exit);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

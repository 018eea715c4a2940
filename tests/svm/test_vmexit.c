/* #VMEXIT: what it tells, clears and reloads. APM vol 2, 15.6 "#VMEXIT", 15.7, 15.8. */
#include <pacifica/pacifica.h>

#include "emu/cpu/flags.h"
#include "tests/svm/world.h"

/* rows: svmop 5.4, exit 1.4.1 */
START_TEST(vmexit_writes_code_and_info)
{
    struct world *w = world_new();
    memset(w->vmcb + VMCB_AT_EXITCODE, 0xee, 32);
    world_enter(w);
    ck_assert_int_eq(svm_vmexit(w->cpu, VMEXIT_NPF, 0x1122334455667788, 0x99aabbccddeeff00),
                     STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), 0x400);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINFO1), 0x1122334455667788);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINFO2), 0x99aabbccddeeff00);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINTINFO), 0);
    ck_assert_uint_eq(w->cpu->svm->exits, 1);
    ck_assert_uint_eq(w->cpu->extra_steps, 1);
    world_free(w);
}
END_TEST

/* rows: svmop 5.1, 5.6 */
START_TEST(vmexit_clears_what_is_the_guests)
{
    struct world *w = world_new();
    struct svm_state *svm = w->cpu->svm;
    memset(w->vmcb, 0xff, 24);
    VMCB_SET(w->vmcb, TSC_OFFSET, 5);
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(w->vmcb, VINTR_CONTROL, VINTR_IRQ | VINTR_MASKING);
    world_enter(w);
    w->cpu->attention = w->cpu->context_stale = false;
    w->cpu->regs.halted = true;
    world_exit(w, VMEXIT_INTR);
    ck_assert(!svm->gif && !svm->v_irq && !svm->v_intr_masking && !svm->nested_paging);
    ck_assert_uint_eq(svm->asid, 0);
    ck_assert_uint_eq(svm->tsc_offset, 0);
    for (unsigned n = 0; n < INTERCEPT_LIMIT; n++)
        ck_assert(!svm_intercepts(w->cpu, n));
    ck_assert(!w->cpu->regs.halted && w->cpu->attention && w->cpu->context_stale);
    ck_assert_int_eq(w->cpu->mode, MODE_LONG64);
    world_free(w);
}
END_TEST

/* The host comes back, whatever the guest did to the registers. */
/* rows: svmop 5.7-5.8 */
START_TEST(host_survives_the_round_trip)
{
    struct world *w = world_new();
    struct vcpu *cpu = w->cpu;
    cpu_set_rflags(cpu, FLAG_IF | FLAG_TF | 2);
    flags_set(cpu, FLAGS_SUB, 1, 2, -1); /* CF, SF, AF and PF in lazy form */
    const struct cpu_regs host = cpu->regs;
    world_enter(w);
    struct cpu_regs *regs = &cpu->regs;
    memset(&regs->seg[SEG_ES], 0x11, 4 * sizeof(regs->seg[0]));
    regs->gdtr = regs->idtr = (struct table_register){ .base = 1, .limit = 1 };
    regs->cr0 = regs->cr3 = regs->cr4 = regs->efer = 0;
    regs->dr[7] = 0xffff, regs->dr[6] = 0xd6, regs->cr2 = 0xc2, regs->cpl = 3;
    regs->shadow = regs->shadow_next = true;
    cpu->r[REG_RSP] = cpu->r[REG_RAX] = cpu->r[REG_RIP] = 0x99;
    cpu->r[REG_RBX] = 0xbb;
    cpu_set_rflags(cpu, 0);
    world_exit(w, VMEXIT_HLT);
    for (enum seg s = SEG_ES; s <= SEG_DS; s++) {
        ck_assert_uint_eq(regs->seg[s].selector, host.seg[s].selector);
        ck_assert_uint_eq(regs->seg[s].attr, host.seg[s].attr);
        ck_assert_uint_eq(regs->seg[s].limit, host.seg[s].limit);
        ck_assert_uint_eq(regs->seg[s].base, host.seg[s].base);
    }
    ck_assert_uint_eq(regs->gdtr.base, host.gdtr.base);
    ck_assert_uint_eq(regs->gdtr.limit, host.gdtr.limit);
    ck_assert_uint_eq(regs->idtr.base, host.idtr.base);
    ck_assert_uint_eq(regs->idtr.limit, host.idtr.limit);
    ck_assert_uint_eq(regs->cr0, host.cr0);
    ck_assert_uint_eq(regs->cr3, host.cr3);
    ck_assert_uint_eq(regs->cr4, host.cr4);
    ck_assert_uint_eq(regs->efer, host.efer);
    ck_assert_uint_eq(cpu_rflags(cpu),
                      FLAG_IF | FLAG_TF | FLAG_CF | FLAG_SF | FLAG_AF | FLAG_PF | 2);
    ck_assert_uint_eq(cpu->r[REG_RIP], NEXT_RIP);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0xffff800000009000);
    ck_assert_uint_eq(cpu->r[REG_RAX], VMCB_SPA);
    ck_assert_uint_eq(regs->cpl, 0);
    ck_assert_uint_eq(regs->dr[7], 0x400);
    ck_assert(!regs->shadow && !regs->shadow_next);
    /* not restored */
    ck_assert_uint_eq(regs->dr[6], 0xd6);
    ck_assert_uint_eq(regs->cr2, 0xc2);
    ck_assert_uint_eq(cpu->r[REG_RBX], 0xbb);
    world_free(w);
}
END_TEST

/* rows: svmop 5.7-5.8 */
START_TEST(host_state_is_read_from_the_host_save_page)
{
    struct world *w = world_new();
    world_enter(w);
    VMCB_SET(w->hsave, RIP, 0x1234);
    VMCB_SET(w->hsave, RSP, 0x5678);
    VMCB_SET(w->hsave, CR0, VMCB_GET(w->hsave, CR0) & ~UINT64_C(1));
    VMCB_SET(w->hsave, RFLAGS, FLAG_VM | FLAG_IF);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->r[REG_RIP], 0x1234);
    ck_assert_uint_eq(w->cpu->r[REG_RSP], 0x5678);
    ck_assert_uint_eq(w->cpu->regs.cr0, CR0_HOST);
    ck_assert_uint_eq(cpu_rflags(w->cpu), FLAG_IF | 2);
    world_free(w);
}
END_TEST

/* rows: svmop 5.10 */
START_TEST(illegal_host_state_shuts_down)
{
    static const struct {
        enum vmcb_field field;
        uint64_t value;
        bool legal;
    } rows[] = { { VMCB_EFER, EFER_LONG, true },
                 { VMCB_EFER, EFER_LONG & ~UINT64_C(0x1000), false },
                 { VMCB_EFER, EFER_LONG | 1u << 9, false },
                 { VMCB_CR0, CR0_HOST | CR0_NW, false },
                 { VMCB_CR0, CR0_HOST | UINT64_C(1) << 32, false },
                 { VMCB_CR3, UINT64_C(1) << 47, true },
                 { VMCB_CR3, UINT64_C(1) << 48, false },
                 { VMCB_CR4, CR4_PAE | 1u << 31, false },
                 { VMCB_CR4, 0, false },
                 { VMCB_CS_ATTR, 0xe9b, false },
                 { VMCB_DR7, UINT64_MAX, true },
                 { VMCB_GUEST_ASID, 0, true } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        const struct vmcb_field_info *f = &vmcb_fields[rows[i].field];
        world_enter(w);
        vmcb_store(w->hsave, f->offset, f->bytes, rows[i].value);
        enum step step = svm_vmexit(w->cpu, VMEXIT_HLT, 0, 0);
        ck_assert_msg(step == (rows[i].legal ? STEP_VMEXIT : STEP_STOP), "row %u", i);
        if (!rows[i].legal) {
            ck_assert_int_eq(w->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
            ck_assert_ptr_nonnull(strstr(w->cpu->stop.text, "VM_HSAVE_PA"));
        }
        world_free(w);
    }
}
END_TEST

/* rows: svmop 5.9 */
START_TEST(host_in_legacy_pae_mode_needs_legal_pdptes)
{
    for (unsigned legal = 0; legal < 2; legal++) {
        struct world *w = world_new();
        struct vcpu *cpu = w->cpu;
        cpu->regs.efer = EFER_SVME;
        cpu->regs.cr3 = 0x70020;
        cpu->regs.seg[SEG_CS].attr = 0xc9b;
        for (unsigned i = 0; i < 4; i++)
            phys_write(w->memory, 0x70020 + 8 * i, 8, 0x1001 * (i + 1) & ~UINT64_C(6));
        world_enter(w);
        if (!legal)
            phys_write(w->memory, 0x70038, 8, 0x7);
        ck_assert_int_eq(svm_vmexit(cpu, VMEXIT_HLT, 0, 0), legal ? STEP_VMEXIT : STEP_STOP);
        world_free(w);
    }
}
END_TEST

/* --- control fields written back --- */

/* rows: svmop 5.3, vmcb 2.11, 3.1-3.3, 3.9-3.10, 3.12, 3.18 */
START_TEST(vmexit_writes_back_virtual_interrupt_state)
{
    struct world *w = world_new();
    uint64_t rest = 9u << 16 | VINTR_IGN_TPR | VINTR_MASKING | UINT64_C(0xe7) << 32;
    VMCB_SET(w->vmcb, VINTR_CONTROL, rest | 0xf5 | VINTR_IRQ);
    VMCB_SET(w->vmcb, INTERRUPT_SHADOW, 1);
    world_enter(w);
    w->cpu->svm->v_irq = false;
    w->cpu->svm->v_tpr = 0xb;
    w->cpu->regs.shadow = false;
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, VINTR_CONTROL), rest | 0xb);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INTERRUPT_SHADOW), 0);
    VMCB_SET(w->vmcb, VINTR_CONTROL, rest | VINTR_IRQ);
    world_enter(w);
    w->cpu->regs.shadow = true;
    world_exit(w, VMEXIT_VINTR);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, VINTR_CONTROL), rest | VINTR_IRQ);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INTERRUPT_SHADOW), 1);
    world_free(w);
}
END_TEST

/* rows: svmop 3.18, vmcb 9.3.28 */
START_TEST(vmexit_saves_g_pat_only_with_nested_paging)
{
    struct world *w = world_new();
    for (unsigned np = 0; np < 2; np++) {
        VMCB_SET(w->vmcb, NESTED_CONTROL, np);
        world_enter(w);
        w->cpu->svm->g_pat = 0x0606060606060606;
        world_exit(w, VMEXIT_HLT);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, G_PAT), np ? 0x0606060606060606 : PAT_RESET);
    }
    ck_assert_uint_eq(w->cpu->msr.pat, PAT_RESET);
    world_free(w);
}
END_TEST

/* rows: vmcb 4.1-4.3, 4.5-4.6, exit 5.6-5.9 */
START_TEST(exitintinfo_is_the_event_in_delivery)
{
    static const struct {
        struct event event;
        uint64_t word;
    } rows[] = {
        { { .valid = false, .vector = 14, .has_code = true }, 0 },
        { { .valid = true, .vector = 0x20, .type = EVENT_INTR }, 0x80000020 },
        { { .valid = true, .vector = 2, .type = EVENT_NMI }, 0x80000202 },
        { { .valid = true, .vector = 3, .type = EVENT_EXCEPTION, .soft_len = 1 }, 0x80000303 },
        { { .valid = true, .vector = 14, .type = EVENT_EXCEPTION, .has_code = true, .code = 0x1b },
          0x0000001b80000b0e },
        { { .valid = true, .vector = 0xff, .type = EVENT_SOFT, .soft_len = 2 }, 0x800004ff },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        world_enter(w);
        w->cpu->delivering = rows[i].event;
        world_exit(w, VMEXIT_NPF);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINTINFO), rows[i].word);
        ck_assert_uint_eq(w->cpu->svm->last_exitintinfo, rows[i].word);
        ck_assert(!w->cpu->delivering.valid);
        world_free(w);
    }
}
END_TEST

/* rows: vmcb 2.27, 8.1 */
START_TEST(nrip_is_for_instruction_intercepts_only)
{
    struct world *w = world_new();
    world_enter(w);
    ck_assert_int_eq(svm_vmexit_insn(w->cpu, VMEXIT_CPUID, 0, 0, 2), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, NRIP), 0x400002);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, RIP), 0x400000);
    world_enter(w);
    world_exit(w, VMEXIT_INTR);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, NRIP), 0);
    world_free(w);
}
END_TEST

/* rows: vmcb 8.1 */
START_TEST(nrip_has_32_bits_outside_64_bit_mode)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, RIP, 0xffffffff);
    world_enter(w);
    ck_assert_int_eq(svm_vmexit_insn(w->cpu, VMEXIT_CPUID, 0, 0, 2), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, NRIP), 0x100000001);
    VMCB_SET(w->vmcb, CS_ATTR, 0xc9b);
    world_enter(w);
    ck_assert_int_eq(svm_vmexit_insn(w->cpu, VMEXIT_CPUID, 0, 0, 2), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, NRIP), 1);
    world_free(w);
}
END_TEST

/* rows: vmcb 8.1-8.2 */
START_TEST(nrip_and_bytes_need_their_features)
{
    struct world *w = world_new();
    w->cpu->svm->model.features = 0;
    VMCB_SET(w->vmcb, NRIP, 0x77);
    VMCB_SET(w->vmcb, INSN_COUNT, 0x78);
    world_enter(w);
    svm_set_insn_bytes(w->cpu, (const uint8_t *)"abc", 3);
    ck_assert_int_eq(svm_vmexit_insn(w->cpu, VMEXIT_CPUID, 0, 0, 2), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, NRIP), 0x77);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INSN_COUNT), 0x78);
    world_free(w);
}
END_TEST

/* rows: vmcb 2.28-2.29, 8.2 */
START_TEST(instruction_bytes_belong_to_one_exit)
{
    static const uint8_t bytes[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
    struct world *w = world_new();
    for (unsigned count = 0; count <= 16; count++) {
        unsigned stored = count < 15 ? count : 15;
        world_enter(w);
        memset(w->vmcb + VMCB_AT_INSN_COUNT, 0xee, 17);
        svm_set_insn_bytes(w->cpu, bytes, count);
        world_exit(w, VMEXIT_NPF);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, INSN_COUNT), stored);
        ck_assert_mem_eq(w->vmcb + VMCB_AT_INSN_BYTES, bytes, stored);
        ck_assert_uint_eq(w->vmcb[VMCB_AT_INSN_BYTES + 15], 0xee);
    }
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INSN_COUNT), 0);
    svm_set_insn_bytes(w->cpu, bytes, 4); /* left over: VMRUN forgets them */
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INSN_COUNT), 0);
    world_free(w);
}
END_TEST

START_TEST(probe_sees_the_guest_as_it_was_left)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, GUEST_ASID, 42);
    VMCB_SET(w->vmcb, CPL, 3);
    world_enter(w);
    w->cpu->r[REG_RIP] = 0x401234;
    w->cpu->regs.seg[SEG_CS].selector = 0x33;
    ck_assert_int_eq(svm_vmexit_insn(w->cpu, VMEXIT_VMMCALL, 7, 8, 3), STEP_VMEXIT);
    ck_assert_uint_eq(w->exits, 1);
    ck_assert_uint_eq(w->last_exit.a, VMEXIT_VMMCALL);
    ck_assert_uint_eq(w->last_exit.b, 7);
    ck_assert_uint_eq(w->last_exit.c, 8);
    ck_assert_uint_eq(w->at_exit.last_asid, 42);
    ck_assert_uint_eq(w->at_exit.last_rip, 0x401234);
    ck_assert_uint_eq(w->at_exit.last_cs, 0x33);
    ck_assert_uint_eq(w->at_exit.last_nrip, 0x401237);
    world_free(w);
}
END_TEST

/* Stores of a world switch pass phys_written(): whatever changed in the two pages was told. */
struct heard {
    uint64_t page;
    uint8_t told[VMCB_PAGE_BYTES];
};

static void hear_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    struct heard *heard = self;
    ck_assert_uint_le(offset + len, VMCB_PAGE_BYTES);
    if (page == heard->page)
        memset(heard->told + offset, 1, len);
}

enum action { ENTER, EXIT, SAVE, REFUSED };

static void act(struct world *w, enum action action)
{
    switch (action) {
    case ENTER: world_enter(w); break;
    case EXIT: world_exit(w, VMEXIT_HLT); break;
    case SAVE: svm_vmsave(w->cpu, VMCB_SPA); break;
    case REFUSED:
        VMCB_SET(w->vmcb, GUEST_ASID, 0);
        ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
        break;
    }
}

START_TEST(world_switches_tell_of_their_stores)
{
    static const struct {
        enum action action;
        uint64_t page;
    } rows[] = {
        { ENTER, HSAVE_SPA }, { EXIT, VMCB_SPA }, { SAVE, VMCB_SPA }, { REFUSED, VMCB_SPA }
    };
    struct world *w = world_new();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct heard heard = { .page = memory_backing(w->memory, rows[i].page) };
        uint8_t before[VMCB_PAGE_BYTES], *page = memory_page_ptr(w->memory, heard.page);
        if (rows[i].action != ENTER) /* VMRUN must find a legal VMCB; the others overwrite it */
            for (unsigned f = 0; f < VMCB_FIELD_COUNT; f++)
                if (vmcb_fields[f].use != VMCB_USE_ENTRY)
                    memset(page + vmcb_fields[f].offset, 0xa7, vmcb_fields[f].bytes);
        if (rows[i].action == REFUSED)
            VMCB_SET(w->vmcb, GUEST_ASID, 0);
        memcpy(before, page, sizeof(before));
        memory_set_written(w->memory, hear_written, &heard);
        memory_set_marks(w->memory, heard.page, PAGE_WATCHED, 0);
        act(w, rows[i].action);
        unsigned changed = 0, missed = 0;
        for (unsigned at = 0; at < VMCB_PAGE_BYTES; at++) {
            changed += page[at] != before[at];
            missed += page[at] != before[at] && !heard.told[at];
        }
        ck_assert_uint_gt(changed, 20);
        ck_assert_uint_eq(missed, 0);
    }
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/vmexit");
    TCase *tc = tcase_create("vmexit");
    tcase_add_test(tc, vmexit_writes_code_and_info);
    tcase_add_test(tc, vmexit_clears_what_is_the_guests);
    tcase_add_test(tc, host_survives_the_round_trip);
    tcase_add_test(tc, host_state_is_read_from_the_host_save_page);
    tcase_add_test(tc, illegal_host_state_shuts_down);
    tcase_add_test(tc, host_in_legacy_pae_mode_needs_legal_pdptes);
    tcase_add_test(tc, vmexit_writes_back_virtual_interrupt_state);
    tcase_add_test(tc, vmexit_saves_g_pat_only_with_nested_paging);
    tcase_add_test(tc, exitintinfo_is_the_event_in_delivery);
    tcase_add_test(tc, nrip_is_for_instruction_intercepts_only);
    tcase_add_test(tc, nrip_has_32_bits_outside_64_bit_mode);
    tcase_add_test(tc, nrip_and_bytes_need_their_features);
    tcase_add_test(tc, instruction_bytes_belong_to_one_exit);
    tcase_add_test(tc, probe_sees_the_guest_as_it_was_left);
    tcase_add_test(tc, world_switches_tell_of_their_stores);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

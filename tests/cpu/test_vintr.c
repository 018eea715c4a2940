/* Virtual interrupts, virtual NMI and virtual GIF of a guest at its boundaries, and the instructions that go by them: STGI, CLGI,
 * IRET, HLT, PAUSE. APM vol 2, 15.13.5, 15.14.4, 15.17, 15.21, 15.33.2. */
#include "svm/vintr.h"
#include "tests/cpu/program.h"
#include "tests/cpu/smm_kit.h"

#define STGI "\x0f\x01\xdc"
#define CLGI "\x0f\x01\xdd"
#define HLT "\xf4"
#define IRETQ "\x48\xcf"
#define PAUSE "\xf3\x90"
#define NMI_INTINFO (UINT64_C(0x80000000) | EVENT_NMI << 8 | EXC_NMI)
#define VNMI (VINTR_NMI_ENABLE | VINTR_NMI)

/* A guest in 64-bit mode with IF = 1, with these virtual controls, the NMI intercept and a V_IRQ of vector 44h if `word` has
 * one. */
static void guest(struct kit *k, uint64_t word)
{
    kit_tables(k);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_NMI);
    struct svm_state *svm = k->cpu->svm;
    svm_load_vintr(svm, word);
    svm->v_irq = word & VINTR_IRQ;
    svm->v_ign_tpr = true;
    svm->v_intr_vector = 0x44;
    k->cpu->rflags |= FLAG_IF;
    k->cpu->regs.shadow = k->cpu->regs.shadow_next = k->cpu->regs.halted = false;
    k->cpu->regs.nmi_masked = false;
    k->cpu->pins = (struct cpu_pins){ 0 };
    k->pending = -1;
    k->deliveries = 0;
}

static uint64_t saved_vintr(struct kit *k)
{
    return VMCB_GET(k->vmcb, VINTR_CONTROL);
}

/* --- virtual NMI --- */

/* rows: svmop 8.14, 9.3, 12.5, 12.6 */
WITH_KIT(virtual_nmi_needs_v_nmi_no_mask_gif_v_gif_and_no_shadow)
{
    static const struct {
        uint64_t word;
        bool gif, shadow, taken;
    } rows[] = {
        { VNMI, true, false, true },
        { VINTR_NMI_ENABLE, true, false, false },
        { VINTR_NMI, true, false, false }, /* not enabled */
        { VNMI | VINTR_NMI_MASK, true, false, false },
        { VNMI, false, false, false },
        { VNMI, true, true, false },
        { VNMI | VINTR_GIF_ENABLE, true, false, false },
        { VNMI | VINTR_GIF_ENABLE | VINTR_GIF, true, false, true },
        { VNMI | VINTR_GIF_ENABLE | VINTR_GIF, false, false, false },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        guest(k, rows[i].word);
        k->cpu->rflags &= ~(uint64_t)FLAG_IF; /* IF does not matter */
        k->cpu->svm->gif = rows[i].gif;
        k->cpu->regs.shadow = rows[i].shadow;
        ck_assert_msg(event_pending(k->cpu) == rows[i].taken, "row %u", i);
        ck_assert_int_eq(event_boundary(k->cpu), rows[i].taken ? STEP_JUMP : STEP_NEXT);
        ck_assert_uint_eq(k->deliveries, rows[i].taken);
        if (!rows[i].taken)
            continue;
        ck_assert_uint_eq(k->delivered.a & 0x7ff, EXC_NMI | EVENT_NMI << 8);
        ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
        ck_assert_uint_eq(k->cpu->svm->v_ctl & (VINTR_NMI | VINTR_NMI_MASK), VINTR_NMI_MASK);
        ck_assert(!k->cpu->regs.nmi_masked); /* physical NMIs are not blocked */
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        ck_assert_uint_eq(saved_vintr(k) & (VINTR_NMI | VINTR_NMI_MASK), VINTR_NMI_MASK);
    }
}

/* The intercept is for physical NMIs, which come first. */
/* rows: svmop 10.14, 10.15, 12.10 */
WITH_KIT(nmi_intercept_is_for_physical_nmis_which_come_first)
{
    guest(k, VNMI);
    k->cpu->pins.nmi = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_NMI, 0, 0, 0);
    ck_assert(k->cpu->pins.nmi);
    ck_assert_uint_eq(saved_vintr(k) & (VINTR_NMI | VINTR_NMI_MASK), VINTR_NMI);
    guest(k, VNMI | VINTR_NMI_MASK); /* a guest in its NMI handler */
    k->cpu->pins.nmi = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_NMI, 0, 0, 0);
}

/* V_NMI is cleared and V_NMI_MASK set before the gate is read; an exit that comes of that takes both back into EXITINTINFO. */
/* rows: svmop 12.6, 12.8, exit 5.7 */
WITH_KIT(exit_in_the_delivery_of_a_virtual_nmi_saves_no_mask)
{
    guest(k, VNMI);
    kit_put(k, IDT_SPA + 16 * EXC_NMI + 5, 1, 0x0e); /* not present */
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_NP);
    kit_exited(k, event_boundary(k->cpu), VMEXIT_EXCP0 + EXC_NP, EXC_NMI * 8 + 3, 0, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), NMI_INTINFO);
    ck_assert_uint_eq(saved_vintr(k) & (VINTR_NMI | VINTR_NMI_MASK), 0);

    guest(k, VNMI); /* the exception replaces the NMI: its handler runs with virtual NMIs masked */
    kit_put(k, IDT_SPA + 16 * EXC_NMI + 5, 1, 0x0e);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NP);
    ck_assert_uint_eq(k->cpu->svm->v_ctl & (VINTR_NMI | VINTR_NMI_MASK), VINTR_NMI_MASK);
}

/* rows: svmop 12.7, events 8.2.17 */
WITH_KIT(second_virtual_nmi_waits_for_iret)
{
    guest(k, VNMI);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    k->cpu->svm->v_ctl |= VINTR_NMI;
    ck_assert(!event_pending(k->cpu));
    k->cpu->regs.nmi_masked =
        true; /* the host's own blocking, which the guest's IRET leaves alone */
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    ck_assert(k->cpu->regs.nmi_masked);
    ck_assert(event_pending(k->cpu) && k->cpu->attention);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->deliveries, 2);
}

/* rows: svmop 12.7, 12.11, events 8.2.17 */
WITH_KIT(iret_clears_v_nmi_mask_only_when_it_completes)
{
    guest(k, VINTR_NMI_ENABLE | VINTR_NMI_MASK);
    k->cpu->r[REG_RSP] = NONCANON;
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_RAISED);
    ck_assert_uint_eq(k->cpu->svm->v_ctl, VINTR_NMI_ENABLE | VINTR_NMI_MASK);
    kit_intercept(k, INTERCEPT_IRET); /* comes before it executes */
    kit_exited(k, EXEC(k, IRETQ), VMEXIT_IRET, 0, 0, CODE_SPA + 2);
    ck_assert_uint_eq(saved_vintr(k) & VINTR_NMI_MASK, VINTR_NMI_MASK);
    guest(k, VINTR_NMI_MASK); /* without V_NMI_ENABLE it is the physical masking that ends */
    k->cpu->regs.nmi_masked = true;
    push_iret_frame(k, CODE_SPA, 2);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert(!k->cpu->regs.nmi_masked);
}

WITH_KIT(virtual_nmi_ends_halt)
{
    guest(k, VINTR_NMI_ENABLE);
    k->cpu->regs.halted = true;
    ck_assert(!event_pending(k->cpu));
    guest(k, VNMI);
    k->cpu->regs.halted = true;
    ck_assert(event_pending(k->cpu));
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(!k->cpu->regs.halted);
}

/* EVENTINJ of an NMI, by a real VMRUN: the mask is there when the handler runs. */
/* rows: svmop 12.9 */
WITH_KIT(injected_nmi_masks_virtual_ones)
{
    guest(k, 0);
    kit_mode(k, MODE_LONG64, 0);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_NMI & 31));
    VMCB_SET(k->vmcb, VINTR_CONTROL, VNMI);
    VMCB_SET(k->vmcb, EVENTINJ, NMI_INTINFO);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, EXC_NMI | EVENT_NMI << 8);
    ck_assert_uint_eq(k->cpu->svm->v_ctl, VNMI | VINTR_NMI_MASK);
    ck_assert(!event_pending(k->cpu)); /* V_NMI waits for IRET */
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert(event_pending(k->cpu));
}

/* --- virtual GIF --- */

/* rows: svmop 8.14, 8.15 */
WITH_KIT(v_gif_holds_virtual_events_only)
{
    guest(k, VINTR_GIF_ENABLE | VNMI | VINTR_IRQ);
    ck_assert(!event_pending(k->cpu));
    kit_intercept(k, INTERCEPT_VINTR); /* it is not about to be taken: no exit */
    ck_assert_int_eq(event_boundary(k->cpu), STEP_NEXT);
    kit_intercept(k, INTERCEPT_INTR);
    k->pending = 0x30;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_INTR, 0, 0, 0);
    ck_assert_uint_eq(saved_vintr(k) & (VINTR_IRQ | VINTR_GIF | VINTR_NMI), VINTR_IRQ | VINTR_NMI);
    guest(k, VINTR_GIF_ENABLE);
    k->cpu->pins.nmi = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_NMI, 0, 0, 0);
    guest(k, VINTR_GIF_ENABLE);
    kit_intercept(k, INTERCEPT_SMI);
    k->cpu->pins.smi = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_SMI, 1, 0, 0);
    guest(k, VINTR_GIF_ENABLE);
    kit_intercept(k, INTERCEPT_INIT);
    k->cpu->pins.init = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_INIT, 0, 0, 0);
}

/* rows: svmop 8.16 */
WITH_KIT(stgi_and_clgi_move_v_gif_if_it_is_enabled)
{
    guest(k, VINTR_GIF_ENABLE | VINTR_GIF);
    ck_assert_int_eq(EXEC(k, CLGI), STEP_LEAVE);
    ck_assert(k->cpu->svm->gif && svm_vgif_closed(k->cpu->svm));
    ck_assert_int_eq(EXEC(k, STGI), STEP_LEAVE);
    ck_assert(k->cpu->svm->gif && !svm_vgif_closed(k->cpu->svm));
    guest(k, 0);
    ck_assert_int_eq(EXEC(k, CLGI), STEP_LEAVE);
    ck_assert(!k->cpu->svm->gif);
    ck_assert_int_eq(EXEC(k, STGI), STEP_LEAVE);
    ck_assert(k->cpu->svm->gif);
}

/* rows: svmop 8.16 */
WITH_KIT(stgi_and_clgi_intercepts_come_before_v_gif)
{
    guest(k, VINTR_GIF_ENABLE | VINTR_GIF);
    kit_intercept(k, INTERCEPT_CLGI);
    kit_exited(k, EXEC(k, CLGI), VMEXIT_CLGI, 0, 0, CODE_SPA + 3);
    ck_assert_uint_eq(saved_vintr(k) & VINTR_GIF, VINTR_GIF);
    guest(k, VINTR_GIF_ENABLE);
    kit_intercept(k, INTERCEPT_STGI);
    kit_exited(k, EXEC(k, STGI), VMEXIT_STGI, 0, 0, CODE_SPA + 3);
    ck_assert_uint_eq(saved_vintr(k) & VINTR_GIF, 0);
    guest(k, VINTR_GIF_ENABLE); /* and so does the privilege level */
    k->cpu->regs.cpl = 3;
    kit_raised(k, EXEC(k, STGI), EXC_GP, 0);
    kit_raised(k, EXEC(k, CLGI), EXC_GP, 0);
}

/* STGI; NOP with a virtual interrupt that waits: it is taken behind STGI, without a shadow. */
WITH_KIT(stgi_lets_the_virtual_interrupt_come_at_once)
{
    PROGRAM(k, STGI "\x90\x90");
    guest(k, VINTR_GIF_ENABLE | VINTR_IRQ);
    for (unsigned i = 0; i < 3; i++)
        kit_put(k, CODE_SPA + i, 1, (uint8_t)STGI[i]);
    kit_put(k, HANDLER + 16 * 0x44, 1, 0xf4);
    program_run(k, 3);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, 0x44);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 3);
    ck_assert(!k->cpu->svm->v_irq);
}

/* --- the boundary --- */

enum {
    AT_MC = 1,
    AT_INIT = 2,
    AT_SMI = 4,
    AT_TRAP = 8,
    AT_NMI = 16,
    AT_VNMI = 32,
    AT_INTR = 64,
    AT_VINTR = 128
};

static void pend(struct kit *k, unsigned what)
{
    guest(k, VINTR_GIF_ENABLE | VINTR_GIF | VINTR_NMI_ENABLE | (what & AT_VNMI ? VINTR_NMI : 0) |
                 (what & AT_VINTR ? VINTR_IRQ : 0));
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_MC);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    kit_intercept(k, INTERCEPT_INIT);
    kit_intercept(k, INTERCEPT_SMI);
    kit_intercept(k, INTERCEPT_INTR);
    kit_intercept(k, INTERCEPT_VINTR);
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->msr.mcg_status = 0;
    k->cpu->pins = (struct cpu_pins){
        .mc = what & AT_MC, .init = what & AT_INIT, .smi = what & AT_SMI, .nmi = what & AT_NMI
    };
    k->cpu->traps = what & AT_TRAP ? DR6_BS : 0;
    k->pending = what & AT_INTR ? 0x30 : -1;
}

/* Which of them comes, as one of the bits above; 0: none. A virtual NMI is the one that is delivered. */
static unsigned comes(struct kit *k)
{
    static const struct {
        uint64_t code;
        unsigned what;
    } codes[] = { { VMEXIT_EXCP0 + EXC_MC, AT_MC }, { VMEXIT_INIT, AT_INIT },
                  { VMEXIT_SMI, AT_SMI },           { VMEXIT_EXCP0 + EXC_DB, AT_TRAP },
                  { VMEXIT_NMI, AT_NMI },           { VMEXIT_INTR, AT_INTR },
                  { VMEXIT_VINTR, AT_VINTR } };
    enum step step = event_boundary(k->cpu);
    if (step == STEP_NEXT)
        return 0;
    if (step == STEP_JUMP) {
        ck_assert_uint_eq(k->delivered.a & 0x7ff, EXC_NMI | EVENT_NMI << 8);
        return AT_VNMI;
    }
    ck_assert_int_eq(step, STEP_VMEXIT);
    for (unsigned i = 0; i < TABLE_ROWS(codes); i++)
        if (codes[i].code == VMCB_GET(k->vmcb, EXITCODE))
            return codes[i].what;
    ck_abort_msg("exit code %llx", (unsigned long long)VMCB_GET(k->vmcb, EXITCODE));
    return 0;
}

/* Every set of pending events: the one of the highest class comes. */
/* rows: svmop 10.11, 10.12, 10.13, 10.14, 10.15, 10.16, 10.17 */
WITH_KIT(each_event_comes_before_all_of_the_lower_classes)
{
    for (unsigned set = 0; set < 256; set++) {
        pend(k, set);
        unsigned got = comes(k);
        ck_assert_msg(got == (set & -set), "of %x comes %x", set, got);
    }
}

/* Table 15-10: GIF = 0 in a guest, whose CLGI has cleared it, holds everything but the trap. */
/* rows: svmop 8.2, 8.3, 8.4, 8.6, 8.9, 8.10, 11.1, 12.1, 17.1 */
WITH_KIT(gif_of_a_guest_holds_what_table_15_10_says)
{
    for (unsigned set = 1; set < 256; set <<= 1) {
        pend(k, set);
        k->cpu->svm->v_ctl &= ~(uint32_t)(VINTR_GIF_ENABLE | VINTR_GIF);
        ck_assert_int_eq(EXEC(k, CLGI), STEP_LEAVE);
        k->cpu->r[REG_RIP] = CODE_SPA;
        ck_assert_msg(comes(k) == (set == AT_TRAP ? set : 0), "set %x", set);
        if (set == AT_TRAP)
            continue;
        ck_assert_int_eq(EXEC(k, STGI), STEP_LEAVE);
        ck_assert_msg(comes(k) == set, "set %x", set);
    }
}

/* The same with V_GIF: only what is virtual waits. */
/* rows: svmop 8.14, 8.15 */
WITH_KIT(v_gif_of_a_guest_holds_virtual_nmi_and_interrupt)
{
    for (unsigned set = 1; set < 256; set <<= 1) {
        pend(k, set);
        ck_assert_int_eq(EXEC(k, CLGI), STEP_LEAVE);
        k->cpu->r[REG_RIP] = CODE_SPA;
        ck_assert_msg(comes(k) == (set & (AT_VNMI | AT_VINTR) ? 0 : set), "set %x", set);
    }
}

/* rows: svmop 10.6, 10.8 */
WITH_KIT(virtual_interrupt_is_not_acknowledged_at_the_apic)
{
    guest(k, VINTR_IRQ);
    k->cpu->svm->v_intr_masking = true;
    k->cpu->svm->host_if = false;
    k->pending = 0x30; /* a physical one that the host masks */
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, 0x44);
    ck_assert_uint_eq(k->acks, 0);
    ck_assert_int_eq(k->pending, 0x30);
}

/* What comes of the instruction itself: a breakpoint, the faults of the fetch and of decoding, its intercept, its execution. Each
 * is before all that follow, and a virtual interrupt before them. */
/* rows: svmop 10.17, 10.18, 10.19 */
WITH_KIT(an_instruction_comes_after_the_events_in_its_own_order)
{
    enum { VIRTUAL = 1, BREAKPOINT = 2, FETCH = 4, DECODE = 8, INTERCEPT = 16 };
    static const uint64_t codes[] = { VMEXIT_VINTR,          VMEXIT_EXCP0 + EXC_DB,
                                      VMEXIT_EXCP0 + EXC_PF, VMEXIT_EXCP0 + EXC_GP,
                                      VMEXIT_RDPMC,          VMEXIT_EXCP0 + EXC_UD };
    static const char rdpmc[] = "\x0f\x33\x0f\x0b"; /* then UD2: it was executed */
    for (unsigned set = 0; set < 32; set++) {
        guest(k, set & VIRTUAL ? VINTR_IRQ : 0);
        kit_put(k, CODE_SPA + 0x100, 1, 0xf4); /* the host's HLT */
        ck_assert_int_eq(debug_set_dr(k->cpu, 7, 0), STEP_LEAVE);
        kit_page(k, 1, (PAGED_LA + 0x1000) | (set & FETCH ? 6 : 7));
        for (unsigned i = 0; i < 24; i++) {
            unsigned at = set & DECODE ? 15 : 0; /* prefixes that make it too long */
            uint8_t byte = i < at ? 0x66 : i - at < 4 ? (uint8_t)rdpmc[i - at] : 0x90;
            kit_put(k, PAGED_LA + 0x1000 + i, 1, byte);
        }
        k->cpu->r[REG_RIP] = PAGED_LA + 0x1000;
        k->cpu->r[REG_RCX] = 0;
        static const unsigned intercepts[] = { INTERCEPT_VINTR, INTERCEPT_EXCP0 + EXC_DB,
                                               INTERCEPT_EXCP0 + EXC_PF, INTERCEPT_EXCP0 + EXC_GP,
                                               INTERCEPT_EXCP0 + EXC_UD };
        for (unsigned i = 0; i < TABLE_ROWS(intercepts); i++)
            kit_intercept(k, intercepts[i]);
        if (set & INTERCEPT)
            kit_intercept(k, INTERCEPT_RDPMC);
        if (set & BREAKPOINT)
            watch(k, 0, PAGED_LA + 0x1000, ON_FETCH, LEN1);
        cpu_attention(k->cpu);
        program_run(k, 4);
        unsigned first = 0;
        while (first < 5 && !(set >> first & 1))
            first++;
        ck_assert_msg(VMCB_GET(k->vmcb, EXITCODE) == codes[first], "set %x: %llx", set,
                      (unsigned long long)VMCB_GET(k->vmcb, EXITCODE));
        ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), PAGED_LA + 0x1000 + (first == 5 ? 2 : 0));
    }
}

/* --- SMM --- */

/* rows: svmop 17.13, 17.24 */
WITH_KIT(smm_holds_virtual_events_and_rsm_brings_them_back)
{
    guest(k, VNMI | VINTR_IRQ | VINTR_GIF_ENABLE);
    smi(k);
    ck_assert_uint_eq(field(k, 0xfee8, 8) & (VINTR_ENABLES | VINTR_GIF | VINTR_NMI | VINTR_IRQ),
                      VNMI | VINTR_IRQ | VINTR_GIF_ENABLE);
    k->cpu->rflags |= FLAG_IF;
    ck_assert(!event_pending(k->cpu));
    ck_assert(k->cpu->regs.nmi_masked);
    svm_unmask_nmi(k->cpu); /* IRET in SMM: physical NMIs */
    ck_assert(!k->cpu->regs.nmi_masked);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->svm->gif = true;
    rsm(k);
    ck_assert_uint_eq(k->cpu->svm->v_ctl, VNMI | VINTR_GIF_ENABLE);
    ck_assert(!event_pending(k->cpu));
    svm_set_gif(k->cpu, true);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, EXC_NMI | EVENT_NMI << 8);
}

/* --- HLT --- */

/* rows: exit 1.3.24, vmcb 1.4.7 */
WITH_KIT(idle_hlt_exits_if_nothing_virtual_is_pending)
{
    static const struct {
        uint64_t word;
        bool exits;
    } rows[] = { { 0, true },     { VINTR_IRQ, false }, { VINTR_NMI_ENABLE | VINTR_NMI_MASK, true },
                 { VNMI, false }, { VINTR_NMI, true },  { VINTR_GIF_ENABLE | VINTR_IRQ, false } };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        guest(k, rows[i].word);
        kit_intercept(k, INTERCEPT_IDLE_HLT);
        enum step step = EXEC(k, HLT);
        if (rows[i].exits) {
            kit_exited(k, step, VMEXIT_IDLE_HLT, 0, 0, CODE_SPA + 1);
            continue;
        }
        ck_assert_msg(step == STEP_HALT, "row %u", i);
        ck_assert(k->cpu->regs.halted);
    }
}

/* rows: exit 2.15, vmcb 1.4.7 */
WITH_KIT(hlt_intercept_comes_before_that_of_idle_hlt)
{
    for (unsigned pending = 0; pending < 2; pending++) {
        guest(k, pending ? VINTR_IRQ : 0);
        kit_intercept(k, INTERCEPT_IDLE_HLT);
        kit_intercept(k, INTERCEPT_HLT);
        kit_exited(k, EXEC(k, HLT), VMEXIT_HLT, 0, 0, CODE_SPA + 1);
    }
    guest(k, 0);
    kit_intercept(k, INTERCEPT_IDLE_HLT);
    k->cpu->regs.cpl = 3;
    kit_raised(k, EXEC(k, HLT), EXC_GP, 0);
}

/* --- PAUSE --- */

#define NEVER UINT64_MAX

/* Run `bytes` in a guest with the filter until it exits; returns how many instructions it has executed. */
static uint64_t pause_run(struct kit *k, const char *bytes, unsigned len, unsigned count,
                          unsigned threshold, bool exact)
{
    program(k, bytes, len);
    kit_put(k, CODE_SPA + 0x100, 1, 0xf4); /* the host halts */
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_PAUSE & 31));
    VMCB_SET(k->vmcb, PAUSE_FILTER_COUNT, count);
    VMCB_SET(k->vmcb, PAUSE_FILTER_THRESHOLD, threshold);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
    uint64_t before = cpu_insns(k->cpu);
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 20000,
                                       .exact_blocks = exact };
    int stop = run_vcpu(k->cpu, &limits);
    if (stop != PACIFICA_STOP_HALTED)
        return NEVER;
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_PAUSE);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), VMCB_GET(k->vmcb, RIP) + 2);
    return cpu_insns(k->cpu) - before - 1; /* but for HLT */
}

/* A loop of six instructions: PAUSE, four NOPs, JMP. */
static const char loop6[] = PAUSE "\x90\x90\x90\x90\xeb\xf8";

/* rows: svmop 13.2, 13.3, 13.5, exit 1.2.18 */
WITH_KIT(pause_filter_counts_pauses_and_instructions)
{
    static const struct {
        unsigned count, threshold;
        uint64_t insns;
    } rows[] = {
        { 0, 0, 0 },                      /* at the first */
        { 1, 0, 6 },                      /* at the second */
        { 100, 0, 600 }, { 100, 6, 606 }, /* 6 apart: not further than the threshold; the first does not count */
        { 100, 7, 606 }, { 100, 5, NEVER }, { 3, 1, NEVER },
    };
    for (unsigned exact = 0; exact < 2; exact++)
        for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
            uint64_t got =
                pause_run(k, loop6, sizeof(loop6) - 1, rows[i].count, rows[i].threshold, exact);
            ck_assert_msg(got == rows[i].insns, "row %u: %llu", i, (unsigned long long)got);
            if (got != NEVER) { /* before PAUSE, which has not executed */
                ck_assert(!k->cpu->svm->guest);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
            } else {
                ck_assert(k->cpu->svm->guest);
                ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
            }
        }
}

WITH_KIT(pause_without_the_intercept_asks_no_filter)
{
    guest(k, 0);
    k->cpu->svm->pause.count = 1;
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(EXEC(k, PAUSE), STEP_NEXT);
    ck_assert(!k->cpu->svm->pause.seen);
}

int main(void)
{
    Suite *suite = suite_create("vintr");
    TCase *nmi = tcase_create("virtual NMI");
    tcase_add_test(nmi, virtual_nmi_needs_v_nmi_no_mask_gif_v_gif_and_no_shadow);
    tcase_add_test(nmi, nmi_intercept_is_for_physical_nmis_which_come_first);
    tcase_add_test(nmi, exit_in_the_delivery_of_a_virtual_nmi_saves_no_mask);
    tcase_add_test(nmi, second_virtual_nmi_waits_for_iret);
    tcase_add_test(nmi, iret_clears_v_nmi_mask_only_when_it_completes);
    tcase_add_test(nmi, virtual_nmi_ends_halt);
    tcase_add_test(nmi, injected_nmi_masks_virtual_ones);
    suite_add_tcase(suite, nmi);
    TCase *gif = tcase_create("virtual GIF");
    tcase_add_test(gif, v_gif_holds_virtual_events_only);
    tcase_add_test(gif, stgi_and_clgi_move_v_gif_if_it_is_enabled);
    tcase_add_test(gif, stgi_and_clgi_intercepts_come_before_v_gif);
    tcase_add_test(gif, stgi_lets_the_virtual_interrupt_come_at_once);
    suite_add_tcase(suite, gif);
    TCase *boundary = tcase_create("boundary");
    tcase_add_test(boundary, each_event_comes_before_all_of_the_lower_classes);
    tcase_add_test(boundary, gif_of_a_guest_holds_what_table_15_10_says);
    tcase_add_test(boundary, v_gif_of_a_guest_holds_virtual_nmi_and_interrupt);
    tcase_add_test(boundary, virtual_interrupt_is_not_acknowledged_at_the_apic);
    tcase_add_test(boundary, an_instruction_comes_after_the_events_in_its_own_order);
    tcase_add_test(boundary, smm_holds_virtual_events_and_rsm_brings_them_back);
    suite_add_tcase(suite, boundary);
    TCase *insns = tcase_create("instructions");
    tcase_add_test(insns, idle_hlt_exits_if_nothing_virtual_is_pending);
    tcase_add_test(insns, hlt_intercept_comes_before_that_of_idle_hlt);
    tcase_add_test(insns, pause_filter_counts_pauses_and_instructions);
    tcase_add_test(insns, pause_without_the_intercept_asks_no_filter);
    suite_add_tcase(suite, insns);
    return kit_run(suite);
}

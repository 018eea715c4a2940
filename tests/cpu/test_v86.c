/* Virtual-8086 mode: INT n and its redirection, virtual interrupts (VME, PVI), the ways in and out.
 * APM vol 2, 8.8 "Virtual-8086 Mode Interrupt Control Transfers", 8.10 "Virtual Interrupts". */
#include "tests/cpu/modes.h"

#include "tests/check_main.h"

#define VECTOR 0x21u
#define IOPL(n) ((uint64_t)(n) << 12)

static void redirect(struct kit *k, unsigned vector, bool to_idt)
{
    kit_put(k, TSS_SPA + 0x68 + vector / 8, 1, to_idt ? 1u << vector % 8 : 0);
}

/* The frame that protected mode gets: GS FS DS ES SS ESP EFLAGS CS EIP, downwards from the inner stack's top. */
static void expect_protected_frame(struct kit *k, unsigned vector, uint64_t eip, uint64_t flags)
{
    const uint64_t words[] = { REAL_DS, REAL_DS, REAL_DS, REAL_DS, REAL_DS,
                               REAL_SP, flags,   REAL_CS, eip };
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(kit_get(k, RSP0_TOP - 4 * (i + 1), 4), words[i]);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER + 16 * vector);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE32);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA0);
}

/* rows: events 7.2.14, 7.2.15, 7.2.16, 7.2.11 */
WITH_KIT(interrupt_enters_protected_mode_and_nulls_the_data_segments)
{
    static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    mode_v86(k, 0, false);
    k->cpu->rflags |= FLAG_NT | FLAG_TF | FLAG_RF;
    k->cpu->r[REG_RIP] = 0x123;
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    expect_protected_frame(k, VECTOR, 0x123, 2 | FLAG_VM | FLAG_IF | FLAG_NT | FLAG_TF | FLAG_RF);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], RSP0_TOP - 36);
    ck_assert_uint_eq(k->cpu->rflags, 2);
    for (unsigned i = 0; i < sizeof(segs); i++) {
        ck_assert_uint_eq(k->cpu->regs.seg[segs[i]].selector, 0);
        ck_assert_uint_eq(k->cpu->regs.seg[segs[i]].attr, 0);
    }
}

/* rows: events 7.2.14, 7.2.16 */
WITH_KIT(sixteen_bit_trap_gate_from_v86_pushes_2_byte_words)
{
    mode_v86(k, 0, false);
    kit_gate32(k, EXC_GP, CODE32, 0x12345678, 7, 0);
    k->cpu->rflags |= FLAG_IF;
    modes_delivered(k, modes_fault(k, EXC_GP, 0x18), EXC_GP, 0x18);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], RSP0_TOP - 20);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 20, 2), 0x18);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 16, 2), REAL_CS);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x5678);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF);
}

/* rows: events 7.2.10 */
WITH_KIT(handlers_of_v86_events_are_nonconforming_level_0_code)
{
    static const uint16_t bad[] = { CONF32, CODE32_1 };
    for (unsigned i = 0; i < 2; i++) {
        mode_v86(k, 0, false);
        kit_gate32(k, VECTOR, bad[i], HANDLER, 14, 0);
        modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, bad[i] | 1u);
        ck_assert_uint_eq(kit_get(k, RSP0_TOP - 28, 4) & FLAG_VM, FLAG_VM); /* left as it was */
    }
}

/* rows: events 7.5.1, 7.2.3 */
WITH_KIT(int_n_with_iopl_3_goes_through_the_idt)
{
    for (unsigned dpl = 0; dpl < 4; dpl += 3) {
        mode_v86(k, 3, false);
        kit_gate32(k, VECTOR, CODE32, HANDLER + 16 * VECTOR, 14, dpl);
        kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
        enum step step = event_raised(k->cpu);
        if (dpl == 3) {
            modes_delivered(k, step, VECTOR, 0);
            expect_protected_frame(k, VECTOR, 2, 2 | FLAG_VM | IOPL(3));
        } else {
            modes_delivered(k, step, EXC_GP, VECTOR * 8 + 2);
        }
    }
}

/* rows: events 7.5.2, 7.5.3 */
WITH_KIT(int_n_with_vme_and_iopl_3_obeys_the_bitmap)
{
    mode_v86(k, 3, true);
    kit_gate32(k, VECTOR, CODE32, HANDLER + 16 * VECTOR, 14, 3);
    redirect(k, VECTOR, true);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), VECTOR, 0);
    expect_protected_frame(k, VECTOR, 2, 2 | FLAG_VM | IOPL(3));

    mode_v86(k, 3, true);
    k->cpu->rflags |= FLAG_IF | FLAG_TF | FLAG_VIF;
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), VECTOR, 0);
    ck_assert_int_eq(k->cpu->mode, MODE_V86);
    ck_assert_uint_eq(pushed16(k, 1), 2 | IOPL(3) | FLAG_IF | FLAG_TF);
    ck_assert_uint_eq(pushed16(k, 2), REAL_CS);
    ck_assert_uint_eq(pushed16(k, 3), 2);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 4 * VECTOR);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, 0x7000);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x70000);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_VM | IOPL(3) | FLAG_VIF);
}

/* rows: events 7.5.4, 7.5.5, pitfalls 3.26 */
WITH_KIT(int_n_with_iopl_below_3_is_gp)
{
    for (unsigned iopl = 0; iopl < 3; iopl++)
        for (unsigned vme = 0; vme < 2; vme++) {
            mode_v86(k, iopl, vme);
            kit_gate32(k, VECTOR, CODE32, HANDLER, 14, 3);
            redirect(k, VECTOR, true);
            kit_raised(k, EXEC(k, "\xcd\x21"), EXC_GP, 0);
            modes_delivered(k, event_raised(k->cpu), EXC_GP, 0); /* EXT = 0: not in a delivery */
            ck_assert_uint_eq(kit_get(k, RSP0_TOP - 36, 4), 0);  /* EIP of the INT */
        }
}

/* rows: events 7.5.6 */
WITH_KIT(int_n_with_vme_virtualizes_if)
{
    for (unsigned vif = 0; vif < 2; vif++) {
        mode_v86(k, 1, true);
        k->cpu->rflags |= FLAG_TF | (vif ? FLAG_VIF : FLAG_IF);
        uint64_t real_if = k->cpu->rflags & FLAG_IF;
        kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
        modes_delivered(k, event_raised(k->cpu), VECTOR, 0);
        ck_assert_uint_eq(pushed16(k, 1), 2 | FLAG_TF | IOPL(3) | (vif ? FLAG_IF : 0));
        ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_VM | IOPL(1) | real_if);
    }
}

/* The bitmap's 32 bytes end where the I/O bitmap begins. */
WITH_KIT(redirection_bitmap_must_lie_inside_the_tss)
{
    mode_v86(k, 0, true);
    k->cpu->regs.seg[SEG_TR].limit = 0x68 + VECTOR / 8;
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    k->cpu->regs.seg[SEG_TR].limit--;
    kit_raised(k, EXEC(k, "\xcd\x21"), EXC_GP, 0);
    k->cpu->regs.seg[SEG_TR].limit = 0x66; /* the word at 66h */
    kit_raised(k, EXEC(k, "\xcd\x21"), EXC_GP, 0);
    k->cpu->regs.seg[SEG_TR].limit = 0x2067;
    kit_put(k, TSS_SPA + 0x66, 2, 0x1f - VECTOR / 8);
    kit_raised(k, EXEC(k, "\xcd\x21"), EXC_GP, 0); /* would begin below the TSS */
    k->cpu->regs.seg[SEG_TR].attr = 0x083;         /* a 16-bit TSS has none */
    kit_raised(k, EXEC(k, "\xcd\x21"), EXC_GP, 0);
}

/* rows: pitfalls 10.7 */
WITH_KIT(int3_into_and_int1_ignore_iopl_and_bitmap)
{
    mode_v86(k, 0, true);
    kit_gate32(k, EXC_BP, CODE32, HANDLER + 16 * EXC_BP, 14, 3);
    kit_raised(k, EXEC(k, "\xcc"), EXC_BP, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_BP, 0);
    expect_protected_frame(k, EXC_BP, 1, 2 | FLAG_VM);
    mode_v86(k, 0, true); /* the gate's DPL counts */
    k->cpu->rflags |= FLAG_OF;
    kit_raised(k, EXEC(k, "\xce"), EXC_OF, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_GP, EXC_OF * 8 + 2);
    mode_v86(k, 0, true);
    kit_raised(k, EXEC(k, "\xf1"), EXC_DB, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_DB, 0);
    expect_protected_frame(k, EXC_DB, 1, 2 | FLAG_VM);
}

WITH_KIT(int_n_intercept_comes_before_iopl)
{
    mode_v86(k, 0, false);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_INTN);
    ck_assert_int_eq(EXEC(k, "\xcd\x80"), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_SWINT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 2);
}

/* --- segments and far transfers --- */

WITH_KIT(segment_loads_make_64_kib_of_data_at_level_3)
{
    mode_v86(k, 0, false);
    k->cpu->regs.seg[SEG_DS].limit = UINT32_MAX;
    k->cpu->r[REG_RAX] = 0x1234;
    ck_assert_int_eq(EXEC(k, "\x8e\xd8"), STEP_NEXT);
    const struct segment *ds = &k->cpu->regs.seg[SEG_DS];
    ck_assert_uint_eq(ds->selector, 0x1234);
    ck_assert_uint_eq(ds->base, 0x12340);
    ck_assert_uint_eq(ds->limit, 0xffff);
    ck_assert_uint_eq(ds->attr, 0x0f3);
}

WITH_KIT(far_transfers_need_no_descriptor)
{
    mode_v86(k, 0, false);
    ck_assert_int_eq(EXEC(k, "\x9a\x34\x12\x00\x60"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x60000);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(pushed16(k, 1), REAL_CS);
    ck_assert_uint_eq(pushed16(k, 2), 5);
    ck_assert_int_eq(EXEC(k, "\xcb"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, REAL_CS);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 5);
    kit_raised(k, EXEC(k, "\x66\xea\x00\x00\x01\x00\x00\x60"), EXC_GP, 0);
}

/* rows: pitfalls 5.11 */
WITH_KIT(privileged_instructions_are_gp)
{
    static const char *const rows[] = { "\x0f\x01\x16\x00\x00", "\x0f\x01\x1e\x00\x00" };
    mode_v86(k, 3, true);
    for (unsigned i = 0; i < 2; i++)
        kit_raised(k, kit_exec(k, rows[i], 5), EXC_GP, 0);
    kit_raised(k, EXEC(k, "\xf4"), EXC_GP, 0); /* HLT */
}

/* rows: pitfalls 3.25 */
WITH_KIT(umip_counts_in_v86)
{
    mode_v86(k, 3, false);
    ck_assert_int_eq(EXEC(k, "\x0f\x01\x06\x00\x00"), STEP_NEXT); /* SGDT */
    k->cpu->regs.cr4 |= CR4_UMIP;
    kit_raised(k, EXEC(k, "\x0f\x01\x06\x00\x00"), EXC_GP, 0);
}

/* --- IRET --- */

/* rows: events 8.1.2, 8.3.4, 8.3.6 */
WITH_KIT(iret_with_iopl_3_keeps_iopl_vm_vif_vip)
{
    for (unsigned size = 2; size <= 4; size += 2) {
        mode_v86(k, 3, false);
        k->cpu->rflags |= FLAG_VIP;
        modes_stack(k, size, 3, (uint64_t[]){ 0x1234, 0x6000, FLAG_CF | FLAG_IF | FLAG_VIF });
        enum step step = size == 2 ? EXEC(k, "\xcf") : EXEC(k, "\x66\xcf");
        ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF | FLAG_IF | FLAG_VM | FLAG_VIP | IOPL(3));
        ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x60000);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP);
    }
}

/* rows: events 8.1.3, pitfalls 3.26 */
WITH_KIT(iret_with_iopl_below_3)
{
    static const struct {
        bool vme, vip;
        unsigned size;
        uint64_t image;
        bool faults;
    } rows[] = {
        { false, false, 2, 0, true },         { true, false, 4, 0, true },
        { true, false, 2, FLAG_IF, false },   { true, true, 2, 0, false },
        { true, true, 2, FLAG_IF, true },     { true, false, 2, FLAG_TF, true },
        { true, false, 2, FLAG_IOPL, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode_v86(k, 1, rows[i].vme);
        uint64_t vip = rows[i].vip ? FLAG_VIP : 0;
        k->cpu->rflags |= vip;
        modes_stack(k, rows[i].size, 3, (uint64_t[]){ 0x1234, 0x6000, rows[i].image | FLAG_CF });
        uint64_t rsp = k->cpu->r[REG_RSP];
        enum step step = rows[i].size == 2 ? EXEC(k, "\xcf") : EXEC(k, "\x66\xcf");
        if (rows[i].faults) {
            kit_raised(k, step, EXC_GP, 0);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], rsp);
            ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_VM | IOPL(1) | vip);
            continue;
        }
        ck_assert_int_eq(step, STEP_JUMP);
        uint64_t vif = rows[i].image & FLAG_IF ? FLAG_VIF : 0;
        ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_VM | FLAG_CF | IOPL(1) | vip | vif);
    }
}

/* rows: events 8.1.6, 8.3.6, 8.4.1 */
WITH_KIT(iret_from_level_0_enters_v86)
{
    static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    mode_prot32(k, 0);
    k->cpu->regs.nmi_masked = true;
    uint64_t flags = FLAG_VM | FLAG_IF | FLAG_VIF | FLAG_VIP | FLAG_NT | IOPL(2) | FLAG_AC;
    modes_stack(k, 4, 9,
                (uint64_t[]){ 0xabcd1234, 0xff6000, flags, 0x12345678, 0x6100, 0x6201, 0x6302,
                              0x6403, 0x6504 });
    ck_assert_int_eq(EXEC(k, "\xcf"), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_V86);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234); /* cut */
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x12345678);
    ck_assert_uint_eq(k->cpu->rflags, flags | 2);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].base, 0x60000);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].base, 0x61000);
    for (unsigned i = 0; i < sizeof(segs); i++) {
        const struct segment *seg = &k->cpu->regs.seg[segs[i]];
        ck_assert_uint_eq(seg->selector, 0x6201 + 0x101 * i);
        ck_assert_uint_eq(seg->base, 0x62010 + 0x1010 * i);
        ck_assert_uint_eq(seg->limit, 0xffff);
        ck_assert_uint_eq(seg->attr, 0x0f3);
    }
    ck_assert(!k->cpu->regs.nmi_masked);
}

/* rows: events 8.1.7 */
WITH_KIT(iret_enters_v86_with_4_byte_words_from_level_0_only)
{
    mode_prot32(k, 3);
    modes_stack(k, 4, 3, (uint64_t[]){ 0x1234, CODE32_3 | 3, FLAG_VM });
    ck_assert_int_eq(EXEC(k, "\xcf"), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    mode_prot32(k, 0);
    modes_stack(k, 2, 3, (uint64_t[]){ 0x1234, CODE32, 2 });
    ck_assert_int_eq(EXEC(k, "\x66\xcf"), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
}

WITH_KIT(iret_to_v86_that_cannot_read_its_frame_changes_nothing)
{
    mode_prot32(k, 0);
    k->cpu->regs.seg[SEG_SS].limit = STACK_TOP - 5; /* GS is outside */
    modes_stack(k, 4, 9, (uint64_t[]){ 0x1234, 0x6000, FLAG_VM, 0, 0, 0, 0, 0, 0 });
    kit_raised(k, EXEC(k, "\xcf"), EXC_SS, 0);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 36);
    ck_assert_uint_eq(k->cpu->rflags, 2);
}

/* --- CLI, STI, PUSHF, POPF --- */

/* rows: events 14.1-14.6, pitfalls 3.26 */
WITH_KIT(cli_and_sti)
{
    enum { REAL, PROT, PVI, V86, VME };
    static const struct {
        uint8_t mode, cpl, iopl;
        bool vip;
        uint32_t flag; /* what CLI and STI work on; 0: #GP(0) */
    } rows[] = {
        { REAL, 0, 0, false, FLAG_IF }, { PROT, 0, 0, false, FLAG_IF },
        { PROT, 3, 3, false, FLAG_IF }, { PROT, 3, 2, false, 0 },
        { PROT, 1, 0, false, 0 },       { PVI, 3, 2, false, FLAG_VIF },
        { PVI, 3, 3, true, FLAG_IF },   { PVI, 1, 0, false, 0 },
        { V86, 3, 3, true, FLAG_IF },   { V86, 3, 2, false, 0 },
        { VME, 3, 3, true, FLAG_IF },   { VME, 3, 2, false, FLAG_VIF },
        { VME, 3, 0, true, FLAG_VIF },  { PVI, 3, 0, true, FLAG_VIF },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vcpu *cpu = k->cpu;
        if (rows[i].mode == REAL)
            mode_real(k);
        else if (rows[i].mode >= V86)
            mode_v86(k, rows[i].iopl, rows[i].mode == VME);
        else
            mode_prot32(k, rows[i].cpl ? 3 : 0);
        if (rows[i].cpl == 1)
            cpu->regs.cpl = 1;
        if (rows[i].mode == PVI)
            cpu->regs.cr4 |= CR4_PVI;
        uint64_t flags = (cpu->rflags & ~(uint64_t)FLAG_IOPL) | IOPL(rows[i].iopl) |
                         (rows[i].vip ? FLAG_VIP : 0);
        cpu->regs.shadow_next = false;
        cpu_set_rflags(cpu, flags);
        enum step step = EXEC(k, "\xfb");
        if (rows[i].flag == 0 || (rows[i].flag == FLAG_VIF && rows[i].vip)) {
            kit_raised(k, step, EXC_GP, 0);
            ck_assert_uint_eq(cpu->rflags, flags);
        } else {
            ck_assert_int_eq(step, rows[i].flag == FLAG_IF ? STEP_LEAVE : STEP_NEXT);
            ck_assert_uint_eq(cpu->rflags, flags | rows[i].flag);
            ck_assert_int_eq(cpu->regs.shadow_next, rows[i].flag == FLAG_IF);
        }
        cpu_set_rflags(cpu, flags | FLAG_IF | FLAG_VIF);
        step = EXEC(k, "\xfa");
        if (rows[i].flag == 0)
            kit_raised(k, step, EXC_GP, 0);
        else
            ck_assert_uint_eq(cpu->rflags, (flags | FLAG_IF | FLAG_VIF) & ~(uint64_t)rows[i].flag);
    }
}

/* rows: events 14.4, 14.5, 14.6, pitfalls 3.26, 2.17 */
WITH_KIT(pushf_in_v86)
{
    for (unsigned iopl = 2; iopl < 4; iopl++)
        for (unsigned vme = 0; vme < 2; vme++)
            for (unsigned size = 2; size <= 4; size += 2) {
                mode_v86(k, iopl, vme);
                k->cpu->rflags |= FLAG_VIF | FLAG_CF | FLAG_RF;
                enum step step = size == 2 ? EXEC(k, "\x9c") : EXEC(k, "\x66\x9c");
                uint64_t image = 2 | FLAG_CF | IOPL(3);
                if (iopl < 3 && (!vme || size == 4)) {
                    kit_raised(k, step, EXC_GP, 0);
                    ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP);
                    continue;
                }
                ck_assert_int_eq(step, STEP_NEXT);
                if (iopl < 3)
                    image |= FLAG_IF; /* VIF */
                if (size == 4)
                    image |= FLAG_VIF;
                ck_assert_uint_eq(kit_get(k, STACK_TOP - size, size), image);
            }
}

/* rows: events 14.4, 14.5, 14.6, pitfalls 3.26, 2.17 */
WITH_KIT(popf_in_v86)
{
    static const struct {
        uint8_t iopl, size;
        bool vme, vip;
        uint64_t image;
        int64_t flags; /* what becomes of IF, VIF, IOPL; -1: #GP(0) */
    } rows[] = {
        { 3, 2, false, false, FLAG_IF, FLAG_IF | IOPL(3) },
        { 3, 4, true, true, FLAG_IF | FLAG_VIF, FLAG_IF | IOPL(3) | FLAG_VIP },
        { 2, 2, false, false, 0, -1 },
        { 2, 4, true, false, 0, -1 },
        { 2, 2, true, false, FLAG_IF | IOPL(3), FLAG_VIF | IOPL(2) },
        { 2, 2, true, false, 0, IOPL(2) },
        { 2, 2, true, true, 0, IOPL(2) | FLAG_VIP },
        { 2, 2, true, true, FLAG_IF, -1 },
        { 2, 2, true, false, FLAG_TF, -1 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode_v86(k, rows[i].iopl, rows[i].vme);
        if (rows[i].vip)
            k->cpu->rflags |= FLAG_VIP;
        modes_stack(k, rows[i].size, 1, (uint64_t[]){ rows[i].image });
        enum step step = rows[i].size == 2 ? EXEC(k, "\x9d") : EXEC(k, "\x66\x9d");
        if (rows[i].flags < 0) {
            kit_raised(k, step, EXC_GP, 0);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP - rows[i].size);
        } else {
            ck_assert_int_eq(step, STEP_LEAVE);
            ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_VM | (uint64_t)rows[i].flags);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], REAL_SP);
        }
    }
}

/* rows: events 14.1, 14.2, 14.3, pitfalls 2.17 */
WITH_KIT(popf_outside_v86)
{
    mode_real(k);
    modes_stack(k, 2, 1, (uint64_t[]){ FLAG_IF | FLAG_IOPL });
    ck_assert_int_eq(EXEC(k, "\x9d"), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF | FLAG_IOPL);
    for (unsigned iopl = 2; iopl < 4; iopl++) {
        mode_prot32(k, 3);
        cpu_set_rflags(k->cpu, IOPL(iopl) | FLAG_VIP | FLAG_RF);
        modes_stack(k, 4, 1, (uint64_t[]){ FLAG_IF | FLAG_VM | FLAG_VIF | FLAG_CF });
        ck_assert_int_eq(EXEC(k, "\x9d"), STEP_LEAVE);
        ck_assert_uint_eq(k->cpu->rflags,
                          2 | IOPL(iopl) | FLAG_VIP | FLAG_CF | (iopl == 3 ? FLAG_IF : 0));
    }
}

/* rows: events 11.2, 11.4, 11.11 */
WITH_KIT(fast_calls_leave_v86)
{
    mode_v86(k, 0, false);
    kit_raised(k, EXEC(k, "\x0f\x07"), EXC_GP, 0);
    k->cpu->msr.star = 0x0008000000001234;
    ck_assert_int_eq(EXEC(k, "\x0f\x05"), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    mode_v86(k, 0, false);
    k->cpu->msr.sysenter_cs = CODE32;
    k->cpu->msr.sysenter_eip = 0x4321;
    k->cpu->msr.sysenter_esp = 0x8765;
    k->cpu->rflags |= FLAG_IF | FLAG_RF;
    kit_raised(k, EXEC(k, "\x0f\x35"), EXC_GP, 0);
    ck_assert_int_eq(EXEC(k, "\x0f\x34"), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(k->cpu->rflags, 2);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x4321);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x8765);
}

CHECK_MAIN("v86", interrupt_enters_protected_mode_and_nulls_the_data_segments,
           sixteen_bit_trap_gate_from_v86_pushes_2_byte_words,
           handlers_of_v86_events_are_nonconforming_level_0_code,
           int_n_with_iopl_3_goes_through_the_idt, int_n_with_vme_and_iopl_3_obeys_the_bitmap,
           int_n_with_iopl_below_3_is_gp, int_n_with_vme_virtualizes_if,
           redirection_bitmap_must_lie_inside_the_tss, int3_into_and_int1_ignore_iopl_and_bitmap,
           int_n_intercept_comes_before_iopl, segment_loads_make_64_kib_of_data_at_level_3,
           far_transfers_need_no_descriptor, privileged_instructions_are_gp, umip_counts_in_v86,
           iret_with_iopl_3_keeps_iopl_vm_vif_vip, iret_with_iopl_below_3,
           iret_from_level_0_enters_v86, iret_enters_v86_with_4_byte_words_from_level_0_only,
           iret_to_v86_that_cannot_read_its_frame_changes_nothing, cli_and_sti, pushf_in_v86,
           popf_in_v86, popf_outside_v86, fast_calls_leave_v86)

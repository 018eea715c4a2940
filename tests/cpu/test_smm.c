/* SMI and RSM. APM vol 2, chapter 10 "System-Management Mode". */
#include "tests/cpu/smm_kit.h"

/* --- entry --- */

static void fill_registers(struct vcpu *cpu)
{
    struct cpu_regs *regs = &cpu->regs;
    for (unsigned i = 0; i < 16; i++)
        cpu->r[i] = 0x1111111111111111ull * i + 0x0123456789ull;
    for (int s = 0; s < SEG_COUNT; s++) {
        regs->seg[s].selector = (uint16_t)(0x1000 + s * 8);
        if (s >= SEG_FS)
            regs->seg[s].base = 0xffff800000001000ull * 1 + (unsigned)s;
    }
    regs->gdtr = (struct table_register){ .base = 0xffff900000000000, .limit = 0x1234 };
    regs->idtr = (struct table_register){ .base = 0xffffa00000000000, .limit = 0x0fff };
    regs->dr[7] = 0x455;
    regs->dr[6] = 0xffff4ff1;
    cpu->r[REG_RIP] = 0xffffffff80001234;
    cpu_set_rflags(cpu, 0x10a97);
    cpu->msr.smbase = SMBASE;
}

/* APM vol 2, table 10-1 */
/* rows: svmop 17.4-17.5, 17.10, 17.14-17.15 */
WITH_KIT(smi_saves_every_field)
{
    static const struct {
        uint16_t offset;
        uint8_t seg;
    } segs[] = { { 0xfe00, SEG_ES }, { 0xfe10, SEG_CS }, { 0xfe20, SEG_SS },   { 0xfe30, SEG_DS },
                 { 0xfe40, SEG_FS }, { 0xfe50, SEG_GS }, { 0xfe70, SEG_LDTR }, { 0xfe90, SEG_TR } };
    static const uint16_t gprs[16] = { 0xfff8, 0xfff0, 0xffe8, 0xffe0, 0xffd8, 0xffd0,
                                       0xffc8, 0xffc0, 0xffb8, 0xffb0, 0xffa8, 0xffa0,
                                       0xff98, 0xff90, 0xff88, 0xff80 };
    struct vcpu *cpu = k->cpu;
    fill_registers(cpu);
    const struct cpu_regs old = cpu->regs;
    uint64_t r[17];
    memcpy(r, cpu->r, sizeof(r));
    smi(k);
    for (unsigned i = 0; i < 8; i++) {
        const struct segment *seg = &old.seg[segs[i].seg];
        ck_assert_uint_eq(field(k, segs[i].offset, 2), seg->selector);
        ck_assert_uint_eq(field(k, segs[i].offset + 2u, 2), seg->attr);
        ck_assert_uint_eq(field(k, segs[i].offset + 4u, 4), seg->limit);
        ck_assert_uint_eq(field(k, segs[i].offset + 8u, 8), seg->base);
    }
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(field(k, gprs[i], 8), r[i]);
    ck_assert_uint_eq(field(k, 0xfe64, 2), 0x1234);
    ck_assert_uint_eq(field(k, 0xfe68, 8), 0xffff900000000000);
    ck_assert_uint_eq(field(k, 0xfe84, 2), 0x0fff);
    ck_assert_uint_eq(field(k, 0xfe88, 8), 0xffffa00000000000);
    ck_assert_uint_eq(field(k, 0xfea0, 8), 0xffffffff80001234); /* no I/O: as the registers */
    ck_assert_uint_eq(field(k, 0xfea8, 8), r[REG_RCX]);
    ck_assert_uint_eq(field(k, 0xfeb0, 8), r[REG_RSI]);
    ck_assert_uint_eq(field(k, 0xfeb8, 8), r[REG_RDI]);
    ck_assert_uint_eq(field(k, 0xfec0, 4), 0);
    ck_assert_uint_eq(field(k, 0xfec8, 2), 0);
    ck_assert_uint_eq(field(k, 0xfed0, 8), old.efer);
    ck_assert_uint_eq(field(k, 0xfed8, 8), 0);
    ck_assert_uint_eq(field(k, 0xfefc, 4), 0x30064);
    ck_assert_uint_eq(field(k, 0xff00, 4), SMBASE);
    ck_assert_uint_eq(field(k, 0xff48, 8), old.cr4);
    ck_assert_uint_eq(field(k, 0xff50, 8), old.cr3);
    ck_assert_uint_eq(field(k, 0xff58, 8), old.cr0);
    ck_assert_uint_eq(field(k, 0xff60, 8), 0x455);
    ck_assert_uint_eq(field(k, 0xff68, 8), 0xffff4ff1);
    ck_assert_uint_eq(field(k, 0xff70, 8), 0x10a97);
    ck_assert_uint_eq(field(k, 0xff78, 8), 0xffffffff80001234);
    ck_assert_uint_eq(kit_get(k, AREA - 1, 1), 0);
}

/* APM vol 2, table 10-3 */
/* rows: svmop 17.16-17.22 */
WITH_KIT(smi_enters_with_a_state_like_real_mode)
{
    struct vcpu *cpu = k->cpu;
    cpu->regs.cr0 |= CR0_EM | CR0_TS | CR0_MP | CR0_AM;
    cpu->regs.cr2 = 0x123456789000;
    cpu->regs.dr[0] = 0x55;
    cpu->regs.dr[7] = 0x401;
    cpu->regs.pkru = 9;
    cpu->msr.lstar = 0x77;
    cpu->x87.fcw = 0x37f;
    cpu_set_rflags(cpu, 0x246 | FLAG_TF);
    cpu->r[REG_RBX] = 0x1122334455667788;
    smi(k);
    const struct cpu_regs *regs = &cpu->regs;
    ck_assert_int_eq(cpu->mode, MODE_REAL);
    ck_assert_uint_eq(regs->seg[SEG_CS].selector, 0x3000);
    ck_assert_uint_eq(regs->seg[SEG_CS].base, SMBASE);
    ck_assert_uint_eq(regs->seg[SEG_CS].limit, 0xffffffff);
    ck_assert_uint_eq(regs->seg[SEG_CS].attr & SEG_ATTR_DB, 0);
    for (int s = SEG_ES; s <= SEG_GS; s++) {
        ck_assert_uint_eq(regs->seg[s].limit, 0xffffffff);
        ck_assert_uint_ne(regs->seg[s].attr & SEG_ATTR_P, 0);
        if (s == SEG_CS)
            continue;
        ck_assert_uint_eq(regs->seg[s].selector, 0);
        ck_assert_uint_eq(regs->seg[s].base, 0);
    }
    ck_assert_uint_eq(cpu_rip(cpu), 0x8000);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(regs->cr0, CR0_ET | CR0_NE | CR0_WP | CR0_MP | CR0_AM);
    ck_assert_uint_eq(regs->cr4, 0);
    ck_assert_uint_eq(regs->efer, 0);
    ck_assert_uint_eq(regs->dr[7], 0x400);
    ck_assert_uint_eq(regs->cpl, 0);
    ck_assert_uint_eq(regs->cr2, 0x123456789000);
    ck_assert_uint_eq(regs->dr[0], 0x55);
    ck_assert_uint_eq(regs->pkru, 9);
    ck_assert_uint_eq(cpu->msr.lstar, 0x77);
    ck_assert_uint_eq(cpu->x87.fcw, 0x37f);
    ck_assert_uint_eq(cpu->r[REG_RBX], 0x1122334455667788);
}

/* rows: svmop 14.12, 17.23 */
WITH_KIT(smi_and_rsm_flush_every_asid)
{
    struct vcpu *cpu = k->cpu;
    struct walk_regime regime = *mem_regime(cpu);
    regime.asid = 5;
    for (unsigned round = 1; round <= 2; round++) {
        (void)paging_translate(cpu->paging, &regime, 0x200000, (struct access){ 0 });
        uint64_t flushes = paging_counters(cpu->paging, 5)->flushes;
        if (round == 1)
            smi(k);
        else
            rsm(k);
        ck_assert_uint_eq(paging_counters(cpu->paging, 5)->flushes, flushes + 1);
    }
}

/* --- what SMM holds back --- */

/* rows: pitfalls 5.10, events 6.3, svmop 17.24 */
WITH_KIT(smi_and_init_wait_for_rsm)
{
    struct vcpu *cpu = k->cpu;
    smi(k);
    cpu->pins.smi = cpu->pins.init = true;
    ck_assert(!event_pending(cpu));
    ck_assert_int_eq(event_boundary(cpu), STEP_NEXT);
    ck_assert_uint_eq(cpu_rip(cpu), 0x8000);
    cpu->pins.init = false;
    rsm(k);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA);
    ck_assert(cpu->pins.smi);
    ck_assert_int_eq(event_boundary(cpu), STEP_JUMP); /* the one that was latched */
    ck_assert(cpu->regs.smm);
    ck_assert(!cpu->pins.smi);
}

/* rows: pitfalls 10.8, events 6.2, svmop 17.24 */
WITH_KIT(nmi_waits_for_rsm)
{
    struct vcpu *cpu = k->cpu;
    smi(k);
    cpu->pins.nmi = true;
    ck_assert(!event_pending(cpu));
    rsm(k);
    ck_assert_int_eq(event_boundary(cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NMI);
    ck_assert_uint_eq(cpu_rip(cpu), HANDLER + 16 * EXC_NMI);
}

/* rows: pitfalls 10.8, svmop 17.9 */
WITH_KIT(rsm_restores_the_nmi_mask)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned masked = 0; masked <= 1; masked++) {
        cpu->regs.nmi_masked = masked;
        smi(k);
        ck_assert(cpu->regs.nmi_masked);
        ck_assert_uint_eq(field(k, 0xfeca, 1), masked);
        cpu->regs.nmi_masked = false; /* as IRET leaves it */
        rsm(k);
        ck_assert_uint_eq(cpu->regs.nmi_masked, masked);
    }
}

/* rows: svmop 17.24 */
WITH_KIT(iret_in_smm_opens_nmis)
{
    struct vcpu *cpu = k->cpu;
    smi(k);
    cpu->r[REG_RSP] = 0x2000;
    kit_put(k, 0x2000, 4, 0x30009000); /* CS:IP = 3000:9000 */
    kit_put(k, 0x2004, 2, 2);
    cpu->pins.nmi = true;
    ck_assert_int_ne(EXEC(k, "\xcf"), STEP_RAISED);
    ck_assert_uint_eq(cpu_rip(cpu), 0x9000);
    ck_assert(cpu->regs.smm);
    ck_assert(event_pending(cpu));
}

/* rows: events 6.1, svmop 17.24 */
WITH_KIT(intr_is_masked_by_the_cleared_if)
{
    struct vcpu *cpu = k->cpu;
    cpu_set_rflags(cpu, 2 | FLAG_IF);
    smi(k);
    k->pending = 0x40;
    ck_assert(!event_pending(cpu));
    cpu_set_rflags(cpu, 2 | FLAG_IF); /* the handler may open them */
    ck_assert(event_pending(cpu));
}

/* rows: events 6.3, svmop 8.4, 17.1 */
WITH_KIT(smi_waits_for_gif_and_for_the_end_of_a_shadow)
{
    struct vcpu *cpu = k->cpu;
    cpu->pins.smi = true;
    cpu->svm->gif = false;
    ck_assert(!event_pending(cpu));
    cpu->svm->gif = true;
    cpu->regs.shadow = true;
    ck_assert(!event_pending(cpu));
    cpu->regs.shadow = false;
    ck_assert(event_pending(cpu));
}

/* --- RSM --- */

/* rows: svmop 17.25 */
WITH_KIT(rsm_outside_smm_is_ud)
{
    kit_raised(k, EXEC(k, RSM), EXC_UD, NO_CODE);
}

static void check_round_trip(struct kit *k, const char *what)
{
    struct vcpu *cpu = k->cpu;
    cpu->r[REG_R15] = 0x1515;
    cpu->r[REG_RAX] = 0xaaaaaaaa;
    const struct cpu_regs old = cpu->regs;
    enum cpu_mode mode = cpu->mode;
    uint64_t rflags = cpu_rflags(cpu), rip = cpu_rip(cpu), rsp = cpu->r[REG_RSP];
    smi(k);
    memset(cpu->r, 0, 16 * sizeof(cpu->r[0]));
    cpu->regs.cr3 = 0x999000;
    rsm(k);
    ck_assert_msg(cpu->mode == mode, "%s", what);
    ck_assert_msg(cpu->regs.cpl == old.cpl, "%s", what);
    ck_assert_msg(cpu_rflags(cpu) == rflags, "%s", what);
    ck_assert_msg(cpu_rip(cpu) == rip && cpu->r[REG_RSP] == rsp, "%s", what);
    ck_assert_msg(cpu->r[REG_R15] == 0x1515 && cpu->r[REG_RAX] == 0xaaaaaaaa, "%s", what);
    ck_assert_msg(!memcmp(cpu->regs.seg, old.seg, sizeof(old.seg)), "%s", what);
    ck_assert_msg(cpu->regs.cr0 == old.cr0 && cpu->regs.cr3 == old.cr3 &&
                      cpu->regs.cr4 == old.cr4 && cpu->regs.efer == old.efer,
                  "%s", what);
    ck_assert_msg(cpu->regs.dr[6] == old.dr[6] && cpu->regs.dr[7] == old.dr[7], "%s", what);
    ck_assert_msg(cpu->regs.gdtr.base == old.gdtr.base && cpu->regs.idtr.limit == old.idtr.limit,
                  "%s", what);
}

WITH_KIT(rsm_returns_to_every_mode)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        kit_mode(k, MODE_LONG64, cpl);
        check_round_trip(k, "64-bit mode");
        kit_mode(k, MODE_COMPAT32, cpl);
        check_round_trip(k, "compatibility mode");
        kit_mode(k, MODE_PROT32, cpl);
        check_round_trip(k, "protected mode");
    }
    cpu->regs.seg[SEG_CS].attr &= (uint16_t)~SEG_ATTR_DB;
    cpu_update_mode(cpu);
    check_round_trip(k, "16-bit protected mode");
    kit_mode(k, MODE_PROT32, 3);
    cpu_set_rflags(cpu, 2 | FLAG_VM | FLAG_IF);
    cpu_update_mode(cpu);
    check_round_trip(k, "virtual-8086 mode");
    enter_real_mode(cpu);
    cpu_set_rflags(cpu, 2);
    cpu->regs.seg[SEG_DS].limit = 0xffffffff;
    check_round_trip(k, "real mode, an unreal segment");
}

/* SYSRET leaves the DPL of SS at the 0 that SYSCALL gave it: it does not tell the level. */
WITH_KIT(rsm_returns_to_level_3_behind_sysret)
{
    struct vcpu *cpu = k->cpu;
    cpu->msr.star = 0x0013000800000000;
    ck_assert_int_eq(EXEC(k, "\x0f\x05"), STEP_JUMP);
    ck_assert_int_eq(EXEC(k, "\x48\x0f\x07"), STEP_JUMP);
    ck_assert_uint_eq(cpu->regs.cpl, 3);
    ck_assert_uint_eq(segment_dpl(&cpu->regs.seg[SEG_SS]), 0);
    check_round_trip(k, "level 3 behind SYSRET");
}

/* Before the first far jump CS holds a selector of real mode, whose low bits are no level. */
WITH_KIT(rsm_returns_to_level_0_behind_the_switch_to_protected_mode)
{
    struct vcpu *cpu = k->cpu;
    enter_real_mode(cpu);
    cpu->regs.seg[SEG_CS].selector = 0x1003;
    cpu->regs.cr0 |= CR0_PE;
    cpu_update_mode(cpu);
    check_round_trip(k, "protected mode before the far jump");
}

WITH_KIT(rsm_keeps_rf_and_does_not_step)
{
    struct vcpu *cpu = k->cpu;
    cpu_set_rflags(cpu, 2 | FLAG_RF | FLAG_TF);
    smi(k);
    rsm(k);
    ck_assert_uint_eq(cpu_rflags(cpu), 2 | FLAG_RF | FLAG_TF);
    ck_assert_int_eq(cpu->trap_rule, TRAP_KEEP_RF);
    ck_assert_uint_eq(cpu->traps, 0);
}

/* rows: svmop 17.27 */
WITH_KIT(rsm_repairs_what_it_may)
{
    struct vcpu *cpu = k->cpu;
    smi(k);
    set_field(k, 0xfed0, 8, cpu->regs.efer | EFER_LME | EFER_SCE); /* LMA is computed */
    set_field(k, 0xff70, 8, 2 | FLAG_VM);                          /* VM & !LMA */
    set_field(k, 0xfe48, 8, 0x0100000000000000);                   /* FS */
    set_field(k, 0xfe68, 8, 0x0301000000000000);                   /* GDTR */
    set_field(k, 0xfe88, 8, 0xfe00000000001000);                   /* IDTR */
    set_field(k, 0xfe98, 8, 0xfeffffffffffffff);                   /* TR */
    set_field(k, 0xfe18, 8, 0x1234567800000000);                   /* CS */
    set_field(k, 0xfe38, 8, 0xffffffff00001000);                   /* DS */
    rsm(k);
    ck_assert_int_eq(cpu->mode, MODE_LONG64);
    ck_assert_uint_eq(cpu->regs.efer, EFER_LME | EFER_LMA | EFER_SCE);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(cpu->svm->model.linear_bits, 57);
    ck_assert_uint_eq(cpu->regs.seg[SEG_FS].base, 0xff00000000000000);
    ck_assert_uint_eq(cpu->regs.gdtr.base, 0xff01000000000000);
    ck_assert_uint_eq(cpu->regs.idtr.base, 0x1000);
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].base, 0x00ffffffffffffff);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, 0);
    ck_assert_uint_eq(cpu->regs.seg[SEG_DS].base, 0x1000);

    enter_real_mode(cpu);
    smi(k);
    set_field(k, 0xff70, 8, 2 | FLAG_VM); /* VM & PE */
    set_field(k, 0xfed0, 8, EFER_LMA);
    rsm(k);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(cpu->regs.efer, 0);
}

/* rows: svmop 17.26 */
WITH_KIT(rsm_shuts_down_on_invalid_state)
{
    static const struct {
        unsigned offset, size;
        uint64_t set, clear;
        bool valid;
    } row[] = {
        { 0xfefc, 4, 0x30065, UINT64_MAX, false }, /* the revision */
        { 0xfefc, 4, 0x20064, UINT64_MAX, false },
        { 0xff58, 8, 1ull << 32, 0, false }, /* CR0 */
        { 0xff58, 8, 1ull << 63, 0, false },
        { 0xff58, 8, 0, CR0_PE, false }, /* PG without PE */
        { 0xff58, 8, 0, CR0_PE | CR0_PG, true },
        { 0xff58, 8, CR0_NW, CR0_CD, false },
        { 0xff58, 8, CR0_NW | CR0_CD, 0, true },
        { 0xff58, 8, CR0_CD, CR0_NW, true },
        { 0xff50, 8, 1ull << 48, 0, false }, /* CR3 */
        { 0xff50, 8, 1ull << 47, 0, true },
        { 0xff48, 8, 1ull << 24, 0, false }, /* CR4 */
        { 0xff48, 8, 1ull << 32, 0, false },
        { 0xff48, 8, CR4_PGE, 0, true },
        { 0xff60, 8, 1ull << 32, 0, false }, /* DR7 */
        { 0xff68, 8, 1ull << 63, 0, false }, /* DR6 */
        { 0xff68, 8, 0, 0xffffffff, true },
        { 0xfed0, 8, 1ull << 9, 0, false }, /* EFER */
        { 0xfed0, 8, 1ull << 63, 0, false },
        { 0xfed0, 8, 0, EFER_SVME, true },
        { 0xff48, 8, 0, CR4_PAE, false },     /* LME, PG without PAE */
        { 0xfe12, 2, SEG_ATTR_DB, 0, false }, /* CS.L and CS.D */
        { 0xfe12, 2, SEG_ATTR_DB, SEG_ATTR_L, true },
    };
    struct vcpu *cpu = k->cpu;
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        cpu->regs.smm = false;
        cpu->stop.reason = PACIFICA_STOP_NONE;
        smi(k);
        uint64_t old = field(k, row[i].offset, row[i].size);
        set_field(k, row[i].offset, row[i].size, (old & ~row[i].clear) | row[i].set);
        enum step step = EXEC(k, RSM);
        ck_assert_msg(step == (row[i].valid ? STEP_JUMP : STEP_STOP), "row %u", i);
        if (row[i].valid)
            continue;
        ck_assert_int_eq(cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
        ck_assert_ptr_nonnull(strstr(cpu->stop.text, "RSM"));
        ck_assert(cpu->regs.smm); /* nothing was loaded */
        ck_assert_int_eq(cpu->mode, MODE_REAL);
    }
}

/* A save area that no memory holds reads as ones. */
WITH_KIT(rsm_without_memory_shuts_down)
{
    k->cpu->msr.smbase = 0x20000000;
    smi(k);
    ck_assert_int_eq(EXEC(k, RSM), STEP_STOP);
    k->cpu->msr.smbase = 0xffffffff; /* and one that begins below 4 GiB and ends above */
    k->cpu->regs.smm = false;
    smi(k);
    ck_assert_int_eq(EXEC(k, RSM), STEP_STOP);
}

WITH_KIT(rsm_moves_smbase)
{
    struct vcpu *cpu = k->cpu;
    smi(k);
    set_field(k, 0xff00, 4, 0x120800);
    ck_assert_uint_eq(cpu->msr.smbase, SMBASE); /* RSM moves it */
    rsm(k);
    ck_assert_uint_eq(cpu->msr.smbase, 0x120800);
    smi(k);
    ck_assert_uint_eq(kit_get(k, 0x120800 + 0xfefc, 4), 0x30064);
    ck_assert_uint_eq(kit_get(k, 0x120800 + 0xff00, 4), 0x120800);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].base, 0x120800);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, 0x2080);
    rsm(k);
}

/* --- restarts --- */

/* rows: svmop 17.8 */
WITH_KIT(halt_is_restarted_if_the_handler_wants)
{
    struct vcpu *cpu = k->cpu;
    static const struct {
        bool halted;
        int write; /* -1: the handler leaves it */
        bool after;
    } row[] = { { true, -1, true },
                { true, 0, false },
                { false, -1, false },
                { false, 1, true },
                { true, 0x80, true } };
    for (unsigned i = 0; i < 5; i++) {
        cpu->regs.halted = row[i].halted;
        smi(k);
        ck_assert(!cpu->regs.halted);
        ck_assert_uint_eq(field(k, 0xfec9, 1), row[i].halted);
        if (row[i].write >= 0)
            set_field(k, 0xfec9, 1, (unsigned)row[i].write);
        rsm(k);
        ck_assert_uint_eq(cpu->regs.halted, row[i].after);
        ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA);
        cpu->regs.halted = false;
    }
}

/* A freeze is no halt state: RSM goes back to the instruction, which freezes again if it has to. */
WITH_KIT(a_freeze_is_not_restarted_as_a_halt)
{
    k->cpu->regs.halted = k->cpu->ferr.frozen = true;
    smi(k);
    ck_assert(!k->cpu->ferr.frozen);
    ck_assert_uint_eq(field(k, 0xfec9, 1), 0);
    rsm(k);
    ck_assert(!k->cpu->regs.halted);
    ck_assert_uint_eq(cpu_rip(k->cpu), CODE_SPA);
}

/* rows: svmop 17.5-17.7 */
WITH_KIT(out_that_pulls_smi_is_told_and_restarted)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned restart = 0; restart <= 1; restart++) {
        kit_mode(k, MODE_LONG64, 0);
        cpu->ports = &trap_ops;
        ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE); /* OUT B2h, AL */
        ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA + 2);
        take_smi(k);
        ck_assert_uint_eq(field(k, 0xfec0, 4), 0x00b20000 | 1u << 9 | 1u << 4 | 2);
        ck_assert_uint_eq(field(k, 0xfea0, 8), CODE_SPA);
        ck_assert_uint_eq(field(k, 0xff78, 8), CODE_SPA + 2);
        ck_assert_uint_eq(field(k, 0xfec8, 1), 0);
        set_field(k, 0xfec8, 1, restart ? 0xff : 0);
        rsm(k);
        ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA + (restart ? 0 : 2));
    }
}

WITH_KIT(in_that_pulls_smi_is_told)
{
    struct vcpu *cpu = k->cpu;
    kit_mode(k, MODE_PROT32, 0);
    cpu->ports = &trap_ops;
    cpu->r[REG_RDX] = 0x1234;
    ck_assert_int_eq(EXEC(k, "\x66\xed"), STEP_LEAVE); /* IN AX, DX */
    take_smi(k);
    ck_assert_uint_eq(field(k, 0xfec0, 4), 0x12340000 | 1u << 8 | 1u << 5 | 2 | 1);
    ck_assert_uint_eq(field(k, 0xfff8, 2), 0x5678);
    rsm(k);
}

/* The counters are those before the access that pulled SMI. */
WITH_KIT(rep_outs_is_restarted_at_its_element)
{
    struct vcpu *cpu = k->cpu;
    cpu->ports = &trap_ops;
    cpu->budget = 100;
    cpu->insns_end = 100;
    cpu->r[REG_RCX] = 5;
    cpu->r[REG_RSI] = DATA_SPA;
    cpu->r[REG_RDX] = 0x99;
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_REPEAT);
    ck_assert_uint_eq(cpu->r[REG_RCX], 4);
    take_smi(k);
    ck_assert_uint_eq(field(k, 0xfec0, 4), 0x00990000 | 1u << 9 | 1u << 4 | 1u << 3 | 1u << 2 | 2);
    ck_assert_uint_eq(field(k, 0xfea8, 8), 5);
    ck_assert_uint_eq(field(k, 0xfeb0, 8), DATA_SPA);
    ck_assert_uint_eq(field(k, 0xfff0, 8), 4);
    set_field(k, 0xfec8, 1, 1);
    rsm(k);
    ck_assert_uint_eq(cpu->r[REG_RCX], 5);
    ck_assert_uint_eq(cpu->r[REG_RSI], DATA_SPA);
    ck_assert_uint_eq(cpu_rip(cpu), CODE_SPA);
}

/* Causes of a #DB that were due behind the access come after RSM, unless it is restarted. */
WITH_KIT(traps_of_the_port_access_come_after_rsm)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned restart = 0; restart <= 1; restart++) {
        kit_mode(k, MODE_LONG64, 0);
        cpu->ports = &trap_ops;
        cpu->rflags |= FLAG_TF;
        ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE);
        cpu->traps = DR6_BS | 4;
        take_smi(k);
        ck_assert_uint_eq(cpu->traps, 0);
        ck_assert_uint_eq(field(k, 0xfec0, 4) & 0xf800, 1u << 11 | 4u << 12);
        set_field(k, 0xfec8, 1, restart);
        rsm(k);
        ck_assert_uint_eq(cpu->traps, restart ? 0 : DR6_BS | 4);
        cpu->traps = 0;
    }
}

/* The dword tells RFLAGS.TF, whether it stands for a single step behind the access or, with DebugCtl.BTF, for none. APM vol 2,
 * 10.3.8 "I/O Instruction Restart". */
WITH_KIT(trap_flag_of_the_port_access_is_told_with_btf_too)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned i = 0; i < 4; i++) {
        bool tf = i & 1, btf = i & 2;
        kit_mode(k, MODE_LONG64, 0);
        cpu->ports = &trap_ops;
        cpu->rflags |= tf ? FLAG_TF : 0;
        cpu->msr.debugctl = btf ? DEBUGCTL_BTF : 0;
        ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE);
        cpu->traps = tf && !btf ? DR6_BS : 0;
        take_smi(k);
        ck_assert_uint_eq(field(k, 0xfec0, 4) >> 11 & 1, tf);
        rsm(k);
        ck_assert_uint_eq(cpu->traps, tf && !btf ? DR6_BS : 0);
        cpu->traps = 0;
    }
}

WITH_KIT(other_traps_come_after_rsm_too)
{
    struct vcpu *cpu = k->cpu;
    cpu->traps = DR6_BS;
    smi(k);
    ck_assert_uint_eq(cpu->traps, 0);
    ck_assert_uint_eq(field(k, 0xfec0, 4), 0);
    rsm(k);
    ck_assert_uint_eq(cpu->traps, DR6_BS);
    ck_assert_int_eq(event_boundary(cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    kit_mode(k, MODE_LONG64, 0);
    smi(k); /* once */
    rsm(k);
    ck_assert_uint_eq(cpu->traps, 0);
}

WITH_KIT(port_access_that_is_past_is_not_told)
{
    struct vcpu *cpu = k->cpu;
    cpu->ports = &trap_ops;
    cpu->svm->gif = false;
    ck_assert_int_eq(EXEC(k, "\xe6\xb2"), STEP_LEAVE);
    cpu->extra_steps += 2; /* something else happened */
    cpu->svm->gif = true;
    take_smi(k);
    ck_assert_uint_eq(field(k, 0xfec0, 4), 0);
    rsm(k);
}

int main(void)
{
    Suite *suite = suite_create("smm");
    TCase *tc = tcase_create("smm");
    const TTest *const tests[] = {
        smi_saves_every_field,
        smi_enters_with_a_state_like_real_mode,
        smi_and_rsm_flush_every_asid,
        smi_and_init_wait_for_rsm,
        nmi_waits_for_rsm,
        rsm_restores_the_nmi_mask,
        iret_in_smm_opens_nmis,
        intr_is_masked_by_the_cleared_if,
        smi_waits_for_gif_and_for_the_end_of_a_shadow,
        rsm_outside_smm_is_ud,
        rsm_returns_to_every_mode,
        rsm_returns_to_level_3_behind_sysret,
        rsm_returns_to_level_0_behind_the_switch_to_protected_mode,
        rsm_keeps_rf_and_does_not_step,
        rsm_repairs_what_it_may,
        rsm_shuts_down_on_invalid_state,
        rsm_without_memory_shuts_down,
        rsm_moves_smbase,
        halt_is_restarted_if_the_handler_wants,
        a_freeze_is_not_restarted_as_a_halt,
        out_that_pulls_smi_is_told_and_restarted,
        in_that_pulls_smi_is_told,
        rep_outs_is_restarted_at_its_element,
        traps_of_the_port_access_come_after_rsm,
        trap_flag_of_the_port_access_is_told_with_btf_too,
        other_traps_come_after_rsm_too,
        port_access_that_is_past_is_not_told,
    };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

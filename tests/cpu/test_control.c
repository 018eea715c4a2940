/* Writes of CR0, CR3, CR4, CR8, EFER and the debug registers: each rule by its name, and what they do to the TLB.
 * APM vol 2, 3.1, 5.5.2, 13.1, 14.6; the intercepts' places: 15.9. */
#include "tests/cpu/kit.h"

#define MOV_CR0_RAX "\x0f\x22\xc0"
#define MOV_CR3_RAX "\x0f\x22\xd8"
#define MOV_CR4_RAX "\x0f\x22\xe0"

static enum step write_cr(struct kit *k, unsigned n, uint64_t value)
{
    uint8_t bytes[] = { 0x0f, 0x22, (uint8_t)(0xc0 | n << 3) };
    k->cpu->r[REG_RAX] = value;
    return kit_exec(k, bytes, 3);
}

static void accepts(struct kit *k, unsigned n, uint64_t value)
{
    ck_assert_int_eq(write_cr(k, n, value), STEP_LEAVE);
}

static void refuses(struct kit *k, unsigned n, uint64_t value)
{
    struct cpu_regs before = k->cpu->regs;
    kit_raised(k, write_cr(k, n, value), EXC_GP, 0);
    ck_assert_mem_eq(&before, &k->cpu->regs, sizeof(before));
}

/* --- CR0 --- */

#define CR0_64 (CR0_PE | CR0_ET | CR0_NE | CR0_WP | (uint64_t)CR0_PG)

/* rows: pitfalls 5.2, events 12.1 */
WITH_KIT(cr0_upper_half_must_be_zero)
{
    refuses(k, 0, CR0_64 | 1ull << 32);
    accepts(k, 0, CR0_64);
}

/* rows: pitfalls 5.2, events 12.1 */
WITH_KIT(cr0_pg_needs_pe)
{
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->regs.efer = 0;
    refuses(k, 0, CR0_PG | CR0_ET);
    accepts(k, 0, CR0_PG | CR0_PE);
}

/* rows: pitfalls 5.2, events 12.1 */
WITH_KIT(cr0_nw_needs_cd)
{
    refuses(k, 0, CR0_64 | CR0_NW);
    accepts(k, 0, CR0_64 | CR0_NW | CR0_CD);
    accepts(k, 0, CR0_64 | CR0_CD);
}

static void ready_for_long_mode(struct kit *k)
{
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->regs.cr4 = CR4_PAE;
    k->cpu->regs.efer = EFER_LME;
    cpu_update_mode(k->cpu);
}

/* rows: pitfalls 5.1, events 12.1 */
WITH_KIT(cr0_pg_with_lme_activates_long_mode)
{
    ready_for_long_mode(k);
    accepts(k, 0, CR0_64);
    ck_assert_uint_eq(k->cpu->regs.efer, EFER_LME | EFER_LMA);
    ck_assert_int_eq(k->cpu->mode, MODE_COMPAT32);
    accepts(k, 0, CR0_64 & ~(uint64_t)CR0_PG);
    ck_assert_uint_eq(k->cpu->regs.efer, EFER_LME);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
}

/* rows: pitfalls 5.2, events 12.1 */
WITH_KIT(cr0_pg_with_lme_needs_pae)
{
    ready_for_long_mode(k);
    k->cpu->regs.cr4 = 0;
    refuses(k, 0, CR0_64);
}

/* rows: pitfalls 5.2, events 12.1 */
WITH_KIT(cr0_pg_with_lme_needs_cs_l_clear)
{
    ready_for_long_mode(k);
    k->cpu->regs.seg[SEG_CS].attr |= SEG_ATTR_L;
    refuses(k, 0, CR0_64);
}

/* rows: events 12.1 */
WITH_KIT(cr0_pg_with_lme_refuses_a_16_bit_tss)
{
    for (unsigned type = 1; type < 12; type += 2) {
        ready_for_long_mode(k);
        k->cpu->regs.seg[SEG_TR].attr = (uint16_t)(0x80 | type);
        if (type == SYS_TSS16 || type == SYS_TSS16_BUSY)
            refuses(k, 0, CR0_64);
        else
            accepts(k, 0, CR0_64);
    }
}

/* rows: pitfalls 5.2, events 12.1 */
WITH_KIT(cr0_pg_cannot_be_cleared_in_64_bit_mode)
{
    refuses(k, 0, CR0_64 & ~(uint64_t)CR0_PG);
}

/* rows: pitfalls 4.16, events 12.1 */
WITH_KIT(cr0_pg_cannot_be_cleared_with_pcide)
{
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->regs.cr4 |= CR4_PCIDE;
    refuses(k, 0, CR0_64 & ~(uint64_t)CR0_PG);
    k->cpu->regs.cr4 &= ~(uint64_t)CR4_PCIDE;
    accepts(k, 0, CR0_64 & ~(uint64_t)CR0_PG);
}

/* rows: pitfalls 5.3, 5.4, events 12.1 */
WITH_KIT(cr0_reserved_bits_are_ignored_and_et_reads_1)
{
    accepts(k, 0, (CR0_64 | 0x1ffaffc0) & ~(uint64_t)CR0_ET);
    ck_assert_uint_eq(k->cpu->regs.cr0, CR0_64);
}

/* rows: pitfalls 5.5, events 12.2 */
WITH_KIT(lmsw_sets_but_does_not_clear_pe)
{
    k->cpu->r[REG_RAX] = 0xffff000e;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xf0"), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->regs.cr0, CR0_64 | CR0_TS | CR0_EM | CR0_MP);
    k->cpu->r[REG_RAX] = 0;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xf0"), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->regs.cr0, CR0_64);
}

/* rows: events 12.3 */
WITH_KIT(clts_clears_ts)
{
    k->cpu->regs.cr0 |= CR0_TS | CR0_MP;
    ck_assert_int_eq(EXEC(k, "\x0f\x06"), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->regs.cr0, CR0_64 | CR0_MP);
}

WITH_KIT(smsw_widths)
{
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xe0"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], CR0_64);
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, "\x66\x0f\x01\xe0"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xffffffffffff0000 | (CR0_64 & 0xffff));
    k->cpu->r[REG_RBX] = DATA_SPA;
    kit_put(k, DATA_SPA, 8, 0);
    ck_assert_int_eq(EXEC(k, "\x0f\x01\x23"), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 8), CR0_64 & 0xffff);
}

/* --- CR2, CR3 --- */

/* rows: events 12.4 */
WITH_KIT(cr2_takes_any_value)
{
    accepts(k, 2, NONCANON);
    ck_assert_uint_eq(k->cpu->regs.cr2, NONCANON);
}

/* rows: events 12.5 */
WITH_KIT(cr3_beyond_the_physical_width_is_gp)
{
    refuses(k, 3, 1ull << CPU_MAXPHYADDR);
    refuses(k, 3, 1ull << 63); /* PCIDE = 0 */
    accepts(k, 3, ((1ull << CPU_MAXPHYADDR) - 1) & ~0xfffull);
    accepts(k, 3, PML4_SPA | 0xfff);
    ck_assert_uint_eq(k->cpu->regs.cr3, PML4_SPA | 0xfff);
}

/* rows: pitfalls 4.16, events 12.5 */
WITH_KIT(cr3_bit_63_is_not_stored_with_pcide)
{
    k->cpu->regs.cr4 |= CR4_PCIDE;
    accepts(k, 3, 1ull << 63 | PML4_SPA | 5);
    ck_assert_uint_eq(k->cpu->regs.cr3, PML4_SPA | 5);
    refuses(k, 3, 1ull << 62 | PML4_SPA);
}

/* --- CR4 --- */

/* rows: pitfalls 5.3, events 12.6 */
WITH_KIT(cr4_takes_exactly_the_bits_of_the_model)
{
    uint64_t valid = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE |
                     CR4_PCE | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE |
                     CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_CET;
    for (unsigned bit = 0; bit < 64; bit++) {
        kit_mode(k, MODE_LONG64, 0);
        if (bit == 12)
            continue; /* LA57: below */
        if (valid >> bit & 1)
            accepts(k, 4, CR4_PAE | 1ull << bit);
        else
            refuses(k, 4, CR4_PAE | 1ull << bit);
    }
}

/* rows: pitfalls 5.2, events 12.6 */
WITH_KIT(cr4_pae_cannot_be_cleared_in_long_mode)
{
    refuses(k, 4, 0);
    kit_mode(k, MODE_COMPAT32, 0);
    refuses(k, 4, 0);
    kit_mode(k, MODE_PROT32, 0);
    accepts(k, 4, CR4_PAE);
    accepts(k, 4, 0);
}

/* rows: pitfalls 4.19, events 12.6 */
WITH_KIT(cr4_la57_cannot_change_in_long_mode)
{
    refuses(k, 4, CR4_PAE | CR4_LA57);
    kit_mode(k, MODE_PROT32, 0);
    accepts(k, 4, CR4_LA57);
}

/* rows: pitfalls 4.16, events 12.6 */
WITH_KIT(cr4_pcide_needs_long_mode_and_pcid_0)
{
    k->cpu->regs.cr3 |= 1;
    refuses(k, 4, CR4_PAE | CR4_PCIDE);
    k->cpu->regs.cr3 &= ~1ull;
    accepts(k, 4, CR4_PAE | CR4_PCIDE);
    k->cpu->regs.cr3 |= 1; /* once set it may stay */
    accepts(k, 4, CR4_PAE | CR4_PCIDE | CR4_PGE);
    kit_mode(k, MODE_PROT32, 0);
    refuses(k, 4, CR4_PCIDE);
}

/* --- CR8 --- */

/* rows: pitfalls 5.7, events 12.7 */
WITH_KIT(cr8_is_the_tpr)
{
    uint8_t write[] = { 0x44, 0x0f, 0x22, 0xc0 }, read[] = { 0x44, 0x0f, 0x20, 0xc0 };
    k->cpu->r[REG_RAX] = 0x10;
    kit_raised(k, kit_exec(k, write, 4), EXC_GP, 0);
    k->cpu->r[REG_RAX] = 0xf;
    ck_assert_int_eq(kit_exec(k, write, 4), STEP_LEAVE);
    ck_assert_uint_eq(k->tpr, 0xf0);
    k->tpr = 0x57;
    ck_assert_int_eq(kit_exec(k, read, 4), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 5);
}

/* rows: svmop 10.1-10.2 */
WITH_KIT(cr8_in_a_guest_follows_v_intr_masking)
{
    uint8_t write[] = { 0x44, 0x0f, 0x22, 0xc0 }, read[] = { 0x44, 0x0f, 0x20, 0xc0 };
    kit_guest(k);
    k->cpu->r[REG_RAX] = 3;
    ck_assert_int_eq(kit_exec(k, write, 4), STEP_LEAVE);
    ck_assert_uint_eq(k->tpr, 0x30); /* both */
    ck_assert_uint_eq(k->cpu->svm->v_tpr, 3);
    k->cpu->svm->v_intr_masking = true;
    k->cpu->r[REG_RAX] = 9;
    ck_assert_int_eq(kit_exec(k, write, 4), STEP_LEAVE);
    ck_assert_uint_eq(k->tpr, 0x30);
    ck_assert_int_eq(kit_exec(k, read, 4), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 9);
}

/* rows: pitfalls 1.13 */
WITH_KIT(other_crs_are_ud_before_privilege)
{
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        kit_mode(k, MODE_LONG64, cpl);
        for (unsigned n = 0; n < 16; n++) {
            uint8_t bytes[] = { (uint8_t)(n > 7 ? 0x44 : 0x40), 0x0f, 0x20,
                                (uint8_t)(0xc0 | (n & 7) << 3) };
            bool exists = n == 0 || n == 2 || n == 3 || n == 4 || n == 8;
            struct insn in;
            uint8_t padded[15] = { 0 };
            memcpy(padded, bytes, 4);
            if (decode_insn(padded, 15, MODE_LONG64, &in) != DECODE_OK) {
                ck_assert(!exists);
                continue;
            }
            enum step step = kit_exec(k, bytes, 4);
            if (!exists)
                kit_raised(k, step, EXC_UD, NO_CODE);
            else if (cpl)
                kit_raised(k, step, EXC_GP, 0);
            else
                ck_assert_int_eq(step, STEP_NEXT);
        }
    }
}

/* --- EFER --- */

static enum step write_efer(struct kit *k, uint64_t value)
{
    return msr_write(k->cpu, 0xc0000080, value);
}

#define EFER_64 (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME)

/* rows: events 12.8 */
WITH_KIT(efer_takes_exactly_the_bits_of_the_model)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        kit_mode(k, MODE_PROT32, 0);
        uint64_t before = k->cpu->regs.efer;
        bool legal = bit == 0 || bit == 8 || bit == 11 || bit == 12 || bit == 14 || bit == 15 ||
                     bit == 17 || bit == 18 || bit == 21;
        enum step step = write_efer(k, before | 1ull << bit);
        if (legal)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_GP, 0);
    }
}

WITH_KIT(efer_bits_follow_features)
{
    static const struct {
        const char *model;
        uint64_t lacks, has;
    } rows[] = {
        { "max,-int-wbinvd", EFER_INTWB, EFER_AIBRSE },
        { "max,-auto-ibrs", EFER_AIBRSE, EFER_INTWB },
        { "max,-tce", EFER_TCE, EFER_INTWB },
        { "epyc-naples", EFER_INTWB | EFER_AIBRSE, EFER_TCE | EFER_NXE | EFER_SVME },
        { "epyc-rome", EFER_AIBRSE, EFER_INTWB },
        { "epyc-genoa", EFER_MCOMMIT, EFER_INTWB | EFER_AIBRSE },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_model model;
        ck_assert_int_eq(cpu_model_parse(rows[i].model, &model, NULL), PACIFICA_OK);
        k->cpu->model = &model;
        for (unsigned bit = 0; bit < 64; bit++) {
            kit_mode(k, MODE_PROT32, 0);
            const uint64_t value = 1ull << bit;
            enum step step = write_efer(k, k->cpu->regs.efer | value);
            if (rows[i].has & value)
                ck_assert_int_eq(step, STEP_NEXT);
            if (rows[i].lacks & value)
                kit_raised(k, step, EXC_GP, 0);
        }
        k->cpu->model = cpu_model_default();
    }
}

/* rows: pitfalls 5.2, events 12.8 */
WITH_KIT(efer_lme_cannot_change_with_paging)
{
    kit_raised(k, write_efer(k, EFER_64 & ~(uint64_t)EFER_LME), EXC_GP, 0);
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->regs.cr0 |= CR0_PG;
    kit_raised(k, write_efer(k, EFER_LME), EXC_GP, 0);
}

/* rows: events 12.8 */
WITH_KIT(efer_lma_must_not_differ)
{
    kit_raised(k, write_efer(k, EFER_64 & ~(uint64_t)EFER_LMA), EXC_GP, 0);
    ck_assert_int_eq(write_efer(k, EFER_64), STEP_NEXT);
}

/* rows: events 12.8, svmop 2.1, 20.18 */
WITH_KIT(efer_svme_needs_svmdis_clear)
{
    ck_assert_int_eq(write_efer(k, EFER_64 & ~(uint64_t)EFER_SVME), STEP_NEXT);
    k->cpu->msr.vm_cr = VM_CR_SVMDIS;
    kit_raised(k, write_efer(k, EFER_64), EXC_GP, 0);
}

/* rows: svmop 2.3 */
WITH_KIT(clearing_svme_sets_gif)
{
    k->cpu->svm->gif = false;
    ck_assert_int_eq(write_efer(k, EFER_64), STEP_NEXT);
    ck_assert(!k->cpu->svm->gif);
    ck_assert_int_eq(write_efer(k, EFER_64 & ~(uint64_t)EFER_SVME), STEP_NEXT);
    ck_assert(k->cpu->svm->gif);
}

/* --- debug registers --- */

static enum step write_dr(struct kit *k, unsigned n, uint64_t value)
{
    uint8_t bytes[] = { 0x0f, 0x23, (uint8_t)(0xc0 | n << 3) };
    k->cpu->r[REG_RAX] = value;
    return kit_exec(k, bytes, 3);
}

static uint64_t read_dr(struct kit *k, unsigned n)
{
    uint8_t bytes[] = { 0x0f, 0x21, (uint8_t)(0xc1 | n << 3) };
    ck_assert_int_eq(kit_exec(k, bytes, 3), STEP_NEXT);
    return k->cpu->r[REG_RCX];
}

WITH_KIT(dr0_to_dr3_hold_64_bits)
{
    for (unsigned n = 0; n < 4; n++) {
        ck_assert_int_eq(write_dr(k, n, NONCANON + n), STEP_NEXT);
        ck_assert_uint_eq(read_dr(k, n), NONCANON + n);
    }
}

/* rows: events 5.12, 5.13, pitfalls 6.12, 6.23 */
WITH_KIT(dr6_and_dr7_have_fixed_bits)
{
    ck_assert_int_eq(write_dr(k, 6, 0xffffffff), STEP_NEXT);
    ck_assert_uint_eq(read_dr(k, 6), 0xffffefff);
    ck_assert_int_eq(write_dr(k, 6, 0), STEP_NEXT);
    ck_assert_uint_eq(read_dr(k, 6), 0xffff0ff0);
    ck_assert_int_eq(write_dr(k, 7, 0xffffdf00), STEP_LEAVE); /* not GD: it would trap the read */
    ck_assert_uint_eq(read_dr(k, 7), 0xffff0700);
    ck_assert_int_eq(write_dr(k, 7, 0), STEP_LEAVE);
    ck_assert_uint_eq(read_dr(k, 7), 0x400);
}

/* rows: events 5.14, pitfalls 6.15 */
WITH_KIT(dr6_and_dr7_upper_halves_are_gp)
{
    kit_raised(k, write_dr(k, 6, 1ull << 32), EXC_GP, 0);
    kit_raised(k, write_dr(k, 7, 1ull << 32), EXC_GP, 0);
}

/* rows: events 5.15, pitfalls 6.14 */
WITH_KIT(dr4_and_dr5_alias_or_are_ud)
{
    ck_assert_int_eq(write_dr(k, 4, 1), STEP_NEXT);
    ck_assert_uint_eq(read_dr(k, 6), 0xffff0ff1);
    ck_assert_uint_eq(read_dr(k, 5), 0x400);
    k->cpu->regs.cr4 |= CR4_DE;
    kit_raised(k, write_dr(k, 4, 1), EXC_UD, NO_CODE);
    kit_raised(k, write_dr(k, 5, 1), EXC_UD, NO_CODE);
}

/* rows: events 5.15 */
WITH_KIT(dr7_gd_is_a_fault_before_privilege)
{
    k->cpu->regs.dr[7] |= DR7_GD;
    kit_raised(k, write_dr(k, 0, 1), EXC_DB, NO_CODE);
    ck_assert_uint_eq(k->cpu->raised.dr6, DR6_BD);
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, write_dr(k, 0, 1), EXC_DB, NO_CODE);
    k->cpu->regs.dr[7] = 0x400;
    kit_raised(k, write_dr(k, 0, 1), EXC_GP, 0);
}

/* --- the TLB --- */

/* What may be left of the entries that fill() makes. */
enum left { NOTHING = 0, GLOBAL = 1, LOCAL = 2, OTHER_PCID = 4, OTHER_ASID = 8, EVERYTHING = 15 };

static bool cached(struct kit *k, unsigned page, uint16_t asid, uint16_t pcid)
{
    const struct walk_regime regime = { .mode = WALK_4LEVEL,
                                        .root = PML4_SPA | pcid,
                                        .wp = true,
                                        .nxe = true,
                                        .pge = true,
                                        .pcide = true,
                                        .asid = asid,
                                        .maxphyaddr = CPU_MAXPHYADDR };
    return paging_translate(k->cpu->paging, &regime, PAGED_LA + 4096 * page,
                            (struct access){ .kind = ACCESS_READ })
               .status == WALK_OK;
}

/* Four translations are cached, then their pages vanish from the tables. */
static void fill(struct kit *k)
{
    for (unsigned page = 0; page < 4; page++)
        kit_page(k, page, (PAGED_LA + 4096 * page) | 7 | (page == 0 || page == 3 ? 0x100 : 0));
    uint16_t asid = k->cpu->svm->asid, pcid = control_pcid(k->cpu);
    ck_assert(cached(k, 0, asid, pcid) && cached(k, 1, asid, pcid) &&
              cached(k, 2, asid, (uint16_t)(pcid + 5)) && cached(k, 3, (uint16_t)(asid + 7), pcid));
    for (unsigned page = 0; page < 4; page++)
        kit_put(k, PT_SPA + 8 * page, 8, 0);
}

static unsigned left(struct kit *k, uint16_t pcid)
{
    uint16_t asid = k->cpu->svm->asid;
    return (cached(k, 0, asid, pcid) ? GLOBAL : 0) | (cached(k, 1, asid, pcid) ? LOCAL : 0) |
           (cached(k, 2, asid, (uint16_t)(pcid + 5)) ? OTHER_PCID : 0) |
           (cached(k, 3, (uint16_t)(asid + 7), pcid) ? OTHER_ASID : 0);
}

static unsigned left_by_cr(struct kit *k, unsigned n, uint64_t value)
{
    uint16_t pcid = control_pcid(k->cpu);
    fill(k);
    accepts(k, n, value);
    return left(k, pcid);
}

/* rows: pitfalls 4.15, svmop 14.5 */
WITH_KIT(mov_cr3_keeps_globals_and_other_asids)
{
    ck_assert_uint_eq(left_by_cr(k, 3, PML4_SPA), GLOBAL | OTHER_ASID);
    kit_guest(k); /* another ASID is current */
    ck_assert_uint_eq(left_by_cr(k, 3, PML4_SPA), GLOBAL | OTHER_ASID);
}

/* rows: pitfalls 4.16 */
WITH_KIT(mov_cr3_with_pcide_flushes_the_new_pcid)
{
    k->cpu->regs.cr4 |= CR4_PCIDE | CR4_PGE;
    ck_assert_uint_eq(left_by_cr(k, 3, PML4_SPA), GLOBAL | OTHER_PCID | OTHER_ASID);
    k->cpu->regs.cr3 = PML4_SPA;
    ck_assert_uint_eq(left_by_cr(k, 3, PML4_SPA | 5), GLOBAL | LOCAL | OTHER_ASID);
    k->cpu->regs.cr3 = PML4_SPA;
    ck_assert_uint_eq(left_by_cr(k, 3, 1ull << 63 | PML4_SPA), EVERYTHING);
}

/* rows: pitfalls 4.15, svmop 14.6, 14.7, 14.15 */
WITH_KIT(cr4_changes_flush_the_asid_or_nothing)
{
    static const struct {
        uint64_t before, after;
        unsigned left;
    } rows[] = {
        { 0, CR4_PGE, OTHER_ASID },
        { CR4_PGE, 0, OTHER_ASID },
        { 0, CR4_PSE, OTHER_ASID },
        { 0, CR4_SMEP, OTHER_ASID },
        { 0, CR4_SMAP, OTHER_ASID },
        { 0, CR4_PCIDE, EVERYTHING },
        { CR4_PCIDE, 0, NOTHING },
        { 0, CR4_PKE, NOTHING },
        { CR4_PKE, 0, EVERYTHING },
        { 0, CR4_TSD, EVERYTHING },
        { 0, CR4_UMIP | CR4_FSGSBASE | CR4_MCE, EVERYTHING },
        { CR4_PGE, CR4_PGE, EVERYTHING },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->regs.cr4 |= rows[i].before;
        ck_assert_uint_eq(left_by_cr(k, 4, CR4_PAE | rows[i].after), rows[i].left);
    }
}

/* rows: svmop 14.6, 14.7 */
WITH_KIT(cr0_changes_flush_for_pg_and_wp)
{
    ck_assert_uint_eq(left_by_cr(k, 0, CR0_64 | CR0_TS | CR0_MP | CR0_EM | CR0_AM | CR0_CD),
                      EVERYTHING);
    ck_assert_uint_eq(left_by_cr(k, 0, CR0_64 & ~(uint64_t)CR0_WP), OTHER_ASID);
    kit_mode(k, MODE_COMPAT32, 0);
    ck_assert_uint_eq(left_by_cr(k, 0, CR0_64 & ~(uint64_t)CR0_PG), OTHER_ASID);
}

/* rows: svmop 14.7 */
WITH_KIT(efer_nxe_flushes)
{
    fill(k);
    ck_assert_int_eq(write_efer(k, EFER_64), STEP_NEXT);
    ck_assert_uint_eq(left(k, 0), EVERYTHING);
    ck_assert_int_eq(write_efer(k, EFER_64 & ~(uint64_t)EFER_NXE), STEP_NEXT);
    ck_assert_uint_eq(left(k, 0), OTHER_ASID);
}

/* rows: svmop 14.12 */
WITH_KIT(memory_type_msr_writes_flush_every_asid)
{
    static const struct {
        uint32_t number;
        unsigned left;
    } rows[] = {
        { 0x200, NOTHING },         { 0x20f, NOTHING },      { 0x250, NOTHING },
        { 0x26f, NOTHING },         { 0x2ff, NOTHING },      { 0xc0010010, NOTHING }, /* SYSCFG */
        { 0xc0010016, NOTHING },    { 0xc0010019, NOTHING },                          /* IORRs */
        { 0xc001001a, NOTHING },    { 0xc001001d, NOTHING }, /* TOP_MEM, 2 */
        { 0x277, EVERYTHING },                               /* PAT */
        { 0xc0000082, EVERYTHING },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fill(k);
        ck_assert_int_eq(msr_write(k->cpu, rows[i].number, 0), STEP_NEXT);
        ck_assert_msg(left(k, 0) == rows[i].left, "MSR %x", rows[i].number);
    }
}

/* rows: pitfalls 4.14, svmop 14.9 */
WITH_KIT(invlpg_takes_one_page_global_or_not)
{
    for (unsigned page = 0; page < 2; page++) {
        fill(k);
        k->cpu->r[REG_RBX] = PAGED_LA + 4096 * page + 0x123;
        ck_assert_int_eq(EXEC(k, "\x0f\x01\x3b"), STEP_LEAVE);
        ck_assert_uint_eq(left(k, 0), EVERYTHING & ~(page == 0 ? GLOBAL : LOCAL));
    }
    fill(k);
    k->cpu->r[REG_RBX] = NONCANON | PAGED_LA;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\x3b"), STEP_LEAVE);
    ck_assert_uint_eq(left(k, 0), EVERYTHING);
}

WITH_KIT(invlpg_adds_the_segment_base)
{
    k->cpu->regs.seg[SEG_FS].base = PAGED_LA;
    fill(k);
    k->cpu->r[REG_RBX] = 4096;
    ck_assert_int_eq(EXEC(k, "\x64\x0f\x01\x3b"), STEP_LEAVE);
    ck_assert_uint_eq(left(k, 0), EVERYTHING & ~LOCAL);
}

static enum step invpcid(struct kit *k, uint64_t type, uint64_t pcid, uint64_t la)
{
    k->cpu->r[REG_RAX] = type;
    k->cpu->r[REG_RBX] = DATA_SPA;
    kit_put(k, DATA_SPA, 8, pcid);
    kit_put(k, DATA_SPA + 8, 8, la);
    return EXEC(k, "\x66\x0f\x38\x82\x03");
}

/* rows: svmop 14.11 */
WITH_KIT(invpcid_types)
{
    k->cpu->regs.cr4 |= CR4_PCIDE | CR4_PGE;
    static const struct {
        uint64_t type, pcid, la;
        unsigned left;
    } rows[] = {
        { 0, 0, PAGED_LA + 0x1000, EVERYTHING & ~LOCAL },
        { 0, 0, PAGED_LA, EVERYTHING }, /* not the global one */
        { 0, 5, PAGED_LA + 0x2000, EVERYTHING & ~OTHER_PCID },
        { 1, 5, 0, EVERYTHING & ~OTHER_PCID },
        { 2, 0, 0, OTHER_ASID },
        { 3, 0, 0, GLOBAL | OTHER_ASID },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fill(k);
        ck_assert_int_eq(invpcid(k, rows[i].type, rows[i].pcid, rows[i].la), STEP_LEAVE);
        ck_assert_uint_eq(left(k, 0), rows[i].left);
    }
}

WITH_KIT(invpcid_checks)
{
    kit_raised(k, invpcid(k, 4, 0, 0), EXC_GP, 0);
    kit_raised(k, invpcid(k, 1ull << 32, 0, 0), EXC_GP, 0);
    kit_raised(k, invpcid(k, 0, 1, 0), EXC_GP, 0); /* PCIDE = 0 */
    kit_raised(k, invpcid(k, 1, 1, 0), EXC_GP, 0);
    kit_raised(k, invpcid(k, 2, 0x1000, 0), EXC_GP, 0);
    kit_raised(k, invpcid(k, 0, 0, NONCANON), EXC_GP, 0);
    ck_assert_int_eq(invpcid(k, 1, 0, NONCANON), STEP_LEAVE);
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, invpcid(k, 2, 0, 0), EXC_GP, 0);
}

/* --- intercepts --- */

#define MOV_INFO(gpr) (1ull << 63 | (gpr))

/* rows: exit 1.1.1-1.1.4, 3.1.1-3.1.3, 3.2.1 */
WITH_KIT(every_cr_and_dr_intercept_reports_the_gpr)
{
    static const uint8_t crs[] = { 0, 2, 3, 4, 8 };
    for (unsigned i = 0; i < sizeof(crs); i++) {
        for (unsigned write = 0; write < 2; write++) {
            unsigned n = crs[i];
            uint8_t bytes[] = { (uint8_t)(n == 8 ? 0x45 : 0x41), 0x0f, (uint8_t)(0x20 | write << 1),
                                (uint8_t)(0xc0 | (n & 7) << 3 | 2) }; /* R10 */
            kit_mode(k, MODE_LONG64, 0);
            uint64_t good[9] = { CR0_64, 0, 1, PML4_SPA, CR4_PAE, 0, 0, 0, 1 };
            k->cpu->r[REG_R10] = good[n];
            kit_guest(k);
            kit_intercept(k, (write ? INTERCEPT_CR0_WRITE : INTERCEPT_CR0_READ) + n);
            kit_exited(k, kit_exec(k, bytes, 4), (write ? 0x10u : 0) + n, MOV_INFO(10), 0,
                       CODE_SPA + 4);
        }
    }
    for (unsigned n = 0; n < 8; n++) {
        for (unsigned write = 0; write < 2; write++) {
            uint8_t bytes[] = { 0x0f, (uint8_t)(0x21 | write << 1), (uint8_t)(0xc0 | n << 3 | 6) };
            kit_mode(k, MODE_LONG64, 0);
            k->cpu->r[REG_RSI] = 0x400;
            kit_guest(k);
            kit_intercept(k, (write ? INTERCEPT_DR0_WRITE : INTERCEPT_DR0_READ) + n);
            kit_exited(k, kit_exec(k, bytes, 3), (write ? 0x30u : 0x20u) + n, 6, 0, CODE_SPA + 3);
        }
    }
}

/* rows: exit 2.8-2.10 */
WITH_KIT(illegal_values_fault_before_the_intercept)
{
    static const struct {
        uint8_t n;
        uint64_t value;
    } rows[] = {
        { 0, CR0_64 | CR0_NW }, { 0, 1ull << 32 }, { 3, 1ull << 50 }, { 4, 0 }, { 4, 1ull << 40 }
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        kit_intercept(k, INTERCEPT_CR0_WRITE + rows[i].n);
        kit_intercept(k, INTERCEPT_CR0_SEL_WRITE);
        kit_raised(k, write_cr(k, rows[i].n, rows[i].value), EXC_GP, 0);
    }
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_DR0_WRITE + 6);
    kit_raised(k, write_dr(k, 6, 1ull << 32), EXC_GP, 0);
    kit_mode(k, MODE_LONG64, 3);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CR0_WRITE);
    kit_raised(k, write_cr(k, 0, CR0_64), EXC_GP, 0);
}

/* rows: svmop 14.14, exit 2.9 */
WITH_KIT(intercepted_cr3_write_flushes_nothing)
{
    kit_guest(k);
    fill(k);
    uint16_t asid = k->cpu->svm->asid;
    kit_intercept(k, INTERCEPT_CR0_WRITE + 3);
    ck_assert_int_eq(write_cr(k, 3, PML4_SPA), STEP_VMEXIT);
    ck_assert(cached(k, 1, asid, 0));
}

/* APM vol 2, 15.16.1 "TLB Flush": it is the hypervisor's business then. */
/* rows: svmop 14.14 */
WITH_KIT(intercepted_instruction_flushes_nothing)
{
    static const struct {
        const char *bytes;
        unsigned len, intercept;
        uint64_t rax;
    } rows[] = {
        { "\x0f\x01\x3b", 3, INTERCEPT_INVLPG, 0 },
        { "\x0f\x01\xdf", 3, INTERCEPT_INVLPGA, PAGED_LA + 4096 },
        { "\x66\x0f\x38\x82\x03", 5, INTERCEPT_INVPCID, 2 },
        { "\x0f\x22\xe0", 3, INTERCEPT_CR0_WRITE + 4, CR4_PAE | CR4_PGE },
        { "\x0f\x22\xc0", 3, INTERCEPT_CR0_WRITE, CR0_64 & ~(uint64_t)CR0_WP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        fill(k);
        uint16_t asid = k->cpu->svm->asid;
        kit_intercept(k, rows[i].intercept);
        k->cpu->r[REG_RAX] = rows[i].rax;
        k->cpu->r[REG_RBX] = PAGED_LA + 4096;
        k->cpu->r[REG_RCX] = asid;
        ck_assert_int_eq(kit_exec(k, rows[i].bytes, rows[i].len), STEP_VMEXIT);
        ck_assert_msg(cached(k, 0, asid, 0) && cached(k, 1, asid, 0), "row %u", i);
    }
}

/* rows: exit 1.2.6, 2.11 */
WITH_KIT(selective_cr0_intercept_looks_at_changes)
{
    static const struct {
        uint64_t value;
        bool exits;
    } rows[] = {
        { CR0_64, false },
        { CR0_64 | CR0_TS | CR0_MP, false },
        { CR0_64 & ~(uint64_t)CR0_ET, false },
        { CR0_64 | 1u << 6, false }, /* no such bit */
        { CR0_64 | CR0_EM, true },
        { CR0_64 | CR0_CD, true },
        { CR0_64 & ~(uint64_t)CR0_WP, true },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->r[REG_RAX] = rows[i].value;
        kit_guest(k);
        kit_intercept(k, INTERCEPT_CR0_SEL_WRITE);
        enum step step = EXEC(k, MOV_CR0_RAX);
        if (rows[i].exits)
            kit_exited(k, step, VMEXIT_CR0_SEL_WRITE, MOV_INFO(0), 0, CODE_SPA + 3);
        else
            ck_assert_int_eq(step, STEP_LEAVE);
    }
}

/* rows: exit 2.11 */
WITH_KIT(plain_cr0_intercept_wins_over_the_selective_one)
{
    k->cpu->r[REG_RAX] = CR0_64 | CR0_CD;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CR0_SEL_WRITE);
    kit_intercept(k, INTERCEPT_CR0_WRITE);
    kit_exited(k, EXEC(k, MOV_CR0_RAX), VMEXIT_CR0_WRITE, MOV_INFO(0), 0, CODE_SPA + 3);
}

/* rows: exit 2.7-2.8, 2.11 */
WITH_KIT(lmsw_clts_smsw_intercepts)
{
    k->cpu->r[REG_RAX] = 1;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CR0_SEL_WRITE); /* LMSW: even if nothing changes */
    kit_exited(k, EXEC(k, "\x0f\x01\xf0"), VMEXIT_CR0_SEL_WRITE, 0, 0, CODE_SPA + 3);

    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CR0_SEL_WRITE); /* CLTS: never */
    ck_assert_int_eq(EXEC(k, "\x0f\x06"), STEP_LEAVE);
    k->cpu->r[REG_RIP] = CODE_SPA;
    kit_intercept(k, INTERCEPT_CR0_WRITE);
    kit_exited(k, EXEC(k, "\x0f\x06"), VMEXIT_CR0_WRITE, 0, 0, CODE_SPA + 2);

    kit_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RBX] = NONCANON; /* before the memory operand */
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CR0_READ);
    kit_intercept(k, INTERCEPT_CR0_WRITE);
    kit_exited(k, EXEC(k, "\x0f\x01\x23"), VMEXIT_CR0_READ, 0, 0, CODE_SPA + 3);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CR0_WRITE);
    kit_exited(k, EXEC(k, "\x0f\x01\x33"), VMEXIT_CR0_WRITE, 0, 0, CODE_SPA + 3);
}

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *all = tcase_create("all");
    tcase_add_test(all, cr0_upper_half_must_be_zero);
    tcase_add_test(all, cr0_pg_needs_pe);
    tcase_add_test(all, cr0_nw_needs_cd);
    tcase_add_test(all, cr0_pg_with_lme_activates_long_mode);
    tcase_add_test(all, cr0_pg_with_lme_needs_pae);
    tcase_add_test(all, cr0_pg_with_lme_needs_cs_l_clear);
    tcase_add_test(all, cr0_pg_with_lme_refuses_a_16_bit_tss);
    tcase_add_test(all, cr0_pg_cannot_be_cleared_in_64_bit_mode);
    tcase_add_test(all, cr0_pg_cannot_be_cleared_with_pcide);
    tcase_add_test(all, cr0_reserved_bits_are_ignored_and_et_reads_1);
    tcase_add_test(all, lmsw_sets_but_does_not_clear_pe);
    tcase_add_test(all, clts_clears_ts);
    tcase_add_test(all, smsw_widths);
    tcase_add_test(all, cr2_takes_any_value);
    tcase_add_test(all, cr3_beyond_the_physical_width_is_gp);
    tcase_add_test(all, cr3_bit_63_is_not_stored_with_pcide);
    tcase_add_test(all, cr4_takes_exactly_the_bits_of_the_model);
    tcase_add_test(all, cr4_pae_cannot_be_cleared_in_long_mode);
    tcase_add_test(all, cr4_la57_cannot_change_in_long_mode);
    tcase_add_test(all, cr4_pcide_needs_long_mode_and_pcid_0);
    tcase_add_test(all, cr8_is_the_tpr);
    tcase_add_test(all, cr8_in_a_guest_follows_v_intr_masking);
    tcase_add_test(all, other_crs_are_ud_before_privilege);
    tcase_add_test(all, efer_takes_exactly_the_bits_of_the_model);
    tcase_add_test(all, efer_bits_follow_features);
    tcase_add_test(all, efer_lme_cannot_change_with_paging);
    tcase_add_test(all, efer_lma_must_not_differ);
    tcase_add_test(all, efer_svme_needs_svmdis_clear);
    tcase_add_test(all, clearing_svme_sets_gif);
    tcase_add_test(all, dr0_to_dr3_hold_64_bits);
    tcase_add_test(all, dr6_and_dr7_have_fixed_bits);
    tcase_add_test(all, dr6_and_dr7_upper_halves_are_gp);
    tcase_add_test(all, dr4_and_dr5_alias_or_are_ud);
    tcase_add_test(all, dr7_gd_is_a_fault_before_privilege);
    tcase_add_test(all, mov_cr3_keeps_globals_and_other_asids);
    tcase_add_test(all, mov_cr3_with_pcide_flushes_the_new_pcid);
    tcase_add_test(all, cr4_changes_flush_the_asid_or_nothing);
    tcase_add_test(all, cr0_changes_flush_for_pg_and_wp);
    tcase_add_test(all, efer_nxe_flushes);
    tcase_add_test(all, memory_type_msr_writes_flush_every_asid);
    tcase_add_test(all, invlpg_takes_one_page_global_or_not);
    tcase_add_test(all, invlpg_adds_the_segment_base);
    tcase_add_test(all, invpcid_types);
    tcase_add_test(all, invpcid_checks);
    tcase_add_test(all, every_cr_and_dr_intercept_reports_the_gpr);
    tcase_add_test(all, illegal_values_fault_before_the_intercept);
    tcase_add_test(all, intercepted_cr3_write_flushes_nothing);
    tcase_add_test(all, intercepted_instruction_flushes_nothing);
    tcase_add_test(all, selective_cr0_intercept_looks_at_changes);
    tcase_add_test(all, plain_cr0_intercept_wins_over_the_selective_one);
    tcase_add_test(all, lmsw_clts_smsw_intercepts);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

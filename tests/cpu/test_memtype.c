/* Memory types: MTRRs, PAT, their combinations, and those of nested paging. APM vol 2, 7.7, 7.8, 7.9.1, 15.25.8. */
#include "emu/cpu/memtype.h"
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

#define DEF_E 0x800u
#define DEF_FE 0x400u
#define V 0x800u
#define FIX_DRAM_EN (1u << 18)
#define PAT_RESET 0x0007040600070406ull
#define TYPES 6

static const enum memory_type in_order[] = { MEMORY_UC, MEMORY_UC_MINUS, MEMORY_WC,
                                             MEMORY_WP, MEMORY_WT,       MEMORY_WB };

static enum memory_type type_named(const char *name)
{
    for (int t = 0; t <= MEMORY_WC_PLUS; t++)
        if (t != 2 && t != 3 && strcmp(memtype_name((enum memory_type)t), name) == 0)
            return (enum memory_type)t;
    ck_abort_msg("no type %s", name);
    return MEMORY_UC;
}

/* The names of a row of a table, separated by spaces. */
static enum memory_type field(const char *row, unsigned n)
{
    char name[8] = "";
    for (; n; n--)
        row = strchr(row, ' ') + 1;
    memcpy(name, row, strcspn(row, " "));
    return type_named(name);
}

/* Table 15-19, as the manual prints it. */
/* rows: svmop 15.4.1, 15.4.2, 15.4.3, 15.4.4, 15.4.5, 15.4.6 */
START_TEST(guest_and_host_pat_types)
{
    static const char *const rows[TYPES] = { "UC UC UC UC UC UC",    "UC UC- WC UC UC UC",
                                             "WC WC WC WC+ WC+ WC+", "UC UC UC WP UC WP",
                                             "UC UC UC UC WT WT",    "UC UC WC WP WT WB" };
    for (unsigned guest = 0; guest < TYPES; guest++)
        for (unsigned host = 0; host < TYPES; host++)
            ck_assert_msg(
                memtype_combine_pats(in_order[guest], in_order[host]) == field(rows[guest], host),
                "guest %s, host %s", memtype_name(in_order[guest]), memtype_name(in_order[host]));
}
END_TEST

/* Tables 7-11 and 15-20; the columns are UC, WC, WP, WT, WB. */
/* rows: svmop 15.4.7, 15.4.8, 15.4.9, 15.4.10, 15.4.11, 15.4.12, 15.4.13 */
START_TEST(pat_and_mtrr_types)
{
    static const struct {
        const char *pat, *effective;
    } rows[] = { { "UC", "UC CD CD CD CD" }, { "UC-", "UC WC CD CD CD" },
                 { "WC", "WC WC WC WC WC" }, { "WC+", "WC WC WC+ WC+ WC+" },
                 { "WP", "UC CD WP CD WP" }, { "WT", "UC CD CD WT WT" },
                 { "WB", "UC WC WP WT WB" } };
    static const char columns[] = "UC WC WP WT WB";
    for (unsigned pat = 0; pat < sizeof(rows) / sizeof(rows[0]); pat++)
        for (unsigned mtrr = 0; mtrr < 5; mtrr++)
            ck_assert_msg(memtype_combine_mtrr(type_named(rows[pat].pat), field(columns, mtrr)) ==
                              field(rows[pat].effective, mtrr),
                          "PAT %s, MTRR %u", rows[pat].pat, mtrr);
}
END_TEST

/* --- MTRRs ---------------------------------------------------------------------------------- */

/* Every field of the eleven registers, at both ends of its range. Table 7-7. */
START_TEST(fixed_ranges)
{
    unsigned n = 0;
    for (uint64_t at = 0, bytes; at < 0x100000; at += bytes, n++) {
        struct cpu_msrs msr = { .mtrr_def = DEF_E | DEF_FE | MEMORY_WB };
        bytes = at < 0x80000 ? 0x10000 : at < 0xc0000 ? 0x4000 : 0x1000;
        for (unsigned i = 0; i < 11; i++)
            msr.mtrr_fix[i] = 0x0404040404040404;
        msr.mtrr_fix[n / 8] ^= 1ull << 8 * (n % 8); /* this one is WP */
        ck_assert_int_eq(mtrr_find(&msr, at).type, MEMORY_WP);
        ck_assert_int_eq(mtrr_find(&msr, at + bytes - 1).type, MEMORY_WP);
        ck_assert(mtrr_find(&msr, at).fixed);
        ck_assert_int_eq(mtrr_find(&msr, at - 1).type, at ? MEMORY_WT : MEMORY_WB);
        ck_assert_int_eq(mtrr_find(&msr, at + bytes).type,
                         at + bytes < 0x100000 ? MEMORY_WT : MEMORY_WB);
    }
    ck_assert_uint_eq(n, 88);
}
END_TEST

START_TEST(enables_of_mtrrs)
{
    struct cpu_msrs msr = { .mtrr_def = MEMORY_WB, .mtrr_fix = { 0x0101010101010101 } };
    msr.mtrr_phys[0] = 0 | MEMORY_WT;
    msr.mtrr_phys[1] = 0x0000fffffff00000 | V;
    ck_assert_int_eq(mtrr_find(&msr, 0).type, MEMORY_UC); /* all off */
    ck_assert_int_eq(mtrr_find(&msr, 0x200000).type, MEMORY_UC);
    msr.mtrr_def |= DEF_FE; /* nothing without E */
    ck_assert_int_eq(mtrr_find(&msr, 0).type, MEMORY_UC);
    msr.mtrr_def |= DEF_E;
    ck_assert_int_eq(mtrr_find(&msr, 0).type, MEMORY_WC); /* fixed wins over variable */
    ck_assert_int_eq(mtrr_find(&msr, 0x80000).type, MEMORY_UC);
    ck_assert_int_eq(mtrr_find(&msr, 0x200000).type, MEMORY_WB);
    msr.mtrr_def &= ~(uint64_t)DEF_FE;
    ck_assert_int_eq(mtrr_find(&msr, 0).type, MEMORY_WT);
    ck_assert_int_eq(mtrr_find(&msr, 0xfffff).type, MEMORY_WT);
    ck_assert_int_eq(mtrr_find(&msr, 0x100000).type, MEMORY_WB);
    msr.mtrr_phys[1] &= ~(uint64_t)V;
    ck_assert_int_eq(mtrr_find(&msr, 0).type, MEMORY_WB);
}
END_TEST

/* The manual's example: 32 MiB from 200_0000h, in 48 bits. 7.7.2 "MTRRs". */
START_TEST(variable_range_by_base_and_mask)
{
    for (unsigned pair = 0; pair < 8; pair++) {
        struct cpu_msrs msr = { .mtrr_def = DEF_E | MEMORY_UC };
        msr.mtrr_phys[2 * pair] = 0x2000000 | MEMORY_WB;
        msr.mtrr_phys[2 * pair + 1] = 0x0000fffffe000000 | V;
        ck_assert_int_eq(mtrr_find(&msr, 0x1ffffff).type, MEMORY_UC);
        ck_assert_int_eq(mtrr_find(&msr, 0x2000000).type, MEMORY_WB);
        ck_assert_int_eq(mtrr_find(&msr, 0x3ffffff).type, MEMORY_WB);
        ck_assert_int_eq(mtrr_find(&msr, 0x4000000).type, MEMORY_UC);
        ck_assert_int_eq(mtrr_find(&msr, 0x800002000000).type, MEMORY_UC);
    }
}
END_TEST

/* 7.7.4 "Overlapping MTRR Registers". */
START_TEST(overlapping_variable_ranges)
{
    static const struct {
        enum memory_type a, b, result;
        bool undefined;
    } rows[] = {
        { MEMORY_WB, MEMORY_WB, MEMORY_WB, false }, { MEMORY_WC, MEMORY_WC, MEMORY_WC, false },
        { MEMORY_UC, MEMORY_WB, MEMORY_UC, false }, { MEMORY_WC, MEMORY_UC, MEMORY_UC, false },
        { MEMORY_WT, MEMORY_WB, MEMORY_WT, false }, { MEMORY_WB, MEMORY_WT, MEMORY_WT, false },
        { MEMORY_WP, MEMORY_WB, MEMORY_WP, true },  { MEMORY_WP, MEMORY_WT, MEMORY_WP, true },
        { MEMORY_WC, MEMORY_WB, MEMORY_WC, true },  { MEMORY_WT, MEMORY_WC, MEMORY_WC, true }
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_msrs msr = { .mtrr_def = DEF_E | MEMORY_WB };
        msr.mtrr_phys[0] = 0x40000000 | rows[i].a;
        msr.mtrr_phys[1] = 0x0000ffffc0000000 | V;
        msr.mtrr_phys[14] = 0x40000000 | rows[i].b;
        msr.mtrr_phys[15] = 0x0000fffff0000000 | V;
        struct mtrr_range both = mtrr_find(&msr, 0x4fffffff);
        ck_assert_int_eq(both.type, rows[i].result);
        ck_assert_int_eq(both.undefined, rows[i].undefined);
        ck_assert_int_eq(mtrr_find(&msr, 0x50000000).type, rows[i].a);
        msr.mtrr_phys[4] = 0x40000000 | MEMORY_UC; /* UC wins over everything */
        msr.mtrr_phys[5] = 0x0000ffffc0000000 | V;
        both = mtrr_find(&msr, 0x4fffffff);
        ck_assert(both.type == MEMORY_UC && !both.undefined);
    }
}
END_TEST

/* RdMem and WrMem need SYSCFG.MtrrFixDramEn, and no other enable. 7.9.1. */
START_TEST(fixed_ranges_direct_to_memory)
{
    struct cpu_msrs msr = { .mtrr_fix = { [3] = 0x1d150d0500000000 } }; /* from C_4000h on */
    for (unsigned i = 0; i < 4; i++)
        ck_assert(!mtrr_find(&msr, 0xc4000 + 0x1000 * i).rd_mem);
    msr.syscfg = FIX_DRAM_EN;
    for (unsigned i = 0; i < 4; i++) {
        struct mtrr_range range = mtrr_find(&msr, 0xc4000 + 0x1000 * i);
        ck_assert_int_eq(range.rd_mem, i >= 2);
        ck_assert_int_eq(range.wr_mem, i & 1);
        ck_assert_int_eq(range.type, MEMORY_UC);
    }
    msr.mtrr_def = DEF_E | DEF_FE;
    ck_assert_int_eq(mtrr_find(&msr, 0xc7000).type, MEMORY_WP);
    ck_assert(!mtrr_find(&msr, 0x100000).rd_mem);
}
END_TEST

/* --- addresses ------------------------------------------------------------------------------- */

#define LA (PAGED_LA + 0x3000)

static enum memory_type type_of(struct kit *k, uint64_t la)
{
    enum memory_type type;
    ck_assert(memtype_of(k->cpu, la, &type));
    return type;
}

/* The index is PAT, PCD, PWT; a large page has its PAT bit elsewhere. Table 7-10. */
WITH_KIT(pat_index_of_a_page)
{
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WB;
    for (unsigned index = 0; index < 8; index++) {
        uint64_t low = (index & 3) << 3;
        k->cpu->msr.pat = ~(0xffull << 8 * index) & 0x0606060606060606;
        k->cpu->msr.pat |= (uint64_t)MEMORY_WP << 8 * index;
        kit_page(k, 3, LA | 7 | low | (index & 4) << 5);
        kit_put(k, 0x3000 + 8 * 3, 8, 0x600000 | 0x87 | low | (index & 4) << 10);
        ck_assert_int_eq(type_of(k, LA), MEMORY_WP);
        ck_assert_int_eq(type_of(k, 0x612345), MEMORY_WP);
        ck_assert_int_eq(type_of(k, LA + 0x1000), index ? MEMORY_WB : MEMORY_WP);
    }
    enum memory_type type;
    kit_page(k, 3, 0);
    ck_assert(!memtype_of(k->cpu, LA, &type));
    kit_page(k, 3, LA | 1); /* whoever may use the page */
    k->cpu->regs.cpl = 3;
    ck_assert(memtype_of(k->cpu, LA, &type));
    ck_assert_uint_eq(kit_get(k, PT_SPA + 24, 8), LA | 1); /* and without effects */
}

WITH_KIT(page_and_mtrr_combine)
{
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WT;
    ck_assert_int_eq(type_of(k, LA), MEMORY_WT);
    kit_page(k, 3, LA | 7 | 0x18); /* PCD, PWT: UC */
    ck_assert_int_eq(type_of(k, LA), MEMORY_CD);
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_UC;
    ck_assert_int_eq(type_of(k, LA), MEMORY_UC);
    kit_mode(k, MODE_PROT32, 0); /* no paging: the MTRR alone */
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WP;
    ck_assert_int_eq(type_of(k, LA), MEMORY_WP);
}

WITH_KIT(cache_disable_bit)
{
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WB;
    k->cpu->regs.cr0 |= CR0_CD;
    ck_assert_int_eq(type_of(k, LA), MEMORY_CD);
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WC;
    ck_assert_int_eq(type_of(k, LA), MEMORY_WC);
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_UC;
    ck_assert_int_eq(type_of(k, LA), MEMORY_UC);
}

/* Guest tables 0x1000 and on, nested tables behind 0x80000, identical addresses. The host PAT is the one at VMRUN. */
/* rows: svmop 15.1.6, 15.1.7 */
WITH_KIT(nested_paging_combines_three_types)
{
    enum { N_PML4 = 0x80000, N_PDPT = 0x81000, N_PD = 0x82000, N_PT = 0x83000 };
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 7);
    for (uint64_t i = 0; i < 8; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    kit_put(k, N_PD + 8 * (PAGED_LA >> 21), 8, N_PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        kit_put(k, N_PT + 8 * i, 8, (PAGED_LA + (i << 12)) | 7);
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WB;
    k->cpu->msr.pat = 0x0606060606060406; /* PA1 WT, the others WB */
    kit_guest(k);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_PML4);
    VMCB_SET(k->vmcb, G_PAT, 0x0606060606010506); /* PA1 WP, PA2 WC */
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
    ck_assert_int_eq(type_of(k, LA), MEMORY_WB);
    kit_page(k, 3, LA | 7 | 0x08); /* guest WP */
    ck_assert_int_eq(type_of(k, LA), MEMORY_WP);
    kit_put(k, N_PT + 24, 8, LA | 7 | 0x08); /* nested WT: WP with WT is UC, and UC with WB is CD */
    ck_assert_int_eq(type_of(k, LA), MEMORY_CD);
    kit_page(k, 3, LA | 7 | 0x10); /* guest WC with nested WT */
    ck_assert_int_eq(type_of(k, LA), MEMORY_WC_PLUS);
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_UC; /* MTRRs are the host's */
    ck_assert_int_eq(type_of(k, LA), MEMORY_WC);
    k->cpu->msr.mtrr_def = DEF_E | MEMORY_WB;
    kit_page(k, 3, LA | 7);
    ck_assert_int_eq(type_of(k, LA), MEMORY_WT);
    k->cpu->regs.cr0 |= CR0_CD; /* gCR0.CD */
    ck_assert_int_eq(type_of(k, LA), MEMORY_CD);
    k->cpu->regs.cr0 &= ~(uint64_t)CR0_CD;
    k->cpu->svm->host_cr0 |= CR0_CD;
    ck_assert_int_eq(type_of(k, LA), MEMORY_CD);
    k->cpu->svm->host_cr0 &= ~(uint64_t)CR0_CD;
    k->cpu->regs.cr0 &= ~(uint64_t)CR0_PG; /* no guest tables: the nested entry alone */
    cpu_update_mode(k->cpu);
    ck_assert_int_eq(type_of(k, LA), MEMORY_WT);
}

/* hCR0.CD is the CR0 of the host at VMRUN. */
WITH_KIT(host_cr0_is_kept_at_vmrun)
{
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, G_PAT, PAT_RESET);
    k->cpu->regs.cr0 |= CR0_CD;
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->svm->host_cr0 & CR0_CD, CR0_CD);
    ck_assert_uint_eq(k->cpu->regs.cr0 & CR0_CD, 0);
}

CHECK_MAIN("cpu/memtype", guest_and_host_pat_types, pat_and_mtrr_types, fixed_ranges,
           enables_of_mtrrs, variable_range_by_base_and_mask, overlapping_variable_ranges,
           fixed_ranges_direct_to_memory, pat_index_of_a_page, page_and_mtrr_combine,
           cache_disable_bit, nested_paging_combines_three_types, host_cr0_is_kept_at_vmrun)

/* The consistency checks of VMRUN, each on both sides of its boundary, by the name of its rule.
 * APM vol 2, 15.5.1 "Basic Operation", "Canonicalization and Consistency Checks". */
#include "tests/svm/world.h"

#define LOADED NULL /* the VMCB is accepted */

struct change {
    enum vmcb_field field;
    uint64_t value;
};

struct row {
    const char *what;
    const char *rule; /* name in svm/rules.def, or LOADED */
    struct change changes[3];
    uint32_t features; /* offered besides the usual ones */
};

#define SET(field, value)   \
    {                       \
        VMCB_##field, value \
    }
#define NP SET(NESTED_CONTROL, NESTED_NP_ENABLE)
#define PAT(byte) ((PAT_RESET & ~UINT64_C(0xff00)) | UINT64_C(byte) << 8)
#define INJECT(type, vector) (EVENTINJ_V | (type) << 8 | (vector))
#define LEGACY SET(EFER, EFER_SVME)

static const struct row rows[] = {
    { "the VMCB the rows start from", LOADED, { { 0 } } },
    { "EFER.SVME 0", "efer_svme", { SET(EFER, EFER_LONG & ~UINT64_C(0x1000)) } },
    { "EFER.SCE and NXE 0", LOADED, { SET(EFER, 0x1500) } },
    { "CR0 NW without CD", "cr0_cd_nw", { SET(CR0, CR0_HOST | CR0_NW) } },
    { "CR0 NW with CD", LOADED, { SET(CR0, CR0_HOST | CR0_NW | CR0_CD) } },
    { "CR0 CD without NW", LOADED, { SET(CR0, CR0_HOST | CR0_CD) } },
    { "CR0 bit 32", "cr0_high", { SET(CR0, CR0_HOST | UINT64_C(1) << 32) } },
    { "CR0 bit 63", "cr0_high", { SET(CR0, CR0_HOST | UINT64_C(1) << 63) } },
    { "CR0 reserved bits below 32", LOADED, { SET(CR0, CR0_HOST | 0x1ffaffc0) } },
    { "CR0.ET and NE 0", LOADED, { SET(CR0, CR0_HOST & ~UINT64_C(0x30)) } },
    { "CR3 bit 47", LOADED, { SET(CR3, UINT64_C(1) << 47) } },
    { "CR3 bit 48", "cr3_mbz", { SET(CR3, UINT64_C(1) << 48) } },
    { "CR3 bit 63", "cr3_mbz", { SET(CR3, UINT64_C(1) << 63) } },
    { "CR3 bit 48 without paging",
      "cr3_mbz",
      { SET(CR3, UINT64_C(1) << 48), SET(CR0, 0x31), LEGACY } },
    { "CR3 bits 11:0", LOADED, { SET(CR3, TABLES_SPA | 0xfff) } },
    { "CR4 bit 13", "cr4_mbz", { SET(CR4, CR4_PAE | 1u << 13) } },
    { "CR4 bit 15", "cr4_mbz", { SET(CR4, CR4_PAE | 1u << 15) } },
    { "CR4.CET with CR0.WP", LOADED, { SET(CR4, CR4_PAE | CR4_CET) } },
    { "CR4.CET without CR0.WP",
      "cet_wp",
      { SET(CR4, CR4_PAE | CR4_CET), SET(CR0, CR0_HOST & ~(uint64_t)CR0_WP) } },
    { "CR0.WP 0", LOADED, { SET(CR0, CR0_HOST & ~(uint64_t)CR0_WP) } },
    { "S_CET with all that exists", LOADED, { SET(S_CET, 3) } },
    { "S_CET bit 2", "s_cet_mbz", { SET(S_CET, 4) } },
    { "S_CET bit 63", "s_cet_mbz", { SET(S_CET, UINT64_C(1) << 63) } },
    { "CR4 bit 31", "cr4_mbz", { SET(CR4, CR4_PAE | 1u << 31) } },
    { "CR4 bit 32", "cr4_mbz", { SET(CR4, CR4_PAE | UINT64_C(1) << 32) } },
    { "CR4 bit 63", "cr4_mbz", { SET(CR4, CR4_PAE | UINT64_C(1) << 63) } },
    { "CR4 with all that exists", LOADED, { SET(CR4, 0xf71fff) } },
    { "DR6 bit 31", LOADED, { SET(DR6, UINT64_C(1) << 31) } },
    { "DR6 bit 32", "dr6_high", { SET(DR6, UINT64_C(1) << 32) } },
    { "DR6 bit 63", "dr6_high", { SET(DR6, UINT64_C(1) << 63) } },
    { "DR7 bit 31", LOADED, { SET(DR7, UINT64_C(1) << 31) } },
    { "DR7 bit 32", "dr7_high", { SET(DR7, UINT64_C(1) << 32) } },
    { "DR7 bit 63", "dr7_high", { SET(DR7, UINT64_C(1) << 63) } },
    { "EFER bit 1", "efer_mbz", { SET(EFER, EFER_LONG | 2) } },
    { "EFER bit 9", "efer_mbz", { SET(EFER, EFER_LONG | 1u << 9) } },
    { "EFER bit 16", "efer_mbz", { SET(EFER, EFER_LONG | 1u << 16) } },
    { "EFER bit 20", "efer_mbz", { SET(EFER, EFER_LONG | 1u << 20) } },
    { "EFER bit 32", "efer_mbz", { SET(EFER, EFER_LONG | UINT64_C(1) << 32) } },
    { "EFER bit 63", "efer_mbz", { SET(EFER, EFER_LONG | UINT64_C(1) << 63) } },
    { "EFER.LMA without LME", LOADED, { SET(EFER, EFER_SVME | EFER_LMA) } },
    { "EFER.LME without LMA", LOADED, { SET(EFER, EFER_SVME | EFER_LME) } },
    { "LME and PG without PAE", "lme_pg_pae", { SET(CR4, 0) } },
    { "PG without LME and PAE", LOADED, { SET(CR4, 0), LEGACY } },
    { "LME without PG and PAE", LOADED, { SET(CR4, 0), SET(CR0, 0x31) } },
    { "LME and PG without PE", "lme_pg_pe", { SET(CR0, 0x80000030) } },
    { "paged real mode: PG without PE and LME",
      LOADED,
      { SET(CR0, 0x80000030), LEGACY, SET(CR4, 0) } },
    { "LME without PG and PE", LOADED, { SET(CR0, 0x30) } },
    { "CS.L and CS.D in long mode", "cs_l_d", { SET(CS_ATTR, 0xe9b) } },
    { "CS.L and CS.D outside long mode", LOADED, { SET(CS_ATTR, 0xe9b), LEGACY, SET(CR4, 0) } },
    { "CS.D in long mode", LOADED, { SET(CS_ATTR, 0xc9b) } },
    { "the VMRUN intercept clear", "vmrun_intercept", { SET(INTERCEPT_4, 0xfffffffe) } },
    { "only the VMRUN intercept", LOADED, { SET(INTERCEPT_4, 1) } },
    { "IOPM three pages below the limit", LOADED, { SET(IOPM_BASE_PA, LIMIT_SPA - 0x3000) } },
    { "IOPM three pages below, low bits", LOADED, { SET(IOPM_BASE_PA, LIMIT_SPA - 0x2001) } },
    { "IOPM two pages below the limit", "iopm_address", { SET(IOPM_BASE_PA, LIMIT_SPA - 0x2000) } },
    { "IOPM at the limit", "iopm_address", { SET(IOPM_BASE_PA, LIMIT_SPA) } },
    { "IOPM at the end of 64 bits", "iopm_address", { SET(IOPM_BASE_PA, UINT64_MAX) } },
    { "MSRPM three pages below the limit", LOADED, { SET(MSRPM_BASE_PA, LIMIT_SPA - 0x3000) } },
    { "MSRPM two pages below the limit",
      "msrpm_address",
      { SET(MSRPM_BASE_PA, LIMIT_SPA - 0x2000) } },
    { "MSRPM at the limit", "msrpm_address", { SET(MSRPM_BASE_PA, LIMIT_SPA) } },
    { "MSRPM at the end of 64 bits", "msrpm_address", { SET(MSRPM_BASE_PA, UINT64_MAX) } },
    { "ASID 0", "asid_zero", { SET(GUEST_ASID, 0) } },
    { "ASID 32767", LOADED, { SET(GUEST_ASID, 32767) } },
    { "ASID 32768", "asid_limit", { SET(GUEST_ASID, 32768) } },
    { "ASID 10000h: all of 32 bits count", "asid_limit", { SET(GUEST_ASID, 0x10000) } },
    { "#BR in 64-bit mode", "eventinj_br", { SET(EVENTINJ, INJECT(3, 5)) } },
    { "#BR in compatibility mode", LOADED, { SET(EVENTINJ, INJECT(3, 5)), SET(CS_ATTR, 0xc9b) } },
    { "#BR outside long mode", LOADED, { SET(EVENTINJ, INJECT(3, 5)), LEGACY, SET(CR4, 0) } },
    { "INT 5 in 64-bit mode", LOADED, { SET(EVENTINJ, INJECT(4, 5)) } },
    { "nested paging", LOADED, { NP, SET(N_CR3, TABLES_SPA) } },
    { "N_CR3 bit 47", LOADED, { NP, SET(N_CR3, UINT64_C(1) << 47) } },
    { "N_CR3 bit 48", "n_cr3_mbz", { NP, SET(N_CR3, UINT64_C(1) << 48) } },
    { "N_CR3 bit 63", "n_cr3_mbz", { NP, SET(N_CR3, UINT64_C(1) << 63) } },
    { "N_CR3 nonsense without nested paging", LOADED, { SET(N_CR3, UINT64_MAX) } },
    { "G_PAT type 0", LOADED, { NP, SET(G_PAT, PAT(0)) } },
    { "G_PAT type 1", LOADED, { NP, SET(G_PAT, PAT(1)) } },
    { "G_PAT type 2", "g_pat", { NP, SET(G_PAT, PAT(2)) } },
    { "G_PAT type 3", "g_pat", { NP, SET(G_PAT, PAT(3)) } },
    { "G_PAT type 4", LOADED, { NP, SET(G_PAT, PAT(4)) } },
    { "G_PAT type 5", LOADED, { NP, SET(G_PAT, PAT(5)) } },
    { "G_PAT type 6", LOADED, { NP, SET(G_PAT, PAT(6)) } },
    { "G_PAT type 7", LOADED, { NP, SET(G_PAT, PAT(7)) } },
    { "G_PAT type 8", "g_pat", { NP, SET(G_PAT, PAT(8)) } },
    { "G_PAT bit 63", "g_pat", { NP, SET(G_PAT, PAT_RESET | UINT64_C(1) << 63) } },
    { "G_PAT nonsense without nested paging", LOADED, { SET(G_PAT, UINT64_MAX) } },

    /* what hardware does not check */
    { "a non-canonical RIP", LOADED, { SET(RIP, UINT64_C(1) << 63) } },
    { "a non-canonical RSP", LOADED, { SET(RSP, UINT64_C(1) << 63) } },
    { "RFLAGS.VM with any segments", LOADED, { SET(RFLAGS, 0x20002), LEGACY, SET(CR4, 0) } },
    { "nonsense in SS", LOADED, { SET(SS_ATTR, 0xffff), SET(SS_BASE, UINT64_MAX) } },
    { "a reserved EVENTINJ type with V 0", LOADED, { SET(EVENTINJ, UINT64_C(7) << 8) } },
    { "reserved EVENTINJ bits", LOADED, { SET(EVENTINJ, UINT64_C(0xfffff030)) } },

    /* features that are not offered: their bits are ignored */
    { "SSS without nested paging", LOADED, { SET(NESTED_CONTROL, NESTED_SSS_ENABLE) } },
    { "SEV without nested paging", LOADED, { SET(NESTED_CONTROL, 6) } },
    { "AVIC without nested paging", LOADED, { SET(VINTR_CONTROL, VINTR_AVIC_ENABLE) } },
    { "X2AVIC without AVIC", LOADED, { SET(VINTR_CONTROL, VINTR_X2AVIC_ENABLE) } },
    { "AVIC addresses",
      LOADED,
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_BACKING_PAGE, UINT64_MAX) } },

    /* and their rules once they are */
    { "SSS", "sss_needs_np", { SET(NESTED_CONTROL, NESTED_SSS_ENABLE) }, SVM_FEATURE_SSS },
    { "SSS with nested paging",
      LOADED,
      { SET(NESTED_CONTROL, NESTED_SSS_ENABLE | NESTED_NP_ENABLE) },
      SVM_FEATURE_SSS },
    { "V_NMI", "vnmi_intercept", { SET(VINTR_CONTROL, VINTR_NMI_ENABLE) }, SVM_FEATURE_VNMI },
    { "V_NMI with the NMI intercept",
      LOADED,
      { SET(VINTR_CONTROL, VINTR_NMI_ENABLE), SET(INTERCEPT_3, 2) },
      SVM_FEATURE_VNMI },
    { "AVIC", "avic_needs_np", { SET(VINTR_CONTROL, VINTR_AVIC_ENABLE) }, SVM_FEATURE_AVIC },
    { "AVIC with nested paging",
      LOADED,
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE) },
      SVM_FEATURE_AVIC },
    { "AVIC backing page",
      "avic_backing_page",
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_BACKING_PAGE, LIMIT_SPA) },
      SVM_FEATURE_AVIC },
    { "AVIC logical table",
      "avic_logical_table",
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_LOGICAL_TABLE, LIMIT_SPA) },
      SVM_FEATURE_AVIC },
    { "AVIC physical table",
      "avic_physical_table",
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_PHYSICAL_TABLE, LIMIT_SPA) },
      SVM_FEATURE_AVIC },
    { "AVIC bar",
      "avic_apic_bar",
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_APIC_BAR, LIMIT_SPA) },
      SVM_FEATURE_AVIC },
    { "AVIC index 255",
      LOADED,
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_PHYSICAL_TABLE, 255) },
      SVM_FEATURE_AVIC },
    { "AVIC index 256",
      "avic_max_index",
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE), SET(AVIC_PHYSICAL_TABLE, 256) },
      SVM_FEATURE_AVIC },
    { "X2AVIC",
      "x2avic_needs_avic",
      { NP, SET(VINTR_CONTROL, VINTR_X2AVIC_ENABLE) },
      SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC },
    { "X2AVIC index 511",
      LOADED,
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE),
        SET(AVIC_PHYSICAL_TABLE, 511) },
      SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC },
    { "X2AVIC index 512",
      "avic_max_index",
      { NP, SET(VINTR_CONTROL, VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE),
        SET(AVIC_PHYSICAL_TABLE, 512) },
      SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct svm_rule *find_rule(const char *name)
{
    for (unsigned i = 0; i < svm_rule_count; i++)
        if (strcmp(svm_rules[i].name, name) == 0)
            return &svm_rules[i];
    ck_abort_msg("no rule %s", name);
    return NULL;
}

static void expect(struct world *w, const char *what, const char *name)
{
    enum step step = world_vmrun(w);
    const struct svm_state *svm = w->cpu->svm;
    if (!name) {
        ck_assert_msg(step == STEP_JUMP, "%s: refused by %s", what,
                      svm->invalid.rule ? svm->invalid.rule : "?");
        ck_assert_ptr_null(svm->invalid.rule);
        return;
    }
    const struct svm_rule *rule = find_rule(name);
    ck_assert_msg(step == STEP_VMEXIT, "%s is accepted", what);
    ck_assert_msg(svm->invalid.rule == rule->text, "%s: refused by %s", what, svm->invalid.rule);
    ck_assert_msg(svm->invalid_count == 1, "%s breaks %u rules", what, svm->invalid_count);
    ck_assert_str_eq(svm->invalid.field, vmcb_fields[rule->field].name);
    ck_assert_uint_eq(svm->invalid.value, vmcb_field_value(w->vmcb, rule->field));
    ck_assert_str_eq(svm->invalid.section, rule->section);
}

/* rows: svmop 4.1-4.7, 4.9-4.13, 4.15-4.17, 4.20-4.26, 4.32-4.36, vmcb 2.6, 6.3.1-6.3.2 */
START_TEST(rule_has_both_sides)
{
    const struct row *row = &rows[_i];
    struct world *w = world_new();
    w->cpu->svm->model.features &=
        ~(SVM_FEATURE_SSS | SVM_FEATURE_VNMI | SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC);
    w->cpu->svm->model.features |= row->features;
    w->cpu->svm->model.x2avic_ext = false;
    for (unsigned i = 0; i < 3; i++)
        if (row->changes[i].field || row->changes[i].value) {
            const struct vmcb_field_info *f = &vmcb_fields[row->changes[i].field];
            vmcb_store(w->vmcb, f->offset, f->bytes, row->changes[i].value);
        }
    expect(w, row->what, row->rule);
    world_free(w);
}
END_TEST

/* rows: svmop 4.25, vmcb 2.34 */
/* The extension of x2AVIC has as many processors as the field can name. */
START_TEST(max_index_of_x2avic_by_its_extension)
{
    static const struct {
        uint64_t enables;
        unsigned index;
        bool extended;
        const char *rule;
    } indices[] = {
        { VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE, 512, false, "avic_max_index" },
        { VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE, 512, true, LOADED },
        { VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE, 4095, true, LOADED },
        { VINTR_AVIC_ENABLE, 255, true, LOADED },
        { VINTR_AVIC_ENABLE, 256, true, "avic_max_index" },
    };
    for (unsigned i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        struct world *w = world_new();
        w->cpu->svm->model.x2avic_ext = indices[i].extended;
        VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
        VMCB_SET(w->vmcb, VINTR_CONTROL, indices[i].enables);
        VMCB_SET(w->vmcb, AVIC_PHYSICAL_TABLE, indices[i].index);
        expect(w, "MAX_INDEX", indices[i].rule);
        world_free(w);
    }
}
END_TEST

/* Every rule of the table is shown by a row above or by a test below. */
START_TEST(every_rule_is_tested)
{
    static const char *const below[] = { "eventinj_type", "eventinj_vector", "np_host_paging",
                                         "pdpte",         "cet_v86",         "efer_no_long_mode" };
    for (unsigned r = 0; r < svm_rule_count; r++) {
        bool found = false;
        for (unsigned i = 0; i < ROWS; i++)
            found |= rows[i].rule && strcmp(rows[i].rule, svm_rules[r].name) == 0;
        for (unsigned i = 0; i < sizeof(below) / sizeof(below[0]); i++)
            found |= strcmp(below[i], svm_rules[r].name) == 0;
        ck_assert_msg(found, "%s", svm_rules[r].name);
    }
}
END_TEST

/* EVENTINJ: which type and vector is legal in 64-bit mode. APM vol 2, 15.20 "Event Injection". */
/* rows: svmop 4.14, 6.1-6.7, 6.9, vmcb 4.2 */
START_TEST(eventinj_type_and_vector)
{
    struct world *w = world_new();
    for (unsigned type = 0; type < 8; type++)
        for (unsigned vector = 0; vector < 256; vector++) {
            const char *rule = LOADED;
            if (type == 1 || type >= 5)
                rule = "eventinj_type";
            else if (type == 3 && (vector == 2 || vector > 31))
                rule = "eventinj_vector";
            else if (type == 3 && vector == 5)
                rule = "eventinj_br";
            world_host(w);
            VMCB_SET(w->vmcb, EVENTINJ, INJECT((uint64_t)type, vector));
            expect(w, "EVENTINJ", rule);
        }
    world_free(w);
}
END_TEST

/* rows: svmop 4.19 */
START_TEST(nested_paging_without_host_paging)
{
    struct world *w = world_new();
    w->cpu->regs.cr0 = 0x31;
    w->cpu->regs.efer = EFER_SVME;
    w->cpu->regs.seg[SEG_CS].attr = 0xc9b;
    cpu_update_mode(w->cpu);
    expect(w, "host without paging", LOADED);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->regs.cr0, 0x31);
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    expect(w, "nested paging, host without paging", "np_host_paging");
    world_free(w);
}
END_TEST

/* rows: svmop 4.8 */
START_TEST(long_mode_on_a_part_without_it)
{
    struct world *w = world_new();
    w->cpu->regs.cr0 = 0x31;
    w->cpu->regs.efer = EFER_SVME;
    w->cpu->svm->model.efer_valid &= ~(uint64_t)(EFER_LME | EFER_LMA);
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, CR4, 0);
    expect(w, "no long mode", LOADED);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CR0, 0x31);
    VMCB_SET(w->vmcb, EFER, EFER_SVME | EFER_LME);
    expect(w, "EFER.LME", "efer_no_long_mode");
    VMCB_SET(w->vmcb, EFER, EFER_SVME | EFER_LMA);
    expect(w, "EFER.LMA", "efer_no_long_mode");
    world_free(w);
}
END_TEST

/* U_CET is the processor's. The manual has the rule for every guest, not for encrypted ones alone. */
/* rows: svmop 4.18 */
START_TEST(shadow_stacks_in_virtual_8086_mode)
{
    for (unsigned u_cet = 0; u_cet < 4; u_cet++)
        for (unsigned cet = 0; cet < 2; cet++)
            for (unsigned vm = 0; vm < 2; vm++) {
                struct world *w = world_new();
                w->cpu->shadow.u_cet = u_cet;
                VMCB_SET(w->vmcb, EFER, EFER_SVME);
                VMCB_SET(w->vmcb, CR4, cet ? CR4_CET : 0);
                VMCB_SET(w->vmcb, RFLAGS, vm ? FLAG_VM | 2 : 2);
                expect(w, "RFLAGS.VM", (u_cet & 1) && cet && vm ? "cet_v86" : LOADED);
                world_free(w);
            }
}
END_TEST

/* CR4.CET is one more reserved bit then, and S_CET nobody's. */
START_TEST(shadow_stacks_that_the_model_does_not_have)
{
    struct world *w = world_new();
    w->cpu->svm->model.shadow_stacks = false;
    w->cpu->svm->model.cr4_valid &= ~(uint64_t)CR4_CET;
    VMCB_SET(w->vmcb, S_CET, UINT64_MAX);
    expect(w, "S_CET", LOADED);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, CR0, CR0_HOST & ~(uint64_t)CR0_WP);
    VMCB_SET(w->vmcb, CR4, CR4_PAE | CR4_CET);
    expect(w, "CR4.CET", "cr4_mbz");
    world_free(w);
}
END_TEST

/* Legacy PAE without nested paging loads four PDPTEs from CR3[31:5]. */
/* rows: svmop 3.8, 4.27 */
START_TEST(pdptes_of_legacy_pae)
{
    static const struct {
        uint64_t pdpte;
        bool legal;
    } cases[] = { { 0, true },
                  { 1, true },
                  { 0x19, true },
                  { 0xe19, true },
                  { 1 | 1u << 1, false },
                  { 1 | 1u << 2, false },
                  { 1 | 1u << 5, false },
                  { 1 | 1u << 8, false },
                  { 0x1e6, true /* not present */ },
                  { 1 | UINT64_C(1) << 47, true },
                  { 1 | UINT64_C(1) << 48, false },
                  { 1 | UINT64_C(1) << 63, false } };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned n = 0; n < 4; n++) {
            struct world *w = world_new();
            uint64_t cr3 = TABLES_SPA + 0x20;
            for (unsigned k = 0; k < 4; k++)
                phys_write(w->memory, cr3 + 8 * k, 8,
                           k == n ? cases[i].pdpte : 0x5001 + k * 0x1000);
            VMCB_SET(w->vmcb, EFER, EFER_SVME);
            VMCB_SET(w->vmcb, CR3, cr3 | 0x18);
            expect(w, "PDPTE", cases[i].legal ? LOADED : "pdpte");
            world_free(w);
        }
}
END_TEST

/* rows: svmop 4.27 */
START_TEST(pdptes_are_not_looked_at_otherwise)
{
    struct world *w = world_new();
    phys_write(w->memory, TABLES_SPA, 8, UINT64_MAX);
    expect(w, "long mode", LOADED);
    world_exit(w, VMEXIT_HLT);
    world_guest(w->vmcb);
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    expect(w, "PAE under nested paging", LOADED);
    world_exit(w, VMEXIT_HLT);
    world_guest(w->vmcb);
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, CR0, 0x31);
    expect(w, "PAE without PG", LOADED);
    world_exit(w, VMEXIT_HLT);
    world_guest(w->vmcb);
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, CR4, CR4_PSE);
    expect(w, "legacy paging without PAE", LOADED);
    world_free(w);
}
END_TEST

/* All rules are evaluated; the first in the table's order is the one kept. */
/* rows: svmop 3.7 */
START_TEST(every_broken_rule_is_reported)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, GUEST_ASID, 0);
    VMCB_SET(w->vmcb, EFER, 0);
    VMCB_SET(w->vmcb, INTERCEPT_4, 0);
    VMCB_SET(w->vmcb, DR7, UINT64_MAX);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(w->cpu->svm->invalid_count, 4);
    ck_assert_uint_eq(w->errors, 4);
    ck_assert_str_eq(w->cpu->svm->invalid.rule, "EFER.SVME must be 1");
    ck_assert_str_eq(w->cpu->svm->invalid.field, "EFER");
    static const char *const further[] = { "DR7", "INTERCEPT_4", "GUEST_ASID" };
    for (unsigned i = 0; i < 3; i++)
        ck_assert_str_eq(w->cpu->svm->further[i].field, further[i]);
    ck_assert_uint_eq(w->cpu->svm->further[0].value, UINT64_MAX);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/rules");
    TCase *tc = tcase_create("rules");
    tcase_add_loop_test(tc, rule_has_both_sides, 0, ROWS);
    tcase_add_test(tc, max_index_of_x2avic_by_its_extension);
    tcase_add_test(tc, every_rule_is_tested);
    tcase_add_test(tc, eventinj_type_and_vector);
    tcase_add_test(tc, nested_paging_without_host_paging);
    tcase_add_test(tc, long_mode_on_a_part_without_it);
    tcase_add_test(tc, shadow_stacks_in_virtual_8086_mode);
    tcase_add_test(tc, shadow_stacks_that_the_model_does_not_have);
    tcase_add_test(tc, pdptes_of_legacy_pae);
    tcase_add_test(tc, pdptes_are_not_looked_at_otherwise);
    tcase_add_test(tc, every_broken_rule_is_reported);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

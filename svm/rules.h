/* The conditions of the consistency checks in svm/rules.def. Each is true when its rule is broken. */
#ifndef SVM_RULES_H
#define SVM_RULES_H

#include "svm/svm.h"
#include "svm/vmcb.h"

/* What is checked: a VMCB, or with `host` the host save page, which has the save area of a VMCB. */
struct svm_check {
    const uint8_t *page;
    const struct svm_model *model;
    struct memory *memory;
    uint64_t host_cr0;
    bool whole; /* the guest of svm_clean.whole: only rules by CPUID feature are open */
    bool host;
    bool np;        /* NP_ENABLE is set and nested paging exists */
    bool shadow;    /* with `host`: S_CET is in the page */
    uint64_t u_cet; /* the processor's, which VMRUN leaves alone */
};

#define RULE(name) EMU_INLINE bool rule_##name(const struct svm_check *c)

/* Nothing at or above the physical address width. */
EMU_INLINE bool rule_beyond(const struct svm_check *c, uint64_t spa)
{
    return spa >> c->model->maxphyaddr != 0;
}

/* EFER.LME and CR0.PG: long mode, whatever EFER.LMA says, which VMRUN computes. */
EMU_INLINE bool rule_long_mode(const struct svm_check *c)
{
    return (VMCB_GET(c->page, EFER) & EFER_LME) && (VMCB_GET(c->page, CR0) & CR0_PG);
}

RULE(efer_svme)
{
    return !(VMCB_GET(c->page, EFER) & EFER_SVME);
}
RULE(cr0_cd_nw)
{
    return (VMCB_GET(c->page, CR0) & (CR0_CD | CR0_NW)) == CR0_NW;
}
RULE(cr0_high)
{
    return VMCB_GET(c->page, CR0) >> 32 != 0;
}
/* CHOICE: in every mode, though only the long-mode format has these bits: it exposes hypervisor errors. Hardware in
 * legacy modes may ignore CR3[63:32]. Bits 11:0 are never reserved. */
RULE(cr3_mbz)
{
    return rule_beyond(c, VMCB_GET(c->page, CR3));
}
RULE(cr4_mbz)
{
    return VMCB_GET(c->page, CR4) & ~c->model->cr4_valid;
}
RULE(dr6_high)
{
    return VMCB_GET(c->page, DR6) >> 32 != 0;
}
RULE(dr7_high)
{
    return VMCB_GET(c->page, DR7) >> 32 != 0;
}

#define RULE_EFER_LONG (uint64_t)(EFER_LME | EFER_LMA)
RULE(efer_mbz)
{
    return VMCB_GET(c->page, EFER) & ~c->model->efer_valid & ~RULE_EFER_LONG;
}
RULE(efer_no_long_mode)
{
    return VMCB_GET(c->page, EFER) & ~c->model->efer_valid & RULE_EFER_LONG;
}

RULE(lme_pg_pae)
{
    return rule_long_mode(c) && !(VMCB_GET(c->page, CR4) & CR4_PAE);
}
RULE(lme_pg_pe)
{
    return rule_long_mode(c) && !(VMCB_GET(c->page, CR0) & CR0_PE);
}
RULE(cs_l_d)
{
    uint64_t both = SEG_ATTR_L | SEG_ATTR_DB;
    return rule_long_mode(c) && (VMCB_GET(c->page, CR4) & CR4_PAE) &&
           (VMCB_GET(c->page, CS_ATTR) & both) == both;
}
RULE(vmrun_intercept)
{
    return !(VMCB_GET(c->page, INTERCEPT_4) & 1u << (INTERCEPT_VMRUN & 31));
}

/* CHOICE: both maps count as 2001h bytes, the part of the IOPM that is ever looked at; the manual's 3000h for the IOPM
 * and 2000h for the MSRPM disagree with what test suites for hardware accept. Bits 11:0 are ignored. */
EMU_INLINE bool rule_map_address(const struct svm_check *c, uint64_t base)
{
    return (base & ~UINT64_C(0xfff)) >= (UINT64_C(1) << c->model->maxphyaddr) - 0x2000;
}
RULE(iopm_address)
{
    return rule_map_address(c, VMCB_GET(c->page, IOPM_BASE_PA));
}
RULE(msrpm_address)
{
    return rule_map_address(c, VMCB_GET(c->page, MSRPM_BASE_PA));
}

EMU_INLINE bool rule_injects(const struct svm_check *c, unsigned type)
{
    uint64_t event = VMCB_GET(c->page, EVENTINJ);
    return (event & EVENTINJ_V) && (event >> 8 & 7) == type;
}
RULE(eventinj_type)
{
    uint64_t event = VMCB_GET(c->page, EVENTINJ);
    const unsigned legal =
        1u << EVENT_INTR | 1u << EVENT_NMI | 1u << EVENT_EXCEPTION | 1u << EVENT_SOFT;
    return (event & EVENTINJ_V) && !(legal >> (event >> 8 & 7) & 1);
}
RULE(eventinj_vector)
{
    uint8_t vector = (uint8_t)VMCB_GET(c->page, EVENTINJ);
    return rule_injects(c, EVENT_EXCEPTION) && (vector > 31 || vector == EXC_NMI);
}
RULE(eventinj_br)
{
    return rule_injects(c, EVENT_EXCEPTION) && (uint8_t)VMCB_GET(c->page, EVENTINJ) == EXC_BR &&
           rule_long_mode(c) && (VMCB_GET(c->page, CS_ATTR) & SEG_ATTR_L);
}

RULE(asid_zero)
{
    return VMCB_GET(c->page, GUEST_ASID) == 0;
}
/* CHOICE: the manual does not say what a plain guest with an ASID that does not exist gets; this explains itself. */
RULE(asid_limit)
{
    return VMCB_GET(c->page, GUEST_ASID) >= SVM_ASID_COUNT;
}

RULE(np_host_paging)
{
    return c->np && !(c->host_cr0 & CR0_PG);
}
RULE(n_cr3_mbz)
{
    return c->np && rule_beyond(c, VMCB_GET(c->page, N_CR3));
}
/* Each byte: bits 7:3 reserved, and types 2 and 3 (bit 1 without bit 2) do not exist. */
RULE(g_pat)
{
    uint64_t pat = VMCB_GET(c->page, G_PAT);
    uint64_t lone_bit1 = pat & ~(pat >> 1) & UINT64_C(0x0202020202020202);
    return c->np && ((pat & UINT64_C(0xf8f8f8f8f8f8f8f8)) | lone_bit1);
}

bool rule_pdptes_broken(struct memory *memory, uint64_t cr3, unsigned maxphyaddr);
RULE(pdpte)
{
    bool pae = (VMCB_GET(c->page, CR0) & CR0_PG) && (VMCB_GET(c->page, CR4) & CR4_PAE) &&
               !(VMCB_GET(c->page, EFER) & EFER_LME);
    return EMU_UNLIKELY(pae) && !c->np &&
           rule_pdptes_broken(c->memory, VMCB_GET(c->page, CR3), c->model->maxphyaddr);
}

RULE(sss_needs_np)
{
    return (VMCB_GET(c->page, NESTED_CONTROL) & NESTED_SSS_ENABLE) && !c->np;
}
RULE(vnmi_intercept)
{
    return (VMCB_GET(c->page, VINTR_CONTROL) & VINTR_NMI_ENABLE) &&
           !(VMCB_GET(c->page, INTERCEPT_3) & 1u << (INTERCEPT_NMI & 31));
}

EMU_INLINE bool rule_avic(const struct svm_check *c)
{
    return VMCB_GET(c->page, VINTR_CONTROL) & VINTR_AVIC_ENABLE;
}
EMU_INLINE bool rule_x2avic(const struct svm_check *c)
{
    return (c->model->features & SVM_FEATURE_X2AVIC) &&
           (VMCB_GET(c->page, VINTR_CONTROL) & VINTR_X2AVIC_ENABLE);
}
RULE(x2avic_needs_avic)
{
    return rule_x2avic(c) && !rule_avic(c);
}
RULE(avic_needs_np)
{
    return rule_avic(c) && !c->np;
}
RULE(avic_apic_bar)
{
    return rule_avic(c) && rule_beyond(c, VMCB_GET(c->page, AVIC_APIC_BAR));
}
RULE(avic_backing_page)
{
    return rule_avic(c) && rule_beyond(c, VMCB_GET(c->page, AVIC_BACKING_PAGE));
}
RULE(avic_logical_table)
{
    return rule_avic(c) && rule_beyond(c, VMCB_GET(c->page, AVIC_LOGICAL_TABLE));
}
RULE(avic_physical_table)
{
    return rule_avic(c) && rule_beyond(c, VMCB_GET(c->page, AVIC_PHYSICAL_TABLE));
}
RULE(avic_max_index)
{
    uint64_t index = VMCB_GET(c->page, AVIC_PHYSICAL_TABLE) & 0xfff;
    uint64_t x2_limit = c->model->x2avic_ext ? 4095 : 511;
    return rule_avic(c) && index > (rule_x2avic(c) ? x2_limit : 255);
}

/* --- shadow stacks --- */

/* CR4.CET, which a guest that is whole does not have. */
EMU_INLINE uint64_t rule_cet(const struct svm_check *c)
{
    return c->whole ? 0 : VMCB_GET(c->page, CR4) & CR4_CET;
}
RULE(s_cet_mbz)
{
    return (!c->host || c->shadow) && (VMCB_GET(c->page, S_CET) & ~(uint64_t)SHADOW_CET_VALID);
}
RULE(cet_wp)
{
    return rule_cet(c) && !(VMCB_GET(c->page, CR0) & CR0_WP);
}
/* The manual has it for every guest. U_CET is in the VMSA of encrypted guests; that of others is the processor's. */
RULE(cet_v86)
{
    return rule_cet(c) && (c->u_cet & SHADOW_CET_ENABLE) && (VMCB_GET(c->page, RFLAGS) & FLAG_VM);
}

#undef RULE

/* Is anything enabled that has rules by CPUID feature? */
EMU_INLINE bool rule_any_enable(const struct svm_check *c)
{
    return (VMCB_GET(c->page, VINTR_CONTROL) & VINTR_ENABLES) |
           (VMCB_GET(c->page, NESTED_CONTROL) & NESTED_SSS_ENABLE);
}

/* May a rule of shadow stacks fail? */
EMU_INLINE bool rule_any_shadow(const struct svm_check *c)
{
    return (unsigned)rule_s_cet_mbz(c) | (rule_cet(c) != 0);
}

/* Does any rule fail? Inline: made at each world switch. By value, and nobody takes its address: so it needs no memory, and what
 * is constant stays so. */
EMU_INLINE bool svm_rules_broken(const struct svm_check check)
{
    enum { GUEST, BOTH };
    const struct svm_check *c = &check;
    bool broken = false;
#define SVM_RULE(name, scope, field, text, section) \
    if (scope == BOTH || !c->host)                  \
        broken |= rule_##name(c);
#define SVM_FEATURE_RULE(name, feature, field, text, section)
#define SVM_SHADOW_RULE(name, scope, field, text, section)
    if (c->host || !c->whole) {
#include "svm/rules.def"
    }
#undef SVM_RULE
#undef SVM_SHADOW_RULE
    if (EMU_LIKELY(!rule_any_shadow(c) && (c->host || !rule_any_enable(c))))
        return broken;
#define SVM_RULE(name, scope, field, text, section)
#define SVM_SHADOW_RULE(name, scope, field, text, section) \
    if (scope == BOTH || !c->host)                         \
        broken |= c->model->shadow_stacks && rule_##name(c);
#include "svm/rules.def"
#undef SVM_FEATURE_RULE
#undef SVM_SHADOW_RULE
    if (c->host)
        return broken;
#define SVM_FEATURE_RULE(name, feature, field, text, section) \
    broken |= (c->model->features & SVM_FEATURE_##feature) && rule_##name(c);
#define SVM_SHADOW_RULE(name, scope, field, text, section)
#include "svm/rules.def"
#undef SVM_RULE
#undef SVM_FEATURE_RULE
#undef SVM_SHADOW_RULE
    return broken;
}

/* One row, for reports, documentation and tests. */
struct svm_rule {
    const char *name;
    bool (*broken)(const struct svm_check *c);
    enum vmcb_field field;
    const char *text;
    const char *section;
    uint32_t feature;   /* 0: always */
    bool on_host;       /* also made on the host state */
    bool shadow_stacks; /* only where the model has them */
};
extern const struct svm_rule svm_rules[];
extern const unsigned svm_rule_count;

/* Make every check that applies and report each one that fails, in the table's order. Returns how many. */
unsigned svm_rules_report(const struct svm_check *c,
                          void (*report)(void *self, const struct svm_invalid *invalid),
                          void *self);

#endif

/* The consistency checks as a table, and the slow way to make them: with names. */
#include "svm/rules.h"

#include "svm/world.h"

#include <assert.h>

#define RULE_BASIC "APM vol 2, 15.5.1 \"Basic Operation\""
#define RULE_IOPM "APM vol 2, 15.10.1 \"I/O Permissions Map\""
#define RULE_MSRPM "APM vol 2, 15.11 \"MSR Intercepts\""
#define RULE_INJECT "APM vol 2, 15.20 \"Event Injection\""
#define RULE_NESTED "APM vol 2, 15.25.3 \"Enabling Nested Paging\""
#define RULE_NESTED_STATE "APM vol 2, 15.25.4 \"Nested Paging and VMRUN/#VMEXIT\""
#define RULE_SSS "APM vol 2, 15.25.14 \"Supervisor Shadow Stacks\""
#define RULE_VNMI "APM vol 2, 15.21.10 \"NMI Virtualization\""
#define RULE_AVIC "APM vol 2, 15.29 \"Advanced Virtual Interrupt Controller\""

enum { GUEST = false, BOTH = true };

/* Out of line, so that the table has addresses. */
#define SVM_RULE(name, scope, field, text, section)      \
    static bool broken_##name(const struct svm_check *c) \
    {                                                    \
        return rule_##name(c);                           \
    }
#define SVM_FEATURE_RULE(name, feature, field, text, section) \
    SVM_RULE(name, GUEST, field, text, section)
#define SVM_SHADOW_RULE SVM_RULE
#include "svm/rules.def"
#undef SVM_RULE
#undef SVM_FEATURE_RULE
#undef SVM_SHADOW_RULE

const struct svm_rule svm_rules[] = {
#define SVM_RULE(name, scope, field, text, section) \
    { #name, broken_##name, VMCB_##field, text, section, 0, scope, false },
#define SVM_FEATURE_RULE(name, feature, field, text, section) \
    { #name, broken_##name, VMCB_##field, text, section, SVM_FEATURE_##feature, GUEST, false },
#define SVM_SHADOW_RULE(name, scope, field, text, section) \
    { #name, broken_##name, VMCB_##field, text, section, 0, scope, true },
#include "svm/rules.def"
#undef SVM_RULE
#undef SVM_FEATURE_RULE
#undef SVM_SHADOW_RULE
};

const unsigned svm_rule_count = sizeof(svm_rules) / sizeof(svm_rules[0]);
static_assert(sizeof(svm_rules) / sizeof(svm_rules[0]) <= SVM_FURTHER + 1,
              "svm_state.further is too small");

unsigned svm_rules_report(const struct svm_check *c,
                          void (*report)(void *self, const struct svm_invalid *invalid), void *self)
{
    unsigned count = 0;
    for (unsigned i = 0; i < svm_rule_count; i++) {
        const struct svm_rule *rule = &svm_rules[i];
        if ((c->host && !rule->on_host) || (c->whole && !rule->feature && !rule->shadow_stacks))
            continue;
        if ((rule->feature && !(c->model->features & rule->feature)) ||
            (rule->shadow_stacks && !c->model->shadow_stacks))
            continue;
        if (!rule->broken(c))
            continue;
        struct svm_invalid invalid = { .rule = rule->text,
                                       .field = vmcb_fields[rule->field].name,
                                       .value = vmcb_field_value(c->page, rule->field),
                                       .section = rule->section };
        report(self, &invalid);
        count++;
    }
    return count;
}

/* CHOICE: a PDPTE that is not present may hold anything. */
bool rule_pdptes_broken(struct memory *memory, uint64_t cr3, unsigned maxphyaddr)
{
    uint64_t pdpte[4];
    bool broken = false;
    if (!memory)
        return false; /* a VMCB from a file */
    svm_read_pdptes(memory, cr3, pdpte);
    for (unsigned i = 0; i < 4; i++)
        broken |= walk_pdpte_reserved(pdpte[i], maxphyaddr);
    return broken;
}

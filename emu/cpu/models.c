/* CPU models: the table, and `-cpu`. */
#include "emu/cpu/cpuid.h"

#include "emu/base/diag.h"

#include <string.h>

/* --- the tables --------------------------------------------------------------------------- */

enum model {
#define CPU_MODEL(id, name, core, signature, patch_level, package, address_bits, brand) MODEL_##id,
#include "emu/cpu/cpu_models.def"
#undef CPU_MODEL
    MODEL_COUNT
};
static_assert(MODEL_COUNT <= 16, "cpu_feature_info.parts has a bit for each");

/* The `parts` of cpu_features.def: a bit for each model, and their sets. */
enum {
    NONE = 0,
#define CPU_MODEL(id, name, core, signature, patch_level, package, address_bits, brand) \
    id = 1 << MODEL_##id,
#include "emu/cpu/cpu_models.def"
#undef CPU_MODEL
#define CPU_SET(name, members) name = (members),
#include "emu/cpu/cpu_models.def"
#undef CPU_SET
};

#define OFFER_YES CPU_OFFER_YES
#define OFFER_NO CPU_OFFER_NO
#define OFFER_LIVE CPU_OFFER_LIVE
const struct cpu_feature_info cpu_features[CPU_FEATURE_COUNT] = {
#define CPU_FEATURE(name_, leaf_, reg_, bit_, option_, offered_, parts_, meaning_) \
    [CPU_FEATURE_##name_] = { .name = #name_,                                      \
                              .option = option_,                                   \
                              .meaning = meaning_,                                 \
                              .leaf = leaf_,                                       \
                              .reg = CPUID_##reg_,                                 \
                              .bit = bit_,                                         \
                              .offer = OFFER_##offered_,                           \
                              .parts = (parts_),                                   \
                              .offered = OFFER_##offered_ == CPU_OFFER_YES },
#include "emu/cpu/cpu_features.def"
#undef CPU_FEATURE
};

/* CHOICE: caches and TLBs of processors with one L3 for each complex; nothing here depends on them. */
enum { CORE_ZEN, CORE_ZEN2, CORE_ZEN3, CORE_ZEN4, CORE_ZEN5 };
static const struct cpu_core cpu_cores[] = {
    [CORE_ZEN] = { .highest = 0xd,
                   .highest_extended = 0x8000001f,
                   .l1_tlb = { 0xff40ff40, 0xff40ff40 },
                   .l2_tlb = { 0x26006400, 0x66006400 },
                   .huge_tlb = { 0xf040f040, 0 },
                   .hints = 3,
                   .complex_bits = 2,
                   .data = { 8, 64 },
                   .code = { 4, 256 },
                   .l2 = { 8, 1024 },
                   .l3 = { 16, 8192 } },
    [CORE_ZEN2] = { .highest = 0x10,
                    .highest_extended = 0x80000020,
                    .l1_tlb = { 0xff40ff40, 0xff40ff40 },
                    .l2_tlb = { 0x48006400, 0x68006400 },
                    .huge_tlb = { 0xf040f040, 0 },
                    .hints = 6,
                    .complex_bits = 2,
                    .clears_null = true,
                    .data = { 8, 64 },
                    .code = { 8, 64 },
                    .l2 = { 8, 1024 },
                    .l3 = { 16, 16384 } },
    [CORE_ZEN3] = { .highest = 0x10,
                    .highest_extended = 0x80000023,
                    .l1_tlb = { 0xff40ff40, 0xff40ff40 },
                    .l2_tlb = { 0x48002200, 0x68004200 },
                    .huge_tlb = { 0xf040f040, 0xf0400000 },
                    .hints = 6,
                    .complex_bits = 3,
                    .data = { 8, 64 },
                    .code = { 8, 64 },
                    .l2 = { 8, 1024 },
                    .l3 = { 16, 32768 } },
    [CORE_ZEN4] = { .highest = 0x10,
                    .highest_extended = 0x80000028,
                    .l1_tlb = { 0xff48ff40, 0xff48ff40 },
                    .l2_tlb = { 0x5c002200, 0x6c004200 },
                    .huge_tlb = { 0xf048f040, 0xf0400000 },
                    .hints = 6,
                    .complex_bits = 3,
                    .data = { 8, 64 },
                    .code = { 8, 64 },
                    .l2 = { 8, 2048 },
                    .l3 = { 16, 32768 } },
    [CORE_ZEN5] = { .highest = 0x10,
                    .highest_extended = 0x80000028,
                    .l1_tlb = { 0xff60ff40, 0xff60ff40 },
                    .l2_tlb = { 0x40802040, 0x60804040 },
                    .huge_tlb = { 0xf060f040, 0x40200000 },
                    .hints = 6,
                    .complex_bits = 3,
                    .data = { 12, 64 },
                    .code = { 8, 64 },
                    .l2 = { 16, 1024 },
                    .l3 = { 16, 32768 } },
};

/* The features of `max` stand here; those of the others come from the `parts` of cpu_features. */
static const struct cpu_model models[MODEL_COUNT] = {
#define CPU_MODEL(id, name_, core_, signature_, patch_level_, package_, address_bits_, brand_) \
    [MODEL_##id].name = name_, [MODEL_##id].brand = brand_,                                    \
    [MODEL_##id].core = &cpu_cores[CORE_##core_], [MODEL_##id].signature = signature_,         \
    [MODEL_##id].patch_level = patch_level_, [MODEL_##id].package = package_,                  \
    [MODEL_##id].address_bits = address_bits_,
#include "emu/cpu/cpu_models.def"
#undef CPU_MODEL
#define CPU_FEATURE(name, leaf, reg, bit, option, offered, parts, meaning) \
    [MODEL_MAX].features[CPU_FEATURE_##name] = OFFER_##offered == CPU_OFFER_YES,
#include "emu/cpu/cpu_features.def"
#undef CPU_FEATURE
};

static const struct {
    const char *name;
    enum model model;
    bool versioned;
} aliases[] = {
#define CPU_ALIAS(name, id, versioned) { name, MODEL_##id, versioned },
#include "emu/cpu/cpu_models.def"
#undef CPU_ALIAS
};
#define ALIAS_COUNT (sizeof(aliases) / sizeof(aliases[0]))

const struct cpu_model *cpu_model_default(void)
{
    return &models[MODEL_MAX];
}

const char *cpu_model_name(unsigned n)
{
    return n < MODEL_COUNT ? models[n].name : NULL;
}

const char *cpu_model_brand(unsigned n)
{
    return n < MODEL_COUNT ? models[n].brand : NULL;
}

const char *cpu_model_alias(unsigned n, bool *versioned, unsigned *model)
{
    if (n >= ALIAS_COUNT)
        return NULL;
    *versioned = aliases[n].versioned;
    *model = aliases[n].model;
    return aliases[n].name;
}

/* --- what needs what ------------------------------------------------------------------------ */

/* Switching the second off takes the first along, switching the first on needs the second. */
static const struct {
    enum cpu_feature feature, needs;
} dependencies[] = {
#define NEEDS(feature, needed)                      \
    {                                               \
        CPU_FEATURE_##feature, CPU_FEATURE_##needed \
    }
    NEEDS(LM, PAE),
    NEEDS(NX, PAE),
    NEEDS(PAGE1GB, LM),
    NEEDS(LA57, LM),
    NEEDS(PCID, LM),
    NEEDS(FSGSBASE, LM),
    NEEDS(LAHF_LM, LM),
    NEEDS(CX16, LM),
    NEEDS(PKU, LM),
    NEEDS(RDTSCP, TSC),
    NEEDS(INVTSC, TSC),
    NEEDS(TSC_ADJUST, TSC),
    NEEDS(TSC_DEADLINE, TSC),
    NEEDS(RDPID, RDTSCP),
    NEEDS(X2APIC, APIC),
    NEEDS(EXTAPIC, APIC),
    NEEDS(MCA, MCE),
    NEEDS(EFFFREQ_RO, EFFFREQ),
    NEEDS(RDPRU, EFFFREQ),
    NEEDS(MMX, FPU),
    NEEDS(MMXEXT, MMX),
    NEEDS(FXSR, FPU),
    NEEDS(FFXSR, FXSR),
    NEEDS(RSTR_FP_ERR_PTRS, FXSR),
    NEEDS(SSE, FXSR),
    NEEDS(SSE2, SSE),
    NEEDS(SSE3, SSE2),
    NEEDS(SSSE3, SSE3),
    NEEDS(SSE41, SSSE3),
    NEEDS(SSE42, SSE41),
    NEEDS(SSE4A, SSE3),
    NEEDS(MISALIGNSSE, SSE),
    NEEDS(AES, SSE2),
    NEEDS(PCLMULQDQ, SSE2),
    NEEDS(SHA, SSE2),
    NEEDS(XSAVE, FXSR),
    NEEDS(XSAVEOPT, XSAVE),
    NEEDS(XSAVEC, XSAVE),
    NEEDS(XGETBV1, XSAVE),
    NEEDS(XSAVES, XSAVEC),
    NEEDS(AVX, XSAVE),
    NEEDS(AVX, SSE42),
    NEEDS(AVX2, AVX),
    NEEDS(FMA, AVX),
    NEEDS(F16C, AVX),
    NEEDS(VAES, AVX),
    NEEDS(VAES, AES),
    NEEDS(VPCLMULQDQ, AVX),
    NEEDS(VPCLMULQDQ, PCLMULQDQ),
    NEEDS(INVLPGB_NESTED, INVLPGB),
    NEEDS(TLBICTL, INVLPGB),
    NEEDS(STIBP_ALWAYS, STIBP),
    NEEDS(IBPB_RET, IBPB),
    NEEDS(IBPB_BRTYPE, IBPB),
    NEEDS(SBPB, IBPB),
    NEEDS(GMET, NPT),
    NEEDS(ROGPT, NPT),
    NEEDS(SSS_CHECK, NPT),
    NEEDS(SSS_CHECK, CET_SS),
    NEEDS(TSC_SCALE, TSC),
    NEEDS(PFTHRESHOLD, PAUSE_FILTER),
    NEEDS(VIRT_VMLOAD, NPT),
    NEEDS(AVIC, NPT),
    NEEDS(X2AVIC, AVIC),
    NEEDS(X2AVIC, X2APIC),
    NEEDS(X2AVIC_EXT, X2AVIC),
    NEEDS(EXT_LVT_AVIC, AVIC),
    NEEDS(PMC_VIRT, PERFCTR_CORE),
    NEEDS(PERFMON_V2, PERFCTR_CORE),
    NEEDS(SVM, MSR),
    NEEDS(SKINIT, SVM),
#undef NEEDS
};

static void set_feature(struct cpu_model *model, enum cpu_feature feature, bool on)
{
    model->features[feature] = on;
    for (size_t i = 0; i < sizeof(dependencies) / sizeof(dependencies[0]); i++) {
        if (on && dependencies[i].feature == feature)
            set_feature(model, dependencies[i].needs, true);
        if (!on && dependencies[i].needs == feature)
            set_feature(model, dependencies[i].feature, false);
    }
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) { /* all of Fn8000_000A is about SVM */
        if (!on && feature == CPU_FEATURE_SVM && cpu_features[f].leaf == 0x8000000a)
            set_feature(model, (enum cpu_feature)f, false);
    }
    if (on && cpu_features[feature].leaf == 0x8000000a)
        set_feature(model, CPU_FEATURE_SVM, true);
}

static struct cpu_model model_with_features(enum model n)
{
    struct cpu_model model = models[n];
    for (int f = 1; f < CPU_FEATURE_COUNT && n != MODEL_MAX; f++)
        model.features[f] = cpu_features[f].offered && (cpu_features[f].parts >> n & 1);
    return model;
}

/* --- `-cpu` --------------------------------------------------------------------------------- */

/* Names compare without case, and '_' is '-': QEMU's old and new spellings. */
static bool same_word(const char *word, size_t len, const char *name)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = word[i] == '_' ? '-' : word[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != name[i])
            return false;
    }
    return true;
}

/* The model of a name, MODEL_COUNT if there is none. */
static enum model find_model(const char *word, size_t len)
{
    for (unsigned n = 0; n < MODEL_COUNT; n++) {
        if (same_word(word, len, models[n].name))
            return (enum model)n;
    }
    bool version = len > 3 && word[len - 3] == '-' && (word[len - 2] | 0x20) == 'v' &&
                   word[len - 1] >= '1' && word[len - 1] <= '9';
    for (size_t i = 0; i < ALIAS_COUNT; i++) {
        if (same_word(word, len, aliases[i].name) ||
            (version && aliases[i].versioned && same_word(word, len - 3, aliases[i].name)))
            return aliases[i].model;
    }
    return MODEL_COUNT;
}

static enum cpu_feature find_feature(const char *word, size_t len)
{
    static const struct {
        const char *name;
        enum cpu_feature feature;
    } other_names[] = {
        { "sse4-1", CPU_FEATURE_SSE41 },    { "sse4-2", CPU_FEATURE_SSE42 },
        { "pni", CPU_FEATURE_SSE3 },        { "lzcnt", CPU_FEATURE_ABM },
        { "nx", CPU_FEATURE_NX },           { "xd", CPU_FEATURE_NX },
        { "ffxsr", CPU_FEATURE_FFXSR },     { "i64", CPU_FEATURE_LM },
        { "sysenter", CPU_FEATURE_SEP },    { "page1gb", CPU_FEATURE_PAGE1GB },
        { "nrips", CPU_FEATURE_NRIP_SAVE }, { "tsc-ratio", CPU_FEATURE_TSC_SCALE },
        { "amd-stibp", CPU_FEATURE_STIBP }, { "spec-ctrl", CPU_FEATURE_IBRS },
        { "ssbd", CPU_FEATURE_SSBD },
    };
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
        if (same_word(word, len, cpu_features[f].option))
            return (enum cpu_feature)f;
    }
    for (size_t i = 0; i < sizeof(other_names) / sizeof(other_names[0]); i++) {
        if (same_word(word, len, other_names[i].name))
            return other_names[i].feature;
    }
    return CPU_FEATURE_NONE;
}

static enum pacifica_status refuse_feature(const struct cpu_feature_info *info,
                                           struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_EUNSUPPORTED, "-cpu", "leave the feature out",
                    info->offer == CPU_OFFER_LIVE ? "CPU feature `%s` is no switch: %s"
                                                  : "CPU feature `%s` (%s) is not emulated",
                    info->option, info->meaning);
}

#define PHYS_BITS_LEAST 36
#define PHYS_BITS_MOST 52

/* What a model may do in one of two ways. VMCB clean bits are hints, which hardware may ignore: APM vol 2, 15.15.1. */
static enum pacifica_status parse_clean_bits(const char *value, size_t len, struct cpu_model *model,
                                             struct pacifica_diag *diag)
{
    if (!same_word(value, len, "ignore") && !same_word(value, len, "honor"))
        return diag_set(diag, PACIFICA_EUSAGE, "-cpu", "clean-bits is `ignore` or `honor`",
                        "cannot understand `clean-bits=%.*s`", (int)len, value);
    model->clean_bits_ignored = same_word(value, len, "ignore");
    return PACIFICA_OK;
}

/* How many address bits memory has: what fits into table entries, and enough for a PC. */
static enum pacifica_status parse_phys_bits(const char *value, size_t len, struct cpu_model *model,
                                            struct pacifica_diag *diag)
{
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++)
        bits = value[i] >= '0' && value[i] <= '9' && bits < 100
                   ? bits * 10 + (unsigned)(value[i] - '0')
                   : 100;
    if (len == 0 || bits < PHYS_BITS_LEAST || bits > PHYS_BITS_MOST)
        return diag_set(diag, PACIFICA_EUSAGE, "-cpu", "phys-bits is a number from 36 to 52",
                        "cannot understand `phys-bits=%.*s`", (int)len, value);
    model->address_bits = (uint8_t)bits;
    return PACIFICA_OK;
}

/* One word between commas: +f, -f, f, f=on, f=off, clean-bits=ignore, phys-bits=40. */
static enum pacifica_status parse_feature(const char *word, size_t len, struct cpu_model *model,
                                          struct pacifica_diag *diag)
{
    const char *name = word;
    size_t name_len = len;
    bool on = true;
    if (len > 0 && (word[0] == '+' || word[0] == '-')) {
        on = word[0] == '+';
        name++;
        name_len--;
    } else {
        const char *equals = memchr(word, '=', len);
        if (equals) {
            size_t value_len = len - (size_t)(equals - word) - 1;
            name_len = (size_t)(equals - word);
            if (same_word(name, name_len, "clean-bits"))
                return parse_clean_bits(equals + 1, value_len, model, diag);
            if (same_word(name, name_len, "phys-bits"))
                return parse_phys_bits(equals + 1, value_len, model, diag);
            if (!same_word(equals + 1, value_len, "on") && !same_word(equals + 1, value_len, "off"))
                return diag_set(diag, PACIFICA_EUSAGE, "-cpu", "a feature is `on` or `off`",
                                "cannot understand `%.*s`", (int)len, word);
            on = same_word(equals + 1, value_len, "on");
        }
    }
    enum cpu_feature feature = find_feature(name, name_len);
    if (feature == CPU_FEATURE_NONE)
        return diag_set(diag, PACIFICA_EUSAGE, "-cpu",
                        "features are spelled as in QEMU, e.g. +svm,-npt",
                        "unknown CPU feature `%.*s`", (int)name_len, name);
    if ((on && !cpu_features[feature].offered) || cpu_features[feature].offer == CPU_OFFER_LIVE)
        return refuse_feature(&cpu_features[feature], diag);
    set_feature(model, feature, on);
    return PACIFICA_OK;
}

enum pacifica_status cpu_model_parse(const char *text, struct cpu_model *out,
                                     struct pacifica_diag *diag)
{
    size_t len = strcspn(text, ",");
    enum model n = find_model(text, len);
    if (n == MODEL_COUNT)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, "-cpu", "`-cpu help` lists the models",
                        "unknown CPU model `%.*s`", (int)len, text);
    struct cpu_model model = model_with_features(n);
    while (text[len] == ',') {
        text += len + 1;
        len = strcspn(text, ",");
        enum pacifica_status status = parse_feature(text, len, &model, diag);
        if (status != PACIFICA_OK)
            return status;
    }
    *out = model;
    return PACIFICA_OK;
}

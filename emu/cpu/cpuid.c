/* CPU models and CPUID. AMD64 manual vol 3, appendix E "Obtaining Processor Information Via the CPUID Instruction". */
#include "emu/cpu/cpuid.h"

#include "emu/base/diag.h"
#include "emu/cpu/msr.h"
#include "svm/svm.h"

#include <string.h>

#define YES true
#define NO false
#ifdef PACIFICA_SOON
#define SOON true /* development: what is being implemented */
#else
#define SOON false
#endif
const struct cpu_feature_info cpu_features[CPU_FEATURE_COUNT] = {
#define CPU_FEATURE(name_, leaf_, reg_, bit_, option_, offered_, meaning_) \
    [CPU_FEATURE_##name_] = { #name_, option_, meaning_, leaf_, CPUID_##reg_, bit_, offered_ },
#include "emu/cpu/cpu_features.def"
#undef CPU_FEATURE
};

/* Model `max`. CHOICE: the family and model of the third EPYC generation, whose features we are nearest to. */
static const struct cpu_model model_max = {
    .name = "max",
    .brand = "Pacifica AMD64 processor",
    .signature = 0x00a00f11,
    .features = {
#define CPU_FEATURE(name, leaf, reg, bit, option, offered, meaning) \
    WORD_BIT(CPU_FEATURE_##name, offered)
/* One initialiser a word: the sum of its rows' bits. */
#define WORD_BIT(n, offered) +((offered) && (n) / 32 == WORD ? 1u << (n) % 32 : 0u)
#define WORD 0
        [0] = 0
#include "emu/cpu/cpu_features.def"
        ,
#undef WORD
#define WORD 1
        [1] = 0
#include "emu/cpu/cpu_features.def"
        ,
#undef WORD
#define WORD 2
        [2] = 0
#include "emu/cpu/cpu_features.def"
        ,
#undef WORD
#define WORD 3
        [3] = 0
#include "emu/cpu/cpu_features.def"
        ,
#undef WORD
#define WORD 4
        [4] = 0
#include "emu/cpu/cpu_features.def"
        ,
#undef WORD
#undef WORD_BIT
#undef CPU_FEATURE
    },
};
static_assert((CPU_FEATURE_COUNT + 31) / 32 == 5, "one initialiser for each word of features");
static_assert(CPU_FEATURE_COUNT <= 256, "insn_info.feature is a byte");

const struct cpu_model *cpu_model_default(void)
{
    return &model_max;
}

/* --- `-cpu` --- */

/* What needs what: switching the second off takes the first along, switching the first on needs the second. */
static const struct {
    enum cpu_feature feature, needs;
} dependencies[] = {
    { CPU_FEATURE_LM, CPU_FEATURE_PAE },           { CPU_FEATURE_NX, CPU_FEATURE_PAE },
    { CPU_FEATURE_PAGE1GB, CPU_FEATURE_LM },       { CPU_FEATURE_LA57, CPU_FEATURE_LM },
    { CPU_FEATURE_PCID, CPU_FEATURE_LM },          { CPU_FEATURE_FSGSBASE, CPU_FEATURE_LM },
    { CPU_FEATURE_LAHF_LM, CPU_FEATURE_LM },       { CPU_FEATURE_CX16, CPU_FEATURE_LM },
    { CPU_FEATURE_RDTSCP, CPU_FEATURE_TSC },       { CPU_FEATURE_INVTSC, CPU_FEATURE_TSC },
    { CPU_FEATURE_X2APIC, CPU_FEATURE_APIC },      { CPU_FEATURE_TSC_ADJUST, CPU_FEATURE_TSC },
    { CPU_FEATURE_TSC_DEADLINE, CPU_FEATURE_TSC }, { CPU_FEATURE_RDPID, CPU_FEATURE_RDTSCP },
    { CPU_FEATURE_MCA, CPU_FEATURE_MCE },          { CPU_FEATURE_SVM, CPU_FEATURE_MSR },
    { CPU_FEATURE_NPT, CPU_FEATURE_SVM },          { CPU_FEATURE_NRIP_SAVE, CPU_FEATURE_SVM },
    { CPU_FEATURE_FLUSHBYASID, CPU_FEATURE_SVM },  { CPU_FEATURE_DECODEASSISTS, CPU_FEATURE_SVM },
    { CPU_FEATURE_PKU, CPU_FEATURE_LM },           { CPU_FEATURE_EXTAPIC, CPU_FEATURE_APIC },
};

static void set_feature(struct cpu_model *model, enum cpu_feature feature, bool on)
{
    uint32_t bit = 1u << feature % 32;
    uint32_t *word = &model->features[feature / 32];
    *word = on ? *word | bit : *word & ~bit;
    for (size_t i = 0; i < sizeof(dependencies) / sizeof(dependencies[0]); i++) {
        if (on && dependencies[i].feature == feature)
            set_feature(model, dependencies[i].needs, true);
        if (!on && dependencies[i].needs == feature)
            set_feature(model, dependencies[i].feature, false);
    }
}

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

static enum cpu_feature find_feature(const char *word, size_t len)
{
    static const struct {
        const char *alias;
        enum cpu_feature feature;
    } aliases[] = {
        { "sse4-1", CPU_FEATURE_SSE41 },
        { "sse4-2", CPU_FEATURE_SSE42 },
        { "pni", CPU_FEATURE_SSE3 },
        { "lzcnt", CPU_FEATURE_ABM },
        { "nx", CPU_FEATURE_NX },
        { "xd", CPU_FEATURE_NX },
        { "ffxsr", CPU_FEATURE_FFXSR },
        { "fxsr-opt", CPU_FEATURE_FFXSR },
        { "i64", CPU_FEATURE_LM },
        { "sysenter", CPU_FEATURE_SEP },
        { "page1gb", CPU_FEATURE_PAGE1GB },
        { "nrips", CPU_FEATURE_NRIP_SAVE },
        { "tsc-ratio", CPU_FEATURE_TSC_SCALE },
    };
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
        if (same_word(word, len, cpu_features[f].option))
            return (enum cpu_feature)f;
    }
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (same_word(word, len, aliases[i].alias))
            return aliases[i].feature;
    }
    return CPU_FEATURE_NONE;
}

/* One word between commas: +f, -f, f, f=on, f=off. */
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
    if (on && !cpu_features[feature].offered)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, "-cpu", "leave the feature out",
                        "CPU feature `%s` (%s) is not emulated", cpu_features[feature].option,
                        cpu_features[feature].meaning);
    set_feature(model, feature, on);
    return PACIFICA_OK;
}

enum pacifica_status cpu_model_parse(const char *text, struct cpu_model *out,
                                     struct pacifica_diag *diag)
{
    static const char *const names[] = { "max", "host", "qemu64" };
    size_t len = strcspn(text, ",");
    struct cpu_model model = model_max;
    bool known = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (same_word(text, len, names[i])) {
            known = true;
            (void)strcpy(model.name, names[i]);
        }
    }
    if (!known)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, "-cpu", "use `-cpu max`",
                        "CPU model `%.*s` is not there yet", (int)len, text);
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

/* --- CPUID --- */

#define MAX_STANDARD 0x0000000bu
#define MAX_EXTENDED 0x80000021u
#define LEAF1_EDX_REPEATED 0x0183f3ffu /* in Fn8000_0001 EDX */

/* The feature bits of one leaf. */
static void add_features(const struct cpu_model *model, uint32_t leaf, uint32_t out[4])
{
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
        const struct cpu_feature_info *info = &cpu_features[f];
        if (info->leaf == leaf && cpu_model_has(model, (enum cpu_feature)f))
            out[info->reg] |= 1u << info->bit;
    }
}

static void put_text(const char *text, uint32_t *out, unsigned words)
{
    memcpy(out, text, 4 * words); /* little-endian, as the leaves are */
}

static void leaf_vendor(uint32_t highest, uint32_t out[4])
{
    out[CPUID_EAX] = highest;
    put_text("Auth", &out[CPUID_EBX], 1);
    put_text("enti", &out[CPUID_EDX], 1);
    put_text("cAMD", &out[CPUID_ECX], 1);
}

#define CPUID1_EDX_HTT (1ull << 28)
#define CPUID1_ECX_MONITOR (1ull << (32 + 3))
#define CPUID1_ECX_OSXSAVE (1ull << (32 + 27))
#define CPUID_EXT_CMP_LEGACY (1ull << (32 + 1))

uint64_t cpuid_true_words(const struct vcpu *cpu, unsigned n)
{
    const struct cpu_model *model = cpu->model;
    static const struct {
        uint32_t leaf;
        uint8_t high, low;
    } words[4] = {
        { 0x00000007, CPUID_EAX, CPUID_EBX },
        { 0x00000006, CPUID_EAX, CPUID_ECX }, /* high half reserved */
        { 0x00000001, CPUID_ECX, CPUID_EDX },
        { 0x80000001, CPUID_ECX, CPUID_EDX },
    };
    uint32_t out[4] = { 0 };
    add_features(model, words[n].leaf, out);
    if (words[n].leaf == 0x80000001) {
        uint32_t leaf1[4] = { 0 };
        add_features(model, 1, leaf1);
        out[CPUID_EDX] |= leaf1[CPUID_EDX] & LEAF1_EDX_REPEATED;
    }
    if (n == 1)
        out[words[n].high] = 0;
    uint64_t value = (uint64_t)out[words[n].high] << 32 | out[words[n].low];
    if (cpu->count > 1)
        value |= n == 2 ? CPUID1_EDX_HTT : n == 3 ? CPUID_EXT_CMP_LEGACY : 0;
    return value;
}

static bool apic_enabled(const struct vcpu *cpu)
{
    return cpu->intc && (cpu->intc->read_apic_base(cpu->intc_self) >> 11 & 1);
}

/* The feature words as CPUID shows them: overridden, and with the bits that follow registers. */
static uint64_t feature_words(const struct vcpu *cpu, unsigned n)
{
    uint64_t words = cpuid_true_words(cpu, n) ^ cpu->msr.cpuid_flip[n];
    if (n >= 2 && !apic_enabled(cpu))
        words &= ~(1ull << 9);
    if (n == 2 && !(cpu->regs.cr4 & CR4_OSXSAVE))
        words &= ~CPUID1_ECX_OSXSAVE;
    if (n == 2 && (cpu->msr.hwcr & HWCR_MON_MWAIT_DIS))
        words &= ~CPUID1_ECX_MONITOR;
    return words;
}

static void leaf_1(const struct vcpu *cpu, uint32_t out[4])
{
    uint64_t words = feature_words(cpu, 2);
    out[CPUID_EAX] = cpu->model->signature;
    out[CPUID_EBX] = 8u << 8 | cpu->count << 16 | cpu->index << 24; /* 64-byte lines */
    out[CPUID_ECX] = (uint32_t)(words >> 32);
    out[CPUID_EDX] = (uint32_t)words;
}

static void leaf_7(const struct vcpu *cpu, uint32_t out[4])
{
    add_features(cpu->model, 7, out);
    uint64_t words = feature_words(cpu, 0);
    out[CPUID_EAX] = (uint32_t)(words >> 32);
    out[CPUID_EBX] = (uint32_t)words;
    if (cpu->regs.cr4 & CR4_PKE)
        out[CPUID_ECX] |= 1u << 4; /* OSPKE */
}

/* Caches and TLBs: CHOICE, the sizes of a third-generation EPYC core; nothing here depends on them. */
static void leaf_l1(uint32_t out[4])
{
    out[CPUID_EAX] = out[CPUID_EBX] = 0xff40ff40; /* 64 entries, fully associative */
    out[CPUID_ECX] = out[CPUID_EDX] = 0x20080140; /* 32 KiB, 8 ways, 64-byte lines */
}

static void leaf_l2_l3(uint32_t out[4])
{
    out[CPUID_EAX] = 0x48006400; /* L2 TLB, large pages */
    out[CPUID_EBX] = 0x68006400; /* L2 TLB, 4 KiB pages */
    out[CPUID_ECX] = 0x02006140; /* 512 KiB, 8 ways */
    out[CPUID_EDX] = 0x00808140; /* 16 MiB, 16 ways */
}

/* --- topology --- */

/* CHOICE: each vCPU is a core with one thread, all in one package of one node; the APIC ID is the core's number. */
static unsigned core_id_bits(const struct vcpu *cpu)
{
    unsigned bits = 0;
    while (1u << bits < cpu->count)
        bits++;
    return bits;
}

/* Levels: threads of a core, cores of the package, nothing. */
static void leaf_topology(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    out[CPUID_ECX] = sub & 0xff;
    out[CPUID_EDX] = cpu->index;
    if (sub == 0) {
        out[CPUID_EBX] = 1;
        out[CPUID_ECX] |= 1u << 8;
    } else if (sub == 1) {
        out[CPUID_EAX] = core_id_bits(cpu);
        out[CPUID_EBX] = cpu->count;
        out[CPUID_ECX] |= 2u << 8;
    }
}

/* The caches of leaf_l1() and leaf_l2_l3() once more, with who shares them. */
static void leaf_cache_topology(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    static const struct {
        uint32_t kind, ways, sets, flags; /* kind: type and level, self-initialising */
        bool shared;
    } caches[] = {
        { 0x121, 8, 64, 0, false },    /* L1 data, 32 KiB */
        { 0x122, 8, 64, 0, false },    /* L1 instruction, 32 KiB */
        { 0x143, 8, 1024, 2, false },  /* L2, 512 KiB, inclusive */
        { 0x163, 16, 16384, 1, true }, /* L3, 16 MiB, not flushed by another core's WBINVD */
    };
    if (!cpu_has(cpu, CPU_FEATURE_TOPOEXT) || sub >= sizeof(caches) / sizeof(caches[0]))
        return;
    out[CPUID_EAX] = caches[sub].kind | (caches[sub].shared ? (cpu->count - 1) << 14 : 0);
    out[CPUID_EBX] = 63 | (caches[sub].ways - 1) << 22;
    out[CPUID_ECX] = caches[sub].sets - 1;
    out[CPUID_EDX] = caches[sub].flags;
}

static void leaf_ids(const struct vcpu *cpu, uint32_t out[4])
{
    if (!cpu_has(cpu, CPU_FEATURE_TOPOEXT))
        return;
    out[CPUID_EAX] = apic_enabled(cpu) ? cpu->index : 0; /* APM vol 2, 16.12 "x2APIC_ID" */
    out[CPUID_EBX] = cpu->index;
}

static void leaf_monitor(const struct vcpu *cpu, uint32_t out[4])
{
    if (!(feature_words(cpu, 2) & CPUID1_ECX_MONITOR))
        return;
    out[CPUID_EAX] = out[CPUID_EBX] = 64; /* bytes of a line */
    out[CPUID_ECX] = 3;                   /* extensions; interrupts may end the wait while masked */
}

static void leaf_address_sizes(const struct vcpu *cpu, uint32_t out[4])
{
    unsigned linear = cpu_has(cpu, CPU_FEATURE_LA57) ? 57 : 48;
    add_features(cpu->model, 0x80000008, out);
    out[CPUID_EAX] = CPU_MAXPHYADDR | linear << 8;
    out[CPUID_ECX] = (cpu->count - 1) | core_id_bits(cpu) << 12;
}

static void leaf_svm(const struct vcpu *cpu, uint32_t out[4])
{
    if (!cpu_has(cpu, CPU_FEATURE_SVM))
        return;
    add_features(cpu->model, 0x8000000a, out);
    out[CPUID_EAX] = 1; /* revision */
    out[CPUID_EBX] = SVM_ASID_COUNT;
}

void cpu_cpuid(const struct vcpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    memset(out, 0, 4 * sizeof(out[0]));
    switch (leaf) {
    case 0x00000000: leaf_vendor(MAX_STANDARD, out); break;
    case 0x00000001: leaf_1(cpu, out); break;
    case 0x00000005: leaf_monitor(cpu, out); break;
    case 0x00000006:
        add_features(cpu->model, leaf, out);
        out[CPUID_ECX] = (uint32_t)feature_words(cpu, 1);
        break;
    case 0x00000007:
        if (sub == 0)
            leaf_7(cpu, out);
        break;
    case 0x0000000b: leaf_topology(cpu, sub, out); break;
    case 0x80000000: leaf_vendor(MAX_EXTENDED, out); break;
    case 0x80000001: {
        uint64_t words = feature_words(cpu, 3);
        out[CPUID_EAX] = cpu->model->signature;
        out[CPUID_ECX] = (uint32_t)(words >> 32);
        out[CPUID_EDX] = (uint32_t)words;
        break;
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: memcpy(out, &cpu->msr.name[2 * (leaf - 0x80000002)], 16); break;
    case 0x80000005: leaf_l1(out); break;
    case 0x80000006: leaf_l2_l3(out); break;
    case 0x80000008: leaf_address_sizes(cpu, out); break;
    case 0x8000000a: leaf_svm(cpu, out); break;
    case 0x8000001d: leaf_cache_topology(cpu, sub, out); break;
    case 0x8000001e: leaf_ids(cpu, out); break;
    case 0x80000007:
    case 0x80000021: add_features(cpu->model, leaf, out); break;
    default: break; /* AMD: leaves outside the ranges, and those without content, are zero */
    }
}

/* CPUID. AMD64 manual vol 3, appendix E "Obtaining Processor Information Via the CPUID Instruction". */
#include "emu/cpu/cpuid.h"

#include "emu/cpu/msr.h"
#include "emu/cpu/perf.h"
#include "emu/cpu/xstate.h"
#include "svm/svm.h"

#include <string.h>

#define LEAF1_EDX_REPEATED 0x0183f3ffu /* in Fn8000_0001 EDX */

/* The first row of a leaf's features; those of one leaf stand together. CPU_FEATURE_COUNT: it has none. */
static int first_feature(uint32_t leaf)
{
    static const struct {
        uint32_t leaf;
        enum cpu_feature first;
    } leaves[] = {
        { 0x1, CPU_FEATURE_FPU },
        { 0x6, CPU_FEATURE_ARAT },
        { 0x7, CPU_FEATURE_FSGSBASE },
        { 0x7 | CPUID_SUB1, CPU_FEATURE_AVX_VNNI },
        { 0xd | CPUID_SUB1, CPU_FEATURE_XSAVEOPT },
        { 0x80000001, CPU_FEATURE_LAHF_LM },
        { 0x80000007, CPU_FEATURE_OVERFLOW_RECOV },
        { 0x80000008, CPU_FEATURE_CLZERO },
        { 0x8000000a, CPU_FEATURE_NPT },
        { 0x80000021, CPU_FEATURE_NO_NESTED_DBP },
        { 0x80000022, CPU_FEATURE_PERFMON_V2 },
    };
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        if (leaves[i].leaf == leaf)
            return leaves[i].first;
    }
    return CPU_FEATURE_COUNT;
}

/* The feature bits of one leaf, or with CPUID_SUB1 of its sub-leaf 1. */
static void add_features(const struct cpu_model *model, uint32_t leaf, uint32_t out[4])
{
    for (int f = first_feature(leaf); f < CPU_FEATURE_COUNT && cpu_features[f].leaf == leaf; f++)
        out[cpu_features[f].reg] |= (uint32_t)cpu_model_has(model, (enum cpu_feature)f)
                                    << cpu_features[f].bit;
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
#define CPUID_EXT_MONITORX (1ull << (32 + 29))
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
    if (n == 0) { /* the highest sub-leaf */
        uint32_t sub1[4] = { 0 };
        add_features(model, 7 | CPUID_SUB1, sub1);
        out[CPUID_EAX] = (sub1[0] | sub1[1] | sub1[2] | sub1[3]) != 0;
    }
    if (n == 1)
        out[words[n].high] = 0;
    uint64_t value = (uint64_t)out[words[n].high] << 32 | out[words[n].low];
    if (cpu->count > 1)
        value |= n == 2 ? CPUID1_EDX_HTT : n == 3 ? CPUID_EXT_CMP_LEGACY : 0;
    if (n == 2 && cpu_has(cpu, CPU_FEATURE_XSAVE))
        value |= CPUID1_ECX_OSXSAVE; /* a gate: feature_words() */
    return value;
}

static bool apic_enabled(const struct vcpu *cpu)
{
    return cpu->intc && (cpu->intc->read_apic_base(cpu->intc_self) >> 11 & 1);
}

/* The feature words as CPUID shows them: overridden, and with the bits that follow registers. An override of APIC and
 * OSXSAVE is a gate: 1 lets the live value through. */
static uint64_t feature_words(const struct vcpu *cpu, unsigned n)
{
    uint64_t words = cpuid_true_words(cpu, n) ^ cpu->msr.cpuid_flip[n];
    if (n >= 2 && !apic_enabled(cpu))
        words &= ~(1ull << 9);
    if (n == 2 && !(cpu->regs.cr4 & CR4_OSXSAVE))
        words &= ~CPUID1_ECX_OSXSAVE;
    if (n == 2 && (cpu->msr.hwcr & HWCR_MON_MWAIT_DIS))
        words &= ~CPUID1_ECX_MONITOR;
    if (n == 3 && (cpu->msr.hwcr & HWCR_MON_MWAIT_DIS))
        words &= ~CPUID_EXT_MONITORX;
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

/* --- caches, TLBs --- */

static uint32_t kib(unsigned ways, uint32_t sets)
{
    return ways * sets / 16; /* lines of 64 bytes */
}

/* How Fn8000_0005 and Fn8000_0006 say the associativity of L2 and L3. */
static uint32_t ways_code(unsigned ways)
{
    return ways == 16 ? 8 : ways == 8 ? 6 : 9 /* as Fn8000_001D says */;
}

/* Cores share an L3 in complexes; the last may have fewer. */
static unsigned in_complex(const struct vcpu *cpu)
{
    unsigned most = 1u << cpu->model->core->complex_bits;
    return cpu->count < most ? cpu->count : most;
}

static void leaf_l1(const struct vcpu *cpu, uint32_t out[4])
{
    const struct cpu_core *core = cpu->model->core;
    out[CPUID_EAX] = core->l1_tlb[0];
    out[CPUID_EBX] = core->l1_tlb[1];
    out[CPUID_ECX] =
        kib(core->data.ways, core->data.sets) << 24 | (uint32_t)core->data.ways << 16 | 0x140;
    out[CPUID_EDX] =
        kib(core->code.ways, core->code.sets) << 24 | (uint32_t)core->code.ways << 16 | 0x140;
}

/* The L3 counts for the package, in units of 512 KiB. */
static void leaf_l2_l3(const struct vcpu *cpu, uint32_t out[4])
{
    const struct cpu_core *core = cpu->model->core;
    unsigned complexes = ((cpu->count - 1) >> core->complex_bits) + 1;
    out[CPUID_EAX] = core->l2_tlb[0];
    out[CPUID_EBX] = core->l2_tlb[1];
    out[CPUID_ECX] =
        kib(core->l2.ways, core->l2.sets) << 16 | ways_code(core->l2.ways) << 12 | 0x140;
    out[CPUID_EDX] = kib(core->l3.ways, core->l3.sets) / 512 * complexes << 18 |
                     (complexes > 1 ? 9u : ways_code(core->l3.ways)) << 12 | 0x140;
}

static void leaf_huge_tlb(const struct vcpu *cpu, uint32_t out[4])
{
    if (!cpu_has(cpu, CPU_FEATURE_PAGE1GB))
        return;
    out[CPUID_EAX] = cpu->model->core->huge_tlb[0];
    out[CPUID_EBX] = cpu->model->core->huge_tlb[1];
}

/* The caches once more, with who shares them. */
static void leaf_cache_topology(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    const struct cpu_core *core = cpu->model->core;
    const struct {
        uint32_t kind, ways, sets, flags; /* kind: type and level, self-initialising */
        bool shared;
    } caches[] = {
        { 0x121, core->data.ways, core->data.sets, 0, false },
        { 0x122, core->code.ways, core->code.sets, 0, false },
        { 0x143, core->l2.ways, core->l2.sets, 2, false }, /* inclusive */
        { 0x163, core->l3.ways, core->l3.sets, 1,
          true }, /* another core's WBINVD does not flush it */
    };
    if (!cpu_has(cpu, CPU_FEATURE_TOPOEXT) || sub >= sizeof(caches) / sizeof(caches[0]))
        return;
    out[CPUID_EAX] = caches[sub].kind | (caches[sub].shared ? (in_complex(cpu) - 1) << 14 : 0);
    out[CPUID_EBX] = 63 | (caches[sub].ways - 1) << 22;
    out[CPUID_ECX] = caches[sub].sets - 1;
    out[CPUID_EDX] = caches[sub].flags;
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

/* Levels: threads of a core, cores of the package, nothing. Zen 1 does not have the leaf. */
static void leaf_topology(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    if (cpu->model->core->highest < 0x10)
        return;
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

/* Levels: core, complex, die (with one complex), package. */
static void leaf_extended_topology(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    unsigned bits = core_id_bits(cpu), complex_bits = cpu->model->core->complex_bits;
    unsigned level_bits = sub == 0 ? 0 : sub == 3 || complex_bits > bits ? bits : complex_bits;
    out[CPUID_ECX] = sub & 0xff;
    out[CPUID_EDX] = cpu->index;
    if (sub > 3)
        return;
    out[CPUID_EAX] = level_bits;
    out[CPUID_EBX] = sub == 0 ? 1 : sub == 3 ? cpu->count : in_complex(cpu);
    out[CPUID_ECX] |= (sub + 1) << 8;
}

static void leaf_ids(const struct vcpu *cpu, uint32_t out[4])
{
    if (!cpu_has(cpu, CPU_FEATURE_TOPOEXT))
        return;
    out[CPUID_EAX] = apic_enabled(cpu) ? cpu->index : 0; /* APM vol 2, 16.12 "x2APIC_ID" */
    out[CPUID_EBX] = cpu->index;
}

/* --- other leaves --- */

static void leaf_monitor(const struct vcpu *cpu, uint32_t out[4])
{
    if (!(feature_words(cpu, 2) & CPUID1_ECX_MONITOR))
        return;
    out[CPUID_EAX] = out[CPUID_EBX] = 64; /* bytes of a line */
    out[CPUID_ECX] = 3;                   /* extensions; interrupts may end the wait while masked */
    out[CPUID_EDX] = 0x11;                /* one state each of C0 and C1 */
}

static void leaf_address_sizes(const struct vcpu *cpu, uint32_t out[4])
{
    unsigned linear = cpu_has(cpu, CPU_FEATURE_LA57) ? 57 : 48;
    add_features(cpu->model, 0x80000008, out);
    out[CPUID_EAX] = cpu->model->address_bits | linear << 8;
    out[CPUID_ECX] = (cpu->count - 1) | core_id_bits(cpu) << 12;
    if (cpu_has(cpu, CPU_FEATURE_INVLPGB))
        out[CPUID_EDX] |= CPUID_INVLPGB_MAX;
    if (cpu_has(cpu, CPU_FEATURE_RDPRU))
        out[CPUID_EDX] |= CPUID_RDPRU_MAX << 16;
}

static void leaf_svm(const struct vcpu *cpu, uint32_t out[4])
{
    if (!cpu_has(cpu, CPU_FEATURE_SVM))
        return;
    add_features(cpu->model, 0x8000000a, out);
    out[CPUID_EAX] = 1; /* revision */
    out[CPUID_EBX] = SVM_ASID_COUNT;
}

static void standard_leaf(const struct vcpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    switch (leaf) {
    case 0x0: leaf_vendor(cpu->model->core->highest, out); break;
    case 0x1: leaf_1(cpu, out); break;
    case 0x5: leaf_monitor(cpu, out); break;
    case 0x6:
        add_features(cpu->model, leaf, out);
        out[CPUID_ECX] = (uint32_t)feature_words(cpu, 1);
        break;
    case 0x7:
        if (sub == 0)
            leaf_7(cpu, out);
        else if (sub == 1)
            add_features(cpu->model, leaf | CPUID_SUB1, out);
        break;
    case 0xb: leaf_topology(cpu, sub, out); break;
    case 0xd: xstate_leaf(cpu, sub, out); break;
    default: break;
    }
}

static void extended_leaf(const struct vcpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    switch (leaf) {
    case 0x80000000: leaf_vendor(cpu->model->core->highest_extended, out); break;
    case 0x80000001: {
        uint64_t words = feature_words(cpu, 3);
        out[CPUID_EAX] = cpu->model->signature;
        out[CPUID_EBX] = (uint32_t)cpu->model->package << 28;
        out[CPUID_ECX] = (uint32_t)(words >> 32);
        out[CPUID_EDX] = (uint32_t)words;
        break;
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: memcpy(out, &cpu->msr.name[2 * (leaf - 0x80000002)], 16); break;
    case 0x80000005: leaf_l1(cpu, out); break;
    case 0x80000006: leaf_l2_l3(cpu, out); break;
    case 0x80000008: leaf_address_sizes(cpu, out); break;
    case 0x8000000a: leaf_svm(cpu, out); break;
    case 0x80000019: leaf_huge_tlb(cpu, out); break;
    case 0x8000001a: out[CPUID_EAX] = cpu->model->core->hints; break;
    case 0x8000001d: leaf_cache_topology(cpu, sub, out); break;
    case 0x8000001e: leaf_ids(cpu, out); break;
    case 0x80000026: leaf_extended_topology(cpu, sub, out); break;
    case 0x80000022:
        add_features(cpu->model, leaf, out);
        out[CPUID_EBX] = cpu_has(cpu, CPU_FEATURE_PERFMON_V2) ? PERF_COUNTERS : 0;
        break;
    default: add_features(cpu->model, leaf, out); break; /* 7, 21h */
    }
}

void cpu_cpuid(const struct vcpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct cpu_core *core = cpu->model->core;
    memset(out, 0,
           4 * sizeof(out[0])); /* AMD: leaves outside the ranges, and those without content */
    if (leaf <= core->highest)
        standard_leaf(cpu, leaf, sub, out);
    else if (leaf >= 0x80000000 && leaf <= core->highest_extended)
        extended_leaf(cpu, leaf, sub, out);
}

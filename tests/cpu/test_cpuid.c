/* CPUID says what the table of features says, and `-cpu` changes just that. APM vol 3, appendix E. */
#include "tests/cpu/kit.h"

/* Of sub-leaf 0, or of sub-leaf 1 with CPUID_SUB1. */
static uint32_t word(const struct kit *k, uint32_t leaf, unsigned reg)
{
    bool sub1 = leaf < 0x80000000 && (leaf & CPUID_SUB1);
    uint32_t out[4];
    cpu_cpuid(k->cpu, sub1 ? leaf & ~CPUID_SUB1 : leaf, sub1, out);
    return out[reg];
}

static uint32_t words(const struct kit *k, uint32_t leaf, uint32_t sub, unsigned reg)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, leaf, sub, out);
    return out[reg];
}

/* rows: svmop 21.1-21.14 */
WITH_KIT(advertised_bits_are_those_of_the_table)
{
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
        const struct cpu_feature_info *info = &cpu_features[f];
        ck_assert_msg((word(k, info->leaf, info->reg) >> info->bit & 1) == info->offered, "%s",
                      info->name);
        ck_assert_int_eq(cpu_has(k->cpu, (enum cpu_feature)f), info->offered);
    }
}

WITH_KIT(no_other_bits_are_advertised)
{
    static const struct {
        uint32_t leaf;
        uint8_t reg;
    } words[] = {
        { 1, CPUID_ECX },
        { 1, CPUID_EDX },
        { 6, CPUID_EAX },
        { 6, CPUID_ECX },
        { 7, CPUID_EAX },
        { 7, CPUID_EBX },
        { 7, CPUID_ECX },
        { 7, CPUID_EDX },
        { 7 | CPUID_SUB1, CPUID_EAX },
        { 0xd | CPUID_SUB1, CPUID_EAX },
        { 0x80000001, CPUID_ECX },
        { 0x80000007, CPUID_EBX },
        { 0x80000007, CPUID_EDX },
        { 0x80000008, CPUID_EBX },
        { 0x8000000a, CPUID_ECX },
        { 0x8000000a, CPUID_EDX },
        { 0x80000021, CPUID_EAX },
        { 0x80000022, CPUID_EAX },
    };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint32_t known = 0;
        for (int f = 1; f < CPU_FEATURE_COUNT; f++)
            if (cpu_features[f].leaf == words[i].leaf && cpu_features[f].reg == words[i].reg &&
                cpu_features[f].offered)
                known |= 1u << cpu_features[f].bit;
        ck_assert_uint_eq(word(k, words[i].leaf, words[i].reg), known);
    }
    /* Fn8000_0001 EDX repeats bits of leaf 1 and has its own. */
    uint32_t leaf1 = word(k, 1, CPUID_EDX), extended = word(k, 0x80000001, CPUID_EDX);
    ck_assert_uint_eq(extended & 0x0183f3ff, leaf1 & 0x0183f3ff);
}

/* CPUID looks for the first row of a leaf and goes on while the leaf is the same. */
WITH_KIT(features_of_a_leaf_stand_together)
{
    for (int f = 2; f < CPU_FEATURE_COUNT; f++)
        for (int g = 1; g < f - 1; g++)
            ck_assert_msg(cpu_features[g].leaf != cpu_features[f].leaf ||
                              cpu_features[f - 1].leaf == cpu_features[f].leaf,
                          "%s", cpu_features[f].name);
    struct cpu_model all = *k->cpu->model; /* also those that nobody has */
    memset(all.features, true, sizeof(all.features));
    k->cpu->model = &all;
    k->cpu->regs.cr4 |= CR4_OSXSAVE;
    for (int f = 1; f < CPU_FEATURE_COUNT; f++)
        if (cpu_features[f].leaf != (0xd | CPUID_SUB1)) /* emu/cpu/xstate.c */
            ck_assert_msg(
                word(k, cpu_features[f].leaf, cpu_features[f].reg) >> cpu_features[f].bit & 1, "%s",
                cpu_features[f].name);
    k->cpu->model = cpu_model_default();
}

WITH_KIT(features_have_distinct_bits_and_names)
{
    (void)k;
    for (int f = 1; f < CPU_FEATURE_COUNT; f++)
        for (int g = 1; g < f; g++) {
            const struct cpu_feature_info *a = &cpu_features[f], *b = &cpu_features[g];
            ck_assert_str_ne(a->option, b->option);
            ck_assert(a->leaf != b->leaf || a->reg != b->reg || a->bit != b->bit);
        }
}

/* What VMRUN goes by before somebody has chosen a model. */
WITH_KIT(new_svm_state_has_the_widest_model)
{
    const uint32_t elsewhere = 1u << cpu_features[CPU_FEATURE_SVM_LOCK].bit |
                               1u << cpu_features[CPU_FEATURE_TSC_SCALE].bit |
                               1u << cpu_features[CPU_FEATURE_HOST_MCE].bit; /* emu/cpu */
    struct svm_state *svm = svm_new();
    ck_assert_ptr_nonnull(svm);
    const struct svm_model *made = &svm->model, *max = &k->cpu->svm->model;
    uint32_t offered = 0;
    for (int f = 1; f < CPU_FEATURE_COUNT; f++)
        if (cpu_features[f].leaf == 0x8000000a && cpu_features[f].reg == CPUID_EDX &&
            cpu_features[f].offered)
            offered |= 1u << cpu_features[f].bit;
    ck_assert_uint_eq(made->features, offered & ~elsewhere);
    ck_assert_uint_eq(made->cr4_valid, max->cr4_valid);
    ck_assert_uint_eq(made->efer_valid, max->efer_valid);
    ck_assert_uint_eq(made->spec_ctrl_valid, max->spec_ctrl_valid);
    ck_assert_uint_eq(made->maxphyaddr, max->maxphyaddr);
    ck_assert_uint_eq(made->linear_bits, max->linear_bits);
    ck_assert_int_eq(made->page_1gb, max->page_1gb);
    svm_free(svm);
}

WITH_KIT(vendor_and_limits)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 0, 0, out);
    ck_assert_uint_eq(out[CPUID_EAX], 0x10);
    ck_assert_mem_eq(&out[CPUID_EBX], "Auth", 4);
    ck_assert_mem_eq(&out[CPUID_EDX], "enti", 4);
    ck_assert_mem_eq(&out[CPUID_ECX], "cAMD", 4);
    ck_assert_uint_eq(word(k, 0x80000000, CPUID_EAX), 0x80000028);
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_EAX), 48 | 57 << 8);
    ck_assert_uint_eq(word(k, 0x8000000a, CPUID_EAX), 1);
    ck_assert_uint_eq(word(k, 0x8000000a, CPUID_EBX), 32768);
    ck_assert_uint_eq(word(k, 1, CPUID_EAX), 0x00a00f11);
}

WITH_KIT(leaves_outside_the_ranges_are_zero)
{
    static const uint32_t leaves[] = { 2,          8,          0x11,       0x10007,    0x40000000,
                                       0x400000ff, 0x80000009, 0x80000029, 0xc0000000, UINT32_MAX };
    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        for (unsigned reg = 0; reg < 4; reg++)
            ck_assert_uint_eq(words(k, leaves[i], 0, reg), 0);
    uint32_t out[4];
    cpu_cpuid(k->cpu, 7, 2, out);
    ck_assert_uint_eq(out[0] | out[1] | out[2] | out[3], 0);
}

WITH_KIT(apic_bit_follows_apic_base)
{
    ck_assert_uint_eq(word(k, 1, CPUID_EDX) >> 9 & 1, 1);
    k->apic_base &= ~0x800ull;
    ck_assert_uint_eq(word(k, 1, CPUID_EDX) >> 9 & 1, 0);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_EDX) >> 9 & 1, 0);
}

WITH_KIT(brand_string_comes_from_its_msrs)
{
    char text[49] = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        uint32_t out[4];
        cpu_cpuid(k->cpu, 0x80000002 + i, 0, out);
        memcpy(text + 16 * i, out, 16);
    }
    ck_assert_str_eq(text, "Pacifica AMD64 processor");
    ck_assert_int_eq(msr_write(k->cpu, 0xc0010030, 0x4847464544434241), STEP_NEXT);
    ck_assert_uint_eq(word(k, 0x80000002, CPUID_EAX), 0x44434241);
}

/* --- the override MSRs --- */

static void set_words(struct kit *k, unsigned n, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, 0xc0011002 + n, value), STEP_NEXT);
}

static uint64_t get_words(struct kit *k, unsigned n)
{
    uint64_t value;
    ck_assert_int_eq(msr_read(k->cpu, 0xc0011002 + n, &value), STEP_NEXT);
    return value;
}

/* Which leaf and registers each of them replaces. */
WITH_KIT(override_msrs_replace_feature_words)
{
    set_words(k, 0, 5ull << 32 | 7);
    ck_assert_uint_eq(word(k, 7, CPUID_EAX), 5);
    ck_assert_uint_eq(word(k, 7, CPUID_EBX), 7);
    set_words(k, 1, 2);
    ck_assert_uint_eq(word(k, 6, CPUID_ECX), 2);
    set_words(k, 2, 1ull << 63 | 1u << 5);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX), 1u << 31); /* also bits that no model has */
    ck_assert_uint_eq(word(k, 1, CPUID_EDX), 1u << 5);
    set_words(k, 3, 5ull << 32 | 2);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_ECX), 5);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_EDX), 2);
}

WITH_KIT(override_msrs_reset_to_the_true_values)
{
    k->cpu->regs.cr4 |= CR4_OSXSAVE;
    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(get_words(k, 0),
                          (uint64_t)word(k, 7, CPUID_EAX) << 32 | word(k, 7, CPUID_EBX));
        ck_assert_uint_eq(get_words(k, 1), word(k, 6, CPUID_ECX));
        ck_assert_uint_eq(get_words(k, 2),
                          (uint64_t)word(k, 1, CPUID_ECX) << 32 | word(k, 1, CPUID_EDX));
        ck_assert_uint_eq(get_words(k, 3), (uint64_t)word(k, 0x80000001, CPUID_ECX) << 32 |
                                               word(k, 0x80000001, CPUID_EDX));
        for (unsigned n = 0; n < 4; n++) {
            set_words(k, n, 0);
            ck_assert_uint_eq(get_words(k, n), 0);
        }
        msr_reset(k->cpu);
    }
}

WITH_KIT(override_upper_half_of_leaf_6_is_reserved)
{
    set_words(k, 1, UINT64_MAX);
    ck_assert_uint_eq(get_words(k, 1), UINT32_MAX);
    ck_assert_uint_eq(word(k, 6, CPUID_EAX), 4);
}

/* In the override they are gates: 1 lets the live value through, 0 hides it. */
WITH_KIT(override_of_apic_is_a_gate)
{
    const unsigned leaves[] = { 1, 0x80000001 };
    for (unsigned i = 0; i < 2; i++) {
        set_words(k, 2 + i, 1u << 9);
        k->apic_base |= 0x800;
        ck_assert_uint_eq(word(k, leaves[i], CPUID_EDX), 1u << 9);
        k->apic_base &= ~0x800ull;
        ck_assert_uint_eq(word(k, leaves[i], CPUID_EDX), 0);
        ck_assert_uint_eq(get_words(k, 2 + i), 1u << 9);
        set_words(k, 2 + i, 0);
        k->apic_base |= 0x800;
        ck_assert_uint_eq(word(k, leaves[i], CPUID_EDX), 0);
    }
}

WITH_KIT(override_of_osxsave_is_a_gate)
{
    const uint64_t osxsave = 1ull << (32 + 27);
    for (unsigned gate = 0; gate < 2; gate++)
        for (unsigned live = 0; live < 2; live++) {
            k->cpu->regs.cr4 = live ? CR4_PAE | CR4_OSXSAVE : CR4_PAE;
            set_words(k, 2, gate ? osxsave : 0);
            ck_assert_uint_eq(word(k, 1, CPUID_ECX), gate && live ? 1u << 27 : 0);
            ck_assert_uint_eq(get_words(k, 2), gate ? osxsave : 0);
        }
}

/* Without a gate that was ever written, OSXSAVE follows CR4 where there is XSAVE. */
WITH_KIT(osxsave_follows_cr4)
{
    bool xsave = cpu_has(k->cpu, CPU_FEATURE_XSAVE);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) >> 27 & 1, 0);
    k->cpu->regs.cr4 |= CR4_OSXSAVE;
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) >> 27 & 1, xsave);
}

/* Firmware clears bit 54 of C001_1005h to hide the topology leaves' bit, Linux sets it again. */
WITH_KIT(override_of_topoext_comes_back)
{
    uint64_t words_3 = get_words(k, 3);
    ck_assert_uint_eq(words_3 >> 54 & 1, 1);
    set_words(k, 3, words_3 & ~(1ull << 54));
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_ECX) >> 22 & 1, 0);
    set_words(k, 3, words_3);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_ECX) >> 22 & 1, 1);
}

/* The instructions stay, and so do the ones that are not there; no other leaf changes. */
WITH_KIT(override_has_no_effect_but_in_cpuid)
{
    uint32_t before = word(k, 0x80000008, CPUID_EBX), svm = word(k, 0x8000000a, CPUID_EDX);
    for (unsigned n = 0; n < 4; n++)
        set_words(k, n, 0);
    ck_assert(cpu_has(k->cpu, CPU_FEATURE_CMOV));
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xf9"), STEP_NEXT); /* RDTSCP */
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_EBX), before);
    ck_assert_uint_eq(word(k, 0x8000000a, CPUID_EDX), svm);
    for (unsigned n = 0; n < 4; n++)
        set_words(k, n, UINT64_MAX);
    ck_assert(!cpu_has(k->cpu, CPU_FEATURE_3DNOW));
    ck_assert_ptr_null(msr_find(k->cpu, 0xc0010141 + 1));
}

/* --- `-cpu` --- */

static struct cpu_model parsed(const char *text)
{
    struct cpu_model model;
    struct pacifica_diag diag = { 0 };
    ck_assert_msg(cpu_model_parse(text, &model, &diag) == PACIFICA_OK, "%s: %s", text, diag.what);
    return model;
}

static void refused(const char *text, enum pacifica_status status, const char *word_named)
{
    struct cpu_model model, before;
    struct pacifica_diag diag = { 0 };
    memset(&model, 0x5a, sizeof(model));
    before = model;
    ck_assert_int_eq(cpu_model_parse(text, &model, &diag), status);
    ck_assert_msg(strstr(diag.what, word_named) != NULL, "%s", diag.what);
    ck_assert_mem_eq(&model, &before, sizeof(model));
    ck_assert_int_eq(cpu_model_parse(text, &model, NULL), status);
}

START_TEST(models_and_switches)
{
    static const char *const names[] = { "max", "host", "qemu64", "MAX" };
    for (unsigned i = 0; i < 4; i++) {
        struct cpu_model model = parsed(names[i]);
        ck_assert_mem_eq(model.features, cpu_model_default()->features, sizeof(model.features));
        ck_assert_str_eq(model.name, "max");
    }
    struct cpu_model model = parsed("max,+svm,-npt,-smap,smep=off,+nrip_save,invpcid=on");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_SVM));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_NPT));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_SMAP));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_SMEP));
    ck_assert(cpu_model_has(&model, CPU_FEATURE_NRIP_SAVE));
    model = parsed("max,-smap,+smap");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_SMAP));
}
END_TEST

START_TEST(switching_off_takes_dependents_along)
{
    struct cpu_model model = parsed("max,-svm");
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_NPT));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_DECODEASSISTS));
    model = parsed("max,-pae");
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_LM));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_LA57));
    model = parsed("max,-svm,+npt");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_SVM));
}
END_TEST

/* AVIC is about nested paging, x2AVIC about x2APIC: APM vol 2, 15.29. */
START_TEST(avic_needs_nested_paging)
{
    struct cpu_model model = parsed("max,-npt");
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_AVIC));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_X2AVIC));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_EXT_LVT_AVIC));
    model = parsed("max,-avic");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_NPT));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_X2AVIC));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_EXT_LVT_AVIC));
    model = parsed("max,-x2apic");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_AVIC));
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_X2AVIC));
    model = parsed("max,-svm,+x2avic");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_AVIC));
    ck_assert(cpu_model_has(&model, CPU_FEATURE_NPT));
    model = parsed("max,-avic,+ext-lvt-avic");
    ck_assert(cpu_model_has(&model, CPU_FEATURE_AVIC));
}
END_TEST

START_TEST(bad_words_are_named)
{
    refused("Opteron_G5", PACIFICA_EUNSUPPORTED, "Opteron_G5");
    refused("max-v1", PACIFICA_EUNSUPPORTED, "max-v1");
    refused("EPYC-v0", PACIFICA_EUNSUPPORTED, "EPYC-v0");
    refused("EPYC-v10", PACIFICA_EUNSUPPORTED, "EPYC-v10");
    refused("-v1", PACIFICA_EUNSUPPORTED, "-v1");
    refused("", PACIFICA_EUNSUPPORTED, "");
    refused("max,+frobnicate", PACIFICA_EUSAGE, "frobnicate");
    refused("max,svm=maybe", PACIFICA_EUSAGE, "svm=maybe");
    refused("max,", PACIFICA_EUSAGE, "unknown");
    refused("max,+", PACIFICA_EUSAGE, "unknown");
    refused("max,=on", PACIFICA_EUSAGE, "unknown");
    refused("max,+avx512f", PACIFICA_EUNSUPPORTED, "avx512f");
    refused("epyc-genoa,avx512_vnni", PACIFICA_EUNSUPPORTED, "avx512-vnni");
    refused("max,+ht", PACIFICA_EUNSUPPORTED, "no switch");
    refused("max,-ht", PACIFICA_EUNSUPPORTED, "no switch");
    refused("max,cmp-legacy=off", PACIFICA_EUNSUPPORTED, "no switch");
    refused("max,+x2apic=on", PACIFICA_EUSAGE, "x2apic");
    refused("max,clean-bits=keep", PACIFICA_EUSAGE, "clean-bits=keep");
    refused("max,clean-bits=", PACIFICA_EUSAGE, "clean-bits=");
    refused("max,clean-bits", PACIFICA_EUSAGE, "clean-bits");
    refused("max,+clean-bits=ignore", PACIFICA_EUSAGE, "clean-bits");
    refused("max,phys-bits=35", PACIFICA_EUSAGE, "phys-bits=35");
    refused("max,phys-bits=53", PACIFICA_EUSAGE, "phys-bits=53");
    refused("max,phys-bits=4294967336", PACIFICA_EUSAGE, "phys-bits=4294967336");
    refused("max,phys-bits=", PACIFICA_EUSAGE, "phys-bits=");
    refused("max,phys-bits=4x", PACIFICA_EUSAGE, "phys-bits=4x");
    parsed("max,-avx512f"); /* off already */
}
END_TEST

START_TEST(physical_address_bits_can_be_chosen)
{
    ck_assert_uint_eq(parsed("max,phys-bits=36").address_bits, 36);
    ck_assert_uint_eq(parsed("epyc-milan,phys_bits=40").address_bits, 40);
    ck_assert_uint_eq(parsed("max,phys-bits=52").address_bits, 52);
}
END_TEST

START_TEST(clean_bits_are_honored_or_ignored)
{
    ck_assert(!parsed("max").clean_bits_ignored);
    ck_assert(!parsed("epyc-milan,clean-bits=honor").clean_bits_ignored);
    ck_assert(!parsed("max,clean-bits=ignore,clean_bits=honor").clean_bits_ignored);
    struct cpu_model model = parsed("max,Clean_Bits=Ignore,-npt");
    ck_assert(model.clean_bits_ignored);
    ck_assert(cpu_model_has(&model, CPU_FEATURE_VMCB_CLEAN));
}
END_TEST

START_TEST(every_feature_that_is_not_offered_cannot_be_switched_on)
{
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
        char text[64];
        struct cpu_model model;
        (void)snprintf(text, sizeof(text), "max,+%s", cpu_features[f].option);
        ck_assert_int_eq(cpu_model_parse(text, &model, NULL),
                         cpu_features[f].offered ? PACIFICA_OK : PACIFICA_EUNSUPPORTED);
        (void)snprintf(text, sizeof(text), "max,-%s", cpu_features[f].option);
        if (cpu_features[f].offer == CPU_OFFER_LIVE) {
            ck_assert_int_eq(cpu_model_parse(text, &model, NULL), PACIFICA_EUNSUPPORTED);
            continue;
        }
        model = parsed(text);
        ck_assert(!cpu_model_has(&model, (enum cpu_feature)f));
    }
}
END_TEST

START_TEST(new_features_bring_what_they_need)
{
    static const struct {
        const char *text;
        enum cpu_feature has, lacks;
    } rows[] = {
        { "max,-sse", CPU_FEATURE_FXSR, CPU_FEATURE_AVX2 },
        { "max,-sse2", CPU_FEATURE_SSE, CPU_FEATURE_SHA },
        { "max,-sse3", CPU_FEATURE_SSE2, CPU_FEATURE_SSE4A },
        { "max,-ssse3", CPU_FEATURE_SSE3, CPU_FEATURE_SSE42 },
        { "max,-sse4.2", CPU_FEATURE_SSE41, CPU_FEATURE_AVX },
        { "max,-xsave", CPU_FEATURE_SSE42, CPU_FEATURE_AVX },
        { "max,-xsave", CPU_FEATURE_SSE42, CPU_FEATURE_XSAVES },
        { "max,-xsavec", CPU_FEATURE_XSAVEOPT, CPU_FEATURE_XSAVES },
        { "max,-avx", CPU_FEATURE_XSAVE, CPU_FEATURE_F16C },
        { "max,-avx", CPU_FEATURE_XSAVE, CPU_FEATURE_FMA },
        { "max,-aes", CPU_FEATURE_AVX2, CPU_FEATURE_VAES },
        { "max,-pclmulqdq", CPU_FEATURE_AES, CPU_FEATURE_VPCLMULQDQ },
        { "max,-fpu", CPU_FEATURE_LM, CPU_FEATURE_MMXEXT },
        { "max,-fxsr", CPU_FEATURE_MMX, CPU_FEATURE_XSAVE },
        { "max,-invlpgb", CPU_FEATURE_SVM, CPU_FEATURE_INVLPGB_NESTED },
        { "max,-cet-ss", CPU_FEATURE_NPT, CPU_FEATURE_SSS_CHECK },
        { "max,-npt", CPU_FEATURE_CET_SS, CPU_FEATURE_SSS_CHECK },
        { "max,-ibpb", CPU_FEATURE_IBRS, CPU_FEATURE_SBPB },
        { "epyc-naples,-fpu,+avx2", CPU_FEATURE_FPU, CPU_FEATURE_FMA },
        { "epyc-naples,-sse,+vaes", CPU_FEATURE_AES, CPU_FEATURE_AVX2 },
        { "epyc-naples,-svm,+nrip-save", CPU_FEATURE_SVM, CPU_FEATURE_NPT },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_model model;
        if (!cpu_features[rows[i].has].offered)
            continue;
        if (cpu_model_parse(rows[i].text, &model, NULL) == PACIFICA_EUNSUPPORTED)
            continue; /* AVX2 and VAES are not offered in this build */
        ck_assert_msg(cpu_model_has(&model, rows[i].has), "%s", rows[i].text);
        ck_assert_msg(!cpu_model_has(&model, rows[i].lacks), "%s", rows[i].text);
    }
}
END_TEST

/* Each feature switched on and off in each model: none but offered ones are ever set, and a second switch undoes nothing
 * that was not asked for. */
START_TEST(switches_keep_to_offered_features)
{
    for (unsigned n = 0; cpu_model_name(n); n++)
        for (int f = 1; f < CPU_FEATURE_COUNT; f++)
            for (int on = 0; on < 2; on++) {
                char text[64];
                struct cpu_model model;
                (void)snprintf(text, sizeof(text), "%s,%c%s", cpu_model_name(n), on ? '+' : '-',
                               cpu_features[f].option);
                if (cpu_model_parse(text, &model, NULL) != PACIFICA_OK)
                    continue;
                ck_assert_int_eq(cpu_model_has(&model, (enum cpu_feature)f), on);
                for (int g = 1; g < CPU_FEATURE_COUNT; g++)
                    ck_assert_msg(!cpu_model_has(&model, (enum cpu_feature)g) ||
                                      cpu_features[g].offered,
                                  "%s sets %s", text, cpu_features[g].option);
            }
}
END_TEST

/* --- models --- */

/* What real processors answer. EDX of 1 and ECX of 8000_0001h have HTT and CmpLegacy, which follow -smp; OSXSAVE was set.
 * The first generation has IBPB (8000_0008h EBX[12]) with microcode of 2018 and later, as the models' patch levels are. */
static const struct real {
    const char *name;
    uint32_t signature, highest, highest_extended, addresses, package;
    struct {
        uint32_t leaf;
        unsigned reg;
        uint32_t value;
    } word[12];
} reals[] = {
#define REAL(name, signature, highest, extended, addresses, package, c1, d1, b7, c7, d7, c81, d81, \
             b87, d87, b88, d8a, a821)                                                             \
    {                                                                                              \
        name, signature, highest, extended, addresses, package,                                    \
        {                                                                                          \
            { 1, CPUID_ECX, c1 }, { 1, CPUID_EDX, d1 }, { 7, CPUID_EBX, b7 },                      \
                { 7, CPUID_ECX, c7 }, { 7, CPUID_EDX, d7 }, { 0x80000001, CPUID_ECX, c81 },        \
                { 0x80000001, CPUID_EDX, d81 }, { 0x80000007, CPUID_EBX, b87 },                    \
                { 0x80000007, CPUID_EDX, d87 }, { 0x80000008, CPUID_EBX, b88 },                    \
                { 0x8000000a, CPUID_EDX, d8a },                                                    \
            {                                                                                      \
                0x80000021, CPUID_EAX, a821                                                        \
            }                                                                                      \
        }                                                                                          \
    }
    REAL("epyc-naples", 0x00800f12, 0x0d, 0x8000001f, 0x3030, 0x40000000, 0x7ed8320b, 0x178bfbff,
         0x209c01a9, 0, 0, 0x35c233ff, 0x2fd3fbff, 0x1b, 0x6799, 0x1007, 0x0001bcff, 0),
    REAL("ryzen-zen", 0x00800f11, 0x0d, 0x8000001f, 0x3030, 0x20000000, 0x7ed8320b, 0x178bfbff,
         0x209c01a9, 0, 0, 0x35c233ff, 0x2fd3fbff, 0x1b, 0x6599, 0x1007, 0x0001bcff, 0),
    REAL("ryzen-zen-plus", 0x00800f82, 0x0d, 0x8000001f, 0x3030, 0x20000000, 0x7ed8320b, 0x178bfbff,
         0x209c01a9, 0, 0, 0x35c233ff, 0x2fd3fbff, 0x1b, 0x6799, 0x1007, 0x0001bcff, 0),
    REAL("epyc-rome", 0x00830f10, 0x10, 0x80000020, 0x3030, 0x40000000, 0x7ef8320b, 0x178bfbff,
         0x219c91a9, 0x00400004, 0, 0x75c237ff, 0x2fd3fbff, 0x1b, 0x6799, 0x018ef757, 0x0013bcff,
         0),
    REAL("ryzen-zen2", 0x00870f10, 0x10, 0x80000020, 0x3030, 0x20000000, 0x7ed8320b, 0x178bfbff,
         0x219c91a9, 0x00400004, 0, 0x75c237ff, 0x2fd3fbff, 0x1b, 0x6799, 0x010eb757, 0x0013bcff,
         0),
    REAL("epyc-milan", 0x00a00f11, 0x10, 0x80000023, 0x3030, 0x40000000, 0x7efa320b, 0x178bfbff,
         0x219c97a9, 0x0040068c, 0x10, 0x75c237ff, 0x2fd3fbff, 0x3b, 0x6799, 0x91bef75f, 0x119b9cff,
         0x204d),
    REAL("ryzen-zen3", 0x00a20f12, 0x10, 0x80000023, 0x3030, 0x20000000, 0x7ef8320b, 0x178bfbff,
         0x219c97a9, 0x0040068c, 0x10, 0x75c237ff, 0x2fd3fbff, 0x3b, 0x6799, 0x111ef657, 0x101bbcff,
         0x004d),
    REAL("epyc-genoa", 0x00a10f11, 0x10, 0x80000028, 0x3934, 0x40000000, 0x7efa320b, 0x178bfbff,
         0xf1bf97a9, 0x00415fce, 0x10000010, 0x75c237ff, 0x2fd3fbff, 0x3b, 0x6799, 0x79bef25f,
         0x1fbfbcff, 0x62fcf),
    REAL("ryzen-zen4", 0x00a60f12, 0x10, 0x80000028, 0x3030, 0, 0x7ef8320b, 0x178bfbff, 0xf1bf97a9,
         0x00405fce, 0x10000010, 0x75c237ff, 0x2fd3fbff, 0x3b, 0x6799, 0x191ef257, 0x1ebfbcff,
         0x62fcf),
    REAL("epyc-turin", 0x00b00f21, 0x10, 0x80000028, 0x3934, 0x40000000, 0x7efa320b, 0x178bfbff,
         0xf1bf97ab, 0x19415fce, 0x10000110, 0x75c237ff, 0x2fd3fbff, 0x3b, 0x6799, 0x79bef25f,
         0xffbfbdff, 0xd93fffcf),
    REAL("ryzen-zen5", 0x00b40f40, 0x10, 0x80000028, 0x3030, 0, 0x7ef8320b, 0x178bfbff, 0xf1bf97ab,
         0x19405fce, 0x10000110, 0x75c237ff, 0x2fd3fbff, 0x3b, 0x6799, 0x791ef257, 0xfebbbdff,
         0x597f6fcf),
#undef REAL
};

static const struct real *real_of(const char *name)
{
    for (unsigned i = 0; i < sizeof(reals) / sizeof(reals[0]); i++)
        if (strcmp(reals[i].name, name) == 0)
            return &reals[i];
    return NULL;
}

/* Every feature that is offered is in a model if, and only if, the real part has it. */
/* rows: svmop 21.1-21.14 */
START_TEST(models_have_what_real_parts_have)
{
    for (unsigned i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        struct cpu_model model = parsed(reals[i].name);
        for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
            const struct cpu_feature_info *info = &cpu_features[f];
            for (unsigned w = 0; w < 12; w++) {
                if (reals[i].word[w].leaf != info->leaf || reals[i].word[w].reg != info->reg ||
                    f == CPU_FEATURE_NO_LMSLE) /* docs: every model */
                    continue;
                bool has = reals[i].word[w].value >> info->bit & 1;
                ck_assert_msg(cpu_model_has(&model, (enum cpu_feature)f) == (has && info->offered),
                              "%s %s", reals[i].name, info->option);
            }
        }
        ck_assert(cpu_model_has(&model, CPU_FEATURE_NO_LMSLE));
        ck_assert_int_eq(cpu_model_has(&model, CPU_FEATURE_XSAVES),
                         cpu_features[CPU_FEATURE_XSAVES].offered);
        ck_assert(!cpu_model_has(&model, CPU_FEATURE_TSC_DEADLINE));
    }
}
END_TEST

START_TEST(every_model_but_max_is_held_against_a_real_part)
{
    for (unsigned n = 0; cpu_model_name(n); n++)
        ck_assert_msg((real_of(cpu_model_name(n)) != NULL) == (n != 0), "%s", cpu_model_name(n));
    ck_assert_str_eq(cpu_model_name(0), "max");
}
END_TEST

/* Signature, highest leaves, address sizes, package; leaves beyond the highest are zero; EDX after reset. */
WITH_KIT(models_answer_as_real_parts)
{
    for (unsigned i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        struct cpu_model model = parsed(reals[i].name);
        k->cpu->model = &model;
        control_reset(k->cpu);
        ck_assert_uint_eq(k->cpu->r[REG_RDX], reals[i].signature);
        ck_assert_uint_eq(word(k, 1, CPUID_EAX), reals[i].signature);
        ck_assert_uint_eq(word(k, 0x80000001, CPUID_EAX), reals[i].signature);
        ck_assert_uint_eq(word(k, 0x80000001, CPUID_EBX), reals[i].package);
        ck_assert_uint_eq(word(k, 0, CPUID_EAX), reals[i].highest);
        ck_assert_uint_eq(word(k, 0x80000000, CPUID_EAX), reals[i].highest_extended);
        ck_assert_uint_eq(word(k, 0x80000008, CPUID_EAX), reals[i].addresses);
        ck_assert_uint_eq(model.address_bits, reals[i].addresses & 0xff);
        for (uint32_t leaf = reals[i].highest + 1; leaf < 0x20; leaf++)
            for (unsigned reg = 0; reg < 4; reg++)
                ck_assert_uint_eq(word(k, leaf, reg), 0);
        for (uint32_t leaf = reals[i].highest_extended + 1; leaf < 0x80000030; leaf++)
            for (unsigned reg = 0; reg < 4; reg++)
                ck_assert_uint_eq(word(k, leaf, reg), 0);
        uint64_t level;
        ck_assert_int_eq(msr_read(k->cpu, 0x8b, &level), STEP_NEXT);
        ck_assert_uint_eq(level, model.patch_level); /* made for the signature */
        uint32_t s = reals[i].signature;
        ck_assert_uint_eq(level >> 8,
                          (s >> 20) << 16 | (s >> 16 & 15) << 12 | (s >> 4 & 15) << 4 | (s & 15));
        k->cpu->model = cpu_model_default();
    }
}

START_TEST(names_of_qemu_mean_models)
{
    static const struct {
        const char *alias, *name;
    } rows[] = {
        { "EPYC", "epyc-naples" },         { "EPYC-v1", "epyc-naples" },
        { "EPYC-v5", "epyc-naples" },      { "EPYC-IBPB", "epyc-naples" },
        { "EPYC-Rome", "epyc-rome" },      { "EPYC-Rome-v4", "epyc-rome" },
        { "EPYC-Milan", "epyc-milan" },    { "EPYC-Milan-v2", "epyc-milan" },
        { "EPYC-Genoa", "epyc-genoa" },    { "EPYC-Genoa-V2", "epyc-genoa" },
        { "EPYC-Turin-v1", "epyc-turin" }, { "qemu64-v1", "max" },
        { "ryzen_zen2", "ryzen-zen2" },    { "Ryzen-3000", "ryzen-zen2" },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_model model = parsed(rows[i].alias);
        ck_assert_str_eq(model.name, rows[i].name);
    }
    struct cpu_model ibpb = parsed("EPYC-IBPB");
    ck_assert(cpu_model_has(&ibpb, CPU_FEATURE_IBPB));
}
END_TEST

START_TEST(brands_are_strings_of_47_characters_at_most)
{
    for (unsigned n = 0; cpu_model_name(n); n++) {
        ck_assert_uint_le(strlen(cpu_model_brand(n)), 47);
        ck_assert_uint_le(strlen(cpu_model_name(n)), 15);
    }
}
END_TEST

WITH_KIT(absent_features_gate_instructions_and_bits)
{
    struct cpu_model model = parsed("max,-svm,-rdtscp,-pcid,-smap,-invpcid,-syscall,-nx,-tce,-mtrr,"
                                    "-fxsr-opt,-mcommit,-int-wbinvd,-auto-ibrs");
    k->cpu->model = &model;
    kit_raised(k, EXEC(k, "\x0f\x01\xf9"), EXC_UD, NO_CODE); /* RDTSCP */
    kit_raised(k, EXEC(k, "\x0f\x01\xd9"), EXC_UD, NO_CODE); /* VMMCALL */
    kit_raised(k, EXEC(k, "\x0f\x01\xca"), EXC_UD, NO_CODE); /* CLAC */
    ck_assert_uint_eq(control_cr4_valid(k->cpu) & (CR4_PCIDE | CR4_SMAP), 0);
    ck_assert_uint_eq(control_efer_valid(k->cpu), EFER_LME | EFER_LMA);
    ck_assert_uint_eq(word(k, 0x8000000a, CPUID_EBX), 0);
    ck_assert_ptr_null(msr_find(k->cpu, 0xfe));
    ck_assert_ptr_null(msr_find(k->cpu, 0xc0010117));
}

WITH_KIT(unadvertised_instructions_are_ud)
{
    static const struct {
        const char *bytes;
        unsigned len;
    } rows[] = {
        { "\x0f\x01\xd0", 3 }, { "\x0f\x01\xd1", 3 }, /* XGETBV, XSETBV */
        { "\x0f\x01\xfa", 3 }, { "\x0f\x01\xfb", 3 }, /* MONITORX, MWAITX */
        { "\x0f\x01\xfd", 3 },                        /* RDPRU */
        { "\x0f\xaa", 2 },                            /* RSM */
    };
    struct cpu_model model = parsed("max,-xsave,-monitorx,-rdpru");
    k->cpu->model = &model;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        kit_raised(k, kit_exec(k, rows[i].bytes, rows[i].len), EXC_UD, NO_CODE);
}

static void leaf(struct kit *k, uint32_t leaf, uint32_t sub, const uint32_t expected[4])
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, leaf, sub, out);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_msg(out[i] == expected[i], "leaf %x.%u register %u: %x, not %x", leaf, sub, i,
                      out[i], expected[i]);
}
#define LEAF(k, number, sub, ...) leaf((k), (number), (sub), (const uint32_t[4]){ __VA_ARGS__ })

WITH_KIT(topology_of_one_processor)
{
    ck_assert_uint_eq(word(k, 1, CPUID_EBX), 0x00010800);
    ck_assert_uint_eq(word(k, 1, CPUID_EDX) >> 28 & 1, 0);
    LEAF(k, 0xb, 0, 0, 1, 0x100, 0);
    LEAF(k, 0xb, 1, 0, 1, 0x201, 0);
    LEAF(k, 0xb, 2, 0, 0, 2, 0);
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_ECX), 0);
    LEAF(k, 0x8000001e, 0, 0, 0, 0, 0);
}

/* The last of three: two bits of core number. Every leaf must tell the same. */
WITH_KIT(topology_of_several_processors)
{
    k->cpu->index = 2;
    k->cpu->count = 3;
    ck_assert_uint_eq(word(k, 1, CPUID_EBX), 0x02030800);
    ck_assert_uint_eq(word(k, 1, CPUID_EDX) >> 28 & 1, 1);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_ECX) >> 1 & 1, 1);
    LEAF(k, 0xb, 0, 0, 1, 0x100, 2);
    LEAF(k, 0xb, 1, 2, 3, 0x201, 2);
    LEAF(k, 0xb, 2, 0, 0, 2, 2);
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_ECX), 2 << 12 | 2);
    LEAF(k, 0x8000001e, 0, 2, 2, 0, 0);
    LEAF(k, 0x8000001d, 0, 0x121, 0x01c0003f, 63, 0);
    LEAF(k, 0x8000001d, 3, 0x163 | 2 << 14, 0x03c0003f, 32767, 1);
    LEAF(k, 0x8000001d, 4, 0, 0, 0, 0);
    uint64_t words;
    ck_assert_int_eq(msr_read(k->cpu, 0xc0011004, &words), STEP_NEXT);
    ck_assert_uint_eq((uint32_t)words, word(k, 1, CPUID_EDX));
}

/* The sixth of ten processors, with complexes of eight cores and of four. */
WITH_KIT(topology_with_complexes)
{
    k->cpu->index = 5;
    k->cpu->count = 10;
    struct cpu_model genoa = parsed("epyc-genoa"), rome = parsed("epyc-rome"),
                     naples = parsed("epyc-naples");
    k->cpu->model = &genoa;
    LEAF(k, 0x80000026, 0, 0, 1, 0x100, 5);
    LEAF(k, 0x80000026, 1, 3, 8, 0x201, 5);
    LEAF(k, 0x80000026, 2, 3, 8, 0x302, 5);
    LEAF(k, 0x80000026, 3, 4, 10, 0x403, 5);
    LEAF(k, 0x80000026, 4, 0, 0, 4, 5);
    LEAF(k, 0xb, 1, 4, 10, 0x201, 5);
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_ECX), 4 << 12 | 9);
    LEAF(k, 0x8000001d, 3, 0x163 | 7 << 14, 0x03c0003f, 32767, 1);
    ck_assert_uint_eq(word(k, 0x80000006, CPUID_EDX), 128 << 18 | 0x9140); /* 2 of 32 MiB */
    k->cpu->model = &rome;
    LEAF(k, 0x8000001d, 3, 0x163 | 3 << 14, 0x03c0003f, 16383, 1);
    ck_assert_uint_eq(word(k, 0x80000006, CPUID_EDX), 96 << 18 | 0x9140); /* 3 of 16 MiB */
    LEAF(k, 0x80000026, 0, 0, 0, 0, 0);
    k->cpu->model = &naples;
    LEAF(k, 0xb, 0, 0, 0, 0, 0);
    LEAF(k, 0x8000001e, 0, 5, 5, 0, 0);
}

/* Few processors: the complex is not larger than the package. */
WITH_KIT(topology_of_less_than_a_complex)
{
    k->cpu->count = 2;
    LEAF(k, 0x80000026, 1, 1, 2, 0x201, 0);
    LEAF(k, 0x80000026, 3, 1, 2, 0x403, 0);
    LEAF(k, 0x8000001d, 3, 0x163 | 1 << 14, 0x03c0003f, 32767, 1);
    k->cpu->count = 1;
    LEAF(k, 0x80000026, 1, 0, 1, 0x201, 0);
    LEAF(k, 0x80000026, 3, 0, 1, 0x403, 0);
}

/* The sizes of Fn8000_0005 and Fn8000_0006 are those of the real parts, and Fn8000_001D tells the same. */
WITH_KIT(caches_agree)
{
    static const struct {
        const char *model;
        uint32_t data, code, l2, l3;
    } rows[] = {
        { "ryzen-zen", 0x20080140, 0x40040140, 0x02006140, 0x00408140 },
        { "epyc-rome", 0x20080140, 0x20080140, 0x02006140, 0x00808140 },
        { "ryzen-zen3", 0x20080140, 0x20080140, 0x02006140, 0x01008140 },
        { "epyc-genoa", 0x20080140, 0x20080140, 0x04006140, 0x01008140 },
        { "ryzen-zen5", 0x300c0140, 0x20080140, 0x04008140, 0x01008140 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_model model = parsed(rows[i].model);
        k->cpu->model = &model;
        ck_assert_uint_eq(word(k, 0x80000005, CPUID_ECX), rows[i].data);
        ck_assert_uint_eq(word(k, 0x80000005, CPUID_EDX), rows[i].code);
        ck_assert_uint_eq(word(k, 0x80000006, CPUID_ECX), rows[i].l2);
        ck_assert_uint_eq(word(k, 0x80000006, CPUID_EDX), rows[i].l3);
        const uint32_t kib[4] = { rows[i].data >> 24, rows[i].code >> 24, rows[i].l2 >> 16,
                                  (rows[i].l3 >> 18) * 512 };
        for (unsigned n = 0; n < 4; n++)
            ck_assert_uint_eq(((words(k, 0x8000001d, n, CPUID_EBX) >> 22) + 1) *
                                  (words(k, 0x8000001d, n, CPUID_ECX) + 1) / 16,
                              kib[n]);
        k->cpu->model = cpu_model_default();
    }
}

WITH_KIT(leaves_of_hints_and_huge_pages)
{
    LEAF(k, 0x8000001a, 0, 6, 0, 0, 0);
    LEAF(k, 0x8000001b, 0, 0, 0, 0, 0); /* no IBS */
    LEAF(k, 0x8000001f, 0, 0, 0, 0, 0); /* no SEV */
    LEAF(k, 0x80000019, 0, 0xf048f040, 0xf0400000, 0, 0);
    struct cpu_model model = parsed("epyc-naples,-pdpe1gb");
    k->cpu->model = &model;
    LEAF(k, 0x80000019, 0, 0, 0, 0, 0);
    LEAF(k, 0x8000001a, 0, 3, 0, 0, 0);
}

WITH_KIT(address_leaf_tells_limits_of_instructions)
{
    bool invlpgb = cpu_has(k->cpu, CPU_FEATURE_INVLPGB), rdpru = cpu_has(k->cpu, CPU_FEATURE_RDPRU);
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_EDX), (invlpgb ? 7 : 0) | (rdpru ? 0x10000u : 0));
    struct cpu_model model = parsed("max,-invlpgb,-rdpru");
    k->cpu->model = &model;
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_EDX), 0);
}

/* APM vol 2, 16.12 "x2APIC_ID": the extended APIC ID reads 0 while the APIC is disabled, leaf Bh's does not. */
WITH_KIT(extended_apic_id_follows_apic_base)
{
    k->cpu->index = 2;
    k->cpu->count = 3;
    k->apic_base &= ~0x800ull;
    LEAF(k, 0x8000001e, 0, 0, 2, 0, 0);
    ck_assert_uint_eq(word(k, 0xb, CPUID_EDX), 2);
}

WITH_KIT(monitor_leaf_follows_hwcr)
{
    LEAF(k, 5, 0, 64, 64, 3, 0x11);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) >> 3 & 1, 1);
    k->cpu->msr.hwcr |= HWCR_MON_MWAIT_DIS;
    LEAF(k, 5, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) >> 3 & 1, 0);
}

WITH_KIT(pse36_pages_reach_above_4_gib)
{
    const struct walk_regime regime = {
        .mode = WALK_32, .root = DATA_SPA & ~0xfff, .pse = true, .maxphyaddr = CPU_MAXPHYADDR
    };
    kit_put(k, DATA_SPA + 4, 4, 0x12400083 | 0xabu << 13); /* bits 20:13 are address bits 39:32 */
    struct walk_result walked =
        walk(k->memory, &regime, 0x00412345, (struct access){ .kind = ACCESS_READ }, false);
    ck_assert_int_eq(walked.status, WALK_OK);
    ck_assert_uint_eq(walked.spa, 0xab12412345);
}

WITH_KIT(cpuid_instruction_clears_upper_halves)
{
    k->cpu->r[REG_RAX] = 0xdeadbeef00000001;
    k->cpu->r[REG_RBX] = k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x00a00f11);
    ck_assert_uint_eq(k->cpu->r[REG_RDX], word(k, 1, CPUID_EDX));
    ck_assert_uint_eq(k->cpu->r[REG_RCX], word(k, 1, CPUID_ECX));
    ck_assert_uint_eq(k->cpu->r[REG_RBX] >> 32, 0);
}

int main(void)
{
    Suite *suite = suite_create("cpuid");
    TCase *all = tcase_create("all");
    tcase_add_test(all, advertised_bits_are_those_of_the_table);
    tcase_add_test(all, no_other_bits_are_advertised);
    tcase_add_test(all, features_of_a_leaf_stand_together);
    tcase_add_test(all, features_have_distinct_bits_and_names);
    tcase_add_test(all, new_svm_state_has_the_widest_model);
    tcase_add_test(all, vendor_and_limits);
    tcase_add_test(all, leaves_outside_the_ranges_are_zero);
    tcase_add_test(all, apic_bit_follows_apic_base);
    tcase_add_test(all, extended_apic_id_follows_apic_base);
    tcase_add_test(all, brand_string_comes_from_its_msrs);
    tcase_add_test(all, override_msrs_replace_feature_words);
    tcase_add_test(all, new_features_bring_what_they_need);
    tcase_add_test(all, switches_keep_to_offered_features);
    tcase_add_test(all, models_have_what_real_parts_have);
    tcase_add_test(all, every_model_but_max_is_held_against_a_real_part);
    tcase_add_test(all, models_answer_as_real_parts);
    tcase_add_test(all, names_of_qemu_mean_models);
    tcase_add_test(all, brands_are_strings_of_47_characters_at_most);
    tcase_add_test(all, topology_with_complexes);
    tcase_add_test(all, topology_of_less_than_a_complex);
    tcase_add_test(all, caches_agree);
    tcase_add_test(all, leaves_of_hints_and_huge_pages);
    tcase_add_test(all, address_leaf_tells_limits_of_instructions);
    tcase_add_test(all, override_msrs_reset_to_the_true_values);
    tcase_add_test(all, override_upper_half_of_leaf_6_is_reserved);
    tcase_add_test(all, override_of_apic_is_a_gate);
    tcase_add_test(all, override_of_osxsave_is_a_gate);
    tcase_add_test(all, osxsave_follows_cr4);
    tcase_add_test(all, override_of_topoext_comes_back);
    tcase_add_test(all, override_has_no_effect_but_in_cpuid);
    tcase_add_test(all, models_and_switches);
    tcase_add_test(all, switching_off_takes_dependents_along);
    tcase_add_test(all, avic_needs_nested_paging);
    tcase_add_test(all, bad_words_are_named);
    tcase_add_test(all, physical_address_bits_can_be_chosen);
    tcase_add_test(all, clean_bits_are_honored_or_ignored);
    tcase_add_test(all, every_feature_that_is_not_offered_cannot_be_switched_on);
    tcase_add_test(all, absent_features_gate_instructions_and_bits);
    tcase_add_test(all, unadvertised_instructions_are_ud);
    tcase_add_test(all, topology_of_one_processor);
    tcase_add_test(all, topology_of_several_processors);
    tcase_add_test(all, monitor_leaf_follows_hwcr);
    tcase_add_test(all, pse36_pages_reach_above_4_gib);
    tcase_add_test(all, cpuid_instruction_clears_upper_halves);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

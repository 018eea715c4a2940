/* CPUID says what the table of features says, and `-cpu` changes just that. APM vol 3, appendix E. */
#include "tests/cpu/kit.h"

static uint32_t word(const struct kit *k, uint32_t leaf, unsigned reg)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, leaf, 0, out);
    return out[reg];
}

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
        { 1, CPUID_ECX },          { 1, CPUID_EDX },          { 7, CPUID_EAX },
        { 7, CPUID_EBX },          { 7, CPUID_ECX },          { 7, CPUID_EDX },
        { 0x80000001, CPUID_ECX }, { 0x80000007, CPUID_EDX }, { 0x80000008, CPUID_EBX },
        { 0x8000000a, CPUID_EDX }, { 0x80000021, CPUID_EAX },
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

WITH_KIT(nothing_of_the_fpu_is_advertised)
{
    ck_assert_uint_eq(word(k, 1, CPUID_EDX) & (1u | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26), 0);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) & (1u << 20 | 1u << 26 | 1u << 27 | 1u << 31), 0);
}

WITH_KIT(vendor_and_limits)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 0, 0, out);
    ck_assert_uint_eq(out[CPUID_EAX], 0xb);
    ck_assert_mem_eq(&out[CPUID_EBX], "Auth", 4);
    ck_assert_mem_eq(&out[CPUID_EDX], "enti", 4);
    ck_assert_mem_eq(&out[CPUID_ECX], "cAMD", 4);
    ck_assert_uint_eq(word(k, 0x80000000, CPUID_EAX), 0x80000021);
    ck_assert_uint_eq(word(k, 0x80000008, CPUID_EAX), 48 | 57 << 8);
    ck_assert_uint_eq(word(k, 0x8000000a, CPUID_EAX), 1);
    ck_assert_uint_eq(word(k, 0x8000000a, CPUID_EBX), 32768);
    ck_assert_uint_eq(word(k, 1, CPUID_EAX), 0x00a00f11);
}

WITH_KIT(leaves_outside_the_ranges_are_zero)
{
    static const uint32_t leaves[] = { 8,          0xd,        0x40000000, 0x400000ff,
                                       0x80000022, 0xc0000000, UINT32_MAX };
    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        for (unsigned reg = 0; reg < 4; reg++)
            ck_assert_uint_eq(word(k, leaves[i], reg), 0);
    uint32_t out[4];
    cpu_cpuid(k->cpu, 7, 1, out);
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

WITH_KIT(override_msrs_replace_feature_words)
{
    uint64_t value;
    ck_assert_int_eq(msr_read(k->cpu, 0xc0011004, &value), STEP_NEXT);
    ck_assert_uint_eq((uint32_t)value, word(k, 1, CPUID_EDX));
    ck_assert_uint_eq(value >> 32, word(k, 1, CPUID_ECX));
    ck_assert_int_eq(msr_write(k->cpu, 0xc0011004, 1ull << 63 | 1u << 5), STEP_NEXT);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX), 1u << 31);
    ck_assert_uint_eq(word(k, 1, CPUID_EDX), 1u << 5); /* APIC gated off */
    ck_assert_int_eq(msr_write(k->cpu, 0xc0011002, 7), STEP_NEXT);
    ck_assert_uint_eq(word(k, 7, CPUID_EBX), 7);
    ck_assert_int_eq(msr_write(k->cpu, 0xc0011003, 1), STEP_NEXT);
    ck_assert_uint_eq(word(k, 6, CPUID_ECX), 1);
    ck_assert_int_eq(msr_write(k->cpu, 0xc0011005, 5ull << 32 | 2), STEP_NEXT);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_ECX), 5);
    ck_assert_uint_eq(word(k, 0x80000001, CPUID_EDX), 2);
    ck_assert(cpu_has(k->cpu, CPU_FEATURE_CMOV)); /* the instructions stay */
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

START_TEST(bad_words_are_named)
{
    refused("EPYC", PACIFICA_EUNSUPPORTED, "EPYC");
    refused("", PACIFICA_EUNSUPPORTED, "");
    refused("max,+frobnicate", PACIFICA_EUSAGE, "frobnicate");
    refused("max,svm=maybe", PACIFICA_EUSAGE, "svm=maybe");
    refused("max,", PACIFICA_EUSAGE, "unknown");
    refused("max,+", PACIFICA_EUSAGE, "unknown");
    refused("max,=on", PACIFICA_EUSAGE, "unknown");
    refused("max,+avx2", PACIFICA_EUNSUPPORTED, "avx2");
    refused("max,sse4_2", PACIFICA_EUNSUPPORTED, "sse4.2");
    refused("max,+x2apic=on", PACIFICA_EUSAGE, "x2apic");
    parsed("max,-avx2"); /* off already */
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
        model = parsed(text);
        ck_assert(!cpu_model_has(&model, (enum cpu_feature)f));
    }
}
END_TEST

WITH_KIT(absent_features_gate_instructions_and_bits)
{
    struct cpu_model model =
        parsed("max,-svm,-rdtscp,-pcid,-smap,-invpcid,-syscall,-nx,-tce,-mtrr");
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
    LEAF(k, 0x8000001d, 3, 0x163 | 2 << 14, 0x03c0003f, 16383, 1);
    LEAF(k, 0x8000001d, 4, 0, 0, 0, 0);
    uint64_t words;
    ck_assert_int_eq(msr_read(k->cpu, 0xc0011004, &words), STEP_NEXT);
    ck_assert_uint_eq((uint32_t)words, word(k, 1, CPUID_EDX));
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
    LEAF(k, 5, 0, 64, 64, 3, 0);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) >> 3 & 1, 1);
    k->cpu->msr.hwcr |= HWCR_MON_MWAIT_DIS;
    LEAF(k, 5, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(word(k, 1, CPUID_ECX) >> 3 & 1, 0);
}

WITH_KIT(crc32_executes_without_sse42)
{
    k->cpu->r[REG_RAX] = 0;
    k->cpu->r[REG_RCX] = 0x12;
    ck_assert(!cpu_has(k->cpu, CPU_FEATURE_SSE42));
    ck_assert_int_eq(EXEC(k, "\xf2\x0f\x38\xf0\xc1"), STEP_NEXT); /* CRC32 EAX, CL */
    ck_assert_uint_ne(k->cpu->r[REG_RAX], 0);
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
    tcase_add_test(all, features_have_distinct_bits_and_names);
    tcase_add_test(all, nothing_of_the_fpu_is_advertised);
    tcase_add_test(all, vendor_and_limits);
    tcase_add_test(all, leaves_outside_the_ranges_are_zero);
    tcase_add_test(all, apic_bit_follows_apic_base);
    tcase_add_test(all, extended_apic_id_follows_apic_base);
    tcase_add_test(all, brand_string_comes_from_its_msrs);
    tcase_add_test(all, override_msrs_replace_feature_words);
    tcase_add_test(all, models_and_switches);
    tcase_add_test(all, switching_off_takes_dependents_along);
    tcase_add_test(all, bad_words_are_named);
    tcase_add_test(all, every_feature_that_is_not_offered_cannot_be_switched_on);
    tcase_add_test(all, absent_features_gate_instructions_and_bits);
    tcase_add_test(all, unadvertised_instructions_are_ud);
    tcase_add_test(all, topology_of_one_processor);
    tcase_add_test(all, topology_of_several_processors);
    tcase_add_test(all, monitor_leaf_follows_hwcr);
    tcase_add_test(all, crc32_executes_without_sse42);
    tcase_add_test(all, pse36_pages_reach_above_4_gib);
    tcase_add_test(all, cpuid_instruction_clears_upper_halves);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* CPUID Fn8000_000A EDX: each feature at its place, and each of them alone away. APM vol 3, appendix E "Obtaining Processor
 * Information Via the CPUID Instruction". */
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

/* The places as the manual prints them, not as emu/cpu/cpu_features.def has them. */
static const struct {
    uint8_t bit;
    uint16_t feature;
    uint32_t svm; /* what VMRUN and #VMEXIT ask; 0: nothing */
} rows[] = {
    { 0, CPU_FEATURE_NPT, SVM_FEATURE_NP },
    { 1, CPU_FEATURE_LBRV, SVM_FEATURE_LBRV },
    { 2, CPU_FEATURE_SVM_LOCK, 0 },
    { 3, CPU_FEATURE_NRIP_SAVE, SVM_FEATURE_NRIPS },
    { 4, CPU_FEATURE_TSC_SCALE, 0 },
    { 5, CPU_FEATURE_VMCB_CLEAN, SVM_FEATURE_VMCB_CLEAN },
    { 6, CPU_FEATURE_FLUSHBYASID, SVM_FEATURE_FLUSH_BY_ASID },
    { 7, CPU_FEATURE_DECODEASSISTS, SVM_FEATURE_DECODE_ASSISTS },
    { 8, CPU_FEATURE_PMC_VIRT, SVM_FEATURE_PMC },
    { 10, CPU_FEATURE_PAUSE_FILTER, SVM_FEATURE_PAUSE_FILTER },
    { 12, CPU_FEATURE_PFTHRESHOLD, SVM_FEATURE_PAUSE_THRESHOLD },
    { 13, CPU_FEATURE_AVIC, SVM_FEATURE_AVIC },
    { 15, CPU_FEATURE_VIRT_VMLOAD, SVM_FEATURE_VIRT_VMLOAD },
    { 16, CPU_FEATURE_VGIF, SVM_FEATURE_VGIF },
    { 17, CPU_FEATURE_GMET, SVM_FEATURE_GMET },
    { 18, CPU_FEATURE_X2AVIC, SVM_FEATURE_X2AVIC },
    { 19, CPU_FEATURE_SSS_CHECK, SVM_FEATURE_SSS },
    { 20, CPU_FEATURE_V_SPEC_CTRL, SVM_FEATURE_SPEC_CTRL },
    { 21, CPU_FEATURE_ROGPT, SVM_FEATURE_ROGPT },
    { 23, CPU_FEATURE_HOST_MCE, 0 },
    { 24, CPU_FEATURE_TLBICTL, SVM_FEATURE_TLBICTL },
    { 25, CPU_FEATURE_VNMI, SVM_FEATURE_VNMI },
    { 26, CPU_FEATURE_IBS_VIRT, 0 },
    { 27, CPU_FEATURE_EXT_LVT_AVIC, SVM_FEATURE_EXT_LVT_AVIC },
    { 28, CPU_FEATURE_ADDR_CHK, SVM_FEATURE_ADDR_CHK },
    { 29, CPU_FEATURE_BUS_LOCK_THRESHOLD, SVM_FEATURE_BUS_LOCK },
    { 30, CPU_FEATURE_IDLE_HLT, SVM_FEATURE_IDLE_HLT },
    { 31, CPU_FEATURE_SHUTDOWN_INTERCEPT, 0 },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static uint32_t edx(struct kit *k)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 0x8000000a, 0, out);
    ck_assert_uint_eq(out[CPUID_EAX] & 0xff, 1); /* the revision */
    ck_assert_uint_eq(out[CPUID_EBX], SVM_ASID_COUNT);
    return out[CPUID_EDX];
}

static void take_model(struct kit *k, struct cpu_model *model, const char *text)
{
    ck_assert_int_eq(cpu_model_parse(text, model, NULL), PACIFICA_OK);
    k->cpu->model = model;
    control_reset(k->cpu);
}

/* rows: svmop 21.1-21.14 */
WITH_KIT(each_feature_of_svm_has_its_place)
{
    struct cpu_model model;
    uint32_t named = 0;
    take_model(k, &model, "max");
    for (unsigned i = 0; i < ROWS; i++) {
        ck_assert_msg((edx(k) >> rows[i].bit & 1) ==
                          cpu_has(k->cpu, (enum cpu_feature)rows[i].feature),
                      "bit %u", rows[i].bit);
        if (rows[i].svm)
            ck_assert_uint_eq(rows[i].svm, 1u << rows[i].bit);
        named |= 1u << rows[i].bit;
    }
    ck_assert_uint_eq(edx(k) & ~named, 0);
}

/* `-cpu max,-feature`: the bit is away, for VMRUN too; of the others only those that need it.
 * rows: svmop 21.1-21.14 */
WITH_KIT(each_feature_of_svm_can_be_switched_off)
{
    struct cpu_model all, model;
    take_model(k, &all, "max");
    const uint32_t whole = edx(k), features = k->cpu->svm->model.features;
    for (unsigned i = 0; i < ROWS; i++) {
        const struct cpu_feature_info *info = &cpu_features[rows[i].feature];
        char text[64];
        if (!(whole >> rows[i].bit & 1))
            continue;
        (void)snprintf(text, sizeof(text), "max,-%s", info->option);
        take_model(k, &model, text);
        uint32_t gone = whole & ~edx(k);
        ck_assert_msg(gone >> rows[i].bit & 1, "%s", text);
        ck_assert_uint_eq(edx(k) & ~whole, 0);
        for (unsigned n = 0; n < ROWS; n++) {
            bool needs = rows[n].bit == rows[i].bit || rows[i].feature == CPU_FEATURE_NPT ||
                         (rows[i].feature == CPU_FEATURE_AVIC &&
                          (rows[n].feature == CPU_FEATURE_X2AVIC ||
                           rows[n].feature == CPU_FEATURE_EXT_LVT_AVIC)) ||
                         (rows[i].feature == CPU_FEATURE_PAUSE_FILTER &&
                          rows[n].feature == CPU_FEATURE_PFTHRESHOLD);
            ck_assert_msg(needs || !(gone >> rows[n].bit & 1), "%s takes bit %u away", text,
                          rows[n].bit);
        }
        if (rows[i].svm)
            ck_assert_uint_eq(k->cpu->svm->model.features & rows[i].svm, 0);
        ck_assert_uint_eq(k->cpu->svm->model.features & ~features, 0);
    }
    take_model(k, &all, "max");
}

CHECK_MAIN("svm_bits", each_feature_of_svm_has_its_place, each_feature_of_svm_can_be_switched_off)

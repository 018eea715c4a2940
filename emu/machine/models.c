/* Telling about processor models: which there are, what they offer, which registers they have. */
#include "emu/machine/machine.h"

#include "emu/cpu/cpuid.h"
#include "emu/cpu/msr.h"
#include "emu/base/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void pacifica_cpu_list(const struct pacifica_output *output)
{
    bool versioned;
    unsigned model;
    const char *name;
    for (unsigned n = 0; (name = cpu_model_name(n)) != NULL; n++)
        output_put(output, "model %-16s %s\n", name, cpu_model_brand(n));
    for (unsigned n = 0; (name = cpu_model_alias(n, &versioned, &model)) != NULL; n++)
        output_put(output, "alias %s%-*s %s\n", name, (int)(16 - strlen(name)),
                   versioned ? "[-vN]" : "", cpu_model_name(model));
    for (int i = CPU_FEATURE_NONE + 1; i < CPU_FEATURE_COUNT; i++) {
        const struct cpu_feature_info *feature = &cpu_features[i];
        if (feature->offered)
            output_put(output, "feature %-18s %s\n", feature->option, feature->meaning);
    }
}

/* --- features ----------------------------------------------------------------------------- */

/* Where CPUID has a feature, in the manual's words. */
static void position(const struct cpu_feature_info *info, char text[32])
{
    static const char *const regs[] = { "EAX", "EBX", "ECX", "EDX" };
    bool sub1 = info->leaf < 0x80000000 && (info->leaf & CPUID_SUB1);
    uint32_t leaf = sub1 ? info->leaf & ~CPUID_SUB1 : info->leaf;
    (void)snprintf(text, 32, "Fn%04" PRIX32 "_%04" PRIX32 "%s %s[%u]", leaf >> 16, leaf & 0xffff,
                   sub1 ? "_x1" : "", regs[info->reg], info->bit);
}

static const char *offer_words(const struct cpu_feature_info *info)
{
    return info->offered                   ? "offered"
           : info->offer == CPU_OFFER_LIVE ? "follows other state"
                                           : "not emulated";
}

/* The real parts that have a feature: "all", "none", or their models' names. */
static void write_parts(const struct cpu_feature_info *info, const struct pacifica_output *output)
{
    unsigned count = 0, models = 0;
    for (unsigned n = 1; cpu_model_name(n); n++, models++)
        count += info->parts >> n & 1;
    if (count == models || count == 0) {
        output_put(output, "%s", count ? "all" : info->offered ? "max" : "none");
        return;
    }
    if (info->offered)
        output_put(output, "max ");
    for (unsigned n = 1; cpu_model_name(n); n++)
        if (info->parts >> n & 1)
            output_put(output, "%s%s", cpu_model_name(n), --count ? " " : "");
}

static void write_feature(const struct cpu_feature_info *info, const char *state,
                          const struct pacifica_output *output)
{
    char where[32];
    position(info, where);
    output_put(output, "%-22s %-22s %-19s ", info->option, where, state);
}

/* Every feature: which parts have it, and whether it is emulated. */
static void write_all_features(const struct pacifica_output *output)
{
    for (int f = CPU_FEATURE_NONE + 1; f < CPU_FEATURE_COUNT; f++) {
        write_feature(&cpu_features[f], offer_words(&cpu_features[f]), output);
        write_parts(&cpu_features[f], output);
        output_put(output, "\n");
    }
}

/* The bit of a model's real part in cpu_features[].parts; all of `max`. */
static unsigned part_of(const struct cpu_model *model)
{
    for (unsigned n = 1; cpu_model_name(n); n++)
        if (strcmp(cpu_model_name(n), model->name) == 0)
            return 1u << n;
    return ~1u;
}

static void write_features_of(const struct cpu_model *model, const struct pacifica_output *output)
{
    output_put(output, "%s: %s, signature %08" PRIx32 "h, %u physical address bits\n", model->name,
               model->brand, model->signature, model->address_bits);
    for (int f = CPU_FEATURE_NONE + 1; f < CPU_FEATURE_COUNT; f++) {
        const struct cpu_feature_info *info = &cpu_features[f];
        bool has = cpu_model_has(model, (enum cpu_feature)f);
        if (!has && !(info->parts & part_of(model)))
            continue; /* neither here nor there */
        write_feature(info, has ? "on" : info->offered ? "off" : offer_words(info), output);
        output_put(output, "%s\n", info->meaning);
    }
}

enum pacifica_status pacifica_cpu_features(const char *cpu, const struct pacifica_output *output,
                                           struct pacifica_diag *diag)
{
    struct cpu_model model;
    if (!cpu) {
        write_all_features(output);
        return PACIFICA_OK;
    }
    enum pacifica_status status = cpu_model_parse(cpu, &model, diag);
    if (status == PACIFICA_OK)
        write_features_of(&model, output);
    return status;
}

/* --- model-specific registers --------------------------------------------------------------- */

static const char *rule_words(enum msr_kind kind)
{
    switch (kind) {
    case MSR_VALUE: return "other bits #GP";
    case MSR_LENIENT: return "other bits ignored";
    case MSR_CANON: return "canonical address";
    case MSR_CONST:
    case MSR_PATCH_LEVEL: return "writes ignored";
    case MSR_READONLY: return "read-only";
    case MSR_WRITEONLY: return "write-only, ignored";
    case MSR_COMMAND:
    case MSR_PRED_CMD: return "write-only";
    default: return "own rules";
    }
}

enum pacifica_status pacifica_cpu_msrs(const char *cpu, const struct pacifica_output *output,
                                       struct pacifica_diag *diag)
{
    struct cpu_model model;
    enum pacifica_status status = cpu_model_parse(cpu ? cpu : "max", &model, diag);
    if (status != PACIFICA_OK)
        return status;
    const struct vcpu processor = { .model = &model };
    for (const struct msr_info *row = msr_table; row < msr_table + msr_table_count; row++) {
        char last[16] = "";
        if (!msr_find(&processor, row->number))
            continue;
        if (row->count > 1)
            (void)snprintf(last, sizeof(last), "-%08" PRIx32, row->number + row->count - 1);
        output_put(output,
                   "%08" PRIx32 "%-9s %-15s reset %016" PRIx64 "  mask %016" PRIx64 "  %s\n",
                   row->number, last, row->name,
                   row->kind == MSR_PATCH_LEVEL ? model.patch_level : row->reset,
                   msr_mask(&processor, row), rule_words(row->kind));
    }
    return PACIFICA_OK;
}

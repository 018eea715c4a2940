/* CPU models and CPUID: what the processor says it can do, from the tables cpu_features.def and cpu_models.def. */
#ifndef EMU_CPU_CPUID_H
#define EMU_CPU_CPUID_H

#include "emu/cpu/state.h"
#include "paging/paging.h"
#include <pacifica/pacifica.h>

enum cpu_feature {
    CPU_FEATURE_NONE = 0,
#define CPU_FEATURE(name, leaf, reg, bit, option, offered, parts, meaning) CPU_FEATURE_##name,
#include "emu/cpu/cpu_features.def"
#undef CPU_FEATURE
    CPU_FEATURE_COUNT
};
static_assert(CPU_FEATURE_COUNT <= 255, "insn_info.feature is a byte");

/* Register of a CPUID answer, in the order of cpu_cpuid(). */
enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

enum cpu_offer {
    CPU_OFFER_NO,   /* not emulated: cannot be switched on */
    CPU_OFFER_YES,  /* works here; model `max` has it */
    CPU_OFFER_LIVE, /* no switch: CPUID answers by other state */
};

struct cpu_feature_info {
    const char *name;   /* as in cpu_features.def */
    const char *option; /* as `-cpu` spells it */
    const char *meaning;
    uint32_t leaf; /* with CPUID_SUB1: of sub-leaf 1 */
    uint8_t reg;   /* enum cpuid_register */
    uint8_t bit;
    uint8_t offer;  /* enum cpu_offer */
    uint16_t parts; /* bit n: real parts of row n of cpu_models have it */
    bool offered;   /* offer is CPU_OFFER_YES */
};
#define CPUID_INVLPGB_MAX 7u /* Fn8000_0008 EDX[15:0]: pages of one INVLPGB, but for the first */
#define CPUID_RDPRU_MAX 1u   /* Fn8000_0008 EDX[31:16]: APERF */
#define CPUID_SUB1 0x10000u
extern const struct cpu_feature_info cpu_features[CPU_FEATURE_COUNT];

/* What a generation of cores has in common. */
struct cpu_core {
    uint32_t highest, highest_extended; /* CPUID leaves */
    uint32_t l1_tlb[2], l2_tlb[2];      /* Fn8000_0005 and Fn8000_0006 EAX, EBX */
    uint32_t huge_tlb[2];               /* Fn8000_0019 EAX, EBX */
    uint32_t hints;                     /* Fn8000_001A EAX */
    unsigned complex_bits;              /* 2^n cores share an L3 cache */
    bool clears_null; /* a null selector clears the base, without a feature bit that says so */
    struct {
        uint16_t ways;
        uint32_t sets; /* lines have 64 bytes */
    } data, code, l2, l3;
};

/* Invariant: only offered features are set; a feature's prerequisites are set too. */
struct cpu_model {
    char name[16];
    char brand[49];       /* Fn8000_0002-4, NUL-terminated */
    uint8_t package;      /* Fn8000_0001 EBX[31:28] */
    uint8_t address_bits; /* physical: Fn8000_0008 EAX[7:0] */
    uint32_t signature;   /* family, model, stepping: Fn0000_0001 EAX, EDX after reset */
    uint32_t patch_level; /* MSR 8Bh */
    const struct cpu_core *core;
    bool features[CPU_FEATURE_COUNT];
    bool clean_bits_ignored; /* clean-bits=ignore: VMRUN takes every field from memory */
};
#define CPU_MAXPHYADDR 48 /* address bits of model `max` */

/* Model `max`: everything that is emulated. Static. */
const struct cpu_model *cpu_model_default(void);

/* Model n, NULL behind the last. Their features are those of the real parts as far as they are emulated. */
const char *cpu_model_name(unsigned n);
const char *cpu_model_brand(unsigned n);
/* Another name of models: alias n, whether -v1 to -v9 may follow, and its model; NULL behind the last. */
const char *cpu_model_alias(unsigned n, bool *versioned, unsigned *model);

/* Parse the argument of `-cpu`: model[,+feature][,-feature][,feature=on|off][,clean-bits=ignore|honor]...
 * PACIFICA_OK, or PACIFICA_EUSAGE (unknown model or feature), PACIFICA_EUNSUPPORTED (known, but not emulated); on error
 * *out is unchanged and `diag` (may be NULL) names the word. Switching a feature off takes those that need it along,
 * switching one on those that it needs. */
enum pacifica_status cpu_model_parse(const char *text, struct cpu_model *out,
                                     struct pacifica_diag *diag);

static inline bool cpu_model_has(const struct cpu_model *model, enum cpu_feature feature)
{
    return model->features[feature];
}

static inline bool cpu_has(const struct vcpu *cpu, enum cpu_feature feature)
{
    return cpu_model_has(cpu->model, feature);
}

/* Canonical form as MSRs with addresses, segment and table bases and TLB invalidations test it: by the width that is
 * implemented. CHOICE: whatever CR4.LA57 says, as parts with 5-level paging do (found by KVM's developers). */
static inline bool cpu_base_canonical(const struct vcpu *cpu, uint64_t la)
{
    return paging_is_canonical(la, cpu_has(cpu, CPU_FEATURE_LA57));
}

/* The feature words that MSR C001_1002h + n overrides, n 0-3, as the model and the number of vCPUs make them. */
uint64_t cpuid_true_words(const struct vcpu *cpu, unsigned n);

/* CPUID: out[0..3] = EAX, EBX, ECX, EDX. Includes the bits that follow registers (APIC). */
void cpu_cpuid(const struct vcpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4]);

#endif

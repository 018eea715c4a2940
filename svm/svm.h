/* AMD-V: VMRUN, #VMEXIT, intercepts, injection. See svm/README.md. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "emu/cpu/raise.h"
#include "emu/cpu/state.h"
#include "paging/paging.h"
#include "paging/regime.h"
#include "svm/clean.h"
#include "svm/launch.h"

#define SVM_ASID_COUNT 32768u /* CPUID Fn8000_000A EBX */

/* Intercept vectors as words 0-4 of the VMCB (offsets 000h-010h, 014h): bit n of word w is w * 32 + n.
 * Names come from svm/intercepts.def: INTERCEPT_<NAME>. Exit codes from svm/exit_codes.def:
 * VMEXIT_<NAME>. */
#include "svm/intercepts.h"
#include "svm/exit_codes.h"

/* Bits of CPUID Fn8000_000A EDX that matter to VMRUN and #VMEXIT. */
#define SVM_FEATURE_NP (1u << 0)
#define SVM_FEATURE_LBRV (1u << 1)
#define SVM_FEATURE_NRIPS (1u << 3)
#define SVM_FEATURE_VMCB_CLEAN (1u << 5)
#define SVM_FEATURE_FLUSH_BY_ASID (1u << 6)
#define SVM_FEATURE_DECODE_ASSISTS (1u << 7)
#define SVM_FEATURE_PMC (1u << 8)
#define SVM_FEATURE_PAUSE_FILTER (1u << 10)
#define SVM_FEATURE_PAUSE_THRESHOLD (1u << 12)
#define SVM_FEATURE_AVIC (1u << 13)
#define SVM_FEATURE_VIRT_VMLOAD (1u << 15)
#define SVM_FEATURE_VGIF (1u << 16)
#define SVM_FEATURE_GMET (1u << 17)
#define SVM_FEATURE_X2AVIC (1u << 18)
#define SVM_FEATURE_SSS (1u << 19)
#define SVM_FEATURE_SPEC_CTRL (1u << 20)
#define SVM_FEATURE_ROGPT (1u << 21)
#define SVM_FEATURE_TLBICTL (1u << 24)
#define SVM_FEATURE_VNMI (1u << 25)
#define SVM_FEATURE_EXT_LVT_AVIC (1u << 27)
#define SVM_FEATURE_ADDR_CHK (1u << 28)
#define SVM_FEATURE_BUS_LOCK (1u << 29)
#define SVM_FEATURE_IDLE_HLT (1u << 30)
#define SVM_FEATURES_OFFERED                                                                   \
    (SVM_FEATURE_NP | SVM_FEATURE_NRIPS | SVM_FEATURE_VMCB_CLEAN | SVM_FEATURE_FLUSH_BY_ASID | \
     SVM_FEATURE_DECODE_ASSISTS | SVM_FEATURE_PAUSE_FILTER | SVM_FEATURE_PAUSE_THRESHOLD |     \
     SVM_FEATURE_VGIF | SVM_FEATURE_VNMI | SVM_FEATURE_IDLE_HLT | SVM_FEATURE_LBRV |           \
     SVM_FEATURE_GMET | SVM_FEATURE_SSS | SVM_FEATURE_SPEC_CTRL | SVM_FEATURE_ROGPT |          \
     SVM_FEATURE_BUS_LOCK | SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC | SVM_FEATURE_EXT_LVT_AVIC | \
     SVM_FEATURE_VIRT_VMLOAD | SVM_FEATURE_ADDR_CHK | SVM_FEATURE_TLBICTL | SVM_FEATURE_PMC)

/* What VMRUN must know of the processor model. svm_new() sets the widest model, less the extended APIC; the owner of
 * the vCPU may replace it before the first instruction. Reset keeps it. */
struct svm_model {
    uint64_t cr4_valid, efer_valid; /* bits that exist; the others must be zero */
    uint64_t spec_ctrl_valid;       /* the same of SPEC_CTRL, where a VMCB's others are dropped */
    uint32_t features;              /* CPUID Fn8000_000A EDX */
    uint8_t maxphyaddr;             /* bits */
    uint8_t linear_bits;            /* implemented linear address bits: 48 or 57 */
    bool page_1gb;
    bool ext_apic;           /* the local APIC has its extended registers */
    bool shadow_stacks;      /* CPUID CET_SS */
    bool x2avic_ext;         /* CPUID Fn8000_000A ECX[6] */
    bool perfmon_v2;         /* CPUID PerfMonV2 */
    bool clean_bits_ignored; /* -cpu ...,clean-bits=ignore */
};

/* A consistency check that failed. All strings static. */
struct svm_invalid {
    const char *rule;    /* what must hold, e.g. "ASID must not be 0"; NULL: none failed */
    const char *field;   /* VMCB field name */
    uint64_t value;      /* the field's */
    const char *section; /* e.g. "APM vol 2, 15.5.1 \"Basic Operation\"" */
};

/* AVIC (svm/avic.h): the local APIC that the guest sees is a page of memory. All zero but in a guest that has it. */
struct svm_avic {
    bool on, x2;    /* AVIC_ENABLE, X2AVIC_ENABLE */
    uint8_t vector; /* what the last look at the page found to be delivered; 0: nothing */
    bool trapped;   /* an access is done that exits behind its instruction, with these: */
    uint16_t trap_code;
    uint64_t trap_info1, trap_info2;
    uint64_t backing_spa, logical_spa, physical_spa;
    uint16_t max_index; /* of the physical APIC ID table */
};

/* VMLOAD and VMSAVE in a guest that does not intercept them. APM vol 2, 15.33.1. */
enum svm_vmload {
    SVM_VMLOAD_PHYSICAL, /* rAX is a system physical address, as in the host */
    SVM_VMLOAD_VIRTUAL,  /* rAX is a guest physical address */
    SVM_VMLOAD_EXITS     /* virtualization is asked for, but not to be had */
};

#define SVM_FURTHER 47u /* more rules than that are not there */

/* What makes a vCPU a guest, while it is in SMM: SMI leaves guest mode, RSM goes back to it. APM vol 2, 15.22.3. */
struct svm_suspended {
    bool valid;
    uint8_t cpl; /* a field of its own in a guest */
#define SVM_GUEST(type, member, array) type member array;
#include "svm/guest.def"
#undef SVM_GUEST
};

/* The filter of the PAUSE intercept (svm/pause.h); without meaning while PAUSE is not intercepted. */
struct svm_pause {
    uint16_t count, threshold; /* as VMRUN found them; 0: none */
    uint16_t left;             /* how many more PAUSEs pass */
    bool seen;                 /* there was a PAUSE since VMRUN, at last_ns */
    uint64_t last_ns;
};

/* Of svm_state.swaps: S_CET, SSP and ISST_ADDR, svm/shadow.h. */
#define SVM_SWAP_SHADOW 0x80u

/* One per vCPU. Plain, because event delivery, the fetch path and the trace read it. Invariant: guest is
 * false => every intercept word is 0, so that svm_intercepts() is one bit test everywhere. */
struct svm_state {
    bool guest; /* between VMRUN and #VMEXIT */
    bool gif;
#define SVM_GUEST(type, member, array) type member array;
#include "svm/guest.def"
#undef SVM_GUEST
    uint64_t vmruns, exits;
    struct event inject; /* EVENTINJ of the last VMRUN, until event_boundary() delivers it */
    uint64_t
        inject_next_rip; /* the return address an injected INTn, #BP or #OF pushes; else guest RIP */
    uint8_t insn_bytes[15]; /* for the next #VMEXIT, see svm_set_insn_bytes() */
    uint8_t insn_count;
    struct svm_model model;
    struct svm_suspended suspended;
    struct svm_clean clean;
    struct svm_pause pause;
    struct svm_launch launch;

    struct svm_invalid
        invalid; /* rule is not NULL when the last VMRUN ended in VMEXIT_INVALID: first rule */
    unsigned invalid_count; /* how many rules failed */

    /* The last world switch, for probe clients: the guest as VMRUN found it or #VMEXIT left it. */
    uint64_t last_exit_code, last_info1, last_info2, last_exitintinfo, last_nrip;
    uint64_t last_rip, last_eventinj, last_cr3;
    uint32_t last_asid; /* 32 bits: a refused VMCB may hold anything */
    uint16_t last_cs;
    uint8_t last_tlb_control;
    bool last_nested;

    struct svm_invalid further[SVM_FURTHER]; /* the rules behind svm_state.invalid */
};

struct svm_state *svm_new(void);
void svm_free(struct svm_state *svm);
void svm_reset(struct svm_state *svm);

static inline bool svm_guest(const struct vcpu *cpu)
{
    return cpu->svm->guest;
}

static inline bool svm_intercepts(const struct vcpu *cpu, unsigned intercept)
{
    return (cpu->svm->intercept[intercept >> 5] >> (intercept & 31)) & 1;
}

/* VMRUN after its #UD/#GP/intercept checks: loads the guest or makes VMEXIT_INVALID; returns STEP_JUMP (RIP is
 * the guest's; EVENTINJ is recorded in cpu->svm->inject for event_boundary()), STEP_VMEXIT (VMEXIT_INVALID: the
 * host goes on at next_rip), STEP_RAISED or STEP_STOP. next_rip is saved for the host. Both directions call
 * cpu_update_mode() and cpu_attention(). */
EMU_MUST_USE enum step svm_vmrun(struct vcpu *cpu, uint64_t vmcb_spa, uint64_t next_rip);

/* #VMEXIT: save the guest, write EXITCODE and the info words, load the host. cpu->r[REG_RIP] must be the guest's
 * boundary RIP. cpu->delivering becomes EXITINTINFO and is cleared. nRIP is 0. Returns STEP_VMEXIT, or STEP_STOP when
 * the host state is not legal (shutdown). If the loaded RFLAGS.TF is 1 the caller owes the host a single-step #DB. */
EMU_MUST_USE enum step svm_vmexit(struct vcpu *cpu, uint64_t code, uint64_t info1, uint64_t info2);

/* Where the instruction at RIP ends. CHOICE: 32 bits outside 64-bit mode, also in 16-bit code: what follows an instruction
 * that ends at FFFFh is 10000h, beyond the limit, as it is when nothing intercepts it. APM vol 2, 15.7.1. */
static inline uint64_t svm_next_rip(const struct vcpu *cpu, unsigned insn_len)
{
    uint64_t rip = cpu->r[REG_RIP] + insn_len;
    return cpu_long64(cpu) ? rip : (uint32_t)rip;
}

/* As svm_vmexit() for an instruction intercept, with nRIP. */
EMU_MUST_USE enum step svm_vmexit_insn(struct vcpu *cpu, uint64_t code, uint64_t info1,
                                       uint64_t info2, unsigned insn_len);

/* The bytes at guest CS:RIP (at most 15) that the next #VMEXIT stores at 0D0h: for an intercepted #PF or a nested page
 * fault by a data access. VMRUN forgets them. APM vol 2, 15.8.4. */
void svm_set_insn_bytes(struct vcpu *cpu, const uint8_t *bytes, unsigned count);

/* SMI in a guest, RSM back into it: leave guest mode and keep what VMRUN had loaded of the control area; load it again,
 * with GIF 1. The registers are the caller's work. */
void svm_suspend(struct vcpu *cpu);
void svm_resume(struct vcpu *cpu);

/* The members of svm/guest.def. */
void svm_copy_guest(const struct svm_state *svm, struct svm_suspended *to);

/* INIT: guest mode and a suspended guest end without a #VMEXIT; GIF becomes 1. */
void svm_abandon(struct svm_state *svm);

/* VMLOAD, VMSAVE effects (checks and intercepts done by the caller). */
void svm_vmload(struct vcpu *cpu, uint64_t vmcb_spa);
void svm_vmsave(struct vcpu *cpu, uint64_t vmcb_spa);

/* Translate the guest physical address of a VMCB that VMLOAD reads or VMSAVE writes. res.status: WALK_OK or WALK_NPF. */
struct walk_result svm_vmload_walk(struct vcpu *cpu, uint64_t gpa, bool save);

/* IOPM: is any byte of an access to `port` of `size` bytes intercepted? APM vol 2, 15.10.1. */
bool svm_io_intercepted(struct vcpu *cpu, uint16_t port, unsigned size);
/* MSRPM. Numbers outside its ranges are always intercepted. APM vol 2, 15.11. */
bool svm_msr_intercepted(struct vcpu *cpu, uint32_t msr, bool write);

/* The MSRs that have bits in the permissions map: so many from each of these on. */
#define SVM_MSR_RANGES 3u
#define SVM_MSR_RANGE 0x2000u
extern const uint32_t svm_msr_ranges[SVM_MSR_RANGES];

/* Where the map of the last VMRUN decides, and so after #VMEXIT too. */
struct svm_map_bit {
    uint64_t spa; /* of the byte */
    unsigned bit;
};
/* `port` may be beyond FFFFh: the last byte of a wide access. */
struct svm_map_bit svm_io_map_bit(const struct svm_state *svm, uint32_t port);
/* false: the number is not in the map. */
bool svm_msr_map_bit(const struct svm_state *svm, uint32_t msr, bool write, struct svm_map_bit *at);

/* EXITINFO1 of VMEXIT_IOIO. APM vol 2, 15.10.2. addr_bytes 2, 4, 8; seg: enum seg of the string operand. */
uint64_t svm_ioio_info(uint16_t port, bool in, bool string, bool rep, unsigned size,
                       unsigned addr_bytes, enum seg seg);

/* Names for people: "VMEXIT_NPF", or NULL for a code that does not exist. */
const char *svm_exit_name(uint64_t code);
/* "nested page fault", or NULL. */
const char *svm_exit_meaning(uint64_t code);
/* "INTERCEPT_CPUID", "INTERCEPT_CR0_READ" (for the whole range), or NULL. */
const char *svm_intercept_name(unsigned intercept);
/* An exit with its EXITINFO, e.g. "write to gpa 0xfee00000: not present, final access"; snprintf style. */
int svm_describe_exit(char *text, unsigned size, uint64_t code, uint64_t info1, uint64_t info2);
/* The same of a processor without decode assists, which leaves the rest of EXITINFO 0. */
int svm_describe_exit_plain(char *text, unsigned size, uint64_t code, uint64_t info1,
                            uint64_t info2);
/* EVENTINJ or EXITINTINFO in words, e.g. "#PF, error code 0x2"; "none" when V = 0. snprintf style. */
int svm_describe_event(char *text, unsigned size, uint64_t word);

#endif

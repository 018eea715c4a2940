/* Memory types: what MTRRs, PAT and nested paging make of an address. Nothing is cached here, so a type changes no
 * access; types are kept, combined and reported. APM vol 2, 7.4 "Memory Types", 7.7, 7.8, 15.25.8. */
#ifndef EMU_CPU_MEMTYPE_H
#define EMU_CPU_MEMTYPE_H

#include "emu/cpu/mem.h"

/* The first six have the encodings of MTRRs and PAT; the other two come about by combination only. */
enum memory_type {
    MEMORY_UC = 0,
    MEMORY_WC = 1,
    MEMORY_WT = 4,
    MEMORY_WP = 5,
    MEMORY_WB = 6,
    MEMORY_UC_MINUS = 7,
    MEMORY_CD = 8,     /* as UC, but caches are looked at */
    MEMORY_WC_PLUS = 9 /* as WC, but caches are looked at */
};

/* "WB", "UC-", "WC+", ... */
const char *memtype_name(enum memory_type type);

/* What the MTRRs say of a system physical address. */
struct mtrr_range {
    enum memory_type type;
    bool undefined; /* registers overlap in a way whose result the manual leaves open */
    bool fixed;     /* a fixed-range register decided */
    bool rd_mem,
        wr_mem; /* with SYSCFG.MtrrFixDramEn below 1 MiB: accesses go to memory, not to MMIO */
};
struct mtrr_range mtrr_find(const struct cpu_msrs *msr, uint64_t spa);

/* A field of a PAT register. */
enum memory_type memtype_pat(uint64_t pat, unsigned index);

/* Tables 15-19 and 7-11 (with 15-20): guest's and host's PAT type; PAT type and MTRR type. */
enum memory_type memtype_combine_pats(enum memory_type guest, enum memory_type host);
enum memory_type memtype_combine_mtrr(enum memory_type pat, enum memory_type mtrr);

/* The type of accesses to `spa` in the current context, by the PAT index of the entry that led there, and with nested
 * paging that of the nested entry. Index MEMTYPE_UNPAGED: no table led there. */
#define MEMTYPE_UNPAGED 8u
enum memory_type memtype_at(const struct vcpu *cpu, unsigned index, unsigned nested_index,
                            uint64_t spa);

/* The type of a translated address: walk() or walk_explain() with mem_regime(). res->status is WALK_OK. */
enum memory_type memtype_of_walk(struct vcpu *cpu, const struct walk_result *res);

/* The type of a linear address in the current context, as an access of the supervisor would find it. false: it is not
 * mapped. No effects. */
bool memtype_of(struct vcpu *cpu, uint64_t la, enum memory_type *type);

#endif

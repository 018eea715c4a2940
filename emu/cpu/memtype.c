/* Memory types. */
#include "emu/cpu/memtype.h"

#include "emu/cpu/msr.h"
#include "svm/svm.h"

#define MTRR_DEF_FE (1u << 10)
#define MTRR_DEF_E (1u << 11)
#define MTRR_MASK_V (1u << 11)
#define MTRR_RD_MEM 0x10u
#define MTRR_WR_MEM 0x08u
#define SYSCFG_FIX_DRAM_EN (1u << 18)
#define ADDRESS_BITS UINT64_C(0x000ffffffffff000)

const char *memtype_name(enum memory_type type)
{
    static const char *const names[] = {
        [MEMORY_UC] = "UC", [MEMORY_WC] = "WC",        [MEMORY_WT] = "WT", [MEMORY_WP] = "WP",
        [MEMORY_WB] = "WB", [MEMORY_UC_MINUS] = "UC-", [MEMORY_CD] = "CD", [MEMORY_WC_PLUS] = "WC+"
    };
    return names[type];
}

/* --- MTRRs --- */

/* The type field of the fixed-range register for an address below 1 MiB. APM vol 2, table 7-7. */
static unsigned fixed_field(const struct cpu_msrs *msr, uint64_t spa)
{
    unsigned reg, field;
    if (spa < 0x80000) {
        reg = 0;
        field = (unsigned)(spa >> 16);
    } else if (spa < 0xc0000) {
        field = (unsigned)((spa - 0x80000) >> 14);
        reg = 1 + field / 8;
    } else {
        field = (unsigned)((spa - 0xc0000) >> 12);
        reg = 3 + field / 8;
    }
    return msr->mtrr_fix[reg] >> 8 * (field % 8) & 0xff;
}

/* Rules for overlapping variable ranges. CHOICE: where the manual leaves the result open, the more restrictive type in
 * the order of APM vol 2, 7.6.2 "Cache Control Precedence" counts: UC, WC, WP, WT, WB. */
static enum memory_type overlap(enum memory_type a, enum memory_type b, bool *undefined)
{
    static const uint8_t rank[] = {
        [MEMORY_UC] = 0, [MEMORY_WC] = 1, [MEMORY_WP] = 2, [MEMORY_WT] = 3, [MEMORY_WB] = 4
    };
    enum memory_type lower = rank[a] < rank[b] ? a : b;
    if (a != b && lower != MEMORY_UC && lower != MEMORY_WT)
        *undefined = true;
    return lower;
}

static void variable_ranges(const struct cpu_msrs *msr, uint64_t spa, struct mtrr_range *range)
{
    bool found = false;
    for (unsigned i = 0; i < 16; i += 2) {
        uint64_t base = msr->mtrr_phys[i], mask = msr->mtrr_phys[i + 1];
        if (!(mask & MTRR_MASK_V) || ((spa ^ base) & mask & ADDRESS_BITS))
            continue;
        enum memory_type type = (enum memory_type)(base & 7);
        range->type = found ? overlap(range->type, type, &range->undefined) : type;
        found = true;
    }
    if (range->type == MEMORY_UC)
        range->undefined = false; /* UC wins over whatever else is there */
}

struct mtrr_range mtrr_find(const struct cpu_msrs *msr, uint64_t spa)
{
    struct mtrr_range range = { .type = MEMORY_UC };
    bool low = spa < 0x100000;
    unsigned field = low ? fixed_field(msr, spa) : 0;
    if (low && (msr->syscfg & SYSCFG_FIX_DRAM_EN)) { /* whether or not MTRRdefType.E is set */
        range.rd_mem = field & MTRR_RD_MEM;
        range.wr_mem = field & MTRR_WR_MEM;
    }
    if (!(msr->mtrr_def & MTRR_DEF_E))
        return range;
    if (low && (msr->mtrr_def & MTRR_DEF_FE)) {
        range.type = (enum memory_type)(field & 7);
        range.fixed = true;
        return range;
    }
    range.type = (enum memory_type)(msr->mtrr_def & 7);
    variable_ranges(msr, spa, &range);
    return range;
}

/* --- PAT --- */

enum memory_type memtype_pat(uint64_t pat, unsigned index)
{
    return (enum memory_type)(pat >> 8 * index & 7);
}

/* The row or column of a type in the tables. */
static unsigned place(enum memory_type type)
{
    switch (type) {
    case MEMORY_UC_MINUS: return 1;
    case MEMORY_WC: return 2;
    case MEMORY_WP: return 3;
    case MEMORY_WT: return 4;
    case MEMORY_WB: return 5;
    case MEMORY_WC_PLUS: return 6;
    default: return 0;
    }
}

#define UC MEMORY_UC
#define UCM MEMORY_UC_MINUS
#define WC MEMORY_WC
#define WP MEMORY_WP
#define WT MEMORY_WT
#define WB MEMORY_WB
#define CD MEMORY_CD
#define WCP MEMORY_WC_PLUS

/* APM vol 2, 15.25.8 "Combining Memory Types, MTRRs", table 15-19. */
enum memory_type memtype_combine_pats(enum memory_type guest, enum memory_type host)
{
    static const uint8_t table[6][6] = {
        /* host: UC UC- WC   WP   WT   WB      guest: */
        { UC, UC, UC, UC, UC, UC },    /* UC */
        { UC, UCM, WC, UC, UC, UC },   /* UC- */
        { WC, WC, WC, WCP, WCP, WCP }, /* WC */
        { UC, UC, UC, WP, UC, WP },    /* WP */
        { UC, UC, UC, UC, WT, WT },    /* WT */
        { UC, UC, WC, WP, WT, WB },    /* WB */
    };
    return (enum memory_type)table[place(guest)][place(host)];
}

/* APM vol 2, 7.8.5 "Combined Effect of MTRRs and PAT", table 7-11; 15.25.8, table 15-20. */
enum memory_type memtype_combine_mtrr(enum memory_type pat, enum memory_type mtrr)
{
    static const uint8_t table[7][6] = {
        /* MTRR: UC (no UC-) WC WP  WT   WB     PAT: */
        { UC, UC, CD, CD, CD, CD },    /* UC */
        { UC, UC, WC, CD, CD, CD },    /* UC- */
        { WC, WC, WC, WC, WC, WC },    /* WC */
        { UC, UC, CD, WP, CD, WP },    /* WP */
        { UC, UC, CD, CD, WT, WT },    /* WT */
        { UC, UC, WC, WP, WT, WB },    /* WB */
        { WC, WC, WC, WCP, WCP, WCP }, /* WC+ */
    };
    return (enum memory_type)table[place(pat)][place(mtrr)];
}

#undef UC
#undef UCM
#undef WC
#undef WP
#undef WT
#undef WB
#undef CD
#undef WCP

/* --- addresses --- */

/* CHOICE: CR0.CD makes CD of the types that are cached; the manual says only that caching is off. */
static enum memory_type cache_disable(const struct vcpu *cpu, enum memory_type type)
{
    bool nested = cpu->svm->guest && cpu->svm->nested_paging;
    bool off = (cpu->regs.cr0 & CR0_CD) || (nested && (cpu->svm->host_cr0 & CR0_CD));
    bool cached = type == MEMORY_WT || type == MEMORY_WP || type == MEMORY_WB;
    return off && cached ? MEMORY_CD : type;
}

/* CHOICE: the PAT has no say where no table led to the address, which its WB stands for. */
static enum memory_type pat_type(uint64_t pat, unsigned index)
{
    return index == MEMTYPE_UNPAGED ? MEMORY_WB : memtype_pat(pat, index);
}

enum memory_type memtype_at(const struct vcpu *cpu, unsigned index, unsigned nested_index,
                            uint64_t spa)
{
    const struct svm_state *svm = cpu->svm;
    enum memory_type pat;
    if (svm->guest && svm->nested_paging)
        pat = memtype_combine_pats(pat_type(svm->g_pat, index),
                                   pat_type(svm->host_pat, nested_index));
    else
        pat = pat_type(cpu->msr.pat, index); /* without nested paging there is no gPAT */
    return cache_disable(cpu, memtype_combine_mtrr(pat, mtrr_find(&cpu->msr, spa).type));
}

enum memory_type memtype_of_walk(struct vcpu *cpu, const struct walk_result *res)
{
    bool paged = mem_regime(cpu)->mode != WALK_NONE;
    return memtype_at(cpu, paged ? res->pat : MEMTYPE_UNPAGED, res->nested_pat, res->spa);
}

bool memtype_of(struct vcpu *cpu, uint64_t la, enum memory_type *type)
{
    struct walk_regime regime = *mem_regime(cpu);
    regime.cpl = 0;
    regime.smap = false;
    regime.pkru = 0;
    struct walk_result res =
        walk(cpu->memory, &regime, la, (struct access){ .kind = ACCESS_READ }, false);
    if (res.status != WALK_OK)
        return false;
    *type = memtype_of_walk(cpu, &res);
    return true;
}

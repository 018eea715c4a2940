/* `info mtrr`: registers, and the types they give to physical memory. */
#include "emu/debug/info_priv.h"

#include "emu/cpu/cpuid.h"

#include <inttypes.h>
#include <stdlib.h>

#define MASK_V 0x800u
#define EDGES 112u /* 88 fixed ranges, 8 variable ones with two ends, 0, 1 MiB, and room */

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Size of a variable range, or 0 if its mask has holes: such a range is in many pieces. */
static uint64_t range_bytes(uint64_t mask, uint64_t end)
{
    uint64_t inverse = ~(mask & ~UINT64_C(0xfff)) & (end - 1);
    return inverse & (inverse + 1) ? 0 : inverse + 1;
}

/* Where the type may change, sorted. */
static unsigned collect_edges(const struct cpu_msrs *msr, uint64_t end, uint64_t edges[EDGES])
{
    unsigned count = 0;
    for (uint64_t at = 0; at < 0x100000; at += at < 0x80000   ? 0x10000
                                               : at < 0xc0000 ? 0x4000
                                                              : 0x1000)
        edges[count++] = at;
    edges[count++] = 0x100000;
    for (unsigned i = 0; i < 16; i += 2) {
        uint64_t mask = msr->mtrr_phys[i + 1], bytes = range_bytes(mask, end);
        uint64_t base = msr->mtrr_phys[i] & mask & ~UINT64_C(0xfff);
        if (!(mask & MASK_V) || bytes == 0)
            continue;
        edges[count++] = base;
        if (base + bytes < end)
            edges[count++] = base + bytes;
    }
    qsort(edges, count, sizeof(edges[0]), compare);
    return count;
}

static bool same(const struct mtrr_range *a, const struct mtrr_range *b)
{
    return a->type == b->type && a->undefined == b->undefined && a->rd_mem == b->rd_mem &&
           a->wr_mem == b->wr_mem;
}

/* `end`: 2^MAXPHYADDR. */
static void put_types(const struct cpu_msrs *msr, uint64_t end,
                      const struct pacifica_output *output)
{
    uint64_t edges[EDGES];
    unsigned count = collect_edges(msr, end, edges);
    uint64_t from = 0;
    struct mtrr_range now = mtrr_find(msr, 0);
    for (unsigned i = 1; i <= count; i++) {
        uint64_t at = i < count ? edges[i] : end;
        struct mtrr_range next = i < count ? mtrr_find(msr, at) : now;
        if (i < count && same(&now, &next))
            continue;
        output_put(output, "%012" PRIx64 "-%012" PRIx64 " %s%s%s%s\n", from, at - 1,
                   memtype_name(now.type), now.undefined ? " (overlap undefined)" : "",
                   now.rd_mem ? ", RdMem" : "", now.wr_mem ? ", WrMem" : "");
        from = at;
        now = next;
    }
}

static void put_pat(const char *name, uint64_t pat, const struct pacifica_output *output)
{
    output_put(output, "%-4s", name);
    for (unsigned i = 0; i < 8; i++)
        output_put(output, " PA%u %s%s", i, memtype_name(memtype_pat(pat, i)), i < 7 ? "," : "\n");
}

static void put_variable(const struct cpu_msrs *msr, uint64_t end,
                         const struct pacifica_output *output)
{
    for (unsigned i = 0; i < 16; i += 2) {
        uint64_t base = msr->mtrr_phys[i], mask = msr->mtrr_phys[i + 1];
        if (mask & MASK_V)
            output_put(output, "MTRR %u  base %012" PRIx64 "  mask %012" PRIx64 "  %s%s\n", i / 2,
                       base & ~UINT64_C(0xfff), mask & ~UINT64_C(0xfff),
                       memtype_name((enum memory_type)(base & 7)),
                       range_bytes(mask, end) ? "" : ", mask with holes: left out below");
    }
}

enum pacifica_status info_mtrr(struct vcpu *cpu, const char *argument,
                               const struct pacifica_output *output, struct pacifica_diag *diag)
{
    const struct cpu_msrs *msr = &cpu->msr;
    const struct svm_state *svm = cpu->svm;
    const uint64_t end = UINT64_C(1) << cpu->model->address_bits;
    (void)argument;
    (void)diag;
    output_put(output, "MTRRs %s, fixed ranges %s, default %s%s\n",
               msr->mtrr_def & 0x800 ? "on" : "off (all UC)", msr->mtrr_def & 0x400 ? "on" : "off",
               memtype_name((enum memory_type)(msr->mtrr_def & 7)),
               cpu->regs.cr0 & CR0_CD ? "; CR0.CD: caches off" : "");
    put_variable(msr, end, output);
    put_pat("PAT", msr->pat, output);
    if (svm->guest && svm->nested_paging) {
        put_pat("gPAT", svm->g_pat, output);
        put_pat("hPAT", svm->host_pat, output);
    }
    put_types(msr, end, output);
    return PACIFICA_OK;
}

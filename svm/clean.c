/* VMCB clean bits. APM vol 2, 15.15 "VMCB State Caching".
 *
 * The manual lets a processor honour a clean bit that is 1 or ignore it. CHOICE: each one is honoured, so that a hypervisor
 * which changes a field and forgets to clear its bit meets here what it may meet on hardware; -cpu ...,clean-bits=ignore
 * takes memory instead. CHOICE: one guest is kept, the last one. CHOICE: the cache begins to work with the first VMRUN whose
 * clean field is not 0, so that hypervisors without clean bits do not pay for it; and nothing is kept after VMEXIT_INVALID,
 * nor of a guest that SMM has interrupted, since the handler may have run another one or the same. */
#include "svm/clean.h"

#include "emu/base/snap.h"
#include "svm/world.h"

/* What #VMEXIT writes of VINTR_CONTROL; the rest stays as VMRUN loaded it. */
#define VINTR_WRITTEN (VINTR_TPR_FIELD | VINTR_IRQ | VINTR_GIF | VINTR_NMI | VINTR_NMI_MASK)

static bool loads(enum vmcb_use use)
{
    return use == VMCB_USE_ENTRY || vmcb_use_switches(use);
}

/* Copy the fields that the clean bits in `groups` cover. `groups` is constant, so that only their copies are left. */
EMU_INLINE void copy_groups(uint8_t *restrict to, const uint8_t *restrict from, uint32_t groups)
{
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how) \
    if (groups & VMCB_CLEAN_##clean)                                       \
        memcpy(to + (offset), from + (offset), (bytes));
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
}

/* The fields without a clean bit: VMRUN reads them always. Those of performance counters it takes from memory itself. */
EMU_INLINE void copy_uncovered(uint8_t *restrict to, const uint8_t *restrict from)
{
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how)      \
    if (VMCB_CLEAN_##clean == VMCB_CLEAN_NONE && loads(VMCB_USE_##use) &&       \
        VMCB_USE_##use != VMCB_USE_PMC && VMCB_USE_##use != VMCB_USE_PMC_WORLD) \
        memcpy(to + (offset), from + (offset), (bytes));
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
}

/* What #VMEXIT has written to the VMCB, but for the registers that are kept in `regs`. */
EMU_INLINE void copy_left(uint8_t *restrict to, const uint8_t *restrict from, bool lbr, bool shadow)
{
    uint64_t vintr = VMCB_GET(to, VINTR_CONTROL) & ~VINTR_WRITTEN;
#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how)                   \
    if ((VMCB_CLEAN_##clean & ~VMCB_CLEAN_REGS) != 0 && vmcb_use_switches(VMCB_USE_##use) && \
        (VMCB_CLEAN_##clean != VMCB_CLEAN_LBR || lbr) &&                                     \
        (VMCB_CLEAN_##clean != VMCB_CLEAN_CET || shadow))                                    \
        memcpy(to + (offset), from + (offset), (bytes));
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD
    VMCB_SET(to, VINTR_CONTROL, vintr | (VMCB_GET(from, VINTR_CONTROL) & VINTR_WRITTEN));
}

/* --- the registers in `regs`: the rows WORLD and GUEST that bits of VMCB_CLEAN_REGS cover --- */

#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how) \
    MOVE_##use(MOVE_##clean, name, home, how)
#define MOVE_WORLD(row, name, home, how) row(name, home, how)
#define MOVE_GUEST(row, name, home, how) row(name, home, how)
#define MOVE_ENTRY(row, name, home, how)
#define MOVE_EXIT(row, name, home, how)
#define MOVE_SWITCH(row, name, home, how)
#define MOVE_MOVED(row, name, home, how)
#define MOVE_SHADOW(row, name, home, how)
#define MOVE_LBR(row, name, home, how)
#define MOVE_PMC(row, name, home, how)
#define MOVE_PMC_WORLD(row, name, home, how)
#define MOVE_OFF(row, name, home, how)
#define MOVE_CRX MOVE_KEPT
#define MOVE_DRX MOVE_KEPT
#define MOVE_DT MOVE_KEPT
#define MOVE_SEG MOVE_KEPT

#define MOVE_NONE SVM_NOT_MOVED
#define MOVE_CR2 SVM_NOT_MOVED
#define MOVE_KEPT(name, home, how) to->home = cpu->home;
static void keep_regs(struct svm_clean *restrict to, const struct vcpu *restrict cpu)
{
#include "svm/vmcb_fields.def"
}
#undef MOVE_KEPT

#define MOVE_KEPT(name, home, how) VMCB_SET(page, name, from->home);
static void store_regs(uint8_t *restrict page, const struct svm_clean *restrict from)
{
#include "svm/vmcb_fields.def"
}
#undef MOVE_KEPT

#define MOVE_KEPT(name, home, how) to->home = VMCB_GET(page, name);
static void take_regs(struct svm_clean *restrict to, const uint8_t *restrict page)
{
#include "svm/vmcb_fields.def"
}
#undef MOVE_KEPT
#undef MOVE_NONE
#undef MOVE_CR2

#define MOVE_NONE SVM_LOAD_ROW
#define MOVE_CR2 SVM_LOAD_ROW
#define MOVE_KEPT(name, home, how) cpu->home = from->home;
static void load_regs(struct vcpu *restrict cpu, const struct svm_clean *restrict from)
{
    const uint8_t *page = from->page;
#include "svm/vmcb_fields.def"
}
#undef VMCB_FIELD

/* --- VMRUN --- */

static void copy_dirty(uint8_t *to, const uint8_t *from, uint32_t dirty)
{
#define GROUP(name)                \
    if (dirty & VMCB_CLEAN_##name) \
        copy_groups(to, from, VMCB_CLEAN_##name);
    GROUP(I)
    GROUP(IOPM)
    GROUP(ASID)
    GROUP(TPR)
    GROUP(NP)
    GROUP(CRX)
    GROUP(DRX)
    GROUP(DT)
    GROUP(SEG)
    GROUP(CR2)
    GROUP(LBR)
    GROUP(AVIC)
    GROUP(CET)
#undef GROUP
}

void svm_clean_copy(const struct svm_clean *clean, uint8_t *page)
{
    memcpy(page, clean->page, VMCB_PAGE_BYTES);
    store_regs(page, clean);
}

static unsigned bit_number(uint32_t bit)
{
    unsigned number = 0;
    while (bit >> number != 1)
        number++;
    return number;
}

/* Fields that software changed without clearing their bits. */
EMU_COLD static void tell_differences(struct vcpu *cpu, const uint8_t *vmcb, uint32_t clean)
{
    const struct svm_state *svm = cpu->svm;
    const char *taken =
        svm->model.clean_bits_ignored ? "memory (clean-bits=ignore)" : "the processor";
    uint8_t kept[VMCB_PAGE_BYTES];
    svm_clean_copy(&svm->clean, kept);
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        const struct vmcb_field_info *field = &vmcb_fields[i];
        uint64_t there = vmcb_field_value(vmcb, (enum vmcb_field)i);
        uint64_t here = vmcb_field_value(kept, (enum vmcb_field)i);
        bool ignored = field->use == VMCB_USE_SHADOW && !svm->model.shadow_stacks;
        if ((field->clean & clean) && loads(field->use) && !ignored && there != here)
            cpu_guest_error(cpu,
                            "VMRUN: clean bit %u says that %s (%03xh) did not change, but memory "
                            "has %#llx and the "
                            "processor %#llx; taken from %s (APM vol 2, 15.15)",
                            bit_number(field->clean), field->name, field->offset,
                            (unsigned long long)there, (unsigned long long)here, taken);
    }
}

/* The rules of the last VMRUN still hold when the host is the same, since a guest cannot bring about what they forbid, but
 * for clearing EFER.SVME and for PDPTEs in memory; an event to inject is new each time. With CR4.CET they depend on U_CET and
 * RFLAGS, which no clean bit covers. */
static bool is_whole(const struct vcpu *cpu, const uint8_t *vmcb, uint32_t clean)
{
    const struct svm_clean *cache = &cpu->svm->clean;
    const struct cpu_regs *guest = &cache->regs, *host = &cpu->regs;
    if ((clean & VMCB_CLEAN_WHOLE) != VMCB_CLEAN_WHOLE || (VMCB_GET(vmcb, EVENTINJ) & EVENTINJ_V))
        return false;
    if (((cache->host_cr0 ^ host->cr0) | (cache->host_cr4 ^ host->cr4) |
         (cache->host_efer ^ host->efer)) != 0)
        return false;
    bool pae = !(guest->efer & EFER_LME) && (guest->cr4 & CR4_PAE) && (guest->cr0 & CR0_PG);
    return (guest->efer & EFER_SVME) && !pae && !(guest->cr4 & CR4_CET);
}

/* Fill `page` where it does not hold what VMRUN is to see. */
static void merge(struct vcpu *cpu, const uint8_t *vmcb, uint32_t clean)
{
    const struct cpu_regs *host = &cpu->regs;
    struct svm_clean *cache = &cpu->svm->clean;
    if ((clean & VMCB_CLEAN_REGS) != 0)
        store_regs(cache->page, cache);
    copy_dirty(cache->page, vmcb, ~clean & VMCB_CLEAN_ALL);
    cache->host_cr0 = host->cr0;
    cache->host_cr4 = host->cr4;
    cache->host_efer = host->efer;
}

const uint8_t *svm_clean_merge(struct vcpu *cpu, uint64_t vmcb_spa, const uint8_t *vmcb)
{
    struct svm_state *svm = cpu->svm;
    struct svm_clean *cache = &svm->clean;
    if (!(svm->model.features & SVM_FEATURE_VMCB_CLEAN))
        return vmcb;
    uint32_t clean = 0;
    if (cache->valid && cache->spa == vmcb_spa)
        clean = (uint32_t)VMCB_GET(vmcb, CLEAN_BITS) & VMCB_CLEAN_ALL;
    if (EMU_UNLIKELY(probes_want(cpu->probes, PROBE_GUEST_ERROR)))
        tell_differences(cpu, vmcb, clean);
    if (EMU_UNLIKELY(svm->model.clean_bits_ignored))
        clean = 0;

    cache->whole = is_whole(cpu, vmcb, clean);
    if (!cache->whole)
        merge(cpu, vmcb, clean);
    else if (clean != VMCB_CLEAN_ALL)
        copy_dirty(cache->page, vmcb, ~clean & VMCB_CLEAN_ALL);
    copy_uncovered(cache->page, vmcb);
    cache->in_use = true;
    cache->valid = false;
    cache->spa = vmcb_spa;
    return cache->page;
}

void svm_clean_load(struct vcpu *cpu)
{
    load_regs(cpu, &cpu->svm->clean);
    cpu->flags_kind = FLAGS_MATERIAL;
}

void svm_clean_forget(struct svm_clean *clean)
{
    clean->valid = false;
    clean->spa = UINT64_MAX;
}

/* --- #VMEXIT --- */

void svm_clean_keep(struct vcpu *cpu, const uint8_t *vmcb)
{
    struct svm_clean *cache = &cpu->svm->clean;
    if (EMU_UNLIKELY(cache->spa != cpu->svm->vmcb_spa))
        return; /* interrupted by SMM */
    uint8_t swaps = cpu->svm->swaps;
    copy_left(cache->page, vmcb, swaps & VIRT_LBR_ENABLE, swaps & SVM_SWAP_SHADOW);
    keep_regs(cache, cpu);
    memcpy(cache->intercept, cpu->svm->intercept, sizeof(cache->intercept));
    cache->valid = true;
}

/* --- emu/base/snap.h --- */

void svm_clean_snap(struct vcpu *cpu, struct snap *snap)
{
    struct svm_clean *cache = &cpu->svm->clean;
    uint8_t page[VMCB_PAGE_BYTES] = { 0 };
    if (snap_loading(snap))
        *cache = (struct svm_clean){ .in_use = false };
    SNAP(snap, cache, in_use);
    if (!cache->in_use)
        return;
    svm_clean_copy(cache, page);
    SNAP(snap, cache, valid);
    SNAP(snap, cache, spa);
    SNAP(snap, cache, host_cr0);
    SNAP(snap, cache, host_cr4);
    SNAP(snap, cache, host_efer);
    SNAP_ALL(snap, cache, intercept);
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        const struct vmcb_field_info *field = &vmcb_fields[i];
        if (field->clean == VMCB_CLEAN_NONE || field->bytes > 8)
            continue;
        uint64_t value = vmcb_field_value(page, (enum vmcb_field)i);
        snap_u64(snap, field->name, &value);
        vmcb_store(page, field->offset, field->bytes, value);
    }
    if (!snap_loading(snap))
        return;
    memcpy(cache->page, page, sizeof(page));
    take_regs(cache, page);
}

/* Guest memory as instructions reach it. */
#include "emu/cpu/mem.h"

#include "emu/cpu/cpuid.h"
#include "emu/cpu/debug.h"
#include "emu/cpu/shadow_stack.h"
#include "paging/memory.h"
#include "svm/avic.h"

#include <string.h>

/* --- the regime --------------------------------------------------------------------------- */

/* Answers nothing: while alignment is checked or accesses are watched each takes the slow door. Tags of 0 are harmless in all
 * entries but two: the first, which is asked about page 0, and the last, which is asked by accesses that wrap into it. */
static const struct fast_entry no_fast[FAST_ENTRIES] = {
    [0] = { .rtag = FAST_TAG_NONE, .wtag = FAST_TAG_NONE },
    [FAST_ENTRIES - 1] = { .rtag = FAST_TAG_NONE, .wtag = FAST_TAG_NONE },
};

bool mem_alignment_checked(const struct vcpu *cpu)
{
    return cpu->regs.cpl == 3 && (cpu->regs.cr0 & CR0_AM) && (cpu->rflags & FLAG_AC);
}

static void regime_rebuild(struct vcpu *cpu)
{
    const struct cpu_regs *regs = &cpu->regs;
    const struct svm_state *svm = cpu->svm;
    struct walk_regime *regime = cpu->regime;

    *regime = (struct walk_regime){
        .mode = walk_mode_of(regs->cr0, regs->cr4, regs->efer),
        .root = regs->cr3,
        .wp = regs->cr0 & CR0_WP,
        .nxe = regs->efer & EFER_NXE,
        .smep = regs->cr4 & CR4_SMEP,
        .smap = regs->cr4 & CR4_SMAP,
        .pse = regs->cr4 & CR4_PSE,
        .pge = regs->cr4 & CR4_PGE,
        .pcide = regs->cr4 & CR4_PCIDE,
        .pke = regs->cr4 & CR4_PKE,
        .pkru = regs->pkru,
        .cpl = regs->cpl,
        .ac = cpu->rflags & FLAG_AC,
        .asid = svm->guest ? svm->asid : 0,
        .maxphyaddr = cpu->model->address_bits,
        .page_1gb = cpu_has(cpu, CPU_FEATURE_PAGE1GB),
        .smm = regs->smm,
        .shadow_stack = shadow_stack_on(cpu, regs->cpl),
        .nested = svm->guest && svm->nested_paging ? &svm->host_regime : NULL,
    };

    struct fast_entry *bank = paging_bank(cpu->paging, regime);
    cpu->bank = bank;
    bool slow = mem_alignment_checked(cpu) || probes_want(cpu->probes, PROBE_MEM) ||
                (debug_armed(cpu) && debug_watches_data(cpu));
    cpu->fast = slow ? (struct fast_entry *)(uintptr_t)no_fast : bank;
    cpu->context_stale = false;
}

const struct walk_regime *mem_regime(struct vcpu *cpu)
{
    if (EMU_UNLIKELY(cpu->context_stale))
        regime_rebuild(cpu);
    return cpu->regime;
}

/* --- the fast door ---------------------------------------------------------------------------- */

/* Native pointer to [la, la + size) through a fast entry, or NULL. A page crossing never matches: the next page
 * belongs to another entry. */
static inline uint8_t *fast_read(struct vcpu *cpu, uint64_t la, unsigned size)
{
    if (EMU_UNLIKELY(cpu->context_stale))
        regime_rebuild(cpu);
    const struct fast_entry *e = &cpu->fast[(la >> 12) & (FAST_ENTRIES - 1)];
    return EMU_LIKELY(e->rtag == ((la + size - 1) & ~0xfffull)) ? (uint8_t *)(la + e->addend)
                                                                : NULL;
}

static inline uint8_t *fast_write(struct vcpu *cpu, uint64_t la, unsigned size)
{
    if (EMU_UNLIKELY(cpu->context_stale))
        regime_rebuild(cpu);
    const struct fast_entry *e = &cpu->fast[(la >> 12) & (FAST_ENTRIES - 1)];
    return EMU_LIKELY(e->wtag == ((la + size - 1) & ~0xfffull)) ? (uint8_t *)(la + e->addend)
                                                                : NULL;
}

/* Linear address in 64-bit mode, canonical form not yet checked: a fast entry exists for canonical pages only. */
static inline uint64_t long64_linear(const struct vcpu *cpu, enum seg seg, uint64_t off)
{
    return seg >= SEG_FS ? cpu->regs.seg[seg].base + off : off;
}

/* --- segmentation ---------------------------------------------------------------------------------- */

static enum step segment_fault(struct vcpu *cpu, enum seg seg)
{
    return cpu_raise_code(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

static bool canonical_range(const struct vcpu *cpu, uint64_t la, unsigned size)
{
    bool la57 = cpu->regs.cr4 & CR4_LA57;
    return paging_is_canonical(la, la57) && paging_is_canonical(la + size - 1, la57);
}

/* Presence, type, limit. APM vol 2, 4.12 "Limit Checks", 4.13 "Type Checks". */
static bool legacy_segment_allows(const struct vcpu *cpu, const struct segment *s, uint64_t off,
                                  unsigned size, enum access_kind kind)
{
    bool code = s->attr & 8, bit1 = s->attr & 2; /* bit 1: code readable, data writable */
    uint64_t last = off + size - 1;

    if (cpu_protected(cpu)) {
        if (!(s->attr & SEG_ATTR_P))
            return false;
        if (kind == ACCESS_WRITE && (code || !bit1))
            return false;
        if (kind == ACCESS_READ && code && !bit1)
            return false;
    }
    if (!code && (s->attr & 4)) /* expand-down: the limit is the last byte outside */
        return off > s->limit && last <= (s->attr & SEG_ATTR_DB ? UINT32_MAX : UINT16_MAX);
    return last <= s->limit;
}

enum step mem_linear(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                     enum access_kind kind, uint64_t *la)
{
    if (EMU_LIKELY(cpu_long64(cpu))) {
        *la = long64_linear(cpu, seg, off);
        return canonical_range(cpu, *la, size) ? STEP_NEXT : segment_fault(cpu, seg);
    }
    const struct segment *s = &cpu->regs.seg[seg];
    if (!legacy_segment_allows(cpu, s, off, size, kind))
        return segment_fault(cpu, seg);
    *la = (uint32_t)(s->base + off);
    return STEP_NEXT;
}

uint64_t mem_offset(const struct vcpu *cpu, const struct insn *in)
{
    uint64_t off = cpu->r[in->base] + (cpu->r[in->index] << in->scale) + (uint64_t)in->disp;
    return in->addr_size == 8 ? off : in->addr_size == 4 ? (uint32_t)off : (uint16_t)off;
}

/* --- the slow door ------------------------------------------------------------------------------------ */

static void probe_access(struct vcpu *cpu, uint64_t la, unsigned size, bool write, uint64_t value)
{
    if (EMU_LIKELY(!probes_want(cpu->probes, PROBE_MEM)))
        return;
    probes_fire(
        cpu->probes,
        &(struct probe_event){
            .kind = PROBE_MEM, .cpu = cpu, .a = la, .b = size | (uint64_t)write << 8, .c = value });
}

/* Somebody wants to hear of accesses to this page: breaks. */
static void tell_touch(struct vcpu *cpu, uint64_t spa, unsigned size, bool write)
{
    if (EMU_LIKELY(!probes_want(cpu->probes, PROBE_TOUCH)) ||
        !(memory_marks(cpu->memory, memory_backing(cpu->memory, spa)) & PAGE_TOLD))
        return;
    probes_fire(cpu->probes,
                &(struct probe_event){
                    .kind = PROBE_TOUCH, .cpu = cpu, .a = spa, .b = size | (uint64_t)write << 8 });
}

/* Implicit accesses match no breakpoint. APM vol 2, 13.1.3.2 "Data Breakpoints". */
static void watch_access(struct vcpu *cpu, uint64_t la, unsigned size, bool write)
{
    if (EMU_UNLIKELY(debug_armed(cpu)))
        debug_data_accessed(cpu, la, size, write);
}

static enum step translate_byte(struct vcpu *cpu, uint64_t la, struct access access, uint64_t *spa,
                                bool *apic)
{
    const struct walk_regime *regime = mem_regime(cpu);
    bool filled;
    struct walk_result res = access.supervisor || access.shadow_stack
                                 ? paging_translate(cpu->paging, regime, la, access)
                                 : paging_fast_fill(cpu->paging, regime, la, access, &filled);
    if (EMU_UNLIKELY(res.status == WALK_FAULT))
        return cpu_raise_page_fault(cpu, la, res.code);
    if (EMU_UNLIKELY(res.status == WALK_NPF))
        return cpu_raise_npf(cpu, la, res.info1, res.gpa);
    *spa = res.spa;
    *apic = res.apic;
    return STEP_NEXT;
}

/* The parts of an access that lie in the page of the guest's local APIC may exit instead. APM vol 2, 15.29.3.1. */
EMU_COLD static enum step check_apic(struct vcpu *cpu, const struct mem_rmw *at, bool write)
{
    enum step step = STEP_NEXT;
    if (at->apic[0])
        step = svm_avic_check(cpu, (unsigned)(at->spa[0] & 4095), at->first, write);
    if (step == STEP_NEXT && at->apic[1])
        step = svm_avic_check(cpu, 0, at->size - at->first, write);
    return step;
}

EMU_COLD static void apic_written(struct vcpu *cpu, const struct mem_rmw *at)
{
    if (at->apic[0])
        svm_avic_written(cpu, at->spa[0], at->first);
    if (at->apic[1])
        svm_avic_written(cpu, at->spa[1], at->size - at->first);
}

static bool in_apic(const struct mem_rmw *at)
{
    return at->apic[0] | at->apic[1];
}

/* Translate all pages of an access. */
EMU_MUST_USE static enum step translate_pages(struct vcpu *cpu, uint64_t la, unsigned size,
                                              struct access access, struct mem_rmw *at)
{
    unsigned in_page = 4096 - (unsigned)(la & 4095);
    *at = (struct mem_rmw){ .la = la, .size = size, .first = size < in_page ? size : in_page };
    enum step step = translate_byte(cpu, la, access, &at->spa[0], &at->apic[0]);
    if (step == STEP_NEXT && at->first != size) {
        uint64_t next = la + at->first;
        if (!cpu_long64(cpu) &&
            la >> 32 == 0) /* what a 32-bit segment reaches wraps around at 4 GiB */
            next = (uint32_t)next;
        step = translate_byte(cpu, next, access, &at->spa[1], &at->apic[1]);
    }
    if (EMU_UNLIKELY(in_apic(at)) && step == STEP_NEXT)
        step = check_apic(cpu, at, access.kind == ACCESS_WRITE);
    return step;
}

/* CHOICE: the alignment check comes before the walk; APM vol 2, 8.5 leaves the order to the processor. */
EMU_MUST_USE static enum step translate(struct vcpu *cpu, uint64_t la, unsigned size,
                                        struct access access, struct mem_rmw *at)
{
    if (!access.supervisor && (size & (size - 1)) == 0 && (la & (size - 1)) != 0 &&
        mem_alignment_checked(cpu)) {
        *at = (struct mem_rmw){ 0 };
        return cpu_raise_code(cpu, EXC_AC, 0);
    }
    return translate_pages(cpu, la, size, access, at);
}

static void touch_pages(struct vcpu *cpu, const struct mem_rmw *at, bool write)
{
    tell_touch(cpu, at->spa[0], at->first, write);
    if (at->first < at->size)
        tell_touch(cpu, at->spa[1], at->size - at->first, write);
}

static uint64_t physical_load(struct vcpu *cpu, const struct mem_rmw *at)
{
    uint64_t value = phys_read(cpu->memory, at->spa[0], at->first);
    if (at->first < at->size)
        value |= phys_read(cpu->memory, at->spa[1], at->size - at->first) << (8 * at->first);
    probe_access(cpu, at->la, at->size, false, value);
    touch_pages(cpu, at, false);
    return value;
}

static void physical_store(struct vcpu *cpu, const struct mem_rmw *at, uint64_t value)
{
    phys_write(cpu->memory, at->spa[0], at->first, value);
    if (at->first < at->size)
        phys_write(cpu->memory, at->spa[1], at->size - at->first, value >> (8 * at->first));
    probe_access(cpu, at->la, at->size, true, value);
    touch_pages(cpu, at, true);
    if (EMU_UNLIKELY(in_apic(at)))
        apic_written(cpu, at);
}

EMU_MUST_USE static EMU_NOINLINE enum step load_slow(struct vcpu *cpu, uint64_t la, unsigned size,
                                                     bool supervisor, uint64_t *value)
{
    struct mem_rmw at;
    enum step step = translate(
        cpu, la, size, (struct access){ .kind = ACCESS_READ, .supervisor = supervisor }, &at);
    if (step != STEP_NEXT)
        return step;
    *value = physical_load(cpu, &at);
    if (!supervisor)
        watch_access(cpu, la, size, false);
    return step;
}

EMU_MUST_USE static EMU_NOINLINE enum step store_slow(struct vcpu *cpu, uint64_t la, unsigned size,
                                                      bool supervisor, uint64_t value)
{
    struct mem_rmw at;
    enum step step = translate(
        cpu, la, size, (struct access){ .kind = ACCESS_WRITE, .supervisor = supervisor }, &at);
    if (step != STEP_NEXT)
        return step;
    physical_store(cpu, &at, value);
    if (!supervisor)
        watch_access(cpu, la, size, true);
    return step;
}

/* --- loads and stores ----------------------------------------------------------------------------------- */

static inline uint64_t native_load(const uint8_t *ptr, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, ptr, size);
    return value;
}

/* Fixed sizes, so that each becomes one move of the workstation. */
static inline uint64_t native_load_sized(const uint8_t *ptr, unsigned size)
{
    switch (size) {
    case 1: return native_load(ptr, 1);
    case 2: return native_load(ptr, 2);
    case 4: return native_load(ptr, 4);
    case 8: return native_load(ptr, 8);
    default: return native_load(ptr, size);
    }
}

static inline void native_store_sized(uint8_t *ptr, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: memcpy(ptr, &value, 1); break;
    case 2: memcpy(ptr, &value, 2); break;
    case 4: memcpy(ptr, &value, 4); break;
    case 8: memcpy(ptr, &value, 8); break;
    default: memcpy(ptr, &value, size); break;
    }
}

/* The address and, if a fast entry answers, the native pointer. In 64-bit mode a fast entry makes the canonical
 * check unnecessary. */
EMU_MUST_USE static inline enum step locate(struct vcpu *cpu, enum seg seg, uint64_t off,
                                            unsigned size, enum access_kind kind, uint64_t *la,
                                            uint8_t **ptr)
{
    bool long64 = EMU_LIKELY(cpu_long64(cpu));
    if (long64) {
        *la = long64_linear(cpu, seg, off);
    } else {
        enum step step = mem_linear(cpu, seg, off, size, kind, la);
        if (step != STEP_NEXT)
            return step;
    }
    *ptr = kind == ACCESS_WRITE ? fast_write(cpu, *la, size) : fast_read(cpu, *la, size);
    if (EMU_UNLIKELY(!*ptr) && long64 && !canonical_range(cpu, *la, size))
        return segment_fault(cpu, seg);
    return STEP_NEXT;
}

enum step mem_load(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size, uint64_t *value)
{
    uint64_t la;
    uint8_t *ptr;
    enum step step = locate(cpu, seg, off, size, ACCESS_READ, &la, &ptr);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    if (EMU_UNLIKELY(!ptr))
        return load_slow(cpu, la, size, false, value);
    *value = native_load_sized(ptr, size);
    return STEP_NEXT;
}

enum step mem_store(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size, uint64_t value)
{
    uint64_t la;
    uint8_t *ptr;
    enum step step = locate(cpu, seg, off, size, ACCESS_WRITE, &la, &ptr);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    if (EMU_UNLIKELY(!ptr))
        return store_slow(cpu, la, size, false, value);
    native_store_sized(ptr, size, value);
    return STEP_NEXT;
}

/* Canonical form of a linear address; in legacy mode it is cut to 32 bits. While CS is a 32-bit segment of long mode,
 * descriptor tables and the stacks of handlers may still lie anywhere. */
EMU_MUST_USE static enum step check_la(struct vcpu *cpu, uint64_t *la, unsigned size)
{
    if (!(cpu->regs.efer & EFER_LMA))
        *la = (uint32_t)*la;
    else if (!canonical_range(cpu, *la, size))
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

enum step mem_load_la(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t *value)
{
    enum step step = check_la(cpu, &la, size);
    if (step != STEP_NEXT)
        return step;
    const uint8_t *ptr = fast_read(cpu, la, size);
    if (!ptr)
        return load_slow(cpu, la, size, false, value);
    *value = native_load_sized(ptr, size);
    return STEP_NEXT;
}

enum step mem_store_la(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t value)
{
    enum step step = check_la(cpu, &la, size);
    if (step != STEP_NEXT)
        return step;
    uint8_t *ptr = fast_write(cpu, la, size);
    if (!ptr)
        return store_slow(cpu, la, size, false, value);
    native_store_sized(ptr, size, value);
    return STEP_NEXT;
}

/* A fast entry of CPL 0-2 answers for an implicit access too, unless RFLAGS.AC has opened user pages that SMAP closes
 * to implicit accesses. */
static bool fast_serves_system(const struct vcpu *cpu)
{
    return cpu->regs.cpl != 3 && !((cpu->rflags & FLAG_AC) && (cpu->regs.cr4 & CR4_SMAP));
}

enum step mem_load_sys(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t *value)
{
    enum step step = check_la(cpu, &la, size);
    if (step != STEP_NEXT)
        return step;
    const uint8_t *ptr = fast_serves_system(cpu) ? fast_read(cpu, la, size) : NULL;
    if (!ptr)
        return load_slow(cpu, la, size, true, value);
    *value = native_load_sized(ptr, size);
    return STEP_NEXT;
}

enum step mem_store_sys(struct vcpu *cpu, uint64_t la, unsigned size, uint64_t value)
{
    enum step step = check_la(cpu, &la, size);
    if (step != STEP_NEXT)
        return step;
    uint8_t *ptr = fast_serves_system(cpu) ? fast_write(cpu, la, size) : NULL;
    if (!ptr)
        return store_slow(cpu, la, size, true, value);
    native_store_sized(ptr, size, value);
    return STEP_NEXT;
}

/* --- bytes --------------------------------------------------------------------------------------- */

static void bytes_physical(struct vcpu *cpu, const struct mem_rmw *at, bool write, uint8_t *bytes)
{
    for (unsigned done = 0; done < at->size;) {
        bool second = done >= at->first;
        unsigned rest = (second ? at->size : at->first) - done, size = rest < 8 ? rest : 8;
        uint64_t spa = second ? at->spa[1] + done - at->first : at->spa[0] + done, value = 0;
        if (write) {
            memcpy(&value, bytes + done, size);
            phys_write(cpu->memory, spa, size, value);
        } else {
            value = phys_read(cpu->memory, spa, size);
            memcpy(bytes + done, &value, size);
        }
        probe_access(cpu, at->la + done, size, write, value);
        done += size;
    }
    touch_pages(cpu, at, write);
    watch_access(cpu, at->la, at->size, write);
    if (EMU_UNLIKELY(in_apic(at)) && write)
        apic_written(cpu, at);
}

EMU_MUST_USE static enum step access_bytes(struct vcpu *cpu, enum seg seg, uint64_t off,
                                           unsigned size, enum access_kind kind, uint8_t *bytes)
{
    uint64_t la;
    uint8_t *ptr;
    struct mem_rmw at;
    bool write = kind == ACCESS_WRITE;
    enum step step = locate(cpu, seg, off, size, kind, &la, &ptr);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    if (EMU_LIKELY(ptr != NULL)) {
        memcpy(write ? ptr : bytes, write ? bytes : ptr, size);
        return STEP_NEXT;
    }
    step = translate_pages(cpu, la, size, (struct access){ .kind = kind }, &at);
    if (step == STEP_NEXT)
        bytes_physical(cpu, &at, write, bytes);
    return step;
}

enum step mem_load_bytes(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size, void *to)
{
    return access_bytes(cpu, seg, off, size, ACCESS_READ, to);
}

enum step mem_store_bytes(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                          const void *from)
{
    return access_bytes(cpu, seg, off, size, ACCESS_WRITE, (uint8_t *)(uintptr_t)from);
}

/* --- read-modify-write and runs ---------------------------------------------------------------------------- */

enum step mem_rmw_begin(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                        struct mem_rmw *rmw, uint64_t *value)
{
    uint64_t la;
    uint8_t *ptr;
    enum step step = locate(cpu, seg, off, size, ACCESS_WRITE, &la, &ptr);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    if (EMU_LIKELY(ptr != NULL)) {
        rmw->ptr = ptr;
        rmw->size = size;
        *value = native_load_sized(ptr, size);
        return STEP_NEXT;
    }
    step = translate(cpu, la, size, (struct access){ .kind = ACCESS_WRITE }, rmw);
    if (step != STEP_NEXT)
        return step;
    *value = physical_load(cpu, rmw);
    watch_access(cpu, la, size, true);
    return step;
}

void mem_rmw_commit(struct vcpu *cpu, const struct mem_rmw *rmw, uint64_t value)
{
    if (EMU_LIKELY(rmw->ptr != NULL))
        native_store_sized(rmw->ptr, rmw->size, value);
    else
        physical_store(cpu, rmw, value);
}

enum step mem_begin(struct vcpu *cpu, uint64_t la, unsigned size, struct access access,
                    struct mem_rmw *at)
{
    enum step step = check_la(cpu, &la, size);
    return step == STEP_NEXT ? translate_pages(cpu, la, size, access, at) : step;
}

uint64_t mem_begun_load(struct vcpu *cpu, const struct mem_rmw *at)
{
    return physical_load(cpu, at);
}

enum step mem_run(struct vcpu *cpu, uint64_t la, enum access_kind kind, uint8_t **ptr,
                  uint64_t *spa)
{
    *spa = MEM_RUN_UNMARKED;
    *ptr = kind == ACCESS_WRITE ? fast_write(cpu, la, 1) : fast_read(cpu, la, 1);
    if (*ptr)
        return STEP_NEXT;
    if (cpu->fast != cpu->bank)
        return STEP_NEXT; /* each element is looked at */

    bool apic;
    enum step step = translate_byte(cpu, la, (struct access){ .kind = kind }, spa, &apic);
    if (step != STEP_NEXT || EMU_UNLIKELY(apic))
        return step;
    *ptr = memory_ptr(cpu->memory, *spa, 1);
    const unsigned told = kind == ACCESS_WRITE ? PAGE_HAS_CODE | PAGE_WATCHED : PAGE_TOLD;
    if (*ptr && (memory_marks(cpu->memory, memory_backing(cpu->memory, *spa)) & told))
        *ptr = NULL;
    return STEP_NEXT;
}

enum step mem_touch(struct vcpu *cpu, uint64_t la, enum access_kind kind)
{
    struct mem_rmw at;
    return translate_pages(cpu, la, 1, (struct access){ .kind = kind }, &at);
}

enum step mem_touch_bytes(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size,
                          enum access_kind kind)
{
    struct mem_rmw at;
    uint64_t la;
    uint8_t *ptr;
    enum step step = locate(cpu, seg, off, size, kind, &la, &ptr);
    if (step != STEP_NEXT || ptr)
        return step;
    return translate_pages(cpu, la, size, (struct access){ .kind = kind }, &at);
}

void mem_run_written(struct vcpu *cpu, uint64_t spa, unsigned len)
{
    if (spa != MEM_RUN_UNMARKED)
        phys_written(cpu->memory, spa, len);
}

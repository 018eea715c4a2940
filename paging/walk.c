/* Page table walks: what becomes of a descent, and the nested tables under the guest's.
 * APM vol 2, 5.6 "Page-Protection Checks", 15.25 "Nested Paging". */
#include "paging/descend_priv.h"
#include "paging/rights_priv.h"

/* The access is allowed: A, and D for a write, are set in the leaf.
 * CHOICE: a leaf whose access faults keeps its A bit; the levels above it have theirs set. */
EMU_INLINE void leaf_accessed(struct walker *w, struct leaf *leaf, bool write)
{
    uint64_t bits = write ? ENTRY_A | ENTRY_D : ENTRY_A;

    if (EMU_LIKELY((leaf->entry & bits) == bits) || !w->fill_ad)
        return;
    leaf->entry |= bits;
    entry_store(w->memory, leaf->spa, leaf->entry_bytes, leaf->entry);
}

/* The ID bit is reported only where fetches are told from reads. APM vol 2, 8.4.2 "Page-Fault Error Code". CHOICE: the guest
 * mode execute trap counts as CR4.SMEP does, which it is like. */
static uint32_t fetch_bit(const struct walk_regime *regime, enum access_kind kind)
{
    bool nx_exists = regime->nxe && regime->mode >= WALK_PAE;

    return kind == ACCESS_EXEC && (nx_exists || regime->smep || regime->gmet) ? PF_ID : 0;
}

/* Does a guest physical address lie beyond what the nested tables can map?
 * CHOICE: such an address is not present. */
static bool beyond_nested(const struct walk_regime *nested, uint64_t gpa)
{
    switch (nested->mode) {
    case WALK_4LEVEL: return gpa >> 48 != 0;
    case WALK_PAE:
    case WALK_32: return gpa >> 32 != 0;
    default: return false;
    }
}

/* Does the nested U/S bit, effective over all levels, refuse the access? Every access is a user access. With the guest mode
 * execute trap user pages are not executed at levels 0-2; APM vol 2, 15.25.13 "Guest Mode Execute Trap Extension".
 * CHOICE: then data accesses and table walks do not look at the bit, which supervisor code needs clear. */
EMU_INLINE bool nested_us_refuses(const struct walker *w, enum access_kind kind, uint64_t allow)
{
    if (EMU_LIKELY(!w->nested->gmet))
        return !(allow & ENTRY_U);
    return kind == ACCESS_EXEC && w->supervisor && (allow & ENTRY_U);
}

EMU_INLINE bool nested_rw_nx_refuse(enum access_kind kind, const struct leaf *leaf)
{
    return (kind == ACCESS_WRITE && !(leaf->allow & ENTRY_W)) ||
           (kind == ACCESS_EXEC && leaf->forbid);
}

/* May the page be a supervisor shadow stack? APM vol 2, 15.25.14 "Supervisor Shadow Stacks", "Designating SSS Pages". */
EMU_INLINE bool sss_page(const struct leaf *leaf)
{
    return (leaf->entry & (ENTRY_NX | ENTRY_U)) == ENTRY_NX && (leaf->above & ENTRY_W);
}

EMU_INLINE bool sss_access(const struct walker *w)
{
    return w->shadow_stack && w->supervisor;
}

/* With the supervisor shadow stack check: their accesses go to such pages alone, and their writes find them open whatever R/W says
 * of the leaf. CHOICE: U/S = 0, which marks the pages, closes them to no other access: the manual lists only fetches as refused
 * there, and wants R/W = 0 against ordinary writes. */
static EMU_NOINLINE bool sss_refuses(struct walker *w, enum access_kind kind,
                                     const struct leaf *leaf, uint64_t code)
{
    bool page = sss_page(leaf), refused = !page;

    if (!sss_access(w))
        refused =
            (!page && nested_us_refuses(w, kind, leaf->allow)) || nested_rw_nx_refuse(kind, leaf);
    w->npf_code = code | PF_P | (page ? NPF_SSS : 0);
    return refused;
}

/* US is 1, but with the guest mode execute trap tells the guest's level. CHOICE: with the supervisor shadow stack check it is 0 for
 * their accesses. The manual calls all accesses those of a user "unless there are features enabled that override this". */
EMU_INLINE uint64_t nested_code(const struct walker *w, enum access_kind kind)
{
    const struct walk_regime *nested = w->nested;
    bool supervisor = w->supervisor && (nested->gmet || (nested->sss && w->shadow_stack));

    return (supervisor ? 0 : PF_US) | (kind == ACCESS_WRITE ? PF_RW : 0) |
           (w->shadow_stack ? PF_SS : 0) | fetch_bit(nested, kind);
}

/* Guest physical to system physical. The nested tables' read-only pages can be written by nobody, whatever CR0.WP says, and
 * shadow stacks there as any page. APM vol 2, 15.25.5, 15.25.7 "Combining Nested and Guest Attributes". */
EMU_INLINE bool nested_walk_how(struct walker *w, unsigned how, uint64_t gpa, enum access_kind kind,
                                struct leaf *leaf)
{
    struct walker host = { .memory = w->memory, .fill_ad = w->fill_ad, .log = w->log };
    const struct walk_regime *nested = w->nested;
    enum descent end = END_ABSENT;
    uint64_t code = nested_code(w, kind);

    if (EMU_LIKELY(!beyond_nested(nested, gpa)))
        end = (how & HOW_FULL ? descend_system_full : descend_system)(&host, nested, gpa, leaf);
    if (EMU_UNLIKELY(end != END_LEAF)) {
        w->npf_code = end == END_RESERVED ? code | PF_P | PF_RSV : code;
        return false;
    }
    if (EMU_UNLIKELY(nested->sss)) {
        if (sss_refuses(w, kind, leaf, code))
            return false;
    } else if (EMU_UNLIKELY(nested_us_refuses(w, kind, leaf->allow) ||
                            nested_rw_nx_refuse(kind, leaf))) {
        w->npf_code = code | PF_P;
        return false;
    }
    leaf_accessed(&host, leaf, kind == ACCESS_WRITE);
    return true;
}

static bool nested_walk(struct walker *w, uint64_t gpa, enum access_kind kind, struct leaf *leaf)
{
    return nested_walk_how(w, 0, gpa, kind, leaf);
}

static EMU_NOINLINE bool nested_walk_full(struct walker *w, uint64_t gpa, enum access_kind kind,
                                          struct leaf *leaf)
{
    return nested_walk_how(w, HOW_FULL, gpa, kind, leaf);
}

static unsigned leaf_flags(const struct walk_regime *regime, const struct leaf *leaf)
{
    uint64_t dirty = leaf->entry >> 5; /* at the place of W */
    uint64_t shadow_stack = leaf->above & dirty & ~leaf->entry & ENTRY_W;

    return (shadow_stack ? TLB_SHADOW_STACK : 0) | (leaf->allow & ENTRY_W ? TLB_W : 0) |
           (leaf->allow & ENTRY_U ? TLB_U : 0) | (leaf->forbid ? TLB_NX : 0) |
           (regime->pge && (leaf->entry & ENTRY_G) ? TLB_G : 0) |
           (leaf->entry & ENTRY_D ? TLB_D : 0) | TLB_NESTED_W;
}

/* The index into the PAT register: PAT, PCD and PWT of a leaf. APM vol 2, 7.8.2 "PAT Indexing". */
static uint8_t pat_index(const struct leaf *leaf)
{
    uint64_t pat = leaf->shift == PAGE_SHIFT ? leaf->entry >> 7 : leaf->entry >> 12;

    return (uint8_t)((pat & 1) << 2 | (leaf->entry >> 3 & 3));
}

/* The nested tables have given their permission; where the access goes is not theirs to say. What is cached covers either the
 * page of the APIC or its neighbours. APM vol 2, 15.29.3 "AVIC Backing Page".
 * CHOICE: fetches, and guest page tables in that page, go where the nested tables say. */
static EMU_NOINLINE void redirect_apic(const struct walk_regime *nested, enum access_kind kind,
                                       struct walk_result *res, struct walk_leaf *details)
{
    if ((res->gpa ^ nested->apic_gpa) >> details->shift != 0)
        return;
    details->shift = PAGE_SHIFT;
    if ((res->gpa ^ nested->apic_gpa) >> PAGE_SHIFT != 0 || kind == ACCESS_EXEC)
        return;
    res->spa = nested->apic_spa | (res->gpa & (PAGE_BYTES - 1));
    details->flags |= TLB_APIC;
}

/* The second stage for the address the guest asked for. false: res is the nested page fault. */
EMU_INLINE bool walk_final(struct walker *w, unsigned how, enum access_kind kind,
                           struct walk_result *res, struct walk_leaf *details)
{
    struct leaf leaf;
    bool gmet = w->nested->gmet;

    if (EMU_UNLIKELY(
            !(how & HOW_FULL ? nested_walk_full : nested_walk)(w, res->gpa, kind, &leaf))) {
        res->status = WALK_NPF;
        res->info1 = NPF_FINAL | w->npf_code;
        return false;
    }
    res->spa = leaf.base | (res->gpa & ((1ull << leaf.shift) - 1));
    if (leaf.shift < details->shift)
        details->shift = leaf.shift;
    if (!(leaf.allow & ENTRY_W))
        details->flags &= ~TLB_NESTED_W;
    if (leaf.forbid)
        details->flags |= TLB_NX;
    if (EMU_UNLIKELY(gmet) && (leaf.allow & ENTRY_U))
        details->flags |= TLB_SUPERVISOR_NX;
    if (EMU_UNLIKELY(w->nested->sss) && sss_page(&leaf))
        details->flags |= TLB_SSS;
    if (!(leaf.entry & ENTRY_D))
        details->flags &= ~TLB_D;
    if (EMU_UNLIKELY(w->nested->apic_gpa))
        redirect_apic(w->nested, kind, res, details);
    if (how & HOW_FULL)
        res->nested_pat = pat_index(&leaf);
    return true;
}

EMU_INLINE enum descent descend_how(struct walker *w, unsigned how,
                                    const struct walk_regime *regime, uint64_t la,
                                    struct leaf *leaf)
{
    if (how & HOW_FULL)
        return (regime->nested ? descend_guest_full : descend_system_full)(w, regime, la, leaf);
    return (regime->nested ? descend_guest : descend_system)(w, regime, la, leaf);
}

/* A nested page fault at an entry of the guest's tables. */
static struct walk_result table_fault(const struct walker *w, const struct leaf *leaf)
{
    return (struct walk_result){ .status = WALK_NPF,
                                 .info1 = NPF_TABLE | w->npf_code,
                                 .gpa = leaf->gpa };
}

/* Would A or D change in the leaf, and the nested tables do not let it? */
static EMU_NOINLINE bool leaf_is_closed(struct walker *w, const struct leaf *leaf, bool write)
{
    uint64_t bits = write ? ENTRY_A | ENTRY_D : ENTRY_A;

    return (leaf->entry & bits) != bits && !table_opens(w, leaf->gpa);
}

/* The order is that of APM vol 2, 15.25.6 "Nested versus Guest Page Faults, Fault Ordering". */
EMU_INLINE void walk_how(struct walker *w, unsigned how, const struct walk_regime *regime,
                         uint64_t la, struct access access, struct walk_result *res,
                         struct walk_leaf *details)
{
    struct leaf leaf;
    bool write = access.kind == ACCESS_WRITE;
    bool user = access_is_user(regime, access);
    uint32_t code = (write ? PF_RW : 0) | (user ? PF_US : 0) | (access.shadow_stack ? PF_SS : 0) |
                    fetch_bit(regime, access.kind);
    enum descent end = descend_how(w, how, regime, la, &leaf);

    *res = (struct walk_result){ .status = WALK_FAULT, .code = code };
    if (EMU_UNLIKELY(end == END_NPF))
        *res = table_fault(w, &leaf);
    if (EMU_UNLIKELY(end == END_RESERVED))
        res->code |= PF_P | PF_RSV;
    if (EMU_UNLIKELY(end != END_LEAF))
        return;
    details->flags = leaf_flags(regime, &leaf);
    details->pkey = 0;
    if (regime->pke && regime_is_long(regime))
        details->pkey = (leaf.entry >> ENTRY_PKEY_SHIFT) & 15;
    if (regime->mode != WALK_NONE) {
        if (EMU_UNLIKELY(!walk_allows(regime, access, details->flags, details->pkey, &res->code)))
            return;
        if (EMU_UNLIKELY(regime->nested && regime->nested->rogpt) &&
            leaf_is_closed(w, &leaf, write)) {
            *res = table_fault(w, &leaf);
            return;
        }
        leaf_accessed(w, &leaf, write);
        if (leaf.entry & ENTRY_D)
            details->flags |= TLB_D;
        if (how & HOW_FULL)
            res->pat = pat_index(&leaf);
    }
    res->code = 0;
    res->gpa = res->spa = leaf.base | (la & ((1ull << leaf.shift) - 1));
    details->shift = details->guest_shift = leaf.shift;
    if (regime->nested) {
        w->supervisor = !user;
        w->shadow_stack = access.shadow_stack;
        if (!walk_final(w, how, access.kind, res, details))
            return;
        if (regime->mode == WALK_NONE)
            details->guest_shift = details->shift; /* no guest page to speak of */
    }
    res->status = WALK_OK;
    res->page_bytes = 1ull << details->shift;
}

void walk_tables(struct memory *memory, struct paging *paging, const struct walk_regime *regime,
                 uint64_t la, struct access access, struct walk_result *res,
                 struct walk_leaf *details)
{
    struct walker w = { .memory = memory,
                        .paging = paging,
                        .nested = regime->nested,
                        .asid = regime->asid,
                        .fill_ad = true };

    walk_how(&w, 0, regime, la, access, res, details);
}

static struct walk_result walk_full(struct walker *w, const struct walk_regime *regime, uint64_t la,
                                    struct access access)
{
    struct walk_leaf leaf;
    struct walk_result res;

    w->nested = regime->nested;
    w->asid = regime->asid;
    walk_how(w, HOW_FULL, regime, la, access, &res, &leaf);
    if (res.status == WALK_OK) {
        res.global = leaf.flags & TLB_G;
        res.writable = (leaf.flags & TLB_W) && (leaf.flags & TLB_NESTED_W);
        res.user = leaf.flags & TLB_U;
        res.nx = leaf.flags & TLB_NX;
        res.dirty = leaf.flags & TLB_D;
        res.apic = leaf.flags & TLB_APIC;
        res.pkey = (uint8_t)leaf.pkey;
    }
    return res;
}

struct walk_result walk(struct memory *memory, const struct walk_regime *regime, uint64_t la,
                        struct access access, bool fill_ad)
{
    struct walker w = { .memory = memory, .fill_ad = fill_ad };

    return walk_full(&w, regime, la, access);
}

struct walk_result walk_explain(struct memory *memory, const struct walk_regime *regime,
                                uint64_t la, struct access access, struct walk_log *log)
{
    struct walker w = { .memory = memory, .log = log };

    log->count = 0;
    return walk_full(&w, regime, la, access);
}

uint64_t walk_reserved(const struct walk_regime *regime, const struct walk_step *step)
{
    uint64_t common = beyond_physical(regime) | (regime->nxe ? 0 : ENTRY_NX);
    bool large = step->level == 2 && regime->pse && (step->entry & ENTRY_PS);

    switch (regime->mode) {
    case WALK_PAE:
        if (step->level == 3)
            return step->entry & (0x1e6 | ~0ull << regime->maxphyaddr);
        common |= 0x7ffull << 52;
        break;
    case WALK_32:
        return large ? step->entry & (1ull << 21 | (beyond_physical(regime) >> 32 & 0xff) << 13)
                     : 0;
    case WALK_4LEVEL:
    case WALK_5LEVEL: break;
    case WALK_NONE: return 0;
    }
    return step->entry & reserved_bits(regime, common, step->level, step->entry);
}

/* Banks of fast entries: derived from the architectural TLB, never ahead of it, dropped at will. */
#include "paging/paging_priv.h"
#include "paging/rights_priv.h"

#include <stdlib.h>

#define KEY_USED (1ull << 63)
#define KEY_IDENTITY (1ull << 62)
#define KEY_UNPAGED (1ull << 61) /* guest physical addresses through nested tables */
#define KEY_SMM (1ull << 60)     /* SMRAM is visible */
#define KEY_SHADOW_STACK (1ull << 59)
#define KEY_PCID_SHIFT 16
#define KEY_USER (1ull << 28)
#define KEY_WP (1ull << 29)
#define KEY_SMAP (1ull << 30) /* user pages are closed to data accesses */
#define KEY_SMEP (1ull << 31)

/* Everything that decides whether a valid TLB entry answers, and nothing else: roots, NXE and
 * nesting matter in walks only. */
EMU_INLINE struct bank_key key_of(const struct walk_regime *regime)
{
    uint64_t used = KEY_USED | (regime->smm ? KEY_SMM : 0);
    struct bank_key key = { .context = used | KEY_IDENTITY };
    bool user = regime->cpl == 3;

    if (regime->mode == WALK_NONE) {
        if (regime->nested)
            key.context = used | KEY_UNPAGED | regime->asid |
                          (uint64_t)regime_pcid(regime) << KEY_PCID_SHIFT |
                          (user && regime->nested->gmet ? KEY_USER : 0);
        return key;
    }
    key.context = used | regime->asid | (uint64_t)regime_pcid(regime) << KEY_PCID_SHIFT |
                  (user ? KEY_USER : 0) | (user || regime->wp ? KEY_WP : 0) |
                  (!user && regime->smap && !regime->ac ? KEY_SMAP : 0) |
                  (!user && regime->smep ? KEY_SMEP : 0) |
                  (regime->shadow_stack ? KEY_SHADOW_STACK : 0);
    key.pkru = regime->pke && regime_is_long(regime) ? regime->pkru : 0;
    return key;
}

EMU_INLINE bool keys_equal(struct bank_key a, struct bank_key b)
{
    return a.context == b.context && a.pkru == b.pkru;
}

static unsigned key_set(struct bank_key key)
{
    uint64_t mixed = (key.context ^ key.pkru << 32) * 0x9e3779b97f4a7c15ull;

    return (unsigned)(mixed >> 58) % BANK_SETS;
}

static void bank_clear(struct bank *bank)
{
    for (unsigned i = 0; i < FAST_ENTRIES; i++) {
        bank->entries[i].rtag = FAST_TAG_NONE;
        bank->entries[i].wtag = FAST_TAG_NONE;
    }
}

bool fast_init(struct paging *paging)
{
    paging->banks = aligned_alloc(64, BANK_COUNT * sizeof(struct bank));
    paging->allow_fast = true;
    if (!paging->banks)
        return false;
    if (!memory_add_mark_listener(paging->memory, fast_mark_changed, paging)) {
        free(paging->banks);
        return false;
    }
    return true;
}

void fast_fini(struct paging *paging)
{
    memory_remove_mark_listener(paging->memory, fast_mark_changed, paging);
    free(paging->banks);
}

void fast_reset(struct paging *paging)
{
    paging_drop_fast(paging);
}

/* Give a bank to a key that has none: a free one of its set, else round robin. */
static EMU_NOINLINE struct bank *bank_claim(struct paging *paging, struct bank_key key)
{
    unsigned set = key_set(key), first = set * BANK_WAYS, at = first;

    while (at < first + BANK_WAYS && paging->keys[at].context)
        at++;
    if (at == first + BANK_WAYS) {
        at = first + paging->bank_next[set];
        paging->bank_next[set] = (uint8_t)((paging->bank_next[set] + 1) % BANK_WAYS);
        paging->itlb_generation++; /* the number of the bank means another regime now */
    }
    bank_clear(&paging->banks[at]);
    paging->keys[at] = key;
    return &paging->banks[at];
}

struct fast_entry *paging_bank(struct paging *paging, const struct walk_regime *regime)
{
    struct bank_key key = key_of(regime);
    unsigned first = key_set(key) * BANK_WAYS;
    struct bank *bank = NULL;

    for (unsigned at = first; at < first + BANK_WAYS && !bank; at++)
        if (keys_equal(paging->keys[at], key))
            bank = &paging->banks[at];
    if (EMU_UNLIKELY(!bank))
        bank = bank_claim(paging, key);
    paging->current = bank;
    paging->current_key = key;
    return bank->entries;
}

uint64_t paging_context(const struct paging *paging, const struct fast_entry *bank)
{
    uint64_t number = (uint64_t)(bank - paging->banks[0].entries) / FAST_ENTRIES;

    return number << 48 | (paging->itlb_generation & 0xffffffffffffull);
}

void paging_drop_fast(struct paging *paging)
{
    for (unsigned at = 0; at < BANK_COUNT; at++)
        if (paging->keys[at].context)
            bank_clear(&paging->banks[at]);
    for (unsigned i = 0; i < FAST_FILTER_WORDS; i++)
        paging->write_filter[i] = 0;
}

void paging_remapped(struct paging *paging)
{
    paging_drop_fast(paging);
    paging->itlb_generation++;
}

void paging_allow_fast(struct paging *paging, bool allow)
{
    paging->allow_fast = allow;
    if (!allow)
        paging_drop_fast(paging);
}

static uint64_t backref_of(const struct paging *paging, const struct tlb_entry *e)
{
    return (uint64_t)(e - paging->entries) + 1;
}

static void entry_withdraw(struct fast_entry *fast, uint64_t backref)
{
    if (fast->backref == backref) {
        fast->rtag = FAST_TAG_NONE;
        fast->wtag = FAST_TAG_NONE;
    }
}

void fast_withdraw(struct paging *paging, const struct tlb_entry *e)
{
    uint64_t backref = backref_of(paging, e);

    for (uint64_t banks = e->banks; banks; banks &= banks - 1) {
        struct fast_entry *entries = paging->banks[EMU_CTZ64(banks)].entries;

        if (e->is.shift == PAGE_SHIFT) {
            entry_withdraw(&entries[(e->page >> PAGE_SHIFT) % FAST_ENTRIES], backref);
            continue;
        }
        for (unsigned i = 0; i < FAST_ENTRIES; i++)
            entry_withdraw(&entries[i], backref);
    }
}

void fast_shadow(struct paging *paging, const struct tlb_entry *e)
{
    uint64_t mask = ~((1ull << e->is.shift) - 1);
    unsigned begin = 0, end = FAST_ENTRIES;

    if (e->is.shift == PAGE_SHIFT) {
        begin = (e->page >> PAGE_SHIFT) % FAST_ENTRIES;
        end = begin + 1;
    }
    for (unsigned at = 0; at < BANK_COUNT; at++) {
        struct fast_entry *entries = paging->banks[at].entries;

        if (!paging->keys[at].context || (uint16_t)paging->keys[at].context != e->is.asid)
            continue;
        for (unsigned i = begin; i < end; i++)
            if ((entries[i].rtag & mask) == e->page)
                entries[i].rtag = entries[i].wtag = FAST_TAG_NONE;
    }
}

/* May a fast entry write this backing page? Only one that nobody wants to hear of, and that is in
 * the dirty map. */
static bool page_takes_writes(const struct memory *memory, uint64_t page)
{
    return page < memory->ram_pages && memory->marks[page] == PAGE_DIRTY;
}

static void filter_add(struct paging *paging, uint64_t page)
{
    paging->write_filter[page / 64 % FAST_FILTER_WORDS] |= 1ull << (page % 64);
}

static bool filter_has(const struct paging *paging, uint64_t page)
{
    return paging->write_filter[page / 64 % FAST_FILTER_WORDS] >> (page % 64) & 1;
}

/* Take the right to write `page` from every entry of a bank; what is left goes into the filter. */
static void bank_withdraw_page(struct paging *paging, struct bank *bank, uint64_t page)
{
    for (unsigned i = 0; i < FAST_ENTRIES; i++) {
        struct fast_entry *fast = &bank->entries[i];
        uint64_t written;

        if (fast->wtag == FAST_TAG_NONE)
            continue;
        written =
            (uint64_t)(fast->wtag + fast->addend - (uintptr_t)paging->memory->native) >> PAGE_SHIFT;
        if (written == page)
            fast->wtag = FAST_TAG_NONE;
        else
            filter_add(paging, written);
    }
}

/* No page takes writes without being asked any more. */
static void withdraw_all_writes(struct paging *paging)
{
    for (unsigned at = 0; at < BANK_COUNT; at++)
        for (unsigned i = 0; paging->keys[at].context && i < FAST_ENTRIES; i++)
            paging->banks[at].entries[i].wtag = FAST_TAG_NONE;
    for (unsigned i = 0; i < FAST_FILTER_WORDS; i++)
        paging->write_filter[i] = 0;
}

void fast_mark_changed(void *self, uint64_t page)
{
    struct paging *paging = self;

    if (page == MEMORY_ALL_CLEAN) {
        withdraw_all_writes(paging);
        return;
    }
    if (page == MEMORY_NONE) {
        paging_remapped(paging);
        return;
    }
    if (page_takes_writes(paging->memory, page) || !filter_has(paging, page))
        return;
    for (unsigned i = 0; i < FAST_FILTER_WORDS; i++)
        paging->write_filter[i] = 0;
    for (unsigned at = 0; at < BANK_COUNT; at++)
        if (paging->keys[at].context)
            bank_withdraw_page(paging, &paging->banks[at], page);
}

/* Would the TLB entry (NULL: no TLB in this regime) let a write through as it is? */
EMU_INLINE bool entry_takes_writes(const struct walk_regime *regime, const struct tlb_entry *e)
{
    struct access write = { .kind = ACCESS_WRITE };
    unsigned needed = TLB_NESTED_W | TLB_D;
    uint32_t code = 0;

    if (!e)
        return true;
    if ((e->is.flags & needed) != needed)
        return false;
    return regime->mode == WALK_NONE ||
           walk_allows(regime, write, e->is.flags, tlb_pkey(e->is), &code);
}

/* Are the rights of an implicit supervisor access other than those of the bank? */
EMU_INLINE bool differs_from_bank(const struct walk_regime *regime, struct access access)
{
    return access.supervisor && (regime->cpl == 3 || (regime->smap && regime->ac));
}

struct walk_result paging_fast_fill(struct paging *paging, const struct walk_regime *regime,
                                    uint64_t la, struct access access, bool *filled)
{
    struct tlb_entry *e;
    struct walk_result res = paging_translate_entry(paging, regime, la, access, &e);
    uint64_t page, la_page = la & ~(uint64_t)(PAGE_BYTES - 1);
    struct fast_entry *fast;

    *filled = false;
    if (EMU_UNLIKELY(res.status != WALK_OK || !paging->allow_fast || access.kind == ACCESS_EXEC ||
                     res.apic || differs_from_bank(regime, access) || !paging->current ||
                     !keys_equal(paging->current_key, key_of(regime))))
        return res;
    page = memory_page_of(paging->memory, res.spa);
    if (page == MEMORY_NONE || (paging->memory->marks[page] & PAGE_TOLD))
        return res;
    fast = &paging->current->entries[(la >> PAGE_SHIFT) % FAST_ENTRIES];
    fast->rtag = la_page;
    fast->wtag = FAST_TAG_NONE;
    fast->addend = (uintptr_t)memory_native(paging->memory, page) - la_page;
    fast->backref = e ? backref_of(paging, e) : 0;
    if (e)
        e->banks |= 1ull << (paging->current - paging->banks);
    if (page_takes_writes(paging->memory, page) && entry_takes_writes(regime, e) &&
        memory_write_page_of(paging->memory, res.spa) == page) {
        fast->wtag = la_page; /* also after a read: the first write then needs no fill */
        filter_add(paging, page);
    }
    *filled = access.kind == ACCESS_READ || fast->wtag == la_page;
    return res;
}

/* The architectural TLB of a vCPU and the routing of memory, for emu/base/snap.h. */
#include "emu/base/snap.h"
#include "paging/paging_priv.h"

#define TLB_VERSION 1u
#define MEMORY_VERSION 1u
#define SHIFT_MOST 63u

/* --- the TLB --------------------------------------------------------------------------------- */

static unsigned array_of(unsigned at)
{
    unsigned array = TLB_ARRAYS - 1;

    while (tlb_geometry[array].first_set > at / TLB_WAYS)
        array--;
    return array;
}

/* The tag that an entry in this place has, or 0: it cannot be there. */
static uint64_t tag_of(const struct tlb_entry *e, unsigned at)
{
    const struct tlb_geometry *geometry = &tlb_geometry[e->array];
    uint64_t number = tlb_page_number(e->page, geometry->shift);
    uint64_t low = (1ull << geometry->shift) - 1;
    unsigned set = geometry->first_set + tlb_set(number, e->is.asid, geometry->set_bits);

    if (set != at / TLB_WAYS || ((e->page | e->gpa | e->spa) & low) != 0 ||
        e->is.shift != geometry->shift || e->is.guest_shift < e->is.shift ||
        e->is.guest_shift > SHIFT_MOST)
        return 0;
    return tlb_tag(number, e->is.asid);
}

static void entry_members(struct snap *snap, struct tlb_entry *e)
{
    SNAP(snap, e, page);
    SNAP(snap, e, gpa);
    SNAP(snap, e, spa);
    snap_u16(snap, "asid", &e->is.asid);
    snap_u16(snap, "pcid", &e->is.pcid);
    snap_u16(snap, "flags", &e->is.flags);
    snap_u8(snap, "shift", &e->is.shift);
    snap_u8(snap, "guest_shift", &e->is.guest_shift);
}

/* Of an entry that was loaded for an empty TLB. */
static void put_entry(struct paging *paging, struct snap *snap, unsigned at)
{
    struct tlb_entry loaded = { .array = (uint8_t)array_of(at) };

    entry_members(snap, &loaded);
    if (snap->failed)
        return;
    uint64_t tag = tag_of(&loaded, at);
    if (tag == 0 || paging->tags[at] != 0)
        snap_refuse(snap, "entry");
    else
        tlb_place(paging, at, &loaded, tag);
}

static void entries_state(struct paging *paging, struct snap *snap)
{
    uint32_t count = 0;

    for (unsigned array = 0; array < TLB_ARRAYS; array++)
        count += paging->live[array];
    count = snap_below(snap, "entries", count, TLB_ENTRIES + 1);
    for (unsigned at = 0, done = 0; done < count && !snap->failed; at++) {
        if (!snap_loading(snap) && !paging->tags[at])
            continue;
        at = snap_below(snap, "entry", at, TLB_ENTRIES);
        if (snap_loading(snap))
            put_entry(paging, snap, at);
        else
            entry_members(snap, &paging->entries[at]);
        done++;
    }
}

/* Hits depend on what the fast tables have answered; and none of these decides anything. The ASIDs in the order in which they
 * were met, which is that of what is told of flushes. */
static void counters_state(struct paging *paging, struct snap *snap)
{
    uint32_t count = snap_below(snap, "asids", paging->touched_count, ASID_COUNT + 1);

    for (uint32_t i = 0; i < count; i++) {
        uint16_t asid = snap_loading(snap) ? 0 : paging->touched[i];
        struct tlb_counters *counters;

        snap_u16(snap, "asid", &asid);
        if (snap_loading(snap) && paging->asids[asid].touched)
            snap_refuse(snap, "asid");
        if (snap->failed)
            return;
        counters = &tlb_asid(paging, asid)->counters;
        SNAP(snap, counters, hits);
        SNAP(snap, counters, misses);
        SNAP(snap, counters, fills);
        SNAP(snap, counters, evictions);
        SNAP(snap, counters, flushes);
    }
}

void paging_state(struct paging *paging, struct snap *snap, unsigned instance)
{
    if (!snap_begin(snap, "tlb", instance, TLB_VERSION))
        return;
    if (snap_loading(snap))
        tlb_forget(paging);
    if (!snap_hashing(snap))
        counters_state(paging, snap);
    SNAP_ALL(snap, paging, next_way);
    for (unsigned set = 0; set < TLB_SETS; set++)
        if (paging->next_way[set] >= TLB_WAYS) {
            snap_refuse(snap, "next_way");
            paging->next_way[set] = 0;
        }
    entries_state(paging, snap);
    snap_end(snap);
}

/* --- physical memory ---------------------------------------------------------------------------- */

static void rom_state(struct memory_rom *rom, struct snap *snap)
{
    struct memory_rom there = *rom;

    SNAP(snap, (&there), spa);
    SNAP(snap, (&there), bytes);
    rom->route = (enum rom_route)snap_below(snap, "route", rom->route, ROM_BUS_ALL + 1);
    if (there.spa != rom->spa || there.bytes != rom->bytes)
        snap_refuse(snap, "spa");
}

void memory_routes_state(struct memory *memory, struct snap *snap)
{
    uint32_t roms = memory->rom_count;
    uint64_t ram = memory->ram_bytes;

    if (!snap_begin(snap, "memory", 0, MEMORY_VERSION))
        return;
    snap_u64(snap, "ram_bytes", &ram);
    roms = snap_below(snap, "roms", roms, MEMORY_ROMS + 1);
    if (ram != memory->ram_bytes || roms != memory->rom_count)
        snap_refuse(snap, "ram_bytes");
    for (unsigned i = 0; i < memory->rom_count && !snap->failed; i++)
        rom_state(&memory->roms[i], snap);
    SNAP_ALL(snap, memory, hole);
    SNAP(snap, memory, a20_closed);
    SNAP(snap, memory, slb);
    if (memory->slb != MEMORY_NO_SLB && memory->slb % MEMORY_SLB_BYTES != 0)
        snap_refuse(snap, "slb");
    snap_end(snap);
    if (snap_loading(snap))
        memory_routes_loaded(memory);
}

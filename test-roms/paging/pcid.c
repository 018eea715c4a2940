/* pcid.c: process-context identifiers and INVPCID. APM vol 2, 5.5.1 "Process Context Identifiers";
 * vol 3, "INVPCID". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define LA (PAGING_WINDOW + UINT64_C(0x50000000))
#define LA2 (LA + PAGE_4K)
#define GLOBAL (LA + 2 * PAGE_4K)
#define KEEP (UINT64_C(1) << 63)
#define OLD 0x11111111u
#define NEW 0x22222222u

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

static uint32_t pages[2][1024] __attribute__((aligned(4096)));
static uint64_t root;

static void map_all(unsigned index)
{
    paging_map(paging_root(), LA, (uintptr_t)pages[index], PAGE_4K, PAGE_P | PAGE_W);
    paging_map(paging_root(), LA2, (uintptr_t)pages[index], PAGE_4K, PAGE_P | PAGE_W);
    paging_map(paging_root(), GLOBAL, (uintptr_t)pages[index], PAGE_4K, PAGE_P | PAGE_W | PAGE_G);
}

static uint32_t read_at(uint64_t la)
{
    return *(volatile uint32_t *)la;
}

static void use(unsigned pcid)
{
    write_cr3(root | pcid | KEEP);
}

static void invpcid(uint64_t type, uint64_t pcid, uint64_t la)
{
    struct {
        uint64_t pcid, la;
    } descriptor = { pcid, la };

    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(type) : "memory");
}

/* PCIDs 1 and 2 have the old page at all three addresses; the tables name the new one. PCID 1 is in
 * force afterwards. */
static void stale(void)
{
    write_cr4(read_cr4() & ~CR4_PGE);
    write_cr4(read_cr4() | CR4_PGE);
    invpcid(INVPCID_ALL, 0, 0);
    pages[0][0] = OLD;
    pages[1][0] = NEW;
    map_all(0);
    for (unsigned pcid = 2; pcid >= 1; pcid--) {
        use(pcid);
        read_at(LA);
        read_at(LA2);
        read_at(GLOBAL);
    }
    map_all(1);
}

static void expect(unsigned pcid, uint64_t la, uint32_t want, const char *what)
{
    use(pcid);
    tap_eq(read_at(la), want, "%s", what);
}

/* rows: pitfalls 4.16, svmop 14.5, 14.19 */
static void test_tags(void)
{
    stale();
    expect(1, LA, OLD, "PCID 1 keeps its entry");
    expect(2, LA, OLD, "PCID 2 keeps its own");
    expect(3, LA, NEW, "PCID 3 has none and walks");
    expect(3, GLOBAL, OLD, "a global entry serves every PCID");
    expect(1, LA, OLD, "MOV CR3 with bit 63 flushes nothing");
    tap_eq(read_cr3(), root | 1, "and bit 63 is not stored");
    write_cr3(root | 1);
    tap_eq(read_at(LA), NEW, "MOV CR3 without bit 63 flushes the PCID it loads");
    tap_eq(read_at(GLOBAL), OLD, "but no global entry");
    expect(2, LA, OLD, "nor another PCID");
    stale();
    invlpg(LA);
    tap_eq(read_at(LA), NEW, "INVLPG flushes the current PCID");
    expect(2, LA, OLD, "and leaves another one");
}

/* rows: svmop 14.11 */
static void test_invpcid(void)
{
    stale();
    invpcid(INVPCID_ADDRESS, 2, LA);
    expect(1, LA, OLD, "INVPCID 0 leaves other PCIDs");
    expect(2, LA2, OLD, "and other addresses");
    expect(2, LA, NEW, "and drops the one it names");
    stale();
    invpcid(INVPCID_ADDRESS, 1, GLOBAL);
    expect(1, GLOBAL, OLD, "INVPCID 0 leaves global entries");
    stale();
    invpcid(INVPCID_CONTEXT, 2, 0);
    expect(2, LA, NEW, "INVPCID 1 drops the PCID");
    expect(2, LA2, NEW, "all of it");
    expect(2, GLOBAL, OLD, "but global entries");
    expect(1, LA, OLD, "and no other PCID");
    stale();
    invpcid(INVPCID_ALL_BUT_GLOBAL, 0, 0);
    expect(1, LA, NEW, "INVPCID 3 drops every PCID");
    expect(2, LA2, NEW, "the other one too");
    expect(2, GLOBAL, OLD, "but global entries");
    stale();
    invpcid(INVPCID_ALL, 0, 0);
    expect(2, LA, NEW, "INVPCID 2 drops every PCID");
    expect(2, GLOBAL, NEW, "global entries included");
}

static void bad_type(void *arg)
{
    (void)arg;
    invpcid(4, 0, 0);
}

static void bad_pcid(void *arg)
{
    (void)arg;
    invpcid(INVPCID_CONTEXT, 0x1000, 0);
}

static void bad_address(void *arg)
{
    (void)arg;
    invpcid(INVPCID_ADDRESS, 1, UINT64_C(0x1000000000000000));
}

static void pcid_when_off(void *arg)
{
    (void)arg;
    invpcid(INVPCID_CONTEXT, 1, 0);
}

static void refuse(void (*body)(void *), const char *what)
{
    struct trap_result r = trap_try(body, NULL);

    tap_ok(r.vector == EXC_GP && r.error == 0, "%s is #GP(0)", what);
}

int rom_main(void)
{
    bool has_invpcid = (cpuid_checked(7, 0).ebx >> 10 & 1) != 0;

    root = read_cr3();
    if ((cpuid(1, 0).ecx >> 17 & 1) == 0 || !has_invpcid) {
        tap_skip("no PCID or no INVPCID", "PCID");
        tap_done();
    }
    write_cr4(read_cr4() | CR4_PCIDE | CR4_PGE);
    test_tags();
    test_invpcid();
    refuse(bad_type, "INVPCID type 4");
    refuse(bad_pcid, "INVPCID with descriptor bit 12");
    refuse(bad_address, "INVPCID 0 of a non-canonical address");
    use(1);
    stale();
    write_cr3(root | KEEP);
    write_cr4(read_cr4() & ~CR4_PCIDE);
    tap_eq(read_at(GLOBAL), NEW, "clearing CR4.PCIDE drops everything");
    refuse(pcid_when_off, "INVPCID with a PCID while CR4.PCIDE=0");
    tap_done();
}

/* tlb.c: a translation stays in the TLB until something flushes it, and each instruction flushes exactly
 * what the manual says. APM vol 2, 5.5 "Translation-Lookaside Buffer (TLB)".
 *
 * The rows "stays" are what this emulator promises; a real processor may drop an entry at any time. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define LA (PAGING_WINDOW + UINT64_C(0x50000000))
#define LA2 (LA + PAGE_4K)
#define PW (PAGE_P | PAGE_W)
#define OLD 0x11111111u
#define NEW 0x22222222u

static uint32_t pages[2][1024] __attribute__((aligned(4096)));

static volatile uint64_t *map(uint64_t la, unsigned index, uint64_t flags)
{
    return paging_map(paging_root(), la, (uintptr_t)pages[index], PAGE_4K, PW | flags);
}

static void flush_all(void)
{
    write_cr4(read_cr4() ^ CR4_PGE);
    write_cr4(read_cr4() ^ CR4_PGE);
}

static uint32_t read_at(uint64_t la)
{
    return *(volatile uint32_t *)la;
}

static void do_read(void *arg)
{
    (void)*(volatile uint32_t *)arg;
}

static void do_write(void *arg)
{
    *(volatile uint32_t *)arg = OLD;
}

/* LA and LA2 show the old page and are in the TLB; then the tables name the new one. */
static void stale(uint64_t flags)
{
    flush_all();
    pages[0][0] = OLD;
    pages[1][0] = NEW;
    map(LA, 0, flags);
    map(LA2, 0, flags);
    read_at(LA);
    read_at(LA2);
    map(LA, 1, flags);
    map(LA2, 1, flags);
}

static void expect(uint64_t la, uint32_t want, const char *what)
{
    tap_eq(read_at(la), want, "%s", what);
}

/* rows: pitfalls 4.14, svmop 14.9 */
static void test_invlpg(void)
{
    struct trap_result r;

    stale(0);
    expect(LA, OLD, "a changed entry is not seen while the TLB has the old one");
    invlpg(LA + 0x123);
    expect(LA, NEW, "INVLPG of any address in the page drops it");
    expect(LA2, OLD, "and leaves the next page");
    stale(0);
    *paging_entry(paging_root(), LA, 1) = 0;
    expect(LA, OLD, "a page that is gone stays readable");
    invlpg(LA);
    r = trap_try(do_read, (void *)LA);
    tap_ok(r.vector == EXC_PF && r.error == 0, "until INVLPG");
}

/* rows: pitfalls 4.15, svmop 14.5 */
static void test_mov_cr3(void)
{
    stale(0);
    write_cr3(read_cr3());
    expect(LA, NEW, "MOV CR3 drops entries that are not global");
    expect(LA2, NEW, "all of them");
    write_cr4(read_cr4() | CR4_PGE);
    stale(PAGE_G);
    write_cr3(read_cr3());
    expect(LA, OLD, "a global entry survives MOV CR3 with CR4.PGE=1");
    invlpg(LA);
    expect(LA, NEW, "INVLPG drops a global entry");
    expect(LA2, OLD, "and leaves another one");
    write_cr4(read_cr4() & ~CR4_PGE);
    expect(LA2, NEW, "clearing CR4.PGE drops global entries");
    stale(PAGE_G);
    write_cr4(read_cr4() & ~CR4_PGE);
    stale(PAGE_G);
    write_cr3(read_cr3());
    expect(LA, NEW, "with CR4.PGE=0 the G bit means nothing");
}

/* rows: pitfalls 4.13, svmop 14.17 */
static void test_rights(void)
{
    volatile uint64_t *e;
    struct trap_result r;

    stale(0);
    e = map(LA, 0, 0);
    *e &= ~PAGE_W;
    invlpg(LA);
    read_at(LA);
    *e |= PAGE_W;
    r = trap_try(do_write, (void *)LA);
    tap_eq(r.vector, EXC_NONE, "a right that was granted is seen without a flush");
    *e &= ~PAGE_W;
    r = trap_try(do_write, (void *)LA);
    tap_eq(r.vector, EXC_NONE, "a right that was taken away stays until a flush");
    invlpg(LA);
    r = trap_try(do_write, (void *)LA);
    tap_ok(r.vector == EXC_PF && r.error == (PF_P | PF_RW), "and is gone after it");
    *e = 0;
    invlpg(LA);
    trap_try(do_read, (void *)LA);
    map(LA, 1, 0);
    expect(LA, NEW, "a page that appears is seen without a flush");
}

/* rows: pitfalls 4.7 */
static void test_accessed(void)
{
    volatile uint64_t *e;

    stale(0);
    e = map(LA, 0, 0);
    invlpg(LA);
    read_at(LA);
    *e &= ~PAGE_A;
    read_at(LA);
    tap_eq(*e & PAGE_A, 0, "A is not set again by a TLB hit");
    invlpg(LA);
    read_at(LA);
    tap_eq(*e & PAGE_A, PAGE_A, "but by the next walk");
    do_write((void *)LA);
    *e &= ~PAGE_D;
    do_write((void *)LA);
    tap_eq(*e & PAGE_D, 0, "D is not set again by a TLB hit that knows it");
}

static void test_large(void)
{
    uint64_t la = PAGING_WINDOW + UINT64_C(0x60000000);
    uint64_t base = (uintptr_t)pages & ~(PAGE_2M - 1), offset = (uintptr_t)pages & (PAGE_2M - 1);

    flush_all();
    pages[0][0] = OLD;
    paging_map(paging_root(), la, base, PAGE_2M, PW);
    read_at(la + offset);
    paging_map(paging_root(), la, 0, PAGE_2M, PW);
    expect(la + offset, OLD, "a 2 MiB page stays too");
    invlpg(la + PAGE_2M - 1);
    tap_ok(read_at(la + offset) == *(volatile uint32_t *)offset,
           "INVLPG of its last byte drops all of it");
}

static uint64_t call(uint64_t la)
{
    return ((uint64_t(*)(void))la)();
}

/* rows: pitfalls 8.8 */
static void test_code(void)
{
    static const uint8_t one[] = { 0xb8, 1, 0, 0, 0, 0xc3 }, two[] = { 0xb8, 2, 0, 0, 0, 0xc3 };

    flush_all();
    memcpy(pages[0], one, sizeof one);
    memcpy(pages[1], two, sizeof two);
    map(LA, 0, 0);
    tap_eq(call(LA), 1, "code in the window");
    map(LA, 1, 0);
    tap_eq(call(LA), 1, "a remapped code page: the old code runs on");
    invlpg(LA);
    tap_eq(call(LA), 2, "the new one after INVLPG");
}

int rom_main(void)
{
    test_invlpg();
    test_mov_cr3();
    test_rights();
    test_accessed();
    test_large();
    test_code();
    tap_done();
}

/* smap.c: SMEP and SMAP. APM vol 2, 5.6.5 "Supervisor-Mode Execution Prevention (CR4.SMEP) Bit",
 * 5.6.6 "Supervisor-Mode Access Prevention (CR4.SMAP) Bit". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define LA (PAGING_WINDOW + UINT64_C(0x70000000))
#define LA_GDT (LA + PAGE_4K)
#define RET 0xc3

extern uint64_t rom_gdt[];
static uint8_t page[4096] __attribute__((aligned(4096)));
static uint8_t gdt_pages[2 * 4096] __attribute__((aligned(4096)));
static struct table_register gdtr;

static void do_read(void *arg)
{
    (void)*(volatile uint32_t *)arg;
}

static void do_read_ac(void *arg)
{
    __asm__ volatile("stac\n\tmovl (%0), %%eax\n\tclac" : : "r"(arg) : "rax", "memory");
}

static void do_write(void *arg)
{
    *(volatile uint32_t *)arg = RET;
}

static void do_fetch(void *arg)
{
    ((void (*)(void))arg)();
}

static void do_load_segment(void *arg)
{
    (void)arg;
    __asm__ volatile("stac\n\tmovl %0, %%fs\n\tclac" : : "r"(GDT_BYTES - 8) : "memory");
}

static void fault(void (*body)(void *), uint64_t error, const char *what)
{
    struct trap_result r = trap_try(body, (void *)LA);

    __asm__ volatile("clac");
    tap_ok(r.vector == EXC_PF && r.error == error, "%s is #PF with error code %lx", what, error);
    if (r.vector != EXC_PF || r.error != error)
        rom_printf("#   vector %u, error code %lx, cr2 %lx\n", r.vector, r.error, r.cr2);
}

static void pass(void (*body)(void *), const char *what)
{
    struct trap_result r = trap_try(body, (void *)LA);

    tap_eq(r.vector, EXC_NONE, "%s passes", what);
}

/* rows: pitfalls 4.9 */
static void test_smep(void)
{
    pass(do_fetch, "a fetch at CPL 0 from a user page with SMEP=0");
    write_cr4(read_cr4() | CR4_SMEP);
    fault(do_fetch, PF_P | PF_ID, "a fetch at CPL 0 from a user page");
    pass(do_read, "a read at CPL 0 of a user page with SMEP=1");
    *paging_entry(paging_root(), LA, 1) &= ~PAGE_U;
    invlpg(LA);
    pass(do_fetch, "a fetch from a supervisor page with SMEP=1");
    *paging_entry(paging_root(), LA, 1) = 0;
    invlpg(LA);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
    fault(do_fetch, PF_ID, "with NXE=0 and SMEP=1 a fetch of an absent page");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    write_cr4(read_cr4() & ~CR4_SMEP);
    paging_map(paging_root(), LA, (uintptr_t)page, PAGE_4K, PAGE_P | PAGE_W | PAGE_U);
}

/* Move the GDT: all of it but the last entry at the end of one page, the last on the next. */
static void split_gdt(void)
{
    struct table_register moved;

    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    moved.limit = GDT_BYTES - 1;
    moved.base = LA_GDT + PAGE_4K - (GDT_BYTES - 8);
    for (unsigned i = 0; i < 2; i++)
        paging_map(paging_root(), LA_GDT + i * PAGE_4K, (uintptr_t)gdt_pages + i * PAGE_4K, PAGE_4K,
                   PAGE_P | PAGE_W);
    memcpy(gdt_pages + PAGE_4K - (GDT_BYTES - 8), rom_gdt, GDT_BYTES);
    memcpy(gdt_pages + PAGE_4K, &rom_gdt[SEL_DATA / 8], 8);
    __asm__ volatile("lgdt %0" : : "m"(moved));
}

/* rows: pitfalls 4.9 */
static void test_smap(void)
{
    struct trap_result r;

    pass(do_read, "a read at CPL 0 of a user page with SMAP=0");
    write_cr4(read_cr4() | CR4_SMAP);
    fault(do_read, PF_P, "a read at CPL 0 of a user page with AC=0");
    fault(do_write, PF_P | PF_RW, "a write at CPL 0 to a user page with AC=0");
    pass(do_read_ac, "a read with AC=1");
    page[0] = RET;
    pass(do_fetch, "SMAP does not concern fetches: one from a user page");

    /* Part of the descriptor table on a user page: an implicit access, which AC does not excuse. The
     * exception itself is delivered through the first entries, which stay on a supervisor page. */
    split_gdt();
    pass(do_load_segment, "a descriptor on a supervisor page");
    *paging_entry(paging_root(), LA_GDT + PAGE_4K, 1) |= PAGE_U;
    invlpg(LA_GDT + PAGE_4K);
    r = trap_try(do_load_segment, NULL);
    __asm__ volatile("clac");
    tap_ok(r.vector == EXC_PF && r.error == PF_P,
           "loading a descriptor from a user page is #PF, AC=1 or not");
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
    write_cr4(read_cr4() & ~CR4_SMAP);
}

int rom_main(void)
{
    struct cpuid_result seven = cpuid_checked(7, 0);

    paging_map(paging_root(), LA, (uintptr_t)page, PAGE_4K, PAGE_P | PAGE_W | PAGE_U);
    paging_allow_user(false);
    page[0] = RET;
    if ((seven.ebx >> 7 & 1) != 0)
        test_smep();
    else
        tap_skip("no SMEP", "SMEP");
    if ((seven.ebx >> 20 & 1) != 0)
        test_smap();
    else
        tap_skip("no SMAP", "SMAP");
    tap_done();
}

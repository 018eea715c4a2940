/* walk.c: the page walk of 4-level paging: presence, rights, reserved bits, accessed and dirty bits at
 * every level. APM vol 2, 5.3 "Long-Mode Page Translation", 5.4 "Page-Translation-Table Entry Fields",
 * 5.6 "Page-Protection Checks", 8.4.2 "Page-Fault Error Code". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define LA (PAGING_WINDOW + UINT64_C(0x40602000))
#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define RET 0xc3

static uint8_t page[2 * 4096] __attribute__((aligned(4096)));
static uint8_t user_stack[4096] __attribute__((aligned(16)));

static const char *const level_names[] = { "", "PTE", "PDE", "PDPE", "PML4E" };

static void flush(void)
{
    write_cr3(read_cr3());
}

static uint64_t clean[5]; /* upper entries for LA, by level, before a test broke them */

/* The page at LA, all rights, on tables of its own. */
static void map(void)
{
    for (unsigned level = 4; level >= 2; level--) {
        if (clean[level] != 0)
            *paging_entry(paging_root(), LA, level) = clean[level];
    }
    paging_map(paging_root(), LA, (uintptr_t)page, PAGE_4K, PWU);
    for (unsigned level = 4; level >= 2; level--) {
        volatile uint64_t *e = paging_entry(paging_root(), LA, level);

        *e = (*e & PAGE_ADDRESS) | PWU;
        clean[level] = *e;
    }
    page[0] = RET;
    flush();
}

static volatile uint64_t *entry(unsigned level)
{
    return paging_entry(paging_root(), LA, level);
}

static void do_read(void *arg)
{
    (void)*(volatile uint64_t *)arg;
}

static void do_write(void *arg)
{
    *(volatile uint64_t *)arg = UINT64_C(0xc3c3c3c3c3c3c3c3);
}

static void do_fetch(void *arg)
{
    ((void (*)(void))arg)();
}

void user_read(void), user_write(void);
__asm__(".text\nuser_read:\n\tmovl (%rdi), %eax\n\tint $0x80\n"
        "user_write:\n\tmovl %eax, (%rdi)\n\tint $0x80\n");

static struct trap_result as_user(void (*code)(void))
{
    return trap_try_user((uintptr_t)code, SEL_USER_CODE64, (uintptr_t)user_stack + 4000, RFLAGS_ONE,
                         LA, 0);
}

static void expect(struct trap_result r, uint64_t error, const char *access, unsigned level,
                   const char *why)
{
    tap_ok(r.vector == EXC_PF && r.error == error && r.cr2 == LA,
           "%s, %s %s: #PF with error code %lx", access, level_names[level], why, error);
    if (r.vector != EXC_PF || r.error != error || r.cr2 != LA)
        rom_printf("#   vector %u, error code %lx, cr2 %lx\n", r.vector, r.error, r.cr2);
}

static void pass(struct trap_result r, const char *what)
{
    tap_ok(r.vector == EXC_NONE || r.vector == 0x80, "%s passes", what);
    if (r.vector != EXC_NONE && r.vector != 0x80)
        rom_printf("#   vector %u, error code %lx, cr2 %lx\n", r.vector, r.error, r.cr2);
}

static void clear(unsigned level, uint64_t bits)
{
    map();
    *entry(level) &= ~bits;
    flush();
}

static void set(unsigned level, uint64_t bits)
{
    map();
    *entry(level) |= bits;
    flush();
}

/* rows: pitfalls 4.1, 4.2, 4.5, 4.6, events 4.2, 4.7, 4.8 */
static void test_rights(void)
{
    void *la = (void *)LA;

    map();
    pass(trap_try(do_read, la), "a read");
    pass(trap_try(do_write, la), "a write");
    pass(trap_try(do_fetch, la), "a fetch");
    pass(as_user(user_read), "a read at CPL 3");
    pass(as_user(user_write), "a write at CPL 3");
    for (unsigned level = 4; level >= 1; level--) {
        clear(level, PAGE_P);
        expect(trap_try(do_read, la), 0, "read", level, "not present");
        expect(trap_try(do_write, la), PF_RW, "write", level, "not present");
        expect(trap_try(do_fetch, la), PF_ID, "fetch", level, "not present");
        expect(as_user(user_write), PF_RW | PF_US, "write at CPL 3", level, "not present");
        clear(level, PAGE_W);
        pass(trap_try(do_read, la), "a read with R/W=0");
        expect(trap_try(do_write, la), PF_P | PF_RW, "write with WP=1", level, "R/W=0");
        expect(as_user(user_write), PF_P | PF_RW | PF_US, "write at CPL 3", level, "R/W=0");
        write_cr0(read_cr0() & ~CR0_WP);
        pass(trap_try(do_write, la), "a write at CPL 0 with WP=0 to R/W=0");
        expect(as_user(user_write), PF_P | PF_RW | PF_US, "write at CPL 3 with WP=0", level,
               "R/W=0");
        write_cr0(read_cr0() | CR0_WP);
        clear(level, PAGE_U);
        pass(trap_try(do_write, la), "a write at CPL 0 with U/S=0");
        expect(as_user(user_read), PF_P | PF_US, "read at CPL 3", level, "U/S=0");
        set(level, PAGE_NX);
        pass(trap_try(do_read, la), "a read with NX=1");
        expect(trap_try(do_fetch, la), PF_P | PF_ID, "fetch", level, "NX=1");
    }
}

/* rows: pitfalls 4.3, events 4.9 */
static void test_reserved(void)
{
    unsigned width = cpu_maxphyaddr();
    void *la = (void *)LA;

    if (width < 52)
        for (unsigned level = 4; level >= 1; level--) {
            set(level, UINT64_C(1) << width);
            expect(trap_try(do_read, la), PF_P | PF_RSV, "read", level, "address bit MAXPHYADDR");
            set(level, UINT64_C(1) << 51);
            expect(trap_try(do_write, la), PF_P | PF_RW | PF_RSV, "write", level, "address bit 51");
            *entry(level) &= ~PAGE_P;
            flush();
            expect(trap_try(do_read, la), 0, "read", level, "not present with reserved bits");
        }
    set(4, PAGE_PS);
    expect(trap_try(do_read, la), PF_P | PF_RSV, "read", 4, "bit 7");
    set(4, PAGE_G);
    expect(trap_try(do_read, la), PF_P | PF_RSV, "read", 4, "bit 8");
    map();
    *entry(2) = ((uintptr_t)page & ~(PAGE_2M - 1)) | PAGE_PS | 0x2000 | PWU;
    flush();
    expect(trap_try(do_read, la), PF_P | PF_RSV, "read", 2, "of a 2 MiB page, address bit 13");
    map();
    *entry(3) = PAGE_PS | 0x2000 | PWU;
    flush();
    expect(trap_try(do_read, la), PF_P | PF_RSV, "read", 3, "of a 1 GiB page, address bit 13");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
    for (unsigned level = 4; level >= 1; level--) {
        set(level, PAGE_NX);
        expect(trap_try(do_read, la), PF_P | PF_RSV, "read with NXE=0", level, "bit 63");
    }
    map();
    *entry(1) = 0;
    flush();
    expect(trap_try(do_fetch, la), 0, "fetch with NXE=0", 1, "not present");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
}

static uint64_t bits(unsigned level)
{
    return *entry(level) & (PAGE_A | PAGE_D);
}

/* rows: pitfalls 4.7 */
static void test_accessed_dirty(void)
{
    void *la = (void *)LA;

    map();
    trap_try(do_read, la);
    for (unsigned level = 4; level >= 1; level--)
        tap_eq(bits(level), PAGE_A, "a read sets A and not D in the %s", level_names[level]);
    trap_try(do_write, la);
    tap_eq(bits(1), PAGE_A | PAGE_D, "a write sets D in the PTE, also when the TLB has the page");
    tap_eq(bits(2), PAGE_A, "and in no other entry");
    map();
    trap_try(do_fetch, la);
    tap_eq(bits(1), PAGE_A, "a fetch sets A");
    clear(1, PAGE_W);
    trap_try(do_write, la);
    tap_eq(bits(1) & PAGE_D, 0, "a refused write does not set D");
    clear(2, PAGE_P);
    trap_try(do_read, la);
    tap_eq(*paging_entry(paging_root(), LA, 2) & PAGE_A, 0,
           "an entry that is not present gets no A");
    map();
    *entry(1) |= PAGE_A;
    flush();
    trap_try(do_write, la);
    tap_eq(bits(1), PAGE_A | PAGE_D, "a first write sets A and D");
}

static void test_large(void)
{
    uint64_t la2 = PAGING_WINDOW + UINT64_C(0x100000000);
    uint64_t la1 = PAGING_WINDOW + UINT64_C(0x200000000);
    uint64_t target = (uintptr_t)page;
    volatile uint64_t *e;

    *(volatile uint64_t *)page = UINT64_C(0x1234567890abcdef);
    e = paging_map(paging_root(), la2, target & ~(PAGE_2M - 1), PAGE_2M, PWU);
    tap_eq(*(volatile uint64_t *)(la2 + (target & (PAGE_2M - 1))), UINT64_C(0x1234567890abcdef),
           "a 2 MiB page translates bits 20:0");
    tap_eq(*e & (PAGE_A | PAGE_D), PAGE_A, "a read sets A in its PDE");
    *(volatile uint64_t *)(la2 + (target & (PAGE_2M - 1))) = 5;
    tap_eq(*e & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "a write sets D in its PDE");
    tap_eq(*(volatile uint64_t *)page, 5, "and reaches memory");
    if ((cpuid_checked(0x80000001u, 0).edx >> 26 & 1) == 0) {
        tap_skip("no 1 GiB pages", "a 1 GiB page");
        return;
    }
    e = paging_map(paging_root(), la1, 0, PAGE_1G, PWU);
    tap_eq(*(volatile uint64_t *)(la1 + target), 5, "a 1 GiB page translates bits 29:0");
    *(volatile uint64_t *)(la1 + target) = 6;
    tap_eq(*e & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "a write sets D in its PDPE");
}

/* rows: pitfalls 4.11, 4.12, events 3.2.9 */
static void test_crossing(void)
{
    uint64_t next = LA + PAGE_4K;
    struct trap_result r;

    map();
    paging_map(paging_root(), next, (uintptr_t)page + 4096, PAGE_4K, PWU);
    memset(page, 0x11, sizeof page);
    trap_try(do_write, (void *)(next - 3));
    tap_ok(page[4095] == 0xc3 && page[4096] == 0xc3 && page[4101] == 0x11,
           "a store over a page boundary reaches both pages");
    *paging_entry(paging_root(), next, 1) = 0;
    memset(page, 0x11, sizeof page);
    flush();
    r = trap_try(do_write, (void *)(next - 3));
    tap_ok(r.vector == EXC_PF && r.error == PF_RW && r.cr2 == next,
           "if the second page faults, CR2 is its first byte");
    tap_eq(page[4095], 0x11, "and nothing was written to the first");
    *paging_entry(paging_root(), LA, 1) = 0;
    flush();
    r = trap_try(do_read, (void *)(next - 3));
    tap_eq(r.cr2, next - 3, "if both fault, the first is reported");
}

int rom_main(void)
{
    paging_allow_user(true);
    test_rights();
    test_reserved();
    test_accessed_dirty();
    test_large();
    test_crossing();
    tap_done();
}

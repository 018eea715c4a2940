/* newer.c: instructions of newer parts without guests: MONITORX and MWAITX, CLZERO, CLWB and CLFLUSHOPT, WBNOINVD, MCOMMIT, INVLPGB and
 * TLBSYNC: privilege, faults, effects. APM vol 3 for each; vol 2, 3.1.7 "Extended Feature Enable Register (EFER)". Their intercepts are
 * in svm/newer.c, counters in counters.c. */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define WINDOW PAGING_WINDOW
#define MSR_HWCR 0xc0010015u
#define HWCR_MON_MWAIT_DIS (UINT64_C(1) << 9)
#define EFER_MCOMMIT (UINT64_C(1) << 17)
#define STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* Code with RDI as rAX, which INT 80h ends. */
#define CODE(name, text)                                                                    \
    extern const char name[], name##_insn[];                                                \
    __asm__(".text\n" #name ": movq %rdi, %rax\n xorl %ecx, %ecx\n xorl %edx, %edx\n" #name \
            "_insn: " text "\n int $0x80\n")
CODE(n_clzero, ".byte 0x0f, 0x01, 0xfc");
CODE(n_clwb, ".byte 0x66, 0x0f, 0xae, 0x37");
CODE(n_clflushopt, ".byte 0x66, 0x0f, 0xae, 0x3f");
CODE(n_wbnoinvd, ".byte 0xf3, 0x0f, 0x09");
CODE(n_mcommit, ".byte 0xf3, 0x0f, 0x01, 0xfa");
CODE(n_invlpgb, "xorl %eax, %eax\n .byte 0x0f, 0x01, 0xfe");
CODE(n_tlbsync, ".byte 0x0f, 0x01, 0xff");
CODE(n_monitorx, ".byte 0x0f, 0x01, 0xfa");
CODE(n_monitor, "monitor");
CODE(n_mwaitx, "movl $2, %ecx\n movl $100, %ebx\n .byte 0x0f, 0x01, 0xfb");
CODE(n_mwaitx_bad, "movl $4, %ecx\n .byte 0x0f, 0x01, 0xfb");
CODE(n_monitorx_bad, "movl $1, %ecx\n .byte 0x0f, 0x01, 0xfa");

static uint8_t page[4096] __attribute__((aligned(4096)));
static uint8_t user_stack[1024] __attribute__((aligned(16)));
static volatile uint64_t *entry;

static bool has(uint32_t leaf, unsigned reg, unsigned bit)
{
    struct cpuid_result r = cpuid_checked(leaf, 0);
    uint32_t regs[4] = { r.eax, r.ebx, r.ecx, r.edx };

    return (regs[reg] >> bit & 1) != 0;
}

static struct trap_result run(const char *code, bool user, uint64_t rdi)
{
    if (user)
        return trap_try_user((uintptr_t)code, SEL_USER_CODE64,
                             (uintptr_t)user_stack + sizeof user_stack, RFLAGS_ONE, rdi, 0);
    return trap_try((void (*)(void *))(uintptr_t)code, (void *)rdi);
}

/* The vector at the instruction, or EXC_NONE for "ran". */
static uint32_t vector(const char *code, bool user, uint64_t rdi)
{
    uint32_t v = run(code, user, rdi).vector;

    return v == 0x80 ? EXC_NONE : v;
}

/* ---- who may --------------------------------------------------------------------------------------------- */

/* rows: pitfalls 9.7, 9.8 */
static void test_levels(void)
{
    static const struct {
        const char *name, *code;
        uint32_t leaf;
        unsigned reg, bit;
        uint32_t kernel, user;
    } rows[] = {
        { "CLZERO", n_clzero, 0x80000008u, 1, 0, EXC_NONE, EXC_NONE },
        { "CLWB", n_clwb, 7, 1, 24, EXC_NONE, EXC_NONE },
        { "CLFLUSHOPT", n_clflushopt, 7, 1, 23, EXC_NONE, EXC_NONE },
        { "WBNOINVD", n_wbnoinvd, 0x80000008u, 1, 9, EXC_NONE, EXC_GP },
        { "INVLPGB", n_invlpgb, 0x80000008u, 1, 3, EXC_NONE, EXC_GP },
        { "TLBSYNC", n_tlbsync, 0x80000008u, 1, 3, EXC_NONE, EXC_GP },
        { "MONITORX", n_monitorx, 0x80000001u, 2, 29, EXC_NONE, EXC_NONE },
        { "MONITORX with ECX = 1", n_monitorx_bad, 0x80000001u, 2, 29, EXC_GP, EXC_GP },
        { "MWAITX with a timer", n_mwaitx, 0x80000001u, 2, 29, EXC_NONE, EXC_NONE },
        { "MWAITX with ECX = 4", n_mwaitx_bad, 0x80000001u, 2, 29, EXC_GP, EXC_GP },
        { "MONITOR", n_monitor, 1, 2, 3, EXC_NONE, EXC_UD },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!has(rows[i].leaf, rows[i].reg, rows[i].bit)) {
            tap_skip("no such instruction", "%s", rows[i].name);
            continue;
        }
        tap_eq(vector(rows[i].code, false, (uintptr_t)page), rows[i].kernel, "%s at CPL 0",
               rows[i].name);
        tap_eq(vector(rows[i].code, true, (uintptr_t)page), rows[i].user, "%s at CPL 3",
               rows[i].name);
    }
}

/* ---- lines ------------------------------------------------------------------------------------------------- */

/* rows: pitfalls 9.9 */
static void test_clzero(void)
{
    struct trap_result r;
    bool line = true;

    if (!has(0x80000008u, 1, 0)) {
        tap_skip("no CLZERO", "CLZERO");
        return;
    }
    memset(page, 0x55, sizeof page);
    run(n_clzero, false, (uintptr_t)page + 64 * 3 + 17);
    for (unsigned i = 0; i < sizeof page; i++)
        line = line && page[i] == (i / 64 == 3 ? 0 : 0x55);
    tap_ok(line, "CLZERO clears the line that rAX points into, and no more");
    *entry = (uintptr_t)page | PAGE_P | PAGE_U;
    invlpg(WINDOW);
    r = run(n_clzero, true, WINDOW + 100);
    tap_ok(r.vector == EXC_PF && r.error == (PF_P | PF_RW | PF_US) && r.cr2 == WINDOW + 64 &&
               r.rip == (uintptr_t)n_clzero_insn,
           "CLZERO of a read-only page: #PF of a store to the line's first byte");
    tap_ok(page[64] == 0x55, "which stores nothing");
    tap_eq(vector(n_clzero, false, UINT64_C(0x0000800000000000)), EXC_GP,
           "CLZERO, address not canonical: #GP");
}

static void test_flushes(void)
{
    static const struct {
        const char *name, *code;
        unsigned bit;
    } rows[] = { { "CLWB", n_clwb, 24 }, { "CLFLUSHOPT", n_clflushopt, 23 } };

    for (unsigned i = 0; i < 2; i++) {
        struct trap_result r;

        if (!has(7, 1, rows[i].bit)) {
            tap_skip("no such instruction", "%s", rows[i].name);
            continue;
        }
        *entry = (uintptr_t)page | PAGE_P | PAGE_U;
        invlpg(WINDOW);
        tap_eq(vector(rows[i].code, true, WINDOW + 100), EXC_NONE, "%s of a read-only page",
               rows[i].name);
        *entry = 0;
        invlpg(WINDOW);
        r = run(rows[i].code, true, WINDOW + 100);
        tap_ok(r.vector == EXC_PF && r.error == PF_US && r.cr2 == WINDOW + 100,
               "%s of no page: #PF of a load", rows[i].name);
    }
}

/* ---- waiting -------------------------------------------------------------------------------------------------- */

/* Counts of the TSC that MWAITX took. */
static uint64_t mwaitx(const volatile void *line, uint32_t ecx, uint32_t ebx, bool store)
{
    uint64_t before = rdtsc();

    __asm__ volatile(".byte 0x0f, 0x01, 0xfa" : : "a"(line), "c"(0), "d"(0));
    if (store)
        *(volatile uint8_t *)line = 1;
    __asm__ volatile(".byte 0x0f, 0x01, 0xfb" : : "a"(0), "b"(ebx), "c"(ecx) : "memory");
    return rdtsc() - before;
}

/* rows: pitfalls 9.8 */
static void test_mwaitx(void)
{
    uint64_t took, hwcr;

    if (!has(0x80000001u, 2, 29)) {
        tap_skip("no MONITORX", "MWAITX");
        return;
    }
    took = mwaitx(page, 2, 10000, false);
    tap_ok(took >= 10000 && took < 12000, "MWAITX waits as long as EBX says");
    tap_ok(mwaitx(page + 128, 2, 100000, true) < 1000,
           "a line that was written since MONITORX: no wait");
    hwcr = rdmsr(MSR_HWCR);
    wrmsr(MSR_HWCR, hwcr | HWCR_MON_MWAIT_DIS);
    tap_ok(vector(n_monitorx, false, (uintptr_t)page) == EXC_UD &&
               vector(n_mwaitx, false, 0) == EXC_UD && !has(0x80000001u, 2, 29) && !has(1, 2, 3),
           "HWCR.MonMwaitDis takes all four, and their CPUID bits");
    wrmsr(MSR_HWCR, hwcr);
}

static void test_mcommit(void)
{
    uint64_t efer = rdmsr(MSR_EFER), flags;

    if (!has(0x80000008u, 1, 8)) {
        tap_skip("no MCOMMIT", "MCOMMIT");
        return;
    }
    tap_eq(vector(n_mcommit, false, 0), EXC_UD, "MCOMMIT without EFER.MCOMMIT: #UD");
    wrmsr(MSR_EFER, efer | EFER_MCOMMIT);
    __asm__ volatile(
        "movb $0x7f, %%al\n addb $1, %%al\n .byte 0xf3, 0x0f, 0x01, 0xfa\n pushfq\n popq %0"
        : "=r"(flags)
        :
        : "rax", "memory", "cc");
    tap_eq(flags & STATUS, RFLAGS_CF, "MCOMMIT: CF is set, the others are clear");
    wrmsr(MSR_EFER, efer);
}

int rom_main(void)
{
    entry = paging_map(paging_root(), WINDOW, (uintptr_t)page, PAGE_4K, PAGE_P | PAGE_W | PAGE_U);
    paging_allow_user(true);
    test_levels();
    test_clzero();
    test_flushes();
    test_mwaitx();
    test_mcommit();
    tap_done();
}

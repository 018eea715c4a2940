/* strings.c: string instructions: counts, directions, widths, and faults and interrupts in the middle.
 * APM vol 3, "REP"; vol 2, 8.1.2 "Exceptions and Interrupts" on restartable instructions. */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define TIMER_VECTOR 0x41

struct string_regs {
    uint64_t rcx, rsi, rdi, rax, rflags;
};

static struct string_regs regs;

/* Run a string instruction with RCX, RSI, RDI, RAX from `regs`; what it leaves goes back there. */
#define STRING(insn)                                                   \
    __asm__ volatile(insn "\n\tpushfq\n\tpopq %[f]"                    \
                     : "+c"(regs.rcx), "+S"(regs.rsi), "+D"(regs.rdi), \
                       "+a"(regs.rax), [f] "=r"(regs.rflags)           \
                     :                                                 \
                     : "memory", "cc")

static uint8_t source[8192] __attribute__((aligned(4096)));
static uint8_t target[8192] __attribute__((aligned(4096)));

static void set(uint64_t count, const void *rsi, const void *rdi, uint64_t rax)
{
    regs = (struct string_regs){ count, (uintptr_t)rsi, (uintptr_t)rdi, rax, 0 };
}

static void left(uint64_t count, const void *rsi, const void *rdi, const char *what)
{
    tap_ok(regs.rcx == count && regs.rsi == (uintptr_t)rsi && regs.rdi == (uintptr_t)rdi, "%s",
           what);
    if (regs.rcx != count || regs.rsi != (uintptr_t)rsi || regs.rdi != (uintptr_t)rdi)
        rom_printf("#   rcx %lx rsi %lx rdi %lx\n", regs.rcx, regs.rsi, regs.rdi);
}

static bool same(unsigned from, unsigned to, unsigned count)
{
    return memcmp(source + from, target + to, count) == 0;
}

static void fill(void)
{
    for (unsigned i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)(i * 7 + i / 256);
    memset(target, 0, sizeof target);
}

static void test_counts(void)
{
    fill();
    set(5000, source + 3, target + 5, 0);
    STRING("rep movsb");
    left(0, source + 5003, target + 5005, "REP MOVSB over pages: registers");
    tap_ok(same(3, 5, 5000) && target[4] == 0 && target[5005] == 0, "REP MOVSB over pages: memory");
    fill();
    set(1000, source, target, 0);
    STRING("rep movsq");
    left(0, source + 8000, target + 8000, "REP MOVSQ");
    tap_ok(same(0, 0, 8000), "REP MOVSQ: memory");
    set(0, source, target, 0);
    __asm__ volatile("stc");
    STRING("rep movsb");
    left(0, source, target, "REP with RCX=0 does nothing");
    set(UINT64_C(0x100000000), source, target, 0);
    STRING("addr32 rep movsb");
    tap_eq((uint32_t)regs.rcx, 0, "REP with address size 32 counts ECX");
    set(3, source, target + 100, 0x1122334455667788);
    STRING("rep stosl");
    left(0, source, target + 112, "REP STOSD");
    tap_ok(target[100] == 0x88 && target[111] == 0x55 && target[112] != 0x88, "REP STOSD: memory");
    set(1, source + 8, target, UINT64_MAX);
    STRING("lodsl");
    tap_eq(regs.rax, *(uint32_t *)(source + 8), "LODSD zero-extends");
    set(1, source + 8, target, UINT64_MAX);
    STRING("lodsb");
    tap_eq(regs.rax, UINT64_C(0xffffffffffffff00) | source[8], "LODSB writes AL only");
}

static void test_directions(void)
{
    fill();
    set(100, source + 99, target + 99, 0);
    STRING("std\n\trep movsb\n\tcld");
    tap_ok(regs.rcx == 0 && regs.rsi == (uintptr_t)source - 1 && regs.rdi == (uintptr_t)target - 1,
           "DF=1 goes down");
    tap_ok(same(0, 0, 100), "DF=1: memory");
    fill();
    memcpy(target, source, 64);
    set(60, target, target + 1, 0);
    STRING("rep movsb");
    tap_ok(target[1] == source[0] && target[60] == source[0],
           "overlap upwards repeats the first byte");
    memcpy(target, source, 100);
    memcpy(target + 4096, source, 100);
    for (unsigned i = 0; i < 10; i++) { /* what it must do, a quadword at a time */
        uint64_t quad;

        memcpy(&quad, target + 4096 + 8 * i, 8);
        memcpy(target + 4096 + 8 * i + 4, &quad, 8);
    }
    set(10, target, target + 4, 0);
    STRING("rep movsq");
    tap_ok(memcmp(target, target + 4096, 100) == 0, "overlap by half of a quadword");
}

static void test_compare(void)
{
    fill();
    memcpy(target, source, 200);
    target[150] ^= 1;
    set(200, source, target, 0);
    STRING("repe cmpsb");
    left(200 - 151, source + 151, target + 151, "REPE CMPSB stops behind the difference");
    tap_eq(regs.rflags & RFLAGS_ZF, 0, "with ZF=0");
    set(100, source, target, 0);
    STRING("repe cmpsb");
    left(0, source + 100, target + 100, "REPE CMPSB over equal memory");
    tap_eq(regs.rflags & RFLAGS_ZF, RFLAGS_ZF, "with ZF=1");
    memset(target, 1, 300);
    target[200] = 9;
    set(300, source, target, 9);
    STRING("repne scasb");
    left(99, source, target + 201, "REPNE SCASB stops behind the match");
    set(5, source, target, 7);
    STRING("repne scasb");
    left(0, source, target + 5, "REPNE SCASB without a match");
    set(0, source, target, 7);
    STRING("xorl %%ecx, %%ecx\n\trepe scasb");
    tap_eq(regs.rflags & RFLAGS_ZF, RFLAGS_ZF, "RCX=0 leaves the flags alone");
}

/* ---- faults -------------------------------------------------------------------------------------- */

extern const char fault_insn[];
static struct trap_frame seen;

static void note_fault(struct trap_frame *f)
{
    seen = *f;
    f->rip += 2; /* behind REP xxx */
}

static void rep_movsb(uint64_t count, uint64_t rsi, uint64_t rdi)
{
    __asm__ volatile("rep movsb" : "+c"(count), "+S"(rsi), "+D"(rdi) : : "memory");
}

static void rep_stosb(uint64_t count, uint64_t rdi)
{
    __asm__ volatile("rep stosb" : "+c"(count), "+D"(rdi) : "a"(0x33) : "memory");
}

static void test_fault(void)
{
    const uint64_t window = PAGING_WINDOW + 0x400000;

    fill();
    paging_map(paging_root(), window, (uintptr_t)target, PAGE_4K, PAGE_P | PAGE_W);
    *paging_map(paging_root(), window + PAGE_4K, 0, PAGE_4K, 0) = 0;
    trap_set_handler(EXC_PF, note_fault);
    rep_movsb(200, (uintptr_t)source, window + PAGE_4K - 100);
    tap_ok(seen.error == PF_RW && read_cr2() == window + PAGE_4K, "REP MOVSB faults at the page");
    tap_ok(seen.rcx == 100 && seen.rsi == (uintptr_t)source + 100 && seen.rdi == window + PAGE_4K,
           "the registers show the iterations that were done");
    tap_ok(same(0, 4096 - 100, 100), "and memory has them");
    rep_movsb(200, window + PAGE_4K - 30, (uintptr_t)target + 4096);
    tap_ok(seen.error == 0 && seen.rcx == 170, "a fault of the source counts the same");
    rep_stosb(150, window + PAGE_4K - 50);
    tap_ok(seen.rcx == 100 && seen.rdi == window + PAGE_4K && target[4095] == 0x33,
           "REP STOSB faults with its count");
    rep_movsb(10, (uintptr_t)source, UINT64_C(0x00007ffffffff000));
    tap_ok(seen.rcx == 10 && seen.rsi == (uintptr_t)source, "a fault at once leaves the registers");
    trap_set_handler(EXC_PF, NULL);
}

static void note_timer(struct trap_frame *f)
{
    seen = *f;
    apic_eoi();
}

/* A long REP STOSB must not hold an interrupt back to its end. */
static void test_interrupt(void)
{
    static uint8_t big[1 << 20];
    uint64_t count = sizeof big, rdi = (uintptr_t)big;

    apic_init();
    trap_set_handler(TIMER_VECTOR, note_timer);
    seen = (struct trap_frame){ .rcx = 0 };
    apic_timer_oneshot(TIMER_VECTOR, 20000);
    __asm__ volatile("sti\n\tnop\n.globl fault_insn\nfault_insn:\n\trep stosb\n\tcli"
                     : "+c"(count), "+D"(rdi)
                     : "a"(1)
                     : "memory");
    apic_timer_stop();
    if (seen.rip == 0) {
        tap_skip("the instruction was faster than the timer", "REP is interruptible");
        return;
    }
    if (seen.rip != (uintptr_t)fault_insn) {
        tap_skip("the interrupt came before or behind it", "REP is interruptible");
    } else {
        tap_ok(seen.rcx != 0 && seen.rcx + (seen.rdi - (uintptr_t)big) == sizeof big,
               "an interrupted REP saves RIP of itself and its progress");
        tap_ok((seen.rflags & RFLAGS_RF) != 0, "and RF=1");
    }
    tap_ok(count == 0 && rdi == (uintptr_t)big + sizeof big && big[sizeof big - 1] == 1,
           "and goes on to its end");
}

int rom_main(void)
{
    test_counts();
    test_directions();
    test_compare();
    test_fault();
    test_interrupt();
    tap_done();
}

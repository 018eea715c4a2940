/* stress.c: all processors do everything at once, in an order that a number decides: locks, messages, timers, HLT, MWAIT,
 * changed code, changed translations. What must hold in any order is looked at. Each processor's work is its own; what is
 * shared is under a lock or atomic. */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define IPI 0x60
#define TICK 0x70
#define FLUSH 0x80
#define RWX (PAGE_P | PAGE_W)

struct own {
    uint64_t random;
    volatile uint32_t ipis, nmis, ticks, rounds;
} __attribute__((aligned(64)));

static struct own own[SMP_MAX];
static unsigned n;
static uint32_t rounds;
static volatile uint32_t lock, sent, flushes, wrong_time, wrong_code, wrong_page, wrong_tick;
static uint64_t guarded, guarded_wanted;
static volatile uint64_t last_tsc;
static uint8_t code[64] __attribute__((aligned(64)));
static volatile uint32_t line[16] __attribute__((aligned(64)));
static uint64_t *page[2];
static volatile uint64_t *entry;
static struct smp_barrier start_line, end_line;

static uint32_t next(struct own *me)
{
    me->random = me->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(me->random >> 33);
}

static void on_ipi(struct trap_frame *frame)
{
    (void)frame;
    own[smp_self()].ipis++;
    apic_eoi();
}

static void on_tick(struct trap_frame *frame)
{
    (void)frame;
    own[smp_self()].ticks++;
    apic_eoi();
}

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    own[smp_self()].nmis++;
}

static void on_flush(struct trap_frame *frame)
{
    (void)frame;
    invlpg(PAGING_WINDOW);
    __atomic_add_fetch(&flushes, 1, __ATOMIC_SEQ_CST);
    apic_eoi();
}

/* Interrupts stay on while waiting: the holder may need an answer. */
static void enter(void)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_SEQ_CST) != 0)
        cpu_pause();
}

static void leave(void)
{
    __atomic_store_n(&lock, 0, __ATOMIC_SEQ_CST);
}

/* ---- what is done ------------------------------------------------------------------------------------------ */

static void do_clock(struct own *me)
{
    uint64_t now;

    enter();
    now = rdtsc();
    wrong_time += now < last_tsc;
    last_tsc = now;
    guarded += me->rounds;
    leave();
    __atomic_add_fetch(&guarded_wanted, me->rounds, __ATOMIC_SEQ_CST);
}

static void do_ipi(struct own *me)
{
    unsigned to = next(me) % n;

    interrupts_off(); /* the two halves of ICR belong together */
    apic_send(to, (next(me) & 3) == 0 ? ICR_NMI : IPI);
    interrupts_on();
    __atomic_add_fetch(&sent, 1, __ATOMIC_SEQ_CST);
}

static void do_timer(struct own *me)
{
    uint32_t before = me->ticks;
    uint64_t begin = rdtsc();
    uint32_t ticks = 500 + next(me) % 30000;

    apic_timer_oneshot(TICK, ticks);
    while (me->ticks == before) {
        interrupts_off();
        if (me->ticks == before)
            __asm__ volatile("sti\n\thlt" : : : "memory");
        interrupts_on();
    }
    wrong_tick += rdtsc() - begin < ticks;
}

static void do_mwait(struct own *me)
{
    uint32_t before = me->ticks;

    apic_timer_oneshot(TICK, 500 + next(me) % 5000);
    while (me->ticks == before) {
        __asm__ volatile("monitor" : : "a"(line), "c"(0), "d"(0) : "memory");
        interrupts_off();
        if (me->ticks == before)
            __asm__ volatile("sti\n\tmwait" : : "a"(0), "c"(0) : "memory");
        interrupts_on();
    }
}

static void do_store(struct own *me)
{
    line[next(me) % 16] = next(me);
}

static void do_code(struct own *me)
{
    uint8_t value = (uint8_t)next(me);

    enter();
    code[1] = value;
    __asm__ volatile("" : : : "memory");
    wrong_code += ((uint32_t(*)(void))(uintptr_t)code)() != value;
    leave();
}

static void do_page(struct own *me)
{
    unsigned which = next(me) & 1;

    enter();
    *entry = (uintptr_t)page[which] | RWX;
    invlpg(PAGING_WINDOW);
    flushes = 0;
    interrupts_off();
    apic_send(0, ICR_TO_OTHERS | FLUSH);
    interrupts_on();
    while (flushes != n - 1)
        cpu_pause();
    wrong_page += *(volatile uint64_t *)PAGING_WINDOW != which;
    leave();
}

static void do_look(struct own *me)
{
    (void)me;
    wrong_page += *(volatile uint64_t *)PAGING_WINDOW > 1;
}

static void work(void *arg)
{
    static void (*const deeds[])(struct own *) = { do_clock, do_ipi,  do_timer, do_mwait,
                                                   do_store, do_code, do_page,  do_look };
    struct own *me = &own[smp_self()];

    (void)arg;
    interrupts_on();
    smp_barrier(&start_line, n);
    for (; me->rounds < rounds; me->rounds++)
        deeds[next(me) % 8](me);
    smp_barrier(&end_line, n); /* with interrupts on: others may still need an answer */
    interrupts_off();
}

int rom_main(void)
{
    uint32_t got = 0, done = 0;

    apic_init();
    n = smp_start();
    rounds = (uint32_t)rom_arg("rounds", 400);
    tap_ok(n >= 2, "several processors");
    if (n < 2)
        tap_done();
    for (unsigned i = 0; i < n; i++)
        own[i].random = rom_arg("seed", 1) * 1000 + i;
    trap_set_handler(IPI, on_ipi);
    trap_set_handler(TICK, on_tick);
    trap_set_handler(FLUSH, on_flush);
    trap_set_handler(EXC_NMI, on_nmi);
    code[0] = 0xb8; /* MOV EAX, imm32; RET */
    code[5] = 0xc3;
    for (uint64_t i = 0; i < 2; i++) {
        page[i] = rom_pages(1);
        page[i][0] = i;
    }
    entry = paging_map(paging_root(), PAGING_WINDOW, (uintptr_t)page[0], PAGE_4K, RWX);
    smp_run_all(work, NULL);
    for (unsigned i = 0; i < n; i++) {
        got += own[i].ipis + own[i].nmis;
        done += own[i].rounds;
    }
    rom_printf("# %u messages sent, %u came\n", sent, got);
    tap_eq(done, n * rounds, "everybody comes to an end");
    tap_eq(guarded, guarded_wanted, "what the lock guards is whole");
    tap_ok(got > 0 && got <= sent, "messages come, none comes twice");
    tap_eq(wrong_time, 0, "the TSC never goes back");
    tap_eq(wrong_tick, 0, "no timer is early");
    tap_eq(wrong_code, 0, "code is what was written last");
    tap_eq(wrong_page, 0, "pages are what was mapped last");
    tap_done();
}

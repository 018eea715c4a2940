/* time.c: clocks and waiting across processors. APM vol 2, 13.2.4 "Time-Stamp Counter"; vol 3, "MONITOR", "MWAIT", "HLT". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define TICK 0x50
#define ROUNDS 500u

static unsigned n;
static volatile uint32_t lock, back, ticks[SMP_MAX], phase, woken;
static volatile uint64_t last;

static void enter(void)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_SEQ_CST) != 0)
        cpu_pause();
}

static void leave(void)
{
    __atomic_store_n(&lock, 0, __ATOMIC_SEQ_CST);
}

/* ---- clocks -------------------------------------------------------------------------------------- */

static uint64_t read_pit(void)
{
    uint32_t low;

    outb(0x43, 0x80); /* latch channel 2 */
    low = inb(0x42);
    return low | (uint32_t)inb(0x42) << 8;
}

static void watch_tsc(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t now;

        enter();
        now = rdtsc();
        back += now < last;
        last = now;
        leave();
        if (i % 16 == 0)
            cpu_pause();
    }
}

static void watch_pit(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        uint64_t now;

        enter();
        now = read_pit();
        back += now > last; /* it counts down */
        last = now;
        leave();
    }
}

static void test_clocks(void)
{
    last = back = 0;
    smp_run_all(watch_tsc, NULL);
    tap_eq(back, 0, "the TSC never goes back from one processor to another");

    outb(0x61, (inb(0x61) & 0xfc) | 1); /* gate of channel 2 open, speaker off */
    outb(0x43, 0xb0);                   /* channel 2, both bytes, mode 0 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
    smp_delay(5000);
    last = 0xffff;
    back = 0;
    smp_run_all(watch_pit, NULL);
    tap_eq(back, 0, "nor does the PIT");
    tap_ok(last < 0xffff, "which counts");
}

static void on_tick(struct trap_frame *frame)
{
    (void)frame;
    ticks[smp_self()]++;
    apic_eoi();
}

static void own_timer(void *arg)
{
    unsigned cpu = smp_self();
    uint64_t begin = rdtsc();

    (void)arg;
    apic_timer_periodic(TICK, 20000 + 5000 * cpu);
    while (ticks[cpu] < 5)
        wait_for_interrupt();
    apic_timer_stop();
    back += rdtsc() - begin < 5 * (20000 + 5000 * cpu) - 1000;
}

static void test_timers(void)
{
    bool five = true;

    memset((void *)ticks, 0, sizeof ticks);
    back = 0;
    smp_run_all(own_timer, NULL);
    for (unsigned i = 0; i < n; i++)
        five = five && ticks[i] == 5;
    tap_ok(five, "each APIC timer interrupts its own processor");
    tap_eq(back, 0, "after as many ticks as it was given");
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static volatile uint32_t watched[32] __attribute__((aligned(64)));

static void mwait_for_store(void *arg)
{
    (void)arg;
    phase = 1;
    while (watched[0] == 0) {
        __asm__ volatile("monitor" : : "a"(watched), "c"(0), "d"(0) : "memory");
        if (watched[0] == 0)
            __asm__ volatile("mwait" : : "a"(0), "c"(0) : "memory");
    }
    woken = 1;
}

static void mwait_open(void *arg)
{
    (void)arg;
    phase = 1;
    while (ticks[1] == 0) { /* MWAIT may return without a reason */
        __asm__ volatile("monitor" : : "a"(watched), "c"(0), "d"(0) : "memory");
        __asm__ volatile("sti\n\tmwait\n\tnop\n\tcli" : : "a"(0), "c"(0) : "memory");
    }
    woken++;
}

static void test_mwait(void)
{
    if ((cpuid(1, 0).ecx & 8) == 0) {
        tap_skip("no MONITOR", "MWAIT");
        return;
    }
    phase = woken = 0;
    watched[0] = 0;
    smp_run(1, mwait_for_store, NULL);
    smp_until(&phase, 1);
    smp_delay(2 * SMP_A_WHILE);
    watched[0] = 1;
    tap_ok(smp_until(&woken, 1), "a store of another processor wakes MWAIT");
    smp_wait(1);

    ticks[1] = phase = woken = 0;
    smp_run(1, mwait_open, NULL);
    smp_until(&phase, 1);
    smp_delay(SMP_A_WHILE);
    apic_send(1, ICR_FIXED | TICK);
    tap_ok(smp_until(&woken, 1) && ticks[1] == 1, "so does an interrupt with IF=1");
    smp_wait(1);
}

static void sleep(void *arg)
{
    (void)arg;
    phase = 1;
    wait_for_interrupt();
    woken++;
}

/* The others sleep; this one works, so that time goes on. */
static void test_halt(void)
{
    uint64_t begin, end;

    phase = woken = ticks[1] = 0;
    smp_run(1, sleep, NULL);
    smp_until(&phase, 1);
    begin = rdtsc();
    smp_delay(3 * SMP_A_WHILE);
    end = rdtsc();
    tap_ok(end - begin >= 3 * SMP_A_WHILE && end - begin < 30 * SMP_A_WHILE && woken == 0,
           "time goes on at its pace while another processor is halted");
    apic_send(1, ICR_FIXED | TICK);
    tap_ok(smp_until(&woken, 1), "an interrupt from another processor ends HLT");
    smp_wait(1);
}

/* All but one wait with PAUSE for a word that the last one writes late. */
static void wait_word(void *arg)
{
    (void)arg;
    smp_until(&phase, 7);
}

static void test_spinning(void)
{
    uint64_t begin;

    phase = 0;
    for (unsigned i = 1; i < n; i++)
        smp_run(i, wait_word, NULL);
    begin = rdtsc();
    smp_delay(3 * SMP_A_WHILE);
    phase = 7;
    for (unsigned i = 1; i < n; i++)
        smp_wait(i);
    tap_ok(rdtsc() - begin >= 3 * SMP_A_WHILE, "spinning processors are released by the store");
}

int rom_main(void)
{
    apic_init();
    n = smp_start();
    tap_eq(n, rom_arg("cpus", 4), "all processors come");
    if (n < 2)
        tap_done();
    trap_set_handler(TICK, on_tick);
    test_clocks();
    test_timers();
    test_mwait();
    test_halt();
    test_spinning();
    tap_done();
}

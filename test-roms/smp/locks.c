/* locks.c: locked instructions from several processors at once. APM vol 1, 3.11 "Semaphore instructions"; vol 2, 7.3.2
 * "Access Atomicity"; vol 3, "LOCK Prefix". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"

#define ROUNDS 3000u

static unsigned n;
static struct smp_barrier start_line;

/* One page after the other, so that a counter may lie on the edge of a line or of a page. */
static uint8_t area[8192] __attribute__((aligned(4096)));
static volatile uint32_t lock;
static uint64_t counter; /* not atomic: guarded by the lock */

struct bits {
    uint32_t taken[8];
};
static struct bits bits;

typedef void (*piece)(volatile void *at, unsigned cpu);

/* ---- one round of each ------------------------------------------------------------------------------ */

static void inc(volatile void *at, unsigned cpu)
{
    (void)cpu;
    __asm__ volatile("lock incl (%0)" : : "r"(at) : "memory", "cc");
}

static void add(volatile void *at, unsigned cpu)
{
    (void)cpu;
    __asm__ volatile("lock addq $1, (%0)" : : "r"(at) : "memory", "cc");
}

static void adc(volatile void *at, unsigned cpu)
{
    (void)cpu;
    __asm__ volatile("stc\n\tlock adcl $0, (%0)" : : "r"(at) : "memory", "cc");
}

static void sub(volatile void *at, unsigned cpu)
{
    (void)cpu;
    __asm__ volatile("lock subl $-1, (%0)" : : "r"(at) : "memory", "cc");
}

static void xadd(volatile void *at, unsigned cpu)
{
    uint32_t one = 1;

    (void)cpu;
    __asm__ volatile("lock xaddl %0, (%1)" : "+r"(one) : "r"(at) : "memory", "cc");
}

static void cmpxchg(volatile void *at, unsigned cpu)
{
    uint32_t seen = *(volatile uint32_t *)at;
    bool done;

    (void)cpu;
    do
        __asm__ volatile("lock cmpxchgl %3, (%2)"
                         : "+a"(seen), "=@ccz"(done)
                         : "r"(at), "r"(seen + 1)
                         : "memory");
    while (!done);
}

static void cmpxchg8b(volatile void *at, unsigned cpu)
{
    uint32_t low = ((volatile uint32_t *)at)[0], high = ((volatile uint32_t *)at)[1];
    bool done;

    (void)cpu;
    do
        __asm__ volatile("lock cmpxchg8b (%3)"
                         : "+a"(low), "+d"(high), "=@ccz"(done)
                         : "r"(at), "b"(low + 1), "c"(high)
                         : "memory");
    while (!done);
}

static void cmpxchg16b(volatile void *at, unsigned cpu)
{
    uint64_t low = ((volatile uint64_t *)at)[0], high = ((volatile uint64_t *)at)[1];
    bool done;

    (void)cpu;
    do
        __asm__ volatile("lock cmpxchg16b (%3)"
                         : "+a"(low), "+d"(high), "=@ccz"(done)
                         : "r"(at), "b"(low + 1), "c"(high)
                         : "memory");
    while (!done);
}

static void locked_by(bool (*try_lock)(unsigned cpu), unsigned cpu)
{
    while (!try_lock(cpu))
        cpu_pause();
    counter = counter + 1;
    __asm__ volatile("" : : : "memory");
    lock = 0;
}

static bool try_xchg(unsigned cpu)
{
    uint32_t one = 1;

    (void)cpu;
    __asm__ volatile("xchgl %0, %1" : "+r"(one), "+m"(lock) : : "memory");
    return one == 0;
}

static bool try_bts(unsigned cpu)
{
    bool was;

    (void)cpu;
    __asm__ volatile("lock btsl $0, %1" : "=@ccc"(was), "+m"(lock) : : "memory");
    return !was;
}

static bool try_cmpxchg(unsigned cpu)
{
    uint32_t zero = 0;
    bool done;

    __asm__ volatile("lock cmpxchgl %3, %2"
                     : "+a"(zero), "=@ccz"(done), "+m"(lock)
                     : "r"(cpu + 1)
                     : "memory");
    return done;
}

static void by_xchg(volatile void *at, unsigned cpu)
{
    (void)at;
    locked_by(try_xchg, cpu);
}
static void by_bts(volatile void *at, unsigned cpu)
{
    (void)at;
    locked_by(try_bts, cpu);
}
static void by_cmpxchg(volatile void *at, unsigned cpu)
{
    (void)at;
    locked_by(try_cmpxchg, cpu);
}

static volatile uint32_t next_ticket, now_serving;

static void by_ticket(volatile void *at, unsigned cpu)
{
    uint32_t mine = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_SEQ_CST);

    (void)at;
    (void)cpu;
    while (now_serving != mine)
        cpu_pause();
    counter = counter + 1;
    now_serving = mine + 1;
}

/* ---- all at once ---------------------------------------------------------------------------------- */

static struct {
    piece what;
    volatile void *at;
} job;

static void work(void *arg)
{
    unsigned cpu = smp_self();

    (void)arg;
    smp_barrier(&start_line, n);
    for (unsigned i = 0; i < ROUNDS; i++)
        job.what(job.at, cpu);
}

static void count_at(piece what, unsigned at, unsigned bytes, const char *name)
{
    uint64_t sum = 0;

    memset(area, 0, sizeof area);
    job.what = what;
    job.at = area + at;
    smp_run_all(work, NULL);
    memcpy(&sum, area + at, bytes);
    tap_eq(sum, (uint64_t)n * ROUNDS, "%s", name);
}

static void count_guarded(piece what, const char *name)
{
    counter = lock = 0;
    job.what = what;
    smp_run_all(work, NULL);
    tap_eq(counter, (uint64_t)n * ROUNDS, "%s", name);
    tap_eq(lock, 0, "%s: free at the end", name);
}

/* Every number is handed out once: XADD returns each old value to one processor only. */
static volatile uint32_t tickets;

static void take_tickets(void *arg)
{
    (void)arg;
    smp_barrier(&start_line, n);
    for (;;) {
        uint32_t mine = __atomic_fetch_add(&tickets, 1, __ATOMIC_SEQ_CST);

        if (mine >= 256)
            return;
        __atomic_fetch_xor(&bits.taken[mine / 32], 1u << mine % 32, __ATOMIC_SEQ_CST);
    }
}

static void test_tickets(void)
{
    uint32_t all = UINT32_MAX;

    memset(&bits, 0, sizeof bits);
    tickets = 0;
    smp_run_all(take_tickets, NULL);
    for (unsigned i = 0; i < 8; i++)
        all &= bits.taken[i];
    tap_eq(all, UINT32_MAX, "LOCK XADD hands each number out once, LOCK XOR loses no bit");
}

/* LOCK OR, AND, BTC, NEG, NOT and DEC of neighbours in one doubleword do not disturb each other. */
static void toggle(volatile void *at, unsigned cpu)
{
    __asm__ volatile(
        "lock orb $0x80, (%0)\n\tlock andb $0x7f, (%0)\n\tlock notb (%0)\n\tlock notb (%0)\n\t"
        "lock negb (%0)\n\tlock decb (%0)\n\tlock notb (%0)"
        :
        : "r"((volatile uint8_t *)at + cpu)
        : "memory", "cc");
}

static void test_neighbours(void)
{
    bool right = true;

    memset(area, 0, 64);
    for (unsigned i = 0; i < n; i++)
        area[i] = (uint8_t)(0x11 * (i + 1));
    job.what = toggle;
    job.at = area;
    smp_run_all(work, NULL);
    for (unsigned i = 0; i < n; i++)
        right = right && area[i] == 0x11 * (i + 1);
    tap_ok(right, "LOCK OR, AND, NOT, NEG, DEC on bytes of one doubleword");
}

int rom_main(void)
{
    apic_init();
    n = smp_start();
    tap_eq(n, rom_arg("cpus", 4), "all processors come");
    if (n < 2)
        tap_done();
    count_at(inc, 0, 4, "LOCK INC");
    count_at(add, 0, 8, "LOCK ADD, 64 bits");
    count_at(adc, 0, 4, "LOCK ADC");
    count_at(sub, 0, 4, "LOCK SUB");
    count_at(xadd, 0, 4, "LOCK XADD");
    count_at(cmpxchg, 0, 4, "LOCK CMPXCHG");
    count_at(cmpxchg8b, 0, 8, "LOCK CMPXCHG8B");
    count_at(cmpxchg16b, 0, 8, "LOCK CMPXCHG16B");
    /* rows: pitfalls 8.5 */
    count_at(inc, 62, 4, "LOCK INC over a cache line's edge");
    count_at(cmpxchg8b, 60, 8, "LOCK CMPXCHG8B over a cache line's edge");
    count_at(xadd, 4094, 4, "LOCK XADD over a page's edge");
    count_at(add, 4092, 8, "LOCK ADD, 64 bits, over a page's edge");
    count_guarded(by_xchg, "spin lock of XCHG, which needs no LOCK");
    count_guarded(by_bts, "spin lock of LOCK BTS");
    count_guarded(by_cmpxchg, "spin lock of LOCK CMPXCHG");
    count_guarded(by_ticket, "ticket lock of LOCK XADD");
    test_tickets();
    test_neighbours();
    tap_done();
}

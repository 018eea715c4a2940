/* shootdown.c: translations and code that one processor changes under another. APM vol 2, 5.5.2 "TLB Management", 7.6.1
 * "Cache Organization and Operation" (self-modifying and cross-modifying code), 7.3 "Memory Coherency and Protocol". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define FLUSH 0x90
#define WINDOW (PAGING_WINDOW)
#define RWX (PAGE_P | PAGE_W)

static unsigned n;
static volatile uint32_t phase, acks, seen[SMP_MAX];
static uint64_t *page_a, *page_b;
static volatile uint64_t *entry;

static volatile uint64_t *window(void)
{
    return (volatile uint64_t *)WINDOW;
}

static void on_flush(struct trap_frame *frame)
{
    (void)frame;
    invlpg(WINDOW);
    __atomic_add_fetch(&acks, 1, __ATOMIC_SEQ_CST);
    apic_eoi();
}

/* Phase 1: read; 2: read again; IPI comes; 3: read once more. What was read is in seen[], one byte a time. */
static void reader(void *arg)
{
    unsigned cpu = smp_self();

    (void)arg;
    invlpg(WINDOW);
    interrupts_on();
    for (uint32_t p = 1; p <= 3; p++) {
        while (phase < p)
            cpu_pause();
        seen[cpu] = seen[cpu] << 8 | (uint8_t)*window();
        __atomic_add_fetch(&acks, 1, __ATOMIC_SEQ_CST);
    }
    while (phase < 4)
        cpu_pause();
    interrupts_off();
}

static bool next_phase(uint32_t to, uint32_t answers)
{
    acks = 0;
    phase = to;
    return smp_until(&acks, answers);
}

static void test_shootdown(void)
{
    bool stale = true, fresh = true;

    page_a[0] = 0xaa;
    page_b[0] = 0xbb;
    *entry = (uintptr_t)page_a | RWX;
    invlpg(WINDOW);
    phase = 0;
    memset((void *)seen, 0, sizeof seen);
    for (unsigned i = 1; i < n; i++)
        smp_run(i, reader, NULL);
    next_phase(1, n - 1);
    *entry = (uintptr_t)page_b | RWX;
    invlpg(WINDOW);
    tap_eq((uint8_t)*window(), 0xbb, "INVLPG here shows the new page here");
    next_phase(2, n - 1);
    acks = 0;
    apic_send(0, ICR_TO_OTHERS | FLUSH);
    tap_ok(smp_until(&acks, n - 1), "all others answer the flush interrupt");
    next_phase(3, n - 1);
    phase = 4;
    for (unsigned i = 1; i < n; i++) {
        smp_wait(i);
        stale = stale && seen[i] >> 8 == 0xaaaa;
        fresh = fresh && (uint8_t)seen[i] == 0xbb;
    }
    /* rows: pitfalls 8.8 */
    tap_ok(stale, "the others keep the old translation until they are told");
    tap_ok(fresh, "and see the new page after INVLPG in the handler");
}

/* An entry that grants more needs no shootdown: a fault is not raised by a stale entry with fewer rights. */
static volatile uint32_t faults;

static void on_fault(struct trap_frame *frame)
{
    faults++;
    frame->rip += 7; /* movq $imm32, (mem) of `writer` */
}

static void writer(void *arg)
{
    (void)arg;
    invlpg(WINDOW);
    (void)*window();
    phase = 1;
    smp_until(&phase, 2);
    __asm__ volatile("movq $0x77, (%0)" : : "r"(window()) : "memory");
}

static void test_upgrade(void)
{
    trap_set_handler(EXC_PF, on_fault);
    faults = phase = 0;
    page_a[0] = 0;
    *entry = (uintptr_t)page_a | PAGE_P;
    smp_run(1, writer, NULL);
    smp_until(&phase, 1);
    *entry = (uintptr_t)page_a | PAGE_P | PAGE_W;
    phase = 2;
    smp_wait(1);
    /* rows: pitfalls 4.13 */
    tap_eq(faults, 0, "a right that another processor adds is found by walking again");
    tap_eq(page_a[0], 0x77, "and the store is done");
    trap_set_handler(EXC_PF, NULL);
}

/* A and D bits are set without losing what others set in the same entry. */
static struct smp_barrier line;

static void touch(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 200; i++) {
        smp_barrier(&line, n);
        invlpg(WINDOW);
        window()[smp_self()] = i;
        __atomic_fetch_or(entry, UINT64_C(1) << (52 + smp_self()), __ATOMIC_SEQ_CST);
        smp_barrier(&line, n);
        if (smp_self() == 0) {
            faults += (*entry >> 52 & 0xff) != (1u << n) - 1 ||
                      (*entry & (PAGE_A | PAGE_D)) != (PAGE_A | PAGE_D);
            *entry = (uintptr_t)page_a | RWX;
        }
    }
}

static void test_accessed(void)
{
    faults = 0;
    *entry = (uintptr_t)page_a | RWX;
    smp_run_all(touch, NULL);
    tap_eq(faults, 0, "A, D and available bits of one entry set by all at once: none is lost");
}

/* ---- code ------------------------------------------------------------------------------------------- */

static uint8_t code[64] __attribute__((aligned(64)));

static void caller(void *arg)
{
    unsigned cpu = smp_self();

    (void)arg;
    for (uint32_t p = 1; p <= 2; p++) {
        while (phase < p)
            cpu_pause();
        cpuid(0, 0); /* serializes */
        seen[cpu] = seen[cpu] << 8 | ((uint32_t(*)(void))(uintptr_t)code)();
        __atomic_add_fetch(&acks, 1, __ATOMIC_SEQ_CST);
    }
}

static void set_code(uint8_t value)
{
    const uint8_t bytes[6] = { 0xb8, value, 0, 0, 0, 0xc3 }; /* MOV EAX, value; RET */

    memcpy(code, bytes, sizeof bytes);
}

static void test_code(void)
{
    bool right = true;

    set_code(0x11);
    phase = 0;
    memset((void *)seen, 0, sizeof seen);
    for (unsigned i = 1; i < n; i++)
        smp_run(i, caller, NULL);
    next_phase(1, n - 1);
    code[1] = 0x22;
    next_phase(2, n - 1);
    for (unsigned i = 1; i < n; i++) {
        smp_wait(i);
        right = right && seen[i] == 0x1122;
    }
    /* rows: pitfalls 8.2 */
    tap_ok(right, "cross-modified code runs as changed, after a serializing instruction");
}

/* A jump of two bytes from INC to a spinning processor: it leaves its loop without any instruction of its own. */
static uint8_t loop_code[64] __attribute__((aligned(64)));

static void spin(void *arg)
{
    (void)arg;
    phase = 1;
    seen[1] = ((uint32_t(*)(void))(uintptr_t)loop_code)();
}

static void test_loop(void)
{
    const uint8_t bytes[] = { 0x31, 0xc0,          /* xorl %eax, %eax */
                              0xff, 0xc0,          /* 1: incl %eax */
                              0xf3, 0x90,          /* pause */
                              0xeb, 0xfa,          /* jmp 1b */
                              0xb8, 1,    2, 0, 0, /* movl $0x201, %eax */
                              0xc3 };

    memcpy(loop_code, bytes, sizeof bytes);
    phase = 0;
    seen[1] = 0;
    smp_run(1, spin, NULL);
    smp_until(&phase, 1);
    smp_delay(SMP_A_WHILE);
    *(volatile uint16_t *)(loop_code + 6) = 0x00eb; /* jmp to the next instruction */
    tap_ok(smp_until(&seen[1], 0x201), "a running loop is cut by a store of another processor");
    smp_wait(1);
}

/* ---- order ------------------------------------------------------------------------------------------- */

static volatile uint32_t data_word, flag_word, bad;

static void receive(void *arg)
{
    (void)arg;
    for (uint32_t i = 1; i <= 2000; i++) {
        while (flag_word < i)
            cpu_pause();
        if (data_word < i)
            bad++;
    }
}

static void test_order(void)
{
    data_word = flag_word = bad = 0;
    smp_run(1, receive, NULL);
    for (uint32_t i = 1; i <= 2000; i++) {
        data_word = i;
        flag_word = i;
    }
    smp_wait(1);
    /* rows: pitfalls 8.4 */
    tap_eq(bad, 0, "stores are seen in their order");
}

int rom_main(void)
{
    apic_init();
    n = smp_start();
    tap_eq(n, rom_arg("cpus", 4), "all processors come");
    if (n < 2)
        tap_done();
    trap_set_handler(FLUSH, on_flush);
    page_a = rom_pages(1);
    page_b = rom_pages(1);
    entry = paging_map(paging_root(), WINDOW, (uintptr_t)page_a, PAGE_4K, RWX);
    test_shootdown();
    test_upgrade();
    test_accessed();
    test_code();
    test_loop();
    test_order();
    tap_done();
}

/* timer.c: the APIC timer. APM vol 2, 16.4.1 "APIC Timer Interrupt". TSC-deadline mode: Intel's manual, volume 3, "APIC
 * Timer". */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define VECTOR 0x55
#define MSR_TSC_DEADLINE 0x6e0
#define CPUID_TSC_DEADLINE (1u << 24)

static void hook(unsigned vector)
{
    (void)vector;
    apic_eoi();
}

static void set(uint32_t entry, uint32_t divide, uint32_t initial)
{
    apic_timer_stop();
    irq_forget();
    apic_write(APIC_TIMER_DIVIDE, divide);
    apic_write(APIC_LVT_TIMER, entry);
    apic_write(APIC_TIMER_INITIAL, initial);
}

/* Interrupts on until `count` has gone down on another measure: ticks of the TSC. */
static unsigned during(uint64_t ticks)
{
    uint64_t begin = rdtsc();

    irq_forget();
    interrupts_on();
    while (rdtsc() - begin < ticks)
        ;
    interrupts_off();
    return irq_log.count;
}

static void test_oneshot(void)
{
    uint32_t first, second;

    set(VECTOR, 0xb, 1000000000);
    first = apic_read(APIC_TIMER_CURRENT);
    during(1000);
    second = apic_read(APIC_TIMER_CURRENT);
    tap_ok(first > second && first <= 1000000000 && second > 0, "the current count goes down");
    tap_eq(apic_read(APIC_TIMER_INITIAL), 1000000000, "the initial count stays");
    set(VECTOR, 0xb, 20000);
    wait_for_interrupt();
    tap_ok(CAME(VECTOR), "one-shot: an interrupt at 0");
    tap_eq(apic_read(APIC_TIMER_CURRENT), 0, "and the count stays 0");
    tap_eq(during(100000), 0, "it comes once");
    set(VECTOR, 0xb, 20000);
    apic_write(APIC_TIMER_INITIAL, 0);
    tap_eq(during(100000), 0, "an initial count of 0 stops it");
    set(VECTOR | APIC_LVT_MASKED, 0xb, 20000);
    tap_eq(during(100000), 0, "masked: no interrupt");
    apic_write(APIC_LVT_TIMER, VECTOR);
    tap_eq(during(100000), 0, "and none later");
    apic_write(APIC_TIMER_CURRENT, 5);
    tap_eq(apic_read(APIC_TIMER_CURRENT), 0, "the current count cannot be written");
    set(VECTOR, 0xb, 20000);
    during(5000);
    apic_write(APIC_TIMER_INITIAL, 50000);
    tap_ok(apic_read(APIC_TIMER_CURRENT) > 30000, "a new initial count starts anew");
    wait_for_interrupt();
    irq_forget();
}

static void test_periodic(void)
{
    unsigned n;

    set(APIC_LVT_PERIODIC | VECTOR, 0xb, 20000);
    for (unsigned i = 0; i < 3; i++)
        wait_for_interrupt();
    tap_ok(CAME(VECTOR, VECTOR, VECTOR), "periodic: again and again");
    tap_ok(apic_read(APIC_TIMER_CURRENT) > 0, "the count starts anew by itself");
    apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | VECTOR | APIC_LVT_MASKED);
    tap_eq(during(100000), 0, "masked: none");
    apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | VECTOR);
    wait_for_interrupt();
    tap_ok(CAME(VECTOR), "unmasked: it is still counting");
    apic_write(APIC_LVT_TIMER, VECTOR);
    wait_for_interrupt();
    n = during(100000);
    tap_eq(n, 0, "made one-shot: the period at hand is the last");
}

static uint32_t counted(uint32_t divide)
{
    uint64_t begin;

    set(VECTOR | APIC_LVT_MASKED, divide, 0xffffffff);
    begin = rdtsc();
    while (rdtsc() - begin < 128000)
        ;
    return 0xffffffff - apic_read(APIC_TIMER_CURRENT);
}

static void test_divide(void)
{
    static const struct {
        uint8_t value, shift;
    } d[] = { { 0xb, 0 }, { 0x0, 1 }, { 0x1, 2 }, { 0x2, 3 },
              { 0x3, 4 }, { 0x8, 5 }, { 0x9, 6 }, { 0xa, 7 } };
    uint32_t whole = counted(0xb);

    for (unsigned i = 1; i < 8; i++) {
        uint32_t got = counted(d[i].value), want = whole >> d[i].shift;

        if (!tap_ok(got + want / 8 + 2 >= want && got <= want + want / 8 + 2, "divide by %u",
                    1u << d[i].shift))
            rom_printf("#   %u counts, want about %u\n", got, want);
    }
    apic_write(APIC_TIMER_DIVIDE, 0xffffffff);
    tap_eq(apic_read(APIC_TIMER_DIVIDE), 0xb, "only three bits of the divide register can be set");
}

static void test_wraps(void)
{
    set(VECTOR, 0xb, 30000);
    apic_write(APIC_TPR, 0xf0);
    during(60000);
    tap_eq(irq_log.count, 0, "TPR holds the timer's interrupt back");
    tap_ok(apic_vector_bit(APIC_IRR, VECTOR), "it waits in IRR");
    apic_write(APIC_TPR, 0);
    irq_window();
    tap_ok(CAME(VECTOR), "and comes");
}

static void test_deadline(void)
{
    uint64_t at;

    if ((cpuid(1, 0).ecx & CPUID_TSC_DEADLINE) == 0) {
        tap_skip("no TSC-deadline mode", "TSC-deadline mode");
        return;
    }
    set(APIC_LVT_DEADLINE | VECTOR, 0xb, 0);
    tap_eq(apic_read(APIC_LVT_TIMER), APIC_LVT_DEADLINE | VECTOR,
           "TSC-deadline mode can be chosen");
    at = rdtsc() + 50000;
    wrmsr(MSR_TSC_DEADLINE, at);
    tap_eq(rdmsr(MSR_TSC_DEADLINE), at, "the deadline can be read while it is ahead");
    wait_for_interrupt();
    tap_ok(CAME(VECTOR) && rdtsc() >= at, "an interrupt when the TSC gets there");
    tap_eq(rdmsr(MSR_TSC_DEADLINE), 0, "then it is 0");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() - 1);
    irq_window();
    tap_ok(CAME(VECTOR), "one in the past: at once");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + 20000);
    wrmsr(MSR_TSC_DEADLINE, 0);
    tap_eq(during(100000), 0, "0 disarms it");
    apic_write(APIC_TIMER_INITIAL, 1000);
    tap_eq(during(100000), 0, "the initial count has no effect in this mode");
    tap_eq(apic_read(APIC_TIMER_CURRENT), 0, "nor is there a current count");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + 20000);
    apic_write(APIC_LVT_TIMER, VECTOR);
    tap_eq(during(100000), 0, "another mode disarms it");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + 20000);
    tap_eq(rdmsr(MSR_TSC_DEADLINE), 0, "in another mode a deadline is not taken");
}

int rom_main(void)
{
    apic_init();
    irq_hook = hook;
    irq_note(VECTOR, VECTOR);
    test_oneshot();
    test_periodic();
    test_divide();
    test_wraps();
    test_deadline();
    tap_done();
}

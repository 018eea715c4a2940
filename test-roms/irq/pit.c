/* pit.c: 8254 and port 61h. Intel 8254 data sheet (order number 231164): "Mode definitions", "Operations common to all
 * modes", "Counter latch command", "Read-back command". Times are measured with the TSC against the PIT itself, so that it
 * does not matter what either runs at; a few ticks off count as right. */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define CONTROL 0x43
#define CHANNEL0 0x40
#define CHANNEL2 0x42
#define SYSTEM 0x61
#define OUT2 0x20
#define MODE(n) (0xb0 | (n) << 1) /* channel 2, both bytes */
#define NULL_COUNT 0x40
#define SLACK 8

static uint64_t tsc_per_tick;

static void gate(bool open)
{
    outb(SYSTEM, (inb(SYSTEM) & 0x0c) | open);
}

static bool out(void)
{
    return (inb(SYSTEM) & OUT2) != 0;
}

static void load(unsigned count)
{
    outb(CHANNEL2, (uint8_t)count);
    outb(CHANNEL2, (uint8_t)(count >> 8));
}

static unsigned read_both(unsigned port)
{
    unsigned low = inb((uint16_t)port);

    return low | (unsigned)inb((uint16_t)port) << 8;
}

static unsigned count(void)
{
    outb(CONTROL, 0x80);
    return read_both(CHANNEL2);
}

static uint8_t status(void)
{
    outb(CONTROL, 0xe8); /* read back: status of channel 2 */
    return inb(CHANNEL2);
}

static void wait_ticks(uint64_t ticks)
{
    uint64_t begin = rdtsc();

    while (rdtsc() - begin < ticks * tsc_per_tick)
        ;
}

/* Ticks until OUT is `level`; about `limit` if it does not get there. */
static unsigned until(bool level, unsigned limit)
{
    uint64_t begin = rdtsc(), gone = 0;

    while (out() != level && gone < limit * tsc_per_tick)
        gone = rdtsc() - begin;
    return (unsigned)((rdtsc() - begin) / tsc_per_tick);
}

static bool near(unsigned got, unsigned want)
{
    bool right = got + SLACK >= want && got <= want + SLACK;

    if (!right)
        rom_printf("#   %u ticks, want about %u\n", got, want);
    return right;
}

/* How many times OUT becomes high within so many ticks. */
static unsigned rises(unsigned ticks)
{
    uint64_t begin = rdtsc();
    bool was = out();
    unsigned n = 0;

    while (rdtsc() - begin < ticks * tsc_per_tick) {
        bool is = out();

        n += is && !was;
        was = is;
    }
    return n;
}

static void calibrate(void)
{
    uint64_t begin;

    gate(true);
    outb(CONTROL, MODE(0));
    load(1000);
    begin = rdtsc();
    while (!out())
        ;
    tsc_per_tick = (rdtsc() - begin) / 1001;
    rom_printf("# %lu ticks of the TSC are one of the PIT\n", tsc_per_tick);
    tap_ok(tsc_per_tick > 0, "OUT of channel 2 goes high when a count of 1000 has run out");
}

/* ---- modes ------------------------------------------------------------------------------------------ */

static void test_mode0(void)
{
    unsigned first;

    gate(true);
    outb(CONTROL, MODE(0));
    tap_ok(!out(), "mode 0: OUT is low after the control word");
    load(300);
    tap_ok(near(until(true, 1000), 301), "mode 0: high N + 1 ticks after the count is written");
    wait_ticks(600);
    tap_ok(out(), "mode 0: and stays high");
    outb(CONTROL, MODE(0));
    load(300);
    gate(false);
    first = count();
    wait_ticks(400);
    tap_ok(count() == first && !out(), "mode 0: GATE low stops the count");
    gate(true);
    tap_ok(near(until(true, 1000), first), "mode 0: GATE high goes on");
    outb(CONTROL, MODE(0));
    load(300);
    wait_ticks(100);
    load(300);
    tap_ok(near(until(true, 1000), 301), "mode 0: a new count starts anew");
}

static void test_mode1(void)
{
    gate(false);
    outb(CONTROL, MODE(1));
    tap_ok(out(), "mode 1: OUT is high after the control word");
    load(300);
    wait_ticks(50);
    tap_ok(out(), "mode 1: nothing happens without a trigger");
    gate(true);
    wait_ticks(2);
    tap_ok(!out(), "mode 1: a rising GATE makes it low");
    tap_ok(near(until(true, 1000), 300), "mode 1: for N ticks");
    gate(false);
    gate(true);
    wait_ticks(150);
    gate(false);
    gate(true);
    tap_ok(near(until(true, 1000), 300), "mode 1: it can be retriggered");
}

static void test_mode2(void)
{
    bool inside = true;

    gate(true);
    outb(CONTROL, MODE(2));
    tap_ok(out(), "mode 2: OUT is high after the control word");
    load(100);
    wait_ticks(5);
    for (unsigned i = 0; i < 50; i++) {
        unsigned at = count();

        inside = inside && at >= 1 && at <= 100;
        wait_ticks(3);
    }
    tap_ok(inside, "mode 2: counts N to 1 over and over");
    gate(false);
    tap_ok(out(), "mode 2: GATE low makes OUT high");
    wait_ticks(150);
    gate(true);
    wait_ticks(10);
    tap_ok(near(count(), 90), "mode 2: GATE high starts with the whole count");
    outb(CONTROL, MODE(2));
    load(1000);
    wait_ticks(100);
    load(500);
    tap_ok(near(count(), 900), "mode 2: a new count waits for the end of the period");
    wait_ticks(1000);
    tap_ok(near(count(), 500 - 100), "mode 2: and holds from there");
}

static void test_mode3(void)
{
    unsigned low;

    gate(true);
    outb(CONTROL, MODE(3));
    tap_ok(out(), "mode 3: OUT is high after the control word");
    load(200);
    (void)until(false, 1000);
    low = until(true, 1000);
    tap_ok(near(low, 100), "mode 3: low for half of the count");
    tap_ok(near(until(false, 1000), 100), "mode 3: high for the other half");
    tap_ok(near(rises(2000) * 200, 2000) || near(rises(2000) * 200, 1800),
           "mode 3: a period is N ticks");
    tap_eq(count() & 1, 0, "mode 3: it counts by two");
    gate(false);
    tap_ok(out(), "mode 3: GATE low makes OUT high");
    gate(true);
}

static void test_mode4(void)
{
    gate(true);
    outb(CONTROL, MODE(4));
    tap_ok(out(), "mode 4: OUT is high after the control word");
    load(300);
    wait_ticks(100);
    tap_ok(near(count(), 200) && out(), "mode 4: counts with OUT high");
    wait_ticks(300);
    tap_ok(out(), "mode 4: OUT is high again after the strobe");
    tap_ok(near(count(), 0x10000 - 100), "mode 4: the count goes on behind 0");
}

static void test_mode5(void)
{
    unsigned first;

    gate(false);
    outb(CONTROL, MODE(5));
    tap_ok(out(), "mode 5: OUT is high after the control word");
    load(300);
    gate(true);
    wait_ticks(100);
    first = count();
    tap_ok(near(first, 200) && out(), "mode 5: a rising GATE starts the count");
    gate(false);
    wait_ticks(50);
    tap_ok(near(count(), 150), "mode 5: GATE low does not stop it");
    gate(true);
    wait_ticks(100);
    tap_ok(near(count(), 200), "mode 5: it can be retriggered");
}

/* ---- reading and writing --------------------------------------------------------------------------------- */

static void test_access(void)
{
    unsigned latched;

    gate(true);
    outb(CONTROL, MODE(0));
    load(40000);
    wait_ticks(20);
    outb(CONTROL, 0x80);
    wait_ticks(100);
    outb(CONTROL, 0x80); /* ignored: the first was not read */
    latched = read_both(CHANNEL2);
    tap_ok(near(latched, 40000 - 20), "a latched count stays until it is read");
    tap_ok(near(read_both(CHANNEL2), 40000 - 120), "then the count itself is read again");

    outb(CONTROL, 0x90); /* low byte only */
    outb(CHANNEL2, 0xff);
    tap_eq(status() & 0x3f, 0x10, "status: low byte only, mode 0");
    wait_ticks(100);
    tap_ok(near(inb(CHANNEL2), 155), "access to the low byte alone");
    outb(CONTROL, 0xa0); /* high byte only */
    outb(CHANNEL2, 0x20);
    wait_ticks(100);
    tap_eq(inb(CHANNEL2), 0x1f, "access to the high byte alone: the low one is 0");

    outb(CONTROL, MODE(0));
    tap_ok((status() & NULL_COUNT) != 0, "status: null count until a count is written");
    outb(CHANNEL2, 0x10);
    tap_ok((status() & NULL_COUNT) != 0, "and while half of it is there");
    outb(CHANNEL2, 0x27);
    wait_ticks(3);
    tap_ok((status() & NULL_COUNT) == 0, "not when it was loaded");
    tap_eq(status() & 0x80, 0, "status: OUT in bit 7, low");
    outb(CONTROL, MODE(2));
    tap_eq(status() & 0xbf, 0xb4, "and high");
    outb(CONTROL, MODE(6));
    tap_eq(status() & 0x0e, 0x0c, "mode 6 is told as it was written");
    outb(CONTROL, MODE(7));
    tap_eq(status() & 0x0e, 0x0e, "mode 7, too");
}

static void test_read_back(void)
{
    uint8_t s;

    outb(CONTROL, MODE(0));
    load(20000);
    wait_ticks(20);
    outb(CONTROL, 0xc8); /* status and count of channel 2 */
    wait_ticks(50);
    s = inb(CHANNEL2);
    tap_eq(s & 0x3f, 0x30, "read-back of both: status comes first");
    tap_ok(near(read_both(CHANNEL2), 20000 - 20), "then the count of that time");
    outb(CONTROL, 0xd8); /* count only */
    wait_ticks(50);
    tap_ok(near(read_both(CHANNEL2), 20000 - 70), "read-back of the count");
    tap_eq(inb(CONTROL), 0xff, "the control word itself cannot be read");
}

static void test_bcd(void)
{
    gate(true);
    outb(CONTROL, MODE(0) | 1);
    load(0x1000);
    wait_ticks(100);
    outb(CONTROL, 0x80);
    tap_ok(near(read_both(CHANNEL2) - 0x900, 0), "BCD: 1000 less 100 is 900");
    outb(CONTROL, MODE(0) | 1);
    load(0);
    wait_ticks(1000);
    tap_ok((count() & 0xff00) == 0x9000 || (count() & 0xff00) == 0x8900, "BCD: 0 counts as 10000");
    outb(CONTROL, MODE(0));
    load(0);
    wait_ticks(1000);
    tap_ok(near(count(), 0x10000 - 1000), "binary: 0 counts as 65536");
}

static void test_port61(void)
{
    uint64_t begin = rdtsc();
    unsigned n = 0;
    uint8_t was = inb(SYSTEM) & 0x10;

    outb(SYSTEM, 0x03);
    tap_eq(inb(SYSTEM) & 0x0f, 0x03, "port 61: gate and speaker bits can be read");
    outb(SYSTEM, 0x00);
    tap_eq(inb(SYSTEM) & 0x0f, 0x00, "and cleared");
    while (rdtsc() - begin < 2000 * tsc_per_tick) {
        uint8_t is = inb(SYSTEM) & 0x10;

        n += is != was;
        was = is;
    }
    tap_ok(n > 20, "bit 4 toggles with the refresh");
}

/* ---- IRQ 0 ------------------------------------------------------------------------------------------------ */

static void hook(unsigned vector)
{
    pic_eoi(vector - PIC_BASE);
}

static unsigned interrupts(unsigned ticks)
{
    uint64_t begin = rdtsc();

    irq_forget();
    interrupts_on();
    while (rdtsc() - begin < ticks * tsc_per_tick)
        ;
    interrupts_off();
    return irq_log.count;
}

static void load0(uint8_t control, unsigned n)
{
    outb(CONTROL, control);
    outb(CHANNEL0, (uint8_t)n);
    outb(CHANNEL0, (uint8_t)(n >> 8));
}

static void test_irq(void)
{
    unsigned n;

    pic_start(ICW4_8086, ICW4_8086);
    pic_mask(0xfffe);
    irq_hook = hook;
    load0(0x30, 500);
    tap_eq(interrupts(400), 0, "IRQ 0, mode 0: not before its time");
    tap_eq(interrupts(300), 1, "once when it is over");
    tap_eq(interrupts(1500), 0, "and not again");
    load0(0x34, 200);
    n = interrupts(2100);
    tap_ok(n >= 9 && n <= 11, "IRQ 0, mode 2: periodic");
    load0(0x36, 200);
    n = interrupts(2100);
    tap_ok(n >= 9 && n <= 11, "IRQ 0, mode 3: periodic");
    load0(0x30, 0xffff);
    (void)interrupts(2); /* what was requested before */
    tap_eq(interrupts(300), 0, "another mode stops it");
}

int rom_main(void)
{
    apic_init();
    apic_write(APIC_LVT_LINT0, 0x700);
    irq_note(PIC_BASE, PIC_BASE + 15);
    calibrate();
    test_mode0();
    test_mode1();
    test_mode2();
    test_mode3();
    test_mode4();
    test_mode5();
    test_access();
    test_read_back();
    test_bcd();
    test_port61();
    test_irq();
    tap_done();
}

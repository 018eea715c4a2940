/* rtc.c: the real-time clock. Motorola MC146818A data sheet: "Time, calendar and alarm locations", "Update cycle",
 * "Interrupts", "Registers". */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define A 0x0a
#define B 0x0b
#define C 0x0c
#define D 0x0d
#define B_SET 0x80
#define B_PIE 0x40
#define B_AIE 0x20
#define B_UIE 0x10
#define B_BINARY 0x04
#define B_24 0x02
#define C_IRQF 0x80
#define C_PF 0x40
#define C_AF 0x20
#define C_UF 0x10
#define UIP 0x80
#define IRQ8 (PIC_BASE + 8)
#define RATE_1024 0x26

static volatile uint8_t cause;
static volatile bool quiet;

static uint8_t get(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static void put(uint8_t reg, uint8_t value)
{
    outb(0x70, reg);
    outb(0x71, value);
}

static void hook(unsigned vector)
{
    if (!quiet)
        cause = get(C);
    pic_eoi(vector - PIC_BASE);
}

static uint64_t sleep(void)
{
    uint64_t begin = rdtsc();

    cause = 0;
    irq_forget();
    wait_for_interrupt();
    return rdtsc() - begin;
}

static bool near(uint64_t a, uint64_t b)
{
    return a > b - b / 4 && a < b + b / 4;
}

static void test_registers(void)
{
    put(B, B_24);
    put(0x40, 0x5a);
    tap_eq(get(0x40), 0x5a, "CMOS memory");
    tap_eq(get(D) & 0x80, 0x80, "register D: the battery is good");
    put(C, 0xff);
    put(D, 0);
    tap_eq(get(D) & 0x80, 0x80, "C and D cannot be written");
    put(A, 0xff & 0xaf);
    tap_eq(get(A) & 0x7f, 0x2f, "register A: UIP cannot be written");
    put(A, 0x26);
}

static void test_periodic(void)
{
    uint64_t ms, half;

    put(A, RATE_1024);
    (void)get(C);
    put(B, B_24 | B_PIE);
    sleep();
    ms = sleep();
    tap_ok(CAME(IRQ8), "periodic: IRQ 8");
    tap_eq(cause & (C_IRQF | C_PF), C_IRQF | C_PF, "register C: IRQF and PF");
    put(A, 0x25); /* 2048 Hz */
    sleep();
    half = sleep();
    tap_ok(near(ms, 2 * half), "twice the rate, half the time");
    put(A, RATE_1024);
    quiet = true;
    sleep();
    irq_forget();
    for (unsigned i = 0; i < 3; i++) { /* 3 ms */
        uint64_t begin = rdtsc();

        interrupts_on();
        while (rdtsc() - begin < ms)
            ;
        interrupts_off();
    }
    tap_ok(NOTHING(), "without a read of register C no other one comes");
    quiet = false;
    (void)get(C);
    sleep();
    tap_ok(CAME(IRQ8), "after it they go on");
    put(B, B_24);
    (void)get(C);
    tap_eq(get(C), 0, "a read clears register C");
    {
        uint64_t begin = rdtsc();

        while (rdtsc() - begin < 2 * ms)
            ;
    }
    tap_eq(get(C) & (C_IRQF | C_PF), C_PF, "PF is set without the interrupt enable, IRQF is not");
    put(A, 0x20);
    (void)get(C);
    put(B, B_24 | B_PIE);
    {
        uint64_t begin = rdtsc();

        while (rdtsc() - begin < 2 * ms)
            ;
    }
    tap_eq(get(C) & C_PF, 0, "rate 0: none");
    put(B, B_24);
    put(A, RATE_1024);
}

static unsigned bcd(uint8_t value)
{
    return (value >> 4) * 10 + (value & 15);
}

static void set_time(uint8_t hours, uint8_t minutes, uint8_t seconds)
{
    uint8_t b = get(B);

    put(B, b | B_SET);
    put(4, hours);
    put(2, minutes);
    put(0, seconds);
    put(B, b);
}

static void test_update(void)
{
    uint64_t second;

    put(B, B_24);
    set_time(0x23, 0x59, 0x58);
    (void)get(C);
    put(B, B_24 | B_UIE);
    sleep();
    tap_ok(CAME(IRQ8), "update ended: IRQ 8");
    tap_eq(cause & (C_IRQF | C_UF), C_IRQF | C_UF, "register C: IRQF and UF");
    tap_eq(get(A) & UIP, 0, "UIP is 0 behind the update");
    second = sleep();
    tap_eq(get(0), 0x00, "BCD: 23:59:58 and two updates: seconds 0");
    tap_ok(get(2) == 0 && get(4) == 0, "minutes and hours, too");
    tap_ok(second > 0, "a second has gone");

    /* To shortly before the next update, then wait for UIP. */
    put(B, B_24);
    set_time(0x12, 0x34, 0x56);
    put(B, B_24 | B_UIE);
    sleep();
    {
        uint64_t last = rdtsc();

        put(B, B_24 | B_PIE);
        while (rdtsc() - last < second - second / 400)
            sleep();
        put(B, B_24);
        (void)get(C);
        while ((get(A) & UIP) == 0 && rdtsc() - last < 2 * second)
            ;
        tap_ok((get(A) & UIP) != 0, "UIP is set before an update");
        tap_eq(get(C) & C_UF, 0, "UF not yet");
        while ((get(A) & UIP) != 0 && rdtsc() - last < 2 * second)
            ;
        tap_eq(get(C) & C_UF, C_UF, "UF when UIP falls");
        tap_ok(near(rdtsc() - last, second), "a second behind the last one");
    }
}

static void test_formats(void)
{
    unsigned year = bcd(get(9)), binary;

    put(B, B_24);
    set_time(0x17, 0x45, 0x30);
    put(B, B_24 | B_BINARY);
    tap_ok(get(4) == 17 && get(2) == 45, "binary: 17:45");
    binary = get(9);
    tap_eq(binary, year, "the year, too");
    put(B, 0);
    tap_eq(get(4), 0x85, "12 hours, BCD: 5 PM is 85");
    put(B, B_BINARY);
    tap_eq(get(4), 0x85, "12 hours, binary: 5 PM is 5 and bit 7");
    put(B, B_24);
    set_time(0x00, 0x10, 0x00);
    put(B, 0);
    tap_eq(get(4), 0x12, "12 hours: midnight is 12 AM");
    put(B, B_24);
}

static void test_alarm(void)
{
    put(B, B_24);
    set_time(0x10, 0x20, 0x30);
    put(5, 0x10);
    put(3, 0x20);
    put(1, 0x32);
    (void)get(C);
    put(B, B_24 | B_AIE);
    sleep();
    tap_ok(CAME(IRQ8) && get(0) == 0x32, "alarm: at its second");
    tap_eq(cause & (C_IRQF | C_AF), C_IRQF | C_AF, "register C: IRQF and AF");
    put(5, 0xff);
    put(3, 0xc0);
    put(1, 0xff);
    sleep();
    tap_ok(CAME(IRQ8) && get(0) == 0x33, "alarm: C0 to FF match everything: each second");
    put(B, B_24);
    set_time(0x23, 0x59, 0x50);
    put(5, 0x00);
    put(3, 0x00);
    put(1, 0x01);
    put(B, B_24 | B_AIE);
    sleep();
    tap_ok(CAME(IRQ8) && get(0) == 0x01 && get(4) == 0, "alarm: past midnight");
    put(B, B_24);
}

static void test_set(void)
{
    uint8_t seconds;

    put(B, B_24 | B_SET);
    put(0, 0x11);
    put(A, 0x2f); /* 2 Hz */
    (void)get(C);
    put(B, B_24 | B_SET | B_PIE);
    for (unsigned i = 0; i < 4; i++)
        sleep();
    seconds = get(0);
    put(B, B_24 | B_SET);
    tap_eq(seconds, 0x11, "SET: the time stands still");
    put(B, B_24 | B_UIE);
    put(B, B_24 | B_UIE | B_SET);
    tap_eq(get(B) & B_UIE, 0, "SET clears UIE");
    put(B, B_24);
    put(A, RATE_1024);
}

int rom_main(void)
{
    apic_init();
    apic_write(APIC_LVT_LINT0, 0x700);
    irq_note(PIC_BASE, PIC_BASE + 15);
    irq_hook = hook;
    pic_start(ICW4_8086, ICW4_8086);
    pic_mask(0xffff & ~0x0104);
    test_registers();
    test_periodic();
    test_update();
    test_formats();
    test_alarm();
    test_set();
    tap_done();
}

/* interrupts.c: external interrupts: masking, shadows, priorities, HLT, NMI, the local APIC's timer, and
 * the PIT through the PIC. APM vol 2, 8.5 "Priorities", 8.2.3 "NMI", 16 "Advanced Programmable Interrupt
 * Controller". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define LOW_VECTOR 0x51
#define HIGH_VECTOR 0x92
#define PIC_VECTOR 0x20
#define PATIENCE 10000000u

static volatile unsigned count[256];
static volatile uint64_t saved_rip[256];
static volatile unsigned order[8], order_length;

static void note(struct trap_frame *f)
{
    count[f->vector]++;
    saved_rip[f->vector] = f->rip;
    if (order_length < 8)
        order[order_length++] = (unsigned)f->vector;
    if (f->vector != EXC_NMI)
        apic_eoi();
}

static void reset(void)
{
    for (unsigned i = 0; i < 256; i++)
        count[i] = 0;
    order_length = 0;
}

static void test_masking(void)
{
    reset();
    apic_self_ipi(LOW_VECTOR);
    tap_eq(count[LOW_VECTOR], 0, "IF=0 holds a self-IPI");
    tap_eq((uint64_t)apic_vector_bit(APIC_IRR, LOW_VECTOR), 1, "it is pending in IRR");
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
    tap_eq(count[LOW_VECTOR], 1, "STI; NOP delivers it");
    tap_eq((uint64_t)apic_vector_bit(APIC_IRR, LOW_VECTOR), 0, "IRR is clear after it");
    tap_eq((uint64_t)apic_vector_bit(APIC_ISR, LOW_VECTOR), 0, "ISR is clear after EOI");
}

extern const char sti_nop_next[], sti_sti_next[], popf_next[];

static void test_shadows(void)
{
    reset();
    apic_self_ipi(LOW_VECTOR);
    __asm__ volatile("sti\n\tcli" : : : "memory");
    tap_eq(count[LOW_VECTOR], 0, "STI; CLI leaves no window");
    __asm__ volatile("sti\n\tnop\n.globl sti_nop_next\nsti_nop_next:\n\tnop\n\tcli" : : : "memory");
    tap_eq(saved_rip[LOW_VECTOR], (uintptr_t)sti_nop_next, "the STI shadow covers one instruction");
    reset();
    apic_self_ipi(LOW_VECTOR);
    __asm__ volatile(
        "pushfq\n\torl $0x200, (%%rsp)\n\tpopfq\n.globl popf_next\npopf_next:\n\tnop\n\tcli"
        :
        :
        : "memory");
    tap_eq(saved_rip[LOW_VECTOR], (uintptr_t)popf_next, "POPF has no shadow");
    reset();
    apic_self_ipi(LOW_VECTOR);
    __asm__ volatile("sti\n\tsti\n.globl sti_sti_next\nsti_sti_next:\n\tnop\n\tcli" : : : "memory");
    tap_eq(saved_rip[LOW_VECTOR], (uintptr_t)sti_sti_next, "a second STI makes no new shadow");
}

static void test_priority(void)
{
    reset();
    apic_self_ipi(LOW_VECTOR);
    apic_self_ipi(HIGH_VECTOR);
    __asm__ volatile("sti\n\tnop\n\tnop\n\tnop\n\tcli" : : : "memory");
    tap_ok(order_length == 2 && order[0] == HIGH_VECTOR && order[1] == LOW_VECTOR,
           "the higher vector comes first");
    reset();
    write_cr8(LOW_VECTOR >> 4);
    apic_self_ipi(LOW_VECTOR);
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
    tap_eq(count[LOW_VECTOR], 0, "CR8 equal to the class of the vector holds it");
    tap_eq(apic_read(APIC_TPR), LOW_VECTOR & 0xf0, "CR8 is TPR[7:4]");
    apic_self_ipi(HIGH_VECTOR);
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
    tap_ok(count[HIGH_VECTOR] == 1 && count[LOW_VECTOR] == 0, "a higher class passes");
    __asm__ volatile("sti\n\tnop" : : : "memory");
    write_cr8((LOW_VECTOR >> 4) - 1);
    __asm__ volatile("nop\n\tcli" : : : "memory");
    tap_eq(count[LOW_VECTOR], 1, "lowering CR8 delivers it");
    write_cr8(0);
    apic_write(APIC_TPR, 0xff);
    tap_eq(read_cr8(), 15, "a write of TPR shows in CR8");
    apic_write(APIC_TPR, 0);
}

static volatile bool nested_seen;

static void note_low_nested(struct trap_frame *f)
{
    (void)f;
    apic_self_ipi(LOW_VECTOR + 1); /* the same class as the one in service */
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
    nested_seen = count[LOW_VECTOR + 1] != 0;
    apic_self_ipi(HIGH_VECTOR);
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
    apic_eoi();
}

static void test_in_service(void)
{
    reset();
    trap_set_handler(LOW_VECTOR, note_low_nested);
    apic_self_ipi(LOW_VECTOR);
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
    trap_set_handler(LOW_VECTOR, note);
    tap_ok(!nested_seen, "an interrupt in service holds its own class back");
    tap_eq(count[HIGH_VECTOR], 1, "a higher class interrupts the handler");
    tap_eq(count[LOW_VECTOR + 1], 1, "EOI lets the held one come");
}

static bool wait_for(volatile unsigned *counter, unsigned at_least)
{
    for (unsigned i = 0; i < PATIENCE && *counter < at_least; i++)
        cpu_pause();
    return *counter >= at_least;
}

static void test_timer(void)
{
    uint32_t first, second;

    reset();
    apic_timer_oneshot(LOW_VECTOR, 100000);
    first = apic_read(APIC_TIMER_CURRENT);
    for (unsigned i = 0; i < 100; i++)
        cpu_pause();
    second = apic_read(APIC_TIMER_CURRENT);
    tap_ok(second < first && first <= 100000, "the timer counts down");
    interrupts_on();
    tap_ok(wait_for(&count[LOW_VECTOR], 1), "one-shot: the interrupt comes");
    interrupts_off();
    tap_eq(apic_read(APIC_TIMER_CURRENT), 0, "one-shot: the count stays at 0");
    reset();
    apic_timer_periodic(LOW_VECTOR, 50000);
    for (unsigned i = 0; i < 5; i++)
        wait_for_interrupt();
    tap_ok(count[LOW_VECTOR] >= 5, "periodic: five times HLT, five interrupts");
    apic_timer_stop();
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory"); /* one may have come since the last HLT */
    reset();
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | LOW_VECTOR);
    apic_write(APIC_TIMER_INITIAL, 100);
    interrupts_on();
    for (unsigned i = 0; i < 2000; i++)
        cpu_pause();
    interrupts_off();
    tap_eq(count[LOW_VECTOR], 0, "a masked LVT entry sends nothing");
    apic_timer_stop();
}

extern const char hlt_next[];

static void test_halt(void)
{
    reset();
    apic_timer_oneshot(LOW_VECTOR, 200000);
    __asm__ volatile("sti\n\thlt\n.globl hlt_next\nhlt_next:\n\tcli" : : : "memory");
    tap_eq(count[LOW_VECTOR], 1, "HLT waits for the timer");
    tap_eq(saved_rip[LOW_VECTOR], (uintptr_t)hlt_next, "the saved RIP is behind HLT");
    reset();
    apic_self_ipi(LOW_VECTOR);
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
    tap_eq(count[LOW_VECTOR], 1, "STI; HLT with a pending interrupt does not sleep");
}

static volatile unsigned nmi_depth, nmi_deepest;

static void nested_nmi(struct trap_frame *f)
{
    (void)f;
    count[EXC_NMI]++;
    nmi_depth++;
    nmi_deepest = nmi_depth > nmi_deepest ? nmi_depth : nmi_deepest;
    if (count[EXC_NMI] == 1)
        apic_self_nmi();
    for (unsigned i = 0; i < 10; i++)
        cpu_pause();
    nmi_depth--;
}

static void test_nmi(void)
{
    reset();
    trap_set_handler(EXC_NMI, note);
    apic_self_nmi();
    cpu_pause();
    tap_eq(count[EXC_NMI], 1, "an NMI comes with IF=0");
    reset();
    trap_set_handler(EXC_NMI, nested_nmi);
    apic_self_nmi();
    cpu_pause();
    tap_ok(count[EXC_NMI] == 2 && nmi_deepest == 1, "an NMI in the NMI handler waits for its IRET");
    trap_set_handler(EXC_NMI, NULL);
}

/* PIC pair to vectors 0x20 and 0x28, only IRQ 0 open; PIT channel 0 in mode 2 at about 1 kHz; the local
 * APIC passes the PIC's interrupts as ExtINT. */
#define PIC1 0x20
#define PIC2 0xa0
#define PIT_COUNT 0x40
#define PIT_MODE 0x43
#define APIC_LINT0 0x350

static void note_pic(struct trap_frame *f)
{
    count[f->vector]++;
    outb(PIC1, 0x20); /* non-specific EOI */
}

static void pic_init(void)
{
    outb(PIC1, 0x11);
    outb(PIC1 + 1, PIC_VECTOR);
    outb(PIC1 + 1, 4);
    outb(PIC1 + 1, 1);
    outb(PIC2, 0x11);
    outb(PIC2 + 1, PIC_VECTOR + 8);
    outb(PIC2 + 1, 2);
    outb(PIC2 + 1, 1);
    outb(PIC1 + 1, 0xfe);
    outb(PIC2 + 1, 0xff);
}

static void test_pit(void)
{
    reset();
    apic_write(APIC_LINT0, 0x700);
    trap_set_handler(PIC_VECTOR, note_pic);
    pic_init();
    outb(PIT_MODE, 0x34);
    outb(PIT_COUNT, 1193 & 0xff);
    outb(PIT_COUNT, 1193 >> 8);
    for (unsigned i = 0; i < 3; i++)
        wait_for_interrupt();
    tap_ok(count[PIC_VECTOR] >= 3, "PIT, PIC and ExtINT: three ticks wake HLT");
    outb(PIC1 + 1, 0xff);
    interrupts_on();
    reset();
    for (unsigned i = 0; i < 20000; i++)
        cpu_pause();
    interrupts_off();
    tap_eq(count[PIC_VECTOR], 0, "a masked IRQ 0 is silent");
    apic_write(APIC_LINT0, APIC_LVT_MASKED);
}

int rom_main(void)
{
    apic_init();
    trap_set_handler(LOW_VECTOR, note);
    trap_set_handler(LOW_VECTOR + 1, note);
    trap_set_handler(HIGH_VECTOR, note);
    test_masking();
    test_shadows();
    test_priority();
    test_in_service();
    test_timer();
    test_halt();
    test_nmi();
    test_pit();
    tap_done();
}

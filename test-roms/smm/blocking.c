/* blocking.c: what waits while the processor is in SMM; HLT and SMI. APM vol 2, 10.3.3 "Exceptions and Interrupts", 10.3.4
 * "Auto Halt Restart", 10.2.4; 8.2.3 "NMI". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"
#include "test-roms/smm/kit.h"

#define VECTOR 0x51

volatile unsigned nmis; /* known to ask_nmi */
static volatile unsigned taken, seen_in_nmi;
static volatile uint64_t nmi_rip;

static void on_nmi(struct trap_frame *frame)
{
    nmi_rip = frame->rip;
    nmis++;
}

static void on_vector(struct trap_frame *frame)
{
    (void)frame;
    taken++;
    apic_eoi();
}

static void open(void)
{
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
}

/* Each looks at the counters in SMM after it has asked. */
SMM_CODE(ask_nmi,
         "movl $0xfee00300, %edi\n movl $0, 0x10(%edi)\n movl $0x4400, (%edi)\n nop\n nop\n"
         "movl $nmis, %eax\n movl (%eax), %eax\n movl %eax, 48(%ebx)\n");
SMM_CODE(ask_intr, "movl $0xfee00300, %edi\n movl $0x44051, (%edi)\n nop\n nop\n");
SMM_CODE(ask_smi, "cmpl $1, (%ebx)\n jne 1f\n outb %al, $0xb2\n nop\n nop\n movl (%ebx), %eax\n"
                  "movl %eax, 48(%ebx)\n 1:");

static void smi(void)
{
    outb(APM_PORT, 0);
}

static void test_nmi(void)
{
    nmis = 0;
    smm_reset();
    SMM_USE(ask_nmi);
    smi();
    /* rows: events 6.2, pitfalls 10.8 */
    tap_eq(smm_seen.result[0], 0, "an NMI in SMM waits");
    tap_eq(nmis, 1, "and comes behind RSM");
}

static void nmi_with_smi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
    if (nmis == 1) {
        smi(); /* its handler sends another NMI */
        seen_in_nmi = nmis;
    }
}

static void test_nmi_nested(void)
{
    nmis = seen_in_nmi = 0;
    trap_set_handler(EXC_NMI, nmi_with_smi);
    smm_reset();
    SMM_USE(ask_nmi);
    apic_self_nmi();
    tap_eq(smm_field(SAVE_NMI_MASK, 1), 1,
           "SMI in an NMI handler: the area says that NMIs are blocked");
    tap_eq(seen_in_nmi, 1, "RSM leaves them blocked");
    tap_eq(nmis, 2, "until the handler's IRET");
    trap_set_handler(EXC_NMI, on_nmi);
}

static void test_interrupt(void)
{
    taken = 0;
    smm_reset();
    SMM_USE(ask_intr);
    interrupts_on();
    smi();
    interrupts_off();
    /* rows: events 6.1 */
    tap_eq(taken, 1, "an interrupt in SMM comes behind RSM, where IF is 1");
    taken = 0;
    smm_reset();
    SMM_USE(ask_intr);
    smi();
    tap_eq(taken, 0, "not where IF is 0");
    open();
    tap_eq(taken, 1, "but later");
}

static void test_smi(void)
{
    smm_reset();
    SMM_USE(ask_smi);
    smi();
    /* rows: events 6.3 */
    tap_eq(smm_seen.result[0], 1, "an SMI in SMM waits");
    tap_eq(smm_seen.entries, 2, "and comes behind RSM");
    smm_reset();
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
    apic_write(APIC_ICR_LOW, ICR_SMI | ICR_ASSERT);
    tap_eq(smm_seen.entries, 1, "SMI by the interrupt command register");
    tap_eq(smm_field(SAVE_IO_DWORD, 4), 0, "it is no I/O trap");
    smm_reset();
    interrupts_off();
    smi();
    tap_eq(smm_seen.entries, 1, "IF does not matter to SMI");
}

/* ---- HLT ----------------------------------------------------------------------------------------------------- */

/* SMI after `ticks`, by an APIC error: the timer expires with an illegal vector. */
static void smi_later(uint32_t ticks)
{
    apic_write(APIC_LVT_ERROR, ICR_SMI);
    apic_write(APIC_ESR, 0);
    apic_write(APIC_LVT_TIMER, 0x05);
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_TIMER_INITIAL, ticks);
}

/* An interrupt in about `count` ticks of the PIT. */
static void interrupt_later(unsigned count)
{
    apic_write(APIC_LVT_LINT0, 0x700);
    outb(0x20, 0x11);
    outb(0x21, VECTOR & 0xf8);
    outb(0x21, 4);
    outb(0x21, 3); /* automatic EOI */
    outb(0x21, 0xfe);
    outb(0x43, 0x30);
    outb(0x40, (uint8_t)count);
    outb(0x40, (uint8_t)(count >> 8));
}

static void test_halt(void)
{
    uint64_t behind;

    taken = 0;
    smm_reset();
    smi_later(20000);
    interrupt_later(200); /* 168 microseconds */
    __asm__ volatile("leaq 1f(%%rip), %0\n\tsti\n\thlt\n\t1: cli" : "=&r"(behind) : : "memory");
    tap_eq(smm_seen.entries, 1, "SMI comes in HLT");
    tap_eq(smm_field(SAVE_HALT_RESTART, 1), 1, "the area says that it was halted");
    tap_eq(smm_field(SAVE_RIP, 8), behind, "RIP is behind HLT");
    tap_eq(taken, 1, "RSM goes back to HLT, an interrupt ends it");

    taken = 0;
    smm_reset();
    smm_patch(SAVE_HALT_RESTART - 1, 0);
    smi_later(20000);
    interrupt_later(200);
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
    tap_ok(smm_seen.entries == 1 && taken == 0,
           "auto-halt restart cleared: RSM goes on behind HLT");
    while (taken == 0)
        open();
}

static void test_halt_closed(void)
{
    nmis = 0;
    smm_reset();
    SMM_USE(ask_nmi);
    smi_later(20000);
    __asm__ volatile("cli\n\thlt" : : : "memory");
    tap_ok(smm_seen.entries == 1 && nmis == 1,
           "HLT with IF=0: SMI, and the NMI that it sent ends HLT");
}

/* ---- shadows, single step -------------------------------------------------------------------------------------- */

static volatile unsigned steps;
static volatile uint64_t step_rip[4];

static void on_step(struct trap_frame *frame)
{
    if (steps < 4)
        step_rip[steps] = frame->rip;
    steps++;
}

static void test_step(void)
{
    uint64_t behind;

    steps = 0;
    trap_set_handler(EXC_DB, on_step);
    smm_reset();
    __asm__ volatile(
        "leaq 1f(%%rip), %0\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\toutb %%al, $0xb2\n\t1: "
        "pushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq"
        : "=&r"(behind)
        :
        : "memory", "cc");
    tap_eq(smm_seen.entries, 1, "TF and an OUT that makes SMI: SMM does not step");
    tap_ok(steps == 4 && step_rip[0] == behind, "the step of the OUT comes behind RSM, once");
    trap_set_handler(EXC_DB, NULL);
}

int rom_main(void)
{
    smm_require();
    apic_init();
    trap_set_handler(EXC_NMI, on_nmi);
    trap_set_handler(VECTOR, on_vector);
    trap_set_handler(VECTOR & 0xf8, on_vector); /* of the PIC */
    test_nmi();
    test_nmi_nested();
    test_interrupt();
    test_smi();
    test_halt();
    test_halt_closed();
    test_step();
    tap_done();
}

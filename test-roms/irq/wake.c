/* wake.c: at which boundary an interrupt is taken, what it finds there, and what ends HLT. APM vol 2, 8.1.4 "Precise
 * Exceptions" and 8.5 "Priorities"; vol 3, "STI", "MOV", "POP", "HLT", "REP". */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define VECTOR 0x51
#define LOWER 0x41
#define NMI_ICR (ICR_NMI | ICR_ASSERT)

static volatile uint64_t rip_seen, flags_seen, rcx_seen, flags_inside;
static volatile unsigned taken, nmis;

static void on_vector(struct trap_frame *frame)
{
    if (taken++ == 0) {
        rip_seen = frame->rip;
        flags_seen = frame->rflags;
        rcx_seen = frame->rcx;
        flags_inside = read_rflags();
    }
    apic_eoi();
}

static void on_nmi(struct trap_frame *frame)
{
    nmis++;
    rip_seen = frame->rip;
}

/* With a request pending and IF=0, run `code`; it must come at the label 9 in it. AX and RDX are free, RBX is the stack
 * pointer. */
#define TAKEN_AT(code, what)                                                                    \
    do {                                                                                        \
        uint64_t want;                                                                          \
        taken = 0;                                                                              \
        apic_self_ipi(VECTOR);                                                                  \
        __asm__ volatile("movq %%rsp, %%rbx\n\tleaq 9f(%%rip), %0\n\tmovl %%ss, %%eax\n\t" code \
                         "\n\tcli\n\tmovq %%rbx, %%rsp"                                         \
                         : "=&r"(want)                                                          \
                         :                                                                      \
                         : "rax", "rbx", "rdx", "memory", "cc");                                \
        if (!tap_ok(taken == 1 && rip_seen == want, "%s", what))                                \
            rom_printf("#   %u came, at %lx, want %lx\n", taken, rip_seen, want);               \
        irq_window();                                                                           \
    } while (0)

static void test_boundaries(void)
{
    /* rows: events 6.7, pitfalls 6.1 */
    TAKEN_AT("sti\n\tnop\n\t9: nop\n\tnop", "STI: after the next instruction");
    TAKEN_AT("sti\n\tsti\n\t9: nop\n\tnop", "STI, STI: the second has no shadow");
    /* rows: pitfalls 6.2, events 6.8 */
    TAKEN_AT("sti\n\tmovl %%eax, %%ss\n\tnop\n\t9: nop",
             "STI, MOV SS: after the instruction behind MOV SS");
    TAKEN_AT("pushfq\n\torl $0x200, (%%rsp)\n\tpopfq\n\t9: nop", "POPF: at once");
    TAKEN_AT("pushq %%rax\n\tpushq %%rbx\n\tpushfq\n\torl $0x200, (%%rsp)\n\tmovl %%cs, "
             "%%edx\n\tpushq %%rdx\n\t"
             "leaq 9f(%%rip), %%rdx\n\tpushq %%rdx\n\tiretq\n\t9: nop\n\tnop",
             "IRET: before the first instruction behind it");
    TAKEN_AT("movl $15, %%edx\n\tmovq %%rdx, %%cr8\n\tsti\n\tnop\n\tnop\n\txorl %%edx, "
             "%%edx\n\tmovq %%rdx, %%cr8\n\t"
             "9: nop\n\tnop",
             "MOV CR8 that lets it through: at once");
    TAKEN_AT(
        "movl $15, %%edx\n\tmovq %%rdx, %%cr8\n\tsti\n\tnop\n\tnop\n\tmovl $0xfee00080, %%edx\n\t"
        "movl $0, (%%rdx)\n\t9: nop\n\tnop",
        "a store to TPR: at once");
    /* rows: events 6.10, pitfalls 6.24 */
    TAKEN_AT("sti\n\thlt\n\t9: nop", "STI, HLT: behind HLT");
    taken = 0;
    apic_self_ipi(VECTOR);
    interrupts_on();
    interrupts_off();
    tap_eq(taken, 0, "STI, CLI: not at all");
    irq_window();
    tap_eq(taken, 1, "and it was not lost");
}

static void test_frame(void)
{
    taken = 0;
    apic_self_ipi(VECTOR);
    irq_window();
    tap_ok((flags_seen & RFLAGS_IF) != 0, "the pushed image has IF=1");
    tap_ok((flags_inside & RFLAGS_IF) == 0, "an interrupt gate clears IF");
    trap_gate(VECTOR)[0] |= UINT64_C(1) << 40;
    taken = 0;
    apic_self_ipi(VECTOR);
    irq_window();
    tap_ok((flags_inside & RFLAGS_IF) != 0, "a trap gate does not");
    trap_gate(VECTOR)[0] &= ~(UINT64_C(1) << 40);
}

/* ---- strings ---------------------------------------------------------------------------------------------- */

static uint8_t from[65536], to[65536];

static void test_rep(void)
{
    const void *s = from;
    void *d = to;
    uint64_t n = sizeof from, start;

    for (unsigned i = 0; i < sizeof from; i++)
        from[i] = (uint8_t)(i * 7);
    taken = 0;
    apic_timer_oneshot(VECTOR, 20000);
    __asm__ volatile("leaq 1f(%%rip), %3\n\tsti\n\tcld\n\t1: rep movsb\n\tcli"
                     : "+S"(s), "+D"(d), "+c"(n), "=&r"(start)
                     :
                     : "memory");
    /* rows: pitfalls 2.15 */
    tap_ok(taken == 1 && rip_seen == start, "REP MOVS is interrupted; the saved RIP is its own");
    tap_ok(rcx_seen > 0 && rcx_seen < sizeof from, "RCX tells how far it is");
    /* rows: pitfalls 6.17 */
    tap_ok((flags_seen & RFLAGS_RF) != 0, "RF is set in the image");
    tap_ok(memcmp(from, to, sizeof from) == 0 && n == 0, "and it goes on to its end");
}

/* ---- HLT --------------------------------------------------------------------------------------------------- */

static void test_halt(void)
{
    uint64_t begin, end;

    taken = 0;
    apic_write(APIC_TPR, 0x40);
    apic_self_ipi(LOWER);
    apic_timer_oneshot(VECTOR, 50000);
    begin = rdtsc();
    wait_for_interrupt();
    end = rdtsc();
    tap_ok(taken == 1 && end - begin >= 40000,
           "HLT: what TPR holds back does not end it, the timer does");
    tap_ok(apic_vector_bit(APIC_IRR, LOWER), "the other one is still pending");
    apic_write(APIC_TPR, 0);
    irq_window();

    nmis = 0;
    apic_write(APIC_LVT_ERROR, 0x400); /* NMI */
    apic_write(APIC_ESR, 0);
    apic_write(APIC_LVT_TIMER, 0x05); /* an illegal vector: an error when it expires */
    apic_write(APIC_TIMER_INITIAL, 50000);
    begin = rdtsc();
    __asm__ volatile("cli\n\thlt" : : : "memory");
    end = rdtsc();
    tap_ok(nmis == 1 && end - begin >= 40000, "HLT with IF=0: an NMI ends it");
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
    apic_write(APIC_ESR, 0);
    apic_timer_stop();
}

static void test_nmi(void)
{
    uint64_t want;

    nmis = 0;
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
    __asm__ volatile("leaq 1f(%%rip), %0\n\tmovl %1, (%2)\n\t1: nop"
                     : "=&r"(want)
                     : "r"(NMI_ICR), "r"(APIC_BASE_SPA + APIC_ICR_LOW)
                     : "memory");
    tap_ok(nmis == 1 && rip_seen == want, "NMI to oneself with IF=0: behind the store to ICR");
    taken = nmis = 0;
    interrupts_off();
    apic_self_ipi(VECTOR);
    apic_write(APIC_ICR_LOW, NMI_ICR);
    tap_ok(nmis == 1 && taken == 0, "the NMI comes, the interrupt waits for IF");
    irq_window();
    tap_eq(taken, 1, "and then comes");
}

int rom_main(void)
{
    apic_init();
    trap_set_handler(VECTOR, on_vector);
    trap_set_handler(LOWER, on_vector);
    trap_set_handler(EXC_NMI, on_nmi);
    test_boundaries();
    test_frame();
    test_rep();
    test_halt();
    test_nmi();
    tap_done();
}

/* shadows.c: what holds an interrupt back for one instruction, which of several events comes first, and how
 * long an NMI blocks the next. APM vol 2, 8.5 "Priorities", 8.2.3 "NMI - Non-Maskable-Interrupt Exception", 8.3.1
 * "Masking External Interrupts"; vol 3, "STI", "MOV", "IRET". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define INTR 0x51u
#define SEND_NMI "movl $0xfee00300, %edi\n movl $0x4400, (%rdi)\n"

#define AT(name) extern const char name[]
MODE_CODE64(h_sti, "sti\n h_sti_1: nop\n h_sti_2: nop\n cli");
MODE_CODE64(h_sti_sti, "sti\n sti\n h_sti_sti_1: nop\n cli");
MODE_CODE64(h_sti_ss,
            "movw %ss, %ax\n sti\n movw %ax, %ss\n h_sti_ss_1: nop\n h_sti_ss_2: nop\n cli");
MODE_CODE64(h_popf, "pushfq\n orl $0x200, (%rsp)\n popfq\n h_popf_1: nop\n cli");
MODE_CODE64(h_hlt, "sti\n hlt\n h_hlt_1: cli");
MODE_CODE64(h_step,
            "pushfq\n orl $0x100, (%rsp)\n popfq\n sti\n h_step_1: nop\n nop\n pushq $2\n popfq");
MODE_CODE64(h_nmi_intr,
            "movl $0xfee00300, %edi\n sti\n movl $0x4400, (%rdi)\n h_nmi_intr_1: nop\n cli");
MODE_CODE64(h_break, "sti\n nop\n h_break_1: nop\n cli");
MODE_CODE64(h_iret, SEND_NMI "nop\n h_iret_1: nop");
MODE_CODE64(h_ac, "pushfq\n orl $0x40000, (%rsp)\n popfq\n h_ac_insn: movl 1(%rbx), %eax");
MODE_CODE64(h_ac_stack, "pushfq\n orl $0x40000, (%rsp)\n popfq\n leaq 4(%rbx), %rsp\n"
                        "h_ac_stack_insn: popq %rax");
MODE_CODE64(h_rep, "movl $0x600, %edi\n movl $100, %ecx\n sti\n cld\n h_rep_insn: rep stosb\n cli");
AT(h_sti_2), h_sti_sti_1[], h_sti_ss_2[], h_popf_1[], h_hlt_1[], h_step_1[],
    h_nmi_intr_1[], h_break_1[];

/* The NMI's own code for the test of a faulting IRETQ. */
MODE_CODE64(nmi_code, "incl nmi_seen\n cmpl $1, nmi_seen\n jne 1f\n" SEND_NMI
                      "nop\n nop\n movl nmi_seen, %eax\n movl %eax, nmi_before\n"
                      "pushq $0\n pushq $0\n pushq $2\n pushq $0x1c8\n pushq $0\n iretq\n"
                      "1: iretq");
MODE_CODE64(gp_code, "movl nmi_seen, %eax\n movl %eax, nmi_after\n addq $8, %rsp\n"
                     "addq $40, %rsp\n addq $40, %rsp\n iretq");
uint32_t nmi_seen, nmi_before, nmi_after;

static struct modes_state *begin(const char *code)
{
    struct modes_state *m = modes_begin(MODE_LONG, code);

    modes_resume[INTR] = RESUME | RESUME_APIC_EOI;
    modes_resume[EXC_NMI] = RESUME;
    return m;
}

/* With INTR pending from before. */
static void comes_at(const char *code, const char *at, const char *what)
{
    struct mode_event e;

    begin(code);
    apic_self_ipi(INTR);
    modes_run();
    e = modes_event(0);
    tap_ok(e.vector == INTR && e.ip == (uintptr_t)at, "%s", what);
    if (e.vector != INTR || e.ip != (uintptr_t)at)
        rom_printf("#   vector %u at %lx, want %p\n", e.vector, e.ip, (const void *)at);
}

static void test_shadows(void)
{
    /* rows: events 6.1, 6.7 */
    comes_at(h_sti, h_sti_2, "STI covers the next instruction");
    comes_at(h_sti_sti, h_sti_sti_1, "a second STI does not cover another");
    comes_at(h_popf, h_popf_1, "POPF covers none");
    /* rows: events 6.8, pitfalls 6.2 */
    comes_at(h_sti_ss, h_sti_ss_2, "MOV SS covers the next instruction");
    /* rows: events 6.10, pitfalls 6.24 */
    comes_at(h_hlt, h_hlt_1, "STI; HLT: the saved RIP is behind HLT");
}

static void two(unsigned first, unsigned second, const char *at, const char *what)
{
    struct mode_event a = modes_event(0), b = modes_event(1);
    bool passed =
        a.vector == first && b.vector == second && a.ip == (uintptr_t)at && b.ip == (uintptr_t)at;

    tap_ok(passed, "%s", what);
    for (unsigned i = 0; !passed && i < modes_events(); i++)
        rom_printf("#   vector %u at %lx\n", modes_event(i).vector, modes_event(i).ip);
}

static void test_order(void)
{
    /* rows: events 3.1.4, 3.1.5 */
    begin(h_nmi_intr);
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID) & 0xff000000u);
    apic_self_ipi(INTR);
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID) & 0xff000000u);
    modes_run();
    two(EXC_NMI, INTR, h_nmi_intr_1, "an NMI comes before an interrupt");
    /* rows: events 3.1.5, 3.1.6 */
    begin(h_break);
    modes_resume[EXC_DB] = RESUME | RESUME_RF;
    write_dr0((uintptr_t)h_break_1);
    write_dr7(0x401);
    apic_self_ipi(INTR);
    modes_run();
    two(INTR, EXC_DB, h_break_1, "an interrupt comes before an execution breakpoint");
    /* rows: events 3.1.3, 3.1.5, 6.9 */
    begin(h_step);
    modes_resume[EXC_DB] = RESUME;
    apic_self_ipi(INTR);
    modes_run();
    unsigned i = 0;
    while (i < modes_events() && modes_event(i).vector != INTR)
        i++;
    tap_ok(i > 0 && modes_event(i - 1).vector == EXC_DB &&
               modes_event(i - 1).ip == (uintptr_t)h_step_1 &&
               modes_event(i).ip == (uintptr_t)h_step_1,
           "a single-step trap comes before an interrupt, which then is next");
}

static void test_nmi(void)
{
    /* rows: events 6.2, 8.2.17, pitfalls 3.14, 10.8 */
    nmi_seen = nmi_before = nmi_after = 0;
    begin(h_iret);
    modes_idt_gate64(EXC_NMI)[0] = modes_gate(SEL_CODE64, (uint32_t)(uintptr_t)nmi_code, 0x8e, 0);
    modes_idt_gate64(EXC_GP)[0] = modes_gate(SEL_CODE64, (uint32_t)(uintptr_t)gp_code, 0x8e, 0);
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID) & 0xff000000u);
    RUN_PASS(h_iret, "an NMI in the handler of an NMI");
    tap_eq(nmi_before, 1, "waits for the IRETQ");
    tap_eq(nmi_after, 1, "waits still when that IRETQ faults");
    tap_eq(nmi_seen, 2, "and comes after one that completes");
}

static void test_alignment(void)
{
    static uint64_t place[4] __attribute__((aligned(64)));
    struct modes_state *m;

    /* rows: pitfalls 9.1, events 4.4 */
    m = modes_begin(MODE_LONG_USER, h_ac);
    m->cr0 |= UINT64_C(0x40000);
    m->regs[M_BX] = (uintptr_t)place;
    RUN_FAULT(h_ac, EXC_AC, 0, "CPL 3, AM and AC: a misaligned read is #AC(0)");
    m = modes_begin(MODE_LONG_USER, h_ac_stack);
    m->cr0 |= UINT64_C(0x40000);
    m->regs[M_BX] = (uintptr_t)place;
    RUN_FAULT(h_ac_stack, EXC_AC, 0, "a misaligned POP too");
    m = modes_begin(MODE_LONG, h_ac);
    m->cr0 |= UINT64_C(0x40000);
    m->regs[M_BX] = (uintptr_t)place;
    RUN_PASS(h_ac, "not at CPL 0");
    m = modes_begin(MODE_LONG_USER, h_ac);
    m->regs[M_BX] = (uintptr_t)place;
    RUN_PASS(h_ac, "not with AM=0");
    /* rows: pitfalls 10.9, events 3.2.8 */
    m = modes_begin(MODE_LONG_USER, h_ac);
    m->cr0 |= UINT64_C(0x40000);
    m->regs[M_BX] = PAGING_WINDOW;
    RUN_FAULT(h_ac, EXC_AC, 0, "#AC comes before #PF of the same access");
    m = modes_begin(MODE_LONG_USER, h_ac);
    m->cr0 |= UINT64_C(0x40000);
    m->regs[M_BX] = UINT64_C(1) << 63;
    RUN_FAULT(h_ac, EXC_GP, 0, "canonical form before #AC");
}

static void test_string(void)
{
    struct mode_event e;

    /* rows: events 5.23, pitfalls 2.15 */
    begin(h_rep);
    apic_self_ipi(INTR);
    modes_run();
    e = modes_event(0);
    tap_eq(e.vector, INTR, "an interrupt and REP STOSB");
    tap_ok(e.ip == (uintptr_t)h_rep_insn, "comes at the instruction");
}

int rom_main(void)
{
    apic_init();
    test_shadows();
    test_order();
    test_nmi();
    test_alignment();
    test_string();
    tap_done();
}

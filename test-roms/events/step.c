/* step.c: single step, and where its trap comes.
 * APM vol 2, 13.1.4 "Single Stepping", 8.2.2 "#DB - Debug Exception", 13.1.1.3 "Debug-Control MSR". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define DR6_NONE UINT64_C(0xffff0ff0)
#define DR6_BS UINT64_C(0x4000)
#define MSR_DEBUGCTL 0x1d9u
#define BTF UINT64_C(2)

/* Labels <name>_1, _2 ... stand where traps are expected. */
#define AT(name) extern const char name[]
MODE_CODE64(s_nops, "s_nops_insn: nop\n s_nops_1: nop\n s_nops_2: nop\n s_nops_3:");
AT(s_nops_1), s_nops_2[], s_nops_3[];
MODE_CODE64(s_popf, "pushfq\n orl $0x100, (%rsp)\n popfq\n s_popf_1: nop\n s_popf_2: nop\n"
                    "s_popf_3: pushq $2\n s_popf_4: popfq\n s_popf_5: nop\n nop");
AT(s_popf_2), s_popf_3[], s_popf_4[], s_popf_5[];
MODE_CODE64(s_int, "pushfq\n orl $0x100, (%rsp)\n popfq\n int $0x40\n s_int_1: nop\n s_int_2: nop");
AT(s_int_1), s_int_2[];
MODE_CODE64(s_fault, "pushfq\n orl $0x100, (%rsp)\n popfq\n s_fault_insn: movl (%rbx), %eax");
MODE_CODE64(s_sti, "pushfq\n orl $0x100, (%rsp)\n popfq\n cli\n s_sti_1: sti\n s_sti_2: cli\n"
                   "s_sti_3: pushq $2\n s_sti_4: popfq\n s_sti_5:");
AT(s_sti_1), s_sti_2[], s_sti_3[], s_sti_4[], s_sti_5[];
MODE_CODE64(s_ss, "movw %ss, %ax\n pushfq\n orl $0x100, (%rsp)\n popfq\n movw %ax, %ss\n"
                  "s_ss_1: nop\n s_ss_2: nop\n s_ss_3: pushq $2\n s_ss_4: popfq\n s_ss_5:");
AT(s_ss_1), s_ss_2[], s_ss_3[], s_ss_4[], s_ss_5[];
MODE_CODE64(s_hlt, "pushfq\n orl $0x100, (%rsp)\n popfq\n hlt\n s_hlt_1:");
AT(s_hlt_1);
MODE_CODE64(s_rep, "movl $3, %ecx\n movl $0x600, %edi\n pushfq\n orl $0x100, (%rsp)\n popfq\n"
                   "s_rep_insn: rep stosb\n s_rep_1: nop");
AT(s_rep_1);
MODE_CODE64(s_icebp, "pushfq\n orl $0x100, (%rsp)\n popfq\n s_icebp_insn: .byte 0xf1\n"
                     "s_icebp_1: nop");
AT(s_icebp_1);
MODE_CODE64(s_branch, "s_branch_insn: nop\n nop\n jmp s_branch_1\n ud2\n s_branch_1: nop\n nop\n"
                      "testl %eax, %eax\n jnz 1f\n nop\n 1: nop");
AT(s_branch_1);
MODE_CODE64(s_syscall, "s_syscall_insn: syscall");
MODE_CODE64(s_entered, "nop\n nop");
MODE_CODE64(s_sysret, "s_sysret_insn: sysretq");
MODE_CODE32(s_v86_iret, "pushl $0\n pushl $0\n pushl $0\n pushl $0\n pushl $0\n pushl $0x1f00\n"
                        "pushl $0x23102\n pushl $0\n pushl $s_v86\n iretl");
MODE_CODE16(s_v86, "nop\n s_v86_1: nop");
AT(s_v86_1);

/* Which addresses #DB came from, in order. */
static void traps(const char *const at[], unsigned n, const char *what)
{
    bool passed = modes_count(EXC_DB) == n;
    unsigned seen = 0;

    for (unsigned i = 0; i < modes_events(); i++) {
        struct mode_event e = modes_event(i);

        if (e.vector != EXC_DB)
            continue;
        passed = passed && seen < n && e.ip == (uintptr_t)at[seen] && (e.dr6 & DR6_BS) != 0;
        seen++;
    }
    tap_ok(passed, "%s", what);
    for (unsigned i = 0; !passed && i < modes_events(); i++)
        rom_printf("#   vector %u at %lx, dr6 %lx\n", modes_event(i).vector, modes_event(i).ip,
                   modes_event(i).dr6);
}
#define TRAPS(what, ...)                                 \
    do {                                                 \
        static const char *const at[] = { __VA_ARGS__ }; \
        traps(at, sizeof at / sizeof at[0], what);       \
    } while (0)

static struct modes_state *begin(enum mode mode, const char *code)
{
    struct modes_state *m = modes_begin(mode, code);

    modes_resume[EXC_DB] = RESUME;
    write_dr6(DR6_NONE);
    return m;
}

static void test_where(void)
{
    struct modes_state *m;

    /* rows: events 5.5, 5.25, pitfalls 6.4 */
    m = begin(MODE_LONG, s_nops);
    m->rflags |= RFLAGS_TF;
    modes_run();
    TRAPS("IRETQ that sets TF: the trap comes after the next instruction", s_nops_1, s_nops_2,
          s_nops_3);
    /* rows: events 5.9, 1.2 */
    tap_eq(modes_event(0).flags & (RFLAGS_TF | RFLAGS_RF), RFLAGS_TF,
           "the image has TF and not RF");
    /* rows: events 5.25, pitfalls 6.4, 6.5 */
    begin(MODE_LONG, s_popf);
    modes_run();
    TRAPS("POPF that sets TF traps after the next, one that clears it after itself", s_popf_2,
          s_popf_3, s_popf_4, s_popf_5);
    /* rows: events 5.26, pitfalls 6.7 */
    begin(MODE_LONG, s_int);
    modes_resume[0x40] = RESUME;
    modes_run();
    tap_ok(modes_event(0).vector == 0x40 && (modes_event(0).flags & RFLAGS_TF) != 0,
           "INT: no trap before the handler's first instruction");
    tap_ok(modes_event(1).vector == EXC_DB && modes_event(1).ip == (uintptr_t)s_int_2,
           "after the IRETQ the next instruction traps");
    /* rows: events 5.25 */
    begin(MODE_LONG, s_fault)->regs[M_BX] = PAGING_WINDOW;
    RUN_FAULT(s_fault, EXC_PF, 0, "an instruction that faults does not step");
    tap_eq(modes_count(EXC_DB), 0, "no trap");
    /* rows: pitfalls 6.1 */
    begin(MODE_LONG, s_sti);
    modes_run();
    TRAPS("the shadow of STI holds no single step", s_sti_1, s_sti_2, s_sti_3, s_sti_4, s_sti_5);
    /* rows: events 5.29, 6.5, pitfalls 6.2 */
    begin(MODE_LONG, s_ss);
    modes_run();
    TRAPS("that of MOV SS does: one trap after the next instruction", s_ss_2, s_ss_3, s_ss_4,
          s_ss_5);
    /* rows: events 5.30, pitfalls 5.12 */
    begin(MODE_LONG, s_hlt);
    modes_run();
    TRAPS("HLT traps and does not halt", s_hlt_1);
}

static void test_strings(void)
{
    struct mode_event e;

    /* rows: events 5.5, pitfalls 2.15 */
    begin(MODE_LONG, s_rep);
    modes_run();
    TRAPS("REP STOSB traps after each iteration", s_rep_insn, s_rep_insn, s_rep_1, s_rep_end);
    e = modes_event(0);
    tap_eq(e.flags & RFLAGS_RF, 0, "with RF=0 in the image");
    /* rows: events 5.8, pitfalls 6.8 */
    begin(MODE_LONG, s_icebp);
    modes_run();
    e = modes_event(0);
    tap_ok(e.vector == EXC_DB && e.ip == (uintptr_t)s_icebp_1, "ICEBP is a trap");
    tap_eq(e.dr6 & 0xe00f, 0, "and sets no bit of DR6");
}

static void test_btf(void)
{
    struct modes_state *m = begin(MODE_LONG, s_branch);

    /* rows: events 5.27, 5.9, pitfalls 6.22 */
    m->rflags |= RFLAGS_TF;
    m->regs[M_AX] = 0;
    modes_resume[EXC_DB] = 0;
    wrmsr(MSR_DEBUGCTL, BTF);
    struct mode_event e = modes_run();
    tap_ok(e.vector == EXC_DB && e.ip == (uintptr_t)s_branch_1, "BTF: only a taken branch traps");
    tap_eq(rdmsr(MSR_DEBUGCTL) & BTF, 0, "#DB clears BTF");
    wrmsr(MSR_DEBUGCTL, 0);
}

static void test_syscall(void)
{
    struct modes_state *m;
    struct mode_event e;

    wrmsr(MSR_STAR, UINT64_C(0x0018000800000000));
    wrmsr(MSR_LSTAR, (uintptr_t)s_entered);
    /* rows: events 5.25, pitfalls 6.6 */
    wrmsr(MSR_SFMASK, RFLAGS_TF);
    m = begin(MODE_LONG_USER, s_syscall);
    m->rflags |= RFLAGS_TF;
    e = modes_run();
    tap_ok(modes_done(&e, s_entered_end) && modes_count(EXC_DB) == 0,
           "SYSCALL with SFMASK.TF=1: no trap");
    wrmsr(MSR_SFMASK, 0);
    m = begin(MODE_LONG_USER, s_syscall);
    m->rflags |= RFLAGS_TF;
    modes_resume[EXC_DB] = 0;
    modes_try(EXC_DB, 0, s_entered, "SYSCALL with SFMASK.TF=0: before the first instruction");
    m = begin(MODE_LONG, s_sysret);
    m->regs[M_CX] = (uintptr_t)s_nops;
    m->regs[M_R8 + 3] = RFLAGS_ONE | RFLAGS_TF;
    modes_resume[EXC_DB] = 0;
    paging_allow_user(true);
    modes_try(EXC_DB, 0, s_nops, "SYSRET that sets TF: before the first instruction");
    wrmsr(MSR_SFMASK, 0);
}

static void test_v86(void)
{
    begin(MODE_PROT32, s_v86_iret);
    modes_resume[EXC_DB] = 0;
    /* rows: events 5.25 */
    modes_try(EXC_DB, 0, s_v86_1, "IRETD to virtual-8086 mode with TF: after the next instruction");
}

int rom_main(void)
{
    test_where();
    test_strings();
    test_btf();
    test_syscall();
    test_v86();
    tap_done();
}

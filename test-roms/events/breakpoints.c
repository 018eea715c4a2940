/* breakpoints.c: the debug registers: execution, data and I/O breakpoints, general detect, RF.
 * APM vol 2, 13.1 "Software-Debug Resources", 3.1.6 "RFLAGS Register" (RF). */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define DR6_NONE UINT64_C(0xffff0ff0)
#define DR6_B(n) (UINT64_C(1) << (n))
#define DR6_BD UINT64_C(0x2000)
#define DR6_BS UINT64_C(0x4000)
#define DR6_CAUSES UINT64_C(0xe00f)
#define DR7_ONE UINT64_C(0x400)
#define DR7_GD UINT64_C(0x2000)
#define EXECUTE 0u
#define WRITE 1u
#define PORT 2u
#define ACCESS 3u
#define MSR_DR0_MASK 0xc0011027u

/* DR7: breakpoint n, by L or G. length: 0 1 byte, 1 2 bytes, 3 4 bytes, 2 8 bytes. */
static uint64_t local(unsigned n, unsigned kind, unsigned length)
{
    return DR7_ONE | UINT64_C(1) << (2 * n) | (uint64_t)(kind | length << 2) << (16 + 4 * n);
}

static uint64_t global(unsigned n, unsigned kind, unsigned length)
{
    return local(n, kind, length) ^ UINT64_C(3) << (2 * n);
}

#define AT(name) extern const char name[]
MODE_CODE64(b_nops, "nop\n b_nops_insn: nop\n b_nops_1: nop");
MODE_CODE64(b_prefix, "nop\n b_prefix_insn: .byte 0x66, 0x66\n b_prefix_1: nop\n nop");
AT(b_nops_1), b_prefix_1[];
MODE_CODE64(b_fetch, "b_fetch_insn: jmp *%rbx");
MODE_CODE64(b_write, "movb $0x5a, (%rbx)\n b_write_1: nop");
MODE_CODE64(b_write4, "movl $0x5a5a5a5a, (%rbx)\n b_write4_1: nop");
MODE_CODE64(b_read, "movb (%rbx), %al\n b_read_1: nop");
MODE_CODE64(b_write8, "movq %rax, (%rbx)\n b_write8_1: nop");
AT(b_write_1), b_write4_1[], b_read_1[], b_write8_1[];
MODE_CODE64(b_rep, "movl $4, %ecx\n movq %rbx, %rdi\n b_rep_insn: rep stosb\n b_rep_1: nop");
AT(b_rep_1);
MODE_CODE64(b_out, "outb %al, $0x80\n b_out_1: outb %al, $0xed\n b_out_2: nop");
AT(b_out_1);
MODE_CODE64(b_gd, "b_gd_insn: movq %dr0, %rax");
MODE_CODE64(b_gd7, "b_gd7_insn: movq %rax, %dr7");
MODE_CODE64(b_dr4, "b_dr4_insn: .byte 0x0f, 0x21, 0xe0\n movq %rax, %rbx\n movq %dr6, %rcx\n"
                   ".byte 0x0f, 0x21, 0xe8\n movq %rax, %rsi\n movq %dr7, %rdx");
MODE_CODE64(b_dr8, "b_dr8_insn: .byte 0x44, 0x0f, 0x21, 0xc0");
MODE_CODE64(b_set6, "b_set6_insn: movq %rax, %dr6\n movq %dr6, %rbx");
MODE_CODE64(b_set7, "b_set7_insn: movq %rax, %dr7\n movq %dr7, %rbx\n movl $0x400, %eax\n"
                    "movq %rax, %dr7");
MODE_CODE64(b_set0, "movq %rax, %dr0\n movq %dr0, %rbx");
MODE_CODE64(b_user_dr, "b_user_dr_insn: movq %dr7, %rax");
MODE_CODE64(b_ss, "movw %ss, %ax\n movw %ax, (%rbx)\n b_ss_0: movw (%rbx), %ss\n b_ss_1: nop\n"
                  "b_ss_2: nop");
AT(b_ss_2);
MODE_CODE64(b_ss_int3,
            "movw %ss, %ax\n movw %ax, 0x600\n movw 0x600, %ss\n int3\n b_ss_int3_1: nop");
AT(b_ss_int3_1);
MODE_CODE64(b_ss_fault, "movw %ss, %ax\n movw %ax, 0x600\n movw 0x600, %ss\n"
                        "b_ss_fault_insn: movl (%rcx), %eax");
MODE_CODE64(int3_handler, "nop");
MODE_CODE64(b_step, "pushfq\n orl $0x100, (%rsp)\n popfq\n nop\n b_step_1: nop\n b_step_2: nop");
AT(b_step_1), b_step_2[];
MODE_CODE64(b_rf, "pushfq\n orl $0x10000, (%rsp)\n popfq\n pushfq\n popq %rax");
MODE_CODE64(b_gp, "b_gp_insn: movl (%rbx), %eax");
MODE_CODE64(b_int, "b_int_insn: int $0x40");
MODE_CODE64(b_push, "b_push_insn: pushq %rax\n b_push_1: nop");
AT(b_push_1);
MODE_CODE32(b_dr32, "b_dr32_insn: movl %eax, %dr7\n movl %dr7, %ebx\n movl $0x400, %eax\n"
                    "movl %eax, %dr7");

static uint64_t watched[8] __attribute__((aligned(64)));

static struct modes_state *begin(const char *code, uint64_t dr0, uint64_t dr7)
{
    struct modes_state *m = modes_begin(MODE_LONG, code);

    write_dr7(DR7_ONE);
    write_dr0(dr0);
    write_dr6(DR6_NONE);
    write_dr7(dr7);
    m->regs[M_BX] = (uintptr_t)watched;
    return m;
}

/* The first event is #DB from `at` with these causes; none if `at` is NULL. */
static void hits(const char *at, uint64_t causes, const char *what)
{
    struct mode_event e = modes_run();
    bool passed =
        at != NULL ? e.vector == EXC_DB && e.ip == (uintptr_t)at && (e.dr6 & DR6_CAUSES) == causes
                   : e.vector == EXC_UD;

    tap_ok(passed, "%s", what);
    if (!passed)
        rom_printf("#   vector %u at %lx, dr6 %lx\n", e.vector, e.ip, e.dr6);
}

static void test_execute(void)
{
    const uint64_t at = (uintptr_t)b_nops_insn;
    struct mode_event e;

    /* rows: events 5.1, 5.17, 5.21, pitfalls 6.16 */
    begin(b_nops, at, local(0, EXECUTE, 0));
    hits(b_nops_insn, DR6_B(0), "an execution breakpoint is a fault");
    e = modes_event(0);
    tap_eq(e.flags & RFLAGS_RF, 0, "with RF=0 in the image");
    begin(b_nops, at, global(0, EXECUTE, 0));
    hits(b_nops_insn, DR6_B(0), "G enables as L does");
    begin(b_nops, at, DR7_ONE);
    hits(NULL, 0, "neither: nothing");
    begin(b_prefix, (uintptr_t)b_prefix_insn, local(0, EXECUTE, 0));
    hits(b_prefix_insn, DR6_B(0), "the address is that of the first prefix");
    begin(b_prefix, (uintptr_t)b_prefix_1, local(0, EXECUTE, 0));
    hits(NULL, 0, "not of a later byte");
    begin(b_fetch, PAGING_WINDOW, local(0, EXECUTE, 0))->regs[M_BX] = PAGING_WINDOW;
    e = modes_run();
    tap_ok(e.vector == EXC_DB && e.ip == PAGING_WINDOW, "it comes before the #PF of the fetch");
    for (unsigned n = 1; n < 4; n++) {
        begin(b_nops, 0, DR7_ONE);
        n == 1 ? write_dr1(at) : n == 2 ? write_dr2(at) : write_dr3(at);
        write_dr7(local(n, EXECUTE, 0));
        hits(b_nops_insn, DR6_B(n), "DR1, DR2 and DR3 too");
    }
    /* rows: events 5.22, pitfalls 6.17 */
    begin(b_nops, at, local(0, EXECUTE, 0));
    modes_resume[EXC_DB] = RESUME | RESUME_RF;
    e = modes_run();
    tap_ok(modes_done(&e, b_nops_end) && modes_count(EXC_DB) == 1,
           "IRETQ with RF=1 lets the instruction run once");
    begin(b_nops, at, local(0, EXECUTE, 0));
    write_dr1((uintptr_t)b_nops_1);
    write_dr7(local(0, EXECUTE, 0) | local(1, EXECUTE, 0));
    modes_resume[EXC_DB] = RESUME | RESUME_RF;
    e = modes_run();
    tap_ok(modes_done(&e, b_nops_end) && modes_count(EXC_DB) == 2,
           "RF is clear for the one behind it");
}

static void data(const char *code, const char *at, uint64_t offset, unsigned kind, unsigned length,
                 int64_t access, bool hit, const char *what)
{
    begin(code, (uintptr_t)watched + 16 + offset, local(0, kind, length))->regs[M_BX] =
        (uintptr_t)watched + 16 + (uint64_t)access;
    hits(hit ? at : NULL, DR6_B(0), what);
}

static void test_data(void)
{
    /* rows: events 5.3, 5.18, 5.19, 5.20, pitfalls 6.18 */
    data(b_write, b_write_1, 0, WRITE, 0, 0, true, "a write breakpoint is a trap");
    tap_eq(*((uint8_t *)watched + 16), 0x5a, "the write is done");
    data(b_read, b_read_1, 0, WRITE, 0, 0, false, "a read does not match it");
    data(b_read, b_read_1, 0, ACCESS, 0, 0, true, "it matches a read-write breakpoint");
    data(b_write, b_write_1, 0, ACCESS, 0, 0, true, "so does a write");
    data(b_write, b_write_1, 0, WRITE, 0, 1, false, "1 byte: not the next");
    data(b_write, b_write_1, 0, WRITE, 1, 1, true, "2 bytes: the second");
    data(b_write, b_write_1, 0, WRITE, 1, 2, false, "2 bytes: not the third");
    data(b_write, b_write_1, 0, WRITE, 3, 3, true, "4 bytes: the last");
    data(b_write, b_write_1, 0, WRITE, 3, 4, false, "4 bytes: not the fifth");
    data(b_write, b_write_1, 0, WRITE, 2, 7, true, "8 bytes: the last");
    data(b_write, b_write_1, 0, WRITE, 2, 8, false, "8 bytes: not the ninth");
    data(b_write, b_write_1, 3, WRITE, 3, 0, true, "low bits of the address are ignored");
    data(b_write4, b_write4_1, 3, WRITE, 0, 0, true, "an access that overlaps at its end");
    data(b_write4, b_write4_1, 0, WRITE, 3, -3, true, "an access that overlaps at its start");
    data(b_write4, b_write4_1, 4, WRITE, 0, 0, false, "an access that ends before it");
    data(b_write8, b_write8_1, 7, WRITE, 0, 0, true, "the eighth byte of 8");
    begin(b_push, (uintptr_t)modes_stack - 8, local(0, WRITE, 2));
    hits(b_push_1, DR6_B(0), "PUSH is a write");
    /* rows: events 5.3, pitfalls 2.15 */
    begin(b_rep, (uintptr_t)watched + 1, local(0, WRITE, 0));
    hits(b_rep_insn, DR6_B(0), "REP STOSB: after the iteration");
    tap_eq(modes_reg(M_CX), 2, "with the others to come");
    /* rows: events 5.10, pitfalls 6.10 */
    begin(b_write, (uintptr_t)watched, local(0, WRITE, 0));
    write_dr1((uintptr_t)watched);
    write_dr2((uintptr_t)watched);
    write_dr7(local(0, WRITE, 0) | (local(1, WRITE, 0) & ~UINT64_C(4)) | local(2, WRITE, 0));
    hits(b_write_1, DR6_B(0) | DR6_B(2), "all that match and are enabled are reported");
    begin(b_write, (uintptr_t)watched, local(0, WRITE, 0));
    write_dr6(DR6_NONE | DR6_B(3) | DR6_BD);
    /* rows: events 5.11, pitfalls 6.11 */
    hits(b_write_1, DR6_B(0) | DR6_BD, "B3 is cleared, BD stays");
    /* rows: events 5.5, pitfalls 6.9 */
    begin(b_step, (uintptr_t)b_step_1, local(0, EXECUTE, 0));
    modes_resume[EXC_DB] = RESUME | RESUME_RF;
    modes_run();
    struct mode_event e = modes_event(0);
    tap_ok(e.ip == (uintptr_t)b_step_1 && (e.dr6 & DR6_CAUSES) == DR6_BS,
           "single step before an execution breakpoint: its own #DB");
}

static void test_port(void)
{
    struct modes_state *m;

    /* rows: events 5.4, 5.18, pitfalls 6.19 */
    m = begin(b_out, 0x80, DR7_ONE);
    write_cr4(read_cr4() | CR4_DE);
    write_dr7(local(0, PORT, 0));
    m->cr4 |= CR4_DE;
    hits(b_out_1, DR6_B(0), "an I/O breakpoint is a trap");
    m = begin(b_out, 0x81, DR7_ONE);
    write_dr7(local(0, PORT, 0));
    m->cr4 |= CR4_DE;
    hits(NULL, 0, "another port does not match");
    write_dr7(DR7_ONE);
    write_cr4(read_cr4() & ~CR4_DE);
}

static void test_detect(void)
{
    struct mode_event e;

    /* rows: events 5.2, 5.9, pitfalls 6.13 */
    begin(b_gd, 0, DR7_ONE | DR7_GD);
    hits(b_gd_insn, DR6_BD, "GD: MOV from DR0 is #DB, a fault");
    tap_eq(modes_dr7() & DR7_GD, 0, "#DB clears GD");
    begin(b_gd7, 0, DR7_ONE | DR7_GD);
    hits(b_gd7_insn, DR6_BD, "GD: so is MOV to DR7");
    /* rows: events 5.15, pitfalls 6.14 */
    write_dr7(DR7_ONE);
    begin(b_dr4, 0, DR7_ONE);
    RUN_PASS(b_dr4, "DE=0: DR4 and DR5 are there");
    tap_ok(modes_reg(M_BX) == modes_reg(M_CX) && modes_reg(M_SI) == modes_reg(M_DX),
           "as other names of DR6 and DR7");
    begin(b_dr4, 0, DR7_ONE)->cr4 |= CR4_DE;
    RUN_FAULT(b_dr4, EXC_UD, 0, "DE=1: DR4 is #UD");
    begin(b_dr4, 0, DR7_ONE | DR7_GD)->cr4 |= CR4_DE;
    modes_run(); /* the gate of #UD reads DR6, which is the #DB that ends it */
    e = modes_event(0);
    tap_eq(e.vector, EXC_UD, "and that before GD");
    write_dr7(DR7_ONE);
    begin(b_dr8, 0, DR7_ONE);
    RUN_FAULT(b_dr8, EXC_UD, 0, "DR8 is #UD");
    FAULT(MODE_LONG_USER, b_user_dr, EXC_GP, 0, "CPL 3 is #GP(0)");
}

static void test_bits(void)
{
    struct modes_state *m;

    /* rows: events 5.13, 5.14, pitfalls 6.12, 6.15 */
    begin(b_set6, 0, DR7_ONE)->regs[M_AX] = 0;
    RUN_PASS(b_set6, "DR6 := 0");
    tap_eq(modes_reg(M_BX) & ~UINT64_C(0x800), DR6_NONE & ~UINT64_C(0x800),
           "reads ffff0ff0, but for bit 11");
    begin(b_set6, 0, DR7_ONE)->regs[M_AX] = 0xffffffff;
    RUN_PASS(b_set6, "DR6 := ffffffff");
    tap_eq(modes_reg(M_BX), 0xffffefff, "bit 12 reads 0");
    write_dr6(DR6_NONE);
    begin(b_set6, 0, DR7_ONE)->regs[M_AX] = UINT64_C(1) << 32;
    RUN_FAULT(b_set6, EXC_GP, 0, "DR6: bit 32 is #GP(0)");
    begin(b_set7, 0, DR7_ONE)->regs[M_AX] = UINT64_C(1) << 63;
    RUN_FAULT(b_set7, EXC_GP, 0, "DR7: bit 63 is #GP(0)");
    begin(b_set7, 0, DR7_ONE)->regs[M_AX] = 0;
    RUN_PASS(b_set7, "DR7 := 0");
    tap_eq(modes_reg(M_BX), DR7_ONE, "bit 10 reads 1");
    begin(b_set7, 0, DR7_ONE)->regs[M_AX] = 0xd000;
    RUN_PASS(b_set7, "DR7 := d000");
    tap_eq(modes_reg(M_BX), DR7_ONE, "bits 15, 14 and 12 read 0");
    begin(b_set0, 0, DR7_ONE)->regs[M_AX] = UINT64_C(1) << 63 | 1;
    RUN_PASS(b_set0, "DR0 holds 64 bits");
    tap_eq(modes_reg(M_BX), UINT64_C(1) << 63 | 1, "canonical or not");
    write_dr0(0);
    m = modes_begin(MODE_PROT32, b_dr32);
    m->regs[M_AX] = 0xffff0000;
    RUN_PASS(b_dr32, "outside 64-bit mode 32 bits are written");
    tap_eq(modes_reg(M_BX), 0xffff0400, "and read");
}

static void test_shadow(void)
{
    struct mode_event e;

    /* rows: events 5.29, 6.8, 6.11, pitfalls 6.2 */
    begin(b_ss, (uintptr_t)watched, local(0, ACCESS, 1));
    modes_resume[EXC_DB] = RESUME;
    modes_run();
    e = modes_event(1);
    tap_ok(e.vector == EXC_DB && e.ip == (uintptr_t)b_ss_2,
           "MOV SS from watched memory: #DB after the next instruction");
    begin(b_ss_int3, 0x600, DR7_ONE);
    modes_idt_gate64(EXC_BP)[0] =
        modes_gate(SEL_CODE64, (uint32_t)(uintptr_t)int3_handler, 0x8e | SEG_DPL(3), 0);
    modes_resume[EXC_DB] = RESUME;
    write_dr7(local(0, ACCESS, 1));
    modes_run();
    e = modes_event(modes_count(EXC_DB) - 1);
    tap_ok(e.vector == EXC_DB && e.ip == (uintptr_t)int3_handler,
           "before INT3: #DB at the handler's first instruction");
    begin(b_ss_fault, 0x600, local(0, ACCESS, 1))->regs[M_CX] = PAGING_WINDOW;
    modes_resume[EXC_DB] = RESUME;
    e = modes_run();
    tap_ok(e.vector == EXC_PF && modes_count(EXC_DB) == 1,
           "before an instruction that faults: lost");
}

static void test_rf(void)
{
    struct mode_event e;

    /* rows: events 5.23, 8.3.2, pitfalls 2.17, 6.17 */
    begin(b_gp, 0, DR7_ONE)->regs[M_BX] = UINT64_C(1) << 63;
    e = RUN_FAULT(b_gp, EXC_GP, 0, "a fault");
    tap_eq(e.flags & RFLAGS_RF, RFLAGS_RF, "has RF=1 in its image");
    begin(b_int, 0, DR7_ONE);
    e = modes_try(0x40, 0, b_int_insn + 2, "INT");
    tap_eq(e.flags & RFLAGS_RF, 0, "has RF=0");
    begin(b_rf, 0, DR7_ONE);
    RUN_PASS(b_rf, "POPF with RF in the image");
    tap_eq(modes_reg(M_AX) & RFLAGS_RF, 0, "PUSHF shows RF=0");
}

static void test_mask(void)
{
    if ((cpuid_checked(0x80000001, 0).ecx >> 26 & 1) == 0) {
        tap_skip("no DBEXT", "address masks");
        return;
    }
    /* rows: events 5.20, pitfalls 6.20 */
    wrmsr(MSR_DR0_MASK, 0xf);
    data(b_write, b_write_1, 0, WRITE, 0, 15, true, "a mask widens the match");
    data(b_write, b_write_1, 0, WRITE, 0, 16, false, "up to its bits");
    wrmsr(MSR_DR0_MASK, 0);
}

int rom_main(void)
{
    test_execute();
    test_data();
    test_port();
    test_detect();
    test_bits();
    test_shadow();
    test_rf();
    test_mask();
    write_dr7(DR7_ONE);
    tap_done();
}

/* iret.c: IRET in protected and long mode: its checks, what it pops, the flags it loads.
 * APM vol 3, "IRET, IRETD, IRETQ"; vol 2, 8.7.6 "Interrupt Return", 8.9 "Long-Mode Interrupt Control
 * Transfers". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define VM UINT64_C(0x20000)
#define VIF UINT64_C(0x80000)
#define VIP UINT64_C(0x100000)
#define ID UINT64_C(0x200000)
#define STATUS UINT64_C(0xcd5) /* CF PF AF ZF SF DF OF */

/* EAX CS(EBX) flags(ESI) and, for another level, ESP(ECX) SS(EDX). */
MODE_CODE32(i_same, "pushl %esi\n pushl %ebx\n pushl %eax\n i_same_insn: iretl");
MODE_CODE32(i_outer, "pushl %edx\n pushl %ecx\n pushl %esi\n pushl %ebx\n pushl %eax\n"
                     "i_outer_insn: iretl");
MODE_CODE32(i_word, "pushw %si\n pushw %bx\n pushw %ax\n i_word_insn: iretw");
MODE_CODE64(i_quad, "pushq %rdx\n pushq %rcx\n pushq %rsi\n pushq %rbx\n pushq %rax\n"
                    "i_quad_insn: iretq");
MODE_CODE64(i_double, "subq $20, %rsp\n movl %eax, (%rsp)\n movl %ebx, 4(%rsp)\n"
                      "movl %esi, 8(%rsp)\n movl %ecx, 12(%rsp)\n movl %edx, 16(%rsp)\n"
                      "i_double_insn: iretl");
MODE_CODE64(i_quad_nt, "pushfq\n orq $0x4000, (%rsp)\n popfq\n i_quad_nt_insn: iretq");
MODE_CODE32(i_nt, "pushfl\n orl $0x4000, (%esp)\n popfl\n i_nt_insn: iretl");
MODE_CODE32(there, "pushfl\n popl %eax");
MODE_CODE64(there64, "movw %ss, %ax");

static struct modes_state *iret(enum mode mode, const char *code, uint16_t cs, uint64_t flags,
                                uint16_t ss)
{
    struct modes_state *m = modes_begin(mode, code);

    m->regs[M_AX] = (uintptr_t)there;
    m->regs[M_BX] = cs;
    m->regs[M_SI] = flags;
    m->regs[M_CX] = (uintptr_t)modes_user_stack;
    m->regs[M_DX] = ss;
    return m;
}

static uint64_t code_segment(unsigned type)
{
    return modes_descriptor(0, 0xfffff, type, SEG_G | SEG_BIG);
}

static void to_cs(uint16_t cs, uint64_t descriptor, unsigned vector, uint64_t error,
                  const char *what)
{
    iret(MODE_PROT32, i_same, cs, RFLAGS_ONE, 0);
    if ((cs & ~3u) != 0)
        modes_set(cs & ~3u, descriptor);
    modes_try(vector, error, vector == EXC_UD ? there_end : i_same_insn, what);
}

static void test_cs(void)
{
    const uint16_t s = modes_free(0);

    /* rows: events 8.2.3, events 8.2.4, events 8.2.5, events 8.2.7, events 8.2.9 */
    to_cs(0, 0, EXC_GP, 0, "null CS is #GP(0)");
    to_cs(s, code_segment(0x9b), EXC_UD, 0, "the same level");
    to_cs(s, code_segment(0x93), EXC_GP, s, "data is #GP(CS)");
    to_cs(s, 0, EXC_GP, s, "an empty descriptor is #GP(CS)");
    to_cs(s, code_segment(0x9b | SEG_DPL(2)), EXC_GP, s, "DPL other than RPL is #GP(CS)");
    to_cs(s, code_segment(0x9f), EXC_UD, 0, "conforming with DPL = RPL");
    to_cs(s, code_segment(0x9f | SEG_DPL(1)), EXC_GP, s, "conforming with DPL > RPL is #GP(CS)");
    to_cs(s, code_segment(0x1b), EXC_NP, s, "P=0 is #NP(CS)");
    iret(MODE_PROT32, i_same, MODES_GDT_ENTRIES * 8, RFLAGS_ONE, 0);
    RUN_FAULT(i_same, EXC_GP, MODES_GDT_ENTRIES * 8, "beyond the GDT is #GP(CS)");
    /* rows: events 8.2.6 */
    iret(MODE_PROT32_USER, i_same, SEL_CODE32, RFLAGS_ONE, 0);
    RUN_FAULT(i_same, EXC_GP, SEL_CODE32, "a higher privilege is #GP(CS)");
    /* rows: events 8.2.14 */
    to_cs(s, modes_descriptor(0, 0xfff, 0x9b, SEG_BIG), EXC_GP, 0,
          "an offset above the limit is #GP(0) at the IRET");
}

static void outer(uint16_t ss, uint64_t descriptor, unsigned vector, uint64_t error,
                  const char *what)
{
    iret(MODE_PROT32, i_outer, SEL_USER_CODE32, RFLAGS_ONE, ss);
    if ((ss & ~3u) != 0)
        modes_set(ss & ~3u, descriptor);
    modes_try(vector, error, vector == EXC_UD ? there_end : i_outer_insn, what);
}

static void test_outer(void)
{
    const uint16_t s = modes_free(2);
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 8.2.11, events 8.2.12, events 8.2.13 */
    outer(0, 0, EXC_GP, 0, "CPL 3: null SS is #GP(0)");
    outer(s | 3, code_segment(0x93 | SEG_DPL(3)), EXC_UD, 0, "CPL 3: writable data");
    outer(s, code_segment(0x93 | SEG_DPL(3)), EXC_GP, s, "CPL 3: SS.RPL 0 is #GP(SS)");
    outer(s | 3, code_segment(0x93), EXC_GP, s, "CPL 3: SS.DPL 0 is #GP(SS)");
    outer(s | 3, code_segment(0x91 | SEG_DPL(3)), EXC_GP, s, "CPL 3: read-only data is #GP(SS)");
    outer(s | 3, code_segment(0x13 | SEG_DPL(3)), EXC_SS, s, "CPL 3: P=0 is #SS(SS)");
    /* rows: events 8.2.15, events 8.2.16, pitfalls 3.9 */
    m = iret(MODE_PROT32, i_outer, SEL_USER_CODE32, RFLAGS_ONE, SEL_USER_DATA);
    m->es = SEL_USER_DATA;
    m->gs = 0;
    modes_set(modes_free(1), code_segment(0x9f));
    m->fs = modes_free(1);
    e = modes_try(EXC_UD, 0, there_end, "IRET to CPL 3");
    tap_eq(e.sp, (uintptr_t)modes_user_stack, "pops ESP");
    tap_eq(modes_seg_ds(), 0, "DS with DPL 0 is null");
    tap_eq(modes_seg_es(), SEL_USER_DATA, "ES with DPL 3 stays");
    tap_eq(modes_seg_fs(), modes_free(1), "FS with conforming code stays");
}

/* What the code at `there` finds in its flags: all that can be set asked for. */
static void flags(enum mode mode, const char *code, uint64_t start, uint64_t want, const char *what)
{
    const uint64_t asked =
        STATUS | RFLAGS_ONE | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_AC | ID | VIF | VIP;
    struct modes_state *m =
        iret(mode, code, mode == MODE_PROT32 ? SEL_CODE32 : SEL_USER_CODE32, asked, 0);
    struct mode_event e;

    m->rflags |= start;
    e = modes_run();
    tap_ok(e.vector == EXC_UD && (e.flags & (asked & ~RFLAGS_ONE)) == want, "%s", what);
    if ((e.flags & (asked & ~RFLAGS_ONE)) != want)
        rom_printf("#   vector %u, flags %lx, want %lx\n", e.vector, e.flags, want);
}

static void test_flags(void)
{
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 8.3.1, events 8.3.2, events 8.3.3, events 8.3.4, events 8.3.5 */
    flags(MODE_PROT32, i_same, 0, STATUS | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_AC | ID | VIF | VIP,
          "CPL 0 loads all flags");
    flags(MODE_PROT32, i_word, 0, STATUS | RFLAGS_IF | RFLAGS_IOPL,
          "16-bit operand size loads the low half");
    flags(MODE_PROT32_USER, i_same, 0, STATUS | RFLAGS_AC | ID,
          "CPL 3 with IOPL 0: neither IF nor IOPL, VIF, VIP");
    flags(MODE_PROT32_USER, i_same, RFLAGS_IOPL, STATUS | RFLAGS_AC | ID | RFLAGS_IF | RFLAGS_IOPL,
          "CPL 3 with IOPL 3: IF, IOPL stays");
    flags(MODE_PROT32_USER, i_same, UINT64_C(0x2000), STATUS | RFLAGS_AC | ID | UINT64_C(0x2000),
          "CPL 3 with IOPL 2: no IF");
    iret(MODE_PROT32, i_same, SEL_CODE32, RFLAGS_ONE | RFLAGS_RF, 0);
    e = modes_run();
    tap_ok(e.vector == EXC_UD && (e.flags & RFLAGS_RF) != 0, "a fault has RF in its image");
    /* rows: events 8.3.6 */
    m = iret(MODE_PROT32_USER, i_same, SEL_USER_CODE32, RFLAGS_ONE | VM, 0);
    m->regs[M_AX] = (uintptr_t)there;
    e = modes_try(EXC_UD, 0, there_end, "CPL 3: VM of the image is ignored");
    tap_eq(e.flags & VM, 0, "and not loaded");
}

static void test_long(void)
{
    const uint16_t s = modes_free(0);
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 8.2.10, pitfalls 3.13 */
    m = iret(MODE_LONG, i_quad, SEL_CODE64, RFLAGS_ONE, SEL_DATA);
    m->regs[M_AX] = (uintptr_t)there64;
    e = modes_try(EXC_UD, 0, there64_end, "64-bit mode: IRETQ to the same level");
    tap_eq(e.sp, (uintptr_t)modes_user_stack, "pops RSP");
    m = iret(MODE_LONG, i_double, SEL_CODE64, RFLAGS_ONE, SEL_DATA);
    m->regs[M_AX] = (uintptr_t)there64;
    e = modes_try(EXC_UD, 0, there64_end, "64-bit mode: IRETD to the same level");
    tap_eq(e.sp, (uintptr_t)modes_user_stack, "pops ESP and SS too");
    /* rows: events 8.2.11, pitfalls 3.4 */
    m = iret(MODE_LONG, i_quad, SEL_CODE64, RFLAGS_ONE, 0);
    m->regs[M_AX] = (uintptr_t)there64;
    e = modes_try(EXC_UD, 0, there64_end, "64-bit mode: null SS at CPL 0");
    tap_eq(modes_reg(M_AX) & 0xffff, 0, "is loaded");
    /* rows: events 8.2.8, pitfalls 3.8 */
    iret(MODE_LONG, i_quad, s, RFLAGS_ONE, SEL_DATA);
    modes_set(s, code_segment(0x9b) | UINT64_C(1) << 53);
    RUN_FAULT(i_quad, EXC_GP, s, "L=1 with D=1 is #GP(CS)");
    /* rows: events 8.2.2, events 8.3.6, pitfalls 3.13 */
    m = iret(MODE_LONG, i_quad, SEL_CODE64, RFLAGS_ONE | VM, SEL_DATA);
    m->regs[M_AX] = (uintptr_t)there64;
    e = modes_try(EXC_UD, 0, there64_end, "long mode: VM of the image is ignored");
    tap_eq(e.flags & VM, 0, "and not loaded");
    /* rows: events 8.1.5, pitfalls 3.13, pitfalls 3.30, events 10.5 */
    modes_begin(MODE_LONG, i_quad_nt);
    RUN_FAULT(i_quad_nt, EXC_GP, 0, "IRETQ with NT=1 is #GP(0)");
    modes_begin(MODE_COMPAT32, i_nt);
    RUN_FAULT(i_nt, EXC_GP, 0, "IRETD with NT=1 in compatibility mode is #GP(0)");
    /* rows: events 8.2.14 */
    m = iret(MODE_LONG, i_quad, SEL_CODE64, RFLAGS_ONE, SEL_DATA);
    m->regs[M_AX] = UINT64_C(1) << 47;
    RUN_FAULT(i_quad, EXC_GP, 0, "an address that is not canonical is #GP(0) at the IRETQ");
    /* rows: events 8.2.7 */
    m = iret(MODE_LONG, i_quad, SEL_CODE32, RFLAGS_ONE, SEL_DATA);
    e = modes_try(EXC_UD, 0, there_end, "IRETQ to compatibility mode");
    m = iret(MODE_LONG, i_quad, SEL_CODE32, RFLAGS_ONE, 0);
    RUN_FAULT(i_quad, EXC_GP, 0, "null SS for 32-bit code is #GP(0)");
}

int rom_main(void)
{
    test_cs();
    test_outer();
    test_flags();
    test_long();
    tap_done();
}

/* far.c: far CALL and JMP to code segments and through call gates, far RET.
 * APM vol 2, 4.11 "Data-Access..." and 4.12.2-4.12.4 "Direct Control Transfers", "Control Transfers Through Call Gates",
 * "Return Control Transfers". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define POINTER "0x500" /* offset, selector */
#define OFFSET 0x500

MODE_CODE32(f_call, "f_call_insn: lcall *" POINTER);
MODE_CODE32(f_jump, "f_jump_insn: ljmp *" POINTER);
MODE_CODE64(g_call, "g_call_insn: lcall *" POINTER);
MODE_CODE64(g_jump, "g_jump_insn: ljmp *" POINTER);
MODE_CODE32(f_ret, "pushl %ebx\n pushl %eax\n f_ret_insn: lret");
MODE_CODE32(f_ret8,
            "pushl %edx\n pushl %ecx\n pushl $0x1111\n pushl $0x2222\n pushl %ebx\n pushl %eax\n"
            "f_ret8_insn: lret $8");
MODE_CODE64(g_ret, "pushq %rdx\n pushq %rcx\n pushq %rbx\n pushq %rax\n g_ret_insn: lretq");
/* Where they lead. */
MODE_CODE32(target, "movl %esp, %ebp\n movw %cs, %ax\n movl (%ebp), %ebx\n movl 4(%ebp), %ecx\n"
                    "movl 8(%ebp), %edx\n movl 12(%ebp), %esi\n movl 16(%ebp), %edi");
MODE_CODE64(target64, "movq %rsp, %rbp\n movw %cs, %ax\n movq (%rbp), %rbx\n movq 8(%rbp), %rcx\n"
                      "movq 16(%rbp), %rdx\n movq 24(%rbp), %rsi\n movw %ss, %di");

static struct modes_state *far_to(enum mode mode, const char *code, uint16_t selector,
                                  const char *to)
{
    struct modes_state *m = modes_begin(mode, code);

    *(volatile uint32_t *)OFFSET = (uint32_t)(uintptr_t)to;
    *(volatile uint16_t *)(OFFSET + 4) = selector;
    return m;
}

static uint64_t code_segment(unsigned type)
{
    return modes_descriptor(0, 0xfffff, type, SEG_G | SEG_BIG);
}

static uint64_t code_segment64(unsigned type)
{
    return modes_descriptor(0, 0, type, SEG_L);
}

/* Both CALL and JMP to a code segment. Vector EXC_UD: they arrive. */
static void both(enum mode mode, uint16_t selector, uint64_t descriptor, unsigned vector,
                 uint64_t error, const char *what)
{
    bool is_long = mode == MODE_LONG, passed = true;

    for (unsigned i = 0; i < 2; i++) {
        const char *code = is_long ? i ? g_jump : g_call : i ? f_jump : f_call;
        const char *insn = is_long ? i ? g_jump_insn : g_call_insn : i ? f_jump_insn : f_call_insn;
        struct mode_event e;

        far_to(mode, code, selector, target);
        modes_set(selector & ~3u, descriptor);
        e = modes_run();
        passed = passed && e.vector == vector && e.error == error &&
                 e.ip == (uintptr_t)(vector == EXC_UD ? target_end : insn);
    }
    tap_ok(passed, "%s", what);
}

static void test_direct(void)
{
    const uint16_t s = modes_free(0);

    /* rows: events 9.1.1, events 9.1.2, events 9.1.3, events 9.1.4 */
    far_to(MODE_PROT32, f_call, 0, target);
    RUN_FAULT(f_call, EXC_GP, 0, "CALL to the null selector is #GP(0)");
    far_to(MODE_PROT32, f_jump, 3, target);
    RUN_FAULT(f_jump, EXC_GP, 0, "JMP to the null selector is #GP(0)");
    far_to(MODE_PROT32, f_jump, MODES_GDT_ENTRIES * 8, target);
    RUN_FAULT(f_jump, EXC_GP, MODES_GDT_ENTRIES * 8, "beyond the GDT is #GP(selector)");
    both(MODE_PROT32, s, code_segment(0x9b), EXC_UD, 0, "code with DPL = CPL");
    both(MODE_PROT32, s, code_segment(0x99), EXC_UD, 0, "execute-only code");
    both(MODE_PROT32, s, code_segment(0x93), EXC_GP, s, "data is #GP(selector)");
    both(MODE_PROT32, s, code_segment(0x9b | SEG_DPL(3)), EXC_GP, s, "DPL 3 at CPL 0");
    both(MODE_PROT32, s | 3, code_segment(0x9b), EXC_GP, s, "RPL 3 at CPL 0, not conforming");
    both(MODE_PROT32, s | 3, code_segment(0x9f), EXC_UD, 0, "RPL 3, conforming");
    both(MODE_PROT32, s, code_segment(0x9f | SEG_DPL(3)), EXC_GP, s, "conforming with DPL > CPL");
    both(MODE_PROT32, s, code_segment(0x1b), EXC_NP, s, "P=0 is #NP(selector)");
    both(MODE_PROT32, s, code_segment(0x1b | SEG_DPL(3)), EXC_GP, s, "the privilege comes first");
    both(MODE_PROT32_USER, s, code_segment(0x9b), EXC_GP, s, "CPL 3 to DPL 0");
    both(MODE_PROT32_USER, s, code_segment(0x9b | SEG_DPL(3)), EXC_UD, 0, "CPL 3 to DPL 3");
    far_to(MODE_PROT32_USER, f_jump, s, target);
    modes_set(s, code_segment(0x9f));
    struct mode_event e = modes_try(EXC_UD, 0, target_end, "CPL 3 to conforming code, DPL 0");
    tap_eq(e.cs, s | 3, "CPL stays 3");
    /* rows: events 9.1.5 */
    far_to(MODE_PROT32, f_jump, s, target);
    modes_set(s, modes_descriptor(0, (uint32_t)(uintptr_t)target - 1, 0x9b, SEG_BIG));
    RUN_FAULT(f_jump, EXC_GP, 0, "an offset above the limit is #GP(0)");
    /* rows: events 9.1.6, events 9.1.7 */
    far_to(MODE_PROT32, f_call, s | 0, target);
    modes_set(s, code_segment(0x9b));
    modes_run();
    tap_ok(modes_reg(M_BX) == (uintptr_t)f_call_end && modes_reg(M_CX) == SEL_CODE32,
           "CALL pushes EIP and CS");
}

static void test_system(void)
{
    const uint16_t s = modes_free(0);

    /* rows: events 9.1.8, events 9.1.9, events 9.1.10 */
    both(MODE_PROT32, s, modes_gate(SEL_CODE32, 0, 0x8e, 0), EXC_GP, s, "an interrupt gate");
    both(MODE_PROT32, s, modes_descriptor(0, 0xff, 0x82, 0), EXC_GP, s, "an LDT");
    both(MODE_PROT32, s, modes_descriptor(0, 0xff, 0x8b, 0), EXC_GP, s, "a busy TSS");
    both(MODE_PROT32, s, modes_gate(SEL_CODE32, 0, 0x0c, 0), EXC_NP, s,
         "a call gate with P=0 is #NP(gate)");
    both(MODE_PROT32_USER, s, modes_gate(SEL_CODE32, 0, 0x0c, 0), EXC_GP, s,
         "its DPL comes before P");
    both(MODE_PROT32, s | 3, modes_gate(SEL_CODE32, 0, 0x8c, 0), EXC_GP, s,
         "its DPL is held against RPL too");
    both(MODE_LONG, s, modes_gate(SEL_CODE64, 0, 0x84, 0), EXC_GP, s, "long mode: type 4");
    both(MODE_LONG, s, modes_descriptor(0, 0xff, 0x89, 0), EXC_GP, s, "long mode: a TSS");
    both(MODE_LONG, s, modes_gate(0, 0, 0x85, 0), EXC_GP, s, "long mode: a task gate");
    both(MODE_LONG, s, modes_gate(SEL_CODE64, 0, 0x0c, 0), EXC_NP, s, "long mode: P=0");
}

/* Through a gate at modes_free(4) (16 bytes) to `code` at modes_free(0). */
static struct modes_state *gate(enum mode mode, const char *insn, uint64_t code, unsigned type,
                                unsigned count)
{
    struct modes_state *m = far_to(mode, insn, modes_free(4) | 3, NULL);
    bool is_long = mode >= MODE_COMPAT16;

    modes_set(modes_free(0), code);
    modes_set(modes_free(4),
              modes_gate(modes_free(0), (uint32_t)(uintptr_t)(is_long ? target64 : target),
                         type | SEG_DPL(3), count));
    return m;
}

static void test_gate(void)
{
    const uint16_t s = modes_free(0);
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 9.2.8, events 7.3.1 */
    m = gate(MODE_PROT32_USER, f_call, code_segment(0x9b), 0x8c, 2);
    modes_store((void *)m->regs[M_SP], 0, 0xaaaa, 4);
    modes_store((void *)m->regs[M_SP], 4, 0xbbbb, 4);
    modes_try(EXC_UD, 0, target_end, "CALL gate to DPL 0");
    tap_eq(modes_reg(M_AX) & 0xffff, s, "CS has RPL 0");
    tap_ok(modes_reg(M_BX) == (uintptr_t)f_call_end && modes_reg(M_CX) == SEL_USER_CODE32,
           "EIP and CS are on the new stack");
    tap_ok(modes_reg(M_DX) == 0xaaaa && modes_reg(M_SI) == 0xbbbb, "then the parameters in order");
    tap_eq(modes_reg(M_DI), (uintptr_t)modes_user_stack, "then the old ESP");
    /* rows: events 9.2.3 */
    gate(MODE_PROT32, f_call, code_segment(0x9b), 0x8c, 2);
    modes_try(EXC_UD, 0, target_end, "CALL gate at the same level");
    tap_eq(modes_reg(M_CX), SEL_CODE32, "pushes CS and EIP only");
    gate(MODE_PROT32_USER, f_jump, code_segment(0x9b), 0x8c, 0);
    RUN_FAULT(f_jump, EXC_GP, s, "JMP by a gate to DPL 0 from CPL 3 is #GP(CS)");
    gate(MODE_PROT32_USER, f_jump, code_segment(0x9f), 0x8c, 0);
    e = modes_try(EXC_UD, 0, target_end, "JMP by a gate to conforming code");
    tap_eq(e.cs, s | 3, "keeps CPL");
    gate(MODE_PROT32_USER, f_call, code_segment(0x9f), 0x8c, 0);
    e = modes_try(EXC_UD, 0, target_end, "CALL by a gate to conforming code");
    tap_eq(e.cs, s | 3, "keeps CPL");
    gate(MODE_PROT32, f_call, code_segment(0x9b | SEG_DPL(3)), 0x8c, 0);
    RUN_FAULT(f_call, EXC_GP, s, "a gate to a lower privilege is #GP(CS)");
    gate(MODE_PROT32, f_call, code_segment(0x93), 0x8c, 0);
    RUN_FAULT(f_call, EXC_GP, s, "a gate to data is #GP(CS)");
    /* rows: events 9.2.2 */
    gate(MODE_PROT32, f_call, code_segment(0x9b), 0x8c, 0);
    modes_set(modes_free(4), modes_gate(0, 0, 0x8c | SEG_DPL(3), 0));
    RUN_FAULT(f_call, EXC_GP, 0, "a gate with a null CS is #GP(0)");
    gate(MODE_PROT32, f_call, code_segment(0x9b), 0x8c, 0);
    modes_set(modes_free(4), modes_gate(MODES_GDT_ENTRIES * 8, 0, 0x8c | SEG_DPL(3), 0));
    RUN_FAULT(f_call, EXC_GP, MODES_GDT_ENTRIES * 8, "a gate beyond the GDT is #GP(CS)");
    /* rows: events 9.2.5 */
    gate(MODE_PROT32, f_call, code_segment(0x1b), 0x8c, 0);
    RUN_FAULT(f_call, EXC_NP, s, "a gate to code with P=0 is #NP(CS)");
    /* rows: events 9.2.7 */
    gate(MODE_PROT32, f_call, modes_descriptor(0, 0xfff, 0x9b, SEG_BIG), 0x8c, 0);
    RUN_FAULT(f_call, EXC_GP, 0, "a gate's offset above the limit is #GP(0)");
}

static void stack_fault(uint16_t ss, uint64_t descriptor, unsigned vector, uint64_t error,
                        const char *what)
{
    gate(MODE_PROT32_USER, f_call, code_segment(0x9b), 0x8c, 0);
    if ((ss & ~3u) != 0)
        modes_set(ss & ~3u, descriptor);
    /* SS1 and code of DPL 1, so that the exception has a good stack. */
    modes_set(modes_free(0), code_segment(0x9b | SEG_DPL(1)));
    modes_store(modes_tss, 0x0c, 0x1800, 4);
    modes_store(modes_tss, 0x10, ss, 4);
    RUN_FAULT(f_call, vector, error, what);
}

static void test_gate_stack(void)
{
    const uint16_t s = modes_free(2);

    /* rows: events 7.3.2, events 7.3.3, events 7.3.4, events 9.2.6, pitfalls 10.5 */
    stack_fault(0, 0, EXC_TS, 0, "a null SS in the TSS is #TS(0)");
    stack_fault(MODES_GDT_ENTRIES * 8 + 1, 0, EXC_TS, MODES_GDT_ENTRIES * 8,
                "an SS beyond the GDT is #TS(SS)");
    stack_fault(s, code_segment(0x93 | SEG_DPL(1)), EXC_TS, s, "RPL other than the CPL");
    stack_fault(s | 1, code_segment(0x93), EXC_TS, s, "DPL other than the CPL");
    stack_fault(s | 1, code_segment(0x91 | SEG_DPL(1)), EXC_TS, s, "read-only data");
    stack_fault(s | 1, code_segment(0x9b | SEG_DPL(1)), EXC_TS, s, "code");
    stack_fault(s | 1, code_segment(0x13 | SEG_DPL(1)), EXC_SS, s, "P=0 is #SS(SS)");
    stack_fault(s | 1, modes_descriptor(0, 0xff, 0x93 | SEG_DPL(1), SEG_BIG), EXC_SS, s,
                "no room is #SS(SS)");
    /* rows: events 7.3.1 */
    gate(MODE_PROT32_USER, f_call, code_segment(0x9b | SEG_DPL(1)), 0x8c, 0);
    modes_set(MSEL_TSS, modes_descriptor((uint32_t)(uintptr_t)modes_tss, 0x0f, 0x89, 0));
    RUN_FAULT(f_call, EXC_TS, MSEL_TSS, "SS1 beyond TR.limit is #TS(TR)");
}

static void test_gate16(void)
{
    struct modes_state *m = gate(MODE_PROT32_USER, f_call, code_segment(0x9b), 0x84, 1);

    /* rows: events 9.2.8 */
    modes_store((void *)m->regs[M_SP], 0, 0xaaaa, 2);
    modes_try(EXC_UD, 0, target_end, "a 16-bit call gate to DPL 0");
    tap_eq(modes_reg(M_BX), (SEL_USER_CODE32 << 16) | (uintptr_t)f_call_end, "IP and CS are words");
    tap_eq(modes_reg(M_CX) & 0xffff, 0xaaaa, "so is the parameter");
    tap_eq(modes_reg(M_CX) >> 16, (uintptr_t)modes_user_stack & 0xffff, "and the old SP");
}

static void test_gate_long(void)
{
    const uint16_t s = modes_free(0), g = modes_free(4);

    /* rows: events 9.2.8, events 9.2.9, pitfalls 3.10 */
    gate(MODE_LONG_USER, g_call, code_segment64(0x9b), 0x8c, 3);
    modes_try(EXC_UD, 0, target64_end, "long mode: CALL gate to DPL 0");
    tap_ok(modes_reg(M_BX) == (uintptr_t)g_call_end && modes_reg(M_CX) == SEL_USER_CODE64 &&
               modes_reg(M_DX) == (uintptr_t)modes_user_stack && modes_reg(M_SI) == SEL_USER_DATA,
           "RIP, CS, RSP, SS are pushed, and no parameters");
    tap_eq(modes_reg(M_DI) & 0xffff, 0, "SS is null");
    gate(MODE_COMPAT32_USER, f_call, code_segment64(0x9b), 0x8c, 0);
    modes_try(EXC_UD, 0, target64_end, "from compatibility mode too");
    tap_eq(modes_reg(M_CX), SEL_USER_CODE32, "with 8 bytes for CS");
    /* rows: events 9.2.1 */
    gate(MODE_LONG, g_call, code_segment64(0x9b), 0x8c, 0);
    modes_set(modes_free(5), UINT64_C(0x100) << 32);
    RUN_FAULT(g_call, EXC_GP, g, "a type in the upper half is #GP(gate)");
    far_to(MODE_LONG, g_call, (MODES_GDT_ENTRIES - 1) * 8, NULL);
    modes_set((MODES_GDT_ENTRIES - 1) * 8, modes_gate(SEL_CODE64, 0, 0x8c, 0));
    RUN_FAULT(g_call, EXC_GP, (MODES_GDT_ENTRIES - 1) * 8,
              "an upper half beyond the GDT is #GP(gate)");
    /* rows: events 9.2.4 */
    gate(MODE_LONG, g_call, code_segment(0x9b), 0x8c, 0);
    RUN_FAULT(g_call, EXC_GP, s, "L=0 is #GP(CS)");
    gate(MODE_LONG, g_call, code_segment(0x9b) | UINT64_C(1) << 53, 0x8c, 0);
    RUN_FAULT(g_call, EXC_GP, s, "L=1 with D=1 is #GP(CS)");
    /* rows: events 9.2.6 */
    gate(MODE_LONG_USER, g_call, code_segment64(0x9b | SEG_DPL(1)), 0x8c, 0);
    modes_store(modes_tss, 0x0c, 0x1000, 4);
    modes_store(modes_tss, 0x10, 0x8000, 4);
    RUN_FAULT(g_call, EXC_SS, 0, "an RSP1 that is not canonical is #SS(0)");
    /* rows: events 9.2.7 */
    gate(MODE_LONG, g_call, code_segment64(0x9b), 0x8c, 0);
    modes_set(modes_free(5), 0x8000);
    RUN_FAULT(g_call, EXC_GP, 0, "an offset that is not canonical is #GP(0)");
    /* rows: events 9.1.3, pitfalls 3.8 */
    both(MODE_LONG, s, code_segment(0x9b) | UINT64_C(1) << 53, EXC_GP, s,
         "long mode: a segment with L=1 and D=1 is #GP(selector)");
}

static struct modes_state *ret(const char *code, uint16_t cs, const char *to, uint16_t ss,
                               uint64_t sp)
{
    struct modes_state *m = modes_begin(MODE_PROT32, code);

    m->regs[M_AX] = (uintptr_t)to;
    m->regs[M_BX] = cs;
    m->regs[M_CX] = sp;
    m->regs[M_DX] = ss;
    return m;
}

static void ret_cs(uint16_t cs, uint64_t descriptor, unsigned vector, uint64_t error,
                   const char *what)
{
    ret(f_ret, cs, target, 0, 0);
    modes_set(cs & ~3u, descriptor);
    modes_try(vector, error, vector == EXC_UD ? target_end : f_ret_insn, what);
}

static void test_return(void)
{
    const uint16_t s = modes_free(0);
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 8.2.3, events 8.2.4, events 8.2.5, events 8.2.7, events 8.2.9 */
    ret(f_ret, 0, target, 0, 0);
    RUN_FAULT(f_ret, EXC_GP, 0, "RET to the null selector is #GP(0)");
    ret(f_ret, MODES_GDT_ENTRIES * 8, target, 0, 0);
    RUN_FAULT(f_ret, EXC_GP, MODES_GDT_ENTRIES * 8, "RET beyond the GDT is #GP(CS)");
    ret_cs(s, code_segment(0x9b), EXC_UD, 0, "RET to the same level");
    ret_cs(s, code_segment(0x93), EXC_GP, s, "RET to data is #GP(CS)");
    ret_cs(s, code_segment(0x9b | SEG_DPL(3)), EXC_GP, s, "RET: DPL other than RPL is #GP(CS)");
    ret_cs(s, code_segment(0x9f | SEG_DPL(1)), EXC_GP, s, "RET: conforming with DPL > RPL");
    ret_cs(s, code_segment(0x1b), EXC_NP, s, "RET: P=0 is #NP(CS)");
    /* rows: events 8.2.14 */
    ret_cs(s, modes_descriptor(0, (uint32_t)(uintptr_t)target - 1, 0x9b, SEG_BIG), EXC_GP, 0,
           "RET: an offset above the limit is #GP(0)");
    /* rows: events 8.2.6 */
    modes_begin(MODE_PROT32_USER, f_ret)->regs[M_BX] = SEL_CODE32;
    RUN_FAULT(f_ret, EXC_GP, SEL_CODE32, "RET to a higher privilege is #GP(CS)");
    /* rows: events 8.2.10, events 8.2.15, events 8.2.16, events 9.3.1, pitfalls 3.9 */
    m = ret(f_ret8, SEL_USER_CODE32, target, SEL_USER_DATA, (uintptr_t)modes_user_stack);
    m->es = SEL_USER_DATA;
    modes_set(modes_free(1), code_segment(0x9f));
    m->fs = modes_free(1);
    e = modes_try(EXC_UD, 0, target_end, "RET 8 to CPL 3");
    tap_eq(e.cs, SEL_USER_CODE32, "CS");
    tap_eq(e.ss, SEL_USER_DATA, "SS");
    tap_eq(e.sp, (uintptr_t)modes_user_stack + 8, "ESP has the parameters released too");
    tap_eq(modes_seg_ds(), 0, "DS with DPL 0 is null now");
    tap_eq(modes_seg_es(), SEL_USER_DATA, "ES with DPL 3 stays");
    tap_eq(modes_seg_fs(), modes_free(1), "FS with conforming code stays");
    /* rows: events 8.2.11, events 8.2.12, events 8.2.13 */
    ret(f_ret8, SEL_USER_CODE32, target, 3, 0x1000);
    RUN_FAULT(f_ret8, EXC_GP, 0, "RET to CPL 3 with a null SS is #GP(0)");
    ret(f_ret8, SEL_USER_CODE32, target, SEL_DATA, 0x1000);
    RUN_FAULT(f_ret8, EXC_GP, SEL_DATA, "RET: SS.RPL other than CS.RPL is #GP(SS)");
    ret(f_ret8, SEL_USER_CODE32, target, SEL_DATA | 3, 0x1000);
    RUN_FAULT(f_ret8, EXC_GP, SEL_DATA, "RET: SS.DPL other than CS.RPL is #GP(SS)");
    ret(f_ret8, SEL_USER_CODE32, target, SEL_USER_CODE32, 0x1000);
    RUN_FAULT(f_ret8, EXC_GP, SEL_USER_CODE32 & ~3, "RET: code as SS is #GP(SS)");
    ret(f_ret8, SEL_USER_CODE32, target, modes_free(2) | 3, 0x1000);
    modes_set(modes_free(2), code_segment(0x13 | SEG_DPL(3)));
    RUN_FAULT(f_ret8, EXC_SS, modes_free(2), "RET: SS with P=0 is #SS(SS)");
}

static void test_return_long(void)
{
    struct modes_state *m = modes_begin(MODE_LONG, g_ret);

    /* rows: events 8.2.8, pitfalls 3.8 */
    m->regs[M_AX] = (uintptr_t)target64;
    m->regs[M_BX] = modes_free(0);
    modes_set(modes_free(0), code_segment(0x9b) | UINT64_C(1) << 53);
    RUN_FAULT(g_ret, EXC_GP, modes_free(0), "RET to L=1 with D=1 is #GP(CS)");
    /* rows: events 8.2.14 */
    m = modes_begin(MODE_LONG, g_ret);
    m->regs[M_AX] = UINT64_C(1) << 47;
    m->regs[M_BX] = SEL_CODE64;
    RUN_FAULT(g_ret, EXC_GP, 0, "RET to an address that is not canonical is #GP(0)");
    /* rows: events 8.2.11, pitfalls 3.4 */
    m = modes_begin(MODE_LONG, g_ret);
    m->regs[M_AX] = (uintptr_t)target64;
    m->regs[M_BX] = modes_free(0) | 1;
    m->regs[M_CX] = (uintptr_t)modes_user_stack;
    m->regs[M_DX] = 1;
    modes_set(modes_free(0), code_segment64(0x9b | SEG_DPL(1)));
    struct mode_event e = modes_try(EXC_UD, 0, target64_end, "RET to CPL 1 with a null SS");
    tap_eq(e.ss, 1, "SS is null with RPL 1");
    m = modes_begin(MODE_LONG, g_ret);
    m->regs[M_AX] = (uintptr_t)target64;
    m->regs[M_BX] = SEL_USER_CODE64;
    m->regs[M_CX] = (uintptr_t)modes_user_stack;
    m->regs[M_DX] = 3;
    RUN_FAULT(g_ret, EXC_GP, 0, "RET to CPL 3 with a null SS is #GP(0)");
}

int rom_main(void)
{
    test_direct();
    test_system();
    test_gate();
    test_gate_stack();
    test_gate16();
    test_gate_long();
    test_return();
    test_return_long();
    tap_done();
}

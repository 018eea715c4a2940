/* tss16.c: 16-bit TSSs, and the rules of long mode, which has no task switches.
 * APM vol 2, 12.2.2 "TSS Descriptor", 12.3; 12.2.5 "64-Bit Task State Segment". */
#include "test-roms/tasks/kit.h"

MODE_CODE32(k_jump, "k_jump_insn: ljmp $0x80, $0");
MODE_CODE32(k_call, "movl $0xaaaa1234, %eax\n k_call_insn: lcall $0x80, $0\n movl $0x77, %edi");
MODE_CODE32(k_gate, "k_gate_insn: ljmp $0x88, $0");
MODE_CODE64(k_jump64, "movl $0x80, 0x508\n k_jump64_insn: ljmp *0x504");
MODE_CODE64(k_int64, "k_int64_insn: int $0x40");
MODE_CODE32(next, "movw %fs, %dx\n movw %gs, %bx\n pushfl\n popl %esi");
MODE_CODE32(next_return, "iretl");

static void test_switch(void)
{
    struct mode_event e;
    struct modes_state *m;

    /* rows: events 10.18, 10.12, pitfalls 3.35 */
    m = task_begin16(MODE_PROT32, k_jump, next);
    m->fs = m->gs = SEL_DATA;
    e = modes_try(EXC_UD, 0, next_end, "JMP to a 16-bit TSS");
    tap_eq(e.handler_tr, SEL_NEXT, "TR");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x1111, "AX is loaded");
    tap_eq(modes_reg(M_BP) & 0xffff, 0x6666, "and BP");
    tap_ok((modes_reg(M_DX) & 0xffff) == 0 && (modes_reg(M_BX) & 0xffff) == 0,
           "FS and GS are null");
    /* rows: events 10.19, pitfalls 3.35 */
    task_begin16(MODE_PROT32, k_jump, next);
    uint32_t *directory = modes_paging_pse();
    task_set(TSS_CR3, 0x5000, 2);
    modes_run();
    tap_eq(modes_cr3(), (uintptr_t)directory, "CR3 stays");
    /* rows: events 10.13, 10.30-10.34 */
    task_begin16(MODE_PROT32, k_call, next);
    modes_try(EXC_UD, 0, next_end, "CALL to a 16-bit TSS");
    tap_eq(modes_load(next_tss, TSS_LINK, 2), MSEL_TSS, "writes the link");
    tap_eq(modes_reg(M_SI) & NT, NT, "sets NT");
    /* From a 32-bit TSS to a 16-bit one and back. */
    task_begin16(MODE_PROT32, k_call, next_return);
    e = modes_try(EXC_UD, 0, k_call_end, "IRET comes back from a 16-bit task");
    tap_eq(modes_reg(M_DI), 0x77, "behind the CALL");
    tap_eq(modes_reg(M_AX), 0xaaaa1234, "with 32-bit registers");
    tap_eq(modes_load(next_tss, 0x0e, 2), ((uintptr_t)next_return + 1) & 0xffff,
           "the IP is stored as a word");
    tap_eq(modes_load(next_tss, 0x24, 2), SEL_CODE32, "and CS behind SP and the others");
    tap_eq(modes_load(next_tss, TSS16_BYTES, 4), 0, "nothing is written beyond 2c bytes");
}

static void test_long(void)
{
    /* rows: pitfalls 3.30, events 9.1.8 */
    task_begin(MODE_COMPAT32, k_jump, next);
    modes_set(SEL_NEXT + 8, 0);
    RUN_FAULT(k_jump, EXC_GP, SEL_NEXT, "compatibility mode: JMP to a TSS is #GP(TSS)");
    task_begin(MODE_COMPAT32, k_call, next);
    modes_set(SEL_NEXT + 8, 0);
    RUN_FAULT(k_call, EXC_GP, SEL_NEXT, "compatibility mode: CALL to a TSS is #GP(TSS)");
    task_begin(MODE_COMPAT32, k_gate, next);
    RUN_FAULT(k_gate, EXC_GP, SEL_GATE, "compatibility mode: JMP to a task gate is #GP(gate)");
    task_begin(MODE_LONG, k_jump64, next);
    modes_set(SEL_NEXT + 8, 0);
    RUN_FAULT(k_jump64, EXC_GP, SEL_NEXT, "64-bit mode: JMP to a TSS is #GP(TSS)");
    modes_begin(MODE_LONG, k_int64);
    modes_idt_gate(0x80)[0] = modes_gate(SEL_NEXT, 0, 0x85, 0); /* 16 bytes each: vector 40 */
    RUN_FAULT(k_int64, EXC_GP, 0x40 * 8 + 2, "long mode: a task gate in the IDT is #GP(vector)");
}

int rom_main(void)
{
    test_switch();
    test_long();
    tap_done();
}

/* switch.c: a task switch of each kind: what it stores, what it loads, busy bits, NT and the link.
 * APM vol 2, 12.3 "Hardware Task-Management in Legacy Mode". */
#include "test-roms/tasks/kit.h"

MODE_CODE32(k_jump, "movl $0xa1, %eax\n movl $0xa2, %ecx\n movl $0xa6, %ebp\n"
                    "k_jump_insn: ljmp $0x80, $0x5555\n movl $0x77, %edi");
MODE_CODE32(k_call, "k_call_insn: lcall $0x80, $0\n movl $0x77, %edi");
MODE_CODE32(k_gate_jump, "k_gate_jump_insn: ljmp $0x88, $0");
MODE_CODE32(k_gate_call, "k_gate_call_insn: lcall $0x88, $0");
MODE_CODE32(k_int, "k_int_insn: int $0x40\n movl $0x77, %edi");
MODE_CODE32(k_div, "xorl %ebx, %ebx\n k_div_insn: divl %ebx");
MODE_CODE32(k_gp, "movl $0x1c8, %eax\n k_gp_insn: movw %ax, %es");
MODE_CODE32(next, "pushfl\n popl %esi\n movl %cr0, %edi");
MODE_CODE32(next_return, "clts\n iretl\n movl $0x88, %edi");
MODE_CODE32(next_error, "popl %edx");
MODE_CODE32(next_sldt, "sldt %ebx\n strw %cx");
MODE_CODE32(next_dr7, "movl %dr7, %ebx");
MODE_CODE32(next_nop, "nop\n nop");
MODE_CODE16(next_v86, "movw %ds, %ax\n movw %gs, %bx");
MODE_CODE32(k_dr7, "movl $0x7ff, %eax\n movl %eax, %dr7\n ljmp $0x80, $0");

static void test_jump(void)
{
    struct modes_state *m = task_begin(MODE_PROT32, k_jump, next);
    struct mode_event e;

    /* rows: events 10.1, 10.12, 10.17, 10.18, pitfalls 3.31, 3.32 */
    m->rflags |= RFLAGS_CF;
    modes_set(modes_free(4), modes_descriptor(0, 0xfffff, 0x93, SEG_G | SEG_BIG));
    m->gs = modes_free(4);
    e = modes_try(EXC_UD, 0, next_end, "JMP to a TSS starts its task");
    tap_eq(e.handler_tr, SEL_NEXT, "TR is the new TSS");
    tap_ok(modes_reg(M_AX) == 0x11111111 && modes_reg(M_CX) == 0x22222222 &&
               modes_reg(M_DX) == 0x33333333 && modes_reg(M_BX) == 0x44444444 &&
               modes_reg(M_BP) == 0x66666666,
           "its registers are loaded");
    tap_eq(modes_reg(M_DI) & CR0_TS, CR0_TS, "CR0.TS is set");
    tap_eq(modes_reg(M_SI) & NT, 0, "NT comes from the TSS");
    tap_eq(task_old(TSS_EIP, 4), (uintptr_t)k_jump_insn + 7, "the old EIP is behind the JMP");
    tap_ok(task_old(TSS_EAX, 4) == 0xa1 && task_old(TSS_ECX, 4) == 0xa2 &&
               task_old(TSS_EBP, 4) == 0xa6 && task_old(TSS_ESP, 4) == (uintptr_t)modes_stack,
           "the old registers are stored");
    tap_ok(task_old(TSS_CS, 2) == SEL_CODE32 && task_old(TSS_SS, 2) == SEL_DATA &&
               task_old(TSS_ES, 2) == SEL_DATA && task_old(TSS_GS, 2) == modes_free(4),
           "so are the selectors");
    tap_eq(task_old(TSS_EFLAGS, 4), RFLAGS_ONE | RFLAGS_CF, "and EFLAGS");
    /* rows: events 10.11, 10.15, 10.30-10.34, pitfalls 3.31 */
    tap_eq(task_type(MSEL_TSS) & BUSY, 0, "JMP: the old TSS is no longer busy");
    tap_eq(task_type(SEL_NEXT) & BUSY, BUSY, "JMP: the new one is");
    tap_eq(modes_load(next_tss, TSS_LINK, 2), 0, "JMP: no link is written");
    tap_eq(task_old(TSS_LINK, 2), 0, "nor in the old one");
    task_begin(MODE_PROT32, k_jump, next);
    modes_store(modes_tss, TSS_CR3, 0x12345, 4);
    modes_run();
    tap_eq(task_old(TSS_CR3, 4), 0x12345, "CR3 and the LDT are not stored");
    task_begin(MODE_PROT32, k_gate_jump, next);
    e = modes_try(EXC_UD, 0, next_end, "JMP through a task gate");
    tap_eq(e.handler_tr, SEL_NEXT, "starts its task");
}

static void test_call(void)
{
    struct mode_event e;

    /* rows: events 10.1, 10.13, 10.15, 10.17, 10.30-10.34, pitfalls 3.31 */
    task_begin(MODE_PROT32, k_call, next);
    modes_try(EXC_UD, 0, next_end, "CALL to a TSS starts its task");
    tap_eq(modes_load(next_tss, TSS_LINK, 2), MSEL_TSS, "the link is the old TSS");
    tap_eq(modes_reg(M_SI) & NT, NT, "NT is set");
    tap_eq(task_type(MSEL_TSS) & BUSY, BUSY, "CALL: the old TSS stays busy");
    tap_eq(task_type(SEL_NEXT) & BUSY, BUSY, "CALL: the new one is busy");
    task_begin(MODE_PROT32, k_gate_call, next);
    e = modes_try(EXC_UD, 0, next_end, "CALL through a task gate");
    tap_eq(e.handler_tr, SEL_NEXT, "starts its task");
    /* rows: events 8.1.4, 10.5, 10.11, 10.12, 10.30-10.34 */
    task_begin(MODE_PROT32, k_call, next_return);
    e = modes_try(EXC_UD, 0, k_call_end, "IRET with NT follows the link");
    tap_eq(e.handler_tr, MSEL_TSS, "TR is the first TSS again");
    tap_eq(modes_reg(M_DI), 0x77, "the first task goes on behind its CALL");
    tap_eq(task_type(SEL_NEXT) & BUSY, 0, "IRET: the task it left is not busy");
    tap_eq(task_type(MSEL_TSS) & BUSY, BUSY, "IRET: the other stays busy");
    tap_eq(modes_load(next_tss, TSS_EFLAGS, 4) & NT, 0, "IRET stores NT=0");
    tap_eq(modes_load(next_tss, TSS_EIP, 4), (uintptr_t)next_return + 3, "and the EIP behind it");
}

static void test_events(void)
{
    struct mode_event e;

    /* rows: events 10.3, 10.12, 7.2.5 */
    task_begin(MODE_PROT32, k_int, next);
    e = modes_try(EXC_UD, 0, next_end, "INT through a task gate");
    tap_eq(e.handler_tr, SEL_NEXT, "starts its task");
    tap_eq(task_old(TSS_EIP, 4), (uintptr_t)k_int_insn + 2, "the stored EIP is behind INT");
    tap_eq(modes_load(next_tss, TSS_LINK, 2), MSEL_TSS, "with a link");
    task_begin(MODE_PROT32, k_int, next_return);
    modes_try(EXC_UD, 0, k_int_end, "IRET comes back behind it");
    /* rows: events 10.4 */
    task_begin(MODE_PROT32, k_div, next);
    *modes_idt_gate(EXC_DE) = modes_gate(SEL_NEXT, 0, 0x85, 0);
    modes_try(EXC_UD, 0, next_end, "a fault through a task gate with DPL 0");
    tap_eq(task_old(TSS_EIP, 4), (uintptr_t)k_div_insn, "the stored EIP is the instruction");
    /* rows: events 10.27 */
    task_begin(MODE_PROT32, k_gp, next_error);
    *modes_idt_gate(EXC_GP) = modes_gate(SEL_NEXT, 0, 0x85, 0);
    e = modes_try(EXC_UD, 0, next_error_end, "an event with an error code");
    tap_eq(modes_reg(M_DX), 0x1c8, "pushes it on the new stack");
    tap_eq(e.sp, (uintptr_t)modes_user_stack, "4 bytes of it");
}

static void test_state(void)
{
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 10.20, pitfalls 3.32 */
    task_begin(MODE_PROT32, k_jump, next_sldt);
    task_set(TSS_LDT, MSEL_LDT, 2);
    RUN_PASS(next_sldt, "LDTR is loaded from the TSS");
    tap_eq(modes_reg(M_BX), MSEL_LDT, "SLDT says so");
    m = task_begin(MODE_PROT32, k_jump, next_sldt);
    m->ldtr = MSEL_LDT;
    modes_run();
    tap_eq(modes_reg(M_BX), 0, "a null LDT is fine");
    /* rows: events 10.17, 5.16, pitfalls 3.32 */
    task_begin(MODE_PROT32, k_dr7, next_dr7);
    modes_run();
    tap_eq(modes_reg(M_BX) & 0xff, 0xaa, "L0-L3 of DR7 are cleared, G0-G3 stay");
    /* rows: events 10.29, 5.6, pitfalls 3.34 */
    task_begin(MODE_PROT32, k_jump, next_nop);
    task_set(TSS_T, 1, 2);
    e = modes_try(EXC_DB, 0, next_nop, "T=1 is #DB before the first instruction");
    tap_eq(e.dr6 & 0xe000, 0x8000, "with BT in DR6");
    write_dr6(0xffff0ff0);
    /* rows: events 10.21 */
    task_begin(MODE_PROT32, k_jump, NULL);
    task_set(TSS_EIP, (uint32_t)(uintptr_t)next_v86 - 0x1000, 4);
    task_set(TSS_EFLAGS, (uint32_t)(RFLAGS_ONE | VM), 4);
    task_set(TSS_CS, 0x100, 2);
    task_set(TSS_SS, 0x200, 2);
    task_set(TSS_DS, 0x1234, 2);
    task_set(TSS_GS, 0xffff, 2);
    e = modes_try(EXC_UD, 0, NULL, "a TSS with VM=1 starts virtual-8086 mode");
    tap_ok((e.flags & VM) != 0 && e.ip == (uintptr_t)next_v86_end - 0x1000, "at CS:EIP");
    tap_ok((modes_reg(M_AX) & 0xffff) == 0x1234 && (modes_reg(M_BX) & 0xffff) == 0xffff,
           "its selectors are no selectors");
    /* rows: events 10.18 */
    task_begin(MODE_PROT32, k_jump, next_nop);
    task_user();
    e = RUN_PASS(next_nop, "a TSS whose CS has RPL 3");
    tap_eq(e.cs, SEL_USER_CODE32, "starts at CPL 3");
}

static void test_paging(void)
{
    task_begin(MODE_PROT32, k_jump, next);
    uint32_t *other = modes_paging_pse();
    struct mode_event e;

    /* rows: events 10.19, svmop 14.18, pitfalls 3.32 */
    modes_paging_pse();
    task_set(TSS_CR3, (uint32_t)(uintptr_t)other, 4);
    e = modes_try(EXC_UD, 0, next_end, "with paging on");
    tap_eq(modes_cr3(), (uintptr_t)other, "CR3 is loaded from the TSS");
    task_begin(MODE_PROT32, k_jump, next);
    uint64_t *pdpt = modes_paging_pae();
    task_set(TSS_CR3, (uint32_t)(uintptr_t)pdpt, 4);
    e = modes_try(EXC_UD, 0, next_end, "with PAE paging too");
    tap_eq(e.handler_tr, SEL_NEXT, "and TR");
}

int rom_main(void)
{
    test_jump();
    test_call();
    test_events();
    test_state();
    test_paging();
    tap_done();
}

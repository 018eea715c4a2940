/* order.c: which of several faults of one instruction is reported. APM vol 2, 8.5 "Priorities"; vol 3, 1.2.5
 * "Lock Prefix". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define HOLE PAGING_WINDOW
#define CR4_UMIP UINT64_C(0x800)

/* RBX, RCX: addresses. */
MODE_CODE64(q_lock, "q_lock_insn: .byte 0xf0, 0x8b, 0x03");
MODE_CODE64(q_mov_cr, "q_mov_cr_insn: movq %rax, %cr4");
MODE_CODE64(q_lgdt, "q_lgdt_insn: lgdt (%rbx)");
MODE_CODE64(q_sgdt, "q_sgdt_insn: sgdt (%rbx)");
MODE_CODE64(q_in, "q_in_insn: insb");
MODE_CODE64(q_div, "q_div_insn: divl (%rbx)");
MODE_CODE64(q_movs, "movq %rbx, %rsi\n movq %rcx, %rdi\n q_movs_insn: movsb");
MODE_CODE64(q_push, "movq %rcx, %rsp\n q_push_insn: pushq (%rbx)");
MODE_CODE64(q_pop, "movq %rcx, %rsp\n q_pop_insn: popq (%rbx)");
MODE_CODE64(q_call, "movq %rcx, %rsp\n q_call_insn: call *(%rbx)");
MODE_CODE64(q_cross, "q_cross_insn: movq %rax, (%rbx)");
MODE_CODE64(q_cmpxchg16b, "q_cmpxchg16b_insn: cmpxchg16b (%rbx)");
MODE_CODE32(q_bound, "movl $0x80000000, %eax\n q_bound_insn: bound %eax, %es:(%ebx)");
MODE_CODE32(q_les, "q_les_insn: les (%ebx), %eax");
MODE_CODE64(q_load, "q_load_insn: movw (%rbx), %fs");
MODE_CODE64(q_ltr, "q_ltr_insn: ltr (%rbx)");
MODE_CODE64(q_invlpga_cr1, "q_invlpga_cr1_insn: .byte 0x0f, 0x22, 0xc8");

static struct modes_state *at(enum mode mode, const char *code, uint64_t rbx, uint64_t rcx)
{
    struct modes_state *m = modes_begin(mode, code);

    m->regs[M_BX] = rbx;
    m->regs[M_CX] = rcx;
    return m;
}

static void cr2(uint64_t want, const char *what)
{
    tap_eq(modes_cr2(), want, "%s", what);
}

static void test_first(void)
{
    /* rows: events 3.2.1, pitfalls 1.6 */
    at(MODE_LONG, q_lock, HOLE, 0);
    RUN_FAULT(q_lock, EXC_UD, 0, "an illegal LOCK comes before #PF");
    at(MODE_LONG_USER, q_invlpga_cr1, 0, 0);
    RUN_FAULT(q_invlpga_cr1, EXC_UD, 0, "a control register that is none comes before CPL");
    /* rows: events 3.2.3, 3.2.5 */
    at(MODE_LONG_USER, q_mov_cr, 0, 0)->regs[M_AX] = UINT64_MAX;
    RUN_FAULT(q_mov_cr, EXC_GP, 0, "CPL and a bad value are both #GP(0)");
    at(MODE_LONG_USER, q_lgdt, HOLE, 0);
    RUN_FAULT(q_lgdt, EXC_GP, 0, "CPL comes before the #PF of the operand");
    at(MODE_LONG_USER, q_ltr, HOLE, 0);
    RUN_FAULT(q_ltr, EXC_GP, 0, "for LTR too");
    at(MODE_LONG, q_lgdt, HOLE, 0);
    RUN_FAULT(q_lgdt, EXC_PF, 0, "at CPL 0 it is #PF");
    if ((cpuid_checked(7, 0).ecx >> 2 & 1) != 0) {
        at(MODE_LONG_USER, q_sgdt, HOLE, 0)->cr4 |= CR4_UMIP;
        RUN_FAULT(q_sgdt, EXC_GP, 0, "UMIP comes before the #PF of the operand");
    }
    struct modes_state *m = at(MODE_LONG_USER, q_in, 0, 0);
    m->regs[M_DX] = 0x80;
    m->regs[M_DI] = HOLE;
    RUN_FAULT(q_in, EXC_GP, 0, "the I/O map comes before the #PF of INS");
}

static void test_memory(void)
{
    struct modes_state *m;

    /* rows: events 3.2.6, 3.2.9, pitfalls 10.9 */
    at(MODE_LONG, q_movs, HOLE, HOLE + 8);
    RUN_FAULT(q_movs, EXC_PF, 0, "MOVS: the source is read first");
    cr2(HOLE, "CR2 is its address");
    at(MODE_LONG, q_movs, 0x600, HOLE + 8);
    RUN_FAULT(q_movs, EXC_PF, PF_RW, "MOVS: then the destination is written");
    cr2(HOLE + 8, "CR2 is its address");
    at(MODE_LONG_USER, q_push, HOLE, HOLE + 0x1000);
    RUN_FAULT(q_push, EXC_PF, PF_US, "PUSH: the operand is read first");
    cr2(HOLE, "CR2 is its address");
    at(MODE_LONG_USER, q_pop, HOLE, HOLE + 0x1000);
    RUN_FAULT(q_pop, EXC_PF, PF_US, "POP: the stack is read first");
    cr2(HOLE + 0x1000, "CR2 is its address");
    at(MODE_LONG_USER, q_call, HOLE, HOLE + 0x1000);
    RUN_FAULT(q_call, EXC_PF, PF_US, "CALL: the target is read first");
    cr2(HOLE, "CR2 is its address");
    /* rows: events 3.2.9, pitfalls 4.11 */
    at(MODE_LONG, q_cross, HOLE + 0xffc, 0);
    RUN_FAULT(q_cross, EXC_PF, PF_RW, "a write into two pages that are not there");
    cr2(HOLE + 0xffc, "the first is reported");
    /* rows: events 3.2.7 */
    at(MODE_LONG, q_cmpxchg16b, HOLE + 8, 0);
    RUN_FAULT(q_cmpxchg16b, EXC_GP, 0, "CMPXCHG16B: alignment comes before #PF");
    /* rows: events 3.2.10 */
    at(MODE_LONG, q_div, HOLE, 0);
    RUN_FAULT(q_div, EXC_PF, 0, "DIV: #PF of the operand comes before #DE");
    m = at(MODE_PROT32, q_bound, 0x600, 0);
    m->es = 0;
    RUN_FAULT(q_bound, EXC_GP, 0, "BOUND: a null segment comes before #BR");
    *(volatile uint64_t *)(uintptr_t)0x600 = 0;
    at(MODE_PROT32, q_bound, 0x600, 0)->regs[M_AX] = 5;
    RUN_FAULT(q_bound, EXC_BR, 0, "BOUND: then #BR");
    /* rows: events 3.2.6, 13.1 */
    *(volatile uint16_t *)(uintptr_t)0x604 = 0x1c8;
    at(MODE_PROT32, q_les, 0x600, 0)->regs[M_AX] = 7;
    RUN_FAULT(q_les, EXC_GP, 0x1c8, "LES: the operand is read, then its selector is checked");
    tap_eq(modes_reg(M_AX), 7, "and the register is not written");
    at(MODE_LONG, q_load, HOLE, 0);
    RUN_FAULT(q_load, EXC_PF, 0, "MOV FS: #PF of the operand first");
}

int rom_main(void)
{
    test_first();
    test_memory();
    tap_done();
}

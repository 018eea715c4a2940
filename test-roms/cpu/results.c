/* results.c: results and flags that emulators get wrong. What the manual leaves undefined is not looked at.
 * APM vol 1, 3.3 "Instruction Summary"; vol 3, the instructions. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define STATUS UINT64_C(0x8d5)
#define CF UINT64_C(1)
#define ZF UINT64_C(0x40)
#define SF UINT64_C(0x80)
#define OF UINT64_C(0x800)
#define LA (PAGING_WINDOW + 0x4000)

#define ONES "movq $-1, %rax\n movq $-1, %rbx\n"
#define ALL_FLAGS "pushq $0x8d7\n popfq\n"
MODE_CODE64(o_zero32, ONES "addl $0, %eax\n movl %ebx, %ebx");
MODE_CODE64(o_keep16, ONES "addw $1, %ax\n movb $0, %bl");
MODE_CODE64(o_cmov,
            "movq $-1, %rax\n xorl %ecx, %ecx\n cmovnzl %ecx, %eax"); /* ZF = 1: not taken */
MODE_CODE64(o_bsf, "movq $-1, %rax\n xorl %ecx, %ecx\n bsfq %rcx, %rax");
MODE_CODE64(o_shift0, ALL_FLAGS "movb $64, %cl\n movl $5, %eax\n shlq %cl, %rax");
MODE_CODE64(o_shift33,
            "movb $33, %cl\n movl $1, %eax\n shll %cl, %eax\n movl $1, %ebx\n shlq %cl, %rbx");
MODE_CODE64(o_rotate, ALL_FLAGS "movl $0x80000000, %eax\n roll $1, %eax");
MODE_CODE64(o_rcl8, "movb $9, %cl\n movb $0x5a, %al\n stc\n rclb %cl, %al\n setc %bl\n"
                    "movb $18, %cl\n clc\n rclb %cl, %al");
MODE_CODE64(o_rcr16, "movb $17, %cl\n movw $0x1234, %ax\n stc\n rcrw %cl, %ax\n setc %bl");
MODE_CODE64(
    o_bt,
    "movq $-9, %rcx\n movl $0x602, %ebx\n movl $0, 0x600\n btsq %rcx, (%rbx)\n movl 0x5f8, %eax\n"
    "movq 0x5fa, %rdx");
MODE_CODE64(o_bt_imm, "movq $0, 0x600\n btsl $33, 0x600\n movq 0x600, %rax");
MODE_CODE64(o_cmpxchg_ro, "o_cmpxchg_ro_insn: cmpxchgl %ecx, (%rbx)");
MODE_CODE64(o_cmpxchg8b_ro, "o_cmpxchg8b_ro_insn: cmpxchg8b (%rbx)");
MODE_CODE64(o_cmpxchg_fail,
            "movq $-1, %rax\n movl $5, 0x600\n movl $7, %ecx\n cmpxchgl %ecx, 0x600\n setz %bl");
MODE_CODE64(o_cmpxchg16b, "o_cmpxchg16b_insn: cmpxchg16b 8(%rbx)");
MODE_CODE64(o_push_rsp, "movq %rsp, %rbx\n pushq %rsp\n popq %rax\n subq %rbx, %rax");
MODE_CODE64(o_pop_rsp,
            "movq %rsp, %rbx\n pushq $0x1234\n popq %rsp\n movq %rsp, %rax\n movq %rbx, %rsp");
MODE_CODE64(o_pop_mem, "movq %rsp, %rbx\n pushq $0\n pushq $0x55\n popq (%rsp)\n popq %rax");
MODE_CODE64(o_div, "o_div_insn: divl %ecx");
MODE_CODE64(
    o_idiv_min,
    "movabsq $0x8000000000000000, %rax\n cqto\n movq $-1, %rcx\n o_idiv_min_insn: idivq %rcx");
MODE_CODE64(o_idiv8, "movw $0x8000, %ax\n movb $-1, %cl\n o_idiv8_insn: idivb %cl");
MODE_CODE64(o_enter_level,
            "movq %rsp, %rbp\n movq %rsp, %rbx\n enter $0, $33\n subq %rsp, %rbx\n leave");
MODE_CODE64(o_enter_fault,
            "movq %rbx, %rsp\n movl $0x77, %ebp\n o_enter_fault_insn: enter $0x800, $0");
MODE_CODE64(o_rep0, ALL_FLAGS "xorl %ecx, %ecx\n " ALL_FLAGS
                              "movabsq $0x0000009000000000, %rdi\n rep stosb");
MODE_CODE64(o_xadd, "movl $21, %eax\n xaddl %eax, %eax");
MODE_CODE64(o_push_fs, "movq $-1, %rax\n pushq %rax\n popq %rcx\n pushq %fs\n popq %rax");
MODE_CODE64(o_in, "movq $-1, %rax\n inl $0x80, %eax");
MODE_CODE64(o_in8, "movq $-1, %rax\n inb $0x80, %al\n shrq $8, %rax");
MODE_CODE64(o_movsxd, "movq $-1, %rax\n movl $0x80000000, %ecx\n movslq %ecx, %rax");
MODE_CODE64(o_rdmsr, "movq $-1, %rax\n movq $-1, %rdx\n movl $0x1b, %ecx\n rdmsr");
MODE_CODE64(o_bad_msr, "movl $0x4bad, %ecx\n o_bad_msr_insn: rdmsr");
MODE_CODE64(o_bad_wrmsr, "movl $0x4bad, %ecx\n o_bad_wrmsr_insn: wrmsr");
MODE_CODE64(o_tsc, "o_tsc_insn: rdtsc");
MODE_CODE64(o_rdtscp, "o_rdtscp_insn: rdtscp");
MODE_CODE64(o_null_fs, "xorl %eax, %eax\n movw %ax, %fs\n movl $0xc0000100, %ecx\n rdmsr");

static uint8_t page[4096] __attribute__((aligned(4096)));

static void value(unsigned reg, uint64_t want, const char *what)
{
    tap_eq(modes_reg(reg), want, "%s", what);
}

static uint64_t flags_of(const char *code)
{
    modes_begin(MODE_LONG, code);
    return modes_run().flags & STATUS;
}

static void test_widths(void)
{
    /* rows: pitfalls 2.1 */
    PASS(MODE_LONG, o_zero32, "a 32-bit result");
    value(M_AX, 0xffffffff, "is zero-extended");
    value(M_BX, 0xffffffff, "MOV of a register to itself too");
    PASS(MODE_LONG, o_keep16, "a 16-bit result");
    value(M_AX, UINT64_C(0xffffffffffff0000), "leaves the rest");
    value(M_BX, UINT64_C(0xffffffffffffff00), "as does one of 8 bits");
    PASS(MODE_LONG, o_cmov, "CMOV of 32 bits that is not taken");
    value(M_AX, 0xffffffff, "zero-extends");
    PASS(MODE_LONG, o_movsxd, "MOVSXD");
    value(M_AX, UINT64_C(0xffffffff80000000), "sign-extends");
    /* rows: pitfalls 2.2 */
    PASS(MODE_LONG, o_bsf, "BSF of 0");
    value(M_AX, UINT64_MAX, "leaves its destination");
    /* rows: pitfalls 2.20 */
    PASS(MODE_LONG, o_in, "IN to EAX");
    tap_eq(modes_reg(M_AX) >> 32, 0, "zero-extends");
    PASS(MODE_LONG, o_in8, "IN to AL");
    value(M_AX, UINT64_C(0x00ffffffffffffff), "does not");
    /* rows: pitfalls 2.18 */
    PASS(MODE_LONG, o_push_fs, "PUSH FS");
    value(M_AX, SEL_DATA, "writes 8 bytes");
}

static void test_shifts(void)
{
    /* rows: pitfalls 2.3 */
    tap_eq(flags_of(o_shift0), STATUS, "a masked count of 0 leaves all flags");
    PASS(MODE_LONG, o_shift33, "a count of 33");
    value(M_AX, 2, "is 1 for 32 bits");
    value(M_BX, UINT64_C(1) << 33, "and 33 for 64");
    tap_eq(flags_of(o_rotate) & ~OF, STATUS & ~OF, "ROL leaves the other flags");
    /* rows: pitfalls 2.4 */
    PASS(MODE_LONG, o_rcl8, "RCL of 8 bits by 9 and by 18");
    tap_eq(modes_reg(M_AX) & 0xff, 0x5a, "is a whole turn each");
    tap_eq(modes_reg(M_BX) & 1, 1, "CF is what it was");
    PASS(MODE_LONG, o_rcr16, "RCR of 16 bits by 17");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x1234, "is a whole turn");
}

static void test_memory(void)
{
    struct mode_event e;

    /* rows: pitfalls 2.8 */
    PASS(MODE_LONG, o_bt, "BTS with a negative offset");
    value(M_DX, UINT64_C(1) << 55, "reaches below its operand");
    PASS(MODE_LONG, o_bt_imm, "BTS with an immediate of 33");
    value(M_AX, 2, "is masked");
    /* rows: pitfalls 2.10 */
    paging_map(paging_root(), LA, (uintptr_t)page, PAGE_4K, PAGE_P);
    struct modes_state *m = modes_begin(MODE_LONG, o_cmpxchg_ro);
    m->regs[M_BX] = LA;
    m->regs[M_AX] = 1;
    RUN_FAULT(o_cmpxchg_ro, EXC_PF, PF_P | PF_RW, "CMPXCHG writes, equal or not");
    modes_begin(MODE_LONG, o_cmpxchg8b_ro)->regs[M_BX] = LA;
    RUN_FAULT(o_cmpxchg8b_ro, EXC_PF, PF_P | PF_RW, "CMPXCHG8B too");
    modes_begin(MODE_LONG, o_cmpxchg16b)->regs[M_BX] = (uintptr_t)page;
    RUN_FAULT(o_cmpxchg16b, EXC_GP, 0, "CMPXCHG16B wants 16-byte alignment: #GP(0)");
    /* rows: pitfalls 2.11 */
    PASS(MODE_LONG, o_cmpxchg_fail, "CMPXCHG of 32 bits that fails");
    value(M_AX, 5, "zero-extends RAX");
    /* rows: pitfalls 2.12 */
    PASS(MODE_LONG, o_push_rsp, "PUSH RSP");
    value(M_AX, 0, "pushes the old value");
    PASS(MODE_LONG, o_pop_rsp, "POP RSP");
    value(M_AX, 0x1234, "takes the popped value");
    PASS(MODE_LONG, o_pop_mem, "POP [RSP]");
    value(M_AX, 0x55, "uses RSP after the increment");
    /* rows: pitfalls 2.14 */
    PASS(MODE_LONG, o_enter_level, "ENTER with level 33");
    value(M_BX, 16, "is level 1");
    /* The frame of the fault needs a stack of its own: CPL 3. */
    modes_begin(MODE_LONG_USER, o_enter_fault)->regs[M_BX] = PAGING_WINDOW + 0x100000;
    e = modes_try(EXC_PF, PF_US | PF_RW, o_enter_fault_insn, "ENTER on a stack that is not there");
    tap_eq(e.sp, PAGING_WINDOW + 0x100000, "leaves RSP");
    value(M_BP, 0x77, "and RBP");
    /* rows: pitfalls 2.15 */
    tap_eq(flags_of(o_rep0), STATUS, "REP with RCX = 0 touches neither memory nor flags");
    /* rows: pitfalls 2.16 */
    PASS(MODE_LONG, o_xadd, "XADD of a register with itself");
    value(M_AX, 42, "doubles it");
}

static void test_division(void)
{
    /* rows: pitfalls 2.13, events 3.2.10 */
    FAULT(MODE_LONG, o_div, EXC_DE, 0, "DIV by 0 is #DE");
    struct modes_state *m = modes_begin(MODE_LONG, o_div);
    m->regs[M_DX] = 2;
    m->regs[M_CX] = 2;
    RUN_FAULT(o_div, EXC_DE, 0, "DIV that overflows is #DE");
    m = modes_begin(MODE_LONG, o_div);
    m->regs[M_DX] = 1;
    m->regs[M_CX] = 2;
    RUN_PASS(o_div, "DIV that just fits");
    value(M_AX, 0x80000000, "gives its quotient");
    FAULT(MODE_LONG, o_idiv_min, EXC_DE, 0, "IDIV of the least number by -1 is #DE");
    FAULT(MODE_LONG, o_idiv8, EXC_DE, 0, "IDIV of 8 bits too");
}

static void test_msrs(void)
{
    struct modes_state *m;

    /* rows: pitfalls 9.3 */
    PASS(MODE_LONG, o_rdmsr, "RDMSR");
    tap_ok(modes_reg(M_AX) >> 32 == 0 && modes_reg(M_DX) >> 32 == 0, "zero-extends");
    FAULT(MODE_LONG, o_bad_msr, EXC_GP, 0, "RDMSR of none is #GP(0)");
    FAULT(MODE_LONG, o_bad_wrmsr, EXC_GP, 0, "WRMSR too");
    /* rows: pitfalls 9.4, events 3.2.3 */
    PASS(MODE_LONG_USER, o_tsc, "RDTSC at CPL 3");
    m = modes_begin(MODE_LONG_USER, o_tsc);
    m->cr4 |= CR4_TSD;
    RUN_FAULT(o_tsc, EXC_GP, 0, "with TSD is #GP(0)");
    m = modes_begin(MODE_LONG_USER, o_rdtscp);
    m->cr4 |= CR4_TSD;
    RUN_FAULT(o_rdtscp, EXC_GP, 0, "RDTSCP too");
    m = modes_begin(MODE_LONG, o_tsc);
    m->cr4 |= CR4_TSD;
    RUN_PASS(o_tsc, "at CPL 0 it passes");
    /* rows: pitfalls 9.4 */
    wrmsr(MSR_TSC_AUX, 0x1234);
    PASS(MODE_LONG, o_rdtscp, "RDTSCP");
    value(M_CX, 0x1234, "gives TSC_AUX in ECX");
    /* rows: pitfalls 3.1 */
    wrmsr(MSR_FS_BASE, 0);
    modes_begin(MODE_LONG, o_null_fs)->fs = SEL_DATA;
    RUN_PASS(o_null_fs, "loading FS with null");
    value(M_AX, 0, "leaves or clears a base of 0");
}

int rom_main(void)
{
    test_widths();
    test_shifts();
    test_memory();
    test_division();
    test_msrs();
    tap_done();
}

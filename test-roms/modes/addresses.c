/* addresses.c: canonical addresses and the end of the address space in 64-bit mode.
 * APM vol 2, 1.3.1 "Long Mode", 5.3.1 "Canonical Address Form"; vol 3, the instructions. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LOW_END UINT64_C(0x0000800000000000) /* the first address that is not canonical */
#define HIGH_BEGIN UINT64_C(0xffff800000000000)
#define BAD UINT64_C(0x8000000000000000) /* not canonical with five levels either */

MODE_CODE64(a_read, "a_read_insn: movl (%rbx), %eax");
MODE_CODE64(a_write, "a_write_insn: movl %eax, (%rbx)");
MODE_CODE64(a_rbp, "movq %rbx, %rbp\n a_rbp_insn: movl (%rbp), %eax");
MODE_CODE64(a_rsp, "movq %rbx, %rsp\n a_rsp_insn: movl (%rsp), %eax");
MODE_CODE64(a_ss, "a_ss_insn: .byte 0x36\n movl (%rbx), %eax");
MODE_CODE64(a_fs, "a_fs_insn: movl %fs:(%rbx), %eax");
MODE_CODE64(a_push, "movq %rbx, %rsp\n a_push_insn: pushq %rax");
MODE_CODE64(a_pop, "movq %rbx, %rsp\n a_pop_insn: popq %rax");
MODE_CODE64(a_call, "movq %rbx, %rsp\n a_call_insn: call 1f\n 1:");
MODE_CODE64(a_enter, "movq %rbx, %rsp\n movq %rbx, %rbp\n a_enter_insn: enter $0, $0");
MODE_CODE64(a_leave, "movq %rbx, %rbp\n a_leave_insn: leave");
MODE_CODE64(a_jmp, "a_jmp_insn: jmp *%rbx");
MODE_CODE64(a_jmp_call, "a_jmp_call_insn: call *%rbx");
MODE_CODE64(a_ret, "pushq %rbx\n a_ret_insn: ret");
MODE_CODE64(a_go, "jmp *%rbx");
MODE_CODE64(a_lea, "leaq (%rbx), %rax\n prefetcht0 (%rbx)\n nopl (%rbx)\n invlpg (%rbx)");
MODE_CODE64(a_clflush, "a_clflush_insn: clflush (%rbx)");
MODE_CODE64(a_movs, "movq %rbx, %rsi\n movl $0x600, %edi\n a_movs_insn: movsb");
MODE_CODE64(a_wrmsr, "movl %esi, %ecx\n movq %rbx, %rdx\n shrq $32, %rdx\n movl %ebx, %eax\n"
                     "a_wrmsr_insn: wrmsr");

static struct modes_state *at(const char *code, uint64_t address)
{
    static uint8_t stack[1024] __attribute__((aligned(16)));
    struct modes_state *m = modes_begin(MODE_LONG, code);
    uint64_t top = (uintptr_t)stack + 512;

    m->regs[M_BX] = address;
    memcpy(modes_tss + 0x24, &top, 8); /* IST 1 for #SS: the stack of the test is no good */
    modes_idt_gate64(EXC_SS)[0] |= UINT64_C(1) << 32;
    return m;
}
#define GP(name, address, what) (at(name, address), RUN_FAULT(name, EXC_GP, 0, what))
#define SS(name, address, what) (at(name, address), RUN_FAULT(name, EXC_SS, 0, what))

static void test_data(void)
{
    struct mode_event e;

    /* rows: events 13.15, 3.2.6, pitfalls 4.12 */
    write_cr2(0x77);
    GP(a_read, LOW_END, "a read at the first address that is not canonical is #GP(0)");
    tap_eq(read_cr2(), 0x77, "CR2 is not changed");
    GP(a_read, HIGH_BEGIN - 4, "below the upper half too");
    GP(a_read, LOW_END - 3, "a read that ends there");
    GP(a_read, HIGH_BEGIN - 1, "a read that begins there");
    GP(a_write, BAD, "a write");
    at(a_read, LOW_END - 4);
    e = RUN_FAULT(a_read, EXC_PF, 0, "the last canonical bytes are not mapped: #PF");
    tap_eq(e.cr2, LOW_END - 4, "CR2 is the address");
    GP(a_movs, BAD, "MOVSB from there");
    at(a_fs, LOW_END - 16);
    wrmsr(MSR_FS_BASE, 0);
    RUN_FAULT(a_fs, EXC_PF, 0, "FS with base 0");
    /* rows: pitfalls 3.5, events 13.15 */
    SS(a_rbp, BAD, "RBP as base: #SS(0)");
    SS(a_rsp, BAD, "RSP as base: #SS(0)");
    SS(a_push, BAD, "PUSH: #SS(0)");
    SS(a_pop, BAD, "POP: #SS(0)");
    SS(a_call, BAD, "CALL without a stack: #SS(0)");
    SS(a_enter, BAD, "ENTER: #SS(0)");
    SS(a_leave, BAD, "LEAVE: #SS(0)");
}

static void test_none(void)
{
    /* rows: pitfalls 3.22 */
    at(a_lea, BAD);
    RUN_PASS(a_lea, "LEA, PREFETCH, NOP and INVLPG do not look");
    GP(a_clflush, BAD, "CLFLUSH does");
}

static void test_branches(void)
{
    struct mode_event e;

    /* rows: pitfalls 3.20 */
    GP(a_jmp, LOW_END, "JMP to an address that is not canonical is #GP(0) at the JMP");
    GP(a_jmp_call, LOW_END, "CALL too");
    tap_eq(modes_event(0).sp, (uintptr_t)modes_stack, "and nothing is pushed");
    GP(a_ret, LOW_END, "RET too");
    /* rows: pitfalls 3.21 */
    static uint8_t page[4096] __attribute__((aligned(4096)));
    memset(page, 0x90, sizeof page);
    paging_map(paging_root(), LOW_END - PAGE_4K, (uintptr_t)page, PAGE_4K, PAGE_P | PAGE_W);
    at(a_go, LOW_END - 4);
    e = modes_run();
    tap_ok(e.vector == EXC_GP && e.error == 0, "running over the canonical end is #GP(0)");
    tap_eq(e.ip, LOW_END, "RIP is the address behind it");
}

static void test_msrs(void)
{
    static const uint32_t msrs[] = { MSR_LSTAR, MSR_CSTAR, MSR_FS_BASE, MSR_GS_BASE,
                                     MSR_KERNEL_GS_BASE };

    /* rows: pitfalls 3.24 */
    for (unsigned i = 0; i < 5; i++) {
        at(a_wrmsr, BAD)->regs[M_SI] = msrs[i];
        RUN_FAULT(a_wrmsr, EXC_GP, 0, "WRMSR of a base or target that is not canonical is #GP(0)");
    }
    at(a_wrmsr, HIGH_BEGIN)->regs[M_SI] = MSR_KERNEL_GS_BASE;
    RUN_PASS(a_wrmsr, "the upper half is canonical");
    tap_eq(rdmsr(MSR_KERNEL_GS_BASE), HIGH_BEGIN, "and is kept");
}

int rom_main(void)
{
    test_data();
    test_none();
    test_branches();
    test_msrs();
    tap_done();
}

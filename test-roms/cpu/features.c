/* features.c: instructions and bits that CPUID reports one by one; each is skipped where it is not there, and then is
 * #UD or reserved. APM vol 3, the instructions, and appendix E; vol 2, 3.1.7 "Extended Feature Enable Register". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define CR4_FSGSBASE UINT64_C(0x10000)
#define STATUS UINT64_C(0x8d5)
#define BAD (UINT64_C(1) << 63)

MODE_CODE64(f_wrfs, "f_wrfs_insn: wrfsbase %rbx\n rdfsbase %rax\n wrgsbase %rcx\n rdgsbase %rdx");
MODE_CODE64(f_wrfs32, "movq $-1, %rax\n wrfsbase %ebx\n rdfsbase %rax");
MODE_CODE32(f_wrfs_compat, "f_wrfs_compat_insn: .byte 0xf3, 0x0f, 0xae, 0xd3");
MODE_CODE64(f_use, "wrfsbase %rbx\n movl %fs:8, %eax");
MODE_CODE64(f_null, "wrfsbase %rbx\n xorl %eax, %eax\n movw %ax, %fs\n rdfsbase %rax");
MODE_CODE64(f_load, "wrfsbase %rbx\n movl $0x10, %eax\n movw %ax, %fs\n rdfsbase %rax");
MODE_CODE64(f_rdpid, "movq $-1, %rax\n rdpid %rax");
MODE_CODE64(f_rdrand, "pushq $0x8d6\n popfq\n rdrand %rax\n pushfq\n popq %rcx\n rdrand %rbx\n "
                      "movq $-1, %rdx\n rdrand %edx");
MODE_CODE64(f_rdseed, "pushq $0x8d6\n popfq\n rdseed %rax\n pushfq\n popq %rcx");
MODE_CODE64(f_monitor,
            "movl $0x600, %eax\n xorl %ecx, %ecx\n xorl %edx, %edx\n f_monitor_insn: monitor");
MODE_CODE64(f_mwait_ecx,
            "movl $0x600, %eax\n xorl %ecx, %ecx\n xorl %edx, %edx\n monitor\n movl $0x600, %ebx\n"
            "movl $1, (%rbx)\n movl $2, %ecx\n xorl %eax, %eax\n f_mwait_ecx_insn: mwait");
MODE_CODE64(f_monitor_bad,
            "movq %rbx, %rax\n xorl %ecx, %ecx\n xorl %edx, %edx\n f_monitor_bad_insn: monitor");
MODE_CODE64(f_clzero, "movq %rbx, %rax\n f_clzero_insn: .byte 0x0f, 0x01, 0xfc");
MODE_CODE64(f_xgetbv, "xorl %ecx, %ecx\n f_xgetbv_insn: xgetbv");
MODE_CODE64(f_lmsle, "movl $0xc0000080, %ecx\n rdmsr\n orl $0x2000, %eax\n f_lmsle_insn: wrmsr");
MODE_CODE64(f_lzcnt,
            "movl $1, %eax\n lzcntl %eax, %ebx\n xorl %ecx, %ecx\n lzcntl %ecx, %edx\n setc %cl");
MODE_CODE64(f_popcnt, "movl $0xf0f01, %eax\n popcntl %eax, %ebx");
MODE_CODE64(f_movbe, "movl $0x12345678, 0x600\n movbel 0x600, %eax");
MODE_CODE64(f_cpuid_swapgs, "f_cpuid_swapgs_insn: swapgs");
MODE_CODE32(f_swapgs32, "f_swapgs32_insn: .byte 0x0f, 0x01, 0xf8");

static uint8_t memory[256] __attribute__((aligned(64)));

static bool has(uint32_t leaf, unsigned reg, unsigned bit)
{
    struct cpuid_result r = cpuid_checked(leaf, 0);

    return ((reg == 0 ? r.eax : reg == 1 ? r.ebx : reg == 2 ? r.ecx : r.edx) >> bit & 1) != 0;
}
#define EAX 0
#define EBX 1
#define ECX 2

/* Family 17h, models 31h and 71h: they clear the base of a null selector, and do not say so. */
static bool is_zen2(void)
{
    uint32_t signature = cpuid(1, 0).eax & 0x0fff0ff0u;

    return signature == 0x00830f10u || signature == 0x00870f10u;
}

static struct modes_state *bases(enum mode mode, const char *code, uint64_t fs, uint64_t gs)
{
    struct modes_state *m = modes_begin(mode, code);

    m->cr4 |= CR4_FSGSBASE;
    m->regs[M_BX] = fs;
    m->regs[M_CX] = gs;
    return m;
}

static void test_bases(void)
{
    if (!has(7, EBX, 0)) {
        FAULT(MODE_LONG, f_wrfs, EXC_UD, 0, "no FSGSBASE: WRFSBASE is #UD");
        return;
    }
    bases(MODE_LONG_USER, f_wrfs, UINT64_C(0xffff800000001234), 0x5678);
    RUN_PASS(f_wrfs, "WRFSBASE and WRGSBASE at CPL 3");
    tap_eq(modes_reg(M_AX), UINT64_C(0xffff800000001234), "RDFSBASE");
    tap_eq(modes_reg(M_DX), 0x5678, "RDGSBASE");
    bases(MODE_LONG, f_wrfs, 1, 2)->cr4 &= ~CR4_FSGSBASE;
    RUN_FAULT(f_wrfs, EXC_UD, 0, "with CR4.FSGSBASE=0 they are #UD");
    bases(MODE_LONG, f_wrfs, BAD, 2);
    RUN_FAULT(f_wrfs, EXC_GP, 0, "a base that is not canonical is #GP(0)");
    bases(MODE_LONG, f_wrfs32, UINT64_C(0xffffffff80000000), 0);
    RUN_PASS(f_wrfs32, "32-bit operand size");
    tap_eq(modes_reg(M_AX), 0x80000000, "writes 32 bits, zero-extended");
    bases(MODE_COMPAT32, f_wrfs_compat, 0, 0);
    RUN_FAULT(f_wrfs_compat, EXC_UD, 0, "compatibility mode: #UD");
    *(volatile uint32_t *)(memory + 8) = 0x1357;
    bases(MODE_LONG, f_use, (uintptr_t)memory, 0);
    RUN_PASS(f_use, "an access through FS");
    tap_eq(modes_reg(M_AX), 0x1357, "uses the base");
    /* rows: pitfalls 3.1 */
    bases(MODE_LONG, f_null, 0x1234, 0);
    RUN_PASS(f_null, "a null selector in FS");
    tap_ok(modes_reg(M_AX) == (has(0x80000021, EAX, 6) || is_zen2() ? 0 : 0x1234),
           "clears the base if CPUID says so");
    bases(MODE_LONG, f_load, 0x1234, 0);
    RUN_PASS(f_load, "a descriptor in FS");
    tap_eq(modes_reg(M_AX), 0, "loads its base");
}

static void test_random(void)
{
    if (has(1, ECX, 30)) {
        /* rows: pitfalls 9.5 */
        PASS(MODE_LONG_USER, f_rdrand, "RDRAND");
        tap_eq(modes_reg(M_CX) & STATUS, 1, "CF = 1, the other flags 0");
        tap_ok(modes_reg(M_AX) != modes_reg(M_BX), "two numbers differ");
        tap_eq(modes_reg(M_DX) >> 32, 0, "32 bits are zero-extended");
    } else {
        tap_skip("no RDRAND", "RDRAND");
    }
    if (has(7, EBX, 18)) {
        /* rows: pitfalls 9.5 */
        PASS(MODE_LONG_USER, f_rdseed, "RDSEED");
        tap_eq(modes_reg(M_CX) & STATUS, 1, "CF = 1, the other flags 0");
    } else {
        tap_skip("no RDSEED", "RDSEED");
    }
}

static void test_monitor(void)
{
    if (!has(1, ECX, 3)) {
        FAULT(MODE_LONG, f_monitor, EXC_UD, 0, "no MONITOR: #UD");
        return;
    }
    /* rows: pitfalls 9.7 */
    PASS(MODE_LONG, f_monitor, "MONITOR");
    FAULT(MODE_LONG_USER, f_monitor, EXC_UD, 0, "at CPL 3 is #UD");
    modes_begin(MODE_LONG, f_monitor_bad)->regs[M_BX] = PAGING_WINDOW;
    RUN_FAULT(f_monitor_bad, EXC_PF, 0, "of a page that is not there is #PF");
    FAULT(MODE_LONG, f_mwait_ecx, EXC_GP, 0, "MWAIT with an unknown bit in ECX is #GP(0)");
}

static void test_clzero(void)
{
    unsigned sum = 0;

    if (!has(0x80000008, EBX, 0)) {
        FAULT(MODE_LONG, f_clzero, EXC_UD, 0, "no CLZERO: #UD");
        return;
    }
    /* rows: pitfalls 9.9 */
    memset(memory, 0x5a, sizeof memory);
    modes_begin(MODE_LONG_USER, f_clzero)->regs[M_BX] = (uintptr_t)memory + 64 + 17;
    RUN_PASS(f_clzero, "CLZERO");
    for (unsigned i = 64; i < 128; i++)
        sum += memory[i];
    tap_eq(sum, 0, "clears the line");
    tap_ok(memory[63] == 0x5a && memory[128] == 0x5a, "and no more");
    modes_begin(MODE_LONG, f_clzero)->regs[M_BX] = PAGING_WINDOW + 5;
    struct mode_event e = RUN_FAULT(f_clzero, EXC_PF, PF_RW, "its #PF is that of a write");
    tap_ok(e.cr2 >= PAGING_WINDOW && e.cr2 < PAGING_WINDOW + 64, "CR2 is in the line");
}

static void test_others(void)
{
    if (has(7, ECX, 22)) {
        wrmsr(MSR_TSC_AUX, 0x2468);
        PASS(MODE_LONG_USER, f_rdpid, "RDPID");
        tap_eq(modes_reg(M_AX), 0x2468, "gives TSC_AUX");
    } else {
        tap_skip("no RDPID", "RDPID");
    }
    FAULT(MODE_LONG, f_xgetbv, EXC_UD, 0, "XGETBV with CR4.OSXSAVE=0 is #UD");
    if (has(0x80000008, EBX, 20)) {
        FAULT(MODE_LONG, f_lmsle, EXC_GP, 0, "no LMSLE: its bit in EFER is #GP(0)");
    } else {
        tap_skip("LMSLE", "its bit in EFER is reserved");
    }
    if (has(0x80000001, ECX, 5)) {
        PASS(MODE_LONG, f_lzcnt, "LZCNT");
        tap_ok(modes_reg(M_BX) == 31 && modes_reg(M_DX) == 32, "counts, 32 for 0");
        tap_eq(modes_reg(M_CX) & 1, 1, "CF for 0");
    }
    if (has(1, ECX, 23)) {
        PASS(MODE_LONG, f_popcnt, "POPCNT");
        tap_eq(modes_reg(M_BX), 9, "counts");
    }
    if (has(1, ECX, 22)) {
        PASS(MODE_LONG, f_movbe, "MOVBE");
        tap_eq(modes_reg(M_AX), 0x78563412, "swaps");
    }
    FAULT(MODE_LONG_USER, f_cpuid_swapgs, EXC_GP, 0, "SWAPGS at CPL 3 is #GP(0)");
    FAULT(MODE_COMPAT32, f_swapgs32, EXC_UD, 0, "SWAPGS in compatibility mode is #UD");
}

int rom_main(void)
{
    test_bases();
    test_random();
    test_monitor();
    test_clzero();
    test_others();
    tap_done();
}

/* fastcall.c: SYSCALL and SYSRET where they are AMD's own: in legacy and compatibility mode; what they load and do not check.
 * APM vol 3, "SYSCALL", "SYSRET"; vol 2, 6.1.1 "SYSCALL and SYSRET". In 64-bit mode: ../cpu/syscall.c. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define VM UINT64_C(0x20000)
#define STAR(user, kernel, eip) ((uint64_t)(user) << 48 | (uint64_t)(kernel) << 32 | (eip))

/* MSRs are set by the first processor in 64-bit mode: they stay. */
MODE_CODE32(c_syscall, "c_syscall_insn: .byte 0x0f, 0x05\n c_syscall_next: nop");
extern const char c_syscall_next[];
MODE_CODE32(c_sysret, "c_sysret_insn: .byte 0x0f, 0x07");
MODE_CODE64(c_sysret64, "c_sysret64_insn: sysretq");
MODE_CODE64(c_sysret32, "c_sysret32_insn: sysretl");
MODE_CODE32(entered32, "movw %cs, %ax\n movw %ss, %bx\n pushfl\n popl %edx");
MODE_CODE64(entered64, "movw %cs, %ax\n movw %ss, %bx\n pushfq\n popq %rdx");
MODE_CODE32(returned32, "movw %cs, %ax\n movw %ss, %bx");
MODE_CODE64(returned64, "movw %cs, %ax\n movw %ss, %bx");
MODE_CODE64(c_null_ss, "xorl %eax, %eax\n movw %ax, %ss\n c_null_ss_insn: sysretl");
MODE_CODE32(use_ss, "use_ss_insn: pushl %eax");

static void test_legacy(void)
{
    struct modes_state *m;
    struct mode_event e;

    wrmsr(MSR_STAR, STAR(0x23 - 8, 0x30, (uintptr_t)entered32));
    /* rows: events 11.1, pitfalls 3.15 */
    m = modes_begin(MODE_PROT32_USER, c_syscall);
    RUN_FAULT(c_syscall, EXC_UD, 0, "legacy mode, SCE=0: SYSCALL is #UD");
    modes_begin(MODE_PROT32, c_sysret);
    RUN_FAULT(c_sysret, EXC_UD, 0, "SYSRET too");
    /* rows: events 11.3, 11.4, 11.5, 11.6, 11.7, 11.8, pitfalls 3.15, 3.16 */
    m = modes_begin(MODE_PROT32_USER, c_syscall);
    m->efer |= EFER_SCE;
    m->rflags |= RFLAGS_IF | RFLAGS_CF;
    modes_set(0x30 + 8, 0); /* no descriptor is read */
    e = modes_try(EXC_UD, 0, entered32_end, "legacy mode: SYSCALL goes to STAR[31:0]");
    tap_eq(modes_reg(M_CX), (uintptr_t)c_syscall_next, "ECX is the next EIP");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x30, "CS is STAR[47:32]");
    tap_eq(modes_reg(M_BX) & 0xffff, 0x38, "SS is STAR[47:32] + 8");
    tap_eq(modes_reg(M_DX) & (RFLAGS_IF | RFLAGS_CF), RFLAGS_CF, "IF is cleared, CF is not");
    tap_eq(e.cs & 3, 0, "CPL is 0");
    m = modes_begin(MODE_PROT32, c_sysret);
    m->efer |= EFER_SCE;
    m->regs[M_CX] = (uintptr_t)returned32;
    e = modes_try(EXC_UD, 0, returned32_end, "legacy mode: SYSRET goes to ECX");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x1b, "CS is STAR[63:48] with RPL 3");
    tap_eq(modes_reg(M_BX) & 0xfffc, 0x20, "SS is STAR[63:48] + 8");
    tap_eq(e.flags & RFLAGS_IF, RFLAGS_IF, "IF is set");
    tap_eq(e.cs & 3, 3, "CPL is 3");
    /* rows: events 11.2 */
    m = modes_begin(MODE_PROT32_USER, c_sysret);
    m->efer |= EFER_SCE;
    RUN_FAULT(c_sysret, EXC_GP, 0, "legacy mode: SYSRET at CPL 3 is #GP(0)");
}

static void test_compatibility(void)
{
    struct modes_state *m;
    struct mode_event e;

    wrmsr(MSR_STAR, STAR(0x1b, 0x08, 0));
    wrmsr(MSR_CSTAR, (uintptr_t)entered64);
    wrmsr(MSR_SFMASK, RFLAGS_CF | RFLAGS_IF);
    /* rows: events 11.3, 11.4, 11.5, 11.6, pitfalls 3.15, 3.16 */
    m = modes_begin(MODE_COMPAT32_USER, c_syscall);
    m->rflags |= RFLAGS_CF | RFLAGS_OF;
    e = modes_try(EXC_UD, 0, entered64_end,
                  "compatibility mode: SYSCALL goes to CSTAR, 64-bit code");
    tap_eq(modes_reg(M_CX), (uintptr_t)c_syscall_next, "RCX is the next RIP");
    tap_eq(modes_reg(M_R8 + 3) & (RFLAGS_CF | RFLAGS_OF), RFLAGS_CF | RFLAGS_OF,
           "R11 is RFLAGS before it");
    tap_eq(modes_reg(M_DX) & (RFLAGS_CF | RFLAGS_OF), RFLAGS_OF, "SFMASK clears its bits");
    tap_ok((modes_reg(M_AX) & 0xffff) == 0x08 && (modes_reg(M_BX) & 0xffff) == 0x10,
           "CS and SS are STAR[47:32] and + 8");
    wrmsr(MSR_SFMASK, 0);
    /* rows: events 11.3, 11.4, 11.5, 11.7 */
    m = modes_begin(MODE_LONG, c_sysret32);
    paging_allow_user(true);
    m->regs[M_CX] = (uintptr_t)returned32;
    m->regs[M_R8 + 3] = RFLAGS_ONE | RFLAGS_CF | RFLAGS_RF | VM;
    e = modes_try(EXC_UD, 0, returned32_end, "64-bit mode: SYSRETD goes to compatibility mode");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x1b, "CS is STAR[63:48]");
    tap_eq(e.flags & (RFLAGS_CF | VM), RFLAGS_CF, "RFLAGS are R11 without VM");
    m = modes_begin(MODE_LONG, c_sysret64);
    paging_allow_user(true);
    m->regs[M_CX] = (uintptr_t)returned64;
    m->regs[M_R8 + 3] = RFLAGS_ONE;
    e = modes_try(EXC_UD, 0, returned64_end, "SYSRETQ goes to 64-bit mode");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x2b, "CS is STAR[63:48] + 16");
    /* rows: events 11.8, pitfalls 3.17 */
    m = modes_begin(MODE_LONG, c_sysret64);
    m->regs[M_CX] = UINT64_C(1) << 63;
    m->regs[M_R8 + 3] = RFLAGS_ONE;
    e = modes_run();
    tap_ok(e.vector == EXC_GP && e.ip == UINT64_C(1) << 63 && (e.cs & 3) == 3,
           "SYSRETQ to an address that is not canonical: #GP there, at CPL 3");
    /* rows: events 11.6, pitfalls 3.18 */
    wrmsr(MSR_STAR, STAR(0x18, 0x08, 0));
    m = modes_begin(MODE_LONG, c_sysret32);
    m->regs[M_CX] = (uintptr_t)returned32;
    m->regs[M_R8 + 3] = RFLAGS_ONE;
    modes_try(EXC_UD, 0, returned32_end, "SYSRETD with RPL 0 in STAR");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x1b, "CS gets RPL 3");
    tap_eq(modes_reg(M_BX) & 0xffff, 0x20, "SS does not");
    wrmsr(MSR_STAR, STAR(0x1b, 0x08, 0));
    m = modes_begin(MODE_LONG, c_null_ss);
    m->regs[M_CX] = (uintptr_t)use_ss;
    m->regs[M_R8 + 3] = RFLAGS_ONE;
    RUN_FAULT(use_ss, EXC_SS, 0, "SYSRETD leaves the attributes of a null SS: its use is #SS(0)");
    /* rows: events 11.1 */
    m = modes_begin(MODE_LONG, c_sysret64);
    m->efer &= ~EFER_SCE;
    RUN_FAULT(c_sysret64, EXC_UD, 0, "SCE=0: SYSRETQ is #UD");
    m = modes_begin(MODE_COMPAT32_USER, c_syscall);
    m->efer &= ~EFER_SCE;
    RUN_FAULT(c_syscall, EXC_UD, 0, "SCE=0: SYSCALL is #UD");
    /* rows: events 11.2 */
    FAULT(MODE_LONG_USER, c_sysret64, EXC_GP, 0, "SYSRETQ at CPL 3 is #GP(0)");
}

int rom_main(void)
{
    test_legacy();
    test_compatibility();
    tap_done();
}

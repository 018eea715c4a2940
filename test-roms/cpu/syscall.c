/* syscall.c: SYSCALL, SYSRET and SWAPGS. APM vol 2, 6.1 "Fast System Call and Return". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define STAR_VALUE ((uint64_t)SEL_USER_CODE32 << 48 | (uint64_t)SEL_CODE64 << 32)

static uint8_t user_stack[4096] __attribute__((aligned(16)));

/* User code: SYSCALL, then a report by INT 0x80 with what came back. */
void user_syscall(void), user_syscall_after(void), user_read_gs(void);
extern uint64_t seen_rcx, seen_r11, seen_flags, seen_rsp;
extern uint16_t seen_cs, seen_ss, back_cs, back_ss;
void kernel_entry(void), kernel_sysret32(void);
__asm__(".text\n"
        "user_syscall:\n\t"
        "pushq $0x8d7\n\tpopfq\n\t"
        "movl $0x1234, %eax\n\t"
        "syscall\n"
        "user_syscall_after:\n\t"
        "int $0x80\n"
        "kernel_entry:\n\t"
        "movq %rcx, seen_rcx\n\tmovq %r11, seen_r11\n\tmovq %rsp, seen_rsp\n\t"
        "movw %cs, seen_cs\n\tmovw %ss, seen_ss\n\t"
        "pushfq\n\tpopq seen_flags\n\t"
        "orq $0x10000, %r11\n\t" /* RF is not taken from R11 */
        "sysretq\n"
        "kernel_sysret32:\n\t"
        "movq $user32, %rcx\n\t"
        "sysretl\n"
        ".code32\n"
        "user32:\n\t"
        "movl $0x23, %eax\n\tmovl %eax, %ds\n\t" /* null since the change to CPL 3 */
        "movw %cs, back_cs\n\tmovw %ss, back_ss\n\tint $0x80\n"
        ".code64\n"
        "user_read_gs:\n\t"
        "swapgs\n\tint $0x80\n"
        ".bss\n.balign 8\n"
        "seen_rcx: .skip 8\nseen_r11: .skip 8\nseen_flags: .skip 8\nseen_rsp: .skip 8\n"
        "seen_cs: .skip 2\nseen_ss: .skip 2\nback_cs: .skip 2\nback_ss: .skip 2\n.text\n");

static void do_syscall(void *arg)
{
    (void)arg;
    __asm__ volatile("syscall" : : : "rcx", "r11", "memory");
}

static void do_sysret(void *arg)
{
    (void)arg;
    __asm__ volatile("sysretq" : : : "memory");
}

static struct trap_result user(void (*code)(void))
{
    return trap_try_user((uintptr_t)code, SEL_USER_CODE64, (uintptr_t)user_stack + 4000, RFLAGS_ONE,
                         0, 0);
}

/* rows: events 11.1, pitfalls 3.15 */
static void test_enable(void)
{
    struct trap_result r;

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
    r = trap_try(do_syscall, NULL);
    tap_eq(r.vector, EXC_UD, "SYSCALL with EFER.SCE=0 is #UD");
    r = trap_try(do_sysret, NULL);
    tap_eq(r.vector, EXC_UD, "SYSRET with EFER.SCE=0 is #UD");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}

/* rows: events 11.3, 11.4, 11.5, 11.6, 11.7, pitfalls 3.16 */
static void test_round_trip(void)
{
    struct trap_result r;

    wrmsr(MSR_STAR, STAR_VALUE);
    wrmsr(MSR_LSTAR, (uintptr_t)kernel_entry);
    wrmsr(MSR_SFMASK, RFLAGS_CF | RFLAGS_OF | RFLAGS_IF | RFLAGS_TF);
    r = user(user_syscall);
    tap_eq(r.vector, 0x80, "SYSCALL and SYSRET come back to the user");
    tap_eq(r.rip, (uintptr_t)user_syscall_after + 2, "at the instruction behind SYSCALL");
    tap_eq(seen_rcx, (uintptr_t)user_syscall_after, "RCX is the return address");
    tap_eq(seen_r11, 0x8d7, "R11 is RFLAGS");
    tap_eq(seen_flags, 0x0d6 & ~0x800, "RFLAGS are masked by SFMASK");
    tap_eq(seen_rsp, (uintptr_t)user_stack + 4000, "RSP is not changed");
    tap_eq(seen_cs, SEL_CODE64, "CS is STAR[47:32]");
    tap_eq(seen_ss, SEL_CODE64 + 8, "SS is STAR[47:32] + 8");
    tap_eq(r.cs, SEL_USER_CODE64, "SYSRET to 64 bits: CS is STAR[63:48] + 16 with RPL 3");
    tap_eq(r.rflags, 0x8d7, "SYSRET loads RFLAGS from R11 without RF");
    wrmsr(MSR_LSTAR, (uintptr_t)kernel_sysret32);
    r = user(user_syscall);
    tap_eq(r.vector, 0x80, "SYSRET to compatibility mode");
    tap_eq(back_cs, SEL_USER_CODE32, "its CS is STAR[63:48]");
    tap_eq(back_ss, SEL_USER_CODE32 + 8, "its SS is STAR[63:48] + 8");
}

static void kernel_non_canonical(void)
{
    __asm__ volatile("movabsq $0x800000000000, %rcx\n\tsysretq");
}

/* rows: events 11.2, 11.8, pitfalls 3.17 */
static void test_checks(void)
{
    struct trap_result r;

    wrmsr(MSR_LSTAR, (uintptr_t)kernel_non_canonical);
    r = user(user_syscall);
    tap_ok(r.vector == EXC_GP && (r.cs & 3) == 3 && r.rip == UINT64_C(0x800000000000),
           "SYSRET to a non-canonical RIP: #GP at the target, at CPL 3");
    r = user((void (*)(void))(uintptr_t)do_sysret);
    tap_ok(r.vector == EXC_GP && r.error == 0, "SYSRET at CPL 3 is #GP(0)");
}

static void test_swapgs(void)
{
    struct trap_result r;

    wrmsr(MSR_GS_BASE, 0x1111);
    wrmsr(MSR_KERNEL_GS_BASE, 0x2222);
    __asm__ volatile("swapgs");
    tap_ok(rdmsr(MSR_GS_BASE) == 0x2222 && rdmsr(MSR_KERNEL_GS_BASE) == 0x1111,
           "SWAPGS exchanges the bases");
    r = user(user_read_gs);
    tap_ok(r.vector == EXC_GP && r.error == 0, "SWAPGS at CPL 3 is #GP(0)");
    wrmsr(MSR_GS_BASE, 0);
}

int rom_main(void)
{
    paging_allow_user(true);
    test_enable();
    test_round_trip();
    test_checks();
    test_swapgs();
    tap_done();
}

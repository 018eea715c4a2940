/* shadow_stack.c: shadow stacks of near calls at CPL 3 and CPL 0, and the instructions that manage them. APM vol 2, 5.7 "Shadow
 * Stack Protection", 18 "Shadow Stacks". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define USER_LA (PAGING_WINDOW + 0x1000)       /* a user's shadow stack */
#define OTHER_LA (PAGING_WINDOW + 0x3000)      /* another */
#define SUPERVISOR_LA (PAGING_WINDOW + 0x5000) /* a supervisor's */
#define ORDINARY_LA (PAGING_WINDOW + 0x7000)
#define LOW_LA UINT64_C(0x60000000) /* of 32-bit code; no RAM need be there */
#define TOP 0x800u

#define CR4_CET UINT64_C(0x800000)
#define PF_SS 0x40u
#define EXC_CP 21
#define CP_NEAR_RET 1
#define CP_RSTORSSP 4
#define SHADOW (PAGE_P | PAGE_D)
#define USER_FAULT (PF_P | PF_US | PF_SS)

#define MSR_U_CET 0x6a0u
#define MSR_S_CET 0x6a2u
#define MSR_PL0_SSP 0x6a4u
#define MSR_PL3_SSP 0x6a7u
#define MSR_ISST 0x6a8u
#define MSR_XSS 0xda0u

static uint64_t user[512] __attribute__((aligned(4096)));
static uint64_t other[512] __attribute__((aligned(4096)));
static uint64_t supervisor[512] __attribute__((aligned(4096)));
static uint64_t ordinary[512] __attribute__((aligned(4096)));

static uint64_t *at(uint64_t *page, unsigned offset)
{
    return &page[offset / 8];
}

/* ---- at CPL 3 ----------------------------------------------------------------------------------- */

/* A world at CPL 3 whose shadow stack is at USER_LA + TOP: IRET takes SSP from PL3_SSP, and the event that ends it puts it
 * there again. */
static struct modes_state *begin(enum mode mode, const char *code)
{
    struct modes_state *m = modes_begin(mode, code);

    m->cr4 |= CR4_CET;
    m->cr0 |= CR0_WP;
    wrmsr(MSR_U_CET, 3);
    wrmsr(MSR_PL3_SSP, (mode == MODE_LONG_USER ? USER_LA : LOW_LA) + TOP);
    memset(user, 0, sizeof user);
    memset(other, 0, sizeof other);
    return m;
}

MODE_CODE64(u_call, "call u_call_f\n u_call_back: rdsspq %rbx\n jmp u_call_end\n"
                    " u_call_f: rdsspq %rax\n u_call_insn: ret");
MODE_CODE64(u_zero, "u_zero_insn: call 1f\n 1: rdsspq %rax\n popq %rbx");
MODE_CODE64(u_indirect, "leaq 1f(%rip), %rax\n u_indirect_insn: call *%rax\n 1: rdsspq %rax");
MODE_CODE64(u_changed, "call 1f\n nop\n nop\n ud2\n 1: addq $2, (%rsp)\n u_changed_insn: ret");
MODE_CODE64(u_pivot, "call 1f\n 2: ud2\n 1: rdsspq %rax\n leaq u_pivot_end(%rip), %rcx\n"
                     " movq %rcx, (%rsp)\n wrssq %rcx, (%rax)\n u_pivot_insn: ret");
MODE_CODE64(u_store, "u_store_insn: movq %rax, (%rbx)");
MODE_CODE64(u_load, "u_load_insn: movq (%rbx), %rax");
MODE_CODE64(u_bad_call, "u_bad_call_insn: call 1f\n ud2\n 1: nop");
MODE_CODE64(u_rdssp, "movq $-1, %rax\n rdsspq %rax\n movq $-1, %rbx\n u_rdssp_insn: rdsspd %ebx");
MODE_CODE64(u_incssp, "call 1f\n 1: call 2f\n ud2\n 2: call 3f\n ud2\n 3: movl $2, %eax\n"
                      " u_incssp_insn: incsspq %rax\n rdsspq %rbx");
MODE_CODE64(u_switch, "rstorssp (%rbx)\n rdsspq %rax\n setc %cl\n u_switch_insn: saveprevssp\n"
                      " rdsspq %rdx\n");
MODE_CODE64(u_rstor, "u_rstor_insn: rstorssp (%rbx)");
MODE_CODE64(u_saveprev, "u_saveprev_insn: saveprevssp");
MODE_CODE64(u_wrss, "u_wrss_insn: wrssq %rax, (%rbx)");
MODE_CODE64(u_wruss, "u_wruss_insn: wrussq %rax, (%rbx)");
MODE_CODE64(u_setbusy, "u_setbusy_insn: setssbsy");
MODE_CODE64(u_clrbusy, "u_clrbusy_insn: clrssbsy (%rbx)");
MODE_CODE64(u_loop, "movl $1000, %edi\n 1: call 2f\n decl %edi\n jnz 1b\n jmp u_loop_end\n"
                    " 2: incl %esi\n u_loop_insn: ret");
MODE_CODE32(c_call,
            "call 1f\n 2: rdsspd %ebx\n jmp c_call_end\n 1: rdsspd %eax\n c_call_insn: ret");

static void test_calls(void)
{
    begin(MODE_LONG_USER, u_call);
    RUN_PASS(u_call, "CALL and RET with a shadow stack");
    tap_eq(modes_reg(M_AX), USER_LA + TOP - 8, "CALL pushes 8 bytes");
    tap_eq(*at(user, TOP - 8), (uintptr_t)u_call + 5, "and it is the return address");
    tap_eq(modes_reg(M_BX), USER_LA + TOP, "RET pops them");
    tap_eq(rdmsr(MSR_PL3_SSP), USER_LA + TOP, "the event has put SSP into PL3_SSP");
    begin(MODE_LONG_USER, u_zero);
    RUN_PASS(u_zero, "CALL to the next instruction");
    tap_eq(modes_reg(M_AX), USER_LA + TOP, "pushes nothing to the shadow stack");
    begin(MODE_LONG_USER, u_loop);
    RUN_PASS(u_loop, "a thousand calls");
    tap_eq(modes_reg(M_SI), 1000, "come back each");
    begin(MODE_COMPAT32_USER, c_call);
    RUN_PASS(c_call, "CALL and RET in compatibility mode");
    tap_eq(modes_reg(M_AX), LOW_LA + TOP - 4, "push 4 bytes");
    tap_eq(*at(user, TOP - 8) >> 32, (uintptr_t)c_call + 5, "of EIP");
    tap_eq(modes_reg(M_BX), LOW_LA + TOP, "and pop them");

    /* rows: events 4.3 */
    begin(MODE_LONG_USER, u_changed);
    RUN_FAULT(u_changed, EXC_CP, CP_NEAR_RET, "RET to a changed address is #CP(1)");
    tap_eq(rdmsr(MSR_PL3_SSP), USER_LA + TOP - 8, "before which SSP has not moved");
    begin(MODE_LONG_USER, u_pivot);
    RUN_PASS(u_pivot, "changed on both stacks it is taken");
    begin(MODE_LONG_USER, u_indirect);
    RUN_PASS(u_indirect, "an indirect CALL to the next instruction");
    tap_eq(modes_reg(M_AX), USER_LA + TOP - 8, "pushes");
    begin(MODE_LONG_USER, u_changed);
    wrmsr(MSR_U_CET, 0);
    modes_try(EXC_UD, 0, (const char *)u_changed + 7, "with U_CET = 0 nobody compares");
    begin(MODE_LONG_USER, u_changed)->cr4 &= ~CR4_CET;
    modes_try(EXC_UD, 0, (const char *)u_changed + 7, "with CR4.CET = 0 neither");
}

static void test_pages(void)
{
    struct modes_state *m = begin(MODE_LONG_USER, u_load);

    m->regs[M_BX] = USER_LA;
    RUN_PASS(u_load, "an ordinary load reads a shadow stack");
    m = begin(MODE_LONG_USER, u_store);
    m->regs[M_BX] = USER_LA;
    RUN_FAULT(u_store, EXC_PF, PF_P | PF_RW | PF_US, "an ordinary store does not write it");
    m = begin(MODE_LONG, u_store);
    m->regs[M_BX] = USER_LA;
    RUN_FAULT(u_store, EXC_PF, PF_P | PF_RW, "nor does a supervisor's");
    begin(MODE_LONG_USER, u_bad_call);
    wrmsr(MSR_PL3_SSP, ORDINARY_LA + TOP);
    RUN_FAULT(u_bad_call, EXC_PF, USER_FAULT | PF_RW, "CALL to an ordinary page is #PF with SS");
    tap_eq(modes_cr2(), ORDINARY_LA + TOP - 8, "CR2 is the address on the shadow stack");
    begin(MODE_LONG_USER, u_bad_call);
    wrmsr(MSR_PL3_SSP, SUPERVISOR_LA + TOP);
    RUN_FAULT(u_bad_call, EXC_PF, USER_FAULT | PF_RW, "so it is to a supervisor's shadow stack");
    begin(MODE_LONG_USER, u_bad_call);
    wrmsr(MSR_PL3_SSP, USER_LA - 0x1000 + TOP);
    RUN_FAULT(u_bad_call, EXC_PF, PF_US | PF_SS | PF_RW, "to a page that is absent, without P");
}

static void test_pointer(void)
{
    struct modes_state *m;

    begin(MODE_LONG_USER, u_rdssp);
    RUN_PASS(u_rdssp, "RDSSP");
    tap_eq(modes_reg(M_AX), USER_LA + TOP, "reads SSP");
    tap_eq(modes_reg(M_BX), (uint32_t)(USER_LA + TOP), "or its lower half");
    begin(MODE_LONG_USER, u_rdssp);
    wrmsr(MSR_U_CET, 0);
    RUN_PASS(u_rdssp, "RDSSP where shadow stacks are off");
    tap_ok(modes_reg(M_AX) == UINT64_MAX && modes_reg(M_BX) == UINT64_MAX, "does nothing");
    begin(MODE_LONG_USER, u_incssp);
    RUN_PASS(u_incssp, "INCSSP");
    tap_eq(modes_reg(M_BX), USER_LA + TOP, "pops what longjmp does not want");
    begin(MODE_LONG_USER, u_incssp);
    wrmsr(MSR_U_CET, 2);
    RUN_FAULT(u_incssp, EXC_UD, 0, "INCSSP where they are off is #UD");
    m = begin(MODE_LONG_USER, u_wrss);
    m->regs[M_AX] = 0x1122334455667788;
    m->regs[M_BX] = USER_LA;
    RUN_PASS(u_wrss, "WRSS");
    tap_eq(user[0], 0x1122334455667788, "writes the shadow stack");
    begin(MODE_LONG_USER, u_wrss)->regs[M_BX] = USER_LA + 4;
    RUN_FAULT(u_wrss, EXC_GP, 0, "WRSSQ to an unaligned address is #GP(0)");
    begin(MODE_LONG_USER, u_wrss)->regs[M_BX] = ORDINARY_LA;
    RUN_FAULT(u_wrss, EXC_PF, USER_FAULT | PF_RW, "WRSS to an ordinary page is #PF");
    begin(MODE_LONG_USER, u_wrss)->regs[M_BX] = USER_LA;
    wrmsr(MSR_U_CET, 1);
    RUN_FAULT(u_wrss, EXC_UD, 0, "WRSS without WR_SHSTK_EN is #UD");
}

/* RSTORSSP of this place, where the token is the word below TOP. */
static void restore(uint64_t token, unsigned place)
{
    begin(MODE_LONG_USER, u_rstor)->regs[M_BX] = OTHER_LA + place;
    *at(other, TOP - 8) = token;
}

static void test_switching(void)
{
    struct modes_state *m = begin(MODE_LONG_USER, u_switch);

    *at(other, TOP - 8) = (OTHER_LA + TOP) | 1;
    m->regs[M_BX] = OTHER_LA + TOP - 8;
    RUN_PASS(u_switch, "RSTORSSP to another stack, and SAVEPREVSSP");
    tap_eq(modes_reg(M_AX), OTHER_LA + TOP - 8, "RSTORSSP: SSP points to the token");
    tap_eq(modes_reg(M_CX) & 0xff, 0, "CF tells of no hole");
    tap_eq(modes_reg(M_DX), OTHER_LA + TOP, "SAVEPREVSSP pops it");
    tap_eq(*at(user, TOP - 8), (USER_LA + TOP) | 1, "and leaves one on the old stack");
    /* rows: events 4.3 */
    restore((OTHER_LA + TOP) | 3, TOP - 8);
    RUN_FAULT(u_rstor, EXC_CP, CP_RSTORSSP, "a token in use is #CP(4)");
    restore(OTHER_LA + TOP, TOP - 8);
    RUN_FAULT(u_rstor, EXC_CP, CP_RSTORSSP, "so is one of 32-bit code");
    restore((OTHER_LA + TOP + 8) | 1, TOP - 8);
    RUN_FAULT(u_rstor, EXC_CP, CP_RSTORSSP, "and one of another place");
    restore((OTHER_LA + TOP) | 1, TOP - 4);
    RUN_FAULT(u_rstor, EXC_GP, 0, "an unaligned operand is #GP(0)");
    begin(MODE_LONG_USER, u_saveprev);
    RUN_FAULT(u_saveprev, EXC_GP, 0, "SAVEPREVSSP without a token is #GP(0)");
}

static void test_privilege(void)
{
    begin(MODE_LONG_USER, u_wruss);
    RUN_FAULT(u_wruss, EXC_GP, 0, "WRUSS at CPL 3 is #GP(0)");
    begin(MODE_LONG_USER, u_setbusy);
    RUN_FAULT(u_setbusy, EXC_UD, 0, "SETSSBSY with S_CET = 0 is #UD");
    begin(MODE_LONG_USER, u_clrbusy);
    RUN_FAULT(u_clrbusy, EXC_UD, 0, "so is CLRSSBSY");
    begin(MODE_LONG, u_wruss)->regs[M_BX] = USER_LA;
    RUN_PASS(u_wruss, "WRUSS at CPL 0 needs CR4.CET alone");
    begin(MODE_LONG, u_wruss)->regs[M_BX] = SUPERVISOR_LA;
    RUN_FAULT(u_wruss, EXC_PF, USER_FAULT | PF_RW, "and writes users' stacks alone");
}

/* ---- at CPL 0 ----------------------------------------------------------------------------------- */

/* Shadow stacks go on at CPL 0 behind the first WRMSR and off again before the end. EAX and EDX are lost. */
#define S_ON "movl $0x6a2, %ecx\n movl $3, %eax\n xorl %edx, %edx\n wrmsr\n"
#define S_OFF "movl $0x6a2, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr\n"
MODE_CODE64(s_busy,
            S_ON "s_busy_insn: setssbsy\n rdsspq %rsi\n movq (%rsi), %r8\n call 1f\n jmp 2f\n"
                 " 1: rdsspq %rdi\n ret\n 2: clrssbsy (%rbx)\n setc %r9b\n rdsspq %rbp\n" S_OFF);
MODE_CODE64(s_invalid, S_ON "clrssbsy (%rbx)\n s_invalid_insn: setc %r9b\n" S_OFF);

static void test_supervisor(void)
{
    struct modes_state *m = begin(MODE_LONG, s_busy);

    wrmsr(MSR_PL0_SSP, SUPERVISOR_LA + TOP);
    *at(supervisor, TOP) = SUPERVISOR_LA + TOP;
    m->regs[M_BX] = SUPERVISOR_LA + TOP;
    RUN_PASS(s_busy, "a supervisor's shadow stack");
    tap_eq(modes_reg(M_SI), SUPERVISOR_LA + TOP, "SETSSBSY: SSP is PL0_SSP");
    tap_eq(modes_reg(M_R8), (SUPERVISOR_LA + TOP) | 1, "and the token is busy");
    tap_eq(modes_reg(M_DI), SUPERVISOR_LA + TOP - 8, "CALL pushes below it");
    tap_eq(modes_reg(M_R8 + 1) & 0xff, 0, "CLRSSBSY finds the token busy");
    tap_eq(*at(supervisor, TOP), SUPERVISOR_LA + TOP, "and clears the bit");
    tap_eq(modes_reg(M_BP), 0, "SSP is 0 then");
    m = begin(MODE_LONG, s_invalid);
    m->regs[M_BX] = SUPERVISOR_LA + TOP;
    RUN_PASS(s_invalid, "CLRSSBSY of a token that is not busy");
    tap_eq(modes_reg(M_R8 + 1) & 0xff, 1, "sets CF");
}

/* ---- registers ---------------------------------------------------------------------------------- */

struct msr_write {
    uint32_t msr;
    uint64_t value;
};

static void try_wrmsr(void *arg)
{
    const struct msr_write *w = arg;

    wrmsr(w->msr, w->value);
}

static void try_cr4(void *arg)
{
    write_cr4(*(const uint64_t *)arg);
}

static void try_cr0(void *arg)
{
    write_cr0(*(const uint64_t *)arg);
}

static void check_msr(uint32_t msr, uint64_t value, bool legal, const char *what)
{
    struct msr_write w = { msr, value };

    tap_eq(trap_try(try_wrmsr, &w).vector, legal ? EXC_NONE : EXC_GP, "MSR %x: %s", msr, what);
    if (legal)
        tap_eq(rdmsr(msr), value, "and it reads back");
}

static void test_registers(void)
{
    uint64_t cr4 = read_cr4(), with = cr4 | CR4_CET, cr0 = read_cr0(), without_wp = cr0 & ~CR0_WP;

    check_msr(MSR_U_CET, 4, false, "bit 2 is reserved");
    check_msr(MSR_S_CET, UINT64_C(1) << 63, false, "bit 63 is reserved");
    check_msr(MSR_U_CET, 2, true, "WR_SHSTK_EN");
    check_msr(MSR_U_CET, 0, true, "off");
    for (uint32_t msr = MSR_PL0_SSP; msr <= MSR_PL3_SSP; msr++) {
        check_msr(msr, UINT64_C(1) << 62, false, "not canonical");
        check_msr(msr, 0x1002, false, "not aligned to 4");
        check_msr(msr, UINT64_C(0xffff800000001004), true, "aligned to 4");
    }
    check_msr(MSR_ISST, UINT64_C(1) << 62, false, "not canonical");
    check_msr(MSR_ISST, UINT64_C(0xffff800000001001), true, "any alignment");
    wrmsr(MSR_ISST, 0);

    /* rows: pitfalls 5.6 */
    tap_eq(trap_try(try_cr4, &with).vector, EXC_NONE, "CR4.CET with CR0.WP = 1");
    tap_eq(trap_try(try_cr0, &without_wp).vector, EXC_GP, "clearing CR0.WP then is #GP");
    write_cr4(cr4);
    tap_eq(trap_try(try_cr0, &without_wp).vector, EXC_NONE, "and is not without CR4.CET");
    tap_eq(trap_try(try_cr4, &with).vector, EXC_GP, "CR4.CET with CR0.WP = 0 is #GP");
    write_cr0(cr0);
}

/* XSAVES and XRSTORS of both components, with what they mean kept in the MSRs. */
static void test_xsaves(void)
{
    static uint8_t area[1024] __attribute__((aligned(64)));
    struct cpuid_result u = cpuid_checked(0xd, 11), s = cpuid_checked(0xd, 12);
    uint64_t cr4 = read_cr4();

    tap_ok(u.eax == 16 && u.ebx == 0 && (u.ecx & 1), "CET_U is a supervisor component of 16 bytes");
    tap_ok(s.eax == 24 && s.ebx == 0 && (s.ecx & 1), "CET_S one of 24");
    write_cr4(cr4 | CR4_OSXSAVE);
    wrmsr(MSR_XSS, 0x1800);
    wrmsr(MSR_U_CET, 3);
    wrmsr(MSR_PL3_SSP, 0x4000);
    for (uint32_t i = 0; i < 3; i++)
        wrmsr(MSR_PL0_SSP + i, 0x1000 * (i + 1));
    __asm__ volatile("xsaves64 %0" : "+m"(area) : "a"(0x1800), "d"(0));
    wrmsr(MSR_U_CET, 0);
    for (uint32_t i = 0; i < 4; i++)
        wrmsr(MSR_PL0_SSP + i, 0);
    __asm__ volatile("xrstors64 %0" : : "m"(area), "a"(0x1800), "d"(0) : "memory");
    tap_ok(rdmsr(MSR_U_CET) == 3 && rdmsr(MSR_PL3_SSP) == 0x4000, "XRSTORS brings CET_U back");
    tap_ok(rdmsr(MSR_PL0_SSP) == 0x1000 && rdmsr(MSR_PL0_SSP + 1) == 0x2000 &&
               rdmsr(MSR_PL0_SSP + 2) == 0x3000,
           "and CET_S");
    wrmsr(MSR_XSS, 0);
    wrmsr(MSR_U_CET, 0);
    write_cr4(cr4);
}

int rom_main(void)
{
    uint64_t *root = paging_root();

    if ((cpuid_checked(7, 0).ecx >> 7 & 1) == 0) {
        tap_skip("no CET_SS", "shadow stacks");
        tap_done();
    }
    paging_map(root, USER_LA, (uintptr_t)user, PAGE_4K, SHADOW | PAGE_U);
    paging_map(root, LOW_LA, (uintptr_t)user, PAGE_4K, SHADOW | PAGE_U);
    paging_map(root, OTHER_LA, (uintptr_t)other, PAGE_4K, SHADOW | PAGE_U);
    paging_map(root, SUPERVISOR_LA, (uintptr_t)supervisor, PAGE_4K, SHADOW);
    paging_map(root, ORDINARY_LA, (uintptr_t)ordinary, PAGE_4K, PAGE_P | PAGE_W | PAGE_U);
    write_cr3(read_cr3());
    test_registers();
    test_calls();
    test_pages();
    test_pointer();
    test_switching();
    test_privilege();
    wrmsr(MSR_U_CET, 0);
    test_supervisor();
    test_xsaves();
    tap_done();
}

/* shadow_stacks.c: guests with shadow stacks of their own: what VMRUN and #VMEXIT switch, #CP, nested page faults of their accesses, the
 * supervisor shadow stack check. APM vol 2, 18 "Shadow Stacks", 15.5.1 "Basic Operation", 15.25.14 "Supervisor Shadow
 * Stacks", appendix B. */
#include "test-roms/svm/kit.h"

#define FEATURE_CLEAN (1u << 5)
#define FEATURE_SSS (1u << 19)
#define NESTED_SSS (UINT64_C(1) << 4) /* in the word of NP_ENABLE */
#define VMCB_S_CET 0x5e0
#define VMCB_SSP 0x5e8
#define VMCB_ISST_ADDR 0x5f0
#define CLEAN_CET (1u << 12)
#define CR4_CET UINT64_C(0x00800000)
#define MSR_U_CET 0x6a0u
#define MSR_S_CET 0x6a2u
#define MSR_PL0_SSP 0x6a4u
#define MSR_ISST_ADDR 0x6a8u
#define SH_STK_EN 1u
#define EXC_CP 21u
#define CP_NEAR_RET 1u
#define NPF_SS 0x40u
#define NPF_SSS (UINT64_C(1) << 37)
#define STACK_PAGE (PAGE_P | PAGE_D) /* W = 0 and D = 1: a shadow stack */
#define SSS_PAGE (PAGE_P | PAGE_NX)

/* Shadow stacks of the guest and of the host: each is written here, and used through the window. */
static uint64_t guest_stack[512] __attribute__((aligned(4096)));
static uint64_t host_stack[512] __attribute__((aligned(4096)));
#define GUEST_LA PAGING_WINDOW
#define HOST_LA (PAGING_WINDOW + PAGE_4K)
#define ALIAS_LA (PAGING_WINDOW + 2 * PAGE_4K) /* the guest's once more, writable */
#define TOP 0x800u
#define GUEST_SSP (GUEST_LA + TOP)

static struct svm_guest g;
static uint64_t *nested;

extern const char s_call_back[], s_cp_insn[], s_cp_target[], s_write_insn[];
GUEST_CODE(s_call, "call 1f\n s_call_back: jmp 2f\n 1: vmmcall\n ret\n 2:");
GUEST_CODE(s_ssp, "xorl %ebx, %ebx\n .byte 0xf3, 0x48, 0x0f, 0x1e, 0xcb"); /* RDSSPQ RBX */
GUEST_CODE(s_cp, "call 1f\n nop\n s_cp_target: jmp 2f\n 1: incq (%rsp)\n s_cp_insn: ret\n 2:");
GUEST_CODE(s_write, "s_write_insn: movq %rax, (%rdi)");
GUEST_CODE(s_read, "movq (%rdi), %rax");
GUEST_CODE(s_jump, "call *%rdi");
GUEST_CODE(s_int, "int $0x40");
GUEST_CODE(s_wrmsr, "xorl %edx, %edx\n movl $0x6a2, %ecx\n movl $2, %eax\n wrmsr\n"
                    "movl $0x6a8, %ecx\n movl $0x7000, %eax\n wrmsr\n"
                    "movl $0x6a4, %ecx\n movl $0x6000, %eax\n wrmsr\n"
                    "movl $0x6a0, %ecx\n movl $1, %eax\n wrmsr");

/* A guest with supervisor shadow stacks on. */
static void fresh(const char *code)
{
    memset(guest_stack, 0, sizeof guest_stack);
    kit_guest(&g, code);
    svm_set(&g, VMCB_S_CET, SH_STK_EN);
    svm_set(&g, VMCB_SSP, GUEST_SSP);
}

static volatile uint64_t *leaf(const void *at)
{
    uint64_t gpa = (uintptr_t)at & ~(PAGE_4K - 1);

    return paging_map(nested, gpa, gpa, PAGE_4K, PAGE_P | PAGE_W | PAGE_U);
}

/* The same under nested paging, with these bits in the nested leaf of the shadow stack. */
static void fresh_nested(const char *code, uint64_t options, uint64_t bits)
{
    fresh(code);
    nested = kit_nested_identity();
    svm_set_nested(&g, nested);
    svm_set(&g, VMCB_NP_ENABLE, svm_get(&g, VMCB_NP_ENABLE) | options);
    *leaf(guest_stack) = (uintptr_t)guest_stack | bits;
}

static uint64_t gpa_of(unsigned below)
{
    return (uintptr_t)guest_stack + TOP - below;
}

/* ---- calls ------------------------------------------------------------------------------------ */

/* rows: svmop 3.21, 5.2 */
static void test_call(bool np)
{
    const char *with = np ? "nested paging" : "without nested paging";

    if (np)
        fresh_nested(s_call, 0, PAGE_P | PAGE_W | PAGE_U);
    else
        fresh(s_call);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "%s: an exit inside a call", with);
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP - 8, "%s: SSP is that of the call", with);
    tap_eq(guest_stack[TOP / 8 - 1], (uintptr_t)s_call_back, "%s: and points to its return address",
           with);
    svm_skip(&g, 3);
    tap_ok(svm_run(&g) == VMEXIT_VMMCALL && svm_get(&g, VMCB_RIP) == (uintptr_t)s_call_end,
           "%s: the guest returns", with);
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP, "%s: and SSP is back", with);
}

static void test_registers(void)
{
    fresh(s_ssp);
    svm_run(&g);
    tap_eq(g.rbx, GUEST_SSP, "RDSSP reads what VMRUN has loaded");
    fresh(s_ssp);
    svm_set(&g, VMCB_S_CET, 0);
    svm_run(&g);
    tap_eq(g.rbx, 0, "without SH_STK_EN of the VMCB RDSSP reads nothing");
    fresh(s_ssp);
    svm_set(&g, VMCB_CR4, svm_get(&g, VMCB_CR4) & ~CR4_CET);
    svm_run(&g);
    tap_eq(g.rbx, 0, "nor without CR4.CET of the VMCB");
    fresh(s_ssp);
    svm_set(&g, VMCB_SSP, GUEST_SSP | UINT64_C(0x5a00) << 48);
    svm_run(&g);
    tap_ok(g.rbx == GUEST_SSP && svm_get(&g, VMCB_SSP) == GUEST_SSP,
           "SSP becomes canonical"); /* below bit 48, and 57 */
}

static void test_msrs(void)
{
    wrmsr(MSR_S_CET, 0);
    wrmsr(MSR_ISST_ADDR, 0x12340);
    wrmsr(MSR_PL0_SSP, 0x5000);
    fresh(s_wrmsr);
    svm_set(&g, VMCB_S_CET, 0);
    svm_set(&g, VMCB_ISST_ADDR, 0x8000);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest writes the MSRs of shadow stacks");
    tap_ok(svm_get(&g, VMCB_S_CET) == 2 && svm_get(&g, VMCB_ISST_ADDR) == 0x7000,
           "S_CET and ISST_ADDR are in its VMCB");
    tap_ok(rdmsr(MSR_S_CET) == 0 && rdmsr(MSR_ISST_ADDR) == 0x12340, "the host has its own back");
    tap_ok(rdmsr(MSR_PL0_SSP) == 0x6000 && rdmsr(MSR_U_CET) == 1,
           "the others are for software to switch");
    wrmsr(MSR_U_CET, 0);
    fresh(s_wrmsr);
    kit_msrpm(&g)[0x6a2 / 4] = 0x20; /* WRMSR */
    tap_eq(svm_run(&g), VMEXIT_MSR, "the MSR permission map has them");
}

/* SETSSBSY takes the host to its own, SVM runs a guest from there. */
static uint64_t run_from_host_stack(uint64_t ssp[2])
{
    uint64_t code;

    host_stack[TOP / 8] = HOST_LA + TOP; /* a token that is not busy */
    wrmsr(MSR_PL0_SSP, HOST_LA + TOP);
    __asm__ volatile("movl %5, %%ecx\n\t"
                     "movl $1, %%eax\n\t"
                     "xorl %%edx, %%edx\n\t"
                     "wrmsr\n\t"
                     ".byte 0xf3, 0x0f, 0x01, 0xe8\n\t" /* SETSSBSY */
                     "xorl %%r12d, %%r12d\n\t"
                     "xorl %%r13d, %%r13d\n\t"
                     ".byte 0xf3, 0x49, 0x0f, 0x1e, 0xcc\n\t" /* RDSSPQ R12 */
                     "movq %4, %%rdi\n\t"
                     "movq %%rsp, %%r14\n\t"
                     "andq $-16, %%rsp\n\t"
                     "call svm_run\n\t"
                     "movq %%r14, %%rsp\n\t"
                     "movq %%rax, %%r15\n\t"
                     ".byte 0xf3, 0x49, 0x0f, 0x1e, 0xcd\n\t" /* RDSSPQ R13 */
                     "movl %5, %%ecx\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "xorl %%edx, %%edx\n\t"
                     "wrmsr\n\t"
                     "movq %%r15, %0\n\t"
                     "movq %%r12, %1\n\t"
                     "movq %%r13, %2"
                     : "=m"(code), "=m"(ssp[0]), "=m"(ssp[1]), "+m"(host_stack)
                     : "i"(&g), "i"(MSR_S_CET)
                     : "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "memory", "cc");
    return code;
}

/* rows: svmop 3.3 */
static void test_host(void)
{
    uint64_t ssp[2];

    fresh(s_call);
    tap_eq(run_from_host_stack(ssp), VMEXIT_VMMCALL, "a host on its shadow stack runs a guest");
    tap_ok(ssp[0] == HOST_LA + TOP && ssp[1] == ssp[0], "and is on it again");
    tap_eq(host_stack[TOP / 8], (HOST_LA + TOP) | 1, "whose token is busy");
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP - 8, "the guest has its own");
    fresh(s_ssp);
    svm_set(&g, VMCB_S_CET, 0);
    svm_set(&g, VMCB_SSP, 0);
    tap_ok(run_from_host_stack(ssp) == VMEXIT_VMMCALL && ssp[1] == HOST_LA + TOP,
           "a guest that uses none leaves the host's alone");
    tap_ok(g.rbx == 0 && svm_get(&g, VMCB_SSP) == 0, "and has none");
}

/* ---- #CP -------------------------------------------------------------------------------------- */

/* rows: exit 4.15 */
static void test_cp(void)
{
    struct kit_end end;

    fresh(s_cp);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_CP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_CP, "a changed return address: the #CP intercept");
    tap_ok(svm_get(&g, VMCB_EXITINFO1) == CP_NEAR_RET && svm_get(&g, VMCB_EXITINFO2) == 0,
           "EXITINFO1 is its error code");
    tap_ok(svm_get(&g, VMCB_RIP) == (uintptr_t)s_cp_insn && svm_get(&g, VMCB_SSP) == GUEST_SSP - 8,
           "RIP is at the RET, and SSP has not moved");
    svm_set(&g, VMCB_EVENTINJ, UINT64_C(0x80000b00) | EXC_CP | (uint64_t)CP_NEAR_RET << 32);
    end = kit_run(&g);
    tap_ok(end.event && end.event->vector == EXC_CP && end.event->error == CP_NEAR_RET,
           "injected, the guest has it");
    tap_ok(end.event && end.event->rip == (uintptr_t)s_cp_insn, "at the RET");
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP - 32, "CS, RIP and SSP are on its shadow stack");
    fresh(s_cp);
    end = kit_run(&g);
    tap_ok(end.event && end.event->vector == EXC_CP && end.event->error == CP_NEAR_RET,
           "without the intercept, too");
    fresh(s_cp);
    svm_set(&g, VMCB_S_CET, 0);
    tap_ok(svm_run(&g) == VMEXIT_VMMCALL && svm_get(&g, VMCB_RIP) == (uintptr_t)s_cp_end,
           "without SH_STK_EN nobody looks");
}

/* ---- what VMRUN refuses ------------------------------------------------------------------------- */

static void expect_invalid(const char *what)
{
    tap_eq(svm_run(&g), VMEXIT_INVALID, "%s is refused", what);
}

/* rows: svmop 4.16-4.18 */
static void test_rules(void)
{
    fresh(s_ssp);
    svm_set(&g, VMCB_S_CET, 5);
    expect_invalid("S_CET bit 2");
    fresh(s_ssp);
    svm_set(&g, VMCB_S_CET, UINT64_C(1) << 63);
    expect_invalid("S_CET bit 63");
    fresh(s_ssp);
    svm_set(&g, VMCB_S_CET, 3);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "S_CET bits 1:0 are not");
    fresh(s_ssp);
    svm_set(&g, VMCB_CR0, svm_get(&g, VMCB_CR0) & ~CR0_WP);
    expect_invalid("CR4.CET without CR0.WP");
    fresh(s_ssp);
    svm_set(&g, VMCB_CR0, svm_get(&g, VMCB_CR0) & ~CR0_WP);
    svm_set(&g, VMCB_CR4, svm_get(&g, VMCB_CR4) & ~CR4_CET);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "CR0.WP = 0 without CR4.CET is not");
    wrmsr(MSR_U_CET, SH_STK_EN);
    fresh(s_ssp);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | UINT64_C(1) << 17);
    expect_invalid("RFLAGS.VM with U_CET.SH_STK_EN");
    wrmsr(MSR_U_CET, 0);
}

/* rows: vmcb 7.13 */
static void test_clean(void)
{
    if (!svm_has(FEATURE_CLEAN)) {
        for (unsigned i = 0; i < 2; i++)
            tap_skip("no clean bits", "clean bit 12");
        return;
    }
    fresh(s_call);
    svm_set32(&g, VMCB_CLEAN, 0xffffffff);
    svm_run(&g);
    svm_skip(&g, 3);
    svm_run(&g);
    svm_set(&g, VMCB_RIP, (uintptr_t)s_call);
    svm_set(&g, VMCB_SSP, GUEST_SSP - 0x100);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP - 8, "clean bit 12: SSP is the processor's");
    svm_set(&g, VMCB_RIP, (uintptr_t)s_call);
    svm_set(&g, VMCB_SSP, GUEST_SSP - 0x100);
    svm_set32(&g, VMCB_CLEAN, 0xffffffff & ~CLEAN_CET);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP - 0x108, "and without the bit that in memory");
}

/* ---- nested paging ------------------------------------------------------------------------------ */

static void expect_npf(uint64_t info1, uint64_t gpa, const char *what)
{
    uint64_t code = svm_run(&g);

    tap_ok(code == VMEXIT_NPF && svm_get(&g, VMCB_EXITINFO1) == info1, "%s: NPF, EXITINFO1 %lx",
           what, info1);
    if (code != VMEXIT_NPF || svm_get(&g, VMCB_EXITINFO1) != info1)
        rom_printf("#   exit code %lx, EXITINFO1 %lx\n", code, svm_get(&g, VMCB_EXITINFO1));
    tap_eq(svm_get(&g, VMCB_EXITINFO2), gpa, "%s: EXITINFO2 is the guest physical address", what);
}

/* rows: exit 3.4.6 */
static void test_nested(void)
{
    fresh_nested(s_call, 0, PAGE_P | PAGE_U);
    expect_npf(NPF_FINAL | PF_P | PF_RW | PF_US | NPF_SS, gpa_of(8), "CALL, nested R/W=0");
    tap_ok(svm_get(&g, VMCB_RIP) == (uintptr_t)s_call && svm_get(&g, VMCB_SSP) == GUEST_SSP &&
               svm_get(&g, VMCB_RSP) == kit_stack_top(),
           "nothing has moved");
    *leaf(guest_stack) = (uintptr_t)guest_stack | PAGE_P | PAGE_W | PAGE_U;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "with R/W=1 it goes on");
    *leaf(guest_stack) = (uintptr_t)guest_stack | PAGE_P | PAGE_U;
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    svm_skip(&g, 3);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "RET reads: R/W does not matter");
    fresh_nested(s_call, 0, 0);
    expect_npf(NPF_FINAL | PF_RW | PF_US | NPF_SS, gpa_of(8), "CALL, not present");
    fresh_nested(s_int, 0, PAGE_P | PAGE_U);
    expect_npf(NPF_FINAL | PF_P | PF_RW | PF_US | NPF_SS, gpa_of(8), "INT 40h, nested R/W=0");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO), UINT64_C(0x80000440), "EXITINTINFO has the INT 40h");
}

/* A guest that reads or writes its shadow stack as memory, through the alias. */
static void fresh_alias(const char *code, uint64_t bits)
{
    fresh_nested(code, NESTED_SSS, bits);
    g.rdi = ALIAS_LA + 0x10;
}

/* rows: svmop 4.22, vmcb 5.5, exit 3.4.6, exit 3.4.13 */
static void test_sss(void)
{
    uint64_t data = (uintptr_t)guest_stack + 0x10;

    if (!svm_has(FEATURE_SSS)) {
        for (unsigned i = 0; i < 19; i++)
            tap_skip("no SSSCheck", "supervisor shadow stack check");
        return;
    }
    fresh(s_call);
    svm_set(&g, VMCB_NP_ENABLE, NESTED_SSS);
    expect_invalid("SSS_CHECK_ENABLE without nested paging");
    fresh_nested(s_call, NESTED_SSS, PAGE_P | PAGE_W | PAGE_U);
    expect_npf(NPF_FINAL | PF_P | PF_RW | NPF_SS, gpa_of(8), "CALL to an ordinary page");
    fresh_nested(s_call, NESTED_SSS, PAGE_P | PAGE_W | PAGE_U | PAGE_NX);
    expect_npf(NPF_FINAL | PF_P | PF_RW | NPF_SS, gpa_of(8), "CALL to a page with U/S=1");
    fresh_nested(s_call, NESTED_SSS, PAGE_P | PAGE_W);
    expect_npf(NPF_FINAL | PF_P | PF_RW | NPF_SS, gpa_of(8), "CALL to a page with NX=0");
    *leaf(guest_stack) = (uintptr_t)guest_stack | SSS_PAGE;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "with NX=1 and U/S=0 it goes on, though R/W=0");
    tap_eq(svm_get(&g, VMCB_SSP), GUEST_SSP - 8, "and has pushed");
    svm_skip(&g, 3);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "and returns");
    fresh_alias(s_read, SSS_PAGE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "an ordinary read of such a page passes");
    fresh_alias(s_write, SSS_PAGE);
    expect_npf(NPF_FINAL | PF_P | PF_RW | PF_US | NPF_SSS, data, "an ordinary write");
    fresh_alias(s_write, SSS_PAGE | PAGE_W);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "an ordinary write with R/W=1 passes");
    fresh_alias(s_jump, PAGE_P | PAGE_NX);
    svm_set(&g, VMCB_S_CET, 0);
    expect_npf(NPF_FINAL | PF_P | PF_US | PF_ID | NPF_SSS, data, "a fetch");
    fresh_nested(s_call, 0, SSS_PAGE);
    expect_npf(NPF_FINAL | PF_P | PF_RW | PF_US | NPF_SS, gpa_of(8),
               "without SSS_CHECK_ENABLE: CALL");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
    fresh_nested(s_call, NESTED_SSS, PAGE_P | PAGE_W | PAGE_U);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a host without EFER.NXE checks nothing");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
}

int rom_main(void)
{
    if ((cpuid_checked(7, 0).ecx & 1u << 7) == 0) {
        tap_skip("no CET_SS", "shadow stacks");
        tap_done();
    }
    kit_init();
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    write_cr4(read_cr4() | CR4_CET);
    paging_map(paging_root(), GUEST_LA, (uintptr_t)guest_stack, PAGE_4K, STACK_PAGE);
    paging_map(paging_root(), HOST_LA, (uintptr_t)host_stack, PAGE_4K, STACK_PAGE);
    paging_map(paging_root(), ALIAS_LA, (uintptr_t)guest_stack, PAGE_4K, PAGE_P | PAGE_W);
    test_call(false);
    test_call(true);
    test_registers();
    test_msrs();
    test_host();
    test_cp();
    test_rules();
    test_clean();
    test_nested();
    test_sss();
    write_cr4(read_cr4() & ~CR4_CET);
    tap_done();
}

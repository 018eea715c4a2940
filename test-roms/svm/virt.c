/* virt.c: what optional features give a guest of its own: LBR virtualization, SPEC_CTRL, the TSC ratio; guest mode execute traps and
 * read-only guest page tables; the bus lock threshold. APM vol 2, 15.23.1, 15.37.1, 15.30.5, 15.25.13, 15.25.5, 15.14.5, 7.3.3. */
#include "test-roms/svm/kit.h"

#define FEATURE_LBRV (1u << 1)
#define FEATURE_TSC_RATIO (1u << 4)
#define FEATURE_GMET (1u << 17)
#define FEATURE_SPEC_CTRL (1u << 20)
#define FEATURE_ROGPT (1u << 21)
#define FEATURE_BUS_LOCK (1u << 29)
#define NESTED_GMET (UINT64_C(1) << 3)
#define NESTED_ROGPT (UINT64_C(1) << 6)
#define VIRT_LBR (UINT64_C(1) << 0)
#define INTERCEPT5_BUSLOCK (1u << 5)
#define VMEXIT_BUSLOCK UINT64_C(0xa5)
#define VMCB_BUS_LOCK_COUNTER 0x120
#define VMCB_DBGCTL 0x670
#define VMCB_BR_FROM 0x678
#define VMCB_BR_TO 0x680
#define VMCB_LASTEXCPFROM 0x688
#define VMCB_LASTEXCPTO 0x690
#define VMCB_SPEC_CTRL 0x6e0
#define MSR_SPEC_CTRL 0x48u
#define MSR_DEBUGCTL 0x1d9u
#define MSR_BRANCH_FROM 0x1dbu
#define MSR_BRANCH_TO 0x1dcu
#define MSR_MTRR_DEF 0x2ffu
#define MSR_TSC_RATIO 0xc0000104u
#define MSR_MPERF 0xe7u
#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define ONE (UINT64_C(1) << 32)

extern const char p_jump_from[], p_jump_to[];
GUEST_CODE(p_jump, "xorl %eax, %eax\n p_jump_from: jmp p_jump_to\n nop\n p_jump_to: nop");
GUEST_CODE(p_lbr_on,
           "movl $0x1d9, %ecx\n xorl %edx, %edx\n movl $1, %eax\n wrmsr\n jmp 1f\n 1: nop");
GUEST_CODE(
    p_spec,
    "movl $0x48, %ecx\n rdmsr\n movl %eax, %ebx\n xorl %edx, %edx\n movl $4, %eax\n wrmsr\n rdmsr\n"
    "movl %eax, %esi");
GUEST_CODE(p_tsc, "rdtsc\n movl %eax, %ebx\n movl %edx, %esi\n movl $0x10, %ecx\n rdmsr\n movl "
                  "%eax, %r8d\n movl %edx, "
                  "%r9d");
GUEST_CODE(p_mperf, "movl $0xe7, %ecx\n rdmsr\n movl %eax, %ebx\n movl %edx, %esi");
GUEST_CODE(p_load, "movq (%rdi), %rbx");
GUEST_CODE(p_store, "movq %rbx, (%rdi)");
GUEST_CODE(p_locks, "lock incl (%rdi)\n lock incl (%rdi)\n xchgl %eax, (%rdi)\n incl (%rdi)");

static struct svm_guest g;
static uint64_t *nested;
static uint8_t page[4096] __attribute__((aligned(4096)));

/* ---- control-transfer recording -------------------------------------------------------------------------- */

static void test_lbr(void)
{
    if (!svm_has(FEATURE_LBRV)) {
        tap_skip("no LBR virtualization", "control-transfer recording");
        return;
    }
    kit_guest(&g, p_jump);
    svm_set(&g, VMCB_VIRT_EXT, VIRT_LBR);
    svm_set(&g, VMCB_DBGCTL, 1);
    svm_set(&g, VMCB_LASTEXCPFROM, 0x1234);
    svm_set(&g, VMCB_LASTEXCPTO, 0x5678);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest whose branches are recorded");
    tap_eq(svm_get(&g, VMCB_BR_FROM), (uintptr_t)p_jump_from, "its branch: from");
    tap_eq(svm_get(&g, VMCB_BR_TO), (uintptr_t)p_jump_to, "its branch: to");
    tap_eq(svm_get(&g, VMCB_LASTEXCPFROM), 0x1234, "the last interrupt is what VMRUN loaded: from");
    tap_eq(svm_get(&g, VMCB_LASTEXCPTO), 0x5678, "the last interrupt is what VMRUN loaded: to");
    tap_eq(svm_get(&g, VMCB_DBGCTL), 1, "DebugCtl is saved");
    tap_eq(rdmsr(MSR_DEBUGCTL), 0, "the host's DebugCtl is back");
    tap_ok(rdmsr(MSR_BRANCH_FROM) != (uintptr_t)p_jump_from,
           "the host does not see the guest's branch");

    kit_guest(&g, p_lbr_on);
    svm_set(&g, VMCB_VIRT_EXT, VIRT_LBR);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_DBGCTL), 1,
           "WRMSR of a guest reaches its own DebugCtl without an exit");
    tap_eq(rdmsr(MSR_DEBUGCTL), 0, "and not the host's");

    kit_guest(&g, p_jump);
    svm_set(&g, VMCB_DBGCTL, 1);
    svm_set(&g, VMCB_BR_FROM, 0x77);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_BR_FROM), 0x77, "without the enable the fields stay");
    tap_eq(rdmsr(MSR_DEBUGCTL), 0, "without the enable DBGCTL is not loaded");
}

/* ---- SPEC_CTRL ----------------------------------------------------------------------------------------------- */

static void test_spec_ctrl(void)
{
    if (!svm_has(FEATURE_SPEC_CTRL)) {
        tap_skip("no SPEC_CTRL virtualization", "SPEC_CTRL");
        return;
    }
    wrmsr(MSR_SPEC_CTRL, 2);
    kit_guest(&g, p_spec);
    svm_set(&g, VMCB_SPEC_CTRL, 0);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest uses SPEC_CTRL");
    tap_eq(g.rbx, 0, "it reads its own");
    tap_eq(g.rsi, 4, "it reads what it wrote");
    tap_eq(svm_get(&g, VMCB_SPEC_CTRL), 4, "which is saved");
    tap_eq(rdmsr(MSR_SPEC_CTRL), 2, "the host's is as it was");
    kit_guest(&g, p_spec);
    svm_set(&g, VMCB_SPEC_CTRL, 4);
    svm_run(&g);
    tap_eq(g.rbx, 4, "VMRUN loads it");
    wrmsr(MSR_SPEC_CTRL, 0);
}

/* ---- TSC ratio ----------------------------------------------------------------------------------------------- */

static void test_ratio(uint64_t ratio, uint64_t offset, const char *what)
{
    uint64_t before, after, from, to, by_insn, by_msr;

    kit_guest(&g, p_tsc);
    svm_set(&g, VMCB_TSC_OFFSET, offset);
    wrmsr(MSR_TSC_RATIO, ratio);
    before = rdtsc();
    svm_run(&g);
    after = rdtsc();
    from = (uint64_t)((unsigned __int128)before * ratio >> 32) + offset;
    to = (uint64_t)((unsigned __int128)after * ratio >> 32) + offset;
    by_insn = g.rsi << 32 | (uint32_t)g.rbx;
    by_msr = g.r9 << 32 | (uint32_t)g.r8;
    tap_ok(from <= by_insn && by_insn <= to, "%s: RDTSC", what);
    tap_ok(by_insn <= by_msr && by_msr <= to, "%s: RDMSR", what);
    wrmsr(MSR_TSC_RATIO, ONE);
}

static void test_tsc(void)
{
    uint64_t before, after;

    if (!svm_has(FEATURE_TSC_RATIO)) {
        tap_skip("no TSC ratio", "TSC ratio");
        return;
    }
    tap_eq(rdmsr(MSR_TSC_RATIO), ONE, "the ratio is 1 after reset");
    test_ratio(ONE, 0, "ratio 1");
    test_ratio(4 * ONE, 0, "ratio 4");
    test_ratio(ONE / 2, 1000000, "ratio 1/2 and an offset");
    test_ratio(ONE * 5 / 4, UINT64_C(1) << 40, "ratio 5/4 and an offset");
    if ((cpuid_checked(6, 0).ecx & 1) == 0) {
        tap_skip("no MPERF", "MPERF of guests");
        return;
    }
    wrmsr(MSR_TSC_RATIO, 16 * ONE);
    kit_guest(&g, p_mperf);
    before = rdmsr(MSR_MPERF);
    svm_run(&g);
    after = rdmsr(MSR_MPERF);
    before *= 16, after *= 16;
    g.rbx = g.rsi << 32 | (uint32_t)g.rbx;
    tap_ok(before <= g.rbx && g.rbx <= after, "MPERF is scaled too");
    wrmsr(MSR_TSC_RATIO, ONE);
}

/* ---- nested tables ------------------------------------------------------------------------------------------- */

static void nested_guest(const char *code, uint64_t enable)
{
    kit_guest(&g, code);
    nested = kit_nested_identity();
    svm_set_nested(&g, nested);
    svm_set(&g, VMCB_NP_ENABLE, svm_get(&g, VMCB_NP_ENABLE) | enable);
    g.rdi = (uintptr_t)page;
}

static void expect_npf(uint64_t info1, uint64_t gpa, const char *what)
{
    tap_eq(svm_run(&g), VMEXIT_NPF, "%s: #VMEXIT(NPF)", what);
    tap_eq(svm_get(&g, VMCB_EXITINFO1), info1, "%s: EXITINFO1", what);
    tap_eq(svm_get(&g, VMCB_EXITINFO2), gpa, "%s: EXITINFO2", what);
}

static void test_gmet(void)
{
    uint64_t code = (uintptr_t)p_load;

    if (!svm_has(FEATURE_GMET)) {
        tap_skip("no GMET", "guest mode execute trap");
        return;
    }
    nested_guest(p_load, NESTED_GMET);
    expect_npf(NPF_FINAL | PF_P | PF_ID, code, "the supervisor executes a user page");

    nested_guest(p_load, NESTED_GMET);
    nested[0] &= ~PAGE_U;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL,
           "the supervisor executes what is not a user page, and loads from it");

    nested_guest(p_load, NESTED_GMET);
    kit_guest_user(&g);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the user executes a user page");
    nested[0] &= ~PAGE_U;
    svm_set(&g, VMCB_RIP, code);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the user executes what is not a user page");

    nested_guest(p_load, NESTED_GMET);
    nested[0] &= ~PAGE_U;
    paging_map(nested, code & ~UINT64_C(0xfff), code & ~UINT64_C(0xfff), PAGE_4K,
               PAGE_P | PAGE_W | PAGE_NX);
    expect_npf(NPF_FINAL | PF_P | PF_ID, code, "NX forbids all");

    nested_guest(p_load, 0);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "without GMET the supervisor executes user pages");
}

static void test_rogpt(void)
{
    volatile uint64_t *entry = paging_entry(paging_root(), (uintptr_t)page, 2);
    uint64_t table = (uintptr_t)entry & ~UINT64_C(0xfff), old = *entry;

    if (!svm_has(FEATURE_ROGPT)) {
        tap_skip("no ROGPT", "read-only guest page tables");
        return;
    }
    *entry |= PAGE_A;
    *entry &= ~PAGE_D;
    nested_guest(p_load, 0);
    paging_map(nested, table, table, PAGE_4K, PAGE_P | PAGE_U);
    tap_eq(svm_run(&g), VMEXIT_NPF, "without ROGPT a read-only table stops every walk");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), NPF_TABLE | PF_P | PF_RW | PF_US, "as a write");

    nested_guest(p_load, NESTED_ROGPT);
    paging_map(nested, table, table, PAGE_4K, PAGE_P | PAGE_U);
    for (unsigned i = 0; i < 512; i++)
        if (((volatile uint64_t *)table)[i] & PAGE_P)
            ((volatile uint64_t *)table)[i] |= PAGE_A;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "with ROGPT it is read");

    nested_guest(p_store, NESTED_ROGPT);
    paging_map(nested, table, table, PAGE_4K, PAGE_P | PAGE_U);
    *entry &= ~PAGE_D;
    expect_npf(NPF_TABLE | PF_P | PF_RW | PF_US, (uintptr_t)entry, "a store must set D");

    nested_guest(p_store, NESTED_ROGPT);
    paging_map(nested, table, table, PAGE_4K, PAGE_P | PAGE_U);
    *entry |= PAGE_D;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a store where D is set");
    *entry = old | PAGE_A | PAGE_D;
}

/* ---- bus locks ----------------------------------------------------------------------------------------------- */

static void lock_guest(unsigned offset, uint16_t counter)
{
    kit_guest(&g, p_locks);
    svm_intercept(&g, VMCB_INTERCEPT_5, INTERCEPT5_BUSLOCK);
    svm_set32(&g, VMCB_BUS_LOCK_COUNTER, counter);
    g.rdi = (uintptr_t)page + offset;
}

static void test_bus_locks(void)
{
    uint64_t mtrr = rdmsr(MSR_MTRR_DEF);

    if (!svm_has(FEATURE_BUS_LOCK)) {
        tap_skip("no bus lock threshold", "bus locks");
        return;
    }
    wrmsr(MSR_MTRR_DEF, 0x806); /* all memory is WB */
    lock_guest(64, 0);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "locks within a line are no bus locks");
    lock_guest(62, 3);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "as many as the counter allows");
    tap_eq(svm_get32(&g, VMCB_BUS_LOCK_COUNTER), 0, "all are counted, and nothing else");
    *(volatile uint32_t *)(page + 62) = 5;
    lock_guest(62, 1);
    tap_eq(svm_run(&g), VMEXIT_BUSLOCK, "the second of one");
    tap_eq(*(volatile uint32_t *)(page + 62), 6, "has not run");
    tap_ok(svm_get(&g, VMCB_RIP) > (uintptr_t)p_locks, "the first has");
    tap_eq(svm_get(&g, VMCB_EXITINFO1) | svm_get(&g, VMCB_EXITINFO2), 0, "nothing to say of it");
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    svm_set32(&g, VMCB_BUS_LOCK_COUNTER, 1);
    tap_eq(svm_run(&g), VMEXIT_BUSLOCK, "one more is let pass");
    tap_eq(*(volatile uint32_t *)(page + 62), 7, "and has run");
    lock_guest(64, 0);
    wrmsr(MSR_MTRR_DEF, 0x800);
    tap_eq(svm_run(&g), VMEXIT_BUSLOCK, "in memory that is not WB each lock is a bus lock");
    wrmsr(MSR_MTRR_DEF, mtrr);
}

int rom_main(void)
{
    kit_init();
    test_lbr();
    test_spec_ctrl();
    test_tsc();
    test_gmet();
    test_rogpt();
    test_bus_locks();
    tap_done();
}

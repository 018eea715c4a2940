/* pmc.c: guests with performance counters of their own. APM vol 2, 15.39 "Performance Monitoring Counter Virtualization",
 * appendix B. Without the feature: counters.c. */
#include "test-roms/lib/apic.h"
#include "test-roms/svm/kit.h"

#define FEATURE_PMC (1u << 8)
#define FEATURE_VNMI (1u << 25)
#define VIRT_PMC (UINT64_C(1) << 3)
#define VMCB_PERF_CTL(n) (0x4e0u + 16 * (n))
#define VMCB_PERF_CTR(n) (0x4e8u + 16 * (n))
#define VMCB_INSTR_RETIRED 0x5c0
#define VMCB_GLOBAL_STATUS 0x5c8
#define VMCB_GLOBAL_CTL 0x5d0

#define CTL(n) (0xc0010200u + 2 * (n))
#define CTR(n) (0xc0010201u + 2 * (n))
#define INSNS UINT64_C(0xc0)
#define OS (UINT64_C(1) << 17)
#define INT (UINT64_C(1) << 20)
#define EN (UINT64_C(1) << 22)
#define COUNTER_BITS UINT64_C(0xffffffffffff)
#define PERF_VECTOR 0x53
#define MSR_GLOBAL_STATUS 0xc0000300u
#define MSR_GLOBAL_CTL 0xc0000301u
#define MSR_IRPERF 0xc00000e9u
#define MSR_HWCR 0xc0010015u
#define HWCR_IRPERF_EN (UINT64_C(1) << 30)

GUEST_CODE(p_nops, ".rept 200\n nop\n .endr");
GUEST_CODE(p_rdpmc, "movl $1, %ecx\n rdpmc\n movl %eax, %ebx\n nop\n nop\n rdpmc\n subl %ebx, "
                    "%eax\n movl %eax, %ebx");
GUEST_CODE(p_wrmsr, "movl $0xc0010203, %ecx\n xorl %edx, %edx\n movl $77, %eax\n wrmsr");

static struct svm_guest g;

static void set_counter(unsigned n, uint64_t control, uint64_t value)
{
    wrmsr(CTL(n), 0);
    wrmsr(CTR(n), value);
    wrmsr(CTL(n), control);
}

/* A guest whose own counter n is set. */
static void fresh(const char *code, unsigned n, uint64_t control, uint64_t value)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_VIRT_EXT, VIRT_PMC);
    svm_set(&g, VMCB_GLOBAL_CTL, 0x3f);
    svm_set(&g, VMCB_PERF_CTL(n), control);
    svm_set(&g, VMCB_PERF_CTR(n), value);
}

/* rows: vmcb 2.25, 9.3.3 */
static void test_counting(void)
{
    for (unsigned n = 0; n < 6; n++) {
        set_counter(n, INSNS | OS | EN, 5000);
        fresh(p_nops, n, INSNS | OS | EN, 1000 * n);
        tap_eq(svm_run(&g), VMEXIT_VMMCALL, "counter %u: the guest ends", n);
        tap_eq(svm_get(&g, VMCB_PERF_CTR(n)), 1000 * n + 200,
               "counter %u: the VMCB has what the guest has done", n);
        tap_eq(svm_get(&g, VMCB_PERF_CTL(n)), INSNS | OS | EN, "counter %u: and its control", n);
        tap_ok(rdmsr(CTL(n)) == 0 && rdmsr(CTR(n)) == 0,
               "counter %u: the host finds both registers reset", n);
        tap_eq(svm_get(&g, VMCB_PERF_CTR((n + 1) % 6)), 0, "counter %u: its neighbour is 0", n);
    }
}

static void test_use(void)
{
    fresh(p_rdpmc, 1, INSNS | OS | EN, 1000);
    svm_run(&g);
    tap_eq(g.rbx, 4, "RDPMC reads the guest's");
    fresh(p_wrmsr, 1, 0, 0);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_PERF_CTR(1)), 77, "what WRMSR of the guest writes is in the VMCB");
    tap_eq(rdmsr(CTR(1)), 0, "and not in the host");
    fresh(p_wrmsr, 1, 0, 5);
    kit_msrpm(&g)[0x1000 + 0x203 / 4] = 0x80; /* C001_0203h: above the second half of the map */
    tap_eq(svm_run(&g), VMEXIT_MSR, "the MSR permission map has them");
    tap_eq(svm_get(&g, VMCB_PERF_CTR(1)), 5, "nothing is written");
    kit_guest(&g, p_wrmsr);
    svm_set(&g, VMCB_PERF_CTR(1), 9);
    svm_run(&g);
    tap_ok(svm_get(&g, VMCB_PERF_CTR(1)) == 9 && rdmsr(CTR(1)) == 77,
           "without the enable the registers are shared");
    wrmsr(CTR(1), 0);
}

/* rows: vmcb 9.3.11 */
static void test_irperf(void)
{
    uint64_t hwcr = rdmsr(MSR_HWCR), before;

    if ((cpuid_checked(0x80000008u, 0).ebx >> 1 & 1) == 0) {
        tap_skip("no IRPERF", "retired instructions of the guest");
        return;
    }
    wrmsr(MSR_HWCR, hwcr | HWCR_IRPERF_EN);
    fresh(p_nops, 0, 0, 0);
    svm_set(&g, VMCB_INSTR_RETIRED, 70000);
    before = rdmsr(MSR_IRPERF);
    svm_run(&g);
    tap_ok(rdmsr(MSR_IRPERF) - before < 180, "IRPERF of the host does not count the guest");
    tap_eq(svm_get(&g, VMCB_INSTR_RETIRED), 70200, "that of the guest does");
    wrmsr(MSR_HWCR, hwcr);
}

/* rows: vmcb 9.3.12, 9.3.13 */
static void test_global(void)
{
    if ((cpuid_checked(0x80000022u, 0).eax & 1) == 0) {
        tap_skip("no PerfMonV2", "global registers of the guest");
        return;
    }
    wrmsr(MSR_GLOBAL_CTL, 0);
    fresh(p_nops, 2, INSNS | OS | EN, COUNTER_BITS - 99);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_GLOBAL_STATUS), 1u << 2,
           "the global status of the guest has its overflow");
    tap_ok(rdmsr(MSR_GLOBAL_STATUS) == 0 && rdmsr(MSR_GLOBAL_CTL) == 0x3f,
           "the host finds its own status, and its control reset");
    fresh(p_nops, 2, INSNS | OS | EN, 0);
    svm_set(&g, VMCB_GLOBAL_CTL, 0x3b);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_PERF_CTR(2)), 0, "the global control of the guest stops its counter");
}

/* ---- overflow -------------------------------------------------------------------------------------------------- */

static volatile uint32_t taken;

static void on_overflow(struct trap_frame *frame)
{
    (void)frame;
    taken++;
    apic_eoi();
}

static void test_overflow(void)
{
    apic_init();
    trap_set_handler(PERF_VECTOR, on_overflow);
    apic_write(APIC_LVT_PERF, PERF_VECTOR);
    fresh(p_nops, 0, INSNS | OS | EN | INT, -UINT64_C(66) & COUNTER_BITS);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "without virtual interrupts nobody hears of an overflow");
    tap_eq(svm_get(&g, VMCB_PERF_CTR(0)), 200 - 66, "the counter goes on");
    interrupts_on();
    cpu_pause();
    interrupts_off();
    tap_eq(taken, 0, "the host has no interrupt either");
    apic_write(APIC_LVT_PERF, PERF_VECTOR | APIC_LVT_MASKED);

    if (!svm_has(FEATURE_VNMI)) {
        tap_skip("no virtual NMI", "overflow as a virtual NMI");
        return;
    }
    for (unsigned i = 1; i < 200; i += 66) {
        fresh(p_nops, 3, INSNS | OS | EN | INT, -(uint64_t)i & COUNTER_BITS);
        svm_set(&g, VMCB_VINTR, VINTR_V_NMI_ENABLE);
        svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_NMI);
        struct kit_end end = kit_run(&g);
        tap_ok(end.event != NULL && end.event->vector == EXC_NMI &&
                   end.event->rip == (uintptr_t)p_nops + i,
               "overflow after %u instructions is a virtual NMI there", i);
    }
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(FEATURE_PMC)) {
        tap_skip("no performance counter virtualization", "everything");
        tap_done();
    }
    test_counting();
    test_use();
    test_irperf();
    test_global();
    test_overflow();
    tap_done();
}

/* counters.c: performance counters and control-transfer recording with guests: who counts, what #VMEXIT and VMRUN leave alone, overflow
 * in a guest. APM vol 2, 13.2.1 "Performance Counter MSRs" (table 13-4), 13.1.6 "Control-Transfer Breakpoint Features", 15.13.1 "INTR
 * Intercept", 15.23 "Last Branch Record Virtualization". */
#include "test-roms/lib/apic.h"
#include "test-roms/svm/kit.h"

#define CTL(n) (0xc0010200u + 2 * (n))
#define CTR(n) (0xc0010201u + 2 * (n))
#define INSNS UINT64_C(0xc0)
#define TAKEN UINT64_C(0xc4)
#define USR (UINT64_C(1) << 16)
#define OS (UINT64_C(1) << 17)
#define INT (UINT64_C(1) << 20)
#define EN (UINT64_C(1) << 22)
#define GUEST (UINT64_C(1) << 40)
#define HOST (UINT64_C(1) << 41)
#define COUNTER_BITS UINT64_C(0xffffffffffff)
#define PERF_VECTOR 0x53
#define MSR_DEBUGCTL 0x1d9u
#define MSR_BRANCH_FROM 0x1dbu
#define MSR_BRANCH_TO 0x1dcu
#define MSR_IRPERF 0xc00000e9u
#define MSR_MPERF 0xe7u
#define MSR_HWCR 0xc0010015u
#define HWCR_IRPERF_EN (UINT64_C(1) << 30)

GUEST_CODE(p_loop, "movl $300, %ecx\n1: loop 1b");
GUEST_CODE(p_string, "movl $200, %ecx\n movq %rdi, %rsi\n rep movsb");
GUEST_CODE(p_nops, ".rept 200\n nop\n .endr");
GUEST_CODE(p_rdpmc, "movl $1, %ecx\n rdpmc\n movl %eax, %ebx\n nop\n nop\n rdpmc\n subl %ebx, "
                    "%eax\n movl %eax, %ebx");
GUEST_CODE(p_wrmsr, "movl $0xc0010203, %ecx\n xorl %edx, %edx\n movl $77, %eax\n wrmsr");
extern const char p_jump_from[], p_jump_to[];
GUEST_CODE(p_jump, "xorl %eax, %eax\n p_jump_from: jmp p_jump_to\n nop\n p_jump_to: nop");

static struct svm_guest g;
static uint8_t buffer[512];

static void set_counter(unsigned n, uint64_t control, uint64_t value)
{
    wrmsr(CTL(n), 0);
    wrmsr(CTR(n), value);
    wrmsr(CTL(n), control);
}

/* ---- who counts -------------------------------------------------------------------------------------------- */

/* VMMCALL is intercepted and does not retire: the guest has executed the text alone. */
static void test_worlds(void)
{
    static const struct {
        const char *what, *code;
        uint32_t insns, taken;
    } guests[] = {
        { "a loop", p_loop, 301, 299 },
        { "a string instruction", p_string, 3, 0 },
        { "200 NOPs", p_nops, 200, 0 },
    };

    for (unsigned i = 0; i < sizeof guests / sizeof guests[0]; i++)
        for (unsigned user = 0; user < 2; user++) {
            const char *what = guests[i].what;
            uint64_t both, host;

            kit_guest(&g, guests[i].code);
            g.rdi = (uintptr_t)buffer;
            if (user != 0)
                kit_guest_user(&g);
            set_counter(0, INSNS | OS | USR | EN | GUEST, 0);
            set_counter(1, INSNS | OS | USR | EN | HOST, 0);
            set_counter(2, INSNS | (user ? USR : OS) | EN | GUEST, 0);
            set_counter(3, INSNS | (user ? OS : USR) | EN | GUEST, 0);
            set_counter(4, TAKEN | OS | USR | EN | GUEST, 0);
            set_counter(5, INSNS | OS | USR | EN, 0);
            svm_run(&g);
            both = rdmsr(CTR(5));
            host = rdmsr(CTR(1));
            tap_eq(rdmsr(CTR(0)), guests[i].insns, "%s at CPL %u: instructions of the guest", what,
                   user ? 3 : 0);
            tap_eq(rdmsr(CTR(2)), guests[i].insns, "%s at CPL %u: by its level", what,
                   user ? 3 : 0);
            tap_eq(rdmsr(CTR(3)), 0, "%s at CPL %u: none of another level", what, user ? 3 : 0);
            tap_eq(rdmsr(CTR(4)), guests[i].taken, "%s at CPL %u: taken branches of the guest",
                   what, user ? 3 : 0);
            tap_ok(host > 20 && host < 300 && both > guests[i].insns &&
                       both - guests[i].insns < host + 20,
                   "%s at CPL %u: the host's are counted apart", what, user ? 3 : 0);
        }
    for (unsigned n = 0; n < 6; n++)
        set_counter(n, 0, 0);
}

/* Without EFER.SVME the bits that choose a world choose none. */
static void test_svme(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    wrmsr(MSR_EFER, efer & ~EFER_SVME);
    set_counter(0, INSNS | OS | EN | HOST, 0);
    set_counter(1, INSNS | OS | EN, 0);
    __asm__ volatile(".rept 50\n nop\n .endr");
    tap_ok(rdmsr(CTR(0)) == 0 && rdmsr(CTR(1)) >= 50,
           "the host's alone, without EFER.SVME: nothing counts");
    wrmsr(MSR_EFER, efer);
    set_counter(0, 0, 0);
    set_counter(1, 0, 0);
}

/* ---- a guest's own use of them ------------------------------------------------------------------------------- */

static void test_guest_use(void)
{
    kit_guest(&g, p_rdpmc);
    set_counter(1, INSNS | OS | EN, 1000);
    svm_run(&g);
    tap_eq(g.rbx, 4, "RDPMC in a guest counts exactly");
    kit_guest(&g, p_wrmsr);
    set_counter(1, 0, 0);
    svm_run(&g);
    tap_eq(rdmsr(CTR(1)), 77, "the registers are shared: WRMSR of a guest that is not intercepted");
    kit_guest(&g, p_wrmsr);
    kit_msrpm(&g)[0x1000 + 0x203 / 4] = 0x80; /* C001_0203h: above the second half of the map */
    tap_eq(svm_run(&g), VMEXIT_MSR, "the MSR permission map has them");
    tap_eq(rdmsr(CTR(1)), 77, "nothing is written");
    set_counter(1, 0, 0);
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
    for (unsigned i = 1; i < 200; i += 66) {
        kit_guest(&g, p_nops);
        svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
        svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INTR);
        g.host_if = true;
        taken = 0;
        set_counter(0, INSNS | OS | EN | INT | GUEST, -(uint64_t)i & COUNTER_BITS);
        tap_eq(svm_run(&g), VMEXIT_INTR, "overflow after %u instructions of the guest ends it", i);
        tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)p_nops + i, "after %u instructions: there", i);
        interrupts_on();
        cpu_pause();
        interrupts_off();
        tap_eq(taken, 1, "after %u instructions: the host takes the interrupt", i);
        tap_eq(rdmsr(CTR(0)), 0,
               "after %u instructions: the counter stands, the host is not counted", i);
        svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
        tap_eq(svm_run(&g), VMEXIT_VMMCALL, "after %u instructions: the guest goes on", i);
        tap_eq(rdmsr(CTR(0)), 200 - i, "after %u instructions: and the rest is counted", i);
    }
    set_counter(0, 0, 0);
    apic_write(APIC_LVT_PERF, PERF_VECTOR | APIC_LVT_MASKED);
    g.host_if = false;
}

/* ---- clocks and recording ------------------------------------------------------------------------------------------ */

static void test_clocks(void)
{
    uint64_t hwcr = rdmsr(MSR_HWCR), first, second, third;

    if ((cpuid_checked(0x80000008u, 0).ebx >> 1 & 1) == 0) {
        tap_skip("no IRPERF", "IRPERF with guests");
        return;
    }
    wrmsr(MSR_HWCR, hwcr | HWCR_IRPERF_EN);
    kit_guest(&g, p_loop);
    first = rdmsr(MSR_IRPERF);
    svm_run(&g);
    second = rdmsr(MSR_IRPERF) - first;
    kit_guest(&g, p_nops);
    first = rdmsr(MSR_IRPERF);
    svm_run(&g);
    third = rdmsr(MSR_IRPERF) - first;
    tap_eq(second - third, 101, "IRPERF counts host and guest");
    wrmsr(MSR_HWCR, hwcr);
}

static void test_lbr(void)
{
    kit_guest(&g, p_jump);
    wrmsr(MSR_DEBUGCTL, 1);
    svm_run(&g);
    wrmsr(MSR_DEBUGCTL, 0);
    tap_ok(rdmsr(MSR_BRANCH_FROM) != (uintptr_t)p_jump_from,
           "the host goes on recording behind #VMEXIT");
    kit_guest(&g, p_jump);
    svm_set(&g, VMCB_RIP, (uintptr_t)p_jump_from);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_DB);
    wrmsr(MSR_DEBUGCTL, 1);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_DB, "a single step of the guest is intercepted");
    tap_ok(rdmsr(MSR_BRANCH_FROM) == (uintptr_t)p_jump_from &&
               rdmsr(MSR_BRANCH_TO) == (uintptr_t)p_jump_to,
           "the branch of the guest was recorded, #DB ended that for the host, too");
    tap_eq(rdmsr(MSR_DEBUGCTL) & 1, 0, "DEBUGCTL.LBR is clear");
    wrmsr(MSR_DEBUGCTL, 0);
}

int rom_main(void)
{
    kit_init();
    if ((cpuid_checked(0x80000001u, 0).ecx >> 23 & 1) == 0) {
        tap_skip("no core performance counters", "everything");
        tap_done();
    }
    test_worlds();
    test_svme();
    test_guest_use();
    test_overflow();
    test_clocks();
    test_lbr();
    tap_done();
}

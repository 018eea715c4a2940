/* x2apic.c: the APIC through MSRs. APM vol 2, 16.9 "Detecting and Enabling x2APIC Mode", 16.11 "Accessing x2APIC Register",
 * 16.12, 16.13 "x2APIC Interrupt Command Register", 16.15 "Self_IPI Register". */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define FIRST 0x800
#define LAST 0x8ff
#define REG(n) (0x800 + (n))

struct access {
    uint32_t msr;
    uint64_t value;
};

static void read_it(void *arg)
{
    struct access *a = arg;

    a->value = rdmsr(a->msr);
}

static void write_it(void *arg)
{
    struct access *a = arg;

    wrmsr(a->msr, a->value);
}

static bool reads(uint32_t msr)
{
    struct access a = { msr, 0 };

    return trap_try(read_it, &a).vector == EXC_NONE;
}

static bool writes(uint32_t msr, uint64_t value)
{
    struct access a = { msr, value };

    return trap_try(write_it, &a).vector == EXC_NONE;
}

static void hook(unsigned vector)
{
    if (vector != EXC_NMI)
        wrmsr(MSR_X2APIC(APIC_EOI), 0);
}

static void test_transitions(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) & ~(uint64_t)(APIC_BASE_AE | APIC_BASE_EXTD);
    const uint64_t off = base, x = base | APIC_BASE_AE, x2 = x | APIC_BASE_EXTD,
                   bad = base | APIC_BASE_EXTD;

    tap_ok(!reads(MSR_X2APIC(APIC_ID)), "xAPIC mode: the MSRs are #GP");
    tap_ok(!writes(MSR_X2APIC(APIC_TPR), 0), "to write, too");
    tap_ok(!writes(MSR_APIC_BASE, bad), "xAPIC to EXTD without AE: #GP");
    tap_ok(writes(MSR_APIC_BASE, off), "xAPIC to disabled");
    tap_ok(!writes(MSR_APIC_BASE, x2), "disabled to x2APIC: #GP");
    tap_ok(!writes(MSR_APIC_BASE, bad), "disabled to EXTD without AE: #GP");
    tap_ok(!reads(MSR_X2APIC(APIC_ID)), "disabled: the MSRs are #GP");
    tap_ok(writes(MSR_APIC_BASE, x), "disabled to xAPIC");
    apic_write(APIC_SVR, 0x1ff);
    apic_write(APIC_TPR, 0x20);
    apic_write(APIC_LDR, 0x08000000);
    tap_ok(writes(MSR_APIC_BASE, x2), "xAPIC to x2APIC");
    tap_eq(rdmsr(MSR_X2APIC(APIC_TPR)), 0x20, "TPR is kept");
    tap_eq(rdmsr(MSR_X2APIC(APIC_SVR)), 0x1ff, "SVR too");
    tap_eq(rdmsr(MSR_X2APIC(APIC_LDR)), 1, "LDR is made from the ID");
    tap_ok(!writes(MSR_APIC_BASE, x), "x2APIC to xAPIC: #GP");
    tap_ok(!writes(MSR_APIC_BASE, bad), "x2APIC to EXTD without AE: #GP");
    tap_eq(*(volatile uint32_t *)(uintptr_t)(APIC_BASE_SPA + APIC_VERSION), 0xffffffff,
           "x2APIC mode: the registers in memory are gone");
    wrmsr(MSR_X2APIC(APIC_TPR), 0);
}

/* What can be read and written with 0, of the first 40h: the manual's table, as one bit a register. */
static void test_map(void)
{
    static const uint64_t readable =
        UINT64_C(1) << 0x02 | UINT64_C(1) << 0x03 | UINT64_C(1) << 0x08 | UINT64_C(1) << 0x0a |
        UINT64_C(1) << 0x0d | UINT64_C(1) << 0x0f | UINT64_C(0xffffff) << 0x10 |
        UINT64_C(1) << 0x28 | UINT64_C(1) << 0x30 | UINT64_C(0x3f) << 0x32 | UINT64_C(3) << 0x38 |
        UINT64_C(1) << 0x3e;
    static const uint64_t writable =
        UINT64_C(1) << 0x08 | UINT64_C(1) << 0x0b | UINT64_C(1) << 0x0f | UINT64_C(1) << 0x28 |
        UINT64_C(0x3f) << 0x32 | UINT64_C(1) << 0x38 | UINT64_C(1) << 0x3e;
    const uint64_t unsaid = UINT64_C(1) << 0x09 | UINT64_C(1) << 0x30 | UINT64_C(1) << 0x3f;
    uint64_t r = 0, w = 0;

    for (unsigned n = 0; n < 0x40; n++) {
        r |= (uint64_t)reads(REG(n)) << n;
        if ((unsaid >> n & 1) == 0)
            w |= (uint64_t)writes(REG(n), n == 0x0f               ? 0x1ff
                                          : n >= 0x32 && n < 0x38 ? 0x10000
                                                                  : 0)
                 << n;
    }
    tap_eq(r & ~unsaid, readable & ~unsaid, "which registers can be read");
    tap_eq(w, writable, "which registers can be written");
    tap_ok(reads(REG(0x09)) && !writes(REG(0x09), 0), "the arbitration priority can be read only");
    tap_ok(!reads(LAST), "the last of the range is none");
    tap_ok(!reads(REG(0x3f)), "SELF_IPI cannot be read");
}

static void test_reserved(void)
{
    tap_ok(!writes(MSR_X2APIC(APIC_TPR), 0x100), "TPR: bits 63:8 are #GP");
    tap_ok(!writes(MSR_X2APIC(APIC_TPR), UINT64_C(1) << 32), "bits 63:32 are #GP");
    tap_ok(!writes(MSR_X2APIC(APIC_EOI), 1), "EOI: other than 0 is #GP");
    tap_ok(!writes(MSR_X2APIC(APIC_ESR), 1), "ESR: other than 0 is #GP");
    tap_ok(!writes(MSR_X2APIC(APIC_SVR), 0x1000), "SVR: a reserved bit");
    tap_ok(!writes(MSR_X2APIC(APIC_LVT_LINT0), 0x100000), "LINT0: a reserved bit");
    tap_ok(!writes(MSR_X2APIC(APIC_TIMER_DIVIDE), 0x10), "divide: a reserved bit");
    tap_ok(!writes(MSR_X2APIC_SELF_IPI, 0x100), "SELF_IPI: bits 63:8");
    tap_ok(!writes(MSR_X2APIC(APIC_ICR_LOW), 0x100000), "ICR: a reserved bit");
    tap_ok(!writes(MSR_X2APIC(APIC_LDR), 2), "LDR cannot be written");
    tap_ok(!writes(MSR_X2APIC(APIC_ID), 2), "nor can the ID");
    tap_ok(!reads(MSR_X2APIC(APIC_ICR_HIGH)), "ICR is one register");
    tap_ok(!reads(MSR_X2APIC(APIC_DFR)), "DFR is not there");
}

static void test_interrupts(void)
{
    wrmsr(MSR_X2APIC(APIC_ICR_LOW), UINT64_C(0) << 32 | ICR_ASSERT | 0x61);
    irq_window();
    tap_ok(CAME(0x61), "ICR: fixed, by ID");
    tap_eq(rdmsr(MSR_X2APIC(APIC_ICR_LOW)), ICR_ASSERT | 0x61, "ICR can be read");
    wrmsr(MSR_X2APIC(APIC_ICR_LOW), UINT64_C(7) << 32 | ICR_ASSERT | 0x61);
    irq_window();
    tap_ok(NOTHING(), "ICR: to another ID");
    tap_eq(rdmsr(MSR_X2APIC(APIC_ICR_LOW)) >> 32, 7, "which is its upper half");
    wrmsr(MSR_X2APIC(APIC_ICR_LOW), UINT64_C(0xffffffff) << 32 | ICR_ASSERT | 0x62);
    irq_window();
    tap_ok(CAME(0x62), "ICR: all ones are everybody");
    wrmsr(MSR_X2APIC(APIC_ICR_LOW), UINT64_C(1) << 32 | ICR_LOGICAL | ICR_ASSERT | 0x63);
    irq_window();
    tap_ok(CAME(0x63), "ICR: logical");
    wrmsr(MSR_X2APIC(APIC_ICR_LOW), ICR_NMI | ICR_ASSERT);
    tap_ok(CAME(EXC_NMI), "ICR: NMI");
    wrmsr(MSR_X2APIC_SELF_IPI, 0x64);
    irq_window();
    tap_ok(CAME(0x64), "SELF_IPI");
    irq_hook = NULL;
    wrmsr(MSR_X2APIC_SELF_IPI, 0x65);
    irq_window();
    irq_forget();
    tap_eq(rdmsr(REG(0x13)), 1u << 5, "ISR, vectors 60 to 7F");
    tap_eq(rdmsr(MSR_X2APIC(APIC_PPR)), 0x60, "PPR");
    write_cr8(3);
    tap_eq(rdmsr(MSR_X2APIC(APIC_TPR)), 0x30, "CR8 is TPR here too");
    write_cr8(0);
    wrmsr(MSR_X2APIC(APIC_EOI), 0);
    tap_eq(rdmsr(REG(0x13)), 0, "EOI");
    irq_hook = hook;
    wrmsr(MSR_X2APIC(APIC_TIMER_DIVIDE), 0xb);
    wrmsr(MSR_X2APIC(APIC_LVT_TIMER), 0x66);
    wrmsr(MSR_X2APIC(APIC_TIMER_INITIAL), 10000);
    wait_for_interrupt();
    tap_ok(CAME(0x66), "the timer");
}

int rom_main(void)
{
    if (!apic_has_x2()) {
        tap_skip("no x2APIC", "x2APIC mode");
        tap_done();
    }
    apic_init();
    irq_note(EXC_NMI, EXC_NMI);
    irq_note(0x20, 0xfe);
    irq_hook = hook;
    test_transitions();
    test_map();
    test_reserved();
    test_interrupts();
    apic_leave_x2();
    tap_eq(apic_read(APIC_SVR), 0xff, "disabled and back in xAPIC mode: the registers are reset");
    apic_init();
    apic_self_ipi(0x67);
    irq_hook = NULL;
    irq_window();
    tap_ok(CAME(0x67), "and it works");
    tap_done();
}

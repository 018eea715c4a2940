/* lapic.c: the local APIC: registers, priorities, errors, disabled and enabled again. APM vol 2, 16.3 "Local APIC", 16.4.6
 * "APIC Error Interrupts", 16.4.7 "Spurious Interrupts", 16.6.3 "Accepting System and IPI Interrupts", 16.6.4 "Selecting and Handling
 * Interrupts"; 8.5.1 "External Maskable Interrupts" (TPR, CR8). */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define SVR_ON (0x100 | APIC_SPURIOUS_VECTOR)
#define ESR_SENT 0x20u
#define ESR_RECEIVED 0x40u
#define ESR_REGISTER 0x80u
#define ERROR_VECTOR 0xe1

static volatile uint32_t ppr_seen, tpr_seen;

static void hook_eoi(unsigned vector)
{
    ppr_seen = apic_read(APIC_PPR);
    if (vector != EXC_NMI)
        apic_eoi();
}

static void start(void)
{
    apic_init();
    irq_hook = hook_eoi;
    irq_forget();
}

static uint32_t errors(void)
{
    apic_write(APIC_ESR, 0);
    return apic_read(APIC_ESR);
}

/* ---- registers ------------------------------------------------------------------------------------------ */

static void test_registers(void)
{
    static const uint16_t lvt[] = { APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PERF,
                                    APIC_LVT_LINT0, APIC_LVT_LINT1,   APIC_LVT_ERROR };
    bool masked = true, kept = true;

    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~(uint64_t)APIC_BASE_AE);
    tap_ok((cpuid(1, 0).edx & 0x200) == 0, "APIC disabled: CPUID does not show it");
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_AE);
    tap_ok((cpuid(1, 0).edx & 0x200) != 0, "enabled: it does");
    tap_eq(apic_read(APIC_SVR), 0xff, "disabling resets: SVR is FF, software-disabled");
    tap_eq(apic_read(APIC_TPR), 0, "TPR is 0");
    tap_eq(apic_read(APIC_LDR), 0, "LDR is 0");
    tap_eq(apic_read(APIC_DFR), 0xffffffff, "DFR is all ones");
    tap_eq(apic_read(APIC_TIMER_INITIAL) | apic_read(APIC_TIMER_CURRENT), 0,
           "the timer stands at 0");
    for (unsigned i = 0; i < 6; i++)
        masked = masked && apic_read(lvt[i]) == APIC_LVT_MASKED;
    tap_ok(masked, "all local vectors are masked");
    tap_eq(apic_read(APIC_ID) >> 24, cpuid(1, 0).ebx >> 24, "the ID is that of CPUID");
    tap_eq(apic_read(APIC_VERSION) >> 16 & 0xff, 5, "six local vectors");
    for (unsigned i = 0; i < 6; i++) {
        apic_write(lvt[i], 0x40 + i);
        kept = kept && apic_read(lvt[i]) == (APIC_LVT_MASKED | (0x40 + i));
    }
    tap_ok(kept, "software-disabled: the masks cannot be cleared, the vectors written");
    apic_write(APIC_SVR, SVR_ON);
    apic_write(APIC_LVT_TIMER, 0x40);
    tap_eq(apic_read(APIC_LVT_TIMER), 0x40, "software-enabled: they can");
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    tap_eq(apic_read(APIC_LVT_TIMER), 0x40 | APIC_LVT_MASKED, "disabling sets the masks");
    apic_write(APIC_SVR, SVR_ON);
    tap_eq(apic_read(APIC_LVT_TIMER), 0x40 | APIC_LVT_MASKED, "enabling does not clear them");
    apic_write(APIC_LDR, 0xffffffff);
    tap_eq(apic_read(APIC_LDR), 0xff000000, "LDR: bits 31:24");
    apic_write(APIC_DFR, 0);
    tap_eq(apic_read(APIC_DFR), 0x0fffffff, "DFR: bits 31:28, the rest is 1");
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_TPR, 0xffffffff);
    tap_eq(apic_read(APIC_TPR), 0xff, "TPR: bits 7:0");
    apic_write(APIC_TPR, 0);
}

/* ---- priorities ------------------------------------------------------------------------------------------- */

static void test_tpr(void)
{
    start();
    apic_write(APIC_TPR, 0x50);
    /* rows: pitfalls 5.7 */
    tap_eq(read_cr8(), 5, "CR8 is TPR 7:4");
    write_cr8(6);
    tap_eq(apic_read(APIC_TPR), 0x60, "and writes it; TPR 3:0 become 0");
    apic_write(APIC_TPR, 0x57);
    tap_eq(read_cr8(), 5, "TPR 3:0 do not show in CR8");
    apic_self_ipi(0x5f);
    irq_window();
    /* rows: events 6.1 */
    tap_ok(NOTHING(), "a vector of the same class waits");
    tap_ok(apic_vector_bit(APIC_IRR, 0x5f), "in IRR");
    apic_self_ipi(0x60);
    irq_window();
    tap_ok(CAME(0x60), "one of a higher class comes");
    write_cr8(4);
    irq_window();
    tap_ok(CAME(0x5f), "lowering CR8 lets it come");
    write_cr8(15);
    apic_self_ipi(0xff);
    irq_window();
    tap_ok(NOTHING(), "15 holds everything back");
    write_cr8(0);
    irq_window();
    tap_ok(CAME(0xff), "even FF");
    apic_self_ipi(0x31);
    apic_self_ipi(0x91);
    apic_self_ipi(0x92);
    apic_self_ipi(0x55);
    for (unsigned i = 0; i < 4; i++)
        irq_window();
    tap_ok(CAME(0x92, 0x91, 0x55, 0x31), "the highest vector first");
    apic_self_ipi(0x44);
    apic_self_ipi(0x44);
    irq_window();
    irq_window();
    tap_ok(CAME(0x44), "one request a vector");
}

static void hook_nest(unsigned vector)
{
    if (vector == 0x51) {
        ppr_seen = apic_read(APIC_PPR);
        apic_self_ipi(0x41);
        apic_self_ipi(0x5f);
        apic_self_ipi(0x51);
        apic_self_ipi(0x61);
        irq_window();
        if (irq_log.count == 2)
            tpr_seen = apic_vector_bit(APIC_ISR, 0x51);
        irq_hook = hook_eoi;
    }
    apic_eoi();
}

static void test_nesting(void)
{
    start();
    irq_hook = hook_nest;
    apic_self_ipi(0x51);
    for (unsigned i = 0; i < 4; i++)
        irq_window();
    tap_ok(CAME(0x51, 0x61, 0x5f, 0x51, 0x41),
           "only a higher class interrupts a handler; the same vector is kept once");
    tap_eq(ppr_seen & 0xf0, 0x40, "PPR is the class in service"); /* of the last one */
    tap_ok(tpr_seen, "ISR keeps the interrupted one");

    start();
    irq_hook = NULL;
    apic_self_ipi(0x71);
    irq_window();
    tap_eq(apic_read(APIC_PPR), 0x70, "PPR: in service 71, TPR 0");
    apic_write(APIC_TPR, 0x75);
    tap_eq(apic_read(APIC_PPR), 0x75, "PPR: TPR of the same class counts");
    apic_write(APIC_TPR, 0x85);
    tap_eq(apic_read(APIC_PPR), 0x85, "PPR: TPR of a higher class");
    apic_write(APIC_TPR, 0x65);
    tap_eq(apic_read(APIC_PPR), 0x70, "PPR: of a lower one");
    apic_write(APIC_TPR, 0);
    apic_self_ipi(0x81);
    irq_window();
    tap_ok(apic_vector_bit(APIC_ISR, 0x71) && apic_vector_bit(APIC_ISR, 0x81), "two in service");
    apic_eoi();
    tap_ok(apic_vector_bit(APIC_ISR, 0x71) && !apic_vector_bit(APIC_ISR, 0x81),
           "EOI ends the highest");
    apic_eoi();
    tap_eq(apic_read(APIC_PPR), 0, "and then the other");
    apic_eoi();
    tap_eq(apic_read(APIC_PPR), 0, "EOI with nothing in service does nothing");
    irq_forget();
}

/* ---- errors ---------------------------------------------------------------------------------------------------- */

static void test_errors(void)
{
    start();
    (void)errors();
    tap_eq(errors(), 0, "ESR: no errors");
    apic_write(APIC_ICR_LOW, ICR_TO_SELF | ICR_ASSERT | 0x0f);
    tap_eq(apic_read(APIC_ESR), 0, "ESR shows errors only after a write");
    tap_eq(errors(), ESR_SENT, "ESR: a vector below 16 was to be sent");
    tap_eq(errors(), 0, "the write clears it");
    (void)apic_read(0x3f0);
    tap_eq(errors(), ESR_REGISTER, "ESR: a register that there is not");
    (void)apic_read(0x010);
    tap_eq(errors(), ESR_REGISTER, "ESR: another");
    apic_write(APIC_LVT_TIMER, 0x05);
    apic_write(APIC_TIMER_DIVIDE, 0x0b);
    apic_write(APIC_TIMER_INITIAL, 10);
    for (unsigned i = 0; i < 100; i++)
        cpu_pause();
    tap_eq(errors(), ESR_RECEIVED, "ESR: a local vector below 16");
    apic_timer_stop();

    apic_write(APIC_LVT_ERROR, ERROR_VECTOR);
    apic_write(APIC_ICR_LOW, ICR_TO_SELF | ICR_ASSERT | 0x03);
    irq_window();
    tap_ok(CAME(ERROR_VECTOR), "an error interrupts by the error entry");
    (void)errors();
    apic_write(APIC_LVT_ERROR, ERROR_VECTOR | APIC_LVT_MASKED);
    apic_write(APIC_ICR_LOW, ICR_TO_SELF | ICR_ASSERT | 0x03);
    irq_window();
    tap_ok(NOTHING(), "not if it is masked");
    (void)errors();
    apic_write(APIC_LVT_ERROR, 0x400);
    apic_write(APIC_ICR_LOW, ICR_TO_SELF | ICR_ASSERT | 0x03);
    tap_ok(CAME(EXC_NMI), "with message type NMI it is an NMI");
    (void)errors();
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
}

/* ---- off and on -------------------------------------------------------------------------------------------------- */

static void test_disable(void)
{
    start();
    apic_self_ipi(0x55);
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    irq_window();
    tap_ok(NOTHING(), "software-disabled: what is pending is held");
    apic_self_ipi(0x66);
    apic_write(APIC_SVR, SVR_ON);
    irq_window();
    tap_ok(CAME(0x55), "enabled: it comes, and what was sent meanwhile does not");
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    irq_forget();
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
    apic_write(APIC_ICR_LOW, ICR_NMI | ICR_ASSERT);
    tap_ok(CAME(EXC_NMI), "software-disabled: an NMI is taken all the same");
    apic_write(APIC_SVR, SVR_ON);

    apic_self_ipi(0x77);
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~(uint64_t)APIC_BASE_AE);
    irq_window();
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_AE);
    apic_write(APIC_SVR, SVR_ON);
    irq_window();
    tap_ok(NOTHING(), "APIC_BASE.AE=0 forgets what is pending");
    start();
    apic_self_ipi(0x78);
    irq_window();
    tap_ok(CAME(0x78), "enabled again it works");
}

static void test_base(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    tap_eq(base & 0xfffff000, APIC_BASE_SPA, "APIC_BASE: FEE00000");
    wrmsr(MSR_APIC_BASE, (base & 0xfff) | 0xfed80000);
    tap_eq(*(volatile uint32_t *)(uintptr_t)(0xfed80000 + APIC_VERSION) & 0xff0000, 0x50000,
           "the registers move with it");
    tap_eq(*(volatile uint32_t *)(uintptr_t)(0xfee00000 + APIC_VERSION), 0xffffffff,
           "and leave nothing behind");
    wrmsr(MSR_APIC_BASE, base);
    tap_eq(apic_read(APIC_VERSION) & 0xff0000, 0x50000, "and come back");
}

/* ---- the extended register space. APM vol 2, 16.3.5 to 16.3.7, 16.7 ---------------------------------------------- */

#define EXT_FEATURE 0x400
#define EXT_CONTROL 0x410
#define SPECIFIC_EOI 0x420
#define IER 0x480

static void test_extended(void)
{
    if ((cpuid_checked(0x80000001u, 0).ecx & 8) == 0) {
        tap_skip("no extended space", "extended APIC registers");
        return;
    }
    start();
    irq_hook = NULL;
    tap_ok((apic_read(APIC_VERSION) >> 31) != 0, "the version tells of the extended space");
    tap_eq(apic_read(EXT_FEATURE) & 3, 3, "interrupt enable registers and specific EOI");
    apic_write(IER + 0x20, 0);
    tap_eq(apic_read(IER + 0x20), 0xffffffff, "IER cannot be written before it is allowed to");
    apic_write(EXT_CONTROL, 3);
    apic_write(IER + 0x20, 0xffffffff & ~(1u << 5)); /* vector 45 */
    apic_self_ipi(0x45);
    apic_self_ipi(0x46);
    irq_window();
    tap_ok(CAME(0x46), "a vector that is not enabled does not interrupt");
    tap_ok(apic_vector_bit(APIC_IRR, 0x45), "it stays in IRR");
    apic_eoi();
    apic_write(IER + 0x20, 0xffffffff);
    irq_window();
    tap_ok(CAME(0x45), "until it is enabled");
    apic_self_ipi(0x55);
    irq_window();
    irq_forget();
    apic_write(SPECIFIC_EOI, 0x45);
    tap_ok(!apic_vector_bit(APIC_ISR, 0x45) && apic_vector_bit(APIC_ISR, 0x55),
           "specific EOI ends the vector it names");
    apic_eoi();
    apic_write(EXT_CONTROL, 0);
}

static void write_base(void *arg)
{
    wrmsr(MSR_APIC_BASE, *(uint64_t *)arg);
}

static void write_cr8_16(void *arg)
{
    (void)arg;
    write_cr8(16);
}

static void test_faults(void)
{
    uint64_t value = rdmsr(MSR_APIC_BASE) | 1;

    tap_eq(trap_try(write_base, &value).vector, EXC_GP, "APIC_BASE: a reserved bit is #GP");
    value = rdmsr(MSR_APIC_BASE) | UINT64_C(1) << cpu_maxphyaddr();
    tap_eq(trap_try(write_base, &value).vector, EXC_GP, "APIC_BASE: an address bit too much");
    tap_eq(trap_try(write_cr8_16, NULL).vector, EXC_GP, "CR8: bits 63:4 are #GP");
}

int rom_main(void)
{
    irq_note(EXC_NMI, EXC_NMI);
    irq_note(0x20, 0xff);
    irq_hook = hook_eoi;
    test_registers();
    test_tpr();
    test_nesting();
    test_errors();
    test_disable();
    test_base();
    test_extended();
    test_faults();
    tap_done();
}

/* apic.c: see apic.h. */
#include "test-roms/lib/apic.h"

#include "test-roms/lib/cpu.h"

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1
#define APIC_SVR_ENABLE 0x100u
#define APIC_DIVIDE_BY_1 0x0bu
#define ICR_PENDING 0x1000u
#define CPUID_X2APIC (1u << 21)

void pic_mask_all(void)
{
    outb(PIC1_DATA, 0xff);
    outb(PIC2_DATA, 0xff);
}

void apic_init(void)
{
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    apic_write(APIC_TPR, 0);
    apic_timer_stop();
}

void apic_self_ipi(uint8_t vector)
{
    apic_write(APIC_ICR_LOW, ICR_TO_SELF | ICR_ASSERT | vector);
    while ((apic_read(APIC_ICR_LOW) & ICR_PENDING) != 0)
        ;
}

bool apic_is_x2(void)
{
    return (rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD) != 0;
}

uint32_t apic_get(uint32_t reg)
{
    return apic_is_x2() ? (uint32_t)rdmsr(MSR_X2APIC(reg)) : apic_read(reg);
}

void apic_set(uint32_t reg, uint32_t value)
{
    if (apic_is_x2())
        wrmsr(MSR_X2APIC(reg), value);
    else
        apic_write(reg, value);
}

bool apic_has_x2(void)
{
    return (cpuid(1, 0).ecx & CPUID_X2APIC) != 0;
}

void apic_enter_x2(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_AE | APIC_BASE_EXTD);
}

void apic_leave_x2(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) & ~(uint64_t)(APIC_BASE_AE | APIC_BASE_EXTD);

    wrmsr(MSR_APIC_BASE, base);
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_AE);
}

void apic_send(uint32_t dest, uint32_t icr)
{
    if (apic_is_x2()) {
        wrmsr(MSR_X2APIC(APIC_ICR_LOW), (uint64_t)dest << 32 | icr | ICR_ASSERT);
        return;
    }
    apic_write(APIC_ICR_HIGH, dest << 24);
    apic_write(APIC_ICR_LOW, icr | ICR_ASSERT);
    while ((apic_read(APIC_ICR_LOW) & ICR_PENDING) != 0)
        ;
}

/* The self shorthand is for fixed interrupts only; an NMI needs the ID. */
void apic_self_nmi(void)
{
    apic_write(APIC_ICR_HIGH, apic_read(APIC_ID) & 0xff000000u);
    apic_write(APIC_ICR_LOW, ICR_NMI | ICR_ASSERT);
    while ((apic_read(APIC_ICR_LOW) & ICR_PENDING) != 0)
        ;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

void apic_timer_oneshot(uint8_t vector, uint32_t count)
{
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, vector);
    apic_write(APIC_TIMER_INITIAL, count);
}

void apic_timer_periodic(uint8_t vector, uint32_t count)
{
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | vector);
    apic_write(APIC_TIMER_INITIAL, count);
}

void apic_timer_stop(void)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | APIC_SPURIOUS_VECTOR);
    apic_write(APIC_TIMER_INITIAL, 0);
}

int apic_vector_bit(uint32_t first_reg, uint8_t vector)
{
    return apic_read(first_reg + 16u * (vector / 32)) >> vector % 32 & 1;
}

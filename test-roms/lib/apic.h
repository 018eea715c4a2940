/* apic.h: local APIC (xAPIC at its reset address) and the PICs. */
#ifndef TEST_ROMS_LIB_APIC_H
#define TEST_ROMS_LIB_APIC_H

#include <stdint.h>

#define APIC_BASE_SPA UINT64_C(0xfee00000)
#define APIC_ID 0x020
#define APIC_TPR 0x080
#define APIC_EOI 0x0b0
#define APIC_SVR 0x0f0
#define APIC_ISR 0x100
#define APIC_IRR 0x200
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define APIC_LVT_MASKED 0x10000u
#define APIC_LVT_PERIODIC 0x20000u
#define APIC_SPURIOUS_VECTOR 0xffu

static inline uint32_t apic_read(uint32_t reg)
{
    return *(volatile uint32_t *)(APIC_BASE_SPA + reg);
}

static inline void apic_write(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(APIC_BASE_SPA + reg) = value;
}

/* Mask all lines of both 8259s. */
void pic_mask_all(void);

/* Enable the local APIC, TPR 0, timer masked, divide by 1. */
void apic_init(void);

/* Send a fixed interrupt, or an NMI, to this processor. */
void apic_self_ipi(uint8_t vector);
void apic_self_nmi(void);

void apic_eoi(void);

/* Start the timer once.
 * count  ticks of the bus clock; 1 GHz here and on QEMU */
void apic_timer_oneshot(uint8_t vector, uint32_t count);
void apic_timer_periodic(uint8_t vector, uint32_t count);
void apic_timer_stop(void);

/* 1 if the bit of the vector is set in IRR (APIC_IRR) or ISR (APIC_ISR). */
int apic_vector_bit(uint32_t first_reg, uint8_t vector);

#endif

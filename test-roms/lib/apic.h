/* apic.h: local APIC (xAPIC at its reset address) and the PICs. */
#ifndef TEST_ROMS_LIB_APIC_H
#define TEST_ROMS_LIB_APIC_H

#include <stdbool.h>
#include <stdint.h>

#define APIC_BASE_SPA UINT64_C(0xfee00000)
#define APIC_ID 0x020
#define APIC_VERSION 0x030
#define APIC_TPR 0x080
#define APIC_APR 0x090
#define APIC_PPR 0x0a0
#define APIC_EOI 0x0b0
#define APIC_LDR 0x0d0
#define APIC_DFR 0x0e0
#define APIC_SVR 0x0f0
#define APIC_ISR 0x100
#define APIC_TMR 0x180
#define APIC_IRR 0x200
#define APIC_ESR 0x280
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF 0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define APIC_LVT_MASKED 0x10000u
#define APIC_LVT_PERIODIC 0x20000u
#define APIC_LVT_DEADLINE 0x40000u

/* Interrupt command register, low half. */
#define ICR_FIXED 0x000u
#define ICR_LOWEST 0x100u
#define ICR_SMI 0x200u
#define ICR_NMI 0x400u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_LOGICAL 0x800u
#define ICR_ASSERT 0x4000u
#define ICR_LEVEL 0x8000u
#define ICR_TO_SELF 0x40000u
#define ICR_TO_ALL 0x80000u
#define ICR_TO_OTHERS 0xc0000u

#define APIC_BASE_BSC 0x100u
#define APIC_BASE_EXTD 0x400u
#define APIC_BASE_AE 0x800u
#define MSR_X2APIC(reg) (0x800u + ((reg) >> 4))
#define MSR_X2APIC_SELF_IPI 0x83fu
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

/* Send what the command register says. ICR_ASSERT is added.
 * dest  8 bits, or in x2APIC mode 32 */
void apic_send(uint32_t dest, uint32_t icr);

/* The same registers in xAPIC and x2APIC mode. */
bool apic_is_x2(void);
uint32_t apic_get(uint32_t reg);
void apic_set(uint32_t reg, uint32_t value);

/* Can this processor do it? Then go to x2APIC mode; and back through disabled, which resets the registers. */
bool apic_has_x2(void);
void apic_enter_x2(void);
void apic_leave_x2(void);

/* 1 if the bit of the vector is set in IRR (APIC_IRR) or ISR (APIC_ISR). */
int apic_vector_bit(uint32_t first_reg, uint8_t vector);

#endif

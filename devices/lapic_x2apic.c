/* The registers as MSRs 800h-8FFh. APM vol 2, 16.11 "Accessing x2APIC Register" to 16.15.
 *
 * CHOICE: a message type that the ICR does not have in this mode (1, 3, 7) makes #GP, as a reserved bit does. */
#include "devices/lapic_priv.h"

#define MSR_X2APIC 0x800u

/* Table 16-6: what this mode does not have, or has elsewhere. */
static bool is_missing(const struct lapic *lapic, unsigned reg)
{
    return reg == R_RRR || reg == R_DFR || reg == R_ICR_HIGH || !lapic_register_exists(lapic, reg);
}

bool lapic_read_msr(void *self, uint32_t index, uint64_t *value)
{
    const struct lapic *lapic = self;
    unsigned reg = index - MSR_X2APIC;
    if (!lapic_x2apic(lapic) || is_missing(lapic, reg) || reg == R_EOI)
        return false;
    *value = lapic_register_read(lapic, reg);
    if (reg == R_ICR_LOW)
        *value |= (uint64_t)lapic->icr_high << 32;
    return true;
}

/* 16.13. */
static bool write_icr(struct lapic *lapic, uint64_t value)
{
    enum apic_message_type type = lvt_message((uint32_t)value);
    if (((uint32_t)value & ~ICR_WRITABLE) || type == MT_LOWEST || type == MT_READ ||
        type == MT_EXTINT)
        return false;
    lapic->icr_high = (uint32_t)(value >> 32);
    lapic_register_write(lapic, R_ICR_LOW, (uint32_t)value);
    return true;
}

bool lapic_write_msr(void *self, uint32_t index, uint64_t value)
{
    struct lapic *lapic = self;
    unsigned reg = index - MSR_X2APIC;
    if (!lapic_x2apic(lapic))
        return false;
    if (reg == R_SELF_IPI) {
        if (value > 0xff)
            return false;
        lapic_send_self(lapic, (uint8_t)value);
        return true;
    }
    if (is_missing(lapic, reg) || reg == R_ID || reg == R_LDR ||
        !lapic_register_writable(lapic, reg))
        return false;
    if (reg == R_ICR_LOW)
        return write_icr(lapic, value);
    if (value & ~(uint64_t)lapic_register_bits(lapic, reg)) /* 16.11.3 */
        return false;
    lapic_register_write(lapic, reg, (uint32_t)value);
    return true;
}

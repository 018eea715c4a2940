/* The PIIX4's power management function: Intel 82371AB data sheet; ACPI 4.8 "ACPI Register Model". */
#include "tests/devices/pci_kit.h"

#include "devices/apm.h"
#include "devices/piix4_pm.h"

#define PM PCI_POWER
#define BASE 0x600
#define SMBUS 0x700
#define HALF_NS UINT64_C(2343484437) /* 2^23 ticks of 3.579545 MHz, rounded down */

struct pm {
    struct pci_kit p;
    struct piix4_pm *pm;
    struct kit_line sci;
    unsigned smis, offs;
};

static void smi(void *self)
{
    struct pm *pm = self;
    pm->smis++;
}

static void power_off(void *self)
{
    struct pm *pm = self;
    pm->offs++;
}

static void open_bare(struct pm *pm)
{
    memset(pm, 0, sizeof(*pm));
    pci_kit_open(&pm->p);
    const struct piix4_pm_wires wires = {
        .sci = kit_line_to(&pm->sci), .smi = smi, .power_off = power_off, .self = pm
    };
    pm->pm = piix4_pm_add(pm->p.kit.bus, pm->p.pci, &wires);
    ck_assert_ptr_nonnull(pm->pm);
    ck_assert_ptr_nonnull(apm_add(pm->p.kit.bus, piix4_pm_apm, pm->pm));
}

static void open_pm(struct pm *pm)
{
    open_bare(pm);
    piix4_pm_firmware_init(pm->pm);
}

static uint32_t in(struct pm *pm, unsigned offset, unsigned size)
{
    return port_read(&pm->p, (uint16_t)(BASE + offset), size);
}

static void out(struct pm *pm, unsigned offset, unsigned size, uint32_t value)
{
    port_write(&pm->p, (uint16_t)(BASE + offset), size, value);
}

START_TEST(function_is_a_piix4)
{
    struct pm pm;
    open_bare(&pm);
    ck_assert_uint_eq(config_in(&pm.p, PM, 0x00, 4), 0x71138086);
    ck_assert_uint_eq(config_in(&pm.p, PM, 0x08, 4), 0x06800003);
    ck_assert_uint_eq(config_in(&pm.p, PM, 0x3d, 1), 1);
    ck_assert_uint_eq(config_in(&pm.p, PM, 0x40, 4), 1);
    ck_assert_uint_eq(config_in(&pm.p, PM, 0x90, 4), 1);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(registers_are_where_they_are_put)
{
    struct pm pm;
    open_bare(&pm);
    kit_pass(&pm.p.kit, 1000000);
    ck_assert_uint_eq(in(&pm, 8, 4), 0xffffffff);
    config_out(&pm.p, PM, 0x40, 4, 0xffffffff);
    ck_assert_uint_eq(config_in(&pm.p, PM, 0x40, 4), 0xffc1);
    config_out(&pm.p, PM, 0x40, 4, BASE | 1);
    ck_assert_uint_eq(in(&pm, 8, 4), 0xffffffff);
    config_out(&pm.p, PM, 0x80, 1, 1);
    ck_assert_uint_eq(in(&pm, 8, 4), 3579);
    config_out(&pm.p, PM, 0x40, 4, 0xb001);
    ck_assert_uint_eq(in(&pm, 8, 4), 0xffffffff);
    ck_assert_uint_eq(port_read(&pm.p, 0xb008, 4), 3579);
    bus_reset(pm.p.kit.bus);
    ck_assert_uint_eq(port_read(&pm.p, 0xb008, 4), 0xffffffff);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(timer_counts_3579545_a_second_in_24_bits)
{
    struct pm pm;
    open_pm(&pm);
    kit_until(&pm.p.kit, 1000000000);
    ck_assert_uint_eq(in(&pm, 8, 4), 3579545);
    out(&pm, 8, 4, 0); /* read only */
    ck_assert_uint_eq(in(&pm, 8, 4), 3579545);
    ck_assert_uint_eq(in(&pm, 9, 1), 3579545 >> 8 & 0xff);
    kit_until(&pm.p.kit, UINT64_C(10000000000));
    ck_assert_uint_eq(in(&pm, 8, 4), 35795450 & 0xffffff);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(timer_status_is_set_when_the_highest_bit_changes)
{
    struct pm pm;
    open_pm(&pm);
    kit_until(&pm.p.kit, HALF_NS - 1);
    ck_assert_uint_eq(in(&pm, 8, 4), 0x7fffff);
    ck_assert_uint_eq(in(&pm, 0, 2), 0);
    kit_until(&pm.p.kit, HALF_NS + 1);
    ck_assert_uint_eq(in(&pm, 8, 4), 0x800000);
    ck_assert_uint_eq(in(&pm, 0, 2), 1);
    out(&pm, 0, 2, 0xfffe); /* writing 1 clears, 0 does not */
    ck_assert_uint_eq(in(&pm, 0, 2), 1);
    out(&pm, 0, 2, 1);
    ck_assert_uint_eq(in(&pm, 0, 2), 0);
    kit_until(&pm.p.kit, 2 * HALF_NS + 1);
    ck_assert_uint_eq(in(&pm, 0, 2), 1); /* down as well as up */
    ck_assert_uint_eq(pm.sci.rises, 0);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(timer_raises_sci_at_its_time)
{
    struct pm pm;
    open_pm(&pm);
    out(&pm, 2, 2, 1); /* TMROF_EN */
    ck_assert_uint_eq(clock_next_ns(&pm.p.kit.clock), CLOCK_NEVER);
    out(&pm, 4, 2, 1); /* SCI_EN */
    ck_assert_uint_eq(clock_next_ns(&pm.p.kit.clock), HALF_NS + 1);
    kit_until(&pm.p.kit, HALF_NS);
    ck_assert(!pm.sci.level);
    kit_until(&pm.p.kit, HALF_NS + 1);
    ck_assert(pm.sci.level);
    ck_assert_uint_eq(clock_next_ns(&pm.p.kit.clock), CLOCK_NEVER);
    out(&pm, 0, 1, 1);
    ck_assert(!pm.sci.level);
    kit_until(&pm.p.kit, 2 * HALF_NS + 2);
    ck_assert_uint_eq(pm.sci.rises, 2);
    out(&pm, 2, 2, 0); /* not enabled any more */
    ck_assert(!pm.sci.level);
    ck_assert_uint_eq(in(&pm, 0, 2), 1);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(button_needs_its_enable_and_sci_en)
{
    struct pm pm;
    open_pm(&pm);
    piix4_pm_power_button(pm.pm);
    ck_assert_uint_eq(in(&pm, 0, 4), 0x00000100);
    ck_assert(!pm.sci.level);
    out(&pm, 3, 1, 0x01); /* a byte of PM1_EN */
    ck_assert_uint_eq(in(&pm, 0, 4), 0x01000100);
    ck_assert(!pm.sci.level);
    out(&pm, 4, 1, 1);
    ck_assert(pm.sci.level);
    out(&pm, 0, 4, 0x01000100); /* clears the status, keeps the enable */
    ck_assert(!pm.sci.level);
    ck_assert_uint_eq(in(&pm, 0, 4), 0x01000000);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(reserved_enables_and_control_bits_read_0)
{
    struct pm pm;
    open_pm(&pm);
    out(&pm, 2, 2, 0xffff);
    ck_assert_uint_eq(in(&pm, 2, 2), 0x0521);
    out(&pm, 4, 4, 0xffffdfff);
    ck_assert_uint_eq(in(&pm, 4, 4), 0x1c03);
    ck_assert_uint_eq(pm.offs, 0);
    for (unsigned offset = 12; offset < 64; offset += 4)
        if (offset != 0x28)
            ck_assert_uint_eq(in(&pm, offset, 4), 0);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(sleep_types_0_and_2_power_off)
{
    for (unsigned type = 0; type < 8; type++) {
        struct pm pm;
        open_pm(&pm);
        out(&pm, 4, 2, type << 10); /* without SUS_EN nothing happens */
        ck_assert_uint_eq(pm.offs, 0);
        out(&pm, 4, 2, type << 10 | 0x2000);
        ck_assert_uint_eq(pm.offs, type == 0 || type == 2);
        ck_assert_uint_eq(pm.p.kit.told[PROBE_UNIMP], type != 0 && type != 2);
        ck_assert_uint_eq(in(&pm, 4, 2) & 0x2000, 0); /* it reads 0 */
        pci_kit_close(&pm.p);
    }
}
END_TEST

START_TEST(sleep_by_the_high_byte_alone)
{
    struct pm pm;
    open_pm(&pm);
    out(&pm, 4, 2, 1 << 10);
    out(&pm, 5, 1, 0x20);
    ck_assert_uint_eq(pm.offs, 1);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(apm_port_switches_acpi)
{
    struct pm pm;
    open_pm(&pm);
    port_write(&pm.p, 0xb2, 1, PIIX4_ACPI_ENABLE);
    ck_assert_uint_eq(in(&pm, 4, 2), 1);
    port_write(&pm.p, 0xb2, 1, PIIX4_ACPI_DISABLE);
    ck_assert_uint_eq(in(&pm, 4, 2), 0);
    ck_assert_uint_eq(pm.smis, 0);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(apm_port_raises_smi_if_both_switches_say_so)
{
    for (unsigned set = 0; set < 4; set++) {
        struct pm pm;
        open_bare(&pm);
        config_out(&pm.p, PM, 0x40, 4, BASE | 1);
        config_out(&pm.p, PM, 0x80, 1, 1);
        config_out(&pm.p, PM, 0x58, 4, set & 1 ? 1u << 25 : 0); /* APMC_EN */
        out(&pm, 0x28, 4, set >> 1);                            /* SMI_EN */
        port_write(&pm.p, 0xb2, 1, 0x5a);
        ck_assert_uint_eq(pm.smis, set == 3);
        pci_kit_close(&pm.p);
    }
}
END_TEST

START_TEST(gpe_enables_are_kept)
{
    struct pm pm;
    open_pm(&pm);
    port_write(&pm.p, 0xafe0, 4, 0x12345678);
    ck_assert_uint_eq(port_read(&pm.p, 0xafe0, 4), 0x12340000);
    ck_assert_uint_eq(port_read(&pm.p, 0xafe3, 1), 0x12);
    bus_reset(pm.p.kit.bus);
    ck_assert_uint_eq(port_read(&pm.p, 0xafe0, 4), 0);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(smbus_finds_nobody)
{
    struct pm pm;
    open_pm(&pm);
    ck_assert_uint_eq(port_read(&pm.p, SMBUS, 1), 0);
    port_write(&pm.p, SMBUS + 4, 1, 0xa1); /* read of 50h */
    port_write(&pm.p, SMBUS + 3, 1, 0x02);
    port_write(&pm.p, SMBUS + 2, 1, 0x48); /* byte data, start */
    ck_assert_uint_eq(port_read(&pm.p, SMBUS, 1), 0x04);
    ck_assert_uint_eq(port_read(&pm.p, SMBUS + 2, 1), 0x08); /* START reads 0 */
    ck_assert_uint_eq(port_read(&pm.p, SMBUS + 3, 2), 0xa102);
    port_write(&pm.p, SMBUS, 1, 0xff);
    ck_assert_uint_eq(port_read(&pm.p, SMBUS, 1), 0);
    port_write(&pm.p, SMBUS + 2, 1, 0x02); /* KILL */
    ck_assert_uint_eq(port_read(&pm.p, SMBUS, 1), 0x10);
    port_write(&pm.p, SMBUS + 5, 2, 0xbeef);
    ck_assert_uint_eq(port_read(&pm.p, SMBUS + 5, 2), 0xbeef);
    ck_assert_uint_eq(port_read(&pm.p, SMBUS + 9, 1), 0);
    config_out(&pm.p, PM, 0xd2, 1, 0);
    ck_assert_uint_eq(port_read(&pm.p, SMBUS, 1), 0xff);
    pci_kit_close(&pm.p);
}
END_TEST

START_TEST(reset_lowers_sci_and_clears)
{
    struct pm pm;
    open_pm(&pm);
    out(&pm, 2, 2, 0x101);
    out(&pm, 4, 2, 1);
    piix4_pm_power_button(pm.pm);
    kit_pass(&pm.p.kit, 10 * HALF_NS);
    ck_assert(pm.sci.level);
    bus_reset(pm.p.kit.bus);
    piix4_pm_firmware_init(pm.pm);
    ck_assert(!pm.sci.level);
    ck_assert_uint_eq(in(&pm, 0, 4), 0);
    ck_assert_uint_eq(in(&pm, 4, 2), 0);
    pci_kit_close(&pm.p);
}
END_TEST

/* What was looked at makes no difference; what time has brought does. */
START_TEST(hash_counts_what_shows)
{
    struct pm a, b;
    open_pm(&a);
    open_pm(&b);
    kit_pass(&a.p.kit, HALF_NS + 1);
    (void)in(&a, 0, 4);
    (void)in(&a, 8, 4);
    b.p.kit.now_ns = a.p.kit.now_ns;
    ck_assert(kit_hash(&a.p) == kit_hash(&b.p));
    out(&a, 0, 2, 1);
    ck_assert(kit_hash(&a.p) != kit_hash(&b.p));
    out(&b, 0, 2, 1);
    ck_assert(kit_hash(&a.p) == kit_hash(&b.p));
    out(&b, 2, 2, 1);
    ck_assert(kit_hash(&a.p) != kit_hash(&b.p));
    pci_kit_close(&a.p);
    pci_kit_close(&b.p);
}
END_TEST

CHECK_MAIN("piix4_pm", function_is_a_piix4, registers_are_where_they_are_put,
           timer_counts_3579545_a_second_in_24_bits,
           timer_status_is_set_when_the_highest_bit_changes, timer_raises_sci_at_its_time,
           button_needs_its_enable_and_sci_en, reserved_enables_and_control_bits_read_0,
           sleep_types_0_and_2_power_off, sleep_by_the_high_byte_alone, apm_port_switches_acpi,
           apm_port_raises_smi_if_both_switches_say_so, gpe_enables_are_kept, smbus_finds_nobody,
           reset_lowers_sci_and_clears, hash_counts_what_shows)

/* The local APIC: registers, priorities, local interrupts, messages. Citations are to APM vol 2. */
#include "tests/devices/lapic_kit.h"

START_TEST(lapic_reset_values) /* Table 16-2 */
{
    static const struct {
        uint32_t reg, value;
    } row[] = { { ID, 0 },
                { VERSION, 0x00050010 },
                { TPR, 0 },
                { APR, 0 },
                { PPR, 0 },
                { RRR, 0 },
                { LDR, 0 },
                { DFR, 0xffffffff },
                { SVR, 0xff },
                { ESR, 0 },
                { ICR_LOW, 0 },
                { ICR_HIGH, 0 },
                { LVT_TIMER, 0x10000 },
                { LVT_THERMAL, 0x10000 },
                { LVT_PERF, 0x10000 },
                { LVT_LINT0, 0x10000 },
                { LVT_LINT1, 0x10000 },
                { LVT_ERROR, 0x10000 },
                { INITIAL, 0 },
                { COUNT, 0 },
                { DIVIDE, 0 } };
    struct local l;
    local_open(&l);
    for (uint32_t reg = TPR; reg < 0x400; reg += 16)
        if (reg != ICR_LOW)
            wr(&l, reg, 0x1ff50);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    (void)acknowledge(&l);
    wr(&l, ICR_LOW, TO_SELF | 0x61);
    bus_reset(l.kit.bus);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        ck_assert_uint_eq(rd(&l, row[i].reg), row[i].value);
    for (uint32_t reg = ISR; reg < ESR; reg += 16)
        ck_assert_uint_eq(rd(&l, reg), 0);
    ck_assert_int_eq(pending(&l), -1);
    ck_assert_uint_eq(lapic_intc_ops.read_apic_base(l.lapic), 0xfee00900);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_writable_bits)
{
    static const struct {
        uint32_t reg, ones, zeros;
    } row[] = {
        { ID, 0xff000000, 0 },
        { VERSION, 0x00050010, 0x00050010 },
        { TPR, 0xff, 0 },
        { LDR, 0xff000000, 0 },
        { DFR, 0xffffffff, 0x0fffffff },
        { ICR_HIGH, 0xff000000, 0 },
        { LVT_TIMER, 0x300ff, 0 },
        { LVT_THERMAL, 0x107ff, 0 },
        { LVT_PERF, 0x107ff, 0 },
        { LVT_LINT0, 0x187ff, 0 },
        { LVT_LINT1, 0x187ff, 0 },
        { LVT_ERROR, 0x107ff, 0 },
        { DIVIDE, 0x0b, 0 },
        { COUNT, 0, 0 },
    };
    struct local l;
    local_open(&l);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        wr(&l, row[i].reg, 0xffffffff);
        ck_assert_uint_eq(rd(&l, row[i].reg), row[i].ones);
        wr(&l, row[i].reg, 0);
        ck_assert_uint_eq(rd(&l, row[i].reg), row[i].zeros);
    }
    wr(&l, SVR, 0xffffffff);
    ck_assert_uint_eq(rd(&l, SVR), 0x3ff);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_unimplemented_register_is_an_error) /* 16.4.6 */
{
    static const uint32_t hole[] = { 0x000, 0x010, 0x040, 0x070, 0x290, 0x2f0, 0x3a0,
                                     0x3d0, 0x3f0, 0x400, 0x420, 0x480, 0xff0 };
    struct local l;
    local_open(&l);
    for (size_t i = 0; i < sizeof(hole) / sizeof(hole[0]); i++) {
        ck_assert_uint_eq(errors(&l), 0);
        ck_assert_uint_eq(rd(&l, hole[i]), 0);
        ck_assert_uint_eq(errors(&l), 0x80);
        wr(&l, hole[i], 1);
        ck_assert_uint_eq(errors(&l), 0x80);
    }
    unsigned told = l.kit.told[PROBE_GUEST_ERROR];
    wr(&l, PPR, 0xff); /* read-only is no error of the address */
    wr(&l, ISR, 0xff);
    ck_assert_uint_eq(errors(&l), 0);
    ck_assert_uint_eq(l.kit.told[PROBE_GUEST_ERROR], told + 2);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_odd_accesses) /* CHOICE of lapic.c */
{
    struct local l;
    local_open(&l);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, APIC + VERSION + 2, 1), 0x05);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, APIC + VERSION, 8), 0x00050010);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, APIC + VERSION + 4, 4), 0);
    bus_mmio_ops.write(l.kit.bus, APIC + TPR, 1, 0x20);
    bus_mmio_ops.write(l.kit.bus, APIC + TPR, 8, 0x20);
    bus_mmio_ops.write(l.kit.bus, APIC + TPR + 4, 4, 0x20);
    ck_assert_uint_eq(rd(&l, TPR), 0);
    ck_assert_uint_eq(l.kit.told[PROBE_GUEST_ERROR], 6);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_base_rules) /* 16.3.1; x2APIC is not offered */
{
    static const struct {
        uint64_t value;
        bool accepted;
    } row[] = { { 0xfee00900, true },         { 0xfee00d00, false }, /* EXTD */
                { 0xfee00400, false },        { 0xfee00b00, false }, /* bit 9 */
                { 0xfee00901, false },        { 0x800000000900, true }, { 0x1000000000900, false },
                { 0x8000000fee00900, false }, { 0xffff00000900, true } };
    struct local l;
    local_open(&l);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        uint64_t before = lapic_intc_ops.read_apic_base(l.lapic);
        ck_assert_int_eq(lapic_intc_ops.write_apic_base(l.lapic, row[i].value), row[i].accepted);
        ck_assert_uint_eq(lapic_intc_ops.read_apic_base(l.lapic),
                          row[i].accepted ? row[i].value : before);
    }
    ck_assert(lapic_intc_ops.write_apic_base(l.lapic, 0xfee00800)); /* BSC cannot be cleared */
    ck_assert_uint_eq(lapic_intc_ops.read_apic_base(l.lapic), 0xfee00900);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_base_moves_the_registers)
{
    struct local l;
    local_open(&l);
    ck_assert(lapic_intc_ops.write_apic_base(l.lapic, 0xd0000900));
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, 0xd0000000 + SVR, 4), 0x1ef);
    ck_assert_uint_eq(rd(&l, SVR), 0xffffffff);
    bus_reset(l.kit.bus);
    ck_assert_uint_eq(rd(&l, SVR), 0xff);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_hardware_disable_clears_and_enable_works_again)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    wr(&l, LVT_TIMER, 0x20070);
    wr(&l, INITIAL, 100);
    ck_assert(lapic_intc_ops.write_apic_base(l.lapic, 0xfee00100));
    ck_assert_uint_eq(rd(&l, SVR), 0xffffffff); /* the registers are gone */
    ck_assert_int_eq(pending(&l), -1);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    ck_assert(lapic_intc_ops.write_apic_base(l.lapic, 0xfee00900));
    ck_assert_uint_eq(rd(&l, SVR), 0xff);
    wr(&l, SVR, 0x1ef);
    wr(&l, ICR_LOW, TO_SELF | 0x61);
    ck_assert_int_eq(pending(&l), 0x61);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_disabled_passes_the_pic_and_nmi_through)
{
    struct local l;
    local_open(&l);
    ck_assert(lapic_intc_ops.write_apic_base(l.lapic, 0xfee00100));
    unsigned changes = l.changes;
    local_pic_asks(&l);
    ck_assert_uint_gt(l.changes, changes);
    ck_assert_int_eq(pending(&l), 0x21);
    ck_assert_int_eq(acknowledge(&l), 0x21);
    ck_assert_int_eq(acknowledge(&l), -1);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(l.nmis, 1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_self_ipi_goes_irr_isr_eoi) /* 16.6.3, 16.6.4 */
{
    struct local l;
    local_open(&l);
    for (unsigned vector = 16; vector < 256; vector++) {
        unsigned changes = l.changes;
        wr(&l, ICR_LOW, TO_SELF | vector);
        ck_assert_uint_gt(l.changes, changes);
        ck_assert(bit(&l, IRR, vector));
        ck_assert(!bit(&l, TMR, vector));
        ck_assert_int_eq(pending(&l), (int)vector);
        ck_assert_int_eq(acknowledge(&l), (int)vector);
        ck_assert(!bit(&l, IRR, vector));
        ck_assert(bit(&l, ISR, vector));
        ck_assert_uint_eq(rd(&l, PPR), vector & 0xf0);
        wr(&l, EOI, 0);
        ck_assert(!bit(&l, ISR, vector));
        ck_assert_uint_eq(rd(&l, PPR), 0);
    }
    kit_close(&l.kit);
}
END_TEST

/* rows: pitfalls 5.7 */
START_TEST(lapic_tpr_blocks_its_class_and_below)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_LOW, TO_SELF | 0x65);
    wr(&l, TPR, 0x5f);
    ck_assert_int_eq(pending(&l), 0x65);
    wr(&l, TPR, 0x60);
    ck_assert_int_eq(pending(&l), -1);
    unsigned changes = l.changes;
    lapic_intc_ops.write_tpr(l.lapic, 0x50); /* CR8 = 5 */
    ck_assert_uint_gt(l.changes, changes);
    ck_assert_int_eq(pending(&l), 0x65);
    ck_assert_uint_eq(rd(&l, TPR), 0x50);
    wr(&l, TPR, 0xf0);
    wr(&l, ICR_LOW, TO_SELF | 0xff);
    ck_assert_int_eq(pending(&l), -1); /* 15 inhibits all */
    ck_assert_uint_eq(lapic_intc_ops.read_tpr(l.lapic), 0xf0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_highest_vector_first_and_nesting_by_class)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_LOW, TO_SELF | 0x41);
    wr(&l, ICR_LOW, TO_SELF | 0x52);
    ck_assert_int_eq(acknowledge(&l), 0x52);
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, ICR_LOW, TO_SELF | 0x5f); /* the same class does not interrupt */
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    ck_assert_int_eq(acknowledge(&l), 0x60);
    wr(&l, EOI, 0);
    ck_assert(!bit(&l, ISR, 0x60));
    ck_assert(bit(&l, ISR, 0x52));
    unsigned changes = l.changes;
    wr(&l, EOI, 0);
    ck_assert_uint_gt(l.changes, changes);
    ck_assert_int_eq(acknowledge(&l), 0x5f);
    wr(&l, EOI, 0);
    ck_assert_int_eq(acknowledge(&l), 0x41);
    wr(&l, EOI, 0);
    wr(&l, EOI, 0); /* nothing in service: no effect */
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_lowest_legal_vectors_nest_and_end)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_LOW, TO_SELF | 0x11);
    ck_assert_int_eq(acknowledge(&l), 0x11);
    wr(&l, ICR_LOW, TO_SELF | 0x1f);
    wr(&l, ICR_LOW, TO_SELF | 0x20);
    ck_assert_int_eq(acknowledge(&l), 0x20);
    wr(&l, EOI, 0);
    ck_assert_uint_eq(rd(&l, PPR), 0x10); /* 11h is still in service */
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, EOI, 0);
    ck_assert_int_eq(acknowledge(&l), 0x1f);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_same_vector_pends_once_while_in_service)
{
    struct local l;
    local_open(&l);
    for (unsigned i = 0; i < 3; i++)
        wr(&l, ICR_LOW, TO_SELF | 0x60);
    ck_assert_int_eq(acknowledge(&l), 0x60);
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    wr(&l, EOI, 0);
    ck_assert_int_eq(acknowledge(&l), 0x60);
    wr(&l, EOI, 0);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_priority_registers) /* 16.6.2, 16.6.4 */
{
    static const struct {
        uint8_t tpr, isr, irr, ppr, apr;
    } row[] = { { 0x23, 0x00, 0x00, 0x23, 0x23 }, { 0x23, 0x31, 0x00, 0x30, 0x30 },
                { 0x35, 0x31, 0x00, 0x35, 0x35 }, { 0x25, 0x00, 0x41, 0x25, 0x40 },
                { 0x45, 0x00, 0x41, 0x45, 0x45 }, { 0x05, 0x51, 0x41, 0x50, 0x50 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open(&l);
        if (row[i].isr) {
            wr(&l, ICR_LOW, TO_SELF | row[i].isr);
            (void)acknowledge(&l);
        }
        if (row[i].irr)
            wr(&l, ICR_LOW, TO_SELF | row[i].irr);
        wr(&l, TPR, row[i].tpr);
        ck_assert_uint_eq(rd(&l, PPR), row[i].ppr);
        ck_assert_uint_eq(rd(&l, APR), row[i].apr);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(lapic_spurious_when_the_priority_rose) /* 16.4.7 */
{
    struct local l;
    local_open(&l);
    ck_assert_int_eq(acknowledge(&l), -1);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    wr(&l, TPR, 0x60);
    ck_assert_int_eq(acknowledge(&l), 0xef);
    ck_assert(bit(&l, IRR, 0x60));
    for (uint32_t reg = ISR; reg < ISR + 0x80; reg += 16)
        ck_assert_uint_eq(rd(&l, reg), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_software_disable_holds_and_masks) /* 16.3.1 */
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_LINT0, 0x00700);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    wr(&l, SVR, 0x0ef);
    ck_assert_int_eq(pending(&l), -1); /* held */
    ck_assert(bit(&l, IRR, 0x60));
    for (uint32_t reg = LVT_TIMER; reg <= LVT_ERROR; reg += 16) {
        ck_assert_uint_eq(rd(&l, reg) & 0x10000, 0x10000);
        wr(&l, reg, 0x00061);
        ck_assert_uint_eq(rd(&l, reg), 0x10061); /* cannot be unmasked */
    }
    wr(&l, ICR_LOW, TO_SELF | 0x70);
    ck_assert(!bit(&l, IRR, 0x70)); /* not accepted */
    wr(&l, ICR_HIGH, 0x05000000);
    wr(&l, ICR_LOW, 0x400);
    ck_assert_uint_eq(l.nmis, 1); /* NMI is */
    wr(&l, SVR, 0x1ef);
    ck_assert_int_eq(pending(&l), 0x60);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_destinations) /* 16.5, 16.6.1; own ID 5 */
{
    static const struct {
        uint32_t low, dest, ldr, dfr;
        bool arrives;
    } row[] = {
        { 0x00060, 0x05, 0, 0xf, true },     { 0x00060, 0x04, 0, 0xf, false },
        { 0x00060, 0xff, 0, 0xf, true },     { 0x40060, 0x04, 0, 0xf, true },
        { 0x80060, 0x04, 0, 0xf, true },     { 0xc0060, 0x05, 0, 0xf, false },
        { 0x00860, 0x0c, 0x04, 0xf, true },  { 0x00860, 0x0b, 0x04, 0xf, false },
        { 0x00860, 0xff, 0x00, 0xf, true },  { 0x00860, 0x23, 0x22, 0x0, true },
        { 0x00860, 0x33, 0x22, 0x0, false }, { 0x00860, 0x21, 0x22, 0x0, false },
        { 0x00860, 0xff, 0x22, 0x0, true },  { 0x00860, 0x0c, 0x04, 0x7, false },
        { 0x00960, 0x0c, 0x04, 0xf, true }, /* lowest priority: the only one there */
        { 0x0c060, 0x05, 0, 0xf, true },     { 0x08060, 0x05, 0, 0xf, false } /* no assert */
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open(&l);
        wr(&l, LDR, row[i].ldr << 24);
        wr(&l, DFR, row[i].dfr << 28);
        wr(&l, ICR_HIGH, row[i].dest << 24);
        wr(&l, ICR_LOW, row[i].low);
        ck_assert_int_eq(bit(&l, IRR, 0x60), row[i].arrives);
        ck_assert_int_eq(bit(&l, TMR, 0x60), row[i].arrives && (row[i].low & 0x8000));
        ck_assert_uint_eq(rd(&l, ICR_LOW), row[i].low); /* delivery status idle */
        ck_assert_uint_eq(rd(&l, ICR_HIGH), row[i].dest << 24);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(lapic_id_can_be_changed)
{
    struct local l;
    local_open(&l);
    wr(&l, ID, 0x09123456);
    wr(&l, ICR_HIGH, 0x05000000);
    wr(&l, ICR_LOW, 0x60);
    ck_assert(!bit(&l, IRR, 0x60));
    wr(&l, ICR_HIGH, 0x09000000);
    wr(&l, ICR_LOW, 0x60);
    ck_assert(bit(&l, IRR, 0x60));
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_message_nobody_accepts_is_an_error)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_HIGH, 0x07000000);
    wr(&l, ICR_LOW, 0x4060);
    ck_assert_uint_eq(errors(&l), 0x04);
    wr(&l, ICR_LOW, 0xc4060); /* to all others: nobody is addressed by name */
    ck_assert_uint_eq(errors(&l), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_illegal_vectors_are_errors)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_LOW, TO_SELF | 15);
    ck_assert_uint_eq(errors(&l), 0x20);
    wr(&l, ICR_LOW, TO_SELF | 16);
    ck_assert_uint_eq(errors(&l), 0);
    ck_assert_int_eq(acknowledge(&l), 16); /* class 1 is above 0 */
    wr(&l, LVT_LINT1, 0x0000f);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(errors(&l), 0x40);
    lapic_set_lint(l.lapic, 1, false);
    wr(&l, LVT_LINT1, 0x0800f);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(rd(&l, LVT_LINT1), 0x0800f); /* not accepted: no remote IRR */
    lapic_set_lint(l.lapic, 2, true);              /* there is no such pin */
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_nmi_and_other_messages)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_HIGH, 0x05000000);
    wr(&l, ICR_LOW, 0x4400);
    ck_assert_uint_eq(l.nmis, 1);
    ck_assert_uint_eq(l.kit.told[PROBE_GUEST_ERROR], 0);
    wr(&l, ICR_LOW, 0x44400); /* self shorthand: not valid, sent and told */
    ck_assert_uint_eq(l.nmis, 2);
    ck_assert_uint_eq(l.kit.told[PROBE_GUEST_ERROR], 1);
    wr(&l, ICR_LOW, 0x4200);
    ck_assert_uint_eq(l.signals[0][APIC_SMI], 1);
    wr(&l, ICR_LOW, 0x4500);
    ck_assert_uint_eq(l.signals[0][APIC_INIT], 1);
    wr(&l, ICR_LOW, 0x4608);
    ck_assert_uint_eq(l.signals[0][APIC_SIPI], 1);
    wr(&l, ICR_LOW, 0xc4500); /* INIT, STARTUP to the others */
    wr(&l, ICR_LOW, 0x88500); /* INIT level de-assert */
    wr(&l, ICR_LOW, 0xc4608);
    ck_assert_uint_eq(l.signals[0][APIC_INIT], 1);
    ck_assert_uint_eq(l.signals[0][APIC_SIPI], 1);
    ck_assert_uint_eq(l.kit.told[PROBE_UNIMP], 0);
    ck_assert_uint_eq(l.nmis, 2);
    ck_assert_int_eq(pending(&l), -1);
    ck_assert_uint_eq(errors(&l), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_error_status_is_latched_by_a_write)
{
    struct local l;
    local_open(&l);
    wr(&l, ICR_LOW, TO_SELF | 3);
    ck_assert_uint_eq(rd(&l, ESR), 0);
    wr(&l, ESR, 0xffffffff);
    ck_assert_uint_eq(rd(&l, ESR), 0x20);
    ck_assert_uint_eq(rd(&l, ESR), 0x20);
    wr(&l, ESR, 0);
    ck_assert_uint_eq(rd(&l, ESR), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_error_interrupt_once_until_the_esr_is_written)
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_ERROR, 0x000e5);
    wr(&l, ICR_LOW, TO_SELF | 3);
    ck_assert_int_eq(acknowledge(&l), 0xe5);
    wr(&l, EOI, 0);
    wr(&l, ICR_LOW, TO_SELF | 3);
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, ESR, 0);
    wr(&l, ICR_LOW, TO_SELF | 3);
    ck_assert_int_eq(pending(&l), 0xe5);
    wr(&l, ESR, 0);
    wr(&l, LVT_ERROR, 0x00003); /* illegal itself: no endless chain */
    wr(&l, ICR_LOW, TO_SELF | 3);
    ck_assert_uint_eq(errors(&l), 0x60);
    wr(&l, LVT_ERROR, 0x00400); /* as NMI */
    wr(&l, ICR_LOW, TO_SELF | 3);
    ck_assert_uint_eq(l.nmis, 1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_extint_needs_lint0_open)
{
    struct local l;
    local_open(&l);
    local_pic_asks(&l);
    ck_assert_int_eq(pending(&l), -1); /* masked after reset */
    unsigned changes = l.changes;
    wr(&l, LVT_LINT0, 0x00700);
    ck_assert_uint_gt(l.changes, changes);
    ck_assert_int_eq(pending(&l), 0x21);
    wr(&l, TPR, 0xff); /* priorities do not matter to ExtINT */
    ck_assert_int_eq(acknowledge(&l), 0x21);
    for (uint32_t reg = ISR; reg < ISR + 0x80; reg += 16)
        ck_assert_uint_eq(rd(&l, reg), 0);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_extint_tells_when_the_pic_rises)
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_LINT0, 0x00700);
    unsigned changes = l.changes;
    local_pic_asks(&l);
    ck_assert_uint_gt(l.changes, changes);
    ck_assert_int_eq(pending(&l), 0x21);
    wr(&l, ICR_LOW, TO_SELF | 0x30);
    ck_assert_int_eq(acknowledge(&l), 0x30); /* CHOICE: fixed goes first */
    ck_assert_int_eq(acknowledge(&l), 0x21);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_firmware_init_is_virtual_wire)
{
    struct local l;
    local_open_reset(&l);
    apics_firmware_init(l.apics);
    ck_assert_uint_eq(rd(&l, SVR), 0x1ff);
    ck_assert_uint_eq(rd(&l, LVT_LINT0), 0x08700);
    ck_assert_uint_eq(rd(&l, LVT_LINT1), 0x08400);
    local_pic_asks(&l);
    ck_assert_int_eq(pending(&l), 0x21);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(l.nmis, 1);
    lapic_set_lint(l.lapic, 1, true); /* edge */
    ck_assert_uint_eq(l.nmis, 1);
    lapic_set_lint(l.lapic, 1, false);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(l.nmis, 2);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_lint_fixed_edge_asks_once)
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_LINT0, 0x00044);
    local_pic_asks(&l);
    ck_assert_int_eq(acknowledge(&l), 0x44);
    ck_assert(!bit(&l, TMR, 0x44));
    wr(&l, EOI, 0);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_lint_fixed_level_has_remote_irr) /* 16.4.2 */
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_LINT1, 0x18055);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_int_eq(pending(&l), -1); /* masked */
    wr(&l, LVT_LINT1, 0x08055);
    ck_assert_uint_eq(rd(&l, LVT_LINT1), 0x0c055);
    ck_assert(bit(&l, TMR, 0x55));
    ck_assert_int_eq(acknowledge(&l), 0x55);
    wr(&l, LVT_LINT1, 0x08055); /* does not clear remote IRR */
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, EOI, 0); /* still high: again */
    ck_assert_uint_eq(rd(&l, LVT_LINT1), 0x0c055);
    ck_assert_int_eq(acknowledge(&l), 0x55);
    lapic_set_lint(l.lapic, 1, false);
    wr(&l, EOI, 0);
    ck_assert_uint_eq(rd(&l, LVT_LINT1), 0x08055);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

/* The entry's mask and message type decide. */
START_TEST(lapic_performance_counters_use_their_entry)
{
    struct local l;
    local_open(&l);
    wr(&l, SVR, 0x1ff);
    wr(&l, LVT_PERF, 0x10061);
    lapic_intc_ops.perf_overflow(l.lapic); /* masked */
    ck_assert_int_eq(pending(&l), -1);
    wr(&l, LVT_PERF, 0x61);
    lapic_intc_ops.perf_overflow(l.lapic);
    ck_assert_int_eq(pending(&l), 0x61);
    ck_assert_uint_eq(rd(&l, LVT_PERF), 0x61); /* it stays open */
    wr(&l, LVT_PERF, 0x400);                   /* NMI */
    unsigned nmis = l.nmis;
    lapic_intc_ops.perf_overflow(l.lapic);
    ck_assert_uint_eq(l.nmis, nmis + 1);
    kit_close(&l.kit);
}
END_TEST

CHECK_MAIN("lapic", lapic_reset_values, lapic_writable_bits,
           lapic_unimplemented_register_is_an_error, lapic_odd_accesses, lapic_base_rules,
           lapic_base_moves_the_registers, lapic_hardware_disable_clears_and_enable_works_again,
           lapic_disabled_passes_the_pic_and_nmi_through, lapic_self_ipi_goes_irr_isr_eoi,
           lapic_tpr_blocks_its_class_and_below, lapic_highest_vector_first_and_nesting_by_class,
           lapic_lowest_legal_vectors_nest_and_end, lapic_same_vector_pends_once_while_in_service,
           lapic_priority_registers, lapic_spurious_when_the_priority_rose,
           lapic_software_disable_holds_and_masks, lapic_destinations, lapic_id_can_be_changed,
           lapic_message_nobody_accepts_is_an_error, lapic_illegal_vectors_are_errors,
           lapic_nmi_and_other_messages, lapic_error_status_is_latched_by_a_write,
           lapic_error_interrupt_once_until_the_esr_is_written, lapic_extint_needs_lint0_open,
           lapic_extint_tells_when_the_pic_rises, lapic_firmware_init_is_virtual_wire,
           lapic_lint_fixed_edge_asks_once, lapic_lint_fixed_level_has_remote_irr,
           lapic_performance_counters_use_their_entry)

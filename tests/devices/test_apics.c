/* Several local APICs: messages between processors. Citations are to APM vol 2. */
#include "tests/devices/lapic_kit.h"

#define SEND_FIXED 0x4060u /* assert, vector 60h */

/* Which processors have vector 60h in the IRR. */
static unsigned holders(struct local *l, unsigned count)
{
    unsigned set = 0;
    for (unsigned cpu = 0; cpu < count; cpu++)
        set |= (unsigned)bit_on(l, cpu, IRR, 0x60) << cpu;
    return set;
}

static void send_from(struct local *l, unsigned cpu, uint8_t dest, uint32_t low)
{
    wr_on(l, cpu, ICR_HIGH, (uint32_t)dest << 24);
    wr_on(l, cpu, ICR_LOW, low);
}

START_TEST(apics_each_has_its_id_and_only_the_first_is_bsc)
{
    struct local l;
    local_open_many(&l, 4);
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        ck_assert_uint_eq(rd_on(&l, cpu, ID), cpu << 24);
        ck_assert_uint_eq(lapic_intc_ops.read_apic_base(apics_cpu(l.apics, cpu)),
                          cpu == 0 ? 0xfee00900 : 0xfee00800);
    }
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_window_shows_the_selected_processor)
{
    struct local l;
    local_open_many(&l, 3);
    for (unsigned cpu = 0; cpu < 3; cpu++)
        wr_on(&l, cpu, TPR, 0x10 * (cpu + 1));
    for (unsigned cpu = 0; cpu < 3; cpu++)
        ck_assert_uint_eq(rd_on(&l, cpu, TPR), 0x10 * (cpu + 1));
    ck_assert(lapic_intc_ops.write_apic_base(apics_cpu(l.apics, 1), 0xd0000800));
    ck_assert_uint_eq(rd_on(&l, 2, TPR), 0x30); /* the others stay where they were */
    ck_assert_uint_eq(rd_on(&l, 1, TPR), 0xffffffff);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, 0xd0000000 + TPR, 4), 0x20);
    apics_select(l.apics, 0);
    ck_assert_uint_eq((uint32_t)bus_mmio_ops.read(l.kit.bus, 0xd0000000 + TPR, 4), 0xffffffff);
    ck_assert(lapic_intc_ops.write_apic_base(apics_cpu(l.apics, 2), 0xfee00000));
    ck_assert_uint_eq(rd_on(&l, 2, TPR), 0xffffffff); /* disabled: no window */
    ck_assert_uint_eq(rd_on(&l, 0, TPR), 0x10);
    apics_select(l.apics, 7); /* there is no such processor */
    ck_assert_uint_eq(rd(&l, TPR), 0x10);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_counts_that_can_be)
{
    struct kit kit;
    kit_open(&kit);
    struct apics_config config = { .count = APICS_MAX + 1 };
    ck_assert_ptr_null(apics_add(kit.bus, &config));
    config.count = 0;
    struct apics *apics = apics_add(kit.bus, &config);
    ck_assert_ptr_nonnull(apics);
    ck_assert_uint_eq(lapic_intc_ops.read_apic_base(apics_cpu(apics, 0)), 0xfee00900);
    kit_close(&kit);
}
END_TEST

START_TEST(apics_destinations) /* 16.5, 16.6.1: three processors, sent by the second */
{
    static const struct {
        uint8_t dest;
        uint32_t low;
        unsigned holders;
    } row[] = {
        { 0, SEND_FIXED, 1 },
        { 1, SEND_FIXED, 2 },
        { 2, SEND_FIXED, 4 },
        { 3, SEND_FIXED, 0 },
        { 0xff, SEND_FIXED, 7 },
        { 0, SEND_FIXED | 0x40000, 2 },  /* self */
        { 0, SEND_FIXED | 0x80000, 7 },  /* all including self */
        { 0, SEND_FIXED | 0xc0000, 5 },  /* all excluding self */
        { 0x05, SEND_FIXED | 0x800, 5 }, /* logical, flat: LDR is 1 << processor */
        { 0xff, SEND_FIXED | 0x800, 7 },
        { 0x08, SEND_FIXED | 0x800, 0 },
        { 0x05, SEND_FIXED | 0xc0800, 5 } /* a shorthand does without the destination mode */
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open_enabled(&l, 3);
        for (unsigned cpu = 0; cpu < 3; cpu++)
            wr_on(&l, cpu, LDR, 1u << (24 + cpu));
        send_from(&l, 1, row[i].dest, row[i].low);
        ck_assert_uint_eq(holders(&l, 3), row[i].holders);
        ck_assert_uint_eq(errors_on(&l, 1), row[i].holders ? 0 : 0x04);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(apics_cluster_destinations) /* 16.6.1 */
{
    static const uint8_t ldr[4] = { 0x11, 0x12, 0x21, 0x28 };
    static const struct {
        uint8_t dest;
        unsigned holders;
    } row[] = { { 0x11, 1 }, { 0x13, 3 }, { 0x1f, 3 },  { 0x2f, 12 }, { 0x29, 12 },
                { 0x28, 8 }, { 0x31, 0 }, { 0xff, 15 }, { 0x10, 0 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open_enabled(&l, 4);
        for (unsigned cpu = 0; cpu < 4; cpu++) {
            wr_on(&l, cpu, DFR, 0);
            wr_on(&l, cpu, LDR, (uint32_t)ldr[cpu] << 24);
        }
        send_from(&l, 0, row[i].dest, SEND_FIXED | 0x800);
        ck_assert_uint_eq(holders(&l, 4), row[i].holders);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(apics_signals_reach_their_processors)
{
    static const struct {
        uint32_t low;
        enum apic_signal what;
    } row[] = {
        { 0x4200, APIC_SMI },  { 0x4400, APIC_NMI },  { 0x4500, APIC_INIT },
        { 0xc500, APIC_INIT }, /* level, assert */
        { 0x4612, APIC_SIPI }, { 0x0612, APIC_SIPI }, { 0x8612, APIC_SIPI }
    }; /* table 16-4: neither trigger mode nor level matter to it */
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open_many(&l, 3); /* software-disabled APICs take them, too: 16.3.1 */
        send_from(&l, 0, 2, row[i].low);
        for (unsigned cpu = 0; cpu < 3; cpu++)
            for (unsigned what = APIC_NMI; what <= APIC_SIPI; what++)
                ck_assert_uint_eq(l.signals[cpu][what], cpu == 2 && what == row[i].what);
        send_from(&l, 1, 0, row[i].low | 0xc0000);
        ck_assert_uint_eq(l.signals[0][row[i].what], 1);
        ck_assert_uint_eq(l.signals[1][row[i].what], 0);
        ck_assert_uint_eq(l.signals[2][row[i].what], 2);
        if (row[i].what == APIC_SIPI)
            ck_assert_uint_eq(l.sipi_vector, 0x12);
        ck_assert_uint_eq(errors_on(&l, 0), 0);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(apics_init_level_deassert_does_nothing)
{
    struct local l;
    local_open_enabled(&l, 2);
    send_from(&l, 0, 0, 0x88500);
    send_from(&l, 0, 1, 0x8500);
    ck_assert_uint_eq(l.signals[0][APIC_INIT], 0);
    ck_assert_uint_eq(l.signals[1][APIC_INIT], 0);
    ck_assert_uint_eq(errors_on(&l, 0), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_hardware_disabled_apic_takes_nothing)
{
    struct local l;
    local_open_enabled(&l, 2);
    ck_assert(lapic_intc_ops.write_apic_base(apics_cpu(l.apics, 1), 0xfee00000));
    send_from(&l, 0, 1, SEND_FIXED);
    ck_assert_uint_eq(errors_on(&l, 0), 0x04);
    send_from(&l, 0, 0xff, 0x4400);
    ck_assert_uint_eq(l.signals[0][APIC_NMI], 1);
    ck_assert_uint_eq(l.signals[1][APIC_NMI], 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_fixed_to_a_software_disabled_apic_is_an_accept_error)
{
    struct local l;
    local_open_enabled(&l, 3);
    wr_on(&l, 1, SVR, 0x0ef);
    send_from(&l, 0, 1, SEND_FIXED);
    ck_assert_uint_eq(holders(&l, 3), 0);
    ck_assert_uint_eq(errors_on(&l, 0), 0x04);
    ck_assert_uint_eq(errors_on(&l, 1), 0x08);
    ck_assert_uint_eq(errors_on(&l, 2), 0);
    send_from(&l, 0, 0xff, SEND_FIXED); /* somebody accepts */
    ck_assert_uint_eq(holders(&l, 3), 5);
    ck_assert_uint_eq(errors_on(&l, 0), 0);
    ck_assert_uint_eq(errors_on(&l, 1), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_lowest_priority_goes_to_one) /* 16.6.2 */
{
    static const struct {
        uint8_t tpr[4];
        unsigned dest, holder;
    } row[] = { { { 0, 0, 0, 0 }, 0xf, 3 }, /* a tie: the highest ID */
                { { 0, 0, 0, 0 }, 0x7, 2 },
                { { 0x10, 0x10, 0x10, 0x20 }, 0xf, 2 },
                { { 0x20, 0x10, 0x30, 0x20 }, 0xf, 1 },
                { { 0x20, 0x10, 0x30, 0x20 }, 0xd, 3 },
                { { 0x13, 0x12, 0x14, 0x15 }, 0xf, 1 }, /* sub-classes count */
                { { 0xf0, 0xf0, 0xf0, 0xf0 }, 0x1, 0 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open_enabled(&l, 4);
        for (unsigned cpu = 0; cpu < 4; cpu++) {
            wr_on(&l, cpu, LDR, 1u << (24 + cpu));
            wr_on(&l, cpu, TPR, row[i].tpr[cpu]);
        }
        send_from(&l, 0, (uint8_t)row[i].dest, 0x4960);
        ck_assert_uint_eq(holders(&l, 4), 1u << row[i].holder);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(apics_lowest_priority_sees_pending_and_serving)
{
    struct local l;
    local_open_enabled(&l, 3);
    send_from(&l, 2, 2, 0x4070); /* waits in the IRR of 2 */
    send_from(&l, 1, 1, 0x4080);
    ck_assert_int_eq(lapic_intc_ops.acknowledge(apics_cpu(l.apics, 1)), 0x80); /* served by 1 */
    ck_assert_uint_eq(rd_on(&l, 2, APR), 0x70);
    ck_assert_uint_eq(rd_on(&l, 1, APR), 0x80);
    send_from(&l, 1, 0xff, 0x4960);
    ck_assert_uint_eq(holders(&l, 3), 1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_lowest_priority_prefers_the_focus) /* 16.6.2 */
{
    for (unsigned checking = 0; checking < 2; checking++) {
        struct local l;
        local_open_enabled(&l, 3);
        for (unsigned cpu = 0; cpu < 3; cpu++)
            wr_on(&l, cpu, SVR, checking ? 0x1ef : 0x3ef);
        send_from(&l, 0, 0, SEND_FIXED);
        ck_assert_int_eq(lapic_intc_ops.acknowledge(apics_cpu(l.apics, 0)), 0x60);
        send_from(&l, 0, 0xff, 0x4960);
        ck_assert_uint_eq(holders(&l, 3), checking ? 1 : 4);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(apics_lowest_priority_skips_the_software_disabled)
{
    struct local l;
    local_open_enabled(&l, 3);
    wr_on(&l, 2, SVR, 0x0ef);
    send_from(&l, 0, 0xff, 0x4960);
    ck_assert_uint_eq(holders(&l, 3), 2);
    send_from(&l, 1, 2, 0x4961);
    ck_assert_uint_eq(errors_on(&l, 1), 0x04);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_lowest_priority_to_others_is_not_for_the_sender)
{
    struct local l;
    local_open_enabled(&l, 3);
    wr_on(&l, 0, TPR, 0x20);
    wr_on(&l, 1, TPR, 0x10);
    send_from(&l, 2, 0, 0xc4160);
    ck_assert_uint_eq(holders(&l, 3), 2);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_remote_read) /* 16.5, Figure 16-19 */
{
    struct local l;
    local_open_enabled(&l, 2);
    wr_on(&l, 1, TPR, 0x35);
    send_from(&l, 0, 1, 0x4308);
    ck_assert_uint_eq(rd_on(&l, 0, ICR_LOW) & 0x30000, 0x20000);
    ck_assert_uint_eq(rd_on(&l, 0, RRR), 0x35);
    send_from(&l, 0, 1, 0x4304); /* no such register */
    ck_assert_uint_eq(rd_on(&l, 0, ICR_LOW) & 0x30000, 0);
    ck_assert_uint_eq(rd_on(&l, 0, RRR), 0x35);
    send_from(&l, 0, 3, 0x4308); /* nobody */
    ck_assert_uint_eq(rd_on(&l, 0, ICR_LOW) & 0x30000, 0);
    send_from(&l, 0, 1, 0x4303);
    ck_assert_uint_eq(rd_on(&l, 0, RRR), 0x80050010);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_external_interrupt_message)
{
    struct local l;
    local_open_many(&l, 2);
    local_pic_asks(&l);
    struct lapic *other = apics_cpu(l.apics, 1);
    ck_assert_int_eq(lapic_intc_ops.pending(other), -1);
    send_from(&l, 0, 1, 0x4700);
    ck_assert_int_eq(lapic_intc_ops.pending(other), 0x21);
    ck_assert_int_eq(lapic_intc_ops.pending(l.lapic), -1);
    ck_assert_int_eq(lapic_intc_ops.acknowledge(other), 0x21);
    ck_assert_int_eq(lapic_intc_ops.pending(other), -1);
    send_from(&l, 0, 1, 0x4700); /* the PIC asks no longer: its spurious vector */
    ck_assert_int_eq(lapic_intc_ops.acknowledge(other), 0x27);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_intr_of_the_pic_reaches_whoever_is_open)
{
    struct local l;
    local_open_enabled(&l, 2);
    wr_on(&l, 1, LVT_LINT0, 0x00700);
    unsigned changes = l.signals[1][APIC_CHANGED];
    local_pic_asks(&l);
    ck_assert_uint_gt(l.signals[1][APIC_CHANGED], changes);
    ck_assert_int_eq(lapic_intc_ops.pending(apics_cpu(l.apics, 1)), 0x21);
    ck_assert_int_eq(lapic_intc_ops.pending(l.lapic), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_init_resets_all_but_id_and_base) /* 16.10 */
{
    struct local l;
    local_open_enabled(&l, 2);
    struct lapic *second = apics_cpu(l.apics, 1);
    wr_on(&l, 1, ID, 0x09000000);
    wr_on(&l, 1, LDR, 0x02000000);
    wr_on(&l, 1, LVT_TIMER, 0x20070);
    wr_on(&l, 1, INITIAL, 100);
    send_from(&l, 1, 9, SEND_FIXED);
    ck_assert(lapic_intc_ops.write_apic_base(second, 0xd0000800));
    lapic_intc_ops.init(second);
    ck_assert_uint_eq(lapic_intc_ops.read_apic_base(second), 0xd0000800);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, 0xd0000000 + ID, 4), 0x09000000);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, 0xd0000000 + SVR, 4), 0xff);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, 0xd0000000 + LDR, 4), 0);
    ck_assert_uint_eq(bus_mmio_ops.read(l.kit.bus, 0xd0000000 + LVT_TIMER, 4), 0x10000);
    ck_assert_int_eq(lapic_intc_ops.pending(second), -1);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    ck_assert_uint_eq(rd_on(&l, 0, SVR), 0x1ef); /* the other is as it was */
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_timers_are_their_own)
{
    struct local l;
    local_open_enabled(&l, 2);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        wr_on(&l, cpu, DIVIDE, 0x0b);
        wr_on(&l, cpu, LVT_TIMER, 0x60);
        wr_on(&l, cpu, INITIAL, 1000 * (cpu + 1));
    }
    kit_until(&l.kit, 1000);
    ck_assert_uint_eq(holders(&l, 2), 1);
    ck_assert_uint_eq(rd_on(&l, 1, COUNT), 1000);
    kit_until(&l.kit, 2000);
    ck_assert_uint_eq(holders(&l, 2), 3);
    kit_close(&l.kit);
}
END_TEST

/* A processor whose time lags behind reads the timer of another, or its own after it moved. */
START_TEST(apics_timer_bears_a_clock_that_is_behind)
{
    struct local l;
    local_open_enabled(&l, 1);
    l.kit.now_ns = 5000;
    wr(&l, DIVIDE, 0x0b);
    wr(&l, LVT_TIMER, 0x20060);
    wr(&l, INITIAL, 1000);
    l.kit.clock.highest_ns = 0;
    l.kit.now_ns = 4000;
    ck_assert_uint_eq(rd(&l, COUNT), 1000);
    ck_assert(!bit(&l, IRR, 0x60));
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_specific_eoi) /* 16.7.1 */
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, ICR_LOW, TO_SELF | 0x50);
    ck_assert_int_eq(acknowledge(&l), 0x50);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    ck_assert_int_eq(acknowledge(&l), 0x60);
    wr(&l, SEOI, 0x50); /* not enabled: nothing */
    ck_assert(bit(&l, ISR, 0x50));
    wr(&l, EXT_CONTROL, 0xffffffff);
    ck_assert_uint_eq(rd(&l, EXT_CONTROL), 7);
    wr(&l, SEOI, 0x150);
    ck_assert_uint_eq(rd(&l, SEOI), 0x50);
    ck_assert(!bit(&l, ISR, 0x50));
    ck_assert(bit(&l, ISR, 0x60));
    wr(&l, SEOI, 0x61); /* not in service */
    ck_assert_uint_eq(rd(&l, PPR), 0x60);
    wr(&l, SEOI, 0x60);
    ck_assert_uint_eq(rd(&l, PPR), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_interrupt_enable_registers) /* 16.7.2 */
{
    struct local l;
    local_open_enabled(&l, 1);
    ck_assert_uint_eq(rd(&l, EXT_FEATURE), 0x00040007);
    ck_assert_uint_eq(rd(&l, IER + 0x30), 0xffffffff);
    wr(&l, IER + 0x30, 0); /* writes are not enabled */
    ck_assert_uint_eq(rd(&l, IER + 0x30), 0xffffffff);
    wr(&l, EXT_CONTROL, 1);
    wr(&l, IER + 0x30, 0xfffffffe); /* vector 60h */
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    wr(&l, ICR_LOW, TO_SELF | 0x40);
    ck_assert(bit(&l, IRR, 0x60));
    ck_assert_int_eq(pending(&l), 0x40); /* it takes no part */
    ck_assert_uint_eq(rd(&l, APR), 0x40);
    wr(&l, IER + 0x30, 0xffffffff);
    ck_assert_int_eq(pending(&l), 0x60);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_extended_local_vectors)
{
    struct local l;
    local_open_enabled(&l, 1);
    for (uint32_t reg = EXT_LVT; reg < EXT_LVT + 0x40; reg += 16) {
        wr(&l, reg, 0xffffffff);
        ck_assert_uint_eq(rd(&l, reg), 0x107ff);
        wr(&l, reg, 0x00055);
    }
    wr(&l, SVR, 0x0ef); /* 16.3.1: all mask bits are set */
    for (uint32_t reg = EXT_LVT; reg < EXT_LVT + 0x40; reg += 16)
        ck_assert_uint_eq(rd(&l, reg), 0x10055);
    ck_assert_uint_eq(errors(&l), 0);
    (void)rd(&l, EXT_LVT + 0x40);
    ck_assert_uint_eq(errors(&l), 0x80);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_external_interrupt_of_lint1)
{
    struct local l;
    local_open_enabled(&l, 1);
    local_pic_asks(&l);
    wr(&l, LVT_LINT1, 0x00700);
    ck_assert_int_eq(pending(&l), -1);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_int_eq(acknowledge(&l), 0x21);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_smi_of_a_local_interrupt)
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, LVT_LINT1, 0x00200);
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(l.signals[0][APIC_SMI], 1);
    lapic_set_lint(l.lapic, 1, false);
    wr(&l, LVT_LINT1, 0x00500); /* INIT is none of its types */
    lapic_set_lint(l.lapic, 1, true);
    ck_assert_uint_eq(l.signals[0][APIC_INIT], 0);
    ck_assert_uint_eq(l.kit.told[PROBE_GUEST_ERROR], 1);
    kit_close(&l.kit);
}
END_TEST

/* rows: svmop 20.7 */
START_TEST(apics_doorbell_finds_the_processor_by_its_id)
{
    struct local l;
    local_open_many(&l, 3);
    lapic_intc_ops.doorbell(apics_cpu(l.apics, 0), 2);
    ck_assert_uint_eq(l.signals[2][APIC_DOORBELL], 1);
    wr_on(&l, 1, ID, 0x70u << 24);
    lapic_intc_ops.doorbell(apics_cpu(l.apics, 2), 0x70);
    lapic_intc_ops.doorbell(apics_cpu(l.apics, 1), 0x70); /* its own */
    ck_assert_uint_eq(l.signals[1][APIC_DOORBELL], 2);
    lapic_intc_ops.doorbell(apics_cpu(l.apics, 0), 1); /* nobody; nor is FFh everybody */
    lapic_intc_ops.doorbell(apics_cpu(l.apics, 0), 0xff);
    lapic_intc_ops.doorbell(apics_cpu(l.apics, 0), 0x102);
    ck_assert_uint_eq(l.signals[0][APIC_DOORBELL], 0);
    ck_assert_uint_eq(l.signals[1][APIC_DOORBELL], 2);
    ck_assert_uint_eq(l.signals[2][APIC_DOORBELL], 1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(apics_any_sequence_of_writes_is_safe)
{
    struct local l;
    uint32_t seed = 7;
    local_open_enabled(&l, 3);
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned cpu = (seed >> 8) % 3;
        uint32_t value = seed >> 3 ^ seed << 7;
        if ((seed >> 20 & 31) == 0)
            (void)lapic_intc_ops.write_apic_base(apics_cpu(l.apics, cpu),
                                                 0xfee00000 | (value & 0xc00));
        else if ((seed >> 20 & 31) == 1)
            (void)lapic_intc_ops.acknowledge(apics_cpu(l.apics, cpu));
        else if (seed >> 25 & 1)
            (void)lapic_intc_ops.write_msr(apics_cpu(l.apics, cpu), 0x800 + (seed >> 10 & 0x7f),
                                           value & (seed >> 26 & 1 ? 0xff : 0x3ffff));
        else
            wr_on(&l, cpu, seed >> 10 & 0x7f0, value);
        if ((seed >> 20 & 31) == 2)
            lapic_intc_ops.write_tsc_deadline(apics_cpu(l.apics, cpu), value,
                                              l.kit.now_ns + (value & 0xff));
        kit_pass(&l.kit, seed >> 28);
    }
    kit_close(&l.kit);
}
END_TEST

CHECK_MAIN("apics", apics_each_has_its_id_and_only_the_first_is_bsc,
           apics_window_shows_the_selected_processor, apics_counts_that_can_be, apics_destinations,
           apics_cluster_destinations, apics_signals_reach_their_processors,
           apics_init_level_deassert_does_nothing, apics_hardware_disabled_apic_takes_nothing,
           apics_fixed_to_a_software_disabled_apic_is_an_accept_error,
           apics_lowest_priority_goes_to_one, apics_lowest_priority_sees_pending_and_serving,
           apics_lowest_priority_prefers_the_focus,
           apics_lowest_priority_skips_the_software_disabled,
           apics_lowest_priority_to_others_is_not_for_the_sender, apics_remote_read,
           apics_external_interrupt_message, apics_intr_of_the_pic_reaches_whoever_is_open,
           apics_init_resets_all_but_id_and_base, apics_timers_are_their_own,
           apics_timer_bears_a_clock_that_is_behind, apics_specific_eoi,
           apics_interrupt_enable_registers, apics_extended_local_vectors,
           apics_external_interrupt_of_lint1, apics_smi_of_a_local_interrupt,
           apics_doorbell_finds_the_processor_by_its_id, apics_any_sequence_of_writes_is_safe)

/* x2APIC mode. Citations are to APM vol 2. */
#include "tests/devices/lapic_kit.h"

#define BASE_X2 0xfee00c00u
#define BASE_X 0xfee00800u
#define BASE_OFF 0xfee00000u
#define BSC 0x100u

static bool base(struct local *l, unsigned cpu, uint64_t value)
{
    return lapic_intc_ops.write_apic_base(apics_cpu(l->apics, cpu), value);
}

static bool put(struct local *l, unsigned cpu, uint32_t reg, uint64_t value)
{
    return lapic_intc_ops.write_msr(apics_cpu(l->apics, cpu), 0x800 + reg / 16, value);
}

static uint64_t get(struct local *l, unsigned cpu, uint32_t reg)
{
    uint64_t value = 0xdead;
    ck_assert(lapic_intc_ops.read_msr(apics_cpu(l->apics, cpu), 0x800 + reg / 16, &value));
    return value;
}

/* All in x2APIC mode and software-enabled. */
static void open_x2(struct local *l, unsigned count)
{
    local_open_many(l, count);
    for (unsigned cpu = 0; cpu < count; cpu++) {
        ck_assert(base(l, cpu, BASE_X2));
        ck_assert(put(l, cpu, SVR, 0x1ef));
    }
}

static bool requested(struct local *l, unsigned cpu, unsigned vector)
{
    return get(l, cpu, IRR + 16 * (vector / 32)) >> vector % 32 & 1;
}

static unsigned holders(struct local *l, unsigned count)
{
    unsigned set = 0;
    for (unsigned cpu = 0; cpu < count; cpu++)
        set |= (unsigned)requested(l, cpu, 0x60) << cpu;
    return set;
}

START_TEST(x2apic_transitions) /* Table 16-5, Figure 16-32 */
{
    static const struct {
        uint64_t from[2]; /* the way there; 0: none */
        uint64_t to;
        bool accepted;
    } row[] = {
        { { BASE_X, 0 }, BASE_X2, true },           { { BASE_X, 0 }, BASE_OFF, true },
        { { BASE_X, 0 }, BASE_OFF | 0x400, false }, { { BASE_X, 0 }, BASE_X, true },
        { { BASE_OFF, 0 }, BASE_X, true },          { { BASE_OFF, 0 }, BASE_X2, false },
        { { BASE_OFF, 0 }, BASE_OFF, true },        { { BASE_OFF, 0 }, 0xfee00400, false },
        { { BASE_X2, 0 }, BASE_OFF, true },         { { BASE_X2, 0 }, BASE_X, false },
        { { BASE_X2, 0 }, BASE_X2, true },          { { BASE_X2, 0 }, 0xfee00400, false },
        { { BASE_X2, BASE_OFF }, BASE_X, true },    { { BASE_X2, BASE_OFF }, BASE_X2, false }
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        local_open_many(&l, 1);
        for (unsigned step = 0; step < 2 && row[i].from[step]; step++)
            ck_assert(base(&l, 0, row[i].from[step]));
        uint64_t before = lapic_intc_ops.read_apic_base(l.lapic);
        ck_assert_int_eq(base(&l, 0, row[i].to), row[i].accepted);
        ck_assert_uint_eq(lapic_intc_ops.read_apic_base(l.lapic),
                          row[i].accepted ? row[i].to | BSC : before);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(x2apic_is_not_there_unless_offered)
{
    struct local l;
    uint64_t value;
    local_open(&l);
    ck_assert(!base(&l, 0, BASE_X2));
    ck_assert(!lapic_intc_ops.read_msr(l.lapic, 0x802, &value));
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_registers_answer_in_one_mode_only) /* 16.11 */
{
    struct local l;
    uint64_t value;
    local_open_many(&l, 1);
    ck_assert(!lapic_intc_ops.read_msr(l.lapic, 0x803, &value));
    ck_assert(!lapic_intc_ops.write_msr(l.lapic, 0x808, 0));
    ck_assert(base(&l, 0, BASE_X2));
    ck_assert_uint_eq(rd(&l, VERSION), 0xffffffff); /* no window in memory */
    ck_assert_uint_eq(get(&l, 0, VERSION), 0x80050010);
    ck_assert(base(&l, 0, BASE_OFF));
    ck_assert(!lapic_intc_ops.read_msr(l.lapic, 0x803, &value));
    ck_assert_uint_eq(rd(&l, VERSION), 0xffffffff);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_enter_keeps_registers_but_ldr_and_icr_high) /* 16.9.1 */
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, TPR, 0x35);
    wr(&l, LDR, 0x80000000);
    wr(&l, ICR_HIGH, 0x05000000);
    wr(&l, ICR_LOW, TO_SELF | 0x60);
    wr(&l, LVT_ERROR, 0x000e5);
    wr(&l, ID, 0x25000000);
    ck_assert(base(&l, 0, BASE_X2));
    ck_assert_uint_eq(get(&l, 0, TPR), 0x35);
    ck_assert_uint_eq(get(&l, 0, SVR), 0x1ef);
    ck_assert_uint_eq(get(&l, 0, LVT_ERROR), 0x000e5);
    ck_assert_uint_eq(get(&l, 0, ICR_LOW), TO_SELF | 0x60);
    ck_assert(requested(&l, 0, 0x60));
    ck_assert_uint_eq(get(&l, 0, ID), 0x25);
    ck_assert_uint_eq(get(&l, 0, LDR), 0x00020020); /* 16.14 */
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_leaving_resets) /* CHOICE of lapic.c */
{
    struct local l;
    open_x2(&l, 2);
    ck_assert_uint_eq(get(&l, 1, ID), 1);
    ck_assert(base(&l, 1, BASE_OFF));
    ck_assert(base(&l, 1, BASE_X));
    ck_assert_uint_eq(rd_on(&l, 1, ID), 0x01000000);
    ck_assert_uint_eq(rd_on(&l, 1, LDR), 0);
    ck_assert_uint_eq(rd_on(&l, 1, SVR), 0xff);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_which_registers_can_be_read_and_written) /* Table 16-6 */
{
    enum { NONE, READ, WRITE, BOTH };
    struct local l;
    open_x2(&l, 1);
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        unsigned want = NONE;
        if (msr == 0x802 || msr == 0x803 || msr == 0x809 || msr == 0x80a || msr == 0x80d ||
            (msr >= 0x810 && msr <= 0x827) || msr == 0x839 || msr == 0x840)
            want = READ;
        else if (msr == 0x80b || msr == 0x83f)
            want = WRITE;
        else if (msr == 0x808 || msr == 0x80f || msr == 0x828 || msr == 0x830 ||
                 (msr >= 0x832 && msr <= 0x838) || msr == 0x83e || msr == 0x841 || msr == 0x842 ||
                 (msr >= 0x848 && msr <= 0x853))
            want = BOTH;
        uint64_t value = 0;
        ck_assert_int_eq(lapic_intc_ops.read_msr(l.lapic, msr, &value), (want & READ) != 0);
        ck_assert_int_eq(lapic_intc_ops.write_msr(l.lapic, msr, 0), (want & WRITE) != 0);
    }
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_extended_registers_only_if_offered)
{
    struct local l;
    memset(&l, 0, sizeof(l));
    kit_open(&l.kit);
    struct apics_config config = { .count = 1, .x2apic = true };
    l.apics = apics_add(l.kit.bus, &config);
    l.lapic = apics_cpu(l.apics, 0);
    ck_assert(base(&l, 0, BASE_X2));
    ck_assert_uint_eq(get(&l, 0, VERSION), 0x00050010);
    for (uint32_t msr = 0x840; msr < 0x900; msr++) {
        uint64_t value;
        ck_assert(!lapic_intc_ops.read_msr(l.lapic, msr, &value));
        ck_assert(!lapic_intc_ops.write_msr(l.lapic, msr, 0));
    }
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_reserved_bits_fault) /* 16.11.3 */
{
    static const struct {
        uint32_t reg;
        uint64_t allowed;
    } row[] = { { TPR, 0xff },
                { EOI, 0 },
                { SVR, 0x3ff },
                { ESR, 0 },
                { LVT_TIMER, 0x710ff },
                { LVT_THERMAL, 0x117ff },
                { LVT_PERF, 0x117ff },
                { LVT_LINT0,
                  0x1d7ff }, /* read-only bits (status, remote IRR) are no reserved ones */
                { LVT_LINT1, 0x1d7ff },
                { LVT_ERROR, 0x117ff },
                { INITIAL, 0xffffffff },
                { DIVIDE, 0x0b },
                { 0x3f0, 0xff },
                { EXT_CONTROL, 7 },
                { SEOI, 0xff },
                { IER, 0xffffffff },
                { EXT_LVT, 0x117ff } };
    struct local l;
    open_x2(&l, 1);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        for (unsigned bit = 0; bit < 64; bit++)
            ck_assert_int_eq(put(&l, 0, row[i].reg, 1ull << bit), row[i].allowed >> bit & 1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_icr_reserved_bits_and_types) /* 16.13 */
{
    struct local l;
    open_x2(&l, 1);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool reserved = (bit >= 20 && bit < 32) || bit == 12 || bit == 13 || bit == 16 || bit == 17;
        bool type = bit == 8; /* lowest priority */
        ck_assert_int_eq(put(&l, 0, ICR_LOW, 1ull << bit), !reserved && !type);
    }
    for (unsigned type = 0; type < 8; type++)
        ck_assert_int_eq(put(&l, 0, ICR_LOW, 9ull << 32 | 0x4040 | type << 8),
                         type != 1 && type != 3 && type != 7);
    ck_assert(put(&l, 0, ICR_LOW, 0x123456780000c060));
    ck_assert_uint_eq(get(&l, 0, ICR_LOW), 0x123456780000c060);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_destinations) /* 16.13, 16.14 */
{
    static const struct {
        uint64_t icr;
        unsigned holders;
    } row[] = { { 0x0000000000004060, 1 }, { 0x0000000200004060, 4 }, { 0x000000ff00004060, 0 },
                { 0xffffffff00004060, 7 }, { 0x0000000600004860, 6 }, /* logical, cluster 0 */
                { 0x0001000600004860, 0 }, { 0xffffffff00004860, 7 }, { 0x0000000000084060, 7 },
                { 0x00000000000c4060, 6 }, { 0x0000000000044060, 1 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct local l;
        open_x2(&l, 3);
        ck_assert(put(&l, 0, ICR_LOW, row[i].icr));
        ck_assert_uint_eq(holders(&l, 3), row[i].holders);
        ck_assert(put(&l, 0, ESR, 0));
        ck_assert_uint_eq(get(&l, 0, ESR), row[i].holders ? 0 : 0x04);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(x2apic_clusters_of_sixteen) /* 16.14 */
{
    struct local l;
    memset(&l, 0, sizeof(l));
    kit_open(&l.kit);
    struct apics_config config = { .count = 40, .x2apic = true };
    l.apics = apics_add(l.kit.bus, &config);
    for (unsigned cpu = 0; cpu < 40; cpu++) {
        ck_assert(base(&l, cpu, BASE_X2));
        ck_assert(put(&l, cpu, SVR, 0x1ef));
        ck_assert_uint_eq(get(&l, cpu, ID), cpu);
        ck_assert_uint_eq(get(&l, cpu, LDR), (cpu / 16) << 16 | 1u << cpu % 16);
    }
    ck_assert(put(&l, 0, ICR_LOW, 0x0001800100004860));
    for (unsigned cpu = 0; cpu < 40; cpu++)
        ck_assert_int_eq(requested(&l, cpu, 0x60), cpu == 16 || cpu == 31);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_and_xapic_together)
{
    struct local l;
    local_open_enabled(&l, 2);
    ck_assert(base(&l, 1, BASE_X2));
    wr_on(&l, 0, ICR_HIGH, 0x01000000);
    wr_on(&l, 0, ICR_LOW, 0x4060);
    ck_assert(requested(&l, 1, 0x60));
    ck_assert(put(&l, 1, ICR_LOW, 0x4061));
    ck_assert(bit_on(&l, 0, IRR, 0x61));
    ck_assert(put(&l, 1, ICR_LOW, 0xffffffff00004062));
    ck_assert(bit_on(&l, 0, IRR, 0x62));
    ck_assert(put(&l, 1, ICR_LOW, 0x0000010000004063)); /* no ID has more than eight bits there */
    ck_assert(!bit_on(&l, 0, IRR, 0x63));
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_self_ipi) /* 16.15 */
{
    struct local l;
    open_x2(&l, 2);
    ck_assert(put(&l, 1, 0x3f0, 0x60));
    ck_assert_uint_eq(holders(&l, 2), 2);
    ck_assert_uint_eq(get(&l, 1, ICR_LOW), 0); /* the ICR is not involved */
    ck_assert_uint_eq(get(&l, 1, TMR + 0x30), 0);
    ck_assert(put(&l, 1, 0x3f0, 0x0f));
    ck_assert(put(&l, 1, ESR, 0));
    ck_assert_uint_eq(get(&l, 1, ESR), 0x20);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_eoi_and_tpr)
{
    struct local l;
    open_x2(&l, 1);
    ck_assert(put(&l, 0, 0x3f0, 0x60));
    ck_assert_int_eq(acknowledge(&l), 0x60);
    ck_assert_uint_eq(get(&l, 0, PPR), 0x60);
    ck_assert(!put(&l, 0, EOI, 1));
    ck_assert_uint_eq(get(&l, 0, PPR), 0x60);
    ck_assert(put(&l, 0, EOI, 0));
    ck_assert_uint_eq(get(&l, 0, PPR), 0);
    ck_assert(put(&l, 0, TPR, 0x42));
    ck_assert_uint_eq(lapic_intc_ops.read_tpr(l.lapic), 0x42);
    kit_close(&l.kit);
}
END_TEST

START_TEST(x2apic_init_keeps_the_mode) /* 16.10 */
{
    struct local l;
    open_x2(&l, 2);
    lapic_intc_ops.init(apics_cpu(l.apics, 1));
    ck_assert_uint_eq(lapic_intc_ops.read_apic_base(apics_cpu(l.apics, 1)), BASE_X2);
    ck_assert_uint_eq(get(&l, 1, SVR), 0xff);
    ck_assert_uint_eq(get(&l, 1, LDR), 2);
    ck_assert_uint_eq(get(&l, 1, ID), 1);
    bus_reset(l.kit.bus);
    ck_assert_uint_eq(lapic_intc_ops.read_apic_base(apics_cpu(l.apics, 1)), BASE_X);
    kit_close(&l.kit);
}
END_TEST

CHECK_MAIN("x2apic", x2apic_transitions, x2apic_is_not_there_unless_offered,
           x2apic_registers_answer_in_one_mode_only,
           x2apic_enter_keeps_registers_but_ldr_and_icr_high, x2apic_leaving_resets,
           x2apic_which_registers_can_be_read_and_written,
           x2apic_extended_registers_only_if_offered, x2apic_reserved_bits_fault,
           x2apic_icr_reserved_bits_and_types, x2apic_destinations, x2apic_clusters_of_sixteen,
           x2apic_and_xapic_together, x2apic_self_ipi, x2apic_eoi_and_tpr,
           x2apic_init_keeps_the_mode)

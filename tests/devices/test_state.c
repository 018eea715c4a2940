/* The state that devices name: it holds what a program could see, and not how a run was executed. */
#include "tests/devices/lapic_kit.h"

#include "devices/fw_cfg.h"
#include "devices/ioapic.h"
#include "devices/pc_testdev.h"
#include "devices/pit.h"
#include "devices/rtc.h"
#include "devices/testports.h"
#include "devices/uart16550.h"

#define SECOND 1000000000ull

/* All devices of a PC. */
struct pc {
    struct local local;
    struct ioapic *ioapic;
    struct uart *uart;
};

static void pc_open(struct pc *pc)
{
    memset(pc, 0, sizeof(*pc));
    local_open_enabled(&pc->local, 2);
    apics_select(pc->local.apics, 0);
    struct bus *bus = pc->local.kit.bus;
    const struct rtc_config rtc = { .epoch = 951782399, .ram_bytes = 512u << 20 };
    const struct irq_line none = { 0 };
    pc->ioapic = ioapic_add(bus, pc->local.apics);
    pc->uart = uart_add(bus, 0x3f8, none, (struct byte_sink){ 0 });
    ck_assert(rtc_add(bus, &rtc) && pit_add(bus, none) && post_port_add(bus) &&
              fw_cfg_add(bus, 512u << 20, 2) && pc_testdev_add(bus, none));
}

static void pc_close(struct pc *pc)
{
    kit_close(&pc->local.kit);
}

static uint64_t hash_of(const struct pc *pc)
{
    return kit_bus_hash(pc->local.kit.bus);
}

static void out(struct pc *pc, uint16_t port, uint8_t value)
{
    kit_out(&pc->local.kit, port, value);
}

static void cmos(struct pc *pc, uint8_t index, uint8_t value)
{
    out(pc, 0x70, index);
    out(pc, 0x71, value);
}

static void io_set(struct pc *pc, uint8_t reg, uint32_t value)
{
    bus_mmio_ops.write(pc->local.kit.bus, IOAPIC_SPA, 4, reg);
    bus_mmio_ops.write(pc->local.kit.bus, IOAPIC_SPA + 0x10, 4, value);
}

/* --- what it sees --- */

enum { CHANGES = 30 };

static void change(struct pc *pc, unsigned which)
{
    struct local *l = &pc->local;
    struct bus *bus = l->kit.bus;
    switch (which) {
    case 0: wr(l, TPR, 1); break;
    case 1: wr(l, LDR, 0x01000000); break;
    case 2: wr(l, LVT_ERROR, 0x10044); break;
    case 3: wr(l, ICR_LOW, TO_SELF | 0x60); break;
    case 4: wr(l, ICR_LOW, TO_SELF | 0x03); break; /* an error not yet latched */
    case 5: wr(l, INITIAL, 1000); break;
    case 6: wr_on(l, 1, TPR, 1); break;
    case 7: lapic_set_lint(l->lapic, 1, true); break;
    case 8: (void)lapic_intc_ops.write_apic_base(l->lapic, 0xd0000800); break;
    case 9: wr(l, LVT_TIMER, 0x50070); break;
    case 10: out(pc, 0x21, 0xfe); break;
    case 11: out(pc, 0x20, 0x0b); break; /* read ISR */
    case 12: out(pc, 0x4d0, 0x20); break;
    case 13: pic_set_irq(l->pic, 3, true); break;
    case 14: out(pc, 0x43, 0x34); break;
    case 15: out(pc, 0x43, 0x00); break; /* latch */
    case 16: out(pc, 0x61, 0x02); break;
    case 17: out(pc, 0x70, 0x0f); break;
    case 18: cmos(pc, 0x0f, 0x0a); break;
    case 19: cmos(pc, 0x00, 0x30); break;
    case 20: cmos(pc, 0x0b, 0x42); break;
    case 21: io_set(pc, 0x10, 0x10020); break;
    case 22: ioapic_set_irq(pc->ioapic, 7, true); break;
    case 23: out(pc, 0x3ff, 0x5a); break;
    case 24: ck_assert_uint_eq(uart_input(pc->uart, (const uint8_t *)"x", 1), 1); break;
    case 25: out(pc, 0x80, 0x11); break;
    case 26: bus_port_ops.write(bus, 0x510, 2, 5); break;
    case 27: out(pc, 0xe0, 1); break;
    case 28: bus_mmio_ops.write(bus, PC_TESTDEV_SPA + 0x8000, 1, 1); break;
    case 29: out(pc, 0x2003, 1); break;
    default: break;
    }
}

START_TEST(state_holds_every_change)
{
    uint64_t seen[CHANGES + 1];
    for (unsigned which = 0; which <= CHANGES; which++) {
        struct pc pc;
        pc_open(&pc);
        change(&pc, which); /* the last one changes nothing */
        seen[which] = hash_of(&pc);
        for (unsigned other = 0; other < which; other++)
            ck_assert_uint_ne(seen[which], seen[other]);
        pc_close(&pc);
    }
}
END_TEST

START_TEST(state_twice_is_the_same)
{
    struct pc a, b;
    pc_open(&a);
    pc_open(&b);
    ck_assert_uint_eq(hash_of(&a), hash_of(&b));
    ck_assert_uint_eq(hash_of(&a), hash_of(&a));
    pc_close(&a);
    pc_close(&b);
}
END_TEST

/* --- what it does not see --- */

/* Timers of all kinds at work, some of them with nobody to hear them. */
static void busy(struct pc *pc)
{
    struct local *l = &pc->local;
    wr(l, DIVIDE, 0x0b);
    wr(l, LVT_TIMER, 0x30070); /* masked, periodic */
    wr(l, INITIAL, 12345);
    wr_on(l, 1, DIVIDE, 0x03);
    wr_on(l, 1, LVT_TIMER, 0x00071); /* one-shot */
    wr_on(l, 1, INITIAL, 777777);
    apics_select(l->apics, 0);
    out(pc, 0x43, 0x34); /* channel 0: mode 2 */
    out(pc, 0x40, 0x00);
    out(pc, 0x40, 0x10);
    out(pc, 0x43, 0xb6); /* channel 2: mode 3, with a new count on its way */
    out(pc, 0x61, 0x01);
    out(pc, 0x42, 0x00);
    out(pc, 0x42, 0x40);
    kit_pass(&l->kit, 1000000);
    out(pc, 0x42, 0x00);
    out(pc, 0x42, 0x20);
}

/* Bring everything that is kept lazily up to date, without a change that a program could see. */
static void touch(struct pc *pc)
{
    struct local *l = &pc->local;
    struct bus *bus = l->kit.bus;
    (void)rd(l, COUNT);
    wr(l, LVT_TIMER, 0x30070);
    wr_on(l, 1, LVT_THERMAL, 0x10000);
    apics_select(l->apics, 0);
    (void)bus_port_ops.read(bus, 0x61, 1);
    out(pc, 0x61, 0x01);
    out(pc, 0x70, 0x09); /* the year: brings the time registers up to date */
    (void)bus_port_ops.read(bus, 0x71, 1);
    out(pc, 0x70, 0x40);
    out(pc, 0x71, 0); /* latches the flags of register C */
}

START_TEST(state_does_not_depend_on_lazy_state)
{
    struct pc lazy, eager;
    pc_open(&lazy);
    pc_open(&eager);
    busy(&lazy);
    busy(&eager);
    touch(&lazy);
    touch(&eager);
    ck_assert_uint_eq(hash_of(&lazy), hash_of(&eager));
    for (unsigned i = 0; i < 100; i++) {
        uint64_t ns = 1 + (uint64_t)i * i * 98765 % (3 * SECOND);
        kit_pass(&lazy.local.kit, ns);
        kit_pass(&eager.local.kit, ns);
        touch(&eager);
        out(&lazy, 0x70, 0x40);
        ck_assert_uint_eq(hash_of(&lazy), hash_of(&eager));
    }
    pc_close(&lazy);
    pc_close(&eager);
}
END_TEST

START_TEST(state_moves_with_running_timers_only)
{
    struct pc pc;
    pc_open(&pc);
    out(&pc, 0x70, 0x0b);
    out(&pc, 0x71, 0x82); /* SET: the clock stands */
    out(&pc, 0x70, 0x0a);
    out(&pc, 0x71, 0x20); /* no periodic flag */
    uint64_t before = hash_of(&pc);
    kit_pass(&pc.local.kit, 5 * SECOND);
    ck_assert_uint_eq(hash_of(&pc), before);
    pc_close(&pc);
}
END_TEST

START_TEST(state_is_named_without_reading_the_clock)
{
    struct pc pc;
    pc_open(&pc);
    busy(&pc);
    pc.local.kit.now_ns += 1000;
    uint64_t highest = pc.local.kit.clock.highest_ns, hash = 1;
    struct snap snap;
    snap_hash(&snap, kit_hash_bytes, &hash);
    bus_state(pc.local.kit.bus, &snap);
    ck_assert_uint_eq(pc.local.kit.clock.highest_ns, highest);
    pc_close(&pc);
}
END_TEST

CHECK_MAIN("state", state_holds_every_change, state_twice_is_the_same,
           state_does_not_depend_on_lazy_state, state_moves_with_running_timers_only,
           state_is_named_without_reading_the_clock)

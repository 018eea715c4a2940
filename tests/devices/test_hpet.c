/* The HPET: IA-PC HPET Specification 1.0a. */
#include "tests/devices/pci_kit.h"

#include "devices/hpet.h"

#define CAPS 0x000
#define CONFIG 0x010
#define STATUS 0x020
#define COUNTER 0x0f0
#define TCONFIG(n) (0x100 + 0x20 * (n))
#define TCOMPARE(n) (0x108 + 0x20 * (n))

#define LEVEL 0x002
#define ENABLE 0x004
#define PERIODIC 0x008
#define SET 0x040
#define BITS32 0x100
#define ROUTED (HPET_ROUTE << 9)
#define LEGACY 2

struct hp {
    struct pci_kit p;
    struct hpet *hpet;
    struct irq_line pit, clock;
    struct kit_line irq0, irq8, route;
};

static void open_hpet(struct hp *h)
{
    memset(h, 0, sizeof(*h));
    pci_kit_open(&h->p);
    const struct hpet_wires wires = { .irq0 = kit_line_to(&h->irq0),
                                      .irq8 = kit_line_to(&h->irq8),
                                      .route = kit_line_to(&h->route) };
    h->hpet = hpet_add(h->p.kit.bus, &wires);
    ck_assert_ptr_nonnull(h->hpet);
    h->pit = hpet_pit_line(h->hpet);
    h->clock = hpet_clock_line(h->hpet);
}

static void close_hpet(struct hp *h)
{
    pci_kit_close(&h->p);
}

static uint64_t get(struct hp *h, unsigned offset)
{
    return phys_read(h->p.memory, HPET_SPA + offset, 8);
}

static void set(struct hp *h, unsigned offset, uint64_t value)
{
    phys_write(h->p.memory, HPET_SPA + offset, 8, value);
}

static void set32(struct hp *h, unsigned offset, uint32_t value)
{
    phys_write(h->p.memory, HPET_SPA + offset, 4, value);
}

/* To a time in ticks of the counter, which was started at 0. */
static void tick(struct hp *h, uint64_t ticks)
{
    kit_until(&h->p.kit, ticks * HPET_PERIOD_NS);
}

START_TEST(capabilities_say_what_there_is)
{
    struct hp h;
    open_hpet(&h);
    ck_assert_uint_eq(get(&h, CAPS), UINT64_C(10000000) << 32 | 0x8086a201);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(get(&h, TCONFIG(i)), UINT64_C(4) << 32 | 0x30);
        ck_assert_uint_eq(get(&h, TCOMPARE(i)), UINT64_MAX);
    }
    ck_assert_uint_eq(get(&h, TCONFIG(3)), 0);
    set(&h, CAPS, 0);
    ck_assert_uint_eq(phys_read(h.p.memory, HPET_SPA + 4, 4), 10000000);
    ck_assert_uint_eq(phys_read(h.p.memory, HPET_SPA + 2, 2), 0x8086);
    close_hpet(&h);
}
END_TEST

START_TEST(counter_runs_while_enabled)
{
    struct hp h;
    open_hpet(&h);
    tick(&h, 100);
    ck_assert_uint_eq(get(&h, COUNTER), 0);
    set(&h, CONFIG, 1);
    tick(&h, 150);
    ck_assert_uint_eq(get(&h, COUNTER), 50);
    kit_pass(&h.p.kit, 9);
    ck_assert_uint_eq(get(&h, COUNTER), 50);
    kit_pass(&h.p.kit, 1);
    ck_assert_uint_eq(get(&h, COUNTER), 51);
    set(&h, COUNTER, 7); /* not while it runs */
    ck_assert_uint_eq(get(&h, COUNTER), 51);
    set(&h, CONFIG, 0);
    kit_pass(&h.p.kit, 1000);
    ck_assert_uint_eq(get(&h, COUNTER), 51);
    set(&h, COUNTER, UINT64_C(0x1fffffff0));
    set(&h, CONFIG, 1);
    kit_pass(&h.p.kit, 160);
    ck_assert_uint_eq(get(&h, COUNTER), UINT64_C(0x200000000));
    ck_assert_uint_eq(phys_read(h.p.memory, HPET_SPA + COUNTER + 4, 4), 2);
    close_hpet(&h);
}
END_TEST

START_TEST(counter_takes_halves)
{
    struct hp h;
    open_hpet(&h);
    set32(&h, COUNTER + 4, 0x11);
    set32(&h, COUNTER, 0x22);
    ck_assert_uint_eq(get(&h, COUNTER), UINT64_C(0x1100000022));
    phys_write(h.p.memory, HPET_SPA + COUNTER, 2, 0x3333); /* neither four nor eight bytes */
    phys_write(h.p.memory, HPET_SPA + COUNTER + 2, 4, 0x3333);
    ck_assert_uint_eq(get(&h, COUNTER), UINT64_C(0x1100000022));
    close_hpet(&h);
}
END_TEST

START_TEST(configuration_keeps_writable_bits)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 0xfffffffffffffffe);
    ck_assert_uint_eq(get(&h, CONFIG), 2);
    set(&h, TCONFIG(1), UINT64_MAX & ~(uint64_t)ROUTED);
    ck_assert_uint_eq(get(&h, TCONFIG(1)), UINT64_C(4) << 32 | 0x13e); /* SET reads 0 */
    set(&h, TCONFIG(1), ROUTED);
    ck_assert_uint_eq(get(&h, TCONFIG(1)) & 0x3e00, ROUTED);
    set(&h, TCONFIG(1), 3 << 9); /* a route it does not have */
    ck_assert_uint_eq(get(&h, TCONFIG(1)) & 0x3e00, ROUTED);
    set(&h, TCONFIG(1) + 0x10, 5); /* no messages */
    ck_assert_uint_eq(get(&h, TCONFIG(1) + 0x10), 0);
    close_hpet(&h);
}
END_TEST

START_TEST(one_shot_edge_rises_at_its_tick)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1);
    set(&h, TCONFIG(2), ENABLE | ROUTED);
    set(&h, TCOMPARE(2), 500);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), 5000);
    tick(&h, 499);
    ck_assert_uint_eq(h.route.rises, 0);
    tick(&h, 500);
    ck_assert_uint_eq(h.route.rises, 1);
    ck_assert(!h.route.level); /* a pulse */
    ck_assert_uint_eq(get(&h, STATUS), 0);
    tick(&h, 100000);
    ck_assert_uint_eq(h.route.rises, 1);
    set(&h, TCOMPARE(2), 100100);
    tick(&h, 100100);
    ck_assert_uint_eq(h.route.rises, 2);
    close_hpet(&h);
}
END_TEST

START_TEST(comparator_in_the_past_waits)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1);
    tick(&h, 1000);
    set(&h, TCONFIG(0), ENABLE | ROUTED);
    set(&h, TCOMPARE(0), 1000); /* now is gone, too */
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), CLOCK_NEVER);
    set(&h, TCONFIG(0), ENABLE | ROUTED | BITS32);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), 10 * (UINT64_C(1000) + (UINT64_C(1) << 32)));
    set(&h, TCOMPARE(0), 1001);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), 10010);
    close_hpet(&h);
}
END_TEST

START_TEST(timer_of_32_bits_comes_again_with_its_wrap)
{
    struct hp h;
    open_hpet(&h);
    set(&h, COUNTER, 0xfffffff0);
    set(&h, TCONFIG(0), ENABLE | ROUTED | BITS32);
    set(&h, TCOMPARE(0), UINT64_C(0x700000010));
    ck_assert_uint_eq(get(&h, TCOMPARE(0)), 0x10);
    set(&h, CONFIG, 1);
    tick(&h, 0x1f);
    ck_assert_uint_eq(h.route.rises, 0);
    tick(&h, 0x20);
    ck_assert_uint_eq(h.route.rises, 1);
    tick(&h, 0x20 + (UINT64_C(1) << 32));
    ck_assert_uint_eq(h.route.rises, 2);
    close_hpet(&h);
}
END_TEST

START_TEST(level_stays_until_status_is_cleared)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1);
    set(&h, TCONFIG(1), ENABLE | LEVEL | ROUTED);
    set(&h, TCOMPARE(1), 100);
    tick(&h, 100);
    ck_assert_uint_eq(get(&h, STATUS), 2);
    ck_assert(h.route.level);
    set(&h, STATUS, 5); /* the others */
    ck_assert(h.route.level);
    set(&h, CONFIG, 0); /* 2.3.4: status is not cleared by that */
    ck_assert(h.route.level);
    set(&h, STATUS, 2);
    ck_assert(!h.route.level);
    ck_assert_uint_eq(get(&h, STATUS), 0);
    close_hpet(&h);
}
END_TEST

START_TEST(level_without_enable_sets_status_only)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1);
    set(&h, TCONFIG(1), LEVEL | ROUTED);
    set(&h, TCOMPARE(1), 100);
    tick(&h, 101);
    ck_assert_uint_eq(get(&h, STATUS), 2);
    ck_assert(!h.route.level);
    set(&h, TCONFIG(1), LEVEL | ENABLE | ROUTED);
    ck_assert(h.route.level);
    set(&h, TCONFIG(1), ENABLE | ROUTED); /* edges have no status */
    ck_assert_uint_eq(get(&h, STATUS), 0);
    ck_assert(!h.route.level);
    close_hpet(&h);
}
END_TEST

/* As Linux starts one: the first match, then the period. */
START_TEST(periodic_takes_value_then_period)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1 | LEGACY);
    set32(&h, TCONFIG(0), ENABLE | PERIODIC | SET | BITS32);
    set32(&h, TCOMPARE(0), 1000);
    set32(&h, TCOMPARE(0), 300);
    ck_assert_uint_eq(get(&h, TCOMPARE(0)), 1000);
    tick(&h, 999);
    ck_assert_uint_eq(h.irq0.rises, 0);
    tick(&h, 1000);
    ck_assert_uint_eq(h.irq0.rises, 1);
    ck_assert_uint_eq(get(&h, TCOMPARE(0)), 1300);
    tick(&h, 1299);
    ck_assert_uint_eq(h.irq0.rises, 1);
    tick(&h, 1300 + 300 * 9);
    ck_assert_uint_eq(h.irq0.rises, 11);
    set(&h, TCOMPARE(0), 1000); /* a new period from the next match on */
    tick(&h, 4300);
    ck_assert_uint_eq(h.irq0.rises, 12);
    tick(&h, 5299);
    ck_assert_uint_eq(h.irq0.rises, 12);
    tick(&h, 5300);
    ck_assert_uint_eq(h.irq0.rises, 13);
    close_hpet(&h);
}
END_TEST

START_TEST(period_0_is_none)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1);
    set(&h, TCONFIG(0), ENABLE | PERIODIC | ROUTED);
    set(&h, TCONFIG(0), ENABLE | PERIODIC | ROUTED | SET);
    set(&h, TCOMPARE(0), 50);
    set(&h, TCOMPARE(0), 0);
    tick(&h, 1000);
    ck_assert_uint_eq(h.route.rises, 1);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), CLOCK_NEVER);
    close_hpet(&h);
}
END_TEST

START_TEST(comparator_of_a_periodic_timer_follows_time_lazily)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1);
    set(&h, TCONFIG(0), PERIODIC | SET); /* nobody is called */
    set(&h, TCOMPARE(0), 100);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), CLOCK_NEVER);
    tick(&h, 750);
    ck_assert_uint_eq(get(&h, TCOMPARE(0)), 800);
    tick(&h, 800);
    ck_assert_uint_eq(get(&h, TCOMPARE(0)), 900);
    close_hpet(&h);
}
END_TEST

START_TEST(legacy_replacement_takes_irq_0_and_8)
{
    struct hp h;
    open_hpet(&h);
    irq_set(&h.pit, true);
    irq_set(&h.clock, true);
    ck_assert(h.irq0.level && h.irq8.level);
    set(&h, CONFIG, 1 | LEGACY);
    ck_assert(!h.irq0.level && !h.irq8.level);
    irq_set(&h.pit, false);
    irq_set(&h.pit, true);
    ck_assert(!h.irq0.level);
    for (unsigned i = 0; i < 3; i++) {
        set(&h, TCONFIG(i), ENABLE | ROUTED);
        set(&h, TCOMPARE(i), 100 * (i + 1));
    }
    tick(&h, 100);
    ck_assert(h.irq0.level && !h.irq8.level && !h.route.level);
    tick(&h, 200);
    ck_assert(h.irq8.level && !h.route.level);
    tick(&h, 300);
    ck_assert_uint_eq(h.route.rises, 1); /* the third goes where it is routed */
    ck_assert(h.irq0.level && h.irq8.level);
    set(&h, CONFIG, 1);
    irq_set(&h.clock, false);
    ck_assert(h.irq0.level && !h.irq8.level); /* what the PIT and the clock say now */
    close_hpet(&h);
}
END_TEST

START_TEST(disabling_forgets_edges_and_stops)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1 | LEGACY);
    set(&h, TCONFIG(0), ENABLE);
    set(&h, TCOMPARE(0), 100);
    tick(&h, 150);
    ck_assert(h.irq0.level); /* until the next one */
    set(&h, TCOMPARE(0), 200);
    set(&h, CONFIG, LEGACY);
    ck_assert(!h.irq0.level);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), CLOCK_NEVER);
    tick(&h, 1000);
    set(&h, CONFIG, 1 | LEGACY); /* goes on at 150 */
    ck_assert(!h.irq0.level);
    tick(&h, 1050);
    ck_assert_uint_eq(h.irq0.rises, 2);
    close_hpet(&h);
}
END_TEST

START_TEST(reset_gives_lines_back)
{
    struct hp h;
    open_hpet(&h);
    set(&h, CONFIG, 1 | LEGACY);
    set(&h, TCONFIG(0), ENABLE | LEVEL);
    set(&h, TCOMPARE(0), 10);
    irq_set(&h.clock, true);
    tick(&h, 20);
    ck_assert(h.irq0.level && !h.irq8.level);
    bus_reset(h.p.kit.bus);
    ck_assert(!h.irq0.level && h.irq8.level);
    ck_assert_uint_eq(get(&h, COUNTER) | get(&h, STATUS) | get(&h, CONFIG), 0);
    ck_assert_uint_eq(get(&h, TCOMPARE(0)), UINT64_MAX);
    ck_assert_uint_eq(clock_next_ns(&h.p.kit.clock), CLOCK_NEVER);
    close_hpet(&h);
}
END_TEST

/* Looking changes nothing; what was kept lazily counts as brought up to date. */
START_TEST(hash_counts_what_shows)
{
    struct hp h[2];
    for (unsigned i = 0; i < 2; i++) {
        open_hpet(&h[i]);
        set(&h[i], CONFIG, 1);
        set(&h[i], TCONFIG(0), PERIODIC | SET);
        set(&h[i], TCOMPARE(0), 100);
        set(&h[i], TCONFIG(1), BITS32);
        set(&h[i], TCOMPARE(1), 300);
    }
    tick(&h[0], 250);
    (void)get(&h[0], TCOMPARE(0));
    (void)get(&h[0], COUNTER);
    tick(&h[0], 550);
    (void)get(&h[0], TCOMPARE(1));
    tick(&h[1], 550);
    ck_assert(kit_hash(&h[0].p) == kit_hash(&h[1].p));
    set(&h[0], TCOMPARE(1), 301);
    ck_assert(kit_hash(&h[0].p) != kit_hash(&h[1].p));
    set(&h[1], TCOMPARE(1), 301);
    ck_assert(kit_hash(&h[0].p) == kit_hash(&h[1].p));
    irq_set(&h[0].pit, true);
    ck_assert(kit_hash(&h[0].p) != kit_hash(&h[1].p));
    close_hpet(&h[0]);
    close_hpet(&h[1]);
}
END_TEST

/* Whatever is written: deadlines keep coming at later times, and time goes on. */
START_TEST(random_writes_are_harmless)
{
    struct hp h;
    uint64_t seed = 7;
    open_hpet(&h);
    for (unsigned i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t random = seed >> 20;
        unsigned offset = (unsigned)(random & 0x1fc);
        uint64_t value = seed >> (random >> 16 & 63);
        if (random >> 10 & 3)
            phys_write(h.p.memory, HPET_SPA + offset, random & 0x10000 ? 4 : 8, value);
        else
            (void)get(&h, offset);
        for (unsigned n = 0; n < 4; n++) {
            uint64_t next = clock_next_ns(&h.p.kit.clock);
            ck_assert_uint_gt(next, h.p.kit.now_ns);
            kit_until(&h.p.kit, next - h.p.kit.now_ns < 1000 ? next : h.p.kit.now_ns + 7);
        }
    }
    close_hpet(&h);
}
END_TEST

CHECK_MAIN("hpet", capabilities_say_what_there_is, counter_runs_while_enabled, counter_takes_halves,
           configuration_keeps_writable_bits, one_shot_edge_rises_at_its_tick,
           comparator_in_the_past_waits, timer_of_32_bits_comes_again_with_its_wrap,
           level_stays_until_status_is_cleared, level_without_enable_sets_status_only,
           periodic_takes_value_then_period, period_0_is_none,
           comparator_of_a_periodic_timer_follows_time_lazily, legacy_replacement_takes_irq_0_and_8,
           disabling_forgets_edges_and_stops, reset_gives_lines_back, hash_counts_what_shows,
           random_writes_are_harmless)

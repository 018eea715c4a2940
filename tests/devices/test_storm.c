/* Whatever a program writes to the devices of a PC, in whatever order: nothing breaks, and no deadline comes again and again
 * without time going on. */
#include "tests/devices/lapic_kit.h"

#include "devices/fw_cfg.h"
#include "devices/ioapic.h"
#include "devices/pc_testdev.h"
#include "devices/pit.h"
#include "devices/rtc.h"
#include "devices/testports.h"
#include "devices/uart16550.h"

#define STEPS 300000u
#define CPUS 3u

struct storm {
    struct local local;
    struct ioapic *ioapic;
    uint64_t seed;
};

static uint64_t next(struct storm *s)
{
    s->seed = s->seed * 6364136223846793005ull + 1442695040888963407ull;
    return s->seed >> 24;
}

static void gsi_set(void *self, unsigned line, bool level)
{
    struct storm *s = self;
    if (line < 16)
        pic_set_irq(s->local.pic, line, level);
    if (s->ioapic)
        ioapic_set_irq(s->ioapic, line == 0 ? 2 : line, level);
}

static struct irq_line gsi(struct storm *s, unsigned line)
{
    return (struct irq_line){ .set = gsi_set, .self = s, .line = line };
}

static void storm_open(struct storm *s, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    local_open_enabled(&s->local, CPUS);
    struct bus *bus = s->local.kit.bus;
    const struct rtc_config rtc = { .ram_bytes = 512u << 20, .irq = gsi(s, 8) };
    s->ioapic = ioapic_add(bus, s->local.apics);
    ck_assert(s->ioapic && uart_add(bus, 0x3f8, gsi(s, 4), (struct byte_sink){ 0 }) &&
              rtc_add(bus, &rtc) && pit_add(bus, gsi(s, 0)) && post_port_add(bus) &&
              fw_cfg_add(bus, 512u << 20, CPUS) && pc_testdev_add(bus, gsi(s, 0)));
}

static void port_access(struct storm *s)
{
    static const uint16_t base[] = { 0x20,  0xa0,  0x40,  0x42,  0x61,  0x70, 0x70,   0x3f8,
                                     0x3fc, 0x4d0, 0x510, 0x514, 0x518, 0xe0, 0x2000, 0x80 };
    uint64_t random = next(s);
    uint16_t port = (uint16_t)(base[random & 15] + (random >> 4 & 3));
    unsigned size = 1u << (random >> 8) % 3;
    if (random >> 12 & 3)
        bus_port_ops.write(s->local.kit.bus, port, size, (uint32_t)(random >> 20));
    else
        (void)bus_port_ops.read(s->local.kit.bus, port, size);
}

static void memory_access(struct storm *s)
{
    uint64_t random = next(s);
    uint32_t value = (uint32_t)next(s);
    struct bus *bus = s->local.kit.bus;
    uint64_t spa = random & 1 ? APIC + (random >> 4 & 0x7f0) : IOAPIC_SPA + (random >> 4 & 0x10);
    if (random & 2) /* vectors that exist, unmasked */
        value &= 0xff0ffff;
    apics_select(s->local.apics, (random >> 20) % CPUS);
    if (random & 12)
        bus_mmio_ops.write(bus, spa, 4, value);
    else
        (void)bus_mmio_ops.read(bus, spa, 1u << (random >> 24 & 3));
}

static void cpu_access(struct storm *s)
{
    uint64_t random = next(s), value = next(s);
    struct lapic *lapic = apics_cpu(s->local.apics, (random >> 20) % CPUS);
    switch (random & 7) {
    case 0: (void)lapic_intc_ops.write_apic_base(lapic, 0xfee00000 | (value & 0xc00)); break;
    case 1: lapic_intc_ops.write_tpr(lapic, (uint8_t)value); break;
    case 2:
        lapic_intc_ops.write_tsc_deadline(lapic, value, s->local.kit.now_ns + (value & 0xfff));
        break;
    case 3: lapic_intc_ops.init(lapic); break;
    case 4:
        (void)lapic_intc_ops.write_msr(lapic, 0x800 + (random >> 8 & 0x7f), value & 0x7ffff);
        break;
    default:
        if (lapic_intc_ops.pending(lapic) >= 0)
            ck_assert_int_ge(lapic_intc_ops.acknowledge(lapic), 0); /* what is pending can be had */
        break;
    }
}

/* Deadlines that are due fire, a bounded number of them. */
static void pass(struct storm *s, uint64_t ns)
{
    struct kit *kit = &s->local.kit;
    uint64_t end = kit->now_ns + ns, fired = 0;
    while (clock_next_ns(&kit->clock) <= end) {
        kit->now_ns =
            clock_next_ns(&kit->clock) > kit->now_ns ? clock_next_ns(&kit->clock) : kit->now_ns;
        clock_run(&kit->clock, kit->now_ns);
        ck_assert_uint_le(++fired, 64 + ns / 400);
    }
    kit->now_ns = end;
}

static void storm_run(uint64_t seed)
{
    struct storm s;
    storm_open(&s, seed);
    for (unsigned step = 0; step < STEPS; step++) {
        switch (next(&s) & 3) {
        case 0: port_access(&s); break;
        case 1: memory_access(&s); break;
        case 2: cpu_access(&s); break;
        default: pass(&s, next(&s) & (1u << (next(&s) & 15))); break;
        }
        if (step % 50000 == 0)
            pass(&s, 5000000000ull - 1);
    }
    kit_close(&s.local.kit);
}

START_TEST(storm_of_accesses)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        storm_run(seed);
}
END_TEST

CHECK_MAIN("storm", storm_of_accesses)

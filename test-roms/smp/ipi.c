/* ipi.c: messages from one processor to others, in xAPIC and x2APIC mode. APM vol 2, 16.5 "Interprocessor Interrupts
 * (IPI)", 16.6.1 "Receiving System and IPI Interrupts", 16.6.2 "Lowest Priority Messages and Arbitration", 16.13 "x2APIC
 * Interrupt Command Register", 16.14 "Logical Destination Mode", 16.15. */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define VECTOR 0x71
#define BLOCKER 0x81
#define SPURIOUS APIC_SPURIOUS_VECTOR

static unsigned n; /* processors */
static volatile uint32_t got[SMP_MAX], nmis[SMP_MAX], stop, waiting;

static void on_fixed(struct trap_frame *frame)
{
    (void)frame;
    got[smp_self()]++;
    apic_set(APIC_EOI, 0);
}

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis[smp_self()]++;
}

/* Everybody but the sender takes interrupts until it is told to stop. */
static void listen(void *arg)
{
    (void)arg;
    interrupts_on();
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    while (!stop)
        cpu_pause();
    interrupts_off();
}

static void begin(void)
{
    memset((void *)got, 0, sizeof got);
    memset((void *)nmis, 0, sizeof nmis);
    stop = waiting = 0;
    for (unsigned i = 1; i < n; i++)
        smp_run(i, listen, NULL);
    smp_until(&waiting, n - 1);
}

/* Bit i: processor i got exactly one. More than one: bit 31. */
static uint32_t end(volatile uint32_t *counts)
{
    uint32_t set = 0;

    interrupts_on();
    smp_delay(SMP_A_WHILE);
    interrupts_off();
    stop = 1;
    for (unsigned i = 1; i < n; i++)
        smp_wait(i);
    for (unsigned i = 0; i < n; i++)
        set |= counts[i] == 0 ? 0 : counts[i] == 1 ? 1u << i : 1u << 31;
    return set;
}

static uint32_t send(uint32_t dest, uint32_t icr)
{
    begin();
    apic_send(dest, icr);
    return end((icr & 0x700) == ICR_NMI ? nmis : got);
}

static uint32_t all(void)
{
    return (1u << n) - 1;
}

/* ---- destinations ---------------------------------------------------------------------------------- */

static void test_physical(const char *mode, uint32_t everybody)
{
    for (unsigned i = 0; i < n; i++)
        tap_eq(send(i, ICR_FIXED | VECTOR), 1u << i, "%s: fixed to processor %u only", mode, i);
    tap_eq(send(everybody, ICR_FIXED | VECTOR), all(), "%s: destination of all ones: everybody",
           mode);
    tap_eq(send(0, ICR_TO_SELF | VECTOR), 1, "%s: shorthand self", mode);
    tap_eq(send(0, ICR_TO_ALL | VECTOR), all(), "%s: shorthand all including self", mode);
    tap_eq(send(0, ICR_TO_OTHERS | VECTOR), all() & ~1u, "%s: shorthand all excluding self", mode);
    tap_eq(send(9, ICR_FIXED | VECTOR), 0, "%s: to an ID that nobody has", mode);
    tap_eq(send(1, ICR_NMI), 2, "%s: NMI to processor 1", mode);
    tap_eq(send(0, ICR_TO_OTHERS | ICR_NMI), all() & ~1u, "%s: NMI to all others", mode);
    tap_eq(send(1, ICR_NMI | 0x33), 2, "%s: the vector of an NMI does not matter", mode);
}

static void flat(void *arg)
{
    (void)arg;
    apic_set(APIC_DFR, 0xffffffff);
    apic_set(APIC_LDR, 1u << (24 + smp_self()));
}

/* Two clusters of two. */
static void cluster(void *arg)
{
    unsigned i = smp_self();

    (void)arg;
    apic_set(APIC_DFR, 0x0fffffff);
    apic_set(APIC_LDR, (i / 2 << 4 | 1u << i % 2) << 24);
}

static void test_logical(void)
{
    smp_run_all(flat, NULL);
    tap_eq(send(0x02, ICR_LOGICAL | VECTOR), 2, "logical flat: one bit, one processor");
    tap_eq(send(0x03, ICR_LOGICAL | VECTOR), 3, "logical flat: two bits, two processors");
    tap_eq(send(0xff, ICR_LOGICAL | VECTOR), all(), "logical flat: all");
    tap_eq(send(0x80, ICR_LOGICAL | VECTOR), 0, "logical flat: a bit that nobody has");
    smp_run_all(cluster, NULL);
    tap_eq(send(0x01, ICR_LOGICAL | VECTOR), 1, "logical cluster: first of cluster 0");
    tap_eq(send(0x03, ICR_LOGICAL | VECTOR), 3, "logical cluster: both of cluster 0");
    tap_eq(send(0x1f, ICR_LOGICAL | VECTOR), all() & 0xc, "logical cluster: cluster 1");
    tap_eq(send(0x2f, ICR_LOGICAL | VECTOR), 0, "logical cluster: an empty cluster");
    smp_run_all(flat, NULL);
}

/* ---- lowest priority --------------------------------------------------------------------------------- */

static void set_tpr(void *arg)
{
    apic_set(APIC_TPR, (uint32_t)(uintptr_t)arg);
}

static void test_lowest(void)
{
    uint32_t set;

    for (unsigned low = 0; low < 2; low++) {
        for (unsigned i = 1; i < n; i++) {
            smp_run(i, set_tpr, (void *)(uintptr_t)(i == low ? 0x10 : 0x40 + 0x10 * i));
            smp_wait(i);
        }
        apic_set(APIC_TPR, low == 0 ? 0x10 : 0x40);
        tap_eq(send(0xff, ICR_LOGICAL | ICR_LOWEST | VECTOR), 1u << low,
               "lowest priority goes to the one with the least TPR: processor %u", low);
    }
    for (unsigned i = 1; i < n; i++) {
        smp_run(i, set_tpr, NULL);
        smp_wait(i);
    }
    apic_set(APIC_TPR, 0);
    set = send(0xff, ICR_LOGICAL | ICR_LOWEST | VECTOR);
    tap_ok(set != 0 && (set & (set - 1)) == 0 && set != 1u << 31, "of equals exactly one takes it");
    set = send(1u << (n - 1), ICR_LOGICAL | ICR_LOWEST | VECTOR);
    tap_eq(set, 1u << (n - 1), "the destination limits who may");
}

/* ---- masks at the receiver ---------------------------------------------------------------------------- */

static volatile uint32_t phase;

static void hold(void *arg)
{
    (void)arg;
    apic_set(APIC_TPR, 0x70); /* class 7: VECTOR waits */
    interrupts_on();
    phase = 1;
    smp_until(&phase, 2);
    smp_delay(SMP_A_WHILE);
    phase = got[1] == 0 ? 3 : 4;
    apic_set(APIC_TPR, 0x60);
    smp_delay(100);
    interrupts_off();
}

static void test_masked(void)
{
    got[1] = 0;
    phase = 0;
    smp_run(1, hold, NULL);
    smp_until(&phase, 1);
    apic_send(1, ICR_FIXED | VECTOR);
    apic_send(1, ICR_FIXED | VECTOR);
    phase = 2;
    smp_wait(1);
    tap_eq(phase, 3, "TPR of the receiver holds it back");
    tap_eq(got[1], 1, "two of one vector before it is served are one");
}

/* ---- NMI blocking across processors ------------------------------------------------------------------ */

static void slow_nmi(struct trap_frame *frame)
{
    unsigned cpu = smp_self();

    (void)frame;
    nmis[cpu]++;
    if (nmis[cpu] == 1) {
        phase = 1;
        smp_until(&phase, 2);
        phase = nmis[cpu] == 1 ? 3 : 4;
    }
}

static void test_nmi_blocking(void)
{
    trap_set_handler(EXC_NMI, slow_nmi);
    begin();
    phase = 0;
    apic_send(1, ICR_NMI);
    smp_until(&phase, 1);
    apic_send(1, ICR_NMI);
    apic_send(1, ICR_NMI);
    smp_delay(SMP_A_WHILE);
    phase = 2;
    smp_until(&phase, 3);
    end(nmis);
    /* rows: events 6.2, pitfalls 10.8 */
    tap_eq(phase, 3, "an NMI in the handler of another waits");
    tap_eq(nmis[1], 2, "one is kept until IRET, not more");
    trap_set_handler(EXC_NMI, on_nmi);
}

/* ---- x2APIC ------------------------------------------------------------------------------------------- */

static volatile uint32_t ids[SMP_MAX], ldrs[SMP_MAX];

static void enter_x2(void *arg)
{
    unsigned i = smp_self();

    (void)arg;
    apic_enter_x2();
    apic_set(APIC_SVR, 0x100 | SPURIOUS);
    ids[i] = apic_get(APIC_ID);
    ldrs[i] = apic_get(APIC_LDR);
}

static void test_x2(void)
{
    bool right = true;

    if (!apic_has_x2()) {
        tap_skip("no x2APIC", "x2APIC mode");
        return;
    }
    smp_run_all(enter_x2, NULL);
    for (unsigned i = 0; i < n; i++)
        right = right && ids[i] == i && ldrs[i] == ((i >> 4) << 16 | 1u << (i & 15));
    tap_ok(right, "x2APIC: ID and logical ID of each");
    test_physical("x2APIC", 0xffffffff);
    tap_eq(send(0x2, ICR_LOGICAL | VECTOR), 2, "x2APIC, logical: cluster 0, one bit");
    tap_eq(send(0x3, ICR_LOGICAL | VECTOR), 3, "x2APIC, logical: two bits");
    tap_eq(send(0xffff, ICR_LOGICAL | VECTOR), all(), "x2APIC, logical: all of cluster 0");
    tap_eq(send(0x10001, ICR_LOGICAL | VECTOR), 0, "x2APIC, logical: cluster 1 is empty");
    tap_eq(send(0xff, ICR_FIXED | VECTOR), 0, "x2APIC: FF is an ID like others");
    begin();
    wrmsr(MSR_X2APIC_SELF_IPI, VECTOR);
    tap_eq(end(got), 1, "x2APIC: SELF_IPI");
}

int rom_main(void)
{
    apic_init();
    n = smp_start();
    tap_eq(n, rom_arg("cpus", 4), "all processors come");
    if (n < 2)
        tap_done();
    trap_set_handler(VECTOR, on_fixed);
    trap_set_handler(EXC_NMI, on_nmi);
    test_physical("xAPIC", 0xff);
    test_logical();
    test_lowest();
    test_masked();
    test_nmi_blocking();
    test_x2();
    tap_done();
}

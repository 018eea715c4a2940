/* startup.c: INIT and Startup IPIs. APM vol 2, 14.1.3 "Processor Initialization State", 14.1.5 "Fetching the First
 * Instruction", 16.5 "Interprocessor Interrupts (IPI)", 16.10 "x2APIC Initialization". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define AUX 0x1234567u
#define BREAK_ADDRESS 0x5a5a0u
#define VECTOR 0x60

/* What startup_code.S notes. */
struct __attribute__((packed)) noted {
    uint32_t eax, ebx, ecx, edx, esp, ebp, esi, edi;
    uint16_t cs, ds, es, ss, fs, gs;
    uint16_t idt_limit;
    uint32_t idt_base;
    uint16_t pad1, gdt_limit;
    uint32_t gdt_base;
    uint16_t pad2;
    uint32_t cr0, cr2, cr3, cr4, efer, dr0, dr6, dr7, aux, flags;
    uint64_t tsc;
};

extern const uint8_t note_start16[], count_start16[];
extern volatile struct noted noted_low;
extern volatile uint32_t counted_low;

static volatile uint32_t reached, nmis, fixed, woken;

static uint8_t vector_of(const uint8_t *page)
{
    return (uint8_t)((uintptr_t)page >> 12);
}

static void note_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
}

static void note_fixed(struct trap_frame *frame)
{
    (void)frame;
    fixed++;
    apic_eoi();
}

/* ---- what runs on the other one ------------------------------------------------------------------ */

static void spin(void *arg)
{
    (void)arg;
    reached = 1;
    for (;;)
        cpu_pause();
}

static void prepare_and_spin(void *arg)
{
    write_dr0(BREAK_ADDRESS);
    wrmsr(MSR_TSC_AUX, AUX);
    write_cr0(read_cr0() | CR0_CD);
    write_cr2(0x7777000);
    apic_set(APIC_TPR, 0x40);
    apic_set(APIC_LVT_TIMER, 0x20000 | VECTOR);
    apic_set(APIC_LDR, 0x10000000);
    spin(arg);
}

static void halt_closed(void *arg)
{
    (void)arg;
    reached = 1;
    __asm__ volatile("cli\n\thlt" : : : "memory");
    woken = 1;
}

static void halt_open(void *arg)
{
    (void)arg;
    reached = 1;
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
    woken = 1;
}

static void start_task(unsigned cpu, smp_task task)
{
    reached = woken = 0;
    smp_run(cpu, task, NULL);
    smp_until(&reached, 1);
    smp_delay(SMP_A_WHILE / 4);
}

static void send_init(unsigned cpu)
{
    apic_send(cpu, ICR_INIT);
    smp_delay(2 * SMP_A_WHILE);
    smp_lost(cpu);
}

static bool comes(unsigned cpu)
{
    uint64_t begin = rdtsc();

    while (!smp_alive(cpu) && rdtsc() - begin < 10000 * SMP_A_WHILE)
        cpu_pause();
    return smp_alive(cpu);
}

/* ---- the state ------------------------------------------------------------------------------------ */

static void test_state(void)
{
    volatile struct noted *n = &noted_low;
    uint64_t before = rdtsc();

    start_task(1, prepare_and_spin);
    send_init(1);
    tap_ok(!smp_alive(1), "INIT of a running processor: it runs no more");
    memset((void *)n, 0xee, sizeof *n);
    apic_send(1, ICR_STARTUP | vector_of(note_start16));
    /* rows: pitfalls 5.9 */
    tap_ok(comes(1), "a Startup IPI starts it");
    tap_eq(n->cs, (uint32_t)vector_of(note_start16) << 8, "CS is the vector in bits 15:8");
    tap_ok(n->ds == 0 && n->es == 0 && n->ss == 0 && n->fs == 0 && n->gs == 0,
           "the other selectors are 0");
    tap_eq(n->cr0, CR0_CD | CR0_ET, "CR0: CD is kept, ET is set, all else 0");
    tap_eq(n->cr2, 0, "CR2 is 0");
    tap_eq(n->cr3, 0, "CR3 is 0");
    tap_eq(n->cr4, 0, "CR4 is 0");
    tap_eq(n->efer, 0, "EFER is 0");
    tap_eq(n->flags & 0x3f7fd7, RFLAGS_ONE, "RFLAGS is 2");
    tap_ok(n->idt_limit == 0xffff && n->idt_base == 0, "IDTR is 0 with limit FFFF");
    tap_ok(n->gdt_limit == 0xffff && n->gdt_base == 0, "GDTR is 0 with limit FFFF");
    tap_eq(n->edx, cpuid(1, 0).eax, "EDX tells family, model, stepping");
    tap_ok((n->eax | n->ebx | n->ecx | n->esp | n->ebp | n->esi | n->edi) == 0,
           "the other registers are 0");
    tap_eq(n->dr0, BREAK_ADDRESS, "DR0 is not changed by INIT");
    tap_eq(n->dr6, 0xffff0ff0, "DR6 keeps its fixed bits");
    tap_eq(n->dr7, 0x400, "DR7 too");
    tap_eq(n->aux, AUX, "an MSR (TSC_AUX) is not changed");
    tap_ok(n->tsc > before && n->tsc < rdtsc(), "the TSC runs on");
}

static volatile uint32_t id_seen, version_seen, ldr_seen, lvt_seen, base_seen;

static void look_at_apic(void *arg)
{
    (void)arg;
    id_seen = apic_get(APIC_ID);
    ldr_seen = apic_get(APIC_LDR);
    lvt_seen = apic_get(APIC_LVT_TIMER);
    version_seen = apic_get(APIC_VERSION);
    base_seen = (uint32_t)rdmsr(MSR_APIC_BASE);
}

static void test_apic(void)
{
    smp_run(1, look_at_apic, NULL);
    smp_wait(1);
    tap_eq(id_seen >> 24, 1, "its APIC has its ID");
    tap_eq(ldr_seen, 0, "INIT resets the other registers of the APIC: LDR");
    tap_eq(lvt_seen, APIC_LVT_MASKED, "and the timer's entry, masked");
    tap_eq(base_seen & (APIC_BASE_BSC | APIC_BASE_AE), APIC_BASE_AE,
           "APIC_BASE: enabled, and not the bootstrap processor's");
    tap_ok((rdmsr(MSR_APIC_BASE) & APIC_BASE_BSC) != 0, "BSC is set on the one that boots");
}

/* ---- when it is ignored ------------------------------------------------------------------------------ */

static void test_ignored(void)
{
    counted_low = 0;
    start_task(1, spin);
    apic_send(1, ICR_STARTUP | vector_of(count_start16));
    smp_delay(2 * SMP_A_WHILE);
    /* rows: pitfalls 5.10, events 6.4 */
    tap_eq(counted_low, 0, "a Startup IPI to a running processor is ignored");
    send_init(1);
    smp_delay(2 * SMP_A_WHILE);
    tap_eq(counted_low, 0, "and is not kept until it waits");

    apic_send(1, ICR_STARTUP | vector_of(count_start16));
    tap_ok(smp_until(&counted_low, 1), "after INIT it is taken");
    apic_send(1, ICR_STARTUP | vector_of(count_start16));
    smp_delay(2 * SMP_A_WHILE);
    tap_eq(counted_low, 1, "the second one is ignored: it does not wait any more, even in HLT");

    send_init(1);
    apic_send(1, ICR_NMI);
    apic_send(1, ICR_FIXED | VECTOR);
    smp_delay(2 * SMP_A_WHILE);
    tap_eq(nmis, 0, "neither NMI nor an interrupt wakes one that waits for a Startup IPI");
    apic_send(1, ICR_INIT | ICR_LEVEL); /* ICR_ASSERT is added */
    smp_delay(SMP_A_WHILE);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    tap_ok(comes(1), "INIT, level asserted, and a Startup IPI");
    tap_eq(counted_low, 1, "at the vector of the last one");

    start_task(1, halt_closed);
    send_init(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    tap_ok(comes(1), "one in HLT with IF=0 can be started anew");
}

static void test_halt(void)
{
    nmis = fixed = 0;
    start_task(1, halt_closed);
    apic_send(1, ICR_FIXED | VECTOR);
    smp_delay(2 * SMP_A_WHILE);
    tap_eq(woken, 0, "HLT with IF=0: a fixed interrupt does not wake it");
    apic_send(1, ICR_NMI);
    tap_ok(smp_until(&woken, 1) && nmis == 1, "an NMI does");
    smp_wait(1);
    start_task(1, halt_open);
    tap_ok(smp_until(&woken, 1) && fixed == 1, "the interrupt was kept until IF=1");
    smp_wait(1);
    start_task(1, halt_open);
    apic_send(1, ICR_FIXED | VECTOR);
    tap_ok(smp_until(&woken, 1) && fixed == 2, "HLT with IF=1: a fixed interrupt wakes it");
    smp_wait(1);
}

/* In x2APIC mode INIT keeps the mode. */
static void go_x2(void *arg)
{
    (void)arg;
    apic_enter_x2();
    apic_set(APIC_SVR, 0x1ff);
}

static void test_x2(void)
{
    if (!apic_has_x2()) {
        tap_skip("no x2APIC", "INIT keeps x2APIC mode");
        return;
    }
    apic_enter_x2();
    smp_run(1, go_x2, NULL);
    smp_wait(1);
    send_init(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    tap_ok(comes(1), "INIT and Startup IPI by the command register of x2APIC mode");
    smp_run(1, look_at_apic, NULL);
    smp_wait(1);
    tap_ok((base_seen & APIC_BASE_EXTD) != 0, "INIT keeps x2APIC mode");
    tap_eq(id_seen, 1, "the ID there");
    tap_eq(ldr_seen, 2, "and the logical ID is made from it");
}

int rom_main(void)
{
    unsigned n;

    apic_init();
    n = smp_start();
    rom_printf("# %u processors\n", n);
    tap_eq(n, rom_arg("cpus", 4), "all processors come");
    if (n < 2)
        tap_done();
    trap_set_handler(EXC_NMI, note_nmi);
    trap_set_handler(VECTOR, note_fixed);
    test_state();
    test_apic();
    test_halt();
    nmis = 0;
    test_ignored();
    test_x2();
    tap_done();
}

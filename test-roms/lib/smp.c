/* smp.c: see smp.h. */
#include "test-roms/lib/smp.h"

#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/layout.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/trap.h"

#define SECOND UINT64_C(1000000000) /* in TSC ticks; what it really is does not matter */
#define SETTLE UINT64_C(200000)     /* between INIT and SIPI */
#define FW_CFG_SELECTOR 0x510
#define FW_CFG_DATA 0x511
#define FW_CFG_SIGNATURE 0x00
#define FW_CFG_CPUS 0x05
#define TSS_BYTES 104
#define TSS_RSP0 4
#define TSS_IST1 0x24
#define TSS_IOMAP 0x66
#define TSS_TYPE_AVAIL UINT64_C(0x0000890000000000)
#define STACK_BYTES 8192

struct cpu {
    volatile smp_task task;
    void *arg;
    volatile bool alive;
};

extern uint64_t rom_gdt[];
extern const uint8_t smp_start16[];
extern uint32_t smp_cr3, smp_cr4, smp_efer;
void smp_arrive(uint32_t id);

static struct cpu cpus[SMP_MAX];
static uint64_t gdts[SMP_MAX][GDT_BYTES / 8] __attribute__((aligned(16)));
static uint8_t tss[SMP_MAX][128] __attribute__((aligned(128)));
static uint8_t stacks[SMP_MAX][3][STACK_BYTES] __attribute__((aligned(16)));
static unsigned count = 1;

uint8_t smp_start_vector(void)
{
    return (uint8_t)((uintptr_t)smp_start16 >> 12);
}

unsigned smp_self(void)
{
    return cpuid(1, 0).ebx >> 24;
}

unsigned smp_count(void)
{
    return count;
}

bool smp_alive(unsigned cpu)
{
    return cpus[cpu].alive;
}

void smp_lost(unsigned cpu)
{
    cpus[cpu].alive = false;
    cpus[cpu].task = NULL;
}

/* ---- the further processors ------------------------------------------------------------------- */

static void own_tables(uint32_t id)
{
    uint64_t base = (uintptr_t)tss[id], stack;
    struct table_register gdtr = { GDT_BYTES - 1, (uintptr_t)gdts[id] };
    struct table_register idtr = { 4095, (uintptr_t)trap_gate(0) };

    memcpy(gdts[id], rom_gdt, GDT_BYTES);
    memset(tss[id], 0, TSS_BYTES);
    for (unsigned i = 0; i < 3; i++) { /* RSP0; IST1 for #DF, IST2 for NMI */
        stack = (uintptr_t)stacks[id][i] + STACK_BYTES;
        memcpy(tss[id] + (i == 0 ? TSS_RSP0 : TSS_IST1 + 8 * (i - 1)), &stack, 8);
    }
    tss[id][TSS_IOMAP] = TSS_BYTES;
    gdts[id][SEL_TSS / 8] =
        (TSS_BYTES - 1) | (base & 0xffffff) << 16 | TSS_TYPE_AVAIL | (base >> 24 & 0xff) << 56;
    gdts[id][SEL_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
    __asm__ volatile("lidt %0" : : "m"(idtr));
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

/* From smp_start.S, on the stack of this processor. */
void smp_arrive(uint32_t id)
{
    struct cpu *cpu = &cpus[id];

    own_tables(id);
    apic_set(APIC_SVR, 0x100 | APIC_SPURIOUS_VECTOR);
    apic_set(APIC_TPR, 0);
    cpu->alive = true;
    for (;;) {
        if (cpu->task != NULL) {
            cpu->task(cpu->arg);
            interrupts_off();
            cpu->task = NULL;
        }
        cpu_pause();
    }
}

/* ---- starting --------------------------------------------------------------------------------- */

/* As many as fw_cfg says; where there is none we see who comes. */
static unsigned expected(void)
{
    uint32_t signature = 0;
    unsigned n;

    outw(FW_CFG_SELECTOR, FW_CFG_SIGNATURE);
    for (unsigned i = 0; i < 4; i++)
        signature = signature << 8 | inb(FW_CFG_DATA);
    if (signature != 0x51454d55) /* "QEMU" */
        return SMP_MAX;
    outw(FW_CFG_SELECTOR, FW_CFG_CPUS);
    n = inb(FW_CFG_DATA);
    n |= (unsigned)inb(FW_CFG_DATA) << 8;
    return n < SMP_MAX ? n : SMP_MAX;
}

unsigned smp_start(void)
{
    unsigned wanted = expected(), here = 1;
    uint64_t begin;

    smp_cr3 = (uint32_t)read_cr3();
    smp_cr4 = (uint32_t)read_cr4();
    smp_efer = (uint32_t)rdmsr(MSR_EFER) & ~(uint32_t)EFER_LMA;
    cpus[0].alive = true;
    apic_send(0, ICR_TO_OTHERS | ICR_INIT);
    smp_delay(SETTLE);
    apic_send(0, ICR_TO_OTHERS | ICR_STARTUP | smp_start_vector());
    smp_delay(SETTLE);
    apic_send(0, ICR_TO_OTHERS | ICR_STARTUP | smp_start_vector());
    begin = rdtsc();
    while (here < wanted && rdtsc() - begin < SECOND) {
        cpu_pause();
        for (here = 0; here < wanted && cpus[here].alive;)
            here++;
    }
    return count = here;
}

/* ---- work --------------------------------------------------------------------------------------- */

void smp_run(unsigned cpu, smp_task task, void *arg)
{
    cpus[cpu].arg = arg;
    cpus[cpu].task = task;
}

void smp_wait(unsigned cpu)
{
    while (cpus[cpu].task != NULL)
        cpu_pause();
}

void smp_run_all(smp_task task, void *arg)
{
    for (unsigned i = 1; i < count; i++)
        smp_run(i, task, arg);
    task(arg);
    for (unsigned i = 1; i < count; i++)
        smp_wait(i);
}

void smp_barrier(struct smp_barrier *barrier, uint32_t wanted)
{
    uint32_t turn = barrier->turn;

    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_SEQ_CST) == wanted) {
        barrier->arrived = 0;
        barrier->turn = turn + 1;
    }
    while (barrier->turn == turn)
        cpu_pause();
}

bool smp_until(const volatile uint32_t *what, uint32_t value)
{
    uint64_t begin = rdtsc();

    while (*what != value) {
        if (rdtsc() - begin > SECOND)
            return false;
        cpu_pause();
    }
    return true;
}

void smp_delay(uint64_t ticks)
{
    uint64_t begin = rdtsc();

    while (rdtsc() - begin < ticks)
        cpu_pause();
}

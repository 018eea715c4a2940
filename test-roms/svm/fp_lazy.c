/* fp_lazy.c: a hypervisor that leaves the registers of x87, SSE and AVX where they are until another guest wants them: CR0.TS in the VMCB,
 * an intercepted #NM, and then XSAVE and XRSTOR. Its guests are interrupted by a timer wherever they are, and must still find what
 * they find when nobody interrupts them. APM vol 2, 11.4.3 "x87 and Media State Save and Restore" (CR0.TS), 11.5 "XSAVE/XRSTOR
 * Instructions", 15.13.1 "INTR Intercept". */
#include "test-roms/lib/apic.h"
#include "test-roms/svm/fp_kit.h"

#define GUESTS 3u
#define ROUNDS 40u
#define TIMER_VECTOR 0x50
#define COMPACTED (UINT64_C(1) << 63)

/* RCX rounds of sums and products in x87, XMM and YMM registers and MXCSR, seeded by what is at RSI; results to RDI. R8: the address of
 * FCW and MXCSR. Registers stay in use from round to round. */
GUEST_CODE(l_work,
           "fninit\n fldcw (%r8)\n ldmxcsr 4(%r8)\n"
           "fldl (%rsi)\n fldl 8(%rsi)\n"
           "movsd (%rsi), %xmm0\n movsd 8(%rsi), %xmm8\n"
           "vbroadcastsd (%rsi), %ymm1\n vbroadcastsd 8(%rsi), %ymm9\n"
           "vmovdqu (%rsi), %ymm15\n vpcmpeqd %ymm14, %ymm14, %ymm14\n"
           "1: fadd %st(1), %st\n fmul %st(1), %st\n fsqrt\n"
           "addsd %xmm8, %xmm0\n mulsd %xmm8, %xmm0\n sqrtsd %xmm0, %xmm0\n"
           "vaddpd %ymm9, %ymm1, %ymm1\n vdivpd %ymm9, %ymm1, %ymm1\n"
           "vpsubd %ymm14, %ymm15, %ymm15\n vpermq $0x39, %ymm15, %ymm15\n"
           "vpaddq %ymm15, %ymm13, %ymm13\n cvtsd2si %xmm0, %rax\n addq %rax, %rbx\n"
           "loop 1b\n"
           "fstpt (%rdi)\n fstpt 16(%rdi)\n movups %xmm0, 32(%rdi)\n"
           "vmovups %ymm1, 64(%rdi)\n vmovups %ymm15, 96(%rdi)\n vmovups %ymm13, 128(%rdi)\n"
           "stmxcsr 160(%rdi)\n fnstcw 164(%rdi)\n fnstsw 166(%rdi)\n movq %rbx, 168(%rdi)");

/* The ways to save and restore. */
static void save_xsave(struct fp_area *area)
{
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static void save_xsaveopt(struct fp_area *area)
{
    __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static void save_xsavec(struct fp_area *area)
{
    __asm__ volatile("xsavec64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static void save_xsaves(struct fp_area *area)
{
    __asm__ volatile("xsaves64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static void restore_xrstor(const struct fp_area *area)
{
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static void restore_xrstors(const struct fp_area *area)
{
    __asm__ volatile("xrstors64 (%0)" : : "r"(area), "a"(XCR0_ALL), "d"(0) : "memory");
}

static const struct way {
    const char *name;
    uint32_t needs; /* bits of CPUID Fn0000_000D_x1 EAX */
    uint64_t xcomp_bv;
    void (*save)(struct fp_area *area);
    void (*restore)(const struct fp_area *area);
} ways[] = {
    { "XSAVE", 0, 0, save_xsave, restore_xrstor },
    { "XSAVEOPT", 1, 0, save_xsaveopt, restore_xrstor },
    { "XSAVEC", 2, COMPACTED | XCR0_ALL, save_xsavec, restore_xrstor },
    { "XSAVES", 8, COMPACTED | XCR0_ALL, save_xsaves, restore_xrstors },
};

static struct result {
    uint8_t byte[192];
} alone[GUESTS], shared[GUESTS];
static struct task {
    struct svm_guest guest;
    struct fp_area area;
    double seed[4];
    uint16_t fcw, pad;
    uint32_t mxcsr;
    bool done;
    uint64_t rounds;
} tasks[GUESTS];
static uint8_t stacks[GUESTS][4096] __attribute__((aligned(16)));
static struct task *owner;
static unsigned switches, interrupts;

static void prepare(unsigned n, struct result *result, const struct way *way)
{
    static const struct {
        double seed[4];
        uint16_t fcw;
        uint32_t mxcsr;
    } rows[GUESTS] = {
        { { 1.5, 3.25, 7e10, -2 }, 0x37f, 0x1f80 },   /* to nearest */
        { { 0.3, 1.7, 5e-5, 11 }, 0xc7f, 0x7f80 },    /* to zero, single precision in x87 */
        { { 1e-3, 1.01, 123456, 3 }, 0xa7f, 0x5fc0 }, /* up, double precision; DAZ */
    };
    struct task *t = &tasks[n];

    *t = (struct task){ .guest.vmcb = t->guest.vmcb };
    kit_guest(&t->guest, l_work);
    svm_set(&t->guest, VMCB_RSP, (uintptr_t)stacks[n] + sizeof stacks[n]);
    svm_set32(&t->guest, VMCB_ASID, n + 1);
    svm_set(&t->guest, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_set(&t->guest, VMCB_CR0, read_cr0() | CR0_TS);
    svm_intercept(&t->guest, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_NM);
    svm_intercept(&t->guest, VMCB_INTERCEPT_3, INTERCEPT3_INTR);
    memcpy(t->seed, rows[n].seed, sizeof t->seed);
    t->fcw = rows[n].fcw;
    t->mxcsr = rows[n].mxcsr;
    /* The initial state, as XRSTOR takes it. */
    *(uint32_t *)(t->area.byte + 24) = 0x1f80;
    *(uint64_t *)(t->area.byte + XSTATE_BV + 8) = way->xcomp_bv;
    t->guest.rcx = 40 * ROUNDS + 100 * n;
    t->guest.rsi = (uintptr_t)t->seed;
    t->guest.rdi = (uintptr_t)result;
    t->guest.r8 = (uintptr_t)&t->fcw;
}

/* A turn: until the timer or the end. */
static void turn(struct task *t, const struct way *way)
{
    for (;;) {
        uint64_t code = svm_run(&t->guest);

        svm_set8(&t->guest, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
        if (code == VMEXIT_EXCP0 + EXC_NM) {
            if (owner != NULL) {
                way->save(&owner->area);
                svm_set(&owner->guest, VMCB_CR0, svm_get(&owner->guest, VMCB_CR0) | CR0_TS);
            }
            way->restore(&t->area);
            svm_set(&t->guest, VMCB_CR0, svm_get(&t->guest, VMCB_CR0) & ~CR0_TS);
            owner = t;
            switches++;
            continue;
        }
        if (code == VMEXIT_INTR) {
            interrupts++;
            return;
        }
        t->done = true;
        if (code != VMEXIT_VMMCALL)
            rom_printf("#   exit code %lx at %lx\n", code, svm_get(&t->guest, VMCB_RIP));
        return;
    }
}

static void on_timer(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
}

/* The timer's interrupt ends a guest, and is taken behind svm_run()'s STGI. */
static void timer(uint32_t count)
{
    apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
    apic_write(APIC_LVT_TIMER, TIMER_VECTOR | APIC_LVT_PERIODIC);
    apic_write(APIC_TIMER_INITIAL, count);
}

static void run_alone(void)
{
    for (unsigned n = 0; n < GUESTS; n++) {
        prepare(n, &alone[n], &ways[0]);
        owner = NULL;
        while (!tasks[n].done)
            turn(&tasks[n], &ways[0]);
        tap_ok(switches == n + 1 && interrupts == 0, "guest %u alone: one #NM, no interrupt", n);
    }
}

static void run_shared(const struct way *way, uint32_t period)
{
    bool busy = true;

    for (unsigned n = 0; n < GUESTS; n++)
        prepare(n, &shared[n], way);
    owner = NULL;
    switches = interrupts = 0;
    timer(period);
    interrupts_on();
    while (busy) {
        busy = false;
        for (unsigned n = 0; n < GUESTS; n++)
            if (!tasks[n].done) {
                turn(&tasks[n], way);
                busy = true;
            }
    }
    interrupts_off();
    apic_timer_stop();
    for (unsigned n = 0; n < GUESTS; n++)
        tap_ok(memcmp(&alone[n], &shared[n], sizeof alone[n]) == 0,
               "%s, guest %u: computes the same among others", way->name, n);
    tap_ok(switches > 2 * GUESTS && interrupts >= switches - GUESTS,
           "%s: the registers went from guest to guest", way->name);
}

/* What a guest restores is not what the host restored, even at the same address: the modified optimization must not leave it out. */
GUEST_CODE(l_restore, "movl $7, %eax\n xorl %edx, %edx\n xrstor64 (%rdi)");

static void test_own_restore(void)
{
    static struct fp_area area;
    static struct svm_guest g;

    memset(&area, 0, sizeof area);
    *(uint32_t *)(area.byte + 24) = 0x1f80;
    area.byte[XSTATE_BV] = XCR0_SSE;
    area.byte[160] = 1;
    restore_xrstor(&area);
    area.byte[160] = 2;
    kit_guest(&g, l_restore);
    g.rdi = (uintptr_t)&area;
    svm_run(&g);
    area.byte[160] = 3;
    save_xsaveopt(&area);
    tap_eq(area.byte[160], 2, "XSAVEOPT stores what a guest's XRSTOR loaded from the same address");
}

int rom_main(void)
{
    uint32_t have = cpuid_checked(0xd, 1).eax;

    fp_init();
    apic_init();
    trap_set_handler(TIMER_VECTOR, on_timer);
    run_alone();
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if ((have & ways[i].needs) == ways[i].needs) {
            run_shared(&ways[i], 997 + 100 * i);
        } else {
            for (unsigned n = 0; n <= GUESTS; n++)
                tap_skip("no such instruction", "%s", ways[i].name);
        }
    if ((have & 1) != 0)
        test_own_restore();
    tap_done();
}

/* counters.c: performance counters, IRPERF, MPERF and APERF, RDPRU, control-transfer recording and the banks of machine checks, without
 * guests. Instructions are counted exactly between two points. APM vol 2, 13.2 "Performance Monitoring Counters", 13.1.6
 * "Control-Transfer Breakpoint Features", 17.3 "Determining Processor Effective Frequency", 9.3 "Machine Check Architecture MSRs". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define CTL(n) (0xc0010200u + 2 * (n))
#define CTR(n) (0xc0010201u + 2 * (n))
#define OLD_CTL(n) (0xc0010000u + (n))
#define OLD_CTR(n) (0xc0010004u + (n))
#define INSNS UINT64_C(0xc0)
#define BRANCHES UINT64_C(0xc2)
#define TAKEN UINT64_C(0xc4)
#define USR (UINT64_C(1) << 16)
#define OS (UINT64_C(1) << 17)
#define INT (UINT64_C(1) << 20)
#define EN (UINT64_C(1) << 22)
#define GUEST (UINT64_C(1) << 40)
#define HOST (UINT64_C(1) << 41)
#define COUNTER_BITS UINT64_C(0xffffffffffff)
#define PERF_VECTOR 0x53

#define MSR_MPERF 0xe7u
#define MSR_APERF 0xe8u
#define MSR_MPERF_RO 0xc00000e7u
#define MSR_APERF_RO 0xc00000e8u
#define MSR_IRPERF 0xc00000e9u
#define MSR_HWCR 0xc0010015u
#define HWCR_IRPERF_EN (UINT64_C(1) << 30)
#define HWCR_MC_STATUS_WR_EN (UINT64_C(1) << 18)
#define MSR_DEBUGCTL 0x1d9u
#define MSR_BRANCH_FROM 0x1dbu
#define MSR_BRANCH_TO 0x1dcu
#define MSR_INT_FROM 0x1ddu
#define MSR_INT_TO 0x1deu
#define LBR 1u
#define BTF 2u
#define MSR_MCG_CAP 0x179u
#define MSR_MC_BANK(n) (0x400u + 4 * (n))

/* ---- between two points -------------------------------------------------------------------------------- */

/* A function that gives back how far counter 0 went from one RDPMC to the next; counted are the first of them, the MOV behind it, and
 * the text. */
#define BETWEEN(name, text)                                                                   \
    uint32_t name(void);                                                                      \
    __asm__(".text\n" #name ": pushq %rbx\n xorl %ecx, %ecx\n rdpmc\n movl %eax, %r8d\n" text \
            "\n xorl %ecx, %ecx\n rdpmc\n subl %r8d, %eax\n popq %rbx\n ret\n")
#define FRAME 3u /* RDPMC, MOV, XOR */

__asm__(".bss\n counters_source: .zero 256\n counters_target: .zero 256\n .text\n");

BETWEEN(b_nothing, "");
BETWEEN(b_nops, ".rept 100\n nop\n .endr");
BETWEEN(b_loop, "movl $1000, %ecx\n 1: loop 1b");
BETWEEN(b_nested,
        "movl $50, %eax\n 1: movl $20, %ecx\n 2: nop\n decl %ecx\n jnz 2b\n decl %eax\n jnz 1b");
BETWEEN(b_string,
        "movl $counters_source, %esi\n movl $counters_target, %edi\n movl $256, %ecx\n rep movsb");
BETWEEN(b_calls, "call 1f\n call 1f\n call 1f\n jmp 2f\n 1: ret\n 2:");
BETWEEN(b_jcc, "xorl %eax, %eax\n jnz 1f\n jz 1f\n nop\n nop\n 1: js 2f\n 2:");
BETWEEN(b_fault, "ud2"); /* its handler goes on behind it */
BETWEEN(b_cpuid, "xorl %eax, %eax\n cpuid\n rdtsc\n pause");

static const struct {
    const char *what;
    uint32_t (*body)(void);
    uint32_t insns, branches, taken;
} pieces[] = {
    { "nothing", b_nothing, 0, 0, 0 },
    { "100 NOPs", b_nops, 100, 0, 0 },
    { "1000 times LOOP", b_loop, 1001, 1000, 999 },
    { "a loop in a loop", b_nested, 1 + 50 * (1 + 3 * 20 + 2), 50 * 20 + 50, 50 * 19 + 49 },
    { "REP MOVSB of 256 bytes: one instruction", b_string, 4, 0, 0 },
    { "three times CALL and RET", b_calls, 7, 7, 7 },
    { "Jcc, taken and not", b_jcc, 4, 3, 1 },
    { "CPUID, RDTSC and PAUSE", b_cpuid, 4, 0, 0 },
};

static void set_counter(unsigned n, uint64_t control, uint64_t value)
{
    wrmsr(CTL(n), 0);
    wrmsr(CTR(n), value);
    wrmsr(CTL(n), control);
}

static void test_pieces(void)
{
    for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        set_counter(0, INSNS | OS | EN, 0);
        tap_eq(pieces[i].body(), FRAME + pieces[i].insns, "retired instructions of %s",
               pieces[i].what);
        set_counter(0, BRANCHES | OS | EN, 0);
        tap_eq(pieces[i].body(), pieces[i].branches, "retired branches of %s", pieces[i].what);
        set_counter(0, TAKEN | OS | EN, 0);
        tap_eq(pieces[i].body(), pieces[i].taken, "taken branches of %s", pieces[i].what);
    }
    set_counter(0, 0, 0);
}

static void skip_ud2(struct trap_frame *frame)
{
    frame->rip += 2;
}

/* What does not retire is not counted; its handler is. */
static void test_fault(void)
{
    uint32_t first, second;

    trap_set_handler(EXC_UD, skip_ud2);
    set_counter(0, INSNS | OS | EN, 0);
    first = b_fault();
    second = b_fault();
    tap_ok(first == second && first > FRAME + 20,
           "an exception: its handler is counted, always the same");
    trap_set_handler(EXC_UD, NULL);
}

/* ---- who counts ------------------------------------------------------------------------------------------ */

static uint8_t user_stack[1024] __attribute__((aligned(16)));
extern const char c_user[];
__asm__(".text\n c_user: movl $500, %ecx\n 1: loop 1b\n int $0x80\n");

static void test_levels(void)
{
    static const struct {
        uint64_t control;
        const char *what;
        bool user, kernel;
    } rows[] = {
        { USR, "USR counts above level 0", true, false },
        { OS, "OS counts level 0", false, true },
        { USR | OS, "both count both", true, true },
        { 0, "neither counts", false, false },
        { USR | OS | GUEST, "guests alone: not the host", false, false },
    };

    paging_allow_user(true);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t got;

        set_counter(1, INSNS | EN | rows[i].control, 0);
        trap_try_user((uintptr_t)c_user, SEL_USER_CODE64, (uintptr_t)user_stack + sizeof user_stack,
                      RFLAGS_ONE, 0, 0);
        got = rdmsr(CTR(1));
        if (rows[i].user && !rows[i].kernel)
            tap_ok(got == 501 || got == 502, "%s", rows[i].what); /* INT 0x80 is counted or not */
        else
            tap_ok(rows[i].user     ? got > 520
                   : rows[i].kernel ? got > 10 && got < 500
                                    : got == 0,
                   "%s", rows[i].what);
    }
    paging_allow_user(false);
    set_counter(1, 0, 0);
    set_counter(1, INSNS | OS, 0);
    b_nops();
    tap_eq(rdmsr(CTR(1)), 0, "without EN nothing counts");
}

static void rdpmc_of(void *arg)
{
    uint32_t low, high;

    __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"((uint32_t)(uintptr_t)arg));
}

extern const char c_user_rdpmc[];
__asm__(".text\n c_user_rdpmc: xorl %ecx, %ecx\n rdpmc\n int $0x80\n");

static uint32_t user_rdpmc(uint64_t cr4)
{
    uint64_t old = read_cr4();
    uint32_t vector;

    paging_allow_user(true);
    write_cr4(cr4);
    vector = trap_try_user((uintptr_t)c_user_rdpmc, SEL_USER_CODE64,
                           (uintptr_t)user_stack + sizeof user_stack, RFLAGS_ONE, 0, 0)
                 .vector;
    write_cr4(old);
    paging_allow_user(false);
    return vector;
}

static void test_registers(void)
{
    wrmsr(CTL(2), UINT64_MAX & ~EN);
    tap_eq(rdmsr(CTL(2)) & ~(UINT64_C(1) << 43), UINT64_C(0x0000030fff97ffff),
           "reserved bits of PERF_CTL read 0");
    wrmsr(CTR(2), UINT64_MAX);
    tap_eq(rdmsr(CTR(2)), COUNTER_BITS, "counters have 48 bits");
    tap_ok(rdmsr(OLD_CTR(2)) == COUNTER_BITS && rdmsr(OLD_CTL(2)) == rdmsr(CTL(2)),
           "the first four have a second set of numbers");
    wrmsr(OLD_CTL(2), 0);
    wrmsr(OLD_CTR(2), 5);
    tap_ok(rdmsr(CTR(2)) == 5 && rdmsr(CTL(2)) == 0, "which writes the same");
    tap_eq(trap_try(rdpmc_of, (void *)5).vector, EXC_NONE, "RDPMC of the sixth");
    tap_eq(trap_try(rdpmc_of, (void *)6).vector, EXC_GP, "RDPMC of a seventh: #GP");
    tap_eq(user_rdpmc(read_cr4() & ~CR4_PCE), EXC_GP, "RDPMC at CPL 3 without CR4.PCE: #GP");
    tap_eq(user_rdpmc(read_cr4() | CR4_PCE), 0x80, "RDPMC at CPL 3 with CR4.PCE");
}

/* ---- overflow --------------------------------------------------------------------------------------------- */

static volatile uint64_t overflow_rip, overflows;
extern const char o_nops[];
/* WRMSR with RDI as the counter's control starts it. */
void o_count(uint64_t control);
__asm__(
    ".text\n o_count: movl $0xc0010206, %ecx\n movl %edi, %eax\n movq %rdi, %rdx\n shrq $32, %rdx\n"
    "sti\n wrmsr\n o_nops: .rept 200\n nop\n .endr\n cli\n xorl %eax, %eax\n xorl %edx, %edx\n "
    "wrmsr\n ret\n");

static void on_overflow(struct trap_frame *frame)
{
    overflow_rip = frame->rip;
    overflows++;
    apic_eoi();
}

static void test_overflow(void)
{
    apic_init();
    trap_set_handler(PERF_VECTOR, on_overflow);
    apic_write(APIC_LVT_PERF, PERF_VECTOR);
    for (unsigned i = 1; i < 150; i += 37) {
        overflows = overflow_rip = 0;
        set_counter(3, 0, -(uint64_t)i & COUNTER_BITS);
        o_count(INSNS | OS | EN | INT);
        /* The WRMSR that starts it is the first. */
        tap_ok(overflows == 1 && overflow_rip == (uintptr_t)o_nops + i - 1,
               "overflow after %u instructions: the interrupt comes there", i);
    }
    overflows = 0;
    set_counter(3, 0, -UINT64_C(10) & COUNTER_BITS);
    o_count(INSNS | OS | EN);
    tap_ok(overflows == 0 && rdmsr(CTR(3)) < 1000, "without INT it goes on from 0");
    apic_write(APIC_LVT_PERF, PERF_VECTOR | APIC_LVT_MASKED);
    set_counter(3, 0, -UINT64_C(10) & COUNTER_BITS);
    o_count(INSNS | OS | EN | INT);
    tap_eq(overflows, 0, "masked in the local APIC no interrupt comes");
    set_counter(3, 0, 0);
}

/* ---- IRPERF, MPERF, APERF ------------------------------------------------------------------------------------ */

static uint64_t msr_between(uint32_t msr)
{
    uint64_t first = rdmsr(msr);

    __asm__ volatile(".rept 64\n nop\n .endr");
    return rdmsr(msr) - first;
}

static void write_ro(void *arg)
{
    wrmsr((uint32_t)(uintptr_t)arg, 1);
}

static struct cpuid_result rdpru(uint32_t which)
{
    struct cpuid_result r = { 0, 0, 0, 0 };
    uint64_t flags;

    __asm__ volatile(".byte 0x0f, 0x01, 0xfd\n pushfq\n popq %2"
                     : "=a"(r.eax), "=d"(r.edx), "=r"(flags)
                     : "c"(which));
    r.ebx = (uint32_t)flags & 0x8d5;
    return r;
}

extern const char c_user_rdpru[];
__asm__(".text\n c_user_rdpru: xorl %ecx, %ecx\n .byte 0x0f, 0x01, 0xfd\n int $0x80\n");

static uint32_t user_rdpru(uint64_t cr4)
{
    uint64_t old = read_cr4();
    uint32_t vector;

    paging_allow_user(true);
    write_cr4(cr4);
    vector = trap_try_user((uintptr_t)c_user_rdpru, SEL_USER_CODE64,
                           (uintptr_t)user_stack + sizeof user_stack, RFLAGS_ONE, 0, 0)
                 .vector;
    write_cr4(old);
    paging_allow_user(false);
    return vector;
}

/* rows: pitfalls 9.10 */
static void test_clocks(void)
{
    uint32_t features = cpuid_checked(0x80000008u, 0).ebx;
    bool irperf = (features >> 1 & 1) != 0, has_rdpru = (features >> 4 & 1) != 0;
    uint64_t hwcr = rdmsr(MSR_HWCR), one, two;

    if (irperf) {
        wrmsr(MSR_HWCR, hwcr & ~HWCR_IRPERF_EN);
        one = msr_between(MSR_IRPERF);
        wrmsr(MSR_HWCR, hwcr | HWCR_IRPERF_EN);
        two = msr_between(MSR_IRPERF);
        tap_ok(one == 0 && two >= 65 && two < 80 && msr_between(MSR_IRPERF) == two,
               "IRPERF counts instructions while HWCR.IRPerfEn is 1");
        wrmsr(MSR_HWCR, hwcr);
    } else {
        tap_skip("no IRPERF", "IRPERF");
    }
    tap_ok(msr_between(MSR_MPERF) == msr_between(MSR_APERF) && msr_between(MSR_MPERF) > 0,
           "MPERF and APERF run at the same pace");
    one = msr_between(MSR_MPERF_RO);
    wrmsr(MSR_MPERF, 0);
    tap_ok(rdmsr(MSR_MPERF) < 1000 && one == msr_between(MSR_MPERF_RO), "MPERF can be written");
    tap_ok(trap_try(write_ro, (void *)(uintptr_t)MSR_MPERF_RO).vector == EXC_GP &&
               trap_try(write_ro, (void *)(uintptr_t)MSR_APERF_RO).vector == EXC_GP,
           "the other numbers of both cannot: #GP");
    if (has_rdpru) {
        struct cpuid_result r = rdpru(0), none = rdpru(2);

        two = rdmsr(MSR_MPERF);
        one = (uint64_t)r.edx << 32 | r.eax;
        tap_ok(one < two && two - one < 100 && r.ebx == RFLAGS_CF,
               "RDPRU of MPERF: CF = 1, other flags 0");
        tap_ok(none.eax == 0 && none.edx == 0 && none.ebx == 0,
               "RDPRU of what does not exist: 0, CF = 0");
        tap_ok((cpuid_checked(0x80000008u, 0).edx >> 16) == 1, "CPUID says that APERF is the last");
        tap_ok(user_rdpru(read_cr4() & ~CR4_TSD) == 0x80 &&
                   user_rdpru(read_cr4() | CR4_TSD) == EXC_UD,
               "CR4.TSD takes RDPRU from CPL 3: #UD");
    } else {
        for (unsigned i = 0; i < 4; i++)
            tap_skip("no RDPRU", "RDPRU");
    }
}

/* ---- control-transfer recording ---------------------------------------------------------------------------------- */

extern const char l_jump[], l_target[], l_call[], l_callee[], l_ret[], l_back[], l_jcc[], l_not[],
    l_after[], l_ud2[];
#define LBR_ON "movl $0x1d9, %ecx\n xorl %edx, %edx\n movl $1, %eax\n wrmsr\n"
#define LBR_OFF "xorl %eax, %eax\n wrmsr\n ret\n"
void lbr_jump(void), lbr_call(void), lbr_ret(void), lbr_jcc(void);
void lbr_fault(void *arg), lbr_step(void *arg);
__asm__(".text\n lbr_jump: " LBR_ON "l_jump: jmp l_target\n nop\n l_target: " LBR_OFF
        "lbr_call: " LBR_ON
        "l_call: call l_callee\n ret\n l_callee: xorl %eax, %eax\n wrmsr\n ret\n"
        "lbr_ret: movl $0x1d9, %ecx\n xorl %edx, %edx\n call 1f\n l_back: " LBR_OFF
        "1: movl $1, %eax\n wrmsr\n l_ret: ret\n"
        "lbr_jcc: " LBR_ON
        "xorl %eax, %eax\n l_jcc: jz l_not\n nop\n l_not: jnz l_after\n l_after: " LBR_OFF
        "lbr_fault: " LBR_ON "jmp 1f\n nop\n 1: l_ud2: ud2\n"
        "lbr_step: " LBR_ON "jmp 1f\n nop\n 1: .byte 0xf1\n ret\n");

static void expect_branch(void (*body)(void), const char *from, const char *to, const char *what)
{
    body();
    tap_ok(rdmsr(MSR_BRANCH_FROM) == (uintptr_t)from && rdmsr(MSR_BRANCH_TO) == (uintptr_t)to,
           "last branch: %s", what);
}

static uint64_t debugctl_seen, from_seen, int_from_seen;

static void look_at_lbr(struct trap_frame *frame)
{
    (void)frame;
    debugctl_seen = rdmsr(MSR_DEBUGCTL);
    from_seen = rdmsr(MSR_BRANCH_FROM);
    int_from_seen = rdmsr(MSR_INT_FROM);
    wrmsr(MSR_DEBUGCTL, 0);
    if (frame->vector == EXC_UD)
        frame->rip += 2;
}

static void write_debugctl(void *arg)
{
    wrmsr(MSR_DEBUGCTL, (uintptr_t)arg);
}

static void test_lbr(void)
{
    uint64_t int_from;

    expect_branch(lbr_jump, l_jump, l_target, "JMP");
    expect_branch(lbr_call, l_call, l_callee, "CALL");
    expect_branch(lbr_ret, l_ret, l_back, "RET");
    expect_branch(lbr_jcc, l_jcc, l_not, "a Jcc that is taken, and not the next, which is not");
    b_nops();
    tap_eq(rdmsr(MSR_BRANCH_FROM), (uintptr_t)l_jcc, "without DEBUGCTL.LBR nothing is recorded");
    lbr_jump();
    trap_set_handler(EXC_UD, look_at_lbr);
    /* LBR_ON; JMP; UD2, whose handler comes back behind it: into lbr_step(). */
    trap_set_handler(EXC_DB, look_at_lbr);
    lbr_fault(NULL);
    trap_set_handler(EXC_UD, NULL);
    int_from = rdmsr(MSR_INT_FROM);
    tap_ok(int_from != 0 && rdmsr(MSR_INT_TO) == (uintptr_t)l_ud2,
           "an exception keeps the branch before it");
    tap_ok((debugctl_seen & (LBR | BTF)) == 0 &&
               from_seen == int_from + (uintptr_t)lbr_step - (uintptr_t)lbr_fault &&
               int_from_seen == int_from,
           "#DB ends the recording and changes nothing of it");
    trap_set_handler(EXC_DB, NULL);
    tap_eq(trap_try(write_debugctl, (void *)0x4).vector, EXC_GP, "DEBUGCTL, bit 2: #GP");
    tap_eq(trap_try(write_ro, (void *)(uintptr_t)MSR_BRANCH_FROM).vector, EXC_GP,
           "what is recorded cannot be written: #GP");
}

/* ---- machine checks ----------------------------------------------------------------------------------------------------- */

static void write_status(void *arg)
{
    wrmsr(MSR_MC_BANK((uintptr_t)arg) + 1, UINT64_C(1) << 63);
}

static void test_banks(void)
{
    unsigned banks = rdmsr(MSR_MCG_CAP) & 0xff;
    bool clean = true, guarded = true, writable = true;
    uint64_t hwcr = rdmsr(MSR_HWCR);

    for (unsigned n = 0; n < banks; n++) {
        clean = clean && (rdmsr(MSR_MC_BANK(n) + 1) >> 63) == 0;
        wrmsr(MSR_MC_BANK(n), UINT64_MAX);
        wrmsr(MSR_MC_BANK(n) + 1, 0);
        guarded = guarded && trap_try(write_status, (void *)(uintptr_t)n).vector == EXC_GP;
        wrmsr(MSR_HWCR, hwcr | HWCR_MC_STATUS_WR_EN);
        writable = writable && trap_try(write_status, (void *)(uintptr_t)n).vector == EXC_NONE &&
                   rdmsr(MSR_MC_BANK(n) + 1) >> 63 == 1;
        wrmsr(MSR_MC_BANK(n) + 1, 0);
        wrmsr(MSR_HWCR, hwcr);
    }
    tap_ok(banks > 0 && banks <= 32 && clean, "no bank of MCG_CAP holds an error");
    tap_ok(guarded, "STATUS of a bank takes nothing but 0: #GP");
    tap_ok(writable, "unless HWCR.McStatusWrEn is 1");
}

int rom_main(void)
{
    if ((cpuid_checked(0x80000001u, 0).ecx >> 23 & 1) != 0) {
        test_pieces();
        test_fault();
        test_levels();
        test_registers();
        test_overflow();
        test_clocks();
        test_lbr();
        test_banks();
    } else {
        tap_skip("no core performance counters", "counters");
    }
    tap_done();
}

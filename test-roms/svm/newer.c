/* newer.c: guests and the instructions of newer parts: RDPRU, MONITORX and MWAITX, MCOMMIT, INVLPGB and TLBSYNC, WBNOINVD, CLZERO, CLWB and
 * CLFLUSHOPT: intercepts, their place among the exceptions, nested faults. APM vol 2, 15.9 "Instruction Intercepts", 15.25.6 "Nested
 * versus Guest Page Faults, Fault Ordering", appendices B and C; vol 3 for each instruction. */
#include "test-roms/lib/apic.h"
#include "test-roms/svm/kit.h"

#define EXC VMCB_INTERCEPT_EXCEPTION
#define V3 VMCB_INTERCEPT_3
#define V4 VMCB_INTERCEPT_4
#define V5 VMCB_INTERCEPT_5
#define INTERCEPT4_RDPRU (1u << 14)
#define INTERCEPT5_INVLPGB (1u << 0)
#define INTERCEPT5_INVLPGB_ILLEGAL (1u << 1)
#define INTERCEPT5_MCOMMIT (1u << 3)
#define INTERCEPT5_TLBSYNC (1u << 4)
#define VMEXIT_RDPRU 0x8e
#define VMEXIT_INVLPGB 0xa0
#define VMEXIT_INVLPGB_ILLEGAL 0xa1
#define VMEXIT_MCOMMIT 0xa3
#define VMEXIT_TLBSYNC 0xa4
#define NESTED_TLBI (UINT64_C(1) << 7) /* in the word of NP_ENABLE */
#define SVM_FEATURE_TLBICTL (1u << 24)
#define EFER_MCOMMIT (UINT64_C(1) << 17)
#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define TIMER_VECTOR 0x50

#define CODE(name, setup, insn)      \
    extern const char name##_insn[]; \
    GUEST_CODE(name, setup "\n" #name "_insn: .byte " insn)

#define ZERO_REGISTERS "xorl %eax, %eax\n xorl %ecx, %ecx\n xorl %edx, %edx"
#define MONITORX "0x0f, 0x01, 0xfa"
#define MWAITX "0x0f, 0x01, 0xfb"
CODE(i_rdpru, ZERO_REGISTERS, "0x0f, 0x01, 0xfd");
CODE(i_monitorx, ZERO_REGISTERS "\n movq %rdi, %rax", MONITORX);
CODE(i_mwaitx, ZERO_REGISTERS, MWAITX);
CODE(i_mwaitx_armed, ZERO_REGISTERS "\n movq %rdi, %rax\n .byte " MONITORX, MWAITX);
CODE(i_mwaitx_timer,
     ZERO_REGISTERS "\n movq %rdi, %rax\n .byte " MONITORX "\n movl $2, %ecx\n movl $5000, %ebx\n"
                    "rdtsc\n movl %eax, %r8d",
     MWAITX "\n rdtsc\n subl %r8d, %eax\n movl %eax, %r8d");
CODE(i_mcommit, "", "0xf3, 0x0f, 0x01, 0xfa");
CODE(i_invlpgb, ZERO_REGISTERS, "0x0f, 0x01, 0xfe");
CODE(i_invlpgb_bad, ZERO_REGISTERS "\n movl $0xffff, %ecx", "0x0f, 0x01, 0xfe");
CODE(i_tlbsync, "", "0x0f, 0x01, 0xff");
CODE(i_wbnoinvd, "", "0xf3, 0x0f, 0x09");
CODE(i_rdpmc, ZERO_REGISTERS, "0x0f, 0x33");
CODE(i_clzero, "movq %rdi, %rax", "0x0f, 0x01, 0xfc");
CODE(i_clwb, "", "0x66, 0x0f, 0xae, 0x37");
CODE(i_clflushopt, "", "0x66, 0x0f, 0xae, 0x3f");
CODE(i_clflush, "", "0x0f, 0xae, 0x3f");

static struct svm_guest g;
static uint8_t page[4096] __attribute__((aligned(4096)));

/* ---- what there is ---------------------------------------------------------------------------------- */

static bool has(uint32_t leaf, uint32_t subleaf, unsigned reg, unsigned bit)
{
    struct cpuid_result r = cpuid_checked(leaf, subleaf);
    uint32_t regs[4] = { r.eax, r.ebx, r.ecx, r.edx };

    return (regs[reg] >> bit & 1) != 0;
}

static bool has_ext(unsigned bit) /* CPUID Fn8000_0008 EBX */
{
    return has(0x80000008u, 0, 1, bit);
}

static bool has_rdpru(void)
{
    return has_ext(4);
}

static bool has_monitorx(void)
{
    return has(0x80000001u, 0, 2, 29);
}

static bool has_mcommit(void)
{
    return has_ext(8);
}

static bool has_invlpgb(void)
{
    return has_ext(3);
}

static bool has_tlbictl(void)
{
    return has_invlpgb() && svm_has(SVM_FEATURE_TLBICTL);
}

static bool has_wbnoinvd(void)
{
    return has_ext(9);
}

static bool has_counters(void)
{
    return has(0x80000001u, 0, 2, 23);
}

/* ---- intercepts ----------------------------------------------------------------------------------------- */

static const struct row {
    const char *name, *code, *insn;
    unsigned vector;
    uint32_t bits;
    uint64_t exitcode;
    unsigned length, otherwise; /* without the intercept: a vector, or EXC_NONE */
    uint32_t user;              /* at CPL 3 with it: a vector, or EXC_NONE for the exit */
    bool (*exists)(void);
} rows[] = {
    { "RDPRU", i_rdpru, i_rdpru_insn, V4, INTERCEPT4_RDPRU, VMEXIT_RDPRU, 3, EXC_NONE, EXC_NONE,
      has_rdpru },
    { "MONITORX", i_monitorx, i_monitorx_insn, V4, INTERCEPT4_MONITOR, VMEXIT_MONITOR, 3, EXC_NONE,
      EXC_NONE, has_monitorx },
    { "MWAITX", i_mwaitx, i_mwaitx_insn, V4, INTERCEPT4_MWAIT, VMEXIT_MWAIT, 3, EXC_NONE, EXC_NONE,
      has_monitorx },
    { "MWAITX of an armed monitor", i_mwaitx_armed, i_mwaitx_armed_insn, V4,
      INTERCEPT4_MWAIT | INTERCEPT4_MWAIT_ARMED, VMEXIT_MWAIT_ARMED, 3, 0x1000, EXC_NONE,
      has_monitorx },
    { "MCOMMIT", i_mcommit, i_mcommit_insn, V5, INTERCEPT5_MCOMMIT, VMEXIT_MCOMMIT, 4, EXC_NONE,
      EXC_NONE, has_mcommit },
    { "INVLPGB", i_invlpgb, i_invlpgb_insn, V5, INTERCEPT5_INVLPGB, VMEXIT_INVLPGB, 3, EXC_NONE,
      EXC_GP, has_invlpgb },
    { "INVLPGB with illegal operands", i_invlpgb_bad, i_invlpgb_bad_insn, V5,
      INTERCEPT5_INVLPGB_ILLEGAL, VMEXIT_INVLPGB_ILLEGAL, 3, EXC_GP, EXC_GP, has_invlpgb },
    { "INVLPGB with illegal operands, both", i_invlpgb_bad, i_invlpgb_bad_insn, V5,
      INTERCEPT5_INVLPGB | INTERCEPT5_INVLPGB_ILLEGAL, VMEXIT_INVLPGB, 3, EXC_GP, EXC_GP,
      has_invlpgb },
    { "TLBSYNC", i_tlbsync, i_tlbsync_insn, V5, INTERCEPT5_TLBSYNC, VMEXIT_TLBSYNC, 3, EXC_NONE,
      EXC_GP, has_tlbictl },
    { "WBNOINVD", i_wbnoinvd, i_wbnoinvd_insn, V4, INTERCEPT4_WBINVD, VMEXIT_WBINVD, 3, EXC_NONE,
      EXC_GP, has_wbnoinvd },
    { "RDPMC", i_rdpmc, i_rdpmc_insn, V3, INTERCEPT3_RDPMC, VMEXIT_RDPMC, 2, EXC_NONE, EXC_GP,
      has_counters },
};

static void begin(const char *code)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_NP_ENABLE, NESTED_TLBI);
    svm_set(&g, VMCB_EFER, svm_get(&g, VMCB_EFER) | (has_mcommit() ? EFER_MCOMMIT : 0));
    g.rdi = (uintptr_t)page + 100;
}

static void expect_vector(struct kit_end end, unsigned vector, const char *name, const char *what)
{
    if (vector == EXC_NONE)
        tap_ok(end.exitcode == VMEXIT_VMMCALL && end.event == NULL, "%s: %s, completes", name,
               what);
    else
        tap_ok(end.event != NULL && end.event->vector == vector && end.event->error == 0,
               "%s: %s, vector %u", name, what, vector);
}

/* rows: exit 1.2.10, 1.3.10-1.3.13, 1.3.15, 1.3.18-1.3.19, 1.3.21-1.3.22, 2.13-2.14, 2.24-2.27 */
static void check_row(const struct row *r)
{
    if (!r->exists()) {
        for (unsigned i = 0; i < 6; i++)
            tap_skip("no such instruction", "%s", r->name);
        return;
    }
    if (r->otherwise <= EXC_NONE) {
        begin(r->code);
        expect_vector(kit_run(&g), r->otherwise, r->name, "not intercepted");
    }
    begin(r->code);
    svm_intercept(&g, r->vector, r->bits);
    tap_eq(svm_run(&g), r->exitcode, "%s: exit code", r->name);
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)r->insn, "%s: RIP is at the instruction", r->name);
    tap_ok(svm_get(&g, VMCB_EXITINFO1) == 0 && svm_get(&g, VMCB_EXITINFO2) == 0,
           "%s: EXITINFO1 and EXITINFO2 are 0", r->name);
    tap_eq(svm_get(&g, VMCB_NRIP), (uintptr_t)r->insn + r->length, "%s: nRIP", r->name);
    begin(r->code);
    kit_guest_user(&g);
    svm_intercept(&g, r->vector, r->bits);
    if (r->user == EXC_NONE)
        tap_eq(svm_run(&g), r->exitcode, "%s: CPL 3, the intercept", r->name);
    else
        expect_vector(kit_run(&g), r->user, r->name, "CPL 3, before the intercept");
}

/* Started at the instruction, with registers and bits of CR4 and EFER that make it fault before its intercept. */
static void check_first(const struct row *r, unsigned vector, uint64_t rcx, uint64_t cr4_set,
                        bool user, const char *what)
{
    if (!r->exists()) {
        tap_skip("no such instruction", "%s", what);
        return;
    }
    begin(r->code);
    svm_set(&g, VMCB_RIP, (uintptr_t)r->insn);
    svm_set(&g, VMCB_RAX, (uintptr_t)page);
    svm_set(&g, VMCB_CR4, svm_get(&g, VMCB_CR4) | cr4_set);
    g.rcx = rcx;
    if (vector == EXC_UD && r->vector == V5)
        svm_set(&g, VMCB_EFER, svm_get(&g, VMCB_EFER) & ~EFER_MCOMMIT);
    if (user)
        kit_guest_user(&g);
    svm_intercept(&g, r->vector, r->bits);
    if (vector == EXC_NONE)
        tap_eq(svm_run(&g), r->exitcode, "%s", what);
    else
        expect_vector(kit_run(&g), vector, what, "before the intercept");
}

static void check_order(void)
{
    check_first(&rows[0], EXC_UD, 0, CR4_TSD, true, "RDPRU with CR4.TSD at CPL 3");
    check_first(&rows[0], EXC_NONE, 0, CR4_TSD, false,
                "RDPRU with CR4.TSD at CPL 0: the intercept");
    check_first(&rows[0], EXC_NONE, 99, 0, false,
                "RDPRU of a register that does not exist: the intercept");
    check_first(&rows[1], EXC_GP, 1, 0, false, "MONITORX with ECX = 1");
    check_first(&rows[2], EXC_GP, 4, 0, false, "MWAITX with ECX = 4");
    check_first(&rows[2], EXC_NONE, 3, 0, false, "MWAITX with ECX = 3: the intercept");
    check_first(&rows[4], EXC_UD, 0, 0, false, "MCOMMIT without EFER.MCOMMIT");
    check_first(&rows[10], EXC_NONE, 0, CR4_PCE, true,
                "RDPMC with CR4.PCE at CPL 3: the intercept");
    check_first(&rows[10], EXC_GP, 6, 0, false, "RDPMC of counter 6");
}

/* The hypervisor decides whether a guest has INVLPGB and TLBSYNC at all. */
static void check_tlbi(void)
{
    if (!has_tlbictl()) {
        tap_skip("no TLBICTL", "INVLPGB without its enable");
        tap_skip("no TLBICTL", "TLBSYNC without its enable");
        return;
    }
    begin(i_invlpgb);
    svm_set(&g, VMCB_NP_ENABLE, 0);
    svm_intercept(&g, V5, INTERCEPT5_INVLPGB);
    expect_vector(kit_run(&g), EXC_UD, "INVLPGB", "without its enable in the VMCB");
    begin(i_tlbsync);
    svm_set(&g, VMCB_NP_ENABLE, 0);
    svm_intercept(&g, V5, INTERCEPT5_TLBSYNC);
    expect_vector(kit_run(&g), EXC_UD, "TLBSYNC", "without its enable in the VMCB");
}

/* ---- effects ---------------------------------------------------------------------------------------------- */

static void check_rdpru(void)
{
    if (!has_rdpru()) {
        tap_skip("no RDPRU", "RDPRU in a guest");
        return;
    }
    begin(i_rdpru);
    svm_set(&g, VMCB_TSC_OFFSET, UINT64_C(1) << 60);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_OF | RFLAGS_ZF);
    svm_run(&g);
    tap_ok(g.rdx < 1u << 20 && (svm_get(&g, VMCB_RFLAGS) & 0x8d5) == RFLAGS_CF,
           "RDPRU in a guest: MPERF knows no TSC_OFFSET, CF is set and the others clear");
}

static void on_timer(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
}

static void check_mwaitx(void)
{
    if (!has_monitorx()) {
        for (unsigned i = 0; i < 4; i++)
            tap_skip("no MONITORX", "MWAITX in a guest");
        return;
    }
    begin(i_mwaitx_timer);
    kit_guest_user(&g);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "MWAITX of a guest at CPL 3: its timer ends the wait");
    tap_ok(g.r8 >= 5000 && g.r8 < 10000, "after as many counts of the TSC");
    apic_init();
    trap_set_handler(TIMER_VECTOR, on_timer);
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
    begin(i_mwaitx_armed);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_intercept(&g, V3, INTERCEPT3_INTR);
    g.host_if = true;
    apic_write(APIC_TIMER_INITIAL, 20000);
    tap_eq(svm_run(&g), VMEXIT_INTR,
           "MWAITX of a guest waits; an interrupt ends the wait and the guest");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)i_mwaitx_armed_end, "which goes on behind it");
    interrupts_on();
    cpu_pause();
    interrupts_off();
    apic_timer_stop();
}

/* ---- nested faults ------------------------------------------------------------------------------------------ */

static uint64_t *nested;
static volatile uint64_t *leaf;

static uint64_t run_at(const char *code, uint64_t flags)
{
    begin(code);
    svm_set_nested(&g, nested);
    *leaf = (uintptr_t)page | flags;
    memset(page, 0x55, sizeof page);
    return svm_run(&g);
}

static void expect_npf(uint64_t code, uint64_t info1, uint64_t at, const char *insn,
                       unsigned length, const char *what)
{
    tap_ok(code == VMEXIT_NPF && svm_get(&g, VMCB_EXITINFO1) == info1 &&
               svm_get(&g, VMCB_EXITINFO2) == (uintptr_t)page + at &&
               svm_get(&g, VMCB_RIP) == (uintptr_t)insn,
           "%s: NPF, EXITINFO and RIP", what);
    if (svm_has(SVM_FEATURE_DECODE_ASSISTS))
        tap_ok(svm_get8(&g, VMCB_INSN_BYTES) >= length &&
                   memcmp(g.vmcb + VMCB_INSN_BYTES + 1, insn, length) == 0,
               "%s: instruction bytes", what);
    else
        tap_skip("no decode assists", "%s: instruction bytes", what);
}

static bool line_is(uint8_t value)
{
    for (unsigned i = 64; i < 128; i++)
        if (page[i] != value)
            return false;
    return page[63] == 0x55 && page[128] == 0x55;
}

/* The fault names the first byte of the line. */
/* rows: pitfalls 9.9 */
static void check_clzero(void)
{
    if (!has_ext(0)) {
        for (unsigned i = 0; i < 8; i++)
            tap_skip("no CLZERO", "CLZERO");
        return;
    }
    tap_ok(run_at(i_clzero, PWU) == VMEXIT_VMMCALL && line_is(0),
           "CLZERO in a guest: the line that rAX points into");
    tap_eq(*leaf & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "CLZERO: A and D of the nested page");
    expect_npf(run_at(i_clzero, PAGE_P | PAGE_U), NPF_FINAL | PF_US | PF_RW | PF_P, 64,
               i_clzero_insn, 3, "CLZERO of a read-only nested page");
    tap_ok(line_is(0x55), "nothing is stored");
    *leaf |= PAGE_W;
    tap_ok(svm_run(&g) == VMEXIT_VMMCALL && line_is(0), "started again it is done");
    expect_npf(run_at(i_clzero, 0), NPF_FINAL | PF_US | PF_RW, 64, i_clzero_insn, 3,
               "CLZERO of no nested page");
}

/* They are loads of the byte, to page tables; at every level. */
static void check_flushes(void)
{
    static const struct {
        const char *name, *code, *insn;
        unsigned length, reg, bit;
        uint32_t leaf;
    } flushes[] = {
        { "CLFLUSH", i_clflush, i_clflush_insn, 3, 3, 19, 1 },
        { "CLFLUSHOPT", i_clflushopt, i_clflushopt_insn, 4, 1, 23, 7 },
        { "CLWB", i_clwb, i_clwb_insn, 4, 1, 24, 7 },
    };

    for (unsigned i = 0; i < 3; i++) {
        if (!has(flushes[i].leaf, 0, flushes[i].reg, flushes[i].bit)) {
            for (unsigned n = 0; n < 4; n++)
                tap_skip("no such instruction", "%s", flushes[i].name);
            continue;
        }
        tap_eq(run_at(flushes[i].code, PAGE_P | PAGE_U), VMEXIT_VMMCALL,
               "%s of a read-only nested page passes", flushes[i].name);
        tap_eq(*leaf & (PAGE_A | PAGE_D), PAGE_A, "%s: A, not D", flushes[i].name);
        expect_npf(run_at(flushes[i].code, 0), NPF_FINAL | PF_US, 100, flushes[i].insn,
                   flushes[i].length, flushes[i].name);
    }
}

int rom_main(void)
{
    kit_init();
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
    check_order();
    check_tlbi();
    check_rdpru();
    check_mwaitx();
    if (!svm_has(SVM_FEATURE_NP)) {
        tap_skip("no nested paging", "nested faults");
        tap_done();
    }
    nested = kit_nested_identity();
    leaf = paging_map(nested, (uintptr_t)page, (uintptr_t)page, PAGE_4K, PWU);
    check_clzero();
    check_flushes();
    tap_done();
}

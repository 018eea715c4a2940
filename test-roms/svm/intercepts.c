/* intercepts.c: every instruction intercept that a 64-bit guest can cause, set and clear, with RIP,
 * nRIP, EXITINFO1 and EXITINFO2, and the order against #UD and #GP.
 * APM vol 2, 15.9 "Instruction Intercepts", 15.8 "Decode Assists", appendix C. */
#include "test-roms/svm/kit.h"

#define GPR_VALID (UINT64_C(1) << 63)

/* Code: label, setup, the instruction under test. */
#define CODE(name, setup, insn)      \
    extern const char name##_insn[]; \
    GUEST_CODE(name, setup "\n" #name "_insn: " insn)

CODE(c_rd_cr0, "", "movq %cr0, %rbx");
CODE(c_rd_cr3, "", "movq %cr3, %r9");
CODE(c_rd_cr4, "", "movq %cr4, %rsi");
CODE(c_rd_cr8, "", "movq %cr8, %r15");
CODE(c_smsw, "", "smsw %ebx");
CODE(c_wr_cr0, "movq %cr0, %rbx", "movq %rbx, %cr0");
CODE(c_wr_cr3, "movq %cr3, %r9", "movq %r9, %cr3");
CODE(c_wr_cr4, "movq %cr4, %rdx", "movq %rdx, %cr4");
CODE(c_wr_cr8, "xorl %ecx, %ecx", "movq %rcx, %cr8");
CODE(c_clts, "", "clts");
CODE(c_lmsw, "smsw %ebx", "lmsw %bx");
CODE(c_cr0_ts, "movq %cr0, %rbx\nxorq $10, %rbx", "movq %rbx, %cr0");
CODE(c_cr0_am, "movq %cr0, %rbx\nxorq $0x40000, %rbx", "movq %rbx, %cr0");
CODE(c_rd_dr0, "", "movq %dr0, %rbx");
CODE(c_rd_dr6, "", "movq %dr6, %r10");
CODE(c_rd_dr7, "", "movq %dr7, %rsi");
CODE(c_wr_dr0, "xorl %ebx, %ebx", "movq %rbx, %dr0");
CODE(c_wr_dr7, "movl $0x400, %edi", "movq %rdi, %dr7");
CODE(c_sidt, "", "sidt -32(%rsp)");
CODE(c_sgdt, "", "sgdt -32(%rsp)");
CODE(c_sldt, "", "sldt %ebx");
CODE(c_str, "", "str %ebx");
CODE(c_lidt, "sidt -32(%rsp)", "lidt -32(%rsp)");
CODE(c_lgdt, "sgdt -32(%rsp)", "lgdt -32(%rsp)");
CODE(c_lldt, "xorl %ebx, %ebx", "lldt %bx");
CODE(c_ltr, "movl $0x50, %ebx", "ltr %bx");
CODE(c_rdtsc, "", "rdtsc");
CODE(c_rdpmc, "xorl %ecx, %ecx", "rdpmc");
CODE(c_pushf, "", "pushfq");
CODE(c_popf, "pushq $2", "popfq");
CODE(c_cpuid, "xorl %eax, %eax", "cpuid");
CODE(c_rsm, "", "rsm");
CODE(c_iret, "movq %rsp, %rbx\npushq $0x10\npushq %rbx\npushq $2\npushq $8\npushq $c_iret_end",
     "iretq");
CODE(c_int, "", "int $0x55");
CODE(c_int3cd, "", ".byte 0xcd, 3");
CODE(c_int3, "", "int3");
CODE(c_invd, "", "invd");
CODE(c_pause, "", "pause");
CODE(c_hlt, "", "hlt");
CODE(c_invlpg, "movl $0x123456, %ebx", "invlpg 16(%rbx)");
CODE(c_invlpga, "movl $0x123000, %eax\nxorl %ecx, %ecx", "invlpga %rax, %ecx");
CODE(c_rdmsr, "movl $0xc0000082, %ecx", "rdmsr");
CODE(c_wrmsr, "movl $0xc0000082, %ecx\nrdmsr", "wrmsr");
CODE(c_out, "xorl %eax, %eax\nmovl $0x80, %edx", "outb %al, %dx");
CODE(c_vmrun, "movl $0x200000, %eax", "vmrun %rax");
CODE(c_vmrun_bad, "movl $0x200008, %eax", "vmrun %rax");
CODE(c_vmload, "movl $0x200000, %eax", "vmload %rax");
CODE(c_vmload_bad, "movl $0x200008, %eax", "vmload %rax");
CODE(c_vmsave, "movl $0x1f00000, %eax", "vmsave %rax");
CODE(c_vmsave_bad, "movl $0x1f00008, %eax", "vmsave %rax");
CODE(c_vmmcall, "", "vmmcall");
CODE(c_stgi, "", "stgi");
CODE(c_clgi, "", "clgi\nstgi");
CODE(c_rdtscp, "", "rdtscp");
CODE(c_icebp, "", ".byte 0xf1");
CODE(c_wbinvd, "", "wbinvd");
CODE(c_monitor, "movl $0x100000, %eax\nxorl %ecx, %ecx\nxorl %edx, %edx", "monitor");
CODE(c_mwait, "xorl %eax, %eax\nxorl %ecx, %ecx", "mwait");
CODE(c_xsetbv, "xorl %ecx, %ecx\nmovl $1, %eax\nxorl %edx, %edx", "xsetbv");
CODE(c_xsetbv_bad, "movl $99, %ecx", "xsetbv");
CODE(c_invpcid, "pushq $0\npushq $0\nmovl $2, %eax", "invpcid (%rsp), %rax");
CODE(c_ud, "", "ud2");
CODE(c_gp, "", "movw $0x38, %ax\nmovw %ax, %ds");
CODE(c_div, "xorl %ecx, %ecx", "divl %ecx");
CODE(c_npx, "pushq $0x38", "popq %fs");
CODE(c_pf, "movabsq $0x7f1234567000, %rbx", "movl %eax, 8(%rbx)");

#define CR VMCB_INTERCEPT_CR
#define DR VMCB_INTERCEPT_DR
#define EXC VMCB_INTERCEPT_EXCEPTION
#define V3 VMCB_INTERCEPT_3
#define V4 VMCB_INTERCEPT_4
#define V5 VMCB_INTERCEPT_5
#define RETURNS 0x100u /* without the intercept the instruction completes */
#define RESUMED 0x200u /* completes only with an effect that the test cannot wait for: not run */

/* One intercept. `length` is the instruction's, for nRIP; 0: nRIP must be 0. `otherwise` is RETURNS
 * or the vector that the guest gets without the intercept. */
struct row {
    const char *name;
    const char *code, *insn;
    uint32_t vector, bits;
    uint64_t exitcode, info1, info2;
    uint32_t length, otherwise;
};

#define ROW(n, c, v, b, e, i1, len, o)         \
    {                                          \
        n, c, c##_insn, v, b, e, i1, 0, len, o \
    }

/* rows: svmop 1.1-1.8, vmcb 8.1, exit 1.1.1-1.1.4, 1.2.6-1.2.9, 1.2.11-1.2.21, 1.3.1-1.3.6,
 * 1.3.9-1.3.10, 2.3, 3.1.1-3.1.3, 3.2.1, 3.9.1, 6.1 */
static const struct row rows[] = {
    ROW("MOV from CR0", c_rd_cr0, CR, 1u << 0, 0x00, GPR_VALID | 3, 3, RETURNS),
    ROW("MOV from CR3", c_rd_cr3, CR, 1u << 3, 0x03, GPR_VALID | 9, 4, RETURNS),
    ROW("MOV from CR4", c_rd_cr4, CR, 1u << 4, 0x04, GPR_VALID | 6, 3, RETURNS),
    ROW("MOV from CR8", c_rd_cr8, CR, 1u << 8, 0x08, GPR_VALID | 15, 4, RETURNS),
    ROW("SMSW", c_smsw, CR, 1u << 0, 0x00, 0, 3, RETURNS),
    ROW("MOV to CR0", c_wr_cr0, CR, 1u << 16, 0x10, GPR_VALID | 3, 3, RETURNS),
    ROW("MOV to CR3", c_wr_cr3, CR, 1u << 19, 0x13, GPR_VALID | 9, 4, RETURNS),
    ROW("MOV to CR4", c_wr_cr4, CR, 1u << 20, 0x14, GPR_VALID | 2, 3, RETURNS),
    ROW("MOV to CR8", c_wr_cr8, CR, 1u << 24, 0x18, GPR_VALID | 1, 4, RETURNS),
    ROW("CLTS as CR0 write", c_clts, CR, 1u << 16, 0x10, 0, 2, RETURNS),
    ROW("LMSW as CR0 write", c_lmsw, CR, 1u << 16, 0x10, 0, 3, RETURNS),
    ROW("MOV from DR0", c_rd_dr0, DR, 1u << 0, 0x20, 3, 3, RETURNS),
    ROW("MOV from DR6", c_rd_dr6, DR, 1u << 6, 0x26, 10, 4, RETURNS),
    ROW("MOV from DR7", c_rd_dr7, DR, 1u << 7, 0x27, 6, 3, RETURNS),
    ROW("MOV to DR0", c_wr_dr0, DR, 1u << 16, 0x30, 3, 3, RETURNS),
    ROW("MOV to DR7", c_wr_dr7, DR, 1u << 23, 0x37, 7, 3, RETURNS),
    ROW("CR0 selective: AM changed", c_cr0_am, V3, INTERCEPT3_CR0_SEL_WRITE, 0x65, GPR_VALID | 3, 3,
        RETURNS),
    ROW("CR0 selective: LMSW without change", c_lmsw, V3, INTERCEPT3_CR0_SEL_WRITE, 0x65, 0, 3,
        RETURNS),
    ROW("SIDT", c_sidt, V3, INTERCEPT3_IDTR_READ, 0x66, 0, 5, RETURNS),
    ROW("SGDT", c_sgdt, V3, INTERCEPT3_GDTR_READ, 0x67, 0, 5, RETURNS),
    ROW("SLDT", c_sldt, V3, INTERCEPT3_LDTR_READ, 0x68, 0, 3, RETURNS),
    ROW("STR", c_str, V3, INTERCEPT3_TR_READ, 0x69, 0, 3, RETURNS),
    ROW("LIDT", c_lidt, V3, INTERCEPT3_IDTR_WRITE, 0x6a, 0, 5, RETURNS),
    ROW("LGDT", c_lgdt, V3, INTERCEPT3_GDTR_WRITE, 0x6b, 0, 5, RETURNS),
    ROW("LLDT", c_lldt, V3, INTERCEPT3_LDTR_WRITE, 0x6c, 0, 3, RETURNS),
    ROW("LTR before the descriptor is read", c_ltr, V3, INTERCEPT3_TR_WRITE, 0x6d, 0, 3, EXC_GP),
    ROW("RDTSC", c_rdtsc, V3, INTERCEPT3_RDTSC, 0x6e, 0, 2, RETURNS),
    ROW("PUSHF", c_pushf, V3, INTERCEPT3_PUSHF, 0x70, 0, 1, RETURNS),
    ROW("POPF", c_popf, V3, INTERCEPT3_POPF, 0x71, 0, 1, RETURNS),
    ROW("CPUID", c_cpuid, V3, INTERCEPT3_CPUID, 0x72, 0, 2, RETURNS),
    ROW("RSM outside SMM", c_rsm, V3, INTERCEPT3_RSM, 0x73, 0, 2, EXC_UD),
    ROW("IRET", c_iret, V3, INTERCEPT3_IRET, 0x74, 0, 2, RETURNS),
    ROW("INTn", c_int, V3, INTERCEPT3_INTN, 0x75, 0x55, 2, 0x55),
    ROW("INT 3 as CD 03", c_int3cd, V3, INTERCEPT3_INTN, 0x75, 3, 2, EXC_BP),
    ROW("INT3 (CC) as #BP", c_int3, EXC, 1u << 3, 0x43, 0, 1, EXC_BP),
    ROW("INVD", c_invd, V3, INTERCEPT3_INVD, 0x76, 0, 2, RESUMED),
    ROW("PAUSE", c_pause, V3, INTERCEPT3_PAUSE, 0x77, 0, 2, RETURNS),
    ROW("HLT", c_hlt, V3, INTERCEPT3_HLT, 0x78, 0, 1, RESUMED),
    ROW("INVLPG", c_invlpg, V3, INTERCEPT3_INVLPG, 0x79, 0x123466, 4, RETURNS),
    ROW("INVLPGA", c_invlpga, V3, INTERCEPT3_INVLPGA, 0x7a, 0, 3, RETURNS),
    ROW("VMRUN", c_vmrun, V4, INTERCEPT4_VMRUN, 0x80, 0, 3, RESUMED),
    ROW("VMMCALL", c_vmmcall, V4, INTERCEPT4_VMMCALL, 0x81, 0, 3, RESUMED),
    ROW("VMLOAD", c_vmload, V4, INTERCEPT4_VMLOAD, 0x82, 0, 3, RESUMED),
    ROW("VMSAVE", c_vmsave, V4, INTERCEPT4_VMSAVE, 0x83, 0, 3, RETURNS),
    ROW("STGI", c_stgi, V4, INTERCEPT4_STGI, 0x84, 0, 3, RETURNS),
    ROW("CLGI", c_clgi, V4, INTERCEPT4_CLGI, 0x85, 0, 3, RETURNS),
    ROW("ICEBP", c_icebp, V4, INTERCEPT4_ICEBP, 0x88, 0, 1, EXC_DB),
    ROW("WBINVD", c_wbinvd, V4, INTERCEPT4_WBINVD, 0x89, 0, 2, RETURNS),
    ROW("#UD exception", c_ud, EXC, 1u << EXC_UD, 0x46, 0, 0, EXC_UD),
    ROW("#DE exception", c_div, EXC, 1u << EXC_DE, 0x40, 0, 0, EXC_DE),
    ROW("#NP exception", c_npx, EXC, 1u << EXC_NP, 0x4b, SEL_NOT_PRESENT, 0, EXC_NP),
};

/* Rows that need a feature. */
static const struct row row_rdtscp =
    ROW("RDTSCP", c_rdtscp, V4, INTERCEPT4_RDTSCP, 0x87, 0, 3, RETURNS);
static const struct row row_monitor =
    ROW("MONITOR", c_monitor, V4, INTERCEPT4_MONITOR, 0x8a, 0, 3, RETURNS);
static const struct row row_mwait =
    ROW("MWAIT", c_mwait, V4, INTERCEPT4_MWAIT, 0x8b, 0, 3, RESUMED);
static const struct row row_xsetbv =
    ROW("XSETBV", c_xsetbv, V4, INTERCEPT4_XSETBV, 0x8d, 0, 3, RETURNS);
static const struct row row_xsetbv_bad = ROW("XSETBV before #GP for a wrong XCR", c_xsetbv_bad, V4,
                                             INTERCEPT4_XSETBV, 0x8d, 0, 3, EXC_GP);
static const struct row row_invpcid =
    ROW("INVPCID", c_invpcid, V5, INTERCEPT5_INVPCID, 0xa2, 0, 6, RETURNS);
static const struct row row_rdpmc =
    ROW("RDPMC", c_rdpmc, V3, INTERCEPT3_RDPMC, 0x6f, 0, 2, RETURNS);

static struct svm_guest g;
static uint64_t guest_cr4;

static void prepare(const struct row *r)
{
    kit_guest(&g, r->code);
    svm_set(&g, VMCB_CR4, guest_cr4);
}

static void check_without(const struct row *r)
{
    struct kit_end end;

    if (r->otherwise == RESUMED)
        return;
    prepare(r);
    end = kit_run(&g);
    if (r->otherwise == RETURNS)
        tap_ok(end.exitcode == VMEXIT_VMMCALL && end.event == NULL,
               "%s: not intercepted, completes", r->name);
    else
        tap_ok(end.event != NULL && end.event->vector == r->otherwise,
               "%s: not intercepted, vector %u", r->name, r->otherwise);
}

static void check_info(const struct row *r)
{
    bool from_assists = r->info1 != 0 && r->exitcode < VMEXIT_EXCP0;

    from_assists = from_assists || r->exitcode == VMEXIT_CR0_SEL_WRITE ||
                   r->exitcode == VMEXIT_SWINT || r->exitcode == VMEXIT_INVLPG;
    if (from_assists && !svm_has(SVM_FEATURE_DECODE_ASSISTS))
        tap_skip("no decode assists", "%s: EXITINFO1", r->name);
    else
        tap_eq(svm_get(&g, VMCB_EXITINFO1), r->info1, "%s: EXITINFO1", r->name);
    if (!svm_has(SVM_FEATURE_NRIPS))
        tap_skip("no NRIPS", "%s: nRIP", r->name);
    else
        tap_eq(svm_get(&g, VMCB_NRIP), r->length != 0 ? (uintptr_t)r->insn + r->length : 0,
               "%s: nRIP", r->name);
}

static void check_row(const struct row *r)
{
    uint64_t code;

    check_without(r);
    prepare(r);
    svm_intercept(&g, r->vector, r->bits);
    code = svm_run(&g);
    tap_eq(code, r->exitcode, "%s: exit code", r->name);
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)r->insn, "%s: RIP is at the instruction", r->name);
    check_info(r);
}

static void check_if(bool available, const struct row *r, const char *reason)
{
    if (available)
        check_row(r);
    else
        for (unsigned i = r->otherwise == RESUMED ? 1 : 0; i < 5; i++)
            tap_skip(reason, "%s", r->name);
}

/* ---- order against exceptions ------------------------------------------------------------------- */

/* Run with the intercept at CPL 3 and expect a vector in the guest, or an exit. */
static void order_user(const struct row *r, uint32_t vector)
{
    struct kit_end end;

    prepare(r);
    svm_set(&g, VMCB_RIP, (uintptr_t)r->insn);
    svm_set(&g, VMCB_RAX, 0x200000);
    g.rbx = 0x10;
    kit_guest_user(&g);
    svm_intercept(&g, r->vector, r->bits);
    end = kit_run(&g);
    if (vector == EXC_NONE)
        tap_eq(end.exitcode, r->exitcode, "CPL 3, %s: the intercept comes first", r->name);
    else
        tap_ok(end.event != NULL && end.event->vector == vector && end.event->error == 0,
               "CPL 3, %s: vector %u comes first", r->name, vector);
}

static const struct row *row_of(const char *code)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

/* rows: svmop 1.12, 1.14, exit 2.8, 2.12-2.13, 2.16-2.18, 2.20, 2.22-2.24 */
static void check_order(void)
{
    const char *const privileged[] = {
        c_rd_cr0, c_wr_cr0, c_wr_cr3, c_wr_cr8, c_clts, c_lmsw,   c_rd_dr0, c_wr_dr7,
        c_lidt,   c_lgdt,   c_lldt,   c_ltr,    c_invd, c_hlt,    c_invlpg, c_invlpga,
        c_vmrun,  c_vmload, c_vmsave, c_stgi,   c_clgi, c_wbinvd,
    };
    const char *const open[] = { c_rdtsc, c_pushf,   c_cpuid, c_pause, c_iret,
                                 c_int,   c_vmmcall, c_rsm,   c_sgdt,  c_sidt };
    struct kit_end end;

    for (unsigned i = 0; i < sizeof privileged / sizeof privileged[0]; i++)
        order_user(row_of(privileged[i]), EXC_GP);
    for (unsigned i = 0; i < sizeof open / sizeof open[0]; i++)
        order_user(row_of(open[i]), EXC_NONE);

    /* CR4.TSD: #GP before the RDTSC intercept. */
    prepare(row_of(c_rdtsc));
    kit_guest_user(&g);
    svm_set(&g, VMCB_CR4, guest_cr4 | CR4_TSD);
    svm_intercept(&g, V3, INTERCEPT3_RDTSC);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_GP, "CR4.TSD at CPL 3: #GP before RDTSC");
}

/* rAX that cannot be a VMCB: #GP before the intercept, unless the processor says otherwise. */
/* rows: svmop 1.13, exit 2.23 */
static void check_rax(void)
{
    static const struct {
        const char *name, *code;
        uint32_t bits;
        uint64_t exitcode;
    } table[] = {
        { "VMRUN", c_vmrun_bad, INTERCEPT4_VMRUN, VMEXIT_VMRUN },
        { "VMLOAD", c_vmload_bad, INTERCEPT4_VMLOAD, VMEXIT_VMLOAD },
        { "VMSAVE", c_vmsave_bad, INTERCEPT4_VMSAVE, VMEXIT_VMSAVE },
    };

    for (unsigned i = 0; i < 3; i++) {
        struct kit_end end;

        kit_guest(&g, table[i].code);
        svm_intercept(&g, V4, table[i].bits);
        end = kit_run(&g);
        if (svm_has(SVM_FEATURE_ADDR_CHECK))
            tap_eq(end.exitcode, table[i].exitcode, "%s with bad rAX: intercept first",
                   table[i].name);
        else
            tap_ok(end.event != NULL && end.event->vector == EXC_GP,
                   "%s with bad rAX: #GP before the intercept", table[i].name);
    }
}

/* ---- what the table cannot say ------------------------------------------------------------------- */

/* rows: vmcb 1.2.6, exit 2.11 */
static void check_cr0_selective(void)
{
    kit_guest(&g, c_cr0_ts);
    svm_intercept(&g, V3, INTERCEPT3_CR0_SEL_WRITE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "CR0 selective: only TS and MP changed, no exit");
    kit_guest(&g, c_clts);
    svm_set(&g, VMCB_CR0, read_cr0() | CR0_TS);
    svm_intercept(&g, V3, INTERCEPT3_CR0_SEL_WRITE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "CR0 selective: CLTS never exits");
    kit_guest(&g, c_cr0_am);
    svm_intercept(&g, V3, INTERCEPT3_CR0_SEL_WRITE);
    svm_intercept(&g, CR, 1u << 16);
    tap_eq(svm_run(&g), VMEXIT_CR0_WRITE, "CR0 selective and CR0 write: the latter is reported");
}

/* rows: vmcb 8.2, exit 4.9-4.10 */
static void check_page_fault(void)
{
    const uint64_t la = UINT64_C(0x7f1234567008);
    struct kit_end end;

    kit_guest(&g, c_pf);
    svm_set(&g, VMCB_CR2, 0x777);
    svm_intercept(&g, EXC, 1u << EXC_PF);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_PF, "#PF: exit code");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), PF_RW, "#PF: EXITINFO1 is the error code");
    tap_eq(svm_get(&g, VMCB_EXITINFO2), la, "#PF: EXITINFO2 is the linear address");
    tap_eq(svm_get(&g, VMCB_CR2), 0x777, "#PF: CR2 is not written before the exit");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)c_pf_insn, "#PF: RIP is at the instruction");
    if (svm_has(SVM_FEATURE_DECODE_ASSISTS))
        tap_ok(svm_get8(&g, VMCB_INSN_BYTES) >= 3 &&
                   memcmp(g.vmcb + VMCB_INSN_BYTES + 1, c_pf_insn, 3) == 0,
               "#PF: the instruction bytes are stored");
    else
        tap_skip("no decode assists", "#PF: the instruction bytes are stored");
    kit_guest(&g, c_pf);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_PF && end.event->error == PF_RW &&
               svm_get(&g, VMCB_CR2) == la,
           "#PF: not intercepted, delivered with CR2 and error code");
    kit_guest(&g, c_gp);
    svm_intercept(&g, EXC, 1u << EXC_NP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_NP, "MOV to DS of a descriptor with P=0: #NP exit");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), SEL_NOT_PRESENT, "its EXITINFO1 is the selector");
}

/* INTn does not test the exception intercept of its vector, ICEBP not that of #DB. */
/* rows: exit 2.5 */
static void check_not_matched(void)
{
    struct kit_end end;

    kit_guest(&g, c_int3cd);
    svm_intercept(&g, EXC, 1u << EXC_BP);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_BP, "INT 3 as CD 03 is no #BP intercept");
    kit_guest(&g, c_int3);
    svm_intercept(&g, V3, INTERCEPT3_INTN);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_BP, "INT3 (CC) is no INTn intercept");
}

/* A shutdown: a guest with an empty IDT that executes UD2. */
/* rows: exit 1.2.26, 2.33, 5.1-5.2 */
static void check_shutdown(void)
{
    kit_guest(&g, c_ud);
    svm_set_segment(&g, VMCB_IDTR, 0, 0, 0, 0);
    svm_intercept(&g, V3, INTERCEPT3_SHUTDOWN);
    tap_eq(svm_run(&g), VMEXIT_SHUTDOWN, "triple fault in the guest: exit code");
    kit_guest(&g, c_ud);
    svm_set_segment(&g, VMCB_IDTR, 0, 0, 0, 0);
    svm_intercept(&g, V3, INTERCEPT3_SHUTDOWN);
    svm_intercept(&g, EXC, 1u << EXC_DF);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_DF, "with the #DF intercept: it comes first");
    kit_guest(&g, c_ud);
    svm_set_segment(&g, VMCB_IDTR, 0, 0, 0, 0);
    svm_intercept(&g, EXC, 1u << EXC_GP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_GP, "with the #GP intercept: it comes first");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), EXC_UD * 8 + 2 + 1, "its error code: IDT, EXT, vector 6");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_V | EVENT_EXCEPTION | EXC_UD,
           "EXITINTINFO is the #UD in delivery");
}

/* EFER.SVME cannot be 0 in a guest, but VMMCALL without intercept is #UD. */
/* rows: svmop 1.15 */
static void check_vmmcall(void)
{
    struct kit_end end;

    kit_guest(&g, c_vmmcall);
    svm_set32(&g, VMCB_INTERCEPT_4, INTERCEPT4_VMRUN);
    svm_intercept(&g, EXC, 1u << EXC_UD);
    end = kit_run(&g);
    tap_eq(end.exitcode, VMEXIT_EXCP0 + EXC_UD, "VMMCALL not intercepted is #UD");
}

int rom_main(void)
{
    struct cpuid_result leaf1 = cpuid(1, 0), ext = cpuid_checked(0x80000001u, 0);
    bool xsave = (leaf1.ecx >> 26 & 1) != 0;

    kit_init();
    guest_cr4 = read_cr4();
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
    check_if((ext.edx >> 27 & 1) != 0, &row_rdtscp, "no RDTSCP");
    check_if((leaf1.ecx >> 3 & 1) != 0, &row_monitor, "no MONITOR");
    check_if((leaf1.ecx >> 3 & 1) != 0, &row_mwait, "no MONITOR");
    check_if((ext.ecx >> 23 & 1) != 0 || (cpuid(0, 0).ebx == 0x68747541), &row_rdpmc, "no RDPMC");
    check_if((cpuid_checked(7, 0).ebx >> 10 & 1) != 0, &row_invpcid, "no INVPCID");
    guest_cr4 |= xsave ? CR4_OSXSAVE : 0;
    check_if(xsave, &row_xsetbv, "no XSAVE");
    check_if(xsave, &row_xsetbv_bad, "no XSAVE");
    guest_cr4 = read_cr4();
    check_order();
    check_rax();
    check_cr0_selective();
    check_page_fault();
    check_not_matched();
    check_shutdown();
    check_vmmcall();
    tap_done();
}

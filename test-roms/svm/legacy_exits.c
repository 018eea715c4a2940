/* legacy_exits.c: intercepted instructions in real, virtual-8086 and 16-bit protected mode: where they exit, with what
 * information, and that nRIP leads on. APM vol 2, 15.7.1 "State Saved on Exit", 15.9 "Instruction Intercepts", 15.10.2
 * "IN and OUT Behavior". */
#include "test-roms/svm/mode_kit.h"

#define CR(n) (VMEXIT_CR0_READ + (n))
#define WRITE 16

/* One instruction each: label x_<name>_insn, and what goes before it. */
#define INSN(name, before, text) MODE_CODE16(x_##name, before "\n x_" #name "_insn: " text "\n nop")
INSN(pushf, "", "pushfw");
INSN(popf, "pushw $2", "popfw");
INSN(iret, "pushw $2\n pushw %cs\n pushw $x_iret_end", "iretw");
INSN(int, "", "int $0x21");
INSN(cpuid, "", "cpuid");
INSN(pause, "", "pause");
INSN(rsm, "", "rsm");
INSN(icebp, "", ".byte 0xf1");
INSN(sgdt, "", "sgdtw 0x500");
INSN(sidt, "", "sidtw 0x500");
INSN(smsw, "", "smsww %ax");
INSN(rdtsc, "", "rdtsc");
INSN(rdtscp, "", "rdtscp");
INSN(lgdt, "", "lgdtw 0x500");
INSN(lidt, "", "lidtw 0x500");
INSN(lmsw, "smsww %ax", "lmsw %ax");
INSN(clts, "", "clts");
INSN(read_cr0, "", "movl %cr0, %edi");
INSN(write_cr0, "movl %cr0, %esi\n xorl $0x10000, %esi", "movl %esi, %cr0");
INSN(write_cr0_ts, "movl %cr0, %esi\n xorl $8, %esi", "movl %esi, %cr0");
INSN(write_cr3, "", "movl %ebx, %cr3");
INSN(write_cr4, "xorl %ebp, %ebp", "movl %ebp, %cr4");
INSN(read_cr8, "", ".byte 0xf0, 0x0f, 0x20, 0xc2"); /* LOCK MOV EDX, CR0 */
INSN(read_dr6, "", "movl %db6, %ecx");
INSN(write_dr7, "movl $0x400, %edx", "movl %edx, %db7");
INSN(hlt, "", "hlt");
INSN(invd, "", "invd");
INSN(wbinvd, "", "wbinvd");
INSN(invlpg, "movw $0x60, %ax\n movw %ax, %es\n movw $0x123, %bx", "invlpg %es:(%bx)");
INSN(rdmsr, "movl $0xdead, %ecx", "rdmsr");
INSN(wrmsr, "movl $0xdead, %ecx", "wrmsr");
INSN(monitor, "xorl %ecx, %ecx\n xorl %eax, %eax\n xorl %edx, %edx", "monitor %eax, %ecx, %edx");
INSN(mwait, "xorl %ecx, %ecx\n xorl %eax, %eax", "mwait %eax, %ecx");
INSN(vmmcall, "", "vmmcall");
INSN(sldt, "", "sldtw %ax");
INSN(str, "", "strw %ax");
INSN(lldt, "xorw %ax, %ax", "lldt %ax");
INSN(ltr, "xorw %ax, %ax", "ltr %ax");
INSN(stgi, "", "stgi");
INSN(clgi, "", "clgi");
INSN(in8, "", "inb $0x71, %al");
INSN(out16, "movw $0x1f0, %dx", "outw %ax, %dx");
INSN(in32, "movw $0xcfc, %dx", "inl %dx, %eax");
INSN(out8a32, "movw $0x70, %dx", ".byte 0x67, 0xee");
INSN(insb, "movw $0x1f0, %dx", "insb");
INSN(repinsw, "movw $0x1f0, %dx\n movw $5, %cx", "rep insw");
INSN(outsb, "movw $0x1f0, %dx", "outsb");
INSN(outscs, "movw $0x1f0, %dx", "outsw %cs:(%si), %dx");
INSN(repoutsd, "movw $0x1f0, %dx\n movw $2, %cx", "rep outsl %fs:(%si), %dx");
INSN(repnone, "movw $0x1f0, %dx\n movl $0x10000, %ecx", "rep outsb");
MODE_CODE16(x_gp, "x_gp_insn: cli");

static struct svm_guest g;
static uint8_t *iopm;

struct row {
    const char *code, *insn, *end, *name;
    unsigned length, word;
    uint32_t bits;
    uint64_t exit, info1;
};
#define ROW(name, length, word, bits, exit, info1)                                        \
    {                                                                                     \
        x_##name, x_##name##_insn, x_##name##_end, #name, length, word, bits, exit, info1 \
    }
#define IN3(name, length, bit, exit) ROW(name, length, VMCB_INTERCEPT_3, INTERCEPT3_##bit, exit, 0)
#define IN4(name, length, bit, exit) ROW(name, length, VMCB_INTERCEPT_4, INTERCEPT4_##bit, exit, 0)
#define MOV UINT64_C(0x8000000000000000)

/* In every 16-bit mode, whatever IOPL is. */
static const struct row everywhere[] = {
    IN3(pushf, 1, PUSHF, VMEXIT_PUSHF),
    IN3(popf, 1, POPF, VMEXIT_POPF),
    IN3(iret, 1, IRET, VMEXIT_IRET),
    ROW(int, 2, VMCB_INTERCEPT_3, INTERCEPT3_INTN, VMEXIT_SWINT, 0x21),
    IN3(cpuid, 2, CPUID, VMEXIT_CPUID),
    IN3(pause, 2, PAUSE, VMEXIT_PAUSE),
    IN3(rsm, 2, RSM, VMEXIT_RSM),
    IN4(icebp, 1, ICEBP, VMEXIT_ICEBP),
    IN3(sgdt, 5, GDTR_READ, VMEXIT_GDTR_READ),
    IN3(sidt, 5, IDTR_READ, VMEXIT_IDTR_READ),
    ROW(smsw, 3, VMCB_INTERCEPT_CR, 1, VMEXIT_CR0_READ, 0),
    IN3(rdtsc, 2, RDTSC, VMEXIT_RDTSC),
    IN4(rdtscp, 3, RDTSCP, VMEXIT_RDTSCP),
    IN4(vmmcall, 3, VMMCALL, VMEXIT_VMMCALL),
};

/* At CPL 0: real mode and protected mode. */
static const struct row privileged[] = {
    IN3(lgdt, 5, GDTR_WRITE, VMEXIT_GDTR_WRITE),
    IN3(lidt, 5, IDTR_WRITE, VMEXIT_IDTR_WRITE),
    IN3(lmsw, 3, CR0_SEL_WRITE, VMEXIT_CR0_SEL_WRITE),
    ROW(lmsw, 3, VMCB_INTERCEPT_CR, 1u << WRITE, VMEXIT_CR0_WRITE, 0),
    ROW(clts, 2, VMCB_INTERCEPT_CR, 1u << WRITE, VMEXIT_CR0_WRITE, 0),
    ROW(read_cr0, 3, VMCB_INTERCEPT_CR, 1, VMEXIT_CR0_READ, MOV | 7),
    ROW(write_cr0, 3, VMCB_INTERCEPT_CR, 1u << WRITE, VMEXIT_CR0_WRITE, MOV | 6),
    ROW(write_cr0, 3, VMCB_INTERCEPT_3, INTERCEPT3_CR0_SEL_WRITE, VMEXIT_CR0_SEL_WRITE, MOV | 6),
    ROW(write_cr3, 3, VMCB_INTERCEPT_CR, 8u << WRITE, CR(3 + WRITE), MOV | 3),
    ROW(write_cr4, 3, VMCB_INTERCEPT_CR, 16u << WRITE, CR(4 + WRITE), MOV | 5),
    ROW(read_cr8, 4, VMCB_INTERCEPT_CR, 1u << 8, CR(8), MOV | 2),
    ROW(read_dr6, 3, VMCB_INTERCEPT_DR, 1u << 6, VMEXIT_DR0_READ + 6, 1),
    ROW(write_dr7, 3, VMCB_INTERCEPT_DR, 1u << (7 + WRITE), VMEXIT_DR0_WRITE + 7, 2),
    IN3(hlt, 1, HLT, VMEXIT_HLT),
    IN3(invd, 2, INVD, VMEXIT_INVD),
    IN4(wbinvd, 2, WBINVD, VMEXIT_WBINVD),
    IN3(rdmsr, 2, MSR_PROT, VMEXIT_MSR),
    ROW(wrmsr, 2, VMCB_INTERCEPT_3, INTERCEPT3_MSR_PROT, VMEXIT_MSR, 1),
    IN4(monitor, 4, MONITOR, VMEXIT_MONITOR),
    IN4(mwait, 3, MWAIT, VMEXIT_MWAIT),
};

/* Protected mode has these, real mode has not. */
static const struct row protected[] = {
    IN3(sldt, 3, LDTR_READ, VMEXIT_LDTR_READ),
    IN3(str, 3, TR_READ, VMEXIT_TR_READ),
    IN3(lldt, 3, LDTR_WRITE, VMEXIT_LDTR_WRITE),
    IN3(ltr, 3, TR_WRITE, VMEXIT_TR_WRITE),
    IN4(stgi, 3, STGI, VMEXIT_STGI),
    IN4(clgi, 3, CLGI, VMEXIT_CLGI),
};

#define IO(name, length, port, info) \
    ROW(name, length, VMCB_INTERCEPT_3, INTERCEPT3_IOIO_PROT, VMEXIT_IOIO, (port) << 16 | (info))
#define A16 0x80u
#define A32 0x100u
#define SEG(n) ((unsigned)(n) << 10)
static const struct row ports[] = {
    IO(in8, 2, 0x71u, IOIO_IN | IOIO_SZ8 | A16),
    IO(out16, 1, 0x1f0u, IOIO_SZ16 | A16),
    IO(in32, 2, 0xcfcu, IOIO_IN | IOIO_SZ32 | A16),
    IO(out8a32, 2, 0x70u, IOIO_SZ8 | A32),
    IO(insb, 1, 0x1f0u, IOIO_IN | IOIO_STR | IOIO_SZ8 | A16),
    IO(repinsw, 2, 0x1f0u, IOIO_IN | IOIO_STR | IOIO_REP | IOIO_SZ16 | A16),
    IO(outsb, 1, 0x1f0u, IOIO_STR | IOIO_SZ8 | A16 | SEG(3)),
    IO(outscs, 2, 0x1f0u, IOIO_STR | IOIO_SZ16 | A16 | SEG(1)),
    IO(repoutsd, 4, 0x1f0u, IOIO_STR | IOIO_REP | IOIO_SZ32 | A16 | SEG(4)),
};

static const char *mode_name(enum mode mode)
{
    return mode == MODE_REAL ? "real mode" : mode == MODE_V86 ? "virtual-8086 mode" : "16-bit code";
}

static void prepare(enum mode mode, const char *code, unsigned iopl)
{
    struct modes_state *m = modes_begin(mode, code);

    if (mode == MODE_V86) {
        m->rflags = (m->rflags & ~RFLAGS_IOPL) | iopl << 12;
        modes_open_ports();
    }
    guest_make(&g, false);
    if (iopm == NULL)
        iopm = kit_iopm(&g);
    memset(iopm, 0xff, 8193);
    svm_set(&g, VMCB_IOPM_BASE_PA, (uintptr_t)iopm);
    svm_set32(&g, VMCB_INTERCEPT_4, INTERCEPT4_VMRUN);
    svm_set32(&g, VMCB_INTERCEPT_3, 0);
}

static void check(enum mode mode, const struct row *row, unsigned iopl)
{
    uint64_t next = (uintptr_t)row->insn + row->length;
    bool io = row->exit == VMEXIT_IOIO, at, told, on;

    prepare(mode, row->code, iopl);
    svm_intercept(&g, row->word, row->bits);
    at = guest_run(&g) == row->exit && svm_get(&g, VMCB_RIP) == (uintptr_t)row->insn;
    told = svm_get(&g, VMCB_EXITINFO1) == row->info1 &&
           svm_get(&g, VMCB_EXITINFO2) == (io ? next : 0) && svm_get(&g, VMCB_EXITINTINFO) == 0;
    on = svm_get(&g, VMCB_NRIP) == next;
    if (!tap_ok(at && told && on, "%s: %s exits with %x", mode_name(mode), row->name,
                (unsigned)row->exit))
        rom_printf("#   exit %lx at %lx, info %lx %lx, nRIP %lx\n", svm_get(&g, VMCB_EXITCODE),
                   svm_get(&g, VMCB_RIP), svm_get(&g, VMCB_EXITINFO1), svm_get(&g, VMCB_EXITINFO2),
                   svm_get(&g, VMCB_NRIP));
    svm_set(&g, VMCB_RIP, svm_get(&g, VMCB_NRIP));
    guest_pass(&g, row->end, "and goes on behind it");
}

static void check_all(enum mode mode, const struct row *rows, unsigned count, unsigned iopl)
{
    for (unsigned i = 0; i < count; i++)
        check(mode, &rows[i], iopl);
}
#define CHECK_ALL(mode, rows, iopl) check_all(mode, rows, sizeof rows / sizeof rows[0], iopl)

/* What never exits though its intercept is set. */
static void test_no_exit(void)
{
    prepare(MODE_REAL, x_write_cr0_ts, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CR0_SEL_WRITE);
    guest_pass(&g, x_write_cr0_ts_end, "MOV CR0 that changes TS alone is not selected");
    prepare(MODE_REAL, x_clts, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CR0_SEL_WRITE);
    guest_pass(&g, x_clts_end, "nor is CLTS");
    prepare(MODE_REAL, x_repnone, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_IOIO_PROT);
    guest_pass(&g, x_repnone_end, "REP OUTS with CX = 0 exits at no port");
    prepare(MODE_V86, x_gp, 0);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, x_gp_insn, "CLI with IOPL 0 has no intercept but #GP");
    prepare(MODE_V86, x_int, 0);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, x_int_insn, "nor has INT n then");
    prepare(MODE_V86, x_in8, 0);
    modes_tss[0x88 + 0x71 / 8] = 1u << (0x71 % 8);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_IOIO_PROT);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, x_in8_insn, "the map of the TSS comes before the IOPM");
    prepare(MODE_REAL, x_sldt, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_LDTR_READ);
    guest_exits(&g, VMEXIT_UD, x_sldt_insn, "SLDT in real mode is #UD");
    prepare(MODE_V86, x_hlt, 3);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_HLT);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, x_hlt_insn, "HLT in virtual-8086 mode is #GP");
}

/* The linear address of INVLPG has its segment's base. */
static void test_invlpg(void)
{
    prepare(MODE_REAL, x_invlpg, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INVLPG);
    guest_exits(&g, VMEXIT_INVLPG, x_invlpg_insn, "INVLPG in real mode");
    guest_field(&g, VMCB_EXITINFO1, 0x723, "tells segment base + offset");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_NRIPS) || !svm_has(SVM_FEATURE_DECODE_ASSISTS)) {
        tap_skip("no nRIP or no decode assists", "everything");
        tap_done();
    }
    CHECK_ALL(MODE_REAL, everywhere, 0);
    CHECK_ALL(MODE_V86, everywhere, 0);
    CHECK_ALL(MODE_V86, everywhere, 3);
    CHECK_ALL(MODE_PROT16, everywhere, 0);
    CHECK_ALL(MODE_REAL, privileged, 0);
    CHECK_ALL(MODE_PROT16, privileged, 0);
    CHECK_ALL(MODE_PROT16, protected, 0);
    CHECK_ALL(MODE_REAL, ports, 0);
    CHECK_ALL(MODE_V86, ports, 0);
    CHECK_ALL(MODE_V86, ports, 3);
    CHECK_ALL(MODE_PROT16, ports, 0);
    test_invlpg();
    test_no_exit();
    tap_done();
}

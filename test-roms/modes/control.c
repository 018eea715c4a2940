/* control.c: control registers, EFER, and the ways between modes. APM vol 2, 3.1 "System-Control Registers",
 * 14.6 "Enabling and Activating Long Mode", 14.7 "Leaving Long Mode".
 * QEMU 7.2 takes combinations that are #GP here, and then ends or hangs: run this where the rules hold. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define CR0_RESERVED UINT64_C(0x8000)
#define CR4_RESERVED UINT64_C(0x80000000)
#define CR4_LA57 UINT64_C(0x1000)

/* MOV of EAX or RAX, and reading back into EBX. */
#define WRITE_READ(name, reg)                                                            \
    MODE_CODE32(name##32, #name "32_insn: movl %eax, %" #reg "\n movl %" #reg ", %ebx"); \
    MODE_CODE64(name##64, #name "64_insn: movq %rax, %" #reg "\n movq %" #reg ", %rbx")
WRITE_READ(cr0_, cr0);
WRITE_READ(cr2_, cr2);
WRITE_READ(cr3_, cr3);
WRITE_READ(cr4_, cr4);
MODE_CODE64(cr8_64, "cr8_64_insn: movq %rax, %cr8\n movq %cr8, %rbx");
MODE_CODE32(efer32, "movl $0xc0000080, %ecx\n xorl %edx, %edx\n efer32_insn: wrmsr\n rdmsr\n"
                    "movl %eax, %ebx");
MODE_CODE64(efer64, "movl $0xc0000080, %ecx\n xorl %edx, %edx\n efer64_insn: wrmsr\n rdmsr\n"
                    "movl %eax, %ebx");
MODE_CODE32(lmsw32, "lmsw %ax\n movl %cr0, %ebx");
MODE_CODE16(lmsw16, "movl %cr0, %ecx\n lmsw %ax\n smsw %bx\n movl %ecx, %cr0");
MODE_CODE32(clts32, "movl %cr0, %eax\n orb $8, %al\n movl %eax, %cr0\n clts\n movl %cr0, %ebx");
/* Into long mode from paging off: EFER.LME is set by the test. */
MODE_CODE32(activate, "movl %eax, %cr0\n activate_insn: movl $0xc0000080, %ecx\n rdmsr\n"
                      "movl %eax, %ebx\n movl %cr0, %eax\n btrl $31, %eax\n movl %eax, %cr0\n"
                      "rdmsr\n movl %eax, %esi");
MODE_CODE32(refused, "refused_insn: movl %eax, %cr0");
MODE_CODE32(to_long, "movl %eax, %cr0\n ljmp $0x08, $to_long64\n.code64\nto_long64:\n"
                     "movabsq $0x123456789abcdef0, %r9\n movq %r9, %rdi\n pushq $0x30\n"
                     "pushq $to_long_back\n lretq\n.code32\nto_long_back: movl %cr0, %eax\n"
                     "btrl $31, %eax\n movl %eax, %cr0\n incl %edi");
MODE_CODE64(set_cr3_bit, "movq %cr3, %rax\n orq %rcx, %rax\n set_cr3_bit_insn: movq %rax, %cr3");

static struct mode_event with(enum mode mode, const char *code, uint64_t value)
{
    modes_begin(mode, code)->regs[M_AX] = value;
    return modes_run();
}

static void refuses(enum mode mode, const char *code, const char *insn, uint64_t value,
                    const char *what)
{
    struct mode_event e = with(mode, code, value);

    modes_expect(&e, EXC_GP, 0, insn, what);
}

static void takes(enum mode mode, const char *code, const char *end, uint64_t value, uint64_t want,
                  const char *what)
{
    struct mode_event e = with(mode, code, value);

    modes_expect(&e, EXC_UD, 0, end, what);
    tap_eq(modes_reg(M_BX), want, "and this is read back");
}
#define REFUSES(mode, name, value, what) refuses(mode, name, name##_insn, value, what)
#define TAKES(mode, name, value, want, what) takes(mode, name, name##_end, value, want, what)

static void test_cr0(void)
{
    const uint64_t cr0 = CR0_PE | CR0_ET | CR0_NE, here = read_cr0();

    /* rows: pitfalls 5.2, events 12.1 */
    REFUSES(MODE_PROT32, cr0_32, CR0_PG | CR0_ET, "CR0: PG=1 with PE=0 is #GP(0)");
    REFUSES(MODE_PROT32, cr0_32, cr0 | CR0_NW, "CR0: NW=1 with CD=0 is #GP(0)");
    TAKES(MODE_PROT32, cr0_32, cr0 | CR0_CD, cr0 | CR0_CD, "CR0: CD=1 with NW=0");
    TAKES(MODE_PROT32, cr0_32, cr0 | CR0_CD | CR0_NW, cr0 | CR0_CD | CR0_NW, "CR0: CD=1 with NW=1");
    REFUSES(MODE_LONG, cr0_64, here | UINT64_C(1) << 32, "CR0: bit 32 is #GP(0)");
    REFUSES(MODE_LONG, cr0_64, here | UINT64_C(1) << 63, "CR0: bit 63 is #GP(0)");
    REFUSES(MODE_LONG, cr0_64, here & ~CR0_PG, "CR0: clearing PG in 64-bit mode is #GP(0)");
    REFUSES(MODE_LONG, cr0_64, here & ~CR0_PE, "CR0: clearing PE with PG=1 is #GP(0)");
    /* rows: pitfalls 5.3, pitfalls 5.4 */
    TAKES(MODE_PROT32, cr0_32, (cr0 & ~CR0_ET) | CR0_RESERVED, cr0,
          "CR0: ET and bit 15 are not written");
    /* rows: pitfalls 5.5, events 12.2 */
    TAKES(MODE_PROT32, lmsw32, 0, CR0_PE | CR0_ET | CR0_NE, "LMSW 0 clears MP, leaves PE");
    TAKES(MODE_PROT32, lmsw32, 0xffff, cr0 | CR0_MP | CR0_EM | CR0_TS, "LMSW ffff sets 3:0");
    TAKES(MODE_REAL, lmsw16, 1, CR0_PE | CR0_ET | CR0_NE, "LMSW sets PE in real mode");
    /* rows: events 12.3 */
    TAKES(MODE_PROT32, clts32, 0, cr0 | CR0_MP, "CLTS clears TS");
}

static void test_cr2_cr3(void)
{
    /* rows: events 12.4 */
    TAKES(MODE_LONG, cr2_64, UINT64_C(0x8000000000000001), UINT64_C(0x8000000000000001),
          "CR2 holds any 64 bits");
    /* rows: events 12.5 */
    modes_begin(MODE_LONG, set_cr3_bit)->regs[M_CX] = UINT64_C(1) << cpu_maxphyaddr();
    if (cpu_maxphyaddr() < 52)
        RUN_FAULT(set_cr3_bit, EXC_GP, 0, "CR3: the first bit above MAXPHYADDR is #GP(0)");
    else
        tap_skip("MAXPHYADDR is 52", "CR3: the first bit above MAXPHYADDR is #GP(0)");
    modes_begin(MODE_LONG, set_cr3_bit)->regs[M_CX] = UINT64_C(1) << 63;
    RUN_FAULT(set_cr3_bit, EXC_GP, 0, "CR3: bit 63 with PCIDE=0 is #GP(0)");
    modes_begin(MODE_LONG, set_cr3_bit)->regs[M_CX] = 0x18;
    RUN_PASS(set_cr3_bit, "CR3: PCD and PWT");
    tap_eq(modes_cr3(), read_cr3() | 0x18, "which are kept");
    TAKES(MODE_PROT32, cr3_32, 0x12345000, 0x12345000, "CR3 with paging off holds any address");
}

static void test_cr4(void)
{
    const uint64_t here = read_cr4();

    /* rows: pitfalls 5.3, events 12.6 */
    REFUSES(MODE_PROT32, cr4_32, CR4_RESERVED, "CR4: bit 31 is #GP(0)");
    REFUSES(MODE_LONG, cr4_64, here | UINT64_C(1) << 32, "CR4: bit 32 is #GP(0)");
    /* rows: pitfalls 5.2, events 12.6 */
    REFUSES(MODE_LONG, cr4_64, here & ~CR4_PAE, "CR4: clearing PAE in long mode is #GP(0)");
    REFUSES(MODE_COMPAT32, cr4_32, here & ~CR4_PAE, "CR4: the same in compatibility mode");
    /* rows: pitfalls 4.16, events 12.6 */
    REFUSES(MODE_PROT32, cr4_32, CR4_PCIDE, "CR4: PCIDE outside long mode is #GP(0)");
    /* rows: pitfalls 4.19, events 12.6 */
    REFUSES(MODE_LONG, cr4_64, here | CR4_LA57, "CR4: LA57 in long mode is #GP(0)");
    /* rows: pitfalls 5.7, events 12.7 */
    TAKES(MODE_LONG, cr8_64, 15, 15, "CR8 holds 4 bits");
    write_cr8(0);
    REFUSES(MODE_LONG, cr8_64, 16, "CR8: bit 4 is #GP(0)");
}

static void test_efer(void)
{
    const uint64_t here = rdmsr(MSR_EFER);

    /* rows: events 12.8 */
    REFUSES(MODE_PROT32, efer32, 2, "EFER: bit 1 is #GP(0)");
    REFUSES(MODE_LONG, efer64, here & ~EFER_LME, "EFER: clearing LME with PG=1 is #GP(0)");
    TAKES(MODE_PROT32, efer32, EFER_LME | EFER_NXE, EFER_LME | EFER_NXE,
          "EFER: LME with paging off");
    modes_begin(MODE_PROT32, efer32)->regs[M_AX] = EFER_LME;
    modes_paging_pse();
    RUN_FAULT(efer32, EXC_GP, 0, "EFER: setting LME with PG=1 is #GP(0)");
}

static struct modes_state *before_long(const char *code, uint64_t efer, uint64_t cr4)
{
    struct modes_state *m = modes_begin(MODE_PROT32, code);

    m->efer = efer;
    m->cr4 = cr4;
    m->cr3 = read_cr3();
    m->regs[M_AX] = CR0_PG | CR0_PE | CR0_ET | CR0_NE | CR0_WP;
    return m;
}

static void test_long(void)
{
    struct modes_state *m;

    /* rows: pitfalls 5.1 */
    before_long(activate, EFER_LME, CR4_PAE);
    RUN_PASS(activate, "PG=1 with LME and PAE");
    tap_eq(modes_reg(M_BX) & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA, "sets LMA");
    tap_eq(modes_reg(M_SI) & (EFER_LME | EFER_LMA), EFER_LME, "PG=0 clears it again");
    /* rows: pitfalls 5.2, events 12.1 */
    before_long(refused, EFER_LME, 0);
    RUN_FAULT(refused, EXC_GP, 0, "PG=1 with LME and without PAE is #GP(0)");
    m = before_long(refused, EFER_LME, CR4_PAE);
    modes_set(modes_free(0), modes_descriptor(0, 0xfffff, SEG_CODE, SEG_G | SEG_BIG | SEG_L));
    m->cs = modes_free(0);
    RUN_FAULT(refused, EXC_GP, 0, "PG=1 with LME and CS.L=1 is #GP(0)");
    /* rows: pitfalls 5.1, pitfalls 5.8 */
    before_long(to_long, EFER_LME, CR4_PAE);
    RUN_PASS(to_long, "a far JMP leads to 64-bit mode, a far RET to compatibility mode, PG=0 out");
    tap_eq(modes_reg(M_DI), 0x9abcdef1, "the lower half of a register stays");
}

int rom_main(void)
{
    test_cr0();
    test_cr2_cr3();
    test_cr4();
    test_efer();
    test_long();
    tap_done();
}

/* system.c: LAR, LSL, VERR, VERW, ARPL; LLDT, LTR, LGDT, LIDT and their stores; UMIP; SYSENTER and SYSEXIT.
 * APM vol 3, the instructions; vol 2, 4.6 "Descriptor Tables", 4.9 "Long-Mode Gate Descriptors", 6.1.2
 * "SYSENTER and SYSEXIT", 3.1.3 "CR4 Register" (UMIP). */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define CR4_UMIP UINT64_C(0x800)
#define UNCHANGED 0x55aa55aau

MODE_CODE32(s_lar, "movl $0x55aa55aa, %ebx\n xorl %ecx, %ecx\n larl %eax, %ebx\n setz %cl");
MODE_CODE32(s_lsl, "movl $0x55aa55aa, %ebx\n xorl %ecx, %ecx\n lsll %eax, %ebx\n setz %cl");
MODE_CODE64(s_lar64, "movl $0x55aa55aa, %ebx\n xorl %ecx, %ecx\n larl %eax, %ebx\n setz %cl");
MODE_CODE64(s_lsl64, "movl $0x55aa55aa, %ebx\n xorl %ecx, %ecx\n lsll %eax, %ebx\n setz %cl");
MODE_CODE32(s_verr, "xorl %ecx, %ecx\n verr %ax\n setz %cl");
MODE_CODE32(s_verw, "xorl %ecx, %ecx\n verw %ax\n setz %cl");
MODE_CODE32(s_arpl, "movw %si, %bx\n xorl %ecx, %ecx\n arpl %ax, %bx\n setz %cl");
MODE_CODE32(s_lldt, "s_lldt_insn: lldt %ax\n sldt %ebx");
MODE_CODE32(s_ltr, "s_ltr_insn: ltr %ax\n str %ebx");
MODE_CODE64(s_lldt64, "s_lldt64_insn: lldt %ax\n sldt %ebx");
MODE_CODE64(s_ltr64, "s_ltr64_insn: ltr %ax\n str %ebx");
MODE_CODE64(s_lgdt64, "subq $16, %rsp\n sgdt (%rsp)\n movq %rax, 2(%rsp)\n"
                      "s_lgdt64_insn: lgdt (%rsp)");
MODE_CODE64(s_lidt64, "subq $16, %rsp\n sidt (%rsp)\n movq %rax, 2(%rsp)\n"
                      "s_lidt64_insn: lidt (%rsp)");
MODE_CODE32(s_base24, "sidtl 0x500\n movl $0x12345678, 0x512\n movw $0x7ff, 0x510\n lidtw 0x510\n"
                      "sidtl 0x520\n lidtl 0x500\n movl 0x522, %ebx");
MODE_CODE32(s_sgdt, "s_sgdt_insn: sgdt 0x500");
MODE_CODE32(s_sidt, "s_sidt_insn: sidt 0x500");
MODE_CODE32(s_sldt, "s_sldt_insn: sldt %eax");
MODE_CODE32(s_str, "s_str_insn: str %eax");
MODE_CODE32(s_smsw, "s_smsw_insn: smsw %eax");
MODE_CODE32(s_enter, "movl $0x174, %ecx\n xorl %edx, %edx\n movl %ebx, %eax\n wrmsr\n"
                     "movl $0x175, %ecx\n movl $0x8000, %eax\n wrmsr\n movl $0x176, %ecx\n"
                     "movl $s_entered, %eax\n wrmsr\n"
                     "s_enter_insn: sysenter\n ud2\n"
                     "s_entered: movw %cs, %ax\n movw %ss, %dx\n movl %esp, %esi");
MODE_CODE32(s_exit, "movl $0x174, %ecx\n xorl %edx, %edx\n movl %ebx, %eax\n wrmsr\n"
                    "movl $0x7000, %ecx\n movl $s_exited, %edx\n s_exit_insn: sysexit\n ud2\n"
                    "s_exited: movw %cs, %ax\n movw %ss, %dx\n movl %esp, %esi");
MODE_CODE64(s_enter64, "s_enter64_insn: sysenter");
MODE_CODE64(s_exit64, "s_exit64_insn: sysexit");
MODE_CODE32(s_sysexit, "s_sysexit_insn: sysexit");

static const uint16_t sel = MSEL_FREE;

static void try(enum mode mode, const char *code, const char *end, uint16_t selector,
                uint64_t descriptor, bool zf, const char *what)
{
    struct mode_event e;

    modes_begin(mode, code)->regs[M_AX] = selector;
    if ((selector & ~3u) != 0)
        modes_set(selector & ~3u, descriptor);
    e = modes_run();
    tap_ok(modes_done(&e, end) && modes_reg(M_CX) == zf &&
               (zf || modes_reg(M_BX) == UNCHANGED || modes_reg(M_BX) == 0),
           "%s", what);
}
#define YES(mode, name, s, d, what) try(mode, name, name##_end, s, d, true, what)
#define NO(mode, name, s, d, what) try(mode, name, name##_end, s, d, false, what)

static uint64_t seg(unsigned type)
{
    return modes_descriptor(0, 0xfffff, type, SEG_G | SEG_BIG);
}

static void test_lar(void)
{
    /* rows: events 13.7 */
    YES(MODE_PROT32, s_lar, sel, seg(0x93), "LAR of data");
    tap_eq(modes_reg(M_BX) & 0xf0ff00, 0xc09300, "gives the rights");
    YES(MODE_PROT32, s_lsl, sel, seg(0x93), "LSL of data");
    tap_eq(modes_reg(M_BX), 0xffffffff, "gives the limit in bytes");
    YES(MODE_PROT32, s_lsl, sel, modes_descriptor(0, 0x12345, 0x93, 0), "LSL with G=0");
    tap_eq(modes_reg(M_BX), 0x12345, "gives the limit as it is");
    NO(MODE_PROT32, s_lar, 0, 0, "LAR of null");
    NO(MODE_PROT32, s_lar, sel | 3, seg(0x93), "LAR: RPL above DPL");
    YES(MODE_PROT32, s_lar, sel | 3, seg(0x9f), "LAR: conforming code whatever RPL is");
    YES(MODE_PROT32, s_lar, sel, seg(0x13), "LAR does not need P");
    NO(MODE_PROT32_USER, s_lar, sel, seg(0x93), "LAR: CPL above DPL");
    NO(MODE_PROT32, s_lar, sel, modes_gate(8, 0, 0x8e, 0), "LAR of an interrupt gate");
    YES(MODE_PROT32, s_lar, sel, modes_gate(8, 0, 0x8c, 0), "LAR of a call gate");
    NO(MODE_PROT32, s_lsl, sel, modes_gate(8, 0, 0x8c, 0), "LSL of a call gate");
    YES(MODE_PROT32, s_lar, sel, modes_gate(8, 0, 0x85, 0), "LAR of a task gate");
    NO(MODE_PROT32, s_lsl, sel, modes_gate(8, 0, 0x85, 0), "LSL of a task gate");
    YES(MODE_PROT32, s_lsl, sel, modes_descriptor(0, 0x67, 0x82, 0), "LSL of an LDT");
    YES(MODE_PROT32, s_lsl, sel, modes_descriptor(0, 0x67, 0x81, 0), "LSL of a 16-bit TSS");
    YES(MODE_PROT32, s_lsl, sel, modes_descriptor(0, 0x67, 0x8b, 0), "LSL of a busy TSS");
    YES(MODE_LONG, s_lar64, sel, modes_descriptor(0, 0x67, 0x8b, 0), "64-bit mode: LAR of a TSS");
    NO(MODE_LONG, s_lar64, sel, modes_descriptor(0, 0x67, 0x81, 0),
       "64-bit mode: LAR of a 16-bit TSS");
    NO(MODE_LONG, s_lar64, sel, modes_gate(8, 0, 0x85, 0), "64-bit mode: LAR of a task gate");
    YES(MODE_LONG, s_lsl64, sel, modes_descriptor(0, 0x67, 0x82, 0), "64-bit mode: LSL of an LDT");
}

static void test_verify(void)
{
    /* rows: events 13.7 */
    YES(MODE_PROT32, s_verr, sel, seg(0x91), "VERR of data");
    YES(MODE_PROT32, s_verr, sel, seg(0x9b), "VERR of readable code");
    NO(MODE_PROT32, s_verr, sel, seg(0x99), "VERR of execute-only code");
    NO(MODE_PROT32, s_verr, sel, seg(0x89), "VERR of a system segment");
    NO(MODE_PROT32, s_verr, 0, 0, "VERR of null");
    NO(MODE_PROT32, s_verr, sel | 3, seg(0x93), "VERR: RPL above DPL");
    YES(MODE_PROT32, s_verr, sel | 3, seg(0x9f), "VERR of conforming code");
    YES(MODE_PROT32, s_verw, sel, seg(0x93), "VERW of writable data");
    NO(MODE_PROT32, s_verw, sel, seg(0x91), "VERW of read-only data");
    NO(MODE_PROT32, s_verw, sel, seg(0x9b), "VERW of code");
    NO(MODE_PROT32_USER, s_verw, sel, seg(0x93), "VERW: CPL above DPL");
    YES(MODE_PROT32_USER, s_verw, sel, seg(0x93 | SEG_DPL(3)), "VERW: DPL 3 at CPL 3");
    struct modes_state *m = modes_begin(MODE_PROT32, s_arpl);
    m->regs[M_AX] = 3;
    m->regs[M_SI] = 0x101;
    RUN_PASS(s_arpl, "ARPL");
    tap_ok(modes_reg(M_BX) == 0x103 && modes_reg(M_CX) == 1, "raises RPL and sets ZF");
}

static void test_lldt(void)
{
    struct modes_state *m;

    /* rows: events 13.4, pitfalls 3.7 */
    FAULT(MODE_PROT32_USER, s_lldt, EXC_GP, 0, "LLDT at CPL 3 is #GP(0)");
    PASS(MODE_PROT32, s_lldt, "LLDT of null");
    m = modes_begin(MODE_PROT32, s_lldt);
    m->regs[M_AX] = MSEL_LDT;
    RUN_PASS(s_lldt, "LLDT of an LDT");
    tap_eq(modes_reg(M_BX), MSEL_LDT, "SLDT gives it");
    m = modes_begin(MODE_PROT32, s_lldt);
    m->ldtr = MSEL_LDT;
    m->regs[M_AX] = modes_local(1);
    modes_set(modes_local(1), modes_gdt[MSEL_LDT / 8]);
    RUN_FAULT(s_lldt, EXC_GP, modes_local(1), "LLDT from the LDT is #GP(selector)");
    modes_begin(MODE_PROT32, s_lldt)->regs[M_AX] = SEL_DATA;
    RUN_FAULT(s_lldt, EXC_GP, SEL_DATA, "LLDT of data is #GP(selector)");
    modes_begin(MODE_PROT32, s_lldt)->regs[M_AX] = sel;
    modes_set(sel, modes_descriptor(0, 0xff, 0x02, 0));
    RUN_FAULT(s_lldt, EXC_NP, sel, "LLDT with P=0 is #NP(selector)");
    modes_begin(MODE_LONG, s_lldt64)->regs[M_AX] = sel;
    modes_set(sel, modes_descriptor(0, 0xff, 0x82, 0));
    modes_set(sel + 8, UINT64_C(0x100) << 32);
    RUN_FAULT(s_lldt64, EXC_GP, sel, "64-bit mode: a type in the upper half is #GP(selector)");
    modes_begin(MODE_LONG, s_lldt64)->regs[M_AX] = sel;
    modes_set(sel, modes_descriptor(0, 0xff, 0x82, 0));
    modes_set(sel + 8, 0x80000000); /* wrong with 5 levels too */
    RUN_FAULT(s_lldt64, EXC_GP, sel, "64-bit mode: a base that is not canonical is #GP(selector)");
    modes_begin(MODE_LONG, s_lldt64)->regs[M_AX] = MODES_GDT_ENTRIES * 8 - 8;
    modes_set(MODES_GDT_ENTRIES * 8 - 8, modes_descriptor(0, 0xff, 0x82, 0));
    RUN_FAULT(s_lldt64, EXC_GP, MODES_GDT_ENTRIES * 8 - 8,
              "64-bit mode: an upper half beyond the GDT is #GP(selector)");
}

static void test_ltr(void)
{
    const uint64_t tss = modes_descriptor((uint32_t)(uintptr_t)modes_tss, 0x67, 0x89, 0);

    /* rows: events 13.5, pitfalls 3.7 */
    FAULT(MODE_PROT32_USER, s_ltr, EXC_GP, 0, "LTR at CPL 3 is #GP(0)");
    FAULT(MODE_PROT32, s_ltr, EXC_GP, 0, "LTR of null is #GP(0)");
    modes_begin(MODE_PROT32, s_ltr)->regs[M_AX] = sel;
    modes_set(sel, tss);
    RUN_PASS(s_ltr, "LTR");
    tap_eq(modes_gdt[sel / 8] >> 40 & 0xff, 0x8b, "marks the TSS busy");
    modes_begin(MODE_PROT32, s_ltr)->regs[M_AX] = sel;
    modes_set(sel, tss | UINT64_C(2) << 40);
    RUN_FAULT(s_ltr, EXC_GP, sel, "LTR of a busy TSS is #GP(selector)");
    modes_begin(MODE_PROT32, s_ltr)->regs[M_AX] = sel;
    modes_set(sel, modes_descriptor(0x1000, 0x2b, 0x81, 0));
    RUN_PASS(s_ltr, "LTR of a 16-bit TSS in legacy mode");
    modes_begin(MODE_LONG, s_ltr64)->regs[M_AX] = sel;
    modes_set(sel, modes_descriptor(0x1000, 0x2b, 0x81, 0));
    RUN_FAULT(s_ltr64, EXC_GP, sel, "in long mode it is #GP(selector)");
    modes_begin(MODE_PROT32, s_ltr)->regs[M_AX] = sel;
    modes_set(sel, modes_descriptor(0x1000, 0x67, 0x09, 0));
    RUN_FAULT(s_ltr, EXC_NP, sel, "LTR with P=0 is #NP(selector)");
    modes_begin(MODE_PROT32, s_ltr)->regs[M_AX] = modes_local(1);
    RUN_FAULT(s_ltr, EXC_GP, modes_local(1), "LTR from an LDT is #GP(selector)");
}

static void test_tables(void)
{
    /* rows: events 13.6, pitfalls 3.23 */
    modes_begin(MODE_LONG, s_lgdt64)->regs[M_AX] = UINT64_C(1) << 63;
    RUN_FAULT(s_lgdt64, EXC_GP, 0, "LGDT of a base that is not canonical is #GP(0)");
    modes_begin(MODE_LONG, s_lidt64)->regs[M_AX] = UINT64_C(1) << 63;
    RUN_FAULT(s_lidt64, EXC_GP, 0, "LIDT too");
    PASS(MODE_PROT32, s_base24, "LIDT with 16-bit operand size");
    tap_eq(modes_reg(M_BX), 0x345678, "loads 24 bits of the base");
}

static void umip(const char *code, const char *insn, const char *end, const char *what)
{
    modes_begin(MODE_PROT32_USER, code)->cr4 |= CR4_UMIP;
    modes_try(EXC_GP, 0, insn, what);
    modes_begin(MODE_PROT32, code)->cr4 |= CR4_UMIP;
    modes_try(EXC_UD, 0, end, "and runs at CPL 0");
    modes_begin(MODE_PROT32_USER, code);
    modes_try(EXC_UD, 0, end, "and without UMIP");
}

static void test_umip(void)
{
    if ((cpuid_checked(7, 0).ecx >> 2 & 1) == 0) {
        tap_skip("no UMIP", "UMIP");
        return;
    }
    /* rows: pitfalls 3.25 */
    umip(s_sgdt, s_sgdt_insn, s_sgdt_end, "UMIP: SGDT at CPL 3 is #GP(0)");
    umip(s_sidt, s_sidt_insn, s_sidt_end, "UMIP: SIDT at CPL 3 is #GP(0)");
    umip(s_sldt, s_sldt_insn, s_sldt_end, "UMIP: SLDT at CPL 3 is #GP(0)");
    umip(s_str, s_str_insn, s_str_end, "UMIP: STR at CPL 3 is #GP(0)");
    umip(s_smsw, s_smsw_insn, s_smsw_end, "UMIP: SMSW at CPL 3 is #GP(0)");
}

static void test_sysenter(void)
{
    struct mode_event e;

    /* rows: events 11.9, pitfalls 3.19 */
    FAULT(MODE_LONG, s_enter64, EXC_UD, 0, "SYSENTER in 64-bit mode is #UD");
    FAULT(MODE_LONG, s_exit64, EXC_UD, 0, "SYSEXIT in 64-bit mode is #UD");
    FAULT(MODE_COMPAT32, s_sysexit, EXC_UD, 0, "SYSEXIT in compatibility mode is #UD");
    /* rows: events 11.10 */
    modes_begin(MODE_PROT32, s_enter)->regs[M_BX] = 3;
    RUN_FAULT(s_enter, EXC_GP, 0, "SYSENTER with SYSENTER_CS 0-3 is #GP(0)");
    modes_begin(MODE_PROT32, s_exit)->regs[M_BX] = 0;
    RUN_FAULT(s_exit, EXC_GP, 0, "SYSEXIT with SYSENTER_CS 0 is #GP(0)");
    FAULT(MODE_PROT32_USER, s_sysexit, EXC_GP, 0, "SYSEXIT at CPL 3 is #GP(0)");
    /* rows: events 11.11 */
    modes_begin(MODE_PROT32, s_enter)->regs[M_BX] = 0x33; /* RPL is cut */
    modes_set(0x38, 0);
    RUN_PASS(s_enter, "SYSENTER");
    tap_ok((modes_reg(M_AX) & 0xffff) == 0x30 && (modes_reg(M_DX) & 0xffff) == 0x38,
           "CS is SYSENTER_CS without RPL, SS follows; no descriptor is read");
    tap_eq(modes_reg(M_SI), 0x8000, "ESP is SYSENTER_ESP");
    modes_begin(MODE_PROT32, s_exit)->regs[M_BX] = 8;
    e = RUN_PASS(s_exit, "SYSEXIT");
    tap_ok((modes_reg(M_AX) & 0xffff) == 0x1b && (modes_reg(M_DX) & 0xffff) == 0x23,
           "CS is SYSENTER_CS + 16, SS + 24, RPL 3");
    tap_eq(modes_reg(M_SI), 0x7000, "ESP is ECX");
    tap_eq(e.cs & 3, 3, "CPL is 3");
}

int rom_main(void)
{
    test_lar();
    test_verify();
    test_lldt();
    test_ltr();
    test_umip();
    test_sysenter();
    test_tables(); /* QEMU 7.2 takes the bases and ends here */
    tap_done();
}

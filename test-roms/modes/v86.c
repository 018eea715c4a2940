/* v86.c: virtual-8086 mode: what IOPL and VME allow, INTn by gate or by redirection, the frame of an
 * event, and the way back. APM vol 2, 8.7 "Protected-Mode Interrupt Control Transfers" (8.7.5), 8.2.19
 * "Virtual-8086 Mode Extensions"; 4.5 "Segmentation Data Structures"; vol 3, "IRET", "PUSHF", "POPF". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define CR4_VME UINT64_C(1)
#define VM UINT64_C(0x20000)
#define VIF UINT64_C(0x80000)
#define VIP UINT64_C(0x100000)
#define IOPL(n) (UINT64_C(0x1000) * (n))
#define PORT 0x80

MODE_CODE16(v_segments, "movw $0x60, %ax\n movw %ax, %es\n movw $0x1234, %es:8\n movw 0x608, %bx");
MODE_CODE16(v_limit, "movw $0xffff, %bx\n v_limit_insn: movw (%bx), %ax");
MODE_CODE16(v_limit_ss, "movw $0xffff, %bp\n v_limit_ss_insn: movw (%bp), %ax");
MODE_CODE16(v_write_code, "movw $0, %cs:0x500");
MODE_CODE16(v_cli, "sti\n pushfw\n popw %ax\n v_cli_insn: cli\n pushfw\n popw %bx");
MODE_CODE16(v_cli_first, "v_cli_first_insn: cli");
MODE_CODE16(v_sti, "v_sti_insn: sti");
MODE_CODE16(v_pushf, "v_pushf_insn: pushfw\n popw %ax");
MODE_CODE16(v_pushfl, "v_pushfl_insn: pushfl\n popl %eax");
MODE_CODE16(v_popf, "pushw %bx\n v_popf_insn: popfw");
MODE_CODE16(v_popfl, "pushl %ebx\n v_popfl_insn: popfl\n pushfl\n popl %eax");
MODE_CODE16(v_iret, "pushw %bx\n pushw %cs\n pushw $v_iret_end\n v_iret_insn: iretw");
MODE_CODE16(v_iretl, "pushl %ebx\n pushl $0\n pushl $v_iretl_end\n v_iretl_insn: iretl");
MODE_CODE16(v_int, "v_int_insn: int $0x40");
MODE_CODE16(v_int3, "int3\n v_int3_insn: nop");
MODE_CODE16(v_int_3, "v_int_3_insn: .byte 0xcd, 3");
MODE_CODE16(v_hlt, "v_hlt_insn: hlt");
MODE_CODE16(v_cr0, "v_cr0_insn: movl %cr0, %eax");
MODE_CODE16(v_lmsw, "v_lmsw_insn: lmsw %ax");
MODE_CODE16(v_clts, "v_clts_insn: clts");
MODE_CODE16(v_lgdt, "v_lgdt_insn: lgdtw 0x500");
MODE_CODE16(v_invd, "v_invd_insn: invd");
MODE_CODE16(v_rdmsr, "v_rdmsr_insn: rdmsr");
MODE_CODE16(v_dr7, "v_dr7_insn: movl %dr7, %eax");
MODE_CODE16(v_lldt, "v_lldt_insn: lldt %ax");
MODE_CODE16(v_lar, "v_lar_insn: larw %ax, %ax");
MODE_CODE16(v_arpl, "v_arpl_insn: arpl %ax, %ax");
MODE_CODE16(v_stac, "v_stac_insn: .byte 0x0f, 0x01, 0xcb");
MODE_CODE16(v_in, "v_in_insn: inb $0x80, %al");
MODE_CODE16(v_out16, "v_out16_insn: outw %ax, $0x80");
MODE_CODE16(v_div, "movw $0x600, %ax\n movw %ax, %ds\n incw %ax\n movw %ax, %es\n incw %ax\n"
                   "movw %ax, %fs\n incw %ax\n movw %ax, %gs\n xorw %bx, %bx\n"
                   "v_div_insn: divw %bx");
MODE_CODE16(v_ivt, "popw %ax\n popw %bx\n popw %cx\n pushfw\n popw %dx");
MODE_CODE16(v_far, "lcall $0x10, $(1f - 0x100)\n jmp 2f\n 1: movw %cs, %ax\n lretw\n2:");
/* Protected-mode code that returns to virtual-8086 mode by an IRETD of its own. */
MODE_CODE32(v_return, "pushl $0x604\n pushl $0x603\n pushl $0x602\n pushl $0x601\n pushl $0x600\n"
                      "pushl $0x1234\n pushl %ebx\n pushl $0x100\n pushl %ecx\n iretl");
MODE_CODE16(v_returned, "movw %cs, %ax\n movw %ss, %bx\n movw %es, %cx\n movw %ds, %dx\n"
                        "movw %fs, %si\n movw %gs, %di");

static struct modes_state *world(const char *code, unsigned iopl, bool vme)
{
    struct modes_state *m = modes_begin(MODE_V86, code);

    m->rflags = RFLAGS_ONE | VM | IOPL(iopl);
    if (vme)
        m->cr4 |= CR4_VME;
    return m;
}

static void fault(const char *code, const char *insn, unsigned vector, const char *what)
{
    world(code, 0, false);
    modes_try(vector, 0, insn, what);
}
#define GP(name, what) fault(name, name##_insn, EXC_GP, what)
#define UD(name, what) fault(name, name##_insn, EXC_UD, what)

static void test_segments(void)
{
    /* rows: events 13.13 */
    PASS(MODE_V86, v_segments, "a segment starts at 16 times its selector");
    tap_eq(modes_reg(M_BX) & 0xffff, 0x1234, "and the word is there");
    FAULT(MODE_V86, v_limit, EXC_GP, 0, "a word at offset ffff is #GP(0)");
    FAULT(MODE_V86, v_limit_ss, EXC_SS, 0, "a word at offset ffff of the stack is #SS(0)");
    PASS(MODE_V86, v_write_code, "CS can be written");
    PASS(MODE_V86, v_far, "far CALL and RET as in real mode");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x10, "CS is the paragraph");
}

static void test_privilege(void)
{
    /* rows: pitfalls 5.11 */
    GP(v_hlt, "HLT is #GP(0)");
    GP(v_cr0, "MOV from CR0 is #GP(0)");
    GP(v_lmsw, "LMSW is #GP(0)");
    GP(v_clts, "CLTS is #GP(0)");
    GP(v_lgdt, "LGDT is #GP(0)");
    GP(v_invd, "INVD is #GP(0)");
    GP(v_rdmsr, "RDMSR is #GP(0)");
    GP(v_dr7, "MOV from DR7 is #GP(0)");
    /* rows: events 13.7 */
    UD(v_lldt, "LLDT is #UD");
    UD(v_lar, "LAR is #UD");
    UD(v_arpl, "ARPL is #UD");
    /* rows: pitfalls 5.13 */
    UD(v_stac, "STAC is #UD");
}

static void test_ports(void)
{
    /* rows: pitfalls 9.2 */
    world(v_in, 3, false);
    RUN_FAULT(v_in, EXC_GP, 0, "IN with IOPL 3 and no I/O map is #GP(0)");
    world(v_in, 0, false);
    modes_open_ports();
    RUN_PASS(v_in, "IN with IOPL 0 and its bit clear");
    world(v_in, 3, false);
    modes_open_ports();
    modes_tss[0x88 + PORT / 8] = 1;
    RUN_FAULT(v_in, EXC_GP, 0, "IN with IOPL 3 and its bit set is #GP(0)");
    world(v_out16, 3, false);
    modes_open_ports();
    modes_tss[0x88 + PORT / 8] = 2;
    RUN_FAULT(v_out16, EXC_GP, 0, "OUT of a word looks at both bits");
}

static void test_iopl3(void)
{
    /* rows: pitfalls 3.26, events 14.4 */
    world(v_cli, 3, false);
    RUN_PASS(v_cli, "IOPL 3: STI and CLI");
    tap_eq(modes_reg(M_AX) & 0x200, 0x200, "STI sets IF");
    tap_eq(modes_reg(M_BX) & 0x200, 0, "CLI clears it");
    world(v_popfl, 3, false)->regs[M_BX] = VIF | VIP | RFLAGS_CF | RFLAGS_RF;
    RUN_PASS(v_popfl, "IOPL 3: POPFD");
    tap_eq(modes_reg(M_AX) & (IOPL(3) | RFLAGS_CF), IOPL(3) | RFLAGS_CF, "keeps IOPL");
    tap_eq(modes_reg(M_AX) & (VIF | VIP | VM | RFLAGS_RF), 0, "and loads no VIF, VIP, RF");
    /* rows: events 8.1.2 */
    world(v_iret, 3, false)->regs[M_BX] = RFLAGS_CF | RFLAGS_IF;
    struct mode_event e = RUN_PASS(v_iret, "IOPL 3: IRET");
    tap_eq(e.flags & (VM | IOPL(3) | RFLAGS_IF | RFLAGS_CF), VM | IOPL(3) | RFLAGS_IF | RFLAGS_CF,
           "loads IF and CF, keeps IOPL and VM");
    world(v_iretl, 3, false)->regs[M_BX] = VIF | VIP;
    e = RUN_PASS(v_iretl, "IOPL 3: IRETD");
    tap_eq(e.flags & (VM | IOPL(3) | VIF | VIP), VM | IOPL(3), "keeps IOPL, VM, VIF and VIP");
}

static void test_gate(void)
{
    struct modes_state *m = world(v_int, 3, false);
    struct mode_event e;

    m->rflags |= RFLAGS_NT;
    /* rows: events 7.5.1, events 7.2.14, events 7.2.15, events 7.2.16 */
    modes_try(0x40, 0, v_int_insn + 2, "IOPL 3: INT goes by its gate");
    world(v_div, 3, false);
    e = RUN_FAULT(v_div, EXC_DE, 0, "an exception goes by its gate");
    tap_eq(e.flags & VM, VM, "VM is set in the image");
    tap_ok(e.ds == 0x600 && e.es == 0x601 && e.fs == 0x602 && e.gs == 0x603,
           "DS, ES, FS and GS are pushed");
    tap_eq(e.ss, 0, "SS too");
    tap_eq(e.sp, (uintptr_t)modes_user_stack, "and ESP");
    tap_ok(modes_seg_ds() == 0 && modes_seg_es() == 0 && modes_seg_fs() == 0 && modes_seg_gs() == 0,
           "the handler finds null selectors in all four");
    tap_eq(e.handler_ss, SEL_DATA, "its stack is that of the TSS");
    /* rows: events 7.2.3 */
    world(v_int, 3, false);
    *modes_idt_gate(0x40) = modes_gate(SEL_CODE32, modes_stub(0x40), 0x8e, 0);
    RUN_FAULT(v_int, EXC_GP, 0x40 * 8 + 2, "INT by a gate with DPL 0 is #GP(vector)");
    /* rows: events 7.2.10 */
    world(v_int, 3, false);
    modes_set(modes_free(0), modes_descriptor(0, 0xfffff, SEG_CODE | SEG_DPL(3), SEG_G | SEG_BIG));
    *modes_idt_gate(0x40) = modes_gate(modes_free(0), modes_stub(0x40), 0xee, 0);
    RUN_FAULT(v_int, EXC_GP, modes_free(0), "a handler with DPL 3 is #GP(selector)");
    world(v_int, 3, false);
    modes_set(modes_free(0), modes_descriptor(0, 0xfffff, 0x9f, SEG_G | SEG_BIG));
    *modes_idt_gate(0x40) = modes_gate(modes_free(0), modes_stub(0x40), 0xee, 0);
    RUN_FAULT(v_int, EXC_GP, modes_free(0), "a conforming handler is #GP(selector)");
    /* rows: events 7.5.4 */
    world(v_int, 0, false);
    RUN_FAULT(v_int, EXC_GP, 0, "IOPL 0: INT is #GP(0)");
    world(v_int3, 0, false);
    modes_try(EXC_BP, 0, v_int3_insn, "IOPL 0: INT3 is not, it goes by its gate");
    world(v_int_3, 0, false);
    RUN_FAULT(v_int_3, EXC_GP, 0, "but INT 3 in two bytes is");
}

static void test_iopl0(void)
{
    /* rows: pitfalls 3.26, events 14.5, events 8.1.3 */
    GP(v_cli_first, "IOPL 0: CLI is #GP(0)");
    GP(v_sti, "IOPL 0: STI is #GP(0)");
    GP(v_pushf, "IOPL 0: PUSHF is #GP(0)");
    GP(v_popf, "IOPL 0: POPF is #GP(0)");
    GP(v_iret, "IOPL 0: IRET is #GP(0)");
}

static bool have_vme(void)
{
    return (cpuid(1, 0).edx >> 1 & 1) != 0;
}

static void test_vme_flags(void)
{
    struct mode_event e;

    /* rows: events 14.6 */
    world(v_cli_first, 0, true)->rflags |= VIF;
    e = RUN_PASS(v_cli_first, "VME: CLI");
    tap_eq(e.flags & (VIF | RFLAGS_IF), 0, "clears VIF");
    world(v_sti, 0, true);
    e = RUN_PASS(v_sti, "VME: STI");
    tap_eq(e.flags & (VIF | RFLAGS_IF), VIF, "sets VIF, not IF");
    world(v_sti, 0, true)->rflags |= VIP;
    RUN_FAULT(v_sti, EXC_GP, 0, "VME: STI with VIP=1 is #GP(0)");
    world(v_pushf, 0, true)->rflags |= VIF;
    RUN_PASS(v_pushf, "VME: PUSHF");
    tap_eq(modes_reg(M_AX) & (IOPL(3) | RFLAGS_IF), IOPL(3) | RFLAGS_IF,
           "shows VIF as IF, and IOPL 3");
    world(v_pushfl, 0, true);
    RUN_FAULT(v_pushfl, EXC_GP, 0, "VME: PUSHFD is #GP(0)");
    world(v_popfl, 0, true);
    RUN_FAULT(v_popfl, EXC_GP, 0, "VME: POPFD is #GP(0)");
    world(v_popf, 0, true)->regs[M_BX] = RFLAGS_IF | RFLAGS_CF;
    e = RUN_PASS(v_popf, "VME: POPF");
    tap_eq(e.flags & (VIF | RFLAGS_IF | RFLAGS_CF | IOPL(3)), VIF | RFLAGS_CF,
           "loads VIF from IF, neither IF nor IOPL");
    world(v_popf, 0, true)->regs[M_BX] = RFLAGS_TF;
    RUN_FAULT(v_popf, EXC_GP, 0, "VME: POPF of TF is #GP(0)");
    world(v_popf, 0, true)->rflags |= VIP;
    RUN_PASS(v_popf, "VME: POPF of IF=0 with VIP=1 passes");
}

static struct modes_state *vip_world(const char *code, uint64_t image)
{
    struct modes_state *m = world(code, 0, true);

    m->rflags |= VIP;
    m->regs[M_BX] = image;
    return m;
}

static void test_vme_iret(void)
{
    struct mode_event e;

    vip_world(v_popf, RFLAGS_IF);
    RUN_FAULT(v_popf, EXC_GP, 0, "VME: POPF of IF=1 with VIP=1 is #GP(0)");
    /* rows: events 8.1.3 */
    vip_world(v_iret, RFLAGS_IF);
    RUN_FAULT(v_iret, EXC_GP, 0, "VME: IRET of IF=1 with VIP=1 is #GP(0)");
    world(v_iret, 0, true)->regs[M_BX] = RFLAGS_TF;
    RUN_FAULT(v_iret, EXC_GP, 0, "VME: IRET of TF=1 is #GP(0)");
    world(v_iret, 0, true)->regs[M_BX] = RFLAGS_IF | IOPL(3);
    e = RUN_PASS(v_iret, "VME: IRET");
    tap_eq(e.flags & (VM | VIF | RFLAGS_IF | IOPL(3)), VM | VIF,
           "loads VIF from IF, keeps IF and IOPL");
    world(v_iretl, 0, true);
    RUN_FAULT(v_iretl, EXC_GP, 0, "VME: IRETD is #GP(0)");
}

static void use_ivt(void)
{
    modes_ivt(0x40, 0, (uint16_t)(uintptr_t)v_ivt);
    modes_open_ports();
}

static void test_redirection(void)
{
    struct mode_event e;

    /* rows: events 7.5.2 */
    world(v_int, 3, true);
    modes_open_ports();
    modes_tss[TSS_BYTES + 0x40 / 8] = 1;
    modes_try(0x40, 0, v_int_insn + 2, "VME, IOPL 3, bit set: by its gate");
    /* rows: events 7.5.3 */
    world(v_int, 3, true)->rflags |= RFLAGS_IF | RFLAGS_CF;
    use_ivt();
    e = modes_try(EXC_UD, 0, v_ivt_end, "VME, IOPL 3, bit clear: through the table at 0");
    tap_eq(modes_reg(M_AX) & 0xffff, (uintptr_t)v_int_insn + 2, "pushes IP");
    tap_eq(modes_reg(M_BX) & 0xffff, 0, "CS");
    tap_eq(modes_reg(M_CX) & 0x3201, 0x3201, "and FLAGS");
    tap_eq(e.flags & RFLAGS_IF, 0, "and clears IF");
    /* rows: events 7.5.5 */
    world(v_int, 0, true);
    modes_open_ports();
    modes_tss[TSS_BYTES + 0x40 / 8] = 1;
    RUN_FAULT(v_int, EXC_GP, 0, "VME, IOPL 0, bit set: #GP(0)");
    /* rows: events 7.5.6 */
    world(v_int, 0, true)->rflags |= VIF | RFLAGS_IF;
    use_ivt();
    e = modes_try(EXC_UD, 0, v_ivt_end, "VME, IOPL 0, bit clear: through the table at 0");
    tap_eq(modes_reg(M_CX) & 0x3200, 0x3200, "the image shows VIF as IF, and IOPL 3");
    tap_eq(e.flags & (VIF | RFLAGS_IF), RFLAGS_IF, "VIF is cleared, IF is not");
    world(v_int3, 0, true);
    modes_open_ports();
    modes_try(EXC_BP, 0, v_int3_insn, "VME: INT3 is never redirected");
}

static void test_return(void)
{
    struct modes_state *m = modes_begin(MODE_PROT32, v_return);
    struct mode_event e;
    const uint64_t flags = VM | VIF | VIP | RFLAGS_ONE | IOPL(2) | RFLAGS_AC | RFLAGS_NT;

    /* rows: events 8.1.6, events 8.3.6, pitfalls 3.13 */
    m->regs[M_BX] = flags;
    m->regs[M_CX] = (uintptr_t)v_returned - 0x1000;
    e = modes_try(EXC_UD, 0, NULL, "IRETD to virtual-8086 mode");
    tap_eq(e.ip, (uintptr_t)v_returned_end - 0x1000, "EIP");
    tap_eq(e.cs, 0x100, "CS");
    tap_eq(e.sp, 0x1234, "ESP");
    tap_ok(e.ss == 0x600 && e.es == 0x601 && e.ds == 0x602 && e.fs == 0x603 && e.gs == 0x604,
           "SS, ES, DS, FS, GS");
    tap_eq(e.flags & (flags | RFLAGS_NT), flags, "all flags, IOPL, VIF and VIP");
    /* A user's IRETD loads no VM. */
    m = modes_begin(MODE_PROT32, v_return);
    m->regs[M_BX] = RFLAGS_ONE;
    m->regs[M_CX] = (uintptr_t)v_returned;
    e = modes_run();
    tap_eq(e.vector, EXC_GP, "without VM in the image 0100 is a selector");
    tap_eq(e.error, 0x100, "and its table has no code there");
}

int rom_main(void)
{
    test_segments();
    test_privilege();
    test_ports();
    test_iopl3();
    test_gate();
    test_iopl0();
    test_return();
    if (have_vme()) {
        test_vme_flags();
        test_vme_iret();
        test_redirection();
    } else {
        tap_skip("no VME", "virtual interrupts of virtual-8086 mode");
    }
    tap_done();
}

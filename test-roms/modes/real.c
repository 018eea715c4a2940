/* real.c: real mode: its table of vectors, its stack, its limits, what it has and what it lacks.
 * APM vol 2, 1.3.3 "Real Mode", 8.6 "Real-Mode Interrupt Control Transfers"; vol 3, "IRET". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define IMAGE 0x3246 /* what the test pushes: IOPL 3, IF, ZF, PF */
#define VM 0x20000u
#define VIF_VIP 0x180000u

MODE_CODE16(r_int, "sti\n r_int_insn: int $0x40");
MODE_CODE16(r_div, "xorw %bx, %bx\n r_div_insn: divw %bx");
MODE_CODE16(r_into, "movb $0x7f, %al\n incb %al\n into\n r_into_insn: nop");
MODE_CODE16(r_int3, "int3\n r_int3_insn: nop");
MODE_CODE16(r_bound, "movl $0x00020001, 0x500\n movw $3, %ax\n r_bound_insn: bound %ax, 0x500");
MODE_CODE16(r_word, "movw $0xffff, %bx\n r_word_insn: movw (%bx), %ax");
MODE_CODE16(r_far, "movl $0x10000, %ebx\n r_far_insn: movb (%ebx), %al");
MODE_CODE16(r_stack_word, "movw $0xffff, %bp\n r_stack_word_insn: movw (%bp), %ax");
MODE_CODE16(r_wrap, "movw %sp, %cx\n movl $0x12340000, %esp\n pushw $0x55aa\n movl %esp, %ebx\n"
                    "movw %cx, %sp\n andl $0xffff, %esp");
MODE_CODE16(r_write_code, "movw $0, %cs:0x500");
MODE_CODE16(r_segment, "movw $0x60, %ax\n movw %ax, %es\n movb $0x5a, 0x610\n"
                       "movb %es:0x10, %al");
MODE_CODE16(r_null, "xorw %ax, %ax\n movw %ax, %ss\n movw %ax, %gs\n movw %gs:0x500, %bx");
MODE_CODE16(r_iret, "pushw $0x3246\n pushw %cs\n pushw $1f\n iretw\n1: pushfw\n popw %ax");
MODE_CODE16(r_iret32, "pushl $0x1f3246\n pushl $0\n pushl $1f\n iretl\n1: pushfl\n popl %eax\n"
                      "pushw $2\n popfw");
MODE_CODE16(r_iret_far, "pushl $2\n pushl $0\n pushl $0x10000\n r_iret_far_insn: iretl");
MODE_CODE16(r_retf, "pushw $0\n pushw $1f\n lretw $0\n1: movw $1, %ax");
MODE_CODE16(r_retf_far, "pushl $0\n pushl $0x10000\n r_retf_far_insn: lretl");
MODE_CODE16(r_call_far, "lcall $0x10, $(1f - 0x100)\n movw $7, %bx\n jmp 2f\n"
                        "1: movw %cs, %ax\n popl %ecx\n pushl %ecx\n lretw\n2:");
MODE_CODE16(r_jump_far, "r_jump_far_insn: ljmpl $0, $0x10000");
MODE_CODE16(r_jump_near, "movl $0x10000, %eax\n r_jump_near_insn: jmp *%eax");
MODE_CODE16(r_cli, "pushw $0x3002\n popfw\n sti\n pushfw\n popw %ax\n cli\n pushfw\n popw %bx");
MODE_CODE16(r_smsw, "smsw %ax\n sgdtl 0x500\n sidtl 0x510\n movl %cr0, %ebx");
MODE_CODE16(r_lar, "r_lar_insn: larw %ax, %ax");
MODE_CODE16(r_lsl, "r_lsl_insn: lslw %ax, %ax");
MODE_CODE16(r_verr, "r_verr_insn: verr %ax");
MODE_CODE16(r_verw, "r_verw_insn: verw %ax");
MODE_CODE16(r_arpl, "r_arpl_insn: arpl %ax, %ax");
MODE_CODE16(r_sldt, "r_sldt_insn: sldtw %ax");
MODE_CODE16(r_str, "r_str_insn: strw %ax");
MODE_CODE16(r_lldt, "r_lldt_insn: lldt %ax");
MODE_CODE16(r_ltr, "r_ltr_insn: ltr %ax");
MODE_CODE16(r_sysenter, "r_sysenter_insn: sysenter");
MODE_CODE16(r_sysexit, "r_sysexit_insn: .byte 0x0f, 0x35");
MODE_CODE16(r_cr1, "r_cr1_insn: .byte 0x0f, 0x20, 0xc8");
MODE_CODE16(r_mov_cs, "r_mov_cs_insn: .byte 0x8e, 0xc8");
MODE_CODE16(r_mov_seg6, "r_mov_seg6_insn: .byte 0x8e, 0xf0");
MODE_CODE16(r_mov_seg7, "r_mov_seg7_insn: .byte 0x8c, 0xf8");
MODE_CODE16(r_rex, "movw $5, %ax\n .byte 0x48"); /* DEC AX */
MODE_CODE16(r_les, "movl $0x12345678, 0x500\n lesw 0x500, %bx\n movw %es, %ax");
MODE_CODE16(u_read, "movl $0x100000, %ebx\n movl $0xcafe, (%ebx)\n movl (%ebx), %eax\n"
                    "movw $1, %cx\n movw %cx, %es\n movl %es:-16(%ebx), %edx");
MODE_CODE16(u_stack, "movl $0x10000, %ebp\n u_stack_insn: movb (%ebp), %al");

/* rows: events 7.1.1, events 7.1.2, events 7.1.3, events 7.1.4 */
static void test_delivery(void)
{
    struct modes_state *m = modes_begin(MODE_REAL, r_int);
    struct mode_event e;

    m->rflags |= RFLAGS_IOPL | RFLAGS_CF;
    e = modes_run();
    tap_ok(e.vector == 0x40 && e.real, "INT 40 goes through the table at 0");
    tap_eq(e.ip, (uintptr_t)r_int_insn + 2, "it pushes the IP behind it");
    tap_eq(e.flags & (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_CF), RFLAGS_IF | RFLAGS_IOPL | RFLAGS_CF,
           "and the flags as they were");
    tap_eq(e.sp - modes_reg(M_SP), 6, "three words and nothing more");
    m = modes_begin(MODE_REAL, r_int);
    m->idtr.limit = 0x40 * 4 + 3;
    e = modes_run();
    tap_eq(e.vector, 0x40, "a vector that ends at IDTR.limit is used");
    m = modes_begin(MODE_REAL, r_int);
    m->idtr.limit = 0x40 * 4 + 2;
    RUN_FAULT(r_int, EXC_GP, 0, "a vector that ends above it is #GP");
    tap_eq(modes_event(0).sp - modes_reg(M_SP), 6, "which pushes no error code");
    FAULT(MODE_REAL, r_div, EXC_DE, 0, "#DE saves the IP of the instruction");
    modes_begin(MODE_REAL, r_into);
    modes_try(EXC_OF, 0, r_into_insn, "INTO is a trap");
    modes_begin(MODE_REAL, r_int3);
    modes_try(EXC_BP, 0, r_int3_insn, "INT3 is a trap");
    FAULT(MODE_REAL, r_bound, EXC_BR, 0, "BOUND is a fault");
}

static void test_limits(void)
{
    /* rows: events 13.13 */
    FAULT(MODE_REAL, r_word, EXC_GP, 0, "a word at offset ffff is #GP");
    FAULT(MODE_REAL, r_far, EXC_GP, 0, "a byte at offset 10000 is #GP");
    /* rows: pitfalls 3.5 */
    FAULT(MODE_REAL, r_stack_word, EXC_SS, 0, "a word at offset ffff of the stack is #SS");
    /* rows: events 7.1.2 */
    PASS(MODE_REAL, r_wrap, "PUSH with SP = 0 wraps");
    tap_eq(modes_reg(M_BX), 0x1234fffe, "and leaves the upper half of ESP");
    PASS(MODE_REAL, r_write_code, "CS can be written in real mode");
    PASS(MODE_REAL, r_segment, "a segment starts at 16 times its selector");
    tap_eq(modes_reg(M_AX) & 0xff, 0x5a, "and the byte is there");
    PASS(MODE_REAL, r_null, "selector 0 is a segment like others");
    /* rows: events 8.1.1, events 13.16 */
    FAULT(MODE_REAL, r_iret_far, EXC_GP, 0, "IRETD to an EIP above the limit is #GP at the IRETD");
    FAULT(MODE_REAL, r_retf_far, EXC_GP, 0, "far RET to an EIP above the limit is #GP");
    FAULT(MODE_REAL, r_jump_far, EXC_GP, 0, "far JMP to an EIP above the limit is #GP");
    FAULT(MODE_REAL, r_jump_near, EXC_GP, 0, "near JMP to an EIP above the limit is #GP");
}

static void test_transfers(void)
{
    /* rows: events 8.1.1 */
    PASS(MODE_REAL, r_iret, "IRET pops IP, CS and FLAGS");
    tap_eq(modes_reg(M_AX) & 0xffff, IMAGE, "with IOPL and IF");
    PASS(MODE_REAL, r_iret32, "IRETD pops EIP, CS and EFLAGS");
    tap_eq(modes_reg(M_AX) & (VM | VIF_VIP), 0, "but not VM, VIF and VIP");
    tap_eq(modes_reg(M_AX) & 0x43246, 0x43246, "though AC and the low half");
    PASS(MODE_REAL, r_retf, "far RET");
    PASS(MODE_REAL, r_call_far, "far CALL and RET");
    tap_eq(modes_reg(M_AX) & 0xffff, 0x10, "CS is the paragraph of the CALL");
    /* rows: events 14.1 */
    PASS(MODE_REAL, r_cli, "STI and CLI whatever IOPL says");
    tap_eq(modes_reg(M_AX) & 0x3200, 0x3200, "POPF loads IOPL in real mode, STI sets IF");
    tap_eq(modes_reg(M_BX) & 0x200, 0, "CLI clears it");
}

static void test_instructions(void)
{
    PASS(MODE_REAL, r_smsw, "SMSW, SGDT, SIDT and MOV CR0 work");
    tap_eq(modes_reg(M_BX) & 1, 0, "CR0.PE is 0");
    /* rows: events 13.7 */
    FAULT(MODE_REAL, r_lar, EXC_UD, 0, "LAR is #UD");
    FAULT(MODE_REAL, r_lsl, EXC_UD, 0, "LSL is #UD");
    FAULT(MODE_REAL, r_verr, EXC_UD, 0, "VERR is #UD");
    FAULT(MODE_REAL, r_verw, EXC_UD, 0, "VERW is #UD");
    FAULT(MODE_REAL, r_arpl, EXC_UD, 0, "ARPL is #UD");
    FAULT(MODE_REAL, r_sldt, EXC_UD, 0, "SLDT is #UD");
    FAULT(MODE_REAL, r_str, EXC_UD, 0, "STR is #UD");
    FAULT(MODE_REAL, r_lldt, EXC_UD, 0, "LLDT is #UD");
    FAULT(MODE_REAL, r_ltr, EXC_UD, 0, "LTR is #UD");
    /* rows: events 11.10 */
    FAULT(MODE_REAL, r_sysenter, EXC_GP, 0, "SYSENTER is #GP");
    FAULT(MODE_REAL, r_sysexit, EXC_GP, 0, "SYSEXIT is #GP");
    /* rows: pitfalls 1.13 */
    FAULT(MODE_REAL, r_cr1, EXC_UD, 0, "MOV from CR1 is #UD");
    /* rows: pitfalls 3.28, events 13.3 */
    FAULT(MODE_REAL, r_mov_cs, EXC_UD, 0, "MOV to CS is #UD");
    FAULT(MODE_REAL, r_mov_seg6, EXC_UD, 0, "MOV to segment register 6 is #UD");
    FAULT(MODE_REAL, r_mov_seg7, EXC_UD, 0, "MOV from segment register 7 is #UD");
    /* rows: pitfalls 1.8 */
    PASS(MODE_REAL, r_les, "C4 is LES");
    tap_ok((modes_reg(M_AX) & 0xffff) == 0x1234 && (modes_reg(M_BX) & 0xffff) == 0x5678,
           "with offset and segment");
    PASS(MODE_REAL, r_rex, "48 is DEC AX");
    tap_eq(modes_reg(M_AX) & 0xffff, 4, "it counts down");
}

static void test_unreal(void)
{
    /* rows: pitfalls 3.27 */
    PASS(MODE_UNREAL, u_read, "limits of protected mode survive in real mode");
    tap_eq(modes_reg(M_AX), 0xcafe, "DS reaches 1 MiB");
    tap_eq(modes_reg(M_DX), 0xcafe, "a load sets the base and leaves the limit");
    FAULT(MODE_UNREAL, u_stack, EXC_SS, 0, "SS has its own limit");
}

int rom_main(void)
{
    *(volatile uint16_t *)(uintptr_t)0x10000 = 0x0b0f; /* UD2, for machines without limits */
    test_delivery();
    test_limits();
    test_transfers();
    test_instructions();
    test_unreal();
    tap_done();
}

/* code16.c: 16-bit code does the same in real, virtual-8086, protected and compatibility mode.
 * APM vol 1, 2.2.4 "Address-Size Prefix" and 2.2; vol 2, 1.3 "Operating Modes", 4.7.3 (the B bit). */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

MODE_CODE16(c_push, "movl %esp, %ebx\n pushw $1\n movl %esp, %ecx\n popw %ax\n pushl $1\n movl "
                    "%esp, %edx\n popl %eax\n"
                    "subl %ebx, %ecx\n subl %ebx, %edx");
MODE_CODE16(c_address,
            "movl $0x1ffff, %ebx\n movl $0x10601, %esi\n movb $0x5a, 0x600\n xorl %eax, %eax\n"
            "movb (%bx, %si), %al\n leaw 4(%bx, %si), %cx\n leal (%ebx, %esi), %edx");
MODE_CODE16(c_bp, "movw $0x600, %bp\n movb $0x77, 0x603\n movb 3(%bp), %al\n movw $0x600, %di\n"
                  "movb 3(%bp, %di), %ah");
MODE_CODE16(c_partial,
            "movl $-1, %eax\n movw $0x1234, %ax\n movl $-1, %ecx\n xorw %cx, %cx\n movl $-1, %edx\n"
            "cwtl\n movw $0x8000, %ax\n cwtd");
MODE_CODE16(c_loop,
            "movl $0x10003, %ecx\n xorl %eax, %eax\n 1: incw %ax\n loop 1b\n movl $0x20000, %edx\n"
            "xchgl %ecx, %edx\n jcxz 2f\n movw $99, %ax\n 2:");
MODE_CODE16(c_string,
            "cld\n movl $0x70600, %edi\n movl $0x70003, %ecx\n movb $0x42, %al\n rep stosb\n"
            "movl $0x600, %esi\n lodsw");
MODE_CODE16(c_call, "movw %sp, %bx\n call 1f\n movw $5, %dx\n jmp 2f\n 1: movw %sp, %cx\n subw "
                    "%bx, %cx\n ret\n 2:");
MODE_CODE16(
    c_ret_imm,
    "movw %sp, %bx\n pushw $1\n pushw $2\n call 1f\n subw %sp, %bx\n jmp 2f\n 1: ret $4\n 2:");
MODE_CODE16(
    c_pusha,
    "movw %sp, %bp\n movw $1, %ax\n pushaw\n movw -2(%bp), %cx\n movw %cx, 0x600\n movw %sp, "
    "0x602\n"
    "popaw\n movw %sp, %si\n movw 0x602, %dx\n subw %bp, %dx\n subw %bp, %si\n movw 0x600, %ax");
MODE_CODE16(
    c_enter,
    "movw %sp, %bx\n movw $0x1111, %bp\n enterw $8, $0\n movw (%bp), %ax\n movw %sp, %cx\n leavew\n"
    "subw %bx, %cx\n movw %bp, %dx");
MODE_CODE16(c_wide,
            "movl $0x12345678, %eax\n bswapl %eax\n imull $3, %eax, %ecx\n shldl $8, %eax, %edx");
MODE_CODE16(
    c_far,
    "movw %sp, %bx\n pushw %cs\n call 1f\n jmp 2f\n 1: movw $7, %cx\n lretw\n 2: subw %sp, %bx");
MODE_CODE16(c_xlat, "movb $0x66, 0x607\n movw $0x600, %bx\n movb $7, %al\n xlatb");
MODE_CODE16(c_bcd, "movw $0x0079, %ax\n addb $0x35, %al\n daa\n movb %al, %bl\n movw $9, %ax\n "
                   "addb $9, %al\n aaa\n"
                   "movw %ax, %cx\n movb $77, %al\n aam\n movw %ax, %dx\n aad\n movw %ax, %si");
MODE_CODE16(c_rex, "movw $5, %ax\n .byte 0x48, 0x48"); /* DEC AX twice */

static const struct {
    enum mode mode;
    const char *name;
} modes[] = {
    { MODE_REAL, "real" },
    { MODE_V86, "v86" },
    { MODE_PROT16, "protected" },
    { MODE_PROT16_USER, "protected, CPL 3" },
    { MODE_COMPAT16, "compatibility" },
    { MODE_COMPAT16_USER, "compatibility, CPL 3" },
};

static unsigned now;

static void run(const char *code, const char *end, const char *what)
{
    modes_begin(modes[now].mode, code);
    struct mode_event e = modes_run();

    tap_ok(modes_done(&e, end), "%s: %s", modes[now].name, what);
    if (!modes_done(&e, end))
        rom_printf("#   vector %u at %lx\n", e.vector, e.ip);
}
#define RUN(name, what) run(name, name##_end, what)

static void low(unsigned reg, uint64_t want, const char *what)
{
    tap_eq(modes_reg(reg) & 0xffffffff, want, "%s: %s", modes[now].name, what);
}

static void word(unsigned reg, uint64_t want, const char *what)
{
    tap_eq(modes_reg(reg) & 0xffff, want, "%s: %s", modes[now].name, what);
}

static void test_mode(void)
{
    RUN(c_push, "PUSH");
    low(M_CX, 0xfffffffe, "moves SP by 2");
    low(M_DX, 0xfffffffc, "or with 66 by 4");
    RUN(c_address, "16-bit addressing");
    low(M_AX, 0x5a, "wraps at 64 KiB");
    word(M_CX, 0x604, "so does LEA");
    low(M_DX, 0x30600, "with 67 it has 32 bits");
    RUN(c_bp, "BP and DI as base and index");
    RUN(c_partial, "16-bit results");
    low(M_CX, 0xffff0000, "leave the upper half");
    low(M_DX, 0xffffffff, "CWD writes DX");
    RUN(c_loop, "LOOP");
    word(M_AX, 3, "counts CX");
    RUN(c_string, "REP STOSB");
    low(M_DI, 0x70603, "uses DI and leaves the upper half of EDI");
    low(M_CX, 0x70000, "as of ECX");
    word(M_AX, 0x4242, "LODSW reads it");
    RUN(c_call, "CALL and RET");
    word(M_CX, 0xfffe, "push a word");
    RUN(c_ret_imm, "RET 4");
    word(M_BX, 0, "releases its arguments");
    RUN(c_pusha, "PUSHA and POPA");
    word(M_DX, 0xfff0, "eight words");
    word(M_SI, 0, "and back");
    word(M_AX, 1, "AX is the highest");
    RUN(c_enter, "ENTER and LEAVE");
    word(M_AX, 0x1111, "keep BP");
    word(M_CX, 0xfff6, "make room");
    RUN(c_wide, "32-bit instructions with 66");
    low(M_AX, 0x78563412, "BSWAP");
    RUN(c_far, "far RET to its own segment");
    word(M_BX, 0, "pops CS and IP");
    RUN(c_xlat, "XLAT");
    tap_eq(modes_reg(M_AX) & 0xff, 0x66, "%s: finds its byte", modes[now].name);
    RUN(c_bcd, "decimal adjustment");
    tap_eq(modes_reg(M_BX) & 0xff, 0x14, "%s: DAA", modes[now].name);
    word(M_CX, 0x0108, "AAA");
    word(M_DX, 0x0707, "AAM");
    word(M_SI, 77, "AAD");
    /* rows: pitfalls 1.16 */
    RUN(c_rex, "48");
    word(M_AX, 3, "is DEC AX");
}

int rom_main(void)
{
    for (now = 0; now < sizeof modes / sizeof modes[0]; now++)
        test_mode();
    tap_done();
}

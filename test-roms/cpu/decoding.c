/* decoding.c: prefixes, lengths and encodings, in 16-bit, 32-bit and 64-bit code.
 * APM vol 3, 1.2 "Instruction Prefixes", 1.4 "ModRM and SIB Bytes", appendix A "Opcode and Operand Encodings". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LA (PAGING_WINDOW + 0x2000)

MODE_CODE64(e_15,
            ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
MODE_CODE64(
    e_16, "e_16_insn: .byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,"
          "0x66,0x90");
MODE_CODE16(e_16in16,
            "e_16in16_insn: .byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,"
            "0x66,0x66,0x90");
MODE_CODE64(e_rex_last, "movq $-1, %rax\n .byte 0x48, 0x66, 0xff, 0xc0"); /* REX.W, 66, INC AX */
MODE_CODE64(e_rex_two,
            "movq $-1, %rax\n .byte 0x48, 0x40, 0xff, 0xc0"); /* the last REX counts: INC EAX */
MODE_CODE64(e_seg_two, "movl $0x1234, 0x600\n .byte 0x64, 0x3e\n movl 0x600, %eax"); /* FS, DS */
MODE_CODE64(e_seg_fs, "movl $0x1234, 0x610\n .byte 0x3e, 0x64\n movl 0x600, %eax");
MODE_CODE32(e_seg_last,
            "movl $0x1234, 0x600\n .byte 0x26, 0x3e\n movl 0x600, %eax"); /* null ES, DS */
MODE_CODE64(e_nop, "movq $-1, %rax\n nop");
MODE_CODE64(e_xchg, "movq $1, %rax\n movq $2, %r8\n .byte 0x49, 0x90"); /* XCHG R8, RAX */
MODE_CODE64(e_xchg32, "movq $-1, %rax\n movl $2, %r8d\n .byte 0x41, 0x90");
MODE_CODE64(e_pause,
            "movq $-1, %rax\n movq $2, %r8\n .byte 0xf3, 0x41, 0x90"); /* PAUSE also with REX.B */
MODE_CODE64(e_mod, ".byte 0x0f, 0x20, 0x00\n movq %cr0, %rbx");        /* mod = 00: MOV RAX, CR0 */
MODE_CODE64(e_cr1, "e_cr1_insn: .byte 0x0f, 0x20, 0xc8");
MODE_CODE64(e_cr5, "e_cr5_insn: .byte 0x0f, 0x22, 0xe8");
MODE_CODE64(e_cr9, "e_cr9_insn: .byte 0x44, 0x0f, 0x20, 0xc8");
MODE_CODE64(e_ud0, "e_ud0_insn: .byte 0x0f, 0xff, 0xc0");
MODE_CODE64(e_ud1, "e_ud1_insn: .byte 0x0f, 0xb9, 0xc0");
MODE_CODE64(e_address32,
            "movabsq $0x100000600, %rbx\n movl $0x4321, 0x600\n .byte 0x67\n movl (%rbx), %eax");
MODE_CODE64(e_rep32,
            "movabsq $0x1700000002, %rcx\n movabsq $0x1700000600, %rdi\n .byte 0x67\n rep stosb");
MODE_CODE64(e_rep32_none, "movabsq $0x1700000000, %rcx\n .byte 0x67\n rep stosb");
MODE_CODE64(e_lahf, "movb $0xd5, %ah\n sahf\n movb $0, %ah\n lahf");
MODE_CODE32(e_bound,
            "movl $1, 0x600\n movl $5, 0x604\n movl $3, %eax\n .byte 0x62, 0x05\n .long 0x600");
MODE_CODE32(e_lds, "movl $0x1234, 0x600\n movw $0x10, 0x604\n .byte 0xc5, 0x1d\n .long 0x600");
MODE_CODE16(e_vex16, "e_vex16_insn: .byte 0xc5, 0xf8, 0x77"); /* VEX or LDS with a register */
MODE_CODE64(e_wbnoinvd, ".byte 0xf3, 0x0f, 0x09");
MODE_CODE64(
    e_bsf,
    "movl $8, %eax\n .byte 0xf3, 0x0f, 0xbc, 0xd8\n setz %cl"); /* BSF, or TZCNT: the same here */

#define UD64(name, bytes) MODE_CODE64(name, #name "_insn: .byte " bytes)
UD64(u_82, "0x82, 0xc0, 0x01");
UD64(u_06, "0x06");
UD64(u_1f, "0x1f");
UD64(u_27, "0x27");
UD64(u_37, "0x37");
UD64(u_60, "0x60");
UD64(u_62, "0x61");
UD64(u_9a, "0x9a, 0, 0, 0, 0, 8, 0");
UD64(u_ea, "0xea, 0, 0, 0, 0, 8, 0");
UD64(u_ce, "0xce");
UD64(u_d4, "0xd4, 0x0a");
UD64(u_d5, "0xd5, 0x0a");
UD64(u_d6, "0xd6");
UD64(u_8e_cs, "0x8e, 0xc8");
UD64(u_8e_6, "0x8e, 0xf0");
UD64(u_8c_7, "0x8c, 0xf8");

/* LOCK: memory forms that may have it, forms that may not. RBX points to memory. */
#define LOCK(name, bytes) MODE_CODE64(name, #name "_insn: .byte 0xf0, " bytes)
LOCK(l_add, "0x00, 0x03");
LOCK(l_or, "0x08, 0x03");
LOCK(l_adc, "0x10, 0x03");
LOCK(l_sbb, "0x18, 0x03");
LOCK(l_and, "0x20, 0x03");
LOCK(l_sub, "0x28, 0x03");
LOCK(l_xor, "0x30, 0x03");
LOCK(l_not, "0xf6, 0x13");
LOCK(l_neg, "0xf6, 0x1b");
LOCK(l_inc, "0xfe, 0x03");
LOCK(l_dec, "0xfe, 0x0b");
LOCK(l_xchg, "0x86, 0x03");
LOCK(l_xadd, "0x0f, 0xc0, 0x03");
LOCK(l_cmpxchg, "0x0f, 0xb0, 0x03");
LOCK(l_cmpxchg8b, "0x0f, 0xc7, 0x0b");
LOCK(l_bts, "0x0f, 0xab, 0x03");
LOCK(l_btr, "0x0f, 0xb3, 0x03");
LOCK(l_btc, "0x0f, 0xbb, 0x03");
LOCK(n_cmp, "0x38, 0x03");
LOCK(n_bt, "0x0f, 0xa3, 0x03");
LOCK(n_test, "0x84, 0x03");
LOCK(n_mov, "0x88, 0x03");
LOCK(n_load, "0x8a, 0x03");
LOCK(n_add_load, "0x02, 0x03");
LOCK(n_register, "0x00, 0xc0");
LOCK(n_shift, "0xd0, 0x23");
LOCK(n_push, "0x50");
LOCK(n_nop, "0x90");
LOCK(n_jmp, "0xeb, 0x00");
LOCK(n_lea, "0x8d, 0x03");
LOCK(n_bad_address, "0x88, 0x01");
MODE_CODE64(l_cr8,
            "movl $5, %eax\n movq %rax, %cr8\n .byte 0xf0, 0x0f, 0x20, 0xc0\n movq %rax, %rbx\n"
            "xorl %eax, %eax\n movq %rax, %cr8"); /* LOCK MOV RAX, CR0 is CR8 */

static uint64_t memory[2];

static void value(unsigned reg, uint64_t want, const char *what)
{
    tap_eq(modes_reg(reg), want, "%s", what);
}

static void test_length(void)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    struct mode_event e;

    /* rows: pitfalls 1.1 */
    PASS(MODE_LONG, e_15, "an instruction of 15 bytes");
    FAULT(MODE_LONG, e_16, EXC_GP, 0, "one of 16 is #GP(0)");
    FAULT(MODE_REAL, e_16in16, EXC_GP, 0, "in real mode too");
    paging_map(paging_root(), LA, (uintptr_t)page, PAGE_4K, PAGE_P | PAGE_W);
    *paging_entry(paging_root(), LA + PAGE_4K, 1) = 0;
    invlpg(LA);
    memset(page + 4096 - 15, 0x66, 15);
    modes_begin(MODE_LONG, (const char *)(LA + 4096 - 15));
    e = modes_run();
    tap_ok(e.vector == EXC_GP || (e.vector == EXC_PF && e.cr2 == LA + 4096),
           "15 prefixes before a page that is not present");
    tap_eq(e.vector, EXC_GP, "are too long before the page is needed");
    /* rows: pitfalls 1.17 */
    page[4093] = 0xc7; /* MOV EAX, imm32 needs 6 bytes */
    page[4094] = 0xc0;
    page[4095] = 0;
    modes_begin(MODE_LONG, (const char *)(LA + 4093));
    e = modes_run();
    tap_ok(e.vector == EXC_PF && e.cr2 == LA + 4096 && e.ip == LA + 4093 && (e.error & PF_P) == 0,
           "an instruction that goes on there: CR2 is the second page, RIP the instruction");
    page[4094] = 0x0f;
    page[4095] = 0x0b;
    modes_begin(MODE_LONG, (const char *)(LA + 4094));
    e = modes_run();
    tap_ok(e.vector == EXC_UD && e.ip == LA + 4094, "one that ends before it does not fault");
}

static void test_prefixes(void)
{
    /* rows: pitfalls 1.2 */
    PASS(MODE_LONG, e_rex_last, "REX before another prefix");
    value(M_AX, UINT64_C(0xffffffffffff0000), "is ignored");
    PASS(MODE_LONG, e_rex_two, "two REX prefixes");
    value(M_AX, 0, "the last one counts");
    /* rows: pitfalls 1.3 */
    PASS(MODE_LONG, e_seg_two, "FS, then DS override in 64-bit mode");
    wrmsr(MSR_FS_BASE, 0);
    modes_begin(MODE_LONG, e_seg_fs)->fs = 0;
    RUN_PASS(e_seg_fs, "DS, then FS override");
    modes_begin(MODE_PROT32, e_seg_last)->es = 0;
    RUN_PASS(e_seg_last, "32-bit code: the last override wins");
    value(M_AX, 0x1234, "and is used");
    /* rows: pitfalls 1.11 */
    PASS(MODE_LONG, e_nop, "90 is NOP");
    value(M_AX, UINT64_MAX, "and zero-extends nothing");
    PASS(MODE_LONG, e_xchg, "49 90 is XCHG R8, RAX");
    value(M_AX, 2, "of 64 bits");
    PASS(MODE_LONG, e_xchg32, "41 90 is XCHG R8D, EAX");
    value(M_R8, 0xffffffff, "of 32 bits");
    PASS(MODE_LONG, e_pause, "F3 41 90 is PAUSE");
    /* rows: pitfalls 1.18 */
    PASS(MODE_LONG, e_address32, "67: the address has 32 bits");
    value(M_AX, 0x4321, "and wraps there");
    PASS(MODE_LONG, e_rep32, "67 REP STOSB counts ECX");
    value(M_CX, 0, "RCX is zero-extended");
    value(M_DI, 0x602, "so is RDI");
    PASS(MODE_LONG, e_rep32_none, "67 REP with ECX = 0");
    value(M_CX, UINT64_C(0x1700000000), "leaves RCX alone");
    /* rows: pitfalls 2.19 */
    PASS(MODE_LONG, e_lahf, "LAHF and SAHF in 64-bit mode");
    value(M_AX, 0xd700, "with bit 1 set");
}

static void test_encodings(void)
{
    /* rows: pitfalls 1.12, 1.13 */
    PASS(MODE_LONG, e_mod, "MOV from CR0 ignores mod");
    tap_eq(modes_reg(M_AX), modes_reg(M_BX), "and reads the register");
    FAULT(MODE_LONG, e_cr1, EXC_UD, 0, "CR1 is #UD");
    FAULT(MODE_LONG, e_cr5, EXC_UD, 0, "CR5 is #UD");
    FAULT(MODE_LONG, e_cr9, EXC_UD, 0, "CR9 is #UD");
    /* rows: pitfalls 1.14 */
    FAULT(MODE_LONG, e_ud0, EXC_UD, 0, "UD0");
    FAULT(MODE_LONG, e_ud1, EXC_UD, 0, "UD1");
    /* rows: pitfalls 1.15 */
    PASS(MODE_LONG, e_bsf, "F3 BSF of 8");
    value(M_BX, 3, "is 3, be it BSF or TZCNT");
    /* rows: pitfalls 1.19 */
    PASS(MODE_LONG, e_wbnoinvd, "F3 0F 09");
    /* rows: pitfalls 1.8 */
    PASS(MODE_PROT32, e_bound, "32-bit code: 62 is BOUND");
    PASS(MODE_PROT32, e_lds, "32-bit code: C5 is LDS");
    value(M_BX, 0x1234, "with its register");
    /* rows: pitfalls 1.7 */
    FAULT(MODE_REAL, e_vex16, EXC_UD, 0, "real mode: C5 with a register is #UD");
    FAULT(MODE_V86, e_vex16, EXC_UD, 0, "virtual-8086 mode too");
}

static void test_missing(void)
{
    /* rows: pitfalls 1.16, 3.28 */
    FAULT(MODE_LONG, u_82, EXC_UD, 0, "64-bit mode: 82 is #UD");
    FAULT(MODE_LONG, u_06, EXC_UD, 0, "PUSH ES is #UD");
    FAULT(MODE_LONG, u_1f, EXC_UD, 0, "POP DS is #UD");
    FAULT(MODE_LONG, u_27, EXC_UD, 0, "DAA is #UD");
    FAULT(MODE_LONG, u_37, EXC_UD, 0, "AAA is #UD");
    FAULT(MODE_LONG, u_60, EXC_UD, 0, "PUSHA is #UD");
    FAULT(MODE_LONG, u_62, EXC_UD, 0, "POPA is #UD");
    FAULT(MODE_LONG, u_9a, EXC_UD, 0, "far CALL with an immediate is #UD");
    FAULT(MODE_LONG, u_ea, EXC_UD, 0, "far JMP with an immediate is #UD");
    FAULT(MODE_LONG, u_ce, EXC_UD, 0, "INTO is #UD");
    FAULT(MODE_LONG, u_d4, EXC_UD, 0, "AAM is #UD");
    FAULT(MODE_LONG, u_d5, EXC_UD, 0, "AAD is #UD");
    FAULT(MODE_LONG, u_d6, EXC_UD, 0, "SALC is #UD");
    FAULT(MODE_LONG, u_8e_cs, EXC_UD, 0, "MOV to CS is #UD");
    FAULT(MODE_LONG, u_8e_6, EXC_UD, 0, "MOV to segment register 6 is #UD");
    FAULT(MODE_LONG, u_8c_7, EXC_UD, 0, "MOV from segment register 7 is #UD");
}

struct lock {
    const char *code, *insn, *end, *what;
};
#define ROW(name, what)                     \
    {                                       \
        name, name##_insn, name##_end, what \
    }

static void test_lock(void)
{
    static const struct lock legal[] = {
        ROW(l_add, "ADD"),   ROW(l_or, "OR"),           ROW(l_adc, "ADC"),
        ROW(l_sbb, "SBB"),   ROW(l_and, "AND"),         ROW(l_sub, "SUB"),
        ROW(l_xor, "XOR"),   ROW(l_not, "NOT"),         ROW(l_neg, "NEG"),
        ROW(l_inc, "INC"),   ROW(l_dec, "DEC"),         ROW(l_xchg, "XCHG"),
        ROW(l_xadd, "XADD"), ROW(l_cmpxchg, "CMPXCHG"), ROW(l_cmpxchg8b, "CMPXCHG8B"),
        ROW(l_bts, "BTS"),   ROW(l_btr, "BTR"),         ROW(l_btc, "BTC"),
    };
    static const struct lock illegal[] = {
        ROW(n_cmp, "CMP"),
        ROW(n_bt, "BT"),
        ROW(n_test, "TEST"),
        ROW(n_mov, "MOV to memory"),
        ROW(n_load, "MOV from memory"),
        ROW(n_add_load, "ADD to a register"),
        ROW(n_register, "ADD of registers"),
        ROW(n_shift, "SHL"),
        ROW(n_push, "PUSH"),
        ROW(n_nop, "NOP"),
        ROW(n_jmp, "JMP"),
        ROW(n_lea, "LEA"),
    };

    /* rows: pitfalls 1.5 */
    for (unsigned i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        modes_begin(MODE_LONG, legal[i].code)->regs[M_BX] = (uintptr_t)memory;
        struct mode_event e = modes_run();
        tap_ok(modes_done(&e, legal[i].end), "LOCK %s", legal[i].what);
    }
    for (unsigned i = 0; i < sizeof illegal / sizeof illegal[0]; i++) {
        modes_begin(MODE_LONG, illegal[i].code)->regs[M_BX] = (uintptr_t)memory;
        struct mode_event e = modes_run();
        tap_ok(e.vector == EXC_UD && e.ip == (uintptr_t)illegal[i].insn, "LOCK %s is #UD",
               illegal[i].what);
    }
    /* rows: pitfalls 1.6 */
    modes_begin(MODE_LONG, n_bad_address)->regs[M_CX] = PAGING_WINDOW;
    RUN_FAULT(n_bad_address, EXC_UD, 0, "#UD comes before #PF");
    /* rows: pitfalls 1.5 */
    if ((cpuid_checked(0x80000001, 0).ecx >> 4 & 1) == 0) {
        tap_skip("no AltMovCr8", "LOCK MOV CR0");
        return;
    }
    PASS(MODE_LONG, l_cr8, "LOCK MOV from CR0");
    value(M_BX, 5, "is CR8");
}

int rom_main(void)
{
    test_length();
    test_prefixes();
    test_encodings();
    test_missing();
    test_lock();
    tap_done();
}

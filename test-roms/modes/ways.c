/* ways.c: ways between modes that are seldom taken: from real mode to long mode in one step, long mode from 16-bit
 * code, paging modes changed under running code, and round trips. APM vol 2, 14.4 "Enabling Protected Mode", 14.6
 * "Enabling and Activating Long Mode", 14.7 "Leaving Long Mode". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

/* EBP: CR3 of long mode. All leave by UD2 in the mode they came to, or at their end. */
#define TO_LONG                                                              \
    "movl %cr4, %eax\n orb $0x20, %al\n movl %eax, %cr4\n movl %ebp, %cr3\n" \
    "movl $0xc0000080, %ecx\n rdmsr\n orl $0x100, %eax\n wrmsr\n"
#define OUT_OF_LONG                                                                         \
    "movl %cr0, %eax\n btrl $31, %eax\n movl %eax, %cr0\n movl $0xc0000080, %ecx\n rdmsr\n" \
    "andl $0xfffffeff, %eax\n wrmsr\n"

MODE_CODE16(w_real_long,
            "movl $0x76543210, %edi\n" TO_LONG "movl %cr0, %eax\n orl $0x80000001, %eax\n"
            "movl %eax, %cr0\n ljmpl $0x08, $1f\n.code64\n"
            "1: movabsq $0x1122334455667788, %rax\n shrq $32, %rax\n movq %rax, %rbx\n"
            "pushq $0x38\n pushq $2f\n lretq\n.code16\n"
            "2:" OUT_OF_LONG "movl %cr0, %eax\n andb $0xfe, %al\n movl %eax, %cr0\n ljmp $0, $3f\n"
            "3: movw $0, %ax\n movw %ax, %ds\n movw %ax, %ss");
MODE_CODE16(w_prot_real,
            "movl %cr0, %eax\n andb $0xfe, %al\n movl %eax, %cr0\n movw %cs, %bx\n ljmp $0, $1f\n"
            "1: movw %cs, %cx\n xorw %ax, %ax\n movw %ax, %ds\n movw %ax, %ss\n movl %cr0, %eax\n"
            "orb $1, %al\n movl %eax, %cr0\n ljmp $0x38, $2f\n 2: movw %cs, %dx\n movw $0x40, %ax\n"
            "movw %ax, %ss\n movw %ax, %ds");
/* Between PE = 1 and the far JMP the code is still 16-bit, with the segment of real mode. */
MODE_CODE16(w_before_jump, "lgdtl modes_gdtr\n movl %cr0, %eax\n orb $1, %al\n movl %eax, %cr0\n "
                           "movw %cs, %bx\n movl $5, %ecx\n"
                           "movw 0x600, %dx\n andb $0xfe, %al\n movl %eax, %cr0");
MODE_CODE32(
    w_pse_pae,
    "movl %cr0, %eax\n btrl $31, %eax\n movl %eax, %cr0\n movl %cr4, %ecx\n xorl $0x30, %ecx\n"
    "movl %ecx, %cr4\n movl %ebx, %cr3\n btsl $31, %eax\n movl %eax, %cr0\n movl (%esi), %edi");
MODE_CODE32(w_rounds,
            "movl $3, %esi\n xorl %edi, %edi\n"
            "1:" TO_LONG
            "movl %cr0, %eax\n btsl $31, %eax\n movl %eax, %cr0\n ljmp $0x08, $2f\n.code64\n"
            "2: incq %rdi\n pushq $0x30\n pushq $3f\n lretq\n.code32\n"
            "3:" OUT_OF_LONG
            "movl %cr4, %eax\n andb $0xdf, %al\n movl %eax, %cr4\n decl %esi\n jnz 1b");
/* Paging off in compatibility mode leaves long mode; LME = 1 and PG = 1 brings it back, still in compatibility. */
MODE_CODE32(w_off_on,
            "movl %cr0, %eax\n btrl $31, %eax\n movl %eax, %cr0\n movl $0xc0000080, %ecx\n rdmsr\n"
            "movl %eax, %ebx\n movl %cr0, %eax\n btsl $31, %eax\n movl %eax, %cr0\n rdmsr\n movl "
            "%eax, %esi");
MODE_CODE32(
    w_hidden,
    "movw $0x80, %ax\n movw %ax, %fs\n movl $0, (%ebx)\n movl $0, 4(%ebx)\n movl %fs:0, %eax");
MODE_CODE16(
    w_cs_kept,
    "movl %cr0, %eax\n andb $0xfe, %al\n movl %eax, %cr0\n ljmp $0, $1f\n"
    "1: xorw %ax, %ax\n movw %ax, %ds\n movw %ax, %ss\n w_cs_kept_insn: movb %cs:(%ebx), %al");

static void test_direct(void)
{
    struct modes_state *m = modes_begin(MODE_REAL, w_real_long);
    struct mode_event e;

    /* rows: pitfalls 5.1, 5.8, events 12.1 */
    m->regs[M_BP] = read_cr3();
    e = RUN_PASS(w_real_long,
                 "real mode, PE and PG set at once, 64-bit mode, 16-bit compatibility, real mode");
    tap_eq(modes_reg(M_BX), 0x11223344, "the 64-bit code ran");
    tap_eq(modes_reg(M_DI), 0x76543210, "a register passed through");
    tap_ok(e.real, "real mode at the end");
    m = modes_begin(MODE_PROT32, w_rounds);
    m->regs[M_BP] = read_cr3();
    RUN_PASS(w_rounds, "32-bit, 64-bit and back, three times");
    tap_eq(modes_reg(M_DI), 3, "each ran once");
    PASS(MODE_COMPAT32, w_off_on, "PG off and on again in compatibility mode");
    tap_eq(modes_reg(M_BX) & (EFER_LMA | EFER_LME), EFER_LME, "off: LMA is 0");
    tap_eq(modes_reg(M_SI) & (EFER_LMA | EFER_LME), EFER_LME | EFER_LMA, "on: LMA is 1");
}

static void test_real(void)
{
    struct modes_state *m;

    /* rows: pitfalls 3.27 */
    PASS(MODE_PROT16, w_prot_real, "protected, real and protected mode");
    tap_eq(modes_reg(M_BX) & 0xffff, MSEL_CODE16, "PE=0: CS is not changed");
    tap_eq(modes_reg(M_CX) & 0xffff, 0, "the far JMP changes it");
    tap_eq(modes_reg(M_DX) & 0xffff, MSEL_CODE16, "and back");
    *(volatile uint16_t *)(uintptr_t)0x600 = 0x4711;
    PASS(MODE_REAL, w_before_jump, "PE on and off without a far JMP");
    tap_eq(modes_reg(M_CX), 5, "the code is 16-bit still");
    tap_eq(modes_reg(M_DX) & 0xffff, 0x4711, "DS is usable still");
    for (unsigned big = 0; big < 2; big++) {
        m = modes_begin(MODE_PROT16, w_cs_kept);
        m->regs[M_BX] = 0x10000;
        m->idtr.base = 0; /* the exception comes in real mode */
        m->idtr.limit = 0x3ff;
        if (big)
            modes_set(MSEL_CODE16, modes_descriptor(0, 0xfffff, SEG_CODE, SEG_G));
        modes_try(big ? EXC_UD : EXC_GP, 0, big ? w_cs_kept_end : w_cs_kept_insn,
                  "the limit of CS stays that of protected mode");
    }
}

static void test_paging(void)
{
    static uint32_t page[2][1024] __attribute__((aligned(4096)));
    struct modes_state *m = modes_begin(MODE_PROT32, w_pse_pae);
    uint64_t *pdpt = modes_paging_pae(), *below;
    uint32_t *directory;

    /* rows: svmop 14.6 */
    below = (uint64_t *)(pdpt[1] & PAGE_ADDRESS);
    below[0] = 0;
    modes_map_pae(pdpt, 0x40000000, (uintptr_t)page[1], PAGE_P);
    m->cr4 = 0;
    directory = modes_paging_pse();
    directory[0x100] = 0;
    modes_map32(directory, 0x40000000, (uintptr_t)page[0], PAGE_P);
    page[0][0] = 1;
    page[1][0] = 2;
    m->regs[M_BX] = (uintptr_t)pdpt;
    m->regs[M_SI] = 0x40000000;
    RUN_PASS(w_pse_pae, "from 32-bit to PAE paging under running code");
    tap_eq(modes_reg(M_DI), 2, "the tables of PAE are used");
    m = modes_begin(MODE_PROT32, w_hidden);
    modes_set(modes_free(0), modes_descriptor(0x600, 0xff, SEG_DATA, SEG_BIG));
    *(volatile uint32_t *)(uintptr_t)0x600 = 0x99;
    m->regs[M_BX] = (uintptr_t)&modes_gdt[modes_free(0) / 8];
    RUN_PASS(w_hidden, "a descriptor changed after its load");
    tap_eq(modes_reg(M_AX), 0x99, "has no effect on the segment");
}

int rom_main(void)
{
    test_direct();
    test_real();
    test_paging();
    tap_done();
}

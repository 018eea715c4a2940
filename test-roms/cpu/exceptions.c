/* exceptions.c: which vector, with which error code, saved RIP and stack, an exception is delivered
 * with in 64-bit mode; the order of faults in delivery. APM vol 2, 8.2 "Vectors", 8.4 "Error Codes",
 * 8.9 "Long-Mode Interrupt Control Transfers". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define NON_CANONICAL UINT64_C(0x0000800000000000)
#define IDT_CODE(vector, ext) ((uint64_t)(vector)*8 + 2 + (ext))
#define GATE_P (UINT64_C(1) << 47)

extern uint64_t rom_gdt[];

/* A function in assembly; label name_insn marks the instruction that faults. RDI is its argument. */
#define SNIPPET(name, before, insn)                                                \
    void name(void *arg);                                                          \
    extern const char name##_insn[], name##_after[];                               \
    __asm__(".text\n" #name ":\n\t" before "\n" #name "_insn:\n\t" insn "\n" #name \
            "_after:\n\tret\n")

SNIPPET(s_ud2, "", "ud2");
SNIPPET(s_int3, "", "int3");
SNIPPET(s_int80, "", "int $0x80");
SNIPPET(s_int44, "", "int $0x44");
SNIPPET(s_div, "xorl %ecx, %ecx", "divl %ecx");
SNIPPET(s_read, "", "movl (%rdi), %eax");
SNIPPET(s_write, "", "movl %eax, (%rdi)");
SNIPPET(s_write8, "", "movq %rax, (%rdi)");
SNIPPET(s_read_rbp, "pushq %rbp\n\tmovq %rdi, %rbp", "movl (%rbp), %eax");
SNIPPET(s_call, "", "call *%rdi");
SNIPPET(s_load_ds, "", "movw %di, %ds");
SNIPPET(s_load_ss, "", "movw %di, %ss");
SNIPPET(s_load_fs, "", "movw %di, %fs");
SNIPPET(s_ltr, "", "ltr %di");
SNIPPET(s_lldt, "", "lldt %di");
SNIPPET(s_far, "pushq %rdi\n\tpushq $0x1000", "lretq");
SNIPPET(s_iret_nt, "pushfq\n\torl $0x4000, (%rsp)\n\tpopfq", "iretq");
SNIPPET(s_lock, "", ".byte 0xf0, 0x89, 0x07");
SNIPPET(s_lock_register, "", ".byte 0xf0, 0x01, 0xc8");
SNIPPET(s_long, "",
        ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, "
        "0x66, 0x66, 0x66, 0x90");
SNIPPET(s_fifteen, "",
        ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, "
        "0x66, 0x66, 0x90");
SNIPPET(s_mov_cs, "", ".byte 0x8e, 0xcf");
SNIPPET(s_daa, "", ".byte 0x27");
SNIPPET(s_pusha, "", ".byte 0x60");
SNIPPET(s_push_es, "", ".byte 0x06");
SNIPPET(s_into, "", ".byte 0xce");
SNIPPET(s_sysenter, "", "sysenter");
SNIPPET(s_cmpxchg16b, "", "cmpxchg16b (%rdi)");
SNIPPET(s_step, "pushfq\n\torl $0x100, (%rsp)\n\tpopfq", "nop");
SNIPPET(s_step_ss, "movl %ss, %ecx\n\tpushfq\n\torl $0x100, (%rsp)\n\tpopfq\n\tmovl %ecx, %ss",
        "nop");
SNIPPET(s_icebp, "", ".byte 0xf1");

static struct trap_result check(void (*code)(void *), uint64_t arg, uint32_t vector, uint64_t error,
                                const char *where, const char *what)
{
    struct trap_result r = trap_try(code, (void *)arg);

    tap_ok(r.vector == vector && (vector == EXC_NONE || r.error == error), "%s", what);
    if (r.vector != vector || (vector != EXC_NONE && r.error != error))
        rom_printf("#   vector %u, error code %lx\n", r.vector, r.error);
    else if (vector != EXC_NONE)
        tap_eq(r.rip, (uintptr_t)where, "%s: saved RIP", what);
    return r;
}
#define CHECK(code, arg, vector, error, what) \
    check(code, (uint64_t)(arg), vector, error, code##_insn, what)
#define CHECK_TRAP(code, arg, vector, error, what) \
    check(code, (uint64_t)(arg), vector, error, code##_after, what)

static void test_opcodes(void)
{
    CHECK(s_ud2, 0, EXC_UD, 0, "UD2");
    CHECK(s_daa, 0, EXC_UD, 0, "DAA in 64-bit mode");
    CHECK(s_pusha, 0, EXC_UD, 0, "PUSHA in 64-bit mode");
    CHECK(s_push_es, 0, EXC_UD, 0, "PUSH ES in 64-bit mode");
    CHECK(s_into, 0, EXC_UD, 0, "INTO in 64-bit mode");
    CHECK(s_sysenter, 0, EXC_UD, 0, "SYSENTER in long mode");
    CHECK(s_mov_cs, SEL_CODE64, EXC_UD, 0, "MOV to CS");
    CHECK(s_lock, 0, EXC_UD, 0, "LOCK before MOV");
    CHECK(s_lock_register, 0, EXC_UD, 0, "LOCK with a register destination");
    CHECK(s_long, 0, EXC_GP, 0, "an instruction of 16 bytes");
    CHECK(s_fifteen, 0, EXC_NONE, 0, "an instruction of 15 bytes");
    CHECK(s_div, 0, EXC_DE, 0, "DIV by 0");
}

static void test_traps(void)
{
    CHECK_TRAP(s_int3, 0, EXC_BP, 0, "INT3 is a trap");
    CHECK_TRAP(s_int80, 0, 0x80, 0, "INT n saves the RIP behind it");
    CHECK_TRAP(s_icebp, 0, EXC_DB, 0, "INT1 is #DB, a trap");
}

static void test_single_step(void)
{
    struct trap_result r;

    write_dr6(UINT64_C(0xffff0ff0));
    r = CHECK_TRAP(s_step, 0, EXC_DB, 0, "TF traps after the instruction behind POPF");
    tap_ok((r.rflags & RFLAGS_TF) != 0, "the saved RFLAGS keep TF");
    tap_ok((read_dr6() & 0x4000) != 0, "DR6.BS is set");
    CHECK_TRAP(s_step_ss, 0, EXC_DB, 0, "MOV SS holds the single-step trap for one instruction");
}

static void test_addresses(void)
{
    static uint64_t memory[4] __attribute__((aligned(16)));
    const uint64_t hole = PAGING_WINDOW + UINT64_C(0x5000000000);
    struct trap_result r;

    CHECK(s_read, NON_CANONICAL, EXC_GP, 0, "a non-canonical address is #GP(0)");
    CHECK(s_read, NON_CANONICAL - 3, EXC_GP, 0, "an access that runs over the canonical end");
    CHECK(s_read_rbp, NON_CANONICAL, EXC_SS, 0, "a non-canonical address by RBP is #SS(0)");
    CHECK(s_call, NON_CANONICAL, EXC_GP, 0, "CALL to a non-canonical target faults at the CALL");
    CHECK(s_cmpxchg16b, memory + 1, EXC_GP, 0, "CMPXCHG16B off its alignment is #GP(0)");
    r = CHECK(s_read, hole, EXC_PF, 0, "a read of a page that is not present");
    tap_eq(r.cr2, hole, "CR2 is the address");
    r = CHECK(s_write8, hole + 0x123, EXC_PF, PF_RW, "a write of a page that is not present");
    tap_eq(r.cr2, hole + 0x123, "CR2 is the address to the byte");
    tap_ok((r.rflags & RFLAGS_RF) != 0, "a fault saves RF=1");
}

static void test_selectors(void)
{
    rom_gdt[SEL_FREE / 8] = UINT64_C(0x002f9b000000ffff);
    CHECK(s_lldt, 0, EXC_NONE, 0, "LLDT of null");
    CHECK(s_load_ds, 0x1000, EXC_GP, 0x1000, "a selector beyond the GDT is #GP(selector)");
    CHECK(s_load_ds, 0x1003, EXC_GP, 0x1000, "the RPL is not in the error code");
    CHECK(s_load_ds, SEL_DATA | 4, EXC_GP, SEL_DATA | 4, "a selector in a null LDT");
    CHECK(s_load_fs, SEL_NOT_PRESENT, EXC_NP, SEL_NOT_PRESENT,
          "a segment with P=0 is #NP(selector)");
    CHECK(s_load_ss, SEL_NOT_PRESENT, EXC_SS, SEL_NOT_PRESENT, "for SS it is #SS(selector)");
    CHECK(s_load_ss, SEL_DATA | 3, EXC_GP, SEL_DATA, "SS with RPL above CPL");
    CHECK(s_load_ss, SEL_USER_DATA, EXC_GP, SEL_USER_DATA & ~3, "SS with DPL above CPL");
    CHECK(s_load_ss, 3, EXC_GP, 0, "null SS with RPL above CPL is #GP(0)");
    CHECK(s_ltr, SEL_TSS, EXC_GP, SEL_TSS, "LTR of a busy TSS is #GP(selector)");
    CHECK(s_ltr, SEL_DATA, EXC_GP, SEL_DATA, "LTR of a data segment is #GP(selector)");
    CHECK(s_lldt, SEL_DATA, EXC_GP, SEL_DATA, "LLDT of a data segment is #GP(selector)");
    CHECK(s_far, SEL_DATA, EXC_GP, SEL_DATA, "far RET to a data segment is #GP(selector)");
    CHECK(s_far, 0, EXC_GP, 0, "far RET to null is #GP(0)");
    rom_gdt[SEL_FREE / 8] |= UINT64_C(1) << 54; /* D=1 beside L=1 */
    CHECK(s_far, SEL_FREE, EXC_GP, SEL_FREE, "far RET to a segment with L=1 and D=1");
    rom_gdt[SEL_FREE / 8] = 0;
    CHECK(s_iret_nt, 0, EXC_GP, 0, "IRET with NT=1 is #GP(0)");
}

/* ---- gates --------------------------------------------------------------------------------------- */

static void test_gates(void)
{
    uint64_t *gate = trap_gate(0x44), saved = gate[0];

    gate[0] = saved & ~GATE_P;
    CHECK(s_int44, 0, EXC_NP, IDT_CODE(0x44, 0), "a gate with P=0 is #NP, EXT=0 for INT n");
    gate[0] = (saved & ~(UINT64_C(0x1f) << 40)) | UINT64_C(0x05) << 40;
    CHECK(s_int44, 0, EXC_GP, IDT_CODE(0x44, 0), "a task gate in long mode is #GP");
    gate[0] = (saved & ~(UINT64_C(0xffff) << 16)) | (uint64_t)SEL_DATA << 16;
    CHECK(s_int44, 0, EXC_GP, SEL_DATA, "a gate to a data segment is #GP(selector)");
    gate[0] = saved & ~(UINT64_C(0xffff) << 16);
    CHECK(s_int44, 0, EXC_GP, 0, "a gate with a null selector is #GP(0)");
    gate[0] = saved;
    gate = trap_gate(EXC_UD);
    saved = gate[0];
    gate[0] = saved & ~GATE_P;
    CHECK(s_ud2, 0, EXC_NP, IDT_CODE(EXC_UD, 1), "EXT=1 in the delivery of an exception");
    gate[0] = saved;
}

/* The handler's own stack: the frame is aligned to 16 bytes, IST replaces RSP. */
static uint64_t handler_frame;

static void note_frame(struct trap_frame *f)
{
    handler_frame = (uintptr_t)(&f->ss + 1);
    f->rip += 2; /* behind UD2 */
}

static void odd_stack(void *arg)
{
    (void)arg;
    __asm__ volatile("movq %%rsp, %%rbx\n\tsubq $5, %%rsp\n\tud2\n\tmovq %%rbx, %%rsp"
                     :
                     :
                     : "rbx", "memory");
}

static void test_stacks(void)
{
    uint64_t ist1;

    trap_set_handler(EXC_UD, note_frame);
    odd_stack(NULL);
    tap_eq(handler_frame & 15, 0, "delivery aligns RSP to 16 bytes");
    trap_set_ist(EXC_UD, 3);
    memcpy(&ist1, trap_tss() + 0x24 + 16, sizeof ist1);
    odd_stack(NULL);
    tap_eq(handler_frame, ist1, "IST 3 takes RSP from the TSS, also at CPL 0");
    trap_set_ist(EXC_UD, 0);
    trap_set_handler(EXC_UD, NULL);
}

/* ---- double fault -------------------------------------------------------------------------------- */

static void test_double_fault(void)
{
    uint64_t *pf = trap_gate(EXC_PF), *gp = trap_gate(EXC_GP), *np = trap_gate(EXC_NP);
    uint64_t *de = trap_gate(EXC_DE);
    uint64_t pf0 = pf[0], gp0 = gp[0], np0 = np[0], de0 = de[0];
    const uint64_t hole = PAGING_WINDOW + UINT64_C(0x5000000000);

    gp[0] = gp0 & ~GATE_P;
    CHECK(s_read, NON_CANONICAL, EXC_DF, 0, "contributory in contributory is #DF");
    gp[0] = gp0;
    de[0] = de0 & ~GATE_P;
    CHECK(s_div, 0, EXC_DF, 0, "#NP in the delivery of #DE is #DF");
    de[0] = de0;
    pf[0] = pf0 & ~GATE_P;
    CHECK(s_read, hole, EXC_DF, 0, "contributory in the delivery of #PF is #DF");
    pf[0] = pf0;
    np[0] = np0 & ~GATE_P;
    trap_gate(0x44)[0] &= ~GATE_P;
    CHECK(s_int44, 0, EXC_DF, 0, "#NP of INT n, whose own delivery fails, is #DF");
    trap_gate(0x44)[0] |= GATE_P;
    np[0] = np0;
    gp[0] = (gp0 & ~(UINT64_C(7) << 32)) | UINT64_C(7) << 32;
    *(uint64_t *)(trap_tss() + 0x24 + 48) = hole + 0x1000;
    CHECK(s_read, NON_CANONICAL, EXC_PF, PF_RW, "#PF in the delivery of #GP is delivered as #PF");
    gp[0] = gp0;
    pf[0] = (pf0 & ~(UINT64_C(7) << 32)) | UINT64_C(7) << 32;
    CHECK(s_read, hole, EXC_DF, 0, "#PF in the delivery of #PF is #DF");
    pf[0] = pf0;
}

/* ---- CPL 3 --------------------------------------------------------------------------------------- */

static uint8_t user_stack[4096] __attribute__((aligned(16)));

static struct trap_result user(void (*code)(void *), uint64_t arg, uint64_t rflags)
{
    return trap_try_user((uintptr_t)code, SEL_USER_CODE64, (uintptr_t)user_stack + 4000,
                         RFLAGS_ONE | rflags, arg, 0);
}

static void expect_user(void (*code)(void *), uint64_t arg, uint64_t rflags, uint32_t vector,
                        uint64_t error, const char *what)
{
    struct trap_result r = user(code, arg, rflags);

    tap_ok(r.vector == vector && r.error == error, "CPL 3: %s", what);
    if (r.vector != vector || r.error != error)
        rom_printf("#   vector %u, error code %lx, rip %lx\n", r.vector, r.error, r.rip);
}

static uint64_t seen_ss, seen_frame;

static void note_ss(struct trap_frame *f)
{
    uint16_t ss;

    __asm__ volatile("movw %%ss, %0" : "=r"(ss));
    seen_ss = ss;
    seen_frame = (uintptr_t)(&f->ss + 1);
    f->rip = (uintptr_t)s_int80_insn;
}

SNIPPET(s_hlt, "", "hlt");
SNIPPET(s_cli, "", "cli");
SNIPPET(s_cli_int, "cli", "int $0x80");
SNIPPET(s_in, "", "inb $0x80, %al");
SNIPPET(s_rdmsr, "movl $0xc0000080, %ecx", "rdmsr");
SNIPPET(s_mov_cr, "", "movq %cr0, %rax");
SNIPPET(s_mov_cr1, "", ".byte 0x0f, 0x20, 0xc8");
SNIPPET(s_popf_if, "pushq $0x3202\n\tpopfq\n\tpushfq\n\tpopq %rax", "int $0x80");
SNIPPET(s_ac, "pushfq\n\torl $0x40000, (%rsp)\n\tpopfq", "movl 1(%rsp), %eax");
SNIPPET(s_ac_byte, "pushfq\n\torl $0x40000, (%rsp)\n\tpopfq\n\tmovb 1(%rsp), %al", "int $0x80");

static void test_user(void)
{
    struct trap_result r;
    uint64_t rsp0;

    paging_allow_user(true);
    expect_user(s_hlt, 0, 0, EXC_GP, 0, "HLT is #GP(0)");
    expect_user(s_cli, 0, 0, EXC_GP, 0, "CLI with IOPL 0 is #GP(0)");
    expect_user(s_cli_int, 0, RFLAGS_IOPL, 0x80, 0, "CLI with IOPL 3 passes");
    expect_user(s_in, 0, 0, EXC_GP, 0, "IN with IOPL 0 and no permission map is #GP(0)");
    expect_user(s_rdmsr, 0, 0, EXC_GP, 0, "RDMSR is #GP(0)");
    expect_user(s_mov_cr, 0, 0, EXC_GP, 0, "MOV from CR0 is #GP(0)");
    expect_user(s_mov_cr1, 0, 0, EXC_UD, 0, "MOV from CR1 is #UD before #GP");
    expect_user(s_int44, 0, 0, EXC_GP, IDT_CODE(0x44, 0), "INT n of a gate with DPL 0 is #GP");
    expect_user(s_int3, 0, 0, EXC_GP, IDT_CODE(EXC_BP, 0), "INT3 with gate DPL 0 is #GP");
    expect_user(s_icebp, 0, 0, EXC_DB, 0, "INT1 does not test the gate's DPL");
    expect_user(s_ud2, 0, 0, EXC_UD, 0, "an exception does not test the gate's DPL");
    expect_user(s_read, PAGING_WINDOW + UINT64_C(0x5000000000), 0, EXC_PF, PF_US,
                "#PF error code has US");
    expect_user(s_load_ds, SEL_DATA, 0, EXC_GP, SEL_DATA, "DS with DPL below CPL is #GP");
    r = user(s_popf_if, 0, 0);
    tap_ok(r.vector == 0x80 && (r.rflags & (RFLAGS_IF | RFLAGS_IOPL)) == 0,
           "CPL 3: POPF leaves IF and IOPL alone without a fault");
    write_cr0(read_cr0() | CR0_AM);
    expect_user(s_ac, 0, 0, EXC_AC, 0, "a misaligned access with AC and CR0.AM is #AC(0)");
    expect_user(s_ac_byte, 0, 0, 0x80, 0, "a byte is never misaligned");
    write_cr0(read_cr0() & ~CR0_AM);
    memcpy(&rsp0, trap_tss() + 4, sizeof rsp0);
    trap_set_handler(EXC_UD, note_ss);
    r = user(s_ud2, 0, 0);
    trap_set_handler(EXC_UD, NULL);
    tap_eq(seen_ss, 0, "a change to CPL 0 loads SS with null");
    tap_eq(seen_frame, rsp0, "and RSP from the TSS");
    tap_eq(r.cs, SEL_USER_CODE64, "the pushed CS is the user's");
    paging_allow_user(false);
}

int rom_main(void)
{
    test_opcodes();
    test_traps();
    test_single_step();
    test_addresses();
    test_selectors();
    test_gates();
    test_stacks();
    test_double_fault();
    test_user();
    CHECK(s_ltr, 0, EXC_GP, 0, "LTR of null is #GP(0)");
    tap_done();
}

/* delivery64.c: an event in long mode: the checks of its gate, its stack, its frame.
 * APM vol 2, 8.9 "Long-Mode Interrupt Control Transfers", 4.8.4 "Gate Descriptors" of long mode. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define V 0x40u
#define VECTOR_CODE (V * 8 + 2)
#define NT UINT64_C(0x4000)

MODE_CODE64(d_int, "d_int_insn: int $0x40");
MODE_CODE32(d_int32, "d_int32_insn: int $0x40");
MODE_CODE64(d_int3, "d_int3_insn: int3");
MODE_CODE64(d_icebp, "d_icebp_insn: .byte 0xf1");
MODE_CODE64(d_ud, "d_ud_insn: ud2");
MODE_CODE64(d_div, "xorl %ebx, %ebx\n d_div_insn: divl %ebx");
MODE_CODE64(d_gp, "movl $0x1c8, %eax\n d_gp_insn: movw %ax, %es");
MODE_CODE64(d_flags, "pushq %rax\n popfq\n d_flags_insn: int $0x40");
MODE_CODE64(handler, "movq %rsp, %rbp\n movw %ss, %bx");

static void begin(enum mode mode, const char *code)
{
    modes_begin(mode, code);
}

static void gate(uint16_t cs, uint64_t offset, unsigned type)
{
    uint64_t *g = modes_idt_gate64(V);

    g[0] = modes_gate(cs, (uint32_t)offset, type, 0);
    g[1] = offset >> 32;
}

static uint64_t code64(unsigned type)
{
    return modes_descriptor(0, 0, type, SEG_L);
}

static void fault(unsigned vector, uint64_t error, const char *what)
{
    RUN_FAULT(d_int, vector, error, what);
}

static void test_gate(void)
{
    struct modes_state *m;

    /* rows: events 7.4.1 */
    m = modes_begin(MODE_LONG, d_int);
    m->idtr.limit = V * 16 + 15;
    modes_try(V, 0, d_int_insn + 2, "a gate that ends at IDTR.limit");
    m = modes_begin(MODE_LONG, d_int);
    m->idtr.limit = V * 16 + 14;
    fault(EXC_GP, VECTOR_CODE, "one that ends above it is #GP(vector)");
    /* rows: events 7.4.2, 1.23 */
    for (unsigned type = 0x80; type < 0x90; type++) {
        if (type == 0x8e || type == 0x8f)
            continue;
        begin(MODE_LONG, d_int);
        gate(SEL_CODE64, modes_stub64(V), type);
        fault(EXC_GP, VECTOR_CODE, "another type of gate is #GP(vector)");
    }
    begin(MODE_LONG, d_int);
    gate(SEL_CODE64, modes_stub64(V), 0x9e);
    fault(EXC_GP, VECTOR_CODE, "S=1 is #GP(vector)");
    /* rows: events 7.4.3 */
    begin(MODE_LONG, d_int);
    gate(SEL_CODE64, modes_stub64(V), 0x8e);
    modes_idt_gate64(V)[1] |= UINT64_C(0x1f00) << 32;
    modes_try(V, 0, d_int_insn + 2, "the last 4 bytes of a gate are ignored");
    /* rows: events 7.4.4, pitfalls 10.7 */
    begin(MODE_LONG_USER, d_int);
    gate(SEL_CODE64, modes_stub64(V), 0x8e);
    fault(EXC_GP, VECTOR_CODE, "INT at CPL 3 by a gate with DPL 0 is #GP(vector)");
    begin(MODE_LONG_USER, d_int);
    gate(SEL_CODE64, modes_stub64(V), 0x0e);
    fault(EXC_GP, VECTOR_CODE, "its DPL comes before P");
    begin(MODE_LONG_USER, d_int3);
    modes_idt_gate64(EXC_BP)[0] &= ~(UINT64_C(3) << 45);
    RUN_FAULT(d_int3, EXC_GP, EXC_BP * 8 + 2, "INT3 too");
    begin(MODE_LONG_USER, d_div);
    modes_idt_gate64(EXC_DE)[0] &= ~(UINT64_C(3) << 45);
    RUN_FAULT(d_div, EXC_DE, 0, "an exception does not look at DPL");
    begin(MODE_LONG_USER, d_icebp);
    modes_idt_gate64(EXC_DB)[0] &= ~(UINT64_C(3) << 45);
    modes_try(EXC_DB, 0, d_icebp_insn + 1, "nor does ICEBP");
    /* rows: events 7.4.5 */
    begin(MODE_LONG, d_int);
    gate(SEL_CODE64, modes_stub64(V), 0x0e);
    fault(EXC_NP, VECTOR_CODE, "P=0 is #NP(vector)");
}

static void target(enum mode mode, uint16_t cs, uint64_t descriptor, unsigned vector,
                   uint64_t error, const char *what)
{
    begin(mode, d_int);
    if ((cs & ~3u) != 0 && cs < MODES_GDT_ENTRIES * 8)
        modes_set(cs & ~3u, descriptor);
    gate(cs, modes_stub64(V), 0x8e | SEG_DPL(3));
    modes_try(vector, error, vector == V ? d_int_insn + 2 : d_int_insn, what);
}

static void test_target(void)
{
    const uint16_t s = modes_free(0);

    /* rows: events 7.4.6 */
    target(MODE_LONG, 0, 0, EXC_GP, 0, "a null CS is #GP(0)");
    target(MODE_LONG, MODES_GDT_ENTRIES * 8, 0, EXC_GP, MODES_GDT_ENTRIES * 8,
           "a CS beyond the GDT is #GP(CS)");
    target(MODE_LONG, s, modes_descriptor(0, 0, 0x93, SEG_L), EXC_GP, s, "data is #GP(CS)");
    target(MODE_LONG, s, code64(0x9b | SEG_DPL(3)), EXC_GP, s, "DPL above CPL is #GP(CS)");
    target(MODE_LONG, s | 3, code64(0x9b), V, 0, "RPL plays no part");
    /* rows: events 7.4.7 */
    target(MODE_LONG, s, modes_descriptor(0, 0xfffff, 0x9b, SEG_G | SEG_BIG), EXC_GP, s,
           "L=0 is #GP(CS)");
    target(MODE_LONG, s, code64(0x9b) | UINT64_C(1) << 54, EXC_GP, s, "L=1 with D=1 is #GP(CS)");
    /* rows: events 7.4.8 */
    target(MODE_LONG, s, code64(0x1b), EXC_NP, s, "P=0 is #NP(CS)");
    /* rows: events 7.4.9 */
    begin(MODE_LONG_USER, d_int);
    modes_set(s, code64(0x9f));
    gate(s, (uintptr_t)handler, 0x8e | SEG_DPL(3));
    struct mode_event e = modes_try(EXC_UD, 0, handler_end, "conforming code");
    tap_eq(e.cs, s | 3, "runs at the CPL it interrupted");
    tap_eq(modes_reg(M_BX) & 0xffff, SEL_USER_DATA, "on its stack");
    begin(MODE_LONG_USER, d_int);
    gate(SEL_CODE64, (uintptr_t)handler, 0x8e | SEG_DPL(3));
    e = modes_try(EXC_UD, 0, handler_end, "other code");
    tap_eq(e.cs, SEL_CODE64, "runs at its DPL");
    /* rows: events 7.4.13 */
    begin(MODE_LONG, d_int);
    gate(SEL_CODE64, UINT64_C(1) << 63, 0x8e | SEG_DPL(3));
    fault(EXC_GP, 0, "an offset that is not canonical is #GP(0)");
}

static void ist(unsigned index, uint64_t rsp)
{
    modes_idt_gate64(V)[0] |= (uint64_t)index << 32;
    modes_store(modes_tss, 0x24 + 8 * (index - 1), (uint32_t)rsp, 4);
    modes_store(modes_tss, 0x28 + 8 * (index - 1), (uint32_t)(rsp >> 32), 4);
}

static void test_stack(void)
{
    static uint8_t other[1024] __attribute__((aligned(16)));
    const uint64_t top = (uintptr_t)other + 512;
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 7.4.10, 7.4.11, 7.4.12, 7.4.14, pitfalls 3.11 */
    modes_begin(MODE_LONG, d_int);
    e = modes_try(V, 0, d_int_insn + 2, "the same level: the stack stays");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 40, "five quadwords are pushed");
    tap_ok(e.sp == (uintptr_t)modes_stack && e.ss == SEL_DATA && e.cs == SEL_CODE64,
           "SS, RSP and CS among them");
    tap_eq(e.handler_ss, SEL_DATA, "SS is kept");
    m = modes_begin(MODE_LONG, d_int);
    m->regs[M_SP] -= 8 + 5;
    e = modes_run();
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 16 - 40, "RSP is aligned down to 16 first");
    tap_eq(e.sp, (uintptr_t)modes_stack - 13, "and pushed as it was");
    e = FAULT(MODE_LONG, d_gp, EXC_GP, 0x1c8, "with an error code");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 48, "six quadwords");
    begin(MODE_LONG_USER, d_int);
    e = modes_try(V, 0, d_int_insn + 2, "CPL 3 to 0: RSP0");
    tap_eq(e.handler_ss, 0, "SS is null");
    tap_ok(e.ss == SEL_USER_DATA && e.sp == (uintptr_t)modes_user_stack, "the old stack is pushed");
    begin(MODE_LONG, d_int);
    ist(3, top + 5);
    e = modes_try(V, 0, d_int_insn + 2, "IST 3 at the same level");
    tap_eq(modes_reg(M_SP), top - 40, "switches to its stack, aligned");
    tap_eq(e.handler_ss, SEL_DATA, "SS is kept");
    begin(MODE_LONG_USER, d_int);
    ist(7, top);
    e = modes_try(V, 0, d_int_insn + 2, "IST 7 from CPL 3");
    tap_eq(modes_reg(M_SP), top - 40, "goes before RSP0");
    tap_eq(e.handler_ss, 0, "SS is null");
    begin(MODE_LONG, d_int);
    ist(1, (UINT64_C(1) << 63) + 0x1000);
    fault(EXC_SS, 0, "an IST stack that is not canonical is #SS(0)");
    begin(MODE_LONG, d_int);
    ist(7, top);
    modes_set(MSEL_TSS, modes_descriptor((uint32_t)(uintptr_t)modes_tss, 0x5a, 0x89, 0));
    fault(EXC_TS, MSEL_TSS, "an IST entry beyond TR.limit is #TS(TR)");
    begin(MODE_COMPAT32_USER, d_int32);
    e = modes_try(V, 0, d_int32_insn + 2, "from compatibility mode");
    tap_ok(e.cs == SEL_USER_CODE32 && e.ss == SEL_USER_DATA, "CS and SS are in their quadwords");
}

static void test_flags(void)
{
    struct modes_state *m;
    struct mode_event e;

    /* rows: events 7.4.15, pitfalls 6.7 */
    for (unsigned trap = 0; trap < 2; trap++) {
        m = modes_begin(MODE_LONG, d_flags);
        m->regs[M_AX] = RFLAGS_ONE | RFLAGS_IF | NT | RFLAGS_CF | RFLAGS_AC;
        gate(SEL_CODE64, (uintptr_t)handler, (trap ? 0x8f : 0x8e) | SEG_DPL(3));
        e = modes_try(EXC_UD, 0, handler_end, trap ? "a trap gate" : "an interrupt gate");
        tap_eq(e.flags & NT, 0, "clears NT");
        tap_eq(e.flags & RFLAGS_IF, trap ? RFLAGS_IF : 0, trap ? "leaves IF" : "and IF");
        tap_eq(e.flags & (RFLAGS_CF | RFLAGS_AC), RFLAGS_CF | RFLAGS_AC, "and not CF and AC");
    }
}

static void test_ext(void)
{
    /* rows: events 4.1, 4.6, pitfalls 3.12 */
    begin(MODE_LONG, d_ud);
    modes_idt_gate64(EXC_UD)[0] &= ~(UINT64_C(1) << 47);
    RUN_FAULT(d_ud, EXC_NP, EXC_UD * 8 + 3, "EXT is 1 for a fault in the delivery of an exception");
    begin(MODE_LONG, d_int3);
    modes_idt_gate64(EXC_BP)[0] &= ~(UINT64_C(1) << 47);
    RUN_FAULT(d_int3, EXC_NP, EXC_BP * 8 + 2, "EXT is 0 for INT3");
    begin(MODE_LONG, d_icebp);
    modes_idt_gate64(EXC_DB)[0] &= ~(UINT64_C(1) << 47);
    RUN_FAULT(d_icebp, EXC_NP, EXC_DB * 8 + 3, "EXT is 1 for ICEBP");
    begin(MODE_LONG, d_ud);
    modes_idt_gate64(EXC_UD)[0] = modes_gate(0, 0, 0x8e, 0);
    RUN_FAULT(d_ud, EXC_GP, 1, "EXT is all of the code for a null CS");
}

int rom_main(void)
{
    test_gate();
    test_target();
    test_stack();
    test_flags();
    test_ext();
    tap_done();
}

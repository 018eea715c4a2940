/* delivery32.c: an event in legacy protected mode, through gates of 16 and 32 bits.
 * APM vol 2, 8.7 "Protected-Mode Interrupt Control Transfers". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define V 0x40u
#define VECTOR_CODE (V * 8 + 2)
#define NT UINT64_C(0x4000)

MODE_CODE32(d_int, "d_int_insn: int $0x40");
MODE_CODE32(d_int3, "d_int3_insn: int3");
MODE_CODE32(d_into, "movb $0x7f, %al\n incb %al\n d_into_insn: into");
MODE_CODE32(d_icebp, "d_icebp_insn: .byte 0xf1");
MODE_CODE32(d_div, "xorl %ebx, %ebx\n d_div_insn: divl %ebx");
MODE_CODE32(d_gp, "movl $0x1c8, %eax\n d_gp_insn: movw %ax, %es");
MODE_CODE32(d_ud, "d_ud_insn: ud2");
MODE_CODE32(d_flags, "pushl %eax\n popfl\n d_flags_insn: int $0x40");
MODE_CODE16(d_int16, "d_int16_insn: int $0x40");
MODE_CODE16(d_gp16, "movw $0x1c8, %ax\n d_gp16_insn: movw %ax, %es");
MODE_CODE32(handler, "movl %esp, %ebp");

static uint8_t inner[1024] __attribute__((aligned(16)));

static void gate(unsigned vector, uint16_t cs, uint32_t offset, unsigned type)
{
    *modes_idt_gate(vector) = modes_gate(cs, offset, type, 0);
}

static uint64_t code(unsigned type)
{
    return modes_descriptor(0, 0xfffff, type, SEG_G | SEG_BIG);
}

static void test_gate(void)
{
    struct modes_state *m;

    /* rows: events 7.2.1 */
    m = modes_begin(MODE_PROT32, d_int);
    m->idtr.limit = V * 8 + 7;
    modes_try(V, 0, d_int_insn + 2, "a gate that ends at IDTR.limit");
    m = modes_begin(MODE_PROT32, d_int);
    m->idtr.limit = V * 8 + 6;
    RUN_FAULT(d_int, EXC_GP, VECTOR_CODE, "one that ends above it is #GP(vector)");
    /* rows: events 7.2.2 */
    for (unsigned type = 0x80; type < 0xa0; type++) {
        if (type == 0x85 || type == 0x86 || type == 0x87 || type == 0x8e || type == 0x8f)
            continue;
        modes_begin(MODE_PROT32, d_int);
        gate(V, SEL_CODE32, modes_stub(V), type);
        RUN_FAULT(d_int, EXC_GP, VECTOR_CODE, "another type of descriptor is #GP(vector)");
    }
    /* rows: events 7.2.3, pitfalls 10.7 */
    modes_begin(MODE_PROT32_USER, d_int);
    gate(V, SEL_CODE32, modes_stub(V), 0x8e);
    RUN_FAULT(d_int, EXC_GP, VECTOR_CODE, "INT at CPL 3 by a gate with DPL 0 is #GP(vector)");
    modes_begin(MODE_PROT32_USER, d_int3);
    gate(EXC_BP, SEL_CODE32, modes_stub(EXC_BP), 0x8e);
    RUN_FAULT(d_int3, EXC_GP, EXC_BP * 8 + 2, "INT3 too");
    modes_begin(MODE_PROT32_USER, d_into);
    gate(EXC_OF, SEL_CODE32, modes_stub(EXC_OF), 0x8e);
    RUN_FAULT(d_into, EXC_GP, EXC_OF * 8 + 2, "INTO too");
    modes_begin(MODE_PROT32_USER, d_div);
    gate(EXC_DE, SEL_CODE32, modes_stub(EXC_DE), 0x8e);
    RUN_FAULT(d_div, EXC_DE, 0, "an exception does not look at DPL");
    modes_begin(MODE_PROT32_USER, d_icebp);
    gate(EXC_DB, SEL_CODE32, modes_stub(EXC_DB), 0x8e);
    modes_try(EXC_DB, 0, d_icebp_insn + 1, "nor does ICEBP");
    /* rows: events 7.2.4 */
    modes_begin(MODE_PROT32, d_int);
    gate(V, SEL_CODE32, modes_stub(V), 0x0e);
    RUN_FAULT(d_int, EXC_NP, VECTOR_CODE, "P=0 is #NP(vector)");
    modes_begin(MODE_PROT32_USER, d_int);
    gate(V, SEL_CODE32, modes_stub(V), 0x0e);
    RUN_FAULT(d_int, EXC_GP, VECTOR_CODE, "DPL comes before P");
}

static void target(uint16_t cs, uint64_t descriptor, unsigned vector, uint64_t error,
                   const char *what)
{
    modes_begin(MODE_PROT32, d_int);
    if ((cs & ~3u) != 0 && cs < MODES_GDT_ENTRIES * 8)
        modes_set(cs & ~3u, descriptor);
    gate(V, cs, modes_stub(V), 0xee);
    modes_try(vector, error, vector == V ? d_int_insn + 2 : d_int_insn, what);
}

static void test_target(void)
{
    const uint16_t s = modes_free(0);
    struct mode_event e;

    /* rows: events 7.2.6, 7.2.7, 7.2.8, 7.2.9 */
    target(0, 0, EXC_GP, 0, "a null CS is #GP(0)");
    target(MODES_GDT_ENTRIES * 8, 0, EXC_GP, MODES_GDT_ENTRIES * 8, "beyond the GDT is #GP(CS)");
    target(s, code(0x93), EXC_GP, s, "data is #GP(CS)");
    target(s, code(0x9b | SEG_DPL(1)), EXC_GP, s, "DPL above CPL is #GP(CS)");
    target(s, code(0x1b), EXC_NP, s, "P=0 is #NP(CS)");
    target(s | 3, code(0x9b), V, 0, "RPL plays no part");
    /* rows: events 7.2.11, 7.2.15 */
    modes_begin(MODE_PROT32_USER, d_int);
    modes_set(s, code(0x9f));
    gate(V, s, (uint32_t)(uintptr_t)handler, 0xee);
    e = modes_try(EXC_UD, 0, handler_end, "conforming code");
    tap_eq(e.cs, s | 3, "runs at the CPL it interrupted");
    modes_begin(MODE_PROT32_USER, d_int);
    gate(V, SEL_CODE32, (uint32_t)(uintptr_t)handler, 0xee);
    e = modes_try(EXC_UD, 0, handler_end, "other code");
    tap_eq(e.cs, SEL_CODE32, "runs at its DPL");
    /* rows: events 7.2.12 */
    target(s, modes_descriptor(0, 0xfff, 0x9b, SEG_BIG), EXC_GP, 0,
           "an offset above the limit is #GP(0)");
}

static void test_frames(void)
{
    struct mode_event e;

    /* rows: events 7.2.14, 4.1 */
    modes_begin(MODE_PROT32, d_int);
    e = modes_try(V, 0, d_int_insn + 2, "the same level");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 12, "three doublewords");
    e = FAULT(MODE_PROT32, d_gp, EXC_GP, 0x1c8, "with an error code");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 16, "four");
    modes_begin(MODE_PROT32_USER, d_int);
    e = modes_try(V, 0, d_int_insn + 2, "from CPL 3");
    tap_ok(e.ss == SEL_USER_DATA && e.sp == (uintptr_t)modes_user_stack, "SS and ESP are pushed");
    modes_begin(MODE_PROT16, d_int16);
    gate(V, SEL_CODE32, modes_stub(V), 0x86);
    modes_frames16(true);
    e = modes_try(V, 0, d_int16_insn + 2, "a 16-bit gate");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 6, "pushes words");
    modes_begin(MODE_PROT16, d_gp16);
    gate(EXC_GP, SEL_CODE32, modes_stub(EXC_GP), 0x86);
    modes_frames16(true);
    RUN_FAULT(d_gp16, EXC_GP, 0x1c8, "with an error code");
    tap_eq(modes_reg(M_SP), (uintptr_t)modes_stack - 8, "of a word");
    modes_begin(MODE_PROT16_USER, d_int16);
    gate(V, SEL_CODE32, modes_stub(V), 0xe7);
    modes_frames16(true);
    e = modes_try(V, 0, d_int16_insn + 2, "a 16-bit gate from CPL 3");
    tap_ok(e.ss == MSEL_USER_DATA16 && e.sp == (uintptr_t)modes_user_stack, "pushes SS and SP");
}

static void stack(uint16_t ss, uint64_t descriptor, unsigned vector, uint64_t error,
                  const char *what)
{
    const uint16_t cs = modes_free(0);

    modes_begin(MODE_PROT32_USER, d_int);
    modes_set(cs, code(0x9b | SEG_DPL(1)));
    if ((ss & ~3u) != 0 && ss < MODES_GDT_ENTRIES * 8)
        modes_set(ss & ~3u, descriptor);
    modes_store(modes_tss, 0x0c, (uint32_t)(uintptr_t)inner + 512, 4);
    modes_store(modes_tss, 0x10, ss, 4);
    gate(V, cs, (uint32_t)(uintptr_t)handler, 0xee);
    modes_try(vector, error, vector == EXC_UD ? handler_end : d_int_insn, what);
}

static void test_inner(void)
{
    const uint16_t s = modes_free(2);

    /* rows: events 7.3.2, 7.3.3, 7.3.4, pitfalls 10.5 */
    stack(s | 1, code(0x93 | SEG_DPL(1)), EXC_UD, 0, "CPL 3 to 1");
    tap_eq(modes_reg(M_BP), (uintptr_t)inner + 512 - 20, "five doublewords on ESP1");
    stack(0, 0, EXC_TS, 0, "a null SS1 is #TS(0)");
    stack(MODES_GDT_ENTRIES * 8 + 1, 0, EXC_TS, MODES_GDT_ENTRIES * 8, "beyond is #TS(SS)");
    stack(s, code(0x93 | SEG_DPL(1)), EXC_TS, s, "RPL other than the new CPL is #TS(SS)");
    stack(s | 1, code(0x93), EXC_TS, s, "DPL other than the new CPL is #TS(SS)");
    stack(s | 1, code(0x91 | SEG_DPL(1)), EXC_TS, s, "read-only data is #TS(SS)");
    stack(s | 1, code(0x13 | SEG_DPL(1)), EXC_SS, s, "P=0 is #SS(SS)");
    /* rows: events 7.2.13 */
    stack(s | 1, modes_descriptor(0, 0xff, 0x93 | SEG_DPL(1), SEG_BIG), EXC_SS, s,
          "no room is #SS(SS)");
}

static void test_flags(void)
{
    struct mode_event e;

    /* rows: events 7.2.16, pitfalls 6.7 */
    for (unsigned trap = 0; trap < 2; trap++) {
        modes_begin(MODE_PROT32, d_flags)->regs[M_AX] =
            RFLAGS_ONE | RFLAGS_IF | NT | RFLAGS_CF | RFLAGS_AC;
        gate(V, SEL_CODE32, (uint32_t)(uintptr_t)handler, trap ? 0x8f : 0x8e);
        e = modes_try(EXC_UD, 0, handler_end, trap ? "a trap gate" : "an interrupt gate");
        tap_eq(e.flags & NT, 0, "clears NT");
        tap_eq(e.flags & RFLAGS_IF, trap ? RFLAGS_IF : 0, trap ? "leaves IF" : "and IF");
        tap_eq(e.flags & (RFLAGS_CF | RFLAGS_AC), RFLAGS_CF | RFLAGS_AC, "and not CF and AC");
    }
}

static void test_ext(void)
{
    /* rows: events 4.6, pitfalls 3.12 */
    modes_begin(MODE_PROT32, d_ud);
    gate(EXC_UD, SEL_CODE32, modes_stub(EXC_UD), 0x0e);
    RUN_FAULT(d_ud, EXC_NP, EXC_UD * 8 + 3, "EXT is 1 for a fault in the delivery of an exception");
    modes_begin(MODE_PROT32, d_int3);
    gate(EXC_BP, SEL_CODE32, modes_stub(EXC_BP), 0x0e);
    RUN_FAULT(d_int3, EXC_NP, EXC_BP * 8 + 2, "EXT is 0 for INT3");
    modes_begin(MODE_PROT32, d_into);
    gate(EXC_OF, SEL_CODE32, modes_stub(EXC_OF), 0x0e);
    RUN_FAULT(d_into, EXC_NP, EXC_OF * 8 + 2, "and INTO");
    modes_begin(MODE_PROT32, d_icebp);
    gate(EXC_DB, SEL_CODE32, modes_stub(EXC_DB), 0x0e);
    RUN_FAULT(d_icebp, EXC_NP, EXC_DB * 8 + 3, "EXT is 1 for ICEBP");
}

int rom_main(void)
{
    test_gate();
    test_target();
    test_frames();
    test_inner();
    test_flags();
    test_ext();
    tap_done();
}

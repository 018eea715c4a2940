/* mode32.c: the instructions, forms and checks that 32-bit code has and 64-bit code has not, run in
 * compatibility mode. APM vol 1, 3 "General-Purpose Programming"; vol 2, 4.12 "Segment-Limit Checking". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

extern volatile uint32_t mode32_out[16];
extern volatile uint8_t mode32_buffer[64];
extern volatile uint32_t mode32_argument;
extern uint64_t rom_gdt[];
void mode32_call(void (*code)(void));

#define CODE(name) void name(void)
CODE(m_bcd);
CODE(m_aam_zero);
CODE(m_pusha);
CODE(m_short_forms);
CODE(m_address16);
CODE(m_operand16);
CODE(m_calls);
CODE(m_loops);
CODE(m_strings);
CODE(m_far_pointers);
CODE(m_bound_inside);
CODE(m_bound_outside);
CODE(m_into_clear);
CODE(m_into_set);
CODE(m_misc);
CODE(m_read_fs4);
CODE(m_write_fs1);
CODE(m_null_fs);
CODE(m_push_ss);
CODE(m_jump_beyond);
extern const char m_bound_insn[], m_into_after[], m_push_insn[];

static void body(void *arg)
{
    mode32_call((void (*)(void))arg);
}

static struct trap_result run(void (*code)(void))
{
    for (unsigned i = 0; i < 16; i++)
        mode32_out[i] = 0;
    return trap_try(body, (void *)code);
}

static void expect(void (*code)(void), uint32_t vector, uint64_t error, const char *what)
{
    struct trap_result r = run(code);

    tap_ok(r.vector == vector && (vector == EXC_NONE || r.error == error), "%s", what);
    if (r.vector != vector)
        rom_printf("#   vector %u, error code %lx\n", r.vector, r.error);
}

static void out(unsigned i, uint32_t want, const char *what)
{
    tap_eq(mode32_out[i], want, "%s", what);
}

static void test_decimal(void)
{
    run(m_bcd);
    out(0, 0x0105, "AAA of 0f: carry into AH");
    tap_eq(mode32_out[1] & (RFLAGS_CF | RFLAGS_AF), RFLAGS_CF | RFLAGS_AF, "AAA sets CF and AF");
    out(2, 0x0200, "AAS of 00: nothing");
    out(4, 0x79, "DAA of 79: nothing");
    tap_eq(mode32_out[5] & RFLAGS_CF, 0, "DAA of 79 clears CF");
    out(6, 0x00, "DAA of 9a");
    tap_eq(mode32_out[7] & (RFLAGS_CF | RFLAGS_ZF), RFLAGS_CF | RFLAGS_ZF, "DAA of 9a sets CF, ZF");
    out(8, 0x0701, "AAM of 71");
    out(10, 0x004f, "AAD of 7, 9");
    out(12, 0x21, "DAS after 30 - 09");
    expect(m_aam_zero, EXC_DE, 0, "AAM by 0 is #DE");
}

static void test_forms(void)
{
    run(m_pusha);
    out(0, 1, "PUSHA: EAX is highest");
    out(1, 2, "PUSHA: then ECX");
    out(2, 0, "PUSHA pushes the ESP before it");
    out(3, 99, "POPA loads EAX");
    out(4, 0, "POPA skips ESP");
    run(m_short_forms);
    out(0, 0, "INC EAX as 40");
    tap_eq(mode32_out[1] & STATUS, RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF, "INC keeps CF");
    out(2, 0x1234ffff, "DEC DX leaves the upper half");
    out(3, 0x11112222, "XCHG EAX, ECX as 91");
    run(m_address16);
    out(0, 0x5a, "16-bit addressing wraps at 64 KiB");
    out(1, 0x7010, "LEA with 16-bit addressing zero-extends");
    run(m_operand16);
    out(0, 2, "PUSH imm16 moves ESP by 2");
    out(1, 0xffff1234, "POP DX leaves the upper half");
    out(3, 0xffffffff, "CWD of 8000 writes DX only");
    run(m_calls);
    out(0, 0, "RET 8 releases the arguments");
    out(1, SEL_CODE32, "far CALL and RET within the privilege level");
    out(2, 0, "far RET restores ESP");
    out(3, 0x77, "far RET to a pushed address");
    run(m_loops);
    out(0, 5, "LOOP counts ECX");
    out(1, 2, "LOOP with address size 16 counts CX");
    out(2, 0x30000, "and leaves the upper half of ECX");
    out(3, 1, "JECXZ tests ECX, JCXZ tests CX");
    run(m_strings);
    out(0, 3, "STOS with DF=1 goes down");
    out(1, 0, "REP counts ECX to 0");
    out(2, 64 - 5, "REPNE SCASB stops behind the match");
    tap_ok(mode32_buffer[16 + 4] == 0x41 && mode32_buffer[16 + 3] == 0, "REP MOVSD copies");
    run(m_far_pointers);
    out(0, SEL_DATA, "LES loads ES");
    out(1, 0x12345678, "LES loads the register");
    tap_ok(mode32_out[2] != 0, "LSS loads SS and a register");
    expect(m_misc, EXC_NONE, 0, "ARPL, XLAT, LAR, LSL, MUL, CMPXCHG8B and VERW run");
    out(0, SEL_DATA | 3, "ARPL raises the RPL");
    out(1, 0x66, "XLAT");
    out(2, 0, "LAR of a selector with RPL above DPL: refused, unchanged");
    tap_eq(mode32_out[8] & 0xf0ff00, 0xc09300, "LAR gives the access rights");
    out(3, 0xffffffff, "LSL gives the limit in bytes");
    out(5, 0xfffffffe, "MUL of 32 bits");
    out(6, 4, "CMPXCHG8B");
    out(4, 0, "LSL of the null selector clears ZF");
    out(7, 1, "VERW of writable data sets ZF");
}

static void test_traps(void)
{
    struct trap_result r;

    expect(m_bound_inside, EXC_NONE, 0, "BOUND at the upper bound passes");
    r = run(m_bound_outside);
    tap_ok(r.vector == EXC_BR && r.rip == (uintptr_t)m_bound_insn,
           "BOUND above it is #BR, a fault");
    expect(m_into_clear, EXC_NONE, 0, "INTO with OF=0 does nothing");
    r = run(m_into_set);
    tap_ok(r.vector == EXC_OF && r.rip == (uintptr_t)m_into_after, "INTO with OF=1 is #OF, a trap");
    tap_eq(r.cs, SEL_CODE32, "the pushed CS is the 32-bit one");
}

static void set_segment(uint32_t base, uint32_t limit, uint64_t type, uint64_t flags)
{
    rom_gdt[SEL_FREE / 8] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | type << 40 |
                            (uint64_t)(limit >> 16 & 0xf) << 48 | flags << 52 |
                            (uint64_t)(base >> 24) << 56;
}

static void at(uint32_t offset, void (*code)(void), uint32_t vector, const char *what)
{
    mode32_argument = offset;
    expect(code, vector, 0, what);
}

static void test_limits(void)
{
    uint32_t base = (uint32_t)(uintptr_t)mode32_buffer;

    set_segment(base, 15, 0x93, 0x4);
    at(12, m_read_fs4, EXC_NONE, "4 bytes that end at the limit are read");
    at(13, m_read_fs4, EXC_GP, "4 bytes that end above the limit are #GP(0)");
    at(16, m_write_fs1, EXC_GP, "a byte above the limit is #GP(0)");
    at(0xfffffffe, m_read_fs4, EXC_GP, "an access that wraps round is #GP(0)");
    set_segment(base, 0, 0x93, 0xc);
    at(0xffc, m_read_fs4, EXC_NONE, "G=1: limit 0 is 4095");
    at(0xffd, m_read_fs4, EXC_GP, "G=1: above 4095 is #GP(0)");
    set_segment(base, 15, 0x97, 0x4);
    at(16, m_read_fs4, EXC_NONE, "expand-down: above the limit is read");
    at(15, m_read_fs4, EXC_GP, "expand-down: the limit itself is #GP(0)");
    set_segment(base, 15, 0x91, 0x4);
    at(0, m_read_fs4, EXC_NONE, "read-only data is read");
    at(0, m_write_fs1, EXC_GP, "a write to read-only data is #GP(0)");
    set_segment(0xfffff000, 0xfffff, 0x93, 0xc);
    at(base + 0x1000, m_read_fs4, EXC_NONE, "base and offset wrap at 4 GiB");
    out(0, *(volatile uint32_t *)mode32_buffer, "and read what is there");
    at(0, m_null_fs, EXC_GP, "a null segment is #GP(0) when it is used");
    set_segment(0, 0xff, 0x93, 0x4);
    at(0, m_push_ss, EXC_SS, "PUSH above the limit of SS is #SS(0)");
    set_segment(0, 0x1fff, 0x9b, 0x4);
    expect(m_jump_beyond, EXC_GP, 0, "far JMP above the limit of CS is #GP(0)");
}

int rom_main(void)
{
    test_decimal();
    test_forms();
    test_traps();
    test_limits();
    tap_done();
}

/* limits.c: type, limit and null checks when a segment is used, for both sides of each limit.
 * APM vol 2, 4.12 "Segment-Limit Checking and Segment-Type Checking", 4.7.3 "Stack- and Data-Segment
 * Descriptors" (expand-down). */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LIMIT 0x5ffu

/* EBX: offset; ES is the segment of the test. */
MODE_CODE32(rd1, "rd1_insn: movb %es:(%ebx), %al");
MODE_CODE32(rd2, "rd2_insn: movw %es:(%ebx), %ax");
MODE_CODE32(rd4, "rd4_insn: movl %es:(%ebx), %eax");
MODE_CODE32(rd8, "rd8_insn: cmpxchg8b %es:(%ebx)");
MODE_CODE32(wr4, "wr4_insn: movl %eax, %es:(%ebx)");
MODE_CODE32(rmw4, "rmw4_insn: addl $0, %es:(%ebx)");
MODE_CODE32(bt_far, "bt_far_insn: btl %ecx, %es:(%ebx)");
MODE_CODE32(use_fs, "movw %ax, %fs\n use_fs_insn: movl %fs:(%ebx), %eax");
MODE_CODE32(write_cs, "movl %eax, %cs:0x500");
MODE_CODE32(read_cs, "read_cs_insn: movl %cs:0x500, %eax");
MODE_CODE32(lea_far, "leal %es:0x7fffffff(%ebx), %eax");
MODE_CODE32(rep_out, "movl $8, %ecx\n xorl %eax, %eax\n movl %ebx, %edi\n rep_out_insn: rep stosl");
/* SS is the segment of the test, ESP its stack pointer; the handler needs no more than the stack of
 * the TSS, so these run at CPL 3. */
MODE_CODE32(push4, "movl %ebx, %esp\n push4_insn: pushl %eax");
MODE_CODE32(push2, "movl %ebx, %esp\n push2_insn: pushw %ax");
MODE_CODE32(pop4, "movl %ebx, %esp\n pop4_insn: popl %eax");
MODE_CODE32(call4, "movl %ebx, %esp\n call4_insn: call 1f\n 1:");
MODE_CODE32(ebp4, "movl %ebx, %ebp\n ebp4_insn: movl (%ebp), %eax");
MODE_CODE32(ss_override, "ss_override_insn: movl %ss:(%ebx), %eax");
MODE_CODE32(enter4, "movl %ebx, %esp\n movl %ebx, %ebp\n enter4_insn: enter $0, $0");
MODE_CODE32(pusha4, "movl %ebx, %esp\n pusha4_insn: pushal");
MODE_CODE32(leave4, "movl %ebx, %ebp\n leave4_insn: leave");
MODE_CODE16(push_sp16, "movl %ebx, %esp\n pushl %eax\n movl %esp, %ebx\n movl $0x1f00, %esp");
MODE_CODE16(fetch_off, "fetch_off_insn: jmp *%ebx");

static uint64_t descriptor(uint32_t limit, unsigned type, unsigned flags)
{
    return modes_descriptor(0, limit, type, flags);
}

static void data(const char *code, const char *insn, const char *end, uint64_t d, uint32_t offset,
                 bool passes, const char *what)
{
    struct modes_state *m = modes_begin(MODE_PROT32, code);

    modes_set(modes_free(0), d);
    m->es = modes_free(0);
    m->regs[M_BX] = offset;
    modes_try(passes ? EXC_UD : EXC_GP, 0, passes ? end : insn, what);
}
#define READS(name, d, offset, what) data(name, name##_insn, name##_end, d, offset, true, what)
#define REFUSES(name, d, offset, what) data(name, name##_insn, name##_end, d, offset, false, what)

static void stack(const char *code, const char *insn, const char *end, uint64_t d, uint32_t offset,
                  bool passes, const char *what)
{
    struct modes_state *m = modes_begin(MODE_PROT32_USER, code);

    modes_set(modes_free(0), d | UINT64_C(3) << 45);
    m->ss = modes_free(0) | 3;
    m->regs[M_BX] = offset;
    modes_try(passes ? EXC_UD : EXC_SS, 0, passes ? end : insn, what);
}
#define STACKS(name, d, offset, what) stack(name, name##_insn, name##_end, d, offset, true, what)
#define OVERFLOWS(name, d, offset, what) \
    stack(name, name##_insn, name##_end, d, offset, false, what)

static void test_expand_up(void)
{
    const uint64_t d = descriptor(LIMIT, 0x93, SEG_BIG);

    /* rows: events 13.13 */
    READS(rd1, d, LIMIT, "the byte at the limit is read");
    REFUSES(rd1, d, LIMIT + 1, "the next one is #GP(0)");
    READS(rd2, d, LIMIT - 1, "a word that ends at the limit is read");
    REFUSES(rd2, d, LIMIT, "one that ends above it is #GP(0)");
    READS(rd4, d, LIMIT - 3, "a doubleword that ends at the limit is read");
    REFUSES(rd4, d, LIMIT - 2, "one that ends above it is #GP(0)");
    READS(rd8, d, LIMIT - 7, "8 bytes that end at the limit are read");
    REFUSES(rd8, d, LIMIT - 6, "8 bytes that end above it are #GP(0)");
    REFUSES(rd4, d, 0xffffffff, "an access that wraps is #GP(0)");
    REFUSES(wr4, d, LIMIT - 2, "a write above the limit is #GP(0)");
    REFUSES(rmw4, d, LIMIT - 2, "so is a read-modify-write");
    READS(rd4, descriptor(0, 0x93, SEG_BIG | SEG_G), 0xffc, "G=1: limit 0 is fff");
    REFUSES(rd4, descriptor(0, 0x93, SEG_BIG | SEG_G), 0xffd, "G=1: above it is #GP(0)");
    READS(rd1, descriptor(0, 0x93, SEG_BIG), 0, "G=0: limit 0 is one byte");
    REFUSES(rd1, descriptor(0, 0x93, SEG_BIG), 1, "and no second");
    READS(rd4, descriptor(0xfffff, 0x93, SEG_BIG | SEG_G), 0x500, "G=1, limit fffff is 4 GiB");
    /* rows: pitfalls 3.22 */
    struct modes_state *m = modes_begin(MODE_PROT32, lea_far);
    m->es = 0;
    RUN_PASS(lea_far, "LEA does not look at the segment");
}

static void test_bit_string(void)
{
    struct modes_state *m = modes_begin(MODE_PROT32, bt_far);

    /* rows: pitfalls 2.8, events 13.13 */
    modes_set(modes_free(0), descriptor(LIMIT, 0x93, SEG_BIG));
    m->es = modes_free(0);
    m->regs[M_BX] = 0x500;
    m->regs[M_CX] = 0x100 * 8;
    RUN_FAULT(bt_far, EXC_GP, 0, "BT with a register reaches beyond the limit: #GP(0)");
    m = modes_begin(MODE_PROT32, bt_far);
    modes_set(modes_free(0), descriptor(LIMIT, 0x93, SEG_BIG));
    m->es = modes_free(0);
    m->regs[M_BX] = 0x600;
    m->regs[M_CX] = UINT32_C(0xffffffff) - 31;
    RUN_PASS(bt_far, "and with a negative offset back below it");
}

static void test_expand_down(void)
{
    const uint64_t big = descriptor(LIMIT, 0x97, SEG_BIG), small = descriptor(LIMIT, 0x97, 0);

    /* rows: events 13.14 */
    READS(rd1, big, LIMIT + 1, "expand-down: the first byte above the limit is read");
    REFUSES(rd1, big, LIMIT, "expand-down: the limit itself is #GP(0)");
    REFUSES(rd4, big, LIMIT - 3, "expand-down: a doubleword below is #GP(0)");
    REFUSES(rd4, big, LIMIT, "expand-down: one that straddles is #GP(0)");
    READS(rd4, big, 0x10000, "expand-down, B=1: above ffff is read");
    REFUSES(rd4, big, 0xfffffffd, "expand-down, B=1: wrapping at the top is #GP(0)");
    READS(rd4, small, 0xfffc, "expand-down, B=0: up to ffff is read");
    REFUSES(rd4, small, 0xfffd, "expand-down, B=0: beyond ffff is #GP(0)");
    REFUSES(rd1, small, 0x10000, "expand-down, B=0: 10000 is #GP(0)");
    REFUSES(rd1, descriptor(0, 0x97, SEG_BIG | SEG_G), 0xfff, "expand-down, G=1: fff is #GP(0)");
    READS(rd1, descriptor(0, 0x97, SEG_BIG | SEG_G), 0x1000, "expand-down, G=1: 1000 is read");
    READS(wr4, descriptor(LIMIT, 0x97, SEG_BIG), 0x9000 - 4, "expand-down can be written");
    REFUSES(wr4, descriptor(LIMIT, 0x95, SEG_BIG), 0x9000 - 4, "if its type says so");
}

static void test_types(void)
{
    struct modes_state *m;

    /* rows: events 13.11 */
    REFUSES(wr4, descriptor(0xfffff, 0x91, SEG_BIG | SEG_G), 0x500,
            "a write to read-only data is #GP(0)");
    REFUSES(rmw4, descriptor(0xfffff, 0x91, SEG_BIG | SEG_G), 0x500, "so is a read-modify-write");
    READS(rd4, descriptor(0xfffff, 0x91, SEG_BIG | SEG_G), 0x500, "it can be read");
    REFUSES(wr4, descriptor(0xfffff, 0x9b, SEG_BIG | SEG_G), 0x500, "a write to code is #GP(0)");
    READS(rd4, descriptor(0xfffff, 0x9b, SEG_BIG | SEG_G), 0x500, "readable code can be read");
    modes_begin(MODE_PROT32, write_cs);
    modes_try(EXC_GP, 0, write_cs, "a write through CS is #GP(0)");
    /* rows: events 13.12 */
    m = modes_begin(MODE_PROT32_USER, read_cs);
    modes_set(modes_free(0), descriptor(0xfffff, 0x99 | SEG_DPL(3), SEG_BIG | SEG_G));
    m->cs = modes_free(0) | 3;
    RUN_FAULT(read_cs, EXC_GP, 0, "a read through execute-only CS is #GP(0)");
    /* rows: events 13.10 */
    modes_begin(MODE_PROT32, use_fs)->regs[M_BX] = 0x500;
    RUN_FAULT(use_fs, EXC_GP, 0, "a read through null FS is #GP(0)");
    modes_begin(MODE_COMPAT32, use_fs)->regs[M_BX] = 0x500;
    RUN_FAULT(use_fs, EXC_GP, 0, "the same in compatibility mode");
}

static void test_strings(void)
{
    struct modes_state *m = modes_begin(MODE_PROT32, rep_out);

    /* rows: pitfalls 2.15, events 13.13 */
    modes_set(modes_free(0), descriptor(LIMIT, 0x93, SEG_BIG));
    m->es = modes_free(0);
    m->regs[M_BX] = LIMIT + 1 - 12;
    RUN_FAULT(rep_out, EXC_GP, 0, "REP STOSD over the limit is #GP(0)");
    tap_eq(modes_reg(M_CX), 5, "after the iterations that fit");
    tap_eq(modes_reg(M_DI), LIMIT + 1, "EDI is at the one that does not");
}

static void test_stack(void)
{
    const uint64_t up = descriptor(LIMIT, 0x93, SEG_BIG), down = descriptor(0x4ff, 0x97, SEG_BIG);

    /* rows: pitfalls 3.5, events 13.13 */
    STACKS(push4, up, LIMIT + 1, "PUSH that ends at the limit");
    OVERFLOWS(push4, up, LIMIT + 2, "PUSH above the limit is #SS(0)");
    OVERFLOWS(push4, up, 2, "PUSH that wraps is #SS(0)");
    OVERFLOWS(push2, up, 1, "PUSH of a word that wraps is #SS(0)");
    STACKS(pop4, up, LIMIT - 3, "POP that ends at the limit");
    OVERFLOWS(pop4, up, LIMIT - 2, "POP above the limit is #SS(0)");
    OVERFLOWS(call4, up, LIMIT + 5, "CALL above the limit is #SS(0)");
    OVERFLOWS(ebp4, up, LIMIT - 2, "EBP as base above the limit is #SS(0)");
    OVERFLOWS(ss_override, up, LIMIT - 2, "an SS override above the limit is #SS(0)");
    OVERFLOWS(enter4, up, 2, "ENTER that wraps is #SS(0)");
    OVERFLOWS(pusha4, up, 28, "PUSHAD without room for all eight is #SS(0)");
    STACKS(pusha4, up, 0x520, "PUSHAD with room");
    OVERFLOWS(leave4, up, LIMIT - 2, "LEAVE above the limit is #SS(0)");
    /* rows: events 13.14 */
    STACKS(push4, down, 0x504, "expand-down stack: PUSH down to the limit");
    OVERFLOWS(push4, down, 0x503, "expand-down stack: PUSH below it is #SS(0)");
}

static void test_fetch(void)
{
    struct modes_state *m = modes_begin(MODE_PROT16, fetch_off);

    /* rows: events 13.16 */
    m->regs[M_BX] = 0x10000;
    RUN_FAULT(fetch_off, EXC_GP, 0, "JMP above CS.limit is #GP(0) at the JMP");
    m = modes_begin(MODE_PROT16, fetch_off);
    modes_set(MSEL_CODE16, descriptor((uint32_t)(uintptr_t)fetch_off_end - 1, SEG_CODE, 0));
    m->regs[M_BX] = (uint32_t)(uintptr_t)fetch_off_insn;
    m->rip = (uintptr_t)fetch_off_end - 1;
    struct mode_event e = modes_run();
    tap_ok(e.vector == EXC_GP && e.ip == (uintptr_t)fetch_off_end - 1,
           "an instruction that crosses CS.limit is #GP(0)");
    m = modes_begin(MODE_PROT16, push_sp16);
    m->regs[M_BX] = 0xabcd0000;
    RUN_PASS(push_sp16, "a 16-bit stack wraps within 64 KiB");
    tap_eq(modes_reg(M_BX), 0xabcdfffc, "and leaves ESP[31:16]");
}

int rom_main(void)
{
    test_expand_up();
    test_bit_string();
    test_expand_down();
    test_types();
    test_strings();
    test_stack();
    test_fetch();
    tap_done();
}

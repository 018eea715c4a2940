/* loads.c: what loading a segment register checks, in which order, and what it does to the descriptor.
 * APM vol 2, 4.8 "Long-Mode Segment Descriptors", 4.11 "Data-Access Privilege Checks" and 4.12;
 * 4.7.2 "Code-Segment Descriptors". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LOAD(seg)                                                                               \
    MODE_CODE32(load_##seg, "load_" #seg "_insn: movw %ax, %" #seg "\n movw %" #seg ", %bx\n"); \
    MODE_CODE64(long_##seg, "long_" #seg "_insn: movw %ax, %" #seg "\n movw %" #seg ", %bx\n")
LOAD(ds);
LOAD(es);
LOAD(fs);
LOAD(gs);
MODE_CODE32(load_ss, "movw %ss, %cx\n load_ss_insn: movw %ax, %ss\n movw %ss, %bx\n"
                     "movw %cx, %ss");
MODE_CODE64(long_ss, "movw %ss, %cx\n long_ss_insn: movw %ax, %ss\n movw %ss, %bx\n"
                     "movw %cx, %ss");
MODE_CODE32(pop_ds, "pushl %eax\n pop_ds_insn: popl %ds");
MODE_CODE32(pop_ss, "pushl %eax\n pop_ss_insn: popl %ss");
MODE_CODE32(lfs_32, "movw %ax, 0x504\n lfs_32_insn: lfsl 0x500, %edx\n movw %fs, %bx");
MODE_CODE32(use_null, "xorl %eax, %eax\n movw %ax, %es\n use_null_insn: movl %es:0x500, %ebx");
MODE_CODE64(use_null64, "xorl %eax, %eax\n movw %ax, %es\n movw %ax, %ds\n movl %es:0x500, %ebx");

struct load {
    const char *code, *insn, *end;
};
#define ONE(seg)                                        \
    {                                                   \
        load_##seg, load_##seg##_insn, load_##seg##_end \
    }
static const struct load data32[] = { ONE(ds), ONE(es), ONE(fs), ONE(gs) };

static enum mode mode;

static void begin(const char *code, uint16_t selector, uint64_t descriptor)
{
    modes_begin(mode, code)->regs[M_AX] = selector;
    modes_set(selector & ~3u, descriptor);
}

static uint64_t flat(unsigned type)
{
    return modes_descriptor(0, 0xfffff, type, SEG_G | SEG_BIG);
}

/* Loads DS, ES, FS and GS alike. */
static void data(uint16_t selector, unsigned type, unsigned vector, uint64_t error,
                 const char *what)
{
    bool passed = true;

    for (unsigned i = 0; i < 4; i++) {
        struct mode_event e;

        begin(data32[i].code, selector, flat(type));
        e = modes_run();
        passed = passed && e.vector == vector && e.error == error &&
                 e.ip == (uintptr_t)(vector == EXC_UD ? data32[i].end : data32[i].insn) &&
                 (vector != EXC_UD || (uint16_t)modes_reg(M_BX) == selector);
    }
    tap_ok(passed, "%s", what);
}

static void stack(uint16_t selector, unsigned type, unsigned vector, uint64_t error,
                  const char *what)
{
    begin(load_ss, selector, flat(type));
    modes_try(vector, error, vector == EXC_UD ? load_ss_end : load_ss_insn, what);
}

static void test_data(void)
{
    const uint16_t s = modes_free(0);

    mode = MODE_PROT32;
    /* rows: events 13.1 */
    data(s, 0x93, EXC_UD, 0, "writable data loads");
    data(s, 0x91, EXC_UD, 0, "read-only data loads");
    data(s, 0x97, EXC_UD, 0, "expand-down data loads");
    data(s, 0x9b, EXC_UD, 0, "readable code loads");
    data(s, 0x9f, EXC_UD, 0, "readable conforming code loads");
    data(s, 0x99, EXC_GP, s, "execute-only code is #GP(selector)");
    data(s, 0x89, EXC_GP, s, "a system descriptor is #GP(selector)");
    data(s, 0x00, EXC_GP, s, "an empty descriptor is #GP(selector): type before presence");
    data(s, 0x13, EXC_NP, s, "P=0 is #NP(selector)");
    data(s, 0x11 | SEG_DPL(0), EXC_NP, s, "P=0 with read-only data too");
    data(s | 3, 0x93, EXC_GP, s, "RPL 3 with DPL 0 is #GP(selector)");
    data(s | 3, 0x13, EXC_GP, s, "and that before P");
    data(s | 3, 0x93 | SEG_DPL(3), EXC_UD, 0, "RPL 3 with DPL 3 loads");
    data(s | 3, 0x9f, EXC_UD, 0, "conforming code loads whatever RPL and DPL are");
    data(s | 3, 0x9b, EXC_GP, s, "other code does not");
    /* rows: events 13.1, events 13.10 */
    PASS(MODE_PROT32, load_fs, "a null selector loads");
    for (uint16_t rpl = 0; rpl < 4; rpl++) {
        modes_begin(MODE_PROT32, load_es)->regs[M_AX] = rpl;
        RUN_PASS(load_es, "null with any RPL");
    }
    FAULT(MODE_PROT32, use_null, EXC_GP, 0, "its use is #GP(0)");
    /* rows: events 13.8 */
    modes_begin(MODE_PROT32, load_ds)->regs[M_AX] = MODES_GDT_ENTRIES * 8;
    RUN_FAULT(load_ds, EXC_GP, MODES_GDT_ENTRIES * 8, "a selector beyond the GDT is #GP(selector)");
}

static void test_table_end(void)
{
    const uint16_t s = modes_free(0);
    struct modes_state *m;

    /* rows: events 13.8 */
    m = modes_begin(MODE_PROT32, load_ds);
    m->regs[M_AX] = s;
    modes_set(s, flat(0x93));
    m->gdtr.limit = (uint16_t)(s + 7);
    RUN_PASS(load_ds, "a descriptor that ends at the limit loads");
    m = modes_begin(MODE_PROT32, load_ds);
    m->regs[M_AX] = s;
    modes_set(s, flat(0x93));
    m->gdtr.limit = (uint16_t)(s + 6);
    RUN_FAULT(load_ds, EXC_GP, s, "one byte less is #GP(selector)");
    modes_begin(MODE_PROT32, load_ds)->regs[M_AX] = modes_local(1);
    modes_set(modes_local(1), flat(0x93));
    RUN_FAULT(load_ds, EXC_GP, modes_local(1), "an LDT selector without LDT is #GP(selector)");
    m = modes_begin(MODE_PROT32, load_ds);
    m->regs[M_AX] = modes_local(1);
    m->ldtr = MSEL_LDT;
    modes_set(modes_local(1), flat(0x93));
    RUN_PASS(load_ds, "with one it loads");
    m = modes_begin(MODE_PROT32, load_ds);
    m->regs[M_AX] = modes_local(0);
    m->ldtr = MSEL_LDT;
    modes_set(modes_local(0), flat(0x93));
    RUN_PASS(load_ds, "the first entry of an LDT is an entry");
    m = modes_begin(MODE_PROT32, load_ds);
    m->regs[M_AX] = modes_local(16);
    m->ldtr = MSEL_LDT;
    RUN_FAULT(load_ds, EXC_GP, modes_local(16), "beyond the LDT is #GP(selector)");
}

static void test_user(void)
{
    const uint16_t s = modes_free(0);

    /* rows: events 13.1 */
    mode = MODE_PROT32_USER;
    data(s, 0x93 | SEG_DPL(2), EXC_GP, s, "CPL 3: DPL 2 with RPL 0 is #GP(selector)");
    data(s, 0x93 | SEG_DPL(3), EXC_UD, 0, "CPL 3: DPL 3 with RPL 0 loads");
    data(s, 0x9f, EXC_UD, 0, "CPL 3: conforming code with DPL 0 loads");
    /* rows: events 13.2 */
    stack(s | 3, 0x93 | SEG_DPL(3), EXC_UD, 0, "CPL 3: SS with DPL and RPL 3 loads");
    stack(s, 0x93 | SEG_DPL(3), EXC_GP, s, "CPL 3: SS with RPL 0 is #GP(selector)");
    stack(s | 3, 0x93, EXC_GP, s, "CPL 3: SS with DPL 0 is #GP(selector)");
}

static void test_stack(void)
{
    const uint16_t s = modes_free(0);

    /* rows: events 13.2 */
    mode = MODE_PROT32;
    stack(s, 0x93, EXC_UD, 0, "SS: writable data with DPL = RPL = CPL loads");
    stack(s, 0x91, EXC_GP, s, "SS: read-only data is #GP(selector)");
    stack(s, 0x9b, EXC_GP, s, "SS: code is #GP(selector)");
    stack(s | 1, 0x93, EXC_GP, s, "SS: RPL 1 is #GP(selector)");
    stack(s, 0x93 | SEG_DPL(1), EXC_GP, s, "SS: DPL 1 is #GP(selector)");
    stack(s, 0x13, EXC_SS, s, "SS: P=0 is #SS(selector)");
    stack(s, 0x11, EXC_GP, s, "SS: the type comes before P");
    modes_begin(MODE_PROT32, load_ss)->regs[M_AX] = 0;
    RUN_FAULT(load_ss, EXC_GP, 0, "SS: null is #GP(0)");
    begin(pop_ss, s, flat(0x13));
    RUN_FAULT(pop_ss, EXC_SS, s, "POP SS: P=0 is #SS(selector)");
    begin(pop_ds, s, flat(0x13));
    struct mode_event e = RUN_FAULT(pop_ds, EXC_NP, s, "POP DS: P=0 is #NP(selector)");
    tap_eq(e.sp, (uintptr_t)modes_stack - 4, "and ESP has not moved");
    begin(lfs_32, s | 3, flat(0x93));
    RUN_FAULT(lfs_32, EXC_GP, s, "LFS checks like MOV");
    tap_eq(modes_reg(M_DX), 0, "and its register has not changed");
}

static void test_accessed(void)
{
    const uint16_t s = modes_free(0);
    volatile uint64_t *descriptor = &modes_gdt[s / 8];
    uint32_t *directory;

    /* rows: events 13.9, pitfalls 3.6 */
    begin(load_ds, s, flat(0x92));
    RUN_PASS(load_ds, "loading a data segment");
    tap_eq(*descriptor >> 40 & 0xff, 0x93, "sets its accessed bit");
    begin(load_ds, s | 3, flat(0x92));
    modes_run();
    tap_eq(*descriptor >> 40 & 0xff, 0x92, "a refused one does not");
    begin(load_ds, s, flat(0x12));
    modes_run();
    tap_eq(*descriptor >> 40 & 0xff, 0x12, "one that is not present neither");
    begin(load_ds, s, flat(0x92));
    directory = modes_paging_pse();
    modes_map32(directory, (uint32_t)(uintptr_t)modes_gdt, (uintptr_t)modes_gdt & ~0xfffu, 5);
    modes_map32(directory, ((uint32_t)(uintptr_t)modes_gdt | 0xfff) + 1,
                ((uintptr_t)modes_gdt | 0xfff) + 1, 7);
    struct mode_event e = modes_run();
    tap_ok(e.vector == EXC_PF && (e.error & 7) == 3 && e.cr2 >= (uintptr_t)descriptor &&
               e.cr2 < (uintptr_t)descriptor + 8,
           "a table page that is read-only is #PF, a supervisor's write");
    begin(load_ds, s, flat(0x93));
    directory = modes_paging_pse();
    modes_map32(directory, (uint32_t)(uintptr_t)modes_gdt, (uintptr_t)modes_gdt & ~0xfffu, 5);
    RUN_PASS(load_ds, "with the bit set already nothing is written");
}

static void test_long(void)
{
    const uint16_t s = modes_free(0);

    mode = MODE_LONG;
    /* rows: events 13.1, events 13.2, pitfalls 3.4 */
    begin(long_ds, s, flat(0x13));
    RUN_FAULT(long_ds, EXC_NP, s, "64-bit mode: DS with P=0 is #NP(selector)");
    begin(long_es, s, flat(0x99));
    RUN_FAULT(long_es, EXC_GP, s, "64-bit mode: ES with execute-only code is #GP(selector)");
    modes_begin(MODE_LONG, long_ss)->regs[M_AX] = 0;
    RUN_PASS(long_ss, "64-bit mode, CPL 0: SS null with RPL 0 loads");
    modes_begin(MODE_LONG, long_ss)->regs[M_AX] = 1;
    RUN_FAULT(long_ss, EXC_GP, 0, "64-bit mode, CPL 0: SS null with RPL 1 is #GP(0)");
    modes_begin(MODE_LONG_USER, long_ss)->regs[M_AX] = 3;
    RUN_FAULT(long_ss, EXC_GP, 0, "64-bit mode, CPL 3: SS null is #GP(0)");
    modes_begin(MODE_COMPAT32, load_ss)->regs[M_AX] = 0;
    RUN_FAULT(load_ss, EXC_GP, 0, "compatibility mode: SS null is #GP(0)");
    /* rows: pitfalls 3.2 */
    PASS(MODE_LONG, use_null64, "64-bit mode: null DS and ES can be used");
}

int rom_main(void)
{
    test_data();
    test_table_end();
    test_user();
    test_stack();
    test_accessed();
    test_long();
    tap_done();
}

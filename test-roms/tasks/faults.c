/* faults.c: what a task switch checks: in the old task before the point of no return, in the new one after it.
 * APM vol 2, 12.3 "Hardware Task-Management in Legacy Mode", 8.2.10 "#TS - Invalid-TSS Exception". */
#include "test-roms/tasks/kit.h"

MODE_CODE32(k_jump, "k_jump_insn: ljmp $0x80, $0");
MODE_CODE32(k_call, "k_call_insn: lcall $0x80, $0");
MODE_CODE32(k_gate, "k_gate_insn: ljmp $0x88, $0");
MODE_CODE32(k_int, "k_int_insn: int $0x40");
MODE_CODE32(k_div, "xorl %ebx, %ebx\n k_div_insn: divl %ebx");
MODE_CODE32(k_iret, "pushfl\n orl $0x4000, (%esp)\n popfl\n k_iret_insn: iretl");
MODE_CODE32(next, "nop");

static uint64_t tss(unsigned limit, unsigned type)
{
    return modes_descriptor((uint32_t)(uintptr_t)next_tss, limit, type, 0);
}

/* JMP, CALL and JMP by a gate: all refused alike. */
static void refused(uint64_t descriptor, unsigned vector, uint64_t error, const char *what)
{
    static const char *const code[] = { k_jump, k_call, k_gate };
    static const char *const insn[] = { k_jump_insn, k_call_insn, k_gate_insn };
    bool passed = true;

    for (unsigned i = 0; i < 3; i++) {
        struct mode_event e;

        task_begin(MODE_PROT32, code[i], next);
        modes_set(SEL_NEXT, descriptor);
        e = modes_run();
        passed = passed && e.vector == vector && e.error == error && e.ip == (uintptr_t)insn[i] &&
                 e.handler_tr == MSEL_TSS;
    }
    tap_ok(passed, "%s", what);
}

static void test_selector(void)
{
    struct modes_state *m;

    /* rows: events 10.6, 10.1 */
    refused(tss(0x67, 0x8b), EXC_GP, SEL_NEXT, "a busy TSS is #GP(TSS)");
    task_begin(MODE_PROT32, k_gate, next);
    modes_set(SEL_NEXT, modes_descriptor(0, 0xfffff, 0x93, SEG_G | SEG_BIG));
    RUN_FAULT(k_gate, EXC_GP, SEL_NEXT, "a gate to a data segment is #GP(selector)");
    m = task_begin(MODE_PROT32, k_gate, next);
    m->ldtr = MSEL_LDT;
    modes_set(modes_local(1), tss(0x67, 0x89));
    modes_set(SEL_GATE, modes_gate(modes_local(1), 0, 0x85, 0));
    RUN_FAULT(k_gate, EXC_GP, modes_local(1), "a gate to a TSS in the LDT is #GP(selector)");
    task_begin(MODE_PROT32, k_gate, next);
    modes_set(SEL_GATE, modes_gate(0, 0, 0x85, 0));
    RUN_FAULT(k_gate, EXC_GP, 0, "a gate with a null selector is #GP(0)");
    task_begin(MODE_PROT32, k_gate, next);
    modes_set(SEL_GATE, modes_gate(MODES_GDT_ENTRIES * 8, 0, 0x85, 0));
    RUN_FAULT(k_gate, EXC_GP, MODES_GDT_ENTRIES * 8, "a gate beyond the GDT is #GP(selector)");
    /* rows: events 10.7 */
    refused(tss(0x67, 0x09), EXC_NP, SEL_NEXT, "a TSS with P=0 is #NP(TSS)");
    /* rows: events 10.8 */
    refused(tss(0x66, 0x89), EXC_TS, SEL_NEXT, "a limit of 66 is #TS(TSS)");
    refused(tss(0x2a, 0x81), EXC_TS, SEL_NEXT, "a limit of 2a for a 16-bit one is #TS(TSS)");
    /* rows: events 10.1, 10.2 */
    task_begin(MODE_PROT32_USER, k_jump, next);
    RUN_FAULT(k_jump, EXC_GP, SEL_NEXT, "CPL 3 to a TSS with DPL 0 is #GP(TSS)");
    task_begin(MODE_PROT32_USER, k_gate, next);
    modes_set(SEL_GATE, modes_gate(SEL_NEXT, 0, 0x85, 0));
    RUN_FAULT(k_gate, EXC_GP, SEL_GATE, "CPL 3 through a gate with DPL 0 is #GP(gate)");
    task_begin(MODE_PROT32, k_gate, next);
    modes_set(SEL_GATE, modes_gate(SEL_NEXT, 0, 0x05, 0));
    RUN_FAULT(k_gate, EXC_NP, SEL_GATE, "a gate with P=0 is #NP(gate)");
    task_begin(MODE_PROT32_USER, k_gate, next);
    struct mode_event e = modes_try(EXC_UD, 0, next_end, "CPL 3 through a gate with DPL 3");
    tap_eq(e.handler_tr, SEL_NEXT, "whatever the DPL of the TSS is");
    /* rows: events 10.3, 10.4 */
    task_begin(MODE_PROT32, k_int, next);
    modes_set(SEL_NEXT, tss(0x67, 0x8b));
    RUN_FAULT(k_int, EXC_GP, SEL_NEXT, "INT by a gate to a busy TSS is #GP(TSS)");
    task_begin(MODE_PROT32, k_div, next);
    modes_set(SEL_NEXT, tss(0x67, 0x8b));
    *modes_idt_gate(EXC_DE) = modes_gate(SEL_NEXT, 0, 0x85, 0);
    e = modes_run();
    tap_ok(e.vector == EXC_DF || (e.vector == EXC_GP && e.error == SEL_NEXT + 1),
           "a fault by such a gate: #GP(TSS) with EXT, which makes #DF of #DE");
    tap_eq(e.vector, EXC_DF, "#DE and #GP are #DF");
}

static void test_iret(void)
{
    /* rows: events 10.5 */
    task_begin(MODE_PROT32, k_iret, next);
    modes_store(modes_tss, TSS_LINK, SEL_NEXT, 2);
    RUN_FAULT(k_iret, EXC_TS, SEL_NEXT, "IRET to a TSS that is not busy is #TS(TSS)");
    task_begin(MODE_PROT32, k_iret, next);
    modes_store(modes_tss, TSS_LINK, SEL_DATA, 2);
    RUN_FAULT(k_iret, EXC_TS, SEL_DATA, "IRET to a data segment is #TS(selector)");
    task_begin(MODE_PROT32, k_iret, next);
    modes_store(modes_tss, TSS_LINK, SEL_NEXT, 2);
    modes_set(SEL_NEXT, tss(0x67, 0x0b));
    RUN_FAULT(k_iret, EXC_NP, SEL_NEXT, "IRET to a TSS with P=0 is #NP(TSS)");
    task_begin(MODE_PROT32, k_iret, next);
    modes_store(modes_tss, TSS_LINK, SEL_NEXT, 2);
    modes_set(SEL_NEXT, tss(0x67, 0x8b));
    struct mode_event e = modes_try(EXC_UD, 0, next_end, "IRET to a busy TSS");
    tap_eq(e.handler_tr, SEL_NEXT, "goes there");
}

/* A selector of the new TSS is bad: the exception belongs to the new task. */
static void bad(unsigned offset, uint16_t selector, uint64_t descriptor, unsigned vector,
                uint64_t error, const char *what)
{
    struct mode_event e;

    task_begin(MODE_PROT32, k_jump, next);
    task_user();
    if ((selector & ~3u) != 0 && selector < MODES_GDT_ENTRIES * 8)
        modes_set(selector & ~3u, descriptor);
    task_set(offset, selector, 2);
    e = modes_run();
    tap_ok(e.vector == vector && e.error == error && e.ip == (uintptr_t)next &&
               e.handler_tr == SEL_NEXT,
           "%s", what);
    if (e.vector != vector || e.error != error || e.ip != (uintptr_t)next)
        rom_printf("#   vector %u, error code %lx, ip %lx, TR %x\n", e.vector, e.error, e.ip,
                   e.handler_tr);
}

static uint64_t seg(unsigned type)
{
    return modes_descriptor(0, 0xfffff, type, SEG_G | SEG_BIG);
}

static void test_new_task(void)
{
    const uint16_t s = modes_free(4), beyond = MODES_GDT_ENTRIES * 8;
    const unsigned user = SEG_DPL(3);

    /* rows: events 10.16, 10.22, 10.23, pitfalls 3.33 */
    bad(TSS_CS, 3, 0, EXC_TS, 0, "CS: null is #TS(0)");
    bad(TSS_CS, beyond | 3, 0, EXC_TS, beyond, "CS: beyond the GDT is #TS(CS)");
    bad(TSS_CS, s | 3, seg(0x93 | user), EXC_TS, s, "CS: data is #TS(CS)");
    bad(TSS_CS, s | 3, seg(0x9b), EXC_TS, s, "CS: DPL other than RPL is #TS(CS)");
    bad(TSS_CS, s | 3, seg(0x1b | user), EXC_NP, s, "CS: P=0 is #NP(CS)");
    /* rows: events 10.24, 10.25 */
    bad(TSS_SS, 3, 0, EXC_TS, 0, "SS: null is #TS(0)");
    bad(TSS_SS, beyond | 3, 0, EXC_TS, beyond, "SS: beyond the GDT is #TS(SS)");
    bad(TSS_SS, s | 3, seg(0x91 | user), EXC_TS, s, "SS: read-only data is #TS(SS)");
    bad(TSS_SS, s | 3, seg(0x9b | user), EXC_TS, s, "SS: code is #TS(SS)");
    bad(TSS_SS, s | 3, seg(0x93), EXC_TS, s, "SS: DPL other than CPL is #TS(SS)");
    bad(TSS_SS, s, seg(0x93 | user), EXC_TS, s, "SS: RPL other than CPL is #TS(SS)");
    bad(TSS_SS, s | 3, seg(0x13 | user), EXC_SS, s, "SS: P=0 is #SS(SS)");
    /* rows: events 10.26 */
    bad(TSS_DS, s | 3, seg(0x99 | user), EXC_TS, s, "DS: execute-only code is #TS(DS)");
    bad(TSS_ES, s | 3, seg(0x89), EXC_TS, s, "ES: a system segment is #TS(ES)");
    bad(TSS_FS, s | 3, seg(0x93), EXC_TS, s, "FS: DPL below CPL is #TS(FS)");
    bad(TSS_GS, beyond, 0, EXC_TS, beyond, "GS: beyond the GDT is #TS(GS)");
    bad(TSS_DS, s | 3, seg(0x13 | user), EXC_NP, s, "DS: P=0 is #NP(DS)");
    /* rows: events 10.20 */
    bad(TSS_LDT, s, seg(0x93), EXC_TS, s, "LDT: data is #TS(LDT)");
    bad(TSS_LDT, s, seg(0x02) & ~(UINT64_C(0xf) << 48), EXC_TS, s, "LDT: P=0 is #TS(LDT)");
    bad(TSS_LDT, s | 4, 0, EXC_TS, s | 4, "LDT: a selector with TI=1 is #TS(LDT)");
    /* rows: events 10.28 */
    task_begin(MODE_PROT32, k_jump, next);
    task_user();
    task_set(TSS_CS, s | 3, 2);
    modes_set(s, modes_descriptor(0, 0xfff, 0x9b | user, SEG_BIG));
    struct mode_event e = modes_try(EXC_GP, 0, next, "EIP above the limit of CS is #GP(0)");
    tap_eq(e.handler_tr, SEL_NEXT, "in the new task");
}

/* Pages of the TSSs: a fault there comes before anything has happened. */
static void test_pages(void)
{
    uint32_t *directory;
    uint32_t page = (uint32_t)(uintptr_t)next_tss & ~0xfffu;
    struct mode_event e;

    /* rows: events 10.10, 10.14, pitfalls 3.33 */
    task_begin(MODE_PROT32, k_jump, next);
    directory = modes_paging_pse();
    task_set(TSS_CR3, (uint32_t)(uintptr_t)directory, 4);
    modes_set(SEL_NEXT, modes_descriptor(0x40000000, 0x67, 0x89, 0));
    modes_map32(directory, 0x40000000, 0, 0);
    e = modes_try(EXC_PF, 0, k_jump_insn, "a new TSS on a page that is not present is #PF");
    tap_ok(e.cr2 >= 0x40000000 && e.cr2 < 0x40000068, "CR2 is in it");
    tap_eq(e.handler_tr, MSEL_TSS, "in the old task");
    tap_eq(task_type(MSEL_TSS) & BUSY, BUSY, "whose TSS is still busy");
    tap_eq(task_type(SEL_NEXT) & BUSY, 0, "the new one is not");
    task_begin(MODE_PROT32, k_jump, next);
    directory = modes_paging_pse();
    task_set(TSS_CR3, (uint32_t)(uintptr_t)directory, 4);
    modes_set(SEL_NEXT, modes_descriptor(0x40000000 | ((uint32_t)(uintptr_t)next_tss & 0xfff), 0x67,
                                         0x89, 0));
    modes_map32(directory, 0x40000000, page, 3);
    modes_map32(directory, 0x40001000, page + 0x1000, 3);
    e = modes_try(EXC_UD, 0, next_end, "a TSS at a linear address of its own");
    tap_eq(e.handler_tr, SEL_NEXT, "is found by paging");
}

static void test_old_limit(void)
{
    /* rows: events 10.10 */
    task_begin(MODE_PROT32, k_jump, next);
    modes_set(MSEL_TSS, modes_descriptor((uint32_t)(uintptr_t)modes_tss, 0x50, 0x89, 0));
    RUN_FAULT(k_jump, EXC_TS, MSEL_TSS, "an old TSS too small for its state is #TS(TR)");
}

int rom_main(void)
{
    test_selector();
    test_iret();
    test_new_task();
    test_pages();
    test_old_limit();
    tap_done();
}

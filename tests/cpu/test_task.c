/* Hardware task switches. APM vol 2, 12.3 "Hardware Task-Management in Legacy Mode". */
#include "tests/cpu/modes.h"

#include "emu/cpu/task.h"
#include "tests/check_main.h"

#define VECTOR 0x21u
#define JMP_TASK32 "\xea\x00\x00\x00\x00\x30\x01"
#define CALL_TASK32 "\x9a\x00\x00\x00\x00\x30\x01"
#define JMP_TASK16 "\xea\x00\x00\x00\x00\x38\x01"
#define CALL_TASK16 "\x9a\x00\x00\x00\x00\x38\x01"
#define JMP_GATE "\xea\x00\x00\x00\x00\x40\x01"
#define IRETD "\xcf"
#define NEW_EIP 0x61234u
#define NEW_ESP 0x2c000u

static const uint16_t data_at[] = { 0x48, 0x4c, 0x50, 0x54, 0x58, 0x5c }; /* ES CS SS DS FS GS */

static void set32(struct kit *k, unsigned at, unsigned size, uint64_t value)
{
    kit_put(k, NEW_TSS + at, size, value);
}

static uint64_t old32(struct kit *k, unsigned at, unsigned size)
{
    return kit_get(k, TSS_SPA + at, size);
}

/* A 32-bit task at level 0 that nothing is wrong with. */
static void new_task32(struct kit *k)
{
    for (unsigned at = 0; at < 0x68; at += 4)
        set32(k, at, 4, 0);
    set32(k, 0, 4, 0xffff5a5a);
    set32(k, 0x1c, 4, 0x123000);
    set32(k, 0x20, 4, NEW_EIP);
    set32(k, 0x24, 4, FLAG_CF | 2);
    for (unsigned i = 0; i < 8; i++)
        set32(k, 0x28 + 4 * i, 4, 0x80000001u + 0x1000 * i);
    set32(k, 0x38, 4, NEW_ESP);
    for (unsigned i = 0; i < 6; i++)
        set32(k, data_at[i], 4, 0xdead0000u | (i == SEG_CS ? CODE32 : DATA0));
    set32(k, 0x60, 4, 0xdead0000u | LDT16);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x089));
}

static void new_task16(struct kit *k)
{
    static const uint16_t seg[] = { DATA0, CODE32, DATA0, DATA0 };
    kit_put(k, NEW_TSS16, 2, 0x5a5a);
    kit_put(k, NEW_TSS16 + 0x0e, 2, 0x4321);
    kit_put(k, NEW_TSS16 + 0x10, 2, FLAG_CF | 2);
    for (unsigned i = 0; i < 8; i++)
        kit_put(k, NEW_TSS16 + 0x12 + 2 * i, 2, 0x8001 + 0x10 * i);
    for (unsigned i = 0; i < 4; i++)
        kit_put(k, NEW_TSS16 + 0x22 + 2 * i, 2, seg[i]);
    kit_put(k, NEW_TSS16 + 0x2a, 2, LDT16);
    kit_gdt(k, TASK16, kit_descriptor(NEW_TSS16, 0x2b, 0x081));
}

static void setup(struct kit *k, unsigned cpl)
{
    mode_prot32(k, cpl);
    new_task32(k);
    new_task16(k);
    for (unsigned i = 0; i < 8; i++)
        if (i != REG_RSP)
            k->cpu->r[i] = 0x10000 + i;
    k->cpu->regs.cr0 &= ~(uint64_t)CR0_TS;
    k->cpu->regs.dr[7] = 0x400;
    k->cpu->traps = 0;
}

static bool is_busy(struct kit *k, unsigned selector)
{
    return kit_gdt_raw(k, selector) >> 41 & 1;
}

/* Nothing of the old task has changed. */
static void expect_old_task(struct kit *k)
{
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].selector, TSS);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x10000);
    ck_assert(!(k->cpu->regs.cr0 & CR0_TS));
    ck_assert(is_busy(k, TSS));
    ck_assert_uint_eq(old32(k, 0x20, 4), 0);
}

static void expect_new_task32(struct kit *k)
{
    static const uint8_t segs[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
    struct vcpu *cpu = k->cpu;
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].selector, TASK32);
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].base, NEW_TSS);
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].attr & 0xf, SYS_TSS_BUSY);
    ck_assert(is_busy(k, TASK32));
    ck_assert(cpu->regs.cr0 & CR0_TS);
    ck_assert_uint_eq(cpu->r[REG_RIP], NEW_EIP);
    for (unsigned i = 0; i < 8; i++)
        if (i != REG_RSP)
            ck_assert_uint_eq(cpu->r[i], 0x80000001u + 0x1000 * i);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, CODE32);
    ck_assert_uint_eq(cpu->regs.cpl, 0);
    for (unsigned i = 0; i < sizeof(segs); i++) {
        ck_assert_uint_eq(cpu->regs.seg[segs[i]].selector, DATA0);
        ck_assert_uint_eq(cpu->regs.seg[segs[i]].attr, 0xc93);
    }
    ck_assert_uint_eq(cpu->regs.seg[SEG_LDTR].selector, LDT16);
    ck_assert_uint_eq(cpu->regs.seg[SEG_LDTR].base, LDT_SPA);
}

/* rows: events 10.1, 10.11, 10.12, 10.14, 10.15, 10.17, 10.18, 10.30-10.34, pitfalls 3.31, 3.32 */
WITH_KIT(jmp_to_a_tss_saves_and_loads_everything)
{
    setup(k, 0);
    cpu_set_rflags(k->cpu, FLAG_NT | FLAG_ZF | FLAG_IOPL);
    k->cpu->regs.dr[7] = 0x400 | 0x3ff;
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(old32(k, 0x20, 4), CODE_SPA + 7);
    ck_assert_uint_eq(old32(k, 0x24, 4), 2 | FLAG_NT | FLAG_ZF | FLAG_IOPL);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(old32(k, 0x28 + 4 * i, 4), i == REG_RSP ? STACK_TOP : 0x10000 + i);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(old32(k, data_at[i], 2), i == SEG_CS ? CODE32 : DATA0);
    ck_assert_uint_eq(old32(k, 0, 4), 0);
    ck_assert(!is_busy(k, TSS));
    expect_new_task32(k);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], NEW_ESP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF);
    ck_assert_uint_eq(kit_get(k, NEW_TSS, 2), 0x5a5a);    /* link: untouched */
    ck_assert_uint_eq(k->cpu->regs.dr[7], 0x400 | 0x2aa); /* G0-G3, GE */
    ck_assert_uint_eq(k->cpu->traps, 0);
}

/* rows: events 10.13, 10.15, 10.17, 10.30-10.34, pitfalls 3.31 */
WITH_KIT(call_nests_and_iret_returns)
{
    setup(k, 0);
    cpu_set_rflags(k->cpu, FLAG_ZF);
    ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
    ck_assert(is_busy(k, TSS));
    expect_new_task32(k);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF | FLAG_NT);
    ck_assert_uint_eq(kit_get(k, NEW_TSS, 4), 0xffff0000u | TSS); /* two bytes */

    k->cpu->regs.nmi_masked = true;
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].selector, TSS);
    ck_assert(is_busy(k, TSS));
    ck_assert(!is_busy(k, TASK32));
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 7);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_ZF);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x10000);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    ck_assert_uint_eq(kit_get(k, NEW_TSS + 0x24, 4), 2 | FLAG_CF); /* NT = 0 */
    ck_assert_uint_eq(kit_get(k, NEW_TSS + 0x20, 4), NEW_EIP + 1);
    ck_assert_uint_eq(kit_get(k, NEW_TSS, 2), TSS);
    ck_assert(!k->cpu->regs.nmi_masked);
}

/* rows: events 10.12, 10.18, pitfalls 3.35 */
WITH_KIT(tasks_of_16_bits)
{
    setup(k, 0);
    k->cpu->regs.cr0 |= 0;
    ck_assert_int_eq(EXEC(k, CALL_TASK16), STEP_JUMP);
    struct vcpu *cpu = k->cpu;
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].selector, TASK16);
    ck_assert_uint_eq(cpu->r[REG_RIP], 0x4321);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(cpu->r[i], 0xffff8001u + 0x10 * i);
    ck_assert_uint_eq(cpu->rflags, 2 | FLAG_CF | FLAG_NT);
    ck_assert_uint_eq(cpu->regs.seg[SEG_FS].selector, 0);
    ck_assert_uint_eq(cpu->regs.seg[SEG_GS].selector, 0);
    ck_assert_uint_eq(cpu->regs.seg[SEG_GS].attr, 0);
    ck_assert_uint_eq(cpu->regs.seg[SEG_LDTR].selector, LDT16);
    ck_assert_uint_eq(kit_get(k, NEW_TSS16, 2), TSS);
    cpu->r[REG_RBX] = 0x12345678;
    kit_put(k, NEW_TSS16 + 0x2a, 4, 0x77770000u | LDT16);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].selector, TSS);
    ck_assert_uint_eq(kit_get(k, NEW_TSS16 + 0x0e, 2), 0x4322);
    ck_assert_uint_eq(kit_get(k, NEW_TSS16 + 0x10, 2), 2 | FLAG_CF);
    ck_assert_uint_eq(kit_get(k, NEW_TSS16 + 0x12 + 2 * REG_RBX, 2), 0x5678);
    ck_assert_uint_eq(kit_get(k, NEW_TSS16 + 0x24, 2), CODE32);
    ck_assert_uint_eq(kit_get(k, NEW_TSS16 + 0x2a, 4), 0x77770000u | LDT16); /* static */
}

/* rows: events 10.1, 10.2, 9.1.9, 9.1.8 */
WITH_KIT(privileges_of_jmp_and_call)
{
    static const struct {
        uint8_t cpl, rpl, tss_dpl, gate_dpl;
        bool gate, legal;
    } rows[] = {
        { 0, 0, 0, 0, false, true },  { 3, 0, 2, 3, false, false }, { 3, 3, 3, 0, false, true },
        { 0, 1, 0, 0, false, false }, { 3, 3, 0, 3, true, true },   { 3, 3, 3, 2, true, false },
        { 0, 3, 3, 2, true, false },  { 0, 0, 0, 0, true, true },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(k, rows[i].cpl);
        kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, (uint16_t)(0x089 | rows[i].tss_dpl << 5)));
        modes_gate(k, TASK_GATE, SYS_TASK_GATE, rows[i].gate_dpl, TASK32, 0, 0);
        uint16_t selector = rows[i].gate ? TASK_GATE : TASK32;
        uint8_t bytes[7] = { 0xea };
        bytes[5] = (uint8_t)(selector | rows[i].rpl);
        bytes[6] = (uint8_t)(selector >> 8);
        enum step step = kit_exec(k, bytes, 7);
        if (rows[i].legal)
            ck_assert_int_eq(step, STEP_JUMP);
        else
            kit_raised(k, step, EXC_GP, selector);
    }
    setup(k, 0);
    modes_gate(k, TASK_GATE, SYS_TASK_GATE, 0, TASK32, 0, 0);
    kit_gdt(k, TASK_GATE, kit_gdt_raw(k, TASK_GATE) & ~(1ull << 47));
    kit_raised(k, EXEC(k, JMP_GATE), EXC_NP, TASK_GATE);
}

/* rows: events 10.2, 10.6, 10.7, 10.8, pitfalls 3.33 */
WITH_KIT(checks_of_the_tss_descriptor)
{
    static const struct {
        uint16_t selector;
        uint64_t attr; /* of the descriptor at TASK32 */
        uint32_t limit;
        uint8_t vector;
    } rows[] = {
        { TASK32, 0x089, 0x66, EXC_TS },
        { TASK32, 0x081, 0x2a, EXC_TS },
        { TASK32, 0x009, 0x67, EXC_NP },
        { TASK32, 0x08b, 0x67, EXC_GP },
        { TASK32, 0x083, 0x67, EXC_GP },
        { TASK32, 0x082, 0x67, EXC_GP },
        { TASK32, 0x099, 0x67, EXC_GP },
        { TASK32 | 4, 0x089, 0x67, EXC_GP },
        { GDT_BYTES, 0, 0, EXC_GP },
        { 0, 0, 0, EXC_GP },
        { 3, 0, 0, EXC_GP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(k, 0);
        k->cpu->regs.seg[SEG_LDTR] = segment_unpack(LDT16, kit_gdt_raw(k, LDT16));
        kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, rows[i].limit, (uint16_t)rows[i].attr));
        modes_gate(k, TASK_GATE, SYS_TASK_GATE, 0, rows[i].selector, 0, 0);
        kit_raised(k, EXEC(k, JMP_GATE), rows[i].vector, rows[i].selector & ~3);
        expect_old_task(k);
    }
    setup(k, 0); /* smallest ones */
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS16, 0x2b, 0x081));
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
}

/* rows: events 10.5, 10.6, 10.7, 10.8, 8.1.4 */
WITH_KIT(checks_of_iret_with_nt)
{
    static const struct {
        uint16_t link, attr;
        uint32_t limit;
        uint8_t vector;
    } rows[] = {
        { TASK32, 0x089, 0x67, EXC_TS }, { TASK32, 0x00b, 0x67, EXC_NP },
        { TASK32, 0x08b, 0x66, EXC_TS }, { TASK32 | 4, 0x08b, 0x67, EXC_TS },
        { GDT_BYTES, 0, 0, EXC_TS },     { 0, 0, 0, EXC_TS },
        { TASK32, 0x082, 0x67, EXC_TS },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(k, 3);
        k->cpu->rflags |= FLAG_NT;
        kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, rows[i].limit, rows[i].attr));
        kit_put(k, TSS_SPA, 2, rows[i].link);
        kit_raised(k, EXEC(k, IRETD), rows[i].vector, rows[i].link & ~3);
        expect_old_task(k);
    }
    setup(k, 3); /* the DPL does not count */
    k->cpu->rflags |= FLAG_NT;
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x08b));
    kit_put(k, TSS_SPA, 2, TASK32);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    expect_new_task32(k);
    ck_assert(!is_busy(k, TSS));
}

/* --- events --- */

/* rows: events 10.3, 10.4, 7.2.3, 7.2.5 */
WITH_KIT(events_switch_through_task_gates)
{
    for (unsigned dpl = 2; dpl < 4; dpl++) { /* INT n at level 3 */
        setup(k, 3);
        kit_gate32(k, VECTOR, TASK32, 0, SYS_TASK_GATE, dpl);
        kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
        enum step step = event_raised(k->cpu);
        if (dpl == 2) {
            modes_delivered(k, step, EXC_GP, VECTOR * 8 + 2);
            continue;
        }
        modes_delivered(k, step, VECTOR, 0);
        expect_new_task32(k);
        ck_assert_uint_eq(old32(k, 0x20, 4), CODE_SPA + 2);
        ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF | FLAG_NT);
        ck_assert_uint_eq(kit_get(k, NEW_TSS, 2), TSS);
    }
    setup(k, 3); /* a hardware event does not look at the DPL */
    kit_gate32(k, VECTOR, TASK32, 0, SYS_TASK_GATE, 0);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    expect_new_task32(k);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], NEW_ESP);
    ck_assert_uint_eq(old32(k, 0x20, 4), CODE_SPA);
    ck_assert_uint_eq(old32(k, 0x24, 4), 2 | FLAG_IF);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP); /* back to level 3 */
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF);
}

/* rows: events 10.27 */
WITH_KIT(error_code_goes_to_the_new_stack)
{
    setup(k, 0);
    kit_gate32(k, EXC_GP, TASK32, 0, SYS_TASK_GATE, 0);
    modes_delivered(k, modes_fault(k, EXC_GP, 0x1234), EXC_GP, 0x1234);
    expect_new_task32(k);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], NEW_ESP - 4);
    ck_assert_uint_eq(kit_get(k, NEW_ESP - 4, 4), 0x1234);
    ck_assert_uint_eq(old32(k, 0x24, 4), 2 | FLAG_RF); /* a fault: RF in the image */
    setup(k, 0);
    kit_gate32(k, EXC_GP, TASK16, 0, SYS_TASK_GATE, 0);
    kit_put(k, NEW_TSS16 + 0x12 + 2 * REG_RSP, 2, 0x9000);
    kit_put(k, NEW_TSS16 + 0x26, 2, DATA16);
    modes_delivered(k, modes_fault(k, EXC_GP, 0x1234), EXC_GP, 0x1234);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xffff8ffe);
    ck_assert_uint_eq(kit_get(k, 0x8ffe, 2), 0x1234);
}

/* rows: events 10.27, 10.16, pitfalls 3.33 */
WITH_KIT(error_code_that_does_not_fit_is_the_new_tasks_ss)
{
    setup(k, 0);
    kit_gate32(k, EXC_GP, TASK32, 0, SYS_TASK_GATE, 0);
    kit_gate32(k, EXC_DF, 0, 0, 0, 0);
    set32(k, 0x50, 2, SMALL);
    set32(k, 0x38, 4, 0x2000);                                   /* beyond its limit */
    ck_assert_int_eq(modes_fault(k, EXC_GP, 0x1234), STEP_STOP); /* #SS in #GP, no #DF */
    ck_assert_uint_eq(k->cpu->r[REG_RIP], NEW_EIP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].selector, TASK32);
}

/* rows: events 10.4, 10.6, 4.6 */
WITH_KIT(task_gate_of_an_event_to_a_busy_task_is_gp_with_ext)
{
    setup(k, 0);
    kit_gate32(k, VECTOR, TSS, 0, SYS_TASK_GATE, 0);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, TSS | 1);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].selector, TSS);
    setup(k, 0); /* and without for INT n */
    kit_gate32(k, VECTOR, TSS, 0, SYS_TASK_GATE, 0);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_GP, TSS);
}

/* --- behind the commit point --- */

/* rows: events 10.16, 10.20, 10.22-10.26, 10.28, pitfalls 3.33 */
WITH_KIT(faults_of_the_new_task)
{
    static const struct {
        uint8_t at; /* of the selector in the TSS */
        uint16_t selector;
        uint8_t vector;
    } rows[] = {
        { 0x60, LDT16 | 4, EXC_TS },  { 0x60, GDT_BYTES, EXC_TS }, { 0x60, DATA0, EXC_TS },
        { 0x60, SPARE, EXC_TS }, /* not present */
        { 0x4c, 0, EXC_TS },          { 0x4c, GDT_BYTES, EXC_TS }, { 0x4c, DATA0, EXC_TS },
        { 0x4c, CODE32 | 3, EXC_TS }, { 0x4c, CODE32_3, EXC_TS },  { 0x4c, CODE_NP, EXC_NP },
        { 0x50, 0, EXC_TS },          { 0x50, GDT_BYTES, EXC_TS }, { 0x50, DATA3, EXC_TS },
        { 0x50, DATA0 | 1, EXC_TS },  { 0x50, READ_ONLY, EXC_TS }, { 0x50, CODE32, EXC_TS },
        { 0x50, DATA_NP, EXC_SS },    { 0x54, GDT_BYTES, EXC_TS }, { 0x48, EXEC_ONLY, EXC_TS },
        { 0x54, TSS, EXC_TS },        { 0x58, DATA0 | 3, EXC_TS }, { 0x5c, DATA_NP, EXC_NP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(k, 3);
        kit_gdt(k, SPARE, kit_descriptor(LDT_SPA, 0xff, 0x002));
        kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x0e9));
        set32(k, rows[i].at, 2, rows[i].selector);
        kit_raised(k, EXEC(k, JMP_TASK32), rows[i].vector, rows[i].selector & ~3);
        struct vcpu *cpu = k->cpu;
        ck_assert_uint_eq(cpu->r[REG_RIP], NEW_EIP); /* saved EIP: the new task's */
        ck_assert_uint_eq(cpu->regs.seg[SEG_TR].selector, TASK32);
        ck_assert_uint_eq(cpu->r[REG_RAX], 0x80000001);
        ck_assert(!is_busy(k, TSS));
        ck_assert(is_busy(k, TASK32));
        ck_assert(cpu->regs.cr0 & CR0_TS);
        for (unsigned s = 0; s < 6; s++) { /* the bad one is not present, all others are */
            bool bad = rows[i].at == data_at[s];
            ck_assert_uint_eq(cpu->regs.seg[s].selector, bad           ? rows[i].selector
                                                         : s == SEG_CS ? CODE32
                                                                       : DATA0);
            bool follows = rows[i].at == 0x4c && cpu->regs.cpl != 0; /* levels do not agree */
            if (!follows)
                ck_assert_int_eq((cpu->regs.seg[s].attr & SEG_ATTR_P) != 0, !bad);
        }
    }
    setup(k, 0);
    kit_gdt(k, SPARE, kit_descriptor(0, NEW_EIP - 1, 0x49b));
    set32(k, 0x4c, 2, SPARE);
    kit_raised(k, EXEC(k, JMP_TASK32), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], NEW_EIP);
}

/* The handler of a bad DS runs on the new task's stack. rows: events 10.16, pitfalls 3.33 */
WITH_KIT(fault_of_the_new_task_is_delivered_there)
{
    setup(k, 0);
    set32(k, 0x54, 2, DATA_NP);
    kit_raised(k, EXEC(k, CALL_TASK32), EXC_NP, DATA_NP);
    modes_delivered(k, event_raised(k->cpu), EXC_NP, DATA_NP);
    ck_assert_uint_eq(kit_get(k, NEW_ESP - 12, 4), NEW_EIP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], NEW_ESP - 16);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
}

/* rows: events 10.20, 10.26 */
WITH_KIT(null_ldt_and_data_selectors_are_fine)
{
    setup(k, 0);
    set32(k, 0x60, 2, 0);
    for (unsigned s = 0; s < 6; s++)
        if (s != SEG_CS && s != SEG_SS)
            set32(k, data_at[s], 2, s & 3);
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_LDTR].attr, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].attr, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].selector, SEG_GS & 3);
}

/* Selectors of the new task use the new LDT; accessed bits are set. rows: events 10.20, 10.22 */
WITH_KIT(segments_may_come_from_the_new_ldt)
{
    setup(k, 0);
    kit_put(k, LDT_SPA + 8, 8, kit_descriptor(0, 0xfffff, 0xcfa));
    kit_put(k, LDT_SPA + 16, 8, kit_descriptor(0, 0xfffff, 0xcf2));
    set32(k, 0x4c, 2, 0x0f);
    set32(k, 0x50, 2, 0x17);
    for (unsigned s = 0; s < 6; s++)
        if (s != SEG_CS && s != SEG_SS)
            set32(k, data_at[s], 2, 0);
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].attr, 0xcfb);
    ck_assert_uint_eq(kit_get(k, LDT_SPA + 8 + 5, 1), 0xfb);
    ck_assert_uint_eq(kit_get(k, LDT_SPA + 16 + 5, 1), 0xf3);
}

/* rows: events 10.21, 8.3.6 */
WITH_KIT(task_of_virtual_8086_mode)
{
    setup(k, 0);
    set32(k, 0x24, 4, FLAG_VM | FLAG_IF | 2);
    set32(k, 0x20, 4, 0x1234);
    for (unsigned s = 0; s < 6; s++)
        set32(k, data_at[s], 2, 0x6001 + 0x100 * s);
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_V86);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
    for (unsigned s = 0; s < 6; s++) {
        ck_assert_uint_eq(k->cpu->regs.seg[s].base, (0x6001 + 0x100 * s) << 4);
        ck_assert_uint_eq(k->cpu->regs.seg[s].limit, 0xffff);
        ck_assert_uint_eq(k->cpu->regs.seg[s].attr, 0x0f3);
    }
    setup(k, 0); /* its IP has 16 bits */
    set32(k, 0x24, 4, FLAG_VM | 2);
    set32(k, 0x20, 4, 0x10000);
    kit_raised(k, EXEC(k, JMP_TASK32), EXC_GP, 0);
}

/* rows: events 10.29, pitfalls 3.34 */
WITH_KIT(trap_bit_is_a_debug_trap_before_the_first_instruction)
{
    for (unsigned event = 0; event < 2; event++) {
        setup(k, 0);
        set32(k, 0x64, 1, 1);
        k->cpu->regs.dr[6] = 0xffff0ff0;
        if (event) {
            kit_gate32(k, VECTOR, TASK32, 0, SYS_TASK_GATE, 0);
            modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
        } else {
            ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
        }
        ck_assert_uint_eq(k->cpu->r[REG_RIP], NEW_EIP);
        modes_delivered(k, event_boundary(k->cpu), EXC_DB, 0);
        ck_assert_uint_eq(k->cpu->regs.dr[6], 0xffff0ff0 | DR6_BT);
        ck_assert_uint_eq(kit_get(k, NEW_ESP - 12, 4), NEW_EIP);
    }
    setup(k, 0); /* a 16-bit TSS has none */
    kit_put(k, NEW_TSS16 + 0x64, 1, 1);
    ck_assert_int_eq(EXEC(k, JMP_TASK16), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->traps, 0);
}

/* --- memory --- */

/* Paging of 32 bits: the identity by 4 MiB pages, but for 4-8 MiB, whose small pages are kit_page()'s. */
static void start_paging(struct kit *k, uint32_t pd)
{
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, pd + 4 * i, 4, (uint64_t)i << 22 | 0x87);
    kit_put(k, pd + 4, 4, 0x65007);
    for (unsigned i = 0; i < 1024; i++)
        kit_put(k, 0x65000 + 4 * i, 4, PAGED_LA + (i << 12) + 7);
    k->cpu->regs.cr3 = pd;
    k->cpu->regs.cr4 = CR4_PSE;
    k->cpu->regs.cr0 |= CR0_PG;
    cpu_update_mode(k->cpu);
    paging_flush_all(k->cpu->paging);
}

/* rows: events 10.19, pitfalls 3.32 */
WITH_KIT(cr3_is_loaded_with_paging_only)
{
    setup(k, 0);
    uint64_t cr3 = k->cpu->regs.cr3;
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cr3, cr3);
    setup(k, 0);
    start_paging(k, LEGACY_PD);
    start_paging(k, LEGACY_PD + 0x2000);
    set32(k, 0x1c, 4, LEGACY_PD);
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cr3, LEGACY_PD);
    setup(k, 0); /* not by a 16-bit TSS */
    start_paging(k, LEGACY_PD + 0x2000);
    ck_assert_int_eq(EXEC(k, JMP_TASK16), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cr3, LEGACY_PD + 0x2000);
}

/* rows: events 10.10, pitfalls 3.33 */
WITH_KIT(page_faults_before_the_commit_change_nothing)
{
    enum { OLD = PAGED_LA + 0xfc0, NEW = PAGED_LA + 0x2fe0 }; /* both cross pages */
    static const struct {
        uint8_t page, pte;
        bool faults;
        uint32_t cr2, code;
    } rows[] = {
        { 0, 7, false, 0, 0 },
        { 0, 0, true, OLD + 0x20, PF_RW },
        { 1, 5, true, PAGED_LA + 0x1000, PF_RW | PF_P },
        { 2, 0, true, NEW, 0 },
        { 3, 0, true, PAGED_LA + 0x3000, 0 },
        { 2, 5, true, NEW, PF_RW | PF_P }, /* the link is written */
        { 3, 5, false, 0, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(k, 0);
        start_paging(k, LEGACY_PD);
        set32(k, 0x1c, 4, LEGACY_PD);
        for (unsigned at = 0; at < 0x68; at += 4)
            kit_put(k, NEW + at, 4, kit_get(k, NEW_TSS + at, 4));
        kit_gdt(k, TASK32, kit_descriptor(NEW, 0x67, 0x089));
        k->cpu->regs.seg[SEG_TR].base = OLD;
        kit_put(k, OLD + 0x20, 4, 0);
        kit_put(k, 0x65000 + 4 * rows[i].page, 1, rows[i].pte);
        enum step step = EXEC(k, CALL_TASK32);
        if (!rows[i].faults) {
            ck_assert_int_eq(step, STEP_JUMP);
            continue;
        }
        kit_raised(k, step, EXC_PF, (int)rows[i].code);
        ck_assert_uint_eq(k->cpu->raised.cr2, rows[i].cr2);
        expect_old_task(k);
        ck_assert(!is_busy(k, TASK32));
        ck_assert_uint_eq(kit_get(k, OLD + 0x20, 4), 0);
    }
}

/* rows: events 10.10 */
WITH_KIT(old_tss_must_hold_the_state)
{
    setup(k, 0);
    k->cpu->regs.seg[SEG_TR].limit = 0x5c;
    kit_raised(k, EXEC(k, JMP_TASK32), EXC_TS, TSS);
    expect_old_task(k);
    k->cpu->regs.seg[SEG_TR].limit = 0x5d;
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    setup(k, 0);
    k->cpu->regs.seg[SEG_TR].attr = 0x083;
    k->cpu->regs.seg[SEG_TR].limit = 0x28;
    kit_raised(k, EXEC(k, JMP_TASK32), EXC_TS, TSS);
    k->cpu->regs.seg[SEG_TR].limit = 0x29;
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
}

/* --- long mode and AMD-V --- */

/* rows: pitfalls 3.30, events 8.1.5 */
WITH_KIT(long_mode_has_no_task_switches)
{
    kit_mode(k, MODE_COMPAT32, 0);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x089));
    kit_raised(k, EXEC(k, JMP_TASK32), EXC_GP, TASK32);
    modes_gate(k, TASK_GATE, SYS_TASK_GATE, 0, TASK32, 0, 0);
    kit_raised(k, EXEC(k, JMP_GATE), EXC_GP, TASK_GATE);
    kit_gate64(k, IDT_SPA + 16 * VECTOR, TASK32, 0, SYS_TASK_GATE, 0, 0);
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_GP);
    ck_assert_uint_eq(k->delivered.b, VECTOR * 8 + 3);
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->rflags |= FLAG_NT;
    kit_raised(k, EXEC(k, IRETD), EXC_GP, 0);
}

/* kit_guest() does not carry TR. */
static void setup_guest(struct kit *k)
{
    setup(k, 0);
    kit_guest(k);
    kit_load_segment(k, SEG_TR, TSS);
    for (unsigned i = 0; i < 8; i++)
        if (i != REG_RSP)
            k->cpu->r[i] = 0x10000 + i;
}

static void expect_task_exit(struct kit *k, enum step step, uint64_t info2, uint64_t intinfo)
{
    kit_exited(k, step, VMEXIT_TASK_SWITCH, TASK32, info2, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), intinfo);
    ck_assert(is_busy(k, TSS));
    ck_assert(!is_busy(k, TASK32));
    ck_assert_uint_eq(old32(k, 0x20, 4), 0);
}

/* rows: events 10.9, exit 2.30 */
WITH_KIT(intercept_comes_behind_the_checks_of_the_descriptor)
{
    setup_guest(k);
    kit_intercept(k, INTERCEPT_TASK_SWITCH);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x66, 0x089));
    kit_raised(k, EXEC(k, JMP_TASK32), EXC_TS, TASK32);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x089));
    k->cpu->regs.seg[SEG_TR].limit = 0; /* would be #TS */
    expect_task_exit(k, EXEC(k, JMP_TASK32), 1ull << 38, 0);
    setup_guest(k);
    kit_intercept(k, INTERCEPT_TASK_SWITCH);
    expect_task_exit(k, EXEC(k, CALL_TASK32), 0, 0);
}

/* rows: events 10.9 */
WITH_KIT(intercept_of_iret_and_events)
{
    setup_guest(k);
    kit_intercept(k, INTERCEPT_TASK_SWITCH);
    k->cpu->rflags |= FLAG_NT;
    kit_put(k, TSS_SPA, 2, TASK32);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x08b));
    kit_exited(k, EXEC(k, IRETD), VMEXIT_TASK_SWITCH, TASK32, 1ull << 36, 0);

    setup_guest(k);
    kit_intercept(k, INTERCEPT_TASK_SWITCH);
    kit_gate32(k, EXC_GP, TASK32, 0, SYS_TASK_GATE, 0);
    expect_task_exit(k, modes_fault(k, EXC_GP, 0x1234), 1ull << 48 | 1ull << 44 | 0x1234,
                     0x1234ull << 32 | 1u << 31 | 1u << 11 | 3u << 8 | EXC_GP);

    setup_guest(k); /* INT n: RIP is that of the instruction */
    kit_intercept(k, INTERCEPT_TASK_SWITCH);
    kit_gate32(k, VECTOR, TASK32, 0, SYS_TASK_GATE, 0);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    expect_task_exit(k, event_raised(k->cpu), 0, 1u << 31 | 4u << 8 | VECTOR);
}

/* Behind the commit point an intercepted fault finds the new task in the VMCB, and the event that switched in EXITINTINFO; in front
 * of it the old task. */
/* rows: exit 4.8, 5.1, 5.8, 5.9 */
WITH_KIT(intercepted_fault_in_the_task_switch_of_an_event)
{
    setup_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_NP);
    kit_gate32(k, VECTOR, TASK32, 0, SYS_TASK_GATE, 0);
    set32(k, 0x54, 2, DATA_NP); /* DS */
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP11);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), DATA_NP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 1u << 31 | 4u << 8 | VECTOR);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), NEW_EIP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), NEW_ESP);

    setup_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_TS);
    kit_gate32(k, EXC_GP, TASK32, 0, SYS_TASK_GATE, 0);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x66, 0x089)); /* too short */
    kit_exited(k, modes_fault(k, EXC_GP, 0x1234), VMEXIT_EXCP0 + EXC_TS, TASK32 | 1, 0, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO),
                      0x1234ull << 32 | 1u << 31 | 1u << 11 | 3u << 8 | EXC_GP);
}

/* A nested page fault behind the commit point is not the guest's: the switch is taken back, and made again. */
/* rows: exit 6.5 */
WITH_KIT(nested_page_fault_takes_the_switch_back)
{
    for (unsigned jmp = 0; jmp < 2; jmp++) {
        setup_guest(k);
        struct vcpu *cpu = k->cpu;
        kit_gdt(k, LDT16, kit_descriptor(PAGED_LA, 0xff, 0x082));
        set32(k, 0x54, 2, 0x0c); /* DS: its descriptor is in the LDT */
        kit_put(k, PAGED_LA + 8, 8, kit_descriptor(0, 0xfffff, 0xc93));
        cpu->svm->nested_paging = true;
        cpu->svm->host_regime = (struct walk_regime){ .mode = WALK_4LEVEL,
                                                      .root = PML4_SPA,
                                                      .nxe = true,
                                                      .wp = true,
                                                      .cpl = 3,
                                                      .maxphyaddr = CPU_MAXPHYADDR };
        cpu_update_mode(cpu);
        kit_page(k, 0, 0);
        struct cpu_regs before = cpu->regs;
        enum step step = jmp ? EXEC(k, JMP_TASK32) : EXEC(k, CALL_TASK32);
        ck_assert_int_eq(step, STEP_RAISED);
        ck_assert(cpu->raised.npf);
        ck_assert_uint_eq(cpu->raised.info2, PAGED_LA + 8);
        ck_assert_mem_eq(&cpu->regs, &before, sizeof(before));
        ck_assert_uint_eq(cpu->r[REG_RIP], CODE_SPA);
        ck_assert_uint_eq(cpu->r[REG_RAX], 0x10000);
        ck_assert_uint_eq(cpu->rflags, 2);
        ck_assert(is_busy(k, TSS));
        ck_assert(!is_busy(k, TASK32));
        kit_page(k, 0, PAGED_LA | 7);
        ck_assert_int_eq(jmp ? EXEC(k, JMP_TASK32) : EXEC(k, CALL_TASK32), STEP_JUMP);
        ck_assert_uint_eq(cpu->regs.seg[SEG_DS].selector, 0x0c);
        ck_assert_uint_eq(old32(k, 0x20, 4), CODE_SPA + 7);
        ck_assert_int_eq(is_busy(k, TSS), !jmp);
        cpu->svm->guest = false; /* for kit_guest(): a host again */
        cpu->svm->nested_paging = false;
        cpu->svm->asid = 0;
        memset(cpu->svm->intercept, 0, sizeof(cpu->svm->intercept));
    }
}

CHECK_MAIN("task", jmp_to_a_tss_saves_and_loads_everything, call_nests_and_iret_returns,
           tasks_of_16_bits, privileges_of_jmp_and_call, checks_of_the_tss_descriptor,
           checks_of_iret_with_nt, events_switch_through_task_gates,
           error_code_goes_to_the_new_stack, error_code_that_does_not_fit_is_the_new_tasks_ss,
           task_gate_of_an_event_to_a_busy_task_is_gp_with_ext, faults_of_the_new_task,
           fault_of_the_new_task_is_delivered_there, null_ldt_and_data_selectors_are_fine,
           segments_may_come_from_the_new_ldt, task_of_virtual_8086_mode,
           trap_bit_is_a_debug_trap_before_the_first_instruction, cr3_is_loaded_with_paging_only,
           page_faults_before_the_commit_change_nothing, old_tss_must_hold_the_state,
           long_mode_has_no_task_switches, intercept_comes_behind_the_checks_of_the_descriptor,
           intercept_of_iret_and_events, intercepted_fault_in_the_task_switch_of_an_event,
           nested_page_fault_takes_the_switch_back)

/* Delivery through the IDT, rule by rule: APM vol 2, 8.7 and 8.9. */
#include "tests/cpu/kit.h"

#define VECTOR 0x21u
#define GATE_AT (IDT_SPA + 16 * VECTOR)

/* Take an external interrupt at the boundary. */
static enum step take_intr(struct kit *k, unsigned vector)
{
    k->cpu->rflags |= FLAG_IF;
    k->pending = (int)vector;
    return event_boundary(k->cpu);
}

static enum step take_fault(struct kit *k, enum exception vector, int code)
{
    enum step step =
        code < 0 ? cpu_raise(k->cpu, vector) : cpu_raise_code(k->cpu, vector, (uint32_t)code);
    ck_assert_int_eq(step, STEP_RAISED);
    return event_raised(k->cpu);
}

/* After a failed delivery of an interrupt the fault itself is delivered: which one, with which code? */
static void expect_fault(struct kit *k, enum step step, unsigned vector, unsigned code)
{
    ck_assert_int_eq(step, STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, vector);
    ck_assert_uint_eq(k->delivered.b, code);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER + 16 * vector);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), code);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA);
}

#define CODE_VEC(v) ((v)*8 + 2)

/* rows: events 7.4.11, 7.4.12, pitfalls 3.11 */
WITH_KIT(long_frame_has_ss_rsp_rflags_cs_rip)
{
    struct vcpu *cpu = k->cpu;
    cpu->r[REG_RSP] = STACK_TOP - 3;
    cpu->rflags |= FLAG_CF | FLAG_NT;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    uint64_t rsp = cpu->r[REG_RSP];
    ck_assert_uint_eq(rsp, ((STACK_TOP - 3) & ~0xful) - 40); /* aligned before the pushes */
    ck_assert_uint_eq(kit_get(k, rsp, 8), CODE_SPA);
    ck_assert_uint_eq(kit_get(k, rsp + 8, 8), CODE64);
    ck_assert_uint_eq(kit_get(k, rsp + 16, 8), FLAG_IF | FLAG_CF | FLAG_NT | 2);
    ck_assert_uint_eq(kit_get(k, rsp + 24, 8), STACK_TOP - 3);
    ck_assert_uint_eq(kit_get(k, rsp + 32, 8), DATA0);
    ck_assert_uint_eq(cpu->r[REG_RIP], HANDLER + 16 * VECTOR);
    ck_assert_uint_eq(cpu->regs.seg[SEG_SS].selector, DATA0); /* same level: SS stays */
    ck_assert_uint_eq(k->acks, 1);
    ck_assert_uint_eq(cpu->extra_steps, 1);
    ck_assert(!cpu->delivering.valid);
}

/* rows: events 7.4.15 */
WITH_KIT(interrupt_gate_clears_if_tf_nt_rf)
{
    k->cpu->rflags |= FLAG_TF | FLAG_NT | FLAG_RF;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, 2);
}

/* rows: events 7.4.15 */
WITH_KIT(trap_gate_keeps_if)
{
    kit_idt(k, VECTOR, 15, 0, 0);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF);
}

/* rows: events 7.4.12 */
WITH_KIT(error_code_is_pushed_last)
{
    ck_assert_int_eq(take_fault(k, EXC_GP, 0x1234), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 48);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 48, 8), 0x1234);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 40, 8), CODE_SPA);
}

WITH_KIT(faults_push_rf_set_and_debug_clear)
{
    ck_assert_int_eq(take_fault(k, EXC_UD, NO_CODE), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 24, 8), 2 | FLAG_RF);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->rflags |= FLAG_RF;
    ck_assert_int_eq(cpu_raise_debug(k->cpu, DR6_BS), STEP_RAISED);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 24, 8), 2);
}

/* rows: events 7.4.1, 4.1, 4.6, pitfalls 3.12 */
WITH_KIT(vector_beyond_the_idt_is_gp)
{
    k->cpu->regs.idtr.limit = 16 * VECTOR + 14;
    expect_fault(k, take_intr(k, VECTOR), EXC_GP, CODE_VEC(VECTOR) | 1);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->regs.idtr.limit = 16 * VECTOR + 15;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
}

/* rows: events 7.4.2, pitfalls 3.30 */
WITH_KIT(gate_type_must_be_14_or_15)
{
    for (unsigned type = 0; type < 32; type++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_idt(k, VECTOR, type, 0, 0);
        enum step step = take_intr(k, VECTOR);
        if (type == 14 || type == 15)
            ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
        else
            expect_fault(k, step, EXC_GP, CODE_VEC(VECTOR) | 1);
    }
}

/* rows: events 7.4.4, 4.6, pitfalls 10.7, 3.12 */
WITH_KIT(software_interrupt_needs_gate_dpl)
{
    for (unsigned dpl = 0; dpl < 4; dpl++) {
        kit_mode(k, MODE_LONG64, 3);
        kit_idt(k, VECTOR, 14, dpl, 0);
        kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
        enum step step = event_raised(k->cpu);
        if (dpl == 3) {
            ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
            ck_assert_uint_eq(kit_get(k, RSP0_TOP - 40, 8), CODE_SPA + 2); /* after the INT */
        } else {                                                           /* EXT = 0 */
            expect_fault(k, step, EXC_GP, CODE_VEC(VECTOR));
        }
    }
}

/* rows: events 7.4.4, pitfalls 10.7 */
WITH_KIT(int3_needs_gate_dpl_icebp_does_not)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, EXEC(k, "\xcc"), EXC_BP, NO_CODE);
    expect_fault(k, event_raised(k->cpu), EXC_GP, CODE_VEC(3));
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, EXEC(k, "\xf1"), EXC_DB, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 40, 8), CODE_SPA + 1);
    ck_assert_uint_eq(k->cpu->regs.dr[6], 0xffff0ff0); /* ICEBP leaves DR6 alone */
}

/* rows: events 7.4.3 */
WITH_KIT(type_bits_of_the_last_dword_are_not_checked)
{
    kit_put(k, GATE_AT + 13, 1, 0x1f);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
}

/* rows: events 7.4.5 */
WITH_KIT(gate_not_present_is_np)
{
    kit_put(k, GATE_AT + 5, 1, 0x0e);
    expect_fault(k, take_intr(k, VECTOR), EXC_NP, CODE_VEC(VECTOR) | 1);
}

static void gate_selector(struct kit *k, uint16_t selector)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_gate64(k, GATE_AT, selector, HANDLER + 16 * VECTOR, 14, 0, 0);
}

/* rows: events 7.4.6, 7.4.7, 7.4.8, pitfalls 3.12 */
WITH_KIT(gate_code_segment_is_checked)
{
    static const struct {
        uint16_t selector;
        uint8_t vector;
        uint16_t code;
    } rows[] = {
        { 0, EXC_GP, 1 },
        { 3, EXC_GP, 1 }, /* null with RPL */
        { GDT_BYTES, EXC_GP, GDT_BYTES | 1 },
        { CODE64 | 4, EXC_GP, CODE64 | 4 | 1 }, /* LDT is null */
        { DATA0, EXC_GP, DATA0 | 1 },
        { TSS, EXC_GP, TSS | 1 },
        { CODE64_3, EXC_GP, CODE64_3 | 1 }, /* DPL > CPL */
        { CODE32, EXC_GP, CODE32 | 1 },     /* L = 0 */
        { CODE_LD, EXC_GP, CODE_LD | 1 },
        { CODE_NP, EXC_NP, CODE_NP | 1 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        gate_selector(k, rows[i].selector);
        expect_fault(k, take_intr(k, VECTOR), rows[i].vector, rows[i].code);
    }
    gate_selector(k, CONFORMING);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
}

/* rows: events 7.4.9, 7.4.10, 7.4.14, pitfalls 3.11 */
WITH_KIT(inner_level_takes_rsp_from_the_tss)
{
    kit_mode(k, MODE_LONG64, 3);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], RSP0_TOP - 40);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 8, 8), DATA3 | 3);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 16, 8), STACK_TOP);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 32, 8), CODE64_3 | 3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, 0); /* null, RPL = new CPL */
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].attr & SEG_ATTR_P, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE64);
}

/* rows: events 7.4.10, 7.4.14 */
WITH_KIT(inner_level_one_uses_rsp1_and_null_ss_rpl_1)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_gate64(k, GATE_AT, CODE64_1, HANDLER, 14, 0, 0);
    kit_put(k, TSS_SPA + 12, 8, RSP0_TOP + 0x100);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], RSP0_TOP + 0x100 - 40);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, 1);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE64_1 | 1);
}

/* rows: events 7.4.9 */
WITH_KIT(conforming_handler_keeps_cpl_and_stack)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_gate64(k, GATE_AT, CONFORMING, HANDLER, 14, 0, 0);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 40);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CONFORMING | 3);
}

/* rows: events 7.4.10, 7.4.11, 7.4.14, pitfalls 3.11 */
WITH_KIT(ist_is_used_at_the_same_level_too)
{
    kit_idt(k, VECTOR, 14, 0, 1);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], (IST1_TOP & ~0xful) - 40);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA0); /* SS stays */
}

/* rows: events 7.4.10 */
WITH_KIT(stack_field_beyond_the_tss_is_ts)
{
    kit_idt(k, VECTOR, 14, 0, 7);
    k->cpu->regs.seg[SEG_TR].limit = 0x24 + 8 * 6 + 6;
    expect_fault(k, take_intr(k, VECTOR), EXC_TS, TSS | 1);
    kit_mode(k, MODE_LONG64, 0);
    kit_put(k, TSS_SPA + 0x24 + 48, 8, STACK_TOP);
    k->cpu->regs.seg[SEG_TR].limit = 0x24 + 8 * 6 + 7;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
}

/* rows: events 7.4.10, 7.4.12, pitfalls 3.5 */
WITH_KIT(non_canonical_stack_is_ss)
{
    kit_idt(k, VECTOR, 14, 0, 2);
    kit_put(k, TSS_SPA + 0x2c, 8, NONCANON);
    expect_fault(k, take_intr(k, VECTOR), EXC_SS, 1);
    kit_mode(k, MODE_LONG64, 0);
    kit_put(k, TSS_SPA + 0x2c, 8, 0xffff800000000010); /* the frame would cross the hole */
    expect_fault(k, take_intr(k, VECTOR), EXC_SS, 1);
}

/* rows: events 7.4.13 */
WITH_KIT(non_canonical_handler_is_gp)
{
    kit_gate64(k, GATE_AT, CODE64, NONCANON, 14, 0, 0);
    expect_fault(k, take_intr(k, VECTOR), EXC_GP, 1);
}

/* rows: events 2.8, 7.4.12, pitfalls 10.4 */
WITH_KIT(stack_page_fault_writes_nothing)
{
    /* The frame crosses into page 0 of the paged area, which is not present: nothing of it counts. */
    k->cpu->r[REG_RSP] = PAGED_LA + 0x1010;
    kit_page(k, 0, 0);
    kit_put(k, PAGED_LA + 0x1000, 8, 0x5a5a);
    kit_idt(k, EXC_PF, 14, 0, 1);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(k->delivered.b, PF_RW);
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0xff8); /* the first push there */
    ck_assert_uint_eq(kit_get(k, PAGED_LA + 0x1000, 8), 0x5a5a);
    uint64_t rsp = k->cpu->r[REG_RSP];
    ck_assert_uint_eq(kit_get(k, rsp + 32, 8), PAGED_LA + 0x1010); /* RSP of before */
}

/* rows: events 4.8 */
WITH_KIT(inner_stack_is_a_supervisor_access)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_page(k, 0, PAGED_LA | 3); /* supervisor only */
    kit_put(k, TSS_SPA + 4, 8, PAGED_LA + 0x800);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, VECTOR);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], PAGED_LA + 0x800 - 40);
}

/* SMAP: the pushes are explicit accesses of the new level, with AC as it was; the tables are not. */
WITH_KIT(ac_opens_user_stacks_to_the_pushes)
{
    for (unsigned inner = 0; inner < 2; inner++)
        for (unsigned ac = 0; ac < 2; ac++) {
            kit_mode(k, MODE_LONG64, inner ? 3 : 0);
            k->cpu->regs.cr4 |= CR4_SMAP;
            kit_put(k, 0x3000, 8, 0x83); /* tables in supervisor pages */
            kit_put(k, TSS_SPA + 4, 8, PAGED_LA + 0x800);
            kit_put(k, TSS_SPA + 0x24, 8, 0x1ff000);
            kit_idt(k, EXC_PF, 14, 0, 1);
            k->cpu->r[REG_RSP] = PAGED_LA + 0x800;
            cpu_set_rflags(k->cpu, ac ? FLAG_AC : 0);
            paging_flush_all(k->cpu->paging);
            ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
            ck_assert_uint_eq(k->delivered.a & 0xff, ac ? VECTOR : EXC_PF);
            ck_assert_uint_eq(k->cpu->regs.cpl, 0);
            if (ac)
                ck_assert_uint_eq(k->cpu->r[REG_RSP], PAGED_LA + 0x800 - 40);
            else
                ck_assert_uint_eq(k->delivered.b, PF_P | PF_RW);
        }
}

/* rows: events 3.2.9 */
WITH_KIT(cr2_is_the_first_push_that_fails)
{
    k->cpu->r[REG_RSP] = PAGED_LA + 0x1010; /* neither page is there: the upper one comes first */
    kit_page(k, 0, 0);
    kit_page(k, 1, 0);
    kit_idt(k, EXC_PF, 14, 0, 1);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x1008);
}

/* rows: events 13.9 */
WITH_KIT(delivery_sets_accessed_bit_of_cs)
{
    kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xa9a));
    kit_gate64(k, GATE_AT, FREE, HANDLER, 14, 0, 0);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 0xff, 0x9b);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].attr, 0xa9b);
}

/* rows: events 7.4.9 */
WITH_KIT(delivery_from_compatibility_mode_enters_64_bit_code)
{
    kit_mode(k, MODE_COMPAT32, 3);
    k->cpu->r[REG_RSP] = 0xffffffff00000000 | STACK_TOP;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_int_eq(k->cpu->mode, MODE_LONG64);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 32, 8), CODE32_3 | 3);
}

WITH_KIT(delivery_from_compatibility_mode_to_level_3_uses_the_whole_rsp)
{
    kit_mode(k, MODE_COMPAT32, 3);
    kit_put(k, PML4_SPA + 8 * 256, 8, 0x200007); /* FFFF_8000_0000_0000h: user pages at 8 MiB */
    kit_put(k, 0x200000, 8, 0x201007);
    kit_put(k, 0x201000, 8, 0x800087);
    kit_put(k, TSS_SPA + 0x24, 8, 0xffff800000030000);
    kit_gate64(k, GATE_AT, CODE64_3, HANDLER, 14, 3, 1);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xffff80000002ffd8);
    ck_assert_uint_eq(kit_get(k, 0x82ffe0, 8), CODE32_3 | 3);
}

/* rows: events 1.15 */
WITH_KIT(page_fault_writes_cr2)
{
    ck_assert_int_eq(cpu_raise_page_fault(k->cpu, 0x123456, PF_US), STEP_RAISED);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cr2, 0x123456);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 48, 8), PF_US);
}

WITH_KIT(debug_exception_updates_dr6_and_dr7)
{
    k->cpu->regs.dr[6] = 0xffff0ff0 | 0x800f;
    k->cpu->regs.dr[7] = 0x400 | DR7_GD;
    ck_assert_int_eq(cpu_raise_debug(k->cpu, DR6_BS), STEP_RAISED);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.dr[6], 0xffff0ff0 | 0x8000 | DR6_BS); /* B3-B0 anew, BT stays */
    ck_assert_uint_eq(k->cpu->regs.dr[7], 0x400);
}

/* --- legacy --- */

static void mode32(struct kit *k, unsigned cpl)
{
    kit_mode(k, MODE_PROT32, cpl);
    for (unsigned v = 0; v < 64; v++)
        kit_gate32(k, v, CODE32, HANDLER + 16 * v, 14, 0);
    memset(memory_ptr(k->memory, TSS_SPA, 0x68), 0, 0x60);
    kit_put(k, TSS_SPA + 4, 4, RSP0_TOP);
    kit_put(k, TSS_SPA + 8, 2, DATA0);
}

/* rows: events 7.2.14, 7.2.11 */
WITH_KIT(legacy_same_level_pushes_three_words)
{
    mode32(k, 0);
    k->cpu->rflags |= FLAG_CF;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 12);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 12, 4), CODE_SPA);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 4), CODE32);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 4, 4), 2 | FLAG_IF | FLAG_CF);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER + 16 * VECTOR);
}

/* rows: events 7.2.14 */
WITH_KIT(legacy_16_bit_gate_pushes_2_byte_slots)
{
    mode32(k, 0);
    kit_gate32(k, EXC_GP, CODE32, 0x12345678, 6, 0);
    ck_assert_int_eq(take_fault(k, EXC_GP, 0x18), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 8);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 2), 0x18);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 6, 2), CODE_SPA & 0xffff);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x5678);
}

/* rows: events 7.2.11, 7.2.14, 7.2.15 */
WITH_KIT(legacy_inner_level_switches_stacks)
{
    mode32(k, 3);
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], RSP0_TOP - 20);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 4, 4), DATA3 | 3);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 8, 4), STACK_TOP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA0);
}

static void expect_legacy_fault(struct kit *k, enum step step, unsigned vector, unsigned code)
{
    ck_assert_int_eq(step, STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, vector);
    ck_assert_uint_eq(k->delivered.b, code);
}

/* rows: events 7.3.2, 7.3.3, 7.3.4, pitfalls 10.5 */
WITH_KIT(legacy_inner_stack_selector_is_checked)
{
    static const struct {
        uint16_t selector;
        uint8_t vector;
        uint16_t code;
    } rows[] = {
        { 0, EXC_TS, 1 },
        { GDT_BYTES, EXC_TS, GDT_BYTES | 1 },
        { DATA0 | 3, EXC_TS, DATA0 | 1 }, /* RPL */
        { DATA3, EXC_TS, DATA3 | 1 },     /* DPL */
        { READ_ONLY, EXC_TS, READ_ONLY | 1 },
        { CODE32, EXC_TS, CODE32 | 1 },
        { DATA_NP, EXC_SS, DATA_NP | 1 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode32(k, 3);
        kit_put(k, TSS_SPA + 8, 2, rows[i].selector);
        /* The fault's own handler is conforming, so that it needs no inner stack. */
        kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xc9f));
        kit_gate32(k, rows[i].vector, FREE, HANDLER, 14, 0);
        expect_legacy_fault(k, take_intr(k, VECTOR), rows[i].vector, rows[i].code);
    }
}

/* rows: events 7.3.1, pitfalls 10.5 */
WITH_KIT(legacy_tss_limit_is_checked)
{
    mode32(k, 3);
    kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xc9f));
    kit_gate32(k, EXC_TS, FREE, HANDLER, 14, 0);
    k->cpu->regs.seg[SEG_TR].limit = 8; /* SS0 ends at 9 */
    expect_legacy_fault(k, take_intr(k, VECTOR), EXC_TS, TSS | 1);
    mode32(k, 3);
    k->cpu->regs.seg[SEG_TR].limit = 9;
    expect_legacy_fault(k, take_intr(k, VECTOR), VECTOR, 0);
}

/* rows: events 7.2.13 */
WITH_KIT(legacy_stack_limit_is_checked)
{
    mode32(k, 0);
    kit_load_segment(k, SEG_SS, SMALL);
    k->cpu->r[REG_RSP] = 0x2000; /* beyond the limit of 0xfff */
    ck_assert_int_eq(take_intr(k, VECTOR),
                     STEP_STOP); /* #SS, #DF and its handler have no stack either */
    ck_assert_int_eq(k->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
    mode32(k, 0);
    kit_load_segment(k, SEG_SS, SMALL);
    k->cpu->r[REG_RSP] = 0x1000;
    ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x1000 - 12);
}

/* rows: events 7.2.12 */
WITH_KIT(legacy_offset_beyond_cs_limit_is_gp)
{
    mode32(k, 0);
    kit_gdt(k, FREE, kit_descriptor(0, 0x5ffff, 0x49b));
    kit_gate32(k, VECTOR, FREE, 0x60000, 14, 0);
    expect_legacy_fault(k, take_intr(k, VECTOR), EXC_GP, 1);
    mode32(k, 0);
    kit_gate32(k, VECTOR, FREE, 0x5ffff, 14, 0);
    expect_legacy_fault(k, take_intr(k, VECTOR), VECTOR, 0);
}

/* #AC is benign, whatever is being delivered: a processor never gets out of this. The second time #AC alternates with the
 * #NP of its own gate. */
/* rows: events 2.6 */
WITH_KIT(alignment_checks_that_are_delivered_for_ever_stop_the_machine)
{
    for (unsigned i = 0; i < 2; i++) {
        mode32(k, 3);
        kit_gate32(k, i ? EXC_NP : EXC_AC, CODE32_3, HANDLER, 14, 3);
        kit_gate32(k, VECTOR, CODE32_3, HANDLER, 14, 3);
        if (i)
            kit_put(k, IDT_SPA + 8 * EXC_AC + 5, 1, 0x6e); /* not present */
        k->cpu->regs.cr0 |= CR0_AM;
        cpu_set_rflags(k->cpu, FLAG_AC);
        ck_assert_int_eq(take_intr(k, VECTOR), STEP_JUMP);
        k->cpu->r[REG_RSP] = STACK_TOP - 2;
        ck_assert_int_eq(take_intr(k, VECTOR), STEP_STOP);
        ck_assert_int_eq(k->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
        ck_assert_ptr_nonnull(strstr(k->cpu->stop.text, "for ever"));
    }
}

/* rows: events 7.2.1 */
WITH_KIT(legacy_idt_limit_counts_8_byte_gates)
{
    mode32(k, 0);
    k->cpu->regs.idtr.limit = 8 * VECTOR + 6;
    expect_legacy_fault(k, take_intr(k, VECTOR), EXC_GP, CODE_VEC(VECTOR) | 1);
    mode32(k, 0);
    k->cpu->regs.idtr.limit = 8 * VECTOR + 7;
    expect_legacy_fault(k, take_intr(k, VECTOR), VECTOR, 0);
}

int main(void)
{
    Suite *suite = suite_create("delivery");
    TCase *lm = tcase_create("long mode");
    tcase_add_test(lm, long_frame_has_ss_rsp_rflags_cs_rip);
    tcase_add_test(lm, interrupt_gate_clears_if_tf_nt_rf);
    tcase_add_test(lm, trap_gate_keeps_if);
    tcase_add_test(lm, error_code_is_pushed_last);
    tcase_add_test(lm, faults_push_rf_set_and_debug_clear);
    tcase_add_test(lm, vector_beyond_the_idt_is_gp);
    tcase_add_test(lm, gate_type_must_be_14_or_15);
    tcase_add_test(lm, software_interrupt_needs_gate_dpl);
    tcase_add_test(lm, int3_needs_gate_dpl_icebp_does_not);
    tcase_add_test(lm, gate_not_present_is_np);
    tcase_add_test(lm, type_bits_of_the_last_dword_are_not_checked);
    tcase_add_test(lm, ac_opens_user_stacks_to_the_pushes);
    tcase_add_test(lm, cr2_is_the_first_push_that_fails);
    tcase_add_test(lm, gate_code_segment_is_checked);
    tcase_add_test(lm, inner_level_takes_rsp_from_the_tss);
    tcase_add_test(lm, inner_level_one_uses_rsp1_and_null_ss_rpl_1);
    tcase_add_test(lm, conforming_handler_keeps_cpl_and_stack);
    tcase_add_test(lm, ist_is_used_at_the_same_level_too);
    tcase_add_test(lm, stack_field_beyond_the_tss_is_ts);
    tcase_add_test(lm, non_canonical_stack_is_ss);
    tcase_add_test(lm, non_canonical_handler_is_gp);
    tcase_add_test(lm, stack_page_fault_writes_nothing);
    tcase_add_test(lm, inner_stack_is_a_supervisor_access);
    tcase_add_test(lm, delivery_sets_accessed_bit_of_cs);
    tcase_add_test(lm, delivery_from_compatibility_mode_enters_64_bit_code);
    tcase_add_test(lm, delivery_from_compatibility_mode_to_level_3_uses_the_whole_rsp);
    tcase_add_test(lm, page_fault_writes_cr2);
    tcase_add_test(lm, debug_exception_updates_dr6_and_dr7);
    suite_add_tcase(suite, lm);
    TCase *legacy = tcase_create("legacy");
    tcase_add_test(legacy, legacy_same_level_pushes_three_words);
    tcase_add_test(legacy, legacy_16_bit_gate_pushes_2_byte_slots);
    tcase_add_test(legacy, legacy_inner_level_switches_stacks);
    tcase_add_test(legacy, legacy_inner_stack_selector_is_checked);
    tcase_add_test(legacy, legacy_tss_limit_is_checked);
    tcase_add_test(legacy, legacy_stack_limit_is_checked);
    tcase_add_test(legacy, legacy_offset_beyond_cs_limit_is_gp);
    tcase_add_test(legacy, alignment_checks_that_are_delivered_for_ever_stop_the_machine);
    tcase_add_test(legacy, legacy_idt_limit_counts_8_byte_gates);
    suite_add_tcase(suite, legacy);
    return kit_run(suite);
}

/* Legacy protected mode: call gates, and interrupt and trap gates onto stacks of all kinds.
 * APM vol 2, 4.11 "Control-Transfer Privilege Checks", 8.7 "Legacy Protected-Mode Interrupt Control Transfers". */
#include "tests/cpu/modes.h"

#include "tests/check_main.h"

#define VECTOR 0x21u
#define CALL_CALL32 "\x9a\x78\x56\x34\x12\x48\x01" /* the offset is ignored */
#define CALL_CALL16 "\x9a\x78\x56\x34\x12\x50\x01"
#define JMP_CALL32 "\xea\x78\x56\x34\x12\x48\x01"

/* --- far JMP and CALL to code segments --- */

/* rows: events 9.1.1, 9.1.2, 9.1.3, 9.1.4 */
WITH_KIT(direct_transfers_check_the_code_segment)
{
    static const struct {
        uint16_t selector;
        uint8_t cpl;
        int vector; /* -1: legal */
        uint16_t code;
    } rows[] = {
        { 0, 0, EXC_GP, 0 },
        { 3, 0, EXC_GP, 0 },
        { GDT_BYTES, 0, EXC_GP, GDT_BYTES },
        { CODE32 | 4, 0, EXC_GP, CODE32 | 4 },
        { DATA0, 0, EXC_GP, DATA0 },
        { CODE32, 0, -1, 0 },
        { CODE32 | 1, 0, EXC_GP, CODE32 }, /* RPL > CPL */
        { CODE32_3, 0, EXC_GP, CODE32_3 },
        { CODE32_3, 3, -1, 0 },
        { CODE32, 3, EXC_GP, CODE32 },
        { CONF32 | 3, 0, -1, 0 },
        { CONF32, 3, -1, 0 },
        { CODE_NP, 0, EXC_NP, CODE_NP },
        { CODE64, 0, -1, 0 }, /* L is ignored in legacy mode */
    };
    for (unsigned call = 0; call < 2; call++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            mode_prot32(k, rows[i].cpl);
            uint8_t bytes[7] = { call ? 0x9a : 0xea, 0x34, 0x12, 0, 0 };
            bytes[5] = (uint8_t)rows[i].selector;
            bytes[6] = (uint8_t)(rows[i].selector >> 8);
            enum step step = kit_exec(k, bytes, 7);
            if (rows[i].vector >= 0) {
                kit_raised(k, step, (unsigned)rows[i].vector, rows[i].code);
                ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
                continue;
            }
            ck_assert_int_eq(step, STEP_JUMP);
            ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x1234);
            ck_assert_uint_eq(k->cpu->regs.cpl, rows[i].cpl);
            ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector,
                              (rows[i].selector & ~3u) | rows[i].cpl);
        }
}

/* rows: events 9.1.5, 9.1.6, 13.9 */
WITH_KIT(direct_call_checks_the_target_before_it_pushes)
{
    mode_prot32(k, 0);
    k->cpu->r[REG_RSP] = 4;
    k->cpu->regs.seg[SEG_SS] = segment_unpack(DOWN, kit_gdt_raw(k, DOWN));
    kit_gdt(k, SPARE, kit_descriptor(0, 0x1233, 0x49b));
    kit_raised(k, EXEC(k, "\x9a\x34\x12\x00\x00\x68\x01"), EXC_GP, 0);
    kit_gdt(k, SPARE, kit_descriptor(0, 0x1233, 0x49a));
    kit_raised(k, EXEC(k, "\x9a\x33\x12\x00\x00\x68\x01"), EXC_SS, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 4);
    ck_assert_uint_eq(kit_gdt_raw(k, SPARE) >> 40 & 1, 0); /* not accessed */
}

/* rows: events 9.1.6, 9.1.7 */
WITH_KIT(direct_call_pushes_by_operand_size)
{
    for (unsigned size = 2; size <= 4; size += 2) {
        mode_prot32(k, 3);
        enum step step = size == 4 ? EXEC(k, "\x9a\x34\x12\x00\x00\x33\x00")
                                   : EXEC(k, "\x66\x9a\x34\x12\x33\x00");
        ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 2 * size);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - size, size), CODE32_3 | 3);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - 2 * size, size),
                          (CODE_SPA + (size == 4 ? 7 : 6)) & (size == 4 ? 0xffffffff : 0xffff));
    }
}

/* --- call gates --- */

/* rows: events 9.1.9, 9.1.10, 9.1.8 */
WITH_KIT(gate_privilege_and_presence)
{
    mode_prot32(k, 3);
    modes_gate(k, CALL32, SYS_CALL, 2, CODE32, 0x1234, 0);
    kit_raised(k, EXEC(k, CALL_CALL32), EXC_GP, CALL32); /* DPL < CPL */
    mode_prot32(k, 0);
    modes_gate(k, CALL32, SYS_CALL, 2, CODE32, 0x1234, 0);
    kit_raised(k, EXEC(k, "\x9a\x00\x00\x00\x00\x4b\x01"), EXC_GP, CALL32); /* DPL < RPL */
    ck_assert_int_eq(EXEC(k, "\x9a\x00\x00\x00\x00\x4a\x01"), STEP_JUMP);
    kit_gdt(k, CALL32, kit_gdt_raw(k, CALL32) & ~(1ull << 47));
    kit_raised(k, EXEC(k, CALL_CALL32), EXC_NP, CALL32);
    for (unsigned type = 0; type < 16; type++) { /* wrong types: before P */
        mode_prot32(k, 0);
        kit_gdt(k, CALL32, (uint64_t)type << 40);
        bool legal = type == 1 || type == 9 || type == 4 || type == 12 || type == 5;
        kit_raised(k, EXEC(k, CALL_CALL32), legal ? EXC_NP : EXC_GP, CALL32);
    }
}

/* rows: events 9.2.2, 9.2.3, 9.2.5 */
WITH_KIT(gate_code_segment)
{
    static const struct {
        uint16_t selector;
        uint8_t cpl;
        int call, jmp; /* exception, -1: legal */
        uint16_t code;
    } rows[] = {
        { 0, 0, EXC_GP, EXC_GP, 0 },
        { GDT_BYTES, 0, EXC_GP, EXC_GP, GDT_BYTES },
        { DATA0, 0, EXC_GP, EXC_GP, DATA0 },
        { TSS, 0, EXC_GP, EXC_GP, TSS },
        { CODE32_3, 0, EXC_GP, EXC_GP, CODE32_3 }, /* DPL > CPL */
        { CODE32, 3, -1, EXC_GP, CODE32 },         /* JMP changes no level */
        { CODE32 | 3, 0, -1, -1, 0 },              /* RPL does not count */
        { CONF32, 3, -1, -1, 0 },
        { CODE_NP, 0, EXC_NP, EXC_NP, CODE_NP },
    };
    for (unsigned call = 0; call < 2; call++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            mode_prot32(k, rows[i].cpl);
            modes_gate(k, CALL32, SYS_CALL, 3, rows[i].selector, 0x12345678, 0);
            enum step step = call ? EXEC(k, CALL_CALL32) : EXEC(k, JMP_CALL32);
            int vector = call ? rows[i].call : rows[i].jmp;
            if (vector >= 0)
                kit_raised(k, step, (unsigned)vector, rows[i].code);
            else {
                ck_assert_int_eq(step, STEP_JUMP);
                ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x12345678);
            }
        }
}

/* rows: events 9.2.6, 9.2.8, 9.2.9, 7.3.1 */
WITH_KIT(call_gate_copies_parameters_to_the_inner_stack)
{
    static const unsigned counts[] = { 0, 1, 3, 31 };
    for (unsigned size = 2; size <= 4; size += 2)
        for (unsigned c = 0; c < 4; c++) {
            unsigned n = counts[c];
            mode_prot32(k, 3);
            modes_gate(k, size == 4 ? CALL32 : CALL16, size == 4 ? SYS_CALL : SYS_CALL16, 3, CODE32,
                       0x12345678, n);
            uint64_t params[31];
            for (unsigned i = 0; i < 31; i++)
                params[i] = 0x11110001u * (i + 1);
            modes_stack(k, size, n, params);
            uint64_t esp = k->cpu->r[REG_RSP];
            ck_assert_int_eq(size == 4 ? EXEC(k, CALL_CALL32) : EXEC(k, CALL_CALL16), STEP_JUMP);
            uint64_t mask = size == 4 ? 0xffffffff : 0xffff, at = RSP0_TOP;
            ck_assert_uint_eq(kit_get(k, at -= size, size), DATA3 | 3);
            ck_assert_uint_eq(kit_get(k, at -= size, size), esp & mask);
            for (unsigned i = n; i-- > 0;)
                ck_assert_uint_eq(kit_get(k, at -= size, size), params[i] & mask);
            ck_assert_uint_eq(kit_get(k, at -= size, size), CODE32_3 | 3);
            ck_assert_uint_eq(kit_get(k, at -= size, size), (CODE_SPA + 7) & mask);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], at);
            ck_assert_uint_eq(k->cpu->r[REG_RIP], size == 4 ? 0x12345678 : 0x5678);
            ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA0);
            ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE32);
            ck_assert_uint_eq(k->cpu->regs.cpl, 0);
        }
}

/* rows: events 9.2.6, 9.2.8 */
WITH_KIT(call_gate_at_the_same_level_copies_nothing)
{
    mode_prot32(k, 0);
    modes_gate(k, CALL16, SYS_CALL16, 0, CODE32, 0x5678, 5);
    ck_assert_int_eq(EXEC(k, CALL_CALL16), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 4);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 2, 2), CODE32);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 4, 2), (CODE_SPA + 7) & 0xffff);
    mode_prot32(k, 3); /* conforming code: same level too */
    modes_gate(k, CALL32, SYS_CALL, 3, CONF32, 0x5678, 5);
    ck_assert_int_eq(EXEC(k, CALL_CALL32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 8);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CONF32 | 3);
}

/* rows: events 9.2.6, 9.2.7, 9.2.8 */
WITH_KIT(call_gate_that_faults_changes_nothing)
{
    for (unsigned i = 0; i < 5; i++) {
        mode_prot32(k, 3);
        modes_gate(k, CALL32, SYS_CALL, 3, CODE32, 0x1000, 2);
        unsigned vector = EXC_SS, code = 0;
        switch (i) {
        case 0: /* offset beyond the limit: before the parameters are read */
            kit_gdt(k, SPARE, kit_descriptor(0, 0xfff, 0x49b));
            modes_gate(k, CALL32, SYS_CALL, 3, SPARE, 0x1000, 2);
            k->cpu->regs.seg[SEG_SS].limit = 0;
            vector = EXC_GP;
            break;
        case 1: k->cpu->regs.seg[SEG_SS].limit = STACK_TOP + 6; break; /* second parameter */
        case 2:                                                        /* no room: the new SS */
            kit_put(k, TSS_SPA + 4, 4, 23);
            kit_gdt(k, SPARE, kit_descriptor(0, 0xfff, 0x493));
            kit_put(k, TSS_SPA + 8, 2, SPARE);
            code = SPARE;
            break;
        case 3:
            kit_put(k, TSS_SPA + 8, 2, DATA_NP);
            code = DATA_NP;
            break;
        default:
            k->cpu->regs.seg[SEG_TR].limit = 8;
            vector = EXC_TS;
            code = TSS;
        }
        kit_raised(k, EXEC(k, CALL_CALL32), vector, (int)code);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
        ck_assert_uint_eq(k->cpu->regs.cpl, 3);
        ck_assert_uint_eq(k->cpu->regs.seg[SEG_SS].selector, DATA3 | 3);
    }
}

/* --- inner stacks --- */

/* rows: events 7.3.1 */
WITH_KIT(inner_stack_of_a_16_bit_tss)
{
    mode_prot32(k, 3);
    k->cpu->regs.seg[SEG_TR].attr = 0x083;
    for (unsigned level = 0; level < 2; level++) {
        kit_put(k, TSS_SPA + 2 + 4 * level, 2, 0xfff0);
        kit_put(k, TSS_SPA + 4 + 4 * level, 2, level ? DATA1 | 1 : DATA0);
    }
    k->cpu->regs.seg[SEG_TR].limit = 5; /* SS0's last byte */
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xfff0 - 20);
    mode_prot32(k, 3);
    k->cpu->regs.seg[SEG_TR].attr = 0x083;
    kit_put(k, TSS_SPA + 6, 2, 0xffe0);
    kit_put(k, TSS_SPA + 8, 2, DATA1 | 1);
    kit_gate32(k, VECTOR, CODE32_1, HANDLER, 14, 0);
    k->cpu->regs.seg[SEG_TR].limit = 8;
    kit_gate32(k, EXC_TS, CONF32, HANDLER, 14, 0);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_TS, TSS | 1);
    mode_prot32(k, 3);
    k->cpu->regs.seg[SEG_TR].attr = 0x083;
    kit_put(k, TSS_SPA + 6, 2, 0xffe0);
    kit_put(k, TSS_SPA + 8, 2, DATA1 | 1);
    kit_gate32(k, VECTOR, CODE32_1, HANDLER, 14, 0);
    k->cpu->regs.seg[SEG_TR].limit = 9;
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0xffe0 - 20);
    ck_assert_uint_eq(k->cpu->regs.cpl, 1);
}

/* rows: events 7.2.13, 7.3.1 */
WITH_KIT(small_inner_stack_wraps)
{
    mode_prot32(k, 3);
    kit_gdt(k, SPARE, kit_descriptor(DATA_SPA, 0xffff, 0x093)); /* B = 0 */
    kit_put(k, TSS_SPA + 4, 4, 0x12340008);                     /* SP alone counts */
    kit_put(k, TSS_SPA + 8, 2, SPARE);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x1234fff4);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 4, 4), DATA3 | 3);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 4), STACK_TOP);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfffc, 4), 2 | FLAG_IF);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfff8, 4), CODE32_3 | 3);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 0xfff4, 4), CODE_SPA);
}

/* rows: events 7.2.13, 13.14 */
WITH_KIT(expand_down_stack_has_room_above_its_limit)
{
    static const struct {
        uint32_t sp;
        bool fits;
    } rows[] = { { 0x100c, true }, { 0x100b, false }, { 0, true }, { 0xffff, true } };
    for (unsigned i = 0; i < 4; i++) {
        mode_prot32(k, 0);
        kit_load_segment(k, SEG_SS, DOWN);
        kit_gate32(k, EXC_SS, TASK_GATE, 0, 14, 0); /* no handler: shutdown */
        kit_gate32(k, EXC_DF, 0, 0, 14, 0);
        k->cpu->r[REG_RSP] = rows[i].sp;
        enum step step = modes_intr(k, VECTOR);
        if (rows[i].fits)
            ck_assert_uint_eq(k->cpu->r[REG_RSP], (rows[i].sp - 12) & 0xffff);
        else
            ck_assert_int_eq(step, STEP_STOP);
    }
}

/* rows: events 13.14 */
WITH_KIT(expand_down_data_lies_above_the_limit)
{
    mode_prot32(k, 0);
    kit_load_segment(k, SEG_DS, DOWN);
    static const struct {
        uint32_t at;
        bool big, legal;
    } rows[] = {
        { 0xfff, false, false },  { 0x1000, false, true },   { 0xfffc, false, true },
        { 0xfffd, false, false }, { 0x10000, false, false }, { 0x10000, true, true },
        { 0xfff, true, false },   { 0x1000, true, true },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        k->cpu->regs.seg[SEG_DS].attr = rows[i].big ? 0x497 : 0x097;
        k->cpu->r[REG_RSI] = rows[i].at;
        enum step step = EXEC(k, "\x8b\x06"); /* MOV EAX, [ESI] */
        if (rows[i].legal)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_GP, 0);
    }
}

/* rows: events 13.10, 13.11, 13.12, 13.13 */
WITH_KIT(segment_types_limit_accesses)
{
    static const struct {
        uint16_t selector;
        uint32_t at;
        bool read, write;
    } rows[] = {
        { 0, 0x1000, false, false },         { READ_ONLY, 0x1000, true, false },
        { EXEC_ONLY, 0x1000, false, false }, { CODE32, 0x1000, true, false },
        { SMALL, 0xffc, true, true },        { SMALL, 0xffd, false, false },
        { DATA0, 0xfffffffd, false, false }, /* wraps past the top */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode_prot32(k, 0);
        k->cpu->regs.seg[SEG_ES] =
            rows[i].selector ? segment_unpack(rows[i].selector, kit_gdt_raw(k, rows[i].selector))
                             : (struct segment){ 0 };
        k->cpu->r[REG_RSI] = rows[i].at;
        enum step step = EXEC(k, "\x26\x8b\x06");
        ck_assert_int_eq(step, rows[i].read ? STEP_NEXT : STEP_RAISED);
        if (!rows[i].read)
            kit_raised(k, step, EXC_GP, 0);
        step = EXEC(k, "\x26\x89\x06");
        ck_assert_int_eq(step, rows[i].write ? STEP_NEXT : STEP_RAISED);
        if (!rows[i].write)
            kit_raised(k, step, EXC_GP, 0);
    }
}

/* rows: events 7.2.14, 7.2.16 */
WITH_KIT(trap_gates_keep_if_interrupt_gates_clear_it)
{
    static const uint8_t types[] = { 6, 7, 14, 15 };
    for (unsigned i = 0; i < 4; i++) {
        mode_prot32(k, 0);
        kit_gate32(k, VECTOR, CODE32, 0x12345678, types[i], 0);
        k->cpu->rflags |= FLAG_NT | FLAG_TF | FLAG_RF;
        modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
        ck_assert_uint_eq(k->cpu->rflags, types[i] & 1 ? 2 | FLAG_IF : 2);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], types[i] & 8 ? 0x12345678 : 0x5678);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - (types[i] & 8 ? 12 : 6));
    }
}

/* rows: events 7.2.1, 7.2.2, 7.2.3, 7.2.4, 4.1, 4.6 */
WITH_KIT(legacy_gate_checks)
{
    for (unsigned type = 0; type < 32; type++) {
        bool legal = type == 6 || type == 7 || type == 14 || type == 15;
        if (type == 5)
            continue; /* tests/cpu/test_task.c */
        mode_prot32(k, 0);
        kit_gate32(k, VECTOR, CODE32, HANDLER, type, 0);
        modes_delivered(k, modes_intr(k, VECTOR), legal ? VECTOR : EXC_GP,
                        legal ? 0 : VECTOR * 8 + 3);
    }
    mode_prot32(k, 3); /* INT n: EXT = 0 */
    kit_gate32(k, VECTOR, CODE32, HANDLER, 14, 2);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), EXC_GP, VECTOR * 8 + 2);
    mode_prot32(k, 0);
    kit_put(k, IDT_SPA + 8 * VECTOR + 5, 1, 0x0e);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_NP, VECTOR * 8 + 3);
    mode_prot32(k, 0);
    k->cpu->regs.idtr.limit = 8 * VECTOR + 6;
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, VECTOR * 8 + 3);
}

/* rows: events 7.2.6, 7.2.7, 7.2.8, 7.2.9, 7.2.12 */
WITH_KIT(legacy_handler_code_segment)
{
    static const struct {
        uint16_t selector;
        uint8_t vector;
        uint16_t code;
    } rows[] = {
        { 0, EXC_GP, 1 },
        { GDT_BYTES, EXC_GP, GDT_BYTES | 1 },
        { CODE32 | 4, EXC_GP, CODE32 | 5 },
        { DATA0, EXC_GP, DATA0 | 1 },
        { CODE32_3, EXC_GP, CODE32_3 | 1 },
        { CODE_NP, EXC_NP, CODE_NP | 1 },
        { SPARE, EXC_GP, 1 }, /* offset > limit */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode_prot32(k, 0);
        kit_gdt(k, SPARE, kit_descriptor(0, HANDLER - 1, 0x49b));
        kit_gate32(k, VECTOR, rows[i].selector, HANDLER, 14, 0);
        modes_delivered(k, modes_intr(k, VECTOR), rows[i].vector, rows[i].code);
    }
}

/* A handler in the LDT. rows: events 7.2.7, 13.8 */
WITH_KIT(handler_may_lie_in_the_ldt)
{
    mode_prot32(k, 0);
    k->cpu->regs.seg[SEG_LDTR] = segment_unpack(LDT16, kit_gdt_raw(k, LDT16));
    kit_put(k, LDT_SPA + 8, 8, kit_descriptor(0, 0xfffff, 0xc9b));
    kit_gate32(k, VECTOR, 0x0c, HANDLER, 14, 0);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, 0x0c);
    mode_prot32(k, 0);
    k->cpu->regs.seg[SEG_LDTR] = segment_unpack(LDT16, kit_gdt_raw(k, LDT16));
    k->cpu->regs.seg[SEG_LDTR].limit = 14;
    kit_gate32(k, VECTOR, 0x0c, HANDLER, 14, 0);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, 0x0d);
}

/* rows: events 2.1, 2.2, 2.3, 2.7, 2.8, 2.9, pitfalls 10.1, 10.4 */
WITH_KIT(failed_deliveries_combine)
{
    static const struct {
        uint8_t first, second; /* second: what the delivery of the first runs into */
        uint8_t result;
    } rows[] = {
        { EXC_UD, EXC_GP, EXC_GP }, { EXC_DE, EXC_GP, EXC_DF }, { EXC_TS, EXC_GP, EXC_DF },
        { EXC_NP, EXC_NP, EXC_DF }, { EXC_BR, EXC_NP, EXC_NP }, { EXC_PF, EXC_GP, EXC_DF },
        { EXC_AC, EXC_GP, EXC_GP }, { EXC_DB, EXC_NP, EXC_NP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mode_prot32(k, 0);
        unsigned type = rows[i].second == EXC_NP ? 0x0e : 0x8c; /* not present, wrong type */
        kit_put(k, IDT_SPA + 8 * rows[i].first + 5, 1, type);
        ck_assert_int_eq(modes_fault(k, (enum exception)rows[i].first, NO_CODE), STEP_JUMP);
        ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].result);
        unsigned code = rows[i].result == EXC_DF ? 0 : rows[i].first * 8u + 3;
        ck_assert_uint_eq(k->delivered.b, code);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 16); /* one frame, with a code */
        ck_assert_uint_eq(kit_get(k, STACK_TOP - 12, 4), CODE_SPA);
    }
}

CHECK_MAIN("gates", direct_transfers_check_the_code_segment,
           direct_call_checks_the_target_before_it_pushes, direct_call_pushes_by_operand_size,
           gate_privilege_and_presence, gate_code_segment,
           call_gate_copies_parameters_to_the_inner_stack,
           call_gate_at_the_same_level_copies_nothing, call_gate_that_faults_changes_nothing,
           inner_stack_of_a_16_bit_tss, small_inner_stack_wraps,
           expand_down_stack_has_room_above_its_limit, expand_down_data_lies_above_the_limit,
           segment_types_limit_accesses, trap_gates_keep_if_interrupt_gates_clear_it,
           legacy_gate_checks, legacy_handler_code_segment, handler_may_lie_in_the_ldt,
           failed_deliveries_combine)

/* Each vector as an instruction raises it: error code and return address; page-fault codes; what a fault leaves behind. APM
 * vol 2, 8.2 "Vectors", 8.4 "Error Codes". */
#include "tests/cpu/program.h"

/* rows: events 1.1, 1.4, 1.5, 1.6, 1.7, 1.8, 1.12, 1.13, 1.14, 1.15, 1.25, 4.1, 4.4, pitfalls 10.6 */
WITH_KIT(exceptions_have_their_code_and_return_address)
{
    static const struct {
        const char *bytes;
        uint8_t len, vector, returns; /* bytes behind CODE_SPA */
        bool compat;
        int code;
        uint64_t rcx;
        uint32_t cr0;
    } rows[] = {
        { "\xf7\xf1", 2, EXC_DE, 0, false, NO_CODE, 0, 0 }, /* DIV ECX */
        { "\xcc", 1, EXC_BP, 1, false, NO_CODE, 0, 0 },
        { "\xcd\x03", 2, EXC_BP, 2, false, NO_CODE, 0, 0 },
        { "\xce", 1, EXC_OF, 1, true, NO_CODE, 0, 0 },     /* INTO */
        { "\x62\x01", 2, EXC_BR, 0, true, NO_CODE, 0, 0 }, /* BOUND EAX, [ECX] */
        { "\xce", 1, EXC_UD, 0, false, NO_CODE, 0, 0 },
        { "\x0f\x0b", 2, EXC_UD, 0, false, NO_CODE, 0, 0 },
        { "\xdb\xe3", 2, EXC_NM, 0, false, NO_CODE, 0, CR0_TS },          /* FNINIT */
        { "\x9b", 1, EXC_NM, 0, false, NO_CODE, 0, CR0_TS | CR0_MP },     /* FWAIT */
        { "\x8e\xc1", 2, EXC_NP, 0, false, DATA_NP, DATA_NP, 0 },         /* MOV ES, CX */
        { "\x8e\xd1", 2, EXC_SS, 0, false, DATA_NP, DATA_NP, 0 },         /* MOV SS, CX */
        { "\x8e\xc1", 2, EXC_GP, 0, false, GDT_BYTES, GDT_BYTES | 2, 0 }, /* beyond the GDT */
        { "\x8e\xc1", 2, EXC_GP, 0, false, 4 | 8, 4 | 8, 0 },             /* no LDT: TI is told */
        { "\x8b\x01", 2, EXC_GP, 0, false, 0, NONCANON, 0 },              /* MOV EAX, [RCX] */
        { "\x8b\x01", 2, EXC_PF, 0, false, 0, PAGED_LA, 0 },
        { "\xcd\x0d", 2, EXC_GP, 2, false, NO_CODE, 0, 0 }, /* INT n pushes none */
        { "\xcd\x0e", 2, EXC_PF, 2, false, NO_CODE, 0, 0 },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        if (rows[i].compat)
            kit_mode(k, MODE_COMPAT32, 0);
        kit_page(k, 0, 0);
        k->cpu->regs.cr0 |= rows[i].cr0;
        cpu_update_fp(k->cpu);
        k->cpu->rflags |= FLAG_OF;
        k->cpu->r[REG_RAX] = 5;
        k->cpu->r[REG_RCX] = rows[i].compat ? DATA_SPA : rows[i].rcx;
        k->cpu->r[REG_RDX] = 0;
        kit_put(k, DATA_SPA, 8, 0); /* bounds 0 and 0 */
        program_run(k, 10);
        ck_assert_msg((k->delivered.a & 0xff) == rows[i].vector && k->deliveries == 1, "row %u: %u",
                      i, (unsigned)k->delivered.a & 0xff);
        unsigned has_code = rows[i].code != NO_CODE;
        ck_assert_uint_eq(k->delivered.a >> 11 & 1, has_code);
        if (has_code)
            ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), (unsigned)rows[i].code);
        uint64_t rip = kit_get(k, k->cpu->r[REG_RSP] + 8 * has_code, 8);
        ck_assert_msg(rip == (uint64_t)CODE_SPA + rows[i].returns, "row %u", i);
    }
}

/* rows: events 1.11, 4.1, pitfalls 10.5 */
WITH_KIT(stack_outside_the_tss_is_ts_with_its_selector)
{
    PROGRAM(k, "\xcd\x40");
    kit_mode(k, MODE_LONG64, 3);
    kit_idt(k, 0x40, 14, 3, 7);
    k->cpu->regs.seg[SEG_TR].limit = 0x24 + 8 * 6 + 6; /* one byte short of IST7 */
    program_run(k, 10);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_TS);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), TSS);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA);
}

/* rows: events 1.9, 4.4, pitfalls 10.3 */
WITH_KIT(double_fault_has_code_0_and_the_faulting_instruction)
{
    PROGRAM(k, "\x90\xf7\xf1"); /* DIV by 0 */
    kit_put(k, IDT_SPA + 16 * EXC_DE + 5, 1, 0x0e);
    k->cpu->r[REG_RCX] = 0;
    program_run(k, 10);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DF);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 0);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA + 1);
}

/* Instructions raise no vector 9: the manual keeps it as reserved, EVENTINJ may send it. */
/* rows: events 1.10 */
WITH_KIT(vector_9_is_benign)
{
    PROGRAM(k, "\x90");
    kit_put(k, IDT_SPA + 16 * EXC_MF9 + 5, 1, 0x0e);
    ck_assert_int_eq(cpu_raise(k->cpu, EXC_MF9), STEP_RAISED);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NP);
}

/* rows: events 1.2, 1.3, 1.24 */
WITH_KIT(interrupts_and_traps_return_to_the_next_instruction)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        PROGRAM(k, "\x90\x90\x90");
        k->cpu->rflags |= kind == 0 ? FLAG_TF : kind == 1 ? 0 : FLAG_IF;
        program_run(k, 1);
        k->cpu->pins.nmi = kind == 1;
        k->cpu->regs.nmi_masked = false;
        k->pending = kind == 2 ? 0x33 : -1;
        program_run(k, 10);
        ck_assert_uint_eq(k->delivered.a & 0xff, kind == 0 ? EXC_DB : kind == 1 ? EXC_NMI : 0x33);
        ck_assert(!(k->delivered.a >> 11 & 1));
        ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 1);
    }
}

/* --- EXT --- */

/* rows: events 4.1, 4.6 */
WITH_KIT(ext_tells_events_that_no_software_interrupt_caused)
{
    static const struct {
        const char *bytes; /* whose event's gate is not present */
        uint8_t len, vector;
        bool ext;
        unsigned flags;
        int pending;
    } rows[] = {
        { "\xcd\x40", 2, 0x40, false, 0, -1 },    { "\xcc", 1, EXC_BP, false, 0, -1 },
        { "\xf1", 1, EXC_DB, true, 0, -1 },       { "\x0f\x0b", 2, EXC_UD, true, 0, -1 },
        { "\x90", 1, EXC_DB, true, FLAG_TF, -1 }, { "\x90", 1, 0x33, true, FLAG_IF, 0x33 },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        kit_put(k, IDT_SPA + 16 * rows[i].vector + 5, 1, 0x0e);
        k->cpu->rflags |= rows[i].flags;
        k->pending = rows[i].pending;
        program_run(k, 10);
        ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NP);
        unsigned code = rows[i].vector * 8u + 2 + rows[i].ext;
        ck_assert_msg(k->delivered.b == code, "row %u: %x", i, (unsigned)k->delivered.b);
    }
    PROGRAM(k,
            "\xcd\x40"); /* a fault without a delivery of an event from outside; #PF has no EXT */
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x33;
    kit_idt(k, 0x33, 14, 0, 3);
    kit_put(k, TSS_SPA + 0x34, 8, PAGED_LA + 0x800);
    kit_page(k, 0, 0);
    program_run(k, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(k->delivered.b, PF_RW);
}

/* --- page-fault codes --- */

/* rows: events 4.2, 4.7, 4.8, 4.9, 4.10, 4.11 */
WITH_KIT(page_fault_codes)
{
    static const struct {
        const char *bytes;
        uint8_t len;
        bool user, jump;
        uint64_t pte;
        uint32_t code;
    } rows[] = {
        { "\x8b\x01", 2, false, false, 0, 0 },     /* MOV EAX, [RCX] */
        { "\x89\x01", 2, false, false, 0, PF_RW }, /* MOV [RCX], EAX */
        { "\x01\x01", 2, false, false, 0, PF_RW }, /* ADD [RCX], EAX: a write */
        { "\x8b\x01", 2, true, false, 0, PF_US },
        { "\x89\x01", 2, true, false, 5, PF_US | PF_RW | PF_P }, /* read-only */
        { "\x8b\x01", 2, true, false, 3, PF_US | PF_P },         /* supervisor page */
        { "\x8b\x01", 2, false, false, 1ull << 51 | 3, PF_RSV | PF_P },
        { "\xff\xe1", 2, false, true, 1ull << 63 | 3, PF_ID | PF_P }, /* JMP RCX, no-execute */
        { "\xff\xe1", 2, true, true, 0, PF_ID | PF_US },
        { "\x8e\xe1", 2, true, false, 0, 0 }, /* MOV FS, CX from a table that is not there */
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        kit_mode(k, MODE_LONG64, rows[i].user ? 3 : 0);
        kit_page(k, 0, rows[i].pte);
        k->cpu->r[REG_RCX] = PAGED_LA;
        if (rows[i].bytes[0] == '\x8e') {
            k->cpu->r[REG_RCX] = 4 | 3;
            k->cpu->regs.seg[SEG_LDTR] = (struct segment){
                .selector = LDT, .attr = SEG_ATTR_P | 2, .limit = 0xff, .base = PAGED_LA
            };
        }
        program_run(k, 10);
        ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
        ck_assert_msg(k->delivered.b == rows[i].code, "row %u: %x", i, (unsigned)k->delivered.b);
        ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA);
    }
    PROGRAM(k, "\x8b\x01"); /* a protection key, with P always */
    kit_page(k, 0, 7 | 5ull << 59);
    k->cpu->regs.cr4 |= CR4_PKE;
    k->cpu->regs.pkru = 1u << 10; /* AD of key 5 */
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RCX] = PAGED_LA;
    program_run(k, 10);
    ck_assert_uint_eq(k->delivered.b, PF_PK | PF_P);
}

/* --- what a fault leaves behind --- */

/* The first instruction of a handler that cannot be fetched is a fault of its own: no double fault. */
/* rows: events 2.5 */
WITH_KIT(delivery_is_over_when_the_handler_starts)
{
    PROGRAM(k, "\x8b\x01");
    kit_page(k, 0, 0);
    k->cpu->r[REG_RCX] = PAGED_LA;
    for (unsigned v = EXC_DF; v <= EXC_PF; v += EXC_PF - EXC_DF) {
        uint64_t at = IDT_SPA + 16 * v;
        kit_put(k, at, 2, (PAGED_LA + 0x10 * v) & 0xffff);
        kit_put(k, at + 6, 2, PAGED_LA >> 16);
    }
    program_run(k, 5);
    ck_assert_uint_ge(k->deliveries, 3);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x10 * EXC_PF);
}

/* rows: events 2.8, pitfalls 10.4 */
WITH_KIT(second_event_saves_the_state_before_the_first)
{
    PROGRAM(k, "\x0f\x0b");
    kit_mode(k, MODE_LONG64, 3);
    kit_idt(k, EXC_UD, 14, 0, 3); /* its stack ends in the page that is not there */
    kit_put(k, TSS_SPA + 0x34, 8, PAGED_LA + 0x1008);
    kit_page(k, 0, 0);
    kit_page(k, 1, 0x100000 | 7);
    k->cpu->rflags |= FLAG_CF;
    program_run(k, 5);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    uint64_t rsp = k->cpu->r[REG_RSP];
    ck_assert_uint_eq(kit_get(k, rsp + 8, 8), CODE_SPA);
    ck_assert_uint_eq(kit_get(k, rsp + 16, 8), CODE64_3 | 3);
    ck_assert_uint_eq(kit_get(k, rsp + 24, 8), 2 | FLAG_CF | FLAG_RF);
    ck_assert_uint_eq(kit_get(k, rsp + 32, 8), STACK_TOP);
    ck_assert_uint_eq(rsp, RSP0_TOP - 48); /* and not of the first one's stack */
}

/* --- inside one instruction --- */

/* rows: events 3.1.8, 3.2.1, 3.2.3, 3.2.5, 3.2.6, 3.2.9, 3.2.10, pitfalls 10.9 */
WITH_KIT(checks_of_one_instruction_come_in_their_order)
{
    static const struct {
        const char *bytes;
        uint8_t len, cpl, vector;
        uint64_t rcx, rdx;
    } rows[] = {
        { "\xf0\x0f\x22\xc9", 4, 3, EXC_UD, 0, 0 }, /* LOCK MOV CR1: no privilege asked */
        { "\x0f\x22\xc9", 3, 3, EXC_UD, 0, 0 },     /* MOV CR1, RCX */
        { "\x0f\x22\xe1", 3, 3, EXC_GP, ~0ull, 0 }, /* MOV CR4, RCX: CPL, then the value */
        { "\x0f\x22\xe1", 3, 0, EXC_GP, ~0ull, 0 },
        { "\xff\x31", 2, 0, EXC_GP, NONCANON, 0 },  /* PUSH [RCX]: the source first */
        { "\x48\x8b\x24\x24", 4, 0, EXC_SS, 0, 0 }, /* MOV RSP, [RSP] */
        { "\xf7\x31", 2, 0, EXC_PF, PAGED_LA, 0 },  /* DIV [RCX]: the operand, then #DE */
        { "\xf7\x31", 2, 0, EXC_DE, DATA_SPA, 9 },
        { "\xa4", 1, 0, EXC_PF, 0, 0 }, /* MOVSB: the source's page */
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        kit_mode(k, MODE_LONG64, rows[i].cpl);
        kit_page(k, 0, 0);
        kit_page(k, 1, 0);
        kit_put(k, DATA_SPA, 8, 0);
        for (unsigned v = 0; v < 32; v++)
            kit_idt(k, v, 14, 0, 1); /* RSP is not always one */
        k->cpu->r[REG_RCX] = rows[i].rcx;
        k->cpu->r[REG_RDX] = rows[i].rdx;
        k->cpu->r[REG_RSI] = PAGED_LA;
        k->cpu->r[REG_RDI] = PAGED_LA + 0x1000;
        if (rows[i].vector == EXC_SS || rows[i].rcx == NONCANON)
            k->cpu->r[REG_RSP] = NONCANON;
        program_run(k, 10);
        ck_assert_msg((k->delivered.a & 0xff) == rows[i].vector, "row %u: %u", i,
                      (unsigned)k->delivered.a & 0xff);
        if (rows[i].vector == EXC_PF)
            ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA);
    }
}

int main(void)
{
    Suite *suite = suite_create("vectors");
    TCase *all = tcase_create("all");
    tcase_add_test(all, exceptions_have_their_code_and_return_address);
    tcase_add_test(all, stack_outside_the_tss_is_ts_with_its_selector);
    tcase_add_test(all, double_fault_has_code_0_and_the_faulting_instruction);
    tcase_add_test(all, vector_9_is_benign);
    tcase_add_test(all, interrupts_and_traps_return_to_the_next_instruction);
    tcase_add_test(all, ext_tells_events_that_no_software_interrupt_caused);
    tcase_add_test(all, page_fault_codes);
    tcase_add_test(all, delivery_is_over_when_the_handler_starts);
    tcase_add_test(all, second_event_saves_the_state_before_the_first);
    tcase_add_test(all, checks_of_one_instruction_come_in_their_order);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* Breakpoints on fetches, data and ports. APM vol 2, 13.1.2 "Setting Breakpoints", 13.1.3 "Using Breakpoints". */
#include "tests/cpu/program.h"

#define WATCHED 0x70000u

/* --- fetches --- */

/* rows: events 5.1, 5.21, pitfalls 6.16 */
WITH_KIT(fetch_breakpoint_is_a_fault_at_the_first_byte)
{
    PROGRAM(k, "\x90\x66\x90\x90");
    watch(k, 1, CODE_SPA + 1, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 1, 2);

    PROGRAM(k, "\x90\x66\x90\x90");
    watch(k, 1, CODE_SPA + 2, ON_FETCH, LEN1); /* behind the prefix */
    program_run(k, 10);
    expect_none(k);
}

/* rows: events 5.17 */
WITH_KIT(local_and_global_enables_both_serve)
{
    for (unsigned bit = 0; bit < 16; bit++) {
        PROGRAM(k, "\x90\x90");
        for (unsigned n = 0; n < 4; n++)
            k->cpu->regs.dr[n] = n == bit / 2 ? CODE_SPA + 1 : 0;
        ck_assert_int_eq(debug_set_dr(k->cpu, 7, 1u << bit & 0x3ff), STEP_LEAVE);
        program_run(k, 10);
        if (bit < 8)
            expect_db(k, 1, CODE_SPA + 1, 1u << bit / 2);
        else
            expect_none(k); /* LE, GE */
    }
}

/* rows: events 5.19 */
WITH_KIT(fetch_breakpoint_needs_length_1)
{
    for (unsigned len = 0; len < 4; len++) {
        PROGRAM(k, "\x90\x90");
        watch(k, 0, CODE_SPA, ON_FETCH, len);
        program_run(k, 10);
        ck_assert_uint_eq(k->deliveries, len == LEN1);
    }
}

/* rows: events 5.22, pitfalls 6.17 */
WITH_KIT(rf_passes_a_breakpoint_once)
{
    PROGRAM(k, "\x48\xcf\x90\xeb\xfd"); /* IRETQ; target: NOP; JMP target */
    push_iret_frame(k, CODE_SPA + 2, FLAG_RF);
    watch(k, 0, CODE_SPA + 2, ON_FETCH, LEN1);
    program_run(k, 2);
    ck_assert_uint_eq(k->deliveries, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 3);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 2, 1);

    PROGRAM(k, "\x48\xcf\x90");
    push_iret_frame(k, CODE_SPA + 2, 0);
    watch(k, 0, CODE_SPA + 2, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 2, 1);
}

/* rows: events 3.1.6, pitfalls 6.16 */
WITH_KIT(fetch_breakpoint_comes_before_the_faults_of_the_fetch)
{
    static const uint64_t rips[] = { PAGED_LA, NONCANON };
    for (unsigned i = 0; i < TABLE_ROWS(rips); i++)
        for (unsigned on = 0; on < 2; on++) {
            PROGRAM(k, "\x90");
            kit_page(k, 0, 0);
            k->cpu->r[REG_RIP] = rips[i];
            if (on)
                watch(k, 3, rips[i], ON_FETCH, LEN1);
            program_run(k, 10);
            ck_assert_uint_eq(k->delivered.a & 0xff, on ? EXC_DB : i == 0 ? EXC_PF : EXC_GP);
            ck_assert_uint_eq(k->deliveries, 1);
        }
    for (unsigned on = 0; on < 2; on++) {
        PROGRAM(k, "\x90");
        kit_mode(k, MODE_COMPAT32, 0);
        k->cpu->regs.seg[SEG_CS].limit = CODE_SPA - 1;
        if (on)
            watch(k, 3, CODE_SPA, ON_FETCH, LEN1);
        program_run(k, 10);
        ck_assert_uint_eq(k->delivered.a & 0xff, on ? EXC_DB : EXC_GP);
    }
}

/* rows: events 3.1.7, svmop 10.18-10.19, exit 2.2 */
WITH_KIT(fetch_breakpoint_comes_before_ud_and_intercepts)
{
    PROGRAM(k, "\x0f\x0b");
    watch(k, 0, CODE_SPA, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA, 1);

    PROGRAM(k, "\x0f\xa2"); /* CPUID */
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CPUID);
    watch(k, 0, CODE_SPA, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA, 1);
    ck_assert(k->cpu->svm->guest);
}

WITH_KIT(no_fetch_breakpoint_in_the_shadow_of_mov_ss)
{
    PROGRAM(k, "\x8e\xd1\x90\x90"); /* MOV SS, CX */
    k->cpu->r[REG_RCX] = DATA0;
    watch(k, 0, CODE_SPA + 2, ON_FETCH, LEN1);
    watch(k, 1, CODE_SPA + 3, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 3, 2);

    PROGRAM(k, "\xfb\x90\x90"); /* STI has no such effect */
    watch(k, 0, CODE_SPA + 1, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 1, 1);
}

WITH_KIT(breakpoint_on_the_instruction_behind_mov_to_dr7)
{
    PROGRAM(k, "\x0f\x23\xf8\x90\x90"); /* MOV DR7, RAX */
    k->cpu->r[REG_RAX] = 1;
    k->cpu->regs.dr[0] = CODE_SPA + 3;
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 3, 1);
}

/* In compatibility mode the base of CS counts, and 32 bits. */
WITH_KIT(fetch_breakpoint_is_a_linear_address)
{
    PROGRAM(k, "\x90\x90");
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->regs.seg[SEG_CS].base = 0xfffff000;
    k->cpu->r[REG_RIP] = CODE_SPA + 0x1000;
    watch(k, 2, CODE_SPA + 1, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 0x1001, 4);
}

/* --- data --- */

/* rows: events 5.3, 5.18, pitfalls 6.18 */
WITH_KIT(data_breakpoint_is_a_trap_by_kind_of_access)
{
    static const struct {
        const char *bytes;
        unsigned len;
        bool on_write, on_access;
    } rows[] = {
        { "\x8a\x01", 2, false, true },         /* MOV AL, [RCX] */
        { "\x88\x01", 2, true, true },          /* MOV [RCX], AL */
        { "\x00\x01", 2, true, true },          /* ADD [RCX], AL */
        { "\x3a\x01", 2, false, true },         /* CMP AL, [RCX] */
        { "\x86\x01", 2, true, true },          /* XCHG [RCX], AL */
        { "\x0f\xb0\x11", 3, true, true },      /* CMPXCHG [RCX], DL: writes also if they differ */
        { "\xff\x31", 2, false, true },         /* PUSH [RCX] */
        { "\x8f\x01", 2, true, true },          /* POP [RCX] */
        { "\x48\x8b\x41\xfc", 4, false, true }, /* MOV RAX, [RCX-4] */
        { "\x48\x89\x41\xfc", 4, true, true },  /* MOV [RCX-4], RAX */
        { "\x48\x8d\x01", 3, false, false },    /* LEA */
        { "\x0f\x0d\x01", 3, false, false },    /* PREFETCH */
        { "\xff\xe1", 2, false, false },        /* JMP RCX: a fetch */
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++)
        for (unsigned on = 0; on < 4; on++) {
            program(k, rows[i].bytes, rows[i].len);
            k->cpu->r[REG_RCX] = WATCHED;
            k->cpu->r[REG_RAX] = 5;
            kit_put(k, WATCHED, 1, 0xf4);
            watch(k, 0, WATCHED, on, LEN1);
            program_run(k, 1);
            bool hit = on == ON_WRITE ? rows[i].on_write : on == ON_ACCESS && rows[i].on_access;
            ck_assert_msg(k->cpu->traps == hit, "row %u on %u: %x", i, on, k->cpu->traps);
            if (!hit)
                continue;
            program_run(k, 10);
            expect_db(k, 1, CODE_SPA + rows[i].len, 1);
        }
}

/* The stack is data as well. */
WITH_KIT(pushes_and_pops_of_instructions_match)
{
    static const struct {
        const char *bytes;
        unsigned len;
        int at; /* from RSP */
        uint64_t next;
    } rows[] = {
        { "\x50", 1, -8, 1 },                 /* PUSH */
        { "\xe8\x00\x00\x00\x00", 5, -1, 5 }, /* CALL */
        { "\x58", 1, 7, 1 },                  /* POP */
        { "\xc9", 1, 0, 1 },                  /* LEAVE with RBP = RSP */
        { "\xc3", 1, 3, 0x20 },               /* RET */
        { "\x9c", 1, -4, 1 },                 /* PUSHF */
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        kit_put(k, STACK_TOP, 8, CODE_SPA + 0x20);
        k->cpu->r[REG_RBP] = STACK_TOP;
        watch(k, 2, STACK_TOP + (uint64_t)(int64_t)rows[i].at, ON_ACCESS, LEN1);
        program_run(k, 10);
        expect_db(k, 1, CODE_SPA + rows[i].next, 4);
    }
}

/* The manual's table 13-1. */
/* rows: events 5.19, 5.20, pitfalls 6.18 */
WITH_KIT(any_byte_in_the_aligned_range_matches)
{
    static const struct {
        unsigned at, size;
        bool one, four, eight; /* DR = 000 with 1 byte, 004 with 4, 005 with 8 */
    } rows[] = {
        { 0xffb, 8, true, false, true },    { 0xffe, 2, false, false, false },
        { 0xffe, 4, true, false, true },    { 0x1000, 1, true, false, true },
        { 0x1001, 2, false, false, true },  { 0x1005, 4, false, true, true },
        { 0x1008, 8, false, false, false }, { 0x1007, 1, false, true, true },
        { 0x1003, 1, false, false, true },
    };
    static const char *const loads[] = { "\x8a\x01", "\x66\x8b\x01", "\x8b\x01", "\x48\x8b\x01" };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++)
        for (unsigned kind = 0; kind < 3; kind++) {
            static const unsigned offsets[] = { 0, 4, 5 }, lengths[] = { LEN1, LEN4, LEN8 };
            const char *load = loads[rows[i].size == 8 ? 3 : rows[i].size / 2];
            program(k, load, (unsigned)strlen(load));
            k->cpu->r[REG_RCX] = WATCHED + rows[i].at;
            watch(k, 0, WATCHED + 0x1000 + offsets[kind], ON_ACCESS, lengths[kind]);
            program_run(k, 10);
            bool hit = kind == 0 ? rows[i].one : kind == 1 ? rows[i].four : rows[i].eight;
            ck_assert_msg(k->deliveries == hit, "row %u kind %u", i, kind);
        }
}

/* rows: events 5.19 */
WITH_KIT(two_bytes_match_two)
{
    for (unsigned off = 0; off < 4; off++) {
        PROGRAM(k, "\x8a\x01");
        k->cpu->r[REG_RCX] = WATCHED + off;
        watch(k, 0, WATCHED + 1, ON_ACCESS, LEN2);
        program_run(k, 10);
        ck_assert_uint_eq(k->deliveries, off < 2);
    }
}

/* rows: events 5.3, pitfalls 6.18 */
WITH_KIT(data_breakpoint_stops_rep_after_the_iteration)
{
    PROGRAM(k, "\xf3\xa4\x90"); /* REP MOVSB */
    k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->r[REG_RDI] = WATCHED;
    k->cpu->r[REG_RCX] = 4;
    watch(k, 0, WATCHED + 1, ON_WRITE, LEN1);
    watch(k, 1, WATCHED + 3, ON_WRITE, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 2);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], WATCHED + 2);

    k->cpu->r[REG_RIP] = CODE_SPA; /* the handler returns */
    k->cpu->r[REG_RSP] = STACK_TOP;
    k->cpu->regs.halted = false;
    program_run(k, 10);
    expect_db(k, 2, CODE_SPA + 2, 2);
}

/* Where one operand is seen to match the other must be seen too. */
WITH_KIT(both_operands_of_movs_match)
{
    PROGRAM(k, "\x48\xa5");
    k->cpu->r[REG_RSI] = WATCHED;
    k->cpu->r[REG_RDI] = WATCHED + 0x100;
    watch(k, 2, WATCHED + 4, ON_ACCESS, LEN4);
    watch(k, 3, WATCHED + 0x107, ON_WRITE, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 2, 12);
}

/* rows: events 3.1.8 */
WITH_KIT(match_is_lost_with_an_instruction_that_faults)
{
    PROGRAM(k, "\xff\x31"); /* PUSH [RCX] */
    kit_page(k, 0, 0);
    k->cpu->r[REG_RCX] = WATCHED;
    k->cpu->r[REG_RSP] = PAGED_LA + 0x800;
    kit_idt(k, EXC_PF, 14, 0, 1);
    watch(k, 0, WATCHED, ON_ACCESS, LEN1);
    program_run(k, 10);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(k->cpu->regs.dr[6], DR6_FIXED);
}

/* rows: events 5.24 */
WITH_KIT(implicit_accesses_do_not_match)
{
    PROGRAM(k, "\x8e\xc1\xcd\x40"); /* MOV ES, CX; INT 40h */
    k->cpu->r[REG_RCX] = DATA0;
    watch(k, 0, GDT_SPA + DATA0, ON_ACCESS, LEN8);
    watch(k, 1, IDT_SPA + 16 * 0x40, ON_ACCESS, LEN8);
    watch(k, 2, PML4_SPA, ON_ACCESS, LEN8);
    watch(k, 3, STACK_TOP - 8, ON_ACCESS, LEN8);
    program_run(k, 10);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x40);
    ck_assert_uint_eq(k->cpu->regs.dr[6], DR6_FIXED);
}

/* --- several causes --- */

/* rows: events 3.1.3, 5.5, pitfalls 6.9 */
WITH_KIT(all_causes_of_a_boundary_make_one_db)
{
    PROGRAM(k, "\x88\x01\x90");
    k->cpu->r[REG_RCX] = WATCHED;
    k->cpu->rflags |= FLAG_TF;
    watch(k, 0, WATCHED, ON_WRITE, LEN1);
    watch(k, 1, WATCHED, ON_WRITE, LEN4);
    watch(k, 2, WATCHED + 1, ON_ACCESS, LEN1); /* not touched */
    watch(k, 3, CODE_SPA + 2, ON_FETCH, LEN1); /* not yet */
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 2, 3 | DR6_BS);
}

/* rows: events 5.10, 5.11, pitfalls 6.10, 6.11 */
WITH_KIT(b_bits_are_written_anew_and_the_others_stay)
{
    PROGRAM(k, "\x88\x01\x90");
    k->cpu->r[REG_RCX] = WATCHED;
    watch(k, 1, WATCHED, ON_WRITE, LEN1);
    k->cpu->regs.dr[0] = WATCHED; /* matches, but is not enabled */
    k->cpu->regs.dr[7] |= (uint64_t)ON_WRITE << 16;
    k->cpu->regs.dr[6] = DR6_FIXED | 0xd | DR6_BD | DR6_BT;
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 2, 2 | DR6_BD | DR6_BT);
    ck_assert_uint_eq(k->cpu->rflags, 2);
}

/* rows: events 5.29, 6.11, pitfalls 6.2 */
WITH_KIT(mov_ss_holds_its_data_breakpoint)
{
    static const struct {
        const char *bytes; /* behind MOV SS, [RCX] */
        unsigned len, count, vector;
        uint64_t rip;
    } rows[] = {
        { "\x90", 1, 1, EXC_DB, CODE_SPA + 3 },
        { "\x0f\x0b", 2, 1, EXC_UD, CODE_SPA + 2 }, /* lost */
        { "\xcc", 1, 2, EXC_DB, HANDLER + 16 * EXC_BP },
        { "\xcd\x40", 2, 2, EXC_DB, HANDLER + 16 * 0x40 },
        { "\xf1", 1, 2, EXC_DB, HANDLER + 16 * EXC_DB },
        { "\x0f\x05", 2, 1, EXC_DB, HANDLER + 16 * 0x50 }, /* SYSCALL */
        { "\xf3\xaa", 2, 1, EXC_DB, CODE_SPA + 2 },        /* REP STOSB: after an iteration */
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        uint8_t bytes[8] = { 0x8e, 0x11 };
        memcpy(bytes + 2, rows[i].bytes, rows[i].len);
        program(k, bytes, 2 + rows[i].len);
        kit_put(k, WATCHED, 2, DATA0);
        k->cpu->r[REG_RCX] = WATCHED;
        k->cpu->r[REG_RDI] = DATA_SPA;
        k->cpu->msr.star = (uint64_t)CODE64 << 32;
        k->cpu->msr.lstar = HANDLER + 16 * 0x50;
        k->cpu->msr.sfmask = 0;
        watch(k, 2, WATCHED, ON_ACCESS, LEN2);
        program_run(k, 20);
        ck_assert_msg(k->deliveries == rows[i].count, "row %u: %u", i, k->deliveries);
        ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].vector);
        ck_assert_msg(pushed_rip(k) == rows[i].rip, "row %u: %llx", i,
                      (unsigned long long)pushed_rip(k));
        bool lost = rows[i].vector != EXC_DB;
        ck_assert_uint_eq(k->cpu->regs.dr[6], DR6_FIXED | (lost ? 0 : 4));
    }
}

/* rows: events 6.8, pitfalls 6.3 */
WITH_KIT(second_mov_ss_does_not_extend_the_shadow)
{
    PROGRAM(k, "\x8e\xd1\x8e\xd1\x90\x90"); /* MOV SS, CX twice */
    k->cpu->r[REG_RCX] = DATA0;
    k->cpu->rflags |= FLAG_TF;
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 4, DR6_BS);

    PROGRAM(k, "\x8e\xd1\x8e\xd1\x90\x90");
    k->cpu->r[REG_RCX] = DATA0;
    program_run(k, 1);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    program_run(k, 10);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 4);
}

/* --- ports --- */

/* rows: events 5.4, 5.18, pitfalls 6.19 */
WITH_KIT(port_breakpoint_needs_cr4_de)
{
    for (unsigned de = 0; de < 2; de++)
        for (unsigned on = 0; on < 4; on++) {
            PROGRAM(k, "\xe6\x80\x90"); /* OUT 80h, AL */
            k->cpu->regs.cr4 |= de ? CR4_DE : 0;
            watch(k, 1, 0x80, on, LEN1);
            program_run(k, 10);
            if (de && on == ON_PORT)
                expect_db(k, 1, CODE_SPA + 2, 2);
            else
                expect_none(k);
        }
}

/* rows: events 5.20 */
WITH_KIT(ports_overlap_like_data)
{
    static const struct {
        uint8_t port, bytes;
        bool hit; /* of 82h, 2 bytes */
    } rows[] = {
        { 0x81, 1, false }, { 0x82, 1, true },  { 0x83, 1, true }, { 0x84, 1, false },
        { 0x80, 4, true },  { 0x7e, 4, false }, { 0x83, 4, true },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        const uint8_t bytes[] = { rows[i].bytes == 4 ? 0xe5 : 0xe4, rows[i].port }; /* IN */
        program(k, bytes, 2);
        k->cpu->regs.cr4 |= CR4_DE;
        watch(k, 0, 0x83, ON_PORT, LEN2);
        program_run(k, 10);
        ck_assert_msg(k->deliveries == rows[i].hit, "row %u", i);
    }
    PROGRAM(k, "\xe4\x82"); /* all 64 bits of DRn count */
    k->cpu->regs.cr4 |= CR4_DE;
    watch(k, 0, 0x10082, ON_PORT, LEN1);
    program_run(k, 10);
    expect_none(k);
}

/* rows: events 5.4 */
WITH_KIT(port_breakpoint_stops_rep_outs_after_each_iteration)
{
    PROGRAM(k, "\xf3\x6e");
    k->cpu->regs.cr4 |= CR4_DE;
    k->cpu->r[REG_RDX] = 0x1234;
    k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 3;
    watch(k, 3, 0x1234, ON_PORT, LEN1);
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA, 8);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 2);
    ck_assert_uint_eq(k->writes, 1);
}

/* --- masks, GIF, guests --- */

/* rows: pitfalls 6.20, events 5.20, vmcb 12.5 */
WITH_KIT(masks_drop_address_bits)
{
    for (unsigned n = 0; n < 4; n++)
        for (unsigned on = 0; on < 2; on++) { /* fetch, write */
            static const uint32_t msrs[] = { 0xc0011027, 0xc0011019, 0xc001101a, 0xc001101b };
            PROGRAM(k, "\x90\x90\x88\x01");
            k->cpu->r[REG_RCX] = WATCHED + 0x4321;
            ck_assert_int_eq(msr_write(k->cpu, msrs[n], 0xff0f), STEP_NEXT);
            watch(k, n, on ? WATCHED + 0x20 : CODE_SPA + 0x1020, on, LEN1);
            program_run(k, 10);
            if (on) /* 4321h and 0020h agree in the bits 7:4 that count */
                expect_db(k, 1, CODE_SPA + 4, 1u << n);
            else /* bits 7:4 of CODE_SPA are 0, not 2 */
                expect_none(k);
            PROGRAM(k, "\x90\x90\x88\x01");
            k->cpu->r[REG_RCX] = WATCHED + 0x4331;
            watch(k, n, on ? WATCHED + 0x20 : CODE_SPA + 0x100b, on, LEN1);
            program_run(k, 10);
            if (on)
                expect_none(k);
            else
                expect_db(k, 1, CODE_SPA, 1u << n);
            ck_assert_int_eq(msr_write(k->cpu, msrs[n], 0), STEP_NEXT);
        }
    kit_raised(k, msr_write(k->cpu, 0xc0011019, 1ull << 32), EXC_GP, 0);
}

/* rows: pitfalls 6.21, events 5.28, svmop 8.8-8.9 */
WITH_KIT(gif_0_discards_matches_but_not_single_steps)
{
    for (unsigned gif = 0; gif < 2; gif++) {
        PROGRAM(k, "\x88\x01\xe6\x80\x90\x90");
        k->cpu->regs.cr4 |= CR4_DE;
        k->cpu->svm->gif = gif;
        k->cpu->r[REG_RCX] = WATCHED;
        watch(k, 0, WATCHED, ON_WRITE, LEN1);
        watch(k, 1, 0x80, ON_PORT, LEN1);
        watch(k, 2, CODE_SPA + 4, ON_FETCH, LEN1);
        program_run(k, 6);
        ck_assert_uint_eq(k->deliveries, gif);
        k->cpu->svm->gif = true; /* nothing comes later */
        if (!gif) {
            program_run(k, 2);
            expect_none(k);
        }
    }
    PROGRAM(k, "\x90\x90");
    k->cpu->svm->gif = false;
    k->cpu->rflags |= FLAG_TF;
    program_run(k, 5);
    expect_db(k, 1, CODE_SPA + 1, DR6_BS);
}

/* rows: exit 4.2 */
WITH_KIT(intercepted_db_has_dr6_and_dr7_updated)
{
    PROGRAM(k, "\x88\x01\x90");
    kit_put(k, CODE_SPA + 0x100, 1, 0xf4); /* the host */
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    k->cpu->r[REG_RCX] = WATCHED;
    watch(k, 0, WATCHED, ON_WRITE, LEN1);
    k->cpu->regs.dr[7] |= DR7_GD;
    program_run(k, 10);
    ck_assert(!k->cpu->svm->guest);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + EXC_DB);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED | 1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR7) & (DR7_GD | DR7_ENABLES), 2);
    ck_assert_uint_eq(k->cpu->regs.dr[7], DR7_FIXED); /* the host has none */
}

/* DR7 comes from the VMCB, DR0-DR3 from whoever wrote them. */
/* rows: svmop 3.15 */
WITH_KIT(vmrun_enables_the_guests_breakpoints)
{
    PROGRAM(k, "\x90\x88\x01\x90");
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    kit_put(k, CODE_SPA + 0x100, 3, 0xd8010f); /* VMRUN */
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RCX] = WATCHED;
    k->cpu->r[REG_RIP] = CODE_SPA + 0x100;
    k->cpu->regs.dr[3] = WATCHED;
    VMCB_SET(k->vmcb, DR7, 0x400 | 0x40 | (uint64_t)ON_WRITE << 28);
    k->cpu->svm->gif = true;
    program_run(k, 20);
    expect_db(k, 1, CODE_SPA + 3, 8);
    ck_assert(k->cpu->svm->guest);
}

/* Nothing is slower while no breakpoint on data is enabled. */
WITH_KIT(only_data_breakpoints_close_the_fast_door)
{
    PROGRAM(k, "\x90");
    (void)mem_regime(k->cpu);
    ck_assert_ptr_eq(k->cpu->fast, k->cpu->bank);
    watch(k, 0, WATCHED, ON_FETCH, LEN1);
    watch(k, 1, WATCHED, ON_PORT, LEN1);
    (void)mem_regime(k->cpu);
    ck_assert_ptr_eq(k->cpu->fast, k->cpu->bank);
    watch(k, 1, WATCHED, ON_WRITE, LEN1);
    (void)mem_regime(k->cpu);
    ck_assert_ptr_ne(k->cpu->fast, k->cpu->bank);
    ck_assert_int_eq(debug_set_dr(k->cpu, 7, 0), STEP_LEAVE);
    (void)mem_regime(k->cpu);
    ck_assert_ptr_eq(k->cpu->fast, k->cpu->bank);
}

int main(void)
{
    Suite *suite = suite_create("breakpoints");
    TCase *all = tcase_create("all");
    tcase_add_test(all, fetch_breakpoint_is_a_fault_at_the_first_byte);
    tcase_add_test(all, local_and_global_enables_both_serve);
    tcase_add_test(all, fetch_breakpoint_needs_length_1);
    tcase_add_test(all, rf_passes_a_breakpoint_once);
    tcase_add_test(all, fetch_breakpoint_comes_before_the_faults_of_the_fetch);
    tcase_add_test(all, fetch_breakpoint_comes_before_ud_and_intercepts);
    tcase_add_test(all, no_fetch_breakpoint_in_the_shadow_of_mov_ss);
    tcase_add_test(all, breakpoint_on_the_instruction_behind_mov_to_dr7);
    tcase_add_test(all, fetch_breakpoint_is_a_linear_address);
    tcase_add_test(all, data_breakpoint_is_a_trap_by_kind_of_access);
    tcase_add_test(all, pushes_and_pops_of_instructions_match);
    tcase_add_test(all, any_byte_in_the_aligned_range_matches);
    tcase_add_test(all, two_bytes_match_two);
    tcase_add_test(all, data_breakpoint_stops_rep_after_the_iteration);
    tcase_add_test(all, both_operands_of_movs_match);
    tcase_add_test(all, match_is_lost_with_an_instruction_that_faults);
    tcase_add_test(all, implicit_accesses_do_not_match);
    tcase_add_test(all, all_causes_of_a_boundary_make_one_db);
    tcase_add_test(all, b_bits_are_written_anew_and_the_others_stay);
    tcase_add_test(all, mov_ss_holds_its_data_breakpoint);
    tcase_add_test(all, second_mov_ss_does_not_extend_the_shadow);
    tcase_add_test(all, port_breakpoint_needs_cr4_de);
    tcase_add_test(all, ports_overlap_like_data);
    tcase_add_test(all, port_breakpoint_stops_rep_outs_after_each_iteration);
    tcase_add_test(all, masks_drop_address_bits);
    tcase_add_test(all, gif_0_discards_matches_but_not_single_steps);
    tcase_add_test(all, intercepted_db_has_dr6_and_dr7_updated);
    tcase_add_test(all, vmrun_enables_the_guests_breakpoints);
    tcase_add_test(all, only_data_breakpoints_close_the_fast_door);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* Port I/O: IOPL and the TSS map, the IOPM, EXITINFO, REP and its accounting. APM vol 2, 12.2.5, 15.10. */
#include "tests/cpu/kit.h"

#define IN_AL_DX "\xec"
#define IN_AX_DX "\x66\xed"
#define IN_EAX_DX "\xed"
#define OUT_DX_AL "\xee"
#define OUT_DX_AX "\x66\xef"
#define OUT_DX_EAX "\xef"

/* rows: pitfalls 2.20 */
WITH_KIT(in_and_out_widths)
{
    k->answer = 0x87654321;
    k->cpu->r[REG_RDX] = 0xdead0123;
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, IN_AL_DX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xffffffffffffff21);
    ck_assert_uint_eq(k->last_port, 0x123);
    ck_assert_int_eq(EXEC(k, IN_AX_DX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xffffffffffff4321);
    ck_assert_int_eq(EXEC(k, IN_EAX_DX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x87654321); /* zero-extended */
    k->cpu->r[REG_RAX] = 0x1122334455667788;
    ck_assert_int_eq(EXEC(k, OUT_DX_AL), STEP_NEXT);
    ck_assert_uint_eq(k->last_value, 0x88);
    ck_assert_int_eq(EXEC(k, OUT_DX_AX), STEP_NEXT);
    ck_assert_uint_eq(k->last_value, 0x7788);
    ck_assert_int_eq(EXEC(k, OUT_DX_EAX), STEP_NEXT);
    ck_assert_uint_eq(k->last_value, 0x55667788);
    ck_assert_int_eq(EXEC(k, "\x48\xef"), STEP_NEXT); /* REX.W changes nothing */
    ck_assert_uint_eq(k->last_value, 0x55667788);
    ck_assert_int_eq(EXEC(k, "\xe4\xf4"), STEP_NEXT); /* IN AL, 0F4h */
    ck_assert_uint_eq(k->last_port, 0xf4);
    ck_assert_int_eq(EXEC(k, "\xe6\x80"), STEP_NEXT);
    ck_assert_uint_eq(k->last_port, 0x80);
}

WITH_KIT(attention_leaves_the_chain)
{
    k->port_attention = true;
    ck_assert_int_eq(EXEC(k, OUT_DX_AL), STEP_LEAVE);
    k->cpu->attention = false;
    ck_assert_int_eq(EXEC(k, IN_AL_DX), STEP_LEAVE);
}

/* --- permission --- */

WITH_KIT(iopl_decides_first)
{
    for (unsigned iopl = 0; iopl < 4; iopl++) {
        kit_mode(k, MODE_LONG64, 3);
        k->cpu->rflags |= iopl << 12;
        kit_put(k, TSS_SPA + 0x68, 8, UINT64_MAX); /* the map forbids */
        k->cpu->r[REG_RDX] = 8;
        enum step step = EXEC(k, OUT_DX_AL);
        if (iopl == 3)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_GP, 0);
    }
}

static enum step access_port(struct kit *k, unsigned size, uint16_t port)
{
    k->cpu->r[REG_RDX] = port;
    k->cpu->r[REG_RIP] = CODE_SPA;
    return size == 1 ? EXEC(k, IN_AL_DX) : size == 2 ? EXEC(k, IN_AX_DX) : EXEC(k, IN_EAX_DX);
}

/* rows: pitfalls 9.2 */
WITH_KIT(every_byte_of_the_access_has_its_bit)
{
    kit_mode(k, MODE_LONG64, 3);
    for (unsigned forbidden = 0x100; forbidden < 0x110; forbidden++) {
        kit_put(k, TSS_SPA + 0x68 + forbidden / 8, 1, 1u << forbidden % 8);
        for (unsigned size = 1; size <= 4; size *= 2) {
            for (unsigned port = 0x100; port < 0x110; port++) {
                unsigned reads = k->reads;
                enum step step = access_port(k, size, (uint16_t)port);
                if (forbidden >= port && forbidden < port + size) {
                    kit_raised(k, step, EXC_GP, 0);
                    ck_assert_uint_eq(k->reads, reads);
                } else {
                    ck_assert_int_eq(step, STEP_NEXT);
                }
            }
        }
        kit_put(k, TSS_SPA + 0x68 + forbidden / 8, 1, 0);
    }
}

/* rows: pitfalls 9.2 */
WITH_KIT(map_must_lie_in_the_tss)
{
    kit_mode(k, MODE_LONG64, 3);
    struct segment *tr = &k->cpu->regs.seg[SEG_TR];
    tr->limit = 0x68 + 0x20 + 1; /* two bytes are read */
    ck_assert_int_eq(access_port(k, 1, 0x100), STEP_NEXT);
    tr->limit--;
    kit_raised(k, access_port(k, 1, 0x100), EXC_GP, 0);
    tr->limit = 0x67;
    kit_raised(k, access_port(k, 1, 0), EXC_GP, 0);
    tr->limit = 0x66;
    kit_raised(k, access_port(k, 1, 0), EXC_GP, 0);
    tr->limit = 0x2067;
    kit_put(k, TSS_SPA + 0x66, 2, 0xffff); /* no map */
    kit_raised(k, access_port(k, 1, 0), EXC_GP, 0);
    kit_put(k, TSS_SPA + 0x66, 2, 0x68);
    tr->attr = 0x83; /* a 16-bit TSS has none */
    kit_raised(k, access_port(k, 1, 0), EXC_GP, 0);
}

/* --- the IOPM --- */

#define IO_IN 1u
#define IO_STR 4u
#define IO_REP 8u
#define IO_SZ8 0x10u
#define IO_SZ16 0x20u
#define IO_SZ32 0x40u
#define IO_A32 0x100u
#define IO_A64 0x200u
#define IO_SEG(s) ((uint64_t)(s) << 10)
#define IO_PORT(p) ((uint64_t)(p) << 16)

static void io_guest(struct kit *k, unsigned cpl, uint16_t forbidden)
{
    kit_mode(k, MODE_LONG64, cpl);
    k->cpu->r[REG_RDX] = forbidden;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_IOIO_PROT);
    for (unsigned i = 0; i <= 0x2000; i += 8)
        kit_put(k, IOPM_SPA + i, 8, 0);
    kit_put(k, IOPM_SPA + forbidden / 8, 1, 1u << forbidden % 8);
}

/* rows: exit 1.2.22 */
WITH_KIT(ioio_exit_info)
{
    static const struct {
        const char *bytes;
        uint8_t len;
        uint64_t info;
    } rows[] = {
        { IN_AL_DX, 1, IO_IN | IO_SZ8 | IO_A64 },
        { IN_AX_DX, 2, IO_IN | IO_SZ16 | IO_A64 },
        { IN_EAX_DX, 1, IO_IN | IO_SZ32 | IO_A64 },
        { OUT_DX_AL, 1, IO_SZ8 | IO_A64 },
        { "\x67\xee", 2, IO_SZ8 | IO_A32 },
        { "\x6c", 1, IO_IN | IO_STR | IO_SZ8 | IO_A64 },         /* INSB: ES */
        { "\x6e", 1, IO_STR | IO_SZ8 | IO_A64 | IO_SEG(3) },     /* OUTSB: DS */
        { "\x64\x6e", 2, IO_STR | IO_SZ8 | IO_A64 | IO_SEG(4) }, /* FS: */
        { "\xf3\x6f", 2, IO_STR | IO_REP | IO_SZ32 | IO_A64 | IO_SEG(3) },
        { "\xf3\x66\x6d", 3, IO_IN | IO_STR | IO_REP | IO_SZ16 | IO_A64 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        k->cpu->r[REG_RCX] = 1;
        k->cpu->r[REG_RSI] = k->cpu->r[REG_RDI] = NONCANON; /* faults of the operand come later */
        io_guest(k, 0, 0x3f8);
        kit_exited(k, kit_exec(k, rows[i].bytes, rows[i].len), VMEXIT_IOIO,
                   rows[i].info | IO_PORT(0x3f8), CODE_SPA + rows[i].len, CODE_SPA + rows[i].len);
    }
    ck_assert_uint_eq(k->reads + k->writes, 0);
}

/* rows: exit 2.29 */
WITH_KIT(iopl_and_tss_map_win_over_the_iopm)
{
    kit_put(k, TSS_SPA + 0x68 + 0x3f8 / 8, 1, 1);
    io_guest(k, 3, 0x3f8);
    kit_raised(k, EXEC(k, IN_AL_DX), EXC_GP, 0);
    kit_put(k, TSS_SPA + 0x68 + 0x3f8 / 8, 1, 0);
    kit_exited(k, EXEC(k, IN_AL_DX), VMEXIT_IOIO, IO_IN | IO_SZ8 | IO_A64 | IO_PORT(0x3f8),
               CODE_SPA + 1, CODE_SPA + 1);
}

WITH_KIT(iopm_looks_at_every_byte)
{
    io_guest(k, 0, 0x3fb);
    k->cpu->r[REG_RDX] = 0x3f8;
    ck_assert_int_eq(EXEC(k, IN_AX_DX), STEP_NEXT);
    k->cpu->r[REG_RIP] = CODE_SPA;
    ck_assert_int_eq(EXEC(k, IN_EAX_DX), STEP_VMEXIT);
}

WITH_KIT(rep_with_rcx_0_does_not_exit)
{
    io_guest(k, 0, 0x3f8);
    k->cpu->r[REG_RCX] = 0;
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_NEXT);
}

/* --- strings --- */

WITH_KIT(strings_move_one_element)
{
    k->answer = 0x44332211;
    k->cpu->r[REG_RDI] = DATA_SPA;
    ck_assert_int_eq(EXEC(k, "\x6d"), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 4), 0x44332211);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], DATA_SPA + 4);
    k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->rflags |= FLAG_DF;
    ck_assert_int_eq(EXEC(k, "\x66\x6f"), STEP_NEXT);
    ck_assert_uint_eq(k->last_value, 0x2211);
    ck_assert_uint_eq(k->cpu->r[REG_RSI], DATA_SPA - 2);
}

WITH_KIT(ins_checks_its_destination_before_the_port)
{
    k->cpu->r[REG_RDI] = PAGED_LA + 0xffe;
    kit_page(k, 1, 0);
    kit_raised(k, EXEC(k, "\x6d"), EXC_PF, PF_RW);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0x1000);
    ck_assert_uint_eq(k->reads, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], PAGED_LA + 0xffe);
}

/* rows: pitfalls 9.1 */
WITH_KIT(ins_checks_alignment_before_the_port)
{
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->regs.cr0 |= CR0_AM;
    k->cpu->rflags |= FLAG_IOPL | FLAG_AC;
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RDI] = DATA_SPA + 2;
    kit_raised(k, EXEC(k, "\x6d"), EXC_AC, 0);
    ck_assert_uint_eq(k->reads, 0);
    ck_assert_int_eq(EXEC(k, "\x66\x6d"), STEP_NEXT); /* INSW */
    ck_assert_uint_eq(k->reads, 1);
}

static void rep(struct kit *k, uint64_t count, int32_t budget)
{
    k->cpu->r[REG_RIP] = CODE_SPA;
    k->cpu->r[REG_RCX] = count;
    k->cpu->r[REG_RDI] = k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->budget = budget;
    k->reads = k->writes = 0;
}

WITH_KIT(rep_charges_each_iteration_after_the_first)
{
    rep(k, 5, 100);
    ck_assert_int_eq(EXEC(k, "\xf3\x6c"), STEP_NEXT);
    ck_assert_uint_eq(k->reads, 5);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], DATA_SPA + 5);
    ck_assert_int_eq(k->cpu->budget, 96);
    rep(k, 1, 100);
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_NEXT);
    ck_assert_int_eq(k->cpu->budget, 100);
}

WITH_KIT(rep_stops_when_the_budget_is_used_up)
{
    rep(k, 10, 3);
    ck_assert_int_eq(EXEC(k, "\xf3\x6c"), STEP_REPEAT);
    ck_assert_uint_eq(k->reads, 4); /* budget + 1 */
    ck_assert_int_eq(k->cpu->budget, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 6);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    k->cpu->budget = 5;
    ck_assert_int_eq(EXEC(k, "\xf3\x6c"), STEP_NEXT); /* exactly enough */
    ck_assert_int_eq(k->cpu->budget, 0);
    rep(k, 2, 0);
    ck_assert_int_eq(EXEC(k, "\xf3\x6c"), STEP_REPEAT);
    ck_assert_uint_eq(k->reads, 1);
}

WITH_KIT(rep_with_tf_or_attention_does_one_iteration)
{
    rep(k, 10, 100);
    k->cpu->rflags |= FLAG_TF;
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_REPEAT);
    ck_assert_uint_eq(k->writes, 1);
    k->cpu->rflags &= ~(uint64_t)FLAG_TF;
    rep(k, 10, 100);
    k->port_attention = true;
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_REPEAT);
    ck_assert_uint_eq(k->writes, 1);
    ck_assert_int_eq(k->cpu->budget, 100);
}

WITH_KIT(rep_fault_keeps_the_iterations_done)
{
    kit_page(k, 1, 0);
    rep(k, 10, 100);
    k->cpu->r[REG_RDI] = PAGED_LA + 0x1000 - 3;
    kit_raised(k, EXEC(k, "\xf3\x6c"), EXC_PF, PF_RW);
    ck_assert_uint_eq(k->reads, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 7);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], PAGED_LA + 0x1000);
    ck_assert_int_eq(k->cpu->budget, 97); /* the fault gives back what the block paid for it */
}

/* rows: exit 1.2.22 */
WITH_KIT(rep_exits_at_the_first_intercepted_iteration)
{
    k->cpu->r[REG_RCX] = 3;
    k->cpu->r[REG_RSI] = DATA_SPA;
    io_guest(k, 0, 0x3f8);
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_VMEXIT);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 3);
    ck_assert_uint_eq(k->cpu->r[REG_RSI], DATA_SPA);
    ck_assert_uint_eq(k->writes, 0);
}

WITH_KIT(rep_count_has_the_address_size)
{
    rep(k, 0x100000002, 100);
    k->cpu->r[REG_RDI] = 0xffffffff00000000 | DATA_SPA;
    ck_assert_int_eq(EXEC(k, "\x67\xf3\x6c"), STEP_NEXT);
    ck_assert_uint_eq(k->reads, 2);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], DATA_SPA + 2); /* zero-extended */
}

int main(void)
{
    Suite *suite = suite_create("io");
    TCase *all = tcase_create("all");
    tcase_add_test(all, in_and_out_widths);
    tcase_add_test(all, attention_leaves_the_chain);
    tcase_add_test(all, iopl_decides_first);
    tcase_add_test(all, every_byte_of_the_access_has_its_bit);
    tcase_add_test(all, map_must_lie_in_the_tss);
    tcase_add_test(all, ioio_exit_info);
    tcase_add_test(all, iopl_and_tss_map_win_over_the_iopm);
    tcase_add_test(all, iopm_looks_at_every_byte);
    tcase_add_test(all, rep_with_rcx_0_does_not_exit);
    tcase_add_test(all, strings_move_one_element);
    tcase_add_test(all, ins_checks_its_destination_before_the_port);
    tcase_add_test(all, ins_checks_alignment_before_the_port);
    tcase_add_test(all, rep_charges_each_iteration_after_the_first);
    tcase_add_test(all, rep_stops_when_the_budget_is_used_up);
    tcase_add_test(all, rep_with_tf_or_attention_does_one_iteration);
    tcase_add_test(all, rep_fault_keeps_the_iterations_done);
    tcase_add_test(all, rep_exits_at_the_first_intercepted_iteration);
    tcase_add_test(all, rep_count_has_the_address_size);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

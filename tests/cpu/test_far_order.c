/* Which of several faults of a far return comes first, and what level 3 sees of segments: measured on Zen 4 by tests/differential,
 * where the manual leaves it open. */
#include "tests/cpu/kit.h"

#define IRETQ "\x48\xcf"
#define RETFQ "\x48\xcb"
#define BEYOND 0xfff8u /* no GDT entry */

/* Put words at the end of a page whose successor is missing; RSP points at the first. */
static void stack_at_page_end(struct kit *k, const uint64_t *words, unsigned count)
{
    uint64_t rsp = PAGED_LA + 0x1000 - 8 * count;
    kit_page(k, 1, 0);
    for (unsigned i = 0; i < count; i++)
        kit_put(k, rsp + 8 * i, 8, words[i]);
    k->cpu->r[REG_RSP] = rsp;
}

/* The stack of the other level is read as soon as the RPL tells of one, SS first; then CS is looked at. */
WITH_KIT(retf_reads_the_other_stack_before_it_looks_at_cs)
{
    const uint64_t frame[] = { CODE_SPA, BEYOND | 3 };
    stack_at_page_end(k, frame, 2);
    kit_raised(k, EXEC(k, RETFQ), EXC_PF, 0);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0x1008);
    const uint64_t same[] = { CODE_SPA, BEYOND };
    stack_at_page_end(k, same, 2); /* the same level: no other stack */
    kit_raised(k, EXEC(k, RETFQ), EXC_GP, BEYOND);
}

/* The selector is read before the offset. */
WITH_KIT(retf_reads_cs_before_rip)
{
    kit_page(k, 1, 0);
    k->cpu->r[REG_RSP] = PAGED_LA + 0x1000;
    kit_raised(k, EXEC(k, RETFQ), EXC_PF, 0);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0x1008);
}

WITH_KIT(iret_reads_rflags_first)
{
    kit_page(k, 1, 0);
    k->cpu->r[REG_RSP] = PAGED_LA + 0x1000;
    kit_raised(k, EXEC(k, IRETQ), EXC_PF, 0);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0x1010);
}

/* RIP is checked before SS. */
WITH_KIT(iret_checks_rip_before_ss)
{
    const uint64_t frame[] = { NONCANON, CODE64, 2, STACK_TOP, BEYOND };
    for (unsigned i = 0; i < 5; i++)
        kit_put(k, DATA_SPA + 8 * i, 8, frame[i]);
    k->cpu->r[REG_RSP] = DATA_SPA;
    kit_raised(k, EXEC(k, IRETQ), EXC_GP, 0);
    kit_put(k, DATA_SPA, 8, CODE_SPA);
    kit_raised(k, EXEC(k, IRETQ), EXC_GP, BEYOND);
}

/* WRFSBASE goes by the paging that is on, WRMSR by what the processor has. */
WITH_KIT(wrfsbase_checks_the_current_width)
{
    ck_assert(cpu_has(k->cpu, CPU_FEATURE_LA57));
    k->cpu->regs.cr4 |= CR4_FSGSBASE;
    k->cpu->r[REG_RAX] = UINT64_C(1) << 50;
    kit_raised(k, EXEC(k, "\xf3\x48\x0f\xae\xd0"), EXC_GP, 0);
    ck_assert_int_eq(msr_write(k->cpu, 0xc0000100, UINT64_C(1) << 50), STEP_NEXT);
    k->cpu->r[REG_RAX] = UINT64_C(1) << 46;
    ck_assert_int_eq(EXEC(k, "\xf3\x48\x0f\xae\xd0"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, UINT64_C(1) << 46);
}

int main(void)
{
    Suite *suite = suite_create("far_order");
    TCase *all = tcase_create("all");
    tcase_add_test(all, retf_reads_the_other_stack_before_it_looks_at_cs);
    tcase_add_test(all, retf_reads_cs_before_rip);
    tcase_add_test(all, iret_reads_rflags_first);
    tcase_add_test(all, iret_checks_rip_before_ss);
    tcase_add_test(all, wrfsbase_checks_the_current_width);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* Segment loads, descriptor tables, LAR and its kin, bases. APM vol 2, chapter 4; vol 3, chapters 3 and 4. */
#include "tests/cpu/kit.h"

#define MOV_DS_AX "\x8e\xd8"
#define MOV_SS_AX "\x8e\xd0"
#define MOV_FS_AX "\x8e\xe0"

static enum step mov(struct kit *k, const char *bytes, uint16_t selector)
{
    k->cpu->r[REG_RAX] = selector;
    return kit_exec(k, bytes, 2);
}

/* rows: events 13.1 */
WITH_KIT(data_segment_checks)
{
    static const struct {
        uint16_t selector;
        uint8_t cpl, vector;
    } rows[] = {
        { GDT_BYTES, 0, EXC_GP }, { DATA0 | 4, 0, EXC_GP }, { TSS, 0, EXC_GP },
        { EXEC_ONLY, 0, EXC_GP }, { DATA0, 3, EXC_GP },     { DATA0 | 3, 0, EXC_GP }, /* RPL */
        { CODE64, 3, EXC_GP },    { DATA_NP, 0, EXC_NP },   { CODE_NP, 0, EXC_NP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, rows[i].cpl);
        struct segment before = k->cpu->regs.seg[SEG_DS];
        kit_raised(k, mov(k, MOV_DS_AX, rows[i].selector), rows[i].vector,
                   rows[i].selector & 0xfffc);
        ck_assert_mem_eq(&before, &k->cpu->regs.seg[SEG_DS], sizeof(before));
    }
    static const uint16_t good[] = { DATA0, DATA3, READ_ONLY, CODE64, CONFORMING | 3, SMALL, LAST };
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        ck_assert_int_eq(mov(k, MOV_DS_AX, good[i]), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].selector, good[i]);
    }
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].limit, UINT32_MAX); /* G = 1 */
}

/* rows: events 13.2, pitfalls 3.4 */
WITH_KIT(stack_segment_checks)
{
    static const struct {
        uint16_t selector;
        uint8_t cpl, vector;
        uint16_t code;
    } rows[] = {
        { GDT_BYTES, 0, EXC_GP, GDT_BYTES },
        { DATA0 | 3, 0, EXC_GP, DATA0 },
        { DATA3, 0, EXC_GP, DATA3 },
        { READ_ONLY, 0, EXC_GP, READ_ONLY },
        { CODE64, 0, EXC_GP, CODE64 },
        { DATA_NP, 0, EXC_SS, DATA_NP },
        { 0, 3, EXC_GP, 0 },
        { 3, 3, EXC_GP, 0 }, /* null at level 3 */
        { 1, 0, EXC_GP, 0 }, /* null with RPL != CPL */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, rows[i].cpl);
        kit_raised(k, mov(k, MOV_SS_AX, rows[i].selector), rows[i].vector, rows[i].code);
        ck_assert(!k->cpu->regs.shadow_next);
    }
    kit_mode(k, MODE_COMPAT32, 0);
    kit_raised(k, mov(k, MOV_SS_AX, 0), EXC_GP, 0);
    kit_mode(k, MODE_LONG64, 0);
    ck_assert_int_eq(mov(k, MOV_SS_AX, 0), STEP_LEAVE);
}

WITH_KIT(loading_ss_starts_a_shadow_lss_does_not)
{
    ck_assert_int_eq(mov(k, MOV_SS_AX, DATA0), STEP_LEAVE);
    ck_assert(k->cpu->regs.shadow_next);
    k->cpu->regs.shadow_next = false;
    ck_assert_int_eq(mov(k, MOV_DS_AX, DATA0), STEP_NEXT);
    ck_assert(!k->cpu->regs.shadow_next);
    kit_put(k, DATA_SPA, 4, 0x1234);
    kit_put(k, DATA_SPA + 4, 2, DATA0);
    k->cpu->r[REG_RBX] = DATA_SPA;
    ck_assert_int_eq(EXEC(k, "\x0f\xb2\x23"), STEP_NEXT); /* LSS ESP, [RBX] */
    ck_assert(!k->cpu->regs.shadow_next);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x1234);
    kit_mode(k, MODE_PROT32, 0);
    kit_put(k, STACK_TOP, 4, DATA0);
    ck_assert_int_eq(EXEC(k, "\x17"), STEP_LEAVE); /* POP SS */
    ck_assert(k->cpu->regs.shadow_next);
}

/* rows: pitfalls 3.1, events 13.1 */
WITH_KIT(null_selector_clears_the_base)
{
    k->cpu->regs.seg[SEG_FS].base = 0x1234;
    ck_assert_int_eq(mov(k, MOV_FS_AX, 3), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].selector, 3);
    struct cpu_model old = *k->cpu->model;
    old.features[CPU_FEATURE_NULL_SEL_CLR] = false;
    k->cpu->model = &old;
    k->cpu->regs.seg[SEG_FS].base = 0x1234;
    ck_assert_int_eq(mov(k, MOV_FS_AX, 0), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x1234);
    static const struct {
        const char *model;
        uint64_t base;
    } rows[] = {
        { "epyc-naples", 0x1234 }, { "ryzen-zen-plus", 0x1234 }, { "epyc-rome", 0 },
        { "ryzen-zen2", 0 },       { "epyc-milan", 0 },          { "epyc-genoa", 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) { /* Zen 2 has no bit for it */
        ck_assert_int_eq(cpu_model_parse(rows[i].model, &old, NULL), PACIFICA_OK);
        k->cpu->regs.seg[SEG_FS].base = 0x1234;
        ck_assert_int_eq(mov(k, MOV_FS_AX, 0), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, rows[i].base);
    }
}

/* rows: events 13.9, pitfalls 3.6 */
WITH_KIT(accessed_bit_is_set_once_all_checks_passed)
{
    kit_gdt(k, FREE, kit_descriptor(0x12345678, 0x54321, 0x4f2)); /* DPL 3, not accessed */
    ck_assert_int_eq(mov(k, MOV_FS_AX, FREE), STEP_NEXT);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 0xff, 0xf3);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x12345678);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].limit, 0x54321);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].attr, 0x4f3);
    kit_gdt(k, FREE, kit_descriptor(0, 0, 0x472)); /* not present */
    kit_raised(k, mov(k, MOV_FS_AX, FREE), EXC_NP, FREE);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 0xff, 0x72);
}

/* rows: events 13.9 */
WITH_KIT(accessed_bit_on_a_read_only_page_faults)
{
    memcpy(memory_ptr(k->memory, PAGED_LA, GDT_BYTES), memory_ptr(k->memory, GDT_SPA, GDT_BYTES),
           GDT_BYTES);
    k->cpu->regs.gdtr.base = PAGED_LA;
    kit_put(k, PAGED_LA + FREE, 8, kit_descriptor(0, 0xfffff, 0xcf2));
    kit_page(k, 0, PAGED_LA | 5);
    kit_raised(k, mov(k, MOV_FS_AX, FREE), EXC_PF, PF_P | PF_RW);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + FREE + 5);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].selector, DATA0);
    ck_assert_int_eq(mov(k, MOV_FS_AX, DATA3), STEP_NEXT); /* accessed already */
}

/* rows: events 13.8, pitfalls 3.6 */
WITH_KIT(descriptor_reads_are_supervisor_accesses)
{
    kit_mode(k, MODE_LONG64, 3);
    memcpy(memory_ptr(k->memory, PAGED_LA, GDT_BYTES), memory_ptr(k->memory, GDT_SPA, GDT_BYTES),
           GDT_BYTES);
    k->cpu->regs.gdtr.base = PAGED_LA;
    kit_page(k, 0, PAGED_LA | 3); /* U = 0 */
    ck_assert_int_eq(mov(k, MOV_FS_AX, DATA3), STEP_NEXT);
    kit_page(k, 0, 0);
    kit_raised(k, mov(k, MOV_FS_AX, DATA3), EXC_PF, 0); /* U = 0 in the code too */
}

/* rows: events 13.8 */
WITH_KIT(ldt_selectors_use_the_ldt)
{
    kit_put(k, LDT_SPA + 8, 8, kit_descriptor(0x1000, 0xfffff, 0xcf3));
    k->cpu->r[REG_RAX] = LDT;
    ck_assert_int_eq(EXEC(k, "\x0f\x00\xd0"), STEP_NEXT); /* LLDT AX */
    ck_assert_int_eq(mov(k, MOV_FS_AX, 8 | 4), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x1000);
    kit_raised(k, mov(k, MOV_FS_AX, 0x100 | 4), EXC_GP, 0x104); /* beyond its limit */
}

/* rows: events 13.8 */
WITH_KIT(table_limit_counts_the_whole_descriptor)
{
    k->cpu->regs.gdtr.limit = DATA3 + 6;
    kit_raised(k, mov(k, MOV_FS_AX, DATA3), EXC_GP, DATA3);
    k->cpu->regs.gdtr.limit = DATA3 + 7;
    ck_assert_int_eq(mov(k, MOV_FS_AX, DATA3), STEP_NEXT);
}

/* Descriptor tables have 64-bit addresses in compatibility mode too. */
WITH_KIT(descriptor_above_4_gib_may_cross_pages_in_compatibility_mode)
{
    kit_mode(k, MODE_COMPAT32, 0);
    kit_put(k, PML4_SPA + 8 * 256, 8, 0x200007); /* FFFF_8000_0000_0000h is at 8 MiB */
    kit_put(k, 0x200000, 8, 0x201007);
    kit_put(k, 0x201000, 8, 0x800087);
    k->cpu->regs.gdtr = (struct table_register){ 0xffff800000000ff4, 0xff };
    uint64_t raw = kit_descriptor(0x12345678, 0xfffff, 0xc93);
    kit_put(k, 0x800ffc, 4, raw & 0xffffffff);
    kit_put(k, 0x801000, 4, raw >> 32);
    ck_assert_int_eq(segment_load(k->cpu, SEG_DS, 8), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_DS].base, 0x12345678);
}

/* rows: events 13.3, pitfalls 3.28 */
WITH_KIT(mov_to_cs_is_ud)
{
    uint8_t padded[15] = { 0x8e, 0xc8 };
    struct insn in;
    if (decode_insn(padded, 15, MODE_LONG64, &in) == DECODE_OK)
        kit_raised(k, EXEC(k, "\x8e\xc8"), EXC_UD, NO_CODE);
}

WITH_KIT(mov_from_segment_widths)
{
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, "\x8c\xd8"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], DATA0); /* zero-extended */
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, "\x66\x8c\xd8"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xffffffffffff0000 | DATA0);
    k->cpu->r[REG_RBX] = DATA_SPA;
    kit_put(k, DATA_SPA, 8, UINT64_MAX);
    ck_assert_int_eq(EXEC(k, "\x48\x8c\x1b"), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 8), 0xffffffffffff0000 | DATA0); /* 2 bytes */
}

WITH_KIT(pop_segment_that_faults_keeps_rsp)
{
    kit_put(k, STACK_TOP, 8, DATA_NP);
    kit_raised(k, EXEC(k, "\x0f\xa1"), EXC_NP, DATA_NP); /* POP FS */
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    kit_put(k, STACK_TOP, 8, 0xffff0000 | DATA3);
    ck_assert_int_eq(EXEC(k, "\x0f\xa1"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP + 8);
    ck_assert_int_eq(EXEC(k, "\x0f\xa0"), STEP_NEXT); /* PUSH FS: zero-extended */
    ck_assert_uint_eq(kit_get(k, STACK_TOP, 8), DATA3);
}

WITH_KIT(far_load_that_faults_changes_nothing)
{
    kit_put(k, DATA_SPA, 4, 0x1234);
    kit_put(k, DATA_SPA + 4, 2, DATA_NP);
    k->cpu->r[REG_RBX] = DATA_SPA;
    k->cpu->r[REG_RAX] = 7;
    kit_raised(k, EXEC(k, "\x0f\xb5\x03"), EXC_NP, DATA_NP); /* LGS EAX, [RBX] */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 7);
    kit_put(k, DATA_SPA + 4, 2, DATA3);
    ck_assert_int_eq(EXEC(k, "\x0f\xb5\x03"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1234);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].selector, DATA3);
}

/* --- LLDT, LTR --- */

#define LLDT_AX "\x0f\x00\xd0"
#define LTR_AX "\x0f\x00\xd8"

static enum step with_ax(struct kit *k, const char *bytes, uint16_t selector)
{
    k->cpu->r[REG_RAX] = selector;
    return kit_exec(k, bytes, 3);
}

/* rows: events 13.5, pitfalls 3.7 */
WITH_KIT(ltr_rules)
{
    kit_raised(k, with_ax(k, LTR_AX, 0), EXC_GP, 0);
    kit_raised(k, with_ax(k, LTR_AX, TSS | 4), EXC_GP, TSS | 4);
    kit_raised(k, with_ax(k, LTR_AX, GDT_BYTES), EXC_GP, GDT_BYTES);
    kit_raised(k, with_ax(k, LTR_AX, LDT), EXC_GP, LDT);
    kit_raised(k, with_ax(k, LTR_AX, DATA0), EXC_GP, DATA0);
    kit_gdt(k, FREE, kit_descriptor(0x1000, 0x67, 0x081)); /* 16-bit TSS in long mode */
    kit_raised(k, with_ax(k, LTR_AX, FREE), EXC_GP, FREE);
    kit_gdt(k, FREE, kit_descriptor(0x1000, 0x67, 0x08b)); /* busy */
    kit_raised(k, with_ax(k, LTR_AX, FREE), EXC_GP, FREE);
    kit_gdt(k, FREE, kit_descriptor(0x1000, 0x67, 0x009));
    kit_raised(k, with_ax(k, LTR_AX, FREE), EXC_NP, FREE);
    kit_gdt(k, LAST, kit_descriptor(0x1000, 0x67, 0x089)); /* upper half beyond the limit */
    kit_raised(k, with_ax(k, LTR_AX, LAST), EXC_GP, LAST);
    kit_gdt(k, FREE, kit_descriptor(0x1000, 0x67, 0x089));
    kit_put(k, GDT_SPA + FREE + 8, 8, 1ull << 40); /* type of the upper half */
    kit_raised(k, with_ax(k, LTR_AX, FREE), EXC_GP, FREE);
    kit_put(k, GDT_SPA + FREE + 8, 8, NONCANON >> 32);
    kit_raised(k, with_ax(k, LTR_AX, FREE), EXC_GP, FREE);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 0xff, 0x89);
    kit_put(k, GDT_SPA + FREE + 8, 8, 0xffff8000);
    ck_assert_int_eq(with_ax(k, LTR_AX, FREE), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].base, 0xffff800000001000);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 0xff, 0x8b); /* busy */
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, with_ax(k, LTR_AX, FREE), EXC_GP, 0);
}

/* rows: events 13.4, pitfalls 3.7 */
WITH_KIT(lldt_rules)
{
    kit_raised(k, with_ax(k, LLDT_AX, LDT | 4), EXC_GP, LDT | 4);
    kit_raised(k, with_ax(k, LLDT_AX, TSS), EXC_GP, TSS);
    kit_gdt(k, FREE, kit_descriptor(0x1000, 0x67, 0x002));
    kit_raised(k, with_ax(k, LLDT_AX, FREE), EXC_NP, FREE);
    ck_assert_int_eq(with_ax(k, LLDT_AX, LDT), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_LDTR].base, LDT_SPA);
    ck_assert_int_eq(with_ax(k, LLDT_AX, 0), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_LDTR].attr & SEG_ATTR_P, 0);
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, with_ax(k, LLDT_AX, 0), EXC_GP, 0);
}

/* rows: events 13.4, 13.5 */
WITH_KIT(legacy_system_descriptors_have_8_bytes)
{
    kit_mode(k, MODE_PROT32, 0);
    kit_gdt(k, LAST, kit_descriptor(0x1000, 0x67, 0x081));
    ck_assert_int_eq(with_ax(k, LTR_AX, LAST), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].attr & 15, SYS_TSS16_BUSY);
}

/* --- LGDT and its kin --- */

#define LGDT_RBX "\x0f\x01\x13"
#define LIDT_RBX "\x0f\x01\x1b"
#define SGDT_RBX "\x0f\x01\x03"
#define SIDT_RBX "\x0f\x01\x0b"

/* rows: events 13.6, pitfalls 3.23 */
WITH_KIT(lgdt_and_sgdt_64)
{
    k->cpu->r[REG_RBX] = DATA_SPA;
    kit_put(k, DATA_SPA, 2, 0x7f);
    kit_put(k, DATA_SPA + 2, 8, 0xffff800000001000);
    ck_assert_int_eq(EXEC(k, LGDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.gdtr.base, 0xffff800000001000);
    ck_assert_uint_eq(k->cpu->regs.gdtr.limit, 0x7f);
    ck_assert_int_eq(EXEC(k, LIDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.idtr.base, 0xffff800000001000);
    kit_put(k, DATA_SPA + 2, 8, NONCANON);
    kit_raised(k, EXEC(k, LGDT_RBX), EXC_GP, 0);
    kit_raised(k, EXEC(k, LIDT_RBX), EXC_GP, 0);
    kit_put(k, DATA_SPA + 2, 8, 0);
    ck_assert_int_eq(EXEC(k, SGDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 2, 8), 0xffff800000001000);
    ck_assert_int_eq(EXEC(k, SIDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 2), 0x7f);
}

/* rows: events 13.6 */
WITH_KIT(lgdt_and_sgdt_32)
{
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->r[REG_RBX] = DATA_SPA;
    kit_put(k, DATA_SPA, 2, 0x7f);
    kit_put(k, DATA_SPA + 2, 8, 0x5a5a5a5a87654321);
    ck_assert_int_eq(EXEC(k, LGDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.gdtr.base, 0x87654321);
    ck_assert_int_eq(EXEC(k, "\x66\x0f\x01\x13"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.gdtr.base, 0x654321); /* 24 bits */
    ck_assert_int_eq(EXEC(k, SGDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + 2, 8), 0x5a5a5a5a00654321); /* 4 bytes */
}

WITH_KIT(sgdt_checks_both_pages_first)
{
    k->cpu->r[REG_RBX] = PAGED_LA + 0xffd;
    kit_put(k, PAGED_LA + 0xffd, 2, 0x5a5a);
    kit_page(k, 1, 0);
    kit_raised(k, EXEC(k, SGDT_RBX), EXC_PF, PF_RW);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0x1000);
    ck_assert_uint_eq(kit_get(k, PAGED_LA + 0xffd, 2), 0x5a5a);
}

/* What a 32-bit segment reaches wraps around at 4 GiB. */
WITH_KIT(sgdt_wraps_around_at_4_gib)
{
    const unsigned directory = 0x8000;
    kit_put(k, 0x2000 + 8 * 3, 8, directory | 7);
    kit_put(k, directory + 8 * 511, 8, 0x200087); /* the last 2 MiB below 4 GiB */
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->regs.seg[SEG_DS].base = 0xfffff000;
    k->cpu->r[REG_RBX] = 0xffc;
    kit_put(k, 0, 8, 0);
    ck_assert_int_eq(EXEC(k, SGDT_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, 0x3ffffc, 4), (uint32_t)GDT_SPA << 16 | (GDT_BYTES - 1));
    ck_assert_uint_eq(kit_get(k, 0, 4), GDT_SPA >> 16);
}

/* rows: pitfalls 3.25, events 13.6 */
WITH_KIT(table_stores_obey_umip_loads_need_cpl_0)
{
    static const struct {
        const char *bytes;
        bool store;
    } rows[] = {
        { SGDT_RBX, true },        { SIDT_RBX, true },        { "\x0f\x00\x03", true },
        { "\x0f\x00\x0b", true },  { "\x0f\x01\x23", true }, /* SLDT, STR, SMSW [RBX] */
        { LGDT_RBX, false },       { LIDT_RBX, false },       { "\x0f\x00\x13", false },
        { "\x0f\x00\x1b", false }, { "\x0f\x01\x33", false }, /* LLDT, LTR, LMSW [RBX] */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 3);
        k->cpu->r[REG_RBX] = DATA_SPA;
        if (rows[i].store)
            ck_assert_int_eq(kit_exec(k, rows[i].bytes, 3), STEP_NEXT);
        else
            kit_raised(k, kit_exec(k, rows[i].bytes, 3), EXC_GP, 0);
        k->cpu->regs.cr4 |= CR4_UMIP;
        for (uint8_t cpl = 1; cpl <= 3; cpl++) {
            k->cpu->regs.cpl = cpl;
            kit_raised(k, kit_exec(k, rows[i].bytes, 3), EXC_GP, 0);
        }
    }
}

/* --- LAR, LSL, VERR, VERW --- */

#define LAR "\x0f\x02\xc8" /* ECX, EAX */
#define LSL "\x0f\x03\xc8"
#define VERR "\x0f\x00\xe0" /* AX */
#define VERW "\x0f\x00\xe8"

static bool looked(struct kit *k, const char *bytes, uint16_t selector)
{
    k->cpu->r[REG_RCX] = 0xdead;
    k->cpu->rflags ^= FLAG_ZF;
    ck_assert_int_eq(with_ax(k, bytes, selector), STEP_NEXT);
    return cpu_rflags(k->cpu) & FLAG_ZF;
}

/* rows: events 13.7 */
WITH_KIT(lar_and_lsl_answer)
{
    ck_assert(looked(k, LAR, CODE64));
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0x00af9b00);
    ck_assert(looked(k, LSL, SMALL));
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0xfff);
    ck_assert(looked(k, LSL, DATA0));
    ck_assert_uint_eq(k->cpu->r[REG_RCX], UINT32_MAX);
    ck_assert(!looked(k, LAR, 0));
    ck_assert(!looked(k, LAR, GDT_BYTES));
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0xdead); /* unchanged */
    ck_assert(!looked(k, LSL, DATA0 | 3));         /* RPL > DPL */
    ck_assert(looked(k, LSL, CONFORMING | 3));
}

/* rows: events 13.7 */
WITH_KIT(lar_and_lsl_system_types)
{
    const uint32_t lar[2] = { 0x1a3e, 0x1a04 }, lsl[2] = { 0x0a0e, 0x0a04 };
    for (unsigned lm = 0; lm < 2; lm++) {
        kit_mode(k, lm ? MODE_LONG64 : MODE_PROT32, 0);
        for (unsigned type = 0; type < 16; type++) {
            kit_gdt(k, FREE, kit_descriptor(0, 0x67, (uint16_t)(0x80 | type)));
            ck_assert_int_eq(looked(k, LAR, FREE), lar[lm] >> type & 1);
            ck_assert_int_eq(looked(k, LSL, FREE), lsl[lm] >> type & 1);
            ck_assert(!looked(k, VERR, FREE));
        }
    }
}

/* rows: events 13.7 */
WITH_KIT(verr_and_verw)
{
    ck_assert(looked(k, VERR, DATA0));
    ck_assert(looked(k, VERW, DATA0));
    ck_assert(looked(k, VERR, READ_ONLY));
    ck_assert(!looked(k, VERW, READ_ONLY));
    ck_assert(looked(k, VERR, CODE64));
    ck_assert(!looked(k, VERW, CODE64));
    ck_assert(!looked(k, VERR, EXEC_ONLY));
}

WITH_KIT(arpl_raises_the_rpl)
{
    kit_mode(k, MODE_PROT32, 3);
    for (unsigned to = 0; to < 4; to++) {
        for (unsigned from = 0; from < 4; from++) {
            k->cpu->r[REG_RCX] = 0x12340010 | to;
            k->cpu->r[REG_RAX] = 0xffe0 | from;
            ck_assert_int_eq(EXEC(k, "\x63\xc1"), STEP_NEXT); /* ARPL CX, AX */
            ck_assert_uint_eq(k->cpu->r[REG_RCX], 0x12340010 | (from > to ? from : to));
            ck_assert_int_eq((cpu_rflags(k->cpu) & FLAG_ZF) != 0, from > to);
        }
    }
}

/* --- bases --- */

WITH_KIT(swapgs_rules)
{
    k->cpu->regs.seg[SEG_GS].base = 1;
    k->cpu->msr.kernel_gs_base = 2;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xf8"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].base, 2);
    ck_assert_uint_eq(k->cpu->msr.kernel_gs_base, 1);
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, EXEC(k, "\x0f\x01\xf8"), EXC_GP, 0);
}

WITH_KIT(fsgsbase_rules)
{
    k->cpu->r[REG_RAX] = 0x123456789a;
    kit_raised(k, EXEC(k, "\xf3\x48\x0f\xae\xd0"), EXC_UD, NO_CODE); /* CR4.FSGSBASE = 0 */
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->regs.cr4 |= CR4_FSGSBASE;
    ck_assert_int_eq(EXEC(k, "\xf3\x48\x0f\xae\xd0"), STEP_NEXT); /* WRFSBASE RAX */
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x123456789a);
    ck_assert_int_eq(EXEC(k, "\xf3\x0f\xae\xd8"), STEP_NEXT); /* WRGSBASE EAX */
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].base, 0x3456789a);
    ck_assert_int_eq(EXEC(k, "\xf3\x48\x0f\xae\xc1"), STEP_NEXT); /* RDFSBASE RCX */
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0x123456789a);
    k->cpu->r[REG_RAX] = NONCANON;
    kit_raised(k, EXEC(k, "\xf3\x48\x0f\xae\xd0"), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x123456789a);
}

int main(void)
{
    Suite *suite = suite_create("segment");
    TCase *load = tcase_create("loads");
    tcase_add_test(load, data_segment_checks);
    tcase_add_test(load, stack_segment_checks);
    tcase_add_test(load, loading_ss_starts_a_shadow_lss_does_not);
    tcase_add_test(load, null_selector_clears_the_base);
    tcase_add_test(load, accessed_bit_is_set_once_all_checks_passed);
    tcase_add_test(load, accessed_bit_on_a_read_only_page_faults);
    tcase_add_test(load, descriptor_reads_are_supervisor_accesses);
    tcase_add_test(load, ldt_selectors_use_the_ldt);
    tcase_add_test(load, table_limit_counts_the_whole_descriptor);
    tcase_add_test(load, descriptor_above_4_gib_may_cross_pages_in_compatibility_mode);
    tcase_add_test(load, mov_to_cs_is_ud);
    tcase_add_test(load, mov_from_segment_widths);
    tcase_add_test(load, pop_segment_that_faults_keeps_rsp);
    tcase_add_test(load, far_load_that_faults_changes_nothing);
    suite_add_tcase(suite, load);
    TCase *system = tcase_create("system");
    tcase_add_test(system, ltr_rules);
    tcase_add_test(system, lldt_rules);
    tcase_add_test(system, legacy_system_descriptors_have_8_bytes);
    tcase_add_test(system, lgdt_and_sgdt_64);
    tcase_add_test(system, lgdt_and_sgdt_32);
    tcase_add_test(system, sgdt_checks_both_pages_first);
    tcase_add_test(system, sgdt_wraps_around_at_4_gib);
    tcase_add_test(system, table_stores_obey_umip_loads_need_cpl_0);
    tcase_add_test(system, lar_and_lsl_answer);
    tcase_add_test(system, lar_and_lsl_system_types);
    tcase_add_test(system, verr_and_verw);
    tcase_add_test(system, arpl_raises_the_rpl);
    tcase_add_test(system, swapgs_rules);
    tcase_add_test(system, fsgsbase_rules);
    suite_add_tcase(suite, system);
    return kit_run(suite);
}

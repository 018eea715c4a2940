/* The instructions that manage shadow stacks. APM vol 2, 18.10 "Shadow Stack Switching Using RSTORSSP", 18.11 "Shadow Stack
 * Management Instructions". */
#include "tests/check_main.h"
#include "tests/cpu/shadow_kit.h"

#define RDSSPD_RAX "\xf3\x0f\x1e\xc8"
#define RDSSPQ_RAX "\xf3\x48\x0f\x1e\xc8"
#define INCSSPD_RAX "\xf3\x0f\xae\xe8"
#define INCSSPQ_RAX "\xf3\x48\x0f\xae\xe8"
#define RSTORSSP_RBX "\xf3\x0f\x01\x2b"
#define SAVEPREVSSP "\xf3\x0f\x01\xea"
#define SETSSBSY "\xf3\x0f\x01\xe8"
#define CLRSSBSY_RBX "\xf3\x0f\xae\x33"
#define WRSSD_RBX_RAX "\x0f\x38\xf6\x03"
#define WRSSQ_RBX_RAX "\x48\x0f\x38\xf6\x03"
#define WRUSSD_RBX_RAX "\x66\x0f\x38\xf5\x03"
#define WRUSSQ_RBX_RAX "\x66\x48\x0f\x38\xf5\x03"
#define STATUS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)
#define OTHER (SUPERVISOR_LA + 0x1800u) /* a place on another stack of the same level */

static void set_status(struct kit *k, uint64_t flags)
{
    cpu_set_rflags(k->cpu, (cpu_rflags(k->cpu) & ~(uint64_t)STATUS) | flags);
}

static uint64_t status(struct kit *k)
{
    return cpu_rflags(k->cpu) & STATUS;
}

/* --- what is not there --- */

static const struct form {
    const char *bytes;
    unsigned len;
    bool supervisor; /* S_CET decides at every level */
    bool legacy;     /* exists outside 64-bit mode */
} forms[] = {
#define FORM(bytes, supervisor, legacy)              \
    {                                                \
        bytes, sizeof(bytes) - 1, supervisor, legacy \
    }
    FORM(INCSSPD_RAX, false, true),   FORM(INCSSPQ_RAX, false, false),
    FORM(RSTORSSP_RBX, false, true),  FORM(SAVEPREVSSP, false, true),
    FORM(WRSSD_RBX_RAX, false, true), FORM(WRSSQ_RBX_RAX, false, false),
    FORM(SETSSBSY, true, true),       FORM(CLRSSBSY_RBX, true, true),
#undef FORM
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

static enum step exec_form(struct kit *k, unsigned i)
{
    return kit_exec(k, forms[i].bytes, forms[i].len);
}

/* #UD wins over the level, the operand and the page. */
WITH_SHADOW(undefined_where_shadow_stacks_are_off)
{
    for (unsigned level = 0; level <= 3; level += 3)
        for (unsigned i = 0; i < FORMS; i++) {
            struct shadow_stacks *shadow = &k->cpu->shadow;
            shadow_mode(k, MODE_LONG64, level);
            k->cpu->r[REG_RBX] = 3;
            bool user = level == 3 && !forms[i].supervisor;
            *(user ? &shadow->u_cet : &shadow->s_cet) = SHADOW_CET_WRITE;
            kit_raised(k, exec_form(k, i), EXC_UD, NO_CODE);
            *(user ? &shadow->u_cet : &shadow->s_cet) = 3;
            *(user ? &shadow->s_cet : &shadow->u_cet) = 0;
            enum step step = exec_form(k, i);
            ck_assert(step != STEP_RAISED || k->cpu->raised.event.vector != EXC_UD);
            shadow->u_cet = shadow->s_cet = 3;
            k->cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
            kit_raised(k, exec_form(k, i), EXC_UD, NO_CODE);
        }
    k->cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
    kit_raised(k, EXEC(k, WRUSSQ_RBX_RAX), EXC_UD, NO_CODE); /* at level 3, too */
}

WITH_SHADOW(undefined_without_the_feature)
{
    struct cpu_model model = *k->cpu->model;
    model.features[CPU_FEATURE_CET_SS] = false;
    k->cpu->model = &model;
    for (unsigned i = 0; i < FORMS; i++)
        kit_raised(k, exec_form(k, i), EXC_UD, NO_CODE);
    kit_raised(k, EXEC(k, WRUSSD_RBX_RAX), EXC_UD, NO_CODE);
}

/* Some encodings are undefined in real mode for the decoder. */
static bool exists(struct kit *k, const char *bytes, unsigned len)
{
    uint8_t padded[15] = { 0 };
    struct insn in;
    memcpy(padded, bytes, len);
    return decode_insn(padded, sizeof(padded), k->cpu->mode, &in) == DECODE_OK;
}

WITH_SHADOW(undefined_in_virtual_8086_and_real_mode)
{
    for (unsigned v86 = 0; v86 < 2; v86++) {
        if (v86)
            k->cpu->rflags |= FLAG_VM;
        else
            k->cpu->regs.cr0 &= ~(uint64_t)(CR0_PE | CR0_PG);
        cpu_update_mode(k->cpu);
        for (unsigned i = 0; i < FORMS; i++)
            if (forms[i].legacy && exists(k, forms[i].bytes, forms[i].len))
                kit_raised(k, exec_form(k, i), EXC_UD, NO_CODE);
        k->cpu->r[REG_RAX] = 7;
        ck_assert_int_eq(EXEC(k, RDSSPD_RAX), STEP_NEXT); /* a NOP */
        ck_assert_uint_eq(k->cpu->r[REG_RAX], 7);
        shadow_mode(k, MODE_LONG64, 0);
    }
}

WITH_SHADOW(privileged_instructions)
{
    shadow_mode(k, MODE_LONG64, 3);
    k->cpu->r[REG_RBX] = 3;
    kit_raised(k, EXEC(k, SETSSBSY), EXC_GP, 0);
    kit_raised(k, EXEC(k, CLRSSBSY_RBX), EXC_GP, 0);
    kit_raised(k, EXEC(k, WRUSSD_RBX_RAX), EXC_GP, 0);
}

/* --- RDSSP, INCSSP --- */

WITH_SHADOW(rdssp_reads_or_does_nothing)
{
    k->cpu->shadow.ssp = 0xffff8000abcdef00;
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, RDSSPD_RAX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xabcdef00);
    ck_assert_int_eq(EXEC(k, RDSSPQ_RAX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xffff8000abcdef00);
    k->cpu->shadow.s_cet = SHADOW_CET_WRITE;
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, RDSSPD_RAX), STEP_NEXT);
    ck_assert_int_eq(EXEC(k, RDSSPQ_RAX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], UINT64_MAX);
}

WITH_SHADOW(incssp_pops_words)
{
    static const unsigned counts[] = { 0, 1, 2, 255 };
    for (unsigned i = 0; i < 4; i++) {
        k->cpu->shadow.ssp = SUPERVISOR_LA;
        k->cpu->r[REG_RAX] = 0xabcd00 | counts[i]; /* eight bits count */
        ck_assert_int_eq(EXEC(k, INCSSPQ_RAX), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SUPERVISOR_LA + 8 * counts[i]);
        k->cpu->shadow.ssp = SUPERVISOR_LA;
        ck_assert_int_eq(EXEC(k, INCSSPD_RAX), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SUPERVISOR_LA + 4 * counts[i]);
    }
}

/* The first and the last word that are popped are read. */
WITH_SHADOW(incssp_touches_both_ends)
{
    const uint64_t end = SUPERVISOR_LA + 0x2000;
    k->cpu->shadow.ssp = end - 16;
    k->cpu->r[REG_RAX] = 2;
    ck_assert_int_eq(EXEC(k, INCSSPQ_RAX), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->shadow.ssp, end);
    k->cpu->r[REG_RAX] = 0; /* as 1 */
    shadow_fault(k, EXEC(k, INCSSPQ_RAX), end, PF_P | PF_SS);
    k->cpu->shadow.ssp = end - 16;
    k->cpu->r[REG_RAX] = 3;
    shadow_fault(k, EXEC(k, INCSSPQ_RAX), end, PF_P | PF_SS);
    ck_assert_uint_eq(k->cpu->shadow.ssp, end - 16);
    k->cpu->r[REG_RAX] = 5;
    shadow_fault(k, EXEC(k, INCSSPD_RAX), end, PF_P | PF_SS);
    k->cpu->shadow.ssp = ORDINARY_LA - 4;
    kit_page(k, 47, (ORDINARY_LA - 0x1000) | 7);
    shadow_fault(k, EXEC(k, INCSSPD_RAX), ORDINARY_LA - 4, PF_P | PF_SS);
}

/* --- RSTORSSP, SAVEPREVSSP --- */

/* To a stack whose token stands below its top, and back: figure 18-6 of the manual. */
WITH_SHADOW(stacks_are_changed_there_and_back)
{
    for (unsigned level = 0; level <= 3; level += 3) {
        shadow_mode(k, MODE_LONG64, level);
        const uint64_t a = k->cpu->shadow.ssp, b = a + 0x1000;
        kit_put(k, b - 8, 8, b | 1);
        k->cpu->r[REG_RBX] = b - 8;
        set_status(k, STATUS);
        ck_assert_int_eq(EXEC(k, RSTORSSP_RBX), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, b - 8);
        ck_assert_uint_eq(kit_get(k, b - 8, 8), a | 3);
        ck_assert_uint_eq(status(k), 0);
        ck_assert_int_eq(EXEC(k, SAVEPREVSSP), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, b);
        ck_assert_uint_eq(kit_get(k, a - 8, 8), a | 1);
        k->cpu->r[REG_RBX] = a - 8;
        ck_assert_int_eq(EXEC(k, RSTORSSP_RBX), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, a - 8);
        ck_assert_uint_eq(kit_get(k, a - 8, 8), b | 3);
        k->cpu->r[REG_RAX] = 1; /* instead of going back */
        ck_assert_int_eq(EXEC(k, INCSSPQ_RAX), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, a);
    }
}

/* A stack of 32-bit code may end at a multiple of 4: CF tells of the hole, which is popped with the token. */
WITH_SHADOW(stacks_that_are_not_aligned_have_a_hole)
{
    shadow_mode(k, MODE_COMPAT32, 0);
    k->cpu->shadow.ssp = SSP + 4;
    kit_put(k, OTHER - 8, 8, OTHER);
    k->cpu->r[REG_RBX] = OTHER - 8;
    ck_assert_int_eq(EXEC(k, RSTORSSP_RBX), STEP_NEXT);
    ck_assert_uint_eq(status(k), 0);
    ck_assert_uint_eq(kit_get(k, OTHER - 8, 8), (SSP + 4) | 2);
    kit_put(k, SSP, 4, UINT32_MAX);
    ck_assert_int_eq(EXEC(k, SAVEPREVSSP), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, SSP - 8, 8), SSP + 4);
    ck_assert_uint_eq(kit_get(k, SSP, 4), 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, OTHER);
    k->cpu->r[REG_RBX] = SSP - 8;
    ck_assert_int_eq(EXEC(k, RSTORSSP_RBX), STEP_NEXT);
    ck_assert_uint_eq(status(k), FLAG_CF);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP - 8);
    ck_assert_int_eq(EXEC(k, SAVEPREVSSP), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP + 4);
    ck_assert_uint_eq(kit_get(k, OTHER - 8, 8), OTHER);
}

/* rows: events 4.3 */
WITH_SHADOW(rstorssp_wants_a_token_of_its_place_and_mode)
{
    const uint64_t la = OTHER - 8;
    const struct {
        enum cpu_mode mode;
        uint64_t token;
        bool legal;
    } rows[] = {
        { MODE_LONG64, OTHER | 1, true },
        { MODE_LONG64, OTHER, false },
        { MODE_LONG64, OTHER | 3, false },
        { MODE_LONG64, OTHER | 2, false },
        { MODE_LONG64, (OTHER + 4) | 1, true },
        { MODE_LONG64, (OTHER + 8) | 1, false },
        { MODE_LONG64, (OTHER - 4) | 1, false },
        { MODE_LONG64, (OTHER - 8) | 1, false },
        { MODE_LONG64, OTHER | 1ull << 40 | 1, false },
        { MODE_COMPAT32, OTHER, true },
        { MODE_COMPAT32, OTHER | 1, false },
        { MODE_COMPAT32, OTHER | 2, false },
        { MODE_COMPAT32, OTHER + 4, true },
        { MODE_COMPAT32, OTHER | 1ull << 32, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_mode(k, rows[i].mode, 0);
        k->cpu->r[REG_RBX] = la;
        kit_put(k, la, 8, rows[i].token);
        set_status(k, STATUS);
        enum step step = EXEC(k, RSTORSSP_RBX);
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_NEXT);
            ck_assert_uint_eq(status(k), rows[i].token & 4 ? FLAG_CF : 0);
        } else {
            kit_raised(k, step, EXC_CP, CP_RSTORSSP);
            ck_assert_uint_eq(kit_get(k, la, 8), rows[i].token);
            ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
            ck_assert_uint_eq(status(k), STATUS);
        }
    }
}

/* A stack that ends at 4 GiB: its token would hold an address of 33 bits. */
WITH_SHADOW(tokens_of_32_bit_code_hold_32_bits)
{
    enum { DIRECTORY = 0x90000, TABLE = 0x91000 };
    const uint64_t end = 1ull << 32, la = end - 8;
    kit_put(k, 0x2000 + 8 * 3, 8, DIRECTORY | 7);
    kit_put(k, DIRECTORY + 8 * 511, 8, TABLE | 7);
    kit_put(k, TABLE + 8 * 511, 8, SUPERVISOR_LA | SHADOW_PTE);
    for (unsigned wide = 0; wide < 2; wide++) {
        shadow_mode(k, wide ? MODE_LONG64 : MODE_COMPAT32, 0);
        kit_put(k, SUPERVISOR_LA + 0xff8, 8, end | wide);
        k->cpu->r[REG_RBX] = la;
        if (wide)
            ck_assert_int_eq(EXEC(k, RSTORSSP_RBX), STEP_NEXT);
        else
            kit_raised(k, EXEC(k, RSTORSSP_RBX), EXC_CP, CP_RSTORSSP);
    }
}

/* The address in PL0_SSP, and so the token's, must lie below 4 GiB. */
WITH_SHADOW(setssbsy_of_32_bit_code_wants_a_stack_below_4_gib)
{
    const uint64_t alias = 1ull << 32 | OTHER;
    kit_put(k, 0x2000 + 8 * 4, 8, 0x3007);
    for (unsigned wide = 0; wide < 2; wide++) {
        shadow_mode(k, wide ? MODE_LONG64 : MODE_COMPAT32, 0);
        k->cpu->shadow.pl_ssp[0] = alias;
        kit_put(k, OTHER, 8, alias);
        if (wide)
            ck_assert_int_eq(EXEC(k, SETSSBSY), STEP_NEXT);
        else
            kit_raised(k, EXEC(k, SETSSBSY), EXC_CP, CP_SETSSBSY);
        ck_assert_uint_eq(kit_get(k, OTHER, 8), alias | wide);
    }
}

WITH_SHADOW(rstorssp_operand)
{
    k->cpu->r[REG_RBX] = OTHER - 4;
    kit_raised(k, EXEC(k, RSTORSSP_RBX), EXC_GP, 0);
    k->cpu->r[REG_RBX] = NONCANON;
    kit_raised(k, EXEC(k, RSTORSSP_RBX), EXC_GP, 0);
    k->cpu->r[REG_RBX] = ORDINARY_LA;
    shadow_fault(k, EXEC(k, RSTORSSP_RBX), ORDINARY_LA, PF_P | PF_RW | PF_SS);
    shadow_mode(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RBX] = OTHER;
    kit_load_segment(k, SEG_DS, READ_ONLY);
    kit_raised(k, EXEC(k, RSTORSSP_RBX), EXC_GP, 0);
}

WITH_SHADOW(saveprevssp_wants_a_token_that_leads_back)
{
    const uint64_t top = SSP;
    const struct {
        enum cpu_mode mode;
        uint64_t token, flags, hole;
        bool legal;
    } rows[] = {
        { MODE_LONG64, OTHER | 3, 0, 0, true },
        { MODE_LONG64, OTHER | 1, 0, 0, false }, /* not busy */
        { MODE_LONG64, OTHER | 3, FLAG_CF, 0, false },
        { MODE_LONG64, OTHER | 3, STATUS & ~FLAG_CF, 0, true },
        { MODE_COMPAT32, OTHER | 2, 0, 1, true }, /* nobody looks at the hole */
        { MODE_COMPAT32, OTHER | 2, FLAG_CF, 0, true },
        { MODE_COMPAT32, OTHER | 2, FLAG_CF, 1, false },
        { MODE_COMPAT32, OTHER, 0, 0, false },
        { MODE_COMPAT32, OTHER | 2 | 1ull << 32, 0, 0, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_mode(k, rows[i].mode, 0);
        kit_put(k, top, 8, rows[i].token);
        kit_put(k, top + 8, 4, rows[i].hole);
        kit_put(k, OTHER - 8, 8, 0);
        set_status(k, rows[i].flags);
        enum step step = EXEC(k, SAVEPREVSSP);
        if (!rows[i].legal) {
            kit_raised(k, step, EXC_GP, 0);
            ck_assert_uint_eq(k->cpu->shadow.ssp, top);
            continue;
        }
        ck_assert_int_eq(step, STEP_NEXT);
        ck_assert_uint_eq(k->cpu->shadow.ssp, top + (rows[i].flags & FLAG_CF ? 12 : 8));
        ck_assert_uint_eq(kit_get(k, OTHER - 8, 8), OTHER | (rows[i].mode == MODE_LONG64));
        ck_assert_uint_eq(status(k), rows[i].flags);
    }
    shadow_mode(k, MODE_LONG64, 0);
    k->cpu->shadow.ssp = SSP + 4;
    kit_raised(k, EXEC(k, SAVEPREVSSP), EXC_GP, 0);
}

/* A previous stack that cannot be written leaves everything as it is. */
WITH_SHADOW(saveprevssp_writes_all_or_nothing)
{
    kit_put(k, SSP, 8, (SUPERVISOR_LA + 4) | 3); /* the zeros in the page, the token below it */
    kit_put(k, SUPERVISOR_LA, 4, 0x55);
    kit_page(k, SUPERVISOR_PAGE - 1, (SUPERVISOR_LA - 0x1000) | 3);
    shadow_fault(k, EXEC(k, SAVEPREVSSP), SUPERVISOR_LA - 8, PF_P | PF_RW | PF_SS);
    ck_assert_uint_eq(kit_get(k, SUPERVISOR_LA, 4), 0x55);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
}

/* --- SETSSBSY, CLRSSBSY --- */

/* rows: events 4.3 */
WITH_SHADOW(setssbsy_takes_an_idle_stack)
{
    static const struct {
        uint64_t token;
        bool legal;
    } rows[] = {
        { OTHER, true }, { OTHER | 1, false }, { OTHER | 2, false }, { OTHER + 8, false }
    };
    for (unsigned i = 0; i < 4; i++) {
        k->cpu->shadow.pl_ssp[0] = OTHER;
        k->cpu->shadow.ssp = 0;
        kit_put(k, OTHER, 8, rows[i].token);
        enum step step = EXEC(k, SETSSBSY);
        if (rows[i].legal)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_CP, CP_SETSSBSY);
        ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].legal ? OTHER : 0);
        ck_assert_uint_eq(kit_get(k, OTHER, 8), rows[i].legal ? OTHER | 1 : rows[i].token);
    }
    k->cpu->shadow.pl_ssp[0] = OTHER + 4;
    kit_raised(k, EXEC(k, SETSSBSY), EXC_GP, 0);
    k->cpu->shadow.pl_ssp[0] = ORDINARY_LA;
    shadow_fault(k, EXEC(k, SETSSBSY), ORDINARY_LA, PF_P | PF_RW | PF_SS);
}

WITH_SHADOW(clrssbsy_gives_a_busy_stack_back)
{
    static const struct {
        uint64_t token;
        bool legal;
    } rows[] = {
        { OTHER | 1, true }, { OTHER, false }, { OTHER | 3, false }, { OTHER + 9, false }
    };
    for (unsigned i = 0; i < 4; i++) {
        k->cpu->shadow.ssp = SSP;
        k->cpu->r[REG_RBX] = OTHER;
        kit_put(k, OTHER, 8, rows[i].token);
        set_status(k, STATUS);
        ck_assert_int_eq(EXEC(k, CLRSSBSY_RBX), STEP_NEXT);
        ck_assert_uint_eq(status(k), rows[i].legal ? 0 : FLAG_CF);
        ck_assert_uint_eq(k->cpu->shadow.ssp, 0);
        ck_assert_uint_eq(kit_get(k, OTHER, 8), rows[i].legal ? OTHER : rows[i].token);
    }
    k->cpu->shadow.ssp = SSP;
    k->cpu->r[REG_RBX] = OTHER + 4;
    kit_raised(k, EXEC(k, CLRSSBSY_RBX), EXC_GP, 0);
    k->cpu->r[REG_RBX] = ORDINARY_LA;
    shadow_fault(k, EXEC(k, CLRSSBSY_RBX), ORDINARY_LA, PF_P | PF_RW | PF_SS);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
}

/* --- WRSS, WRUSS --- */

WITH_SHADOW(wrss_writes_the_stack_of_its_level)
{
    for (unsigned level = 0; level <= 3; level += 3) {
        uint64_t la = level == 3 ? USER_LA : SUPERVISOR_LA, us = level == 3 ? PF_US : 0;
        shadow_mode(k, MODE_LONG64, level);
        kit_put(k, la, 8, 0);
        k->cpu->r[REG_RBX] = la;
        k->cpu->r[REG_RAX] = 0x1122334455667788;
        ck_assert_int_eq(EXEC(k, WRSSD_RBX_RAX), STEP_NEXT);
        ck_assert_uint_eq(kit_get(k, la, 8), 0x55667788);
        ck_assert_int_eq(EXEC(k, WRSSQ_RBX_RAX), STEP_NEXT);
        ck_assert_uint_eq(kit_get(k, la, 8), 0x1122334455667788);
        k->cpu->r[REG_RBX] = la + 4;
        ck_assert_int_eq(EXEC(k, WRSSD_RBX_RAX), STEP_NEXT);
        kit_raised(k, EXEC(k, WRSSQ_RBX_RAX), EXC_GP, 0);
        k->cpu->r[REG_RBX] = la + 2;
        kit_raised(k, EXEC(k, WRSSD_RBX_RAX), EXC_GP, 0);
        k->cpu->r[REG_RBX] = level == 3 ? SUPERVISOR_LA : USER_LA;
        shadow_fault(k, EXEC(k, WRSSQ_RBX_RAX), k->cpu->r[REG_RBX],
                     (unsigned)(PF_P | PF_RW | PF_SS | us));
        *(level == 3 ? &k->cpu->shadow.u_cet : &k->cpu->shadow.s_cet) = SHADOW_CET_ENABLE;
        kit_raised(k, EXEC(k, WRSSQ_RBX_RAX), EXC_UD, NO_CODE);
    }
}

/* With CR4.CET alone. */
WITH_SHADOW(wruss_writes_the_stacks_of_users)
{
    k->cpu->shadow.u_cet = k->cpu->shadow.s_cet = 0;
    kit_put(k, USER_LA, 8, 0);
    k->cpu->r[REG_RBX] = USER_LA;
    k->cpu->r[REG_RAX] = 0x1122334455667788;
    ck_assert_int_eq(EXEC(k, WRUSSD_RBX_RAX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, USER_LA, 8), 0x55667788);
    ck_assert_int_eq(EXEC(k, WRUSSQ_RBX_RAX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, USER_LA, 8), 0x1122334455667788);
    k->cpu->r[REG_RBX] = USER_LA + 4;
    kit_raised(k, EXEC(k, WRUSSQ_RBX_RAX), EXC_GP, 0);
    k->cpu->r[REG_RBX] = USER_LA + 2;
    kit_raised(k, EXEC(k, WRUSSD_RBX_RAX), EXC_GP, 0);
    k->cpu->r[REG_RBX] = SUPERVISOR_LA;
    shadow_fault(k, EXEC(k, WRUSSQ_RBX_RAX), SUPERVISOR_LA, PF_P | PF_RW | PF_US | PF_SS);
    k->cpu->regs.cr4 |= CR4_SMAP; /* does not close user stacks to it */
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RBX] = USER_LA;
    ck_assert_int_eq(EXEC(k, WRUSSQ_RBX_RAX), STEP_NEXT);
}

CHECK_MAIN("cpu/shadow_insns", undefined_where_shadow_stacks_are_off, undefined_without_the_feature,
           undefined_in_virtual_8086_and_real_mode, privileged_instructions,
           rdssp_reads_or_does_nothing, incssp_pops_words, incssp_touches_both_ends,
           stacks_are_changed_there_and_back, stacks_that_are_not_aligned_have_a_hole,
           rstorssp_wants_a_token_of_its_place_and_mode, tokens_of_32_bit_code_hold_32_bits,
           setssbsy_of_32_bit_code_wants_a_stack_below_4_gib, rstorssp_operand,
           saveprevssp_wants_a_token_that_leads_back, saveprevssp_writes_all_or_nothing,
           setssbsy_takes_an_idle_stack, clrssbsy_gives_a_busy_stack_back,
           wrss_writes_the_stack_of_its_level, wruss_writes_the_stacks_of_users)

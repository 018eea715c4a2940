/* In which order an instruction of a guest meets its exceptions and its intercept, in every mode. APM vol 2, 15.9
 * "Instruction Intercepts", table 15-7, 15.10.2 "IN and OUT Behavior". */
#include "tests/check_main.h"
#include "tests/cpu/modes.h"

enum world { REAL, V86, V86_IOPL3, PROT16, PROT32, PROT32_USER, COMPAT32, LONG64, LONG64_USER };

static void make_world(struct kit *k, enum world world)
{
    switch (world) {
    case REAL: mode_real(k); break;
    case V86: mode_v86(k, 0, false); break;
    case V86_IOPL3: mode_v86(k, 3, false); break;
    case PROT16: mode_prot16(k, 0); break;
    case PROT32: mode_prot32(k, 0); break;
    case PROT32_USER: mode_prot32(k, 3); break;
    case COMPAT32: kit_mode(k, MODE_COMPAT32, 0); break;
    case LONG64: kit_mode(k, MODE_LONG64, 0); break;
    case LONG64_USER: kit_mode(k, MODE_LONG64, 3); break;
    }
}

/* How an instruction ended: the exit code, or one of these. */
#define RAISES(vector) (0x10000u + (vector))
#define RUNS 0x20000u

static uint64_t outcome(struct kit *k, enum step step)
{
    if (step == STEP_VMEXIT)
        return VMCB_GET(k->vmcb, EXITCODE);
    if (step != STEP_RAISED)
        return RUNS;
    ck_assert(!k->cpu->raised.npf);
    return RAISES(k->cpu->raised.event.vector);
}

/* What the decoder refuses is #UD before anything else. */
static enum step execute(struct kit *k, const char *bytes, unsigned len)
{
    uint8_t padded[15] = { 0 };
    struct insn in;
    memcpy(padded, bytes, len);
    if (decode_insn(padded, sizeof(padded), k->cpu->mode, &in) == DECODE_INVALID)
        return cpu_raise(k->cpu, EXC_UD);
    return kit_exec(k, bytes, len);
}

struct row {
    enum world world;
    const char *bytes;
    unsigned len, intercept;
    uint64_t code;
};
#define ROW(world, bytes, intercept, code)                           \
    {                                                                \
        world, bytes, sizeof(bytes) - 1, INTERCEPT_##intercept, code \
    }

/* What is not named by a row is 0: memory at DS:0, all registers, the permission maps. */
static void check_rows(struct kit *k, const struct row *rows, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        make_world(k, rows[i].world);
        memset(k->cpu->r, 0, sizeof(uint64_t) * REG_RSP);
        uint64_t rip = k->cpu->r[REG_RIP];
        kit_guest(k);
        kit_intercept(k, rows[i].intercept);
        enum step step = execute(k, rows[i].bytes, rows[i].len);
        uint64_t got = outcome(k, step);
        ck_assert_msg(got == rows[i].code, "row %u: %llx, not %llx", i, (unsigned long long)got,
                      (unsigned long long)rows[i].code);
        if (step == STEP_VMEXIT) {
            ck_assert_msg(VMCB_GET(k->vmcb, RIP) == rip, "row %u", i);
            ck_assert_msg(VMCB_GET(k->vmcb, NRIP) == rip + rows[i].len, "row %u", i);
        } else if (svm_guest(k->cpu)) {
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        }
    }
}
#define CHECK_ROWS(k, rows) check_rows((k), (rows), sizeof(rows) / sizeof((rows)[0]))

/* --- any exception gives way --- */

/* rows: exit 2.16-2.18 */
WITH_KIT(intercepts_that_come_before_any_exception)
{
    static const struct row rows[] = {
        ROW(REAL, "\x9c", PUSHF, VMEXIT_PUSHF),
        ROW(REAL, "\x9d", POPF, VMEXIT_POPF),
        ROW(REAL, "\xcf", IRET, VMEXIT_IRET),
        ROW(REAL, "\xcd\x21", INTN, VMEXIT_SWINT),
        ROW(REAL, "\x0f\xa2", CPUID, VMEXIT_CPUID),
        ROW(REAL, "\xf3\x90", PAUSE, VMEXIT_PAUSE),
        ROW(REAL, "\x0f\xaa", RSM, VMEXIT_RSM),
        ROW(REAL, "\xf1", ICEBP, VMEXIT_ICEBP),
        /* IOPL is 0: each of them is #GP in virtual-8086 mode */
        ROW(V86, "\x9c", PUSHF, VMEXIT_PUSHF),
        ROW(V86, "\x66\x9c", PUSHF, VMEXIT_PUSHF),
        ROW(V86, "\x9d", POPF, VMEXIT_POPF),
        ROW(V86, "\xcf", IRET, VMEXIT_IRET),
        ROW(V86, "\x66\xcf", IRET, VMEXIT_IRET),
        ROW(V86, "\xcd\x21", INTN, VMEXIT_SWINT),
        ROW(V86, "\x0f\xa2", CPUID, VMEXIT_CPUID),
        ROW(V86, "\xf3\x90", PAUSE, VMEXIT_PAUSE),
        ROW(V86, "\x0f\xaa", RSM, VMEXIT_RSM),
        ROW(V86, "\xf1", ICEBP, VMEXIT_ICEBP),
        ROW(V86_IOPL3, "\xcd\x21", INTN, VMEXIT_SWINT),
        ROW(PROT16, "\xcd\x21", INTN, VMEXIT_SWINT),
        ROW(PROT16, "\xcf", IRET, VMEXIT_IRET),
        ROW(PROT32_USER, "\xcd\x21", INTN, VMEXIT_SWINT), /* the gate's DPL is 0 */
        ROW(PROT32_USER, "\xcf", IRET, VMEXIT_IRET),
        ROW(PROT32_USER, "\x0f\xaa", RSM, VMEXIT_RSM),
        ROW(COMPAT32, "\xcf", IRET, VMEXIT_IRET),
        ROW(LONG64_USER, "\x48\xcf", IRET, VMEXIT_IRET),
        ROW(LONG64_USER, "\xf1", ICEBP, VMEXIT_ICEBP),
    };
    CHECK_ROWS(k, rows);
}

/* The same ones where the stack or the table would fault. */
/* rows: exit 2.16-2.18 */
WITH_KIT(intercepts_that_come_before_stack_faults)
{
    static const struct row rows[] = {
        ROW(REAL, "\x9c", PUSHF, VMEXIT_PUSHF),
        ROW(REAL, "\x9d", POPF, VMEXIT_POPF),
        ROW(REAL, "\xcf", IRET, VMEXIT_IRET),
        ROW(REAL, "\xcd\x21", INTN, VMEXIT_SWINT),
    };
    for (unsigned i = 0; i < 4; i++)
        for (unsigned armed = 0; armed < 2; armed++) {
            mode_real(k);
            k->cpu->r[REG_RSP] = i == 0 ? 1 : 0xffff; /* #SS: a word crosses the end */
            k->cpu->regs.idtr.limit = 0;
            kit_guest(k);
            if (armed)
                kit_intercept(k, rows[i].intercept);
            enum step step = kit_exec(k, rows[i].bytes, rows[i].len);
            ck_assert_uint_eq(outcome(k, step), armed    ? rows[i].code
                                                : i == 3 ? RAISES(0x21)
                                                         : RAISES(EXC_SS));
            if (!armed)
                ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        }
}

/* VMMCALL is the call of every mode and level. */
/* rows: exit 1.3.2, 2.20 */
WITH_KIT(vmmcall_exits_in_every_mode)
{
    static const enum world worlds[] = { REAL,        V86,      V86_IOPL3, PROT16,     PROT32,
                                         PROT32_USER, COMPAT32, LONG64,    LONG64_USER };
    for (unsigned i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
        const struct row rows[] = {
            ROW(worlds[i], "\x0f\x01\xd9", VMMCALL, VMEXIT_VMMCALL),
            ROW(worlds[i], "\x0f\x01\xd9", HLT, RAISES(EXC_UD)),
        };
        CHECK_ROWS(k, rows);
    }
}

/* --- #UD and #GP first, then the intercept, then memory --- */

/* rows: svmop 1.11, exit 2.1 */
WITH_KIT(wrong_mode_is_ud_before_the_intercept)
{
    static const enum world worlds[] = { REAL, V86, V86_IOPL3 };
    for (unsigned i = 0; i < 3; i++) {
        const struct row rows[] = {
            ROW(worlds[i], "\x0f\x00\xc0", LDTR_READ, RAISES(EXC_UD)),  /* SLDT */
            ROW(worlds[i], "\x0f\x00\xc8", TR_READ, RAISES(EXC_UD)),    /* STR */
            ROW(worlds[i], "\x0f\x00\xd0", LDTR_WRITE, RAISES(EXC_UD)), /* LLDT */
            ROW(worlds[i], "\x0f\x00\xd8", TR_WRITE, RAISES(EXC_UD)),   /* LTR */
            ROW(worlds[i], "\x0f\x01\xd8", VMRUN, RAISES(EXC_UD)),
            ROW(worlds[i], "\x0f\x01\xda", VMLOAD, RAISES(EXC_UD)),
            ROW(worlds[i], "\x0f\x01\xdb", VMSAVE, RAISES(EXC_UD)),
            ROW(worlds[i], "\x0f\x01\xdc", STGI, RAISES(EXC_UD)),
            ROW(worlds[i], "\x0f\x01\xdd", CLGI, RAISES(EXC_UD)),
            ROW(worlds[i], "\x0f\x01\xde", SKINIT, RAISES(EXC_UD)),
            ROW(worlds[i], "\x0f\x01\xdf", INVLPGA, RAISES(EXC_UD)),
        };
        CHECK_ROWS(k, rows);
    }
}

/* rows: exit 2.22 */
WITH_KIT(privilege_is_gp_before_the_intercept)
{
    static const enum world worlds[] = { V86, V86_IOPL3, PROT32_USER, LONG64_USER };
    for (unsigned i = 0; i < 4; i++) {
        const struct row rows[] = {
            ROW(worlds[i], "\xf4", HLT, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x06", CR0_WRITE, RAISES(EXC_GP)),         /* CLTS */
            ROW(worlds[i], "\x0f\x01\xf0", CR0_WRITE, RAISES(EXC_GP)),     /* LMSW */
            ROW(worlds[i], "\x0f\x01\xf0", CR0_SEL_WRITE, RAISES(EXC_GP)), /* LMSW */
            ROW(worlds[i], "\x0f\x20\xc0", CR0_READ, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x22\xc0", CR0_WRITE, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x21\xc0", DR0_READ, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x23\xc0", DR0_WRITE, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x08", INVD, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x09", WBINVD, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x32", MSR_PROT, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x30", MSR_PROT, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x01\x3f", INVLPG, RAISES(EXC_GP)),
        };
        CHECK_ROWS(k, rows);
        const struct row tables[] = {
            ROW(worlds[i], "\x0f\x01\x17", GDTR_WRITE, RAISES(EXC_GP)),
            ROW(worlds[i], "\x0f\x01\x1f", IDTR_WRITE, RAISES(EXC_GP)),
        };
        CHECK_ROWS(k, tables);
    }
}

/* rows: svmop 1.12, exit 2.23-2.24 */
WITH_KIT(svm_instructions_check_the_level_before_their_intercept)
{
    static const struct row rows[] = {
        ROW(PROT32_USER, "\x0f\x01\xd8", VMRUN, RAISES(EXC_GP)),
        ROW(PROT32_USER, "\x0f\x01\xda", VMLOAD, RAISES(EXC_GP)),
        ROW(PROT32_USER, "\x0f\x01\xdb", VMSAVE, RAISES(EXC_GP)),
        ROW(PROT32_USER, "\x0f\x01\xdc", STGI, RAISES(EXC_GP)),
        ROW(PROT32_USER, "\x0f\x01\xdd", CLGI, RAISES(EXC_GP)),
        ROW(PROT32_USER, "\x0f\x01\xde", SKINIT, RAISES(EXC_GP)),
        ROW(PROT32_USER, "\x0f\x01\xdf", INVLPGA, RAISES(EXC_GP)),
        ROW(PROT16, "\x0f\x01\xd8", VMRUN, VMEXIT_VMRUN),
        ROW(PROT16, "\x0f\x01\xda", VMLOAD, VMEXIT_VMLOAD),
        ROW(PROT16, "\x0f\x01\xdb", VMSAVE, VMEXIT_VMSAVE),
        ROW(PROT32, "\x0f\x01\xdc", STGI, VMEXIT_STGI),
        ROW(PROT32, "\x0f\x01\xdd", CLGI, VMEXIT_CLGI),
        ROW(PROT32, "\x0f\x01\xde", SKINIT, VMEXIT_SKINIT),
        ROW(COMPAT32, "\x0f\x01\xdf", INVLPGA, VMEXIT_INVLPGA),
    };
    CHECK_ROWS(k, rows);
}

/* Memory is not touched: the operand lies beyond the limit of DS. */
/* rows: exit 2.12 */
WITH_KIT(table_registers_exit_before_their_memory)
{
    static const struct {
        const char *bytes;
        unsigned len, intercept;
        uint64_t code;
        bool real_too;
    } rows[] = {
        { "\x0f\x01\x00", 3, INTERCEPT_GDTR_READ, VMEXIT_GDTR_READ, true }, /* SGDT [BX+SI] */
        { "\x0f\x01\x08", 3, INTERCEPT_IDTR_READ, VMEXIT_IDTR_READ, true },
        { "\x0f\x01\x10", 3, INTERCEPT_GDTR_WRITE, VMEXIT_GDTR_WRITE, true },
        { "\x0f\x01\x18", 3, INTERCEPT_IDTR_WRITE, VMEXIT_IDTR_WRITE, true },
        { "\x0f\x01\x20", 3, INTERCEPT_CR0_READ, VMEXIT_CR0_READ, true },   /* SMSW */
        { "\x0f\x01\x30", 3, INTERCEPT_CR0_WRITE, VMEXIT_CR0_WRITE, true }, /* LMSW */
        { "\x0f\x01\x30", 3, INTERCEPT_CR0_SEL_WRITE, VMEXIT_CR0_SEL_WRITE, true },
        { "\x0f\x01\x38", 3, INTERCEPT_INVLPG, VMEXIT_INVLPG, true },
        { "\x0f\x00\x00", 3, INTERCEPT_LDTR_READ, VMEXIT_LDTR_READ, false },
        { "\x0f\x00\x08", 3, INTERCEPT_TR_READ, VMEXIT_TR_READ, false },
        { "\x0f\x00\x10", 3, INTERCEPT_LDTR_WRITE, VMEXIT_LDTR_WRITE, false },
        { "\x0f\x00\x18", 3, INTERCEPT_TR_WRITE, VMEXIT_TR_WRITE, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned real = 0; real <= rows[i].real_too; real++) {
            make_world(k, real ? REAL : PROT16);
            k->cpu->r[REG_RBX] = 0xffff;
            kit_guest(k);
            enum step step = kit_exec(k, rows[i].bytes, rows[i].len);
            if (rows[i].intercept != INTERCEPT_INVLPG) /* which makes no access */
                ck_assert_msg(outcome(k, step) == RAISES(EXC_GP), "row %u", i);
            k->cpu->r[REG_RIP] = 0;
            kit_intercept(k, rows[i].intercept);
            step = kit_exec(k, rows[i].bytes, rows[i].len);
            ck_assert_msg(outcome(k, step) == rows[i].code, "row %u", i);
            /* INVLPG names the linear address: DS.base + offset */
            uint64_t info = rows[i].intercept == INTERCEPT_INVLPG ? DATA_SPA + 0xffff : 0;
            ck_assert_msg(VMCB_GET(k->vmcb, EXITINFO1) == info, "row %u", i);
        }
}

/* CR4.UMIP at level 3, so also in virtual-8086 mode. */
/* rows: exit 2.7, 2.12 */
WITH_KIT(umip_comes_before_the_intercept)
{
    static const struct {
        const char *bytes;
        unsigned intercept;
        uint64_t code;
    } rows[] = {
        { "\x0f\x01\x00", INTERCEPT_GDTR_READ, VMEXIT_GDTR_READ },
        { "\x0f\x01\x08", INTERCEPT_IDTR_READ, VMEXIT_IDTR_READ },
        { "\x0f\x01\xe0", INTERCEPT_CR0_READ, VMEXIT_CR0_READ },
    };
    for (unsigned i = 0; i < 3; i++)
        for (unsigned umip = 0; umip < 2; umip++) {
            make_world(k, V86);
            k->cpu->regs.cr4 = umip ? CR4_UMIP : 0;
            kit_guest(k);
            kit_intercept(k, rows[i].intercept);
            enum step step = kit_exec(k, rows[i].bytes, 3);
            ck_assert_uint_eq(outcome(k, step), umip ? RAISES(EXC_GP) : rows[i].code);
            if (umip)
                ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        }
}

/* --- all exceptions first --- */

/* rows: exit 2.13-2.14 */
WITH_KIT(intercepts_that_come_after_all_exceptions)
{
    static const struct row rows[] = {
        ROW(REAL, "\xf4", HLT, VMEXIT_HLT),
        ROW(REAL, "\x0f\x31", RDTSC, VMEXIT_RDTSC),
        ROW(REAL, "\x0f\x33", RDPMC, VMEXIT_RDPMC),
        ROW(REAL, "\x0f\x01\xf9", RDTSCP, VMEXIT_RDTSCP),
        ROW(REAL, "\x0f\x01\xc8", MONITOR, VMEXIT_MONITOR),
        ROW(REAL, "\x0f\x01\xc9", MWAIT, VMEXIT_MWAIT),
        ROW(REAL, "\x0f\x08", INVD, VMEXIT_INVD),
        ROW(REAL, "\x0f\x09", WBINVD, VMEXIT_WBINVD),
        ROW(V86, "\x0f\x31", RDTSC, VMEXIT_RDTSC),
        ROW(V86, "\x0f\x01\xc8", MONITOR, RAISES(EXC_UD)),
        ROW(V86, "\x0f\x01\xc9", MWAIT, RAISES(EXC_UD)),
        ROW(PROT32_USER, "\x0f\x33", RDPMC, RAISES(EXC_GP)), /* CR4.PCE is 0 */
        ROW(REAL, "\x0f\x23\xf8", DR0_WRITE + 7, VMEXIT_DR7_WRITE),
        ROW(REAL, "\x0f\x23\xe0", DR0_WRITE + 4, VMEXIT_DR4_WRITE),
        ROW(REAL, "\x0f\x21\xf0", DR0_READ + 6, VMEXIT_DR6_READ),
        ROW(REAL, "\x0f\x20\xc8", CR0_READ + 1, RAISES(EXC_UD)), /* there is no CR1 */
        ROW(REAL, "\x0f\x20\xd8", CR0_READ + 3, VMEXIT_CR3_READ),
        ROW(REAL, "\x0f\x22\xe0", CR0_WRITE + 4, VMEXIT_CR4_WRITE),
        ROW(REAL, "\xf0\x0f\x22\xc0", CR0_WRITE + 8, VMEXIT_CR8_WRITE), /* LOCK MOV CR0 */
        ROW(PROT32, "\xf0\x0f\x20\xc0", CR0_READ + 8, VMEXIT_CR8_READ),
    };
    CHECK_ROWS(k, rows);
}

/* With operands that are illegal whatever the intercept says. */
/* rows: exit 2.8-2.10 */
WITH_KIT(illegal_operands_come_before_these_intercepts)
{
    static const struct {
        const char *bytes;
        unsigned len, intercept, vector;
        uint64_t rax, rcx, cr4;
    } rows[] = {
        { "\x0f\x22\xc0", 3, INTERCEPT_CR0_WRITE, EXC_GP, CR0_PG, 0, 0 },
        { "\x0f\x22\xc0", 3, INTERCEPT_CR0_SEL_WRITE, EXC_GP, CR0_NW, 0, 0 },
        { "\x0f\x22\xe0", 3, INTERCEPT_CR0_WRITE + 4, EXC_GP, 1u << 31, 0, 0 },
        { "\xf0\x0f\x22\xc0", 4, INTERCEPT_CR0_WRITE + 8, EXC_GP, 16, 0, 0 },
        { "\x0f\x33", 2, INTERCEPT_RDPMC, EXC_GP, 0, 1000, 0 },
        { "\x0f\x01\xc8", 3, INTERCEPT_MONITOR, EXC_GP, 0, 1, 0 },
        { "\x67\x0f\x01\xc8", 4, INTERCEPT_MONITOR, EXC_GP, 0x10000, 0, 0 }, /* beyond DS */
        { "\x0f\x01\xc9", 3, INTERCEPT_MWAIT, EXC_GP, 0, 2, 0 },
        { "\x0f\x23\xe0", 3, INTERCEPT_DR0_WRITE + 4, EXC_UD, 0, 0, CR4_DE },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_world(k, REAL);
        k->cpu->regs.cr4 = rows[i].cr4;
        kit_guest(k);
        kit_intercept(k, rows[i].intercept);
        k->cpu->r[REG_RAX] = rows[i].rax;
        k->cpu->r[REG_RCX] = rows[i].rcx;
        enum step step = kit_exec(k, rows[i].bytes, rows[i].len);
        ck_assert_msg(outcome(k, step) == RAISES(rows[i].vector), "row %u", i);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    }
}

/* --- CR0 --- */

/* MOV CR0 by what changes, LMSW always, CLTS never; the plain intercept wins. */
/* rows: exit 1.2.6, 2.11 */
WITH_KIT(selective_write_of_cr0_in_real_mode)
{
    static const struct {
        const char *bytes;
        unsigned len;
        uint64_t flip; /* bits of CR0 that RAX changes */
        bool exits;
        uint64_t info;
    } rows[] = {
        { "\x0f\x22\xc0", 3, 0, false, 0 },
        { "\x0f\x22\xc0", 3, CR0_TS | CR0_MP, false, 0 },
        { "\x0f\x22\xc0", 3, CR0_PE, true, 1ull << 63 },
        { "\x0f\x22\xc0", 3, CR0_EM | CR0_TS, true, 1ull << 63 },
        { "\x0f\x22\xc0", 3, 1u << 6, false, 0 }, /* a bit that does not exist */
        { "\x0f\x01\xf0", 3, 0, true, 0 },
        { "\x0f\x01\xf0", 3, CR0_PE, true, 0 },
        { "\x0f\x06", 2, 0, false, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned both = 0; both < 2; both++) {
            make_world(k, REAL);
            kit_guest(k);
            kit_intercept(k, INTERCEPT_CR0_SEL_WRITE);
            if (both)
                kit_intercept(k, INTERCEPT_CR0_WRITE);
            k->cpu->r[REG_RAX] = k->cpu->regs.cr0 ^ rows[i].flip;
            enum step step = kit_exec(k, rows[i].bytes, rows[i].len);
            uint64_t want = both            ? (uint64_t)VMEXIT_CR0_WRITE
                            : rows[i].exits ? (uint64_t)VMEXIT_CR0_SEL_WRITE
                                            : RUNS;
            ck_assert_msg(outcome(k, step) == want, "row %u %u", i, both);
            if (want == RUNS)
                ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
            else if (!both)
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), rows[i].info);
        }
}

/* The register of a MOV, with three bits outside 64-bit mode. */
/* rows: exit 3.1.1-3.1.3, 3.2.1 */
WITH_KIT(moves_name_their_register)
{
    static const struct row rows[] = {
        ROW(REAL, "\x0f\x20\xc7", CR0_READ, 1ull << 63 | REG_RDI),
        ROW(REAL, "\x0f\x22\xdb", CR0_WRITE + 3, 1ull << 63 | REG_RBX),
        ROW(PROT32, "\x0f\x21\xfe", DR0_READ + 7, REG_RSI),
        ROW(PROT16, "\x0f\x23\xc5", DR0_WRITE, REG_RBP),
        ROW(LONG64, "\x41\x0f\x22\xd7", CR0_WRITE + 2, 1ull << 63 | 15),
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_world(k, rows[i].world);
        kit_guest(k);
        kit_intercept(k, rows[i].intercept);
        ck_assert_int_eq(kit_exec(k, rows[i].bytes, rows[i].len), STEP_VMEXIT);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), rows[i].code);
    }
}

/* --- ports --- */

static void catch_port(struct kit *k, uint16_t port)
{
    kit_put(k, IOPM_SPA + port / 8, 1, 1u << port % 8);
}

/* APM vol 2, figure 15-2 "EXITINFO1 for IOIO Intercept". */
enum {
    IO_IN = 1 << 0,
    IO_STR = 1 << 2,
    IO_REP = 1 << 3,
    IO_SZ8 = 1 << 4,
    IO_SZ16 = 1 << 5,
    IO_SZ32 = 1 << 6,
    IO_A16 = 1 << 7,
    IO_A32 = 1 << 8,
    IO_SEG = 1 << 10
};

WITH_KIT(port_accesses_of_16_bit_code_are_told)
{
    static const struct {
        const char *bytes;
        unsigned len;
        uint32_t info;
    } rows[] = {
        { "\xec", 1, IO_IN | IO_SZ8 | IO_A16 },
        { "\xed", 1, IO_IN | IO_SZ16 | IO_A16 },
        { "\x66\xed", 2, IO_IN | IO_SZ32 | IO_A16 },
        { "\x67\xee", 2, IO_SZ8 | IO_A32 },
        { "\xe7\x60", 2, IO_SZ16 | IO_A16 },
        { "\x6c", 1, IO_IN | IO_STR | IO_SZ8 | IO_A16 },
        { "\xf3\x6d", 2, IO_IN | IO_STR | IO_REP | IO_SZ16 | IO_A16 },
        { "\x26\x6c", 2, IO_IN | IO_STR | IO_SZ8 | IO_A16 }, /* INS knows ES alone */
        { "\x2e\x6c", 2, IO_IN | IO_STR | IO_SZ8 | IO_A16 },
        { "\x6e", 1, IO_STR | IO_SZ8 | IO_A16 | SEG_DS * IO_SEG },
        { "\x2e\x6e", 2, IO_STR | IO_SZ8 | IO_A16 | SEG_CS * IO_SEG },
        { "\x36\x6f", 2, IO_STR | IO_SZ16 | IO_A16 | SEG_SS * IO_SEG },
        { "\x26\x6f", 2, IO_STR | IO_SZ16 | IO_A16 | SEG_ES * IO_SEG },
        { "\x64\x6f", 2, IO_STR | IO_SZ16 | IO_A16 | SEG_FS * IO_SEG },
        { "\x65\xf3\x66\x67\x6f", 5, IO_STR | IO_REP | IO_SZ32 | IO_A32 | SEG_GS * IO_SEG },
    };
    static const enum world worlds[] = { REAL, V86_IOPL3, PROT16 };
    catch_port(k, 0x60);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned w = 0; w < 3; w++) {
            make_world(k, worlds[w]);
            kit_guest(k);
            kit_intercept(k, INTERCEPT_IOIO_PROT);
            k->cpu->r[REG_RDX] = 0x60;
            k->cpu->r[REG_RCX] = 3;
            k->cpu->r[REG_RSI] = k->cpu->r[REG_RDI] = 0xffffffff; /* no memory is looked at */
            enum step step = kit_exec(k, rows[i].bytes, rows[i].len);
            ck_assert_msg(outcome(k, step) == VMEXIT_IOIO, "row %u", i);
            ck_assert_msg(VMCB_GET(k->vmcb, EXITINFO1) == (rows[i].info | 0x60u << 16), "row %u",
                          i);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), rows[i].len);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), rows[i].len);
            ck_assert_uint_eq(k->cpu->r[REG_RCX], 3);
        }
    ck_assert_uint_eq(k->reads + k->writes, 0);
}

/* IOPL and the TSS before the IOPM, the IOPM before the string's memory. */
/* rows: exit 2.29 */
WITH_KIT(tss_map_comes_before_the_iopm)
{
    static const enum world worlds[] = { V86, PROT32_USER };
    static const char *const insns[] = { "\xec", "\xee", "\x6c", "\x6e" };
    catch_port(k, 0x60);
    for (unsigned w = 0; w < 2; w++)
        for (unsigned i = 0; i < 4; i++)
            for (unsigned allowed = 0; allowed < 2; allowed++) {
                make_world(k, worlds[w]);
                kit_put(k, TSS_SPA + 0x88 + 0x60 / 8, 1, allowed ? 0 : 1);
                kit_guest(k);
                kit_intercept(k, INTERCEPT_IOIO_PROT);
                k->cpu->r[REG_RDX] = 0x60;
                enum step step = kit_exec(k, insns[i], 1);
                ck_assert_uint_eq(outcome(k, step),
                                  allowed ? (uint64_t)VMEXIT_IOIO : RAISES(EXC_GP));
                if (!allowed)
                    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
            }
    ck_assert_uint_eq(k->reads + k->writes, 0);
}

/* The next RIP has 32 bits. */
WITH_KIT(port_exit_at_the_top_of_32_bit_code_wraps)
{
    mode_prot32(k, 0);
    catch_port(k, 0x60);
    k->cpu->r[REG_RIP] = 0xfffffffe;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_IOIO_PROT);
    ck_assert_int_eq(EXEC(k, "\xe4\x60"), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
}

/* REP without iterations asks for nothing. */
/* rows: exit 1.2.22 */
WITH_KIT(repeated_port_string_without_count_does_not_exit)
{
    mode_real(k);
    catch_port(k, 0x60);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_IOIO_PROT);
    k->cpu->r[REG_RDX] = 0x60;
    k->cpu->r[REG_RCX] = 0x10000; /* CX is 0 */
    ck_assert_int_eq(EXEC(k, "\xf3\x6e"), STEP_NEXT);
    ck_assert_int_eq(EXEC(k, "\xf3\x67\x6e"), STEP_VMEXIT); /* ECX is not */
}

/* --- MSRs --- */

/* rows: exit 1.2.23, 2.28 */
WITH_KIT(msr_map_comes_before_what_the_register_says)
{
    static const uint64_t numbers[] = { 0x1fff, 0x2000, 0xc0000080, 0xdeadbeef };
    for (unsigned i = 0; i < 4; i++)
        for (unsigned write = 0; write < 2; write++) {
            mode_real(k);
            kit_put(k, MSRPM_SPA + 0x7ff, 1, 0xc0);
            kit_put(k, MSRPM_SPA + 0x820, 1, 0x03);
            kit_guest(k);
            kit_intercept(k, INTERCEPT_MSR_PROT);
            k->cpu->r[REG_RCX] = numbers[i];
            k->cpu->r[REG_RAX] = k->cpu->r[REG_RDX] = 0xffffffff;
            enum step step = kit_exec(k, write ? "\x0f\x30" : "\x0f\x32", 2);
            ck_assert_uint_eq(outcome(k, step), VMEXIT_MSR);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), write);
        }
}

CHECK_MAIN("cpu/guest_intercepts", intercepts_that_come_before_any_exception,
           intercepts_that_come_before_stack_faults, vmmcall_exits_in_every_mode,
           wrong_mode_is_ud_before_the_intercept, privilege_is_gp_before_the_intercept,
           svm_instructions_check_the_level_before_their_intercept,
           table_registers_exit_before_their_memory, umip_comes_before_the_intercept,
           intercepts_that_come_after_all_exceptions, illegal_operands_come_before_these_intercepts,
           selective_write_of_cr0_in_real_mode, moves_name_their_register,
           port_accesses_of_16_bit_code_are_told, tss_map_comes_before_the_iopm,
           port_exit_at_the_top_of_32_bit_code_wraps,
           repeated_port_string_without_count_does_not_exit,
           msr_map_comes_before_what_the_register_says)

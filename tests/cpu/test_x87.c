/* x87 in every mode: what keeps it from use, pending exceptions with and without CR0.NE, and the formats of its state in
 * memory. APM vol 2, 8.2.8 "#NM", 8.2.16 "#MF"; APM vol 1, 6.2 "x87 Registers". */
#include "tests/check_main.h"
#include "tests/cpu/modes.h"
#include "tests/cpu/program.h"

#include "emu/insn/insn.h"

/* As the run loop executes: what is not ready stops it. */
static enum step execute(struct kit *k, const char *bytes, unsigned len)
{
    struct insn in = kit_decode(k, (const uint8_t *)bytes, len);
    const struct insn_info *row = insn_lookup(in.mnemonic);
    ck_assert_ptr_nonnull(row);
    in.body = row->body;
    in.flags = row->flags;
    in.need = isa_need(&in);
    (void)mem_regime(k->cpu);
    return insn_run(k->cpu, &in);
}
#define EXECUTE(k, bytes) execute((k), (bytes), sizeof(bytes) - 1)

static void set_cr0(struct kit *k, uint64_t set, uint64_t clear)
{
    k->cpu->regs.cr0 = (k->cpu->regs.cr0 & ~clear) | set;
    cpu_update_fp(k->cpu);
}

/* A masked exception became pending by its mask. */
static void pend(struct kit *k)
{
    k->cpu->x87.fcw = 0x37b;
    k->cpu->x87.fsw = 0x8084;
    cpu_update_fp(k->cpu);
}

/* --- #NM, #UD, #MF --- */

/* rows: pitfalls 7.5, events 3.2.2 */
WITH_KIT(ts_and_em_give_nm_before_mf)
{
    static const char insns[][3] = { "\xd9\xe8", "\xdb\xe3", "\xdf\xe0", "\xd9\xd0" };
    for (unsigned i = 0; i < 4; i++)
        for (unsigned pending = 0; pending <= 1; pending++) {
            kit_mode(k, MODE_LONG64, 0);
            ck_assert_int_eq(EXECUTE(k, "\xdb\xe3"), STEP_NEXT);
            if (pending)
                pend(k);
            set_cr0(k, CR0_TS, 0);
            kit_raised(k, execute(k, insns[i], 2), EXC_NM, -1);
            set_cr0(k, CR0_EM, CR0_TS);
            kit_raised(k, execute(k, insns[i], 2), EXC_NM, -1);
            set_cr0(k, 0, CR0_EM);
            enum step step = execute(k, insns[i], 2);
            if (pending && i != 1 && i != 2)
                kit_raised(k, step, EXC_MF, -1);
            else
                ck_assert_int_eq(step, STEP_NEXT);
        }
}

/* MMX with CR0.EM does not exist. */
WITH_KIT(em_makes_mmx_undefined)
{
    set_cr0(k, CR0_EM | CR0_TS, 0);
    kit_raised(k, EXECUTE(k, "\x0f\x77"), EXC_UD, -1);
    set_cr0(k, 0, CR0_EM);
    kit_raised(k, EXECUTE(k, "\x0f\x77"), EXC_NM, -1);
    set_cr0(k, 0, CR0_TS);
    pend(k);
    kit_raised(k, EXECUTE(k, "\x0f\x77"), EXC_MF, -1);
}

/* rows: pitfalls 7.6 */
WITH_KIT(wait_looks_at_mp_and_ts_together)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        uint64_t cr0 = (bits & 1 ? CR0_MP : 0) | (bits & 2 ? CR0_TS : 0) | (bits & 4 ? CR0_EM : 0);
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->x87 = (struct cpu_x87){ .fcw = 0x37f };
        set_cr0(k, cr0, CR0_MP | CR0_TS | CR0_EM);
        for (unsigned pending = 0; pending <= 1; pending++) {
            if (pending)
                pend(k);
            enum step step = EXECUTE(k, "\x9b");
            if ((bits & 3) == 3)
                kit_raised(k, step, EXC_NM, -1);
            else if (pending)
                kit_raised(k, step, EXC_MF, -1);
            else
                ck_assert_int_eq(step, STEP_NEXT);
        }
    }
}

/* --- CR0.NE = 0 --- */

static void ferr_rose(void *self, unsigned cpu)
{
    (void)cpu;
    ++*(unsigned *)self;
}

/* rows: pitfalls 7.4 */
WITH_KIT(without_ne_the_processor_freezes_until_an_interrupt)
{
    unsigned rises = 0;
    PROGRAM(k, "\xd9\xe8\xc6\x00\x01"); /* fld1; mov byte [rax], 1 */
    k->cpu->r[REG_RAX] = DATA_SPA;
    k->cpu->ferr.changed = ferr_rose;
    k->cpu->ferr.self = &rises;
    k->cpu->rflags |= FLAG_IF;
    set_cr0(k, 0, CR0_NE);
    pend(k);
    program_run(k, 1000);
    ck_assert_uint_eq(rises, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    ck_assert_uint_eq(k->deliveries, 0);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 1), 0);
    k->pending = 0x75; /* IRQ 13 */
    cpu_attention(k->cpu);
    program_run(k, 1000);
    ck_assert_uint_eq(k->acks, 1);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA); /* the instruction that waits */
    ck_assert_uint_eq(rises, 1);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 1), 0);
}

/* IGNNE# lets it run with the exception pending, until that is gone. */
WITH_KIT(ignne_releases_the_instruction)
{
    unsigned rises = 0;
    PROGRAM(k, "\xd9\xe8\xd9\xe8\xf4"); /* fld1; fld1; hlt */
    k->cpu->x87.used = 0;
    k->cpu->ferr.changed = ferr_rose;
    k->cpu->ferr.self = &rises;
    set_cr0(k, 0, CR0_NE);
    pend(k);
    program_run(k, 1000);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    k->cpu->pins.ignne = true;
    program_run(k, 1000);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 5);
    ck_assert_uint_eq(k->cpu->x87.used, 0xc0);
    ck_assert_uint_eq(k->cpu->x87.fsw, 0xb084); /* still pending */
    ck_assert_uint_eq(rises, 1);
    ck_assert_int_eq(EXECUTE(k, "\xdb\xe2"), STEP_NEXT); /* fnclex: FERR# falls, IGNNE# with it */
    ck_assert(!k->cpu->ferr.asserted);
    ck_assert(!k->cpu->pins.ignne);
}

/* HWCR.IGNNE_EM puts the MSR in the pin's place. */
WITH_KIT(ignne_msr_counts_where_hwcr_says_so)
{
    struct vcpu *cpu = k->cpu;
    set_cr0(k, 0, CR0_NE);
    cpu->x87.used = 0;
    pend(k);
    cpu->msr.ignne = 1;
    ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_FREEZE);
    cpu->msr.hwcr |= HWCR_IGNNE_EM;
    ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_NEXT);
    ck_assert_int_eq(EXECUTE(k, "\x9b"), STEP_NEXT);
    cpu->msr.ignne = 0;
    cpu->pins.ignne = true;
    ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_FREEZE);
    ck_assert_int_eq(EXECUTE(k, "\x9b"), STEP_FREEZE);
}

/* The freeze ends with the interrupt: a HLT before the instruction is none, whatever IGNNE# says then. */
WITH_KIT(a_hlt_is_no_freeze)
{
    PROGRAM(k, "\xf4\xd9\xe8\xc6\x00\x01"); /* hlt; fld1; mov byte [rax], 1 */
    k->cpu->r[REG_RAX] = DATA_SPA;
    k->cpu->r[REG_RIP] = CODE_SPA + 1;
    k->cpu->rflags |= FLAG_IF;
    set_cr0(k, 0, CR0_NE);
    pend(k);
    program_run(k, 1000);
    ck_assert(k->cpu->ferr.frozen);
    k->pending = 0x75;
    cpu_attention(k->cpu);
    program_run(k, 1000);
    ck_assert_uint_eq(k->acks, 1);
    ck_assert(!k->cpu->ferr.frozen);
    k->cpu->regs.halted = false;
    k->cpu->rflags &= ~(uint64_t)FLAG_IF;
    k->cpu->pins.ignne = true;
    k->cpu->r[REG_RIP] = CODE_SPA;
    program_run(k, 1000);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 1);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 1), 0);
}

/* Nor does RESET know of it. */
WITH_KIT(reset_ends_a_freeze)
{
    set_cr0(k, 0, CR0_NE);
    pend(k);
    ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_FREEZE);
    ck_assert(k->cpu->ferr.frozen);
    cpu_reset(k->cpu);
    ck_assert(!k->cpu->ferr.frozen && !k->cpu->ferr.asserted);
}

/* Code that is frozen for single steps, and code of blocks, freeze alike. */
WITH_KIT(a_frozen_instruction_is_not_retired)
{
    PROGRAM(k, "\x90\xd9\xe8\x90");
    set_cr0(k, 0, CR0_NE);
    pend(k);
    uint64_t before = cpu_insns(k->cpu);
    program_run(k, 1000);
    ck_assert_uint_eq(cpu_insns(k->cpu), before + 1);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 1);
}

/* rows: pitfalls 7.4 */
WITH_KIT(ferr_freeze_is_intercepted)
{
    static const enum cpu_mode modes[] = { MODE_LONG64, MODE_PROT32 };
    for (unsigned i = 0; i < 2; i++) {
        kit_mode(k, modes[i], 0);
        k->cpu->regs.cr0 &= ~(uint64_t)CR0_NE;
        uint64_t rip = k->cpu->r[REG_RIP];
        pend(k);
        kit_guest(k);
        ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_FREEZE);
        k->cpu->regs.halted = false;
        kit_intercept(k, INTERCEPT_FERR_FREEZE);
        ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_VMEXIT);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_FERR_FREEZE);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), rip);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), 0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0);
    }
}

/* With CR0.NE there is nothing to freeze; with IGNNE# neither. */
WITH_KIT(ferr_freeze_needs_a_freeze)
{
    pend(k);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_FERR_FREEZE);
    kit_raised(k, EXECUTE(k, "\xd9\xe8"), EXC_MF, -1);
    set_cr0(k, 0, CR0_NE);
    k->cpu->pins.ignne = true;
    ck_assert_int_eq(EXECUTE(k, "\xd9\xe8"), STEP_NEXT);
    ck_assert_int_eq(EXECUTE(k, "\xdf\xe0"), STEP_NEXT); /* does not wait */
}

/* --- state in memory --- */

static void sample(struct kit *k)
{
    struct cpu_x87 *x87 = &k->cpu->x87;
    *x87 = (struct cpu_x87){
        .fcw = 0x37f, .fsw = 0x7f47, .used = 0x0f, .fop = 0x5a5, .fcs = 0x1234, .fds = 0x5678
    };
    x87->fip = 0x89ab;
    x87->fdp = 0xcdef;
    x87->reg[1] = (struct f80){ UINT64_C(1) << 63, 0x3fff };
    x87->reg[2] = (struct f80){ UINT64_C(1) << 63, 0x7fff };
    x87->reg[3] = (struct f80){ 5, 5 };
    for (unsigned i = 4; i < 8; i++)
        x87->reg[i] = (struct f80){ i, (uint16_t)i };
    cpu_update_fp(k->cpu);
}

struct format {
    void (*mode)(struct kit *k);
    unsigned size;     /* of the environment */
    const char *bytes; /* fnstenv [0] */
    uint16_t words[14];
};

static void make_real(struct kit *k)
{
    mode_real(k);
}
static void make_v86(struct kit *k)
{
    mode_v86(k, 0, false);
}
static void make_prot16(struct kit *k)
{
    mode_prot16(k, 0);
}
static void make_prot32(struct kit *k)
{
    mode_prot32(k, 0);
    k->cpu->regs.seg[SEG_DS].base = DATA_SPA;
}

#define TAGS 0xffa1 /* zero, valid, special, special, four empty */
/* 1234h * 16 + 89abh = 1aceb, 5678h * 16 + cdefh = 6356f */
static const struct format formats[] = {
    { make_real, 14, "\xd9\x36\0\0", { 0x37f, 0x7f47, TAGS, 0xaceb, 0x15a5, 0x356f, 0x6000 } },
    { make_v86, 14, "\xd9\x36\0\0", { 0x37f, 0x7f47, TAGS, 0xaceb, 0x15a5, 0x356f, 0x6000 } },
    { make_prot16, 14, "\xd9\x36\0\0", { 0x37f, 0x7f47, TAGS, 0x89ab, 0x1234, 0xcdef, 0x5678 } },
    { make_real,
      28,
      "\x66\xd9\x36\0\0",
      { 0x37f, 0xffff, 0x7f47, 0xffff, TAGS, 0xffff, 0xaceb, 0xffff, 0x15a5, 0, 0x356f, 0xffff,
        0x6000, 0 } },
    { make_v86,
      28,
      "\x66\xd9\x36\0\0",
      { 0x37f, 0xffff, 0x7f47, 0xffff, TAGS, 0xffff, 0xaceb, 0xffff, 0x15a5, 0, 0x356f, 0xffff,
        0x6000, 0 } },
    { make_prot32,
      28,
      "\xd9\x35\0\0\0\0",
      { 0x37f, 0xffff, 0x7f47, 0xffff, TAGS, 0xffff, 0x89ab, 0, 0x1234, 0x5a5, 0xcdef, 0, 0x5678,
        0xffff } },
};

static unsigned length(const struct format *format)
{
    return format->size == 14 ? 4 : format->bytes[0] == '\x66' ? 5 : 6;
}

/* FNSTENV, and FNSAVE in front of the registers. The instruction's second byte becomes that of the others by its reg field. */
static enum step execute_as(struct kit *k, const struct format *format, uint8_t opcode,
                            unsigned reg)
{
    char bytes[6];
    unsigned at = format->bytes[0] == '\x66';
    memcpy(bytes, format->bytes, length(format));
    bytes[at] = (char)opcode;
    bytes[at + 1] = (char)((bytes[at + 1] & 7) | reg << 3);
    return execute(k, bytes, length(format));
}

/* rows: pitfalls 7.2 */
WITH_KIT(environment_in_every_mode)
{
    for (unsigned i = 0; i < TABLE_ROWS(formats); i++) {
        const struct format *format = &formats[i];
        for (unsigned save = 0; save <= 1; save++) {
            format->mode(k);
            sample(k);
            for (unsigned j = 0; j < 128; j++)
                kit_put(k, DATA_SPA + j, 1, 0xee);
            ck_assert_int_eq(execute_as(k, format, save ? 0xdd : 0xd9, 6), STEP_NEXT);
            for (unsigned j = 0; j < format->size / 2; j++)
                ck_assert_msg(kit_get(k, DATA_SPA + 2 * j, 2) == format->words[j],
                              "row %u word %u: %x", i, j,
                              (unsigned)kit_get(k, DATA_SPA + 2 * j, 2));
            uint64_t behind = DATA_SPA + format->size + (save ? 80 : 0);
            ck_assert_uint_eq(kit_get(k, behind, 1), 0xee);
            if (save) { /* ST(0) is physical register 7 */
                ck_assert_uint_eq(kit_get(k, DATA_SPA + format->size, 8), 7);
                ck_assert_uint_eq(kit_get(k, DATA_SPA + format->size + 8, 2), 7);
                ck_assert_uint_eq(kit_get(k, DATA_SPA + format->size + 20 + 8, 2), 0x3fff);
                ck_assert_uint_eq(k->cpu->x87.fcw, 0x37f);
                ck_assert_uint_eq(k->cpu->x87.fsw, 0);
                ck_assert_uint_eq(k->cpu->x87.used, 0);
            }
        }
    }
}

/* What FNSAVE stored FRSTOR loads: all but what the format does not hold. */
WITH_KIT(restoring_in_every_mode)
{
    for (unsigned i = 0; i < TABLE_ROWS(formats); i++) {
        const struct format *format = &formats[i];
        format->mode(k);
        sample(k);
        struct cpu_x87 before = k->cpu->x87;
        bool real = format->mode == make_real || format->mode == make_v86;
        ck_assert_int_eq(execute_as(k, format, 0xdd, 6), STEP_NEXT);
        ck_assert_int_eq(execute_as(k, format, 0xdd, 4), STEP_NEXT);
        const struct cpu_x87 *after = &k->cpu->x87;
        ck_assert_uint_eq(after->fcw, before.fcw);
        ck_assert_uint_eq(after->fsw, before.fsw);
        ck_assert_uint_eq(after->used, before.used);
        ck_assert_uint_eq(after->fip, real ? 0x1aceb : before.fip);
        ck_assert_uint_eq(after->fdp, real ? 0x6356f : before.fdp);
        ck_assert_uint_eq(after->fcs, real ? 0 : before.fcs);
        ck_assert_uint_eq(after->fds, real ? 0 : before.fds);
        ck_assert_uint_eq(after->fop, format->mode == make_prot16 ? 0 : before.fop);
        ck_assert_mem_eq(after->reg, before.reg, sizeof(before.reg));
        ck_assert_int_eq(execute_as(k, format, 0xd9, 4), STEP_NEXT); /* fldenv of the same */
        ck_assert_uint_eq(after->fsw, before.fsw);
    }
}

/* ES and B of the image do not count: flags and masks tell. */
WITH_KIT(loading_an_environment_makes_exceptions_pending)
{
    static const struct {
        uint16_t fcw, fsw, loaded;
    } rows[] = { { 0x37f, 0x8080, 0 },
                 { 0x37e, 0x0001, 0x8081 },
                 { 0x37e, 0x80c0, 0x0040 },
                 { 0x0000, 0xff7f, 0xffff } };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        mode_prot32(k, 0);
        k->cpu->regs.seg[SEG_DS].base = DATA_SPA;
        k->cpu->x87.fsw = 0;
        cpu_update_fp(k->cpu);
        kit_put(k, DATA_SPA, 8, rows[i].fcw | (uint64_t)rows[i].fsw << 32);
        kit_put(k, DATA_SPA + 8, 8, 0xffff);
        ck_assert_int_eq(EXECUTE(k, "\xd9\x25\0\0\0\0"), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->x87.fsw, rows[i].loaded);
        ck_assert_uint_eq(k->cpu->x87.fcw, rows[i].fcw | 0x40);
        ck_assert_int_eq(!(k->cpu->ready & READY_X87), (rows[i].loaded & 0x80) != 0);
    }
}

/* A state that crosses into a page that cannot be written is not stored at all, and FNINIT does not happen. */
WITH_KIT(state_is_stored_as_a_whole)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_page(k, 1, 0);
    sample(k);
    struct cpu_x87 before = k->cpu->x87;
    k->cpu->r[REG_RDX] = PAGED_LA + 0x1000 - 100;
    kit_put(k, PAGED_LA + 0x1000 - 100, 8, 0x1122334455667788);
    kit_raised(k, EXECUTE(k, "\xdd\x32"), EXC_PF, 2);
    ck_assert_uint_eq(kit_get(k, PAGED_LA + 0x1000 - 100, 8), 0x1122334455667788);
    kit_raised(k, EXECUTE(k, "\xdd\x22"), EXC_PF, 0);
    ck_assert_mem_eq(&k->cpu->x87, &before, sizeof(before));
}

CHECK_MAIN("x87", ts_and_em_give_nm_before_mf, em_makes_mmx_undefined,
           wait_looks_at_mp_and_ts_together, without_ne_the_processor_freezes_until_an_interrupt,
           ignne_releases_the_instruction, ignne_msr_counts_where_hwcr_says_so, a_hlt_is_no_freeze,
           reset_ends_a_freeze, a_frozen_instruction_is_not_retired, ferr_freeze_is_intercepted,
           ferr_freeze_needs_a_freeze, environment_in_every_mode, restoring_in_every_mode,
           loading_an_environment_makes_exceptions_pending, state_is_stored_as_a_whole)

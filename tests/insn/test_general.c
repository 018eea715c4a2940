/* What the differential test does not reach: branches, the stack, RFLAGS, exchanges, intercepts, refusals. */
#include "tests/insn/rig.h"

#define STACK 0x150000u
#define DATA 0x160000u

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->r[REG_RSP] = STACK;
}

static void teardown(void)
{
    rig_free(rig);
}

static uint64_t at(uint64_t spa, unsigned size)
{
    return phys_read(cpu->memory, spa, size);
}

/* --- near branches ------------------------------------------------------------------------------- */

START_TEST(jmp_and_jcc_count_from_the_next_instruction)
{
    ck_assert_int_eq(EXEC(rig, 0xeb, 0x10), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 2 + 0x10);
    ck_assert_int_eq(EXEC(rig, 0xe9, 0xf0, 0xff, 0xff, 0xff), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 5 - 0x10);
    cpu_set_rflags(cpu, FLAG_ZF);
    ck_assert_int_eq(EXEC(rig, 0x74, 0x80), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 2 - 0x80);
    ck_assert_int_eq(EXEC(rig, 0x75, 0x80), STEP_NEXT);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP);
    ck_assert_int_eq(EXEC(rig, 0x0f, 0x84, 0, 1, 0, 0), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 6 + 0x100);
}
END_TEST

START_TEST(indirect_jmp_and_call)
{
    rig_put(rig, DATA, 0x123456);
    cpu->r[REG_RBX] = DATA;
    ck_assert_int_eq(EXEC(rig, 0xff, 0x23), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), 0x123456);
    cpu->r[REG_RBX] = 0x654321;
    ck_assert_int_eq(EXEC(rig, 0xff, 0xd3), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), 0x654321);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 8);
    ck_assert_uint_eq(at(STACK - 8, 8), RIG_RIP + 2);
}
END_TEST

START_TEST(call_and_ret)
{
    ck_assert_int_eq(EXEC(rig, 0xe8, 0, 1, 0, 0), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 5 + 0x100);
    ck_assert_uint_eq(at(STACK - 8, 8), RIG_RIP + 5);
    ck_assert_int_eq(EXEC(rig, 0xc3), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 5);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
    cpu->r[REG_RSP] = STACK - 8;
    ck_assert_int_eq(EXEC(rig, 0xc2, 0xff, 0xff), STEP_JUMP);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK + 0xffff);
}
END_TEST

START_TEST(non_canonical_target_is_gp_and_nothing_moves)
{
    static const struct {
        uint64_t target;
        bool legal;
    } rows[] = { { 0x00007fffffffffffu, true },
                 { 0x0000800000000000u, false },
                 { 0xffff7fffffffffffu, false },
                 { 0xffff800000000000u, true } };
    for (unsigned i = 0; i < 4; i++) {
        cpu->r[REG_RSP] = STACK;
        rig_put(rig, STACK - 8, 0x55);
        rig_put(rig, STACK, rows[i].target);
        cpu->r[REG_RBX] = rows[i].target;
        ck_assert_int_eq(EXEC(rig, 0xff, 0xe3), rows[i].legal ? STEP_JUMP : STEP_RAISED);
        enum step step = EXEC(rig, 0xff, 0xd3);
        ck_assert_int_eq(step, rows[i].legal ? STEP_JUMP : STEP_RAISED);
        if (!rows[i].legal) {
            rig_expect_fault(rig, step, EXC_GP, 0);
            ck_assert_uint_eq(at(STACK - 8, 8), 0x55);
            ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
            ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP);
        }
        cpu->r[REG_RSP] = STACK;
        ck_assert_int_eq(EXEC(rig, 0xc3), rows[i].legal ? STEP_JUMP : STEP_RAISED);
        ck_assert_uint_eq(cpu->r[REG_RSP], STACK + (rows[i].legal ? 8 : 0));
    }
}
END_TEST

/* Measured on Zen 4. */
/* rows: pitfalls 1.9 */
START_TEST(operand_size_16_cuts_rip)
{
    cpu->r[REG_RBX] = 0x12345678;
    cpu_set_rflags(cpu, FLAG_ZF);
    ck_assert_int_eq(EXEC(rig, 0x66, 0xff, 0xd3), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), 0x5678);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 2);
    ck_assert_int_eq(EXEC(rig, 0x66, 0xc3), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), (RIG_RIP + 3) & 0xffff);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
    ck_assert_int_eq(EXEC(rig, 0x66, 0xeb, 0x10), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), (RIG_RIP + 0x13) & 0xffff);
    ck_assert_int_eq(EXEC(rig, 0x66, 0x74, 0x10), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), (RIG_RIP + 0x13) & 0xffff);
    ck_assert_int_eq(EXEC(rig, 0x66, 0xe8, 0x10, 0x20), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), (RIG_RIP + 0x2014) & 0xffff);
    ck_assert_int_eq(EXEC(rig, 0x66, 0x48, 0xeb, 0x10), STEP_JUMP); /* REX.W wins */
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 0x14);
}
END_TEST

START_TEST(loops_count_in_the_address_size)
{
    static const struct {
        uint8_t opcode;
        uint64_t rcx;
        bool zf, taken;
    } rows[] = {
        { 0xe2, 2, false, true }, { 0xe2, 1, false, false }, { 0xe2, 0, false, true }, /* LOOP */
        { 0xe1, 2, true, true },  { 0xe1, 2, false, false }, { 0xe1, 1, true, false }, /* LOOPE */
        { 0xe0, 2, false, true }, { 0xe0, 2, true, false },                            /* LOOPNE */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu_set_rflags(cpu, rows[i].zf ? FLAG_ZF : 0);
        cpu->r[REG_RCX] = rows[i].rcx;
        ck_assert_int_eq(EXEC(rig, rows[i].opcode, 4), rows[i].taken ? STEP_JUMP : STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RCX], rows[i].rcx - 1);
    }
    cpu->r[REG_RCX] = 0xff00000001u; /* ECX = 1 */
    ck_assert_int_eq(EXEC(rig, 0x67, 0xe2, 4), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RCX], 0);
    cpu->r[REG_RCX] = 0xff00000000u;
    ck_assert_int_eq(EXEC(rig, 0x67, 0xe3, 4), STEP_JUMP); /* JECXZ */
    ck_assert_int_eq(EXEC(rig, 0xe3, 4), STEP_NEXT);       /* JRCXZ */
    ck_assert_uint_eq(cpu->r[REG_RCX], 0xff00000000u);
}
END_TEST

/* --- the stack -------------------------------------------------------------------------------------- */

/* rows: pitfalls 2.12 */
START_TEST(push_rsp_pushes_the_old_value_and_pop_rsp_takes_the_new)
{
    ck_assert_int_eq(EXEC(rig, 0x54), STEP_NEXT);
    ck_assert_uint_eq(at(STACK - 8, 8), STACK);
    ck_assert_int_eq(EXEC(rig, 0x5c), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
}
END_TEST

/* rows: pitfalls 2.12 */
START_TEST(pop_to_memory_uses_the_new_rsp)
{
    rig_put(rig, STACK, 0xabcdef);
    ck_assert_int_eq(EXEC(rig, 0x8f, 0x44, 0x24, 0x10), STEP_NEXT); /* POP [RSP + 16] */
    ck_assert_uint_eq(at(STACK + 8 + 16, 8), 0xabcdef);
    rig_page(rig, DATA, 0);
    cpu->r[REG_RSP] = STACK;
    cpu->r[REG_RBX] = DATA;
    rig_expect_fault(rig, EXEC(rig, 0x8f, 0x03), EXC_PF, PF_RW);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
}
END_TEST

START_TEST(push_fault_keeps_rsp_and_non_canonical_stack_is_ss)
{
    rig_page(rig, STACK - 0x1000, 0);
    rig_expect_fault(rig, EXEC(rig, 0x50), EXC_PF, PF_RW);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
    cpu->r[REG_RSP] = 0x0000800000000008u;
    rig_expect_fault(rig, EXEC(rig, 0x50), EXC_SS, 0);
    rig_expect_fault(rig, EXEC(rig, 0xe8, 0, 0, 0, 0), EXC_SS, 0);
}
END_TEST

/* rows: pitfalls 2.14 */
START_TEST(enter_and_leave)
{
    cpu->r[REG_RBP] = STACK + 0x100;
    rig_put(rig, STACK + 0xf8, 0x1111);
    rig_put(rig, STACK + 0xf0, 0x2222);
    ck_assert_int_eq(EXEC(rig, 0xc8, 0x20, 0, 0x23), STEP_NEXT); /* ENTER 32, 3 (level mod 32) */
    ck_assert_uint_eq(cpu->r[REG_RBP], STACK - 8);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 8 - 24 - 32);
    ck_assert_uint_eq(at(STACK - 8, 8), STACK + 0x100);
    ck_assert_uint_eq(at(STACK - 16, 8), 0x1111);
    ck_assert_uint_eq(at(STACK - 24, 8), 0x2222);
    ck_assert_uint_eq(at(STACK - 32, 8), STACK - 8);
    ck_assert_int_eq(EXEC(rig, 0xc9), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
    ck_assert_uint_eq(cpu->r[REG_RBP], STACK + 0x100);
}
END_TEST

/* rows: pitfalls 2.14 */
START_TEST(enter_fault_keeps_rsp_and_rbp)
{
    cpu->r[REG_RBP] = 77;
    rig_page(rig, STACK - 0x2000, 0);
    rig_expect_fault(rig, EXEC(rig, 0xc8, 0x00, 0x10, 0), EXC_PF,
                     PF_RW); /* only the final RSP is there */
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
    ck_assert_uint_eq(cpu->r[REG_RBP], 77);
}
END_TEST

/* --- RFLAGS -------------------------------------------------------------------------------------------- */

struct popf_row {
    uint8_t cpl, iopl;
    bool size16;
    uint64_t before, image, after;
};

#define IOPL(n) ((uint64_t)(n) << 12)

static const struct popf_row popf_rows[] = {
    { 0, 0, false, 0, FLAGS_WRITABLE & ~(FLAG_VM | FLAG_VIF | FLAG_VIP | FLAG_RF),
      FLAGS_WRITABLE & ~(FLAG_VM | FLAG_VIF | FLAG_VIP | FLAG_RF) },
    { 0, 0, false, 0, FLAG_VM | FLAG_VIF | FLAG_VIP | FLAG_RF, 0 },
    { 0, 0, false, FLAG_VIF | FLAG_VIP, 0, FLAG_VIF | FLAG_VIP },
    { 0, 0, false, FLAG_IF, 0, 0 },
    { 3, 0, false, FLAG_IF, 0, FLAG_IF },           /* CPL > IOPL: IF stays */
    { 3, 3, false, IOPL(3) | FLAG_IF, 0, IOPL(3) }, /* IF may go, IOPL stays */
    { 3, 0, false, 0, IOPL(3) | FLAG_IF, 0 },
    { 2, 2, false, IOPL(2), FLAG_IF | IOPL(2), FLAG_IF | IOPL(2) },
    { 0, 0, true, FLAG_AC | FLAG_ID, FLAG_CF, FLAG_AC | FLAG_ID | FLAG_CF }, /* 16 bits only */
    { 0, 0, false, FLAG_AC | FLAG_ID, FLAG_CF, FLAG_CF },
};

/* rows: pitfalls 2.17 */
START_TEST(popf_changes_what_the_privilege_allows)
{
    const struct popf_row *row = &popf_rows[_i];
    rig_segments(cpu, true, row->cpl);
    cpu_set_rflags(cpu, row->before);
    rig_put(rig, STACK, row->image);
    enum step step = row->size16 ? EXEC(rig, 0x66, 0x9d) : EXEC(rig, 0x9d);
    ck_assert_int_eq(step, STEP_LEAVE);
    ck_assert_uint_eq(cpu_rflags(cpu), row->after | 2);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK + (row->size16 ? 2 : 8));
}
END_TEST

/* rows: pitfalls 2.17 */
START_TEST(pushf_hides_rf_and_vm)
{
    cpu_set_rflags(cpu, FLAG_RF | FLAG_AC | FLAG_ZF);
    ck_assert_int_eq(EXEC(rig, 0x9c), STEP_NEXT);
    ck_assert_uint_eq(at(STACK - 8, 8), FLAG_AC | FLAG_ZF | 2);
}
END_TEST

/* Every condition against its definition, for material and lazy flags. */
START_TEST(conditions_follow_the_flags)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        uint32_t flags = (bits & 1 ? FLAG_CF : 0) | (bits & 2 ? FLAG_PF : 0) |
                         (bits & 4 ? FLAG_AF : 0) | (bits & 8 ? FLAG_ZF : 0) |
                         (bits & 16 ? FLAG_SF : 0) | (bits & 32 ? FLAG_OF : 0);
        bool cf = flags & FLAG_CF, pf = flags & FLAG_PF, zf = flags & FLAG_ZF;
        bool sf = flags & FLAG_SF, of = flags & FLAG_OF;
        bool want[8] = { of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of };
        for (unsigned cc = 0; cc < 16; cc++) {
            flags_set_material(cpu, flags);
            ck_assert_int_eq(flags_condition(cpu, cc), want[cc / 2] != (cc & 1));
        }
    }
}
END_TEST

/* flags_replace() keeps the others whatever form they are in. */
START_TEST(partial_flag_writers_keep_the_others)
{
    static const uint8_t writers[][3] = { { 0x00, 0xd8, 0 }, { 0x28, 0xd8, 0 }, { 0x20, 0xd8, 0 },
                                          { 0xfe, 0xc0, 0 }, { 0xfe, 0xc8, 0 }, { 0xc0, 0xe0, 3 } };
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned value = 0; value < 256; value += 5) {
            cpu->r[REG_RAX] = value;
            cpu->r[REG_RBX] = 0x9c;
            flags_set_material(cpu, value & 1 ? FLAG_CF : 0);
            ck_assert_int_eq(rig_exec(rig, writers[i], i == 5 ? 3 : 2), STEP_NEXT);
            uint32_t before = flags_status(cpu);
            ck_assert_int_eq(EXEC(rig, 0xf5), STEP_NEXT); /* CMC */
            ck_assert_uint_eq(flags_status(cpu), before ^ FLAG_CF);
        }
    }
}
END_TEST

/* rows: pitfalls 2.19 */
START_TEST(lahf_and_sahf_need_their_feature_in_64_bit_mode)
{
    struct cpu_model model = *cpu->model;
    cpu->model = &model;
    model.features[CPU_FEATURE_LAHF_LM] = false;
    rig_expect_fault(rig, EXEC(rig, 0x9f), EXC_UD, 0);
    rig_expect_fault(rig, EXEC(rig, 0x9e), EXC_UD, 0);
    cpu->model = cpu_model_default();
    ck_assert_int_eq(EXEC(rig, 0x9f), STEP_NEXT);
}
END_TEST

/* --- exchanges -------------------------------------------------------------------------------------------- */

/* rows: pitfalls 2.10 */
START_TEST(cmpxchg16b_wants_alignment)
{
    cpu->r[REG_RBX] = DATA + 8;
    rig_expect_fault(rig, EXEC(rig, 0x48, 0x0f, 0xc7, 0x0b), EXC_GP, 0);
    cpu->r[REG_RBX] = DATA;
    ck_assert_int_eq(EXEC(rig, 0x48, 0x0f, 0xc7, 0x0b), STEP_NEXT);
}
END_TEST

/* One access of 8 bytes: so its alignment is checked. */
START_TEST(cmpxchg8b_is_one_access)
{
    cpu->r[REG_RBX] = DATA + 4;
    rig_put(rig, DATA + 4, 0x1111222233334444);
    cpu->r[REG_RAX] = 0xaaaaaaaa33334444;
    cpu->r[REG_RDX] = 0xbbbbbbbb11112222;
    cpu->r[REG_RCX] = 0xcccccccc55556666;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xc7, 0x0b), STEP_NEXT);
    ck_assert(flags_zf(cpu));
    ck_assert_uint_eq(phys_read(cpu->memory, DATA + 4, 8), 0x5555666600000000 | (DATA + 4));
    ck_assert_uint_eq(cpu->r[REG_RAX], 0xaaaaaaaa33334444); /* equal: RDX:RAX stay */
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xc7, 0x0b), STEP_NEXT);
    ck_assert(!flags_zf(cpu));
    ck_assert_uint_eq(cpu->r[REG_RAX], DATA + 4);
    ck_assert_uint_eq(cpu->r[REG_RDX], 0x55556666);
    rig_segments(cpu, true, 3);
    cpu->regs.cr0 |= CR0_AM;
    cpu_set_rflags(cpu, FLAG_AC);
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0xc7, 0x0b), EXC_AC, 0);
    cpu->r[REG_RBX] = DATA + 8;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xc7, 0x0b), STEP_NEXT);
}
END_TEST

/* A comparison that fails still writes: a read-only page faults. */
/* rows: pitfalls 2.10 */
START_TEST(compare_exchange_always_writes)
{
    rig_page(rig, DATA, DATA | PTE_P);
    cpu->r[REG_RBX] = DATA;
    cpu->r[REG_RAX] = 1;
    rig_expect_fault(rig, EXEC(rig, 0x48, 0x0f, 0xb1, 0x0b), EXC_PF, PF_P | PF_RW);
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0xc7, 0x0b), EXC_PF, PF_P | PF_RW);
    rig_expect_fault(rig, EXEC(rig, 0x48, 0x0f, 0xc7, 0x0b), EXC_PF, PF_P | PF_RW);
    ck_assert_uint_eq(cpu->r[REG_RAX], 1);
}
END_TEST

/* rows: pitfalls 2.8 */
START_TEST(bit_offset_reaches_both_ways)
{
    memset(rig_ptr(rig, DATA), 0, 0x1000);
    cpu->r[REG_RBX] = DATA + 0x800;
    cpu->r[REG_RCX] = (uint64_t)-1;
    ck_assert_int_eq(EXEC(rig, 0x48, 0x0f, 0xab, 0x0b), STEP_NEXT); /* BTS [RBX], RCX */
    ck_assert_uint_eq(at(DATA + 0x7ff, 1), 0x80);
    cpu->r[REG_RCX] = 0x1000000065u; /* the 32-bit form takes ECX */
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xab, 0x0b), STEP_NEXT);
    ck_assert_uint_eq(at(DATA + 0x80c, 1), 0x20);
}
END_TEST

START_TEST(faults_change_nothing)
{
    static const uint8_t rows[][4] = {
        { 0x48, 0x01, 0x03 }, { 0x48, 0x11, 0x03 }, { 0x48, 0xff, 0x03 }, { 0x48, 0xf7, 0x1b },
        { 0x48, 0xd3, 0x23 }, { 0x48, 0x87, 0x03 }, { 0x48, 0xf7, 0x23 }, { 0x48, 0xf7, 0x33 },
        { 0x48, 0x03, 0x03 }, { 0x48, 0x3b, 0x03 }, { 0x48, 0x85, 0x03 }
    };
    cpu->r[REG_RAX] = 0x123;
    cpu->r[REG_RBX] = DATA;
    cpu->r[REG_RDX] = 0;
    rig_page(rig, DATA, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        flags_set_material(cpu, FLAG_CF | FLAG_PF);
        ck_assert_int_eq(rig_exec(rig, rows[i], 3), STEP_RAISED);
        ck_assert_uint_eq(cpu->raised.event.vector, EXC_PF);
        ck_assert_uint_eq(cpu->r[REG_RAX], 0x123);
        ck_assert_uint_eq(flags_status(cpu), FLAG_CF | FLAG_PF);
    }
}
END_TEST

START_TEST(xlat_adds_al)
{
    rig_put(rig, DATA + 0x42, 0x99);
    cpu->r[REG_RBX] = DATA;
    cpu->r[REG_RAX] = 0xffff42;
    ck_assert_int_eq(EXEC(rig, 0xd7), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0xffff99);
}
END_TEST

/* --- hints, intercepts, refusals ------------------------------------------------------------------------------ */

START_TEST(hints_do_not_fault_and_clflush_does)
{
    cpu->r[REG_RBX] = 0x0000800000000000u;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0x0d, 0x0b), STEP_NEXT); /* PREFETCHW */
    ck_assert_int_eq(EXEC(rig, 0x0f, 0x18, 0x03), STEP_NEXT); /* PREFETCHNTA */
    ck_assert_int_eq(EXEC(rig, 0x0f, 0x1f, 0x03), STEP_NEXT); /* NOP r/m */
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x0f, 0x1e, 0xfa), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xae, 0xe8), STEP_NEXT); /* LFENCE */
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xae, 0xf0), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xae, 0xf8), STEP_NEXT);
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0xae, 0x3b), EXC_GP, 0); /* CLFLUSH */
    cpu->r[REG_RBX] = DATA;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xae, 0x3b), STEP_NEXT);
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x0b), EXC_UD, 0);
}
END_TEST

START_TEST(clflush_faults_also_while_alignment_is_checked)
{
    rig_page(rig, 0x123000, 0);
    cpu->regs.cr0 |= CR0_AM;
    cpu_set_rflags(cpu, FLAG_AC);
    rig_segments(cpu, true, 3);
    cpu->r[REG_RBX] = 0x123456;
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0xae, 0x3b), EXC_PF, PF_US);
}
END_TEST

START_TEST(pause_pushf_and_popf_do_not_exit_outside_a_guest)
{
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x90), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, 0x9c), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, 0x9d), STEP_LEAVE);
}
END_TEST

/* The exit comes before any exception: the stack is not even looked at. The host at address 0 is none, so the
 * machine stops, but the VMCB is written. APM vol 2, 15.9 "Instruction Intercepts". */
START_TEST(intercepts_of_pause_pushf_and_popf)
{
    static const struct {
        uint8_t len, bytes[2];
        enum intercept intercept;
        uint64_t code;
    } rows[] = { { 2, { 0xf3, 0x90 }, INTERCEPT_PAUSE, VMEXIT_PAUSE },
                 { 1, { 0x9c }, INTERCEPT_PUSHF, VMEXIT_PUSHF },
                 { 1, { 0x9d }, INTERCEPT_POPF, VMEXIT_POPF } };
    for (unsigned i = 0; i < 3; i++) {
        teardown();
        setup();
        cpu->r[REG_RSP] = 0x0000800000000000u;
        cpu->svm->guest = true;
        cpu->svm->asid = 1;
        cpu->svm->vmcb_spa = DATA;
        cpu->svm->intercept[rows[i].intercept / 32] = 1u << (rows[i].intercept % 32);
        cpu_update_mode(cpu);
        ck_assert_int_eq(rig_exec(rig, rows[i].bytes, rows[i].len), STEP_STOP);
        ck_assert_uint_eq(at(DATA + 0x070, 8), rows[i].code);
        ck_assert_uint_eq(at(DATA + 0x578, 8), RIG_RIP);             /* the guest's RIP */
        ck_assert_uint_eq(at(DATA + 0x5d8, 8), 0x0000800000000000u); /* and RSP */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("general");
    TCase *tcase = tcase_create("64-bit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, jmp_and_jcc_count_from_the_next_instruction);
    tcase_add_test(tcase, indirect_jmp_and_call);
    tcase_add_test(tcase, call_and_ret);
    tcase_add_test(tcase, non_canonical_target_is_gp_and_nothing_moves);
    tcase_add_test(tcase, operand_size_16_cuts_rip);
    tcase_add_test(tcase, loops_count_in_the_address_size);
    tcase_add_test(tcase, push_rsp_pushes_the_old_value_and_pop_rsp_takes_the_new);
    tcase_add_test(tcase, pop_to_memory_uses_the_new_rsp);
    tcase_add_test(tcase, push_fault_keeps_rsp_and_non_canonical_stack_is_ss);
    tcase_add_test(tcase, enter_and_leave);
    tcase_add_test(tcase, enter_fault_keeps_rsp_and_rbp);
    tcase_add_loop_test(tcase, popf_changes_what_the_privilege_allows, 0,
                        sizeof(popf_rows) / sizeof(popf_rows[0]));
    tcase_add_test(tcase, pushf_hides_rf_and_vm);
    tcase_add_test(tcase, conditions_follow_the_flags);
    tcase_add_test(tcase, partial_flag_writers_keep_the_others);
    tcase_add_test(tcase, lahf_and_sahf_need_their_feature_in_64_bit_mode);
    tcase_add_test(tcase, cmpxchg16b_wants_alignment);
    tcase_add_test(tcase, cmpxchg8b_is_one_access);
    tcase_add_test(tcase, compare_exchange_always_writes);
    tcase_add_test(tcase, bit_offset_reaches_both_ways);
    tcase_add_test(tcase, faults_change_nothing);
    tcase_add_test(tcase, xlat_adds_al);
    tcase_add_test(tcase, hints_do_not_fault_and_clflush_does);
    tcase_add_test(tcase, clflush_faults_also_while_alignment_is_checked);
    tcase_add_test(tcase, pause_pushf_and_popf_do_not_exit_outside_a_guest);
    tcase_add_test(tcase, intercepts_of_pause_pushf_and_popf);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

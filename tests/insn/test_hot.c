/* Hot handlers, fused branches and elided flags against the plain bodies: random programs of the forms that have hot
 * handlers run through the run loop and, one body at a time, by a reference loop; registers, flags and memory agree. */
#include "decoder/decode.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/run.h"
#include "emu/insn/insn.h"

#include <pacifica/pacifica.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#define TABLES 0x1000u /* PML4, PDPT, PD: identity map of the first 2 MiB pages */
#define CODE 0x10ff0u  /* programs straddle a page border */
#define DATA 0x20000u  /* RBX and RSP point into it; read-write */
#define DATA_BYTES 0x2000u
#define PROGRAMS 30000u

static struct memory *memory;
static struct probes probes;
static struct vclock clock_;
static struct vcpu *cpu;
static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static unsigned pick(unsigned n)
{
    return (unsigned)(rnd() >> 20) % n;
}

struct program {
    uint8_t bytes[256];
    unsigned len, insns;
};

static void put(struct program *p, unsigned count, const uint8_t *bytes)
{
    memcpy(p->bytes + p->len, bytes, count);
    p->len += count;
}

static void put1(struct program *p, unsigned byte)
{
    p->bytes[p->len++] = (uint8_t)byte;
}

static void put_imm(struct program *p, unsigned size)
{
    uint64_t value = pick(4) == 0 ? (uint64_t)(int64_t)(int32_t)(pick(5) - 2) : rnd();
    put(p, size, (const uint8_t *)&value);
}

/* Any register but RBX and RSP, which keep pointing into the data. */
static unsigned free_register(void)
{
    unsigned reg;
    do
        reg = pick(16);
    while (reg == REG_RBX || reg == REG_RSP);
    return reg;
}

/* ModRM with reg and r/m: a register, [rbx + disp8], [rbx + disp32], [rsp + disp8] or [rip + x]. */
static void put_modrm(struct program *p, unsigned rex_at, unsigned reg, bool memory_form)
{
    if (reg & 8)
        p->bytes[rex_at] |= 4;
    unsigned r = (reg & 7) << 3;
    if (!memory_form) {
        unsigned rm = free_register();
        if (rm & 8)
            p->bytes[rex_at] |= 1;
        put1(p, 0xc0 | r | (rm & 7));
        return;
    }
    switch (pick(3)) {
    case 0:
        put1(p, 0x43 | r);
        put1(p, pick(120));
        break;
    case 1: {
        uint32_t disp = pick(0xff0); /* may cross into the second page */
        put1(p, 0x83 | r);
        put(p, 4, (const uint8_t *)&disp);
        break;
    }
    default:
        put1(p, 0x44 | r);
        put1(p, 0x24);
        put1(p, pick(64));
        break;
    }
}

static void put_alu(struct program *p)
{
    static const uint8_t op[8] = { 0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38 };
    unsigned rex = p->len, form = pick(6), which = pick(8);
    put1(p, 0x40 | (pick(2) << 3));
    switch (form) {
    case 0:
        put1(p, op[which] | 1);
        put_modrm(p, rex, free_register(), false);
        break;
    case 1:
        put1(p, op[which] | 1);
        put_modrm(p, rex, free_register(), true);
        break;
    case 2:
        put1(p, op[which] | 3);
        put_modrm(p, rex, free_register(), true);
        break;
    case 3:
        put1(p, 0x83);
        put_modrm(p, rex, which, pick(2));
        put_imm(p, 1);
        break;
    case 4:
        put1(p, 0x81);
        put_modrm(p, rex, which, pick(2));
        put_imm(p, 4);
        break;
    default:
        put1(p, 0x80);
        put_modrm(p, rex, which, pick(2));
        put_imm(p, 1);
        break;
    }
    p->insns++;
}

static void put_other(struct program *p)
{
    unsigned rex = p->len;
    put1(p, 0x40 | (pick(2) << 3));
    bool mem = pick(2);
    switch (pick(20)) {
    case 0:
        put1(p, 0x89);
        put_modrm(p, rex, pick(16), mem);
        break;
    case 1:
        put1(p, 0x8b);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 2:
        put1(p, 0x88);
        put_modrm(p, rex, pick(16), true);
        break;
    case 3:
        put1(p, 0xc7);
        put_modrm(p, rex, 0, mem);
        put_imm(p, 4);
        break;
    case 4:
        put1(p, 0xc6);
        put_modrm(p, rex, 0, true);
        put_imm(p, 1);
        break;
    case 5:
        put1(p, 0x0f);
        put1(p, 0xb6);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 6:
        put1(p, 0x0f);
        put1(p, 0xb7);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 7:
        p->bytes[rex] |= 8;
        put1(p, 0x63);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 8:
        put1(p, 0x8d);
        put_modrm(p, rex, free_register(), true);
        break;
    case 9:
        put1(p, 0x85);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 10:
        put1(p, 0x84);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 11:
        put1(p, 0xf7);
        put_modrm(p, rex, 0, mem);
        put_imm(p, 4);
        break;
    case 12:
        put1(p, 0xf6);
        put_modrm(p, rex, 0, mem);
        put_imm(p, 1);
        break;
    case 13:
        put1(p, 0xc1);
        put_modrm(p, rex, 4 + pick(2), mem);
        put_imm(p, 1);
        break;
    case 14:
        put1(p, 0xc1);
        put_modrm(p, rex, 7, mem);
        put_imm(p, 1);
        break;
    case 15:
        put1(p, 0x0f);
        put1(p, 0xaf);
        put_modrm(p, rex, free_register(), mem);
        break;
    case 16:
        put1(p, 0xff);
        put_modrm(p, rex, pick(2), mem);
        break; /* INC, DEC */
    case 17: put1(p, 0x50 + REG_RSI); break;
    case 18: put1(p, 0x58 + REG_RDI); break;
    default: put1(p, 0x98); break; /* CWDE, CDQE */
    }
    p->insns++;
}

/* Jcc over one instruction, or JMP, CALL over nothing. */
static void put_branch(struct program *p)
{
    unsigned at = p->len;
    switch (pick(6)) {
    case 0:
        put1(p, 0xeb);
        put1(p, 0);
        break;
    case 1: put(p, 5, (const uint8_t[]){ 0xe8, 0, 0, 0, 0 }); break;
    case 2: /* lea rsi, [rip + 2]; jmp rsi */
        put(p, 9, (const uint8_t[]){ 0x48, 0x8d, 0x35, 2, 0, 0, 0, 0xff, 0xe6 });
        p->insns++;
        break;
    default:
        put1(p, 0x70 | pick(16));
        put1(p, 0);
        p->insns++;
        put_alu(p);
        p->bytes[at + 1] = (uint8_t)(p->len - at - 2);
        return;
    }
    p->insns++;
}

static void setup(void)
{
    memory = memory_new(4 << 20);
    cpu = vcpu_new(&(struct vcpu_parts){
        .memory = memory, .probes = &probes, .clock = &clock_, .model = cpu_model_default() });
    ck_assert_ptr_nonnull(cpu);
    phys_write(memory, TABLES, 8, (TABLES + 0x1000) | 3);
    phys_write(memory, TABLES + 0x1000, 8, (TABLES + 0x2000) | 3);
    phys_write(memory, TABLES + 0x2000, 8, 0x83);
    cpu->regs.cr0 = CR0_PE | CR0_PG | CR0_ET;
    cpu->regs.cr4 = CR4_PAE;
    cpu->regs.cr3 = TABLES;
    cpu->regs.efer = EFER_LME | EFER_LMA;
    for (int i = 0; i <= SEG_GS; i++)
        cpu->regs.seg[i] = (struct segment){ .attr = 0xc93, .limit = UINT32_MAX };
    cpu->regs.seg[SEG_CS].attr = 0xa9b;
    cpu->regs.cpl = 0;
    cpu_update_mode(cpu);
}

static void teardown(void)
{
    vcpu_free(cpu);
    memory_free(memory);
}

struct state {
    uint64_t r[REG_COUNT], rflags;
    uint8_t data[DATA_BYTES];
};

static void load(const struct state *state)
{
    memcpy(cpu->r, state->r, sizeof(cpu->r));
    cpu_set_rflags(cpu, state->rflags);
    ck_assert(phys_write_block(memory, DATA, state->data, DATA_BYTES));
    cpu->regs.halted = false;
}

static void save(struct state *state)
{
    memcpy(state->r, cpu->r, sizeof(cpu->r));
    state->r[REG_TMP] = 0;
    state->rflags = cpu_rflags(cpu);
    ck_assert(phys_read_block(memory, DATA, state->data, DATA_BYTES));
}

/* One plain body after the other until HLT. Returns the number of instructions. */
static unsigned run_bodies(const struct program *p)
{
    unsigned count = 0;
    for (;;) {
        struct insn in;
        unsigned at = (unsigned)(cpu->r[REG_RIP] - CODE);
        ck_assert_uint_lt(at, p->len);
        ck_assert_int_eq(decode_insn(p->bytes + at, p->len - at, MODE_LONG64, &in), DECODE_OK);
        const struct insn_info *info = insn_lookup(in.mnemonic);
        ck_assert_ptr_nonnull(info);
        in.body = info->body;
        in.flags = info->flags;
        enum step step = in.body(cpu, &in);
        count++;
        if (step == STEP_NEXT || step == STEP_LEAVE || step == STEP_HALT)
            cpu->r[REG_RIP] += in.len;
        else
            ck_assert_int_eq(step, STEP_JUMP);
        if (step == STEP_HALT)
            return count;
    }
}

static void make_program(struct program *p)
{
    *p = (struct program){ 0 };
    unsigned count = 1 + pick(12);
    while (p->insns < count) {
        switch (pick(4)) {
        case 0: put_alu(p); break;
        case 1: put_branch(p); break;
        default: put_other(p); break;
        }
    }
    put1(p, 0xf4);
}

START_TEST(hot_forms_equal_plain_bodies)
{
    static struct state start, hot, plain;
    static const bool exact[2] = { false, true };
    for (unsigned i = 0; i < PROGRAMS; i++) {
        struct program p;
        make_program(&p);
        for (unsigned k = 0; k < 16; k++)
            start.r[k] = pick(3) ? rnd() : (uint64_t)(int64_t)(int32_t)(pick(5) - 2);
        start.r[REG_RBX] = DATA;
        start.r[REG_RSP] = DATA + 0x400;
        start.r[REG_RIP] = CODE;
        start.rflags = (rnd() & FLAGS_STATUS) | 2;
        for (unsigned k = 0; k < DATA_BYTES; k += 8)
            memcpy(start.data + k, &(uint64_t){ rnd() }, 8);

        ck_assert(phys_write_block(memory, CODE, p.bytes, p.len));
        load(&start);
        unsigned bodies = run_bodies(&p);
        save(&plain);
        for (unsigned k = 0; k < 2; k++) {
            load(&start);
            uint64_t before = cpu_insns(cpu);
            struct run_limits limits = { .max_steps = UINT64_MAX, .exact_blocks = exact[k] };
            ck_assert_int_eq(run_vcpu(cpu, &limits), PACIFICA_STOP_HALTED);
            ck_assert_uint_eq(cpu_insns(cpu) - before, bodies);
            save(&hot);
            bool same = memcmp(&hot, &plain, sizeof(hot)) == 0;
            if (!same) {
                for (unsigned b = 0; b < p.len; b++)
                    fprintf(stderr, "%02x", p.bytes[b]);
                for (unsigned r = 0; r < 18; r++)
                    if (hot.r[r] != plain.r[r])
                        fprintf(stderr, " r%u: %llx, plain %llx;", r, (unsigned long long)hot.r[r],
                                (unsigned long long)plain.r[r]);
                fprintf(stderr, " flags %llx, plain %llx\n", (unsigned long long)hot.rflags,
                        (unsigned long long)plain.rflags);
            }
            ck_assert(same);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hot");
    TCase *tc = tcase_create("hot");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, hot_forms_equal_plain_bodies);
    tcase_set_timeout(tc, 300);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Moves, shuffles, blends and gathers against the workstation's processor: every row of vector_move.def in every encoding, with
 * random registers, immediates and memory. All registers, the x87 ones too, and memory are compared. */
#include "tests/insn/native_state.h"
#include "tests/insn/rig.h"
#include "tests/random.h"

#include <stdio.h>

static const struct row {
    uint16_t mnemonic;
    const char *name;
} rows[] = {
#define INSN(name, body, flags, feature) { ZYDIS_MNEMONIC_##name, #name },
#include "emu/insn/vector_move.def"
#undef INSN
    { ZYDIS_MNEMONIC_MOVSD, "MOVSD" }, /* whose row is the string instruction's */
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

#define OPERAND 0x800u /* of the area: what RBX and RDI point to */
#define REACH 64u      /* bytes on both sides of it that stores may reach */
#define UPPER 0x5a     /* what bits 511:256 hold before */

static struct rig *rig;
static struct vcpu *cpu;
static uint8_t *page, *area;
static uint64_t seed = 0x9e3779b97f4a7c15;
static unsigned runs[ROW_COUNT];
static bool absent[ROW_COUNT]; /* the workstation cannot run it */

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
    page = native_page();
    area = native_page();
}

static void teardown(void)
{
    rig_free(rig);
}

static int find_row(uint16_t mnemonic)
{
    for (unsigned i = 0; i < ROW_COUNT; i++)
        if (rows[i].mnemonic == mnemonic)
            return (int)i;
    return -1;
}

/* --- one comparison -------------------------------------------------------------------------------- */

static bool is_gather(const struct insn *in)
{
    return in->isa_set == ZYDIS_ISA_SET_AVX2GATHER;
}

static bool indices_are_dwords(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_VGATHERDPS:
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VPGATHERDD:
    case ZYDIS_MNEMONIC_VPGATHERDQ: return true;
    default: return false;
    }
}

/* Indices that stay in the area. */
static void draw_indices(const struct insn *in, uint8_t *to)
{
    unsigned size = indices_are_dwords(in) ? 4 : 8;
    for (unsigned i = 0; i < 32; i += size) {
        int64_t index = (int64_t)(test_random(&seed) % 400) - 200;
        memcpy(to + i, &index, size);
    }
}

static void draw(const struct insn *in, struct native_state *s)
{
    for (unsigned i = 0; i < 16; i++) {
        native_operand(&seed, s->v[i], s->v[i ? i - 1 : 0]);
        s->r[i] = native_element(&seed, 8);
    }
    if (is_gather(in))
        draw_indices(in, s->v[in->vindex]);
    for (unsigned i = 0; i < 8; i++)
        s->st[i] = (struct f80){ native_element(&seed, 8), (uint16_t)test_random(&seed) };
    s->fsw = (uint16_t)((test_random(&seed) & 7) << FSW_TOP_SHIFT | 0x4100);
    s->used = (uint8_t)test_random(&seed);
    s->flags = test_random(&seed) & NATIVE_FLAGS;
    for (unsigned i = 0; i < 4; i++)
        native_operand(&seed, s->mem + OPERAND - REACH + 32 * i, s->v[i]);
}

/* Legacy encodings keep bits 511:256, VEX may clear them. */
static void upper_is_kept(const union vector *reg, const struct insn *in)
{
    for (unsigned i = 32; i < 64; i++)
        if (reg->u8[i] != UPPER && !(in->vex && reg->u8[i] == 0))
            ck_abort_msg("bits 511:256");
}

static void emulate(struct native_state *s, const struct insn *in)
{
    uint8_t *mem = rig_ptr(rig, RIG_SCRATCH_SPA);
    for (unsigned i = 0; i < 16; i++) {
        memset(&cpu->simd.v[i], UPPER, sizeof(cpu->simd.v[i]));
        memcpy(&cpu->simd.v[i], s->v[i], 32);
        cpu->r[i] = s->r[i];
    }
    cpu->r[REG_RBX] = cpu->r[REG_RDI] = RIG_SCRATCH + OPERAND;
    memcpy(cpu->x87.reg, s->st, sizeof(s->st));
    cpu->x87.fsw = s->fsw;
    cpu->x87.used = s->used;
    cpu_set_rflags(cpu, s->flags | 2);
    memcpy(mem, s->mem, NATIVE_AREA);
    (void)mem_regime(cpu);
    if (insn_run(cpu, in) != STEP_NEXT)
        ck_abort_msg("the instruction faults");
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->v[i], &cpu->simd.v[i], 32);
        upper_is_kept(&cpu->simd.v[i], in);
        if (i != REG_RBX && i != REG_RDI)
            s->r[i] = cpu->r[i];
    }
    memcpy(s->st, cpu->x87.reg, sizeof(s->st));
    s->fsw = cpu->x87.fsw;
    s->used = cpu->x87.used;
    s->flags = cpu_rflags(cpu) & NATIVE_FLAGS;
    memcpy(s->mem, mem, NATIVE_AREA);
}

static void print_bytes(const char *what, const void *bytes, unsigned n)
{
    fprintf(stderr, "%s", what);
    for (unsigned i = 0; i < n; i++)
        fprintf(stderr, "%02x", ((const uint8_t *)bytes)[i]);
    fprintf(stderr, "\n");
}

static void tell(const char *what, unsigned n, const void *before, const void *there,
                 const void *here, unsigned size)
{
    if (memcmp(there, here, size) == 0)
        return;
    fprintf(stderr, "%s %u\n", what, n);
    print_bytes("  before ", before, size);
    print_bytes("  native ", there, size);
    print_bytes("  here   ", here, size);
}

static bool same(const struct native_state *there, const struct native_state *here)
{
    bool st = true;
    for (unsigned i = 0; i < 8; i++)
        st = st && there->st[i].mant == here->st[i].mant && there->st[i].se == here->st[i].se;
    return st && memcmp(there->v, here->v, sizeof(here->v)) == 0 &&
           memcmp(there->r, here->r, sizeof(here->r)) == 0 && there->flags == here->flags &&
           there->fsw == here->fsw && there->used == here->used &&
           memcmp(there->mem + OPERAND - REACH, here->mem + OPERAND - REACH, 2 * REACH) == 0;
}

static void compare_once(const struct insn *in, const char *name, const uint8_t *bytes)
{
    static struct native_state before, there, here;
    draw(in, &before);
    there = here = before;
    there.r[REG_RBX] = there.r[REG_RDI] = (uintptr_t)area + OPERAND;
    native_state_run(&there, page, bytes, in->len, area);
    there.r[REG_RBX] = before.r[REG_RBX];
    there.r[REG_RDI] = before.r[REG_RDI];
    emulate(&here, in);
    if (same(&there, &here))
        return;
    print_bytes("bytes ", bytes, in->len);
    for (unsigned i = 0; i < 16; i++) {
        tell("vector", i, before.v[i], there.v[i], here.v[i], 32);
        tell("register", i, &before.r[i], &there.r[i], &here.r[i], 8);
    }
    for (unsigned i = 0; i < 8; i++) {
        tell("mant", i, &before.st[i].mant, &there.st[i].mant, &here.st[i].mant, 8);
        tell("exponent", i, &before.st[i].se, &there.st[i].se, &here.st[i].se, 2);
    }
    tell("fsw", 0, &before.fsw, &there.fsw, &here.fsw, 2);
    tell("used", 0, &before.used, &there.used, &here.used, 1);
    tell("flags", 0, &before.flags, &there.flags, &here.flags, 8);
    for (unsigned i = 0; i < 2 * REACH; i += 32)
        tell("memory", i, before.mem + OPERAND - REACH + i, there.mem + OPERAND - REACH + i,
             here.mem + OPERAND - REACH + i, 32);
    ck_abort_msg("%s differs", name);
}

/* --- encodings ----------------------------------------------------------------------------------------- */

static bool workstation_has(const struct insn *in)
{
    return page && area &&
           native_vector_has(is_gather(in) ? (unsigned)ZYDIS_ISA_SET_AVX2 : in->isa_set);
}

/* Operands RBX, RSP and RDI are in use. */
static bool takes_reserved(const struct insn *in)
{
    for (unsigned i = 0; i < in->count; i++)
        if (in->op[i].kind == OPERAND_REG &&
            (in->op[i].reg / 8 == REG_RBX || in->op[i].reg / 8 == REG_RSP ||
             in->op[i].reg / 8 == REG_RDI))
            return true;
    return false;
}

/* Run these bytes if they are of a row; false: they are not. */
static bool compare_encoding(const uint8_t *bytes)
{
    struct insn in;
    if (decode_insn(bytes, 15, MODE_LONG64, &in) != DECODE_OK || find_row(in.mnemonic) < 0)
        return false;
    int row = find_row(in.mnemonic);
    if (!workstation_has(&in)) {
        absent[row] = true;
        return false;
    }
    if (takes_reserved(&in))
        return true;
    in.body = insn_lookup(in.mnemonic)->body;
    in.need = isa_need(&in);
    compare_once(&in, rows[row].name, bytes);
    runs[row]++;
    return true;
}

/* ModRM and what follows: two registers, memory at RBX, or memory at RBX and an index register. */
enum place { REGISTER, MEMORY, INDEXED };

static void put_operands(uint8_t *to, enum place place, unsigned reg, unsigned rm, unsigned n)
{
    static const uint8_t forms[] = { 0xc0, REG_RBX, 0x04 };
    *to++ = (uint8_t)(forms[place] | (reg & 7) << 3 | (place == REGISTER ? rm & 7 : 0));
    if (place == INDEXED)
        *to++ = (uint8_t)((rm >> 4 & 3) << 6 | (rm & 7) << 3 | REG_RBX);
    *to = (uint8_t)n; /* an immediate, if there is one */
}

static bool compare_legacy(unsigned map, unsigned form, unsigned opcode, enum place place,
                           unsigned n)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    uint8_t bytes[16] = { 0 };
    unsigned at = 0, reg = (unsigned)test_random(&seed) & 15,
             rm = (unsigned)test_random(&seed) & 15;
    if (prefixes[form & 3])
        bytes[at++] = prefixes[form & 3];
    bytes[at++] = (uint8_t)(0x40 | (form & 4) << 1 | (reg & 8) >> 1 |
                            (place == REGISTER ? (rm & 8) >> 3 : 0));
    bytes[at++] = 0x0f;
    if (map > 1)
        bytes[at++] = map == 2 ? 0x38 : 0x3a;
    bytes[at++] = (uint8_t)opcode;
    put_operands(bytes + at, place, reg, rm, n);
    return compare_encoding(bytes);
}

/* VEX.vvvv is a register or unused. */
static bool compare_vex(unsigned map, unsigned form, unsigned opcode, enum place place, unsigned n)
{
    uint64_t r = test_random(&seed);
    unsigned reg = r & 15, rm = r >> 4 & 63, vvvv = n & 1 ? r >> 10 & 15 : 0;
    unsigned rxb = (~reg & 8) << 4 | 0x40 | 0x20;
    if (place == REGISTER)
        rxb ^= (rm & 8) << 2;
    if (place == INDEXED)
        rxb ^= (rm & 8) << 3;
    uint8_t bytes[16] = { 0xc4, (uint8_t)(rxb | map),
                          (uint8_t)((form & 8) << 4 | (vvvv ^ 15) << 3 | (form & 7)),
                          (uint8_t)opcode };
    put_operands(bytes + 4, place, reg, rm, n >> 1);
    return compare_encoding(bytes);
}

typedef bool compare_form(unsigned map, unsigned form, unsigned opcode, enum place place,
                          unsigned n);

/* Some registers make an encoding invalid: give up when many did. */
static void compare_many(compare_form *compare, unsigned map, unsigned form, unsigned opcode,
                         enum place place, unsigned count)
{
    unsigned good = 0;
    for (unsigned n = 0; n < count; n++) {
        good += compare(map, form, opcode, place, n);
        if (n == 16 && good == 0)
            return;
    }
}

static void compare_opcode(unsigned map, unsigned opcode)
{
    bool wide = map == 3 || opcode == 0x70 || (opcode >= 0xc4 && opcode <= 0xc6); /* imm8 */
    unsigned count = wide ? 512 : 128;
    for (unsigned form = 0; form < 8; form++)
        for (enum place place = REGISTER; place <= MEMORY; place++)
            compare_many(compare_legacy, map, form, opcode, place, count);
    for (unsigned form = 0; form < 16; form++)
        for (enum place place = REGISTER; place <= INDEXED; place++)
            if (place != INDEXED || (map == 2 && opcode >= 0x90 && opcode <= 0x93))
                compare_many(compare_vex, map, form, opcode, place, count);
}

/* rows: pitfalls 7.15 */
START_TEST(every_row_gives_what_the_processor_gives)
{
    for (unsigned map = 1; map <= 3; map++)
        for (unsigned opcode = 0; opcode < 256; opcode++)
            if (map > 1 || (opcode != 0x38 && opcode != 0x3a)) /* these lead to the other maps */
                compare_opcode(map, opcode);
    unsigned total = 0;
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        ck_assert_msg(runs[i] >= 50 || absent[i], "%s ran %u times", rows[i].name, runs[i]);
        total += runs[i];
    }
    printf("%u comparisons of %u instructions\n", total, (unsigned)ROW_COUNT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector_move");
    TCase *tcase = tcase_create("native");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, every_row_gives_what_the_processor_gives);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

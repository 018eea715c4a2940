/* Integer vector instructions and cryptography against the workstation's processor: every row of vector_int.def in every
 * encoding, with registers, with memory, and with the destination as a source. */
#include "tests/insn/native_vector.h"
#include "tests/insn/rig.h"
#include "tests/random.h"

#include <stdio.h>

static const struct row {
    uint16_t mnemonic;
    const char *name;
} rows[] = {
#define INSN(name, body, flags, feature) { ZYDIS_MNEMONIC_##name, #name },
#include "emu/insn/vector_int.def"
#undef INSN
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static struct rig *rig;
static struct vcpu *cpu;
static uint8_t *page;
static uint64_t seed = 0x9e3779b97f4a7c15;
static unsigned runs[ROW_COUNT], natives[ROW_COUNT];
static uint64_t digest;

/* Of all results in this file's order, on every workstation the same; Zen 4 confirmed each of them. */
#define DIGEST UINT64_C(0xefc51025aaea594e)

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
    page = native_page();
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

#define OPERAND_LA (RIG_SCRATCH + 0x100)
#define UPPER 0x5a /* what bits 511:256 hold before */

/* Legacy encodings keep bits 511:256, VEX clears those of its destination. */
static void upper_is_kept(const union vector *reg, const struct insn *in)
{
    for (unsigned i = 32; i < 64; i++)
        if (reg->u8[i] != UPPER && !(in->vex && reg->u8[i] == 0))
            ck_abort_msg("bits 511:256");
}

static void emulate(struct native_vector *s, const struct insn *in, const uint8_t *operand)
{
    for (unsigned i = 0; i < 4; i++) {
        memset(&cpu->simd.v[i], UPPER, sizeof(cpu->simd.v[i]));
        memcpy(&cpu->simd.v[i], s->v[i], 32);
        cpu->x87.reg[i].mant = s->mm[i];
    }
    cpu->r[REG_RAX] = s->rax;
    cpu->r[REG_RCX] = s->rcx;
    cpu->r[REG_RDX] = s->rdx;
    cpu->r[REG_RBX] = OPERAND_LA;
    cpu_set_rflags(cpu, s->flags | 2);
    memcpy(rig_ptr(rig, RIG_SCRATCH_SPA + 0x100), operand, NATIVE_MEM_BYTES);
    (void)mem_regime(cpu);
    if (insn_run(cpu, in) !=
        STEP_NEXT) /* ck_assert_*() on every run costs more than all the rest */
        ck_abort_msg("the instruction faults");
    for (unsigned i = 0; i < 4; i++) {
        memcpy(s->v[i], &cpu->simd.v[i], 32);
        s->mm[i] = cpu->x87.reg[i].mant;
        upper_is_kept(&cpu->simd.v[i], in);
    }
    s->rax = cpu->r[REG_RAX];
    s->rcx = cpu->r[REG_RCX];
    s->rdx = cpu->r[REG_RDX];
    s->flags = cpu_rflags(cpu) & NATIVE_FLAGS;
}

static void print_bytes(const char *what, const void *bytes, unsigned n)
{
    fprintf(stderr, "%s", what);
    for (unsigned i = 0; i < n; i++)
        fprintf(stderr, "%02x", ((const uint8_t *)bytes)[i]);
    fprintf(stderr, "\n");
}

static void fold(const struct native_vector *s)
{
    uint64_t words[offsetof(struct native_vector, mem) / 8];
    memcpy(words, s, sizeof(words));
    for (unsigned i = 0; i < sizeof(words) / 8; i++)
        digest = (digest ^ words[i]) * UINT64_C(0x100000001b3) + (digest >> 47);
}

static void compare_once(const struct insn *in, const char *name, const uint8_t *bytes, bool native)
{
    struct native_vector before, there, here;
    native_vector_random(&seed, &before);
    there = here = before;
    memcpy(native_mem(&there), native_mem(&before), NATIVE_MEM_BYTES);
    emulate(&here, in, native_mem(&before));
    fold(&here);
    if (!native)
        return;
    native_vector_run(&there, page, bytes, in->len, native_mem(&there));
    if (memcmp(&there, &here, offsetof(struct native_vector, mem)) == 0)
        return;
    print_bytes("bytes  ", bytes, in->len);
    fprintf(stderr, "%s flags %llx -> native %llx, here %llx, rcx %llx %llx, rax %llx rdx %llx\n",
            name, (unsigned long long)before.flags, (unsigned long long)there.flags,
            (unsigned long long)here.flags, (unsigned long long)there.rcx,
            (unsigned long long)here.rcx, (unsigned long long)before.rax,
            (unsigned long long)before.rdx);
    for (unsigned i = 0; i < 4; i++) {
        print_bytes("before ", before.v[i], 32);
        print_bytes("native ", there.v[i], 32);
        print_bytes("here   ", here.v[i], 32);
    }
    print_bytes("mm before ", before.mm, 32);
    print_bytes("mm native ", there.mm, 32);
    print_bytes("mm here   ", here.mm, 32);
    print_bytes("mem    ", native_mem(&before), 32);
    ck_abort_msg("%s differs", name);
}

static bool decode(const uint8_t *bytes, struct insn *in)
{
    if (decode_insn(bytes, 15, MODE_LONG64, in) != DECODE_OK || find_row(in->mnemonic) < 0)
        return false;
    in->body = insn_lookup(in->mnemonic)->body;
    in->need = isa_need(in);
    return true;
}

/* Compare an encoding, if it is of a row: with many operands, or with each immediate. */
static void compare_encoding(const uint8_t *bytes)
{
    struct insn in;
    uint8_t copy[16];
    memcpy(copy, bytes, sizeof(copy));
    if (!decode(copy, &in))
        return;
    int row = find_row(in.mnemonic);
    bool native = page && native_vector_has(in.isa_set);
    unsigned immediates = 0;
    for (unsigned i = 0; i < in.count; i++)
        immediates += in.op[i].kind == OPERAND_IMM;
    for (unsigned n = 0; n < (immediates ? 2 * 256 : 100); n++) {
        for (unsigned i = 0; i < immediates; i++)
            copy[in.len - 1 - i] = (uint8_t)(i == 0 && immediates == 1 ? n : test_random(&seed));
        if (!decode(copy, &in))
            ck_abort_msg("an immediate changes the instruction");
        compare_once(&in, rows[row].name, copy, native);
        runs[row]++;
        natives[row] += native;
    }
}

/* ModRM bytes: another register, the destination, memory. `digit` is the destination or extends the opcode. */
static void compare_operands(uint8_t *bytes, unsigned at, unsigned digit)
{
    static const uint8_t places[] = { 0xc3, 0xc1, 0x03 };
    for (unsigned i = 0; i < sizeof(places); i++) {
        bytes[at] = (uint8_t)(places[i] | digit << 3);
        compare_encoding(bytes);
    }
}

/* The opcode is a group where the digit selects the instruction: 71h-73h and 78h. */
static void compare_opcode(uint8_t *bytes, unsigned at)
{
    bool group = (bytes[at - 1] >= 0x71 && bytes[at - 1] <= 0x73) || bytes[at - 1] == 0x78;
    for (unsigned digit = group ? 0 : 1; digit < (group ? 8 : 2); digit++)
        compare_operands(bytes, at, digit);
}

static void compare_legacy(unsigned map, unsigned opcode)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    for (unsigned i = 0; i < 8; i++) {
        uint8_t bytes[16] = { 0 };
        unsigned n = 0;
        if (prefixes[i / 2])
            bytes[n++] = prefixes[i / 2];
        if (i & 1)
            bytes[n++] = 0x48;
        bytes[n++] = 0x0f;
        if (map > 1)
            bytes[n++] = map == 2 ? 0x38 : 0x3a;
        bytes[n++] = (uint8_t)opcode;
        compare_opcode(bytes, n);
    }
}

/* VEX.vvvv names another register, the destination, or nothing. */
static void compare_vex(unsigned map, unsigned opcode)
{
    static const uint8_t sources[] = { 2, 1, 0 };
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 0; k < sizeof(sources); k++) {
            uint8_t bytes[16] = { 0xc4, (uint8_t)(0xe0 | map),
                                  (uint8_t)((i >> 3) << 7 | (sources[k] ^ 15) << 3 | (i & 7)),
                                  (uint8_t)opcode };
            compare_opcode(bytes, 4);
        }
}

START_TEST(every_row_gives_what_the_processor_gives)
{
    for (unsigned map = 1; map <= 3; map++)
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            if (map > 1 || (opcode != 0x38 && opcode != 0x3a)) /* these lead to the other maps */
                compare_legacy(map, opcode);
            compare_vex(map, opcode);
        }
    unsigned total = 0;
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        ck_assert_msg(runs[i] >= 300, "%s ran %u times", rows[i].name, runs[i]);
        total += natives[i];
    }
    printf("%u comparisons with the processor, of %u instructions\n", total, (unsigned)ROW_COUNT);
    ck_assert_msg(digest == DIGEST, "the digest is %llx", (unsigned long long)digest);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector_int");
    TCase *tcase = tcase_create("native");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, every_row_gives_what_the_processor_gives);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

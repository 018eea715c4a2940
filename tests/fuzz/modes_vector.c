/* x87 and vector instructions made from bytes, and the state that they find. */
#include <string.h>

#include "tests/fuzz/modes.h"
#include "tests/random.h"

/* --- state --------------------------------------------------------------------------------------- */

/* Eight bytes of numbers: integers, single and double precision, near the edges. */
static uint64_t next_number(uint64_t *state)
{
    static const uint64_t edge[] = { 0,
                                     1,
                                     UINT64_MAX,
                                     0x3f8000003f800000,
                                     0x3ff0000000000000,
                                     0x7f8000007f800001,
                                     0x7ff0000000000000,
                                     0x7ff4000000000001,
                                     0x8000000080000000,
                                     0x000fffffffffffff,
                                     0x00800000807fffff,
                                     0x7fefffffffffffff,
                                     0x4f000000cf000001,
                                     0x43e0000000000000,
                                     0x7fc00000ffc12345,
                                     0x00ff7f8001fe0080 };
    uint64_t word = test_random(state), value = edge[word >> 4 & 15];
    return word & 8 ? test_random(state) : word & 1 ? value : value ^ word >> 60 ^ word << 63;
}

void modes_fp_control(struct reader *in, struct vcpu *cpu)
{
    static const uint64_t xcr0[] = { 7, 7, 3, 1 };
    unsigned control = (unsigned)read_bytes(in, 2);
    cpu->regs.cr0 |=
        (control & 3 ? 0 : CR0_TS) | (control & 0xc ? 0 : CR0_EM) | (control & 0x10 ? CR0_MP : 0);
    if (control & 0x20)
        cpu->regs.cr0 &= ~(uint64_t)CR0_NE;
    cpu->regs.cr4 |= (control & 0xc0 ? CR4_OSFXSR : 0) | (control & 0x300 ? CR4_OSXSAVE : 0) |
                     (control & 0x400 ? CR4_OSXMMEXCPT : 0) | (control & 0x800 ? CR4_PKE : 0);
    cpu->simd.xcr0 = xcr0[control >> 12 & 3];
    cpu->regs.efer |= (control & 0xc000) == 0xc000 ? EFER_FFXSR : 0;
}

void modes_fp_state(struct reader *in, struct vcpu *cpu)
{
    uint64_t random = read_bytes(in, 4) << 1 | 1;
    uint16_t fcw = (uint16_t)read_bytes(in, 2), fsw = (uint16_t)read_bytes(in, 2);
    cpu->x87.fcw = (uint16_t)((fcw & 0x1f3f) ^ 0x37f); /* bytes of 0: as FNINIT leaves it */
    cpu->x87.fsw = fsw & 0x7f7f;
    if (cpu->x87.fsw & ~cpu->x87.fcw & FP_EXCEPTIONS)
        cpu->x87.fsw |= 0x8080;
    cpu->x87.used = read8(in);
    cpu->simd.mxcsr = (read_bytes(in, 3) & MXCSR_MASK) ^ MXCSR_RESET;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mant = next_number(&random);
        uint16_t se = (uint16_t)(test_random(&random) & 0xffff);
        cpu->x87.reg[i].se = i & 1 ? se : (uint16_t)(0x3fe0 + (se & 0x803f));
        cpu->x87.reg[i].mant = mant | (se & 0x700 ? UINT64_C(1) << 63 : 0);
    }
    for (unsigned i = 0; i < 16; i++)
        for (unsigned n = 0; n < 4; n++)
            cpu->simd.v[i].u64[n] = next_number(&random);
    for (unsigned i = 8; i < 512; i += 8)
        phys_write(cpu->memory, DATA_SPA + 0x200 + i, 8, next_number(&random));
    cpu_update_mode(cpu);
}

/* --- instructions ----------------------------------------------------------------------------------- */

struct piece {
    struct reader *in;
    uint8_t *at;
    unsigned len, bits;
};

static void put(struct piece *p, unsigned byte)
{
    if (p->len < MODES_INSN_MAX)
        p->at[p->len++] = (uint8_t)byte;
}

/* A register, the numbers of DATA_SPA at any alignment, or an address that a register gives. */
static void put_operand(struct piece *p, unsigned reg, bool vsib)
{
    unsigned form = read8(p->in), mod = form >> 6, rm = form & 7;
    if (reg > 7)
        reg = form >> 3 & 7;
    if (mod == 3 && !vsib) {
        put(p, (form & 0xc7) | reg << 3);
        return;
    }
    if (mod == 2 && !vsib) {
        put(p, 0x40 | reg << 3 | rm);
        if (rm == 4 && p->bits != 16)
            put(p, read8(p->in));
        put(p, read8(p->in));
        return;
    }
    unsigned at = 8u * read8(p->in) % 0x400 + (rm == 7 ? read8(p->in) : 0);
    if (vsib) { /* [disp32 + vector] */
        put(p, reg << 3 | 4);
        put(p, (form & 0xf8) | 5);
    } else if (p->bits == 64) {
        put(p, reg << 3 | 4);
        put(p, 0x25);
    } else {
        put(p, reg << 3 | (p->bits == 16 ? 6 : 5));
    }
    unsigned la = p->bits == 16 && !vsib ? 0x200 + at : DATA_SPA + 0x200 + at;
    for (unsigned i = 0; i < (p->bits == 16 && !vsib ? 2 : 4); i++)
        put(p, la >> 8 * i);
}

/* Opcodes of map 0F that are for vectors. */
static unsigned vector_opcode(unsigned choice)
{
    static const uint8_t first[] = { 0x10, 0x28, 0x50, 0x58, 0x60, 0x68, 0x70, 0x78,
                                     0xc0, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0, 0xf8, 0x2a };
    return first[choice >> 3 & 15] + (choice & 7u);
}

static bool has_immediate(unsigned map, unsigned opcode)
{
    return map == 3 || (map == 1 && ((opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 ||
                                     (opcode >= 0xc4 && opcode <= 0xc6)));
}

static void put_vector(struct piece *p, unsigned choice, bool vex)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned opcode = read8(p->in), pp = choice & 3, map = choice & 4 ? 2 + (opcode >> 7) : 1;
    opcode = map == 1 ? vector_opcode(opcode) : map == 2 ? 2 * opcode & 0xff : opcode & 0x7f;
    if (map == 2 && choice & 8)
        opcode |= 1;
    if (vex) {
        unsigned rest = read8(p->in), rex = read8(p->in);
        put(p, 0xc4);
        put(p, (p->bits == 64 ? rex & 0xe0 : 0xe0) ^ map);
        put(p, (rex & 0x80 & (rest << 5)) | (rest & 0x7c) | pp);
    } else {
        if (pp)
            put(p, prefixes[pp]);
        if (p->bits == 64 && choice & 0x10)
            put(p, 0x40 | (read8(p->in) & 15));
        put(p, 0x0f);
        if (map > 1)
            put(p, map == 2 ? 0x38 : 0x3a);
    }
    put(p, opcode);
    put_operand(p, 8, vex && map == 2 && opcode >= 0x90 && opcode <= 0x93);
    if (has_immediate(map, opcode))
        put(p, read8(p->in));
}

unsigned modes_vector_insn(struct reader *in, unsigned bits, unsigned choice, uint8_t *bytes)
{
    struct piece p = { .in = in, .at = bytes, .bits = bits };
    if (choice % 3 == 0) {
        put(&p, 0xd8 | (choice / 3 & 7));
        put_operand(&p, 8, false);
    } else {
        put_vector(&p, choice / 3, choice % 3 == 2);
    }
    return p.len;
}

/* What changes the state as a whole, or who may use it; holes as in modes_code.c. */
static const char *const patterns[] = {
    /* CR0.TS, EM, MP, NE; CR4.OSFXSR, OSXMMEXCPT, OSXSAVE, PKE; EFER.FFXSR, XCR0, XSS */
    "0f06",
    "0f20c0O0d080000000f22c0",
    "0f20c0O0d040000000f22c0",
    "0f20c024f30f22c0",
    "0f20c034020f22c0",
    "0f20c034200f22c0",
    "0f20e0O35000200000f22e0",
    "0f20e0O35000400000f22e0",
    "0f20e0O35000004000f22e0",
    "0f20e0O35000040000f22e0",
    "Ob9800000c00f32O35004000000f30",
    "33c933d2Ob8070000000f01d1",
    "33c933d2Ob8030000000f01d1",
    "33c933d2Ob8Z0f01d1",
    "33c90f01d0",
    "Ob9010000000f01d0",
    "Ob9a00d000033d2Ob8Z0f30",
    "33c933d20f01ef",
    "33c90f01ee",
    /* MXCSR, FCW, FSW; MMX */
    "O68801f0000A0fae1424O58",
    "O68001f0000A0fae1424O58",
    "O6880000000A0fae1424O58",
    "O68c0ff0000A0fae1424O58",
    "O68DA0fae1424O58",
    "O687f030000Ad92c24O58",
    "O6800030000Ad92c24O58",
    "O687b0b0000Ad92c24O58",
    "O68DAd92c24O58",
    "dbe2",
    "dbe3",
    "9bdbe3",
    "9b",
    "0f77",
    "0f0e",
    "dfe0",
    "9bdfe0",
    "c5f877",
    "c5fc77",
    "d9eed9eedef9",
    "d9e8d9eedef99b",
    "d9eed9fad9e8d8f1",
    /* environments and images */
    "d9m4",
    "d9m6",
    "ddm4",
    "ddm6",
    "66d9m6",
    "66ddm4",
    "d9m5",
    "d9m7",
    "dbm5",
    "dbm7",
    "dfm4",
    "dfm6",
    "0faem0",
    "0faem1",
    "0faem2",
    "0faem3",
    "33d2Ob8070000000faem4",
    "33d2Ob8070000000faem5",
    "33d2Ob8070000000faem6",
    "33d2Ob8070000000fc7m4",
    "33d2Ob8Z0faem4",
    "33d2Ob8Z0faem5",
    "33d2Ob8Z0faem6",
    "33d2Ob8Z0fc7m3",
    "33d2Ob8Z0fc7m4",
    "33d2Ob8Z0fc7m5",
    "0faem5",
    "0fc7m3",
    "33d2Ob8070000000faem40faem5",
    "33d2Ob8070000000faem50faem6",
    "33d2Ob8070000000fc7m30fc7m5",
    /* implied memory and registers */
    "0ff7gr",
    "660ff7gr",
    "c5f9f7gr",
    "c4e27d9004BB",
    "0f09",
    "0fc3mr",
    "f20f38f1mr",
    "0f18m0",
    "0faeg7",
};

const char *modes_vector_pattern(unsigned choice)
{
    return patterns[choice % (sizeof(patterns) / sizeof(patterns[0]))];
}

/* The same random instruction natively and through its body: registers, flags and memory must agree.
 *
 * On x86-64 workstations only; elsewhere there is nothing to compare with. What the manual leaves undefined is compared
 * on AMD family 19h, whose behaviour we follow, and masked on other processors; the counts are printed. */
#include "tests/insn/rig.h"

#include <stdio.h>

#if defined(__x86_64__)
#include "tests/insn/native.h"

#define CASES_EACH 400
#define ALL_STATUS FLAGS_STATUS
#define SZAP (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF)

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

/* Interesting operands are near the borders of every width. */
static uint64_t random_value(void)
{
    static const uint64_t borders[] = { 0,
                                        1,
                                        0x7f,
                                        0x80,
                                        0xff,
                                        0x7fff,
                                        0x8000,
                                        0xffff,
                                        0x7fffffff,
                                        0x80000000,
                                        0xffffffff,
                                        INT64_MAX,
                                        (uint64_t)INT64_MIN,
                                        UINT64_MAX };
    uint64_t r = random64();
    switch (r & 7) {
    case 0: return borders[(r >> 8) % (sizeof(borders) / sizeof(borders[0]))];
    case 1: return borders[(r >> 8) % (sizeof(borders) / sizeof(borders[0]))] + ((r >> 16) & 7) - 3;
    case 2: return (r >> 8) & 0xff;
    case 3: return (r >> 8) & 0xffff;
    case 4: return (uint64_t)1 << ((r >> 8) & 63);
    default: return random64() >> ((r >> 8) & 31);
    }
}

enum form_flag {
    BYTE = 1,  /* 8-bit operands */
    NO_16 = 2, /* no 16-bit form */
    NO_MEM = 4,
    ONLY_MEM = 8,
    PLUS_REG = 16, /* register in the opcode */
    NO_MODRM = 32,
    VEX = 64,     /* vvvv is a random register */
    BIT = 128,    /* bit offset in a register: kept small with memory */
    SCALED = 256, /* memory aligned to 16 bytes */
    STACK = 512,  /* 64-bit operand size by default */
    STRING = 1024,
    IMM_FULL = 2048 /* MOV r64, imm64 */
};

enum map { MAP_1, MAP_0F, MAP_0F38, MAP_0F3A };

struct form {
    uint8_t map, opcode;
    int8_t digit;       /* of ModRM.reg; -1: a register */
    int8_t imm;         /* bytes; -1: 2 or 4 by operand size */
    uint8_t prefix;     /* 66, F2, F3 or 0 */
    uint16_t flags;     /* enum form_flag */
    uint32_t undefined; /* status flags the manual leaves undefined */
};

static const struct form forms[] = {
    { MAP_1, 0x88, -1, 0, 0, BYTE, 0 },
    { MAP_1, 0x89, -1, 0, 0, 0, 0 },
    { MAP_1, 0x8a, -1, 0, 0, BYTE, 0 },
    { MAP_1, 0x8b, -1, 0, 0, 0, 0 },
    { MAP_1, 0xc6, 0, 1, 0, BYTE, 0 },
    { MAP_1, 0xc7, 0, -1, 0, 0, 0 },
    { MAP_1, 0xb0, -1, 1, 0, BYTE | PLUS_REG, 0 },
    { MAP_1, 0xb8, -1, -1, 0, PLUS_REG | IMM_FULL, 0 },
    { MAP_0F, 0xb6, -1, 0, 0, BYTE, 0 },
    { MAP_0F, 0xb7, -1, 0, 0, 0, 0 },
    { MAP_0F, 0xbe, -1, 0, 0, BYTE, 0 },
    { MAP_0F, 0xbf, -1, 0, 0, 0, 0 },
    { MAP_1, 0x63, -1, 0, 0, NO_16, 0 },
    { MAP_1, 0x8d, -1, 0, 0, ONLY_MEM, 0 },
    { MAP_0F38, 0xf0, -1, 0, 0, ONLY_MEM, 0 },
    { MAP_0F38, 0xf1, -1, 0, 0, ONLY_MEM, 0 },
    { MAP_0F, 0xc8, -1, 0, 0, PLUS_REG, 0 },
    { MAP_1, 0x86, -1, 0, 0, BYTE, 0 },
    { MAP_1, 0x87, -1, 0, 0, 0, 0 },
    { MAP_1, 0x90, -1, 0, 0, PLUS_REG, 0 },
    { MAP_0F, 0xc0, -1, 0, 0, BYTE, 0 },
    { MAP_0F, 0xc1, -1, 0, 0, 0, 0 },
    { MAP_0F, 0xb0, -1, 0, 0, BYTE, 0 },
    { MAP_0F, 0xb1, -1, 0, 0, 0, 0 },
    { MAP_0F, 0xc7, 1, 0, 0, ONLY_MEM | SCALED | NO_16, 0 },
    { MAP_1, 0x98, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0x99, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0x50, -1, 0, 0, PLUS_REG | STACK, 0 },
    { MAP_1, 0x58, -1, 0, 0, PLUS_REG | STACK, 0 },
    { MAP_1, 0x68, -1, -1, 0, NO_MODRM | STACK, 0 },
    { MAP_1, 0x6a, -1, 1, 0, NO_MODRM | STACK, 0 },
    { MAP_1, 0xff, 6, 0, 0, STACK, 0 },
    { MAP_1, 0x8f, 0, 0, 0, STACK, 0 },
    { MAP_1, 0x9c, -1, 0, 0, NO_MODRM | STACK, 0 },
    { MAP_1, 0xc9, -1, 0, 0, NO_MODRM | STACK, 0 },
    { MAP_1, 0x9e, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0x9f, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0xf5, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0xf8, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0xf9, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0xfc, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0xfd, -1, 0, 0, NO_MODRM, 0 },
    { MAP_1, 0x84, -1, 0, 0, BYTE, FLAG_AF },
    { MAP_1, 0x85, -1, 0, 0, 0, FLAG_AF },
    { MAP_1, 0xa8, -1, 1, 0, BYTE | NO_MODRM, FLAG_AF },
    { MAP_1, 0xa9, -1, -1, 0, NO_MODRM, FLAG_AF },
    { MAP_1, 0xf6, 0, 1, 0, BYTE, FLAG_AF },
    { MAP_1, 0xf7, 0, -1, 0, 0, FLAG_AF },
    { MAP_1, 0xf6, 2, 0, 0, BYTE, 0 },
    { MAP_1, 0xf7, 2, 0, 0, 0, 0 },
    { MAP_1, 0xf6, 3, 0, 0, BYTE, 0 },
    { MAP_1, 0xf7, 3, 0, 0, 0, 0 },
    { MAP_1, 0xf6, 4, 0, 0, BYTE, SZAP },
    { MAP_1, 0xf7, 4, 0, 0, 0, SZAP },
    { MAP_1, 0xf6, 5, 0, 0, BYTE, SZAP },
    { MAP_1, 0xf7, 5, 0, 0, 0, SZAP },
    { MAP_1, 0xf6, 6, 0, 0, BYTE, ALL_STATUS },
    { MAP_1, 0xf7, 6, 0, 0, 0, ALL_STATUS },
    { MAP_1, 0xf6, 7, 0, 0, BYTE, ALL_STATUS },
    { MAP_1, 0xf7, 7, 0, 0, 0, ALL_STATUS },
    { MAP_1, 0xfe, 0, 0, 0, BYTE, 0 },
    { MAP_1, 0xff, 0, 0, 0, 0, 0 },
    { MAP_1, 0xfe, 1, 0, 0, BYTE, 0 },
    { MAP_1, 0xff, 1, 0, 0, 0, 0 },
    { MAP_0F, 0xaf, -1, 0, 0, 0, SZAP },
    { MAP_1, 0x69, -1, -1, 0, 0, SZAP },
    { MAP_1, 0x6b, -1, 1, 0, 0, SZAP },
    { MAP_0F38, 0xf6, -1, 0, 0x66, NO_16, 0 },
    { MAP_0F38, 0xf6, -1, 0, 0xf3, NO_16, 0 },
    { MAP_0F, 0xa4, -1, 1, 0, 0, FLAG_AF | FLAG_OF },
    { MAP_0F, 0xa5, -1, 0, 0, 0, FLAG_AF | FLAG_OF },
    { MAP_0F, 0xac, -1, 1, 0, 0, FLAG_AF | FLAG_OF },
    { MAP_0F, 0xad, -1, 0, 0, 0, FLAG_AF | FLAG_OF },
    { MAP_0F, 0xa3, -1, 0, 0, BIT, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xab, -1, 0, 0, BIT, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xb3, -1, 0, 0, BIT, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xbb, -1, 0, 0, BIT, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xba, 4, 1, 0, 0, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xba, 5, 1, 0, 0, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xba, 6, 1, 0, 0, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xba, 7, 1, 0, 0, ALL_STATUS & ~FLAG_CF },
    { MAP_0F, 0xbc, -1, 0, 0, 0, ALL_STATUS & ~FLAG_ZF },
    { MAP_0F, 0xbd, -1, 0, 0, 0, ALL_STATUS & ~FLAG_ZF },
    { MAP_0F, 0xbc, -1, 0, 0xf3, 0, ALL_STATUS & ~(FLAG_ZF | FLAG_CF) },
    { MAP_0F, 0xbd, -1, 0, 0xf3, 0, ALL_STATUS & ~(FLAG_ZF | FLAG_CF) },
    { MAP_0F, 0xb8, -1, 0, 0xf3, 0, 0 },
    { MAP_0F38, 0xf0, -1, 0, 0xf2, BYTE | NO_16, 0 },
    { MAP_0F38, 0xf1, -1, 0, 0xf2, 0, 0 },
    { MAP_0F38, 0xf2, -1, 0, 0, VEX | NO_16, FLAG_AF | FLAG_PF },
    { MAP_0F38, 0xf3, 1, 0, 0, VEX | NO_16, FLAG_AF | FLAG_PF },
    { MAP_0F38, 0xf3, 2, 0, 0, VEX | NO_16, FLAG_AF | FLAG_PF },
    { MAP_0F38, 0xf3, 3, 0, 0, VEX | NO_16, FLAG_AF | FLAG_PF },
    { MAP_0F38, 0xf7, -1, 0, 0, VEX | NO_16, FLAG_AF | FLAG_PF | FLAG_SF },
    { MAP_0F38, 0xf5, -1, 0, 0, VEX | NO_16, FLAG_AF | FLAG_PF },
    { MAP_0F38, 0xf5, -1, 0, 0xf3, VEX | NO_16, 0 },
    { MAP_0F38, 0xf5, -1, 0, 0xf2, VEX | NO_16, 0 },
    { MAP_0F38, 0xf6, -1, 0, 0xf2, VEX | NO_16, 0 },
    { MAP_0F38, 0xf7, -1, 0, 0xf3, VEX | NO_16, 0 },
    { MAP_0F38, 0xf7, -1, 0, 0x66, VEX | NO_16, 0 },
    { MAP_0F38, 0xf7, -1, 0, 0xf2, VEX | NO_16, 0 },
    { MAP_0F3A, 0xf0, -1, 1, 0xf2, VEX | NO_16, 0 },
    { MAP_1, 0xa4, -1, 0, 0, BYTE | STRING | NO_MODRM, 0 },
    { MAP_1, 0xa5, -1, 0, 0, STRING | NO_MODRM, 0 },
    { MAP_1, 0xa6, -1, 0, 0, BYTE | STRING | NO_MODRM, 0 },
    { MAP_1, 0xa7, -1, 0, 0, STRING | NO_MODRM, 0 },
    { MAP_1, 0xaa, -1, 0, 0, BYTE | STRING | NO_MODRM, 0 },
    { MAP_1, 0xab, -1, 0, 0, STRING | NO_MODRM, 0 },
    { MAP_1, 0xac, -1, 0, 0, BYTE | STRING | NO_MODRM, 0 },
    { MAP_1, 0xad, -1, 0, 0, STRING | NO_MODRM, 0 },
    { MAP_1, 0xae, -1, 0, 0, BYTE | STRING | NO_MODRM, 0 },
    { MAP_1, 0xaf, -1, 0, 0, STRING | NO_MODRM, 0 },
};

/* --- making an instruction ----------------------------------------------------------------------- */

struct code {
    uint8_t bytes[15];
    unsigned len;
};

static void put(struct code *code, unsigned byte)
{
    ck_assert_uint_lt(code->len, sizeof(code->bytes));
    code->bytes[code->len++] = (uint8_t)byte;
}

/* Choices that are made before the bytes: operand size, registers, memory or not. */
struct choice {
    unsigned size;
    bool memory;
    unsigned reg, rm, vvvv, index, scale;
    bool with_index, rep, repne, addr32;
    int32_t disp;
};

static unsigned random_below(unsigned n)
{
    return (unsigned)(random64() >> 33) % n;
}

static void choose(const struct form *form, struct choice *c)
{
    static const uint8_t sizes[] = { 2, 4, 8 };
    *c = (struct choice){ .size = 1 };
    if (form->flags & (VEX | NO_16))
        c->size = sizes[1 + random_below(2)];
    else if (form->flags & STACK)
        c->size = random_below(2) ? 8 : 2;
    else if (!(form->flags & BYTE) || form->map != MAP_1)
        c->size = sizes[random_below(3)];
    if (form->map == MAP_0F && (form->flags & BYTE) && form->opcode < 0xc2 &&
        form->opcode != 0xb6 && form->opcode != 0xbe)
        c->size = 1; /* XADD, CMPXCHG, SETcc */
    c->memory = form->flags & ONLY_MEM || (!(form->flags & NO_MEM) && random_below(2));
    c->reg = random_below(16);
    c->rm = random_below(16);
    c->vvvv = random_below(16);
    c->index = random_below(16);
    c->scale = random_below(4);
    c->with_index = random_below(3) == 0 && c->index != REG_RSP;
    c->disp = (int32_t)(random64() & 0xff) - 128;
    if (random_below(2))
        c->disp *= 1000;
    if (form->flags & STRING) {
        c->rep = random_below(3) > 0;
        c->repne = c->rep && random_below(2);
        c->addr32 = random_below(4) == 0;
    }
}

static void put_modrm(struct code *code, const struct form *form, const struct choice *c)
{
    unsigned reg = form->digit >= 0 ? (unsigned)form->digit : c->reg & 7;
    if (!c->memory) {
        put(code, 0xc0 | reg << 3 | (c->rm & 7));
        return;
    }
    bool sib = c->with_index || (c->rm & 7) == REG_RSP;
    put(code, 0x80 | reg << 3 | (sib ? 4 : c->rm & 7));
    if (sib)
        put(code, c->scale << 6 | (c->with_index ? c->index & 7 : 4u) << 3 | (c->rm & 7));
    for (unsigned i = 0; i < 4; i++)
        put(code, (uint32_t)c->disp >> (8 * i));
}

static struct code encode(const struct form *form, const struct choice *c)
{
    struct code code = { .len = 0 };
    bool rex_r = form->digit < 0 && c->reg & 8 && !(form->flags & (NO_MODRM | PLUS_REG));
    bool rex_b = c->rm & 8 && !(form->flags & NO_MODRM);
    bool rex_x =
        c->memory && c->with_index && c->index & 8 && !(form->flags & (NO_MODRM | PLUS_REG));
    if (form->flags & VEX) {
        unsigned pp = form->prefix == 0x66   ? 1
                      : form->prefix == 0xf3 ? 2
                      : form->prefix == 0xf2 ? 3
                                             : 0;
        bool has_vvvv = form->opcode != 0xf0;
        put(&code, 0xc4);
        put(&code, (!rex_r) << 7 | (!rex_x) << 6 | (!rex_b) << 5 | (form->map == MAP_0F38 ? 2 : 3));
        put(&code, (c->size == 8) << 7 | ((has_vvvv ? ~c->vvvv : 15u) & 15) << 3 | pp);
    } else {
        if (c->rep)
            put(&code, c->repne ? 0xf2 : 0xf3);
        if (c->addr32)
            put(&code, 0x67);
        if (c->size == 2)
            put(&code, 0x66);
        if (form->prefix)
            put(&code, form->prefix);
        bool rex_w = c->size == 8 && !(form->flags & STACK);
        if (rex_w || rex_r || rex_x || rex_b || (form->flags & BYTE && c->scale & 1))
            put(&code, 0x40 | rex_w << 3 | rex_r << 2 | rex_x << 1 | rex_b);
        if (form->map != MAP_1)
            put(&code, 0x0f);
        if (form->map == MAP_0F38)
            put(&code, 0x38);
    }
    put(&code, form->flags & PLUS_REG ? form->opcode | (c->rm & 7) : form->opcode);
    if (!(form->flags & (PLUS_REG | NO_MODRM)))
        put_modrm(&code, form, c);
    unsigned imm = form->imm >= 0 ? (unsigned)form->imm : c->size == 2 ? 2 : 4;
    if (form->flags & IMM_FULL && c->size == 8)
        imm = 8;
    uint64_t value = random_value();
    for (unsigned i = 0; i < imm; i++)
        put(&code, (value >> (8 * i)) & 0xff);
    return code;
}

/* --- the state before ---------------------------------------------------------------------------- */

#define SCRATCH_BYTES (RIG_SCRATCH_PAGES * 4096u)

/* Point the memory operand, the stack and the string registers into the scratch pages. */
static void place(const struct form *form, const struct choice *c, struct native_state *state)
{
    uint64_t middle = RIG_SCRATCH + 0x1800 + random_below(0x1000);
    for (unsigned i = 0; i < 16; i++)
        state->r[i] = random_value();
    state->r[REG_RSP] = RIG_SCRATCH + 0x2000 + (random64() & 0xff8);
    if (form->opcode == 0xc9 && form->map == MAP_1)
        state->r[REG_RBP] = middle;
    if (form->flags & STRING) {
        uint64_t base = RIG_SCRATCH + 0x1c00;
        state->r[REG_RSI] = base + random_below(0x800);
        state->r[REG_RDI] = random_below(2) ? state->r[REG_RSI] + random_below(64) - 32
                                            : base + random_below(0x800);
        state->r[REG_RCX] = random_below(4) ? random_below(40) : random_below(600);
        if (c->addr32)
            for (unsigned i = REG_RCX; i <= REG_RDI; i++)
                state->r[i] |= random64() << 32;
        return;
    }
    if (!c->memory || form->flags & (NO_MODRM | PLUS_REG))
        return;
    if (form->flags & SCALED)
        middle &= ~(uint64_t)15;
    if (form->flags & BIT)
        state->r[c->reg] = (uint64_t)(int64_t)((int)random_below(4000) - 2000);
    uint64_t index = 0;
    if (c->with_index) {
        if (!(form->flags & BIT && c->index == c->reg) && c->index != c->rm)
            state->r[c->index] = random_below(256) - 128u;
        index = state->r[c->index] << c->scale;
    }
    if (c->with_index && c->index == c->rm) /* base and index are one register: x + (x << scale) */
        state->r[c->rm] = 0;                /* replaced by the caller's retry */
    else if (c->rm != REG_RSP)
        state->r[c->rm] = middle - index - (uint64_t)(int64_t)c->disp;
}

/* Would the operand leave the scratch pages? Then another choice is made. */
static bool usable(const struct form *form, const struct choice *c,
                   const struct native_state *state)
{
    if (!c->memory || form->flags & (NO_MODRM | PLUS_REG))
        return true;
    if (c->with_index && c->index == c->rm)
        return false;
    if (form->flags & BIT && (c->reg == c->rm || (c->with_index && c->reg == c->index)))
        return false;
    if (form->opcode == 0x8f && c->rm == REG_RSP)
        return false;
    uint64_t la = state->r[c->rm] + (uint64_t)(int64_t)c->disp +
                  (c->with_index ? state->r[c->index] << c->scale : 0);
    if (form->flags & SCALED && la & 15)
        return false;
    return la >= RIG_SCRATCH + 0x800 && la < RIG_SCRATCH + SCRATCH_BYTES - 0x800;
}

/* --- comparing ------------------------------------------------------------------------------------ */

static uint64_t compared, masked, masked_flags[32];

static void describe(const struct code *code, const struct native_state *before,
                     const struct native_state *native, const struct vcpu *cpu, uint64_t rflags)
{
    fprintf(stderr, "bytes:");
    for (unsigned i = 0; i < code->len; i++)
        fprintf(stderr, " %02x", code->bytes[i]);
    fprintf(stderr, "\nrflags before %llx native %llx here %llx\n",
            (unsigned long long)before->rflags, (unsigned long long)native->rflags,
            (unsigned long long)rflags);
    for (unsigned i = 0; i < 16; i++)
        fprintf(stderr, "r%-2u before %016llx native %016llx here %016llx%s\n", i,
                (unsigned long long)before->r[i], (unsigned long long)native->r[i],
                (unsigned long long)cpu->r[i], native->r[i] != cpu->r[i] ? " <--" : "");
}

/* Undefined results that we do not follow on other processors. */
static bool result_is_undefined(const struct form *form, const struct choice *c)
{
    bool wide_double_shift =
        form->map == MAP_0F && c->size == 2 && (form->opcode & 0xf6) == 0xa4; /* A4, A5, AC, AD */
    bool swap16 = form->map == MAP_0F && form->opcode == 0xc8 && c->size == 2;
    return wide_double_shift || swap16;
}

static uint32_t undefined_flags(const struct form *form)
{
    bool shift = form->map == MAP_1 && (form->opcode & 0xec) == 0xc0; /* C0, C1, D0-D3 */
    if (!native_follows_amd())
        return form->undefined | (shift ? FLAG_AF | FLAG_OF : 0);
    return 0;
}

static bool agree(const struct form *form, const struct native_state *native, struct vcpu *cpu,
                  const uint8_t *native_memory, const uint8_t *memory)
{
    uint32_t mask = undefined_flags(form);
    uint64_t flags = FLAGS_STATUS | FLAG_DF;
    compared++;
    masked += mask != 0;
    for (unsigned i = 0; i < 32; i++)
        masked_flags[i] += (mask >> i) & 1;
    bool same = !((native->rflags ^ cpu_rflags(cpu)) & flags & ~mask);
    for (unsigned i = 0; i < 16; i++)
        same = same && native->r[i] == cpu->r[i];
    return same && memcmp(native_memory, memory, SCRATCH_BYTES) == 0;
}

static void run_case(struct rig *rig, struct native *native, const struct form *form)
{
    struct vcpu *cpu = &rig->cpu;
    uint8_t *memory = rig_ptr(rig, RIG_SCRATCH_SPA);
    struct native_state before, after;
    struct choice c;
    do {
        choose(form, &c);
        place(form, &c, &before);
    } while (!usable(form, &c, &before));
    if (!native_follows_amd() && result_is_undefined(form, &c))
        return;
    struct code code = encode(form, &c);
    before.rflags = 0x202 | (random64() & (FLAGS_STATUS | (form->flags & STRING ? FLAG_DF : 0)));

    for (unsigned i = 0; i < SCRATCH_BYTES; i += 8) {
        uint64_t value = form->flags & STRING && i & 8 ? 0 : random_value();
        memcpy(native->scratch + i, &value, 8);
    }
    memcpy(memory, native->scratch, SCRATCH_BYTES);
    memcpy(cpu->r, before.r, sizeof(before.r));
    cpu_set_rflags(cpu, before.rflags);
    cpu->budget = 1000000;

    bool native_de = !native_run(native, code.bytes, code.len, &before, &after);
    enum step step = rig_exec(rig, code.bytes, code.len);
    bool here_de = step == STEP_RAISED && cpu->raised.event.vector == EXC_DE;
    bool same = native_de == here_de;
    if (native_de)
        after = before; /* a fault changes nothing */
    same =
        same && (here_de || step == STEP_NEXT) && agree(form, &after, cpu, native->scratch, memory);
    if (!same) {
        describe(&code, &before, &after, cpu, cpu_rflags(cpu));
        ck_abort_msg("native and emulated results differ (step %d, native #DE %d)", step,
                     native_de);
    }
}

static void run_form(struct rig *rig, struct native *native, const struct form *form)
{
    for (unsigned i = 0; i < CASES_EACH; i++)
        run_case(rig, native, form);
}

/* Rows beyond the baseline are left out where the workstation has not got them. */
static bool form_exists(const struct form *form)
{
    if (form->flags & (VEX | SCALED) || form->map == MAP_0F38 || form->prefix)
        return native_has_bmi() && native_has_counts();
    return true;
}

START_TEST(random_instructions_agree_with_the_processor)
{
    struct rig *rig = rig_new(MODE_LONG64);
    struct native *native = native_new(RIG_SCRATCH, SCRATCH_BYTES);
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (form_exists(&forms[i]))
            run_form(rig, native, &forms[i]);
    for (unsigned op = 0; op < 8; op++) { /* ADD OR ADC SBB AND SUB XOR CMP */
        uint32_t undefined = op == 1 || op == 4 || op == 6 ? FLAG_AF : 0;
        for (unsigned way = 0; way < 6; way++)
            run_form(rig, native,
                     &(struct form){ MAP_1, (uint8_t)(op * 8 + way), -1,
                                     way == 4   ? 1
                                     : way == 5 ? -1
                                                : 0,
                                     0,
                                     (uint16_t)((way & 1 ? 0 : BYTE) | (way >= 4 ? NO_MODRM : 0)),
                                     undefined });
        run_form(rig, native, &(struct form){ MAP_1, 0x80, (int8_t)op, 1, 0, BYTE, undefined });
        run_form(rig, native, &(struct form){ MAP_1, 0x81, (int8_t)op, -1, 0, 0, undefined });
        run_form(rig, native, &(struct form){ MAP_1, 0x83, (int8_t)op, 1, 0, 0, undefined });
        for (unsigned opcode = 0xc0; opcode <= 0xd3; opcode = opcode == 0xc1 ? 0xd0 : opcode + 1)
            if (op != 6) /* SAL's second encoding is not Zydis's */
                run_form(rig, native,
                         &(struct form){ MAP_1, (uint8_t)opcode, (int8_t)op, opcode < 0xd0 ? 1 : 0,
                                         0, opcode & 1 ? 0 : BYTE, 0 });
    }
    for (unsigned cc = 0; cc < 16; cc++) {
        run_form(rig, native, &(struct form){ MAP_0F, (uint8_t)(0x40 + cc), -1, 0, 0, 0, 0 });
        run_form(rig, native, &(struct form){ MAP_0F, (uint8_t)(0x90 + cc), 0, 0, 0, BYTE, 0 });
    }
    native_free(native);
    rig_free(rig);
    printf("%llu cases compared, %llu with undefined flags masked:", (unsigned long long)compared,
           (unsigned long long)masked);
    for (unsigned i = 0; i < 32; i++)
        if (masked_flags[i])
            printf(" bit %u %llu", i, (unsigned long long)masked_flags[i]);
    printf("\n");
    ck_assert_uint_gt(compared, 10000);
}
END_TEST

/* AAA, AAS, DAA, DAS, AAM, AAD for every AL, interesting AH and the flags they read. OF is undefined for all, SF, ZF
 * and PF for AAA and AAS, CF and AF for AAM and AAD. */
START_TEST(decimal_adjustments_agree_with_the_processor)
{
    static const struct {
        uint8_t len, bytes[2];
        uint32_t undefined;
    } rows[] = { { 1, { 0x37 }, SZAP & ~FLAG_AF },
                 { 1, { 0x3f }, SZAP & ~FLAG_AF },
                 { 1, { 0x27 }, 0 },
                 { 1, { 0x2f }, 0 },
                 { 2, { 0xd4, 10 }, FLAG_CF | FLAG_AF },
                 { 2, { 0xd4, 7 }, FLAG_CF | FLAG_AF },
                 { 2, { 0xd5, 10 }, FLAG_CF | FLAG_AF },
                 { 2, { 0xd5, 0xfb }, FLAG_CF | FLAG_AF } };
    if (!native_has_32bit()) {
        printf("no 32-bit segments: decimal adjustments not compared\n");
        return;
    }
    struct rig *rig = rig_new(MODE_PROT32);
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    ck_assert(code != MAP_FAILED);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned n = 0; n < 4 * 4 * 256; n++) {
            static const uint8_t ah[] = { 0, 1, 0x7f, 0xff };
            uint64_t rax = 0x12340000u | (unsigned)ah[n >> 8 & 3] << 8 | (n & 255);
            uint64_t rflags = 0x202 | (n & 0x400 ? FLAG_CF : 0) | (n & 0x800 ? FLAG_AF : 0);
            uint64_t native_rax = rax, native_flags = rflags;
            uint32_t mask = native_follows_amd() ? 0 : rows[i].undefined | FLAG_OF;
            native_run32(code, rows[i].bytes, rows[i].len, &native_rax, &native_flags);
            rig->cpu.r[REG_RAX] = rax;
            cpu_set_rflags(&rig->cpu, rflags);
            ck_assert_int_eq(rig_exec(rig, rows[i].bytes, rows[i].len), STEP_NEXT);
            ck_assert_msg(native_rax == rig->cpu.r[REG_RAX] &&
                              !((native_flags ^ cpu_rflags(&rig->cpu)) & FLAGS_STATUS & ~mask),
                          "%02x: EAX %x flags %x: native %x %x here %x %x", rows[i].bytes[0],
                          (unsigned)rax, (unsigned)rflags, (unsigned)native_rax,
                          (unsigned)native_flags, (unsigned)rig->cpu.r[REG_RAX],
                          (unsigned)cpu_rflags(&rig->cpu));
        }
    }
    (void)munmap(code, 4096);
    rig_free(rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("native");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, random_instructions_agree_with_the_processor);
    tcase_add_test(tcase, decimal_adjustments_agree_with_the_processor);
    Suite *suite = suite_create("native");
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
#else
int main(void)
{
    printf("skipped: not an x86-64 workstation\n");
    return 0;
}
#endif

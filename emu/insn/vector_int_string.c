/* Comparison of strings of bytes or words.
 * APM vol 4, "PCMPESTRI", "PCMPESTRM", "PCMPISTRI", "PCMPISTRM"; vol 1, 4.6.10 "String and Text Processing Instructions".
 *
 * imm8: [0] words, [1] signed, [3:2] the comparison, [4] negate, [5] negate only where operand 2 has elements,
 * [6] the last index, or a mask of whole elements. */
#include "emu/insn/vector_int.h"

#include "emu/cpu/flags.h"

#define IMM_WORDS 0x01u
#define IMM_SIGNED 0x02u
#define IMM_NEGATE 0x10u
#define IMM_MASKED 0x20u
#define IMM_LAST 0x40u

enum comparison { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

/* An operand: its elements, all of which are there, and how many of them count. Unsigned words have 8000h subtracted,
 * which keeps their order. */
struct text {
    int16_t element[16];
    unsigned len;
};

static void text_load(struct text *text, const union vector *from, uint8_t imm)
{
    for (unsigned i = 0; i < 16; i++)
        switch (imm & (IMM_WORDS | IMM_SIGNED)) {
        case 0: text->element[i] = from->u8[i]; break;
        case IMM_SIGNED: text->element[i] = from->s8[i]; break;
        case IMM_WORDS: text->element[i] = (int16_t)(from->u16[i & 7] ^ 0x8000); break;
        default: text->element[i] = from->s16[i & 7]; break;
        }
}

/* Bit i: element i is not less than `low` and not greater than `high`. */
static unsigned text_within(const struct text *text, int16_t low, int16_t high)
{
    uint8_t hit[16];
    uint64_t half[2];
    for (unsigned i = 0; i < 16; i++)
        hit[i] = low <= text->element[i] && text->element[i] <= high;
    memcpy(half, hit, sizeof(half));
    const uint64_t gather =
        UINT64_C(0x0102040810204080); /* bit 0 of each byte, into the top byte */
    return (unsigned)(half[0] * gather >> 56 | half[1] * gather >> 56 << 8);
}

/* The first n elements. */
static unsigned first_bits(unsigned n)
{
    return (1u << n) - 1;
}

/* Implicit length: up to the first zero. */
static void text_measure(struct text *text, unsigned n, uint8_t imm)
{
    const int16_t zero = (imm & (IMM_WORDS | IMM_SIGNED)) == IMM_WORDS ? INT16_MIN : 0;
    text->len = EMU_CTZ64(text_within(text, zero, zero) | 1u << n);
}

/* Explicit length: the magnitude of a register, at most n. */
static unsigned explicit_length(const struct vcpu *cpu, const struct insn *in, enum reg reg,
                                unsigned n)
{
    bool wide = (in->prefixes & PREFIX_REXW) && cpu_long64(cpu);
    int64_t value = wide ? (int64_t)cpu->r[reg] : (int32_t)cpu->r[reg];
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    return magnitude < n ? (unsigned)magnitude : n;
}

/* Bit j: element j of b is one of a, or in one of the ranges that pairs of a are. */
static unsigned find_any(const struct text *a, const struct text *b, bool ranges)
{
    unsigned found = 0, step = ranges ? 2 : 1;
    for (unsigned i = 0; i + step <= a->len; i += step)
        found |= text_within(b, a->element[i], a->element[i + step - 1]);
    return found & first_bits(b->len);
}

/* Bit j: elements j are equal, or both are behind the end. */
static unsigned find_each(const struct text *a, const struct text *b, unsigned n)
{
    unsigned equal = 0, in_a = first_bits(a->len), in_b = first_bits(b->len);
    for (unsigned j = 0; j < n; j++)
        equal |= (unsigned)(a->element[j] == b->element[j]) << j;
    return (equal & in_a & in_b) | (first_bits(n) & ~(in_a | in_b));
}

/* Bit j: a stands in b from element j on, as far as element n - 1 lets it be seen. */
static unsigned find_ordered(const struct text *a, const struct text *b, unsigned n)
{
    uint64_t found = first_bits(n);
    for (unsigned i = 0; i < a->len; i++) {
        uint64_t equal = text_within(b, a->element[i], a->element[i]) & first_bits(b->len);
        found &= (equal | ~(uint64_t)first_bits(n)) >> i;
    }
    return (unsigned)found;
}

static unsigned compare(const struct text *a, const struct text *b, unsigned n, uint8_t imm)
{
    unsigned found;
    switch ((enum comparison)(imm >> 2 & 3)) {
    case EQUAL_ANY: found = find_any(a, b, false); break;
    case RANGES: found = find_any(a, b, true); break;
    case EQUAL_EACH: found = find_each(a, b, n); break;
    default: found = find_ordered(a, b, n); break;
    }
    if (imm & IMM_NEGATE)
        found ^= first_bits(imm & IMM_MASKED ? b->len : n);
    return found;
}

/* What all four have in common: bit j of *found for element j, flags set. */
EMU_MUST_USE static enum step compare_strings(struct vcpu *cpu, const struct insn *in,
                                              bool implicit, unsigned *found)
{
    union vector room;
    const union vector *from;
    struct text a, b;
    uint8_t imm = (uint8_t)in->imm;
    unsigned n = imm & IMM_WORDS ? 8 : 16;
    enum step step = vector_source(cpu, in, 1, 16, &room, &from);
    if (step != STEP_NEXT)
        return step;
    text_load(&a, &cpu->simd.v[in->op[0].reg], imm);
    text_load(&b, from, imm);
    if (implicit) {
        text_measure(&a, n, imm);
        text_measure(&b, n, imm);
    } else {
        a.len = explicit_length(cpu, in, REG_RAX, n);
        b.len = explicit_length(cpu, in, REG_RDX, n);
    }
    *found = compare(&a, &b, n, imm);
    flags_set_material(cpu, (*found ? FLAG_CF : 0) | (b.len < n ? FLAG_ZF : 0) |
                                (a.len < n ? FLAG_SF : 0) | (*found & 1 ? FLAG_OF : 0));
    return STEP_NEXT;
}

/* ECX: the first or last index, or the number of elements. */
EMU_MUST_USE static enum step find_index(struct vcpu *cpu, const struct insn *in, bool implicit)
{
    unsigned found;
    enum step step = compare_strings(cpu, in, implicit, &found);
    if (step != STEP_NEXT)
        return step;
    unsigned index = in->imm & IMM_WORDS ? 8 : 16;
    if (found && in->imm & IMM_LAST)
        for (index = 15; !(found >> index & 1);)
            index--;
    else if (found)
        index = EMU_CTZ64(found);
    cpu->r[REG_RCX] = index;
    return STEP_NEXT;
}

/* XMM0: the bits, or whole elements of ones. */
EMU_MUST_USE static enum step find_mask(struct vcpu *cpu, const struct insn *in, bool implicit)
{
    unsigned found;
    enum step step = compare_strings(cpu, in, implicit, &found);
    if (step != STEP_NEXT)
        return step;
    union vector d = { .u64 = { found } };
    if (in->imm & IMM_LAST)
        for (unsigned i = 0; i < 16; i++)
            d.u8[i] = (uint8_t) - (found >> (in->imm & IMM_WORDS ? i / 2 : i) & 1);
    vector_set(cpu, in, 0, 16, &d);
    return STEP_NEXT;
}

enum step insn_pcmpestri(struct vcpu *cpu, const struct insn *in)
{
    return find_index(cpu, in, false);
}

enum step insn_pcmpistri(struct vcpu *cpu, const struct insn *in)
{
    return find_index(cpu, in, true);
}

enum step insn_pcmpestrm(struct vcpu *cpu, const struct insn *in)
{
    return find_mask(cpu, in, false);
}

enum step insn_pcmpistrm(struct vcpu *cpu, const struct insn *in)
{
    return find_mask(cpu, in, true);
}

/* The bytes of a case: an encoding and odd prefixes around it, or nothing in particular. */
#include "tests/differential/draft.h"

#include <string.h>

/* SYSCALL, SYSENTER and their kin where they do not decode: another processor may have them. LOCK VERW, which Zen 4 lets
 * read its operand before it is #UD. */
bool looks_excluded(const uint8_t *bytes)
{
    for (unsigned i = 0; i + 1 < 16; i++)
        if ((bytes[i] == 0x0f &&
             (bytes[i + 1] == 0x05 || bytes[i + 1] == 0x34 || bytes[i + 1] == 0x35 ||
              bytes[i + 1] == 0x01 || bytes[i + 1] == 0xc7 || bytes[i + 1] == 0x00)) ||
            bytes[i] == 0xcd)
            return true;
    return false;
}

/* EVEX, XOP and the VEX of mask registers: the workstation may have AVX-512. */
bool may_be_avx512(const struct draft *d)
{
    uint8_t opcode = d->bytes[d->opcode_end - 1];
    return opcode == 0x62 || opcode == 0x8f || (opcode >= 0x30 && opcode <= 0x33) ||
           (opcode >= 0x41 && opcode <= 0x4b) || (opcode >= 0x90 && opcode <= 0x99);
}

static void put(struct draft *d, unsigned byte)
{
    if (d->len < sizeof(d->bytes))
        d->bytes[d->len++] = (uint8_t)byte;
}

/* `vex`: mostly those that may stand before VEX. */
static void put_odd_prefixes(struct draft *d, struct diff_random *random, bool vex)
{
    static const uint8_t prefixes[] = { 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                        0x67, 0x66, 0xf2, 0xf3, 0x66, 0xf0, 0x48 };
    unsigned count = random_chance(random, 35) ? 1 + random_below(random, 3) : 0;
    unsigned kinds = vex && random_chance(random, 90) ? 8 : sizeof(prefixes);
    if (random_chance(random, 1))
        count += random_below(random, 14); /* around the limit of 15 bytes */
    for (unsigned i = 0; i < count; i++)
        put(d, prefixes[random_below(random, kinds)]);
}

static void put_value(struct draft *d, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        put(d, value >> (8 * i) & 0xff);
}

/* ModRM, SIB, displacement and more immediate bytes than anything needs. */
static void put_operands(struct draft *d, struct diff_random *random, const struct form *form)
{
    unsigned mod = form->memory ? random_below(random, 3) : 3;
    unsigned rm = form->rm == ANY_RM ? random_below(random, 8) : form->rm;
    put(d, mod << 6 | (unsigned)form->reg << 3 | rm);
    if (mod < 3 && rm == 4 && !d->addr16)
        put(d, (unsigned)random_bits(random) & 0xff);
    if (mod == 1)
        put(d, (unsigned)random_bits(random) & 0xff);
    else if (mod < 3)
        put_value(d, (uint64_t)(int64_t)(int16_t)random_bits(random),
                  mod == 2 || rm == 5 ? (d->addr16 ? 2 : 4) : 0);
    put_value(d, random_edge(random), 8);
    put_value(d, random_edge(random), 8);
}

void draft_form(struct draft *d, struct diff_random *random, const struct form *form, unsigned mode)
{
    struct form_extra extra = { .vvvv = 15, .two_bytes = random_chance(random, 50) };
    if (mode == DIFF_64 && random_chance(random, 60))
        extra.rex = 0x40 | ((unsigned)random_bits(random) & 7);
    if (form->vvvv || random_chance(random, 2))
        extra.vvvv = random_below(random, 16);
    put_odd_prefixes(d, random, form->map >= MAP_VEX0F);
    bool has67 = d->len > 0 && memchr(d->bytes, 0x67, d->len);
    d->addr16 = mode == DIFF_16 ? !has67 : mode == DIFF_32 && has67;
    d->len += put_opcode(d->bytes + d->len, form, mode, &extra);
    d->opcode_end = d->len;
    put_operands(d, random, form);
}

/* Bytes of no particular form: most are #UD, or not ours. */
void draft_garbage(struct draft *d, struct diff_random *random)
{
    put_odd_prefixes(d, random, false);
    unsigned escape = random_below(random, 10);
    if (escape < 5) {
        put(d, 0x0f);
    } else if (escape == 5) {
        put(d, 0xc5);
        put(d, (unsigned)random_bits(random) & 0xff);
    } else if (escape < 8) {
        put(d, 0xc4);
        put(d, 0xe0 | random_below(random, 4));
        put(d, (unsigned)random_bits(random) & 0xff);
    }
    put(d, (unsigned)random_bits(random) & 0xff);
    d->opcode_end = d->len;
    put_value(d, random_bits(random), 8);
    put_value(d, random_edge(random), 8);
}

/* FNSTENV to the last of the data that can be written: shows FOP, FIP and FDP, which an XSAVE image does not. */
unsigned put_fnstenv(uint8_t *at, unsigned mode)
{
    const uint32_t la = (uint32_t)DIFF_DATA + RW_BYTES - 32, off = RW_BYTES - 32;
    static const uint8_t opcodes[DIFF_MODES][3] = { { 0xd9, 0x34, 0x25 },
                                                    { 0xd9, 0x35 },
                                                    { 0xd9, 0x36 } };
    unsigned n = mode == DIFF_64 ? 3 : 2, bytes = mode == DIFF_16 ? 2 : 4;
    memcpy(at, opcodes[mode], n);
    memcpy(at + n, mode == DIFF_16 ? &off : &la, bytes);
    return n + bytes;
}

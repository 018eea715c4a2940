/* Random instructions: an encoding, odd prefixes around it, and registers that point where something happens. */
#include "decoder/decode.h"
#include "emu/insn/insn.h"
#include "tests/differential/forms_priv.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

/* SYSCALL, SYSENTER and their kin where they do not decode: another processor may have them. LOCK VERW, which Zen 4 lets
 * read its operand before it is #UD. */
static bool looks_excluded(const uint8_t *bytes)
{
    for (unsigned i = 0; i + 1 < 16; i++)
        if ((bytes[i] == 0x0f &&
             (bytes[i + 1] == 0x05 || bytes[i + 1] == 0x34 || bytes[i + 1] == 0x35 ||
              bytes[i + 1] == 0x01 || bytes[i + 1] == 0xc7 || bytes[i + 1] == 0x00)) ||
            bytes[i] == 0xcd)
            return true;
    return false;
}

/* --- bytes ------------------------------------------------------------------------------------------ */

#define RW_BYTES 0x3000u /* at the start of the data */

struct draft {
    uint8_t bytes[DIFF_CODE_BYTES + 40];
    unsigned len;
    unsigned opcode_end; /* index behind the opcode */
    bool addr16;
};

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

static void draft_form(struct draft *d, struct diff_random *random, const struct form *form,
                       unsigned mode)
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
static void draft_garbage(struct draft *d, struct diff_random *random)
{
    put_odd_prefixes(d, random, false);
    if (random_chance(random, 60))
        put(d, 0x0f);
    put(d, (unsigned)random_bits(random) & 0xff);
    d->opcode_end = d->len;
    put_value(d, random_bits(random), 8);
    put_value(d, random_edge(random), 8);
}

/* --- addresses --------------------------------------------------------------------------------------- */

/* A linear address to aim at: mostly in the data, often at the edge of a page, sometimes where nothing is. */
static uint64_t aim(struct diff_random *random, unsigned mode)
{
    uint64_t page = DIFF_DATA + 4096 * (uint64_t)random_below(random, 5);
    switch (random_below(random, 32)) {
    case 0: return DIFF_DATA - 8 + random_below(random, 16);
    case 1: return DIFF_NOWHERE + random_below(random, 0x8000);
    case 2: return random_below(random, 0x1000);
    case 3:
        return mode != DIFF_64 ? UINT32_MAX - random_below(random, 16)
                               : UINT64_C(0x00007fffffffffff) - 8 + random_below(random, 16);
    case 4:
        return mode != DIFF_64 ? DIFF_DATA + 0xffff - random_below(random, 16)
                               : UINT64_C(0xffff900000000000) + random_below(random, 4096);
    case 5: return mode != DIFF_64 ? page : UINT64_C(0x0123456789abcdef);
    case 6:
    case 7:
    case 8:
    case 9: return page - 8 + random_below(random, 16);
    case 10:
    case 11:
    case 12:
    case 13:
    case 14: return DIFF_DATA + 16 * (uint64_t)random_below(random, RW_BYTES / 16 - 1);
    case 15: return DIFF_DATA + 0xfff0 + random_below(random, 16);
    default: return DIFF_DATA + 0x100 + random_below(random, RW_BYTES - 0x200);
    }
}

/* Nothing but the test's own pages, or nothing at all, may be near. */
static bool is_harmless(uint64_t la, unsigned mode)
{
    if (la >= DIFF_DATA - 0x12000 && la < DIFF_DATA + 0x12000)
        return true;
    if (la < 0xf000 || (la >= DIFF_NOWHERE && la < DIFF_NOWHERE + 0xf000))
        return true;
    if (mode != DIFF_64)
        return la >= 0xffff0000;
    bool vsyscall = la >= UINT64_C(0xffffffffff5f0000) && la < UINT64_C(0xffffffffff610000);
    return la >> 47 != 0 ? !vsyscall : la > UINT64_C(0x00007ffffffff000);
}

static uint64_t segment_base(const struct diff_case *made, unsigned seg)
{
    if (made->mode == DIFF_64)
        return seg == SEG_FS ? DIFF_FS_BASE : seg == SEG_GS ? DIFF_GS_BASE : 0;
    uint16_t selector = made->before.seg[seg];
    if (seg == SEG_CS)
        return diff_code_base(made->mode);
    return seg >= SEG_FS || selector == DIFF_DS ? 0 : DIFF_DATA;
}

/* Is the stack pointer SP? */
static bool small_stack(const struct diff_case *made)
{
    unsigned segment = (made->before.seg[SEG_SS] >> 3) - 1u;
    return made->before.seg[SEG_SS] != DIFF_DS && segment != DIFF_SEGMENT_WHOLE_BIG &&
           segment != DIFF_SEGMENT_DOWN_BIG;
}

static uint64_t effective(const struct insn *in, const struct diff_state *state)
{
    uint64_t base = in->base == REG_RIP    ? state->rip
                    : in->base == REG_ZERO ? 0
                                           : state->r[in->base];
    uint64_t index = in->index == REG_ZERO ? 0 : state->r[in->index];
    return (base + (index << in->scale) + (uint64_t)in->disp) & size_mask(in->addr_size);
}

static uint64_t to_linear(const struct diff_case *made, unsigned seg, uint64_t off)
{
    uint64_t la = segment_base(made, seg) + off;
    return made->mode == DIFF_64 ? la : (uint32_t)la;
}

static bool reaches_harmless(const struct diff_case *made, unsigned seg, uint64_t off)
{
    return is_harmless(to_linear(made, seg, off), made->mode);
}

/* Change a register, or the displacement in the bytes, so that the operand lies at `off`. */
static void aim_operand(const struct insn *in, struct draft *d, struct diff_state *state,
                        uint64_t off)
{
    uint64_t index = in->index == REG_ZERO ? 0 : state->r[in->index] << in->scale;
    uint64_t want = off - (uint64_t)in->disp;
    if (in->base < 16 && in->base == in->index) {
        state->r[in->base] = (want & size_mask(in->addr_size)) / (1 + (1u << in->scale));
    } else if (in->base < 16) {
        state->r[in->base] = want - index;
    } else if (in->index < 16 && in->base == REG_ZERO) {
        state->r[in->index] = (want & size_mask(in->addr_size)) >> in->scale;
    } else {
        bool direct =
            in->opcode >= 0xa0 && in->opcode <= 0xa3 && in->mnemonic == ZYDIS_MNEMONIC_MOV;
        unsigned at = d->opcode_end, width = in->addr_size == 2 ? 2 : 4;
        if (direct)
            width = in->addr_size;
        else
            at += 1 + ((in->modrm & 7) == 4 && in->addr_size != 2);
        uint64_t disp = in->base == REG_RIP ? off - state->rip - in->len : off;
        for (unsigned i = 0; i < width && at + i < sizeof(d->bytes); i++)
            d->bytes[at + i] = (uint8_t)(disp >> (8 * i));
    }
}

static bool has_memory(const struct insn *in)
{
    for (unsigned i = 0; i < in->count; i++)
        if (in->op[i].kind == OPERAND_MEM)
            return true;
    return false;
}

static bool is_string(const struct insn *in)
{
    insn_body *body = insn_lookup(in->mnemonic)->body;
    return body == insn_movs || body == insn_stos || body == insn_lods || body == insn_scas ||
           body == insn_cmps;
}

/* --- the state ----------------------------------------------------------------------------------------- */

/* Linux's flat segment, or mostly one of the LDT. A stack can be written. */
static void draw_segments(struct diff_random *random, struct diff_case *made)
{
    made->before.seg[SEG_CS] = made->mode == DIFF_64   ? DIFF_CS64
                               : made->mode == DIFF_32 ? DIFF_CS32
                                                       : DIFF_CS16;
    made->before.fs_base = DIFF_FS_BASE;
    made->before.gs_base = DIFF_GS_BASE;
    static const uint8_t registers[] = { SEG_DS, SEG_ES, SEG_SS };
    bool flat = made->mode == DIFF_64 || !native_has_mode(DIFF_16) ||
                (made->mode == DIFF_32 && random_chance(random, 60));
    for (unsigned i = 0; i < 3; i++) {
        unsigned segment = DIFF_SEGMENT_WHOLE;
        if (random_chance(random, 50))
            segment =
                random_below(random, i == 2 ? DIFF_SEGMENT_READ_ONLY : DIFF_SEGMENT_NOT_PRESENT);
        made->before.seg[registers[i]] = flat ? DIFF_DS : diff_selector(segment);
    }
    if (!flat && random_chance(random, 15))
        made->before.seg[SEG_SS] = DIFF_DS; /* the only stack from which far transfers go */
}

static void draw_state(struct diff_random *random, struct diff_case *made)
{
    struct diff_state *state = &made->before;
    uint64_t mask = made->mode == DIFF_64 ? UINT64_MAX : UINT32_MAX;
    draw_segments(random, made);
    uint64_t stack = segment_base(made, SEG_SS);
    for (unsigned i = 0; i < 16; i++)
        state->r[i] = i < 8 || made->mode == DIFF_64 ? random_edge(random) & mask : 0;
    state->r[REG_RSP] = random_chance(random, 75)
                            ? DIFF_DATA + 0x200 + (random_below(random, 0x2800) & ~7u) - stack
                            : aim(random, made->mode) - stack;
    if (random_chance(random, 60))
        state->r[REG_RBP] = state->r[REG_RSP] + random_below(random, 256) - 128u;
    if (small_stack(made)) { /* only SP counts, the rest must survive */
        state->r[REG_RSP] = (state->r[REG_RSP] & 0xffff) | (random_bits(random) & 0xffff0000);
        if (random_chance(random, 50))
            state->r[REG_RBP] |= random_bits(random) & 0xffff0000;
    }
    for (unsigned i = REG_RSP; i <= REG_RBP; i++)
        state->r[i] &= mask;
    unsigned offset = random_below(random, 4096 - 64);
    if (random_chance(random, 4))
        offset = 4096 - 1 - random_below(random, 15);
    state->rip = DIFF_CODE - diff_code_base(made->mode) + offset;
    state->rflags = 2 | FLAG_IF | FLAG_TF | (random_bits(random) & FLAGS_STATUS) |
                    (random_chance(random, 25) ? FLAG_DF : 0) |
                    (random_chance(random, 10) ? FLAG_AC : 0) |
                    (random_chance(random, 5) ? FLAG_RF : 0);
}

/* Registers that string instructions use as addresses. */
static void aim_strings(const struct insn *in, struct diff_random *random, struct diff_case *made)
{
    struct diff_state *state = &made->before;
    uint64_t upper = made->mode == DIFF_64 ? UINT64_MAX : UINT32_MAX;
    upper &= in->addr_size == 8 ? 0 : ~size_mask(in->addr_size);
    uint64_t si = aim(random, made->mode), di = aim(random, made->mode);
    if (random_chance(random, 30))
        di = si + random_below(random, 64) - 32;
    state->r[REG_RSI] = si - segment_base(made, in->seg);
    state->r[REG_RDI] = di - segment_base(made, SEG_ES);
    state->r[REG_RCX] = random_chance(random, 90) ? random_below(random, 20) : random_edge(random);
    static const uint8_t used[] = { REG_RSI, REG_RDI, REG_RCX };
    for (unsigned i = 0; i < 3; i++)
        state->r[used[i]] = (state->r[used[i]] & size_mask(in->addr_size)) |
                            (random_chance(random, 50) ? random_bits(random) & upper : 0);
    made->repeats = (in->prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0;
}

/* What makes the interesting ways of an instruction likely. */
static void favour(const struct insn *in, struct diff_random *random, struct diff_case *made,
                   const uint8_t *data, uint64_t la)
{
    struct diff_state *state = &made->before;
    uint64_t old[2] = { 0 };
    bool inside = la >= DIFF_DATA && la + 16 <= DIFF_DATA + DIFF_DATA_BYTES;
    if (inside)
        memcpy(old, data + (la - DIFF_DATA), 16);
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_CMPXCHG:
        if (inside && has_memory(in) && random_chance(random, 50))
            state->r[REG_RAX] = old[0];
        break;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
        if (inside && random_chance(random, 50)) {
            state->r[REG_RAX] = (uint32_t)old[0];
            state->r[REG_RDX] = old[0] >> 32;
        }
        break;
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        if (inside && random_chance(random, 50)) {
            state->r[REG_RAX] = old[0];
            state->r[REG_RDX] = old[1];
        }
        break;
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        if (random_chance(random, 70))
            state->r[REG_RDX] = random_chance(random, 50) ? 0 : UINT64_MAX;
        if (random_chance(random, 50))
            state->r[REG_RAX] &= 0xffffffffffff03ff;
        break;
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
        if (random_chance(random, 60))
            state->r[REG_RCX] =
                (random_bits(random) &
                 (random_chance(random, 50) ? 0xffffffff00000000 : 0xffffffffffff0000)) |
                random_below(random, 2);
        break;
    default: break;
    }
    if (made->mode != DIFF_64)
        for (unsigned i = 0; i < 8; i++)
            state->r[i] &= UINT32_MAX;
}

/* A bit offset in a register reaches far: not farther than the data. */
static void tame_bit_offset(const struct insn *in, struct diff_random *random,
                            struct diff_state *state)
{
    if (insn_lookup(in->mnemonic)->body == insn_bt && in->op[1].kind == OPERAND_REG &&
        in->op[0].kind == OPERAND_MEM)
        state->r[in->op[1].reg / 8] = (uint64_t)(int64_t)((int)random_below(random, 60000) - 30000);
}

/* Where bit tests go, to see whether it is harmless. */
static uint64_t bit_offset(const struct insn *in, const struct diff_state *state)
{
    if (insn_lookup(in->mnemonic)->body != insn_bt || in->op[1].kind != OPERAND_REG)
        return 0;
    int64_t bit = sign_extend(state->r[in->op[1].reg / 8], in->op[0].size);
    return (uint64_t)(bit >> 3);
}

/* MASKMOVQ and its kin store where rDI says. */
static bool is_masked_store(const struct insn *in)
{
    return in->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ || in->mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU ||
           in->mnemonic == ZYDIS_MNEMONIC_VMASKMOVDQU;
}

/* Do all elements of a gather lie where it is harmless? */
static bool gathers_harmless(const struct insn *in, const struct diff_case *made)
{
    const struct diff_fp *fp = &made->before.fp;
    unsigned size = in->opcode & 1 ? 8 : 4;
    for (unsigned i = 0; i < 32; i += size) {
        int64_t index = 0;
        memcpy(&index, i < 16 ? fp->xmm[in->vindex] + i : fp->high[in->vindex] + i - 16, size);
        index = size == 4 ? (int32_t)index : index;
        uint64_t off = effective(in, &made->before) + ((uint64_t)index << in->scale);
        if (!reaches_harmless(made, in->seg, off & size_mask(in->addr_size)))
            return false;
    }
    return true;
}

/* Point everything at what is harmless. */
static void place(const struct insn *in, struct draft *d, struct diff_random *random,
                  struct diff_case *made, const uint8_t *data)
{
    struct diff_state *state = &made->before;
    uint64_t la = 0;
    if (is_string(in))
        aim_strings(in, random, made);
    if (in->mnemonic == ZYDIS_MNEMONIC_XLAT)
        state->r[REG_RBX] =
            aim(random, made->mode) - segment_base(made, in->seg) - (uint8_t)state->r[REG_RAX];
    if (in->mnemonic == ZYDIS_MNEMONIC_CLZERO)
        state->r[REG_RAX] = aim(random, made->mode) - segment_base(made, in->seg);
    if (has_memory(in)) {
        uint64_t target = aim(random, made->mode);
        if (in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B && random_chance(random, 75))
            target &= ~UINT64_C(15);
        if (is_floating(in) && random_chance(random, 75))
            target = aim_fp(in, random);
        tame_bit_offset(in, random, state);
        aim_selectors(in, random, made, d->bytes, &target);
        aim_operand(in, d, state, target - segment_base(made, in->seg));
        if (made->mode != DIFF_64)
            for (unsigned i = 0; i < 8; i++)
                state->r[i] &= UINT32_MAX;
        la = target;
    }
    if (!has_memory(in) && uses_selectors(in))
        aim_selectors(in, random, made, d->bytes, &la);
    if (is_masked_store(in)) {
        la = random_chance(random, 75) ? aim_fp(in, random) : aim(random, made->mode);
        state->r[REG_RDI] = la - segment_base(made, in->seg);
    }
    favour(in, random, made, data, la);
}

/* After the last change: is what it will touch harmless? */
static bool is_safe(const struct insn *in, const struct diff_case *made)
{
    const struct diff_state *state = &made->before;
    uint64_t stack = made->mode == DIFF_64 ? UINT64_MAX
                     : small_stack(made)   ? UINT16_MAX
                                           : UINT32_MAX;
    uint64_t mask = size_mask(in->addr_size);
    if (!reaches_harmless(made, SEG_SS, state->r[REG_RSP] & stack))
        return false;
    if ((in->mnemonic == ZYDIS_MNEMONIC_LEAVE || in->mnemonic == ZYDIS_MNEMONIC_ENTER) &&
        !reaches_harmless(made, SEG_SS, state->r[REG_RBP] & stack))
        return false;
    if (in->mnemonic == ZYDIS_MNEMONIC_XLAT &&
        !reaches_harmless(made, in->seg, (state->r[REG_RBX] + (uint8_t)state->r[REG_RAX]) & mask))
        return false;
    if (in->mnemonic == ZYDIS_MNEMONIC_CLZERO &&
        !reaches_harmless(made, in->seg, state->r[REG_RAX] & mask))
        return false;
    if (is_masked_store(in))
        return reaches_harmless(made, in->seg, state->r[REG_RDI] & mask);
    if (is_state(in) && (state->r[REG_RAX] & NATIVE_ONLY))
        return false;
    if (is_gather(in) && !gathers_harmless(in, made))
        return false;
    if (is_string(in))
        return reaches_harmless(made, in->seg, state->r[REG_RSI] & mask) &&
               reaches_harmless(made, SEG_ES, state->r[REG_RDI] & mask);
    return !has_memory(in) ||
           reaches_harmless(made, in->seg, (effective(in, state) + bit_offset(in, state)) & mask);
}

/* EVEX and XOP, and VEX of other sets, lead to much that is not offered here. */
static bool may_be_vector(const struct draft *d)
{
    uint8_t opcode = d->bytes[d->opcode_end - 1];
    return opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62 || opcode == 0x8f;
}

/* --- a case ---------------------------------------------------------------------------------------------- */

static enum decode_status decode(const struct draft *d, unsigned mode, struct insn *in)
{
    return decode_insn(d->bytes, DIFF_CODE_BYTES, diff_cpu_mode(mode), in);
}

static bool leaves_pointers(const struct insn *in)
{
    return is_x87(in) && !is_transcendental(in->mnemonic) &&
           in->mnemonic != ZYDIS_MNEMONIC_FNSTENV && in->mnemonic != ZYDIS_MNEMONIC_FNSAVE;
}

/* FNSTENV to the last of the data that can be written: shows FOP, FIP and FDP, which an XSAVE image does not. */
static unsigned put_fnstenv(uint8_t *at, unsigned mode)
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

/* What ends it: an INT3 behind it, which costs less than a #DB does under a hypervisor, where it goes on behind itself. */
static void choose_end(const struct insn *in, struct diff_random *random, struct diff_case *made)
{
    made->breaks = !(in->flags & INSN_ENDS_BLOCK) && !is_string(in) && !leaves_segment(in) &&
                   !uses_selectors(in) && random_chance(random, 85);
    if (!made->breaks)
        return;
    unsigned end = in->len;
    if (leaves_pointers(in) && random_chance(random, 30))
        end += put_fnstenv(made->bytes + end, made->mode);
    made->bytes[end] = 0xcc;
    made->before.rflags &= ~(uint64_t)FLAG_TF;
}

static bool try_case(const struct diff_forms *forms, struct diff_random *random, unsigned mode,
                     const uint8_t *data, const struct diff_fp *fp, struct diff_case *made)
{
    const struct form_list *list = &forms->modes[mode];
    struct draft d = { .len = 0 };
    struct insn in;
    *made = (struct diff_case){ .mode = (uint8_t)mode };
    made->before.fp = *fp;
    draw_state(random, made);
    bool garbage = random_chance(random, 5);
    if (garbage) {
        draft_garbage(&d, random);
    } else {
        unsigned which = random_below(random, list->kind_count);
        unsigned first = list->first[which], count = list->first[which + 1] - first;
        draft_form(&d, random, &list->forms[first + random_below(random, count)], mode);
    }
    enum decode_status status = decode(&d, mode, &in);
    if (status == DECODE_OK) {
        if (!may_run(&in))
            return false;
        if (leaves_segment(&in) && made->before.seg[SEG_SS] != DIFF_DS)
            return false; /* Linux does not come back from 64-bit code with a 16-bit stack */
        draw_fp(&in, random, &made->before);
        place(&in, &d, random, made, data); /* and perhaps change a displacement */
        if (decode(&d, mode, &in) != DECODE_OK || !may_run(&in) || !is_safe(&in, made))
            return false;
        made->mnemonic = in.mnemonic;
        made->kind = form_kind_of(forms, &in);
        made->len = in.len;
        uint64_t off = effective(&in, &made->before);
        if (has_memory(&in))
            find_parts(&in, to_linear(made, in.seg, off), off, made);
        memcpy(made->bytes, d.bytes, in.len);
        memset(made->bytes + in.len, 0x90, sizeof(made->bytes) - in.len);
        in.flags = insn_lookup(in.mnemonic)->flags;
        choose_end(&in, random, made);
        return true;
    }
    if (looks_excluded(d.bytes) || (garbage && may_be_vector(&d)))
        return false;
    memcpy(made->bytes, d.bytes, sizeof(made->bytes));
    return true;
}

void generate_case(const struct diff_forms *forms, struct diff_random *random, unsigned mode,
                   const uint8_t *data, const struct diff_fp *fp, struct diff_case *made)
{
    while (!try_case(forms, random, mode, data, fp, made)) {
    }
}

/* Random instructions: an encoding, odd prefixes around it, and registers that point where something happens. */
#include "decoder/decode.h"
#include "emu/insn/insn.h"
#include "tests/differential/draft.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

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
    if (looks_excluded(d.bytes) || (garbage && may_be_avx512(&d)))
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

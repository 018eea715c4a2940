/* Where what an instruction touches lies: nothing but the test's own pages, or nothing at all. */
#include "tests/differential/draft.h"

#include "emu/insn/insn.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

uint64_t aim(struct diff_random *random, unsigned mode)
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

uint64_t segment_base(const struct diff_case *made, unsigned seg)
{
    if (made->mode == DIFF_64)
        return seg == SEG_FS ? DIFF_FS_BASE : seg == SEG_GS ? DIFF_GS_BASE : 0;
    uint16_t selector = made->before.seg[seg];
    if (seg == SEG_CS)
        return diff_code_base(made->mode);
    return seg >= SEG_FS || selector == DIFF_DS ? 0 : DIFF_DATA;
}

bool small_stack(const struct diff_case *made)
{
    unsigned segment = (made->before.seg[SEG_SS] >> 3) - 1u;
    return made->before.seg[SEG_SS] != DIFF_DS && segment != DIFF_SEGMENT_WHOLE_BIG &&
           segment != DIFF_SEGMENT_DOWN_BIG;
}

uint64_t effective(const struct insn *in, const struct diff_state *state)
{
    uint64_t base = in->base == REG_RIP    ? state->rip
                    : in->base == REG_ZERO ? 0
                                           : state->r[in->base];
    uint64_t index = in->index == REG_ZERO ? 0 : state->r[in->index];
    return (base + (index << in->scale) + (uint64_t)in->disp) & size_mask(in->addr_size);
}

uint64_t to_linear(const struct diff_case *made, unsigned seg, uint64_t off)
{
    uint64_t la = segment_base(made, seg) + off;
    return made->mode == DIFF_64 ? la : (uint32_t)la;
}

static bool reaches_harmless(const struct diff_case *made, unsigned seg, uint64_t off)
{
    return is_harmless(to_linear(made, seg, off), made->mode);
}

void aim_operand(const struct insn *in, struct draft *d, struct diff_state *state, uint64_t off)
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

bool has_memory(const struct insn *in)
{
    for (unsigned i = 0; i < in->count; i++)
        if (in->op[i].kind == OPERAND_MEM)
            return true;
    return false;
}

bool is_string(const struct insn *in)
{
    insn_body *body = insn_lookup(in->mnemonic)->body;
    return body == insn_movs || body == insn_stos || body == insn_lods || body == insn_scas ||
           body == insn_cmps;
}

void tame_bit_offset(const struct insn *in, struct diff_random *random, struct diff_state *state)
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

bool is_masked_store(const struct insn *in)
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
        memcpy(&index, i < 16 ? &fp->xmm[in->vindex][i] : &fp->high[in->vindex][i - 16], size);
        index = size == 4 ? (int32_t)index : index;
        uint64_t off = effective(in, &made->before) + ((uint64_t)index << in->scale);
        if (!reaches_harmless(made, in->seg, off & size_mask(in->addr_size)))
            return false;
    }
    return true;
}

bool is_safe(const struct insn *in, const struct diff_case *made)
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

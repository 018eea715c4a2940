/* Selectors for instructions on segment registers: loads, far transfers, LAR and its kin. The data holds far pointers and frames
 * of every size. */
#include "decoder/insn.h"
#include "emu/insn/insn.h"
#include "tests/differential/differential.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

/* Where in the data, behind DIFF_DATA: sizes 2, 4 and 8 one after the other. */
enum table {
    WORDS = 0x2800,    /* 64 selectors, 8 bytes apart */
    POINTERS = 0x2a00, /* 16 far pointers a size, 16 bytes apart */
    FRAMES = 0x2d00,   /* 4 frames of IRET a size, 64 bytes apart */
    TABLE_BYTES = 0x100
};

static unsigned size_index(unsigned size)
{
    return size == 8 ? 2 : size == 4 ? 1 : 0;
}

static uint16_t draw_selector(struct diff_random *random)
{
    static const uint16_t linux_selectors[] = { 0,    1,    3,    0x08, 0x10, 0x18,
                                                0x20, 0x23, 0x28, 0x2b, 0x30, 0x33,
                                                0x40, 0x50, 0x63, 0x7b, 0x80, 0x83 };
    switch (random_below(random, 8)) {
    case 0: return (uint16_t)random_edge(random);
    case 1:
    case 2:
    case 3:
        return (uint16_t)(random_below(random, DIFF_SEGMENTS + 3) << 3 | 4 |
                          (random_chance(random, 80) ? 3 : random_below(random, 4)));
    default: return linux_selectors[random_below(random, sizeof(linux_selectors) / 2)];
    }
}

static uint64_t draw_offset(struct diff_random *random)
{
    switch (random_below(random, 4)) {
    case 0: return random_edge(random);
    case 1: return random_below(random, 0x10000);
    default: return DIFF_CODE + random_below(random, 4096);
    }
}

static void store(uint8_t *at, uint64_t value, unsigned size)
{
    memcpy(at, &value, size);
}

void fill_selectors(struct diff_random *random, uint8_t *data)
{
    for (unsigned i = 0; i < 64; i++)
        store(data + WORDS + 8 * i, draw_selector(random), 2);
    for (unsigned size = 2; size <= 8; size *= 2) {
        for (unsigned i = 0; i < 16; i++) {
            uint8_t *at = data + POINTERS + TABLE_BYTES * size_index(size) + 16 * i;
            store(at, draw_offset(random), size);
            store(at + size, draw_selector(random), 2);
        }
        for (unsigned i = 0; i < 4; i++) {
            uint8_t *at = data + FRAMES + TABLE_BYTES * size_index(size) + 64 * i;
            store(at, draw_offset(random), size);
            store(at + size, draw_selector(random), size);
            store(at + 2 * size, random_bits(random), size);
            store(at + 3 * size, DIFF_DATA + random_below(random, 0x3000), size);
            store(at + 4 * size, draw_selector(random), size);
        }
    }
}

/* --- which instructions ---------------------------------------------------------------------------- */

static bool is_far(const struct insn *in)
{
    unsigned reg = in->modrm >> 3 & 7;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP:
        return in->opcode == 0x9a || in->opcode == 0xea ||
               (in->opcode == 0xff && (reg == 3 || reg == 5));
    case ZYDIS_MNEMONIC_RET: return in->opcode == 0xca || in->opcode == 0xcb;
    default: return false;
    }
}

static bool moves_segment(const struct insn *in)
{
    return (in->mnemonic == ZYDIS_MNEMONIC_MOV || in->mnemonic == ZYDIS_MNEMONIC_POP) &&
           in->op[0].kind == OPERAND_SEG;
}

bool leaves_segment(const struct insn *in)
{
    return is_far(in) || insn_lookup(in->mnemonic)->body == insn_iret;
}

bool uses_selectors(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE: return true;
    default: return is_far(in) || moves_segment(in);
    }
}

/* --- aiming --------------------------------------------------------------------------------------------- */

static void aim_stack(struct diff_random *random, struct diff_case *made, uint64_t at)
{
    bool flat = made->before.seg[SEG_SS] == DIFF_DS;
    if (random_chance(random, 85))
        made->before.r[REG_RSP] = flat ? DIFF_DATA + at : at;
}

void aim_selectors(const struct insn *in, struct diff_random *random, struct diff_case *made,
                   uint8_t *bytes, uint64_t *target)
{
    unsigned table = TABLE_BYTES * size_index(in->op_size);
    if (!uses_selectors(in) || random_chance(random, 10))
        return;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE: return;
    case ZYDIS_MNEMONIC_POP: aim_stack(random, made, WORDS + 8 * random_below(random, 64)); return;
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        aim_stack(random, made, FRAMES + table + 64 * random_below(random, 4));
        return;
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS: break;
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP:
        if (in->opcode == 0xff)
            break;
        store(bytes + in->len - 2, draw_selector(random), 2);
        return;
    default: /* one selector, in a register or memory */
        *target = DIFF_DATA + WORDS + 8 * random_below(random, 64);
        for (unsigned i = 0; i < in->count; i++)
            if (in->op[i].kind == OPERAND_REG)
                made->before.r[in->op[i].reg / 8] =
                    draw_selector(random) | (random_bits(random) & 0xffff0000);
        return;
    }
    *target = DIFF_DATA + POINTERS + table + 16 * random_below(random, 16);
}

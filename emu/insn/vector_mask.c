/* Loads and stores of chosen elements: VMASKMOVPS, VPMASKMOVD and their like, MASKMOVQ, MASKMOVDQU.
 * APM vol 4, "VMASKMOVPS", "MASKMOVDQU"; vol 5, "MASKMOVQ". */
#include "emu/insn/vector.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

/* The bytes to move, as bits. */
typedef uint32_t byte_mask;

/* The next run of bytes in *mask, which loses it: from *first on, *count of them. False: none is left. */
static bool next_run(byte_mask *mask, unsigned *first, unsigned *count)
{
    if (*mask == 0)
        return false;
    unsigned from = 0, to;
    while (!(*mask >> from & 1))
        from++;
    for (to = from; to < 32 && (*mask >> to & 1); to++)
        *mask &= ~(UINT32_C(1) << to);
    *first = from;
    *count = to - from;
    return true;
}

/* The faults and table bits of a store, without the store. */
EMU_MUST_USE static enum step touch(struct vcpu *cpu, enum seg seg, uint64_t off, unsigned size)
{
    uint64_t la;
    enum step step = mem_linear(cpu, seg, off, size, ACCESS_WRITE, &la);
    if (step == STEP_NEXT)
        step = mem_touch(cpu, la, ACCESS_WRITE);
    if (step != STEP_NEXT || (la & 4095) + size <= 4096)
        return step;
    la = (la | 4095) + 1;
    return mem_touch(cpu, cpu_long64(cpu) ? la : (uint32_t)la, ACCESS_WRITE);
}

/* Write the chosen bytes once it is known that none of them faults. */
EMU_MUST_USE static enum step store_chosen(struct vcpu *cpu, enum seg seg, uint64_t off,
                                           byte_mask mask, const union vector *from)
{
    unsigned first, count, runs = 0;
    enum step step = STEP_NEXT;
    for (byte_mask rest = mask; next_run(&rest, &first, &count); runs++)
        ;
    if (runs > 1) /* a single one is checked before anything of it is written */
        for (byte_mask rest = mask; step == STEP_NEXT && next_run(&rest, &first, &count);)
            step = touch(cpu, seg, off + first, count);
    while (step == STEP_NEXT && next_run(&mask, &first, &count))
        step = mem_store_bytes(cpu, seg, off + first, count, from->u8 + first);
    return step;
}

/* --- VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ -------------------------------------------------- */

/* The sign of each element of `size` bytes chooses all of its bytes. */
static byte_mask choose(const union vector *signs, unsigned whole, unsigned size)
{
    byte_mask mask = 0, element = size == 4 ? 0xf : 0xff;
    for (unsigned at = 0; at < whole; at += size)
        if (signs->u8[at + size - 1] & 0x80)
            mask |= element << at;
    return mask;
}

/* Elements that are not chosen are not accessed: they neither fault nor leave traces. No element is checked for alignment.
 * Both measured on Zen 4. */
static enum step mask_move(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    const union vector *signs = &cpu->simd.v[in->op[1].reg];
    unsigned whole = in->op[0].size, first, count;
    uint64_t off = mem_offset(cpu, in);
    byte_mask mask = choose(signs, whole, size);
    if (in->op[0].kind == OPERAND_MEM)
        return store_chosen(cpu, (enum seg)in->seg, off, mask, &cpu->simd.v[in->op[2].reg]);
    union vector value = { .u64 = { 0 } };
    while (next_run(&mask, &first, &count)) {
        enum step step =
            mem_load_bytes(cpu, (enum seg)in->seg, off + first, count, value.u8 + first);
        if (step != STEP_NEXT)
            return step;
    }
    return vector_write(cpu, in, 0, whole, &value);
}

/* VMASKMOVPS, VPMASKMOVD. */
enum step insn_vmaskmovps(struct vcpu *cpu, const struct insn *in)
{
    return mask_move(cpu, in, 4);
}

/* VMASKMOVPD, VPMASKMOVQ. */
enum step insn_vmaskmovpd(struct vcpu *cpu, const struct insn *in)
{
    return mask_move(cpu, in, 8);
}

/* --- MASKMOVQ, MASKMOVDQU -------------------------------------------------------------------------------- */

/* CHOICE: all 8 or 16 bytes at seg:rDI must be writable, and with alignment checking aligned, whatever the mask says, also
 * when it chooses none: so does Zen 4. APM vol 4, "MASKMOVDQU" leaves it to the implementation. */
EMU_MUST_USE static enum step touch_all(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                        unsigned size)
{
    uint64_t la;
    enum step step = mem_linear(cpu, (enum seg)in->seg, off, size, ACCESS_WRITE, &la);
    if (step != STEP_NEXT)
        return step;
    if ((la & (size - 1)) != 0 && mem_alignment_checked(cpu))
        return cpu_raise_code(cpu, EXC_AC, 0);
    return touch(cpu, (enum seg)in->seg, off, size);
}

/* MASKMOVQ, MASKMOVDQU, VMASKMOVDQU: bytes of operand 0 whose byte in operand 1 has its sign set go to seg:rDI. */
enum step insn_maskmovdqu(struct vcpu *cpu, const struct insn *in)
{
    bool mmx = in->op[0].kind == OPERAND_MMX;
    unsigned size = mmx ? 8 : 16;
    uint64_t off = reg_read(cpu, REG_RDI * 8, in->addr_size);
    union vector from, signs;
    enum step step = vector_read(cpu, in, 0, size, &from);
    if (step == STEP_NEXT)
        step = vector_read(cpu, in, 1, size, &signs);
    if (step == STEP_NEXT)
        step = touch_all(cpu, in, off, size);
    if (step != STEP_NEXT)
        return step;
    byte_mask mask = 0;
    for (unsigned i = 0; i < size; i++)
        mask |= (byte_mask)(signs.u8[i] >> 7) << i;
    step = store_chosen(cpu, (enum seg)in->seg, off, mask, &from);
    if (step == STEP_NEXT && mmx)
        mmx_enter(cpu);
    return step;
}

/* Loads and stores of chosen elements: VMASKMOVPS, VPMASKMOVD and their like, MASKMOVQ, MASKMOVDQU.
 * APM vol 4, "VMASKMOVPS", "MASKMOVDQU"; vol 5, "MASKMOVQ".
 *
 * Measured on Zen 4: each element is an access by itself. Its offset is cut to the address size, the first one that may not be
 * accessed decides the fault, and a store that faults has stored nothing. */
#include "emu/insn/vector.h"

/* Where the elements lie. */
struct place {
    enum seg seg;
    uint64_t off, last; /* last: of the address size's offsets */
};

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

static uint64_t offset_of(const struct place *place, unsigned at)
{
    return (place->off + at) & place->last;
}

/* The faults and table bits of a store, without the store. */
EMU_MUST_USE static enum step touch(struct vcpu *cpu, const struct place *place, unsigned at,
                                    unsigned size)
{
    return mem_touch_bytes(cpu, place->seg, offset_of(place, at), size, ACCESS_WRITE);
}

/* May a run be accessed at once? Not when its elements could fault for different reasons, or wrap around. */
static bool is_simple(struct vcpu *cpu, const struct place *place, unsigned first, unsigned count,
                      enum access_kind kind)
{
    uint64_t la, off = offset_of(place, first);
    return off <= place->last - (count - 1) &&
           mem_linear(cpu, place->seg, off, count, kind, &la) == STEP_NEXT;
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

EMU_MUST_USE static enum step load_chosen(struct vcpu *cpu, const struct place *place,
                                          byte_mask mask, unsigned size, union vector *to)
{
    unsigned first, count;
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && next_run(&mask, &first, &count)) {
        unsigned part = is_simple(cpu, place, first, count, ACCESS_READ) ? count : size;
        for (unsigned at = first; step == STEP_NEXT && at < first + count; at += part)
            step = mem_load_bytes(cpu, place->seg, offset_of(place, at), part, to->u8 + at);
    }
    return step;
}

EMU_MUST_USE static enum step store_chosen(struct vcpu *cpu, const struct place *place,
                                           byte_mask mask, unsigned size, const union vector *from)
{
    unsigned first, count;
    byte_mask rest = mask;
    enum step step = STEP_NEXT;
    if (!next_run(&rest, &first, &count))
        return STEP_NEXT;
    if (rest == 0 && is_simple(cpu, place, first, count, ACCESS_WRITE))
        return mem_store_bytes(cpu, place->seg, offset_of(place, first), count, from->u8 + first);
    for (unsigned at = 0; step == STEP_NEXT && at < 32; at += size)
        if (mask >> at & 1)
            step = touch(cpu, place, at, size);
    for (unsigned at = 0; step == STEP_NEXT && at < 32; at += size)
        if (mask >> at & 1)
            step = mem_store_bytes(cpu, place->seg, offset_of(place, at), size, from->u8 + at);
    return step;
}

/* Elements that are not chosen are not accessed: they neither fault nor leave traces. No element is checked for
 * alignment. */
static enum step mask_move(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    const union vector *signs = &cpu->simd.v[in->op[1].reg];
    unsigned whole = in->op[0].size;
    const struct place place = { (enum seg)in->seg, mem_offset(cpu, in), size_mask(in->addr_size) };
    byte_mask mask = choose(signs, whole, size);
    if (in->op[0].kind == OPERAND_MEM)
        return store_chosen(cpu, &place, mask, size, &cpu->simd.v[in->op[2].reg]);
    union vector value = { .u64 = { 0 } };
    enum step step = load_chosen(cpu, &place, mask, size, &value);
    return step == STEP_NEXT ? vector_write(cpu, in, 0, whole, &value) : step;
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

/* CHOICE: all 8 or 16 bytes at seg:rDI must be writable, and with alignment checking at a multiple of 8, whatever the mask
 * says, also when it chooses none: so does Zen 4, for each 8 bytes. APM vol 4, "MASKMOVDQU" leaves it to the
 * implementation. */
EMU_MUST_USE static enum step touch_quadword(struct vcpu *cpu, const struct place *place,
                                             unsigned at)
{
    uint64_t la;
    enum step step = mem_linear(cpu, place->seg, offset_of(place, at), 8, ACCESS_WRITE, &la);
    if (step != STEP_NEXT)
        return step;
    if ((la & 7) != 0 && mem_alignment_checked(cpu))
        return cpu_raise_code(cpu, EXC_AC, 0);
    return touch(cpu, place, at, 8);
}

/* Bytes of `from` whose byte in `signs` has its sign set. */
EMU_MUST_USE static enum step store_bytes(struct vcpu *cpu, const struct place *place, unsigned at,
                                          uint64_t from, uint64_t signs)
{
    byte_mask mask = 0;
    unsigned first, count;
    enum step step = STEP_NEXT;
    for (unsigned i = 0; i < 8; i++)
        mask |= (byte_mask)(signs >> (8 * i + 7) & 1) << i;
    while (step == STEP_NEXT && next_run(&mask, &first, &count)) {
        uint64_t value = from >> (8 * first);
        step = mem_store_bytes(cpu, place->seg, offset_of(place, at) + first, count, &value);
    }
    return step;
}

/* MASKMOVQ, MASKMOVDQU, VMASKMOVDQU: bytes of operand 0 chosen by those of operand 1 go to seg:rDI.
 * CHOICE: MASKMOVQ makes the x87 stack MMX state even when it faults, as on Zen 4; no other MMX instruction does. */
enum step insn_maskmovdqu(struct vcpu *cpu, const struct insn *in)
{
    bool mmx = in->op[0].kind == OPERAND_MMX;
    unsigned size = mmx ? 8 : 16;
    const struct place place = { (enum seg)in->seg, reg_read(cpu, REG_RDI * 8, in->addr_size),
                                 size_mask(in->addr_size) };
    union vector from, signs;
    enum step step = vector_read(cpu, in, 0, size, &from);
    if (step == STEP_NEXT)
        step = vector_read(cpu, in, 1, size, &signs);
    if (mmx)
        mmx_enter(cpu);
    for (unsigned at = 0; step == STEP_NEXT && at < size; at += 8)
        step = touch_quadword(cpu, &place, at);
    for (unsigned at = 0; step == STEP_NEXT && at < size; at += 8)
        step = store_bytes(cpu, &place, at, from.u64[at / 8], signs.u64[at / 8]);
    return step;
}

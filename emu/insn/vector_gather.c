/* Gathers: each element from an address of its own. APM vol 4, "VGATHERDPS" and following. */
#include "emu/insn/vector.h"

#include <string.h>

/* A gather's operands are the destination, memory of one element, and the mask. */
struct gather {
    unsigned size, index_size; /* bytes of an element and of an index */
    unsigned count;
    union vector *to, *mask;
    const union vector *index;
};

static uint64_t element_offset(const struct vcpu *cpu, const struct insn *in,
                               const struct gather *g, unsigned i)
{
    uint64_t index = g->index_size == 4 ? (uint64_t)(int64_t)g->index->s32[i] : g->index->u64[i];
    uint64_t off = cpu->r[in->base] + (index << in->scale) + (uint64_t)in->disp;
    return in->addr_size == 8 ? off : (uint32_t)off;
}

/* A fault behind elements that arrived. Pending #DB traps come instead of it, and the instruction goes on behind their
 * handler: measured on Zen 4 with RFLAGS.TF. It has not retired, so its charge goes back. */
static enum step interrupted(struct vcpu *cpu, bool progress, enum step step)
{
    if (step != STEP_RAISED || !progress || !((cpu->rflags & FLAG_TF) || cpu->traps != 0))
        return step;
    cpu->budget++;
    return STEP_REPEAT;
}

/* Elements are gathered from the lowest on; each that arrived leaves the mask, so that after a fault the instruction goes on
 * where it was. Until the end the registers keep the bytes above, as on Zen 4; then the mask is zero, and the
 * destination above the elements. Elements are not checked for alignment (measured there, too).
 * CHOICE: without a fault single-step and data-breakpoint traps come after all elements; APM vol 4, "VGATHERDPS" allows
 * them between two. That the three registers differ is a rule of the encoding: #UD. */
static enum step gather(struct vcpu *cpu, const struct insn *in, unsigned index_size)
{
    struct gather g = {
        .size = in->op[1].size,
        .index_size = index_size,
        .to = &cpu->simd.v[in->op[0].reg],
        .mask = &cpu->simd.v[in->op[2].reg],
        .index = &cpu->simd.v[in->vindex],
    };
    bool progress = false;
    g.count = in->op[0].size / g.size;
    for (unsigned i = 0; i < g.count; i++) {
        unsigned at = i * g.size;
        if (g.mask->u8[at + g.size - 1] & 0x80) {
            uint64_t off = element_offset(cpu, in, &g, i);
            uint8_t element[8];
            enum step step = mem_load_bytes(cpu, (enum seg)in->seg, off, g.size, element);
            if (step != STEP_NEXT)
                return interrupted(cpu, progress, step);
            progress = true;
            memcpy(g.to->u8 + at, element, g.size);
        }
        memset(g.mask->u8 + at, 0, g.size);
    }
    memset(g.mask, 0, sizeof(*g.mask));
    memset(g.to->u8 + in->op[0].size, 0, sizeof(*g.to) - in->op[0].size);
    return STEP_NEXT;
}

/* VGATHERDPS, VGATHERDPD, VPGATHERDD, VPGATHERDQ. */
enum step insn_vgatherd(struct vcpu *cpu, const struct insn *in)
{
    return gather(cpu, in, 4);
}

/* VGATHERQPS, VGATHERQPD, VPGATHERQD, VPGATHERQQ. */
enum step insn_vgatherq(struct vcpu *cpu, const struct insn *in)
{
    return gather(cpu, in, 8);
}

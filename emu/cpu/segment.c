/* Descriptors and segment loads. */
#include "emu/cpu/segment.h"

#include "emu/cpu/cpuid.h"
#include "emu/cpu/mem.h"

#define V86_ATTR 0x0f3u /* P, DPL 3, S, data, writable, accessed */

struct segment segment_unpack(uint16_t selector, uint64_t raw)
{
    uint32_t limit = (uint32_t)(raw & 0xffff) | (uint32_t)(raw >> 32 & 0xf0000);
    uint16_t attr = (uint16_t)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00));
    return (struct segment){
        .selector = selector,
        .attr = attr,
        .limit = attr & SEG_ATTR_G ? limit << 12 | 0xfff : limit,
        .base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000),
    };
}

bool descriptor_in_table(const struct vcpu *cpu, uint16_t selector, unsigned bytes, uint64_t *la)
{
    uint64_t base = cpu->regs.gdtr.base;
    uint64_t limit = cpu->regs.gdtr.limit;
    if (selector & 4) {
        const struct segment *ldtr = &cpu->regs.seg[SEG_LDTR];
        if (!(ldtr->attr & SEG_ATTR_P))
            return false;
        base = ldtr->base;
        limit = ldtr->limit;
    }
    uint64_t at = selector & 0xfff8u;
    *la = base + at;
    if (!cpu_long_mode(cpu))
        *la = (uint32_t)*la;
    return at + bytes - 1 <= limit;
}

enum step descriptor_read(struct vcpu *cpu, uint16_t selector, enum exception fault,
                          struct descriptor *out)
{
    if (!descriptor_in_table(cpu, selector, 8, &out->la))
        return cpu_raise_code(cpu, fault, SELECTOR_CODE(selector));
    enum step step = mem_load_sys(cpu, out->la, 8, &out->raw);
    if (step != STEP_NEXT)
        return step;
    out->seg = segment_unpack(selector, out->raw);
    return STEP_NEXT;
}

enum step descriptor_mark(struct vcpu *cpu, struct descriptor *d, uint8_t type_bits)
{
    if ((d->seg.attr & type_bits) == type_bits)
        return STEP_NEXT;
    enum step step = mem_store_sys(cpu, d->la + 5, 1, (d->raw >> 40 & 0xff) | type_bits);
    if (step != STEP_NEXT)
        return step;
    d->seg.attr |= type_bits;
    d->raw |= (uint64_t)type_bits << 40;
    return STEP_NEXT;
}

enum step descriptor_extend(struct vcpu *cpu, struct descriptor *d)
{
    if (!cpu_long_mode(cpu))
        return STEP_NEXT;
    uint16_t selector = d->seg.selector;
    uint64_t la, high;
    if (!descriptor_in_table(cpu, selector, 16, &la))
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    /* CHOICE: compatibility mode wants the 16 bytes but ignores the upper eight (observed by Xen on AMD parts). */
    if (!cpu_long64(cpu))
        return STEP_NEXT;
    enum step step = mem_load_sys(cpu, la + 8, 8, &high);
    if (step != STEP_NEXT)
        return step;
    uint64_t base = d->seg.base | high << 32;
    if ((high >> 40 & 0x1f) || !cpu_base_canonical(cpu, base))
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    d->seg.base = base;
    return STEP_NEXT;
}

/* --- loads --- */

void segment_set_null(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    struct segment *to = &cpu->regs.seg[seg];
    to->selector = selector;
    to->attr = 0;
    if (cpu_has(cpu, CPU_FEATURE_NULL_SEL_CLR) || cpu->model->core->clears_null) {
        to->base = 0;
        to->limit = 0;
    }
}

/* APM vol 2, 4.8.2: a null SS is legal in 64-bit mode inside privilege levels 0-2. */
static enum step load_null_ss(struct vcpu *cpu, uint16_t selector)
{
    unsigned cpl = cpu->regs.cpl;
    if (!cpu_long64(cpu) || cpl == 3 || SELECTOR_RPL(selector) != cpl)
        return cpu_raise_code(cpu, EXC_GP, 0);
    cpu->regs.seg[SEG_SS] = segment_null_ss(cpl);
    return STEP_NEXT;
}

static enum step load_data(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    struct descriptor d;
    enum step step = descriptor_read(cpu, selector, EXC_GP, &d);
    if (step != STEP_NEXT)
        return step;
    unsigned rpl = SELECTOR_RPL(selector), dpl = segment_dpl(&d.seg);
    unsigned needed = rpl > cpu->regs.cpl ? rpl : cpu->regs.cpl;
    bool readable =
        (d.seg.attr & SEG_ATTR_S) && (!(d.seg.attr & TYPE_CODE) || (d.seg.attr & TYPE_WRITABLE));
    if (!readable || (!segment_is_conforming(&d.seg) && dpl < needed))
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    if (!(d.seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_NP, SELECTOR_CODE(selector));
    step = descriptor_mark(cpu, &d, TYPE_ACCESSED);
    if (step != STEP_NEXT)
        return step;
    cpu->regs.seg[seg] = d.seg;
    return STEP_NEXT;
}

enum step segment_check_stack(struct vcpu *cpu, uint16_t selector, unsigned cpl,
                              enum exception fault, struct descriptor *out)
{
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, fault, 0);
    enum step step = descriptor_read(cpu, selector, fault, out);
    if (step != STEP_NEXT)
        return step;
    if (SELECTOR_RPL(selector) != cpl || !segment_is_writable_data(&out->seg) ||
        segment_dpl(&out->seg) != cpl)
        return cpu_raise_code(cpu, fault, SELECTOR_CODE(selector));
    if (!(out->seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_SS, SELECTOR_CODE(selector));
    return STEP_NEXT;
}

struct segment segment_v86(uint16_t selector)
{
    return (struct segment){
        .selector = selector, .attr = V86_ATTR, .limit = 0xffff, .base = (uint32_t)selector << 4
    };
}

void segment_load_real(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    struct segment *to = &cpu->regs.seg[seg];
    if (cpu->mode == MODE_V86)
        *to = segment_v86(selector);
    to->selector = selector;
    to->base = (uint32_t)selector << 4;
}

enum step segment_load(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    if (!cpu_protected(cpu)) {
        segment_load_real(cpu, seg, selector);
        return STEP_NEXT;
    }
    if (selector_is_null(selector) && seg == SEG_SS)
        return load_null_ss(cpu, selector);
    if (selector_is_null(selector)) {
        segment_set_null(cpu, seg, selector);
        return STEP_NEXT;
    }
    if (seg != SEG_SS)
        return load_data(cpu, seg, selector);
    struct descriptor d;
    enum step step = segment_check_stack(cpu, selector, cpu->regs.cpl, EXC_GP, &d);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &d, TYPE_ACCESSED);
    if (step != STEP_NEXT)
        return step;
    cpu->regs.seg[SEG_SS] = d.seg;
    return STEP_NEXT;
}

void segment_set_cs(struct vcpu *cpu, const struct segment *cs, unsigned cpl)
{
    cpu->regs.seg[SEG_CS] = *cs;
    cpu->regs.seg[SEG_CS].selector = (uint16_t)(SELECTOR_CODE(cs->selector) | cpl);
    cpu->regs.cpl = (uint8_t)cpl;
    cpu_update_mode(cpu);
}

struct segment segment_null_ss(unsigned cpl)
{
    return (struct segment){ .selector = (uint16_t)cpl,
                             .attr = (uint16_t)(cpl << SEG_ATTR_DPL_SHIFT) };
}

void segment_drop_inner(struct vcpu *cpu)
{
    static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    for (unsigned i = 0; i < sizeof(segs); i++) {
        struct segment *seg = &cpu->regs.seg[segs[i]];
        if (!(seg->attr & SEG_ATTR_P) || segment_is_conforming(seg) ||
            segment_dpl(seg) >= cpu->regs.cpl)
            continue;
        segment_set_null(cpu, (enum seg)segs[i], 0);
    }
}

bool segment_covers(const struct segment *seg, uint64_t off, unsigned size)
{
    uint64_t last = off + size - 1;
    bool expand_down = !(seg->attr & TYPE_CODE) && (seg->attr & TYPE_CONFORMING);
    if (!expand_down)
        return last <= seg->limit;
    return off > seg->limit && last <= (seg->attr & SEG_ATTR_DB ? UINT32_MAX : 0xffff);
}

bool segment_may_enter(const struct vcpu *cpu, const struct segment *cs, uint64_t offset)
{
    if (cpu_long_mode(cpu) && (cs->attr & SEG_ATTR_L))
        return paging_is_canonical(offset, cpu->regs.cr4 & CR4_LA57);
    return offset <= cs->limit;
}

enum step segment_inner_stack(struct vcpu *cpu, unsigned cpl, struct descriptor *ss, uint32_t *esp)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    bool tss32 = tr->attr & 8;
    unsigned size = tss32 ? 4 : 2;
    unsigned field = tss32 ? 4 + 8 * cpl : 2 + 4 * cpl;
    uint64_t pointer, selector;
    if (field + size + 1 > tr->limit)
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(tr->selector));
    enum step step = mem_load_sys(cpu, (uint32_t)(tr->base + field), size, &pointer);
    if (step == STEP_NEXT)
        step = mem_load_sys(cpu, (uint32_t)(tr->base + field + size), 2, &selector);
    if (step != STEP_NEXT)
        return step;
    *esp = (uint32_t)pointer;
    return segment_check_stack(cpu, (uint16_t)selector, cpl, EXC_TS, ss);
}

/* Several words pushed as one. */
#include "emu/cpu/stack.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/segment.h"
#include "svm/avic.h"

enum step stack_check(struct vcpu *cpu, uint64_t la, unsigned bytes, bool supervisor)
{
    const struct access access = { .kind = ACCESS_WRITE, .supervisor = supervisor };
    bool wraps = !cpu_long64(cpu) && la >> 32 == 0; /* at 4 GiB */
    for (uint64_t done = 0; done < bytes;) {
        uint64_t at = wraps ? (uint32_t)(la + done) : la + done;
        struct walk_result walked = paging_translate(cpu->paging, mem_regime(cpu), at, access);
        if (walked.status == WALK_FAULT)
            return cpu_raise_page_fault(cpu, at, walked.code);
        if (walked.status == WALK_NPF)
            return cpu_raise_npf(cpu, at, walked.info1, walked.gpa);
        if (EMU_UNLIKELY(walked.apic)) {
            unsigned offset = (unsigned)(at & 0xfff), rest = 0x1000 - offset;
            unsigned left = bytes - (unsigned)done;
            enum step step = svm_avic_check(cpu, offset, left < rest ? left : rest, true);
            if (step != STEP_NEXT)
                return step;
        }
        done += 0x1000 - (at & 0xfff);
    }
    return STEP_NEXT;
}

static uint64_t width_mask(const struct stack *stack)
{
    return UINT64_MAX >> (64 - 8 * stack->width);
}

struct stack stack_current(const struct vcpu *cpu)
{
    const struct segment *ss = &cpu->regs.seg[SEG_SS];
    unsigned width = cpu_long64(cpu) ? 8 : ss->attr & SEG_ATTR_DB ? 4 : 2;
    return (struct stack){ .ss = *ss, .rsp = cpu->r[REG_RSP], .width = width };
}

struct stack stack_inner(const struct segment *ss, uint32_t esp)
{
    return (struct stack){ .ss = *ss,
                           .rsp = esp,
                           .width = ss->attr & SEG_ATTR_DB ? 4 : 2,
                           .supervisor = true,
                           .code = SELECTOR_CODE(ss->selector) };
}

uint64_t stack_pointer_after(const struct stack *stack, const struct stack_frame *frame)
{
    uint64_t mask = width_mask(stack);
    return (stack->rsp & ~mask) | ((stack->rsp - frame_bytes(frame)) & mask);
}

/* The linear address of the n-th byte below the top. */
static uint64_t linear_below(const struct stack *stack, unsigned bytes)
{
    uint64_t off = (stack->rsp - bytes) & width_mask(stack);
    return stack->width == 8 ? off : (uint32_t)(stack->ss.base + off);
}

/* Presence and limits, word by word: a small stack wraps around between two words, not within one. */
static bool words_fit(const struct vcpu *cpu, const struct stack *stack,
                      const struct stack_frame *frame)
{
    if (cpu_protected(cpu) && !(stack->ss.attr & SEG_ATTR_P))
        return false;
    for (unsigned n = 1; n <= frame->count; n++) {
        uint64_t off = (stack->rsp - (uint64_t)n * frame->slot) & width_mask(stack);
        if (!segment_covers(&stack->ss, off, frame->slot))
            return false;
    }
    return true;
}

static bool flat_fits(const struct vcpu *cpu, const struct stack *stack,
                      const struct stack_frame *frame)
{
    bool la57 = cpu->regs.cr4 & CR4_LA57;
    return paging_is_canonical(stack->rsp - frame_bytes(frame), la57) &&
           paging_is_canonical(stack->rsp - 1, la57);
}

/* Supervisor rights, but AC as the program left it: what an implicit access lacks only while AC opens user pages. */
static bool lends_level(const struct vcpu *cpu, const struct stack *stack)
{
    return stack->supervisor && (cpu->rflags & FLAG_AC) && (cpu->regs.cr4 & CR4_SMAP);
}

static void set_level(struct vcpu *cpu, uint8_t cpl)
{
    cpu->regs.cpl = cpl;
    cpu->context_stale = true;
}

/* In the order of the pushes: CR2 is the first word that cannot be written. */
static enum step check_pages(struct vcpu *cpu, const struct stack *stack,
                             const struct stack_frame *frame, bool supervisor)
{
    uint64_t known = UINT64_MAX; /* a page that may be written */
    for (unsigned n = 1; n <= frame->count; n++) {
        uint64_t la = linear_below(stack, n * frame->slot);
        if ((la | 0xfff) == known && (la & 0xfff) + frame->slot <= 0x1000)
            continue;
        enum step step = stack_check(cpu, la, frame->slot, supervisor);
        if (step != STEP_NEXT)
            return step;
        known = la | 0xfff;
    }
    return STEP_NEXT;
}

enum step stack_reserve(struct vcpu *cpu, const struct stack *stack,
                        const struct stack_frame *frame)
{
    bool fits = stack->width == 8 ? flat_fits(cpu, stack, frame) : words_fit(cpu, stack, frame);
    if (!fits)
        return cpu_raise_code(cpu, EXC_SS, stack->code);
    if (!lends_level(cpu, stack))
        return check_pages(cpu, stack, frame, stack->supervisor);
    uint8_t cpl = cpu->regs.cpl;
    set_level(cpu, 0);
    enum step step = check_pages(cpu, stack, frame, false);
    set_level(cpu, cpl);
    return step;
}

static enum step write_words(struct vcpu *cpu, const struct stack *stack,
                             const struct stack_frame *frame, bool supervisor)
{
    enum step step = STEP_NEXT;
    for (unsigned i = 0; i < frame->count && step == STEP_NEXT; i++) {
        uint64_t la = linear_below(stack, (i + 1) * frame->slot);
        uint64_t word = frame->words[i] & (UINT64_MAX >> (64 - 8 * frame->slot));
        step = supervisor ? mem_store_sys(cpu, la, frame->slot, word)
                          : mem_store_la(cpu, la, frame->slot, word);
    }
    return step;
}

enum step stack_write(struct vcpu *cpu, const struct stack *stack, const struct stack_frame *frame)
{
    if (!lends_level(cpu, stack))
        return write_words(cpu, stack, frame, stack->supervisor);
    uint8_t cpl = cpu->regs.cpl;
    set_level(cpu, 0);
    enum step step = write_words(cpu, stack, frame, false);
    set_level(cpu, cpl);
    return step;
}

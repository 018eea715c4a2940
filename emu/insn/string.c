/* MOVS, STOS, LODS, SCAS, CMPS and their REP forms. APM vol 3, chapter 3; vol 3, 1.2.6 "Repeat Prefixes".
 *
 * Whatever lies in RAM is done a page at a time through native pointers, the rest by elements. A fault in the middle
 * leaves the registers at the completed iterations. */
#include "emu/insn/string.h"

#include <string.h>

/* --- the frame ------------------------------------------------------------------------------- */

struct string_loop string_begin(const struct vcpu *cpu, const struct insn *in)
{
    struct string_loop loop = {
        .size = in->op_size,
        .addr_size = in->addr_size,
        .rep = in->prefixes & (PREFIX_REP | PREFIX_REPNE),
        .backward = cpu->rflags & FLAG_DF,
        .left = 1,
        .todo = 1,
    };
    if (loop.rep) {
        bool one = (cpu->rflags & FLAG_TF) || cpu->traps != 0 || cpu->budget < 0;
        uint64_t most = one ? 1 : (uint64_t)cpu->budget + 1;
        if (most > STRING_MAX_ITERATIONS)
            most = STRING_MAX_ITERATIONS;
        loop.left = cpu->r[REG_RCX] & size_mask(in->addr_size);
        loop.todo = loop.left < most ? loop.left : most;
    }
    return loop;
}

/* Nothing is written when nothing was done: with a 67h prefix AMD zero-extends the registers only if it iterated. */
enum step string_end(struct vcpu *cpu, const struct string_loop *loop, unsigned moves,
                     enum step step)
{
    uint64_t done = loop->done;
    if (done > 0) {
        if (moves & STRING_SI)
            reg_write(cpu, REG_RSI * 8, loop->addr_size, string_offset(cpu, loop, REG_RSI));
        if (moves & STRING_DI)
            reg_write(cpu, REG_RDI * 8, loop->addr_size, string_offset(cpu, loop, REG_RDI));
        if (loop->rep)
            reg_write(cpu, REG_RCX * 8, loop->addr_size, loop->left - done);
    }
    bool complete = step == STEP_NEXT && (loop->stopped || done == loop->left);
    if (loop->rep && done > 0)
        cpu->iterations += done - complete;
    if (step != STEP_NEXT)
        return step; /* the run loop gives the charge of the instruction back */
    if (loop->rep && done > 0)
        cpu->budget++; /* that charge paid for one of the iterations */
    return complete ? STEP_NEXT : STEP_REPEAT;
}

/* --- runs ------------------------------------------------------------------------------------------ */

/* Elements of one operand that lie in one page, as native bytes. */
struct string_run {
    uint8_t *ptr;   /* the lowest byte of the run */
    uint64_t spa;   /* of that byte, or MEM_RUN_UNMARKED */
    uint64_t count; /* elements */
};

/* How many elements from `off` on stay within the page and the address size, at most `want`; 0: the first crosses. */
static uint64_t run_length(const struct string_loop *loop, uint64_t off, uint64_t la, uint64_t want)
{
    unsigned size = loop->size, in_page = (unsigned)(la & 4095);
    uint64_t last = size_mask(loop->addr_size), n, wrap;
    if (in_page + size > 4096 || off > last - (size - 1))
        return 0;
    if (loop->backward) {
        n = in_page / size + 1;
        wrap = off / size + 1;
    } else {
        n = (4096 - in_page) / size;
        wrap = (last - off - (size - 1)) / size + 1;
    }
    n = n < wrap ? n : wrap;
    return n < want ? n : want;
}

/* Is the next element in a page that the one before it, of this very loop, was in? Then its translation is known. */
static bool page_is_known(const struct string_loop *loop, uint64_t la)
{
    uint64_t before = loop->backward ? la + loop->size : la - loop->size;
    return loop->done > 0 && ((la ^ before) < 4096 || (la ^ (before + loop->size - 1)) < 4096);
}

/* Find the next run of an operand, at most `want` elements. count = 0: go by elements. A fault is that of the next
 * element. Of two operands each new page begins with a single element: that of the source is read before the other one is
 * translated, which may set a bit of a table entry there. */
EMU_MUST_USE static enum step find_run(struct vcpu *cpu, const struct string_loop *loop,
                                       enum seg seg, enum reg reg, enum access_kind kind,
                                       uint64_t want, struct string_run *run)
{
    uint64_t off = string_offset(cpu, loop, reg), la, unused;
    *run = (struct string_run){ 0 };
    enum step step = mem_linear(cpu, seg, off, loop->size, kind, &la);
    if (step != STEP_NEXT)
        return step;
    uint64_t n = run_length(loop, off, la, want), below = 0;
    if (n <= 1 || (loop->pair && !page_is_known(loop, la)))
        return STEP_NEXT;
    if (loop->backward)
        below = (n - 1) * loop->size;
    /* Outside 64-bit mode the whole run must be inside the segment's limit; otherwise each element is asked. */
    if (!cpu_long64(cpu) &&
        mem_linear(cpu, seg, off - below, (unsigned)(n * loop->size), kind, &unused) != STEP_NEXT)
        return STEP_NEXT;
    step = mem_run(cpu, la, kind, &run->ptr, &run->spa);
    if (step != STEP_NEXT || !run->ptr)
        return step;
    run->ptr -= below;
    if (run->spa != MEM_RUN_UNMARKED)
        run->spa -= below;
    run->count = n;
    return STEP_NEXT;
}

/* An operand: where it is, and for what. */
struct string_operand {
    enum seg seg;
    enum reg reg;
    enum access_kind kind;
};

/* Two operands, in the order of their accesses: as many elements as both have. */
EMU_MUST_USE static enum step find_runs(struct vcpu *cpu, const struct string_loop *loop,
                                        struct string_operand a, struct string_operand b,
                                        struct string_run *first, struct string_run *second)
{
    uint64_t want = loop->todo - loop->done;
    second->count = 0;
    enum step step = find_run(cpu, loop, a.seg, a.reg, a.kind, want, first);
    if (step != STEP_NEXT || first->count == 0)
        return step;
    step = find_run(cpu, loop, b.seg, b.reg, b.kind, first->count, second);
    if (step != STEP_NEXT)
        return step;
    if (loop->backward) /* keep the upper ends together */
        first->ptr += (first->count - second->count) * loop->size;
    first->count = second->count;
    return STEP_NEXT;
}

static uint64_t element(const uint8_t *ptr, unsigned size)
{
    uint64_t value = 0;
    switch (size) {
    case 1: memcpy(&value, ptr, 1); break;
    case 2: memcpy(&value, ptr, 2); break;
    case 4: memcpy(&value, ptr, 4); break;
    default: memcpy(&value, ptr, 8); break;
    }
    return value;
}

/* Element i of a run in the direction of the loop. */
static const uint8_t *run_element(const struct string_loop *loop, const struct string_run *run,
                                  uint64_t i)
{
    return run->ptr + (loop->backward ? run->count - 1 - i : i) * loop->size;
}

/* --- MOVS --------------------------------------------------------------------------------------------- */

/* Forward copy in which later elements read what earlier ones wrote: the bytes between the pointers repeat. */
static void copy_pattern(uint8_t *to, const uint8_t *from, size_t len)
{
    while (len > 0) {
        size_t part = (size_t)(to - from);
        part = part < len ? part : len;
        memcpy(to, from, part);
        to += part;
        len -= part;
    }
}

/* As if element after element were copied. */
static void copy_run(const struct string_loop *loop, const struct string_run *to,
                     const struct string_run *from)
{
    unsigned size = loop->size;
    size_t len = (size_t)(to->count * size);
    uintptr_t a = (uintptr_t)from->ptr, b = (uintptr_t)to->ptr;
    bool harmless = loop->backward ? b >= a || a - b >= len : b <= a || b - a >= len;
    if (harmless) {
        memmove(to->ptr, from->ptr, len);
    } else if (!loop->backward && b - a >= size) {
        copy_pattern(to->ptr, from->ptr, len);
    } else {
        for (uint64_t i = 0; i < to->count; i++) {
            uint64_t at = (loop->backward ? to->count - 1 - i : i) * size;
            uint64_t value = element(from->ptr + at, size);
            memcpy(to->ptr + at, &value, size);
        }
    }
}

enum step insn_movs(struct vcpu *cpu, const struct insn *in)
{
    if (in->count > 0)
        return insn_movsd(cpu, in); /* SSE2's, which shares the mnemonic */
    struct string_loop loop = string_begin(cpu, in);
    loop.pair = true;
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && string_more(cpu, &loop)) {
        struct string_run from, to = { 0 };
        if (loop.todo - loop.done > 1) {
            const struct string_operand source = { (enum seg)in->seg, REG_RSI, ACCESS_READ };
            const struct string_operand dest = { SEG_ES, REG_RDI, ACCESS_WRITE };
            step = find_runs(cpu, &loop, source, dest, &from, &to);
            if (step != STEP_NEXT)
                break;
        }
        if (to.count > 0) {
            copy_run(&loop, &to, &from);
            mem_run_written(cpu, to.spa, (unsigned)(to.count * loop.size));
            string_done(cpu, &loop, to.count);
            continue;
        }
        uint64_t value;
        step =
            mem_load(cpu, (enum seg)in->seg, string_offset(cpu, &loop, REG_RSI), loop.size, &value);
        if (step == STEP_NEXT)
            step = mem_store(cpu, SEG_ES, string_offset(cpu, &loop, REG_RDI), loop.size, value);
        if (step == STEP_NEXT)
            string_done(cpu, &loop, 1);
    }
    return string_end(cpu, &loop, STRING_SI | STRING_DI, step);
}

/* --- STOS, LODS -------------------------------------------------------------------------------------------- */

static void fill_run(const struct string_run *run, unsigned size, uint64_t value)
{
    if (size == 1) {
        memset(run->ptr, (int)(value & 0xff), (size_t)run->count);
        return;
    }
    memcpy(run->ptr, &value, size);
    copy_pattern(run->ptr + size, run->ptr, (size_t)(run->count - 1) * size);
}

enum step insn_stos(struct vcpu *cpu, const struct insn *in)
{
    struct string_loop loop = string_begin(cpu, in);
    uint64_t value = cpu->r[REG_RAX];
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && string_more(cpu, &loop)) {
        struct string_run to = { 0 };
        if (loop.todo - loop.done > 1) {
            step = find_run(cpu, &loop, SEG_ES, REG_RDI, ACCESS_WRITE, loop.todo - loop.done, &to);
            if (step != STEP_NEXT)
                break;
        }
        if (to.count > 0) {
            fill_run(&to, loop.size, value);
            mem_run_written(cpu, to.spa, (unsigned)(to.count * loop.size));
            string_done(cpu, &loop, to.count);
            continue;
        }
        step = mem_store(cpu, SEG_ES, string_offset(cpu, &loop, REG_RDI), loop.size, value);
        if (step == STEP_NEXT)
            string_done(cpu, &loop, 1);
    }
    return string_end(cpu, &loop, STRING_DI, step);
}

/* Only the last element remains, but each page is touched. */
enum step insn_lods(struct vcpu *cpu, const struct insn *in)
{
    struct string_loop loop = string_begin(cpu, in);
    uint64_t value = 0;
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && string_more(cpu, &loop)) {
        struct string_run from = { 0 };
        if (loop.todo - loop.done > 1) {
            step = find_run(cpu, &loop, (enum seg)in->seg, REG_RSI, ACCESS_READ,
                            loop.todo - loop.done, &from);
            if (step != STEP_NEXT)
                break;
        }
        if (from.count > 0) {
            value = element(run_element(&loop, &from, from.count - 1), loop.size);
            string_done(cpu, &loop, from.count);
            continue;
        }
        uint64_t next;
        step =
            mem_load(cpu, (enum seg)in->seg, string_offset(cpu, &loop, REG_RSI), loop.size, &next);
        if (step == STEP_NEXT) {
            value = next;
            string_done(cpu, &loop, 1);
        }
    }
    if (loop.done > 0)
        reg_write(cpu, REG_RAX * 8, loop.size, value);
    return string_end(cpu, &loop, STRING_SI, step);
}

/* --- SCAS, CMPS ------------------------------------------------------------------------------------------------ */

/* Does the prefix end the loop after comparing a with b? REPE ends on difference, REPNE on equality. */
static bool ends_loop(const struct insn *in, uint64_t a, uint64_t b)
{
    if (in->prefixes & PREFIX_REPNE)
        return a == b;
    return (in->prefixes & PREFIX_REP) && a != b;
}

/* The operands of the last comparison become the flags, also when a later iteration faults. */
EMU_MUST_USE static enum step compared(struct vcpu *cpu, const struct string_loop *loop,
                                       unsigned moves, enum step step, uint64_t a, uint64_t b)
{
    if (loop->done > 0)
        sem_cmp(cpu, loop->size, a, b);
    return string_end(cpu, loop, moves, step);
}

enum step insn_scas(struct vcpu *cpu, const struct insn *in)
{
    struct string_loop loop = string_begin(cpu, in);
    uint64_t a = reg_read(cpu, REG_RAX * 8, loop.size), b = 0;
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && string_more(cpu, &loop)) {
        struct string_run with = { 0 };
        if (loop.todo - loop.done > 1) {
            step = find_run(cpu, &loop, SEG_ES, REG_RDI, ACCESS_READ, loop.todo - loop.done, &with);
            if (step != STEP_NEXT)
                break;
        }
        if (with.count > 0) {
            uint64_t i = 0;
            while (i < with.count && !loop.stopped) {
                b = element(run_element(&loop, &with, i++), loop.size);
                loop.stopped = ends_loop(in, a, b);
            }
            string_done(cpu, &loop, i);
            continue;
        }
        uint64_t next;
        step = mem_load(cpu, SEG_ES, string_offset(cpu, &loop, REG_RDI), loop.size, &next);
        if (step == STEP_NEXT) {
            b = next;
            loop.stopped = ends_loop(in, a, b);
            string_done(cpu, &loop, 1);
        }
    }
    return compared(cpu, &loop, STRING_DI, step, a, b);
}

EMU_MUST_USE static enum step load_pair(struct vcpu *cpu, const struct string_loop *loop,
                                        struct string_operand a, struct string_operand b,
                                        uint64_t *value_a, uint64_t *value_b)
{
    enum step step = mem_load(cpu, a.seg, string_offset(cpu, loop, a.reg), loop->size, value_a);
    if (step == STEP_NEXT)
        step = mem_load(cpu, b.seg, string_offset(cpu, loop, b.reg), loop->size, value_b);
    return step;
}

/* CHOICE: the second operand, at ES:rDI, is read first, as on Zen 4, where only REPE CMPSB goes the other way: of two faults
 * that of the first one comes. */
enum step insn_cmps(struct vcpu *cpu, const struct insn *in)
{
    if (in->count > 0)
        return insn_cmpsd(cpu, in); /* SSE2's, which shares the mnemonic */
    const struct string_operand left = { (enum seg)in->seg, REG_RSI, ACCESS_READ };
    const struct string_operand right = { SEG_ES, REG_RDI, ACCESS_READ };
    struct string_loop loop = string_begin(cpu, in);
    bool left_first = loop.size == 1 && (in->prefixes & PREFIX_REP);
    loop.pair = true;
    uint64_t a = 0, b = 0, next_a, next_b;
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && string_more(cpu, &loop)) {
        struct string_run first = { 0 }, second = { 0 };
        if (loop.todo - loop.done > 1) {
            step = left_first ? find_runs(cpu, &loop, left, right, &first, &second)
                              : find_runs(cpu, &loop, right, left, &second, &first);
            if (step != STEP_NEXT)
                break;
        }
        if (first.count > 0 && second.count > 0) {
            uint64_t i = 0;
            while (i < first.count && !loop.stopped) {
                a = element(run_element(&loop, &first, i), loop.size);
                b = element(run_element(&loop, &second, i++), loop.size);
                loop.stopped = ends_loop(in, a, b);
            }
            string_done(cpu, &loop, i);
            continue;
        }
        step = load_pair(cpu, &loop, left_first ? left : right, left_first ? right : left,
                         left_first ? &next_a : &next_b, left_first ? &next_b : &next_a);
        if (step == STEP_NEXT) {
            a = next_a;
            b = next_b;
            loop.stopped = ends_loop(in, a, b);
            string_done(cpu, &loop, 1);
        }
    }
    return compared(cpu, &loop, STRING_SI | STRING_DI, step, a, b);
}

/* The run loop: events, deadlines, fetch, and the chain of ops. */
#include "emu/cpu/run.h"

#include "decoder/block.h"
#include "decoder/decode.h"
#include "emu/cpu/control.h"
#include "emu/cpu/event.h"
#include "emu/cpu/mem.h"
#include "emu/insn/hot.h"
#include "emu/insn/lower.h"
#include "svm/svm.h"

#include <pacifica/pacifica.h>

#include <stdlib.h>
#include <string.h>

#define PAGE_MASK UINT64_C(0xfff)
#define SLICE_INSNS (1 << 22)   /* a stop request is seen at least this often */
#define HALT_SKIPS_MAX 1000000u /* deadlines that may pass in HLT before it counts as for ever */

struct run_state {
    struct block_cache *cache;
    struct lowering lowering;
    struct jump_entry jumps[JUMP_ENTRIES];

    /* The current fetch page: what the instruction TLB last answered, good while `fetch_key` is the context. */
    uint64_t fetch_la, fetch_key;
    uint64_t fetch_spa;
    uint64_t fetch_page; /* backing page, or BLOCK_NO_PAGE for MMIO */

    const struct op *link; /* wants the block at link_rip as its target */
    uint64_t link_rip;
    uint64_t next_drop; /* steps: see run_limits.drop_fast_every */
};

/* --- time ------------------------------------------------------------------------------------ */

uint64_t vcpu_steps(const struct vcpu *cpu)
{
    return cpu_insns(cpu) + cpu->extra_steps;
}

uint64_t vcpu_now_ns(const struct vcpu *cpu)
{
    return cpu_insns(cpu) + cpu->skipped_ns;
}

static uint64_t now_of(void *self)
{
    return vcpu_now_ns(self);
}

static void deadlines_moved(void *self)
{
    cpu_attention(self);
}

/* Give the vCPU at most `insns` instructions from here. */
static void set_budget(struct vcpu *cpu, uint64_t insns)
{
    uint64_t done = cpu_insns(cpu);
    uint64_t room = insns < SLICE_INSNS ? insns : SLICE_INSNS;
    cpu->budget = (int32_t)room;
    cpu->left = 0;
    cpu->insns_end = done + room;
}

/* Fire what is due, then allow instructions up to the next deadline. */
static void renew_budget(struct vcpu *cpu)
{
    struct vclock *clock = cpu->clock;
    while (clock_next_ns(clock) <= vcpu_now_ns(cpu))
        clock_run(clock, vcpu_now_ns(cpu));
    clock->changed = false;
    uint64_t next = clock_next_ns(clock);
    set_budget(cpu, next == CLOCK_NEVER ? UINT64_MAX : next - vcpu_now_ns(cpu));
}

static void shrink_budget(struct vcpu *cpu, uint64_t insns)
{
    if ((uint64_t)cpu->budget > insns)
        set_budget(cpu, insns);
}

/* --- making and resetting ------------------------------------------------------------------------ */

static void forget_code(struct vcpu *cpu)
{
    struct run_state *run = cpu->run;
    (void)block_cache_reclaim(run->cache, true);
    memset(run->jumps, 0, sizeof(run->jumps));
    run->jumps[0].rip = 1; /* RIP 0 would find an empty slot; no other slot is asked about it */
    run->fetch_la = UINT64_MAX;
    run->link = NULL;
}

static void code_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    struct vcpu *cpu = self;
    if (block_cache_written(cpu->run->cache, page, offset, len))
        cpu_attention(cpu);
}

struct vcpu *vcpu_new(const struct vcpu_parts *parts)
{
    struct vcpu *cpu = calloc(1, sizeof(*cpu));
    if (!cpu)
        return NULL;
    cpu->memory = parts->memory;
    cpu->probes = parts->probes;
    cpu->clock = parts->clock;
    cpu->intc = parts->intc;
    cpu->intc_self = parts->intc_self;
    cpu->ports = parts->ports;
    cpu->ports_self = parts->ports_self;
    cpu->model = parts->model;
    cpu->index = parts->index;
    cpu->regime = calloc(1, sizeof(*cpu->regime));
    cpu->svm = svm_new();
    cpu->paging = paging_new(parts->memory, parts->probes);
    struct run_state *run = cpu->run = calloc(1, sizeof(*run));
    if (!cpu->regime || !cpu->svm || !cpu->paging || !run)
        goto fail;
    run->lowering = lowering_for(cpu);
    run->cache = block_cache_new(parts->memory, &run->lowering);
    if (!run->cache)
        goto fail;
    cpu->jumps = run->jumps;
    memory_set_written(parts->memory, code_written, cpu);
    cpu->clock->now = now_of;
    cpu->clock->moved = deadlines_moved;
    cpu->clock->self = cpu;
    vcpu_reset(cpu);
    return cpu;
fail:
    vcpu_free(cpu);
    return NULL;
}

void vcpu_free(struct vcpu *cpu)
{
    if (!cpu)
        return;
    cpu->clock->moved = NULL;
    if (cpu->run) {
        memory_set_written(cpu->memory, NULL, NULL);
        block_cache_free(cpu->run->cache);
        free(cpu->run);
    }
    paging_free(cpu->paging);
    svm_free(cpu->svm);
    free(cpu->regime);
    free(cpu);
}

void vcpu_reset(struct vcpu *cpu)
{
    set_budget(cpu, 0);
    cpu_reset(cpu);
    svm_reset(cpu->svm);
    control_reset(cpu);
    paging_reset(cpu->paging);
    forget_code(cpu);
    cpu->leave = STEP_JUMP;
    cpu->trap_rule = TRAP_NORMAL;
    cpu->trap_held = false;
    cpu->repeat_insns = UINT64_MAX;
    cpu->stop.reason = PACIFICA_STOP_NONE;
    cpu_attention(cpu);
}

void vcpu_stop(struct vcpu *cpu, int reason)
{
    if (cpu->stop.reason == PACIFICA_STOP_NONE) {
        cpu->stop.reason = reason;
        cpu->stop.feature = NULL;
        cpu->stop.text[0] = '\0';
    }
    cpu_attention(cpu);
}

/* --- fetch --------------------------------------------------------------------------------------- */

static enum step translate_fetch(struct vcpu *cpu, uint64_t la, uint64_t *spa)
{
    struct walk_result walk =
        paging_translate(cpu->paging, mem_regime(cpu), la, (struct access){ .kind = ACCESS_EXEC });
    if (EMU_LIKELY(walk.status == WALK_OK)) {
        *spa = walk.spa;
        return STEP_NEXT;
    }
    enum step step = walk.status == WALK_FAULT ? cpu_raise_page_fault(cpu, la, walk.code)
                                               : cpu_raise_npf(cpu, walk.info1, walk.gpa);
    cpu->raised.fetch = true;
    return step;
}

/* Make `la`'s page the current fetch page. */
static enum step fetch_page(struct vcpu *cpu, uint64_t la)
{
    struct run_state *run = cpu->run;
    (void)mem_regime(cpu);
    if (run->fetch_la == (la & ~PAGE_MASK) &&
        run->fetch_key == paging_context(cpu->paging, cpu->bank))
        return STEP_NEXT;
    uint64_t spa;
    enum step step = translate_fetch(cpu, la, &spa);
    if (step != STEP_NEXT) {
        run->fetch_la = UINT64_MAX;
        return step;
    }
    run->fetch_la = la & ~PAGE_MASK;
    run->fetch_spa = spa & ~PAGE_MASK;
    run->fetch_page = memory_backing(cpu->memory, spa);
    run->fetch_key = paging_context(cpu->paging, cpu->bank);
    return STEP_NEXT;
}

/* The modes of this version. */
static enum step check_mode(struct vcpu *cpu)
{
    switch (cpu->mode) {
    case MODE_REAL: return cpu_stop_unimplemented(cpu, "real mode (APM vol 2, 1.3.3)");
    case MODE_V86: return cpu_stop_unimplemented(cpu, "virtual-8086 mode (APM vol 2, 1.3.2)");
    case MODE_PROT16:
    case MODE_COMPAT16:
        return cpu_stop_unimplemented(cpu, "16-bit code segments (APM vol 2, 4.7.2)");
    default: return STEP_NEXT;
    }
}

/* Linear address of the next instruction, after the checks of the fetch itself. APM vol 2, 8.5: before #PF. */
static enum step fetch_linear(struct vcpu *cpu, uint64_t *la)
{
    if (cpu->mode == MODE_LONG64) {
        *la = cpu->r[REG_RIP];
        if (!paging_is_canonical(*la, (cpu->regs.cr4 & CR4_LA57) != 0))
            return cpu_raise_code(cpu, EXC_GP, 0);
        return STEP_NEXT;
    }
    const struct segment *cs = &cpu->regs.seg[SEG_CS];
    cpu->r[REG_RIP] = (uint32_t)cpu->r[REG_RIP];
    if (cpu->r[REG_RIP] > cs->limit)
        return cpu_raise_code(cpu, EXC_GP, 0);
    *la = (uint32_t)(cpu->r[REG_RIP] + cs->base);
    return STEP_NEXT;
}

/* The backing page and address of the page behind `la`'s. */
static enum step second_page(struct vcpu *cpu, uint64_t la, uint64_t *page, uint64_t *spa)
{
    uint64_t next = (la & ~PAGE_MASK) + PAGE_MASK + 1;
    if (cpu->mode != MODE_LONG64)
        next = (uint32_t)next;
    else if (!paging_is_canonical(next, (cpu->regs.cr4 & CR4_LA57) != 0))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = translate_fetch(cpu, next, spa);
    if (step == STEP_NEXT)
        *page = memory_backing(cpu->memory, *spa);
    return step;
}

/* Links within a page do not look at the CS limit. */
static bool has_cs_limit(const struct vcpu *cpu)
{
    return cpu->mode != MODE_LONG64 && cpu->regs.seg[SEG_CS].limit != UINT32_MAX;
}

/* One instruction whose bytes lie at least partly in MMIO. They are read one by one, as needed. */
static enum step loose_block(struct vcpu *cpu, uint64_t la, struct block **block)
{
    uint8_t bytes[INSN_MAX_BYTES];
    uint64_t spa = cpu->run->fetch_spa | (la & PAGE_MASK), page;
    for (unsigned have = 0; have < INSN_MAX_BYTES;) {
        if (have != 0 && ((la + have) & PAGE_MASK) == 0) {
            enum step step = second_page(cpu, la, &page, &spa);
            if (step != STEP_NEXT)
                return step;
        }
        bytes[have++] = (uint8_t)phys_read(cpu->memory, spa++, 1);
        if (block_build_loose(cpu->run->cache, bytes, have, cpu->mode, block) != DECODE_SHORT)
            break;
    }
    return STEP_NEXT;
}

static void tell_block(struct vcpu *cpu, uint64_t la, const struct block *block)
{
    if (probes_want(cpu->probes, PROBE_BLOCK))
        probes_fire(cpu->probes, &(struct probe_event){ .kind = PROBE_BLOCK,
                                                        .cpu = cpu,
                                                        .a = la,
                                                        .b = cpu->run->fetch_spa | (la & PAGE_MASK),
                                                        .c = block->bytes });
}

static enum step out_of_memory(struct vcpu *cpu)
{
    return cpu_stop_unimplemented(cpu,
                                  "going on when the workstation has no memory for decoded code");
}

/* Find or make the block at the current fetch page; `exact`: of one instruction. */
static enum step backed_block(struct vcpu *cpu, uint64_t la, bool exact, struct block **block)
{
    struct run_state *run = cpu->run;
    unsigned offset = (unsigned)(la & PAGE_MASK);
    uint64_t page2, spa2;
    *block = block_find(run->cache, run->fetch_page, offset, cpu->mode, exact);
    if (*block && (*block)->page2 == BLOCK_NO_PAGE)
        return STEP_NEXT;
    if (!*block) {
        if (block_build(run->cache, run->fetch_page, offset, BLOCK_NO_PAGE, cpu->mode, exact,
                        block) == BUILD_OK) {
            if (!*block)
                return out_of_memory(cpu);
            tell_block(cpu, la, *block);
            return STEP_NEXT;
        }
    }
    enum step step = second_page(cpu, la, &page2, &spa2);
    if (step != STEP_NEXT)
        return step;
    if (*block && (*block)->dead) /* the walk's accessed bit was written into its bytes */
        *block = NULL;
    if (*block && (*block)->page2 == page2)
        return STEP_NEXT;
    if (*block)
        block_discard(run->cache, *block);
    if (page2 == BLOCK_NO_PAGE)
        return loose_block(cpu, la, block);
    (void)block_build(run->cache, run->fetch_page, offset, page2, cpu->mode, exact, block);
    if (!*block)
        return out_of_memory(cpu);
    tell_block(cpu, la, *block);
    return STEP_NEXT;
}

static enum step find_block(struct vcpu *cpu, bool exact, uint64_t *la, struct block **block)
{
    struct run_state *run = cpu->run;
    enum step step = check_mode(cpu);
    if (step == STEP_NEXT)
        step = fetch_linear(cpu, la);
    if (step == STEP_NEXT)
        step = fetch_page(cpu, *la);
    if (step != STEP_NEXT)
        return step;
    if (run->fetch_page == BLOCK_NO_PAGE)
        return loose_block(cpu, *la, block);
    step = backed_block(cpu, *la, exact, block);
    if (step != STEP_NEXT || cpu->mode == MODE_LONG64)
        return step;
    /* The CS limit: checked for the block, and if that does not fit for its first instruction. */
    uint64_t last = cpu->r[REG_RIP] + (*block)->bytes - 1;
    if (last <= cpu->regs.seg[SEG_CS].limit)
        return STEP_NEXT;
    if (exact || (*block)->alone)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return find_block(cpu, true, la, block);
}

/* --- one turn -------------------------------------------------------------------------------------- */

static void run_chain(struct vcpu *cpu, const struct op *op)
{
#if defined(EMU_TRAMPOLINE)
    for (cpu->trampoline = op; cpu->trampoline;) {
        op = cpu->trampoline;
        op->fn(cpu, op);
    }
#else
    op->fn(cpu, op);
#endif
}

/* The trap of RFLAGS.TF. APM vol 2, 13.1.1.3 "Debug-Status Register (DR6)". */
static enum step single_step(struct vcpu *cpu)
{
    enum step step = cpu_raise_debug(cpu, DR6_BS);
    return step == STEP_RAISED ? event_raised(cpu) : step;
}

/* After an instruction retired: shadows begin and end, RF and the trap flag act. `trap`, `rf`: TF and RF when it started. */
static enum step after_instruction(struct vcpu *cpu, bool trap, bool rf)
{
    struct cpu_regs *regs = &cpu->regs;
    uint8_t rule = cpu->trap_rule;
    cpu->trap_rule = TRAP_NORMAL;
    if (regs->shadow || regs->shadow_next) {
        regs->shadow = regs->shadow_next;
        regs->shadow_next = false;
        cpu_attention(cpu);
    }
    if (rf && rule != TRAP_KEEP_RF)
        cpu->rflags &= ~(uint64_t)FLAG_RF;
    if (rule == TRAP_BY_RESULT)
        trap = (cpu->rflags & FLAG_TF) != 0;
    trap = trap || cpu->trap_held;
    cpu->trap_held = trap && rule == TRAP_HOLD;
    if (!trap || cpu->trap_held)
        return STEP_NEXT;
    return single_step(cpu);
}

/* An exception was recorded. A held #DB is lost with an instruction that faults, and comes at the handler's first instruction
 * behind one that interrupts. APM vol 2, 8.5; x86-events.md, 6. */
static enum step after_raise(struct vcpu *cpu)
{
    bool held = cpu->trap_held && cpu->raised.event.soft_len != 0 && !cpu->raised.npf;
    cpu->repeat_insns = UINT64_MAX;
    cpu->trap_held = false;
    enum step step = event_raised(cpu);
    if (step != STEP_JUMP)
        return step;
    cpu->regs.shadow = cpu->regs.shadow_next = false;
    return held ? single_step(cpu) : step;
}

/* A string instruction stopped between two iterations: it has not retired. */
static enum step after_iteration(struct vcpu *cpu, bool trap)
{
    cpu->repeat_insns = cpu_insns(cpu);
    return trap ? after_instruction(cpu, true, false) : STEP_NEXT;
}

/* What leaving the chain means for the machine. Returns STEP_STOP or something else. */
static enum step after_chain(struct vcpu *cpu, bool trap, bool rf)
{
    switch (cpu->leave) {
    case LEAVE_LINK: /* void as soon as anything but the target comes next */
        cpu->run->link = cpu->link;
        cpu->run->link_rip = cpu->r[REG_RIP];
        return after_instruction(cpu, trap, rf);
    case LEAVE_BUDGET: return STEP_NEXT;
    case STEP_REPEAT: return after_iteration(cpu, trap);
    case STEP_RAISED: return after_raise(cpu);
    case STEP_VMEXIT: return STEP_VMEXIT;
    case STEP_STOP: return STEP_STOP;
    default: return after_instruction(cpu, trap, rf);
    }
}

/* The host's trap flag, saved by VMRUN, acts when #VMEXIT has loaded it; a trap that MOV SS held and a string instruction that
 * was left half done were the guest's. svm-operation.md, 3. */
static enum step after_vmexit(struct vcpu *cpu)
{
    cpu->trap_held = false;
    cpu->repeat_insns = UINT64_MAX;
    if (!(cpu->rflags & FLAG_TF))
        return STEP_NEXT;
    return single_step(cpu);
}

/* Execute one block. */
static enum step run_block(struct vcpu *cpu, bool exact)
{
    struct run_state *run = cpu->run;
    bool trap = (cpu->rflags & FLAG_TF) != 0, rf = (cpu->rflags & FLAG_RF) != 0;
    bool guest = svm_guest(cpu);
    struct block *block;
    const struct op *entry = NULL;
    uint64_t la = 0;

    if (!exact && !run->link && cpu->mode == MODE_LONG64) {
        (void)mem_regime(cpu);
        cpu->jump_key = paging_context(cpu->paging, cpu->bank);
        const struct jump_entry *slot = jump_slot(cpu, cpu->r[REG_RIP]);
        if (slot->rip == cpu->r[REG_RIP] && slot->key == cpu->jump_key &&
            slot->target[-1].fn != op_dead)
            entry = slot->target - 1;
    }
    if (!entry) {
        enum step step = find_block(cpu, exact, &la, &block);
        if (step == STEP_RAISED) {
            run->link = NULL;
            cpu->leave = STEP_RAISED;
            step = after_chain(cpu, false, false);
            return step == STEP_VMEXIT ? after_vmexit(cpu) : step;
        }
        if (step != STEP_NEXT)
            return step;
        entry = block->ops;
        cpu->jump_key = exact ? JUMP_KEY_NONE : paging_context(cpu->paging, cpu->bank);
        if (!exact && !block->alone) {
            if (run->link && run->link_rip == cpu->r[REG_RIP]) {
                struct op *link = (struct op *)(uintptr_t)run->link;
                link->target = entry + 1;
                link->charge = block->insns;
            }
            if (cpu->mode == MODE_LONG64)
                *jump_slot(cpu, cpu->r[REG_RIP]) = (struct jump_entry){ .rip = cpu->r[REG_RIP],
                                                                        .key = cpu->jump_key,
                                                                        .target = entry + 1,
                                                                        .charge = block->insns };
        }
        if (exact && probes_want(cpu->probes, PROBE_INSN))
            probes_fire(cpu->probes,
                        &(struct probe_event){ .kind = PROBE_INSN, .cpu = cpu, .a = la });
    }
    run->link = NULL;
    run_chain(cpu, entry);
    /* The trap of VMRUN itself, and one that MOV SS held before it, wait for #VMEXIT: after_vmexit(). */
    bool same = exact && svm_guest(cpu) == guest;
    cpu->trap_held = cpu->trap_held && same;
    enum step step = after_chain(cpu, trap && same, rf && same);
    if (step == STEP_VMEXIT || (guest && !svm_guest(cpu) && step != STEP_STOP))
        return after_vmexit(cpu);
    return step;
}

/* Pass time until something ends HLT. Returns enum pacifica_stop, NONE when the vCPU may go on. */
static int wait_halted(struct vcpu *cpu, const struct run_limits *limits)
{
    for (unsigned skips = 0; !event_pending(cpu); skips++) {
        if (cpu->stop.reason != PACIFICA_STOP_NONE)
            return cpu->stop.reason;
        if (limits->stop_request && *limits->stop_request)
            return PACIFICA_STOP_REQUEST;
        uint64_t now = vcpu_now_ns(cpu), next = clock_next_ns(cpu->clock);
        if (next == CLOCK_NEVER || skips == HALT_SKIPS_MAX)
            return PACIFICA_STOP_HALTED;
        if (next > now)
            cpu->skipped_ns += next - now;
        clock_run(cpu->clock, vcpu_now_ns(cpu));
    }
    cpu_attention(cpu);
    return PACIFICA_STOP_NONE;
}

/* Limits that are counted in steps. Returns true when max_steps is reached. */
static bool apply_limits(struct vcpu *cpu, const struct run_limits *limits)
{
    struct run_state *run = cpu->run;
    uint64_t steps = vcpu_steps(cpu);
    if (steps >= limits->max_steps)
        return true;
    shrink_budget(cpu, limits->max_steps - steps);
    if (limits->drop_fast_every == 0)
        return false;
    if (steps >= run->next_drop) {
        paging_drop_fast(cpu->paging);
        forget_code(cpu);
        run->next_drop = steps + limits->drop_fast_every;
    }
    shrink_budget(cpu, run->next_drop - steps);
    return false;
}

static int take_stop(struct vcpu *cpu)
{
    int reason = cpu->stop.reason;
    cpu->stop.reason = PACIFICA_STOP_NONE;
    return reason;
}

int run_vcpu(struct vcpu *cpu, const struct run_limits *limits)
{
    struct run_state *run = cpu->run;
    bool tight = false, woken = false;
    run->link = NULL;          /* the caller may have changed anything */
    cpu->context_stale = true; /* a client of PROBE_MEM may have come or gone */
    cpu_attention(cpu);
    for (;;) {
        if (limits->stop_request && *limits->stop_request)
            return PACIFICA_STOP_REQUEST;
        if (cpu->attention || cpu->clock->changed || cpu->budget <= 0) {
            renew_budget(cpu);
            cpu->attention = false; /* what the deadlines did is looked at below */
            if (cpu->stop.reason != PACIFICA_STOP_NONE)
                return take_stop(cpu);
            if (vcpu_steps(cpu) >= limits->max_steps)
                return PACIFICA_STOP_LIMIT_INSNS;
            enum step step = event_boundary(cpu);
            if (step == STEP_VMEXIT)
                step = after_vmexit(cpu);
            if (step == STEP_STOP)
                return take_stop(cpu);
            if (step != STEP_NEXT) {
                run->link = NULL;
                cpu->regs.halted = false;
                cpu->regs.shadow = cpu->regs.shadow_next = false;
                cpu_attention(cpu);
                continue;
            }
        }
        if (cpu->regs.halted) {
            int reason = wait_halted(cpu, limits);
            if (reason != PACIFICA_STOP_NONE) {
                cpu->stop.reason = PACIFICA_STOP_NONE;
                return reason;
            }
            if (woken) /* what woke it went away unseen: a step, so that limits end this */
                cpu->extra_steps++;
            woken = true;
            continue;
        }
        woken = false;
        if (apply_limits(cpu, limits))
            return PACIFICA_STOP_LIMIT_INSNS;
        if (block_cache_reclaim(run->cache, false))
            forget_code(cpu);
        bool exact = tight || limits->exact_blocks || cpu->regs.shadow ||
                     (cpu->rflags & (FLAG_TF | FLAG_RF)) || has_cs_limit(cpu) ||
                     probes_want(cpu->probes, PROBE_INSN);
        enum step step = run_block(cpu, exact);
        tight = !exact && cpu->leave == LEAVE_BUDGET;
        if (step == STEP_STOP) {
            if (cpu->stop.reason == PACIFICA_STOP_NONE)
                cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
            return take_stop(cpu);
        }
    }
}

/* The run loop: events, deadlines, and the chain of ops. */
#include "emu/cpu/run.h"

#include "emu/cpu/control.h"
#include "emu/cpu/event.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/run_priv.h"
#include "emu/cpu/trap.h"
#include "emu/insn/hot.h"
#include "emu/insn/lower.h"
#include "svm/svm.h"

#include <pacifica/pacifica.h>

#include <stdlib.h>
#include <string.h>

#define SLICE_INSNS (1 << 22)   /* a stop request is seen at least this often */
#define HALT_SKIPS_MAX 1000000u /* deadlines that may pass in HLT before it counts as for ever */

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
    cpu->random = parts->random;
    cpu->index = parts->index;
    cpu->count = parts->count ? parts->count : 1;
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
    trap_reset(cpu);
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

static bool is_16bit(const struct vcpu *cpu)
{
    return cpu->mode != MODE_LONG64 && cpu->mode != MODE_PROT32 && cpu->mode != MODE_COMPAT32;
}

/* Links within a page look neither at the CS limit nor cut a target to 16 bits: not every offset of the page would pass. */
static bool page_leaves_segment(const struct vcpu *cpu)
{
    if (cpu->mode == MODE_LONG64)
        return false;
    const struct segment *cs = &cpu->regs.seg[SEG_CS];
    uint32_t base = (uint32_t)cs->base, page = (base + (uint32_t)cpu->r[REG_RIP]) & ~0xfffu;
    uint32_t first = page - base, limit = cs->limit;
    if (is_16bit(cpu) && limit > 0xffff)
        limit = 0xffff;
    return first > limit || limit - first < 0xfff;
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

/* What leaving the chain means for the machine. Returns STEP_STOP or something else. */
static enum step after_chain(struct vcpu *cpu, struct trap_start start)
{
    switch (cpu->leave) {
    case LEAVE_LINK: /* void as soon as anything but the target comes next */
        cpu->run->link = cpu->link;
        cpu->run->link_rip = cpu->r[REG_RIP];
        break;
    case LEAVE_BUDGET: return STEP_NEXT;
    case STEP_REPEAT: trap_iteration(cpu, start); return STEP_NEXT;
    case STEP_RAISED: return trap_raised(cpu);
    case STEP_VMEXIT: return STEP_VMEXIT;
    case STEP_STOP: return STEP_STOP;
    default: break;
    }
    trap_retired(cpu, start);
    return STEP_NEXT;
}

/* Execute one block. */
static enum step run_block(struct vcpu *cpu, bool exact)
{
    struct run_state *run = cpu->run;
    const struct trap_start none = { 0 };
    struct trap_start start = trap_start(cpu);
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
        enum step step = trap_before(cpu, start);
        if (step == STEP_NEXT)
            step = fetch_block(cpu, exact, &la, &block);
        if (step == STEP_RAISED) {
            run->link = NULL;
            cpu->leave = STEP_RAISED;
            step = after_chain(cpu, none);
            if (step == STEP_VMEXIT)
                trap_vmexit(cpu);
            return step;
        }
        if (step != STEP_NEXT)
            return step;
        entry = block->ops;
        start.insn = block->first;
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
    /* The trap of VMRUN itself waits for #VMEXIT: trap_vmexit(). */
    bool same = svm_guest(cpu) == guest;
    if (!same)
        trap_reset(cpu);
    enum step step = after_chain(cpu, exact && same ? start : none);
    if (step == STEP_VMEXIT || (guest && !svm_guest(cpu) && step != STEP_STOP))
        trap_vmexit(cpu);
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
                trap_vmexit(cpu);
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
        bool exact = tight || limits->exact_blocks || trap_wants_exact(cpu) ||
                     page_leaves_segment(cpu) || probes_want(cpu->probes, PROBE_INSN);
        enum step step = run_block(cpu, exact);
        tight = !exact && cpu->leave == LEAVE_BUDGET;
        if (step == STEP_STOP) {
            if (cpu->stop.reason == PACIFICA_STOP_NONE)
                cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
            return take_stop(cpu);
        }
    }
}

/* The run loop: events, deadlines, and the chain of ops. */
#include "emu/cpu/run.h"

#include "emu/cpu/control.h"
#include "emu/cpu/event.h"
#include "emu/cpu/fp.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/monitor.h"
#include "emu/cpu/perf.h"
#include "emu/cpu/run_priv.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/trap.h"
#include "emu/insn/hot.h"
#include "emu/insn/lower.h"
#include "svm/svm.h"

#include <pacifica/pacifica.h>

#include <stdlib.h>
#include <string.h>

#define SLICE_INSNS (1 << 22) /* a stop request is seen at least this often */

/* --- time ------------------------------------------------------------------------------------ */

uint64_t vcpu_steps(const struct vcpu *cpu)
{
    return cpu_insns(cpu) + cpu->extra_steps;
}

uint64_t vcpu_now_ns(const struct vcpu *cpu)
{
    return cpu_insns(cpu) + cpu->skipped_ns;
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

/* Allow instructions up to the end of the turn, which a new deadline may have brought nearer. Returns false when it is here. */
EMU_INLINE bool renew_budget(struct vcpu *cpu)
{
    struct vcpu_group *group = cpu->run->group;
    uint64_t now = vcpu_now_ns(cpu), next = clock_next_ns(group->clock);
    group->clock->changed = false;
    if (next < group->end_ns)
        group->end_ns = next;
    if (now >= group->end_ns) {
        set_budget(cpu, 0);
        return false;
    }
    set_budget(cpu, group->end_ns == CLOCK_NEVER ? UINT64_MAX : group->end_ns - now);
    return true;
}

/* Fewer instructions have room in the turn then: those of the block too, perhaps, which is left in this case. Deadlines do not
 * cut it short: a limit of time is one, and time must not depend on how a run is cut. */
void vcpu_spend(struct vcpu *cpu, uint64_t ns)
{
    const struct vcpu_group *group = cpu->run->group;
    uint64_t next = clock_next_ns(group->clock);
    uint64_t end = next < group->end_ns ? next : group->end_ns;
    cpu->skipped_ns += ns;
    uint64_t now = vcpu_now_ns(cpu), room = end > now ? end - now : 0;
    if (cpu->budget <= 0 || cpu->left > room) {
        cpu_attention(cpu);
    } else if ((uint64_t)cpu->budget > room - cpu->left) {
        uint64_t fewer = (uint64_t)cpu->budget - (room - cpu->left);
        cpu->budget -= (int32_t)fewer;
        cpu->insns_end -= fewer;
    }
}

static void shrink_budget(struct vcpu *cpu, uint64_t insns)
{
    if ((uint64_t)cpu->budget > insns)
        set_budget(cpu, insns);
}

/* --- making and resetting ------------------------------------------------------------------------ */

static struct vcpu *vcpu_alloc(const struct vcpu_parts *parts)
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
    cpu->regime = calloc(1, sizeof(*cpu->regime));
    cpu->svm = svm_new();
    cpu->paging = paging_new(parts->memory, parts->probes);
    cpu->run = calloc(1, sizeof(*cpu->run));
    return cpu;
}

static void vcpu_dispose(struct vcpu *cpu)
{
    if (cpu->run && cpu->clock)
        clock_cancel(cpu->clock, &cpu->run->monitor_deadline);
    free(cpu->run);
    paging_free(cpu->paging);
    svm_free(cpu->svm);
    free(cpu->regime);
    free(cpu);
}

/* Take a place in a group; false: it is full. */
static bool join_group(struct vcpu *cpu, struct vcpu_group *group)
{
    if (group->count == group->room)
        return false;
    cpu->run->group = group;
    cpu->run->cache = group->cache;
    cpu->jumps = cpu->run->jumps;
    cpu->count = group->room;
    cpu->index = group->count;
    group->cpu[group->count++] = cpu;
    return true;
}

struct vcpu *vcpu_new(const struct vcpu_parts *parts)
{
    struct vcpu *cpu = vcpu_alloc(parts);
    if (!cpu)
        return NULL;
    struct vcpu_group *group = NULL;
    if (cpu->regime && cpu->svm && cpu->paging && cpu->run)
        group = parts->bsp ? parts->bsp->run->group : group_new(parts);
    if (!group || !join_group(cpu, group)) {
        vcpu_dispose(cpu);
        return NULL;
    }
    if (cpu->index == 0)
        group->lowering = lowering_for(cpu);
    group_take_clock(group);
    vcpu_reset(cpu);
    return cpu;
}

void vcpu_free(struct vcpu *cpu)
{
    if (!cpu)
        return;
    struct vcpu_group *group = cpu->run->group;
    if (cpu == group->cpu[0])
        group_free(group);
    else
        group->count--;
    vcpu_dispose(cpu);
}

void vcpu_reset(struct vcpu *cpu)
{
    set_budget(cpu, 0);
    cpu_reset(cpu);
    cpu->regs.wait_sipi = cpu->index != 0;
    cpu->monitor = (struct cpu_monitor){ 0 };
    clock_cancel(cpu->clock, &cpu->run->monitor_deadline);
    cpu->yield = false;
    svm_reset(cpu->svm);
    control_reset(cpu);
    paging_reset(cpu->paging);
    memory_set_slb(cpu->memory, MEMORY_NO_SLB);
    if (vcpu_current(cpu) == cpu)
        smm_view(cpu); /* an image may be loaded before the next turn */
    group_forget_code(cpu->run->group);
    cpu->leave = STEP_JUMP;
    trap_reset(cpu);
    cpu->stop.reason = PACIFICA_STOP_NONE;
    cpu_attention(cpu);
}

void vcpu_stop(struct vcpu *cpu, int reason)
{
    if (cpu->stop.reason == PACIFICA_STOP_NONE || cpu->stop.reason == PACIFICA_STOP_BREAK) {
        cpu->stop.reason = reason;
        cpu->stop.feature = NULL;
        cpu->stop.text[0] = '\0';
    }
    cpu_attention(cpu);
}

EMU_INLINE bool is_16bit(const struct vcpu *cpu)
{
    switch (cpu->mode) {
    case MODE_LONG64:
    case MODE_PROT32:
    case MODE_COMPAT32:
    case MODE_REAL32: return false;
    default: return true;
    }
}

/* Links within a page look neither at the CS limit nor cut a target to 16 bits: not every offset of the page would pass. */
EMU_INLINE bool page_leaves_segment(const struct vcpu *cpu)
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
EMU_INLINE enum step after_chain(struct vcpu *cpu, struct trap_start start)
{
    switch (cpu->leave) {
    case LEAVE_LINK: /* void as soon as anything but the target comes next */
        cpu->run->link = cpu->link;
        cpu->run->link_rip = cpu->r[REG_RIP];
        break;
    case LEAVE_BUDGET:
    case STEP_FREEZE: return STEP_NEXT;
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
EMU_INLINE enum step run_block(struct vcpu *cpu, bool exact)
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
            if (cpu->mode == MODE_LONG64) {
                *jump_slot(cpu, cpu->r[REG_RIP]) = (struct jump_entry){ .rip = cpu->r[REG_RIP],
                                                                        .key = cpu->jump_key,
                                                                        .target = entry + 1,
                                                                        .charge = block->insns };
                run->jumped = true;
            }
        }
        if (exact && probes_want(cpu->probes, PROBE_INSN))
            probes_fire(cpu->probes,
                        &(struct probe_event){ .kind = PROBE_INSN, .cpu = cpu, .a = la });
    }
    run->link = NULL;
    run_chain(cpu, entry);
    /* The trap of VMRUN itself waits for #VMEXIT: trap_vmexit(). */
    bool same = svm_guest(cpu) == guest;
    if (!same && !guest)
        trap_reset(cpu);
    enum step step = after_chain(cpu, exact && same ? start : none);
    if (step == STEP_VMEXIT || (guest && !svm_guest(cpu) && step != STEP_STOP))
        trap_vmexit(cpu);
    return step;
}

/* --- waiting ---------------------------------------------------------------------------------------- */

bool vcpu_is_idle(const struct vcpu *cpu)
{
    return (cpu->regs.halted || cpu->regs.wait_sipi) && !event_pending(cpu) &&
           !monitor_ended(cpu) && !fp_thawed(cpu);
}

/* A vCPU in HLT or MWAIT for which something has come. An event that goes away unseen (a spurious interrupt) is a step, so that
 * limits end a sequence of them. */
static void wake(struct vcpu *cpu)
{
    if (monitor_ended(cpu) || fp_thawed(cpu))
        cpu->regs.halted = cpu->ferr.frozen = false;
    else if (cpu->run->woken)
        cpu->extra_steps++;
    cpu->run->woken = true;
    cpu_attention(cpu);
}

/* --- the turn ------------------------------------------------------------------------------------------ */

static uint64_t steps_of_all(const struct vcpu *cpu)
{
    return cpu->run->group->other_steps + vcpu_steps(cpu);
}

/* Limits that are counted in steps. Returns true when max_steps is reached. */
EMU_INLINE bool apply_limits(struct vcpu *cpu, const struct run_limits *limits)
{
    struct vcpu_group *group = cpu->run->group;
    uint64_t steps = steps_of_all(cpu);
    if (steps >= limits->max_steps)
        return true;
    shrink_budget(cpu, limits->max_steps - steps);
    if (limits->drop_fast_every == 0)
        return false;
    if (steps >= group->next_drop) {
        for (unsigned i = 0; i < group->count; i++)
            paging_drop_fast(group->cpu[i]->paging);
        group_forget_code(group);
        group->next_drop = steps + limits->drop_fast_every;
    }
    shrink_budget(cpu, group->next_drop - steps);
    return false;
}

static int take_stop(struct vcpu *cpu)
{
    int reason = cpu->stop.reason;
    cpu->stop.reason = PACIFICA_STOP_NONE;
    return reason;
}

/* Events at the boundary. STEP_NEXT: none was taken. */
EMU_INLINE enum step take_events(struct vcpu *cpu)
{
    cpu->attention = false;
    enum step step = event_boundary(cpu);
    if (step == STEP_VMEXIT)
        trap_vmexit(cpu);
    if (step == STEP_NEXT || step == STEP_STOP)
        return step;
    cpu->run->link = NULL;
    cpu->regs.halted = cpu->ferr.frozen = false;
    cpu->regs.shadow = cpu->regs.shadow_next = false;
    cpu_attention(cpu);
    return step;
}

EMU_INLINE bool wants_exact(const struct vcpu *cpu)
{
    return trap_wants_exact(cpu) || page_leaves_segment(cpu) ||
           probes_want(cpu->probes, PROBE_INSN);
}

/* --- what ordinary runs lack: run_limits.rare ---------------------------------------------------------- */

/* Behind a step. PACIFICA_STOP_NONE, or why the machine stops. */
EMU_COLD static int look_behind(struct vcpu *cpu, const struct run_limits *limits)
{
    if (cpu->stop.reason != PACIFICA_STOP_NONE)
        return take_stop(cpu);
    int stop = limits->watch ? limits->watch->behind(limits->watch->self, cpu) : PACIFICA_STOP_NONE;
    if (stop == PACIFICA_STOP_NONE && cpu == limits->step_cpu &&
        vcpu_steps(cpu) >= limits->step_end)
        stop = PACIFICA_STOP_STEP;
    return stop;
}

#define LOOK_EXACT (-1) /* go on, by one instruction alone */

/* Before an instruction. PACIFICA_STOP_NONE, LOOK_EXACT, or why the machine stops. */
EMU_COLD static int look_ahead(struct vcpu *cpu, const struct run_limits *limits)
{
    bool exact = limits->exact_blocks;
    int stop = PACIFICA_STOP_NONE;
    if (cpu == limits->step_cpu)
        shrink_budget(cpu, limits->step_end - vcpu_steps(cpu));
    if (limits->watch)
        stop = limits->watch->ahead(limits->watch->self, cpu, &exact);
    return stop == PACIFICA_STOP_NONE && exact ? LOOK_EXACT : stop;
}

/* `rare` is constant: ordinary runs do not even ask. What it calls is inline, or two callers would make calls of it. */
EMU_INLINE int turn(struct vcpu *cpu, const struct run_limits *limits, bool rare)
{
    struct run_state *run = cpu->run;
    bool tight = false; /* the next block is longer than the budget */
    for (;;) {
        if (EMU_UNLIKELY(cpu->perf.active))
            perf_settle(cpu);
        if (*limits->stop_request)
            return PACIFICA_STOP_REQUEST;
        if (rare) {
            int stop = look_behind(cpu, limits);
            if (stop != PACIFICA_STOP_NONE)
                return stop;
        }
        if (cpu->attention || cpu->clock->changed || cpu->budget <= 0) {
            if (cpu->stop.reason != PACIFICA_STOP_NONE)
                return take_stop(cpu);
            if (!renew_budget(cpu))
                return PACIFICA_STOP_NONE;
            if (steps_of_all(cpu) >= limits->max_steps && run->group->turns >= limits->from_turn)
                return PACIFICA_STOP_LIMIT_INSNS;
            enum step step = take_events(cpu);
            if (step == STEP_STOP)
                return take_stop(cpu);
            if (step != STEP_NEXT)
                continue;
        }
        if (cpu->regs.halted || cpu->regs.wait_sipi) {
            if (vcpu_is_idle(cpu)) {
                group_pass_time(run->group);
                return PACIFICA_STOP_NONE;
            }
            wake(cpu);
            continue;
        }
        run->woken = false;
        if (EMU_UNLIKELY(cpu->monitor.waiting)) /* whatever ended the wait */
            cpu->monitor.armed = cpu->monitor.waiting = cpu->monitor.expired = false;
        if (apply_limits(cpu, limits))
            return PACIFICA_STOP_LIMIT_INSNS;
        if (EMU_UNLIKELY(cpu->perf.active))
            shrink_budget(cpu, perf_distance(cpu));
        if (EMU_UNLIKELY(run->built)) {
            run->built = false;
            if (block_cache_reclaim(run->cache, false))
                group_forget_code(run->group);
        }
        bool exact = tight || wants_exact(cpu);
        if (rare) {
            int stop = look_ahead(cpu, limits);
            if (stop > PACIFICA_STOP_NONE)
                return stop;
            exact |= stop == LOOK_EXACT;
        }
        enum step step = run_block(cpu, exact);
        tight = !exact && cpu->leave == LEAVE_BUDGET;
        if (step == STEP_STOP) {
            if (cpu->stop.reason == PACIFICA_STOP_NONE || cpu->stop.reason == PACIFICA_STOP_BREAK)
                cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
            return take_stop(cpu);
        }
        if (EMU_UNLIKELY(cpu->yield)) {
            cpu->yield = false;
            if (!run->group->alone) {
                group_pass_time(run->group);
                return rare ? look_behind(cpu, limits) : PACIFICA_STOP_NONE;
            }
        }
    }
}

EMU_NOINLINE static int rare_turn(struct vcpu *cpu, const struct run_limits *limits)
{
    return turn(cpu, limits, true);
}

int run_turn(struct vcpu *cpu, const struct run_limits *limits)
{
    return EMU_UNLIKELY(limits->rare) ? rare_turn(cpu, limits) : turn(cpu, limits, false);
}

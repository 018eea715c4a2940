/* The turns of a machine's vCPUs.
 *
 * A round gives every vCPU a turn, in the order of their numbers. All turns of a round end at the same virtual time: a fixed slice
 * after the slowest vCPU, or at the first deadline if that comes before. Deadlines fire between two rounds, when every vCPU has
 * reached them. A deadline that is armed during a round for a time within it shortens the turns that are not over; vCPUs that have
 * passed it sit out the next round until time has caught up with them. A vCPU that waits, or gives its turn away by PAUSE, is at
 * the end of its turn at once. With one vCPU there are no slices: a round lasts until a deadline. */
#include "decoder/block.h"
#include "emu/base/clock.h"
#include "emu/cpu/event.h"
#include "emu/cpu/run_priv.h"
#include "emu/cpu/smm.h"
#include "emu/insn/lower.h"
#include "paging/paging.h"

#include <pacifica/pacifica.h>

#include <stdlib.h>
#include <string.h>

/* CHOICE: 10 microseconds. An interrupt from one processor reaches another at most so much late. */
#define SLICE_NS 10000u

/* --- the group --------------------------------------------------------------------------------- */

static uint64_t now_of(void *self)
{
    const struct vcpu_group *group = self;
    return group->between ? group->now_ns : vcpu_now_ns(group->cpu[group->current]);
}

static void deadlines_moved(void *self)
{
    struct vcpu_group *group = self;
    if (group->count)
        cpu_attention(group->cpu[group->current]);
}

static void time_spent(void *self, uint64_t ns)
{
    struct vcpu_group *group = self;
    if (group->count && !group->between)
        vcpu_spend(group->cpu[group->current], ns);
}

static void code_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    struct vcpu_group *group = self;
    if (block_cache_written(group->cache, page, offset, len) && group->count)
        cpu_attention(group->cpu[group->current]);
    if (EMU_UNLIKELY(group->heard != NULL))
        group->heard(group->heard_self, page, offset, len);
}

void vcpu_hear_writes(struct vcpu *cpu,
                      void (*heard)(void *self, uint64_t page, unsigned offset, unsigned len),
                      void *self)
{
    cpu->run->group->heard = heard;
    cpu->run->group->heard_self = self;
}

struct vcpu_group *group_new(const struct vcpu_parts *parts)
{
    struct vcpu_group *group = calloc(1, sizeof(*group));
    if (!group)
        return NULL;
    group->room = parts->count ? parts->count : 1;
    group->clock = parts->clock;
    group->memory = parts->memory;
    group->turn = parts->turn;
    group->turn_self = parts->turn_self;
    group->cache = block_cache_new(parts->memory, &group->lowering);
    if (!group->cache || group->room > VCPUS_MAX) {
        block_cache_free(group->cache);
        free(group);
        return NULL;
    }
    memory_set_written(parts->memory, code_written, group);
    return group;
}

void group_take_clock(struct vcpu_group *group)
{
    group->clock->now = now_of;
    group->clock->moved = deadlines_moved;
    group->clock->spend = time_spent;
    group->clock->self = group;
}

void group_free(struct vcpu_group *group)
{
    group->clock->moved = NULL;
    group->clock->spend = NULL;
    memory_set_written(group->memory, NULL, NULL);
    block_cache_free(group->cache);
    free(group);
}

void group_forget_code(struct vcpu_group *group)
{
    (void)block_cache_reclaim(group->cache, true);
    for (unsigned i = 0; i < group->count; i++) {
        struct run_state *run = group->cpu[i]->run;
        if (run->jumped)
            memset(run->jumps, 0, sizeof(run->jumps));
        run->jumped = false;
        run->jumps[0].rip = 1; /* RIP 0 would find an empty slot; no other slot is asked about it */
        run->fetch_la = UINT64_MAX;
        run->link = NULL;
    }
}

void vcpu_forget_code(struct vcpu *cpu)
{
    group_forget_code(cpu->run->group);
}

struct vcpu *vcpu_current(const struct vcpu *cpu)
{
    const struct vcpu_group *group = cpu->run->group;
    return group->cpu[group->current];
}

struct vcpu *group_vcpu(struct vcpu *cpu, unsigned n)
{
    if (!cpu->run)
        return n == 0 ? cpu : NULL;
    return n < cpu->run->group->count ? cpu->run->group->cpu[n] : NULL;
}

const struct vcpu *group_current(const struct vcpu *cpu)
{
    if (!cpu->run)
        return cpu;
    const struct vcpu_group *group = cpu->run->group;
    return group->between ? NULL : group->cpu[group->current];
}

uint64_t group_steps(const struct vcpu *cpu)
{
    if (!cpu->run) /* made by hand, in no group */
        return vcpu_steps(cpu);
    const struct vcpu_group *group = cpu->run->group;
    uint64_t steps = 0;
    for (unsigned i = 0; i < group->count; i++)
        steps += vcpu_steps(group->cpu[i]);
    return steps;
}

uint64_t group_insns(const struct vcpu *cpu)
{
    const struct vcpu_group *group = cpu->run->group;
    uint64_t insns = 0;
    for (unsigned i = 0; i < group->count; i++)
        insns += cpu_insns(group->cpu[i]);
    return insns;
}

uint64_t group_turns(const struct vcpu *cpu)
{
    return cpu->run->group->turns;
}

void group_set_turns(struct vcpu *cpu, uint64_t turns)
{
    cpu->run->group->turns = turns;
}

/* --- rounds --------------------------------------------------------------------------------------- */

/* How many vCPUs have something to do. */
static unsigned busy_vcpus(const struct vcpu_group *group)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < group->count; i++)
        busy += !vcpu_is_idle(group->cpu[i]);
    return busy;
}

static uint64_t slowest_ns(const struct vcpu_group *group)
{
    uint64_t slowest = UINT64_MAX;
    for (unsigned i = 0; i < group->count; i++) {
        uint64_t now = vcpu_now_ns(group->cpu[i]);
        slowest = now < slowest ? now : slowest;
    }
    return slowest;
}

/* Every turn is over: fire what is due and say how long the next turns are. */
static int next_round(struct vcpu_group *group)
{
    struct vclock *clock = group->clock;
    uint64_t now = group->now_ns = slowest_ns(group);
    group->between = true;
    while (clock_next_ns(clock) <= now)
        clock_run(clock, now);
    group->between = false;
    clock->changed = false;

    unsigned busy = busy_vcpus(group);
    uint64_t next = clock_next_ns(clock);
    group->alone = busy <= 1;
    group->idle = busy == 0;
    group->end_ns = next;
    if (busy != 0) {
        group->skips = 0;
        if (group->count > 1 && next - now > SLICE_NS)
            group->end_ns = now + SLICE_NS;
    } else if (next == CLOCK_NEVER || ++group->skips > IDLE_ROUNDS_MAX) {
        group->skips = 0;
        return PACIFICA_STOP_HALTED;
    } else if (group->skips > 1) { /* the last one woke nobody: limits end a row of them */
        group->cpu[0]->extra_steps++;
    }
    return PACIFICA_STOP_NONE;
}

/* Without an end it is the group that waits. */
static void skip_to_end(const struct vcpu_group *group, struct vcpu *cpu)
{
    uint64_t now = vcpu_now_ns(cpu);
    if (group->end_ns != CLOCK_NEVER && now < group->end_ns)
        cpu->skipped_ns += group->end_ns - now;
}

void group_pass_time(struct vcpu_group *group)
{
    if (!group->idle) {
        skip_to_end(group, group->cpu[group->current]);
        return;
    }
    for (unsigned i = 0; i < group->count; i++)
        skip_to_end(group, group->cpu[i]);
}

/* The outside has woken a vCPU in a round that all were to wait through, maybe without an end: it is over. */
static void end_idle_round(struct vcpu_group *group)
{
    if (!group->idle || busy_vcpus(group) == 0)
        return;
    group->idle = false;
    group->end_ns = slowest_ns(group);
}

static struct vcpu *begin_turn(struct vcpu_group *group, uint64_t all_steps)
{
    struct vcpu *cpu = group->cpu[group->current];
    if (group->turn)
        group->turn(group->turn_self, cpu->index);
    smm_view(cpu);
    group->other_steps = all_steps - vcpu_steps(cpu);
    cpu->run->link = NULL; /* who ran before may have changed anything */
    cpu_attention(cpu);
    return cpu;
}

int run_vcpu(struct vcpu *cpu, const struct run_limits *wanted)
{
    static const volatile bool never;
    struct run_limits now = *wanted;
    const struct run_limits *limits = &now;
    now.rare = now.exact_blocks || now.watch || now.step_cpu;
    if (!now.stop_request)
        now.stop_request = &never;
    struct vcpu_group *group = cpu->run->group;
    uint64_t all_steps = group_steps(cpu);
    for (unsigned i = 0; i < group->count; i++)
        group->cpu[i]->context_stale = true; /* a client of PROBE_MEM may have come or gone */
    end_idle_round(group);
    for (;;) {
        struct vcpu *current = begin_turn(group, all_steps);
        int stop = run_turn(current, limits);
        if (stop != PACIFICA_STOP_NONE)
            return stop;
        all_steps = group->other_steps + vcpu_steps(current);
        group->turns++;
        if (++group->current == group->count) {
            group->current = 0;
            stop = next_round(group);
            if (stop != PACIFICA_STOP_NONE) {
                group->turns -= group->count; /* the round is there again in a further run */
                return stop;
            }
            if (group->idle)
                all_steps = group_steps(cpu);
        }
    }
}

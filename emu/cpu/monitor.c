/* The line that MONITOR watches: a copy, compared when somebody asks. */
#include "emu/cpu/monitor.h"

#include "emu/base/snap.h"
#include "emu/cpu/run_priv.h"
#include "paging/memory.h"

#include <string.h>

void monitor_arm(struct vcpu *cpu, uint64_t spa)
{
    struct cpu_monitor *monitor = &cpu->monitor;
    uint64_t line = spa & ~(uint64_t)(sizeof(monitor->line) - 1);
    const uint8_t *ptr = memory_ptr(cpu->memory, line, sizeof(monitor->line));
    *monitor = (struct cpu_monitor){ .armed = ptr != NULL,
                                     .spa = line,
                                     .page = memory_backing(cpu->memory, line) };
    if (ptr)
        memcpy(monitor->line, ptr, sizeof(monitor->line));
}

bool monitor_intact(const struct vcpu *cpu)
{
    const struct cpu_monitor *monitor = &cpu->monitor;
    if (!monitor->armed)
        return false;
    const uint8_t *page = memory_page_ptr(cpu->memory, monitor->page);
    return page && memcmp(page + (monitor->spa & 0xfff), monitor->line, sizeof(monitor->line)) == 0;
}

/* A wait that ended otherwise leaves its deadline behind: the next wait moves or cancels it. */
static void expire(void *self, uint64_t now_ns)
{
    struct vcpu *cpu = self;
    (void)now_ns;
    cpu->monitor.expired = cpu->monitor.waiting;
    cpu_attention(cpu);
}

static struct deadline *deadline_of(struct vcpu *cpu)
{
    struct deadline *deadline = &cpu->run->monitor_deadline;
    deadline->fire = expire;
    deadline->self = cpu;
    return deadline;
}

void monitor_wait(struct vcpu *cpu, bool any_interrupt, uint64_t for_ns)
{
    struct cpu_monitor *monitor = &cpu->monitor;
    monitor->waiting = true;
    monitor->any_interrupt = any_interrupt;
    monitor->expired = false;
    cpu->regs.halted = true;
    if (!cpu->run || !cpu->clock) /* made by hand: there is no time */
        return;
    struct deadline *deadline = deadline_of(cpu);
    if (for_ns)
        clock_arm(cpu->clock, deadline, clock_now_ns(cpu->clock) + for_ns);
    else
        clock_cancel(cpu->clock, deadline);
}

bool monitor_ended(const struct vcpu *cpu)
{
    if (!cpu->monitor.waiting)
        return false;
    bool interrupt =
        cpu->monitor.any_interrupt && cpu->intc && cpu->intc->pending(cpu->intc_self) >= 0;
    return interrupt || cpu->monitor.expired || !monitor_intact(cpu);
}

void monitor_deadline_state(struct vcpu *cpu, struct snap *snap)
{
    snap_deadline(snap, "monitor_deadline", cpu->clock, deadline_of(cpu));
}

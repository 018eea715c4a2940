/* The line that MONITOR watches: a copy, compared when somebody asks. */
#include "emu/cpu/monitor.h"

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

/* Shadow stacks: when they are on, and the accesses to them. */
#include "emu/cpu/shadow_stack.h"

#include "emu/cpu/debug.h"
#include "emu/cpu/mem.h"

enum step shadow_stack_violation(struct vcpu *cpu, enum cp_code code)
{
    return cpu_raise_code(cpu, EXC_CP, code);
}

unsigned shadow_stack_width(const struct vcpu *cpu)
{
    return cpu_long64(cpu) ? 8 : 4;
}

uint64_t shadow_stack_offset(const struct vcpu *cpu, uint64_t ssp, int64_t bytes)
{
    uint64_t la = ssp + (uint64_t)bytes;
    return cpu_long64(cpu) ? la : (uint32_t)la;
}

static struct access access_of(unsigned cpl, enum access_kind kind)
{
    return (struct access){ .kind = kind, .supervisor = cpl != 3, .shadow_stack = true };
}

/* CHOICE: accesses to the stack of the current level match data breakpoints, those to a stack that is about to be entered or
 * left do not, as it is with program stacks. */
static void watch(struct vcpu *cpu, unsigned cpl, uint64_t la, unsigned size, bool write)
{
    if (EMU_UNLIKELY(debug_armed(cpu)) && (cpl == 3) == (cpu->regs.cpl == 3))
        debug_data_accessed(cpu, la, size, write);
}

enum step shadow_stack_load(struct vcpu *cpu, unsigned cpl, uint64_t la, unsigned size,
                            uint64_t *value)
{
    struct mem_rmw at;
    enum step step = mem_begin(cpu, la, size, access_of(cpl, ACCESS_READ), &at);
    if (step != STEP_NEXT)
        return step;
    *value = mem_begun_load(cpu, &at);
    watch(cpu, cpl, la, size, false);
    return STEP_NEXT;
}

enum step shadow_stack_check(struct vcpu *cpu, unsigned cpl, uint64_t la, unsigned bytes)
{
    struct mem_rmw at;
    return mem_begin(cpu, la, bytes, access_of(cpl, ACCESS_WRITE), &at);
}

enum step shadow_stack_store(struct vcpu *cpu, unsigned cpl, uint64_t la, unsigned size,
                             uint64_t value)
{
    struct mem_rmw at;
    enum step step = mem_begin(cpu, la, size, access_of(cpl, ACCESS_WRITE), &at);
    if (step != STEP_NEXT)
        return step;
    mem_rmw_commit(cpu, &at, value);
    watch(cpu, cpl, la, size, true);
    return STEP_NEXT;
}

enum step shadow_stack_lock(struct vcpu *cpu, unsigned cpl, uint64_t la, uint64_t *value)
{
    struct mem_rmw at;
    enum step step = mem_begin(cpu, la, 8, access_of(cpl, ACCESS_WRITE), &at);
    if (step == STEP_NEXT)
        *value = mem_begun_load(cpu, &at);
    return step;
}

enum step shadow_stack_token_check(struct vcpu *cpu, unsigned cpl, uint64_t ssp, bool busy,
                                   bool *valid)
{
    uint64_t token;
    enum step step = shadow_stack_lock(cpu, cpl, ssp, &token);
    if (step == STEP_NEXT)
        *valid = (ssp & 7) == 0 && token == (ssp | busy);
    return step;
}

enum step shadow_stack_token_store(struct vcpu *cpu, unsigned cpl, uint64_t ssp, bool busy)
{
    return shadow_stack_store(cpu, cpl, ssp, 8, (ssp & ~7ull) | busy);
}

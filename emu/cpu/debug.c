/* The debug registers. */
#include "emu/cpu/debug.h"

#include "emu/cpu/cpuid.h"
#include "svm/svm.h"

#define BREAKPOINTS 4u

/* R/Wn of DR7. */
enum watch { WATCH_FETCH, WATCH_WRITE, WATCH_PORT, WATCH_ACCESS };

/* --- what DR7 asks for --- */

static bool enabled(const struct vcpu *cpu, unsigned n)
{
    return (cpu->regs.dr[7] >> (2 * n) & 3) != 0; /* Ln, Gn */
}

static enum watch watch_of(const struct vcpu *cpu, unsigned n)
{
    return (enum watch)(cpu->regs.dr[7] >> (16 + 4 * n) & 3);
}

/* CHOICE: 8 bytes outside long mode too, where the manual leaves the encoding undefined. */
static unsigned length_of(const struct vcpu *cpu, unsigned n)
{
    static const uint8_t lengths[4] = { 1, 2, 8, 4 };
    return lengths[cpu->regs.dr[7] >> (18 + 4 * n) & 3];
}

bool debug_watches_data(const struct vcpu *cpu)
{
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (enabled(cpu, n) && (watch_of(cpu, n) & WATCH_WRITE)) /* 01 and 11 */
            return true;
    return false;
}

/* --- matching --- */

/* Address bits that do not count: 31:0; without the second CPUID bit 11:0 for fetches, and for data those of DR0 alone. APM
 * vol 2, 13.1.7 "Debug Breakpoint Address Masking". */
static uint64_t mask_of(const struct vcpu *cpu, unsigned n, bool fetch)
{
    uint64_t mask = n == 0 ? cpu->msr.dr0_mask : cpu->msr.dr_mask[n - 1];
    if (cpu_has(cpu, CPU_FEATURE_ADDRMASKEXT))
        return mask;
    if (fetch)
        return mask & 0xfff;
    return n == 0 ? mask : 0;
}

/* Does a byte of [at, at + size) lie in breakpoint n's range? Addresses wrap within `space`. */
static bool touches(const struct vcpu *cpu, unsigned n, uint64_t at, unsigned size, uint64_t space,
                    uint64_t ignored)
{
    uint64_t counts = ~((uint64_t)length_of(cpu, n) - 1) & ~ignored;
    for (unsigned i = 0; i < size; i++)
        if (((((at + i) & space) ^ cpu->regs.dr[n]) & counts) == 0)
            return true;
    return false;
}

/* APM vol 2, 15.17: matches are discarded while GIF is 0. */
static bool deaf(const struct vcpu *cpu)
{
    return !cpu->svm->gif;
}

static uint64_t linear_space(const struct vcpu *cpu)
{
    return cpu_long64(cpu) ? UINT64_MAX : UINT32_MAX;
}

/* CHOICE: a length other than 00, whose results the manual leaves undefined, never matches. */
unsigned debug_fetch_matches(const struct vcpu *cpu, uint64_t la)
{
    unsigned matches = 0;
    if (deaf(cpu))
        return 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (enabled(cpu, n) && watch_of(cpu, n) == WATCH_FETCH && length_of(cpu, n) == 1 &&
            touches(cpu, n, la, 1, linear_space(cpu), mask_of(cpu, n, true)))
            matches |= 1u << n;
    return matches;
}

static void note(struct vcpu *cpu, unsigned matches)
{
    if (matches == 0 || deaf(cpu))
        return;
    cpu->traps |= matches;
    cpu_attention(cpu); /* string instructions stop after the iteration */
}

void debug_data_accessed(struct vcpu *cpu, uint64_t la, unsigned size, bool write)
{
    unsigned matches = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        enum watch watch = watch_of(cpu, n);
        if (enabled(cpu, n) && (watch == WATCH_ACCESS || (watch == WATCH_WRITE && write)) &&
            touches(cpu, n, la, size, linear_space(cpu), mask_of(cpu, n, false)))
            matches |= 1u << n;
    }
    note(cpu, matches);
}

/* Without CR4.DE the encoding is undefined. CHOICE: it never matches. */
void debug_port_accessed(struct vcpu *cpu, uint16_t port, unsigned size)
{
    unsigned matches = 0;
    if (!(cpu->regs.cr4 & CR4_DE))
        return;
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (enabled(cpu, n) && watch_of(cpu, n) == WATCH_PORT &&
            touches(cpu, n, port, size, UINT64_MAX, 0))
            matches |= 1u << n;
    note(cpu, matches);
}

/* --- the registers. APM vol 2, 13.1.1 "Debug Registers" --- */

bool debug_dr_ok(unsigned n, uint64_t value)
{
    return n < 4 || value >> 32 == 0;
}

enum step debug_set_dr(struct vcpu *cpu, unsigned n, uint64_t value)
{
    if (n < 4) {
        cpu->regs.dr[n] = value;
        return STEP_NEXT;
    }
    if (n == 4 || n == 6) {
        cpu->regs.dr[6] = (value & DR6_WRITABLE) | DR6_FIXED;
        return STEP_NEXT;
    }
    cpu->regs.dr[7] = (value & DR7_WRITABLE) | DR7_FIXED;
    cpu->context_stale = true; /* data breakpoints close the fast door */
    return STEP_LEAVE;
}

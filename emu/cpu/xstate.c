/* The components of state that XSAVE manages. */
#include "emu/cpu/xstate.h"

#include "emu/cpu/cpuid.h"

#include <string.h>

#define USER false
#define SUPERVISOR true
const struct xstate_info xstates[XSTATE_COUNT] = {
#define XSTATE(name, bit_, offset_, size_, alignment_, kind_, feature_) \
    [XSTATE_##name] = { .bit = bit_,                                    \
                        .supervisor = kind_,                            \
                        .offset = offset_,                              \
                        .size = size_,                                  \
                        .alignment = alignment_,                        \
                        .feature = CPU_FEATURE_##feature_ },
#include "emu/cpu/xstate.def"
#undef XSTATE
};
#undef USER
#undef SUPERVISOR

static uint64_t bit_of(unsigned n)
{
    return UINT64_C(1) << xstates[n].bit;
}

static bool exists(const struct vcpu *cpu, unsigned n)
{
    return cpu_has(cpu, (enum cpu_feature)xstates[n].feature);
}

static uint64_t components(const struct vcpu *cpu, bool supervisor)
{
    uint64_t mask = 0;
    for (unsigned n = 0; n < XSTATE_COUNT; n++)
        if (xstates[n].supervisor == supervisor && exists(cpu, n))
            mask |= bit_of(n);
    return mask;
}

uint64_t xstate_user(const struct vcpu *cpu)
{
    return components(cpu, false);
}

uint64_t xstate_supervisor(const struct vcpu *cpu)
{
    return components(cpu, true);
}

/* --- the area --- */

static unsigned align(unsigned at, unsigned alignment)
{
    return (at + alignment - 1) / alignment * alignment;
}

unsigned xstate_compacted_offset(uint64_t xcomp_bv, enum xstate n)
{
    unsigned at = XSTATE_EXTENDED;
    if (xstates[n].bit < 2)
        return xstates[n].offset;
    for (unsigned i = 0; i < n; i++)
        if (xstates[i].bit >= 2 && (xcomp_bv & bit_of(i)))
            at = align(at, xstates[i].alignment) + xstates[i].size;
    return align(at, xstates[n].alignment);
}

/* Bytes of an area with these components. */
static unsigned standard_bytes(uint64_t mask)
{
    unsigned bytes = XSTATE_EXTENDED;
    for (unsigned n = 0; n < XSTATE_COUNT; n++)
        if (xstates[n].bit >= 2 && (mask & bit_of(n)))
            bytes = xstates[n].offset + xstates[n].size;
    return bytes;
}

static unsigned compacted_bytes(uint64_t mask)
{
    unsigned bytes = XSTATE_EXTENDED;
    for (unsigned n = 0; n < XSTATE_COUNT; n++)
        if (xstates[n].bit >= 2 && (mask & bit_of(n)))
            bytes = xstate_compacted_offset(mask, (enum xstate)n) + xstates[n].size;
    return bytes;
}

/* --- XCR0 and XINUSE --- */

bool xstate_xcr0_ok(const struct vcpu *cpu, uint64_t value)
{
    if ((value & ~xstate_user(cpu)) || !(value & XCR0_X87))
        return false;
    return !(value & XCR0_AVX) || (value & XCR0_SSE);
}

uint32_t xstate_mxcsr_mask(const struct vcpu *cpu)
{
    return cpu_has(cpu, CPU_FEATURE_MISALIGNSSE) ? MXCSR_MASK : MXCSR_MASK & ~MXCSR_MM;
}

static bool x87_in_use(const struct cpu_x87 *x87)
{
    const struct cpu_x87 initial = { .fcw = FCW_INIT };
    if (x87->fcw != initial.fcw || x87->fsw || x87->used || x87->fop || x87->fcs || x87->fds ||
        x87->fip || x87->fdp)
        return true;
    for (unsigned i = 0; i < 8; i++)
        if (x87->reg[i].mant || x87->reg[i].se)
            return true;
    return false;
}

/* Is a bit set in 64-bit words [first, first + 2) of a vector register? */
static bool vectors_in_use(const struct cpu_simd *simd, unsigned first)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 16; i++)
        bits |= simd->v[i].u64[first] | simd->v[i].u64[first + 1];
    return bits != 0;
}

uint64_t xstate_in_use(const struct vcpu *cpu)
{
    const struct shadow_stacks *shadow = &cpu->shadow;
    uint64_t in_use = 0;
    if (x87_in_use(&cpu->x87))
        in_use |= XCR0_X87;
    if (vectors_in_use(&cpu->simd, 0))
        in_use |= XCR0_SSE;
    if (vectors_in_use(&cpu->simd, 2))
        in_use |= XCR0_AVX;
    if (cpu->regs.pkru)
        in_use |= XCR0_PKRU;
    if (shadow->u_cet | shadow->pl_ssp[3])
        in_use |= XSS_CET_U;
    if (shadow->pl_ssp[0] | shadow->pl_ssp[1] | shadow->pl_ssp[2])
        in_use |= XSS_CET_S;
    return in_use & (xstate_user(cpu) | xstate_supervisor(cpu));
}

/* --- CPUID. APM vol 3, E.3.8 "Function Dh-Processor Extended State" --- */

static void leaf_component(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    for (unsigned n = 0; n < XSTATE_COUNT; n++) {
        if (xstates[n].bit != sub || sub < 2 || !exists(cpu, n))
            continue;
        out[CPUID_EAX] = xstates[n].size;
        out[CPUID_EBX] = xstates[n].supervisor ? 0 : xstates[n].offset;
        out[CPUID_ECX] = xstates[n].supervisor | (xstates[n].alignment == 64 ? 2u : 0);
    }
}

void xstate_leaf(const struct vcpu *cpu, uint32_t sub, uint32_t out[4])
{
    const uint64_t user = xstate_user(cpu), supervisor = xstate_supervisor(cpu);
    memset(out, 0, 4 * sizeof(out[0]));
    if (!cpu_has(cpu, CPU_FEATURE_XSAVE))
        return;
    if (sub == 0) {
        out[CPUID_EAX] = (uint32_t)user;
        out[CPUID_EBX] = standard_bytes(cpu->simd.xcr0);
        out[CPUID_ECX] = standard_bytes(user);
        out[CPUID_EDX] = (uint32_t)(user >> 32);
    } else if (sub == 1) {
        for (int f = 1; f < CPU_FEATURE_COUNT; f++)
            if (cpu_features[f].leaf == (0xd | CPUID_SUB1) && cpu_has(cpu, (enum cpu_feature)f))
                out[cpu_features[f].reg] |= 1u << cpu_features[f].bit;
        if (cpu_has(cpu, CPU_FEATURE_XSAVEC) || cpu_has(cpu, CPU_FEATURE_XSAVES))
            out[CPUID_EBX] = compacted_bytes(cpu->simd.xcr0 | cpu->msr.xss);
        if (cpu_has(cpu, CPU_FEATURE_XSAVES)) {
            out[CPUID_ECX] = (uint32_t)supervisor;
            out[CPUID_EDX] = (uint32_t)(supervisor >> 32);
        }
    } else {
        leaf_component(cpu, sub, out);
    }
}

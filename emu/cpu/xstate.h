/* The components of state that XSAVE manages: which there are, where they lie, what XCR0 may be. APM vol 2, 11.5
 * "XSAVE/XRSTOR Instructions". */
#ifndef EMU_CPU_XSTATE_H
#define EMU_CPU_XSTATE_H

#include "emu/cpu/state.h"

enum xstate {
#define XSTATE(name, bit, offset, size, alignment, kind, feature) XSTATE_##name,
#include "emu/cpu/xstate.def"
#undef XSTATE
    XSTATE_COUNT
};

struct xstate_info {
    uint8_t bit;
    bool supervisor;
    uint16_t offset, size, alignment;
    uint8_t feature; /* enum cpu_feature */
};
extern const struct xstate_info xstates[XSTATE_COUNT];

#define XSTATE_MXCSR 24u     /* offset of MXCSR and its mask */
#define XSTATE_HEADER 512u   /* offset of the header: XSTATE_BV, XCOMP_BV, reserved */
#define XSTATE_EXTENDED 576u /* where components other than x87 and SSE begin */
#define XSTATE_COMPACTED (UINT64_C(1) << 63) /* in XCOMP_BV */
#define XSTATE_AREA_MAX 2496u /* bytes of the largest area; a test holds it against the table */

/* Bits of XCR0 and of XSS that the model has. */
uint64_t xstate_user(const struct vcpu *cpu);
uint64_t xstate_supervisor(const struct vcpu *cpu);

/* Where a component lies in a compacted area that has the components of XCOMP_BV. */
unsigned xstate_compacted_offset(uint64_t xcomp_bv, enum xstate n);

/* May XSETBV write the value to XCR0? APM vol 2, 11.5.2. */
bool xstate_xcr0_ok(const struct vcpu *cpu, uint64_t value);

/* The bits that MXCSR has: MM comes with misaligned SSE mode. APM vol 2, 11.5.9 "MXCSR State Management". */
uint32_t xstate_mxcsr_mask(const struct vcpu *cpu);

/* The components that are not in their initial state (XINUSE), all that the model has. CHOICE: by value; processors may call
 * one in use that has its initial value again. MXCSR is no part of the answer. */
uint64_t xstate_in_use(const struct vcpu *cpu);

/* CPUID Fn0000_000D, sub-leaf `sub`. All 0 in a model without XSAVE. */
void xstate_leaf(const struct vcpu *cpu, uint32_t sub, uint32_t out[4]);

#endif

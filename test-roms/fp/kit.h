/* kit.h: what the programs of fp/ share: the state of x87, SSE and XCR0 set up from 64-bit code, and runs of one piece of code in
 * many worlds. Offsets of memory in LOW are those that 16-bit code can name. */
#ifndef TEST_ROMS_FP_KIT_H
#define TEST_ROMS_FP_KIT_H

#include "test-roms/lib/modes.h"

#define CR4_OSFXSR UINT64_C(0x200)
#define CR4_OSXMMEXCPT UINT64_C(0x400)
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u

#define FP_AREA 0x600 /* of FXSAVE and XSAVE, to 0x9ff */
#define FP_DATA 0xa00 /* operands, to 0xbff */

/* The same text in code of all three widths: name16, name32, name64. */
#define FP_CODE(name, text)      \
    MODE_CODE16(name##16, text); \
    MODE_CODE32(name##32, text); \
    MODE_CODE64(name##64, text)

struct fp_code {
    const char *begin[3], *end[3]; /* 16, 32, 64 */
};
#define FP_CODE_OF(name)                             \
    {                                                \
        { name##16, name##32, name##64 },            \
        {                                            \
            name##16_end, name##32_end, name##64_end \
        }                                            \
    }

/* A mode, and which of the three widths its code has. */
struct fp_mode {
    enum mode mode;
    unsigned width; /* 0: 16, 1: 32, 2: 64 */
    bool protected, user;
    const char *name;
};
#define FP_MODES 11u
extern const struct fp_mode fp_modes[FP_MODES];

/* CPUID has all that these programs need. */
bool fp_present(void);

/* Make the host ready: CR4, XCR0 with all that there is, x87 and MXCSR as after reset and FNINIT. */
void fp_start(void);
void fp_set_xcr0(uint32_t value);

/* FNINIT, and 1/0 with the exception unmasked if it shall be pending. */
void fp_set_pending(bool pending);

void fp_set_mxcsr(uint32_t value);
uint32_t fp_mxcsr(void);
void fp_set_xmm0(uint64_t low, uint64_t high);
uint64_t fp_xmm0_low(void);

/* Run a piece of code in the world that modes_begin() made, again if need be. */
struct mode_event fp_run(struct modes_state *m, const struct fp_code *code, unsigned width);

/* How it ended: EXC_NONE for "ran through", or the vector of a fault at its first instruction; else 0x1000 or more. */
unsigned fp_outcome(const struct mode_event *e, const struct fp_code *code, unsigned width);

#endif

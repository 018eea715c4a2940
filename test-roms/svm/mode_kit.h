/* mode_kit.h: guests in every mode. The world of a guest (tables, stacks, code by MODE_CODE, paging) is
 * that of lib/modes.h; a guest ends by the UD2 behind its code, which is intercepted:
 *
 *     struct modes_state *m = modes_begin(MODE_REAL, twice);
 *     m->regs[M_AX] = 21;
 *     guest_make(&g, true);
 *     guest_run(&g);
 *     tap_ok(guest_done(&g, twice_end), "...");
 *
 * Gates of the world lead out of modes_run() and must not be used by a guest: a test sets its own. */
#ifndef TEST_ROMS_SVM_MODE_KIT_H
#define TEST_ROMS_SVM_MODE_KIT_H

#include "test-roms/lib/modes.h"
#include "test-roms/svm/kit.h"

#define VMEXIT_UD (VMEXIT_EXCP0 + EXC_UD)
#define RFLAGS_VM UINT64_C(0x20000)
#define CR4_VME UINT64_C(0x01)
#define CR4_PSE UINT64_C(0x10)

/* The world that modes_begin() made, as a VMCB: ASID 1, the intercepts of #UD, VMRUN and VMMCALL; with
 * nested paging (identity) or without. */
void guest_make(struct svm_guest *g, bool nested);

/* The nested tables of such a guest. */
uint64_t *guest_nested(void);

/* VMLOAD, VMRUN, VMSAVE. Returns the exit code. */
uint64_t guest_run(struct svm_guest *g);

/* It ran through. */
bool guest_done(const struct svm_guest *g, const char *end);

/* Run and report: through to its end; or to this exit at this address (NULL: any). */
bool guest_pass(struct svm_guest *g, const char *end, const char *what);
bool guest_exits(struct svm_guest *g, uint64_t code, const char *rip, const char *what);

/* Report that a field of the VMCB holds this. */
void guest_field(const struct svm_guest *g, unsigned offset, uint64_t want, const char *what);

/* Attributes of a segment. */
static inline uint16_t guest_attributes(const struct svm_guest *g, unsigned segment)
{
    return (uint16_t)(svm_get32(g, segment) >> 16);
}

#endif

/* What stands behind the last #VMEXIT, found from the VMCB and guest memory as they are now; nothing has an effect. */
#ifndef EMU_DEBUG_EXIT_FACTS_H
#define EMU_DEBUG_EXIT_FACTS_H

#include <stdint.h>

#include "paging/paging.h"
#include "svm/svm.h"

struct vcpu;

/* The VMCB of the last VMRUN, or NULL: it lies outside RAM, and reading it again could have effects. */
const uint8_t *exit_vmcb(const struct vcpu *cpu);

/* The guest's regime as the VMCB has it with every right of the supervisor: what a report reads, whoever may use it. */
struct walk_regime exit_regime(const struct vcpu *cpu, const uint8_t *vmcb);

#define EXIT_INSN_BYTES 15

/* The instruction at the RIP that the exit has saved. bits receives how it is decoded: 16, 32 or 64. Returns how many of its bytes could be read. */
size_t exit_code(const struct vcpu *cpu, const uint8_t *vmcb, uint8_t bytes[EXIT_INSN_BYTES],
                 unsigned *bits);

/* The bit of the MSR or I/O permissions map that asked for an exit with this code and EXITINFO1; false: there is none.
 * msr  the guest's ECX, for an exit of an MSR */
bool exit_map_bit(const struct vcpu *cpu, uint64_t code, uint64_t info1, uint32_t msr,
                  struct svm_map_bit *at);

/* Walk again to the nested page fault with these EXITINFO words. false: the tables do not say so now, an older translation was
 * cached; `log` has what they say. */
bool exit_npf_walk(const struct vcpu *cpu, const uint8_t *vmcb, uint64_t info1, uint64_t info2,
                   struct walk_log *log);

#endif

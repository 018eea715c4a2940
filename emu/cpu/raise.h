/* Recording an exception. Delivery is emu/cpu/event.c's work, on the way through the run loop. */
#ifndef EMU_CPU_RAISE_H
#define EMU_CPU_RAISE_H

#include "emu/cpu/state.h"

/* All record in cpu->raised and return STEP_RAISED; nothing else changes. */
EMU_MUST_USE enum step cpu_raise(struct vcpu *cpu, enum exception vector);
EMU_MUST_USE enum step cpu_raise_code(struct vcpu *cpu, enum exception vector, uint32_t code);
EMU_MUST_USE enum step cpu_raise_page_fault(struct vcpu *cpu, uint64_t la, uint32_t code);

/* #DB; dr6_bits are set in DR6 at delivery. */
EMU_MUST_USE enum step cpu_raise_debug(struct vcpu *cpu, uint64_t dr6_bits);

/* A software interrupt: INT n (EVENT_SOFT), INT3 and INTO (EVENT_EXCEPTION), ICEBP: insn_len bytes. */
EMU_MUST_USE enum step cpu_raise_soft(struct vcpu *cpu, enum event_type type, uint8_t vector,
                                      uint8_t insn_len);

/* A nested page fault: #VMEXIT(NPF) with these EXITINFO words. `la` is the linear address of the access, which only
 * explanations look at. */
EMU_MUST_USE enum step cpu_raise_npf(struct vcpu *cpu, uint64_t la, uint64_t info1, uint64_t info2);

/* A #VMEXIT that comes before the access, like a nested page fault. */
EMU_MUST_USE enum step cpu_raise_exit(struct vcpu *cpu, uint16_t code, uint64_t info1,
                                      uint64_t info2);

/* Not emulated: the machine stops with a diagnostic naming the feature and manual section. */
EMU_MUST_USE enum step cpu_stop_unimplemented(struct vcpu *cpu, const char *feature);

/* The guest did something a hypervisor developer wants to hear about (printf form). */
void cpu_guest_error(struct vcpu *cpu, const char *fmt, ...) EMU_PRINTF(2, 3);

#endif

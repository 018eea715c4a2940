/* What boundary.c needs of event.c. */
#ifndef EMU_CPU_EVENT_PRIV_H
#define EMU_CPU_EVENT_PRIV_H

#include "emu/cpu/event.h"

/* Deliver cpu->delivering, which pushes `return_rip`, and what goes wrong on the way, until a handler is entered, the guest is
 * left, or the machine stops. */
EMU_MUST_USE enum step event_deliver(struct vcpu *cpu, uint64_t return_rip);

/* The same for cpu->raised, which may be intercepted; it is combined with cpu->delivering. */
EMU_MUST_USE enum step event_take_raised(struct vcpu *cpu);

/* Shutdown by `event`: #VMEXIT if it is intercepted, else the machine stops. `why`: how the message ends. */
EMU_MUST_USE enum step event_shutdown(struct vcpu *cpu, const struct event *event, const char *why);

#endif

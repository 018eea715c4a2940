/* What the flows of a delivery share: delivery.c reads the gate and the code segment, delivery_long.c, delivery_legacy.c and
 * delivery_real.c build the frame and enter the handler. */
#ifndef EMU_CPU_DELIVERY_PRIV_H
#define EMU_CPU_DELIVERY_PRIV_H

#include "emu/cpu/delivery.h"
#include "emu/cpu/segment.h"

struct delivery {
    const struct event *event;
    uint64_t return_rip;
    uint64_t flags; /* the image to push */
    /* From the gate. */
    uint8_t gate_type, ist;
    uint16_t selector; /* of the code segment, or of a task gate's TSS */
    uint64_t offset;
    /* The handler's code segment and level. */
    struct descriptor cs;
    unsigned cpl;
};

/* Build the frame and enter the handler. As delivery_through_idt(). */
EMU_MUST_USE enum step delivery_long(struct vcpu *cpu, struct delivery *d);
EMU_MUST_USE enum step delivery_legacy(struct vcpu *cpu, struct delivery *d);

/* Through the vector table of real mode at the linear address `ivt`. */
EMU_MUST_USE enum step delivery_real(struct vcpu *cpu, const struct delivery *d, uint32_t ivt);

/* Commit of both protected flows: RFLAGS, RIP, CS and CPL. */
void delivery_enter(struct vcpu *cpu, const struct delivery *d);

#endif

/* From instructions to ops. */
#ifndef EMU_INSN_LOWER_H
#define EMU_INSN_LOWER_H

#include "decoder/block.h"

/* The lowering for a vCPU: bodies from the instruction table as far as its model has the feature, hot
 * handlers where there are some. The vCPU is borrowed. */
struct lowering lowering_for(struct vcpu *cpu);

#endif

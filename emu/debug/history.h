/* What monitors want to know of the past of a machine: its last worlds and exceptions. */
#ifndef EMU_DEBUG_HISTORY_H
#define EMU_DEBUG_HISTORY_H

#include <pacifica/pacifica.h>

#include "emu/base/probe.h"

struct vcpu;
struct history;

/* Remember from now on. `probes` is borrowed. NULL: no memory. */
struct history *history_new(struct probes *probes);
void history_free(struct history *history); /* NULL is allowed */

/* Write which fields of the VMCB changed: in the host those that the last #VMEXIT has written, and what the host has written since; in a
 * guest those that the host has written between the last #VMEXIT and the VMRUN. */
void history_put_changes(const struct history *history, const struct vcpu *cpu,
                         const struct pacifica_output *output);

/* why.c: explain the last #VMEXIT, and the last exception that was delivered, the later one first. `history` may be NULL: then
 * exceptions are not known. */
void why_write(const struct history *history, struct vcpu *cpu,
               const struct pacifica_output *output);

#endif

/* Traces as the kernel's ftrace writes them: kvm_entry, kvm_exit and their kin, for scripts that read those. */
#ifndef EMU_TRACE_FTRACE_H
#define EMU_TRACE_FTRACE_H

#include "emu/trace/record.h"

/* What stands before the first line. */
void ftrace_head(const struct pacifica_output *output);

/* Write an event: the lines that KVM would have for it, or, if it has none, one named pacifica_EVENT. */
void ftrace_put(const struct record *kept, const struct pacifica_output *output);

#endif

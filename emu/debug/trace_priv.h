/* What the files of the trace share. */
#ifndef EMU_DEBUG_TRACE_PRIV_H
#define EMU_DEBUG_TRACE_PRIV_H

#include "emu/debug/disasm.h"
#include "emu/debug/trace.h"
#include "emu/cpu/run.h"
#include "emu/trace/rules.h"
#include "emu/trace/sink.h"
#include "svm/vmcb.h"

/* A VMCB as a VMRUN found it. */
struct trace_vmcb {
    uint64_t spa; /* UINT64_MAX: none */
    uint8_t page[VMCB_PAGE_BYTES];
};

struct pacifica_trace {
    struct probe_client client;
    struct probes *probes;
    struct vcpu *cpu;
    struct trace_rules rules;
    struct disasm *disasm;              /* svm, in_asm and exec only */
    struct trace_vmcb *vmcb[VCPUS_MAX]; /* svm only; made at a vCPU's first VMRUN */
    const char
        *trouble; /* what has gone wrong at trouble_step and asks for the ring; NULL: nothing */
    uint64_t trouble_step;
    struct sink sink;
};

/* Do the conditions hold for an event? */
bool trace_holds(const struct pacifica_trace *trace, enum trace_event which, uint64_t number,
                 const struct probe_event *event);

/* Does the trace show this event, when it has this number? */
static inline bool trace_wants(const struct pacifica_trace *trace, enum trace_event which,
                               uint64_t number, const struct probe_event *event)
{
    return rules_choose(&trace->rules, which, number) &&
           (!rules_keys(&trace->rules, which) || trace_holds(trace, which, number, event));
}

/* Start an event with the members that all have. */
void trace_begin(struct pacifica_trace *trace, const char *name, const struct probe_event *event);
/* Add the guest that it happens in, if it does in one; and where. For events that do not tell themselves. */
void trace_put_guest(struct pacifica_trace *trace, const struct probe_event *event);
void trace_put_place(struct pacifica_trace *trace, const struct probe_event *event);
void trace_end(struct pacifica_trace *trace);

/* trace_svm.c: VMRUN, #VMEXIT, nested page faults. */
void trace_vmrun(struct pacifica_trace *trace, const struct probe_event *event);
void trace_vmexit(struct pacifica_trace *trace, const struct probe_event *event);

/* trace_skinit.c: secure launches; a filter knows them by VMEXIT_SKINIT. */
void trace_skinit(struct pacifica_trace *trace, const struct probe_event *event);

/* trace_explain.c: what stands behind a #VMEXIT. Members of its line: the intercept bit, the map bit, the instruction. */
void trace_put_cause(struct pacifica_trace *trace, const struct probe_event *event);
/* Remember the VMCB at VMRUN; lines with the fields that differ from that at #VMEXIT. */
void trace_keep_vmcb(struct pacifica_trace *trace, const struct vcpu *cpu);
void trace_put_changes(struct pacifica_trace *trace, const struct probe_event *event);
/* A line for each table entry of a nested page fault's walk. */
void trace_put_walk(struct pacifica_trace *trace, const struct probe_event *event);

/* trace_stale.c: a line for each translation that outlived the tables, at VMRUN. */
void trace_stale(struct pacifica_trace *trace, const struct probe_event *event);

/* trace_code.c: decoded blocks and executed instructions. */
void trace_block(struct pacifica_trace *trace, const struct probe_event *event);
void trace_insn(struct pacifica_trace *trace, const struct probe_event *event);
/* Read code at a linear address without any effect: no TLB entry, no A bit, no MMIO. Returns how many bytes. */
size_t trace_peek(struct memory *memory, const struct walk_regime *regime, uint64_t la,
                  uint8_t *bytes, size_t size);

#endif

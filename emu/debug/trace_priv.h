/* What the files of the trace share. */
#ifndef EMU_DEBUG_TRACE_PRIV_H
#define EMU_DEBUG_TRACE_PRIV_H

#include "emu/debug/disasm.h"
#include "emu/debug/filter.h"
#include "emu/debug/record.h"
#include "emu/debug/trace.h"
#include "emu/cpu/run.h"
#include "svm/vmcb.h"

enum trace_event {
    TRACE_SVM,
    TRACE_NPT,
    TRACE_TLB,
    TRACE_INT,
    TRACE_IN_ASM,
    TRACE_EXEC,
    TRACE_MEM,
    TRACE_IO,
    TRACE_MSR,
    TRACE_GUEST_ERRORS,
    TRACE_UNIMP,
    TRACE_EVENTS
};

/* A VMCB as a VMRUN found it. */
struct trace_vmcb {
    uint64_t spa; /* UINT64_MAX: none */
    uint8_t page[VMCB_PAGE_BYTES];
};

struct pacifica_trace {
    struct probe_client client;
    struct probes *probes;
    struct vcpu *cpu;
    enum pacifica_trace_format format;
    struct pacifica_output output;
    uint32_t events; /* 1 << enum trace_event */
    struct filter filter[TRACE_EVENTS];
    struct disasm *disasm;              /* svm, in_asm and exec only */
    struct trace_vmcb *vmcb[VCPUS_MAX]; /* svm only; made at a vCPU's first VMRUN */
    struct record record;
};

/* Does the trace show this event, when it has this number? */
static inline bool trace_wants(const struct pacifica_trace *trace, enum trace_event event,
                               uint64_t number)
{
    return ((trace->events >> event) & 1) && filter_passes(&trace->filter[event], number);
}

/* Start a line with the fields that all have: event, step, vCPU. */
void trace_begin(struct pacifica_trace *trace, const char *name, const struct probe_event *event);
void trace_end(struct pacifica_trace *trace);

/* trace_svm.c: VMRUN, #VMEXIT, nested page faults. */
void trace_vmrun(struct pacifica_trace *trace, const struct probe_event *event);
void trace_vmexit(struct pacifica_trace *trace, const struct probe_event *event);
filter_names trace_exit_names; /* exit codes for filters, with or without VMEXIT_, and VMRUN */

/* trace_skinit.c: secure launches; a filter knows them by VMEXIT_SKINIT. */
void trace_skinit(struct pacifica_trace *trace, const struct probe_event *event);

/* The number that stands for VMRUN in a filter of svm events: no exit code. */
#define TRACE_NUMBER_VMRUN 0x10000u

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

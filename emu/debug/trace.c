/* Traces: choosing events, and those that are one plain line. */
#include "emu/debug/trace_priv.h"

#include "emu/base/diag.h"
#include "emu/cpu/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The events: name, probe points, what a filter's numbers are compared with, meaning. */
static const struct trace_row {
    const char *name;
    uint32_t probes;
    const char *filter; /* NULL: takes none */
    const char *meaning;
} trace_rows[TRACE_EVENTS] = {
    [TRACE_SVM] = { "svm", 1u << PROBE_ENTRY | 1u << PROBE_EXIT | 1u << PROBE_SKINIT,
                    "exit codes by name or number, VMRUN",
                    "each VMRUN and #VMEXIT, with all that stands behind it; SKINIT" },
    [TRACE_NPT] = { "npt", 1u << PROBE_EXIT, "guest physical addresses", "each nested page fault" },
    [TRACE_TLB] = { "tlb", 1u << PROBE_TLB | 1u << PROBE_ENTRY, "ASIDs",
                    "fills, evictions and flushes of the TLB; flushes that are missing at VMRUN" },
    [TRACE_INT] = { "int", 1u << PROBE_EXCEPTION, "vectors",
                    "exceptions and interrupts delivered" },
    [TRACE_IN_ASM] = { "in_asm", 1u << PROBE_BLOCK, "linear addresses",
                       "instructions when they are first decoded" },
    [TRACE_EXEC] = { "exec", 1u << PROBE_INSN, "linear addresses",
                     "each instruction executed (slow)" },
    [TRACE_MEM] = { "mem", 1u << PROBE_MEM, "linear addresses", "data accesses (slow)" },
    [TRACE_IO] = { "io", 1u << PROBE_IO, "ports", "port input and output" },
    [TRACE_MSR] = { "msr", 1u << PROBE_MSR, "MSR numbers", "RDMSR and WRMSR" },
    [TRACE_GUEST_ERRORS] = { "guest_errors", 1u << PROBE_GUEST_ERROR, NULL,
                             "what a guest does wrong by the manual" },
    [TRACE_UNIMP] = { "unimp", 1u << PROBE_UNIMP, NULL, "what is not emulated" },
};

void trace_begin(struct pacifica_trace *trace, const char *name, const struct probe_event *event)
{
    const struct vcpu *cpu = event->cpu ? event->cpu : trace->cpu;
    record_begin(&trace->record, trace->format, name);
    record_dec(&trace->record, "step", group_steps(cpu));
    record_dec(&trace->record, "cpu", cpu->index);
}

void trace_end(struct pacifica_trace *trace)
{
    record_end(&trace->record, &trace->output);
}

static void trace_tlb(struct pacifica_trace *trace, const struct probe_event *event)
{
    static const char *const change[] = {
        [PROBE_TLB_FILL] = "fill", [PROBE_TLB_EVICT] = "evict", [PROBE_TLB_FLUSH] = "flush"
    };
    if (!trace_wants(trace, TRACE_TLB, event->c))
        return;
    trace_begin(trace, "tlb", event);
    record_text(&trace->record, "op", change[event->a]);
    if (event->c != UINT64_MAX) /* else all ASIDs */
        record_dec(&trace->record, "asid", event->c);
    if (event->b != UINT64_MAX) /* else all pages */
        record_hex(&trace->record, "la", event->b);
    trace_end(trace);
}

static void trace_int(struct pacifica_trace *trace, const struct probe_event *event)
{
    static const char *const type[8] = { [EVENT_INTR] = "interrupt",
                                         [EVENT_NMI] = "nmi",
                                         [EVENT_EXCEPTION] = "exception",
                                         [EVENT_SOFT] = "software" };
    static const char *const vectors[] = { "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                           "#NM", "#DF", "9",   "#TS", "#NP", "#SS", "#GP",
                                           "#PF", "15",  "#MF", "#AC", "#MC", "#XF" };
    unsigned vector = event->a & 0xff;
    const char *kind = type[(event->a >> 8) & 7];
    if (!trace_wants(trace, TRACE_INT, vector))
        return;
    trace_begin(trace, "int", event);
    record_hex(&trace->record, "vector", vector);
    record_text(&trace->record, "type", kind ? kind : "reserved");
    record_cs_rip(&trace->record, event->cpu->regs.seg[SEG_CS].selector, cpu_rip(event->cpu));
    if ((event->a >> 11) & 1)
        record_hex(&trace->record, "error_code", event->b);
    bool exception = ((event->a >> 8) & 7) == EVENT_EXCEPTION;
    if (exception && vector == EXC_PF)
        record_hex(&trace->record, "cr2", event->c);
    if (exception && vector < sizeof(vectors) / sizeof(vectors[0]))
        record_note(&trace->record, vectors[vector]);
    trace_end(trace);
}

static void trace_access(struct pacifica_trace *trace, enum trace_event which, const char *address,
                         const struct probe_event *event)
{
    if (!trace_wants(trace, which, event->a))
        return;
    trace_begin(trace, trace_rows[which].name, event);
    record_text(&trace->record, "op", (event->b >> 8) & 1 ? "write" : "read");
    record_hex(&trace->record, address, event->a);
    record_dec(&trace->record, "size", event->b & 0xff);
    record_hex(&trace->record, "value", event->c);
    trace_end(trace);
}

static void trace_msr(struct pacifica_trace *trace, const struct probe_event *event)
{
    if (!trace_wants(trace, TRACE_MSR, event->a))
        return;
    trace_begin(trace, "msr", event);
    record_text(&trace->record, "op", event->b ? "write" : "read");
    record_hex(&trace->record, "msr", event->a);
    record_hex(&trace->record, "value", event->c);
    trace_end(trace);
}

static void trace_text(struct pacifica_trace *trace, enum trace_event which, const char *name,
                       const struct probe_event *event)
{
    if (!trace_wants(trace, which, 0))
        return;
    trace_begin(trace, name, event);
    if (event->cpu)
        record_cs_rip(&trace->record, event->cpu->regs.seg[SEG_CS].selector, cpu_rip(event->cpu));
    record_note(&trace->record, event->text);
    trace_end(trace);
}

static void trace_fire(void *self, const struct probe_event *event)
{
    struct pacifica_trace *trace = self;
    switch (event->kind) {
    case PROBE_ENTRY:
        trace_vmrun(trace, event);
        trace_stale(trace, event);
        break;
    case PROBE_EXIT: trace_vmexit(trace, event); break;
    case PROBE_INSN: trace_insn(trace, event); break;
    case PROBE_BLOCK: trace_block(trace, event); break;
    case PROBE_MEM: trace_access(trace, TRACE_MEM, "la", event); break;
    case PROBE_TLB: trace_tlb(trace, event); break;
    case PROBE_EXCEPTION: trace_int(trace, event); break;
    case PROBE_IO: trace_access(trace, TRACE_IO, "port", event); break;
    case PROBE_MSR: trace_msr(trace, event); break;
    case PROBE_GUEST_ERROR: trace_text(trace, TRACE_GUEST_ERRORS, "guest_error", event); break;
    case PROBE_UNIMP: trace_text(trace, TRACE_UNIMP, "unimp", event); break;
    case PROBE_SKINIT: trace_skinit(trace, event); break;
    case PROBE_MAGIC:
    case PROBE_TOUCH:
    case PROBE_KINDS: break;
    }
}

/* --- choosing events --------------------------------------------------------------------- */

static int find_row(const char *name, size_t length)
{
    for (int i = 0; i < TRACE_EVENTS; i++)
        if (strlen(trace_rows[i].name) == length && !memcmp(trace_rows[i].name, name, length))
            return i;
    return -1;
}

/* One EVENT[:FILTER] of `length` characters. */
static enum pacifica_status choose(struct pacifica_trace *trace, const char *text, size_t length,
                                   struct pacifica_diag *diag)
{
    const char *colon = memchr(text, ':', length);
    size_t name = colon ? (size_t)(colon - text) : length;
    int row = find_row(text, name);
    if (row < 0)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "no event '%.*s' to trace", (int)name,
                        text);
    trace->events |= 1u << row;
    trace->client.mask |= trace_rows[row].probes;
    if (!colon)
        return PACIFICA_OK;
    if (!trace_rows[row].filter)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "event '%s' takes no filter",
                        trace_rows[row].name);
    if (!filter_parse(&trace->filter[row], colon + 1, length - name - 1,
                      row == TRACE_SVM ? trace_exit_names : NULL))
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "malformed filter '%.*s' (wanted: %s)",
                        (int)length, text, trace_rows[row].filter);
    return PACIFICA_OK;
}

static enum pacifica_status choose_all(struct pacifica_trace *trace, const char *events,
                                       struct pacifica_diag *diag)
{
    for (;;) {
        size_t length = strcspn(events, ",");
        enum pacifica_status status = choose(trace, events, length, diag);
        if (status != PACIFICA_OK)
            return status;
        if (events[length] == '\0')
            return PACIFICA_OK;
        events += length + 1;
    }
}

static void trace_header(const struct pacifica_trace *trace)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "{\"schema\":\"pacifica-trace\",\"version\":%d}\n",
                          TRACE_SCHEMA_VERSION);
    if (trace->format == PACIFICA_TRACE_JSONL && trace->output.write)
        trace->output.write(trace->output.self, line, (size_t)length);
}

enum pacifica_status trace_new(struct probes *probes, struct vcpu *cpu,
                               const struct pacifica_trace_options *options,
                               struct pacifica_trace **out, struct pacifica_diag *diag)
{
    *out = NULL;
    struct pacifica_trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a trace");
    trace->client.fire = trace_fire;
    trace->client.self = trace;
    trace->probes = probes;
    trace->cpu = cpu;
    trace->format = options->format;
    trace->output = options->output;
    enum pacifica_status status = choose_all(trace, options->events ? options->events : "", diag);
    if (status != PACIFICA_OK)
        goto fail;
    if (trace->events & (1u << TRACE_SVM | 1u << TRACE_IN_ASM | 1u << TRACE_EXEC)) {
        trace->disasm = disasm_new();
        if (!trace->disasm) {
            status = diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a disassembler");
            goto fail;
        }
    }
    trace_header(trace);
    probes_attach(probes, &trace->client);
    *out = trace;
    return PACIFICA_OK;

fail:
    free(trace);
    return status;
}

void trace_free(struct pacifica_trace *trace)
{
    if (!trace)
        return;
    probes_detach(trace->probes, &trace->client);
    disasm_free(trace->disasm);
    for (unsigned i = 0; i < VCPUS_MAX; i++)
        free(trace->vmcb[i]);
    free(trace);
}

void trace_list(const struct pacifica_output *output)
{
    for (int i = 0; i < TRACE_EVENTS; i++) {
        const struct trace_row *row = &trace_rows[i];
        char line[160];
        int length = snprintf(line, sizeof(line), "%-13s %s%s%s%s\n", row->name, row->meaning,
                              row->filter ? " [filter: " : "", row->filter ? row->filter : "",
                              row->filter ? "]" : "");
        if (output->write)
            output->write(output->self, line, (size_t)length);
    }
}

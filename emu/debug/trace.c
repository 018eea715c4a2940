/* Traces: choosing events, and those that are one plain line. */
#include "emu/debug/trace_priv.h"

#include "emu/base/diag.h"
#include "emu/cpu/run.h"
#include "svm/exit_codes.h"
#include "svm/svm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The probe points of each event. */
static const uint32_t trace_probes[TRACE_EVENTS] = {
    [TRACE_SVM] = 1u << PROBE_ENTRY | 1u << PROBE_EXIT | 1u << PROBE_SKINIT | 1u << PROBE_LOADED,
    [TRACE_NPT] = 1u << PROBE_EXIT,
    [TRACE_TLB] = 1u << PROBE_TLB | 1u << PROBE_ENTRY,
    [TRACE_INT] = 1u << PROBE_EXCEPTION,
    [TRACE_IN_ASM] = 1u << PROBE_BLOCK,
    [TRACE_EXEC] = 1u << PROBE_INSN,
    [TRACE_MEM] = 1u << PROBE_MEM,
    [TRACE_IO] = 1u << PROBE_IO,
    [TRACE_MSR] = 1u << PROBE_MSR,
    [TRACE_GUEST_ERRORS] = 1u << PROBE_GUEST_ERROR,
    [TRACE_UNIMP] = 1u << PROBE_UNIMP,
};

/* Who has caused an event: devices do not say; NULL: nobody, time has passed. */
static const struct vcpu *cause_of(const struct pacifica_trace *trace,
                                   const struct probe_event *event)
{
    return event->cpu ? event->cpu : group_current(trace->cpu);
}

static const struct vcpu *cpu_of(const struct pacifica_trace *trace,
                                 const struct probe_event *event)
{
    const struct vcpu *cause = cause_of(trace, event);
    return cause ? cause : trace->cpu;
}

static uint64_t asid_now(const struct vcpu *cpu)
{
    return cpu->svm->guest ? cpu->svm->last_asid : 0;
}

static void set_key(struct trace_subject *subject, enum trace_key key, uint64_t value)
{
    subject->has |= 1u << key;
    subject->key[key] = value;
}

/* What the event is about: its own guest and place, or else those of its vCPU. */
bool trace_holds(const struct pacifica_trace *trace, enum trace_event which, uint64_t number,
                 const struct probe_event *event)
{
    const struct vcpu *cpu = cpu_of(trace, event), *cause = cause_of(trace, event);
    bool svm = (which == TRACE_SVM || which == TRACE_NPT) && event->kind != PROBE_SKINIT;
    struct trace_subject subject = { 0 };
    set_key(&subject, TRACE_KEY_STEP, group_steps(cpu));
    set_key(&subject, TRACE_KEY_CPU, cpu->index);
    if (which == TRACE_SVM)
        set_key(&subject, TRACE_KEY_CODE, number);
    else if (which == TRACE_NPT)
        set_key(&subject, TRACE_KEY_CODE, event->a);
    if (which == TRACE_TLB && number != UINT64_MAX)
        set_key(&subject, TRACE_KEY_ASID, number);
    else if (which != TRACE_TLB)
        set_key(&subject, TRACE_KEY_ASID, svm ? cpu->svm->last_asid : asid_now(cpu));
    if (which == TRACE_IN_ASM || which == TRACE_EXEC)
        set_key(&subject, TRACE_KEY_RIP, number);
    else if (cause)
        set_key(&subject, TRACE_KEY_RIP, svm ? cpu->svm->last_rip : cpu_rip(cause));
    return rules_hold(&trace->rules, which, &subject);
}

void trace_begin(struct pacifica_trace *trace, const char *name, const struct probe_event *event)
{
    const struct vcpu *cpu = cpu_of(trace, event);
    struct record *record = &trace->sink.record;
    sink_begin(&trace->sink, name);
    record_dec(record, "step", group_steps(cpu));
    record_dec(record, "cpu", cpu->index);
    record_dec(record, "ns", vcpu_now_ns(cpu));
}

void trace_put_guest(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct vcpu *cause = cause_of(trace, event);
    if (cause && cause->svm->guest)
        record_dec(&trace->sink.record, "in_asid", cause->svm->last_asid);
}

void trace_put_place(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct vcpu *cause = cause_of(trace, event);
    trace_put_guest(trace, event);
    if (cause)
        record_hex(&trace->sink.record, "in_rip", cpu_rip(cause));
}

void trace_end(struct pacifica_trace *trace)
{
    sink_end(&trace->sink);
}

static void trace_tlb(struct pacifica_trace *trace, const struct probe_event *event)
{
    static const char *const change[] = {
        [PROBE_TLB_FILL] = "fill", [PROBE_TLB_EVICT] = "evict", [PROBE_TLB_FLUSH] = "flush"
    };
    if (!trace_wants(trace, TRACE_TLB, event->c, event))
        return;
    trace_begin(trace, "tlb", event);
    trace_put_place(trace, event);
    record_text(&trace->sink.record, "op", change[event->a]);
    if (event->c != UINT64_MAX) /* else all ASIDs */
        record_dec(&trace->sink.record, "asid", event->c);
    if (event->b != UINT64_MAX) /* else all pages */
        record_hex(&trace->sink.record, "la", event->b);
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
    if (!trace_wants(trace, TRACE_INT, vector, event))
        return;
    trace_begin(trace, "int", event);
    trace_put_guest(trace, event);
    record_hex(&trace->sink.record, "vector", vector);
    record_text(&trace->sink.record, "type", kind ? kind : "reserved");
    record_cs_rip(&trace->sink.record, event->cpu->regs.seg[SEG_CS].selector, cpu_rip(event->cpu));
    if ((event->a >> 11) & 1)
        record_hex(&trace->sink.record, "error_code", event->b);
    bool exception = ((event->a >> 8) & 7) == EVENT_EXCEPTION;
    if (exception && vector == EXC_PF)
        record_hex(&trace->sink.record, "cr2", event->c);
    if (exception && vector < sizeof(vectors) / sizeof(vectors[0]))
        record_note(&trace->sink.record, vectors[vector]);
    trace_end(trace);
}

static void trace_access(struct pacifica_trace *trace, enum trace_event which, const char *address,
                         const struct probe_event *event)
{
    if (!trace_wants(trace, which, event->a, event))
        return;
    trace_begin(trace, trace_event_rows[which].name, event);
    trace_put_place(trace, event);
    record_text(&trace->sink.record, "op", (event->b >> 8) & 1 ? "write" : "read");
    record_hex(&trace->sink.record, address, event->a);
    record_dec(&trace->sink.record, "size", event->b & 0xff);
    record_hex(&trace->sink.record, "value", event->c);
    trace_end(trace);
}

static void trace_msr(struct pacifica_trace *trace, const struct probe_event *event)
{
    if (!trace_wants(trace, TRACE_MSR, event->a, event))
        return;
    trace_begin(trace, "msr", event);
    trace_put_place(trace, event);
    record_text(&trace->sink.record, "op", event->b ? "write" : "read");
    record_hex(&trace->sink.record, "msr", event->a);
    record_hex(&trace->sink.record, "value", event->c);
    trace_end(trace);
}

static void trace_text(struct pacifica_trace *trace, enum trace_event which, const char *name,
                       const struct probe_event *event)
{
    if (!trace_wants(trace, which, 0, event))
        return;
    trace_begin(trace, name, event);
    trace_put_guest(trace, event);
    if (event->cpu)
        record_cs_rip(&trace->sink.record, event->cpu->regs.seg[SEG_CS].selector,
                      cpu_rip(event->cpu));
    record_note(&trace->sink.record, event->text);
    trace_end(trace);
}

static void show(struct pacifica_trace *trace, const struct probe_event *event)
{
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
    case PROBE_LOADED:
        if (event->cpu->svm->guest) /* its VMCB is still as VMRUN has found it */
            trace_keep_vmcb(trace, event->cpu);
        break;
    case PROBE_MAGIC:
    case PROBE_TOUCH:
    case PROBE_KINDS: break;
    }
}

/* What is no good end of anything: then the last events are of interest. */
static const char *trouble(const struct probe_event *event)
{
    if (event->kind == PROBE_GUEST_ERROR)
        return "guest error";
    if (event->kind != PROBE_EXIT)
        return NULL;
    return event->a == VMEXIT_INVALID    ? "VMEXIT_INVALID"
           : event->a == VMEXIT_SHUTDOWN ? "VMEXIT_SHUTDOWN"
                                         : NULL;
}

/* What goes with trouble still comes: the #VMEXIT behind a refused VMRUN is one step later, and lines that explain it. */
static void settle_trouble(struct pacifica_trace *trace)
{
    if (trace->trouble)
        (void)sink_dump(&trace->sink, trace->trouble);
    trace->trouble = NULL;
}

static void trace_fire(void *self, const struct probe_event *event)
{
    struct pacifica_trace *trace = self;
    if (!trace->sink.ring) {
        show(trace, event);
        return;
    }
    uint64_t step = group_steps(trace->cpu);
    const char *why = trouble(event);
    if (trace->trouble && step > trace->trouble_step + 1)
        settle_trouble(trace);
    show(trace, event);
    if (why) {
        trace->trouble = why;
        trace->trouble_step = step;
    }
}

uint64_t trace_dump(struct pacifica_trace *trace, const char *why)
{
    trace->trouble = NULL;
    return sink_dump(&trace->sink, why);
}

/* --- choosing events --------------------------------------------------------------------- */

/* The probe points that the events need, and, to notice trouble, a ring. */
static uint32_t probes_of(const struct pacifica_trace *trace, bool ring)
{
    uint32_t mask = ring ? 1u << PROBE_EXIT | 1u << PROBE_GUEST_ERROR : 0;
    for (unsigned i = 0; i < TRACE_EVENTS; i++)
        if (trace->rules.events >> i & 1)
            mask |= trace_probes[i];
    return mask;
}

static enum pacifica_status choose(struct pacifica_trace *trace,
                                   const struct pacifica_trace_options *options,
                                   struct pacifica_diag *diag)
{
    enum pacifica_status status =
        rules_parse(&trace->rules, options->events ? options->events : "", diag);
    if (status != PACIFICA_OK)
        return status;
    if (!trace->rules.events)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "conditions, but no event to trace");
    if (options->format > PACIFICA_TRACE_FTRACE)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "no such format of traces");
    if (options->ring > TRACE_RING_MOST)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "at most %u events can be kept",
                        TRACE_RING_MOST);
    trace->client.mask = probes_of(trace, options->ring != 0);
    return PACIFICA_OK;
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
    enum pacifica_status status = choose(trace, options, diag);
    if (status != PACIFICA_OK)
        goto fail;
    if (trace->rules.events & (1u << TRACE_SVM | 1u << TRACE_IN_ASM | 1u << TRACE_EXEC)) {
        trace->disasm = disasm_new();
        if (!trace->disasm) {
            status = diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a disassembler");
            goto fail;
        }
    }
    if (!sink_open(&trace->sink, options->format, &options->output, options->ring)) {
        status = diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a trace");
        goto fail;
    }
    probes_attach(probes, &trace->client);
    *out = trace;
    return PACIFICA_OK;

fail:
    disasm_free(trace->disasm);
    free(trace);
    return status;
}

void trace_free(struct pacifica_trace *trace)
{
    if (!trace)
        return;
    probes_detach(trace->probes, &trace->client);
    settle_trouble(trace);
    sink_close(&trace->sink);
    disasm_free(trace->disasm);
    for (unsigned i = 0; i < VCPUS_MAX; i++)
        free(trace->vmcb[i]);
    free(trace);
}

void trace_list(const struct pacifica_output *output)
{
    for (int i = 0; i < TRACE_EVENTS; i++) {
        const struct trace_event_row *row = &trace_event_rows[i];
        char line[160];
        int length = snprintf(line, sizeof(line), "%-13s %s%s%s%s\n", row->name, row->meaning,
                              row->numbers ? " [filter: " : "", row->numbers ? row->numbers : "",
                              row->numbers ? "]" : "");
        if (output->write)
            output->write(output->self, line, (size_t)length);
    }
}

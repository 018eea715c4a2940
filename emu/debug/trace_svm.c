/* Traces of AMD-V: VMRUN, #VMEXIT and nested page faults. */
#include "emu/debug/trace_priv.h"

#include "emu/cpu/run.h"
#include "emu/trace/exit_words.h"
#include "svm/describe.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

/* ASID and CS:RIP of the guest: as VMRUN found it in the VMCB, or as #VMEXIT left it there. */
static void put_guest(struct pacifica_trace *trace, const struct svm_state *svm)
{
    record_dec(&trace->sink.record, "asid", svm->last_asid);
    record_cs_rip(&trace->sink.record, svm->last_cs, svm->last_rip);
}

/* EVENTINJ or EXITINTINFO in words. */
static void put_event(struct pacifica_trace *trace, const char *name, uint64_t word)
{
    char words[64];
    (void)svm_describe_event(words, sizeof(words), word);
    record_text(&trace->sink.record, name, words);
}

void trace_vmrun(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct svm_state *svm = event->cpu->svm;
    if (trace->rules.events >> TRACE_SVM & 1)
        trace_keep_vmcb(trace, event->cpu);
    if (!trace_wants(trace, TRACE_SVM, EXIT_WORD_VMRUN, event))
        return;
    trace_begin(trace, "vmrun", event);
    record_dec(&trace->sink.record, "insns", cpu_insns(event->cpu));
    put_guest(trace, svm);
    record_hex(&trace->sink.record, "vmcb", event->a);
    record_bool(&trace->sink.record, "np", svm->last_nested);
    record_hex(&trace->sink.record, "cr3", svm->last_cr3);
    if (svm->last_tlb_control)
        record_hex(&trace->sink.record, "tlb_control", svm->last_tlb_control);
    if (svm->last_eventinj & EVENTINJ_V) {
        record_hex(&trace->sink.record, "eventinj", svm->last_eventinj);
        put_event(trace, "injects", svm->last_eventinj);
    }
    trace_end(trace);
}

static void put_words(struct pacifica_trace *trace, const struct probe_event *event)
{
    bool assists = event->cpu->svm->model.features & SVM_FEATURE_DECODE_ASSISTS;
    char words[200];
    if ((assists ? svm_describe_exit : svm_describe_exit_plain)(words, sizeof(words), event->a,
                                                                event->b, event->c) > 0)
        record_note(&trace->sink.record, words);
}

/* --- VMEXIT_INVALID ----------------------------------------------------------------------- */

static void put_rule(struct pacifica_trace *trace, const struct svm_invalid *invalid)
{
    record_text(&trace->sink.record, "field", invalid->field);
    record_hex(&trace->sink.record, "value", invalid->value);
    record_text(&trace->sink.record, "section", invalid->section);
    record_note(&trace->sink.record, invalid->rule);
}

/* A line for each rule behind the first, which stands in the line of the #VMEXIT. */
static void put_further_rules(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct svm_state *svm = event->cpu->svm;
    for (unsigned i = 0; i + 1 < svm->invalid_count && i < SVM_FURTHER; i++) {
        trace_begin(trace, "vmexit_rule", event);
        record_dec(&trace->sink.record, "asid", svm->last_asid);
        put_rule(trace, &svm->further[i]);
        trace_end(trace);
    }
}

/* --- #VMEXIT ------------------------------------------------------------------------------ */

static void put_exit(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct svm_state *svm = event->cpu->svm;
    const char *name = svm_exit_name(event->a);
    bool invalid = event->a == VMEXIT_INVALID && svm->invalid.rule;
    trace_begin(trace, "vmexit", event);
    record_dec(&trace->sink.record, "insns", cpu_insns(event->cpu));
    put_guest(trace, svm);
    record_text(&trace->sink.record, "name", name ? name : "reserved");
    record_hex(&trace->sink.record, "code", event->a);
    record_hex(&trace->sink.record, "info1", event->b);
    record_hex(&trace->sink.record, "info2", event->c);
    if (svm->last_exitintinfo & EVENTINJ_V) {
        record_hex(&trace->sink.record, "exitintinfo", svm->last_exitintinfo);
        put_event(trace, "delivering", svm->last_exitintinfo);
    }
    if (svm->last_nrip)
        record_hex(&trace->sink.record, "nrip", svm->last_nrip);
    trace_put_cause(trace, event);
    if (invalid) {
        record_dec(&trace->sink.record, "rules", svm->invalid_count);
        put_rule(trace, &svm->invalid);
    } else {
        put_words(trace, event);
    }
    trace_end(trace);
    if (invalid)
        put_further_rules(trace, event);
}

static void put_npf(struct pacifica_trace *trace, const struct probe_event *event)
{
    trace_begin(trace, "npf", event);
    put_guest(trace, event->cpu->svm);
    record_hex(&trace->sink.record, "gpa", event->c);
    record_hex(&trace->sink.record, "info1", event->b);
    put_words(trace, event);
    trace_end(trace);
}

void trace_vmexit(struct pacifica_trace *trace, const struct probe_event *event)
{
    bool svm = trace_wants(trace, TRACE_SVM, event->a, event);
    bool npf = event->a == VMEXIT_NPF && trace_wants(trace, TRACE_NPT, event->c, event);
    if (svm)
        put_exit(trace, event);
    if (npf)
        put_npf(trace, event);
    if (event->a == VMEXIT_NPF && (svm || npf))
        trace_put_walk(trace, event);
    if (svm)
        trace_put_changes(trace, event);
}

/* Traces of AMD-V: VMRUN, #VMEXIT and nested page faults. */
#include "emu/debug/trace_priv.h"

#include "emu/cpu/run.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    uint64_t code;
} exit_names[] = {
#define VMEXIT_CODE(code, name, what) {#name, code},
#define VMEXIT_NEGATIVE(code, name, what) {#name, VMEXIT_##name},
#include "svm/exit_codes.def"
#undef VMEXIT_CODE
#undef VMEXIT_NEGATIVE
};

bool trace_exit_names(const char *word, uint64_t *value)
{
    if (strcasecmp(word, "VMRUN") == 0) {
        *value = TRACE_NUMBER_VMRUN;
        return true;
    }
    if (strncasecmp(word, "VMEXIT_", 7) == 0)
        word += 7;
    for (size_t i = 0; i < sizeof(exit_names) / sizeof(exit_names[0]); i++) {
        if (strcasecmp(word, exit_names[i].name) == 0) {
            *value = exit_names[i].code;
            return true;
        }
    }
    return false;
}

/* A field of the current VMCB as it stands in memory; 0 if it lies outside RAM. No effects. */
static uint64_t vmcb_peek(const struct vcpu *cpu, enum vmcb_field field)
{
    const uint8_t *page = memory_ptr(cpu->memory, cpu->svm->vmcb_spa, VMCB_PAGE_BYTES);
    return page ? vmcb_field_value(page, field) : 0;
}

/* ASID and CS:RIP of the guest, from the VMCB: at both probe points it holds them. */
static void put_guest(struct pacifica_trace *trace, const struct vcpu *cpu)
{
    record_dec(&trace->record, "asid", vmcb_peek(cpu, VMCB_GUEST_ASID));
    record_cs_rip(&trace->record, (uint16_t)vmcb_peek(cpu, VMCB_CS_SEL),
                  vmcb_peek(cpu, VMCB_RIP));
}

void trace_vmrun(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct vcpu *cpu = event->cpu;
    if (!trace_wants(trace, TRACE_SVM, TRACE_NUMBER_VMRUN))
        return;
    trace_begin(trace, "vmrun", event);
    put_guest(trace, cpu);
    record_hex(&trace->record, "vmcb", event->a);
    if (vmcb_peek(cpu, VMCB_NESTED_CONTROL) & NESTED_NP_ENABLE)
        record_hex(&trace->record, "n_cr3", vmcb_peek(cpu, VMCB_N_CR3));
    uint64_t inject = vmcb_peek(cpu, VMCB_EVENTINJ);
    if (inject & EVENTINJ_V)
        record_hex(&trace->record, "eventinj", inject);
    trace_end(trace);
}

/* The rule behind a VMEXIT_INVALID. */
static void put_invalid(struct pacifica_trace *trace, const struct svm_invalid *invalid)
{
    if (!invalid->rule)
        return;
    record_text(&trace->record, "field", invalid->field ? invalid->field : "");
    record_hex(&trace->record, "value", invalid->value);
    record_text(&trace->record, "section", invalid->section ? invalid->section : "");
    record_note(&trace->record, invalid->rule);
}

static void put_exit(struct pacifica_trace *trace, const struct probe_event *event)
{
    const char *name = svm_exit_name(event->a);
    trace_begin(trace, "vmexit", event);
    put_guest(trace, event->cpu);
    record_text(&trace->record, "name", name ? name : "reserved");
    record_hex(&trace->record, "code", event->a);
    record_hex(&trace->record, "info1", event->b);
    record_hex(&trace->record, "info2", event->c);
    if (event->cpu->svm->last_exitintinfo & EVENTINJ_V)
        record_hex(&trace->record, "exitintinfo", event->cpu->svm->last_exitintinfo);
    if (event->a == VMEXIT_INVALID) {
        put_invalid(trace, &event->cpu->svm->invalid);
    } else {
        char words[200];
        if (svm_describe_exit(words, sizeof(words), event->a, event->b, event->c) > 0)
            record_note(&trace->record, words);
    }
    trace_end(trace);
}

static void put_npf(struct pacifica_trace *trace, const struct probe_event *event)
{
    char words[200];
    trace_begin(trace, "npf", event);
    put_guest(trace, event->cpu);
    record_hex(&trace->record, "gpa", event->c);
    record_hex(&trace->record, "info1", event->b);
    if (svm_describe_exit(words, sizeof(words), event->a, event->b, event->c) > 0)
        record_note(&trace->record, words);
    trace_end(trace);
}

void trace_vmexit(struct pacifica_trace *trace, const struct probe_event *event)
{
    if (trace_wants(trace, TRACE_SVM, event->a))
        put_exit(trace, event);
    if (event->a == VMEXIT_NPF && trace_wants(trace, TRACE_NPT, event->c))
        put_npf(trace, event);
}

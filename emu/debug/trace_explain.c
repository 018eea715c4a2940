/* What stands behind a #VMEXIT: the intercept bit, the instruction, the fields that changed, the walk of a nested page fault.
 * All of it is found when a trace asks, from the VMCB and guest memory as they are at the exit; nothing has an effect. */
#include "emu/debug/trace_priv.h"

#include "emu/cpu/msr.h"
#include "emu/debug/exit_facts.h"
#include "emu/debug/walk_words.h"
#include "svm/describe.h"
#include "svm/svm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The instruction at the saved RIP: that which exits, or the one that would run next. */
static void put_insn(struct pacifica_trace *trace, const struct probe_event *event,
                     const uint8_t *vmcb)
{
    uint8_t bytes[EXIT_INSN_BYTES];
    char text[96];
    unsigned bits;
    size_t size = exit_code(event->cpu, vmcb, bytes, &bits);
    if (size == 0)
        return;
    size_t length = disasm_insn(trace->disasm, bits, event->cpu->svm->last_rip, bytes, size, text,
                                sizeof(text));
    record_bytes(&trace->sink.record, "bytes", bytes, length);
    record_text(&trace->sink.record,
                svm_exit_is_fault(event->cpu->svm, event->a, event->b) ? "insn" : "next_insn",
                text);
}

/* --- the cause ------------------------------------------------------------------------------- */

static void put_map_bit(struct pacifica_trace *trace, const struct probe_event *event)
{
    struct svm_map_bit at;
    if (!exit_map_bit(event->cpu, event->a, event->b, (uint32_t)event->cpu->r[REG_RCX], &at))
        return;
    record_hex(&trace->sink.record, "map", at.spa);
    record_dec(&trace->sink.record, "map_bit", at.bit);
}

static void put_msr(struct pacifica_trace *trace, const struct probe_event *event)
{
    uint32_t msr = (uint32_t)event->cpu->r[REG_RCX]; /* #VMEXIT leaves RCX alone */
    const struct msr_info *info = msr_find(event->cpu, msr);
    record_hex(&trace->sink.record, "msr", msr);
    if (info)
        record_text(&trace->sink.record, "msr_name", info->name);
}

void trace_put_cause(struct pacifica_trace *trace, const struct probe_event *event)
{
    const uint8_t *vmcb = exit_vmcb(event->cpu);
    unsigned intercept;
    char name[32];
    if (svm_exit_intercept(event->a, &intercept)) {
        (void)svm_describe_intercept(name, sizeof(name), intercept);
        record_text(&trace->sink.record, "intercept", name);
        record_hex(&trace->sink.record, "offset", intercept / 32 * 4);
        record_dec(&trace->sink.record, "bit", intercept % 32);
    }
    if (!vmcb || event->a > INT64_MAX) /* a guest that VMRUN refused has run nothing */
        return;
    if (event->a == VMEXIT_MSR)
        put_msr(trace, event);
    put_map_bit(trace, event);
    put_insn(trace, event, vmcb);
}

/* --- what changed ---------------------------------------------------------------------------- */

void trace_keep_vmcb(struct pacifica_trace *trace, const struct vcpu *cpu)
{
    const uint8_t *page = exit_vmcb(cpu);
    struct trace_vmcb **kept = &trace->vmcb[cpu->index];
    if (!*kept)
        *kept = malloc(sizeof(**kept));
    if (!*kept)
        return; /* then there is nothing to compare with */
    (*kept)->spa = page ? cpu->svm->vmcb_spa : UINT64_MAX;
    if (page)
        memcpy((*kept)->page, page, VMCB_PAGE_BYTES);
}

static void value_text(char text[2 * 40 + 4], const uint8_t *page, enum vmcb_field field)
{
    if (vmcb_fields[field].bytes <= 8)
        (void)snprintf(text, 84, "0x%" PRIx64, vmcb_field_value(page, field));
    else
        (void)svm_describe_value(text, 84, page, field);
}

static void changes_begin(struct pacifica_trace *trace, const struct probe_event *event)
{
    trace_begin(trace, "vmexit_changes", event);
    record_dec(&trace->sink.record, "asid", event->cpu->svm->last_asid);
}

void trace_put_changes(struct pacifica_trace *trace, const struct probe_event *event)
{
    const uint8_t *now = exit_vmcb(event->cpu);
    const struct trace_vmcb *then = trace->vmcb[event->cpu->index];
    bool any = false;
    if (!now || !then || then->spa != event->cpu->svm->vmcb_spa)
        return;
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        const struct vmcb_field_info *info = &vmcb_fields[i];
        char before[84], after[84];
        if (memcmp(now + info->offset, then->page + info->offset, info->bytes) == 0)
            continue;
        value_text(before, then->page, (enum vmcb_field)i);
        value_text(after, now, (enum vmcb_field)i);
        if (!any)
            changes_begin(trace, event);
        any = true;
        if (record_change(&trace->sink.record, info->name, before, after))
            continue;
        trace_end(trace); /* the rest stands in a further line */
        changes_begin(trace, event);
        (void)record_change(&trace->sink.record, info->name, before, after);
    }
    if (any)
        trace_end(trace);
}

/* --- the walk of a nested page fault --------------------------------------------------------- */

static void put_step(struct pacifica_trace *trace, const struct probe_event *event,
                     const struct walk_regime *regime, const struct walk_step *step,
                     const char *stop)
{
    char words[96];
    /* What a device answers need not be what it answered to the processor. */
    bool in_memory = memory_backing(event->cpu->memory, step->spa) != UINT64_MAX;
    trace_begin(trace, "npf_walk", event);
    record_text(&trace->sink.record, "tables", step->guest ? "guest" : "nested");
    record_text(&trace->sink.record, "level", walk_level_name(step->level));
    if (step->guest)
        record_hex(&trace->sink.record, "gpa", step->address);
    record_hex(&trace->sink.record, "spa", step->spa);
    record_hex(&trace->sink.record, "entry", step->entry);
    if (stop && in_memory)
        record_text(&trace->sink.record, "stop", stop);
    walk_entry_words(words, sizeof(words), regime, step);
    record_note(&trace->sink.record, in_memory ? words : "not in memory");
    trace_end(trace);
}

void trace_put_walk(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct vcpu *cpu = event->cpu;
    const uint8_t *vmcb = exit_vmcb(cpu);
    struct walk_log log;
    char stop[40];
    if (!vmcb || !cpu->svm->last_nested)
        return;
    const struct walk_regime guest = exit_regime(cpu, vmcb);
    bool same = exit_npf_walk(cpu, vmcb, event->b, event->c, &log);
    int at = same ? walk_stop_words(stop, sizeof(stop), guest.nested, &log, event->b) : -1;
    for (unsigned i = 0; i < log.count; i++)
        put_step(trace, event, log.step[i].guest ? &guest : guest.nested, &log.step[i],
                 at == (int)i ? stop : NULL);
    if (same && (at >= 0 || log.count))
        return;
    trace_begin(trace, "npf_walk", event);
    record_note(&trace->sink.record,
                same ? "the address is beyond what the nested tables can map"
                     : "the tables do not say so now: an older translation was cached");
    trace_end(trace);
}

/* What stands behind a #VMEXIT: the intercept bit, the instruction, the fields that changed, the walk of a nested page fault.
 * All of it is found when a trace asks, from the VMCB and guest memory as they are at the exit; nothing has an effect. */
#include "emu/debug/trace_priv.h"

#include "emu/cpu/msr.h"
#include "emu/debug/walk_words.h"
#include "svm/describe.h"
#include "svm/svm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSN_BYTES 15

/* The VMCB of the last VMRUN, or NULL: it lies outside RAM, and reading it again could have effects. */
static const uint8_t *vmcb_page(const struct vcpu *cpu)
{
    return memory_ptr(cpu->memory, cpu->svm->vmcb_spa, VMCB_PAGE_BYTES);
}

/* --- the guest as the VMCB has it ---------------------------------------------------------- */

/* The guest's regime with every right of the supervisor: what a report reads, whoever may use it. */
static struct walk_regime saved_regime(const struct vcpu *cpu, const uint8_t *vmcb)
{
    const struct svm_state *svm = cpu->svm;
    return (struct walk_regime){ .mode = walk_mode_of(VMCB_GET(vmcb, CR0), VMCB_GET(vmcb, CR4),
                                                      VMCB_GET(vmcb, EFER)),
                                 .root = VMCB_GET(vmcb, CR3),
                                 .nxe = VMCB_GET(vmcb, EFER) & EFER_NXE,
                                 .pse = VMCB_GET(vmcb, CR4) & CR4_PSE,
                                 .asid = (uint16_t)svm->last_asid,
                                 .maxphyaddr = svm->model.maxphyaddr,
                                 .page_1gb = svm->model.page_1gb,
                                 .smm = cpu->regs.smm,
                                 .nested = svm->last_nested ? &svm->host_regime : NULL };
}

static unsigned saved_code_bits(const uint8_t *vmcb)
{
    uint64_t attr = VMCB_GET(vmcb, CS_ATTR);
    if ((VMCB_GET(vmcb, EFER) & EFER_LMA) && (attr & SEG_ATTR_L))
        return 64;
    return attr & SEG_ATTR_DB ? 32 : 16;
}

/* The instruction at the saved RIP: that which exits, or the one that would run next. */
static void put_insn(struct pacifica_trace *trace, const struct probe_event *event,
                     const uint8_t *vmcb)
{
    const struct vcpu *cpu = event->cpu;
    uint8_t bytes[INSN_BYTES];
    char text[96];
    unsigned bits = saved_code_bits(vmcb);
    uint64_t rip = VMCB_GET(vmcb, RIP);
    const struct walk_regime regime = saved_regime(cpu, vmcb);
    uint64_t la = bits == 64 ? rip : (uint32_t)(VMCB_GET(vmcb, CS_BASE) + rip);
    bool canonical = paging_is_canonical(la, regime.mode == WALK_5LEVEL);
    size_t size = canonical ? trace_peek(cpu->memory, &regime, la, bytes, sizeof(bytes)) : 0;
    if (size == 0)
        return;
    size_t length = disasm_insn(trace->disasm, bits, rip, bytes, size, text, sizeof(text));
    record_bytes(&trace->sink.record, "bytes", bytes, length);
    record_text(&trace->sink.record,
                svm_exit_is_fault(cpu->svm, event->a, event->b) ? "insn" : "next_insn", text);
}

/* --- the cause ------------------------------------------------------------------------------- */

static void put_map_bit(struct pacifica_trace *trace, struct svm_map_bit at)
{
    record_hex(&trace->sink.record, "map", at.spa);
    record_dec(&trace->sink.record, "map_bit", at.bit);
}

static void put_msr(struct pacifica_trace *trace, const struct probe_event *event)
{
    uint32_t msr = (uint32_t)event->cpu->r[REG_RCX]; /* #VMEXIT leaves RCX alone */
    const struct msr_info *info = msr_find(event->cpu, msr);
    struct svm_map_bit at;
    record_hex(&trace->sink.record, "msr", msr);
    if (info)
        record_text(&trace->sink.record, "msr_name", info->name);
    if (svm_msr_map_bit(event->cpu->svm, msr, event->b & 1, &at))
        put_map_bit(trace, at);
}

/* The first port of an access whose bit is set in the IOPM. APM vol 2, 15.10.1 "I/O Permissions Map". */
static void put_port(struct pacifica_trace *trace, const struct probe_event *event)
{
    uint32_t port = event->b >> 16 & 0xffff;
    unsigned size = event->b & 0x10 ? 1 : event->b & 0x20 ? 2 : 4;
    for (unsigned i = 0; i < size; i++) {
        struct svm_map_bit at = svm_io_map_bit(event->cpu->svm, port + i);
        const uint8_t *byte = memory_ptr(event->cpu->memory, at.spa, 1);
        if (byte && (*byte >> at.bit & 1)) {
            put_map_bit(trace, at);
            return;
        }
    }
}

void trace_put_cause(struct pacifica_trace *trace, const struct probe_event *event)
{
    const uint8_t *vmcb = vmcb_page(event->cpu);
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
    if (event->a == VMEXIT_IOIO)
        put_port(trace, event);
    put_insn(trace, event, vmcb);
}

/* --- what changed ---------------------------------------------------------------------------- */

void trace_keep_vmcb(struct pacifica_trace *trace, const struct vcpu *cpu)
{
    const uint8_t *page = vmcb_page(cpu);
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
    const uint8_t *now = vmcb_page(event->cpu);
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

static struct access fault_access(uint64_t info1, bool fetch)
{
    if (fetch || (info1 & PF_ID))
        return (struct access){ .kind = ACCESS_EXEC };
    return (struct access){ .kind = info1 & PF_RW ? ACCESS_WRITE : ACCESS_READ,
                            .shadow_stack = info1 & PF_SS,
                            .supervisor = (info1 & (PF_SS | PF_US)) == PF_SS };
}

/* Walk again, without effects: in both dimensions from the linear address that the access recorded, or else the nested one
 * from the guest physical address alone. true: it ends in the same fault. */
static bool fault_walk(const struct probe_event *event, const uint8_t *vmcb, bool both,
                       struct walk_log *log)
{
    const struct vcpu *cpu = event->cpu;
    struct walk_regime regime = saved_regime(cpu, vmcb);
    struct access access = fault_access(event->b, both && cpu->raised.fetch);
    if (regime.nested->gmet && (event->b & PF_US)) /* US tells the guest's level then */
        regime.cpl = 3;
    if (!both)
        regime.mode = WALK_NONE;
    uint64_t la = both ? cpu->raised.cr2 : event->c;
    struct walk_result found = walk_explain(cpu->memory, &regime, la, access, log);
    /* US need not tell whose shadow stack it is, but a page of the guest's is only one level's. */
    if (found.status == WALK_FAULT && access.shadow_stack) {
        access.supervisor = !access.supervisor;
        found = walk_explain(cpu->memory, &regime, la, access, log);
    }
    return found.status == WALK_NPF && found.gpa == event->c;
}

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
    const uint8_t *vmcb = vmcb_page(cpu);
    struct walk_log log;
    char stop[40];
    if (!vmcb || !cpu->svm->last_nested)
        return;
    const struct walk_regime guest = saved_regime(cpu, vmcb);
    const struct raised *raised = &cpu->raised;
    bool known = raised->npf && raised->info1 == event->b && raised->info2 == event->c;
    /* VMLOAD and VMSAVE of a guest have a guest physical address where others have a linear one. */
    bool same =
        (known && fault_walk(event, vmcb, true, &log)) || fault_walk(event, vmcb, false, &log);
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

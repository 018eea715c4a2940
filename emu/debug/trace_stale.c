/* Translations that VMRUN finds in the TLB and that the tables do not have any more: whoever changed them has not flushed. */
#include "emu/debug/trace_priv.h"

#include "emu/debug/info_priv.h"

#include <inttypes.h>
#include <stdio.h>

struct search {
    struct pacifica_trace *trace;
    const struct probe_event *event;
    struct walk_regime guest;  /* where linear addresses are walked */
    struct walk_regime nested; /* where guest physical ones are: no tables of the guest's */
};

/* The entry is of the guest that starts, in the address space that it starts with. */
static bool is_reachable(const struct search *s, const struct tlb_view *view)
{
    uint64_t pcid = s->guest.pcide ? s->guest.root & 0xfff : 0;
    if (view->asid != s->guest.asid)
        return false;
    return view->kind == TLB_NESTED ? s->guest.nested != NULL : view->global || view->pcid == pcid;
}

/* What the tables say against an entry; false: nothing. Rights that they have gained are no matter: a fault walks again. */
static bool differs(const struct tlb_view *view, const struct walk_result *now, char *text,
                    size_t size)
{
    const char *denied = NULL;
    if (now->status != WALK_OK) {
        (void)snprintf(text, size, "the tables do not map it any more");
        return true;
    }
    if (now->spa != view->spa) {
        (void)snprintf(text, size, "the tables say 0x%" PRIx64 " now", now->spa);
        return true;
    }
    if (view->kind == TLB_NESTED)
        return false;
    if (view->writable && !now->writable)
        denied = "writes";
    else if (view->user && !now->user)
        denied = "users";
    else if (!view->nx && now->nx)
        denied = "execution";
    if (denied)
        (void)snprintf(text, size, "the tables deny %s now", denied);
    return denied != NULL;
}

static void look(void *self, const struct tlb_view *view)
{
    const struct search *s = self;
    bool nested = view->kind == TLB_NESTED;
    struct walk_log log;
    char text[64];
    if (!is_reachable(s, view))
        return;
    const struct walk_result now =
        walk_explain(s->event->cpu->memory, nested ? &s->nested : &s->guest, view->page,
                     (struct access){ .kind = ACCESS_READ }, &log);
    if (!differs(view, &now, text, sizeof(text)))
        return;
    trace_begin(s->trace, "tlb", s->event);
    record_text(&s->trace->sink.record, "op", "stale");
    record_dec(&s->trace->sink.record, "asid", view->asid);
    record_hex(&s->trace->sink.record, nested ? "gpa" : "la", view->page);
    record_hex(&s->trace->sink.record, "spa", view->spa);
    record_note(&s->trace->sink.record, text);
    trace_end(s->trace);
}

/* Behind the flush of TLB_CONTROL, before the first instruction. */
void trace_stale(struct pacifica_trace *trace, const struct probe_event *event)
{
    struct vcpu *cpu = event->cpu;
    if (!cpu->svm->guest) /* refused */
        return;
    struct search s = { .trace = trace, .event = event, .guest = info_regime(cpu) };
    s.nested = s.guest;
    s.nested.mode = WALK_NONE;
    if (trace_wants(trace, TRACE_TLB, s.guest.asid, event))
        paging_each(cpu->paging, look, &s);
}

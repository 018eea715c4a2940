/* A line for each SKINIT: what was measured. */
#include "emu/debug/trace_priv.h"

#include "svm/svm.h"

static void put_digest(struct pacifica_trace *trace, const char *name, const uint8_t *digest,
                       unsigned bytes)
{
    char text[SVM_DIGEST_TEXT];
    record_text(&trace->sink.record, name, svm_digest_text(digest, bytes, text));
}

static void put_pcr17(struct pacifica_trace *trace, const struct svm_launch *launch)
{
    uint8_t pcr[SHA256_BYTES];
    svm_launch_pcr17_sha1(launch, pcr);
    put_digest(trace, "pcr17_sha1", pcr, SHA1_BYTES);
    svm_launch_pcr17_sha256(launch, pcr);
    put_digest(trace, "pcr17_sha256", pcr, SHA256_BYTES);
}

void trace_skinit(struct pacifica_trace *trace, const struct probe_event *event)
{
    const struct svm_launch *launch = &event->cpu->svm->launch;
    if (!trace_wants(trace, TRACE_SVM, VMEXIT_SKINIT, event))
        return;
    trace_begin(trace, "skinit", event);
    record_hex(&trace->sink.record, "slb", launch->slb);
    record_hex(&trace->sink.record, "entry", launch->entry);
    record_dec(&trace->sink.record, "length", launch->length);
    put_digest(trace, "sha1", launch->sha1, SHA1_BYTES);
    put_digest(trace, "sha256", launch->sha256, SHA256_BYTES);
    if (launch->failure)
        record_note(&trace->sink.record, launch->failure);
    else
        put_pcr17(trace, launch);
    trace_end(trace);
}

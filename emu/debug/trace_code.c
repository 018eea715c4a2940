/* Traces of code: blocks when they are decoded, instructions when they are executed. */
#include "emu/debug/trace_priv.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/run.h"

#include <string.h>

#define INSN_BYTES 15

static unsigned code_bits(const struct vcpu *cpu)
{
    switch (cpu->mode) {
    case MODE_LONG64: return 64;
    case MODE_REAL32:
    case MODE_PROT32:
    case MODE_COMPAT32: return 32;
    default: return 16;
    }
}

/* One instruction; returns its length. */
static size_t trace_code(struct pacifica_trace *trace, const char *name,
                         const struct probe_event *event, uint64_t rip, const uint8_t *bytes,
                         size_t size)
{
    char text[96];
    size_t length =
        disasm_insn(trace->disasm, code_bits(event->cpu), rip, bytes, size, text, sizeof(text));
    trace_begin(trace, name, event);
    trace_put_guest(trace, event);
    record_hex(&trace->sink.record, "rip", rip);
    record_bytes(&trace->sink.record, "bytes", bytes, length);
    record_note(&trace->sink.record, text);
    trace_end(trace);
    return length;
}

/* The bytes of RAM or ROM at [spa, spa + len) if that is within one page, else NULL. */
static const uint8_t *code_bytes(const struct memory *memory, uint64_t spa, size_t len)
{
    uint64_t page = memory_backing(memory, spa);
    if (page == UINT64_MAX || (spa & 4095) + len > 4096)
        return NULL;
    return memory_page_ptr(memory, page) + (spa & 4095);
}

void trace_block(struct pacifica_trace *trace, const struct probe_event *event)
{
    const uint8_t *bytes = code_bytes(event->cpu->memory, event->b, event->c);
    for (size_t at = 0; at < event->c;) {
        if (!trace_wants(trace, TRACE_IN_ASM, event->a + at, event))
            return;
        /* Code in MMIO or across a page has no bytes here that could be read without effects. */
        size_t length = trace_code(trace, "in_asm", event, event->a + at, bytes ? bytes + at : NULL,
                                   bytes ? event->c - at : 0);
        at += length ? length : event->c - at;
    }
}

size_t trace_peek(struct memory *memory, const struct walk_regime *regime, uint64_t la,
                  uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        uint64_t at = la + done;
        struct walk_result result =
            walk(memory, regime, at, (struct access){ .kind = ACCESS_EXEC }, false);
        size_t part = 4096 - (at & 4095);
        if (part > size - done)
            part = size - done;
        const uint8_t *ptr = result.status == WALK_OK ? code_bytes(memory, result.spa, part) : NULL;
        if (!ptr)
            break;
        memcpy(bytes + done, ptr, part);
        done += part;
    }
    return done;
}

void trace_insn(struct pacifica_trace *trace, const struct probe_event *event)
{
    if (!trace_wants(trace, TRACE_EXEC, event->a, event))
        return;
    uint8_t bytes[INSN_BYTES];
    struct vcpu *cpu = event->cpu;
    size_t size = trace_peek(cpu->memory, mem_regime(cpu), event->a, bytes, sizeof(bytes));
    (void)trace_code(trace, "exec", event, event->a, bytes, size);
}

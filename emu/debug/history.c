/* Remembering, and what changed in a VMCB. */
#include "emu/debug/history_priv.h"

#include "emu/debug/exit_facts.h"
#include "emu/debug/info_priv.h"
#include "emu/debug/trace_priv.h"
#include "emu/debug/vmcb_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- remembering ------------------------------------------------------------------------------ */

static void keep_page(struct history_page *kept, const struct vcpu *cpu)
{
    const uint8_t *page = exit_vmcb(cpu);
    kept->valid = page != NULL;
    kept->spa = cpu->svm->vmcb_spa;
    kept->steps = vcpu_steps(cpu);
    if (page)
        memcpy(kept->bytes, page, VMCB_PAGE_BYTES);
}

/* The RIP that the delivery has pushed. CHOICE: through a 16-bit gate in a 32-bit segment it is not found. */
static bool pushed_rip(struct vcpu *cpu, bool has_code, uint64_t *rip)
{
    unsigned width = cpu->mode == MODE_LONG64                   ? 8
                     : cpu->regs.seg[SEG_CS].attr & SEG_ATTR_DB ? 4
                                                                : 2;
    const struct walk_regime regime = info_regime(cpu);
    uint64_t la = cpu->r[REG_RSP] + (has_code ? width : 0);
    if (width != 8) {
        uint64_t mask = cpu->regs.seg[SEG_SS].attr & SEG_ATTR_DB ? UINT32_MAX : UINT16_MAX;
        la = (uint32_t)(cpu->regs.seg[SEG_SS].base + (la & mask));
    }
    *rip = 0;
    return paging_is_canonical(la, regime.mode == WALK_5LEVEL) &&
           trace_peek(cpu->memory, &regime, la, (uint8_t *)rip, width) == width;
}

static void keep_exception(struct history_exception *kept, const struct probe_event *event)
{
    struct vcpu *cpu = event->cpu;
    if ((event->a >> 8 & 7) != EVENT_EXCEPTION)
        return;
    *kept = (struct history_exception){ .valid = true,
                                        .guest = cpu->svm->guest,
                                        .has_code = event->a >> 11 & 1,
                                        .vector = event->a & 0xff,
                                        .code = (uint32_t)event->b,
                                        .asid = cpu->svm->last_asid,
                                        .steps = vcpu_steps(cpu),
                                        .cr2 = event->c };
    kept->placed = pushed_rip(cpu, kept->has_code, &kept->rip);
}

static void fire(void *self, const struct probe_event *event)
{
    struct history *history = self;
    struct history_cpu **cpu = &history->cpu[event->cpu->index];
    if (!*cpu && !(*cpu = calloc(1, sizeof(**cpu))))
        return;
    switch (event->kind) {
    case PROBE_ENTRY: keep_page(&(*cpu)->entry, event->cpu); break;
    case PROBE_EXIT:
        keep_page(&(*cpu)->exit, event->cpu);
        (*cpu)->exit_ecx = (uint32_t)event->cpu->r[REG_RCX];
        break;
    case PROBE_EXCEPTION: keep_exception(&(*cpu)->exception, event); break;
    default: **cpu = (struct history_cpu){ .exception = { .valid = false } }; break;
    }
}

struct history *history_new(struct probes *probes)
{
    struct history *history = calloc(1, sizeof(*history));
    if (!history)
        return NULL;
    history->probes = probes;
    history->client = (struct probe_client){
        .mask = 1u << PROBE_ENTRY | 1u << PROBE_EXIT | 1u << PROBE_EXCEPTION | 1u << PROBE_LOADED,
        .fire = fire,
        .self = history,
        .decides = true /* what is executed again becomes the past again */
    };
    probes_attach(probes, &history->client);
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    probes_detach(history->probes, &history->client);
    for (unsigned i = 0; i < VCPUS_MAX; i++)
        free(history->cpu[i]);
    free(history);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void put_diff(const uint8_t *from, const uint8_t *to, const struct pacifica_output *output)
{
    if (vmcb_diff(from, to, output) == 0)
        output_put(output, "nothing\n");
}

/* In a guest: what its host has prepared. */
static void put_entry(const struct history_cpu *kept, const struct pacifica_output *output)
{
    const struct history_page *exit = &kept->exit, *entry = &kept->entry;
    if (!exit->valid || exit->spa != entry->spa) {
        output_put(output,
                   "VMCB %012" PRIx64 " was run at step %" PRIu64
                   "; the #VMEXIT before was not of it, or is not known\n",
                   entry->spa, entry->steps);
        return;
    }
    output_put(output,
               "VMCB %012" PRIx64 ", from the last #VMEXIT (step %" PRIu64
               ") to its VMRUN (step %" PRIu64 "): what the host has written\n",
               entry->spa, exit->steps, entry->steps);
    put_diff(exit->bytes, entry->bytes, output);
}

/* In the host: what the exit has written, and what the host has written since. */
static void put_exit(const struct history_cpu *kept, const struct vcpu *cpu,
                     const struct pacifica_output *output)
{
    const struct history_page *exit = &kept->exit, *entry = &kept->entry;
    const uint8_t *now = exit_vmcb(cpu);
    if (entry->valid && entry->spa == exit->spa) {
        output_put(output,
                   "VMCB %012" PRIx64 ", from the last VMRUN (step %" PRIu64
                   ") to its #VMEXIT (step %" PRIu64 "): what the exit has written\n",
                   exit->spa, entry->steps, exit->steps);
        put_diff(entry->bytes, exit->bytes, output);
    } else {
        output_put(output, "the VMRUN before the #VMEXIT at step %" PRIu64 " is not known\n",
                   exit->steps);
    }
    if (!now || cpu->svm->vmcb_spa != exit->spa || memcmp(now, exit->bytes, VMCB_PAGE_BYTES) == 0)
        return;
    output_put(output, "since then: what the host has written\n");
    put_diff(exit->bytes, now, output);
}

void history_put_changes(const struct history *history, const struct vcpu *cpu,
                         const struct pacifica_output *output)
{
    const struct history_cpu *kept = history->cpu[cpu->index];
    if (!kept || !(cpu->svm->guest ? kept->entry.valid : kept->exit.valid))
        output_put(output, "not known yet: remembered from now on, ask again behind the next %s\n",
                   cpu->svm->guest ? "VMRUN" : "#VMEXIT");
    else if (cpu->svm->guest)
        put_entry(kept, output);
    else
        put_exit(kept, cpu, output);
}

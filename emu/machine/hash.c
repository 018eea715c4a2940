/* The state hash: one number for everything the architecture defines.
 *
 * It must not depend on how a run was executed. So it leaves out whatever is derived (fast tables, decoded code, jump
 * caches) and takes lazy flags in their final form. A page of zeros counts as one that was never touched. */
#include "emu/machine/machine.h"

#include "svm/svm.h"

#include <string.h>
#include <xxhash.h>

#define PAGE_BYTES 4096
#define WORD_BUFFER 64

/* Words on their way into the hash: the buffer spares a call for each. */
struct mixer {
    XXH3_state_t *state;
    size_t count;
    uint64_t word[WORD_BUFFER];
};

static void mix_flush(struct mixer *mixer)
{
    XXH3_64bits_update(mixer->state, mixer->word, mixer->count * sizeof(mixer->word[0]));
    mixer->count = 0;
}

static void mix(void *self, uint64_t word)
{
    struct mixer *mixer = self;
    mixer->word[mixer->count++] = word;
    if (mixer->count == WORD_BUFFER)
        mix_flush(mixer);
}

static void mix_words(struct mixer *mixer, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mix(mixer, words[i]);
}

static void mix_memory(struct mixer *mixer, const struct memory *memory)
{
    static const uint8_t zeros[PAGE_BYTES];
    mix_flush(mixer);
    for (uint64_t page = 0; page < memory_page_count(memory); page++) {
        const uint8_t *bytes = memory_page_ptr(memory, page);
        if (memcmp(bytes, zeros, PAGE_BYTES) == 0)
            continue;
        XXH3_64bits_update(mixer->state, &page, sizeof(page));
        XXH3_64bits_update(mixer->state, bytes, PAGE_BYTES);
    }
}

static void mix_event(struct mixer *mixer, const struct event *event)
{
    mix(mixer, event->valid);
    if (!event->valid)
        return;
    mix(mixer, event->vector | (uint64_t)event->type << 8 | (uint64_t)event->has_code << 16 |
                   (uint64_t)event->soft_len << 24 | (uint64_t)event->code << 32);
}

static void mix_registers(struct mixer *mixer, struct vcpu *cpu)
{
    const struct cpu_regs *regs = &cpu->regs;
    mix_words(mixer, cpu->r, REG_ZERO);
    mix(mixer, cpu_rip(cpu));
    mix(mixer, cpu_rflags(cpu));
    mix(mixer, regs->cr0);
    mix(mixer, regs->cr2);
    mix(mixer, regs->cr3);
    mix(mixer, regs->cr4);
    mix(mixer, regs->efer);
    mix_words(mixer, regs->dr, 8);
    for (int i = 0; i < SEG_COUNT; i++) {
        const struct segment *seg = &regs->seg[i];
        mix(mixer, seg->selector | (uint64_t)seg->attr << 16 | (uint64_t)seg->limit << 32);
        mix(mixer, seg->base);
    }
    mix(mixer, regs->gdtr.base);
    mix(mixer, regs->idtr.base);
    mix(mixer, regs->gdtr.limit | (uint64_t)regs->idtr.limit << 16 | (uint64_t)regs->cpl << 32 |
                   (uint64_t)regs->shadow << 40 | (uint64_t)regs->nmi_masked << 41 |
                   (uint64_t)regs->halted << 42);
    mix(mixer, cpu->x87.fcw | (uint64_t)cpu->x87.fsw << 16 | (uint64_t)cpu->x87.ftw << 32);
    mix(mixer, cpu->trap_held); /* a #DB owed to the next instruction */
    mix(mixer, cpu->pins.nmi | (uint64_t)cpu->pins.smi << 1 | (uint64_t)cpu->pins.init << 2);
}

static void mix_msrs(struct mixer *mixer, const struct cpu_msrs *msr)
{
    static_assert(sizeof(*msr) % sizeof(uint64_t) == 0, "struct cpu_msrs holds 64-bit words only");
    uint64_t words[sizeof(*msr) / sizeof(uint64_t)];
    memcpy(words, msr, sizeof(words));
    mix_words(mixer, words, sizeof(words) / sizeof(words[0]));
}

static void mix_svm(struct mixer *mixer, const struct svm_state *svm)
{
    mix(mixer, svm->guest | (uint64_t)svm->gif << 1 | (uint64_t)svm->nested_paging << 2 |
                   (uint64_t)svm->v_intr_masking << 3 | (uint64_t)svm->v_irq << 4 |
                   (uint64_t)svm->v_ign_tpr << 5 | (uint64_t)svm->host_if << 6 |
                   (uint64_t)svm->v_tpr << 8 | (uint64_t)svm->v_intr_prio << 16 |
                   (uint64_t)svm->v_intr_vector << 24 | (uint64_t)svm->asid << 32);
    for (int i = 0; i < 6; i++)
        mix(mixer, svm->intercept[i]);
    mix(mixer, svm->vmcb_spa);
    mix(mixer, svm->iopm_spa);
    mix(mixer, svm->msrpm_spa);
    mix(mixer, svm->tsc_offset);
    mix(mixer, svm->n_cr3);
    mix(mixer, svm->g_pat);
    mix(mixer, svm->host_pat);
    mix(mixer, svm->vmruns);
    mix(mixer, svm->exits);
    mix_event(mixer, &svm->inject);
}

uint64_t pacifica_machine_state_hash(struct pacifica_machine *machine)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return 0;
    (void)XXH3_64bits_reset(state);
    struct mixer mixer = {.state = state};
    struct vcpu *cpu = machine->cpu;

    mix(&mixer, vcpu_steps(cpu));
    mix(&mixer, cpu_insns(cpu));
    mix(&mixer, vcpu_now_ns(cpu));
    mix_registers(&mixer, cpu);
    mix_msrs(&mixer, &cpu->msr);
    mix_svm(&mixer, cpu->svm);
    mix_event(&mixer, &cpu->delivering);
    paging_hash(cpu->paging, mix, &mixer);
    mix_memory(&mixer, machine->memory);

    uint64_t hash = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state);
    return hash;
}

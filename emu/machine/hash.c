/* The state hash: one number for everything the architecture defines.
 *
 * It must not depend on how a run was executed. So it leaves out whatever is derived (fast tables, decoded code, jump
 * caches) and takes lazy flags in their final form. A page of zeros counts as one that was never touched. */
#include "emu/machine/machine.h"

#include "emu/cpu/perf.h"
#include "emu/cpu/smm.h"
#include "svm/svm.h"

#include <string.h>
#include <xxhash.h>

#define PAGE_BYTES 4096
#define WORD_BUFFER 64

/* Where words go. */
struct mixer {
    void (*put)(void *self, uint64_t word);
    void *self;
};

static void mix(const struct mixer *mixer, uint64_t word)
{
    mixer->put(mixer->self, word);
}

static void mix_words(const struct mixer *mixer, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mix(mixer, words[i]);
}

static void mix_event(const struct mixer *mixer, const struct event *event)
{
    mix(mixer, event->valid);
    if (!event->valid)
        return;
    mix(mixer, event->vector | (uint64_t)event->type << 8 | (uint64_t)event->has_code << 16 |
                   (uint64_t)event->soft_len << 24 | (uint64_t)event->code << 32);
}

static void mix_x87(const struct mixer *mixer, const struct cpu_x87 *x87)
{
    mix(mixer,
        x87->fcw | (uint64_t)x87->fsw << 16 | (uint64_t)x87->used << 32 | (uint64_t)x87->fop << 40);
    mix(mixer, x87->fcs | (uint64_t)x87->fds << 16);
    mix(mixer, x87->fip);
    mix(mixer, x87->fdp);
    for (unsigned i = 0; i < 8; i++) {
        mix(mixer, x87->reg[i].mant);
        mix(mixer, x87->reg[i].se);
    }
}

/* What decides about the modified optimization of XSAVEOPT. */
static void mix_restored(const struct mixer *mixer, const struct xstate_restored *restored)
{
    mix(mixer, restored->valid);
    if (!restored->valid)
        return;
    mix(mixer, restored->cpl | (uint64_t)restored->guest << 8);
    mix(mixer, restored->la);
    mix(mixer, restored->layout);
    mix(mixer, restored->mask);
    mix_x87(mixer, &restored->x87);
    for (unsigned i = 0; i < 16; i++)
        mix_words(mixer, restored->v[i].u64, 8);
    mix(mixer, restored->mxcsr | (uint64_t)restored->pkru << 32);
}

static void mix_fp(const struct mixer *mixer, const struct vcpu *cpu)
{
    mix_x87(mixer, &cpu->x87);
    const struct cpu_simd *simd = &cpu->simd;
    for (unsigned i = 0; i < VECTOR_COUNT; i++)
        mix_words(mixer, simd->v[i].u64, 8);
    mix(mixer, simd->mxcsr);
    mix(mixer, simd->xcr0);
    mix_restored(mixer, &simd->restored);
}

static void mix_registers(const struct mixer *mixer, struct vcpu *cpu)
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
    mix(mixer, regs->pkru);
    mix_fp(mixer, cpu);
    mix(mixer, cpu->traps | (uint64_t)cpu->trap_held << 32); /* a #DB owed to the next boundary */
    mix(mixer, cpu->repeat_insns ==
                   cpu_insns(cpu)); /* a string instruction is half done: RF will be pushed as 1 */
    mix(mixer, cpu->pins.nmi | (uint64_t)cpu->pins.smi << 1 | (uint64_t)cpu->pins.init << 2 |
                   (uint64_t)cpu->pins.sipi << 3 | (uint64_t)cpu->pins.mc << 4 |
                   (uint64_t)cpu->pins.sipi_vector << 8 | (uint64_t)regs->wait_sipi << 16 |
                   (uint64_t)cpu->pins.ignne << 24 | (uint64_t)cpu->ferr.asserted << 25 |
                   (uint64_t)cpu->ferr.frozen << 26 | (uint64_t)regs->smm << 17 |
                   (uint64_t)regs->smm_nmi_masked << 18 |
                   (uint64_t)(regs->smm ? regs->smm_traps : 0) << 32);
}

static void mix_msrs(const struct mixer *mixer, const struct cpu_msrs *msr)
{
    static_assert(sizeof(*msr) % sizeof(uint64_t) == 0, "struct cpu_msrs holds 64-bit words only");
    uint64_t words[sizeof(*msr) / sizeof(uint64_t)];
    memcpy(words, msr, sizeof(words));
    mix_words(mixer, words, sizeof(words) / sizeof(words[0]));
}

static void mix_shadow(const struct mixer *mixer, const struct shadow_stacks *shadow)
{
    mix(mixer, shadow->ssp);
    mix(mixer, shadow->u_cet | shadow->s_cet << 32);
    mix_words(mixer, shadow->pl_ssp, 4);
    mix(mixer, shadow->isst);
}

/* How the nested tables are walked: the host's modes when it executed VMRUN. */
static void mix_nested(const struct mixer *mixer, const struct walk_regime *regime)
{
    mix(mixer, (uint64_t)regime->mode | (uint64_t)regime->nxe << 8 | (uint64_t)regime->smep << 9 |
                   (uint64_t)regime->pse << 10 | (uint64_t)regime->gmet << 11 |
                   (uint64_t)regime->rogpt << 12 | (uint64_t)regime->sss << 13);
    mix(mixer, regime->apic_gpa);
}

static void mix_avic(const struct mixer *mixer, const struct svm_avic *avic)
{
    if (!avic->on)
        return;
    mix(mixer, avic->x2 | (uint64_t)avic->trapped << 1 | (uint64_t)avic->vector << 8 |
                   (uint64_t)avic->max_index << 16 | (uint64_t)avic->trap_code << 32);
    mix(mixer, avic->trap_info1);
    mix(mixer, avic->trap_info2);
    mix(mixer, avic->backing_spa);
    mix(mixer, avic->logical_spa);
    mix(mixer, avic->physical_spa);
}

static void mix_guest(const struct mixer *mixer, const struct svm_suspended *guest)
{
    mix(mixer, guest->nested_paging | (uint64_t)guest->v_intr_masking << 1 |
                   (uint64_t)guest->v_irq << 2 | (uint64_t)guest->v_ign_tpr << 3 |
                   (uint64_t)guest->host_if << 4 | (uint64_t)guest->cpl << 5 |
                   (uint64_t)guest->tlbi << 7 | (uint64_t)guest->v_tpr << 8 |
                   (uint64_t)guest->v_intr_prio << 16 | (uint64_t)guest->v_intr_vector << 24 |
                   (uint64_t)guest->asid << 32 | (uint64_t)guest->vmload << 48 |
                   (uint64_t)guest->swaps << 56);
    mix(mixer, guest->v_ctl | (uint64_t)guest->bus_locks << 32);
    for (int i = 0; i < 6; i++)
        mix(mixer, guest->intercept[i]);
    mix(mixer, guest->vmcb_spa);
    mix(mixer, guest->iopm_spa);
    mix(mixer, guest->msrpm_spa);
    mix(mixer, guest->tsc_offset);
    mix(mixer, guest->n_cr3);
    mix(mixer, guest->g_pat);
    mix(mixer, guest->host_pat);
    mix(mixer, guest->spec_ctrl);
    if (guest->nested_paging)
        mix_nested(mixer, &guest->host_regime);
    mix_avic(mixer, &guest->avic);
}

/* The filter of PAUSE. */
static void mix_pause(const struct mixer *mixer, const struct svm_state *svm)
{
    const struct svm_pause *pause = &svm->pause;
    bool suspended = svm->suspended.valid;
    if (!(svm->guest || suspended))
        return;
    if (!((suspended ? svm->suspended.intercept : svm->intercept)[INTERCEPT_PAUSE >> 5] >>
              (INTERCEPT_PAUSE & 31) &
          1))
        return;
    mix(mixer, pause->count | (uint64_t)pause->threshold << 16 | (uint64_t)pause->left << 32 |
                   (uint64_t)pause->seen << 48);
    mix(mixer, pause->seen ? pause->last_ns : 0);
}

/* What VMRUN may take instead of memory. */
static void mix_clean(const struct mixer *mixer, const struct svm_clean *clean)
{
    uint8_t page[VMCB_PAGE_BYTES];
    mix(mixer, clean->in_use | (uint64_t)clean->valid << 1);
    if (!clean->in_use)
        return;
    mix(mixer, clean->spa);
    svm_clean_copy(clean, page);
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++)
        if (vmcb_fields[i].clean != VMCB_CLEAN_NONE)
            mix(mixer, vmcb_field_value(page, (enum vmcb_field)i));
}

static void mix_svm(const struct mixer *mixer, const struct svm_state *svm)
{
    struct svm_suspended now = { .valid = false };
    svm_copy_guest(svm, &now);
    now.tlbi &= svm->guest;
    mix(mixer, svm->guest | (uint64_t)svm->gif << 1 | (uint64_t)svm->launch.done << 2 |
                   (uint64_t)svm->suspended.valid << 3);
    mix_guest(mixer, &now);
    if (svm->suspended.valid) /* a guest that SMM has interrupted */
        mix_guest(mixer, &svm->suspended);
    mix_pause(mixer, svm);
    mix(mixer, svm->vmruns);
    mix(mixer, svm->exits);
    mix_event(mixer, &svm->inject);
    if (svm->inject.valid)
        mix(mixer, svm->inject_next_rip);
    mix_clean(mixer, &svm->clean);
}

/* A port access that SMM may still restart. */
static void mix_io_trap(const struct mixer *mixer, const struct vcpu *cpu)
{
    const struct cpu_io_trap *io = &cpu->io_trap;
    if (!smm_io_is_fresh(cpu))
        return;
    mix(mixer, io->dword | (uint64_t)io->segment << 32);
    mix(mixer, io->rip);
    mix(mixer, io->rcx);
    mix(mixer, io->rsi);
    mix(mixer, io->rdi);
}

/* What the timers are set to. */
static void mix_deadlines(const struct mixer *mixer, const struct vclock *clock)
{
    for (const struct deadline *d = clock->first; d; d = d->next)
        mix(mixer, d->when_ns);
}

static void mix_monitor(const struct mixer *mixer, const struct cpu_monitor *monitor)
{
    mix(mixer, monitor->armed | (uint64_t)monitor->waiting << 1 |
                   (uint64_t)monitor->any_interrupt << 2 | (uint64_t)monitor->expired << 3);
    if (!monitor->armed)
        return;
    uint64_t words[sizeof(monitor->line) / sizeof(uint64_t)];
    memcpy(words, monitor->line, sizeof(words));
    mix(mixer, monitor->spa);
    mix_words(mixer, words, sizeof(words) / sizeof(words[0]));
}

static void mix_vcpu(const struct mixer *mixer, struct vcpu *cpu)
{
    mix(mixer, vcpu_steps(cpu));
    mix(mixer, cpu_insns(cpu));
    mix(mixer, cpu->iterations);
    mix(mixer, vcpu_now_ns(cpu));
    mix_registers(mixer, cpu);
    if (cpu->perf.active)
        perf_settle(cpu);
    mix_msrs(mixer, &cpu->msr);
    mix_shadow(mixer, &cpu->shadow);
    mix_svm(mixer, cpu->svm);
    mix_event(mixer, &cpu->delivering);
    mix_monitor(mixer, &cpu->monitor);
    mix_io_trap(mixer, cpu);
    paging_hash(cpu->paging, mixer->put, mixer->self);
}

/* Words of the bytes that a pass gives. */
static void mix_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        mix(self, at[i]);
}

void machine_mix(struct pacifica_machine *machine, void (*put)(void *self, uint64_t word),
                 void *self)
{
    struct mixer mixer = { .put = put, .self = self };
    struct snap snap;
    for (unsigned i = 0; i < machine->cpu_count; i++)
        mix_vcpu(&mixer, machine->cpu[i]);
    group_mix(machine->cpu[0], put, self);
    mix_deadlines(&mixer, &machine->clock);
    mix(&mixer, machine->random.state);
    mix(&mixer, memory_a20(machine->memory));
    mix(&mixer, memory_slb(machine->memory));
    snap_hash(&snap, mix_bytes, &mixer);
    bus_state(machine->bus, &snap);
}

/* --- the hash ------------------------------------------------------------------------------- */

/* Words on their way into the hash: the buffer spares a call for each. */
struct hasher {
    XXH3_state_t *state;
    size_t count;
    uint64_t word[WORD_BUFFER];
};

static void hash_flush(struct hasher *hasher)
{
    XXH3_64bits_update(hasher->state, hasher->word, hasher->count * sizeof(hasher->word[0]));
    hasher->count = 0;
}

static void hash_word(void *self, uint64_t word)
{
    struct hasher *hasher = self;
    hasher->word[hasher->count++] = word;
    if (hasher->count == WORD_BUFFER)
        hash_flush(hasher);
}

static void hash_memory(struct hasher *hasher, const struct memory *memory)
{
    static const uint8_t zeros[PAGE_BYTES];
    hash_flush(hasher);
    for (uint64_t page = 0; page < memory_page_count(memory); page++) {
        const uint8_t *bytes = memory_page_ptr(memory, page);
        if (memcmp(bytes, zeros, PAGE_BYTES) == 0)
            continue;
        XXH3_64bits_update(hasher->state, &page, sizeof(page));
        XXH3_64bits_update(hasher->state, bytes, PAGE_BYTES);
    }
}

uint64_t pacifica_machine_state_hash(struct pacifica_machine *machine)
{
    struct hasher hasher = { .state = XXH3_createState() };
    if (!hasher.state)
        return 0;
    (void)XXH3_64bits_reset(hasher.state);
    machine_mix(machine, hash_word, &hasher);
    hash_memory(&hasher, machine->memory);
    uint64_t hash = XXH3_64bits_digest(hasher.state);
    (void)XXH3_freeState(hasher.state);
    return hash;
}

/* #VMEXIT: save the guest, say why, load the host. APM vol 2, 15.6 "#VMEXIT". */
#include <pacifica/pacifica.h>
#include <stdio.h>

#include "svm/avic.h"
#include "svm/lbr.h"
#include "svm/pmc.h"
#include "svm/rules.h"
#include "svm/shadow.h"
#include "svm/vintr.h"
#include "svm/world.h"

static void save_guest(struct vcpu *cpu, uint8_t *vmcb)
{
    const struct svm_state *svm = cpu->svm;
    svm_store_world(cpu, vmcb, cpu_rflags(cpu), cpu->r[REG_RIP]);
    svm_store_guest(cpu, vmcb);
    if (svm->nested_paging)
        VMCB_SET(vmcb, G_PAT, svm->g_pat);
    if (svm->model.features & SVM_FEATURE_SPEC_CTRL)
        VMCB_SET(vmcb, SPEC_CTRL, svm->spec_ctrl);
}

static void save_control(struct vcpu *cpu, uint8_t *vmcb)
{
    const struct svm_state *svm = cpu->svm;
    uint64_t vintr = VMCB_GET(vmcb, VINTR_CONTROL) & ~(VINTR_TPR_FIELD | VINTR_IRQ);
    if (EMU_UNLIKELY(svm->v_ctl))
        vintr = svm_save_vintr(svm, vintr, &cpu->delivering);
    VMCB_SET(vmcb, VINTR_CONTROL, vintr | svm->v_tpr | (svm->v_irq ? VINTR_IRQ : 0));
    VMCB_SET(vmcb, INTERRUPT_SHADOW,
             (VMCB_GET(vmcb, INTERRUPT_SHADOW) & ~UINT64_C(1)) | cpu->regs.shadow);
    VMCB_SET(vmcb, EVENTINJ, VMCB_GET(vmcb, EVENTINJ) & ~EVENTINJ_V);
}

/* nRIP and the instruction bytes, as far as CPUID offers them. APM vol 2, 15.7.1, 15.8.4. */
static void save_assists(const struct svm_state *svm, uint8_t *vmcb, uint64_t nrip)
{
    if (svm->model.features & SVM_FEATURE_NRIPS)
        VMCB_SET(vmcb, NRIP, nrip);
    if (!(svm->model.features & SVM_FEATURE_DECODE_ASSISTS))
        return;
    VMCB_SET(vmcb, INSN_COUNT, svm->insn_count);
    if (EMU_UNLIKELY(svm->insn_count))
        memcpy(vmcb + VMCB_AT_INSN_BYTES, svm->insn_bytes, svm->insn_count);
}

static void note_guest(const struct vcpu *cpu, uint64_t nrip)
{
    struct svm_state *svm = cpu->svm;
    svm->last_cs = cpu->regs.seg[SEG_CS].selector;
    svm->last_rip = cpu->r[REG_RIP];
    svm->last_cr3 = cpu->regs.cr3;
    svm->last_asid = svm->asid;
    svm->last_nested = svm->nested_paging;
    svm->last_nrip = nrip;
}

void svm_leave_guest(struct svm_state *svm)
{
    svm->guest = false;
    svm->gif = false;
    svm->asid = 0;
    svm->v_irq = false;
    svm->v_ctl = 0;
    svm->v_intr_masking = false;
    svm->tsc_offset = 0;
    svm->nested_paging = false;
    svm->swaps = 0;
    svm->vmload = SVM_VMLOAD_PHYSICAL;
    svm->inject.valid = false;
    if (EMU_UNLIKELY(svm->avic.on))
        svm_avic_leave(svm);
    memset(svm->intercept, 0, sizeof(svm->intercept));
}

/* --- the host's side --- */

static void shut_down(void *self, const struct svm_invalid *invalid)
{
    struct vcpu *cpu = self;
    if (cpu->stop.reason == PACIFICA_STOP_SHUTDOWN)
        return; /* the first rule is told */
    cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
    cpu->stop.feature = NULL;
    (void)snprintf(cpu->stop.text, sizeof(cpu->stop.text),
                   "shutdown: #VMEXIT found an illegal host at VM_HSAVE_PA: %s (%s is %#llx)",
                   invalid->rule, invalid->field, (unsigned long long)invalid->value);
}

EMU_INLINE struct svm_check host_check(const struct vcpu *cpu, const uint8_t *page, bool shadow)
{
    return (struct svm_check){ .page = page,
                               .model = &cpu->svm->model,
                               .memory = cpu->memory,
                               .host = true,
                               .shadow = shadow };
}

EMU_COLD static enum step refuse_host(struct vcpu *cpu, const uint8_t *page, bool shadow)
{
    const struct svm_check check = host_check(cpu, page, shadow);
    cpu->stop.reason = PACIFICA_STOP_NONE;
    (void)svm_rules_report(&check, shut_down, cpu);
    return STEP_STOP;
}

/* CHOICE: the hidden parts of the segment registers come from the host save page and not from the host's GDT. */
enum step svm_load_host(struct vcpu *cpu, const struct svm_page *hsave)
{
    struct cpu_regs *regs = &cpu->regs;
    const uint8_t *page = hsave->ptr;
    bool shadow = cpu->svm->swaps & SVM_SWAP_SHADOW;
    svm_leave_guest(cpu->svm);
    if (EMU_UNLIKELY(svm_rules_broken(host_check(cpu, page, shadow))))
        return refuse_host(cpu, page, shadow);

    svm_load_world(cpu, page);
    cpu_set_rflags(cpu, cpu->rflags & ~(uint64_t)FLAG_VM);
    regs->cr0 |= CR0_PE;
    regs->dr[7] = DR7_FIXED; /* no breakpoint enabled */
    regs->cpl = 0;
    regs->shadow = false;
    regs->shadow_next = false;
    regs->halted = false;
    cpu_update_mode(cpu);
    /* CHOICE: no line is watched any more, as after VMRUN; the manual does not say. */
    cpu->monitor.armed = cpu->monitor.waiting = false;
    cpu_attention(cpu);
    return STEP_VMEXIT;
}

/* --- the way out --- */

struct exit {
    uint64_t code, info1, info2, nrip;
};

/* APM vol 2, 15.14.5 "Bus Lock Threshold". */
EMU_COLD static void save_bus_locks(struct vcpu *cpu, const struct svm_page *vmcb)
{
    VMCB_SET(vmcb->ptr, BUS_LOCK_COUNTER, cpu->svm->bus_locks);
    svm_page_written(cpu, vmcb, VMCB_AT_BUS_LOCK_COUNTER, VMCB_AT_BUS_LOCK_COUNTER + 8);
}

EMU_COLD static void swap_back(struct vcpu *cpu, const struct svm_page *vmcb,
                               const struct svm_page *hsave)
{
    uint8_t swaps = cpu->svm->swaps;
    if (swaps & VIRT_LBR_ENABLE)
        svm_lbr_leave(cpu, vmcb, hsave);
    if (swaps & VIRT_PMC_ENABLE)
        svm_pmc_leave(cpu, vmcb, hsave);
    svm_shadow_leave(cpu, vmcb, hsave);
}

static enum step leave(struct vcpu *cpu, const struct svm_page *vmcb, const struct svm_page *hsave,
                       const struct exit *exit)
{
    struct svm_state *svm = cpu->svm;
    if (EMU_UNLIKELY(svm->swaps | svm_shadow_used(cpu, vmcb->ptr)))
        swap_back(cpu, vmcb, hsave);
    save_guest(cpu, vmcb->ptr);
    save_control(cpu, vmcb->ptr);
    svm_write_exit(svm, vmcb->ptr, exit->code, exit->info1, exit->info2,
                   vmcb_event_word(&cpu->delivering));
    save_assists(svm, vmcb->ptr, exit->nrip);
    svm_page_written(cpu, vmcb, VMCB_AT_VINTR_CONTROL, VMCB_AT_AVIC_BACKING_PAGE);
    /* One call, which may name bytes that have not changed. */
    svm_page_written(cpu, vmcb, VMCB_AT_ES_SEL,
                     svm->model.features & SVM_FEATURE_SPEC_CTRL
                         ? VMCB_AT_SPEC_CTRL + VMCB_BYTES_SPEC_CTRL
                         : VMCB_AT_DBGCTL);
    if (EMU_UNLIKELY(svm->intercept[5] & INTERCEPT_5_BUSLOCK))
        save_bus_locks(cpu, vmcb);
    if (EMU_UNLIKELY(svm->clean.in_use))
        svm_clean_keep(cpu, vmcb->ptr);
    note_guest(cpu, exit->nrip);
    cpu->delivering.valid = false;
    svm->exits++;
    cpu->extra_steps++;
    enum step step = svm_load_host(cpu, hsave);
    svm_probe_exit(cpu);
    return step;
}

EMU_COLD static enum step leave_outside_ram(struct vcpu *cpu, struct svm_page *vmcb,
                                            struct svm_page *hsave, const struct exit *exit)
{
    uint8_t storage[2][VMCB_PAGE_BYTES];
    if (!vmcb->ptr)
        svm_page_copy(cpu, vmcb, storage[0]);
    if (!hsave->ptr)
        svm_page_copy(cpu, hsave, storage[1]);
    return leave(cpu, vmcb, hsave, exit);
}

static enum step vmexit(struct vcpu *cpu, const struct exit *exit)
{
    assert(cpu->svm->guest);
    struct svm_page vmcb = svm_page_open(cpu, cpu->svm->vmcb_spa);
    struct svm_page hsave = svm_page_open(cpu, cpu->msr.vm_hsave_pa);
    if (EMU_UNLIKELY(!vmcb.ptr || !hsave.ptr))
        return leave_outside_ram(cpu, &vmcb, &hsave, exit);
    return leave(cpu, &vmcb, &hsave, exit);
}

enum step svm_vmexit(struct vcpu *cpu, uint64_t code, uint64_t info1, uint64_t info2)
{
    return vmexit(cpu, &(struct exit){ .code = code, .info1 = info1, .info2 = info2 });
}

enum step svm_vmexit_insn(struct vcpu *cpu, uint64_t code, uint64_t info1, uint64_t info2,
                          unsigned insn_len)
{
    return vmexit(cpu, &(struct exit){ .code = code,
                                       .info1 = info1,
                                       .info2 = info2,
                                       .nrip = svm_next_rip(cpu, insn_len) });
}

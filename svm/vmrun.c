/* VMRUN: save the host, check the VMCB, load the guest. APM vol 2, 15.5.1 "Basic Operation". */
#include "svm/avic.h"
#include "svm/lbr.h"
#include "svm/mistakes.h"
#include "svm/pause.h"
#include "svm/pmc.h"
#include "svm/rules.h"
#include "svm/shadow.h"
#include "svm/vintr.h"
#include "svm/world.h"

/* The host goes to the fields of a VMCB that VMRUN loads, and nowhere else in the page: hypervisors keep their VMSAVE
 * state in the rest of it. The format is private to the processor; this is the one known from real parts. */
static void save_host(struct vcpu *cpu, const struct svm_page *hsave, uint64_t next_rip)
{
    /* For the host VMRUN is one instruction: its completion clears RF. */
    svm_store_world(cpu, hsave->ptr, cpu_rflags(cpu) & ~(uint64_t)FLAG_RF, next_rip);
    svm_page_written(cpu, hsave, VMCB_AT_ES_SEL, VMCB_AT_RAX + VMCB_BYTES_RAX);
}

/* The walk of N_CR3 uses the paging mode of the host at VMRUN, and all its accesses are user accesses.
 * APM vol 2, 15.25.3 "Enabling Nested Paging", 15.25.5 "Nested Table Walk". */
static void load_nested(struct vcpu *cpu, const uint8_t *vmcb)
{
    const struct cpu_regs *host = &cpu->regs;
    struct svm_state *svm = cpu->svm;
    svm->host_pat = cpu->msr.pat;
    svm->host_cr0 = host->cr0;
    if (svm->clean.whole) { /* nothing else has changed since the last VMRUN */
        svm->host_regime.asid = svm->asid;
        svm->host_regime.apic_gpa = 0;
        return;
    }
    svm->n_cr3 = VMCB_GET(vmcb, N_CR3);
    svm->g_pat = VMCB_GET(vmcb, G_PAT);
    svm->host_regime = (struct walk_regime){ .mode = walk_mode_of(host->cr0, host->cr4, host->efer),
                                             .root = svm->n_cr3,
                                             .nxe = host->efer & EFER_NXE,
                                             .smep = host->cr4 & CR4_SMEP,
                                             .pse = host->cr4 & CR4_PSE,
                                             .cpl = 3,
                                             .asid = svm->asid,
                                             .maxphyaddr = svm->model.maxphyaddr,
                                             .page_1gb = svm->model.page_1gb };
}

/* Intercept bits that the processor does not have count as 0: exception vectors 2 and 9, the traps of encrypted guests,
 * TLBSYNC, bus lock and idle HLT without their CPUID bits. */
static void load_intercepts(struct svm_state *svm, const uint8_t *vmcb)
{
    svm->intercept[0] = (uint32_t)VMCB_GET(vmcb, INTERCEPT_CR);
    svm->intercept[1] = (uint32_t)VMCB_GET(vmcb, INTERCEPT_DR);
    svm->intercept[2] = (uint32_t)VMCB_GET(vmcb, INTERCEPT_EXCP) & ~(1u << EXC_NMI | 1u << EXC_MF9);
    svm->intercept[3] = (uint32_t)VMCB_GET(vmcb, INTERCEPT_3);
    svm->intercept[4] =
        (uint32_t)VMCB_GET(vmcb, INTERCEPT_4) & ((1u << (INTERCEPT_EFER_WRITE_TRAP & 31)) - 1);
    uint32_t word5 = (1u << (INTERCEPT_TLBSYNC & 31)) - 1;
    if (svm->model.features & SVM_FEATURE_TLBICTL)
        word5 |= 1u << (INTERCEPT_TLBSYNC & 31);
    if (svm->model.features & SVM_FEATURE_IDLE_HLT)
        word5 |= 1u << (INTERCEPT_IDLE_HLT & 31);
    if (svm->model.features & SVM_FEATURE_BUS_LOCK)
        word5 |= INTERCEPT_5_BUSLOCK;
    svm->intercept[5] = (uint32_t)VMCB_GET(vmcb, INTERCEPT_5) & word5;
}

/* EVENTINJ, for event_boundary() to deliver. The rules have refused what is not legal.
 * APM vol 2, 15.20 "Event Injection". */
static void load_injection(struct svm_state *svm, const uint8_t *vmcb)
{
    uint64_t word = VMCB_GET(vmcb, EVENTINJ);
    svm->last_eventinj = word;
    svm->inject.valid = false;
    if (EMU_LIKELY(!(word & EVENTINJ_V)))
        return;
    svm->inject = (struct event){ .valid = true,
                                  .vector = (uint8_t)word,
                                  .type = (enum event_type)(word >> 8 & 7) };
    if (word & EVENTINJ_EV) {
        svm->inject.has_code = true;
        svm->inject.code = (uint32_t)(word >> 32);
    }
    if (svm->inject.type == EVENT_NMI) {
        svm->inject.vector = EXC_NMI;
        if (svm->v_ctl & VINTR_NMI_ENABLE) /* 15.21.10 "NMI Virtualization" */
            svm->v_ctl |= VINTR_NMI_MASK;
    }
    /* What was raised by an instruction returns behind it: nRIP says where that is. */
    bool soft = svm->inject.type == EVENT_SOFT ||
                (svm->inject.type == EVENT_EXCEPTION &&
                 (svm->inject.vector == EXC_BP || svm->inject.vector == EXC_OF));
    svm->inject_next_rip = soft && (svm->model.features & SVM_FEATURE_NRIPS) ? VMCB_GET(vmcb, NRIP)
                                                                             : VMCB_GET(vmcb, RIP);
}

/* Enables of what CPUID does not offer are ignored; whoever sets them should know. APM vol 2, appendix B. */
static uint64_t bit_if(const struct svm_state *svm, uint32_t feature, uint64_t bit)
{
    return svm->model.features & feature ? bit : 0;
}

static uint64_t nested_offered(const struct svm_state *svm)
{
    return bit_if(svm, SVM_FEATURE_GMET, NESTED_GMET_ENABLE) |
           bit_if(svm, SVM_FEATURE_SSS, NESTED_SSS_ENABLE) |
           bit_if(svm, SVM_FEATURE_ROGPT, NESTED_ROGPT_ENABLE) |
           bit_if(svm, SVM_FEATURE_TLBICTL, NESTED_TLBI_ENABLE);
}

static uint64_t virt_offered(const struct svm_state *svm)
{
    return bit_if(svm, SVM_FEATURE_LBRV, VIRT_LBR_ENABLE) |
           bit_if(svm, SVM_FEATURE_PMC, VIRT_PMC_ENABLE) |
           bit_if(svm, SVM_FEATURE_VIRT_VMLOAD, VIRT_VMLOAD_ENABLE);
}

EMU_COLD static void tell_absent(struct vcpu *cpu, uint64_t vintr, uint64_t nested, uint64_t virt)
{
    cpu_guest_error(
        cpu,
        "VMRUN ignores enables that CPUID does not offer: %#llx of %s, %#llx of %s, %#llx of %s",
        (unsigned long long)vintr, vmcb_fields[VMCB_VINTR_CONTROL].name, (unsigned long long)nested,
        vmcb_fields[VMCB_NESTED_CONTROL].name, (unsigned long long)virt,
        vmcb_fields[VMCB_VIRT_ENABLE].name);
}

/* Pages are marked by NX, which the host must have: APM vol 2, 15.25.14 "Supervisor Shadow Stacks", "Enabling SSS". */
static bool sss_works(struct vcpu *cpu)
{
    const struct walk_regime *host = &cpu->svm->host_regime;
    bool works = host->nxe && host->mode >= WALK_PAE;
    if (!works)
        cpu_guest_error(cpu, "VMRUN ignores SSS_CHECK_ENABLE: the host needs CR4.PAE and EFER.NXE");
    return works;
}

/* The enables that few guests have, behind one test. */
EMU_COLD static void load_options(struct vcpu *cpu, const uint8_t *vmcb, uint64_t no_vintr)
{
    struct svm_state *svm = cpu->svm;
    uint64_t nested = VMCB_GET(vmcb, NESTED_CONTROL) & NESTED_DEFINED;
    uint64_t virt = VMCB_GET(vmcb, VIRT_ENABLE) & VIRT_DEFINED;
    uint64_t no_nested = nested & ~nested_offered(svm), no_virt = virt & ~virt_offered(svm);
    if (no_vintr | no_nested | no_virt)
        tell_absent(cpu, no_vintr, no_nested, no_virt);
    nested &= ~no_nested;
    virt &= ~no_virt;
    svm->swaps = (uint8_t)(virt & (VIRT_LBR_ENABLE | VIRT_PMC_ENABLE));
    /* The host's registers are still in place. */
    if (virt & VIRT_VMLOAD_ENABLE)
        svm->vmload = svm->nested_paging && cpu_long64(cpu) ? SVM_VMLOAD_VIRTUAL : SVM_VMLOAD_EXITS;
    svm->host_regime.gmet = nested & NESTED_GMET_ENABLE;
    svm->host_regime.rogpt = nested & NESTED_ROGPT_ENABLE;
    svm->host_regime.sss = (nested & NESTED_SSS_ENABLE) && sss_works(cpu);
    if (svm->v_ctl & VINTR_AVIC_ENABLE)
        svm_avic_load(cpu, vmcb);
}

static void load_control(struct vcpu *cpu, const uint8_t *vmcb, bool np)
{
    struct svm_state *svm = cpu->svm;
    uint64_t vintr = VMCB_GET(vmcb, VINTR_CONTROL), vintr_absent = 0;
    uint64_t nested = VMCB_GET(vmcb, NESTED_CONTROL);
    bool tlbictl = svm->model.features & SVM_FEATURE_TLBICTL;
    if (EMU_UNLIKELY(vintr & VINTR_ENABLES)) {
        svm_load_vintr(svm, vintr);
        vintr_absent = svm_vintr_absent(svm, vintr);
    }
    if (svm->clean.whole)
        memcpy(svm->intercept, svm->clean.intercept, sizeof(svm->intercept));
    else
        load_intercepts(svm, vmcb);
    if (EMU_UNLIKELY(svm->intercept[5] & INTERCEPT_5_BUSLOCK))
        svm->bus_locks = (uint16_t)VMCB_GET(vmcb, BUS_LOCK_COUNTER);
    if (EMU_UNLIKELY(svm->intercept[3] & 1u << (INTERCEPT_PAUSE & 31)))
        svm_load_pause(svm, vmcb);
    if (!svm->clean.whole) {
        svm->iopm_spa = VMCB_GET(vmcb, IOPM_BASE_PA) & ~UINT64_C(0xfff);
        svm->msrpm_spa = VMCB_GET(vmcb, MSRPM_BASE_PA) & ~UINT64_C(0xfff);
    }
    svm->tsc_offset = VMCB_GET(vmcb, TSC_OFFSET);
    svm->asid = (uint16_t)VMCB_GET(vmcb, GUEST_ASID);
    svm->v_tpr = (uint8_t)(vintr & VINTR_TPR);
    svm->v_irq = vintr & VINTR_IRQ;
    svm->v_intr_prio = (uint8_t)(vintr >> VINTR_PRIO_SHIFT & 15);
    svm->v_ign_tpr = vintr & VINTR_IGN_TPR;
    svm->v_intr_masking = vintr & VINTR_MASKING;
    svm->v_intr_vector = (uint8_t)(vintr >> VINTR_VECTOR_SHIFT);
    svm->tlbi = !tlbictl || (nested & NESTED_TLBI_ENABLE);
    svm->nested_paging = np;
    if (np)
        load_nested(cpu, vmcb);
    if (EMU_UNLIKELY(vintr_absent | (vintr & VINTR_AVIC_ENABLE) |
                     (nested & (tlbictl ? NESTED_OPTIONS : NESTED_DEFINED)) |
                     (VMCB_GET(vmcb, VIRT_ENABLE) & VIRT_DEFINED)))
        load_options(cpu, vmcb, vintr_absent);
    load_injection(svm, vmcb);
}

/* CPL is a field of its own, except where the mode leaves no choice. */
static uint8_t guest_cpl(const struct vcpu *cpu, uint8_t field)
{
    if (!(cpu->regs.cr0 & CR0_PE))
        return 0;
    return cpu->rflags & FLAG_VM ? 3 : field & 3;
}

static void load_guest(struct vcpu *cpu, const uint8_t *vmcb)
{
    struct cpu_regs *regs = &cpu->regs;
    if (cpu->svm->clean.whole) {
        svm_clean_load(cpu);
    } else {
        svm_load_world(cpu, vmcb);
        svm_load_guest(cpu, vmcb);
    }
    /* CHOICE: VM is dropped in real and long mode, as RSM drops it; the manual does not say. */
    if (EMU_UNLIKELY(cpu->rflags & FLAG_VM) && (!(regs->cr0 & CR0_PE) || (regs->efer & EFER_LMA)))
        cpu_set_rflags(cpu, cpu->rflags & ~(uint64_t)FLAG_VM);
    regs->cpl = guest_cpl(cpu, regs->cpl);
    regs->shadow = VMCB_GET(vmcb, INTERRUPT_SHADOW) & 1;
    regs->shadow_next = regs->shadow; /* VMRUN itself starts the shadow of the first instruction */
}

/* APM vol 2, 15.16.1 "TLB Flush". CHOICE: reserved values flush nothing; hardware is not known to refuse them. */
static void flush_tlb(struct vcpu *cpu, unsigned control)
{
    bool by_asid = cpu->svm->model.features & SVM_FEATURE_FLUSH_BY_ASID;
    if (control == TLB_CONTROL_FLUSH_ALL)
        paging_flush_all(cpu->paging);
    else if (control == TLB_CONTROL_FLUSH_ASID && by_asid)
        paging_flush_asid(cpu->paging, cpu->svm->asid, true);
    else if (control == TLB_CONTROL_FLUSH_NONGLOBAL && by_asid)
        paging_flush_asid(cpu->paging, cpu->svm->asid, false);
    else
        cpu_guest_error(cpu, "VMRUN: TLB_CONTROL %#x is reserved and flushes nothing", control);
}

/* Remember for probe clients what the VMCB held, legal or not. */
static void note_guest(struct svm_state *svm, const uint8_t *vmcb)
{
    const struct cpu_regs *kept = &svm->clean.regs;
    bool whole = svm->clean.whole;
    svm->last_cs = whole ? kept->seg[SEG_CS].selector : (uint16_t)VMCB_GET(vmcb, CS_SEL);
    svm->last_rip = VMCB_GET(vmcb, RIP);
    svm->last_cr3 = whole ? kept->cr3 : VMCB_GET(vmcb, CR3);
    svm->last_asid = (uint32_t)VMCB_GET(vmcb, GUEST_ASID);
    svm->last_tlb_control = (uint8_t)VMCB_GET(vmcb, TLB_CONTROL);
}

static void probe_entry(struct vcpu *cpu)
{
    if (probes_want(cpu->probes, PROBE_ENTRY))
        probes_fire(cpu->probes, &(struct probe_event){
                                     .kind = PROBE_ENTRY, .cpu = cpu, .a = cpu->svm->vmcb_spa });
}

/* What somebody has asked for that VMRUN has loaded a guest: nothing, mostly. */
EMU_COLD static void tell_entry(struct vcpu *cpu, const uint8_t *page)
{
    if (probes_want(cpu->probes, PROBE_GUEST_ERROR))
        svm_tell_mistakes(cpu, page);
    probe_entry(cpu);
}

static void report_invalid(void *self, const struct svm_invalid *invalid)
{
    struct vcpu *cpu = self;
    struct svm_state *svm = cpu->svm;
    if (!svm->invalid.rule)
        svm->invalid = *invalid;
    else if (svm->invalid_count <= SVM_FURTHER)
        svm->further[svm->invalid_count - 1] = *invalid;
    svm->invalid_count++;
    cpu_guest_error(cpu, "VMRUN refused: %s (%s is %#llx; %s)", invalid->rule, invalid->field,
                    (unsigned long long)invalid->value, invalid->section);
}

/* `page`: the VMCB as VMRUN takes it. */
EMU_INLINE struct svm_check guest_check(const struct vcpu *cpu, const uint8_t *page, bool np)
{
    return (struct svm_check){ .page = page,
                               .model = &cpu->svm->model,
                               .memory = cpu->memory,
                               .host_cr0 = cpu->regs.cr0,
                               .u_cet = cpu->shadow.u_cet,
                               .whole = cpu->svm->clean.whole,
                               .np = np };
}

/* VMEXIT_INVALID. The save area stays as it is, and so do CR2 and DR6, which would be the guest's.
 * CHOICE: the manual leaves EXITINFO1, EXITINFO2 and EXITINTINFO open; they are cleared. */
EMU_COLD static enum step refuse(struct vcpu *cpu, const uint8_t *page, bool np,
                                 const struct svm_page *vmcb, const struct svm_page *hsave)
{
    struct svm_state *svm = cpu->svm;
    const struct svm_check check = guest_check(cpu, page, np);
    (void)svm_rules_report(&check, report_invalid, cpu);
    svm->last_eventinj = VMCB_GET(vmcb->ptr, EVENTINJ);
    probe_entry(cpu);
    svm->exits++;
    cpu->extra_steps++;
    svm_write_exit(svm, vmcb->ptr, VMEXIT_INVALID, 0, 0, 0);
    svm->last_nrip = 0;
    svm_page_written(cpu, vmcb, VMCB_AT_EXITCODE, VMCB_AT_EXITINTINFO + VMCB_BYTES_EXITINTINFO);
    enum step step = svm_load_host(cpu, hsave);
    svm_probe_exit(cpu);
    return step;
}

/* `page`: what VMRUN takes, some of it perhaps from the cache of clean fields. */
EMU_COLD static void swap(struct vcpu *cpu, const uint8_t *page, const uint8_t *memory,
                          const struct svm_page *hsave)
{
    uint8_t swaps = cpu->svm->swaps;
    if (swaps & VIRT_LBR_ENABLE)
        svm_lbr_enter(cpu, page, hsave);
    if (swaps & VIRT_PMC_ENABLE)
        svm_pmc_enter(cpu, memory, hsave);
    svm_shadow_enter(cpu, page, hsave);
}

static enum step enter(struct vcpu *cpu, const struct svm_page *vmcb, const struct svm_page *hsave,
                       uint64_t next_rip)
{
    struct svm_state *svm = cpu->svm;
    const uint8_t *page = vmcb->ptr;
    save_host(cpu, hsave, next_rip);
    svm->clean.whole = false;
    if (EMU_UNLIKELY(svm->clean.in_use || VMCB_GET(page, CLEAN_BITS)))
        page = svm_clean_merge(cpu, vmcb->spa, page);
    svm->vmruns++;
    svm->vmcb_spa = vmcb->spa;
    svm->invalid.rule = NULL;
    svm->invalid_count = 0;
    svm->insn_count = 0;

    bool np = (VMCB_GET(page, NESTED_CONTROL) & NESTED_NP_ENABLE) &&
              (svm->model.features & SVM_FEATURE_NP);
    svm->last_nested = np;
    note_guest(svm, page);
    if (EMU_UNLIKELY(svm_rules_broken(guest_check(cpu, page, np))))
        return refuse(cpu, page, np, vmcb, hsave);

    svm->host_if = cpu->rflags & FLAG_IF;
    load_control(cpu, page, np);
    load_guest(cpu, page);
    if (EMU_UNLIKELY(svm->swaps | svm_shadow_used(cpu, page)))
        swap(cpu, page, vmcb->ptr, hsave);
    if (svm->model.features & SVM_FEATURE_SPEC_CTRL)
        svm->spec_ctrl = VMCB_GET(page, SPEC_CTRL) & svm->model.spec_ctrl_valid;
    svm->guest = true;
    if (EMU_UNLIKELY(svm->last_tlb_control))
        flush_tlb(cpu, svm->last_tlb_control);
    svm->gif = true;
    cpu_update_mode(cpu);
    cpu->monitor.armed = false;
    cpu_attention(cpu);
    if (EMU_UNLIKELY(cpu->probes->mask & (1u << PROBE_ENTRY | 1u << PROBE_GUEST_ERROR)))
        tell_entry(cpu, page);
    return STEP_JUMP;
}

EMU_COLD static enum step enter_outside_ram(struct vcpu *cpu, struct svm_page *vmcb,
                                            struct svm_page *hsave, uint64_t next_rip)
{
    uint8_t storage[2][VMCB_PAGE_BYTES];
    if (!hsave->ptr) {
        cpu_guest_error(cpu, "VMRUN: VM_HSAVE_PA %#llx is not RAM", (unsigned long long)hsave->spa);
        svm_page_copy(cpu, hsave, storage[1]);
    }
    if (!vmcb->ptr) {
        cpu_guest_error(cpu, "VMRUN: the VMCB at %#llx is not RAM", (unsigned long long)vmcb->spa);
        svm_page_copy(cpu, vmcb, storage[0]);
    }
    return enter(cpu, vmcb, hsave, next_rip);
}

enum step svm_vmrun(struct vcpu *cpu, uint64_t vmcb_spa, uint64_t next_rip)
{
    struct svm_page vmcb = svm_page_open(cpu, vmcb_spa);
    struct svm_page hsave = svm_page_open(cpu, cpu->msr.vm_hsave_pa);
    if (EMU_UNLIKELY(!vmcb.ptr || !hsave.ptr))
        return enter_outside_ram(cpu, &vmcb, &hsave, next_rip);
    if (EMU_UNLIKELY(hsave.spa == 0))
        cpu_guest_error(cpu, "VMRUN: VM_HSAVE_PA was not set; the host is saved at address 0");
    return enter(cpu, &vmcb, &hsave, next_rip);
}

/* What is taken at an instruction boundary, and in which order. */
#include "emu/cpu/cpuid.h"
#include "emu/cpu/delivery.h"
#include "emu/cpu/event_priv.h"
#include "emu/cpu/init.h"
#include "emu/cpu/smm.h"
#include "svm/avic.h"
#include "svm/vintr.h"

enum boundary_event {
    EVENT_NONE,
    EVENT_AVIC_EXIT,
    EVENT_INJECT,
    EVENT_MACHINE_CHECK,
    EVENT_SIPI,
    EVENT_INIT_EXIT,
    EVENT_INIT,
    EVENT_SMI_EXIT,
    EVENT_SMI,
    EVENT_TRAP,
    EVENT_NMI_EXIT,
    EVENT_TAKE_NMI,
    EVENT_TAKE_VNMI,
    EVENT_INTR_EXIT,
    EVENT_TAKE_INTR,
    EVENT_VINTR_EXIT,
    EVENT_TAKE_VINTR,
    EVENT_TAKE_AVIC
};

/* Machine check, INIT, SMI: what comes before the traps of the last instruction. Nothing reaches a processor that waits for
 * SIPI but that and INIT. INIT and SMI wait for RSM. CHOICE: INIT before SMI; a machine check is held while GIF is 0. */
static enum boundary_event next_reset(const struct vcpu *cpu)
{
    const struct cpu_pins *pins = &cpu->pins;
    bool waits = cpu->regs.wait_sipi, smm = cpu->regs.smm;
    if (pins->mc && !waits)
        return EVENT_MACHINE_CHECK;
    if (pins->init && !smm)
        return svm_intercepts(cpu, INTERCEPT_INIT) ? EVENT_INIT_EXIT : EVENT_INIT;
    if (pins->sipi && waits)
        return EVENT_SIPI;
    if (pins->smi && !waits && !smm && smm_is_intercepted(cpu))
        return EVENT_SMI_EXIT;
    if (pins->smi && !waits && !smm && !cpu->regs.shadow) /* its save area has no shadow */
        return EVENT_SMI;
    return EVENT_NONE;
}

/* CHOICE: an intercepted NMI exits in a shadow and while NMIs are blocked; one that would be delivered waits for the end of
 * every shadow. SMM is entered with NMIs blocked. */
static enum boundary_event next_nmi(const struct vcpu *cpu)
{
    const struct cpu_pins *pins = &cpu->pins;
    if (pins->nmi && cpu->regs.nmi_masked && cpu->regs.smm) /* not seen at all */
        return EVENT_NONE;
    if (pins->nmi && svm_intercepts(cpu, INTERCEPT_NMI))
        return EVENT_NMI_EXIT;
    if (pins->nmi && !cpu->regs.nmi_masked && !cpu->regs.shadow)
        return EVENT_TAKE_NMI;
    return EVENT_NONE;
}

/* A virtual NMI is no physical one: its intercept does not apply. APM vol 2, 15.21.10 "NMI Virtualization". */
static enum boundary_event next_vnmi(const struct vcpu *cpu)
{
    return svm_vnmi_open(cpu->svm) && !cpu->regs.shadow ? EVENT_TAKE_VNMI : EVENT_NONE;
}

/* APM vol 2, 15.21.1: with V_INTR_MASKING the host's IF masks physical interrupts. CHOICE: the guest's shadow does not
 * hold back an intercepted one (15.13.1 "INTR Intercept" is silent). */
static enum boundary_event next_intr(const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    bool open = svm->guest && svm->v_intr_masking ? svm->host_if : (cpu->rflags & FLAG_IF) != 0;
    bool exits = svm_intercepts(cpu, INTERCEPT_INTR);
    if (!open || (cpu->regs.shadow && !exits) || !cpu->intc ||
        cpu->intc->pending(cpu->intc_self) < 0)
        return EVENT_NONE;
    return exits ? EVENT_INTR_EXIT : EVENT_TAKE_INTR;
}

/* AVIC ignores V_IRQ and what goes with it. CHOICE: the VINTR intercept too, which is that of V_IRQ. APM vol 2, 15.29.8.3
 * "Additional VMRUN Handling". */
static enum boundary_event next_avic(const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    bool open = (cpu->rflags & FLAG_IF) && !cpu->regs.shadow && !svm_vgif_closed(svm);
    return svm->avic.vector && open ? EVENT_TAKE_AVIC : EVENT_NONE;
}

/* APM vol 2, 15.21.4 "Injecting Virtual (INTR) Interrupts", 15.33.2 "Virtual GIF (VGIF)". */
static enum boundary_event next_vintr(const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    if (EMU_UNLIKELY(svm->avic.on))
        return next_avic(cpu);
    if (!svm->v_irq || !svm->guest || !(cpu->rflags & FLAG_IF) || cpu->regs.shadow ||
        svm_vgif_closed(svm) || !(svm->v_ign_tpr || svm->v_intr_prio > svm->v_tpr))
        return EVENT_NONE;
    return svm_intercepts(cpu, INTERCEPT_VINTR) ? EVENT_VINTR_EXIT : EVENT_TAKE_VINTR;
}

/* The order of APM vol 2, 8.5 "Priorities", table 8-9, and 15.21: no effects. The lower classes are the run loop's. */
static enum boundary_event next_event(const struct vcpu *cpu)
{
    if (EMU_UNLIKELY(cpu->svm->avic.trapped))
        return EVENT_AVIC_EXIT;
    if (cpu->svm->inject.valid)
        return EVENT_INJECT;
    enum boundary_event event = cpu->svm->gif ? next_reset(cpu) : EVENT_NONE;
    if (event != EVENT_NONE)
        return event;
    if (cpu->traps != 0 && !cpu->trap_held)
        return EVENT_TRAP;
    if (!cpu->svm->gif || cpu->regs.wait_sipi)
        return EVENT_NONE;
    event = next_nmi(cpu);
    if (event == EVENT_NONE)
        event = next_vnmi(cpu);
    if (event == EVENT_NONE)
        event = next_intr(cpu);
    if (event == EVENT_NONE)
        event = next_vintr(cpu);
    return event;
}

static enum step take(struct vcpu *cpu, enum event_type type, uint8_t vector)
{
    cpu->delivering = (struct event){ .valid = true, .vector = vector, .type = type };
    return event_deliver(cpu, cpu->r[REG_RIP]);
}

/* EVENTINJ: no intercept for the event itself; DR6, DR7 and CR2 are the VMCB's. APM vol 2, 15.20 "Event Injection". */
static enum step take_injected(struct vcpu *cpu)
{
    struct svm_state *svm = cpu->svm;
    cpu->delivering = svm->inject;
    svm->inject.valid = false;
    if (cpu->delivering.type == EVENT_NMI)
        cpu->delivering.vector = EXC_NMI;
    /* INT n, INT3 and INTO push the nRIP of the VMCB. */
    bool software = event_is_software(&cpu->delivering);
    return event_deliver(cpu, software ? svm->inject_next_rip : cpu->r[REG_RIP]);
}

/* INIT that nothing intercepts: redirected to #SX, or a reset of the processor. APM vol 2, 15.28, 15.21.8. */
static enum step take_init(struct vcpu *cpu)
{
    if (!(cpu->msr.vm_cr & VM_CR_R_INIT) || cpu->regs.wait_sipi)
        return init_take(cpu);
    cpu->pins.init = false;
    cpu->regs.halted = false;
    enum step step = cpu_raise_code(cpu, EXC_SX, 1);
    return step == STEP_RAISED ? event_take_raised(cpu) : step;
}

static enum step take_intr(struct vcpu *cpu)
{
    int vector = cpu->intc->acknowledge(cpu->intc_self);
    return vector < 0 ? STEP_NEXT : take(cpu, EVENT_INTR, (uint8_t)vector);
}

/* All causes at this boundary make one #DB. */
static enum step take_trap(struct vcpu *cpu)
{
    enum step step = cpu_raise_debug(cpu, cpu->traps);
    cpu->traps = 0;
    return step == STEP_RAISED ? event_take_raised(cpu) : step;
}

/* A guest has CR4.MCE = 0: does its host take machine checks? APM vol 2, 15.12.18 "#MC (Machine Check)". CHOICE: the host's CR4 is
 * the one that #VMEXIT would load; and the exit does not ask the intercept, as the manual says "always". */
static bool host_takes_machine_check(const struct vcpu *cpu)
{
    return svm_guest(cpu) && cpu_has(cpu, CPU_FEATURE_HOST_MCE) &&
           (phys_read(cpu->memory, cpu->msr.vm_hsave_pa + VMCB_AT_CR4, 8) & CR4_MCE);
}

/* The banks are left to whoever signalled it. APM vol 2, 8.2.19 "#MC-Machine-Check Exception", 9.3.1.2. */
static enum step take_machine_check(struct vcpu *cpu)
{
    const struct event event = { .valid = true, .vector = EXC_MC, .type = EVENT_EXCEPTION };
    bool off = !(cpu->regs.cr4 & CR4_MCE);
    cpu->pins.mc = false;
    if (off && !host_takes_machine_check(cpu))
        return event_shutdown(cpu, &event, "with CR4.MCE = 0");
    if (cpu->msr.mcg_status & MCG_STATUS_MCIP)
        return event_shutdown(cpu, &event, "while MCG_STATUS.MCIP = 1");
    cpu->msr.mcg_status = MCG_STATUS_MCIP | MCG_STATUS_RIPV;
    if (off)
        return svm_vmexit(cpu, VMEXIT_EXCP0 + EXC_MC, 0, 0);
    enum step step = cpu_raise(cpu, EXC_MC);
    return step == STEP_RAISED ? event_take_raised(cpu) : step;
}

/* #VMEXIT by an interrupt saves what the interrupt would push: RF is 1 between the iterations of a string instruction (8.2.2).
 * CHOICE: 15.6 is silent about RF. */
static void save_repeat(struct vcpu *cpu)
{
    if (cpu->repeat_insns == cpu_insns(cpu))
        cpu->rflags |= FLAG_RF;
}

/* CHOICE: a #DB trap that was due when SMI or INIT exits is lost, as what loses against a class before it (8.5): the VMCB has no
 * place for it. Of a port access EXITINFO1 tells its causes. */
static enum step exit_event(struct vcpu *cpu, uint64_t code)
{
    save_repeat(cpu);
    return svm_vmexit(cpu, code, 0, 0);
}

/* The instruction has accessed the local APIC and is done. CHOICE: nothing comes before this exit; a single-step #DB that the
 * instruction earned is lost. APM vol 2, 15.29.3.1 "Virtual APIC Register Accesses". */
static enum step exit_avic(struct vcpu *cpu)
{
    const struct svm_avic *avic = &cpu->svm->avic;
    save_repeat(cpu);
    return svm_vmexit(cpu, avic->trap_code, avic->trap_info1, avic->trap_info2);
}

static enum step take_avic(struct vcpu *cpu)
{
    int vector = svm_avic_acknowledge(cpu);
    return vector < 0 ? STEP_NEXT : take(cpu, EVENT_INTR, (uint8_t)vector);
}

static enum step take_boundary(struct vcpu *cpu, enum boundary_event event)
{
    switch (event) {
    case EVENT_NONE: return STEP_NEXT;
    case EVENT_AVIC_EXIT: return exit_avic(cpu);
    case EVENT_INJECT: return take_injected(cpu);
    case EVENT_MACHINE_CHECK: return take_machine_check(cpu);
    case EVENT_INIT_EXIT: return exit_event(cpu, VMEXIT_INIT);
    case EVENT_INIT: return take_init(cpu);
    case EVENT_SIPI: return sipi_take(cpu);
    case EVENT_SMI_EXIT: save_repeat(cpu); return smm_vmexit(cpu);
    case EVENT_SMI: return smm_enter(cpu);
    case EVENT_TRAP: return take_trap(cpu);
    case EVENT_NMI_EXIT: return exit_event(cpu, VMEXIT_NMI);
    case EVENT_TAKE_NMI:
        cpu->pins.nmi = false;
        cpu->regs.nmi_masked = true; /* stays so if another exception replaces the NMI */
        return take(cpu, EVENT_NMI, EXC_NMI);
    case EVENT_TAKE_VNMI: svm_take_vnmi(cpu->svm); return take(cpu, EVENT_NMI, EXC_NMI);
    case EVENT_INTR_EXIT: return exit_event(cpu, VMEXIT_INTR);
    case EVENT_TAKE_INTR: return take_intr(cpu);
    case EVENT_VINTR_EXIT: return exit_event(cpu, VMEXIT_VINTR); /* V_IRQ stays */
    case EVENT_TAKE_VINTR:
        cpu->svm->v_irq = false; /* before the IDT is read */
        return take(cpu, EVENT_INTR, cpu->svm->v_intr_vector);
    case EVENT_TAKE_AVIC: return take_avic(cpu);
    }
    return STEP_NEXT;
}

enum step event_boundary(struct vcpu *cpu)
{
    if (cpu->pins.sipi && !cpu->regs.wait_sipi && !cpu->pins.init)
        cpu->pins.sipi = false; /* nobody waits for it */
    enum boundary_event event = next_event(cpu);
    if (EMU_LIKELY(event == EVENT_NONE))
        return STEP_NEXT;
    if (event != EVENT_INJECT)
        cpu->delivering.valid = false;
    enum step step = take_boundary(cpu, event);
    cpu->delivering.valid = false;
    return step;
}

bool event_pending(const struct vcpu *cpu)
{
    return next_event(cpu) != EVENT_NONE;
}

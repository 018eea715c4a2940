/* Which event comes next, what becomes of an exception, and the bookkeeping round a delivery. */
#include "emu/cpu/event.h"

#include <pacifica/pacifica.h>
#include <stdio.h>

#include "emu/cpu/cpuid.h"
#include "emu/cpu/delivery.h"
#include "emu/cpu/init.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/trap.h"
#include "svm/svm.h"

/* --- shutdown and double fault --- */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

/* APM vol 2, 8.2.9 "#DF-Double-Fault Exception". */
static enum fault_class classify(const struct event *event)
{
    const uint32_t contributory = 1u << EXC_DE | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
                                  1u << EXC_GP | 1u << EXC_CP | 1u << EXC_VC | 1u << EXC_SX;
    if (!event->valid || event->type != EVENT_EXCEPTION)
        return BENIGN;
    if (event->vector == EXC_DF)
        return DOUBLE_FAULT;
    if (event->vector == EXC_PF)
        return PAGE_FAULT;
    return event->vector < 32 && (contributory >> event->vector & 1) ? CONTRIBUTORY : BENIGN;
}

static const char *exception_name(uint8_t vector, char spare[16])
{
    static const char *const names[32] = {
        [EXC_DE] = "#DE", [EXC_DB] = "#DB", [EXC_BP] = "#BP", [EXC_OF] = "#OF", [EXC_BR] = "#BR",
        [EXC_UD] = "#UD", [EXC_NM] = "#NM", [EXC_DF] = "#DF", [EXC_TS] = "#TS", [EXC_NP] = "#NP",
        [EXC_SS] = "#SS", [EXC_GP] = "#GP", [EXC_PF] = "#PF", [EXC_MF] = "#MF", [EXC_AC] = "#AC",
        [EXC_MC] = "#MC", [EXC_XF] = "#XF", [EXC_CP] = "#CP", [EXC_VC] = "#VC", [EXC_SX] = "#SX"
    };
    if (vector < 32 && names[vector])
        return names[vector];
    (void)snprintf(spare, 16, "vector %u", vector);
    return spare;
}

/* APM vol 2, 8.2.9, 15.14.3 "Shutdown Intercept". CHOICE: where nothing intercepts it the machine stops, though INIT or NMI
 * could end it. */
static enum step shutdown(struct vcpu *cpu, const struct event *event, const char *why)
{
    char spare[16];
    if (svm_intercepts(cpu, INTERCEPT_SHUTDOWN))
        return svm_vmexit(cpu, VMEXIT_SHUTDOWN, 0, 0);
    cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
    cpu->stop.feature = NULL;
    (void)snprintf(cpu->stop.text, sizeof(cpu->stop.text), "%s%s: %s at %x:%llx %s",
                   event->vector == EXC_MC ? "shutdown" : "triple fault",
                   cpu->svm->guest ? " in a guest" : "", exception_name(event->vector, spare),
                   cpu->regs.seg[SEG_CS].selector, (unsigned long long)cpu->r[REG_RIP], why);
    return STEP_STOP;
}

/* #AC at level 3 is benign even in the delivery of #AC (8.2.9): the processor may start deliveries again and again, and
 * takes nothing else meanwhile. CHOICE: where nobody intercepts one of them the machine stops. */
static enum step endless_delivery(struct vcpu *cpu, const struct event *event)
{
    char spare[16];
    cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
    cpu->stop.feature = NULL;
    (void)snprintf(cpu->stop.text, sizeof(cpu->stop.text),
                   "the processor hangs%s: %s for ever while delivering exceptions at %x:%llx",
                   cpu->svm->guest ? " in a guest" : "", exception_name(event->vector, spare),
                   cpu->regs.seg[SEG_CS].selector, (unsigned long long)cpu->r[REG_RIP]);
    return STEP_STOP;
}

/* --- exits --- */

/* How many bytes a fetch may take from RIP: up to 15, and not beyond the CS limit. */
static unsigned fetchable_bytes(const struct vcpu *cpu)
{
    uint64_t rip = cpu->r[REG_RIP], limit = cpu->regs.seg[SEG_CS].limit;
    if (cpu_long64(cpu) || rip + 15 <= limit + 1)
        return 15;
    return rip <= limit ? (unsigned)(limit + 1 - rip) : 0;
}

/* The instruction's bytes for a #PF or nested page fault of a data access: what a fetch would see, without its
 * effects. APM vol 2, 15.8.4 "Nested and Intercepted #PF". */
static void fetch_insn_bytes(struct vcpu *cpu)
{
    const struct access access = { .kind = ACCESS_EXEC };
    uint64_t la = cpu->r[REG_RIP];
    uint8_t bytes[15];
    unsigned count = 0, most = fetchable_bytes(cpu);
    if (!cpu_has(cpu, CPU_FEATURE_DECODEASSISTS))
        return;
    if (!cpu_long64(cpu))
        la = (uint32_t)(la + cpu->regs.seg[SEG_CS].base);
    while (count < most && paging_is_canonical(la, cpu->regs.cr4 & CR4_LA57)) {
        struct walk_result walked = walk(cpu->memory, mem_regime(cpu), la, access, false);
        if (walked.status != WALK_OK)
            break;
        unsigned left = 4096 - (unsigned)(la & 0xfff);
        unsigned part = most - count < left ? most - count : left;
        if (!phys_read_block(cpu->memory, walked.spa, bytes + count, part))
            break; /* MMIO: reading it could have effects */
        count += part;
        la += part;
    }
    svm_set_insn_bytes(cpu, bytes, count);
}

/* The ID bit alone does not tell: table walks and hosts without NX do not report it. */
static bool is_data_fault(const struct vcpu *cpu, const struct raised *raised, uint64_t code)
{
    return !raised->fetch && !(code & PF_ID) && !cpu->delivering.valid;
}

static enum step exit_nested_fault(struct vcpu *cpu)
{
    uint64_t info1 = cpu->raised.info1, info2 = cpu->raised.info2;
    if (is_data_fault(cpu, &cpu->raised, info1))
        fetch_insn_bytes(cpu);
    return svm_vmexit(cpu, VMEXIT_NPF, info1, info2);
}

/* APM vol 2, 15.12 "Exception Intercepts". */
static enum step exit_exception(struct vcpu *cpu, const struct raised *raised)
{
    const struct event *event = &raised->event;
    uint64_t code = VMEXIT_EXCP0 + event->vector;
    if (event->soft_len || raised->insn_len) /* INT3, INTO; BOUND: nRIP is valid */
        return svm_vmexit_insn(cpu, code, 0, 0, event->soft_len + raised->insn_len);
    if (event->vector != EXC_PF)
        return svm_vmexit(cpu, code, event->has_code ? event->code : 0, 0);
    if (is_data_fault(cpu, raised, event->code))
        fetch_insn_bytes(cpu);
    return svm_vmexit(cpu, code, event->code, raised->cr2);
}

/* ICEBP has an intercept of its own, tested by the instruction; INT n never tests the one of its vector. */
static bool is_intercepted(const struct vcpu *cpu, const struct event *event)
{
    bool icebp = event->vector == EXC_DB && event->soft_len;
    return event->type == EVENT_EXCEPTION && event->vector < 32 && !icebp &&
           svm_intercepts(cpu, INTERCEPT_EXCP0 + event->vector);
}

/* --- delivery --- */

/* DR6 and DR7 change before #DB is delivered or intercepted. APM vol 2, 13.1.1.3, 13.1.1.4. */
static void update_debug_registers(struct vcpu *cpu, const struct raised *raised)
{
    cpu->regs.dr[7] &= ~(uint64_t)DR7_GD;
    cpu->msr.debugctl &= ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF);
    if (!raised->event.soft_len) /* ICEBP leaves DR6 alone */
        cpu->regs.dr[6] = (cpu->regs.dr[6] & ~0xfull) | raised->dr6;
}

static void probe_delivery(struct vcpu *cpu, const struct event *event)
{
    if (probes_want(cpu->probes, PROBE_EXCEPTION))
        probes_fire(cpu->probes,
                    &(struct probe_event){ .kind = PROBE_EXCEPTION,
                                           .cpu = cpu,
                                           .a = event->vector | (uint64_t)event->type << 8 |
                                                (uint64_t)event->has_code << 11,
                                           .b = event->code,
                                           .c = cpu->regs.cr2 });
}

/* RF of the pushed image: 1 for faults and between the iterations of a string instruction, 0 for #DB and for INTn and its
 * kin, which have retired (seen on Zen 4), else as it is.
 * APM vol 2, 3.1.6 "RFLAGS Register". */
static bool pushed_rf(const struct vcpu *cpu, const struct event *event)
{
    if (event->type == EVENT_EXCEPTION && event->vector == EXC_DB && !event->soft_len)
        return false;
    if (event->type == EVENT_EXCEPTION && !event->soft_len && !event_is_software(event))
        return true;
    if (event->soft_len)
        return false;
    return (cpu->rflags & FLAG_RF) || cpu->repeat_insns == cpu_insns(cpu);
}

/* An event, an exception instead of it, ... #DF: what is longer goes in circles. */
#define CHAIN_MAX 16u

/* Deliver `cpu->delivering`, and what goes wrong on the way, until a handler is entered or the guest left. `chain`: the
 * events that gave way to it. */
static enum step deliver(struct vcpu *cpu, uint64_t return_rip, unsigned chain);

/* An exception was recorded: intercept, combine, deliver. APM vol 2, 15.12, 8.2.9. */
static enum step take_raised(struct vcpu *cpu, unsigned chain)
{
    struct raised raised = cpu->raised;
    struct event *event = &raised.event;
    if (raised.npf)
        return exit_nested_fault(cpu);
    if (event->type == EVENT_EXCEPTION && event->vector == EXC_DB)
        update_debug_registers(cpu, &raised);
    if (is_intercepted(cpu, event))
        return exit_exception(cpu, &raised);
    if (event->type == EVENT_EXCEPTION && event->vector == EXC_PF)
        cpu->regs.cr2 = raised.cr2;

    enum fault_class first = classify(&cpu->delivering), second = classify(event);
    if (first == DOUBLE_FAULT && second != BENIGN)
        return shutdown(cpu, event, "while delivering #DF");
    if (chain == CHAIN_MAX)
        return endless_delivery(cpu, event);
    if ((first == CONTRIBUTORY && second == CONTRIBUTORY) ||
        (first == PAGE_FAULT && second != BENIGN)) {
        *event = (struct event){
            .valid = true, .vector = EXC_DF, .type = EVENT_EXCEPTION, .has_code = true
        };
        /* CHOICE: EXITINTINFO then holds the first event, by the manual's pseudo-code (15.7.2). */
        if (is_intercepted(cpu, event))
            return exit_exception(cpu, &raised);
    }
    cpu->delivering = *event;
    return deliver(cpu, cpu->r[REG_RIP] + event->soft_len, chain);
}

static enum step deliver(struct vcpu *cpu, uint64_t return_rip, unsigned chain)
{
    if (!cpu_long64(cpu))
        return_rip = (uint32_t)return_rip;
    bool rf = pushed_rf(cpu, &cpu->delivering);
    struct trap_delivery before = trap_deliver(cpu, &cpu->delivering);
    enum step step = delivery_through_idt(cpu, &cpu->delivering, return_rip, rf);
    if (step == STEP_RAISED)
        return take_raised(cpu, chain + 1);
    if (step != STEP_NEXT)
        return step;
    probe_delivery(cpu, &cpu->delivering);
    trap_delivered(cpu, &before, &cpu->delivering);
    cpu->delivering.valid = false;
    cpu->extra_steps++;
    cpu->regs.shadow = cpu->regs.shadow_next = false;
    cpu->regs.halted = false;
    cpu_attention(cpu); /* masks changed */
    return STEP_JUMP;
}

enum step event_raised(struct vcpu *cpu)
{
    cpu->delivering.valid = false; /* a fault of an instruction, whatever came before */
    enum step step = take_raised(cpu, 0);
    cpu->delivering.valid = false;
    return step;
}

/* --- the instruction boundary --- */

enum boundary_event {
    EVENT_NONE,
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
    EVENT_INTR_EXIT,
    EVENT_TAKE_INTR,
    EVENT_VINTR_EXIT,
    EVENT_TAKE_VINTR
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

/* APM vol 2, 15.21.4 "Injecting Virtual (INTR) Interrupts". */
static enum boundary_event next_vintr(const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    if (!svm->v_irq || !svm->guest || !(cpu->rflags & FLAG_IF) || cpu->regs.shadow ||
        !(svm->v_ign_tpr || svm->v_intr_prio > svm->v_tpr))
        return EVENT_NONE;
    return svm_intercepts(cpu, INTERCEPT_VINTR) ? EVENT_VINTR_EXIT : EVENT_TAKE_VINTR;
}

/* The order of APM vol 2, 8.5 "Priorities", table 8-9, and 15.21: no effects. The lower classes are the run loop's. */
static enum boundary_event next_event(const struct vcpu *cpu)
{
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
        event = next_intr(cpu);
    if (event == EVENT_NONE)
        event = next_vintr(cpu);
    return event;
}

static enum step take(struct vcpu *cpu, enum event_type type, uint8_t vector)
{
    cpu->delivering = (struct event){ .valid = true, .vector = vector, .type = type };
    return deliver(cpu, cpu->r[REG_RIP], 0);
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
    return deliver(cpu, software ? svm->inject_next_rip : cpu->r[REG_RIP], 0);
}

/* INIT that nothing intercepts: redirected to #SX, or a reset of the processor. APM vol 2, 15.28, 15.21.8. */
static enum step take_init(struct vcpu *cpu)
{
    if (!(cpu->msr.vm_cr & VM_CR_R_INIT) || cpu->regs.wait_sipi)
        return init_take(cpu);
    cpu->pins.init = false;
    cpu->regs.halted = false;
    enum step step = cpu_raise_code(cpu, EXC_SX, 1);
    assert(step == STEP_RAISED);
    (void)step;
    return take_raised(cpu, 0);
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
    return step == STEP_RAISED ? take_raised(cpu, 0) : step;
}

/* The banks are left to whoever signalled it. APM vol 2, 8.2.19 "#MC-Machine-Check Exception", 9.3.1.2. */
static enum step take_machine_check(struct vcpu *cpu)
{
    const struct event event = { .valid = true, .vector = EXC_MC, .type = EVENT_EXCEPTION };
    cpu->pins.mc = false;
    if (!(cpu->regs.cr4 & CR4_MCE))
        return shutdown(cpu, &event, "with CR4.MCE = 0");
    if (cpu->msr.mcg_status & MCG_STATUS_MCIP)
        return shutdown(cpu, &event, "while MCG_STATUS.MCIP = 1");
    cpu->msr.mcg_status = MCG_STATUS_MCIP | MCG_STATUS_RIPV;
    enum step step = cpu_raise(cpu, EXC_MC);
    return step == STEP_RAISED ? take_raised(cpu, 0) : step;
}

/* #VMEXIT by an interrupt saves what the interrupt would push: RF is 1 between the iterations of a string instruction (8.2.2).
 * CHOICE: 15.6 is silent about RF. */
static void save_repeat(struct vcpu *cpu)
{
    if (cpu->repeat_insns == cpu_insns(cpu))
        cpu->rflags |= FLAG_RF;
}

static enum step exit_event(struct vcpu *cpu, uint64_t code)
{
    save_repeat(cpu);
    return svm_vmexit(cpu, code, 0, 0);
}

static enum step take_boundary(struct vcpu *cpu, enum boundary_event event)
{
    switch (event) {
    case EVENT_NONE: return STEP_NEXT;
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
    case EVENT_INTR_EXIT: return exit_event(cpu, VMEXIT_INTR);
    case EVENT_TAKE_INTR: return take_intr(cpu);
    case EVENT_VINTR_EXIT: return exit_event(cpu, VMEXIT_VINTR); /* V_IRQ stays */
    case EVENT_TAKE_VINTR:
        cpu->svm->v_irq = false; /* before the IDT is read */
        return take(cpu, EVENT_INTR, cpu->svm->v_intr_vector);
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

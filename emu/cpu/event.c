/* What becomes of an exception, and the bookkeeping round a delivery. */
#include "emu/cpu/event_priv.h"

#include <pacifica/pacifica.h>
#include <stdio.h>

#include "emu/cpu/cpuid.h"
#include "emu/cpu/delivery.h"
#include "emu/cpu/mem.h"
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
enum step event_shutdown(struct vcpu *cpu, const struct event *event, const char *why)
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
 * effects. CHOICE: by the tables as they are, not as the TLB has them. APM vol 2, 15.8.4 "Nested and Intercepted #PF". */
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
        if (!cpu_long64(cpu))
            la = (uint32_t)la;
    }
    svm_set_insn_bytes(cpu, bytes, count);
}

/* The ID bit alone does not tell: table walks and hosts without NX do not report it. CHOICE: what faults in the delivery of an
 * event is a data access, too: the manual excepts fetches alone. The bytes are those at the rIP that is saved. */
static bool is_data_fault(const struct raised *raised, uint64_t code)
{
    return !raised->fetch && !(code & PF_ID);
}

static enum step exit_nested_fault(struct vcpu *cpu)
{
    uint64_t info1 = cpu->raised.info1, info2 = cpu->raised.info2;
    if (EMU_UNLIKELY(cpu->raised.exit))
        return svm_vmexit(cpu, cpu->raised.exit, info1, info2);
    if (is_data_fault(&cpu->raised, info1))
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
    if (is_data_fault(raised, event->code))
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

/* An exception was recorded: intercept, combine, deliver. APM vol 2, 15.12, 8.2.9. CHOICE: a fault of the new task, when an event
 * switches tasks, is one in the delivery of that event: EXITINTINFO has it, though the old task has been left (15.7.2). */
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
        return event_shutdown(cpu, event, "while delivering #DF");
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

enum step event_deliver(struct vcpu *cpu, uint64_t return_rip)
{
    return deliver(cpu, return_rip, 0);
}

enum step event_take_raised(struct vcpu *cpu)
{
    return take_raised(cpu, 0);
}

enum step event_raised(struct vcpu *cpu)
{
    cpu->delivering.valid = false; /* a fault of an instruction, whatever came before */
    enum step step = take_raised(cpu, 0);
    cpu->delivering.valid = false;
    return step;
}

/* Interrupt messages: from the interrupt command register and from the IOAPIC to the APICs they name.
 * APM vol 2, 16.5 "Interprocessor Interrupts (IPI)", 16.6.1, 16.6.2, 16.13, 16.14.
 *
 * CHOICE: combinations that Table 16-4 does not list (a message that is not fixed, to a shorthand with the sender in it) are
 * sent all the same, as the machines we are compatible with do, and told.
 * CHOICE: a fixed message that nobody accepts is an accept error of its sender and of those it was sent to.
 * CHOICE: a remote read names the register by its offset / 16. */
#include "devices/lapic_priv.h"

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

struct message {
    enum apic_message_type type;
    uint8_t vector;
    bool level, logical, everybody;
    uint32_t dest;
    const struct lapic *except; /* all excluding self */
};

static bool is_logical_target(const struct lapic *target, uint32_t dest)
{
    if (lapic_x2apic(target)) /* 16.14 */
        return dest >> 16 == target->ldr >> 16 && (dest & target->ldr & 0xffff);
    uint32_t own = target->ldr >> 24;
    if (dest > 0xff)
        return false;
    switch (target->dfr >> 28) {
    case 0xf: return dest & own;
    case 0x0: return (dest & 0xf0) == (own & 0xf0) && (dest & own & 0x0f);
    default: return false; /* neither flat nor cluster selects nobody */
    }
}

static bool is_target(const struct lapic *target, const struct message *message)
{
    if (!lapic_enabled(target) || target == message->except)
        return false;
    if (message->everybody)
        return true;
    return message->logical ? is_logical_target(target, message->dest)
                            : message->dest == target->id;
}

static bool deliver(struct lapic *target, const struct message *message)
{
    switch (message->type) {
    case MT_FIXED:
    case MT_LOWEST: return lapic_accept(target, message->vector, message->level);
    case MT_SMI: lapic_signal(target, APIC_SMI, 0); return true;
    case MT_NMI: lapic_signal(target, APIC_NMI, 0); return true;
    case MT_INIT: lapic_signal(target, APIC_INIT, 0); return true;
    case MT_STARTUP: lapic_signal(target, APIC_SIPI, message->vector); return true;
    case MT_EXTINT: lapic_accept_extint(target); return true;
    case MT_READ: break;
    }
    return false;
}

static bool is_focus(const struct lapic *lapic, unsigned vector)
{
    return !(lapic->svr & SVR_NO_FOCUS) &&
           (vector_bit(lapic->isr, vector) || vector_bit(lapic->irr, vector));
}

/* 16.6.2: the focus processor, else the lowest arbitration priority, and of equals the highest ID. NULL: nobody takes
 * fixed interrupts. */
static struct lapic *arbitrate(struct apics *apics, const struct message *message)
{
    struct lapic *best = NULL;
    for (unsigned i = 0; i < apics->config.count; i++) {
        struct lapic *lapic = &apics->cpu[i];
        if (!lapic_software_enabled(lapic) || !is_target(lapic, message))
            continue;
        if (is_focus(lapic, message->vector))
            return lapic;
        uint8_t own = lapic_apr(lapic), least = best ? lapic_apr(best) : 0;
        if (!best || own < least || (own == least && lapic->id > best->id))
            best = lapic;
    }
    return best;
}

static void refused(struct apics *apics, const struct message *message)
{
    for (unsigned i = 0; i < apics->config.count; i++)
        if (is_target(&apics->cpu[i], message) && !lapic_software_enabled(&apics->cpu[i]))
            lapic_error(&apics->cpu[i], ESR_RECEIVE_ACCEPT);
}

/* Did anybody accept it? */
static bool send(struct apics *apics, const struct message *message)
{
    bool accepted = false;
    if (message->type == MT_LOWEST) {
        struct lapic *one = arbitrate(apics, message);
        accepted = one && deliver(one, message);
    } else {
        for (unsigned i = 0; i < apics->config.count; i++)
            if (is_target(&apics->cpu[i], message))
                accepted |= deliver(&apics->cpu[i], message);
    }
    if (!accepted && (message->type == MT_FIXED || message->type == MT_LOWEST))
        refused(apics, message);
    return accepted;
}

/* 16.5, "Remote read": the data come at once. */
static void remote_read(struct lapic *lapic, const struct message *message)
{
    struct apics *apics = lapic->apics;
    lapic->icr_low &= ~ICR_READ_VALID;
    for (unsigned i = 0; i < apics->config.count && !message->everybody; i++) {
        if (!is_target(&apics->cpu[i], message) ||
            !lapic_register_exists(&apics->cpu[i], message->vector))
            continue;
        lapic->remote_read = lapic_register_read(&apics->cpu[i], message->vector);
        lapic->icr_low |= ICR_READ_VALID;
        return;
    }
}

static struct message message_of(const struct lapic *lapic)
{
    uint32_t icr = lapic->icr_low;
    bool wide = lapic_x2apic(lapic);
    return (struct message){
        .type = lvt_message(icr),
        .vector = (uint8_t)icr,
        .level = icr & ICR_LEVEL,
        .logical = icr & ICR_LOGICAL,
        .dest = wide ? lapic->icr_high : lapic->icr_high >> 24,
        .everybody = wide ? lapic->icr_high == UINT32_MAX : lapic->icr_high >> 24 == 0xff,
    };
}

void lapic_send(struct lapic *lapic)
{
    uint32_t icr = lapic->icr_low;
    enum shorthand to = (enum shorthand)(icr >> 18 & 3);
    struct message message = message_of(lapic);
    bool fixed = message.type == MT_FIXED || message.type == MT_LOWEST;

    if (fixed && message.vector < 16) {
        lapic_error(lapic, ESR_SENT_VECTOR);
        return;
    }
    if ((icr & ICR_LEVEL) && !(icr & ICR_ASSERT) && message.type != MT_STARTUP) {
        if (message.type != MT_INIT) /* INIT level de-assert: only for APICs of long ago */
            lapic_tell(
                lapic, PROBE_GUEST_ERROR,
                "APIC: level-triggered message without assert is not sent (APM vol 2, 16.5)");
        return;
    }
    if ((to == TO_SELF || to == TO_ALL) && message.type != MT_FIXED)
        lapic_tell(
            lapic, PROBE_GUEST_ERROR,
            "APIC: only fixed interrupts may be sent to self by shorthand (APM vol 2, 16.5)");
    if (to == TO_SELF) {
        (void)deliver(lapic, &message);
        return;
    }
    message.everybody = message.everybody || to != TO_DESTINATION;
    message.except = to == TO_OTHERS ? lapic : NULL;
    if (message.type == MT_READ)
        remote_read(lapic, &message);
    else if (!send(lapic->apics, &message) && to == TO_DESTINATION)
        lapic_error(lapic, ESR_SENT_ACCEPT);
}

/* 16.15 "Self_IPI Register". */
void lapic_send_self(struct lapic *lapic, uint8_t vector)
{
    if (vector < 16)
        lapic_error(lapic, ESR_SENT_VECTOR);
    else
        (void)lapic_accept(lapic, vector, false);
}

bool apics_message(struct apics *apics, const struct apic_message *from)
{
    const struct message message = { .type = from->type,
                                     .vector = from->vector,
                                     .level = from->level,
                                     .logical = from->logical,
                                     .dest = from->dest,
                                     .everybody = from->dest == 0xff };
    return send(apics, &message);
}

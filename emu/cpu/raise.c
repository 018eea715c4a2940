/* Recording an exception. */
#include "emu/cpu/raise.h"

#include <pacifica/pacifica.h>
#include <stdarg.h>
#include <stdio.h>

static void record(struct vcpu *cpu, enum exception vector)
{
    cpu->raised = (struct raised){
        .event = { .valid = true, .vector = (uint8_t)vector, .type = EVENT_EXCEPTION }
    };
}

enum step cpu_raise(struct vcpu *cpu, enum exception vector)
{
    record(cpu, vector);
    return STEP_RAISED;
}

enum step cpu_raise_code(struct vcpu *cpu, enum exception vector, uint32_t code)
{
    record(cpu, vector);
    cpu->raised.event.has_code = true;
    cpu->raised.event.code = code;
    return STEP_RAISED;
}

enum step cpu_raise_page_fault(struct vcpu *cpu, uint64_t la, uint32_t code)
{
    record(cpu, EXC_PF);
    cpu->raised.event.has_code = true;
    cpu->raised.event.code = code;
    cpu->raised.cr2 = la;
    return STEP_RAISED;
}

enum step cpu_raise_debug(struct vcpu *cpu, uint64_t dr6_bits)
{
    record(cpu, EXC_DB);
    cpu->raised.dr6 = dr6_bits;
    return STEP_RAISED;
}

enum step cpu_raise_soft(struct vcpu *cpu, enum event_type type, uint8_t vector, uint8_t insn_len)
{
    cpu->raised = (struct raised){
        .event = { .valid = true, .vector = vector, .type = type, .soft_len = insn_len }
    };
    return STEP_RAISED;
}

enum step cpu_raise_npf(struct vcpu *cpu, uint64_t la, uint64_t info1, uint64_t info2)
{
    cpu->raised = (struct raised){ .npf = true, .cr2 = la, .info1 = info1, .info2 = info2 };
    return STEP_RAISED;
}

enum step cpu_raise_exit(struct vcpu *cpu, uint16_t code, uint64_t info1, uint64_t info2)
{
    cpu->raised = (struct raised){ .npf = true, .exit = code, .info1 = info1, .info2 = info2 };
    return STEP_RAISED;
}

enum step cpu_stop_unimplemented(struct vcpu *cpu, const char *feature)
{
    cpu->stop.reason = PACIFICA_STOP_UNIMPLEMENTED;
    cpu->stop.feature = feature;
    (void)snprintf(cpu->stop.text, sizeof(cpu->stop.text), "not emulated yet: %s", feature);
    if (probes_want(cpu->probes, PROBE_UNIMP))
        probes_fire(cpu->probes, &(struct probe_event){
                                     .kind = PROBE_UNIMP, .cpu = cpu, .text = cpu->stop.text });
    return STEP_STOP;
}

void cpu_guest_error(struct vcpu *cpu, const char *fmt, ...)
{
    if (!probes_want(cpu->probes, PROBE_GUEST_ERROR))
        return;
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    probes_fire(cpu->probes,
                &(struct probe_event){ .kind = PROBE_GUEST_ERROR, .cpu = cpu, .text = text });
}

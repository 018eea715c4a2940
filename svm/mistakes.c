/* Mistakes of hypervisors that the architecture lets pass: what is told of them. */
#include "svm/mistakes.h"

#include "svm/describe.h"
#include "svm/vmcb.h"

/* APM vol 2, 15.10.1 "I/O Permissions Map", 15.11 "MSR Intercepts". Read again from
 * memory, so that VMRUN need not keep bits that count for nothing. */
void svm_tell_map(struct vcpu *cpu, enum vmcb_field field, uint64_t spa)
{
    const char *name = vmcb_fields[field].name;
    if (memory_backing(cpu->memory, spa) == UINT64_MAX)
        cpu_guest_error(cpu, "the byte at %#llx of the map at %s is not in memory",
                        (unsigned long long)spa, name);
    if (!probes_want(cpu->probes, PROBE_GUEST_ERROR))
        return;
    const uint8_t *vmcb = memory_ptr(cpu->memory, cpu->svm->vmcb_spa, VMCB_PAGE_BYTES);
    uint64_t base = vmcb ? vmcb_field_value(vmcb, field) : 0;
    if (base & 0xfff)
        cpu_guest_error(cpu, "%s %#llx is not that of a page: bits 11:0 are ignored", name,
                        (unsigned long long)base);
}

/* Exceptions that push an error code. APM vol 2, 8.2 "Vectors"; #VC is one of encrypted guests. */
static bool pushes_code(const struct event *event)
{
    const uint32_t pushing = 1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
                             1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC | 1u << EXC_CP | 1u << 29 |
                             1u << EXC_SX;
    return event->type == EVENT_EXCEPTION && (pushing >> (event->vector & 31) & 1);
}

/* VMRUN pushes what EVENTINJ says, and the handler pops what the vector says. APM vol 2, 15.20 "Event Injection". */
void svm_tell_injected_code(struct vcpu *cpu, const struct event *event, uint64_t word)
{
    char words[64];
    if (EMU_LIKELY(pushes_code(event) == event->has_code))
        return;
    (void)svm_describe_event(words, sizeof(words), word);
    cpu_guest_error(cpu,
                    event->has_code ? "VMRUN injects %s, and it has none"
                                    : "VMRUN injects %s without an error code",
                    words);
}

void svm_tell_host_save_area(struct vcpu *cpu, uint64_t hsave_spa)
{
    if (hsave_spa == 0)
        cpu_guest_error(cpu, "VMRUN: VM_HSAVE_PA was not set; the host is saved at address 0");
    else
        cpu_guest_error(cpu,
                        "VMRUN: VM_HSAVE_PA is the VMCB at %#llx: the host is saved over the guest",
                        (unsigned long long)hsave_spa);
}

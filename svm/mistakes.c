/* Mistakes of hypervisors that the architecture lets pass: what is told of them. */
#include "svm/mistakes.h"

#include "svm/describe.h"
#include "svm/vmcb.h"

/* APM vol 2, 15.10.1 "I/O Permissions Map", 15.11 "MSR Intercepts". */
void svm_tell_unaligned_maps(struct vcpu *cpu, uint64_t iopm, uint64_t msrpm)
{
    static const char said[] = "VMRUN: %s %#llx is not that of a page; bits 11:0 are ignored";
    if (iopm & 0xfff)
        cpu_guest_error(cpu, said, vmcb_fields[VMCB_IOPM_BASE_PA].name, (unsigned long long)iopm);
    if (msrpm & 0xfff)
        cpu_guest_error(cpu, said, vmcb_fields[VMCB_MSRPM_BASE_PA].name, (unsigned long long)msrpm);
}

void svm_tell_map_outside_memory(struct vcpu *cpu, const char *map, uint64_t spa)
{
    cpu_guest_error(cpu, "the %s at %#llx is not in memory", map, (unsigned long long)spa);
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

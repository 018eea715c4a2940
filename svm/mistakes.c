/* Mistakes of hypervisors that the architecture lets pass: what is told of them. */
#include "svm/mistakes.h"

#include "svm/describe.h"

void svm_tell_map_outside_memory(struct vcpu *cpu, enum vmcb_field field, uint64_t spa)
{
    cpu_guest_error(cpu, "the byte at %#llx of the map at %s is not in memory",
                    (unsigned long long)spa, vmcb_fields[field].name);
}

/* APM vol 2, 15.10.1 "I/O Permissions Map", 15.11 "MSR Intercepts". */
static void tell_map(struct vcpu *cpu, const uint8_t *page, unsigned intercept,
                     enum vmcb_field field)
{
    uint64_t base = vmcb_field_value(page, field);
    if (svm_intercepts(cpu, intercept) && (base & 0xfff))
        cpu_guest_error(cpu, "VMRUN: %s %#llx is not that of a page: bits 11:0 are ignored",
                        vmcb_fields[field].name, (unsigned long long)base);
}

/* VMRUN saves the host before it reads the guest. */
static void tell_host_save_area(struct vcpu *cpu)
{
    if (cpu->msr.vm_hsave_pa == cpu->svm->vmcb_spa)
        cpu_guest_error(cpu, "VMRUN: VM_HSAVE_PA is the VMCB at %#llx: the host is saved over it",
                        (unsigned long long)cpu->svm->vmcb_spa);
}

/* The attributes are bits 55:52 and 47:40 of a descriptor, put together. APM vol 2, 15.5.1 "Segment State in the VMCB". */
static void tell_segments(struct vcpu *cpu, const uint8_t *page)
{
    static const enum vmcb_field fields[] = { VMCB_ES_ATTR, VMCB_CS_ATTR, VMCB_SS_ATTR,
                                              VMCB_DS_ATTR };
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        unsigned attr = (unsigned)vmcb_field_value(page, fields[i]);
        if (attr & 0xf000) {
            cpu_guest_error(
                cpu, "VMRUN: %s %#x: bits 15:12 are ignored; attributes are packed into 12 bits",
                vmcb_fields[fields[i]].name, attr);
            return;
        }
    }
    unsigned cs = (unsigned)VMCB_GET(page, CS_ATTR);
    bool code = (cs & SEG_ATTR_S) && (cs & 8);
    if (!code && (cpu->regs.cr0 & CR0_PE) && !(cpu->rflags & FLAG_VM))
        cpu_guest_error(cpu, "VMRUN: CS_ATTR %#x is not that of a code segment", cs);
}

static void tell_rip(struct vcpu *cpu, const uint8_t *page)
{
    uint64_t rip = VMCB_GET(page, RIP);
    if (cpu_long64(cpu) && !paging_is_canonical(rip, cpu->regs.cr4 & CR4_LA57))
        cpu_guest_error(cpu, "VMRUN: RIP %#llx is not canonical", (unsigned long long)rip);
}

/* Exceptions that push an error code. APM vol 2, 8.2 "Vectors"; #VC is one of encrypted guests. */
static bool pushes_code(const struct event *event)
{
    const uint32_t pushing = 1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
                             1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC | 1u << EXC_CP | 1u << 29 |
                             1u << EXC_SX;
    return event->type == EVENT_EXCEPTION && (pushing >> (event->vector & 31) & 1);
}

/* What EVENTINJ says is pushed, and the handler pops what the vector says; in real mode neither. APM vol 2, 15.20 "Event
 * Injection". */
static void tell_injected_code(struct vcpu *cpu)
{
    const struct event *event = &cpu->svm->inject;
    char words[64];
    if (!event->valid || !(cpu->regs.cr0 & CR0_PE) || pushes_code(event) == event->has_code)
        return;
    (void)svm_describe_event(words, sizeof(words), cpu->svm->last_eventinj);
    cpu_guest_error(cpu,
                    event->has_code ? "VMRUN injects %s, and it has none"
                                    : "VMRUN injects %s without an error code",
                    words);
}

void svm_tell_mistakes(struct vcpu *cpu, const uint8_t *page)
{
    tell_host_save_area(cpu);
    tell_map(cpu, page, INTERCEPT_IOIO_PROT, VMCB_IOPM_BASE_PA);
    tell_map(cpu, page, INTERCEPT_MSR_PROT, VMCB_MSRPM_BASE_PA);
    tell_segments(cpu, page);
    tell_rip(cpu, page);
    tell_injected_code(cpu);
}

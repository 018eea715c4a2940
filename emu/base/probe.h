/* Probe points: the one way to observe a running machine. With no client attached they cost one
 * test of a mask in code that is slow anyway. */
#ifndef EMU_BASE_PROBE_H
#define EMU_BASE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum probe_kind {
    PROBE_ENTRY, /* a VMRUN has loaded its guest (or failed a check): a = vmcb spa */
    PROBE_EXIT,  /* a #VMEXIT was written: a = EXITCODE, b = EXITINFO1, c = EXITINFO2 */
    PROBE_INSN,  /* an instruction is about to execute: a = linear rip. Forces exact blocks */
    PROBE_BLOCK, /* a block was decoded: a = linear rip, b = system physical address, c = bytes */
    PROBE_MEM,   /* a data access: a = la, b = size | write << 8, c = value. No fast entries */
    PROBE_TLB,   /* a TLB change: a = enum probe_tlb, b = la, c = asid */
    PROBE_EXCEPTION,   /* an exception or interrupt is delivered: a = vector | type << 8 |
                        has_code << 11, b = error code, c = cr2 */
    PROBE_IO,          /* a port access: a = port, b = size | write << 8, c = value */
    PROBE_MSR,         /* RDMSR, WRMSR: a = number, b = write, c = value */
    PROBE_GUEST_ERROR, /* text = what the guest did wrong */
    PROBE_UNIMP,       /* text = what is not emulated */
    PROBE_SKINIT,      /* SKINIT has started a secure loader: a = its block */
    PROBE_MAGIC,       /* XCHG BX, BX is about to have no effect */
    PROBE_TOUCH, /* an access of a processor to a page with PAGE_TOLD: a = spa, b = size | write << 8 */
    PROBE_LOADED, /* the vCPU goes on from another state: what was kept of it is not of it; one event for each */
    PROBE_KINDS
};

enum probe_tlb { PROBE_TLB_FILL, PROBE_TLB_EVICT, PROBE_TLB_FLUSH };

struct vcpu;

struct probe_event {
    enum probe_kind kind;
    struct vcpu *cpu; /* may be NULL for devices */
    uint64_t a, b, c;
    const char *text; /* GUEST_ERROR, UNIMP; else NULL */
};

struct probe_client {
    uint32_t mask; /* 1 << enum probe_kind */
    void (*fire)(void *self, const struct probe_event *event);
    void *self;
    bool
        decides; /* its calls decide about the run: it hears what is executed again, too; others do not */
    struct probe_client *next;
};

struct probes {
    uint32_t mask;       /* union of the clients' masks */
    uint32_t generation; /* changes with every attach and detach */
    struct probe_client *clients;
    bool muted;
};

/* Attach a client (caller's storage, must outlive the attachment) or detach it. */
void probes_attach(struct probes *probes, struct probe_client *client);
void probes_detach(struct probes *probes, struct probe_client *client);

/* Something is executed again: clients hear nothing until it is over, but for those that decide. */
void probes_mute(struct probes *probes, bool muted);

/* Call every client that asked for this kind. */
void probes_fire(const struct probes *probes, const struct probe_event *event);

static inline int probes_want(const struct probes *probes, enum probe_kind kind)
{
#ifdef EMU_NO_PROBES /* bench/probes: what they cost */
    (void)probes;
    (void)kind;
    return 0;
#endif
    return (probes->mask >> kind) & 1;
}

#endif

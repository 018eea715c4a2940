/* What is remembered. */
#ifndef EMU_DEBUG_HISTORY_PRIV_H
#define EMU_DEBUG_HISTORY_PRIV_H

#include "emu/cpu/run.h"
#include "emu/debug/history.h"
#include "svm/svm.h"

/* A VMCB as a VMRUN found it, or as a #VMEXIT left it. */
struct history_page {
    bool valid;
    uint64_t spa, steps;
    uint8_t bytes[VMCB_PAGE_BYTES];
};

/* An exception behind its delivery. */
struct history_exception {
    bool valid, guest, has_code, placed; /* placed: rip could be read from the stack */
    uint8_t vector;
    uint32_t code, asid;
    uint64_t steps, cr2, rip;
};

struct history_cpu {
    struct history_page entry, exit;
    uint32_t exit_ecx; /* which #VMEXIT leaves alone; the guest's still */
    struct history_exception exception;
};

struct history {
    struct probe_client client;
    struct probes *probes;
    struct history_cpu *cpu[VCPUS_MAX]; /* made when there is something to remember */
};

#endif

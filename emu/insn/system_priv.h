/* What the bodies of system instructions share. */
#ifndef EMU_INSN_SYSTEM_PRIV_H
#define EMU_INSN_SYSTEM_PRIV_H

#include "emu/cpu/cpuid.h"
#include "emu/insn/insn.h"

/* An EXITINFO word that only decode assists fill. APM vol 2, 15.8 "Decode Assists". */
static inline uint64_t decode_assist(const struct vcpu *cpu, uint64_t info)
{
    return cpu_has(cpu, CPU_FEATURE_DECODEASSISTS) ? info : 0;
}

/* SGDT, SIDT, SLDT, STR and SMSW outside level 0 with CR4.UMIP = 1. APM vol 2, 3.1.3 "CR4 Register", chapter 6. */
static inline bool umip_forbids(const struct vcpu *cpu)
{
    return (cpu->regs.cr4 & CR4_UMIP) && cpu->regs.cpl != 0;
}

/* A body whose results go to EDX:EAX: both upper halves are cleared. */
static inline void write_edx_eax(struct vcpu *cpu, uint64_t value)
{
    cpu->r[REG_RAX] = (uint32_t)value;
    cpu->r[REG_RDX] = value >> 32;
}

#endif

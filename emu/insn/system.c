/* HLT, CPUID, the time stamp, interrupt flags, caches, TLB invalidation. APM vol 3, chapters 3 and 4; vol 2, 15.9
 * "Instruction Intercepts" for the places of the intercepts. */
#include "emu/cpu/control.h"
#include "emu/cpu/msr.h"
#include "emu/cpu/perf.h"
#include "emu/insn/system_priv.h"
#include "svm/vintr.h"

#include <Zydis/Mnemonic.h>

enum step insn_hlt(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_HLT))
        return svm_vmexit_insn(cpu, VMEXIT_HLT, 0, 0, in->len);
    if (svm_intercepts(cpu, INTERCEPT_IDLE_HLT) && !svm_virtual_pending(cpu->svm))
        return svm_vmexit_insn(cpu, VMEXIT_IDLE_HLT, 0, 0, in->len);
    cpu->regs.halted = true;
    return STEP_HALT;
}

enum step insn_cpuid(struct vcpu *cpu, const struct insn *in)
{
    if ((cpu->msr.hwcr & HWCR_CPUID_USER_DIS) && cpu->regs.cpl != 0 && !cpu->regs.smm)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_CPUID))
        return svm_vmexit_insn(cpu, VMEXIT_CPUID, 0, 0, in->len);
    uint32_t out[4];
    cpu_cpuid(cpu, (uint32_t)cpu->r[REG_RAX], (uint32_t)cpu->r[REG_RCX], out);
    cpu->r[REG_RAX] = out[CPUID_EAX];
    cpu->r[REG_RBX] = out[CPUID_EBX];
    cpu->r[REG_RCX] = out[CPUID_ECX];
    cpu->r[REG_RDX] = out[CPUID_EDX];
    return STEP_NEXT;
}

/* --- counters --- */

static bool tsd_forbids(const struct vcpu *cpu)
{
    return (cpu->regs.cr4 & CR4_TSD) && cpu->regs.cpl != 0;
}

enum step insn_rdtsc(struct vcpu *cpu, const struct insn *in)
{
    if (tsd_forbids(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_RDTSC))
        return svm_vmexit_insn(cpu, VMEXIT_RDTSC, 0, 0, in->len);
    write_edx_eax(cpu, msr_tsc(cpu));
    return STEP_NEXT;
}

enum step insn_rdtscp(struct vcpu *cpu, const struct insn *in)
{
    if (tsd_forbids(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_RDTSCP))
        return svm_vmexit_insn(cpu, VMEXIT_RDTSCP, 0, 0, in->len);
    write_edx_eax(cpu, msr_tsc(cpu));
    cpu->r[REG_RCX] = (uint32_t)cpu->msr.tsc_aux;
    return STEP_NEXT;
}

/* What the extensions of the counters do not have is absent: northbridge and cache counters. */
enum step insn_rdpmc(struct vcpu *cpu, const struct insn *in)
{
    uint32_t n = (uint32_t)cpu->r[REG_RCX];
    if ((cpu->regs.cpl != 0 && !(cpu->regs.cr4 & CR4_PCE)) || n >= perf_count(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_RDPMC))
        return svm_vmexit_insn(cpu, VMEXIT_RDPMC, 0, 0, in->len);
    write_edx_eax(cpu, perf_counter(cpu, n));
    return STEP_NEXT;
}

/* CR4.TSD makes it undefined, not illegal, outside level 0. A register that does not exist reads 0, with CF 0. */
enum step insn_rdpru(struct vcpu *cpu, const struct insn *in)
{
    uint32_t n = (uint32_t)cpu->r[REG_RCX];
    if (tsd_forbids(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (svm_intercepts(cpu, INTERCEPT_RDPRU))
        return svm_vmexit_insn(cpu, VMEXIT_RDPRU, 0, 0, in->len);
    bool exists = n <= CPUID_RDPRU_MAX;
    write_edx_eax(cpu, exists ? perf_clock(cpu, n ? PERF_APERF : PERF_MPERF) : 0);
    flags_set_material(cpu, exists ? FLAG_CF : 0);
    return STEP_NEXT;
}

/* --- memory --- */

/* Every store has reached memory, without errors: CF is 1. CHOICE: legal at every level. */
enum step insn_mcommit(struct vcpu *cpu, const struct insn *in)
{
    if (!(cpu->regs.efer & EFER_MCOMMIT))
        return cpu_raise(cpu, EXC_UD);
    if (svm_intercepts(cpu, INTERCEPT_MCOMMIT))
        return svm_vmexit_insn(cpu, VMEXIT_MCOMMIT, 0, 0, in->len);
    flags_set_material(cpu, FLAG_CF);
    return STEP_NEXT;
}

/* --- RFLAGS.AC --- */

/* CLAC, STAC: #UD, not #GP, outside level 0. */
enum step insn_ac(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise(cpu, EXC_UD);
    uint64_t flags = cpu->rflags & ~(uint64_t)FLAG_AC;
    cpu->rflags = in->mnemonic == ZYDIS_MNEMONIC_STAC ? flags | FLAG_AC : flags;
    cpu_update_mode(cpu);
    return STEP_LEAVE;
}

/* --- caches: there are none to write back --- */

enum step insn_invd(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_INVD))
        return svm_vmexit_insn(cpu, VMEXIT_INVD, 0, 0, in->len);
    return STEP_NEXT;
}

/* WBINVD, and WBNOINVD, which Zydis gives the same mnemonic. */
enum step insn_wbinvd(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_WBINVD))
        return svm_vmexit_insn(cpu, VMEXIT_WBINVD, 0, 0, in->len);
    return STEP_NEXT;
}

/* --- TLB --- */

/* No access is made: neither limit nor canonical form is checked, and a non-canonical page is simply not there. */
enum step insn_invlpg(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t la = mem_offset(cpu, in);
    if (!cpu_long64(cpu))
        la = (uint32_t)(la + cpu->regs.seg[in->seg].base);
    else if (in->seg >= SEG_FS)
        la += cpu->regs.seg[in->seg].base;
    if (svm_intercepts(cpu, INTERCEPT_INVLPG))
        return svm_vmexit_insn(cpu, VMEXIT_INVLPG, decode_assist(cpu, la), 0, in->len);
    if (cpu_base_canonical(cpu, la))
        paging_flush_page(cpu->paging, cpu->svm->asid, control_pcid(cpu), la, true);
    return STEP_LEAVE;
}

/* INVPCID reg, m128: descriptor = PCID in 11:0 and a linear address. */
enum step insn_invpcid(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_INVPCID))
        return svm_vmexit_insn(cpu, VMEXIT_INVPCID, 0, 0, in->len);
    uint64_t type = reg_read(cpu, in->op[0].reg, cpu_long64(cpu) ? 8 : 4);
    if (type > 3)
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum seg seg = (enum seg)in->seg;
    uint64_t at = mem_offset(cpu, in), pcid, la;
    enum step step = mem_load(cpu, seg, at, 8, &pcid);
    if (step == STEP_NEXT)
        step = mem_load(cpu, seg, (at + 8) & size_mask(in->addr_size), 8, &la);
    if (step != STEP_NEXT)
        return step;
    bool pcid_legal = pcid <= ((cpu->regs.cr4 & CR4_PCIDE) || type > 1 ? 0xfffu : 0);
    if (!pcid_legal || (type == 0 && !cpu_base_canonical(cpu, la)))
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint16_t asid = cpu->svm->asid;
    switch (type) {
    case 0: paging_flush_page(cpu->paging, asid, (uint16_t)pcid, la, false); break;
    case 1: paging_flush_pcid(cpu->paging, asid, (uint16_t)pcid); break;
    case 2: paging_flush_asid(cpu->paging, asid, true); break;
    default: paging_flush_asid(cpu->paging, asid, false); break;
    }
    return STEP_LEAVE;
}

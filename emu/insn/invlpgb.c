/* INVLPGB and TLBSYNC: removing TLB entries of every processor. APM vol 3, "INVLPGB", "TLBSYNC"; vol 2, 6.6.2 "TLB
 * Invalidation". All processors have done it when INVLPGB ends, so that TLBSYNC has nothing to wait for. */
#include "emu/cpu/run.h"
#include "emu/insn/system_priv.h"

/* rAX */
#define VALID_VA (1u << 0)
#define VALID_PCID (1u << 1)
#define VALID_ASID (1u << 2)
#define GLOBALS (1u << 3)
#define FINAL_ONLY (1u << 4) /* no upper levels are cached here */
#define NESTED (1u << 5)
/* ECX */
#define MORE_PAGES 0xffffu
#define STRIDE_2M (1u << 31)
/* EDX */
#define PCID_SHIFT 16
#define PCID_BITS 0xfffu

/* A hypervisor can keep both from its guests: they are undefined there. APM vol 2, appendix B, offset 090h. */
static enum step check(struct vcpu *cpu)
{
    if (svm_guest(cpu) && !cpu->svm->tlbi)
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

/* CHOICE: an ASID that does not exist is illegal for the host. That of a guest is replaced, whatever it says. */
static bool operands_legal(const struct vcpu *cpu, uint64_t rax)
{
    uint32_t ecx = (uint32_t)cpu->r[REG_RCX], edx = (uint32_t)cpu->r[REG_RDX];
    uint32_t known = VALID_VA | VALID_PCID | VALID_ASID | GLOBALS | FINAL_ONLY;
    if (cpu_has(cpu, CPU_FEATURE_INVLPGB_NESTED))
        known |= NESTED;
    if (rax & 0xfff & ~known)
        return false;
    if ((ecx & MORE_PAGES) > CPUID_INVLPGB_MAX || (ecx & ~(MORE_PAGES | STRIDE_2M)))
        return false;
    if (edx >> (PCID_SHIFT + 12))
        return false;
    return svm_guest(cpu) || !(rax & VALID_ASID) || (edx & 0xffff) < SVM_ASID_COUNT;
}

/* Do it on every processor. CHOICE: pages whose address is not canonical are not there. */
static void invalidate(struct vcpu *cpu, const struct tlb_flush *flush, unsigned pages,
                       uint64_t stride)
{
    struct tlb_flush each = *flush;
    struct vcpu *other;
    for (unsigned i = 0; i < (flush->by_page ? pages : 1); i++) {
        each.la = cpu_long64(cpu) ? flush->la + i * stride : (uint32_t)(flush->la + i * stride);
        if (flush->by_page && !cpu_base_canonical(cpu, each.la))
            continue;
        for (unsigned n = 0; (other = group_vcpu(cpu, n)) != NULL; n++)
            paging_flush_matching(other->paging, &each);
    }
}

enum step insn_invlpgb(struct vcpu *cpu, const struct insn *in)
{
    enum step step = check(cpu);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_INVLPGB))
        return svm_vmexit_insn(cpu, VMEXIT_INVLPGB, 0, 0, in->len);
    uint64_t rax = reg_read(cpu, REG_RAX * 8, in->addr_size);
    uint32_t ecx = (uint32_t)cpu->r[REG_RCX], edx = (uint32_t)cpu->r[REG_RDX];
    if (!operands_legal(cpu, rax)) {
        if (svm_intercepts(cpu, INTERCEPT_INVLPGB_ILLEGAL))
            return svm_vmexit_insn(cpu, VMEXIT_INVLPGB_ILLEGAL, 0, 0, in->len);
        return cpu_raise_code(cpu, EXC_GP, 0);
    }
    struct tlb_flush flush = { .asid = TLB_FLUSH_ANY,
                               .pcid = TLB_FLUSH_ANY,
                               .by_page = rax & VALID_VA,
                               .la = rax & ~UINT64_C(0xfff),
                               .globals = rax & GLOBALS,
                               .nested = rax & NESTED };
    if (rax & VALID_PCID)
        flush.pcid = edx >> PCID_SHIFT & PCID_BITS;
    if (svm_guest(cpu))
        flush.asid = cpu->svm->asid;
    else if (rax & VALID_ASID)
        flush.asid = edx & 0xffff;
    invalidate(cpu, &flush, (ecx & MORE_PAGES) + 1, ecx & STRIDE_2M ? 1u << 21 : 1u << 12);
    return STEP_LEAVE;
}

enum step insn_tlbsync(struct vcpu *cpu, const struct insn *in)
{
    enum step step = check(cpu);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_TLBSYNC))
        return svm_vmexit_insn(cpu, VMEXIT_TLBSYNC, 0, 0, in->len);
    return STEP_NEXT;
}

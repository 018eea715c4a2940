/* What stands behind the last #VMEXIT. */
#include "emu/debug/exit_facts.h"

#include "emu/cpu/state.h"
#include "emu/debug/trace_priv.h"

static unsigned saved_code_bits(const uint8_t *vmcb)
{
    uint64_t attr = VMCB_GET(vmcb, CS_ATTR);
    if ((VMCB_GET(vmcb, EFER) & EFER_LMA) && (attr & SEG_ATTR_L))
        return 64;
    return attr & SEG_ATTR_DB ? 32 : 16;
}

const uint8_t *exit_vmcb(const struct vcpu *cpu)
{
    return memory_ptr(cpu->memory, cpu->svm->vmcb_spa, VMCB_PAGE_BYTES);
}

struct walk_regime exit_regime(const struct vcpu *cpu, const uint8_t *vmcb)
{
    const struct svm_state *svm = cpu->svm;
    return (struct walk_regime){ .mode = walk_mode_of(VMCB_GET(vmcb, CR0), VMCB_GET(vmcb, CR4),
                                                      VMCB_GET(vmcb, EFER)),
                                 .root = VMCB_GET(vmcb, CR3),
                                 .nxe = VMCB_GET(vmcb, EFER) & EFER_NXE,
                                 .pse = VMCB_GET(vmcb, CR4) & CR4_PSE,
                                 .asid = (uint16_t)svm->last_asid,
                                 .maxphyaddr = svm->model.maxphyaddr,
                                 .page_1gb = svm->model.page_1gb,
                                 .smm = cpu->regs.smm,
                                 .nested = svm->last_nested ? &svm->host_regime : NULL };
}

size_t exit_code(const struct vcpu *cpu, const uint8_t *vmcb, uint8_t bytes[EXIT_INSN_BYTES],
                 unsigned *bits)
{
    *bits = saved_code_bits(vmcb);
    uint64_t rip = cpu->svm->last_rip; /* the host may have moved the VMCB's already */
    const struct walk_regime regime = exit_regime(cpu, vmcb);
    uint64_t la = *bits == 64 ? rip : (uint32_t)(VMCB_GET(vmcb, CS_BASE) + rip);
    if (!paging_is_canonical(la, regime.mode == WALK_5LEVEL))
        return 0;
    return trace_peek(cpu->memory, &regime, la, bytes, EXIT_INSN_BYTES);
}

/* The first port of an access whose bit is set in the IOPM. APM vol 2, 15.10.1 "I/O Permissions Map". */
static bool port_bit(const struct vcpu *cpu, uint64_t info1, struct svm_map_bit *at)
{
    uint32_t port = info1 >> 16 & 0xffff;
    unsigned size = info1 & 0x10 ? 1 : info1 & 0x20 ? 2 : 4;
    for (unsigned i = 0; i < size; i++) {
        *at = svm_io_map_bit(cpu->svm, port + i);
        const uint8_t *byte = memory_ptr(cpu->memory, at->spa, 1);
        if (byte && (*byte >> at->bit & 1))
            return true;
    }
    return false;
}

bool exit_map_bit(const struct vcpu *cpu, uint64_t code, uint64_t info1, uint32_t msr,
                  struct svm_map_bit *at)
{
    if (code == VMEXIT_MSR)
        return svm_msr_map_bit(cpu->svm, msr, info1 & 1, at);
    return code == VMEXIT_IOIO && port_bit(cpu, info1, at);
}

static struct access fault_access(uint64_t info1, bool fetch)
{
    if (fetch || (info1 & PF_ID))
        return (struct access){ .kind = ACCESS_EXEC };
    return (struct access){ .kind = info1 & PF_RW ? ACCESS_WRITE : ACCESS_READ,
                            .shadow_stack = info1 & PF_SS,
                            .supervisor = (info1 & (PF_SS | PF_US)) == PF_SS };
}

/* Walk again, without effects: in both dimensions from the linear address that the access recorded, or else the nested one
 * from the guest physical address alone. true: it ends in the same fault. */
static bool fault_walk(const struct vcpu *cpu, const uint8_t *vmcb, uint64_t info1, uint64_t info2,
                       bool both, struct walk_log *log)
{
    struct walk_regime regime = exit_regime(cpu, vmcb);
    struct access access = fault_access(info1, both && cpu->raised.fetch);
    if (regime.nested->gmet && (info1 & PF_US)) /* US tells the guest's level then */
        regime.cpl = 3;
    if (!both)
        regime.mode = WALK_NONE;
    uint64_t la = both ? cpu->raised.cr2 : info2;
    struct walk_result found = walk_explain(cpu->memory, &regime, la, access, log);
    /* US need not tell whose shadow stack it is, but a page of the guest's is only one level's. */
    if (found.status == WALK_FAULT && access.shadow_stack) {
        access.supervisor = !access.supervisor;
        found = walk_explain(cpu->memory, &regime, la, access, log);
    }
    return found.status == WALK_NPF && found.gpa == info2;
}

bool exit_npf_walk(const struct vcpu *cpu, const uint8_t *vmcb, uint64_t info1, uint64_t info2,
                   struct walk_log *log)
{
    const struct raised *raised = &cpu->raised;
    bool known = raised->npf && raised->info1 == info1 && raised->info2 == info2;
    /* VMLOAD and VMSAVE of a guest have a guest physical address where others have a linear one. */
    return (known && fault_walk(cpu, vmcb, info1, info2, true, log)) ||
           fault_walk(cpu, vmcb, info1, info2, false, log);
}

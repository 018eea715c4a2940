/* Locked read-modify-writes while a guest's bus locks are counted; without that they run as they are. APM vol 2, 7.3.3 "Cacheable
 * Locks and Bus Locks", 15.14.5 "Bus Lock Threshold".
 *
 * CHOICE: a locked access is misaligned for the bus when it crosses a line of 64 bytes; smaller boundaries are allowed too. What the
 * processor locks by itself, accessed and dirty bits in tables and descriptors, is not counted. */
#include "emu/insn/lock.h"

#include "emu/cpu/memtype.h"

#include <Zydis/Mnemonic.h>

#define LINE_BYTES 64u

bool lock_is_implied_or_said(const struct insn *in)
{
    bool memory = in->op[0].kind == OPERAND_MEM ||
                  (in->op[1].kind == OPERAND_MEM && in->mnemonic == ZYDIS_MNEMONIC_XCHG);
    return memory && ((in->prefixes & PREFIX_LOCK) || in->mnemonic == ZYDIS_MNEMONIC_XCHG);
}

static uint64_t offset_of(struct vcpu *cpu, const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return bit_unit(cpu, in,
                        in->op[1].kind == OPERAND_REG ? reg_read(cpu, in->op[1].reg, in->op[1].size)
                                                      : in->imm);
    default: return mem_offset(cpu, in);
    }
}

/* The type of one line is that of its page. */
static bool is_bus_lock(struct vcpu *cpu, uint64_t la, unsigned size)
{
    enum memory_type type;
    if (la % LINE_BYTES + size > LINE_BYTES)
        return true;
    return memtype_of(cpu, la, &type) && type != MEMORY_WB;
}

/* Exceptions of the access come before the exit, which says so by "before the processor executes a bus lock": all are made here,
 * but those of alignment, which the body makes. */
enum step insn_locked(struct vcpu *cpu, const struct insn *in)
{
    struct svm_state *svm = cpu->svm;
    const struct operand *op = in->op[0].kind == OPERAND_MEM ? &in->op[0] : &in->op[1];
    unsigned size = op->size;
    uint64_t off = offset_of(cpu, in), la;
    enum step step = mem_linear(cpu, (enum seg)in->seg, off, size, ACCESS_WRITE, &la);
    if (step != STEP_NEXT)
        return step;
    if ((la & (size - 1)) && (size == 16 || mem_alignment_checked(cpu)))
        return in->body(cpu, in);
    step = mem_touch_bytes(cpu, (enum seg)in->seg, off, size, ACCESS_WRITE);
    if (step != STEP_NEXT)
        return step;
    if (!is_bus_lock(cpu, la, size))
        return in->body(cpu, in);
    if (svm->bus_locks == 0)
        return svm_vmexit(cpu, VMEXIT_BUSLOCK, 0, 0);
    step = in->body(cpu, in);
    if (step == STEP_NEXT || step == STEP_LEAVE)
        svm->bus_locks--;
    return step;
}

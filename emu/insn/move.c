/* Data movement. APM vol 3, chapter 3: MOV, MOVZX, MOVSX, MOVSXD, MOVBE, LEA, CMOVcc, SETcc, BSWAP, XLAT, the
 * conversions of rAX, NOP and the hints. Exchanges are in exchange.c, the stack in stack.c. */
#include "emu/cpu/run.h"
#include "emu/insn/insn.h"
#include "svm/pause.h"

#include <Zydis/Mnemonic.h>

EMU_MUST_USE static enum step move(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    return step == STEP_NEXT ? operand_write(cpu, in, 0, value) : step;
}

/* One mnemonic, four instructions: general, segment, control and debug registers. */
enum step insn_mov(struct vcpu *cpu, const struct insn *in)
{
    for (unsigned n = 0; n < 2; n++) {
        switch ((enum operand_kind)in->op[n].kind) {
        case OPERAND_SEG: return insn_mov_seg(cpu, in);
        case OPERAND_CR: return insn_mov_cr(cpu, in);
        case OPERAND_DR: return insn_mov_dr(cpu, in);
        default: break;
        }
    }
    return move(cpu, in);
}

enum step insn_movzx(struct vcpu *cpu, const struct insn *in)
{
    return move(cpu, in);
}

/* MOVSX, MOVSXD. */
enum step insn_movsx(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, in->op[0].size, sem_movsx(in->op[1].size, value));
    return step;
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    uint64_t swapped = 0;
    for (unsigned i = 0; i < size; i++)
        swapped |= ((value >> (8 * i)) & 0xff) << (8 * (size - 1 - i));
    return swapped;
}

enum step insn_movbe(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step != STEP_NEXT)
        return step;
    return operand_write(cpu, in, 0, swap_bytes(value, in->op[1].size));
}

/* CHOICE: BSWAP of a 16-bit register, undefined, gives 0 as on Zen 4. */
enum step insn_bswap(struct vcpu *cpu, const struct insn *in)
{
    unsigned reg = in->op[0].reg, size = in->op[0].size;
    reg_write(cpu, reg, size, size == 2 ? 0 : swap_bytes(reg_read(cpu, reg, size), size));
    return STEP_NEXT;
}

enum step insn_lea(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[1].kind != OPERAND_MEM)
        return cpu_raise(cpu, EXC_UD);
    reg_write(cpu, in->op[0].reg, in->op[0].size, mem_offset(cpu, in));
    return STEP_NEXT;
}

/* The source is read, and a 32-bit destination zero-extended, also when the condition is false. */
enum step insn_cmov(struct vcpu *cpu, const struct insn *in)
{
    unsigned reg = in->op[0].reg, size = in->op[0].size;
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step == STEP_NEXT)
        reg_write(cpu, reg, size, flags_condition(cpu, in->cc) ? value : reg_read(cpu, reg, size));
    return step;
}

enum step insn_setcc(struct vcpu *cpu, const struct insn *in)
{
    return operand_write(cpu, in, 0, flags_condition(cpu, in->cc));
}

/* CBW, CWDE, CDQE: rAX := sign-extended half of itself. */
enum step insn_cbw(struct vcpu *cpu, const struct insn *in)
{
    reg_write(cpu, REG_RAX * 8, in->op_size, sem_movsx(in->op_size / 2, cpu->r[REG_RAX]));
    return STEP_NEXT;
}

/* CWD, CDQ, CQO: rDX := the sign of rAX. */
enum step insn_cwd(struct vcpu *cpu, const struct insn *in)
{
    int64_t value = sign_extend(cpu->r[REG_RAX], in->op_size);
    reg_write(cpu, REG_RDX * 8, in->op_size, value < 0 ? UINT64_MAX : 0);
    return STEP_NEXT;
}

enum step insn_xlat(struct vcpu *cpu, const struct insn *in)
{
    uint64_t off = (cpu->r[REG_RBX] + (uint8_t)cpu->r[REG_RAX]) & size_mask(in->addr_size);
    uint64_t value;
    enum step step = mem_load(cpu, (enum seg)in->seg, off, 1, &value);
    if (step == STEP_NEXT)
        reg_write(cpu, REG_RAX * 8, 1, value);
    return step;
}

/* SALC (D6h), which no manual describes but every processor has outside 64-bit mode: AL := CF ? FFh : 0. */
enum step insn_salc(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    reg_write(cpu, REG_RAX * 8, 1, flags_cf(cpu) ? 0xff : 0);
    return STEP_NEXT;
}

/* --- nothing to do ----------------------------------------------------------------------------- */

/* NOP, hints and fences: prefetches do not fault, memory is always in order here. */
enum step insn_nop(struct vcpu *cpu, const struct insn *in)
{
    (void)cpu;
    (void)in;
    return STEP_NEXT;
}

/* The rest of the turn goes to the other vCPUs, if there are any. */
enum step insn_pause(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_PAUSE) && svm_pause_exits(cpu->svm, vcpu_now_ns(cpu)))
        return svm_vmexit_insn(cpu, VMEXIT_PAUSE, 0, 0, in->len);
    if (cpu->count < 2)
        return STEP_NEXT;
    cpu->yield = true;
    return STEP_LEAVE;
}

/* CLFLUSH, CLFLUSHOPT, CLWB: caches are not modelled, but the address is checked like that of a byte load. */
enum step insn_clflush(struct vcpu *cpu, const struct insn *in)
{
    uint64_t la;
    enum step step = mem_linear(cpu, (enum seg)in->seg, mem_offset(cpu, in), 1, ACCESS_READ, &la);
    return step == STEP_NEXT ? mem_touch(cpu, la, ACCESS_READ) : step;
}

/* CLZERO: the line that rAX points into becomes 0, in one access. Page faults name its first byte (Zen 4). */
enum step insn_clzero(struct vcpu *cpu, const struct insn *in)
{
    static const uint8_t zeros[64];
    uint64_t off = reg_read(cpu, REG_RAX * 8, in->addr_size), la;
    enum step step = mem_linear(cpu, (enum seg)in->seg, off, 1, ACCESS_WRITE, &la);
    /* Measured on Zen 4: the whole line must be in the segment. If the segment begins within it the offset wraps. */
    if (step == STEP_NEXT)
        step = mem_store_bytes(cpu, (enum seg)in->seg, off - (la & 63), sizeof(zeros), zeros);
    return step;
}

enum step insn_ud(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return cpu_raise(cpu, EXC_UD);
}

/* x87 control: state, control word, status word, waiting. APM vol 5, "FNINIT", "FNCLEX", "FLDCW", "FNSTCW", "FNSTSW",
 * "FWAIT"; and what all x87 bodies call. */
#include "emu/insn/x87_priv.h"

/* Measured on Zen 4: ES and B always follow flags and masks, however either was changed. */
void x87_update_pending(struct vcpu *cpu)
{
    uint16_t fsw = cpu->x87.fsw & (uint16_t) ~(FSW_ES | FSW_B);
    if (fsw & ~(unsigned)cpu->x87.fcw & FP_EXCEPTIONS)
        fsw |= FSW_ES | FSW_B;
    cpu->x87.fsw = fsw;
    cpu_update_fp(cpu);
}

void x87_init(struct vcpu *cpu)
{
    cpu->x87.fcw = FCW_INIT;
    cpu->x87.fsw = 0;
    cpu->x87.used = 0;
    cpu->x87.fop = cpu->x87.fcs = cpu->x87.fds = 0;
    cpu->x87.fip = cpu->x87.fdp = 0;
    x87_update_pending(cpu);
}

void x87_set_fcw(struct vcpu *cpu, uint16_t fcw)
{
    cpu->x87.fcw = (uint16_t)((fcw & FCW_WRITABLE) | FCW_FIXED);
    x87_update_pending(cpu);
}

enum step insn_fninit(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    x87_init(cpu);
    return STEP_NEXT;
}

/* SF goes too, the condition codes stay. */
enum step insn_fnclex(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    cpu->x87.fsw &= (uint16_t) ~(FP_EXCEPTIONS | FSW_SF);
    x87_update_pending(cpu);
    return STEP_NEXT;
}

enum step insn_fnstcw(struct vcpu *cpu, const struct insn *in)
{
    return operand_write(cpu, in, 0, cpu->x87.fcw);
}

enum step insn_fnstsw(struct vcpu *cpu, const struct insn *in)
{
    return operand_write(cpu, in, 0, cpu->x87.fsw);
}

enum step insn_fldcw(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 0, &value);
    if (step == STEP_NEXT)
        x87_set_fcw(cpu, (uint16_t)value);
    return step;
}

/* FWAIT looks at CR0.MP, not at EM. APM vol 2, 8.2.8 "#NM-Device-Not-Available Exception (Vector 7)". */
enum step insn_fwait(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    const uint64_t both = CR0_MP | CR0_TS;
    if ((cpu->regs.cr0 & both) == both)
        return cpu_raise(cpu, EXC_NM);
    return cpu->x87.fsw & FSW_ES ? fp_pending(cpu) : STEP_NEXT;
}

/* FENI, FDISI of the 8087 and FSETPM of the 287 do nothing, and leave FOP and FIP alone. */
enum step insn_x87_nop(struct vcpu *cpu, const struct insn *in)
{
    (void)cpu;
    (void)in;
    return STEP_NEXT;
}

/* --- operands of 10 bytes ------------------------------------------------------------------- */

static enum step check_alignment(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                 unsigned align, unsigned size, enum access_kind kind)
{
    uint64_t la;
    if (EMU_LIKELY(!mem_alignment_checked(cpu)))
        return STEP_NEXT;
    size = size <= 10 ? size : align; /* environments are stored in parts */
    enum step step = mem_linear(cpu, (enum seg)in->seg, off, size, kind, &la);
    if (step == STEP_NEXT && la & (align - 1))
        step = cpu_raise_code(cpu, EXC_AC, 0);
    return step;
}

enum step x87_load_block(struct vcpu *cpu, const struct insn *in, uint64_t off, unsigned align,
                         unsigned size, uint8_t *bytes)
{
    enum step step = check_alignment(cpu, in, off, align, size, ACCESS_READ);
    return step == STEP_NEXT ? mem_load_bytes(cpu, (enum seg)in->seg, off, size, bytes) : step;
}

enum step x87_store_block(struct vcpu *cpu, const struct insn *in, uint64_t off, unsigned align,
                          unsigned size, const uint8_t *bytes)
{
    enum step step = check_alignment(cpu, in, off, align, size, ACCESS_WRITE);
    return step == STEP_NEXT ? mem_store_bytes(cpu, (enum seg)in->seg, off, size, bytes) : step;
}

enum step x87_load80(struct vcpu *cpu, const struct insn *in, uint64_t off, struct f80 *value)
{
    uint8_t bytes[10];
    enum step step = x87_load_block(cpu, in, off, 8, sizeof(bytes), bytes);
    if (step == STEP_NEXT)
        *value = x87_unpack80(bytes);
    return step;
}

enum step x87_store80(struct vcpu *cpu, const struct insn *in, uint64_t off, struct f80 value)
{
    uint8_t bytes[10];
    x87_pack80(bytes, value);
    return x87_store_block(cpu, in, off, 8, sizeof(bytes), bytes);
}

enum step x87_probe_store(struct vcpu *cpu, const struct insn *in, uint64_t off, unsigned size)
{
    enum step step = check_alignment(cpu, in, off, size == 10 ? 8 : size, size, ACCESS_WRITE);
    return step == STEP_NEXT ? mem_touch_bytes(cpu, (enum seg)in->seg, off, size, ACCESS_WRITE)
                             : step;
}

/* --- widening what is not normal --------------------------------------------------------------- */

static struct f80 widen_slow(bool sign, bool special, uint64_t fraction, int emin, uint8_t *flags)
{
    struct f80 value = { .se = (uint16_t)(sign << 15) };
    if (special) {
        value.se |= 0x7fff;
        value.mant = UINT64_C(1) << 63 | fraction;
    } else if (fraction != 0) {
        unsigned shift = EMU_CLZ64(fraction);
        *flags |= FP_DE;
        value.se |= (uint16_t)(emin + 1 - (int)shift + 16383);
        value.mant = fraction << shift;
    }
    return value;
}

struct f80 x87_widen32_slow(uint32_t a, uint8_t *flags)
{
    return widen_slow(a >> 31, a & 0x7f800000, (uint64_t)(a & 0x7fffff) << 40, -127, flags);
}

struct f80 x87_widen64_slow(uint64_t a, uint8_t *flags)
{
    return widen_slow(a >> 63, a >> 52 & 0x7ff, (a & UINT64_C(0xfffffffffffff)) << 11, -1023,
                      flags);
}

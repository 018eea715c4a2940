/* What the bodies of x87 instructions share: the register stack, the status word, the last instruction's pointers.
 *
 * Every body goes the same way. Memory is read first: a page fault comes before everything, also before a stack fault of
 * the same instruction (measured on Zen 4). Then the stack is checked and the result computed. Unmasked IE, DE and ZE leave
 * registers, stack and memory as they are; unmasked OE, UE and PE come with a result in a register, and unmasked OE and UE
 * without one in memory. Last of all x87_finish() or x87_fault() writes the status word. APM vol 1, 6.8 "x87 Floating-Point
 * Exceptions". */
#ifndef EMU_INSN_X87_PRIV_H
#define EMU_INSN_X87_PRIV_H

#include "emu/fpu/fpu.h"
#include "emu/insn/insn.h"

#include <string.h>

#define FSW_IE 0x0001u
#define FSW_SF 0x0040u
#define FSW_C0 0x0100u
#define FSW_C1 0x0200u
#define FSW_C2 0x0400u
#define FSW_TOP 0x3800u
#define FSW_C3 0x4000u
#define FSW_CONDITIONS (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)

#define FCW_PC_SHIFT 8
#define FCW_RC_SHIFT 10

/* A stack fault as an instruction reports it: IE with SF; C1 tells overflow from underflow. */
#define X87_UNDERFLOW (FSW_IE | FSW_SF)
#define X87_OVERFLOW (FSW_IE | FSW_SF | FSW_C1)

/* What keeps a result from the registers when unmasked; and from memory. */
#define X87_BEFORE (FP_IE | FP_DE | FP_ZE)
#define X87_BEFORE_STORE (X87_BEFORE | FP_OE | FP_UE)

/* --- the stack ----------------------------------------------------------------------------- */

static inline unsigned x87_physical(const struct vcpu *cpu, unsigned i)
{
    return (((unsigned)cpu->x87.fsw >> FSW_TOP_SHIFT) + i) & 7;
}

static inline struct f80 *x87_st(struct vcpu *cpu, unsigned i)
{
    return &cpu->x87.reg[x87_physical(cpu, i)];
}

static inline bool x87_empty(const struct vcpu *cpu, unsigned i)
{
    return !((cpu->x87.used >> x87_physical(cpu, i)) & 1);
}

static inline void x87_set(struct vcpu *cpu, unsigned i, struct f80 value)
{
    unsigned n = x87_physical(cpu, i);
    cpu->x87.reg[n] = value;
    cpu->x87.used |= (uint8_t)(1u << n);
}

static inline void x87_rotate(struct vcpu *cpu, unsigned by)
{
    uint16_t fsw = cpu->x87.fsw;
    cpu->x87.fsw = (uint16_t)((fsw & ~FSW_TOP) | ((fsw + (by << FSW_TOP_SHIFT)) & FSW_TOP));
}

static inline void x87_pop(struct vcpu *cpu)
{
    cpu->x87.used &= (uint8_t) ~(1u << x87_physical(cpu, 0));
    x87_rotate(cpu, 1);
}

static inline void x87_push(struct vcpu *cpu, struct f80 value)
{
    x87_rotate(cpu, 7);
    x87_set(cpu, 0, value);
}

/* --- the environment ----------------------------------------------------------------------- */

/* Field by field: a struct put together in a register would be read back from the stack in other pieces than it was written. */
static inline void x87_env(const struct vcpu *cpu, struct fp_env *env)
{
    static const uint8_t precision[4] = { 24, 64, 53, 64 };
    unsigned fcw = cpu->x87.fcw;
    env->rounding = (uint8_t)(fcw >> FCW_RC_SHIFT & 3);
    env->masks = (uint8_t)(fcw & FP_EXCEPTIONS);
    env->flags = 0;
    env->precision = precision[fcw >> FCW_PC_SHIFT & 3];
    env->daz = env->ftz = env->rounded_up = false;
    env->x87 = true;
}

/* Make ES and B what the flags and masks say. The only place that changes them. */
void x87_update_pending(struct vcpu *cpu);

/* FOP, FIP and FCS name the last instruction that is no control instruction, FDP and FDS its operand if it has one in
 * memory; masked exceptions or none make no difference (measured on Zen 4). FDP is the offset in its segment. */
static inline void x87_pointers(struct vcpu *cpu, const struct insn *in)
{
    struct cpu_x87 *x87 = &cpu->x87;
    x87->fop = (uint16_t)((in->opcode & 7u) << 8 | in->modrm);
    x87->fip = cpu->r[REG_RIP];
    x87->fcs = cpu->regs.seg[SEG_CS].selector;
}

static inline void x87_pointers_mem(struct vcpu *cpu, const struct insn *in, uint64_t off)
{
    x87_pointers(cpu, in);
    cpu->x87.fdp = off;
    cpu->x87.fds = cpu->regs.seg[in->seg].selector;
}

/* The status word after an instruction: C1 becomes what `status` says, its flags accumulate. */
static inline void x87_finish(struct vcpu *cpu, unsigned status)
{
    cpu->x87.fsw = (uint16_t)((cpu->x87.fsw & ~FSW_C1) | status);
    if (EMU_UNLIKELY(status & ~(unsigned)cpu->x87.fcw & FP_EXCEPTIONS))
        x87_update_pending(cpu);
}

/* The status that an operation's environment reports, C1 included. */
static inline unsigned x87_status(const struct fp_env *env)
{
    return env->flags | (env->rounded_up ? FSW_C1 : 0);
}

/* FCOMI, FCMOVcc and their kin leave C1 as it is unless the stack faults (measured on Zen 4; APM vol 5 says so of neither). */
static inline unsigned x87_kept_c1(const struct vcpu *cpu, unsigned status)
{
    return status & FSW_SF ? 0 : cpu->x87.fsw & FSW_C1;
}

/* Are exceptions of `status` unmasked, of those in `which`? */
static inline bool x87_unmasked(const struct vcpu *cpu, unsigned status, unsigned which)
{
    return status & which & ~(unsigned)cpu->x87.fcw;
}

/* As FNINIT leaves everything. */
void x87_init(struct vcpu *cpu);
/* The control word; bits that do not exist are made right. */
void x87_set_fcw(struct vcpu *cpu, uint16_t fcw);

/* What of `status` is left when an unmasked exception keeps the result back. */
static inline unsigned x87_kept(unsigned status)
{
    return status & (X87_BEFORE | FSW_SF | (status & FSW_SF ? FSW_C1 : 0));
}

/* --- operands in memory ------------------------------------------------------------------------ */

/* `size` bytes as one access; an address that is no multiple of `align` is an #AC where alignment is checked. */
EMU_MUST_USE enum step x87_load_block(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                      unsigned align, unsigned size, uint8_t *bytes);
EMU_MUST_USE enum step x87_store_block(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                       unsigned align, unsigned size, const uint8_t *bytes);

static inline void x87_pack80(uint8_t *to, struct f80 value)
{
    memcpy(to, &value.mant, 8);
    memcpy(to + 8, &value.se, 2);
}

static inline struct f80 x87_unpack80(const uint8_t *from)
{
    struct f80 value;
    memcpy(&value.mant, from, 8);
    memcpy(&value.se, from + 8, 2);
    return value;
}

/* 10 bytes at the operand; checked for alignment to 8 bytes where alignment is checked (measured on Zen 4). */
EMU_MUST_USE enum step x87_load80(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                  struct f80 *value);
EMU_MUST_USE enum step x87_store80(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                   struct f80 value);

/* The faults of a store that an unmasked exception then keeps from happening. */
EMU_MUST_USE enum step x87_probe_store(struct vcpu *cpu, const struct insn *in, uint64_t off,
                                       unsigned size);

/* Widen a number for an arithmetic instruction: exact, and no NaN becomes quiet. *flags gets DE for a denormal. */
struct f80 x87_widen32_slow(uint32_t a, uint8_t *flags);
struct f80 x87_widen64_slow(uint64_t a, uint8_t *flags);

static inline struct f80 x87_widen32(uint32_t a, uint8_t *flags)
{
    unsigned exp = a >> 23 & 0xff;
    if (EMU_UNLIKELY(exp == 0 || exp == 0xff))
        return x87_widen32_slow(a, flags);
    return (struct f80){ .mant = (uint64_t)(a | UINT32_C(1) << 23) << 40,
                         .se = (uint16_t)((a >> 16 & 0x8000) | (exp + 16383 - 127)) };
}

static inline struct f80 x87_widen64(uint64_t a, uint8_t *flags)
{
    unsigned exp = (unsigned)(a >> 52) & 0x7ff;
    if (EMU_UNLIKELY(exp == 0 || exp == 0x7ff))
        return x87_widen64_slow(a, flags);
    return (struct f80){ .mant = (a << 11) | UINT64_C(1) << 63,
                         .se = (uint16_t)((a >> 48 & 0x8000) | (exp + 16383 - 1023)) };
}

static inline bool x87_is_nan(struct f80 a)
{
    return (a.se & 0x7fff) == 0x7fff && a.mant << 1 != 0;
}

#endif

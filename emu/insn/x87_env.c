/* The x87 environment and state in memory, and EMMS. APM vol 5, "FLDENV", "FNSTENV", "FNSAVE", "FRSTOR", "EMMS"; vol 1,
 * 6.2 "x87 Registers". */
#include "emu/insn/x87_priv.h"

#include <string.h>

#define ENV_MAX 28
#define STATE_MAX 108

static uint16_t get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static uint32_t get32(const uint8_t *from)
{
    return get16(from) | (uint32_t)get16(from + 2) << 16;
}

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value & 0xffff);
    put16(to + 2, value >> 16);
}

/* Two bits a register: 0 valid, 1 zero, 2 special, 3 empty; by value, whatever was loaded. */
static uint16_t full_tags(const struct vcpu *cpu)
{
    unsigned tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned tag = 3;
        if (cpu->x87.used >> i & 1) {
            enum fp_class class = f80_class(cpu->x87.reg[i]);
            tag = class == FP_CLASS_ZERO ? 1 : class == FP_CLASS_NORMAL ? 0 : 2;
        }
        tags |= tag << (2 * i);
    }
    return (uint16_t)tags;
}

static uint8_t abridge(uint16_t tags)
{
    unsigned used = 0;
    for (unsigned i = 0; i < 8; i++)
        used |= (tags >> (2 * i) & 3) != 3 ? 1u << i : 0;
    return (uint8_t)used;
}

/* Real and virtual-8086 mode hold linear addresses, protected mode selectors and offsets.
 * CHOICE: in real formats the address is 16 times the selector plus the offset, and what FLDENV loads there becomes an
 * offset with selector 0. Bits that no field has are ones in words of their own and zeros beside a field, as Zen 4 stores
 * them in the protected formats. */
static void put_env32(const struct vcpu *cpu, uint8_t *to)
{
    const struct cpu_x87 *x87 = &cpu->x87;
    put32(to, 0xffff0000u | x87->fcw);
    put32(to + 4, 0xffff0000u | x87->fsw);
    put32(to + 8, 0xffff0000u | full_tags(cpu));
    if (cpu_protected(cpu)) {
        put32(to + 12, (uint32_t)x87->fip);
        put32(to + 16, (uint32_t)x87->fop << 16 | x87->fcs);
        put32(to + 20, (uint32_t)x87->fdp);
        put32(to + 24, 0xffff0000u | x87->fds);
    } else {
        uint32_t ip = (uint32_t)x87->fip + ((uint32_t)x87->fcs << 4);
        uint32_t dp = (uint32_t)x87->fdp + ((uint32_t)x87->fds << 4);
        put32(to + 12, 0xffff0000u | (ip & 0xffff));
        put32(to + 16, ip >> 16 << 12 | x87->fop);
        put32(to + 20, 0xffff0000u | (dp & 0xffff));
        put32(to + 24, dp >> 16 << 12);
    }
}

static void put_env16(const struct vcpu *cpu, uint8_t *to)
{
    const struct cpu_x87 *x87 = &cpu->x87;
    put16(to, x87->fcw);
    put16(to + 2, x87->fsw);
    put16(to + 4, full_tags(cpu));
    if (cpu_protected(cpu)) {
        put16(to + 6, x87->fip & 0xffff);
        put16(to + 8, x87->fcs);
        put16(to + 10, x87->fdp & 0xffff);
        put16(to + 12, x87->fds);
    } else {
        uint32_t ip = (uint32_t)x87->fip + ((uint32_t)x87->fcs << 4);
        uint32_t dp = (uint32_t)x87->fdp + ((uint32_t)x87->fds << 4);
        put16(to + 6, ip & 0xffff);
        put16(to + 8, (ip >> 16 & 15) << 12 | x87->fop);
        put16(to + 10, dp & 0xffff);
        put16(to + 12, (dp >> 16 & 15) << 12);
    }
}

static void set_status(struct vcpu *cpu, uint16_t fcw, uint16_t fsw, uint16_t tags)
{
    cpu->x87.fsw = fsw;
    cpu->x87.used = abridge(tags);
    x87_set_fcw(cpu, fcw);
}

static void get_env32(struct vcpu *cpu, const uint8_t *from)
{
    struct cpu_x87 *x87 = &cpu->x87;
    uint32_t high = get32(from + 16);
    if (cpu_protected(cpu)) {
        x87->fip = get32(from + 12);
        x87->fcs = (uint16_t)high;
        x87->fop = high >> 16 & 0x7ff;
        x87->fdp = get32(from + 20);
        x87->fds = get16(from + 24);
    } else {
        x87->fip = get16(from + 12) | (high >> 12 & 0xffff) << 16;
        x87->fop = high & 0x7ff;
        x87->fdp = get16(from + 20) | (get32(from + 24) >> 12 & 0xffff) << 16;
        x87->fcs = x87->fds = 0;
    }
    set_status(cpu, get16(from), get16(from + 4), get16(from + 8));
}

static void get_env16(struct vcpu *cpu, const uint8_t *from)
{
    struct cpu_x87 *x87 = &cpu->x87;
    uint32_t high = get16(from + 8);
    if (cpu_protected(cpu)) {
        x87->fip = get16(from + 6);
        x87->fcs = (uint16_t)high;
        x87->fdp = get16(from + 10);
        x87->fds = get16(from + 12);
        x87->fop = 0;
    } else {
        x87->fip = get16(from + 6) | high >> 12 << 16;
        x87->fop = high & 0x7ff;
        x87->fdp = get16(from + 10) | (uint32_t)get16(from + 12) >> 12 << 16;
        x87->fcs = x87->fds = 0;
    }
    set_status(cpu, get16(from), get16(from + 2), get16(from + 4));
}

/* --- the instructions ------------------------------------------------------------------------- */

static bool wide(const struct insn *in)
{
    return in->op_size != 2;
}

static unsigned env_size(const struct insn *in)
{
    return wide(in) ? 28 : 14;
}

static void put_env(const struct vcpu *cpu, const struct insn *in, uint8_t *to)
{
    if (wide(in))
        put_env32(cpu, to);
    else
        put_env16(cpu, to);
}

static void get_env(struct vcpu *cpu, const struct insn *in, const uint8_t *from)
{
    if (wide(in))
        get_env32(cpu, from);
    else
        get_env16(cpu, from);
}

/* FNSTENV masks all exceptions once they are stored. */
enum step insn_fnstenv(struct vcpu *cpu, const struct insn *in)
{
    uint8_t area[ENV_MAX];
    put_env(cpu, in, area);
    enum step step =
        x87_store_block(cpu, in, mem_offset(cpu, in), wide(in) ? 4 : 2, env_size(in), area);
    if (step == STEP_NEXT)
        x87_set_fcw(cpu, cpu->x87.fcw | FP_EXCEPTIONS);
    return step;
}

enum step insn_fldenv(struct vcpu *cpu, const struct insn *in)
{
    uint8_t area[ENV_MAX];
    enum step step =
        x87_load_block(cpu, in, mem_offset(cpu, in), wide(in) ? 4 : 2, env_size(in), area);
    if (step == STEP_NEXT)
        get_env(cpu, in, area);
    return step;
}

/* The registers follow the environment in the order of the stack. Then all is as after FNINIT. */
enum step insn_fnsave(struct vcpu *cpu, const struct insn *in)
{
    uint8_t area[STATE_MAX];
    unsigned size = env_size(in);
    put_env(cpu, in, area);
    for (unsigned i = 0; i < 8; i++, size += 10)
        x87_pack80(area + size, *x87_st(cpu, i));
    enum step step = x87_store_block(cpu, in, mem_offset(cpu, in), wide(in) ? 4 : 2, size, area);
    if (step == STEP_NEXT)
        x87_init(cpu);
    return step;
}

enum step insn_frstor(struct vcpu *cpu, const struct insn *in)
{
    uint8_t area[STATE_MAX];
    unsigned size = env_size(in);
    enum step step =
        x87_load_block(cpu, in, mem_offset(cpu, in), wide(in) ? 4 : 2, size + 80, area);
    if (step != STEP_NEXT)
        return step;
    get_env(cpu, in, area);
    for (unsigned i = 0; i < 8; i++, size += 10)
        *x87_st(cpu, i) = x87_unpack80(area + size);
    return STEP_NEXT;
}

/* All registers become empty, and TOP 0 (measured on Zen 4); FOP, FIP and FDP stay. */
enum step insn_emms(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    cpu->x87.used = 0;
    cpu->x87.fsw &= (uint16_t)~FSW_TOP;
    return STEP_NEXT;
}

/* IN, OUT, INS, OUTS. APM vol 3, chapter 3; vol 2, 12.2.5 "I/O-Permission Bitmap", 15.10 "IOIO Intercepts". */
#include "emu/cpu/debug.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/stack.h"
#include "emu/insn/system_priv.h"

#include <Zydis/Mnemonic.h>

/* --- permission --- */

/* One bit a port in the TSS; the access reads two bytes, both inside the limit. */
static enum step check_bitmap(struct vcpu *cpu, uint16_t port, unsigned size)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    bool tss32 = (tr->attr & SEG_ATTR_P) && (tr->attr & 8);
    uint64_t map, bits;
    if (!tss32 || tr->limit < 0x67)
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = mem_load_sys(cpu, tr->base + 0x66, 2, &map);
    if (step != STEP_NEXT)
        return step;
    uint64_t at = map + port / 8;
    if (at + 1 > tr->limit)
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = mem_load_sys(cpu, tr->base + at, 2, &bits);
    if (step != STEP_NEXT)
        return step;
    if (bits >> port % 8 & ((1u << size) - 1))
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

/* IOPL and the TSS map. */
static enum step check_permission(struct vcpu *cpu, uint16_t port, unsigned size)
{
    unsigned iopl = (unsigned)(cpu->rflags & FLAG_IOPL) >> 12;
    bool map = cpu_protected(cpu) ? cpu->regs.cpl > iopl : cpu->mode == MODE_V86;
    return map ? check_bitmap(cpu, port, size) : STEP_NEXT;
}

/* What the permission leaves to the IOPM. */
static enum step check_port(struct vcpu *cpu, const struct insn *in, uint16_t port, unsigned size,
                            uint64_t info)
{
    enum step step = check_permission(cpu, port, size);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_IOIO_PROT) && svm_io_intercepted(cpu, port, size))
        return svm_vmexit_insn(cpu, VMEXIT_IOIO, info, svm_next_rip(cpu, in->len), in->len);
    return STEP_NEXT;
}

/* --- IN and OUT --- */

static void watch_port(struct vcpu *cpu, uint16_t port, unsigned size)
{
    if (EMU_UNLIKELY(debug_armed(cpu)))
        debug_port_accessed(cpu, port, size);
}

static enum step done(const struct vcpu *cpu)
{
    return cpu->attention ? STEP_LEAVE : STEP_NEXT;
}

/* The port: an immediate byte or DX. */
static uint16_t port_operand(const struct vcpu *cpu, const struct insn *in, unsigned n)
{
    return in->op[n].kind == OPERAND_IMM ? (uint8_t)in->imm : (uint16_t)cpu->r[REG_RDX];
}

enum step insn_in(struct vcpu *cpu, const struct insn *in)
{
    uint16_t port = port_operand(cpu, in, 1);
    unsigned size = in->op[0].size;
    uint64_t info = svm_ioio_info(port, true, false, false, size, in->addr_size, SEG_ES);
    enum step step = check_port(cpu, in, port, size, info);
    if (step != STEP_NEXT)
        return step;
    struct smm_io smm = smm_io_begin(cpu);
    uint32_t value = cpu->ports->read(cpu->ports_self, port, size);
    smm_io_end(cpu, smm, info);
    reg_write(cpu, REG_RAX * 8, size, value);
    watch_port(cpu, port, size);
    return done(cpu);
}

enum step insn_out(struct vcpu *cpu, const struct insn *in)
{
    uint16_t port = port_operand(cpu, in, 0);
    unsigned size = in->op[1].size;
    uint64_t info = svm_ioio_info(port, false, false, false, size, in->addr_size, SEG_ES);
    enum step step = check_port(cpu, in, port, size, info);
    if (step != STEP_NEXT)
        return step;
    struct smm_io smm = smm_io_begin(cpu);
    cpu->ports->write(cpu->ports_self, port, size, (uint32_t)reg_read(cpu, REG_RAX * 8, size));
    smm_io_end(cpu, smm, info);
    watch_port(cpu, port, size);
    return done(cpu);
}

/* --- INS and OUTS --- */

struct port_string {
    const struct insn *in;
    bool input, rep;
    unsigned size;
    unsigned index; /* REG_RDI or REG_RSI */
    enum seg seg;
};

static struct port_string port_string(const struct insn *in)
{
    struct port_string s = { .in = in, .rep = in->prefixes & (PREFIX_REP | PREFIX_REPNE) };
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_INSB:
        s.input = true;
        s.size = 1;
        break;
    case ZYDIS_MNEMONIC_INSW:
        s.input = true;
        s.size = 2;
        break;
    case ZYDIS_MNEMONIC_INSD:
        s.input = true;
        s.size = 4;
        break;
    case ZYDIS_MNEMONIC_OUTSB: s.size = 1; break;
    case ZYDIS_MNEMONIC_OUTSW: s.size = 2; break;
    default: s.size = 4; break;
    }
    s.index = s.input ? REG_RDI : REG_RSI;
    s.seg = s.input ? SEG_ES : (enum seg)in->seg;
    return s;
}

/* A port read cannot be undone: make sure first that the store will succeed. */
static enum step check_destination(struct vcpu *cpu, uint64_t off, const struct port_string *s,
                                   uint64_t *la)
{
    enum step step = mem_linear(cpu, SEG_ES, off, s->size, ACCESS_WRITE, la);
    if (step == STEP_NEXT && (*la & (s->size - 1)) != 0 && mem_alignment_checked(cpu))
        return cpu_raise_code(cpu, EXC_AC, 0);
    return step == STEP_NEXT ? stack_check(cpu, *la, s->size, false) : step;
}

/* One transfer; registers move only on success. */
static enum step iterate(struct vcpu *cpu, const struct port_string *s)
{
    const struct insn *in = s->in;
    uint16_t port = (uint16_t)cpu->r[REG_RDX];
    uint64_t info = svm_ioio_info(port, s->input, true, s->rep, s->size, in->addr_size,
                                  cpu_has(cpu, CPU_FEATURE_DECODEASSISTS) ? s->seg : SEG_ES);
    enum step step = check_port(cpu, in, port, s->size, info);
    if (step != STEP_NEXT)
        return step;
    uint64_t off = reg_read(cpu, s->index * 8, in->addr_size), la, value;
    struct smm_io smm = smm_io_begin(cpu);
    if (s->input) {
        step = check_destination(cpu, off, s, &la);
        if (step != STEP_NEXT)
            return step;
        step = mem_store_la(cpu, la, s->size, cpu->ports->read(cpu->ports_self, port, s->size));
    } else {
        step = mem_load(cpu, s->seg, off, s->size, &value);
        if (step == STEP_NEXT)
            cpu->ports->write(cpu->ports_self, port, s->size, (uint32_t)value);
    }
    if (step != STEP_NEXT)
        return step;
    smm_io_end(cpu, smm, info);
    watch_port(cpu, port, s->size);
    uint64_t delta = cpu->rflags & FLAG_DF ? -(uint64_t)s->size : s->size;
    reg_write(cpu, s->index * 8, in->addr_size, off + delta);
    return STEP_NEXT;
}

/* INS, OUTS. With REP each iteration takes one from the budget, so that time is exact for the device; the block has
 * paid for the first. An execution ends when the budget is used up or somebody wants attention. */
enum step insn_port_string(struct vcpu *cpu, const struct insn *in)
{
    const struct port_string s = port_string(in);
    if (!s.rep) {
        enum step step = iterate(cpu, &s);
        return step == STEP_NEXT ? done(cpu) : step;
    }
    unsigned width = in->addr_size;
    uint64_t left = reg_read(cpu, REG_RCX * 8, width);
    if (left == 0) /* CHOICE: the permission is asked for even then, as on Zen 4; the IOPM is not */
        return check_permission(cpu, (uint16_t)cpu->r[REG_RDX], s.size);
    for (bool first = true; left != 0; first = false) {
        if (!first) {
            if (cpu->budget <= 0 || (cpu->rflags & FLAG_TF) || cpu->traps != 0 || cpu->attention)
                return STEP_REPEAT;
            cpu->budget--;
        }
        enum step step = iterate(cpu, &s);
        if (step != STEP_NEXT)
            return step;
        reg_write(cpu, REG_RCX * 8, width, --left);
        cpu->iterations++;
    }
    cpu->iterations--; /* the last of them is the instruction */
    return done(cpu);
}

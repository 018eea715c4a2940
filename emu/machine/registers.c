/* The registers of a processor by name: reading, and writing what a processor can be in.
 *
 * A write takes effect as the instruction would that loads the register: modes are derived again, and MOV CR0, CR3, CR4 and
 * WRMSR EFER flush the TLB as they do. No privilege is asked, no intercept is taken. Refused is what the instruction
 * would refuse (#GP), and what would leave a processor in a state that no sequence of instructions leads to. */
#include "emu/machine/access.h"
#include "emu/machine/journal.h"

#include "emu/base/diag.h"
#include "emu/cpu/control.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/debug.h"
#include "emu/cpu/segment.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/xstate.h"
#include "svm/svm.h"

#include <string.h>

#define VALUE_WORDS (PACIFICA_REGISTER_BYTES / 8)

/* A value, zero-extended. */
struct value {
    uint64_t word[VALUE_WORDS];
};

static struct value value_of(uint64_t word)
{
    return (struct value){ .word = { word } };
}

static bool canonical(const struct vcpu *cpu, uint64_t la)
{
    return paging_is_canonical(la, (cpu->regs.cr4 & CR4_LA57) != 0);
}

/* May a linear address be this? Outside long mode they have 32 bits. */
static const char *check_linear(const struct vcpu *cpu, uint64_t la)
{
    if (cpu_long_mode(cpu))
        return canonical(cpu, la) ? NULL : "not canonical";
    return la >> 32 ? "outside long mode it has 32 bits" : NULL;
}

/* --- general ------------------------------------------------------------------------------------- */

static struct value read_general(struct vcpu *cpu, unsigned which)
{
    return value_of(cpu->r[which]);
}

static const char *write_general(struct vcpu *cpu, unsigned which, const struct value *value)
{
    cpu->r[which] = value->word[0];
    return NULL;
}

static struct value read_rip(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu_rip(cpu));
}

static const char *write_rip(struct vcpu *cpu, unsigned which, const struct value *value)
{
    uint64_t rip = value->word[0];
    (void)which;
    if (cpu_long64(cpu) && !canonical(cpu, rip))
        return "not canonical";
    if (!cpu_long64(cpu) && rip >> 32)
        return "outside 64-bit mode it has 32 bits";
    cpu->r[REG_RIP] = rip;
    cpu->repeat_insns = UINT64_MAX;
    return NULL;
}

static struct value read_eflags(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu_rflags(cpu));
}

/* VM decides what all segment registers mean: IRET and task switches change both at once. */
static const char *write_eflags(struct vcpu *cpu, unsigned which, const struct value *value)
{
    uint64_t flags = value->word[0];
    (void)which;
    if (flags & ~(uint64_t)(FLAGS_WRITABLE | 2))
        return "a reserved bit is set";
    if ((flags ^ cpu->rflags) & FLAG_VM)
        return "VM does not change by itself";
    cpu_set_rflags(cpu, flags);
    cpu_attention(cpu);
    return NULL;
}

/* --- segments --------------------------------------------------------------------------------------- */

static struct value read_selector(struct vcpu *cpu, unsigned which)
{
    return value_of(cpu->regs.seg[which].selector);
}

/* The descriptor at a selector. */
static const char *read_descriptor(struct vcpu *cpu, uint16_t selector, struct segment *out)
{
    uint64_t la, raw = 0;
    if (!descriptor_in_table(cpu, selector, 8, &la))
        return "beyond its descriptor table";
    if (access_read(cpu, PACIFICA_SPACE_LINEAR, la, &raw, 8) != 8)
        return "its descriptor is not in memory";
    *out = segment_unpack(selector, raw);
    return out->attr & SEG_ATTR_P ? NULL : "its descriptor is not present";
}

/* The upper half of a system descriptor in long mode. */
static const char *extend_base(struct vcpu *cpu, uint16_t selector, struct segment *seg)
{
    uint64_t la, high = 0;
    if (!cpu_long64(cpu))
        return NULL;
    if (!descriptor_in_table(cpu, selector, 16, &la))
        return "beyond its descriptor table";
    if (access_read(cpu, PACIFICA_SPACE_LINEAR, la + 8, &high, 8) != 8)
        return "its descriptor is not in memory";
    seg->base |= high << 32;
    return canonical(cpu, seg->base) && !(high >> 40 & 0x1f) ? NULL : "its base is not canonical";
}

static const char *load_system(struct vcpu *cpu, enum seg which, uint16_t selector)
{
    struct segment seg;
    if (selector_is_null(selector)) {
        if (which == SEG_TR)
            return "TR is never null";
        segment_set_null(cpu, which, selector);
        return NULL;
    }
    if (selector & 4)
        return "not in the GDT";
    const char *why = read_descriptor(cpu, selector, &seg);
    if (why)
        return why;
    unsigned type = seg.attr & (SEG_ATTR_S | SEG_ATTR_TYPE);
    bool tss = (type & ~2u) == SYS_TSS || ((type & ~2u) == SYS_TSS16 && !cpu_long_mode(cpu));
    if (which == SEG_LDTR ? type != SYS_LDT : !tss)
        return which == SEG_LDTR ? "no LDT" : "no TSS";
    why = extend_base(cpu, selector, &seg);
    if (why)
        return why;
    if (which == SEG_TR)
        seg.attr |= SYS_TSS_BUSY & ~SYS_TSS; /* busy */
    cpu->regs.seg[which] = seg;
    return NULL;
}

static const char *load_code(struct vcpu *cpu, uint16_t selector)
{
    struct segment seg;
    unsigned cpl = cpu->regs.cpl;
    if (selector_is_null(selector))
        return "CS is never null";
    const char *why = read_descriptor(cpu, selector, &seg);
    if (why)
        return why;
    if (!segment_is_code(&seg))
        return "no code segment";
    if (SELECTOR_RPL(selector) != cpl ||
        (segment_is_conforming(&seg) ? segment_dpl(&seg) > cpl : segment_dpl(&seg) != cpl))
        return "of another privilege level, which SS would have to have too";
    if (cpu_long_mode(cpu) && (seg.attr & SEG_ATTR_L) && (seg.attr & SEG_ATTR_DB))
        return "L and D are both 1";
    seg.attr |= TYPE_ACCESSED;
    cpu->regs.seg[SEG_CS] = seg;
    return NULL;
}

static const char *load_data(struct vcpu *cpu, enum seg which, uint16_t selector)
{
    struct segment seg;
    unsigned cpl = cpu->regs.cpl, rpl = SELECTOR_RPL(selector);
    if (selector_is_null(selector) && which != SEG_SS) {
        segment_set_null(cpu, which, selector);
        return NULL;
    }
    if (selector_is_null(selector)) {
        if (!cpu_long64(cpu) || cpl == 3 || rpl != cpl)
            return "SS may not be null here";
        cpu->regs.seg[SEG_SS] = segment_null_ss(cpl);
        return NULL;
    }
    const char *why = read_descriptor(cpu, selector, &seg);
    if (why)
        return why;
    if (which == SEG_SS && (!segment_is_writable_data(&seg) || rpl != cpl))
        return "no writable data segment of this privilege level";
    bool readable =
        (seg.attr & SEG_ATTR_S) && (!(seg.attr & TYPE_CODE) || (seg.attr & TYPE_WRITABLE));
    if (!readable)
        return "no data segment";
    if (which == SEG_SS
            ? segment_dpl(&seg) != cpl
            : !segment_is_conforming(&seg) && segment_dpl(&seg) < (rpl > cpl ? rpl : cpl))
        return "of another privilege level";
    seg.attr |= TYPE_ACCESSED;
    cpu->regs.seg[which] = seg;
    return NULL;
}

/* The hidden parts follow as by MOV, LLDT, LTR and far jumps: by rule in real and virtual-8086 mode, else from the
 * descriptor, whose accessed or busy bit is set in the register only. */
static const char *write_selector(struct vcpu *cpu, unsigned which, const struct value *value)
{
    uint16_t selector = (uint16_t)value->word[0];
    const char *why = NULL;
    if (selector == cpu->regs.seg[which].selector)
        return NULL; /* the hidden parts may differ from the descriptor's */
    if (which == SEG_LDTR || which == SEG_TR) {
        if (!cpu_protected(cpu))
            return "only protected mode can load it";
        why = load_system(cpu, (enum seg)which, selector);
    } else if (!cpu_protected(cpu)) {
        segment_load_real(cpu, (enum seg)which, selector);
    } else if (which == SEG_CS) {
        why = load_code(cpu, selector);
    } else {
        why = load_data(cpu, (enum seg)which, selector);
    }
    if (!why)
        cpu_update_mode(cpu);
    return why;
}

static struct value read_base(struct vcpu *cpu, unsigned which)
{
    return value_of(cpu->regs.seg[which].base);
}

/* Only FS, GS, LDTR and TR have bases of 64 bits. APM vol 2, 4.5.3 "Segment Registers in 64-Bit Mode". */
static const char *write_base(struct vcpu *cpu, unsigned which, const struct value *value)
{
    const char *why = which < SEG_FS && value->word[0] >> 32 ? "it has 32 bits" : NULL;
    if (!why)
        why = check_linear(cpu, value->word[0]);
    if (!why)
        cpu->regs.seg[which].base = value->word[0];
    return why;
}

static struct value read_limit(struct vcpu *cpu, unsigned which)
{
    return value_of(cpu->regs.seg[which].limit);
}

static bool limit_fits(uint32_t limit, uint16_t attr)
{
    return attr & SEG_ATTR_G ? (limit & 0xfff) == 0xfff : limit <= 0xfffff;
}

static const char *write_limit(struct vcpu *cpu, unsigned which, const struct value *value)
{
    struct segment *seg = &cpu->regs.seg[which];
    if (!limit_fits((uint32_t)value->word[0], seg->attr))
        return seg->attr & SEG_ATTR_G ? "with G its bits 11:0 are ones"
                                      : "without G it has 20 bits";
    seg->limit = (uint32_t)value->word[0];
    return NULL;
}

static struct value read_attributes(struct vcpu *cpu, unsigned which)
{
    return value_of(cpu->regs.seg[which].attr);
}

/* What protected mode demands of the registers that are always loaded. */
static const char *check_attributes(const struct vcpu *cpu, unsigned which,
                                    const struct segment *seg)
{
    unsigned type = seg->attr & (SEG_ATTR_S | SEG_ATTR_TYPE), cpl = cpu->regs.cpl;
    if (which == SEG_TR &&
        (!(seg->attr & SEG_ATTR_P) ||
         (type != SYS_TSS_BUSY && (type != SYS_TSS16_BUSY || cpu_long_mode(cpu)))))
        return "TR holds a busy TSS";
    if (!cpu_protected(cpu))
        return NULL;
    if (which == SEG_CS) {
        if (!(seg->attr & SEG_ATTR_P) || !segment_is_code(seg))
            return "CS holds a code segment";
        if (cpu_long_mode(cpu) && (seg->attr & SEG_ATTR_L) && (seg->attr & SEG_ATTR_DB))
            return "L and D are both 1";
        if (segment_is_conforming(seg) ? segment_dpl(seg) > cpl : segment_dpl(seg) != cpl)
            return "of another privilege level";
    }
    if (which == SEG_SS && (seg->attr & SEG_ATTR_P) &&
        (!segment_is_writable_data(seg) || segment_dpl(seg) != cpl))
        return "SS holds a writable data segment of the privilege level";
    if (which == SEG_SS && !(seg->attr & SEG_ATTR_P) && (!cpu_long64(cpu) || cpl == 3))
        return "SS may not be null here";
    if (which == SEG_LDTR && (seg->attr & SEG_ATTR_P) && type != SYS_LDT)
        return "LDTR holds an LDT";
    return NULL;
}

static const char *write_attributes(struct vcpu *cpu, unsigned which, const struct value *value)
{
    struct segment seg = cpu->regs.seg[which];
    if (value->word[0] & ~(uint64_t)0xfff)
        return "attributes have 12 bits";
    seg.attr = (uint16_t)value->word[0];
    if (!limit_fits(seg.limit, seg.attr))
        return "G does not go with the limit";
    const char *why = check_attributes(cpu, which, &seg);
    if (why)
        return why;
    cpu->regs.seg[which] = seg;
    cpu_update_mode(cpu);
    return NULL;
}

static struct value read_kernel_gs_base(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->msr.kernel_gs_base);
}

static const char *write_kernel_gs_base(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    if (!canonical(cpu, value->word[0]))
        return "not canonical";
    cpu->msr.kernel_gs_base = value->word[0];
    return NULL;
}

static struct value read_cpl(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->regs.cpl);
}

/* --- control and debug registers ---------------------------------------------------------------------- */

static struct value read_control(struct vcpu *cpu, unsigned which)
{
    const struct cpu_regs *regs = &cpu->regs;
    switch (which) {
    case 0: return value_of(regs->cr0);
    case 2: return value_of(regs->cr2);
    case 3: return value_of(regs->cr3);
    case 4: return value_of(regs->cr4);
    default: return value_of(control_cr8(cpu));
    }
}

static const char *write_cr0(struct vcpu *cpu, uint64_t value)
{
    if (value & ~(uint64_t)CR0_DEFINED)
        return "a reserved bit is set";
    if (!control_cr0_ok(cpu, value))
        return "MOV CR0 would raise #GP";
    if (!(value & CR0_PE) && (cpu->regs.cpl != 0 || (cpu->rflags & FLAG_VM)))
        return "real mode has privilege level 0";
    control_set_cr0(cpu, value);
    return NULL;
}

static const char *write_cr3(struct vcpu *cpu, uint64_t value)
{
    if (value >> 63 || !control_cr3_ok(cpu, value))
        return "a reserved bit is set";
    if (!cpu_long_mode(cpu) && value >> 32)
        return "outside long mode it has 32 bits";
    control_set_cr3(cpu, value);
    return NULL;
}

static const char *write_control(struct vcpu *cpu, unsigned which, const struct value *value)
{
    uint64_t word = value->word[0];
    switch (which) {
    case 0: return write_cr0(cpu, word);
    case 2: cpu->regs.cr2 = word; return NULL;
    case 3: return write_cr3(cpu, word);
    case 4:
        if (!control_cr4_ok(cpu, word))
            return "MOV CR4 would raise #GP";
        control_set_cr4(cpu, word);
        return NULL;
    default:
        if (word > 15)
            return "CR8 is 0 to 15";
        control_set_cr8(cpu, (uint8_t)word);
        return NULL;
    }
}

static struct value read_debug(struct vcpu *cpu, unsigned which)
{
    return value_of(cpu->regs.dr[which]);
}

static const char *write_debug(struct vcpu *cpu, unsigned which, const struct value *value)
{
    if (!debug_dr_ok(which, value->word[0]))
        return "a reserved bit is set";
    (void)!debug_set_dr(cpu, which, value->word[0]);
    return NULL;
}

static struct value read_efer(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->regs.efer);
}

static const char *write_efer(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    if (!control_efer_ok(cpu, value->word[0]))
        return "WRMSR would raise #GP";
    if (svm_guest(cpu) && !(value->word[0] & EFER_SVME))
        return "a guest has EFER.SVME = 1";
    control_set_efer(cpu, value->word[0]);
    return NULL;
}

static struct value read_xcr0(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->simd.xcr0);
}

static const char *write_xcr0(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    if (!cpu_has(cpu, CPU_FEATURE_XSAVE) || !xstate_xcr0_ok(cpu, value->word[0]))
        return "XSETBV would raise #GP";
    cpu->simd.xcr0 = value->word[0];
    cpu_update_fp(cpu);
    return NULL;
}

static struct table_register *table_of(struct vcpu *cpu, unsigned which)
{
    return which ? &cpu->regs.idtr : &cpu->regs.gdtr;
}

static struct value read_table_base(struct vcpu *cpu, unsigned which)
{
    return value_of(table_of(cpu, which)->base);
}

static const char *write_table_base(struct vcpu *cpu, unsigned which, const struct value *value)
{
    const char *why = check_linear(cpu, value->word[0]);
    if (!why)
        table_of(cpu, which)->base = value->word[0];
    return why;
}

static struct value read_table_limit(struct vcpu *cpu, unsigned which)
{
    return value_of(table_of(cpu, which)->limit);
}

static const char *write_table_limit(struct vcpu *cpu, unsigned which, const struct value *value)
{
    table_of(cpu, which)->limit = (uint16_t)value->word[0];
    return NULL;
}

/* --- x87 and vectors -------------------------------------------------------------------------------- */

static struct f80 *st_of(struct vcpu *cpu, unsigned which)
{
    return &cpu->x87.reg[((cpu->x87.fsw >> FSW_TOP_SHIFT) + which) & 7];
}

static struct value read_st(struct vcpu *cpu, unsigned which)
{
    const struct f80 *st = st_of(cpu, which);
    return (struct value){ .word = { st->mant, st->se } };
}

/* Whether it is empty stays with `ftag`. */
static const char *write_st(struct vcpu *cpu, unsigned which, const struct value *value)
{
    *st_of(cpu, which) = (struct f80){ .mant = value->word[0], .se = (uint16_t)value->word[1] };
    return NULL;
}

/* ES and B say whether an exception is pending. */
static void x87_settle(struct vcpu *cpu)
{
    struct cpu_x87 *x87 = &cpu->x87;
    x87->fsw &= (uint16_t) ~(FSW_ES | FSW_B);
    if (x87->fsw & ~x87->fcw & FP_EXCEPTIONS)
        x87->fsw |= FSW_ES | FSW_B;
    cpu_update_fp(cpu);
}

static struct value read_fctrl(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->x87.fcw);
}

static const char *write_fctrl(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    cpu->x87.fcw = (uint16_t)((value->word[0] & FCW_WRITABLE) | FCW_FIXED);
    x87_settle(cpu);
    return NULL;
}

static struct value read_fstat(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->x87.fsw);
}

static const char *write_fstat(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    cpu->x87.fsw = (uint16_t)value->word[0];
    x87_settle(cpu);
    return NULL;
}

/* As FNSTENV has it: 0 valid, 1 zero, 2 special, 3 empty. */
static struct value read_ftag(struct vcpu *cpu, unsigned which)
{
    uint64_t tags = 0;
    (void)which;
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *reg = &cpu->x87.reg[i];
        unsigned exponent = reg->se & 0x7fff, tag = 0;
        if (!(cpu->x87.used >> i & 1))
            tag = 3;
        else if (exponent == 0 && reg->mant == 0)
            tag = 1;
        else if (exponent == 0 || exponent == 0x7fff || !(reg->mant >> 63))
            tag = 2;
        tags |= (uint64_t)tag << (2 * i);
    }
    return value_of(tags);
}

static const char *write_ftag(struct vcpu *cpu, unsigned which, const struct value *value)
{
    unsigned used = 0;
    (void)which;
    for (unsigned i = 0; i < 8; i++)
        used |= (value->word[0] >> (2 * i) & 3) != 3 ? 1u << i : 0;
    cpu->x87.used = (uint8_t)used;
    return NULL;
}

static struct value read_x87_segment(struct vcpu *cpu, unsigned which)
{
    return value_of(which ? cpu->x87.fds : cpu->x87.fcs);
}

static const char *write_x87_segment(struct vcpu *cpu, unsigned which, const struct value *value)
{
    *(which ? &cpu->x87.fds : &cpu->x87.fcs) = (uint16_t)value->word[0];
    return NULL;
}

static struct value read_x87_offset(struct vcpu *cpu, unsigned which)
{
    return value_of(which ? cpu->x87.fdp : cpu->x87.fip);
}

static const char *write_x87_offset(struct vcpu *cpu, unsigned which, const struct value *value)
{
    *(which ? &cpu->x87.fdp : &cpu->x87.fip) = value->word[0];
    return NULL;
}

static struct value read_fop(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->x87.fop);
}

static const char *write_fop(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    if (value->word[0] >> 11)
        return "it has 11 bits";
    cpu->x87.fop = (uint16_t)value->word[0];
    return NULL;
}

static struct value read_ymm(struct vcpu *cpu, unsigned which)
{
    struct value value;
    memcpy(&value, cpu->simd.v[which].u8, sizeof(value));
    return value;
}

static const char *write_ymm(struct vcpu *cpu, unsigned which, const struct value *value)
{
    memcpy(cpu->simd.v[which].u8, value, sizeof(*value));
    return NULL;
}

static struct value read_mxcsr(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->simd.mxcsr);
}

static const char *write_mxcsr(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    if (value->word[0] & ~(uint64_t)xstate_mxcsr_mask(cpu))
        return "a reserved bit is set";
    cpu->simd.mxcsr = (uint32_t)value->word[0];
    return NULL;
}

/* --- SVM ------------------------------------------------------------------------------------------- */

static struct value read_gif(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->svm->gif);
}

static const char *write_gif(struct vcpu *cpu, unsigned which, const struct value *value)
{
    (void)which;
    if (value->word[0] > 1)
        return "GIF is 0 or 1";
    if (!value->word[0] && !(cpu->regs.efer & EFER_SVME))
        return "without EFER.SVME nothing clears it";
    cpu->svm->gif = value->word[0];
    cpu_attention(cpu);
    return NULL;
}

static struct value read_guest_mode(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->svm->guest);
}

static struct value read_asid(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->svm->asid);
}

static struct value read_vmcb_pa(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->svm->vmcb_spa);
}

static struct value read_n_cr3(struct vcpu *cpu, unsigned which)
{
    (void)which;
    return value_of(cpu->svm->n_cr3);
}

static struct value read_exit_word(struct vcpu *cpu, unsigned which)
{
    const struct svm_state *svm = cpu->svm;
    return value_of(which == 0   ? svm->last_exit_code
                    : which == 1 ? svm->last_info1
                                 : svm->last_info2);
}

/* --- the table ------------------------------------------------------------------------------------- */

static const struct pacifica_register registers[] = {
#define REGISTER(name, group, bits, door, which) { #name, PACIFICA_REGISTER_##group, (bits), true },
#define REGISTER_READ_ONLY(name, group, bits, door, which) \
    { #name, PACIFICA_REGISTER_##group, (bits), false },
#include "emu/machine/registers.def"
#undef REGISTER
#undef REGISTER_READ_ONLY
};
#define REGISTERS (sizeof(registers) / sizeof(registers[0]))

static const struct door {
    struct value (*read)(struct vcpu *cpu, unsigned which);
    const char *(*write)(struct vcpu *cpu, unsigned which, const struct value *value);
    unsigned which;
} doors[] = {
#define REGISTER(name, group, bits, door, which) { read_##door, write_##door, (which) },
#define REGISTER_READ_ONLY(name, group, bits, door, which) { read_##door, NULL, (which) },
#include "emu/machine/registers.def"
#undef REGISTER
#undef REGISTER_READ_ONLY
};

const struct pacifica_register *pacifica_registers(size_t *count)
{
    *count = REGISTERS;
    return registers;
}

void register_get(struct vcpu *cpu, size_t index, void *bytes)
{
    struct value value = doors[index].read(cpu, doors[index].which);
    memcpy(bytes, &value, registers[index].bits / 8);
}

const char *register_set(struct vcpu *cpu, size_t index, const void *bytes)
{
    struct value value = { 0 };
    memcpy(&value, bytes, registers[index].bits / 8);
    return doors[index].write ? doors[index].write(cpu, doors[index].which, &value)
                              : "it cannot be written";
}

enum pacifica_status pacifica_machine_register_get(struct pacifica_machine *machine,
                                                   unsigned cpu_index, size_t index, void *bytes)
{
    if (cpu_index >= machine->cpu_count || index >= REGISTERS)
        return PACIFICA_EUSAGE;
    register_get(machine->cpu[cpu_index], index, bytes);
    return PACIFICA_OK;
}

enum pacifica_status machine_register_set(struct pacifica_machine *machine, unsigned cpu_index,
                                          size_t index, const void *bytes,
                                          struct pacifica_diag *diag)
{
    if (cpu_index >= machine->cpu_count)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "there is no processor %u", cpu_index);
    if (index >= REGISTERS)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "there is no such register");
    struct vcpu *cpu = machine->cpu[cpu_index];
    smm_view(cpu);
    const char *why = register_set(cpu, index, bytes);
    smm_view(machine_current(machine));
    if (why)
        return diag_set(diag, PACIFICA_EUSAGE, registers[index].name, NULL, "%s", why);
    return PACIFICA_OK;
}

enum pacifica_status pacifica_machine_register_set(struct pacifica_machine *machine,
                                                   unsigned cpu_index, size_t index,
                                                   const void *bytes, struct pacifica_diag *diag)
{
    machine_change(machine);
    enum pacifica_status status = machine_register_set(machine, cpu_index, index, bytes, diag);
    if (status == PACIFICA_OK)
        journal_note(machine, &(struct input){ .kind = INPUT_REGISTER,
                                               .index = (uint16_t)cpu_index,
                                               .a = index,
                                               .data = bytes,
                                               .size = registers[index].bits / 8 });
    return status;
}

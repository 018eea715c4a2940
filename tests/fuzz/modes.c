/* The first state of guests that begin in any mode. */
#include "emu/cpu/control.h"
#include "emu/cpu/segment.h"
#include "svm/vmcb.h"
#include "tests/fuzz/modes.h"

static void set_segment(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    cpu->regs.seg[seg] =
        segment_unpack(selector, phys_read(cpu->memory, GDT_SPA + (selector & 0x1f8), 8));
}

/* Real and virtual-8086 mode: bases from selectors. */
static void set_real_segments(struct vcpu *cpu, uint32_t limit, uint16_t attr)
{
    for (int s = SEG_ES; s <= SEG_GS; s++) {
        uint16_t selector = s == SEG_CS ? CODE16_SPA >> 4 : s == SEG_SS ? 0x3000 : DATA_SPA >> 4;
        cpu->regs.seg[s] = (struct segment){
            .selector = selector, .base = selector * 16u, .limit = limit, .attr = attr
        };
    }
    cpu->regs.seg[SEG_CS].limit = 0xffff;
}

static void set_protected_segments(struct vcpu *cpu, unsigned bits, unsigned cpl)
{
    unsigned code = bits == 64   ? (cpl ? E_CODE64_3 : E_CODE64)
                    : bits == 32 ? (cpl ? E_CODE32_3 : E_CODE32)
                                 : (cpl ? E_CODE16_3 : E_CODE16);
    unsigned data = bits == 16 ? (cpl ? E_DATA16_3 : E_DATA16) : (cpl ? E_DATA3 : E_DATA);
    for (int s = SEG_ES; s <= SEG_GS; s++)
        set_segment(cpu, (enum seg)s, (uint16_t)(8 * (s == SEG_CS ? code : data) | cpl));
    set_segment(cpu, SEG_FS, (uint16_t)(8 * (cpl ? E_DATA3 : E_DATA) | cpl)); /* all of memory */
    set_segment(cpu, SEG_TR, 8 * E_TSS);
    cpu->regs.seg[SEG_TR].attr |= 2; /* busy */
    set_segment(cpu, SEG_LDTR, 8 * E_LDT);
    cpu->regs.cpl = (uint8_t)cpl;
}

static void set_paging(struct vcpu *cpu, enum begin begin, unsigned control)
{
    bool paged = begin >= BEGIN_PSE || (begin == BEGIN_V86 && control & 1);
    bool pae = begin >= BEGIN_PAE;
    cpu->regs.cr0 = CR0_ET | CR0_NE | (begin > BEGIN_UNREAL ? CR0_PE : 0) | (paged ? CR0_PG : 0) |
                    (control & 2 ? CR0_WP : 0) | (control & 4 ? CR0_AM : 0);
    cpu->regs.cr3 = begin_is_long(begin) ? PML4_SPA : pae ? PAE_PDPT_SPA : PD32_SPA;
    cpu->regs.cr4 = CR4_PSE | CR4_MCE | (pae ? CR4_PAE : 0) |
                    (control & 8 ? CR4_VME | CR4_PVI | CR4_FSGSBASE : 0) |
                    (control & 16 ? CR4_DE : 0) | (control & 32 ? CR4_PGE : 0) |
                    (control & 64 ? CR4_UMIP : 0);
    cpu->regs.efer = EFER_SCE | EFER_SVME | (control & 128 ? EFER_NXE : 0) |
                     (begin_is_long(begin) ? EFER_LME | EFER_LMA : 0);
}

static void set_msrs(struct vcpu *cpu)
{
    cpu->msr.star = (uint64_t)(8 * E_CODE32) << 48 | (uint64_t)(8 * E_CODE64) << 32 | CODE32_SPA;
    cpu->msr.lstar = CODE64_SPA + 0x100;
    cpu->msr.cstar = CODE64_SPA + 0x110;
    cpu->msr.sysenter_cs = 8 * E_CODE32;
    cpu->msr.sysenter_eip = CODE32_SPA + 0x200;
    cpu->msr.sysenter_esp = RSP0;
    cpu->msr.vm_hsave_pa = cpu->index ? HSAVE_OTHERS_SPA + 0x1000 * cpu->index : HSAVE_SPA;
    cpu->msr.smbase = SMBASE_SPA;
}

/* All but the general registers. */
static void set_mode(struct vcpu *cpu, enum begin begin, unsigned control)
{
    unsigned bits = begin_bits(begin);
    unsigned cpl = begin > BEGIN_UNREAL && (control & 0x300) == 0x300 ? 3 : 0;
    cpu->r[REG_RSP] = bits == 16 ? 0xf00u - 0x80 * cpu->index : STACK - 0x80 * cpu->index;
    cpu->r[REG_RIP] = bits == 16 ? 0 : bits == 32 ? CODE32_SPA : CODE64_SPA;
    set_paging(cpu, begin, control);
    cpu->rflags = 2u | (control & 0x400 ? FLAG_IF : 0) |
                  ((control & 0x3800) == 0x3800 ? FLAG_TF : 0) | (control & 0x4000 ? 3u << 12 : 0) |
                  (control & 0x8000 ? FLAG_AC : 0) | (begin == BEGIN_V86 ? FLAG_VM : 0);
    cpu->flags_kind = FLAGS_MATERIAL;
    cpu->regs.gdtr = (struct table_register){ .base = GDT_SPA, .limit = 8 * E_COUNT - 1 };
    cpu->regs.idtr = (struct table_register){ .base = IDT_SPA, .limit = 0xfff };
    if (begin <= BEGIN_UNREAL)
        cpu->regs.idtr = (struct table_register){ .limit = 0x3ff };
    set_protected_segments(cpu, bits, begin == BEGIN_V86 ? 3 : cpl);
    if (begin <= BEGIN_UNREAL || begin == BEGIN_V86)
        set_real_segments(cpu, begin == BEGIN_UNREAL ? UINT32_MAX : 0xffff,
                          begin == BEGIN_V86 ? 0xf3 : 0x93);
    if (begin <= BEGIN_UNREAL)
        cpu->regs.cpl = 0;
    cpu_update_mode(cpu);
}

static void set_cpu(struct reader *in, struct vcpu *cpu, enum begin begin, bool waits)
{
    unsigned control = (unsigned)read_bytes(in, 2);
    for (unsigned i = 0; i < 8; i++)
        cpu->r[i] = guest_number32(in);
    set_mode(cpu, begin, control);
    set_msrs(cpu);
    cpu->regs.wait_sipi = waits && cpu->index != 0;
}
/* --- the input's changes ------------------------------------------------------------------------------------ */

static void change_vmcb(struct reader *in, struct pacifica_machine *machine, unsigned which)
{
    const struct vmcb_field_info *field = &vmcb_fields[which % VMCB_FIELD_COUNT];
    unsigned bytes = field->bytes < 8 ? field->bytes : 8;
    uint64_t spa = VMCB_SPA + field->offset, bit = UINT64_C(1) << (read8(in) & 63);
    modes_store(machine, spa, bytes, phys_read(machine->memory, spa, bytes) ^ bit);
}

static void change_one(struct reader *in, struct pacifica_machine *machine)
{
    static const uint16_t place[] = { GDT_SPA >> 4,      GDT_SPA >> 4,
                                      LDT_SPA >> 4,      IDT_SPA >> 4,
                                      TSS_SPA >> 4,      TSS_SPA >> 4,
                                      PML4_SPA >> 4,     PDPT_SPA >> 4,
                                      PD_SPA >> 4,       PT_SPA >> 4,
                                      PD32_SPA >> 4,     PT32_SPA >> 4,
                                      DATA_SPA >> 4,     0,
                                      PAE_PDPT_SPA >> 4, IDT_SPA >> 4 };
    unsigned what = read8(in), which = read8(in);
    uint64_t spa = ((uint64_t)place[which & 15] << 4) + ((which & 0xf0u) << 1) + (what & 0x1f);
    struct cpu_regs *regs = &machine->cpu[0]->regs;
    switch (what >> 5) {
    case 0:
    case 1:
    case 2:
        modes_store(machine, spa, 1, phys_read(machine->memory, spa, 1) ^ 1u << (read8(in) & 7));
        break;
    case 3: modes_store(machine, spa, 1, read8(in)); break;
    case 4: modes_store(machine, spa & ~UINT64_C(7), 8, read_bytes(in, 8)); break;
    case 5:
        regs->dr[which & 3] = guest_number32(in);
        regs->dr[7] = 0x400 | read_bytes(in, 4);
        machine->cpu[0]->msr.debugctl = what & 3; /* LBR, BTF */
        break;
    case 6: regs->seg[which % SEG_COUNT].limit = guest_number32(in); break;
    default:
        if (what & 0x10)
            change_vmcb(in, machine, which);
        else
            regs->seg[which % SEG_COUNT].attr ^= (uint16_t)(1u << (what & 15) & 0x4ff);
        break;
    }
}

/* --- all of it ----------------------------------------------------------------------------------------------- */

/* What modes_make() does, by bits of its third byte. */
enum { SMM_CODE = 1, VMRUN_FIRST = 2, WAIT_SIPI = 4, INNER_CODE = 0x10, SHADOW_STACKS = 0xe0 };

static void make_code(struct reader *in, struct pacifica_machine *machine, enum begin outer,
                      enum begin inner, unsigned how, bool vectors)
{
    static const unsigned bits[] = { 16, 32, 64 };
    for (unsigned i = 0; i < 3; i++) {
        bool first = bits[i] == begin_bits(outer);
        uint32_t at = CODE16_SPA + CODE_BYTES * i;
        struct modes_code code = { .bits = bits[i],
                                   .count = first ? 50 : 10,
                                   .room = INNER_AT,
                                   .code = memory_ptr(machine->memory, at, CODE_BYTES),
                                   .la = at,
                                   .paged = outer >= BEGIN_PSE,
                                   .vmrun = how & VMRUN_FIRST,
                                   .vectors = vectors };
        modes_write_code(in, &code);
        if (!(how & (VMRUN_FIRST | INNER_CODE)) || bits[i] != begin_bits(inner))
            continue;
        code.count = 30;
        code.code += INNER_AT;
        code.la += INNER_AT;
        code.vmrun = false;
        code.paged = inner >= BEGIN_PSE;
        modes_write_code(in, &code);
    }
    const struct modes_code code = { .bits = 16,
                                     .count = how & SMM_CODE ? 6 : 0,
                                     .room = 0x200,
                                     .code = memory_ptr(machine->memory, SMM_CODE_SPA, CODE_BYTES),
                                     .la = SMM_CODE_SPA,
                                     .smm = true };
    modes_write_code(in, &code);
    phys_written(machine->memory, SMM_CODE_SPA, CODE_BYTES);
}

static void make(struct reader *in, struct pacifica_machine *machine, bool vectors)
{
    unsigned begins = read8(in);
    enum begin outer = begins % BEGIN_COUNT, inner;
    unsigned changes = read8(in), how = read8(in);
    bool shadow = (how & SHADOW_STACKS) == SHADOW_STACKS;
    struct vcpu *cpu = machine->cpu[0];
    changes = changes < 0x60 ? 0 : changes < 0xc0 ? changes % 4 : changes % 16;
    inner = how & (VMRUN_FIRST | INNER_CODE) ? read8(in) % BEGIN_COUNT : outer;
    modes_make_tables(in, machine, outer);
    if (shadow)
        modes_make_shadow(machine);
    /* The guest's state is made in the first CPU, which then gets its own. */
    set_mode(cpu, inner, how & VMRUN_FIRST ? (unsigned)read_bytes(in, 2) : 0);
    cpu->r[REG_RIP] += INNER_AT;
    cpu->r[REG_RSP] -= 0x400;
    if (shadow)
        modes_set_shadow(cpu);
    if (vectors)
        modes_fp_control(in, cpu);
    modes_make_guest(in, machine, outer);
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        set_cpu(in, machine->cpu[i], outer, how & WAIT_SIPI);
        if (shadow)
            modes_set_shadow(machine->cpu[i]);
        if (!vectors)
            continue;
        modes_fp_control(in, machine->cpu[i]);
        modes_fp_state(in, machine->cpu[i]);
    }
    while (changes-- > 0)
        change_one(in, machine);
    make_code(in, machine, outer, inner, how, vectors);
}

void modes_make(struct reader *in, struct pacifica_machine *machine)
{
    make(in, machine, false);
}

void modes_make_vectors(struct reader *in, struct pacifica_machine *machine)
{
    make(in, machine, true);
}

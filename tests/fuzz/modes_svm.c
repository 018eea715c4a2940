/* A VMCB for guests in any mode, and nested page tables for hosts in any. */
#include "svm/svm.h"
#include "svm/vmcb.h"
#include "tests/fuzz/modes.h"

/* All lead to the same: 0-2 or 0-4 MiB to themselves by 4 KiB pages, and the APICs. */
static void make_nested_tables(struct pacifica_machine *machine)
{
    modes_store(machine, NPML4_SPA, 8, NPDPT_SPA | 7);
    modes_store(machine, NPDPT_SPA, 8, NPD_SPA | 7);
    modes_store(machine, NPDPT_SPA + 24, 8, NPD3_SPA | 7);
    modes_store(machine, NPAE_PDPT_SPA, 8, NPD_SPA | 1);
    modes_store(machine, NPAE_PDPT_SPA + 24, 8, NPD3_SPA | 1);
    modes_store(machine, NPD_SPA, 8, NPT_SPA | 7);
    modes_store(machine, NPD_SPA + 8, 8, 0x200087);
    modes_store(machine, NPD3_SPA + 8 * 0x1f6, 8, 0xfec00087);
    modes_store(machine, NPD3_SPA + 8 * 0x1f7, 8, 0xfee00087);
    modes_store(machine, NPD32_SPA, 4, NPT32_SPA | 7);
    modes_store(machine, NPD32_SPA + 4 * 0x3fb, 4, 0xfec00087);
    for (uint64_t i = 0; i < 512; i++)
        modes_store(machine, NPT_SPA + 8 * i, 8, i << 12 | 7);
    for (uint64_t i = 0; i < 1024; i++)
        modes_store(machine, NPT32_SPA + 4 * i, 4, i << 12 | 7);
}

static void set_controls(struct reader *in, uint8_t *vmcb, enum begin host)
{
    unsigned flags = read8(in);
    VMCB_SET(vmcb, INTERCEPT_3, read_bytes(in, 4) & read_bytes(in, 4));
    VMCB_SET(vmcb, INTERCEPT_4, 3 | (read_bytes(in, 2) & read_bytes(in, 2)));
    VMCB_SET(vmcb, INTERCEPT_EXCP, flags & 1 ? read_bytes(in, 4) & read_bytes(in, 4) : 0);
    VMCB_SET(vmcb, INTERCEPT_CR, flags & 2 ? read_bytes(in, 4) & read_bytes(in, 4) : 0);
    VMCB_SET(vmcb, INTERCEPT_DR, flags & 2 ? read_bytes(in, 4) & read_bytes(in, 4) : 0);
    VMCB_SET(vmcb, IOPM_BASE_PA, IOPM_SPA);
    VMCB_SET(vmcb, MSRPM_BASE_PA, MSRPM_SPA);
    VMCB_SET(vmcb, GUEST_ASID, 1 + (flags >> 6));
    VMCB_SET(vmcb, NESTED_CONTROL, flags >> 2 & 1);
    VMCB_SET(vmcb, N_CR3,
             begin_is_long(host)  ? NPML4_SPA
             : begin_is_pae(host) ? NPAE_PDPT_SPA
                                  : NPD32_SPA);
    VMCB_SET(vmcb, VINTR_CONTROL, flags & 8 ? read_bytes(in, 5) & 0xff1f010f : 0);
    VMCB_SET(vmcb, EVENTINJ, flags & 16 ? read_bytes(in, 4) & 0x80000fff : 0);
    VMCB_SET(vmcb, TLB_CONTROL, flags & 32 ? read8(in) : 0);
}

static void set_state(const struct vcpu *cpu, uint8_t *vmcb)
{
    static const struct {
        uint8_t seg;
        uint16_t at;
    } segments[] = {
        { SEG_ES, VMCB_AT_ES_SEL },     { SEG_CS, VMCB_AT_CS_SEL }, { SEG_SS, VMCB_AT_SS_SEL },
        { SEG_DS, VMCB_AT_DS_SEL },     { SEG_FS, VMCB_AT_FS_SEL }, { SEG_GS, VMCB_AT_GS_SEL },
        { SEG_LDTR, VMCB_AT_LDTR_SEL }, { SEG_TR, VMCB_AT_TR_SEL },
    };
    const struct cpu_regs *regs = &cpu->regs;
    for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
        vmcb_store_segment(vmcb, segments[i].at, &regs->seg[segments[i].seg]);
    VMCB_SET(vmcb, CPL, regs->cpl);
    VMCB_SET(vmcb, GDTR_BASE, regs->gdtr.base);
    VMCB_SET(vmcb, GDTR_LIMIT, regs->gdtr.limit);
    VMCB_SET(vmcb, IDTR_BASE, regs->idtr.base);
    VMCB_SET(vmcb, IDTR_LIMIT, regs->idtr.limit);
    VMCB_SET(vmcb, EFER, regs->efer);
    VMCB_SET(vmcb, CR0, regs->cr0);
    VMCB_SET(vmcb, CR3, regs->cr3);
    VMCB_SET(vmcb, CR4, regs->cr4);
    VMCB_SET(vmcb, DR6, 0xffff0ff0);
    VMCB_SET(vmcb, DR7, 0x400);
    VMCB_SET(vmcb, G_PAT, 0x0007040600070406);
    VMCB_SET(vmcb, RFLAGS, cpu->rflags & ~(uint64_t)FLAG_TF);
    VMCB_SET(vmcb, RIP, cpu->r[REG_RIP]);
    VMCB_SET(vmcb, RSP, cpu->r[REG_RSP]);
    VMCB_SET(vmcb, S_CET, cpu->shadow.s_cet);
    VMCB_SET(vmcb, SSP, cpu->shadow.ssp);
    VMCB_SET(vmcb, ISST_ADDR, cpu->shadow.isst);
}

void modes_make_guest(struct reader *in, struct pacifica_machine *machine, enum begin host)
{
    uint8_t *vmcb = memory_ptr(machine->memory, VMCB_SPA, 4096);
    make_nested_tables(machine);
    set_controls(in, vmcb, host);
    set_state(machine->cpu[0], vmcb);
}

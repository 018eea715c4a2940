/* INIT and Startup IPIs. */
#include "emu/cpu/init.h"

#include "emu/cpu/cpuid.h"
#include "emu/cpu/skinit.h"
#include "emu/cpu/smm.h"
#include "emu/cpu/trap.h"
#include "svm/svm.h"

/* As after RESET, but for what table 14-1 of APM vol 2, 14.1.3 "Processor Initialization State" calls not modified:
 * CR0.CD and NW, the debug registers, x87 and vector state with MXCSR and XCR0, MSRs with the TSC and SMBASE, PKRU. CHOICE: an
 * NMI or machine check that was pending is forgotten, and NMIs are open; a pending SMI stays; SSP, which no table has, is as
 * after RESET. */
static void init_registers(struct vcpu *cpu)
{
    const struct cpu_regs old = cpu->regs;
    const struct cpu_msrs msr = cpu->msr;
    const struct shadow_stacks shadow = cpu->shadow;
    const struct cpu_x87 x87 = cpu->x87;
    const struct cpu_simd simd = cpu->simd;
    const struct cpu_pins pins = cpu->pins;
    const bool ferr = cpu->ferr.asserted;
    struct cpu_regs *regs = &cpu->regs;
    cpu_reset(cpu);
    cpu->r[REG_RDX] = cpu->model->signature;
    regs->cr0 = (old.cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    for (int i = 0; i < 8; i++)
        regs->dr[i] = old.dr[i];
    regs->pkru = old.pkru;
    cpu->msr = msr;
    cpu->shadow = shadow;
    cpu->shadow.ssp = 0;
    cpu->x87 = x87;
    cpu->simd = simd;
    cpu->ferr.asserted = ferr; /* as FSW.ES is kept */
    cpu->pins.ignne = pins.ignne;
    cpu->pins.smi = pins.smi;
    cpu->pins.sipi = pins.sipi;
    cpu->pins.sipi_vector = pins.sipi_vector;
}

/* CHOICE: the TLB is emptied, as APM vol 2, 5.5.3 "TLB Management" has it of external initialization; table 14-1 says that it is
 * unchanged. Who relies on the first is right on every processor. */
void init_processor(struct vcpu *cpu)
{
    init_registers(cpu);
    paging_flush_all(cpu->paging);
    svm_abandon(cpu->svm);
    trap_reset(cpu);
    cpu->monitor.armed = cpu->monitor.waiting = false;
}

/* VM_CR.SVMDIS is cleared unless it is locked. APM vol 2, 15.30.1 "VM_CR MSR (C001_0114h)". */
enum step init_take(struct vcpu *cpu)
{
    init_processor(cpu);
    if (!(cpu->msr.vm_cr & VM_CR_LOCK))
        cpu->msr.vm_cr &= ~(uint64_t)VM_CR_SVMDIS;
    cpu->regs.wait_sipi = cpu->index != 0;
    if (cpu->intc && cpu->intc->init)
        cpu->intc->init(cpu->intc_self);
    smm_view(cpu);
    cpu_update_mode(cpu);
    cpu_attention(cpu);
    cpu->extra_steps++;
    return STEP_JUMP;
}

enum step sipi_take(struct vcpu *cpu)
{
    struct cpu_regs *regs = &cpu->regs;
    cpu->pins.sipi = false;
    if (!regs->wait_sipi)
        return STEP_NEXT;
    regs->wait_sipi = false;
    regs->seg[SEG_CS].selector = (uint16_t)(cpu->pins.sipi_vector << 8);
    regs->seg[SEG_CS].base = (uint64_t)cpu->pins.sipi_vector << 12;
    cpu->r[REG_RIP] = 0;
    skinit_startup(cpu);
    cpu_update_mode(cpu);
    cpu_attention(cpu);
    cpu->extra_steps++;
    return STEP_JUMP;
}

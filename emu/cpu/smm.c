/* SMI, RSM, and what SMM shows of physical memory. */
#include "emu/cpu/smm.h"

#include <pacifica/pacifica.h>
#include <stdio.h>

#include "emu/cpu/control.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/msr.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

/* SMM_MASK. APM vol 2, 10.2.5 "SMRAM Protected Areas". */
#define SMM_MASK_AE 0x1u
#define SMM_MASK_TE 0x2u

/* --- the view of memory --- */

void smm_view(struct vcpu *cpu)
{
    const struct cpu_msrs *msr = &cpu->msr;
    const struct memory_view view = { .smm = cpu->regs.smm,
                                      .ignores_a20 = msr->vm_cr & VM_CR_DIS_A20M,
                                      .aseg = msr->smm_mask & SMM_MASK_AE,
                                      .tseg = msr->smm_mask & SMM_MASK_TE,
                                      .tseg_addr = msr->smm_addr,
                                      .tseg_mask = msr->smm_mask };
    memory_set_view(cpu->memory, &view);
}

void smm_view_changed(struct vcpu *cpu)
{
    smm_view(cpu);
    paging_remapped(cpu->paging);
    cpu_attention(cpu); /* the next instruction may come from another page */
}

/* All ASIDs are flushed on both ways. APM vol 2, 15.16.1 "TLB Flush". */
static void set_smm(struct vcpu *cpu, bool on)
{
    cpu->regs.smm = on;
    cpu->msr.hwcr &= ~HWCR_SMM_PGCFG_LOCK; /* it ends with SMM */
    smm_view(cpu);
    paging_flush_all(cpu->paging);
    cpu_update_mode(cpu);
    cpu_attention(cpu);
}

/* --- the save-state area, APM vol 2, table 10-1 --- */

enum save_offset {
    SAVE_ES = 0x000,
    SAVE_CS = 0x010,
    SAVE_SS = 0x020,
    SAVE_DS = 0x030,
    SAVE_FS = 0x040,
    SAVE_GS = 0x050,
    SAVE_GDTR = 0x060,
    SAVE_LDTR = 0x070,
    SAVE_IDTR = 0x080,
    SAVE_TR = 0x090,
    SAVE_IO_RIP = 0x0a0,
    SAVE_IO_RCX = 0x0a8,
    SAVE_IO_RSI = 0x0b0,
    SAVE_IO_RDI = 0x0b8,
    SAVE_IO_DWORD = 0x0c0,
    SAVE_IO_RESTART = 0x0c8,
    SAVE_HALT_RESTART = 0x0c9,
    SAVE_NMI_MASK = 0x0ca,
    SAVE_CPL = 0x0cb,
    SAVE_EFER = 0x0d0,
    SAVE_SVM_GUEST = 0x0d8,
    SAVE_SVM_VMCB = 0x0e0,
    SAVE_SVM_VINTR = 0x0e8,
    SAVE_REVISION = 0x0fc,
    SAVE_SMBASE = 0x100,
    SAVE_SSP = 0x118,
    SAVE_SVM_PAT = 0x120,
    SAVE_SVM_EFER = 0x128,
    SAVE_SVM_CR4 = 0x130,
    SAVE_SVM_CR3 = 0x138,
    SAVE_SVM_CR0 = 0x140,
    SAVE_CR4 = 0x148,
    SAVE_CR3 = 0x150,
    SAVE_CR0 = 0x158,
    SAVE_DR7 = 0x160,
    SAVE_DR6 = 0x168,
    SAVE_RFLAGS = 0x170,
    SAVE_RIP = 0x178,
    SAVE_RAX = 0x1f8 /* the registers stand downwards from here by number */
};

/* The I/O restart dword. APM vol 2, figure 10-6. */
#define IO_VAL (1u << 1)
#define IO_TF (1u << 11)
#define IO_B_SHIFT 12
#define IOIO_SEG UINT64_C(0x1c00) /* of EXITINFO1, not of the dword */

#define GUEST_STATE UINT64_C(2)
#define GUEST_NESTED UINT64_C(4)
#define GUEST_HOST_IF UINT64_C(8)

static const struct {
    uint16_t at;
    uint8_t seg;
} save_segments[] = {
    { SAVE_ES, SEG_ES }, { SAVE_CS, SEG_CS }, { SAVE_SS, SEG_SS },     { SAVE_DS, SEG_DS },
    { SAVE_FS, SEG_FS }, { SAVE_GS, SEG_GS }, { SAVE_LDTR, SEG_LDTR }, { SAVE_TR, SEG_TR },
};
#define SAVE_SEGMENTS (sizeof(save_segments) / sizeof(save_segments[0]))

static uint64_t get(const uint8_t *area, unsigned at)
{
    return vmcb_load(area, at, 8);
}

static void put(uint8_t *area, unsigned at, uint64_t value)
{
    vmcb_store(area, at, 8, value);
}

static uint64_t area_spa(const struct vcpu *cpu)
{
    return (uint32_t)cpu->msr.smbase + (uint64_t)SMM_SAVE_AT;
}

static void area_write(struct vcpu *cpu, const uint8_t *area)
{
    for (unsigned at = 0; at < SMM_SAVE_BYTES; at += 8)
        phys_write(cpu->memory, area_spa(cpu) + at, 8, get(area, at));
}

static void area_read(struct vcpu *cpu, uint8_t *area)
{
    for (unsigned at = 0; at < SMM_SAVE_BYTES; at += 8)
        put(area, at, phys_read(cpu->memory, area_spa(cpu) + at, 8));
}

/* --- the port access that pulled SMI --- */

static uint64_t steps(const struct vcpu *cpu)
{
    return cpu_insns(cpu) + cpu->extra_steps;
}

void smm_note_io(struct vcpu *cpu, uint64_t info)
{
    cpu->io_trap = (struct cpu_io_trap){ .valid = true,
                                         .dword = (uint32_t)(info & ~IOIO_SEG) | IO_VAL,
                                         .segment = (uint8_t)((info & IOIO_SEG) >> 10),
                                         .rip = cpu->r[REG_RIP],
                                         .rcx = cpu->r[REG_RCX],
                                         .rsi = cpu->r[REG_RSI],
                                         .rdi = cpu->r[REG_RDI],
                                         .steps = steps(cpu) };
}

bool smm_io_is_fresh(const struct vcpu *cpu)
{
    return cpu->io_trap.valid && steps(cpu) - cpu->io_trap.steps <= 1;
}

/* Use what was noted, if it is fresh. Breakpoints that the access has matched are told with it, and RFLAGS.TF. */
static bool take_io(struct vcpu *cpu)
{
    struct cpu_io_trap *io = &cpu->io_trap;
    bool fresh = smm_io_is_fresh(cpu);
    io->valid = false;
    if (fresh)
        io->dword |= (cpu->traps & 0xf) << IO_B_SHIFT | (cpu->rflags & FLAG_TF ? IO_TF : 0);
    return fresh;
}

/* --- SMI --- */

bool smm_is_intercepted(const struct vcpu *cpu)
{
    return svm_intercepts(cpu, INTERCEPT_SMI) && !(cpu->msr.hwcr & HWCR_SMM_LOCK);
}

enum step smm_vmexit(struct vcpu *cpu)
{
    const struct cpu_io_trap *io = &cpu->io_trap;
    uint64_t info1 = 1; /* external: the processor itself traps no port */
    bool fresh = take_io(cpu);
    if (fresh)
        info1 |= (uint64_t)io->segment << 10 | (uint64_t)io->dword << 32;
    return svm_vmexit(cpu, VMEXIT_SMI, info1, fresh ? io->rip : 0);
}

static void save_registers(struct vcpu *cpu, uint8_t *area)
{
    const struct cpu_regs *regs = &cpu->regs;
    bool half_done = cpu->repeat_insns == cpu_insns(cpu); /* as events push it: RF = 1 */
    for (unsigned i = 0; i < SAVE_SEGMENTS; i++)
        vmcb_store_segment(area, save_segments[i].at, &regs->seg[save_segments[i].seg]);
    vmcb_store(area, SAVE_GDTR + 4, 2, regs->gdtr.limit);
    put(area, SAVE_GDTR + 8, regs->gdtr.base);
    vmcb_store(area, SAVE_IDTR + 4, 2, regs->idtr.limit);
    put(area, SAVE_IDTR + 8, regs->idtr.base);
    put(area, SAVE_EFER, regs->efer);
    put(area, SAVE_CR4, regs->cr4);
    put(area, SAVE_CR3, regs->cr3);
    put(area, SAVE_CR0, regs->cr0);
    put(area, SAVE_DR7, regs->dr[7]);
    put(area, SAVE_DR6, regs->dr[6]);
    put(area, SAVE_RFLAGS, cpu_rflags(cpu) | (half_done ? FLAG_RF : 0));
    put(area, SAVE_RIP, cpu->r[REG_RIP]);
    put(area, SAVE_SSP, cpu->shadow.ssp);
    for (unsigned i = REG_RAX; i <= REG_R15; i++)
        put(area, SAVE_RAX - 8 * i, cpu->r[i]);
}

static void save_special(struct vcpu *cpu, uint8_t *area)
{
    const struct cpu_io_trap *io = &cpu->io_trap;
    bool fresh = take_io(cpu);
    put(area, SAVE_IO_RIP, fresh ? io->rip : cpu->r[REG_RIP]);
    put(area, SAVE_IO_RCX, fresh ? io->rcx : cpu->r[REG_RCX]);
    put(area, SAVE_IO_RSI, fresh ? io->rsi : cpu->r[REG_RSI]);
    put(area, SAVE_IO_RDI, fresh ? io->rdi : cpu->r[REG_RDI]);
    vmcb_store(area, SAVE_IO_DWORD, 4, fresh ? io->dword : 0);
    /* CHOICE: MWAIT is no halt state: RSM goes on behind it. Nor is a freeze: RSM goes back to the instruction. */
    area[SAVE_HALT_RESTART] = cpu->regs.halted && !cpu->monitor.waiting && !cpu->ferr.frozen;
    area[SAVE_NMI_MASK] = cpu->regs.nmi_masked;
    area[SAVE_CPL] = cpu->regs.cpl;
    vmcb_store(area, SAVE_REVISION, 4, SMM_REVISION);
    vmcb_store(area, SAVE_SMBASE, 4, cpu->msr.smbase);
}

/* The host's registers are where VMRUN has put them: in the host save page. */
static void save_guest(struct vcpu *cpu, uint8_t *area)
{
    const struct svm_state *svm = cpu->svm;
    uint64_t hsave = cpu->msr.vm_hsave_pa;
    put(area, SAVE_SVM_GUEST,
        GUEST_STATE | (svm->nested_paging ? GUEST_NESTED : 0) | (svm->host_if ? GUEST_HOST_IF : 0));
    put(area, SAVE_SVM_VMCB, svm->vmcb_spa);
    put(area, SAVE_SVM_VINTR,
        svm->v_tpr | (svm->v_irq ? VINTR_IRQ : 0) | (uint64_t)svm->v_intr_prio << VINTR_PRIO_SHIFT |
            (svm->v_ign_tpr ? VINTR_IGN_TPR : 0) | (svm->v_intr_masking ? VINTR_MASKING : 0) |
            (uint64_t)svm->v_intr_vector << VINTR_VECTOR_SHIFT | svm->v_ctl);
    put(area, SAVE_SVM_PAT, svm->nested_paging ? svm->g_pat : cpu->msr.pat);
    put(area, SAVE_SVM_EFER, phys_read(cpu->memory, hsave + VMCB_AT_EFER, 8));
    put(area, SAVE_SVM_CR4, phys_read(cpu->memory, hsave + VMCB_AT_CR4, 8));
    put(area, SAVE_SVM_CR3, phys_read(cpu->memory, hsave + VMCB_AT_CR3, 8));
    put(area, SAVE_SVM_CR0, phys_read(cpu->memory, hsave + VMCB_AT_CR0, 8));
}

/* APM vol 2, 10.3.2 "SMM Operating-Environment", table 10-3. */
static void load_entry_state(struct vcpu *cpu)
{
    struct cpu_regs *regs = &cpu->regs;
    for (int i = SEG_ES; i <= SEG_GS; i++)
        regs->seg[i] =
            (struct segment){ .attr = SEG_ATTR_G | 0x093, .limit = UINT32_MAX }; /* read, write */
    regs->seg[SEG_CS].attr = SEG_ATTR_G | 0x09b;
    regs->seg[SEG_CS].selector = (uint16_t)(cpu->msr.smbase >> 4);
    regs->seg[SEG_CS].base = (uint32_t)cpu->msr.smbase;
    regs->cr0 &= ~(uint64_t)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    regs->cr4 = 0;
    regs->efer = 0;
    regs->dr[7] = DR7_FIXED;
    regs->cpl = 0;
    cpu_set_rflags(cpu, 2);
    cpu->r[REG_RIP] = SMM_ENTRY_IP;
}

static void forget_boundary(struct vcpu *cpu)
{
    cpu->traps = 0;
    cpu->trap_held = false;
    cpu->repeat_insns = UINT64_MAX;
    cpu->monitor.armed = cpu->monitor.waiting = false;
    cpu->regs.halted = cpu->ferr.frozen = false;
    cpu->regs.shadow = cpu->regs.shadow_next = false;
}

enum step smm_enter(struct vcpu *cpu)
{
    uint8_t area[SMM_SAVE_BYTES] = { 0 };
    cpu->pins.smi = false;
    save_registers(cpu, area);
    save_special(cpu, area);
    bool told = vmcb_load(area, SAVE_IO_DWORD, 4) & IO_VAL;
    cpu->regs.smm_traps = told ? 0 : cpu->traps;
    cpu->svm->suspended.valid = false;
    if (svm_guest(cpu)) {
        save_guest(cpu, area);
        svm_suspend(cpu);
    }
    forget_boundary(cpu);
    cpu->regs.smm_nmi_masked = cpu->regs.nmi_masked;
    cpu->regs.nmi_masked = true;
    load_entry_state(cpu);
    set_smm(cpu, true);
    area_write(cpu, area);
    cpu->extra_steps++;
    return STEP_JUMP;
}

/* --- RSM --- */

/* The first rule that is broken, or NULL. APM vol 2, 10.4 "Leaving SMM". */
static const char *find_invalid(const struct vcpu *cpu, const uint8_t *area, bool to_guest)
{
    uint64_t cr0 = get(area, SAVE_CR0), cr4 = get(area, SAVE_CR4), efer = get(area, SAVE_EFER);
    uint16_t cs = (uint16_t)vmcb_load(area, SAVE_CS + 2, 2);
    bool paged_long = (efer & EFER_LME) && (cr0 & CR0_PG);
    if (vmcb_load(area, SAVE_REVISION, 4) != SMM_REVISION)
        return "the SMM revision identifier was changed";
    if (cr0 >> 32)
        return "CR0 bits 63:32 must be 0";
    if ((cr0 & CR0_PG) && !(cr0 & CR0_PE) && !to_guest) /* a guest may be in paged real mode */
        return "CR0.PG = 1 with CR0.PE = 0";
    if ((cr0 & CR0_NW) && !(cr0 & CR0_CD))
        return "CR0.NW = 1 with CR0.CD = 0";
    if (get(area, SAVE_CR3) >> cpu->model->address_bits)
        return "CR3 has unsupported bits";
    if (cr4 & ~control_cr4_valid(cpu))
        return "CR4 has unsupported bits";
    if (get(area, SAVE_DR6) >> 32 || get(area, SAVE_DR7) >> 32)
        return "bits 63:32 of DR6 and DR7 must be 0";
    if (efer & ~control_efer_valid(cpu))
        return "EFER has unsupported bits";
    if (paged_long && !(cr4 & CR4_PAE))
        return "EFER.LME = CR0.PG = 1 with CR4.PAE = 0";
    if (paged_long && (cs & SEG_ATTR_L) && (cs & SEG_ATTR_DB))
        return "long mode with CS.L = CS.D = 1";
    return NULL;
}

/* SMM has no intercepts: nobody can be told but the machine. */
static enum step shut_down(struct vcpu *cpu, const char *rule)
{
    cpu->stop.reason = PACIFICA_STOP_SHUTDOWN;
    cpu->stop.feature = NULL;
    (void)snprintf(cpu->stop.text, sizeof(cpu->stop.text), "shutdown: RSM at %x:%llx: %s",
                   cpu->regs.seg[SEG_CS].selector, (unsigned long long)cpu->r[REG_RIP], rule);
    return STEP_STOP;
}

static void load_segments(struct vcpu *cpu, const uint8_t *area)
{
    struct cpu_regs *regs = &cpu->regs;
    unsigned bits = cpu->svm->model.linear_bits;
    for (unsigned i = 0; i < SAVE_SEGMENTS; i++) {
        struct segment *seg = &regs->seg[save_segments[i].seg];
        *seg = vmcb_load_segment(area, save_segments[i].at);
        seg->base =
            save_segments[i].seg < SEG_FS ? (uint32_t)seg->base : vmcb_canonical(seg->base, bits);
    }
    regs->gdtr.limit = (uint16_t)vmcb_load(area, SAVE_GDTR + 4, 2);
    regs->gdtr.base = vmcb_canonical(get(area, SAVE_GDTR + 8), bits);
    regs->idtr.limit = (uint16_t)vmcb_load(area, SAVE_IDTR + 4, 2);
    regs->idtr.base = vmcb_canonical(get(area, SAVE_IDTR + 8), bits);
}

/* CHOICE: table 10-1 has no field for CPL, and no segment tells it: SYSRET leaves SS.DPL alone, and CS has a selector of real
 * mode until the first far jump. It stands in a reserved byte, where the VMCB has it in the same layout. A guest's is
 * the one that SMI found. */
static uint8_t find_cpl(const struct vcpu *cpu, const uint8_t *area)
{
    if (!(cpu->regs.cr0 & CR0_PE))
        return 0;
    if (cpu->rflags & FLAG_VM)
        return 3;
    if (cpu->svm->suspended.valid)
        return cpu->svm->suspended.cpl;
    return area[SAVE_CPL] & 3;
}

static void load_registers(struct vcpu *cpu, const uint8_t *area)
{
    struct cpu_regs *regs = &cpu->regs;
    uint64_t efer = get(area, SAVE_EFER) & ~(uint64_t)EFER_LMA, rflags = get(area, SAVE_RFLAGS);
    regs->cr0 = (get(area, SAVE_CR0) & CR0_DEFINED) | CR0_ET;
    regs->cr3 = get(area, SAVE_CR3);
    regs->cr4 = get(area, SAVE_CR4);
    if ((efer & EFER_LME) && (regs->cr0 & CR0_PG) && (regs->cr4 & CR4_PAE))
        efer |= EFER_LMA;
    regs->efer = efer;
    if (!(regs->cr0 & CR0_PE) || (efer & EFER_LMA))
        rflags &= ~(uint64_t)FLAG_VM;
    regs->dr[6] = (get(area, SAVE_DR6) & DR6_WRITABLE) | DR6_FIXED;
    regs->dr[7] = (get(area, SAVE_DR7) & DR7_WRITABLE) | DR7_FIXED;
    load_segments(cpu, area);
    for (unsigned i = REG_RAX; i <= REG_R15; i++)
        cpu->r[i] = get(area, SAVE_RAX - 8 * i);
    cpu->r[REG_RIP] = get(area, SAVE_RIP);
    if (cpu_has(cpu, CPU_FEATURE_CET_SS))
        cpu->shadow.ssp = vmcb_canonical(get(area, SAVE_SSP), cpu->svm->model.linear_bits);
    cpu_set_rflags(cpu, rflags);
    regs->cpl = find_cpl(cpu, area);
}

/* Restart of the port access; or, if it is not restarted, the #DB trap that SMI came before; or the halt state.
 * CHOICE: I/O restart goes before halt restart; the manual leaves both together open. */
static void load_special(struct vcpu *cpu, const uint8_t *area)
{
    uint32_t io = (uint32_t)vmcb_load(area, SAVE_IO_DWORD, 4);
    cpu->traps = cpu->regs.smm_traps;
    cpu->regs.smm_traps = 0;
    cpu->msr.smbase = vmcb_load(area, SAVE_SMBASE, 4);
    if ((io & IO_VAL) && area[SAVE_IO_RESTART]) {
        cpu->r[REG_RIP] = get(area, SAVE_IO_RIP);
        cpu->r[REG_RCX] = get(area, SAVE_IO_RCX);
        cpu->r[REG_RSI] = get(area, SAVE_IO_RSI);
        cpu->r[REG_RDI] = get(area, SAVE_IO_RDI);
        return;
    }
    bool step = (io & IO_TF) && !(cpu->msr.debugctl & DEBUGCTL_BTF); /* it is no branch */
    if (io & IO_VAL)
        cpu->traps |= (io >> IO_B_SHIFT & 0xf) | (step ? DR6_BS : 0);
    cpu->regs.halted = area[SAVE_HALT_RESTART] != 0;
}

enum step smm_leave(struct vcpu *cpu)
{
    uint8_t area[SMM_SAVE_BYTES];
    bool to_guest = cpu->svm->suspended.valid || svm_guest(cpu);
    area_read(cpu, area);
    const char *rule = find_invalid(cpu, area, to_guest);
    if (rule)
        return shut_down(cpu, rule);
    forget_boundary(cpu);
    load_registers(cpu, area);
    load_special(cpu, area);
    if (cpu->svm->suspended.valid)
        svm_resume(cpu);
    cpu->regs.nmi_masked = cpu->regs.smm_nmi_masked;
    cpu->trap_rule = TRAP_KEEP_RF;
    set_smm(cpu, false);
    return STEP_JUMP;
}

/* --- SMM_CTL --- */

#define CTL_DISMISS 0x01u
#define CTL_ENTER 0x02u
#define CTL_EXIT 0x08u
#define CTL_DEFINED 0x1fu /* SMI_CYCLE and RSM_CYCLE are for the bus */

/* In the order ENTER, DISMISS, EXIT. CHOICE: what the manual calls undefined (other combinations, ENTER in SMM, EXIT
 * outside) follows that order too, and does nothing that is done already. */
bool smm_control(struct vcpu *cpu, uint64_t value)
{
    struct cpu_regs *regs = &cpu->regs;
    if ((value & ~(uint64_t)CTL_DEFINED) || (cpu->msr.hwcr & HWCR_SMM_LOCK))
        return false;
    if ((value & CTL_ENTER) && !regs->smm) {
        regs->smm_traps = 0;
        regs->smm_nmi_masked = regs->nmi_masked;
        regs->nmi_masked = true;
        set_smm(cpu, true);
    }
    if (value & CTL_DISMISS)
        cpu->pins.smi = false;
    if ((value & CTL_EXIT) && regs->smm) {
        cpu->svm->suspended.valid = false; /* nobody goes back to it */
        regs->nmi_masked = regs->smm_nmi_masked;
        set_smm(cpu, false);
    }
    return true;
}

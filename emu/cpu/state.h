/* The state of one virtual CPU, made of sub-structs owned by the floors.
 *
 * Invariant at an instruction boundary (outside the op chain): r[REG_RIP] is the architectural RIP of
 * the next instruction. Inside a chain r[REG_RIP] is the RIP of the block's first byte, so that
 * RIP-relative operands need one constant; the adaptor of plain bodies restores the boundary first,
 * so a plain body always sees the RIP of its own instruction. */
#ifndef EMU_CPU_STATE_H
#define EMU_CPU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/base/clock.h"
#include "emu/base/probe.h"
#include "emu/compiler.h"
#include "emu/fpu/types.h"

enum reg {
    REG_RAX,
    REG_RCX,
    REG_RDX,
    REG_RBX,
    REG_RSP,
    REG_RBP,
    REG_RSI,
    REG_RDI,
    REG_R8,
    REG_R9,
    REG_R10,
    REG_R11,
    REG_R12,
    REG_R13,
    REG_R14,
    REG_R15,
    REG_ZERO, /* always 0: "no base", "no index" */
    REG_RIP,
    REG_TMP, /* between the ops of one instruction only; no architectural meaning */
    REG_COUNT
};

enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* attr is the VMCB's form: bits 3:0 type, 4 S, 6:5 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G.
 * limit is in bytes (already scaled by G). A null segment has P = 0. */
struct segment {
    uint16_t selector;
    uint16_t attr;
    uint32_t limit;
    uint64_t base;
};
#define SEG_ATTR_TYPE 0x00f
#define SEG_ATTR_S 0x010
#define SEG_ATTR_DPL_SHIFT 5
#define SEG_ATTR_P 0x080
#define SEG_ATTR_AVL 0x100
#define SEG_ATTR_L 0x200
#define SEG_ATTR_DB 0x400
#define SEG_ATTR_G 0x800

struct table_register { /* GDTR, IDTR */
    uint64_t base;
    uint16_t limit;
};

/* RFLAGS */
#define FLAG_CF (1u << 0)
#define FLAG_PF (1u << 2)
#define FLAG_AF (1u << 4)
#define FLAG_ZF (1u << 6)
#define FLAG_SF (1u << 7)
#define FLAG_TF (1u << 8)
#define FLAG_IF (1u << 9)
#define FLAG_DF (1u << 10)
#define FLAG_OF (1u << 11)
#define FLAG_IOPL (3u << 12)
#define FLAG_NT (1u << 14)
#define FLAG_RF (1u << 16)
#define FLAG_VM (1u << 17)
#define FLAG_AC (1u << 18)
#define FLAG_VIF (1u << 19)
#define FLAG_VIP (1u << 20)
#define FLAG_ID (1u << 21)
#define FLAGS_STATUS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)
#define FLAGS_WRITABLE 0x3f7fd5u /* every defined flag; bit 1 reads 1 */

#define CR0_PE (1u << 0)
#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR0_NW (1u << 29)
#define CR0_CD (1u << 30)
#define CR0_PG (1u << 31)

#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_PGE (1u << 7)
#define CR4_PCE (1u << 8)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)
#define CR4_LA57 (1u << 12)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE (1u << 17)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR4_PKE (1u << 22)
#define CR4_CET (1u << 23)

#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)
#define EFER_SVME (1u << 12)
#define EFER_FFXSR (1u << 14)
#define EFER_TCE (1u << 15)
#define EFER_MCOMMIT (1u << 17)
#define EFER_INTWB (1u << 18)
#define EFER_AIBRSE (1u << 21)

/* VM_CR. APM vol 2, 15.30.1 "VM_CR MSR (C001_0114h)". */
#define VM_CR_DPD (1u << 0)
#define VM_CR_R_INIT (1u << 1)
#define VM_CR_DIS_A20M (1u << 2)
#define VM_CR_LOCK (1u << 3)
#define VM_CR_SVMDIS (1u << 4)

#define DR6_BD (1u << 13) /* MOV DR with DR7.GD = 1 */
#define DR6_BS (1u << 14) /* single step */
#define DR6_BT (1u << 15) /* switch to a task whose TSS has T = 1 */
#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_WRITABLE UINT64_C(0xe00f)
#define DR7_ENABLES 0xffu /* L0, G0, ... G3 */
#define DR7_LOCALS 0x155u /* L0-L3 and LE */
#define DR7_GD (1u << 13)
#define DR7_FIXED UINT64_C(0x400)
#define DR7_WRITABLE UINT64_C(0xffff23ff)

#define MCG_STATUS_RIPV (1u << 0)
#define MCG_STATUS_MCIP (1u << 2)

#define DEBUGCTL_LBR (1u << 0)
#define DEBUGCTL_BTF (1u << 1)

/* What an instruction body, a memory access or a slow path came to. */
enum step {
    STEP_NEXT, /* done: go on behind the instruction (also: an access or a helper succeeded) */
    STEP_JUMP, /* done and retired: r[REG_RIP] was set; leave the chain */
    STEP_LEAVE, /* done and retired, RIP moves on by len; leave the chain (mode, mask or time changed) */
    STEP_REPEAT, /* some iterations of a string instruction done; RIP stays; leave the chain */
    STEP_RAISED, /* cpu->raised holds an exception or nested page fault; nothing was committed */
    STEP_VMEXIT, /* #VMEXIT done: the host's state is loaded, RIP included */
    STEP_FREEZE, /* nothing done: a legacy x87 error stops the instruction. RIP stays; leave the chain */
    STEP_HALT, /* HLT retired; RIP is moved on by len by the loop; wait for an event */
    STEP_STOP  /* cpu->stop says why the machine stops */
};

/* How an instruction differs from the rule for RFLAGS.TF and RF: the value of TF when it starts decides whether a
 * single-step #DB follows it, and RF is cleared when it retires. APM vol 2, 13.1.4 "Single Stepping". */
enum trap_rule {
    TRAP_NORMAL,
    TRAP_HOLD,      /* MOV SS, POP SS: the #DB waits for the next instruction */
    TRAP_BY_RESULT, /* SYSCALL, SYSRET: the new TF decides */
    TRAP_KEEP_RF    /* IRET and task switches: RF is what they loaded */
};

enum exception {
    EXC_DE,
    EXC_DB,
    EXC_NMI,
    EXC_BP,
    EXC_OF,
    EXC_BR,
    EXC_UD,
    EXC_NM,
    EXC_DF,
    EXC_MF9,
    EXC_TS,
    EXC_NP,
    EXC_SS,
    EXC_GP,
    EXC_PF,
    EXC_MF = 16,
    EXC_AC,
    EXC_MC,
    EXC_XF,
    EXC_CP = 21,
    EXC_HV = 28,
    EXC_VC,
    EXC_SX
};

/* The types of EVENTINJ and EXITINTINFO. APM vol 2, 15.20 "Event Injection". */
enum event_type { EVENT_INTR = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFT = 4 };

struct event {
    bool valid;
    uint8_t vector;
    enum event_type type;
    bool has_code;
    uint32_t code;
    uint8_t soft_len; /* INT n, INT3, INTO, ICEBP: length of the instruction; else 0 */
};

/* What is recorded by cpu_raise*(): an exception, or a nested page fault on the way to #VMEXIT. */
struct raised {
    bool npf;      /* a nested page fault: info1, info2 below; else the event */
    uint16_t exit; /* npf: another #VMEXIT than that of a nested page fault; 0: none */
    struct event event;
    uint64_t cr2; /* #PF: for CR2, at its delivery; nested page fault: for explanations */
    uint64_t dr6; /* #DB only: bits to set in DR6 */
    uint64_t info1, info2;
    bool fetch; /* #PF or nested page fault of an instruction fetch, whatever its code can say */
    uint8_t insn_len; /* #BR of BOUND: the instruction's length, for nRIP */
};

/* Lazy flags. Operands and result are sign-extended to 64 bits from the operand size, so that every
 * condition is independent of width; conditions are computed in emu/cpu/flags.h. */
enum flags_kind {
    FLAGS_MATERIAL, /* rflags holds all status flags */
    FLAGS_ADD,      /* res = src1 + src2 */
    FLAGS_SUB,      /* res = src1 - src2 (CMP, NEG with src1 = 0) */
    FLAGS_LOGIC,    /* CF = OF = AF = 0 */
    FLAGS_INC,      /* res = src1 + src2, src2 = 1; CF kept in rflags */
    FLAGS_DEC,      /* res = src1 - src2, src2 = 1; CF kept in rflags */
    FLAGS_RESULT    /* ZF, SF, PF of res; CF, OF and AF in rflags */
};

/* One entry of a fast table: a 4 KiB page that may be read or written without any check. A tag is the
 * page's linear address, or an odd number when the entry does not answer. */
struct fast_entry {
    uint64_t rtag, wtag;
    uintptr_t addend; /* native address = la + addend */
    uint64_t backref; /* paging's: which architectural entry it came from */
};
#define FAST_ENTRIES 256
#define FAST_TAG_NONE 1u

struct walk_regime; /* paging/regime.h */
struct block;
struct bank;      /* paging: one bank of fast entries */
struct paging;    /* paging: TLBs, nested cache and banks of one vCPU */
struct memory;    /* paging: physical memory of the machine */
struct svm_state; /* svm */
struct op;        /* decoder */
struct jump_entry;
struct run_state; /* emu/cpu/run_priv.h */
struct vcpu;

/* What the interrupt controller offers to the CPU. */
struct intc_ops {
    /* The highest pending fixed interrupt's vector above the processor priority, or -1. */
    int (*pending)(void *self);
    /* Acknowledge: returns the vector to deliver (the PIC's for ExtINT), or -1 (spurious). */
    int (*acknowledge)(void *self);
    uint8_t (*read_tpr)(void *self); /* bits 7:0 of the TPR; CR8 = bits 7:4 */
    void (*write_tpr)(void *self, uint8_t tpr);
    uint64_t (*read_apic_base)(void *self);
    bool (*write_apic_base)(void *self, uint64_t value); /* false: #GP */
    /* x2APIC registers, MSRs 800h-8FFh. false: #GP. APM vol 2, 16.11 "Accessing x2APIC Register". */
    bool (*read_msr)(void *self, uint32_t index, uint64_t *value);
    bool (*write_msr)(void *self, uint32_t index, uint64_t value);
    /* MSR 6E0h: `when_ns` is the virtual time at which the TSC reaches `tsc`. The CPU calls again when its TSC was
     * written. tsc 0 disarms; ignored while the timer is in another mode. Reads give the armed value, else 0. */
    uint64_t (*read_tsc_deadline)(void *self);
    void (*write_tsc_deadline)(void *self, uint64_t tsc, uint64_t when_ns);
    /* The AVIC doorbell of the processor with this physical APIC ID rings, if there is one; may be NULL. APM vol 2,
     * 15.29.8.2 "Doorbell Mechanism". */
    void (*doorbell)(void *self, uint32_t apic_id);
    void (*init)(void *self); /* INIT: as after reset, but for the ID and APIC_BASE */
    void (*perf_overflow)(
        void *self); /* a performance counter asks for its interrupt; may be NULL */
};

/* Port I/O as the CPU sees it. size is 1, 2 or 4. Open bus reads all ones. */
struct port_ops {
    uint32_t (*read)(void *self, uint16_t port, unsigned size);
    void (*write)(void *self, uint16_t port, unsigned size, uint32_t value);
};

struct cpu_regs {
    uint64_t cr0, cr2, cr3, cr4, efer;
    uint64_t dr[8]; /* 0-3, 6, 7 used */
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint8_t cpl;
    bool shadow; /* the next instruction runs in an interrupt shadow (STI, MOV SS, POP SS, VMCB) */
    bool
        shadow_next; /* set by an instruction that starts a shadow; the run loop moves it to shadow */
    bool nmi_masked; /* between NMI delivery and IRET */
    bool halted;
    bool
        wait_sipi; /* between INIT and SIPI of an application processor: nothing but SIPI or INIT matters */
    bool smm;            /* between SMI and RSM */
    bool smm_nmi_masked; /* nmi_masked as RSM restores it */
    uint32_t smm_traps;  /* causes of a #DB that SMI came before and the save area does not hold */
    uint8_t cr8;         /* used only when no interrupt controller is attached */
    uint32_t pkru;
};

struct cpu_msrs {
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, tsc_offset; /* tsc_offset: WRMSR TSC and TSC_ADJUST, not SVM's */
    uint64_t xss, tsc_ratio;
    uint64_t tsc_adjust, misc_enable, mtrr_def, mtrr_fix[11], mtrr_phys[16];
    uint64_t vm_cr, vm_hsave_pa, debugctl, syscfg, hwcr, mcg_status, bios_sign, spec_ctrl;
    uint64_t virt_spec_ctrl, prefetch_ctl, cstate_cfg;
    uint64_t mcg_ctl, mc_bank[40];     /* ten banks of CTL, STATUS, ADDR, MISC */
    uint64_t perf_ctl[6], perf_ctr[6]; /* the counters as they were at perf.since */
    uint64_t perf_global_ctl, perf_global_status;
    uint64_t mperf, aperf, irperf; /* less the instructions: perf_clock() */
    uint64_t last_branch[4];       /* LASTBRANCHFROM, TO, LASTINTFROM, TO */
    uint64_t iorr[4], top_mem, top_mem2, mmio_cfg_base, smi_trigger, watchdog;
    uint64_t ignne, smbase, smm_addr, smm_mask, svm_key, smm_key;
    uint64_t name[6];       /* the brand string of CPUID Fn8000_0002-4 */
    uint64_t cpuid_flip[4]; /* C001_1002-5: written value XOR the true feature words */
    uint64_t dr_mask[3];    /* DR1-DR3 */
    uint64_t dr0_mask,
        core_cfg[12]; /* core_cfg: LS_CFG, IC_CFG, ... DE_CFG2: values without effect here */
};

/* x87 and MMX. APM vol 1, 6.2 "Registers", 5.3 "Registers": an MMX register is the significand of the physical
 * register of its number. */
struct cpu_x87 {
    struct f80 reg[8]; /* physical: ST(i) is reg[(TOP + i) & 7] */
    uint16_t fcw, fsw;
    uint8_t used; /* the abridged tag word: bit i is 1 when physical register i is not empty */
    uint16_t fop; /* bits 10:0: of the last instruction that is no control instruction */
    uint16_t fcs, fds;
    uint64_t fip, fdp;
};
#define FCW_INIT 0x037fu
#define FCW_WRITABLE 0x1f3fu /* rounding, precision, masks, infinity control */
#define FCW_FIXED 0x0040u
#define FSW_ES 0x0080u
#define FSW_B 0x8000u /* copy of ES */
#define FSW_TOP_SHIFT 11

/* A vector register: XMM, YMM and ZMM are its low 16, 32 and 64 bytes. Elements are little-endian. */
union vector {
    uint8_t u8[64];
    uint16_t u16[32];
    uint32_t u32[16];
    uint64_t u64[8];
    int8_t s8[64];
    int16_t s16[32];
    int32_t s32[16];
    int64_t s64[8];
};
#define VECTOR_COUNT 32 /* 31:16 are AVX-512's, which no model offers: they stay 0 */
#define VECTOR_TMP \
    VECTOR_COUNT /* between the ops of one instruction only; no architectural meaning */

/* SSE and AVX. APM vol 1, 4.2 "Registers". Invariant: bytes 63:32 of every register are 0, since nothing writes them yet. */
struct cpu_simd {
    union vector v[VECTOR_COUNT + 1]; /* the last: VECTOR_TMP */
    uint32_t mxcsr;
    uint64_t xcr0;
    /* What the last XRSTOR or XRSTORS left behind, for the modified optimization of XSAVEOPT and XSAVES: a component that
     * is still equal to it has not been modified. Only vector registers 0-15 matter. */
    struct xstate_restored {
        bool valid;
        uint8_t cpl;
        bool guest;
        uint64_t la, layout,
            mask; /* of the area; its XCOMP_BV, 0: standard form; components that were asked for */
        struct cpu_x87 x87;
        union vector v[16];
        uint32_t mxcsr, pkru;
    } restored;
};
#define MXCSR_RESET 0x1f80u
#define MXCSR_MASK 0x2ffffu
#define MXCSR_DAZ 0x0040u
#define MXCSR_FTZ 0x8000u
#define MXCSR_MM 0x20000u /* misaligned operands do not fault */

#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define XCR0_PKRU 0x200u
#define XSS_CET_U 0x800u
#define XSS_CET_S 0x1000u

/* Kinds of floating-point and vector instructions by what lets them run: bits of vcpu.ready and insn.need. */
enum fp_ready {
    READY_X87 = 1,     /* CR0.EM = TS = 0 and no x87 exception is pending */
    READY_CONTROL = 2, /* x87 without waiting (FNINIT, FNSTSW, ...): CR0.EM = TS = 0 */
    READY_MMX = 4,     /* as READY_X87 */
    READY_SSE = 8,     /* CR0.EM = TS = 0, CR4.OSFXSR = 1 */
    READY_AVX = 16,    /* CR4.OSXSAVE = 1, XCR0[2:1] = 11b, protected mode, CR0.TS = 0 */
    READY_LOCK = 32    /* bus locks need not be counted: see emu/insn/lock.c */
};

/* Shadow stacks: the pointer, and the MSRs 6A0h-6A8h. APM vol 2, 18.2 "The Shadow Stack Pointer", 18.12 "Shadow Stack
 * MSRs". What they do: emu/cpu/shadow_stack.h. */
struct shadow_stacks {
    uint64_t ssp;          /* outside 64-bit mode bits 31:0 count */
    uint64_t u_cet, s_cet; /* SHADOW_CET_* */
    uint64_t pl_ssp[4];    /* PL0_SSP ... PL3_SSP */
    uint64_t isst;         /* of the interrupt shadow stack table */
};
#define SHADOW_CET_ENABLE 1u /* SH_STK_EN */
#define SHADOW_CET_WRITE 2u  /* WR_SHSTK_EN: WRSS works */
#define SHADOW_CET_VALID 3u  /* all other bits must be zero */

/* Who counts, derived from the registers: emu/cpu/perf.h. Bit n: counter n. */
struct cpu_perf {
    bool active;   /* a counter is enabled: the run loop settles */
    bool branches; /* and it wants branches: instructions run one by one */
    uint8_t insns, clocks, all_branches, taken_branches;
    uint64_t since, iterations; /* cpu_insns() and cpu->iterations when it was last settled */
};

/* Signals that arrive from outside, latched until taken. */
struct cpu_pins {
    bool nmi, smi, init, sipi;
    bool mc; /* a machine check was signalled from outside: #MC */
    uint8_t sipi_vector;
    bool
        ignne; /* IGNNE#: pending x87 exceptions stop nobody. A PC asserts it until FERR# goes away */
};

/* Legacy x87 errors, CR0.NE = 0: the FERR# pin. */
struct cpu_ferr {
    bool asserted; /* a waiting instruction has met a pending exception, which is still pending */
    bool frozen;   /* regs.halted because of it: RIP is at the instruction that waits for IGNNE# */
    void (*changed)(void *self, unsigned cpu); /* hears of the pin's rising; may be NULL */
    void *self;
};

/* The port access that made a device pull SMI, until the next boundary: SMM may restart it. APM vol 2, 10.3.8. */
struct cpu_io_trap {
    bool valid;
    uint32_t dword;              /* as at FEC0h of the save area, without the #DB causes */
    uint8_t segment;             /* of OUTS: enum seg, for EXITINFO1 */
    uint64_t rip, rcx, rsi, rdi; /* before the access */
    uint64_t steps;              /* instructions and extra_steps then */
};

/* The line that MONITOR and MONITORX watch, and the wait of MWAIT and MWAITX for it. APM vol 3. */
struct cpu_monitor {
    bool armed;         /* MONITOR has named a line that nobody has written yet */
    bool waiting;       /* regs.halted because of MWAIT: a write to the line ends it too */
    bool any_interrupt; /* MWAIT with ECX[0]: interrupts end it even while RFLAGS.IF masks them */
    bool expired;       /* the timer of MWAITX has ended the wait */
    uint64_t spa;       /* of the line */
    uint64_t page;      /* its backing page, whatever processor looks */
    uint8_t line[64];   /* what it held */
};

enum cpu_mode {
    MODE_REAL,
    MODE_V86,
    MODE_PROT16,
    MODE_PROT32,
    MODE_COMPAT16,
    MODE_COMPAT32,
    MODE_LONG64,
    MODE_REAL32 /* real mode whose CS is still a 32-bit segment: PE was cleared there */
};

struct vcpu {
    /* Used by every handler: keep together. */
    uint64_t r[REG_COUNT];
    struct fast_entry *fast; /* the current bank's FAST_ENTRIES entries */
    int32_t budget;          /* instructions that may still be started, after the block's charge */
    uint8_t left;            /* instructions of the current block not yet retired, as the op says */
    uint8_t flags_kind;      /* enum flags_kind */
    uint64_t src1, src2, res;
    uint64_t rflags; /* status bits valid as flags_kind says; all others always */
    uint8_t off;     /* where in the block the current instruction starts (plain bodies) */

    /* Owned by the run loop. */
    uint64_t insns_end;   /* instructions retired when budget and left are both 0 */
    uint64_t extra_steps; /* steps that are no instructions: event deliveries, #VMEXITs and more */
    uint64_t skipped_ns;  /* virtual time passed in HLT */
    uint8_t leave;        /* enum step, or LEAVE_LINK: why the chain was left */
    bool
        attention; /* leave the chain at the next boundary: an interrupt, a deadline, code written */
    const struct op *link;       /* LEAVE_LINK: the op that wants its target */
    const struct op *trampoline; /* EMU_TRAMPOLINE builds: the next op, NULL to leave */
    struct jump_entry *jumps;    /* the jump cache: JUMP_ENTRIES, decoder/op.h */
    uint64_t jump_key; /* translation context and instruction-TLB generation, as one number */
    struct run_state *run;

    /* Derived by cpu_update_mode(). */
    enum cpu_mode mode;
    struct walk_regime *regime; /* of the current context, kept by mem_regime() */
    struct fast_entry
        *bank; /* of the regime; `fast` is it, or answers nothing while alignment is checked */
    bool context_stale; /* CR, EFER, CPL, AC, ASID, regime changed: banks must be chosen anew */
    uint8_t ready;      /* enum fp_ready: derived by cpu_update_fp(); 0 until somebody asks */

    struct cpu_regs regs;
    struct cpu_msrs msr;
    struct shadow_stacks shadow;
    struct cpu_x87 x87;
    struct cpu_ferr ferr;
    struct cpu_pins pins;
    struct cpu_monitor monitor;
    struct cpu_io_trap io_trap;
    struct cpu_perf perf;
    bool yield; /* PAUSE, HLT, MWAIT: the rest of this vCPU's turn goes to the others */
    struct raised raised;
    struct event delivering; /* the event whose delivery is under way: becomes EXITINTINFO */
    uint8_t trap_rule;       /* enum trap_rule, by the instruction that just retired */
    uint32_t traps;          /* causes of a #DB trap at the next boundary, as bits of DR6 */
    bool trap_held;          /* at a boundary behind MOV SS or POP SS, where they wait */
    uint64_t repeat_insns;   /* cpu_insns() when a string instruction was left half done */
    uint64_t iterations; /* of string instructions: what cpu_insns() counts and is no instruction */
    struct {
        int reason; /* enum pacifica_stop */
        const char *feature;
        char text[200];
    } stop;

    struct svm_state *svm;
    struct paging *paging;
    struct memory *memory;
    struct probes *probes;
    struct vclock *clock;
    const struct intc_ops *intc;
    void *intc_self;
    const struct port_ops *ports;
    void *ports_self;
    const struct cpu_model *model; /* emu/cpu/cpuid.h */
    struct random_source *random;  /* emu/base/random.h: one for the machine */
    unsigned index, count;         /* which of how many vCPUs; 0 is the bootstrap processor */
    struct cpu_simd simd;
};

/* The masks, pins or deadlines changed: the run loop looks for events before the next instruction. */
static inline void cpu_attention(struct vcpu *cpu)
{
    cpu->attention = true;
}

/* Instructions retired, exact also within a block and inside plain bodies. */
static inline uint64_t cpu_insns(const struct vcpu *cpu)
{
    return cpu->insns_end - (uint64_t)(int64_t)cpu->budget - cpu->left;
}

/* Bring rflags up to date and return it (bit 1 set). Never leaves the lazy form half done. */
uint64_t cpu_rflags(struct vcpu *cpu);

/* Set all of RFLAGS (bit 1 set, reserved bits cleared). Does not look at privileges. */
void cpu_set_rflags(struct vcpu *cpu, uint64_t rflags);

/* Recompute mode from CR0, EFER.LMA, CS and RFLAGS.VM, and mark the context stale. To be called after
 * every change of CR0, CR3, CR4, EFER, CS, CPL, RFLAGS.AC/VM, nested paging or ASID. */
void cpu_update_mode(struct vcpu *cpu);

/* Recompute `ready`. To be called after every change of CR0.EM, CR0.TS, CR4.OSFXSR, CR4.OSXSAVE, XCR0, CR0.PE and
 * FSW.ES; after cpu_update_mode() the first instruction that asks does it. */
void cpu_update_fp(struct vcpu *cpu);

/* Reset values, but for RDX, which the model decides. APM vol 2, 14.1.3 "Processor Initialization State". Pointers to other
 * parts stay. */
void cpu_reset(struct vcpu *cpu);

static inline bool cpu_protected(const struct vcpu *cpu)
{
    return cpu->mode != MODE_REAL && cpu->mode != MODE_V86 && cpu->mode != MODE_REAL32;
}

static inline bool cpu_long64(const struct vcpu *cpu)
{
    return cpu->mode == MODE_LONG64;
}

static inline uint64_t cpu_rip(const struct vcpu *cpu)
{
    return cpu->r[REG_RIP];
}

#endif

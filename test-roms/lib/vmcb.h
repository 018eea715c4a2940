/* vmcb.h: offsets in the VMCB page, intercept bits, exit codes. APM vol 2, appendices B and C. */
#ifndef TEST_ROMS_LIB_VMCB_H
#define TEST_ROMS_LIB_VMCB_H

#include <stdint.h>

#define VMCB_BYTES 0x1000

/* ---- control area ---------------------------------------------------------------------------- */
#define VMCB_INTERCEPT_CR 0x000 /* 15:0 reads, 31:16 writes */
#define VMCB_INTERCEPT_DR 0x004
#define VMCB_INTERCEPT_EXCEPTION 0x008
#define VMCB_INTERCEPT_3 0x00c
#define VMCB_INTERCEPT_4 0x010
#define VMCB_INTERCEPT_5 0x014
#define VMCB_PAUSE_FILTER_THRESHOLD 0x03c
#define VMCB_PAUSE_FILTER_COUNT 0x03e
#define VMCB_IOPM_BASE_PA 0x040
#define VMCB_MSRPM_BASE_PA 0x048
#define VMCB_TSC_OFFSET 0x050
#define VMCB_ASID 0x058
#define VMCB_TLB_CONTROL 0x05c
#define VMCB_VINTR 0x060
#define VMCB_INTERRUPT_SHADOW 0x068
#define VMCB_EXITCODE 0x070
#define VMCB_EXITINFO1 0x078
#define VMCB_EXITINFO2 0x080
#define VMCB_EXITINTINFO 0x088
#define VMCB_NP_ENABLE 0x090
#define VMCB_EVENTINJ 0x0a8
#define VMCB_N_CR3 0x0b0
#define VMCB_VIRT_EXT 0x0b8
#define VMCB_CLEAN 0x0c0
#define VMCB_NRIP 0x0c8
#define VMCB_INSN_BYTES 0x0d0

/* ---- state-save area; a segment is selector, attributes (2 bytes each), limit (4), base (8) --- */
#define VMCB_ES 0x400
#define VMCB_CS 0x410
#define VMCB_SS 0x420
#define VMCB_DS 0x430
#define VMCB_FS 0x440
#define VMCB_GS 0x450
#define VMCB_GDTR 0x460
#define VMCB_LDTR 0x470
#define VMCB_IDTR 0x480
#define VMCB_TR 0x490
#define VMCB_CPL 0x4cb
#define VMCB_EFER 0x4d0
#define VMCB_CR4 0x548
#define VMCB_CR3 0x550
#define VMCB_CR0 0x558
#define VMCB_DR7 0x560
#define VMCB_DR6 0x568
#define VMCB_RFLAGS 0x570
#define VMCB_RIP 0x578
#define VMCB_RSP 0x5d8
#define VMCB_RAX 0x5f8
#define VMCB_STAR 0x600
#define VMCB_LSTAR 0x608
#define VMCB_CSTAR 0x610
#define VMCB_SFMASK 0x618
#define VMCB_KERNEL_GS_BASE 0x620
#define VMCB_SYSENTER_CS 0x628
#define VMCB_SYSENTER_ESP 0x630
#define VMCB_SYSENTER_EIP 0x638
#define VMCB_CR2 0x640
#define VMCB_G_PAT 0x668

#define SEGMENT_SELECTOR 0
#define SEGMENT_ATTRIBUTES 2
#define SEGMENT_LIMIT 4
#define SEGMENT_BASE 8

/* ---- vector 3 -------------------------------------------------------------------------------- */
#define INTERCEPT3_INTR (1u << 0)
#define INTERCEPT3_NMI (1u << 1)
#define INTERCEPT3_SMI (1u << 2)
#define INTERCEPT3_INIT (1u << 3)
#define INTERCEPT3_VINTR (1u << 4)
#define INTERCEPT3_CR0_SEL_WRITE (1u << 5)
#define INTERCEPT3_IDTR_READ (1u << 6)
#define INTERCEPT3_GDTR_READ (1u << 7)
#define INTERCEPT3_LDTR_READ (1u << 8)
#define INTERCEPT3_TR_READ (1u << 9)
#define INTERCEPT3_IDTR_WRITE (1u << 10)
#define INTERCEPT3_GDTR_WRITE (1u << 11)
#define INTERCEPT3_LDTR_WRITE (1u << 12)
#define INTERCEPT3_TR_WRITE (1u << 13)
#define INTERCEPT3_RDTSC (1u << 14)
#define INTERCEPT3_RDPMC (1u << 15)
#define INTERCEPT3_PUSHF (1u << 16)
#define INTERCEPT3_POPF (1u << 17)
#define INTERCEPT3_CPUID (1u << 18)
#define INTERCEPT3_RSM (1u << 19)
#define INTERCEPT3_IRET (1u << 20)
#define INTERCEPT3_INTN (1u << 21)
#define INTERCEPT3_INVD (1u << 22)
#define INTERCEPT3_PAUSE (1u << 23)
#define INTERCEPT3_HLT (1u << 24)
#define INTERCEPT3_INVLPG (1u << 25)
#define INTERCEPT3_INVLPGA (1u << 26)
#define INTERCEPT3_IOIO_PROT (1u << 27)
#define INTERCEPT3_MSR_PROT (1u << 28)
#define INTERCEPT3_TASK_SWITCH (1u << 29)
#define INTERCEPT3_FERR_FREEZE (1u << 30)
#define INTERCEPT3_SHUTDOWN (1u << 31)

/* ---- vector 4 -------------------------------------------------------------------------------- */
#define INTERCEPT4_VMRUN (1u << 0)
#define INTERCEPT4_VMMCALL (1u << 1)
#define INTERCEPT4_VMLOAD (1u << 2)
#define INTERCEPT4_VMSAVE (1u << 3)
#define INTERCEPT4_STGI (1u << 4)
#define INTERCEPT4_CLGI (1u << 5)
#define INTERCEPT4_SKINIT (1u << 6)
#define INTERCEPT4_RDTSCP (1u << 7)
#define INTERCEPT4_ICEBP (1u << 8)
#define INTERCEPT4_WBINVD (1u << 9)
#define INTERCEPT4_MONITOR (1u << 10)
#define INTERCEPT4_MWAIT (1u << 11)
#define INTERCEPT4_MWAIT_ARMED (1u << 12)
#define INTERCEPT4_XSETBV (1u << 13)

/* ---- vector 5 -------------------------------------------------------------------------------- */
#define INTERCEPT5_INVPCID (1u << 2)
#define INTERCEPT5_IDLE_HLT (1u << 6)

/* ---- virtual interrupt control (060h) -------------------------------------------------------- */
#define VINTR_V_TPR_MASK UINT64_C(0xf)
#define VINTR_V_IRQ (UINT64_C(1) << 8)
#define VINTR_V_GIF (UINT64_C(1) << 9)
#define VINTR_V_NMI (UINT64_C(1) << 11)
#define VINTR_V_NMI_MASK (UINT64_C(1) << 12)
#define VINTR_V_INTR_PRIO_SHIFT 16
#define VINTR_V_IGN_TPR (UINT64_C(1) << 20)
#define VINTR_V_INTR_MASKING (UINT64_C(1) << 24)
#define VINTR_V_GIF_ENABLE (UINT64_C(1) << 25)
#define VINTR_V_NMI_ENABLE (UINT64_C(1) << 26)
#define VINTR_V_INTR_VECTOR_SHIFT 32

/* ---- EVENTINJ, EXITINTINFO ------------------------------------------------------------------- */
#define EVENT_INTR (UINT64_C(0) << 8)
#define EVENT_NMI (UINT64_C(2) << 8)
#define EVENT_EXCEPTION (UINT64_C(3) << 8)
#define EVENT_INTN (UINT64_C(4) << 8)
#define EVENT_EV (UINT64_C(1) << 11)
#define EVENT_V (UINT64_C(1) << 31)
#define EVENT_ERRORCODE_SHIFT 32

#define TLB_CONTROL_NONE 0
#define TLB_CONTROL_FLUSH_ALL 1
#define TLB_CONTROL_FLUSH_ASID 3
#define TLB_CONTROL_FLUSH_ASID_LOCAL 7

/* ---- exit codes ------------------------------------------------------------------------------ */
#define VMEXIT_CR0_READ UINT64_C(0x00)
#define VMEXIT_CR0_WRITE UINT64_C(0x10)
#define VMEXIT_DR0_READ UINT64_C(0x20)
#define VMEXIT_DR0_WRITE UINT64_C(0x30)
#define VMEXIT_EXCP0 UINT64_C(0x40)
#define VMEXIT_INTR UINT64_C(0x60)
#define VMEXIT_NMI UINT64_C(0x61)
#define VMEXIT_SMI UINT64_C(0x62)
#define VMEXIT_INIT UINT64_C(0x63)
#define VMEXIT_VINTR UINT64_C(0x64)
#define VMEXIT_CR0_SEL_WRITE UINT64_C(0x65)
#define VMEXIT_IDTR_READ UINT64_C(0x66)
#define VMEXIT_GDTR_READ UINT64_C(0x67)
#define VMEXIT_LDTR_READ UINT64_C(0x68)
#define VMEXIT_TR_READ UINT64_C(0x69)
#define VMEXIT_IDTR_WRITE UINT64_C(0x6a)
#define VMEXIT_GDTR_WRITE UINT64_C(0x6b)
#define VMEXIT_LDTR_WRITE UINT64_C(0x6c)
#define VMEXIT_TR_WRITE UINT64_C(0x6d)
#define VMEXIT_RDTSC UINT64_C(0x6e)
#define VMEXIT_RDPMC UINT64_C(0x6f)
#define VMEXIT_PUSHF UINT64_C(0x70)
#define VMEXIT_POPF UINT64_C(0x71)
#define VMEXIT_CPUID UINT64_C(0x72)
#define VMEXIT_RSM UINT64_C(0x73)
#define VMEXIT_IRET UINT64_C(0x74)
#define VMEXIT_SWINT UINT64_C(0x75)
#define VMEXIT_INVD UINT64_C(0x76)
#define VMEXIT_PAUSE UINT64_C(0x77)
#define VMEXIT_HLT UINT64_C(0x78)
#define VMEXIT_INVLPG UINT64_C(0x79)
#define VMEXIT_INVLPGA UINT64_C(0x7a)
#define VMEXIT_IOIO UINT64_C(0x7b)
#define VMEXIT_MSR UINT64_C(0x7c)
#define VMEXIT_TASK_SWITCH UINT64_C(0x7d)
#define VMEXIT_SHUTDOWN UINT64_C(0x7f)
#define VMEXIT_VMRUN UINT64_C(0x80)
#define VMEXIT_VMMCALL UINT64_C(0x81)
#define VMEXIT_VMLOAD UINT64_C(0x82)
#define VMEXIT_VMSAVE UINT64_C(0x83)
#define VMEXIT_STGI UINT64_C(0x84)
#define VMEXIT_CLGI UINT64_C(0x85)
#define VMEXIT_SKINIT UINT64_C(0x86)
#define VMEXIT_RDTSCP UINT64_C(0x87)
#define VMEXIT_ICEBP UINT64_C(0x88)
#define VMEXIT_WBINVD UINT64_C(0x89)
#define VMEXIT_MONITOR UINT64_C(0x8a)
#define VMEXIT_MWAIT UINT64_C(0x8b)
#define VMEXIT_MWAIT_ARMED UINT64_C(0x8c)
#define VMEXIT_XSETBV UINT64_C(0x8d)
#define VMEXIT_IDLE_HLT UINT64_C(0xa6)
#define VMEXIT_NPF UINT64_C(0x400)
#define VMEXIT_INVALID UINT64_C(0xffffffffffffffff)

/* ---- EXITINFO1 of #VMEXIT(NPF), bits 4:0 as in a page-fault error code ------------------------ */
#define NPF_FINAL (UINT64_C(1) << 32)
#define NPF_TABLE (UINT64_C(1) << 33)

/* ---- EXITINFO1 of #VMEXIT(IOIO) --------------------------------------------------------------- */
#define IOIO_IN 0x001u
#define IOIO_STR 0x004u
#define IOIO_REP 0x008u
#define IOIO_SZ8 0x010u
#define IOIO_SZ16 0x020u
#define IOIO_SZ32 0x040u
#define IOIO_A64 0x200u
#define IOIO_PORT_SHIFT 16

/* ---- CPUID Fn8000_000A EDX -------------------------------------------------------------------- */
#define SVM_FEATURE_NP (1u << 0)
#define SVM_FEATURE_NRIPS (1u << 3)
#define SVM_FEATURE_FLUSH_BY_ASID (1u << 6)
#define SVM_FEATURE_DECODE_ASSISTS (1u << 7)
#define SVM_FEATURE_PAUSE_FILTER (1u << 10)
#define SVM_FEATURE_PAUSE_THRESHOLD (1u << 12)
#define SVM_FEATURE_VGIF (1u << 16)
#define SVM_FEATURE_VNMI (1u << 25)
#define SVM_FEATURE_ADDR_CHECK (1u << 28) /* rAX range check after the intercept */
#define SVM_FEATURE_IDLE_HLT (1u << 30)

#endif

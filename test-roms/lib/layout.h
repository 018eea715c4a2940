/* layout.h: numbers that both the assembler and C need. */
#ifndef TEST_ROMS_LIB_LAYOUT_H
#define TEST_ROMS_LIB_LAYOUT_H

/* Selectors of rom_gdt, in its order (boot.S). */
#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_USER_CODE32 0x1b
#define SEL_USER_DATA 0x23
#define SEL_USER_CODE64 0x2b
#define SEL_CODE32 0x30
#define SEL_NOT_PRESENT 0x38
#define SEL_TSS 0x40
#define SEL_FREE 0x50
#define GDT_BYTES 0x70

#define ROM_STACK_BYTES 65536

/* Where the section .low is linked (link.ld): real-mode code reaches it with segment 0. Its first page
 * holds the start code of further processors, so its number is their start-up vector. */
#define LOW_MEMORY 0x1000

/* Bits the 32-bit start code sets. */
#define PAGE_P_W_U 0x007
#define PAGE_U_BIT 0x004
#define PAGE_PS_BIT 0x080
#define CR4_PAE_BIT 0x020
#define CR0_BOOT 0x80010033
#define MSR_EFER_NUMBER 0xc0000080
#define EFER_SCE_LME_NXE 0x901

/* Offsets in struct trap_try_frame (trap.h). */
#define TRY_RSP 0
#define TRY_RFLAGS 8

/* Offsets in struct svm_guest (svm.h). */
#define GUEST_VMCB 0
#define GUEST_RBX 8
#define GUEST_RCX 16
#define GUEST_RDX 24
#define GUEST_RSI 32
#define GUEST_RDI 40
#define GUEST_RBP 48
#define GUEST_R8 56
#define GUEST_R9 64
#define GUEST_R10 72
#define GUEST_R11 80
#define GUEST_R12 88
#define GUEST_R13 96
#define GUEST_R14 104
#define GUEST_R15 112

/* Selectors of modes_gdt (modes.h). Up to SEL_CODE32 they are those of rom_gdt. */
#define MSEL_CODE16 0x38      /* base 0, limit ffff, DPL 0 */
#define MSEL_DATA16 0x40      /* base 0, limit ffff, B = 0, DPL 0 */
#define MSEL_USER_CODE16 0x4b /* the same with DPL 3 */
#define MSEL_USER_DATA16 0x53
#define MSEL_TSS 0x58  /* 16 bytes, for long mode */
#define MSEL_LDT 0x68  /* 16 bytes, for long mode */
#define MSEL_FREE 0x80 /* from here to the end for the test */
#define MODES_GDT_ENTRIES 64

/* struct modes_state, modes_end, modes_event (modes.h). */
#define IN_KIND 0
#define IN_CR0 8
#define IN_CR3 16
#define IN_CR4 24
#define IN_EFER 32
#define IN_GDTR 40
#define IN_IDTR 56
#define IN_LDTR 72
#define IN_TR 74
#define IN_PRELOAD 76
#define IN_PRELOAD_SS 78
#define IN_SEGMENTS 80 /* ES CS SS DS FS GS */
#define IN_RIP 96
#define IN_RFLAGS 104
#define IN_REGS 112 /* rAX rCX rDX rBX rSP rBP rSI rDI R8-R15 */
#define OUT_COUNT 0
#define OUT_KIND 4
#define OUT_REGS 8
#define OUT_CR0 136
#define OUT_CR2 144
#define OUT_CR3 152
#define OUT_CR4 160
#define OUT_EFER 168
#define OUT_DR6 176
#define OUT_DR7 184
#define OUT_SEGMENTS 192
#define OUT_TR 204
#define OUT_LDTR 206
#define OUT_LOG 208
#define EVENT_VECTOR 0
#define EVENT_KIND 4
#define EVENT_DR6 8
#define EVENT_CR2 16
#define EVENT_RAW 24
#define EVENT_SS 88
#define EVENT_TR 90
#define EVENT_BYTES 96
#define MODES_EVENTS 48
#define KIND_REAL 0
#define KIND_LEGACY 1
#define KIND_LONG 2

/* modes_resume[vector] */
#define RESUME 1
#define RESUME_APIC_EOI 2
#define RESUME_RF 4
#define RESUME_PIC_EOI 8

#endif

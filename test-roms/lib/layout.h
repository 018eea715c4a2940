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

#endif

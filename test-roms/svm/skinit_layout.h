/* skinit_layout.h: numbers that both the secure loader and C need. */
#ifndef TEST_ROMS_SVM_SKINIT_LAYOUT_H
#define TEST_ROMS_SVM_SKINIT_LAYOUT_H

#define MSR_VM_CR_NUMBER 0xc0010114
#define EFER_LMA_BIT 0x400

/* What the loader found: doublewords of skinit_out. */
#define SKINIT_EAX 0
#define SKINIT_ECX 1
#define SKINIT_EDX 2
#define SKINIT_EBX 3
#define SKINIT_ESP 4
#define SKINIT_EBP 5
#define SKINIT_ESI 6
#define SKINIT_EDI 7
#define SKINIT_EIP 8
#define SKINIT_EFLAGS 9
#define SKINIT_TOP 10 /* the highest doubleword of the block */
#define SKINIT_CR0 11
#define SKINIT_CR3 12
#define SKINIT_CR4 13
#define SKINIT_CS 14
#define SKINIT_SS 15
#define SKINIT_DS 16
#define SKINIT_EFER 17
#define SKINIT_VM_CR 18
#define SKINIT_COUNT 19

#endif

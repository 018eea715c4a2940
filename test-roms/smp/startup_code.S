/* startup_code.S: a start page that notes the state a Startup IPI leaves, and then starts as usual; and one that
 * shows that a SIPI was taken at all. */
#include "test-roms/lib/layout.h"

    .section .low.page, "awx", @progbits
    .balign 4096
    .code16
    .globl note_start16, noted_low
note_start16:
    movl %eax, %cs:noted - note_start16
    movl %ebx, %cs:noted - note_start16 + 4
    movl %ecx, %cs:noted - note_start16 + 8
    movl %edx, %cs:noted - note_start16 + 12
    movl %esp, %cs:noted - note_start16 + 16
    movl %ebp, %cs:noted - note_start16 + 20
    movl %esi, %cs:noted - note_start16 + 24
    movl %edi, %cs:noted - note_start16 + 28
    movw %cs, %cs:noted - note_start16 + 32
    movw %ds, %cs:noted - note_start16 + 34
    movw %es, %cs:noted - note_start16 + 36
    movw %ss, %cs:noted - note_start16 + 38
    movw %fs, %cs:noted - note_start16 + 40
    movw %gs, %cs:noted - note_start16 + 42
    movw %ds, %ax
    sidtl %cs:noted - note_start16 + 44
    sgdtl %cs:noted - note_start16 + 52
    movl %cr0, %eax
    movl %eax, %cs:noted - note_start16 + 60
    movl %cr2, %eax
    movl %eax, %cs:noted - note_start16 + 64
    movl %cr3, %eax
    movl %eax, %cs:noted - note_start16 + 68
    movl %cr4, %eax
    movl %eax, %cs:noted - note_start16 + 72
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    movl %eax, %cs:noted - note_start16 + 76
    movl %dr0, %eax
    movl %eax, %cs:noted - note_start16 + 80
    movl %dr6, %eax
    movl %eax, %cs:noted - note_start16 + 84
    movl %dr7, %eax
    movl %eax, %cs:noted - note_start16 + 88
    movl $0xc0000103, %ecx /* TSC_AUX */
    rdmsr
    movl %eax, %cs:noted - note_start16 + 92
    rdtsc
    movl %eax, %cs:noted - note_start16 + 100
    movl %edx, %cs:noted - note_start16 + 104
    movw $noted_stack - note_start16, %sp
    movw %cs, %ax
    movw %ax, %ss
    pushfl
    popl %cs:noted - note_start16 + 96
    ljmp $0, $smp_start16
    .balign 4
noted:
noted_low:
    .skip 128
    .skip 32
noted_stack:

    .balign 4096
    .globl count_start16, counted_low
count_start16:
    lock incl %cs:counted - count_start16
1:  cli
    hlt
    jmp 1b
    .balign 4
counted:
counted_low:
    .skip 4
    .section .note.GNU-stack, "", @progbits

/* code.S: the SMM handler; kit.c copies it to SMBASE + 8000h. It notes what it finds and the save-state area, runs what the
 * test has put behind it, changes the area as the test wants it, and leaves. RSM brings all registers back. */
#include "test-roms/smm/layout.h"

    .text
    .code16
    .globl smm_code16, smm_code16_end
smm_code16:
    movl $smm_seen, %ebx
    lock incl SEEN_ENTRIES(%ebx)
    movl %cr0, %eax
    movl %eax, SEEN_CR0(%ebx)
    movl %cr3, %eax
    movl %eax, SEEN_CR3(%ebx)
    movl %cr4, %eax
    movl %eax, SEEN_CR4(%ebx)
    movl %dr6, %eax
    movl %eax, SEEN_DR6(%ebx)
    movl %dr7, %eax
    movl %eax, SEEN_DR7(%ebx)
    movw %cs, SEEN_SEGMENTS(%ebx)
    movw %ds, SEEN_SEGMENTS + 2(%ebx)
    movw %es, SEEN_SEGMENTS + 4(%ebx)
    movw %ss, SEEN_SEGMENTS + 6(%ebx)
    movw %fs, SEEN_SEGMENTS + 8(%ebx)
    movw %gs, SEEN_SEGMENTS + 10(%ebx)
    movl $0xc0000080, %ecx
    rdmsr
    movl %eax, SEEN_EFER(%ebx)
    movw %cs, %ax
    movw %ax, %ss
    movw $SMM_CODE_AT - 16, %sp
    pushfl /* INC has changed only status flags */
    popl SEEN_EFLAGS(%ebx)
    pushl %ebx
    movl $1, %eax
    cpuid
    movl %ebx, %eax
    popl %ebx
    shrl $24, %eax
    movl %eax, SEEN_ID(%ebx)
    movl $SMM_AREA_AT, %esi
    movl $smm_area, %edi
    movl $SMM_AREA_BYTES / 4, %ecx
1:  movl %cs:(%esi), %eax
    movl %eax, (%edi)
    addl $4, %esi
    addl $4, %edi
    decl %ecx
    jnz 1b
    movw $SMM_HOOK_AT, %ax
    call *%ax
    movl $smm_seen, %ebx
    movl SEEN_PATCHES(%ebx), %ecx
    leal SEEN_PATCH(%ebx), %esi
    jecxz 3f
2:  movl (%esi), %edi
    movl 4(%esi), %eax
    movl %eax, %cs:SMM_AREA_AT(%edi)
    addl $8, %esi
    decl %ecx
    jnz 2b
3:  movl $0, SEEN_PATCHES(%ebx)
    rsm
smm_code16_end:
    .section .note.GNU-stack, "", @progbits

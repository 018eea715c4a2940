/* smp_start.S: from a Startup IPI to C in 64-bit mode. APM vol 2, 14.1.3 "Processor Initialization State". */
#include "test-roms/lib/layout.h"

#define SMP_LIMIT 8
#define STACK_SHIFT 14

/* CS = start-up vector << 8, IP = 0; the linker counts addresses from segment 0. */
    .section .low.page, "awx", @progbits
    .balign 4096
    .code16
    .globl smp_start16
smp_start16:
    cli
    cld
    ljmpl $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    lgdtl smp_gdtr
    movl $0x11, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $smp_start32
    .balign 8
smp_gdtr:
    .word GDT_BYTES - 1
    .long rom_gdt

    .text
    .code32
smp_start32:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl smp_cr4, %eax
    movl %eax, %cr4
    movl smp_cr3, %eax
    movl %eax, %cr3
    movl $MSR_EFER_NUMBER, %ecx
    xorl %edx, %edx
    movl smp_efer, %eax
    wrmsr
    movl $CR0_BOOT, %eax
    movl %eax, %cr0
    ljmp $SEL_CODE64, $smp_start64

    .code64
smp_start64:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $1, %eax
    cpuid
    movl %ebx, %edi
    shrl $24, %edi
    cmpl $SMP_LIMIT, %edi
    jae 2f
    leal 1(%rdi), %esp
    shll $STACK_SHIFT, %esp
    addl $smp_stacks, %esp
    xorl %ebp, %ebp
    call smp_arrive
2:  cli
    hlt
    jmp 2b

    .bss
    .balign 16
smp_stacks:
    .skip SMP_LIMIT << STACK_SHIFT
    .globl smp_cr3, smp_cr4, smp_efer
smp_cr3:
    .skip 4
smp_cr4:
    .skip 4
smp_efer:
    .skip 4
    .section .note.GNU-stack, "", @progbits

/* skinit_code.S: SKINIT and back: a secure loader that notes what it finds and returns to 64-bit mode, where the program was. */
#include "test-roms/lib/layout.h"
#include "test-roms/svm/skinit_layout.h"

    .text
/* void skinit_call(uint32_t eax = rdi): the secure loader block is ready. Comes back with GIF = 0 and nothing but the
 * paging, the stack and the callee's registers as they were. */
    .code64
    .globl skinit_call
skinit_call:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, saved_rsp
    movq %cr0, %rax
    movl %eax, saved_cr0
    movq %cr3, %rax
    movl %eax, saved_cr3
    movq %cr4, %rax
    movl %eax, saved_cr4
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    movl %eax, saved_efer
    sgdt saved_gdtr
    movl %edi, %eax
    movq $-1, %rbx
    movq $-1, %r15
    skinit
    ud2

    .code32
    .globl skinit_image, skinit_image_end
skinit_image:
    .word skinit_entry - skinit_image
    .word skinit_image_end - skinit_image
    /* Only CS and SS are flat. */
skinit_entry:
    movl %eax, %ss:skinit_out + 4 * SKINIT_EAX
    movl %ecx, %ss:skinit_out + 4 * SKINIT_ECX
    movl %edx, %ss:skinit_out + 4 * SKINIT_EDX
    movl %ebx, %ss:skinit_out + 4 * SKINIT_EBX
    movl %esp, %ss:skinit_out + 4 * SKINIT_ESP
    movl %ebp, %ss:skinit_out + 4 * SKINIT_EBP
    movl %esi, %ss:skinit_out + 4 * SKINIT_ESI
    movl %edi, %ss:skinit_out + 4 * SKINIT_EDI
    movl %eax, %ebp
    call 1f /* the first thing on the stack */
1:  popl %eax
    movl %eax, %ss:skinit_out + 4 * SKINIT_EIP
    pushfl
    popl %eax
    movl %eax, %ss:skinit_out + 4 * SKINIT_EFLAGS
    movl %ss:0xfffc(%ebp), %eax
    movl %eax, %ss:skinit_out + 4 * SKINIT_TOP
    movl %cr0, %eax
    movl %eax, %ss:skinit_out + 4 * SKINIT_CR0
    movl %cr3, %eax
    movl %eax, %ss:skinit_out + 4 * SKINIT_CR3
    movl %cr4, %eax
    movl %eax, %ss:skinit_out + 4 * SKINIT_CR4
    xorl %eax, %eax
    movw %cs, %ax
    movl %eax, %ss:skinit_out + 4 * SKINIT_CS
    movw %ss, %ax
    movl %eax, %ss:skinit_out + 4 * SKINIT_SS
    movw %ds, %ax
    movl %eax, %ss:skinit_out + 4 * SKINIT_DS
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    movl %eax, %ss:skinit_out + 4 * SKINIT_EFER
    movl $MSR_VM_CR_NUMBER, %ecx
    rdmsr
    movl %eax, %ss:skinit_out + 4 * SKINIT_VM_CR

    lgdt %ss:saved_gdtr
    movl %ss:saved_cr4, %eax
    movl %eax, %cr4
    movl %ss:saved_cr3, %eax
    movl %eax, %cr3
    movl $MSR_EFER_NUMBER, %ecx
    xorl %edx, %edx
    movl %ss:saved_efer, %eax
    andl $~EFER_LMA_BIT, %eax
    wrmsr
    movl %ss:saved_cr0, %eax
    movl %eax, %cr0
    ljmp $SEL_CODE64, $back64
skinit_image_end:

    .code64
back64:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movq saved_rsp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
saved_rsp: .skip 8
saved_cr0: .skip 4
saved_cr3: .skip 4
saved_cr4: .skip 4
saved_efer: .skip 4
saved_gdtr: .skip 16
    .globl skinit_out
skinit_out: .skip 4 * SKINIT_COUNT
    .section .note.GNU-stack, "", @progbits

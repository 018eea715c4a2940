/* trap_stubs.S: 256 entry points of 16 bytes each, and the calls that survive an exception. */
#include "test-roms/lib/layout.h"

    .text
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    /* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX push an error code themselves. */
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

    .balign 16
trap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call trap_dispatch
    movq %rbp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .macro save_callee_saved
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm
    .macro restore_callee_saved
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    .endm

/* uint64_t trap_call(body = rdi, arg = rsi, frame = rdx): 0 if body returned, 1 after a fault. */
    .globl trap_call
trap_call:
    save_callee_saved
    pushq %rdx
    movq %rsp, TRY_RSP(%rdx)
    pushfq
    popq TRY_RFLAGS(%rdx)
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    popq %rdx
    restore_callee_saved
    xorl %eax, %eax
    ret

/* trap_call_user(iret_frame = rdi, rdi = rsi, rsi = rdx, frame = rcx): comes back by trap_resume. */
    .globl trap_call_user
trap_call_user:
    save_callee_saved
    pushq %rcx
    movq %rsp, TRY_RSP(%rcx)
    pushfq
    popq TRY_RFLAGS(%rcx)
    pushq 32(%rdi)
    pushq 24(%rdi)
    pushq 16(%rdi)
    pushq 8(%rdi)
    pushq (%rdi)
    movq %rsi, %rdi
    movq %rdx, %rsi
    iretq

    .globl trap_resume
trap_resume:
    /* DS and ES may hold what the faulting code put there. */
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    popq %rdx
    restore_callee_saved
    movl $1, %eax
    ret
    .section .note.GNU-stack, "", @progbits

/* svm_run.S: the world switch. */
#include "test-roms/lib/layout.h"

    .text
/* void svm_run_raw(struct svm_guest *g = rdi, host_if = rsi, keep_gif = rdx) */
    .globl svm_run_raw
svm_run_raw:
    pushfq
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdx
    pushq %rdi
    clgi
    /* VMRUN saves RFLAGS.IF of the host; with V_INTR_MASKING it decides about physical interrupts.
     * GIF = 0 keeps them away here. */
    cli
    testq %rsi, %rsi
    jz 1f
    sti
1:  movq GUEST_VMCB(%rdi), %rax
    movq GUEST_RBX(%rdi), %rbx
    movq GUEST_RCX(%rdi), %rcx
    movq GUEST_RDX(%rdi), %rdx
    movq GUEST_RSI(%rdi), %rsi
    movq GUEST_RBP(%rdi), %rbp
    movq GUEST_R8(%rdi), %r8
    movq GUEST_R9(%rdi), %r9
    movq GUEST_R10(%rdi), %r10
    movq GUEST_R11(%rdi), %r11
    movq GUEST_R12(%rdi), %r12
    movq GUEST_R13(%rdi), %r13
    movq GUEST_R14(%rdi), %r14
    movq GUEST_R15(%rdi), %r15
    movq GUEST_RDI(%rdi), %rdi
    vmrun %rax
    cli
    xchgq %rdi, (%rsp)
    movq %rbx, GUEST_RBX(%rdi)
    movq %rcx, GUEST_RCX(%rdi)
    movq %rdx, GUEST_RDX(%rdi)
    movq %rsi, GUEST_RSI(%rdi)
    movq %rbp, GUEST_RBP(%rdi)
    movq %r8, GUEST_R8(%rdi)
    movq %r9, GUEST_R9(%rdi)
    movq %r10, GUEST_R10(%rdi)
    movq %r11, GUEST_R11(%rdi)
    movq %r12, GUEST_R12(%rdi)
    movq %r13, GUEST_R13(%rdi)
    movq %r14, GUEST_R14(%rdi)
    movq %r15, GUEST_R15(%rdi)
    popq GUEST_RDI(%rdi)
    popq %rdx
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    testq %rdx, %rdx
    jnz 2f
    stgi
2:  popfq
    ret
    .section .note.GNU-stack, "", @progbits

/* entry_code.S: OUT to port B2h with all registers known. */
    .text
    .code64
/* void call_smm(void): loads regs_before but RSP, which it notes there; regs_after, rip_behind */
    .globl call_smm
call_smm:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq $behind, rip_behind
    movq %rsp, regs_before + 32
    movq regs_before, %rax
    movq regs_before + 8, %rcx
    movq regs_before + 16, %rdx
    movq regs_before + 24, %rbx
    movq regs_before + 40, %rbp
    movq regs_before + 48, %rsi
    movq regs_before + 56, %rdi
    movq regs_before + 64, %r8
    movq regs_before + 72, %r9
    movq regs_before + 80, %r10
    movq regs_before + 88, %r11
    movq regs_before + 96, %r12
    movq regs_before + 104, %r13
    movq regs_before + 112, %r14
    movq regs_before + 120, %r15
    outb %al, %dx
behind:
    movq %rax, regs_after
    movq %rcx, regs_after + 8
    movq %rdx, regs_after + 16
    movq %rbx, regs_after + 24
    movq %rsp, regs_after + 32
    movq %rbp, regs_after + 40
    movq %rsi, regs_after + 48
    movq %rdi, regs_after + 56
    movq %r8, regs_after + 64
    movq %r9, regs_after + 72
    movq %r10, regs_after + 80
    movq %r11, regs_after + 88
    movq %r12, regs_after + 96
    movq %r13, regs_after + 104
    movq %r14, regs_after + 112
    movq %r15, regs_after + 120
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .section .note.GNU-stack, "", @progbits

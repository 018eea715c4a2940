/* shadow_stacks_code.S: what shadow_stacks.c runs with shadow stacks on. A piece of code begins at level 0 with SSP at the
 * token of PL0_SSP, and ends with any event whose gate leads to an end_ stub. */
#include "test-roms/lib/layout.h"

#define MSR_S_CET 0x6a2

    .text

/* void shadow_begin(const void *code) */
    .globl shadow_begin
shadow_begin:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, kept_rsp
    movl $MSR_S_CET, %ecx
    movl $1, %eax
    xorl %edx, %edx
    wrmsr
    setssbsy
    movq $-1, %r8
    movq $-1, %r9
    movq $-1, %r10
    jmp *%rdi

    .macro end_stub vector, has_error
    .globl end_\vector
end_\vector:
    .if \has_error == 0
    pushq $0
    .endif
    pushq $\vector
    jmp shadow_end
    .endm
    end_stub 6, 0
    end_stub 8, 1
    end_stub 13, 1
    end_stub 14, 1
    end_stub 21, 1

shadow_end:
    popq seen_vector
    popq seen_error
    popq seen_rip
    popq seen_cs
    movq %r8, seen_r8
    movq %r9, seen_r9
    movq %r10, seen_r10
    xorl %ebx, %ebx
    rdsspq %rbx
    movq %rbx, seen_ssp
    movq %cr2, %rax
    movq %rax, seen_cr2
    movl $MSR_S_CET, %ecx
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movq kept_rsp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .macro code name
    .globl \name, \name\()_end
\name:
    .endm

/* --- level 0 --- */

    code s_call
    lcall *far_pointer
    rdsspq %r9
s_call_end:
    ud2
far_target:
    rdsspq %r8
    lretl

    code s_call_bad
    lcall *far_pointer_bad
    ud2
far_target_bad:
    incl (%rsp)
s_call_bad_end:
    lretl

    code s_int
    int $0x40
    rdsspq %r9
s_int_end:
    ud2

    code s_int_bad
    int $0x41
    ud2

    .globl gate_40, gate_41, gate_41_iret, gate_42
gate_40:
    rdsspq %r8
    iretq
gate_41:
    incq (%rsp)
gate_41_iret:
    iretq

/* --- level 3, where the end has to be a trap --- */

    .macro enter_user target
    pushq $SEL_USER_DATA
    pushq user_rsp
    pushq $2
    pushq $SEL_USER_CODE64
    pushq $\target
    iretq
    .endm

    code s_user
    enter_user 1f
1:  rdsspq %r9
    int $0x42
    rdsspq %r10
s_user_end:
    ud2
gate_42:
    rdsspq %r8
    iretq

/* The user's return address is no business of the supervisor's shadow stack. */
    code s_user_moved
    enter_user 1f
1:  int $0x43
    hlt
s_user_moved_end:
    ud2
    .globl gate_43
gate_43:
    incq (%rsp)
    iretq

    code s_user_call
    enter_user 1f
1:  call 2f
    rdsspq %r9
    lcall *far_pointer_user
    rdsspq %r10
s_user_call_end:
    ud2
2:  ret
far_target_user:
    rdsspq %r8
    lretl

    code s_user_ret
    enter_user 1f
1:  pushq $SEL_USER_CODE64
    pushq $s_user_ret_end
s_user_ret_end:
    lretq

    code s_syscall
    enter_user 1f
1:  syscall
    rdsspq %r10
s_syscall_end:
    ud2
    .globl syscall_entry
syscall_entry:
    rdsspq %r8
    setssbsy
    rdsspq %r9
    movq pl0_ssp, %r12
    clrssbsy (%r12)
    sysretq

/* An event on a stack that another has set busy. */
    code s_user_int
    enter_user 1f
1:
s_user_int_end:
    int $0x42

    .data
    .balign 8
    .globl far_pointer_user
far_pointer:
    .long far_target, SEL_CODE64
far_pointer_bad:
    .long far_target_bad, SEL_CODE64
far_pointer_user:
    .long far_target_user, SEL_USER_CODE64

    .bss
    .balign 8
    .macro seen name
    .globl \name
\name:
    .skip 8
    .endm
    seen kept_rsp
    seen user_rsp
    seen pl0_ssp
    seen seen_vector
    seen seen_error
    seen seen_rip
    seen seen_cs
    seen seen_ssp
    seen seen_cr2
    seen seen_r8
    seen seen_r9
    seen seen_r10
    .section .note.GNU-stack, "", @progbits

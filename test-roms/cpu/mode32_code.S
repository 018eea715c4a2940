/* mode32_code.S: the 32-bit code of mode32.c. Each function runs in compatibility mode on the stack of
 * its caller and stores what it found in mode32_out. */
#include "test-roms/lib/layout.h"

#define LOW_BYTE 0x7000 /* a byte of memory that 16-bit addresses reach */
#define OF_BIT   0x800

    .text
/* void mode32_call(void (*code)(void) = rdi): run 32-bit code, come back in 64-bit mode. */
    .code64
    .globl mode32_call
mode32_call:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq $SEL_CODE32
    pushq $enter32
    lretq
    .code32
enter32:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    call *%edi
    ljmp $SEL_CODE64, $leave32
    .code64
leave32:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .code32
    .macro out index, reg
    movl \reg, mode32_out + 4 * (\index)
    .endm
    .macro function name
    .globl \name
\name:
    .endm
/* EAX and the flags after an instruction on AX, flags cleared before. */
    .macro on_ax index, value, insn:vararg
    pushl $2
    popfl
    movl $\value, %eax
    \insn
    pushfl
    popl %ecx
    out \index, %eax
    out \index + 1, %ecx
    .endm

function m_bcd
    on_ax 0, 0x000f, aaa
    on_ax 2, 0x0200, aas
    on_ax 4, 0x0079, daa
    on_ax 6, 0x009a, daa
    on_ax 8, 0x0047, aam
    on_ax 10, 0x0709, aad
    movl $0x30, %eax
    subb $0x09, %al
    das
    out 12, %eax
    ret

function m_aam_zero
    movl $5, %eax
    .byte 0xd4, 0
    ret

function m_pusha
    movl %esp, %esi
    movl $1, %eax
    movl $2, %ecx
    movl $3, %edx
    movl $4, %ebx
    movl $7, %edi
    pushal
    movl 28(%esp), %eax
    out 0, %eax
    movl 24(%esp), %eax
    out 1, %eax
    movl 12(%esp), %eax
    subl %esi, %eax
    out 2, %eax
    movl $99, 28(%esp)
    movl $99, 12(%esp)
    popal
    out 3, %eax
    subl %esp, %esi
    out 4, %esi
    ret

function m_short_forms
    stc
    movl $0xffffffff, %eax
    incl %eax
    pushfl
    popl %ecx
    out 0, %eax
    out 1, %ecx
    movl $0x12340000, %edx
    decw %dx
    out 2, %edx
    movl $0x11112222, %eax
    xchgl %eax, %ecx
    out 3, %ecx
    ret

function m_address16
    movb $0x5a, LOW_BYTE
    movl $0x1ffff, %ebx
    movl $0xabc0000 + LOW_BYTE + 1, %esi
    movl $0, %eax
    addr16 movb (%bx, %si), %al
    out 0, %eax
    addr16 leal 0x10(%bx, %si), %eax
    out 1, %eax
    ret

function m_operand16
    movl %esp, %ebx
    pushw $0x1234
    movl %esp, %ecx
    subl %ecx, %ebx
    out 0, %ebx
    movl $0xffffffff, %edx
    popw %dx
    out 1, %edx
    movl $0xffffffff, %eax
    cbtw
    movl $0x00008000, %eax
    cwtd
    out 2, %eax
    out 3, %edx
    ret

function m_calls
    movl %esp, %esi
    pushl $1
    pushl $2
    call 1f
    subl %esp, %esi
    out 0, %esi
    movl %esp, %esi
    lcall $SEL_CODE32, $2f
    out 1, %eax
    subl %esp, %esi
    out 2, %esi
    pushl %cs
    pushl $3f
    lret
3:  movl $0x77, %eax
    out 3, %eax
    ret
1:  ret $8
2:  movl %cs, %eax
    lret

function m_loops
    movl $5, %ecx
    xorl %eax, %eax
1:  incl %eax
    loop 1b
    out 0, %eax
    movl $0x30002, %ecx
    xorl %eax, %eax
2:  incl %eax
    addr16 loop 2b
    out 1, %eax
    out 2, %ecx
    xorl %eax, %eax
    jecxz 3f
    incl %eax
3:  jcxz 4f
    addl $2, %eax
4:  out 3, %eax
    ret

function m_strings
    std
    movl $mode32_buffer + 7, %edi
    movl $0x41, %eax
    movl $4, %ecx
    rep stosb
    cld
    subl $mode32_buffer, %edi
    out 0, %edi
    out 1, %ecx
    movl $mode32_buffer, %esi
    movl $mode32_buffer + 16, %edi
    movl $2, %ecx
    rep movsl
    movl $0x41, %eax
    movl $mode32_buffer, %edi
    movl $64, %ecx
    repne scasb
    out 2, %ecx
    ret

function m_far_pointers
    movl $0x12345678, mode32_buffer
    movw $SEL_DATA, mode32_buffer + 4
    xorl %eax, %eax
    movl %eax, %es
    les mode32_buffer, %edx
    movl %es, %eax
    out 0, %eax
    out 1, %edx
    movl %esp, mode32_buffer
    lss mode32_buffer, %ecx
    out 2, %ecx
    ret

function m_bound_inside
    movl $10, mode32_buffer
    movl $20, mode32_buffer + 4
    movl $20, %eax
    boundl %eax, mode32_buffer
    ret

function m_bound_outside
    movl $10, mode32_buffer
    movl $20, mode32_buffer + 4
    movl $21, %eax
    .globl m_bound_insn
m_bound_insn:
    boundl %eax, mode32_buffer
    ret

function m_into_clear
    xorl %eax, %eax
    into
    ret

function m_into_set
    movb $0x7f, %al
    incb %al
    into
    .globl m_into_after
m_into_after:
    ret

function m_misc
    movl $SEL_USER_DATA, %eax
    movl $SEL_DATA, %ecx
    arpl %ax, %cx
    out 0, %ecx
    movl $mode32_buffer, %ebx
    movb $0x66, mode32_buffer + 5
    movl $5, %eax
    xlatb
    out 1, %eax
    xorl %edx, %edx
    larl %ecx, %edx /* RPL 3, DPL 0 */
    out 2, %edx
    movl $SEL_DATA, %ecx
    larl %ecx, %edx
    out 8, %edx
    lsll %ecx, %edx
    out 3, %edx
    xorl %eax, %eax
    lsll %eax, %edx
    setz %al
    out 4, %eax
    movl $0xffffffff, %eax
    mull %eax
    out 5, %edx
    movl $1, mode32_buffer
    movl $2, mode32_buffer + 4
    movl $1, %eax
    movl $2, %edx
    movl $3, %ebx
    movl $4, %ecx
    cmpxchg8b mode32_buffer
    movl mode32_buffer + 4, %eax
    out 6, %eax
    xorl %eax, %eax
    movl $SEL_DATA, %ecx
    verw %cx
    setz %al
    out 7, %eax
    ret

/* mode32.c sets up a segment at SEL_FREE; the argument is in mode32_argument. */
    .macro load_free seg
    movl $SEL_FREE, %eax
    movl %eax, %\seg
    movl mode32_argument, %ebx
    .endm
function m_read_fs4
    load_free fs
    movl %fs:(%ebx), %eax
    out 0, %eax
    ret
function m_write_fs1
    load_free fs
    movb $1, %fs:(%ebx)
    ret
function m_null_fs
    xorl %eax, %eax
    movl %eax, %fs
    movl %fs:mode32_buffer, %eax
    ret
/* A stack segment that ends below its stack pointer. */
function m_push_ss
    movl %esp, %edx
    load_free ss
    .globl m_push_insn
m_push_insn:
    pushl %eax
    movl $SEL_DATA, %eax
    movl %eax, %ss
    movl %edx, %esp
    ret
function m_jump_beyond
    ljmp $SEL_FREE, $0x2000

    .code64
    .bss
    .balign 16
    .globl mode32_out, mode32_buffer, mode32_argument
mode32_out:
    .skip 64
mode32_buffer:
    .skip 64
mode32_argument:
    .skip 4
    .section .note.GNU-stack, "", @progbits

/* guests.S: the two guests. Both are copied to guest physical address 0x1000 of their own memory and
 * run in flat 32-bit protected mode with paging off (all of it set up in the VMCB by vm.c, so a
 * guest needs no boot code). Addresses are computed from their own start, because the assembler
 * places this file elsewhere. */

#define CODE_GPA 0x1000

    .section .rodata
    .code32

/* print the text at 1: by OUT; every character is a #VMEXIT(IOIO) */
    .macro print text
    movl $(88f - GUEST_START + CODE_GPA), %esi
87: lodsb
    testb %al, %al
    jz 89f
    outb %al, $0xe9
    jmp 87b
88: .asciz "\text"
89:
    .endm

/* ---- guest "hello": one example of each kind of exit --------------------------------------------- */
    .globl guest_hello, guest_hello_end
    .balign 16
guest_hello:
    .set GUEST_START, guest_hello
    print "hello, world\n"

    /* CPUID is intercepted: leaf 0x40000000 is answered by the hypervisor. */
    movl $0x40000000, %eax
    cpuid
    /* EBX, ECX, EDX hold a name of twelve characters: print it. */
    movl %ebx, 0x9000
    movl %ecx, 0x9004
    movl %edx, 0x9008
    movb $'\n', 0x900c
    movb $0, 0x900d
    print "my hypervisor is called "
    movl $0x9000, %esi
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, $0xe9
    jmp 1b
2:
    /* An MSR that no processor has; its bits in the MSRPM are set, so the hypervisor sees it. */
    movl $0xc0001234, %ecx
    movl $41, %eax
    xorl %edx, %edx
    wrmsr
    rdmsr
    incl %eax
    movl %eax, %ebx

    /* Memory that is not there yet: #VMEXIT(NPF), then the page appears. */
    movl %ebx, 0x40000
    addl 0x40000, %ebx /* no exit this time */

    /* Port 0x80 is not intercepted: this OUT reaches the real port without an exit. */
    outb %al, $0x80

    /* Halt: the hypervisor runs the other guest and comes back here. */
    hlt
    print "awake again\n"

    movl $1, %eax /* CALL_DONE, result in EBX: 42 + 42 */
    vmmcall
    ud2
guest_hello_end:

/* ---- guest "worker": computes until the timer takes the processor away ---------------------------- */
    .globl guest_worker, guest_worker_end
    .balign 16
guest_worker:
    .set GUEST_START, guest_worker
    print "counting primes below 1000\n"
    xorl %edi, %edi       /* primes found */
    movl $2, %ebx         /* candidate */
3:  movl $2, %ecx
4:  movl %ecx, %eax
    imull %ecx, %eax
    cmpl %ebx, %eax
    ja 5f                 /* no divisor up to the square root: prime */
    movl %ebx, %eax
    xorl %edx, %edx
    divl %ecx
    incl %ecx
    testl %edx, %edx
    jnz 4b
    jmp 6f
5:  incl %edi
6:  incl %ebx
    cmpl $1000, %ebx
    jb 3b
    movl $2, %eax         /* CALL_YIELD */
    vmmcall

    /* Build an IDT with one gate and wait, busy, for the interrupt that the hypervisor injects when
     * the timer has fired. Nothing but the timer can end this loop. */
    movl $(worker_interrupt - guest_worker + CODE_GPA), %eax
    movl %eax, %edx
    andl $0xffff, %eax
    orl $0x00080000, %eax /* code selector */
    andl $0xffff0000, %edx
    orl $0x8e00, %edx     /* present, 32-bit interrupt gate */
    movl %eax, 0xa000 + 8 * 0x30
    movl %edx, 0xa004 + 8 * 0x30
    movw $(8 * 0x31 - 1), 0x9800
    movl $0xa000, 0x9802
    lidt 0x9800
    movl $0, 0x9900
    sti
7:  cmpl $0, 0x9900
    je 7b
    cli
    print "interrupt received\n"

    movl %edi, %ebx
    movl $1, %eax         /* CALL_DONE with the number of primes */
    vmmcall
    ud2

worker_interrupt:
    incl 0x9900
    iret
guest_worker_end:
    .code64
    .section .note.GNU-stack, "", @progbits

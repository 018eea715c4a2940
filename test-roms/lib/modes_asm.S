/* modes_asm.S: from 64-bit C into any mode, the gates that bring an event back, and the way home.
 *
 * Everything that 16-bit code or a 16-bit gate must reach is in .low, below 64 KiB. The gates note the
 * event in modes_out; where modes_resume[vector] asks for it they return to the interrupted code, else
 * they store the registers and go home. See modes.h. */
#include "test-roms/lib/layout.h"

#define SEG_ES IN_SEGMENTS
#define SEG_CS IN_SEGMENTS + 2
#define SEG_SS IN_SEGMENTS + 4
#define SEG_DS IN_SEGMENTS + 6
#define SEG_FS IN_SEGMENTS + 8
#define SEG_GS IN_SEGMENTS + 10
#define REG(n) IN_REGS + 8 * (n)
#define OUT(n) modes_out + OUT_REGS + 8 * (n)
#define ERROR_CODE_VECTORS 0x60227d00 /* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX */
#define VM_BIT 0x20000
#define RF_BIT 0x10000
#define SS_BIG 0x400000 /* B, as LAR shows it */
#define MSR_FS_BASE_NUMBER 0xc0000100
#define MSR_GS_BASE_NUMBER 0xc0000101
#define PIC1_COMMAND 0x20
#define APIC_EOI_ADDRESS 0xfee000b0
#define CR0_LEAVE 0x10033 /* with WP: CR4.CET needs it */

/* ---- in ---------------------------------------------------------------------------------------- */
    .text
    .code64
/* void modes_enter(void) */
    .globl modes_enter
modes_enter:
    pushfq
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cli
    sgdt host_gdtr
    sidt host_idtr
    str host_tr
    movl $MSR_FS_BASE_NUMBER, %ecx
    rdmsr
    movl %eax, host_fs
    movl %edx, host_fs + 4
    movl $MSR_GS_BASE_NUMBER, %ecx
    rdmsr
    movl %eax, host_gs
    movl %edx, host_gs + 4
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    movl %eax, host_efer
    movq %cr0, %rax
    movq %rax, host_cr0
    movq %cr3, %rax
    movq %rax, host_cr3
    movq %cr4, %rax
    movq %rax, host_cr4
    movq %rsp, host_rsp
    cmpl $KIND_LONG, modes_in + IN_KIND
    je enter_long
    pushq $SEL_CODE32
    pushq $enter_legacy
    lretq

enter_long:
    movq modes_in + IN_CR4, %rax
    movq %rax, %cr4
    movq modes_in + IN_CR3, %rax
    movq %rax, %cr3
    movl $MSR_EFER_NUMBER, %ecx
    xorl %edx, %edx
    movl modes_in + IN_EFER, %eax
    wrmsr
    movq modes_in + IN_CR0, %rax
    movq %rax, %cr0
    lgdt modes_in + IN_GDTR
    lidt modes_in + IN_IDTR
    lldt modes_in + IN_LDTR
    ltr modes_in + IN_TR
    movw modes_in + SEG_ES, %es
    movw modes_in + SEG_DS, %ds
    movw modes_in + SEG_FS, %fs
    movw modes_in + SEG_GS, %gs
    movzwl modes_in + SEG_SS, %eax
    pushq %rax
    pushq modes_in + REG(4)
    pushq modes_in + IN_RFLAGS
    movzwl modes_in + SEG_CS, %eax
    pushq %rax
    pushq modes_in + IN_RIP
    movq modes_in + REG(0), %rax
    movq modes_in + REG(1), %rcx
    movq modes_in + REG(2), %rdx
    movq modes_in + REG(3), %rbx
    movq modes_in + REG(5), %rbp
    movq modes_in + REG(6), %rsi
    movq modes_in + REG(7), %rdi
    movq modes_in + REG(8), %r8
    movq modes_in + REG(9), %r9
    movq modes_in + REG(10), %r10
    movq modes_in + REG(11), %r11
    movq modes_in + REG(12), %r12
    movq modes_in + REG(13), %r13
    movq modes_in + REG(14), %r14
    movq modes_in + REG(15), %r15
    iretq

    .code32
    .macro load_registers
    movl %cs:modes_in + REG(0), %eax
    movl %cs:modes_in + REG(1), %ecx
    movl %cs:modes_in + REG(2), %edx
    movl %cs:modes_in + REG(3), %ebx
    movl %cs:modes_in + REG(5), %ebp
    movl %cs:modes_in + REG(6), %esi
    movl %cs:modes_in + REG(7), %edi
    .endm

enter_legacy: /* compatibility mode with the segments of the ROM */
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $modes_stack_top, %esp
    movl $CR0_LEAVE, %eax /* PG = 0: out of long mode */
    movl %eax, %cr0
    movl $MSR_EFER_NUMBER, %ecx
    xorl %edx, %edx
    movl modes_in + IN_EFER, %eax
    wrmsr
    movl modes_in + IN_CR4, %eax
    movl %eax, %cr4
    movl modes_in + IN_CR3, %eax
    movl %eax, %cr3
    lgdt modes_in + IN_GDTR
    lidt modes_in + IN_IDTR
    ljmp $SEL_CODE32, $1f
1:  movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    lldt modes_in + IN_LDTR
    ltr modes_in + IN_TR
    cmpl $KIND_REAL, modes_in + IN_KIND
    je enter_real
    movl modes_in + IN_CR0, %eax
    movl %eax, %cr0
    testl $VM_BIT, modes_in + IN_RFLAGS
    jnz enter_v86
    testb $3, modes_in + SEG_CS
    jnz enter_user
    /* The same privilege level: IRETD takes three values from the stack of the new code. */
    movw modes_in + SEG_SS, %ss
    movl %cs:modes_in + REG(4), %esp
    pushl %cs:modes_in + IN_RFLAGS
    movzwl %cs:modes_in + SEG_CS, %eax
    pushl %eax
    pushl %cs:modes_in + IN_RIP
    jmp load_and_go
enter_v86:
    movzwl modes_in + SEG_GS, %eax
    pushl %eax
    movzwl modes_in + SEG_FS, %eax
    pushl %eax
    movzwl modes_in + SEG_DS, %eax
    pushl %eax
    movzwl modes_in + SEG_ES, %eax
    pushl %eax
enter_user:
    movzwl modes_in + SEG_SS, %eax
    pushl %eax
    pushl modes_in + REG(4)
    pushl modes_in + IN_RFLAGS
    movzwl modes_in + SEG_CS, %eax
    pushl %eax
    pushl modes_in + IN_RIP
    testl $VM_BIT, modes_in + IN_RFLAGS
    jnz 2f
load_and_go:
    movw %cs:modes_in + SEG_ES, %es
    movw %cs:modes_in + SEG_FS, %fs
    movw %cs:modes_in + SEG_GS, %gs
    movw %cs:modes_in + SEG_DS, %ds
2:  load_registers
    iretl

enter_real:
    ljmp $MSEL_CODE16, $enter_real16

    .section .low, "awx", @progbits
    .code16
enter_real16:
    movw modes_in + IN_PRELOAD, %ax
    movw modes_in + IN_PRELOAD_SS, %ss
    movl modes_in + IN_CR0, %ebx
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ds
    movl %ebx, %cr0
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw modes_in + SEG_SS, %ss
    movl modes_in + REG(4), %esp
    pushl modes_in + IN_RFLAGS
    pushw $0
    pushw modes_in + SEG_CS
    pushl modes_in + IN_RIP
    movw modes_in + SEG_ES, %es
    movw modes_in + SEG_FS, %fs
    movw modes_in + SEG_GS, %gs
    movw modes_in + SEG_DS, %ds
    load_registers
    iretl

/* ---- gates of real mode: offset 3 * vector ------------------------------------------------------ */
    .balign 16
    .globl modes_stubs16
modes_stubs16:
    .rept 256
    .byte 0xe8 /* CALL rel16 */
    .word common16 - (. + 2)
    .endr
common16:
    pushal
    pushw %ds
    pushw %es
    pushw %fs
    pushw %gs
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %sp, %bp
    movzwl 40(%bp), %eax
    subw $modes_stubs16 + 3, %ax
    xorw %dx, %dx
    movw $3, %cx
    divw %cx
    movl %eax, %edx /* vector */
    movl modes_out + OUT_COUNT, %ecx
    cmpl $MODES_EVENTS, %ecx
    jae leave16
    imulw $EVENT_BYTES, %cx, %di
    addw $modes_out + OUT_LOG, %di
    incl %ecx
    movl %ecx, modes_out + OUT_COUNT
    movl %edx, EVENT_VECTOR(%di)
    movl $KIND_REAL, EVENT_KIND(%di)
    movl %dr6, %eax
    movl %eax, EVENT_DR6(%di)
    movl %cr2, %eax
    movl %eax, EVENT_CR2(%di)
    movl 42(%bp), %eax
    movl %eax, EVENT_RAW(%di)
    movw 46(%bp), %ax
    movw %ax, EVENT_RAW + 4(%di)
    movw %ss, EVENT_SS(%di)
    testb $RESUME, modes_resume(%edx)
    jz leave16
    testb $RESUME_PIC_EOI, modes_resume(%edx)
    jz 1f
    movb $0x20, %al
    outb %al, $PIC1_COMMAND
1:  popw %gs
    popw %fs
    popw %es
    popw %ds
    popal
    addw $2, %sp
    iretw

/* One register from the PUSHAD part of the frame. */
    .macro keep16 at, number
    movl \at(%bp), %eax
    movl %eax, OUT(\number)
    .endm
leave16: /* BP: GS FS ES DS, PUSHAD, return address, IP CS FLAGS */
    movl $KIND_REAL, modes_out + OUT_KIND
    keep16 8, 7
    keep16 12, 6
    keep16 16, 5
    keep16 24, 3
    keep16 28, 2
    keep16 32, 1
    keep16 36, 0
    movzwl %bp, %eax
    addl $42, %eax
    movl %eax, OUT(4)
    movw 0(%bp), %ax
    movw %ax, modes_out + OUT_SEGMENTS + 10
    movw 2(%bp), %ax
    movw %ax, modes_out + OUT_SEGMENTS + 8
    movw 4(%bp), %ax
    movw %ax, modes_out + OUT_SEGMENTS
    movw 6(%bp), %ax
    movw %ax, modes_out + OUT_SEGMENTS + 6
    movw %cs, modes_out + OUT_SEGMENTS + 2
    movw %ss, modes_out + OUT_SEGMENTS + 4
    movl %dr7, %eax
    movl %eax, modes_out + OUT_DR7
    xorl %eax, %eax
    movl %eax, %dr7
    movw %ax, modes_out + OUT_TR
    movw %ax, modes_out + OUT_LDTR
    movl %cr0, %eax
    movl %eax, modes_out + OUT_CR0
    lgdtl modes_gdtr
    orb $1, %al
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $1f
    .code32
1:  movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    jmp leave_legacy

/* ---- gates of legacy protected mode: offset 5 * vector, for 16-bit and 32-bit gates -------------- */
    .balign 16
    .globl modes_stubs32
modes_stubs32:
    .rept 256
    .byte 0xe8 /* CALL rel32 */
    .long common32 - (. + 4)
    .endr
common32:
    pushal
    pushl %ds
    pushl %es
    pushl %fs
    pushl %gs
    cld
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %esp, %ebp
    movl %ss, %eax
    larl %eax, %eax
    testl $SS_BIG, %eax
    jnz 1f
    movzwl %bp, %ebp
1:  movl %ss:48(%ebp), %eax
    subl $modes_stubs32 + 5, %eax
    xorl %edx, %edx
    movl $5, %ecx
    divl %ecx
    movl %eax, %edx /* vector */
    movl modes_out + OUT_COUNT, %ecx
    cmpl $MODES_EVENTS, %ecx
    jae leave32
    imull $EVENT_BYTES, %ecx, %edi
    addl $modes_out + OUT_LOG, %edi
    incl %ecx
    movl %ecx, modes_out + OUT_COUNT
    movl %edx, EVENT_VECTOR(%edi)
    movl $KIND_LEGACY, EVENT_KIND(%edi)
    movl %dr6, %eax
    movl %eax, EVENT_DR6(%edi)
    movl %cr2, %eax
    movl %eax, EVENT_CR2(%edi)
    movw %ss, EVENT_SS(%edi)
    strw EVENT_TR(%edi)
    addl $EVENT_RAW, %edi
    leal 52(%ebp), %esi
    movl $10, %ecx
2:  movl %ss:(%esi), %eax
    movl %eax, (%edi)
    addl $4, %esi
    addl $4, %edi
    decl %ecx
    jnz 2b
    testb $RESUME, modes_resume(%edx)
    jz leave32
    testb $RESUME_APIC_EOI, modes_resume(%edx)
    jz 3f
    movl $0, APIC_EOI_ADDRESS
3:  testb $RESUME_PIC_EOI, modes_resume(%edx)
    jz 4f
    movb $0x20, %al
    outb %al, $PIC1_COMMAND
4:  testb $RESUME_RF, modes_resume(%edx)
    jz 5f
    orl $RF_BIT, %ss:60(%ebp)
5:  cmpl $32, %edx
    jae 6f
    movl $ERROR_CODE_VECTORS, %eax
    btl %edx, %eax
    jc 7f
6:  popl %gs
    popl %fs
    popl %es
    popl %ds
    popal
    addl $4, %esp
    iretl
7:  popl %gs
    popl %fs
    popl %es
    popl %ds
    popal
    addl $8, %esp
    iretl

    .macro keep32 at, number
    movl %ss:\at(%ebp), %eax
    movl %eax, OUT(\number)
    .endm
leave32: /* EBP: GS FS ES DS, PUSHAD, return address, what the processor pushed */
    movl $KIND_LEGACY, modes_out + OUT_KIND
    keep32 16, 7
    keep32 20, 6
    keep32 24, 5
    keep32 32, 3
    keep32 36, 2
    keep32 40, 1
    keep32 44, 0
    leal 52(%ebp), %eax
    movl %eax, OUT(4)
    movw %ss:(%ebp), %ax
    movw %ax, modes_out + OUT_SEGMENTS + 10
    movw %ss:4(%ebp), %ax
    movw %ax, modes_out + OUT_SEGMENTS + 8
    movw %ss:8(%ebp), %ax
    movw %ax, modes_out + OUT_SEGMENTS
    movw %ss:12(%ebp), %ax
    movw %ax, modes_out + OUT_SEGMENTS + 6
    movw %cs, modes_out + OUT_SEGMENTS + 2
    movw %ss, modes_out + OUT_SEGMENTS + 4
    strw modes_out + OUT_TR
    sldtw modes_out + OUT_LDTR
    movl %dr7, %eax
    movl %eax, modes_out + OUT_DR7
    xorl %eax, %eax
    movl %eax, %dr7
    movl %cr0, %eax
    movl %eax, modes_out + OUT_CR0

/* Protected mode with a flat DS, paging as it may be: the code is mapped to itself. */
    .globl leave_legacy
leave_legacy:
    movl %cr2, %eax
    movl %eax, modes_out + OUT_CR2
    movl %cr3, %eax
    movl %eax, modes_out + OUT_CR3
    movl %cr4, %eax
    movl %eax, modes_out + OUT_CR4
    movl %dr6, %eax
    movl %eax, modes_out + OUT_DR6
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    movl %eax, modes_out + OUT_EFER
    lgdt boot_gdtr32
    ljmp $SEL_CODE32, $1f
1:  movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $modes_stack_top, %esp
    movl $CR0_LEAVE, %eax
    movl %eax, %cr0
    xorl %eax, %eax
    lldt %ax
    /* Long mode cannot be activated with a 16-bit TSS in TR. */
    movzwl host_tr, %eax
    andb $~2, rom_gdt + 5(%eax)
    ltr %ax
    movl host_cr4, %eax
    movl %eax, %cr4
    movl host_cr3, %eax
    movl %eax, %cr3
    movl $MSR_EFER_NUMBER, %ecx
    xorl %edx, %edx
    movl host_efer, %eax
    andl $~0x400, %eax
    wrmsr
    movl host_cr0, %eax
    movl %eax, %cr0
    ljmp $SEL_CODE64, $leave64

/* ---- gates of long mode: offset 5 * vector ------------------------------------------------------ */
    .text
    .code64
    .balign 16
    .globl modes_stubs64
modes_stubs64:
    .rept 256
    .byte 0xe8
    .long common64 - (. + 4)
    .endr
common64:
    pushq %r15
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rbp
    pushq %rsp
    pushq %rbx
    pushq %rdx
    pushq %rcx
    pushq %rax
    cld
    movq 128(%rsp), %rax
    subq $modes_stubs64 + 5, %rax
    xorl %edx, %edx
    movl $5, %ecx
    divl %ecx
    movl %eax, %edx /* vector */
    movl modes_out + OUT_COUNT, %ecx
    cmpl $MODES_EVENTS, %ecx
    jae 6f
    imull $EVENT_BYTES, %ecx, %edi
    addl $modes_out + OUT_LOG, %edi
    incl %ecx
    movl %ecx, modes_out + OUT_COUNT
    movl %edx, EVENT_VECTOR(%rdi)
    movl $KIND_LONG, EVENT_KIND(%rdi)
    movq %dr6, %rax
    movq %rax, EVENT_DR6(%rdi)
    movq %cr2, %rax
    movq %rax, EVENT_CR2(%rdi)
    movw %ss, EVENT_SS(%rdi)
    strw EVENT_TR(%rdi)
    addl $EVENT_RAW, %edi
    leaq 136(%rsp), %rsi
    movl $6, %ecx
1:  movq (%rsi), %rax
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    decl %ecx
    jnz 1b
    testb $RESUME, modes_resume(%rdx)
    jz 6f
    testb $RESUME_APIC_EOI, modes_resume(%rdx)
    jz 2f
    movl $APIC_EOI_ADDRESS, %eax
    movl $0, (%rax)
2:  testb $RESUME_PIC_EOI, modes_resume(%rdx)
    jz 3f
    movb $0x20, %al
    outb %al, $PIC1_COMMAND
3:  testb $RESUME_RF, modes_resume(%rdx)
    jz 4f
    orl $RF_BIT, 152(%rsp)
4:  movl $8, %edi
    cmpl $32, %edx
    jae 5f
    movl $ERROR_CODE_VECTORS, %eax
    btl %edx, %eax
    jnc 5f
    movl $16, %edi
5:  /* Hide the error code: the return address becomes the number of bytes to drop. */
    movq %rdi, 128(%rsp)
    popq %rax
    popq %rcx
    popq %rdx
    popq %rbx
    addq $8, %rsp
    popq %rbp
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    popq %r12
    popq %r13
    popq %r14
    popq %r15
    addq (%rsp), %rsp
    iretq

6:  /* Leave: sixteen registers are on the stack in the order of OUT_REGS. */
    movl $KIND_LONG, modes_out + OUT_KIND
    movq %rsp, %rsi
    movl $modes_out + OUT_REGS, %edi
    movl $16, %ecx
7:  movq (%rsi), %rax
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    decl %ecx
    jnz 7b
    leaq 136(%rsp), %rax
    movq %rax, OUT(4)
    movw %es, modes_out + OUT_SEGMENTS
    movw %cs, modes_out + OUT_SEGMENTS + 2
    movw %ss, modes_out + OUT_SEGMENTS + 4
    movw %ds, modes_out + OUT_SEGMENTS + 6
    movw %fs, modes_out + OUT_SEGMENTS + 8
    movw %gs, modes_out + OUT_SEGMENTS + 10
    strw modes_out + OUT_TR
    sldtw modes_out + OUT_LDTR
    movq %dr7, %rax
    movq %rax, modes_out + OUT_DR7
    xorl %eax, %eax
    movq %rax, %dr7
    movq %dr6, %rax
    movq %rax, modes_out + OUT_DR6
    movq %cr0, %rax
    movq %rax, modes_out + OUT_CR0
    movq %cr2, %rax
    movq %rax, modes_out + OUT_CR2
    movq %cr3, %rax
    movq %rax, modes_out + OUT_CR3
    movq %cr4, %rax
    movq %rax, modes_out + OUT_CR4
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    movl %eax, modes_out + OUT_EFER
    movq host_cr3, %rax
    movq %rax, %cr3
    movq host_cr4, %rax
    movq %rax, %cr4
    movq host_cr0, %rax
    movq %rax, %cr0
    movl $MSR_EFER_NUMBER, %ecx
    xorl %edx, %edx
    movl host_efer, %eax
    wrmsr

leave64:
    lgdt host_gdtr
    lidt host_idtr
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    lldt %ax
    movl $MSR_FS_BASE_NUMBER, %ecx
    movl host_fs, %eax
    movl host_fs + 4, %edx
    wrmsr
    movl $MSR_GS_BASE_NUMBER, %ecx
    movl host_gs, %eax
    movl host_gs + 4, %edx
    wrmsr
    movzwl host_tr, %eax
    andb $~2, rom_gdt + 5(%rax) /* no longer busy */
    ltr %ax
    movq host_rsp, %rsp
    /* If an NMI ended the run, this is the IRET that unblocks NMIs. */
    movq %rsp, %rax
    pushq $SEL_DATA
    pushq %rax
    pushfq
    pushq $SEL_CODE64
    pushq $8f
    iretq
8:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popfq
    ret

/* ---- data --------------------------------------------------------------------------------------- */
    .section .low, "awx", @progbits
    .balign 16
    .globl modes_in, modes_out, modes_resume, modes_gdtr, modes_stack_top, modes_stack, modes_user_stack
modes_in:
    .skip 240
modes_out:
    .skip OUT_LOG + MODES_EVENTS * EVENT_BYTES
modes_resume:
    .skip 256
modes_gdtr:
    .word MODES_GDT_ENTRIES * 8 - 1
    .long modes_gdt
    .balign 16
    .skip 1536
modes_user_stack: /* tops; 64 bytes above each are still ours */
    .skip 64
    .skip 1536
modes_stack:
    .skip 64
    .skip 512
modes_stack_top:
    .skip 64

    .bss
    .balign 16
host_rsp:
    .skip 8
host_cr0:
    .skip 8
host_cr3:
    .skip 8
host_cr4:
    .skip 8
host_fs:
    .skip 8
host_gs:
    .skip 8
host_efer:
    .skip 4
host_tr:
    .skip 4
host_gdtr:
    .skip 16
host_idtr:
    .skip 16
    .section .note.GNU-stack, "", @progbits

/* modes.S: a ROM of 64 KiB, started at the reset vector, that goes through the modes of the processor and
 * back: real -> unreal -> protected 16 -> protected 32 -> virtual-8086 -> PAE paging -> 64-bit ->
 * compatibility 32 -> compatibility 16 -> real. Prints TAP on COM1, ends through port 0xf4.
 * APM vol 2, 14.1.5 "Fetching the First Instruction", 14.4 "Enabling Protected Mode", 14.6 "Enabling and
 * Activating Long Mode", 14.7 "Leaving Long Mode".
 *
 * The image is linked for f0000, its alias below 1 MiB; in 16-bit code an offset is a distance from
 * `image`. DS has base 0 everywhere. */

#define LINEAR 0xf0000

/* ---- memory ------------------------------------------------------------------------------------ */
#define POINTS    0x500 /* byte */
#define FAILURES  0x501 /* byte */
#define DIGIT     0x502 /* byte */
#define EVENTS    0x504 /* word: how often a handler ran */
#define RECOVER   0x508 /* dword: where the handler of a fault returns to */
#define ERROR     0x50c /* dword: the error code it found */
#define FLAGS     0x510 /* dword: the flags it found */
#define CS_FOUND  0x514 /* dword: and CS */
#define CR2_FOUND 0x518 /* dword */
#define RESET_EDX 0x520
#define RESET_CR0 0x524
#define RESET_CS  0x528
#define RESET_FLAGS 0x52c
#define GDT       0x600
#define STACK     0x7c00
#define TSS       0x8000 /* with an I/O map for all ports, up to a08a */
#define TSS_MAP   0x88
#define IDT16     0xb000
#define IDT32     0xb800
#define IDT64     0xc000
#define PML4      0x10000
#define PDPT      0x11000
#define DIRECTORY 0x12000
#define TABLE     0x13000
#define PAE_PDPT  0x14000
#define TARGET    0x20000 /* the page that is mapped at WINDOW */
#define WINDOW    0x200000

#define SEL16     0x08 /* code, base f0000, 16-bit */
#define SEL_FLAT  0x10
#define SEL32     0x18
#define SEL64     0x20
#define SEL_DATA16 0x28 /* base 0, limit ffff */
#define SEL_TSS   0x30
#define GDT_BYTES 0x40
#define TSS_LIMIT (TSS_MAP + 8192)

#define PE 1
#define PG_PE 0x80000001
#define EFER 0xc0000080
#define LME 0x100
#define VM_IOPL3 0x23002

    .text
image:

/* ---- points: ZF set means passed ---------------------------------------------------------------- */
/* The same text for each width. \index points to the string; AX, DX and \index are lost. */
    .macro points_code bits, index, segment
putc\bits:
    movb %al, %ah
    movw $0x3fd, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    ret
puts\bits:
1:  movb \segment(%\index), %al
    inc %\index
    testb %al, %al
    jz 2f
    call putc\bits
    jmp 1b
2:  ret
number\bits: /* AL, below 100 */
    movb $'0' - 1, %dh
3:  incb %dh
    subb $10, %al
    jns 3b
    addb $'0' + 10, %al
    cmpb $'0', %dh
    je 4f
    movb %al, DIGIT
    movb %dh, %al
    call putc\bits
    movb DIGIT, %al
4:  call putc\bits
    ret
    .endm
    .code16
    points_code 16, si, %cs:
point16:
    jz 1f
    incb FAILURES
    pushw %si
    movw $text_not - image, %si
    call puts16
    popw %si
1:  pushw %si
    movw $text_ok - image, %si
    call puts16
    incb POINTS
    movb POINTS, %al
    call number16
    movw $text_dash - image, %si
    call puts16
    popw %si
    call puts16
    movb $'\n', %al
    call putc16
    ret

    .code32
    points_code 32, esi
point32:
    jz 1f
    incb FAILURES
    pushl %esi
    movl $text_not, %esi
    call puts32
    popl %esi
1:  pushl %esi
    movl $text_ok, %esi
    call puts32
    incb POINTS
    movb POINTS, %al
    call number32
    movl $text_dash, %esi
    call puts32
    popl %esi
    call puts32
    movb $'\n', %al
    call putc32
    ret

    .code64
    points_code 64, rsi
point64:
    jz 1f
    incb FAILURES
    pushq %rsi
    movl $text_not, %esi
    call puts64
    popq %rsi
1:  pushq %rsi
    movl $text_ok, %esi
    call puts64
    incb POINTS
    movb POINTS, %al
    call number64
    movl $text_dash, %esi
    call puts64
    popq %rsi
    call puts64
    movb $'\n', %al
    call putc64
    ret

text_not:
    .asciz "not "
text_ok:
    .asciz "ok "
text_dash:
    .asciz " - "

    .macro point bits, text:vararg
    .if \bits == 16
    movw $text\@ - image, %si
    .else
    movl $text\@, %esi
    .endif
    call point\bits
    jmp after\@
text\@:
    .asciz \text
after\@:
    .endm

/* ---- tables of the image ------------------------------------------------------------------------ */
    .balign 8
gdt_image: /* accessed bits set: what is never written need not be in RAM, but LTR writes */
    .quad 0
    .quad 0x00009b0f0000ffff /* SEL16 */
    .quad 0x00cf93000000ffff /* SEL_FLAT */
    .quad 0x00cf9b000000ffff /* SEL32 */
    .quad 0x00209b0000000000 /* SEL64 */
    .quad 0x000093000000ffff /* SEL_DATA16 */
    .quad 0x0000890000000000 | TSS_LIMIT | TSS << 16
    .quad 0
gdtr:
    .word GDT_BYTES - 1
    .long GDT
idtr_real:
    .word 0x3ff
    .long 0
idtr16:
    .word 0x7ff
    .long IDT16
idtr32:
    .word 0x7ff
    .long IDT32
idtr64:
    .word 0xfff
    .long IDT64
    .long 0

/* ---- handlers ----------------------------------------------------------------------------------- */
    .code16
int_real: /* INT 30 */
    incw EVENTS
    iretw
fault_real: /* no error code */
    pushw %bp
    movw %sp, %bp
    pushl %eax
    movl RECOVER, %eax
    movw %ax, 2(%bp)
    incw EVENTS
    popl %eax
    popw %bp
    iretw
fault16: /* 16-bit gate, error code */
    popw ERROR
    jmp fault_real
    .code32
int32:
    incw EVENTS
    iretl
fault32: /* 32-bit gate, error code */
    popl ERROR
    pushl %eax
    movl RECOVER, %eax
    movl %eax, 4(%esp)
    movl %cr2, %eax
    movl %eax, CR2_FOUND
    incw EVENTS
    popl %eax
    iretl
int_v86: /* INT 31, from virtual-8086 mode: does not go back */
    movl $SEL_FLAT, %eax
    movl %eax, %ds
    movl %eax, %es
    movl 8(%esp), %eax
    movl %eax, FLAGS
    movl 4(%esp), %eax
    movl %eax, CS_FOUND
    jmp after_v86
    .code64
int64:
    incw EVENTS
    iretq
fault64:
    popq %rax
    movl %eax, ERROR
    movl RECOVER, %eax
    movq %rax, (%rsp)
    incw EVENTS
    iretq

/* ---- real mode ---------------------------------------------------------------------------------- */
    .code16
/* Still at fffffff0's segment: base ffff0000. */
first:
    movl %edx, %esi
    movl %cr0, %ebx
    xorw %ax, %ax
    movw %ax, %ss
    movw $STACK, %sp
    movw %ax, %ds
    movw %ax, %es
    movl %esi, RESET_EDX
    movl %ebx, RESET_CR0
    movw %cs, RESET_CS
    pushfl
    popl RESET_FLAGS
    movw $0, POINTS
    movl %cs:first_word - image, %edi /* through the base of the reset */
    ljmp $LINEAR >> 4, $low - image
first_word:
    .long 0x12345678

low:
    cld
    cmpl $0x12345678, %edi
    point 16, "the reset vector is fetched from the last bytes below 4 GiB"
    cmpw $0xf000, RESET_CS
    point 16, "CS is f000 after reset"
    movw %cs, %ax
    cmpw $LINEAR >> 4, %ax
    point 16, "a far JMP goes to the copy below 1 MiB"
    cmpl $0x60000010, RESET_CR0
    point 16, "CR0 is 60000010 after reset"
    movl RESET_FLAGS, %eax
    andl $~0x44, %eax /* XORW above set ZF and PF */
    cmpl $2, %eax
    point 16, "EFLAGS is 2 after reset"
    movl $1, %eax
    cpuid
    cmpl RESET_EDX, %eax
    point 16, "EDX holds family, model and stepping after reset"
    inb $0x92, %al
    andb $0xfe, %al
    orb $2, %al
    outb %al, $0x92 /* A20 */

    /* rows: events 7.1.1, events 7.1.2, events 7.1.3, events 8.1.1 */
    movw $int_real - image, 0x30 * 4
    movw $LINEAR >> 4, 0x30 * 4 + 2
    movw $fault_real - image, 13 * 4
    movw $LINEAR >> 4, 13 * 4 + 2
    movw $0, EVENTS
    int $0x30
    cmpw $1, EVENTS
    point 16, "real mode: INT and IRET through the table at 0"
    movl $1f - image, RECOVER
    movl $0x10000, %ebx
    movb (%ebx), %al
1:  cmpw $2, EVENTS
    point 16, "real mode: offset 10000 is #GP"

    /* The descriptor table in RAM. */
    movw $gdt_image - image, %si
    movw $GDT, %di
    movw $GDT_BYTES / 2, %cx
    rep movsw %cs:(%si), %es:(%di)
    lgdtl %cs:gdtr - image

/* ---- unreal ------------------------------------------------------------------------------------- */
    /* rows: pitfalls 3.27 */
    movl $0x100000, %ebx
    movl %cr0, %eax
    orb $PE, %al
    movl %eax, %cr0
    movw $SEL_FLAT, %cx
    movw %cx, %fs
    andb $~PE, %al
    movl %eax, %cr0
    movl $0xcafe0001, %fs:(%ebx)
    movl %fs:(%ebx), %eax
    cmpl $0xcafe0001, %eax
    point 16, "unreal: FS reaches beyond 1 MiB with its limit of protected mode"
    movw $1, %ax
    movw %ax, %fs
    movl %fs:-16(%ebx), %eax
    cmpl $0xcafe0001, %eax
    point 16, "unreal: loading FS sets the base and leaves the limit"
    movl $1f - image, RECOVER
    movl (%ebx), %eax
1:  cmpw $3, EVENTS
    point 16, "unreal: DS keeps its own limit"

/* ---- 16-bit protected mode ---------------------------------------------------------------------- */
    movl $SEL16 << 16 | (fault16 - image), IDT16 + 13 * 8
    movl $0x8600, IDT16 + 13 * 8 + 4
    lidtl %cs:idtr16 - image
    movl %cr0, %eax
    orb $PE, %al
    movl %eax, %cr0
    ljmp $SEL16, $protected16 - image
protected16:
    movw $SEL_DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %cs, %ax
    cmpw $SEL16, %ax
    point 16, "16-bit protected mode: CS holds a selector"
    /* rows: events 7.2.2, events 7.2.14 */
    movw $0, EVENTS
    movl $1f - image, RECOVER
    movw $GDT_BYTES, %ax
    movw %ax, %es
1:  cmpw $1, EVENTS
    point 16, "16-bit protected mode: #GP through a 16-bit gate"
    cmpw $GDT_BYTES, ERROR
    point 16, "with the selector as its error code, in 2 bytes"
    movl $1f - image, RECOVER
    movl $0xffff, %ebx
    movw (%bx), %ax
1:  cmpw $2, EVENTS
    point 16, "16-bit protected mode: a word at offset ffff is #GP"

/* ---- 32-bit protected mode ---------------------------------------------------------------------- */
    movw $SEL_FLAT, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $STACK, %esp
    ljmpl $SEL32, $protected32
    .code32
/* EAX: handler, EDI: gate; 32-bit interrupt gate with DPL 3. */
set_gate32:
    movw %ax, (%edi)
    movw $SEL32, 2(%edi)
    movw $0xee00, 4(%edi)
    shrl $16, %eax
    movw %ax, 6(%edi)
    ret
protected32:
    lidt idtr32
    movl $int32, %eax
    movl $IDT32 + 0x30 * 8, %edi
    call set_gate32
    movl $int_v86, %eax
    movl $IDT32 + 0x31 * 8, %edi
    call set_gate32
    movl $fault32, %eax
    movl $IDT32 + 13 * 8, %edi
    call set_gate32
    movl $fault32, %eax
    movl $IDT32 + 14 * 8, %edi
    call set_gate32
    movl %esp, %ebx
    .byte 0x6a, 0x01 /* PUSH 1 */
    subl %esp, %ebx
    addl $4, %esp
    cmpl $4, %ebx
    point 32, "32-bit protected mode: PUSH moves ESP by 4"
    movw $0, EVENTS
    int $0x30
    cmpw $1, EVENTS
    point 32, "32-bit protected mode: INT and IRET through a 32-bit gate"

/* ---- virtual-8086 mode -------------------------------------------------------------------------- */
    movl $TSS, %edi
    movl $(TSS_LIMIT + 4) / 4, %ecx
    xorl %eax, %eax
    rep stosl
    movl $STACK, TSS + 4
    movl $SEL_FLAT, TSS + 8
    movw $TSS_MAP, TSS + 0x66
    movb $0xff, TSS + TSS_LIMIT
    movl $SEL_TSS, %eax
    ltr %ax
    pushl $0 /* GS FS DS ES */
    pushl $0
    pushl $0
    pushl $0
    pushl $0 /* SS:SP */
    pushl $STACK - 0x400
    pushl $VM_IOPL3
    pushl $LINEAR >> 4
    pushl $v86 - image
    iretl
    .code16
v86:
    movw %cs, %ax
    cmpw $LINEAR >> 4, %ax
    point 16, "virtual-8086 mode: CS is a paragraph number"
    movw $0x2000, %ax
    movw %ax, %es
    movl $0xcafe0002, %es:4
    cmpl $0xcafe0002, 0x2004 /* DS:2004 is another place */
    setne %bl
    testb $1, %bl
    setz %al
    testb %al, %al
    point 16, "virtual-8086 mode: ES reaches 16 times its selector"
    /* rows: events 7.2.10, events 7.2.14, events 7.2.16, events 7.5.1 */
    int $0x31
    .code32
after_v86:
    testl $0x20000, FLAGS
    setz %al
    testb %al, %al
    point 32, "an INT in virtual-8086 mode comes to protected mode with VM in the image"
    cmpl $LINEAR >> 4, CS_FOUND
    point 32, "and with its CS"
    cmpl $0xcafe0002, 0x20004
    point 32, "what it wrote is there"
    movl $STACK, %esp

/* ---- PAE paging --------------------------------------------------------------------------------- */
    movl $PML4, %edi
    movl $0x5000 / 4, %ecx
    xorl %eax, %eax
    rep stosl
    movl $PDPT + 7, PML4
    movl $DIRECTORY + 7, PDPT
    movl $0x83, DIRECTORY /* 2 MiB to itself */
    movl $TABLE + 7, DIRECTORY + 8
    movl $TARGET + 3, TABLE
    movl $DIRECTORY + 1, PAE_PDPT
    movl $0xcafe0003, TARGET
    movl %cr4, %eax
    orb $0x20, %al
    movl %eax, %cr4
    movl $PAE_PDPT, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $PG_PE, %eax
    movl %eax, %cr0
    cmpl $0xcafe0003, WINDOW
    point 32, "PAE paging: a page of 4 KiB is found elsewhere"
    movl $0xcafe0004, WINDOW + 4
    cmpl $0xcafe0004, TARGET + 4
    point 32, "PAE paging: and written there"
    movw $0, EVENTS
    movl $1f, RECOVER
    movl $0, WINDOW + 0x1234
1:  cmpw $1, EVENTS
    point 32, "PAE paging: a page that is not present is #PF"
    cmpl $WINDOW + 0x1234, CR2_FOUND
    point 32, "PAE paging: CR2 is the address"
    cmpl $2, ERROR
    point 32, "PAE paging: the error code says a write"

/* ---- 64-bit mode -------------------------------------------------------------------------------- */
    /* rows: pitfalls 5.1 */
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $PML4, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $LME, %eax
    wrmsr
    movl %cr0, %eax
    orl $PG_PE, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    andl $0x500, %eax
    cmpl $0x500, %eax
    point 32, "setting PG with LME sets LMA"
    ljmp $SEL64, $long64
    .code64
set_gate64:
    movw %ax, (%rdi)
    movw $SEL64, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    shrl $16, %eax
    movl %eax, 6(%rdi)
    ret
long64:
    movl $IDT64, %edi
    movl $0x1000 / 4, %ecx
    xorl %eax, %eax
    rep stosl
    lidt idtr64
    movl $int64, %eax
    movl $IDT64 + 0x30 * 16, %edi
    call set_gate64
    movl $fault64, %eax
    movl $IDT64 + 13 * 16, %edi
    call set_gate64
    movabsq $0x123456789abcdef0, %r8
    movq %r8, %rbx
    shrq $32, %rbx
    cmpl $0x12345678, %ebx
    point 64, "64-bit mode: registers of 64 bits"
    movw $0, EVENTS
    int $0x30
    cmpw $1, EVENTS
    point 64, "64-bit mode: INT and IRETQ"
    movl $1f, RECOVER
    movabsq $0x0000800000000000, %rbx
    movb (%rbx), %al
1:  cmpw $2, EVENTS
    point 64, "64-bit mode: an address that is not canonical is #GP"
    pushq $SEL32
    pushq $compatibility32
    lretq

/* ---- compatibility mode ------------------------------------------------------------------------- */
    .code32
compatibility32:
    movl $SEL_FLAT, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $STACK, %esp
    xorl %eax, %eax
    .byte 0x48 /* DEC EAX here, a REX prefix in 64-bit mode */
    movl %eax, %ebx
    cmpl $0xffffffff, %ebx
    point 32, "32-bit compatibility mode: 48 is DEC EAX"
    int $0x30
    cmpw $3, EVENTS
    point 32, "32-bit compatibility mode: INT goes through a 64-bit gate and comes back"
    ljmp $SEL16, $compatibility16 - image
    .code16
compatibility16:
    movw $SEL_DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %sp, %bx
    pushw $1
    subw %sp, %bx
    addw $2, %sp
    cmpw $2, %bx
    point 16, "16-bit compatibility mode: PUSH moves SP by 2"
    int $0x30
    cmpw $4, EVENTS
    point 16, "16-bit compatibility mode: INT goes through a 64-bit gate and comes back"

/* ---- back --------------------------------------------------------------------------------------- */
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    movl %eax, %ebx
    andl $0x500, %ebx
    cmpl $0x100, %ebx
    point 16, "clearing PG clears LMA and leaves LME"
    movl $EFER, %ecx
    rdmsr
    andl $~LME, %eax
    wrmsr
    movl %cr4, %eax
    andb $~0x20, %al
    movl %eax, %cr4
    movl %cr0, %eax
    andb $~PE, %al
    movl %eax, %cr0
    ljmp $LINEAR >> 4, $real_again - image
real_again:
    lidtl %cs:idtr_real - image
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0, EVENTS
    int $0x30
    cmpw $1, EVENTS
    point 16, "back in real mode: INT through the table at 0"
    movw $0xffff, %ax
    movw %ax, %es
    movl %es:0x20, %ebx /* 100010 */
    movl $0xcafe0005, %es:0x20
    cmpl $0xcafe0005, %es:0x20
    point 16, "back in real mode: ffff:0020 lies above 1 MiB with A20 on"

    movw $text_plan - image, %si
    call puts16
    movb POINTS, %al
    call number16
    movb $'\n', %al
    call putc16
    movzbl FAILURES, %eax
    testl %eax, %eax
    jz 1f
    movl $1, %eax
1:  movw $0xf4, %dx
    outl %eax, %dx
2:  hlt
    jmp 2b
text_plan:
    .asciz "1.."

/* ---- the reset vector --------------------------------------------------------------------------- */
    .org 0xfff0
    jmp first
    .org 0x10000
    .section .note.GNU-stack, "", @progbits

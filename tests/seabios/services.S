# A boot sector, with more behind it, that asks the BIOS for its services and holds the answers against what they must be.
# Sends a line to COM1: "services: N good", or the number of the first one that was not; ends through isa-debug-exit.
# IBM BIOS Interface Technical Reference; ACPI 15 (E820); Enhanced Disk Drive 1.1.
    .code16
    .text
    .globl _start
_start:
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    movb %dl, drive
    movw $0x0206, %ax               # sectors 2 to 7 behind this one
    movw $0x0002, %cx
    movb $0, %dh
    movw $0x7e00, %bx
    int $0x13
    jc 2f
    jmp services
2:  movb $'!', %al
    call put
    jmp end

put:                                # a character for COM1
    pushw %dx
    movw $0x3f8, %dx
    outb %al, %dx
    popw %dx
    ret

print:                              # from SI, up to a NUL
    lodsb
    testb %al, %al
    jz 3f
    call put
    jmp print
3:  ret

number:                             # AL, below 100
    aam
    addw $0x3030, %ax
    xchgb %al, %ah
    call put
    xchgb %al, %ah
    jmp put

end:                                # the status is that of AL
    movw $0xf4, %dx
    outb %al, %dx
    hlt

drive:  .byte 0
count:  .byte 0
    .org 510
    .word 0xaa55

# CHECK condition: the next service is good if it holds.
    .macro CHECK condition
    j\condition 4f
    jmp bad
4:  incb count
    .endm

    .macro WANT what, value
    cmpw $\value, \what
    CHECK e
    .endm

bad:
    movw $failed, %si
    call print
    movb count, %al
    incb %al
    call number
    movb $0x20, %al
    jmp end

services:
    # INT 10h: mode, cursor, characters
    movb $0x0f, %ah
    int $0x10
    WANT %ax, 0x5003
    movw $0x0200, %ax
    movw $0x0511, %dx
    movb $0, %bh
    int $0x10
    movw $0x0300, %ax
    int $0x10
    WANT %dx, 0x0511
    movw $0x095a, %ax               # 'Z', white on blue
    movw $0x001f, %bx
    movw $1, %cx
    int $0x10
    movw $0x0800, %ax
    int $0x10
    WANT %ax, 0x1f5a
    movw $0xb800, %ax
    movw %ax, %es
    movw %es:(2 * (5 * 80 + 17)), %ax
    WANT %ax, 0x1f5a
    movw $0x0e59, %ax               # teletype moves the cursor
    int $0x10
    movw $0x0300, %ax
    int $0x10
    WANT %dx, 0x0512
    xorw %ax, %ax
    movw %ax, %es

    # INT 11h, 12h
    int $0x11
    testb $0x02, %al                # an FPU
    CHECK nz
    int $0x12
    cmpw $600, %ax
    CHECK ae
    cmpw $640, %ax
    CHECK be

    # INT 13h: parameters, extensions, reading both ways, writing, an error
    movb $0x08, %ah
    movb drive, %dl
    xorw %di, %di
    int $0x13
    CHECK nc
    andb $0x3f, %cl
    CHECK nz
    xorw %ax, %ax
    movw %ax, %es
    movw $0x4100, %ax
    movw $0x55aa, %bx
    movb drive, %dl
    int $0x13
    WANT %bx, 0xaa55
    movw $packet, %si
    movb $0x42, %ah
    movb drive, %dl
    int $0x13
    CHECK nc
    movw 0x9000 + 510, %ax
    WANT %ax, 0xaa55
    movw $0xbeef, 0x9000
    movl $20, packet + 8
    movw $0x4300, %ax
    movb drive, %dl
    int $0x13
    CHECK nc
    movw $0, 0x9000
    movb $0x42, %ah
    movb drive, %dl
    int $0x13
    CHECK nc
    movw 0x9000, %ax
    WANT %ax, 0xbeef
    movl $0x10000000, packet + 8    # beyond the end
    movb $0x42, %ah
    movb drive, %dl
    int $0x13
    CHECK c

    # INT 15h: the memory map, in which RAM is what -m says; its older forms
    xorl %ebx, %ebx
    xorl %ebp, %ebp                 # sum of RAM
5:  movl $0xe820, %eax
    movl $0x534d4150, %edx
    movl $24, %ecx
    movw $0xa000, %di
    int $0x15
    jc 6f
    cmpl $0x534d4150, %eax
    jne 6f
    cmpl $1, 0xa010
    jne 7f
    addl 0xa008, %ebp
7:  testl %ebx, %ebx
    jnz 5b
6:  cmpl $(63 << 20), %ebp          # of 64 MiB
    CHECK ae
    cmpl $(64 << 20), %ebp
    CHECK be
    movb $0x88, %ah
    int $0x15
    cmpw $(62 << 10), %ax
    CHECK ae
    movw $0xe801, %ax
    int $0x15
    WANT %ax, 0x3c00
    movw $0x2401, %ax               # A20 open
    int $0x15
    CHECK nc

    # INT 16h: no key; one that is put there is one that comes; no shift key is down
    movb $0x01, %ah
    int $0x16
    CHECK z
    movw $0x0500, %ax
    movw $0x1e61, %cx
    int $0x16
    movb $0x00, %ah
    int $0x16
    WANT %ax, 0x1e61
    movb $0x02, %ah
    int $0x16
    testb $0x0f, %al
    CHECK z

    # INT 1Ah: ticks pass; the clock tells a date of BCD
    movb $0x00, %ah
    int $0x1a
    movw %dx, %bp
8:  sti
    hlt
    movb $0x00, %ah
    int $0x1a
    cmpw %dx, %bp
    je 8b
    incb count
    movb $0x04, %ah
    int $0x1a
    CHECK nc
    WANT %cx, 0x2000                # the year, in which all runs begin

    movw $good, %si
    call print
    movb count, %al
    call number
    movw $good_end, %si
    call print
    movb $0x10, %al
    jmp end

    .balign 4
packet: .byte 16, 0
    .word 1, 0x9000, 0
    .quad 0
failed: .asciz "services: bad is number "
good:   .asciz "services: "
good_end: .asciz " good"

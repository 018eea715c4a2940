/* kit_stubs.S: gates of the test guests. Each reports by VMMCALL and, when continued behind it,
 * returns by IRETQ. */
    .text
    .balign 16
    .globl kit_stubs, kit_stubs_end
kit_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    pushq $0
    .endif
    pushq $vector
    vmmcall
    jmp kit_return
    .set vector, vector + 1
    .endr
    .balign 16
kit_stubs_end:
kit_return:
    addq $16, %rsp
    iretq
    .section .note.GNU-stack, "", @progbits

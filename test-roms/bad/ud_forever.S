/* ud_forever.S: a #UD handler that begins with UD2. With an IST stack every delivery starts at the
 * same stack top, so that it goes on for ever without retiring an instruction. A limit that counts
 * retired instructions alone would never end it. */
#include "test-roms/lib/layout.h"

    .text
    .globl rom_main
rom_main:
    movl $6, %edi
    call trap_gate             /* the gate of #UD */
    movq $handler, %rdx
    movw %dx, (%rax)
    shrq $16, %rdx
    movw %dx, 6(%rax)
    movl $6, %edi
    movl $3, %esi
    call trap_set_ist
    movl $text, %edi
    xorl %eax, %eax
    call rom_printf
handler:
    ud2
    .section .rodata
text:
    .asciz "# faulting for ever\n"
    .section .note.GNU-stack, "", @progbits

/* a20.c: address line 20, from real and protected mode by port 92 of a PC, which masks bit 20 of physical addresses
 * (the A20M# input). */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define A20_OFF "inb $0x92, %al\n andb $0xfc, %al\n outb %al, $0x92\n"
#define A20_ON "inb $0x92, %al\n andb $0xfe, %al\n orb $2, %al\n outb %al, $0x92\n"

MODE_CODE16(a_real, "movw $0x1111, 0x700\n movw $0xffff, %ax\n movw %ax, %es\n movw $0x2222, "
                    "%es:0x710\n movw 0x700, %bx\n" A20_OFF
                    "movw %es:0x710, %cx\n movw $0x3333, %es:0x710\n movw 0x700, %dx\n" A20_ON
                    "movw %es:0x710, %si\n movw 0x700, %di");
/* The second and the third MiB beyond 16 MiB: the ROM itself lies in odd MiB, too. */
MODE_CODE32(a_prot,
            "movl $0x1111, 0x1200700\n movl $0x2222, 0x1300700\n" A20_OFF "movl 0x1300700, %ebx\n"
            "movl $0x3333, 0x1300704\n movl 0x1200704, %ecx\n" A20_ON "movl 0x1300700, %edx");

int rom_main(void)
{
    PASS(MODE_REAL, a_real, "real mode, A20 on, off and on");
    tap_eq(modes_reg(M_BX) & 0xffff, 0x1111, "on: ffff:0710 is not 0:0700");
    tap_eq(modes_reg(M_CX) & 0xffff, 0x1111, "off: it is");
    tap_eq(modes_reg(M_DX) & 0xffff, 0x3333, "for writes, too");
    tap_eq(modes_reg(M_SI) & 0xffff, 0x2222, "on again: what was above is there");
    tap_eq(modes_reg(M_DI) & 0xffff, 0x3333, "and what was written below");
    PASS(MODE_PROT32, a_prot, "protected mode");
    tap_eq(modes_reg(M_BX), 0x1111, "off: bit 20 is 0 everywhere");
    tap_eq(modes_reg(M_CX), 0x3333, "for writes, too");
    tap_eq(modes_reg(M_DX), 0x2222, "on again");
    tap_done();
}

/* a20.c: the A20 line and page tables: bit 20 of every physical address is masked, those of the tables too. APM vol 2,
 * 15.30.1 "VM_CR MSR (C001_0114h)" (DIS_A20M) names the line. The code and its stack lie below 1 MiB; nothing else is used
 * while the line is closed. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define DIRECTORY 0x1200000u
#define TABLE 0x1201000u       /* what a walk finds with A20 closed */
#define TABLE_ABOVE 0x1301000u /* what the PDE says */
#define PAGE_LOW 0x1202000u
#define PAGE_HIGH 0x1203000u
#define LA 0x80000000u
#define CR4_PSE 0x10u
#define PWU (PAGE_P | PAGE_W | PAGE_U)

#define CLOSE "inb $0x92, %al\n andb $0xfc, %al\n outb %al, $0x92\n"
#define OPEN "inb $0x92, %al\n andb $0xfe, %al\n orb $2, %al\n outb %al, $0x92\n"

/* EBX, ECX, EDX: what is read with the line closed, open after INVLPG, and closed again after INVLPG. */
MODE_CODE32(walks,
            CLOSE "movl 0x80000000, %ebx\n" OPEN "invlpg 0x80000000\n movl 0x80000000, %ecx\n" CLOSE
                  "invlpg 0x80000000\n movl 0x80000000, %edx\n movl $7, 0x80000004\n" OPEN);
/* The page itself: its frame has bit 20. */
MODE_CODE32(frames, CLOSE "movl 0x80000000, %ebx\n movl $0x55, 0x80000004\n" OPEN
                          "invlpg 0x80000000\n movl 0x80000000, %ecx\n");

static volatile uint32_t *at(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static void begin(const char *code, uint32_t table)
{
    struct modes_state *m = modes_begin(MODE_PROT32, code);

    for (uint32_t i = 0; i < 1024; i++)
        at(DIRECTORY)[i] = i << 22 | (uint32_t)(PAGE_PS | PWU);
    at(DIRECTORY)[LA >> 22] = table | (uint32_t)PWU;
    m->cr0 |= CR0_PG;
    m->cr3 = DIRECTORY;
    m->cr4 |= CR4_PSE;
}

int rom_main(void)
{
    *at(TABLE) = PAGE_LOW | (uint32_t)PWU;
    *at(TABLE_ABOVE) = PAGE_HIGH | (uint32_t)PWU;
    *at(PAGE_LOW) = 0xaaaa;
    *at(PAGE_HIGH) = 0xbbbb;
    begin(walks, TABLE_ABOVE);
    RUN_PASS(walks, "paging on, A20 off, on and off");
    /* rows: pitfalls 4.17 */
    tap_eq(modes_reg(M_BX), 0xaaaa, "off: the walk takes the table without bit 20");
    tap_eq(modes_reg(M_CX), 0xbbbb, "on: the table that the PDE names");
    tap_eq(modes_reg(M_DX), 0xaaaa, "off again");
    tap_ok((*at(TABLE) & (PAGE_A | PAGE_D)) == (PAGE_A | PAGE_D),
           "A and D are set in the table that was used");
    tap_eq(*at(TABLE_ABOVE) & (PAGE_A | PAGE_D), PAGE_A, "and only there");
    tap_eq(*at(PAGE_LOW + 4), 7, "the store went through it");

    *at(TABLE) = 0x1302000 | (uint32_t)PWU;
    *at(0x1302000) = 0xcccc;
    *at(PAGE_LOW + 4) = 0;
    *at(0x1302004) = 0;
    begin(frames, TABLE);
    RUN_PASS(frames, "a page whose frame has bit 20");
    tap_eq(modes_reg(M_BX), 0xaaaa, "off: the frame without it");
    tap_eq(modes_reg(M_CX), 0xcccc, "on: the frame itself");
    tap_ok(*at(PAGE_LOW + 4) == 0x55 && *at(0x1302004) == 0, "the store too");
    tap_done();
}

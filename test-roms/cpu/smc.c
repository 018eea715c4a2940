/* smc.c: code that is changed while it runs, and instructions that lie on two pages. A store is seen by
 * the very next instruction of the same processor. APM vol 2, 7.6.1 "Cache Organization and Operation". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

/* RAM for code. */
static uint8_t code[4 * 4096] __attribute__((aligned(4096)));

static uint64_t call(const void *at)
{
    return ((uint64_t(*)(void))(uintptr_t)at)();
}

/* mov $value, %eax; ret */
static unsigned put_return(uint8_t *at, uint32_t value)
{
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
    return 6;
}

static void test_simple(void)
{
    put_return(code, 1);
    tap_eq(call(code), 1, "code written by data stores runs");
    put_return(code, 2);
    tap_eq(call(code), 2, "changed code is seen by the next call");
    for (uint32_t i = 0; i < 2000; i++) {
        put_return(code, i);
        if (call(code) != i) {
            tap_eq(call(code), i, "code changed 2000 times");
            return;
        }
    }
    tap_ok(true, "code changed 2000 times");
}

/* A store into the instruction right behind it: movb $7, 1f+1; 1: movl $0, %eax; ret */
uint64_t smc_next(void), smc_next_far(void), smc_loop(void), smc_rep(void), smc_prefix(void);
extern uint8_t smc_next_target[], smc_loop_target[], smc_rep_target[], smc_rep_source[];
extern uint8_t smc_far_target[], smc_prefix_target[];
__asm__(".text\n"
        ".balign 64\nsmc_next:\n\t"
        "movb $7, smc_next_target + 1\n"
        "smc_next_target:\n\tmovl $0, %eax\n\tret\n"
        ".balign 64\nsmc_next_far:\n\t"
        "movb $9, smc_far_target + 1\n\t"
        "xorl %ecx, %ecx\n\taddl $1, %ecx\n\taddl %ecx, %ecx\n"
        "smc_far_target:\n\tmovl $0, %eax\n\taddl %ecx, %eax\n\tret\n"
        /* sum of an immediate that the loop itself counts up */
        ".balign 64\nsmc_loop:\n\t"
        "xorl %eax, %eax\n\tmovl $100, %ecx\n\tmovb $0, smc_loop_target + 2\n"
        "1:\tincb smc_loop_target + 2\n"
        "smc_loop_target:\n\taddl $0, %eax\n\tdecl %ecx\n\tjnz 1b\n\tret\n"
        /* a REP MOVSB that overwrites what is behind it, and then itself */
        ".balign 64\nsmc_rep:\n\t"
        "movl $smc_rep_source, %esi\n\tmovl $smc_rep_target, %edi\n\tmovl $6, %ecx\n\t"
        "rep movsb\n"
        "smc_rep_target:\n\tmovl $1, %eax\n\tret\n"
        "smc_rep_source:\n\tmovl $0x55, %eax\n\tret\n"
        /* INC becomes DEC: another operation, same length, in a loop that has run before */
        ".balign 64\nsmc_prefix:\n\t"
        "movl $10, %eax\n\tmovl $6, %ecx\n\tmovb $0xc0, smc_prefix_target + 1\n"
        "2:\tcmpl $3, %ecx\n\tjne 3f\n\tmovb $0xc8, smc_prefix_target + 1\n"
        "3:\n"
        "smc_prefix_target:\n\tincl %eax\n\tdecl %ecx\n\tjnz 2b\n\tret\n");

/* rows: pitfalls 8.1 */
static void test_exact(void)
{
    tap_eq(smc_next(), 7, "a store into the next instruction is seen by it");
    smc_next_target[1] = 0;
    tap_eq(smc_next(), 7, "and again");
    tap_eq(smc_next_far(), 11, "a store some instructions ahead in the same block");
    tap_eq(smc_loop(), 5050, "a loop that changes its own immediate 100 times");
    tap_eq(smc_rep(), 0x55, "REP MOVSB over the instruction behind it");
    tap_eq(smc_prefix(), 10, "INC becomes DEC in the middle of a loop");
}

/* Two linear addresses of one page: a store through one is seen by code that runs at the other. */
/* rows: pitfalls 8.1, 8.8 */
static void test_alias(void)
{
    uint8_t *alias = (uint8_t *)(PAGING_WINDOW + 0x600000);

    paging_map(paging_root(), (uintptr_t)alias, (uintptr_t)code, PAGE_4K, PAGE_P | PAGE_W);
    put_return(code, 3);
    tap_eq(call(alias), 3, "code runs at an alias");
    put_return(alias, 4);
    tap_eq(call(code), 4, "a store through the alias is seen at the first address");
    put_return(code, 5);
    tap_eq(call(alias), 5, "and the other way round");
    put_return(code + 4096, 6);
    paging_map(paging_root(), (uintptr_t)alias, (uintptr_t)code + 4096, PAGE_4K, PAGE_P | PAGE_W);
    invlpg((uintptr_t)alias);
    tap_eq(call(alias), 6, "another page behind the same address after INVLPG");
}

/* An instruction on two pages: its second half changes, its second page goes away. */
static void test_two_pages(void)
{
    uint8_t *window = (uint8_t *)(PAGING_WINDOW + 0x700000);
    struct trap_result r;

    for (unsigned cut = 1; cut < 5; cut++) {
        uint8_t *at = code + 4096 - cut;

        put_return(at, 0x01020304);
        tap_eq(call(at), 0x01020304, "MOV imm32 with %u bytes on the first page", cut);
        at[4] = 0x7f;
        tap_eq(call(at), 0x7f020304, "its last byte changes on the second page");
    }
    put_return(code + 4096 - 2, 8);
    paging_map(paging_root(), (uintptr_t)window, (uintptr_t)code, PAGE_4K, PAGE_P | PAGE_W);
    paging_map(paging_root(), (uintptr_t)window + 4096, (uintptr_t)code + 4096, PAGE_4K,
               PAGE_P | PAGE_W);
    tap_eq(call(window + 4094), 8, "an instruction on two pages in the window");
    /* Another second page holds other bytes of the immediate. */
    memcpy(code + 2 * 4096, "\x44\0\0\xc3", 4);
    paging_map(paging_root(), (uintptr_t)window + 4096, (uintptr_t)code + 2 * 4096, PAGE_4K,
               PAGE_P | PAGE_W);
    invlpg((uintptr_t)window + 4096);
    tap_eq(call(window + 4094), 0x4408, "its second page is remapped");
    *paging_entry(paging_root(), (uintptr_t)window + 4096, 1) = 0;
    invlpg((uintptr_t)window + 4096);
    r = trap_try((void (*)(void *))(uintptr_t)(window + 4094), NULL);
    tap_ok(r.vector == EXC_PF && r.cr2 == (uintptr_t)window + 4096 &&
               r.rip == (uintptr_t)window + 4094,
           "its second page is not present: CR2 is the page, RIP the instruction");
    tap_eq(r.error, PF_ID, "with the error code of a fetch");
    window[4093] = 0xc3;
    tap_ok(trap_try((void (*)(void *))(uintptr_t)(window + 4093), NULL).vector == EXC_NONE,
           "RET as the last byte of the page does not touch the next one");
}

/* Stores beside code, in the same line of memory, change nothing about the code. */
static void test_data_beside_code(void)
{
    uint8_t *f = code + 2 * 4096;
    volatile uint32_t *data = (volatile uint32_t *)(f + 8);
    uint64_t sum = 0;

    put_return(f, 21);
    for (unsigned i = 0; i < 1000; i++) {
        *data = i;
        sum += call(f) + *data;
    }
    tap_eq(sum, 21 * 1000 + 499500, "data in the same line as code");
}

int rom_main(void)
{
    test_simple();
    test_exact();
    test_alias();
    test_two_pages();
    test_data_beside_code();
    tap_done();
}

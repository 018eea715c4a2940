/* la57.c: 5-level paging. APM vol 2, 5.3.1 "Canonical Address Form", 5.3.3 "Long-Mode Page Translation". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define CR4_LA57 UINT64_C(0x1000)
#define FAR_LA (UINT64_C(1) << 48 | 0x5000)  /* second PML5 entry */
#define HIGH_LA UINT64_C(0xff00000000005000) /* PML5 entry 256: canonical with 57 bits only */
#define PW (PAGE_P | PAGE_W)

/* void la57_switch(cr3 = rdi, cr4 = rsi): leaves long mode, loads both, and comes back. CR4.LA57 cannot
 * change while it is active. All addresses involved are below 4 GiB and mapped to themselves. */
void la57_switch(uint64_t cr3, uint64_t cr4);
__asm__(".text\n.globl la57_switch\nla57_switch:\n\t"
        "pushq $0x30\n\tpushq $1f\n\tlretq\n" /* SEL_CODE32 */
        ".code32\n1:\n\t"
        "movl %cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\t"
        "movl %esi, %cr4\n\tmovl %edi, %cr3\n\t"
        "orl $0x80000000, %eax\n\tmovl %eax, %cr0\n\t"
        "ljmp $0x08, $2f\n"
        ".code64\n2:\n\tret\n");

static uint64_t page[512] __attribute__((aligned(4096)));
static uint64_t *pml5, *far_pml4;

static void do_read(void *arg)
{
    (void)*(volatile uint64_t *)arg;
}

static void do_write(void *arg)
{
    *(volatile uint64_t *)arg = 77;
}

static struct trap_result read_at(uint64_t la)
{
    return trap_try(do_read, (void *)la);
}

static void test_4_levels(void)
{
    tap_eq(read_at(FAR_LA).vector, EXC_GP, "4 levels: bit 48 alone is not canonical");
    tap_eq(read_at(HIGH_LA).vector, EXC_GP, "4 levels: sign extension must begin at bit 47");
}

static void test_5_levels(void)
{
    struct trap_result r;

    tap_eq(read_cr4() & CR4_LA57, CR4_LA57, "CR4.LA57 is set");
    page[0] = 5;
    tap_eq(*(volatile uint64_t *)FAR_LA, 5, "the second PML5 entry translates");
    tap_eq(*(volatile uint64_t *)HIGH_LA, 5, "an address with 57 bits in the upper half");
    tap_eq(pml5[1] & (PAGE_A | PAGE_D), PAGE_A, "A is set in the PML5E, D is not");
    trap_try(do_write, (void *)FAR_LA);
    tap_eq(page[0], 77, "a write");
    r = read_at(UINT64_C(3) << 48);
    tap_ok(r.vector == EXC_PF && r.error == 0 && r.cr2 == UINT64_C(3) << 48, "PML5E not present");
    tap_eq(read_at(UINT64_C(1) << 56).vector, EXC_GP, "bit 56 alone is not canonical");
    tap_eq(read_at(UINT64_C(0xfe00000000005000)).vector, EXC_GP, "nor without bit 56");
    pml5[1] &= ~PAGE_W;
    write_cr3(read_cr3());
    r = trap_try(do_write, (void *)FAR_LA);
    tap_ok(r.vector == EXC_PF && r.error == (PF_P | PF_RW), "R/W=0 in the PML5E");
    pml5[1] |= PAGE_W | PAGE_PS;
    write_cr3(read_cr3());
    r = read_at(FAR_LA);
    tap_ok(r.vector == EXC_PF && r.error == (PF_P | PF_RSV), "bit 7 of the PML5E is reserved");
    pml5[1] = (pml5[1] & ~PAGE_PS) | PAGE_NX;
    write_cr3(read_cr3());
    page[0] = 0xc3;
    r = trap_try((void (*)(void *))FAR_LA, NULL);
    tap_ok(r.vector == EXC_PF && r.error == (PF_P | PF_ID), "NX in the PML5E");
}

int rom_main(void)
{
    uint64_t cr3 = read_cr3(), cr4 = read_cr4();

    if ((cpuid_checked(7, 0).ecx >> 16 & 1) == 0) {
        tap_skip("no LA57", "5-level paging");
        tap_done();
    }
    pml5 = paging_new_root();
    far_pml4 = paging_new_root();
    pml5[0] = cr3 | PW | PAGE_U;
    pml5[1] = (uintptr_t)far_pml4 | PW;
    pml5[256] = (uintptr_t)far_pml4 | PW;
    paging_map(far_pml4, 0x5000, (uintptr_t)page, PAGE_4K, PW);
    test_4_levels();
    la57_switch((uintptr_t)pml5, cr4 | CR4_LA57);
    test_5_levels();
    la57_switch(cr3, cr4);
    tap_eq(read_cr4() & CR4_LA57, 0, "back to 4 levels");
    test_4_levels();
    tap_done();
}

/* pku.c: protection keys of user pages. APM vol 2, 5.6.7 "Memory Protection Keys". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LA (PAGING_WINDOW + 0x1000)
#define KEY(n) ((uint64_t)(n) << 59)
#define AD(n) (1u << (2 * (n)))
#define WD(n) (2u << (2 * (n)))
#define CR4_PKE UINT64_C(0x400000)
#define PF_PK 0x20u
#define PWU (PAGE_P | PAGE_W | PAGE_U)

/* ESI: PKRU; RBX: the address. */
#define SET_PKRU "xorl %ecx, %ecx\n xorl %edx, %edx\n movl %esi, %eax\n wrpkru\n"
MODE_CODE64(k_read, SET_PKRU "k_read_insn: movl (%rbx), %eax");
MODE_CODE64(k_write, SET_PKRU "k_write_insn: movl %eax, (%rbx)");
MODE_CODE64(k_fetch, SET_PKRU "jmp *%rbx\n k_fetch_insn:");
MODE_CODE64(k_rdpkru, SET_PKRU "movl $-1, %edx\n rdpkru");
MODE_CODE64(k_ecx, "movl $1, %ecx\n xorl %edx, %edx\n k_ecx_insn: rdpkru");
MODE_CODE64(k_edx, "xorl %ecx, %ecx\n movl $1, %edx\n k_edx_insn: wrpkru");
MODE_CODE64(k_off, "xorl %ecx, %ecx\n k_off_insn: rdpkru");

static uint32_t page[1024] __attribute__((aligned(4096)));

static struct modes_state *begin(enum mode mode, const char *code, uint32_t pkru, uint64_t flags)
{
    struct modes_state *m = modes_begin(mode, code);

    page[0] = 0x0b0f; /* UD2 */
    paging_map(paging_root(), LA, (uintptr_t)page, PAGE_4K, flags | KEY(5));
    m->cr4 |= CR4_PKE;
    m->regs[M_BX] = LA;
    m->regs[M_SI] = pkru;
    return m;
}

static void test_rights(void)
{
    struct modes_state *m;

    /* rows: pitfalls 4.10, events 4.11 */
    begin(MODE_LONG_USER, k_read, 0, PWU);
    RUN_PASS(k_read, "PKRU 0 allows all");
    begin(MODE_LONG_USER, k_read, AD(5), PWU);
    RUN_FAULT(k_read, EXC_PF, PF_P | PF_US | PF_PK, "AD: a read is #PF with PK");
    begin(MODE_LONG_USER, k_read, AD(4) | AD(6), PWU);
    RUN_PASS(k_read, "the bits of other keys do not count");
    begin(MODE_LONG_USER, k_read, WD(5), PWU);
    RUN_PASS(k_read, "WD: a read passes");
    begin(MODE_LONG_USER, k_write, WD(5), PWU);
    RUN_FAULT(k_write, EXC_PF, PF_P | PF_US | PF_RW | PF_PK, "WD: a write is #PF with PK");
    begin(MODE_LONG_USER, k_write, AD(5), PWU);
    RUN_FAULT(k_write, EXC_PF, PF_P | PF_US | PF_RW | PF_PK, "AD: a write too");
    begin(MODE_LONG, k_read, AD(5), PWU);
    RUN_FAULT(k_read, EXC_PF, PF_P | PF_PK, "a supervisor's read of a user page too");
    begin(MODE_LONG, k_write, WD(5), PWU);
    RUN_FAULT(k_write, EXC_PF, PF_P | PF_RW | PF_PK, "WD: a supervisor's write with WP=1 too");
    m = begin(MODE_LONG, k_write, WD(5), PWU);
    m->cr0 &= ~CR0_WP;
    RUN_PASS(k_write, "but not with WP=0");
    begin(MODE_LONG, k_read, AD(5), PAGE_P | PAGE_W);
    RUN_PASS(k_read, "a supervisor's page has no key");
    begin(MODE_LONG_USER, k_fetch, AD(5), PWU);
    modes_try(EXC_UD, 0, (const char *)LA, "a fetch passes");
    begin(MODE_LONG_USER, k_write, WD(5), PAGE_P | PAGE_U);
    RUN_FAULT(k_write, EXC_PF, PF_P | PF_US | PF_RW | PF_PK, "PK is reported beside R/W");
    begin(MODE_LONG_USER, k_read, AD(5), 0);
    RUN_FAULT(k_read, EXC_PF, PF_US, "a page that is not present has no key");
}

static void test_instructions(void)
{
    struct modes_state *m;

    begin(MODE_LONG_USER, k_rdpkru, 0x12345678, PWU);
    RUN_PASS(k_rdpkru, "RDPKRU");
    tap_eq(modes_reg(M_AX), 0x12345678, "gives what WRPKRU wrote");
    tap_eq(modes_reg(M_DX), 0, "and EDX = 0");
    begin(MODE_LONG_USER, k_ecx, 0, PWU);
    RUN_FAULT(k_ecx, EXC_GP, 0, "RDPKRU with ECX = 1 is #GP(0)");
    begin(MODE_LONG_USER, k_edx, 0, PWU);
    RUN_FAULT(k_edx, EXC_GP, 0, "WRPKRU with EDX = 1 is #GP(0)");
    m = begin(MODE_LONG_USER, k_off, 0, PWU);
    m->cr4 &= ~CR4_PKE;
    RUN_FAULT(k_off, EXC_UD, 0, "RDPKRU with CR4.PKE=0 is #UD");
    begin(MODE_LONG_USER, k_rdpkru, 0, PWU);
    modes_run();
}

int rom_main(void)
{
    if ((cpuid_checked(7, 0).ecx >> 3 & 1) == 0) {
        tap_skip("no PKU", "protection keys");
        tap_done();
    }
    test_rights();
    test_instructions();
    tap_done();
}

/* legacy.c: 32-bit paging: two levels, 4 MiB pages, PSE-36, rights, accessed and dirty bits.
 * APM vol 2, 5.2 "Legacy-Mode Page Translation", 5.2.1 "CR3", 5.2.2 "Normal (Non-PAE) Paging", 5.6. */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LA 0x40001000u /* nothing of the ROM is there */
#define CR4_PSE UINT64_C(0x10)
#define P 1u
#define W 2u
#define U 4u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define VALUE 0x12345678u

MODE_CODE32(p_read, "p_read_insn: movl (%ebx), %eax");
MODE_CODE32(p_write, "p_write_insn: movl %eax, (%ebx)");
MODE_CODE32(p_fetch, "p_fetch_insn: jmp *%ebx");
MODE_CODE32(p_cross, "p_cross_insn: movl %eax, (%ebx)");

static uint32_t page[2][1024] __attribute__((aligned(4096)));
static uint32_t *directory;

static struct modes_state *begin(enum mode mode, const char *code, uint32_t pte)
{
    struct modes_state *m = modes_begin(mode, code);

    directory = modes_paging_pse();
    page[0][0] = VALUE;
    directory[LA >> 22] = 0;
    modes_map32(directory, LA, (uintptr_t)page[0], pte);
    m->regs[M_BX] = LA;
    return m;
}

static volatile uint32_t *pde(void)
{
    return &directory[LA >> 22];
}

static volatile uint32_t *pte(void)
{
    return (uint32_t *)(uintptr_t)(*pde() & 0xfffff000u) + (LA >> 12 & 1023);
}

static void pf(enum mode mode, const char *code, const char *insn, uint32_t flags, uint64_t error,
               const char *what)
{
    struct mode_event e;

    begin(mode, code, flags);
    e = modes_try(EXC_PF, error, insn, what);
    tap_eq(e.cr2, LA, "CR2 is the address");
}

static void test_rights(void)
{
    /* rows: pitfalls 4.1, 4.2, 4.5, 4.12, events 4.2, 4.7, 4.8 */
    begin(MODE_PROT32, p_read, P);
    RUN_PASS(p_read, "a supervisor's read");
    tap_eq(modes_reg(M_AX), VALUE, "finds the page");
    pf(MODE_PROT32, p_read, p_read_insn, 0, 0, "read, not present");
    pf(MODE_PROT32, p_write, p_write_insn, 0, PF_RW, "write, not present");
    pf(MODE_PROT32_USER, p_read, p_read_insn, 0, PF_US, "user read, not present");
    pf(MODE_PROT32_USER, p_read, p_read_insn, P | W, PF_US | PF_P, "user read, supervisor's page");
    pf(MODE_PROT32_USER, p_write, p_write_insn, P | U, PF_US | PF_P | PF_RW,
       "user write, read-only");
    pf(MODE_PROT32, p_write, p_write_insn, P, PF_P | PF_RW, "supervisor's write, read-only, WP=1");
    /* rows: pitfalls 4.6 */
    begin(MODE_PROT32, p_write, P)->cr0 &= ~CR0_WP;
    RUN_PASS(p_write, "with WP=0 it passes");
    tap_eq(*pte() & (A | D), A | D, "and sets A and D");
    begin(MODE_PROT32_USER, p_write, P | U)->cr0 &= ~CR0_WP;
    RUN_FAULT(p_write, EXC_PF, PF_US | PF_P | PF_RW, "WP=0 is not for user code");
    /* rows: pitfalls 4.5 */
    begin(MODE_PROT32_USER, p_read, P | U);
    *pde() &= ~U;
    RUN_FAULT(p_read, EXC_PF, PF_US | PF_P, "U/S must be set at both levels");
    begin(MODE_PROT32_USER, p_write, P | U | W);
    *pde() &= ~W;
    RUN_FAULT(p_write, EXC_PF, PF_US | PF_P | PF_RW, "R/W too");
    begin(MODE_PROT32, p_read, P);
    *pde() &= ~P;
    RUN_FAULT(p_read, EXC_PF, 0, "P too");
    /* rows: events 4.10, pitfalls 4.1 */
    pf(MODE_PROT32_USER, p_fetch, (const char *)(uintptr_t)LA, 0, PF_US,
       "fetch: no I/D bit without NX");
}

static void test_bits(void)
{
    /* rows: pitfalls 4.7 */
    begin(MODE_PROT32, p_read, P);
    modes_run();
    tap_eq(*pte() & (A | D), A, "a read sets A in the PTE");
    tap_eq(*pde() & (A | D), A, "and in the PDE");
    begin(MODE_PROT32, p_write, P | W);
    modes_run();
    tap_eq(*pte() & (A | D), A | D, "a write sets A and D in the PTE");
    tap_eq(*pde() & D, 0, "and no D in the PDE");
    begin(MODE_PROT32, p_write, P);
    modes_run();
    tap_eq(*pte() & D, 0, "a refused write sets no D");
    begin(MODE_PROT32, p_read, 0);
    modes_run();
    tap_eq(*pte() & A, 0, "an entry that is not present gets no A");
}

static struct modes_state *big(const char *code, uint32_t entry)
{
    struct modes_state *m = begin(MODE_PROT32, code, P);

    *pde() = entry;
    return m;
}

static void test_big(void)
{
    const uint32_t base = (uint32_t)(uintptr_t)page & 0xffc00000u;
    const uint32_t inside = (uint32_t)(uintptr_t)page & 0x3fffffu;
    struct modes_state *m;

    /* rows: pitfalls 4.18 */
    big(p_read, base | PS | P)->regs[M_BX] = 0x40000000 | inside;
    RUN_PASS(p_read, "a page of 4 MiB");
    tap_eq(modes_reg(M_AX), VALUE, "is found");
    tap_eq(*pde() & (A | D), A, "A in its entry");
    big(p_write, base | PS | P | W)->regs[M_BX] = 0x40000000 | inside;
    modes_run();
    tap_eq(*pde() & (A | D), A | D, "A and D after a write");
    /* rows: pitfalls 4.3, events 4.9 */
    big(p_read, base | PS | P | 1u << 21)->regs[M_BX] = 0x40000000 | inside;
    RUN_FAULT(p_read, EXC_PF, PF_P | PF_RSV, "bit 21 of its entry is reserved");
    /* PSE=0: bit 7 means nothing. */
    m = begin(MODE_PROT32, p_read, P);
    modes_map32(directory, 0x00001000, 0x1000, P | W); /* small tables for what the code needs */
    for (unsigned i = 0; i < 1024; i++)
        if ((directory[i] & PS) != 0 && i < 8)
            modes_map32(directory, i << 22, i << 22, P | W | U);
    *pde() |= PS;
    m->cr4 &= ~CR4_PSE;
    RUN_PASS(p_read, "CR4.PSE=0: bit 7 of a PDE means nothing");
    tap_eq(modes_reg(M_AX), VALUE, "it is a table");
    if ((cpuid(1, 0).edx >> 17 & 1) == 0 || cpu_maxphyaddr() <= 32) {
        tap_skip("no PSE-36", "bits 20:13");
        return;
    }
    /* rows: pitfalls 4.18 */
    big(p_read, base | PS | P | 1u << 13)->regs[M_BX] = 0x40000000 | inside;
    RUN_PASS(p_read, "PSE-36: bit 13 of a big page's entry is bit 32 of the address");
    tap_ok(modes_reg(M_AX) != VALUE, "which is another place");
}

static void test_cross(void)
{
    struct modes_state *m = begin(MODE_PROT32, p_cross, P | W);
    struct mode_event e;

    /* rows: pitfalls 4.11 */
    modes_map32(directory, LA + 0x1000, 0, 0);
    page[0][1023] = 0;
    m->regs[M_BX] = LA + 0xffe;
    m->regs[M_AX] = 0xffffffff;
    e = RUN_FAULT(p_cross, EXC_PF, PF_RW, "a write into two pages, the second not present");
    tap_eq(e.cr2, LA + 0x1000, "CR2 is the first byte there");
    tap_eq(page[0][1023], 0, "nothing was written to the first");
}

int rom_main(void)
{
    test_rights();
    test_bits();
    test_big();
    test_cross();
    tap_done();
}

/* pae.c: PAE paging of legacy mode: PDPTEs, NX, pages of 2 MiB, reserved bits.
 * APM vol 2, 5.2.3 "PAE Paging", 5.6.1 "No Execute (NX) Bit", 8.4.2 "Page-Fault Error Code". */
#include "test-roms/lib/modes.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define LA 0x40001000u
#define VALUE 0x12345678u

MODE_CODE32(p_read, "p_read_insn: movl (%ebx), %eax");
MODE_CODE32(p_write, "p_write_insn: movl %eax, (%ebx)");
MODE_CODE32(p_fetch, "p_fetch_insn: jmp *%ebx");
MODE_CODE32(p_reload, "movl %cr3, %ecx\n p_reload_insn: movl %ecx, %cr3\n"
                      "p_reload_read: movl (%ebx), %eax");

static uint32_t page[1024] __attribute__((aligned(4096)));
static uint64_t *pdpt;

static struct modes_state *begin(enum mode mode, const char *code, uint64_t pte)
{
    struct modes_state *m = modes_begin(mode, code);

    pdpt = modes_paging_pae();
    m->efer |= EFER_NXE;
    page[0] = VALUE;
    ((uint64_t *)(pdpt[LA >> 30] & PAGE_ADDRESS))[LA >> 21 & 511] = 0;
    modes_map_pae(pdpt, LA, (uintptr_t)page, pte);
    m->regs[M_BX] = LA;
    return m;
}

static volatile uint64_t *pde(void)
{
    return (uint64_t *)(pdpt[LA >> 30] & PAGE_ADDRESS) + (LA >> 21 & 511);
}

static volatile uint64_t *pte(void)
{
    return (uint64_t *)(*pde() & PAGE_ADDRESS) + (LA >> 12 & 511);
}

static void test_walk(void)
{
    /* rows: pitfalls 4.1, 4.5, 4.7 */
    begin(MODE_PROT32, p_read, PAGE_P);
    RUN_PASS(p_read, "a page of 4 KiB");
    tap_eq(modes_reg(M_AX), VALUE, "is found");
    tap_eq(*pte() & (PAGE_A | PAGE_D), PAGE_A, "A in the PTE");
    tap_eq(*pde() & PAGE_A, PAGE_A, "A in the PDE");
    tap_eq(pdpt[1] & PAGE_A, 0, "no A in the PDPTE");
    begin(MODE_PROT32_USER, p_write, PAGE_P | PAGE_W | PAGE_U);
    RUN_PASS(p_write, "a user's write: PDPTEs have no rights");
    tap_eq(*pte() & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "sets A and D");
    begin(MODE_PROT32, p_write, PAGE_P);
    RUN_FAULT(p_write, EXC_PF, PF_P | PF_RW, "a write to a read-only page");
    begin(MODE_PROT32, p_read, PAGE_P);
    pdpt[1] = 0;
    RUN_FAULT(p_read, EXC_PF, 0, "a PDPTE that is not present");
}

static void test_nx(void)
{
    struct modes_state *m;

    /* rows: events 4.10, pitfalls 4.1, 4.5 */
    page[0] = 0x0b0f; /* UD2 */
    m = begin(MODE_PROT32, p_fetch, PAGE_P);
    page[0] = 0x0b0f;
    modes_try(EXC_UD, 0, (const char *)(uintptr_t)LA, "a fetch");
    begin(MODE_PROT32, p_fetch, PAGE_P | PAGE_NX);
    modes_try(EXC_PF, PF_P | PF_ID, (const char *)(uintptr_t)LA, "a fetch from an NX page");
    begin(MODE_PROT32, p_fetch, 0);
    modes_try(EXC_PF, PF_ID, (const char *)(uintptr_t)LA, "a fetch, not present: I/D too");
    begin(MODE_PROT32, p_read, PAGE_P | PAGE_NX);
    RUN_PASS(p_read, "NX is not for reads");
    begin(MODE_PROT32, p_fetch, PAGE_P);
    *pde() |= PAGE_NX;
    modes_try(EXC_PF, PF_P | PF_ID, (const char *)(uintptr_t)LA, "NX of the PDE counts");
    /* rows: pitfalls 4.3, events 4.9 */
    m = begin(MODE_PROT32, p_read, PAGE_P | PAGE_NX);
    m->efer &= ~EFER_NXE;
    RUN_FAULT(p_read, EXC_PF, PF_P | PF_RSV, "NXE=0: bit 63 is reserved");
    m = begin(MODE_PROT32, p_fetch, 0);
    m->efer &= ~EFER_NXE;
    modes_try(EXC_PF, 0, (const char *)(uintptr_t)LA, "NXE=0: a fetch has no I/D bit");
}

static void test_reserved(void)
{
    const uint64_t above = UINT64_C(1) << 51;
    uint64_t base = (uintptr_t)page & ~(PAGE_2M - 1);
    uint32_t inside = (uint32_t)((uintptr_t)page & (PAGE_2M - 1));

    /* rows: pitfalls 4.3, events 4.9 */
    if (cpu_maxphyaddr() < 52) {
        begin(MODE_PROT32, p_read, PAGE_P | above);
        RUN_FAULT(p_read, EXC_PF, PF_P | PF_RSV, "an address bit above MAXPHYADDR in a PTE");
        begin(MODE_PROT32, p_read, PAGE_P);
        *pde() |= above;
        RUN_FAULT(p_read, EXC_PF, PF_P | PF_RSV, "in a PDE");
    }
    begin(MODE_PROT32, p_read, above);
    RUN_FAULT(p_read, EXC_PF, 0, "an entry that is not present has no reserved bits");
    begin(MODE_PROT32, p_read, 0)->regs[M_BX] = 0x40000000 | inside;
    *pde() = base | PAGE_P | PAGE_PS;
    RUN_PASS(p_read, "a page of 2 MiB");
    tap_eq(modes_reg(M_AX), VALUE, "is found");
    begin(MODE_PROT32, p_read, 0)->regs[M_BX] = 0x40000000 | inside;
    *pde() = base | PAGE_P | PAGE_PS | UINT64_C(1) << 13;
    RUN_FAULT(p_read, EXC_PF, PF_P | PF_RSV, "bit 13 of its entry is reserved");
    begin(MODE_PROT32, p_read, 0)->regs[M_BX] = 0x40000000 | inside;
    *pde() = base | PAGE_P | PAGE_PS | UINT64_C(1) << 12;
    RUN_PASS(p_read, "bit 12 is PAT");
}

static void test_pdpte(void)
{
    struct mode_event e;

    /* rows: pitfalls 4.4 */
    begin(MODE_PROT32, p_reload, PAGE_P);
    pdpt[1] |= PAGE_W;
    e = modes_run();
    tap_ok((e.vector == EXC_GP && e.error == 0) ||
               (e.vector == EXC_PF && e.error == (PF_P | PF_RSV) && e.cr2 == LA),
           "a reserved bit in a PDPTE: #GP(0) at the load, or #PF with RSV at its use");
}

int rom_main(void)
{
    test_walk();
    test_nx();
    test_reserved();
    test_pdpte();
    tap_done();
}

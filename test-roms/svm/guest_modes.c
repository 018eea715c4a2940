/* guest_modes.c: nested paging under guests of every paging mode: none, 32-bit, PAE, four levels with PCID, five
 * levels. The nested tables are those of a 64-bit host. APM vol 2, 15.25.5 "Nested Table Walk", 15.25.10 "Legacy PAE
 * Mode", 5.5.1 "Process Context Identifier". */
#include "test-roms/svm/kit.h"

#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define CR4_PSE UINT64_C(0x00000010)
#define CR4_LA57 UINT64_C(0x00001000)
#define KEEP (UINT64_C(1) << 63)
#define WINDOW UINT64_C(0x40000000) /* 1 GiB: nothing of the ROM is there */
#define OLD 0x11111111u
#define NEW 0x22222222u

GUEST_CODE(m32_read, ".code32\nmovl (%edi), %eax\n.code64");
GUEST_CODE(m32_write, ".code32\nmovl %eax, (%edi)\n.code64");
GUEST_CODE(m32_call, ".code32\ncall *%edi\n.code64");
GUEST_CODE(m32_cr3, ".code32\nmovl %cr3, %eax\nmovl %eax, %cr3\nmovl (%edi), %eax\n.code64");
GUEST_CODE(m_read, "movl (%rdi), %eax");
/* Reads the same address under two PCIDs in turn, without and with a flush. */
GUEST_CODE(m_pcid, "movl (%rdi), %ebx\nmovq %rsi, %cr3\nmovl (%rdi), %ecx\nmovq %rbp, %cr3\n"
                   "movl (%rdi), %edx");
GUEST_CODE(m_set_cr3, "movq %rsi, %cr3\nmovl (%rdi), %ebx");

extern uint64_t boot_pml4[];

static uint32_t pages[2][1024] __attribute__((aligned(4096)));
static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t pml5[512] __attribute__((aligned(4096)));
static struct svm_guest g;
static uint64_t *nested;

static volatile uint64_t *nested_leaf(uint64_t gpa, const void *page, uint64_t flags)
{
    return paging_map(nested, gpa, (uintptr_t)page, PAGE_4K, flags);
}

static void fresh(const char *code)
{
    nested = kit_nested_identity();
    kit_guest(&g, code);
    svm_set_nested(&g, nested);
    pages[0][0] = OLD;
    pages[1][0] = NEW;
    g.rdi = WINDOW;
}

/* Legacy mode: a flat 32-bit code segment. */
static void fresh32(const char *code, uint64_t cr0, uint64_t cr4, uint64_t cr3)
{
    fresh(code);
    svm_set_segment(&g, VMCB_CS, SEL_CODE32, SEGMENT_CODE32, 0xffffffffu, 0);
    svm_set(&g, VMCB_EFER, EFER_SVME | EFER_NXE);
    svm_set(&g, VMCB_CR0, CR0_PE | CR0_ET | CR0_NE | CR0_WP | cr0);
    svm_set(&g, VMCB_CR4, cr4);
    svm_set(&g, VMCB_CR3, cr3);
}

static void npf(uint64_t info1, uint64_t gpa, const char *what)
{
    uint64_t code = svm_run(&g);

    tap_ok(code == VMEXIT_NPF && svm_get(&g, VMCB_EXITINFO1) == info1 &&
               svm_get(&g, VMCB_EXITINFO2) == gpa,
           "%s", what);
    if (code != VMEXIT_NPF || svm_get(&g, VMCB_EXITINFO1) != info1 ||
        svm_get(&g, VMCB_EXITINFO2) != gpa)
        rom_printf("#   exit code %lx, EXITINFO %lx %lx\n", code, svm_get(&g, VMCB_EXITINFO1),
                   svm_get(&g, VMCB_EXITINFO2));
}

static void reads(uint32_t want, const char *what)
{
    uint64_t code = svm_run(&g);

    tap_ok(code == VMEXIT_VMMCALL && (uint32_t)svm_get(&g, VMCB_RAX) == want, "%s", what);
    if (code != VMEXIT_VMMCALL)
        rom_printf("#   exit code %lx, EXITINFO %lx %lx\n", code, svm_get(&g, VMCB_EXITINFO1),
                   svm_get(&g, VMCB_EXITINFO2));
}

/* CR0.PG=0: a linear address is a guest physical one. */
/* rows: svmop 15.1.3, 15.1.4, 15.2.4 */
static void test_unpaged(void)
{
    const uint64_t at = WINDOW + 8;
    volatile uint64_t *leaf;

    fresh32(m32_read, 0, 0, UINT64_C(0xdeadb000));
    nested_leaf(WINDOW, pages[1], PWU);
    reads(NEW, "PG=0: the linear address goes through the nested tables, CR3 does not matter");
    svm_set(&g, VMCB_RIP, (uintptr_t)m32_read);
    svm_set(&g, VMCB_EFER, EFER_SVME | EFER_LME);
    reads(NEW, "PG=0 with EFER.LME=1: the same");
    tap_eq(svm_get(&g, VMCB_EFER) & EFER_LMA, 0, "EFER.LMA is 0 there");
    fresh32(m32_read, 0, 0, 0);
    g.rdi = at;
    nested_leaf(WINDOW, pages[0], 0);
    npf(NPF_FINAL | PF_US, at, "PG=0, read, not present: final NPF, EXITINFO2 is the address");
    fresh32(m32_write, 0, 0, 0);
    g.rdi = at;
    leaf = nested_leaf(WINDOW, pages[0], PAGE_P | PAGE_U);
    npf(NPF_FINAL | PF_US | PF_RW | PF_P, at, "PG=0, CR0.WP or not: nested read-only is read-only");
    *leaf |= PAGE_W;
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "PG=0: the right given, the write goes on without a flush");
    tap_eq(*leaf & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "PG=0: it sets A and D in the nested leaf");
    fresh32(m32_call, 0, 0, 0);
    nested_leaf(WINDOW, pages[0], PWU | PAGE_NX);
    npf(NPF_FINAL | PF_US | PF_ID | PF_P, WINDOW, "PG=0, EFER.NXE: nested NX stops a fetch");
    fresh32(m32_call, 0, 0, 0);
    svm_set(&g, VMCB_EFER, EFER_SVME);
    nested_leaf(WINDOW, pages[0], PWU | PAGE_NX);
    npf(NPF_FINAL | PF_US | PF_ID | PF_P, WINDOW, "the guest's EFER.NXE plays no part in it");
}

/* Two levels: 4 MiB pages to themselves. */
/* rows: svmop 15.1.2, 15.2.2 */
static void test_32bit(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        directory[i] = i << 22 | (uint32_t)(PAGE_PS | PWU);
    fresh32(m32_read, CR0_PG, CR4_PSE, (uintptr_t)directory);
    nested_leaf(WINDOW, pages[1], PWU);
    reads(NEW, "32-bit paging with 4 MiB pages");
    tap_eq(directory[WINDOW >> 22] & (PAGE_A | PAGE_D), PAGE_A, "its entry is accessed, not dirty");
    fresh32(m32_write, CR0_PG, CR4_PSE, (uintptr_t)directory);
    nested_leaf(WINDOW, pages[1], PWU);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "32-bit paging: a write");
    tap_eq(directory[WINDOW >> 22] & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "and dirty after it");
    /* The directory's page cannot be written: the entry for the code is the first that is read. */
    fresh32(m32_read, CR0_PG, CR4_PSE, (uintptr_t)directory);
    nested_leaf((uintptr_t)directory, directory, PAGE_P | PAGE_U);
    npf(NPF_TABLE | PF_US | PF_RW | PF_P, (uintptr_t)&directory[(uintptr_t)m32_read >> 22],
        "32-bit paging: table NPF, EXITINFO2 is the 4-byte entry");
    fresh32(m32_read, CR0_PG, CR4_PSE, (uintptr_t)directory);
    directory[WINDOW >> 22] |= 1u << 21; /* reserved in a 4 MiB entry */
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_PF,
           "32-bit paging: bit 21 of a 4 MiB entry is the guest's #PF");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), PF_P | PF_RSV, "with P and RSV");
}

/* PAE: the host's own directories serve, four PDPTEs point to them. */
/* rows: svmop 15.1.2, 15.2.2, 15.2.7, pitfalls 4.4 */
static void test_pae(void)
{
    uint64_t *pdp = (uint64_t *)(paging_root()[0] & PAGE_ADDRESS);
    uint64_t pdpt_page = (uintptr_t)pdpt & ~(PAGE_4K - 1);

    for (unsigned i = 0; i < 4; i++)
        pdpt[i] = (pdp[i] & PAGE_ADDRESS) | PAGE_P;
    fresh32(m32_read, CR0_PG, CR4_PAE, (uintptr_t)pdpt);
    nested_leaf(WINDOW, pages[1], PWU);
    reads(NEW, "PAE paging");
    pdpt[1] |= PAGE_W; /* bit 1 is reserved */
    fresh32(m32_cr3, CR0_PG, CR4_PAE, (uintptr_t)pdpt);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF | 1u << EXC_GP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_PF,
           "PAE: a reserved bit in a PDPTE is neither VMEXIT_INVALID nor #GP at MOV CR3");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), PF_P | PF_RSV, "but #PF with RSV at its use");
    tap_eq(svm_get(&g, VMCB_EXITINFO2), WINDOW, "of the address that needs it");
    pdpt[1] = 0;
    fresh32(m32_read, CR0_PG, CR4_PAE, (uintptr_t)pdpt);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF);
    tap_ok(svm_run(&g) == VMEXIT_EXCP0 + EXC_PF && svm_get(&g, VMCB_EXITINFO1) == 0,
           "PAE: a PDPTE that is not present");
    fresh32(m32_read, CR0_PG, CR4_PAE, (uintptr_t)pdpt);
    nested_leaf(pdpt_page, (void *)pdpt_page, PAGE_P | PAGE_U);
    npf(NPF_TABLE | PF_US | PF_RW | PF_P, (uintptr_t)&pdpt[0],
        "PAE: the PDPTE is a table access too");
}

/* Four levels with PCIDs: the same tables under PCID 1 and 2. */
/* rows: svmop 14.5, 14.10 */
static void test_pcid(void)
{
    uint64_t root = (uintptr_t)paging_root();
    volatile uint64_t *leaf;

    if ((cpuid(1, 0).ecx >> 17 & 1) == 0) {
        tap_skip("no PCID", "guests with PCID");
        return;
    }
    leaf =
        paging_map((uint64_t *)root, PAGING_WINDOW, (uintptr_t)pages[0], PAGE_4K, PAGE_P | PAGE_W);
    fresh(m_pcid);
    g.rdi = PAGING_WINDOW;
    g.rsi = root | 2 | KEEP;
    g.rbp = root | 1 | KEEP;
    svm_set(&g, VMCB_CR4, read_cr4() | CR4_PCIDE);
    svm_set(&g, VMCB_CR3, root | 1);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest with PCID");
    tap_eq(svm_get(&g, VMCB_CR3), root | 1, "#VMEXIT saves the PCID with CR3, without bit 63");
    *leaf = (uintptr_t)pages[1] | PAGE_P | PAGE_W;
    svm_set(&g, VMCB_RIP, (uintptr_t)m_pcid);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    svm_run(&g);
    tap_ok(g.rbx == OLD && g.rcx == OLD && g.rdx == OLD,
           "both PCIDs keep their entries through world switches and MOV CR3 with bit 63");
    svm_set(&g, VMCB_RIP, (uintptr_t)m_set_cr3);
    g.rsi = root | 2;
    svm_run(&g);
    tap_eq(g.rbx, NEW, "MOV CR3 without bit 63 flushes its PCID");
    svm_set(&g, VMCB_RIP, (uintptr_t)m_set_cr3);
    g.rsi = root | 1 | KEEP;
    svm_run(&g);
    tap_eq(g.rbx, OLD, "and not the other");
    svm_set(&g, VMCB_RIP, (uintptr_t)m_set_cr3);
    svm_set32(&g, VMCB_ASID, 2);
    svm_run(&g);
    tap_eq(g.rbx, NEW, "PCIDs belong to their ASID");
    svm_set32(&g, VMCB_ASID, 1);
    svm_set(&g, VMCB_RIP, (uintptr_t)m_set_cr3);
    svm_invlpga(PAGING_WINDOW, 1);
    svm_run(&g);
    tap_eq(g.rbx, NEW, "INVLPGA takes the entries of every PCID");
    *leaf = 0;
}

/* Five levels in the guest, four in the nested tables. */
/* rows: svmop 15.1.2, 15.2.13, 15.2.14 */
static void test_five_levels(void)
{
    const uint64_t high = UINT64_C(1) << 48; /* canonical with five levels only */

    if ((cpuid_checked(7, 0).ecx >> 16 & 1) == 0) {
        tap_skip("no LA57", "guests with five levels");
        return;
    }
    pml5[0] = (uintptr_t)paging_root() | PAGE_P | PAGE_W;
    pml5[1] = pml5[0];
    fresh(m_read);
    svm_set(&g, VMCB_CR4, read_cr4() | CR4_LA57);
    svm_set(&g, VMCB_CR3, (uintptr_t)pml5);
    nested_leaf(WINDOW, pages[1], PWU);
    g.rdi = high | WINDOW;
    reads(NEW, "a guest with five levels under a host with four");
    fresh(m_read);
    svm_set(&g, VMCB_CR4, read_cr4() | CR4_LA57);
    svm_set(&g, VMCB_CR3, (uintptr_t)pml5);
    nested_leaf((uintptr_t)pml5, pml5, PAGE_P | PAGE_U);
    npf(NPF_TABLE | PF_US | PF_RW | PF_P, (uintptr_t)&pml5[0],
        "its first table access is the PML5E");
    fresh(m_read);
    g.rdi = high | WINDOW;
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_GP, "with four levels the address is not canonical");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_NP)) {
        tap_skip("no nested paging", "everything");
        tap_done();
    }
    test_unpaged();
    test_32bit();
    test_pae();
    test_pcid();
    test_five_levels();
    tap_done();
}

/* nested.c: nested paging: what #VMEXIT(NPF) reports, the order of guest and nested faults, accessed and
 * dirty bits of both levels. APM vol 2, 15.25 "Nested Paging", 15.25.6 "Nested versus Guest Page Faults,
 * Fault Ordering". */
#include "test-roms/svm/kit.h"

#define PWU (PAGE_P | PAGE_W | PAGE_U)

extern uint64_t boot_pml4[], boot_pdpt[], boot_pd[];

static uint8_t page[4096] __attribute__((aligned(4096)));
static struct svm_guest g;
static uint64_t *nested;

GUEST_CODE(n_read, "movq (%rdi), %rax");
GUEST_CODE(n_write, "movq %rax, (%rdi)");
GUEST_CODE(n_call, "call *%rdi");
GUEST_CODE(n_ud, "ud2");
GUEST_CODE(n_nothing, "");
GUEST_CODE(n_three, "movq (%rdi), %rax\nmovq %rax, 8(%rdi)\ncall *%rdi");

/* The nested leaf of a page of ours, split to 4 KiB. */
static volatile uint64_t *leaf(const void *at)
{
    uint64_t gpa = (uintptr_t)at & ~(PAGE_4K - 1);

    return paging_map(nested, gpa, gpa, PAGE_4K, PWU);
}

static void fresh(const char *code)
{
    nested = kit_nested_identity();
    kit_guest(&g, code);
    svm_set_nested(&g, nested);
    g.rdi = (uintptr_t)page + 16;
    page[0] = page[16] = 0xc3;
}

static void expect_npf(uint64_t info1, uint64_t gpa, const char *what)
{
    uint64_t code = svm_run(&g);

    tap_ok(code == VMEXIT_NPF && svm_get(&g, VMCB_EXITINFO1) == info1, "%s: NPF, EXITINFO1 %lx",
           what, info1);
    if (code != VMEXIT_NPF || svm_get(&g, VMCB_EXITINFO1) != info1)
        rom_printf("#   exit code %lx, EXITINFO1 %lx\n", code, svm_get(&g, VMCB_EXITINFO1));
    tap_eq(svm_get(&g, VMCB_EXITINFO2), gpa, "%s: EXITINFO2 is the guest physical address", what);
}

/* rows: svmop 15.2.3, 15.2.5, 15.2.8-15.2.9, 15.2.12, exit 3.4.1-3.4.5, 3.4.8, 3.4.15-3.4.19,
 * 3.4.22 */
static void test_final(void)
{
    static const struct {
        const char *name, *code;
        uint64_t clear, set, info1;
    } rows[] = {
        { "read, not present", n_read, PAGE_P, 0, NPF_FINAL | PF_US },
        { "write, not present", n_write, PAGE_P, 0, NPF_FINAL | PF_US | PF_RW },
        { "fetch, not present", n_call, PAGE_P, 0, NPF_FINAL | PF_US | PF_ID },
        { "fetch, NX", n_call, 0, PAGE_NX, NPF_FINAL | PF_US | PF_ID | PF_P },
        { "read, U/S=0", n_read, PAGE_U, 0, NPF_FINAL | PF_US | PF_P },
        { "write, U/S=0", n_write, PAGE_U, 0, NPF_FINAL | PF_US | PF_RW | PF_P },
        { "write, R/W=0", n_write, PAGE_W, 0, NPF_FINAL | PF_US | PF_RW | PF_P },
        { "read, reserved bit 51", n_read, 0, UINT64_C(1) << 51,
          NPF_FINAL | PF_US | PF_RSV | PF_P },
        { "fetch, reserved bit 51", n_call, 0, UINT64_C(1) << 51,
          NPF_FINAL | PF_US | PF_RSV | PF_ID | PF_P },
        { "write, not present with a reserved bit", n_write, PAGE_P, UINT64_C(1) << 51,
          NPF_FINAL | PF_US | PF_RW },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        volatile uint64_t *e;

        if ((rows[i].set & UINT64_C(1) << 51) != 0 && cpu_maxphyaddr() == 52) {
            tap_skip("52 address bits", "%s", rows[i].name);
            tap_skip("52 address bits", "%s", rows[i].name);
            continue;
        }
        fresh(rows[i].code);
        e = leaf(page);
        *e = (*e & ~rows[i].clear) | rows[i].set;
        expect_npf(rows[i].info1, (uintptr_t)page + 16, rows[i].name);
    }
    fresh(n_read);
    *leaf(page) &= ~PAGE_W;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "read, R/W=0: passes");
    fresh(n_read);
    *leaf(page) |= PAGE_NX;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "read, NX: passes");
}

/* rows: svmop 15.2.2, exit 3.4.9, 3.4.20-3.4.21 */
static void test_tables(void)
{
    /* Where the walk for an address below 1 GiB reads the guest's tables. */
    uint64_t pml4e = (uintptr_t)&boot_pml4[0], pdpe = (uintptr_t)&boot_pdpt[0];
    uint64_t pde = (uintptr_t)&boot_pd[(uintptr_t)n_nothing >> 21];

    fresh(n_nothing);
    *leaf(boot_pml4) &= ~PAGE_W;
    expect_npf(NPF_TABLE | PF_US | PF_RW | PF_P, pml4e, "PML4 read-only");
    fresh(n_nothing);
    *leaf(boot_pml4) &= ~PAGE_P;
    expect_npf(NPF_TABLE | PF_US | PF_RW, pml4e, "PML4 not present");
    fresh(n_nothing);
    *leaf(boot_pdpt) &= ~PAGE_P;
    expect_npf(NPF_TABLE | PF_US | PF_RW, pdpe, "PDP not present");
    fresh(n_nothing);
    *leaf((void *)pde) &= ~PAGE_U;
    expect_npf(NPF_TABLE | PF_US | PF_RW | PF_P, pde, "PD with U/S=0");
    fresh(n_nothing);
    nested[0] |= PAGE_PS;
    expect_npf(NPF_TABLE | PF_US | PF_RW | PF_RSV | PF_P, pml4e, "bit 7 in the nested PML4E");
    fresh(n_nothing);
    nested[0] |= PAGE_G;
    expect_npf(NPF_TABLE | PF_US | PF_RW | PF_RSV | PF_P, pml4e, "bit 8 in the nested PML4E");
    fresh(n_nothing);
    nested[0] &= ~PAGE_U;
    expect_npf(NPF_TABLE | PF_US | PF_RW | PF_P, pml4e, "U/S=0 in the nested PML4E");
    fresh(n_nothing);
    *leaf(boot_pml4) |= PAGE_NX;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "NX of the nested leaf means nothing for a table");
}

/* The guest's own fault comes first; it does not touch what the nested tables say of the target. */
/* rows: svmop 15.2.6, 15.2.7, 15.2.8 */
static void test_order(void)
{
    const uint64_t window = PAGING_WINDOW + UINT64_C(0x7000000);
    volatile uint64_t *guest = paging_map(paging_root(), window, (uintptr_t)page, PAGE_4K, PWU);
    struct kit_end end;

    fresh(n_read);
    g.rdi = window;
    *guest &= ~PAGE_P;
    *leaf(page) &= ~PAGE_P;
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_PF && end.event->error == 0,
           "guest entry not present: #PF, whatever the nested entry says");
    *guest |= PAGE_P;
    fresh(n_write);
    g.rdi = window;
    *guest &= ~PAGE_W;
    *leaf(page) &= ~PAGE_W;
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_PF && end.event->error == (PF_P | PF_RW),
           "both refuse the write: #PF of the guest");
    *guest |= PAGE_W;
    fresh(n_read);
    g.rdi = window + 8;
    *leaf(page) &= ~PAGE_P;
    svm_set(&g, VMCB_CR2, 0x4242);
    expect_npf(NPF_FINAL | PF_US, (uintptr_t)page + 8, "guest entry present, nested not");
    tap_eq(svm_get(&g, VMCB_CR2), 0x4242, "NPF leaves CR2 alone");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)n_read, "RIP is at the instruction");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & EVENT_V, 0, "no event was in delivery");
    *leaf(page) |= PAGE_P;
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "with the page there the same instruction goes on");
}

/* rows: exit 5.5, 6.6 */
static void test_delivery(void)
{
    fresh(n_ud);
    svm_set(&g, VMCB_RSP, (uintptr_t)page + 4096);
    *leaf(page) &= ~PAGE_P;
    tap_eq(svm_run(&g), VMEXIT_NPF, "NPF while #UD is delivered");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_V | EVENT_EXCEPTION | EXC_UD,
           "EXITINTINFO is the #UD");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), NPF_FINAL | PF_US | PF_RW, "EXITINFO1 is a write");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)n_ud, "RIP is at the UD2");
    tap_eq(svm_get(&g, VMCB_RSP), (uintptr_t)page + 4096, "RSP is that before the delivery");
    *leaf(page) |= PAGE_P;
    svm_set(&g, VMCB_EVENTINJ, svm_get(&g, VMCB_EXITINTINFO));
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    {
        struct kit_end end = kit_run(&g);

        tap_ok(end.event != NULL && end.event->vector == EXC_UD &&
                   end.event->rip == (uintptr_t)n_ud,
               "injecting EXITINTINFO completes it");
    }
}

/* rows: svmop 15.2.10 */
static void test_accessed_dirty(void)
{
    volatile uint64_t *data, *table;

    fresh(n_read);
    data = leaf(page);
    table = leaf(boot_pml4);
    svm_run(&g);
    tap_eq(*data & (PAGE_A | PAGE_D), PAGE_A, "a read sets A in the nested leaf");
    tap_eq(*table & (PAGE_A | PAGE_D), PAGE_A | PAGE_D,
           "the page of a guest table gets A and D: walks are writes");
    tap_eq(nested[0] & PAGE_A, PAGE_A, "A is set in the nested PML4E");
    fresh(n_write);
    data = leaf(page);
    svm_run(&g);
    tap_eq(*data & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "a write sets A and D in the nested leaf");
    fresh(n_call);
    data = leaf(page);
    svm_run(&g);
    tap_eq(*data & (PAGE_A | PAGE_D), PAGE_A, "a fetch sets A in the nested leaf");
}

/* rows: svmop 15.2.2, 15.2.10 */
static void test_guest_accessed(void)
{
    const uint64_t window = PAGING_WINDOW + UINT64_C(0x7000000);
    volatile uint64_t *guest = paging_map(paging_root(), window, (uintptr_t)page, PAGE_4K, PWU);

    fresh(n_write);
    g.rdi = window;
    svm_run(&g);
    tap_eq(*guest & (PAGE_A | PAGE_D), PAGE_A | PAGE_D, "A and D in the guest's own entry");
    *guest &= ~(PAGE_A | PAGE_D);
    fresh(n_write);
    g.rdi = window;
    *leaf(page) &= ~PAGE_P;
    svm_run(&g);
    tap_ok(svm_get(&g, VMCB_EXITCODE) == VMEXIT_NPF, "NPF of the final access");
    fresh(n_three);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "read, write and fetch with all rights");
}

/* The guest's address is not the host's: two nested tables, one guest physical address. */
/* rows: svmop 15.1.1, 15.2.11 */
static void test_translation(void)
{
    static uint64_t other[512] __attribute__((aligned(4096)));

    fresh(n_read);
    g.rdi = (uintptr_t)page + 128;
    *(uint64_t *)(page + 128) = 1;
    other[16] = 2;
    paging_map(nested, (uintptr_t)page, (uintptr_t)other, PAGE_4K, PWU);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_RAX), 2, "the guest reads through the nested tables");
    tap_eq(*(volatile uint64_t *)(page + 128), 1, "the host does not");
    fresh(n_read);
    paging_map(nested, 0, 0, PAGE_1G, PWU);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a nested page of 1 GiB");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_NP)) {
        tap_skip("no nested paging", "everything");
        tap_done();
    }
    test_final();
    test_tables();
    test_order();
    test_delivery();
    test_accessed_dirty();
    test_guest_accessed();
    test_translation();
    tap_done();
}

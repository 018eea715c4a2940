/* asid.c: ASIDs tag the TLB: what VMRUN and #VMEXIT keep, what TLB_CONTROL and INVLPGA drop, and how a
 * missing flush shows. APM vol 2, 15.16 "TLB Control", 15.25.7 "Combining Nested and Guest Attributes".
 *
 * The rows that find an old value are what this emulator promises; a processor may drop an entry at any
 * time, so that they need not hold on silicon. */
#include "test-roms/svm/kit.h"

#define PW (PAGE_P | PAGE_W)
#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define LA (PAGING_WINDOW + UINT64_C(0x10000000))
#define LA2 (LA + PAGE_4K)
#define GLOBAL (LA + 2 * PAGE_4K)
#define OLD 0x11111111u
#define NEW 0x22222222u

/* Reads LA, LA2 and the global page; results in RBX, RCX, RDX. */
GUEST_CODE(a_read, "movl (%rsi), %ebx\nmovl 4096(%rsi), %ecx\nmovl 8192(%rsi), %edx");
GUEST_CODE(a_invlpg, "invlpg (%rsi)\nmovl (%rsi), %ebx\nmovl 4096(%rsi), %ecx");
GUEST_CODE(a_mov_cr3, "movq %cr3, %rax\nmovq %rax, %cr3\nmovl (%rsi), %ebx\nmovl 4096(%rsi), %ecx\n"
                      "movl 8192(%rsi), %edx");

/* Calls a function in the window four times, and counts in RBX what it says. */
GUEST_CODE(a_call, "xorl %ebx, %ebx\ncall *%rsi\ncall *%rsi\ncall *%rsi\ncall *%rsi");
#define ADD_1_RET 0xc301c383u /* addl $1, %ebx; ret */
#define ADD_16_RET 0xc310c383u

static uint32_t pages[2][1024] __attribute__((aligned(4096)));
/* What the guests call a page: the host's address of it is chosen by the nested tables. */
static uint32_t window_gpa[3][1024] __attribute__((aligned(4096)));
static struct svm_guest g[2];
static uint64_t *nested[2];

static void run(struct svm_guest *guest, const char *code, uint8_t tlb_control)
{
    svm_set(guest, VMCB_RIP, (uintptr_t)code);
    svm_set8(guest, VMCB_TLB_CONTROL, tlb_control);
    svm_run(guest);
}

/* Both nested tables show this page at the three addresses. */
static void point_to(unsigned guest, unsigned index)
{
    for (unsigned i = 0; i < 3; i++)
        paging_map(nested[guest], (uintptr_t)window_gpa[i], (uintptr_t)pages[index], PAGE_4K, PWU);
}

/* Two guests, ASID 1 and 2, with the old page in their TLB and the new one in their nested tables. */
static void stale(void)
{
    pages[0][0] = OLD;
    pages[1][0] = NEW;
    for (unsigned i = 0; i < 2; i++) {
        kit_guest(&g[i], a_read);
        svm_set32(&g[i], VMCB_ASID, i + 1);
        svm_set(&g[i], VMCB_CR4, read_cr4() | CR4_PGE);
        svm_set_nested(&g[i], nested[i]);
        g[i].rsi = LA;
        point_to(i, 0);
    }
    run(&g[0], a_read, TLB_CONTROL_FLUSH_ALL);
    run(&g[1], a_read, TLB_CONTROL_NONE);
    point_to(0, 1);
    point_to(1, 1);
}

static void expect(unsigned guest, const char *code, uint8_t control, uint64_t la, uint64_t la2,
                   uint64_t global, const char *what)
{
    struct svm_guest *cpu = &g[guest];

    run(cpu, code, control);
    tap_ok(cpu->rbx == la && cpu->rcx == la2 && cpu->rdx == global, "%s", what);
    if (cpu->rbx != la || cpu->rcx != la2 || cpu->rdx != global)
        rom_printf("#   read %lx %lx %lx\n", cpu->rbx, cpu->rcx, cpu->rdx);
}

/* rows: svmop 14.1, 14.19, 14.20 */
static void test_tags(void)
{
    stale();
    expect(0, a_read, 0, OLD, OLD, OLD, "a changed nested entry is not seen without a flush");
    expect(1, a_read, 0, OLD, OLD, OLD, "nor by the other guest: VMRUN and #VMEXIT flush nothing");
    svm_set32(&g[1], VMCB_ASID, 1);
    point_to(1, 1);
    expect(1, a_read, 0, OLD, OLD, OLD,
           "a second VMCB with the ASID of the first shares its entries");
    svm_set32(&g[0], VMCB_ASID, 3);
    expect(0, a_read, 0, NEW, NEW, NEW, "a fresh ASID has none");
    stale();
    point_to(1, 0);
    run(&g[1], a_read, TLB_CONTROL_FLUSH_ALL);
    run(&g[0], a_read, TLB_CONTROL_NONE);
    tap_ok(g[0].rbx == NEW && g[1].rbx == OLD,
           "two guests with the same addresses, each sees its own page");
}

/* The same code at the same address calls the same address, which is another page in each guest. */
static void test_code(void)
{
    stale();
    for (unsigned i = 0; i < 2; i++) {
        pages[i][0] = i == 0 ? ADD_1_RET : ADD_16_RET;
        point_to(i, i);
    }
    run(&g[0], a_call, TLB_CONTROL_FLUSH_ALL);
    run(&g[1], a_call, TLB_CONTROL_NONE);
    tap_ok(g[0].rbx == 4 && g[1].rbx == 64,
           "two guests with the same code call each their own page");
    run(&g[0], a_call, TLB_CONTROL_NONE);
    run(&g[1], a_call, TLB_CONTROL_NONE);
    tap_ok(g[0].rbx == 4 && g[1].rbx == 64, "and again, when both are in the TLB");
    point_to(0, 1);
    run(&g[0], a_call, TLB_CONTROL_NONE);
    tap_eq(g[0].rbx, 4, "a changed nested entry is not seen by fetches without a flush");
    run(&g[0], a_call, TLB_CONTROL_FLUSH_ASID_LOCAL);
    tap_eq(g[0].rbx, 64, "but after one");
}

/* rows: svmop 14.1, 14.2, 14.3, 14.4 */
static void test_tlb_control(void)
{
    stale();
    expect(0, a_read, TLB_CONTROL_FLUSH_ALL, NEW, NEW, NEW, "TLB_CONTROL 1 flushes the guest");
    expect(1, a_read, 0, NEW, NEW, NEW, "and the other ASIDs");
    if (!svm_has(SVM_FEATURE_FLUSH_BY_ASID)) {
        tap_skip("no FlushByAsid", "TLB_CONTROL 3 and 7");
        return;
    }
    stale();
    expect(0, a_read, TLB_CONTROL_FLUSH_ASID, NEW, NEW, NEW,
           "TLB_CONTROL 3 flushes its ASID, global entries too");
    expect(1, a_read, 0, OLD, OLD, OLD, "and no other ASID");
    stale();
    expect(0, a_read, TLB_CONTROL_FLUSH_ASID_LOCAL, NEW, NEW, OLD,
           "TLB_CONTROL 7 leaves global entries");
    expect(1, a_read, 0, OLD, OLD, OLD, "and other ASIDs");
    tap_eq(svm_get8(&g[1], VMCB_TLB_CONTROL), 0, "TLB_CONTROL is not written by the processor");
}

/* rows: svmop 14.10 */
static void test_invlpga(void)
{
    stale();
    svm_invlpga(LA, 1);
    expect(1, a_read, 0, OLD, OLD, OLD, "INVLPGA leaves other ASIDs");
    run(&g[0], a_read, TLB_CONTROL_NONE);
    tap_eq(g[0].rcx, OLD, "and other addresses");
    /* What it drops is gone, but nested tables are walked anew only if their cache is dropped too. */
    stale();
    svm_invlpga(LA, 0);
    expect(0, a_read, 0, OLD, OLD, OLD, "INVLPGA for ASID 0 does not concern a guest");
}

/* The guest changes its own table: INVLPG by the guest and INVLPGA by the host show the new page. */
/* rows: svmop 14.9, 14.10 */
static void test_guest_tables(void)
{
    uint64_t root = (uintptr_t)paging_root();

    stale();
    point_to(0, 0);
    run(&g[0], a_read, TLB_CONTROL_FLUSH_ALL);
    window_gpa[0][0] = 0;
    paging_map((uint64_t *)root, LA, (uintptr_t)pages[1], PAGE_4K, PW);
    run(&g[0], a_read, TLB_CONTROL_NONE);
    tap_eq(g[0].rbx, OLD, "the guest's changed entry is not seen without a flush");
    run(&g[0], a_invlpg, TLB_CONTROL_NONE);
    tap_ok(g[0].rbx == NEW && g[0].rcx == OLD, "INVLPG in the guest drops its page");
    paging_map((uint64_t *)root, LA, (uintptr_t)pages[0], PAGE_4K, PW);
    run(&g[0], a_read, TLB_CONTROL_NONE);
    tap_eq(g[0].rbx, NEW, "again not seen");
    svm_invlpga(LA, 1);
    run(&g[0], a_read, TLB_CONTROL_NONE);
    tap_eq(g[0].rbx, OLD, "INVLPGA of its ASID drops it");
    paging_map((uint64_t *)root, LA, (uintptr_t)pages[1], PAGE_4K, PW);
    paging_map((uint64_t *)root, GLOBAL, (uintptr_t)pages[1], PAGE_4K, PW | PAGE_G);
    expect(0, a_mov_cr3, 0, NEW, OLD, OLD, "MOV CR3 in the guest drops what is not global");
    paging_map((uint64_t *)root, LA, (uintptr_t)window_gpa[0], PAGE_4K, PW);
    paging_map((uint64_t *)root, GLOBAL, (uintptr_t)window_gpa[2], PAGE_4K, PW | PAGE_G);
}

/* The host has entries of its own under ASID 0, at the same addresses. */
/* rows: svmop 14.2, 14.3 */
static void test_host(void)
{
    uint64_t *root = paging_root();

    stale();
    invlpg(LA);
    window_gpa[0][0] = 0x77;
    tap_eq(*(volatile uint32_t *)LA, 0x77, "the host reads its own page at the guests' address");
    paging_map(root, LA, (uintptr_t)pages[0], PAGE_4K, PW);
    run(&g[0], a_mov_cr3, TLB_CONTROL_NONE);
    tap_eq(*(volatile uint32_t *)LA, 0x77,
           "a world switch and MOV CR3 in a guest leave the host's entry");
    run(&g[0], a_read, TLB_CONTROL_FLUSH_ASID);
    if (svm_has(SVM_FEATURE_FLUSH_BY_ASID))
        tap_eq(*(volatile uint32_t *)LA, 0x77, "so does TLB_CONTROL 3");
    else
        tap_skip("no FlushByAsid", "so does TLB_CONTROL 3");
    run(&g[0], a_read, TLB_CONTROL_FLUSH_ALL);
    tap_eq(*(volatile uint32_t *)LA, OLD, "TLB_CONTROL 1 drops it");
    paging_map(root, LA, (uintptr_t)window_gpa[0], PAGE_4K, PW);
    tap_eq(*(volatile uint32_t *)LA, OLD, "changed again");
    svm_invlpga(LA, 0);
    tap_eq(*(volatile uint32_t *)LA, 0x77, "INVLPGA with ASID 0 drops the host's entry");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_NP)) {
        tap_skip("no nested paging", "everything");
        tap_done();
    }
    for (unsigned i = 0; i < 3; i++)
        paging_map(paging_root(), LA + i * PAGE_4K, (uintptr_t)window_gpa[i], PAGE_4K,
                   PW | (i == 2 ? PAGE_G : 0));
    for (unsigned i = 0; i < 2; i++)
        nested[i] = kit_nested_identity();
    test_tags();
    if (svm_has(SVM_FEATURE_FLUSH_BY_ASID))
        test_code();
    test_tlb_control();
    test_invlpga();
    test_guest_tables();
    test_host();
    tap_done();
}

/* clean.c: VMCB clean bits, and VMLOAD and VMSAVE of guests with their virtualization. The manual lets hardware ignore clean
 * bits that are 1; what this processor does with them is marked "kept". APM vol 2, 15.15 "VMCB State Caching", 15.33.1
 * "VMSAVE and VMLOAD Virtualization". */
#include "test-roms/svm/kit.h"

#define SVM_FEATURE_VMCB_CLEAN (1u << 5)
#define SVM_FEATURE_VIRT_VMLOAD (1u << 15)
#define CLEAN_I (1u << 0)
#define CLEAN_CRX (1u << 5)
#define CLEAN_CR2 (1u << 9)
#define CLEAN_ALL 0xffffffffu
#define VIRT_VMLOAD (1u << 1)
#define WINDOW UINT64_C(0x40000000) /* a guest physical page of its own */

GUEST_CODE(c_read, "movq %cr2, %rbx");
GUEST_CODE(c_write, "movq %rdi, %cr2");
GUEST_CODE(c_nop, "nop");
GUEST_CODE(c_vmload, "vmload %rax");
GUEST_CODE(c_vmsave, "vmsave %rax");

static struct svm_guest g;
static uint8_t host_state[4096] __attribute__((aligned(4096)));
static uint8_t guest_state[4096] __attribute__((aligned(4096)));

/* ---- clean bits -------------------------------------------------------------------------------------------- */

/* Run this code of the guest with these clean bits. */
static uint64_t again(const char *code, uint32_t clean)
{
    svm_set(&g, VMCB_RIP, (uintptr_t)code);
    svm_set32(&g, VMCB_CLEAN, clean);
    return kit_run(&g).exitcode;
}

/* Two runs: the first with a clean bit finds nothing kept. */
static void start(void)
{
    kit_guest(&g, c_read);
    again(c_read, 0);
    again(c_read, CLEAN_ALL);
}

static void test_covered(void)
{
    start();
    svm_set(&g, VMCB_CR2, 0x1111);
    again(c_read, CLEAN_ALL & ~CLEAN_CR2);
    tap_eq(g.rbx, 0x1111, "clean bit 0: CR2 comes from memory");
    svm_set(&g, VMCB_CR2, 0x2222);
    again(c_read, CLEAN_ALL);
    tap_eq(g.rbx, 0x1111, "clean bit 1: CR2 is kept");
    tap_eq(svm_get(&g, VMCB_CR2), 0x1111, "#VMEXIT writes what was kept");
    svm_set(&g, VMCB_CR2, 0x3333);
    again(c_read, 0);
    tap_eq(g.rbx, 0x3333, "clean field 0: CR2 comes from memory");

    g.rdi = 0x4444;
    again(c_write, CLEAN_ALL);
    svm_set(&g, VMCB_CR2, 0x5555);
    again(c_read, CLEAN_CR2);
    tap_eq(g.rbx, 0x4444, "the guest's own CR2 is kept");
}

static void test_intercepts(void)
{
    start();
    svm_intercept(&g, VMCB_INTERCEPT_CR, 1u << 2); /* read of CR2 */
    tap_eq(again(c_read, CLEAN_ALL), VMEXIT_VMMCALL, "a new intercept under clean bit 0: kept");
    tap_eq(again(c_read, CLEAN_ALL & ~CLEAN_I), 0x02, "a new intercept behind a cleared bit");
}

/* Memory may be illegal where it is not looked at. */
static void test_rules(void)
{
    uint64_t efer;

    start();
    efer = svm_get(&g, VMCB_EFER);
    svm_set(&g, VMCB_EFER, 0);
    tap_eq(again(c_nop, CLEAN_ALL), VMEXIT_VMMCALL, "an illegal EFER under clean bit 5: kept");
    tap_eq(svm_get(&g, VMCB_EFER), efer, "#VMEXIT repairs it");
    svm_set(&g, VMCB_EFER, 0);
    tap_eq(again(c_nop, CLEAN_ALL & ~CLEAN_CRX), VMEXIT_INVALID, "the same behind a cleared bit");
    svm_set(&g, VMCB_EFER, efer);
    svm_set(&g, VMCB_CR2, 0x6666);
    tap_eq(again(c_read, CLEAN_ALL), VMEXIT_VMMCALL, "it runs again");
    tap_eq(g.rbx, 0x6666, "after VMEXIT_INVALID nothing is kept");
}

static void test_uncovered(void)
{
    start();
    svm_set(&g, VMCB_RAX, 0x7777);
    svm_set(&g, VMCB_RSP, kit_stack_top() - 64);
    again(c_nop, CLEAN_ALL);
    tap_eq(svm_get(&g, VMCB_RSP), kit_stack_top() - 64, "RSP comes from memory always");
    svm_set(&g, VMCB_RFLAGS, 0x2 | 0x1);
    again(c_nop, CLEAN_ALL);
    tap_eq(svm_get(&g, VMCB_RFLAGS), 0x3, "RFLAGS comes from memory always");
}

/* The address of the VMCB tells guests apart. */
static void test_other_vmcb(void)
{
    uint8_t *first, *second = rom_pages(1);

    start();
    first = g.vmcb;
    memcpy(second, first, 4096);
    g.vmcb = second;
    svm_set(&g, VMCB_CR2, 0x8888);
    again(c_read, CLEAN_ALL);
    tap_eq(g.rbx, 0x8888, "another VMCB: clean bits are ignored");
    g.vmcb = first;
    svm_set(&g, VMCB_CR2, 0x9999);
    again(c_read, CLEAN_ALL);
    tap_eq(g.rbx, 0x9999, "the first again: one guest is kept");
}

/* ---- VMLOAD and VMSAVE of guests ----------------------------------------------------------------------------- */

/* A guest with nested paging that has guest_state at WINDOW, or no page there. */
static void nest(const char *code, uint64_t virt, uint64_t rights)
{
    uint64_t *nested = kit_nested_identity();

    paging_map(nested, WINDOW, (uintptr_t)guest_state, PAGE_4K, rights);
    kit_guest(&g, code);
    svm_set_nested(&g, nested);
    svm_set(&g, VMCB_VIRT_EXT, virt);
    svm_set(&g, VMCB_RAX, WINDOW);
}

static uint64_t run_moved(void)
{
    uint64_t code, star;

    svm_vmsave(host_state);
    code = svm_run(&g);
    star = rdmsr(MSR_STAR);
    svm_vmload(host_state);
    tap_eq(code, VMEXIT_VMMCALL, "VMLOAD or VMSAVE in the guest: no exit");
    return star;
}

static void test_vmload(void)
{
    svm_vmsave(guest_state);
    *(volatile uint64_t *)(guest_state + VMCB_STAR) = 0xabcdef;
    nest(c_vmload, VIRT_VMLOAD, PAGE_P | PAGE_U);
    tap_eq(run_moved(), 0xabcdef, "virtual VMLOAD reads guest physical memory");
    nest(c_vmsave, VIRT_VMLOAD, PAGE_P | PAGE_W | PAGE_U);
    run_moved();
    tap_eq(*(volatile uint64_t *)(guest_state + VMCB_STAR), rdmsr(MSR_STAR),
           "virtual VMSAVE writes guest physical memory");

    nest(c_vmsave, VIRT_VMLOAD, PAGE_P | PAGE_U);
    tap_eq(svm_run(&g), VMEXIT_NPF, "virtual VMSAVE to a read-only page: nested page fault");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), NPF_FINAL | PF_US | PF_RW | PF_P, "EXITINFO1");
    tap_eq(svm_get(&g, VMCB_EXITINFO2), WINDOW, "EXITINFO2");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)c_vmsave, "RIP is that of VMSAVE");
    nest(c_vmload, VIRT_VMLOAD, PAGE_P | PAGE_U);
    svm_intercept(&g, VMCB_INTERCEPT_4, 1u << 2);
    tap_eq(svm_run(&g), 0x82, "the intercept of VMLOAD comes first");
    nest(c_vmload, VIRT_VMLOAD, PAGE_P | PAGE_U);
    svm_set(&g, VMCB_NP_ENABLE, 0);
    tap_eq(svm_run(&g), 0x82, "without nested paging VMLOAD exits");
}

int rom_main(void)
{
    kit_init();
    if (svm_has(SVM_FEATURE_VMCB_CLEAN)) {
        test_covered();
        test_intercepts();
        test_rules();
        test_uncovered();
        test_other_vmcb();
    } else {
        tap_skip("no VMCB clean bits", "clean bits");
    }
    if (svm_has(SVM_FEATURE_VIRT_VMLOAD))
        test_vmload();
    else
        tap_skip("no virtual VMLOAD", "VMLOAD in guests");
    tap_done();
}

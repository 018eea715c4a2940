/* pause_filter.c: PAUSE_FILTER_COUNT and PAUSE_FILTER_THRESHOLD. APM vol 2, 15.14.4 "Pause Intercept Filtering". */
#include "test-roms/svm/kit.h"

/* RCX: how often to go round; RBX counts the PAUSEs that have passed. */
GUEST_CODE(p_tight, "xorl %ebx, %ebx\n1: pause\nincq %rbx\ndecq %rcx\njnz 1b");
GUEST_CODE(p_wide,
           "xorl %ebx, %ebx\n1: pause\nincq %rbx\n.rept 400\nnop\n.endr\ndecq %rcx\njnz 1b");

static struct svm_guest g;

/* Run until PAUSE exits or `rounds` have gone by. */
static uint64_t run(const char *code, unsigned count, unsigned threshold, uint64_t rounds)
{
    kit_guest(&g, code);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_PAUSE);
    svm_set32(&g, VMCB_PAUSE_FILTER_THRESHOLD, threshold | (uint32_t)count << 16);
    g.rcx = rounds;
    return svm_run(&g);
}

/* rows: svmop 13.1, 13.2, 13.4, 13.5, exit 1.2.18 */
static void test_count(void)
{
    static const unsigned counts[] = { 1, 2, 100, 3000, 65535 };

    tap_eq(run(p_tight, 0, 0, 10), VMEXIT_PAUSE, "a count of 0: PAUSE exits");
    tap_eq(g.rbx, 0, "the first one");
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        tap_eq(run(p_tight, counts[i], 0, 100000), VMEXIT_PAUSE, "a count of %u: it exits",
               counts[i]);
        tap_eq(g.rbx, counts[i], "when %u have passed", counts[i]);
        tap_eq(svm_get32(&g, VMCB_PAUSE_FILTER_THRESHOLD), (uint32_t)counts[i] << 16,
               "the field in the VMCB stays");
    }
    if (svm_has(SVM_FEATURE_NRIPS))
        tap_eq(svm_get(&g, VMCB_NRIP), svm_get(&g, VMCB_RIP) + 2, "nRIP is behind PAUSE");
    tap_eq(run(p_tight, 100, 0, 100), VMEXIT_VMMCALL, "100 PAUSEs with a count of 100 do not exit");
}

/* VMRUN loads the counter again: an exit in between starts a new count. */
/* rows: svmop 13.2 */
static void test_reload(void)
{
    run(p_tight, 50, 0, 40);
    svm_set(&g, VMCB_RIP, (uintptr_t)p_tight);
    g.rcx = 50;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "VMRUN reloads the counter");
    tap_eq(g.rbx, 50, "so that 50 more pass");
}

/* rows: svmop 13.3 */
static void test_threshold(void)
{
    if (!svm_has(SVM_FEATURE_PAUSE_THRESHOLD)) {
        tap_skip("no pause filter threshold", "the threshold");
        return;
    }
    tap_eq(run(p_tight, 100, 0xffff, 100000), VMEXIT_PAUSE, "within the threshold PAUSEs count");
    tap_ok(g.rbx == 100 || g.rbx == 101, "the first one may count or not");
    tap_eq(run(p_wide, 100, 1, 10000), VMEXIT_VMMCALL,
           "further apart than the threshold they reload the counter");
    tap_eq(g.rbx, 10000, "and never exit");
    tap_eq(run(p_wide, 0, 1, 10), VMEXIT_PAUSE, "but with a count of 0 all do");
    tap_eq(run(p_wide, 5, 0, 10), VMEXIT_PAUSE, "a threshold of 0 is none");
    tap_eq(g.rbx, 5, "it only counts");
}

static void test_user(void)
{
    kit_guest(&g, p_tight);
    kit_guest_user(&g);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_PAUSE);
    svm_set32(&g, VMCB_PAUSE_FILTER_THRESHOLD, 7u << 16);
    g.rcx = 100;
    tap_eq(svm_run(&g), VMEXIT_PAUSE, "at level 3 it counts too");
    tap_eq(g.rbx, 7, "alike");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_PAUSE_FILTER)) {
        tap_skip("no pause filter", "everything");
        tap_done();
    }
    test_count();
    test_reload();
    test_threshold();
    test_user();
    tap_done();
}

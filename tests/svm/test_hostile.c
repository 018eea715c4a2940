/* Hostile VMCBs, host save pages and addresses: never a crash, always a state that keeps its invariants. */
#include <pacifica/pacifica.h>

#include "tests/random.h"
#include "tests/svm/world.h"

#define ROUNDS 100000u

static uint64_t random_value(uint64_t *state)
{
    static const uint64_t interesting[] = { 0,
                                            1,
                                            2,
                                            3,
                                            7,
                                            0xff,
                                            0xfff,
                                            0x7fff,
                                            0x8000,
                                            0xffff,
                                            0x10000,
                                            0x80000000,
                                            0xffffffff,
                                            0x100000000,
                                            0x800000000000,
                                            0xffff800000000000,
                                            0x7fffffffffffffff,
                                            UINT64_MAX,
                                            0x80000020,
                                            0x800003ff,
                                            0x8000030e,
                                            0x80010031,
                                            CR4_PAE,
                                            EFER_SVME,
                                            EFER_LONG };
    uint64_t r = test_random(state);
    switch (r & 3) {
    case 0: return test_random(state);
    case 1: return UINT64_C(1) << (r >> 8 & 63);
    default: return interesting[(r >> 8) % (sizeof(interesting) / sizeof(interesting[0]))];
    }
}

/* RAM, its edges, the hole below 1 MiB, MMIO, the end of physical memory. */
static uint64_t random_page(uint64_t *state)
{
    static const uint64_t pages[] = {
        VMCB_SPA, VMCB_SPA, VMCB_SPA, VMCB_SPA,           VMCB_SPA,  0,        HSAVE_SPA,
        0x9f000,  0xa0000,  0x100000, RAM_BYTES - 0x1000, RAM_BYTES, MMIO_SPA, LIMIT_SPA - 0x1000
    };
    return pages[test_random(state) % (sizeof(pages) / sizeof(pages[0]))];
}

static void check_host(const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    ck_assert(!svm->guest && !svm->gif && !svm->v_irq && !svm->nested_paging && !svm->inject.valid);
    ck_assert_uint_eq(svm->asid, 0);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(svm->intercept[i], 0);
}

static void check_guest(const struct vcpu *cpu)
{
    const struct svm_state *svm = cpu->svm;
    ck_assert(svm->guest && svm->gif);
    ck_assert(svm->asid > 0 && svm->asid < SVM_ASID_COUNT);
    ck_assert(svm_intercepts(cpu, INTERCEPT_VMRUN));
    ck_assert(cpu->regs.efer & EFER_SVME);
    ck_assert_uint_eq(cpu->regs.cr0 >> 32, 0);
    ck_assert_uint_eq(cpu->regs.cr3 >> 48, 0);
    ck_assert_uint_le(cpu->regs.cpl, 3);
    ck_assert_uint_le(svm->v_tpr, 15);
    ck_assert_uint_eq(cpu->rflags & ~(uint64_t)(FLAGS_WRITABLE | 2), 0);
    for (enum seg s = SEG_ES; s <= SEG_DS; s++)
        ck_assert_uint_eq(cpu->regs.seg[s].attr >> 12, 0);
}

struct tally {
    unsigned entered, refused, shutdowns;
};

static void host_again(struct world *w)
{
    ck_assert_int_eq(w->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
    world_host(w);
}

static void one_round(struct world *w, uint64_t *state, struct tally *tally)
{
    struct vcpu *cpu = w->cpu;
    uint64_t spa = random_page(state);
    uint8_t *vmcb = memory_ptr(w->memory, spa, VMCB_PAGE_BYTES);
    cpu->msr.vm_hsave_pa = test_random(state) % 16 ? HSAVE_SPA : random_page(state);
    if (vmcb) {
        world_guest(vmcb);
        for (unsigned n = test_random(state) % 6; n > 0; n--) {
            unsigned field = test_random(state) % VMCB_FIELD_COUNT;
            unsigned bytes = vmcb_fields[field].bytes < 8 ? vmcb_fields[field].bytes : 8;
            vmcb_store(vmcb, vmcb_fields[field].offset, bytes, random_value(state));
        }
        if (test_random(state) % 64 == 0)
            for (unsigned at = 0; at < VMCB_PAGE_BYTES; at += 8)
                vmcb_store(vmcb, at, 8, test_random(state));
    }
    enum step step = svm_vmrun(cpu, spa, NEXT_RIP);
    if (step == STEP_STOP) {
        tally->shutdowns++;
        host_again(w);
        return;
    }
    if (step == STEP_VMEXIT) {
        tally->refused++;
        ck_assert_ptr_nonnull(cpu->svm->invalid.rule);
        check_host(cpu);
        return;
    }
    ck_assert_int_eq(step, STEP_JUMP);
    tally->entered++;
    check_guest(cpu);
    if (test_random(state) % 32 ==
        0) /* the hypervisor's other processor spoils the host save page */
        vmcb_store(w->hsave, VMCB_SAVE_AREA + test_random(state) % 0x200 / 8 * 8, 8,
                   random_value(state));
    (void)svm_io_intercepted(cpu, (uint16_t)test_random(state), 1u << test_random(state) % 3);
    (void)svm_msr_intercepted(cpu, (uint32_t)random_value(state), test_random(state) & 1);
    cpu->r[REG_RIP] = random_value(state);
    step = test_random(state) & 1
               ? svm_vmexit(cpu, random_value(state), test_random(state), test_random(state))
               : svm_vmexit_insn(cpu, random_value(state), 0, 0, test_random(state) % 16);
    check_host(cpu);
    if (step == STEP_STOP) {
        tally->shutdowns++;
        host_again(w);
        return;
    }
    ck_assert_int_eq(step, STEP_VMEXIT);
    ck_assert_uint_eq(cpu->regs.cpl, 0);
}

START_TEST(random_vmcbs_never_crash)
{
    struct world *w = world_new();
    struct tally tally = { 0 };
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(w, &state, &tally);
    /* each way out was taken often */
    ck_assert_uint_gt(tally.entered, ROUNDS / 10);
    ck_assert_uint_gt(tally.refused, ROUNDS / 10);
    ck_assert_uint_gt(tally.shutdowns, ROUNDS / 1000);
    world_free(w);
}
END_TEST

START_TEST(random_exits_are_described_within_bounds)
{
    uint64_t state = 12345;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[64];
        unsigned size = (unsigned)(test_random(&state) % sizeof(text));
        uint64_t code =
            test_random(&state) & 1 ? test_random(&state) % 0x410 : random_value(&state);
        memset(text, 'X', sizeof(text));
        ck_assert_int_gt(
            svm_describe_exit(text, size, code, random_value(&state), random_value(&state)), 0);
        (void)svm_describe_event(text, size, test_random(&state));
        unsigned spoiled = 0;
        for (unsigned at = size; at < sizeof(text); at++)
            spoiled += text[at] != 'X';
        ck_assert_uint_eq(spoiled, 0);
    }
}
END_TEST

/* The VMCB and the host save page may be the same page; the host is saved before the guest is read. */
START_TEST(vmcb_that_is_the_host_save_page_runs_the_host_as_its_guest)
{
    struct world *w = world_new();
    w->cpu->msr.vm_hsave_pa = VMCB_SPA;
    VMCB_SET(w->vmcb, RIP, 0x123);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->r[REG_RIP], NEXT_RIP);
    ck_assert_uint_eq(w->cpu->regs.cr3, 0x1000);
    w->cpu->r[REG_RIP] = 0x777;
    world_exit(w, VMEXIT_HLT); /* and #VMEXIT loads as host what it saved as guest */
    ck_assert_uint_eq(w->cpu->r[REG_RIP], 0x777);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/hostile");
    TCase *tc = tcase_create("hostile");
    tcase_add_test(tc, random_vmcbs_never_crash);
    tcase_add_test(tc, random_exits_are_described_within_bounds);
    tcase_add_test(tc, vmcb_that_is_the_host_save_page_runs_the_host_as_its_guest);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

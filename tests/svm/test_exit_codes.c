/* Exit codes that stand in the manual and belong to encrypted guests or to Secure AVIC: nothing makes them. APM vol 2, appendix C
 * "SVM Intercept Exit Codes", 15.29.6.1. */
#include "tests/check_main.h"
#include "tests/svm/avic_kit.h"

/* VMRUN refuses with one code, whatever is wrong: every bit of the VMCB is turned over, in guests with nested paging and
 * without.
 * rows: exit 1.4.8-1.4.11 */
START_TEST(vmrun_refuses_with_one_code)
{
    struct world *w = world_new();
    uint8_t legal[VMCB_PAGE_BYTES];
    unsigned refused = 0;
    for (unsigned np = 0; np < 2; np++) {
        world_guest(w->vmcb);
        VMCB_SET(w->vmcb, NESTED_CONTROL, np ? NESTED_NP_ENABLE : 0);
        VMCB_SET(w->vmcb, N_CR3, TABLES_SPA);
        memcpy(legal, w->vmcb, sizeof(legal));
        for (unsigned bit = 0; bit < 8 * 0x700; bit++) {
            memcpy(w->vmcb, legal, sizeof(legal));
            VMCB_SET(w->vmcb, EXITCODE, 0x7777);
            w->vmcb[bit / 8] ^= (uint8_t)(1u << bit % 8);
            enum step step = world_vmrun(w);
            if (step == STEP_JUMP) {
                world_exit(w, VMEXIT_HLT);
                ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), VMEXIT_HLT);
                continue;
            }
            ck_assert_int_eq(step, STEP_VMEXIT);
            ck_assert_msg(VMCB_GET(w->vmcb, EXITCODE) == VMEXIT_INVALID, "bit %u of %03xh", bit % 8,
                          bit / 8);
            refused++;
        }
    }
    ck_assert_uint_gt(refused, 200);
    world_free(w);
}
END_TEST

/* Reasons 0 to 4: 5 is that of Secure AVIC. All types, modes and shorthands, to targets of every kind.
 * rows: exit 3.6.9, vmcb 12.10 */
WITH_AVIC(no_ipi_has_the_reason_of_secure_avic, avic_xapic)
{
    static const uint8_t vectors[] = { 0, 15, 16, 0xff };
    unsigned seen = 0;
    avic_physical(a, 1, VALID | (BACKING + 0x1000) | 0x11); /* does not run */
    avic_physical(a, 2, VALID | RUNNING | LIMIT_SPA);       /* no address */
    for (uint32_t command = 0; command < 0x4000; command++) {
        uint32_t low = command >> 2 << 8 | vectors[command & 3];
        for (uint32_t id = 0; id < 5; id++) {
            avic_send(a, (id == 4 ? 0xffu : id) << 24, low);
            if (!a->avic->trapped)
                continue;
            a->avic->trapped = false;
            ck_assert_uint_eq(a->avic->trap_code, VMEXIT_AVIC_INCOMPLETE_IPI);
            ck_assert_uint_le(a->avic->trap_info2 >> 32, 4);
            seen |= 1u << (a->avic->trap_info2 >> 32);
        }
    }
    ck_assert_uint_eq(seen, 0x1f);
}

CHECK_MAIN("exit_codes", vmrun_refuses_with_one_code, no_ipi_has_the_reason_of_secure_avic)

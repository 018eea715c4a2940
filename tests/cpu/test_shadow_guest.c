/* Guests with shadow stacks of their own: what #VMEXIT saves in the middle of a call, the #CP intercept, nested page faults of their
 * accesses and the supervisor shadow stack check, events, SMM. APM vol 2, 15.5.1, 15.12.15, 15.22.3, 15.25.6, 15.25.14. The
 * registers at a world switch: tests/svm/test_shadow_stacks.c; nested tables: tests/paging/test_nested_shadow.c. */
#include "tests/check_main.h"
#include "tests/cpu/program.h"
#include "tests/cpu/shadow_kit.h"
#include "tests/cpu/smm_kit.h"

#define N_PML4 0x80000ull
#define N_PDPT 0x81000ull
#define N_PD 0x82000ull
#define N_PT 0x83000ull /* of PAGED_LA - PAGED_LA + 2 MiB */
#define NX (1ull << 63)
#define SSS_PAGE (1 | NX)
#define GUEST_SSP (SUPERVISOR_LA + 0x400u)

#define CALL_VMMCALL \
    "\xe8\x01\x00\x00\x00\xf4\x0f\x01\xd9\xc3" /* CALL to a VMMCALL and a RET, then HLT */
#define RET "\xc3"

static void nested_page(struct kit *k, uint64_t gpa, uint64_t bits)
{
    kit_put(k, N_PT + 8 * (gpa >> 12 & 511), 8, (gpa & ~0xfffull) | bits);
}

static void enter(struct kit *k)
{
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->svm->invalid_count, 0);
}

/* A guest at CODE_SPA with supervisor shadow stacks, not yet entered; the host has them too. Its memory is the host's. */
static void prepare(struct kit *k, const char *code, unsigned len, uint64_t nested)
{
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, CODE_SPA + i, 1, i < len ? (uint8_t)code[i] : 0xf4);
    kit_put(k, CODE_SPA + 0x100, 1, 0xf4); /* where the host goes on */
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 7);
    for (uint64_t i = 0; i < 4; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    kit_put(k, N_PD + 8 * (PAGED_LA >> 21), 8, N_PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        nested_page(k, PAGED_LA + (i << 12), 7);
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    shadow_on(k); /* the kit's host comes without */
    VMCB_SET(k->vmcb, CR4, k->cpu->regs.cr4);
    VMCB_SET(k->vmcb, S_CET, SHADOW_CET_ENABLE);
    VMCB_SET(k->vmcb, SSP, GUEST_SSP);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_HLT & 31));
    VMCB_SET(k->vmcb, INTERCEPT_4, 3); /* VMRUN, VMMCALL */
    if (nested) {
        VMCB_SET(k->vmcb, NESTED_CONTROL, nested);
        VMCB_SET(k->vmcb, N_CR3, N_PML4);
        VMCB_SET(k->vmcb, G_PAT, 0x0007040600070406);
    }
    k->cpu->svm->model.features |= SVM_FEATURE_SSS;
    k->deliveries = 0;
}
#define PREPARE(k, code, nested) prepare((k), (code), sizeof(code) - 1, (nested))

static void run_until(struct kit *k, uint64_t exit)
{
    enter(k);
    program_run(k, 20);
    ck_assert(!svm_guest(k->cpu));
    ck_assert_msg(VMCB_GET(k->vmcb, EXITCODE) == exit, "exit %llx",
                  (unsigned long long)VMCB_GET(k->vmcb, EXITCODE));
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP); /* the host's */
    ck_assert_uint_eq(k->cpu->shadow.s_cet, SHADOW_CET_ENABLE | SHADOW_CET_WRITE);
    k->cpu->svm->gif = true;
    k->cpu->regs.halted = false;
}

/* --- calls --- */

/* rows: svmop 3.21, 5.2 */
WITH_SHADOW(an_exit_inside_a_call_keeps_ssp)
{
    PREPARE(k, CALL_VMMCALL, 0);
    kit_put(k, SSP - 8, 8, 0x5a5a);
    run_until(k, VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP - 8);
    ck_assert_uint_eq(kit_get(k, GUEST_SSP - 8, 8), CODE_SPA + 5);
    VMCB_SET(k->vmcb, RIP, VMCB_GET(k->vmcb, NRIP));
    run_until(k, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 5);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    ck_assert_uint_eq(kit_get(k, SSP - 8, 8), 0x5a5a);
    ck_assert_uint_eq(k->deliveries, 0);
}

/* A host without shadow stacks runs code without them, whatever its guest does, and the other way round. */
WITH_SHADOW(each_side_has_its_own)
{
    PREPARE(k, CALL_VMMCALL, 0);
    VMCB_SET(k->vmcb, S_CET, 0);
    run_until(k, VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    VMCB_SET(k->vmcb, RIP, CODE_SPA);
    VMCB_SET(k->vmcb, S_CET, SHADOW_CET_ENABLE);
    VMCB_SET(k->vmcb, CR4, CR4_PAE);
    run_until(k, VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    VMCB_SET(k->vmcb, RIP, CODE_SPA);
    VMCB_SET(k->vmcb, CR4, CR4_PAE | CR4_CET);
    run_until(k, VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP - 8);
    ck_assert(shadow_stack_on(k->cpu, 0));
}

/* The guest's WRMSR acts on what #VMEXIT saves. */
WITH_SHADOW(the_guests_msrs_are_saved)
{
    PREPARE(k, "\xf4", 0);
    enter(k);
    ck_assert_int_eq(msr_write(k->cpu, 0x6a2, 2), STEP_NEXT);
    ck_assert_int_eq(msr_write(k->cpu, 0x6a8, 0x7000), STEP_NEXT);
    program_run(k, 10);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, S_CET), 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, ISST_ADDR), 0x7000);
    ck_assert_uint_eq(k->cpu->shadow.isst, 0);
}

/* --- #CP --- */

/* rows: exit 4.15 */
WITH_SHADOW(control_protection_is_intercepted)
{
    PREPARE(k, RET, 0);
    kit_put(k, STACK_TOP, 8, CODE_SPA + 8);
    kit_put(k, GUEST_SSP, 8, CODE_SPA + 9);
    VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_CP);
    run_until(k, VMEXIT_EXCP0 + EXC_CP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), CP_NEAR_RET);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), STACK_TOP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    /* Injected, it is the guest's. */
    VMCB_SET(k->vmcb, EVENTINJ,
             EVENTINJ_V | EVENTINJ_EV | EVENT_EXCEPTION << 8 | EXC_CP |
                 (uint64_t)CP_NEAR_RET << 32);
    run_until(k, VMEXIT_HLT);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_CP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), HANDLER + 16 * EXC_CP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP - 24);
    ck_assert_uint_eq(kit_get(k, VMCB_GET(k->vmcb, RSP), 8), CP_NEAR_RET);
}

WITH_SHADOW(control_protection_without_its_intercept)
{
    PREPARE(k, RET, 0);
    kit_put(k, STACK_TOP, 8, CODE_SPA + 8);
    kit_put(k, GUEST_SSP, 8, CODE_SPA + 9);
    VMCB_SET(k->vmcb, INTERCEPT_EXCP, ~(1u << EXC_CP));
    run_until(k, VMEXIT_HLT);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_CP);
}

/* --- nested paging --- */

static void expect_npf(struct kit *k, uint64_t info1, uint64_t gpa)
{
    run_until(k, VMEXIT_NPF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), info1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), gpa);
}

/* rows: exit 3.4.6 */
WITH_SHADOW(pushes_need_nested_write_permission)
{
    PREPARE(k, CALL_VMMCALL, NESTED_NP_ENABLE);
    kit_put(k, STACK_TOP - 8, 8, 0x77);
    nested_page(k, GUEST_SSP, 5);
    expect_npf(k, NPF_FINAL | PF_P | PF_RW | PF_US | PF_SS, GUEST_SSP - 8);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), STACK_TOP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 8), 0x77);
    ck_assert_uint_eq(kit_get(k, GUEST_SSP - 8, 8), 0);
    nested_page(k, GUEST_SSP, 7); /* what rights are given needs no flush */
    run_until(k, VMEXIT_VMMCALL);
    nested_page(k, GUEST_SSP, 5); /* and RET only reads */
    VMCB_SET(k->vmcb, RIP, VMCB_GET(k->vmcb, NRIP));
    VMCB_SET(k->vmcb, TLB_CONTROL, TLB_CONTROL_FLUSH_ASID);
    run_until(k, VMEXIT_HLT);
    nested_page(k, GUEST_SSP, 0);
    VMCB_SET(k->vmcb, RIP, CODE_SPA + 9);
    expect_npf(k, NPF_FINAL | PF_US | PF_SS, GUEST_SSP);
}

/* rows: vmcb 5.5, exit 3.4.6, exit 3.4.13 */
WITH_SHADOW(supervisor_shadow_stacks_are_checked)
{
    PREPARE(k, CALL_VMMCALL, NESTED_NP_ENABLE | NESTED_SSS_ENABLE);
    expect_npf(k, NPF_FINAL | PF_P | PF_RW | PF_SS, GUEST_SSP - 8);
    nested_page(k, GUEST_SSP, SSS_PAGE);
    run_until(k, VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP - 8);
    VMCB_SET(k->vmcb, RIP, VMCB_GET(k->vmcb, NRIP));
    run_until(k, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    /* An ordinary write there, through a mapping that the guest has made writable. */
    kit_page(k, 60, (GUEST_SSP & ~0xfffull) | 3);
    kit_put(k, CODE_SPA, 4, 0xf4038948); /* MOV [RBX], RAX */
    k->cpu->r[REG_RBX] = PAGED_LA + 60 * 0x1000 + 0x10;
    VMCB_SET(k->vmcb, RIP, CODE_SPA);
    expect_npf(k, NPF_FINAL | NPF_SSS | PF_P | PF_RW | PF_US, (GUEST_SSP & ~0xfffull) + 0x10);
    kit_put(k, CODE_SPA, 4, 0xf4038b48); /* MOV RAX, [RBX] reads it */
    run_until(k, VMEXIT_HLT);
}

/* The push of an event faults in the nested tables: the event is in EXITINTINFO, and nothing has moved. */
WITH_SHADOW(events_that_fault_on_their_shadow_stack)
{
    PREPARE(k, "\xf4", NESTED_NP_ENABLE | NESTED_SSS_ENABLE);
    uint64_t event = EVENTINJ_V | EVENT_INTR << 8 | 0x40;
    VMCB_SET(k->vmcb, EVENTINJ, event);
    expect_npf(k, NPF_FINAL | PF_P | PF_RW | PF_SS, GUEST_SSP - 8);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), event);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), STACK_TOP);
    nested_page(k, GUEST_SSP, SSS_PAGE);
    VMCB_SET(k->vmcb, EVENTINJ, VMCB_GET(k->vmcb, EXITINTINFO));
    run_until(k, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), HANDLER + 16 * 0x40);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP - 24);
    ck_assert_uint_eq(kit_get(k, GUEST_SSP - 16, 8), CODE_SPA);
}

/* --- SMM --- */

/* SSP stands in the save area, from which RSM takes it; the MSRs go through SMM as they are, and the host's wait in its page. */
WITH_SHADOW(guests_interrupted_by_smm)
{
    PREPARE(k, CALL_VMMCALL, 0);
    enter(k);
    smi(k);
    ck_assert_uint_eq(field(k, 0xff18, 8), GUEST_SSP);
    ck_assert_uint_eq(k->cpu->shadow.s_cet, SHADOW_CET_ENABLE);
    ck_assert(!shadow_stack_on(k->cpu, 0));
    set_field(k, 0xff18, 8, GUEST_SSP - 0x40);
    rsm(k);
    ck_assert(svm_guest(k->cpu));
    ck_assert_uint_eq(k->cpu->shadow.ssp, GUEST_SSP - 0x40);
    program_run(k, 20);
    ck_assert(!svm_guest(k->cpu));
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SSP), GUEST_SSP - 0x48);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
    ck_assert_uint_eq(k->cpu->shadow.s_cet, SHADOW_CET_ENABLE | SHADOW_CET_WRITE);
}

CHECK_MAIN("shadow_guest", an_exit_inside_a_call_keeps_ssp, each_side_has_its_own,
           the_guests_msrs_are_saved, control_protection_is_intercepted,
           control_protection_without_its_intercept, pushes_need_nested_write_permission,
           supervisor_shadow_stacks_are_checked, events_that_fault_on_their_shadow_stack,
           guests_interrupted_by_smm)

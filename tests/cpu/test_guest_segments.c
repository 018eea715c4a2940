/* Segment attributes that a VMCB gives a guest, and what instructions of the guest make of them; no descriptor is read.
 * APM vol 2, 15.5.1 "Basic Operation", "Segment State in the VMCB". */
#include "tests/cpu/kit.h"

#include "tests/check_main.h"

#define CODE_LA (CODE_SPA + 0x100) /* where the host goes on */

/* A guest in 32-bit code of long mode; `at`: the attributes of a segment in the VMCB. */
static void enter_with(struct kit *k, unsigned cpl, unsigned at, uint16_t attr)
{
    kit_mode(k, MODE_COMPAT32, cpl);
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    svm_vmsave(k->cpu, VMCB_SPA);
    vmcb_store(k->vmcb, at, 2, attr);
    svm_vmload(k->cpu, VMCB_SPA);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_LA), STEP_JUMP);
    k->cpu->r[REG_RAX] = 0;
}

/* MOV EAX, [DATA_SPA]; MOV [DATA_SPA], EAX */
#define LOAD "\xa1\x00\x80\x01\x00"
#define STORE "\xa3\x00\x80\x01\x00"

/* A segment that is not present is null, whatever its selector; its type decides about writes.
 * rows: vmcb 9.2.5, 9.2.8 */
WITH_KIT(data_segments_are_null_or_read_only_by_their_attributes)
{
    enter_with(k, 0, VMCB_AT_DS_ATTR, 0xc93);
    ck_assert_int_eq(EXEC(k, LOAD), STEP_NEXT);
    ck_assert_int_eq(EXEC(k, STORE), STEP_NEXT);
    enter_with(k, 0, VMCB_AT_DS_ATTR, 0xc91); /* read-only */
    ck_assert_int_eq(EXEC(k, LOAD), STEP_NEXT);
    kit_raised(k, EXEC(k, STORE), EXC_GP, 0);
    enter_with(k, 0, VMCB_AT_DS_ATTR, 0xc13); /* not present */
    kit_raised(k, EXEC(k, LOAD), EXC_GP, 0);
    enter_with(k, 0, VMCB_AT_DS_ATTR, 0);
    kit_raised(k, EXEC(k, LOAD), EXC_GP, 0);
    ck_assert_uint_ne(k->cpu->regs.seg[SEG_DS].selector, 0);
}

/* B is the size of the stack pointer; without P there is no stack.
 * rows: vmcb 9.2.4 */
WITH_KIT(stack_has_the_size_of_ss_b)
{
    for (unsigned b = 0; b < 2; b++) {
        enter_with(k, 0, VMCB_AT_SS_ATTR, b ? 0xc93 : 0x893);
        k->cpu->r[REG_RSP] = STACK_TOP;
        kit_put(k, STACK_TOP - 4, 4, 0x11111111);
        kit_put(k, STACK_TOP + 0xfffc, 4, 0x11111111);
        ck_assert_int_eq(EXEC(k, "\x50"), STEP_NEXT); /* PUSH EAX */
        ck_assert_uint_eq(k->cpu->r[REG_RSP], b ? STACK_TOP - 4 : STACK_TOP + 0xfffc);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - 4, 4), b ? 0 : 0x11111111);
    }
    enter_with(k, 0, VMCB_AT_SS_ATTR, 0xc13);
    kit_raised(k, EXEC(k, "\x50"), EXC_SS, 0);
}

/* rows: vmcb 9.2.6 */
WITH_KIT(ldtr_without_p_has_no_descriptors)
{
    for (unsigned p = 0; p < 2; p++) {
        enter_with(k, 0, VMCB_AT_LDTR_ATTR, p ? 0x082 : 0x002);
        k->cpu->regs.seg[SEG_LDTR].base = LDT_SPA;
        k->cpu->regs.seg[SEG_LDTR].limit = 0xff;
        kit_put(k, LDT_SPA + 8, 8, kit_descriptor(0, 0xfffff, 0xc93));
        k->cpu->r[REG_RAX] = 0x0c;
        enum step step = EXEC(k, "\x8e\xc0"); /* MOV ES, AX */
        if (p)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_GP, 0x0c);
    }
}

/* Only a 32-bit TSS has a map of ports.
 * rows: vmcb 9.2.7 */
WITH_KIT(tr_has_the_type_of_its_attributes)
{
    kit_put(k, TSS_SPA + 0x68, 8, 0);
    enter_with(k, 3, VMCB_AT_TR_ATTR, 0x08b);
    k->cpu->attention = false;
    ck_assert_int_eq(EXEC(k, "\xe4\x20"), STEP_NEXT); /* IN AL, 20h */
    enter_with(k, 3, VMCB_AT_TR_ATTR, 0x083);
    kit_raised(k, EXEC(k, "\xe4\x20"), EXC_GP, 0);
}

CHECK_MAIN("guest_segments", data_segments_are_null_or_read_only_by_their_attributes,
           stack_has_the_size_of_ss_b, ldtr_without_p_has_no_descriptors,
           tr_has_the_type_of_its_attributes)

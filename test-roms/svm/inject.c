/* inject.c: EVENTINJ: each type with what the handler finds, and what EXITINTINFO says when the delivery is
 * stopped. APM vol 2, 15.20 "Event Injection", 15.7.2 "Intercepts During IDT Interrupt Delivery". */
#include "test-roms/svm/kit.h"

GUEST_CODE(i_nothing, "");
GUEST_CODE(i_int, "int $0x66");

static struct svm_guest g;

static void fresh(uint64_t event)
{
    kit_guest(&g, i_nothing);
    svm_set(&g, VMCB_EVENTINJ, event | EVENT_V);
}

static struct kit_end inject(uint64_t event)
{
    fresh(event);
    return kit_run(&g);
}

static void expect(uint64_t event, uint64_t vector, uint64_t error, uint64_t rip, const char *what)
{
    struct kit_end end = inject(event);

    tap_ok(end.event != NULL && end.event->vector == vector && end.event->error == error &&
               end.event->rip == rip,
           "%s", what);
    if (end.event == NULL)
        rom_printf("#   exit code %lx\n", end.exitcode);
    else if (end.event->vector != vector || end.event->error != error || end.event->rip != rip)
        rom_printf("#   vector %lx error %lx rip %lx\n", end.event->vector, end.event->error,
                   end.event->rip);
}

/* rows: svmop 6.1-6.3 */
static void test_types(void)
{
    uint64_t rip = (uintptr_t)i_nothing;

    expect(EVENT_INTR | 0x77, 0x77, 0, rip, "an interrupt, RFLAGS.IF=0 does not matter");
    expect(EVENT_NMI | 0x77, EXC_NMI, 0, rip, "an NMI is vector 2, whatever the field says");
    expect(EVENT_EXCEPTION | EXC_UD, EXC_UD, 0, rip, "an exception without error code");
    expect(EVENT_EXCEPTION | EXC_GP | EVENT_EV | UINT64_C(0xabcd) << EVENT_ERRORCODE_SHIFT, EXC_GP,
           0xabcd, rip, "an exception with an error code");
    fresh(EVENT_EXCEPTION | EXC_PF | EVENT_EV | UINT64_C(7) << EVENT_ERRORCODE_SHIFT);
    svm_set(&g, VMCB_CR2, 0x123456);
    tap_ok(kit_run(&g).event != NULL && svm_get(&g, VMCB_CR2) == 0x123456,
           "#PF takes CR2 from the VMCB");
    tap_eq(svm_get(&g, VMCB_EVENTINJ) & EVENT_V, 0, "#VMEXIT clears EVENTINJ.V");
}

/* A software interrupt returns behind itself: to nRIP where the processor has it. */
/* rows: svmop 6.4, 6.11 */
static void test_software(void)
{
    struct kit_end end;

    kit_guest(&g, i_int);
    svm_set(&g, VMCB_EVENTINJ, EVENT_INTN | 0x66 | EVENT_V);
    svm_set(&g, VMCB_NRIP, (uintptr_t)i_int_end);
    end = kit_run(&g);
    if (svm_has(SVM_FEATURE_NRIPS))
        tap_ok(end.event != NULL && end.event->vector == 0x66 &&
                   end.event->rip == (uintptr_t)i_int_end,
               "INTn pushes the nRIP of the VMCB");
    else
        tap_skip("no NRIPS", "INTn pushes the nRIP of the VMCB");
    fresh(EVENT_INTN | 0x66);
    svm_set(&g, VMCB_NRIP, svm_get(&g, VMCB_RIP));
    kit_guest_user(&g);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_GP && end.event->error == 0x66 * 8 + 2,
           "INTn at CPL 3 tests the DPL of the gate, EXT=0");
    fresh(EVENT_INTR | 0x66);
    kit_guest_user(&g);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == 0x66, "an interrupt at CPL 3 does not");
}

/* rows: svmop 6.17, 9.7 */
static void test_flags(void)
{
    struct kit_end end;

    fresh(EVENT_INTR | 0x77);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    end = kit_run(&g);
    tap_ok(end.event != NULL && (end.event->rflags & RFLAGS_IF) != 0, "the pushed RFLAGS keep IF");
    tap_eq(svm_get(&g, VMCB_RFLAGS) & RFLAGS_IF, 0, "the handler begins with IF=0");
    fresh(EVENT_INTR | 0x77);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    tap_ok(kit_run(&g).event != NULL, "INTERRUPT_SHADOW does not hold an injected event");
    tap_eq(svm_get(&g, VMCB_INTERRUPT_SHADOW) & 1, 0, "and is over after it");
}

/* rows: svmop 6.15, 6.19, exit 2.6, 5.1 */
static void test_intercepts(void)
{
    struct kit_end end;

    fresh(EVENT_EXCEPTION | EXC_UD);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_UD);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_UD,
           "the intercept of the injected exception itself is not tested");
    fresh(EVENT_NMI);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_NMI | INTERCEPT3_INTR);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NMI, "nor is the NMI intercept");

    /* The gate is not present: #NP in delivery, which is intercepted. */
    kit_guest_gate(0x77)[0] ^= UINT64_C(1) << 47;
    fresh(EVENT_INTR | 0x77);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_NP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_NP, "#NP while it is delivered is intercepted");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), 0x77 * 8 + 2 + 1, "its error code: the vector, IDT, EXT");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_V | EVENT_INTR | 0x77,
           "EXITINTINFO is the injected interrupt");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)i_nothing, "RIP is that before the delivery");
    fresh(EVENT_INTR | 0x77);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NP && end.event->error == 0x77 * 8 + 3,
           "without the intercept the guest gets #NP");
    kit_guest_gate(0x77)[0] ^= UINT64_C(1) << 47;

    /* INT n of the guest itself, stopped by the same means. */
    kit_guest_gate(0x66)[0] ^= UINT64_C(1) << 47;
    kit_guest(&g, i_int);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_NP);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_NP, "#NP while INT n is delivered");
    tap_eq(svm_get(&g, VMCB_EXITINFO1), 0x66 * 8 + 2, "its error code has EXT=0");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_V | EVENT_INTN | 0x66,
           "EXITINTINFO is the software interrupt");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)i_int, "RIP is at the INT");
    kit_guest_gate(0x66)[0] ^= UINT64_C(1) << 47;
}

int rom_main(void)
{
    kit_init();
    test_types();
    test_software();
    test_flags();
    test_intercepts();
    tap_done();
}

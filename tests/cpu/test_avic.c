/* AVIC as a guest's instructions meet it: accesses to the page of the local APIC, MSRs, CR8, interrupts at boundaries.
 * APM vol 2, 15.29. */
#include "svm/avic.h"
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

#define N_PML4 0x80000ull
#define N_PDPT 0x81000ull
#define N_PD 0x82000ull
#define PAT_RESET 0x0007040600070406
#define APIC 0x6a0000u /* guest physical and linear; the nested tables map it to itself */
#define BACKING 0x300000u
#define PHYSICAL 0x310000u
#define LOGICAL 0x320000u
#define WRITE (1ull << 32)

enum {
    VERSION = 0x30,
    TPR = 0x80,
    APR = 0x90,
    PPR = 0xa0,
    EOI = 0xb0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    IRR = 0x200
};

static void leave(struct kit *k)
{
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
}

static void enter(struct kit *k)
{
    k->cpu->regs.halted = false;
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
}

/* The guest of kit_guest(), not entered, with identical nested tables of 2 MiB pages for the first 8 MiB. */
static void prepare(struct kit *k, uint64_t vintr)
{
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 7);
    for (uint64_t i = 0; i < 4; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    kit_guest(k);
    leave(k);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_PML4);
    VMCB_SET(k->vmcb, G_PAT, PAT_RESET);
    VMCB_SET(k->vmcb, VINTR_CONTROL, vintr);
    VMCB_SET(k->vmcb, AVIC_APIC_BAR, APIC);
    VMCB_SET(k->vmcb, AVIC_BACKING_PAGE, BACKING);
    VMCB_SET(k->vmcb, AVIC_PHYSICAL_TABLE, PHYSICAL);
    VMCB_SET(k->vmcb, AVIC_LOGICAL_TABLE, LOGICAL);
    VMCB_SET(k->vmcb, RAX, APIC);
    VMCB_SET(k->vmcb, TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
}

static void guest(struct kit *k)
{
    prepare(k, VINTR_AVIC_ENABLE);
    enter(k);
}

static uint32_t page(struct kit *k, unsigned offset)
{
    return (uint32_t)kit_get(k, BACKING + offset, 4);
}

static void request(struct kit *k, unsigned vector)
{
    unsigned at = IRR + vector / 32 * 16;
    kit_put(k, BACKING + at, 4, page(k, at) | 1u << vector % 32);
}

static int run(struct kit *k, unsigned steps)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + steps };
    return run_vcpu(k->cpu, &limits);
}

static void code(struct kit *k, const char *bytes, unsigned len)
{
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, CODE_SPA + i, 1, i < len ? (uint8_t)bytes[i] : 0xf4);
    kit_put(k, CODE_SPA + 0x100, 1, 0xf4); /* the host */
}
#define CODE(k, bytes) code((k), (bytes), sizeof(bytes) - 1)

/* Until the guest has left, or waits. */
static void ends(struct kit *k, uint64_t exit, uint64_t info1, uint64_t rip)
{
    ck_assert_int_eq(run(k, 40), PACIFICA_STOP_HALTED);
    ck_assert(!k->cpu->svm->guest);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), exit);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), info1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), rip);
}

static void store(struct kit *k, uint64_t la, uint32_t value)
{
    ck_assert_int_eq(mem_store_la(k->cpu, la, 4, value), STEP_NEXT);
}

static uint32_t load(struct kit *k, uint64_t la)
{
    uint64_t value = 0;
    ck_assert_int_eq(mem_load_la(k->cpu, la, 4, &value), STEP_NEXT);
    return (uint32_t)value;
}

/* --- where accesses go --- */

WITH_KIT(the_backing_page_stands_for_the_nested_one)
{
    guest(k);
    for (unsigned round = 0; round < 3; round++) { /* walks, then whatever is cached */
        store(k, APIC + 0x310, 0x1000 + round);
        ck_assert_uint_eq(page(k, 0x310), 0x1000 + round);
        ck_assert_uint_eq(load(k, APIC + 0x310), 0x1000 + round);
        store(k, APIC + 0x1000, 0x2000 + round); /* its neighbours in the same 2 MiB page */
        store(k, APIC - 4, 0x3000 + round);
        ck_assert_uint_eq(kit_get(k, APIC + 0x1000, 4), 0x2000 + round);
        ck_assert_uint_eq(kit_get(k, APIC - 4, 4), 0x3000 + round);
    }
    ck_assert_uint_eq(kit_get(k, APIC + 0x310, 4), 0);
}

WITH_KIT(a_neighbour_that_comes_first_does_not_cover_it)
{
    guest(k);
    store(k, APIC + 0x1000, 1);
    store(k, APIC + 0x310, 2);
    ck_assert_uint_eq(page(k, 0x310), 2);
}

WITH_KIT(the_nested_tables_say_whether)
{
    guest(k);
    kit_put(k, N_PD + 8 * (APIC >> 21), 8, (APIC >> 21 << 21) | 0x85);
    ck_assert_uint_eq(load(k, APIC + 0x310), 0);
    ck_assert_int_eq(mem_store_la(k->cpu, APIC + 0x310, 4, 1), STEP_RAISED);
    ck_assert(k->cpu->raised.npf && k->cpu->raised.exit == 0);
    ck_assert_uint_eq(k->cpu->raised.info1, NPF_FINAL | PF_US | PF_RW | PF_P);
    paging_flush_all(k->cpu->paging);
    kit_put(k, N_PD + 8 * (APIC >> 21), 8, 0);
    uint64_t value;
    ck_assert_int_eq(mem_load_la(k->cpu, APIC + APR, 4, &value), STEP_RAISED);
    ck_assert(k->cpu->raised.npf && k->cpu->raised.exit == 0); /* before the filter */
}

/* 15.29.4.3: who does not flush meets the page of another virtual processor. */
WITH_KIT(stale_translations_lead_to_the_old_page)
{
    guest(k);
    store(k, APIC + 0x310, 1);
    leave(k);
    VMCB_SET(k->vmcb, TLB_CONTROL, 0);
    VMCB_SET(k->vmcb, AVIC_BACKING_PAGE, BACKING + 0x1000);
    enter(k);
    store(k, APIC + 0x310, 2);
    ck_assert_uint_eq(page(k, 0x310), 2);
    ck_assert_uint_eq(page(k, 0x1310), 0);
    leave(k);
    VMCB_SET(k->vmcb, TLB_CONTROL, TLB_CONTROL_FLUSH_ASID);
    enter(k);
    store(k, APIC + 0x310, 3);
    ck_assert_uint_eq(page(k, 0x310), 2);
    ck_assert_uint_eq(page(k, 0x1310), 3);
}

WITH_KIT(without_avic_it_is_memory)
{
    prepare(k, 0);
    enter(k);
    store(k, APIC + APR, 7);
    ck_assert_uint_eq(kit_get(k, APIC + APR, 4), 7);
    leave(k);
    VMCB_SET(k->vmcb, VINTR_CONTROL, VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE);
    enter(k);
    store(k, APIC + APR, 8);
    ck_assert_uint_eq(kit_get(k, APIC + APR, 4), 8);
}

WITH_KIT(fetches_go_where_the_nested_tables_say)
{
    prepare(k, VINTR_AVIC_ENABLE);
    kit_put(k, APIC, 2, 0x00a2); /* the backing page has zeros */
    kit_put(k, APIC, 2, 0xa20f); /* CPUID */
    VMCB_SET(k->vmcb, RIP, APIC);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_CPUID & 31));
    CODE(k, "");
    enter(k);
    ck_assert_int_eq(run(k, 40), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_CPUID);
}

/* --- exits before and behind --- */

/* rows: svmop 18.9 */
WITH_KIT(a_fault_comes_before)
{
    guest(k);
    CODE(k, "\x8b\x98\x90\x00\x00\x00"); /* mov ebx, [rax + 90h] */
    ends(k, VMEXIT_AVIC_NOACCEL, APR, CODE_SPA);
}

WITH_KIT(a_fault_of_a_write_leaves_the_page)
{
    guest(k);
    kit_put(k, BACKING + PPR, 4, 0);
    CODE(k, "\x89\x80\x00\x01\x00\x00"); /* mov [rax + 100h], eax */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | ISR, CODE_SPA);
    ck_assert_uint_eq(page(k, ISR), 0);
}

/* rows: svmop 18.7 */
WITH_KIT(a_trap_comes_behind_the_instruction)
{
    guest(k);
    CODE(k, "\x89\x80\xf0\x00\x00\x00\x0f\x0b"); /* mov [rax + f0h], eax; ud2 */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | SVR, CODE_SPA + 6);
    ck_assert_uint_eq(page(k, SVR), APIC);
}

WITH_KIT(read_modify_write_is_one_access)
{
    kit_put(k, BACKING + SVR, 4, 0xff);
    guest(k);
    CODE(k, "\x81\x88\xf0\x00\x00\x00\x00\x01\x00\x00\x0f\x0b"); /* or dword [rax + f0h], 100h */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | SVR, CODE_SPA + 10);
    ck_assert_uint_eq(page(k, SVR), 0x1ff);
    VMCB_SET(k->vmcb, RIP, CODE_SPA);
    enter(k);
    CODE(k, "\xf0\xff\x80\x00\x02\x00\x00"); /* lock inc dword [rax + 200h] */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | IRR, CODE_SPA);
    ck_assert_uint_eq(page(k, IRR), 0);
}

/* XSAVE [rbx] of x87 alone, in front of the page; the header is in it. Traced runs end alike. */
WITH_KIT(xsave_stores_nothing_when_its_header_faults)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, CR4, VMCB_GET(k->vmcb, CR4) | CR4_OSFXSR | CR4_OSXSAVE);
    VMCB_SET(k->vmcb, RAX, 1);
    k->cpu->r[REG_RDX] = 0;
    k->cpu->r[REG_RBX] = APIC + ISR - 512;
    for (unsigned i = 0; i < 160; i += 4)
        kit_put(k, APIC + ISR - 512 + i, 4, 0x5a5a5a5a);
    enter(k);
    CODE(k, "\x0f\xae\x23");
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | ISR, CODE_SPA);
    for (unsigned i = 0; i < 160; i += 4)
        ck_assert_uint_eq(kit_get(k, APIC + ISR - 512 + i, 4), 0x5a5a5a5a);
}

WITH_KIT(clzero_is_one_access)
{
    kit_put(k, BACKING + 0x10, 4, 0x55);
    guest(k);
    CODE(k, "\x0f\x01\xfc"); /* of the four registers the last, the version, may not be written */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | VERSION, CODE_SPA);
    ck_assert_uint_eq(page(k, 0x10), 0x55);
}

WITH_KIT(a_string_stops_behind_the_iteration)
{
    prepare(k, VINTR_AVIC_ENABLE);
    k->cpu->r[REG_RCX] = 8;
    k->cpu->r[REG_RDI] = APIC + 0xd8;
    enter(k);
    CODE(k, "\xf3\xab\x0f\x0b"); /* rep stosd */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | DFR, CODE_SPA);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 5);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], APIC + 0xe4);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS) & FLAG_RF, FLAG_RF);
    enter(k);
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | SVR, CODE_SPA);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 1);
}

WITH_KIT(a_string_faults_at_its_element)
{
    prepare(k, VINTR_AVIC_ENABLE);
    k->cpu->r[REG_RCX] = 8;
    k->cpu->r[REG_RSI] = APIC + 0x84;
    k->cpu->r[REG_RDI] = 0x200000;
    enter(k);
    CODE(k, "\xf3\xa5"); /* rep movsd */
    ends(k, VMEXIT_AVIC_NOACCEL, APR, CODE_SPA);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 5);
}

WITH_KIT(a_stack_in_the_page)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RSP, APIC + PPR);
    enter(k);
    CODE(k, "\x50"); /* push rax: to 98h */
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | APR, CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), APIC + PPR);
}

/* rows: exit 5.5 */
WITH_KIT(a_delivery_that_meets_the_page)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RSP, APIC + 0x120);
    VMCB_SET(k->vmcb, EVENTINJ, EVENTINJ_V | 0x55);
    enter(k);
    CODE(k, "");
    ck_assert_int_eq(run(k, 40), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_AVIC_NOACCEL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1) & 0xffff00000000, WRITE);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), EVENTINJ_V | 0x55);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
}

/* --- IPIs --- */

/* rows: svmop 18.14 */
WITH_KIT(an_incomplete_ipi_comes_behind_the_instruction)
{
    kit_put(k, BACKING + 0x310, 4, 0x7000000);
    guest(k);
    CODE(k, "\xc7\x80\x00\x03\x00\x00\x61\x00\x00\x00\x0f\x0b"); /* mov dword [rax + 300h], 61h */
    ends(k, VMEXIT_AVIC_INCOMPLETE_IPI, 0x700000000000061, CODE_SPA + 10);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 2ull << 32 | 7);
    ck_assert_uint_eq(page(k, 0x300), 0x61);
}

/* --- delivery --- */

static void delivered(struct kit *k, unsigned vector, uint64_t rip)
{
    ck_assert(k->cpu->svm->guest);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, vector);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 40, 8), rip);
    ck_assert_uint_eq(page(k, IRR + vector / 32 * 16) >> vector % 32 & 1, 0);
    ck_assert_uint_eq(page(k, ISR + vector / 32 * 16) >> vector % 32 & 1, 1);
}

WITH_KIT(vmrun_delivers_what_is_pending)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    request(k, 0x61);
    CODE(k, "");
    enter(k);
    (void)run(k, 1);
    delivered(k, 0x61, CODE_SPA);
    ck_assert_uint_eq(page(k, PPR), 0x60);
}

/* rows: svmop 10.10 */
WITH_KIT(v_irq_and_its_intercept_are_ignored)
{
    prepare(k, VINTR_AVIC_ENABLE | VINTR_IRQ | VINTR_IGN_TPR | 0x7full << VINTR_VECTOR_SHIFT);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_VINTR & 31));
    CODE(k, "");
    enter(k);
    ck_assert(!event_pending(k->cpu));
    request(k, 0x61);
    svm_avic_doorbell(k->cpu);
    (void)run(k, 1);
    delivered(k, 0x61, CODE_SPA);
}

WITH_KIT(if_and_shadows_hold_it)
{
    prepare(k, VINTR_AVIC_ENABLE);
    request(k, 0x61);
    CODE(k, "\x90\xfb\x90\x90"); /* nop; sti; nop; nop */
    enter(k);
    (void)run(k, 5);
    delivered(k, 0x61, CODE_SPA + 3);
    k->deliveries = 0;
    leave(k);
    VMCB_SET(k->vmcb, RIP, CODE_SPA);
    VMCB_SET(k->vmcb, RSP, STACK_TOP);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    VMCB_SET(k->vmcb, INTERRUPT_SHADOW, 1);
    request(k, 0x71);
    enter(k);
    k->cpu->regs.shadow_next = false; /* that was for VMRUN itself to pass on */
    (void)run(k, 2);
    delivered(k, 0x71, CODE_SPA + 1);
}

/* rows: svmop 8.14 */
WITH_KIT(virtual_gif_holds_it)
{
    prepare(k, VINTR_AVIC_ENABLE | VINTR_GIF_ENABLE);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    request(k, 0x61);
    CODE(k, "");
    enter(k);
    ck_assert(!event_pending(k->cpu));
    k->cpu->svm->v_ctl |= VINTR_GIF;
    ck_assert(event_pending(k->cpu));
}

WITH_KIT(a_physical_interrupt_comes_first)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_INTR & 31));
    request(k, 0x61);
    k->pending = 0x20;
    CODE(k, "");
    enter(k);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_INTR);
    ck_assert_uint_eq(page(k, IRR + 0x30), 2);
}

/* rows: svmop 10.9 */
WITH_KIT(the_doorbell_ends_hlt)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    CODE(k, "");
    enter(k);
    ck_assert_int_eq(run(k, 40), PACIFICA_STOP_HALTED);
    request(k, 0x61); /* alone it wakes nobody */
    ck_assert_int_eq(run(k, 40), PACIFICA_STOP_HALTED);
    svm_avic_doorbell(k->cpu);
    (void)run(k, 1);
    delivered(k, 0x61, CODE_SPA + 1);
}

WITH_KIT(eoi_lets_the_next_one_in)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    kit_put(k, BACKING + ISR + 0x30, 4, 1); /* 60h is in service */
    request(k, 0x62);
    CODE(k, "\x89\x80\xb0\x00\x00\x00\x90"); /* mov [rax + b0h], eax */
    enter(k);
    (void)run(k, 2);
    delivered(k, 0x62, CODE_SPA + 6);
    ck_assert_uint_eq(page(k, ISR + 0x30), 4);
}

WITH_KIT(a_self_ipi_comes_behind_the_instruction)
{
    prepare(k, VINTR_AVIC_ENABLE);
    VMCB_SET(k->vmcb, RFLAGS, FLAG_IF | 2);
    CODE(k, "\xc7\x80\x00\x03\x00\x00\x61\x00\x04\x00\x90"); /* mov dword [rax + 300h], 40061h */
    enter(k);
    (void)run(k, 2);
    delivered(k, 0x61, CODE_SPA + 10);
}

WITH_KIT(the_exit_comes_before_the_interrupt)
{
    prepare(k, VINTR_AVIC_ENABLE);
    request(k, 0x61);
    CODE(k, "\xfb\x89\x80\xf0\x00\x00\x00\x90"); /* sti; mov [rax + f0h], eax */
    enter(k);
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | SVR, CODE_SPA + 7);
    ck_assert_uint_eq(k->deliveries, 0);
    ck_assert_uint_eq(page(k, IRR + 0x30), 2);
}

/* --- CR8 --- */

WITH_KIT(cr8_is_the_pages_tpr)
{
    k->tpr = 0x20;
    guest(k); /* V_INTR_MASKING is 0 */
    k->cpu->r[REG_RBX] = 9;
    ck_assert_int_eq(EXEC(k, "\x44\x0f\x22\xc3"), STEP_LEAVE); /* mov cr8, rbx */
    ck_assert_uint_eq(page(k, TPR), 0x90);
    ck_assert_uint_eq(page(k, PPR), 0x90);
    ck_assert_uint_eq(k->tpr, 0x20);
    store(k, APIC + TPR, 0xa7);
    ck_assert_int_eq(EXEC(k, "\x44\x0f\x20\xc1"), STEP_NEXT); /* mov rcx, cr8 */
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0xa);
    leave(k);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, VINTR_CONTROL) & 0xff, 0xa);
}

/* --- x2AVIC --- */

static void guest_x2(struct kit *k, uint32_t msr)
{
    prepare(k, VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE);
    VMCB_SET(k->vmcb, RAX, 0x1ff);
    k->cpu->r[REG_RDX] = 0;
    k->cpu->r[REG_RCX] = msr;
}

WITH_KIT(x2_msrs_are_the_page)
{
    guest_x2(k, 0x808);
    kit_put(k, BACKING + TPR, 4, 0x33);
    enter(k);
    ck_assert_int_eq(EXEC(k, "\x0f\x32"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x33);
    k->cpu->r[REG_RAX] = 0x44;
    ck_assert_int_eq(EXEC(k, "\x0f\x30"), STEP_LEAVE);
    ck_assert_uint_eq(page(k, TPR), 0x44);
    ck_assert_uint_eq(k->cpu->svm->v_tpr, 4);
    k->cpu->regs.cpl = 3;
    kit_raised(k, EXEC(k, "\x0f\x30"), EXC_GP, 0);
}

WITH_KIT(x2_trap_comes_behind_wrmsr)
{
    guest_x2(k, 0x80f);
    CODE(k, "\x0f\x30\x0f\x0b");
    enter(k);
    ends(k, VMEXIT_AVIC_NOACCEL, WRITE | SVR, CODE_SPA + 2);
    ck_assert_uint_eq(page(k, SVR), 0x1ff);
}

WITH_KIT(x2_fault_comes_before_rdmsr)
{
    guest_x2(k, 0x809);
    CODE(k, "\x0f\x32");
    enter(k);
    ends(k, VMEXIT_AVIC_NOACCEL, APR, CODE_SPA);
}

WITH_KIT(the_permission_map_comes_first)
{
    guest_x2(k, 0x809);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_MSR_PROT & 31));
    kit_put(k, MSRPM_SPA + 0x809 / 4, 1, 1u << 2 * (0x809 & 3));
    CODE(k, "\x0f\x32");
    enter(k);
    ck_assert_int_eq(run(k, 40), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_MSR);
}

/* --- the doorbell --- */

struct bell {
    unsigned rings;
    uint32_t id;
};

static void ring(void *self, uint32_t id)
{
    struct bell *bell = self;
    bell->rings++;
    bell->id = id;
}

/* rows: svmop 20.7 */
WITH_KIT(doorbell_msr)
{
    static const struct intc_ops ops = { .doorbell = ring };
    const struct intc_ops *intc = k->cpu->intc;
    struct bell bell = { 0 };
    k->cpu->intc = &ops;
    k->cpu->intc_self = &bell;
    ck_assert_int_eq(msr_write(k->cpu, 0xc001011b, 0xabc), STEP_NEXT);
    ck_assert_uint_eq(bell.rings, 1);
    ck_assert_uint_eq(bell.id, 0xabc);
    kit_raised(k, msr_write(k->cpu, 0xc001011b, 0x1000), EXC_GP, 0);
    uint64_t value;
    kit_raised(k, msr_read(k->cpu, 0xc001011b, &value), EXC_GP, 0);
    ck_assert_uint_eq(bell.rings, 1);
    k->cpu->intc = intc;
    ck_assert_int_eq(msr_write(k->cpu, 0xc001011b, 0), STEP_NEXT); /* nobody carries it on */
}

CHECK_MAIN("cpu/avic", the_backing_page_stands_for_the_nested_one,
           a_neighbour_that_comes_first_does_not_cover_it, the_nested_tables_say_whether,
           stale_translations_lead_to_the_old_page, without_avic_it_is_memory,
           fetches_go_where_the_nested_tables_say, a_fault_comes_before,
           a_fault_of_a_write_leaves_the_page, a_trap_comes_behind_the_instruction,
           read_modify_write_is_one_access, xsave_stores_nothing_when_its_header_faults,
           clzero_is_one_access, a_string_stops_behind_the_iteration,
           a_string_faults_at_its_element, a_stack_in_the_page, a_delivery_that_meets_the_page,
           an_incomplete_ipi_comes_behind_the_instruction, vmrun_delivers_what_is_pending,
           v_irq_and_its_intercept_are_ignored, if_and_shadows_hold_it, virtual_gif_holds_it,
           a_physical_interrupt_comes_first, the_doorbell_ends_hlt, eoi_lets_the_next_one_in,
           a_self_ipi_comes_behind_the_instruction, the_exit_comes_before_the_interrupt,
           cr8_is_the_pages_tpr, x2_msrs_are_the_page, x2_trap_comes_behind_wrmsr,
           x2_fault_comes_before_rdmsr, the_permission_map_comes_first, doorbell_msr)

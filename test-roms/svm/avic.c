/* avic.c: AVIC and x2AVIC on one processor: the filter of the registers, interrupts from IRR to ISR, EOI, TPR, and interprocessor
 * interrupts that cannot be delivered. APM vol 2, 15.29 "Advanced Virtual Interrupt Controller". */
#include "test-roms/svm/avic_kit.h"

#define VECTOR 0x61u
#define HIGHER 0x71u

/* RDI: the APIC's page; ESI: an offset; EAX: a value. */
GUEST_CODE(a_read, "movl (%rdi,%rsi), %eax\na_read_2: nop");
GUEST_CODE(a_write, "movl %eax, (%rdi,%rsi)\na_write_2: nop");
GUEST_CODE(a_or, "lock orl %eax, (%rdi,%rsi)\na_or_2: nop");
GUEST_CODE(a_nops, "nop\na_nops_2: nop\nnop");
GUEST_CODE(a_sti, "sti\nnop\na_sti_3: nop\nnop");
GUEST_CODE(a_sti_hlt, "sti\nhlt\na_sti_hlt_3: nop");
GUEST_CODE(a_tpr, "movl $0x5a, 0x80(%rdi)\nmovq %cr8, %rbx\nmovl $7, %eax\nmovq %rax, %cr8\n"
                  "movl 0x80(%rdi), %ecx\nmovl 0xa0(%rdi), %edx");
/* Takes VECTOR at a_low, whose gate reports; what follows is the rest of the handler. */
GUEST_CODE(a_eoi, "sti\nmovl $0, 0xb0(%rdi)\na_eoi_2: nop\nnop");
GUEST_CODE(a_rdmsr, "rdmsr\na_rdmsr_2: nop");
GUEST_CODE(a_wrmsr, "wrmsr\na_wrmsr_2: nop");
extern const char a_write_2[], a_or_2[], a_nops_2[], a_sti_3[], a_sti_hlt_3[], a_eoi_2[],
    a_wrmsr_2[];

static struct svm_guest g;
static struct avic_vm vm;
static uint64_t *nested;

static void fresh(const char *code, uint64_t enables)
{
    avic_reset(&vm, 3);
    avic_running(&vm, 0, apic_read(APIC_ID) >> 24);
    kit_guest(&g, code);
    avic_guest(&vm, 0, &g, nested, enables);
    g.rdi = APIC_BASE_SPA;
}

/* ---- the filter ---- */

static bool noaccel(uint64_t info1, const char *rip)
{
    bool ok = svm_get(&g, VMCB_EXITCODE) == VMEXIT_AVIC_NOACCEL &&
              svm_get(&g, VMCB_EXITINFO1) == info1 && svm_get(&g, VMCB_RIP) == (uintptr_t)rip;

    if (!ok)
        rom_printf("#   exit %lx, info %lx, rip %lx (from %lx)\n", svm_get(&g, VMCB_EXITCODE),
                   svm_get(&g, VMCB_EXITINFO1), svm_get(&g, VMCB_RIP), (uintptr_t)rip);
    return ok;
}

enum rule { ALLOW, TRAP, FAULT };

static void test_register(unsigned reg, enum rule read, enum rule write, const char *name)
{
    bool ok;

    fresh(a_read, VINTR_AVIC_ENABLE);
    avic_put(&vm, 0, reg, 0x1234);
    g.rsi = reg;
    svm_run(&g);
    ok = read == FAULT ? noaccel(reg, a_read)
                       : svm_get(&g, VMCB_EXITCODE) == VMEXIT_VMMCALL &&
                             (uint32_t)svm_get(&g, VMCB_RAX) == 0x1234;
    tap_ok(ok, "%s can%s be read", name, read == FAULT ? "not" : "");

    fresh(a_write, VINTR_AVIC_ENABLE);
    avic_put(&vm, 0, reg, 0x1234);
    g.rsi = reg;
    svm_set(&g, VMCB_RAX, 0x10);
    svm_run(&g);
    if (write == ALLOW)
        ok = svm_get(&g, VMCB_EXITCODE) == VMEXIT_VMMCALL;
    else
        ok = noaccel(NOACCEL_WRITE | reg, write == TRAP ? a_write_2 : a_write);
    ok = ok && avic_get(&vm, 0, reg) == (write == FAULT ? 0x1234 : 0x10);
    tap_ok(ok, "writing %s %s", name,
           write == ALLOW  ? "is plain"
           : write == TRAP ? "exits behind the instruction"
                           : "exits before it");
}

static void test_filter(void)
{
    test_register(APIC_ID, ALLOW, TRAP, "ID");
    test_register(APIC_VERSION, ALLOW, FAULT, "version");
    test_register(APIC_APR, FAULT, FAULT, "APR");
    test_register(APIC_LDR, ALLOW, TRAP, "LDR");
    test_register(APIC_SVR, ALLOW, TRAP, "SVR");
    test_register(APIC_TMR, ALLOW, FAULT, "TMR");
    test_register(APIC_ICR_HIGH, ALLOW, ALLOW, "ICR high");
    test_register(APIC_LVT_TIMER, ALLOW, TRAP, "the timer's LVT");
    test_register(APIC_TIMER_CURRENT, FAULT, FAULT, "the timer's current count");
    test_register(0x400, FAULT, FAULT, "extended feature");
    if (svm_has(SVM_FEATURE_EXT_LVT_AVIC))
        test_register(0x500, ALLOW, TRAP, "extended LVT");
    else
        test_register(0x500, FAULT, FAULT, "extended LVT");
    test_register(0x600, FAULT, FAULT, "reserved 600h");
    fresh(a_or, VINTR_AVIC_ENABLE);
    g.rsi = APIC_SVR;
    svm_set(&g, VMCB_RAX, 0x200);
    svm_run(&g);
    tap_ok(noaccel(NOACCEL_WRITE | APIC_SVR, a_or_2) && avic_get(&vm, 0, APIC_SVR) == 0x3ff,
           "LOCK OR is one access");
    tap_eq(apic_read(APIC_SVR) & 0x200, 0, "the host's APIC is another one");
}

/* ---- TPR ---- */

static void test_tpr(void)
{
    apic_write(APIC_TPR, 0x20);
    fresh(a_tpr, VINTR_AVIC_ENABLE);
    svm_run(&g);
    tap_eq(g.rbx, 5, "CR8 reads what TPR was set to");
    tap_eq(g.rcx, 0x70, "TPR reads what CR8 was set to");
    tap_eq(g.rdx, 0x70, "PPR follows");
    tap_eq(svm_get(&g, VMCB_VINTR) & 0xff, 7, "V_TPR is written back");
    tap_eq(apic_read(APIC_TPR), 0x20, "the host's TPR is untouched");
    apic_write(APIC_TPR, 0);
}

/* ---- interrupts ---- */

static void taken(unsigned vector, const char *rip, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event != NULL && end.event->vector == vector && end.event->rip == (uintptr_t)rip,
           "%s", what);
    tap_ok(!avic_bit(&vm, 0, APIC_IRR, vector) && avic_bit(&vm, 0, APIC_ISR, vector),
           "%s: from IRR to ISR", what);
}

static void test_delivery(void)
{
    fresh(a_nops, VINTR_AVIC_ENABLE);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    avic_post(&vm, 0, VECTOR);
    avic_post(&vm, 0, HIGHER);
    taken(HIGHER, a_nops, "VMRUN delivers the highest of IRR");
    tap_eq(avic_get(&vm, 0, APIC_PPR), HIGHER & 0xf0, "PPR is its class");
    tap_ok(avic_bit(&vm, 0, APIC_IRR, VECTOR), "the lower one waits");

    fresh(a_nops, VINTR_AVIC_ENABLE);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    avic_put(&vm, 0, APIC_TPR, VECTOR);
    avic_post(&vm, 0, VECTOR);
    svm_set(&g, VMCB_VINTR, svm_get(&g, VMCB_VINTR) | VINTR_V_IRQ | VINTR_V_IGN_TPR);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "neither one that TPR masks nor V_IRQ is delivered");

    fresh(a_sti, VINTR_AVIC_ENABLE);
    avic_post(&vm, 0, VECTOR);
    taken(VECTOR, a_sti_3, "behind the shadow of STI");
    fresh(a_sti_hlt, VINTR_AVIC_ENABLE);
    avic_post(&vm, 0, VECTOR);
    taken(VECTOR, a_sti_hlt_3, "STI; HLT");

    fresh(a_write, VINTR_AVIC_ENABLE);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    g.rsi = APIC_ICR_LOW;
    svm_set(&g, VMCB_RAX, ICR_TO_SELF | VECTOR);
    taken(VECTOR, a_write_2, "a self IPI is taken behind the instruction");
}

static void test_eoi(void)
{
    fresh(a_eoi, VINTR_AVIC_ENABLE);
    avic_put(&vm, 0, APIC_ISR + HIGHER / 32 * 16, 1u << HIGHER % 32);
    avic_post(&vm, 0, VECTOR);
    taken(VECTOR, a_eoi_2, "EOI lets a lower one in");
    tap_ok(!avic_bit(&vm, 0, APIC_ISR, HIGHER), "and has ended the higher one");

    fresh(a_eoi, VINTR_AVIC_ENABLE);
    avic_put(&vm, 0, APIC_ISR + HIGHER / 32 * 16, 1u << HIGHER % 32);
    avic_put(&vm, 0, APIC_TMR + HIGHER / 32 * 16, 1u << HIGHER % 32);
    svm_run(&g);
    tap_ok(noaccel(NOACCEL_WRITE | APIC_EOI, a_eoi_2), "EOI of a level-triggered one exits");
    tap_eq(svm_get(&g, VMCB_EXITINFO2), HIGHER, "and tells the vector");
    tap_ok(avic_bit(&vm, 0, APIC_ISR, HIGHER), "which is in service still");
}

/* ---- IPIs that are not delivered ---- */

static void incomplete(uint32_t high, uint32_t low, uint64_t info2, const char *what)
{
    avic_put(&vm, 0, APIC_ICR_HIGH, high);
    g.rsi = APIC_ICR_LOW;
    svm_set(&g, VMCB_RAX, low);
    svm_set(&g, VMCB_RIP, (uintptr_t)a_write);
    svm_run(&g);
    tap_ok(svm_get(&g, VMCB_EXITCODE) == VMEXIT_AVIC_INCOMPLETE_IPI &&
               svm_get(&g, VMCB_EXITINFO1) == ((uint64_t)high << 32 | low) &&
               svm_get(&g, VMCB_EXITINFO2) == info2 &&
               svm_get(&g, VMCB_RIP) == (uintptr_t)a_write_2,
           "%s", what);
    if (svm_get(&g, VMCB_EXITINFO2) != info2)
        rom_printf("#   exit %lx, info %lx %lx\n", svm_get(&g, VMCB_EXITCODE),
                   svm_get(&g, VMCB_EXITINFO1), svm_get(&g, VMCB_EXITINFO2));
}

#define REASON(id, index) ((uint64_t)(id) << 32 | (index))

static void test_incomplete(void)
{
    fresh(a_write, VINTR_AVIC_ENABLE);
    incomplete(0, ICR_NMI | ICR_TO_OTHERS, REASON(0, 0), "an NMI is not accelerated");
    incomplete(1u << 24, ICR_LEVEL | ICR_ASSERT | VECTOR, REASON(0, 0),
               "nor is a level-triggered one");
    incomplete(1u << 24, VECTOR, REASON(1, 1), "a target that does not run");
    tap_ok(avic_bit(&vm, 1, APIC_IRR, VECTOR), "has it in IRR all the same");
    incomplete(0, ICR_TO_ALL | HIGHER, REASON(1, 1), "broadcast: the first that does not run");
    tap_ok(avic_bit(&vm, 0, APIC_IRR, HIGHER) && avic_bit(&vm, 1, APIC_IRR, HIGHER) &&
               avic_bit(&vm, 2, APIC_IRR, HIGHER),
           "everybody has it");
    incomplete(7u << 24, VECTOR, REASON(2, 7), "no such entry");
    vm.physical[2] = 0;
    incomplete(2u << 24, VECTOR, REASON(2, 2), "an invalid entry");
    incomplete(4u << 24, ICR_LOGICAL | VECTOR, REASON(2, 2), "one that is meant logically");
    if ((cpuid_checked(0x80000008u, 0).eax & 0xff) < 52) {
        vm.physical[2] = ENTRY_VALID | UINT64_C(0x000ffffffffff000);
        incomplete(2u << 24, VECTOR, REASON(3, 2), "a backing page that is no address");
    } else {
        tap_skip("every address exists", "a backing page that is no address");
    }
    incomplete(1u << 24, 0xf, REASON(4, 0), "a vector below 16");
    avic_put(&vm, 0, APIC_DFR, 0x0fffffffu);
    vm.logical[4 * 3 + 1] = LOGICAL_VALID | 1;
    incomplete(0x32u << 24, ICR_LOGICAL | VECTOR, REASON(1, 13), "cluster 3, processor 1");
}

/* ---- x2AVIC ---- */

static void msr(const char *code, uint32_t number, uint64_t value)
{
    fresh(code, VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE);
    g.rcx = number;
    g.rdx = value >> 32;
    svm_set(&g, VMCB_RAX, (uint32_t)value);
}

static void test_x2avic(void)
{
    struct kit_end end;

    if (!svm_has(SVM_FEATURE_X2AVIC)) {
        tap_skip("no x2AVIC", "x2APIC registers of a guest");
        return;
    }
    msr(a_rdmsr, MSR_X2APIC(APIC_VERSION), 0);
    svm_run(&g);
    tap_eq((uint32_t)svm_get(&g, VMCB_RAX), 0x50010, "x2AVIC: RDMSR reads the page");
    msr(a_rdmsr, MSR_X2APIC(APIC_APR), 0);
    svm_run(&g);
    tap_ok(noaccel(APIC_APR, a_rdmsr), "APR exits before the instruction");
    msr(a_wrmsr, MSR_X2APIC(APIC_SVR), 0xff);
    svm_run(&g);
    tap_ok(noaccel(NOACCEL_WRITE | APIC_SVR, a_wrmsr_2) && avic_get(&vm, 0, APIC_SVR) == 0xff,
           "SVR exits behind it");
    msr(a_wrmsr, MSR_X2APIC(APIC_VERSION), 0);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_GP, "read-only registers make #GP");
    msr(a_wrmsr, MSR_X2APIC(APIC_TPR), 0x100);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_GP, "so do reserved bits");
    msr(a_wrmsr, MSR_X2APIC_SELF_IPI, VECTOR);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    taken(VECTOR, a_wrmsr_2, "SELF_IPI");
    msr(a_wrmsr, MSR_X2APIC(APIC_ICR_LOW), UINT64_C(2) << 32 | VECTOR);
    svm_run(&g);
    tap_ok(svm_get(&g, VMCB_EXITCODE) == VMEXIT_AVIC_INCOMPLETE_IPI &&
               svm_get(&g, VMCB_EXITINFO1) == (UINT64_C(2) << 32 | VECTOR) &&
               svm_get(&g, VMCB_EXITINFO2) == REASON(1, 2),
           "ICR: a target that does not run");
    tap_ok(avic_get(&vm, 0, APIC_ICR_HIGH) == 2 && avic_get(&vm, 0, APIC_ICR_LOW) == VECTOR,
           "ICR is two registers of the page");
    tap_ok(avic_bit(&vm, 2, APIC_IRR, VECTOR), "the target has it in IRR");
    msr(a_wrmsr, MSR_X2APIC(APIC_ICR_LOW), UINT64_C(6) << 32 | ICR_LOGICAL | VECTOR);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_EXITINFO2), REASON(1, 1), "logical destinations need no table");
    tap_ok(avic_bit(&vm, 1, APIC_IRR, VECTOR) && avic_bit(&vm, 2, APIC_IRR, VECTOR),
           "both have it");
}

/* ---- rules of VMRUN ---- */

static void read_doorbell(void *arg)
{
    (void)arg;
    rdmsr(MSR_AVIC_DOORBELL);
}

static void test_rules(void)
{
    fresh(a_nops, VINTR_AVIC_ENABLE);
    svm_set(&g, VMCB_NP_ENABLE, 0);
    tap_eq(svm_run(&g), VMEXIT_INVALID, "AVIC needs nested paging");
    fresh(a_nops, VINTR_AVIC_ENABLE);
    svm_set(&g, VMCB_AVIC_PHYSICAL_TABLE, (uintptr_t)vm.physical | 256);
    tap_eq(svm_run(&g), VMEXIT_INVALID, "MAX_INDEX 256 is too much");
    fresh(a_nops, VINTR_AVIC_ENABLE);
    svm_set(&g, VMCB_AVIC_BACKING_PAGE, UINT64_C(1) << 52);
    tap_eq(svm_run(&g), VMEXIT_INVALID, "a backing page that is no address");
    if (svm_has(SVM_FEATURE_X2AVIC)) {
        fresh(a_nops, VINTR_X2AVIC_ENABLE);
        tap_eq(svm_run(&g), VMEXIT_INVALID, "x2AVIC needs AVIC");
    }
    tap_eq(trap_try(read_doorbell, NULL).vector, EXC_GP, "the doorbell cannot be read");
}

int rom_main(void)
{
    apic_init();
    kit_init();
    if (!svm_has(SVM_FEATURE_AVIC)) {
        tap_skip("no AVIC", "everything");
        tap_done();
    }
    nested = kit_nested_identity();
    test_filter();
    test_tpr();
    test_delivery();
    test_eoi();
    test_incomplete();
    test_x2avic();
    test_rules();
    tap_done();
}

/* legacy_events.c: events in guests of legacy modes: injection through the table of real mode, from virtual-8086 mode,
 * through 16-bit gates; virtual interrupts and shadows there; exceptions that arise in such deliveries. APM vol 2, 15.7.2
 * "Intercepts During IDT Interrupt Delivery", 15.20 "Event Injection", 15.21.4 "Injecting Virtual (INTR) Interrupts". */
#include "test-roms/svm/mode_kit.h"

#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define EXCEPTION (EVENT_V | EVENT_EXCEPTION)
#define NEXT_RIP 0x7777u
#define GP_1234 (EXCEPTION | EVENT_EV | EXC_GP | UINT64_C(0x1234) << EVENT_ERRORCODE_SHIFT)
#define VIRQ(vector) \
    (VINTR_V_IRQ | VINTR_V_IGN_TPR | (uint64_t)(vector) << VINTR_V_INTR_VECTOR_SHIFT)
#define RFLAGS_VIF UINT64_C(0x80000)

/* Handlers give back what they find on their stack. */
MODE_CODE16(i_real, "popw %ax\n popw %bx\n popw %cx");
MODE_CODE16(i_other, "movw $0x7777, %ax");
MODE_CODE32(i_prot, "popl %eax\n popl %ebx\n popl %ecx\n popl %edx\n popl %esi\n popl %edi");
MODE_CODE16(i_gate16, "popw %ax\n popw %bx\n popw %cx\n popw %dx");
/* Guests. */
MODE_CODE16(i_nops, "nop\n nop\n nop");
MODE_CODE16(i_sti, "sti\n nop\n i_sti_insn: nop");
MODE_CODE16(i_ss, "movw %ss, %ax\n movw %ax, %ss\n nop\n i_ss_insn: nop");
MODE_CODE16(i_hlt, "sti\n hlt\n i_hlt_insn: nop");
MODE_CODE16(i_int, "i_int_insn: int $0x40\n nop");
MODE_CODE16(i_int3, "i_int3_insn: int3\n nop");
MODE_CODE16(i_div, "xorw %bx, %bx\n i_div_insn: divw %bx\n nop");
MODE_CODE16(i_popf, "pushw $0x0202\n popfw\n i_popf_insn: nop");
MODE_CODE16(i_read, "i_read_insn: movl 0x500, %eax\n nop");
MODE_CODE16(i_step, "nop\n i_step_insn: nop");
MODE_CODE16(i_write_500, "movl %eax, 0x500\n i_write_500_insn: nop");

static struct svm_guest g;

/* A guest in 16-bit code whose table leads to i_real. */
static void prepare(enum mode mode, const char *code, bool nested)
{
    modes_begin(mode, code);
    for (unsigned v = 0; v < 256; v++) {
        modes_ivt(v, 0, (uint16_t)(uintptr_t)i_real);
        if (mode != MODE_REAL)
            *modes_idt_gate(v) =
                modes_gate(SEL_CODE32, (uint32_t)(uintptr_t)i_prot, 0x8e | SEG_DPL(3), 0);
    }
    guest_make(&g, nested);
}

static void inject(uint64_t event)
{
    svm_set(&g, VMCB_EVENTINJ, event);
    svm_set(&g, VMCB_NRIP, NEXT_RIP);
}

/* The guest ended in i_real, having found this IP and these flags, and nothing else. */
static void in_real_handler(uint64_t ip, uint64_t flags, const char *what)
{
    guest_run(&g);
    if (!tap_ok(guest_done(&g, i_real_end) && (uint16_t)svm_get(&g, VMCB_RAX) == (uint16_t)ip &&
                    (uint16_t)g.rbx == 0 && (uint16_t)g.rcx == flags &&
                    svm_get(&g, VMCB_RSP) == (uintptr_t)modes_stack,
                "%s", what))
        rom_printf("#   exit %lx at %lx, info %lx, IP %lx CS %lx flags %lx\n",
                   svm_get(&g, VMCB_EXITCODE), svm_get(&g, VMCB_RIP), svm_get(&g, VMCB_EXITINFO1),
                   svm_get(&g, VMCB_RAX), g.rbx, g.rcx);
}

/* ---- injection ----------------------------------------------------------------------------------- */

static const struct {
    uint64_t event;
    bool next; /* returns to nRIP */
    const char *name;
} events[] = {
    { EVENT_V | EVENT_INTR | 0x40, false, "an interrupt" },
    { EVENT_V | EVENT_INTR | 8, false, "an interrupt with the vector of #DF" },
    { EVENT_V | EVENT_NMI, false, "an NMI" },
    { EVENT_V | EVENT_INTN | 0x21, true, "INT n" },
    { EXCEPTION | EXC_BP, true, "#BP" },
    { EXCEPTION | EXC_OF, true, "#OF" },
    { EXCEPTION | EXC_DE, false, "#DE" },
    { EXCEPTION | EXC_BR, false, "#BR" },
    { EXCEPTION | EXC_DB, false, "#DB" },
    { EXCEPTION | EXC_MC, false, "#MC" },
    { GP_1234, false, "#GP with an error code" },
};

static void test_inject_real(bool nested)
{
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        uint64_t rip = events[i].next ? NEXT_RIP : (uintptr_t)i_nops;

        prepare(MODE_REAL, i_nops, nested);
        svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_CF | RFLAGS_IF);
        inject(events[i].event);
        in_real_handler(rip, RFLAGS_ONE | RFLAGS_CF | RFLAGS_IF, events[i].name);
        tap_eq(svm_get(&g, VMCB_RFLAGS) & RFLAGS_IF, 0, "injected into real mode: IF is 0 then");
    }
    prepare(MODE_REAL, i_nops, nested);
    svm_set_segment(&g, VMCB_IDTR, 0, 0, 0x40 * 4 + 2, 0);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    inject(EVENT_V | EVENT_INTR | 0x40);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, i_nops, "a vector beyond IDTR.limit is #GP");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_INTR | 0x40, "in the delivery of the event");
    guest_field(&g, VMCB_RSP, (uintptr_t)modes_stack, "with nothing pushed");
    prepare(MODE_REAL, i_nops, nested);
    svm_set_segment(&g, VMCB_IDTR, 0, 0, EXC_DF * 4 - 1, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_SHUTDOWN);
    inject(EXCEPTION | EXC_GP);
    guest_exits(&g, VMEXIT_SHUTDOWN, NULL, "and without a table at all shutdown");
}

static void in_prot_handler(uint64_t eip, const char *what)
{
    guest_run(&g);
    if (!tap_ok(guest_done(&g, i_prot_end) && (uint32_t)svm_get(&g, VMCB_RAX) == (uint32_t)eip &&
                    (g.rcx & RFLAGS_VM) != 0,
                "%s", what))
        rom_printf("#   exit %lx at %lx, info %lx, EIP %lx CS %lx flags %lx\n",
                   svm_get(&g, VMCB_EXITCODE), svm_get(&g, VMCB_RIP), svm_get(&g, VMCB_EXITINFO1),
                   svm_get(&g, VMCB_RAX), g.rbx, g.rcx);
}

static void test_inject_v86(bool nested)
{
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        uint64_t eip = events[i].next ? NEXT_RIP : (uintptr_t)i_nops;

        prepare(MODE_V86, i_nops, nested);
        inject(events[i].event);
        if ((events[i].event & EVENT_EV) == 0) {
            in_prot_handler(eip, events[i].name);
            tap_ok(
                svm_get8(&g, VMCB_CPL) == 0 && (svm_get(&g, VMCB_RFLAGS) & RFLAGS_VM) == 0 &&
                    (uint32_t)g.rdx == (uintptr_t)modes_user_stack,
                "injected into virtual-8086 mode: the handler is at CPL 0, beside the old stack");
            continue;
        }
        guest_pass(&g, i_prot_end, events[i].name);
        tap_ok((uint32_t)svm_get(&g, VMCB_RAX) == 0x1234 && (uint32_t)g.rbx == eip,
               "its error code lies on top");
    }
    /* INT n with IOPL 0: it was the hypervisor's decision, so the IDT gets it. */
    prepare(MODE_V86, i_nops, nested);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_VM);
    inject(EVENT_V | EVENT_INTN | 0x21);
    in_prot_handler(NEXT_RIP, "INT n injected with IOPL 0 goes through the IDT");
    /* A gate that level 3 may not use. */
    prepare(MODE_V86, i_nops, nested);
    *modes_idt_gate(0x21) = modes_gate(SEL_CODE32, (uint32_t)(uintptr_t)i_prot, 0x8e, 0);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    inject(EVENT_V | EVENT_INTN | 0x21);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, i_nops, "INT n respects the DPL of the gate");
    guest_field(&g, VMCB_EXITINFO1, 0x21 * 8 + 2, "the error code names the vector");
    inject(EVENT_V | EVENT_INTR | 0x21);
    in_prot_handler((uintptr_t)i_nops, "an interrupt does not");
}

/* Gates of types 6 and 7 push words. */
static void test_inject_gate16(bool nested)
{
    prepare(MODE_PROT16, i_nops, nested);
    *modes_idt_gate(EXC_GP) = modes_gate(MSEL_CODE16, (uint32_t)(uintptr_t)i_gate16, 0x86, 0);
    inject(GP_1234);
    guest_pass(&g, i_gate16_end, "#GP injected through a 16-bit gate");
    tap_ok((uint16_t)svm_get(&g, VMCB_RAX) == 0x1234 && (uint16_t)g.rbx == (uintptr_t)i_nops &&
               (uint16_t)g.rcx == MSEL_CODE16 && (uint16_t)g.rdx == (RFLAGS_ONE) &&
               svm_get(&g, VMCB_RSP) == (uintptr_t)modes_stack,
           "pushes four words");
}

/* ---- virtual interrupts -------------------------------------------------------------------------- */

static void test_virtual(enum mode mode, bool nested)
{
    const char *name = mode == MODE_REAL ? "real mode" : "virtual-8086 mode";
    const char *end = mode == MODE_REAL ? i_real_end : i_prot_end;

    rom_printf("# virtual interrupts in %s\n", name);
    prepare(mode, i_nops, nested);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_pass(&g, i_nops_end, "IF = 0: a virtual interrupt waits");
    tap_ok((svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ) != 0, "and is still pending");
    prepare(mode, i_sti, nested);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_pass(&g, end, "STI: it comes");
    tap_eq((uint16_t)svm_get(&g, VMCB_RAX), (uintptr_t)i_sti_insn & 0xffff,
           "one instruction later");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, 0, "and is no longer pending");
    prepare(mode, i_sti, nested);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_VINTR);
    guest_exits(&g, VMEXIT_VINTR, i_sti_insn, "the VINTR intercept exits where it would come");
    tap_ok((svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ) != 0, "and leaves it pending");
    prepare(mode, i_popf, nested);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_pass(&g, end, "POPF opens IF");
    tap_eq((uint16_t)svm_get(&g, VMCB_RAX), (uintptr_t)i_popf_insn & 0xffff, "without a shadow");
    prepare(mode, i_ss, nested);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_IF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_pass(&g, end, "INTERRUPT_SHADOW holds it for one instruction");
    tap_eq((uint16_t)svm_get(&g, VMCB_RAX), (uintptr_t)i_ss + 2, "so it comes behind the first");
    prepare(mode, i_ss, nested);
    svm_set(&g, VMCB_RIP, (uintptr_t)i_ss + 2);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_IF);
    svm_set(&g, VMCB_RAX, 0);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_pass(&g, end, "MOV SS in the shadow starts the next one");
    tap_eq((uint16_t)svm_get(&g, VMCB_RAX), (uintptr_t)i_ss_insn & 0xffff,
           "so it comes later still");
    prepare(mode, i_nops, nested);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_IF);
    svm_set(&g, VMCB_VINTR, (VIRQ(0x51) & ~VINTR_V_IGN_TPR) | 5u << VINTR_V_INTR_PRIO_SHIFT | 5);
    guest_pass(&g, i_nops_end, "V_TPR holds it unless the priority is higher");
    svm_set(&g, VMCB_RIP, (uintptr_t)i_nops);
    svm_set(&g, VMCB_VINTR, (VIRQ(0x51) & ~VINTR_V_IGN_TPR) | 6u << VINTR_V_INTR_PRIO_SHIFT | 5);
    guest_pass(&g, end, "which lets it pass");
    prepare(mode, i_nops, nested);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_IF);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    inject(EVENT_V | EVENT_INTR | 0x40);
    guest_pass(&g, end, "an injected event comes first");
    tap_ok((svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ) != 0, "its handler has IF = 0");
}

static void test_halt(bool nested)
{
    prepare(MODE_REAL, i_hlt, nested);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    in_real_handler((uintptr_t)i_hlt_insn, RFLAGS_ONE | RFLAGS_IF,
                    "STI, HLT in real mode: a virtual interrupt wakes the guest behind HLT");
}

/* CR4.VME with IOPL 0: what the program sees of IF is VIF, virtual interrupts go by the real one. */
static void test_vme(bool nested)
{
    if ((cpuid(1, 0).edx >> 1 & 1) == 0) {
        tap_skip("no VME", "virtual interrupts with VME");
        return;
    }
    prepare(MODE_V86, i_sti, nested);
    svm_set(&g, VMCB_CR4, CR4_VME);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_VM);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_pass(&g, i_sti_end, "VME: STI with IOPL 0 opens nothing");
    tap_eq(svm_get(&g, VMCB_RFLAGS) & (RFLAGS_VIF | RFLAGS_IF), RFLAGS_VIF, "but VIF");
    svm_set(&g, VMCB_RIP, (uintptr_t)i_sti);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_VM | RFLAGS_IF);
    guest_pass(&g, i_prot_end, "the real IF lets it pass");
    /* The redirection map is the guest's own. */
    prepare(MODE_V86, i_int, nested);
    modes_open_ports();
    svm_set_segment(&g, VMCB_TR, MSEL_TSS, 0x8b, 0x88 + 8192, (uintptr_t)modes_tss);
    svm_set(&g, VMCB_CR4, CR4_VME);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_VM);
    guest_pass(&g, i_real_end, "VME: INT n goes through the program's own table");
    tap_eq(svm_get8(&g, VMCB_CPL), 3, "at CPL 3");
    modes_tss[0x68 + 0x40 / 8] = 1;
    svm_set(&g, VMCB_RIP, (uintptr_t)i_int);
    svm_set(&g, VMCB_RSP, (uintptr_t)modes_user_stack);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, i_int_insn, "its bit set and IOPL 0: #GP");
    guest_field(&g, VMCB_EXITINFO1, 0, "with code 0");
}

/* ---- faults in deliveries ------------------------------------------------------------------------ */

/* rows: exit 5.1, 5.6, 5.8-5.9 */
static void test_delivery_faults(void)
{
    uint32_t *directory;

    /* Paged real mode whose table is in no page. */
    prepare(MODE_REAL, i_int, false);
    directory = modes_paging_pse();
    modes_map32(directory, 0, 0, 0);
    svm_set(&g, VMCB_CR0, CR0_PG | CR0_ET | CR0_WP);
    svm_set(&g, VMCB_CR3, (uintptr_t)directory);
    svm_set(&g, VMCB_CR4, CR4_PSE);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_PF, i_int_insn, "INT n whose table is missing: #PF");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_INTN | 0x40, "in its delivery");
    guest_field(&g, VMCB_EXITINFO2, 0x100, "at the entry");
    guest_field(&g, VMCB_RSP, (uintptr_t)modes_stack, "rSP is as before");
    svm_set(&g, VMCB_RIP, (uintptr_t)i_div);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_PF, i_div_insn, "#DE whose table is missing: #PF");
    guest_field(&g, VMCB_EXITINTINFO, EXCEPTION | EXC_DE, "in its delivery");
    svm_set(&g, VMCB_RIP, (uintptr_t)i_int3);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_PF, i_int3_insn, "INT3 whose table is missing: #PF");
    guest_field(&g, VMCB_EXITINTINFO, EXCEPTION | EXC_BP, "is an exception to EXITINTINFO");
    svm_set(&g, VMCB_RIP, (uintptr_t)i_nops);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_set(&g, VMCB_VINTR, VIRQ(0x51));
    guest_exits(&g, VMEXIT_EXCP0 + EXC_PF, i_nops, "a virtual interrupt whose table is missing");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_INTR | 0x51, "is told");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, 0, "and no longer pending");
    modes_map32(directory, 0, 0, (uint32_t)PWU);
    svm_set(&g, VMCB_EVENTINJ, svm_get(&g, VMCB_EXITINTINFO));
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    in_real_handler((uintptr_t)i_nops, RFLAGS_ONE | RFLAGS_IF,
                    "the table mapped and the event injected again: it arrives");
    /* The stack of 16-bit code ends. */
    prepare(MODE_REAL, i_int, false);
    svm_set(&g, VMCB_RSP, 3);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_SS);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_SS, i_int_insn, "no room for the words of INT n: #SS");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_INTN | 0x40, "in its delivery");
    /* From virtual-8086 mode, with a TSS that has no stack. */
    prepare(MODE_V86, i_div, false);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_TS);
    modes_store(modes_tss, TSS_SS0, 0, 2);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_TS, i_div_insn, "virtual-8086 mode, SS0 is null: #TS");
    guest_field(&g, VMCB_EXITINTINFO, EXCEPTION | EXC_DE, "in the delivery of #DE");
    guest_field(&g, VMCB_EXITINFO1, 1, "with EXT");
}

/* A nested fault in a delivery: NPF with EXITINTINFO. */
/* rows: vmcb 8.2, exit 6.6 */
static void test_nested_faults(void)
{
    volatile uint64_t *leaf;

    prepare(MODE_REAL, i_int, true);
    leaf = paging_map(guest_nested(), 0, 0, PAGE_4K, 0);
    guest_exits(&g, VMEXIT_NPF, i_int_insn, "INT n in real mode, its table in no nested page: NPF");
    guest_field(&g, VMCB_EXITINFO2, 0x100, "at the entry");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_INTN | 0x40, "in its delivery");
    tap_ok(svm_get8(&g, VMCB_INSN_BYTES) == 15 &&
               memcmp(g.vmcb + VMCB_INSN_BYTES + 1, i_int_insn, 2) == 0,
           "with the bytes of the instruction");
    svm_set(&g, VMCB_RIP, (uintptr_t)i_read);
    guest_exits(&g, VMEXIT_NPF, i_read_insn, "a read of real mode there: NPF");
    guest_field(&g, VMCB_EXITINTINFO, 0, "in no delivery");
    tap_ok(svm_get8(&g, VMCB_INSN_BYTES) == 15 &&
               memcmp(g.vmcb + VMCB_INSN_BYTES + 1, i_read_insn, 5) == 0,
           "with the bytes of its instruction");
    *leaf = PWU;
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    guest_pass(&g, i_read_end, "the page given, it goes on");
}

/* ---- debug registers ----------------------------------------------------------------------------- */

/* rows: svmop 3.35-3.36, exit 4.2 */
static void test_debug(enum mode mode)
{
    prepare(mode, i_step, false);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_TF);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_DB);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_DB, i_step_insn, "TF: #DB behind the first instruction");
    guest_field(&g, VMCB_DR6, UINT64_C(0xffff4ff0), "DR6.BS is saved");
    prepare(mode, i_step, false);
    svm_set(&g, VMCB_DR7, UINT64_C(0x402)); /* execution */
    __asm__ volatile("movq %0, %%db0" : : "r"((uint64_t)(uintptr_t)i_step_insn));
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_DB);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_DB, i_step_insn,
                "DR7 of the VMCB: an instruction breakpoint");
    guest_field(&g, VMCB_DR6, UINT64_C(0xffff0ff1), "DR6.B0 is saved");
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_RF);
    guest_pass(&g, i_step_end, "RF of the VMCB lets the instruction run");
    prepare(mode, i_write_500, false);
    svm_set(&g, VMCB_DR7, UINT64_C(0xd0402)); /* write, 4 bytes */
    __asm__ volatile("movq %0, %%db0" : : "r"(UINT64_C(0x500)));
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_DB);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_DB, i_write_500_insn, "a data breakpoint: behind the write");
}

static void host_is_free(void)
{
    uint64_t dr7;

    __asm__ volatile("movq %%db7, %0" : "=r"(dr7));
    tap_eq(dr7, 0x400, "the host's DR7 has no breakpoint");
}

int rom_main(void)
{
    kit_init();
    for (unsigned nested = 0; nested <= svm_has(SVM_FEATURE_NP); nested++) {
        rom_printf("# nested paging %u\n", nested);
        test_inject_real(nested != 0);
        test_inject_v86(nested != 0);
        test_inject_gate16(nested != 0);
        test_virtual(MODE_REAL, nested != 0);
        test_virtual(MODE_V86, nested != 0);
        test_halt(nested != 0);
        test_vme(nested != 0);
    }
    test_delivery_faults();
    if (svm_has(SVM_FEATURE_NP))
        test_nested_faults();
    test_debug(MODE_REAL);
    test_debug(MODE_V86);
    test_debug(MODE_PROT16);
    host_is_free();
    tap_done();
}

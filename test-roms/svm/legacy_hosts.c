/* legacy_hosts.c: VMRUN from 16-bit, 32-bit and PAE hosts, from compatibility mode and under five levels. The paging mode
 * of the host is that of the nested tables. APM vol 2, 15.5.1 "Basic Operation", 15.6 "#VMEXIT", 15.25.3 "Enabling Nested
 * Paging". */
#include "test-roms/svm/mode_kit.h"

#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define CR4_LA57 UINT64_C(0x1000)
#define WINDOW UINT64_C(0x800000)
#define HIGH UINT64_C(0x100000000)
#define FOUND 0x600df00du
#define LOW_VMCB UINT64_C(0xa000) /* unused memory */

/* The host: EAX is the VMCB; behind VMRUN nothing but the guest's registers may have changed. */
MODE_CODE16(h_16, "movl %esp, %ebp\n clgi\n .byte 0x67\n vmrun\n stgi\n movw %cs, %si\n"
                  "movw %ss, %di\n subl %esp, %ebp");
MODE_CODE32(h_32, "movl %esp, %ebp\n clgi\n vmrun\n stgi\n movw %cs, %si\n movw %ss, %di\n"
                  "subl %esp, %ebp");
/* AX alone is the address in 16-bit code. */
MODE_CODE16(h_16_narrow, "clgi\n vmrun\n stgi");
/* Goes to compatibility mode with the tables of ECX and the bits of CR4 in EDX, and back. */
MODE_CODE32(h_long, "movl %eax, %esi\n movl %edx, %cr4\n movl %ecx, %cr3\n movl $0xc0000080, %ecx\n"
                    "movl $0x1900, %eax\n xorl %edx, %edx\n wrmsr\n movl %cr0, %eax\n"
                    "orl $0x80000000, %eax\n movl %eax, %cr0\n"
                    "movl %esi, %eax\n clgi\n vmrun\n stgi\n"
                    "movl %cr4, %ebp\n"
                    "movl %cr0, %eax\n andl $0x7fffffff, %eax\n movl %eax, %cr0\n"
                    "movl $0xc0000080, %ecx\n movl $0x1000, %eax\n xorl %edx, %edx\n wrmsr\n"
                    "xorl %eax, %eax\n movl %eax, %cr4\n movl $1, %edi");

MODE_CODE16(g_16, "addw %ax, %ax\n vmmcall");
MODE_CODE32(g_32, "addl %eax, %eax\n vmmcall");
MODE_CODE32(g_read32, "movl (%edi), %eax\n vmmcall");
MODE_CODE64(g_64, "addq %rax, %rax\n vmmcall");
MODE_CODE64(g_read64, "shlq $16, %rdi\n g_read64_insn: movl (%rdi), %eax\n vmmcall");

static struct svm_guest g;
static uint32_t page[1024] __attribute__((aligned(4096)));
static uint64_t pml5[512] __attribute__((aligned(4096))); /* of the nested tables */
static uint64_t paging_five[512] __attribute__((aligned(4096)));

static void report_guest(void)
{
    rom_printf("#   guest: exit %lx, info %lx %lx, RIP %lx, rAX %lx\n", svm_get(&g, VMCB_EXITCODE),
               svm_get(&g, VMCB_EXITINFO1), svm_get(&g, VMCB_EXITINFO2), svm_get(&g, VMCB_RIP),
               svm_get(&g, VMCB_RAX));
}

/* A host in this mode with SVM on, to run the guest at hand; the caller may still turn paging on. */
static struct modes_state *host(enum mode mode, const char *code)
{
    struct modes_state *m = modes_begin(mode, code);

    m->efer |= EFER_SVME;
    m->regs[M_AX] = (uintptr_t)g.vmcb;
    return m;
}

static void run_host(const struct modes_state *m, const char *end, uint64_t exitcode,
                     const char *what)
{
    struct mode_event e = modes_run();
    bool came_back = modes_done(&e, end);

    if (!tap_ok(came_back && svm_get(&g, VMCB_EXITCODE) == exitcode, "%s", what)) {
        rom_printf("#   host: vector %u at %lx\n", e.vector, e.ip);
        report_guest();
    }
    tap_ok(came_back && modes_reg(M_BP) == 0 && (uint16_t)modes_reg(M_SI) == m->cs &&
               (uint16_t)modes_reg(M_DI) == m->ss && modes_cr0() == m->cr0 &&
               modes_cr3() == m->cr3 && modes_cr4() == m->cr4 && modes_efer() == m->efer,
           "the host has its stack, segments, CR0, CR3, CR4 and EFER back");
}

/* ---- without nested paging ---------------------------------------------------------------------- */

static void guest_for(enum mode mode, const char *code)
{
    struct modes_state *m = modes_begin(mode, code);

    m->regs[M_AX] = 21;
    guest_make(&g, false);
}

static const struct {
    enum mode mode;
    const char *code, *end, *name;
} guests[] = {
    { MODE_REAL, g_16, g_16_end, "real mode" },
    { MODE_V86, g_16, g_16_end, "virtual-8086 mode" },
    { MODE_PROT32, g_32, g_32_end, "32-bit protected mode" },
    { MODE_COMPAT16, g_16, g_16_end, "16-bit compatibility mode" },
    { MODE_LONG, g_64, g_64_end, "64-bit mode" },
};

/* rows: svmop 4.37, 5.9 */
static void test_hosts(void)
{
    static const struct {
        enum mode mode;
        const char *code, *end, *name;
        enum { NONE, PSE, PAE } paging;
    } hosts[] = {
        { MODE_PROT16, h_16, h_16_end, "a 16-bit host", NONE },
        { MODE_PROT32, h_32, h_32_end, "a 32-bit host", NONE },
        { MODE_PROT32, h_32, h_32_end, "a 32-bit host with paging", PSE },
        { MODE_PROT32, h_32, h_32_end, "a 32-bit host with PAE", PAE },
        { MODE_COMPAT16, h_16, h_16_end, "a host in 16-bit compatibility mode", NONE },
        { MODE_COMPAT32, h_32, h_32_end, "a host in compatibility mode", NONE },
    };

    for (unsigned h = 0; h < sizeof hosts / sizeof hosts[0]; h++)
        for (unsigned i = 0; i < sizeof guests / sizeof guests[0]; i++) {
            struct modes_state *m;

            guest_for(guests[i].mode, guests[i].code);
            m = host(hosts[h].mode, hosts[h].code);
            if (hosts[h].paging == PSE)
                modes_paging_pse();
            if (hosts[h].paging == PAE)
                modes_paging_pae();
            rom_printf("# %s, a guest in %s\n", hosts[h].name, guests[i].name);
            run_host(m, hosts[h].end, VMEXIT_VMMCALL, "VMRUN and #VMEXIT");
            tap_eq((uint32_t)svm_get(&g, VMCB_RAX), 42, "the guest did its work");
        }
}

/* rAX has the address size of the code. */
static void test_address_size(void)
{
    uint8_t *low_vmcb = (uint8_t *)LOW_VMCB;
    struct modes_state *m;

    guest_for(MODE_REAL, g_16);
    memcpy(low_vmcb, g.vmcb, VMCB_BYTES);
    m = host(MODE_PROT16, h_16_narrow);
    m->regs[M_AX] = 0x70000000 | LOW_VMCB;
    modes_try(EXC_UD, 0, h_16_narrow_end, "VMRUN in 16-bit code uses AX");
    tap_eq(low_vmcb[VMCB_EXITCODE], VMEXIT_VMMCALL, "and runs the VMCB there");
}

/* ---- nested paging ------------------------------------------------------------------------------- */

static void test_nested_32(void)
{
    struct modes_state *m;
    uint32_t *nested;

    m = modes_begin(MODE_PROT32, g_read32);
    m->regs[M_DI] = WINDOW;
    nested = modes_paging_pse();
    m->cr0 &= ~(CR0_PG | CR0_WP);
    page[0] = FOUND;
    modes_map32(nested, WINDOW, (uintptr_t)page, (uint32_t)PWU);
    guest_make(&g, false);
    svm_set_nested(&g, nested);
    m = host(MODE_PROT32, h_32);
    modes_paging_pse();
    m->regs[M_DI] = WINDOW;
    run_host(m, h_32_end, VMEXIT_VMMCALL, "a 32-bit host: nested tables of two levels");
    tap_eq((uint32_t)svm_get(&g, VMCB_RAX), FOUND, "the guest found its page");
    nested[WINDOW >> 22] = 0;
    svm_set(&g, VMCB_RIP, (uintptr_t)g_read32);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    m = host(MODE_PROT32, h_32);
    modes_paging_pse();
    m->regs[M_DI] = WINDOW + 4;
    run_host(m, h_32_end, VMEXIT_NPF, "a page that is not there is #VMEXIT(NPF)");
    guest_field(&g, VMCB_EXITINFO1, NPF_FINAL | PF_US, "told as ever");
    guest_field(&g, VMCB_EXITINFO2, WINDOW + 4, "with its address");
    /* A 64-bit guest under it: what lies above 4 GiB cannot be mapped. */
    modes_begin(MODE_LONG, g_read64);
    guest_make(&g, false);
    svm_set_nested(&g, nested);
    nested[WINDOW >> 22] = (uint32_t)(WINDOW | PAGE_PS | PWU);
    paging_map(paging_root(), PAGING_WINDOW, HIGH, PAGE_4K, PAGE_P | PAGE_W);
    m = host(MODE_PROT32, h_32);
    modes_paging_pse();
    m->regs[M_DI] = PAGING_WINDOW >> 16;
    run_host(m, h_32_end, VMEXIT_NPF, "a 64-bit guest: guest physical 4 GiB is out of reach");
    guest_field(&g, VMCB_EXITINFO1, NPF_FINAL | PF_US, "not present");
    guest_field(&g, VMCB_EXITINFO2, HIGH, "with all of its address");
}

static void test_nested_pae(void)
{
    struct modes_state *m = modes_begin(MODE_PROT32, g_read32);
    uint64_t *nested = modes_paging_pae();

    m->cr0 &= ~(CR0_PG | CR0_WP);
    m->cr4 = 0;
    page[0] = FOUND;
    modes_map_pae(nested, WINDOW, (uintptr_t)page, PWU);
    guest_make(&g, false);
    svm_set_nested(&g, nested);
    m = host(MODE_PROT32, h_32);
    modes_paging_pae();
    m->regs[M_DI] = WINDOW;
    run_host(m, h_32_end, VMEXIT_VMMCALL, "a PAE host: nested tables with four PDPTEs");
    tap_eq((uint32_t)svm_get(&g, VMCB_RAX), FOUND, "the guest found its page");
    nested[0] = 0;
    svm_set(&g, VMCB_RIP, (uintptr_t)g_read32);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    m = host(MODE_PROT32, h_32);
    modes_paging_pae();
    run_host(m, h_32_end, VMEXIT_NPF, "a nested PDPTE that is not present is #VMEXIT(NPF)");
    guest_field(&g, VMCB_EXITINFO2, (uintptr_t)g_read32, "met by the first fetch");
    tap_eq(svm_get(&g, VMCB_EXITINFO1) & (NPF_FINAL | PF_P | PF_US), NPF_FINAL | PF_US,
           "told as ever");
    modes_begin(MODE_PROT32, g_32);
    guest_make(&g, false);
    svm_set_nested(&g, guest_nested());
    m = host(MODE_PROT32, h_32);
    run_host(m, h_32_end, VMEXIT_INVALID, "a host without paging has no nested paging");
}

/* ---- five levels ----------------------------------------------------------------------------------- */

static void run_long(uint64_t root, uint64_t cr4, uint64_t exitcode, const char *what)
{
    struct modes_state *m = host(MODE_PROT32, h_long);
    struct mode_event e;

    m->regs[M_CX] = root;
    m->regs[M_DX] = cr4;
    e = modes_run();
    if (!tap_ok(modes_done(&e, h_long_end) && modes_reg(M_DI) == 1 &&
                    svm_get(&g, VMCB_EXITCODE) == exitcode,
                "%s", what)) {
        rom_printf("#   host: vector %u at %lx\n", e.vector, e.ip);
        report_guest();
    }
    tap_eq((uint32_t)modes_reg(M_BP), cr4, "the host has its CR4 back");
}

static void test_five_levels(void)
{
    if ((cpuid_checked(7, 0).ecx >> 16 & 1) == 0) {
        tap_skip("no LA57", "a host with five levels");
        return;
    }
    pml5[0] = paging_five[0] = (uintptr_t)guest_nested() | PWU;
    modes_begin(MODE_LONG, g_64)->regs[M_AX] = 21;
    guest_make(&g, true);
    run_long((uintptr_t)guest_nested(), CR4_PAE, VMEXIT_VMMCALL, "a host with four levels");
    tap_eq(svm_get(&g, VMCB_RAX), 42, "ran its guest");
    modes_begin(MODE_LONG, g_64)->regs[M_AX] = 21;
    guest_make(&g, false);
    svm_set_nested(&g, pml5);
    run_long((uintptr_t)paging_five, CR4_PAE | CR4_LA57, VMEXIT_VMMCALL,
             "a host with five levels: so have the nested tables");
    tap_eq(svm_get(&g, VMCB_RAX), 42, "and its guest has four");
    modes_begin(MODE_REAL, g_16)->regs[M_AX] = 21;
    guest_make(&g, false);
    svm_set_nested(&g, pml5);
    run_long((uintptr_t)paging_five, CR4_PAE | CR4_LA57, VMEXIT_VMMCALL, "or is in real mode");
    pml5[0] = 0;
    modes_begin(MODE_REAL, g_16);
    guest_make(&g, false);
    svm_set_nested(&g, pml5);
    run_long((uintptr_t)paging_five, CR4_PAE | CR4_LA57, VMEXIT_NPF,
             "a nested PML5E that is not present is #VMEXIT(NPF)");
    guest_field(&g, VMCB_EXITINFO2, (uintptr_t)g_16, "met by the first fetch");
}

int rom_main(void)
{
    kit_init();
    test_hosts();
    test_address_size();
    if (svm_has(SVM_FEATURE_NP)) {
        test_nested_32();
        test_nested_pae();
        test_five_levels();
    } else {
        tap_skip("no nested paging", "nested paging of legacy hosts");
    }
    tap_done();
}

/* every_mode.c: what VMRUN loads and #VMEXIT saves in each mode of the processor, with nested paging and without. APM
 * vol 2, 15.5.1 "Basic Operation", 15.19 "Paged Real Mode", 15.25.5 "Nested Table Walk". */
#include "test-roms/svm/mode_kit.h"

#define WINDOW 0x00800000u /* 8 MiB: nothing of the ROM is there */
#define HIGH UINT64_C(0x100000000)
#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define FOUND 0x600df00du

/* In every size: arithmetic in AX, the stack, a store through DS. */
#define WORK                                                      \
    "addw %ax, %ax\n pushw %ax\n popw %bx\n movw %bx, e_result\n" \
    "pushf\n popw %dx\n movw %cs, %si\n movw %ss, %di\n movw %di, %bp"
MODE_CODE16(e_16, WORK);
MODE_CODE32(e_32, "addw %ax, %ax\n pushw %ax\n popw %bx\n movw %bx, e_result\n pushfl\n popl %edx\n"
                  "movw %cs, %si\n movw %ss, %di\n movw %di, %bp");
MODE_CODE64(e_64, "addw %ax, %ax\n pushw %ax\n popw %bx\n movw %bx, e_result\n pushfq\n popq %rdx\n"
                  "movw %cs, %si\n movw %ss, %di\n movw %di, %bp");
MODE_CODE16(e_segments, "movw $0x60, %ax\n movw %ax, %es\n movw $0x70, %ax\n movw %ax, %ds\n"
                        "movw %ax, %gs\n ljmp $0x10, $(1f - 0x100)\n1: movw %cs, %bx\n"
                        "ljmp $0, $2f\n2:");
MODE_CODE16(e_unreal, "movl $0x800000, %ebx\n movl (%ebx), %eax\n xorw %cx, %cx\n movw %cx, %ds\n"
                      "movl 4(%ebx), %edx");
MODE_CODE16(e_read16, "movl 0x500, %eax\n movl 0x504, %edx");
MODE_CODE16(e_int, "int $0x40\n 1: movw %ax, %dx");
MODE_CODE16(e_handler, "movw $0x4242, %ax\n iretw");
MODE_CODE16(e_touch, "e_touch_insn: movl 0x500, %eax");
MODE_CODE16(e_set_pe, "movl %cr0, %eax\n orl $1, %eax\n movl %eax, %cr0\n smsw %bx");
MODE_CODE32(e_read32, "movl (%edi), %eax");
MODE_CODE32(e_write32, "movl %eax, (%edi)");

uint16_t e_result LOW_DATA;
static struct svm_guest g;
static uint32_t page[1024] __attribute__((aligned(4096)));

static const char *with(bool nested)
{
    return nested ? "nested paging" : "no nested paging";
}

/* ---- one piece of work in all of them ------------------------------------------------------------ */

static const struct {
    enum mode mode;
    const char *code, *end, *name;
    uint8_t cpl;
} all[] = {
    { MODE_REAL, e_16, e_16_end, "real mode", 0 },
    { MODE_UNREAL, e_16, e_16_end, "unreal mode", 0 },
    { MODE_PROT16, e_16, e_16_end, "16-bit protected mode", 0 },
    { MODE_PROT32, e_32, e_32_end, "32-bit protected mode", 0 },
    { MODE_PROT16_USER, e_16, e_16_end, "16-bit protected mode, CPL 3", 3 },
    { MODE_PROT32_USER, e_32, e_32_end, "32-bit protected mode, CPL 3", 3 },
    { MODE_V86, e_16, e_16_end, "virtual-8086 mode", 3 },
    { MODE_COMPAT16, e_16, e_16_end, "16-bit compatibility mode", 0 },
    { MODE_COMPAT32, e_32, e_32_end, "32-bit compatibility mode", 0 },
    { MODE_COMPAT32_USER, e_32, e_32_end, "32-bit compatibility mode, CPL 3", 3 },
    { MODE_LONG, e_64, e_64_end, "64-bit mode", 0 },
    { MODE_LONG_USER, e_64, e_64_end, "64-bit mode, CPL 3", 3 },
};

/* rows: svmop 4.37 */
static void test_work(bool nested)
{
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct modes_state *m = modes_begin(all[i].mode, all[i].code);
        const char *name = all[i].name;
        uint16_t attributes, ss;

        m->regs[M_AX] = 21;
        m->rflags |= RFLAGS_CF;
        guest_make(&g, nested);
        attributes = guest_attributes(&g, VMCB_CS);
        ss = guest_attributes(&g, VMCB_SS);
        e_result = 0;
        guest_run(&g);
        if (!tap_ok(guest_done(&g, all[i].end) && (uint16_t)svm_get(&g, VMCB_RAX) == 42 &&
                        e_result == 42 && (uint16_t)g.rbx == 42,
                    "a guest in %s, %s", name, with(nested)))
            rom_printf("#   exit %lx at %lx, rAX %lx\n", svm_get(&g, VMCB_EXITCODE),
                       svm_get(&g, VMCB_RIP), svm_get(&g, VMCB_RAX));
        tap_ok(svm_get8(&g, VMCB_CPL) == all[i].cpl, "its CPL is %u", all[i].cpl);
        tap_ok(guest_attributes(&g, VMCB_CS) == attributes && guest_attributes(&g, VMCB_SS) == ss &&
                   (uint16_t)g.rsi == m->cs && (uint16_t)g.rdi == m->ss &&
                   svm_get(&g, VMCB_RSP) == m->regs[M_SP],
               "CS, SS and rSP are as they were");
        tap_ok(svm_get(&g, VMCB_CR0) == m->cr0 && svm_get(&g, VMCB_CR4) == m->cr4 &&
                   svm_get(&g, VMCB_EFER) == (m->efer | EFER_SVME) &&
                   (svm_get(&g, VMCB_RFLAGS) & (RFLAGS_VM | RFLAGS_IOPL)) ==
                       (m->rflags & (RFLAGS_VM | RFLAGS_IOPL)),
               "so are CR0, CR4, EFER, VM and IOPL");
    }
}

/* EFER.LMA is not loaded but computed, from LME and PG. */
static void test_lma(void)
{
    struct modes_state *m = modes_begin(MODE_PROT32, e_32);

    m->efer = EFER_LME | EFER_LMA;
    guest_make(&g, true);
    guest_pass(&g, e_32_end, "EFER.LMA without paging: 32-bit protected mode");
    guest_field(&g, VMCB_EFER, EFER_LME | EFER_SVME, "and LMA is saved as 0");
    modes_begin(MODE_LONG, e_64);
    guest_make(&g, true);
    svm_set(&g, VMCB_EFER, svm_get(&g, VMCB_EFER) & ~EFER_LMA);
    guest_pass(&g, e_64_end, "LME and PG without EFER.LMA: 64-bit mode");
    tap_ok((svm_get(&g, VMCB_EFER) & EFER_LMA) != 0, "and LMA is saved as 1");
}

/* The upper half of rIP is not there outside 64-bit mode; a RIP beyond the limit faults in the guest. */
/* rows: svmop 3.30 */
static void test_rip(bool nested)
{
    modes_begin(MODE_REAL, e_16);
    guest_make(&g, nested);
    svm_set(&g, VMCB_RIP, 0x10000);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, (const char *)0x10000,
                "real mode: a RIP beyond CS.limit is #GP in the guest");
    modes_begin(MODE_LONG, e_64);
    guest_make(&g, nested);
    svm_set(&g, VMCB_RIP, UINT64_C(1) << 60);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, (const char *)(UINT64_C(1) << 60),
                "64-bit mode: so is one that is not canonical");
}

/* ---- real mode ----------------------------------------------------------------------------------- */

static void test_real(bool nested)
{
    modes_begin(MODE_REAL, e_segments);
    guest_make(&g, nested);
    guest_pass(&g, e_segments_end, "real mode: segment loads and far jumps");
    tap_ok((svm_get(&g, VMCB_ES) & 0xffff) == 0x60 && svm_get(&g, VMCB_ES + SEGMENT_BASE) == 0x600,
           "ES is saved with its selector and base");
    tap_ok(guest_attributes(&g, VMCB_ES) == 0x93 &&
               svm_get32(&g, VMCB_ES + SEGMENT_LIMIT) == 0xffff,
           "its limit and attributes stay");
    tap_ok((uint16_t)g.rbx == 0x10 && svm_get(&g, VMCB_CS + SEGMENT_BASE) == 0 &&
               guest_attributes(&g, VMCB_CS) == 0x9b,
           "CS followed the jumps");
    tap_ok((svm_get(&g, VMCB_GS) & 0xffff) == 0x70 && svm_get(&g, VMCB_GS + SEGMENT_BASE) == 0x700,
           "VMSAVE stores GS the same way");
    modes_begin(MODE_UNREAL, e_unreal);
    guest_make(&g, nested);
    *(volatile uint32_t *)WINDOW = FOUND;
    *(volatile uint32_t *)(WINDOW + 4) = ~FOUND;
    guest_pass(&g, e_unreal_end, "unreal mode: an address above 1 MiB");
    tap_ok((uint32_t)svm_get(&g, VMCB_RAX) == FOUND && (uint32_t)g.rdx == ~FOUND,
           "also after a load of DS, which keeps the limit");
    tap_eq(svm_get32(&g, VMCB_DS + SEGMENT_LIMIT), 0xffffffffu, "that #VMEXIT saves");
    modes_begin(MODE_REAL, e_unreal);
    guest_make(&g, nested);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, NULL, "without that limit it is #GP");
    modes_begin(MODE_REAL, e_int);
    guest_make(&g, nested);
    modes_ivt(0x40, 0, (uint16_t)(uintptr_t)e_handler);
    guest_pass(&g, e_int_end, "real mode: INT and IRET through the table at 0");
    tap_eq((uint16_t)g.rdx, 0x4242, "by its handler");
    modes_begin(MODE_REAL, e_set_pe);
    guest_make(&g, nested);
    guest_pass(&g, e_set_pe_end, "real mode: the guest sets CR0.PE");
    tap_ok((svm_get(&g, VMCB_CR0) & CR0_PE) != 0 && svm_get8(&g, VMCB_CPL) == 0,
           "and is in protected mode at CPL 0");
}

/* PE = 0 with PG = 1: real mode on pages. */
/* rows: svmop 16.1 */
static void test_paged_real(bool nested)
{
    uint32_t *directory;

    modes_begin(MODE_REAL, e_read16);
    directory = modes_paging_pse();
    modes_map32(directory, 0, (uintptr_t)page, (uint32_t)PWU);
    page[0x500 / 4] = FOUND;
    page[0x504 / 4] = ~FOUND;
    page[0x40] = (uint32_t)(uintptr_t)e_handler;
    guest_make(&g, nested);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF);
    guest_pass(&g, e_read16_end, "paged real mode: addresses go through the page tables");
    tap_ok((uint32_t)svm_get(&g, VMCB_RAX) == FOUND && (uint32_t)g.rdx == ~FOUND, "of CR3");
    tap_eq(svm_get(&g, VMCB_CR0) & (CR0_PE | CR0_PG), CR0_PG, "#VMEXIT saves PG without PE");
    svm_set(&g, VMCB_RIP, (uintptr_t)e_int);
    guest_pass(&g, e_int_end, "INT reads the table through them too");
    tap_eq((uint16_t)g.rdx, 0x4242, "and IRET comes back");
    modes_map32(directory, 0, 0, 0);
    svm_set(&g, VMCB_RIP, (uintptr_t)e_touch);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_PF, e_touch_insn, "a page that is not there: #PF");
    guest_field(&g, VMCB_EXITINFO1, 0, "with the error code of protected mode");
    guest_field(&g, VMCB_EXITINFO2, 0x500, "and the address");
    svm_set(&g, VMCB_RIP, (uintptr_t)e_set_pe);
    guest_pass(&g, e_set_pe_end, "MOV CR0 goes from there to protected mode");
    tap_eq(svm_get(&g, VMCB_CR0) & (CR0_PE | CR0_PG), CR0_PG | CR0_PE, "with paging on");
    svm_set(&g, VMCB_CR0, CR0_PG | CR0_ET);
    svm_set(&g, VMCB_EFER, EFER_SVME | EFER_LME);
    svm_set(&g, VMCB_CR4, CR4_PAE);
    guest_exits(&g, VMEXIT_INVALID, NULL, "paged real mode with EFER.LME is refused");
}

/* ---- legacy paging ------------------------------------------------------------------------------- */

/* rows: svmop 15.3.1, 15.6.1 */
static void test_paging(bool nested)
{
    struct modes_state *m = modes_begin(MODE_PROT32, e_read32);
    uint32_t *directory = modes_paging_pse();
    uint64_t *pdpt;

    page[0] = FOUND;
    modes_map32(directory, WINDOW, (uintptr_t)page, (uint32_t)PWU);
    m->regs[M_DI] = WINDOW;
    guest_make(&g, nested);
    guest_pass(&g, e_read32_end, "32-bit paging, 4 KiB page beside 4 MiB pages");
    tap_eq((uint32_t)svm_get(&g, VMCB_RAX), FOUND, "finds its page");
    if (nested) { /* PSE-36: guest physical 4 GiB exists in the nested tables alone */
        m = modes_begin(MODE_PROT32, e_read32);
        directory = modes_paging_pse();
        directory[WINDOW >> 22] = 1u << 13 | (uint32_t)(PAGE_PS | PWU);
        paging_map(guest_nested(), HIGH, (uintptr_t)page, PAGE_4K, PWU);
        m->regs[M_DI] = WINDOW;
        guest_make(&g, true);
        guest_pass(&g, e_read32_end, "PSE-36: a 4 MiB page above 4 GiB");
        tap_eq((uint32_t)svm_get(&g, VMCB_RAX), FOUND, "finds its page");
        g.rdi = WINDOW + 0x1000;
        svm_set(&g, VMCB_RIP, (uintptr_t)e_write32);
        guest_exits(&g, VMEXIT_NPF, e_write32, "beside it the nested tables have nothing");
        guest_field(&g, VMCB_EXITINFO2, HIGH + 0x1000, "the address has more than 32 bits");
    }
    m = modes_begin(MODE_PROT32, e_read32);
    pdpt = modes_paging_pae();
    modes_map_pae(pdpt, WINDOW, (uintptr_t)page, PWU);
    m->regs[M_DI] = WINDOW;
    guest_make(&g, nested);
    guest_pass(&g, e_read32_end, "PAE paging");
    tap_eq((uint32_t)svm_get(&g, VMCB_RAX), FOUND, "finds its page");
    pdpt[3] |= PAGE_W; /* reserved */
    svm_set(&g, VMCB_RIP, (uintptr_t)e_read32);
    if (nested)
        guest_pass(&g, e_read32_end, "a reserved bit in a PDPTE nobody uses does not matter");
    else
        guest_exits(&g, VMEXIT_INVALID, NULL, "a reserved bit in any PDPTE is VMEXIT_INVALID");
}

int rom_main(void)
{
    kit_init();
    for (unsigned nested = 0; nested < 2; nested++) {
        if (nested != 0 && !svm_has(SVM_FEATURE_NP)) {
            tap_skip("no nested paging", "the same with nested paging");
            break;
        }
        test_work(nested != 0);
        test_rip(nested != 0);
        test_real(nested != 0);
        test_paged_real(nested != 0);
        test_paging(nested != 0);
    }
    if (svm_has(SVM_FEATURE_NP))
        test_lma();
    tap_done();
}

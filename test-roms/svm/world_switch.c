/* world_switch.c: what VMRUN loads, what #VMEXIT saves and restores, and what VMLOAD and VMSAVE move.
 * APM vol 2, 15.5.1 "Basic Operation", 15.6 "#VMEXIT", 15.5.2 "VMSAVE and VMLOAD Instructions". */
#include "test-roms/svm/kit.h"

GUEST_CODE(w_nothing, "");
GUEST_CODE(w_change, "movabsq $0x1111222233334444, %rax\nmovq %rax, %cr2\nmovl $0x3000, %eax\n"
                     "movq %rax, %rsp\nstd\nmovl $0xffff0ff1, %eax\nmovq %rax, %dr6\n"
                     "movl $0x700, %eax\nmovq %rax, %dr7\nmovabsq $0x5555666677778888, %rax");
GUEST_CODE(w_registers, "movq %cr2, %rbx\nmovq %dr7, %rcx\nmovq %cr8, %rdx\nmovq %cr0, %rsi\n"
                        "movl %cs, %edi\npushfq\npopq %r8");
GUEST_CODE(w_rdtsc, "rdtsc\nmovl %edx, %ebx");

static struct svm_guest g;

/* rows: svmop 3.5 */
static void test_load(void)
{
    kit_guest(&g, w_registers);
    svm_set(&g, VMCB_CR2, UINT64_C(0xffff123456789abc));
    svm_set(&g, VMCB_DR7, 0x600); /* GE: enables nothing */
    svm_set(&g, VMCB_VINTR, VINTR_V_INTR_MASKING | 7);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_CF | RFLAGS_OF);
    svm_set(&g, VMCB_RAX, 99);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the guest runs");
    tap_eq(g.rbx, UINT64_C(0xffff123456789abc), "CR2 is loaded");
    tap_eq(g.rcx, 0x600, "DR7 is loaded");
    tap_eq(g.rdx, 7, "V_TPR is CR8");
    tap_eq(g.rdi, SEL_CODE64, "CS is loaded");
    tap_eq(g.r8 & (RFLAGS_CF | RFLAGS_OF | RFLAGS_ONE), RFLAGS_CF | RFLAGS_OF | RFLAGS_ONE,
           "RFLAGS are loaded");
    tap_eq(svm_get(&g, VMCB_RAX), 99, "RAX is loaded and saved");
}

/* rows: svmop 5.2, vmcb 9.2.12 */
static void test_save(void)
{
    kit_guest(&g, w_change);
    write_cr2(0);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the guest changes its registers");
    tap_eq(svm_get(&g, VMCB_CR2), UINT64_C(0x1111222233334444), "CR2 is saved");
    tap_eq(svm_get(&g, VMCB_RSP), 0x3000, "RSP is saved");
    tap_eq(svm_get(&g, VMCB_RAX), UINT64_C(0x5555666677778888), "RAX is saved");
    tap_eq(svm_get(&g, VMCB_RFLAGS) & RFLAGS_DF, RFLAGS_DF, "RFLAGS are saved");
    tap_eq(svm_get(&g, VMCB_DR6), 0xffff0ff1, "DR6 is saved");
    tap_eq(svm_get(&g, VMCB_DR7), 0x700, "DR7 is saved");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)w_change_end, "RIP is saved");
    tap_eq(svm_get8(&g, VMCB_CPL), 0, "CPL is saved");
    tap_eq(svm_get32(&g, VMCB_CS) >> 16, SEGMENT_CODE64, "CS attributes are saved as they were");
    tap_eq(read_cr2(), UINT64_C(0x1111222233334444), "the host keeps the guest's CR2");
    tap_eq(read_dr6(), 0xffff0ff1, "and its DR6");
    tap_eq(read_dr7(), 0x400, "but DR7 is 400");
    write_dr6(UINT64_C(0xffff0ff0));
}

/* Everything that the host had before VMRUN and that #VMEXIT restores, with a guest that differs in all
 * of it. */
/* rows: svmop 5.7 */
static void test_host(void)
{
    struct table_register gdtr, idtr, gdtr2, idtr2;
    uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), efer = rdmsr(MSR_EFER);
    uint64_t flags = read_rflags();
    uint16_t cs, ss, ds, es;

    __asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdtr), "=m"(idtr));
    kit_guest(&g, w_nothing);
    svm_set(&g, VMCB_CR0, cr0 ^ CR0_WP);
    svm_set(&g, VMCB_CR4, cr4 ^ CR4_TSD);
    svm_set(&g, VMCB_EFER, efer ^ EFER_SCE);
    svm_set_segment(&g, VMCB_GDTR, 0, 0, 0x17, 0x5000);
    svm_set_segment(&g, VMCB_DS, 0x50, SEGMENT_DATA, 0xffff, 0x1234);
    svm_set_segment(&g, VMCB_ES, 0x58, SEGMENT_DATA, 0xffff, 0x1234);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_DF | RFLAGS_AC);
    kit_guest_user(&g);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a guest at CPL 3 that differs in everything");
    __asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdtr2), "=m"(idtr2));
    __asm__ volatile("movw %%cs, %0\n\tmovw %%ss, %1\n\tmovw %%ds, %2\n\tmovw %%es, %3"
                     : "=r"(cs), "=r"(ss), "=r"(ds), "=r"(es));
    tap_ok(read_cr0() == cr0 && read_cr3() == cr3 && read_cr4() == cr4,
           "CR0, CR3, CR4 are the host's");
    tap_eq(rdmsr(MSR_EFER), efer, "EFER is the host's");
    tap_ok(gdtr.base == gdtr2.base && gdtr.limit == gdtr2.limit && idtr.base == idtr2.base &&
               idtr.limit == idtr2.limit,
           "GDTR and IDTR are the host's");
    tap_ok(cs == SEL_CODE64 && ss == SEL_DATA && ds == SEL_DATA && es == SEL_DATA,
           "CS, SS, DS, ES are the host's");
    tap_eq(read_rflags() & (RFLAGS_DF | RFLAGS_AC), flags & (RFLAGS_DF | RFLAGS_AC),
           "RFLAGS are the host's");
    tap_eq(svm_get8(&g, VMCB_CPL), 3, "CPL 3 is saved");
    tap_eq(svm_get32(&g, VMCB_DS), (uint32_t)SEGMENT_DATA << 16 | 0x50, "DS is saved");
    tap_eq(svm_get(&g, VMCB_DS + SEGMENT_BASE), 0x1234, "with its base");
    tap_eq(svm_get(&g, VMCB_GDTR + SEGMENT_BASE), 0x5000, "GDTR is saved");
}

/* rows: svmop 7.1-7.8, 7.10 */
static void test_vmload(void)
{
    static const struct {
        unsigned offset;
        uint32_t msr;
        const char *name;
    } msrs[] = {
        { VMCB_STAR, MSR_STAR, "STAR" },
        { VMCB_LSTAR, MSR_LSTAR, "LSTAR" },
        { VMCB_CSTAR, MSR_CSTAR, "CSTAR" },
        { VMCB_SFMASK, MSR_SFMASK, "SFMASK" },
        { VMCB_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, "KernelGSbase" },
        { VMCB_SYSENTER_CS, MSR_SYSENTER_CS, "SYSENTER_CS" },
        { VMCB_SYSENTER_ESP, MSR_SYSENTER_ESP, "SYSENTER_ESP" },
        { VMCB_SYSENTER_EIP, MSR_SYSENTER_EIP, "SYSENTER_EIP" },
        { VMCB_FS + SEGMENT_BASE, MSR_FS_BASE, "FS.base" },
        { VMCB_GS + SEGMENT_BASE, MSR_GS_BASE, "GS.base" },
    };
    uint8_t *own = rom_pages(1), *other = rom_pages(1);
    uint16_t tr, ldtr;
    uint64_t base;

    svm_vmsave(own);
    memcpy(other, own, PAGE_4K);
    for (unsigned i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        *(uint64_t *)(other + msrs[i].offset) = 0x1000 + i;
    *(uint16_t *)(other + VMCB_TR) = 0x48;
    *(uint16_t *)(other + VMCB_LDTR) = 0x58;
    svm_vmload(other);
    for (unsigned i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        tap_eq(rdmsr(msrs[i].msr), 0x1000 + i, "VMLOAD loads %s", msrs[i].name);
    __asm__ volatile("str %0\n\tsldt %1" : "=r"(tr), "=r"(ldtr));
    tap_ok(tr == 0x48 && ldtr == 0x58, "VMLOAD loads TR and LDTR without reading the GDT");
    memset(other, 0, PAGE_4K);
    svm_vmsave(other);
    for (unsigned i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        tap_eq(*(uint64_t *)(other + msrs[i].offset), 0x1000 + i, "VMSAVE saves %s", msrs[i].name);
    tap_ok(*(uint16_t *)(other + VMCB_TR) == 0x48, "VMSAVE saves TR");
    svm_vmload(own);
    /* From bit 47 or 56: by the mode or by the widest form that the processor knows. */
    *(uint64_t *)(other + VMCB_KERNEL_GS_BASE) = UINT64_C(0x1234800000000000);
    svm_vmload(other);
    base = rdmsr(MSR_KERNEL_GS_BASE);
    tap_ok(base == UINT64_C(0xffff800000000000) || base == UINT64_C(0x0034800000000000),
           "VMLOAD makes bases canonical by sign extension");
    svm_vmload(own);
}

/* rows: svmop 13.6 */
static void test_tsc(void)
{
    uint64_t before = rdtsc(), seen;

    kit_guest(&g, w_rdtsc);
    svm_set(&g, VMCB_TSC_OFFSET, UINT64_C(1) << 60);
    svm_run(&g);
    seen = g.rbx << 32 | (svm_get(&g, VMCB_RAX) & 0xffffffff);
    tap_ok(seen - (UINT64_C(1) << 60) >= before && seen - (UINT64_C(1) << 60) <= rdtsc(),
           "TSC_OFFSET is added in the guest");
    tap_ok(rdtsc() < UINT64_C(1) << 60, "and not in the host");
}

/* Single step of the guest, and of the host over VMRUN. */
/* rows: svmop 3.34, 5.12 */
static void test_single_step(void)
{
    struct kit_end end;

    kit_guest(&g, w_registers);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_DB &&
               end.event->rip == (uintptr_t)w_registers + 3,
           "RFLAGS.TF of the guest traps after its first instruction");
    tap_eq(svm_get(&g, VMCB_DR6) & 0x4000, 0x4000, "with DR6.BS");
}

int rom_main(void)
{
    kit_init();
    test_load();
    test_save();
    test_host();
    test_vmload();
    test_tsc();
    test_single_step();
    tap_done();
}

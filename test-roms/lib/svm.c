/* svm.c: see svm.h. */
#include "test-roms/lib/svm.h"

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define CPUID_SVM_ECX (1u << 2)
#define VM_CR_SVMDIS 0x10u
#define PAT_RESET UINT64_C(0x0007040600070406)
#define DR6_RESET UINT64_C(0xffff0ff0)
#define DR7_RESET UINT64_C(0x400)

uint64_t svm_run_raw(struct svm_guest *g, uint64_t host_if, uint64_t keep_gif);

uint32_t svm_features(void)
{
    return cpuid_checked(0x8000000au, 0).edx;
}

bool svm_enable(void)
{
    if ((cpuid_checked(0x80000001u, 0).ecx & CPUID_SVM_ECX) == 0)
        return false;
    if ((rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0)
        return false;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, (uintptr_t)rom_pages(1));
    return true;
}

static void set_table(struct svm_guest *g, unsigned offset, const struct table_register *r)
{
    svm_set_segment(g, offset, 0, 0, r->limit, r->base);
}

void svm_guest_init(struct svm_guest *g, uint64_t rip, uint64_t rsp, uint32_t asid)
{
    struct table_register gdtr, idtr;

    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    __asm__ volatile("sidt %0" : "=m"(idtr));
    *g = (struct svm_guest){ .vmcb = g->vmcb };
    if (g->vmcb == NULL)
        g->vmcb = rom_pages(1);
    memset(g->vmcb, 0, VMCB_BYTES);
    svm_set32(g, VMCB_INTERCEPT_4, INTERCEPT4_VMRUN | INTERCEPT4_VMMCALL);
    svm_set32(g, VMCB_ASID, asid);
    svm_set_segment(g, VMCB_CS, SEL_CODE64, SEGMENT_CODE64, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_SS, SEL_DATA, SEGMENT_DATA, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_DS, SEL_DATA, SEGMENT_DATA, 0xffffffffu, 0);
    svm_set_segment(g, VMCB_ES, SEL_DATA, SEGMENT_DATA, 0xffffffffu, 0);
    set_table(g, VMCB_GDTR, &gdtr);
    set_table(g, VMCB_IDTR, &idtr);
    svm_set(g, VMCB_EFER, rdmsr(MSR_EFER));
    svm_set(g, VMCB_CR0, read_cr0());
    svm_set(g, VMCB_CR3, read_cr3());
    svm_set(g, VMCB_CR4, read_cr4());
    svm_set(g, VMCB_DR6, DR6_RESET);
    svm_set(g, VMCB_DR7, DR7_RESET);
    svm_set(g, VMCB_G_PAT, PAT_RESET);
    svm_set(g, VMCB_RFLAGS, RFLAGS_ONE);
    svm_set(g, VMCB_RIP, rip);
    svm_set(g, VMCB_RSP, rsp);
}

uint64_t svm_run(struct svm_guest *g)
{
    uint64_t code;

    svm_run_raw(g, g->host_if, g->keep_gif);
    code = svm_get(g, VMCB_EXITCODE);
    /* QEMU 7.2 stores only 32 bits. */
    return code == (uint32_t)VMEXIT_INVALID ? VMEXIT_INVALID : code;
}

void svm_set_nested(struct svm_guest *g, const void *root)
{
    svm_set(g, VMCB_NP_ENABLE, 1);
    svm_set(g, VMCB_N_CR3, (uintptr_t)root);
}

void svm_skip(struct svm_guest *g, unsigned length)
{
    if (svm_has(SVM_FEATURE_NRIPS))
        svm_set(g, VMCB_RIP, svm_get(g, VMCB_NRIP));
    else
        svm_set(g, VMCB_RIP, svm_get(g, VMCB_RIP) + length);
    svm_set(g, VMCB_INTERRUPT_SHADOW, 0);
}

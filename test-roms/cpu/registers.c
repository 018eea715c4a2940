/* registers.c: what control registers and MSRs accept. APM vol 2, 3.1 "System-Control Registers";
 * 3.2 "Model-Specific Registers". */
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

/* Not canonical with 48 bits nor with 57. */
#define NON_CANONICAL UINT64_C(0x1000000000000000)

static void set_cr0(void *arg)
{
    write_cr0((uintptr_t)arg);
}

static void set_cr3(void *arg)
{
    write_cr3((uintptr_t)arg);
}

static void set_cr4(void *arg)
{
    write_cr4((uintptr_t)arg);
}

static void set_cr8(void *arg)
{
    write_cr8((uintptr_t)arg);
}

static void set_dr6(void *arg)
{
    write_dr6((uintptr_t)arg);
}

static void set_dr7(void *arg)
{
    write_dr7((uintptr_t)arg);
}

struct msr_write {
    uint32_t msr;
    uint64_t value;
};

static void set_msr(void *arg)
{
    const struct msr_write *w = arg;

    wrmsr(w->msr, w->value);
}

static void get_msr(void *arg)
{
    rdmsr((uint32_t)(uintptr_t)arg);
}

static void refuse(void (*set)(void *), uint64_t value, const char *what)
{
    struct trap_result r = trap_try(set, (void *)value);

    tap_ok(r.vector == EXC_GP && r.error == 0, "%s is #GP(0)", what);
}

static void refuse_msr(uint32_t msr, uint64_t value, const char *what)
{
    struct msr_write w = { msr, value };
    uint64_t before = rdmsr(msr);
    struct trap_result r = trap_try(set_msr, &w);

    tap_ok(r.vector == EXC_GP && r.error == 0, "%s is #GP(0)", what);
    tap_ok(rdmsr(msr) == before, "%s changes nothing", what);
}

static void accept_msr(uint32_t msr, uint64_t value, const char *what)
{
    struct msr_write w = { msr, value };
    uint64_t before = rdmsr(msr);
    struct trap_result r = trap_try(set_msr, &w);

    tap_ok(r.vector == EXC_NONE && rdmsr(msr) == value, "%s is accepted", what);
    wrmsr(msr, before);
}

static void test_cr0(void)
{
    uint64_t cr0 = read_cr0();

    refuse(set_cr0, cr0 & ~CR0_PE, "CR0: PG without PE");
    refuse(set_cr0, (cr0 & ~CR0_CD) | CR0_NW, "CR0: NW without CD");
    refuse(set_cr0, cr0 | UINT64_C(1) << 32, "CR0: bit 32");
    refuse(set_cr0, cr0 & ~CR0_PG, "CR0: PG cleared in 64-bit mode");
    tap_eq(read_cr0(), cr0, "CR0 is unchanged");
    write_cr0(cr0 & ~CR0_ET);
    tap_eq(read_cr0(), cr0, "CR0.ET reads as 1");
    write_cr0(cr0 | UINT64_C(1) << 28);
    tap_eq(read_cr0() & UINT64_C(1) << 28, 0, "CR0: a reserved bit below 32 is ignored");
    __asm__ volatile("lmsw %w0" : : "r"((cr0 & ~CR0_PE) | CR0_TS));
    tap_eq(read_cr0(), cr0 | CR0_TS, "LMSW cannot clear PE");
    __asm__ volatile("clts");
    tap_eq(read_cr0(), cr0, "CLTS clears TS");
}

static void test_cr3_cr4(void)
{
    uint64_t cr3 = read_cr3(), cr4 = read_cr4();
    unsigned width = cpu_maxphyaddr();

    if (width < 52)
        refuse(set_cr3, cr3 | UINT64_C(1) << width, "CR3: bit MAXPHYADDR");
    refuse(set_cr3, cr3 | UINT64_C(1) << 52, "CR3: bit 52");
    refuse(set_cr3, cr3 | UINT64_C(1) << 63, "CR3: bit 63 without PCIDE");
    write_cr3(cr3 | 0x18);
    tap_eq(read_cr3(), cr3 | 0x18, "CR3: PCD and PWT are kept");
    write_cr3(cr3);
    refuse(set_cr4, cr4 & ~CR4_PAE, "CR4: PAE cleared in long mode");
    refuse(set_cr4, cr4 | UINT64_C(1) << 13, "CR4: bit 13");
    refuse(set_cr4, cr4 | UINT64_C(1) << 15, "CR4: bit 15");
    refuse(set_cr4, cr4 | UINT64_C(1) << 31, "CR4: bit 31");
    refuse(set_cr4, cr4 | UINT64_C(1) << 32, "CR4: bit 32");
    if ((cpuid_checked(7, 0).ecx >> 16 & 1) != 0)
        refuse(set_cr4, cr4 | UINT64_C(1) << 12, "CR4: LA57 changed in long mode");
    if ((cpuid(1, 0).ecx >> 17 & 1) != 0) {
        write_cr3(cr3 | 1);
        refuse(set_cr4, cr4 | CR4_PCIDE, "CR4: PCIDE set while CR3[11:0] is not 0");
        write_cr3(cr3);
    }
    tap_eq(read_cr4(), cr4, "CR4 is unchanged");
    refuse(set_cr8, 16, "CR8: bit 4");
}

static void test_debug_registers(void)
{
    refuse(set_dr6, UINT64_C(1) << 32, "DR6: bit 32");
    refuse(set_dr7, UINT64_C(1) << 32, "DR7: bit 32");
    write_dr6(0);
    tap_eq(read_dr6(), 0xffff0ff0, "DR6: fixed bits");
    write_dr7(0);
    tap_eq(read_dr7(), 0x400, "DR7: bit 10 reads as 1");
    write_dr0(UINT64_C(0x123456789abcdef0));
    tap_eq(read_dr0(), UINT64_C(0x123456789abcdef0), "DR0 holds 64 bits");
    write_dr0(0);
}

static void test_efer(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    refuse_msr(MSR_EFER, efer | UINT64_C(1) << 9, "EFER: bit 9");
    refuse_msr(MSR_EFER, efer | UINT64_C(1) << 32, "EFER: bit 32");
    refuse_msr(MSR_EFER, efer & ~EFER_LME, "EFER: LME cleared while PG=1");
    accept_msr(MSR_EFER, efer ^ EFER_SCE, "EFER: SCE");
}

static void test_msrs(void)
{
    static const struct {
        uint32_t msr;
        const char *bad, *low, *high;
    } bases[] = {
#define BASE(msr, name) \
    { msr, name ": non-canonical", name ": highest low address", name ": lowest high address" }
        BASE(MSR_LSTAR, "LSTAR"),
        BASE(MSR_CSTAR, "CSTAR"),
        BASE(MSR_FS_BASE, "FS.base"),
        BASE(MSR_GS_BASE, "GS.base"),
        BASE(MSR_KERNEL_GS_BASE, "KernelGSbase"),
    };

    for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        refuse_msr(bases[i].msr, NON_CANONICAL, bases[i].bad);
        accept_msr(bases[i].msr, UINT64_C(0x00007fffffffffff), bases[i].low);
        accept_msr(bases[i].msr, UINT64_C(0xffff800000000000), bases[i].high);
    }
    accept_msr(MSR_STAR, UINT64_MAX, "STAR with all bits");
    accept_msr(MSR_SFMASK, 0x47700, "SFMASK");
    refuse_msr(MSR_PAT, UINT64_C(0x0007040600070402), "PAT: type 2");
    refuse_msr(MSR_PAT, UINT64_C(0x0007040600070408), "PAT: type 8");
    accept_msr(MSR_PAT, UINT64_C(0x0107050600070406), "PAT: types 0, 1, 4, 5, 6, 7");
    refuse(get_msr, 0xc0009999, "RDMSR of an MSR that does not exist");
}

static void test_svm_msrs(void)
{
    if ((cpuid_checked(0x80000001u, 0).ecx >> 2 & 1) == 0) {
        tap_skip("no SVM", "VM_CR and VM_HSAVE_PA");
        return;
    }
    refuse_msr(MSR_VM_HSAVE_PA, 0x1001, "VM_HSAVE_PA: not aligned");
    refuse_msr(MSR_VM_HSAVE_PA, UINT64_C(1) << 52, "VM_HSAVE_PA: beyond the physical space");
    accept_msr(MSR_VM_HSAVE_PA, 0x200000, "VM_HSAVE_PA: aligned");
    refuse_msr(MSR_VM_CR, UINT64_C(1) << 5, "VM_CR: bit 5");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    refuse_msr(MSR_VM_CR, 0x10, "VM_CR: SVMDIS while EFER.SVME=1");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
    wrmsr(MSR_VM_CR, 0x18);
    tap_eq(rdmsr(MSR_VM_CR) & 0x18, 0x18, "VM_CR: LOCK and SVMDIS are set");
    wrmsr(MSR_VM_CR, 0);
    tap_eq(rdmsr(MSR_VM_CR) & 0x18, 0x18, "VM_CR: with LOCK set they stay");
    refuse_msr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME, "EFER: SVME with VM_CR.SVMDIS=1");
}

static void do_vmrun(void *arg)
{
    __asm__ volatile("vmrun %%rax" : : "a"(arg) : "memory");
}

static void test_svme(void)
{
    struct trap_result r = trap_try(do_vmrun, (void *)0x200000);

    tap_eq(r.vector, EXC_UD, "VMRUN with EFER.SVME=0 is #UD");
}

int rom_main(void)
{
    test_cr0();
    test_cr3_cr4();
    test_debug_registers();
    test_efer();
    test_msrs();
    test_svme();
    test_svm_msrs();
    tap_done();
}

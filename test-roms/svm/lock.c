/* lock.c: SVM-Lock and SMM-Lock with their keys. APM vol 2, 15.30.1 "VM_CR MSR (C001_0114h)", 15.31 "SVM-Lock", 15.32 "SMM-Lock". */
#include "test-roms/svm/kit.h"

#define MSR_HWCR 0xc0010015u
#define MSR_SMBASE 0xc0010111u
#define MSR_SVM_KEY 0xc0010118u
#define MSR_SMM_KEY 0xc0010119u
#define SVM_FEATURE_LOCK (1u << 2)
#define VM_CR_LOCK 8u
#define VM_CR_SVMDIS 0x10u
#define HWCR_SMM_LOCK 1u
#define EFER_SVME UINT64_C(0x1000)
#define KEY UINT64_C(0x8899aabbccddeeff)

struct msr_write {
    uint32_t number;
    uint64_t value;
};

static void write_msr(void *arg)
{
    const struct msr_write *w = arg;

    wrmsr(w->number, w->value);
}

static void refused(uint32_t number, uint64_t value, const char *what)
{
    struct msr_write w = { number, value };
    struct trap_result r = trap_try(write_msr, &w);

    tap_ok(r.vector == EXC_GP && r.error == 0, "%s: #GP", what);
}

static void test_svm_lock(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    wrmsr(MSR_SVM_KEY, 1);
    wrmsr(MSR_SVM_KEY, KEY);
    tap_eq(rdmsr(MSR_SVM_KEY), 0, "SVM_KEY reads 0");
    refused(MSR_VM_CR, VM_CR_SVMDIS, "SVMDIS while EFER.SVME = 1");
    wrmsr(MSR_EFER, efer & ~EFER_SVME);
    wrmsr(MSR_VM_CR, VM_CR_SVMDIS | VM_CR_LOCK);
    wrmsr(MSR_VM_CR, 0);
    tap_eq(rdmsr(MSR_VM_CR), VM_CR_SVMDIS | VM_CR_LOCK,
           "LOCK: writes to it and to SVMDIS are ignored");
    refused(MSR_EFER, efer | EFER_SVME, "SVMDIS: EFER.SVME must be 0");
    tap_ok(cpuid(0x80000001u, 0).ecx & 4, "CPUID goes on to report SVM");
    wrmsr(MSR_SVM_KEY, 1);
    wrmsr(MSR_SVM_KEY, KEY + 1);
    wrmsr(MSR_SVM_KEY, 0);
    tap_eq(rdmsr(MSR_VM_CR) & VM_CR_LOCK, VM_CR_LOCK, "other keys open nothing");
    wrmsr(MSR_SVM_KEY, KEY);
    tap_eq(rdmsr(MSR_VM_CR), VM_CR_SVMDIS, "the key clears LOCK, and LOCK only");
    wrmsr(MSR_VM_CR, 0);
    wrmsr(MSR_EFER, efer);
    tap_eq(rdmsr(MSR_EFER), efer, "SVM is back");
}

/* A guest runs with the lock closed: it is about SVMDIS only. */
GUEST_CODE(nothing, "nop");

static void test_locked_on(void)
{
    struct svm_guest g;

    wrmsr(MSR_SVM_KEY, 0);
    wrmsr(MSR_VM_CR, VM_CR_LOCK);
    refused(MSR_VM_CR, VM_CR_SVMDIS, "SVMDIS while EFER.SVME = 1, with LOCK = 1");
    kit_guest(&g, nothing);
    tap_eq(kit_run(&g).exitcode, VMEXIT_VMMCALL, "LOCK alone hinders no guest");
    wrmsr(MSR_SVM_KEY, 0);
    wrmsr(MSR_SVM_KEY, KEY);
    wrmsr(MSR_SVM_KEY, KEY);
    tap_eq(rdmsr(MSR_VM_CR), VM_CR_LOCK, "without a key LOCK stays until reset");
}

static void test_smm_lock(void)
{
    uint64_t hwcr = rdmsr(MSR_HWCR), smbase = rdmsr(MSR_SMBASE);

    if (hwcr & HWCR_SMM_LOCK) {
        tap_skip("firmware has locked SMM", "SMM_KEY");
        return;
    }
    wrmsr(MSR_SMM_KEY, KEY);
    tap_eq(rdmsr(MSR_SMM_KEY), 0, "SMM_KEY reads 0");
    wrmsr(MSR_HWCR, hwcr | HWCR_SMM_LOCK);
    wrmsr(MSR_HWCR, hwcr);
    tap_eq(rdmsr(MSR_HWCR), hwcr | HWCR_SMM_LOCK, "SmmLock cannot be cleared");
    wrmsr(MSR_SMBASE, smbase + 0x10000);
    tap_eq(rdmsr(MSR_SMBASE), smbase, "and SMBASE not be written");
    wrmsr(MSR_SMM_KEY, KEY - 1);
    wrmsr(MSR_SVM_KEY, KEY);
    tap_eq(rdmsr(MSR_HWCR), hwcr | HWCR_SMM_LOCK, "other keys open nothing");
    wrmsr(MSR_SMM_KEY, KEY);
    tap_eq(rdmsr(MSR_HWCR), hwcr, "the key opens it");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_LOCK)) {
        tap_skip("no SVM-Lock", "everything");
        tap_done();
    }
    test_svm_lock();
    test_smm_lock();
    test_locked_on();
    tap_done();
}

/* SVM-Lock and SMM-Lock with their keys. APM vol 2, 15.30.1 "VM_CR MSR (C001_0114h)", 15.31 "SVM-Lock", 15.32 "SMM-Lock". */
#include "tests/cpu/kit.h"

#include "emu/cpu/init.h"

enum {
    HWCR = 0xc0010015,
    SMBASE_MSR = 0xc0010111,
    VM_CR = 0xc0010114,
    SVM_KEY = 0xc0010118,
    SMM_KEY = 0xc0010119
};

#define KEY UINT64_C(0x8123456789abcdef)

static void wrmsr(struct kit *k, uint32_t number, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, number, value), STEP_NEXT);
}

static uint64_t rdmsr(struct kit *k, uint32_t number)
{
    uint64_t value;
    ck_assert_int_eq(msr_read(k->cpu, number, &value), STEP_NEXT);
    return value;
}

static bool locked(struct kit *k)
{
    return rdmsr(k, VM_CR) & VM_CR_LOCK;
}

static void model(struct kit *k, struct cpu_model *model, const char *words)
{
    ck_assert_int_eq(cpu_model_parse(words, model, NULL), PACIFICA_OK);
    k->cpu->model = model;
}

/* rows: svmop 20.5 */
WITH_KIT(svm_key_opens_the_lock)
{
    wrmsr(k, SVM_KEY, 5); /* open: the last value counts */
    wrmsr(k, SVM_KEY, KEY);
    wrmsr(k, VM_CR, VM_CR_LOCK);
    wrmsr(k, SVM_KEY, 5);
    ck_assert(locked(k));
    ck_assert_uint_eq(k->errors, 1); /* whoever guesses is told */
    wrmsr(k, SVM_KEY, KEY ^ 1ull << 63);
    wrmsr(k, SVM_KEY, 0);
    ck_assert(locked(k));
    wrmsr(k, SVM_KEY, KEY);
    ck_assert(!locked(k));
    ck_assert_uint_eq(k->errors, 3);
    wrmsr(k, VM_CR, VM_CR_LOCK); /* the key stays */
    wrmsr(k, SVM_KEY, KEY);
    ck_assert(!locked(k));
}

/* rows: svmop 20.5 */
WITH_KIT(svm_key_0_opens_nothing)
{
    wrmsr(k, VM_CR, VM_CR_LOCK);
    wrmsr(k, SVM_KEY, 0);
    wrmsr(k, SVM_KEY, KEY); /* too late for one */
    wrmsr(k, SVM_KEY, KEY);
    ck_assert(locked(k));
    ck_assert_int_eq(init_take(k->cpu), STEP_JUMP); /* LOCK is not affected by INIT */
    ck_assert(locked(k));
    msr_reset(k->cpu);
    ck_assert(!locked(k));
}

/* rows: svmop 20.5, 20.6 */
WITH_KIT(keys_read_0)
{
    wrmsr(k, SVM_KEY, KEY);
    wrmsr(k, SMM_KEY, KEY);
    ck_assert_uint_eq(rdmsr(k, SVM_KEY), 0);
    ck_assert_uint_eq(rdmsr(k, SMM_KEY), 0);
}

/* What the lock keeps is there again behind it: SVM is switched on.
 * rows: svmop 20.1, 20.5 */
WITH_KIT(a_hypervisor_with_the_key_gets_svm_back)
{
    struct vcpu *cpu = k->cpu;
    cpu->regs.efer &= ~(uint64_t)EFER_SVME;
    wrmsr(k, SVM_KEY, KEY);
    wrmsr(k, VM_CR, VM_CR_LOCK | VM_CR_SVMDIS);
    wrmsr(k, VM_CR, 0);
    kit_raised(k, msr_write(cpu, 0xc0000080, cpu->regs.efer | EFER_SVME), EXC_GP, 0);
    wrmsr(k, SVM_KEY, KEY);
    ck_assert_uint_eq(rdmsr(k, VM_CR), VM_CR_SVMDIS);
    wrmsr(k, VM_CR, 0);
    wrmsr(k, 0xc0000080, cpu->regs.efer | EFER_SVME);
}

/* rows: svmop 20.1 */
WITH_KIT(svmdis_faults_while_svme_is_set_whatever_the_lock)
{
    kit_raised(k, msr_write(k->cpu, VM_CR, VM_CR_SVMDIS), EXC_GP, 0);
    wrmsr(k, VM_CR, VM_CR_LOCK);
    kit_raised(k, msr_write(k->cpu, VM_CR, VM_CR_SVMDIS), EXC_GP, 0);
    wrmsr(k, VM_CR, VM_CR_DPD | VM_CR_R_INIT | VM_CR_DIS_A20M); /* those have no lock */
    ck_assert_uint_eq(rdmsr(k, VM_CR), VM_CR_LOCK | VM_CR_DPD | VM_CR_R_INIT | VM_CR_DIS_A20M);
}

WITH_KIT(without_svm_lock_there_is_neither_key_nor_lock)
{
    struct cpu_model without;
    model(k, &without, "max,-svm-lock");
    kit_raised(k, msr_write(k->cpu, SVM_KEY, KEY), EXC_GP, 0);
    k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
    wrmsr(k, VM_CR, VM_CR_LOCK | VM_CR_SVMDIS | VM_CR_R_INIT);
    ck_assert_uint_eq(rdmsr(k, VM_CR), VM_CR_R_INIT);
}

/* CPUID goes on to tell of SVM, and of the lock itself. */
WITH_KIT(svmdis_does_not_hide_svm)
{
    k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
    wrmsr(k, VM_CR, VM_CR_LOCK | VM_CR_SVMDIS);
    k->cpu->r[REG_RAX] = 0x80000001;
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_NEXT);
    ck_assert_uint_ne(k->cpu->r[REG_RCX] & 1u << 2, 0);
    k->cpu->r[REG_RAX] = 0x8000000a;
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_NEXT);
    ck_assert_uint_ne(k->cpu->r[REG_RDX] & 1u << 2, 0);
}

/* rows: svmop 20.6 */
WITH_KIT(smm_key_opens_smm_lock)
{
    const uint64_t hwcr = rdmsr(k, HWCR);
    wrmsr(k, SMM_KEY, KEY);
    wrmsr(k, HWCR, hwcr | HWCR_SMM_LOCK);
    wrmsr(k, HWCR, hwcr);
    ck_assert_uint_eq(rdmsr(k, HWCR), hwcr | HWCR_SMM_LOCK);
    wrmsr(k, SMM_KEY, KEY + 1);
    ck_assert_uint_eq(rdmsr(k, HWCR), hwcr | HWCR_SMM_LOCK);
    ck_assert_int_eq(init_take(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(rdmsr(k, HWCR), hwcr | HWCR_SMM_LOCK);
    wrmsr(k, SMM_KEY, KEY);
    ck_assert_uint_eq(rdmsr(k, HWCR), hwcr);
    wrmsr(k, SMBASE_MSR, 0x50000);
    ck_assert_uint_eq(rdmsr(k, SMBASE_MSR), 0x50000);
}

/* rows: svmop 20.6 */
WITH_KIT(smm_key_0_opens_nothing)
{
    const uint64_t hwcr = rdmsr(k, HWCR);
    wrmsr(k, SVM_KEY, KEY); /* another lock's */
    wrmsr(k, HWCR, hwcr | HWCR_SMM_LOCK);
    wrmsr(k, SMM_KEY, 0);
    wrmsr(k, SMM_KEY, KEY);
    ck_assert_uint_eq(rdmsr(k, HWCR), hwcr | HWCR_SMM_LOCK);
    msr_reset(k->cpu);
    ck_assert_uint_eq(rdmsr(k, HWCR), hwcr);
}

int main(void)
{
    Suite *suite = suite_create("lock");
    TCase *tc = tcase_create("lock");
    tcase_add_test(tc, svm_key_opens_the_lock);
    tcase_add_test(tc, svm_key_0_opens_nothing);
    tcase_add_test(tc, keys_read_0);
    tcase_add_test(tc, a_hypervisor_with_the_key_gets_svm_back);
    tcase_add_test(tc, svmdis_faults_while_svme_is_set_whatever_the_lock);
    tcase_add_test(tc, without_svm_lock_there_is_neither_key_nor_lock);
    tcase_add_test(tc, svmdis_does_not_hide_svm);
    tcase_add_test(tc, smm_key_opens_smm_lock);
    tcase_add_test(tc, smm_key_0_opens_nothing);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

/* Protection keys by the instructions, the fast tables, CPUID, and in a guest. APM vol 2, 5.6.7 "Memory Protection Keys
 * (MPK) Bit". What a key forbids in a walk stands in tests/paging/test_walk.c. */
#include "tests/check_main.h"
#include "tests/cpu/kit.h"

#define RDPKRU "\x0f\x01\xee"
#define WRPKRU "\x0f\x01\xef"
#define KEY(n) ((uint64_t)(n) << 59)
#define LA (PAGED_LA + 0x3000)
#define AD 1u
#define WD 2u

static void enable(struct kit *k)
{
    uint64_t cr4 = k->cpu->regs.cr4 | CR4_PKE;
    ck_assert(control_cr4_ok(k->cpu, cr4));
    control_set_cr4(k->cpu, cr4);
}

static void set_pkru(struct kit *k, uint32_t pkru)
{
    k->cpu->r[REG_RAX] = pkru;
    k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = 0;
    ck_assert_int_eq(EXEC(k, WRPKRU), STEP_LEAVE);
}

static void expect_fault(struct kit *k, enum step step, uint64_t la, unsigned code)
{
    kit_raised(k, step, EXC_PF, (int)code);
    ck_assert_uint_eq(k->cpu->raised.cr2, la);
}

WITH_KIT(pkru_is_undefined_without_pke)
{
    kit_raised(k, EXEC(k, RDPKRU), EXC_UD, NO_CODE);
    k->cpu->r[REG_RCX] = 1; /* #UD wins */
    kit_raised(k, EXEC(k, WRPKRU), EXC_UD, NO_CODE);
}

WITH_KIT(operands_must_be_zero)
{
    enable(k);
    for (unsigned bit = 0; bit < 64; bit++) {
        k->cpu->r[REG_RCX] = 1ull << bit;
        k->cpu->r[REG_RDX] = 0;
        if (bit < 32)
            kit_raised(k, EXEC(k, RDPKRU), EXC_GP, 0);
        else
            ck_assert_int_eq(EXEC(k, RDPKRU), STEP_NEXT);
        k->cpu->r[REG_RCX] = 0;
        k->cpu->r[REG_RDX] = 1ull << bit;
        if (bit < 32)
            kit_raised(k, EXEC(k, WRPKRU), EXC_GP, 0);
        else
            ck_assert_int_eq(EXEC(k, WRPKRU), STEP_LEAVE);
    }
}

/* At every level of privilege; the upper halves are ignored and cleared. */
WITH_KIT(pkru_holds_32_bits)
{
    enable(k);
    k->cpu->regs.cpl = 3;
    k->cpu->r[REG_RAX] = 0x1234567889abcdef;
    k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = 0xffffffff00000000;
    ck_assert_int_eq(EXEC(k, WRPKRU), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1234567889abcdef);
    ck_assert_uint_eq(k->cpu->regs.pkru, 0x89abcdef);
    k->cpu->r[REG_RAX] = k->cpu->r[REG_RDX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, RDPKRU), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x89abcdef);
    ck_assert_uint_eq(k->cpu->r[REG_RDX], 0);
}

/* A page that was just accessed is closed by the next WRPKRU and opened by another, without any flush. */
/* rows: pitfalls 4.10, 4.1 */
WITH_KIT(wrpkru_acts_at_once)
{
    uint64_t value;
    enable(k);
    kit_page(k, 3, LA | 7 | KEY(9));
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->regs.cr4 |= CR4_PKE;
    for (int round = 0; round < 3; round++) {
        set_pkru(k, 0);
        ck_assert_int_eq(mem_store_la(k->cpu, LA, 8, 0x55), STEP_NEXT);
        ck_assert_int_eq(mem_load_la(k->cpu, LA, 8, &value), STEP_NEXT);
        set_pkru(k, WD << 18);
        ck_assert_int_eq(mem_load_la(k->cpu, LA, 8, &value), STEP_NEXT);
        expect_fault(k, mem_store_la(k->cpu, LA + 8, 8, 0), LA + 8, PF_P | PF_RW | PF_US | PF_PK);
        set_pkru(k, AD << 18);
        expect_fault(k, mem_load_la(k->cpu, LA + 1, 1, &value), LA + 1, PF_P | PF_US | PF_PK);
        set_pkru(k, ~(3u << 18)); /* every other key */
        ck_assert_int_eq(mem_store_la(k->cpu, LA, 8, 0x66), STEP_NEXT);
    }
}

/* rows: pitfalls 4.10 */
WITH_KIT(supervisor_obeys_keys_of_user_pages)
{
    uint64_t value;
    enable(k);
    kit_page(k, 3, LA | 7 | KEY(1));
    set_pkru(k, AD << 2);
    expect_fault(k, mem_load_la(k->cpu, LA, 1, &value), LA, PF_P | PF_PK);
    expect_fault(k, mem_load_sys(k->cpu, LA, 1, &value), LA, PF_P | PF_PK);
    set_pkru(k, WD << 2);
    expect_fault(k, mem_store_la(k->cpu, LA, 1, 0), LA, PF_P | PF_RW | PF_PK);
    control_set_cr0(k->cpu, k->cpu->regs.cr0 & ~(uint64_t)CR0_WP);
    ck_assert_int_eq(mem_store_la(k->cpu, LA, 1, 0), STEP_NEXT);
    set_pkru(k, UINT32_MAX);
    kit_page(k, 3, LA | 3 | KEY(1)); /* a supervisor page has no key */
    ck_assert_int_eq(mem_store_la(k->cpu, LA, 1, 0), STEP_NEXT);
}

WITH_KIT(keys_need_long_mode_and_pke)
{
    uint64_t value;
    k->cpu->regs.pkru = UINT32_MAX;
    kit_page(k, 3, LA | 7 | KEY(1));
    ck_assert_int_eq(mem_load_la(k->cpu, LA, 1, &value), STEP_NEXT);
    enable(k); /* flushes: the key of the page was not kept */
    expect_fault(k, mem_load_la(k->cpu, LA, 1, &value), LA, PF_P | PF_PK);
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->regs.cr4 |= CR4_PKE; /* without paging */
    cpu_update_mode(k->cpu);
    ck_assert_int_eq(mem_load_la(k->cpu, LA, 1, &value), STEP_NEXT);
}

WITH_KIT(cpuid_tells_pku_and_ospke)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 7, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 3 & 3, 1);
    enable(k);
    cpu_cpuid(k->cpu, 7, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 3 & 3, 3);
}

START_TEST(without_pku_pke_is_reserved)
{
    struct kit *k = kit_new();
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-pku", &model, NULL), PACIFICA_OK);
    k->cpu->model = &model;
    ck_assert(!control_cr4_ok(k->cpu, k->cpu->regs.cr4 | CR4_PKE));
    kit_raised(k, EXEC(k, RDPKRU), EXC_UD, NO_CODE);
    ck_assert_int_eq(cpu_model_parse("max,-lm", &model, NULL), PACIFICA_OK);
    ck_assert(!cpu_model_has(&model, CPU_FEATURE_PKU));
    kit_free(k);
}
END_TEST

/* Under nested paging the guest's keys count, and entries of nested tables have none: all their bits are set here.
 * PKRU is neither loaded nor saved. */
/* rows: svmop 15.1.5 */
WITH_KIT(guest_has_its_own_keys)
{
    uint64_t value;
    enum { N_PML4 = 0x80000, N_PDPT = 0x81000, N_PD = 0x82000 };
    kit_put(k, N_PML4, 8, N_PDPT | 7 | KEY(15));
    kit_put(k, N_PDPT, 8, N_PD | 7 | KEY(15));
    for (uint64_t i = 0; i < 8; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87 | KEY(15));
    kit_page(k, 3, LA | 7 | KEY(2));
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    enable(k);
    set_pkru(k, AD << 4 | AD << 30);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_PML4);
    VMCB_SET(k->vmcb, G_PAT, 0x0007040600070406);
    for (int pke = 0; pke < 2; pke++) {
        VMCB_SET(k->vmcb, CR4, CR4_PAE | (pke ? CR4_PKE : 0));
        VMCB_SET(k->vmcb, TLB_CONTROL, 1);
        ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.pkru, AD << 4 | AD << 30);
        if (pke)
            expect_fault(k, mem_load_la(k->cpu, LA, 1, &value), LA, PF_P | PF_PK);
        else
            ck_assert_int_eq(mem_load_la(k->cpu, LA, 1, &value), STEP_NEXT);
        ck_assert_int_eq(mem_load_la(k->cpu, LA + 0x1000, 1, &value), STEP_NEXT);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        expect_fault(k, mem_load_la(k->cpu, LA, 1, &value), LA, PF_P | PF_PK);
    }
}

CHECK_MAIN("cpu/pku", pkru_is_undefined_without_pke, operands_must_be_zero, pkru_holds_32_bits,
           wrpkru_acts_at_once, supervisor_obeys_keys_of_user_pages, keys_need_long_mode_and_pke,
           cpuid_tells_pku_and_ospke, without_pku_pke_is_reserved, guest_has_its_own_keys)

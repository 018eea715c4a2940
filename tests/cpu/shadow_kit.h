/* A vCPU whose model has shadow stacks, switched on at all levels, with pages for them. */
#ifndef TESTS_CPU_SHADOW_KIT_H
#define TESTS_CPU_SHADOW_KIT_H

#include "emu/cpu/shadow_stack.h"
#include "tests/cpu/kit.h"

/* Two pages each of a supervisor's and of a user's shadow stacks; identity-mapped, as all of the kit's memory. */
#define SUPERVISOR_PAGE 16
#define USER_PAGE 32
#define SUPERVISOR_LA (PAGED_LA + 0x1000u * SUPERVISOR_PAGE)
#define USER_LA (PAGED_LA + 0x1000u * USER_PAGE)
#define ORDINARY_LA (PAGED_LA + 0x1000u * 48) /* W = U = 1 */
#define SSP (SUPERVISOR_LA + 0x800u)
#define USER_SSP (USER_LA + 0x800u)
#define SHADOW_PTE 0x41u /* P, D */

static inline void shadow_on(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned n = 0; n < 2; n++) {
        kit_page(k, SUPERVISOR_PAGE + n, (SUPERVISOR_LA + 0x1000 * n) | SHADOW_PTE);
        kit_page(k, USER_PAGE + n, (USER_LA + 0x1000 * n) | SHADOW_PTE | 4);
    }
    ck_assert(control_cr4_ok(cpu, cpu->regs.cr4 | CR4_CET));
    control_set_cr4(cpu, cpu->regs.cr4 | CR4_CET);
    cpu->shadow.u_cet = cpu->shadow.s_cet = SHADOW_CET_ENABLE | SHADOW_CET_WRITE;
    cpu->shadow.ssp = cpu->regs.cpl == 3 ? USER_SSP : SSP;
    cpu_update_mode(cpu);
}

/* Another level or mode, with shadow stacks on: in MODE_PROT32 with the same tables, by PAE. */
static inline void shadow_mode(struct kit *k, enum cpu_mode mode, unsigned cpl)
{
    kit_mode(k, mode, cpl);
    if (mode == MODE_PROT32) {
        k->cpu->regs.cr3 = 0x2000;
        kit_put(k, 0x2000, 8, 0x3001);
        k->cpu->regs.cr0 |= CR0_PG;
        k->cpu->regs.cr4 |= CR4_PAE;
        cpu_update_mode(k->cpu);
    }
    shadow_on(k);
}

static inline struct kit *shadow_kit(struct cpu_model *model)
{
    struct kit *k = kit_new();
    *model = *k->cpu->model;
    model->features[CPU_FEATURE_CET_SS] = true;
    k->cpu->model = model;
    k->cpu->svm->model = control_svm_model(k->cpu);
    shadow_on(k);
    return k;
}

#define WITH_SHADOW(name)                   \
    static void name##_body(struct kit *k); \
    START_TEST(name)                        \
    {                                       \
        struct cpu_model model;             \
        struct kit *k = shadow_kit(&model); \
        name##_body(k);                     \
        kit_free(k);                        \
    }                                       \
    END_TEST                                \
    static void name##_body(struct kit *k)

static inline void shadow_fault(struct kit *k, enum step step, uint64_t la, unsigned code)
{
    kit_raised(k, step, EXC_PF, (int)code);
    ck_assert_uint_eq(k->cpu->raised.cr2, la);
}

#endif

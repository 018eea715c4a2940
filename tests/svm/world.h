/* A vCPU built by hand for the tests of svm/: 16 MiB of RAM, a host in 64-bit mode, a VMCB that every rule accepts. */
#ifndef TESTS_SVM_WORLD_H
#define TESTS_SVM_WORLD_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "svm/rules.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#define RAM_BYTES (UINT64_C(16) << 20)
#define HSAVE_SPA UINT64_C(0x20000)
#define VMCB_SPA UINT64_C(0x30000)
#define IOPM_SPA UINT64_C(0x40000)
#define MSRPM_SPA UINT64_C(0x50000)
#define TABLES_SPA UINT64_C(0x60000)
#define MMIO_SPA UINT64_C(0xfee00000)
#define LIMIT_SPA (UINT64_C(1) << 48)
#define CR0_HOST UINT64_C(0x80010031)
#define EFER_LONG UINT64_C(0x1d01) /* SCE, LME, LMA, NXE, SVME */
#define PAT_RESET UINT64_C(0x0007040600070406)
#define NEXT_RIP UINT64_C(0xffff800000001003)

struct world {
    struct memory *memory;
    struct probes probes;
    struct probe_client client;
    struct vcpu *cpu;
    uint8_t *vmcb, *hsave; /* native pages */
    unsigned entries, exits, errors;
    struct probe_event last_exit;
    struct svm_state at_exit; /* as the client saw it */
};

static inline uint64_t world_open_bus(void *self, uint64_t spa, unsigned size)
{
    (void)self, (void)spa;
    return size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
}

static inline void world_ignore(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    (void)self, (void)spa, (void)size, (void)value;
}

static inline void world_hear(void *self, const struct probe_event *event)
{
    struct world *w = self;
    if (event->kind == PROBE_ENTRY)
        w->entries++;
    if (event->kind == PROBE_GUEST_ERROR)
        w->errors++;
    if (event->kind == PROBE_EXIT) {
        w->exits++;
        w->last_exit = *event;
        w->at_exit = *event->cpu->svm;
    }
}

/* The host: 64-bit mode, flat segments with values that tell them apart. */
static inline void world_host(struct world *w)
{
    struct vcpu *cpu = w->cpu;
    cpu_reset(cpu);
    svm_reset(cpu->svm);
    cpu->stop.reason = 0;
    cpu->regs.cr0 = CR0_HOST;
    cpu->regs.cr3 = 0x1000;
    cpu->regs.cr4 = CR4_PAE | CR4_PGE;
    cpu->regs.efer = EFER_LONG;
    cpu->regs.seg[SEG_CS] = (struct segment){ .selector = 0x08, .attr = 0xa9b, .limit = ~0u };
    cpu->regs.seg[SEG_SS] = (struct segment){ .selector = 0x10, .attr = 0xc93, .limit = ~0u };
    cpu->regs.seg[SEG_DS] = (struct segment){ .selector = 0x18, .attr = 0xcf3, .limit = ~0u };
    cpu->regs.seg[SEG_ES] = (struct segment){ .selector = 0x20, .attr = 0xc91, .limit = ~0u };
    cpu->regs.gdtr = (struct table_register){ .base = 0xffff800000002000, .limit = 0x7f };
    cpu->regs.idtr = (struct table_register){ .base = 0xffff800000003000, .limit = 0xfff };
    cpu->r[REG_RIP] = NEXT_RIP - 3;
    cpu->r[REG_RAX] = VMCB_SPA;
    cpu->r[REG_RSP] = 0xffff800000009000;
    cpu->msr.vm_hsave_pa = HSAVE_SPA;
    cpu->msr.pat = PAT_RESET;
    cpu_update_mode(cpu);
}

/* A guest in 64-bit mode at ASID 1 without nested paging. */
static inline void world_guest(uint8_t *vmcb)
{
    memset(vmcb, 0, VMCB_PAGE_BYTES);
    VMCB_SET(vmcb, INTERCEPT_4, 3); /* VMRUN, VMMCALL */
    VMCB_SET(vmcb, IOPM_BASE_PA, IOPM_SPA);
    VMCB_SET(vmcb, MSRPM_BASE_PA, MSRPM_SPA);
    VMCB_SET(vmcb, GUEST_ASID, 1);
    VMCB_SET(vmcb, CS_SEL, 0x28);
    VMCB_SET(vmcb, CS_ATTR, 0xa9b);
    VMCB_SET(vmcb, CS_LIMIT, 0xffffffff);
    VMCB_SET(vmcb, EFER, EFER_LONG);
    VMCB_SET(vmcb, CR0, CR0_HOST);
    VMCB_SET(vmcb, CR3, TABLES_SPA);
    VMCB_SET(vmcb, CR4, CR4_PAE);
    VMCB_SET(vmcb, DR6, 0xffff0ff0);
    VMCB_SET(vmcb, DR7, 0x400);
    VMCB_SET(vmcb, RFLAGS, 2);
    VMCB_SET(vmcb, RIP, 0x400000);
    VMCB_SET(vmcb, G_PAT, PAT_RESET);
}

static inline struct world *world_new(void)
{
    static const struct mmio_ops open_bus = { world_open_bus, world_ignore };
    struct world *w = calloc(1, sizeof(*w));
    ck_assert_ptr_nonnull(w);
    w->memory = memory_new(RAM_BYTES);
    ck_assert_ptr_nonnull(w->memory);
    memory_set_mmio(w->memory, &open_bus, NULL);
    w->cpu = calloc(1, sizeof(*w->cpu));
    ck_assert_ptr_nonnull(w->cpu);
    w->cpu->memory = w->memory;
    w->cpu->probes = &w->probes;
    w->cpu->paging = paging_new(w->memory, &w->probes);
    w->cpu->svm = svm_new();
    ck_assert_ptr_nonnull(w->cpu->paging);
    ck_assert_ptr_nonnull(w->cpu->svm);
    w->client = (struct probe_client){ .mask = 1u << PROBE_ENTRY | 1u << PROBE_EXIT |
                                               1u << PROBE_GUEST_ERROR,
                                       .fire = world_hear,
                                       .self = w };
    probes_attach(&w->probes, &w->client);
    w->vmcb = memory_ptr(w->memory, VMCB_SPA, VMCB_PAGE_BYTES);
    w->hsave = memory_ptr(w->memory, HSAVE_SPA, VMCB_PAGE_BYTES);
    world_host(w);
    world_guest(w->vmcb);
    return w;
}

static inline void world_free(struct world *w)
{
    svm_free(w->cpu->svm);
    paging_free(w->cpu->paging);
    memory_free(w->memory);
    free(w->cpu);
    free(w);
}

static inline enum step world_vmrun(struct world *w)
{
    return svm_vmrun(w->cpu, VMCB_SPA, NEXT_RIP);
}

static inline void world_enter(struct world *w)
{
    ck_assert_int_eq(world_vmrun(w), STEP_JUMP);
    ck_assert(w->cpu->svm->guest);
}

static inline void world_exit(struct world *w, uint64_t code)
{
    ck_assert_int_eq(svm_vmexit(w->cpu, code, 0, 0), STEP_VMEXIT);
    ck_assert(!w->cpu->svm->guest);
}

static inline int world_run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif

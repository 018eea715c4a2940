/* A guest with AVIC for the tests of svm/avic*.c: three virtual processors of which it is the first, tables, and a doorbell that
 * is recorded. */
#ifndef TESTS_SVM_AVIC_KIT_H
#define TESTS_SVM_AVIC_KIT_H

#include "svm/avic.h"
#include "tests/svm/world.h"

#define BACKING UINT64_C(0x100000) /* of virtual processor n: + n pages */
#define PHYSICAL UINT64_C(0x110000)
#define LOGICAL UINT64_C(0x120000)
#define APIC_GPA UINT64_C(0xfee00000)
#define VALID (UINT64_C(1) << 63)
#define RUNNING (UINT64_C(1) << 62)
#define LOGICAL_VALID 0x80000000u

enum avic_offset {
    AT_ID = 0x20,
    AT_VERSION = 0x30,
    AT_TPR = 0x80,
    AT_APR = 0x90,
    AT_PPR = 0xa0,
    AT_EOI = 0xb0,
    AT_RRR = 0xc0,
    AT_LDR = 0xd0,
    AT_DFR = 0xe0,
    AT_SVR = 0xf0,
    AT_ISR = 0x100,
    AT_TMR = 0x180,
    AT_IRR = 0x200,
    AT_ESR = 0x280,
    AT_ICR_LOW = 0x300,
    AT_ICR_HIGH = 0x310,
    AT_INITIAL = 0x380,
    AT_COUNT = 0x390,
    AT_DIVIDE = 0x3e0
};

struct avic_world {
    struct world *w;
    struct vcpu *cpu;
    struct svm_avic *avic;
    unsigned rings;
    uint32_t rang[8]; /* whom */
};

static inline void avic_ring(void *self, uint32_t apic_id)
{
    struct avic_world *a = self;
    a->rang[a->rings++ % 8] = apic_id;
}

/* A register of virtual processor n. */
static inline uint32_t avic_get(struct avic_world *a, unsigned n, unsigned offset)
{
    return (uint32_t)phys_read(a->w->memory, BACKING + n * 0x1000 + offset, 4);
}

static inline void avic_put(struct avic_world *a, unsigned n, unsigned offset, uint32_t value)
{
    phys_write(a->w->memory, BACKING + n * 0x1000 + offset, 4, value);
}

/* A bit of ISR, TMR or IRR. */
static inline bool avic_bit(struct avic_world *a, unsigned n, unsigned offset, unsigned vector)
{
    return avic_get(a, n, offset + vector / 32 * 16) >> vector % 32 & 1;
}

static inline void avic_set(struct avic_world *a, unsigned n, unsigned offset, unsigned vector)
{
    unsigned at = offset + vector / 32 * 16;
    avic_put(a, n, at, avic_get(a, n, at) | 1u << vector % 32);
}

static inline void avic_physical(struct avic_world *a, unsigned index, uint64_t entry)
{
    phys_write(a->w->memory, PHYSICAL + index * 8, 8, entry);
}

static inline void avic_logical(struct avic_world *a, unsigned index, uint32_t entry)
{
    phys_write(a->w->memory, LOGICAL + index * 4, 4, entry);
}

/* Not entered yet. Virtual processor n runs on host processor 10h + n. */
static inline struct avic_world *avic_new(uint64_t enables)
{
    static const struct intc_ops intc = { .doorbell = avic_ring };
    struct avic_world *a = calloc(1, sizeof(*a));
    ck_assert_ptr_nonnull(a);
    a->w = world_new();
    a->cpu = a->w->cpu;
    a->cpu->intc = &intc;
    a->cpu->intc_self = a;
    a->avic = &a->cpu->svm->avic;
    a->cpu->svm->model.features |= SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC | SVM_FEATURE_EXT_LVT_AVIC;
    a->cpu->svm->model.ext_apic = true;
    uint8_t *vmcb = a->w->vmcb;
    VMCB_SET(vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(vmcb, N_CR3, TABLES_SPA);
    VMCB_SET(vmcb, VINTR_CONTROL, enables);
    VMCB_SET(vmcb, AVIC_APIC_BAR, APIC_GPA);
    VMCB_SET(vmcb, AVIC_BACKING_PAGE, BACKING);
    VMCB_SET(vmcb, AVIC_LOGICAL_TABLE, LOGICAL);
    VMCB_SET(vmcb, AVIC_PHYSICAL_TABLE, PHYSICAL | 2);
    for (unsigned n = 0; n < 3; n++) {
        avic_put(a, n, AT_ID, n << 24);
        avic_put(a, n, AT_DFR, 0xffffffff);
        avic_physical(a, n, VALID | RUNNING | (BACKING + n * 0x1000) | (0x10 + n));
        avic_logical(a, n, LOGICAL_VALID | n);
    }
    return a;
}

static inline struct avic_world *avic_xapic(void)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE);
    world_enter(a->w);
    return a;
}

static inline struct avic_world *avic_x2apic(void)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE);
    world_enter(a->w);
    return a;
}

static inline void avic_free(struct avic_world *a)
{
    world_free(a->w);
    free(a);
}

/* What the guest's store of a doubleword does, behind the translation. */
static inline enum step avic_write(struct avic_world *a, unsigned offset, uint32_t value)
{
    enum step step = svm_avic_check(a->cpu, offset, 4, true);
    if (step != STEP_NEXT)
        return step;
    avic_put(a, 0, offset, value);
    svm_avic_written(a->cpu, BACKING + offset, 4);
    return step;
}

static inline void avic_send(struct avic_world *a, uint32_t high, uint32_t low)
{
    ck_assert_int_eq(avic_write(a, AT_ICR_HIGH, high), STEP_NEXT);
    ck_assert(!a->avic->trapped);
    ck_assert_int_eq(avic_write(a, AT_ICR_LOW, low), STEP_NEXT);
}

/* The exit behind the instruction. */
static inline void avic_trapped(struct avic_world *a, uint64_t code, uint64_t info1, uint64_t info2)
{
    ck_assert(a->avic->trapped && a->cpu->attention);
    ck_assert_uint_eq(a->avic->trap_code, code);
    ck_assert_uint_eq(a->avic->trap_info1, info1);
    ck_assert_uint_eq(a->avic->trap_info2, info2);
    a->avic->trapped = false;
}

/* The exit before the access. */
static inline void avic_refused(struct avic_world *a, enum step step, uint64_t info1)
{
    ck_assert_int_eq(step, STEP_RAISED);
    ck_assert(a->cpu->raised.npf);
    ck_assert_uint_eq(a->cpu->raised.exit, VMEXIT_AVIC_NOACCEL);
    ck_assert_uint_eq(a->cpu->raised.info1, info1);
    ck_assert_uint_eq(a->cpu->raised.info2, 0);
}

#define WITH_AVIC(name, make)                    \
    static void do_##name(struct avic_world *a); \
    START_TEST(name)                             \
    {                                            \
        struct avic_world *with = make();        \
        do_##name(with);                         \
        avic_free(with);                         \
    }                                            \
    END_TEST                                     \
    static void do_##name(struct avic_world *a)

#endif

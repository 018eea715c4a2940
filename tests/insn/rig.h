/* One hand-made vCPU over real paging: instructions are decoded and their bodies called, without a run loop.
 *
 * Linear 0-1fffffh is mapped to itself by 4 KiB pages (rig_page()), RIG_SCRATCH to physical RIG_SCRATCH_SPA;
 * 0a0000h-0fffffh is MMIO. MODE_PROT32 has paging off and flat segments. */
#ifndef TESTS_INSN_RIG_H
#define TESTS_INSN_RIG_H

#include "decoder/decode.h"
#include "emu/cpu/cpuid.h"
#include "emu/insn/insn.h"
#include "paging/memory.h"
#include "svm/svm.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define RIG_RAM 0x400000u
#define RIG_SCRATCH 0x10000000u
#define RIG_SCRATCH_SPA 0x180000u
#define RIG_SCRATCH_PAGES 4u
#define RIG_RIP 0x110000u

#define PTE_P 1u
#define PTE_RW 2u
#define PTE_US 4u

struct rig {
    struct vcpu cpu;
    struct probes probes;
    struct walk_regime regime;
    uint64_t mmio_last, mmio_reads, mmio_writes; /* address of the last access, counts */
    bool mmio_attention;                         /* an MMIO write wants the run loop */
};

static uint64_t rig_mmio_read(void *self, uint64_t spa, unsigned size)
{
    struct rig *rig = self;
    rig->mmio_last = spa;
    rig->mmio_reads++;
    return 0x1122334455667788u & size_mask(size);
}

static void rig_mmio_write(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    struct rig *rig = self;
    (void)size;
    (void)value;
    rig->mmio_last = spa;
    rig->mmio_writes++;
    if (rig->mmio_attention)
        cpu_attention(&rig->cpu);
}

static const struct mmio_ops rig_mmio = { rig_mmio_read, rig_mmio_write };

static inline uint8_t *rig_ptr(struct rig *rig, uint64_t spa)
{
    return memory_ptr(rig->cpu.memory, spa, 1);
}

static inline void rig_put(struct rig *rig, uint64_t spa, uint64_t value)
{
    phys_write(rig->cpu.memory, spa, 8, value);
}

/* Change the PTE of a page below 2 MiB and flush it. */
static inline void rig_page(struct rig *rig, uint64_t la, uint64_t pte)
{
    rig_put(rig, 0x4000 + (la >> 12) * 8, pte);
    paging_flush_page_any_pcid(rig->cpu.paging, 0, la);
    paging_drop_fast(rig->cpu.paging);
}

static inline void rig_segments(struct vcpu *cpu, bool long64, uint8_t cpl)
{
    uint16_t dpl = (uint16_t)(cpl << SEG_ATTR_DPL_SHIFT);
    for (int i = SEG_ES; i <= SEG_GS; i++)
        cpu->regs.seg[i] = (struct segment){ .selector = 0x10,
                                             .limit = UINT32_MAX,
                                             .attr = (uint16_t)(0xc93 | dpl) };
    cpu->regs.seg[SEG_CS].attr = (uint16_t)((long64 ? 0xa9b : 0xc9b) | dpl);
    cpu->regs.cpl = cpl;
    cpu_update_mode(cpu);
}

static inline struct rig *rig_new(enum cpu_mode mode)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct vcpu *cpu = &rig->cpu;
    cpu->probes = &rig->probes;
    cpu->regime = &rig->regime;
    cpu->memory = memory_new(RIG_RAM);
    cpu->paging = paging_new(cpu->memory, &rig->probes);
    cpu->svm = svm_new();
    cpu->model = cpu_model_default();
    ck_assert(cpu->memory && cpu->paging && cpu->svm);
    memory_set_mmio(cpu->memory, &rig_mmio, rig);
    cpu_reset(cpu);
    svm_reset(cpu->svm);
    cpu->r[REG_RIP] = RIG_RIP;
    cpu->budget = 1000000;

    rig_put(rig, 0x1000, 0x2000 | PTE_P | PTE_RW | PTE_US);
    rig_put(rig, 0x2000, 0x3000 | PTE_P | PTE_RW | PTE_US);
    rig_put(rig, 0x3000, 0x4000 | PTE_P | PTE_RW | PTE_US);
    for (uint64_t i = 0; i < 512; i++)
        rig_put(rig, 0x4000 + 8 * i, i << 12 | PTE_P | PTE_RW | PTE_US);
    rig_put(rig, 0x3000 + 8 * (RIG_SCRATCH >> 21), 0x5000 | PTE_P | PTE_RW | PTE_US);
    for (uint64_t i = 0; i < RIG_SCRATCH_PAGES; i++)
        rig_put(rig, 0x5000 + 8 * i, (RIG_SCRATCH_SPA + (i << 12)) | PTE_P | PTE_RW | PTE_US);

    bool long64 = mode == MODE_LONG64;
    cpu->regs.cr0 = CR0_PE | CR0_ET | CR0_WP | (long64 ? CR0_PG : 0);
    cpu->regs.cr3 = 0x1000;
    if (long64) {
        cpu->regs.cr4 = CR4_PAE;
        cpu->regs.efer = EFER_LME | EFER_LMA | EFER_NXE;
    }
    rig_segments(cpu, long64, 0);
    ck_assert_int_eq(cpu->mode, mode);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    svm_free(rig->cpu.svm);
    paging_free(rig->cpu.paging);
    memory_free(rig->cpu.memory);
    free(rig);
}

/* Decode an instruction that must exist. */
static inline struct insn rig_decode(struct rig *rig, const uint8_t *bytes, unsigned len)
{
    struct insn in;
    uint8_t padded[16] = { 0 };
    memcpy(padded, bytes, len);
    ck_assert_int_eq(decode_insn(padded, len, rig->cpu.mode, &in), DECODE_OK);
    ck_assert_uint_eq(in.len, len);
    const struct insn_info *info = insn_lookup(in.mnemonic);
    ck_assert_ptr_nonnull(info);
    in.body = info->body;
    in.flags = info->flags;
    in.need = isa_need(&in);
    return in;
}

/* Decode and execute one instruction at RIG_RIP. */
static inline enum step rig_exec(struct rig *rig, const uint8_t *bytes, unsigned len)
{
    struct insn in = rig_decode(rig, bytes, len);
    rig->cpu.r[REG_RIP] = RIG_RIP;
    (void)mem_regime(&rig->cpu);
    return insn_run(&rig->cpu, &in);
}

#define EXEC(rig, ...) \
    rig_exec((rig), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static inline void rig_expect_fault(struct rig *rig, enum step step, enum exception vector,
                                    uint32_t code)
{
    ck_assert_int_eq(step, STEP_RAISED);
    ck_assert(!rig->cpu.raised.npf);
    ck_assert_uint_eq(rig->cpu.raised.event.vector, vector);
    ck_assert_uint_eq(rig->cpu.raised.event.code, code);
}

/* Run a suite; main()'s result. */
static inline int rig_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif

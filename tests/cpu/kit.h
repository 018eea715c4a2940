/* A vCPU over real paging and SVM for the tests of emu/cpu and the system instructions: bodies are called one at a time,
 * and what they return is looked at before anything is delivered.
 *
 * 0-1 GiB is mapped to itself by 2 MiB pages for everybody, except PAGED_LA - PAGED_LA + 2 MiB, which has 4 KiB pages
 * (kit_page()). The host is in 64-bit mode at CPL 0 until kit_mode() says otherwise. */
#ifndef TESTS_CPU_KIT_H
#define TESTS_CPU_KIT_H

#include <check.h>
#include <pacifica/pacifica.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoder/decode.h"
#include "emu/cpu/control.h"
#include "emu/cpu/cpuid.h"
#include "emu/cpu/event.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/msr.h"
#include "emu/cpu/run.h"
#include "emu/cpu/segment.h"
#include "emu/cpu/shadow_stack.h"
#include "emu/insn/insn.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

enum kit_place {
    PML4_SPA = 0x1000,
    PT_SPA = 0x4000,
    GDT_SPA = 0x5000,
    IDT_SPA = 0x6000,
    TSS_SPA = 0x7000,
    LDT_SPA = 0xa000,
    CODE_SPA = 0x10000,
    DATA_SPA = 0x18000,
    STACK_TOP = 0x20000,
    RSP0_TOP = 0x28000,
    IST1_TOP = 0x30008,
    VMCB_SPA = 0x50000,
    IOPM_SPA = 0x51000,
    MSRPM_SPA = 0x54000,
    HSAVE_SPA = 0x56000,
    HANDLER = 0x60000,
    PAGED_LA = 0x400000
};
#define GDT_BYTES 0x200u
#define NONCANON 0x0100000000000000ull /* in 48 and in 57 bits */

/* Selectors of the GDT. */
enum kit_selector {
    CODE64 = 0x08,
    DATA0 = 0x10,
    CODE32 = 0x18,
    DATA3 = 0x20,
    CODE64_3 = 0x28,
    CODE32_3 = 0x30,
    TSS = 0x38,
    LDT = 0x48,
    CONFORMING = 0x58,
    CODE_NP = 0x60,
    CODE_LD = 0x68,
    READ_ONLY = 0x70,
    DATA_NP = 0x78,
    GATE = 0x80,
    EXEC_ONLY = 0x90,
    SMALL = 0x98,
    FREE = 0xa0,
    FREE2 = 0xb0,
    CODE64_1 = 0xc0,
    DATA1 = 0xc8,
    LAST = GDT_BYTES - 8
};

struct kit {
    struct memory *memory;
    struct probes probes;
    struct probe_client client;
    struct vclock clock;
    struct vcpu *cpu;
    uint8_t *vmcb;
    /* The interrupt controller's and the ports' side. */
    int pending, acks;
    uint8_t tpr;
    uint64_t apic_base;
    unsigned reads, writes;
    uint16_t last_port;
    uint32_t last_value, answer;
    bool port_attention; /* a port access wants the run loop */
    unsigned errors, msrs, deliveries;
    struct probe_event delivered;
};

static inline int kit_pending(void *self)
{
    return ((struct kit *)self)->pending;
}

static inline int kit_acknowledge(void *self)
{
    struct kit *k = self;
    int vector = k->pending;
    k->pending = -1;
    k->acks++;
    return vector;
}

static inline uint8_t kit_read_tpr(void *self)
{
    return ((struct kit *)self)->tpr;
}

static inline void kit_write_tpr(void *self, uint8_t tpr)
{
    ((struct kit *)self)->tpr = tpr;
}

static inline uint64_t kit_read_apic_base(void *self)
{
    return ((struct kit *)self)->apic_base;
}

static inline bool kit_write_apic_base(void *self, uint64_t value)
{
    ((struct kit *)self)->apic_base = value;
    return !(value & 0x400);
}

static inline uint32_t kit_port_read(void *self, uint16_t port, unsigned size)
{
    struct kit *k = self;
    k->reads++;
    k->last_port = port;
    if (k->port_attention)
        cpu_attention(k->cpu);
    return size == 4 ? k->answer : k->answer & ((1u << 8 * size) - 1);
}

static inline void kit_port_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct kit *k = self;
    (void)size;
    k->writes++;
    k->last_port = port;
    k->last_value = value;
    if (k->port_attention)
        cpu_attention(k->cpu);
}

static inline void kit_hear(void *self, const struct probe_event *event)
{
    struct kit *k = self;
    if (event->kind == PROBE_GUEST_ERROR)
        k->errors++;
    if (event->kind == PROBE_MSR)
        k->msrs++;
    if (event->kind == PROBE_EXCEPTION) {
        k->deliveries++;
        k->delivered = *event;
    }
}

/* --- memory --- */

static inline uint64_t kit_get(struct kit *k, uint64_t spa, unsigned size)
{
    return phys_read(k->memory, spa, size);
}

static inline void kit_put(struct kit *k, uint64_t spa, unsigned size, uint64_t value)
{
    phys_write(k->memory, spa, size, value);
}

/* The PTE of page n of the paged area. */
static inline void kit_page(struct kit *k, unsigned n, uint64_t pte)
{
    kit_put(k, PT_SPA + 8 * n, 8, pte);
    paging_flush_all(k->cpu->paging);
}

static inline uint64_t kit_descriptor(uint32_t base, uint32_t limit20, uint16_t attr)
{
    return (limit20 & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(limit20 & 0xf0000) << 32 | (uint64_t)(attr & 0xf00) << 44 |
           (uint64_t)(base & 0xff000000) << 32;
}

static inline void kit_gdt(struct kit *k, unsigned selector, uint64_t raw)
{
    kit_put(k, GDT_SPA + (selector & ~7u), 8, raw);
}

static inline uint64_t kit_gdt_raw(struct kit *k, unsigned selector)
{
    return kit_get(k, GDT_SPA + (selector & ~7u), 8);
}

/* A 16-byte gate, with type (14 interrupt, 15 trap, 12 call), DPL and IST. */
static inline void kit_gate64(struct kit *k, uint64_t at, uint16_t selector, uint64_t offset,
                              unsigned type, unsigned dpl, unsigned ist)
{
    kit_put(k, at, 8,
            (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)ist << 32 |
                (uint64_t)(type | dpl << 5 | 0x80) << 40 | (offset >> 16 & 0xffff) << 48);
    kit_put(k, at + 8, 8, offset >> 32);
}

static inline void kit_gate32(struct kit *k, unsigned vector, uint16_t selector, uint32_t offset,
                              unsigned type, unsigned dpl)
{
    kit_put(k, IDT_SPA + 8 * vector, 8,
            (offset & 0xffff) | (uint64_t)selector << 16 |
                (uint64_t)(type | dpl << 5 | 0x80) << 40 | (uint64_t)(offset >> 16) << 48);
}

static inline void kit_idt(struct kit *k, unsigned vector, unsigned type, unsigned dpl,
                           unsigned ist)
{
    kit_gate64(k, IDT_SPA + 16 * vector, CODE64, HANDLER + 16 * vector, type, dpl, ist);
}

static inline void kit_tables(struct kit *k)
{
    kit_put(k, PML4_SPA, 8, 0x2007);
    kit_put(k, 0x2000, 8, 0x3007);
    for (uint64_t i = 0; i < 512; i++)
        kit_put(k, 0x3000 + 8 * i, 8, i << 21 | 0x87);
    kit_put(k, 0x3000 + 8 * (PAGED_LA >> 21), 8, PT_SPA | 7);
    for (uint64_t i = 0; i < 512; i++)
        kit_put(k, PT_SPA + 8 * i, 8, (PAGED_LA + (i << 12)) | 7);

    kit_gdt(k, CODE64, kit_descriptor(0, 0xfffff, 0xa9b));
    kit_gdt(k, DATA0, kit_descriptor(0, 0xfffff, 0xc93));
    kit_gdt(k, CODE32, kit_descriptor(0, 0xfffff, 0xc9b));
    kit_gdt(k, DATA3, kit_descriptor(0, 0xfffff, 0xcf3));
    kit_gdt(k, CODE64_3, kit_descriptor(0, 0xfffff, 0xafb));
    kit_gdt(k, CODE32_3, kit_descriptor(0, 0xfffff, 0xcfb));
    kit_gdt(k, CODE64_1, kit_descriptor(0, 0xfffff, 0xabb));
    kit_gdt(k, DATA1, kit_descriptor(0, 0xfffff, 0xcb3));
    kit_gdt(k, TSS, kit_descriptor(TSS_SPA, 0x2067, 0x089));
    kit_gdt(k, LDT, kit_descriptor(LDT_SPA, 0xff, 0x082));
    kit_gdt(k, CONFORMING, kit_descriptor(0, 0xfffff, 0xa9f));
    kit_gdt(k, CODE_NP, kit_descriptor(0, 0xfffff, 0xa1b));
    kit_gdt(k, CODE_LD, kit_descriptor(0, 0xfffff, 0xe9b));
    kit_gdt(k, READ_ONLY, kit_descriptor(0, 0xfffff, 0xc91));
    kit_gdt(k, DATA_NP, kit_descriptor(0, 0xfffff, 0xc13));
    kit_gdt(k, EXEC_ONLY, kit_descriptor(0, 0xfffff, 0xa99));
    kit_gdt(k, SMALL, kit_descriptor(0, 0xfff, 0x493)); /* 4 KiB */
    kit_gdt(k, LAST, kit_descriptor(0, 0xfffff, 0xc93));
    for (unsigned v = 0; v < 256; v++)
        kit_idt(k, v, 14, 0, 0);
    kit_put(k, TSS_SPA + 4, 8, RSP0_TOP);
    kit_put(k, TSS_SPA + 0x24, 8, IST1_TOP);
    kit_put(k, TSS_SPA + 0x66, 2, 0x68);
}

/* --- making --- */

static inline void kit_load_segment(struct kit *k, enum seg seg, uint16_t selector)
{
    k->cpu->regs.seg[seg] = segment_unpack(selector, kit_gdt_raw(k, selector));
}

/* MODE_LONG64, MODE_COMPAT32 or MODE_PROT32 (no paging) at privilege level 0 or 3. */
static inline void kit_mode(struct kit *k, enum cpu_mode mode, unsigned cpl)
{
    struct vcpu *cpu = k->cpu;
    bool lma = mode != MODE_PROT32;
    uint16_t code = mode == MODE_LONG64 ? (cpl ? CODE64_3 : CODE64) : (cpl ? CODE32_3 : CODE32);
    uint16_t data = cpl ? DATA3 : DATA0;
    cpu->regs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | (lma ? CR0_PG : 0);
    cpu->regs.cr3 = PML4_SPA;
    cpu->regs.cr4 = lma ? CR4_PAE : 0;
    cpu->regs.efer = EFER_SCE | EFER_SVME | EFER_NXE | (lma ? EFER_LME | EFER_LMA : 0);
    kit_load_segment(k, SEG_CS, (uint16_t)(code | cpl));
    for (int s = SEG_ES; s <= SEG_GS; s++)
        if (s != SEG_CS)
            kit_load_segment(k, (enum seg)s, (uint16_t)(data | cpl));
    kit_load_segment(k, SEG_TR, TSS);
    cpu->regs.seg[SEG_TR].attr |= 2;
    cpu->regs.seg[SEG_LDTR] = (struct segment){ 0 };
    cpu->regs.gdtr = (struct table_register){ .base = GDT_SPA, .limit = GDT_BYTES - 1 };
    cpu->regs.idtr = (struct table_register){ .base = IDT_SPA, .limit = 0xfff };
    cpu->regs.cpl = (uint8_t)cpl;
    cpu->rflags = 2;
    cpu->flags_kind = FLAGS_MATERIAL;
    cpu->r[REG_RIP] = CODE_SPA;
    cpu->r[REG_RSP] = STACK_TOP;
    cpu_update_mode(cpu);
}

/* `cpus`: 1 or more; the test makes those behind the first. */
static inline struct kit *kit_new_smp(unsigned cpus)
{
    static const struct intc_ops intc = { kit_pending,   kit_acknowledge,    kit_read_tpr,
                                          kit_write_tpr, kit_read_apic_base, kit_write_apic_base };
    static const struct port_ops ports = { kit_port_read, kit_port_write };
    struct kit *k = calloc(1, sizeof(*k));
    ck_assert_ptr_nonnull(k);
    k->pending = -1;
    k->apic_base = 0xfee00900;
    k->memory = memory_new(16u << 20);
    ck_assert_ptr_nonnull(k->memory);
    k->client = (struct probe_client){ .mask = 1u << PROBE_GUEST_ERROR | 1u << PROBE_MSR |
                                               1u << PROBE_EXCEPTION,
                                       .fire = kit_hear,
                                       .self = k };
    probes_attach(&k->probes, &k->client);
    const struct vcpu_parts parts = { .memory = k->memory,
                                      .probes = &k->probes,
                                      .clock = &k->clock,
                                      .intc = &intc,
                                      .intc_self = k,
                                      .ports = &ports,
                                      .ports_self = k,
                                      .model = cpu_model_default(),
                                      .count = cpus };
    k->cpu = vcpu_new(&parts);
    ck_assert_ptr_nonnull(k->cpu);
    k->vmcb = memory_ptr(k->memory, VMCB_SPA, 4096);
    kit_tables(k);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->attention = false;
    return k;
}

static inline struct kit *kit_new(void)
{
    return kit_new_smp(1);
}

static inline void kit_free(struct kit *k)
{
    vcpu_free(k->cpu);
    memory_free(k->memory);
    free(k);
}

/* --- executing --- */

static inline struct insn kit_decode(struct kit *k, const uint8_t *bytes, unsigned len)
{
    struct insn in;
    uint8_t padded[15] = { 0 };
    memcpy(padded, bytes, len);
    ck_assert_int_eq(decode_insn(padded, sizeof(padded), k->cpu->mode, &in), DECODE_OK);
    ck_assert_uint_eq(in.len, len);
    return in;
}

/* Decode and execute one instruction as the run loop does: features by the table, RIP moved on. */
static inline enum step kit_exec(struct kit *k, const void *bytes, unsigned len)
{
    struct vcpu *cpu = k->cpu;
    struct insn in = kit_decode(k, bytes, len);
    const struct insn_info *row = insn_lookup(in.mnemonic);
    if (!row || (row->feature && !cpu_has(cpu, (enum cpu_feature)row->feature)))
        return cpu_raise(cpu, EXC_UD);
    bool shadow = shadow_stack_on(cpu, cpu->regs.cpl);
    enum step step = (shadow ? shadow_stack_body(row->body) : row->body)(cpu, &in);
    if (step == STEP_NEXT || step == STEP_LEAVE || step == STEP_HALT)
        cpu->r[REG_RIP] += in.len;
    return step;
}
#define EXEC(k, bytes) kit_exec((k), (bytes), sizeof(bytes) - 1)

static inline void kit_intercept(struct kit *k, unsigned intercept)
{
    k->cpu->svm->intercept[intercept >> 5] |= 1u << (intercept & 31);
}

/* VMRUN into a guest with the same registers: without nested paging, ASID 1, nothing but VMRUN intercepted. */
static inline void kit_guest(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_regs *regs = &cpu->regs;
    memset(k->vmcb, 0, 4096);
    VMCB_SET(k->vmcb, INTERCEPT_4, 1);
    VMCB_SET(k->vmcb, IOPM_BASE_PA, IOPM_SPA);
    VMCB_SET(k->vmcb, MSRPM_BASE_PA, MSRPM_SPA);
    VMCB_SET(k->vmcb, GUEST_ASID, 1);
    vmcb_store_segment(k->vmcb, VMCB_AT_ES_SEL, &regs->seg[SEG_ES]);
    vmcb_store_segment(k->vmcb, VMCB_AT_CS_SEL, &regs->seg[SEG_CS]);
    vmcb_store_segment(k->vmcb, VMCB_AT_SS_SEL, &regs->seg[SEG_SS]);
    vmcb_store_segment(k->vmcb, VMCB_AT_DS_SEL, &regs->seg[SEG_DS]);
    VMCB_SET(k->vmcb, GDTR_BASE, regs->gdtr.base);
    VMCB_SET(k->vmcb, GDTR_LIMIT, regs->gdtr.limit);
    VMCB_SET(k->vmcb, IDTR_BASE, regs->idtr.base);
    VMCB_SET(k->vmcb, IDTR_LIMIT, regs->idtr.limit);
    VMCB_SET(k->vmcb, CPL, regs->cpl);
    VMCB_SET(k->vmcb, EFER, regs->efer);
    VMCB_SET(k->vmcb, CR0, regs->cr0);
    VMCB_SET(k->vmcb, CR3, regs->cr3);
    VMCB_SET(k->vmcb, CR4, regs->cr4);
    VMCB_SET(k->vmcb, DR6, 0xffff0ff0);
    VMCB_SET(k->vmcb, DR7, 0x400);
    VMCB_SET(k->vmcb, RFLAGS, cpu_rflags(cpu));
    VMCB_SET(k->vmcb, RIP, cpu->r[REG_RIP]);
    VMCB_SET(k->vmcb, RSP, cpu->r[REG_RSP]);
    VMCB_SET(k->vmcb, RAX, cpu->r[REG_RAX]);
    enum cpu_mode mode = cpu->mode;
    unsigned cpl = cpu->regs.cpl;
    kit_mode(k, MODE_LONG64, 0); /* the host */
    cpu->msr.vm_hsave_pa = HSAVE_SPA;
    ck_assert_int_eq(svm_vmrun(cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
    ck_assert_int_eq(cpu->mode, mode);
    ck_assert_uint_eq(cpu->regs.cpl, cpl);
    cpu->attention = false;
}

/* --- what came out --- */

static inline void kit_raised(struct kit *k, enum step step, unsigned vector, int code)
{
    ck_assert_int_eq(step, STEP_RAISED);
    ck_assert(!k->cpu->raised.npf);
    ck_assert_uint_eq(k->cpu->raised.event.vector, vector);
    ck_assert_int_eq(k->cpu->raised.event.has_code, code >= 0);
    if (code >= 0)
        ck_assert_uint_eq(k->cpu->raised.event.code, (unsigned)code);
}
#define NO_CODE (-1)

/* A #VMEXIT with this code and info; the guest's RIP is where it was, nRIP is `nrip` (0: none). */
static inline void kit_exited(struct kit *k, enum step step, uint64_t code, uint64_t info1,
                              uint64_t info2, uint64_t nrip)
{
    ck_assert_int_eq(step, STEP_VMEXIT);
    ck_assert(!k->cpu->svm->guest);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), code);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), info1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), info2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), nrip);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
}

#define WITH_KIT(name)                      \
    static void name##_body(struct kit *k); \
    START_TEST(name)                        \
    {                                       \
        struct kit *k = kit_new();          \
        name##_body(k);                     \
        kit_free(k);                        \
    }                                       \
    END_TEST                                \
    static void name##_body(struct kit *k)

static inline int kit_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

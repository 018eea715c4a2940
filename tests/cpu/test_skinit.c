/* SKINIT. APM vol 2, 15.27 "Secure Startup with SKINIT", 15.24.8 "Secure Initialization Support"; vol 3, "SKINIT". */
#include "tests/cpu/program.h"

#include "emu/cpu/smm.h"
#include "svm/launch.h"

#define SLB 0x200000u
#define ENTRY 0x124u
#define SKINIT "\x0f\x01\xde"
#define SECURE_VM_CR (VM_CR_DPD | VM_CR_R_INIT | VM_CR_DIS_A20M)

static void put_slb(struct kit *k, uint32_t slb, uint16_t entry, uint16_t length)
{
    kit_put(k, slb, 2, entry);
    kit_put(k, slb + 2, 2, length);
}

/* A host that stands anywhere between 16-bit protected and 64-bit mode. */
static void skinit(struct kit *k, uint64_t rax)
{
    k->cpu->r[REG_RAX] = rax;
    ck_assert_int_eq(EXEC(k, SKINIT), STEP_JUMP);
}

static const enum cpu_mode modes[] = { MODE_PROT16, MODE_PROT32, MODE_COMPAT16, MODE_COMPAT32,
                                       MODE_LONG64 };
#define MODES (sizeof(modes) / sizeof(modes[0]))

/* --- the checks --- */

/* rows: svmop 1.7, 1.11, 19.1, exit 2.24 */
WITH_KIT(skinit_and_stgi_need_svme_or_their_features)
{
    static const struct {
        const char *model;
        bool exists;
    } cases[] = {
        { "max", true },
        { "max,-skinit", true }, /* 15.31: SVM-Lock is enough */
        { "max,-svm-lock", true },
        { "max,-skinit,-svm-lock", false },
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cpu_model model;
        ck_assert_int_eq(cpu_model_parse(cases[i].model, &model, NULL), PACIFICA_OK);
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->model = &model;
        k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
        put_slb(k, SLB, ENTRY, 0x1000);
        if (cases[i].exists) {
            ck_assert_int_eq(EXEC(k, "\x0f\x01\xdc"), STEP_LEAVE);
            skinit(k, SLB);
            continue;
        }
        kit_raised(k, EXEC(k, SKINIT), EXC_UD, -1);
        kit_raised(k, EXEC(k, "\x0f\x01\xdc"), EXC_UD, -1);
        k->cpu->regs.efer |= EFER_SVME; /* 15.4: then both exist whatever CPUID says */
        ck_assert_int_eq(EXEC(k, "\x0f\x01\xdc"), STEP_LEAVE);
        skinit(k, SLB);
    }
    k->cpu->model = cpu_model_default();
}

/* rows: svmop 1.12, 19.1 */
WITH_KIT(skinit_wants_protected_mode_then_level_0)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned cpl = 1; cpl < 4; cpl++) {
        kit_mode(k, MODE_PROT32, cpl);
        kit_raised(k, EXEC(k, SKINIT), EXC_GP, 0);
    }
    static const uint8_t bytes[15] = { 0x0f, 0x01, 0xde };
    static const enum cpu_mode others[] = { MODE_REAL, MODE_REAL32, MODE_V86 };
    struct insn in;
    for (unsigned i = 0; i < 3; i++) { /* it does not exist there */
        cpu->mode = others[i];
        if (decode_insn(bytes, sizeof(bytes), others[i], &in) == DECODE_OK)
            kit_raised(k, insn_skinit(cpu, &in), EXC_UD, -1);
    }
    ck_assert(!cpu->svm->launch.done);
}

/* rows: vmcb 1.3.7, exit 1.3.7, 2.24, svmop 1.14, 19.1 */
WITH_KIT(intercepted_skinit_does_nothing)
{
    kit_mode(k, MODE_PROT32, 3);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SKINIT);
    kit_raised(k, EXEC(k, SKINIT), EXC_GP, 0); /* first */
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->r[REG_RAX] = SLB;
    kit_exited(k, EXEC(k, SKINIT), VMEXIT_SKINIT, 0, 0, CODE_SPA + 3);
    ck_assert(!k->cpu->svm->launch.done);
    ck_assert_uint_eq(memory_slb(k->memory), MEMORY_NO_SLB);
}

/* --- the state --- */

/* rows: svmop 19.4, 19.5, 19.6, 19.9, 19.10 */
WITH_KIT(skinit_enters_flat_protected_mode)
{
    struct vcpu *cpu = k->cpu;
    for (unsigned m = 0; m < MODES; m++) {
        kit_mode(k, modes[m], 0);
        put_slb(k, SLB, ENTRY, 0x1000);
        for (unsigned i = 0; i < 16; i++)
            cpu->r[i] = UINT64_C(0x1111111111111111) * i;
        cpu_set_rflags(cpu, FLAG_IF | FLAG_CF | FLAG_DF | FLAG_AC);
        cpu->svm->gif = true;
        cpu->msr.vm_cr = 0;
        cpu->regs.cr2 = 5;
        k->tpr = 0x40;
        skinit(k, SLB);
        ck_assert_int_eq(cpu->mode, MODE_PROT32);
        for (unsigned i = 0; i < 16; i++)
            ck_assert_uint_eq(cpu->r[i], i == REG_RAX   ? SLB
                                         : i == REG_RDX ? cpu->model->signature
                                         : i == REG_RSP ? SLB + 0x10000
                                                        : 0);
        ck_assert_uint_eq(cpu_rip(cpu), SLB + ENTRY);
        ck_assert_uint_eq(cpu_rflags(cpu), 2);
        ck_assert_uint_eq(cpu->regs.cr0, CR0_PE | CR0_ET);
        ck_assert_uint_eq(cpu->regs.cr2 | cpu->regs.cr3 | cpu->regs.cr4 | cpu->regs.efer, 0);
        ck_assert_uint_eq(cpu->regs.cpl, 0);
        ck_assert_uint_eq(cpu->msr.vm_cr, SECURE_VM_CR);
        ck_assert_uint_eq(k->tpr, 0); /* CR8 */
        ck_assert(!cpu->svm->gif);
        ck_assert_int_eq(mem_regime(cpu)->mode, WALK_NONE);
    }
}

/* rows: svmop 19.5 */
WITH_KIT(skinit_loads_cs_and_ss_and_leaves_the_others_of_real_mode)
{
    const struct segment *seg = k->cpu->regs.seg;
    put_slb(k, SLB, ENTRY, 0x1000);
    skinit(k, SLB);
    ck_assert_uint_eq(seg[SEG_CS].selector, 8);
    ck_assert_uint_eq(seg[SEG_SS].selector, 0x10);
    ck_assert_uint_eq(seg[SEG_CS].base | seg[SEG_SS].base, 0);
    ck_assert_uint_eq(seg[SEG_CS].limit, UINT32_MAX);
    ck_assert_uint_eq(seg[SEG_SS].limit, UINT32_MAX);
    ck_assert_uint_eq(seg[SEG_CS].attr, 0xc9b); /* not writable */
    ck_assert_uint_eq(seg[SEG_SS].attr, 0xc93);
    for (int s = SEG_ES; s <= SEG_GS; s++) {
        if (s == SEG_CS || s == SEG_SS)
            continue;
        ck_assert_uint_eq(seg[s].selector | seg[s].base, 0);
        ck_assert_uint_eq(seg[s].limit, 0xffff);
        ck_assert_uint_eq(seg[s].attr, 0x093);
    }
    ck_assert_uint_eq(k->cpu->regs.gdtr.base | k->cpu->regs.idtr.base, 0);
}

/* What INIT keeps, and of the MSRs all but EFER and VM_CR.
 * rows: svmop 19.4 */
WITH_KIT(skinit_keeps_what_init_keeps)
{
    struct vcpu *cpu = k->cpu;
    put_slb(k, SLB, ENTRY, 0x1000);
    cpu->x87.fcw = 0x37e;
    cpu->simd.mxcsr = 0x3f80;
    cpu->simd.v[7].u64[1] = 0x77;
    cpu->regs.dr[1] = 0x1234;
    cpu->regs.cr0 |= CR0_CD;
    cpu->msr.lstar = 0x5678;
    cpu->msr.smbase = 0x50000;
    cpu->msr.vm_hsave_pa = HSAVE_SPA;
    struct cpu_msrs old = cpu->msr;
    skinit(k, SLB);
    old.vm_cr |= SECURE_VM_CR;
    ck_assert(!memcmp(&cpu->msr, &old, sizeof(old)));
    ck_assert_uint_eq(cpu->x87.fcw, 0x37e);
    ck_assert_uint_eq(cpu->simd.mxcsr, 0x3f80);
    ck_assert_uint_eq(cpu->simd.v[7].u64[1], 0x77);
    ck_assert_uint_eq(cpu->regs.dr[1], 0x1234);
    ck_assert_uint_eq(cpu->regs.cr0, CR0_PE | CR0_ET | CR0_CD);
}

/* LOCK and SVMDIS are not affected, unlike by INIT.
 * rows: svmop 19.6, 20.1 */
WITH_KIT(skinit_leaves_lock_and_svmdis)
{
    static const uint64_t values[] = { VM_CR_SVMDIS, VM_CR_LOCK, VM_CR_SVMDIS | VM_CR_LOCK };
    for (unsigned i = 0; i < 3; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
        k->cpu->msr.vm_cr = values[i];
        put_slb(k, SLB, ENTRY, 0x1000);
        skinit(k, SLB);
        ck_assert_uint_eq(k->cpu->msr.vm_cr, values[i] | SECURE_VM_CR);
    }
}

/* rows: svmop 19.2, 19.9, 19.10 */
WITH_KIT(eax_is_rounded_down_to_the_block)
{
    static const uint32_t low[] = { 0, 1, 0x1000, 0x8000, 0xffff };
    for (unsigned i = 0; i < 5; i++) {
        kit_mode(k, MODE_LONG64, 0);
        put_slb(k, SLB, ENTRY, 0x1000);
        skinit(k, 0xabcdef0000000000 | SLB | low[i]);
        ck_assert_uint_eq(k->cpu->r[REG_RAX], SLB);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], SLB + 0x10000);
        ck_assert_uint_eq(cpu_rip(k->cpu), SLB + ENTRY);
        ck_assert_uint_eq(memory_slb(k->memory), SLB);
    }
}

/* At the end of 4 GiB there is no RAM: ones, and ESP wraps.
 * rows: svmop 19.7, 19.9 */
WITH_KIT(a_block_outside_ram_reads_as_ones)
{
    skinit(k, 0xffff0000);
    const struct svm_launch *launch = &k->cpu->svm->launch;
    ck_assert_uint_eq(launch->entry, 0xffff);
    ck_assert_uint_eq(launch->length, 0xffff);
    ck_assert_uint_eq(cpu_rip(k->cpu), 0xffffffff);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0);
}

/* rows: svmop 19.7 */
WITH_KIT(the_loader_starts_whatever_its_header_says)
{
    static const struct {
        uint16_t entry, length;
        unsigned errors;
    } cases[] = { { 0, 1, 0 }, { 0xffff, 0xffff, 1 }, { 0xfffe, 0xffff, 0 }, { 4, 0, 1 } };
    for (unsigned i = 0; i < 4; i++) {
        kit_mode(k, MODE_LONG64, 0);
        put_slb(k, SLB, cases[i].entry, cases[i].length);
        k->errors = 0;
        skinit(k, SLB);
        ck_assert_uint_eq(cpu_rip(k->cpu), SLB + cases[i].entry);
        ck_assert_uint_eq(k->errors, cases[i].errors); /* told, no more */
        ck_assert_ptr_null(k->cpu->svm->launch.failure);
    }
}

/* The line is open from its first access.
 * rows: svmop 19.6, 8.11 */
WITH_KIT(skinit_opens_the_a20_line)
{
    memory_set_a20(k->memory, false);
    kit_put(k, 0x10000, 4, 0); /* where 110000h is while the line is closed */
    k->cpu->msr.vm_cr = VM_CR_DIS_A20M;
    smm_view_changed(k->cpu);
    put_slb(k, 0x110000, 0x40, 0x1000);
    k->cpu->msr.vm_cr = 0;
    smm_view_changed(k->cpu);
    skinit(k, 0x110000);
    ck_assert_uint_eq(cpu_rip(k->cpu), 0x110040);
    ck_assert_uint_eq(memory_backing(k->memory, 0x110000), 0x110);
}

/* rows: svmop 19.6, 8.2, 8.3, 8.4, 8.6, 8.7, 8.10 */
WITH_KIT(what_is_pending_waits_for_stgi)
{
    struct vcpu *cpu = k->cpu;
    put_slb(k, SLB, ENTRY, 0x1000);
    cpu->pins.nmi = cpu->pins.smi = cpu->pins.init = cpu->pins.mc = true;
    k->pending = 0x40;
    skinit(k, SLB);
    ck_assert(cpu->pins.nmi && cpu->pins.smi && cpu->pins.init && cpu->pins.mc);
    ck_assert_int_eq(k->pending, 0x40);
    ck_assert(!event_pending(cpu));
    cpu->pins.mc = cpu->pins.smi = cpu->pins.nmi = false;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xdc"), STEP_LEAVE); /* EFER.SVME is 0 */
    ck_assert(event_pending(cpu));                         /* INIT, which R_INIT makes #SX */
    cpu->pins.init = false;
    ck_assert(!event_pending(cpu)); /* IF is 0 */
    cpu->rflags |= FLAG_IF;
    ck_assert(event_pending(cpu));
}

/* Neither by TF, nor are breakpoints seen in the loader.
 * rows: svmop 8.8 */
WITH_KIT(skinit_is_not_stepped)
{
    PROGRAM(k, SKINIT);
    put_slb(k, SLB, ENTRY, 0x1000);
    kit_put(k, SLB + ENTRY, 8, 0xfeeb9090); /* nop; nop; jmp $ */
    k->cpu->r[REG_RAX] = SLB;
    cpu_set_rflags(k->cpu, FLAG_TF);
    watch(k, 0, SLB + ENTRY + 1, ON_FETCH, LEN1); /* GIF is 0: lost */
    program_run(k, 10);
    ck_assert_uint_eq(cpu_rip(k->cpu), SLB + ENTRY + 2);
    expect_none(k);
}

/* --- guests and SMM --- */

/* rows: svmop 1.16, 19.4 */
WITH_KIT(a_guest_without_the_intercept_leaves_guest_mode)
{
    struct vcpu *cpu = k->cpu;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CPUID);
    put_slb(k, SLB, ENTRY, 0x1000);
    skinit(k, SLB);
    ck_assert(!cpu->svm->guest && !cpu->svm->gif);
    ck_assert_uint_eq(cpu->svm->exits, 0);
    ck_assert(!svm_intercepts(cpu, INTERCEPT_CPUID));
    ck_assert_uint_eq(cpu_rip(cpu), SLB + ENTRY);
}

WITH_KIT(skinit_in_smm_ends_smm)
{
    struct vcpu *cpu = k->cpu;
    cpu->pins.smi = true;
    ck_assert_int_eq(event_boundary(cpu), STEP_JUMP);
    ck_assert(cpu->regs.smm);
    kit_mode(k, MODE_PROT32, 0);
    put_slb(k, SLB, ENTRY, 0x1000);
    skinit(k, SLB);
    ck_assert(!cpu->regs.smm && !cpu->svm->gif);
}

/* --- the memory controller --- */

/* rows: svmop 19.11 */
WITH_KIT(devices_do_not_reach_the_block)
{
    const struct memory *memory = k->memory;
    put_slb(k, SLB, ENTRY, 0x1000);
    ck_assert(memory_device_may(memory, SLB, 4096));
    skinit(k, SLB);
    ck_assert(memory_device_may(memory, SLB - 16, 16));
    ck_assert(!memory_device_may(memory, SLB - 16, 17));
    ck_assert(!memory_device_may(memory, SLB, 1));
    ck_assert(!memory_device_may(memory, SLB + 0xffff, 4096));
    ck_assert(memory_device_may(memory, SLB + 0x10000, 4096));
    ck_assert(memory_device_may(memory, SLB, 0));
    uint64_t value;
    ck_assert_int_eq(mem_load_la(k->cpu, SLB, 2, &value), STEP_NEXT); /* the processor does */
    ck_assert_uint_eq(value, ENTRY);
    vcpu_reset(k->cpu);
    ck_assert(memory_device_may(memory, SLB, 4096));
    ck_assert(!k->cpu->svm->launch.done);
}

/* --- the measurement --- */

static void digest_is(const uint8_t *digest, unsigned bytes, const char *expected)
{
    char text[SVM_DIGEST_TEXT];
    ck_assert_str_eq(svm_digest_text(digest, bytes, text), expected);
}

/* The digests are not this program's own: Python's hashlib made them.
 * rows: svmop 19.8 */
WITH_KIT(the_image_is_measured_by_its_length)
{
    static const struct {
        uint16_t length;
        const char *sha1, *sha256, *pcr1, *pcr256;
    } cases[] = {
#include "tests/cpu/skinit_digests.def"
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        for (unsigned at = 0; at < 0x10000; at++)
            kit_put(k, SLB + at, 1, at * 7 + (at >> 8));
        put_slb(k, SLB, 4, cases[i].length);
        skinit(k, SLB);
        const struct svm_launch *launch = &k->cpu->svm->launch;
        uint8_t pcr[SHA256_BYTES];
        ck_assert(launch->done && !launch->failure);
        ck_assert_uint_eq(launch->slb, SLB);
        ck_assert_uint_eq(launch->entry, 4);
        ck_assert_uint_eq(launch->length, cases[i].length);
        digest_is(launch->sha1, SHA1_BYTES, cases[i].sha1);
        digest_is(launch->sha256, SHA256_BYTES, cases[i].sha256);
        svm_launch_pcr17_sha1(launch, pcr);
        digest_is(pcr, SHA1_BYTES, cases[i].pcr1);
        svm_launch_pcr17_sha256(launch, pcr);
        digest_is(pcr, SHA256_BYTES, cases[i].pcr256);
    }
}

/* --- more processors --- */

static struct vcpu *add_ap(struct kit *k)
{
    const struct vcpu_parts parts = { .memory = k->memory,
                                      .probes = &k->probes,
                                      .clock = &k->clock,
                                      .ports = k->cpu->ports,
                                      .ports_self = k,
                                      .model = cpu_model_default(),
                                      .bsp = k->cpu };
    struct vcpu *ap = vcpu_new(&parts);
    ck_assert_ptr_nonnull(ap);
    return ap;
}

#define WITH_TWO(name)                                       \
    static void name##_body(struct kit *k, struct vcpu *ap); \
    START_TEST(name)                                         \
    {                                                        \
        struct kit *k = kit_new_smp(2);                      \
        struct vcpu *ap = add_ap(k);                         \
        name##_body(k, ap);                                  \
        vcpu_free(ap);                                       \
        kit_free(k);                                         \
    }                                                        \
    END_TEST                                                 \
    static void name##_body(struct kit *k, struct vcpu *ap)

/* rows: svmop 19.3 */
WITH_TWO(others_must_be_in_the_init_state)
{
    const struct svm_launch *launch = &k->cpu->svm->launch;
    put_slb(k, SLB, ENTRY, 0x1000);
    skinit(k, SLB);
    ck_assert_ptr_null(launch->failure); /* after RESET they are */
    ap->regs.wait_sipi = false;
    kit_mode(k, MODE_LONG64, 0);
    skinit(k, SLB);
    ck_assert_ptr_nonnull(launch->failure);
    ck_assert_uint_eq(cpu_rip(k->cpu), SLB + ENTRY); /* the loader runs all the same */
    ap->pins.init = true;                            /* on its way */
    kit_mode(k, MODE_LONG64, 0);
    skinit(k, SLB);
    ck_assert_ptr_null(launch->failure);
    ap->msr.vm_cr = VM_CR_R_INIT; /* it will not come to INIT */
    kit_mode(k, MODE_LONG64, 0);
    skinit(k, SLB);
    ck_assert_ptr_nonnull(launch->failure);
}

/* rows: svmop 19.3 */
WITH_TWO(only_the_boot_processor_launches)
{
    struct vcpu *bsp = k->cpu;
    bsp->regs.wait_sipi = true;
    ap->regs.wait_sipi = false;
    k->cpu = ap;
    kit_mode(k, MODE_LONG64, 0);
    put_slb(k, SLB, ENTRY, 0x1000);
    skinit(k, SLB);
    ck_assert_ptr_nonnull(ap->svm->launch.failure);
    ck_assert(!bsp->svm->launch.done);
    k->cpu = bsp;
}

static void startup(struct vcpu *ap)
{
    ap->regs.wait_sipi = true;
    ap->pins.sipi = true;
    ap->pins.sipi_vector = 9;
    ck_assert_int_eq(event_boundary(ap), STEP_JUMP);
    ck_assert_uint_eq(ap->regs.seg[SEG_CS].base, 0x9000);
    ck_assert_int_eq(ap->mode, MODE_REAL);
}

/* 15.27.8: if, and only if, the boot processor has executed SKINIT. */
WITH_TWO(startup_ipis_are_secure_behind_skinit)
{
    startup(ap);
    ck_assert(ap->svm->gif);
    ck_assert_uint_eq(ap->msr.vm_cr, 0);
    ap->regs.wait_sipi = true;
    put_slb(k, SLB, ENTRY, 0x1000);
    skinit(k, SLB);
    ck_assert(ap->svm->gif); /* not before it starts */
    ap->pins.nmi = true;
    startup(ap);
    ck_assert(!ap->svm->gif);
    ck_assert_uint_eq(ap->msr.vm_cr, SECURE_VM_CR);
    ck_assert(ap->pins.nmi && !event_pending(ap));
    vcpu_reset(k->cpu);
    vcpu_reset(ap);
    startup(ap);
    ck_assert(ap->svm->gif);
}

int main(void)
{
    Suite *suite = suite_create("skinit");
    TCase *tc = tcase_create("skinit");
    const TTest *const tests[] = {
        skinit_and_stgi_need_svme_or_their_features,
        skinit_wants_protected_mode_then_level_0,
        intercepted_skinit_does_nothing,
        skinit_enters_flat_protected_mode,
        skinit_loads_cs_and_ss_and_leaves_the_others_of_real_mode,
        skinit_keeps_what_init_keeps,
        skinit_leaves_lock_and_svmdis,
        eax_is_rounded_down_to_the_block,
        a_block_outside_ram_reads_as_ones,
        the_loader_starts_whatever_its_header_says,
        skinit_opens_the_a20_line,
        what_is_pending_waits_for_stgi,
        skinit_is_not_stepped,
        a_guest_without_the_intercept_leaves_guest_mode,
        skinit_in_smm_ends_smm,
        devices_do_not_reach_the_block,
        the_image_is_measured_by_its_length,
        others_must_be_in_the_init_state,
        only_the_boot_processor_launches,
        startup_ipis_are_secure_behind_skinit,
    };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

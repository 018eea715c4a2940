/* Model-specific registers: properties of the table, and the rules of those with effects. APM vol 2, appendix A. */
#include "tests/cpu/kit.h"

static uint64_t get(struct kit *k, uint32_t number)
{
    uint64_t value;
    ck_assert_int_eq(msr_read(k->cpu, number, &value), STEP_NEXT);
    return value;
}

static void accepts(struct kit *k, uint32_t number, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, number, value), STEP_NEXT);
}

static void refuses(struct kit *k, uint32_t number, uint64_t value)
{
    unsigned errors = k->errors;
    kit_raised(k, msr_write(k->cpu, number, value), EXC_GP, 0);
    ck_assert_uint_eq(k->errors, errors + 1);
}

static void absent(struct kit *k, uint32_t number)
{
    uint64_t value;
    kit_raised(k, msr_read(k->cpu, number, &value), EXC_GP, 0);
    kit_raised(k, msr_write(k->cpu, number, 0), EXC_GP, 0);
}

/* --- the table --- */

WITH_KIT(rows_are_sorted_and_disjoint)
{
    (void)k;
    for (unsigned i = 1; i < msr_table_count; i++)
        ck_assert_uint_le(msr_table[i - 1].number + msr_table[i - 1].count, msr_table[i].number);
}

WITH_KIT(stored_rows_do_not_overlap)
{
    (void)k;
    for (unsigned i = 0; i < msr_table_count; i++) {
        const struct msr_info *a = &msr_table[i];
        if (a->kind != MSR_VALUE && a->kind != MSR_LENIENT && a->kind != MSR_CANON)
            continue;
        for (unsigned j = 0; j < i; j++) {
            const struct msr_info *b = &msr_table[j];
            if (b->kind == MSR_VALUE || b->kind == MSR_LENIENT || b->kind == MSR_CANON)
                ck_assert(a->where >= b->where + 8 * b->count ||
                          b->where >= a->where + 8 * a->count);
        }
        ck_assert_uint_le(a->where + 8 * a->count, sizeof(struct cpu_msrs));
    }
}

/* Model max has it: all but what is not emulated yet. */
static bool is_offered(const struct msr_info *row)
{
    return !row->feature || cpu_features[row->feature].offered;
}

WITH_KIT(every_row_reads_its_reset_value)
{
    for (unsigned i = 0; i < msr_table_count; i++) {
        const struct msr_info *row = &msr_table[i];
        if (!is_offered(row))
            continue;
        if (row->kind == MSR_WRITEONLY || row->kind == MSR_SMM_CTL || row->kind == MSR_DOORBELL ||
            row->kind == MSR_APIC_BASE || row->kind == MSR_EFER || row->kind == MSR_SEGMENT_BASE ||
            row->kind == MSR_COMMAND || row->kind == MSR_PRED_CMD || row->kind == MSR_PATCH_LEVEL ||
            row->kind == MSR_CPUID_OVERRIDE || row->kind == MSR_X2APIC ||
            row->kind == MSR_TSC_DEADLINE || row->number == 0xc0010030)
            continue;
        for (uint32_t n = 0; n < row->count; n++)
            ck_assert_uint_eq(get(k, row->number + n), row->reset);
    }
}

WITH_KIT(model_max_has_every_row)
{
    for (unsigned i = 0; i < msr_table_count; i++)
        for (uint32_t n = 0; n < msr_table[i].count && is_offered(&msr_table[i]); n++)
            ck_assert_ptr_eq(msr_find(k->cpu, msr_table[i].number + n), &msr_table[i]);
}

/* Of model max, which has 48 bits of physical addresses. */
static uint64_t writable(const struct msr_info *row)
{
    switch (row->number) {
    case 0x00000048: return 0x87;               /* SPEC_CTRL: IBRS, STIBP, SSBD, PSFD */
    case 0x00000049: return 0x81;               /* PRED_CMD: IBPB, SBPB */
    case 0xc0010016: return 0x0000fffffffff818; /* IORR */
    case 0xc001001a: return 0x0000ffffff800000; /* TOP_MEM */
    case 0xc001001d: return 0x0000ffffff800000; /* TOP_MEM2 */
    case 0xc0010058: return 0x0000fffffff0003d; /* MMIO_CFG_BASE */
    case 0xc0010117: return 0x0000fffffffff000; /* VM_HSAVE_PA */
    default: return row->mask;
    }
}

WITH_KIT(values_read_back_and_reserved_bits_fault)
{
    for (unsigned i = 0; i < msr_table_count; i++) {
        const struct msr_info *row = &msr_table[i];
        for (uint32_t n = 0; n < row->count; n++) {
            uint32_t number = row->number + n;
            const uint64_t mask = writable(row);
            switch (row->kind) {
            case MSR_SPEC_CTRL:
            case MSR_VALUE:
                accepts(k, number, mask);
                ck_assert_uint_eq(get(k, number), mask);
                for (unsigned bit = 0; bit < 64; bit++)
                    if (!(mask >> bit & 1))
                        refuses(k, number, 1ull << bit);
                ck_assert_uint_eq(get(k, number), mask);
                break;
            case MSR_LENIENT:
                accepts(k, number, UINT64_MAX);
                ck_assert_uint_eq(get(k, number), mask | row->reset);
                accepts(k, number, 0);
                ck_assert_uint_eq(get(k, number), row->reset & ~mask);
                break;
            case MSR_PRED_CMD:
            case MSR_COMMAND: {
                uint64_t value;
                for (unsigned bit = 0; bit < 64; bit++) {
                    if (mask >> bit & 1)
                        accepts(k, number, 1ull << bit);
                    else
                        refuses(k, number, 1ull << bit);
                }
                kit_raised(k, msr_read(k->cpu, number, &value), EXC_GP, 0);
                break;
            }
            case MSR_CANON:
                accepts(k, number, 0xffff800000001000 + n);
                ck_assert_uint_eq(get(k, number), 0xffff800000001000 + n);
                refuses(k, number, NONCANON);
                ck_assert_uint_eq(get(k, number), 0xffff800000001000 + n);
                break;
            case MSR_CONST:
                accepts(k, number, UINT64_MAX);
                ck_assert_uint_eq(get(k, number), row->reset);
                break;
            case MSR_READONLY: refuses(k, number, row->reset); break;
            case MSR_WRITEONLY: {
                uint64_t value;
                accepts(k, number, 1);
                kit_raised(k, msr_read(k->cpu, number, &value), EXC_GP, 0);
                break;
            }
            default: break;
            }
        }
    }
}

WITH_KIT(msr_reset_undoes_everything)
{
    accepts(k, 0xc0000081, 0x1234);
    accepts(k, 0x277, 0);
    accepts(k, 0xc0011029, 0);
    msr_reset(k->cpu);
    ck_assert_uint_eq(get(k, 0xc0000081), 0);
    ck_assert_uint_eq(get(k, 0x277), 0x0007040600070406);
    ck_assert_uint_eq(get(k, 0xc0011029), 2);
}

/* What Linux, KVM and Xen read at boot on AMD, without a fault handler. */
WITH_KIT(census_of_boot_reads_exists)
{
    static const uint32_t numbers[] = {
        0x10,       0x1b,       0x8b,       0xfe,       0x174,      0x175,      0x176,
        0x179,      0x17a,      0x17b,      0x200,      0x20f,      0x250,      0x258,
        0x259,      0x268,      0x26f,      0x277,      0x2ff,      0x400,      0x425,
        0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
        0xc0000102, 0xc0000103, 0xc0010000, 0xc0010007, 0xc0010010, 0xc0010015, 0xc001001a,
        0xc001001d, 0xc001001f, 0xc0010055, 0xc0010114, 0xc0010117, 0xc0011002, 0xc0011005,
        0xc0011020, 0xc0011029,
    };
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)get(k, numbers[i]);
    static const uint32_t probes[] = { 0x3a,       0xe1,       0x1c4,      0x1d9 + 0x20,
                                       0x560,      0x570,      0x600,      0x802,
                                       0xd90,      0xc0000105, 0xc001011c, 0xc001011e,
                                       0xc0010130, 0xc0010142, 0xc00102b0, 0xdeadbeef };
    for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
        absent(k, probes[i]);
}

/* Linux writes bit 46 of NB_CFG on all of AMD's since family 10h. Zen has no such register: nothing sticks. */
WITH_KIT(nb_cfg_reads_zero_and_ignores_writes)
{
    accepts(k, 0xc001001f, 1ull << 46);
    ck_assert_uint_eq(get(k, 0xc001001f), 0);
}

/* --- registers with rules --- */

WITH_KIT(pat_types)
{
    for (unsigned type = 0; type < 256; type++) {
        uint64_t value = (uint64_t)type << 56 | 0x07060504010004;
        if (type <= 7 && type != 2 && type != 3)
            accepts(k, 0x277, value);
        else
            refuses(k, 0x277, value);
    }
}

/* rows: svmop 15.1.6, 15.2.1 */
WITH_KIT(guests_with_nested_paging_have_their_own_pat)
{
    kit_guest(k);
    accepts(k, 0x277, 0x0606060606060606);
    ck_assert_uint_eq(k->cpu->msr.pat, 0x0606060606060606); /* without: shared */
    k->cpu->svm->nested_paging = true;
    accepts(k, 0x277, 0);
    ck_assert_uint_eq(k->cpu->svm->g_pat, 0);
    ck_assert_uint_eq(k->cpu->msr.pat, 0x0606060606060606);
    ck_assert_uint_eq(get(k, 0x277), 0);
}

WITH_KIT(mtrr_rules)
{
    for (unsigned type = 0; type < 256; type++) {
        bool legal = type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
        if (legal) {
            accepts(k, 0x200, 0x100000000 | type);
            accepts(k, 0x2ff, 0xc00 | type);
            accepts(k, 0x250, type);
        } else {
            refuses(k, 0x200, 0x100000000 | type);
            refuses(k, 0x2ff, 0xc00 | type);
            refuses(k, 0x250, type);
        }
    }
    refuses(k, 0x200, 0x100);
    refuses(k, 0x200, 1ull << 48);
    accepts(k, 0x201, 0xfffffff00800);
    refuses(k, 0x201, 0x400);
    refuses(k, 0x201, 1ull << 48);
    refuses(k, 0x2ff, 0x1000);
    refuses(k, 0x26f, 0x1e06060606060606); /* RdMem and WrMem need SYSCFG.MFDM */
    accepts(k, 0xc0010010, 1u << 19);
    accepts(k, 0x26f, 0x1e06060606060606);
}

WITH_KIT(mc_status_takes_zero_only)
{
    accepts(k, 0x401, 0);
    refuses(k, 0x401, 1);
    accepts(k, 0x400, 1);
    accepts(k, 0x402, 1);
    accepts(k, 0xc0010015, get(k, 0xc0010015) | 1u << 18);
    accepts(k, 0x401, 1);
    ck_assert_uint_eq(get(k, 0x401), 1);
}

WITH_KIT(hwcr_smm_lock_is_sticky)
{
    accepts(k, 0xc0010015, 0x01000011);
    accepts(k, 0xc0010015, 0);
    ck_assert_uint_eq(get(k, 0xc0010015), 1);
}

/* rows: svmop 20.1 */
WITH_KIT(vm_cr_rules)
{
    for (unsigned bit = 5; bit < 64; bit++)
        refuses(k, 0xc0010114, 1ull << bit);
    refuses(k, 0xc0010114, VM_CR_SVMDIS); /* EFER.SVME = 1 */
    k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
    accepts(k, 0xc0010114, VM_CR_LOCK | VM_CR_SVMDIS);
    accepts(k, 0xc0010114, VM_CR_R_INIT); /* LOCK: LOCK and SVMDIS stay */
    ck_assert_uint_eq(get(k, 0xc0010114), VM_CR_LOCK | VM_CR_SVMDIS | VM_CR_R_INIT);
}

/* rows: svmop 20.4 */
WITH_KIT(vm_hsave_pa_rules)
{
    refuses(k, 0xc0010117, 0x1001);
    refuses(k, 0xc0010117, 1ull << 48);
    accepts(k, 0xc0010117, 0xfffffffff000);
}

/* rows: events 5.7 */
WITH_KIT(debugctl_takes_lbr_and_btf)
{
    accepts(k, 0x1d9, 0);
    refuses(k, 0x1d9, 1u << 2);
    ck_assert_int_eq(msr_write(k->cpu, 0x1d9, DEBUGCTL_LBR | DEBUGCTL_BTF), STEP_NEXT);
    ck_assert_uint_eq(get(k, 0x1d9), DEBUGCTL_LBR | DEBUGCTL_BTF);
}

WITH_KIT(segment_bases)
{
    accepts(k, 0xc0000100, 0x1234567890);
    accepts(k, 0xc0000101, 0xffff800000000000);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x1234567890);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].base, 0xffff800000000000);
    ck_assert_uint_eq(get(k, 0xc0000101), 0xffff800000000000);
    refuses(k, 0xc0000100, NONCANON);
}

WITH_KIT(addresses_may_use_the_implemented_width)
{
    accepts(k, 0xc0000082, 1ull << 55); /* canonical in 57 bits, with CR4.LA57 = 0 */
    refuses(k, 0xc0000082, 1ull << 56);
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-la57", &model, NULL), PACIFICA_OK);
    k->cpu->model = &model;
    refuses(k, 0xc0000082, 1ull << 47);
    accepts(k, 0xc0000082, (1ull << 47) - 1);
}

WITH_KIT(apic_base_goes_to_the_controller)
{
    ck_assert_uint_eq(get(k, 0x1b), 0xfee00900);
    accepts(k, 0x1b, 0xfed00900);
    ck_assert_uint_eq(k->apic_base, 0xfed00900);
    refuses(k, 0x1b, 0xfee00d00); /* the controller refuses EXTD */
    refuses(k, 0x1b, 1ull << 48 | 0x900);
    refuses(k, 0x1b, 0xfee00901);
    k->cpu->intc = NULL;
    absent(k, 0x1b);
}

static uint64_t fixed_now(void *self)
{
    return *(uint64_t *)self;
}

/* rows: pitfalls 9.4 */
WITH_KIT(tsc_counts_virtual_time)
{
    uint64_t now = 1000;
    k->clock.now = fixed_now;
    k->clock.self = &now;
    ck_assert_uint_eq(get(k, 0x10), 1000);
    accepts(k, 0x10, 50);
    now += 7;
    ck_assert_uint_eq(get(k, 0x10), 57);
    ck_assert_int_eq(EXEC(k, "\x0f\x31"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 57);
    kit_guest(k);
    k->cpu->svm->tsc_offset = 0x100000000;
    ck_assert_uint_eq(get(k, 0x10), 0x100000000 + 57);
    k->cpu->r[REG_RAX] = k->cpu->r[REG_RDX] = UINT64_MAX;
    accepts(k, 0xc0000103, 0x1234);
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xf9"), STEP_NEXT); /* RDTSCP */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 57);
    ck_assert_uint_eq(k->cpu->r[REG_RDX], 1);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0x1234);
    accepts(k, 0x10, 5); /* the real one, not offset */
    ck_assert_uint_eq(get(k, 0x10), 0x100000005);
    msr_reset(k->cpu);
    k->cpu->svm->guest = false;
    ck_assert_uint_eq(get(k, 0x10), 0);
}

/* --- what the interrupt controller owns --- */

static struct {
    uint64_t deadline, when_ns, value;
    uint32_t number;
    bool refuse;
} timer;

static uint64_t read_deadline(void *self)
{
    (void)self;
    return timer.deadline;
}

static void write_deadline(void *self, uint64_t tsc, uint64_t when_ns)
{
    (void)self;
    timer.deadline = tsc;
    timer.when_ns = when_ns;
}

static bool read_x2apic(void *self, uint32_t number, uint64_t *value)
{
    (void)self;
    *value = number + timer.value;
    return !timer.refuse;
}

static bool write_x2apic(void *self, uint32_t number, uint64_t value)
{
    (void)self;
    timer.number = number;
    timer.value = value;
    return !timer.refuse;
}

static void with_controller(struct kit *k, struct intc_ops *ops)
{
    *ops = *k->cpu->intc;
    ops->read_tsc_deadline = read_deadline;
    ops->write_tsc_deadline = write_deadline;
    ops->read_msr = read_x2apic;
    ops->write_msr = write_x2apic;
    k->cpu->intc = ops;
}

WITH_KIT(tsc_deadline_is_told_in_virtual_time)
{
    uint64_t now = 1000;
    struct intc_ops ops;
    absent(k, 0x6e0); /* the controller of the kit has none */
    with_controller(k, &ops);
    k->clock.now = fixed_now;
    k->clock.self = &now;
    accepts(k, 0x10, 50);
    accepts(k, 0x6e0, 80);
    ck_assert_uint_eq(get(k, 0x6e0), 80);
    ck_assert_uint_eq(timer.when_ns, 1030);
    accepts(k, 0x10, 70); /* the TSC moved: so does the time */
    ck_assert_uint_eq(timer.when_ns, 1010);
    accepts(k, 0x3b, get(k, 0x3b) - 30);
    ck_assert_uint_eq(get(k, 0x10), 40);
    ck_assert_uint_eq(timer.when_ns, 1040);
    accepts(k, 0x6e0, 40); /* reached already */
    ck_assert_uint_eq(timer.when_ns, 1000);
    accepts(k, 0x6e0, UINT64_MAX);
    ck_assert_uint_eq(timer.when_ns, CLOCK_NEVER);
    accepts(k, 0x6e0, 0);
    timer.when_ns = 7;
    accepts(k, 0x10, 0); /* nothing armed: nothing to tell */
    ck_assert_uint_eq(timer.when_ns, 7);
}

WITH_KIT(tsc_adjust_follows_the_tsc)
{
    uint64_t now = 1000;
    k->clock.now = fixed_now;
    k->clock.self = &now;
    ck_assert_uint_eq(get(k, 0x3b), 0);
    accepts(k, 0x10, get(k, 0x10) + 5);
    ck_assert_uint_eq(get(k, 0x3b), 5);
    accepts(k, 0x3b, 1);
    ck_assert_uint_eq(get(k, 0x10), 1001);
}

WITH_KIT(x2apic_registers_belong_to_the_controller)
{
    struct intc_ops ops;
    absent(k, 0x800);
    absent(k, 0x8ff);
    with_controller(k, &ops);
    k->cpu->attention = false;
    accepts(k, 0x830, 0x123456789);
    ck_assert_uint_eq(timer.number, 0x830);
    ck_assert(k->cpu->attention);
    ck_assert_uint_eq(get(k, 0x8ff), 0x8ff + 0x123456789);
    timer.refuse = true;
    absent(k, 0x802);
    absent(k, 0x900);
}

WITH_KIT(extd_needs_x2apic)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-x2apic", &model, NULL), PACIFICA_OK);
    k->cpu->model = &model;
    k->apic_base = 0xfee00900;
    refuses(k, 0x1b, 0xfee00d00);
    ck_assert_uint_eq(k->apic_base, 0xfee00900); /* the controller was not asked */
    absent(k, 0x800);
}

/* --- the instructions --- */

#define RDMSR "\x0f\x32"
#define WRMSR "\x0f\x30"

/* rows: pitfalls 9.3 */
WITH_KIT(instructions_use_ecx_and_edx_eax)
{
    k->cpu->r[REG_RCX] = 0xffffffffc0000081;
    k->cpu->r[REG_RAX] = 0xdead000011112222;
    k->cpu->r[REG_RDX] = 0xdead000033334444;
    ck_assert_int_eq(EXEC(k, WRMSR), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->msr.star, 0x3333444411112222);
    ck_assert_int_eq(EXEC(k, RDMSR), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x11112222);
    ck_assert_uint_eq(k->cpu->r[REG_RDX], 0x33334444);
    ck_assert_uint_eq(k->msrs, 2);
}

/* rows: pitfalls 9.3 */
WITH_KIT(unknown_msr_is_gp_and_told)
{
    k->cpu->r[REG_RCX] = 0x12345;
    kit_raised(k, EXEC(k, RDMSR), EXC_GP, 0);
    kit_raised(k, EXEC(k, WRMSR), EXC_GP, 0);
    ck_assert_uint_eq(k->errors, 2);
    ck_assert_uint_eq(k->msrs, 0);
}

/* rows: exit 1.2.23, 2.28 */
WITH_KIT(privilege_then_permission_map_then_register)
{
    k->cpu->r[REG_RCX] = 0x12345; /* outside the map: always intercepted, and unknown */
    kit_mode(k, MODE_LONG64, 3);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MSR_PROT);
    kit_raised(k, EXEC(k, RDMSR), EXC_GP, 0);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MSR_PROT);
    kit_exited(k, EXEC(k, RDMSR), VMEXIT_MSR, 0, 0, CODE_SPA + 2);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MSR_PROT);
    kit_exited(k, EXEC(k, WRMSR), VMEXIT_MSR, 1, 0, CODE_SPA + 2);
    /* With the intercept but a clear map bit the register itself decides. */
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MSR_PROT);
    k->cpu->r[REG_RCX] = 0xc0000082;
    k->cpu->r[REG_RDX] = NONCANON >> 32;
    kit_raised(k, EXEC(k, WRMSR), EXC_GP, 0);
    ck_assert_int_eq(EXEC(k, RDMSR), STEP_NEXT);
    /* Bits of the map: even RDMSR, odd WRMSR. C000_0082h is bit 104h of the second part. */
    kit_put(k, MSRPM_SPA + 0x800 + 0x104 / 8, 1, 1u << 0x104 % 8);
    k->cpu->r[REG_RIP] = CODE_SPA;
    kit_exited(k, EXEC(k, RDMSR), VMEXIT_MSR, 0, 0, CODE_SPA + 2);
}

/* --- registers of processor models ----------------------------------------------------------- */

static struct cpu_model use_model(struct kit *k, const char *text)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse(text, &model, NULL), PACIFICA_OK);
    k->cpu->model = cpu_model_default();
    return model;
}
#define USE_MODEL(k, text)                         \
    struct cpu_model model = use_model((k), text); \
    (k)->cpu->model = &model

/* Which bits of SPEC_CTRL and PRED_CMD there are: by feature, or the register is not there at all. */
WITH_KIT(speculation_control_follows_features)
{
    static const struct {
        const char *model;
        uint64_t spec_ctrl, pred_cmd;
    } rows[] = {
        { "epyc-naples", 0, 1 },
        { "ryzen-zen-plus", 0, 1 },
        { "epyc-rome", 7, 1 },
        { "ryzen-zen2", 6, 1 }, /* without IBRS */
        { "epyc-milan", 0x87, 1 },
        { "ryzen-zen4", 0x87, 1 },
        { "epyc-turin", 0x87, 0x81 },
        { "max", 0x87, 0x81 },
        { "max,-ibrs,-stibp,-amd-psfd", 4, 0x81 },
        { "max,-ibrs,-stibp,-amd-psfd,-amd-ssbd,-ibpb", 0, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        USE_MODEL(k, rows[i].model);
        if (rows[i].spec_ctrl == 0)
            absent(k, 0x48);
        if (rows[i].pred_cmd == 0)
            absent(k, 0x49);
        for (unsigned bit = 0; bit < 64; bit++) {
            const uint64_t value = 1ull << bit;
            if (rows[i].spec_ctrl & value) {
                accepts(k, 0x48, value);
                ck_assert_uint_eq(get(k, 0x48), value);
            } else {
                refuses(k, 0x48, value);
            }
            if (rows[i].pred_cmd & value)
                accepts(k, 0x49, value);
            else
                refuses(k, 0x49, value);
        }
        uint64_t value;
        kit_raised(k, msr_read(k->cpu, 0x49, &value), EXC_GP, 0);
        k->cpu->model = cpu_model_default();
    }
}

WITH_KIT(registers_of_features_are_absent_without_them)
{
    static const struct {
        const char *model;
        uint32_t number;
    } rows[] = {
        { "max,-virt-ssbd", 0xc001011f },
        { "epyc-genoa", 0xc001011f },
        { "max,-prefetch-ctl-msr", 0xc0000108 },
        { "ryzen-zen3", 0xc0000108 },
        { "max,-osvw", 0xc0010140 },
        { "max,-osvw", 0xc0010141 },
        { "max,-flush-l1d", 0x10b },
        { "epyc-milan", 0x10b },
        { "max,-tsc-adjust", 0x3b },
        { "epyc-genoa", 0x3b },
        { "epyc-turin", 0x6e0 },
        { "max,-mca", 0xc0010400 },
        { "ryzen-zen2", 0x800 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        USE_MODEL(k, rows[i].model);
        absent(k, rows[i].number);
        k->cpu->model = cpu_model_default();
    }
}

/* What a register has after reset, and what of it can be written; the others ignore all (none) or #GP (bad). */
WITH_KIT(registers_of_the_part)
{
    static const struct {
        uint32_t number;
        uint64_t reset, written, reads, bad;
    } rows[] = {
        { 0x48, 0, 0x87, 0x87, 8 },
        { 0xfe, 0x508, 0, 0x508, 0x508 },
        { 0xc0000108, 0, 0x2f, 0x2f, 0x10 },
        { 0xc0010010, 0x20601, UINT64_MAX, 0x7e0601, 0 },
        { 0xc0010055, 0, UINT64_MAX, 0, 0 },
        { 0xc0010061, 0, UINT64_MAX, 0, 0 },
        { 0xc0010062, 0, 1, 0, 0 },
        { 0xc0010063, 0, UINT64_MAX, 0, 0 },
        { 0xc0010064, 0x8000000000000828, 0, 0x8000000000000828, 0 },
        { 0xc001006b, 0, UINT64_MAX, 0, 0 },
        { 0xc001011f, 0, 4, 4, 2 },
        { 0xc0010140, 4, 0, 4, 0 },
        { 0xc0010141, 0, 15, 0, 0 },
        { 0xc0010293, 0x828, 0, 0x828, 0 },
        { 0xc0010296, 0, UINT64_MAX, 0x7f7f7f, 0 },
        { 0xc0010299, 0x000a1003, 0, 0x000a1003, 0 },
        { 0xc001029a, 0, UINT64_MAX, 0, 0 },
        { 0xc001029b, 0, UINT64_MAX, 0, 0 },
        { 0xc0010400, 0, UINT64_MAX, 0, 0 },
        { 0xc0010409, 0, UINT64_MAX, 0, 0 },
        { 0xc0011029, 2, 0x202, 0x202, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_uint_eq(get(k, rows[i].number), rows[i].reset);
        if (rows[i].bad)
            refuses(k, rows[i].number, rows[i].bad);
        if (rows[i].number == 0xfe)
            continue;
        accepts(k, rows[i].number, rows[i].written);
        ck_assert_uint_eq(get(k, rows[i].number), rows[i].reads);
    }
    msr_reset(k->cpu);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_uint_eq(get(k, rows[i].number), rows[i].reset);
}

/* Registers that hold physical addresses take those that the model has. */
WITH_KIT(addresses_end_where_the_model_says)
{
    for (unsigned bits = 48; bits <= 52; bits += 4) {
        USE_MODEL(k, bits == 48 ? "epyc-milan" : "epyc-genoa");
        ck_assert_uint_eq(model.address_bits, bits);
        const uint64_t top = 1ull << (bits - 1);
        accepts(k, 0x200, top | 6); /* MTRR base */
        refuses(k, 0x200, top << 1 | 6);
        accepts(k, 0xc0010016, top); /* IORR */
        refuses(k, 0xc0010016, top << 1);
        accepts(k, 0xc0010117, top); /* VM_HSAVE_PA */
        refuses(k, 0xc0010117, top << 1);
        accepts(k, 0x1b, top | 0x900);
        refuses(k, 0x1b, top << 1 | 0x900);
        accepts(k, 0xc001001d, UINT64_MAX); /* TOP_MEM2 ignores the others */
        ck_assert_uint_eq(get(k, 0xc001001d), (top << 1) - 0x800000);
        k->cpu->model = cpu_model_default();
    }
}

WITH_KIT(hwcr_cpuid_user_dis_faults_above_level_0)
{
    accepts(k, 0xc0010015, get(k, 0xc0010015) | HWCR_CPUID_USER_DIS);
    ck_assert_uint_eq(get(k, 0xc0010015) >> 35 & 1, 1);
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_NEXT);
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, EXEC(k, "\x0f\xa2"), EXC_GP, 0);
    k->cpu->regs.smm = true;
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_NEXT);
    k->cpu->regs.smm = false;
    accepts(k, 0xc0010015, get(k, 0xc0010015) & ~HWCR_CPUID_USER_DIS);
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_NEXT);
    USE_MODEL(k, "epyc-milan");
    accepts(k, 0xc0010015, UINT64_MAX & ~HWCR_SMM_PGCFG_LOCK);
    ck_assert_uint_eq(get(k, 0xc0010015) >> 35 & 1, 0);
    k->cpu->model = cpu_model_default();
}

/* A guest's CPUID that HWCR forbids is #GP(0), whether or not it is intercepted: exceptions come before intercepts. */
WITH_KIT(hwcr_cpuid_user_dis_comes_before_the_intercept)
{
    accepts(k, 0xc0010015, get(k, 0xc0010015) | HWCR_CPUID_USER_DIS);
    kit_mode(k, MODE_LONG64, 3);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CPUID);
    kit_raised(k, EXEC(k, "\x0f\xa2"), EXC_GP, 0);
}

int main(void)
{
    Suite *suite = suite_create("msr");
    TCase *all = tcase_create("all");
    tcase_add_test(all, rows_are_sorted_and_disjoint);
    tcase_add_test(all, stored_rows_do_not_overlap);
    tcase_add_test(all, every_row_reads_its_reset_value);
    tcase_add_test(all, model_max_has_every_row);
    tcase_add_test(all, values_read_back_and_reserved_bits_fault);
    tcase_add_test(all, msr_reset_undoes_everything);
    tcase_add_test(all, census_of_boot_reads_exists);
    tcase_add_test(all, nb_cfg_reads_zero_and_ignores_writes);
    tcase_add_test(all, pat_types);
    tcase_add_test(all, guests_with_nested_paging_have_their_own_pat);
    tcase_add_test(all, mtrr_rules);
    tcase_add_test(all, mc_status_takes_zero_only);
    tcase_add_test(all, hwcr_smm_lock_is_sticky);
    tcase_add_test(all, vm_cr_rules);
    tcase_add_test(all, vm_hsave_pa_rules);
    tcase_add_test(all, debugctl_takes_lbr_and_btf);
    tcase_add_test(all, segment_bases);
    tcase_add_test(all, addresses_may_use_the_implemented_width);
    tcase_add_test(all, apic_base_goes_to_the_controller);
    tcase_add_test(all, tsc_counts_virtual_time);
    tcase_add_test(all, tsc_deadline_is_told_in_virtual_time);
    tcase_add_test(all, tsc_adjust_follows_the_tsc);
    tcase_add_test(all, x2apic_registers_belong_to_the_controller);
    tcase_add_test(all, extd_needs_x2apic);
    tcase_add_test(all, instructions_use_ecx_and_edx_eax);
    tcase_add_test(all, unknown_msr_is_gp_and_told);
    tcase_add_test(all, privilege_then_permission_map_then_register);
    tcase_add_test(all, speculation_control_follows_features);
    tcase_add_test(all, registers_of_features_are_absent_without_them);
    tcase_add_test(all, registers_of_the_part);
    tcase_add_test(all, addresses_end_where_the_model_says);
    tcase_add_test(all, hwcr_cpuid_user_dis_faults_above_level_0);
    tcase_add_test(all, hwcr_cpuid_user_dis_comes_before_the_intercept);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

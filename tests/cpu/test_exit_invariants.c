/* Random code in guests of every mode, with random intercepts and injected events: whatever the exit is, its fields are those that
 * the manual gives it. APM vol 2, 15.7.1 "State Saved on Exit", 15.7.2, 15.8, appendix C. */
#include "tests/check_main.h"
#include "tests/cpu/worlds.h"
#include "tests/random.h"

#define ROUNDS 6000u
#define HOST_RIP (HANDLER + 0x2000)

/* --- what the manual says of each code --- */

enum use { ZERO, ANY, ONE, BYTE, CR_MOVE, GPR, PORT, RIP_AFTER };

static const struct {
    uint64_t first, last;
    bool nrip;  /* 15.7.1 */
    bool event; /* may happen while an event is delivered: 15.7.2 */
    uint8_t info1, info2;
    bool bytes; /* 15.8.4 */
} codes[] = {
    { VMEXIT_CR0_READ, VMEXIT_CR0_READ + 31, true, false, CR_MOVE, ZERO, false },
    { VMEXIT_DR0_READ, VMEXIT_DR0_READ + 31, true, false, GPR, ZERO, false },
    { VMEXIT_EXCP0, VMEXIT_EXCP0 + 2, false, true, ZERO, ZERO, false },
    { VMEXIT_EXCP0 + EXC_BP, VMEXIT_EXCP0 + EXC_BR, true, false, ZERO, ZERO, false },
    { VMEXIT_EXCP0 + EXC_UD, VMEXIT_EXCP0 + EXC_NM, false, true, ZERO, ZERO, false },
    { VMEXIT_EXCP0 + EXC_DF, VMEXIT_EXCP0 + EXC_DF, false, true, ZERO, ZERO, false },
    { VMEXIT_EXCP0 + EXC_TS, VMEXIT_EXCP0 + EXC_GP, false, true, ANY, ZERO, false },
    { VMEXIT_EXCP0 + EXC_PF, VMEXIT_EXCP0 + EXC_PF, false, true, ANY, ANY, true },
    { VMEXIT_EXCP0 + EXC_MF, VMEXIT_EXCP0 + EXC_MF, false, false, ZERO, ZERO, false },
    { VMEXIT_EXCP0 + EXC_AC, VMEXIT_EXCP0 + EXC_AC, false, true, ZERO, ZERO, false },
    { VMEXIT_EXCP0 + EXC_XF, VMEXIT_EXCP0 + EXC_XF, false, false, ZERO, ZERO, false },
    { VMEXIT_INTR, VMEXIT_INTR, false, false, ZERO, ZERO, false },
    { VMEXIT_NMI, VMEXIT_NMI, false, false, ZERO, ZERO, false },
    { VMEXIT_SMI, VMEXIT_SMI, false, false, ONE, ZERO, false },
    { VMEXIT_VINTR, VMEXIT_VINTR, false, false, ZERO, ZERO, false },
    { VMEXIT_CR0_SEL_WRITE, VMEXIT_CR0_SEL_WRITE, true, false, CR_MOVE, ZERO, false },
    { VMEXIT_IDTR_READ, VMEXIT_IRET, true, false, ZERO, ZERO, false },
    { VMEXIT_SWINT, VMEXIT_SWINT, true, false, BYTE, ZERO, false },
    { VMEXIT_INVD, VMEXIT_HLT, true, false, ZERO, ZERO, false },
    { VMEXIT_INVLPG, VMEXIT_INVLPG, true, false, ANY, ZERO, false },
    { VMEXIT_INVLPGA, VMEXIT_INVLPGA, true, false, ZERO, ZERO, false },
    { VMEXIT_IOIO, VMEXIT_IOIO, true, false, PORT, RIP_AFTER, false },
    { VMEXIT_MSR, VMEXIT_MSR, true, false, ANY, ZERO, false },
    { VMEXIT_TASK_SWITCH, VMEXIT_TASK_SWITCH, false, true, ANY, ANY, false },
    { VMEXIT_FERR_FREEZE, VMEXIT_FERR_FREEZE, false, false, ZERO, ZERO, false },
    { VMEXIT_SHUTDOWN, VMEXIT_SHUTDOWN, false, true, ZERO, ZERO, false },
    { VMEXIT_VMRUN, VMEXIT_RDPRU, true, false, ZERO, ZERO, false },
    { VMEXIT_INVLPGB, VMEXIT_TLBSYNC, true, false, ZERO, ZERO, false },
    { VMEXIT_BUSLOCK, VMEXIT_BUSLOCK, false, false, ZERO, ZERO, false },
    { VMEXIT_IDLE_HLT, VMEXIT_IDLE_HLT, true, false, ZERO, ZERO, false },
    { VMEXIT_NPF, VMEXIT_NPF, false, true, ANY, ANY, true },
};
#define CODES (sizeof(codes) / sizeof(codes[0]))

static bool one_bit(uint64_t word)
{
    return word && !(word & (word - 1));
}

static bool info_ok(const uint8_t *vmcb, uint8_t use, uint64_t info)
{
    switch (use) {
    case ZERO: return info == 0;
    case ONE: return info == 1;
    case BYTE: return info < 256;
    case GPR: return info < 16;
    case CR_MOVE: return info == 0 || (info >> 63 && (info & ~(1ull << 63)) < 16);
    case RIP_AFTER: return info == VMCB_GET(vmcb, NRIP);
    case PORT:
        return !(info & 0xffffffff0000e002ull) && (info & 4 || !(info & 0x1c08)) &&
               one_bit(info & 0x70) && one_bit(info & 0x380);
    default: return true;
    }
}

/* The row of the table. */
static unsigned check_exit(struct kit *k, unsigned round, uint64_t injected)
{
    const uint8_t *vmcb = k->vmcb;
    uint64_t code = VMCB_GET(vmcb, EXITCODE), intinfo = VMCB_GET(vmcb, EXITINTINFO);
    unsigned i = 0;
    while (i < CODES && (code < codes[i].first || code > codes[i].last))
        i++;
    ck_assert_msg(i < CODES, "round %u: code %llx", round, (unsigned long long)code);
    uint64_t rip = VMCB_GET(vmcb, RIP), nrip = VMCB_GET(vmcb, NRIP);
    ck_assert_msg(codes[i].nrip ? nrip - rip - 1 < 15 : nrip == 0,
                  "round %u: code %llx, rip %llx, nRIP %llx", round, (unsigned long long)code,
                  (unsigned long long)rip, (unsigned long long)nrip);
    ck_assert_msg(codes[i].event || !(intinfo >> 31 & 1), "round %u: code %llx, intinfo %llx",
                  round, (unsigned long long)code, (unsigned long long)intinfo);
    if (intinfo >> 31 & 1) {
        unsigned type = intinfo >> 8 & 7;
        ck_assert_msg(type == 0 || (type >= 2 && type <= 4), "round %u", round);
        ck_assert_uint_eq(intinfo & 0x7ffff000, 0);
        ck_assert_msg((intinfo >> 11 & 1) || intinfo >> 32 == 0, "round %u: intinfo %llx", round,
                      (unsigned long long)intinfo);
    } else {
        ck_assert_uint_eq(intinfo, 0);
    }
    ck_assert_msg(info_ok(vmcb, codes[i].info1, VMCB_GET(vmcb, EXITINFO1)),
                  "round %u: code %llx, info1 %llx", round, (unsigned long long)code,
                  (unsigned long long)VMCB_GET(vmcb, EXITINFO1));
    ck_assert_msg(info_ok(vmcb, codes[i].info2, VMCB_GET(vmcb, EXITINFO2)),
                  "round %u: code %llx, info2 %llx", round, (unsigned long long)code,
                  (unsigned long long)VMCB_GET(vmcb, EXITINFO2));
    ck_assert_msg(codes[i].bytes || VMCB_GET(vmcb, INSN_COUNT) == 0, "round %u: code %llx", round,
                  (unsigned long long)code);
    ck_assert_uint_eq(VMCB_GET(vmcb, EVENTINJ), injected & ~(1ull << 31));
    ck_assert(!k->cpu->svm->gif && !k->cpu->delivering.valid);
    return i;
}

static const uint64_t injectable[] = { 0,
                                       0,
                                       0,
                                       1ull << 31 | 0x21,
                                       1ull << 31 | 2u << 8,
                                       1ull << 31 | 3u << 8 | EXC_BP,
                                       1ull << 31 | 3u << 8 | EXC_UD,
                                       1ull << 31 | 3u << 8 | 1u << 11 | EXC_GP | 0x18ull << 32,
                                       1ull << 31 | 4u << 8 | 0x80 };

/* Opcodes that may be intercepted are more frequent than others. */
static void random_code(struct kit *k, uint64_t *state, uint64_t spa)
{
    static const char *const likely[] = {
        "\x0f\x20",    "\x0f\x22", "\x0f\x21", "\x0f\x23",     "\x0f\x01",     "\x0f\x00",
        "\x0f\xa2",    "\x0f\x32", "\x0f\x30", "\xcd",         "\xcc",         "\xce",
        "\xf1",        "\xcf",     "\x9c",     "\x9d",         "\xec",         "\xef",
        "\x6c",        "\x6f",     "\xf4",     "\xf3\x90",     "\x0f\x09",     "\x0f\xaa",
        "\x62",        "\x0f\x06", "\xea",     "\x9a",         "\xcb",         "\x8e",
        "\x0f\xae",    "\xd9\xe8", "\x9b",     "\x0f\x01\xfe", "\x0f\x01\xdf", "\x0f\x01\xf0",
        "\x0f\x01\x38"
    };
    for (unsigned at = 0; at < 32;) {
        uint64_t r = test_random(state);
        if (r & 1) {
            const char *op = likely[(r >> 8) % (sizeof(likely) / sizeof(likely[0]))];
            if (r & 2)
                kit_put(k, spa + at++, 1, (uint8_t) "\x66\x67\xf3\xf2\xf0\x48\x26\x65"[r >> 4 & 7]);
            for (; *op; op++)
                kit_put(k, spa + at++, 1, (uint8_t)*op);
        }
        kit_put(k, spa + at++, 1, r >> 32 & 0xff);
    }
}

/* What makes a guest more interesting than its code: one of these in a round. */
static void add_spice(struct kit *k, enum world world, unsigned spice, uint64_t random)
{
    struct vcpu *cpu = k->cpu;
    uint8_t *vmcb = k->vmcb;
    if (spice == 0)
        VMCB_SET(vmcb, IDTR_LIMIT, random & 0x7f);
    if (spice == 1)
        VMCB_SET(vmcb, VINTR_CONTROL, VINTR_IRQ | VINTR_IGN_TPR | 0x31ull << VINTR_VECTOR_SHIFT);
    if (spice == 2 && world >= PROT16 && world <= PROT32_3) {
        kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x67, 0x089));
        for (unsigned v = 0; v < 32; v++)
            kit_gate32(k, v, TASK32, 0, SYS_TASK_GATE, 3);
    }
    if (spice == 3)
        VMCB_SET(vmcb, CR0, VMCB_GET(vmcb, CR0) & ~(uint64_t)CR0_NE);
    cpu->pins.smi = spice == 4;
    cpu->pins.nmi = spice == 5;
    cpu->x87.fcw = 0x37e;
    cpu->x87.fsw = spice == 3 || spice == 6 ? 0xb881 : 0; /* #IE is pending */
    if (spice == 7 || spice == 8) {
        VMCB_SET(vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
        VMCB_SET(vmcb, N_CR3, spice == 7 ? 0x9000 : PML4_SPA); /* the first maps nothing */
        VMCB_SET(vmcb, G_PAT, 0x0007040600070406);
    }
}

static void intercept_at_random(struct kit *k, uint64_t *state)
{
    static const unsigned fields[] = { VMCB_AT_INTERCEPT_CR,   VMCB_AT_INTERCEPT_DR,
                                       VMCB_AT_INTERCEPT_EXCP, VMCB_AT_INTERCEPT_3,
                                       VMCB_AT_INTERCEPT_4,    VMCB_AT_INTERCEPT_5 };
    static const uint32_t always[6] = {
        [3] = 1u << (INTERCEPT_SHUTDOWN & 31) | 1u << (INTERCEPT_HLT & 31), [4] = 1 /* VMRUN */
    };
    for (unsigned w = 0; w < 6; w++)
        vmcb_store(k->vmcb, fields[w], 4,
                   (uint32_t)(test_random(state) | test_random(state)) | always[w]);
    for (unsigned page = 0; page < 2; page++)
        memset(memory_ptr(k->memory, IOPM_SPA + 0x1000 * page, 0x1000), 0xff, 0x1000);
    memset(memory_ptr(k->memory, MSRPM_SPA, 0x1000), 0xff, 0x1000);
}

/* A guest of this round; its EVENTINJ. What the VMCB held before of the fields that #VMEXIT writes must not be left. */
static uint64_t enter(struct kit *k, enum world world, uint64_t *state)
{
    const struct segment tr = { .attr = 0x8b, .limit = 0x2067, .base = TSS_SPA, .selector = TSS };
    struct vcpu *cpu = k->cpu;
    set_world(k, world);
    random_code(k, state, CODE_SPA);
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    kit_put(k, HOST_RIP, 2, 0xf4f4);
    cpu->regs.halted = false;
    if (test_random(state) & 1)
        cpu->rflags |= test_random(state) & (FLAG_TF | FLAG_IF | FLAG_OF | FLAG_NT);
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(cpu, VMEXIT_NMI, 0, 0), STEP_VMEXIT);
    intercept_at_random(k, state);
    unsigned spice = test_random(state) % 12;
    add_spice(k, world, spice, test_random(state));
    uint64_t event = injectable[test_random(state) % (sizeof(injectable) / sizeof(injectable[0]))];
    VMCB_SET(k->vmcb, EVENTINJ, event);
    VMCB_SET(k->vmcb, NRIP, 0x12345);
    VMCB_SET(k->vmcb, EXITINTINFO, UINT64_MAX);
    VMCB_SET(k->vmcb, EXITINFO1, UINT64_MAX);
    VMCB_SET(k->vmcb, EXITINFO2, UINT64_MAX);
    VMCB_SET(k->vmcb, INSN_COUNT, 9);
    cpu->r[REG_RIP] = HOST_RIP;
    ck_assert_int_eq(svm_vmrun(cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
    cpu->regs.seg[SEG_TR] = tr;
    for (unsigned i = REG_RCX; i <= REG_RDI; i++)
        if (i != REG_RSP)
            cpu->r[i] = test_random(state) & (test_random(state) & 1 ? 0xff : 0xffffff);
    k->pending = test_random(state) % 4 ? -1 : 0x30;
    return event;
}

static void tidy(struct kit *k)
{
    svm_abandon(k->cpu->svm);
    k->cpu->stop.reason = PACIFICA_STOP_NONE;
    k->cpu->regs.smm = k->cpu->regs.nmi_masked = false;
    k->cpu->pins = (struct cpu_pins){ 0 };
    k->cpu->ferr.frozen = false;
    k->pending = -1;
}

/* rows: vmcb 8.1, 8.2, exit 5.6-5.10 */
WITH_KIT(every_exit_has_the_fields_of_its_code)
{
    uint64_t state = 20;
    unsigned exits = 0, kinds = 0;
    bool seen[CODES] = { 0 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t event = enter(k, (enum world)(round % WORLDS), &state);
        uint64_t before = k->cpu->svm->exits;
        const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 200 };
        (void)run_vcpu(k->cpu, &limits);
        if (k->cpu->svm->exits != before) {
            exits++;
            seen[check_exit(k, round, event)] = true;
        }
        tidy(k);
    }
    for (unsigned i = 0; i < CODES; i++)
        kinds += seen[i];
    ck_assert_uint_gt(exits, ROUNDS / 2);
    ck_assert_uint_ge(kinds, 24);
}

CHECK_MAIN("exit_invariants", every_exit_has_the_fields_of_its_code)

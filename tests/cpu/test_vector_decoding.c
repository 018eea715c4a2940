/* What makes vector instructions undefined, and where their operands must be aligned, through the whole run loop. Measured on
 * Zen 4 by tests/differential. */
#include "tests/cpu/kit.h"

/* Run one instruction at CODE_SPA. Returns the vector of what it raised (then the handler's mode is left), or -1. */
static int run_one(struct kit *k, const void *bytes, unsigned len)
{
    struct vcpu *cpu = k->cpu;
    ck_assert(phys_write_block(k->memory, CODE_SPA, bytes, len));
    cpu->r[REG_RIP] = CODE_SPA;
    unsigned deliveries = k->deliveries;
    struct run_limits limits = { .max_steps = vcpu_steps(cpu) + 1 };
    ck_assert_int_eq(run_vcpu(cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
    return k->deliveries != deliveries ? (int)(k->delivered.a & 0xff) : -1;
}
#define RUN(k, bytes) run_one((k), (bytes), sizeof(bytes) - 1)
#define NOTHING (-1)

static void with_vectors(struct kit *k, enum cpu_mode mode, unsigned cpl)
{
    kit_mode(k, mode, cpl);
    k->cpu->regs.cr0 |= CR0_AM;
    k->cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    k->cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(k->cpu);
}

/* F3 0F B8, BC and BD behind a VEX are another processor's. */
WITH_KIT(counts_have_no_vex_form)
{
    with_vectors(k, MODE_LONG64, 0);
    ck_assert_int_eq(RUN(k, "\xf3\x0f\xb8\xc3"), NOTHING);
    ck_assert_int_eq(RUN(k, "\xf3\x0f\xbc\xc3"), NOTHING);
    ck_assert_int_eq(RUN(k, "\xf3\x0f\xbd\xc3"), NOTHING);
    ck_assert_int_eq(RUN(k, "\xc4\xe1\xfa\xb8\xc3"), EXC_UD);
    ck_assert_int_eq(RUN(k, "\xc4\xe1\x7a\xb8\xc3"), EXC_UD);
    ck_assert_int_eq(RUN(k, "\xc4\xe1\xfa\xbc\xc3"), EXC_UD);
    ck_assert_int_eq(RUN(k, "\xc4\xe1\xfa\xbd\xc3"), EXC_UD);
}

/* Behind prefixes, too. */
WITH_KIT(vex_w_of_pinsrd_and_pextrd_exists_in_64_bit_mode_only)
{
    with_vectors(k, MODE_LONG64, 0);
    ck_assert_int_eq(RUN(k, "\xc4\xe3\xf1\x22\xc3\x01"), NOTHING); /* VPINSRQ */
    ck_assert_int_eq(RUN(k, "\xc4\xe3\xf9\x16\xc3\x01"), NOTHING); /* VPEXTRQ */
    with_vectors(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RBX] = DATA_SPA;
    ck_assert_int_eq(RUN(k, "\xc4\xe3\x71\x22\xc3\x01"), NOTHING);
    ck_assert_int_eq(RUN(k, "\x3e\xc4\xe3\x71\x22\x03\x01"), NOTHING);
    ck_assert_int_eq(RUN(k, "\xc4\xe3\x79\x16\xc3\x01"), NOTHING);
    ck_assert_int_eq(RUN(k, "\xc4\xe3\xf1\x22\xc3\x01"), EXC_UD);
    with_vectors(k, MODE_COMPAT32, 0);
    ck_assert_int_eq(RUN(k, "\x3e\xc4\xe3\xf1\x22\x03\x01"), EXC_UD);
    with_vectors(k, MODE_COMPAT32, 0);
    ck_assert_int_eq(RUN(k, "\xc4\xe3\xf9\x16\xc3\x01"), EXC_UD);
}

WITH_KIT(sha_reads_any_address)
{
    with_vectors(k, MODE_LONG64, 3);
    k->cpu->r[REG_RBX] = DATA_SPA + 1;
    ck_assert_int_eq(RUN(k, "\x66\x0f\xfc\x03"), EXC_GP); /* PADDB */
    with_vectors(k, MODE_LONG64, 3);
    ck_assert_int_eq(RUN(k, "\x0f\x38\xc9\x03"), NOTHING); /* SHA1MSG1 */
    k->cpu->rflags |= FLAG_AC;
    cpu_update_mode(k->cpu);
    ck_assert_int_eq(RUN(k, "\x0f\x38\xc9\x03"), EXC_AC);
}

/* #AC wants 16 bytes of 32-byte operands, too. */
WITH_KIT(alignment_check_wants_sixteen_bytes_at_most)
{
    with_vectors(k, MODE_LONG64, 3);
    k->cpu->rflags |= FLAG_AC;
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RBX] = DATA_SPA + 16;
    ck_assert_int_eq(RUN(k, "\xc5\xfd\xfc\x03"), NOTHING); /* VPADDB ymm */
    k->cpu->r[REG_RBX] = DATA_SPA + 8;
    ck_assert_int_eq(RUN(k, "\xc5\xfd\xfc\x03"), EXC_AC);
}

/* What the segment or the canonical form forbids comes before #AC, a missing page behind it. */
WITH_KIT(alignment_check_stands_between_segment_and_page)
{
    with_vectors(k, MODE_LONG64, 3);
    k->cpu->rflags |= FLAG_AC;
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RBX] = NONCANON + 1;
    ck_assert_int_eq(RUN(k, "\xc5\xf9\xfc\x03"), EXC_GP);
    with_vectors(k, MODE_LONG64, 3);
    k->cpu->rflags |= FLAG_AC;
    cpu_update_mode(k->cpu);
    kit_page(k, 0, 0);
    k->cpu->r[REG_RBX] = PAGED_LA + 1;
    ck_assert_int_eq(RUN(k, "\xc5\xf9\xfc\x03"), EXC_AC);
    with_vectors(k, MODE_LONG64, 3); /* and RFLAGS.AC = 0 */
    ck_assert_int_eq(RUN(k, "\xc5\xf9\xfc\x03"), EXC_PF);
}

/* rows: pitfalls 7.9 */
WITH_KIT(fxsave_is_ac_at_odd_addresses_where_accesses_are_checked)
{
    for (unsigned off = 1; off <= 16; off++) {
        for (unsigned ac = 0; ac < 2; ac++) {
            int expected = off == 16 ? NOTHING : ac && off % 4 ? EXC_AC : EXC_GP;
            with_vectors(k, MODE_LONG64, 3);
            k->cpu->rflags |= ac ? FLAG_AC : 0;
            cpu_update_mode(k->cpu);
            k->cpu->r[REG_RBX] = DATA_SPA + off;
            ck_assert_int_eq(RUN(k, "\x0f\xae\x03"), expected);
            with_vectors(k, MODE_LONG64, 3);
            k->cpu->rflags |= ac ? FLAG_AC : 0;
            cpu_update_mode(k->cpu);
            ck_assert_int_eq(RUN(k, "\x0f\xae\x0b"), expected);
        }
    }
}

/* An exception that is not masked keeps them from storing, but not from the page fault, whose address is the first byte that
 * cannot be written. */
WITH_KIT(stores_of_two_pages_fault_at_the_second)
{
    for (unsigned i = 0; i < 2; i++) {
        with_vectors(k, MODE_LONG64, 3);
        k->cpu->regs.cr4 |= CR4_OSXMMEXCPT;
        k->cpu->simd.mxcsr = 0;
        k->cpu->simd.v[1].u64[0] = 0x3f8000013f800001; /* inexact as binary16 */
        k->cpu->x87.fcw = 0x340;
        k->cpu->x87.used = 0xff;
        k->cpu->x87.reg[0] = (struct f80){ .mant = UINT64_C(3) << 62, .se = 0x7fff }; /* a NaN */
        kit_page(k, 1, 0);
        k->cpu->r[REG_RBX] = PAGED_LA + 0x1000 - 3;
        ck_assert_int_eq(i ? RUN(k, "\xdb\x13") /* FIST */
                           : RUN(k, "\xc4\xe3\x79\x1d\x0b\x00") /* VCVTPS2PH */,
                         EXC_PF);
        ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x1000);
    }
}

int main(void)
{
    Suite *suite = suite_create("vector_decoding");
    TCase *all = tcase_create("all");
    tcase_add_test(all, counts_have_no_vex_form);
    tcase_add_test(all, vex_w_of_pinsrd_and_pextrd_exists_in_64_bit_mode_only);
    tcase_add_test(all, sha_reads_any_address);
    tcase_add_test(all, alignment_check_wants_sixteen_bytes_at_most);
    tcase_add_test(all, alignment_check_stands_between_segment_and_page);
    tcase_add_test(all, fxsave_is_ac_at_odd_addresses_where_accesses_are_checked);
    tcase_add_test(all, stores_of_two_pages_fault_at_the_second);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

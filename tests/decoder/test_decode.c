/* decode_insn(): operands, prefixes, addressing, lengths, and AMD's differences row by row. */
#include "decoder/decode.h"

#include <Zydis/Mnemonic.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct insn decode(enum cpu_mode mode, const char *hex, enum decode_status expected)
{
    uint8_t bytes[32];
    unsigned len = 0;
    for (; hex[0] && hex[1]; hex += 2) {
        char two[3] = { hex[0], hex[1], '\0' };
        bytes[len++] = (uint8_t)strtoul(two, NULL, 16);
    }
    struct insn in;
    ck_assert_int_eq(decode_insn(bytes, len, mode, &in), expected);
    return in;
}

#define LONG64(hex) decode(MODE_LONG64, hex, DECODE_OK)
#define PROT32(hex) decode(MODE_PROT32, hex, DECODE_OK)

#define REAL(hex) decode(MODE_REAL, hex, DECODE_OK)

/* The default sizes of 16-bit code, and what 66h and 67h make of them. */
START_TEST(code_of_16_bits_has_its_own_default_sizes)
{
    static const enum cpu_mode modes[] = { MODE_REAL, MODE_V86, MODE_PROT16, MODE_COMPAT16 };
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct insn in = decode(modes[i], "b83412", DECODE_OK); /* mov ax, 1234h */
        ck_assert_int_eq(in.len, 3);
        ck_assert_int_eq(in.op_size, 2);
        in = decode(modes[i], "66b878563412", DECODE_OK);
        ck_assert_int_eq(in.len, 6);
        ck_assert_int_eq(in.op_size, 4);
        ck_assert_int_eq(in.addr_size, 2);
        in = decode(modes[i], "678b0424", DECODE_OK); /* mov ax, [esp] */
        ck_assert_int_eq(in.addr_size, 4);
        ck_assert_int_eq(in.seg, SEG_SS);
    }
}
END_TEST

/* APM vol 3, table A-37 "16-Bit Register and Memory References". */
START_TEST(addresses_of_16_bits)
{
    static const struct {
        const char *hex;
        uint8_t base, index, seg;
        int disp;
    } rows[] = {
        { "8b00", REG_RBX, REG_RSI, SEG_DS, 0 },
        { "8b01", REG_RBX, REG_RDI, SEG_DS, 0 },
        { "8b02", REG_RBP, REG_RSI, SEG_SS, 0 },
        { "8b03", REG_RBP, REG_RDI, SEG_SS, 0 },
        { "8b04", REG_RSI, REG_ZERO, SEG_DS, 0 },
        { "8b05", REG_RDI, REG_ZERO, SEG_DS, 0 },
        { "8b06f0ff", REG_ZERO, REG_ZERO, SEG_DS, -16 },
        { "8b07", REG_RBX, REG_ZERO, SEG_DS, 0 },
        { "8b46fe", REG_RBP, REG_ZERO, SEG_SS, -2 },
        { "8b860080", REG_RBP, REG_ZERO, SEG_SS, -0x8000 },
        { "2e8b02", REG_RBP, REG_RSI, SEG_CS, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct insn in = REAL(rows[i].hex);
        ck_assert_int_eq(in.base, rows[i].base);
        ck_assert_int_eq(in.index, rows[i].index);
        ck_assert_int_eq(in.seg, rows[i].seg);
        ck_assert_int_eq(in.disp, rows[i].disp);
        ck_assert_int_eq(in.scale, 0);
        ck_assert_int_eq(in.addr_size, 2);
    }
}
END_TEST

/* rows: pitfalls 1.7, pitfalls 1.8 */
START_TEST(real_and_virtual_8086_mode_have_les_and_lds_and_no_vex)
{
    for (int mode = MODE_REAL; mode <= MODE_V86; mode++) {
        ck_assert_int_eq(decode((enum cpu_mode)mode, "c400", DECODE_OK).mnemonic,
                         ZYDIS_MNEMONIC_LES);
        ck_assert_int_eq(decode((enum cpu_mode)mode, "c500", DECODE_OK).mnemonic,
                         ZYDIS_MNEMONIC_LDS);
        (void)decode((enum cpu_mode)mode, "c4e270f2c1", DECODE_INVALID); /* ANDN */
    }
    ck_assert_int_eq(decode(MODE_PROT16, "c4e270f2c1", DECODE_OK).mnemonic, ZYDIS_MNEMONIC_ANDN);
    ck_assert_int_eq(decode(MODE_PROT16, "c400", DECODE_OK).mnemonic, ZYDIS_MNEMONIC_LES);
    ck_assert_int_eq(decode(MODE_PROT32, "6200", DECODE_OK).mnemonic, ZYDIS_MNEMONIC_BOUND);
}
END_TEST

/* Protected-mode instructions that real mode does not know; SYSENTER and SYSEXIT have a #GP of their own there. */
START_TEST(real_mode_lacks_the_instructions_of_selectors)
{
    (void)decode(MODE_REAL, "0f00d8", DECODE_INVALID);              /* LTR */
    (void)decode(MODE_REAL, "0f02c1", DECODE_INVALID);              /* LAR */
    (void)decode(MODE_REAL, "63c8", DECODE_INVALID);                /* ARPL */
    ck_assert_int_eq(REAL("0f07").mnemonic, ZYDIS_MNEMONIC_SYSRET); /* its #UD is its own */
    ck_assert_int_eq(REAL("0f34").mnemonic, ZYDIS_MNEMONIC_SYSENTER);
    ck_assert_int_eq(REAL("660f35").mnemonic, ZYDIS_MNEMONIC_SYSEXIT);
    (void)decode(MODE_COMPAT16, "0f34", DECODE_INVALID);
}
END_TEST

START_TEST(registers_are_byte_offsets)
{
    struct insn in = LONG64("88e0"); /* mov al, ah */
    ck_assert_int_eq(in.op[0].reg, 0);
    ck_assert_int_eq(in.op[1].reg, 1);
    in = LONG64("4088e0"); /* with REX: mov al, spl */
    ck_assert_int_eq(in.op[1].reg, REG_RSP * 8);
    in = LONG64("4d89c7"); /* mov r15, r8 */
    ck_assert_int_eq(in.op[0].reg, REG_R15 * 8);
    ck_assert_int_eq(in.op[1].reg, REG_R8 * 8);
}
END_TEST

START_TEST(memory_operand_has_base_index_scale_disp)
{
    struct insn in = LONG64("488b44cb10"); /* mov rax, [rbx + rcx * 8 + 10h] */
    ck_assert_int_eq(in.base, REG_RBX);
    ck_assert_int_eq(in.index, REG_RCX);
    ck_assert_int_eq(in.scale, 3);
    ck_assert_int_eq(in.disp, 0x10);
    ck_assert_int_eq(in.seg, SEG_DS);
}
END_TEST

START_TEST(rip_relative_counts_from_the_instruction)
{
    struct insn in = LONG64("488b0500010000"); /* mov rax, [rip + 100h], 7 bytes */
    ck_assert_int_eq(in.base, REG_RIP);
    ck_assert_int_eq(in.disp, 0x107);
}
END_TEST

START_TEST(stack_bases_use_ss)
{
    ck_assert_int_eq(LONG64("488b0424").seg, SEG_SS); /* [rsp] */
    ck_assert_int_eq(LONG64("488b4500").seg, SEG_SS); /* [rbp] */
    ck_assert_int_eq(LONG64("498b4500").seg, SEG_DS); /* [r13] */
    ck_assert_int_eq(LONG64("498b0424").seg, SEG_DS); /* [r12] */
    ck_assert_int_eq(PROT32("3e8b4500").seg, SEG_DS); /* ds: [ebp] */
}
END_TEST

/* rows: pitfalls 1.3 */
START_TEST(null_overrides_are_ignored_in_64_bit_mode)
{
    struct insn in = LONG64("36488b07"); /* ss: mov rax, [rdi] */
    ck_assert_int_eq(in.seg, SEG_DS);
    ck_assert(!in.seg_override);
    in = LONG64("65488b07");
    ck_assert_int_eq(in.seg, SEG_GS);
    ck_assert(in.seg_override);
    ck_assert_int_eq(PROT32("368b07").seg, SEG_SS);
}
END_TEST

/* rows: pitfalls 1.4 */
START_TEST(last_of_f2_and_f3_counts)
{
    ck_assert_int_eq(LONG64("f2f3a4").prefixes, PREFIX_REP);
    ck_assert_int_eq(LONG64("f3f2a4").prefixes, PREFIX_REPNE);
}
END_TEST

START_TEST(string_instructions_list_no_operands)
{
    struct insn in = LONG64("f348a5"); /* rep movsq */
    ck_assert_int_eq(in.count, 0);
    ck_assert_int_eq(in.op_size, 8);
    ck_assert_int_eq(in.addr_size, 8);
    in = LONG64("67a7"); /* cmpsd with 32-bit addresses */
    ck_assert_int_eq(in.count, 0);
    ck_assert_int_eq(in.op_size, 4);
    ck_assert_int_eq(in.addr_size, 4);
}
END_TEST

START_TEST(implied_operands_are_listed)
{
    struct insn in = LONG64("d1e0"); /* shl eax, 1 */
    ck_assert_int_eq(in.count, 2);
    ck_assert_int_eq(in.op[1].kind, OPERAND_IMM);
    ck_assert_int_eq(in.imm, 1);
    in = LONG64("d3e0"); /* shl eax, cl */
    ck_assert_int_eq(in.op[1].kind, OPERAND_REG);
    ck_assert_int_eq(in.op[1].reg, REG_RCX * 8);
}
END_TEST

START_TEST(enter_has_two_immediates)
{
    struct insn in = LONG64("c8100003");
    ck_assert_int_eq(in.imm, 0x10);
    ck_assert_int_eq(in.imm2, 3);
}
END_TEST

START_TEST(far_pointer_is_offset_and_selector)
{
    struct insn in = PROT32("ea785634120800");
    ck_assert_uint_eq(in.imm, 0x12345678);
    ck_assert_uint_eq(in.imm2, 8);
}
END_TEST

/* rows: pitfalls 1.1 */
START_TEST(sixteenth_byte_is_too_long)
{
    (void)decode(MODE_LONG64, "2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", DECODE_OK);
    (void)decode(MODE_LONG64, "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", DECODE_TOO_LONG);
}
END_TEST

START_TEST(missing_bytes_are_short)
{
    (void)decode(MODE_LONG64, "", DECODE_SHORT);
    (void)decode(MODE_LONG64, "48", DECODE_SHORT);
    (void)decode(MODE_LONG64, "e8000000", DECODE_SHORT);
}
END_TEST

/* rows: pitfalls 1.5 */
START_TEST(lock_on_a_register_is_invalid)
{
    (void)decode(MODE_LONG64, "f001c8", DECODE_INVALID);
    (void)decode(MODE_LONG64, "f00108", DECODE_OK);
    (void)decode(MODE_LONG64, "f08b08", DECODE_INVALID);
}
END_TEST

START_TEST(vector_operands_have_kinds_of_their_own)
{
    struct insn in = LONG64("d9c1"); /* fld st1 */
    ck_assert_int_eq(in.op[in.count - 1].kind, OPERAND_ST);
    ck_assert_int_eq(in.op[in.count - 1].reg, 1);
    in = LONG64("0f6fca"); /* movq mm1, mm2 */
    ck_assert_int_eq(in.op[0].kind, OPERAND_MMX);
    ck_assert_int_eq(in.op[1].reg, 2);
    in = LONG64("440f58c1"); /* addps xmm8, xmm1 */
    ck_assert_int_eq(in.op[0].kind, OPERAND_VECTOR);
    ck_assert_int_eq(in.op[0].reg, 8);
    ck_assert_int_eq(in.op[0].size, 16);
    ck_assert(!in.vex);
    in = LONG64("c5f458c2"); /* vaddps ymm0, ymm1, ymm2 */
    ck_assert(in.vex);
    ck_assert_int_eq(in.op[0].size, 32);
    ck_assert_int_eq(in.op[2].reg, 2);
    in = LONG64("c4e2718c02"); /* vpmaskmovd xmm0, xmm1, [rdx] */
    ck_assert_int_eq(in.op[2].kind, OPERAND_MEM);
    in = LONG64("c4e27190045a"); /* vpgatherdd xmm0, [rdx + 2*xmm3], xmm1 */
    ck_assert_int_eq(in.vindex, 3);
    ck_assert_int_eq(in.index, REG_ZERO);
    ck_assert_int_eq(in.scale, 1);
}
END_TEST

/* rows: pitfalls 1.9 */
START_TEST(amd_branches_obey_66)
{
    struct insn in = LONG64("66e81000"); /* call rel16 */
    ck_assert_int_eq(in.len, 4);
    ck_assert_int_eq(in.op_size, 2);
}
END_TEST

/* rows: pitfalls 1.14 */
START_TEST(amd_ud0_has_no_modrm)
{
    ck_assert_int_eq(LONG64("0fffc090").len, 2);
    ck_assert_int_eq(decode(MODE_LONG64, "0fff", DECODE_INVALID).len, 2);
    ck_assert_int_eq(LONG64("660fff0500000000").len, 3);
}
END_TEST

START_TEST(amd_prefetch_needs_memory)
{
    (void)decode(MODE_LONG64, "0f0dc0", DECODE_INVALID);
    (void)decode(MODE_PROT32, "0f0dff", DECODE_INVALID);
    ck_assert_int_eq(LONG64("0f0d00").mnemonic, ZYDIS_MNEMONIC_PREFETCH);
    ck_assert_int_eq(LONG64("0f0d38").mnemonic, ZYDIS_MNEMONIC_PREFETCH); /* reserved: a prefetch */
    ck_assert_int_eq(LONG64("0f18c0").mnemonic, ZYDIS_MNEMONIC_NOP);
}
END_TEST

/* rows: pitfalls 1.10 */
START_TEST(amd_far_loads_have_32_bit_offsets)
{
    ck_assert_int_eq(LONG64("48ff18").op_size, 8);   /* call far [rax]: what it pushes */
    ck_assert_int_eq(LONG64("480fb200").op_size, 4); /* lss */
    ck_assert_int_eq(LONG64("ff20").op_size, 8);     /* near jmp keeps 64 */
}
END_TEST

START_TEST(amd_vmgexit_is_vmmcall)
{
    ck_assert_int_eq(LONG64("f30f01d9").mnemonic, ZYDIS_MNEMONIC_VMMCALL);
    ck_assert_int_eq(LONG64("f20f01d9").mnemonic, ZYDIS_MNEMONIC_VMMCALL);
}
END_TEST

START_TEST(amd_sysenter_is_legacy_only)
{
    (void)decode(MODE_LONG64, "0f34", DECODE_INVALID);
    (void)decode(MODE_COMPAT32, "0f35", DECODE_INVALID);
    (void)decode(MODE_PROT32, "0f34", DECODE_OK);
}
END_TEST

START_TEST(mpx_encodings_are_nops)
{
    ck_assert_int_eq(LONG64("0f1ac0").mnemonic, ZYDIS_MNEMONIC_NOP);
}
END_TEST

/* Whether they are more than NOPs is for their bodies to say. */
START_TEST(cet_encodings_have_their_names)
{
    ck_assert_int_eq(LONG64("f30f1efa").mnemonic, ZYDIS_MNEMONIC_ENDBR64);
    ck_assert_int_eq(LONG64("f30f1ec8").mnemonic, ZYDIS_MNEMONIC_RDSSPD);
    ck_assert_int_eq(LONG64("f3480f1ec8").mnemonic, ZYDIS_MNEMONIC_RDSSPQ);
    ck_assert_int_eq(LONG64("f30f1ec0").mnemonic, ZYDIS_MNEMONIC_NOP);
}
END_TEST

START_TEST(random_bytes_never_overrun)
{
    uint64_t seed = 1;
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t bytes[16];
        for (unsigned k = 0; k < sizeof(bytes); k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[k] = (uint8_t)(seed >> 56);
        }
        unsigned len = (unsigned)(seed >> 20) % 17;
        struct insn in;
        enum decode_status status = decode_insn(bytes, len, i & 1 ? MODE_LONG64 : MODE_PROT32, &in);
        ck_assert_uint_le(in.len, INSN_MAX_BYTES);
        ck_assert_uint_le(in.count, 4);
        ck_assert(status != DECODE_OK || (in.len > 0 && in.len <= len));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decode");
    TCase *tc = tcase_create("decode");
    tcase_add_test(tc, code_of_16_bits_has_its_own_default_sizes);
    tcase_add_test(tc, addresses_of_16_bits);
    tcase_add_test(tc, real_and_virtual_8086_mode_have_les_and_lds_and_no_vex);
    tcase_add_test(tc, real_mode_lacks_the_instructions_of_selectors);
    tcase_add_test(tc, registers_are_byte_offsets);
    tcase_add_test(tc, memory_operand_has_base_index_scale_disp);
    tcase_add_test(tc, rip_relative_counts_from_the_instruction);
    tcase_add_test(tc, stack_bases_use_ss);
    tcase_add_test(tc, null_overrides_are_ignored_in_64_bit_mode);
    tcase_add_test(tc, last_of_f2_and_f3_counts);
    tcase_add_test(tc, string_instructions_list_no_operands);
    tcase_add_test(tc, implied_operands_are_listed);
    tcase_add_test(tc, enter_has_two_immediates);
    tcase_add_test(tc, far_pointer_is_offset_and_selector);
    tcase_add_test(tc, sixteenth_byte_is_too_long);
    tcase_add_test(tc, missing_bytes_are_short);
    tcase_add_test(tc, lock_on_a_register_is_invalid);
    tcase_add_test(tc, vector_operands_have_kinds_of_their_own);
    tcase_add_test(tc, amd_branches_obey_66);
    tcase_add_test(tc, amd_ud0_has_no_modrm);
    tcase_add_test(tc, amd_prefetch_needs_memory);
    tcase_add_test(tc, amd_far_loads_have_32_bit_offsets);
    tcase_add_test(tc, amd_vmgexit_is_vmmcall);
    tcase_add_test(tc, amd_sysenter_is_legacy_only);
    tcase_add_test(tc, mpx_encodings_are_nops);
    tcase_add_test(tc, cet_encodings_have_their_names);
    tcase_add_test(tc, random_bytes_never_overrun);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* What must agree, and what is told when it does not. */
#include "decoder/decode.h"
#include "tests/differential/draft.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#define COMPARED_FLAGS                                                                      \
    (FLAGS_STATUS | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | \
     FLAG_AC | FLAG_ID)

enum when { OTHER, ALWAYS };

struct mask {
    const char *rule;
    enum when when;
    uint16_t mnemonic;
    uint32_t flags;
    const char *why;
};

static const struct mask masks[] = {
#define MASK(rule, when, mnemonic, flags, why) \
    { #rule, when, ZYDIS_MNEMONIC_##mnemonic, flags, why },
#include "tests/differential/masks.def"
#undef MASK
};
#define MASK_COUNT (sizeof(masks) / sizeof(masks[0]))
static uint64_t masked[MASK_COUNT];

/* Rules that look at more than the instruction. */
enum special {
    UPPER_HALF,
    UPPER_RSP,
    COMPAT_RSP,
    RF_BETWEEN,
    UNDEFINED_LENGTH,
    PARTIAL_POPA,
    NULL_RPL,
    FAR_PUSH,
    EFFECTIVE,
    VPERM_WIDTH,
    SPECIAL_COUNT
};
static struct {
    const char *rule, *why;
    uint64_t count;
} specials[SPECIAL_COUNT] = {
    [UPPER_HALF] = { "present_bit_of_upper_half", "Linux, sanitize_error_code()", 0 },
    [UPPER_RSP] = { "upper_half_of_rsp_of_16_bit", "Linux, espfix64", 0 },
    [COMPAT_RSP] = { "upper_half_of_rsp_left_behind",
                     "a far transfer to compatibility mode: APM vol 1, 3.1.2, undefined", 0 },
    [RF_BETWEEN] = { "rf_of_db_after_iret_or_iteration",
                     "KVM intercepts #DB and pushes the RF of its #VMEXIT; APM vol 2, 3.1.6", 0 },
    [NULL_RPL] = { "rpl_of_null_selectors",
                   "Linux's IRET to the handler makes them 0: APM vol 3, \"IRET\"", 0 },
    [FAR_PUSH] = { "faults_and_pushes_of_far_call",
                   "APM vol 3, \"CALL (Far)\": Zen 4 pushes first, with the new code's stack width",
                   0 },
    [EFFECTIVE] = { "canonical_form_of_offsets",
                    "FS and GS: Zen 4 wants the offset to be canonical too, not the sum alone", 0 },
    [VPERM_WIDTH] = { "vpermq_and_vpermpd_without_w",
                      "APM vol 4, \"VPERMQ\": #UD; Zen 4 executes them", 0 },
    [PARTIAL_POPA] = { "registers_of_faulting_popa",
                       "APM vol 3, \"POPA\": Zen 4 keeps what was popped before the fault", 0 },
    [UNDEFINED_LENGTH] = { "length_of_no_instruction",
                           "bytes that are no instruction have no length in APM vol 3, 1.1", 0 },
};

static uint32_t flags_masked(const struct diff_case *ran)
{
    bool amd = native_follows_amd();
    uint32_t flags = 0;
    for (unsigned i = 0; i < MASK_COUNT; i++) {
        if (masks[i].mnemonic != ran->mnemonic || (amd && masks[i].when == OTHER))
            continue;
        masked[i]++;
        flags |= masks[i].flags;
    }
    return flags;
}

static bool has_code(uint32_t vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

/* Linux does not tell level 3 whether a page of its own half, or the last one below it, is there. */
static bool same_exception(const struct diff_case *ran, const struct diff_outcome *a,
                           const struct diff_outcome *b)
{
    uint32_t differ = a->code ^ b->code;
    if (a->vector != b->vector)
        return false;
    if (a->vector == EXC_PF && a->cr2 >= UINT64_C(0x00007ffffffff000)) {
        specials[UPPER_HALF].count++;
        differ &= ~1u;
    }
    if (a->vector == EXC_PF && same_operand(ran, a->cr2, b->cr2))
        return differ == 0;
    return (!has_code(a->vector) || differ == 0) && (a->vector != EXC_PF || a->cr2 == b->cr2);
}

static bool same_selectors(const uint16_t *native, const uint16_t *emulated)
{
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        bool null = native[i] == 0 && emulated[i] < 4 && i != SEG_CS && i != SEG_SS;
        specials[NULL_RPL].count += null && emulated[i] != 0;
        if (native[i] != emulated[i] && !null)
            return false;
    }
    return true;
}

static bool same_registers(const struct diff_case *ran, const struct diff_outcome *a,
                           const struct diff_outcome *b)
{
    for (unsigned i = 0; i < 16; i++) {
        uint64_t differ = a->after.r[i] ^ b->after.r[i];
        if (ran->before.seg[SEG_SS] != DIFF_DS && i == REG_RSP && a->after.r[i] >> 32) {
            specials[UPPER_RSP].count++; /* left there by Linux's way back to a 16-bit stack */
            differ = (uint32_t)differ;
        }
        if (i == REG_RSP && ran->mode == DIFF_64 && a->after.seg[SEG_CS] != DIFF_CS64) {
            specials[COMPAT_RSP].count += differ >> 32 != 0;
            differ = (uint32_t)differ;
        }
        if (differ && i != REG_RSP && !diff_completed(ran, a) &&
            (ran->mnemonic == ZYDIS_MNEMONIC_POPA || ran->mnemonic == ZYDIS_MNEMONIC_POPAD)) {
            specials[PARTIAL_POPA].count++;
            differ = 0;
        }
        if (differ && (differ & ~native_only_bits(ran, i)))
            return false;
    }
    return a->after.rip == b->after.rip && same_selectors(a->after.seg, b->after.seg) &&
           a->after.fs_base == b->after.fs_base && a->after.gs_base == b->after.gs_base;
}

/* #UD on one side, and on the other a fault because it wanted to see more: the end of the page, or a sixteenth byte. */
static bool undefined_length(const struct diff_case *ran, const struct diff_outcome *native,
                             const struct diff_outcome *emulated)
{
    unsigned prefixes = 0;
    if (ran->mnemonic != 0 || !native->done)
        return false;
    const struct diff_outcome *more = native->vector == EXC_UD ? emulated : native;
    if ((more == native ? emulated : native)->vector != EXC_UD)
        return false;
    while (prefixes < 15 && ran->bytes[prefixes] &&
           memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3\x40\x48\x4a", ran->bytes[prefixes],
                  14))
        prefixes++;
    if (more->vector == EXC_GP)
        return prefixes >= 3 || (ran->mode == DIFF_16 && ran->before.rip > 0xffff - 15);
    return more->vector == EXC_PF && (more->code & 0x10) && more->cr2 == DIFF_CODE + 4096;
}

static bool same_memory(const struct diff_outcome *native, const struct diff_outcome *emulated)
{
    return native->changed == emulated->changed && native->first == emulated->first &&
           native->hash == emulated->hash;
}

static bool is_far_call(const struct diff_case *ran)
{
    struct insn in;
    return ran->mnemonic == ZYDIS_MNEMONIC_CALL &&
           decode_insn(ran->bytes, DIFF_CODE_BYTES, diff_cpu_mode(ran->mode), &in) == DECODE_OK &&
           leaves_segment(&in);
}

/* The stack is all that a far CALL writes to at level 3. */
static bool faults_on_stack(const struct diff_outcome *out)
{
    return (out->vector == EXC_SS && out->code == 0) ||
           (out->vector == EXC_PF && (out->code & 6) == 6);
}

/* A far CALL that faults may fault on the stack first; and with the stack of compatibility mode it may complete. */
static bool faulting_far_call(const struct diff_case *ran, const struct diff_outcome *native,
                              const struct diff_outcome *emulated)
{
    if (!is_far_call(ran) || !native->done || !emulated->done || diff_completed(ran, emulated))
        return false;
    if (diff_completed(ran, native))
        return ran->mode == DIFF_64 && native->after.seg[SEG_CS] != DIFF_CS64 &&
               faults_on_stack(emulated);
    if (native->vector != emulated->vector)
        return faults_on_stack(native) || faults_on_stack(emulated);
    return ran->mode == DIFF_64 && faults_on_stack(native) && faults_on_stack(emulated) &&
           native->cr2 == (uint32_t)emulated->cr2;
}

/* Or fault like ours, and have pushed already. */
static bool pushes_of_far_call(const struct diff_case *ran, const struct diff_outcome *native,
                               const struct diff_outcome *emulated)
{
    if (!is_far_call(ran) || diff_completed(ran, native) || emulated->changed)
        return false;
    specials[FAR_PUSH].count += native->changed != 0;
    return true;
}

static bool is_canonical(uint64_t la)
{
    return la + (UINT64_C(1) << 47) < UINT64_C(1) << 48;
}

/* A base that makes of an offset that is not canonical an address that is. */
static bool far_offset(const struct diff_case *ran, const struct diff_outcome *native,
                       const struct diff_outcome *emulated)
{
    struct insn in;
    if (ran->mode != DIFF_64 || native->vector != EXC_GP || !emulated->done ||
        (!diff_completed(ran, emulated) && emulated->vector != EXC_PF &&
         emulated->vector != EXC_AC) ||
        decode_insn(ran->bytes, DIFF_CODE_BYTES, diff_cpu_mode(ran->mode), &in) != DECODE_OK ||
        in.seg < SEG_FS || !has_memory(&in))
        return false;
    uint64_t off = effective(&in, &ran->before);
    uint64_t base = in.seg == SEG_FS ? ran->before.fs_base : ran->before.gs_base;
    return !is_canonical(off) && is_canonical(base + off);
}

static bool vperm_without_w(const struct diff_case *ran, const struct diff_outcome *native,
                            const struct diff_outcome *emulated)
{
    const uint8_t *at = ran->bytes;
    if (ran->mnemonic != 0 || emulated->vector != EXC_UD || native->vector == EXC_UD)
        return false;
    while (at < ran->bytes + 12 && *at != 0xc4)
        at++;
    return *at == 0xc4 && (at[1] & 0x1f) == 3 && (at[2] & 0x87) == 5 && at[3] <= 1;
}

bool compare_outcomes(const struct diff_case *ran, const struct diff_outcome *native,
                      const struct diff_outcome *emulated)
{
    uint64_t flags = COMPARED_FLAGS & ~(uint64_t)flags_masked(ran);
    bool between =
        ran->repeats && (ran->before.rflags & FLAG_RF) && native->after.rip == ran->before.rip;
    bool loaded = ran->mnemonic == ZYDIS_MNEMONIC_IRET || ran->mnemonic == ZYDIS_MNEMONIC_IRETD ||
                  ran->mnemonic == ZYDIS_MNEMONIC_IRETQ;
    if (native->vector == EXC_DB && (between || loaded || ran->gathers)) {
        specials[RF_BETWEEN].count++;
        flags &= ~(uint64_t)FLAG_RF;
    }
    if (faulting_far_call(ran, native, emulated)) {
        specials[FAR_PUSH].count++;
        return true;
    }
    if (far_offset(ran, native, emulated)) {
        specials[EFFECTIVE].count++;
        return true;
    }
    if (vperm_without_w(ran, native, emulated)) {
        specials[VPERM_WIDTH].count++;
        return true;
    }
    if (undefined_length(ran, native, emulated)) {
        specials[UNDEFINED_LENGTH].count++;
        return true;
    }
    if (skip_fp(ran, native, emulated))
        return true;
    if (!native->done || native->signal || !emulated->done)
        return false;
    return same_exception(ran, native, emulated) && same_registers(ran, native, emulated) &&
           !((native->after.rflags ^ emulated->after.rflags) & flags) &&
           (same_memory(native, emulated) || pushes_of_far_call(ran, native, emulated)) &&
           native->steps == emulated->steps && same_fp(ran, native, emulated);
}

void compare_print_masks(void)
{
    for (unsigned i = 0; i < MASK_COUNT; i++)
        if (masked[i])
            printf("masked: %-28s %8llu  %s\n", masks[i].rule, (unsigned long long)masked[i],
                   masks[i].why);
    for (unsigned i = 0; i < SPECIAL_COUNT; i++)
        printf("masked: %-28s %8llu  %s\n", specials[i].rule, (unsigned long long)specials[i].count,
               specials[i].why);
}

/* --- telling ------------------------------------------------------------------------------------- */

static void print_instruction(const struct diff_case *ran)
{
    static const char *const names[] = { "64-bit", "32-bit", "16-bit" };
    ZydisMachineMode mode = ran->mode == DIFF_64   ? ZYDIS_MACHINE_MODE_LONG_64
                            : ran->mode == DIFF_32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32
                                                   : ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
    ZydisDisassembledInstruction text;
    struct insn in;
    enum decode_status status =
        decode_insn(ran->bytes, DIFF_CODE_BYTES, diff_cpu_mode(ran->mode), &in);
    fprintf(stderr, "%s:", names[ran->mode]);
    for (unsigned i = 0; i < in.len; i++)
        fprintf(stderr, " %02x", ran->bytes[i]);
    if (ZYAN_SUCCESS(
            ZydisDisassembleIntel(mode, ran->before.rip, ran->bytes, DIFF_CODE_BYTES, &text)))
        fprintf(stderr, "    %s", text.text);
    fprintf(stderr, "    (decode status %d)\n", status);
}

static void print_value(const char *name, uint64_t before, uint64_t native, uint64_t emulated)
{
    if (before == native && native == emulated)
        return;
    fprintf(stderr, "  %-7s %016llx  native %016llx  here %016llx%s\n", name,
            (unsigned long long)before, (unsigned long long)native, (unsigned long long)emulated,
            native != emulated ? "  <--" : "");
}

/* The changed bytes; of many, those around the first that differ. */
static void print_memory(const struct diff_outcome *native, const struct diff_outcome *emulated)
{
    const struct diff_outcome *sides[2] = { native, emulated };
    uint32_t limit = native->changed < emulated->changed ? native->changed : emulated->changed;
    uint32_t at = 0;
    while (native->first == emulated->first && at < limit && at < DIFF_SAMPLE &&
           native->sample[at] == emulated->sample[at])
        at++;
    at = at < 32 ? 0 : at & ~15u;
    for (unsigned side = 0; side < 2; side++) {
        const struct diff_outcome *out = sides[side];
        fprintf(stderr, "  %s: %u bytes changed at +%x; from +%x:", side ? "here" : "native",
                out->changed, out->first, out->first + at);
        for (uint32_t i = at; i < at + 32 && i < out->changed && i < DIFF_SAMPLE; i++)
            fprintf(stderr, " %02x", out->sample[i]);
        fprintf(stderr, "\n");
    }
}

void compare_describe(const struct diff_case *ran, const struct diff_outcome *native,
                      const struct diff_outcome *emulated)
{
    static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    print_instruction(ran);
    for (unsigned i = 0; i < 16; i++)
        print_value(names[i], ran->before.r[i], native->after.r[i], emulated->after.r[i]);
    fprintf(stderr, "  rsp %016llx  rcx %016llx  rsi %016llx  rdi %016llx  rflags %llx\n",
            (unsigned long long)ran->before.r[REG_RSP], (unsigned long long)ran->before.r[REG_RCX],
            (unsigned long long)ran->before.r[REG_RSI], (unsigned long long)ran->before.r[REG_RDI],
            (unsigned long long)ran->before.rflags);
    print_value("rip", ran->before.rip, native->after.rip, emulated->after.rip);
    static const char *const segments[6] = { "es", "cs", "ss", "ds", "fs", "gs" };
    for (unsigned i = 0; i < 6; i++)
        print_value(segments[i], ran->before.seg[i], native->after.seg[i], emulated->after.seg[i]);
    print_value("fs.base", DIFF_FS_BASE, native->after.fs_base, emulated->after.fs_base);
    print_value("gs.base", DIFF_GS_BASE, native->after.gs_base, emulated->after.gs_base);
    print_value("rflags", ran->before.rflags, native->after.rflags, emulated->after.rflags);
    print_value("vector", EXC_DB, native->vector, emulated->vector);
    print_value("code", 0, native->code, emulated->code);
    if (native->vector == EXC_PF || emulated->vector == EXC_PF)
        print_value("cr2", 0, native->cr2, emulated->cr2);
    describe_fp(ran, native, emulated);
    print_value("steps", 1, native->steps, emulated->steps);
    if (native->changed || emulated->changed)
        print_memory(native, emulated);
    if (!native->done || native->signal)
        fprintf(stderr, "  native: ended by signal %d\n", native->signal);
    if (!emulated->done)
        fprintf(stderr, "  here: no handler was reached\n");
}

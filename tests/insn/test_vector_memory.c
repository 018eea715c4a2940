/* How vector instructions reach memory: alignment, page crossings, chosen elements, gathers. What the manual leaves open is as
 * measured on Zen 4. Runs everywhere. */
#include "tests/insn/rig.h"

#include <stdio.h>

#define PAGE 0x150000u /* followed by NEXT */
#define NEXT 0x151000u /* not present where a test says so */
#define PRESENT (PTE_P | PTE_RW | PTE_US)
#define PTE_A 0x20u
#define PTE_D 0x40u

static struct rig *rig;
static struct vcpu *cpu;

static void enable(void)
{
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
}

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    enable();
}

static void setup_legacy(void)
{
    rig = rig_new(MODE_PROT32);
    enable();
}

static void teardown(void)
{
    rig_free(rig);
}

static void fill(unsigned r, uint8_t value)
{
    memset(&cpu->simd.v[r], value, sizeof(cpu->simd.v[r]));
}

static bool is_filled(const void *bytes, uint8_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (((const uint8_t *)bytes)[i] != value)
            return false;
    return true;
}

static void forbid_next(void)
{
    rig_page(rig, NEXT, 0);
}

static uint64_t next_pte(void)
{
    return phys_read(cpu->memory, 0x4000 + (NEXT >> 12) * 8, 8);
}

/* --- alignment ------------------------------------------------------------------------------------------ */

enum class {
    STRICT,  /* #GP(0), whatever MXCSR.MM says */
    LEGACY,  /* #GP(0), or #AC with MXCSR.MM */
    RELAXED, /* #AC */
    FREE     /* nothing */
};

static const struct form {
    const char *name;
    uint8_t size; /* bytes in memory */
    uint8_t class;
    uint8_t len, bytes[8]; /* memory at [RAX] */
} forms[] = {
    { "MOVAPS load", 16, STRICT, 3, { 0x0f, 0x28, 0x00 } },
    { "MOVAPS store", 16, STRICT, 3, { 0x0f, 0x29, 0x00 } },
    { "MOVAPD load", 16, STRICT, 4, { 0x66, 0x0f, 0x28, 0x00 } },
    { "MOVDQA load", 16, STRICT, 4, { 0x66, 0x0f, 0x6f, 0x00 } },
    { "MOVDQA store", 16, STRICT, 4, { 0x66, 0x0f, 0x7f, 0x00 } },
    { "MOVNTPS", 16, STRICT, 3, { 0x0f, 0x2b, 0x00 } },
    { "MOVNTPD", 16, STRICT, 4, { 0x66, 0x0f, 0x2b, 0x00 } },
    { "MOVNTDQ", 16, STRICT, 4, { 0x66, 0x0f, 0xe7, 0x00 } },
    { "MOVNTDQA", 16, STRICT, 5, { 0x66, 0x0f, 0x38, 0x2a, 0x00 } },
    { "VMOVAPS load, 128", 16, STRICT, 4, { 0xc5, 0xf8, 0x28, 0x00 } },
    { "VMOVAPS load, 256", 32, STRICT, 4, { 0xc5, 0xfc, 0x28, 0x00 } },
    { "VMOVDQA store, 256", 32, STRICT, 4, { 0xc5, 0xfd, 0x7f, 0x00 } },
    { "VMOVNTDQ, 128", 16, STRICT, 4, { 0xc5, 0xf9, 0xe7, 0x00 } },
    { "VMOVNTPS, 256", 32, STRICT, 4, { 0xc5, 0xfc, 0x2b, 0x00 } },
    { "VMOVNTDQA, 256", 32, STRICT, 5, { 0xc4, 0xe2, 0x7d, 0x2a, 0x00 } },
    { "PXOR", 16, LEGACY, 4, { 0x66, 0x0f, 0xef, 0x00 } },
    { "ANDPS", 16, LEGACY, 3, { 0x0f, 0x54, 0x00 } },
    { "PSHUFD", 16, LEGACY, 5, { 0x66, 0x0f, 0x70, 0x00, 0x1b } },
    { "SHUFPD", 16, LEGACY, 5, { 0x66, 0x0f, 0xc6, 0x00, 0x01 } },
    { "UNPCKLPS", 16, LEGACY, 3, { 0x0f, 0x14, 0x00 } },
    { "MOVSLDUP", 16, LEGACY, 4, { 0xf3, 0x0f, 0x12, 0x00 } },
    { "PBLENDVB", 16, LEGACY, 5, { 0x66, 0x0f, 0x38, 0x10, 0x00 } },
    { "PADDB", 16, LEGACY, 4, { 0x66, 0x0f, 0xfc, 0x00 } },
    { "ADDPS", 16, LEGACY, 3, { 0x0f, 0x58, 0x00 } },
    { "CVTPD2PI", 16, LEGACY, 4, { 0x66, 0x0f, 0x2d, 0x00 } },
    { "PCMPESTRI", 16, RELAXED, 6, { 0x66, 0x0f, 0x3a, 0x61, 0x00, 0x00 } },
    { "PCMPESTRM", 16, RELAXED, 6, { 0x66, 0x0f, 0x3a, 0x60, 0x00, 0x00 } },
    { "PCMPISTRI", 16, RELAXED, 6, { 0x66, 0x0f, 0x3a, 0x63, 0x00, 0x00 } },
    { "PCMPISTRM", 16, RELAXED, 6, { 0x66, 0x0f, 0x3a, 0x62, 0x00, 0x00 } },
    { "SHA1MSG1", 16, RELAXED, 4, { 0x0f, 0x38, 0xc9, 0x00 } },
    { "MOVUPS load", 16, RELAXED, 3, { 0x0f, 0x10, 0x00 } },
    { "MOVUPS store", 16, RELAXED, 3, { 0x0f, 0x11, 0x00 } },
    { "MOVDQU load", 16, RELAXED, 4, { 0xf3, 0x0f, 0x6f, 0x00 } },
    { "MOVUPD store", 16, RELAXED, 4, { 0x66, 0x0f, 0x11, 0x00 } },
    { "LDDQU", 16, RELAXED, 4, { 0xf2, 0x0f, 0xf0, 0x00 } },
    { "VMOVUPS load, 128", 16, RELAXED, 4, { 0xc5, 0xf8, 0x10, 0x00 } },
    { "VMOVUPS store, 256", 32, RELAXED, 4, { 0xc5, 0xfc, 0x11, 0x00 } },
    { "VPXOR, 128", 16, RELAXED, 4, { 0xc5, 0xf1, 0xef, 0x00 } },
    { "VPXOR, 256", 32, RELAXED, 4, { 0xc5, 0xf5, 0xef, 0x00 } },
    { "VBROADCASTF128", 16, RELAXED, 5, { 0xc4, 0xe2, 0x7d, 0x1a, 0x00 } },
    { "VINSERTF128", 16, RELAXED, 6, { 0xc4, 0xe3, 0x75, 0x18, 0x00, 0x01 } },
    { "VEXTRACTF128", 16, RELAXED, 6, { 0xc4, 0xe3, 0x7d, 0x19, 0x00, 0x01 } },
    { "MOVSS load", 4, RELAXED, 4, { 0xf3, 0x0f, 0x10, 0x00 } },
    { "MOVSD store", 8, RELAXED, 4, { 0xf2, 0x0f, 0x11, 0x00 } },
    { "MOVQ load", 8, RELAXED, 4, { 0xf3, 0x0f, 0x7e, 0x00 } },
    { "MOVQ store, MMX", 8, RELAXED, 3, { 0x0f, 0x7f, 0x00 } },
    { "MOVNTQ", 8, RELAXED, 3, { 0x0f, 0xe7, 0x00 } },
    { "MOVNTI", 4, RELAXED, 3, { 0x0f, 0xc3, 0x00 } },
    { "MOVNTSD", 8, RELAXED, 4, { 0xf2, 0x0f, 0x2b, 0x00 } },
    { "MOVHPS load", 8, RELAXED, 3, { 0x0f, 0x16, 0x00 } },
    { "PINSRW", 2, RELAXED, 5, { 0x66, 0x0f, 0xc4, 0x00, 0x01 } },
    { "PMOVSXBW", 8, RELAXED, 5, { 0x66, 0x0f, 0x38, 0x20, 0x00 } },
    { "PMOVZXBQ", 2, RELAXED, 5, { 0x66, 0x0f, 0x38, 0x32, 0x00 } },
    { "VMASKMOVPS load", 32, FREE, 5, { 0xc4, 0xe2, 0x6d, 0x2c, 0x00 } },
    { "VMASKMOVPD store", 32, FREE, 5, { 0xc4, 0xe2, 0x6d, 0x2f, 0x00 } },
    { "VPMASKMOVD load", 16, FREE, 5, { 0xc4, 0xe2, 0x69, 0x8c, 0x00 } },
    { "VGATHERDPS", 4, FREE, 6, { 0xc4, 0xe2, 0x69, 0x92, 0x04, 0x88 } },
    { "VPGATHERQQ", 8, FREE, 6, { 0xc4, 0xe2, 0xed, 0x91, 0x04, 0xc8 } },
};

/* What an access at this distance from a 64-byte border raises, or -1. */
static int expected(const struct form *form, unsigned at, bool ac, bool mm)
{
    bool aligned = at % form->size == 0;
    if (form->class == STRICT || (form->class == LEGACY && !mm))
        return aligned ? -1 : EXC_GP;
    /* #AC asks for 16 bytes at most */
    aligned = at % (form->size < 16 ? form->size : 16) == 0;
    return aligned || form->class == FREE || !ac ? -1 : EXC_AC;
}

static void align(const struct form *form, unsigned at, bool ac, bool mm)
{
    fill(0, 0xff), fill(1, 0), fill(2, 0xff);
    cpu_set_rflags(cpu, 2 | (ac ? FLAG_AC : 0));
    cpu_update_mode(cpu);
    cpu->simd.mxcsr = MXCSR_RESET | (mm ? MXCSR_MM : 0);
    cpu->r[REG_RAX] = PAGE + at;
    enum step step = rig_exec(rig, form->bytes, form->len);
    int vector = step == STEP_RAISED ? (int)cpu->raised.event.vector : -1;
    ck_assert_msg(vector == expected(form, at, ac, mm), "%s at %u, AC %d, MM %d: %d", form->name,
                  at, ac, mm, vector);
    if (vector >= 0)
        ck_assert_uint_eq(cpu->raised.event.code, 0);
}

/* rows: pitfalls 7.8, 7.17 */
START_TEST(alignment_is_asked_for_as_the_class_says)
{
    static const uint8_t places[] = { 0, 1, 2, 4, 8, 15, 16, 17, 24, 32, 48 };
    rig_segments(cpu, true, 3);
    cpu->regs.cr0 |= CR0_AM;
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        for (unsigned k = 0; k < sizeof(places) * 4; k++)
            align(&forms[i], places[k / 4], k & 1, k & 2);
}
END_TEST

/* Also where nothing is mapped, and where a segment has no such address: measured on Zen 4. */
START_TEST(alignment_comes_before_translation)
{
    forbid_next();
    rig_segments(cpu, true, 3);
    cpu->regs.cr0 |= CR0_AM;
    cpu->r[REG_RAX] = NEXT + 1;
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x28, 0x00), EXC_GP, 0); /* MOVAPS XMM0, [RAX] */
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x10, 0x00), EXC_PF, 4); /* MOVUPS XMM0, [RAX] */
    cpu_set_rflags(cpu, 2 | FLAG_AC);
    cpu_update_mode(cpu);
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x10, 0x00), EXC_AC, 0);
    cpu->r[REG_RBP] = UINT64_C(0x800000000000);
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x28, 0x45, 0x00), EXC_SS, 0); /* [RBP] */
    cpu->r[REG_RBP]++;
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x28, 0x45, 0x00), EXC_GP, 0);
}
END_TEST

/* --- page crossings -------------------------------------------------------------------------------------- */

static const struct {
    uint8_t size, load_len, store_len, load[5], store[5];
} crossings[] = {
    { 8, 4, 4, { 0xf3, 0x0f, 0x7e, 0x00 }, { 0x66, 0x0f, 0xd6, 0x00 } },  /* MOVQ XMM0 */
    { 16, 3, 3, { 0x0f, 0x10, 0x00 }, { 0x0f, 0x11, 0x00 } },             /* MOVUPS */
    { 32, 4, 4, { 0xc5, 0xfc, 0x10, 0x00 }, { 0xc5, 0xfc, 0x11, 0x00 } }, /* VMOVUPS */
    { 8, 3, 3, { 0x0f, 0x6f, 0x00 }, { 0x0f, 0x7f, 0x00 } },              /* MOVQ MM0 */
};

START_TEST(a_fault_behind_the_page_commits_nothing)
{
    for (unsigned i = 0; i < sizeof(crossings) / sizeof(crossings[0]); i++) {
        unsigned size = crossings[i].size;
        fill(0, 0x11);
        cpu->x87.fsw = 3 << FSW_TOP_SHIFT;
        cpu->x87.used = 0;
        memset(rig_ptr(rig, PAGE + 0x1000 - size), 0x22, size);
        forbid_next();
        cpu->r[REG_RAX] = NEXT - size + 1;
        rig_expect_fault(rig, rig_exec(rig, crossings[i].load, crossings[i].load_len), EXC_PF, 0);
        ck_assert_uint_eq(cpu->raised.cr2, NEXT);
        ck_assert(is_filled(&cpu->simd.v[0], 0x11, 64));
        rig_expect_fault(rig, rig_exec(rig, crossings[i].store, crossings[i].store_len), EXC_PF, 2);
        ck_assert_uint_eq(cpu->raised.cr2, NEXT);
        ck_assert(is_filled(rig_ptr(rig, PAGE + 0x1000 - size), 0x22, size));
        ck_assert_uint_eq(cpu->x87.fsw, 3 << FSW_TOP_SHIFT); /* no MMX state either */
        ck_assert_uint_eq(cpu->x87.used, 0);

        cpu->r[REG_RAX] = NEXT - size; /* just fits */
        ck_assert_int_eq(rig_exec(rig, crossings[i].load, crossings[i].load_len), STEP_NEXT);
        ck_assert_int_eq(rig_exec(rig, crossings[i].store, crossings[i].store_len), STEP_NEXT);

        rig_page(rig, NEXT, NEXT | PRESENT);
        cpu->r[REG_RAX] = NEXT - size + 1; /* and across */
        memset(rig_ptr(rig, NEXT), 0x33, 32);
        ck_assert_int_eq(rig_exec(rig, crossings[i].load, crossings[i].load_len), STEP_NEXT);
        const uint8_t *got = i == 3 ? (const uint8_t *)&cpu->x87.reg[0].mant : cpu->simd.v[0].u8;
        ck_assert(is_filled(got, 0x22, size - 1));
        ck_assert_uint_eq(got[size - 1], 0x33);
    }
}
END_TEST

/* UNPCKLPS and its like need 8 bytes and, with MXCSR.MM, touch no more: measured on Zen 4. */
START_TEST(the_unused_half_of_an_operand_is_not_read)
{
    static const uint8_t half[][4] = {
        { 0x0f, 0x14, 0x00 },       /* UNPCKLPS */
        { 0x66, 0x0f, 0x14, 0x00 }, /* UNPCKLPD */
        { 0x66, 0x0f, 0x60, 0x00 }, /* PUNPCKLBW */
        { 0x66, 0x0f, 0x6c, 0x00 }, /* PUNPCKLQDQ */
        { 0x66, 0x0f, 0xd1, 0x00 }, /* PSRLW */
        { 0x66, 0x0f, 0xf3, 0x00 }, /* PSLLQ */
    };
    forbid_next();
    cpu->simd.mxcsr |= MXCSR_MM;
    for (unsigned i = 0; i < sizeof(half) / sizeof(half[0]); i++) {
        unsigned len = half[i][0] == 0x66 ? 4 : 3;
        cpu->r[REG_RAX] = NEXT - 8;
        ck_assert_int_eq(rig_exec(rig, half[i], len), STEP_NEXT);
        cpu->r[REG_RAX] = NEXT - 7;
        rig_expect_fault(rig, rig_exec(rig, half[i], len), EXC_PF, 0);
        cpu->r[REG_RAX] = UINT64_C(0x7ffffffffff8); /* the segment counts for all of it */
        rig_expect_fault(rig, rig_exec(rig, half[i], len), EXC_GP, 0);
    }
    cpu->r[REG_RAX] = NEXT - 8;
    rig_expect_fault(rig, EXEC(rig, 0x0f, 0x15, 0x00), EXC_PF, 0);       /* UNPCKHPS */
    rig_expect_fault(rig, EXEC(rig, 0xc5, 0xf8, 0x14, 0x00), EXC_PF, 0); /* VUNPCKLPS */
}
END_TEST

/* --- VMASKMOV --------------------------------------------------------------------------------------------- */

/* Elements of XMM2 that have their sign set, as bits. */
static void put_mask(unsigned elements, unsigned size)
{
    fill(2, 0);
    for (unsigned i = 0; i < 32 / size; i++)
        if (elements >> i & 1)
            cpu->simd.v[2].u8[(i + 1) * size - 1] = 0x80;
}

#define VMASKMOVPS_LOAD 0xc4, 0xe2, 0x6d, 0x2c, 0x00  /* YMM0, YMM2, [RAX] */
#define VMASKMOVPS_STORE 0xc4, 0xe2, 0x6d, 0x2e, 0x00 /* [RAX], YMM2, YMM0 */
#define VPMASKMOVQ_LOAD 0xc4, 0xe2, 0xed, 0x8c, 0x00
#define VPMASKMOVQ_STORE 0xc4, 0xe2, 0xed, 0x8e, 0x00

/* rows: pitfalls 7.16 */
START_TEST(elements_that_are_not_chosen_do_not_fault)
{
    forbid_next();
    put_mask(0, 4);
    const uint64_t nowhere[] = { NEXT, NEXT - 16, UINT64_C(0x800000000000) };
    for (unsigned i = 0; i < 3; i++) {
        cpu->r[REG_RAX] = nowhere[i];
        fill(0, 0x11);
        ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
        ck_assert_int_eq(EXEC(rig, VPMASKMOVQ_STORE), STEP_NEXT);
        ck_assert_int_eq(EXEC(rig, VPMASKMOVQ_LOAD), STEP_NEXT);
        ck_assert_int_eq(EXEC(rig, VMASKMOVPS_LOAD), STEP_NEXT);
        ck_assert(is_filled(&cpu->simd.v[0], 0, 64));
    }
    cpu->r[REG_RAX] = NEXT - 16;
    memset(rig_ptr(rig, NEXT - 16), 0x22, 16);
    put_mask(0x05, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_LOAD), STEP_NEXT);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], 0x22222222);
    ck_assert_uint_eq(cpu->simd.v[0].u64[1], 0x22222222);
    ck_assert_uint_eq(cpu->simd.v[0].u64[2], 0);
    fill(0, 0x33);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_uint_eq(phys_read(cpu->memory, NEXT - 16, 8), UINT64_C(0x2222222233333333));
    put_mask(0x11, 4); /* the fifth lies behind the border */
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_LOAD), EXC_PF, 0);
    ck_assert_uint_eq(cpu->raised.cr2, NEXT);
    ck_assert(is_filled(&cpu->simd.v[0], 0x33, 32));
}
END_TEST

START_TEST(a_masked_store_that_faults_stores_nothing)
{
    static const struct {
        unsigned elements,
            before; /* the operand starts `before` bytes below the page that is absent */
        uint64_t cr2;
    } cases[] = {
        { 0xff, 16, NEXT }, { 0x15, 16, NEXT }, { 0x05, 10, NEXT },
        { 0x81, 31, NEXT }, { 0x83, 28, NEXT },
    };
    forbid_next();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(rig_ptr(rig, PAGE), 0x22, 0x1000);
        fill(0, 0x33);
        put_mask(cases[i].elements, 4);
        cpu->r[REG_RAX] = NEXT - cases[i].before;
        rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_STORE), EXC_PF, 2);
        ck_assert_uint_eq(cpu->raised.cr2, cases[i].cr2);
        ck_assert(is_filled(rig_ptr(rig, PAGE), 0x22, 0x1000));
    }
    cpu->r[REG_RAX] = UINT64_C(0x7ffffffffff0); /* the fifth element is not canonical */
    put_mask(0x10, 4);
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_STORE), EXC_GP, 0);
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_LOAD), EXC_GP, 0);
    put_mask(0x18, 4); /* the one before it comes first */
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_STORE), EXC_PF, 2);
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_LOAD), EXC_PF, 0);
    ck_assert_uint_eq(cpu->raised.cr2, UINT64_C(0x7ffffffffffc));
}
END_TEST

START_TEST(pages_of_elements_that_are_not_chosen_are_not_touched)
{
    rig_page(rig, NEXT, NEXT | PRESENT);
    cpu->r[REG_RAX] = NEXT - 16;
    put_mask(0x0f, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_uint_eq(next_pte() & (PTE_A | PTE_D), 0);
    put_mask(0x1f, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_LOAD), STEP_NEXT);
    ck_assert_uint_eq(next_pte() & (PTE_A | PTE_D), PTE_A);
    put_mask(0x25, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_uint_eq(next_pte() & (PTE_A | PTE_D), PTE_A | PTE_D);

    cpu->r[REG_RAX] = 0xa0000; /* MMIO: nothing is read or written that was not chosen */
    put_mask(0, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_LOAD), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_uint_eq(rig->mmio_reads + rig->mmio_writes, 0);
    put_mask(0x28, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_uint_eq(rig->mmio_writes, 2);
    ck_assert_uint_eq(rig->mmio_last, 0xa0014);
    ck_assert_uint_eq(rig->mmio_reads, 0);
}
END_TEST

START_TEST(elements_that_are_not_chosen_may_lie_behind_the_limit)
{
    cpu->regs.seg[SEG_DS].limit = PAGE + 7;
    cpu_update_mode(cpu);
    cpu->r[REG_RAX] = PAGE;
    put_mask(0x03, 4);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_LOAD), STEP_NEXT);
    put_mask(0x05, 4);
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_STORE), EXC_GP, 0);
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_LOAD), EXC_GP, 0);
}
END_TEST

/* Offsets are cut for each element, and for each half of MASKMOVDQU's operand. */
START_TEST(elements_wrap_around_at_the_address_size)
{
    fill(0, 0x33);
    put_mask(0x03, 4);
    cpu->regs.seg[SEG_DS].base = PAGE + 0x100;
    cpu_update_mode(cpu);
    cpu->r[REG_RAX] = UINT32_MAX - 3;
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_STORE), STEP_NEXT);
    ck_assert_uint_eq(phys_read(cpu->memory, PAGE + 0xfc, 8), UINT64_C(0x3333333333333333));
    ck_assert_int_eq(EXEC(rig, VMASKMOVPS_LOAD), STEP_NEXT);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], UINT64_C(0x3333333333333333));
    cpu->r[REG_RAX] = UINT32_MAX - 2; /* an element itself does not wrap */
    rig_expect_fault(rig, EXEC(rig, VMASKMOVPS_LOAD), EXC_GP, 0);
    fill(2, 0xff);
    fill(0, 0x44);
    cpu->r[REG_RDI] = UINT32_MAX - 7;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x0f, 0xf7, 0xc2), STEP_NEXT); /* MASKMOVDQU XMM0, XMM2 */
    ck_assert(is_filled(rig_ptr(rig, PAGE + 0xf8), 0x44, 16));
    cpu->r[REG_RDI]++;
    rig_expect_fault(rig, EXEC(rig, 0x66, 0x0f, 0xf7, 0xc2), EXC_GP, 0);
}
END_TEST

/* --- MASKMOVQ, MASKMOVDQU ------------------------------------------------------------------------------------ */

#define MASKMOVDQU 0x66, 0x0f, 0xf7, 0xc2 /* XMM0, XMM2 */
#define MASKMOVQ 0x0f, 0xf7, 0xc2         /* MM0, MM2 */

/* Zen 4 asks for all of the operand's bytes, whatever the mask says. */
START_TEST(maskmovdqu_wants_all_its_bytes_writable)
{
    forbid_next();
    fill(0, 0x33);
    put_mask(0, 1);
    cpu->r[REG_RDI] = NEXT;
    rig_expect_fault(rig, EXEC(rig, MASKMOVDQU), EXC_PF, 2);
    cpu->r[REG_RDI] = NEXT - 8;
    put_mask(0x00ff, 1); /* the low half only */
    memset(rig_ptr(rig, NEXT - 8), 0x22, 8);
    rig_expect_fault(rig, EXEC(rig, MASKMOVDQU), EXC_PF, 2);
    ck_assert_uint_eq(cpu->raised.cr2, NEXT);
    ck_assert(is_filled(rig_ptr(rig, NEXT - 8), 0x22, 8));
    cpu->r[REG_RDI] = UINT64_C(0x800000000000);
    rig_expect_fault(rig, EXEC(rig, MASKMOVDQU), EXC_GP, 0);

    cpu->x87.fsw = 3 << FSW_TOP_SHIFT;
    cpu->r[REG_RDI] = NEXT - 7;
    rig_expect_fault(rig, EXEC(rig, MASKMOVQ), EXC_PF, 2);
    ck_assert_uint_eq(cpu->x87.fsw, 0); /* MMX state all the same */
    ck_assert_uint_eq(cpu->x87.used, 0xff);
    cpu->x87.fsw = 3 << FSW_TOP_SHIFT;
    cpu->r[REG_RDI] = NEXT - 8;
    ck_assert_int_eq(EXEC(rig, MASKMOVQ), STEP_NEXT);
    ck_assert_uint_eq(cpu->x87.fsw, 0);
}
END_TEST

START_TEST(maskmovdqu_is_checked_for_alignment)
{
    rig_segments(cpu, true, 3);
    cpu->regs.cr0 |= CR0_AM;
    put_mask(0, 1);
    for (unsigned ac = 0; ac < 2; ac++)
        for (unsigned at = 0; at <= 16; at += 4) {
            cpu_set_rflags(cpu, 2 | (ac ? FLAG_AC : 0));
            cpu_update_mode(cpu);
            cpu->r[REG_RDI] = PAGE + at;
            enum step step = EXEC(rig, MASKMOVDQU), step8 = EXEC(rig, MASKMOVQ);
            ck_assert_int_eq(step, ac && at % 8 ? STEP_RAISED : STEP_NEXT);
            ck_assert_int_eq(step8, ac && at % 8 ? STEP_RAISED : STEP_NEXT);
        }
    cpu->r[REG_RDI] = PAGE + 1;
    rig_expect_fault(rig, EXEC(rig, MASKMOVDQU), EXC_AC, 0);
}
END_TEST

START_TEST(maskmovdqu_takes_segment_and_address_size)
{
    fill(0, 0x33);
    put_mask(0x0002, 1);
    cpu->regs.seg[SEG_FS].base = PAGE;
    cpu_update_mode(cpu);
    cpu->r[REG_RDI] = UINT64_C(0x700000000) + 0x100;
    ck_assert_int_eq(EXEC(rig, 0x64, 0x67, MASKMOVDQU), STEP_NEXT);
    ck_assert_uint_eq(phys_read(cpu->memory, PAGE + 0x100, 4), 0x3300);
    cpu->r[REG_RDI] = UINT64_C(0x700000000) + PAGE + 0x200;
    ck_assert_int_eq(EXEC(rig, 0x67, 0xc5, 0xf9, 0xf7, 0xc2), STEP_NEXT); /* VMASKMOVDQU */
    ck_assert_uint_eq(phys_read(cpu->memory, PAGE + 0x200, 4), 0x3300);
}
END_TEST

/* --- gathers -------------------------------------------------------------------------------------------------- */

#define VPGATHERDD 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x88 /* XMM0, [RAX + XMM1 * 4], XMM2 */
#define VPGATHERQQ 0xc4, 0xe2, 0xed, 0x91, 0x04, 0xc8 /* YMM0, [RAX + YMM1 * 8], YMM2 */

static void put_indices(int32_t a, int32_t b, int32_t c, int32_t d)
{
    fill(1, 0);
    cpu->simd.v[1].s32[0] = a;
    cpu->simd.v[1].s32[1] = b;
    cpu->simd.v[1].s32[2] = c;
    cpu->simd.v[1].s32[3] = d;
}

static void prepare_gather(void)
{
    for (unsigned i = 0; i < 0x400; i++)
        phys_write(cpu->memory, PAGE + 4 * i, 4, i);
    forbid_next();
    fill(0, 0x11);
    fill(2, 0xff);
    cpu->r[REG_RAX] = PAGE + 0x800;
}

/* rows: pitfalls 7.16 */
START_TEST(a_gather_goes_on_where_it_faulted)
{
    prepare_gather();
    put_indices(1, -1, 0x200, 2);
    for (unsigned again = 0; again < 2; again++) {
        rig_expect_fault(rig, EXEC(rig, VPGATHERDD), EXC_PF, 0);
        ck_assert_uint_eq(cpu->raised.cr2, NEXT);
        ck_assert_uint_eq(cpu->simd.v[0].u64[0], UINT64_C(0x1ff00000201));
        ck_assert(is_filled(cpu->simd.v[0].u8 + 8, 0x11, 56)); /* the rest waits */
        ck_assert_uint_eq(cpu->simd.v[2].u64[0], 0);
        ck_assert(is_filled(cpu->simd.v[2].u8 + 8, 0xff, 56));
        phys_write(cpu->memory, PAGE + 0x804, 4, 0xdead); /* it will not be read again */
    }
    rig_page(rig, NEXT, NEXT | PRESENT);
    phys_write(cpu->memory, NEXT, 4, 0x77);
    ck_assert_int_eq(EXEC(rig, VPGATHERDD), STEP_NEXT);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], UINT64_C(0x1ff00000201));
    ck_assert_uint_eq(cpu->simd.v[0].u64[1], UINT64_C(0x20200000077));
    ck_assert(is_filled(cpu->simd.v[0].u8 + 16, 0, 48));
    ck_assert(is_filled(&cpu->simd.v[2], 0, 64));
}
END_TEST

/* rows: pitfalls 7.16 */
START_TEST(a_gather_without_elements_does_not_fault)
{
    prepare_gather();
    put_indices(0x200, 0x200, 0x200, 0x200);
    fill(2, 0x7f);
    ck_assert_int_eq(EXEC(rig, VPGATHERDD), STEP_NEXT);
    ck_assert(is_filled(&cpu->simd.v[0], 0x11, 16));
    ck_assert(is_filled(cpu->simd.v[0].u8 + 16, 0, 48));
    ck_assert(is_filled(&cpu->simd.v[2], 0, 64));
    cpu->r[REG_RAX] = UINT64_C(0x800000000000);
    fill(0, 0x11);
    fill(1, 0);
    ck_assert_int_eq(EXEC(rig, VPGATHERQQ), STEP_NEXT);
    ck_assert(is_filled(&cpu->simd.v[0], 0x11, 32));
    fill(2, 0xff);
    rig_expect_fault(rig, EXEC(rig, VPGATHERQQ), EXC_GP, 0);
}
END_TEST

/* An element across the border faults with the address behind it, and is not there in part. */
START_TEST(an_element_arrives_as_a_whole)
{
    prepare_gather();
    fill(1, 0);
    cpu->simd.v[1].u64[1] = (0x1000 - 0x800 - 8) / 8;
    cpu->r[REG_RAX] = PAGE + 0x804;
    rig_expect_fault(rig, EXEC(rig, VPGATHERQQ), EXC_PF, 0);
    ck_assert_uint_eq(cpu->raised.cr2, NEXT);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], UINT64_C(0x20200000201));
    ck_assert(is_filled(cpu->simd.v[0].u8 + 8, 0x11, 56));
    ck_assert(is_filled(cpu->simd.v[2].u8 + 8, 0xff, 56));
}
END_TEST

/* Measured on Zen 4: the trap comes with what is there already, and the fault when the rest is asked for. */
START_TEST(single_step_comes_instead_of_a_later_elements_fault)
{
    prepare_gather();
    put_indices(1, -1, 0x200, 2);
    cpu_set_rflags(cpu, 2 | FLAG_TF);
    uint64_t insns = cpu_insns(cpu);
    ck_assert_int_eq(EXEC(rig, VPGATHERDD), STEP_REPEAT);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], UINT64_C(0x1ff00000201));
    ck_assert(is_filled(cpu->simd.v[2].u8 + 8, 0xff, 56));
    ck_assert_uint_eq(cpu_insns(cpu), insns - 1); /* what leaving the chain counts is taken back */
    rig_expect_fault(rig, EXEC(rig, VPGATHERDD), EXC_PF, 0);

    fill(2, 0xff);
    cpu_set_rflags(cpu, 2);
    cpu->traps = 1; /* a data breakpoint has matched */
    ck_assert_int_eq(EXEC(rig, VPGATHERDD), STEP_REPEAT);
    rig_expect_fault(rig, EXEC(rig, VPGATHERDD), EXC_PF, 0);
}
END_TEST

/* With a 32-bit address the sum is cut, whatever the index's width. */
START_TEST(a_gather_cuts_its_addresses)
{
    prepare_gather();
    put_indices(0x40000000, -0x200, 0, 0x1ff);
    cpu->r[REG_RAX] |= UINT64_C(0x500000000);
    ck_assert_int_eq(EXEC(rig, 0x67, VPGATHERDD), STEP_NEXT);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], 0x200);
    ck_assert_uint_eq(cpu->simd.v[0].u64[1], UINT64_C(0x3ff00000200));
}
END_TEST

START_TEST(registers_of_a_gather_differ)
{
    static const uint8_t same[][6] = {
        { 0xc4, 0xe2, 0x79, 0x92, 0x04, 0x88 }, /* destination and mask */
        { 0xc4, 0xe2, 0x69, 0x92, 0x0c, 0x88 }, /* destination and index */
        { 0xc4, 0xe2, 0x71, 0x92, 0x04, 0x88 }, /* mask and index */
    };
    struct insn in;
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(decode_insn(same[i], 6, MODE_LONG64, &in), DECODE_INVALID);
    const uint8_t memory_without_index[] = { 0xc4, 0xe2, 0x69, 0x92, 0x00, 0x00 };
    ck_assert_int_eq(decode_insn(memory_without_index, 6, MODE_LONG64, &in), DECODE_INVALID);
    const uint8_t differ[] = { 0xc4, 0xe2, 0x69, 0x92, 0x04, 0x88 };
    ck_assert_int_eq(decode_insn(differ, 6, MODE_LONG64, &in), DECODE_OK);
}
END_TEST

/* --- other rules -------------------------------------------------------------------------------------------------- */

static void check_zeroed(unsigned registers, unsigned from)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = i < registers ? from : 64;
        ck_assert(is_filled(&cpu->simd.v[i], 0x5a, kept));
        ck_assert(is_filled(cpu->simd.v[i].u8 + kept, 0, 64 - kept));
    }
}

static void zero_registers(unsigned registers)
{
    for (unsigned i = 0; i < 16; i++)
        fill(i, 0x5a);
    ck_assert_int_eq(EXEC(rig, 0xc5, 0xf8, 0x77), STEP_NEXT); /* VZEROUPPER */
    check_zeroed(registers, 16);
    for (unsigned i = 0; i < 16; i++)
        fill(i, 0x5a);
    ck_assert_int_eq(EXEC(rig, 0xc5, 0xfc, 0x77), STEP_NEXT); /* VZEROALL */
    check_zeroed(registers, 0);
}

START_TEST(vzeroall_clears_all_sixteen)
{
    zero_registers(16);
}
END_TEST

/* Measured on Zen 4 in compatibility mode. */
START_TEST(vzeroall_clears_eight_outside_64_bit_mode)
{
    zero_registers(8);
}
END_TEST

START_TEST(movnti_needs_no_sse_state)
{
    cpu->regs.cr4 &= ~(uint64_t)CR4_OSFXSR;
    cpu->regs.cr0 |= CR0_TS | CR0_EM;
    cpu_update_mode(cpu);
    cpu->r[REG_RAX] = PAGE;
    cpu->r[REG_RCX] = 0x1234;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xc3, 0x08), STEP_NEXT); /* MOVNTI [RAX], ECX */
    ck_assert_uint_eq(phys_read(cpu->memory, PAGE, 4), 0x1234);
    rig_expect_fault(rig, EXEC(rig, 0x66, 0x0f, 0xe7, 0x00), EXC_UD, 0); /* MOVNTDQ */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector_memory");
    const TTest *const tests[] = {
        alignment_is_asked_for_as_the_class_says,
        alignment_comes_before_translation,
        a_fault_behind_the_page_commits_nothing,
        the_unused_half_of_an_operand_is_not_read,
        elements_that_are_not_chosen_do_not_fault,
        a_masked_store_that_faults_stores_nothing,
        pages_of_elements_that_are_not_chosen_are_not_touched,
        maskmovdqu_wants_all_its_bytes_writable,
        maskmovdqu_is_checked_for_alignment,
        maskmovdqu_takes_segment_and_address_size,
        a_gather_goes_on_where_it_faulted,
        a_gather_without_elements_does_not_fault,
        an_element_arrives_as_a_whole,
        a_gather_cuts_its_addresses,
        single_step_comes_instead_of_a_later_elements_fault,
        registers_of_a_gather_differ,
        vzeroall_clears_all_sixteen,
        movnti_needs_no_sse_state,
    };
    TCase *tcase = tcase_create("long");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    TCase *legacy = tcase_create("legacy");
    tcase_add_checked_fixture(legacy, setup_legacy, teardown);
    tcase_add_test(legacy, elements_that_are_not_chosen_may_lie_behind_the_limit);
    tcase_add_test(legacy, elements_wrap_around_at_the_address_size);
    tcase_add_test(legacy, vzeroall_clears_eight_outside_64_bit_mode);
    suite_add_tcase(suite, legacy);
    return rig_run(suite);
}
